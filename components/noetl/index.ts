import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEFAULT_STOP_SECONDS, HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import type { StreamNames, WorkerTuning } from "../../contract/env";
import { SHORTEST_HEARTBEAT_SECONDS, tuningProblem } from "../../contract/tuning";
import { jetstreamName, literalSubject, range, streamName } from "../../contract/validate";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING, serviceHost } from "../../contract/facts";
import { ArgumentChecks, derived, together } from "../arguments";
import type { NamespacePolicy } from "../network-policies/manifests";
import {
  type ChartSource,
  chartArgs,
  credentialsRevision,
  type HelmArgs,
  type IngressArgs,
  type Inputs,
  namespace,
  releaseRevision,
  resolveChart,
  type Resources,
} from "../shared";
import * as terms from "../terms";
import {
  type DatabaseConnection,
  type JobsArgs,
  type NatsConnection,
  type NatsLogins,
  type Rollout,
  natsUrlOf,
  noetlValues,
} from "./values";

export type { StreamNames, WorkerTuning } from "../../contract/env";
export type { DatabaseConnection, JobsArgs, NatsConnection, NatsLogins } from "./values";

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
const TERMS: terms.Terms<NoetlArgs> = {
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

/**
 * NoETL's server and workers, installed by Helm with the NATS credentials wired in.
 *
 * @throws pulumi.ResourceError for a namespace, number of pods, NodePort, size, stream, subject, consumer or heartbeat that Kubernetes or NATS
 *   would refuse; of an output when it is known.
 */
export class Noetl extends pulumi.ComponentResource {
  /** Namespace of server and worker. */
  readonly namespace: pulumi.Output<string>;
  /** URL of the server's API inside the cluster. */
  readonly serverUrl: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;

  constructor(name: string, asked: NoetlArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Noetl", name, {}, opts);
    const { place, jobsPlace, ...args } = this.checked(asked);
    const child = { parent: this };
    const { source, digest, podSecurity } = resolveChart("noetl", args.chart);
    const ns = namespace(`${name}-namespace`, { name: place, podSecurity, policies: args.networkPolicies }, child);
    const jobsNamespace = this.jobsNamespace(name, args.jobs, jobsPlace);
    const release: k8s.helm.v3.ReleaseArgs = {
      ...chartArgs(source),
      name: "noetl",
      namespace: ns,
      timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
      values: noetlValues({
        ...args,
        namespace: ns,
        jobsNamespace,
        logLevel: args.logLevel ?? DEFAULTS.noetlLogLevel,
        workerStopSeconds: args.workerStopSeconds ?? DEFAULT_STOP_SECONDS,
        credentialsRevision: credentialsRevision(
          `${name}-credentials`,
          {
            nats: natsUrlOf(args.natsLogins?.server ?? args.nats),
            ...(args.natsLogins ? { worker: natsUrlOf(args.natsLogins.worker) } : {}),
            database: args.database.password,
          },
          child,
        ),
        chartDigest: digest,
      }),
    };
    const installed = new k8s.helm.v3.Release(`${name}-release`, args.transform?.(release) ?? release, child);
    this.namespace = ns;
    this.revision = releaseRevision(installed);
    this.serverUrl = ns.apply(
      (place) => `http://${serviceHost(LOCATIONS.noetl.service, place)}:${LOCATIONS.noetl.port}`,
    );
    this.registerOutputs({ namespace: this.namespace, serverUrl: this.serverUrl, revision: this.revision });
  }

  /** Makes the namespace of playbooks' jobs, where they have one of their own. */
  private jobsNamespace(name: string, jobs: NoetlArgs["jobs"], place: pulumi.Input<string>) {
    if (!jobs) return jobs;
    return namespace(
      `${name}-jobs-namespace`,
      // NoETL (2.8.9) gives their pods no security context, which `restricted` asks for.
      { name: place, podSecurity: "baseline", policies: jobs.networkPolicies },
      { parent: this },
    );
  }

  /** The arguments as they are to be used, with defaults. */
  private checked(asked: NoetlArgs | undefined) {
    const checks = new ArgumentChecks(this);
    const args = checks.all(asked, TERMS);
    const tuning = { ...WORKER_TUNING, ...args.tuning };
    const { fetchTimeoutSeconds, fetchHeartbeatSeconds } = tuning;
    const place = args.namespace ?? LOCATIONS.noetl.namespace;
    const jobsPlace = (args.jobs ? args.jobs.namespace : undefined) ?? LOCATIONS.jobs.namespace;
    const heartbeat = checks.checked(
      "tuning.fetchHeartbeatSeconds",
      together({ fetchTimeoutSeconds, fetchHeartbeatSeconds }),
      tuningProblem,
    );
    const places = checks.checked("jobs.namespace", together({ place, jobsPlace }), (known) =>
      args.jobs && known.jobsPlace === known.place ? "NoETL's, and its Secrets would be open to jobs" : undefined,
    );
    checks.done();
    return {
      ...args,
      place,
      jobsPlace: derived(places, (known) => known.jobsPlace),
      image: args.image ?? DEFAULTS.noetlImage,
      serverReplicas: args.serverReplicas ?? DEFAULTS.noetlServerReplicas,
      workerReplicas: args.workerReplicas ?? DEFAULTS.workerReplicas,
      names: { stream: STREAM.name, subject: STREAM.subject, consumer: CONSUMER.name, ...args.names },
      tuning: { ...tuning, fetchHeartbeatSeconds: derived(heartbeat, (known) => known.fetchHeartbeatSeconds) },
    };
  }
}
