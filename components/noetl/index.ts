import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEFAULT_STOP_SECONDS, HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import type { StreamNames, WorkerTuning } from "../../contract/env";
import { tuningProblem } from "../../contract/tuning";
import {
  jetstreamName,
  literalSubject,
  namespaceName,
  nodePort,
  notEmpty,
  size,
  streamName,
} from "../../contract/validate";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING, serviceHost } from "../../contract/facts";
import { ArgumentChecks, derived, podCount, together } from "../arguments";
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

  constructor(name: string, args: NoetlArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Noetl", name, {}, opts);
    const { image, place, jobsPlace, ...checked } = this.checked(args);
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
        ...checked,
        namespace: ns,
        jobsNamespace,
        image,
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

  /** The arguments that have to be right, with their defaults. */
  private checked(args: NoetlArgs) {
    const checks = new ArgumentChecks(this);
    const { stream = STREAM.name, subject = STREAM.subject, consumer = CONSUMER.name } = args.names ?? {};
    const tuning = { ...WORKER_TUNING, ...args.tuning };
    const { fetchTimeoutSeconds, fetchHeartbeatSeconds } = tuning;
    const place = checks.checked("namespace", args.namespace ?? LOCATIONS.noetl.namespace, namespaceName);
    const result = {
      place,
      jobsPlace: checks.checked(
        "jobs.namespace",
        (args.jobs ? args.jobs.namespace : undefined) ?? LOCATIONS.jobs.namespace,
        (own) => namespaceName(own) ?? (own === place ? "NoETL's, and its Secrets would be open to jobs" : undefined),
      ),
      image: checks.checked("image", args.image ?? DEFAULTS.noetlImage, notEmpty),
      nodePort: checks.optional("nodePort", args.nodePort, nodePort),
      serverReplicas: checks.checked("serverReplicas", args.serverReplicas ?? DEFAULTS.noetlServerReplicas, podCount),
      workerReplicas: checks.checked("workerReplicas", args.workerReplicas ?? DEFAULTS.workerReplicas, podCount),
      tmpSize: checks.optional("tmpSize", args.tmpSize, size("1Mi", "64Ti")),
      names: {
        stream: checks.checked("stream", stream, streamName),
        subject: checks.checked("subject", subject, literalSubject),
        consumer: checks.checked("consumer", consumer, jetstreamName),
      },
      tuning: {
        ...tuning,
        fetchHeartbeatSeconds: derived(
          checks.checked(
            "tuning.fetchHeartbeatSeconds",
            together({ fetchTimeoutSeconds, fetchHeartbeatSeconds }),
            tuningProblem,
          ),
          (known) => known.fetchHeartbeatSeconds,
        ),
      },
    };
    checks.done();
    return result;
  }
}
