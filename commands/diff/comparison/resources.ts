/** What changes in the resources of the program. */
import { rawChanges, shownChange } from "../compare";
import { formatPath, keysOf } from "../path";
import type { DeclaredResource } from "../evaluation";
import { Opaque, type Masker } from "../../../contract/mask";
import { withOpaqueSecrets } from "../objects";
import { SHOWN } from "../../../contract/mask/placeholders";
import { isWithin, kubernetesKind, replacingPaths, touches } from "../replacement";
import type { PartName, ResourceChange } from "../report";
import type { ResourceDelta } from "../risks/facts";

/** A resource in two revisions. */
export interface ResourcePair {
  readonly old?: DeclaredResource;
  readonly new?: DeclaredResource;
}

/** The resource in the working tree, or the one that it no longer has. */
export const declared = (pair: ResourcePair): DeclaredResource => (pair.new ?? pair.old) as DeclaredResource;

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

/** What changes in a resource; undefined where nothing does, or it is only read. */
export function resourceDelta({ old, new: now }: ResourcePair): ResourceDelta | undefined {
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
  const changes = rawChanges(comparableInputs(old), comparableInputs(now)).filter(
    ({ path }) => !isWithin(keysOf(path), now.ignoreChanges),
  );
  const protection = old.protect !== now.protect;
  if (changes.length === 0 && !protection) return undefined;
  const replacing = [...replacingPaths(now.type), ...now.replaceOnChanges];
  const because = changes.filter(({ path }) => touches(keysOf(path), replacing)).map(({ path }) => formatPath(path));
  return { op: because.length > 0 ? "replace" : "update", old, new: now, changes, because };
}

/** The change as reports show it. */
export function shownResource(delta: ResourceDelta, part: PartName, masker: Masker): ResourceChange {
  const resource = declared(delta);
  const moved = delta.old && delta.new && delta.old.urn !== delta.new.urn ? delta.old.urn : undefined;
  return {
    op: delta.op,
    urn: masker.urn(resource.urn),
    type: resource.type,
    name: masker.text(resource.name),
    part,
    because: delta.because.map((path) => masker.text(path)),
    was: moved ? masker.urn(moved) : undefined,
    protected: resource.protect ? true : undefined,
    changes: kubernetesKind(resource.type) ? [] : delta.changes.map((change) => shownChange(change, masker)),
  };
}
