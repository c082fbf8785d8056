import { fieldChanges, formatPath, keysOf, rawChanges, shownChange, type RawChange } from "./compare";
import { contractOf, contractReport } from "./contract";
import { environmentTables } from "./environment";
import type { DeclaredResource } from "./evaluation";
import { pairChanges, pairObjects, restartsPods, STABLE, unstable, type ObjectPair, type Unstable } from "./manifests";
import { isCredentialName, Opaque, type Masker } from "./mask";
import { identityOf, namespaceOf, withOpaqueSecrets, type KubeObject } from "./objects";
import { partOfObject, partOfResource, partsOf } from "./parts";
import { SHOWN } from "./placeholders";
import { kubernetesKind, replacingPaths, touches } from "./replacement";
import { countRisks, findRisks } from "./risks";
import type { ObjectDelta, ReleaseDelta, ResourceDelta } from "./risks/facts";
import {
  OPERATIONS,
  PARTS,
  type ChangeReport,
  type ContractReport,
  type Counts,
  type ObjectChange,
  type Operation,
  type PartName,
  type ResourceChange,
  type SettingChange,
} from "./report";
import { allObjects, declaredObject, type SideResult } from "./side";
import type { StackConfig } from "./stack-config";
import { many } from "../config/wording";
import { past, sentence } from "./wording";

/** A resource in two revisions. */
interface ResourcePair {
  readonly old?: DeclaredResource;
  readonly new?: DeclaredResource;
}

const STACK = "pulumi:pulumi:Stack";

/** Pairs resources by URN, or by a URN that the new one says it had before. */
export function pairResources(olds: readonly DeclaredResource[], news: readonly DeclaredResource[]): ResourcePair[] {
  const before = new Map(olds.map((resource) => [resource.urn, resource]));
  const pairs: ResourcePair[] = news.map((now) => {
    const urn = [now.urn, ...now.aliases].find((each) => before.has(each));
    const old = urn === undefined ? undefined : before.get(urn);
    if (urn !== undefined) before.delete(urn);
    return old ? { old, new: now } : { new: now };
  });
  const gone: ResourcePair[] = [...before.values()].map((old) => ({ old }));
  return [...pairs, ...gone].filter((pair) => (pair.new ?? pair.old)?.type !== STACK);
}

/** Inputs as they are compared: secrets opaque, the code of dynamic resources as a whole. */
function comparableInputs(resource: DeclaredResource): Record<string, unknown> {
  const { __provider: code, ...inputs } = withOpaqueSecrets(resource.inputs) as Record<string, unknown>;
  // The SDK's own mark on releases, always there.
  if (resource.type.startsWith("kubernetes:helm.sh/")) delete inputs.compat;
  return code === undefined ? inputs : { ...inputs, code: new Opaque(JSON.stringify(code), SHOWN.code) };
}

function resourceDelta({ old, new: now }: ResourcePair): ResourceDelta | undefined {
  if (!old || !now) {
    const only = (now ?? old) as DeclaredResource;
    if (only.read) return undefined;
    // A map without entries would be a difference of its own.
    const inputs = Object.entries(comparableInputs(only));
    const filled = inputs.length > 0 ? Object.fromEntries(inputs) : undefined;
    return now
      ? { op: "create", new: now, changes: rawChanges(undefined, filled), because: [] }
      : { op: "delete", old: only, changes: rawChanges(filled, undefined), because: [] };
  }
  if (now.read && old.read) return undefined;
  const changes = rawChanges(comparableInputs(old), comparableInputs(now));
  const protection = old.protect !== now.protect;
  if (changes.length === 0 && !protection) return undefined;
  const replacing = [...replacingPaths(now.type), ...now.replaceOnChanges];
  const because = changes.filter(({ path }) => touches(keysOf(path), replacing)).map(({ path }) => formatPath(path));
  return { op: because.length > 0 ? "replace" : "update", old, new: now, changes, because };
}

const counts = (items: readonly { op: Operation }[]): Counts =>
  Object.fromEntries(OPERATIONS.map((op) => [op, items.filter((item) => item.op === op).length])) as Counts;

/** Settings that differ, secrets without their values. */
export function settingChanges(base: StackConfig, head: StackConfig, masker: Masker): SettingChange[] {
  const short = (config: StackConfig, key: string) =>
    key.startsWith(`${config.project}:`) ? key.slice(config.project.length + 1) : key;
  const keys = [...new Set([...Object.keys(base.values), ...Object.keys(head.values)])].sort();
  return keys.flatMap((key): SettingChange[] => {
    const value = (config: StackConfig): unknown => {
      const text = config.values[key];
      if (text === undefined || text === "") return undefined;
      return config.secretKeys.includes(key) || isCredentialName(key) ? new Opaque(text) : text;
    };
    return rawChanges(value(base), value(head)).map((change) => {
      const { op, old, new: now, note } = shownChange(change, masker);
      return {
        key: short(head, key),
        op,
        ...(old === undefined ? {} : { old }),
        ...(now === undefined ? {} : { new: now }),
        ...(note ? { note } : {}),
      };
    });
  });
}

