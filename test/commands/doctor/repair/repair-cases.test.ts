import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { AckPolicy, DeliverPolicy, headers, StorageType, type NatsConnection, type StreamConfig } from "nats";
import { describe, expect, it } from "vitest";
import { checkContract } from "../../../../contract/check";
import { projectRoot } from "../../../../contract/project";
import { holdingStream, type Point } from "../../../../commands/doctor/repair";
import { backupFile, readJournal, writeJournal, type Journal } from "../../../../commands/doctor/repair/journal";
import { lockStream } from "../../../../commands/doctor/repair/lock";
import {
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  killedAt,
  numbered,
  POINTS,
  publisher,
  repairInputs,
  runRepair,
  workersConsumer,
  workQueue,
} from "./repair-support";
import {
  addStream,
  rejection,
  removeStreams,
  sleep,
  startNatsServer,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../../../support/nats";

const { stream: STREAM, subject: SUBJECT, consumer: CONSUMER } = DEFAULT_NAMES;

let server: NatsServer;
let folder: string;
forEachRepair((bed) => ({ server, folder } = bed));

const inputs = () => repairInputs(server);
const holds = async () => (await checkContract(inputs(), false)).holds;
const sorted = (values: readonly string[]): string[] => [...values].sort();

async function publish(
  connection: NatsConnection,
  body: string | Uint8Array,
  named: Record<string, string> = {},
  subject = SUBJECT,
): Promise<void> {
  const own = headers();
  for (const [name, value] of Object.entries(named)) own.set(name, value);
  const options = Object.keys(named).length > 0 ? { headers: own } : {};
  await connection.request(subject, body, { timeout: 5_000, ...options }).then((reply) => {
    const { error, duplicate } = reply.json<{ error?: { description: string }; duplicate?: boolean }>();
    if (error || duplicate) throw new Error(error?.description ?? "taken for a repeat");
  });
}

/** Messages as the stream holds them: subject, headers and body. */
async function contents(stream = STREAM): Promise<string[]> {
  return withManager(server, async (manager) => {
    const { state } = await manager.streams.info(stream);
    const found: string[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (!message) continue;
      const named = [...(message.header ?? [])].map(([name, values]) => `${name}=${values.join()}`);
      found.push([message.subject, ...named, Buffer.from(message.data).toString()].join(" "));
    }
    return found;
  });
}

/** Where the last line of a repair says that its backup stays. */
const keptIn = (said: readonly string[]): string => /The backup stays: (.*)/.exec(said.join("\n"))?.[1] ?? "";

describe("what a message carries", () => {
  it("an identifier that the server would take for a repeat: all are written back as they were, in order", async () => {
    await workQueue(server, ["first"], DEFAULT_NAMES, { duplicate_window: 100e6 });
    await withManager(server, async (_manager, connection) => {
      for (const body of ["a", "b", "c"]) {
        await publish(connection, body, { "Nats-Msg-Id": "same" });
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      await publish(connection, "last", { "Nats-Msg-Id": "other" });
    });
    const before = await contents();
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await contents()).toEqual(before);
    expect(await handedOut(server)).toEqual(["first", "a", "b", "c", "last"]);
  });

  it("a publish that is tried again after its answer was lost is stored once", async () => {
    await workQueue(server, []);
    await withManager(server, (_manager, connection) => publish(connection, "once", { "Nats-Msg-Id": "retried" }));
    let again: Promise<void> | undefined;
    const { outcome, said } = await runRepair(inputs(), folder, {
      at: (point) => {
        if (point !== "saved") return;
        again = withManager(server, (_manager, connection) =>
          publish(connection, "once", { "Nats-Msg-Id": "retried" }),
        );
      },
    });
    await again;
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(["once"]);
    expect(said.join("\n")).toContain("1 publish dropped as repeats");
  });

  it("an identifier that is used again after the old stream's window, while the new one knows it: both are stored", async () => {
    await workQueue(server, [], DEFAULT_NAMES, { duplicate_window: 1e9 });
    const named = (body: string) =>
      withManager(server, (_manager, connection) => publish(connection, body, { "Nats-Msg-Id": "reused" }));
    await named("first");
    await sleep(1_100);
    expect(await killedAt(inputs(), folder, "saved")).toBe("SIGKILL");
    await named("second");
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(["first", "second"]);
    expect(said.join("\n")).not.toMatch(/dropped as repeats|delivered twice/);
  });

  it("as many bytes as the server takes, headers included", async () => {
    await workQueue(server, []);
    await withManager(server, async (_manager, connection) => {
      await publish(connection, "x".repeat(1024 * 1024));
      const block = "NATS/1.0\r\nA: b\r\n\r\n".length;
      await publish(connection, "y".repeat(1024 * 1024 - block), { A: "b" });
    });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect((await handedOut(server)).map((body) => body.length)).toEqual([1024 * 1024, 1024 * 1024 - 18]);
  });

  it("headers that ask the server for something: delivered without them, or kept where it is not a command", async () => {
    await workQueue(server, [], DEFAULT_NAMES, {
      allow_rollup_hdrs: true,
      allow_msg_ttl: true,
      allow_msg_schedules: true,
      subjects: [SUBJECT, "schedules.>"],
    } as Partial<StreamConfig>);
    await withManager(server, async (_manager, connection) => {
      await publish(connection, "rollup", { "Nats-Rollup": "sub", Mine: "kept" });
      await publish(connection, "expected", { "Nats-Expected-Stream": STREAM, "Nats-Expected-Last-Sequence": "1" });
      await publish(connection, "ttl", { "Nats-TTL": "1h" });
      const schedule = { "Nats-Schedule": "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target": SUBJECT };
      await publish(connection, "scheduled", schedule, "schedules.one");
    });
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(await contents()).toEqual([`${SUBJECT} Mine=kept rollup`, `${SUBJECT} expected`, `${SUBJECT} ttl`]);
    expect(said.join("\n")).toContain("3 messages written back without headers that asked the old stream");
    expect(said.join("\n")).toContain("1 message not written back: schedules or counters, not commands");
    expect(fs.readFileSync(path.join(keptIn(said), "messages.jsonl"), "utf8")).toContain("schedules.one");
  });
});

describe("what happened since a repair was interrupted", () => {
  it("old commands do not come back: what is older than max_age stays in the backup", async () => {
    await workQueue(server, numbered(5));
    await killedAt(inputs(), folder, "removed");
    // As a backup of 30 days ago would be.
    const text = fs.readFileSync(backupFile(folder), "utf8");
    const old = text.replace(/"time":"[^"]*"/g, `"time":"${new Date(Date.now() - 30 * 86_400_000).toISOString()}"`);
    fs.writeFileSync(backupFile(folder), old);
    const { createHash } = await import("node:crypto");
    const journal = readJournal(folder);
    if (!journal) throw new Error("there is a journal");
    const digest = createHash("sha256").update(old).digest("hex");
    writeJournal(folder, { ...journal, digest, bytes: Buffer.byteLength(old) });
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual([]);
    expect(said.join("\n")).toContain("5 messages not written back: older than max_age");
    expect(fs.existsSync(path.join(keptIn(said), "messages.jsonl"))).toBe(true);
  });

  it.each<Point>(["frozen", "saved", "removing"])(
    "killed at %s, the subject put back by hand and commands accepted: they are saved too",
    async (point) => {
      await workQueue(server, numbered(5));
      expect(await killedAt(inputs(), folder, point)).toBe("SIGKILL");
      await withManager(server, async (manager, connection) => {
        await manager.streams.delete(holdingStream(STREAM));
        const { config } = await manager.streams.info(STREAM);
        await manager.streams.update(STREAM, { ...config, subjects: [SUBJECT] });
        for (const body of numbered(100, "since")) await connection.jetstream().publish(SUBJECT, body);
      });
      expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
      expect(await handedOut(server)).toEqual([...numbered(5), ...numbered(100, "since")]);
    },
  );

  it.each<Point>(["saved", "removed", "created", "writing"])(
    "killed at %s, streams removed by hand and made again in order: the healthy stream stays, the backup is delivered",
    async (point) => {
      await workQueue(server, numbered(5));
      expect(await killedAt(inputs(), folder, point)).toBe("SIGKILL");
      await removeStreams(server);
      const created = await withManager(server, async (manager, connection) => {
        await addStream(manager);
        await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
        await connection.jetstream().publish(SUBJECT, "newer");
        return String((await manager.streams.info(STREAM)).created);
      });
      const { outcome, said } = await runRepair(inputs(), folder);
      expect(outcome).toBe("repaired");
      expect(said.join("\n")).toContain("was made by somebody else meanwhile, and is in order: it stays");
      expect(await withManager(server, async (manager) => String((await manager.streams.info(STREAM)).created))).toBe(
        created,
      );
      expect(sorted(await handedOut(server))).toEqual(sorted(["newer", ...numbered(5)]));
    },
  );

  it("another broken stream in its place is replaced too, and the first backup stays where it is said", async () => {
    await workQueue(server, numbered(5));
    await killedAt(inputs(), folder, "removed");
    await removeStreams(server);
    await workQueue(server, numbered(3, "second"));
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(3, "second"));
    const kept = /5 messages of the former stream stay in (.*)/.exec(said.join("\n"))?.[1] ?? "";
    expect(fs.readFileSync(path.join(kept, "messages.jsonl"), "utf8").trim().split("\n")).toHaveLength(5);
  });

  it("what the contract no longer asks for is not done: the old stream gets its subjects back", async () => {
    await workQueue(server, numbered(5));
    await killedAt(inputs(), folder, "saved");
    const asQueue = repairInputs(server, DEFAULT_NAMES, {
      expect: { retention: "workqueue", deliverPolicy: "all" },
    });
    const live = await publisher(server);
    const { outcome, said } = await runRepair(asQueue, folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(said.join("\n")).toContain("need not be replaced any more");
    expect(live.refused).toEqual([]);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(5), ...live.accepted]));
  });

  it.each([
    [
      "is given up by an error",
      "removing",
      /is as it was: .*; (what was published meanwhile and NATS refused .*)\. Run/,
    ],
    ["is not needed any more", "", /(what was published meanwhile and NATS refused .*)/],
  ])("what the old stream refuses of what was held stays on disk when the repair %s", async (_how, fails, words) => {
    await workQueue(server, numbered(5), DEFAULT_NAMES, { max_msg_size: 64 });
    await killedAt(inputs(), folder, "saved");
    const long = "x".repeat(65);
    await withManager(server, async (_manager, connection) => {
      for (const body of ["short", long]) await connection.jetstream().publish(SUBJECT, body);
    });
    const expectation = { retention: "workqueue", deliverPolicy: "all" } as const;
    const wanted = fails ? inputs() : repairInputs(server, DEFAULT_NAMES, { expect: expectation });
    const said: string[] = [];
    const at = (point: Point): void => {
      if (point === fails) throw new Error("it fails here");
    };
    await runRepair(wanted, folder, { said, at }).catch((error: Error) => said.push(error.message));
    const [, told = ""] = words.exec(said.join("\n")) ?? [];
    const file = / is in (.*)$/.exec(told)?.[1] ?? "";
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).toMatchObject({ data: Buffer.from(long).toString("base64") });
    expect(sorted((await contents()).map((each) => each.replace(`${SUBJECT} `, "")))).toEqual([
      ...numbered(5),
      "short",
    ]);
  });

  it.each<[string, string[]]>([
    ["has what was held", ["held"]],
    ["has nothing", []],
  ])("a mirror cannot be given what was published meanwhile: where the holding stream %s", async (_what, held) => {
    await workQueue(server, numbered(5), { ...DEFAULT_NAMES, stream: "ORIGIN" });
    await withManager(server, async (manager) => {
      await manager.streams.add({ name: STREAM, mirror: { name: "ORIGIN" } });
      while ((await manager.streams.info(STREAM)).state.messages < 5) await sleep(20);
      await manager.streams.delete("ORIGIN");
    });
    expect(await killedAt(inputs(), folder, "saved")).toBe("SIGKILL");
    await withManager(server, async (_manager, connection) => {
      for (const body of held) await connection.jetstream().publish(SUBJECT, body);
    });
    const at = (point: Point): void => {
      if (point === "removing") throw new Error("it fails here");
    };
    const { message } = await rejection(runRepair(inputs(), folder, { at }));
    expect(message).toContain(held.length > 0 ? `is kept in stream ${holdingStream(STREAM)}` : "is as it was");
    if (held.length > 0) expect(await contents(holdingStream(STREAM))).toEqual([`${SUBJECT} held`]);
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual([...numbered(5), ...held]);
  });

  it.each<Point>(["frozen", "saved", "removed", "created", "opened"])(
    "killed at %s, another machine takes over, and what the first had saved is delivered by it afterwards",
    async (point) => {
      await workQueue(server, numbered(5));
      const live = await publisher(server);
      expect(await killedAt(inputs(), folder, point)).toBe("SIGKILL");
      const elsewhere = path.join(path.dirname(folder), "elsewhere");
      const { outcome, intents } = await runRepair(inputs(), elsewhere);
      expect(outcome).toBe("repaired");
      expect(await holds()).toBe(true);
      await live.stop();
      expect(live.refused).toEqual([]);
      if (point === "removed" || point === "created") expect(intents[0]?.losses.join("\n")).toContain(folder);
      expect(["repaired", "nothing-to-do"]).toContain((await runRepair(inputs(), folder)).outcome);
      expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(5), ...live.accepted]));
    },
  );
});

