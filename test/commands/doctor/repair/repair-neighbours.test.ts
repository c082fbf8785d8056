/** Streams beside NoETL's: that hang on it, that feed it, that have a repair's names or its subject, or that somebody removes. */
import { afterEach, describe, expect, it } from "vitest";
import { StorageType, type StreamConfig } from "nats";
import { ensureContract, EnsureRefused } from "../../../../contract/ensure";
import { holdingStream, type Point } from "../../../../commands/doctor/repair";
import { noteOf, trialStream } from "../../../../commands/doctor/repair/holding";
import { lockStream } from "../../../../commands/doctor/repair/lock";
import {
  contents,
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  killedAt,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  strictInputs,
  workersConsumer,
  workQueue,
  type Publisher,
} from "./repair-support";
import { createStream, rejection, sleep, until, withManager, type NatsServer } from "../../../support/nats";

const { stream: STREAM, subject: SUBJECT, consumer: CONSUMER } = DEFAULT_NAMES;

let server: NatsServer;
let folder: string;
forEachRepair((bed) => ({ server, folder } = bed));

const inputs = () => repairInputs(server);
const sorted = (values: readonly string[]): string[] => [...values].sort();
const exists = (name: string) =>
  withManager(server, (manager) =>
    manager.streams.info(name).then(
      () => true,
      () => false,
    ),
  );

