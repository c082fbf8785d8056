import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { natsMemory } from "../../contract/nats/memory";
import { HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import { credential, quantityBytes, secretKey, size } from "../../contract/validate";
import { NATS_USER, LOCATIONS, natsUrl, serviceHost } from "../../contract/facts";
import {
  type ChartSource,
  chartArgs,
  chartDigest,
  generatedPassword,
  namespace,
  releaseRevision,
  type Resources,
} from "../shared";
import type { HostSpread } from "./availability";
import { type NatsUser, natsValues, routeSecret, secretKeysOf, serversDigest } from "./values";

export type { HostSpread } from "./availability";
export type { NatsUser } from "./values";

export interface NatsJetStreamArgs {
  /** Namespace, which the component creates. Default `nats`. */
  namespace?: string;
  /** User that NoETL and nats-box log in with. Default `noetl`. */
  user?: string;
  /** Its password: letters, digits and `. _ ~ -` only. Generated where unset. */
  password?: pulumi.Input<string>;
  /** More users, for example with fewer permissions; names and passwords as those of `user`. */
  extraUsers?: readonly NatsUser[];
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
  /** StorageClass of the volume. Default: the cluster's. */
  storageClass?: string;
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
  timeoutSeconds?: number;
  /** Last word on the Helm release's arguments. */
  transform?: (release: k8s.helm.v3.ReleaseArgs) => k8s.helm.v3.ReleaseArgs;
}

/** Chart nats/nats as this package was tested with. */
export const NATS_CHART: ChartSource = {
  chart: DEFAULTS.natsChart,
  repository: DEFAULTS.natsChartRepository,
  version: DEFAULTS.natsChartVersion,
};

/**
 * NATS with JetStream, installed by Helm: file and memory store, users, a nats-box that is logged in.
 *
 * Passwords live in Secrets alone and reach nats.conf through the environment. The Secrets are named by the engine, so a
 * new password gives one a new name and thereby rolls the pods. The servers of a cluster log in at one another, too.
 *
 * @throws pulumi.ResourceError where a size is not a Kubernetes quantity, the memory store does not fit its limit, servers would
 * be an even number, or a user's name or password cannot be used or has the Secret's key of another's.
 */
export class NatsJetStream extends pulumi.ComponentResource {
  /** Namespace of the server. */
  readonly namespace: pulumi.Output<string>;
  /** Host name of the client service inside the cluster. */
  readonly host: pulumi.Output<string>;
  /** Client port. */
  readonly port: pulumi.Output<number>;
  /** User of NoETL. */
  readonly user: pulumi.Output<string>;
  /** Its password, a secret. */
  readonly password: pulumi.Output<string>;
  /** `nats://user:password@host:port`, a secret. */
  readonly url: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;
  /** Another text wherever the servers restart, which loses what they hold in memory: NoETL's stream. */
  readonly serversRevision: pulumi.Output<string>;

  constructor(name: string, args: NatsJetStreamArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:NatsJetStream", name, {}, opts);
    const user = args.user ?? NATS_USER;
    const { extraUsers = [], replicas = 1 } = args;
    const names = [user, ...extraUsers.map((each) => each.name)];
    const fileStoreSize = args.fileStoreSize ?? DEFAULTS.natsJetstreamFileSize;
    const memoryStoreSize = args.memoryStoreSize ?? DEFAULTS.natsJetstreamMemSize;
    const memory = natsMemory(memoryStoreSize, args.memoryLimit);
    const problems = [
      ...problem("user", credential(user) ?? secretKey(user)),
      ...extraUsers.flatMap((each, index) => [
        ...problem(
          `extraUsers[${index}].name`,
          credential(each.name) ?? secretKey(each.name) ?? takenName(names, index + 1),
        ),
        // Whoever takes it from another resource has to know; NATS says no then.
        ...(typeof each.password === "string"
          ? problem(`extraUsers[${index}].password`, credential(each.password))
          : []),
      ]),
      ...([1, 3, 5].includes(replicas) ? [] : [`replicas is ${replicas}; allowed: 1, 3 or 5`]),
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
    if (problems.length > 0) throw new pulumi.ResourceError(problems.join("; "), this);

    const child = { parent: this };
    const password = pulumi.secret(args.password ?? generatedPassword(`${name}-password`, child));
    const users: NatsUser[] = [{ name: user, password }, ...extraUsers];
    const ns = namespace(
      `${name}-namespace`,
      { name: args.namespace ?? LOCATIONS.nats.namespace, podSecurity: "baseline" },
      { ...child, protect: args.protect },
    );

    const auth = new k8s.core.v1.Secret(
      `${name}-auth`,
      {
        metadata: { namespace: ns.metadata.name },
        stringData: Object.assign(
          {},
          ...users.map((each) => ({
            [secretKeysOf(each.name)[0]]: pulumi.secret(each.password),
            // nats-server parses the value of a variable as it parses a file: unquoted, 7k or true would not be text.
            [secretKeysOf(each.name)[1]]: pulumi.secret(pulumi.interpolate`"${each.password}"`),
          })),
        ) as Record<string, pulumi.Output<string>>,
      },
      child,
    );

    const routes =
      replicas > 1
        ? new k8s.core.v1.Secret(
            `${name}-routes`,
            {
              metadata: { namespace: ns.metadata.name },
              stringData: pulumi.secret(
                generatedPassword(`${name}-route-password`, child).apply((each) => routeSecret(each, replicas)),
              ),
            },
            child,
          )
        : undefined;

    const source = args.chart ?? NATS_CHART;
    const digest = chartDigest(source);
    const release: k8s.helm.v3.ReleaseArgs = {
      ...chartArgs(source),
      name: LOCATIONS.nats.service,
      namespace: ns.metadata.name,
      timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
      values: natsValues({
        users,
        authSecret: auth.metadata.name,
        fileStoreSize,
        memoryStoreSize,
        memoryLimit: memory.limit,
        replicas,
        ...(routes ? { routeSecret: routes.metadata.name } : {}),
        ...(args.hostSpread ? { hostSpread: args.hostSpread } : {}),
        ...(args.storageClass ? { storageClass: args.storageClass } : {}),
        ...(args.clientNodePort === undefined ? {} : { clientNodePort: args.clientNodePort }),
        ...(args.monitorNodePort === undefined ? {} : { monitorNodePort: args.monitorNodePort }),
        ...(args.resources ? { resources: args.resources } : {}),
        ...(args.reloaderResources ? { reloaderResources: args.reloaderResources } : {}),
        ...(args.boxResources ? { boxResources: args.boxResources } : {}),
        ...(digest ? { chartDigest: digest } : {}),
      }),
    };
    const releaseArgs = args.transform?.(release) ?? release;
    const installed = new k8s.helm.v3.Release(`${name}-release`, releaseArgs, { ...child, protect: args.protect });

    this.namespace = ns.metadata.name;
    this.revision = releaseRevision(installed);
    this.serversRevision = pulumi
      .all([releaseArgs.chart, releaseArgs.version, releaseArgs.values])
      .apply(([chart, version, values]) => serversDigest(chart, version, values));
    // Whoever connects needs the running server, not only its name.
    this.host = pulumi
      .all([ns.metadata.name, installed.status])
      .apply(([place]) => serviceHost(LOCATIONS.nats.service, place));
    this.port = pulumi.output(LOCATIONS.nats.port as number);
    this.user = pulumi.output(user);
    this.password = password;
    this.url = pulumi
      .all([this.host, password])
      .apply(([host, secret]) => natsUrl({ user, password: secret, host, port: LOCATIONS.nats.port }));
    this.registerOutputs({
      namespace: this.namespace,
      host: this.host,
      port: this.port,
      user: this.user,
      password: this.password,
      url: this.url,
      revision: this.revision,
      serversRevision: this.serversRevision,
    });
  }
}

/** Whether a user's keys of the Secret are those of one before: `x.conf` is the key of user `x`, too. */
function takenName(names: readonly string[], index: number): string | undefined {
  const own = names[index] ?? "";
  const before = names.slice(0, index);
  if (before.includes(own)) return "another user's";
  const twin = before.find((name) => secretKeysOf(name).some((key) => secretKeysOf(own).includes(key)));
  return twin === undefined ? undefined : `the key under which the Secret holds user ${twin}, or the other way round`;
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
