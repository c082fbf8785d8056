import { plural } from "./wording";
import { harmless } from "./mask/harmless";
import { consumerTerms, type ContractInputs } from "./inputs";
import { checkName, type Fix, type Observed, type RuleResult } from "./rules";
import type { Session } from "./nats/session";
import { bucketStream } from "./buckets";
import { toSeconds } from "./rules/rule";
import { line, programsOf } from "./programs";

type Flag = (value: never) => string[];

/** How the nats command line sets what a patch changes. */
const STREAM_FLAGS: Readonly<Record<string, Flag>> = {
  retention: (value: string) => ["--retention", value === "workqueue" ? "work" : value],
  subjects: (value: string[]) => value.flatMap((subject) => ["--subjects", subject]),
  no_ack: () => ["--ack"],
  max_age: (value: number) => ["--max-age", `${toSeconds(value)}s`],
  max_msgs: (value: number) => [`--max-msgs=${value}`],
  max_bytes: (value: number) => [`--max-bytes=${value}`],
  max_msgs_per_subject: (value: number) => [`--max-msgs-per-subject=${value}`],
  max_msg_size: (value: number) => [`--max-msg-size=${value}`],
  // To the command line -1 is "leave it as it is", to the server 0 is unlimited as well.
  max_consumers: (value: number) => [`--max-consumers=${Math.max(0, value)}`],
  discard: (value: string) => ["--discard", value],
  discard_new_per_subject: () => ["--no-discard-per-subject"],
  duplicate_window: (value: number) => ["--dupe-window", `${toSeconds(value)}s`],
  num_replicas: (value: number) => ["--replicas", String(value)],
  subject_transform: () => ["--no-transform"],
  subject_delete_marker_ttl: (value: number) => [`--subject-del-markers-ttl=${toSeconds(value)}s`],
};

const CONSUMER_FLAGS: Readonly<Record<string, Flag>> = {
  ack_wait: (value: number) => ["--wait", `${toSeconds(value)}s`],
  max_deliver: (value: number) => [`--max-deliver=${value}`],
  headers_only: () => ["--no-headers-only"],
  max_ack_pending: (value: number) => [`--max-pending=${value}`],
  num_replicas: (value: number) => [`--replicas=${value}`],
};

/** `nats kv edit`; it writes all else as buckets have it. `nats stream edit` refuses buckets without a terminal. */
const BUCKET_FLAGS: Readonly<Record<string, Flag>> = {
  max_age: (value: number) => [`--ttl=${toSeconds(value)}s`],
  max_bytes: (value: number) => [`--max-bucket-size=${value}`],
  max_msg_size: (value: number) => [`--max-value-size=${value}`],
  num_replicas: (value: number) => [`--replicas=${value}`],
  max_msgs: () => [],
  duplicate_window: () => [],
};

function flagsOf(flags: Readonly<Record<string, Flag>>, patches: readonly object[]): string[] {
  return Object.entries(Object.assign({}, ...patches) as object).flatMap(([field, value]) => {
    const flag = flags[field];
    if (!flag) throw new Error(`the nats command line has no flag for ${field}`);
    return flag(value as never);
  });
}

/**
 * The commands that fix what is broken, in the order in which to run them.
 *
 * One that recreates the stream makes all others about it and its consumer needless, because NoETL's server and worker
 * recreate both when they start; likewise one that recreates the consumer those that edit it.
 */