const running: Publisher[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

async function publishing(subject?: string): Promise<Publisher> {
  const live = await publisher(server, subject);
  running.push(live);
  return live;
}

describe("streams that take from it", () => {
  it("are named before the question, with what becomes of them", async () => {
    await workQueue(server, numbered(40), DEFAULT_NAMES, { retention: "limits" as StreamConfig["retention"] });
    await withManager(server, async (manager) => {
      await manager.streams.add({ name: "MIRROR", mirror: { name: STREAM } });
      await manager.streams.add({ name: "COLLECTED", sources: [{ name: STREAM }] });
      await manager.streams.purge(STREAM, { keep: 5 });
    });
    const { outcome, intents } = await runRepair(strictInputs(server), folder);
    expect(outcome).toBe("repaired");
    const losses = intents[0]?.losses.join("\n");
    expect(losses).toContain("stream MIRROR mirrors it and goes on by number");
    expect(losses).toContain("stream COLLECTED takes from it, and gets once more what is written back");
  });
});

describe("streams that it takes from", () => {
  const feeds = [{ name: "EDGE" }];

  it.each(["limits", "workqueue"])("never rest, and the repair comes to its end: %s", async (retention) => {
    await withManager(server, (manager) => createStream(manager, { name: "EDGE", subjects: ["edge.>"] }));
    const changes = { retention: retention as StreamConfig["retention"], sources: feeds };
    await workQueue(server, numbered(5), DEFAULT_NAMES, changes);
    await publishing("edge.1");
    await sleep(200);
    const { outcome, intents } = await runRepair(strictInputs(server), folder);
    expect(outcome).toBe("repaired");
    expect(intents[0]?.broken.join()).toContain("stream-sources: found EDGE, expected no sources");
    expect(sorted(await handedOut(server))).toEqual(numbered(5));
  });

  it.each(["limits", "workqueue"])("feed it again where the repair is given up: %s", async (retention) => {
    await withManager(server, (manager) => createStream(manager, { name: "EDGE", subjects: ["edge.>"] }));
    const changes = { retention: retention as StreamConfig["retention"], sources: feeds };
    await workQueue(server, numbered(5), DEFAULT_NAMES, changes);
    const live = await publishing("edge.1");
    await sleep(200);
    const ended = runRepair(strictInputs(server), folder, {
      at: (point) => {
        if (point === "saved") throw new Error("it stops here");
      },
    });
    expect((await rejection(ended)).message).toContain("is as it was");
    await live.stop();
    const wanted = sorted([...numbered(5), ...live.accepted]);
    await until("all that was fed", async () => {
      const found = await contents(server);
      return found.length >= wanted.length || undefined;
    });
    expect(sorted(await contents(server))).toEqual(wanted);
  });
});

it.each(["workqueue", "limits"])("who listens to what it republishes hears every publish, %s", async (retention) => {
  const changes = {
    retention: retention as StreamConfig["retention"],
    republish: { src: "noetl.>", dest: "copy.>" },
    description: "commands",
    metadata: { owner: "us" },
    allow_direct: true,
  };
  await workQueue(server, numbered(70), DEFAULT_NAMES, changes);
  const heard: string[] = [];
  await withManager(server, async (manager, connection) => {
    const callback = (_error: unknown, message: { data: Uint8Array }) =>
      void heard.push(Buffer.from(message.data).toString());
    connection.subscribe("copy.>", { callback });
    await connection.flush();
    const live = await publishing();
    const { outcome } = await runRepair(strictInputs(server), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    await connection.flush();
    expect(live.accepted.filter((body) => !heard.includes(body))).toEqual([]);
    expect(heard.filter((body) => body.startsWith("command"))).toEqual([]);
    const { config } = await manager.streams.info(STREAM);
    const { republish, description, allow_direct: direct } = changes;
    expect(config).toMatchObject({ republish, description, allow_direct: direct, metadata: { owner: "us" } });
  });
});

it("a stream with more subjects than fit into a description is replaced, and another machine can go on with it", async () => {
  const subjects = [SUBJECT, ...Array.from({ length: 300 }, (_, each) => `noetl.other.application.${each}.>`)];
  await workQueue(server, numbered(3), DEFAULT_NAMES, { subjects });
  await killedAt(inputs(), folder, "saved");
  const holding = await withManager(server, (manager) => manager.streams.info(holdingStream(STREAM)));
  expect(noteOf(holding)?.subjects).toEqual(subjects);
  expect((await runRepair(inputs(), `${folder}-elsewhere`)).outcome).toBe("repaired");
  const { config } = await withManager(server, (manager) => manager.streams.info(STREAM));
  expect(sorted(config.subjects ?? [])).toEqual(sorted(subjects));
  expect(await handedOut(server)).toEqual(numbered(3));
});

describe("another stream that is given the subject meanwhile", () => {
  it("is named with the way out, after which the repair goes on", async () => {
    await workQueue(server, numbered(5));
    await killedAt(inputs(), folder, "removed");
    await withManager(server, async (manager) => {
      await manager.streams.delete(holdingStream(STREAM));
      await createStream(manager, { name: "ARCHIVE", subjects: ["noetl.>"] });
    });
    const { message } = await rejection(runRepair(inputs(), folder));
    expect(message).toContain(
      "ARCHIVE has been given them meanwhile: take what is in it and remove it (nats stream rm ARCHIVE)",
    );
    await withManager(server, (manager) => manager.streams.delete("ARCHIVE"));
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(5));
  });
});

describe("a holding stream that somebody removes", () => {
  it.each<[Point, number]>([
    ["saved", 1],
    ["removed", 1],
    ["moving", 2],
    ["opening", 1],
    ["opened", 1],
    ["draining", 1],
  ])("after %s (%i): what is published since is delivered", async (point, times) => {
    await workQueue(server, numbered(70));
    const first = await publisher(server, SUBJECT, { every: 1 });
    await killedAt(inputs(), folder, point, times);
    await sleep(100);
    await first.stop();
    await withManager(server, (manager) => manager.streams.delete(holdingStream(STREAM)).catch(() => false));
    // From the moment on that the repair, which is run again, has made another.
    let live: Promise<Publisher> | undefined;
    const { outcome } = await runRepair(inputs(), folder, {
      at: (each) => {
        if (["created", "subscribing", "moving", "opening", "opened"].includes(each)) live ??= publishing();
      },
    });
    const since = await live;
    await since?.stop();
    expect(outcome).toBe("repaired");
    const delivered = await handedOut(server);
    expect(since?.accepted.filter((body) => !delivered.includes(body)) ?? []).toEqual([]);
  });
});

describe("a stream that has a name of a repair's, and is somebody else's", () => {
  /** The repair refuses, the stream keeps what it has, and after it has gone the repair works. */
  async function isLeft(name: string, subject: string, description = ""): Promise<void> {
    await workQueue(server, numbered(2));
    await withManager(server, async (manager, connection) => {
      // nats-server brings messages of a moment ago back where a stream of files is removed and made again within milliseconds.
      await createStream(manager, { name, subjects: [subject], description, storage: StorageType.Memory });
      await connection.jetstream().publish(subject, "precious");
    });
    const { name: kind, message } = await rejection(runRepair(inputs(), folder));
    expect(kind).toBe("CommandError");
    expect(message).toContain(`nats stream rm ${name}`);
    expect(await contents(server, name)).toEqual(["precious"]);
    expect(await contents(server)).toEqual(numbered(2));
    await withManager(server, (manager) => manager.streams.delete(name));
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(2));
  }

  it.each(["", "plain words", '{"a": 1}', "[]", "null {}", "{torn"])("holding, described as %j", (description) =>
    isLeft(holdingStream(STREAM), "other", description),
  );
  it("lock, with other subjects", () => isLeft(lockStream(STREAM), "other"));
  it("lock, with a message that no repair wrote", () => isLeft(lockStream(STREAM), `noetl-nats.repair-lock.${STREAM}`));
  it("trial", () => isLeft(trialStream(STREAM), "other"));

  it("what a trial has left behind goes with the next", async () => {
    await workQueue(server, numbered(2));
    const subjects = ["noetl-nats.repair.former.trial"];
    await withManager(server, (manager) => createStream(manager, { name: trialStream(STREAM), subjects }));
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await exists(trialStream(STREAM))).toBe(false);
  });
});

it("mode ensure at every point of a repair changes nothing that is lost or comes twice", async () => {
  await workQueue(server, numbered(70), DEFAULT_NAMES, { retention: "limits" as StreamConfig["retention"] });
  await withManager(server, (manager) => manager.consumers.add(STREAM, workersConsumer(CONSUMER)));
  await withManager(server, async (_manager, connection) => {
    for (const body of numbered(20, "waits")) await connection.jetstream().publish(SUBJECT, body);
  });
  const live = await publishing();
  const words: string[] = [];
  const under: Promise<unknown>[] = [];
  const { outcome } = await runRepair(strictInputs(server), folder, {
    at: () => {
      const asked = { ...inputs(), mode: "ensure" as const, timeoutSeconds: 5 };
      const ended = ensureContract(asked).then(
        () => undefined,
        (error: Error) =>
          void words.push(error instanceof EnsureRefused ? error.message : `${error.name}: ${error.message}`),
      );
      under.push(ended);
    },
  });
  await Promise.all(under);
  await live.stop();
  expect(outcome).toBe("repaired");
  expect(live.refused).toEqual([]);
  expect(words.length).toBeGreaterThan(0);
  for (const each of words) expect(each).toContain("the stream of a repair");
  expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(20, "waits"), ...live.accepted]));
});
