/** What a change takes with it: data, protection, room. */
import { RELEASE } from "../../../contract/project";
import { quantityBytes } from "../../../contract/validate";
import type { RawChange } from "../compare";
import { keysOf } from "../path";
import { danger, kindOf, lastKey, notice, objectName, resourceName, typeOf, warning } from "./facts";
import type { ResourceDelta, RiskRule } from "./facts";

/** Resource types whose replacement or removal takes data or everything else with it. */
export const PRECIOUS: Readonly<Record<string, string>> = {
  "gcp:container/cluster:Cluster": "the cluster and everything in it",
  "gcp:sql/databaseInstance:DatabaseInstance":
    "the database instance with its data, and its name stays blocked for a week",
  "gcp:sql/database:Database": "the database with its data",
  "gcp:storage/bucket:Bucket": "the bucket and what is in it",
  "kubernetes:core/v1:Namespace": "the namespace and everything in it",
  "kubernetes:core/v1:PersistentVolumeClaim": "the volume claim, and with it the volume where its class deletes",
  "kubernetes:apps/v1:StatefulSet": "the StatefulSet; its pods stop, its volume claims stay",
  [RELEASE]: "the release: Helm removes what it installed",
};

/** Kinds whose removal by a chart loses something. */
const LOSSES: Readonly<Record<string, string>> = {
  PersistentVolumeClaim: "the volume claim goes, and with it the volume where its class deletes",
  PersistentVolume: "the volume goes",
  StatefulSet: "the pods stop; the volume claims stay and are adopted only by a set of the same name",
  CustomResourceDefinition: "all objects of this kind are deleted with it",
  Namespace: "everything in the namespace is deleted with it",
};

/** What the engine makes of the removal of a resource that is protected. It lets one update take that off and replace. */
const ifProtected = ({ op, old, new: now }: ResourceDelta): string =>
  old?.protect === true && (op === "delete" || now?.protect === true)
    ? " It is protected: the update fails until `pulumi state unprotect` has taken that off."
    : "";

const SIZE_FIELDS = new Set(["storage", "size", "maxSize", "diskSize", "diskSizeGb", "maxFileStore", "max_file_store"]);

/** Bytes of a size field: a quantity, or a plain number of whatever unit the field has. */
function sizeOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" ? quantityBytes(value) : undefined;
}

export const LOSS_RULES: readonly RiskRule[] = [
  {
    id: "replaced",
    warns: "a replaced cluster, database, StatefulSet, namespace, volume claim or release",
    find: ({ resources }) =>
      resources
        .filter((delta) => delta.op === "replace" && PRECIOUS[typeOf(delta)])
        .map((delta) =>
          danger(
            resourceName(delta),
            `is replaced because of ${delta.because.join(", ") || "its inputs"}: this deletes ${PRECIOUS[typeOf(delta)]}.${ifProtected(delta)}`,
          ),
        ),
  },
  {
    id: "deleted",
    warns: "a deleted cluster, database, StatefulSet, namespace, volume claim, resource definition or release",
    find: ({ resources, objects }) => [
      ...resources
        .filter((delta) => delta.op === "delete" && PRECIOUS[typeOf(delta)])
        .map((delta) =>
          danger(resourceName(delta), `is deleted: this removes ${PRECIOUS[typeOf(delta)]}.${ifProtected(delta)}`),
        ),
      ...objects
        .filter((delta) => delta.rendered && delta.op === "delete" && LOSSES[kindOf(delta)])
        .map((delta) =>
          delta.old?.metadata?.annotations?.["helm.sh/resource-policy"] === "keep"
            ? notice(objectName(delta), "leaves the chart, but stays in the cluster (resource-policy keep).")
            : danger(objectName(delta), `is deleted: ${LOSSES[kindOf(delta)]}.`),
        ),
    ],
  },
  {
    id: "protection-removed",
    warns: "deletion protection that is switched off",
    find: ({ resources }) =>
      resources
        .filter(
          ({ old, new: now, changes }) =>
            (old?.protect === true && now?.protect === false) ||
            changes.some(({ path, old: was, new: is }) => {
              const off = (is ?? false) === false && was === true;
              return off && /^deletionProtection(Enabled)?$/.test(lastKey(path));
            }),
        )
        .map((delta) =>
          warning(
            resourceName(delta),
            delta.op === "replace"
              ? "loses its deletion protection, and is replaced by the same update."
              : "loses its deletion protection: the next update may delete or replace it.",
          ),
        ),
  },
  {
    id: "smaller-storage",
    warns: "a volume or store that shrinks",
    find: ({ resources, objects }) => {
      const shrunk = (changes: readonly RawChange[]) =>
        changes.filter(({ path, old, new: now }) => {
          const [before, after] = [sizeOf(old), sizeOf(now)];
          return SIZE_FIELDS.has(lastKey(path)) && before !== undefined && after !== undefined && after < before;
        });
      const text = (change: RawChange) =>
        `${keysOf(change.path).slice(-2).join(".")} shrinks from ${String(change.old)} to ${String(change.new)}: ` +
        (lastKey(change.path) === "maxSize"
          ? "JetStream refuses a limit below what is in use, and says so in its log only."
          : "volumes cannot shrink, and the update fails. Keep the size, or back up, remove set and claim, and restore onto a new volume.");
      return [
        ...resources.flatMap((delta) =>
          shrunk(delta.changes)
            // Volumes show in the objects; a limit of JetStream stands inside a text there.
            .filter(({ path }) => !typeOf(delta).startsWith("kubernetes:") || lastKey(path) === "maxSize")
            .map((change) => danger(resourceName(delta), text(change))),
        ),
        ...objects.flatMap((delta) => shrunk(delta.changes).map((change) => danger(objectName(delta), text(change)))),
      ];
    },
  },
];
