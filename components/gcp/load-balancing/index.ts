import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { checkedArguments } from "../../arguments";
import * as terms from "../../terms";

export interface LoadBalancingArgs {
  /** Namespace of the Service, which must exist. */
  namespace: pulumi.Input<string>;
  /** Name of the objects; `serviceAnnotations` and `ingressAnnotations` refer to it. */
  objectName: pulumi.Input<string>;
  /** HTTP path and container port of the health check. */
  health: { path: pulumi.Input<string>; port: pulumi.Input<number> };
  /** Longest life of a request, in seconds, 30 to 86400; Google's default of 30 would cut event streams and WebSockets. */
  timeoutSeconds: pulumi.Input<number>;
  /** Name of the SSL policy, which must exist. Default: Google's own choice, which takes TLS 1.0. */
  tlsPolicy?: pulumi.Input<string>;
  /** Identity-Aware Proxy with an OAuth client. Default: none. */
  iap?: { clientId: pulumi.Input<string>; clientSecret: pulumi.Input<string> };
}

/** Annotations by which a Service gets its load balancer settings, and container-native load balancing. */
export const serviceAnnotations = (objectName: string): Record<string, string> => ({
  "cloud.google.com/neg": JSON.stringify({ ingress: true }),
  "cloud.google.com/backend-config": JSON.stringify({ default: objectName }),
});

/** Annotations by which an Ingress gets its address, the redirect from http to https, and its SSL policy. */
export const ingressAnnotations = (
  objectName: pulumi.Input<string>,
  addressName: pulumi.Input<string>,
): Record<string, pulumi.Input<string>> => ({
  "kubernetes.io/ingress.global-static-ip-name": addressName,
  "networking.gke.io/v1beta1.FrontendConfig": objectName,
});

/** Annotations by which a Service of type LoadBalancer gets its address. */
export const addressAnnotations = (addressName: pulumi.Input<string>): Record<string, pulumi.Input<string>> => ({
  "cloud.google.com/l4-rbs": "enabled",
  "networking.gke.io/load-balancer-ip-addresses": addressName,
});

const TERMS: terms.Terms<LoadBalancingArgs> = {
  namespace: terms.required(terms.namespaceOf("gateway")),
  objectName: terms.required(terms.word("a name", "gateway")),
  health: terms.required(
    terms.object<LoadBalancingArgs["health"]>(
      { path: terms.required(terms.word("a path", "/health")), port: terms.required(terms.port(8090)) },
      '{ path: "/health", port: 8090 }',
    ),
  ),
  timeoutSeconds: terms.required(terms.seconds(3600, 30)),
  tlsPolicy: terms.word("the name of an SSL policy", "noetl"),
  iap: terms.object<NonNullable<LoadBalancingArgs["iap"]>>(
    {
      clientId: terms.required(terms.word("the id of an OAuth client", "123.apps.googleusercontent.com")),
      clientSecret: terms.required(terms.word("its secret", 'config.requireSecret("iap")')),
    },
    "{ clientId, clientSecret }",
  ),
};

/** Settings of the load balancer behind an ingress of GKE: health check, timeout, redirect, Identity-Aware Proxy. */
export class LoadBalancing extends pulumi.ComponentResource {
  constructor(name: string, asked: LoadBalancingArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:LoadBalancing", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const metadata = { name: args.objectName, namespace: args.namespace };
    const client = args.iap
      ? new k8s.core.v1.Secret(
          `${name}-oauth`,
          {
            metadata: { namespace: args.namespace },
            stringData: {
              client_id: args.iap.clientId,
              client_secret: pulumi.secret(args.iap.clientSecret),
            },
          },
          child,
        )
      : undefined;
    new k8s.apiextensions.CustomResource(
      `${name}-backend`,
      {
        apiVersion: "cloud.google.com/v1",
        kind: "BackendConfig",
        metadata,
        spec: {
          timeoutSec: args.timeoutSeconds,
          connectionDraining: { drainingTimeoutSec: 60 },
          healthCheck: {
            type: "HTTP",
            requestPath: args.health.path,
            port: args.health.port,
            checkIntervalSec: 15,
            timeoutSec: 5,
            healthyThreshold: 1,
            unhealthyThreshold: 3,
          },
          // Said in both cases: leaving it out would not switch it off again.
          iap: client
            ? { enabled: true, oauthclientCredentials: { secretName: client.metadata.name } }
            : { enabled: false },
        },
      },
      child,
    );
    new k8s.apiextensions.CustomResource(
      `${name}-frontend`,
      {
        apiVersion: "networking.gke.io/v1beta1",
        kind: "FrontendConfig",
        metadata,
        spec: { redirectToHttps: { enabled: true }, sslPolicy: args.tlsPolicy },
      },
      child,
    );
    this.registerOutputs({});
  }
}
