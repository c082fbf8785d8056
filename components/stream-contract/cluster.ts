import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as os from "node:os";
import * as path from "node:path";
import { Duplex, PassThrough, Writable } from "node:stream";
import type { KubeConfig, V1Pod, V1PodList, V1Service } from "@kubernetes/client-node" with {
  "resolution-mode": "import",
};
import { ConnectError } from "./errors";
import type { ClusterConnection } from "./inputs";

/**
 * The Kubernetes client library. It is an ES module, so that CommonJS code can only import it this way, and large: a
 * second may pass until it is loaded for the first time.
 */
export const kubernetesClient = () => import("@kubernetes/client-node");

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? "";

/** What is used of a port-forward's WebSocket; the client library's own type for it needs a package of types. */
interface ForwardSocket {
  onclose: (() => void) | null;
  terminate(): void;
}

/**
 * The cluster that a connection means.
 *
 * @throws ConnectError `bad-kubeconfig`, without any of the kubeconfig's content.
 */
export async function loadCluster(connection: ClusterConnection): Promise<KubeConfig> {
  const { KubeConfig } = await kubernetesClient();
  const config = new KubeConfig();
  const { kubeconfig, context } = connection;
  const isContent = kubeconfig !== undefined && /[\n{]/.test(kubeconfig);
  const source =
    kubeconfig === undefined
      ? "the ambient kubeconfig"
      : isContent
        ? "the kubeconfig given"
        : `kubeconfig ${kubeconfig}`;
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else if (isContent) config.loadFromString(kubeconfig);
    else config.loadFromFile(kubeconfig.replace(/^~(?=\/|$)/, os.homedir()));
  } catch (error) {
    // A parser's message quotes the text around the mistake, which may be a key or a token.
    const why = codeOf(error) === "ENOENT" ? "no such file" : "it cannot be read as a kubeconfig";
    throw new ConnectError("bad-kubeconfig", `${source}: ${why}`);
  }
  if (context !== undefined) {
    const known = config.contexts.map(({ name }) => name);
    if (!known.includes(context)) {
      throw new ConnectError(
        "bad-kubeconfig",
        `${source} has no context ${context}; it has ${known.length > 0 ? known.join(", ") : "none"}`,
      );
    }
    config.setCurrentContext(context);
  }
  if (!config.getCurrentCluster()) {
    throw new ConnectError(
      "bad-kubeconfig",
      `${source} names no current cluster: set connection.context, or run kubectl config use-context`,
    );
  }
  if (kubeconfig === undefined && !ambientExists()) {
    // The client library falls back to localhost:8080 then, where something unrelated may listen.
    throw new ConnectError(
      "bad-kubeconfig",
      "there is no kubeconfig: set connection.kubeconfig or KUBECONFIG, or connect through connection.servers",
    );
  }
  return config;
}

function ambientExists(): boolean {
  const files = process.env.KUBECONFIG?.split(path.delimiter).filter(Boolean) ?? [
    path.join(os.homedir(), ".kube", "config"),
  ];
  return files.some((file) => fs.existsSync(file)) || process.env.KUBERNETES_SERVICE_HOST !== undefined;
}

const apiServer = (config: KubeConfig): string => config.getCurrentCluster()?.server ?? "";

async function requestOptions(config: KubeConfig): Promise<https.RequestOptions> {
  const options: https.RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    const [firstLine] = String((error as Error | undefined)?.message ?? error).split("\n");
    throw new ConnectError("bad-kubeconfig", `the kubeconfig's login to ${apiServer(config)} failed: ${firstLine}`);
  }
  return options;
}

/** The error for an API server that could not be asked. */
export function unreachable(config: KubeConfig, error: unknown): ConnectError {
  const why = (error as Error | undefined)?.message || codeOf(error) || "no reason given";
  return new ConnectError(
    "cluster-unreachable",
    `the Kubernetes API at ${apiServer(config)} cannot be reached: ${why}`,
  );
}

/** The error for a status that the API server answered with; `what` follows "may not". */
export function refused(config: KubeConfig, status: number, what: string, needs: string): ConnectError {
  const server = apiServer(config);
  if (status === 401) {
    return new ConnectError("cluster-login", `the Kubernetes API at ${server} does not accept the kubeconfig's login`);
  }
  if (status === 403) {
    const user = config.getCurrentUser()?.name ?? "";
    return new ConnectError("forbidden", `the kubeconfig's user ${user} may not ${what}: its role needs ${needs}`);
  }
  return new ConnectError("cluster-unreachable", `the Kubernetes API at ${server} answered ${status} to: ${what}`);
}

/** One GET from the API server; undefined where there is no such object. */
async function apiGet<T>(
  config: KubeConfig,
  resource: { readonly path: string; readonly what: string; readonly needs: string },
  signal: AbortSignal,
): Promise<T | undefined> {
  const options = await requestOptions(config);
  const url = new URL(apiServer(config).replace(/\/$/, "") + resource.path);
  const { request } = url.protocol === "http:" ? http : https;
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const outgoing = request(url, { ...options, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    outgoing.on("error", (error) => reject(unreachable(config, error)));
    outgoing.end();
  });
  if (status === 404) return undefined;
  if (status !== 200) throw refused(config, status, resource.what, resource.needs);
  return JSON.parse(body) as T;
}

