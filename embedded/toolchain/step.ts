import { execFile, type ExecFileOptions } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * One command of an installation, for five minutes at most where `options` have no other timeout.
 *
 * @throws Error with what was done and the command's last ten lines.
 */
export async function step(
  what: string,
  [program, ...args]: readonly [program: string, ...args: string[]],
  options: ExecFileOptions = { timeout: 300_000 },
): Promise<void> {
  try {
    await run(program, args, options);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const lines = (stderr?.trim() || message).split("\n").slice(-10);
    throw new Error(`${what} failed:\n${lines.join("\n")}`, { cause: error });
  }
}
