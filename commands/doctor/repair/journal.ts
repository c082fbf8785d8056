/** What a repair remembers on this machine: its journal, beside the backup of the messages. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { ConsumerConfig, StreamConfig } from "nats";
import { FROZEN_SUBJECT } from "../../../contract/rules/rule";
import { CommandError } from "../../shared/exit";

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

/** How far a repair has come. Each word says what is done; whoever goes on looks at the live state first. */
export type Phase =
  | "begun" // nothing has been changed
  | "frozen" // the holding stream takes what is published; the old stream gets nothing any more
  | "saved" // everything that the old stream held is in the backup
  | "removed" // the old stream is gone
  | "created" // the new one is there, and takes nothing but what the repair writes
  | "restored" // every message of the backup that can be is written back
  | "opened" // the new stream takes what is published
  | "drained" // what the holding stream took is in the new one, and the holding stream is gone
  | "restarted"; // server and workers have been asked to restart

export { FROZEN_SUBJECT };

/** Version of the files; another one is refused. */
const FORMAT = 2;

/** A consumer as the old stream had it, and how it is made on the new one. */
export interface Place {
  readonly name: string;
  readonly config: Partial<ConsumerConfig>;
  /** Highest sequence up to which it had acknowledged everything; 0 where it had no place. */
  floor: number;
}

/** How far a consumer has come that is made new on a stream that stays. */
export interface Renewal {
  /** `created` of the one that is to go; empty where there was none. */
  readonly old: string;
  /** Last sequence before the new one's first, where this repair made it. */
  start?: number;
  /** Sequence up to which what it missed is published again. */
  done: number;
}

/** Why a message of the backup is not written back. */
export type Reason = "expired" | "subject" | "header" | "refused" | "acknowledged";

/** What a repair must remember to go on after an interruption. Byte counts and sequences are whole numbers. */
export interface Journal {
  readonly format: typeof FORMAT;
  readonly id: string;
  readonly stack: string;
  readonly stream: string;
  readonly begun: string;
  /** What is made new. */
  readonly recreates: "stream" | "consumer";
  /** `created` of what is to go: never is one removed that was made since. */
  readonly oldCreated: string;
  /** Configuration of the stream as it was: for whoever wants it back, and for a repair that is given up. */
  readonly oldStream: Partial<StreamConfig>;
  /** The stream to make, as the plan promised it. */
  readonly target: Partial<StreamConfig> & Pick<StreamConfig, "name">;
  /** What the user agreed to. */
  readonly promised: Intent;
  /** Subjects after `$JS.API.` of the changes that were promised beside. */
  readonly changes: readonly string[];
  readonly restarts: boolean;
  phase: Phase;
  /** Consumers to make, as they were found last. */
  places: Place[];
  /** Names of the consumers that this repair makes new, where it makes nothing else new. */
  readonly renews: readonly string[];

  /** Whether this repair has, or had, all that the old stream held: false where another machine saved it. */
  readonly whole: boolean;
  /** Messages in the backup, its size in bytes, its SHA-256, and the last sequence of the stream that was saved. */
  saved: number;
  bytes: number;
  digest: string;
  lastSequence: number;
  /** Sequences of the backup that were acknowledged away after they had been saved. */
  gone: number[];

  /** `created` of the new stream. */
  newCreated?: string;
  /** Consumers of the new stream that stand at their place. */
  subscribed: string[];
  /** Lines of the backup that are dealt with, and how many of them were written back. */
  line: number;
  written: number;
  leftOut: Partial<Record<Reason, number>>;
  /** Messages that lost a header which asked the old stream for something. */
  stripped: number;
  /** Highest sequence of the holding stream that is in the new one; messages of it that were repeats and dropped. */
  held: number;
  /** `created` of the holding stream that this is about: one that was made since begins at its first message. */
  heldOf?: string;
  repeats: number;
  /** Last sequence of the new stream that is accounted for. */
  tail: number;
  /** What was being written when it was interrupted: lines of the backup, or sequences of the holding stream. */
  batch?: readonly number[];
  /** Messages that may be delivered twice. */
  doubled: number;
  /** Consumers that could not be made, and why. */
  failed: string[];
  /** How far each consumer has come that is made new on a stream that stays. */
  renewals?: Record<string, Renewal>;
  /** When server and workers were asked to restart, as their annotation has it. */
  restartedAt?: string;
}

/** A journal at its beginning. */
export function newJournal(
  facts: Pick<
    Journal,
    | "stack"
    | "stream"
    | "recreates"
    | "oldCreated"
    | "oldStream"
    | "target"
    | "promised"
    | "changes"
    | "restarts"
    | "places"
    | "renews"
  >,
): Journal {
  return {
    format: FORMAT,
    id: crypto.randomBytes(6).toString("hex"),
    begun: new Date().toISOString(),
    ...facts,
    phase: "begun",
    whole: true,
    saved: 0,
    bytes: 0,
    digest: "",
    lastSequence: 0,
    gone: [],
    subscribed: [],
    line: 0,
    written: 0,
    leftOut: {},
    stripped: 0,
    held: 0,
    repeats: 0,
    tail: 0,
    doubled: 0,
    failed: [],
  };
}