describe("a backup that cannot be used", () => {
  async function refused(change: (file: string) => void): Promise<string> {
    await workQueue(server, numbered(5));
    await killedAt(inputs(), folder, "removed");
    change(backupFile(folder));
    return (await rejection(runRepair(inputs(), folder))).message;
  }

  it.each<[string, (file: string) => void]>([
    ["a torn last line", (file) => fs.truncateSync(file, fs.statSync(file).size - 7)],
    ["another's", (file) => fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/Y29/g, "Z29"))],
    ["none at all", (file) => fs.rmSync(file)],
    ["a journal that is torn", (file) => fs.truncateSync(path.join(path.dirname(file), "journal.json"), 40)],
  ])("%s is refused with one sentence, and the way out works", async (_what, change) => {
    const message = await refused(change);
    expect(message).toMatch(/set the folder aside \(mv '/);
    expect(message).not.toContain("SyntaxError");
    const [, from = "", to = ""] = /\(mv '(.*)' '(.*)'\)/.exec(message) ?? [];
    fs.renameSync(from, to);
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(await holds()).toBe(true);
  });

  it("a disk that is full is noticed, and the stream is as it was", async () => {
    await workQueue(server, ["x".repeat(64 * 1024), ...numbered(3)]);
    const script = `
      const { repair } = require("./dist/commands/doctor/repair");
      const { inputs, folder } = JSON.parse(process.argv[1]);
      repair({ stack: "test", inputs, cluster: {}, folder, say() {}, confirm: async () => true })
        .then(() => console.log("done"), (error) => console.log(error.name + ": " + error.message));`;
    const shell = `trap '' XFSZ; ulimit -f 32; exec "$0" -e "$1" "$2"`;
    const args = ["-c", shell, process.execPath, script, JSON.stringify({ inputs: inputs(), folder })];
    const { stdout } = await promisify(execFile)("bash", args, { cwd: projectRoot() });
    expect(stdout).toMatch(/^CommandError: the backup .* could not be written: .*Make room there/);
    expect(stdout).toContain(`Stream ${STREAM} is as it was`);
    expect((await contents()).length).toBe(4);
    await withManager(server, async (manager, connection) => {
      expect((await connection.jetstream().publish(SUBJECT, "after")).stream).toBe(STREAM);
      await expect(manager.streams.info(holdingStream(STREAM))).rejects.toThrow("stream not found");
    });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect((await handedOut(server)).slice(1)).toEqual([...numbered(3), "after"]);
  });
});

