/** One repair at a time, whoever starts it and wherever: the lock stands in NATS itself. */
import * as fs from "node:fs";
import * as os from "node:os";
import { headers as newHeaders } from "nats";
import { Deadline, inSeconds } from "../../../contract/deadline";
import { ConnectError } from "../../../contract/errors";
import { lockStream } from "../../../contract/rules/rule";
import type { Session } from "../../../contract/nats/session";
import { CommandError } from "../../shared/exit";
import { quoted } from "../text";
import { ask, getMessage, WRONG_LAST_SEQUENCE, type Answered } from "./messages";

export { lockStream };

/** What helps where NATS refuses one of a repair's own streams. */
export const ROOM =
  "A repair needs three streams of its own for a moment: where the account has a limit, raise it, or remove what nobody needs " +
  "(nats stream report), and run the same command again.";

/** How long a hold lasts without being renewed, in seconds: the stream's `max_age`, so that one clock alone counts. */
export const LEASE_SECONDS = 20;
/** How often it is renewed, in milliseconds. */
const RENEWAL_MILLISECONDS = 4_000;
/** A hold that was not renewed for so long is renewed before anything is changed. */
const FRESH_MILLISECONDS = 8_000;
const ANSWER_MILLISECONDS = 5_000;
/** How often the lock is tried for where others come and go. */
const MOST_TRIES = 20;
const NANOSECONDS = 1e9;

export const lockSubject = (stream: string): string => `noetl-nats.repair-lock.${stream}`;

/** Who holds a lock, as its message has it. */
interface Holder {
  readonly who: string;
  readonly host: string;
  readonly process: number;
  /** Tells a machine from another of the same name, and a process from a later one of the same number. */
  readonly machine: string;
  readonly started: string;
  readonly since: string;
  readonly token: string;
}

/** A holder's place in the lock of a stream: the sequence of its message. */
interface Hold {
  readonly stream: string;
  readonly holder: Holder;
  readonly sequence: number;
}

/** Holds of this very process; a record of it that is not among them was left behind. */
const mine = new Set<string>();

const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

/** The running system's id, and the process namespace: a number means a process within those only. */
function machineId(): string {
  let namespace = "";
  try {
    namespace = fs.readlinkSync("/proc/self/ns/pid");
  } catch {
    // Not Linux.
  }
  return `${read("/proc/sys/kernel/random/boot_id").trim()} ${namespace}`.trim();
}

/** When a process of this machine started, as the system counts; empty where there is no such process. */
const startOf = (pid: number): string => read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ")[19] ?? "";

/** Whether the holder's process is known to have ended; false where that cannot be known from here. */
function hasEnded({ machine, process: pid, started, token }: Holder): boolean {
  if (machine === "" || machine !== machineId()) return false;
  return pid === process.pid ? !mine.has(token) : startOf(pid) !== started;
}

/** The message that stands for the hold; undefined where nobody holds it. */
async function holderOf(session: Session, stream: string): Promise<{ holder: Holder; sequence: number } | undefined> {
  const found = await getMessage(session, lockStream(stream), { last_by_subj: lockSubject(stream) });
  if (!found) return undefined;
  const holder = holderIn(found.data.toString());
  if (holder === undefined) throw foreign(stream, "holds a message that no repair wrote");
  return { holder, sequence: found.sequence };
}

function holderIn(text: string): Holder | undefined {
  try {
    const found = JSON.parse(text) as Partial<Holder> | null;
    const texts = [found?.who, found?.host, found?.machine, found?.started, found?.since, found?.token];
    return texts.every((each) => typeof each === "string") ? (found as Holder) : undefined;
  } catch {
    return undefined;
  }
}

/** The lock's stream is there and is not one that a repair made. */
const foreign = (stream: string, why: string): CommandError =>
  new CommandError(
    `stream ${lockStream(stream)}, which the repair needs as a lock, ${why}. Look what is in it, and remove it (nats stream rm ` +
      `${quoted(lockStream(stream))}); then run the same command again. Nothing was changed`,
    "wrong",
  );

function heldBy({ who, host, process: pid, since }: Holder, stream: string): CommandError {
  return new CommandError(
    `another repair of stream ${stream} is at work: ${who} on ${host} (process ${pid}), since ${since}. ` +
      `Wait until it ends; where that process is gone, its hold ends by itself within ${LEASE_SECONDS} s, and the same ` +
      "command goes on from where it stopped",
    "wrong",
  );
}

/** Refuses where a living repair is at work. Changes nothing.  @throws CommandError */
export async function refuseWhereHeld(session: Session, stream: string): Promise<void> {
  const held = await holderOf(session, stream);
  if (held && !hasEnded(held.holder)) throw heldBy(held.holder, stream);
}

export class Lock {
  private renewed = Date.now();
  private lost = false;
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | undefined;

