import * as http from "node:http";
import * as https from "node:https";
import { forwardPort } from "../components/stream-contract/cluster";
import { within } from "../components/stream-contract/deadline";
import { ConnectError } from "../components/stream-contract/errors";
import { PLACES } from "../contract/noetl";
import type { Answer, GatewayFacts, ProbeFacts } from "./evidence";
import { answer, type Cluster } from "./cluster";
import type { Target } from "./target";

/** Longest wait for one answer of the gateway, in milliseconds. */
const ANSWER_MILLISECONDS = 4_000;
/** How much of an answer's body is kept, in characters. */
const BODY_LENGTH = 200;

interface Question {
  readonly method: "OPTIONS" | "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * What a browser's page asks at sign-in, and what cannot succeed: the preflight of the sign-in check, the check itself
 * with a session that does not exist (NoETL must be asked about it), and a request without a session.
 */
const QUESTIONS: readonly Question[] = [
  {
    method: "OPTIONS",
    path: "/api/auth/validate",
    headers: { "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  },
  {
    method: "POST",
    path: "/api/auth/validate",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ session_token: "noetl-nats-doctor" }),
  },
  { method: "GET", path: "/noetl/health" },
];

/** Asks the gateway's pod through a port-forward, and its public URL where the stack has one. */
export async function probeGateway(
  cluster: Cluster,
  target: Target,
  origin: string | undefined,
  mask: (text: string) => string,
): Promise<GatewayFacts> {
  const from = origin ?? target.settings.corsAllowedOrigins[0] ?? "";
  const { gatewayPublicUrl: publicUrl } = target.settings;
  const pod = await answer(() => gatewayPod(cluster, target.namespaces.gateway ?? PLACES.gateway.namespace));
  const direct = pod.ok
    ? await Promise.all(QUESTIONS.map((question) => answer(() => askPod(cluster, pod.value, question, from))))
    : [pod];
  const outside =
    publicUrl === undefined
      ? []
      : await Promise.all(QUESTIONS.map((question) => answer(() => askUrl(publicUrl, question, from))));
  const masked = (found: Answer<ProbeFacts>): Answer<ProbeFacts> =>
    found.ok ? { ok: true, value: { ...found.value, body: mask(found.value.body) } } : found;
  return {
    origin: from,
    allowedOrigins: target.settings.corsAllowedOrigins,
    probes: direct.map(masked),
    outside: outside.map(masked),
  };
}

interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** A pod of the gateway: a ready one, else one that runs, since that may answer too. */
async function gatewayPod(cluster: Cluster, namespace: string): Promise<Pod> {
  const found = await cluster.ask(`list the pods of namespace ${namespace}`, "list on pods", () =>
    cluster.core.listNamespacedPod({ namespace, labelSelector: `app=${PLACES.gateway.deployment}` }),
  );
  const pods = (found?.items ?? []).filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  if (pods.length === 0) throw new ConnectError("no-pod", `there is no pod of the gateway in namespace ${namespace}`);
  const ready = pods.find(({ status }) => status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"));
  const running = pods.find(({ status }) => status?.containerStatuses?.some(({ state }) => state?.running));
  const pod = ready ?? running;
  if (!pod) throw new ConnectError("pod-not-ready", `no pod of the gateway in namespace ${namespace} runs`);
  return {
    namespace,
    name: pod.metadata?.name ?? "",
    port: pod.spec?.containers[0]?.ports?.[0]?.containerPort ?? PLACES.gateway.port,
  };
}

async function askPod(cluster: Cluster, pod: Pod, question: Question, origin: string): Promise<ProbeFacts> {
  const by = `pod ${pod.namespace}/${pod.name}`;
  return within(ANSWER_MILLISECONDS, `${by} to answer ${nameOf(question)}`, async (signal) => {
    const stream = await forwardPort(
      cluster.config,
      { namespace: pod.namespace, pod: pod.name, port: pod.port },
      ANSWER_MILLISECONDS,
      signal,
    );
    try {
      return await request(
        http.request({ ...headOf(question, origin), host: "gateway", createConnection: () => stream, signal }),
        question,
        by,
        () => stream.errored,
      );
    } finally {
      stream.destroy();
    }
  });
}

async function askUrl(url: string, question: Question, origin: string): Promise<ProbeFacts> {
  const target = new URL(url.replace(/\/$/, "") + question.path);
  return within(ANSWER_MILLISECONDS, `${url} to answer ${nameOf(question)}`, (signal) => {
    const { request: open } = target.protocol === "http:" ? http : https;
    return request(open(target, { ...headOf(question, origin), path: target.pathname, signal }), question, url);
  });
}

const nameOf = ({ method, path }: Question): string => `${method} ${path}`;

const headOf = ({ method, path, headers }: Question, origin: string): http.RequestOptions => ({
  method,
  path,
  headers: { ...headers, origin, connection: "close", "user-agent": "noetl-nats doctor" },
});

/** By the codes of Node's resolver, of its check of certificates, and of OpenSSL. */
const problemOf = (code: string): "host-unknown" | "tls" | "refused" =>
  /^(ENOTFOUND|EAI_AGAIN)$/.test(code)
    ? "host-unknown"
    : /CERT|TLS|SSL|SIGNED|VERIFY|EPROTO/.test(code)
      ? "tls"
      : "refused";

function request(
  outgoing: http.ClientRequest,
  question: Question,
  by: string,
  errored: () => Error | null = () => null,
): Promise<ProbeFacts> {
  return new Promise((resolve, reject) => {
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const why = errored();
      reject(
        why instanceof ConnectError
          ? why
          : new ConnectError(
              problemOf(error.code ?? ""),
              `${by} gives no answer to ${nameOf(question)}: ${error.code ?? error.message}`,
            ),
      );
    });
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { headers } = response;
        const answeredBy = [headers.server, headers.via].filter((each) => each !== undefined).join(", ");
        const allowOrigin = headers["access-control-allow-origin"];
        resolve({
          request: nameOf(question),
          by,
          status: response.statusCode ?? 0,
          ...(allowOrigin === undefined ? {} : { allowOrigin }),
          ...(answeredBy === "" ? {} : { answeredBy }),
          body: Buffer.concat(chunks).toString("utf8").slice(0, BODY_LENGTH),
        });
      });
    });
    outgoing.end(question.body);
  });
}
