/**
 * Every setting of a stack, once: key, type, unit, default, what is allowed and a value that would do.
 * `Pulumi.yaml`, docs/configuration.md and the checks at preview all come from this table.
 */
import { NOETL_LINES } from "../contract/lines";
import type { DeclaredBucket, DeclaredConsumer, DeclaredObjectStore, DeclaredStream } from "../contract/declared/types";
import { CONSUMER, GATEWAY, LOCATIONS, NATS_USER, NODE_PORTS, STREAM, WORKER_TUNING } from "../contract/facts";
import { maintenanceExclusions, maintenanceWindow } from "./gke/maintenance";
import { CHART_INFLIGHT, CHART_POOLS, CLOUD_SQL_POOLS } from "./resources";
import { DEFAULT_STOP_SECONDS, DEFAULTS, HELM_TIMEOUT_SECONDS } from "../contract/defaults";
import { PLAYBOOK_JOBS } from "../contract/network";
import { SHORTEST_HEARTBEAT_SECONDS } from "../contract/tuning";
import { networkClients } from "./network-clients";
import * as is from "./validate";

/** Settings are shown and documented under these headings, in this order. */
export type Group =
  | "Parts"
  | "Cluster"
  | "NATS"
  | "Stream contract"
  | "Worker"
  | "Postgres"
  | "NoETL"
  | "Gateway"
  | "GKE"
  | "Cloud SQL"
  | "Exposure on GKE";

type Kind = "string" | "boolean" | "integer" | "number" | "list" | "variables" | "json";

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
  /** A value that would do in the place of one that `check` refuses, where it can be made of that one. */
  suggest?(this: void, value: NonNullable<T>): string | undefined;
}

type Spec<T> = {
  group: Group;
  description: string;
  unit?: string;
  secret?: boolean;
  allowed?: string;
  example?: string;
  check?: is.Check<T>;
  suggest?: (value: T) => string | undefined;
};

/** What settings of one kind have in common. */
interface Form {
  kind: Kind;
  allowed: string;
}

/** The least and the largest value. */
type Limits<T> = readonly [least: T, largest: T];

function setting<T, D extends T | undefined>({ kind, allowed }: Form, def: D, spec: Spec<T>): Setting<T | D> {
  const shown = Array.isArray(def)
    ? def.join(",")
    : def === undefined
      ? ""
      : typeof def === "object"
        ? JSON.stringify(def)
        : String(def);
  return {
    kind,
    group: spec.group,
    description: spec.description,
    unit: spec.unit || undefined,
    default: def,
    secret: spec.secret ?? false,
    allowed: spec.allowed ?? allowed,
    example: spec.example ?? shown,
    check: spec.check,
    suggest: spec.suggest,
  };
}

const text = <D extends string | undefined>(def: D, spec: Spec<string>) =>
  setting<string, D>({ kind: "string", allowed: "text" }, def, spec);
const flag = <D extends boolean | undefined = boolean>(def: D, spec: Spec<boolean>) =>
  setting<boolean, D>({ kind: "boolean", allowed: "true or false" }, def, spec);
const integer = <D extends number | undefined>(def: D, [least, largest]: Limits<number>, spec: Spec<number>) =>
  setting<number, D>({ kind: "integer", allowed: `a whole number from ${least} to ${largest}` }, def, {
    check: is.range(least, largest),
    ...spec,
  });
const seconds = (def: number, [least, largest]: Limits<number>, spec: Omit<Spec<number>, "unit">) =>
  setting<number, number>({ kind: "number", allowed: `a number from ${least} to ${largest}, decimals too` }, def, {
    unit: "seconds",
    check: is.range(least, largest),
    ...spec,
  });
const variables = (group: Group, of: string, example: string) =>
  setting<Readonly<Record<string, string>>, Readonly<Record<string, string>>>(
    {
      kind: "variables",
      allowed: "a JSON object of texts, numbers, true and false by variable",
    },
    {},
    {
      group,
      description: `Further environment variables of ${of}, over those of the chart; none that a setting decides or that holds a credential.`,
      example,
      check: is.variables,
    },
  );
const list = (def: readonly string[], spec: Spec<readonly string[]>) =>
  setting<readonly string[], readonly string[]>(
    { kind: "list", allowed: "values separated by comma or space" },
    def,
    spec,
  );

const declarations = <T>(what: string, example: object) =>
  setting<readonly T[], readonly T[]>({ kind: "json", allowed: "a list of declarations (docs/declared.md)" }, [], {
    group: "Stream contract",
    description: `${what} that the stack declares beyond NoETL's own; contractMode ensure makes and updates them, assert checks them.`,
    example: JSON.stringify([example]),
  });

const size = <D extends string | undefined>(def: D, [least, largest]: Limits<string>, spec: Spec<string>) =>
  text(def, {
    unit: "Kubernetes quantity",
    allowed: `a Kubernetes quantity from ${least} to ${largest}`,
    check: is.size(least, largest),
    ...spec,
  });
const cpu = (group: Group, description: string, example: string) =>
  text(undefined, {
    group,
    description,
    unit: "Kubernetes quantity",
    allowed: "CPU from 10m to 64",
    example,
    check: is.cpu("10m", "64"),
  });
const memory = (group: Group, description: string, example: string) =>
  size(undefined, ["32Mi", "512Gi"], { group, description, example });
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
  integer(undefined, [30000, 32767], { group, description, unit: "port", example: String(example) });
const image = <D extends string | undefined>(def: D, spec: Spec<string>) =>
  text(def, { allowed: "an image reference with a tag or a digest", check: is.image, ...spec });
const storageClass = (group: Group, description: string) =>
  text(undefined, {
    group,
    description,
    allowed: "the name of a StorageClass",
    example: "standard-rwo",
    check: is.kubernetesName,
  });
const chart = (def: string, group: Group, description: string) =>
  text(def, {
    group,
    description,
    allowed: "a folder, or a chart's name where a repository is set",
    check: is.loginInUrl,
  });
