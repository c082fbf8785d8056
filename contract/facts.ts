/**
 * The runtime contract between NoETL and NATS JetStream: names and defaults. Environment variables are in `env.ts`.
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
export const LOCATIONS = {
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
  /** Jobs of playbooks, where they have a namespace of their own. */
  jobs: { namespace: "noetl-jobs" },
  gateway: { namespace: "gateway", service: "gateway", port: 8090, deployment: "gateway" },
  /** The namespace is that of NATS where the stack installs NATS. */
  guard: { namespace: "contract-guard", deployment: "contract-guard", program: "guard.js.gz" },
} as const;

/** NodePorts of a kind cluster, mapped to the host in `kind/cluster.yaml`. */
export const NODE_PORTS = {
  natsClient: 30422,
  natsMonitor: 30822,
  noetl: 30082,
  postgres: 30321,
  gateway: 30090,
} as const;

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
export function natsUrl(args: NatsUrlParts): string {
  return `${args.tls ? "tls" : "nats"}://${args.user}:${args.password}@${args.host}:${args.port}`;
}

interface NatsUrlParts {
  readonly user: string;
  readonly password: string;
  readonly host: string;
  readonly port: number;
  /** Whether the server demands TLS. Default: false. */
  readonly tls?: boolean;
}

/**
 * User names and passwords that every client of the contract can use: URL-unreserved characters only, because the
 * clients take the URL's user part undecoded.
 */
export const CREDENTIAL_PATTERN = /^[A-Za-z0-9._~-]+$/;
