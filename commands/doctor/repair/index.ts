import { checkContract, observe } from "../../../contract/check";
import { openSession } from "../../../contract/nats/connect";
import type { Deadline } from "../../../contract/deadline";
import { ensurePlan } from "../../../contract/ensure";
import { ConnectError } from "../../../contract/errors";
import type { Observed } from "../../../contract/rules";
import type { Session } from "../../../contract/nats/session";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { allConsumers, placesOf, streamToMake } from "./consumers";
import { AGAIN, RepairContext, type RepairOptions } from "./context";
import { givenUp, holdingStream, isWhole, noteOf } from "./holding";
import {
  closeJournal,
  hasHeld,
  heldIn,
  newJournal,
  readJournal,
  writeJournal,
  type Intent,
  type Journal,
  type Reason,
} from "./journal";
import { Lock, refuseWhereHeld } from "./lock";
import { intentOf, isEmpty, planRepair, withoutLoss, type Follower, type Inventory, type RepairPlan } from "./plan";
import { mayListen, RecreateSteps } from "./recreate";
import { LET_IT, refuseWithoutRights } from "./rights";
import { Renew } from "./renew";
import { restartDeployment, rolledOut } from "./rollout";

export type { Point, RepairOptions } from "./context";
export type { Intent } from "./journal";
export { holdingStream } from "./holding";

/** Longest wait for a rollout and for the contract, in seconds. */
const ROLLOUT_SECONDS = 300;
const CONTRACT_SECONDS = 120;

export type Outcome = "nothing-to-do" | "declined" | "repaired" | "still-broken";

/**
 * Makes the contract hold: what can be updated in place is; a stream that cannot is saved, replaced while another one takes
 * what is published, and filled again; a consumer that cannot is made new at its place. One repair at a time, by a lock in
 * NATS. Interrupted anywhere, it goes on when it is run again: it looks at what stands in NATS, and loses nothing.
 *
 * @throws ConnectError where NATS or the cluster could not be asked; CommandError `interrupted`, where another repair is at
 * work, where NATS or the disk refuses what it needs, or where a rollout does not come to its end. Its message says where
 * everything stands. After all of them it can be run again.
 */
export async function repair(options: RepairOptions): Promise<Outcome> {
  return new Repair(options).run();
}

/** A plan, and all that it was made from. */
interface Look {
  readonly plan: RepairPlan;
  readonly observed: Observed;
  readonly inventory: Inventory;
  readonly intent: Intent;
}

/** What is asked about again where it has changed since; how many messages there are changes all the time. */
const signature = ({ plan, intent }: Look): string =>
  JSON.stringify([plan.recreates, plan.renews, plan.changes.map(({ does }) => does), intent.leaves]);

/** What is said about messages that were not written back. */
const LEFT_OUT: Readonly<Record<Reason, string>> = {
  expired: "older than max_age",
  subject: "on subjects that the new stream does not store",
  header: "schedules or counters, not commands",
  refused: "refused by NATS",
  acknowledged: "acknowledged by the workers",
};

/** An error of NATS in the middle of a repair, wherever it was met, with how the repair goes on. */
function withWayOn(error: unknown): unknown {
  if (!(error instanceof ConnectError) || /[Rr]un (it|the same command) again/.test(error.message)) return error;
  if (error.problem === "missing-permission") {
    return new ConnectError(error.problem, `${error.message.replace(/\.$/, "")}. ${LET_IT}`);
  }
  return new ConnectError(error.problem, `${error.message.replace(/\.$/, "")}. ${AGAIN}.`);
}

/** The streams that take from a stream; none where the login may not see them. */
async function followersOf(session: Session, stream: string, deadline: Deadline): Promise<Follower[]> {
  try {
    const { items } = await session.streams(deadline);
    return items.flatMap(({ config: { name, mirror, sources = [] } }): Follower[] => {
      if (mirror?.name === stream) return [{ name, as: "mirror" }];
      return sources.some((source) => source.name === stream) ? [{ name, as: "source" }] : [];
    });
  } catch (error) {
    if (error instanceof ConnectError) return [];
    throw error;
  }
}

