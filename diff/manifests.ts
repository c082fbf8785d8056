import { formatPath, rawChanges, type RawChange } from "./compare";
import type { Masker } from "./mask";
import { comparable, identityOf, titleOf, type KubeObject } from "./objects";

/** Two revisions of an object; one of them is missing where it is created or deleted. */
export interface ObjectPair {
  readonly old?: KubeObject;
  readonly new?: KubeObject;
}

/** Pairs the objects of two renderings; made-up parts of names are no difference. */
export function pairObjects(olds: readonly KubeObject[], news: readonly KubeObject[], masker: Masker): ObjectPair[] {
  const byIdentity = (objects: readonly KubeObject[]) =>
    new Map(objects.map((object) => [masker.text(identityOf(object)), object]));
  const [before, after] = [byIdentity(olds), byIdentity(news)];
  return [...new Set([...before.keys(), ...after.keys()])].sort().map((identity) => {
    const [old, now] = [before.get(identity), after.get(identity)];
    return { ...(old ? { old } : {}), ...(now ? { new: now } : {}) };
  });
}

/** What two renderings of the same release tell apart. */
export interface Unstable {
  /** Identities of objects whose very name changes. */
  readonly objects: ReadonlySet<string>;
  /** Identity to paths of fields that change. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string>>;
  /** For the reader. */
  readonly notes: readonly string[];
}

/** Compares two renderings of the same release. */
export function unstable(
  release: string,
  first: readonly KubeObject[],
  second: readonly KubeObject[],
  masker: Masker,
): Unstable {
  const objects = new Set<string>();
  const fields = new Map<string, Set<string>>();
  const notes: string[] = [];
  const [one, two] = [first, second].map((list) => new Map(list.map((object) => [identityOf(object), object])));
  for (const [identity, object] of [...(one ?? []), ...(two ?? [])]) {
    if (one?.has(identity) && two?.has(identity)) continue;
    objects.add(identity);
    notes.push(`${release}: a ${object.kind} gets another name at every rendering`);
  }
  for (const [identity, object] of one ?? []) {
    const twin = two?.get(identity);
    if (!twin) continue;
    const paths = rawChanges(comparable(object), comparable(twin)).map((change) => formatPath(change.path));
    if (paths.length === 0) continue;
    fields.set(identity, new Set(paths));
    for (const path of paths) notes.push(`${masker.text(titleOf(object))}: ${path} changes at every rendering`);
  }
  return { objects, fields, notes: [...new Set(notes)].sort() };
}

export const STABLE: Unstable = { objects: new Set(), fields: new Map(), notes: [] };

/** Raw differences of a pair, without the fields that change by themselves. */
export function pairChanges(pair: ObjectPair, base: Unstable, head: Unstable): RawChange[] {
  const ignored = (object: KubeObject | undefined, from: Unstable): ReadonlySet<string> =>
    (object && from.fields.get(identityOf(object))) ?? new Set();
  const [old, now] = [ignored(pair.old, base), ignored(pair.new, head)];
  return rawChanges(pair.old && comparable(pair.old), pair.new && comparable(pair.new)).filter((change) => {
    const path = formatPath(change.path);
    // Unstable on one side only: the field became random, or ceased to be, which is a change.
    return !(old.has(path) && now.has(path));
  });
}

const WORKLOADS = new Set(["Deployment", "StatefulSet", "DaemonSet"]);

/** True where a difference makes the controller replace the pods. */
export function restartsPods(kind: string, changes: readonly RawChange[]): boolean {
  return (
    WORKLOADS.has(kind) && changes.some(({ path }) => path[0] === "spec" && path[1] === "template" && path.length > 2)
  );
}
