/** The contract, one row per rule, and the one function that asks them. */
import type { StreamInfo } from "nats";
import type { ConsumerTerms } from "../lines";
import { ACCOUNT_RULES } from "./account";
import { CONSUMER_RULES } from "./consumer";
import { declaredResults } from "../declared/rules";
import { bucketsOf, GATEWAY_RULES } from "./gateway";
import { consumerTerms } from "../inputs";
import { PROBE_RULES } from "./probe";
import type { PublishProbe, WorkerProbe } from "../probe-results";
import type { Bucket, Contract, Ensure, Found, Fix, Observed, Rule, Severity } from "./rule";
import { STORE_RULES } from "./store";
import { STREAM_RULES } from "./stream";

export type { Bucket, Contract, Ensure, GatewayAccess, Fix, Observed, Rule, Severity } from "./rule";

/** Result of one rule. */
export interface Check {
  readonly id: string;
  /** Name of the bucket, for rules about one. */
  readonly bucket?: string;
  /** Name of the consumer, for rules about one where the contract has more than one. */
  readonly consumer?: string;
  /** What the rule was asked of, where it is asked of several: a subject, a consumer; or what is declared, `stream ORDERS`. */
  readonly object?: string;
  readonly ok: boolean;
  readonly severity: Severity;
  readonly found: string;
  readonly expected: string;
}

/** A rule's name in messages: with the bucket or the consumer that it is about. */
export function checkName({
  id,
  bucket,
  consumer,
  object,
}: Pick<Check, "id" | "bucket" | "consumer" | "object">): string {
  const of = bucket ?? consumer ?? object;
  return of === undefined ? id : `${id} of ${of}`;
}

/** A rule's result together with the rule, for messages and for what is done about it. */
export interface RuleResult extends Check {
  readonly rule: Rule;
  /** How long it makes sense to wait for the rule to hold; undefined where it makes none. */
  readonly waits: Rule["waits"];
  readonly fix: Fix;
  /** What mode `ensure` does about it. */
  readonly ensure: Fix | Ensure;
}

/** Whether a broken rule breaks the contract: every violation does, with `strict` every difference that is not over. */
export const breaks =
  ({ strict }: { readonly strict: boolean }) =>
  ({ rule }: Pick<RuleResult, "rule">): boolean =>
    rule.severity === "violation" || (strict && !rule.isEvent);

/** Every rule, in the order in which messages and the documentation list them. */
export const RULES: readonly Rule[] = [
  ...ACCOUNT_RULES,
  ...STREAM_RULES,
  ...CONSUMER_RULES,
  ...PROBE_RULES,
  ...GATEWAY_RULES,
  ...STORE_RULES,
];

/** Rules that are asked of a bucket that is not there. */
const MISSING_BUCKET: ReadonlySet<string> = new Set(["bucket-exists", "bucket-creatable"]);

/** One of several things that a rule is asked of. */
interface Target {
  readonly bucket?: Bucket;
  readonly store?: StreamInfo;
  readonly publish?: PublishProbe;
  readonly workerProbe?: WorkerProbe;
  /** Its name, where there are others of its kind. */
  readonly object?: string;
}

/** What the rule is asked of. */
function targets(rule: Rule, observed: Observed, contract: Contract): Target[] {
  const { publishes = [], workers = [], notAccepted } = observed.probe ?? {};
  switch (rule.about) {
    case "bucket":
      return bucketsOf(contract).map((bucket) => ({ bucket }));
    case "store":
      return Object.entries(observed.stores ?? {}).flatMap(([object, store]) => (store ? [{ store, object }] : []));
    case "publish":
      return publishes.map((publish) => ({
        publish,
        object: publishes.length > 1 ? `${publish.subject} by ${publish.login}` : undefined,
      }));
    case "worker":
      return (notAccepted === undefined ? workers : []).map((workerProbe) => ({
        workerProbe,
        object: workers.length > 1 ? workerProbe.consumer : undefined,
      }));
    default:
      return [{}];
  }
}

