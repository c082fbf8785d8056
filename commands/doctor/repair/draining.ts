/** What the holding stream took on its way into the stream that takes its place: each message once, whatever interrupted it. */
import * as fs from "node:fs";
import type { StreamInfo } from "nats";
import { plural } from "../../../contract/wording";
import type { At } from "./context";
import { holdingStream } from "./holding";
import { heldFile, writeJournal, writeWhole, type Reason } from "./journal";
import { ask, BATCH, lasting, readMessages, savedMessages, untilStored, type Message } from "./messages";
import { unwritten } from "./stored";
import { messageId, Writer } from "./writer";

/** One round: what is about to be written, and up to where the holding stream has been read. */
interface Round {
  readonly writer: Writer;
  batch: Message[];
  upTo: number;
  moved: number;
}

export class Draining {
  /** When what this process has moved was published, by identifier. */
  private readonly moved = new Map<string, number>();
  /** When what the old stream knew by an identifier was published. */
  private known: ReadonlyMap<string, number> = new Map();
  /** Whether nothing was moved before this process began. */
  private hasAll: boolean | undefined;

  constructor(private readonly at: At) {}

  private get holding(): string {
    return holdingStream(this.at.journal.stream);
  }

  private write(): void {
    writeJournal(this.at.context.folder, this.at.journal);
  }

  /** @returns how many messages were moved */
  async drain(prefix: string): Promise<number> {
    const { session, journal, context } = this.at;
    await untilStored(session, this.holding);
    const info = await session.streamInfo(this.holding, context.deadline());
    if (!info) return 0;
    this.recognise(info);
    const { first_seq: first, last_seq: last, messages } = info.state;
    if (messages === 0 || last <= journal.held) return 0;
    this.hasAll ??= journal.held === 0 && journal.batch === undefined;
    const isRepeat = (each: object): boolean => this.isRepeat(each as Message, prefix !== "");
    const writer = new Writer(session, { stream: journal.stream, prefix, isRepeat });
    const round: Round = { writer, batch: [], upTo: journal.held, moved: 0 };
    this.known = await this.knownIds();
    const age = journal.target.max_age ?? 0;
    const now = info.ts ? new Date(info.ts).getTime() : Date.now();
    for await (const message of readMessages(session, this.holding, {
      from: Math.max(first, journal.held + 1),
      to: last,
    })) {
      const id = messageId(message);
      const before = this.known.get(id);
      if (before !== undefined && message.time.getTime() - before < this.window()) journal.repeats++;
      else if (age > 0 && now - message.time.getTime() > age / 1e6) this.keep(message, "expired");
      else {
        const sent = { ...message, headers: lasting(message.headers) };
        if (!writer.joins(round.batch, sent)) await this.flush(round);
        round.batch.push(sent);
      }
      round.upTo = message.sequence;
      if (round.batch.length >= BATCH) await this.flush(round);
    }
    round.upTo = last;
    await this.flush(round);
    return round.moved;
  }

  /** How far it was emptied is about the holding stream that it was: one that was lost and made again has other messages. */
  private recognise({ created }: StreamInfo): void {
    const { journal } = this.at;
    const { heldOf = String(created) } = journal;
    if (heldOf !== String(created)) Object.assign(journal, { held: 0, batch: undefined });
    journal.heldOf = String(created);
  }

  private async flush(round: Round): Promise<void> {
    const { session, journal, context } = this.at;
    if (round.upTo === journal.held) return;
    context.step();
    await context.lock?.check();
    context.point("moving");
    const open = await this.notYetThere(round.batch);
    journal.batch = open.map(({ sequence }) => sequence);
    journal.tail = (await session.streamInfo(journal.stream, context.deadline()))?.state.last_seq ?? 0;
    this.write();
    const results = await round.writer.write(open);
    for (const [index, { refused, isRepeat }] of results.entries()) {
      const message = open[index];
      if (!message) continue;
      if (isRepeat) journal.repeats++;
      else this.moved.set(messageId(message), message.time.getTime());
      if (refused !== undefined) this.keep(message, "refused");
    }
    const refusals = results.flatMap(({ refused }) => refused ?? []);
    const [first] = refusals;
    if (first) context.say(`${plural(refusals.length, "message")} of ${this.holding} refused: ${first}`);
    journal.held = round.upTo;
    delete journal.batch;
    this.write();
    await ask(session, `STREAM.PURGE.${this.holding}`, { seq: round.upTo + 1 });
    round.moved += round.batch.length;
    round.batch = [];
  }

  private window(): number {
    return (this.at.journal.oldStream.duplicate_window ?? 0) / 1e6;
  }

  /**
   * Whether a message whose identifier the stream knows is a repeat: of one that was stored there otherwise, or of one that was moved
   * there and was published within the window. What an earlier run has moved is not known; rather twice than never, then. One that
   * the old stream had forgotten is none: the new one knows it from when it was written back, which was later. Where others write to
   * the stream, too, it may know it from them.
   */
  private isRepeat(message: Message, alone: boolean): boolean {
    const id = messageId(message);
    const before = this.moved.get(id);
    if (before !== undefined) return message.time.getTime() - before < this.window();
    const forgotten = this.known.has(id);
    if (!this.hasAll || (forgotten && !alone)) this.at.journal.doubled++;
    return this.hasAll === true && !forgotten;
  }

  /** Identifiers that the old stream knew: a publish that was tried again meanwhile is a repeat of one of them. */
  private async knownIds(): Promise<Map<string, number>> {
    const ids = new Map<string, number>();
    for await (const message of savedMessages(this.at.context.folder)) {
      const id = messageId(message);
      if (id !== "") ids.set(id, message.time.getTime());
    }
    return ids;
  }

  /** What of a batch is not in the stream yet, where an interruption cut it off. */
  private async notYetThere(batch: readonly Message[]): Promise<Message[]> {
    const { session, journal, context } = this.at;
    const cut = new Set(journal.batch ?? []);
    if (cut.size === 0) return [...batch];
    await untilStored(session, journal.stream);
    const info = await session.streamInfo(journal.stream, context.deadline());
    const present: Message[] = [];
    const last = info?.state.last_seq ?? 0;
    for await (const message of readMessages(session, journal.stream, { from: journal.tail + 1, to: last }))
      present.push(message);
    const doubtful = batch.filter(({ sequence }) => cut.has(sequence));
    const missing = new Set(unwritten(doubtful, present, info?.config));
    const taken = Math.max(0, last - journal.tail - present.length);
    journal.doubled += Math.min(taken, missing.size);
    return batch.filter((message) => !cut.has(message.sequence) || missing.has(message));
  }

  /** Puts a message of the holding stream beside the backup. */
  private keep(message: Message, reason: Reason): void {
    const { journal, context } = this.at;
    const { sequence, subject, time, headers, data } = message;
    const line = { sequence, subject, time, headers: headers.toString("base64"), data: data.toString("base64") };
    fs.mkdirSync(context.folder, { recursive: true, mode: 0o700 });
    const handle = fs.openSync(heldFile(context.folder), "a", 0o600);
    try {
      writeWhole(handle, `${JSON.stringify(line)}\n`);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    journal.leftOut = { ...journal.leftOut, [reason]: (journal.leftOut[reason] ?? 0) + 1 };
  }
}