/** What is done in which order. */
class Repair extends RepairContext {
  async run(): Promise<Outcome> {
    const session = await this.open();
    try {
      await refuseWhereHeld(session, this.inputs.stream);
      const journal = readJournal(this.folder) ?? (await this.takeOver(session));
      return journal ? await this.resume(session, journal) : await this.begin(session);
    } catch (error) {
      throw withWayOn(error);
    } finally {
      await session.close();
    }
  }

  /** Before NATS is reached, only a repair that was begun has something to go on with. */
  private async open(): Promise<Session> {
    try {
      return await openSession(this.inputs, this.deadline());
    } catch (error) {
      throw readJournal(this.folder) ? withWayOn(error) : error;
    }
  }

  private async look(session: Session, observed?: Observed): Promise<Look> {
    const found = observed ?? (await observe({ session, inputs: this.inputs, deadline: this.deadline() })).observed;
    const inventory = await this.inventory(session, found);
    const plan = planRepair(this.inputs, found, inventory);
    const target = streamToMake(this.inputs, found.stream?.config ?? {});
    const intent = intentOf(plan, this.inputs, { folder: this.folder, target, inventory });
    return { plan, observed: found, inventory, intent };
  }

  /** What only the server knows of what would be replaced. */
  private async inventory(session: Session, { stream }: Observed): Promise<Inventory> {
    if (!stream) return { subjects: {}, consumers: [], listens: true };
    const name = this.inputs.stream;
    const manager = await session.connection.jetstreamManager({ checkAPI: false });
    const [{ state }, consumers, listens, followers] = await Promise.all([
      manager.streams.info(name, { subjects_filter: ">" }),
      allConsumers(session, name),
      mayListen(session, streamToMake(this.inputs, stream.config).subjects, this),
      followersOf(session, name, this.deadline()),
    ]);
    return { subjects: state.subjects ?? {}, consumers, listens, followers };
  }

  private async begin(session: Session): Promise<Outcome> {
    const asked = await this.look(session);
    this.refuseWhereBlocked(asked);
    if (isEmpty(asked.plan)) return "nothing-to-do";
    await refuseWithoutRights(session, asked.plan, this.inputs);
    if (!(await this.options.confirm(asked.intent))) return "declined";
    return this.locked(session, async () => {
      const now = await this.look(session);
      this.refuseWhereBlocked(now);
      if (isEmpty(now.plan)) return "nothing-to-do";
      if (signature(now) !== signature(asked)) {
        this.say("What stands in NATS has changed since the question:");
        if (!(await this.options.confirm(now.intent))) return "declined";
      }
      return this.carryOut(session, now);
    });
  }

  private refuseWhereBlocked({ plan }: Look): void {
    if (plan.blocked !== undefined)
      throw new CommandError(`Nothing can be repaired from here: ${plan.blocked}.`, "wrong");
  }

  /** Does `work` while no other repair of the stream can. */
  private async locked<T>(session: Session, work: () => Promise<T>): Promise<T> {
    const lock = await Lock.take(session, this.inputs.stream, this.inputs.expect.replicas);
    this.lock = lock;
    try {
      return await work();
    } finally {
      this.lock = undefined;
      await lock.release();
    }
  }

  private async carryOut(session: Session, look: Look): Promise<Outcome> {
    const { plan, observed } = look;
    if (plan.recreates === undefined || !observed.stream) return this.changeInPlace(session, plan);
    // A stream that is edited beside comes first: what its consumers need may be among it.
    if (plan.recreates === "consumer") await this.apply(session, plan);
    const journal = this.journalOf(look, plan.recreates);
    this.reach(journal, "begun");
    return this.goThrough(session, journal);
  }

