/**
 * Executions that nobody goes on with, from NoETL's table of events, which its server is asked for
 * (v2.8.9: `POST /api/postgres/execute`): neither the database nor its password is needed here.
 */
import { ConnectError } from "../../contract/errors";
import { LOCATIONS } from "../../contract/facts";
import { stackLine } from "../../config/lines";
import type { Settings } from "../../config/schema";
import type { Cluster } from "./kubernetes";
import type { CommandFacts, ExecutionFacts, Standstill } from "./evidence";
import { askPod, runningPod, type Pod } from "./pod-http";
import { clock, harmless } from "./text";

/** How many executions are looked through: the ones that began last. */
export const RECENT_EXECUTIONS = 20_000;
/** How long an execution is listed that can only be started once more, in hours. */
export const TOLD_HOURS = 24;
const PATH = "/api/postgres/execute";

/** Events after which nothing of an execution is to be done any more. */
const TERMINAL =
  "'playbook.completed', 'playbook.failed', 'workflow.completed', 'workflow.failed', 'execution.cancelled'";

/**
 * A row for each command that no worker has taken, and for each execution without one.
 *
 * NoETL issues a command (event `command.issued`) and then announces it; a worker takes it by an event `command.claimed` with
 * its command_id. Where the engine has issued the same step, or iteration of a loop, once more, the last one counts. Ages are
 * taken from the clock that wrote the times; ids are texts, since they have 64 bits.
 *
 * - `waits`: the command can be announced.
 * - `parent-ended`: the execution that started this one has ended without it.
 * - `no-command`: NoETL's server did not get as far as issuing one, because it had no connection to NATS.
 * - `cancelled`: NoETL's server cancelled the execution when it started again, before a worker had taken its first command.
 */
const EXECUTIONS_QUERY = `
WITH recent AS (
  SELECT execution_id, catalog_id, parent_execution_id, created_at
  FROM noetl.event WHERE event_type = 'playbook.initialized'
  ORDER BY event_id DESC LIMIT ${RECENT_EXECUTIONS}
), known AS (
  SELECT r.*, coalesce(s.ended, false) AS ended, coalesce(s.cancelled, false) AS cancelled,
    coalesce(s.restarted, false) AS restarted
  FROM recent r LEFT JOIN LATERAL (
    SELECT bool_or(e.event_type <> 'execution.cancelled') AS ended, bool_or(e.event_type = 'execution.cancelled') AS cancelled,
      bool_or(e.event_type = 'execution.cancelled' AND e.meta->>'auto_resume' = 'true') AS restarted
    FROM noetl.event e WHERE e.execution_id = r.execution_id AND e.event_type IN (${TERMINAL})
  ) s ON true
), issued AS (
  SELECT k.execution_id, k.parent_execution_id, i.event_id, i.node_name, i.meta->>'command_id' AS command_id, i.created_at
  FROM known k JOIN noetl.event i ON i.execution_id = k.execution_id AND i.event_type = 'command.issued'
  WHERE NOT k.ended AND NOT k.cancelled AND NOT EXISTS (
    SELECT 1 FROM noetl.event t WHERE t.execution_id = i.execution_id
      AND t.event_type IN ('command.claimed', 'command.started', 'command.completed', 'command.failed')
      AND i.meta->>'command_id' IN (t.meta->>'command_id', t.result->'data'->>'command_id')
  ) AND NOT EXISTS (
    SELECT 1 FROM noetl.event n WHERE n.execution_id = i.execution_id AND n.event_type = 'command.issued'
      AND n.event_id > i.event_id AND n.node_name = i.node_name
      AND n.meta->>'loop_event_id' IS NOT DISTINCT FROM i.meta->>'loop_event_id'
      AND n.meta->>'loop_iteration_index' IS NOT DISTINCT FROM i.meta->>'loop_iteration_index'
  )
), found AS (
  SELECT execution_id, CASE WHEN EXISTS (SELECT 1 FROM noetl.event e WHERE e.execution_id = issued.parent_execution_id
      AND e.event_type IN (${TERMINAL})) THEN 'parent-ended' ELSE 'waits' END AS standstill,
    event_id, command_id, node_name, created_at
  FROM issued
  UNION ALL
  SELECT k.execution_id, CASE WHEN k.cancelled THEN 'cancelled' ELSE 'no-command' END, NULL, NULL, NULL, k.created_at
  FROM known k
  WHERE NOT k.ended AND (NOT k.cancelled OR k.restarted) AND k.created_at > localtimestamp - interval '${TOLD_HOURS} hours'
    AND NOT EXISTS (SELECT 1 FROM noetl.event e WHERE e.execution_id = k.execution_id
      AND e.event_type IN ('command.claimed', 'command.started'))
    AND (k.cancelled OR NOT EXISTS (SELECT 1 FROM noetl.event i
      WHERE i.execution_id = k.execution_id AND i.event_type = 'command.issued'))
)
SELECT f.execution_id::text AS execution, f.standstill, f.event_id::text AS event, f.command_id AS command,
  f.node_name AS step, extract(epoch FROM localtimestamp - f.created_at)::float8 AS age,
  c.path, c.version::text AS version
FROM found f JOIN known k ON k.execution_id = f.execution_id
LEFT JOIN noetl.catalog c ON c.catalog_id = k.catalog_id
ORDER BY f.created_at, f.event_id`;

