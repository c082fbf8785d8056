/** The steps by which a stream is replaced without losing a message, and without refusing one. */
import * as fs from "node:fs";
import * as path from "node:path";
import type { ConsumerInfo, StreamConfig, StreamInfo } from "nats";
import type { Session } from "../../../contract/nats/session";
import { subjectsCover } from "../../../contract/subjects";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { quoted } from "../text";
import { consumersOf, advance, createConsumer, joinSubjects, placesOf, takeUpTo } from "./consumers";
import type { RepairContext } from "./context";
import { Filling } from "./filling";
import {
  createHolding,
  frozenSubject,
  handOver,
  holdingStream,
  inlet,
  marked,
  noteOf,
  parkedSubject,
  trialSubject,
  unwritten,
  type Gap,
  type Side,
} from "./holding";
import { backupFile, writeJournal, writeWhole, type Journal, type Place, type Reason } from "./journal";
import {
  ask,
  BATCH,
  checkBackup,
  contentOf,
  isForeign,
  lasting,
  readMessages,
  savedMessages,
  saveMessages,
  untilStored,
  type Answered,
  type Message,
} from "./messages";
import { messageId, SHORT_WINDOW_MILLISECONDS, Writer } from "./writer";

/** What stands in NATS. */
export interface Live {
  readonly stream?: StreamInfo;
  /** `old` is the one that is to go, `new` the one that this repair made, `other` one that somebody made meanwhile. */
  readonly kind: "old" | "new" | "other" | "none";
  /** Whether the stream listens on what is published. */
  readonly open: boolean;
  readonly holding?: StreamInfo;
  /** Whether the holding stream takes what is published. */
  readonly holds: boolean;
}

export type Step = "hold" | "save" | "remove" | "create" | "fill" | "open" | "finish" | "done" | "adopt";

/** What of the journal decides the next step. */
export type Progress = Pick<Journal, "phase" | "lastSequence" | "digest" | "line" | "saved">;

/** A sealed stream and a mirror take no message and no change: they need not, and cannot, be frozen. */
export const isFixed = ({ config }: Pick<StreamInfo, "config">): boolean =>
  Boolean(config.sealed) || config.mirror !== undefined;

/**
 * What is to be done next, by what stands in NATS. The journal alone never decides: an operator, NoETL's own start or a
 * restart of NATS may have changed everything since it was written.
 */
export function nextStep({ digest, lastSequence, line, saved }: Progress, live: Live): Step {
  const { stream, kind, open, holding, holds } = live;
  switch (kind) {
    case "old": {
      const frozen = stream !== undefined && (isFixed(stream) || (!open && holds));
      if (!frozen || !holding) return "hold";
      return digest !== "" && stream.state.last_seq === lastSequence ? "remove" : "save";
    }
    case "none":
      return holds ? "create" : "hold";
    case "new":
      if (open) return line < saved ? "fill" : holding ? "finish" : "done";
      if (!holds) return "hold";
      return line < saved ? "fill" : "open";
    case "other":
      return "adopt";
  }
}

/** Messages that may be left in the holding stream when the subjects change hands. */
const FEW = 8;
/** How often the holding stream is emptied before its subjects change hands, come what may. */
const ROUNDS = 20;

export class RecreateSteps {
  /** Whether the login may listen on what is published. */
  private listens: boolean | undefined;

