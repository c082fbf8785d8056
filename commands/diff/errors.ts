/** Which of the two revisions something is about. */
export type Side = "base" | "head";

/** Words for a side, as messages use them. */
export const SIDE_NAME: Record<Side, string> = { base: "the base revision", head: "the working tree" };

/** A problem that ends the command; the message is for the reader of the pull request too. */
export class DiffError extends Error {
  constructor(
    message: string,
    /** `failed`: the revision is at fault. `usage`: the call or the machine is. */
    readonly kind: "failed" | "usage",
    /** Unset where the problem belongs to no side. */
    readonly side?: Side,
  ) {
    super(message);
    this.name = "DiffError";
  }
}

/** What an error says, whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
