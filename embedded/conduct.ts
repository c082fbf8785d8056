/** How `up:embedded` and `down:embedded` conduct themselves: what they show, and how they end where they are interrupted or fail. */
import { cacheDir } from "../commands/shared/binaries";
import { CommandError } from "../commands/shared/exit";
import { endStarted, whileWeGoOn } from "../commands/shared/leftovers";
import { inStackWords } from "../commands/shared/stack-words";
import { EMBEDDED_STACK, WORDS } from "./home";

export const INTERRUPTED =
  "Interrupted. What is there stays: npm run up:embedded goes on from here, npm run down:embedded removes it.";

/** Shows a line; none of what is said while all that was begun is put away. */
export function say(line: string): void {
  if (!whileWeGoOn.aborted) process.stdout.write(`${line}\n`);
}

/** How long what is half-done may take to be put away, in milliseconds. */
const PUTTING_AWAY_MS = 30_000;

/**
 * What `work` comes to, which prepares an update. An interrupt ends all that it has started, and has it put away what is half-done; what
 * does not end is ended with this process.
 *
 * @throws the signal's reason, or what `work` throws
 */
export async function preparing<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let interrupt = (): void => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = () => {
      endStarted();
      setTimeout(() => reject(signal.reason as Error), PUTTING_AWAY_MS).unref();
    };
  });
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await Promise.race([work(), interrupted]);
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}

/** Shows the engine's output in this stack's words, a line at a time; of a line that grows, such as its dots, each piece. */
export function showingEngine(): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    const grows = /^@ |^\.+$/.test(rest);
    const whole = lines.filter((line) => !OF_A_STACK_THAT_STAYS.test(line)).map((line) => `${line}\n`);
    process.stdout.write(inStackWords(WORDS, whole.join("") + (grows ? rest : ""), EMBEDDED_STACK));
    if (grows) rest = "";
  };
}

/** What the engine says at the end of what it destroys: here nothing of the stack stays. */
const OF_A_STACK_THAT_STAYS =
  /the history and configuration associated with the stack are still maintained|run `pulumi stack rm/;

/** A failure in words for the user. The engine's own have been shown where it had anything to say of resources. */
export function failureOf(error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  if (!(error instanceof Error)) return new CommandError(String(error));
  const { code, path, commandResult } = error as NodeJS.ErrnoException & {
    commandResult?: { readonly stderr: string };
  };
  if (code !== undefined && path?.startsWith(cacheDir())) {
    return new CommandError(
      `the folder of the tools cannot be written: ${error.message}; NOETL_NATS_CACHE names another one, for example NOETL_NATS_CACHE=/var/tmp/noetl-nats`,
    );
  }
  if (commandResult === undefined) return new CommandError(error.message);
  const said = commandResult.stderr.replace(/^error: (?:update|destroy) failed$/gm, "").trim();
  return new CommandError(
    said === ""
      ? "pulumi failed; the reason stands above."
      : `pulumi failed: ${inStackWords(WORDS, said, EMBEDDED_STACK)}`,
  );
}