interface ObjectEntry {
  readonly delta: ObjectDelta;
  readonly shown: ObjectChange;
}

function objectEntry(args: {
  pair: ObjectPair;
  op: Operation;
  changes: readonly RawChange[];
  owner: DeclaredResource;
  ownerPart: PartName;
  rendered: boolean;
  masker: Masker;
}): ObjectEntry {
  const { pair, op, changes, owner, ownerPart, rendered, masker } = args;
  const object = (pair.new ?? pair.old) as KubeObject;
  const restarts = op === "update" && restartsPods(object.kind, changes);
  const namespace = namespaceOf(object);
  const shown: ObjectChange = {
    op,
    apiVersion: object.apiVersion,
    kind: object.kind,
    ...(namespace === undefined ? {} : { namespace: masker.text(namespace) }),
    name: masker.text(object.metadata?.name ?? "?"),
    part: partOfObject(object, ownerPart),
    owner: owner.name,
    rendered,
    ...(object.metadata?.annotations?.["helm.sh/hook"] ? { hook: true } : {}),
    ...(restarts ? { restarts: true } : {}),
    changes: changes.map((change) => shownChange(change, masker)),
  };
  return { delta: { ...pair, op, rendered, restarts, changes }, shown };
}

const byPart =
  <T extends { part: PartName }>(key: (item: T) => string) =>
  (a: T, b: T): number => {
    const [left, right] = [PARTS.indexOf(a.part), PARTS.indexOf(b.part)];
    return left !== right ? left - right : key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
  };

/** What the report says of the two revisions; everything in it is masked. */
export function compareSides(
  base: SideResult,
  head: SideResult,
  masker: Masker,
): Omit<ChangeReport, "schemaVersion" | "status" | "project" | "stack" | "base" | "head"> {
  const olds = new Map(base.evaluation.resources.map((resource) => [resource.urn, resource]));
  const news = new Map(head.evaluation.resources.map((resource) => [resource.urn, resource]));
  const partOf = (resource: DeclaredResource): PartName =>
    partOfResource(resource, news.has(resource.urn) ? news : olds);
  const pairs = pairResources(base.evaluation.resources, head.evaluation.resources);
  const deltas = new Map(pairs.map((pair) => [pair, resourceDelta(pair)]));

  const notes = new Set<string>();
  const entries: ObjectEntry[] = [];
  const releases: ReleaseDelta[] = [];
  for (const pair of pairs) {
    const owner = (pair.new ?? pair.old) as DeclaredResource;
    const ownerPart = partOf(owner);
    const delta = deltas.get(pair);
    const kind = kubernetesKind(owner.type);
    if (kind && delta) {
      const objects: ObjectPair = {
        ...(pair.old ? { old: declaredObject(pair.old) } : {}),
        ...(pair.new ? { new: declaredObject(pair.new) } : {}),
      };
      const changes = pairChanges(objects, STABLE, STABLE);
      entries.push(objectEntry({ pair: objects, op: delta.op, changes, owner, ownerPart, rendered: false, masker }));
    }
    const before = pair.old && base.releases.get(pair.old.urn);
    const after = pair.new && head.releases.get(pair.new.urn);
    if (!before && !after) continue;
    releases.push({
      name: owner.name,
      ...(before ? { oldVersion: before.chartVersion } : {}),
      ...(after ? { newVersion: after.chartVersion } : {}),
    });
    const noise = (rendered: typeof before): Unstable =>
      rendered ? unstable(owner.name, rendered.objects, rendered.again, masker) : STABLE;
    const [oldNoise, newNoise] = [noise(before), noise(after)];
    for (const note of [...oldNoise.notes, ...newNoise.notes, ...(before?.limits ?? []), ...(after?.limits ?? [])]) {
      notes.add(note);
    }
    for (const objects of pairObjects(before?.objects ?? [], after?.objects ?? [], masker)) {
      if (isUnstable(objects.old, oldNoise) || isUnstable(objects.new, newNoise)) continue;
      const changes = pairChanges(objects, oldNoise, newNoise);
      if (changes.length === 0) continue;
      const op = !objects.old ? "create" : !objects.new ? "delete" : "update";
      entries.push(objectEntry({ pair: objects, op, changes, owner, ownerPart, rendered: true, masker }));
    }
  }

  const resources = [...deltas.values()]
    .flatMap((delta): ResourceChange[] => {
      if (!delta) return [];
      const resource = (delta.new ?? delta.old) as DeclaredResource;
      const moved = delta.old && delta.new && delta.old.urn !== delta.new.urn ? delta.old.urn : undefined;
      return [
        {
          op: delta.op,
          urn: masker.urn(resource.urn),
          type: resource.type,
          name: masker.text(resource.name),
          part: partOf(resource),
          because: delta.because.map((path) => masker.text(path)),
          ...(moved ? { was: masker.urn(moved) } : {}),
          ...(resource.protect ? { protected: true } : {}),
          changes: kubernetesKind(resource.type) ? [] : delta.changes.map((change) => shownChange(change, masker)),
        },
      ];
    })
    .sort(byPart((resource) => resource.urn));
  const objects = entries
    .map(({ shown }) => shown)
    .sort(byPart((object) => [object.kind, object.namespace ?? "", object.name].join("/")));

  const [oldObjects, newObjects] = [allObjects(base), allObjects(head)];
  const settings = settingChanges(base.config, head.config, masker);
  const newContract = contractOf(head.evaluation.resources);
  const contract = contractReport(contractOf(base.evaluation.resources), newContract);
  const risks = findRisks({
    resources: [...deltas.values()].flatMap((delta) => delta ?? []),
    objects: entries.map(({ delta }) => delta),
    releases,
    settings,
    contract,
    ...(newContract ? { newContract } : {}),
    newObjects,
    masker,
  });
  for (const note of limits(base, head)) notes.add(note);

  const present = new Set<PartName>([
    ...pairs.map((pair) => partOf((pair.new ?? pair.old) as DeclaredResource)),
    ...[...oldObjects, ...newObjects].map((object) => partOfObject(object, "stack")),
  ]);
  // The stack itself is no part of the picture unless something of it changes.
  if (!resources.some(({ part }) => part === "stack")) present.delete("stack");
  const restarts = objects.filter((object) => object.restarts).map((object) => `${object.kind} ${object.name}`);
  const totals = {
    resources: counts(resources),
    objects: counts(objects),
    risks: countRisks(risks),
  };
  return {
    summary: summaryOf({ totals, restarts, contract, settings }),
    counts: totals,
    risks,
    contract: masked(contract, masker),
    settings,
    environment: environmentTables(oldObjects, newObjects, masker),
    resources,
    objects,
    outputs: fieldChanges(
      withOpaqueSecrets(base.evaluation.outputs),
      withOpaqueSecrets(head.evaluation.outputs),
      masker,
    ),
    parts: partsOf(resources, objects, present),
    restarts,
    notes: [...notes].sort(),
  };
}

