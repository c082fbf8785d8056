import { AckPolicy, RetentionPolicy, StorageType, type ConsumerConfig, type StreamConfig } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  checkContract,
  ensureContract,
  EnsureRefused,
  evaluateRules,
  RULES,
  type ContractArguments,
} from "../../contract";
import { CONSUMER, STREAM } from "../../contract/facts";
import { lockStream } from "../../contract/rules/rule";
import { arrange, BROKEN, CASES_CONFIG, clear } from "./cases";
import { ADMIN, configOf } from "./probe-cases";
import {
  addConsumer,
  addStream,
  inputsFor,
  natsCommand,
  proxy,
  rejection,
  removeStreams,
  sleep,
  startGateway,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
} from "../support/nats";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: CASES_CONFIG });
});
afterAll(() => server.stop());
beforeEach(() => clear(server));

const inputs = (args: Omit<ContractArguments, "connection"> = {}) =>
  inputsFor(server, { timeoutSeconds: 2, mode: "ensure", ...args });

/** Everything that the account holds, as the nats command line tells it; what changes by itself left out. */
async function everything(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  await withManager(server, async (manager) => {
    for await (const stream of manager.streams.list()) {
      const consumers = await manager.consumers.list(stream.config.name).next();
      found[stream.config.name] = {
        created: stream.created,
        messages: stream.state.messages,
        config: stream.config,
        consumers: consumers.map(({ config, created }) => ({ config, created })),
      };
    }
  });
  return found;
}

type Info<T> = { config: T };
const witness = async <T>(what: string): Promise<T> =>
  (JSON.parse(await natsCommand(`nats --server ${server.address} ${what} --json`)) as Info<T>).config;

describe("where nothing is there", () => {
  it("stream and consumer are created exactly as NoETL creates them", async () => {
    await startNoetl(server);
    const byNoetl = {
      stream: await witness<StreamConfig>(`stream info ${STREAM.name}`),
      consumer: await witness<ConsumerConfig>(`consumer info ${STREAM.name} ${CONSUMER.name}`),
    };
    await clear(server);
    const { holds, report, changes } = await ensureContract(inputs());
    expect({ holds, report, changes }).toEqual({
      holds: true,
      report: "",
      changes: ["create stream NOETL_COMMANDS", "create consumer noetl_worker_pool"],
    });
    expect({
      stream: await witness<StreamConfig>(`stream info ${STREAM.name}`),
      consumer: await witness<ConsumerConfig>(`consumer info ${STREAM.name} ${CONSUMER.name}`),
    }).toEqual(byNoetl);
  });

  it("the gateway's buckets are created too, and are buckets to a client", async () => {
    const args = { gateway: { requestTtlSeconds: 60 } };
    const { changes } = await ensureContract(inputs(args));
    expect(changes.slice(0, 2)).toEqual(["create bucket sessions", "create bucket requests"]);
    await withManager(server, async (_manager, connection) => {
      const bucket = await connection.jetstream().views.kv("requests", { bindOnly: true });
      await bucket.put("a", "value");
      expect((await bucket.get("a"))?.string()).toBe("value");
      const { ttl, history } = await bucket.status();
      expect({ ttl, history }).toEqual({ ttl: 60_000, history: 1 });
    });
    // NoETL and its gateway, which start afterwards, change nothing about it.
    const before = await everything();
    await startGateway(server);
    expect((await checkContract(inputsFor(server, args))).report).toBe("");
    expect(await everything()).toEqual(before);
  });

  it("a second run, and one after an interruption, find nothing more to do", async () => {
    await withManager(server, (manager) => addStream(manager)); // as if it had ended here
    expect((await ensureContract(inputs())).changes).toEqual(["create consumer noetl_worker_pool"]);
    expect((await ensureContract(inputs())).changes).toEqual([]);
  });
});

