/** A real playbook, from NoETL's API through the stream to a worker and back. */
import * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { findPod, forwardPort } from "../../contract/nats/port-forward";
import { openSession } from "../../contract/nats/connect";
import { Deadline, within } from "../../contract/deadline";
import { ConnectError } from "../../contract/errors";
import type { Session } from "../../contract/nats/session";
import { plural } from "../../contract/wording";
import { LOCATIONS } from "../../contract/facts";
import type { Checklist, Line } from "./checklist";
import { Cluster } from "./kubernetes";
import { shortened } from "./log-lines";
import { getMessage } from "./repair/messages";
import { masker } from "../../contract/mask";
import { contractInputs, type Target } from "./target";

/** How long an execution may take until it is given up, in seconds. It takes less than one where all is well. */
const EXECUTION_SECONDS = 60;
/** How long after its end a worker may take to acknowledge, in milliseconds. */
const ACKNOWLEDGE_MILLISECONDS = 10_000;
/** Longest wait for one answer, in milliseconds. */
const ANSWER_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 100;
/** How many messages are looked through for those of the execution: others may arrive in the meantime. */
const MOST_MESSAGES = 1000;

/** Where the playbook stands in NoETL's catalog. */
export const PLAYBOOK_PATH = "noetl-nats/check";

/** Two steps, so that one command follows from another, and neither does anything. */
export const PLAYBOOK = `apiVersion: noetl.io/v2
kind: Playbook
metadata:
  name: check
  path: ${PLAYBOOK_PATH}
  description: Run by noetl-nats to see that commands get through. Touches nothing.
workflow:
  - step: start
    tool:
      kind: noop
    next:
      spec:
        mode: exclusive
      arcs:
        - step: end
  - step: end
    tool:
      kind: noop
`;

const SECTION = "Playbook";

/**
 * Registers the playbook where NoETL does not have it yet, executes it, and follows its commands: through the stream, to
 * the acknowledgement, to the end of the execution. Nothing is changed but NoETL's own record of it.
 *
 * @returns a line of the checklist: `wrong` where NoETL does not get to the end, `unknown` where it cannot be asked
 */
export async function executeCheck(target: Target): Promise<Line> {
  const mask = masker(target.secrets, [target.nats.user]);
  const line = (status: Line["status"], found: string): Line => ({
    section: SECTION,
    item: PLAYBOOK_PATH,
    status,
    found: shortened(mask(found)),
  });
  const deadline = new Deadline(EXECUTION_SECONDS * 1000);
  try {
    const api = await Api.open(target, deadline);
    const session = await openSession(contractInputs(target, EXECUTION_SECONDS), deadline);
    try {
      return await follow(api, session, { target, deadline, line });
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ApiError) return line("wrong", error.message);
    if (error instanceof ConnectError) return line("unknown", error.message);
    throw error;
  }
}

/** A checklist with one line more. */
export function withLine(found: Checklist, line: Line): Checklist {
  return {
    ...found,
    lines: [...found.lines, line],
    holds: found.holds && (line.status === "ok" || line.status === "note"),
  };
}

interface Following {
  readonly target: Target;
  readonly deadline: Deadline;
  readonly line: (status: Line["status"], found: string) => Line;
}

async function follow(api: Api, session: Session, { target, deadline, line }: Following): Promise<Line> {
  const { natsStream, natsConsumer } = target.settings;
  const version = await registered(api);
  const before = (await session.streamInfo(natsStream, deadline))?.state.last_seq ?? 0;
  const started = Date.now();
  const { execution_id: id } = await api.post<{ execution_id: string }>("/api/execute", {
    path: PLAYBOOK_PATH,
    version,
  });
  const end = await ended(api, id, deadline);
  const took = `${((Date.now() - started) / 1000).toFixed(1)} s`;
  const messages = await messagesOf(session, { stream: natsStream, id, after: before }, deadline);
  if (end !== "COMPLETED") {
    return line(
      "wrong",
      `execution ${id} is ${end} after ${took}; ${plural(messages.length, "message")} in ${natsStream}`,
    );
  }
  const last = messages.at(-1);
  if (last === undefined) return line("wrong", `COMPLETED in ${took}, but none of its messages is in ${natsStream}`);
  const open = await unacknowledged(session, { stream: natsStream, consumer: natsConsumer, last }, deadline);
  const found = `COMPLETED in ${took}; ${plural(messages.length, "message")}`;
  return open === 0
    ? line("ok", `${found}, all acknowledged (execution ${id})`)
    : line(
        "wrong",
        `${found}, but after ${ACKNOWLEDGE_MILLISECONDS / 1000} s ${open} not acknowledged by ${natsConsumer}`,
      );
}

/** The version of our playbook in NoETL's catalog: the latest where it is ours word for word, else a new one. */
async function registered(api: Api): Promise<number> {
  const found = await api.ask<{ version: number; content: string }>("POST", "/api/catalog/resource", {
    path: PLAYBOOK_PATH,
    version: "latest",
  });
  if (found.status === 200 && found.body.content === PLAYBOOK) return found.body.version;
  const { version } = await api.post<{ version: number }>("/api/catalog/register", {
    content: PLAYBOOK,
    resource_type: "Playbook",
  });
  return version;
}

