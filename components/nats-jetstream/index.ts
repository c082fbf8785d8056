import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEFAULTS, HELM_TIMEOUT_SECONDS } from "../../contract/defaults";
import { LOCATIONS, serviceHost } from "../../contract/facts";
import { type Login, USERS_FILE, usersText } from "../../contract/nats/users";
import type { NatsConnection } from "../noetl/arguments";
import { natsUrlOf } from "../noetl/values";
import { type ChartSource, chartArgs, chartDigest, generatedPassword, namespace, releaseRevision } from "../shared";
import { type NatsJetStreamArgs, type NatsTerms, natsTerms } from "./arguments";
import { certificateOf } from "./tls";
import { NatsUsers, type NatsUser } from "./users/resource";
import { BOX_PASSWORD, type BoxLogin, natsValues, type NatsValuesArgs, routeSecret, serversDigest } from "./values";

export type { NatsJetStreamArgs } from "./arguments";
export type { HostSpread } from "./availability";
export type { NatsPodSecurity } from "./security";
export type { NatsTlsArgs } from "./tls";
export type { NatsUser } from "./users/resource";

/** Chart nats/nats as this package was tested with. */
export const NATS_CHART: ChartSource = {
  chart: DEFAULTS.natsChart,
  repository: DEFAULTS.natsChartRepository,
  version: DEFAULTS.natsChartVersion,
};

/**
 * NATS with JetStream, installed by Helm: file and memory store, users, and where it is asked for a nats-box that is logged in.
 *
 * Passwords live in Secrets alone. nats.conf includes the file of users, which one of them holds: where `cluster` says how
 * to reach it, that Secret changes in place, and nats-server reads it without a restart. The routes of a
 * cluster are authenticated.
 *
 * @throws pulumi.ResourceError where a size is not a Kubernetes quantity, the memory store does not fit its limit, servers would
 * be an even number, a namespace or NodePort is one that Kubernetes would refuse, or a user's name or password cannot be used or is
 * another's; of an output when it is known.
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
  /** Whether clients speak TLS. */
  readonly tls: boolean;
  /** Authorities that clients trust, PEM; undefined without TLS. */
  readonly ca: pulumi.Output<string> | undefined;
  /** When the servers' certificate ends, ISO 8601; undefined without TLS. */
  readonly certificateEnds: pulumi.Output<string> | undefined;
  /** `nats://user:password@host:port`, or `tls://...`, a secret. */
  readonly url: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;
  /** Another text wherever the servers restart, which loses what they hold in memory: NoETL's stream. */
  readonly serversRevision: pulumi.Output<string>;
  private readonly retire: (after: readonly pulumi.Resource[]) => void;
  private readonly names: (asked: string) => pulumi.Output<string>;
  private readonly extraUsers: readonly NatsUser[];

  constructor(name: string, asked?: NatsJetStreamArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:NatsJetStream", name, {}, opts);
    const { args, terms } = natsTerms(asked, this);
    const child = { parent: this };
    const password = pulumi.secret(
      terms.password ?? generatedPassword(`${name}-password`, child, args.passwordRevision),
    );
    const place = namespace(
      `${name}-namespace`,
      { name: terms.namespace, podSecurity: args.podSecurity ?? "baseline", policies: args.networkPolicies },
      { ...child, protect: args.protect },
    );
    const { user, extraUsers } = terms;
    const users = this.users(name, { namespace: place, user, password, extraUsers, cluster: args.cluster });
    const box = this.box(name, terms.askedBox, { namespace: place, user, password, extraUsers, users });
    const routes = this.routes(name, place, { replicas: terms.replicas, isTls: args.tls !== undefined });
    const { tls, cluster = {} } = args;
    const where = { cluster, namespace: place, replicas: terms.replicas };
    const certificate = tls && certificateOf(name, { tls, ...where }, child);
    const releaseArgs = natsRelease(args, terms, {
      namespace: place,
      usersSecret: users.secret,
      box,
      routeSecret: routes?.metadata.name,
      tls: certificate?.secrets,
    });
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
    this.names = users.named;
    this.extraUsers = extraUsers;
    this.retire = (after) => users.retire([installed, ...after]);
    this.password = password;
    [this.tls, this.ca, this.certificateEnds] = [certificate !== undefined, certificate?.ca, certificate?.ends];
    this.url = natsUrlOf(this);
    const { host, port, ca, certificateEnds, url, serversRevision } = this;
    const login = { user: this.user, password };
    const outputs = {
      namespace: place,
      host,
      port,
      ...login,
      tls: this.tls,
      ca,
      certificateEnds,
      url,
      serversRevision,
    };
    this.registerOutputs({ ...outputs, revision: this.revision });
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

  /**
   * What one of `extraUsers` logs in with, as it is valid now; it fits wherever a NatsJetStream does.
   *
   * @param name As `extraUsers` has it.
   * @throws pulumi.ResourceError where there is no such user.
   */
  loginOf(name: string): Required<Omit<NatsConnection, "ca">> & Pick<NatsConnection, "ca"> {
    const found = this.extraUsers.find((each) => each.name === name);
    if (found === undefined) throw new pulumi.ResourceError(`extraUsers has no ${name}`, this);
    return {
      host: this.host,
      port: this.port,
      user: this.names(name),
      password: pulumi.secret(found.password),
      serversRevision: this.serversRevision,
      tls: this.tls,
      ca: this.ca,
    };
  }

  /** What nats-box logs in with; undefined where there is none. */
  private box(name: string, asked: NonNullable<NatsJetStreamArgs["box"]>, of: BoxArgs): BoxLogin | undefined {
    if (asked === false) return undefined;
    const { user, inbox } = asked === true ? { user: undefined, inbox: undefined } : asked;
    const other = of.extraUsers.find((each) => each.name === user);
    const secret = new k8s.core.v1.Secret(
      `${name}-box`,
      {
        metadata: { namespace: of.namespace },
        stringData: { [BOX_PASSWORD]: pulumi.secret(other?.password ?? of.password) },
      },
      { parent: this },
    );
    return { user: other ? of.users.named(other.name) : of.users.user, secret: secret.metadata.name, inbox };
  }

  /** The Secret with the login of the routes between the servers of a cluster; one that is known to be a lone server has none. */
  private routes(
    name: string,
    namespace: pulumi.Output<string>,
    { replicas, isTls }: { readonly replicas: pulumi.Input<number>; readonly isTls: boolean },
  ): k8s.core.v1.Secret | undefined {
    if (replicas === 1) return undefined;
    const child = { parent: this };
    const text = pulumi
      .all([generatedPassword(`${name}-route-password`, child), replicas])
      .apply(([password, servers]) => routeSecret(password, servers, isTls));
    return new k8s.core.v1.Secret(
      `${name}-routes`,
      { metadata: { namespace }, stringData: pulumi.secret(text) },
      child,
    );
  }

  /** The Secret with the file of users, and the name of the login that is valid. */
  private users(name: string, { namespace, user, password, extraUsers, cluster }: UsersArgs): Users {
    const child = { parent: this };
    if (cluster === undefined) {
      const others = extraUsers.map(({ name: own, rotates: _rotates, ...rest }) => ({ user: own, ...rest }));
      const logins = [{ user, password }, ...others];
      const text = pulumi.output(logins).apply((each) => usersText(each as Login[]));
      const secret = new k8s.core.v1.Secret(
        `${name}-users`,
        { metadata: { namespace }, stringData: { [USERS_FILE]: pulumi.secret(text) } },
        child,
      );
      const named = (asked: string) => pulumi.output(asked);
      return { secret: secret.metadata.name, user: pulumi.output(user), named, retire: () => undefined };
    }
    const shared = { cluster, namespace, secretName: USERS_SECRET, password, extraUsers };
    const admitted = new NatsUsers(`${name}-users`, { ...shared, step: "admit", user }, child);
    const named = (asked: string): pulumi.Output<string> =>
      extraUsers.some((each) => each.name === asked && each.rotates)
        ? admitted.named.apply((names) => names?.[asked]?.user ?? asked)
        : pulumi.output(asked);
    return {
      named,
      secret: admitted.secretName,
      user: admitted.user,
      retire: (after) => {
        // Not a child: whoever depends on this component would wait for it, and it waits for them.
        const opts = { dependsOn: [...after] };
        const settled = extraUsers.map(({ rotates: _rotates, ...each }) => ({ ...each, name: named(each.name) }));
        const clients = after.flatMap((each) => ("namespace" in each ? (each.namespace as pulumi.Output<string>) : []));
        const args = { ...shared, extraUsers: settled, step: "retire", user: admitted.user, clients } as const;
        new NatsUsers(`${name}-users-settled`, args, opts);
      },
    };
  }
}