/** A journal's facts, each of its kind. */
const EMPTY: Parameters<typeof newJournal>[0] = {
  stack: "",
  stream: "",
  recreates: "stream",
  oldCreated: "",
  oldStream: {},
  target: { name: "" },
  promised: { broken: [], steps: [], losses: [], leaves: [] },
  changes: [],
  restarts: true,
  places: [],
  renews: [],
};

/** Folder of a stack's repair: `$XDG_STATE_HOME`, else `~/.local/state`, then `noetl-nats/repair/STACK-HASH`. */
export function repairFolder(stack: string, cluster: string, stream: string): string {
  const state = process.env.XDG_STATE_HOME || path.join(os.homedir(), ".local", "state");
  // Two clusters may each have a stack of the same name, on two backends.
  const hash = crypto.createHash("sha256").update(`${cluster}\0${stream}`).digest("hex").slice(0, 8);
  return path.join(state, "noetl-nats", "repair", `${stack}-${hash}`);
}

const file = (folder: string): string => path.join(folder, "journal.json");
export const backupFile = (folder: string): string => path.join(folder, "messages.jsonl");
/** Messages of the holding stream that have no place in the new one. */
export const heldFile = (folder: string): string => path.join(folder, "held.jsonl");

/** How one goes on without what this machine remembers of a repair. */
export const setAside = (folder: string): string =>
  `put the file back as it was, or set the folder aside (mv '${folder}' '${folder}.aside') and run the same command ` +
  "again: it then goes on without it, and loses nothing of what NATS still holds";

/**
 * The journal of a repair that has not come to its end; undefined where there is none.
 *
 * @throws CommandError where the file cannot be used.
 */
export function readJournal(folder: string): Journal | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file(folder), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CommandError(
      `${file(folder)} cannot be read (${(error as Error).message}). Put right who may read it, or ${setAside(folder)}`,
      "wrong",
    );
  }
  let found: Partial<Journal> | undefined;
  try {
    found = JSON.parse(text) as Partial<Journal>;
  } catch {
    found = undefined;
  }
  const whole = found && { ...ADDED, ...found };
  if (!isJournal(whole)) {
    throw new CommandError(`${file(folder)} is not a journal that this version wrote: ${setAside(folder)}`, "wrong");
  }
  return whole;
}

/** What the first journals of this format did not have yet. */
const ADDED = { whole: true, subscribed: [] };

/** Whether all is there that a journal has from its beginning on, each part of its kind. */
function isJournal(found: Partial<Journal> | undefined): found is Journal {
  const kind = (value: unknown): string => (Array.isArray(value) ? "list" : value === null ? "null" : typeof value);
  const parts = Object.entries(newJournal(EMPTY));
  return (
    found?.format === FORMAT &&
    parts.every(([name, value]) => kind((found as Record<string, unknown>)[name]) === kind(value))
  );
}

/** Writes all of `text`; a disk that takes a part of it is reported.  @throws Error */
export function writeWhole(handle: number, text: string): number {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    const count = fs.writeSync(handle, bytes, done, bytes.length - done);
    if (count <= 0) throw new Error("the disk took only a part of what was written");
    done += count;
  }
  return bytes.length;
}

/** How one goes on where the disk takes no journal and no backup. */
export const MAKE_ROOM =
  "Make room there, or let this user write there; before a repair has begun XDG_STATE_HOME sets another place. Then run the same " +
  "command again";

/**
 * Writes the journal whole or not at all, and on the disk before this returns.
 *
 * @throws CommandError where the disk does not take it.
 */
export function writeJournal(folder: string, journal: Journal): void {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { handle, unfinished } = openNew(file(folder));
    try {
      writeWhole(handle, `${JSON.stringify(journal, undefined, 2)}\n`);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(unfinished, file(folder));
  } catch (error) {
    throw new CommandError(
      `the journal ${file(folder)} could not be written: ${(error as Error).message}. ${MAKE_ROOM}`,
      "wrong",
    );
  }
}

/** A file that takes the place of `final` once it is whole: never what somebody has put, or linked, at its name. */
export function openNew(final: string): { readonly handle: number; readonly unfinished: string } {
  const unfinished = `${final}.new`;
  fs.rmSync(unfinished, { force: true });
  return { handle: fs.openSync(unfinished, "wx", 0o600), unfinished };
}

export const hasHeld = (folder: string): boolean => fs.existsSync(heldFile(folder));

/** What the file of messages without a place is said to hold. */
export const heldIn = (folder: string): string =>
  `what was published meanwhile and NATS refused for good, or is older than max_age, is in ${heldFile(folder)}`;

/**
 * Ends a repair: its folder goes, or is put aside under the name that is returned where `keep` says so, or where it has the only
 * copy of a message that was acknowledged to its publisher.
 */
export function closeJournal(folder: string, journal: Journal, keep: boolean): string | undefined {
  if (!keep && !hasHeld(folder)) {
    // The folder may be a link to another place, which only its own files are removed from.
    for (const each of [file(folder), backupFile(folder), heldFile(folder)]) {
      for (const name of [each, `${each}.new`]) fs.rmSync(name, { force: true });
    }
    fs.rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  const stem = `${folder}-${journal.begun.replace(/[:.]/g, "")}`;
  let kept = stem;
  for (let count = 2; fs.existsSync(kept); count++) kept = `${stem}-${count}`;
  fs.renameSync(folder, kept);
  return kept;
}
