/** What a repair is refused: a right, room in the account, a place for its backup. It is known before anything is lost. */
import * as fs from "node:fs";
import * as path from "node:path";
import { AckPolicy, DeliverPolicy } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdingStream, type Point } from "../../../../commands/doctor/repair";
import {
  contents,
  DEFAULT_NAMES,
  forEachRepair,
  handedOut,
  killedAt,
  newFolder,
  numbered,
  publisher,
  repairInputs,
  runRepair,
  workersConsumer,
  workQueue,
} from "./repair-support";
import { addStream, JETSTREAM, rejection, startNatsServer, withManager, type NatsServer } from "../../../support/nats";

const { stream: STREAM, subject: SUBJECT, consumer: CONSUMER } = DEFAULT_NAMES;
const ALL = { user: "all", pass: "all" };

describe("a login that lacks a right", () => {
  let server: NatsServer;
  let folder: string;
  afterEach(async () => {
    fs.rmSync(path.dirname(folder), { recursive: true, force: true });
    await server.stop();
  });

  const withUsers = (denied: string) => `${JETSTREAM}
    authorization { users: [
      {user: noetl, password: noetl, permissions: {publish: {deny: ["${denied}"]}}}, {user: all, password: all}
    ] }`;

  /** What is there, as far as a repair might have changed it. */
  const state = () =>
    withManager(
      server,
      async (manager) => {
        const found: string[] = [];
        for await (const { config, state } of manager.streams.list()) {
          found.push(`${config.name} ${config.subjects?.join()} ${state.messages}`);
        }
        for await (const { name, ack_floor: floor, num_pending: pending } of manager.consumers.list(STREAM)) {
          found.push(`${name} ${floor.stream_seq} ${pending}`);
        }
        return found.sort();
      },
      ALL,
    );

  it.each([
    `$JS.API.CONSUMER.LIST.${STREAM}`,
    `$JS.API.STREAM.DELETE.${STREAM}`,
    `$JS.API.STREAM.DELETE.${holdingStream(STREAM)}`,
    `$JS.API.STREAM.MSG.GET.${STREAM}`,
    "$JS.API.STREAM.MSG.GET.>",
    "$JS.API.STREAM.PURGE.>",
    `$JS.API.STREAM.UPDATE.${holdingStream(STREAM)}`,
    `$JS.API.STREAM.UPDATE.${STREAM}`,
    `$JS.API.STREAM.CREATE.${STREAM}`,
    `$JS.API.STREAM.CREATE.${STREAM}-repair-trial`,
    "$JS.API.CONSUMER.DURABLE.CREATE.>",
    "noetl-nats.>",
    "noetl-nats.repair.>",
    SUBJECT,
  ])("to publish on %s: it is said, nothing is changed, and with it the repair works", async (denied) => {
    folder = newFolder();
    server = await startNatsServer({ config: withUsers(denied) });
    const few = { max_ack_pending: 10 };
    await withManager(
      server,
      async (manager, connection) => {
        await addStream(manager, { consumer_limits: few });
        await manager.consumers.add(STREAM, workersConsumer(CONSUMER, few));
        const all = { ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ...few };
        await manager.consumers.add(STREAM, { durable_name: "audit", ...all });
        for (const body of numbered(6)) await connection.jetstream().publish(SUBJECT, body);
        const consumer = await connection.jetstream().consumers.get(STREAM, CONSUMER);
        for await (const message of await consumer.fetch({ max_messages: 4, expires: 5_000 })) await message.ackAck();
      },
      ALL,
    );
    const before = await state();
    const login = { user: "noetl", password: "noetl" };
    const { name, message } = await rejection(runRepair(repairInputs(server, DEFAULT_NAMES, login), folder));
    expect(name).toMatch(/^(CommandError|ConnectError)$/);
    expect(message).toContain("user noetl lacks");
    expect(message).toMatch(/[Ll]et it publish on \$JS\.API\.>, noetl-nats\.>/);
    expect(message).not.toMatch(/goes on from here/);
    expect(await state()).toEqual(before);
    const other = { user: "all", password: "all" };
    expect((await runRepair(repairInputs(server, DEFAULT_NAMES, other), folder)).outcome).toBe("repaired");
    expect(await state()).toEqual([
      "NOETL_COMMANDS noetl.commands 6",
      "audit 0 6",
      expect.stringMatching(/^noetl_worker_pool \d 2$/),
    ]);
  });
});

