/** Commands that NoETL has issued and that no message leads a worker to: announced once more, each of them once. */
import { DeliverPolicy, type ConsumerInfo, type JetStreamClient, type NatsError } from "nats";
import { Deadline } from "../../../contract/deadline";
import { ConnectError } from "../../../contract/errors";
import { LOCATIONS } from "../../../contract/facts";
import { consumerTerms, publishedSubjects, type ContractInputs } from "../../../contract/inputs";
import { openSession } from "../../../contract/nats/connect";
import type { Session } from "../../../contract/nats/session";
import { settledBy, toSeconds } from "../../../contract/rules/rule";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { answer, type Cluster } from "../kubernetes";
import { readEnvironment } from "../environment";
import type { Answer, CommandFacts, ExecutionFacts, NatsFacts } from "../evidence";
import { describeExecution, readExecutions } from "../executions";
import { capped, clock, harmless } from "../text";
import { Lock } from "./lock";
import { readMessages } from "./messages";
import type { Intent } from "./journal";

/** A command is announced right after it was issued: one that is younger may be about to be. Seconds. */
export const ANNOUNCED_SECONDS = 30;
/** Messages on their way to a worker that are looked through: more of them are not compared one by one. */
const MOST_MESSAGES = 10_000;
/** Publishes that are under way at once. */
const BATCH = 64;
const QUESTION_MILLISECONDS = 15_000;

/** NOETL_SERVER_URL where it is not set (v2.8.9, `execute`). */
const SERVER_URL = "http://noetl.noetl.svc.cluster.local:8082";

/** An execution that waits, with one of its commands. */
interface Lost {
  readonly execution: ExecutionFacts;
  readonly command: CommandFacts;
}

/** What is asked of NoETL. */
export interface Noetl {
  /** The executions that nobody goes on with as far as its table of events tells.  @throws ConnectError */
  executions(): Promise<readonly ExecutionFacts[]>;
  /** Where workers ask for a command, as the server tells them.  @throws ConnectError */
  serverUrl(): Promise<string>;
}

/** @param mask hides what is secret of the stack */
export const deployedNoetl = (cluster: Cluster, namespace: string, mask: (text: string) => string): Noetl => ({
  executions: () => readExecutions(cluster, namespace, mask),
  serverUrl: async () => {
    const deployment = LOCATIONS.noetl.serverDeployment;
    const variables = await readEnvironment(cluster, { namespace, deployment });
    return variables?.find(({ name }) => name === "NOETL_SERVER_URL")?.value ?? SERVER_URL;
  },
});

