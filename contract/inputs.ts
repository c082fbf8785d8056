/** What a check of the contract is given, and the defaults. */
import type { Declared } from "./declared/types";
import { LINE_PROFILES, NOETL_LINES, type ConsumerTerms, type LineProfile, type NoetlLine } from "./lines";
import { CONSUMER, GATEWAY, LOCATIONS, STREAM, WORKER_TUNING } from "./facts";
import type { GatewaySubjects, WorkerTuning } from "./env";
import { subjectsCover } from "./subjects";
import { isRecord } from "./records";

/** TLS towards NATS. Certificates and keys are PEM text, not paths. */
export interface TlsSettings {
  /** Authorities to trust instead of Node's own list. */
  readonly ca?: string;
  /** Client certificate, with `key`. */
  readonly cert?: string;
  /** Key of the client certificate. */
  readonly key?: string;
  /** Name that the server's certificate must carry; default: the server's host, or the Service's name in the cluster. */
  readonly serverName?: string;
  /** True where the server expects TLS before it greets (`handshake_first`, nats-server 2.10.4). Default: false. */
  readonly handshakeFirst?: boolean;
  /**
   * True takes the server as it is, with TLS or without, and whatever certificate it has: for servers that an update is about to
   * change. Of use on the way through a cluster alone, whose API proves which pod answers. Default: false.
   */
  readonly asOffered?: boolean;
}

/** `connection.tls` for a server with TLS, whose authorities may be known; nothing for one without. */
export const connectionTls = <T>({ tls, ca }: { readonly tls?: boolean; readonly ca?: T }): { ca?: T } | undefined =>
  tls ? { ca } : undefined;

/** The way to NATS through a port-forward over the Kubernetes API, as `kubectl port-forward` goes it. */
export interface ClusterConnection {
  /** Namespace of NATS. Default: `nats`. */
  readonly namespace: string;
  /** Service whose ready pods are taken. Default: `nats`. */
  readonly service: string;
  /** One pod instead of any behind the Service. */
  readonly pod?: string;
  /** NATS client port of the pod. Default: 4222. */
  readonly port: number;
  /** Content or path of a kubeconfig. Default: `$KUBECONFIG`, `~/.kube/config` or a pod's service account. */
  readonly kubeconfig?: string;
  /** Context of the kubeconfig. Default: its current one. */
  readonly context?: string;
  /**
   * What runs NATS' own command line at this server, in the commands that are printed to fix a contract: words without quotes, such as
   * `npm run nats -- --stack kind`. Default: `kubectl exec` into nats-box, which NATS' chart names after its Service.
   */
  readonly natsCommand?: string;
  readonly tls?: TlsSettings;
}

/** The same inputs, for a question to servers that an update is about to change: those that run may have TLS or none. */
export const asServersAre = (inputs: ContractInputs): ContractInputs =>
  isServersConnection(inputs.connection)
    ? inputs
    : { ...inputs, connection: { ...inputs.connection, tls: { asOffered: true } } };

/** The direct way to NATS. */
export interface ServersConnection {
  /** `host:port` each, with or without `nats://` or `tls://`, without credentials; tried in this order. */
  readonly servers: readonly string[];
  readonly tls?: TlsSettings;
}

/**
 * How stream and consumer must be configured. Defaults: as NoETL of the line creates them; those named are of `2.8`.
 * Durations in seconds.
 */
export interface Expectation {
  /** `limits`, `interest` or `workqueue`. Default: `limits`. */
  readonly retention: string;
  /** `memory` or `file`. Default: `memory`. */
  readonly storage: string;
  /** Maximum age of a message in seconds, 0 for unlimited. Default: 3600. */
  readonly maxAgeSeconds: number;
  /** `none`, `all` or `explicit`. Default: `explicit`. */
  readonly ackPolicy: string;
  /** `all`, `last`, `new` or `last_per_subject`. Default: `new`. */
  readonly deliverPolicy: string;
  /** `instant` or `original`. Default: `instant`. */
  readonly replayPolicy: string;
  /** Time to acknowledge in seconds. Default: 30. */
  readonly ackWaitSeconds: number;
  /** Fewest replicas of the stream, 1 to 5; more are fine. Default: 1. */
  readonly replicas: number;
  /** Duplicate window in seconds; a shorter maximum age shortens it. Default: 120, which is the server's own. */
  readonly duplicateWindowSeconds: number;
}

