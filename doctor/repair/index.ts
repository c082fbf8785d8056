import * as crypto from "node:crypto";
import type { ConsumerInfo, StoredMsg, StreamInfo } from "nats";
import { checkContract, observe } from "../../components/stream-contract/check";
import { openSession } from "../../components/stream-contract/connect";
import type { Session } from "../../components/stream-contract/session";
import { Deadline } from "../../components/stream-contract/deadline";
import { consumerConfig, streamConfig } from "../../components/stream-contract/desired";
import { ConnectError } from "../../components/stream-contract/errors";
import type { ContractInputs } from "../../components/stream-contract/inputs";
import { subjectsCover } from "../../components/stream-contract/subjects";
import { many } from "../../config/wording";
import { CommandError } from "../exit";
import type { Cluster } from "../kubernetes";
import { consumersOf } from "../nats";
import {
  closeJournal,
  FROZEN_SUBJECT,
  lockFolder,
  readJournal,
  writeJournal,
  type Journal,
  type Phase,
} from "./journal";
import { again, publishMessages, savedMessages, saveMessages, scan, type SavedMessage } from "./messages";
import { isEmpty, lossesOf, planRepair, stepsOf, type RepairPlan } from "./plan";
import { restartDeployment, rolledOut } from "./rollout";

/** Longest wait for one change in NATS, for a rollout and for the contract, in seconds. */
const CHANGE_SECONDS = 15;
const ROLLOUT_SECONDS = 300;
const CONTRACT_SECONDS = 120;
/** Messages that are written back at once. */
const BATCH = 64;
/** How long a server may take from the time that it gives a new consumer until it looks where that starts. */
const START_MILLISECONDS = 1_000;

/** Points that a repair passes; `-ing` before an effect, the past after it is in the journal. */
export type Point =
  Phase | "freezing" | "removing" | "creating" | "subscribing" | "writing" | "restarting" | "verifying";

export interface RepairOptions {
  readonly stack: string;
  readonly inputs: ContractInputs;
  readonly cluster: Cluster;
  /** Folder of journal and backup, see `repairFolder`. */
  readonly folder: string;
  /** Shows one line of progress. */
  readonly say: (line: string) => void;
  /** Shows what is going to be done, and asks. */
  readonly confirm: (intent: Intent) => Promise<boolean>;
  /** Called at every point. Default: nothing. */
  readonly at?: (point: Point) => void;
  readonly signal?: AbortSignal;
}

/** What the user is asked about. */
export interface Intent {
  readonly broken: readonly string[];
  readonly steps: readonly string[];
  readonly losses: readonly string[];
  /** Violations that stay. */
  readonly leaves: readonly string[];
  /** Since when it has been interrupted, where it goes on. */
  readonly since?: string;
}

export type Outcome = "nothing-to-do" | "declined" | "repaired" | "still-broken";

/**
 * Makes the contract hold: what can be updated in place is; a stream or consumer that cannot is backed up, removed, made
 * anew, and its messages are written back. A journal beside the backup tells every step, so that a repair that was
 * interrupted anywhere goes on when it is run again, and loses nothing.
 *
 * @throws ConnectError where NATS or the cluster could not be asked; CommandError `interrupted`, or where a rollout does
 * not come to its end. After both it can be run again.
 */
export async function repair(options: RepairOptions): Promise<Outcome> {
  const release = lockFolder(options.folder);
  try {
    return await new Repair(options).run();
  } finally {
    release();
  }
}

class Repair {
  private readonly inputs: ContractInputs;
  private readonly folder: string;

  constructor(private readonly options: RepairOptions) {
    this.inputs = options.inputs;
    this.folder = options.folder;
  }

