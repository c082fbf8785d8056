/** What the backup holds, as the new stream is to have it, and as it has it. */
import { subjectsCover } from "../../../contract/subjects";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { subjectIn } from "./consumers";
import type { At } from "./context";
import { backupFile, type Journal, type Reason } from "./journal";
import { contentOf, isForeign, lasting, readMessages, savedMessages, untilStored, type Message } from "./messages";
import { unwritten } from "./stored";
import { messageId } from "./writer";

/** A subject of the old stream as the new one has it. */
export function newSubject({ target, oldStream }: Journal, subject: string): string {
  return subjectIn(target, oldStream, subject);
}

/** The backup as the new stream is to have it. */
export async function* backupOf({ context, journal }: Pick<At, "context" | "journal">): AsyncGenerator<Message> {
  for await (const message of savedMessages(context.folder)) {
    yield { ...message, subject: newSubject(journal, message.subject) };
  }
}

/**
 * The sequence of the backup from which on the new stream is to know the identifiers that the old one still knew: a publish that
 * is tried again when all is over is stored once then, too. None where two of those messages share one.
 */
export async function remembersFrom({ context, journal }: At, now: number): Promise<number> {
  const { oldStream, target } = journal;
  const window = Math.min(oldStream.duplicate_window ?? 0, target.duplicate_window ?? 0) / 1e6;
  const ids = new Set<string>();
  let first = Infinity;
  for await (const message of savedMessages(context.folder)) {
    const id = messageId(message);
    if (id === "" || now - message.time.getTime() >= window) continue;
    if (ids.has(id)) return Infinity;
    ids.add(id);
    first = Math.min(first, message.sequence);
  }
  return first;
}

/** Lines of the batch that an interruption cut off which the stream has already. */
export async function cutOff(at: At): Promise<Set<number>> {
  const { session, journal, context } = at;
  const { batch = [], tail } = journal;
  if (batch.length === 0) return new Set();
  await untilStored(session, journal.stream);
  const info = await session.streamInfo(journal.stream, context.deadline());
  if (!info) return new Set();
  const messages: { line: number; message: Message }[] = [];
  let line = 0;
  const lines = new Set(batch);
  for await (const message of backupOf(at)) {
    if (lines.has(line)) messages.push({ line, message: { ...message, headers: lasting(message.headers) } });
    line++;
  }
  const present: Message[] = [];
  const last = info.state.last_seq;
  for await (const message of readMessages(session, journal.stream, { from: tail + 1, to: last }))
    present.push(message);
  const missing = new Set(
    unwritten(
      messages.map(({ message }) => message),
      present,
      info.config,
    ),
  );
  // What a worker has taken since cannot be looked at: it was among the first that were written.
  const taken = Math.max(0, last - tail - present.length);
  const open = messages.filter(({ message }) => missing.has(message)).slice(taken);
  const left = new Set(open.map((each) => each.line));
  return new Set(batch.filter((each) => !left.has(each)));
}

/** Why a message of the backup has no place in the new stream; undefined where it has. */
export function reasonAgainst(
  { target, places }: Journal,
  message: Message,
  { now, isRead }: { now: number; isRead: boolean },
): Reason | undefined {
  const age = target.max_age ?? 0;
  if (age > 0 && now - message.time.getTime() > age / 1e6) return "expired";
  if (isForeign(message)) return "header";
  if (!subjectsCover(target.subjects ?? [], message.subject)) return "subject";
  const queue = String(target.retention) === "workqueue";
  const done = places.length > 0 && places.every(({ floor }) => message.sequence <= floor);
  return done && (queue || isRead) ? "acknowledged" : undefined;
}

/** Every message that was written back is in the new stream as it was, as far as no worker has taken it. */
export async function verifyFilled(at: At): Promise<void> {
  const { session, journal, context } = at;
  const info = await session.streamInfo(journal.stream, context.deadline());
  const last = info?.state.last_seq ?? 0;
  const there = new Map<string, number>();
  let present = 0;
  for await (const message of readMessages(session, journal.stream, { from: 1, to: last })) {
    present++;
    const content = contentOf(message);
    there.set(content, (there.get(content) ?? 0) + 1);
  }
  let missing = 0;
  for await (const message of backupOf(at)) {
    const content = contentOf({ ...message, headers: lasting(message.headers) });
    const left = there.get(content) ?? 0;
    if (left > 0) there.set(content, left - 1);
    else missing++;
  }
  const excused = Object.values(journal.leftOut).reduce((sum, count) => sum + count, 0) + journal.gone.length;
  if (missing > excused + (last - present)) {
    throw new CommandError(
      `${plural(missing - excused, "message")} of the backup ${backupFile(context.folder)} cannot be found in stream ` +
        `${journal.stream}. The backup stays`,
      "wrong",
    );
  }
}
