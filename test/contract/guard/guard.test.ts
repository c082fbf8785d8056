import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { AckPolicy, DeliverPolicy, RetentionPolicy, StorageType, type ConnectionOptions } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CONSUMER, STREAM } from "../../../contract/facts";
import type { GuardMode } from "../../../contract/guard/settings";
import { holdingStream, lockStream } from "../../../contract/rules/rule";
import { certificate, type Certificate } from "../../support/certificates";
import { asGuard, GUARD, guardConfig as config, operator, Running } from "../../support/guard";
import {
  addConsumer,
  addStream,
  natsClient,
  removeStreams,
  startNatsServer,
  until,
  withManager,
  type NatsServer,
} from "../../support/nats";

let server: NatsServer;
const guards: Running[] = [];
const start = async (options: { mode?: GuardMode; id?: string } = {}): Promise<Running> => {
  const guard = await Running.start(server.address, options);
  guards.push(guard);
  return guard;
};
const manage = <T>(work: Parameters<typeof withManager<T>>[1]) => withManager(server, work, operator);

/** A guard looks by itself every 15 s; what takes less it has done because NATS told it. */
const BY_NOTICE_MILLISECONDS = 10_000;

/** Waits until stream and consumer are there; milliseconds that it took. */
async function there(): Promise<number> {
  const since = performance.now();
  await manage((manager) =>
    until("stream and consumer", () =>
      manager.consumers.info(STREAM.name, CONSUMER.name).then(
        () => true,
        () => undefined,
      ),
    ),
  );
  return performance.now() - since;
}

const healed = (kind: string, mode: GuardMode = "heal") => `noetl_contract_heals_total{kind="${kind}",mode="${mode}"}`;

beforeAll(async () => {
  server = await startNatsServer({ config: config() });
});
afterAll(() => server.stop());
beforeEach(() => removeStreams(server, operator));
afterEach(async () => {
  const running = guards.splice(0);
  const ends = await Promise.all(running.map((guard) => guard.end()));
  // Nothing that a guard ever said holds the password, and it ends when it is asked to.
  expect(running.flatMap(({ lines }) => lines).filter((line) => line.includes(GUARD))).toEqual([]);
  expect(ends.filter((code) => code !== 0)).toEqual([]);
});

describe("what NoETL would have made", () => {
  it("is made where nothing is there, as NoETL makes it, and reported", async () => {
    const guard = await start();
    await there();
    await guard.reaches("noetl_contract_holds", 1);
    await manage(async (manager) => {
      expect((await manager.streams.info(STREAM.name)).config).toMatchObject({
        subjects: [STREAM.subject],
        storage: "memory",
        retention: "limits",
        max_age: 3600e9,
      });
      expect((await manager.consumers.info(STREAM.name, CONSUMER.name)).config).toMatchObject({
        ack_policy: "explicit",
        deliver_policy: "new",
        max_ack_pending: 64,
      });
      expect((await manager.streams.info("KV_sessions")).config).toMatchObject({ max_age: 300e9 });
    });
    for (const [kind, times] of [
      ["stream", 1],
      ["consumer", 1],
      ["bucket", 2],
    ] as const) {
      expect(await guard.metric(healed(kind))).toBe(times);
    }
    await guard.says("created stream NOETL_COMMANDS, which was missing");
  });

  it("is made again at once after it was removed, by NATS' own notice", async () => {
    const guard = await start();
    await there();
    await guard.reaches("noetl_contract_holds", 1);
    await manage((manager) => manager.streams.delete(STREAM.name));
    expect(await there()).toBeLessThan(BY_NOTICE_MILLISECONDS);
    await guard.reaches("noetl_contract_stream_lost_total", 1);
    await guard.reaches("noetl_contract_stream_remade_total", 1);
    await manage((manager) => manager.consumers.delete(STREAM.name, CONSUMER.name));
    expect(await there()).toBeLessThan(BY_NOTICE_MILLISECONDS);
    await manage((manager) => manager.streams.delete("KV_requests"));
    await guard.reaches(healed("bucket"), 3);
  });

  it("is there again after NATS was killed, and that NATS is away is said once", async () => {
    const guard = await start();
    await there();
    await guard.reaches("noetl_contract_holds", 1);
    await server.restart(config());
    expect(await there()).toBeLessThan(BY_NOTICE_MILLISECONDS);
    await guard.reaches("noetl_contract_holds", 1);
    const said = (start: string) => guard.messages().filter((message) => message.startsWith(start));
    await until("a second connection", () => said("connected to NATS").length > 1 || undefined);
    expect(said("NATS is away")).toHaveLength(1);
    expect(said("connected to NATS")).toHaveLength(2);
    expect(await guard.metric("noetl_contract_stream_lost_total")).toBe(1);
  });

  it("is made by one of two guards, and both go on", async () => {
    const [first, second] = await Promise.all([start({ id: "guard-a" }), start({ id: "guard-b" })]);
    const sum = async (kind: string) =>
      ((await first.metric(healed(kind))) ?? 0) + ((await second.metric(healed(kind))) ?? 0);
    const both = async (name: string, value: number) =>
      Promise.all([first, second].map((each) => each.reaches(name, value)));
    await there();
    const times = 10;
    for (let removed = 1; removed <= times; removed++) {
      await both("noetl_contract_holds", 1);
      await manage((manager) =>
        removed % 2 === 0 ? manager.streams.delete(STREAM.name) : manager.consumers.delete(STREAM.name, CONSUMER.name),
      );
      await there();
    }
    await both("noetl_contract_holds", 1);
    expect(await sum("stream")).toBe(1 + times / 2);
    expect(await sum("consumer")).toBe(1 + times);
    expect(await first.metric("noetl_contract_heals_refused_total")).toBe(0);
    expect(await second.metric("noetl_contract_heals_refused_total")).toBe(0);
  });
});

