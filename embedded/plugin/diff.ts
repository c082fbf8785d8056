import { asText, isObject, type Json, type JsonObject } from "./wire";

export type Path = readonly (string | number)[];

/** One difference between old and new inputs, at the deepest place where it shows. */
export interface Change {
  readonly path: Path;
  readonly kind: "ADD" | "DELETE" | "UPDATE";
}

/** What a plugin answers to Diff. */
export interface DiffAnswer {
  readonly changes: readonly (Change & { readonly replace: boolean })[];
  readonly deleteBeforeReplace?: boolean;
  /** Top-level properties that changed, where the official plugin names them. */
  readonly diffs?: readonly string[];
  /** Whether the answer claims to name every change; true by default. */
  readonly detailed?: boolean;
}

const absent = (value: Json | undefined): boolean => value === undefined || value === null;

/** Every difference between two values; null counts as absent. */
export function changes(olds: Json | undefined, news: Json | undefined, path: Path = []): Change[] {
  if (absent(olds) && absent(news)) return [];
  if (absent(olds)) return [{ path, kind: "ADD" }];
  if (absent(news)) return [{ path, kind: "DELETE" }];
  if (isObject(olds) && isObject(news)) {
    return [...new Set([...Object.keys(olds), ...Object.keys(news)])]
      .sort()
      .flatMap((key) => changes(olds[key], news[key], [...path, key]));
  }
  if (Array.isArray(olds) && Array.isArray(news)) {
    const length = Math.max(olds.length, news.length);
    return Array.from({ length }).flatMap((_, index) => changes(olds[index], news[index], [...path, index]));
  }
  return olds === news ? [] : [{ path, kind: "UPDATE" }];
}

/** A property path as the engine writes it: `spec.containers[0].image`, `metadata.annotations["a.b/c"]`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text ? `${text}.${part}` : part;
  }, "");
}

/** True where the path is at or below one of the dotted prefixes, or above it (its parent was added or removed). */
export function touches(path: Path, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => {
    const parts = prefix.split(".");
    const length = Math.min(parts.length, path.length);
    return parts.slice(0, length).every((part, index) => part === path[index]);
  });
}

/**
 * Properties whose change the API server refuses, by `<apiVersion>/<kind>`, so that the object is replaced. Secrets and
 * ConfigMaps are replaced too, as the official plugin does by default: what reads them then sees a new name.
 */
const REPLACING: Readonly<Record<string, readonly string[]>> = {
  "v1/Secret": ["type", "data", "stringData", "immutable"],
  "v1/ConfigMap": ["data", "binaryData", "immutable"],
  "v1/Service": ["spec.clusterIP"],
  "v1/Pod": ["spec"],
  "v1/PersistentVolumeClaim": ["spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"],
  "batch/v1/Job": ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  "apps/v1/Deployment": ["spec.selector"],
  "apps/v1/DaemonSet": ["spec.selector"],
  "apps/v1/StatefulSet": [
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
  ],
  "rbac.authorization.k8s.io/v1/RoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ["roleRef"],
  "storage.k8s.io/v1/StorageClass": ["parameters", "provisioner"],
};

/** Paths whose change replaces the object. */
export function replacing(object: JsonObject): readonly string[] {
  const own = REPLACING[`${asText(object.apiVersion)}/${asText(object.kind)}`] ?? [];
  return ["apiVersion", "kind", "metadata.name", "metadata.namespace", ...own];
}
