/** One command at a time works on an embedded cluster: two at once would take each other's processes, state and folders away. */
import * as fs from "node:fs";
import * as path from "node:path";
import { CommandError } from "../commands/shared/exit";
import { endProcesses, isAlive, markedProcesses, markOf, self, signal, type Recorded } from "./cluster/processes";

interface Holder extends Recorded {
  /** The script of package.json. */
  readonly command: string;
}

/** The command that works on the cluster in `dir`, or did when it was killed. */
const fileOf = (dir: string): string => path.join(dir, "at-work.json");

/**
 * Has this process be the only one that works on the cluster in `dir`, and ends what one that was killed has left running: engine,
 * plugins, helm, compilers. Whatever this process starts from now on ends no later than itself; the cluster's own processes are no part of that.
 *
 * @returns what gives the turn back, and removes the folder where nothing else is in it
 * @throws CommandError where another process is at work on it.
 */
export async function takeTurn(dir: string, command: string): Promise<() => void> {
  const file = fileOf(dir);
  while (!takes(file, { ...self(), command })) {
    const holder = holderIn(file);
    if (holder && isAlive(holder)) {
      throw new CommandError(
        `npm run ${holder.command} is at work on this cluster (process ${holder.pid}): run this again when it has ended; Ctrl-C there, or kill ${holder.pid}, ends it in order`,
      );
    }
    setAside(file);
  }
  await endProcesses(markedProcesses(dir));
  Object.assign(process.env, markOf(dir));
  process.once("exit", () => {
    for (const left of markedProcesses(dir)) signal(left, "SIGKILL");
  });
  return () => {
    fs.rmSync(file, { force: true });
    try {
      fs.rmdirSync(dir);
    } catch {
      // Something is in it, or somebody else has removed it.
    }
  };
}

/** Removes all that is in `dir`, except whose turn it is. */
export function emptyFolder(dir: string): void {
  for (const name of fs.readdirSync(dir)) {
    if (path.join(dir, name) !== fileOf(dir)) fs.rmSync(path.join(dir, name), { recursive: true, force: true });
  }
}

/** Whether the file is ours now; nobody ever sees it half written. */
function takes(file: string, holder: Holder): boolean {
  const whole = `${file}.${process.pid}`;
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    fs.writeFileSync(whole, JSON.stringify(holder), { mode: 0o600 });
    fs.linkSync(whole, file);
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

/** Takes the file of a process that has ended out of the way; gives it back where another one has taken its place meanwhile. */
function setAside(file: string): void {
  const aside = `${file}.${process.pid}.ended`;
  try {
    fs.renameSync(file, aside);
    const holder = holderIn(aside);
    if (holder && isAlive(holder)) fs.linkSync(aside, file);
  } catch {
    // Somebody else was faster: the next attempt sees who.
  } finally {
    fs.rmSync(aside, { force: true });
  }
}
