/**
 * What happens to a command, tried out: where a publish ends, and what a worker may do. Nothing is stored, taken or advanced
 * by it, whatever the server's version:
 *
 * - A publish names a stream that does not exist in `Nats-Expected-Stream`; every server refuses it with 10060, together with
 *   the name of the stream that would have taken it, before it looks at anything else. From nats-server 2.11 on it also asks
 *   for a trace only (`Nats-Trace-Only`), so that ordinary subscribers do not see it either.
 * - Requests for the next message and for a stream's name have a body that no server can read, and are answered with that; an
 *   acknowledgement is a sign of progress about a message that does not exist, and is answered with nothing.
 * - What NoETL would create is asked for with a setting that every server refuses, after it has looked at the limits.
 */
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Deadline } from "./deadline";
import { consumerConfig, type streamConfig } from "./desired";
import { ConnectError } from "./errors";
import type { ConsumerTerms } from "./lines";
import { publishedSubjects, type ContractInputs } from "./inputs";
import type { Probe, PublishProbe, Refusal, Route, Stray, WorkerProbe } from "./probe-results";
import { share } from "./rules/account";
import { isOlder } from "./declared/fields";
import { filtersTogether } from "./rules/stream";
import { limited, NOTIFICATION_BYTES, toNanoseconds } from "./rules/rule";
import { ACK_PREFIX, mayPublish, type Attempt, type Inquiry, type Session, type Trial } from "./nats/session";
import { traceOnly } from "./nats/trace";
import { subjectsCover } from "./subjects";
import { AckPolicy, type ConsumerInfo, type StreamInfo } from "nats";

/** Header with which a server names the stream instead of storing a message. */
export const EXPECTED_STREAM = "Nats-Expected-Stream";
/** The error that it comes with. */
const NOT_EXPECTED_STREAM = 10060;

/** Where servers send their trace of a probe: the API ignores what it does not know. */
const TRACE_SUBJECT = "$JS.API.NOETL_NATS.TRACE";

/**
 * Publishes for each subject: a mapping of subjects may be weighted, and each is a throw of the dice. One of 50 % is missed
 * once in 10^12 checks, one of 10 % in 15 of 1,000.
 */
const THROWS = 40;

/** Longest wait for a stream's answer, in milliseconds: it comes with the others, or not at all. */
const ROUTE_MILLISECONDS = 2_000;

/** Codes that say that there is no room: the server's, the account's, the disk's. */
const NO_ROOM: ReadonlySet<number> = new Set([10023, 10002, 10047]);
/** A stream's queue is full: of a message alone where that is larger than the queue, else with all that has come before it. */
export const QUEUE_FULL = 10167;

/** A sequence that no stream reaches. */
const NO_SEQUENCE = "4611686018427387904";

/** A subject of a pattern: what stands in its wildcards is made up. */
export const literalOf = (pattern: string): string =>
  pattern
    .split(".")
    .map((token) => (token === "*" || token === ">" ? "noetl-nats-probe" : token))
    .join(".");

/** Subjects that this NoETL publishes on, each literal. */
const probedSubjects = (inputs: ContractInputs): string[] => [...new Set(publishedSubjects(inputs).map(literalOf))];

/** Whether a server tells traces. */
export const tracesAtAll = ({ serverVersion }: Session): boolean => !isOlder(serverVersion, "2.11");

/** Whether a server can be asked for a trace instead of a delivery. A cluster may have older servers in it. */
export const mayWatch = (session: Session): boolean => !session.clustered && tracesAtAll(session);

function routeOf(attempt: Attempt): Route {
  switch (attempt.kind) {
    case "refused":
      return { end: "refused", words: attempt.words };
    case "nobody":
    case "silence":
      return { end: attempt.kind };
    case "answer": {
      const { stream, error } = parsed(attempt.text);
      if (stream === undefined) return { end: "somebody", words: attempt.text.slice(0, 80) };
      return { end: "stream", stream, code: error?.err_code ?? 0, words: error?.description ?? "it was stored" };
    }
  }
}

