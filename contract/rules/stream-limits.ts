/** Limits of the stream: of messages, and of consumers. */
import type { StreamInfo } from "nats";
import { BYTES_WHERE_REQUIRED, requiresBytes, share } from "./account";
import { consumerTerms } from "../inputs";
import {
  editStream,
  isOlderThan,
  limited,
  NOTIFICATION_BYTES,
  toSeconds,
  type Contract,
  type Found,
  type Fix,
  type Observed,
} from "./rule";

/** A limit of the stream. */
interface Limit {
  readonly words: string;
  /** Whether it drops or refuses commands at the load that NoETL has, or does so now. */
  readonly bites: boolean;
}

/** Commands that NoETL has in flight at most, which is how many the stream must hold at the very least. */
export const load = ({ worker }: Pick<Contract, "worker">): number =>
  limited(worker.maxAckPending) ? worker.maxAckPending : SERVERS_ACK_PENDING;

/** `max_ack_pending` of a consumer that nobody set it for. */
const SERVERS_ACK_PENDING = 1000;

/**
 * Limits of the stream. One bites where it is below what NoETL has in flight; where it is reached and new messages are
 * refused; and where it is reached and the oldest, which are dropped, still wait for a worker.
 */
export function limitsOf(
  { stream, consumer, account }: Pick<Observed, "consumer" | "account"> & { stream: StreamInfo },
  contract: Contract,
): Limit[] {
  const { config, state } = stream;
  const refuses = String(config.discard) === "new";
  const waiting = (consumer?.num_pending ?? 0) + (consumer?.num_ack_pending ?? 0);
  const bites = (used: number, limit: number, needed: number): boolean =>
    limit < needed || (used >= limit && (refuses || waiting >= state.messages));
  const commands = load(contract);
  const limits: Limit[] = [];
  if (limited(config.max_msgs)) {
    limits.push({ words: `max_msgs ${config.max_msgs}`, bites: bites(state.messages, config.max_msgs, commands) });
  }
  if (limited(config.max_bytes)) {
    const used = state.bytes + NOTIFICATION_BYTES;
    const isReached = bites(used, config.max_bytes, commands * NOTIFICATION_BYTES);
    // Where the account demands one, to have it is not a deviation.
    if (isReached || !requiresBytes(contract, { account })) {
      limits.push({ words: `max_bytes ${config.max_bytes}`, bites: isReached });
    }
  }
  const perSubject = config.max_msgs_per_subject;
  if (limited(perSubject)) {
    // Every command of this NoETL may have the same subject; each other subject has a message of its own at least.
    const most = state.messages - Math.max(0, (state.num_subjects ?? 1) - 1);
    limits.push({ words: `max_msgs_per_subject ${perSubject}`, bites: bites(most, perSubject, commands) });
  }
  return limits;
}

export const limitWords = (limits: readonly Limit[], { config }: StreamInfo): string => {
  const perSubject = config.discard_new_per_subject ? " per subject" : "";
  const words = limits.map((limit) => limit.words).join(", ");
  return limits.length === 0 ? "no limits" : `${words}, discard ${config.discard}${perSubject}`;
};

/** No limit, and of bytes, where the account demands a limit, a large one. */
export const withoutLimits = (contract: Contract, { stream, account }: Found): Fix =>
  editStream({
    max_msgs: -1,
    max_bytes: requiresBytes(contract, { account }) ? Math.max(BYTES_WHERE_REQUIRED, 2 * stream.config.max_bytes) : -1,
    max_msgs_per_subject: -1,
    discard: "old" as StreamInfo["config"]["discard"],
    ...(stream.config.discard_new_per_subject ? { discard_new_per_subject: false } : {}),
  });

export function consumerLimits({ config: { consumer_limits: limits } }: StreamInfo): string[] {
  return [
    ...(limited(limits?.max_ack_pending) ? [`max_ack_pending ${limits.max_ack_pending}`] : []),
    ...(limited(limits?.inactive_threshold) ? [`inactive_threshold ${toSeconds(limits.inactive_threshold)} s`] : []),
  ];
}

/** How many of the workers' consumers are not there yet. */
export const missingConsumers = (
  { consumer, consumers }: Pick<Found, "consumer" | "consumers">,
  contract: Contract,
): number => consumerTerms(contract).filter(({ name }) => !(consumers ? consumers[name] : consumer)).length;

/** How many consumers the stream has with those that are missing; of a stream that is not there yet, with none. */
export const consumersWanted = (found: Found, contract: Contract): number => {
  const state = found.stream.state as typeof found.stream.state | undefined;
  return (state?.consumer_count ?? 0) + missingConsumers(found, contract);
};

/** `default_max_consumers` of nats-server 2.15, for a stream whose own limit, and whose account's, is unset. */
export const SERVERS_CONSUMERS = 1000;

/** How many consumers the stream may have; undefined where nothing limits them. */
export function consumerRoom({ stream, account, serverVersion }: Found, { expect }: Contract): number | undefined {
  const replicas = stream.config.num_replicas ?? expect.replicas;
  const limits = [stream.config.max_consumers, account && share(account, replicas).limits.max_consumers].filter(
    limited,
  );
  if (limits.length > 0) return Math.min(...limits);
  // Of no server where a change is compared; one that has more already is of a server whose own limit is another.
  if (serverVersion === undefined || isOlderThan(15, { serverVersion })) return undefined;
  return stream.state.consumer_count > SERVERS_CONSUMERS ? undefined : SERVERS_CONSUMERS;
}
