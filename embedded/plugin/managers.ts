import { isObject, type Json, type JsonObject, textAt } from "./wire";

/**
 * Manager of the fields that a creation sets. Objects are created by POST, which refuses to take over what is not ours;
 * the first update hands the fields to the object's own manager, so that applying can drop them again.
 */
export const CREATOR = "pulumi-kubernetes";

/** Managers whose fields an update takes over (as the official plugin does): our own creations and kubectl. */
const ADOPTED: readonly (readonly [manager: string, operation: string])[] = [
  [CREATOR, "Update"],
  ["kubectl", "Apply"],
  ["kubectl", "Update"],
  ["before-first-apply", "Update"],
];

const entriesOf = (live: JsonObject): JsonObject[] => {
  const { managedFields } = isObject(live.metadata) ? live.metadata : {};
  return Array.isArray(managedFields) ? managedFields.filter(isObject) : [];
};

const isAdopted = (entry: JsonObject): boolean =>
  ADOPTED.some(([manager, operation]) => entry.manager === manager && entry.operation === operation);

/** The union of two sets of fields, each a tree of field names. */
function union(one: Json | undefined, other: Json | undefined): Json {
  if (!isObject(one)) return other ?? {};
  if (!isObject(other)) return one;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, union(one[name], other[name])]));
}

/** `managedFields` after `manager` has taken over what is to be adopted; undefined where there is nothing. */
export function adopted(live: JsonObject, manager: string): JsonObject[] | undefined {
  const entries = entriesOf(live);
  const taken = entries.filter(isAdopted);
  const [first] = taken;
  if (!first) return undefined;
  const isOwn = (entry: JsonObject): boolean => entry.manager === manager && entry.operation === "Apply";
  const fieldsV1 = [...taken, ...entries.filter(isOwn)].reduce<Json>((all, each) => union(all, each.fieldsV1), {});
  const own = { ...(entries.find(isOwn) ?? first), manager, operation: "Apply", fieldsV1 };
  return [own, ...entries.filter((entry) => !isAdopted(entry) && !isOwn(entry))];
}

/**
 * Whether applying may take fields from other managers. Only where the object asks for it, and in a preview of an
 * object whose fields the update would adopt first. Otherwise the API server reports the conflict.
 */
export function mayForce(object: JsonObject, live: JsonObject, preview: boolean): boolean {
  const annotations = isObject(object.metadata) ? object.metadata.annotations : undefined;
  if (textAt(annotations, "pulumi.com/patchForce") === "true") return true;
  const entries = entriesOf(live);
  return entries.length === 0 || (preview && entries.some(isAdopted));
}

/** What an answer of the API server to a conflict adds for whoever reads it. */
export function conflict(manager: string, message: string): string {
  return (
    "server-side apply field conflict detected, see https://www.pulumi.com/registry/packages/kubernetes/" +
    "how-to-guides/managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources " +
    `for troubleshooting help\nThe resource managed by field manager "${manager}" had an apply conflict: ${message}`
  );
}
