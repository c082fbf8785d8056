/** The backup on its way into the new stream: in its order, each line once, whatever interrupted an earlier run. */
import { plural } from "../../../contract/wording";
import type { At } from "./context";
import { writeJournal, type Reason } from "./journal";
import { BATCH, lasting, type Message } from "./messages";
import type { Writer } from "./writer";

export class Filling {
  private batch: { line: number; message: Message }[] = [];
  /** Lines of the backup that this has come past. */
  private line = 0;
  private readonly counts: Map<Reason, number>;

  /** @param there Lines of a batch that was cut off which the stream has already. */
  constructor(
    private readonly at: At,
    private readonly writer: Writer,
    private readonly there: ReadonlySet<number>,
  ) {
    this.counts = new Map(Object.entries(at.journal.leftOut) as [Reason, number][]);
  }

  /** Goes past the next line where an earlier run has dealt with it. */
  skips(): boolean {
    if (this.line >= this.at.journal.line) return false;
    this.line++;
    return true;
  }

  /** The next line's message goes to the stream, after those that it could be taken for a repeat of. */
  async take(message: Message): Promise<void> {
    const headers = lasting(message.headers);
    if (headers !== message.headers) this.at.journal.stripped++;
    const sent = { ...message, headers };
    const before = this.batch.map((each) => each.message);
    if (!this.writer.joins(before, sent)) await this.flush();
    this.batch.push({ line: this.line, message: sent });
  }

  /** The next line's message stays in the backup. */
  leaveOut(reason: Reason): void {
    this.count(reason, 1);
  }

  /** The next line is dealt with. */
  async next(): Promise<void> {
    this.line++;
    if (this.batch.length >= BATCH) await this.flush();
  }

  /** Writes what has been taken, and into the journal how far it has come: before it, and after it. */
  async flush(): Promise<void> {
    const { journal, context } = this.at;
    if (this.line === journal.line) return;
    const open = this.batch.filter((each) => !this.there.has(each.line));
    if (open.length > 0) await this.announce(open.map((each) => each.line));
    const results = await this.writer.write(open.map(({ message }) => message));
    const refused = results.filter((result) => result.refused !== undefined);
    if (refused[0]?.refused) context.say(`${plural(refused.length, "message")} refused: ${refused[0].refused}`);
    if (refused.length > 0) this.count("refused", refused.length);
    journal.written += this.batch.length - refused.length;
    journal.leftOut = Object.fromEntries(this.counts);
    journal.line = this.line;
    delete journal.batch;
    writeJournal(context.folder, journal);
    this.batch = [];
  }

  /** The journal has the lines of a batch before the stream has them. */
  private async announce(lines: number[]): Promise<void> {
    const { session, journal, context } = this.at;
    context.step();
    await context.lock?.check();
    context.point("writing");
    journal.batch = lines;
    journal.tail = (await session.streamInfo(journal.stream, context.deadline()))?.state.last_seq ?? 0;
    writeJournal(context.folder, journal);
  }

  private count(reason: Reason, messages: number): void {
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + messages);
  }
}
