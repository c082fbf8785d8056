/** Messages as bytes: read from a stream, kept in the backup, written to a stream, with nothing changed on the way. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Msg, MsgHdrs, NatsError, StreamInfo } from "nats";
import { ConnectError } from "../../../contract/errors";
import { ping } from "../../../contract/nats/ping";
import type { Session } from "../../../contract/nats/session";
import { EXPECTED_STREAM, literalOf } from "../../../contract/probe";
import { CommandError } from "../../shared/exit";
import { backupFile, MAKE_ROOM, openNew, setAside, writeWhole, type Journal } from "./journal";

/** Requests that are under way at once. */
export const BATCH = 64;
/** Longest wait for one answer, in milliseconds. */
const ANSWER_MILLISECONDS = 10_000;
/** Longest wait for leaders that move, for one answer meanwhile, and the pause between two questions, in milliseconds. */
const ELECTION_MILLISECONDS = 20_000;
const RETRY_MILLISECONDS = 3_000;
const PAUSE_MILLISECONDS = 100;

const NO_MESSAGE = 10037;
const NO_STREAM = 10059;
export const WRONG_LAST_SEQUENCE = 10071;
export const SUBJECTS_OVERLAP = 10065;

/** An answer of the JetStream API, or of a stream to a publish. */
export interface Answered {
  readonly error?: { readonly code?: number; readonly err_code?: number; readonly description?: string };
}

/** One message of a stream. `headers` are the bytes as the server stores them, empty where there are none. */
export interface Message {
  readonly sequence: number;
  readonly subject: string;
  readonly time: Date;
  readonly headers: Buffer;
  readonly data: Buffer;
}

/** Asks the JetStream API; an error of the API is in the answer.  @throws ConnectError where no answer comes. */
export const ask = <T>(session: Session, subject: string, body: object): Promise<T & Answered> =>
  askWithin<T>(session, { subject, body, timeout: ANSWER_MILLISECONDS });

async function askWithin<T>(
  session: Session,
  { subject, body, timeout }: { readonly subject: string; readonly body: object; readonly timeout: number },
): Promise<T & Answered> {
  try {
    const options = { timeout };
    const reply = await session.connection.request(`$JS.API.${subject}`, JSON.stringify(body), options);
    return reply.json<T & Answered>();
  } catch (error) {
    throw unanswered(session, error as NatsError, `request ${subject}`);
  }
}

/**
 * Asks for what can be asked for again: a cluster whose leaders move answers that it is not available, or not at all, for the few
 * seconds until there are others.
 *
 * @param patience milliseconds; default: what an election takes
 * @throws ConnectError where it takes longer.
 */
async function askAgain<T extends Answered>(
  question: (timeout: number) => Promise<T>,
  patience = ELECTION_MILLISECONDS,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const isLast = Date.now() + RETRY_MILLISECONDS > deadline;
    try {
      const answer = await question(Math.max(1, Math.min(RETRY_MILLISECONDS, patience)));
      if (answer.error?.code !== 503 || isLast) return answer;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.problem !== "no-answer" || isLast) throw error;
      continue;
    }
    await sleep(PAUSE_MILLISECONDS);
  }
}

export function unanswered({ server, login, connection }: Session, error: NatsError, what: string): ConnectError {
  switch (String(error.code)) {
    case "503":
      return connection.info?.jetstream === true
        ? new ConnectError("jetstream-unavailable", `nobody answers for JetStream at ${server}`)
        : new ConnectError("jetstream-off", `JetStream is off at ${server}: enable it in the server's configuration`);
    case "TIMEOUT":
      return new ConnectError("no-answer", `${server} did not answer ${what} in time`);
    case "PERMISSIONS_VIOLATION":
      return new ConnectError("missing-permission", `${login} lacks a permission at ${server}: ${error.message}`);
    default:
      return new ConnectError("closed", `the connection to ${server} broke at ${what} (${error.message})`);
  }
}

