/** Messages as other clients write them, and what a repair does with the place of each. */
import { afterEach, describe, expect, it } from "vitest";
import { AckPolicy, DeliverPolicy, type StreamConfig } from "nats";
import { rawPublisher, type RawMessage, type RawPublisher } from "./raw-publisher";
import {
  contents,
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  strictInputs,
  workersConsumer,
  workQueue,
} from "./repair-support";
import { addStream, createStream, sleep, until, withManager, type NatsServer } from "../../../support/nats";

const { stream: STREAM, subject: SUBJECT, consumer: CONSUMER } = DEFAULT_NAMES;

let server: NatsServer;
let folder: string;
forEachRepair((bed) => ({ server, folder } = bed));

const inputs = () => repairInputs(server);
const sorted = (values: readonly string[]): string[] => [...values].sort();

const running: RawPublisher[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

function publishing(make: (number: number) => Omit<RawMessage, "subject">): RawPublisher {
  const live = rawPublisher(server, (number) => ({ subject: SUBJECT, ...make(number) }));
  running.push(live);
  return live;
}

/** A worker takes some commands and acknowledges those that `which` says. */
async function work(name: string, count: number, which: (index: number) => boolean = () => true): Promise<void> {
  await withManager(server, async (_manager, connection) => {
    const consumer = await connection.jetstream().consumers.get(STREAM, name);
    let index = 0;
    for await (const message of await consumer.fetch({ max_messages: count, expires: 5_000 })) {
      if (which(index++)) await message.ackAck();
      else message.nak();
    }
    await connection.flush();
  });
}

describe("what is published while a stream is replaced", () => {
  it.each<[string, string | Buffer]>([
    ["names that come twice, with another between", "NATS/1.0\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n"],
    ["names and values that are not ASCII", Buffer.from("NATS/1.0\r\nStraße: Größe ✓\r\n\r\n")],
    ["values that are not UTF-8", "NATS/1.0\r\nX: \xff\xfe\xe4\r\n\r\n"],
    ["empty values", "NATS/1.0\r\nEmpty: \r\nNone:\r\n\r\n"],
    ["no header in the block", "NATS/1.0\r\n\r\n"],
    ["names with blanks", "NATS/1.0\r\nmy header: 1\r\n\r\n"],
    ["500 headers", `NATS/1.0\r\n${Array.from({ length: 500 }, (_, each) => `H${each}: ${each}\r\n`).join("")}\r\n`],
    ["a line without a colon", "NATS/1.0\r\nnonsense\r\nA: b\r\n\r\n"],
  ])("%s: none is refused, lost or doubled", async (_what, head) => {
    await workQueue(server, numbered(70));
    const live = publishing((number) => ({ head, body: `live-${number}` }));
    const { outcome, said } = await runRepair(inputs(), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    expect(said.join("\n")).not.toContain("delivered twice");
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(70), ...live.accepted]));
  });

  it("what a check publishes, and nobody stores, did not fall between two streams", async () => {
    await workQueue(server, numbered(70));
    const head = "NATS/1.0\r\nNats-Expected-Stream: NONE\r\n\r\n";
    const live = publishing((number) => ({ head, body: `check-${number}` }));
    const { outcome, said } = await runRepair(inputs(), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(said.join("\n")).not.toContain("fell between");
    expect(await handedOut(server)).toEqual(numbered(70));
  });

  it.each([
    ["at once", 1],
    ["40 publishes later", 40],
    ["400 publishes later, when all is over for some", 400],
  ])("tried again with its Nats-Msg-Id %s: each is stored once", async (_when, distance) => {
    await workQueue(server, numbered(70));
    const live = publishing((number) => {
      const id = Math.floor((number - 1) / (2 * distance)) * distance + ((number - 1) % distance);
      return { head: `NATS/1.0\r\nNats-Msg-Id: id-${id}\r\n\r\n`, body: `live-${id}` };
    });
    await sleep(300);
    const { outcome, said } = await runRepair(inputs(), folder);
    await sleep(distance * 3);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    expect(said.join("\n")).not.toContain("delivered twice");
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(70), ...new Set(live.accepted)]));
  });

  it("a stream that stored it under another subject has it, and it does not come twice", async () => {
    await workQueue(server, []);
    await withManager(server, async (manager) => {
      const { config } = await manager.streams.info(STREAM);
      const transform = { src: "noetl.*", dest: "stored.{{wildcard(1)}}" };
      await manager.streams.update(STREAM, { ...config, subject_transform: transform });
    });
    const live = await publisher(server);
    await sleep(200);
    const { outcome, said, intents } = await runRepair(inputs(), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    // What the old one has stored is in the backup, as the plan said; nothing of it was taken for lost between the streams.
    expect(intents[0]?.losses.join()).toContain("on stored.commands, which the new stream does not store");
    const saved = Number(/(\d+) messages not written back/.exec(said.join("\n"))?.[1]);
    expect((await handedOut(server)).length + saved).toBe(live.accepted.length);
  });

  it("what the old stream took from another one is written back, and handed out once", async () => {
    await withManager(server, async (manager, connection) => {
      await manager.streams.add({ name: "ORIGIN", subjects: ["origin"], storage: "memory" as StreamConfig["storage"] });
      for (const body of numbered(5, "sourced")) await connection.jetstream().publish("origin", body);
    });
    const sources = [{ name: "ORIGIN", subject_transforms: [{ src: "origin", dest: SUBJECT }] }];
    await workQueue(server, numbered(3), DEFAULT_NAMES, { sources });
    await until("what it takes from the other one", async () =>
      (await contents(server)).length === 8 ? true : undefined,
    );
    const { outcome, said } = await runRepair(inputs(), folder);
    expect({ outcome, said: said.join("\n") }).toEqual({
      outcome: "repaired",
      said: expect.not.stringContaining("not written back") as string,
    });
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(3), ...numbered(5, "sourced")]));
  });

  it("what the old stream refuses because it is full stays refused", async () => {
    await workQueue(server, numbered(10), DEFAULT_NAMES, { max_msgs: 10, discard: "new" as StreamConfig["discard"] });
    const live = await publisher(server);
    await sleep(100);
    const { outcome } = await runRepair(inputs(), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused.length).toBeGreaterThan(0);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(10), ...live.accepted]));
  });
});

