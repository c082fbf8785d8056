import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { natsMemory } from "../../contract/nats/memory";
import { HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import { credential, quantityBytes, size } from "../../contract/validate";
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
import type { NamespacePolicy } from "../network-policies/manifests";
import { type ClusterArgs, NatsUsers } from "./users/resource";
import { type Login, USERS_FILE, usersText } from "../../contract/nats/users";
import type { NatsPodSecurity } from "./security";
import { BOX_PASSWORD, type NatsUser, natsValues, routeSecret, serversDigest } from "./values";

export type { HostSpread } from "./availability";
export type { NatsPodSecurity } from "./security";
export type { NatsUser } from "./values";

export interface NatsJetStreamArgs {
  /** Namespace, which the component creates. Default `nats`. */
  namespace?: string;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /**
   * User that NoETL and nats-box log in with. Default `noetl`. Each new password gets a user of its own, `noetl-2` after the
   * first change: {@link NatsJetStream.user} has the name that is valid.
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
   * {@link NatsJetStream.retireOldLogins}. Default: a changed password restarts NATS, which loses what it holds in memory.
   */
  cluster?: ClusterArgs;
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
 * Passwords live in Secrets alone. nats.conf includes the file of users, which one of them holds: where `cluster` says how
 * to reach it, that Secret changes in place, and nats-server reads it without a restart. The servers of a cluster log in at one
 * another, too.
 *
 * @throws pulumi.ResourceError where a size is not a Kubernetes quantity, the memory store does not fit its limit, servers would
 * be an even number, or a user's name or password cannot be used or is another's.
 */
export class NatsJetStream extends pulumi.ComponentResource {
  /** Namespace of the server. */
  readonly namespace: pulumi.Output<string>;
  /** Host name of the client service inside the cluster. */
  readonly host: pulumi.Output<string>;
  /** Client port. */
  readonly port: pulumi.Output<number>;
  /** User of NoETL, as it is valid now. */
  readonly user: pulumi.Output<string>;
  /** Its password, a secret. */
  readonly password: pulumi.Output<string>;
  /** `nats://user:password@host:port`, a secret. */
  readonly url: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;
  /** Another text wherever the servers restart, which loses what they hold in memory: NoETL's stream. */
  readonly serversRevision: pulumi.Output<string>;
  private readonly retire: (after: readonly pulumi.Resource[]) => void;

  constructor(name: string, args: NatsJetStreamArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:NatsJetStream", name, {}, opts);
    const user = args.user ?? NATS_USER;
    const { extraUsers = [], replicas = 1 } = args;
    const names = [user, ...extraUsers.map((each) => each.name)];
    const fileStoreSize = args.fileStoreSize ?? DEFAULTS.natsJetstreamFileSize;
    const memoryStoreSize = args.memoryStoreSize ?? DEFAULTS.natsJetstreamMemSize;
    const memory = natsMemory(memoryStoreSize, args.memoryLimit);
    const problems = [
      ...problem("user", credential(user)),
      ...extraUsers.flatMap((each, index) => [
        ...problem(
          `extraUsers[${index}].name`,
          credential(each.name) ?? (names.indexOf(each.name) <= index ? "another user's" : undefined),
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
    const revision = args.passwordRevision ?? 1;
    const password = pulumi.secret(args.password ?? generatedPassword(`${name}-password`, child, revision));
    const place = namespace(
      `${name}-namespace`,
      {
        name: args.namespace ?? LOCATIONS.nats.namespace,
        podSecurity: args.podSecurity ?? "baseline",
        policies: args.networkPolicies,
      },
      { ...child, protect: args.protect },
    );
    const users = this.users(name, { namespace: place, user, password, extraUsers, cluster: args.cluster });
    const box = new k8s.core.v1.Secret(
      `${name}-box`,
      { metadata: { namespace: place }, stringData: { [BOX_PASSWORD]: password } },
      child,
    );

    const routes =
      replicas > 1
        ? new k8s.core.v1.Secret(
            `${name}-routes`,
            {
              metadata: { namespace: place },
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
      namespace: place,
      timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
      values: natsValues({
        usersSecret: users.secret,
        box: { user: users.user, secret: box.metadata.name },
        fileStoreSize,
        memoryStoreSize,
        memoryLimit: memory.limit,
        replicas,
        ...(routes ? { routeSecret: routes.metadata.name } : {}),
        ...(args.hostSpread ? { hostSpread: args.hostSpread } : {}),
        ...(args.podSecurity ? { podSecurity: args.podSecurity } : {}),
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

    this.namespace = place;
    this.revision = releaseRevision(installed);
    this.serversRevision = pulumi
      .all([releaseArgs.chart, releaseArgs.version, releaseArgs.values])
      .apply(([chart, version, values]) => serversDigest(chart, version, values));
    // Whoever connects needs the running server, not only its name.
    this.host = pulumi.all([place, installed.status]).apply(([known]) => serviceHost(LOCATIONS.nats.service, known));
    this.port = pulumi.output(LOCATIONS.nats.port as number);
    this.user = pulumi.output(users.user);
    this.retire = (after) => users.retire([installed, ...after]);
    this.password = password;
    this.url = pulumi
      .all([this.host, this.user, password])
      .apply(([host, login, secret]) => natsUrl({ user: login, password: secret, host, port: LOCATIONS.nats.port }));
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

  /**
   * Removes logins that are no longer asked for, once everything that logs in has moved to {@link user} and {@link password}.
   * Call it last. Until then, and where it is not called, old logins stay valid. Without `cluster` it does nothing: the restart
   * has removed them.
   *
   * @param after Everything that logs in: releases, and checks that must have succeeded.
   */
  retireOldLogins(after: readonly pulumi.Resource[]): void {
    this.retire(after);
  }

  /** The Secret with the file of users, and the name of the login that is valid. */
  private users(name: string, { namespace, user, password, extraUsers, cluster }: UsersArgs): Users {
    const child = { parent: this };
    if (cluster === undefined) {
      const logins = [{ name: user, password }, ...extraUsers].map(({ name: own, ...rest }) => ({
        user: own,
        ...rest,
      }));
      const text = pulumi.output(logins).apply((each) => usersText(each as Login[]));
      const secret = new k8s.core.v1.Secret(
        `${name}-users`,
        { metadata: { namespace }, stringData: { [USERS_FILE]: pulumi.secret(text) } },
        child,
      );
      return { secret: secret.metadata.name, user: pulumi.output(user), retire: () => undefined };
    }
    const shared = { cluster, namespace, secretName: USERS_SECRET, password, extraUsers };
    const admitted = new NatsUsers(`${name}-users`, { ...shared, step: "admit", user }, child);
    return {
      secret: admitted.secretName,
      user: admitted.user,
      retire: (after) => {
        // Not a child: whoever depends on this component would wait for it, and it waits for them.
        const opts = { dependsOn: [...after] };
        new NatsUsers(`${name}-users-settled`, { ...shared, step: "retire", user: admitted.user }, opts);
      },
    };
  }
}

/** Secret with the file of users where it changes in place; below the name of the release, as the chart's own objects. */
const USERS_SECRET = `${LOCATIONS.nats.service}-users`;

type UsersArgs = Pick<NatsJetStreamArgs, "cluster"> &
  Required<Pick<NatsJetStreamArgs, "user" | "password" | "extraUsers">> & { namespace: pulumi.Output<string> };

interface Users {
  readonly secret: pulumi.Output<string>;
  readonly user: pulumi.Output<string>;
  readonly retire: (after: readonly pulumi.Resource[]) => void;
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