  private journalOf(
    { plan, observed, inventory, intent }: Look,
    recreates: Journal["recreates"],
    id?: string,
  ): Journal {
    const { inputs } = this;
    return {
      ...newJournal({
        stack: this.options.stack,
        stream: inputs.stream,
        recreates,
        oldCreated: String(observed.stream?.created),
        oldStream: observed.stream?.config ?? {},
        target: streamToMake(inputs, observed.stream?.config ?? {}),
        promised: intent,
        changes: plan.changes.map(({ subject }) => subject),
        restarts: plan.restarts,
        places: placesOf(inputs, inventory.consumers),
        renews: plan.renews,
      }),
      ...(id === undefined ? {} : { id }),
    };
  }

  /** Nothing is removed, so that a journal is not needed: every step can simply be taken again. */
  private async changeInPlace(session: Session, plan: RepairPlan): Promise<Outcome> {
    try {
      await this.apply(session, plan);
    } catch (error) {
      // NoETL, when it starts, makes stream and consumer itself, and may have been faster.
      if (!(error instanceof ConnectError) || error.problem !== "refused-request") throw error;
      const now = await this.look(session);
      const wanted = new Set(plan.changes.map(({ subject }) => subject));
      const left = now.plan.changes.filter(({ subject }) => wanted.has(subject));
      if (now.plan.recreates !== undefined || left.length === plan.changes.length) throw error;
      await this.apply(session, { changes: left });
    }
    if (plan.restarts) await this.restart(new Date().toISOString());
    return this.verify();
  }

  private async apply(session: Session, { changes }: Pick<RepairPlan, "changes">): Promise<void> {
    for (const { does, subject, body } of changes) {
      this.step();
      await this.change(session, { subject, body, what: `to ${does}` });
      this.say(`done: ${does}`);
    }
  }

  /** A repair that another machine began, and that this one knows from the holding stream alone. */
  private async takeOver(session: Session): Promise<Journal | undefined> {
    const { inputs } = this;
    const note = noteOf(await session.streamInfo(holdingStream(inputs.stream), this.deadline()));
    if (!note) return undefined;
    const stream = await session.streamInfo(inputs.stream, this.deadline());
    const isOld = stream !== undefined && String(stream.created) === note.oldCreated;
    const oldStream = { ...(isOld ? stream.config : {}), ...givenUp(note) };
    const consumers = await allConsumers(session, inputs.stream);
    const steps = isOld
      ? [`take over the repair that ${note.host} began at ${note.begun}: the old stream is still there`]
      : [
          `take over the repair that ${note.host} began at ${note.begun}: what was published since is in ` +
            `${holdingStream(inputs.stream)}, what it had saved is in ${note.folder} on ${note.host}`,
        ];
    const losses = isOld
      ? []
      : [
          `what was saved on ${note.host} does not reach the workers from here: run the same command there afterwards, ` +
            `which writes ${note.folder} back`,
        ];
    return {
      ...newJournal({
        stack: this.options.stack,
        stream: inputs.stream,
        recreates: "stream",
        oldCreated: note.oldCreated,
        oldStream,
        target: streamToMake(inputs, oldStream),
        promised: { broken: [], steps, losses, leaves: [] },
        changes: [],
        restarts: true,
        places: placesOf(inputs, consumers),
        renews: [],
      }),
      id: note.id,
      begun: note.begun,
      phase: isOld ? "frozen" : "removed",
      whole: isOld,
    };
  }

  private async resume(session: Session, journal: Journal): Promise<Outcome> {
    const { begun, phase, saved, promised } = journal;
    const steps = [
      `the repair that began at ${begun} has come to: ${phase}; ${plural(saved, "message")} in the backup ${this.folder}`,
      ...promised.steps,
    ];
    if (!(await this.options.confirm({ ...promised, steps, since: begun }))) return "declined";
    return this.locked(session, () => this.goThrough(session, journal));
  }

  /** Takes the steps from where everything stands. */
  private async goThrough(session: Session, journal: Journal): Promise<Outcome> {
    if (journal.phase !== "restarted" || journal.recreates === "stream") {
      try {
        const instead = await this.replace(session, journal);
        if (instead !== undefined) return instead;
      } catch (error) {
        throw await this.stands(session, journal, error);
      }
    }
    return this.conclude(session, journal);
  }

