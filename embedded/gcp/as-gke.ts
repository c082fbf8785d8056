import * as fs from "node:fs";
import * as path from "node:path";
import {
  ApiextensionsV1Api,
  CoreV1Api,
  KubeConfig,
  StorageV1Api,
  type V1JSONSchemaProps,
} from "@kubernetes/client-node";
import { AUTH_PLUGIN } from "../../components/gcp/cluster/kubeconfig";
import type { ControlPlane } from "./outputs";
import type { Inventory } from "./plugin";
import { PROVISIONER } from "../cluster/volumes";
import { textAt, unwrap } from "../plugin/wire";

const object = (properties: Record<string, V1JSONSchemaProps>): V1JSONSchemaProps => ({ type: "object", properties });
const text = { type: "string" };
const whole = { type: "integer" };
const flag = { type: "boolean" };

/**
 * Resource definitions of GKE's ingress controller, with the properties that this project uses and no others, so that a
 * misspelt one is refused. Source: the documentation of Ingress features and of managed certificates.
 */
const DEFINITIONS = [
  {
    group: "cloud.google.com",
    version: "v1",
    kind: "BackendConfig",
    spec: object({
      timeoutSec: { ...whole, minimum: 1, maximum: 86_400 },
      connectionDraining: object({ drainingTimeoutSec: whole }),
      healthCheck: object({
        type: { ...text, _enum: ["HTTP", "HTTPS", "HTTP2"] },
        requestPath: text,
        port: whole,
        checkIntervalSec: whole,
        timeoutSec: whole,
        healthyThreshold: whole,
        unhealthyThreshold: whole,
      }),
      iap: object({ enabled: flag, oauthclientCredentials: object({ secretName: text }) }),
    }),
  },
  {
    group: "networking.gke.io",
    version: "v1beta1",
    kind: "FrontendConfig",
    spec: object({ redirectToHttps: object({ enabled: flag }), sslPolicy: text }),
  },
  {
    group: "networking.gke.io",
    version: "v1",
    kind: "ManagedCertificate",
    spec: object({ domains: { type: "array", maxItems: 100, items: { ...text, maxLength: 63 } } }),
  },
];

const isConflict = (error: unknown) => (error as { code?: number }).code === 409;

/** Gives the embedded cluster what every GKE cluster has. May be called again. */
export async function seedAsGke(kubeconfigPath: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const extensions = config.makeApiClient(ApiextensionsV1Api);
  const storage = config.makeApiClient(StorageV1Api);
  const creations = [
    ...DEFINITIONS.map(({ group, version, kind, spec }) => {
      const singular = kind.toLowerCase();
      return extensions.createCustomResourceDefinition({
        body: {
          metadata: {
            name: `${singular}s.${group}`,
            annotations: { "api-approved.kubernetes.io": "unapproved, a stand-in" },
          },
          spec: {
            group,
            scope: "Namespaced",
            names: { kind, singular, plural: `${singular}s`, listKind: `${kind}List` },
            versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: object({ spec }) } }],
          },
        },
      });
    }),
    ...["standard-rwo", "premium-rwo"].map((name) =>
      storage.createStorageClass({
        body: {
          metadata: { name },
          provisioner: PROVISIONER,
          volumeBindingMode: "WaitForFirstConsumer",
          allowVolumeExpansion: true,
        },
      }),
    ),
  ];
  for (const creation of await Promise.allSettled(creations)) {
    if (creation.status === "rejected" && !isConflict(creation.reason)) throw creation.reason;
  }
}

/** The embedded control plane as a created cluster's. */
export function controlPlaneOf(kubeconfigPath: string): ControlPlane {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const cluster = config.getCurrentCluster();
  return { endpoint: new URL(cluster?.server ?? "").host, caCertificate: cluster?.caData ?? "" };
}

/**
 * Writes a command `gke-gcloud-auth-plugin` into `dir` that gives out the embedded cluster's token, as the real one gives
 * out Google's. It refuses to work without the flag that makes the real one use Application Default Credentials.
 */
export function writeAuthPlugin(dir: string, kubeconfigPath: string): void {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const tokenFile = path.join(dir, "token");
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  fs.writeFileSync(tokenFile, config.getCurrentUser()?.token ?? "", { mode: 0o600 });
  const script = [
    "#!/bin/sh",
    `[ "$1" = --use_application_default_credentials ] || { echo "no gcloud here" >&2; exit 1; }`,
    `printf '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat '${tokenFile}')"`,
    "",
  ];
  fs.writeFileSync(path.join(dir, AUTH_PLUGIN), script.join("\n"), { mode: 0o700 });
}

/** Annotations of a Service by which it gets a reserved address. Source: GKE's documentation of LoadBalancer Services. */
const BACKEND_SERVICE = "cloud.google.com/l4-rbs";
const ADDRESS = "networking.gke.io/load-balancer-ip-addresses";
const PAUSE_MS = 500;

/**
 * Gives every Service of type LoadBalancer the regional address that its annotation names, as GKE's controller does once
 * the address is reserved; nothing listens there. The result ends it.
 */
export function serveLoadBalancers(kubeconfigPath: string, inventory: Inventory): () => Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const core = config.makeApiClient(CoreV1Api);
  const reserved = (name: string) => {
    const found = [...inventory].find(
      ([key]) => key.startsWith("gcp:compute/address:Address ") && key.endsWith(`/addresses/${name}`),
    );
    return found && textAt(unwrap(found[1]), "address");
  };
  let ended = false;
  const work = (async () => {
    while (!ended) {
      // What fails in one round, a Service that is just being changed for example, is right in the next.
      const { items } = await core.listServiceForAllNamespaces().catch(() => ({ items: [] }));
      for (const service of items) {
        const { [ADDRESS]: address = "", [BACKEND_SERVICE]: kind } = service.metadata?.annotations ?? {};
        const ip = kind === "enabled" ? reserved(address) : undefined;
        if (service.spec?.type !== "LoadBalancer" || service.status?.loadBalancer?.ingress || !ip) continue;
        const { name = "", namespace = "" } = service.metadata ?? {};
        await core
          .replaceNamespacedServiceStatus({
            name,
            namespace,
            body: { ...service, status: { loadBalancer: { ingress: [{ ip }] } } },
          })
          .catch(() => undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  return () => {
    ended = true;
    return work;
  };
}
