import type { ConsumerInfo, StreamInfo } from "nats";
import { observe } from "../components/stream-contract/check";
import { openSession } from "../components/stream-contract/connect";
import { Deadline } from "../components/stream-contract/deadline";
import type { ContractInputs } from "../components/stream-contract/inputs";
import { mendingCommands } from "../components/stream-contract/message";
import { toSeconds } from "../components/stream-contract/rule";
import { judge, type Verdict } from "../components/stream-contract/rules";
import type { Session } from "../components/stream-contract/session";
import type { CheckFacts, ConsumerFacts, NatsFacts, StreamFacts } from "./evidence";
import type { Slowness } from "./slowness";

/**
 * Longest way to NATS, and longest round of questions, in milliseconds. Every step of them has a deadline of its own, which
 * begins when it does (`Deadline.step`): these two only end what would otherwise add up.
 */
const WAY_MILLISECONDS = 40_000;
const QUESTIONS_MILLISECONDS = 40_000;

/**
 * What NATS says about the stream, its consumers and the contract. Looks once: nothing is waited for that a deployment
 * may still be about to create.
 *
 * @throws ConnectError where NATS could not be asked.
 */
export async function readNats(inputs: ContractInputs, slowness: Slowness): Promise<NatsFacts> {
  const session = await slowness.watch("the way to NATS", () => openSession(inputs, new Deadline(WAY_MILLISECONDS)));
  try {
    const { observed, unasked } = await slowness.watch("NATS's answers", () =>
      observe(session, inputs, new Deadline(QUESTIONS_MILLISECONDS)),
    );
    const verdicts = judge(inputs, observed);
    const broken = verdicts.filter(({ ok }) => !ok);
    const consumers = observed.stream ? await consumersOf(session, inputs.stream, observed.consumer) : [];
    return {
      server: session.server,
      serverVersion: session.serverVersion,
      ...timeOf(observed.stream),
      ...(observed.stream ? { stream: streamFacts(observed.stream) } : {}),
      consumers: consumers.map(consumerFacts),
      buckets: Object.entries(observed.buckets ?? {}).map(([name, info]) => ({
        name,
        ...(info ? { ttlSeconds: toSeconds(info.config.max_age) } : {}),
      })),
      checks: verdicts.map(checkFacts),
      unasked: unasked.map(({ id, why }) => `${id}: ${why}`),
      commands: mendingCommands(
        inputs,
        broken.map(({ mend }) => mend),
      ),
      overlapping: [...(observed.overlapping ?? [])],
    };
  } finally {
    await session.close();
  }
}

/** What a verdict says, whatever it names beside the rule: a bucket, a consumer. */
export function checkFacts({ rule, mend, waits: _waits, ensure: _ensure, ...check }: Verdict): CheckFacts {
  return {
    ...check,
    about: rule.about,
    why: rule.why,
    ...(!check.ok && mend.action === "advise" ? { advice: mend.advice } : {}),
  };
}

/** All consumers of a stream, or the contract's alone where the user may not list them. */
export async function consumersOf(
  session: Session,
  stream: string,
  own: ConsumerInfo | undefined,
): Promise<ConsumerInfo[]> {
  try {
    const manager = await session.connection.jetstreamManager({ checkAPI: false });
    const found: ConsumerInfo[] = [];
    for await (const consumer of manager.consumers.list(stream)) found.push(consumer);
    return found;
  } catch {
    return own ? [own] : [];
  }
}

/** The server's clock, which it gives with every stream's info since 2.10. */
function timeOf(stream: StreamInfo | undefined): Pick<NatsFacts, "now"> {
  const now = Date.parse(String((stream as { ts?: string } | undefined)?.ts));
  return Number.isNaN(now) ? {} : { now };
}

function streamFacts({ config, created, state }: StreamInfo): StreamFacts {
  return {
    name: config.name,
    created: String(created),
    subjects: [...(config.subjects ?? [])].sort(),
    retention: config.retention,
    storage: config.storage,
    maxAgeSeconds: toSeconds(config.max_age),
    replicas: config.num_replicas,
    messages: state.messages,
    bytes: state.bytes,
    ...(state.last_seq > 0 ? { lastMessageAt: Date.parse(String(state.last_ts)) } : {}),
  };
}

function consumerFacts(info: ConsumerInfo): ConsumerFacts {
  const { config } = info;
  return {
    name: info.name,
    durable: Boolean(config.durable_name),
    pull: !config.deliver_subject,
    ackPolicy: config.ack_policy,
    deliverPolicy: config.deliver_policy,
    filters: config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []),
    maxAckPending: config.max_ack_pending ?? 0,
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
    waiting: info.num_waiting,
  };
}
