import * as crypto from "node:crypto";
import type { ConsumerInfo, StreamInfo } from "nats";
import { checkContract, observe } from "../../components/stream-contract/check";
import { openSession } from "../../components/stream-contract/connect";
import type { ContractInputs } from "../../components/stream-contract/inputs";
import type { Session } from "../../components/stream-contract/session";
import { many } from "../../config/wording";
import { consumersOf } from "../nats";
import { Course, type RepairOptions } from "./course";
import { closeJournal, lockFolder, readJournal, writeJournal, type Journal } from "./journal";
import { intentOf, isEmpty, planRepair, type RepairPlan } from "./plan";
import { Remake } from "./remake";
import { restartDeployment, rolledOut } from "./rollout";

export type { Point } from "./course";
export type { Intent } from "./plan";

/** Longest wait for a rollout and for the contract, in seconds. */
const ROLLOUT_SECONDS = 300;
const CONTRACT_SECONDS = 120;

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

/** What is done in which order. */
class Repair extends Course {
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
      this.say(`done: ${does}`);
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
    const steps = new Remake(this, session, journal);
    if (["begun", "saved", "frozen"].includes(journal.phase) && !(await steps.isOld())) {
      // It went, or was made anew, after the interruption: what is in the backup is what is left of it.
      this.reach(journal, "removed");
    }
    if (journal.phase === "begun") await steps.backUp();
    if (journal.phase === "saved") await steps.freeze();
    if (journal.phase === "frozen") await steps.remove();
    if (journal.phase === "removed") await steps.create();
    if (journal.phase === "created") await steps.writeBack(how);
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
    if (kept !== undefined) this.say(`The backup stays: ${kept}`);
    return outcome;
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
