import type { NatsConnection } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkContract, type Check, type ConnectError, type ContractArguments } from "../../contract";
import { Deadline } from "../../contract/deadline";
import { STREAM, CONSUMER } from "../../contract/facts";
import { openSession } from "../../contract/nats/connect";
import type { Minor } from "./cases";
import { ADMIN, configOf, PROBE_CASES, type ProbeCase } from "./probe-cases";
import {
  inputsFor,
  natsClient,
  natsCommand,
  rejection,
  startGateway,
  startNatsServer,
  startNoetl,
  until,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../support/nats";

const SERVERS: readonly { tool: ServerTool; minor: Minor }[] = [
  { tool: "nats-server-2.9", minor: 9 },
  { tool: "nats-server-2.10", minor: 10 },
  { tool: "nats-server-2.11", minor: 11 },
  { tool: "nats-server-2.12", minor: 12 },
  { tool: "nats-server", minor: 15 },
];

const NOETL = { user: "noetl", password: "noetl" };

const brokenIn = (checks: readonly Check[]): string[] => [
  ...new Set(checks.filter(({ ok }) => !ok).map(({ id }) => id)),
];

/** Everything that is stored, waits, is in flight or was delivered, in every stream and consumer. */
async function everything(server: NatsServer): Promise<unknown> {
  return withManager(
    server,
    async (manager) => {
      const streams = [];
      for await (const { config, state } of manager.streams.list()) {
        const consumers = [];
        for await (const info of manager.consumers.list(config.name)) {
          const { delivered, ack_floor, num_pending, num_ack_pending, num_redelivered, num_waiting } = info;
          consumers.push({
            config: info.config,
            delivered,
            ack_floor,
            num_pending,
            num_ack_pending,
            num_redelivered,
            num_waiting,
          });
        }
        streams.push({ config, state, consumers });
      }
      return streams;
    },
    ADMIN,
  );
}

let server: NatsServer;
let opened: NatsConnection[];
beforeEach(() => {
  opened = [];
});
afterEach(async () => {
  for (const connection of opened) await connection.close();
  await server.stop();
});

const check = (args: Omit<ContractArguments, "connection"> = {}) =>
  checkContract(inputsFor(server, { ...NOETL, timeoutSeconds: 20, ...args }), false);

async function arrange({ setup, arrange: given }: ProbeCase, tool?: ServerTool): Promise<void> {
  server = await startNatsServer({ config: configOf(setup), ...(tool ? { tool } : {}) });
  const kept = await (given ? given(server) : startNoetl(server, {}, ADMIN));
  if (kept) opened.push(kept);
}

describe.each(SERVERS)("$tool", ({ tool, minor }) => {
  it.each(PROBE_CASES.filter(({ since = 9 }) => since <= minor))(
    "$rule is broken, and nothing is stored or taken: $name",
    async (broken) => {
      await arrange(broken, tool);
      const before = await everything(server);
      const report = await check(broken.args);
      expect(await everything(server)).toEqual(before);
      expect(report.holds).toBe(false);
      expect(brokenIn(report.checks).sort()).toEqual([broken.rule, ...(broken.also ?? [])].sort());
      const { found, expected } = report.checks.find(({ id, ok }) => id === broken.rule && !ok) ?? {};
      expect(found).toMatch(broken.found);
      expect(expected?.replace(/created \d.*/, "created <now>")).toBe(broken.expected);
      expect(report.report).toMatch(/^The stream contract of NoETL does not hold: /);
      expect(report.report).toContain(`violation ${broken.rule}`);
    },
  );

  it("takes, stores and advances nothing while commands wait and are in flight, however often it is asked", async () => {
    server = await startNatsServer({ config: configOf(), tool });
    await startNoetl(server, {}, ADMIN);
    const worker = await natsClient(server, ADMIN);
    opened.push(worker);
    const jetstream = worker.jetstream();
    for (let count = 0; count < 5; count++) await jetstream.publish(STREAM.subject, `command ${count}`);
    const consumer = await jetstream.consumers.get(STREAM.name, CONSUMER.name);
    const held = [await consumer.next({ expires: 5_000 }), await consumer.next({ expires: 5_000 })];
    const seen: { bytes: number; expected: string | undefined }[] = [];
    worker.subscribe("noetl.>", {
      callback: (_error, message) => {
        seen.push({ bytes: message.data.length, expected: message.headers?.get("Nats-Expected-Stream") });
      },
    });
    await worker.flush();
    const before = await everything(server);
    expect(before).toMatchObject([{ state: { messages: 5 }, consumers: [{ num_pending: 3, num_ack_pending: 2 }] }]);
    const noetlLogin = NOETL;
    for (let count = 0; count < 3; count++) {
      expect(await check({ user: "admin", password: "admin", noetlLogin })).toMatchObject({ holds: true, report: "" });
    }
    expect(await everything(server)).toEqual(before);
    for (const message of held) expect(await message?.ackAck()).toBe(true);
    for (let count = 2; count < 5; count++) {
      const message = await consumer.next({ expires: 5_000 });
      expect(message?.string()).toBe(`command ${count}`);
      await message?.ackAck();
    }
    expect(await everything(server)).toMatchObject([{ consumers: [{ num_pending: 0, num_ack_pending: 0 }] }]);
    // Who subscribes to the subject without JetStream sees nothing of a check, before nats-server 2.11 empty messages.
    if (minor >= 11) expect(seen).toEqual([]);
    for (const { bytes, expected } of seen) {
      expect(bytes).toBe(0);
      expect(expected).toMatch(/^noetl-nats-[0-9a-f-]{36}$/);
    }
  });
});

// Older ones have no such queue.
it.each(SERVERS.filter(({ minor }) => minor >= 11))(
  "$tool: a short queue before the stream is filled by the check itself, which does not complain of that",
  async ({ tool }) => {
    server = await startNatsServer({
      config: configOf({ store: "max_memory_store: 64MB, max_buffered_msgs: 2" }),
      tool,
    });
    await startNoetl(server, {}, ADMIN);
    const { report, skippedRules, checks } = await check();
    expect({ report, skippedRules }).toEqual({ report: "", skippedRules: [] });
    expect(checks).toContainEqual(expect.objectContaining({ id: "publish-room", ok: true }));
  },
);

describe("the words of a report, done as they say", () => {
  it.each(PROBE_CASES)("fix $rule: $name", async (broken) => {
    const { cure, args, rule } = broken;
    await arrange(broken);
    const before = await check(args);
    const [, fixing = ""] = before.report.split("  To fix it:\n");
    expect(fixing).toMatch(cure.says);
    const command = cure.runs?.exec(fixing)?.[1];
    if (cure.runs) await natsCommand(command ?? "false", { NATS_USER: "admin", NATS_PASSWORD: "admin" });
    if (cure.reload) await server.reload(configOf(cure.reload));
    if (cure.restart) await server.restart(configOf(cure.restart));
    await cure.act?.(server);
    const after = await check({ ...args, ...cure.args });
    expect({ rule, report: after.report, holds: after.holds }).toEqual({ rule, report: "", holds: true });
  });
});

describe("the subjects that NoETL publishes on", () => {
  const routed = { publishes: ["noetl.commands", "noetl.commands.shared.*"] };

  it("are all asked, and one that no stream takes is reported", async () => {
    server = await startNatsServer({ config: configOf({ lines: `mappings: {"noetl.commands.shared.*": "lost"}` }) });
    await startNoetl(server, { stream: { subjects: ["noetl.commands", "noetl.commands.>"] } }, ADMIN);
    const report = await check(routed);
    expect(brokenIn(report.checks)).toEqual(["publish-stream"]);
    expect(report.report).toContain(
      "violation publish-stream of noetl.commands.shared.noetl-nats-probe by user noetl: found noetl.commands.shared." +
        "noetl-nats-probe is taken by nobody",
    );
  });

  it("hold where the stream takes them all", async () => {
    server = await startNatsServer({ config: configOf() });
    await startNoetl(server, { stream: { subjects: ["noetl.commands", "noetl.commands.>"] } }, ADMIN);
    expect(await check(routed)).toMatchObject({ holds: true, report: "", skippedRules: [] });
  });
});

describe("a mapping to another subject of the same stream", () => {
  const PARTS = { stream: { subjects: ["noetl.commands", "noetl.commands.>"] } };
  const lines = `mappings: {"noetl.commands": "noetl.commands.moved"}`;

  it.each<[string, Parameters<typeof startNoetl>[1]]>([
    ["without a filter", PARTS],
    ["whose filter lets that through too", { ...PARTS, consumer: { filter_subject: "noetl.>" } }],
    [
      "of a stream that gives it the name back",
      {
        stream: { ...PARTS.stream, subject_transform: { src: "noetl.commands.moved", dest: "noetl.commands" } },
        consumer: { filter_subject: "noetl.commands" },
      },
    ],
  ])("holds with a consumer %s", async (_what, changes) => {
    server = await startNatsServer({ config: configOf({ lines }) });
    await startNoetl(server, changes, ADMIN);
    expect(await check()).toMatchObject({ holds: true, report: "", skippedRules: [] });
  });

  it("is heard of by each of several checks, with no more subscriptions than NoETL and its gateway have", async () => {
    server = await startNatsServer({ config: configOf({ lines, rest: "max_subscriptions: 3" }) });
    await startNoetl(server, { ...PARTS, consumer: { filter_subject: "noetl.commands" } }, ADMIN);
    await startGateway(server, {}, ADMIN);
    const reports = await Promise.all(Array.from({ length: 3 }, () => check({ gateway: {} })));
    for (const { checks } of reports) expect(brokenIn(checks)).toEqual(["publish-subject"]);
  });

  it.each<[string, ServerTool, Parameters<typeof configOf>[0], string]>([
    ["the server is older", "nats-server-2.10", {}, "nats-server before 2.11 does not tell"],
    [
      "the login may not be told",
      "nats-server",
      { permissions: `publish: {deny: ["_INBOX.>"]}` },
      "user noetl is not told what becomes of a publish",
    ],
  ])("is left open, and said, where %s", async (_where, tool, setup, why) => {
    server = await startNatsServer({ config: configOf(setup), tool });
    await startNoetl(server, { ...PARTS, consumer: { filter_subject: "noetl.commands" } }, ADMIN);
    const report = await check();
    expect(report).toMatchObject({ holds: true, report: "" });
    const found = report.skippedRules.filter(({ id }) => id === "publish-subject").map((each) => each.why);
    expect(found).toEqual([expect.stringContaining(why)]);
  });
});

describe("a publish that nobody answers", () => {
  it("leads to somebody who is not a stream; where the time was up before, nothing is known", async () => {
    server = await startNatsServer({ config: configOf() });
    const listener = await natsClient(server, ADMIN);
    listener.subscribe("swallowed");
    await listener.flush();
    const session = await openSession(inputsFor(server, NOETL), new Deadline(20_000));
    try {
      const trial = { subject: "swallowed" };
      expect(await session.attempt(trial, 100, new Deadline(20_000))).toEqual({ kind: "silence" });
      // As at the end of a preview's look, over a slow way, with one login after the other.
      expect(await rejection(session.attempt(trial, 2_000, new Deadline(50)))).toMatchObject({
        problem: "no-answer",
        message: expect.stringMatching(/waited for the answer to a publish on swallowed$/) as string,
      });
    } finally {
      await session.close();
      await listener.close();
    }
  });
});

describe("an answer that comes while this process is busy", () => {
  it("is an answer, however long it lies there", async () => {
    server = await startNatsServer({ config: configOf() });
    const session = await openSession(inputsFor(server, NOETL), new Deadline(20_000));
    try {
      const asking = session.attempt({ subject: "$JS.API.INFO" }, 100, new Deadline(20_000));
      // As long as a busy machine may take to let the server answer, whose processor is left to it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
      expect(await asking).toEqual({
        kind: "answer",
        text: expect.stringContaining("account_info_response") as string,
      });
    } finally {
      await session.close();
    }
  });
});

describe("a login that was made for the check", () => {
  it("is not taken for NoETL's, and says what it could not ask", async () => {
    server = await startNatsServer({ config: configOf() });
    await startNoetl(server, {}, ADMIN);
    const report = await check({ user: "checker", password: "checker" });
    expect(report).toMatchObject({ holds: true, report: "" });
    const skippedRules = report.skippedRules.filter(({ why }) =>
      why.includes("give NoETL's own login as well (noetlLogin)"),
    );
    expect(skippedRules.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["publish-permission", "publish-stream", "publish-room", "worker-fetch", "worker-ack"]),
    );
  });

  it("together with NoETL's own login asks everything that is tried out", async () => {
    server = await startNatsServer({ config: configOf() });
    await startNoetl(server, {}, ADMIN);
    const report = await check({ user: "checker", password: "checker", noetlLogin: NOETL });
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(report.skippedRules.map(({ id }) => id).sort()).toEqual([
      "account-storage",
      "account-streams",
      "stream-fed",
      "stream-loop",
      "stream-overlap",
    ]);
  });

  it("holds NoETL's own login to what a server before it allowed", async () => {
    server = await startNatsServer({ config: configOf({ permissions: `publish: {deny: ["$JS.API.NOETL_NATS.>"]}` }) });
    await startNoetl(server, {}, ADMIN);
    const report = await check();
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(report.skippedRules).toEqual([
      { id: "publish-room", why: "user noetl may not publish on $JS.API.>, which asking for it takes" },
    ]);
  });
});