describe("what a stream holds", () => {
  it("thousands of messages, some without a byte, with gaps of one and of thousands", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
      for (let start = 0; start < 6_000; start += 500) {
        const bodies = Array.from({ length: 500 }, (_, each) => (each % 7 === 0 ? "" : `m${start + each}`));
        await Promise.all(bodies.map((body) => connection.jetstream().publish(SUBJECT, body)));
      }
      const gone = Array.from({ length: 6_000 }, (_, each) => each + 1).filter(
        (sequence) => sequence % 2 === 0 || (sequence > 1_000 && sequence <= 5_000),
      );
      await Promise.all(gone.map((sequence) => manager.streams.deleteMessage(STREAM, sequence, false)));
    });
    const before = await contents(server);
    expect(before).toHaveLength(1_000);
    expect((await runRepair(strictInputs(server), folder)).outcome).toBe("repaired");
    expect(await contents(server)).toEqual(before);
    expect(await handedOut(server)).toEqual(before);
  });

  it("what is purged while it is saved does not come back", async () => {
    await workQueue(server, numbered(300));
    let purge: Promise<unknown> | undefined;
    const { outcome } = await runRepair(inputs(), folder, {
      at: (point) => {
        if (point === "frozen") purge = withManager(server, (manager) => manager.streams.purge(STREAM));
      },
    });
    await purge;
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual([]);
  });

  it("pools at different places, one with commands that come again: each goes on at its own", async () => {
    const pools = ["a", "b"].map((name) => ({ name: `pool_${name}`, filters: [`noetl.commands.${name}`] }));
    const [a = "", b = ""] = pools.flatMap(({ filters }) => filters);
    await withManager(server, async (manager, connection) => {
      await createStream(manager, { name: STREAM, subjects: ["noetl.>"], max_age: 3600e9 });
      for (const { name, filters } of pools) {
        await manager.consumers.add(STREAM, workersConsumer(name, { filter_subject: filters[0] }));
      }
      for (const body of numbered(30)) {
        for (const subject of [a, b]) await connection.jetstream().publish(subject, `${body} ${subject}`);
      }
    });
    await work("pool_a", 10);
    await work("pool_b", 20, (index) => index % 2 === 1);
    const live = await publisher(server, a);
    const declared = repairInputs(server, DEFAULT_NAMES, { consumers: pools, publishes: [a, b], strict: true });
    const { outcome } = await runRepair(declared, folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    const of = (subject: string, from: number) =>
      numbered(30)
        .slice(from)
        .map((body) => `${body} ${subject}`);
    const ofA = await handedOut(server, { ...DEFAULT_NAMES, consumer: "pool_a" });
    expect(sorted(ofA)).toEqual(sorted([...of(a, 10), ...live.accepted]));
    // Which were acknowledged behind one that was not NATS does not tell: they come again, as the plan says.
    expect(await handedOut(server, { ...DEFAULT_NAMES, consumer: "pool_b" })).toEqual(of(b, 0));
  });
});

