/** One command at a time works on an embedded cluster: two at once would take each other's processes, state and folders away. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandError } from "../commands/shared/exit";
import { endProcesses, isAlive, MARK, markedProcesses, markOf, self, signal, type Recorded } from "./cluster/processes";
import { here, outOfSight, refuseOutOfSight, seenFrom, type Whereabouts } from "./cluster/whereabouts";

interface Holder extends Recorded, Whereabouts {
  /** The script of package.json. */
  readonly command: string;
}

/** The command that works on the cluster in `dir`, or did when it was killed. */
const fileOf = (dir: string): string => path.join(dir, "at-work.json");

/** How old a file may be that is still being written, where there are no hard links. */
const WRITTEN_AFTER_MS = 2_000;

/**
 * Has this process be the only one that works on the cluster in `dir`, and ends what one that was killed has left running: engine,
 * plugins, helm, compilers. Whatever this process starts from now on ends no later than its turn; the cluster's own processes are not part of that.
 *
 * @returns what gives the turn back, and removes the folder where nothing else is in it
 * @throws CommandError where another process is at work on it, or something of the one before does not end.
 */
export async function takeTurn(dir: string, command: string): Promise<() => void> {
  const file = fileOf(dir);
  const holder: Holder = { ...self(), ...here(), command };
  while (!takes(file, holder)) {
    const other = holderIn(file);
    if (other && !hasEnded(other, file)) {
      throw new CommandError(
        `npm run ${other.command} is at work on this cluster (process ${other.pid}): run this again when it has ended; Ctrl-C there, or kill ${other.pid}, ends it in order`,
      );
    }
    if (!clears(file, holder)) await sleep(25);
  }
  const endOurs = (): void => {
    for (const left of markedProcesses(dir)) signal(left, "SIGKILL");
  };
  const giveBack = (): void => {
    // What we have left running ends while the turn is ours: whoever has it next starts processes with the same mark.
    process.removeListener("exit", endOurs);
    endOurs();
    Reflect.deleteProperty(process.env, MARK);
    fs.rmSync(file, { force: true });
    removeEmpty(dir);
  };
  try {
    refuseOutOfSight(path.join(dir, "cluster"));
    await endProcesses(markedProcesses(dir));
  } catch (error) {
    fs.rmSync(file, { force: true });
    removeEmpty(dir);
    throw error instanceof CommandError ? error : new CommandError((error as Error).message);
  }
  Object.assign(process.env, markOf(dir));
  process.once("exit", endOurs);
  return giveBack;
}

/** Removes all that is in `dir`, except whose turn it is. */
export function emptyFolder(dir: string): void {
  for (const name of fs.readdirSync(dir)) {
    if (path.join(dir, name) !== fileOf(dir)) fs.rmSync(path.join(dir, name), { recursive: true, force: true });
  }
}

function removeEmpty(dir: string): void {
  try {
    fs.rmdirSync(dir);
  } catch {
    // Something is in it, or somebody else has removed it.
  }
}

/** @throws CommandError where that cannot be seen from here. */
function hasEnded(holder: Holder, file: string): boolean {
  // One of a build that did not write down where it was.
  const seen = "boot" in holder ? seenFrom(holder) : "yes";
  if (seen === "no") {
    throw new CommandError(outOfSight(`npm run ${holder.command} is at work on this cluster`, holder, file));
  }
  return seen === "gone" || !isAlive(holder);
}

/** Whether the file is ours now; nobody sees it half written where the file system has hard links. */
function takes(file: string, holder: Holder): boolean {
  const whole = `${file}.${crypto.randomUUID()}`;
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    fs.writeFileSync(whole, JSON.stringify(holder), { mode: 0o600 });
    try {
      fs.linkSync(whole, file);
    } catch (error) {
      if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].includes((error as NodeJS.ErrnoException).code ?? ""))
        throw error;
      fs.writeFileSync(file, JSON.stringify(holder), { mode: 0o600, flag: "wx" });
    }
    return true;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Who held it may have removed the folder just now.
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw new CommandError(`the folder of the embedded cluster cannot be written: ${message}`);
  } finally {
    fs.rmSync(whole, { force: true });
  }
}

function holderIn(file: string): Holder | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

/**
 * Removes the file of a process that has ended, unless another one has it by now. Whoever does that holds a second file, named after the
 * process that has ended: of all who have seen the same, one removes, and looks again before. That file is held, and cleared, as the first one is.
 *
 * @returns whether the file may be free now
 */
function clears(file: string, by: Holder): boolean {
  const seen = holderIn(file);
  if (seen ? !hasEnded(seen, file) : !wasCutOff(file)) return false;
  const cleaning = `${file}.${seen ? `${seen.pid}-${seen.started}` : "cut"}`;
  if (!takes(cleaning, by)) return clears(cleaning, by);
  try {
    const now = holderIn(file);
    const same = now?.pid === seen?.pid && now?.started === seen?.started;
    if (same && (now !== undefined || wasCutOff(file))) fs.rmSync(file, { force: true });
    return same;
  } finally {
    fs.rmSync(cleaning, { force: true });
  }
}

/** Whether what cannot be read will never be: whoever was writing it has had time to. */
function wasCutOff(file: string): boolean {
  try {
    return Date.now() - fs.statSync(file).mtimeMs > WRITTEN_AFTER_MS;
  } catch {
    return false;
  }
}