describe("two repairs", () => {
  it("from two places: the second is refused with who holds it and since when, and nothing comes twice", async () => {
    await workQueue(server, numbered(50));
    const elsewhere = path.join(path.dirname(folder), "elsewhere");
    const outcomes: string[] = [];
    const attempts: Promise<unknown>[] = [];
    const { outcome } = await runRepair(inputs(), folder, {
      at: (point) => {
        if (!["begun", "saved", "created", "opened"].includes(point)) return;
        attempts.push(runRepair(inputs(), elsewhere).catch((error: Error) => outcomes.push(error.message)));
      },
    });
    await Promise.all(attempts);
    expect(outcome).toBe("repaired");
    expect(outcomes).toHaveLength(4);
    for (const said of outcomes) {
      expect(said).toMatch(
        /^another repair of stream NOETL_COMMANDS is at work: .* on .* \(process \d+\), since \d{4}-/,
      );
    }
    expect(await handedOut(server)).toEqual(numbered(50));
  });

  it("that was left behind on another machine ends by itself, which the message says", async () => {
    await workQueue(server, numbered(2));
    await withManager(server, async (manager, connection) => {
      const subject = `noetl-nats.repair-lock.${STREAM}`;
      await manager.streams.add({
        name: lockStream(STREAM),
        subjects: [subject],
        max_age: 2e9,
        duplicate_window: 1e9,
        max_msgs_per_subject: 1,
      });
      const holder = {
        who: "ann",
        host: "far",
        process: 7,
        machine: "m",
        started: "1",
        since: "2026-03-02",
        token: "t",
      };
      await connection.jetstream().publish(subject, JSON.stringify(holder));
    });
    const { message } = await rejection(runRepair(inputs(), folder));
    expect(message).toContain("ann on far (process 7), since 2026-03-02");
    expect(message).toContain("its hold ends by itself within 20 s");
    expect(await contents()).toHaveLength(2);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
  });
});

