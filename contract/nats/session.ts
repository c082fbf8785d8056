/** What is asked of a NATS server once the login stands. */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { createInbox, ErrorCode, Events, headers as natsHeaders } from "nats";
import type { ConsumerInfo, JetStreamAccountStats, Msg, MsgHdrs, NatsConnection, NatsError, StreamInfo } from "nats";
import { Deadline } from "../deadline";
import { isOlder } from "../declared/fields";
import { targetsOf } from "../declared/targets";
import { ConnectError } from "../errors";
import { bucketStream } from "../buckets";
import { subjectsCover, subjectsOverlap } from "../subjects";
import type { ContractInputs } from "../inputs";
import { TOO_MANY_SUBSCRIPTIONS } from "../probe-results";
import { loginOf } from "./login";
import { ping } from "./ping";
import type { Relay } from "./relay";
import { traceOf, traceOnly, type Trace } from "./trace";

/** What a user may publish, as the server tells it; a list that is missing allows everything. */
export interface Permissions {
  readonly publish?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  /** Set where it may also answer what it gets (`allow_responses`), such as acknowledge it. */
  readonly responses?: object;
}

export function mayPublish({ publish = {} }: Permissions, subject: string): boolean {
  const { allow, deny = [] } = publish;
  return (!allow?.length || subjectsCover(allow, subject)) && !deny.some((other) => subjectsOverlap(other, subject));
}

/** What came of a message that was sent to try something out. */
export type Attempt =
  /** `status` is a consumer's, where it says why there is no message. */
  | { readonly kind: "answer"; readonly text: string; readonly status?: number }
  /** The login lacks a permission; the server's sentence. */
  | { readonly kind: "refused"; readonly words: string }
  /** Nobody listens on that subject. */
  | { readonly kind: "nobody" }
  /** Somebody listens and said nothing in time. */
  | { readonly kind: "silence" };

/** A message that is sent to try something out. */
export interface Trial {
  readonly subject: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the JetStream API is asked to change. */
export interface ChangeRequest {
  /** Follows `$JS.API.`. */
  readonly subject: string;
  readonly body: object;
  /** What is asked for, in words that follow "refused". */
  readonly what: string;
}

/** All of a kind. */
export interface Listed<T> {
  readonly items: readonly T[];
  /** Names of those that nobody answers for: they have no leader. */
  readonly missing: readonly string[];
}

/** A session, the inputs that it is asked about, and until when it is asked. */
export interface Inquiry {
  readonly session: Session;
  readonly inputs: ContractInputs;
  readonly deadline: Deadline;
}

/** A connection to NATS that asks what the check needs. Every method throws a {@link ConnectError} where it fails. */
export interface Session {
  readonly server: string;
  readonly serverVersion: string;
  /** Who is logged in, in words. */
  readonly login: string;
  /** Whether the server is one of a cluster. */
  readonly clustered: boolean;
  /** Largest message that the server takes, in bytes. */
  readonly maxPayload: number;
  /** For questions beyond those of the check. */
  readonly connection: NatsConnection;
  /** Undefined where there is no such stream. */
  streamInfo(stream: string, deadline: Deadline): Promise<StreamInfo | undefined>;
  /** Undefined where there is no such consumer, or no such stream. */
  consumerInfo(stream: string, consumer: string, deadline: Deadline): Promise<ConsumerInfo | undefined>;
  /** Limits and usage of the login's account. */
  accountInfo(deadline: Deadline): Promise<JetStreamAccountStats>;
  /** All streams that the account holds. */
  streams(deadline: Deadline): Promise<Listed<StreamInfo>>;
  /** All consumers of a stream. */
  consumers(stream: string, deadline: Deadline): Promise<Listed<ConsumerInfo>>;
  /** Names of the streams whose subjects overlap `subject`. */
  streamsWith(subject: string, deadline: Deadline): Promise<string[]>;
  /**
   * Subscribes to all subjects at once, on this connection, which has one subscription of its own; for each the server's words where it
   * refuses. One listener is asked after the other, so that a limit counts for each alone.
   */
  listenRefusals(subjects: readonly string[], deadline: Deadline): Promise<(string | undefined)[]>;
  /** A subject that nobody else publishes on, and that the login may listen on. */
  inbox(): string;
  /** What the login may do; undefined where the server does not tell (nats-server 2.9, or not to this login). */
  permissions(deadline: Deadline): Promise<Permissions | undefined>;
  /** What the subjects begin with on which the server wants acknowledgements; undefined where it does not tell. */
  acknowledged(deadline: Deadline): Promise<string | undefined>;
  /** Sends a message and waits for an answer for at most `milliseconds`. */
  attempt(trial: Trial, milliseconds: number, deadline: Deadline): Promise<Attempt>;
  /** Sends messages that nobody can answer; for each the server's words where the login may not publish it. */
  publishRefusals(trials: readonly Trial[], deadline: Deadline): Promise<(string | undefined)[]>;
  /**
   * Has the server trace messages, which it then delivers to nobody; what it tells to `inbox`, one for each message unless it has more to do
   * than it gets to. None where the login may not listen there.
   */
  traces(trials: readonly Trial[], inbox: string, deadline: Deadline): Promise<readonly Trace[]>;
  /** Asks the JetStream API to change something. */
  change(request: ChangeRequest, deadline: Deadline): Promise<void>;
  /** Closes everything that the session opened. */
  close(): Promise<void>;
}

/** There is no such consumer, no such stream. */
const ABSENT = [10014, 10059];
/** JetStream is off for the account, or for the whole server. */
const JETSTREAM_OFF = [10039, 10076];
/**
 * A cluster without a leader, a stream that is offline, or one that has not yet got the copies that it was set to, which its
 * consumer is to have. Other errors of the kind "unavailable" have code 503.
 */
const UNAVAILABLE = [10008, 10118, 10126];

/**
 * What a newer server made, with what this one does not know, so that it is offline; undefined where another reason is given. A stream is
 * also offline where one of its consumers is such a one. Source: nats-server 2.15, codes 10194 and 10195.
 */
export function madeByNewer(description: string): { readonly what: string; readonly remove: string } | undefined {
  const consumer = /stopped - unsupported consumer "([^"]+)"/.exec(description)?.[1];
  if (consumer !== undefined) return { what: `its consumer ${consumer}`, remove: "nats consumer rm" };
  if (/^consumer is offline: unsupported\b/i.test(description)) return { what: "it", remove: "nats consumer rm" };
  return /^stream is offline: unsupported\b/i.test(description)
    ? { what: "it", remove: "nats stream rm, with what is in it" }
    : undefined;
}

