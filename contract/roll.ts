/**
 * Before the NATS servers are rolled, or become more or fewer: would that lose anything? A roll is safe while every Raft group
 * has a leader and all its copies are in step, since it takes one server at a time; a lone server that joins a cluster, and a
 * cluster that becomes a lone server, drop what they hold.
 */
import type { StreamInfo } from "nats";
import { Deadline } from "./deadline";
import { ConnectError } from "./errors";
import { LOCATIONS } from "./facts";
import type { ContractInputs } from "./inputs";
import { openSession } from "./nats/connect";
import type { Session } from "./nats/session";
import { peersOf } from "./rules/rule";
import { plural } from "./wording";

/** Servers before an update and after it. */
export interface Resize {
  readonly before: number;
  readonly after: number;
}

/** A Raft group: what it keeps, in words, and its servers as its leader tells. */
export interface RaftGroup {
  readonly of: string;
  readonly cluster: StreamInfo["cluster"];
}

/** What NATS says of all that it holds. */
export interface Inventory {
  readonly groups: readonly RaftGroup[];
  /** Streams that nobody answers for, which have no leader. */
  readonly missing: readonly string[];
  /** Messages by stream, of those that hold some: what waits for a consumer, or all where a stream has none. */
  readonly messages: Readonly<Record<string, number>>;
}

/** Undefined where nothing stands in the way; else why not, in sentences. */
export function rollProblem(inventory: Inventory | string, { before, after }: Resize): string | undefined {
  const resizes = before !== after && Math.min(before, after) === 1;
  if (typeof inventory === "string") {
    return resizes ? `${resizeWords({ before, after })} What it holds could not be asked: ${inventory}.` : undefined;
  }
  const { groups, missing, messages } = inventory;
  if (resizes) {
    const held = Object.entries(messages).map(([stream, count]) => `${stream} (${plural(count, "message")})`);
    return held.length === 0 ? undefined : `${resizeWords({ before, after })} These are now: ${held.join(", ")}.`;
  }
  if (before === 1) return undefined;
  const trouble = [
    ...missing.map((stream) => `stream ${stream} has no leader`),
    ...groups.flatMap(({ of, cluster }) => {
      const problems = [...peersOf({ cluster }).trouble, ...leaving(cluster, after)];
      return problems.length === 0 ? [] : [`${of}: ${problems.join(", ")}`];
    }),
  ];
  if (trouble.length === 0) return undefined;
  const shown = [
    ...trouble.slice(0, MOST_SHOWN),
    ...(trouble.length > MOST_SHOWN ? [`and ${trouble.length - MOST_SHOWN} more`] : []),
  ];
  return `This stops the NATS servers one by one, and not everything has its copies now: ${shown.join("; ")}.`;
}

/** So many troubles are named. */
const MOST_SHOWN = 5;

const resizeWords = ({ before }: Resize): string =>
  before === 1
    ? "A lone NATS server becomes a cluster, which drops every stream that it holds, on disk too."
    : "A cluster of NATS servers becomes a lone server, which drops every stream that it holds, on disk too.";

/** Servers of a group that would not be there any more. */
function leaving(cluster: StreamInfo["cluster"], after: number): string[] {
  const names = [cluster?.leader, ...(cluster?.replicas ?? []).map(({ name }) => name)];
  return names.flatMap((name = "") => {
    const ordinal = new RegExp(`^${LOCATIONS.nats.service}-(\\d+)$`).exec(name)?.[1];
    return ordinal !== undefined && Number(ordinal) >= after ? [`${name} would be removed with its copy`] : [];
  });
}

/** How long all questions together may take, in seconds. */
const ASK_SECONDS = 15;

/** Asks NATS, and changes nothing. A text says why it could not be asked. */
export async function inventoryOf(inputs: ContractInputs, seconds = ASK_SECONDS): Promise<Inventory | string> {
  const deadline = new Deadline(seconds * 1000);
  try {
    const session = await openSession(inputs, deadline);
    try {
      return await askAll(session, deadline);
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ConnectError) return error.message;
    throw error;
  }
}

async function askAll(session: Session, deadline: Deadline): Promise<Inventory> {
  const streams = await session.streams(deadline);
  const missing = [...streams.missing];
  const groups: RaftGroup[] = [];
  const messages: Record<string, number> = {};
  for (const { config, cluster, state } of streams.items) {
    groups.push({ of: `stream ${config.name}`, cluster });
    if (state.messages > 0) messages[config.name] = state.messages;
    if (state.consumer_count === 0) continue;
    const consumers = await session.consumers(config.name, deadline);
    for (const consumer of consumers.items)
      groups.push({ of: `consumer ${consumer.name} of ${config.name}`, cluster: consumer.cluster });
    // A stream keeps what its workers have acknowledged, too, until it is too old.
    const waiting = consumers.items.map((consumer) => consumer.num_pending + consumer.num_ack_pending);
    if (waiting.length > 0 && Math.max(...waiting) === 0) delete messages[config.name];
    missing.push(...consumers.missing.map((name) => `${config.name}, consumer ${name}`));
  }
  return { groups, missing, messages };
}
