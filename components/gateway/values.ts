import type * as pulumi from "@pulumi/pulumi";
import { gatewayEnvironment, type GatewaySubjects, gatewayValue } from "../../contract/env";
import { LOCATIONS } from "../../contract/facts";
import { type NatsConnection, natsUrlOf, rollsWithServers } from "../noetl/values";
import { type IngressArgs, ingressValues, type Resources, splitImage, zoneSpread } from "../shared";

export interface GatewayValuesArgs {
  namespace: pulumi.Input<string>;
  image: string;
  replicas: number;
  nodePort?: number;
  noetlUrl: pulumi.Input<string>;
  nats: NatsConnection;
  subjects: GatewaySubjects;
  corsAllowedOrigins: readonly string[];
  publicUrl?: pulumi.Input<string>;
  authBypass: boolean;
  /** Further environment variables; those that have a value of their own win over them. */
  extraEnv?: Record<string, string>;
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
    subjects: args.subjects,
    corsAllowedOrigins: args.corsAllowedOrigins,
  });
  return {
    namespace: args.namespace,
    image: { ...splitImage(args.image), pullPolicy: "IfNotPresent" },
    replicas: args.replicas,
    service: {
      type: args.loadBalancer ? "LoadBalancer" : args.nodePort === undefined ? "ClusterIP" : "NodePort",
      port: LOCATIONS.gateway.port,
      ...(args.nodePort === undefined ? {} : { nodePort: args.nodePort }),
      loadBalancerIP: "",
      ...(args.serviceAnnotations ? { annotations: args.serviceAnnotations } : {}),
    },
    ...(args.ingress ? { ingress: ingressValues(args.ingress) } : {}),
    ...(args.resources ? { resources: args.resources } : {}),
    ...(args.spreadZones ? { topologySpreadConstraints: zoneSpread("gateway") } : {}),
    ...rollsWithServers(args.nats),
    env: {
      routerPort: String(LOCATIONS.gateway.port),
      noetlBaseUrl: args.noetlUrl,
      ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [gatewayValue(name), value])),
      publicUrl: args.publicUrl ?? "",
      // Upstream's chart sets the variable to whatever text stands here, so "false" has to be spelt out.
      authBypass: String(args.authBypass),
    },
    ...(args.extraEnv && Object.keys(args.extraEnv).length > 0 ? { extraEnv: args.extraEnv } : {}),
    secrets: { revision: args.credentialsRevision },
    ...(args.chartDigest ? { chartDigest: args.chartDigest } : {}),
  };
}