const isReady = (pod: V1Pod): boolean =>
  pod.metadata?.deletionTimestamp === undefined &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

const nameOf = (pod: V1Pod): string => pod.metadata?.name ?? "";

/** Phase of a pod, and what its containers wait for. A container's last words stay out: they may quote a setting. */
function stateOf(pod: V1Pod): string {
  const waiting = (pod.status?.containerStatuses ?? []).flatMap(({ name, state }) =>
    state?.waiting?.reason ? `container ${name}: ${state.waiting.reason}` : [],
  );
  return [`${nameOf(pod)} is ${pod.status?.phase ?? "unknown"}`, ...waiting].join(", ");
}

/**
 * Name of a ready pod: the connection's pod, else the first one by name behind its Service.
 *
 * @throws ConnectError `no-pod`, `pod-not-ready`, `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function findPod(config: KubeConfig, connection: ClusterConnection, signal: AbortSignal): Promise<string> {
  const { namespace, service, pod } = connection;
  const base = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  let candidates: V1Pod[];
  if (pod !== undefined) {
    const resource = { path: `${base}/pods/${pod}`, what: `read pod ${namespace}/${pod}`, needs: "get on pods" };
    const found = await apiGet<V1Pod>(config, resource, signal);
    if (!found) throw new ConnectError("no-pod", `there is no pod ${namespace}/${pod}`);
    candidates = [found];
  } else {
    const resource = {
      path: `${base}/services/${service}`,
      what: `read Service ${namespace}/${service}`,
      needs: "get on services",
    };
    const found = await apiGet<V1Service>(config, resource, signal);
    if (!found)
      throw new ConnectError("no-pod", `there is no Service ${namespace}/${service}: is NATS deployed there?`);
    const selector = Object.entries(found.spec?.selector ?? {}).map(([key, value]) => `${key}=${value}`);
    if (selector.length === 0) {
      throw new ConnectError("no-pod", `Service ${namespace}/${service} selects no pods: set connection.pod`);
    }
    const list = await apiGet<V1PodList>(
      config,
      {
        path: `${base}/pods?labelSelector=${encodeURIComponent(selector.join(","))}`,
        what: `list the pods of namespace ${namespace}`,
        needs: "list on pods",
      },
      signal,
    );
    candidates = list?.items ?? [];
    if (candidates.length === 0) {
      throw new ConnectError(
        "no-pod",
        `there is no pod behind Service ${namespace}/${service} (${selector.join(", ")})`,
      );
    }
  }
  const ready = candidates.filter(isReady).map(nameOf).sort();
  if (ready[0] === undefined) {
    const states = candidates.map(stateOf).sort();
    throw new ConnectError("pod-not-ready", `no pod of NATS in namespace ${namespace} is ready: ${states.join(", ")}`);
  }
  return ready[0];
}

/**
 * Opens a port-forward to the pod.
 *
 * A port on which nothing listens shows only after the forward is open: the stream then breaks with a
 * {@link ConnectError} `refused`.
 *
 * @param milliseconds For the handshake with the API server.
 * @param signal Aborted when nobody waits any more: a forward that opens after that is closed again.
 * @throws ConnectError `forbidden`, `no-pod`, `cluster-login` or `cluster-unreachable`.
 */
export async function forwardPort(
  config: KubeConfig,
  target: { readonly namespace: string; readonly pod: string; readonly port: number },
  milliseconds: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const { PortForward } = await kubernetesClient();
  const { namespace, pod, port } = target;
  const timed = Object.assign(Object.create(config) as KubeConfig, {
    applyToHTTPSOptions: async (options: https.RequestOptions & { handshakeTimeout?: number }): Promise<void> => {
      Object.assign(options, await requestOptions(config), { handshakeTimeout: milliseconds });
    },
  });

  const fromPod = new PassThrough();
  const toPod = new PassThrough();
  const stream = Duplex.from({ readable: fromPod, writable: toPod });
  stream.on("error", () => undefined); // kept in `errored` for whoever uses the stream
  const complaints = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const words = chunk.toString().trim();
      // The channel opens with the port's number alone, which the client cuts off: no complaint yet.
      if (words === "") return done();
      stream.destroy(new ConnectError("refused", `pod ${namespace}/${pod} does not answer on port ${port}: ${words}`));
      done();
    },
  });
  try {
    const forward = new PortForward(timed);
    const opened: unknown = await forward.portForward(namespace, pod, [port], fromPod, complaints, toPod);
    const socket = opened as ForwardSocket; // a function only where reconnecting is asked for
    socket.onclose = () => fromPod.end();
    stream.once("close", () => socket.terminate());
    if (signal.aborted) stream.destroy();
    return stream;
  } catch (error) {
    stream.destroy();
    if (error instanceof ConnectError) throw error;
    const status = Number(/Unexpected server response: (\d+)/.exec(String((error as Error).message))?.[1]);
    if (status === 404) throw new ConnectError("no-pod", `there is no pod ${namespace}/${pod}`);
    if (!Number.isNaN(status)) {
      throw refused(
        config,
        status,
        `open a port-forward to pod ${namespace}/${pod}`,
        "create and get on pods/portforward",
      );
    }
    throw unreachable(config, error);
  }
}
