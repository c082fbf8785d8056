/** NATS through the Kubernetes API: the pod behind a Service, and a byte stream to its client port. */
import * as https from "node:https";
import { Duplex, PassThrough, Writable } from "node:stream";
import type { KubeConfig } from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { ConnectError } from "../errors";
import type { ClusterConnection } from "../inputs";
import { type ClusterAccess } from "../kubernetes/kubeconfig";
import { requestOptions, unreachable, refused } from "../kubernetes/api";
import { type Kinds, listObjects, type Pod, readObject } from "../kubernetes/objects";

/** What is used of a port-forward's WebSocket; the client library's own type for it needs a package of types. */
interface ForwardSocket {
  onclose: (() => void) | null;
  terminate(): void;
}

const isReady = (pod: Pod): boolean =>
  pod.metadata?.deletionTimestamp === undefined &&
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

const nameOf = (pod: Pod): string => pod.metadata?.name ?? "";

/** Phase of a pod, and what its containers wait for. A container's last words stay out: they may quote a setting. */
function stateOf(pod: Pod): string {
  const waiting = (pod.status?.containerStatuses ?? []).flatMap(({ name, state }) =>
    state?.waiting?.reason ? `container ${name}: ${state.waiting.reason}` : [],
  );
  return [`${nameOf(pod)} is ${pod.status?.phase ?? "unknown"}`, ...waiting].join(", ");
}

/** A pod, and the port on which it takes connections. */
interface Endpoint {
  readonly pod: string;
  readonly port: number;
}

/**
 * A ready pod: the connection's pod, else the first one by name behind its Service. A Service may lead from its own port to
 * another one of the pod.
 *
 * @throws ConnectError `no-pod`, `pod-not-ready`, `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function findPod(
  config: ClusterAccess,
  connection: ClusterConnection,
  signal: AbortSignal,
): Promise<Endpoint> {
  const { namespace, pod, port } = connection;
  const { candidates, service } =
    pod === undefined
      ? await podsBehind(config, connection, signal)
      : { candidates: [await onePod(config, { namespace, pod }, signal)], service: undefined };
  const [ready] = candidates.filter(isReady).sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  if (ready === undefined) {
    const states = candidates.map(stateOf).sort();
    throw new ConnectError("pod-not-ready", `no pod of NATS in namespace ${namespace} is ready: ${states.join(", ")}`);
  }
  return { pod: nameOf(ready), port: podPort(port, service, ready) };
}

async function onePod(
  config: ClusterAccess,
  { namespace, pod }: { namespace: string; pod: string },
  signal: AbortSignal,
): Promise<Pod> {
  const found = await readObject(config, { kind: "pods", namespace, name: pod }, signal);
  if (!found) throw new ConnectError("no-pod", `there is no pod ${namespace}/${pod}`);
  return found;
}

async function podsBehind(
  config: ClusterAccess,
  { namespace, service: name }: ClusterConnection,
  signal: AbortSignal,
): Promise<{ candidates: readonly Pod[]; service: Kinds["services"] }> {
  const service = await readObject(config, { kind: "services", namespace, name }, signal);
  if (!service) throw new ConnectError("no-pod", `there is no Service ${namespace}/${name}: is NATS deployed there?`);
  const selector = Object.entries(service.spec?.selector ?? {}).map(([key, value]) => `${key}=${value}`);
  if (selector.length === 0) {
    throw new ConnectError("no-pod", `Service ${namespace}/${name} selects no pods: set connection.pod`);
  }
  const query = { labelSelector: selector.join(",") };
  const { items: candidates } = await listObjects(config, { kind: "pods", namespace, query }, signal);
  if (candidates.length === 0) {
    throw new ConnectError("no-pod", `there is no pod behind Service ${namespace}/${name} (${selector.join(", ")})`);
  }
  return { candidates, service };
}

/** The pod's port behind one of a Service, whose target may be a number or a name; else the same number. */
function podPort(port: number, service: Kinds["services"] | undefined, pod: Pod): number {
  const target: unknown = service?.spec?.ports?.find((each) => each.port === port)?.targetPort;
  if (typeof target === "number") return target;
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.find(({ name }) => name !== undefined && name === target)?.containerPort ?? port;
}

/**
 * Opens a port-forward to the pod.
 *
 * A port on which nothing listens shows only after the forward is open: the stream then breaks with a
 * {@link ConnectError} `refused`.
 *
 * @param patience `milliseconds` for the handshake with the API server; `signal` is aborted when nobody waits any more: a
 *   forward that opens after that is closed again.
 * @throws ConnectError `forbidden`, `no-pod`, `cluster-login` or `cluster-unreachable`.
 */
export async function forwardPort(
  config: ClusterAccess,
  target: { readonly namespace: string; readonly pod: string; readonly port: number },
  { milliseconds, signal }: { readonly milliseconds: number; readonly signal: AbortSignal },
): Promise<Duplex> {
  // Of the client library only the part that is needed: the whole takes a second to load.
  const { PortForward } = await import("@kubernetes/client-node/dist/portforward.js");
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
  const errors = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const words = chunk.toString().trim();
      // The channel opens with the port's number alone, which the client cuts off: no error yet.
      if (words === "") return done();
      stream.destroy(new ConnectError("refused", `pod ${namespace}/${pod} does not answer on port ${port}: ${words}`));
      done();
    },
  });
  try {
    const forward = new PortForward(timed);
    const opened: unknown = await forward.portForward(namespace, pod, [port], fromPod, errors, toPod);
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
      const what = `open a port-forward to pod ${namespace}/${pod}`;
      throw refused(config, status, { what, needs: "create and get on pods/portforward" });
    }
    throw unreachable(config, error);
  }
}
