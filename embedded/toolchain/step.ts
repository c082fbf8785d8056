import { outputOf } from "../../commands/shared/leftovers";

/** What a command says is shown where it fails, and its last lines are enough. */
const LONGEST_OUTPUT = 64 * 1024 * 1024;

export interface StepOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until it is ended. Default: five minutes. */
  readonly timeout?: number;
}

/**
 * One command of an installation, which ends no later than this process, with all that it starts.
 *
 * @throws Error with what was done and the command's last ten lines.
 */
export async function step(
  what: string,
  [program, ...args]: readonly [program: string, ...args: string[]],
  { env, timeout = 300_000 }: StepOptions = {},
): Promise<void> {
  try {
    await outputOf(program, args, { cwd: process.cwd(), env, timeout, maxBuffer: LONGEST_OUTPUT });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const lines = (stderr?.trim() || message).split("\n").slice(-10);
    throw new Error(`${what} failed:\n${lines.join("\n")}`, { cause: error });
  }
}
