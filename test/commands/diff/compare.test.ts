import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fieldChanges, leaves, rawChanges } from "../../../commands/diff/compare";
import { formatPath } from "../../../commands/diff/path";
import { Masker, Opaque } from "../../../contract/mask";

const masker = new Masker([], []);
const changes = (olds: unknown, news: unknown) =>
  fieldChanges(olds, news, masker).map(({ path, op, old, new: now }) => [op, path, old, now]);

describe("differences of two values", () => {
  it("are found at the leaves, sorted by key", () => {
    expect(changes({ b: 1, a: { x: 1 } }, { b: 2, a: { x: 1, y: [] } })).toEqual([
      ["add", "a.y", undefined, "[]"],
      ["change", "b", 1, 2],
    ]);
  });

  it("take null for absent, as Kubernetes does", () => {
    expect(changes({ a: null }, {})).toEqual([]);
    expect(changes({ a: 1 }, { a: null })).toEqual([["remove", "a", 1, undefined]]);
  });

  it("name the items of lists, and do not mind their order", () => {
    const env = (...pairs: [string, string][]) => ({ env: pairs.map(([name, value]) => ({ name, value })) });
    expect(changes(env(["A", "1"], ["B", "2"]), env(["B", "2"], ["A", "3"]))).toEqual([
      ["change", "env[A].value", "1", "3"],
    ]);
    expect(changes(env(["A", "1"]), env(["A", "1"], ["B", "2"]))).toEqual([
      ["add", "env[B].name", undefined, "B"],
      ["add", "env[B].value", undefined, "2"],
    ]);
  });

  it("tell ports of the same number apart by their protocol", () => {
    const ports = (udp: number) => ({
      ports: [
        { containerPort: 53, protocol: "UDP", hostPort: udp },
        { containerPort: 53, hostPort: 1 },
      ],
    });
    expect(changes(ports(1), ports(2))).toEqual([["change", "ports[53/UDP].hostPort", 1, 2]]);
  });

  it("keep the order where it means something", () => {
    const init = (...names: string[]) => ({ initContainers: names.map((name) => ({ name })) });
    expect(changes(init("a", "b"), init("b", "a"))).toEqual([["change", "initContainers", "a, b", "b, a"]]);
    expect(changes({ args: ["-a", "-b"] }, { args: ["-b", "-a"] })).not.toEqual([]);
  });

  it("show one inserted argument as one addition", () => {
    expect(changes({ args: ["-a", "-c"] }, { args: ["-a", "-b", "-c"] })).toEqual([
      ["add", "args[1]", undefined, "-b"],
    ]);
  });

  it("show a value of another kind as removal and addition", () => {
    expect(changes({ a: { b: 1 } }, { a: "x" })).toEqual([
      ["remove", "a.b", 1, undefined],
      ["add", "a", undefined, "x"],
    ]);
  });

  it("show the lines that differ in a long text", () => {
    const text = (port: number) => `a\nb\nc\nd\nport: ${port}\ne\n`;
    const [change] = fieldChanges({ conf: text(1) }, { conf: text(2) }, masker);
    expect(change?.lines).toEqual([" c", " d", "-port: 1", "+port: 2", " e"]);
  });

  it("say that a secret changed where nothing else can be shown", () => {
    expect(fieldChanges({ k: new Opaque("one") }, { k: new Opaque("two") }, masker)).toEqual([
      { path: "k", op: "change", old: "(secret)", new: "(secret)", note: "secret changed" },
    ]);
    expect(fieldChanges({ k: new Opaque("one") }, { k: new Opaque("one") }, masker)).toEqual([]);
  });

  it("mark what every release of a chart changes, but not where it breaks the upgrade", () => {
    const object = (version: string) => ({
      metadata: { labels: { "helm.sh/chart": version } },
      spec: { selector: { matchLabels: { "helm.sh/chart": version } } },
    });
    expect(fieldChanges(object("a-1"), object("a-2"), masker).map(({ path, routine }) => [path, routine])).toEqual([
      ['metadata.labels["helm.sh/chart"]', "labels"],
      ['spec.selector.matchLabels["helm.sh/chart"]', undefined],
    ]);
  });

  it("hide checksums, which may be those of Secrets", () => {
    const object = (sum: string) => ({ annotations: { "checksum/secret": sum.repeat(64) } });
    expect(fieldChanges(object("a"), object("b"), masker)).toEqual([
      {
        path: 'annotations["checksum/secret"]',
        op: "change",
        old: "(checksum)",
        new: "(checksum)",
        note: "changed",
        routine: "restart",
      },
    ]);
  });
});

const ITEM_NAMES = ["x", "y", "z", "w"];
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.nat(5),
    fc.constantFrom("a", "b", "two words", "line\nline", ""),
    fc.boolean(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc
      .tuple(fc.subarray(ITEM_NAMES), fc.array(tie("value"), { minLength: 4, maxLength: 4 }))
      .map(([names, values]) => names.map((name, index) => ({ name, inner: values[index] }))),
    fc.dictionary(fc.constantFrom("k", "l", "m.n", "o"), tie("value"), { maxKeys: 4 }),
  ),
}));

/** The scalars of a value as texts `path = value`; what was empty and is filled shows by what is in it. */
const leafTexts = (value: unknown): string[] =>
  leaves(value)
    .filter((leaf) => typeof leaf.value !== "object")
    .map((leaf) => `${formatPath(leaf.path)} = ${JSON.stringify(leaf.value)}`);

describe("for random pairs of values", () => {
  it("every scalar that only one of them has is a difference", () => {
    fc.assert(
      fc.property(anyValue, anyValue, (a, b) => {
        const [olds, news] = [{ root: a }, { root: b }];
        const found = rawChanges(olds, news);
        const gone = found.flatMap((change) => (change.op === "add" ? [] : [JSON.stringify(change.old)]));
        const come = found.flatMap((change) => (change.op === "remove" ? [] : [JSON.stringify(change.new)]));
        const [before, after] = [leafTexts(olds), leafTexts(news)];
        // An item of a list without names may only have moved.
        const reported = (leaf: string, others: readonly string[], values: readonly string[]): boolean => {
          const value = leaf.slice(leaf.indexOf(" = ") + 3);
          return values.includes(value) || others.some((other) => other.endsWith(` = ${value}`));
        };
        for (const leaf of before.filter((text) => !after.includes(text)))
          expect([leaf, reported(leaf, after, gone)]).toEqual([leaf, true]);
        for (const leaf of after.filter((text) => !before.includes(text)))
          expect([leaf, reported(leaf, before, come)]).toEqual([leaf, true]);
      }),
      { numRuns: 1000 },
    );
  });

  it("equal values have no difference", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(rawChanges(value, structuredClone(value))).toEqual([]);
      }),
    );
  });
});