  /** @returns an outcome where the repair came to its end otherwise than planned. */
  private async replace(session: Session, journal: Journal): Promise<Outcome | undefined> {
    if (journal.recreates === "consumer") {
      if (["begun", "removed", "created"].includes(journal.phase)) await new Renew(this, session, journal).run();
      return undefined;
    }
    const steps = new RecreateSteps(this, session, journal);
    const { kind, stream } = await steps.look();
    if (kind === "other" && stream && isWhole(stream, journal.id)) {
      this.say(`another machine has brought this repair to its end: nothing is written back from here`);
      Object.assign(journal, { newCreated: String(stream.created), line: journal.saved });
    }
    if (kind === "old" && stream) {
      const { observed } = await observe({ session, inputs: this.inputs, deadline: this.deadline() });
      const whole = { ...stream, config: { ...stream.config, ...givenUp(journal.oldStream) } };
      const { plan } = await this.look(session, { ...observed, stream: whole });
      if (plan.recreates !== "stream" && (await steps.giveBack())) {
        this.say(`stream ${journal.stream} need not be replaced any more: it has its subjects back`);
        return this.startOver(session, journal);
      }
    }
    if (journal.phase === "restarted" || (await steps.run()) === "done") return undefined;
    const now = await this.look(session);
    if (now.plan.recreates === "stream") {
      // Somebody made another stream that does not do either: what was saved of the first stays where it is.
      this.say(`stream ${journal.stream} was made by somebody else meanwhile, and has to be replaced too`);
      return this.startOver(session, journal, now);
    }
    this.say(`stream ${journal.stream} was made by somebody else meanwhile, and is in order: it stays`);
    await steps.adopt();
    return undefined;
  }

  /** Ends a repair that was overtaken, and plans from what stands now. */
  private async startOver(session: Session, journal: Journal, now?: Look): Promise<Outcome> {
    const keep = journal.saved > 0 && now !== undefined;
    const kept = closeJournal(this.folder, journal, keep);
    if (keep && kept !== undefined)
      this.say(`${plural(journal.saved, "message")} of the former stream stay in ${kept}`);
    if (kept !== undefined && hasHeld(kept)) this.say(heldIn(kept));
    const look = now ?? (await this.look(session));
    if (isEmpty(look.plan)) return this.verify();
    if (!(await this.options.confirm(look.intent))) return "declined";
    if (look.plan.recreates !== "stream") return this.carryOut(session, look);
    const next = this.journalOf(look, "stream", journal.id);
    this.reach(next, "begun");
    return this.goThrough(session, next);
  }

  /** The error with where everything stands after it. Where the old stream is still there, it gets its subjects back. */
  private async stands(session: Session, journal: Journal, error: unknown): Promise<Error> {
    const stands = await this.undo(session, journal).catch(() => undefined);
    const where = stands ?? this.whereabouts(journal);
    const end = (text: string): string => text.replace(/\.$/, "");
    const said = error instanceof Error ? error.message : String(error);
    const text = `${said.includes(AGAIN) ? said.replace(` ${AGAIN}.`, "") : `${end(said)}.`} ${where}.`;
    if (error instanceof ConnectError) return new ConnectError(error.problem, text);
    return new CommandError(text, error instanceof CommandError ? error.exit : "wrong");
  }

  /** Where the messages are after an interruption that could not be undone. */
  private whereabouts({ recreates, phase, stream, saved }: Journal): string {
    if (recreates === "consumer") return `Nothing is lost: the messages are in stream ${stream}. ${AGAIN}`;
    const holding = holdingStream(stream);
    // Which of the two takes what is published is not known: the answer to the change did not come.
    if (phase === "begun")
      return `Nothing was removed: stream ${stream} has what it had, and what is published meanwhile is there or in stream ${holding}. ${AGAIN}`;
    const backup = saved > 0 ? `, and ${plural(saved, "message")} in ${this.folder}` : "";
    return `What is published meanwhile is kept in stream ${holding}${backup}. ${AGAIN}`;
  }

