/** What the guard does about what it sees: pure decisions. */
import type { StreamInfo } from "nats";
import { ensurePlan, type Change, type Creation } from "../ensure";
import type { ContractInputs } from "../inputs";
import { breaks, checkName, evaluateRules, type Observed, type RuleResult } from "../rules";
import { FROZEN_SUBJECT } from "../rules/rule";
import type { GuardMode } from "./settings";

/** Everything that one look found. */
export interface Seen {
  readonly observed: Observed;
  /** What nobody answers for, in words: a bucket, NoETL's own stores, what is declared. The rest is looked at without it. */
  readonly unanswered: readonly string[];
  /** The stream that takes what is published while a repair replaces the contract's. */
  readonly holding: StreamInfo | undefined;
  /** The stream in which a repair says that it is at work. */
  readonly lock: StreamInfo | undefined;
}

/** One request that creates what NoETL or its gateway would have made. */
export type Heal = Change & { readonly creates: Creation };

export interface Decision {
  /** What is created, in order; empty in mode `watch` and while a repair is under way. */
  readonly heals: readonly Heal[];
  /** Rules that are broken. */
  readonly broken: readonly RuleResult[];
  readonly holds: boolean;
  /** True where a repair is at work or was interrupted, so that everything is left alone. */
  readonly repairing: boolean;
}

/** Whether a repair is at work, or has left something: it alone knows what belongs where then. */
const isRepairing = ({ observed, holding, lock }: Seen): boolean =>
  holding !== undefined ||
  (lock?.state.messages ?? 0) > 0 ||
  (observed.stream?.config.subjects ?? []).some((subject) => subject.startsWith(FROZEN_SUBJECT));

/** Rules by what they are about that have to be looked at before a bucket is created; all others come before the stream's things. */
const isBuckets = ({ rule: { about } }: RuleResult): boolean => about === "bucket" || about === "gateway";

/** Whether a stream that is there lacks the subject: a worker finds none by it then, and makes no consumer. */
const lacksSubject = (broken: readonly RuleResult[]): boolean => broken.some(({ id }) => id === "stream-subjects");

/**
 * Only what is missing is created, as mode `ensure` would and NoETL itself does: nothing that is there is changed. Where mode
 * `ensure` would refuse, because something needs a decision (a work queue, a consumer that lets other subjects through),
 * nothing is created beside it.
 */
export function decide(inputs: ContractInputs, seen: Seen, mode: GuardMode): Decision {
  const { observed } = seen;
  const broken = evaluateRules(inputs, observed).filter(({ ok }) => !ok);
  const holds = !broken.some(breaks(inputs));
  const repairing = isRepairing(seen);
  if (mode === "watch" || repairing) return { heals: [], broken, holds, repairing };
  const { changes, refused } = ensurePlan(inputs, observed);
  const forbidding = refused.filter(breaks(inputs)).filter(({ rule: { about } }) => about !== "declared");
  const heals = changes.filter((change): change is Heal => {
    if (change.creates === undefined) return false;
    const isBucket = change.creates.kind === "bucket";
    if (change.creates.kind === "consumer" && lacksSubject(broken)) return false;
    return !forbidding.some((result) => isBuckets(result) === isBucket);
  });
  return { heals, broken, holds, repairing };
}

/**
 * What tells one state of the contract from another: {@link brokenText} without how much is stored, which changes with each command
 * while there is too much of it.
 */
export const brokenKey = (broken: readonly RuleResult[], { isWhole }: Pick<Told, "isWhole">): string =>
  brokenText(broken, { server: "", isWhole }).replace(/\d+ of (\d+ bytes used)/g, "$1");

/** Which server has told, and whether it told of everything. */
interface Told {
  readonly server: string;
  readonly isWhole: boolean;
}

/** A broken contract in one line. */
export function brokenText(broken: readonly RuleResult[], { server, isWhole }: Told): string {
  const one = (result: RuleResult): string =>
    `${result.severity} ${checkName(result)}: found ${result.found}, expected ${result.expected}`;
  const holds = isWhole ? "the contract holds" : "what is answered for holds";
  return broken.length === 0 ? `${holds} at ${server}` : broken.map(one).join("; ");
}
