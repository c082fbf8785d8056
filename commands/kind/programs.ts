/** Runs programs: each has a deadline, and what it says is kept or shown line by line. */
import { spawn } from "node:child_process";
import * as readline from "node:readline";
import type { Readable } from "node:stream";
import { endGroup } from "../shared/process-group";

export interface Call {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Seconds until the program is asked to end. */
  readonly deadlineSeconds: number;
  /** Aborted by the user: the program is asked to end. */
  readonly signal?: AbortSignal;
  /** Takes each line that the program writes; without it nothing is shown. */
  readonly show?: (line: string) => void;
}

/** How a program ended. `why` continues a sentence that begins with what was run: `docker build ended with exit code 1`. */
export type Ended =
  | { readonly ok: true; readonly stdout: string }
  | { readonly ok: false; readonly why: string; readonly said: string; readonly interrupted?: true };

/** Seconds that a program gets to end in order after it was asked to. Pulumi then puts its state in order. */
const GRACE_SECONDS = 30;

/** Runs a program to its end. It reads nothing; its process group outlives the deadline by no more than the time to end in order. */
export async function run(call: Call): Promise<Ended> {
  const { command, args, cwd, env, deadlineSeconds, signal, show } = call;
  if (signal?.aborted) return { ok: false, why: "was not started", said: "", interrupted: true };
  const child = spawn(command, args, {
    cwd,
    env: env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let why: string | undefined;
  let killing: NodeJS.Timeout | undefined;
  const end = (reason: string): void => {
    if (why !== undefined) return;
    why = reason;
    child.kill("SIGINT");
    killing = setTimeout(() => endGroup(child, "SIGKILL"), GRACE_SECONDS * 1000);
  };
  const deadline = setTimeout(() => end(`did not end within ${deadlineSeconds} s`), deadlineSeconds * 1000);
  const interrupt = (): void => end("was interrupted");
  signal?.addEventListener("abort", interrupt, { once: true });
  const [stdout, stderr] = [textOf(child.stdout, show), textOf(child.stderr, show)];
  try {
    const { code, failure } = await new Promise<{ code: number | null; failure?: string }>((resolve) => {
      child.once("error", (error) => resolve({ code: null, failure: error.message }));
      child.once("close", (code) => resolve({ code }));
    });
    if (why === undefined && code === 0) return { ok: true, stdout: stdout() };
    why ??= failure === undefined ? `ended with exit code ${code ?? "unknown"}` : `cannot be run: ${failure}`;
    return {
      ok: false,
      why,
      said: stderr().trim() || stdout().trim(),
      interrupted: signal?.aborted ? true : undefined,
    };
  } finally {
    clearTimeout(deadline);
    clearTimeout(killing);
    signal?.removeEventListener("abort", interrupt);
  }
}

/** Keeps what a stream brings, and shows it line by line. */
function textOf(stream: Readable, show: Call["show"]): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (show) readline.createInterface({ input: stream }).on("line", show);
  return () => Buffer.concat(chunks).toString("utf8");
}