/** Of `_INBOX`, the connection's name, and the request's. */
const TOKENS_OF_ANSWERS = 3;

/** Longest wait for one answer, in milliseconds: it comes at once, or is lost with a server, and is then asked again. */
const ANSWER_MILLISECONDS = 3_000;

/** Longest wait for a list, in milliseconds: a cluster gives up after four seconds to collect it from its servers. */
const LIST_MILLISECONDS = 6_000;
/** Longest wait for traces, in milliseconds: of what a stream's full queue has refused none comes. */
const TRACE_MILLISECONDS = 2_000;
/** Longest wait for the permissions, in milliseconds: a server that does not tell them may not answer at all. */
const PERMISSIONS_MILLISECONDS = 2_000;

/**
 * A server's words where the files of a stream cannot be made: those of a former one of that name, which it removes in the
 * background, may still be there. Longest wait for that, and the pauses meanwhile, in milliseconds.
 */
const STORE_FAILED = "error creating store for stream";
const STORE_MILLISECONDS = 5_000;
const STORE_PAUSE_MILLISECONDS = 100;

/** The share of the time left that may be spent on waiting for an answer to what is tried out; the rest is a ping's. */
const PATIENT_SHARE = 0.75;

interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Answer to the question who is logged in. */
interface UserInfo {
  readonly server?: { readonly domain?: string; readonly feature_flags?: Readonly<Record<string, boolean>> };
  readonly data?: { readonly account?: string; readonly permissions?: Permissions };
}

/** What the subjects of acknowledgements begin with, unless the server is told otherwise (`js_ack_fc_v2`, nats-server 2.14). */
export const ACK_PREFIX = "$JS.ACK";

const HASH_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HASH_LENGTH = 8;

/** An account in the subjects of acknowledgements. Source: `getHash` of nats-server. */
const hashOf = (account: string): string =>
  [...createHash("sha256").update(account).digest().subarray(0, HASH_LENGTH)]
    .map((byte) => HASH_DIGITS[byte % HASH_DIGITS.length])
    .join("");

