/**
 * Before the NATS servers are rolled, or become more or fewer: would that lose anything? A roll is safe while every Raft group
 * has a leader and all its copies are in step, since it takes one server at a time; a lone server that joins a cluster, and a
 * cluster that becomes a lone server, drop what they hold.
 */
import type { ConsumerInfo, StreamInfo } from "nats";
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
export interface Holdings {
  readonly groups: readonly RaftGroup[];
  /** Streams that nobody answers for, which have no leader. */
  readonly missing: readonly string[];
  /** Messages by stream, of those that hold some: what waits for a consumer, or all where a stream has none. */
  readonly messages: Readonly<Record<string, number>>;
}

/** Undefined where nothing stands in the way; else why not, in sentences. */
export function rollProblem(holdings: Holdings | string, { before, after }: Resize): string | undefined {
  const resizes = before !== after && Math.min(before, after) === 1;
  if (typeof holdings === "string") {
    return resizes ? `${resizeWords({ before, after })} What it holds could not be asked: ${holdings}.` : undefined;
  }
  const { groups, missing, messages } = holdings;
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
export async function holdingsOf(inputs: ContractInputs, seconds = ASK_SECONDS): Promise<Holdings | string> {
  const deadline = new Deadline(seconds * 1000);
  try {
    const session = await openSession(inputs, deadline);
    try {
      return await askAll({ session, deadline });
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ConnectError) return error.message;
    throw error;
  }
}

/** Who is asked, and until when. */
interface Asked {
  readonly session: Session;
  readonly deadline: Deadline;
}

interface Page {
  readonly total?: number;
  readonly limit?: number;
  readonly missing?: readonly string[] | null;
  readonly error?: { readonly description?: string };
}

/** All items of a list, page by page. */
async function pages<T>(asked: Asked, subject: string, field: string) {
  const items: T[] = [];
  const missing: string[] = [];
  for (let offset = 0; ;) {
    const page = await ask<Page & Record<string, unknown>>(asked, subject, { offset });
    const found = (page[field] as T[] | null | undefined) ?? [];
    items.push(...found);
    missing.push(...(page.missing ?? []));
    offset += page.limit ?? found.length;
    if (found.length === 0 || offset >= (page.total ?? 0)) return { items, missing };
  }
}

/** How long a cluster may take to collect an answer from its servers, in milliseconds; it gives one up after four seconds. */
const ANSWER_MILLISECONDS = 6_000;

async function ask<T extends Page>({ session, deadline }: Asked, subject: string, body: object): Promise<T> {
  const { connection, server } = session;
  const fail = (why: string): never => {
    throw new ConnectError("no-answer", `${server} does not answer $JS.API.${subject}: ${why}`);
  };
  try {
    const timeout = deadline.step(ANSWER_MILLISECONDS);
    const answer = (await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout })).json<T>();
    return answer.error ? fail(answer.error.description ?? "an error") : answer;
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    return fail((error as Error).message);
  }
}

async function askAll(asked: Asked): Promise<Holdings> {
  const { items: streams, missing } = await pages<StreamInfo>(asked, "STREAM.LIST", "streams");
  const groups: RaftGroup[] = [];
  const messages: Record<string, number> = {};
  for (const { config, cluster, state } of streams) {
    groups.push({ of: `stream ${config.name}`, cluster });
    if (state.messages > 0) messages[config.name] = state.messages;
    if (state.consumer_count === 0) continue;
    const subject = `CONSUMER.LIST.${config.name}`;
    const consumers = await pages<ConsumerInfo>(asked, subject, "consumers");
    for (const consumer of consumers.items)
      groups.push({ of: `consumer ${consumer.name} of ${config.name}`, cluster: consumer.cluster });
    // A stream keeps what its workers have acknowledged, too, until it is too old.
    const waiting = consumers.items.map((consumer) => consumer.num_pending + consumer.num_ack_pending);
    if (waiting.length > 0 && Math.max(...waiting) === 0) delete messages[config.name];
    missing.push(...consumers.missing.map((name) => `${config.name}, consumer ${name}`));
  }
  return { groups, missing, messages };
}
