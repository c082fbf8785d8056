import { LOCATIONS } from "../../contract/facts";
import type { Answer, GatewayFacts, ProbeFacts } from "./evidence";
import { answer, type Cluster } from "./kubernetes";
import { askPod, askUrl, nameOf, runningPod, type HttpAnswer, type Pod, type Question } from "./pod-http";
import { harmless } from "./text";
import type { Target } from "./target";

/** How much of an answer's body is kept, in characters. */
const BODY_LENGTH = 2_000;

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
  { origin, mask }: { origin: string | undefined; mask: (text: string) => string },
): Promise<GatewayFacts> {
  const from = origin ?? target.settings.corsAllowedOrigins[0] ?? "";
  const { gatewayPublicUrl: publicUrl } = target.settings;
  const { deployment: app, port } = LOCATIONS.gateway;
  const namespace = target.namespaces.gateway ?? LOCATIONS.gateway.namespace;
  const pod = await answer(() => runningPod(cluster, { namespace, app, port, who: "the gateway" }));
  const questions = QUESTIONS.map((question) => ({ ...question, headers: { ...question.headers, origin: from } }));
  const direct = pod.ok
    ? await Promise.all(questions.map((question) => answer(() => askGateway(cluster, pod.value, question))))
    : [pod];
  const outside =
    publicUrl === undefined
      ? []
      : await Promise.all(questions.map((question) => answer(() => askOutside(cluster, publicUrl, question))));
  const masked = (found: Answer<ProbeFacts>): Answer<ProbeFacts> =>
    // Before it is cut: half a credential is not found any more.
    found.ok ? { ok: true, value: { ...found.value, body: mask(found.value.body).slice(0, BODY_LENGTH) } } : found;
  return {
    origin: from,
    allowedOrigins: target.settings.corsAllowedOrigins,
    probes: direct.map(masked),
    outside: outside.map(masked),
  };
}

async function askGateway(cluster: Cluster, pod: Pod, question: Question): Promise<ProbeFacts> {
  const by = `pod ${pod.namespace}/${pod.name}`;
  const answer = await cluster.slowness.watch(`${by} to answer ${nameOf(question)}`, () =>
    askPod(cluster, pod, question),
  );
  return probeFacts(answer, question, by);
}

async function askOutside(cluster: Cluster, url: string, question: Question): Promise<ProbeFacts> {
  const answer = await cluster.slowness.watch(`${url} to answer ${nameOf(question)}`, () => askUrl(url, question));
  return probeFacts(answer, question, url);
}

function probeFacts({ status, headers, body }: HttpAnswer, question: Question, by: string): ProbeFacts {
  const answeredBy = [headers.server, headers.via].filter((each) => each !== undefined).join(", ");
  const allowOrigin = headers["access-control-allow-origin"];
  return {
    request: nameOf(question),
    by,
    status,
    allowOrigin,
    answeredBy: answeredBy === "" ? undefined : answeredBy,
    body: harmless(body),
  };
}
