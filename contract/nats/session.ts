/** What is asked of a NATS server once the login stands. */
import { setImmediate } from "node:timers/promises";
import { Events, headers as natsHeaders } from "nats";
import type { ConsumerInfo, JetStreamAccountStats, MsgHdrs, NatsConnection, NatsError, StreamInfo } from "nats";
import { within, type Deadline } from "../deadline";
import { targetsOf } from "../declared/targets";
import { ConnectError } from "../errors";
import { bucketStream } from "../rules/gateway";
import type { ContractInputs } from "../inputs";
import { loginOf } from "./login";
import type { Relay } from "./relay";

/** What a user may publish, as the server tells it; a list that is missing allows everything. */
export interface Permissions {
  readonly publish?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

/** What came of a message that was sent to try something out. */
export type Attempt =
  | { readonly kind: "answer"; readonly text: string }
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
  /** Names of the streams whose subjects overlap `subject`. */
  streamsWith(subject: string, deadline: Deadline): Promise<string[]>;
  /** The server's words where the login may not subscribe to `subject`. */
  listenRefusal(subject: string, deadline: Deadline): Promise<string | undefined>;
  /** What the login may do; undefined where the server does not tell (nats-server 2.9, or not to this login). */
  permissions(deadline: Deadline): Promise<Permissions | undefined>;
  /** Sends a message and waits for an answer for at most `milliseconds`. */
  attempt(subject: string, message: Omit<Trial, "subject">, milliseconds: number, deadline: Deadline): Promise<Attempt>;
  /** Sends messages that nobody can answer; for each the server's words where the login may not publish it. */
  publishRefusals(trials: readonly Trial[], deadline: Deadline): Promise<(string | undefined)[]>;
  /** Asks the JetStream API to change something: `subject` follows `$JS.API.`; `what` follows "refused". */
  change(subject: string, body: object, what: string, deadline: Deadline): Promise<void>;
  /** Closes everything that the session opened. */
  close(): Promise<void>;
}

const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;
/** JetStream is off for the account, or for the whole server. */
const JETSTREAM_OFF = [10039, 10076];
/**
 * A cluster without a leader, a stream that is offline, or one that has not yet got the copies that it was set to, which its
 * consumer is to have. Other errors of the kind "unavailable" have code 503.
 */
const UNAVAILABLE = [10008, 10118, 10126];

/** Longest wait for one answer, in milliseconds: it comes at once, or is lost with a server, and is then asked again. */
const ANSWER_MILLISECONDS = 3_000;

/** Longest wait for the permissions, in milliseconds: a server that does not tell them may not answer at all. */
const PERMISSIONS_MILLISECONDS = 2_000;

interface Answer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