/** Secret with the file of users where it changes in place; below the name of the release, as the chart's own objects. */
const USERS_SECRET = `${LOCATIONS.nats.service}-users`;

type UsersArgs = Pick<NatsJetStreamArgs, "cluster"> &
  Pick<NatsTerms, "user" | "extraUsers"> & { namespace: pulumi.Output<string>; password: pulumi.Output<string> };

type BoxArgs = Omit<UsersArgs, "cluster"> & { readonly users: Users };

interface Users {
  readonly secret: pulumi.Output<string>;
  readonly user: pulumi.Output<string>;
  /** The name of a further user, as it is valid. */
  readonly named: (asked: string) => pulumi.Output<string>;
  readonly retire: (after: readonly pulumi.Resource[]) => void;
}

/** What the release takes from the resources beside it. */
interface ReleaseNeeds extends Pick<NatsValuesArgs, "usersSecret" | "box" | "routeSecret" | "tls"> {
  readonly namespace: pulumi.Output<string>;
}

function natsRelease(
  args: NatsJetStreamArgs,
  terms: NatsTerms,
  { namespace, ...secrets }: ReleaseNeeds,
): k8s.helm.v3.ReleaseArgs {
  const source = args.chart ?? NATS_CHART;
  const release: k8s.helm.v3.ReleaseArgs = {
    ...chartArgs(source),
    name: LOCATIONS.nats.service,
    namespace,
    timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
    values: natsValues({
      ...secrets,
      ...terms,
      hostSpread: args.hostSpread,
      podSecurity: args.podSecurity,
      storageClass: args.storageClass,
      reloaderResources: args.reloaderResources,
      boxResources: args.boxResources,
      chartDigest: chartDigest(source),
    }),
  };
  return args.transform?.(release) ?? release;
}
