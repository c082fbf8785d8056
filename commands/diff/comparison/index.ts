/** What a change does to a stack: both revisions put side by side. */
import { plural } from "../../../contract/wording";
import { fieldChanges } from "../compare";
import { contractOf, contractReport } from "../contract-changes";
import { environmentTables } from "../environment";
import type { Masker } from "../../../contract/mask";
import { withOpaqueSecrets } from "../objects";
import { partOfObject, partOfResource, partsOf } from "../parts";
import {
  OPERATIONS,
  PARTS,
  type ChangeReport,
  type ContractReport,
  type Counts,
  type Operation,
  type PartName,
  type SettingChange,
} from "../report";
import { countRisks, findRisks } from "../risks";
import { losesMemory } from "../risks/availability";
import type { ReleaseDelta, ResourceDelta } from "../risks/facts";
import { allObjects, type SideResult } from "../side";
import { past, sentence } from "../wording";
import { declaredEntry, renderedEntries, type ObjectEntry } from "./objects";
import { declared, pairResources, resourceDelta, shownResource, type ResourcePair } from "./resources";
import { settingChanges } from "./settings";

const counts = (items: readonly { op: Operation }[]): Counts =>
  Object.fromEntries(OPERATIONS.map((op) => [op, items.filter((item) => item.op === op).length])) as Counts;

const byPart =
  <T extends { part: PartName }>(key: (item: T) => string) =>
  (a: T, b: T): number => {
    const [left, right] = [PARTS.indexOf(a.part), PARTS.indexOf(b.part)];
    return left !== right ? left - right : key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
  };

/** What the comparison finds; everything in it is masked. */
type Compared = Omit<ChangeReport, "schemaVersion" | "status" | "project" | "stack" | "base" | "head">;

/** What the report says of the two revisions. */
export function compareSides(base: SideResult, head: SideResult, masker: Masker): Compared {
  const { pairs, deltas, entries, releases, notes, partOf } = changesIn(base, head, masker);
  const resources = deltas
    .map((delta) => shownResource(delta, partOf(delta), masker))
    .sort(byPart((resource) => resource.urn));
  const objects = entries
    .map(({ shown }) => shown)
    .sort(byPart((object) => [object.kind, object.namespace ?? "", object.name].join("/")));

  const [oldObjects, newObjects] = [allObjects(base), allObjects(head)];
  const settings = settingChanges(base.config, head.config, masker);
  const [oldContract, newContract] = [base, head].map(({ evaluation }) => contractOf(evaluation.resources));
  const deltasOfObjects = entries.map(({ delta }) => delta);
  const contract = contractReport(oldContract, newContract, { losesMemory: losesMemory(deltasOfObjects) });
  const risks = findRisks({
    resources: deltas,
    objects: deltasOfObjects,
    releases,
    // Of a new stack nothing moves elsewhere; what it takes knowingly is a risk all the same.
    settings: base.config.exists ? settings : settings.filter(({ key }) => key === "acceptedRisks"),
    contract,
    oldContract,
    newContract,
    newObjects,
    masker,
  });

  const present = new Set<PartName>([
    ...pairs.map(partOf),
    ...[...oldObjects, ...newObjects].map((object) => partOfObject(object, "stack")),
  ]);
  // The stack itself is not a part of the picture unless something of it changes.
  if (!resources.some(({ part }) => part === "stack")) present.delete("stack");
  const restarts = objects.filter((object) => object.restarts).map((object) => `${object.kind} ${object.name}`);
  const totals = { resources: counts(resources), objects: counts(objects), risks: countRisks(risks) };
  const [oldOutputs, newOutputs] = [base, head].map(({ evaluation }) => withOpaqueSecrets(evaluation.outputs));
  return {
    summary: summaryOf({ totals, restarts, contract, settings }),
    counts: totals,
    risks,
    contract: masked(contract, masker),
    settings,
    environment: environmentTables(oldObjects, newObjects, masker),
    resources,
    objects,
    outputs: fieldChanges(oldOutputs, newOutputs, masker),
    parts: partsOf(resources, objects, present),
    restarts,
    notes: [...new Set([...notes, ...limits(base, head)])].sort(),
  };
}

/** What changes among resources, Kubernetes objects and releases. */
function changesIn(base: SideResult, head: SideResult, masker: Masker) {
  const olds = new Map(base.evaluation.resources.map((resource) => [resource.urn, resource]));
  const news = new Map(head.evaluation.resources.map((resource) => [resource.urn, resource]));
  const partOf = (pair: ResourcePair): PartName => {
    const owner = declared(pair);
    return partOfResource(owner, news.has(owner.urn) ? news : olds);
  };
  const pairs = pairResources(base.evaluation.resources, head.evaluation.resources);
  const deltas: ResourceDelta[] = [];
  const entries: ObjectEntry[] = [];
  const releases: ReleaseDelta[] = [];
  const notes: string[] = [];
  for (const pair of pairs) {
    const owner = declared(pair);
    const ownerPart = partOf(pair);
    const delta = resourceDelta(pair);
    if (delta) deltas.push(delta);
    entries.push(...declaredEntry(pair, delta, { ownerPart, masker }));
    const before = pair.old && base.releases.get(pair.old.urn);
    const after = pair.new && head.releases.get(pair.new.urn);
    if (!before && !after) continue;
    releases.push({ name: owner.name, oldVersion: before?.chartVersion, newVersion: after?.chartVersion });
    const rendered = renderedEntries({ owner, ownerPart, old: before, new: after, masker });
    entries.push(...rendered.entries);
    notes.push(...rendered.notes);
  }
  return { pairs, deltas, entries, releases, notes, partOf };
}

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
    fix: contract.fix.map(text),
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
    notes.push(
      "the stack has no configuration file at the base revision: it is taken for a new one, of which nothing is deployed; " +
        "npm run diff -- --live compares with what is deployed",
    );
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
    ...(contract.changes.length > 0 ? [`stream contract: ${plural(contract.changes.length, "change")}`] : []),
    ...(restarts.length > 0 ? [`pods restart: ${restarts.join(", ")}`] : []),
  ];
  return `${sentence(parts.join("; "))}.`;
}
