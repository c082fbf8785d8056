/** Where a process runs that wrote down who it is: one of another container or machine that shares the folder cannot be seen from here. */
import * as fs from "node:fs";
import * as os from "node:os";
import { CommandError } from "../../commands/shared/exit";
import { clusterFiles } from "./places";

export interface Whereabouts {
  /** Which start of the machine it is. */
  readonly boot: string;
  /** The namespace of process ids. */
  readonly pids: string;
  readonly host: string;
}

/** Where this process runs. */
export const here = (): Whereabouts => ({
  boot: whatever(() => fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
  pids: whatever(() => fs.readlinkSync("/proc/self/ns/pid")),
  host: os.hostname(),
});

/**
 * Whether processes that were written down there can be seen from here: `yes`; `no`, they may be at work all the same; or they are
 * `gone`, since this machine has been restarted.
 */
export function seenFrom({ boot, pids, host }: Whereabouts, to = here()): "yes" | "no" | "gone" {
  if (boot === to.boot) return pids === to.pids ? "yes" : "no";
  return host === to.host ? "gone" : "no";
}

/** Writes down where the cluster in `dir` runs. */
export const recordWhereabouts = (dir: string): void =>
  fs.writeFileSync(clusterFiles(dir).whereabouts, JSON.stringify(here()), { mode: 0o600 });

/**
 * Refuses to touch a cluster in `dir` whose processes cannot be seen: it would be taken for ended, and thrown away while it runs.
 *
 * @throws CommandError with the file to remove where it has ended.
 */
export function refuseOutOfSight(dir: string): void {
  const file = clusterFiles(dir).whereabouts;
  let written: Whereabouts;
  try {
    written = JSON.parse(fs.readFileSync(file, "utf8")) as Whereabouts;
  } catch {
    // There is none, or one that was cut off: its start has not come further.
    return;
  }
  if (seenFrom(written) === "no") throw new CommandError(outOfSight("the cluster in this folder runs", written, file));
}

/** @param what what goes on there: `npm run up:embedded is at work on this cluster` */
export const outOfSight = (what: string, { host }: Whereabouts, file: string): string =>
  `${what} in another container or on another machine (host ${host}), whose processes cannot be seen from here: run this there; where nothing of it is left, remove ${file} and run this again`;

function whatever(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
