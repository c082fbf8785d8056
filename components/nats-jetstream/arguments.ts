/** What NatsJetStream is given, what that means, and what cannot be used of it. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import { LOCATIONS, NATS_USER } from "../../contract/facts";
import { natsMemory } from "../../contract/nats/memory";
import { credential, kubernetesName, quantityBytes, range, size } from "../../contract/validate";
import type { NamespacePolicy } from "../network-policies/manifests";
import type { ChartSource, Resources } from "../shared";
import type { HostSpread } from "./availability";
import type { NatsPodSecurity } from "./security";
import type { NatsTlsArgs } from "./tls";
import type { ClusterArgs } from "./users/resource";
import type { NatsUser } from "./values";

export interface NatsJetStreamArgs {
  /** Namespace, which the component creates. Default `nats`. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /**
   * User that NoETL and nats-box log in with. Default `noetl`. Each new password gets a user of its own, `noetl-2` after the
   * first change: `NatsJetStream.user` has the name that is valid.
   */
  user?: string;
  /** Its password: letters, digits and `. _ ~ -` only. Generated where unset. */
  password?: pulumi.Input<string>;
  /** Another number has another password generated, where `password` is unset: 2 after 1, and so on. Default 1. */
  passwordRevision?: number;
  /**
   * More users, for example with fewer permissions; names and passwords as those of `user`. A changed one is read without a
   * restart, and refused with its old password from then on.
   */
  extraUsers?: readonly NatsUser[];
  /**
   * How the cluster is reached, to change a password while NATS runs and NoETL works: old and new login are valid until
   * `NatsJetStream.retireOldLogins`. Default: a changed password restarts NATS, which loses what it holds in memory.
   */
  cluster?: ClusterArgs;
  /**
   * TLS for clients and for the routes of a cluster, with a certificate that is generated, or of a Secret in `namespace`. Needs the
   * way to the cluster, `cluster`. Default: none, and passwords cross the network in clear.
   */
  tls?: NatsTlsArgs;
  /** Size of the file store's volume, a Kubernetes quantity. Default `5Gi`. `max_file_store` is nine tenths of it. */
  fileStoreSize?: string;
  /** Size of the memory store, a Kubernetes quantity, of which a fraction of a Mi is left out. Default `1Gi`. */
  memoryStoreSize?: string;
  /**
   * Memory limit of the container, a Kubernetes quantity. Default one and a half times the memory store plus 256Mi; Go gets
   * 85 % of it, which must hold the store and 128Mi.
   */
  memoryLimit?: string;
  /** Servers: 1, or 3 or 5 for a cluster. Default 1. */
  replicas?: number;
  /**
   * Whether servers of a cluster may share a node: `preferred` puts two on one where there is no other, `required` leaves the
   * second one waiting. Default `preferred`.
   */
  hostSpread?: HostSpread;
  /**
   * What the namespace enforces. No container of NATS runs as root with either. `restricted` needs a volume that Kubernetes hands
   * over by `fsGroup`, or one that is new and writable for all; `baseline` has a step before each server that runs as root and hands over
   * what is there. Default `baseline`.
   */
  podSecurity?: NatsPodSecurity;
  /** StorageClass of the volume. Default: the cluster's. */
  storageClass?: pulumi.Input<string>;
  /** Connections of clients to one server at a time, 100 to 65536. Default 2000. */
  maxConnections?: number;
  /** NodePort of the client port, 30000 to 32767. Default: none. */
  clientNodePort?: number;
  /** NodePort of the monitoring port, 30000 to 32767. Default: none. */
  monitorNodePort?: number;
  /** Resources of the server's container, with no less memory than `memoryLimit`. Default: 100m CPU, and `memoryLimit` as request and limit. */
  resources?: Resources;
  /** Resources of the container that reloads the configuration. Default: 10m CPU, 32Mi memory, at most 64Mi. */
  reloaderResources?: Resources;
  /** Resources of nats-box. Default: 10m CPU, 64Mi memory, at most 256Mi. */
  boxResources?: Resources;
  /** Keep namespace and release, and with them the volumes, from deletion (Pulumi's `protect`). Default false. */
  protect?: boolean;
  /** Chart to install. Default: nats/nats of the official repository, version pinned. */
  chart?: ChartSource;
  /** How long Helm waits for the pods, in seconds. Default 300. */
  timeoutSeconds?: pulumi.Input<number>;
  /** Last word on the Helm release's arguments. */
  transform?: (release: k8s.helm.v3.ReleaseArgs) => k8s.helm.v3.ReleaseArgs;
}

