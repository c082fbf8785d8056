/** The steps by which a stream is replaced without losing a message, and without refusing one. */
import type { StreamConfig, StreamInfo } from "nats";
import { consumerTerms } from "../../../contract/inputs";
import { ConnectError } from "../../../contract/errors";
import type { Session } from "../../../contract/nats/session";
import { WINDOW_LIMITED } from "../../../contract/rules/account";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { quoted } from "../text";
import { backupOf, cutOff, newSubject, reasonAgainst, remembersFrom, verifyFilled } from "./backup";
import { advance, allConsumers, createConsumer, joinSubjects, placesOf, takeUpTo } from "./consumers";
import type { RepairContext } from "./context";
import { Draining } from "./draining";
import { Filling } from "./filling";
import {
  createHolding,
  frozenSubject,
  givenUp,
  handOver,
  holdingStream,
  inlet,
  marked,
  noteOf,
  parkedSubject,
  type Gap,
  type Handover,
  type Side,
} from "./holding";
import { writeJournal, type Journal, type Place } from "./journal";
import { ask, checkBackup, savedMessages, saveMessages, untilStored, type Message } from "./messages";
import { isFixed, nextStep, type Live } from "./next-step";
import { longestWindow, tryTarget, type Closed } from "./trial";
import { SHORT_WINDOW_MILLISECONDS, Writer } from "./writer";

/** A stream that has reached a limit and refuses what is published. */
function isFull({ config, state }: Pick<StreamInfo, "config" | "state">): boolean {
  const reached = (used: number, limit = -1): boolean => limit > 0 && used >= limit;
  return (
    String(config.discard) === "new" &&
    (reached(state.messages, config.max_msgs) || reached(state.bytes, config.max_bytes))
  );
}

/** Messages that may be left in the holding stream when the subjects change hands. */
const FEW = 8;
/** How often the holding stream is emptied before its subjects change hands, come what may. */
const ROUNDS = 20;

export class RecreateSteps {
  /** Whether the login may listen on what is published. */
  private listens: boolean | undefined;
  private readonly draining: Draining;

  constructor(
    readonly context: RepairContext,
    readonly session: Session,
    readonly journal: Journal,
  ) {
    this.draining = new Draining({ context, session, journal });
  }

  private get holding(): string {
    return holdingStream(this.journal.stream);
  }

  async look(): Promise<Live> {
    const { session, journal } = this;
    const [stream, holding] = await Promise.all([
      session.streamInfo(journal.stream, this.context.deadline()),
      session.streamInfo(this.holding, this.context.deadline()),
    ]);
    const subjects = stream?.config.subjects ?? [];
    const inletSubject = `${inlet(journal.id)}.>`;
    const created = String(stream?.created);
    const kind = !stream
      ? "none"
      : created === journal.newCreated || subjects.includes(inletSubject)
        ? "new"
        : created === journal.oldCreated
          ? "old"
          : "other";
    return {
      stream,
      kind,
      open: subjects.some((subject) => subject !== frozenSubject(journal.id) && subject !== inletSubject),
      holding,
      holds: holding?.config.subjects?.some((subject) => subject !== parkedSubject(journal.id)) ?? false,
    };
  }

  /** Takes one step after the other until the new stream stands.  @returns `adopt` where another stands in its place. */
  async run(): Promise<"done" | "adopt"> {
    for (let count = 0; ; count++) {
      const live = await this.look();
      const step = nextStep(this.journal, live);
      if (step === "done" || step === "adopt") return step;
      if (count > 100)
        throw new CommandError("the repair does not come to its end: somebody undoes each step", "wrong");
      this.context.step();
      await this.context.lock?.check();
      await this[step](live);
    }
  }

  private write(): void {
    writeJournal(this.context.folder, this.journal);
  }

