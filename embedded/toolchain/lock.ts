import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { goesWithUs, removeFolder, whileWeGoOn } from "../../commands/shared/leftovers";
import type { Tool } from "./tools";

/**
 * Takes a lock folder, waiting for at most 30 minutes while the process that holds it lives. Of `NAME.lock` it removes what was left of
 * `NAME` by a process that was killed: `NAME.PID.building` and the like.
 *
 * @param tool what the lock is for, for messages
 * @returns a function that gives the lock back
 */
export async function lock(folder: string, tool: Pick<Tool, "name">, log: (line: string) => void): Promise<() => void> {
  const holder = path.join(folder, "pid");
  const deadline = Date.now() + 30 * 60_000;
  for (let isAnnounced = false; ;) {
    try {
      fs.mkdirSync(folder);
      goesWithUs(folder);
      fs.writeFileSync(holder, String(process.pid));
      removeUnfinished(folder.replace(/\.lock$/, ""));
      return () => removeFolder(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (!isAlive(holder)) {
      fs.rmSync(folder, { recursive: true, force: true });
      continue;
    }
    if (Date.now() > deadline) throw new Error(`waited 30 min for another build of ${tool.name} (lock ${folder})`);
    if (!isAnnounced) log(`${tool.name}: another process is building it; waiting`);
    isAnnounced = true;
    await sleep(1000, undefined, { signal: whileWeGoOn });
  }
}

function removeUnfinished(target: string): void {
  const [place, name] = [path.dirname(target), path.basename(target)];
  for (const each of fs.readdirSync(place)) {
    const pid = each.startsWith(name) ? /^\.(\d+)\.[a-z]+$/.exec(each.slice(name.length))?.[1] : undefined;
    if (pid === undefined || runs(Number(pid))) continue;
    try {
      fs.rmSync(path.join(place, each), { recursive: true, force: true });
    } catch {
      // Its compiler may go on for a moment: the next one that takes the lock removes it.
    }
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function isAlive(pidFile: string): boolean {
  try {
    return runs(Number(fs.readFileSync(pidFile, "utf8")));
  } catch {
    // The holder makes the folder first and writes its id a moment later.
    return fs.existsSync(path.dirname(pidFile)) && ageMs(path.dirname(pidFile)) < 5000;
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - fs.statSync(file).mtimeMs;
  } catch {
    return Infinity;
  }
}