interface Answer {
  readonly error?: ApiError;
}

/** A page of a list. */
interface Page {
  readonly total?: number;
  readonly limit?: number;
  readonly missing?: readonly string[] | null;
}

/** One request to the server. */
interface Question {
  readonly subject: string;
  /** What is asked for, in words that follow "refused" and "waited for". */
  readonly what: string;
  readonly body?: object;
  /** Longest wait for the answer. */
  readonly milliseconds?: number;
}

/** Where a session leads, and what it was opened for. */
interface Purpose {
  /** The server in words. */
  readonly server: string;
  readonly inputs: ContractInputs;
  /** First tokens of the subjects on which answers come. */
  readonly inboxPrefix?: string;
}

/** The session over a connection that is logged in, and over the relay that it runs through. */
export class NatsSession implements Session {
  readonly server: string;
  readonly serverVersion: string;
  readonly login: string;
  readonly clustered: boolean;
  readonly maxPayload: number;
  private readonly inputs: ContractInputs;
  private readonly inboxPrefix: string | undefined;
  private readonly refused: Refused;
  /** Settled when nobody tries to listen. */
  private listening: Promise<unknown> = Promise.resolve();

  constructor(
    readonly connection: NatsConnection,
    private readonly relay: Relay,
    { server, inputs, inboxPrefix }: Purpose,
  ) {
    // A broken connection shows in the request that it breaks; nothing else listens to this promise.
    connection.closed().catch(() => undefined);
    this.server = server;
    this.serverVersion = connection.info?.version ?? "";
    this.login = loginOf(inputs);
    this.clustered = Boolean(connection.info?.cluster);
    this.maxPayload = connection.info?.max_payload ?? 0;
    this.inputs = inputs;
    this.inboxPrefix = inboxPrefix;
    this.refused = refusalsOf(connection);
  }

  streamInfo(stream: string, deadline: Deadline): Promise<StreamInfo | undefined> {
    return this.info({ subject: `STREAM.INFO.${stream}`, what: `the info of stream ${stream}` }, deadline);
  }

  consumerInfo(stream: string, consumer: string, deadline: Deadline): Promise<ConsumerInfo | undefined> {
    const subject = `CONSUMER.INFO.${stream}.${consumer}`;
    return this.info({ subject, what: `the info of consumer ${consumer}` }, deadline);
  }

  accountInfo(deadline: Deadline): Promise<JetStreamAccountStats> {
    return this.api({ subject: "INFO", what: "the account's info" }, deadline);
  }

  streams(deadline: Deadline): Promise<Listed<StreamInfo>> {
    return this.list({ subject: "STREAM.LIST", what: "the streams of the account" }, "streams", deadline);
  }

  consumers(stream: string, deadline: Deadline): Promise<Listed<ConsumerInfo>> {
    const question = { subject: `CONSUMER.LIST.${stream}`, what: `the consumers of stream ${stream}` };
    return this.list(question, "consumers", deadline);
  }

  async streamsWith(subject: string, deadline: Deadline): Promise<string[]> {
    const what = `the names of the streams that take ${subject}`;
    const question = { subject: "STREAM.NAMES", what, body: { subject } };
    return (await this.api<{ streams?: string[] | null }>(question, deadline)).streams ?? [];
  }

  inbox(): string {
    return createInbox(this.inboxPrefix);
  }

  listenRefusals(subjects: readonly string[], deadline: Deadline): Promise<(string | undefined)[]> {
    return this.listeningAlone(() => this.listen(subjects, deadline));
  }

  /** Does `work`, which listens, once nobody else does. */
  private listeningAlone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.listening.then(work);
    this.listening = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  private async listen(subjects: readonly string[], deadline: Deadline): Promise<(string | undefined)[]> {
    const { connection, refused } = this;
    const forbidden = new Map<string, string>();
    const before = refused.beyondLimit;
    const subscriptions = subjects.map((subject) =>
      connection.subscribe(subject, {
        callback: (error) => {
          if (error) forbidden.set(subject, error.message);
        },
      }),
    );
    try {
      // The refusal, where there is one, comes before the answer to the ping.
      const what = `${this.server} to accept a subscription to ${subjects.join(", ")}`;
      await ping(connection, deadline.step(), what);
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      const closed = `${this.server} closed the connection during a subscription to ${subjects.join(", ")}`;
      throw new ConnectError("closed", closed);
    } finally {
      for (const subscription of subscriptions) subscription.unsubscribe();
    }
    await setImmediate();
    // A limit is reached by the last ones; the server does not name them.
    const admitted = subjects.filter((subject) => !forbidden.has(subject));
    const most = admitted.length - (refused.beyondLimit - before);
    return subjects.map(
      (subject) => forbidden.get(subject) ?? (admitted.indexOf(subject) < most ? undefined : TOO_MANY_SUBSCRIPTIONS),
    );
  }

