/** What changes in the Kubernetes objects: those that the program declares, and those that charts render to. */
import { shownChange, type RawChange } from "../compare";
import type { DeclaredResource } from "../evaluation";
import {
  isSameQuantity,
  pairChanges,
  pairObjects,
  restartsPods,
  STABLE,
  unstable,
  type ObjectPair,
  type Unstable,
} from "../manifests";
import type { Masker } from "../../../contract/mask";
import { identityOf, namespaceOf, type KubeObject } from "../objects";
import { partOfObject } from "../parts";
import { keysOf } from "../path";
import type { Rendered } from "../render";
import { isWithin, kubernetesKind } from "../replacement";
import type { ObjectChange, Operation, PartName } from "../report";
import type { ObjectDelta, ResourceDelta } from "../risks/facts";
import { declaredObject } from "../side";
import { declared, type ResourcePair } from "./resources";

/** An object that changes, for the rules and for the report. */
export interface ObjectEntry {
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
    namespace: namespace === undefined ? undefined : masker.text(namespace),
    name: masker.text(object.metadata?.name ?? "?"),
    part: partOfObject(object, ownerPart),
    owner: owner.name,
    rendered,
    hook: object.metadata?.annotations?.["helm.sh/hook"] ? true : undefined,
    restarts: restarts ? true : undefined,
    changes: changes.map((change) => shownChange(change, masker)),
  };
  return { delta: { ...pair, op, rendered, restarts, changes }, shown };
}

/** The object that a resource of the program declares; nothing where it is not an object, or does not change. */
export function declaredEntry(
  pair: ResourcePair,
  delta: ResourceDelta | undefined,
  { ownerPart, masker }: { readonly ownerPart: PartName; readonly masker: Masker },
): ObjectEntry[] {
  const owner = declared(pair);
  if (!delta || !kubernetesKind(owner.type)) return [];
  const objects: ObjectPair = {
    old: pair.old && declaredObject(pair.old),
    new: pair.new && declaredObject(pair.new),
  };
  const ignored = pair.old && pair.new ? pair.new.ignoreChanges : [];
  const changes = pairChanges(objects, STABLE, STABLE).filter(({ path }) => !isWithin(keysOf(path), ignored));
  return [objectEntry({ pair: objects, op: delta.op, changes, owner, ownerPart, rendered: false, masker })];
}

/** The objects of a release, without what its chart draws again at every rendering; the notes say what that is. */
export function renderedEntries(args: {
  owner: DeclaredResource;
  ownerPart: PartName;
  old: Rendered | undefined;
  new: Rendered | undefined;
  masker: Masker;
}): { entries: ObjectEntry[]; notes: readonly string[] } {
  const { owner, ownerPart, old, new: now, masker } = args;
  const noise = (rendered: Rendered | undefined): Unstable =>
    rendered ? unstable(owner.name, rendered, masker) : STABLE;
  const [oldNoise, newNoise] = [noise(old), noise(now)];
  const entries = pairObjects(old?.objects ?? [], now?.objects ?? [], masker).flatMap((pair): ObjectEntry[] => {
    if (isUnstable(pair.old, oldNoise) || isUnstable(pair.new, newNoise)) return [];
    const changes = pairChanges(pair, oldNoise, newNoise).filter(
      (change) => pair.new === undefined || !isSameQuantity(pair.new, change),
    );
    if (changes.length === 0) return [];
    const op = !pair.old ? "create" : !pair.new ? "delete" : "update";
    return [objectEntry({ pair, op, changes, owner, ownerPart, rendered: true, masker })];
  });
  return { entries, notes: [...oldNoise.notes, ...newNoise.notes, ...(old?.limits ?? []), ...(now?.limits ?? [])] };
}

const isUnstable = (object: KubeObject | undefined, noise: Unstable): boolean =>
  object !== undefined && noise.objects.has(identityOf(object));
