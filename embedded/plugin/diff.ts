import { isObject, type Json, type JsonObject } from "./wire";

export type Path = readonly (string | number)[];

/** One difference between old and new inputs, at the deepest place where it shows. */
interface Change {
  readonly path: Path;
  readonly kind: "ADD" | "DELETE" | "UPDATE";
}

/** A change, and whether it makes another resource of it. */
export interface InputChange extends Change {
  readonly replace: boolean;
}

/** What a plugin answers to Diff. */
export interface DiffAnswer {
  readonly changes: readonly InputChange[];
  readonly deleteBeforeReplace?: boolean;
  /** Top-level properties that changed, where the official plugin names them. */
  readonly diffs?: readonly string[];
  /** Whether the answer claims to name every change; true by default. */
  readonly detailed?: boolean;
}

const absent = (value: Json | undefined): boolean => value === undefined || value === null;

/** Every difference between old and new inputs; null counts as absent. */
export const changes = (olds: JsonObject, news: JsonObject, replaces: (path: Path) => boolean): InputChange[] =>
  differences(olds, news, []).map((change) => ({ ...change, replace: replaces(change.path) }));

function differences(olds: Json | undefined, news: Json | undefined, path: Path): Change[] {
  if (absent(olds) && absent(news)) return [];
  if (absent(olds)) return [{ path, kind: "ADD" }];
  if (absent(news)) return [{ path, kind: "DELETE" }];
  if (isObject(olds) && isObject(news)) {
    return [...new Set([...Object.keys(olds), ...Object.keys(news)])]
      .sort()
      .flatMap((key) => differences(olds[key], news[key], [...path, key]));
  }
  if (Array.isArray(olds) && Array.isArray(news)) {
    const length = Math.max(olds.length, news.length);
    return Array.from({ length }).flatMap((_, index) => differences(olds[index], news[index], [...path, index]));
  }
  return olds === news ? [] : [{ path, kind: "UPDATE" }];
}
