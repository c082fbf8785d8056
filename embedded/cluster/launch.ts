/** Starts processes that outlive the caller, and waits until they are ready. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterFiles, type ClusterFiles } from "./places";
import { isAlive, markOf, readProcesses, recordProcess, type Recorded } from "./processes";

const READY_DEADLINE_MS = 120_000;
/** What a process gets of the caller's environment: enough to find programs and a home, and none of its secrets. */
const ENVIRONMENT = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR"].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
);

/** What starts the parts of one cluster. */
export class Launcher {
  private readonly at: ClusterFiles;

  constructor(private readonly dir: string) {
    this.at = clusterFiles(dir);
  }

  /** Starts a process with a log of its own. @throws Error where it cannot be started. */
  launch(name: string, binary: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    const out = fs.openSync(this.logOf(name), "a", 0o600);
    const child = spawn(binary, args, {
      detached: true,
      stdio: ["ignore", out, out],
      env: { ...ENVIRONMENT, ...markOf(this.dir), ...env },
    });
    fs.closeSync(out);
    // Reported below, where there is no process id.
    child.on("error", () => undefined);
    if (child.pid === undefined) throw new Error(`cannot start ${name} (${binary})`);
    child.unref();
    recordProcess(this.at.processes, name, child.pid);
  }

  /** Waits until `check` holds; `name` is the process that it depends on. @throws as {@link waitFor}. */
  ready(what: string, name: string, check: () => Promise<boolean>): Promise<void> {
    return waitFor(what, this.logOf(name), () => readProcesses(this.at.processes)[name], check);
  }

  private logOf(name: string): string {
    return path.join(this.at.logs, `${name}.log`);
  }
}

/** @throws Error with the end of the log where `check` does not hold within a minute, or where the process ends before. */
async function waitFor(
  what: string,
  logFile: string,
  recorded: () => Recorded | undefined,
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  const log = () => fs.readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  while (Date.now() < deadline) {
    if (await check().catch(() => false)) return;
    const process = recorded();
    if (!process || !isAlive(process))
      throw new Error(`waiting for ${what}: its process ended; the end of its log:\n${log()}`);
    await sleep(50);
  }
  throw new Error(`${what} was not ready after ${READY_DEADLINE_MS / 1000} s; the end of its log:\n${log()}`);
}
