/** What Noetl is given, and what each argument may be. */
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULT_STOP_SECONDS, DEFAULTS } from "../../contract/defaults";
import type { StreamNames, WorkerTuning } from "../../contract/env";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING } from "../../contract/facts";
import { SHORTEST_HEARTBEAT_SECONDS } from "../../contract/tuning";
import { jetstreamName, literalSubject, range, streamName } from "../../contract/validate";
import type { NamespacePolicy } from "../network-policies/manifests";
import type { ChartSource, HelmArgs, IngressArgs, Inputs, Resources } from "../shared";
import * as terms from "../terms";

/** How a NoETL component reaches NATS. */
export interface NatsConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  user: pulumi.Input<string>;
  /** Letters, digits and `. _ ~ -` only: NoETL's clients take it from the URL undecoded. */
  password: pulumi.Input<string>;
  /** Whether the server demands TLS. Default false. */
  tls?: boolean;
  /** Authorities that are trusted beside those of the image, PEM. Default: none. */
  ca?: pulumi.Input<string>;
  /**
   * Another text wherever the servers restarted. It rolls the pods that connect: the stream is held in memory and
   * the server creates it at its own start only, so it would be gone until somebody restarts NoETL.
   */
  serversRevision?: pulumi.Input<string>;
}

/** Connections of server and workers where each has a login of its own, which may get answers below {@link roleInbox} alone. */
export interface NatsLogins {
  server: NatsConnection;
  worker: NatsConnection;
}

/** How NoETL reaches its database. */
export interface DatabaseConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  database: pulumi.Input<string>;
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
  /** The administrator's password, which made role and schema. NoETL does not get it. */
  adminPassword?: pulumi.Input<string>;
}

/** Pods that a rollout adds and may miss, whole numbers; unset means the chart's. */
export interface Rollout {
  maxSurge?: pulumi.Input<number>;
  maxUnavailable?: pulumi.Input<number>;
}

/** The namespace that playbooks' jobs have to themselves. */
export interface JobsArgs {
  /** Its name; the component creates it. Default `noetl-jobs`. A playbook has to name it. */
  namespace?: pulumi.Input<string>;
  /** Its NetworkPolicies, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
}

export interface NoetlArgs extends HelmArgs {
  /** Where NATS is and who logs in. A `NatsJetStream` component fits. */
  nats: NatsConnection;
  /**
   * Connections of server and workers where each has a login of its own, such as `NatsJetStream.loginOf` gives; needs this
   * package's chart. Default: `nats`.
   */
  natsLogins?: NatsLogins;
  /** Where the database is. */
  database: DatabaseConnection;
  /** Namespace, which the component creates. Default `noetl`. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /** Image of server and worker. Default: the version this package was tested with. */
  image?: pulumi.Input<string>;
  /** LOG_LEVEL. Default `INFO`. */
  logLevel?: pulumi.Input<string>;
  /** Server pods. Default 1. */
  serverReplicas?: pulumi.Input<number>;
  /** Worker pods. Default 2. */
  workerReplicas?: pulumi.Input<number>;
  /** NodePort of the server's API, 30000 to 32767. Default: none. */
  nodePort?: pulumi.Input<number>;
  /** Stream, subject and durable consumer. Default: NOETL_COMMANDS, noetl.commands, noetl_worker_pool. */
  names?: Partial<Inputs<StreamNames>>;
  /** Pull settings of the worker, times in seconds; a heartbeat is less than half of the timeout. Default: 30 s, 5 s heartbeat, 64 pending, 1000 deliveries. */
  tuning?: Partial<Inputs<WorkerTuning>>;
  /** Resources of the server's container. Default: the chart's. */
  serverResources?: Resources;
  /** Resources of the worker's container. Default: the chart's. */
  workerResources?: Resources;
  /** Resources of the workers' init container, which waits for the API. Default: the chart's. */
  workerInitResources?: Resources;
  /**
   * How long a worker that is stopped may take to finish its commands, in seconds: the longest command and ten more. Default
   * 240. Only this package's chart heeds it.
   */
  workerStopSeconds?: pulumi.Input<number>;
  /**
   * Where playbooks may start Kubernetes jobs. Default: in NoETL's namespace, whose Secrets a job can mount. An object, also an empty one:
   * in a namespace of their own, the only one that workers have rights in. False: nowhere, and workers get no token of
   * Kubernetes. Only this package's chart heeds it.
   */
  jobs?: JobsArgs | false;
  /**
   * How much a pod of server or workers may keep in `/tmp`, a Kubernetes quantity; one that writes more is evicted. Default 2Gi; only
   * this package's chart heeds it.
   */
  tmpSize?: pulumi.Input<string>;
  /** Whether the containers can write to nothing but their volumes. Default true; only this package's chart heeds it. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
  /** Pods that a rollout of server or workers adds and may miss. Default of each: the chart's, a quarter. */
  rollout?: Rollout;
  /** Further environment variables of the server, such as NOETL_POSTGRES_POOL_MAX_SIZE. */
  serverEnv?: Record<string, pulumi.Input<string>>;
  /** Further environment variables of the workers. */
  workerEnv?: Record<string, pulumi.Input<string>>;
  /** Prefer to spread the pods over zones. Default false. */
  spreadZones?: boolean;
  /** Annotations of the Service. */
  serviceAnnotations?: Record<string, pulumi.Input<string>>;
  /** Ingress of class gce before the API. Default: none. */
  ingress?: IngressArgs;
  /** Chart to install. Default: this package's `charts/noetl`. */
  chart?: ChartSource;
}