export function fixCommands(inputs: ContractInputs, fixes: readonly Fix[]): string[] {
  const { nats, kubectl } = programsOf(inputs);
  const { stream, noetl, gateway } = inputs;
  const [first] = consumerTerms(inputs).map(({ name }) => name);
  const wants = (action: Fix["action"]): boolean => fixes.some((fix) => fix.action === action);
  const restart = (namespace: string, ...deployments: readonly string[]): string =>
    line(kubectl, "-n", namespace, "rollout", "restart", ...deployments.map((name) => `deploy/${name}`));
  const restartBoth = restart(noetl.namespace, noetl.serverDeployment, noetl.workerDeployment);
  const commands: string[] = [];

  if (wants("recreate-stream")) {
    commands.push(line(nats, "stream", "rm", stream, "-f"), restartBoth);
  } else {
    const streamFlags = flagsOf(
      STREAM_FLAGS,
      fixes.flatMap((fix) => (fix.action === "edit-stream" ? fix.patch : [])),
    );
    if (streamFlags.length > 0) commands.push(line(nats, "stream", "edit", stream, ...streamFlags, "-f"));
    for (const { name } of consumerTerms(inputs)) {
      commands.push(
        ...consumerCommands(inputs, fixes, { name, isFirst: name === first }).map((words) =>
          line(nats, "consumer", ...words),
        ),
      );
    }
    if (streamFlags.length > 0 || wants("restart-server")) commands.push(restartBoth);
    else if (wants("recreate-consumer") || wants("restart-worker")) {
      commands.push(restart(noetl.namespace, noetl.workerDeployment));
    }
  }

  const recreated = new Set(fixes.flatMap((fix) => (fix.action === "recreate-bucket" ? fix.bucket : [])));
  for (const bucket of recreated) commands.push(line(nats, "stream", "rm", bucketStream(bucket), "-f"));
  const edited = new Map<string, object[]>();
  for (const fix of fixes) {
    if (fix.action !== "edit-bucket" || recreated.has(fix.bucket)) continue;
    edited.set(fix.bucket, [...(edited.get(fix.bucket) ?? []), fix.patch]);
  }
  for (const [bucket, patches] of edited) {
    commands.push(line(nats, "kv", "edit", bucket, ...flagsOf(BUCKET_FLAGS, patches)));
  }
  if (gateway && (recreated.size > 0 || edited.size > 0 || wants("restart-gateway"))) {
    commands.push(restart(gateway.namespace, gateway.deployment));
  }
  return commands;
}

/** Words after `nats consumer` that give one another configuration; none where the command has no flag for it. */
function consumerEdit(stream: string, name: string, patches: readonly object[]): string[] {
  const flags = flagsOf(CONSUMER_FLAGS, patches);
  return flags.length > 0 ? ["edit", stream, name, ...flags, "-f"] : [];
}

/** The command that lets a consumer have another number of messages in flight. @param nats How the command begins. */
export const inFlightCommand = (
  nats: string,
  { stream, name }: { stream: string; name: string },
  most: number,
): string => line(nats, "consumer", ...consumerEdit(stream, name, [{ max_ack_pending: most }]));

/** Words after `nats consumer` for what concerns one consumer. */
function consumerCommands(
  { stream }: ContractInputs,
  fixes: readonly Fix[],
  { name, isFirst }: { name: string; isFirst: boolean },
): string[][] {
  const own = fixes.filter((fix) => ("consumer" in fix ? fix.consumer === name : isFirst));
  if (own.some(({ action }) => action === "recreate-consumer")) return [["rm", stream, name, "-f"]];
  const edit = consumerEdit(
    stream,
    name,
    own.flatMap((fix) => (fix.action === "edit-consumer" ? fix.patch : [])),
  );
  return [
    ...(edit.length > 0 ? [edit] : []),
    ...(own.some(({ action }) => action === "resume-consumer") ? [["resume", stream, name, "-f"]] : []),
  ];
}

const INDENT = "    ";

function describe(result: RuleResult): string {
  const { rule, ensure, found, expected } = result;
  return [
    `  ${rule.severity} ${checkName(result)}: found ${found}, expected ${expected}`,
    `${INDENT}checked: ${rule.checks}`,
    `${INDENT}breaks: ${rule.why}`,
    ...(ensure.action === "leave" ? [`${INDENT}mode ensure leaves it: ${ensure.why}`] : []),
  ].join("\n");
}

