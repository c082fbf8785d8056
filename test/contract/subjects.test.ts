import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NatsConnection } from "nats";
import { publishedSubject, storedSubjects, subjectsCover, subjectsOverlap } from "../../contract/subjects";
import { natsClient, startNatsServer, type NatsServer } from "../support/nats";

/** All sequences of one to `length` of the tokens, joined with dots. */
function sequences(tokens: readonly string[], length: number): string[] {
  const exact = (count: number): string[] =>
    count === 1 ? [...tokens] : exact(count - 1).flatMap((head) => tokens.map((token) => `${head}.${token}`));
  return Array.from({ length }, (_, index) => exact(index + 1)).flat();
}

const isPattern = (text: string): boolean => !text.split(".").slice(0, -1).includes(">");

// The patterns never name `z`: it stands for every token that nobody thought of, which is what a wildcard is about.
const PATTERNS = sequences(["a", "b", "*", ">"], 3).filter(isPattern);
const SUBJECTS = sequences(["a", "b", "z"], 5);

/** Numbers that look random and are the same in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("subjectsCover", () => {
  it.each([
    [["noetl.commands"], "noetl.commands", true],
    [["noetl.>"], "noetl.commands", true],
    [["noetl.*"], "noetl.commands", true],
    [["*.commands"], "noetl.commands", true],
    [[">"], "noetl.commands", true],
    [["noetl.commands", "noetl.commands.>"], "noetl.commands", true],
    [["foo.>"], "foo", false],
    [["foo.>"], "foo.>", true],
    [["foo.*"], "foo.>", false],
    [["foo.>"], "foo.*", true],
    [["foo.*", "foo.*.>"], "foo.>", true],
    [["foo.*", "foo.*.*.>"], "foo.>", false],
    [["foo.*", "foo.*.*", "foo.*.*.>"], "foo.>", true],
    [["foo.a", "foo.b"], "foo.*", false],
    [["foo.*.a", "foo.b.*"], "foo.*.*", false],
    [["noetl.command"], "noetl.commands", false],
    [["Noetl.Commands"], "noetl.commands", false],
    [["noetl.commands.>"], "noetl.commands", false],
    [["noetl"], "noetl.commands", false],
    [["*"], "noetl.commands", false],
    [["noetl.comm*"], "noetl.commands", false],
    [["noetl.comm*"], "noetl.comm*", true],
    [[], "noetl.commands", false],
  ])("%j covers %s: %s", (patterns, subject, expected) => {
    expect(subjectsCover(patterns, subject)).toBe(expected);
  });
});

describe("subjectsOverlap", () => {
  it.each([
    ["a.*", "*.b", true],
    ["a.>", "a", false],
    ["a.>", "*.*.c", true],
    ["a", "b", false],
    ["a.b", "a.b.c", false],
    [">", "x", true],
  ])("%s and %s: %s", (a, b, expected) => {
    expect(subjectsOverlap(a, b)).toBe(expected);
    expect(subjectsOverlap(b, a)).toBe(expected);
  });
});

describe("storedSubjects", () => {
  it.each([
    ["noetl.commands", undefined, ["noetl.commands"]],
    ["noetl.commands", { src: "other.>", dest: "moved.>" }, ["noetl.commands"]],
    ["noetl.commands", { src: "noetl.>", dest: "moved.>" }, ["moved.commands"]],
    ["noetl.commands", { src: "", dest: "moved.>" }, ["moved.noetl.commands"]],
    ["noetl.commands", { src: "noetl.*", dest: "moved.{{wildcard(1)}}" }, ["moved.commands"]],
    ["noetl.commands", { src: "*.*", dest: "$2.$1" }, ["commands.noetl"]],
    ["noetl.commands", { src: "noetl.*", dest: "moved.{{partition(3,1)}}" }, ["moved.*"]],
    ["noetl.commands", { src: "noetl.*", dest: "moved.{{split(1,-)}}" }, ["moved.>"]],
    ["noetl.*", { src: "noetl.commands", dest: "moved" }, ["noetl.*", "moved"]],
    ["noetl.>", { src: "noetl.*", dest: "moved.$1" }, ["noetl.>", "moved.*"]],
    ["noetl.commands", { src: "", dest: "" }, ["noetl.commands"]],
  ])("%s through %j: %j", (subject, transform, expected) => {
    expect(storedSubjects(subject, transform)).toEqual(expected);
  });
});

describe("against what nats-server delivers", () => {
  let server: NatsServer;
  let connection: NatsConnection;
  /** For every pattern the subjects that the server delivered to a subscription on it. */
  const delivered = new Map<string, Set<string>>();

  beforeAll(async () => {
    server = await startNatsServer({ config: "" });
    connection = await natsClient(server);
    for (const pattern of PATTERNS) {
      const subjects = new Set<string>();
      delivered.set(pattern, subjects);
      connection.subscribe(pattern, { callback: (_error, message) => subjects.add(message.subject) });
    }
    await connection.flush();
    for (const subject of SUBJECTS) connection.publish(subject);
    await connection.flush();
  });

  afterAll(async () => {
    await connection.close();
    await server.stop();
  });

  const namedBy = (pattern: string): Set<string> => delivered.get(pattern) ?? new Set();

  it("has generated enough to mean something", () => {
    expect(PATTERNS.length * SUBJECTS.length).toBeGreaterThan(18_000);
    expect(namedBy("a.*").size).toBe(3);
    expect(namedBy(">").size).toBe(SUBJECTS.length);
  });

  it("matches every literal subject as the server does", () => {
    const wrong = PATTERNS.flatMap((pattern) =>
      SUBJECTS.filter((subject) => subjectsCover([pattern], subject) !== namedBy(pattern).has(subject)).map(
        (subject) => `${pattern} ${subject}`,
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("finds two patterns to overlap where the server delivers one subject to both", () => {
    const wrong = PATTERNS.flatMap((a) =>
      PATTERNS.filter((b) => subjectsOverlap(a, b) !== [...namedBy(a)].some((subject) => namedBy(b).has(subject))).map(
        (b) => `${a} ${b}`,
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("finds a set of patterns to cover another where the server delivers all of its subjects to the set", () => {
    const below = generator(20_240_601);
    const anyPattern = (): string => PATTERNS[below(PATTERNS.length)] ?? ">";
    let covered = 0;
    for (let round = 0; round < 6_000; round++) {
      const subject = anyPattern();
      const patterns = Array.from({ length: below(5) }, anyPattern);
      const byServer = [...namedBy(subject)].every((item) => patterns.some((pattern) => namedBy(pattern).has(item)));
      if (byServer) covered++;
      expect(subjectsCover(patterns, subject), `${patterns.join(" ")} covers ${subject}`).toBe(byServer);
    }
    expect(covered).toBeGreaterThan(500);
  });

  it("tells on which subject was published what a stream has moved, where that can be told", () => {
    const subjects = sequences(["a", "b"], 3);
    const told = (src: string, dest: string): number => {
      let count = 0;
      for (const subject of subjects) {
        const [stored = ""] = storedSubjects(subject, { src, dest });
        if (!subjectsCover([src || ">"], subject)) continue;
        const published = publishedSubject(stored, { src, dest });
        expect([subject, undefined]).toContain(published);
        if (published !== undefined) count++;
      }
      return count;
    };
    expect(told("a.b", "c.d")).toBe(1);
    expect(told("a.>", "c.d.>")).toBe(6);
    expect(told("", "c.>")).toBe(14);
    expect([told("a.>", "c"), told("a.*", "c.{{wildcard(1)}}"), told("a.b", "c.{{partition(3,1)}}")]).toEqual([
      0, 0, 0,
    ]);
    expect(publishedSubject("c.>", { src: "a.b", dest: "c.d" })).toBe("a.b");
    expect(publishedSubject("c.d.e", { src: "a.>", dest: "c.>" })).toBe("a.d.e");
    expect(publishedSubject("x", { src: "a.>", dest: "c.>" })).toBeUndefined();
  });
});
