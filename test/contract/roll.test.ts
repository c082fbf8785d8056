import { AckPolicy, StorageType } from "nats";
import { describe, expect, it } from "vitest";
import { CONSUMER, STREAM } from "../../contract/facts";
import { inventoryOf, rollProblem, type Inventory } from "../../contract/roll";
import { inputsFor, startNatsServer, startNoetl, withManager } from "../support/nats";

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
const unasked = {
  kind: "unasked",
  why: expect.stringMatching(/What NATS holds could not be asked: no answer\.$/) as string,
};

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
    expect(rollProblem(found, ROLL)).toEqual({
      kind: "out of step",
      why: `This stops the NATS servers one by one, and not everything has its copies now: ${why}.`,
    }),
  );

  it("names five troubles at most", () => {
    const missing = ["A", "B", "C", "D", "E", "F", "G"];
    expect(rollProblem(inventory({ missing }), ROLL)?.why).toMatch(/stream E has no leader; and 2 more\.$/);
  });

  it("goes on where NATS cannot be asked: the update may be what brings it back", () =>
    expect(rollProblem("no answer", ROLL)).toBeUndefined());

  it("with fewer servers stops where one of those that go has a copy", () => {
    const groups = [group("stream A", peer("nats-1"), peer("nats-4"))];
    expect(rollProblem(inventory({ groups }), { before: 5, after: 3 })?.why).toContain(
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
    expect(rollProblem(inventory(), { before, after })).toEqual({
      kind: "drops",
      why: `${words}, which drops every stream that it holds, on disk too. These are now: NOETL_COMMANDS (3 messages), KV_sessions (1 message).`,
    }),
  );

  it("goes on where nothing is held, and stops where that could not be asked", () => {
    expect(rollProblem(inventory({ messages: {} }), { before: 1, after: 3 })).toBeUndefined();
    expect(rollProblem("no answer", { before: 1, after: 3 })).toEqual(unasked);
  });

  it("stays one: a restart of a lone server is announced, and refused by nobody", () =>
    expect(rollProblem(inventory(), { before: 1, after: 1 })).toBeUndefined());
});

describe("a cluster whose servers come to TLS among one another, or leave it", () => {
  const PARTS = { ...ROLL, parts: true };

  it("names what waits in memory; what is on disk stays", () =>
    expect(rollProblem(inventory(), PARTS)).toEqual({
      kind: "drops",
      why: expect.stringMatching(
        /each stream in memory is lost with all its copies\. These are now: NOETL_COMMANDS \(3 messages\)\.$/,
      ) as string,
    }));

  it("goes on where nothing waits there, and stops where a copy is not in step, as every roll does", () => {
    const messages = { KV_sessions: 1 };
    expect(rollProblem(inventory({ messages }), PARTS)).toBeUndefined();
    expect(rollProblem(inventory({ messages, missing: ["A"] }), PARTS)).toEqual({
      kind: "out of step",
      why: expect.stringContaining("stream A has no leader") as string,
    });
  });

  it("says where NATS could not be asked", () => expect(rollProblem("no answer", PARTS)).toEqual(unasked));
});

it("what is held counts, though a consumer has read it; of NoETL's commands only where one waits", async () => {
  const server = await startNatsServer();
  try {
    await startNoetl(server);
    await withManager(server, async (manager, connection) => {
      const jetstream = connection.jetstream();
      await manager.streams.add({ name: "READ", subjects: ["read"], storage: StorageType.Memory });
      await manager.consumers.add("READ", { durable_name: "reader", ack_policy: AckPolicy.Explicit });
      const sessions = await jetstream.views.kv("sessions", { storage: StorageType.Memory });
      await sessions.put("user", "token");
      const watcher = await sessions.watch();
      for await (const entry of watcher) if (entry.key === "user") break;
      for (const subject of [STREAM.subject, "read"]) await jetstream.publish(subject, "done");
      for (const [stream, consumer] of [
        [STREAM.name, CONSUMER.name],
        ["READ", "reader"],
      ] as const) {
        await (await (await jetstream.consumers.get(stream, consumer)).next())?.ackAck();
      }
      const held = { KV_sessions: 1, READ: 1 };
      expect(await inventoryOf(inputsFor(server))).toMatchObject({ messages: held });
      expect(await inventoryOf(inputsFor(server, { stream: "READ" }))).not.toHaveProperty("messages.READ");
      await jetstream.publish(STREAM.subject, "waits");
      // Both are in the stream, since it keeps what was acknowledged.
      expect(await inventoryOf(inputsFor(server))).toHaveProperty("messages", { ...held, [STREAM.name]: 2 });
    });
  } finally {
    await server.stop();
  }
});