describe("beside others, through the same door", () => {
  /** Mode ensure over a proxy that waits for `before` with what is sent. */
  async function ensuredBeside(before: (sent: string) => Promise<unknown>) {
    const between = await proxy(server, undefined, before);
    try {
      return await ensureContract(inputsFor({ ...server, address: between.address }, { mode: "ensure" }));
    } finally {
      await between.close();
    }
  }
  const CREATES_STREAM = `$JS.API.STREAM.CREATE.${STREAM.name} `;
  const CREATES_CONSUMER = `$JS.API.CONSUMER.DURABLE.CREATE.${STREAM.name}.${CONSUMER.name} `;
  /** What a creation has that is only tried, so that the server refuses it. */
  const TRIED = /noetl-nats-probe|"opt_start_seq":1\b/;

  it("stream and consumer are asked for in one packet, so that no command is stored between the two", async () => {
    const packets: string[] = [];
    const { changes } = await ensuredBeside((sent) => Promise.resolve(packets.push(sent)));
    expect(changes).toEqual(["create stream NOETL_COMMANDS", "create consumer noetl_worker_pool"]);
    const creating = packets.filter((sent) => sent.includes(CREATES_STREAM) && !TRIED.test(sent));
    expect(creating).toEqual([expect.stringContaining(CREATES_CONSUMER)]);
  });

  it("what somebody makes just before it stays as it is, and is no error: a guard's stream, a worker's consumer", async () => {
    let made: Promise<unknown> | undefined;
    const byOthers = () =>
      withManager(server, async (manager) => {
        await addStream(manager, { metadata: { "made-by": "a guard" } });
        await addConsumer(manager, { ack_wait: 300e9 });
      });
    const { holds, changes, ackWaitSeconds } = await ensuredBeside(async (sent) => {
      if (sent.includes(CREATES_STREAM) && !TRIED.test(sent)) await (made ??= byOthers());
    });
    expect({ holds, changes, ackWaitSeconds }).toEqual({ holds: true, changes: [], ackWaitSeconds: 300 });
  });

  it("a consumer that a worker makes just before it keeps its time to acknowledge", async () => {
    await withManager(server, (manager) => addStream(manager));
    let made: Promise<unknown> | undefined;
    const byWorker = () => withManager(server, (manager) => addConsumer(manager, { ack_wait: 300e9 }));
    const { holds, changes, ackWaitSeconds } = await ensuredBeside(async (sent) => {
      if (sent.includes(CREATES_CONSUMER) && !TRIED.test(sent)) await (made ??= byWorker());
    });
    expect({ holds, changes, ackWaitSeconds }).toEqual({ holds: true, changes: [], ackWaitSeconds: 300 });
  });
});

describe("what is broken", () => {
  const here = BROKEN.filter(({ until = 15 }) => until >= 15);
  /** What nothing but removing, recreating or somebody's decision fixes. */
  const RECREATED = new Set([
    ...["stream-mirror", "stream-sealed", "stream-counter", "stream-storage", "stream-persist", "stream-overlap"],
    "stream-peers",
    ...["stream-loop", "stream-fed"],
    ...["consumer-durable", "consumer-pull", "consumer-ack-policy", "consumer-priority", "consumer-max-waiting"],
    ...["consumer-deliver-policy", "consumer-start", "consumer-replay-policy", "consumer-replicas", "bucket-writable"],
    ...[
      "consumers-cover",
      "account-storage",
      "account-streams",
      "gateway-updates",
      "gateway-callbacks",
      "gateway-buckets",
    ],
  ]);

  const refused = here.filter(({ rule, name, kept }) => kept || RECREATED.has(rule) || name.startsWith("a work queue"));
  const fixed = here.filter((each) => !refused.includes(each) && each.rule !== "stream-lost");

  it.each(fixed.filter(({ rule }) => rule !== "stream-replicas"))(
    "is fixed without losing anything: $rule, $name",
    async (broken) => {
      await arrange(server, broken);
      const before = await everything();
      const { report, changes } = await ensureContract(inputs(broken.args));
      expect(report).toBe("");
      expect(changes.length).toBeGreaterThan(0);
      const after = await everything();
      for (const [name, stream] of Object.entries(before)) {
        const { created, messages } = stream as { created: string; messages: number };
        expect(after[name]).toMatchObject({ created, messages });
      }
      // The nats command line, an independent witness, sees a contract that holds as well.
      expect((await checkContract(inputsFor(server, broken.args))).report).toBe("");
    },
  );

  it.each(refused)("is refused, and nothing is touched: $rule, $name", async (broken) => {
    await arrange(server, broken);
    const before = await everything();
    const isDrift = RULES.find(({ id }) => id === broken.rule)?.severity === "drift";
    if (isDrift) {
      const { holds, report, changes } = await ensureContract(inputs(broken.args));
      expect({ holds, changes }).toEqual({ holds: true, changes: [] });
      expect(report).toContain(broken.rule);
    }
    const error = await rejection(ensureContract(inputs({ ...broken.args, strict: isDrift })));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toMatch(/^Nothing was changed: [^.]*\b(needs|need) a decision\. Mode ensure never removes/);
    if (broken.kept && !RECREATED.has(broken.rule)) expect(error.message).toMatch(/\n {4}mode ensure leaves it: \w/);
    expect(error.message).toContain(broken.rule);
    expect(error.message).toContain("To fix it:");
    expect(await everything()).toEqual(before);
  });

  it("in several ways is fixed in one request each, and says from what to what", async () => {
    await startNoetl(server, {
      stream: { retention: RetentionPolicy.Interest, subjects: ["noetl.events"], max_age: 60e9, no_ack: true },
      consumer: { max_deliver: 3, max_ack_pending: 10 },
    });
    const { report, changes } = await ensureContract(inputs());
    expect(report).toBe("");
    expect(changes).toEqual([
      'update stream NOETL_COMMANDS: retention "interest" -> "limits", subjects ["noetl.events"] -> ' +
        '["noetl.events","noetl.commands"], no_ack true -> false, max_age 60000000000 -> 3600000000000, duplicate_window 60000000000 -> 120000000000',
      "update consumer noetl_worker_pool: max_deliver 3 -> 1000, max_ack_pending 10 -> 64",
    ]);
  });

  it("beside something that is refused stays as it is", async () => {
    await startNoetl(server, { stream: { max_age: 0 }, consumer: { ack_policy: AckPolicy.All } });
    const before = await everything();
    expect((await rejection(ensureContract(inputs()))).message).toContain(
      "Nothing was changed: consumer-ack-policy needs a decision.",
    );
    expect(await everything()).toEqual(before);
  });
});

