import { describe, expect, it } from "vitest";
import { rollProblem, type Inventory } from "../../contract/roll";

const peer = (name: string, changes: object = {}) => ({
  name,
  current: true,
  offline: false,
  active: 1,
  lag: 0,
  ...changes,
});
const group = (of: string, ...peers: ReturnType<typeof peer>[]) => ({
  of,
  cluster: { name: "nats", leader: "nats-0", replicas: peers.length > 0 ? peers : [peer("nats-1"), peer("nats-2")] },
});
const inventory = (changes: Partial<Inventory> = {}): Inventory => ({
  groups: [group("stream NOETL_COMMANDS"), group("consumer noetl_worker_pool of NOETL_COMMANDS")],
  missing: [],
  messages: { NOETL_COMMANDS: 3, KV_sessions: 1 },
  inMemory: ["NOETL_COMMANDS", "EMPTY"],
  ...changes,
});
const ROLL = { before: 3, after: 3 };

describe("a roll of a cluster's servers", () => {
  it("is safe where every group has a leader and all its copies in step, with messages or without", () =>
    expect(rollProblem(inventory(), ROLL)).toBeUndefined());

  it.each([
    [
      "a copy that is not in step",
      inventory({ groups: [group("stream A", peer("nats-1", { current: false }))] }),
      "stream A: nats-1 is not in step",
    ],
    [
      "a server that is away",
      inventory({ groups: [group("consumer C of A", peer("nats-2", { offline: true }))] }),
      "consumer C of A: nats-2 is offline",
    ],
    [
      "a group without a leader",
      inventory({ groups: [{ of: "stream A", cluster: { name: "nats", replicas: [] } }] }),
      "stream A: no leader",
    ],
    ["a stream that nobody answers for", inventory({ missing: ["A"] }), "stream A has no leader"],
  ])("stops at %s", (_, found, why) =>
    expect(rollProblem(found, ROLL)).toBe(
      `This stops the NATS servers one by one, and not everything has its copies now: ${why}.`,
    ),
  );

  it("names five troubles at most", () => {
    const missing = ["A", "B", "C", "D", "E", "F", "G"];
    expect(rollProblem(inventory({ missing }), ROLL)).toMatch(/stream E has no leader; and 2 more\.$/);
  });

  it("goes on where NATS cannot be asked: the update may be what brings it back", () =>
    expect(rollProblem("no answer", ROLL)).toBeUndefined());

  it("with fewer servers stops where one of those that go has a copy", () => {
    const groups = [group("stream A", peer("nats-1"), peer("nats-4"))];
    expect(rollProblem(inventory({ groups }), { before: 5, after: 3 })).toContain(
      "stream A: nats-4 would be removed with its copy",
    );
    expect(rollProblem(inventory({ groups }), { before: 5, after: 5 })).toBeUndefined();
  });
});

describe("a lone server that becomes a cluster, or back", () => {
  it.each([
    [1, 3, "A lone NATS server becomes a cluster"],
    [3, 1, "A cluster of NATS servers becomes a lone server"],
  ])("stops from %i to %i where messages are held, and names them", (before, after, words) =>
    expect(rollProblem(inventory(), { before, after })).toBe(
      `${words}, which drops every stream that it holds, on disk too. These are now: NOETL_COMMANDS (3 messages), KV_sessions (1 message).`,
    ),
  );

  it("goes on where nothing is held, and stops where that could not be asked", () => {
    expect(rollProblem(inventory({ messages: {} }), { before: 1, after: 3 })).toBeUndefined();
    expect(rollProblem("no answer", { before: 1, after: 3 })).toMatch(/What it holds could not be asked: no answer\.$/);
  });

  it("stays one: a restart of a lone server is announced, and refused by nobody", () =>
    expect(rollProblem(inventory(), { before: 1, after: 1 })).toBeUndefined());
});

describe("a cluster whose servers come to TLS among one another, or leave it", () => {
  const PARTS = { ...ROLL, parts: true };

  it("names what waits in memory; what is on disk stays", () =>
    expect(rollProblem(inventory(), PARTS)).toMatch(
      /each stream in memory is lost with all its copies\. These are now: NOETL_COMMANDS \(3 messages\)\.$/,
    ));

  it("goes on where nothing waits there, and stops where a copy is not in step, as every roll does", () => {
    const messages = { KV_sessions: 1 };
    expect(rollProblem(inventory({ messages }), PARTS)).toBeUndefined();
    expect(rollProblem(inventory({ messages, missing: ["A"] }), PARTS)).toContain("stream A has no leader");
  });

  it("says where NATS could not be asked", () =>
    expect(rollProblem("no answer", PARTS)).toMatch(/What it holds could not be asked: no answer\.$/));
});