/** What was seen of that which commands remove. */
type Seen = Pick<Observed, "stream" | "consumer" | "consumers">;

/** The server that was asked, and what was seen there. */
export interface Asked {
  readonly session: Pick<Session, "server" | "serverVersion">;
  readonly observed: Seen;
}

/** What the commands of {@link fixCommands} take with them, a sentence each; a repair does without. */
export function commandLosses(inputs: ContractInputs, fixes: readonly Fix[], seen: Seen): string[] {
  const { stream, consumer, consumers } = seen;
  if (fixes.some(({ action }) => action === "recreate-stream")) {
    const messages = stream?.state.messages ?? 0;
    return messages === 0 ? [] : [`Removing the stream drops the ${plural(messages, "message")} in it.`];
  }
  const [first] = consumerTerms(inputs).map(({ name }) => name);
  const removed = fixes.flatMap((fix) => (fix.action === "recreate-consumer" ? (fix.consumer ?? first ?? []) : []));
  return [...new Set(removed)].flatMap((name) => {
    const info = consumers ? consumers[name] : consumer;
    if (!info) return [];
    const begins = inputs.expect.deliverPolicy === "new";
    const lost = begins ? info.num_pending + info.num_ack_pending : (stream?.state.messages ?? 0);
    if (lost === 0) return [];
    return begins
      ? `Removing consumer ${name} loses the ${plural(lost, "command")} that ${lost === 1 ? "waits or is" : "wait or are"} in flight: ` +
          "the one that workers add begins at the next."
      : `Removing consumer ${name} has up to ${plural(lost, "command")} delivered again: the one that workers add begins at the first in the stream.`;
  });
}

/**
 * All that is wrong in one message: what was found and expected, what breaks because of it, and the commands that fix
 * it. Empty where every rule holds.
 *
 * @param asked Who was asked and what was seen: recreating a stream drops the messages in it.
 */
export function contractMessage(
  inputs: ContractInputs,
  results: readonly RuleResult[],
  { session, observed }: Asked,
): string {
  const broken = results.filter((result) => !result.ok);
  if (broken.length === 0) return "";
  const violations = broken.filter(({ severity }) => severity === "violation").length;
  const drifted = broken.length - violations;
  // Whatever is wrong with what is declared, NoETL's own is another matter.
  const isDeclared = broken.every(({ rule }) => rule.about === "declared");
  const headline = isDeclared
    ? `What is declared in NATS is not all there as declared: ${plural(broken.length, "difference")}.`
    : violations === 0
      ? `NoETL works, but its stream contract has drifted: ${plural(drifted, "difference")}.`
      : `The stream contract of NoETL does not hold: ${plural(violations, "violation")}` +
        `${drifted > 0 ? `, and ${plural(drifted, "difference")} more` : ""}.`;
  const fixes = broken.map((result) => result.fix);
  const commands = fixCommands(inputs, fixes);
  const advice = fixes.flatMap((fix) => (fix.action === "advise" ? fix.advice : []));
  const server = `${session.server} (nats-server ${session.serverVersion})`;
  const lines = [
    isDeclared
      ? `${headline} Asked at ${server}.`
      : `${headline} Stream ${inputs.stream}, subject ${inputs.subject}, consumer ${inputs.consumer}, asked at ${server}.`,
    ...broken.map(describe),
    "  To fix it:",
    ...advice.map((sentence) => `${INDENT}${sentence}`),
    ...commands.map((command) => `${INDENT}${command}`),
    ...commandLosses(inputs, fixes, observed).map((sentence) => `  ${sentence}`),
  ];
  // Of advice it is a part.
  if ([...advice, ...commands].some((text) => /(?<!\S)[`(]?nats --server /.test(text))) {
    lines.push("  The nats command takes the login from NATS_USER and NATS_PASSWORD in its environment.");
  }
  // Names of other people's streams stand in it.
  return harmless(lines.join("\n"));
}