  async run(): Promise<Outcome> {
    const session = await openSession(this.inputs, this.deadline());
    try {
      const journal = readJournal(this.folder);
      if (journal) return await this.goOn(session, journal);
      const { observed } = await observe(session, this.inputs, this.deadline());
      const plan = planRepair(this.inputs, observed, await holdings(session, this.inputs, observed));
      if (isEmpty(plan)) return "nothing-to-do";
      if (!(await this.options.confirm(intentOf(plan, this.inputs, this.folder)))) return "declined";
      return plan.recreates === undefined || !observed.stream
        ? await this.changeInPlace(session, plan)
        : await this.remake(session, plan, this.begin(plan.recreates, observed.stream, observed.consumer), "start");
    } finally {
      await session.close();
    }
  }

  /** Nothing is removed, so that a journal is not needed: every step can simply be taken again. */
  private async changeInPlace(session: Session, plan: RepairPlan): Promise<Outcome> {
    await this.apply(session, plan);
    if (plan.restarts) await this.restart(new Date().toISOString());
    return this.verify();
  }

  private async apply(session: Session, { changes }: Pick<RepairPlan, "changes">): Promise<void> {
    for (const { does, subject, body } of changes) {
      this.step();
      await session.change(subject, body, `to ${does}`, this.deadline());
      this.options.say(`done: ${does}`);
    }
  }

  private begin(recreates: "stream" | "consumer", stream: StreamInfo, consumer: ConsumerInfo | undefined): Journal {
    const journal: Journal = {
      id: crypto.randomBytes(6).toString("hex"),
      stack: this.options.stack,
      stream: this.inputs.stream,
      consumer: this.inputs.consumer,
      begun: new Date().toISOString(),
      recreates,
      oldCreated: String(recreates === "stream" ? stream.created : consumer?.created),
      oldStream: stream.config,
      ...(consumer ? { oldConsumer: consumer.config } : {}),
      acknowledged: consumer?.ack_floor.stream_seq ?? 0,
      phase: "begun",
      saved: 0,
      bytes: 0,
      lastSequence: 0,
      restored: 0,
      leftOut: 0,
    };
    this.reach(journal, "begun");
    return journal;
  }

  private async goOn(session: Session, journal: Journal): Promise<Outcome> {
    const { begun, phase, saved, restored, recreates } = journal;
    const steps = [
      `the repair that began at ${begun} has come to: ${phase}; ${many(saved, "message")} in the backup, ` +
        `${restored} of them dealt with`,
      `go on from there: ${recreates} made anew, messages written back, restart, wait until the contract holds`,
    ];
    if (!(await this.options.confirm({ broken: [], steps, losses: [], leaves: [], since: begun }))) return "declined";
    return this.remake(session, undefined, journal, "resume");
  }

  /** Takes the steps from where the journal stands. */
  private async remake(
    session: Session,
    plan: RepairPlan | undefined,
    journal: Journal,
    how: "start" | "resume",
  ): Promise<Outcome> {
    if (["begun", "saved", "frozen"].includes(journal.phase) && !(await this.isOld(session, journal))) {
      // It went, or was made anew, after the interruption: what is in the backup is what is left of it.
      this.reach(journal, "removed");
    }
    if (journal.phase === "begun") await this.backUp(session, journal);
    if (journal.phase === "saved") await this.freeze(session, journal);
    if (journal.phase === "frozen") await this.remove(session, journal);
    if (journal.phase === "removed") await this.create(session, journal);
    if (journal.phase === "created") await this.writeBack(session, journal, how);
    if (plan) await this.apply(session, plan);
    if (journal.phase === "restored") {
      journal.restartedAt ??= new Date().toISOString();
      writeJournal(this.folder, journal);
      this.point("restarting");
      await this.tellToRestart(journal.restartedAt);
      this.reach(journal, "restarted");
    }
    await this.awaitRestart();
    const outcome = await this.verify();
    const kept = closeJournal(this.folder, journal, outcome !== "repaired" || journal.leftOut > 0);
    if (kept !== undefined) this.options.say(`The backup stays: ${kept}`);
    return outcome;
  }

  /** Whether what is to go is still there, and not one that was made since. */
  private async isOld(session: Session, { recreates, oldCreated, stream, consumer }: Journal): Promise<boolean> {
    const info =
      recreates === "stream"
        ? await session.streamInfo(stream, this.deadline())
        : await session.consumerInfo(stream, consumer, this.deadline());
    return info !== undefined && String(info.created) === oldCreated;
  }

