/** The steps by which a stream or consumer is removed and made anew without losing a message, one method each. */
import type { StoredMsg } from "nats";
import { consumerConfig, streamConfig } from "../../components/stream-contract/desired";
import { ConnectError } from "../../components/stream-contract/errors";
import type { Session } from "../../components/stream-contract/session";
import { subjectsCover } from "../../components/stream-contract/subjects";
import { many } from "../../config/wording";
import type { Course } from "./course";
import { FROZEN_SUBJECT, writeJournal, type Journal } from "./journal";
import { again, publishMessages, savedMessages, saveMessages, scan, type SavedMessage } from "./messages";

/** Messages that are written back at once. */
const BATCH = 64;
/** How long a server may take from the time that it gives a new consumer until it looks where that starts. */
const START_MILLISECONDS = 1_000;

export class Remake {
  constructor(
    private readonly course: Course,
    private readonly session: Session,
    private readonly journal: Journal,
  ) {}

  /** Whether what is to go is still there, and not one that was made since. */
  async isOld(): Promise<boolean> {
    const { session } = this;
    const { recreates, oldCreated, stream, consumer } = this.journal;
    const info =
      recreates === "stream"
        ? await session.streamInfo(stream, this.course.deadline())
        : await session.consumerInfo(stream, consumer, this.course.deadline());
    return info !== undefined && String(info.created) === oldCreated;
  }

  async backUp(): Promise<void> {
    const { session, journal } = this;
    this.course.step();
    // A consumer that is made anew leaves the stream's messages where they are: only the open ones are needed.
    const from = journal.recreates === "stream" ? 1 : journal.acknowledged + 1;
    Object.assign(journal, await saveMessages(session, journal.stream, from, this.course.folder, 0));
    this.course.reach(journal, "saved");
    this.course.say(`backed up ${many(journal.saved, "message")} to ${this.course.folder}`);
  }

  /** No message may be stored after the last look at the stream and before its end. */
  async freeze(): Promise<void> {
    const { session, journal } = this;
    this.course.step();
    this.course.point("freezing");
    const info =
      journal.recreates === "stream" ? await session.streamInfo(journal.stream, this.course.deadline()) : undefined;
    if (info && !info.config.sealed && !info.config.mirror) {
      await session.change(
        `STREAM.UPDATE.${journal.stream}`,
        { ...info.config, subjects: [`${FROZEN_SUBJECT}.${journal.id}`] },
        "to stop taking messages",
        this.course.deadline(),
      );
    }
    const { stream, bytes, lastSequence } = journal;
    const more = await saveMessages(session, stream, lastSequence + 1, this.course.folder, bytes);
    Object.assign(journal, { ...more, saved: journal.saved + more.saved });
    this.course.reach(journal, "frozen");
    if (more.saved > 0) this.course.say(`backed up ${many(more.saved, "message")} that came in meanwhile`);
  }

  async remove(): Promise<void> {
    const { session, journal } = this;
    this.course.step();
    this.course.point("removing");
    const { recreates, stream, consumer } = journal;
    if (await this.isOld()) {
      const subject = recreates === "stream" ? `STREAM.DELETE.${stream}` : `CONSUMER.DELETE.${stream}.${consumer}`;
      await session.change(
        subject,
        {},
        `to remove ${recreates} ${recreates === "stream" ? stream : consumer}`,
        this.course.deadline(),
      );
    }
    this.course.reach(journal, "removed");
    this.course.say(`removed ${recreates} ${recreates === "stream" ? stream : consumer}`);
  }

  async create(): Promise<void> {
    const { session, journal } = this;
    this.course.point("creating");
    if (journal.recreates === "stream") {
      const { stream } = journal;
      await this.createUnlessThere(
        () =>
          session.change(
            `STREAM.CREATE.${stream}`,
            streamConfig(this.course.inputs),
            `to create stream ${stream}`,
            this.course.deadline(),
          ),
        () => session.streamInfo(stream, this.course.deadline()),
      );
      this.course.say(`created stream ${stream}`);
    } else {
      await this.subscribe();
    }
    this.course.reach(journal, "created");
  }