  private constructor(
    private readonly session: Session,
    private hold: Hold,
  ) {
    mine.add(hold.holder.token);
    this.timer = setInterval(() => void this.renew().catch(() => undefined), RENEWAL_MILLISECONDS);
    this.timer.unref();
  }

  /**
   * Takes the hold: the server stores the message only where no other stands there. One that was left behind by a process
   * of this machine that has ended is taken over; any other ends by its age.
   *
   * @throws CommandError where somebody holds it.
   */
  static async take(session: Session, stream: string, replicas: number): Promise<Lock> {
    const holder: Holder = {
      who: os.userInfo().username,
      host: os.hostname(),
      process: process.pid,
      machine: machineId(),
      started: startOf(process.pid),
      since: new Date().toISOString(),
      token: `${process.pid}-${Math.random().toString(36).slice(2)}`,
    };
    for (let tries = 0; ; tries++) {
      await createLockStream(session, stream, replicas);
      const held = await holderOf(session, stream);
      if (held && (!hasEnded(held.holder) || tries > 3)) throw heldBy(held.holder, stream);
      const answer = await put(session, { stream, holder, sequence: held?.sequence ?? 0 });
      if (answer.seq) return new Lock(session, { stream, holder, sequence: answer.seq });
      if (answer.error && answer.error.err_code !== WRONG_LAST_SEQUENCE) {
        throw foreign(stream, `does not take it: ${session.server} says ${answer.error.description}`);
      }
      // Whoever was faster has given it back already; else nothing stores it there.
      if (tries > MOST_TRIES) throw foreign(stream, "does not take it");
    }
  }

  /** Makes sure that the hold still is ours.  @throws CommandError */
  async check(): Promise<void> {
    if (this.renewing) await this.renewing;
    if (!this.lost && Date.now() - this.renewed > FRESH_MILLISECONDS) await this.renew();
    if (this.lost) {
      throw new CommandError(
        `this repair lost its hold on stream ${this.hold.stream}: it was not heard of for more than ${LEASE_SECONDS} s, or ` +
          "NATS lost the lock. Nothing more is changed from here; run the same command again to go on",
        "wrong",
      );
    }
  }

  private renew(): Promise<void> {
    this.renewing ??= (async () => {
      try {
        const { seq } = await put(this.session, this.hold);
        if (!seq) {
          this.lost = true;
          return;
        }
        this.hold = { ...this.hold, sequence: seq };
        this.renewed = Date.now();
      } finally {
        this.renewing = undefined;
      }
    })();
    return this.renewing;
  }

  /** Gives the hold back. A failure leaves it to its age. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    mine.delete(this.hold.holder.token);
    try {
      if (this.renewing) await this.renewing;
      if (this.lost) return;
      const { seq } = await put(this.session, this.hold);
      if (seq) await ask(this.session, `STREAM.DELETE.${lockStream(this.hold.stream)}`, {});
    } catch {
      // The connection is gone; so is what it could tell.
    }
  }
}

/** Stores the hold where the last message is the one of `sequence`, 0 for none. */
async function put(session: Session, { stream, holder, sequence }: Hold): Promise<Answered & { seq?: number }> {
  const headers = newHeaders();
  headers.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  const options = { headers, timeout: ANSWER_MILLISECONDS };
  const reply = await session.connection
    .request(lockSubject(stream), JSON.stringify(holder), options)
    .catch((error) => {
      if ((error as { code?: string }).code !== "503") throw closedBy(session, error as Error);
      return undefined;
    });
  const answer = reply?.json<Answered & { seq?: number; stream?: string }>() ?? {};
  if (answer.error) return { error: answer.error };
  return answer.stream === lockStream(stream) ? answer : {};
}

const closedBy = (session: Session, error: Error): ConnectError =>
  new ConnectError("closed", `${session.server} did not answer for the lock of the repair (${error.message})`);

async function createLockStream(session: Session, stream: string, replicas: number): Promise<void> {
  const deadline = new Deadline(ANSWER_MILLISECONDS);
  if (await session.streamInfo(lockStream(stream), deadline)) return;
  const config = {
    name: lockStream(stream),
    description: `who repairs stream ${stream}; goes with the repair, or ${inSeconds(LEASE_SECONDS * 1000)} after it`,
    subjects: [lockSubject(stream)],
    retention: "limits",
    max_age: LEASE_SECONDS * NANOSECONDS,
    max_msgs_per_subject: 1,
    duplicate_window: NANOSECONDS,
    num_replicas: replicas,
  };
  // Where the server has no files for it, memory does.
  let last: Answered = {};
  for (const storage of ["file", "memory"]) {
    last = await ask(session, `STREAM.CREATE.${config.name}`, { ...config, storage });
    if (!last.error || (await session.streamInfo(config.name, deadline))) return;
  }
  throw new CommandError(
    `the repair needs a stream ${config.name} for a moment, as a lock, and NATS refuses it: ` +
      `${last.error?.description} (${last.error?.err_code}). ${ROOM} Nothing was changed`,
    "wrong",
  );
}