/** Waits until the server has handled all that was sent to it.  @throws ConnectError where it does not, or the connection breaks. */
export async function handled(session: Session): Promise<void> {
  try {
    await ping(session.connection, ANSWER_MILLISECONDS, `${session.server} to answer a ping`);
  } catch (error) {
    throw error instanceof ConnectError ? error : unanswered(session, error as NatsError, "a ping");
  }
}

interface GetAnswer {
  readonly message?: { subject: string; seq: number; time: string; hdrs?: string; data?: string };
}

/** A sequence, or the first message from it on, or a subject's last one. */
type Query = { seq: number; next_by_subj?: string } | { last_by_subj: string };

/**
 * Undefined where there is no such message, or no such stream. `patience`: milliseconds; default: what an election takes.
 *
 * @throws ConnectError where NATS does not answer, or refuses.
 */
export async function getMessage(
  session: Session,
  stream: string,
  { patience, ...query }: Query & { readonly patience?: number },
): Promise<Message | undefined> {
  const { message, error } = await askAgain(
    (timeout) => askWithin<GetAnswer>(session, { subject: `STREAM.MSG.GET.${stream}`, body: query, timeout }),
    patience,
  );
  if (error && ![NO_MESSAGE, NO_STREAM].includes(error.err_code ?? 0)) {
    throw new ConnectError("refused-request", `${session.server} refused a message of ${stream}: ${error.description}`);
  }
  if (!message) return undefined;
  return {
    sequence: message.seq,
    subject: message.subject,
    time: new Date(message.time),
    headers: Buffer.from(message.hdrs ?? "", "base64"),
    data: Buffer.from(message.data ?? "", "base64"),
  };
}

/** Messages of a stream in order, from one sequence to another; those that were deleted or acknowledged are not there. */
export async function* readMessages(
  session: Session,
  stream: string,
  { from, to }: { from: number; to: number },
): AsyncGenerator<Message> {
  for (let start = Math.max(1, from); start <= to; start += BATCH) {
    const count = Math.min(BATCH, to - start + 1);
    const found = await Promise.all(
      Array.from({ length: count }, (_, index) => getMessage(session, stream, { seq: start + index })),
    );
    for (const message of found) if (message) yield message;
    if (found.some((message) => message !== undefined)) continue;
    // A work queue may have a wide gap behind an old message that nobody acknowledges.
    const next = await getMessage(session, stream, { seq: start + count, next_by_subj: ">" });
    if (!next) return;
    start = next.sequence - BATCH;
  }
}

/** One line of the backup. */
interface Line {
  readonly sequence: number;
  readonly subject: string;
  /** When it was stored, ISO 8601. */
  readonly time: string;
  /** Base64 of the headers as they are on the wire. */
  readonly headers?: string;
  /** Base64. */
  readonly data: string;
}

/**
 * Writes the stream's messages up to `last` to a new backup, on the disk before this returns.
 *
 * @throws CommandError where the disk does not take it.
 */
export async function saveMessages(
  session: Session,
  { stream, from, last }: { stream: string; from: number; last: number },
  folder: string,
): Promise<Pick<Journal, "saved" | "bytes" | "digest" | "lastSequence">> {
  const hash = crypto.createHash("sha256");
  let handle: number | undefined;
  let saved = 0;
  let bytes = 0;
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    // An earlier backup stays until this one is whole.
    const opened = openNew(backupFile(folder));
    handle = opened.handle;
    for await (const { sequence, subject, time, headers, data } of readMessages(session, stream, { from, to: last })) {
      const line: Line = {
        sequence,
        subject,
        time: time.toISOString(),
        headers: headers.length > 0 ? headers.toString("base64") : undefined,
        data: data.toString("base64"),
      };
      const text = `${JSON.stringify(line)}\n`;
      bytes += writeWhole(handle, text);
      hash.update(text);
      saved++;
    }
    fs.fsyncSync(handle);
    // What the disk says counts, not what was handed to it.
    const size = fs.fstatSync(handle).size;
    if (size !== bytes) throw new Error(`${size} of ${bytes} bytes are there`);
    fs.renameSync(opened.unfinished, backupFile(folder));
  } catch (error) {
    if (error instanceof ConnectError || error instanceof CommandError) throw error;
    throw new CommandError(
      `the backup ${backupFile(folder)} could not be written: ${(error as Error).message}. ${MAKE_ROOM}`,
      "wrong",
    );
  } finally {
    if (handle !== undefined) fs.closeSync(handle);
  }
  return { saved, bytes, digest: hash.digest("hex"), lastSequence: last };
}

