/**
 * The runtime contract between NoETL and NATS JetStream: names, defaults and environment variables.
 *
 * This is the one place where these facts stand; configuration, charts' values, components, the stream check and the
 * documentation take them from here. Source: the NATS JetStream integration page of NoETL (v2.8.9 line).
 */

/** Stream that holds command notifications, and how NoETL's server creates it. Durations in seconds. */
export const STREAM = {
  name: "NOETL_COMMANDS",
  subject: "noetl.commands",
  retention: "limits",
  storage: "memory",
  /** `max_age` in seconds. */
  maxAgeSeconds: 3600,
  replicas: 1,
  /** The server's own default. */
  duplicateWindowSeconds: 120,
} as const;

/** Durable pull consumer that the workers share, and how the worker creates it. Durations in seconds. */
export const CONSUMER = {
  name: "noetl_worker_pool",
  ackPolicy: "explicit",
  deliverPolicy: "new",
  replayPolicy: "instant",
  ackWaitSeconds: 30,
} as const;

/** Defaults of the worker's pull tuning (`NOETL_WORKER_NATS_*`). */
export const WORKER_TUNING = {
  fetchTimeoutSeconds: 30,
  fetchHeartbeatSeconds: 5,
  maxAckPending: 64,
  maxDeliver: 1000,
} as const;

/** Key-value buckets and subject prefixes of the gateway. TTLs in seconds. */
export const GATEWAY = {
  updatesSubjectPrefix: "playbooks.executions.",
  callbackSubjectPrefix: "noetl.callbacks",
  sessionBucket: "sessions",
  sessionTtlSeconds: 300,
  requestBucket: "requests",
  requestTtlSeconds: 1800,
} as const;

/** Default NATS user name of every NoETL component. */
export const NATS_USER = "noetl";

/** Where a default installation puts things: namespaces, service names, ports, host names inside the cluster. */
export const PLACES = {
  nats: { namespace: "nats", service: "nats", port: 4222, monitorPort: 8222, pod: "nats-0" },
  postgres: { namespace: "postgres", service: "postgres", port: 5432 },
  /** The way to Cloud SQL, in the place of a server in the cluster. */
  pgbouncer: {
    namespace: "pgbouncer",
    service: "pgbouncer",
    port: 5432,
    serviceAccount: "cloud-sql-proxy",
    proxyContainer: "cloud-sql-proxy",
  },
  noetl: {
    namespace: "noetl",
    service: "noetl",
    port: 8082,
    serverDeployment: "noetl-server",
    workerDeployment: "noetl-worker",
  },
  gateway: { namespace: "gateway", service: "gateway", port: 8090, deployment: "gateway" },
} as const;

/** NodePorts of a kind cluster, mapped to the host in `kind/cluster.yaml`. */
export const NODE_PORTS = {
  natsClient: 30422,
  natsMonitor: 30822,
  noetl: 30082,
  postgres: 30321,
  gateway: 30090,
} as const;

/** One environment variable of the specification's tables. */
export interface EnvVariable {
  readonly name: string;
  readonly required: boolean;
  /** What the deployed container gets where nothing is configured; `undefined` means the deployment must supply it. */
  readonly default: string | undefined;
  /** True where the value holds a credential and therefore comes from a Secret, never from a ConfigMap or a literal. */
  readonly secret: boolean;
}

const variable = (name: string, required: boolean, def: string | undefined, secret = false): EnvVariable => ({
  name,
  required,
  default: def,
  secret,
});

/** Variables that server and worker share. */
const NOETL_NATS_ENV = [
  variable("NATS_URL", true, undefined, true),
  variable("NATS_STREAM", false, STREAM.name),
  variable("NATS_SUBJECT", false, STREAM.subject),
  variable("NATS_CONSUMER", false, CONSUMER.name),
];

/** The specification's table "NoETL Server". */
export const SERVER_ENV: readonly EnvVariable[] = [
  ...NOETL_NATS_ENV,
  variable("NATS_USER", false, NATS_USER),
  variable("NATS_PASSWORD", false, undefined, true),
];

/** The specification's table "NoETL Worker". */
export const WORKER_ENV: readonly EnvVariable[] = [
  ...NOETL_NATS_ENV,
  variable("NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS", false, String(WORKER_TUNING.fetchTimeoutSeconds)),
  variable("NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS", false, String(WORKER_TUNING.fetchHeartbeatSeconds)),
  variable("NOETL_WORKER_NATS_MAX_ACK_PENDING", false, String(WORKER_TUNING.maxAckPending)),
  variable("NOETL_WORKER_NATS_MAX_DELIVER", false, String(WORKER_TUNING.maxDeliver)),
];

/** The specification's table "Gateway". */
export const GATEWAY_ENV: readonly EnvVariable[] = [
  variable("NATS_URL", true, undefined, true),
  variable("NATS_UPDATES_SUBJECT_PREFIX", false, GATEWAY.updatesSubjectPrefix),
  variable("NATS_CALLBACK_SUBJECT_PREFIX", false, GATEWAY.callbackSubjectPrefix),
  variable("NATS_SESSION_BUCKET", false, GATEWAY.sessionBucket),
  variable("NATS_SESSION_CACHE_TTL_SECS", false, String(GATEWAY.sessionTtlSeconds)),
  variable("NATS_REQUEST_BUCKET", false, GATEWAY.requestBucket),
  variable("NATS_REQUEST_TTL_SECS", false, String(GATEWAY.requestTtlSeconds)),
  variable("CORS_ALLOWED_ORIGINS", true, undefined),
];

/** Host name of a service inside the cluster. */
export function serviceHost(service: string, namespace: string): string {
  return `${service}.${namespace}.svc.cluster.local`;
}

/**
 * NATS URL with the credentials inside, as NoETL's server and worker (nats-py) and the gateway (async-nats) need it.
 *
 * None of them percent-decodes the user part, so it is written as it stands; {@link CREDENTIAL_PATTERN} keeps the
 * characters that would make the URL ambiguous out of it.
 */
export function natsUrl(args: { user: string; password: string; host: string; port: number }): string {
  return `nats://${args.user}:${args.password}@${args.host}:${args.port}`;
}

/**
 * User names and passwords that every client of the contract can use: URL-unreserved characters only, because the
 * clients take the URL's user part undecoded.
 */
export const CREDENTIAL_PATTERN = /^[A-Za-z0-9._~-]+$/;
