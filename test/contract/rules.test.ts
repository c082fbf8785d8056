import { AckPolicy, DeliverPolicy, RetentionPolicy, StorageType } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, RULES, type ContractArguments } from "../../components/stream-contract";
import { CONSUMER, STREAM } from "../../contract/noetl";
import { arrange, BROKEN, type Deviation } from "./cases";
import { addStream, inputsFor, removeStreams, startNatsServer, startNoetl, withManager } from "./support";
import type { NatsServer } from "./support";

const SECOND = 1e9;

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());
beforeEach(() => removeStreams(server));

const check = (args: Omit<ContractArguments, "connection"> = {}) =>
  checkContract(inputsFor(server, { timeoutSeconds: 1, ...args }));

const brokenIn = (checks: readonly { id: string; ok: boolean }[]): string[] =>
  checks.filter(({ ok }) => !ok).map(({ id }) => id);

describe("a stream and a consumer as NoETL creates them", () => {
  it("hold every rule", async () => {
    await startNoetl(server);
    const report = await check();
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(brokenIn(report.checks)).toEqual([]);
    expect(report.checks.map(({ id }) => id)).toEqual(RULES.map(({ id }) => id));
  });
});

describe("broken", () => {
  it.each(BROKEN)("$rule: $name", async (broken) => {
    await arrange(server, broken);
    const report = await check();
    expect(brokenIn(report.checks).sort()).toEqual([broken.rule, ...(broken.also ?? [])].sort());
    const { found, expected, severity } = report.checks.find(({ id }) => id === broken.rule) ?? {};
    expect({ found, expected }).toEqual({ found: broken.found, expected: broken.expected });
    const violated = report.checks.some((item) => !item.ok && item.severity === "violation");
    expect(report.holds).toBe(!violated);
    expect(report.report).toContain(`${severity} ${broken.rule}: found ${broken.found}, expected ${broken.expected}`);
    expect(report.report).toContain(`breaks: ${RULES.find(({ id }) => id === broken.rule)?.why}`);
  });

  it("has a case for every rule", () => {
    expect([...new Set(BROKEN.map(({ rule }) => rule))].sort()).toEqual(RULES.map(({ id }) => id).sort());
  });

  it("is all in one message", async () => {
    await startNoetl(server, {
      stream: { retention: RetentionPolicy.Interest, subjects: ["x"], storage: StorageType.File, max_age: 0 },
      consumer: { filter_subject: "y", max_deliver: 3 },
    });
    const report = await check();
    expect(brokenIn(report.checks)).toEqual([
      "stream-retention",
      "stream-subjects",
      "stream-storage",
      "stream-max-age",
      "consumer-filter",
      "consumer-max-deliver",
    ]);
    expect(report.report).toContain("does not hold: 3 violations, and 3 differences more. Stream NOETL_COMMANDS,");
  });
});

describe("not broken", () => {
  const holding: readonly (Deviation & { name: string })[] = [
    {
      name: "subjects as later versions of NoETL widen them",
      stream: { subjects: ["noetl.commands", "noetl.commands.>"] },
    },
    { name: "a wider subject", stream: { subjects: ["noetl.>"] } },
    { name: "a filter that covers the subject", consumer: { filter_subject: "noetl.>" } },
    { name: "one filter of several that covers it", consumer: { filter_subjects: ["noetl.events", "noetl.commands"] } },
    {
      name: "a transform of other subjects",
      stream: { subjects: ["noetl.>"], subject_transform: { src: "noetl.events", dest: "moved" } },
    },
    { name: "a fetch limit that the worker keeps to", consumer: { max_expires: 30 * SECOND } },
    { name: "a large message limit", stream: { max_msg_size: 1024 * 1024 } },
    { name: "a description and metadata", stream: { description: "d", metadata: { _nats: "x", mine: "y" } } },
  ];

  it.each(holding)("$name", async ({ stream, consumer }) => {
    await arrange(server, { stream, consumer });
    const { holds, report } = await check();
    expect({ holds, report }).toEqual({ holds: true, report: "" });
  });

  it("a filter on what a transform really stores", async () => {
    await startNoetl(server, {
      stream: { subject_transform: { src: "noetl.*", dest: "moved.{{wildcard(1)}}" } },
      consumer: { filter_subject: "moved.commands" },
    });
    const { pending } = await withManager(server, async (manager, connection) => {
      await connection.jetstream().publish(STREAM.subject);
      return { pending: (await manager.consumers.info(STREAM.name, CONSUMER.name)).num_pending };
    });
    expect(pending).toBe(1); // the server agrees with the rule
    expect(brokenIn((await check()).checks)).toEqual(["stream-transform"]);
  });
});

describe("settings", () => {
  it("judge by other names, values and worker settings", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, {
        name: "OTHER",
        subjects: ["jobs.>"],
        storage: StorageType.File,
        max_age: 60 * SECOND,
      });
      await manager.consumers.add("OTHER", {
        durable_name: "pool",
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: 5 * SECOND,
        max_deliver: -1,
        max_ack_pending: 7,
      });
    });
    const report = await check({
      stream: "OTHER",
      subject: "jobs.today",
      consumer: "pool",
      expect: { storage: "file", maxAgeSeconds: 60, deliverPolicy: "all", ackWaitSeconds: 5 },
      worker: { maxAckPending: 7, maxDeliver: -1 },
    });
    expect(report).toMatchObject({ holds: true, report: "" });
  });

  it("strict makes drift fail", async () => {
    await startNoetl(server, { stream: { storage: StorageType.File } });
    expect((await check()).holds).toBe(true);
    expect((await check({ strict: true })).holds).toBe(false);
  });
});
