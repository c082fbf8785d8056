import type { ConsumerInfo, StreamInfo } from "nats";
import { openSession, type Session } from "../components/stream-contract/connect";
import { Deadline } from "../components/stream-contract/deadline";
import type { ContractInputs } from "../components/stream-contract/inputs";
import { mendingCommands } from "../components/stream-contract/message";
import { judge } from "../components/stream-contract/rules";
import type { ConsumerFacts, NatsFacts, StreamFacts } from "./evidence";

const NANOSECONDS = 1e9;
/** Deadline of the questions that come on top of the contract's own, in milliseconds. */
const QUESTIONS_MILLISECONDS = 10_000;

/**
 * What NATS says about the stream, its consumers and the contract. Looks once: nothing is waited for that a deployment
 * may still be about to create.
 *
 * @throws ConnectError where NATS could not be asked.
 */
export async function readNats(inputs: ContractInputs): Promise<NatsFacts> {
  const deadline = new Deadline(QUESTIONS_MILLISECONDS);
  const session = await openSession(inputs, deadline);
  try {
    const [stream, consumer] = await Promise.all([
      session.streamInfo(inputs.stream, deadline),
      session.consumerInfo(inputs.stream, inputs.consumer, deadline),
    ]);
    const verdicts = judge(inputs, { stream, consumer });
    const broken = verdicts.filter(({ ok }) => !ok);
    const [consumers, overlapping] = await Promise.all([
      stream ? consumersOf(session, inputs, deadline) : [],
      streamsOf(session, inputs),
    ]);
    return {
      server: session.server,
      serverVersion: session.serverVersion,
      ...(stream ? { stream: streamFacts(stream) } : {}),
      consumers: consumers.map(consumerFacts),
      checks: verdicts.map(({ rule, id, ok, severity, found, expected }) => ({
        id,
        ok,
        severity,
        found,
        expected,
        why: rule.why,
      })),
      commands: mendingCommands(
        inputs,
        broken.map(({ mend }) => mend),
      ),
      overlapping: overlapping.filter((name) => name !== inputs.stream),
    };
  } finally {
    await session.close();
  }
}

/** All consumers, or the contract's alone where the user may not list them. */
async function consumersOf(session: Session, inputs: ContractInputs, deadline: Deadline): Promise<ConsumerInfo[]> {
  try {
    const manager = await session.connection.jetstreamManager({ checkAPI: false });
    const found: ConsumerInfo[] = [];
    for await (const consumer of manager.consumers.list(inputs.stream)) found.push(consumer);
    return found;
  } catch {
    const own = await session.consumerInfo(inputs.stream, inputs.consumer, deadline);
    return own ? [own] : [];
  }
}

/** Names of the streams that store the contract's subject; empty where the user may not ask. */
async function streamsOf(session: Session, inputs: ContractInputs): Promise<string[]> {
  try {
    const manager = await session.connection.jetstreamManager({ checkAPI: false });
    const found: string[] = [];
    for await (const name of manager.streams.names(inputs.subject)) found.push(name);
    return found;
  } catch {
    return [];
  }
}

function streamFacts({ config, created, state }: StreamInfo): StreamFacts {
  return {
    name: config.name,
    created: String(created),
    subjects: [...(config.subjects ?? [])].sort(),
    retention: config.retention,
    storage: config.storage,
    maxAgeSeconds: config.max_age / NANOSECONDS,
    replicas: config.num_replicas,
    messages: state.messages,
    bytes: state.bytes,
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
