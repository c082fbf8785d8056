import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { HELM_TIMEOUT_SECONDS, DEFAULTS } from "../../contract/defaults";
import type { GatewaySubjects } from "../../contract/env";
import { bucketName, literalSubject, origins, subjectPrefix } from "../../contract/validate";
import { GATEWAY, LOCATIONS, serviceHost } from "../../contract/facts";
import { type NatsConnection, natsUrlOf } from "../noetl/values";
import {
  type ChartSource,
  chartArgs,
  credentialsRevision,
  type IngressArgs,
  namespace,
  releaseRevision,
  resolveChart,
  type Resources,
} from "../shared";
import { gatewayValues } from "./values";

export type { GatewaySubjects } from "../../contract/env";

export interface GatewayArgs {
  /** Where NATS is and who logs in. A `NatsJetStream` component fits. */
  nats: NatsConnection;
  /** Image of the gateway. There is no default. */
  image: string;
  /** Origins of the pages that may call the gateway: scheme, host, optional port. */
  corsAllowedOrigins: readonly string[];
  /** Namespace, which the component creates. Default `gateway`. */
  namespace?: string;
  /** URL of NoETL's server. Default: the service `noetl` in namespace `noetl`. */
  noetlUrl?: pulumi.Input<string>;
  /** Pods. Default 1. */
  replicas?: number;
  /** NodePort, 30000 to 32767. Default: none. */
  nodePort?: number;
  /** Subject prefixes and buckets, TTLs in seconds. Default: the specification's. */
  subjects?: Partial<GatewaySubjects>;
  /** URL that browsers reach the gateway at. */
  publicUrl?: pulumi.Input<string>;
  /** Make the Service a load balancer of the cloud. Default false. */
  loadBalancer?: boolean;
  /** Annotations of the Service. */
  serviceAnnotations?: Record<string, pulumi.Input<string>>;
  /** Ingress of class gce before the gateway. Default: none. */
  ingress?: IngressArgs;
  /** Resources of the container. Default: the chart's. */
  resources?: Resources;
  /** Prefer to spread the pods over zones. Default false. */
  spreadZones?: boolean;
  /** Switch authentication off, for tests only. Default false. */
  authBypass?: boolean;
  /** Further environment variables, such as RUST_BACKTRACE; those of the other arguments win. Default: none. */
  env?: Record<string, string>;
  /** Chart to install. Default: this package's `charts/gateway`. */
  chart?: ChartSource;
  /** How long Helm waits for the pods, in seconds. Default 300. */
  timeoutSeconds?: number;
  /** Last word on the Helm release's arguments. */
  transform?: (release: k8s.helm.v3.ReleaseArgs) => k8s.helm.v3.ReleaseArgs;
}

/**
 * The gateway for browsers, installed by Helm with the NATS credentials wired in.
 *
 * @throws pulumi.ResourceError for origins a browser would never send, and for names that NATS would refuse.
 */
export class Gateway extends pulumi.ComponentResource {
  /** Namespace of the gateway. */
  readonly namespace: pulumi.Output<string>;
  /** URL of the gateway inside the cluster. */
  readonly url: pulumi.Output<string>;
  /** Revision of the Helm release. */
  readonly revision: pulumi.Output<number>;

  constructor(name: string, args: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Gateway", name, {}, opts);
    const subjects: GatewaySubjects = { ...GATEWAY, ...args.subjects };
    const problems = Object.entries({
      image: args.image.trim() === "" ? "empty; there is no default" : undefined,
      corsAllowedOrigins: origins(args.corsAllowedOrigins),
      updatesSubjectPrefix: subjectPrefix(subjects.updatesSubjectPrefix),
      callbackSubjectPrefix: literalSubject(subjects.callbackSubjectPrefix),
      sessionBucket: bucketName(subjects.sessionBucket),
      requestBucket: bucketName(subjects.requestBucket),
    }).flatMap(([argument, problem]) => (problem ? [`${argument} is ${problem}`] : []));
    if (problems.length > 0) throw new pulumi.ResourceError(problems.join("; "), this);

    const child = { parent: this };
    const { source, isOwn, digest, podSecurity } = resolveChart("gateway", args.chart);
    const ns = namespace(
      `${name}-namespace`,
      { name: args.namespace ?? LOCATIONS.gateway.namespace, podSecurity },
      child,
    );
    const release: k8s.helm.v3.ReleaseArgs = {
      ...chartArgs(source),
      name: "gateway",
      namespace: ns.metadata.name,
      timeout: args.timeoutSeconds ?? HELM_TIMEOUT_SECONDS.kubernetes,
      values: gatewayValues({
        namespace: ns.metadata.name,
        image: args.image,
        replicas: args.replicas ?? DEFAULTS.gatewayReplicas,
        ...(args.nodePort === undefined ? {} : { nodePort: args.nodePort }),
        noetlUrl:
          args.noetlUrl ??
          `http://${serviceHost(LOCATIONS.noetl.service, LOCATIONS.noetl.namespace)}:${LOCATIONS.noetl.port}`,
        nats: args.nats,
        subjects,
        corsAllowedOrigins: args.corsAllowedOrigins,
        ...(args.publicUrl ? { publicUrl: args.publicUrl } : {}),
        authBypass: args.authBypass ?? false,
        ...(args.env ? { extraEnv: args.env } : {}),
        ...(args.loadBalancer ? { loadBalancer: true } : {}),
        ...(args.serviceAnnotations ? { serviceAnnotations: args.serviceAnnotations } : {}),
        ...(args.ingress ? { ingress: args.ingress } : {}),
        ...(args.resources ? { resources: args.resources } : {}),
        ...(args.spreadZones ? { spreadZones: true } : {}),
        credentialsRevision: credentialsRevision(`${name}-credentials`, { nats: natsUrlOf(args.nats) }, child),
        ...(digest ? { chartDigest: digest } : {}),
      }),
    };
    const installed = new k8s.helm.v3.Release(`${name}-release`, args.transform?.(release) ?? release, child);
    this.namespace = ns.metadata.name;
    this.revision = releaseRevision(installed);
    // Another chart may let the Service listen elsewhere, whatever its values say; upstream's takes port 80.
    const port = isOwn
      ? LOCATIONS.gateway.port
      : k8s.core.v1.Service.get(
          `${name}-service`,
          installed.status.apply((status) => `${status.namespace}/${LOCATIONS.gateway.service}`),
          child,
        ).spec.ports[0]?.port;
    this.url = pulumi.all([ns.metadata.name, port]).apply(([place, number]) => {
      const host = serviceHost(LOCATIONS.gateway.service, place);
      return number === undefined ? `http://${host}` : `http://${host}:${number}`;
    });
    this.registerOutputs({ namespace: this.namespace, url: this.url, revision: this.revision });
  }
}
