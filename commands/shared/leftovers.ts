/** What a command leaves neither behind nor running, however it ends: folders of its own, and programs that it has started. */
import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { endGroup } from "./process-group";

const folders = new Set<string>();
const children = new Set<ChildProcess>();
const ending = new AbortController();

/** A new folder whose path begins so. */
export function temporaryFolder(prefix: string): string {
  const folder = fs.mkdtempSync(prefix);
  folders.add(folder);
  return folder;
}

/** Has a folder go no later than this process: a lock that it holds, say. */
export const goesWithUs = (folder: string): void => void folders.add(folder);

export function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Has a program end no later than this process, with all that it has started itself: it leads a group of its own (`detached`). */
export function endsWithUs<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once("close", () => children.delete(child));
  if (ending.signal.aborted) endGroup(child, "SIGTERM");
  return child;
}

/** Asks all that has been started to end, and whatever is started from now on: who waits for it puts away what is half-done. */
export function endStarted(): void {
  ending.abort(new Error("interrupted"));
  for (const child of children) endGroup(child, "SIGTERM");
}

/** Aborted by {@link endStarted}, for those who wait for something else than a program. */
export const whileWeGoOn: AbortSignal = ending.signal;

export interface OutputOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until it is ended. */
  readonly timeout: number;
  /** Most characters of either stream. */
  readonly maxBuffer: number;
}

/** Why there is no output; `code` is ENOENT where there is no such program. */
export interface OutputError extends Error {
  readonly code?: string | number | null;
  readonly stderr: string;
  /** True where it did not end in time. */
  readonly killed: boolean;
}

/** Time to end in order for what has not ended in time: git then removes its locks. */
const GRACE_MS = 5_000;

/**
 * What a program wrote to its standard output.
 *
 * @throws OutputError where it fails.
 */
export async function outputOf(program: string, args: readonly string[], options: OutputOptions): Promise<string> {
  const { cwd, env, timeout, maxBuffer } = options;
  const child = endsWithUs(spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true }));
  const said = { stdout: "", stderr: "" };
  let why: "time" | "size" | undefined;
  let killing: NodeJS.Timeout | undefined;
  const end = (reason: "time" | "size"): void => {
    if (why !== undefined) return;
    why = reason;
    endGroup(child, "SIGTERM");
    killing = setTimeout(() => endGroup(child, "SIGKILL"), GRACE_MS);
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      if (said[name].length + text.length > maxBuffer) end("size");
      else said[name] += text;
    });
  }
  const deadline = setTimeout(() => end("time"), timeout);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", (error) => reject(Object.assign(error, { stderr: "", killed: false })));
      child.once("close", resolve);
    });
    if (code === 0 && why === undefined) return said.stdout;
    const words =
      why === "size"
        ? `${program} says more than ${maxBuffer} characters`
        : `Command failed: ${[program, ...args].join(" ")}\n${said.stderr}`;
    throw Object.assign(new Error(words), { code, stderr: said.stderr, killed: why === "time" });
  } finally {
    clearTimeout(deadline);
    clearTimeout(killing);
  }
}

// An interrupt ends this process in the middle of all that it waits for.
process.once("exit", () => {
  for (const child of children) endGroup(child, "SIGKILL");
  for (const folder of folders) {
    try {
      // What was killed just now may be writing its last.
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // The system removes it in time.
    }
  }
});
