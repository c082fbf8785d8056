/** What every part of a repair has at hand: what it is asked to do, its journal's folder, and where it may be stopped. */
import { Deadline } from "../../../contract/deadline";
import type { ContractInputs } from "../../../contract/inputs";
import type { Session } from "../../../contract/nats/session";
import { CommandError } from "../../shared/exit";
import type { Cluster } from "../kubernetes";
import { writeJournal, type Intent, type Journal, type Phase } from "./journal";
import type { Lock } from "./lock";

/** Longest wait for one change in NATS, in seconds. */
const CHANGE_SECONDS = 15;

/** Points that a repair passes; `-ing` before an effect, the past after it is in the journal. */
export type Point =
  | Phase
  | "freezing"
  | "removing"
  | "creating"
  | "subscribing"
  | "writing"
  | "moving"
  | "opening"
  | "draining"
  | "restarting"
  | "verifying";

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

/** The way out after every interruption. */
export const AGAIN = "Run the same command again: it goes on from here";

/** A request to the JetStream API: `subject` follows `$JS.API.`, `what` follows "refused". */
export interface Request {
  readonly subject: string;
  readonly body: object;
  readonly what: string;
}

/** What a step of a repair works with. */
export interface At {
  readonly context: RepairContext;
  readonly session: Session;
  readonly journal: Journal;
}

export class RepairContext {
  readonly inputs: ContractInputs;
  readonly folder: string;
  lock: Lock | undefined;

  constructor(readonly options: RepairOptions) {
    this.inputs = options.inputs;
    this.folder = options.folder;
  }

  say(line: string): void {
    this.options.say(line);
  }

  deadline(): Deadline {
    return new Deadline(CHANGE_SECONDS * 1000);
  }

  /** Asks NATS to change something, as long as nobody else has taken over.  @throws ConnectError, CommandError */
  async change(session: Session, { subject, body, what }: Request): Promise<void> {
    await this.lock?.check();
    await session.change({ subject, body, what }, this.deadline());
  }

  /** Writes into the journal how far it has come. */
  reach(journal: Journal, phase: Phase): void {
    journal.phase = phase;
    writeJournal(this.folder, journal);
    this.point(phase);
  }

  point(point: Point): void {
    this.options.at?.(point);
  }

  /** Between two steps is the place to stop. */
  step(): void {
    if (this.options.signal?.aborted) throw new CommandError(`Interrupted. ${AGAIN}.`, "interrupted");
  }
}
