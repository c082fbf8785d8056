import { Secret } from "@pulumi/policy";
import { describe, expect, it } from "vitest";
import { problemsOf, type Render } from "../../policy/judge";
import { fromManifest, plain, type ResourceView } from "../../policy/resource";
import type { Rule } from "../../policy/rule";
import { RULES } from "../../policy/rules";
import { BAD_STACKS, CANARY, type Example, GOOD_STACKS } from "./bad-stacks";

/** Rules that a stack of one or two resources cannot keep, and the one about what this test hands in itself. */
const JUDGED = RULES.filter(
  ({ name }) => !["namespaces-closed", "deletion-protection", "releases-rendered"].includes(name),
);

/** Every problem of a stack, with the rule that it breaks. */
function problems(stack: readonly Example[], rules: readonly Rule[] = JUDGED): { rule: string; problem: string }[] {
  const objects = new Map<string, readonly ResourceView[]>();
  const views = stack.map(({ type, props, renders = [] }, index): ResourceView => {
    const view = { type, name: `it-${index}`, urn: `urn-${index}`, props, protect: true };
    objects.set(
      view.urn,
      renders.map((manifest) => fromManifest(manifest, view)),
    );
    return view;
  });
  const render: Render = ({ urn, rendered }) => (rendered ? [] : (objects.get(urn) ?? []));
  return rules.flatMap((rule) => {
    // As in the pack: marks are for the rule that asks for them.
    const seen =
      rule.name === "no-plaintext-credentials"
        ? views
        : views.map((view) => ({ ...view, props: plain(view.props) as ResourceView["props"] }));
    return problemsOf(rule, seen, render).map(({ problem }) => ({ rule: rule.name, problem }));
  });
}

describe("a bad stack is refused, by the rule that it breaks and by no other", () => {
  it.each(BAD_STACKS)("$rule: $title", ({ rule, says, stack }) => {
    const found = problems(stack);
    expect(found.map(({ problem }) => problem).join("\n")).toMatch(says);
    expect([...new Set(found.map((each) => each.rule))]).toEqual([rule]);
    expect(JSON.stringify(found)).not.toContain(CANARY);
    expect(JSON.stringify(found)).not.toContain(Buffer.from(CANARY).toString("base64"));
  });

  it("are many, and every one bad in its own way", () => {
    expect(new Set(BAD_STACKS.map(({ title, rule }) => `${rule} ${title}`)).size).toBe(BAD_STACKS.length);
    expect(BAD_STACKS.length).toBeGreaterThanOrEqual(40);
  });

  it("is refused wherever the rule has an example", () => {
    const tried = new Set(BAD_STACKS.map(({ rule }) => rule));
    expect(JUDGED.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual(["contract-retention"]);
  });
});

describe("a stack that only looks like it passes", () => {
  it.each(Object.entries(GOOD_STACKS))("%s", (_, stack) => expect(problems(stack)).toEqual([]));
});

describe("a chart's secret", () => {
  const rendersIt = (text: string): Example => ({
    type: "kubernetes:helm.sh/v3:Release",
    props: {
      chart: "app",
      values: { url: new Secret(`nats://noetl:${CANARY}@nats:4222`), short: { password: new Secret("noetl") } },
    },
    renders: [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "app" }, ...{ data: { text } } }],
  });
  it.each([
    ["as it is", `x ${CANARY} y`],
    ["in base64", Buffer.from(CANARY).toString("base64")],
  ])("is found %s", (_, text) => expect(problems([rendersIt(text)])).toHaveLength(1));
  it("that is a word like others is not looked for", () => expect(problems([rendersIt("noetl-server")])).toEqual([]));
});
