/** The steps of a command: programs that are announced, shown, and end the command where they fail. */
import { CommandError } from "../shared/exit";
import { harmless } from "../doctor/text";
import { run, type Call } from "./programs";

export const MINUTE = 60;

interface Step {
  readonly does: string;
  readonly call: Pick<Call, "command" | "args" | "cwd" | "env">;
  readonly deadlineSeconds: number;
  /** What holds where it fails, and what to do then. */
  readonly failed: string;
  /** What to do after that, where running the command again is not all. */
  readonly then?: string;
  /** True for an answer that is for the command, not for people. */
  readonly isQuiet?: true;
}
export type Stepper = (step: Step) => Promise<string>;

interface StepContext {
  /** Takes each line for the user. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** Hides what is secret in a line of a program. */
  readonly mask: (text: string) => string;
}

const inWords = (seconds: number): string => (seconds < MINUTE ? `${seconds} s` : `${seconds / MINUTE} min`);

/** Says what is done and until when, does it, and ends the command where it fails. */
export function stepper({ say, signal, mask }: StepContext): Stepper {
  const show = (line: string): void => say(`  ${mask(harmless(line))}`);
  return async ({ does, call, deadlineSeconds, failed, then, isQuiet }) => {
    say(`${does} (at most ${inWords(deadlineSeconds)}).`);
    const ended = await run({ ...call, deadlineSeconds, signal, show: isQuiet ? undefined : show });
    if (ended.ok) return ended.stdout;
    if (ended.interrupted)
      throw new CommandError(`Interrupted. ${failed} ${then ?? "Run it again to go on."}`, "interrupted");
    const program = call.command.split("/").at(-1);
    const said = isQuiet && ended.said ? `: ${mask(harmless(ended.said))}` : "; what it said stands above";
    throw new CommandError(
      `${program} ${call.args[0]} ${ended.why}${said}.\n${failed} ${then ?? "The command can be run again."}`,
      "unknown",
    );
  };
}
