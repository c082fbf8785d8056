import { diffArrays, structuredPatch } from "diff";
import { Opaque, type Masker } from "../../contract/mask";
import { formatPath, keysOf, nameOf, type Step } from "./path";
import { SHOWN } from "../../contract/mask/placeholders";

export type Scalar = string | number | boolean | null;

/** One difference, at a leaf. */
export interface FieldChange {
  /** `spec.template.spec.containers[worker].image` */
  readonly path: string;
  readonly op: "add" | "remove" | "change";
  /** Masked; empty lists and maps as `[]` and `{}`. Absent for an addition. */
  readonly old?: Scalar;
  /** Masked. Absent for a removal. */
  readonly new?: Scalar;
  /** For a text of several lines: the lines that differ, masked, as a unified diff without its header. */
  readonly lines?: readonly string[];
  /** What the values alone do not tell. */
  readonly note?: string;
  /** Changes of every release, folded away: labels of the chart, checksums that only restart pods. */
  readonly routine?: "labels" | "restart";
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Opaque);
const isEmpty = (value: object): boolean => Object.keys(value).length === 0;

/** Keys that name the items of a list of maps, the first that all items have and that tells them apart. */
const NAMING = [
  "name",
  "key",
  "mountPath",
  "devicePath",
  "id",
  "user",
  "host",
  "ip",
  "topologyKey",
  "path",
  "secretName",
];

/** Lists whose order means something although their items have names. */
const ORDERED = new Set(["initContainers"]);

/** Names of a list's items; undefined where they have none. */
function itemNames(list: readonly unknown[], key: string): string[] | undefined {
  if (list.length === 0 || !list.every(isMap)) return undefined;
  const maps = list;
  const unique = (names: readonly unknown[]): string[] | undefined =>
    names.every((name) => typeof name === "string" || typeof name === "number") && new Set(names).size === names.length
      ? names.map(String)
      : undefined;
  if (key === "ports") {
    const ports = unique(
      maps.map((port) => {
        const number = port.containerPort ?? port.port;
        return typeof number === "number"
          ? `${number}/${typeof port.protocol === "string" ? port.protocol : "TCP"}`
          : undefined;
      }),
    );
    return unique(maps.map((port) => port.name)) ?? ports;
  }
  for (const naming of NAMING) {
    const names = unique(maps.map((map) => map[naming]));
    if (names) return names;
  }
  return unique(maps.map((map) => (isMap(map.metadata) ? map.metadata.name : undefined)));
}

/** Labels and annotations that every release of a chart changes. */
const CHART_LABELS = new Set(["helm.sh/chart", "app.kubernetes.io/version", "chart", "heritage"]);
const RESTART = /checksum|revision|config-hash|restartedAt/i;

/** A digest in hex or base64. */
const HASH = /^(sha\d+[:-])?[A-Za-z0-9+/_-]{16,}={0,2}$/;

function routineOf(path: readonly Step[]): FieldChange["routine"] {
  const keys = keysOf(path);
  const last = keys.at(-1);
  const kind = keys.at(-2);
  if (typeof last !== "string") return undefined;
  // In these places a changed label breaks the upgrade.
  if (keys.includes("selector") || keys.includes("matchLabels") || keys.includes("volumeClaimTemplates"))
    return undefined;
  if (kind === "labels" && CHART_LABELS.has(last)) return "labels";
  if ((kind === "annotations" || kind === "podAnnotations") && RESTART.test(last)) return "restart";
  return undefined;
}

/** A difference before it is masked; `path` in steps. */
export interface RawChange {
  readonly path: readonly Step[];
  readonly op: FieldChange["op"];
  readonly old?: unknown;
  readonly new?: unknown;
  readonly note?: string;
}

/** Every leaf that differs, in the order of the new value's fields, sorted by key. */
export function rawChanges(olds: unknown, news: unknown, path: readonly Step[] = []): RawChange[] {
  if (isMap(olds) && isMap(news)) {
    return [...new Set([...Object.keys(olds), ...Object.keys(news)])]
      .sort()
      .flatMap((key) => rawChanges(absent(olds[key]), absent(news[key]), [...path, key]));
  }
  if (Array.isArray(olds) && Array.isArray(news)) return listChanges(olds, news, path);
  if (olds === undefined && news === undefined) return [];
  if (olds === undefined) return leaves(news, path).map((leaf) => ({ path: leaf.path, op: "add", new: leaf.value }));
  if (news === undefined) return leaves(olds, path).map((leaf) => ({ path: leaf.path, op: "remove", old: leaf.value }));
  if (isMap(olds) || isMap(news) || Array.isArray(olds) || Array.isArray(news)) {
    // The kind of value changed: all of the old goes, all of the new comes.
    return [...rawChanges(olds, undefined, path), ...rawChanges(undefined, news, path)];
  }
  return sameLeaf(olds, news) ? [] : [{ path, op: "change", old: olds, new: news }];
}

const sameLeaf = (a: unknown, b: unknown): boolean =>
  a instanceof Opaque && b instanceof Opaque ? a.text === b.text : a === b;

/** Kubernetes takes null for absent. */
const absent = (value: unknown): unknown => (value === null ? undefined : value);

