import { isServersConnection, type ContractInputs } from "./inputs";
import type { Mend, Verdict } from "./rules";

/** An argument as a POSIX shell takes it: quoted only where it must be. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

const line = (...words: readonly string[]): string => words.map(quoted).join(" ");

/** The commands of one set-up, as words of a command line. No command holds a credential. */
function commandWords(inputs: ContractInputs): { nats: string[]; kubectl: string[] } {
  const { connection } = inputs;
  if (isServersConnection(connection)) {
    return { nats: ["nats", "--server", connection.servers.join(",")], kubectl: ["kubectl"] };
  }
  const kubectl = ["kubectl", ...(connection.context ? ["--context", connection.context] : [])];
  // The nats chart names its box after the release, as it does its Service, and logs it in.
  const box = ["-n", connection.namespace, "exec", `deploy/${connection.service}-box`, "--"];
  return { nats: [...kubectl, ...box, "nats"], kubectl };
}

/**
 * The commands that mend what is broken, in the order in which to run them.
 *
 * One that recreates the stream makes all others needless, because NoETL's server and worker make stream and consumer
 * anew when they start; likewise one that recreates the consumer those that edit it.
 */
export function mendingCommands(inputs: ContractInputs, mends: readonly Mend[]): string[] {
  const { nats, kubectl } = commandWords(inputs);
  const { stream, consumer, noetl } = inputs;
  const wants = (action: Mend["action"]): boolean => mends.some((mend) => mend.action === action);
  const flagsOf = (action: "edit-stream" | "edit-consumer"): string[] =>
    mends.flatMap((mend) => (mend.action === action ? mend.flags : []));
  const restart = (...deployments: readonly string[]): string =>
    line(...kubectl, "-n", noetl.namespace, "rollout", "restart", ...deployments.map((name) => `deploy/${name}`));
  const restartBoth = restart(noetl.serverDeployment, noetl.workerDeployment);

  if (wants("recreate-stream")) return [line(...nats, "stream", "rm", stream, "-f"), restartBoth];

  const commands: string[] = [];
  if (wants("edit-stream")) commands.push(line(...nats, "stream", "edit", stream, ...flagsOf("edit-stream"), "-f"));
  if (wants("recreate-consumer")) {
    commands.push(line(...nats, "consumer", "rm", stream, consumer, "-f"));
  } else {
    if (wants("edit-consumer")) {
      commands.push(line(...nats, "consumer", "edit", stream, consumer, ...flagsOf("edit-consumer"), "-f"));
    }
    if (wants("resume-consumer")) commands.push(line(...nats, "consumer", "resume", stream, consumer, "-f"));
  }
  if (wants("edit-stream") || wants("restart-server")) commands.push(restartBoth);
  else if (wants("recreate-consumer") || wants("restart-worker")) commands.push(restart(noetl.workerDeployment));
  return commands;
}

const INDENT = "    ";

function describe(verdict: Verdict): string {
  const { rule, found, expected } = verdict;
  return [
    `  ${rule.severity} ${rule.id}: found ${found}, expected ${expected}`,
    `${INDENT}checked: ${rule.checks}`,
    `${INDENT}breaks: ${rule.why}`,
  ].join("\n");
}

/** "1 violation", "2 violations". */
const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/**
 * All that is wrong in one message: what was found and expected, what breaks because of it, and the commands that mend
 * it. Empty where every rule holds.
 *
 * @param server What was asked, as {@link ContractReport.server} has it.
 * @param storedMessages Messages in the stream, which recreating it drops.
 */
export function contractMessage(
  inputs: ContractInputs,
  verdicts: readonly Verdict[],
  server: string,
  storedMessages: number,
): string {
  const broken = verdicts.filter((verdict) => !verdict.ok);
  if (broken.length === 0) return "";
  const violations = broken.filter(({ severity }) => severity === "violation").length;
  const drifted = broken.length - violations;
  const headline =
    violations === 0
      ? `NoETL works, but its stream contract has drifted: ${many(drifted, "difference")}.`
      : `The stream contract of NoETL does not hold: ${many(violations, "violation")}` +
        `${drifted > 0 ? `, and ${many(drifted, "difference")} more` : ""}.`;
  const mends = broken.map((verdict) => verdict.mend);
  const commands = mendingCommands(inputs, mends);
  const lines = [
    `${headline} Stream ${inputs.stream}, subject ${inputs.subject}, consumer ${inputs.consumer}, asked at ${server}.`,
    ...broken.map(describe),
    "  To mend it:",
    ...commands.map((command) => `${INDENT}${command}`),
  ];
  if (mends.some(({ action }) => action === "recreate-stream") && storedMessages > 0) {
    lines.push(`  Removing the stream drops the ${many(storedMessages, "message")} in it.`);
  }
  if (commands.some((command) => command.startsWith("nats "))) {
    lines.push("  The nats command takes the login from NATS_USER and NATS_PASSWORD in its environment.");
  }
  return lines.join("\n");
}
