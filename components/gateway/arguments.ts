/** What Gateway is given, and what each argument may be. */
import type * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import type { GatewaySubjects } from "../../contract/env";
import { GATEWAY, LOCATIONS } from "../../contract/facts";
import { bucketName, literalSubject, origin, origins, subjectPrefix } from "../../contract/validate";
import type { NatsConnection } from "../noetl/arguments";
import type { NamespacePolicy } from "../network-policies/manifests";
import type { ChartSource, HelmArgs, IngressArgs, Inputs, Resources } from "../shared";
import * as terms from "../terms";

export interface GatewayArgs extends HelmArgs {
  /** Where NATS is and who logs in. A `NatsJetStream` component fits. */
  nats: NatsConnection;
  /** Image of the gateway. Default `ghcr.io/noetl/gateway` at the last release of its second major version. */
  image?: pulumi.Input<string>;
  /** Origins of the pages that may call the gateway: scheme, host, optional port. */
  corsAllowedOrigins: pulumi.Input<readonly string[]>;
  /** Namespace, which the component creates. Default `gateway`. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /** URL of NoETL's server. Default: the service `noetl` in namespace `noetl`. */
  noetlUrl?: pulumi.Input<string>;
  /** Pods. Default 1. */
  replicas?: pulumi.Input<number>;
  /** NodePort, 30000 to 32767. Default: none. */
  nodePort?: pulumi.Input<number>;
  /** Subject prefixes and buckets, TTLs in seconds. Default: the specification's. */
  subjects?: Partial<Inputs<GatewaySubjects>>;
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
  /**
   * Put `***` in the place of credentials in what the gateway prints: it writes NATS_URL with its password into its log at its start.
   * Needs `sh` and `mkfifo` in the image, which NoETL's own has. Default true; of no effect on a chart that is not this package's.
   */
  maskLogs?: boolean;
  /** Whether the container can write to nothing but its volumes. Default true; only this package's chart heeds it. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
  /** Further environment variables, such as RUST_BACKTRACE; those of the other arguments win. Default: none. */
  env?: Record<string, pulumi.Input<string>>;
  /** Chart to install. Default: this package's `charts/gateway`. */
  chart?: ChartSource;
}

const BUCKET = (example: string) => terms.text({ allowed: "letters, digits, _ and -", example, check: bucketName });
const TTL = (example: number) =>
  terms.whole(1, Number.MAX_SAFE_INTEGER, { allowed: "whole seconds, 1 or more", example: String(example) });

/** What each argument may be. */
export const TERMS: terms.Terms<GatewayArgs> = {
  nats: terms.NATS,
  image: terms.imageOf(DEFAULTS.gatewayImage),
  corsAllowedOrigins: terms.required(
    terms.orOutput(
      terms.list(terms.plain(terms.text({ allowed: "an origin", example: "https://app.example.org", check: origin })), {
        allowed: "a list of origins: scheme, host, optional port",
        example: '["https://app.example.org"]',
        check: (values) => (values.length === 0 ? origins(values) : undefined),
      }),
    ),
  ),
  namespace: terms.namespaceOf(LOCATIONS.gateway.namespace),
  networkPolicies: terms.POLICIES,
  noetlUrl: terms.urlOf("http://noetl.noetl.svc.cluster.local:8082"),
  replicas: terms.pods(DEFAULTS.gatewayReplicas),
  nodePort: terms.nodePort(30090),
  subjects: terms.object<GatewaySubjects>(
    {
      updatesSubjectPrefix: terms.text({
        allowed: "a subject without wildcards that ends with a dot",
        example: GATEWAY.updatesSubjectPrefix,
        check: subjectPrefix,
      }),
      callbackSubjectPrefix: terms.text({
        allowed: "a subject without wildcards",
        example: GATEWAY.callbackSubjectPrefix,
        check: literalSubject,
      }),
      sessionBucket: BUCKET(GATEWAY.sessionBucket),
      sessionTtlSeconds: TTL(GATEWAY.sessionTtlSeconds),
      requestBucket: BUCKET(GATEWAY.requestBucket),
      requestTtlSeconds: TTL(GATEWAY.requestTtlSeconds),
    },
    `{ sessionBucket: "${GATEWAY.sessionBucket}" }`,
  ),
  publicUrl: terms.urlOf("https://api.example.org"),
  loadBalancer: terms.plain(terms.flag),
  serviceAnnotations: terms.map("{}"),
  ingress: terms.INGRESS,
  resources: terms.RESOURCES,
  spreadZones: terms.plain(terms.flag),
  authBypass: terms.plain(terms.flag),
  maskLogs: terms.plain(terms.flag),
  readOnlyRootFilesystem: terms.flag,
  env: terms.map('{ RUST_BACKTRACE: "1" }'),
  chart: terms.CHART,
  ...terms.HELM,
};