/** The worker's settings that must agree with its consumer (`NOETL_WORKER_NATS_*`). */
export interface WorkerSettings extends Omit<WorkerTuning, "fetchHeartbeatSeconds"> {
  /** Worker pods, each of which fetches. Default: 1. */
  readonly replicas: number;
}

/** The gateway's part of the contract, and where it is. */
export interface GatewaySettings extends GatewaySubjects {
  /** The user that the gateway logs in with. Default: the user of the check. */
  readonly user?: string;
  readonly password?: string;
  /** Where the gateway runs, for the commands that fix a broken contract. Default: `gateway`. */
  readonly namespace: string;
  /** Default: `gateway`. */
  readonly deployment: string;
}

/** Where NoETL runs; only used in the commands that fix a broken contract. */
export interface NoetlPlaces {
  /** Default: `noetl`. */
  readonly namespace: string;
  /** Default: `noetl-server`. */
  readonly serverDeployment: string;
  /** Default: `noetl-worker`. */
  readonly workerDeployment: string;
}

/** A user of NATS with its password. */
export interface NoetlLogin {
  readonly user: string;
  readonly password: string;
  /** What the subjects begin with on which it gets its answers. Default: `_INBOX`, as of every client. */
  readonly inbox?: string;
}

/** NoETL's own login: the server's, and the workers' where that is another. */
export interface NoetlLogins extends NoetlLogin {
  readonly worker?: NoetlLogin;
}

/** Everything that one check needs, with no default left open. */
export interface ContractInputs {
  readonly connection: ClusterConnection | ServersConnection;
  /**
   * NATS user. Default: log in without one. The least it needs: publish on `$JS.API.STREAM.INFO.<stream>` and
   * `$JS.API.CONSUMER.INFO.<stream>.<consumer>`, with a gateway on `$JS.API.STREAM.INFO.KV_<bucket>` too, and subscribe
   * on `_INBOX.>`. Rules that it may not ask for are named in {@link ContractReport.skippedRules}.
   */
  readonly user?: string;
  /** Its password. */
  readonly password?: string;
  /** Content or path of a credentials file (`.creds`: a JWT and its seed), instead of user and password. */
  readonly credentials?: string;
  /** Seed of an NKey (`SU...`), instead of user and password. */
  readonly nkeySeed?: string;
  /**
   * `assert` changes nothing in NATS. `ensure` first creates stream, consumer and buckets that are missing and updates
   * what can be updated, and refuses what would need something recreated; it belongs before NoETL starts. Default:
   * `assert`.
   */
  readonly mode: "assert" | "ensure";
  /** NATS_STREAM. Default: `NOETL_COMMANDS`. */
  readonly stream: string;
  /** NATS_SUBJECT; the stream's subjects must cover it. Default: `noetl.commands`. */
  readonly subject: string;
  /** NATS_CONSUMER. Default: `noetl_worker_pool`. */
  readonly consumer: string;
  /**
   * Line of the NoETL that is deployed: `2.8`, `2.10`, `4.7` or `rust` (docs/contract.md); its stream and consumers are what
   * is expected. Default: `2.8`.
   */
  readonly noetlLine?: NoetlLine;
  /** NoETL's own login, where it is another than that of the check. */
  readonly noetlLogin?: NoetlLogins;
  /** Subjects that this NoETL publishes on. Default: as its line does, with routing off. */
  readonly publishes?: readonly string[];
  /** The durable consumers of the workers. Default: as the line's workers make them, `consumer` first. */
  readonly consumers?: readonly ConsumerTerms[];
  readonly expect: Expectation;
  readonly worker: WorkerSettings;
  readonly noetl: NoetlPlaces;
  /** Undefined where no gateway is deployed. */
  readonly gateway?: GatewaySettings;
  /** What is declared in NATS beyond what NoETL makes; undefined where nothing is. */
  readonly declared?: Declared;
  /** True where there is no NoETL: only what is declared is ensured and checked. Default: false. */
  readonly declaredOnly?: boolean;
  /** True makes drift fail the update; otherwise it is a warning. Default: false. */
  readonly strict: boolean;
  /** Deadline of the whole check in seconds, 1 to 3600, waiting for stream and consumer included. Default: 120. */
  readonly timeoutSeconds: number;
  /** The check runs again when one of these changes: revisions of releases, for example. */
  readonly triggers?: readonly unknown[];
}

