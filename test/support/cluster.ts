import * as crypto from "node:crypto";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  type KubernetesObject,
  type V1Pod,
} from "@kubernetes/client-node";
import { statefulSet } from "../../components/postgres/manifests";
import { forwardPort } from "../../contract/nats/port-forward";
import { openRelay } from "../../contract/nats/relay";
import { startCluster, type Cluster } from "../../embedded/cluster";
import { CLUSTER_TOOLS } from "../../embedded/tools";
import { ensureTools } from "../../embedded/toolchain";

/** A folder of its own for a cluster; it does not exist yet. */
export function clusterDir(): string {
  return path.join(os.tmpdir(), `noetl-nats-cluster-${crypto.randomBytes(6).toString("hex")}`);
}

export const clusterTools = () => ensureTools(CLUSTER_TOOLS);

/** @param more programs that run in the place of their stand-ins */
export async function launch(dir = clusterDir(), more: { gateway?: string } = {}): Promise<Cluster> {
  return startCluster({ dir, tools: await clusterTools(), ...more });
}

const UNTIL_SECONDS = 120;

/** Polls until `ready` gives a value; fails after two minutes and says what it saw last. */
export async function until<T>(what: string, ready: () => Promise<T | undefined>, seen?: () => unknown): Promise<T> {
  const deadline = Date.now() + UNTIL_SECONDS * 1000;
  for (;;) {
    const value = await ready();
    if (value !== undefined) return value;
    if (Date.now() > deadline)
      throw new Error(`waited ${UNTIL_SECONDS} s for ${what}; seen last: ${JSON.stringify(seen?.())}`);
    await sleep(100);
  }
}

/** What the tests do with a cluster's API. */
export class Client {
  readonly config = new KubeConfig();
  readonly core: CoreV1Api;
  private readonly objects: KubernetesObjectApi;

  constructor(readonly cluster: Cluster) {
    this.config.loadFromString(cluster.kubeconfig);
    this.core = this.config.makeApiClient(CoreV1Api);
    this.objects = KubernetesObjectApi.makeApiClient(this.config);
  }

  async create(...objects: KubernetesObject[]): Promise<void> {
    for (const each of objects) await this.objects.create(each);
  }

  async namespace(name: string): Promise<void> {
    await this.core.createNamespace({ body: { metadata: { name } } });
  }

  /** A pod's log as `kubectl logs` reads it; of its first container where none is named. */
  log(pod: V1Pod, options: { container?: string; previous?: boolean; tailLines?: number } = {}): Promise<string> {
    const { name = "", namespace = "" } = pod.metadata ?? {};
    const container = options.container ?? pod.spec?.containers[0]?.name ?? "";
    return this.core.readNamespacedPodLog({ name, namespace, ...options, container });
  }

  /** Waits until the log of the last container that ended holds a text. */
  async lastWords(namespace: string, app: string, text: string, fresh: (pod: V1Pod) => boolean = () => true) {
    let last = "";
    return until(
      `"${text}" in the log of ${namespace}/${app}`,
      async () => {
        const pod = await this.pod(namespace, app, (each) => fresh(each) && hasEnded(each));
        last = await this.log(pod, { previous: true }).catch((error: Error) => error.message);
        return last.includes(text) ? pod : undefined;
      },
      () => last,
    );
  }

  async scale(namespace: string, name: string, replicas: number): Promise<void> {
    const apps = this.config.makeApiClient(AppsV1Api);
    const body = [{ op: "add", path: "/spec/replicas", value: replicas }];
    await apps.patchNamespacedDeployment({ name, namespace, body });
  }

  async replaceStatefulSet(object: KubernetesObject): Promise<void> {
    const { name = "", namespace = "" } = object.metadata ?? {};
    const apps = this.config.makeApiClient(AppsV1Api);
    await apps.replaceNamespacedStatefulSet({ name, namespace, body: object });
  }

  async deleteStatefulSet(namespace: string, name: string): Promise<void> {
    await this.config.makeApiClient(AppsV1Api).deleteNamespacedStatefulSet({ name, namespace });
  }

  /** Sends one request to a pod's port through a port-forward over the API server. */
  async request(pod: V1Pod, port: number, path: string, options: RequestInit = {}): Promise<Response> {
    const { name = "", namespace = "" } = pod.metadata ?? {};
    const signal = AbortSignal.timeout(60_000);
    const relay = await openRelay(
      await forwardPort(this.config, { namespace, pod: name, port }, { milliseconds: 30_000, signal }),
    );
    try {
      const response = await fetch(`http://127.0.0.1:${relay.port}${path}`, { signal, ...options });
      // Read whole, as the connection ends with this call.
      const text = await response.text();
      return new Response(text || null, { status: response.status, headers: response.headers });
    } finally {
      relay.close();
    }
  }