describe("while a repair is at work", () => {
  const lock = (held: boolean) =>
    withManager(server, async (manager, connection) => {
      const name = lockStream(STREAM.name);
      if (!held) return void (await manager.streams.purge(name));
      await manager.streams.add({ name, subjects: ["lock"], storage: StorageType.Memory });
      await connection.jetstream().publish("lock");
    });

  it("nothing is made in the place of what it has just removed, and the message says what to wait for", async () => {
    await withManager(server, (manager) => addStream(manager));
    await lock(true);
    const before = await everything();
    const { message } = await rejection(ensureContract(inputs()));
    expect(message).toMatch(/^Nothing was changed: a repair of stream NOETL_COMMANDS is at work \(stream /);
    expect(await everything()).toEqual(before);
  });

  it("its end is waited for, and what is to be done then is done", async () => {
    await withManager(server, (manager) => addStream(manager));
    await lock(true);
    const ensured = ensureContract(inputs({ timeoutSeconds: 20 }));
    await sleep(1_500);
    await lock(false);
    expect((await ensured).changes).toEqual([`create consumer ${CONSUMER.name}`]);
  });

  it("what holds already is not waited for", async () => {
    await startNoetl(server);
    await lock(true);
    expect((await ensureContract(inputs())).changes).toEqual([]);
  });
});

describe("what somebody else set", () => {
  const SECOND = 1e9;

  it("a longer age and a longer time to acknowledge stay, and are reported", async () => {
    await startNoetl(server, { stream: { max_age: 0 }, consumer: { ack_wait: 300 * SECOND } });
    const { holds, report, changes } = await ensureContract(inputs());
    expect({ holds, changes }).toEqual({ holds: true, changes: [] });
    expect(report).toContain("drift stream-max-age: found unlimited, expected 3600 s");
    expect(report).toContain("drift consumer-ack-wait: found 300 s, expected 30 s");
  });

  it("they are taken back where an earlier run set them", async () => {
    await startNoetl(server, { stream: { max_age: 7200 * SECOND }, consumer: { ack_wait: 60 * SECOND } });
    const { report, changes } = await ensureContract(inputs(), {
      ensured: { maxAgeSeconds: 7200, ackWaitSeconds: { [CONSUMER.name]: 60 }, ttlSeconds: {} },
    });
    expect(report).toBe("");
    expect(changes).toEqual([
      "update stream NOETL_COMMANDS: max_age 7200000000000 -> 3600000000000",
      "update consumer noetl_worker_pool: ack_wait 60000000000 -> 30000000000",
    ]);
  });

  it("each of several consumers is created with its filter, and an existing one is left its own", async () => {
    const pools = {
      consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.pool.>"], ackWaitSeconds: 300 }],
      publishes: ["noetl.commands", "noetl.commands.pool.*"],
    };
    expect((await ensureContract(inputs(pools))).changes).toEqual([
      "create stream NOETL_COMMANDS",
      "create consumer noetl_worker_pool",
      "create consumer pool",
    ]);
    expect(await witness<ConsumerConfig>(`consumer info ${STREAM.name} pool`)).toMatchObject({
      filter_subject: "noetl.commands.pool.>",
      ack_wait: 300 * SECOND,
    });
    const before = await everything();
    const other = {
      ...pools,
      consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.else.>"] }],
    };
    expect((await rejection(ensureContract(inputs(other)))).message).toContain(
      "Nothing was changed: consumer-filter of pool needs a decision. ",
    );
    expect(await everything()).toEqual(before);
  });
});

describe("a server that says no", () => {
  it("is quoted, with what was asked of it", async () => {
    await startNoetl(server, { stream: { storage: StorageType.File } });
    const { message } = await rejection(ensureContract(inputs({ expect: { replicas: 3 } })));
    expect(message).toMatch(/refused to update stream NOETL_COMMANDS: num_replicas 1 -> 3: .*\(10074\)/);
  });
});

describe("a server that allows a short window for duplicates only", () => {
  let limiting: NatsServer;
  beforeAll(async () => {
    limiting = await startNatsServer({
      config: `jetstream {store_dir: "DIR/jetstream", max_memory_store: 64MB, limits: {duplicate_window: "10s"}}`,
    });
  });
  afterAll(() => limiting.stop());
  beforeEach(() => removeStreams(limiting));

  const ensured = () => ensureContract(inputsFor(limiting, { mode: "ensure" }));

  it("is given what NoETL itself would make there", async () => {
    const { holds, changes, duplicateWindowSeconds } = await ensured();
    expect({ holds, changes, duplicateWindowSeconds }).toEqual({
      holds: true,
      changes: ["create stream NOETL_COMMANDS", "create consumer noetl_worker_pool"],
      duplicateWindowSeconds: 10,
    });
  });

  it("is given the gateway's buckets, which the gateway itself could not make", async () => {
    const { holds, changes } = await ensureContract(inputsFor(limiting, { mode: "ensure", gateway: {} }));
    expect({ holds, buckets: changes.filter((change) => change.startsWith("create bucket")) }).toEqual({
      holds: true,
      buckets: ["create bucket sessions", "create bucket requests"],
    });
  });

  it("has all else changed, and the window left and reported", async () => {
    await startNoetl(limiting, { stream: { max_age: 60e9 } });
    const { holds, report, changes } = await ensured();
    expect({ holds, changes }).toEqual({
      holds: true,
      changes: ["update stream NOETL_COMMANDS: max_age 60000000000 -> 3600000000000"],
    });
    expect(report).toContain("drift stream-duplicates: found 10 s, expected 120 s");
    expect((await ensured()).changes).toEqual([]);
  });
});

describe("every rule", () => {
  it("tells ensure what to do about it", () => {
    expect(
      evaluateRules(inputs(), { stream: undefined, consumer: undefined }).map(({ ensure }) => ensure.action),
    ).toEqual(["create-stream"]);
  });
});

describe("a login that may not remove the workers' consumer", () => {
  it("has the consumer edited, so that no worker makes it again", async () => {
    const permissions = `publish: {deny: ["$JS.API.CONSUMER.DELETE.>"]}`;
    const limited = await startNatsServer({ config: configOf({ permissions }) });
    try {
      await startNoetl(limited, {}, ADMIN);
      const login = { user: "admin", password: "admin", noetlLogin: { user: "noetl", password: "noetl" } };
      const worker = { maxAckPending: 128 };
      const { holds, changes } = await ensureContract(inputsFor(limited, { ...login, mode: "ensure", worker }));
      expect([holds, changes]).toEqual([true, ["update consumer noetl_worker_pool: max_ack_pending 64 -> 128"]]);
    } finally {
      await limited.stop();
    }
  });
});