  /** NoETL's server and worker make what they miss as soon as they start, which may be now. */
  private async createUnlessThere(make: () => Promise<void>, look: () => Promise<unknown>): Promise<void> {
    if ((await look()) !== undefined) return;
    try {
      await make();
    } catch (error) {
      if (!(error instanceof ConnectError) || (await look()) === undefined) throw error;
    }
  }

  /** Creates the workers' consumer, so that what is published from now on reaches them, and gives what it missed again. */
  private async subscribe(): Promise<void> {
    const { session, journal } = this;
    const { stream, consumer, id, recreates, lastSequence } = journal;
    this.course.point("subscribing");
    await this.createUnlessThere(
      async () => {
        const manager = await session.connection.jetstreamManager({ checkAPI: false });
        const { ack_floor: floor } = await manager.consumers.add(stream, consumerConfig(this.course.inputs));
        journal.consumerStart = floor.stream_seq;
        writeJournal(this.course.folder, journal);
      },
      () => session.consumerInfo(stream, consumer, this.course.deadline()),
    );
    const info = await session.consumerInfo(stream, consumer, this.course.deadline());
    const { consumerStart } = journal;
    // Where NoETL's worker made the consumer, only its time is known, which the server takes before it looks at the
    // stream: rather twice than never, since NoETL refuses to have a command claimed twice.
    const until = new Date(String(info?.created)).getTime() + START_MILLISECONDS;
    const isOlder = ({ seq, time }: StoredMsg): boolean =>
      consumerStart === undefined ? time.getTime() < until : seq <= consumerStart;
    const { marks, unmarked } = await scan(session, stream, recreates === "stream" ? 1 : lastSequence + 1, id);
    // A consumer that delivers new messages only leaves out what was stored before it was made.
    const missed = unmarked.filter((message) => isOlder(message) && !marks.has(-message.seq)).map(again);
    await publishMessages(session, stream, id, missed);
    if (missed.length > 0) this.course.say(`published ${many(missed.length, "message")} again that came in meanwhile`);
  }

  /**
   * Writes the backup back in its order. What the workers had acknowledged comes before their consumer is made, and so is
   * not delivered again; the rest comes after it, and is.
   */
  async writeBack(how: "start" | "resume"): Promise<void> {
    const { session, journal } = this;
    const { stream, consumer, id, acknowledged } = journal;
    const present = how === "resume" ? (await scan(session, stream, 1, id)).marks : new Set<number>();
    const info = await session.streamInfo(stream, this.course.deadline());
    const subjects = info?.config.subjects ?? [];
    let subscribed = (await session.consumerInfo(stream, consumer, this.course.deadline())) !== undefined;
    const fits = ({ subject, sequence }: SavedMessage): boolean =>
      subjectsCover(subjects, subject) && !(subscribed && sequence <= acknowledged);

    let batch: SavedMessage[] = [];
    let line = 0;
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const open = batch.filter(({ sequence }) => !present.has(sequence));
      const wanted = open.filter(fits);
      this.course.step();
      this.course.point("writing");
      await publishMessages(session, stream, id, wanted);
      journal.restored = line;
      journal.leftOut += open.length - wanted.length;
      writeJournal(this.course.folder, journal);
      batch = [];
    };
    for await (const message of savedMessages(this.course.folder)) {
      if (line++ < journal.restored) continue;
      if (!subscribed && message.sequence > acknowledged) {
        line--;
        await flush();
        line++;
        await this.subscribe();
        subscribed = true;
      }
      batch.push(message);
      if (batch.length >= BATCH) await flush();
    }
    await flush();
    await this.subscribe();
    this.course.reach(journal, "restored");
    this.course.say(
      `wrote ${many(journal.restored - journal.leftOut, "message")} back` +
        (journal.leftOut > 0 ? `, left out ${journal.leftOut}` : ""),
    );
  }
}
