/** What the server says about the objects that are declared, and about what stands beside them. */
import type { ConsumerInfo, StreamInfo } from "nats";
import type { Deadline } from "../deadline";
import { ConnectError, isSilence } from "../errors";
import type { Session } from "../nats/session";
import type { ServerFacts } from "./compare";
import { targetsOf } from "./targets";
import type { Declared } from "./types";

export interface DeclaredObserved {
  readonly server: ServerFacts;
  /** By name of the JetStream stream; undefined where there is none. */
  readonly streams: Readonly<Record<string, StreamInfo | undefined>>;
  /** By stream and consumer, see {@link consumerKey}. */
  readonly consumers: Readonly<Record<string, ConsumerInfo | undefined>>;
  /** Names of the streams that take a declared subject or a part of it, where the login may ask. */
  readonly takers: Readonly<Record<string, readonly string[]>>;
  /** All consumers of the streams that have declared ones, where the login may ask and `ensure` needs it. */
  readonly beside: Readonly<Record<string, readonly ConsumerInfo[]>>;
  /** Why nobody answers, by the name of a stream or the key of a consumer of which nothing is known then. */
  readonly silent?: Readonly<Record<string, string>>;
}

/** What is asked about. */
interface Question {
  readonly declared?: Declared;
  readonly mode: "assert" | "ensure";
  /** True where nothing is going to be changed: what only a change needs is not asked, and nobody's silence ends the look. */
  readonly looksOnly: boolean;
}

export const consumerKey = (stream: string, consumer: string): string => `${stream} ${consumer}`;

const ANSWER_MILLISECONDS = 3_000;

/** The answer, or undefined where the login may not ask. */
async function allowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ConnectError && error.problem === "missing-permission") return undefined;
    throw error;
  }
}

/** The first consumers of a stream, at most 256; undefined where the server does not tell. */
async function consumersOf(session: Session, stream: string, deadline: Deadline): Promise<ConsumerInfo[] | undefined> {
  try {
    const message = await session.connection.request(`$JS.API.CONSUMER.LIST.${stream}`, JSON.stringify({ offset: 0 }), {
      timeout: deadline.step(ANSWER_MILLISECONDS),
    });
    return message.json<{ consumers?: ConsumerInfo[] }>().consumers;
  } catch {
    // What it is for, a refusal before the first change, comes from the server then.
    return undefined;
  }
}

const entries = async <T>(keys: Iterable<string>, ask: (key: string) => Promise<T>): Promise<Record<string, T>> =>
  Object.fromEntries(await Promise.all([...new Set(keys)].map(async (key) => [key, await ask(key)] as const)));

const defined = <T>(record: Record<string, T | undefined>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter((entry): entry is [string, T] => entry[1] !== undefined));

type Asks<T> = ReadonlyMap<string, () => Promise<T>>;

/** The answers by key, and why nobody gave the others: where silence is spared, else it is an error. */
async function answersTo<T>(asks: Asks<T>, isSpared: boolean) {
  const asked = await Promise.all(
    [...asks].map(async ([key, ask]) => {
      try {
        return { key, answer: await ask() };
      } catch (error) {
        if (!isSpared || !isSilence(error)) throw error;
        return { key, why: error.message };
      }
    }),
  );
  return {
    answers: Object.fromEntries(asked.flatMap(({ key, answer, why }) => (why === undefined ? [[key, answer]] : []))),
    silent: Object.fromEntries(asked.flatMap(({ key, why }) => (why === undefined ? [] : [[key, why]]))),
  };
}

/** Asks for everything that is declared; all questions go out at once. Undefined where nothing is declared. */
export async function observeDeclared(
  session: Session,
  { declared, mode, looksOnly }: Question,
  deadline: Deadline,
): Promise<DeclaredObserved | undefined> {
  if (!declared) return undefined;
  const targets = targetsOf(declared);
  if (targets.length === 0) return undefined;
  const consumers = targets.flatMap(({ stream, consumer }) => (consumer === undefined ? [] : { stream, consumer }));
  const streamAsks = targets.map(({ stream }) => [stream, () => session.streamInfo(stream, deadline)] as const);
  const consumerAsks = consumers.map(
    ({ stream, consumer }) =>
      [consumerKey(stream, consumer), () => session.consumerInfo(stream, consumer, deadline)] as const,
  );
  const ensures = mode === "ensure" && !looksOnly;
  const subjects = ensures
    ? targets.flatMap(({ remove, config }) => (remove ? [] : ((config.subjects as string[] | undefined) ?? [])))
    : [];
  const [streams, found, takers, beside] = await Promise.all([
    answersTo(new Map(streamAsks), looksOnly),
    answersTo(new Map(consumerAsks), looksOnly),
    entries(subjects, (subject) => allowed(session.streamsWith(subject, deadline))),
    entries(ensures ? consumers.map(({ stream }) => stream) : [], (stream) => consumersOf(session, stream, deadline)),
  ]);
  const info = session.connection.info as { cluster?: string } | undefined;
  return {
    server: { version: session.serverVersion, clustered: Boolean(info?.cluster) },
    streams: streams.answers,
    consumers: found.answers,
    takers: defined(takers),
    beside: defined(beside),
    silent: { ...streams.silent, ...found.silent },
  };
}