/** Refuses a backup that is not the one that was written.  @throws CommandError */
export async function checkBackup(folder: string, { bytes, digest, saved }: Journal): Promise<void> {
  const file = backupFile(folder);
  const refuse = (why: string): never => {
    throw new CommandError(`the backup ${file} ${why}. Nothing was changed: ${setAside(folder)}`, "wrong");
  };
  if (!fs.existsSync(file)) return refuse(`of ${saved} messages is missing`);
  const { size } = fs.statSync(file);
  if (size !== bytes) return refuse(`has ${size} bytes and was written with ${bytes}: it is torn, or another's`);
  const hash = crypto.createHash("sha256");
  for await (const chunk of fs.createReadStream(file)) hash.update(chunk as Buffer);
  if (hash.digest("hex") !== digest) return refuse("is not the one that this repair wrote: its content was changed");
}

/** Messages of a backup that was checked, oldest first. */
export async function* savedMessages(folder: string): AsyncGenerator<Message> {
  if (!fs.existsSync(backupFile(folder))) return;
  const lines = readline.createInterface({ input: fs.createReadStream(backupFile(folder)), crlfDelay: Infinity });
  for await (const text of lines) {
    if (text === "") continue;
    const { sequence, subject, time, headers = "", data } = JSON.parse(text) as Line;
    yield {
      sequence,
      subject,
      time: new Date(time),
      headers: Buffer.from(headers, "base64"),
      data: Buffer.from(data, "base64"),
    };
  }
}

/** Header bytes in the place of nats.js' own headers, which would trim values and choose an order. */
const asHeaders = (bytes: Buffer): MsgHdrs => ({ encode: () => bytes }) as unknown as MsgHdrs;

/** What a stream answers to a publish. */
export interface PubAnswer extends Answered {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
}

/** Publishes and waits for the stream's answer; an answer without a stream where nobody stores the subject. */
export async function publish(
  session: Session,
  subject: string,
  { headers, data, timeout = ANSWER_MILLISECONDS }: Pick<Message, "headers" | "data"> & { readonly timeout?: number },
): Promise<PubAnswer> {
  const options = { timeout, headers: headers.length > 0 ? asHeaders(headers) : undefined };
  try {
    const reply = await session.connection.request(subject, data, options);
    return reply.json<PubAnswer>();
  } catch (error) {
    if ((error as NatsError).code === "503") return {};
    if ((error as NatsError).code === "MAX_PAYLOAD_EXCEEDED") {
      return { error: { code: 400, err_code: 0, description: "larger than the server's max_payload" } };
    }
    throw unanswered(session, error as NatsError, `publish on ${subject}`);
  }
}

/** A sequence that no stream reaches. */
const NO_SEQUENCE = 2 ** 52;

/**
 * Waits until a stream has stored all that had reached it. What is published goes through a queue of the stream's, and with
 * several replicas through their log after it; requests to the API overtake both, and what a stream holds by their answer
 * may lack what it stores a moment later. So the stream is sent what it must refuse, behind the rest: a publish that expects
 * another stream, and with several replicas the removal of a message that does not exist, which goes through the log too.
 *
 * @throws ConnectError where the stream does not answer, as without a leader.
 */
