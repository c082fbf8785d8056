/** Executions that wait for a worker, by NoETL's own API (v2.8.9: `GET /api/executions`, `/api/executions/ID`, `/api/commands/EVENT`). */
import { ConnectError } from "../../contract/errors";
import { LOCATIONS } from "../../contract/facts";
import type { Cluster } from "./cluster";
import type { ExecutionFacts } from "./evidence";
import { askPod, runningPod, type Pod } from "./pod-http";
import { harmless } from "./text";

/** Executions whose commands are asked for: the ones that wait the longest. */
const DETAILED = 5;

/**
 * Executions whose last event is a command that no worker has taken (status PENDING), the oldest first. The API tells of the
 * last 500 executions.
 *
 * @throws ConnectError where NoETL's server could not be asked, or has no such API.
 */
export async function readExecutions(cluster: Cluster, namespace: string): Promise<readonly ExecutionFacts[]> {
  const { serverDeployment: app, port } = LOCATIONS.noetl;
  const pod = await runningPod(cluster, { namespace, app, port, who: "NoETL's server" });
  const found = await get(cluster, pod, "/api/executions");
  const waiting = waitingIn(found).sort((a, b) => a.issuedAt - b.issuedAt);
  return Promise.all(
    waiting.map(async (execution, index) =>
      index < DETAILED ? { ...execution, commands: await commandsOf(cluster, pod, execution.id) } : execution,
    ),
  );
}

async function get(cluster: Cluster, pod: Pod, path: string): Promise<unknown> {
  const { status, body } = await askPod(cluster, pod, { method: "GET", path });
  if (status !== 200) {
    throw new ConnectError(
      "refused-request",
      `NoETL's server (pod ${pod.namespace}/${pod.name}) answers ${status} to GET ${path}`,
    );
  }
  try {
    return JSON.parse(withLongNumbers(body)) as unknown;
  } catch {
    throw new ConnectError("refused-request", `NoETL's server answers GET ${path} with what is not JSON`);
  }
}

/** JSON whose whole numbers of 16 digits and more are texts: NoETL's ids have 64 bits, of which a number keeps 53. */
const withLongNumbers = (json: string): string =>
  json.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) => (token.startsWith('"') ? token : `"${token}"`));

const textOf = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? harmless(String(value)) : "";

/** A time of NoETL's database, which keeps UTC without saying so. */
function timeOf(value: unknown): number {
  const text = textOf(value);
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

function waitingIn(found: unknown): ExecutionFacts[] {
  if (!Array.isArray(found)) return [];
  return (found as Record<string, unknown>[]).flatMap((entry) => {
    const { execution_id: id, path, status, start_time: start, end_time: end } = entry;
    const issuedAt = timeOf(end ?? start);
    // The id goes into commands to paste: it is a number, or it is none of ours.
    return status === "PENDING" && /^\d+$/.test(textOf(id)) && !Number.isNaN(issuedAt)
      ? [{ id: textOf(id), path: textOf(path), issuedAt, commands: [] }]
      : [];
  });
}

/** The commands that were issued last and that no event follows. */
async function commandsOf(cluster: Cluster, pod: Pod, id: string): Promise<ExecutionFacts["commands"]> {
  try {
    const { events = [] } = (await get(cluster, pod, `/api/executions/${id}?page_size=10`)) as {
      events?: Record<string, unknown>[];
    };
    const other = events.findIndex(({ event_type: type }) => type !== "command.issued");
    const issued = events.slice(0, other < 0 ? events.length : other);
    const commands = await Promise.all(issued.map((event) => commandOf(cluster, pod, event)));
    return commands.flatMap((command) => command ?? []).reverse();
  } catch (error) {
    // The execution is named all the same.
    if (error instanceof ConnectError) return [];
    throw error;
  }
}

async function commandOf(cluster: Cluster, pod: Pod, event: Record<string, unknown>) {
  const eventId = textOf(event.event_id);
  if (!/^\d+$/.test(eventId)) return undefined;
  const { meta } = (await get(cluster, pod, `/api/commands/${eventId}`)) as { meta?: Record<string, unknown> };
  const commandId = textOf(meta?.command_id);
  return commandId === "" ? undefined : { eventId, commandId, step: textOf(event.node_name) };
}
