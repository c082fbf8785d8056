/** Starts processes that outlive the caller, and waits until they are ready. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterFiles, type ClusterFiles } from "./places";
import { isAlive, markOf, readProcesses, recordProcess } from "./processes";

const READY_DEADLINE_MS = 120_000;
/** What a process gets of the caller's environment: enough to find programs and a home, and none of its secrets. */
const ENVIRONMENT = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR"].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
);

/** What starts the parts of one cluster. */
export class Launcher {
  private readonly at: ClusterFiles;

  /** @param signal has what is awaited given up, and nothing started any more */
  constructor(
    readonly dir: string,
    private readonly signal?: AbortSignal,
  ) {
    this.at = clusterFiles(dir);
  }

  /** Starts a process with a log of its own. @throws Error where it cannot be started. */
  launch(
    name: string,
    [program, ...args]: readonly [program: string, ...args: string[]],
    { env = {}, cwd }: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
  ): void {
    this.signal?.throwIfAborted();
    const out = fs.openSync(this.logOf(name), "a", 0o600);
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", out, out],
      cwd,
      env: { ...ENVIRONMENT, ...markOf(this.dir), ...env },
    });
    fs.closeSync(out);
    // Reported below, where there is no process id.
    child.on("error", () => undefined);
    if (child.pid === undefined) throw new Error(`cannot start ${name} (${program})`);
    child.unref();
    recordProcess(this.at.processes, name, child.pid);
  }

  /**
   * Waits until `check` holds; `name` is the process that it depends on.
   *
   * @throws Error with the end of its log where that takes longer than two minutes, or where the process ends before.
   */
  async ready(what: string, name: string, check: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + READY_DEADLINE_MS;
    while (Date.now() < deadline) {
      this.signal?.throwIfAborted();
      if (await check().catch(() => false)) return;
      const process = readProcesses(this.at.processes)[name];
      if (!process || !isAlive(process))
        throw new Error(`waiting for ${what}: its process ended; the end of its log:\n${this.logEnd(name)}`);
      await sleep(50);
    }
    throw new Error(
      `${what} was not ready after ${READY_DEADLINE_MS / 1000} s; the end of its log:\n${this.logEnd(name)}`,
    );
  }

  private logOf(name: string): string {
    return path.join(this.at.logs, `${name}.log`);
  }

  private logEnd(name: string): string {
    return lastWords(fs.readFileSync(this.logOf(name), "utf8"));
  }
}

/** The end of a log; of a program of Go's that panics what it panics about, which stands before pages of its calls. */
export function lastWords(log: string): string {
  const lines = log.trimEnd().split("\n");
  const panic = lines.findIndex((line) => /^(?:panic|fatal error): /.test(line));
  return (panic < 0 ? lines.slice(-15) : lines.slice(Math.max(0, panic - 3), panic + 1)).join("\n");
}
