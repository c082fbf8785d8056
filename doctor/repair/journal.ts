import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { ConsumerConfig, StreamConfig } from "nats";
import { CommandError } from "../exit";

/**
 * How far a repair has come. Each word says what is done; what comes after it may be half-done, and is looked at again
 * when the repair goes on.
 */
export type Phase =
  | "begun" // the backup may be half-written; nothing has been changed
  | "saved" // everything that the stream held is in the backup
  | "frozen" // the stream takes no more messages, and the backup is complete
  | "removed" // the old stream (or consumer) is gone
  | "created" // the new one is there
  | "restored" // every message that can be is written back
  | "restarted"; // server and workers have been told to restart

/** Subject that a stream listens to while it is backed up for the last time: nobody publishes there. */
export const FROZEN_SUBJECT = "noetl-nats.repair";

/** What a repair must remember to go on after an interruption. */
export interface Journal {
  readonly id: string;
  readonly stack: string;
  readonly stream: string;
  readonly consumer: string;
  readonly begun: string;
  /** What is made anew. */
  readonly recreates: "stream" | "consumer";
  /** `created` of the stream, or of the consumer, that is to go: never is one removed that was made since. */
  readonly oldCreated: string;
  /** Configurations as they were, for whoever wants them back. */
  readonly oldStream: Partial<StreamConfig>;
  readonly oldConsumer?: Partial<ConsumerConfig>;
  /**
   * Highest stream sequence up to which the workers' consumer had acknowledged everything; messages above it are
   * delivered again. 0 where there was no consumer.
   */
  readonly acknowledged: number;
  phase: Phase;
  /** Messages in the backup, its size in bytes as far as it is whole, and the last sequence that was read. */
  saved: number;
  bytes: number;
  lastSequence: number;
  /** Lines of the backup that are dealt with: written back, or left out on purpose. */
  restored: number;
  /** Messages that were left out: the new stream does not store their subject. They stay in the backup. */
  leftOut: number;
  /** Last sequence before the new consumer's first, where this repair made it: what is older does not reach the workers. */
  consumerStart?: number;
  /** When server and workers were told to restart, as their annotation has it. */
  restartedAt?: string;
}

/** Folder of a stack's repair: `$XDG_STATE_HOME`, else `~/.local/state`, then `noetl-nats/repair/STACK-HASH`. */
export function repairFolder(stack: string, cluster: string, stream: string): string {
  const state = process.env.XDG_STATE_HOME || path.join(os.homedir(), ".local", "state");
  // Two clusters may each have a stack of the same name, on two backends.
  const hash = crypto.createHash("sha256").update(`${cluster}\0${stream}`).digest("hex").slice(0, 8);
  return path.join(state, "noetl-nats", "repair", `${stack}-${hash}`);
}

const file = (folder: string): string => path.join(folder, "journal.json");
export const backupFile = (folder: string): string => path.join(folder, "messages.jsonl");

/** The journal of a repair that has not come to its end; undefined where there is none. */
export function readJournal(folder: string): Journal | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file(folder), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return JSON.parse(text) as Journal;
}

/** Writes the journal whole or not at all, and on the disk before this returns. */
export function writeJournal(folder: string, journal: Journal): void {
  const unfinished = `${file(folder)}.new`;
  const handle = fs.openSync(unfinished, "w", 0o600);
  try {
    fs.writeSync(handle, `${JSON.stringify(journal, undefined, 2)}\n`);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
  fs.renameSync(unfinished, file(folder));
}

/** Ends a repair: its folder goes, or is put aside under the name that is returned where `keep` says so. */
export function closeJournal(folder: string, journal: Journal, keep: boolean): string | undefined {
  if (!keep) {
    fs.rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  const kept = `${folder}-${journal.begun.replace(/[:.]/g, "")}`;
  fs.renameSync(folder, kept);
  return kept;
}

/**
 * Keeps a second repair of the same stack away while this process lives.
 *
 * @throws CommandError where another process holds it.
 */
export function lockFolder(folder: string): () => void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = path.join(folder, "lock");
  for (let tries = 0; ; tries++) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: "wx", mode: 0o600 });
      return () => {
        fs.rmSync(lock, { force: true });
        // Nothing is left of a repair that was declined, or that came to its end.
        if (fs.existsSync(folder) && fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = Number(fs.readFileSync(lock, "utf8"));
    if (isAlive(holder) || tries > 3) {
      throw new CommandError(`another repair of this stack is at work (process ${holder}); ${lock}`, "wrong");
    }
    // Its process was killed.
    fs.rmSync(lock, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
