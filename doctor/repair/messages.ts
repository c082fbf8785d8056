import * as fs from "node:fs";
import * as readline from "node:readline";
import { headers as newHeaders, type JetStreamManager, type MsgHdrs, type NatsError, type StoredMsg } from "nats";
import type { Session } from "../../components/stream-contract/session";
import { backupFile } from "./journal";

/** One message of a stream, as a line of the backup holds it. */
export interface SavedMessage {
  readonly sequence: number;
  readonly subject: string;
  /** When it was stored, ISO 8601. */
  readonly time: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Base64. */
  readonly data: string;
}

/** Header of a message that was written back: the repair's id and the message's sequence in the old stream. */
const RESTORED_HEADER = "Noetl-Nats-Restored";
/** Headers that ask the server for something that holds for the old stream only. */
const PASSING = /^Nats-(Expected-|Rollup)/i;

/** Requests that are under way at once. */
const BATCH = 64;
/** Longest wait for one answer, in milliseconds. */
const ANSWER_MILLISECONDS = 10_000;
const NO_MESSAGE = 10037;

/** Messages of a stream from a sequence on, in order; those that were deleted or acknowledged away are not there. */
async function* readMessages(session: Session, stream: string, from: number): AsyncGenerator<StoredMsg> {
  const manager = await session.connection.jetstreamManager({ checkAPI: false, timeout: ANSWER_MILLISECONDS });
  const { state } = await manager.streams.info(stream);
  for (let start = Math.max(from, state.first_seq); start <= state.last_seq; start += BATCH) {
    const count = Math.min(BATCH, state.last_seq - start + 1);
    const found = await Promise.all(
      Array.from({ length: count }, (_, index) => readOne(manager, stream, { seq: start + index })),
    );
    for (const message of found) if (message) yield message;
    if (found.some((message) => message !== undefined)) continue;
    // A work queue may have a wide gap behind an old message that nobody acknowledges.
    const next = await readOne(manager, stream, { seq: start + count, next_by_subj: ">" });
    if (!next) return;
    start = next.seq - BATCH;
  }
}

/** A sequence, or the first message from it on (which nats.js types for direct gets only; the API takes it as well). */
type Query = { seq: number; next_by_subj?: ">" };

async function readOne(manager: JetStreamManager, stream: string, query: Query): Promise<StoredMsg | undefined> {
  try {
    return await manager.streams.getMessage(stream, query);
  } catch (error) {
    if ((error as NatsError).api_error?.err_code === NO_MESSAGE) return undefined;
    throw error;
  }
}

/**
 * Appends the stream's messages from `from` on to the backup, on the disk before this returns. What an interrupted run
 * left behind `whole` bytes is cut off first.
 */
export async function saveMessages(
  session: Session,
  stream: string,
  from: number,
  folder: string,
  whole: number,
): Promise<{ saved: number; bytes: number; lastSequence: number }> {
  const handle = fs.openSync(backupFile(folder), "a", 0o600);
  let saved = 0;
  let lastSequence = from - 1;
  try {
    fs.ftruncateSync(handle, whole);
    for await (const message of readMessages(session, stream, from)) {
      const { seq, subject, time, header, data } = message;
      const line: SavedMessage = {
        sequence: seq,
        subject,
        time: time.toISOString(),
        ...(header ? { headers: headersOf(header) } : {}),
        data: Buffer.from(data).toString("base64"),
      };
      fs.writeSync(handle, `${JSON.stringify(line)}\n`);
      saved++;
      lastSequence = seq;
    }
    fs.fsyncSync(handle);
    return { saved, bytes: fs.fstatSync(handle).size, lastSequence };
  } finally {
    fs.closeSync(handle);
  }
}

function headersOf(header: MsgHdrs): Record<string, string[]> {
  return Object.fromEntries([...header].map(([key, values]) => [key, [...values]]));
}

/** Lines of the backup, oldest first. */
export async function* savedMessages(folder: string): AsyncGenerator<SavedMessage> {
  if (!fs.existsSync(backupFile(folder))) return;
  const lines = readline.createInterface({ input: fs.createReadStream(backupFile(folder)), crlfDelay: Infinity });
  for await (const line of lines) if (line !== "") yield JSON.parse(line) as SavedMessage;
}

/** What of a repair is in the stream already: marks of written back messages, and messages that nobody has marked. */
export async function scan(
  session: Session,
  stream: string,
  from: number,
  id: string,
): Promise<{ marks: Set<number>; unmarked: StoredMsg[] }> {
  const marks = new Set<number>();
  const unmarked: StoredMsg[] = [];
  for await (const message of readMessages(session, stream, from)) {
    const mark = message.header?.get(RESTORED_HEADER) ?? "";
    if (mark.startsWith(`${id}:`)) marks.add(Number(mark.slice(id.length + 1)));
    else unmarked.push(message);
  }
  return { marks, unmarked };
}

/**
 * A message of the new stream as one to publish again, for a consumer that was made after it. Its mark is the negative of
 * its sequence, which tells it from those of the old stream.
 */
export const again = ({ seq, subject, time, header, data }: StoredMsg): SavedMessage => ({
  sequence: -seq,
  subject,
  time: time.toISOString(),
  ...(header ? { headers: headersOf(header) } : {}),
  data: Buffer.from(data).toString("base64"),
});

/**
 * Writes messages to the stream in their order and waits until it has stored them.
 *
 * @throws Error where another stream answers, or none.
 */
export async function publishMessages(
  session: Session,
  stream: string,
  id: string,
  messages: readonly SavedMessage[],
): Promise<void> {
  const jetstream = session.connection.jetstream({ timeout: ANSWER_MILLISECONDS });
  const acks = await Promise.all(
    messages.map((message) =>
      jetstream.publish(message.subject, Buffer.from(message.data, "base64"), {
        headers: restoredHeaders(message, id),
        timeout: ANSWER_MILLISECONDS,
      }),
    ),
  );
  const astray = acks.find((ack) => ack.stream !== stream);
  if (astray) throw new Error(`a message that belongs to stream ${stream} was stored in ${astray.stream}`);
}

function restoredHeaders({ headers = {}, sequence }: SavedMessage, id: string): MsgHdrs {
  const all = newHeaders();
  for (const [key, values] of Object.entries(headers)) {
    if (!PASSING.test(key)) for (const value of values) all.append(key, value);
  }
  all.set(RESTORED_HEADER, `${id}:${sequence}`);
  return all;
}