  private async backUp(session: Session, journal: Journal): Promise<void> {
    this.step();
    // A consumer that is made anew leaves the stream's messages where they are: only the open ones are needed.
    const from = journal.recreates === "stream" ? 1 : journal.acknowledged + 1;
    Object.assign(journal, await saveMessages(session, journal.stream, from, this.folder, 0));
    this.reach(journal, "saved");
    this.options.say(`backed up ${many(journal.saved, "message")} to ${this.folder}`);
  }

  /** No message may be stored after the last look at the stream and before its end. */
  private async freeze(session: Session, journal: Journal): Promise<void> {
    this.step();
    this.point("freezing");
    const info = journal.recreates === "stream" ? await session.streamInfo(journal.stream, this.deadline()) : undefined;
    if (info && !info.config.sealed && !info.config.mirror) {
      await session.change(
        `STREAM.UPDATE.${journal.stream}`,
        { ...info.config, subjects: [`${FROZEN_SUBJECT}.${journal.id}`] },
        "to stop taking messages",
        this.deadline(),
      );
    }
    const { stream, bytes, lastSequence } = journal;
    const more = await saveMessages(session, stream, lastSequence + 1, this.folder, bytes);
    Object.assign(journal, { ...more, saved: journal.saved + more.saved });
    this.reach(journal, "frozen");
    if (more.saved > 0) this.options.say(`backed up ${many(more.saved, "message")} that came in meanwhile`);
  }

  private async remove(session: Session, journal: Journal): Promise<void> {
    this.step();
    this.point("removing");
    const { recreates, stream, consumer } = journal;
    if (await this.isOld(session, journal)) {
      const subject = recreates === "stream" ? `STREAM.DELETE.${stream}` : `CONSUMER.DELETE.${stream}.${consumer}`;
      await session.change(
        subject,
        {},
        `to remove ${recreates} ${recreates === "stream" ? stream : consumer}`,
        this.deadline(),
      );
    }
    this.reach(journal, "removed");
    this.options.say(`removed ${recreates} ${recreates === "stream" ? stream : consumer}`);
  }

  private async create(session: Session, journal: Journal): Promise<void> {
    this.point("creating");
    if (journal.recreates === "stream") {
      const { stream } = journal;
      await this.createUnlessThere(
        () =>
          session.change(
            `STREAM.CREATE.${stream}`,
            streamConfig(this.inputs),
            `to create stream ${stream}`,
            this.deadline(),
          ),
        () => session.streamInfo(stream, this.deadline()),
      );
      this.options.say(`created stream ${stream}`);
    } else {
      await this.subscribe(session, journal);
    }
    this.reach(journal, "created");
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
  private async subscribe(session: Session, journal: Journal): Promise<void> {
    const { stream, consumer, id, recreates, lastSequence } = journal;
    this.point("subscribing");
    await this.createUnlessThere(
      async () => {
        const manager = await session.connection.jetstreamManager({ checkAPI: false });
        const { ack_floor: floor } = await manager.consumers.add(stream, consumerConfig(this.inputs));
        journal.consumerStart = floor.stream_seq;
        writeJournal(this.folder, journal);
      },
      () => session.consumerInfo(stream, consumer, this.deadline()),
    );
    const info = await session.consumerInfo(stream, consumer, this.deadline());
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
    if (missed.length > 0) this.options.say(`published ${many(missed.length, "message")} again that came in meanwhile`);
  }

  /**
   * Writes the backup back in its order. What the workers had acknowledged comes before their consumer is made, and so is
   * not delivered again; the rest comes after it, and is.
   */
  private async writeBack(session: Session, journal: Journal, how: "start" | "resume"): Promise<void> {
    const { stream, consumer, id, acknowledged } = journal;
    const present = how === "resume" ? (await scan(session, stream, 1, id)).marks : new Set<number>();
    const info = await session.streamInfo(stream, this.deadline());
    const subjects = info?.config.subjects ?? [];
    let subscribed = (await session.consumerInfo(stream, consumer, this.deadline())) !== undefined;
    const fits = ({ subject, sequence }: SavedMessage): boolean =>
      subjectsCover(subjects, subject) && !(subscribed && sequence <= acknowledged);

    let batch: SavedMessage[] = [];
    let line = 0;
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const open = batch.filter(({ sequence }) => !present.has(sequence));
      const wanted = open.filter(fits);
      this.step();
      this.point("writing");
      await publishMessages(session, stream, id, wanted);
      journal.restored = line;
      journal.leftOut += open.length - wanted.length;
      writeJournal(this.folder, journal);
      batch = [];
    };
    for await (const message of savedMessages(this.folder)) {
      if (line++ < journal.restored) continue;
      if (!subscribed && message.sequence > acknowledged) {
        line--;
        await flush();
        line++;
        await this.subscribe(session, journal);
        subscribed = true;
      }
      batch.push(message);
      if (batch.length >= BATCH) await flush();
    }
    await flush();
    await this.subscribe(session, journal);
    this.reach(journal, "restored");
    this.options.say(
      `wrote ${many(journal.restored - journal.leftOut, "message")} back` +
        (journal.leftOut > 0 ? `, left out ${journal.leftOut}` : ""),
    );
  }

