/** What a consumer that was made again passes over: as NoETL makes it, it begins at the next command. */
import type { ConsumerInfo } from "nats";
import { REPAIR_MARK } from "../rules/rule";
import { plural } from "../wording";
import type { Heal, Seen } from "./decide";

/** A consumer as it was seen last. */
interface Place {
  /** When its stream was created, and it itself. */
  readonly stream: string;
  readonly consumer: string;
  /** Up to which message nothing waits for it. */
  readonly floor: number;
  /** Its messages that waited or were in flight, and which message of the stream was the last one then. */
  readonly waiting: number;
  readonly last: number;
}

/** What was seen last of each consumer, by its name. */
export type Places = Readonly<Record<string, Place | undefined>>;

/** The consumers of the contract that are there. */
export const consumersOf = ({ observed: { consumer, consumers } }: Seen): ConsumerInfo[] =>
  Object.values(consumers ?? { consumer }).filter((info) => info !== undefined);

/** How many messages wait for a consumer, or are in flight. */
export const waits = ({ num_pending: pending, num_ack_pending: inFlight }: ConsumerInfo): number => pending + inFlight;

const isNew = ({ config }: ConsumerInfo): boolean => String(config.deliver_policy) === "new";

/** After which message a consumer begins. What it has delivered since came later. */
const beginning = ({ delivered }: ConsumerInfo): number => delivered.stream_seq - delivered.consumer_seq;

export function placesOf(seen: Seen, before: Places): Places {
  const { stream } = seen.observed;
  if (!stream) return before;
  const created = String(stream.created);
  const places = consumersOf(seen).map((info): [string, Place] => {
    const last = before[info.name];
    // Before nats-server 2.15 the floor of one that has had nothing acknowledged is 0.
    const floor = Math.max(
      info.ack_floor.stream_seq,
      last?.stream === created ? last.floor : 0,
      isNew(info) ? beginning(info) : 0,
    );
    return [
      info.name,
      { stream: created, consumer: String(info.created), floor, waiting: waits(info), last: stream.state.last_seq },
    ];
  });
  return { ...before, ...Object.fromEntries(places) };
}

/** Consumers that the guard has made itself. */
export const madeBy = (heals: readonly Heal[]): string[] =>
  heals.flatMap(({ creates: { kind, name } }) => (kind === "consumer" ? [name] : []));

/**
 * In words, for each consumer that was made again, by whomever. What was done since the last look counts, too.
 *
 * @param seen What was found after it.
 * @param before What had been seen of the consumers until then.
 * @param made Those that the guard has made, which it may never have seen before.
 */
export function passedOver(seen: Seen, before: Places, made: readonly string[]): string[] {
  const { stream } = seen.observed;
  if (!stream) return [];
  const isRepaired = stream.config.metadata?.[REPAIR_MARK] !== undefined;
  return consumersOf(seen).flatMap((info) => {
    const last = before[info.name];
    const isSameStream = last?.stream === String(stream.created);
    const isAnother = last !== undefined && last.consumer !== String(info.created) && (isSameStream || !isRepaired);
    if (!isNew(info) || !(isAnother || made.includes(info.name))) return [];
    const begins = beginning(info);
    const stored = begins - Math.max(isSameStream ? last.floor : 0, stream.state.first_seq - 1);
    // Of what came before the last look, others' and those that were done do not count.
    const commands = isSameStream ? Math.min(stored, last.waiting + Math.max(0, begins - last.last)) : stored;
    if (commands <= 0) return [];
    return [
      `consumer ${info.name} begins after message ${begins}: up to ${plural(commands, "command")} before it may reach no worker; ` +
        "npm run doctor names the executions that wait for one, and its --repair announces them again",
    ];
  });
}