  /** The holding stream takes the subjects. */
  private async hold({ stream, kind, holding, holds }: Live): Promise<void> {
    const { session, journal, context } = this;
    context.point("freezing");
    const note = noteOf(holding);
    if (holding && note?.id !== journal.id) {
      throw new CommandError(
        `stream ${this.holding} is there and does not belong to this repair: ${holding.config.description ?? ""}. Look ` +
          `what is in it, and remove it (nats stream rm ${quoted(this.holding)}) before the repair is run again`,
        "wrong",
      );
    }
    if (!holding) await createHolding(session, journal, context.folder);
    const info = await session.streamInfo(this.holding, context.deadline());
    if (!info) throw new CommandError(`stream ${this.holding} was removed as soon as it was made`, "wrong");
    const give = kind === "old" && stream && !isFixed(stream) ? this.frozen(stream) : undefined;
    const subjects = joinSubjects(
      kind === "old" ? (stream?.config.subjects ?? []).filter((each) => each !== frozenSubject(journal.id)) : [],
      journal.target.subjects ?? [],
    );
    const parked = kind === "old" && stream?.config.sealed === true;
    if (parked) {
      // Nothing is published that a sealed stream would take; its subjects become free when it goes.
      if (!holds) return context.reach(journal, "frozen");
    } else {
      // Whoever listens to what the stream republishes goes on hearing it.
      const { republish } = journal.target;
      const config = { ...info.config, subjects, ...(republish ? { republish } : {}) };
      const take: Side = { stream: this.holding, config, before: info.config };
      this.tell(await this.handOver({ give, take, subjects, refuses: stream !== undefined && isFull(stream) }));
    }
    if (kind === "old") {
      context.reach(journal, "frozen");
      context.say(`stream ${this.holding} takes what is published from now on`);
    }
  }

  /** It takes nothing any more, from other streams neither: what it holds could not be saved while it grows. */
  private frozen({ config }: StreamInfo): Side {
    const { stream, id } = this.journal;
    const { sources: _sources, republish: _republish, ...rest } = config;
    return { stream, config: { ...rest, subjects: [frozenSubject(id)] }, before: config };
  }

  private async handOver(move: Omit<Handover, "listens">): Promise<Gap> {
    this.listens ??= await mayListen(this.session, move.subjects, this.context);
    return handOver(this.session, { ...move, listens: this.listens });
  }

  private tell({ caught, doubtful }: Gap): void {
    if (caught > 0) this.context.say(`stored ${plural(caught, "message")} that fell between two streams`);
    this.journal.doubled += doubtful;
  }

  private async save(): Promise<void> {
    const { session, journal, context } = this;
    await untilStored(session, journal.stream);
    const last = (await session.streamInfo(journal.stream, context.deadline()))?.state.last_seq ?? 0;
    Object.assign(journal, await saveMessages(session, { stream: journal.stream, from: 1, last }, context.folder));
    Object.assign(journal, { gone: [], subscribed: [], line: 0, written: 0, leftOut: {} });
    await this.capture();
    context.reach(journal, "saved");
    context.say(`backed up ${plural(journal.saved, "message")} to ${context.folder}`);
  }

  /** Where the consumers stand, and what was acknowledged away since it was saved. */
  private async capture(): Promise<StreamInfo | undefined> {
    const { session, journal, context } = this;
    const details = await ask<StreamInfo>(session, `STREAM.INFO.${journal.stream}`, { deleted_details: true });
    const consumers = await allConsumers(session, journal.stream);
    journal.places = placesOf(context.inputs, consumers, (subject) => newSubject(journal, subject));
    const deleted = new Set((details.state as { deleted?: number[] | null }).deleted ?? []);
    journal.gone = [];
    if (journal.digest !== "" && (details.state.first_seq > 1 || deleted.size > 0)) {
      for await (const { sequence } of savedMessages(context.folder)) {
        if (sequence < details.state.first_seq || deleted.has(sequence)) journal.gone.push(sequence);
      }
    }
    return details;
  }

  private async remove(): Promise<void> {
    const { session, journal, context } = this;
    context.point("removing");
    await checkBackup(context.folder, journal);
    await tryTarget(this, this.closed());
    const info = await this.capture();
    this.write();
    const subjects = info?.config.subjects ?? [];
    const same =
      info !== undefined &&
      String(info.created) === journal.oldCreated &&
      info.state.last_seq === journal.lastSequence &&
      info.state.messages === journal.saved - journal.gone.length &&
      (isFixed(info) || subjects.join() === frozenSubject(journal.id));
    // Somebody was at it since: look again.
    if (!same) return void (journal.digest = "");
    await context.change(session, {
      subject: `STREAM.DELETE.${journal.stream}`,
      body: {},
      what: `to remove stream ${journal.stream}`,
    });
    context.reach(journal, "removed");
    context.say(`removed stream ${journal.stream}`);
  }