/** How an execution ended, or what NoETL says of it when the time is up. */
async function ended(api: Api, id: string, deadline: Deadline): Promise<string> {
  for (;;) {
    const { body } = await api.ask<{ completed?: boolean; failed?: boolean; current_step?: string | null }>(
      "GET",
      `/api/executions/${id}/status`,
    );
    if (body.failed) return "FAILED";
    if (body.completed) return "COMPLETED";
    if (deadline.remaining() <= ACKNOWLEDGE_MILLISECONDS) {
      return body.current_step ? `still at step ${body.current_step}` : "still PENDING";
    }
    await sleep(POLL_MILLISECONDS);
  }
}

/**
 * Sequences of the messages that announce commands of an execution.
 *
 * @throws ConnectError where NATS does not answer, which says nothing of the messages.
 */
export async function messagesOf(
  session: Session,
  { stream, id, after }: { stream: string; id: string; after: number },
  deadline: Deadline,
): Promise<number[]> {
  const last = (await session.streamInfo(stream, deadline))?.state.last_seq ?? 0;
  const found: number[] = [];
  for (let sequence = after + 1; sequence <= Math.min(last, after + MOST_MESSAGES); sequence++) {
    const message = await getMessage(session, stream, { seq: sequence, patience: deadline.remaining() });
    // Not parsed: the id is a number beyond those that JSON.parse keeps whole.
    if (message && new RegExp(`"execution_id":\\s*"?${id}\\b`).test(message.data.toString())) found.push(sequence);
  }
  return found;
}

/** How many messages up to `last` the consumer still waits for; more than none only when the wait was in vain. */
async function unacknowledged(
  session: Session,
  { stream, consumer, last }: { stream: string; consumer: string; last: number },
  deadline: Deadline,
): Promise<number> {
  const patience = new Deadline(Math.min(ACKNOWLEDGE_MILLISECONDS, deadline.remaining()));
  for (;;) {
    const info = await session.consumerInfo(stream, consumer, deadline);
    if (!info) throw new ConnectError("refused-request", `there is no consumer ${consumer} on ${stream}`);
    if (info.ack_floor.stream_seq >= last) return 0;
    if (info.num_ack_pending === 0 && info.delivered.stream_seq >= last) return 0;
    if (patience.remaining() === 0) return Math.max(1, info.num_ack_pending);
    await patience.pause(POLL_MILLISECONDS);
  }
}

/** NoETL refuses, or cannot do, what it is asked for; the message quotes it. */
class ApiError extends Error {}

/** NoETL's API, through a port-forward to a ready pod of the server. */
class Api {
  private constructor(
    private readonly cluster: Cluster,
    private readonly server: { readonly namespace: string; readonly pod: string },
    private readonly deadline: Deadline,
  ) {}

  /** @throws ConnectError where there is no way to a ready pod. */
  static async open(target: Target, deadline: Deadline): Promise<Api> {
    const namespace = target.namespaces.noetl;
    if (namespace === undefined) throw new ConnectError("no-pod", "the stack does not deploy NoETL");
    const cluster = await Cluster.open(target.cluster);
    const { service, port } = LOCATIONS.noetl;
    const { pod } = await within(deadline.step(), `a ready pod of NoETL's server in namespace ${namespace}`, (signal) =>
      findPod(cluster.access, { ...target.cluster, namespace, service, port }, signal),
    );
    return new Api(cluster, { namespace, pod }, deadline);
  }

  /** @throws ApiError where the answer is not a success. */
  async post<T>(path: string, body: object): Promise<T> {
    const answer = await this.ask<T>("POST", path, body);
    if (answer.status === 200) return answer.body;
    throw new ApiError(`NoETL's server answers ${answer.status} to POST ${path}: ${detailOf(answer.body)}`);
  }

  /** @throws ConnectError where there is no answer. */
  async ask<T>(method: "GET" | "POST", path: string, body?: object): Promise<{ status: number; body: T }> {
    const { namespace, pod } = this.server;
    const time = this.deadline.step(ANSWER_MILLISECONDS);
    return within(time, `pod ${namespace}/${pod} to answer ${method} ${path}`, async (signal) => {
      const stream = await forwardPort(
        this.cluster.access,
        { namespace, pod, port: LOCATIONS.noetl.port },
        { milliseconds: time, signal },
      );
      try {
        const headers = { "content-type": "application/json", connection: "close", "user-agent": "noetl-nats" };
        const options = { method, path, headers, host: "noetl", createConnection: () => stream, signal };
        const { status, text } = await send(http.request(options), body).catch((error: unknown) => {
          throw stream.errored instanceof ConnectError
            ? stream.errored
            : new ConnectError(
                "refused",
                `pod ${namespace}/${pod} gives no answer to ${method} ${path}: ${String(error)}`,
              );
        });
        return { status, body: parsed<T>(text) };
      } finally {
        stream.destroy();
      }
    });
  }
}

function send(request: http.ClientRequest, body?: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** A proxy's page is not JSON. */
function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    return { detail: text } as T;
  }
}

const detailOf = (body: unknown): string => {
  const { detail } = (body ?? {}) as { detail?: unknown };
  return typeof detail === "string" ? detail : JSON.stringify(detail ?? body);
};