const chartRepository = <D extends string | undefined>(def: D, group: Group, of: string) =>
  text(def, {
    group,
    description: `Helm repository of ${of}; unset for a local chart.`,
    allowed: "an http:// or https:// URL",
    example: "https://charts.example.com",
    check: is.httpUrl,
  });
const chartVersion = <D extends string | undefined>(def: D, group: Group, of: string) =>
  text(def, {
    group,
    description: `Version of ${of}.`,
    allowed: "one chart version, MAJOR.MINOR.PATCH",
    example: "2.14.2",
    check: is.chartVersion,
  });
const hostName = (group: Group, description: string, example: string) =>
  text(undefined, {
    group,
    description,
    allowed: "a host name, without scheme and port",
    example,
    check: is.host,
  });

const range = (def: string, [shortest, longest]: Limits<number>, description: string) =>
  text(def, {
    group: "GKE",
    description,
    unit: "IPv4 range",
    allowed: `a range from /${shortest} to /${longest}`,
    check: is.cidr(shortest, longest),
  });
const pool = (group: Group, description: string, unit = "connections") =>
  integer(undefined, [1, 10_000], { group, description, unit, example: "6" });
const bouncer = (def: number, minimum: number, description: string) =>
  integer(def, [minimum, 10_000], { group: "Cloud SQL", description, unit: "connections" });
const publicHost = (description: string, example: string) =>
  text(undefined, {
    group: "Exposure on GKE",
    description,
    allowed: "a host name of the public DNS",
    example,
    check: is.publicHost,
  });

/** Names of risks that a stack may take knowingly (`config/risks.ts`). */
const RISKS = [
  "public-api",
  "no-login",
  "plain-http",
  "http-origins",
  "plain-nats",
  "weak-passwords",
  "logged-passwords",
  "node-ports",
  "http-repositories",
  "open-network",
  "public-control-plane",
] as const;
export type Risk = (typeof RISKS)[number];

const NAME = "a JetStream name: no white space and none of . * > / \\";

