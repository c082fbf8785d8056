/** The steps by which consumers are made new on a stream that stays. No publish is touched by it. */
import type { ConsumerInfo } from "nats";
import type { Session } from "../../../contract/nats/session";
import { subjectsCover } from "../../../contract/subjects";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { advance, createConsumer } from "./consumers";
import type { RepairContext } from "./context";
import { writeJournal, type Journal, type Place, type Renewal } from "./journal";
import { ask, BATCH, lasting, readMessages, type Answered, type Message } from "./messages";
import { unwritten } from "./stored";
import { Writer } from "./writer";

/** How long a server may take from the time that it gives a new consumer until it looks where that starts. */
const START_MILLISECONDS = 1_000;

/** How many messages there are on each subject. */
function countsOf(messages: readonly Pick<Message, "subject">[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { subject } of messages) counts.set(subject, (counts.get(subject) ?? 0) + 1);
  return counts;
}

export class Renew {
  constructor(
    private readonly context: RepairContext,
    private readonly session: Session,
    readonly journal: Journal,
  ) {}

  private write(): void {
    writeJournal(this.context.folder, this.journal);
  }

  async run(): Promise<void> {
    const { journal, session, context } = this;
    const renewals = (journal.renewals ??= {});
    for (const name of journal.renews) {
      const place = journal.places.find((each) => each.name === name);
      if (!place) continue;
      if (!(await session.streamInfo(journal.stream, context.deadline()))) {
        throw new CommandError(
          `stream ${journal.stream} is gone: run the same command again, it plans from there`,
          "wrong",
        );
      }
      const state = (renewals[name] ??= await this.begin(place));
      await this.remove(place, state);
      await this.create(place, state);
      await this.giveAgain(place, state);
    }
    context.reach(journal, "restored");
  }

  private info(name: string): Promise<ConsumerInfo | undefined> {
    return this.session.consumerInfo(this.journal.stream, name, this.context.deadline());
  }

  private async begin({ name }: Place): Promise<Renewal> {
    const info = await this.info(name);
    return { old: String(info?.created ?? ""), done: 0 };
  }

  private async remove(place: Place, state: Renewal): Promise<void> {
    const { context, session, journal } = this;
    context.step();
    context.point("removing");
    const info = await this.info(place.name);
    if (info && String(info.created) === state.old) {
      // What was acknowledged meanwhile need not come again.
      place.floor = Math.max(place.floor, info.ack_floor.stream_seq);
      this.write();
      await this.guard(place);
      const subject = `CONSUMER.DELETE.${journal.stream}.${place.name}`;
      await context.change(session, { subject, body: {}, what: `to remove consumer ${place.name}` });
      context.say(`removed consumer ${place.name}`);
    }
    context.reach(journal, "removed");
  }

  private get guardName(): string {
    return `repair-${this.journal.id}`;
  }

  /** A stream that keeps messages for its consumers alone drops them with the last: another one keeps the place. */
  private async guard(place: Place): Promise<void> {
    const { session, journal, context } = this;
    const info = await session.streamInfo(journal.stream, context.deadline());
    if (String(info?.config.retention) !== "interest") return;
    const config = { ack_policy: "explicit", deliver_policy: "all" } as Place["config"];
    const { error } = await createConsumer(session, journal.stream, { ...place, name: this.guardName, config });
    if (error) {
      throw new CommandError(
        `consumer ${place.name} cannot be made new without loss: NATS refuses another one that keeps its messages ` +
          `meanwhile, ${error.description} (${error.err_code}). Nothing was removed`,
        "wrong",
      );
    }
  }

  private async create(place: Place, state: Renewal): Promise<void> {
    const { session, journal, context } = this;
    context.point("creating");
    if (state.start === undefined && !(await this.info(place.name))) {
      context.point("subscribing");
      const made = (await createConsumer(session, journal.stream, place)) as Partial<ConsumerInfo> & Answered;
      if (!made.error) {
        state.start = made.ack_floor?.stream_seq ?? 0;
        this.write();
        if (String(place.config.deliver_policy) !== "new" && place.floor > 0) {
          if (!(await advance(session, { stream: journal.stream, name: place.name }, place.floor))) {
            journal.failed.push(`consumer ${place.name} is delivered again what it had acknowledged`);
          }
        }
      } else if (!(await this.info(place.name))) {
        const { description, err_code: code } = made.error;
        throw new CommandError(
          `consumer ${place.name} cannot be created: ${description} (${code}). What it had not acknowledged is in stream ` +
            `${journal.stream}; run the same command again once that is put right`,
          "wrong",
        );
      }
    }
    context.reach(journal, "created");
    context.say(`created consumer ${place.name}`);
  }