describe("what is left alone, and reported once", () => {
  const everything = () =>
    manage(async (manager) => {
      const found: unknown[] = [];
      for await (const { config: stream, created, state } of manager.streams.list()) {
        const consumers = await manager.consumers.list(stream.name).next();
        found.push({ stream, created, messages: state.messages, consumers: consumers.map((each) => each.config) });
      }
      return found;
    });

  /** Lets a guard look twice more at least, and says what it said of the contract. */
  async function watched(guard: Running): Promise<string[]> {
    const looks = (await guard.metric("noetl_contract_looks_total")) ?? 0;
    for (let round = 1; round <= 2; round++) {
      // A change of a bucket's description: NATS tells of it, the guard looks.
      await manage((manager) => manager.streams.update("KV_sessions", { description: `round ${round}` }));
      await until("another look", async () =>
        ((await guard.metric("noetl_contract_looks_total")) ?? 0) >= looks + round ? true : undefined,
      );
    }
    const said = () => guard.messages().filter((message) => /violation|drift|repair/.test(message));
    await until("the guard to say something", () => said().length > 0 || undefined);
    return said();
  }

  const bucket = (name: string) => ({
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    max_msgs_per_subject: 1,
    max_age: (name === "sessions" ? 300 : 1800) * 1e9,
    storage: StorageType.Memory,
    allow_rollup_hdrs: true,
  });
  const buckets = () =>
    manage(async (manager) => {
      await manager.streams.add(bucket("sessions"));
      await manager.streams.add(bucket("requests"));
    });
  const withoutDescription = (found: unknown[]) => JSON.stringify(found).replace(/"description":"[^"]*",?/g, "");

  it("a work queue, to which no consumer is added", async () => {
    await buckets();
    await manage((manager) => addStream(manager, { retention: RetentionPolicy.Workqueue }));
    const before = withoutDescription(await everything());
    const guard = await start();
    await guard.reaches("noetl_contract_holds", 0);
    const said = await watched(guard);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("violation stream-retention: found workqueue, expected limits");
    expect(await guard.get("/metrics")).toContain(
      'noetl_contract_rule_broken{rule="stream-retention",severity="violation"} 1',
    );
    expect(withoutDescription(await everything())).toBe(before);
    expect(await guard.metric(healed("consumer"))).toBe(0);
  });

  it("a consumer with a filter and other terms, and messages", async () => {
    await buckets();
    await manage(async (manager, connection) => {
      await addStream(manager, { subjects: [STREAM.subject, "noetl.commands.pool.>"], max_age: 60e9 });
      await addConsumer(manager, { filter_subject: "noetl.commands.pool.>", ack_wait: 300e9 });
      await connection.jetstream().publish(STREAM.subject);
    });
    const before = withoutDescription(await everything());
    const guard = await start();
    await guard.reaches("noetl_contract_holds", 0);
    expect(await watched(guard)).toHaveLength(1);
    expect(withoutDescription(await everything())).toBe(before);
  });

  it("whatever a repair has under way", async () => {
    await buckets();
    await manage((manager) =>
      manager.streams.add({ name: lockStream(STREAM.name), subjects: ["lock"], storage: StorageType.Memory }),
    );
    await manage((_, connection) => connection.jetstream().publish("lock"));
    const guard = await start();
    await guard.reaches("noetl_contract_repair", 1);
    expect((await watched(guard)).filter((message) => message.startsWith("a repair of stream"))).toHaveLength(1);
    expect(await guard.metric("noetl_contract_stream_present")).toBe(0);
    // The lock is gone, and another stream has the subject still.
    await manage((manager) =>
      manager.streams.add({ name: holdingStream(STREAM.name), subjects: ["held"], storage: StorageType.Memory }),
    );
    await manage((manager) => manager.streams.delete(lockStream(STREAM.name)));
    await watched(guard);
    expect(await guard.metric("noetl_contract_stream_present")).toBe(0);
    await manage((manager) => manager.streams.delete(holdingStream(STREAM.name)));
    await manage((manager) => manager.streams.update("KV_sessions", { description: "again" }));
    await there();
    await guard.says("the repair of stream NOETL_COMMANDS has ended");
  });

  it("everything, in mode watch", async () => {
    await buckets();
    const guard = await start({ mode: "watch" });
    await guard.reaches("noetl_contract_holds", 0);
    expect(await watched(guard)).toEqual([
      "violation stream-exists: found no such stream, expected stream NOETL_COMMANDS",
    ]);
    expect(await guard.metric("noetl_contract_stream_present")).toBe(0);
  });
});