  /** The new stream while the repair alone writes to it. */
  private closed(): Closed {
    const { id } = this.journal;
    // What is written back is not republished: whoever listens has had it.
    const { republish: _republish, ...config } = marked(this.journal);
    return {
      ...config,
      subjects: [`${inlet(id)}.>`],
      subject_transform: { src: `${inlet(id)}.>`, dest: ">" },
      duplicate_window: SHORT_WINDOW_MILLISECONDS * 1e6,
    };
  }

  private async create(): Promise<void> {
    const { session, journal, context } = this;
    context.point("creating");
    this.forgetLost();
    const { stream } = journal;
    await context.change(session, {
      subject: `STREAM.CREATE.${stream}`,
      body: this.closed(),
      what: `to create stream ${stream}`,
    });
    const info = await session.streamInfo(stream, context.deadline());
    if (!info) return;
    if (!info.config.subject_transform) {
      // nats-server 2.9 knows no such transform: the stream has to be open before it can be filled.
      await context.change(session, {
        subject: `STREAM.DELETE.${stream}`,
        body: {},
        what: `to remove stream ${stream} again`,
      });
      await this.createOpen(marked(journal));
    } else {
      journal.newCreated = String(info.created);
    }
    journal.tail = 0;
    context.reach(journal, "created");
    context.say(`created stream ${stream}`);
  }

  /** The stream that this repair made is gone, with what was written to it: all of the backup is to be written again. */
  private forgetLost(): void {
    const { journal, context } = this;
    if (journal.newCreated === undefined) return;
    // What the workers had of it is not known.
    context.say(`stream ${journal.stream} was lost after ${plural(journal.written, "message")} were written to it`);
    journal.doubled += journal.written;
    Object.assign(journal, { subscribed: [], line: 0, written: 0, leftOut: {}, tail: 0, batch: undefined });
  }

  private async createOpen(target: Partial<StreamConfig> & { name: string }): Promise<void> {
    const { session, journal, context } = this;
    const { stream, id } = journal;
    const start = { ...target, subjects: [frozenSubject(id)] };
    const subject = `STREAM.CREATE.${stream}`;
    try {
      await context.change(session, { subject, body: start, what: `to create stream ${stream}` });
    } catch (error) {
      if (!(await this.shortensWindow(error))) throw error;
      return this.createOpen(marked(journal));
    }
    const info = await session.streamInfo(stream, context.deadline());
    journal.newCreated = String(info?.created);
    this.write();
    for (const place of journal.places) await this.subscribe(place, false);
    const holding = await session.streamInfo(this.holding, context.deadline());
    await this.takeBack(holding, { stream, config: target });
  }

  /** The holding stream gives the subjects to another. */
  private async takeBack(holding: StreamInfo | undefined, take: Side): Promise<void> {
    const { journal } = this;
    const { republish: _republish, ...parked } = holding?.config ?? {};
    const give = holding && {
      stream: this.holding,
      config: { ...parked, subjects: [parkedSubject(journal.id)] },
      before: holding.config,
    };
    const { subjects = [] } = take.config as Partial<StreamConfig>;
    this.tell(await this.handOver({ give, take, subjects }));
  }

  /**
   * Creates a consumer where its place is: after what it had acknowledged. One that a worker made meanwhile is brought
   * there, as far as nobody else writes to the stream.
   */
  private async subscribe(place: Place, alone = true): Promise<void> {
    const { session, journal, context } = this;
    const { stream } = journal;
    if (journal.subscribed.includes(place.name)) return;
    context.point("subscribing");
    let there = await session.consumerInfo(stream, place.name, context.deadline());
    const last = (await session.streamInfo(stream, context.deadline()))?.state.last_seq ?? 0;
    if (!there) {
      const { error } = await createConsumer(session, stream, place);
      if (error) there = await session.consumerInfo(stream, place.name, context.deadline());
      if (error && !there) {
        const failure = `consumer ${place.name} could not be made: ${error.description} (${error.err_code})`;
        const isOwn = consumerTerms(context.inputs).some(({ name }) => name === place.name);
        // What is written behind its place would be there for nobody.
        if (isOwn) throw new CommandError(failure, "wrong");
        journal.failed.push(failure);
        return;
      }
    }
    if (alone && last > 0 && place.floor > 0) await this.bring(place, last, there !== undefined);
    journal.subscribed.push(place.name);
    this.write();
  }

