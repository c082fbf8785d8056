/**
 * Every setting of a stack, once: key, type, unit, default, what is allowed and a value that would do.
 * `Pulumi.yaml`, the README's table and the checks at preview all come from this table.
 */
import { CONSUMER, GATEWAY, NATS_USER, STREAM, WORKER_TUNING } from "../contract/noetl";
import * as is from "./validate";

/** Settings are shown and documented under these headings, in this order. */
export type Group = "Parts" | "Cluster" | "NATS" | "Stream contract" | "Worker" | "Postgres" | "NoETL" | "Gateway";

type Kind = "string" | "boolean" | "integer" | "list";

export interface Setting<T> {
  readonly kind: Kind;
  readonly group: Group;
  readonly description: string;
  /** Unit of the value, where it has one. */
  readonly unit?: string;
  /** Undefined: unset unless the stack sets it. */
  readonly default: T;
  /** True: encrypted in the stack's configuration, never shown. */
  readonly secret: boolean;
  /** What is allowed, in words that follow "allowed:". */
  readonly allowed: string;
  /** A value that would do. */
  readonly example: string;
  check?(this: void, value: NonNullable<T>): string | undefined;
}

type Spec<T> = {
  group: Group;
  description: string;
  unit?: string;
  secret?: boolean;
  allowed?: string;
  example?: string;
  check?: is.Check<T>;
};

function setting<T, D extends T | undefined>(kind: Kind, allowed: string, def: D, spec: Spec<T>): Setting<T | D> {
  const shown = Array.isArray(def) ? def.join(",") : def === undefined ? "" : String(def);
  return {
    kind,
    group: spec.group,
    description: spec.description,
    ...(spec.unit ? { unit: spec.unit } : {}),
    default: def,
    secret: spec.secret ?? false,
    allowed: spec.allowed ?? allowed,
    example: spec.example ?? shown,
    ...(spec.check ? { check: spec.check } : {}),
  };
}

const text = <D extends string | undefined>(def: D, spec: Spec<string>) =>
  setting<string, D>("string", "text", def, spec);
const flag = (def: boolean, spec: Spec<boolean>) => setting<boolean, boolean>("boolean", "true or false", def, spec);
const integer = <D extends number | undefined>(def: D, minimum: number, maximum: number, spec: Spec<number>) =>
  setting<number, D>("integer", `a whole number from ${minimum} to ${maximum}`, def, {
    check: is.range(minimum, maximum),
    ...spec,
  });
const list = (def: readonly string[], spec: Spec<readonly string[]>) =>
  setting<readonly string[], readonly string[]>("list", "values separated by comma or space", def, spec);

const size = <D extends string | undefined>(def: D, minimum: string, maximum: string, spec: Spec<string>) =>
  text(def, {
    unit: "Kubernetes quantity",
    allowed: `a Kubernetes quantity from ${minimum} to ${maximum}`,
    check: is.size(minimum, maximum),
    ...spec,
  });
const password = (group: Group, description: string) =>
  text(undefined, {
    group,
    description,
    secret: true,
    allowed: "letters, digits and . _ ~ -",
    example: "a-long.random_Word-42",
    check: is.credential,
  });
const nodePort = (group: Group, description: string, example: number) =>
  integer(undefined, 30000, 32767, { group, description, unit: "port", example: String(example) });
const image = <D extends string | undefined>(def: D, group: Group, description: string, example?: string) =>
  text(def, {
    group,
    description,
    allowed: "an image reference with a tag or a digest",
    check: is.image,
    ...(example ? { example } : {}),
  });
const storageClass = (group: Group, description: string) =>
  text(undefined, {
    group,
    description,
    allowed: "the name of a StorageClass",
    example: "standard-rwo",
    check: is.kubernetesName,
  });
const chart = (def: string, group: Group, description: string) =>
  text(def, { group, description, allowed: "a folder, or a chart's name where a repository is set" });