  constructor(
    private readonly context: RepairContext,
    private readonly session: Session,
    readonly journal: Journal,
  ) {}

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
      const take: Side = { stream: this.holding, config: { ...info.config, subjects }, before: info.config };
      this.tell(await this.handOver(give, take, subjects));
    }
    if (kind === "old") {
      context.reach(journal, "frozen");
      context.say(`stream ${this.holding} takes what is published from now on`);
    }
  }

  private frozen({ config }: StreamInfo): Side {
    const { stream, id } = this.journal;
    return { stream, config: { ...config, subjects: [frozenSubject(id)] }, before: config };
  }

  private async handOver(give: Side | undefined, take: Side, subjects: readonly string[]): Promise<Gap> {
    this.listens ??= await mayListen(this.session, subjects, this.context);
    return handOver(this.session, { give, take, subjects, listens: this.listens });
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
    const consumers: ConsumerInfo[] = await consumersOf(session, journal.stream, undefined);
    journal.places = placesOf(context.inputs, consumers);
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
    await this.tryTarget();
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

  /** What NATS would refuse of the new stream is known before the old one goes. */
  private async tryTarget(): Promise<void> {
    const { session, journal, context } = this;
    const name = `${journal.stream}-repair-trial`;
    const body = { ...this.closed(), name, subjects: [trialSubject(journal.id)] };
    const { error } = await ask<Answered>(session, `STREAM.CREATE.${name}`, { ...body, subject_transform: undefined });
    await ask<Answered>(session, `STREAM.DELETE.${name}`, {});
    if (error) {
      throw new CommandError(
        `NATS refuses the stream that is to take the place of ${journal.stream}: ${error.description} ` +
          `(${error.err_code}). Stream ${journal.stream} is not removed`,
        "wrong",
      );
    }
    context.step();
  }

  /** The new stream while the repair alone writes to it. */
  private closed(): Partial<StreamConfig> & { name: string } {
    const { id } = this.journal;
    return {
      ...marked(this.journal),
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
    await context.change(session, {
      subject: `STREAM.CREATE.${stream}`,
      body: start,
      what: `to create stream ${stream}`,
    });
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
    const give = holding && {
      stream: this.holding,
      config: { ...holding.config, subjects: [parkedSubject(journal.id)] },
      before: holding.config,
    };
    this.tell(await this.handOver(give, take, (take.config as Partial<StreamConfig>).subjects ?? []));
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
        journal.failed.push(`consumer ${place.name} could not be made: ${error.description} (${error.err_code})`);
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
    const writer = new Writer(session, journal.stream, alone ? `${inlet(journal.id)}.` : "");
    const filling = new Filling({ session, journal, context }, writer, await this.cutOff());
    const now = info?.ts ? new Date(info.ts).getTime() : Date.now();
    // Where others write to the stream, too, none can be brought to a place in it: they begin before what is written.
    if (!alone) for (const place of journal.places) await this.subscribe(place, false);
    const isRead = (await consumersOf(session, journal.stream, undefined)).length > 0;
    const waiting = journal.places
      .filter(({ name }) => !journal.subscribed.includes(name))
      .sort((a, b) => a.floor - b.floor);

    const gone = new Set(journal.gone);
    for await (const message of savedMessages(context.folder)) {
      if (filling.skips()) continue;
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
    if (alone) await this.verifyFilled();
    journal.line = journal.saved;
    context.reach(journal, open ? "opened" : "restored");
    context.say(`wrote ${plural(journal.written, "message")} back`);
  }

  /** One message of the backup: it is written back, or left out. */
  private async writeBack(
    message: Message,
    filling: Filling,
    { now, isRead, alone }: { now: number; isRead: boolean; alone: boolean },
  ): Promise<void> {
    const { journal } = this;
    const reason = this.reasonAgainst(message, now, isRead);
    if (reason !== undefined) return filling.leaveOut(reason);
    if (!alone && journal.places.some(({ floor }) => message.sequence <= floor)) journal.doubled++;
    await filling.take(message);
  }

  /** Lines of the batch that an interruption cut off which the stream has already. */
  private async cutOff(): Promise<Set<number>> {
    const { session, journal, context } = this;
    const { batch = [], tail } = journal;
    if (batch.length === 0) return new Set();
    await untilStored(session, journal.stream);
    const info = await session.streamInfo(journal.stream, context.deadline());
    if (!info) return new Set();
    const messages: { line: number; message: Message }[] = [];
    let line = 0;
    const lines = new Set(batch);
    for await (const message of savedMessages(context.folder)) {
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
      ),
    );
    // What a worker has taken since cannot be looked at: it was among the first that were written.
    const taken = Math.max(0, last - tail - present.length);
    const open = messages.filter(({ message }) => missing.has(message)).slice(taken);
    const left = new Set(open.map((each) => each.line));
    return new Set(batch.filter((each) => !left.has(each)));
  }

  /** Why a message of the backup has no place in the new stream; undefined where it has. */
  private reasonAgainst(message: Message, now: number, isRead: boolean): Reason | undefined {
    const { target, places } = this.journal;
    const age = target.max_age ?? 0;
    if (age > 0 && now - message.time.getTime() > age / 1e6) return "expired";
    if (isForeign(message)) return "header";
    if (!subjectsCover(target.subjects ?? [], message.subject)) return "subject";
    const queue = String(target.retention) === "workqueue";
    const done = places.length > 0 && places.every(({ floor }) => message.sequence <= floor);
    return done && (queue || isRead) ? "acknowledged" : undefined;
  }

  /** Every message that was written back is in the new stream as it was, as far as no worker has taken it. */
  private async verifyFilled(): Promise<void> {
    const { session, journal, context } = this;
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
    for await (const message of savedMessages(context.folder)) {
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

  /** The new stream takes the subjects, once it has nearly all of what the holding stream took. */
  private async open({ holding }: Live): Promise<void> {
    const { session, journal, context } = this;
    for (const place of journal.places) await this.subscribe(place, false);
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
  async drain(prefix = ""): Promise<number> {
    const { session, journal, context } = this;
    const writer = new Writer(session, journal.stream, prefix);
    await untilStored(session, this.holding);
    const info = await session.streamInfo(this.holding, context.deadline());
    if (!info) return 0;
    const { first_seq: first, last_seq: last, messages } = info.state;
    if (messages === 0 || last <= journal.held) return 0;
    const ids = await this.knownIds();
    const age = journal.target.max_age ?? 0;
    const now = info.ts ? new Date(info.ts).getTime() : Date.now();
    let batch: Message[] = [];
    let moved = 0;
    let upTo = journal.held;
    const flush = async (): Promise<void> => {
      if (upTo === journal.held) return;
      context.step();
      await context.lock?.check();
      context.point("moving");
      const open = await this.resumeHeld(batch);
      journal.batch = open.map(({ sequence }) => sequence);
      journal.tail = (await session.streamInfo(journal.stream, context.deadline()))?.state.last_seq ?? 0;
      this.write();
      const results = await writer.write(open);
      for (const [index, { refused }] of results.entries()) {
        const message = open[index];
        if (refused === undefined || !message) continue;
        this.keep(message, "refused");
        context.say(`a message of ${this.holding} was refused: ${refused}`);
      }
      journal.held = upTo;
      delete journal.batch;
      this.write();
      await ask(session, `STREAM.PURGE.${this.holding}`, { seq: upTo + 1 });
      moved += batch.length;
      batch = [];
    };
    for await (const message of readMessages(session, this.holding, {
      from: Math.max(first, journal.held + 1),
      to: last,
    })) {
      const id = messageId(message);
      if (id !== "" && ids.has(id) && message.time.getTime() - (ids.get(id) ?? 0) < this.window()) journal.repeats++;
      else if (age > 0 && now - message.time.getTime() > age / 1e6) this.keep(message, "expired");
      else {
        const sent = { ...message, headers: lasting(message.headers) };
        if (!writer.joins(batch, sent)) await flush();
        batch.push(sent);
      }
      upTo = message.sequence;
      if (batch.length >= BATCH) await flush();
    }
    upTo = last;
    await flush();
    return moved;
  }

  private window(): number {
    return (this.journal.oldStream.duplicate_window ?? 0) / 1e6;
  }

  /** Identifiers that the old stream knew: a publish that was tried again meanwhile is a repeat of one of them. */
  private async knownIds(): Promise<Map<string, number>> {
    const ids = new Map<string, number>();
    for await (const message of savedMessages(this.context.folder)) {
      const id = messageId(message);
      if (id !== "") ids.set(id, message.time.getTime());
    }
    return ids;
  }

  /** What of a batch is not in the stream yet, where an interruption cut it off. */
  private async resumeHeld(batch: readonly Message[]): Promise<Message[]> {
    const { session, journal, context } = this;
    const cut = new Set(journal.batch ?? []);
    if (cut.size === 0) return [...batch];
    await untilStored(session, journal.stream);
    const info = await session.streamInfo(journal.stream, context.deadline());
    const present: Message[] = [];
    const last = info?.state.last_seq ?? 0;
    for await (const message of readMessages(session, journal.stream, { from: journal.tail + 1, to: last }))
      present.push(message);
    const doubtful = batch.filter(({ sequence }) => cut.has(sequence));
    const missing = new Set(unwritten(doubtful, present));
    const taken = Math.max(0, last - journal.tail - present.length);
    journal.doubled += Math.min(taken, missing.size);
    return batch.filter((message) => !cut.has(message.sequence) || missing.has(message));
  }

  /** Puts a message of the holding stream beside the backup. */
  private keep(message: Message, reason: Reason): void {
    const { journal, context } = this;
    const { sequence, subject, time, headers, data } = message;
    const line = { sequence, subject, time, headers: headers.toString("base64"), data: data.toString("base64") };
    fs.mkdirSync(context.folder, { recursive: true, mode: 0o700 });
    const handle = fs.openSync(path.join(context.folder, "held.jsonl"), "a", 0o600);
    try {
      writeWhole(handle, `${JSON.stringify(line)}\n`);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    journal.leftOut = { ...journal.leftOut, [reason]: (journal.leftOut[reason] ?? 0) + 1 };
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
    if (!holding) return true;
    const before = { ...stream.config, subjects: journal.oldStream.subjects };
    if (holds && !isFixed(stream)) await this.takeBack(holding, { stream: journal.stream, config: before });
    while ((await this.drain()) > 0);
    const left = await session.streamInfo(this.holding, context.deadline());
    if (left && left.state.messages > 0 && left.state.last_seq > journal.held) return false;
    await context.change(session, {
      subject: `STREAM.DELETE.${this.holding}`,
      body: {},
      what: `to remove stream ${this.holding}`,
    });
    return true;
  }
}

/** Whether the login may listen on every one of the subjects. */
export async function mayListen(
  session: Session,
  subjects: readonly string[],
  context: RepairContext,
): Promise<boolean> {
  const refusals = await Promise.all(subjects.map((subject) => session.listenRefusal(subject, context.deadline())));
  return refusals.every((refusal) => refusal === undefined);
}