function listChanges(olds: readonly unknown[], news: readonly unknown[], path: readonly Step[]): RawChange[] {
  const last = path.at(-1);
  const key = typeof last === "string" ? last : "";
  const [oldNames, newNames] = [itemNames(olds, key), itemNames(news, key)];
  const named = (list: readonly unknown[], names: readonly string[] | undefined) => list.length === 0 || names;
  if (named(olds, oldNames) && named(news, newNames) && olds.length + news.length > 0) {
    const [before, after] = [oldNames ?? [], newNames ?? []];
    const order = [...after, ...before.filter((name) => !after.includes(name))];
    const changes = order.flatMap((name) =>
      rawChanges(olds[before.indexOf(name)], news[after.indexOf(name)], [...path, { item: name }]),
    );
    const kept = (names: readonly string[], others: readonly string[]) => names.filter((name) => others.includes(name));
    if (ORDERED.has(key) && kept(before, after).join() !== kept(after, before).join()) {
      changes.push({ path, op: "change", old: before.join(", "), new: after.join(", "), note: "order" });
    }
    return changes;
  }
  // Without names the order counts: what stays is aligned, so that one inserted item is one addition.
  const changes: RawChange[] = [];
  let [oldIndex, newIndex] = [0, 0];
  const parts = diffArrays([...olds], [...news], { comparator: (a, b) => JSON.stringify(a) === JSON.stringify(b) });
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index];
    if (!part) continue;
    if (!part.added && !part.removed) {
      oldIndex += part.value.length;
      newIndex += part.value.length;
      continue;
    }
    const next = parts[index + 1];
    const removed = part.removed ? part.value : [];
    const added = part.added ? part.value : next?.added ? next.value : [];
    if (part.removed && next?.added) index++;
    const paired = Math.min(removed.length, added.length);
    for (let offset = 0; offset < Math.max(removed.length, added.length); offset++) {
      const at = offset < added.length ? newIndex + offset : oldIndex + offset;
      changes.push(
        ...rawChanges(
          offset < removed.length ? removed[offset] : undefined,
          offset < added.length ? added[offset] : undefined,
          [...path, offset < paired || offset < added.length ? at : oldIndex + offset],
        ),
      );
    }
    oldIndex += removed.length;
    newIndex += added.length;
  }
  return changes;
}

/** All scalars of a value with their paths; an empty list or map is a leaf too. */
export function leaves(value: unknown, path: readonly Step[] = []): { path: readonly Step[]; value: unknown }[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    if (value.length === 0) return [{ path, value }];
    const last = path.at(-1);
    const names = itemNames(value, typeof last === "string" ? last : "");
    return value.flatMap((item, index) => leaves(item, [...path, names ? { item: names[index] ?? "" } : index]));
  }
  if (isMap(value)) {
    if (isEmpty(value)) return [{ path, value }];
    return Object.keys(value)
      .sort()
      .flatMap((key) => leaves(value[key], [...path, key]));
  }
  return [{ path, value }];
}

const LONG_LINES = 2;

/** A difference as reports show it: masked, with the differing lines of long texts. */
export function shownChange(change: RawChange, masker: Masker): FieldChange {
  const name = nameOf(change.path);
  const routine = routineOf(change.path);
  // A checksum may be one of a Secret, and one of stand-ins differs from run to run.
  const shown = (value: unknown) =>
    routine === "restart" && typeof value === "string" && HASH.test(value)
      ? SHOWN.checksum
      : masker.scalar(value, name);
  const old = change.op === "add" ? undefined : shown(change.old);
  const now = change.op === "remove" ? undefined : shown(change.new);
  const note = change.note ?? (change.op === "change" && old === now ? noteFor(old) : undefined);
  const lines = textLines(change.op, old, now);
  return {
    path: masker.text(formatPath(change.path)),
    op: change.op,
    old,
    new: now,
    lines,
    note: note || undefined,
    routine,
  };
}

function noteFor(shown: Scalar | undefined): string {
  const text = String(shown);
  if (text.includes(SHOWN.secret)) return "secret changed";
  if (text === SHOWN.checksum || text === SHOWN.code) return "changed";
  if (text.includes(SHOWN.generated)) return "generated again";
  return "changed in a part that is not shown";
}

/** Hunks of a text with several lines; undefined for short texts, and where only hidden parts differ. */
function textLines(op: FieldChange["op"], old?: Scalar, now?: Scalar): string[] | undefined {
  const [before, after] = [String(old ?? ""), String(now ?? "")];
  if (op !== "change" || before === after) return undefined;
  if (!before.includes("\n") && !after.includes("\n")) return undefined;
  const { hunks } = structuredPatch("", "", before, after, "", "", { context: LONG_LINES });
  return hunks.flatMap((hunk, index) => [
    ...(index > 0 ? ["..."] : []),
    ...hunk.lines.filter((line) => !line.startsWith("\\")),
  ]);
}

/** All differences of two values, masked. */
export function fieldChanges(olds: unknown, news: unknown, masker: Masker): FieldChange[] {
  return rawChanges(olds, news).map((change) => shownChange(change, masker));
}