const isUnstable = (object: KubeObject | undefined, noise: Unstable): boolean =>
  object !== undefined && noise.objects.has(identityOf(object));

function masked(contract: ContractReport, masker: Masker): ContractReport {
  const text = (value: string) => masker.text(value);
  return {
    changes: contract.changes.map((change) => ({
      term: change.term,
      old: text(change.old),
      new: text(change.new),
      consequence: text(change.consequence),
    })),
    broken: contract.broken.map((rule) => ({ ...rule, found: text(rule.found), expected: text(rule.expected) })),
    mend: contract.mend.map(text),
    refused: contract.refused,
  };
}

/** What the comparison cannot see. */
function limits(base: SideResult, head: SideResult): string[] {
  const notes: string[] = [];
  const functions = new Set([...base.evaluation.functions, ...head.evaluation.functions]);
  for (const name of functions)
    notes.push(`the provider function ${name} is not called here; what depends on its result is not shown`);
  for (const { remote, type, name } of [...base.evaluation.resources, ...head.evaluation.resources]) {
    if (remote) notes.push(`${type} ${name} is built by its provider; what it consists of is not shown`);
  }
  if (base.config.encryption !== head.config.encryption && base.config.exists && head.config.exists) {
    notes.push("the stack's encryption changed, so every encrypted setting shows as changed");
  }
  if (!base.config.exists)
    notes.push("the stack has no configuration file at the base revision: the project's defaults are compared with");
  if (!head.config.exists)
    notes.push("the stack has no configuration file in the working tree: the project's defaults are compared");
  return [...new Set(notes)];
}

function summaryOf(args: {
  totals: ChangeReport["counts"];
  restarts: readonly string[];
  contract: ContractReport;
  settings: readonly SettingChange[];
}): string {
  const { totals, restarts, contract, settings } = args;
  const said = (of: Counts) => OPERATIONS.filter((op) => of[op] > 0).map((op) => `${of[op]} ${past(op)}`);
  const [resources, objects] = [said(totals.resources), said(totals.objects)];
  if (resources.length === 0 && objects.length === 0 && settings.length === 0) return "Nothing changes.";
  const parts = [
    `resources: ${resources.join(", ") || "none"}`,
    `Kubernetes objects: ${objects.join(", ") || "none"}`,
    ...(contract.changes.length > 0 ? [`stream contract: ${many(contract.changes.length, "change")}`] : []),
    ...(restarts.length > 0 ? [`pods restart: ${restarts.join(", ")}`] : []),
  ];
  return `${sentence(parts.join("; "))}.`;
}
