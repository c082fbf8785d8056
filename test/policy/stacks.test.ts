import { Secret } from "@pulumi/policy";
import { describe, expect, it } from "vitest";
import type { ResourceView } from "../../policy/resource";
import { isStackRule, RULES } from "../../policy/rules";
import { CONFIGURATIONS } from "../support/gke/configurations";
import { type Declared, run } from "../support/gke/mocks";

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** The engine's wrapping of secrets as the policy's. */
function marked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(marked);
  if (value === null || typeof value !== "object") return value;
  if (SIGNATURE in value) return new Secret(marked((value as { value?: unknown }).value));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
}

const judged = ({ type, name, inputs }: Declared): ResourceView => ({
  type,
  name,
  urn: name,
  props: marked(inputs) as Record<string, unknown>,
  // Mocks are not told a resource's options; the components' own tests hold them.
  protect: true,
});

describe("every reviewed stack on GKE keeps the rules", () => {
  it.each(CONFIGURATIONS)("$name", async ({ raw, facts }) => {
    const resources = (await run(raw, facts)).declared.map(judged);
    const problems = RULES.flatMap((rule) =>
      isStackRule(rule)
        ? rule.checkStack(resources).map(({ urn, problem }) => `${rule.name} ${urn}: ${problem}`)
        : resources.flatMap((each) => rule.check(each).map((problem) => `${rule.name} ${each.name}: ${problem}`)),
    );
    const unprotected = raw.deletionProtection === "false";
    expect(problems.filter((problem) => !(unprotected && problem.startsWith("deletion-protection ")))).toEqual([]);
    expect(problems.some((problem) => problem.startsWith("deletion-protection "))).toBe(unprotected);
  });
});
