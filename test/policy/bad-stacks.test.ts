import { Secret } from "@pulumi/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { problemsOf, type Render } from "../../policy/problems";
import { fromManifest, plain, type ResourceView } from "../../policy/resource";
import type { Rule } from "../../policy/rule";
import { RULES } from "../../policy/rules";
import * as stacks from "./bad-stacks";
import { CANARY, type Example } from "./bad-stacks";
import { ALIKE_GOOD_STACKS, ALIKE_STACKS } from "./alike-stacks";
import { CLOUD_GOOD_STACKS, CLOUD_STACKS } from "./cloud-stacks";
import { FURTHER_GOOD_STACKS, FURTHER_STACKS } from "./further-stacks";
import { OBJECT_GOOD_STACKS, OBJECT_STACKS } from "./object-stacks";
import { TEAM_GOOD_STACKS, TEAM_STACKS } from "./team-stacks";

const BAD_STACKS = [
  ...stacks.BAD_STACKS,
  ...FURTHER_STACKS,
  ...OBJECT_STACKS,
  ...TEAM_STACKS,
  ...ALIKE_STACKS,
  ...CLOUD_STACKS,
];
const GOOD_STACKS = {
  ...stacks.GOOD_STACKS,
  ...FURTHER_GOOD_STACKS,
  ...OBJECT_GOOD_STACKS,
  ...TEAM_GOOD_STACKS,
  ...ALIKE_GOOD_STACKS,
  ...CLOUD_GOOD_STACKS,
};

/** Rules that a stack of one or two resources cannot keep, and those about what helm gets and renders, which this test hands in itself. */
const NOT_HERE = ["namespaces-closed", "deletion-protection", "releases-rendered", "chart-archives", "charts-pinned"];
const CHECKED = RULES.filter(({ name }) => !NOT_HERE.includes(name));

/** Every problem of a stack, with the rule that it breaks. */
function problems(stack: readonly Example[], rules: readonly Rule[] = CHECKED): { rule: string; problem: string }[] {
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
    expect(CHECKED.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual(["contract-retention"]);
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

/** The same value with another credential in the place of the canary, in base64 too. */
function planted<T>(value: T, credential: string): T {
  const put = (inner: unknown): unknown => {
    if (typeof inner === "string")
      return inner
        .replaceAll(CANARY, () => credential)
        .replaceAll(Buffer.from(CANARY).toString("base64"), () => Buffer.from(credential).toString("base64"));
    if (inner instanceof Secret) return new Secret(put(inner.value));
    if (Array.isArray(inner)) return inner.map(put);
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, put(each)]));
  };
  return put(value) as T;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const ALPHABETS: Readonly<Record<string, string>> = {
  "lower-case letters": LETTERS,
  digits: "0123456789",
  hex: "0123456789abcdef",
  "letters and digits": `${LETTERS}${LETTERS.toUpperCase()}0123456789`,
  signs: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
  "of the world": "абвгдежзийклмнöäüß密码安全",
};
const credentials = (alphabet: string): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: 6, maxLength: 24 });
/** Stacks in which a credential of this project's choice is planted, and what they say of it does not depend on its form. */
const PLANTED = BAD_STACKS.filter(({ stack }) => JSON.stringify(planted(stack, "")) !== JSON.stringify(stack));

/** What rules say whatever the credential is: a generated one may be a word of theirs, as fast-check's favourite `arguments` is. */
const WORDS = PLANTED.flatMap(({ stack }) => problems(stack).map(({ problem }) => problem)).join("\n");

describe("whatever the credential is", () => {
  it.each(Object.entries(ALPHABETS))("%s: no rule repeats it", (_, alphabet) => {
    fc.assert(
      fc.property(credentials(alphabet), fc.constantFrom(...PLANTED), (credential, { stack }) => {
        fc.pre(!WORDS.includes(credential));
        const said = problems(planted(stack, credential)).map(({ problem }) => problem);
        for (const form of [credential, Buffer.from(credential).toString("base64"), encodeURIComponent(credential)])
          expect(said.join("\n")).not.toContain(form);
      }),
      { numRuns: 150 },
    );
  });

  it("it is found, as long as it consists of letters and digits", () => {
    expect(PLANTED.length).toBeGreaterThan(25);
    fc.assert(
      fc.property(
        credentials(ALPHABETS["letters and digits"] ?? ""),
        fc.constantFrom(...PLANTED),
        (credential, { rule, stack }) => {
          expect(problems(planted(stack, credential)).map((each) => each.rule)).toContain(rule);
        },
      ),
      { numRuns: 300 },
    );
  });
});
