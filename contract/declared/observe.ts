/** What the server says about the objects that are declared, and about what stands beside them. */
import type { ConsumerInfo, StreamInfo } from "nats";
import type { Deadline } from "../deadline";
import { ConnectError } from "../errors";
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

/** Asks for everything that is declared; all questions go out at once. Undefined where nothing is declared. */
export async function observeDeclared(
  session: Session,
  { declared, mode }: { readonly declared?: Declared; readonly mode: "assert" | "ensure" },
  deadline: Deadline,
): Promise<DeclaredObserved | undefined> {
  if (!declared) return undefined;
  const targets = targetsOf(declared);
  if (targets.length === 0) return undefined;
  const consumers = targets.filter(({ consumer }) => consumer !== undefined);
  const ensures = mode === "ensure";
  const subjects = ensures
    ? targets.flatMap(({ remove, config }) => (remove ? [] : ((config.subjects as string[] | undefined) ?? [])))
    : [];
  const [streams, found, takers, beside] = await Promise.all([
    entries(
      targets.map(({ stream }) => stream),
      (stream) => session.streamInfo(stream, deadline),
    ),
    Promise.all(
      consumers.map(
        async ({ stream, consumer = "" }) =>
          [consumerKey(stream, consumer), await session.consumerInfo(stream, consumer, deadline)] as const,
      ),
    ),
    entries(subjects, (subject) => allowed(session.streamsWith(subject, deadline))),
    entries(ensures ? consumers.map(({ stream }) => stream) : [], (stream) => consumersOf(session, stream, deadline)),
  ]);
  const info = session.connection.info as { cluster?: string } | undefined;
  return {
    server: { version: session.serverVersion, clustered: Boolean(info?.cluster) },
    streams,
    consumers: Object.fromEntries(found),
    takers: defined(takers),
    beside: defined(beside),
  };
}
