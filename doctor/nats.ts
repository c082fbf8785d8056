import type { ConsumerInfo, StreamInfo } from "nats";
import { observe } from "../components/stream-contract/check";
import { openSession } from "../components/stream-contract/connect";
import { Deadline } from "../components/stream-contract/deadline";
import type { ContractInputs } from "../components/stream-contract/inputs";
import { mendingCommands } from "../components/stream-contract/message";
import { toSeconds } from "../components/stream-contract/rule";
import { judge } from "../components/stream-contract/rules";
import type { Session } from "../components/stream-contract/session";
import type { ConsumerFacts, NatsFacts, StreamFacts } from "./evidence";

/**
 * What NATS says about the stream, its consumers and the contract. Looks once: nothing is waited for that a deployment
 * may still be about to create.
 *
 * @throws ConnectError where NATS could not be asked.
 */
export async function readNats(inputs: ContractInputs): Promise<NatsFacts> {
  const deadline = new Deadline(inputs.timeoutSeconds * 1000);
  const session = await openSession(inputs, deadline);
  try {
    const { observed, unasked } = await observe(session, inputs, deadline);
    const verdicts = judge(inputs, observed);
    const broken = verdicts.filter(({ ok }) => !ok);
    const consumers = observed.stream ? await consumersOf(session, inputs.stream, observed.consumer) : [];
    return {
      server: session.server,
      serverVersion: session.serverVersion,
      ...(observed.stream ? { stream: streamFacts(observed.stream) } : {}),
      consumers: consumers.map(consumerFacts),
      buckets: Object.entries(observed.buckets ?? {}).map(([name, info]) => ({
        name,
        ...(info ? { ttlSeconds: toSeconds(info.config.max_age) } : {}),
      })),
      checks: verdicts.map(({ rule, id, bucket, ok, severity, found, expected }) => ({
        id,
        about: rule.about,
        ...(bucket === undefined ? {} : { bucket }),
        ok,
        severity,
        found,
        expected,
        why: rule.why,
      })),
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
