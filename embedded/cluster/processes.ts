import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterFiles } from "./places";

/** A process that the cluster started. The start time tells it from a later process with the same id. */
export interface Recorded {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly started: string;
}

/** Processes by name, as recorded in `file`; none where the file is missing or was never finished. */
export function readProcesses(file: string): Record<string, Recorded> {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, Recorded>;
  } catch {
    return {};
  }
}

/** The process that runs behind the first pod of the cluster in `dir` whose name holds `name`. @throws Error where there is none. */
export function processOf(dir: string, name: string): number {
  const children = Object.entries(readProcesses(clusterFiles(dir).children));
  const [, found] = children.find(([child, recorded]) => child.includes(name) && isAlive(recorded)) ?? [];
  if (found === undefined) throw new Error(`no ${name} among ${children.map(([child]) => child).join(", ")}`);
  return found.pid;
}

/** Adds a process that runs to `file`, in the place of an earlier one of that name, and forgets those that have ended. */
export function recordProcess(file: string, name: string, pid: number): void {
  const kept = Object.entries(readProcesses(file)).filter(([, recorded]) => isAlive(recorded));
  const processes = { ...Object.fromEntries(kept), [name]: { pid, started: startTime(pid) ?? "" } };
  fs.writeFileSync(`${file}.new`, JSON.stringify(processes, null, 1), { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

/** True while this very process runs. */
export const isAlive = (recorded: Recorded): boolean => startTime(recorded.pid) === recorded.started;

/**
 * In the environment of each process of a cluster: its folder. A start that is cut off before it is recorded is found by it, and so is
 * what a command has started that works on a cluster, by the folder above (turn.ts).
 */
export const MARK = "NOETL_NATS_CLUSTER";

/** What the environment of a process of the cluster in `dir` has beside its own. */
export const markOf = (dir: string): Record<string, string> => ({ [MARK]: path.resolve(dir) });

/** The processes that run with the mark of the cluster in `dir`, except the one that asks. */
export function markedProcesses(dir: string): Recorded[] {
  const mark = `${MARK}=${path.resolve(dir)}`;
  return fs.readdirSync("/proc").flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || !environmentOf(pid).includes(mark)) return [];
    if (!means(pid, dir)) return [];
    const started = startTime(pid);
    return started === undefined ? [] : [{ pid, started }];
  });
}

/**
 * Whether a process means our folder by this path. In another mount namespace it may be another one, as in a container with a checkout of its
 * own; pods with a file system that cannot be written to run in one too, and mean ours.
 */
function means(pid: number, dir: string): boolean {
  try {
    if (fs.readlinkSync(`/proc/${pid}/ns/mnt`) === fs.readlinkSync("/proc/self/ns/mnt")) return true;
    const [ours, theirs] = [fs.statSync(dir), fs.statSync(path.join(`/proc/${pid}/root`, path.resolve(dir)))];
    return ours.dev === theirs.dev && ours.ino === theirs.ino;
  } catch {
    return false;
  }
}

/** Empty where the process has ended, or is another user's. */
function environmentOf(pid: number): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The process that asks. */
export const self = (): Recorded => ({ pid: process.pid, started: startTime(process.pid) ?? "" });

/** Sends a signal to this very process; nothing happens where it has ended. */
export function signal(recorded: Recorded, name: NodeJS.Signals): void {
  if (!isAlive(recorded)) return;
  try {
    process.kill(recorded.pid, name);
  } catch {
    // It has ended in the meantime.
  }
}

/**
 * Ends processes: each has 10 s to end by itself before it is killed.
 *
 * @throws Error where one outlives being killed by 5 s.
 */
export async function endProcesses(processes: readonly Recorded[]): Promise<void> {
  for (const [name, deadlineMs] of [
    ["SIGTERM", 10_000],
    ["SIGKILL", 5000],
  ] as const) {
    for (const recorded of processes) signal(recorded, name);
    const deadline = Date.now() + deadlineMs;
    while (processes.some(isAlive) && Date.now() < deadline) await sleep(25);
  }
  const left = processes.filter(isAlive).map(({ pid }) => pid);
  if (left.length > 0) throw new Error(`processes ${left.join(", ")} of the embedded cluster do not end`);
}

/** The 22nd field of a process's stat; undefined where there is none. */
function startTime(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended; its parent only has not asked yet.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