  async permissions(deadline: Deadline): Promise<Permissions | undefined> {
    const { data } = await this.userInfo(deadline);
    return data && (data.permissions ?? {});
  }

  async acknowledged(deadline: Deadline): Promise<string | undefined> {
    if (isOlder(this.serverVersion, "2.14")) return ACK_PREFIX;
    const { server, data } = await this.userInfo(deadline);
    if (!server || !data?.account) return undefined;
    const { domain = "_", feature_flags: flags = {} } = server;
    return flags.js_ack_fc_v2 ? `${ACK_PREFIX}.${domain}.${hashOf(data.account)}` : ACK_PREFIX;
  }

  /** Who is logged in, and at which server; nothing where it does not tell. */
  private async userInfo(deadline: Deadline): Promise<UserInfo> {
    const question = {
      subject: "$SYS.REQ.USER.INFO",
      what: "the permissions of the login",
      milliseconds: PERMISSIONS_MILLISECONDS,
    };
    try {
      return await this.ask<UserInfo>(question, deadline);
    } catch (error) {
      if (error instanceof ConnectError && error.problem !== "closed") return {};
      throw error;
    }
  }

  async attempt({ subject, body = "", headers }: Trial, milliseconds: number, deadline: Deadline): Promise<Attempt> {
    const patience = deadline.step(Math.min(milliseconds, deadline.remaining() * PATIENT_SHARE));
    // It outlives the wait: an answer that has come meanwhile is read before the answer to the ping.
    const options = { timeout: patience + ANSWER_MILLISECONDS, headers: headers && headersOf(headers) };
    try {
      const request = this.connection.request(subject, body, options);
      const answer = await soon(request, patience);
      if (answer) return answered(answer);
      // Nothing is known where this process was busy, or the server is, neither of which gets to a ping then; nor where the
      // time was up before an answer could come.
      const isEarly = patience < milliseconds / 2;
      if (!isEarly) await ping(this.connection, deadline.step(ANSWER_MILLISECONDS), subject);
      const late = await soon(request, isEarly ? deadline.step() : 0);
      if (late) return answered(late);
      if (isEarly) throw this.unanswered(subject);
      return { kind: "silence" };
    } catch (error) {
      const { code, message } = error as NatsError;
      if (String(code) === "PERMISSIONS_VIOLATION") return { kind: "refused", words: message.replaceAll("'", "") };
      if (String(code) === "503") return { kind: "nobody" };
      if (error instanceof ConnectError || (String(code) === "TIMEOUT" && !this.connection.isClosed()))
        throw this.unanswered(subject);
      const closed = `${this.server} closed the connection while ${subject} was tried`;
      throw this.relay.failure() ?? new ConnectError("closed", closed);
    }
  }

  private unanswered(subject: string): ConnectError {
    return new ConnectError("no-answer", `${this.server}: waited for the answer to a publish on ${subject}`);
  }

  async publishRefusals(trials: readonly Trial[], deadline: Deadline): Promise<(string | undefined)[]> {
    const { connection, server } = this;
    const what = "the answer to a ping after what was tried";
    try {
      for (const { subject, body = "", headers } of trials) {
        connection.publish(subject, body, { headers: headers && headersOf(headers) });
      }
      await ping(connection, deadline.step(ANSWER_MILLISECONDS), `${server}: ${what}`);
    } catch (error) {
      // The same words as of every other question that is not answered.
      if (error instanceof ConnectError && error.problem === "no-answer") {
        throw new ConnectError("no-answer", `${server}: waited for ${what}`);
      }
      if (error instanceof ConnectError) throw error;
      const closed = `${server} closed the connection before it gave ${what}`;
      throw this.relay.failure() ?? new ConnectError("closed", closed);
    }
    // The server's refusals have come before its answer to the ping; they are reported one turn later.
    await setImmediate();
    return trials.map(({ subject }) => this.refused.publishes.get(subject));
  }

