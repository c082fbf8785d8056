import * as fs from "node:fs";
import * as path from "node:path";
import type { Tool } from "./tools";

/**
 * Takes a lock folder, waiting for at most 30 minutes while the process that holds it lives.
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
      fs.writeFileSync(holder, String(process.pid));
      return () => fs.rmSync(folder, { recursive: true, force: true });
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
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function isAlive(pidFile: string): boolean {
  try {
    process.kill(Number(fs.readFileSync(pidFile, "utf8")), 0);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // The holder makes the folder first and writes its id a moment later.
    if (code === "ENOENT") return fs.existsSync(path.dirname(pidFile)) && ageMs(path.dirname(pidFile)) < 5000;
    return code === "EPERM";
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - fs.statSync(file).mtimeMs;
  } catch {
    return Infinity;
  }
}