export const SETTINGS = {
  deployNats: flag(true, { group: "Parts", description: "Install NATS JetStream; false uses the server at natsHost." }),
  deployPostgres: flag(true, {
    group: "Parts",
    description: "Install Postgres in the cluster, where NoETL is installed; false uses the server at postgresHost.",
  }),
  deployNoetl: flag(true, { group: "Parts", description: "Install NoETL's server and workers, and its schema." }),
  deployGateway: flag(false, { group: "Parts", description: "Install the gateway for browsers." }),

  platform: text("kubernetes", {
    group: "Cluster",
    description: "Where everything runs: any cluster of the kubeconfig, or Google Kubernetes Engine (docs/gke.md).",
    allowed: "kubernetes or gke",
    check: is.oneOf("kubernetes", "gke"),
  }),
  kubeContext: text(undefined, {
    group: "Cluster",
    description: "Context of the kubeconfig; unset means its current one.",
    example: "kind-noetl",
  }),
  releaseTimeoutSeconds: integer(undefined, [30, 7200], {
    group: "Cluster",
    description:
      "How long an update waits for the pods of each part (Helm's wait, and the engine's) before it fails; unset means " +
      `${HELM_TIMEOUT_SECONDS.gke} on GKE, where a pod may first wait for a node, and ${HELM_TIMEOUT_SECONDS.kubernetes} elsewhere. ` +
      "More where images are pulled over a slow line.",
    unit: "seconds",
    example: "900",
  }),
  acceptedRisks: list([], {
    group: "Cluster",
    description:
      "Risks that are known and meant; on GKE each is refused otherwise, and said at every update where it is taken (docs/security.md).",
    allowed: `any of ${RISKS.join(", ")}, separated by comma or space`,
    example: "weak-passwords",
    check: (values) => {
      const wrong = values.find((value) => !RISKS.some((risk) => risk === value));
      return wrong === undefined ? undefined : `not a list of risks: "${wrong}" is not one`;
    },
  }),
  networkPolicies: flag(undefined, {
    group: "Cluster",
    description:
      "Close the stack's namespaces but for what its parts need of one another (docs/security.md). Unset means true on GKE and false " +
      "elsewhere; the cluster's network has to enforce NetworkPolicies.",
    example: "true",
  }),
  networkClients: list([], {
    group: "Cluster",
    description:
      "Pods of other namespaces that networkPolicies lets in, such as NATS' other applications, or an ingress controller: nats, api (NoETL's), " +
      "gateway or postgres of this stack.",
    allowed: "NAMESPACE:PART with a PART of nats, api, gateway and postgres, separated by comma or space",
    example: "shop:nats,ingress-nginx:api",
    check: networkClients,
  }),
  playbookMetadata: flag(false, {
    group: "Cluster",
    description:
      "Let networkPolicies leave Google's metadata server open to server, workers and playbooks' jobs, for the credentials of their " +
      "service accounts. Where nodes do not hide theirs (Workload Identity), these are what every playbook gets.",
  }),
  playbookJobs: text("noetl", {
    group: "Cluster",
    description:
      "Where playbooks may start Kubernetes jobs: noetl, NoETL's own namespace, whose Secrets a job can mount; own, the namespace " +
      `${LOCATIONS.jobs.namespace}, which a playbook then has to name; off, nowhere: workers get no right and no token (docs/security.md).`,
    allowed: PLAYBOOK_JOBS.join(", ").replace(/, (?=[^,]*$)/, " or "),
    example: "own",
    check: is.oneOf<string>(...PLAYBOOK_JOBS),
  }),
  kubeconfig: text(undefined, {
    group: "Cluster",
    description: "Path of the kubeconfig; unset means $KUBECONFIG or ~/.kube/config.",
    allowed: "the path of a file",
    example: "~/.kube/config",
    check: is.kubeconfigPath,
  }),

  natsUsers: text("one", {
    group: "NATS",
    description:
      "Who logs in to the NATS of the stack: one user for all, or each of server, workers and gateway a user of its own that may do what " +
      "it does and no more, with natsUser for the commands of this project (docs/security.md). A change restarts NoETL's " +
      "pods and not NATS.",
    allowed: "one or each",
    example: "each",
    check: is.oneOf("one", "each"),
  }),
  natsUser: text(NATS_USER, {
    group: "NATS",
    description: "User that server, worker and gateway log in with where natsUsers is one; it may do everything.",
    allowed: "letters, digits and . _ ~ -",
    check: is.credential,
  }),
  natsPassword: password(
    "NATS",
    "Password of natsUser; generated where unset and NATS is installed. A change restarts NoETL's pods and not NATS: docs/passwords.md.",
  ),
  natsPasswordRevision: integer(1, [1, 1_000_000], {
    group: "NATS",
    description:
      "Another number has another password generated where natsPassword is unset, and others for the users of natsUsers each: " +
      "docs/passwords.md.",
    example: "2",
  }),
  natsBox: flag(false, {
    group: "NATS",
    description:
      "A pod nats-box beside NATS with the command nats, logged in as natsUser, or with natsUsers each as a user operator of its own. Whoever may " +
      "open a shell in it works with that login. Without it, and at a NATS elsewhere: npm run nats (docs/connecting.md).",
    example: "true",
  }),
  natsJetstreamFileSize: size(DEFAULTS.natsJetstreamFileSize, ["1Gi", "16Ti"], {
    group: "NATS",
    description: "Size of the volume of JetStream's file store. To let one grow that exists: docs/troubleshooting.md.",
  }),
  natsJetstreamSize: size(undefined, ["1Gi", "16Ti"], {
    group: "NATS",
    description: "Another name of natsJetstreamFileSize, as the IAP playbook calls it.",
    example: "5Gi",
  }),
  natsJetstreamMemSize: size(DEFAULTS.natsJetstreamMemSize, ["64Mi", "64Gi"], {
    group: "NATS",
    description:
      "Size of JetStream's memory store, which holds the command stream. The container's limit follows it. A fraction of a Mi is " +
      "left out: NATS takes whole numbers. A change restarts NATS, which loses what that stream holds.",
  }),
  natsMemoryLimit: size(undefined, ["128Mi", "128Gi"], {
    group: "NATS",
    description: "Memory limit of the NATS container; unset means one and a half times the memory store plus 256Mi.",
    example: "2Gi",
  }),
  natsReplicas: integer(undefined, [1, 5], {
    group: "NATS",
    description:
      "NATS servers; unset means 3 on GKE and 1 elsewhere. Three or five form a cluster that outlives the loss of one; it does not " +
      "take over what a lone server holds (docs/availability.md).",
    allowed: "1, 3 or 5",
    example: "3",
    check: is.oneOf(1, 3, 5),
  }),
  natsGuardRolls: flag(true, {
    group: "NATS",
    description:
      "Refuse an update that restarts NATS servers while a stream lacks a leader or a copy in step, or that drops what a lone server " +
      "holds because it becomes a cluster (docs/availability.md), or what one in memory holds because TLS among its servers comes or goes " +
      "(docs/tls.md); false warns.",
  }),
  natsPodSecurity: text("baseline", {
    group: "NATS",
    description:
      "Pod Security level that the namespace of NATS enforces. baseline has a step before each server, as root, that hands the volume " +
      "over to it; restricted has none, and leaves that to Kubernetes (docs/security.md). No container of NATS itself runs as root. A " +
      "change restarts NATS.",
    allowed: "baseline or restricted",
    check: is.oneOf("baseline", "restricted"),
  }),
  natsMaxConnections: integer(DEFAULTS.natsMaxConnections, [100, 65_536], {
    group: "NATS",
    description:
      "Connections of clients that one server of NATS takes at a time; NoETL's server and each worker have up to five, with their probes. A " +
      "change restarts NATS.",
    unit: "connections",
  }),
  natsTls: text("off", {
    group: "NATS",
    description:
      "TLS between NATS and all its clients (docs/tls.md), with a certificate that the program makes and renews (generated), that somebody " +
      "keeps in a Secret (provided), or that cert-manager issues. Of a server at natsHost: provided. A change restarts NATS and NoETL.",
    allowed: "off, generated, provided or cert-manager",
    example: "generated",
    check: is.oneOf("off", "generated", "provided", "cert-manager"),
  }),
  natsTlsSecret: text(undefined, {
    group: "NATS",
    description: "Secret in the namespace nats with tls.crt, tls.key and ca.crt, of natsTls provided.",
    allowed: "the name of a Secret",
    example: "nats-server-tls",
    check: is.kubernetesName,
  }),
  natsTlsIssuer: text(undefined, {
    group: "NATS",
    description: "Issuer of natsTls cert-manager.",
    allowed: "Issuer/NAME or ClusterIssuer/NAME",
    example: "ClusterIssuer/internal-ca",
    check: is.issuer,
  }),
  natsTlsCa: text(undefined, {
    group: "NATS",
    description:
      "File with the authorities that sign for the server at natsHost, of natsTls provided; unset means those that images and Node know.",
    allowed: "the path of a file with certificates in PEM",
    example: "./nats-ca.crt",
    check: is.authoritiesFile,
  }),
  natsStorageClass: storageClass("NATS", "StorageClass of the file store's volume; unset means the cluster's default."),
  natsNodePort: nodePort("NATS", "NodePort of the client port; unset opens none.", NODE_PORTS.natsClient),
  natsMonitorNodePort: nodePort("NATS", "NodePort of the monitoring port; unset opens none.", NODE_PORTS.natsMonitor),
  natsHost: hostName("NATS", "Host of an existing NATS server, where deployNats is false.", "nats.example.internal"),
  natsPort: integer(4222, [1, 65535], {
    group: "NATS",
    description: "Client port of the NATS server at natsHost.",
    unit: "port",
  }),
  natsChart: chart(DEFAULTS.natsChart, "NATS", "Chart that installs NATS."),
  natsChartRepository: chartRepository(DEFAULTS.natsChartRepository, "NATS", "natsChart"),
  natsChartVersion: chartVersion(DEFAULTS.natsChartVersion, "NATS", "natsChart"),

  natsStream: text(STREAM.name, {
    group: "Stream contract",
    description: "Stream of the command notifications (NATS_STREAM).",
    allowed: `${NAME}; not KV_... or OBJ_..., which are buckets`,
    check: is.streamName,
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
  noetlLine: text("auto", {
    group: "Stream contract",
    description:
      "Line of NoETL, whose stream and consumers are what the contract asks for (docs/contract.md); auto takes it from noetlImage.",
    allowed: "auto, 2.8, 2.10, 4.7 or rust",
    check: is.oneOf("auto", ...NOETL_LINES),
  }),
  natsStreams: declarations<DeclaredStream>("Streams", { name: "ORDERS", subjects: ["orders.>"] }),
  natsConsumers: declarations<DeclaredConsumer>("Durable consumers", { stream: "ORDERS", name: "billing" }),
  natsBuckets: declarations<DeclaredBucket>("Key-value buckets", { name: "carts", ttlSeconds: 3600 }),
  natsObjectStores: declarations<DeclaredObjectStore>("Object stores", { name: "invoices", maxBytes: "1Gi" }),
  contractMode: text(undefined, {
    group: "Stream contract",
    description:
      "ensure creates stream, consumer and buckets before NoETL starts, and updates them; assert only checks what NoETL made. " +
      "Unset means ensure on GKE, where NATS is installed, and assert elsewhere.",
    allowed: "assert or ensure",
    example: "ensure",
    check: is.oneOf("assert", "ensure"),
  }),
  contractGuard: text("heal", {
    group: "Stream contract",
    description:
      "A pod beside NATS that looks at the contract all the time (docs/guard.md): watch reports, heal also creates the stream, " +
      "consumers and buckets that are missing as NoETL would; off deploys none. There is none without NoETL.",
    allowed: "off, watch or heal",
    check: is.oneOf("off", "watch", "heal"),
  }),
  contractGuardImage: image(DEFAULTS.contractGuardImage, {
    group: "Stream contract",
    description: "Image of the guard: Node 20 or newer.",
  }),
  natsStreamStorage: text(undefined, {
    group: "Stream contract",
    description:
      "Where the stream keeps its messages, with contractMode ensure. Unset means as the line of NoETL makes it: memory (file for " +
      "rust). With file, what waits outlives a restart of a lone server, and every command costs a write to disk. A stream keeps " +
      "its storage for life: docs/availability.md.",
    allowed: "memory or file",
    example: "memory",
    check: is.oneOf("memory", "file"),
  }),
  monitoring: text("off", {
    group: "Stream contract",
    description:
      "How Prometheus finds the guard's metrics (docs/guard.md): annotations of its pod, or operator: a PodMonitor and a " +
      "PrometheusRule, whose kinds the cluster must know; off: not at all.",
    allowed: "off, annotations or operator",
    check: is.oneOf("off", "annotations", "operator"),
  }),
  contractTimeoutSeconds: integer(120, [1, 3600], {
    group: "Stream contract",
    description: "How long the check waits for the stream and its consumer after a deployment.",
    unit: "seconds",
  }),
  contractStrict: flag(false, {
    group: "Stream contract",
    description: "Fail the update also where the stream merely differs from what NoETL creates.",
  }),

  workerFetchTimeoutSeconds: seconds(WORKER_TUNING.fetchTimeoutSeconds, [0.5, 3600], {
    group: "Worker",
    description: "How long one pull waits for notifications.",
  }),
  workerFetchHeartbeatSeconds: seconds(WORKER_TUNING.fetchHeartbeatSeconds, [SHORTEST_HEARTBEAT_SECONDS, 1800], {
    group: "Worker",
    description: "Idle heartbeat of a pull; less than half of workerFetchTimeoutSeconds, else NATS refuses every pull.",
  }),
  workerMaxAckPending: integer(WORKER_TUNING.maxAckPending, [1, 1_000_000], {
    group: "Worker",
    description: "Notifications that may be unacknowledged at once, over all workers.",
    unit: "messages",
  }),
  workerMaxDeliver: integer(WORKER_TUNING.maxDeliver, [1, 1_000_000], {
    group: "Worker",
    description:
      "How often a notification is delivered before it is given up. NoETL before 2.11 creates the consumer with 1000 whatever " +
      "is set; contractMode ensure creates it as set.",
    unit: "deliveries",
  }),
  workerReplicas: integer(DEFAULTS.workerReplicas, [0, 1000], {
    group: "Worker",
    description:
      "Worker pods. With 0 nobody adds the consumer: a first deployment needs contractMode ensure then, or fails.",
    unit: "pods",
  }),

  postgresImage: image(DEFAULTS.postgresImage, { group: "Postgres", description: "Image of Postgres." }),
  postgresStorageSize: size(DEFAULTS.postgresStorageSize, ["1Gi", "64Ti"], {
    group: "Postgres",
    description: "Size of the database's volume when it is made; one that exists keeps its own.",
  }),
  postgresStorageClass: storageClass("Postgres", "StorageClass of the volume; unset means the cluster's default."),
  postgresNodePort: nodePort("Postgres", "NodePort of the database; unset opens none.", NODE_PORTS.postgres),
  postgresHost: hostName("Postgres", "Host of an existing Postgres, where deployPostgres is false.", "10.1.2.3"),
  postgresPort: integer(5432, [1, 65535], { group: "Postgres", description: "Port of that Postgres.", unit: "port" }),
  postgresUser: text(DEFAULTS.postgresUser, {
    group: "Postgres",
    description: "Administrator that creates NoETL's role, database and schema.",
    allowed: "lower-case letters, digits and _; not pg_…, public or none",
    check: is.sqlRole,
  }),
  postgresPassword: password(
    "Postgres",
    "Password of postgresUser; generated where unset and Postgres is installed. A change restarts nothing: docs/passwords.md.",
  ),
  postgresPasswordRevision: integer(1, [1, 1_000_000], {
    group: "Postgres",
    description: "Another number has another password generated where postgresPassword is unset: docs/passwords.md.",
    example: "2",
  }),
  noetlDatabase: text(DEFAULTS.noetlDatabase, {
    group: "Postgres",
    description: "Database of NoETL.",
    allowed: "lower-case letters, digits and _; not template0 or template1",
    check: is.sqlDatabase,
  }),
  noetlDatabaseUser: text(DEFAULTS.noetlDatabaseUser, {
    group: "Postgres",
    description: "Role that NoETL works with.",
    allowed: "lower-case letters, digits and _; not pg_…, public or none",
    check: is.sqlRole,
  }),
  noetlPassword: password(
    "Postgres",
    "Password of noetlDatabaseUser; generated where unset. A change restarts NoETL's pods: docs/passwords.md.",
  ),
  noetlPasswordRevision: integer(1, [1, 1_000_000], {
    group: "Postgres",
    description: "Another number has another password generated where noetlPassword is unset: docs/passwords.md.",
    example: "2",
  }),

  noetlImage: image(DEFAULTS.noetlImage, {
    group: "NoETL",
    description: "Image of server and worker; which releases work is in docs/lines.md.",
  }),
  noetlServerReplicas: integer(DEFAULTS.noetlServerReplicas, [1, 100], {
    group: "NoETL",
    description: "Server pods.",
    unit: "pods",
  }),
  noetlLogLevel: text(DEFAULTS.noetlLogLevel, {
    group: "NoETL",
    description: "LOG_LEVEL of server and worker.",
    allowed: "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    check: is.oneOf("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
  }),
  readOnlyRootFilesystem: flag(true, {
    group: "NoETL",
    description:
      "Let server, workers, gateway and the database's Jobs write to nothing but their volumes (docs/security.md); false is for an image " +
      "that writes elsewhere.",
  }),
  noetlTmpSize: size(DEFAULTS.noetlTmpSize, ["1Mi", "64Ti"], {
    group: "NoETL",
    description:
      "How much a pod of server or workers may keep in /tmp; one that writes more is evicted (docs/security.md).",
  }),
  noetlNodePort: nodePort("NoETL", "NodePort of the server's API; unset opens none.", NODE_PORTS.noetl),
  noetlChart: chart("./charts/noetl", "NoETL", "Chart that installs server and worker."),
  noetlChartRepository: chartRepository(undefined, "NoETL", "noetlChart"),
  noetlChartVersion: chartVersion(undefined, "NoETL", "noetlChart"),

  gatewayImage: image(DEFAULTS.gatewayImage, {
    group: "Gateway",
    description: "Image of the gateway; which releases work is in docs/lines.md.",
  }),
  gatewayReplicas: integer(DEFAULTS.gatewayReplicas, [1, 100], {
    group: "Gateway",
    description: "Gateway pods.",
    unit: "pods",
  }),
  gatewayNodePort: nodePort("Gateway", "NodePort of the gateway; unset opens none.", NODE_PORTS.gateway),
  gatewayPublicUrl: text(undefined, {
    group: "Gateway",
    description: "URL that browsers reach the gateway at (GATEWAY_PUBLIC_URL).",
    allowed: "an http:// or https:// URL",
    example: "https://gateway.example.org",
    check: is.httpUrl,
  }),
  gatewayMaskLogs: flag(true, {
    group: "Gateway",
    description:
      "Keep credentials out of the gateway's log, by a script that needs a shell in its image (docs/security.md); false starts the " +
      "image as it is.",
  }),
  gatewayAuthBypass: flag(false, { group: "Gateway", description: "Switch authentication off, for tests only." }),
  corsAllowedOrigins: list(["http://localhost:3000", "http://localhost:8080", "http://localhost:8090"], {
    group: "Gateway",
    description: "Origins of the pages that may call the gateway (CORS_ALLOWED_ORIGINS).",
    allowed:
      "origins as a browser sends them (http or https, host, a port that is not the scheme's own), separated by comma or space",
    example: "https://app.example.org,https://admin.example.org",
    check: is.origins,
    suggest: is.suggestedOrigins,
  }),
  natsUpdatesSubjectPrefix: text(GATEWAY.updatesSubjectPrefix, {
    group: "Gateway",
    description: "Prefix of the subjects with execution updates (NATS_UPDATES_SUBJECT_PREFIX).",
    allowed: "a NATS subject without wildcards and a dot after it; not one that takes natsSubject in",
    check: is.subjectPrefix,
    suggest: (value) => (is.subjectPrefix(`${value}.`) === undefined ? `${value}.` : undefined),
  }),
  natsCallbackSubjectPrefix: text(GATEWAY.callbackSubjectPrefix, {
    group: "Gateway",
    description: "Prefix of the callback subjects (NATS_CALLBACK_SUBJECT_PREFIX).",
    allowed: "a NATS subject without wildcards, to which the gateway adds a dot; not one that takes natsSubject in",
    check: is.literalSubject,
  }),
  natsSessionBucket: text(GATEWAY.sessionBucket, {
    group: "Gateway",
    description: "Key-value bucket of sessions (NATS_SESSION_BUCKET).",
    allowed: "letters, digits, _ and -",
    check: is.bucketName,
  }),
  natsSessionCacheTtlSeconds: integer(GATEWAY.sessionTtlSeconds, [1, 31_536_000], {
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
  natsRequestTtlSeconds: integer(GATEWAY.requestTtlSeconds, [1, 31_536_000], {
    group: "Gateway",
    description: "Life of a pending request in the bucket (NATS_REQUEST_TTL_SECS).",
    unit: "seconds",
  }),
  gatewayChart: chart("./charts/gateway", "Gateway", "Chart that installs the gateway."),
  gatewayChartRepository: chartRepository(undefined, "Gateway", "gatewayChart"),
  gatewayChartVersion: chartVersion(undefined, "Gateway", "gatewayChart"),

  projectId: text(undefined, {
    group: "GKE",
    description: "Project that everything belongs to. Needed for platform gke.",
    allowed: "a project id: 6 to 30 lower-case letters, digits and -",
    example: "acme-noetl",
    check: is.projectId,
  }),
  region: text("us-central1", {
    group: "GKE",
    description: "Region of cluster, database, registry and addresses.",
    allowed: "a region, such as europe-west1",
    check: is.region,
  }),
  clusterName: text("noetl-gke", {
    group: "GKE",
    description: "Name of the cluster.",
    allowed: "at most 40 lower-case letters, digits and -",
    check: is.cloudName(40),
  }),
  createCluster: flag(true, {
    group: "GKE",
    description: "Create the cluster (Autopilot); false deploys onto the existing one of that name.",
  }),
  releaseChannel: text("regular", {
    group: "GKE",
    description: "Release channel of the cluster.",
    allowed: "rapid, regular, stable or extended",
    check: is.oneOf("rapid", "regular", "stable", "extended"),
  }),
  controlPlaneAccess: text("dns", {
    group: "GKE",
    description:
      "Who reaches the control plane of a created cluster: dns, whoever Google's IAM lets in, at the cluster's name, while its addresses are " +
      "off; authorized, authorizedNetworks at its public address; public, everybody there (docs/gke.md).",
    allowed: "dns, authorized or public",
    check: is.oneOf("dns", "authorized", "public"),
  }),
  authorizedNetworks: list([], {
    group: "GKE",
    description:
      "Addresses that controlPlaneAccess authorized lets in: those of whoever deploys, and of whoever uses kubectl.",
    allowed: "IPv4 ranges from /8 to /32, separated by comma or space",
    example: "198.51.100.0/24",
    check: is.cidrs(8, 32),
  }),
  maintenanceWindow: text(undefined, {
    group: "GKE",
    description: "When Google may upgrade a created cluster, which moves every pod; UTC. Unset: whenever it likes.",
    allowed: "daily, or days by three letters, and begin-end of four hours or more; 48 hours in 32 days",
    example: "sat,sun 02:00-08:00",
    check: maintenanceWindow,
  }),
  maintenanceExclusions: list([], {
    group: "GKE",
    description:
      "Days on which Google upgrades nothing, the last one included, or with :minor no minor version, with :minor-and-nodes no nodes either. " +
      "Patches that Google holds for urgent come all the same.",
    allowed: "FIRST/LAST of dates, each with :all, :minor, :minor-and-nodes or nothing, separated by comma or space",
    example: "2026-12-20/2027-01-05",
    check: maintenanceExclusions,
  }),
  secretsKmsKey: text(undefined, {
    group: "GKE",
    description:
      "Key of Cloud KMS that a created cluster's Secrets are encrypted with, beyond Google's own encryption of disks; the stack lets GKE use it. " +
      "Whoever destroys the key destroys the cluster (docs/gke.md).",
    allowed: "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY in the region of the cluster, or global",
    example: "projects/acme-noetl/locations/us-central1/keyRings/noetl/cryptoKeys/secrets",
    check: is.kmsKey,
  }),
  privateNodes: flag(true, { group: "GKE", description: "Give the nodes no public addresses." }),
  deletionProtection: flag(true, {
    group: "GKE",
    description: "Protect cluster, databases, images, addresses and volumes from deletion (docs/gke.md: Destroy).",
  }),
  enableApis: flag(true, { group: "GKE", description: "Enable the APIs that the stack needs." }),
  network: text(undefined, {
    group: "GKE",
    description: "Existing VPC network for the cluster; unset creates one of the stack's own.",
    allowed: "a network's name",
    example: "default",
    check: is.cloudName(63),
  }),
  subnetwork: text(undefined, {
    group: "GKE",
    description: "Subnetwork of `network` in the region; unset only with network default.",
    allowed: "a subnetwork's name",
    example: "default",
    check: is.cloudName(63),
  }),
  nodeCidr: range("10.10.0.0/20", [16, 26], "Addresses of nodes in the stack's own network."),
  podCidr: range("10.20.0.0/16", [9, 21], "Addresses of pods in the stack's own network."),
  serviceCidr: range("10.30.0.0/20", [16, 24], "Addresses of services in the stack's own network."),
  createNat: flag(true, {
    group: "GKE",
    description:
      "Create a Cloud NAT, the way out of private nodes; false where `network` has one, no node is private, or images come from Google alone.",
  }),
  createArtifactRegistry: flag(true, { group: "GKE", description: "Create a Docker repository for the images." }),
  repositoryId: text("noetl", {
    group: "GKE",
    description: "Name of the Docker repository in Artifact Registry.",
    allowed: "at most 63 lower-case letters, digits and -",
    check: is.cloudName(63),
  }),
  minFreeCpus: integer(64, [1, 100_000], {
    group: "GKE",
    description:
      "CPU quota (limit minus usage) that must be free before a cluster is created, for Autopilot's upgrade surge.",
    unit: "vCPU",
  }),
  enforceQuotas: flag(true, {
    group: "GKE",
    description: "Refuse to create a cluster on too little quota; false warns.",
  }),
  rolloutMaxSurge: integer(undefined, [0, 100], {
    group: "NoETL",
    description: "Extra pods of server and workers during a rollout; unset means 0 on GKE, else the chart's 25%.",
    unit: "pods",
    example: "1",
  }),
  rolloutMaxUnavailable: integer(undefined, [0, 100], {
    group: "NoETL",
    description:
      "Pods of server and workers that may be missing in a rollout; unset means 1 on GKE, else the chart's 25%.",
    unit: "pods",
    example: "1",
  }),
  serverPoolMinSize: pool("NoETL", "Database connections that a server keeps open."),
  serverPoolMaxSize: pool(
    "NoETL",
    `Database connections of a server at most; unset means ${CLOUD_SQL_POOLS.server} on Cloud SQL, else ${CHART_POOLS.server}.`,
  ),
  serverPoolMaxWaiting: pool("NoETL", "Requests of a server that may wait for a connection.", "requests"),
  serverPoolTimeoutSeconds: pool("NoETL", "How long a server waits for a connection.", "seconds"),
  workerPoolMinSize: pool("Worker", "Database connections that a worker keeps open, per database of a playbook."),
  workerPoolMaxSize: pool(
    "Worker",
    `Database connections of a worker at most; unset means ${CLOUD_SQL_POOLS.worker} on Cloud SQL, else ${CHART_POOLS.worker}.`,
  ),
  workerPoolMaxWaiting: pool("Worker", "Requests of a worker that may wait for a connection.", "requests"),
  workerPoolTimeoutSeconds: pool("Worker", "How long a worker waits for a connection.", "seconds"),
  workerMaxInflightCommands: pool(
    "Worker",
    `Commands that a worker runs at once; unset means ${CHART_INFLIGHT.commands}.`,
    "commands",
  ),
  workerMaxInflightDbCommands: pool(
    "Worker",
    `Commands on databases among them; unset means ${CHART_INFLIGHT.dbCommands}, and never more than workerMaxInflightCommands.`,
    "commands",
  ),
  workerStopSeconds: integer(DEFAULT_STOP_SECONDS, [10, 86_400], {
    group: "Worker",
    description:
      "How long a worker that is stopped may take to finish its commands. At least as long as the longest command: what is at work " +
      "then is cut off, and delivered again.",
    unit: "seconds",
  }),
  serverMemoryLimit: memory("NoETL", "Memory limit of a server; unset means the chart's 1Gi.", "2Gi"),
  serverMemoryRequest: memory(
    "NoETL",
    "Memory that a server requests; unset means 256Mi, or serverMemoryLimit where that is less.",
    "512Mi",
  ),
  serverCpuLimit: cpu("NoETL", "CPU limit of a server; unset means the chart's 1.", "2"),
  serverCpuRequest: cpu(
    "NoETL",
    "CPU that a server requests; unset means 100m, or serverCpuLimit where that is less.",
    "250m",
  ),
  workerMemoryLimit: memory(
    "Worker",
    "Memory limit of a worker, for all commands that it runs at once; unset means the chart's 512Mi. A command that needs more kills one worker after the other.",
    "2Gi",
  ),
  workerMemoryRequest: memory(
    "Worker",
    "Memory that a worker requests; unset means 256Mi, or workerMemoryLimit where that is less.",
    "512Mi",
  ),
  workerCpuLimit: cpu("Worker", "CPU limit of a worker; unset means the chart's 500m.", "2"),
  workerCpuRequest: cpu(
    "Worker",
    "CPU that a worker requests; unset means 100m, or workerCpuLimit where that is less.",
    "250m",
  ),
  serverEnv: variables("NoETL", "the server", '{"NOETL_RUNTIME_SWEEP_INTERVAL":"30"}'),
  workerEnv: variables("Worker", "the workers", '{"NOETL_WORKER_THROTTLE_POLL_INTERVAL_SECONDS":"0.5"}'),
  gatewayEnv: variables("Gateway", "the gateway", '{"RUST_BACKTRACE":"1"}'),

  useCloudSql: flag(false, {
    group: "Cloud SQL",
    description: "Keep NoETL's database in Cloud SQL, behind PgBouncer and the Cloud SQL Auth Proxy.",
  }),
  cloudSqlInstance: text("noetl-shared-pg", {
    group: "Cloud SQL",
    description: "Name of the instance. A deleted instance's name stays blocked for a week.",
    allowed: "at most 80 lower-case letters, digits and -",
    check: is.cloudName(80),
  }),
  cloudSqlVersion: text("POSTGRES_17", {
    group: "Cloud SQL",
    description: "Version of Postgres.",
    allowed: "POSTGRES_14 to POSTGRES_18",
    check: is.oneOf("POSTGRES_14", "POSTGRES_15", "POSTGRES_16", "POSTGRES_17", "POSTGRES_18"),
  }),
  cloudSqlEdition: text("ENTERPRISE", {
    group: "Cloud SQL",
    description: "Edition of Cloud SQL.",
    allowed: "ENTERPRISE or ENTERPRISE_PLUS",
    check: is.oneOf("ENTERPRISE", "ENTERPRISE_PLUS"),
  }),
  cloudSqlTier: text("db-g1-small", {
    group: "Cloud SQL",
    description: "Machine tier. It decides how many connections the database takes.",
    allowed: "db-f1-micro, db-g1-small, db-custom-CPUS-MEGABYTES or db-perf-optimized-N-CPUS",
    check: is.sqlTier,
  }),
  cloudSqlMaxConnections: integer(undefined, [14, 262_143], {
    group: "Cloud SQL",
    description: "Flag max_connections; unset means the tier's default.",
    unit: "connections",
    example: "100",
  }),
  cloudSqlDiskSizeGb: integer(10, [10, 65_536], {
    group: "Cloud SQL",
    description: "Size of the disk at creation; it grows by itself.",
    unit: "GB",
  }),
  cloudSqlDiskType: text("SSD", {
    group: "Cloud SQL",
    description: "Kind of disk.",
    allowed: "SSD or HDD",
    check: is.oneOf("SSD", "HDD"),
  }),
  cloudSqlAvailability: text("ZONAL", {
    group: "Cloud SQL",
    description: "ZONAL, or REGIONAL for a standby in another zone.",
    allowed: "ZONAL or REGIONAL",
    check: is.oneOf("ZONAL", "REGIONAL"),
  }),
  cloudSqlBackups: flag(true, {
    group: "Cloud SQL",
    description: "Back up daily, with point-in-time recovery over seven days.",
  }),
  createServiceConnection: flag(true, {
    group: "Cloud SQL",
    description: "Connect Google's services to the network; false where `network` has that connection already.",
  }),
  cloudSqlRangePrefix: integer(20, [16, 24], {
    group: "Cloud SQL",
    description: "Prefix length of the range that Google's services get in the network, when it is made.",
    unit: "bits",
  }),
  cloudSqlProxyEgressRule: flag(true, {
    group: "Cloud SQL",
    description: "Firewall rule that lets the proxy reach the database (tcp:3307), for networks that deny egress.",
  }),
  cloudSqlProxyImage: image("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.25.0", {
    group: "Cloud SQL",
    description: "Image of the proxy.",
  }),
  pgbouncerImage: image("edoburu/pgbouncer:v1.25.2-p0", {
    group: "Cloud SQL",
    description: "Image of PgBouncer, 1.24 or newer.",
  }),
  pgbouncerReplicas: integer(2, [1, 20], { group: "Cloud SQL", description: "PgBouncer pods.", unit: "pods" }),
  pgbouncerMaxClientConnections: integer(600, [1, 100_000], {
    group: "Cloud SQL",
    description: "Clients that a PgBouncer pod takes.",
    unit: "connections",
  }),
  pgbouncerPoolSize: bouncer(4, 1, "Connections to the database per user and pod."),
  pgbouncerMinPoolSize: bouncer(1, 0, "Connections that a pod keeps open."),
  pgbouncerReservePoolSize: bouncer(1, 0, "Further connections for clients that waited five seconds."),
  pgbouncerMaxDbConnections: bouncer(8, 1, "Connections of a pod to NoETL's database at most, whoever uses them."),

  exposure: text("internal", {
    group: "Exposure on GKE",
    description: "How the gateway is reached: not at all, by a load balancer's address, or by an https ingress.",
    allowed: "internal, load-balancer or ingress",
    check: is.oneOf("internal", "load-balancer", "ingress"),
  }),
  gatewayHost: publicHost("Public host of the gateway.", "gateway.acme.dev"),
  noetlHost: publicHost("Public host of NoETL's API; unset keeps the API inside the cluster.", "noetl.acme.dev"),
  gatewayAddressName: text(undefined, {
    group: "Exposure on GKE",
    description: "Reserved address to use: global for ingress, regional for load-balancer; unset reserves one.",
    allowed: "an address's name",
    example: "noetl-gateway",
    check: is.cloudName(63),
  }),
  dnsZone: text(undefined, {
    group: "Exposure on GKE",
    description: "Cloud DNS zone of the project that gets the hosts' records.",
    allowed: "a managed zone's name",
    example: "acme-dev",
    check: is.cloudName(63),
  }),
  externalDns: flag(false, {
    group: "Exposure on GKE",
    description: "The hosts' records are made by hand, at another DNS provider.",
  }),
  gatewayTimeoutSeconds: integer(3600, [30, 86_400], {
    group: "Exposure on GKE",
    description: "Longest life of a request at the load balancer; it ends event streams and WebSockets.",
    unit: "seconds",
  }),
  tlsProfile: text("modern", {
    group: "Exposure on GKE",
    description:
      "TLS that the ingress speaks, always 1.2 or newer: Google's profile of ciphers. compatible is for old clients, restricted for rules that ask " +
      "for it.",
    allowed: "compatible, modern or restricted",
    check: is.oneOf("compatible", "modern", "restricted"),
  }),
  iap: flag(false, { group: "Exposure on GKE", description: "Put Identity-Aware Proxy before the ingress." }),
  iapClientId: text(undefined, {
    group: "Exposure on GKE",
    description: "OAuth client of Identity-Aware Proxy, made in the console.",
    allowed: "an OAuth client id",
    example: "123456789-abc.apps.googleusercontent.com",
    check: (value) => (/^[\w-]+\.apps\.googleusercontent\.com$/.test(value) ? undefined : "not an OAuth client id"),
  }),
  iapClientSecret: text(undefined, {
    group: "Exposure on GKE",
    description: "Secret of iapClientId.",
    secret: true,
    allowed: "letters, digits, _ and -, as the console shows it",
    example: "GOCSPX-0123456789abcdef",
    check: is.clientSecret,
  }),
  iapMembers: list([], {
    group: "Exposure on GKE",
    description: "Who may pass Identity-Aware Proxy.",
    allowed: "user:, group:, serviceAccount: or domain: members, separated by comma or space",
    example: "group:noetl@acme.dev",
    check: is.iamMembers,
  }),
  corsAllowedDomains: list([], {
    group: "Gateway",
    description:
      "Bare domains whose pages may call the gateway, on top of corsAllowedOrigins: over https, and over http where the platform is not gke " +
      "or corsIncludeHttp is true.",
    allowed: "domains, separated by comma or space",
    example: "acme.dev,staging.acme.dev",
    check: is.domains,
  }),
  corsIncludePublicHosts: flag(true, {
    group: "Gateway",
    description: "On GKE: let pages of gatewayHost call the gateway.",
  }),
  corsIncludeLocalhost: flag(false, {
    group: "Gateway",
    description:
      "On GKE: let pages of http://localhost:3001, and those that corsAllowedOrigins has on a loopback address, call the gateway, whoever serves " +
      "them on a user's machine, with that user's login.",
  }),
  corsIncludeHttp: flag(false, {
    group: "Gateway",
    description:
      "On GKE: let pages of corsAllowedDomains call the gateway over plain http too, where anybody on the way can be the page.",
  }),
} satisfies Record<string, Setting<unknown>>;

export type SettingKey = keyof typeof SETTINGS;

/** Whether a key has another value than its default. */
export type Changed = (key: SettingKey) => boolean;

/** Settings whose default follows from others. */
interface Derived {
  readonly networkPolicies: boolean;
  readonly natsReplicas: number;
  readonly contractMode: string;
}

/** The parsed configuration of a stack, before what follows from other settings is filled in. */
export type GivenSettings = { readonly [K in SettingKey]: (typeof SETTINGS)[K]["default"] };

/** The parsed configuration of a stack. */
export type Settings = Omit<GivenSettings, keyof Derived> & Derived;

/** The settings that open a port of every node. */
export const NODE_PORT_KEYS = [
  "natsNodePort",
  "natsMonitorNodePort",
  "noetlNodePort",
  "postgresNodePort",
  "gatewayNodePort",
] as const satisfies readonly SettingKey[];
