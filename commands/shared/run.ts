import * as readline from "node:readline/promises";
import { CommandError, EXIT, type ExitName } from "./exit";
import { harmless } from "../../contract/mask/harmless";

/**
 * Runs a command to its end: its failures become one message and an exit code.
 *
 * The first interrupt aborts the signal, so that the command can end in order; the second ends it at once. A reader that
 * goes away (`... | head`) counts as an interrupt, and so does a terminal that is closed: what the command has started does
 * not hear of either. Nobody has asked twice then: a closed terminal says so twice, by the shell and by the system.
 */
export function runCommand(main: (argv: readonly string[], signal: AbortSignal) => Promise<ExitName>): void {
  const interrupted = new AbortController();
  const argv = process.argv.slice(2);
  let answered = false;
  /** Whoever reads the one object gets it, whatever keeps the command from its answer. */
  const answer = (exit: ExitName, error: string): void => {
    if (answered) return;
    answered = true;
    if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ exit: EXIT[exit].code, error })}\n`);
  };
  let asked = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (name !== "SIGHUP" && ++asked > 1) {
        answer("interrupted", "Interrupted twice.");
        process.exit(EXIT.interrupted.code);
      }
      interrupted.abort();
    });
  }
  let unwritable: string | undefined;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
      // Nobody reads any more, or the terminal is gone; anything else, such as a full disk, is a failure.
      if (code !== "EPIPE" && code !== "EIO") unwritable ??= message;
      interrupted.abort();
    });
  }
  void main(argv, interrupted.signal)
    .then(
      (exit) => {
        if (exit === "interrupted") answer(exit, "Interrupted.");
        answered = true;
        return exit;
      },
      (error: unknown) => {
        const known = error instanceof CommandError ? error : undefined;
        // Anything else is a defect of the command itself, whose trace is wanted.
        const words = known?.message ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
        const exit = known?.exit ?? "unknown";
        process.stderr.write(`${harmless(words)}\n`);
        answer(exit, harmless(words));
        return exit;
      },
    )
    .then((exit) => finish(exit, () => unwritable));
}

/** The answer to a question; empty where it is left unanswered, by Ctrl-C or by the end of the input. */
export async function ask(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<string> {
  const reader = readline.createInterface({ input, output });
  const closed = new Promise<undefined>((resolve) => reader.once("close", () => resolve(undefined)));
  try {
    const answer = await Promise.race([reader.question(question).catch(() => undefined), closed]);
    if (answer === undefined) output.write("\n");
    return answer ?? "";
  } finally {
    reader.close();
  }
}

/** What `work` comes to; undefined where `signal` is aborted before: what is only read need not be waited for then. */
export async function unlessInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  return Promise.race([work, aborted]);
}

/** How long a command that only asks may be silent, in milliseconds. */
const SILENCE_MILLISECONDS = 3_000;

/** What `work`, which asks a stack and all around it, comes to; says on `out` what it waits for where that takes long. */
export async function tellingOfDelay<T>(
  work: Promise<T>,
  out: { write(text: string): unknown } = process.stderr,
): Promise<T> {
  const line = "Still asking the stack's state, the cluster and NATS: each question has its deadline ...\n";
  const timer = setTimeout(() => out.write(line), SILENCE_MILLISECONDS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ends the process although a question that was given up may still wait for its answer, but not before all is written.
 *
 * @param unwritable What kept it from being written; half an answer is none.
 */
function finish(exit: ExitName, unwritable: () => string | undefined): void {
  process.exitCode = EXIT[exit].code;
  process.stdout.write("", () => {
    const why = unwritable();
    if (why !== undefined) process.exitCode = EXIT.unknown.code;
    process.stderr.write(why === undefined ? "" : `The output cannot be written: ${why}\n`, () => process.exit());
  });
}