type DeepPartial<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;

/** What a caller may leave out: everything. */
export type ContractArguments = Omit<DeepPartial<ContractInputs>, "connection"> & {
  readonly connection?: Partial<ClusterConnection> | ServersConnection;
};

/** Deadline of a check where none is given, in seconds. */
export const DEFAULT_TIMEOUT_SECONDS = 120;

export const DEFAULT_CONNECTION: ClusterConnection = {
  namespace: LOCATIONS.nats.namespace,
  service: LOCATIONS.nats.service,
  port: LOCATIONS.nats.port,
};

const DEFAULTS: ContractInputs = {
  connection: DEFAULT_CONNECTION,
  mode: "assert",
  stream: STREAM.name,
  subject: STREAM.subject,
  consumer: CONSUMER.name,
  expect: {
    retention: STREAM.retention,
    storage: STREAM.storage,
    maxAgeSeconds: STREAM.maxAgeSeconds,
    ackPolicy: CONSUMER.ackPolicy,
    deliverPolicy: CONSUMER.deliverPolicy,
    replayPolicy: CONSUMER.replayPolicy,
    ackWaitSeconds: CONSUMER.ackWaitSeconds,
    replicas: STREAM.replicas,
    duplicateWindowSeconds: STREAM.duplicateWindowSeconds,
  },
  worker: {
    maxAckPending: WORKER_TUNING.maxAckPending,
    maxDeliver: WORKER_TUNING.maxDeliver,
    fetchTimeoutSeconds: WORKER_TUNING.fetchTimeoutSeconds,
    replicas: 1,
  },
  noetl: {
    namespace: LOCATIONS.noetl.namespace,
    serverDeployment: LOCATIONS.noetl.serverDeployment,
    workerDeployment: LOCATIONS.noetl.workerDeployment,
  },
  strict: false,
  timeoutSeconds: DEFAULT_TIMEOUT_SECONDS,
};

const GATEWAY_DEFAULTS: GatewaySettings = {
  ...GATEWAY,
  namespace: LOCATIONS.gateway.namespace,
  deployment: LOCATIONS.gateway.deployment,
};

/** Names of the inputs, in the order of {@link ContractInputs}. */
export const INPUT_NAMES = [
  "connection",
  "user",
  "password",
  "credentials",
  "nkeySeed",
  "mode",
  "stream",
  "subject",
  "consumer",
  "noetlLine",
  "publishes",
  "consumers",
  "noetlLogin",
  "expect",
  "worker",
  "noetl",
  "gateway",
  "declared",
  "declaredOnly",
  "strict",
  "timeoutSeconds",
  "triggers",
] as const satisfies readonly (keyof ContractInputs)[];

export function isServersConnection(
  connection: Partial<ClusterConnection> | ServersConnection,
): connection is ServersConnection {
  return "servers" in connection && connection.servers !== undefined;
}