describe("an account", () => {
  let server: NatsServer;
  let folder: string;
  beforeEach(() => (folder = newFolder()));
  afterEach(async () => {
    fs.rmSync(path.dirname(folder), { recursive: true, force: true });
    await server.stop();
  });

  const withLimits = (limits: string) => `${JETSTREAM}
    accounts { A: { jetstream: {${limits}}, users: [{user: a, password: a}] } }
    no_auth_user: a`;

  it.each([
    ["max_streams: 1", /needs three streams of its own for a moment/],
    ["max_streams: 2", /needs three streams of its own for a moment/],
    ["max_streams: 3", /needs three streams of its own for a moment/],
    ["max_ack_pending: 50", /consumer noetl_worker_pool, consumer max ack pending exceeds system limit of 50/],
  ])("with %s: it is said, and the stream is as it was", async (limits, words) => {
    server = await startNatsServer({ config: withLimits(limits) });
    await workQueue(server, numbered(5));
    const live = await publisher(server);
    const { name, message } = await rejection(runRepair(repairInputs(server), folder));
    await live.stop();
    expect(name).toBe("CommandError");
    expect(message).toMatch(words);
    expect(live.refused).toEqual([]);
    expect((await contents(server)).sort()).toEqual([...numbered(5), ...live.accepted].sort());
  });

  it("that is full while what was held is moved: nothing of it is given up, and the repair goes on when there is room", async () => {
    server = await startNatsServer({ config: withLimits("max_mem: 60KB, max_file: 64MB") });
    await workQueue(server, numbered(5));
    const live = await publisher(server, SUBJECT, { every: 1, prefix: "x".repeat(200) });
    const ended = await runRepair(repairInputs(server), folder, {
      at: (point) => {
        if (point !== "saved") return;
        // The publisher fills more than the memory that there is.
        const until = Date.now() + 400;
        while (Date.now() < until);
      },
    }).then(
      () => "repaired",
      (error: Error) => error.message,
    );
    await live.stop();
    if (ended !== "repaired") expect(ended).toContain("make room and run the same command again");
    await server.reload(withLimits("max_mem: 32MB, max_file: 64MB"));
    const { outcome } = await runRepair(repairInputs(server), folder);
    expect(["repaired", "nothing-to-do"]).toContain(outcome);
    const delivered = await handedOut(server);
    expect([...numbered(5), ...live.accepted].filter((body) => !delivered.includes(body))).toEqual([]);
    expect(new Set(delivered).size).toBe(delivered.length);
  });
});

describe("a place for journal and backup", () => {
  let server: NatsServer;
  let folder: string;
  forEachRepair((bed) => ({ server, folder } = bed));

  /** The repair refuses with a way out, and nothing is changed. */
  async function refusal(place = folder): Promise<string> {
    const { name, message } = await rejection(runRepair(repairInputs(server), place));
    expect(name).toBe("CommandError");
    expect(message).toMatch(/run the same command again/i);
    return message;
  }

  it("that is a file, lies below one, or has a folder as its journal", async () => {
    await workQueue(server, numbered(2));
    fs.writeFileSync(folder, "");
    await refusal();
    await refusal(path.join(folder, "below"));
    fs.rmSync(folder);
    fs.mkdirSync(path.join(folder, "journal.json"), { recursive: true });
    await refusal();
    expect(await contents(server)).toEqual(numbered(2));
  });

  it.each<Point>(["begun", "frozen", "saved", "removed", "created", "restored", "opened"])(
    "with a journal that lacks parts, from %s: the way out works",
    async (point) => {
      await workQueue(server, numbered(2));
      await killedAt(repairInputs(server), folder, point);
      const file = path.join(folder, "journal.json");
      const { format, id, phase } = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>;
      fs.writeFileSync(file, JSON.stringify({ format, id, phase }));
      const [, from = "", to = ""] = /\(mv '(.*)' '(.*)'\)/.exec(await refusal()) ?? [];
      fs.renameSync(from, to);
      expect((await runRepair(repairInputs(server), folder)).outcome).toMatch(/repaired|nothing-to-do/);
    },
  );

  it("where the journal of a repair that has begun cannot be written any more: it goes on when it can", async () => {
    await workQueue(server, numbered(2));
    await killedAt(repairInputs(server), folder, "removed");
    fs.mkdirSync(path.join(folder, "journal.json.new"));
    expect(await refusal()).toContain("journal.json could not be written");
    fs.rmdirSync(path.join(folder, "journal.json.new"));
    expect((await runRepair(repairInputs(server), folder)).outcome).toBe("repaired");
    expect(await handedOut(server)).toEqual(numbered(2));
  });

  it("that is a link: nothing of the commands is left where it leads", async () => {
    await workQueue(server, numbered(2));
    const other = path.join(path.dirname(folder), "other");
    fs.mkdirSync(other);
    fs.symlinkSync(other, folder);
    await killedAt(repairInputs(server), folder, "saved");
    expect(fs.readdirSync(other)).toContain("messages.jsonl");
    expect((await runRepair(repairInputs(server), folder)).outcome).toBe("repaired");
    expect(fs.readdirSync(other)).toEqual([]);
  });

  it("in which somebody has linked a file of his own: it is not written to", async () => {
    await workQueue(server, numbered(2));
    const own = path.join(path.dirname(folder), "own");
    fs.writeFileSync(own, "precious");
    fs.mkdirSync(folder);
    for (const name of ["messages.jsonl.new", "journal.json.new"]) fs.symlinkSync(own, path.join(folder, name));
    expect((await runRepair(repairInputs(server), folder)).outcome).toBe("repaired");
    expect(fs.readFileSync(own, "utf8")).toBe("precious");
  });
});
