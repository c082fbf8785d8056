import { AckPolicy, DeliverPolicy, RetentionPolicy, StorageType } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ConnectError } from "../../contract/errors";
import { checkContract, RULES, type Check, type ContractArguments } from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import { EFFECTS } from "../../contract/rules/rule";
import {
  AFTER_A_LOSS,
  arrange,
  BROKEN,
  CASES_CONFIG,
  clear,
  HOLDING,
  IN_A_CLUSTER,
  type Deviation,
  type Minor,
} from "./cases";
import { PROBE_CASES } from "./probe-cases";
import {
  addStream,
  inputsFor,
  removeStreams,
  startGateway,
  startNatsServer,
  startNoetl,
  until,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../support/nats";

const SECOND = 1e9;

const brokenIn = (checks: readonly Check[]): string[] => checks.filter(({ ok }) => !ok).map(({ id }) => id);

/** The servers that the rules are held against: Debian's, the current one, and what is between. */
const SERVERS: readonly { tool: ServerTool; minor: Minor }[] = [
  { tool: "nats-server-2.9", minor: 9 },
  { tool: "nats-server-2.10", minor: 10 },
  { tool: "nats-server-2.11", minor: 11 },
  { tool: "nats-server-2.12", minor: 12 },
  { tool: "nats-server", minor: 15 },
];

describe.each(SERVERS)("$tool", ({ tool, minor }) => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ config: CASES_CONFIG, tool });
  });
  afterAll(() => server.stop());
  beforeEach(() => clear(server));

  const has = ({ since = 9, until = 15 }: Deviation): boolean => since <= minor && minor <= until;

  const check = async ({ args, remembered }: Deviation) => {
    const created = remembered && (await withManager(server, ({ streams }) => streams.info(STREAM.name))).created;
    const ask = (timeoutSeconds: number) =>
      checkContract(inputsFor(server, { timeoutSeconds, ...args }), true, created ? remembered?.(created) : undefined);
    try {
      // What is missing is waited for to the end.
      return await ask(1);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.problem !== "no-answer") throw error;
      // On a busy machine a second may pass before the server is asked.
      return ask(20);
    }
  };

  it("is the version that it is taken for", async () => {
    await startNoetl(server);
    expect((await check({ name: "" })).serverVersion).toMatch(new RegExp(`^2\\.${minor}\\.`));
  });

  it("holds every rule where NoETL and its gateway created everything", async () => {
    await startNoetl(server);
    await startGateway(server);
    const report = await check({
      name: "",
      args: { gateway: {} },
      remembered: (created) => ({ streamCreated: created }),
    });
    expect(report).toMatchObject({ holds: true, report: "" });
    expect(brokenIn(report.checks)).toEqual([]);
    const skippedRules = report.skippedRules.map(({ id }) => id);
    // What is only asked where stream or consumer are missing, where there are several consumers, or filters; nats-server 2.9 does not
    // tell what a user may do, and before 2.11 none whether there is room.
    expect(skippedRules).toEqual([...(minor < 10 ? ["gateway-buckets"] : []), ...(minor < 11 ? ["publish-room"] : [])]);
    const missing = [
      "account-streams",
      "stream-creatable",
      "consumer-creatable",
      "consumers-cover",
      "publish-subject",
      "bucket-creatable",
      "store-replicas",
    ];
    const asked = [...new Set(report.checks.map(({ id }) => id)), ...skippedRules, ...missing];
    expect(asked.sort()).toEqual(RULES.map(({ id }) => id).sort());
  });

  it.each(BROKEN.filter(has))("$rule is broken: $name", async (broken) => {
    await arrange(server, broken);
    const report = await check(broken);
    const also = (broken.also ?? []).filter((id) => minor >= 10 || id !== "gateway-buckets");
    expect(brokenIn(report.checks).sort()).toEqual([broken.rule, ...also].sort());
    const { found, expected, severity } =
      report.checks.find(
        ({ id, bucket, consumer, ok }) =>
          id === broken.rule && bucket === broken.bucket && (broken.consumerName ?? consumer) === consumer && !ok,
      ) ?? {};
    const stable = found
      ?.replace(/^created \d.*/, "created <now>")
      .replace(/^\d+ of 100000/, "<n> of 100000")
      .replace(/after [\d.]+ s$/, "after 0 s");
    expect({ found: stable, expected }).toEqual({ found: broken.found, expected: broken.expected });
    const violated = report.checks.some((item) => !item.ok && item.severity === "violation");
    expect(report.holds).toBe(!violated);
    const of = broken.bucket ?? broken.consumerName;
    const which = of === undefined ? broken.rule : `${broken.rule} of ${of}`;
    expect(report.report).toContain(`${severity} ${which}: found ${found}, expected ${expected}`);
    expect(report.report).toContain(`breaks: ${RULES.find(({ id }) => id === broken.rule)?.why}`);
  });

  it.each(HOLDING.filter(has))("every rule holds: $name", async (holding) => {
    await arrange(server, holding);
    const { holds, report } = await check(holding);
    expect({ holds, report }).toEqual({ holds: true, report: "" });
  });
});

describe("the cases", () => {
  it("break every rule", () => {
    const broken = new Set([...[...BROKEN, ...PROBE_CASES].map(({ rule }) => rule), ...IN_A_CLUSTER, ...AFTER_A_LOSS]);
    expect([...broken].sort()).toEqual(RULES.map(({ id }) => id).sort());
  });

  it("are as severe as what happens to a command", () => {
    for (const { id, severity, effect } of RULES) {
      expect({ id, severity }).toEqual({ id, severity: effect && EFFECTS[effect].severity });
    }
  });
});

describe("on the current server", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());
  beforeEach(() => removeStreams(server));

  const check = (args: Omit<ContractArguments, "connection"> = {}) =>
    checkContract(inputsFor(server, { timeoutSeconds: 1, ...args }));

  it("everything that is broken is in one message", async () => {
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
    expect(report.report).toContain("does not hold: 3 violations, and 3 differences more.");
  });

  it("a filter on what a transform really stores holds", async () => {
    await startNoetl(server, {
      stream: { subject_transform: { src: "noetl.*", dest: "moved.{{wildcard(1)}}" } },
      consumer: { filter_subject: "moved.commands" },
    });
    // The server agrees with the rule. It counts for the consumer a moment after it has acknowledged the message.
    await withManager(server, async (manager, connection) => {
      await connection.jetstream().publish(STREAM.subject);
      await until("the message to wait for the consumer", async () =>
        (await manager.consumers.info(STREAM.name, CONSUMER.name)).num_pending === 1 ? true : undefined,
      );
    });
    expect(brokenIn((await check()).checks)).toEqual(["stream-transform"]);
  });

  it("other names, values and worker settings are checked by", async () => {
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
