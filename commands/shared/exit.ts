/** How every command ends. A test holds the table in docs/exit-codes.md against this. */
export const EXIT = {
  ok: {
    code: 0,
    verify: "everything holds",
    doctor: "nothing is wrong; with --repair: the contract holds again",
    diff: "the report is complete",
    embedded: "the stack is up, and everything holds",
    kind: "the pods run the image that was built, and everything holds",
  },
  wrong: {
    code: 1,
    verify: "at least one line does not hold",
    doctor: "at least one cause was found; with --repair: something is left that --repair cannot put right",
    diff: "the report is complete, and holds a risk of the level that --fail-on names, or worse",
    embedded: "the stack is up, and at least one line does not hold",
    kind: "the stack was updated, and some pod runs another image or at least one line does not hold",
  },
  usage: {
    code: 2,
    verify: "the command line cannot be understood; nothing was asked",
    doctor: "the same",
    diff: "wrong arguments, or something is missing: base, stack, helm",
    embedded: "the command line cannot be understood, or a setting is refused; nothing was started",
    kind: "wrong arguments, or something is missing: docker, kind, kubectl, pulumi, git, the cluster, a checkout; nothing was changed, but that there is a stack now where there was none",
  },
  unknown: {
    code: 3,
    verify: "nothing is known to be wrong, but something could not be asked: the stack, the cluster or NATS",
    doctor: "the stack could not be read, so there was nothing to ask",
    diff: "one of the revisions cannot be evaluated or rendered, or the engine's preview fails; the report says why",
    embedded: "the stack could not be brought up, or another command is at work on it; the reason is on the screen",
    kind: "build, load or update failed, or it could not be asked what runs; the reason is on the screen; run it again",
  },
  declined: {
    code: 4,
    verify: "not used",
    doctor: "--repair was declined at a question, or had nobody to ask; what that question was about was not done",
    diff: "not used",
    embedded: "not used",
    kind: "not used",
  },
  interrupted: {
    code: 130,
    verify: "interrupted, without --watch (with it: the result of the last look)",
    doctor: "interrupted; a repair goes on where it stopped when it is run again",
    diff: "interrupted; there is no report",
    embedded: "interrupted; run it again",
    kind: "interrupted; run it again",
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