  /** Brings a consumer behind what it had acknowledged, which is all that the new stream has so far. */
  private async bring({ name, config }: Place, last: number, foreign: boolean): Promise<void> {
    const { session, journal } = this;
    let brought = true;
    if (foreign) {
      const taken = await takeUpTo(session, { stream: journal.stream, name }, last);
      journal.doubled += taken ?? 0;
      brought = taken !== undefined;
    } else if (String(config.deliver_policy) !== "new") {
      brought = await advance(session, { stream: journal.stream, name }, last);
    }
    if (!brought) journal.failed.push(`consumer ${name} is delivered again what it had acknowledged`);
  }

  /** Writes the backup back in its order, each consumer made where its place is. */
  private async fill({ open, stream: info }: Live): Promise<void> {
    const { session, journal, context } = this;
    await checkBackup(context.folder, journal);
    const alone = !open;
    const writer = new Writer(session, { stream: journal.stream, prefix: alone ? `${inlet(journal.id)}.` : "" });
    const filling = new Filling({ session, journal, context }, writer, await cutOff(this));
    const now = info?.ts ? new Date(info.ts).getTime() : Date.now();
    // Where others write to the stream, too, none can be brought to a place in it: they begin before what is written.
    if (!alone) for (const place of journal.places) await this.subscribe(place, false);
    const isRead = (await allConsumers(session, journal.stream)).length > 0;
    const waiting = journal.places
      .filter(({ name }) => !journal.subscribed.includes(name))
      .sort((a, b) => a.floor - b.floor);

    const gone = new Set(journal.gone);
    const remembered = alone ? await remembersFrom(this, now) : Infinity;
    for await (const message of backupOf(this)) {
      if (filling.skips()) continue;
      if (message.sequence === remembered) {
        await filling.flush();
        await this.remember();
      }
      while (waiting[0] && waiting[0].floor < message.sequence) {
        await filling.flush();
        await this.subscribe(waiting[0]);
        waiting.shift();
      }
      // Not in the old stream any more: it is of no interest.
      if (!gone.has(message.sequence)) await this.writeBack(message, filling, { now, isRead, alone });
      await filling.next();
    }
    await filling.flush();
    // Those that had acknowledged all of it.
    if (alone) for (const place of waiting) await this.subscribe(place);
    if (alone) await verifyFilled(this);
    journal.line = journal.saved;
    context.reach(journal, open ? "opened" : "restored");
    context.say(`wrote ${plural(journal.written, "message")} back`);
  }

  /** The new stream knows from now on what it has been given, for as long as it will later on. */
  private async remember(): Promise<void> {
    const { session, journal, context } = this;
    const info = await session.streamInfo(journal.stream, context.deadline());
    const { duplicate_window: window } = journal.target;
    if (!info || window === undefined || info.config.duplicate_window === window) return;
    const subject = `STREAM.UPDATE.${journal.stream}`;
    const body = { ...info.config, duplicate_window: window };
    try {
      await context.change(session, { subject, body, what: `to have stream ${journal.stream} know repeats` });
    } catch (error) {
      if (!(await this.shortensWindow(error))) throw error;
      await this.remember();
    }
  }

  /**
   * Takes the longest window for duplicates that the server allows, where it has refused another for its length.
   *
   * @returns false where that is not what was refused.
   */
  private async shortensWindow(error: unknown): Promise<boolean> {
    const { journal, context } = this;
    if (!(error instanceof ConnectError) || !error.message.includes(WINDOW_LIMITED)) return false;
    const longest = await longestWindow(this, this.closed());
    if (longest === 0 || longest >= (journal.target.duplicate_window ?? 0)) return false;
    journal.target.duplicate_window = longest;
    this.write();
    context.say(
      `the server allows a window for duplicates of ${longest / 1e9} s only, which stream ${journal.stream} gets`,
    );
    return true;
  }

  /** One message of the backup: it is written back, or left out. */
  private async writeBack(
    message: Message,
    filling: Filling,
    { now, isRead, alone }: { now: number; isRead: boolean; alone: boolean },
  ): Promise<void> {
    const { journal } = this;
    const reason = reasonAgainst(journal, message, { now, isRead });
    if (reason !== undefined) return filling.leaveOut(reason);
    if (!alone && journal.places.some(({ floor }) => message.sequence <= floor)) journal.doubled++;
    await filling.take(message);
  }

