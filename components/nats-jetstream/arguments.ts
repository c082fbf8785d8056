/** What NatsJetStream is given, what that means, and what cannot be used of it. */
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import { LOCATIONS, NATS_USER } from "../../contract/facts";
import { natsMemory } from "../../contract/nats/memory";
import { type Check, quantityBytes } from "../../contract/validate";
import { ArgumentChecks, derived, together } from "../arguments";
import * as terms from "../terms";
import type { NamespacePolicy } from "../network-policies/manifests";
import type { ChartSource, HelmArgs, Resources } from "../shared";
import type { HostSpread } from "./availability";
import { NATS_POD_SECURITY, type NatsPodSecurity } from "./security";
import type { NatsTlsArgs } from "./tls";
import type { ClusterArgs, NatsUser } from "./users/resource";

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

/** What each argument may be. */
const SUBJECTS = terms.list(terms.word("a subject", "noetl.>"), {
  allowed: "a list of subjects",
  example: '["noetl.>"]',
});
const RIGHTS = terms.either(SUBJECTS, terms.object({ allow: SUBJECTS, deny: SUBJECTS }, '{ deny: ["$JS.>"] }'));

const EXTRA_USER = terms.object<NatsUser>(
  {
    name: terms.required(terms.plain(terms.user("operator"))),
    password: terms.required(terms.password),
    rotates: terms.plain(terms.flag),
    permissions: terms.object({ publish: RIGHTS, subscribe: RIGHTS }, '{ publish: ["noetl.>"] }'),
  },
  '{ name: "operator", password }',
);

const TLS = terms.object<NatsTlsArgs>(
  {
    from: terms.required(terms.plain(terms.choice("generated", "secret", "cert-manager"))),
    secret: terms.word("the name of a Secret", "nats-certificate"),
    issuer: terms.object(
      {
        kind: terms.required(terms.choice("Issuer", "ClusterIssuer")),
        name: terms.required(terms.word("the name of an issuer", "internal")),
      },
      '{ kind: "ClusterIssuer", name: "internal" }',
    ),
  },
  '{ from: "generated" }',
);

const TERMS: terms.Terms<NatsJetStreamArgs> = {
  namespace: terms.namespaceOf(LOCATIONS.nats.namespace),
  networkPolicies: terms.POLICIES,
  user: terms.user(NATS_USER),
  password: terms.password,
  passwordRevision: terms.revision,
  extraUsers: terms.list(EXTRA_USER, { allowed: "a list of users", example: '[{ name: "operator", password }]' }),
  cluster: terms.CLUSTER,
  tls: TLS,
  fileStoreSize: terms.sizeOf("16Mi", "16Ti", DEFAULTS.natsJetstreamFileSize),
  memoryStoreSize: terms.sizeOf("1Mi", "1Ti", DEFAULTS.natsJetstreamMemSize),
  memoryLimit: terms.sizeOf("1Mi", "2Ti", "2Gi"),
  replicas: terms.number({
    allowed: "1, 3 or 5",
    example: "3",
    check: (value) => ([1, 3, 5].includes(value) ? undefined : String(value)),
  }),
  hostSpread: terms.plain(terms.choice("preferred", "required")),
  podSecurity: terms.plain(terms.choice(...NATS_POD_SECURITY)),
  storageClass: terms.STORAGE_CLASS,
  maxConnections: terms.whole(100, 65_536, { allowed: "100 to 65536", example: String(DEFAULTS.natsMaxConnections) }),
  clientNodePort: terms.nodePort(30422),
  monitorNodePort: terms.nodePort(30822),
  resources: terms.RESOURCES,
  reloaderResources: terms.RESOURCES,
  box: terms.either(
    terms.flag,
    terms.object(
      {
        user: terms.required(terms.plain(terms.word("the name of one of extraUsers", "operator"))),
        inbox: terms.plain(terms.word("what a subject begins with", "_INBOX_operator")),
      },
      "true",
    ),
  ),
  boxResources: terms.RESOURCES,
  protect: terms.plain(terms.flag),
  chart: terms.CHART,
  ...terms.HELM,
};

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

/**
 * The arguments as they are to be used, and what follows from them.
 *
 * @throws pulumi.ResourceError with all that is wrong with plain arguments; an output fails what it is for when it is known.
 */
export function natsTerms(
  asked: NatsJetStreamArgs | undefined,
  component: pulumi.Resource,
): { readonly args: NatsJetStreamArgs; readonly terms: NatsTerms } {
  const checks = new ArgumentChecks(component);
  const args = checks.all(asked, TERMS);
  const found = {
    namespace: args.namespace ?? LOCATIONS.nats.namespace,
    ...users(args, checks),
    replicas: args.replicas ?? 1,
    maxConnections: args.maxConnections ?? DEFAULTS.natsMaxConnections,
    ...sizes(args, checks),
    ...box(args, checks),
    clientNodePort: args.clientNodePort,
    monitorNodePort: args.monitorNodePort,
  };
  certificate(args, checks);
  checks.done();
  return { args, terms: found };
}

/** What a certificate from somewhere needs to be found there. */
function certificate({ tls }: NatsJetStreamArgs, checks: ArgumentChecks): void {
  if (tls?.from === "secret" && tls.secret === undefined)
    checks.problem(
      "tls.secret",
      'missing while tls.from is secret; allowed: the name of a Secret; for example "nats-certificate"',
    );
  if (tls?.from === "cert-manager" && tls.issuer === undefined)
    checks.problem(
      "tls.issuer",
      'missing while tls.from is cert-manager; allowed: an issuer of cert-manager; for example { kind: "ClusterIssuer", name: "internal" }',
    );
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
      : `${JSON.stringify(asked.user)}, which extraUsers has not; allowed: ${names.join(", ") || "none"}, or box true; for example ${names[0] ?? "box true"}`,
  );
  return { askedBox: asked };
}

function users(
  { user = NATS_USER, password, extraUsers = [] }: NatsJetStreamArgs,
  checks: ArgumentChecks,
): Pick<NatsTerms, "user" | "password" | "extraUsers"> {
  const names = extraUsers.map(({ name }) => name);
  const others: Check<string> = (known) => {
    const same = names.indexOf(known);
    return same < 0
      ? undefined
      : `extraUsers[${same}].name is another user's; allowed: a name of its own; for example operator`;
  };
  for (const [index, name] of names.entries())
    if (names.indexOf(name) < index)
      checks.problem(`extraUsers[${index}].name`, "another user's; allowed: a name of its own; for example operator");
  return { user: checks.whole(user, others), password, extraUsers };
}

type Sizes = Pick<NatsTerms, "fileStoreSize" | "memoryStoreSize" | "memoryLimit" | "resources">;

function sizes(args: NatsJetStreamArgs, checks: ArgumentChecks): Sizes {
  const memory = checks.whole(
    together<{ store: string; limit: string | undefined }>({
      store: args.memoryStoreSize ?? DEFAULTS.natsJetstreamMemSize,
      limit: args.memoryLimit,
    }),
    fits,
  );
  const memoryLimit = derived(memory, ({ store, limit }) => natsMemory(store, limit).limit);
  const { resources } = args;
  return {
    fileStoreSize: args.fileStoreSize ?? DEFAULTS.natsJetstreamFileSize,
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
