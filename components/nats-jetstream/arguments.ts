/** What NatsJetStream is given, what that means, and what cannot be used of it. */
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import { LOCATIONS, NATS_USER } from "../../contract/facts";
import { natsMemory } from "../../contract/nats/memory";
import { type Check, credential, namespaceName, nodePort, quantityBytes, range, size } from "../../contract/validate";
import { ArgumentChecks, derived, together } from "../arguments";
import type { NamespacePolicy } from "../network-policies/manifests";
import type { ChartSource, HelmArgs, Resources } from "../shared";
import type { HostSpread } from "./availability";
import type { NatsPodSecurity } from "./security";
import type { NatsTlsArgs } from "./tls";
import type { ClusterArgs } from "./users/resource";
import type { NatsUser } from "./values";

export interface NatsJetStreamArgs extends HelmArgs {
  /** Namespace, which the component creates. Default `nats`. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /**
   * User that NoETL logs in with, and nats-box where `box` names no other. Default `noetl`. Each new password gets a user of its
   * own, `noetl-2` after the first change: `NatsJetStream.user` has the name that is valid.
   */
  user?: pulumi.Input<string>;
  /** Its password: letters, digits and `. _ ~ -` only. Generated where unset. */
  password?: pulumi.Input<string>;
  /** Another number has another password generated, where `password` is unset: 2 after 1, and so on. Default 1. */
  passwordRevision?: pulumi.Input<number>;
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
  fileStoreSize?: pulumi.Input<string>;
  /** Size of the memory store, a Kubernetes quantity, of which a fraction of a Mi is left out. Default `1Gi`. */
  memoryStoreSize?: pulumi.Input<string>;
  /**
   * Memory limit of the container, a Kubernetes quantity. Default one and a half times the memory store plus 256Mi; Go gets
   * 85 % of it, which must hold the store and 128Mi.
   */
  memoryLimit?: pulumi.Input<string>;
  /**
   * Servers: 1, or 3 or 5 for a cluster. Default 1. Where it is an output, the Secret with the login of a cluster's routes is made
   * for a lone server, too.
   */
  replicas?: pulumi.Input<number>;
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
  maxConnections?: pulumi.Input<number>;
  /** NodePort of the client port, 30000 to 32767. Default: none. */
  clientNodePort?: pulumi.Input<number>;
  /** NodePort of the monitoring port, 30000 to 32767. Default: none. */
  monitorNodePort?: pulumi.Input<number>;
  /** Resources of the server's container, with no less memory than `memoryLimit`. Default: 100m CPU, and `memoryLimit` as request and limit. */
  resources?: Resources;
  /** Resources of the container that reloads the configuration. Default: 10m CPU, 32Mi memory, at most 64Mi. */
  reloaderResources?: Resources;
  /**
   * nats-box, a pod with the command `nats` that is logged in: true as `user`, or as one of `extraUsers`, which may have an inbox of its
   * own. Whoever may open a shell in it has that login. Default false.
   */
  box?: boolean | { readonly user: string; readonly inbox?: string };
  /** Resources of nats-box. Default: 10m CPU, 64Mi memory, at most 256Mi. */
  boxResources?: Resources;
  /** Keep namespace and release, and with them the volumes, from deletion (Pulumi's `protect`). Default false. */
  protect?: boolean;
  /** Chart to install. Default: nats/nats of the official repository, version pinned. */
  chart?: ChartSource;
}

/** The arguments that others follow from, with their defaults, each checked. */
export interface NatsTerms {
  readonly namespace: pulumi.Input<string>;
  readonly user: pulumi.Input<string>;
  readonly password: pulumi.Input<string> | undefined;
  readonly extraUsers: readonly NatsUser[];
  readonly askedBox: NonNullable<NatsJetStreamArgs["box"]>;
  readonly replicas: pulumi.Input<number>;
  readonly fileStoreSize: pulumi.Input<string>;
  readonly memoryStoreSize: pulumi.Input<string>;
  readonly memoryLimit: pulumi.Input<string>;
  readonly maxConnections: pulumi.Input<number>;
  readonly clientNodePort: pulumi.Input<number> | undefined;
  readonly monitorNodePort: pulumi.Input<number> | undefined;
  readonly resources: Resources | undefined;
}

