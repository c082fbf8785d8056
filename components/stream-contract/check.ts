import type { ConsumerInfo, StreamInfo } from "nats";
import { kubernetesClient } from "./cluster";
import { openSession, type Session } from "./connect";
import { Deadline, inSeconds } from "./deadline";
import { ConnectError } from "./errors";
import { isServersConnection, type ContractInputs } from "./inputs";
import { contractMessage } from "./message";
import { judge, type Check, type Observed, type Verdict } from "./rules";

/** What a check found. Everything is plain data; what does not exist is undefined. Durations in seconds. */
export interface ContractReport {
  /** True where NoETL can work: no violation, and with `strict` no drift either. */
  readonly holds: boolean;
  /** All that is wrong, with what breaks and how to mend it; empty where nothing is. */
  readonly report: string;
  /** One entry per rule that applies. */
  readonly checks: readonly Check[];
  /** The server that was asked: a pod and its port, or host and port. */
  readonly server: string;
  readonly serverVersion: string;
  /** When the stream was created, as the server gives it. Another time means that the stream was lost and remade. */
  readonly streamCreated?: string;
  readonly subjects?: readonly string[];
  readonly retention?: string;
  readonly storage?: string;
  readonly maxAgeSeconds?: number;
  readonly consumerCreated?: string;
  readonly durable?: boolean;
  readonly pull?: boolean;
  readonly ackPolicy?: string;
  readonly deliverPolicy?: string;
  readonly replayPolicy?: string;
  readonly ackWaitSeconds?: number;
  readonly maxAckPending?: number;
  readonly maxDeliver?: number;
}

/** How long an error, or a difference, that is probably not going away is given nevertheless. */
const BRIEF_MILLISECONDS = 10_000;
/** Kept of the time for the last look, so that it ends before the deadline. */
const LAST_LOOK_MILLISECONDS = 1_000;
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 2_000;

const pauseAfter = (tries: number): number =>
  Math.min(LONGEST_PAUSE_MILLISECONDS, FIRST_PAUSE_MILLISECONDS * 2 ** (tries - 1));

/**
 * Checks the contract: connects, waits for stream and consumer to appear, and asks every rule.
 *
 * Returns as soon as nothing can change for the better by waiting: at once where everything holds or a violation is
 * found that NoETL's start-up does not mend, otherwise at the deadline.
 *
 * @param wait False looks once: what does not exist is reported as such right away.
 * @throws ConnectError where the questions could not be asked, after retries where retrying makes sense.
 */
export async function checkContract(inputs: ContractInputs, wait = true): Promise<ContractReport> {
  // Loading code is no waiting for anything, and must not use up a short deadline.
  if (!isServersConnection(inputs.connection)) await kubernetesClient();
  const deadline = new Deadline(inputs.timeoutSeconds * 1000);
  let trouble: { problem: string; since: number } | undefined;
  for (let tries = 1; ; tries++) {
    try {
      return await checkOnce(inputs, deadline, wait);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.patience === "none") throw error;
      if (trouble?.problem !== error.problem) trouble = { problem: error.problem, since: deadline.elapsed() };
      const impatient = error.patience === "brief" && deadline.elapsed() - trouble.since > BRIEF_MILLISECONDS;
      if (impatient || deadline.remaining() <= pauseAfter(tries)) {
        const howOften = tries === 1 ? "one try" : `${tries} tries`;
        throw new ConnectError(
          error.problem,
          `${error.message} (gave up after ${inSeconds(deadline.elapsed())} and ${howOften})`,
        );
      }
      await deadline.pause(pauseAfter(tries));
    }
  }
}

async function checkOnce(inputs: ContractInputs, deadline: Deadline, wait: boolean): Promise<ContractReport> {
  const session = await openSession(inputs, deadline);
  try {
    let consumerSeen: number | undefined;
    for (let tries = 1; ; tries++) {
      const observed = await observe(session, inputs, deadline);
      if (observed.consumer) consumerSeen ??= deadline.elapsed();
      const verdicts = judge(inputs, observed);
      const missing = wait && deadline.remaining() > LAST_LOOK_MILLISECONDS;
      const unsettled = missing && deadline.elapsed() - (consumerSeen ?? 0) < BRIEF_MILLISECONDS;
      if (isFinal(verdicts, { missing, unsettled }))
        return reportOf(inputs, session, observed, verdicts, wait ? deadline : undefined);
      await deadline.pause(pauseAfter(tries), LAST_LOOK_MILLISECONDS);
    }
  } finally {
    await session.close();
  }
}

/** Both questions go out at once, so that an answer costs one round trip. */
async function observe(session: Session, inputs: ContractInputs, deadline: Deadline): Promise<Observed> {
  const { stream, consumer } = inputs;
  const [streamInfo, consumerInfo] = await Promise.all([
    session.streamInfo(stream, deadline),
    session.consumerInfo(stream, consumer, deadline),
  ]);
  return { stream: streamInfo, consumer: consumerInfo };
}

function isFinal(verdicts: readonly Verdict[], patience: { missing: boolean; unsettled: boolean }): boolean {
  const broken = verdicts.filter((verdict) => !verdict.ok);
  if (broken.some(({ rule }) => rule.severity === "violation" && rule.waits === undefined)) return true;
  return !broken.some(
    ({ rule }) =>
      (rule.waits === "until-deadline" && patience.missing) || (rule.waits === "briefly" && patience.unsettled),
  );
}

function reportOf(
  inputs: ContractInputs,
  session: Session,
  { stream, consumer }: Observed,
  verdicts: readonly Verdict[],
  waited: Deadline | undefined,
): ContractReport {
  const told = verdicts.map((verdict) =>
    waited && !verdict.ok && verdict.rule.waits === "until-deadline"
      ? { ...verdict, found: `${verdict.found} after ${inSeconds(waited.elapsed())}` }
      : verdict,
  );
  const broken = verdicts.filter((verdict) => !verdict.ok);
  return {
    holds: !broken.some(({ severity }) => severity === "violation" || inputs.strict),
    report: contractMessage(
      inputs,
      told,
      `${session.server} (nats-server ${session.serverVersion})`,
      stream?.state.messages ?? 0,
    ),
    checks: told.map(({ id, ok, severity, found, expected }) => ({ id, ok, severity, found, expected })),
    server: session.server,
    serverVersion: session.serverVersion,
    ...(stream ? streamFacts(stream) : {}),
    ...(stream && consumer ? consumerFacts(consumer) : {}),
  };
}

const toSeconds = (nanoseconds: number | undefined): number => (nanoseconds ?? 0) / 1e9;

function streamFacts({ config, created }: StreamInfo): Partial<ContractReport> {
  return {
    streamCreated: String(created),
    subjects: [...(config.subjects ?? [])].sort(),
    retention: config.retention,
    storage: config.storage,
    maxAgeSeconds: toSeconds(config.max_age),
  };
}

function consumerFacts({ config, created }: ConsumerInfo): Partial<ContractReport> {
  return {
    consumerCreated: String(created),
    durable: Boolean(config.durable_name),
    pull: !config.deliver_subject,
    ackPolicy: config.ack_policy,
    deliverPolicy: config.deliver_policy,
    replayPolicy: config.replay_policy,
    ackWaitSeconds: toSeconds(config.ack_wait),
    maxAckPending: config.max_ack_pending ?? 0,
    maxDeliver: config.max_deliver ?? 0,
  };
}
