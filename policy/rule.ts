import type { ResourceView } from "./resource";

/** What every rule says of itself; `docs/policy.md` is made of it. */
interface Statement {
  readonly name: string;
  readonly severity: "low" | "medium" | "high" | "critical";
  /** What must hold, one sentence. */
  readonly demand: string;
  /** What is looked at. */
  readonly subjects: string;
  /** What goes wrong where it does not hold. */
  readonly reason: string;
  /** How to meet it. */
  readonly remedy: string;
  /** True where a problem is said and the update goes on. */
  readonly advisory?: true;
}

/** A rule about one resource. `check` returns one sentence for each problem. */
export interface ResourceRule extends Statement {
  /** True where `check` must know which values are encrypted; otherwise all of them come without marks. */
  readonly seesEncryption?: boolean;
  readonly check: (resource: ResourceView) => string[];
}

/** A rule about the stack as a whole. */
export interface StackRule extends Statement {
  readonly checkStack: (resources: readonly ResourceView[]) => { urn?: string; problem: string }[];
}

export type Rule = ResourceRule | StackRule;

export const isStackRule = (rule: Rule): rule is StackRule => "checkStack" in rule;

/** Problems of a resource as a rule about the stack says them; of a rendered object with its name, since the engine names the release. */
export const said = (
  { urn, name, rendered }: ResourceView,
  problems: readonly string[],
): { urn: string; problem: string }[] =>
  [...new Set(problems)].map((problem) => ({ urn, problem: rendered ? `${name}, rendered: ${problem}` : problem }));
