/** Executions that nobody goes on with: their command was refused or lost, or never issued. */
import { LOCATIONS } from "../../../contract/facts";
import { plural } from "../../../contract/wording";
import type { Evidence, ExecutionFacts } from "../evidence";
import { describeExecution } from "../executions";
import { capped, NAMED, quoted } from "../text";
import { repairCommand } from "./contract";
import { finding, KEY_OF_REPAIR, run, say, type DiagnosisRule, type Step } from "./finding";
import { failures } from "./failing";

/** NoETL announces a command once; what was refused or lost then waits for a person. */
export const waitingExecutions: DiagnosisRule = (evidence, explained) => {
  const { executions, nats } = evidence;
  // What the stream does not have, the repair has: it comes back with it.
  if (explained.has(KEY_OF_REPAIR)) return [];
  const found = executions?.ok && nats.ok ? executions.value : [];
  if (found.length > 0) {
    const waiting = found.filter(({ standstill }) => standstill === "waits");
    return [
      finding("executions-wait", titleOf(waiting.length, found.length), {
        severity: "note",
        evidence: capped(found, describeExecution),
        remedy: [
          ...announceAgain(evidence, waiting, explained.has("contract")),
          ...startAgain(evidence, found, waiting.length > 0),
        ],
        repairable: waiting.length > 0,
      }),
    ];
  }
  const lost = failures(evidence).some(({ action }) => action === "publish") || (nats.ok && !nats.value.stream);
  if (!executions || executions.ok || !lost) return [];
  return [
    finding(
      "executions-wait",
      "Executions whose command could not be announced wait for ever; which they are is not known",
      {
        severity: "note",
        evidence: [executions.message],
        remedy: [say("Once that can be asked, run this again: it names them, and how to start them again.")],
      },
    ),
  ];
};

const waits = (count: number): string => `${plural(count, "execution")} wait${count === 1 ? "s" : ""}`;

function titleOf(waiting: number, all: number): string {
  if (waiting === 0) return `${plural(all, "execution")} can only be started once more`;
  const others = all - waiting;
  const rest = others === 0 ? "" : `; ${others} more can only be started once more`;
  return `${waits(waiting)} for a command that nobody announces again${rest}`;
}

const announceAgain = (evidence: Evidence, waiting: readonly ExecutionFacts[], broken: boolean): Step[] =>
  waiting.length === 0
    ? []
    : [
        run(repairCommand(evidence)),
        say(
          (broken ? "puts stream and consumer right first, then " : "") +
            "names the commands, asks, and announces each once, with the message that NoETL's server sends. What a worker has " +
            "taken meanwhile is left out.",
        ),
      ];

/** How to start one again. One that waits is cancelled first: else it might go on beside the new one. */
function startAgain({ kubectl }: Evidence, found: readonly ExecutionFacts[], canWait: boolean): Step[] {
  const { namespace, service, port } = LOCATIONS.noetl;
  const api = `http://localhost:${port}/api`;
  const shown = canWait ? found.slice(0, 1) : found.slice(0, NAMED);
  return [
    say(`${canWait ? "Or start one" : "Start it"} once more, with the payload that it had:`),
    run(`${kubectl} -n ${namespace} port-forward service/${service} ${port}`),
    ...shown.flatMap(({ id, path, version, standstill }) => [
      ...(standstill === "cancelled" ? [] : [run(`curl -X POST ${api}/executions/${id}/cancel`)]),
      run(`curl -X POST ${api}/execute -H 'Content-Type: application/json' -d ${quoted(bodyOf(path, version))}`),
    ]),
  ];
}

/** What the API takes to start a playbook; its payload is the user's. */
const bodyOf = (path: string, version: string): string =>
  JSON.stringify({ path, version: Number(version), payload: {} });