  /** A consumer that delivers new messages only leaves out what was stored before it was made: that is published again. */
  private async giveAgain(place: Place, state: Renewal): Promise<void> {
    const { session, journal, context } = this;
    const consumer = await this.info(place.name);
    const info = await session.streamInfo(journal.stream, context.deadline());
    if (!consumer || !info) return;
    if (String(consumer.config.deliver_policy) === "new") {
      // Where somebody else made the consumer, only its time is known: rather twice than never.
      const created = new Date(String(consumer.created)).getTime();
      const until = created + START_MILLISECONDS;
      const filters = consumer.config.filter_subjects ?? [consumer.config.filter_subject ?? ">"];
      const end = state.start ?? info.state.last_seq;
      let batch: Message[] = [];
      let count = 0;
      const from = Math.max(place.floor, state.done) + 1;
      const unstored: Message[] = [];
      for await (const message of readMessages(session, journal.stream, { from, to: end })) {
        if (state.start === undefined && message.time.getTime() >= until) break;
        if (!subjectsCover(filters, message.subject)) continue;
        // Stored under that name by what the stream was before.
        if (!subjectsCover(info.config.subjects ?? [], message.subject)) {
          unstored.push(message);
          continue;
        }
        batch.push(message);
        count++;
        // Whoever made it may have handed that out already.
        if (state.start === undefined && message.time.getTime() >= created) journal.doubled++;
        if (batch.length >= BATCH) {
          await this.again(batch, state);
          batch = [];
        }
      }
      await this.again(batch, state);
      for (const [subject, messages] of countsOf(unstored)) {
        journal.failed.push(
          `${plural(messages, "message")} on ${subject}, which stream ${journal.stream} no longer stores, cannot be published again ` +
            `for ${place.name}; in the stream ${messages === 1 ? "it stays" : "they stay"}`,
        );
      }
      if (count > 0) context.say(`published ${plural(count, "message")} again that ${place.name} had not acknowledged`);
    }
    await ask(session, `CONSUMER.DELETE.${journal.stream}.${this.guardName}`, {});
  }

  /** Publishes messages again, and removes each original: there is one of each, before and after. */
  private async again(batch: readonly Message[], state: Renewal): Promise<void> {
    const { session, journal, context } = this;
    if (batch.length === 0) return;
    context.step();
    await context.lock?.check();
    context.point("writing");
    const info = await session.streamInfo(journal.stream, context.deadline());
    const cut = new Set(journal.batch ?? []);
    let open = batch.map((message) => ({ ...message, headers: lasting(message.headers) }));
    if (cut.size > 0) {
      const present: Message[] = [];
      const last = info?.state.last_seq ?? 0;
      for await (const message of readMessages(session, journal.stream, { from: journal.tail + 1, to: last }))
        present.push(message);
      const missing = new Set(
        unwritten(
          open.filter(({ sequence }) => cut.has(sequence)),
          present,
          info?.config,
        ),
      );
      open = open.filter((message) => !cut.has(message.sequence) || missing.has(message));
    }
    journal.batch = batch.map(({ sequence }) => sequence);
    journal.tail = info?.state.last_seq ?? 0;
    this.write();
    const writer = new Writer(session, { stream: journal.stream });
    // One that shares its identifier with another waits for it.
    let part: typeof open = [];
    const send = async (): Promise<void> => {
      for (const [index, { refused }] of (await writer.write(part)).entries()) {
        if (refused !== undefined) journal.failed.push(`message ${part[index]?.sequence} was refused: ${refused}`);
        else journal.written++;
      }
      part = [];
    };
    for (const message of open) {
      if (!writer.joins(part, message)) await send();
      part.push(message);
    }
    await send();
    await Promise.all(
      batch.map(({ sequence }) =>
        ask(session, `STREAM.MSG.DELETE.${journal.stream}`, { seq: sequence, no_erase: true }),
      ),
    );
    state.done = batch.at(-1)?.sequence ?? state.done;
    delete journal.batch;
    this.write();
  }
}