describe("a login that may acknowledge as an answer alone", () => {
  const permissions = `publish: {allow: ["noetl.>", "$JS.API.>", "$SYS.REQ.USER.INFO"]}, subscribe: {allow: ["_INBOX.>"]}, allow_responses: true`;

  it("is not called one that may not: it acknowledges what it got", async () => {
    server = await startNatsServer({ config: configOf({ permissions }) });
    await startNoetl(server, {}, ADMIN);
    const report = await check();
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(report.skippedRules).toEqual([
      { id: "worker-ack", why: expect.stringContaining("allow_responses") as string },
    ]);
    const worker = await natsClient(server, { user: "noetl", pass: "noetl" });
    opened.push(worker);
    await worker.jetstream().publish(STREAM.subject, "command");
    const consumer = await worker.jetstream().consumers.get(STREAM.name, CONSUMER.name);
    const message = await consumer.next({ expires: 5_000 });
    expect(await message?.ackAck()).toBe(true);
  });
});

describe("a server without headers", () => {
  it("is checked by everything that needs none", async () => {
    server = await startNatsServer({ config: configOf({ rest: "no_header_support: true" }) });
    await startNoetl(server, {}, ADMIN);
    const report = await check();
    expect(report).toMatchObject({ holds: true, report: "" });
    const skippedRules = report.skippedRules.filter(({ why }) => why.startsWith("the server takes no headers"));
    expect(skippedRules.map(({ id }) => id)).toEqual(expect.arrayContaining(["publish-stream", "worker-fetch"]));
  });
});

describe("a quick look", () => {
  it("of two seconds, as a preview's, finds what the probe meets, or that it could not be asked on a busy machine", async () => {
    server = await startNatsServer({ config: configOf({ lines: `mappings: {"noetl.commands": "elsewhere"}` }) });
    await startNoetl(server, {}, ADMIN);
    const subscriber = await natsClient(server, ADMIN);
    opened.push(subscriber);
    subscriber.subscribe("elsewhere", { callback: () => undefined });
    await subscriber.flush();
    const inputs = inputsFor(server, { ...NOETL, timeoutSeconds: 2 });
    const report = await until("a look that is not cut off", () =>
      checkContract(inputs, false).catch((error: ConnectError) => {
        expect(error.problem).toBe("no-answer");
        return undefined;
      }),
    );
    expect(brokenIn(report.checks)).toEqual(["publish-stream"]);
  });
});