  traces(trials: readonly Trial[], inbox: string, deadline: Deadline): Promise<readonly Trace[]> {
    return this.listeningAlone(async () => {
      const before = this.refused.beyondLimit;
      const traces: Trace[] = [];
      let wanted = trials.length;
      let end = (): void => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      const subscription = this.connection.subscribe(inbox, {
        callback: (error, message) => {
          const trace = error ? undefined : traceOf(message.string());
          if (trace) traces.push(trace);
          if (error || traces.length >= wanted) end();
        },
      });
      try {
        const traced = trials.map((each) => ({ ...each, headers: { ...each.headers, ...traceOnly(inbox) } }));
        wanted = (await this.publishRefusals(traced, deadline)).filter((words) => words === undefined).length;
        // They come a moment after what they tell of.
        if (traces.length < wanted && this.refused.beyondLimit === before)
          await soon(ended, deadline.step(TRACE_MILLISECONDS));
      } finally {
        subscription.unsubscribe();
      }
      return traces;
    });
  }

  async change(request: ChangeRequest, deadline: Deadline): Promise<void> {
    const patience = new Deadline(Math.min(STORE_MILLISECONDS, deadline.remaining()));
    for (;;) {
      try {
        return void (await this.api(request, deadline));
      } catch (error) {
        const mayBeRemoved = error instanceof ConnectError && error.message.includes(STORE_FAILED);
        if (!mayBeRemoved || patience.isOver()) throw error;
        await patience.pause(STORE_PAUSE_MILLISECONDS);
      }
    }
  }

  async close(): Promise<void> {
    await this.connection.close();
    this.relay.close();
  }

  private async ask<T>(question: Question, deadline: Deadline): Promise<T & Answer> {
    const { subject, what, body, milliseconds = ANSWER_MILLISECONDS } = question;
    try {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const message = await this.connection.request(subject, payload, { timeout: deadline.step(milliseconds) });
      return message.json<T & Answer>();
    } catch (error) {
      throw this.relay.failure() ?? this.requestError(error as NatsError, what);
    }
  }

  /** Asks the JetStream API; the question's subject follows `$JS.API.`. */
  private async api<T>(question: Question, deadline: Deadline): Promise<T> {
    const reply = await this.ask<T>({ ...question, subject: `$JS.API.${question.subject}` }, deadline);
    if (reply.error) throw this.apiError(reply.error, question.what);
    return reply;
  }

  /** A list, page by page; `field` holds a page's items. */
  private async list<T>(question: Question, field: string, deadline: Deadline): Promise<Listed<T>> {
    const items: T[] = [];
    const missing: string[] = [];
    for (let offset = 0; ;) {
      const asked = { ...question, body: { offset }, milliseconds: LIST_MILLISECONDS };
      const page = await this.api<Page & Record<string, unknown>>(asked, deadline);
      const found = (page[field] as T[] | null | undefined) ?? [];
      items.push(...found);
      missing.push(...(page.missing ?? []));
      offset += page.limit ?? found.length;
      if (found.length === 0 || offset >= (page.total ?? 0)) return { items, missing };
    }
  }

  /** Undefined where there is no such stream or consumer. */
  private async info<T>(question: Question, deadline: Deadline): Promise<T | undefined> {
    const reply = await this.ask<T>({ ...question, subject: `$JS.API.${question.subject}` }, deadline);
    if (ABSENT.includes(reply.error?.err_code ?? 0)) return undefined;
    if (reply.error) throw this.apiError(reply.error, question.what);
    return reply;
  }

  /** What became of a request that has no answer. */
  private requestError(error: NatsError, what: string): ConnectError {
    const { server, login, inputs } = this;
    const wanted = what.startsWith("to ") ? `an answer to the request ${what}` : what;
    switch (String(error.code)) {
      case "PERMISSIONS_VIOLATION": {
        const needed = error.message.includes("too many tokens")
          ? `Answers come on subjects of ${TOKENS_OF_ANSWERS} tokens: let the server take as many (max_subscription_tokens), and restart it`
          : `The check needs ${needs(inputs)}`;
        return new ConnectError(
          "missing-permission",
          `${login} lacks a permission at ${server}: ${error.message}. ${needed}`,
        );
      }
      case "503":
        return this.connection.info?.jetstream === true
          ? new ConnectError("jetstream-unavailable", `nobody answers for JetStream at ${server}`)
          : new ConnectError(
              "jetstream-off",
              `JetStream is off at ${server}: enable it in the server's configuration; in that of a leaf node, whose hub has the stream, name the ` +
                "hub's domain instead (`default_js_domain`); where it is named, the leaf node has no connection to its hub now",
            );
      case "TIMEOUT":
        return new ConnectError("no-answer", `${server}: waited for ${wanted}`);
      default:
        return new ConnectError(
          "closed",
          `${server} closed the connection before it gave ${wanted} (${error.message})`,
        );
    }
  }