const chartRepository = <D extends string | undefined>(def: D, group: Group, of: string) =>
  text(def, {
    group,
    description: `Helm repository of ${of}; unset for a local chart.`,
    allowed: "an http:// or https:// URL",
    example: "https://charts.example.com",
    check: is.httpUrl,
  });
const chartVersion = <D extends string | undefined>(def: D, group: Group, of: string) =>
  text(def, { group, description: `Version of ${of}.`, allowed: "a chart version", example: "2.14.2" });
const hostName = (group: Group, description: string, example: string) =>
  text(undefined, {
    group,
    description,
    allowed: "a host name, without scheme and port",
    example,
    check: is.host,
  });

const NAME = "a JetStream name: no white space and none of . * > / \\";

export const SETTINGS = {
  deployNats: flag(true, { group: "Parts", description: "Install NATS JetStream; false uses the server at natsHost." }),
  deployPostgres: flag(true, {
    group: "Parts",
    description: "Install Postgres in the cluster; false uses the server at postgresHost.",
  }),
  deployNoetl: flag(true, { group: "Parts", description: "Install NoETL's server and workers, and its schema." }),
  deployGateway: flag(false, { group: "Parts", description: "Install the gateway for browsers; needs gatewayImage." }),

  kubeContext: text(undefined, {
    group: "Cluster",
    description: "Context of the kubeconfig; unset means its current one.",
    example: "kind-noetl",
  }),
  kubeconfig: text(undefined, {
    group: "Cluster",
    description: "Path of the kubeconfig; unset means $KUBECONFIG or ~/.kube/config.",
    example: "~/.kube/config",
  }),

  natsUser: text(NATS_USER, {
    group: "NATS",
    description: "User that server, worker and gateway log in with.",
    allowed: "letters, digits and . _ ~ -",
    check: is.credential,
  }),
  natsPassword: password("NATS", "Password of natsUser; generated where unset and NATS is installed."),
  natsJetstreamFileSize: size("5Gi", "1Gi", "16Ti", {
    group: "NATS",
    description: "Size of the volume of JetStream's file store. It can grow only where the StorageClass allows it.",
  }),
  natsJetstreamSize: size(undefined, "1Gi", "16Ti", {
    group: "NATS",
    description: "Another name of natsJetstreamFileSize, as the IAP playbook calls it.",
    example: "5Gi",
  }),
  natsJetstreamMemSize: size("1Gi", "64Mi", "64Gi", {
    group: "NATS",
    description: "Size of JetStream's memory store, which holds the command stream. The container's limit follows it.",
  }),
  natsMemoryLimit: size(undefined, "128Mi", "128Gi", {
    group: "NATS",
    description: "Memory limit of the NATS container; unset means one and a half times the memory store plus 256Mi.",
    example: "2Gi",
  }),
  natsReplicas: integer(1, 1, 5, {
    group: "NATS",
    description: "NATS servers; three or five form a cluster.",
    allowed: "1, 3 or 5",
    check: is.oneOf(1, 3, 5),
  }),
  natsStorageClass: storageClass("NATS", "StorageClass of the file store's volume; unset means the cluster's default."),
  natsNodePort: nodePort("NATS", "NodePort of the client port; unset opens none.", 30422),
  natsMonitorNodePort: nodePort("NATS", "NodePort of the monitoring port; unset opens none.", 30822),
  natsHost: hostName("NATS", "Host of an existing NATS server, where deployNats is false.", "nats.example.internal"),
  natsPort: integer(4222, 1, 65535, {
    group: "NATS",
    description: "Client port of the NATS server at natsHost.",
    unit: "port",
  }),
  natsChart: chart("nats", "NATS", "Chart that installs NATS."),
  natsChartRepository: chartRepository("https://nats-io.github.io/k8s/helm/charts/", "NATS", "natsChart"),
  natsChartVersion: chartVersion("2.14.2", "NATS", "natsChart"),

  natsStream: text(STREAM.name, {
    group: "Stream contract",
    description: "Stream of the command notifications (NATS_STREAM).",
    allowed: NAME,
    check: is.jetstreamName,
  }),
  natsSubject: text(STREAM.subject, {
    group: "Stream contract",
    description: "Subject that the server publishes notifications on (NATS_SUBJECT).",
    allowed: "a NATS subject without wildcards: tokens separated by single dots",
    check: is.literalSubject,
  }),
  natsConsumer: text(CONSUMER.name, {
    group: "Stream contract",
    description: "Durable consumer that the workers share (NATS_CONSUMER).",
    allowed: NAME,
    check: is.jetstreamName,
  }),
  contractMode: text("assert", {
    group: "Stream contract",
    description:
      "ensure creates stream, consumer and buckets before NoETL starts, and updates them; assert only checks what NoETL made.",
    allowed: "assert or ensure",
    check: is.oneOf("assert", "ensure"),
  }),
  contractTimeoutSeconds: integer(120, 1, 3600, {
    group: "Stream contract",
    description: "How long the check waits for the stream and its consumer after a deployment.",
    unit: "seconds",
  }),
  contractStrict: flag(false, {
    group: "Stream contract",
    description: "Fail the update also where the stream merely differs from what NoETL creates.",
  }),

  workerFetchTimeoutSeconds: integer(WORKER_TUNING.fetchTimeoutSeconds, 1, 3600, {
    group: "Worker",
    description: "How long one pull waits for notifications.",
    unit: "seconds",
  }),
  workerFetchHeartbeatSeconds: integer(WORKER_TUNING.fetchHeartbeatSeconds, 1, 1800, {
    group: "Worker",
    description: "Idle heartbeat of a pull; at most half of workerFetchTimeoutSeconds.",
    unit: "seconds",
  }),
  workerMaxAckPending: integer(WORKER_TUNING.maxAckPending, 1, 1_000_000, {
    group: "Worker",
    description: "Notifications that may be unacknowledged at once, over all workers.",
    unit: "messages",
  }),
  workerMaxDeliver: integer(WORKER_TUNING.maxDeliver, 1, 1_000_000, {
    group: "Worker",
    description: "How often a notification is delivered before it is given up.",
    unit: "deliveries",
  }),
  workerReplicas: integer(2, 0, 1000, { group: "Worker", description: "Worker pods.", unit: "pods" }),

  postgresImage: image("postgres:17.4", "Postgres", "Image of Postgres."),
  postgresStorageSize: size("10Gi", "1Gi", "64Ti", {
    group: "Postgres",
    description: "Size of the database's volume.",
  }),
  postgresStorageClass: storageClass("Postgres", "StorageClass of the volume; unset means the cluster's default."),
  postgresNodePort: nodePort("Postgres", "NodePort of the database; unset opens none.", 30321),
  postgresHost: hostName("Postgres", "Host of an existing Postgres, where deployPostgres is false.", "10.1.2.3"),
  postgresPort: integer(5432, 1, 65535, { group: "Postgres", description: "Port of that Postgres.", unit: "port" }),
  postgresUser: text("postgres", {
    group: "Postgres",
    description: "Administrator that creates NoETL's role, database and schema.",
    allowed: "lower-case letters, digits and _",
    check: is.sqlName,
  }),
  postgresPassword: password("Postgres", "Password of postgresUser; generated where unset and Postgres is installed."),
  noetlDatabase: text("noetl", {
    group: "Postgres",
    description: "Database of NoETL.",
    allowed: "lower-case letters, digits and _",
    check: is.sqlName,
  }),
  noetlDatabaseUser: text("noetl", {
    group: "Postgres",
    description: "Role that NoETL works with.",
    allowed: "lower-case letters, digits and _",
    check: is.sqlName,
  }),
  noetlPassword: password("Postgres", "Password of noetlDatabaseUser; generated where unset."),

  noetlImage: image("ghcr.io/noetl/noetl:v2.8.9", "NoETL", "Image of server and worker."),
  noetlServerReplicas: integer(1, 1, 100, { group: "NoETL", description: "Server pods.", unit: "pods" }),
  noetlLogLevel: text("INFO", {
    group: "NoETL",
    description: "LOG_LEVEL of server and worker.",
    allowed: "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    check: is.oneOf("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
  }),
  noetlNodePort: nodePort("NoETL", "NodePort of the server's API; unset opens none.", 30082),
  noetlChart: chart("./charts/noetl", "NoETL", "Chart that installs server and worker."),
  noetlChartRepository: chartRepository(undefined, "NoETL", "noetlChart"),
  noetlChartVersion: chartVersion(undefined, "NoETL", "noetlChart"),

  gatewayImage: image(undefined, "Gateway", "Image of the gateway.", "registry.example.com/noetl/gateway:v2.10.0"),
  gatewayReplicas: integer(1, 1, 100, { group: "Gateway", description: "Gateway pods.", unit: "pods" }),
  gatewayNodePort: nodePort("Gateway", "NodePort of the gateway; unset opens none.", 30090),
  gatewayPublicUrl: text(undefined, {
    group: "Gateway",
    description: "URL that browsers reach the gateway at (GATEWAY_PUBLIC_URL).",
    allowed: "an http:// or https:// URL",
    example: "https://gateway.example.org",
    check: is.httpUrl,
  }),
  gatewayAuthBypass: flag(false, { group: "Gateway", description: "Switch authentication off, for tests only." }),
  corsAllowedOrigins: list(["http://localhost:3000", "http://localhost:8080", "http://localhost:8090"], {
    group: "Gateway",
    description: "Origins of the pages that may call the gateway (CORS_ALLOWED_ORIGINS).",
    allowed: "origins (scheme, host, optional port), separated by comma or space",
    example: "https://app.example.org,http://localhost:3001",
    check: is.origins,
  }),
  natsUpdatesSubjectPrefix: text(GATEWAY.updatesSubjectPrefix, {
    group: "Gateway",
    description: "Prefix of the subjects with execution updates (NATS_UPDATES_SUBJECT_PREFIX).",
    allowed: "a NATS subject without wildcards; it may end with a dot",
    check: is.subjectPrefix,
  }),
  natsCallbackSubjectPrefix: text(GATEWAY.callbackSubjectPrefix, {
    group: "Gateway",
    description: "Prefix of the callback subjects (NATS_CALLBACK_SUBJECT_PREFIX).",
    allowed: "a NATS subject without wildcards",
    check: is.subjectPrefix,
  }),
  natsSessionBucket: text(GATEWAY.sessionBucket, {
    group: "Gateway",
    description: "Key-value bucket of sessions (NATS_SESSION_BUCKET).",
    allowed: "letters, digits, _ and -",
    check: is.bucketName,
  }),
  natsSessionCacheTtlSeconds: integer(GATEWAY.sessionTtlSeconds, 1, 31_536_000, {
    group: "Gateway",
    description: "Life of a session in the bucket (NATS_SESSION_CACHE_TTL_SECS).",
    unit: "seconds",
  }),
  natsRequestBucket: text(GATEWAY.requestBucket, {
    group: "Gateway",
    description: "Key-value bucket of pending requests (NATS_REQUEST_BUCKET).",
    allowed: "letters, digits, _ and -",
    check: is.bucketName,
  }),
  natsRequestTtlSeconds: integer(GATEWAY.requestTtlSeconds, 1, 31_536_000, {
    group: "Gateway",
    description: "Life of a pending request in the bucket (NATS_REQUEST_TTL_SECS).",
    unit: "seconds",
  }),
  gatewayChart: chart("./charts/gateway", "Gateway", "Chart that installs the gateway."),
  gatewayChartRepository: chartRepository(undefined, "Gateway", "gatewayChart"),
  gatewayChartVersion: chartVersion(undefined, "Gateway", "gatewayChart"),
} satisfies Record<string, Setting<unknown>>;

export type SettingKey = keyof typeof SETTINGS;

/** The parsed configuration of a stack. */
export type Settings = { readonly [K in SettingKey]: (typeof SETTINGS)[K]["default"] };