describe("Ctrl-C", () => {
  it.each(POINTS.filter(([, times]) => times === 1))("at %s says where it stands, and it goes on", async (point) => {
    await workQueue(server, numbered(70));
    const live = await publisher(server);
    const stop = new AbortController();
    const ended = await runRepair(inputs(), folder, {
      at: (each) => {
        if (each === point) stop.abort();
      },
      signal: stop.signal,
    }).then(
      ({ outcome }) => outcome,
      (error: Error) => error.message,
    );
    if (ended !== "repaired") expect(ended).toMatch(/^Interrupted\. .*[Rr]un the same command again/);
    const { outcome } = await runRepair(inputs(), folder);
    expect(["repaired", "nothing-to-do"]).toContain(outcome);
    await live.stop();
    expect(live.refused).toEqual([]);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(70), ...live.accepted]));
  });
});

describe("what others have made", () => {
  it("durable consumers come back at their place, with their filters", async () => {
    await withManager(server, async (manager, connection) => {
      const jetstream = connection.jetstream();
      await addStream(manager, { subjects: [SUBJECT, "audit.>"], storage: StorageType.File });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
      await manager.consumers.add(STREAM, {
        durable_name: "audit",
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        filter_subject: "audit.>",
      });
      await manager.consumers.add(STREAM, workersConsumer("late"));
      for (const number of [1, 2, 3, 4]) {
        await jetstream.publish(SUBJECT, `command-${number}`);
        await jetstream.publish(`audit.${number}`, `audit-${number}`);
      }
      for (const [name, count] of [
        ["audit", 1],
        ["late", 4],
        [CONSUMER, 2],
      ] as const) {
        const consumer = await jetstream.consumers.get(STREAM, name);
        for await (const message of await consumer.fetch({ max_messages: count, expires: 2000 }))
          await message.ackAck();
      }
      const { config } = await manager.streams.info(STREAM);
      await manager.streams.update(STREAM, { ...config, sealed: true } as Partial<StreamConfig>);
    });
    const { outcome, intents } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(intents[0]?.steps.join("\n")).toContain(`consumers ${CONSUMER}, audit, late`);
    const all = [1, 2, 3, 4].flatMap((number) => [`command-${number}`, `audit-${number}`]);
    expect(await handedOut(server)).toEqual(all.slice(2));
    expect(await handedOut(server, { ...DEFAULT_NAMES, consumer: "late" })).toEqual(all.slice(4));
    expect(await handedOut(server, { ...DEFAULT_NAMES, consumer: "audit" })).toEqual(["audit-2", "audit-3", "audit-4"]);
  });

  it("a filter, a longer time to acknowledge and a longer age stay", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, { max_age: 0, subjects: ["noetl.>"] });
      await manager.consumers.add(
        STREAM,
        workersConsumer(CONSUMER, { filter_subject: "noetl.>", ack_wait: 300e9, deliver_subject: "elsewhere" }),
      );
    });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    await withManager(server, async (manager) => {
      const { config } = await manager.consumers.info(STREAM, CONSUMER);
      expect(config).toMatchObject({ filter_subject: "noetl.>", ack_wait: 300e9 });
      expect(config.deliver_subject).toBeUndefined();
      expect((await manager.streams.info(STREAM)).config).toMatchObject({ max_age: 0, subjects: ["noetl.>"] });
    });
  });

  it("a pool's filter is not removed: it is said that it stays", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, { subjects: ["noetl.>"] });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { filter_subject: "noetl.pool.>" }));
    });
    const created = () =>
      withManager(server, async (manager) => String((await manager.consumers.info(STREAM, CONSUMER)).created));
    const before = await created();
    const { intents } = await runRepair(inputs(), folder, { answer: false });
    expect(intents.flatMap(({ leaves }) => leaves).join()).not.toContain("remove consumer");
    expect(await created()).toBe(before);
    await withManager(server, async (manager) => {
      expect((await manager.consumers.info(STREAM, CONSUMER)).config.filter_subject).toBe("noetl.pool.>");
    });
  });

  it("another stream that has the subject is named before anything is asked, and repair is not the remedy", async () => {
    await workQueue(server, numbered(2), { ...DEFAULT_NAMES, stream: "FORMER" });
    const { message } = await rejection(runRepair(inputs(), folder));
    expect(message).toContain(`stream FORMER has the subject ${SUBJECT}`);
    expect(message).toContain("natsStream");
    expect(await contents("FORMER")).toHaveLength(2);
  });

  it("what NATS would refuse of the new stream is known before the old one goes", async () => {
    const small = await startNatsServer({
      config: `jetstream: {store_dir: "DIR/jetstream", max_memory_store: 1MB, max_file_store: 64MB}`,
    });
    try {
      await workQueue(small, numbered(4), DEFAULT_NAMES, { storage: "file" as StreamConfig["storage"] });
      await withManager(small, (manager) =>
        manager.streams.add({ name: "BIG", subjects: ["big"], storage: StorageType.Memory, max_bytes: 1024 * 1024 }),
      );
      const wanting = repairInputs(small, DEFAULT_NAMES, { expect: { replicas: 1 } });
      const live = await publisher(small);
      const ended = await runRepair(wanting, folder).then(
        ({ outcome }) => outcome,
        (error: Error) => error.message,
      );
      await live.stop();
      expect(live.refused).toEqual([]);
      expect(ended).toMatch(/as it was|takes no more|refuses/);
    } finally {
      await small.stop();
    }
  });
});

