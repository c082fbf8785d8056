import { rawChanges, type RawChange } from "./compare";
import { formatPath } from "./path";
import { quantity } from "../../contract/validate";
import { Opaque, type Masker } from "../../contract/mask";
import type { Rendered } from "./render";
import { comparable, identityOf, titleOf, type KubeObject } from "./objects";
import { SHOWN } from "../../contract/mask/placeholders";

/** Two revisions of an object; one of them is missing where it is created or deleted. */
export interface ObjectPair {
  readonly old?: KubeObject;
  readonly new?: KubeObject;
}

/** Pairs the objects of two renderings; made-up parts of names are not a difference. */
export function pairObjects(olds: readonly KubeObject[], news: readonly KubeObject[], masker: Masker): ObjectPair[] {
  const byIdentity = (objects: readonly KubeObject[]) =>
    new Map(objects.map((object) => [masker.text(identityOf(object)), object]));
  const [before, after] = [byIdentity(olds), byIdentity(news)];
  return [...new Set([...before.keys(), ...after.keys()])].sort().map((identity) => {
    const [old, now] = [before.get(identity), after.get(identity)];
    return { old, new: now };
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
  { objects: first, again: second }: Pick<Rendered, "objects" | "again">,
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

/** Raw differences of a pair; a field that changes by itself is none, and its value is never shown. */
export function pairChanges(pair: ObjectPair, base: Unstable, head: Unstable): RawChange[] {
  const drawn = (object: KubeObject | undefined, from: Unstable): ReadonlySet<string> =>
    (object && from.fields.get(identityOf(object))) ?? new Set();
  const [olds, news] = [drawn(pair.old, base), drawn(pair.new, head)];
  const shown = (value: unknown, isDrawn: boolean) => (isDrawn ? new Opaque("", SHOWN.drawn) : value);
  return rawChanges(pair.old && comparable(pair.old), pair.new && comparable(pair.new)).flatMap((change) => {
    const path = formatPath(change.path);
    const [wasDrawn, isDrawn] = [olds.has(path), news.has(path)];
    if (!wasDrawn && !isDrawn) return [change];
    if (wasDrawn && isDrawn) return [];
    return [{ ...change, old: shown(change.old, wasDrawn), new: shown(change.new, isDrawn) }];
  });
}

/** Groups of the API whose objects Kubernetes itself reads and writes again, quantities in their shortest spelling. */
const BUILT_IN = new Set(["", "apps", "batch"]);

/**
 * True where a field of an object holds the same quantity as before in another spelling, `1Gi` and `1024Mi`: what is stored, and
 * compared where the API server refuses a change, stays. Of an object that the program declares the provider compares texts.
 */
export function isSameQuantity({ apiVersion }: KubeObject, { path, old, new: now }: RawChange): boolean {
  const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
  const [parent, field] = path.slice(-2);
  const isQuantity = parent === "requests" || parent === "limits" || parent === "capacity" || field === "sizeLimit";
  if (!BUILT_IN.has(group) || path[0] !== "spec" || !isQuantity) return false;
  const [before, after] = [quantity(old), quantity(now)];
  return before !== undefined && before === after;
}

const WORKLOADS = new Set(["Deployment", "StatefulSet", "DaemonSet"]);

/** True where a difference makes the controller replace the pods. */
export function restartsPods(kind: string, changes: readonly RawChange[]): boolean {
  return (
    WORKLOADS.has(kind) && changes.some(({ path }) => path[0] === "spec" && path[1] === "template" && path.length > 2)
  );
}