const NAME = "a JetStream name: no white space and none of . * > / \\";

const DATABASE = terms.object<DatabaseConnection>(
  {
    host: terms.required(terms.hostOf("postgres.postgres.svc.cluster.local")),
    port: terms.required(terms.port(5432)),
    database: terms.required(terms.word("the name of a database", "noetl")),
    user: terms.required(terms.word("the name of a role", "noetl")),
    password: terms.required(terms.word("a password", "postgres.noetlPassword")),
    adminPassword: terms.word("a password", "postgres.adminPassword"),
  },
  "{ host, port, database, user, password } of a Postgres",
);

const TIME = (example: number) =>
  terms.number({
    allowed: "seconds from 0.1 to 3600, decimals too",
    example: String(example),
    check: range(SHORTEST_HEARTBEAT_SECONDS, 3600),
  });
const COUNT = (example: number) =>
  terms.number({
    allowed: "a whole number from 1, or -1 for unlimited",
    example: String(example),
    check: (value) => (Number.isSafeInteger(value) && (value === -1 || value > 0) ? undefined : String(value)),
  });

/** What each argument may be. */
export const TERMS: terms.Terms<NoetlArgs> = {
  nats: terms.NATS,
  natsLogins: terms.object<NatsLogins>(
    { server: terms.NATS, worker: terms.NATS },
    '{ server: nats.loginOf("server"), worker: nats.loginOf("worker") }',
  ),
  database: terms.required(DATABASE),
  namespace: terms.namespaceOf(LOCATIONS.noetl.namespace),
  networkPolicies: terms.POLICIES,
  image: terms.imageOf(DEFAULTS.noetlImage),
  logLevel: terms.choice("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL"),
  serverReplicas: terms.pods(DEFAULTS.noetlServerReplicas),
  workerReplicas: terms.pods(DEFAULTS.workerReplicas),
  nodePort: terms.nodePort(30082),
  names: terms.object<StreamNames>(
    {
      stream: terms.text({ allowed: NAME, example: STREAM.name, check: streamName }),
      subject: terms.text({
        allowed: "a NATS subject without wildcards: tokens separated by single dots",
        example: STREAM.subject,
        check: literalSubject,
      }),
      consumer: terms.text({ allowed: NAME, example: CONSUMER.name, check: jetstreamName }),
    },
    `{ stream: "${STREAM.name}" }`,
  ),
  tuning: terms.object<WorkerTuning>(
    {
      fetchTimeoutSeconds: TIME(WORKER_TUNING.fetchTimeoutSeconds),
      fetchHeartbeatSeconds: TIME(WORKER_TUNING.fetchHeartbeatSeconds),
      maxAckPending: COUNT(WORKER_TUNING.maxAckPending),
      maxDeliver: COUNT(WORKER_TUNING.maxDeliver),
    },
    `{ maxAckPending: ${WORKER_TUNING.maxAckPending} }`,
  ),
  serverResources: terms.RESOURCES,
  workerResources: terms.RESOURCES,
  workerInitResources: terms.RESOURCES,
  workerStopSeconds: terms.seconds(DEFAULT_STOP_SECONDS),
  jobs: terms.either(
    { ...terms.flag, noun: "false", allowed: "false", matches: (value) => value === false },
    terms.object<JobsArgs>(
      { namespace: terms.namespaceOf(LOCATIONS.jobs.namespace), networkPolicies: terms.POLICIES },
      "{}",
    ),
  ),
  tmpSize: terms.sizeOf("1Mi", "64Ti", DEFAULTS.noetlTmpSize),
  readOnlyRootFilesystem: terms.flag,
  rollout: terms.object<Rollout>(
    { maxSurge: terms.pods(1), maxUnavailable: terms.pods(1) },
    "{ maxSurge: 1, maxUnavailable: 0 }",
  ),
  serverEnv: terms.map('{ NOETL_POSTGRES_POOL_MAX_SIZE: "6" }'),
  workerEnv: terms.map('{ NOETL_POSTGRES_POOL_MAX_SIZE: "6" }'),
  spreadZones: terms.plain(terms.flag),
  serviceAnnotations: terms.map("{}"),
  ingress: terms.INGRESS,
  chart: terms.CHART,
  ...terms.HELM,
};
