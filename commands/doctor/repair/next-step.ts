/** What a repair does next, by what stands in NATS. */
import type { StreamInfo } from "nats";
import { type Journal } from "./journal";

/** What stands in NATS. */
export interface Live {
  readonly stream?: StreamInfo;
  /** `old` is the one that is to go, `new` the one that this repair made, `other` one that somebody made meanwhile. */
  readonly kind: "old" | "new" | "other" | "none";
  /** Whether the stream listens on what is published. */
  readonly open: boolean;
  readonly holding?: StreamInfo;
  /** Whether the holding stream takes what is published. */
  readonly holds: boolean;
}

export type Step = "hold" | "save" | "remove" | "create" | "fill" | "open" | "finish" | "done" | "adopt";

/** What of the journal decides the next step. */
export type Progress = Pick<Journal, "phase" | "lastSequence" | "digest" | "line" | "saved">;

/** A sealed stream and a mirror take no message and no change: they need not, and cannot, be frozen. */
export const isFixed = ({ config }: Pick<StreamInfo, "config">): boolean =>
  Boolean(config.sealed) || config.mirror !== undefined;

/**
 * What is to be done next, by what stands in NATS. The journal alone never decides: an operator, NoETL's own start or a
 * restart of NATS may have changed everything since it was written.
 */
export function nextStep({ digest, lastSequence, line, saved }: Progress, live: Live): Step {
  const { stream, kind, open, holding, holds } = live;
  switch (kind) {
    case "old": {
      const frozen = stream !== undefined && (isFixed(stream) || (!open && holds));
      if (!frozen || !holding) return "hold";
      return digest !== "" && stream.state.last_seq === lastSequence ? "remove" : "save";
    }
    case "none":
      return holds ? "create" : "hold";
    case "new":
      if (open) return line < saved ? "fill" : holding ? "finish" : "done";
      if (!holds) return "hold";
      return line < saved ? "fill" : "open";
    case "other":
      return "adopt";
  }
}