  private async restart(at: string): Promise<void> {
    await this.tellToRestart(at);
    await this.awaitRestart();
  }

  /** The server first, since workers wait for it. */
  private async tellToRestart(at: string): Promise<void> {
    const { namespace, serverDeployment, workerDeployment } = this.inputs.noetl;
    for (const name of [serverDeployment, workerDeployment]) {
      await restartDeployment(this.options.cluster, namespace, name, at);
    }
  }

  private async awaitRestart(): Promise<void> {
    const { namespace, serverDeployment, workerDeployment } = this.inputs.noetl;
    for (const name of [serverDeployment, workerDeployment]) {
      this.step();
      await rolledOut(this.options.cluster, namespace, name, ROLLOUT_SECONDS);
      this.options.say(`restarted ${name}`);
    }
  }

  private async verify(): Promise<Outcome> {
    this.step();
    this.point("verifying");
    const { holds, report } = await checkContract({ ...this.inputs, timeoutSeconds: CONTRACT_SECONDS });
    if (!holds) this.options.say(report);
    return holds ? "repaired" : "still-broken";
  }

  private deadline(): Deadline {
    return new Deadline(CHANGE_SECONDS * 1000);
  }

  private reach(journal: Journal, phase: Phase): void {
    journal.phase = phase;
    writeJournal(this.folder, journal);
    this.point(phase);
  }

  private point(point: Point): void {
    this.options.at?.(point);
  }

  /** Between two steps is the place to stop. */
  private step(): void {
    if (this.options.signal?.aborted) {
      throw new CommandError("Interrupted. Run the same command again: it goes on from here.", "interrupted");
    }
  }
}

/** What only the server knows of what would be removed. */
async function holdings(
  session: Session,
  { stream }: ContractInputs,
  observed: { stream?: StreamInfo; consumer?: ConsumerInfo },
) {
  if (!observed.stream) return { subjects: {}, consumers: [] };
  const manager = await session.connection.jetstreamManager({ checkAPI: false });
  const [{ state }, consumers] = await Promise.all([
    manager.streams.info(stream, { subjects_filter: ">" }),
    consumersOf(session, stream, observed.consumer),
  ]);
  return { subjects: state.subjects ?? {}, consumers };
}

function intentOf(plan: RepairPlan, inputs: ContractInputs, folder: string): Intent {
  const describe = ({ id, bucket, found, expected }: RepairPlan["mends"][number]): string =>
    `${bucket === undefined ? id : `${id} of ${bucket}`}: found ${found}, expected ${expected}`;
  return {
    broken: plan.mends.map(describe),
    steps: stepsOf(plan, inputs, folder),
    losses: lossesOf(plan, inputs),
    leaves: plan.leaves.map(describe),
  };
}