interface ApiAnswer {
  readonly stream?: string;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

function parsed(text: string): ApiAnswer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** What the infos that are known by now say about what can be tried. */
export interface Known {
  readonly stream: StreamInfo | undefined;
  /** By name. */
  readonly consumers: Readonly<Record<string, ConsumerInfo | undefined>>;
}

/** Whether a stream can be expected to answer a publish on `subject`; that it cannot is another rule's finding. */
export const isAnswered = (stream: StreamInfo | undefined, subject: string): stream is StreamInfo =>
  stream !== undefined &&
  !stream.config.no_ack &&
  !stream.config.mirror &&
  subjectsCover(stream.config.subjects ?? [], subject);

/** What a login may have traced. */
interface Tracing {
  /** Whether it may ask for a trace instead of a delivery, and the server gives it. */
  readonly quiet: boolean;
  /** Where it may be told of a trace, which no other check hears of; undefined where it may not. */
  readonly inbox?: string;
}

export async function tracingOf(session: Session, deadline: Deadline): Promise<Tracing> {
  if (!tracesAtAll(session)) return { quiet: false };
  const [inbox, watches] = [session.inbox(), mayWatch(session)];
  const tried = [{ subject: inbox }, ...(watches ? [{ subject: TRACE_SUBJECT }] : [])];
  const [untold, refused] = await session.publishRefusals(tried, deadline);
  return { quiet: watches && refused === undefined, inbox: untold === undefined ? inbox : undefined };
}

/** What a probe goes by. */
interface Sight extends Known, Tracing {}

/** What is as large as a command, as far as the server takes such a message: that it does not is another rule's finding. */
const command = ({ maxPayload }: Session): string =>
  "x".repeat(Math.max(0, Math.min(NOTIFICATION_BYTES, maxPayload - HEADER_BYTES)));

/** More than the headers of a probe take. */
const HEADER_BYTES = 512;

/** Refused by every stream, which tells its name. */
const nowhere = (): Record<string, string> => ({ [EXPECTED_STREAM]: `noetl-nats-${randomUUID()}` });

/** Publishes on every subject, with one login. */
export async function probePublishes(inquiry: Inquiry, sight: Sight): Promise<Pick<Probe, "publishes" | "room">> {
  const [{ publishes, room }, mapped] = await Promise.all([probeRoutes(inquiry, sight), probeMappings(inquiry, sight)]);
  return { publishes: publishes.map((each) => ({ ...each, mapped: mapped[each.subject] })), room };
}

/** Whether it matters under which subject a command is stored: all of the workers' consumers have filters. */
export const isFiltered = ({ consumers }: Pick<Known, "consumers">): boolean =>
  filtersTogether(Object.values(consumers)).length > 0;

/**
 * What mappings make of each subject, where it matters. The answer to a publish does not tell, and the trace of a stream that refuses it
 * neither; that of the server which it is published at does.
 */
async function probeMappings(
  { session, inputs, deadline }: Inquiry,
  { stream, consumers, inbox }: Sight,
): Promise<Readonly<Record<string, readonly string[] | undefined>>> {
  const subjects = probedSubjects(inputs).filter((subject) => isAnswered(stream, subject));
  if (inbox === undefined || !isFiltered({ consumers })) return {};
  const trials = subjects.flatMap((subject) => Array.from({ length: THROWS }, () => ({ subject, headers: nowhere() })));
  const mapped: Record<string, Set<string>> = {};
  for (const trace of await session.traces(trials, inbox, deadline)) {
    (mapped[trace.subject] ??= new Set()).add(trace.mapped);
  }
  return Object.fromEntries(Object.entries(mapped).map(([subject, all]) => [subject, [...all].sort()]));
}

async function probeRoutes(
  { session, inputs, deadline }: Inquiry,
  { stream, quiet }: Pick<Sight, "stream" | "quiet">,
): Promise<Pick<Probe, "publishes" | "room">> {
  const subjects = probedSubjects(inputs);
  const attempt = (subject: string, headers: Record<string, string>, body?: string): Promise<Attempt> =>
    session.attempt({ subject, body, headers }, ROUTE_MILLISECONDS, deadline);
  const traced = quiet ? traceOnly(TRACE_SUBJECT) : {};
  const thrown = async (subject: string, times: number, further: Record<string, string>): Promise<Route[]> =>
    (await Promise.all(Array.from({ length: times }, () => attempt(subject, { ...nowhere(), ...further })))).map(
      routeOf,
    );
  const routesOf = async (subject: string): Promise<Pick<PublishProbe, "routes" | "untraced">> => {
    const routes = await thrown(subject, THROWS, traced);
    if (!quiet || routes.some(({ end }) => end !== "nobody")) return { routes };
    // A trace does not get to the stream of another account, a publish does.
    const [route] = await thrown(subject, 1, {});
    return route?.end === "stream" ? { routes: await thrown(subject, THROWS, {}), untraced: true } : { routes };
  };

  // A publish that is only traced is checked by everything that a real one is. It is answered only where it fails, and
  // before the next one on the same subject is.
  const first = subjects[0] ?? inputs.subject;
  const dry =
    quiet && isAnswered(stream, first)
      ? attempt(first, { [EXPECTED_STREAM]: inputs.stream, ...traced }, command(session))
      : undefined;
  dry?.catch(() => undefined);
  const publishes = await Promise.all(
    subjects.map(async (subject) => {
      const found = isAnswered(stream, subject)
        ? await routesOf(subject)
        : { routes: refusedOf(await session.publishRefusals([{ subject, headers: nowhere() }], deadline)) };
      const different = new Map(found.routes.map((route) => [JSON.stringify(route), route]));
      return { subject, login: session.login, ...found, routes: [...different.values()] };
    }),
  );
  const room = await roomOf(publishes, publishes.some(({ untraced }) => untraced) ? undefined : dry);
  return { publishes, room };
}

const refusedOf = (refusals: readonly (string | undefined)[]): Route[] =>
  refusals.flatMap((words): Route[] => (words === undefined ? [] : [{ end: "refused", words }]));

/** Why there is no room, as the publishes tell it. */
async function roomOf(
  publishes: readonly PublishProbe[],
  dry: Promise<Attempt> | undefined,
): Promise<Refusal | null | undefined> {
  const routes = publishes.flatMap((each) => each.routes);
  for (const route of routes) {
    if (route.end === "stream" && NO_ROOM.has(route.code)) return { code: route.code, words: route.words };
  }
  if (routes.length > 0 && routes.every((route) => route.end === "stream" && route.code === QUEUE_FULL))
    return { code: QUEUE_FULL, words: "too many requests" };
  // A queue that is full is full of probes: what is as large as a command came first.
  const isReached = (code: number): boolean => code === NOT_EXPECTED_STREAM || code === QUEUE_FULL;
  const reached = routes.every((route) => route.end === "stream" && isReached(route.code));
  if (!dry || !reached) return undefined;
  const outcome = await Promise.race([dry, setImmediate(undefined)]);
  const error = outcome?.kind === "answer" ? parsed(outcome.text).error : undefined;
  const code = error?.err_code ?? 0;
  return NO_ROOM.has(code) || code === QUEUE_FULL ? { code, words: error?.description ?? "" } : null;
}

/** Where the stream of a subject is asked for. */
export const LOOKUP_SUBJECT = "$JS.API.STREAM.NAMES";

/** What a worker sends besides looking its consumer up. */
interface Errand {
  readonly trial: Trial;
  /** How often it is tried. */
  readonly throws: number;
  /** The subjects of its kind, where the trial's is one of many. */
  readonly subjects?: string;
  /** Whether what it is for has answered, and nobody else. */
  readonly isAnswered: (answer: Extract<Attempt, { readonly kind: "answer" }>) => boolean;
}

type Errands = Readonly<Record<"fetch" | "ack", Errand>> & { readonly lookup?: Errand };

const BAD_REQUEST = 400;
/** What cannot be read. */
const CUT_OFF = "{";

/** Where a worker asks for the next message, and below which it acknowledges. */
export const fetchSubject = (stream: string, consumer: string): string =>
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
export const ackSubjects = (stream: string, { consumer, acknowledged = ACK_PREFIX }: WorkerProbe): string =>
  `${acknowledged}.${stream}.${consumer}.>`;

const errands = ({ stream, noetlLine }: ContractInputs, worker: WorkerProbe): Errands => ({
  fetch: {
    throws: THROWS,
    trial: { subject: fetchSubject(stream, worker.consumer), body: CUT_OFF },
    isAnswered: ({ status }) => status === BAD_REQUEST,
  },
  ack: {
    throws: THROWS,
    trial: {
      subject: ackSubjects(stream, worker).replace(/>$/, `1.${NO_SEQUENCE}.${NO_SEQUENCE}.0.0`),
      body: "+WPI",
    },
    subjects: ackSubjects(stream, worker),
    isAnswered: ({ text, status }) => text === "" && status === undefined,
  },
  // Python's client asks which stream has the subject, each time that it subscribes.
  ...(noetlLine === "rust"
    ? {}
    : {
        // The API counts what it cannot read.
        lookup: {
          throws: 1,
          trial: { subject: LOOKUP_SUBJECT, body: CUT_OFF },
          isAnswered: ({ text }) => parsed(text).error !== undefined,
        },
      }),
});

/**
 * What a worker may not do besides looking its consumer up, with one login.
 *
 * @param acknowledged See {@link Session.acknowledged}; it may be known later than what is tried with the usual one.
 */
export async function probeWorker(
  { session, inputs, deadline }: Inquiry,
  consumer: string,
  acknowledged: Promise<string | undefined>,
): Promise<WorkerProbe> {
  const tried = async (worker: WorkerProbe): Promise<WorkerProbe> => {
    const { fetch, ack, lookup } = errands(inputs, worker);
    const trials = [fetch, ack, ...(lookup ? [lookup] : [])].map(({ trial }) => trial);
    const [fetchRefused, ackRefused, lookupRefused] = await session.publishRefusals(trials, deadline);
    return { ...worker, fetch: fetchRefused, ack: ackRefused, lookup: lookupRefused };
  };
  const worker = { consumer, login: session.login };
  const [usual, prefix = ACK_PREFIX] = await Promise.all([tried(worker), acknowledged]);
  return prefix === ACK_PREFIX ? usual : tried({ ...worker, acknowledged: prefix });
}

/**
 * Which of a worker's requests do not get to the consumer, as where a mapping of subjects leads elsewhere. A consumer that pushes is asked
 * for nothing, and acknowledgements are for nobody where it wants none: rules of their own say so.
 *
 * @param refused What the login may not do, and whether the question for the stream, which is the same for every consumer, is tried too.
 * @returns undefined where there is no consumer that could answer.
 */
export async function probeReach(
  { session, inputs, deadline }: Inquiry,
  refused: WorkerProbe & { readonly looksUp: boolean },
  info: ConsumerInfo | undefined,
): Promise<readonly Stray[] | undefined> {
  if (!info || info.config.deliver_subject || (info.cluster && !info.cluster.leader)) return undefined;
  const { fetch, ack, lookup } = errands(inputs, refused);
  const asked = [
    ...(refused.fetch === undefined ? [fetch] : []),
    ...(refused.ack === undefined && !refused.answersOnly && info.config.ack_policy !== AckPolicy.None ? [ack] : []),
    ...(lookup && refused.looksUp && refused.lookup === undefined ? [lookup] : []),
  ];
  const strays = await Promise.all(
    asked.flatMap((errand) =>
      Array.from({ length: errand.throws }, async () => {
        const attempt = await session.attempt(errand.trial, ROUTE_MILLISECONDS, deadline);
        return strayOf(errand, attempt);
      }),
    ),
  );
  const different = new Map(strays.flatMap((stray) => (stray ? [[JSON.stringify(stray), stray] as const] : [])));
  return [...different.values()];
}

function strayOf(
  { trial, subjects: subject = trial.subject, isAnswered }: Errand,
  attempt: Attempt,
): Stray | undefined {
  switch (attempt.kind) {
    case "refused":
      return undefined;
    case "silence":
      // The API may take longer than that, or the check's own question for it gets no answer either.
      return subject === LOOKUP_SUBJECT ? undefined : { subject, end: "silence" };
    case "nobody":
      return { subject, end: "nobody" };
    case "answer":
      return isAnswered(attempt) ? undefined : { subject, end: "somebody" };
  }
}

/** A refusal in the server's own words. */
export const wordsOf = ({ message }: Error): string =>
  (/Permissions Violation for [^']*/.exec(message) ?? /Authorization Violation/.exec(message))?.[0] ?? message;

/**
 * Codes with which a server refuses what is only asked for to learn about its limits, or what is there by now (10058). The first two it
 * has for much, a window for duplicates beyond its own limit among it.
 */
const DOOMED: ReadonlySet<number> = new Set([10052, 10094, 10049, 10058]);

async function creationOf(
  session: Session,
  { subject, body }: { subject: string; body: object },
  deadline: Deadline,
): Promise<Refusal | null | undefined> {
  const attempt = await session.attempt({ subject, body: JSON.stringify(body) }, ROUTE_MILLISECONDS, deadline);
  if (attempt.kind === "refused") return { code: 0, words: attempt.words };
  if (attempt.kind !== "answer") return undefined;
  const { error } = parsed(attempt.text);
  if (!error)
    throw new ConnectError("refused-request", `${session.server} created what it was meant to refuse: ${subject}`);
  const refusal = { code: error.err_code ?? 0, words: error.description ?? "" };
  const isLimit = !session.clustered && /server limit/.test(refusal.words);
  return DOOMED.has(refusal.code) && !isLimit ? null : refusal;
}

/**
 * Whether the server would refuse a stream that NoETL or its gateway creates. The request holds what every server refuses once its limits
 * have been looked at: a source with an invalid filter, before nats-server 2.10 the template of nobody. A cluster looks
 * at the limits later than at that; there only the permission is learned, from a window longer than the age.
 */
export function probeStreamCreation(
  session: Session,
  config: ReturnType<typeof streamConfig>,
  deadline: Deadline,
): Promise<Refusal | null | undefined> {
  const [major = 0, minor = 0] = session.serverVersion.split(".").map(Number);
  const doom = session.clustered
    ? { max_age: toNanoseconds(60), duplicate_window: toNanoseconds(120) }
    : major === 2 && minor < 10
      ? { template_owner: "noetl-nats-probe" }
      : { sources: [{ name: "noetl-nats-probe", filter_subject: "noetl..nats" }] };
  const subject = `$JS.API.STREAM.CREATE.${config.name}`;
  return creationOf(session, { subject, body: { ...config, ...doom } }, deadline);
}

/**
 * What the account's own limit says about a worker's consumer while there is no stream to try it on, in the words that the
 * server has for it. A limit of the server itself is not shown then. Undefined where the login may not ask.
 */
export async function admittedByAccount(
  session: Session,
  { wanted, replicas }: { readonly wanted: readonly number[]; readonly replicas: number },
  deadline: Deadline,
): Promise<(Refusal | null)[] | undefined> {
  try {
    const most = share(await session.accountInfo(deadline), replicas).limits.max_ack_pending;
    return wanted.map((each) =>
      limited(most) && each > most
        ? { code: 10121, words: `consumer max ack pending exceeds system limit of ${most}` }
        : null,
    );
  } catch (error) {
    if (error instanceof ConnectError && error.problem === "missing-permission") return undefined;
    throw error;
  }
}

/** Whether a worker's login may not remove its consumer, in words; undefined where it may, and where the server does not tell. */
export async function remakeRefusal(
  { session, inputs, deadline }: Inquiry,
  consumer: string,
): Promise<string | undefined> {
  const permissions = await session.permissions(deadline);
  return permissions && !mayPublish(permissions, removalSubject(inputs.stream, consumer)) ? "may not" : undefined;
}

/** Where a consumer's removal is asked for. */
export const removalSubject = (stream: string, consumer: string): string =>
  `$JS.API.CONSUMER.DELETE.${stream}.${consumer}`;

/** Whether the server would refuse the consumer that a worker adds: "new messages only", from a given one on, is refused. */
export function probeConsumerCreation(
  { session, inputs, deadline }: Inquiry,
  terms: ConsumerTerms,
): Promise<Refusal | null | undefined> {
  const { stream } = inputs;
  const config = { ...consumerConfig(inputs, terms), deliver_policy: "new", opt_start_seq: 1 };
  const subject = `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${terms.name}`;
  return creationOf(session, { subject, body: { stream_name: stream, config } }, deadline);
}
