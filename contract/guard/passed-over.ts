/** What a consumer that was made again passes over: as NoETL makes it, it begins at the next command. */
import type { ConsumerInfo } from "nats";
import { plural } from "../wording";
import type { Heal, Seen } from "./decide";

/** Up to which message each consumer had all acknowledged, by its name, and of which stream. */
export type Floors = Readonly<Record<string, { readonly created: string; readonly sequence: number } | undefined>>;

const consumersOf = ({ observed: { consumer, consumers } }: Seen): ConsumerInfo[] =>
  Object.values(consumers ?? { consumer }).filter((info) => info !== undefined);

export function floorsOf(seen: Seen): Floors {
  const { stream } = seen.observed;
  if (!stream) return {};
  const created = String(stream.created);
  return Object.fromEntries(
    consumersOf(seen).map(({ name, ack_floor: floor }) => [name, { created, sequence: floor.stream_seq }]),
  );
}

/**
 * In words, for each consumer that was made. Acknowledged commands behind one that was not count too.
 *
 * @param seen What was found after it.
 * @param floors How far the consumers had come before.
 */
export function passedOver(heals: readonly Heal[], seen: Seen, floors: Floors): string[] {
  const { stream } = seen.observed;
  if (!stream) return [];
  const made = heals.flatMap(({ creates: { kind, name } }) => (kind === "consumer" ? [name] : []));
  return consumersOf(seen).flatMap(({ name, config, delivered }) => {
    if (!made.includes(name) || String(config.deliver_policy) !== "new") return [];
    // What it has delivered meanwhile came after its beginning.
    const begins = delivered.stream_seq - delivered.consumer_seq;
    const before = floors[name];
    const floor = before?.created === String(stream.created) ? before.sequence : 0;
    const commands = begins - Math.max(floor, stream.state.first_seq - 1);
    if (commands <= 0) return [];
    return [
      `consumer ${name} begins after message ${begins}: up to ${plural(commands, "command")} before it may reach no worker; ` +
        "npm run doctor names the executions that wait for one, and its --repair announces them again",
    ];
  });
}