/** The session over a connection that is logged in, and over the relay that it runs through. */
export function sessionOver(connection: NatsConnection, relay: Relay, server: string, inputs: ContractInputs): Session {
  // A broken connection shows in the request that it breaks; nothing else listens to this promise.
  connection.closed().catch(() => undefined);
  const refused = publishRefusalsOf(connection);

  async function ask<T>(
    subject: string,
    what: string,
    deadline: Deadline,
    body?: object,
    milliseconds = ANSWER_MILLISECONDS,
  ): Promise<T & Answer> {
    try {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const message = await connection.request(subject, payload, { timeout: deadline.step(milliseconds) });
      return message.json<T & Answer>();
    } catch (error) {
      const jetstream = connection.info?.jetstream === true;
      throw relay.failure() ?? requestError(error as NatsError, what, server, inputs, jetstream);
    }
  }

  /** Undefined where `absent` is what the API complains of. */
  async function api<T>(
    subject: string,
    what: string,
    deadline: Deadline,
    { body, absent = [] }: { body?: object; absent?: readonly number[] } = {},
  ): Promise<T | undefined> {
    const reply = await ask<T>(`$JS.API.${subject}`, what, deadline, body);
    const { error } = reply;
    if (!error) return reply;
    const code = error.err_code ?? 0;
    if (absent.includes(code)) return undefined;
    const said = `${error.description ?? "no description"} (${code})`;
    if (JETSTREAM_OFF.includes(code)) {
      const whom = `the account of ${loginOf(inputs)}`;
      throw new ConnectError(
        "jetstream-off",
        `JetStream is off for ${whom} at ${server}: ${said}. Enable it for the account`,
      );
    }
    throw new ConnectError(
      error.code === 503 || UNAVAILABLE.includes(code) ? "jetstream-unavailable" : "refused-request",
      `${server} refused ${what}: ${said}`,
    );
  }

  const absent = [STREAM_NOT_FOUND, CONSUMER_NOT_FOUND];
  return {
    server,
    serverVersion: connection.info?.version ?? "",
    login: loginOf(inputs),
    clustered: Boolean(connection.info?.cluster),
    maxPayload: connection.info?.max_payload ?? 0,
    connection,
    streamInfo: (stream, deadline) =>
      api<StreamInfo>(`STREAM.INFO.${stream}`, `the info of stream ${stream}`, deadline, { absent }),
    consumerInfo: (stream, consumer, deadline) =>
      api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`, `the info of consumer ${consumer}`, deadline, {
        absent,
      }),
    accountInfo: async (deadline) =>
      (await api<JetStreamAccountStats>("INFO", "the account's info", deadline)) as JetStreamAccountStats,
    streamsWith: async (subject, deadline) => {
      const what = `the names of the streams that take ${subject}`;
      const names = await api<{ streams?: string[] | null }>("STREAM.NAMES", what, deadline, { body: { subject } });
      return names?.streams ?? [];
    },
    listenRefusal: async (subject, deadline) => {
      let refusal: string | undefined;
      const subscription = connection.subscribe(subject, {
        callback: (error) => {
          if (error) refusal = error.message;
        },
      });
      try {
        // The refusal, where there is one, comes before the answer to the ping.
        await within(deadline.step(), `${server} to accept a subscription to ${subject}`, () => connection.flush());
      } catch (error) {
        if (error instanceof ConnectError) throw error;
        throw new ConnectError("closed", `${server} closed the connection during a subscription to ${subject}`);
      } finally {
        subscription.unsubscribe();
      }
      return refusal;
    },
    permissions: async (deadline) => {
      try {
        const what = "the permissions of the login";
        const reply = await ask<{ data?: { permissions?: Permissions } }>(
          "$SYS.REQ.USER.INFO",
          what,
          deadline,
          undefined,
          PERMISSIONS_MILLISECONDS,
        );
        return reply.data && (reply.data.permissions ?? {});
      } catch (error) {
        if (error instanceof ConnectError && error.problem !== "closed") return undefined;
        throw error;
      }
    },
    attempt: async (subject, { body = "", headers }, milliseconds, deadline) => {
      try {
        const options = { timeout: deadline.step(milliseconds), ...(headers ? { headers: headersOf(headers) } : {}) };
        return { kind: "answer", text: (await connection.request(subject, body, options)).string() };
      } catch (error) {
        const { code, message } = error as NatsError;
        if (String(code) === "PERMISSIONS_VIOLATION") return { kind: "refused", words: message.replaceAll("'", "") };
        if (String(code) === "503") return { kind: "nobody" };
        if (String(code) === "TIMEOUT" && !connection.isClosed()) return { kind: "silence" };
        throw (
          relay.failure() ?? new ConnectError("closed", `${server} closed the connection while ${subject} was tried`)
        );
      }
    },
    publishRefusals: async (trials, deadline) => {
      const what = "the answer to a ping after what was tried";
      try {
        for (const { subject, body = "", headers } of trials) {
          connection.publish(subject, body, headers ? { headers: headersOf(headers) } : {});
        }
        await within(deadline.step(ANSWER_MILLISECONDS), `${server}: ${what}`, () => connection.flush());
      } catch (error) {
        // The same words as of every other question that is not answered.
        if (error instanceof ConnectError && error.problem === "no-answer") {
          throw new ConnectError("no-answer", `${server}: waited for ${what}`);
        }
        if (error instanceof ConnectError) throw error;
        throw relay.failure() ?? new ConnectError("closed", `${server} closed the connection before it gave ${what}`);
      }
      // The server's refusals have come before its answer to the ping; they are reported one turn later.
      await setImmediate();
      return trials.map(({ subject }) => refused.get(subject));
    },
    change: async (subject, body, what, deadline) => {
      await api(subject, what, deadline, { body });
    },
    close: async () => {
      await connection.close();
      relay.close();
    },
  };
}

function headersOf(given: Readonly<Record<string, string>>): MsgHdrs {
  const result = natsHeaders();
  for (const [name, value] of Object.entries(given)) result.set(name, value);
  return result;
}

/** The subjects that the login was refused to publish on, each with the server's sentence, as they come. */
function publishRefusalsOf(connection: NatsConnection): ReadonlyMap<string, string> {
  const refused = new Map<string, string>();
  const listen = async (): Promise<void> => {
    for await (const { type, permissionContext } of connection.status()) {
      if (type !== Events.Error || permissionContext?.operation !== "publish") continue;
      refused.set(permissionContext.subject, `Permissions Violation for Publish to "${permissionContext.subject}"`);
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

function requestError(
  error: NatsError,
  what: string,
  server: string,
  inputs: ContractInputs,
  jetstream: boolean,
): ConnectError {
  switch (String(error.code)) {
    case "PERMISSIONS_VIOLATION":
      return new ConnectError(
        "missing-permission",
        `${loginOf(inputs)} lacks a permission at ${server}: ${error.message}. The check needs ${needs(inputs)}`,
      );
    case "503":
      return jetstream
        ? new ConnectError("jetstream-unavailable", `nobody answers for JetStream at ${server}`)
        : new ConnectError("jetstream-off", `JetStream is off at ${server}: enable it in the server's configuration`);
    case "TIMEOUT":
      return new ConnectError("no-answer", `${server}: waited for ${what}`);
    default:
      return new ConnectError("closed", `${server} closed the connection before it gave ${what} (${error.message})`);
  }
}
