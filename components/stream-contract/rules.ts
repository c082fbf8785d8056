/** The contract, one row per rule, and the one function that asks them. */
import { ACCOUNT_RULES } from "./account-rules";
import { CONSUMER_RULES } from "./consumer-rules";
import { bucketsOf, GATEWAY_RULES } from "./gateway-rules";
import type { Bucket, Contract, Ensure, Found, Mend, Observed, Rule, Severity } from "./rule";
import { STREAM_RULES } from "./stream-rules";

export type { Bucket, Contract, Ensure, GatewayAccess, Mend, Observed, Rule, Severity } from "./rule";

/** Result of one rule. */
export interface Check {
  readonly id: string;
  /** Name of the bucket, for rules about one. */
  readonly bucket?: string;
  readonly ok: boolean;
  readonly severity: Severity;
  readonly found: string;
  readonly expected: string;
}

/** A rule's result together with the rule, for messages and for what is done about it. */
export interface Verdict extends Check {
  readonly rule: Rule;
  /** How long it makes sense to wait for the rule to hold; undefined where it makes none. */
  readonly waits: Rule["waits"];
  readonly mend: Mend;
  /** What mode `ensure` does about it. */
  readonly ensure: Mend | Ensure;
}

/** Every rule, in the order in which messages and the documentation list them. */
export const RULES: readonly Rule[] = [...ACCOUNT_RULES, ...STREAM_RULES, ...CONSUMER_RULES, ...GATEWAY_RULES];

/** Whether what a rule is about is there to be asked. */
function isAsked(rule: Rule, observed: Observed, contract: Contract, bucket?: Bucket): boolean {
  if (rule.applies && !rule.applies(observed, contract)) return false;
  switch (rule.about) {
    case "account":
      return true;
    case "stream":
      return rule.id === "stream-exists" || observed.stream !== undefined;
    case "consumer":
      return observed.stream !== undefined && (rule.id === "consumer-exists" || observed.consumer !== undefined);
    case "bucket":
      if (bucket === undefined || observed.buckets === undefined) return false;
      return rule.id === "bucket-exists" || observed.buckets[bucket.name] !== undefined;
    case "gateway":
      return observed.gateway !== undefined;
  }
}

/** Asks every rule that applies; a rule about a bucket once for each bucket. */
export function judge(contract: Contract, observed: Observed): Verdict[] {
  const verdict = (rule: Rule, bucket?: Bucket): Verdict[] => {
    if (!isAsked(rule, observed, contract, bucket)) return [];
    // A rule looks only at the object it is about, and `isAsked` has seen to it that this object is there.
    const found = { ...observed, bucket: bucket && { ...bucket, info: observed.buckets?.[bucket.name] } } as Found;
    const mend = rule.mend(contract, found);
    return [
      {
        rule,
        waits: rule.isForlorn?.(contract) ? undefined : rule.waits,
        id: rule.id,
        ...(bucket ? { bucket: bucket.name } : {}),
        ok: rule.holds(found, contract),
        severity: rule.severity,
        found: rule.found(found, contract),
        expected: rule.expected(contract, found),
        mend,
        ensure: rule.ensure?.(contract, found) ?? mend,
      },
    ];
  };
  return RULES.flatMap((rule) =>
    rule.about === "bucket" ? bucketsOf(contract).flatMap((bucket) => verdict(rule, bucket)) : verdict(rule),
  );
}