export interface AnnounceOptions {
  readonly inputs: ContractInputs;
  readonly noetl: Noetl;
  readonly say: (line: string) => void;
  /** Shows what is going to be done, and asks. */
  readonly confirm: (intent: Intent) => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/** The workers' consumers that are there. */
async function workersConsumers(session: Session, inputs: ContractInputs, deadline: Deadline): Promise<ConsumerInfo[]> {
  const infos = consumerTerms(inputs).map(({ name }) => session.consumerInfo(inputs.stream, name, deadline));
  return (await Promise.all(infos)).filter((info) => info !== undefined);
}

/** Of two servers of a cluster one stores the messages and another makes the consumer: their clocks differ. Milliseconds. */
const CLOCKS_MILLISECONDS = 1_000;

/**
 * Before which time a consumer passes messages over, in milliseconds since 1970. Before nats-server 2.15 one that begins at the next
 * message has no floor until its first one is acknowledged.
 */
const beginsAt = ({ config, created, ack_floor: floor }: ConsumerInfo): number =>
  config.deliver_policy === DeliverPolicy.New && floor.stream_seq === 0
    ? Date.parse(String(created)) - CLOCKS_MILLISECONDS
    : 0;

/**
 * Ids of the commands (`event_id`) whose message is still on its way to a worker: stored, and not acknowledged by each of the
 * workers' consumers that delivers it. A consumer that is not there leads nobody to a message.
 *
 * @throws ConnectError where NATS could not be asked, or where there are more messages than are looked through.
 */
async function announcedCommands(session: Session, inputs: ContractInputs): Promise<ReadonlySet<string>> {
  const deadline = new Deadline(QUESTION_MILLISECONDS);
  const { stream } = inputs;
  const found = new Set<string>();
  const info = await session.streamInfo(stream, deadline);
  const consumers = await workersConsumers(session, inputs, deadline);
  const open = consumers.filter((each) => each.num_pending + each.num_ack_pending > 0);
  if (!info || open.length === 0) return found;
  const first = Math.max(info.state.first_seq, Math.min(...open.map(settledBy)) + 1);
  const last = info.state.last_seq;
  if (last - first >= MOST_MESSAGES) {
    throw new ConnectError(
      "refused-request",
      `${last - first + 1} messages of ${stream} are on their way to the workers, and no more than ${MOST_MESSAGES} are ` +
        "looked through for commands that were announced: try again when the workers have caught up",
    );
  }
  const passedOver = Math.min(...open.map(beginsAt));
  for await (const { data, time } of readMessages(session, stream, { from: first, to: last })) {
    if (time.getTime() < passedOver) continue;
    // Not parsed: the id is a number beyond those that JSON.parse keeps whole.
    const [, event] = /"event_id":\s*"?(\d+)/.exec(data.toString("utf8")) ?? [];
    if (event !== undefined) found.add(event);
  }
  return found;
}

/** The executions without the commands that are announced, or that may be about to be; without any they wait for nothing. */
export function withoutAnnounced(
  executions: readonly ExecutionFacts[],
  announced: ReadonlySet<string>,
  now: number,
): ExecutionFacts[] {
  const isOld = ({ issuedAt }: { issuedAt: number }): boolean => (now - issuedAt) / 1000 > ANNOUNCED_SECONDS;
  return executions.flatMap((execution) => {
    if (execution.commands.length === 0)
      return execution.standstill === "cancelled" || isOld(execution) ? [execution] : [];
    const commands = execution.commands.filter((each) => isOld(each) && !announced.has(each.eventId));
    const [first] = commands;
    return first ? [{ ...execution, issuedAt: first.issuedAt, commands }] : [];
  });
}

/**
 * What the diagnosis tells of: the executions that nothing in NATS leads a worker to. NATS is asked once more only where
 * messages are on their way to the workers; where it cannot be, which executions wait is not known.
 */
export async function lostExecutions(
  executions: Answer<readonly ExecutionFacts[]>,
  nats: Answer<NatsFacts>,
  inputs: ContractInputs,
): Promise<Answer<readonly ExecutionFacts[]>> {
  if (!executions.ok) return executions;
  const now = Date.now();
  const old = withoutAnnounced(executions.value, new Set(), now);
  const names = consumerTerms(inputs).map(({ name }) => name);
  const busy =
    nats.ok && nats.value.consumers.some((each) => names.includes(each.name) && each.pending + each.ackPending > 0);
  if (!busy || !old.some(({ commands }) => commands.length > 0)) return { ok: true, value: old };
  return answer(async () => {
    const session = await openSession(inputs, new Deadline(QUESTION_MILLISECONDS));
    try {
      return withoutAnnounced(old, await announcedCommands(session, inputs), now);
    } finally {
      await session.close();
    }
  });
}

/** What NoETL's server publishes for a command, word for word (v2.8.9, `publish_command`). */
export function announcement({ execution, command }: Lost, serverUrl: string): string {
  const text = (value: string): string => JSON.stringify(value);
  return (
    `{"execution_id": ${execution.id}, "event_id": ${command.eventId}, "command_id": ${text(command.commandId)}, ` +
    `"step": ${text(command.step)}, "server_url": ${text(serverUrl)}}`
  );
}

const lostOf = (executions: readonly ExecutionFacts[]): Lost[] =>
  executions
    .filter(({ standstill }) => standstill === "waits")
    .flatMap((execution) => execution.commands.map((command) => ({ execution, command })));

const named = ({ execution: { id, path }, command: { step, issuedAt } }: Lost): string =>
  `execution ${id} (${path}): the command of step ${harmless(step)}, issued at ${clock(issuedAt)}`;

/** Executions that can only be started once more; the doctor says with which command. */
const othersText = (others: readonly ExecutionFacts[]): string[] =>
  capped(others, (each) => `to be started once more, see npm run doctor: ${describeExecution(each)}`);

function intentOf({ lost, others }: Found, { stream }: ContractInputs, subject: string): Intent {
  return {
    broken: capped(lost, (each) => `${named(each)}: no worker has taken it, and nothing in ${stream} announces it`),
    steps: [
      `announce ${plural(lost.length, "command")} on ${subject}, each once, with the message that NoETL's server sends`,
    ],
    losses: [],
    leaves: othersText(others),
  };
}

/**
 * Announces what nobody announces any more, after a question. What is on its way to a worker, what a worker has taken, and what
 * was issued in the last {@link ANNOUNCED_SECONDS} seconds is left alone. One at a time, by the lock of the repairs; looked at
 * again under it, NATS before NoETL: a message that a worker takes in between has its claim in NoETL's table by then.
 *
 * @returns how many commands were announced; `declined` where the answer was no.
 * @throws ConnectError where NATS, the cluster or NoETL's server could not be asked; CommandError where another repair is at
 * work or NATS refuses a message. Then it can be run again: what was announced is seen in the stream.
 */
export async function announceLost(options: AnnounceOptions): Promise<number | "declined"> {
  const session = await openSession(options.inputs, new Deadline(QUESTION_MILLISECONDS));
  try {
    const found = await look(session, options);
    const asked = found.lost;
    if (asked.length === 0) {
      for (const line of othersText(found.others)) options.say(line);
      return 0;
    }
    const subject = await wayOf(session, options.inputs);
    if (!(await options.confirm(intentOf(found, options.inputs, subject)))) return "declined";
    const lock = await Lock.take(session, options.inputs.stream, options.inputs.expect.replicas);
    try {
      const agreed = new Set(asked.map(({ command }) => command.eventId));
      const { lost } = await look(session, options);
      const now = lost.filter(({ command }) => agreed.has(command.eventId));
      return await announce(now, { ...options, session, lock, subject });
    } finally {
      await lock.release();
    }
  } finally {
    await session.close();
  }
}

interface Found {
  readonly lost: readonly Lost[];
  /** What can only be started once more. */
  readonly others: readonly ExecutionFacts[];
}

async function look(session: Session, { inputs, noetl }: AnnounceOptions): Promise<Found> {
  const announced = await announcedCommands(session, inputs);
  const found = withoutAnnounced(await noetl.executions(), announced, Date.now());
  return { lost: lostOf(found), others: found.filter(({ standstill }) => standstill !== "waits") };
}

/** The subject that the server publishes on.  @throws CommandError where no consumer would hand out what is published. */
async function wayOf(session: Session, inputs: ContractInputs): Promise<string> {
  const [subject = inputs.subject] = publishedSubjects(inputs);
  const names = consumerTerms(inputs).map(({ name }) => name);
  if ((await workersConsumers(session, inputs, new Deadline(QUESTION_MILLISECONDS))).length > 0) return subject;
  throw new CommandError(
    `Nothing was announced: ${inputs.stream} has no consumer ${names.join(", ")}, and one that a worker adds delivers only ` +
      "what is published after that. Restart the workers, and run the same command again",
    "wrong",
  );
}

interface Announcing extends AnnounceOptions {
  readonly session: Session;
  readonly lock: Lock;
  readonly subject: string;
}

async function announce(lost: readonly Lost[], at: Announcing): Promise<number> {
  const { noetl, session, lock, say, signal } = at;
  const url = await noetl.serverUrl();
  const jetstream = session.connection.jetstream({ timeout: QUESTION_MILLISECONDS });
  const done: Lost[] = [];
  const repeats: Lost[] = [];
  for (let start = 0; start < lost.length; start += BATCH) {
    if (signal?.aborted) {
      throw new CommandError(
        `Interrupted after ${done.length} of ${plural(lost.length, "command")}. Run the same command again: it announces the others.`,
        "interrupted",
      );
    }
    await lock.check();
    const batch = lost.slice(start, start + BATCH);
    const stored = await Promise.all(
      batch.map((each) => publish(jetstream, { at, event: each.command.eventId, text: announcement(each, url) })),
    );
    for (const [index, each] of batch.entries()) (stored[index] ? done : repeats).push(each);
  }
  for (const line of capped(done, (each) => `announced ${named(each)}`)) say(line);
  if (repeats.length > 0) await tellRepeats(repeats, at);
  return done.length;
}

/** A worker took the announcement and did not claim the command: it could not ask NoETL's server, for example. */
async function tellRepeats(repeats: readonly Lost[], { session, inputs, say }: Announcing): Promise<void> {
  const info = await session.streamInfo(inputs.stream, new Deadline(QUESTION_MILLISECONDS));
  const window = `the last ${toSeconds(info?.config.duplicate_window)} s, for which NATS drops a repeat`;
  for (const line of capped(repeats, named)) say(`not announced again, since it was within ${window}: ${line}`);
  say(
    "A worker has had the message and has not taken the command: see whether workers reach NoETL's server, and run the same command " +
      "again after that time.",
  );
}

/**
 * The id makes the stream drop a second one within its window for duplicates, whoever sends it.
 *
 * @returns whether it was stored.
 */
async function publish(
  jetstream: JetStreamClient,
  { at: { subject, inputs, session }, event, text }: { at: Announcing; event: string; text: string },
): Promise<boolean> {
  try {
    const expected = { msgID: event, expect: { streamName: inputs.stream } };
    const { duplicate } = await jetstream.publish(subject, Buffer.from(text), expected);
    return !duplicate;
  } catch (error) {
    const { code, message } = error as NatsError;
    const again = "Run the same command again: what is announced already is left out";
    if (code === "TIMEOUT") {
      throw new ConnectError(
        "no-answer",
        `${session.server} did not answer the announcement of ${event} in time. ${again}`,
      );
    }
    throw new CommandError(`NATS refused the announcement of command ${event}: ${message}. ${again}`, "wrong");
  }
}
