/**
 * Before the NATS servers are rolled, or become more or fewer: would that lose anything? A roll is safe while every Raft group
 * has a leader and all its copies are in step, since it takes one server at a time; a lone server that joins a cluster, and a
 * cluster that becomes a lone server, drop what they hold.
 */
import { StorageType, type StreamInfo } from "nats";
import { Deadline } from "./deadline";
import { ConnectError } from "./errors";
import { LOCATIONS } from "./facts";
import type { ContractInputs } from "./inputs";
import { openSession } from "./nats/connect";
import { type Resize, resizes } from "./resize";
import type { Session } from "./nats/session";
import { peersOf } from "./rules/rule";
import { plural } from "./wording";

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
  /** Messages by stream, of those that hold some. NoETL's own is left out where no consumer of it has anything left to do. */
  readonly messages: Readonly<Record<string, number>>;
  /** Streams that are kept in memory. */
  readonly inMemory: readonly string[];
}

/** Why the servers may not be rolled. */
export interface RollProblem {
  /** Whether something would be dropped, NATS could not be asked what would be, or a copy is not there. */
  readonly kind: "drops" | "unasked" | "out of step";
  /** In sentences. */
  readonly why: string;
}

/** Undefined where nothing stands in the way. */
export function rollProblem(inventory: Inventory | string, resize: Resize): RollProblem | undefined {
  const { before, after } = resize;
  const drops = dropWords(resize);
  if (typeof inventory === "string") {
    if (drops === undefined) return undefined;
    return { kind: "unasked", why: `${drops} What NATS holds could not be asked: ${inventory}.` };
  }
  const { messages, inMemory } = inventory;
  if (drops !== undefined) {
    const held = Object.entries(messages)
      .filter(([stream]) => resizes(resize) || inMemory.includes(stream))
      .map(([stream, count]) => `${stream} (${plural(count, "message")})`);
    if (held.length > 0) return { kind: "drops", why: `${drops} These are now: ${held.join(", ")}.` };
    if (resizes(resize)) return undefined;
  }
  const trouble = before === 1 ? [] : outOfStep(inventory, after);
  if (trouble.length === 0) return undefined;
  const shown = [
    ...trouble.slice(0, MOST_SHOWN),
    ...(trouble.length > MOST_SHOWN ? [`and ${trouble.length - MOST_SHOWN} more`] : []),
  ];
  const why = `This stops the NATS servers one by one, and not everything has its copies now: ${shown.join("; ")}.`;
  return { kind: "out of step", why };
}

/** What lacks a leader or a copy, or would. */
function outOfStep({ groups, missing }: Inventory, after: number): string[] {
  return [
    ...missing.map((stream) => `stream ${stream} has no leader`),
    ...groups.flatMap(({ of, cluster }) => {
      const problems = [...peersOf({ cluster }).trouble, ...leaving(cluster, after)];
      return problems.length === 0 ? [] : [`${of}: ${problems.join(", ")}`];
    }),
  ];
}

/** So many troubles are named. */
const MOST_SHOWN = 5;

/** What an update drops whatever state NATS is in; undefined where it drops nothing. */
function dropWords(resize: Resize): string | undefined {
  if (resizes(resize)) {
    return resize.before === 1
      ? "A lone NATS server becomes a cluster, which drops every stream that it holds, on disk too."
      : "A cluster of NATS servers becomes a lone server, which drops every stream that it holds, on disk too.";
  }
  return resize.parts
    ? "Servers of a cluster that speak TLS among one another and those that do not, or trust other certificates, do not find one another: while " +
        "they restart one by one, each stream in memory is lost with all its copies."
    : undefined;
}

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
      return await askAll(session, inputs.stream, deadline);
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ConnectError) return error.message;
    throw error;
  }
}

async function askAll(session: Session, own: string, deadline: Deadline): Promise<Inventory> {
  const streams = await session.streams(deadline);
  const missing = [...streams.missing];
  const groups: RaftGroup[] = [];
  const messages: Record<string, number> = {};
  const inMemory = streams.items.filter(({ config }) => config.storage === StorageType.Memory);
  for (const { config, cluster, state } of streams.items) {
    groups.push({ of: `stream ${config.name}`, cluster });
    if (state.messages > 0) messages[config.name] = state.messages;
    if (state.consumer_count === 0) continue;
    const consumers = await session.consumers(config.name, deadline);
    for (const consumer of consumers.items)
      groups.push({ of: `consumer ${consumer.name} of ${config.name}`, cluster: consumer.cluster });
    missing.push(...consumers.missing.map((name) => `${config.name}, consumer ${name}`));
    // NoETL's stream keeps what its workers have acknowledged, too, until it is too old. What others keep is there to be read again.
    if (config.name !== own) continue;
    const waiting = consumers.items.map((consumer) => consumer.num_pending + consumer.num_ack_pending);
    if (waiting.length > 0 && Math.max(...waiting) === 0) delete messages[config.name];
  }
  return { groups, missing, messages, inMemory: inMemory.map(({ config }) => config.name) };
}
