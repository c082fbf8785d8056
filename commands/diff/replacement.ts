/**
 * Which changed properties replace a resource instead of updating it. The engine's own answer needs the provider and a
 * cluster (`--live`); this is what the providers' sources say.
 */
import { RELEASE } from "../../contract/project";

/**
 * Properties whose change the API server refuses, by `<apiVersion>/<kind>`. Source: pulumi-kubernetes
 * provider/pkg/provider/diff.go; Secrets and ConfigMaps are replaced as that provider does by default.
 */
const KUBERNETES: Readonly<Record<string, readonly string[]>> = {
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

/**
 * Google Cloud resources that hold data or the cluster, and what the fabric around them hangs on. Source: fields marked
 * ForceNew in terraform-provider-google, which the provider wraps.
 */
const GOOGLE: Readonly<Record<string, readonly string[]>> = {
  "gcp:container/cluster:Cluster": [
    "name",
    "location",
    "project",
    "network",
    "subnetwork",
    "enableAutopilot",
    "ipAllocationPolicy",
    "initialNodeCount",
    "description",
    "clusterIpv4Cidr",
    "datapathProvider",
  ],
  "gcp:container/nodePool:NodePool": ["name", "location", "project", "cluster", "initialNodeCount"],
  "gcp:sql/databaseInstance:DatabaseInstance": ["name", "region", "project", "masterInstanceName", "encryptionKeyName"],
  "gcp:sql/database:Database": ["name", "instance", "project"],
  "gcp:sql/user:User": ["name", "instance", "project", "host", "type"],
  "gcp:compute/network:Network": ["name", "project", "autoCreateSubnetworks"],
  "gcp:compute/subnetwork:Subnetwork": ["name", "project", "region", "network"],
  "gcp:compute/router:Router": ["name", "project", "region", "network"],
  "gcp:compute/routerNat:RouterNat": ["name", "project", "region", "router"],
  "gcp:compute/firewall:Firewall": ["name", "project", "network", "direction"],
  "gcp:servicenetworking/connection:Connection": ["network", "service"],
  "gcp:compute/address:Address": ["name", "project", "region", "address", "addressType"],
  "gcp:compute/sSLPolicy:SSLPolicy": ["name", "project", "description"],
  "gcp:compute/globalAddress:GlobalAddress": ["name", "project", "address", "addressType", "prefixLength", "network"],
  "gcp:storage/bucket:Bucket": ["name", "project", "location"],
  "gcp:serviceaccount/account:Account": ["accountId", "project"],
  "gcp:artifactregistry/repository:Repository": ["repositoryId", "project", "location", "format"],
};

/** `<apiVersion>/<kind>` of a resource type such as `kubernetes:core/v1:Secret`; undefined for other providers. */
export function kubernetesKind(type: string): { apiVersion: string; kind: string } | undefined {
  const match = /^kubernetes:([^:]+):([^:]+)$/.exec(type);
  const [, group, kind] = match ?? [];
  if (!group || !kind || group.startsWith("helm.sh/") || group.startsWith("yaml")) return undefined;
  return { apiVersion: group.replace(/^core\//, ""), kind };
}

/** Paths (dotted) whose change replaces a resource of this type; `["*"]` where any change does. */
export function replacingPaths(type: string): readonly string[] {
  if (type.startsWith("random:")) return ["*"];
  if (type === RELEASE) return ["name", "namespace"];
  const object = kubernetesKind(type);
  return object ? replacingObjectPaths(object) : (GOOGLE[type] ?? []);
}

/** Paths (dotted) whose change replaces a Kubernetes object. */
export function replacingObjectPaths(object: { apiVersion: string; kind: string }): readonly string[] {
  return ["apiVersion", "kind", "metadata.name", "metadata.namespace", ...immutablePaths(object)];
}

/** Paths (dotted) of a Kubernetes object that the API server, or the provider, does not update in place. */
export function immutablePaths(object: { apiVersion: string; kind: string }): readonly string[] {
  return KUBERNETES[`${object.apiVersion}/${object.kind}`] ?? [];
}

/** True where a changed path (its keys) lies at or below one of the dotted prefixes. */
export function isWithin(path: readonly (string | number)[], prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => prefix.split(".").every((part, index) => part === path[index]));
}

/** True where a changed path (its keys) lies at, below or above one of the dotted prefixes. */
export function touches(path: readonly (string | number)[], prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => {
    if (prefix === "*") return true;
    const parts = prefix.split(".");
    const length = Math.min(parts.length, path.length);
    return parts.slice(0, length).every((part, index) => part === path[index]);
  });
}