  /** The new stream takes the subjects, once it has nearly all of what the holding stream took. */
  private async open({ holding }: Live): Promise<void> {
    const { session, journal, context } = this;
    for (const place of journal.places) await this.subscribe(place, false);
    await this.remember();
    const prefix = `${inlet(journal.id)}.`;
    for (let round = 0; round < ROUNDS && (await this.drain(prefix)) > FEW; round++) context.step();
    context.step();
    await context.lock?.check();
    context.point("opening");
    const info = await session.streamInfo(journal.stream, context.deadline());
    const { subject_transform: _transform, ...config } = { ...this.closed(), ...info?.config, ...marked(journal) };
    await this.takeBack(holding, { stream: journal.stream, config });
    context.reach(journal, "opened");
    context.say(`stream ${journal.stream} takes what is published`);
  }

  /** Moves what the holding stream took; gives how many messages that were. */
  drain(prefix = ""): Promise<number> {
    return this.draining.drain(prefix);
  }

  /** The rest of the holding stream, and its end. */
  async finish(): Promise<void> {
    const { session, journal, context } = this;
    const holding = await session.streamInfo(this.holding, context.deadline());
    if (holding && holding.config.subjects?.join() !== parkedSubject(journal.id)) {
      const info = await session.streamInfo(journal.stream, context.deadline());
      const subjects = joinSubjects(info?.config.subjects ?? [], journal.target.subjects ?? []);
      await this.takeBack(holding, { stream: journal.stream, config: { ...info?.config, subjects } });
    }
    while ((await this.drain()) > 0) context.step();
    const left = await session.streamInfo(this.holding, context.deadline());
    if (left && left.state.messages > 0 && left.state.last_seq > journal.held) return;
    context.point("draining");
    if (left)
      await context.change(session, {
        subject: `STREAM.DELETE.${this.holding}`,
        body: {},
        what: `to remove stream ${this.holding}`,
      });
    context.reach(journal, "drained");
  }

  /** Takes another's stream, which is as it should be, for the new one: what was saved and held goes there. */
  async adopt(): Promise<void> {
    const live = await this.look();
    if (live.kind === "other") {
      this.forgetLost();
      this.journal.newCreated = String(live.stream?.created);
      this.write();
    }
    if (this.journal.line < this.journal.saved) await this.fill({ ...live, open: true });
    await this.finish();
  }

  /**
   * Gives the old stream its subjects back, with what was published meanwhile: everything is as it was.
   *
   * @returns false where that is not possible any more.
   */
  async giveBack(): Promise<boolean> {
    const { session, journal, context } = this;
    const { kind, stream, holding, holds } = await this.look();
    if (kind !== "old" || !stream) return false;
    // Somebody else's of that name is nothing that was taken from the old stream.
    if (!holding || noteOf(holding)?.id !== journal.id) return true;
    const before = { ...stream.config, ...givenUp(journal.oldStream) };
    if (isFixed(stream)) {
      if (!(await this.park(holding, holds))) return false;
    } else {
      if (holds) await this.takeBack(holding, { stream: journal.stream, config: before });
      while ((await this.drain()) > 0);
      if (!(await this.isEmptied())) return false;
    }
    await context.change(session, {
      subject: `STREAM.DELETE.${this.holding}`,
      body: {},
      what: `to remove stream ${this.holding}`,
    });
    return true;
  }

  /**
   * The holding stream takes nothing any more. A stream that takes no message can be given none of it, and has no subjects: what would
   * be published to them came back here.
   *
   * @returns false, with all as it was, where the holding stream has what was published meanwhile.
   */
  private async park(holding: StreamInfo, holds: boolean): Promise<boolean> {
    if (!(await this.isEmptied())) return false;
    if (!holds) return true;
    const { republish: _republish, ...config } = holding.config;
    const change = (body: object): Promise<void> =>
      this.context.change(this.session, {
        subject: `STREAM.UPDATE.${this.holding}`,
        body,
        what: `to change the subjects of stream ${this.holding}`,
      });
    await change({ ...config, subjects: [parkedSubject(this.journal.id)] });
    if (await this.isEmptied()) return true;
    await change(holding.config);
    return false;
  }

  /** Whether all of the holding stream has been moved. */
  private async isEmptied(): Promise<boolean> {
    await untilStored(this.session, this.holding);
    const left = await this.session.streamInfo(this.holding, this.context.deadline());
    return !left || left.state.messages === 0 || left.state.last_seq <= this.journal.held;
  }
}

/** Whether the login may listen on every one of the subjects. */
export async function mayListen(
  session: Session,
  subjects: readonly string[],
  context: RepairContext,
): Promise<boolean> {
  const refusals = await session.listenRefusals(subjects, context.deadline());
  return refusals.every((refusal) => refusal === undefined);
}