  /** The first pod with the label `app=...` or of that name for which `holds`, but those that are deleted and end. */
  async pod(namespace: string, app: string, holds: (pod: V1Pod) => boolean): Promise<V1Pod> {
    let last: V1Pod[] = [];
    return until(
      `pod ${namespace}/${app}`,
      async () => {
        const { items } = await this.core.listNamespacedPod({ namespace });
        last = items.filter(
          ({ metadata }) =>
            (metadata?.name === app || metadata?.labels?.app === app) && metadata.deletionTimestamp === undefined,
        );
        return last.find(holds);
      },
      () => last.map((pod) => pod.status),
    );
  }
}

export const isReady = (pod: V1Pod): boolean =>
  pod.status?.conditions?.some((each) => each.type === "Ready" && each.status === "True") ?? false;

/** How often a pod's first container was started again. */
export const restarts = (pod: V1Pod): number => pod.status?.containerStatuses?.[0]?.restartCount ?? 0;

const hasEnded = (pod: V1Pod): boolean => pod.status?.containerStatuses?.[0]?.lastState?.terminated !== undefined;

interface Workload {
  namespace: string;
  app: string;
  container: object;
}

export function deployment({ namespace, app, container }: Workload): KubernetesObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: app, namespace },
    spec: {
      selector: { matchLabels: { app } },
      template: { metadata: { labels: { app } }, spec: { containers: [container] } },
    },
  } as KubernetesObject;
}

export function service(namespace: string, name: string, app: string, port: number): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { selector: { app }, ports: [{ port }] },
  } as KubernetesObject;
}

export const PASSWORD = "right-Password.1";

/** nats.conf of the tests: one user, whose password comes from the pod's environment. */
export const NATS_CONF = `server_name: $SERVER_NAME
port: 4222
http_port: 8222
jetstream { store_dir: "/data", max_memory_store: 64MB, max_file_store: 64MB }
authorization { users: [{user: noetl, password: $NATS_PASSWORD}] }
`;

/** A StatefulSet `nats` like the chart's: ConfigMap, Secret, volume, service, reloader. */
export function natsObjects(namespace: string, config = NATS_CONF, replicas = 1): KubernetesObject[] {
  const app = "nats";
  const metadata = { name: app, namespace };
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "nats.conf": config } },
    { apiVersion: "v1", kind: "Secret", metadata, stringData: { password: `"${PASSWORD}"` } },
    service(namespace, app, app, 4222),
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata,
      spec: {
        serviceName: app,
        replicas,
        podManagementPolicy: "Parallel",
        selector: { matchLabels: { app } },
        template: {
          metadata: { labels: { app, "app.kubernetes.io/name": app, "app.kubernetes.io/component": app } },
          spec: {
            containers: [
              {
                name: "nats",
                image: "nats",
                ports: [{ name: "nats", containerPort: 4222 }],
                env: [
                  { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                  { name: "SERVER_NAME", value: "$(POD_NAME)" },
                  { name: "NATS_PASSWORD", valueFrom: { secretKeyRef: { name: app, key: "password" } } },
                ],
                volumeMounts: [{ name: "data", mountPath: "/data" }],
              },
              { name: "reloader", image: "reloader" },
            ],
            volumes: [{ name: "config", configMap: { name: app } }],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
          },
        ],
      },
    },
  ] as KubernetesObject[];
}

export const object = (apiVersion: string, kind: string, rest: unknown): KubernetesObject =>
  Object.assign({ apiVersion, kind }, rest);

export const secret = (namespace: string, name: string, stringData: Record<string, string>): KubernetesObject =>
  object("v1", "Secret", { metadata: { name, namespace }, stringData });

/** The Postgres of the component, with its credentials from a Secret. */
export const postgres = (namespace: string, secretName: string): KubernetesObject =>
  object(
    "apps/v1",
    "StatefulSet",
    statefulSet({ namespace, image: "postgres:17.4", adminUser: "postgres", secretName, storageSize: "1Gi" }),
  );

const APPS = {
  server: { app: "noetl-server", port: 8082 },
  worker: { app: "noetl-worker", port: undefined },
  gateway: { app: "gateway", port: 8090 },
} as const;

/** NoETL's server or worker, or the gateway, with the environment that the charts give it. */
export function noetl(
  namespace: string,
  role: keyof typeof APPS,
  natsNamespace: string,
  more: Record<string, string> = {},
  image = "noetl",
): KubernetesObject {
  const env = {
    NATS_URL: `nats://noetl:${PASSWORD}@nats.${natsNamespace}.svc.cluster.local:4222`,
    NOETL_SERVER_URL: `http://noetl.${namespace}.svc.cluster.local:8082`,
    NOETL_BASE_URL: `http://noetl.${namespace}.svc.cluster.local:8082`,
    CORS_ALLOWED_ORIGINS: "https://gui.test",
    ...more,
  };
  const { app, port } = APPS[role];
  return deployment({
    namespace,
    app,
    container: {
      name: role,
      image,
      env: Object.entries(env).map(([name, value]) => ({ name, value })),
      ...(port === undefined ? {} : { ports: [{ containerPort: port }] }),
    },
  });
}
