/**
 * The engine's command in a process group of its own. A terminal sends Ctrl-C to everybody in its group, and the engine takes a second
 * one, ours, for the wish to end at once, in the middle of what it does. So it hears of an interrupt from us alone, by the signal that the
 * automation interface is given.
 */
import { spawn } from "node:child_process";
import type { PulumiCommand } from "@pulumi/pulumi/automation";
import { endsWithUs } from "../commands/shared/leftovers";

/** What the automation interface calls it with. */
export type Call = [
  args: string[],
  cwd: string,
  env: Record<string, string>,
  onOutput?: (text: string) => void,
  onError?: (text: string) => void,
  signal?: AbortSignal,
];

/** What the SDK leaves out of its published types. */
const { CommandResult } = require("@pulumi/pulumi/automation/cmd") as {
  CommandResult: new (stdout: string, stderr: string, code: number, error?: Error) => object;
};
const { createCommandError } = require("@pulumi/pulumi/automation/errors") as {
  createCommandError(this: void, result: object): Error;
};

/** As the SDK has it for a command that cannot be started. */
const NOT_STARTED = -2;

/** The same command, whose runs lead a process group of their own. */
export function inOwnGroup(command: PulumiCommand): PulumiCommand {
  const run = async (...[args, cwd, env, onOutput, onError, signal]: Call): Promise<object> => {
    const asked = args.includes("--non-interactive") ? args : [...args, "--non-interactive"];
    const child = endsWithUs(
      spawn(command.command, asked, {
        cwd,
        env: { ...process.env, ...env, PULUMI_AUTOMATION_API: "true" },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      }),
    );
    const said = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said.stdout += text;
      onOutput?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said.stderr += text;
      onError?.(text);
    });
    const interrupt = (): void => void child.kill("SIGINT");
    if (signal?.aborted) interrupt();
    signal?.addEventListener("abort", interrupt, { once: true });
    try {
      const code = await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (ended, by) =>
          by === null ? resolve(ended ?? NOT_STARTED) : reject(new Error(`ended by ${by}`)),
        );
      });
      const result = new CommandResult(said.stdout, said.stderr, code);
      if (code === 0) return result;
      throw createCommandError(result);
    } catch (error) {
      if (error instanceof Error && "commandResult" in error) throw error;
      const why = error instanceof Error ? error : new Error(String(error));
      throw createCommandError(new CommandResult("", why.message, NOT_STARTED, why));
    } finally {
      signal?.removeEventListener("abort", interrupt);
    }
  };
  return Object.assign(command, { run });
}