describe("the retention that is wanted", () => {
  it("a work queue: what was acknowledged is not in it", async () => {
    const wanted = repairInputs(server, DEFAULT_NAMES, { expect: { retention: "workqueue", deliverPolicy: "all" } });
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
      for (const body of numbered(10)) await connection.jetstream().publish(SUBJECT, body);
    });
    await work(CONSUMER, 4);
    const live = await publisher(server);
    const { outcome } = await runRepair(wanted, folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(10).slice(4), ...live.accepted]));
  });

  it("interest: each consumer has what it had not acknowledged", async () => {
    const wanted = repairInputs(server, DEFAULT_NAMES, { expect: { retention: "interest" } });
    const few = { max_ack_pending: 30 };
    await withManager(server, async (manager, connection) => {
      const retention = "interest" as StreamConfig["retention"];
      await addStream(manager, { retention, consumer_limits: few });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, few));
      const all = { ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All };
      await manager.consumers.add(STREAM, { durable_name: "audit", ...all, ...few });
      for (const body of numbered(10)) await connection.jetstream().publish(SUBJECT, body);
    });
    await work(CONSUMER, 4);
    await work("audit", 7);
    const live = await publisher(server);
    const { outcome } = await runRepair(wanted, folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(10).slice(4), ...live.accepted]));
    const audit = await handedOut(server, { ...DEFAULT_NAMES, consumer: "audit" });
    expect(sorted(audit)).toEqual(sorted([...numbered(10).slice(7), ...live.accepted]));
  });
});

describe("a consumer that is made new", () => {
  it.each<[string, Partial<StreamConfig>, string]>([
    ["no longer has", { subjects: [SUBJECT, "old.commands"] }, "old.commands"],
    ["gave another name", { subject_transform: { src: SUBJECT, dest: "old.commands" } }, SUBJECT],
  ])("on a stream with messages on a subject that it %s: they stay, which is said", async (_what, changes, subject) => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager, changes);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(2, "old")) await connection.jetstream().publish(subject, body);
      const { config } = await manager.streams.info(STREAM);
      await manager.streams.update(STREAM, { ...config, subjects: [SUBJECT], subject_transform: undefined });
      for (const body of numbered(3)) await connection.jetstream().publish(SUBJECT, body);
    });
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(said.join("\n")).toContain(`2 messages on old.commands, which stream ${STREAM} no longer stores`);
    expect(await handedOut(server)).toEqual(numbered(3));
    expect(await contents(server)).toEqual([...numbered(2, "old"), ...numbered(3)]);
  });
});