/** @throws pulumi.ResourceError with all that is wrong with plain arguments; an output fails what it is for when it is known. */
export function natsTerms(args: NatsJetStreamArgs, component: pulumi.Resource): NatsTerms {
  const checks = new ArgumentChecks(component);
  const terms = {
    namespace: checks.checked("namespace", args.namespace ?? LOCATIONS.nats.namespace, namespaceName),
    ...users(args, checks),
    replicas: checks.checked("replicas", args.replicas ?? 1, servers),
    maxConnections: checks.checked(
      "maxConnections",
      args.maxConnections ?? DEFAULTS.natsMaxConnections,
      range(100, 65_536),
    ),
    ...sizes(args, checks),
    ...box(args, checks),
    clientNodePort: checks.optional("clientNodePort", args.clientNodePort, nodePort),
    monitorNodePort: checks.optional("monitorNodePort", args.monitorNodePort, nodePort),
  };
  checks.done();
  return terms;
}

function box(
  { box: asked = false, extraUsers = [] }: NatsJetStreamArgs,
  checks: ArgumentChecks,
): Pick<NatsTerms, "askedBox"> {
  if (typeof asked === "boolean") return { askedBox: asked };
  const names = extraUsers.map(({ name }) => name);
  checks.problem(
    "box.user",
    names.includes(asked.user)
      ? undefined
      : `${JSON.stringify(asked.user)}, which extraUsers has not; allowed: ${names.join(", ") || "none"}, or box true`,
  );
  return { askedBox: asked };
}

const servers: Check<number> = (value) => ([1, 3, 5].includes(value) ? undefined : `${value}; allowed: 1, 3 or 5`);

function users(
  { user = NATS_USER, password, extraUsers = [] }: NatsJetStreamArgs,
  checks: ArgumentChecks,
): Pick<NatsTerms, "user" | "password" | "extraUsers"> {
  const names = extraUsers.map(({ name }) => name);
  const others: Check<string> = (known) => {
    const same = names.indexOf(known);
    return same < 0 ? undefined : `extraUsers[${same}].name is another user's`;
  };
  return {
    user: checks.whole(checks.checked("user", user, credential), others),
    password: checks.optional("password", password, credential),
    extraUsers: extraUsers.map((each, index) => {
      const another = names.indexOf(each.name) < index ? "another user's" : undefined;
      checks.problem(`extraUsers[${index}].name`, credential(each.name) ?? another);
      return { ...each, password: checks.checked(`extraUsers[${index}].password`, each.password, credential) };
    }),
  };
}

type Sizes = Pick<NatsTerms, "fileStoreSize" | "memoryStoreSize" | "memoryLimit" | "resources">;

function sizes(args: NatsJetStreamArgs, checks: ArgumentChecks): Sizes {
  const fileStore = args.fileStoreSize ?? DEFAULTS.natsJetstreamFileSize;
  const fileStoreSize = checks.checked("fileStoreSize", fileStore, size("16Mi", "16Ti"));
  const memoryStore = args.memoryStoreSize ?? DEFAULTS.natsJetstreamMemSize;
  const memory = checks.whole(
    together<{ store: string; limit: string | undefined }>({
      store: checks.checked("memoryStoreSize", memoryStore, size("1Mi", "1Ti")),
      limit: checks.optional("memoryLimit", args.memoryLimit, size("1Mi", "2Ti")),
    }),
    fits,
  );
  const memoryLimit = derived(memory, ({ store, limit }) => natsMemory(store, limit).limit);
  const { resources } = args;
  return {
    fileStoreSize,
    memoryStoreSize: derived(memory, ({ store }) => store),
    memoryLimit,
    resources: resources && { ...resources, limits: { ...resources.limits, memory: limited(resources) } },
  };

  /** GOMEMLIMIT follows `memoryLimit`: a smaller limit of the container would be reached before Go collects. */
  function limited({ limits }: Resources): pulumi.Input<string> {
    const both = checks.whole(together({ limit: limits.memory, memoryLimit }), ({ limit, memoryLimit }) =>
      (quantityBytes(limit) ?? 0) < (quantityBytes(memoryLimit) ?? 0)
        ? `resources.limits.memory ${limit} is less than memoryLimit ${memoryLimit}; set memoryLimit to what the container has`
        : undefined,
    );
    return derived(both, ({ limit }) => limit);
  }
}

const fits: Check<{ readonly store: string; readonly limit: string | undefined }> = ({ store, limit }) => {
  // What is not a size has been said.
  if (limit === undefined || quantityBytes(store) === undefined || quantityBytes(limit) === undefined) return undefined;
  const memory = natsMemory(store, limit);
  return memory.fits
    ? undefined
    : `memoryStoreSize ${store} does not fit into memoryLimit ${memory.limit}; allowed: unset, or at least ${memory.leastLimit}`;
};