describe("a server that allows a short window for duplicates only", () => {
  const limited = `jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, limits: {duplicate_window: "10s"}}`;

  it.each<[Point | undefined, ServerTool | undefined]>([
    [undefined, undefined],
    [undefined, "nats-server-2.9"],
    ["removed", undefined],
    ["created", undefined],
    ["restored", undefined],
  ])("gets the longest that it allows, also on another machine (killed at %s, %s)", async (point, tool) => {
    const limiting = await startNatsServer({ config: limited, ...(tool ? { tool } : {}) });
    try {
      await workQueue(limiting, numbered(20), DEFAULT_NAMES);
      const live = await publisher(limiting);
      const wanted = repairInputs(limiting);
      if (point) expect(await killedAt(wanted, folder, point)).toBe("SIGKILL");
      // The other machine knows nothing of the backup; this one writes it back afterwards.
      const elsewhere = point ? [`${folder}-elsewhere`] : [];
      for (const place of [...elsewhere, folder]) expect((await runRepair(wanted, place)).outcome).toBe("repaired");
      await live.stop();
      expect(live.refused).toEqual([]);
      expect(sorted(await handedOut(limiting))).toEqual(sorted([...numbered(20), ...live.accepted]));
      const { config } = await withManager(limiting, (manager) => manager.streams.info(STREAM));
      expect(config.duplicate_window).toBe(10e9);
    } finally {
      await limiting.stop();
    }
  });
});