  /** An answer of the JetStream API that says no. */
  private apiError({ code, err_code = 0, description = "no description" }: ApiError, what: string): ConnectError {
    const said = `${description} (${err_code})`;
    if (JETSTREAM_OFF.includes(err_code)) {
      const whom = `the account of ${this.login}`;
      return new ConnectError(
        "jetstream-off",
        `JetStream is off for ${whom} at ${this.server}: ${said}. Enable it for the account`,
      );
    }
    const newer = madeByNewer(description);
    const advice =
      newer === undefined
        ? ""
        : `. A newer nats-server than this one (${this.serverVersion}) has made ${newer.what}: run such a one again, or remove it (${newer.remove})`;
    return new ConnectError(
      !advice && (code === 503 || UNAVAILABLE.includes(err_code)) ? "jetstream-unavailable" : "refused-request",
      `${this.server} refused ${what}: ${said}${advice}`,
    );
  }
}

/** What a request is answered within `milliseconds`; undefined where nothing has come by then. */
async function soon<T>(request: Promise<T>, milliseconds: number): Promise<T | undefined> {
  // It may fail when nobody waits for it any more.
  request.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([request, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

function answered(message: Msg): Attempt {
  const status = message.headers?.code;
  return { kind: "answer", text: message.string(), status: status || undefined };
}

function headersOf(given: Readonly<Record<string, string>>): MsgHdrs {
  const result = natsHeaders();
  for (const [name, value] of Object.entries(given)) result.set(name, value);
  return result;
}

/** What the server has refused on a connection so far. */
interface Refused {
  /** The subjects that the login may not publish on, each with the server's sentence. */
  readonly publishes: ReadonlyMap<string, string>;
  /** Subscriptions beyond the limit. */
  readonly beyondLimit: number;
}

/** What the server refuses on a connection, as it comes. */
function refusalsOf(connection: NatsConnection): Refused {
  const publishes = new Map<string, string>();
  const refused = { publishes, beyondLimit: 0 };
  const listen = async (): Promise<void> => {
    for await (const { type, data, permissionContext } of connection.status()) {
      if (type !== Events.Error) continue;
      // Of all else that is called so the server closes the connection.
      if (data === (ErrorCode.ProtocolError as string)) refused.beyondLimit++;
      if (permissionContext?.operation !== "publish") continue;
      publishes.set(permissionContext.subject, `Permissions Violation for Publish to "${permissionContext.subject}"`);
    }
  };
  listen().catch(() => undefined); // ends with the connection
  return refused;
}

/** What the login of a check has to be allowed, in words. */
function needs({ stream, consumer, gateway, mode, declared = {}, declaredOnly }: ContractInputs): string {
  if (mode === "ensure") return "publish on $JS.API.>, and subscribe on _INBOX.>";
  const others = targetsOf(declared).map((target) =>
    target.consumer === undefined
      ? `STREAM.INFO.${target.stream}`
      : `CONSUMER.INFO.${target.stream}.${target.consumer}`,
  );
  const declaredSubjects = others.map((subject) => `$JS.API.${subject}`);
  if (declaredOnly) return `publish on ${declaredSubjects.join(", ")}, and subscribe on _INBOX.>`;
  const subjects = [
    ...declaredSubjects,
    `$JS.API.STREAM.INFO.${stream}`,
    ...(gateway
      ? [gateway.sessionBucket, gateway.requestBucket].map((name) => `$JS.API.STREAM.INFO.${bucketStream(name)}`)
      : []),
  ];
  return `publish on ${subjects.join(", ")} and $JS.API.CONSUMER.INFO.${stream}.${consumer}, and subscribe on _INBOX.>`;
}