/** `given` over `defaults`, objects key by key; what is undefined or null in `given` counts as left out. */
function over<T>(defaults: T, given: unknown): T {
  if (given === undefined || given === null) return defaults;
  if (!isRecord(given)) return given as T;
  const base: Record<string, unknown> = isRecord(defaults) ? { ...defaults } : {};
  for (const [key, value] of Object.entries(given)) {
    const merged = over(base[key], value);
    if (merged !== undefined) base[key] = merged;
  }
  return base as T;
}

const isLine = (line: unknown): line is NoetlLine => (NOETL_LINES as readonly unknown[]).includes(line);

/** The line's profile; one that is not known (yet) is the business of the check of the inputs. */
const profileOf = (line: unknown): LineProfile => LINE_PROFILES[isLine(line) ? line : "2.8"];

/** What the line makes of stream and consumer. */
function lineExpectation(
  line: unknown,
): Pick<Expectation, "storage" | "maxAgeSeconds" | "ackWaitSeconds" | "deliverPolicy"> {
  const { storage, maxAgeSeconds, ackWaitSeconds, deliverPolicy } = profileOf(line);
  return { storage, maxAgeSeconds, ackWaitSeconds, deliverPolicy };
}

/** The arguments with every default filled in and nothing undefined left in them. */
export function withDefaults(args: ContractArguments): ContractInputs {
  const servers = isRecord(args.connection) && isServersConnection(args.connection);
  return over(
    {
      ...DEFAULTS,
      expect: { ...DEFAULTS.expect, ...lineExpectation(args.noetlLine) },
      worker: { ...DEFAULTS.worker, ...profileOf(args.noetlLine).limits },
      connection: servers ? { servers: [] } : DEFAULTS.connection,
      ...(isRecord(args.gateway) ? { gateway: GATEWAY_DEFAULTS } : {}),
    },
    args,
  );
}

/** Host, port and scheme of a server address; undefined where it is none. */
export function parseServer(address: string): { host: string; port: number; tls: boolean } | undefined {
  const match = /^(?:(nats|tls):\/\/)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/.exec(address);
  const host = match?.[2];
  if (!match || host === undefined) return undefined;
  const port = Number(match[3] ?? LOCATIONS.nats.port);
  if (port < 1 || port > 65535) return undefined;
  return { host: host.replace(/^\[|\]$/g, ""), port, tls: match[1] === "tls" };
}

/** Within how many seconds workers that run add a consumer that is gone; undefined where only a start of them does. */
export const addsConsumersWithin = ({ noetlLine }: Pick<ContractInputs, "noetlLine">): number | undefined =>
  profileOf(noetlLine).addsConsumersWithinSeconds;

type Subjects = Pick<ContractInputs, "subject" | "publishes" | "noetlLine" | "consumer" | "consumers">;

/** Subjects that the deployed NoETL publishes on. */
export const publishedSubjects = (inputs: Subjects): readonly string[] =>
  inputs.publishes ?? profileOf(inputs.noetlLine).publishes(inputs.subject, consumerTerms(inputs));

/** Subjects that the stream has to store: those that are published, and the one by which workers look it up. */
export const storedBy = (inputs: Subjects): string[] => [...new Set([inputs.subject, ...publishedSubjects(inputs)])];

/** Subjects of the stream as the line of NoETL makes it, with those that it publishes on beside them. */
export function streamSubjects(inputs: Subjects): string[] {
  const subjects = profileOf(inputs.noetlLine).subjects(inputs.subject);
  return [...subjects, ...storedBy(inputs).filter((subject) => !subjectsCover(subjects, subject))];
}

/** The durable consumers of the workers; at least one. */
export function consumerTerms({
  consumers,
  noetlLine,
  consumer,
  subject,
}: Pick<ContractInputs, "consumers" | "noetlLine" | "consumer" | "subject">): readonly ConsumerTerms[] {
  return Array.isArray(consumers) && consumers.length > 0
    ? consumers
    : profileOf(noetlLine).consumers(consumer, subject);
}