describe("a consumer that is made new", () => {
  it("touches no publish, and hands out what nobody had acknowledged, identifiers and all, once", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(2)) await connection.jetstream().publish(SUBJECT, body);
      for (const body of numbered(5, "named")) await publish(connection, body, { "Nats-Msg-Id": body });
    });
    const created = () => withManager(server, async (manager) => String((await manager.streams.info(STREAM)).created));
    const before = await created();
    const live = await publisher(server);
    const { outcome } = await runRepair(inputs(), folder);
    await live.stop();
    expect(outcome).toBe("repaired");
    expect(live.refused).toEqual([]);
    expect(await created()).toBe(before);
    const all = await handedOut(server);
    expect(sorted(all)).toEqual(sorted([...numbered(2), ...numbered(5, "named"), ...live.accepted]));
    await withManager(server, async (manager) => {
      expect((await manager.streams.info(STREAM)).config.duplicate_window).toBe(120e9);
    });
  });

  it.each<[Point, number]>([
    ["begun", 1],
    ["removing", 1],
    ["removed", 1],
    ["creating", 1],
    ["created", 1],
    ["writing", 1],
    ["writing", 2],
    ["restored", 1],
    ["restarting", 1],
    ["verifying", 1],
  ])("killed at %s (%i) it goes on, and loses nothing", async (point, times) => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(100)) await connection.jetstream().publish(SUBJECT, body);
    });
    const live = await publisher(server);
    expect(await killedAt(inputs(), folder, point, times)).toBe("SIGKILL");
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    await live.stop();
    expect(live.refused).toEqual([]);
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(100), ...live.accepted]));
  });

  it("and that somebody else made while it was interrupted, loses nothing, and says what may come twice", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(10)) await connection.jetstream().publish(SUBJECT, body);
    });
    expect(await killedAt(inputs(), folder, "removed")).toBe("SIGKILL");
    await withManager(server, async (manager, connection) => {
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
      for (const body of numbered(7, "handed out")) await connection.jetstream().publish(SUBJECT, body);
    });
    const early = await handedOut(server);
    expect(early).toEqual(numbered(7, "handed out"));
    const { outcome, said } = await runRepair(inputs(), folder);
    expect(outcome).toBe("repaired");
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(10), ...early]));
    expect(said).toContain("up to 7 messages may be delivered twice");
  });

  it("of a stream that keeps messages for its consumers alone loses nothing either", async () => {
    const keeping = repairInputs(server, DEFAULT_NAMES, { expect: { retention: "interest" } });
    await withManager(server, async (manager, connection) => {
      await addStream(manager, { retention: "interest" as StreamConfig["retention"] });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(5)) await connection.jetstream().publish(SUBJECT, body);
    });
    expect((await runRepair(keeping, folder)).outcome).toBe("repaired");
    expect(sorted(await handedOut(server))).toEqual(numbered(5));
  });
});