/** The arguments that others follow from, with their defaults. */
export interface NatsTerms {
  readonly namespace: pulumi.Input<string>;
  readonly user: string;
  readonly extraUsers: readonly NatsUser[];
  readonly replicas: number;
  readonly fileStoreSize: string;
  readonly memoryStoreSize: string;
  readonly memory: ReturnType<typeof natsMemory>;
}

export function natsTerms(args: NatsJetStreamArgs): NatsTerms {
  const { namespace = LOCATIONS.nats.namespace, user = NATS_USER, extraUsers = [], replicas = 1 } = args;
  const fileStoreSize = args.fileStoreSize ?? DEFAULTS.natsJetstreamFileSize;
  const memoryStoreSize = args.memoryStoreSize ?? DEFAULTS.natsJetstreamMemSize;
  const memory = natsMemory(memoryStoreSize, args.memoryLimit);
  return { namespace, user, extraUsers, replicas, fileStoreSize, memoryStoreSize, memory };
}

/** Everything that is wrong with them; empty where they can be used. */
export function natsProblems(args: NatsJetStreamArgs, terms: NatsTerms): string[] {
  const { namespace, replicas, fileStoreSize, memoryStoreSize, memory } = terms;
  return [
    ...(typeof namespace === "string" ? problem("namespace", kubernetesName(namespace)) : []),
    ...userProblems(terms),
    ...([1, 3, 5].includes(replicas) ? [] : [`replicas is ${replicas}; allowed: 1, 3 or 5`]),
    ...problem("maxConnections", range(100, 65_536)(args.maxConnections ?? DEFAULTS.natsMaxConnections)),
    ...problem("fileStoreSize", size("16Mi", "16Ti")(fileStoreSize)),
    ...problem("memoryStoreSize", size("1Mi", "1Ti")(memoryStoreSize)),
    ...problem("memoryLimit", size("1Mi", "2Ti")(memory.limit)),
    ...(memory.fits
      ? []
      : [
          `memoryStoreSize ${memoryStoreSize} does not fit into memoryLimit ${memory.limit}; allowed: unset, or at least ${memory.leastLimit}`,
        ]),
    ...smallerLimit(args.resources, memory.limit),
  ];
}

function userProblems({ user, extraUsers }: NatsTerms): string[] {
  const names = [user, ...extraUsers.map((each) => each.name)];
  return [
    ...problem("user", credential(user)),
    ...extraUsers.flatMap((each, index) => [
      ...problem(
        `extraUsers[${index}].name`,
        credential(each.name) ?? (names.indexOf(each.name) <= index ? "another user's" : undefined),
      ),
      // Whoever takes it from another resource has to know; NATS says no then.
      ...(typeof each.password === "string" ? problem(`extraUsers[${index}].password`, credential(each.password)) : []),
    ]),
  ];
}

/** GOMEMLIMIT follows `memoryLimit`: a smaller limit of the container would be reached before Go collects. */
function smallerLimit(resources: Resources | undefined, memoryLimit: string): string[] {
  const limit = resources?.limits.memory;
  return limit !== undefined && (quantityBytes(limit) ?? 0) < (quantityBytes(memoryLimit) ?? 0)
    ? [
        `resources.limits.memory ${limit} is less than memoryLimit ${memoryLimit}; set memoryLimit to what the container has`,
      ]
    : [];
}

function problem(argument: string, problem: string | undefined): string[] {
  return problem ? [`${argument} is ${problem}`] : [];
}
