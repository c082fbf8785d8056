/** What the API server refuses to change in place, in objects that Helm updates: the upgrade fails. */
import type { RawChange } from "../compare";
import { quantityBytes } from "../../../contract/validate";
import { keysOf } from "../path";
import { touches } from "../replacement";
import { at, danger, lastKey, objectName, type ObjectDelta, type RiskRule } from "./facts";

/** Fields of a StatefulSet's spec that the API server updates. Source: kubernetes pkg/apis/apps/validation. */
const STATEFUL_SET_MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
];

/** Fields of other kinds that it refuses to change. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["spec.selector"],
  DaemonSet: ["spec.selector"],
  Job: ["spec.template", "spec.selector", "spec.completionMode"],
  Service: ["spec.clusterIP"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
  StorageClass: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
};

function refusedChanges(delta: ObjectDelta): RawChange[] {
  const { old, changes } = delta;
  if (!old || !delta.new || old.metadata?.annotations?.["helm.sh/hook"] !== undefined) return [];
  switch (old.kind) {
    case "StatefulSet":
      return changes.filter(
        ({ path }) => path[0] === "spec" && path.length > 1 && !touches(keysOf(path).slice(1), STATEFUL_SET_MUTABLE),
      );
    case "PersistentVolumeClaim":
      return changes.filter((change) => at(change, "spec") && !at(change, "spec.resources.requests.storage"));
    case "ConfigMap":
    case "Secret":
      return old.immutable === true ? changes.filter((change) => at(change, "data", "binaryData", "stringData")) : [];
    default:
      return changes.filter((change) => at(change, ...(REFUSED[old.kind] ?? [])));
  }
}

const fieldNames = (changes: readonly RawChange[]): string =>
  [...new Set(changes.map(({ path }) => keysOf(path).slice(0, 2).join(".")))].join(", ");

/** What to do instead, by what of a volume was to change; what becomes smaller is another rule's. */
function volumeAdvice(changes: readonly RawChange[]): string[] {
  const grows = ({ path, old, new: now }: RawChange): boolean =>
    lastKey(path) === "storage" && (quantityBytes(String(now)) ?? 0) > (quantityBytes(String(old)) ?? Infinity);
  return [
    ...(changes.some(({ path }) => lastKey(path) === "storageClassName")
      ? [
          "Nothing moves what is on its volumes to another StorageClass: keep the former one, or back up, remove set and claims, " +
            "and restore onto new volumes.",
        ]
      : []),
    ...(changes.some(grows)
      ? [
          "To grow a volume, patch its claims (the StorageClass must allow expansion), delete the StatefulSet with " +
            "--cascade=orphan, then deploy.",
        ]
      : []),
  ];
}

export const REFUSED_RULES: readonly RiskRule[] = [
  {
    id: "volume-claim-template",
    warns: "a changed volume claim template of a StatefulSet, which the API server refuses",
    find: ({ objects }) =>
      objects
        .filter(({ rendered }) => rendered)
        .map((delta) => ({
          delta,
          refused: refusedChanges(delta).filter((change) => at(change, "spec.volumeClaimTemplates")),
        }))
        .filter(({ refused }) => refused.length > 0)
        .map(({ delta, refused }) =>
          danger(
            objectName(delta),
            ["its volume claim template is immutable: the upgrade fails.", ...volumeAdvice(refused)].join(" "),
          ),
        ),
  },
  {
    id: "immutable-field",
    warns: "a changed field that the API server refuses to update, in an object of a chart",
    find: ({ objects }) =>
      objects
        .filter(({ rendered }) => rendered)
        .map((delta) => ({
          delta,
          refused: refusedChanges(delta).filter((change) => !at(change, "spec.volumeClaimTemplates")),
        }))
        .filter(({ refused }) => refused.length > 0)
        .map(({ delta, refused }) =>
          danger(
            objectName(delta),
            `${fieldNames(refused)} is immutable: the upgrade fails until the object is deleted.`,
          ),
        ),
  },
];
