/** What is declared, as rules of the contract: one check for each object. */
import type { ContractInputs } from "../inputs";
import type { Ensure, Fix, Observed, Rule, Severity } from "../rules/rule";
import { line, programsOf } from "../programs";
import type { Refusal } from "./compare";
import { standings, type Standing } from "./plan";
import type { DeclaredList } from "./types";

/** What the checks of declared objects ask, for the documentation. */
export const DECLARED_RULES: Readonly<
  Record<DeclaredList, { readonly id: string; readonly checks: string; readonly why: string }>
> = {
  streams: {
    id: "declared-stream",
    checks: "a declared stream is there, with every declared field as declared",
    why: "what is published has no stream, or one that keeps it otherwise than was agreed",
  },
  consumers: {
    id: "declared-consumer",
    checks: "a declared consumer is there, with every declared field as declared",
    why: "whoever reads through it finds none, or gets messages otherwise than was agreed",
  },
  buckets: {
    id: "declared-bucket",
    checks: "a declared key-value bucket is there, as clients know one, with every declared field as declared",
    why: "its users find no bucket, or one that keeps entries otherwise than was agreed",
  },
  objectStores: {
    id: "declared-object-store",
    checks: "a declared object store is there, as clients know one, with every declared field as declared",
    why: "its users find no store, or one that keeps objects otherwise than was agreed",
  },
};

/** A check of one declared object. */
export interface DeclaredResult {
  readonly id: string;
  /** `stream ORDERS` */
  readonly object: string;
  readonly ok: boolean;
  readonly severity: Severity;
  readonly found: string;
  readonly expected: string;
  readonly rule: Rule;
  readonly waits: Rule["waits"];
  readonly fix: Fix;
  readonly ensure: Fix | Ensure;
}

/**
 * A missing object, and a difference that no update takes away, are violations: who relies on the declaration is let down,
 * and nothing fixes it by itself. What an update takes away is drift.
 */
function severityOf({ state, refusals }: Standing): Severity {
  if (refusals.length > 0 || state === "missing") return "violation";
  return "drift";
}

function foundOf({ state, differences }: Standing): string {
  switch (state) {
    case "as declared":
      return "as declared";
    case "missing":
      return "it does not exist";
    case "to be removed":
      return "it exists";
    case "different":
      return differences.map(({ key, found }) => `${key} ${found}`).join(", ");
  }
}

function expectedOf({ target, state, differences }: Standing): string {
  if (target.remove !== undefined) return "it is gone";
  return state === "different"
    ? differences.map(({ key, declared }) => `${key} ${declared}`).join(", ")
    : "as declared";
}

/** The command of natscli that removes an object. */
function removing({ target: { list, stream, consumer } }: Standing, nats: string): string {
  const name = stream.replace(/^(KV|OBJ)_/, "");
  switch (list) {
    case "streams":
      return line(nats, "stream", "rm", stream, "-f");
    case "consumers":
      return line(nats, "consumer", "rm", stream, consumer ?? "", "-f");
    case "buckets":
      return line(nats, "kv", "del", name, "-f");
    case "objectStores":
      return line(nats, "object", "del", name, "-f");
  }
}

function remedyOf(standing: Standing, { remedy }: Refusal, nats: string): string {
  const { target } = standing;
  switch (remedy) {
    case "newer-server":
      return "update NATS, or leave the key out";
    case "more-servers":
      return "declare replicas 1, or run three NATS servers (natsReplicas: 3)";
    case "recreate":
      return `declare what is there, or have it made again: save what is in it, run \`${removing(standing, nats)}\`, and update`;
    case "declare":
      return target.remove === undefined ? "change the declaration" : "empty it first, or declare remove: withContents";
  }
}

function adviceOf(standing: Standing, nats: string): string {
  const { target, refusals, changes } = standing;
  if (refusals.length > 0) {
    return refusals
      .map((refusal) => `${target.label}: ${refusal.reason}; ${remedyOf(standing, refusal, nats)}`)
      .join("; ");
  }
  return `let the contract do it (contractMode ensure, or mode "ensure" of the library): ${changes.map(({ does }) => does).join(", ")}`;
}

/** @param nats the command line of NATS, as it reaches the servers */
function result(standing: Standing, nats: string): DeclaredResult {
  const { target, state, refusals, changes } = standing;
  const { id, checks, why } = DECLARED_RULES[target.list];
  const severity = severityOf(standing);
  const reasons = refusals.map(({ reason }) => reason).join("; ");
  const expected = expectedOf(standing) + (reasons === "" ? "" : ` (${reasons})`);
  const advice = adviceOf(standing, nats);
  const fix: Fix = { action: "advise", advice };
  // Somebody else may be about to make it: a deployment that goes on beside this one.
  const waits = state === "missing" && refusals.length === 0 ? "briefly" : undefined;
  const rule: Rule = {
    id,
    severity,
    about: "declared",
    checks,
    why,
    remedy: advice,
    expected: () => expected,
    found: () => foundOf(standing),
    holds: () => state === "as declared",
    fix: () => fix,
  };
  return {
    id,
    object: target.label,
    ok: state === "as declared",
    severity,
    found: foundOf(standing),
    expected,
    rule,
    waits,
    fix,
    ensure: changes.length > 0 ? { action: "declared", changes } : fix,
  };
}

/** One check for each declared object; none where nothing is declared, or nothing was asked. */
export function declaredResults(
  inputs: Pick<ContractInputs, "declared" | "connection">,
  observed: Pick<Observed, "declared">,
): DeclaredResult[] {
  if (!inputs.declared || !observed.declared) return [];
  const { nats } = programsOf(inputs);
  return standings(inputs.declared, observed.declared).map((standing) => result(standing, nats));
}
