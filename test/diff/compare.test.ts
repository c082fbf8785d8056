import { describe, expect, it } from "vitest";
import { fieldChanges, formatPath, leaves, rawChanges } from "../../diff/compare";
import { Masker, Opaque } from "../../diff/mask";

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

/** Numbers from 0 up to `below`, the same at every run (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Json = string | number | boolean | Json[] | { [key: string]: Json };

function anyValue(pick: (below: number) => number, depth: number): Json {
  const kind = pick(depth > 0 ? 7 : 3);
  if (kind === 0) return pick(5);
  if (kind === 1) return ["a", "b", "two words", "line\nline", ""][pick(5)] ?? "";
  if (kind === 2) return pick(2) === 0;
  if (kind === 3) return Array.from({ length: pick(4) }, () => anyValue(pick, depth - 1));
  if (kind === 4) {
    const names = ["x", "y", "z", "w"].slice(0, pick(5));
    return names.map((name) => ({ name, inner: anyValue(pick, depth - 1) }));
  }
  return Object.fromEntries(
    Array.from({ length: pick(4) }, () => [["k", "l", "m.n", "o"][pick(4)] ?? "k", anyValue(pick, depth - 1)]),
  );
}

/** The scalars of a value as texts `path = value`; what was empty and is filled shows by what is in it. */
const leafTexts = (value: unknown): string[] =>
  leaves(value)
    .filter((leaf) => typeof leaf.value !== "object")
    .map((leaf) => `${formatPath(leaf.path)} = ${JSON.stringify(leaf.value)}`);

describe("for 2000 random pairs of values", () => {
  it("every leaf that only one of them has is a difference, and equal values have none", () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const pick = random(seed);
      const olds = { root: anyValue(pick, 4) };
      const news = pick(4) === 0 ? structuredClone(olds) : { root: anyValue(pick, 4) };
      const found = rawChanges(olds, news);
      if (JSON.stringify(olds) === JSON.stringify(news)) expect(found).toEqual([]);
      // What of the old is gone and what of the new has come, read from the differences alone.
      const gone = found.flatMap((change) => (change.op === "add" ? [] : [JSON.stringify(change.old)]));
      const come = found.flatMap((change) => (change.op === "remove" ? [] : [JSON.stringify(change.new)]));
      const [before, after] = [leafTexts(olds), leafTexts(news)];
      // An item of a list without names may only have moved.
      const reported = (leaf: string, others: readonly string[], values: readonly string[]): boolean => {
        const value = leaf.slice(leaf.indexOf(" = ") + 3);
        return values.includes(value) || others.some((other) => other.endsWith(` = ${value}`));
      };
      for (const leaf of before.filter((text) => !after.includes(text)))
        expect(reported(leaf, after, gone), `${seed}: ${leaf}`).toBe(true);
      for (const leaf of after.filter((text) => !before.includes(text)))
        expect(reported(leaf, before, come), `${seed}: ${leaf}`).toBe(true);
    }
  });
});