describe("a stream that stores commands under another subject", () => {
  /** Changes the journal of a repair that was killed. */
  function cutOff(changes: Partial<Journal>): void {
    const journal = readJournal(folder);
    if (!journal) throw new Error("there is a journal");
    writeJournal(folder, { ...journal, ...changes });
  }

  it.each<[string, Partial<StreamConfig>]>([
    ["one", { subject_transform: { src: SUBJECT, dest: "old.commands" } }],
    ["a branch", { subjects: [SUBJECT, "noetl.others"], subject_transform: { src: "noetl.>", dest: "old.>" } }],
  ])("%s: they are written back as they were published, none is refused, none comes twice", async (_what, changes) => {
    await workQueue(server, numbered(100), DEFAULT_NAMES, changes);
    const live = await publisher(server);
    const { outcome, intents, said } = await runRepair(inputs(), folder);
    await live.stop();
    expect({ outcome, refused: live.refused }).toEqual({ outcome: "repaired", refused: [] });
    expect(intents[0]?.losses).toEqual(["the time of each message: max_age counts from now on again"]);
    expect(keptIn(said)).toBe("");
    const got = await handedOut(server);
    expect(got.slice(0, 100)).toEqual(numbered(100));
    expect(sorted(got)).toEqual(sorted([...numbered(100), ...live.accepted]));
    expect(new Set((await contents()).map((each) => each.split(" ")[0]))).toEqual(new Set([SUBJECT]));
  });

  it.each<[Point, number]>([
    ["frozen", 1],
    ["removed", 1],
    ["writing", 2],
    ["moving", 1],
    ["opened", 1],
  ])("a repair that is killed goes on, and none is lost or comes twice: %s, passed %i times", async (point, times) => {
    await workQueue(server, numbered(100), DEFAULT_NAMES, {
      subject_transform: { src: SUBJECT, dest: "old.commands" },
    });
    const live = await publisher(server);
    expect(await killedAt(inputs(), folder, point, times)).toBe("SIGKILL");
    const { outcome } = await runRepair(inputs(), folder);
    await live.stop();
    expect({ outcome, refused: live.refused }).toEqual({ outcome: "repaired", refused: [] });
    expect(sorted(await handedOut(server))).toEqual(sorted([...numbered(100), ...live.accepted]));
  });

  it("in the place of the one that is replaced has each message once, also where the repair is killed again", async () => {
    await workQueue(server, numbered(100));
    expect(await killedAt(inputs(), folder, "removed")).toBe("SIGKILL");
    await removeStreams(server);
    await withManager(server, async (manager) => {
      await addStream(manager, { subject_transform: { src: SUBJECT, dest: "old.commands" } });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER));
    });
    expect(await killedAt(inputs(), folder, "writing", 2)).toBe("SIGKILL");
    // As if it had ended before it could write down that the first batch is there.
    cutOff({ line: 0, written: 0, tail: 0, batch: Array.from({ length: 64 }, (_, line) => line) });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(sorted(await handedOut(server))).toEqual(sorted(numbered(100)));
  });

  it("has a consumer that is made new hand out each message once, also where the repair is killed", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { deliver_subject: "elsewhere" }));
      for (const body of numbered(100)) await connection.jetstream().publish(SUBJECT, body);
      const { config } = await manager.streams.info(STREAM);
      const transform = { src: SUBJECT, dest: "old.commands" };
      await manager.streams.update(STREAM, { ...config, subject_transform: transform });
    });
    expect(await killedAt(inputs(), folder, "writing")).toBe("SIGKILL");
    // As if the first batch were there already, and its originals too.
    await withManager(server, async (_manager, connection) => {
      for (const body of numbered(64)) await connection.jetstream().publish(SUBJECT, body);
    });
    cutOff({ tail: 100, batch: Array.from({ length: 64 }, (_, index) => index + 1) });
    expect((await runRepair(inputs(), folder)).outcome).toBe("repaired");
    expect(sorted(await handedOut(server))).toEqual(sorted(numbered(100)));
  });

  it("has consumers that ask for it there: each goes on at its place", async () => {
    const moved = { subject_transform: { src: SUBJECT, dest: "old.commands" }, deny_purge: true };
    await withManager(server, async (manager, connection) => {
      await addStream(manager, { ...moved, storage: StorageType.Memory });
      await manager.consumers.add(STREAM, workersConsumer(CONSUMER, { filter_subject: "old.commands" }));
      const audit = { durable_name: "audit", ack_policy: AckPolicy.Explicit, filter_subject: "old.>" };
      await manager.consumers.add(STREAM, audit);
      for (const body of numbered(10)) await publish(connection, body);
      const puller = await connection.jetstream().consumers.get(STREAM, CONSUMER);
      for (let done = 0; done < 4; done++) await (await puller.next({ expires: 5_000 }))?.ackAck();
    });
    const strict = repairInputs(server, DEFAULT_NAMES, { strict: true, expect: { storage: "file" } });
    const { outcome } = await runRepair(strict, folder);
    expect(outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(10).slice(4));
    const filters = await withManager(server, async (manager) =>
      Promise.all([CONSUMER, "audit"].map(async (name) => (await manager.consumers.info(STREAM, name)).config)),
    );
    expect(filters.map(({ filter_subject: filter }) => filter)).toEqual([SUBJECT, SUBJECT]);
    expect(await handedOut(server, { ...DEFAULT_NAMES, consumer: "audit" })).toEqual(numbered(10));
  });
});

it("names the machine in the holding stream's note", async () => {
  await workQueue(server, numbered(1));
  await killedAt(inputs(), folder, "saved");
  await withManager(server, async (manager) => {
    const { config } = await manager.streams.info(holdingStream(STREAM));
    expect(config.description).toContain(os.hostname());
    expect(config.description).toContain(folder);
  });
});
