import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEFAULT_STOP_SECONDS, HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import { tuningProblem } from "../../contract/tuning";
import { CONSUMER, LOCATIONS, STREAM, WORKER_TUNING, serviceHost } from "../../contract/facts";
import { ArgumentChecks, derived, together } from "../arguments";
import { chartArgs, credentialsRevision, namespace, releaseRevision, resolveChart } from "../shared";
import { type NoetlArgs, TERMS } from "./arguments";
import { natsUrlOf, noetlValues } from "./values";

export type { StreamNames, WorkerTuning } from "../../contract/env";
export type { DatabaseConnection, JobsArgs, NatsConnection, NatsLogins, NoetlArgs } from "./arguments";

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
