import { CommandError, EXIT, type ExitName } from "./exit";

/**
 * Runs a command to its end: its failures become one message and an exit code.
 *
 * The first interrupt aborts the signal, so that the command can end in order; the second ends it at once.
 */
export function runCommand(main: (argv: readonly string[], signal: AbortSignal) => Promise<ExitName>): void {
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (interrupted.signal.aborted) process.exit(EXIT.interrupted.code);
      interrupted.abort();
    });
  }
  main(process.argv.slice(2), interrupted.signal).then(finish, (error: unknown) => {
    const known = error instanceof CommandError ? error : undefined;
    // Anything else is a defect of the command itself, whose trace is wanted.
    const told = known?.message ?? (error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.stderr.write(`${told}\n`);
    finish(known?.exit ?? "unknown");
  });
}

/** Ends the process although a question that was given up may still wait for its answer, but not before all is written. */
function finish(exit: ExitName): void {
  process.exitCode = EXIT[exit].code;
  process.stdout.write("", () => process.stderr.write("", () => process.exit()));
}