/** Whether what a rule is about is there to be asked. */
function isAsked(rule: Rule, { observed, contract, bucket }: Asked): boolean {
  if (rule.applies && !rule.applies(observed, contract)) return false;
  switch (rule.about) {
    case "account":
      return true;
    case "stream":
      return rule.id === "stream-exists" || observed.stream !== undefined;
    case "consumer":
      return observed.stream !== undefined && (rule.id === "consumer-exists" || observed.consumer !== undefined);
    case "bucket":
      // Of one that nobody answers for nothing is known, not even that it is missing.
      if (bucket === undefined || !observed.buckets || !(bucket.name in observed.buckets)) return false;
      return MISSING_BUCKET.has(rule.id) || observed.buckets[bucket.name] !== undefined;
    case "store":
      return true; // Those that are not there are no targets.
    case "gateway":
      return observed.gateway !== undefined;
    case "declared":
      return false; // Declared objects have checks of their own.
    case "login":
    case "publish":
    case "worker":
      return observed.probe !== undefined;
  }
}

/** The contract as one of the workers' consumers is checked by it. */
function contractOf(contract: Contract, terms: ConsumerTerms): Contract {
  const { expect, worker } = contract;
  return {
    ...contract,
    consumer: terms.name,
    expect: { ...expect, ackWaitSeconds: terms.ackWaitSeconds ?? expect.ackWaitSeconds },
    worker: {
      ...worker,
      maxAckPending: terms.maxAckPending ?? worker.maxAckPending,
      maxDeliver: terms.maxDeliver ?? worker.maxDeliver,
    },
  };
}

/** The same action, naming the consumer where it is not the first. */
const naming = <A extends Fix | Ensure>(action: A, consumer: string | undefined): A =>
  consumer !== undefined && action.action.endsWith("-consumer") ? { ...action, consumer } : action;

/** What a rule is asked about, one of several, and the terms that count for it. */
interface Asked extends Target {
  readonly contract: Contract;
  readonly observed: Observed;
  readonly terms?: ConsumerTerms;
  /** True for a consumer that is not the contract's first. */
  readonly isFurther?: boolean;
}

function askedOf(rule: Rule, contract: Contract, observed: Observed): Asked[] {
  if (rule.about !== "consumer") {
    return targets(rule, observed, contract).map((target) => ({ contract, observed, ...target }));
  }
  return consumerTerms(contract).map((terms, index) => ({
    contract: contractOf(contract, terms),
    observed: { ...observed, consumer: observed.consumers ? observed.consumers[terms.name] : observed.consumer },
    terms,
    isFurther: index > 0,
  }));
}

/** Asks every rule that applies; a rule about a bucket, a consumer, a subject or what a worker needs once for each. */
export function evaluateRules(contract: Contract, observed: Observed): RuleResult[] {
  const isOne = consumerTerms(contract).length === 1;
  const noetl = (contract.declaredOnly ? [] : RULES).flatMap((rule) =>
    askedOf(rule, contract, observed).flatMap((asked) => {
      if (!isAsked(rule, asked)) return [];
      const { bucket, store, terms, object, publish, workerProbe } = asked;
      const further = asked.isFurther ? terms?.name : undefined;
      // A rule looks only at the object it is about, and `isAsked` has seen to it that this object is there.
      const info = bucket && asked.observed.buckets?.[bucket.name];
      const found = {
        ...asked.observed,
        ...{ terms, publish, workerProbe, store },
        bucket: bucket && { ...bucket, info },
      } as Found;
      if (rule.appliesTo && !rule.appliesTo(found, asked.contract)) return [];
      const fix = naming(rule.fix(asked.contract, found), further);
      return [
        {
          rule,
          waits: rule.canRecover?.(asked.contract) === false ? undefined : rule.waits,
          id: rule.id,
          bucket: bucket?.name,
          consumer: isOne ? undefined : terms?.name,
          object,
          ok: rule.holds(found, asked.contract),
          severity: rule.severity,
          found: rule.found(found, asked.contract),
          expected: rule.expected(asked.contract, found),
          fix,
          ensure: naming(rule.ensure?.(asked.contract, found) ?? fix, further),
        },
      ];
    }),
  );
  return [...noetl, ...declaredResults(contract, observed)];
}
