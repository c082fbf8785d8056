import type * as pulumi from "@pulumi/pulumi";
import { gatewayEnvironment, type GatewaySubjects, gatewayValue } from "../../contract/env";
import { LOCATIONS } from "../../contract/facts";
import { type NatsConnection, natsUrlOf, rollsWithServers } from "../noetl/values";
import { derived } from "../arguments";
import { imageValues, type IngressArgs, ingressValues, type Inputs, type Resources, zoneSpread } from "../shared";

export interface GatewayValuesArgs {
  namespace: pulumi.Input<string>;
  image: pulumi.Input<string>;
  replicas: pulumi.Input<number>;
  nodePort?: pulumi.Input<number>;
  noetlUrl: pulumi.Input<string>;
  nats: NatsConnection;
  subjects: Inputs<GatewaySubjects>;
  corsAllowedOrigins: pulumi.Input<readonly string[]>;
  publicUrl?: pulumi.Input<string>;
  authBypass: boolean;
  /** Default true, in the chart. */
  maskLogs?: boolean;
  /** Default true, in the chart. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
  /** Further environment variables; those that have a value of their own win over them. */
  env?: Record<string, pulumi.Input<string>>;
  loadBalancer?: boolean;
  serviceAnnotations?: Record<string, pulumi.Input<string>>;
  ingress?: IngressArgs;
  resources?: Resources;
  spreadZones?: boolean;
  credentialsRevision: pulumi.Input<string>;
  chartDigest?: string;
}

/** Values of the gateway chart, on the paths that upstream's chart has too. */
export function gatewayValues(args: GatewayValuesArgs): Record<string, unknown> {
  const variables = gatewayEnvironment<pulumi.Input<string>>({
    url: natsUrlOf(args.nats),
    subjects: {
      ...args.subjects,
      sessionTtlSeconds: derived(args.subjects.sessionTtlSeconds, String),
      requestTtlSeconds: derived(args.subjects.requestTtlSeconds, String),
    },
    corsAllowedOrigins: derived(args.corsAllowedOrigins, (origins) => origins.join(",")),
  });
  return {
    namespace: args.namespace,
    image: imageValues(args.image),
    replicas: args.replicas,
    service: {
      type: args.loadBalancer ? "LoadBalancer" : args.nodePort === undefined ? "ClusterIP" : "NodePort",
      port: LOCATIONS.gateway.port,
      nodePort: args.nodePort,
      loadBalancerIP: "",
      annotations: args.serviceAnnotations,
    },
    ingress: args.ingress && ingressValues(args.ingress),
    resources: args.resources,
    topologySpreadConstraints: args.spreadZones ? zoneSpread("gateway") : undefined,
    podAnnotations: rollsWithServers(args.nats),
    env: {
      routerPort: String(LOCATIONS.gateway.port),
      noetlBaseUrl: args.noetlUrl,
      ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [gatewayValue(name), value])),
      publicUrl: args.publicUrl ?? "",
      // Upstream's chart sets the variable to whatever text stands here, so "false" has to be spelt out.
      authBypass: String(args.authBypass),
    },
    maskLogs: args.maskLogs === false ? { enabled: false } : undefined,
    readOnlyRootFilesystem: args.readOnlyRootFilesystem,
    extraEnv: args.env && Object.keys(args.env).length > 0 ? args.env : undefined,
    secrets: { revision: args.credentialsRevision },
    natsCa: args.nats.ca,
    chartDigest: args.chartDigest,
  };
}
