/** Requests to a program in a pod, through a port-forward. */
import * as http from "node:http";
import * as https from "node:https";
import { forwardPort } from "../../contract/nats/port-forward";
import { within } from "../../contract/deadline";
import { ConnectError } from "../../contract/errors";
import type { Cluster } from "./kubernetes";

/** Longest wait for a port-forward, and after it for an answer, in milliseconds. */
const FORWARD_MILLISECONDS = 10_000;
const ANSWER_MILLISECONDS = 10_000;
/** How much of an answer is read, in bytes. */
const BODY_BYTES = 4 * 1024 * 1024;

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface Question {
  readonly method: "OPTIONS" | "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export const nameOf = ({ method, path }: Question): string => `${method} ${path}`;

/** By the codes of Node's resolver, of its check of certificates, and of OpenSSL. */
const problemOf = (code: string): "host-unknown" | "tls" | "refused" =>
  /^(ENOTFOUND|EAI_AGAIN)$/.test(code)
    ? "host-unknown"
    : /CERT|TLS|SSL|SIGNED|VERIFY|EPROTO/.test(code)
      ? "tls"
      : "refused";

/**
 * A pod of a workload: a ready one, else one that runs, since that may answer too.
 *
 * @param who Whose pod it is, in words that follow "no pod of".
 * @throws ConnectError `no-pod` or `pod-not-ready`, or why the pods could not be listed.
 */
export async function runningPod(
  cluster: Cluster,
  { namespace, app, port, who }: { namespace: string; app: string; port: number; who: string },
): Promise<Pod> {
  const found = await cluster.list("pods", namespace, { labelSelector: `app=${app}` });
  const pods = found.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  if (pods.length === 0) throw new ConnectError("no-pod", `there is no pod of ${who} in namespace ${namespace}`);
  const ready = pods.find(({ status }) => status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"));
  const running = pods.find(({ status }) => status?.containerStatuses?.some(({ state }) => state?.running));
  const pod = ready ?? running;
  if (!pod) throw new ConnectError("pod-not-ready", `no pod of ${who} in namespace ${namespace} runs`);
  return {
    namespace,
    name: pod.metadata?.name ?? "",
    port: pod.spec?.containers[0]?.ports?.[0]?.containerPort ?? port,
  };
}

/** Asks a program in a pod. The way there and the answer have a deadline each. @throws ConnectError */
export async function askPod(cluster: Cluster, pod: Pod, question: Question): Promise<HttpAnswer> {
  const by = `pod ${pod.namespace}/${pod.name}`;
  const opening = `the Kubernetes API to open a port-forward to ${by}`;
  const stream = await within(FORWARD_MILLISECONDS, opening, (signal) =>
    forwardPort(
      cluster.access,
      { namespace: pod.namespace, pod: pod.name, port: pod.port },
      { milliseconds: FORWARD_MILLISECONDS, signal },
    ),
  );
  try {
    return await answered(by, question, (signal) =>
      requested(http.request({ ...headOf(question), host: pod.name, createConnection: () => stream, signal }), {
        question,
        by,
        errored: () => stream.errored,
      }),
    );
  } finally {
    stream.destroy();
  }
}

/** Asks what stands at an address. @throws ConnectError */
export const askUrl = (url: string, question: Question): Promise<HttpAnswer> => {
  const target = new URL(url.replace(/\/$/, "") + question.path);
  const { request } = target.protocol === "http:" ? http : https;
  return answered(url, question, (signal) =>
    requested(request(target, { ...headOf(question), path: target.pathname, signal }), { question, by: url }),
  );
};

const answered = <T>(by: string, question: Question, work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
  within(ANSWER_MILLISECONDS, `${by} to answer ${nameOf(question)}`, work);

const headOf = ({ method, path, headers }: Question): http.RequestOptions => ({
  method,
  path,
  headers: { ...headers, connection: "close", "user-agent": "noetl-nats doctor" },
});

function requested(
  outgoing: http.ClientRequest,
  { question, by, errored = () => null }: { question: Question; by: string; errored?: () => Error | null },
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const why = errored();
      const said = `${by} gives no answer to ${nameOf(question)}: ${error.code ?? error.message}`;
      reject(why instanceof ConnectError ? why : new ConnectError(problemOf(error.code ?? ""), said));
    });
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        if (bytes < BODY_BYTES) chunks.push(chunk);
        bytes += chunk.length;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    outgoing.end(question.body);
  });
}
