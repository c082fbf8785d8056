/** Executions whose command nobody will announce again. */
import { LOCATIONS } from "../../../contract/facts";
import { plural } from "../../../contract/wording";
import type { Evidence, ExecutionFacts } from "../evidence";
import { clock, quoted } from "../text";
import { finding, KEY_OF_REPAIR, run, say, type DiagnosisRule, type Step } from "./finding";
import { failures } from "./failing";
import { natsCommand } from "./reasons";
import { consumersOf } from "./trouble";

/** A command is announced right after it was issued: one that is younger may be about to be. Seconds. */
const ANNOUNCED_SECONDS = 30;
/** Executions that are named. */
const NAMED = 10;

/**
 * Executions that wait although nothing in NATS leads a worker to them: their command was issued before the stream was made,
 * or no command waits in the stream or is in a worker's hands.
 */
function forgotten(evidence: Evidence): readonly ExecutionFacts[] {
  const { executions, nats, now } = evidence;
  if (!executions?.ok) return [];
  const waiting = executions.value.filter(({ issuedAt }) => (now - issuedAt) / 1000 > ANNOUNCED_SECONDS);
  if (!nats.ok) return [];
  const { stream, consumers } = nats.value;
  if (stream === undefined) return waiting;
  const idle = consumersOf(evidence, LOCATIONS.noetl.workerDeployment).every((name) => {
    const own = consumers.find((each) => each.name === name);
    return own !== undefined && own.pending === 0 && own.ackPending === 0;
  });
  return waiting.filter(({ issuedAt }) => idle || issuedAt < Date.parse(stream.created));
}

/** NoETL announces a command once; what was refused or lost then waits for a person. */
export const waitingExecutions: DiagnosisRule = (evidence, explained) => {
  const { executions } = evidence;
  // What the stream does not have, the repair has: it comes back with it.
  if (explained.has(KEY_OF_REPAIR)) return [];
  const found = forgotten(evidence);
  if (found.length > 0) {
    return [
      finding(
        "executions-wait",
        `${plural(found.length, "execution")} wait${found.length === 1 ? "s" : ""} for a command that nobody announces again`,
        {
          severity: "note",
          evidence: [
            ...found
              .slice(0, NAMED)
              .map(
                ({ id, path, issuedAt }) =>
                  `execution ${id} (${path}): its command was issued at ${clock(issuedAt)} and never taken`,
              ),
            ...(found.length > NAMED ? [`and ${found.length - NAMED} more`] : []),
          ],
          remedy: startAgain(evidence, found, explained.has("contract")),
        },
      ),
    ];
  }
  const lost =
    failures(evidence).some(({ action }) => action === "publish") || (evidence.nats.ok && !evidence.nats.value.stream);
  if (!executions || executions.ok || !lost) return [];
  return [
    finding(
      "executions-wait",
      "Executions whose command could not be announced wait for ever; which they are is not known",
      {
        severity: "note",
        evidence: [`NoETL's API could not be asked: ${executions.message}`],
        remedy: [say("With its server in order, run this again: it names them, and how to start them again.")],
      },
    ),
  ];
};

function startAgain(evidence: Evidence, found: readonly ExecutionFacts[], broken: boolean): Step[] {
  const { kubectl, subject } = evidence;
  const { namespace, service, port } = LOCATIONS.noetl;
  const announcements = found.flatMap((execution) => announcementsOf(evidence, execution));
  const [first] = found;
  return [
    ...(announcements.length > 0
      ? [
          say(
            (broken ? "When stream and consumer are there again, announce" : "Announce") +
              " each command once more, as NoETL's server does; a command that was taken meanwhile is not taken twice:",
          ),
          ...announcements.map((text) =>
            run(`${natsCommand(evidence)} pub --jetstream ${quoted(subject)} ${quoted(text)}`),
          ),
        ]
      : []),
    say("Or cancel an execution, and execute its playbook once more:"),
    run(`${kubectl} -n ${namespace} port-forward service/${service} ${port}`),
    run(`curl -X POST http://localhost:${port}/api/executions/${first?.id ?? "ID"}/cancel`),
  ];
}

/** What NoETL's server publishes for a command, word for word (v2.8.9, `publish_command`). */
function announcementsOf(evidence: Evidence, { id, commands }: ExecutionFacts): string[] {
  const text = (value: string): string => JSON.stringify(value);
  return commands.map(
    ({ eventId, commandId, step }) =>
      `{"execution_id": ${id}, "event_id": ${eventId}, "command_id": ${text(commandId)}, "step": ${text(step)}, ` +
      `"server_url": ${text(serverUrl(evidence))}}`,
  );
}

/** Where workers ask for the command: what the server is deployed with, else its own default. */
function serverUrl({ environment }: Evidence): string {
  const found = environment[LOCATIONS.noetl.serverDeployment];
  const set = found?.ok ? found.value.find(({ name }) => name === "NOETL_SERVER_URL")?.value : undefined;
  return set ?? "http://noetl.noetl.svc.cluster.local:8082";
}
