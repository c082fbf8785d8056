import { describe, expect, it } from "vitest";
import { DECLARED_RULES } from "../../../contract/declared/rules";
import { RULES } from "../../../contract/rules";
import { diagnose } from "../../../commands/doctor/diagnosis";
import { HEADLINES, SPECIALS } from "../../../commands/doctor/diagnosis/headlines";
import type { CheckFacts, Evidence, NatsFacts } from "../../../commands/doctor/evidence";
import { container, healthy, lines, namespace, nats, pod, workload } from "./evidence";

/** A check that a rule fails. */
const broken = ({ id, about, why, effect, severity }: (typeof RULES)[number]): CheckFacts => ({
  id,
  about,
  why,
  ...(effect === undefined ? {} : { effect }),
  ok: false,
  severity,
  found: "what was found",
  expected: "what is expected",
  repairable: false,
});

const FETCH = "ERROR Error fetching messages: nats: ServiceUnavailableError";
const PUBLISH = "ERROR Failed to publish command: nats: no response from stream";

/** A deployment in which this check alone fails, whose ready server and worker fail too. */
function failingBeside(check: CheckFacts): Evidence {
  const facts = nats();
  const value: NatsFacts = {
    ...facts,
    consumers: facts.consumers.map((each) => ({ ...each, waiting: 0 })),
    checks: [check],
    overlapping: check.id === "stream-overlap" ? ["FORMER"] : [],
  };
  const ready = (name: string, log: string) =>
    pod(`${name}-1`, name, { containers: [container({ log: lines([log], 5) })] });
  const noetl = namespace("noetl", {
    pods: [ready("noetl-server", PUBLISH), ready("noetl-worker", FETCH)],
    workloads: [workload("noetl-server"), workload("noetl-worker")],
  });
  return healthy({
    nats: { ok: true, value },
    namespaces: { ...healthy().namespaces, noetl: { ok: true, value: noetl } },
  });
}

describe("a headline", () => {
  it("is there for every rule of the contract and for what is declared, and for nothing else", () => {
    const rules = [...RULES, ...Object.values(DECLARED_RULES)].map(({ id }) => id);
    expect(Object.keys(HEADLINES).sort()).toEqual([...new Set(rules)].sort());
    expect(SPECIALS.map(({ rule }) => rule).filter((rule) => !rules.includes(rule))).toEqual([]);
  });

  it.each(RULES)("of $id is one sentence, which its finding has as its title", (rule) => {
    const check = broken(rule);
    const title = HEADLINES[rule.id]?.title(check, healthy()) ?? "";
    expect(title).toMatch(/^[A-Z].{15,}[^.]$/);
    expect(title).not.toMatch(/undefined|null/);
    const told = diagnose(healthy({ nats: { ok: true, value: { ...nats(), checks: [check] } } })).findings;
    expect(told.map((each) => [each.severity, each.title])).toEqual([
      [rule.severity === "drift" ? "note" : "cause", title],
    ]);
  });

  it("of several broken rules is the first one's, and says how many more there are", () => {
    const checks = RULES.filter(({ id }) => ["stream-sealed", "consumer-paused"].includes(id)).map(broken);
    const [finding] = diagnose(healthy({ nats: { ok: true, value: { ...nats(), checks } } })).findings;
    expect(finding?.title).toBe("Stream NOETL_COMMANDS is sealed and takes no command (and 1 broken rule more)");
  });
});

describe("what ready pods fail of", () => {
  const VIOLATIONS = RULES.filter(({ severity }) => severity === "violation");
  const BOTH = ["stream-exists", "stream-overlap"];

  it.each(VIOLATIONS)("is explained by $id, and quoted, where that makes it fail", (rule) => {
    const causes = diagnose(failingBeside(broken(rule))).findings.filter(({ severity }) => severity === "cause");
    const fails = (effects: readonly (string | undefined)[]) => BOTH.includes(rule.id) || effects.includes(rule.effect);
    const others = [
      ...(fails(["refused", "lost"]) ? [] : ["publish-failed"]),
      ...(fails(["withheld", "lost"]) ? [] : ["fetch-failed"]),
    ];
    expect(causes.slice(1).map(({ id }) => id)).toEqual(others);
    const evidence = causes[0]?.evidence.join("\n") ?? "";
    expect(evidence.includes(PUBLISH)).toBe(!others.includes("publish-failed"));
    expect(evidence.includes(FETCH)).toBe(!others.includes("fetch-failed"));
  });
});