export async function untilStored(session: Session, stream: string): Promise<void> {
  const { config, error } = await askAgain((timeout) =>
    askWithin<Pick<StreamInfo, "config">>(session, { subject: `STREAM.INFO.${stream}`, body: {}, timeout }),
  );
  const [subject] = config?.subjects ?? [];
  if (error || subject === undefined || config.sealed || config.mirror || config.no_ack) return;
  const refused = Buffer.from(`NATS/1.0\r\n${EXPECTED_STREAM}: noetl-nats-none\r\n\r\n`);
  const behind = literalOf(subject);
  await askAgain((timeout) => publish(session, behind, { headers: refused, data: Buffer.alloc(0), timeout }));
  if (config.num_replicas > 1) {
    const subject = `STREAM.MSG.DELETE.${stream}`;
    await askAgain((timeout) => askWithin<Answered>(session, { subject, body: { seq: NO_SEQUENCE }, timeout }));
  }
}

/** Lines of a header block: name and value, as the server reads them. */
function headerLines(headers: Buffer): { name: string; line: string }[] {
  const [, ...lines] = headers.toString("latin1").split("\r\n");
  return lines.filter((line) => line !== "").map((line) => ({ name: line.slice(0, line.indexOf(":")).trim(), line }));
}

/** The first value of a header; empty where it is not there. */
export function headerOf(headers: Buffer, wanted: string): string {
  const { name, line } = headerLines(headers).find(({ name }) => name.toLowerCase() === wanted.toLowerCase()) ?? {};
  return name === undefined || line === undefined ? "" : line.slice(line.indexOf(":") + 1).trim();
}

/**
 * Asked the old stream for something that is over: what it expected of it, how long it should keep the message. Or told where the old stream
 * had it from, which nats-server from 2.15 on lets nobody write.
 */
const SPENT = /^Nats-(Expected-|Rollup$|TTL$|Batch-|Required-Api-Level$|Stream-Source$)/i;
/** Ask the server for something that a stream of commands does not do: a schedule, a counter's increment. */
const FOREIGN = /^Nats-(Schedule|Incr$|Counter-|Marker-Reason$)/i;

/** Whether the message is something else than a command: a schedule, a counter, a marker of the server's. */
export const isForeign = ({ headers }: Pick<Message, "headers">): boolean =>
  headerLines(headers).some(({ name }) => FOREIGN.test(name));

/** The headers without those that asked the old stream for something; the same bytes where there are none. */
export function lasting(headers: Buffer): Buffer {
  const lines = headerLines(headers);
  const kept = lines.filter(({ name }) => !SPENT.test(name));
  if (kept.length === lines.length) return headers;
  if (kept.length === 0) return Buffer.alloc(0);
  return Buffer.from(`NATS/1.0\r\n${kept.map(({ line }) => `${line}\r\n`).join("")}\r\n`, "latin1");
}

/** The same for two messages that differ in nothing but their place. */
export function contentOf({ subject, headers, data }: Pick<Message, "subject" | "headers" | "data">): string {
  const hash = crypto.createHash("sha256");
  const lines = headerLines(headers).map(({ name, line }) => `${name}:${line.slice(line.indexOf(":") + 1).trim()}`);
  return hash
    .update(`${subject}\0${lines.join("\n")}\0`)
    .update(data)
    .digest("base64");
}

/** A message as it comes in, not yet stored. */
export function received(message: Msg): Pick<Message, "subject" | "headers" | "data"> {
  return { subject: message.subject, headers: headersOf(message), data: Buffer.from(message.data) };
}

/** What nats.js' messages hold within. */
interface Raw {
  readonly _msg: { readonly hdr: number };
  readonly _rdata: Uint8Array;
}

/**
 * The header bytes as they came, which are what a stream stores. nats.js' own headers put values of one name together, take what
 * is not UTF-8 for something else, and fail at names that the server lets through.
 */
function headersOf(message: Msg): Buffer {
  const { _msg: { hdr: length } = { hdr: -1 }, _rdata: bytes } = message as unknown as Partial<Raw>;
  return length > 0 && bytes !== undefined ? Buffer.from(bytes.subarray(0, length)) : Buffer.alloc(0);
}