describe("the metrics", () => {
  it("tell lag, age, flight and store as NATS has them", async () => {
    const guard = await start();
    await there();
    await manage(async (manager, connection) => {
      const js = connection.jetstream();
      for (let message = 0; message < 5; message++) await js.publish(STREAM.subject, "12345");
      const consumer = await js.consumers.get(STREAM.name, CONSUMER.name);
      for await (const message of await consumer.fetch({ max_messages: 2, expires: 10_000 }))
        expect(message.seq).toBeGreaterThan(0);
      await manager.streams.update("KV_sessions", { description: "look" });
    });
    const of = `{consumer="${CONSUMER.name}"}`;
    await guard.reaches(`noetl_contract_in_flight${of}`, 2);
    expect(await guard.metric(`noetl_contract_lag${of}`)).toBe(3);
    expect(await guard.metric(`noetl_contract_in_flight_max${of}`)).toBe(64);
    expect(await guard.metric("noetl_contract_leader")).toBe(1);
    expect(await guard.metric("noetl_contract_oldest_pending_seconds")).toBeGreaterThan(0);
    expect(await guard.metric('noetl_contract_store_used_bytes{storage="memory"}')).toBeGreaterThan(0);
  });
});

describe("the guard's user", () => {
  const refusedTo = async (user: ConnectionOptions, subject: string, body = ""): Promise<boolean> => {
    const connection = await natsClient(server, user);
    try {
      await connection.request(subject, body, { timeout: 10_000 });
      return false;
    } catch (error) {
      return String((error as { code?: string }).code) === "PERMISSIONS_VIOLATION";
    } finally {
      await connection.close();
    }
  };
  const S = STREAM.name;
  const C = CONSUMER.name;

  it.each([
    STREAM.subject,
    "anything.else",
    "$KV.sessions.a",
    `$JS.API.STREAM.DELETE.${S}`,
    `$JS.API.STREAM.PURGE.${S}`,
    `$JS.API.STREAM.UPDATE.${S}`,
    `$JS.API.STREAM.MSG.GET.${S}`,
    `$JS.API.STREAM.MSG.DELETE.${S}`,
    `$JS.API.STREAM.CREATE.OTHER`,
    `$JS.API.STREAM.DELETE.KV_sessions`,
    `$JS.API.CONSUMER.DELETE.${S}.${C}`,
    `$JS.API.CONSUMER.MSG.NEXT.${S}.${C}`,
    `$JS.API.CONSUMER.CREATE.${S}`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${S}.other`,
    `$JS.ACK.${S}.${C}.1.1.1.1.1`,
    `$JS.API.CONSUMER.PAUSE.${S}.${C}`,
    "$SYS.REQ.SERVER.PING",
  ])("may not publish on %s", async (subject) => {
    await manage((manager) => addStream(manager));
    expect(await refusedTo(asGuard, subject)).toBe(true);
  });

  it.each(["_INBOX.>", STREAM.subject, "$JS.ACK.>", ">"])("may not listen on %s", async (subject) => {
    const connection = await natsClient(server, asGuard);
    const refused = await new Promise<boolean>((resolve) => {
      connection.subscribe(subject, { callback: (error) => resolve(error !== null) });
      void connection.flush().then(() => setImmediate(() => resolve(false)));
    });
    expect(refused).toBe(true);
    await connection.close();
  });

  it("may not create anything in mode watch", async () => {
    await server.restart(config("watch"));
    try {
      for (const subject of [`STREAM.CREATE.${S}`, `CONSUMER.DURABLE.CREATE.${S}.${C}`, "STREAM.CREATE.KV_sessions"]) {
        expect(await refusedTo(asGuard, `$JS.API.${subject}`)).toBe(true);
      }
      const guard = await start({ mode: "watch" });
      await guard.reaches("noetl_contract_holds", 0);
    } finally {
      await server.restart(config());
    }
  });

  it("creates a durable consumer, and a request that would change one is refused where the guard sends it", async () => {
    await manage(async (manager) => {
      await addStream(manager);
      await addConsumer(manager, {
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.New,
        max_ack_pending: 7,
      });
    });
    const connection = await natsClient(server, asGuard);
    const body = {
      stream_name: S,
      action: "create",
      config: { durable_name: C, ack_policy: "explicit", deliver_policy: "new" },
    };
    const answer = await connection.request(`$JS.API.CONSUMER.DURABLE.CREATE.${S}.${C}`, JSON.stringify(body));
    expect(answer.json()).toMatchObject({ error: { err_code: 10148 } });
    await connection.close();
  });
});

describe("the certificate that NATS shows", () => {
  const DAY = 24 * 3600;
  const authority = certificate("authority");
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "guard-tls-"));
  afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

  const tls = ({ cert, key }: Certificate): string => {
    fs.writeFileSync(path.join(dir, "tls.crt"), cert);
    fs.writeFileSync(path.join(dir, "tls.key"), key);
    return `${config()}\ntls {cert_file: "${path.join(dir, "tls.crt")}", key_file: "${path.join(dir, "tls.key")}"}`;
  };
  const made = (more: object) => certificate("server", { issuer: authority, names: ["127.0.0.1"], ...more });

  it("is shown by its end while it keeps the guard out, and when it was renewed", async () => {
    const own = await startNatsServer({ config: tls(made({ expired: true })) });
    try {
      const guard = await Running.start(own.address, { ca: authority.cert });
      guards.push(guard);
      const metric = "noetl_contract_certificate_ends_seconds";
      const left = await until("the end of one that has ended", () => guard.metric(metric));
      expect(Math.abs(left + DAY)).toBeLessThan(600);
      expect(await guard.metric("noetl_contract_nats_connected")).toBe(0);
      expect(guard.messages().join()).toContain("has expired on");
      await own.reload(tls(made({ days: 365 })));
      await guard.reaches("noetl_contract_holds", 1);
      const renewed = await until("the end of the new one", async () => {
        const seconds = await guard.metric(metric);
        return seconds !== undefined && seconds > 0 ? seconds : undefined;
      });
      expect(Math.abs(renewed - 365 * DAY)).toBeLessThan(600);
    } finally {
      await own.stop();
    }
  });

  it("is not spoken of without TLS", async () => {
    const guard = await start();
    await guard.reaches("noetl_contract_holds", 1);
    expect(await guard.get("/metrics")).not.toContain("certificate");
  });
});