/**
 * What NoETL's table means, and how a command is announced, is known of line 2.8 alone.
 *
 * @throws ConnectError `refused-request` for the NoETL of another line, and for one that nothing tells the line of.
 */
export function refuseOtherLines(settings: Settings): void {
  const { line, isKnown } = stackLine(settings);
  if (isKnown && line === "2.8") return;
  const what = isKnown
    ? `a NoETL of line ${line}`
    : `the NoETL in ${settings.noetlImage} (set noetlLine where it is 2.8)`;
  throw new ConnectError("refused-request", `how commands are announced is known of line 2.8, and not of ${what}`);
}

/**
 * Executions that nobody goes on with as far as NoETL knows, the oldest first. Whether the announcement of a command is still
 * in NATS is not asked here.
 *
 * @throws ConnectError where NoETL's server could not be asked, or has no such API.
 */
export async function readExecutions(
  cluster: Cluster,
  namespace: string,
  mask: (text: string) => string,
): Promise<readonly ExecutionFacts[]> {
  const { serverDeployment: app, port } = LOCATIONS.noetl;
  const pod = await runningPod(cluster, { namespace, app, port, who: "NoETL's server" });
  return executionsIn(await select(cluster, pod, mask), Date.now());
}

/** The rows of {@link EXECUTIONS_QUERY}. What the server says where it has none is masked: its database's errors may name a login. */
async function select(cluster: Cluster, pod: Pod, mask: (text: string) => string): Promise<unknown> {
  const { status, body } = await askPod(cluster, pod, {
    method: "POST",
    path: PATH,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: EXECUTIONS_QUERY }),
  });
  const refused = (what: string): ConnectError =>
    new ConnectError("refused-request", `NoETL's server (pod ${pod.namespace}/${pod.name}) ${what}`);
  if (status !== 200) throw refused(`answers ${status} to POST ${PATH}`);
  let found: { status?: unknown; result?: unknown; error?: unknown };
  try {
    found = JSON.parse(body) as typeof found;
  } catch {
    throw refused(`answers POST ${PATH} with what is not JSON`);
  }
  if (found.status === "ok") return found.result;
  throw refused(`could not read its events: ${mask(textOf(found.error)).slice(0, 200)}`);
}

const rawOf = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");
const textOf = (value: unknown): string => harmless(rawOf(value));
const isNumber = (text: string): boolean => /^\d+$/.test(text);

/** The rows by execution. What does not look like NoETL's own is left out: ids go into messages, and commands to paste. */
export function executionsIn(rows: unknown, now: number): ExecutionFacts[] {
  const found = new Map<string, ExecutionFacts & { commands: CommandFacts[] }>();
  for (const row of (Array.isArray(rows) ? rows : []) as Record<string, unknown>[]) {
    const id = textOf(row.execution);
    const event = textOf(row.event);
    // Workers send it back to NoETL's server: without a character that nobody sees it would be another one.
    const command = rawOf(row.command);
    const standstill = STANDSTILLS.find((each) => each === row.standstill);
    if (!isNumber(id) || standstill === undefined || typeof row.age !== "number") continue;
    const issuedAt = now - row.age * 1000;
    const key = `${id} ${standstill}`;
    const execution = found.get(key) ?? {
      id,
      path: textOf(row.path),
      version: textOf(row.version),
      issuedAt,
      standstill,
      commands: [],
    };
    found.set(key, execution);
    if (isNumber(event) && command !== "") {
      execution.commands.push({ eventId: event, commandId: command, step: rawOf(row.step), issuedAt });
    }
  }
  return [...found.values()];
}

const STANDSTILLS: readonly Standstill[] = ["waits", "parent-ended", "no-command", "cancelled"];

/** What happened to it, in one line. */
export function describeExecution({ id, path, issuedAt, standstill, commands }: ExecutionFacts): string {
  const since = clock(issuedAt);
  const steps = commands.map(({ step }) => harmless(step)).join(", ");
  const what = {
    waits: `its command${commands.length > 1 ? "s" : ""} (${steps}) was issued at ${since} and never taken`,
    "parent-ended": `its command (${steps}) was issued at ${since} and never taken; the execution that started it has ended`,
    "no-command": `it began at ${since}, and NoETL's server did not get as far as its first command`,
    cancelled: `it began at ${since}; NoETL's server cancelled it when it was restarted, before a worker had taken its command`,
  }[standstill];
  return `execution ${id} (${path}): ${what}`;
}