  private async undo(session: Session, journal: Journal): Promise<string | undefined> {
    if (journal.recreates === "consumer") return undefined;
    // The signal that stopped the steps must not stop this.
    const context = new RepairContext({ ...this.options, signal: new AbortController().signal, at: () => undefined });
    context.lock = this.lock;
    const fresh = session.connection.isClosed() ? await openSession(this.inputs, this.deadline()) : undefined;
    if (fresh) context.lock = undefined;
    try {
      if (!(await new RecreateSteps(context, fresh ?? session, journal).giveBack())) return undefined;
    } finally {
      await fresh?.close();
    }
    const kept = closeJournal(this.folder, journal, false);
    return (
      `Stream ${journal.stream} is as it was: it has its subjects, and what was published meanwhile` +
      `${kept === undefined ? "" : `; ${heldIn(kept)}`}. Run the same command ` +
      "again once that is put right"
    );
  }

  /** What comes after stream and consumers: the other changes, the restart, and a look whether all holds. */
  private async conclude(session: Session, journal: Journal): Promise<Outcome> {
    if (journal.phase !== "restarted") {
      const { observed } = await observe({ session, inputs: this.inputs, deadline: this.deadline() });
      const changes = ensurePlan(this.inputs, observed).changes.flatMap((change) => withoutLoss(change, observed));
      await this.apply(session, { changes: changes.filter(({ subject }) => journal.changes.includes(subject)) });
    }
    if (journal.restarts) {
      journal.restartedAt ??= new Date().toISOString();
      writeJournal(this.folder, journal);
      this.point("restarting");
      await this.tellToRestart(journal.restartedAt);
      this.reach(journal, "restarted");
      await this.awaitRestart();
    }
    const outcome = await this.verify();
    this.account(journal, outcome);
    return outcome;
  }

  /** Says what became of every message that was not written back, and what may come twice. */
  private account(journal: Journal, outcome: Outcome): void {
    const left = Object.entries(journal.leftOut) as [Reason, number][];
    for (const [reason, count] of left) this.say(`${plural(count, "message")} not written back: ${LEFT_OUT[reason]}`);
    if (journal.stripped > 0) {
      const spent =
        "headers that asked the old stream for something (Nats-Expected-*, Nats-TTL, Nats-Rollup) or said where it had them from";
      this.say(`${plural(journal.stripped, "message")} written back without ${spent}`);
    }
    if (journal.repeats > 0) this.say(`${plural(journal.repeats, "publish")} dropped as repeats, by their Nats-Msg-Id`);
    if (journal.doubled > 0) this.say(`up to ${plural(journal.doubled, "message")} may be delivered twice`);
    for (const failure of journal.failed) this.say(failure);
    const kept = closeJournal(this.folder, journal, outcome !== "repaired" || left.length > 0 || journal.doubled > 0);
    if (kept !== undefined) this.say(`The backup stays: ${kept}`);
  }

  private async restart(at: string): Promise<void> {
    await this.tellToRestart(at);
    await this.awaitRestart();
  }

  /** The server first, since workers wait for it. */
  private async tellToRestart(at: string): Promise<void> {
    const { namespace, serverDeployment, workerDeployment } = this.inputs.noetl;
    for (const name of [serverDeployment, workerDeployment]) {
      await restartDeployment(this.options.cluster, { namespace, name }, at);
    }
  }

  private async awaitRestart(): Promise<void> {
    const { namespace, serverDeployment, workerDeployment } = this.inputs.noetl;
    for (const name of [serverDeployment, workerDeployment]) {
      this.step();
      await rolledOut(this.options.cluster, { namespace, name }, ROLLOUT_SECONDS);
      this.say(`restarted ${name}`);
    }
  }

  private async verify(): Promise<Outcome> {
    this.step();
    this.point("verifying");
    const { holds, report } = await checkContract({ ...this.inputs, timeoutSeconds: CONTRACT_SECONDS });
    if (!holds) this.say(report);
    return holds ? "repaired" : "still-broken";
  }
}
