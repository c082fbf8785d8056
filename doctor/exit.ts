/** How `verify` and `doctor` end. A test holds the table in docs/exit-codes.md against this. */
export const EXIT = {
  ok: { code: 0, verify: "everything holds", doctor: "nothing is wrong; with --repair: the contract holds again" },
  wrong: {
    code: 1,
    verify: "at least one line does not hold",
    doctor: "at least one cause was found; with --repair: something is left that --repair cannot mend",
  },
  usage: {
    code: 2,
    verify: "the command line cannot be understood; nothing was asked",
    doctor: "the same",
  },
  unknown: {
    code: 3,
    verify: "nothing is known to be wrong, but something could not be asked: the stack, the cluster or NATS",
    doctor: "the stack could not be read, so there was nothing to ask",
  },
  declined: {
    code: 4,
    verify: "not used",
    doctor: "--repair was declined at its question, or had nobody to ask; nothing was changed",
  },
  interrupted: {
    code: 130,
    verify: "interrupted, without --watch (with it: the result of the last look)",
    doctor: "interrupted; a repair goes on where it stopped when it is run again",
  },
} as const;

export type ExitName = keyof typeof EXIT;

/** A failure whose message is for the user, with the exit code it ends with. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    message: string,
    readonly exit: ExitName = "unknown",
  ) {
    super(message);
  }
}
