import type * as pulumi from "@pulumi/pulumi";
import { gatewayEnvironment, type GatewaySubjects, gatewayValue } from "../../contract/env";
import { LOCATIONS } from "../../contract/facts";
import { natsUrlOf, rollsWithServers } from "../noetl/values";
import { derived } from "../arguments";
import { imageValues, ingressValues, type Inputs, zoneSpread } from "../shared";
import type { GatewayArgs } from "./arguments";

/** Arguments that have a default of the component's. */
type Defaulted = "namespace" | "image" | "replicas" | "noetlUrl" | "authBypass";

/** The component's arguments with their defaults, and what follows from them. */
export interface GatewayValuesArgs
  extends Omit<GatewayArgs, Defaulted | "subjects">, Required<Pick<GatewayArgs, Defaulted>> {
  subjects: Inputs<GatewaySubjects>;
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
