import { AckPolicy, RetentionPolicy, StorageType, type StreamConfig } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, EnsureRefused, type ContractInputs } from "../../../contract";
import type { Declared } from "../../../contract/declared/types";
import {
  inputsFor,
  JETSTREAM,
  natsCommand,
  rejection,
  removeStreams,
  startNatsServer,
  startNoetl,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../../support/nats";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server?.stop());
beforeEach(() => removeStreams(server));

const inputs = (declared: Declared, args: Partial<ContractInputs> = {}, at = server): ContractInputs => ({
  ...inputsFor(at, { mode: "ensure" }),
  declared,
  declaredOnly: true,
  ...args,
});
const ensure = (declared: Declared, args: Partial<ContractInputs> = {}) => ensureContract(inputs(declared, args));
const look = (declared: Declared, args: Partial<ContractInputs> = {}) =>
  checkContract(inputs(declared, { mode: "assert", ...args }), false);
const cli = (command: string): Promise<string> => natsCommand(`nats --server ${server.address} ${command}`);
const configOf = (name: string): Promise<StreamConfig> =>
  withManager(server, async (manager) => (await manager.streams.info(name)).config);
const exists = (name: string): Promise<boolean> =>
  withManager(server, (manager) =>
    manager.streams.info(name).then(
      () => true,
      () => false,
    ),
  );
const broken = (report: {
  checks: readonly { ok: boolean; id: string; object?: string; severity: string; found: string; expected: string }[];
}) => report.checks.filter(({ ok }) => !ok);

/** One of each, with values of every kind. */
const SHOP: Declared = {
  streams: [
    {
      name: "ORDERS",
      description: "Orders of the shop",
      subjects: ["orders.>", "returns.*"],
      retention: "interest",
      storage: "file",
      maxAgeSeconds: 86_400,
      maxBytes: "16Mi",
      maxMessages: 10_000,
      maxMessageBytes: 65_536,
      discard: "new",
      duplicateWindowSeconds: 60,
      allowDirect: true,
      metadata: { owner: "shop" },
    },
  ],
  consumers: [
    {
      stream: "ORDERS",
      name: "billing",
      filterSubjects: ["orders.new", "orders.paid"],
      ackWaitSeconds: 45,
      maxDeliver: 5,
      backoffSeconds: [45, 60],
      maxAckPending: 100,
      samplePercent: 10,
    },
  ],
  buckets: [
    {
      name: "carts",
      ttlSeconds: 3600,
      history: 5,
      maxBytes: "1Mi",
      maxValueBytes: 1024,
      storage: "memory",
      description: "Carts",
    },
  ],
  objectStores: [{ name: "invoices", ttlSeconds: 7200, maxBytes: "2Mi", storage: "file", description: "Invoices" }],
};

describe("what is declared and not there", () => {
  it("is a violation to a check, one for each object", async () => {
    const report = await look(SHOP);
    expect(report.holds).toBe(false);
    expect(broken(report)).toEqual([
      expect.objectContaining({
        id: "declared-stream",
        object: "stream ORDERS",
        severity: "violation",
        found: "it does not exist",
      }),
      expect.objectContaining({ id: "declared-bucket", object: "bucket carts" }),
      expect.objectContaining({ id: "declared-object-store", object: "object store invoices" }),
      expect.objectContaining({ id: "declared-consumer", object: "consumer billing of ORDERS" }),
    ]);
    expect(report.report).toContain("violation declared-stream of stream ORDERS: found it does not exist");
  });

  it("is made as declared, and a second run changes nothing", async () => {
    const first = await ensure(SHOP);
    expect(first.changes).toEqual([
      "create stream ORDERS",
      "create bucket carts",
      "create object store invoices",
      "create consumer billing of ORDERS",
    ]);
    expect(first).toMatchObject({ holds: true, report: "" });
    expect(await configOf("ORDERS")).toMatchObject({
      subjects: ["orders.>", "returns.*"],
      retention: "interest",
      max_age: 86_400e9,
      max_bytes: 16 * 1024 * 1024,
      max_msg_size: 65_536,
      discard: "new",
      duplicate_window: 60e9,
    });
    expect((await ensure(SHOP)).changes).toEqual([]);
    expect((await look(SHOP)).report).toBe("");
  });

  it("leaves everything else alone", async () => {
    await cli("stream add OTHER --subjects other.x --defaults");
    const before = await configOf("OTHER");
    await ensure(SHOP);
    expect(await configOf("OTHER")).toEqual(before);
  });
});

describe("buckets and object stores", () => {
  const declared: Declared = {
    buckets: [
      {
        name: "carts",
        ttlSeconds: 60,
        history: 3,
        maxBytes: "1Mi",
        maxValueBytes: 512,
        storage: "file",
        replicas: 1,
        description: "Carts",
      },
    ],
    objectStores: [
      { name: "invoices", ttlSeconds: 60, maxBytes: "2Mi", storage: "file", replicas: 1, description: "Invoices" },
    ],
  };

  it("that natscli made show no difference", async () => {
    await cli(
      `kv add carts --ttl=60s --history=3 --max-bucket-size=1048576 --max-value-size=512 --storage=file --description=Carts`,
    );
    await cli(`object add invoices --ttl=60s --max-bucket-size=2097152 --storage=file --description=Invoices`);
    expect(await look(declared)).toMatchObject({ holds: true, report: "" });
    expect((await ensure(declared)).changes).toEqual([]);
  });

  it("that nats.js made show no difference", async () => {
    await withManager(server, async (_manager, connection) => {
      const js = connection.jetstream();
      await js.views.kv("carts", {
        ttl: 60_000,
        history: 3,
        max_bytes: 1024 * 1024,
        maxValueSize: 512,
        storage: StorageType.File,
        description: "Carts",
      });
      await js.views.os("invoices", {
        ttl: 60e9,
        max_bytes: 2 * 1024 * 1024,
        storage: StorageType.File,
        description: "Invoices",
      });
    });
    expect(await look(declared)).toMatchObject({ holds: true, report: "" });
  });

  it("are made as natscli makes them", async () => {
    await cli(
      `kv add carts --ttl=60s --history=3 --max-bucket-size=1048576 --max-value-size=512 --storage=file --description=Carts`,
    );
    await cli(`object add invoices --ttl=60s --max-bucket-size=2097152 --storage=file --description=Invoices`);
    const byCli = [await configOf("KV_carts"), await configOf("OBJ_invoices")];
    await removeStreams(server);
    await ensure(declared);
    expect([await configOf("KV_carts"), await configOf("OBJ_invoices")]).toEqual(byCli);
  });

  it("that ensure made work for natscli and nats.js", async () => {
    await ensure(declared);
    await cli("kv put carts alice apples");
    expect(await cli("kv get carts alice --raw")).toContain("apples");
    await withManager(server, async (_manager, connection) => {
      const js = connection.jetstream();
      const bucket = await js.views.kv("carts", { bindOnly: true });
      expect((await bucket.get("alice"))?.string()).toBe("apples");
      const store = await js.views.os("invoices");
      await store.putBlob({ name: "one.pdf" }, new TextEncoder().encode("paid"));
      expect(new TextDecoder().decode((await store.getBlob("one.pdf")) ?? undefined)).toBe("paid");
    });
  });

  it("that lack their shape are put right, with what is in them", async () => {
    await withManager(server, async (manager, connection) => {
      await manager.streams.add({
        name: "KV_carts",
        subjects: ["$KV.carts.>"],
        max_msgs_per_subject: 3,
        max_age: 60e9,
      });
      await connection.jetstream().publish("$KV.carts.alice", "apples");
    });
    const { changes, holds } = await ensure({ buckets: [{ name: "carts", history: 3 }] });
    expect(changes).toEqual(["update bucket carts: discard old -> new, allowRollup false -> true"]);
    expect(holds).toBe(true);
    expect(await cli("kv get carts alice --raw")).toContain("apples");
  });

  it("that keep every value of a key are refused, because an update would drop values", async () => {
    await withManager(server, (manager) => manager.streams.add({ name: "KV_carts", subjects: ["$KV.carts.>"] }));
    const error = await rejection(ensure({ buckets: [{ name: "carts" }] }));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain(
      "clients take no stream for a bucket that keeps every value of a key: declare history",
    );
  });

  it("get a shorter life together with the window in which duplicates are looked for", async () => {
    await ensure({ buckets: [{ name: "carts", ttlSeconds: 3600 }] });
    const { changes, report } = await ensure({ buckets: [{ name: "carts", ttlSeconds: 10 }] });
    expect(changes).toEqual(["update bucket carts: ttlSeconds 3600 s -> 10 s"]);
    expect(report).toBe("");
    expect(await configOf("KV_carts")).toMatchObject({ max_age: 10e9, duplicate_window: 10e9 });
  });
});

describe("a difference", () => {
  beforeEach(async () => {
    await ensure(SHOP);
  });
  const changed = (stream: object, consumer: object = {}): Declared => ({
    ...SHOP,
    streams: [{ ...SHOP.streams?.[0], name: "ORDERS", ...stream }],
    consumers: [{ ...SHOP.consumers?.[0], stream: "ORDERS", name: "billing", ...consumer }],
  });

  it("that an update takes away is drift, and is updated", async () => {
    const next = changed(
      { maxAgeSeconds: 3600, subjects: ["returns.*", "orders.>", "gifts"] },
      { filterSubjects: ["orders.*"], maxAckPending: -1 },
    );
    const report = await look(next);
    expect(report.holds).toBe(true);
    expect(broken(report).map(({ object, severity, found, expected }) => [object, severity, found, expected])).toEqual([
      [
        "stream ORDERS",
        "drift",
        "subjects orders.>, returns.*, maxAgeSeconds 86400 s",
        "subjects gifts, orders.>, returns.*, maxAgeSeconds 3600 s",
      ],
      [
        "consumer billing of ORDERS",
        "drift",
        "filterSubjects orders.new, orders.paid, maxAckPending 100",
        "filterSubjects orders.*, maxAckPending unlimited",
      ],
    ]);
    expect((await look(next, { strict: true })).holds).toBe(false);
    const { changes, report: left } = await ensure(next);
    expect(changes).toEqual([
      "update stream ORDERS: subjects orders.>, returns.* -> gifts, orders.>, returns.*, maxAgeSeconds 86400 s -> 3600 s",
      "update consumer billing of ORDERS: filterSubjects orders.new, orders.paid -> orders.*, maxAckPending 100 -> unlimited",
    ]);
    expect(left).toBe("");
  });

  it("in a key that is not declared is nobody's business, and stays through an update", async () => {
    await cli("stream edit ORDERS --max-msgs-per-subject=7 -f");
    const declared: Declared = { streams: [{ name: "ORDERS", maxAgeSeconds: 60 }] };
    await ensure(declared);
    expect(await configOf("ORDERS")).toMatchObject({
      max_msgs_per_subject: 7,
      max_age: 60e9,
      discard: "new",
      metadata: { owner: "shop" },
    });
  });

  it("that no update takes away is a violation, and refuses everything before the first change", async () => {
    const next: Declared = { ...changed({ storage: "memory", maxAgeSeconds: 60 }), buckets: [{ name: "new" }] };
    const report = await look(next);
    expect(broken(report)[0]).toMatchObject({
      object: "stream ORDERS",
      severity: "violation",
      expected: expect.stringContaining("storage: a stream keeps its storage for life") as string,
    });
    const error = await rejection(ensure(next));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain("declared-stream of stream ORDERS");
    expect(error.message).toContain(`run \`nats --server ${server.address} stream rm ORDERS -f\``);
    expect(await exists("KV_new")).toBe(false);
    expect(await configOf("ORDERS")).toMatchObject({ max_age: 86_400e9 });
  });

  it.each([
    [
      "retention to a work queue",
      changed({ retention: "workqueue" }, { deliverPolicy: "all" }),
      "NATS changes no stream into a work queue or back",
    ],
    ["a deliver policy", changed({}, { deliverPolicy: "new" }), "a consumer has begun where it began"],
    ["an ack policy", changed({}, { ackPolicy: "all" }), "a consumer keeps its way of acknowledging for life"],
    ["pull to push", changed({}, { deliverSubject: "push.here" }), "NATS makes no push consumer of a pull consumer"],
    ["copies on a server of its own", changed({ replicas: 3 }), "a server on its own keeps one copy"],
  ])("of %s is refused", async (_name, declared, reason) => {
    const error = await rejection(ensure(declared));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain(reason);
  });

  it("by hand in metadata of the server is none", async () => {
    const { metadata } = await configOf("ORDERS");
    expect(Object.keys(metadata ?? {}).some((key) => key.startsWith("_nats."))).toBe(true);
    expect((await look(SHOP)).report).toBe("");
  });

  it("the remedy of a refusal works: removed as it says, the object is made again", async () => {
    const next = changed({ storage: "memory" });
    const { message } = await rejection(ensure(next));
    await natsCommand(/run `(nats [^`]+)`/.exec(message)?.[1] ?? "");
    expect((await ensure(next)).holds).toBe(true);
  });

  it("says what goes with a limit that is lowered as declared", async () => {
    await withManager(server, async (_manager, connection) => {
      for (let index = 0; index < 5; index++) await connection.jetstream().publish("orders.new", "x");
    });
    const { changes } = await ensure(changed({ maxMessages: 2, discard: "old" }));
    expect(changes[0]).toContain("maxMessages 10000 -> 2");
    expect(changes[0]).toContain("(the oldest 3 messages go)");
  });
});

describe("before the first change", () => {
  it("a subject that another stream takes already is refused", async () => {
    await cli("stream add OTHER --subjects orders.eu.* --defaults");
    const error = await rejection(ensure({ ...SHOP, streams: [{ name: "ORDERS", subjects: ["orders.>"] }] }));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain("takes orders.>, which stream OTHER takes already");
    expect(await exists("KV_carts")).toBe(false);
  });

  it("a subject that moves from one declared stream to another is given up first", async () => {
    await ensure({
      streams: [
        { name: "A", subjects: ["a", "moves"] },
        { name: "B", subjects: ["b"] },
      ],
    });
    const { changes, holds } = await ensure({
      streams: [
        { name: "B", subjects: ["b", "moves"] },
        { name: "A", subjects: ["a"] },
      ],
    });
    expect(changes).toEqual(["update stream A: subjects a, moves -> a", "update stream B: subjects b -> b, moves"]);
    expect(holds).toBe(true);
  });

  it("two streams that exchange subjects are refused", async () => {
    await ensure({
      streams: [
        { name: "A", subjects: ["a"] },
        { name: "B", subjects: ["b"] },
      ],
    });
    const error = await rejection(
      ensure({
        streams: [
          { name: "A", subjects: ["b"] },
          { name: "B", subjects: ["a"] },
        ],
      }),
    );
    expect(error.message).toContain("do it in two steps");
    expect(await configOf("A")).toMatchObject({ subjects: ["a"] });
  });

  it("a consumer of somebody else on the work queue is seen", async () => {
    await withManager(server, async (manager) => {
      await manager.streams.add({ name: "JOBS", subjects: ["jobs.>"], retention: RetentionPolicy.Workqueue });
      await manager.consumers.add("JOBS", { durable_name: "theirs", ack_policy: AckPolicy.Explicit });
    });
    const error = await rejection(
      ensure({
        streams: [{ name: "JOBS" }, { name: "NEW" }],
        consumers: [{ stream: "JOBS", name: "mine", filterSubjects: ["jobs.a"] }],
      }),
    );
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain("overlaps consumer theirs on the work queue JOBS");
    expect(await exists("NEW")).toBe(false);
  });

  it("a retention that would drop the messages of a stream without consumers is refused", async () => {
    await ensure({ streams: [{ name: "A", subjects: ["a"] }] });
    await cli("pub a hello --jetstream");
    const error = await rejection(ensure({ streams: [{ name: "A", retention: "interest" }] }));
    expect(error.message).toContain("retention interest would drop its 1 message");
  });

  it("what an update would contradict in what is there is refused", async () => {
    await ensure({
      streams: [{ name: "A", subjects: ["a"], discardNewPerSubject: true, discard: "new", maxMessagesPerSubject: 1 }],
    });
    const error = await rejection(ensure({ streams: [{ name: "A", discard: "old" }] }));
    expect(error).toBeInstanceOf(EnsureRefused);
    expect(error.message).toContain("discardNewPerSubject without discard new");
  });
});

describe("removal", () => {
  it("never happens to what is left out", async () => {
    await ensure(SHOP);
    await ensure({ streams: [{ name: "LAST", subjects: ["last"] }] });
    expect(await exists("ORDERS")).toBe(true);
  });

  it("ifEmpty takes what is empty, and refuses what is not", async () => {
    await ensure(SHOP);
    const stream = (remove: "ifEmpty" | "withContents"): Declared => ({ streams: [{ name: "ORDERS", remove }] });
    const withConsumer = await rejection(ensure(stream("ifEmpty")));
    expect(withConsumer.message).toContain("it holds 1 consumer");
    const both: Declared = {
      ...stream("ifEmpty"),
      consumers: [{ stream: "ORDERS", name: "billing", remove: "ifEmpty" }],
    };
    await cli("pub orders.new one --jetstream");
    expect((await rejection(ensure(both))).message).toContain("it holds 1 message");
    expect(await exists("ORDERS")).toBe(true);
    await cli("stream purge ORDERS -f");
    expect((await ensure(both)).changes).toEqual(["remove consumer billing of ORDERS", "remove stream ORDERS"]);
    expect(await exists("ORDERS")).toBe(false);
    expect((await ensure(both)).changes).toEqual([]);
  });

  it("withContents says what goes with it", async () => {
    await ensure({ buckets: [{ name: "carts" }] });
    await cli("kv put carts alice apples");
    const declared: Declared = { buckets: [{ name: "carts", remove: "withContents" }] };
    expect(broken(await look(declared))).toMatchObject([
      { severity: "drift", found: "it exists", expected: "it is gone" },
    ]);
    expect((await ensure(declared)).changes).toEqual(["remove bucket carts with 1 message"]);
  });

  it("a mode that asserts removes nothing", async () => {
    await ensure({ buckets: [{ name: "carts" }] });
    await look({ buckets: [{ name: "carts", remove: "withContents" }] });
    expect(await exists("KV_carts")).toBe(true);
  });
});

describe("beside NoETL", () => {
  it("both are made, and a declared consumer may be of NoETL's stream", async () => {
    const declared: Declared = {
      ...SHOP,
      consumers: [...(SHOP.consumers ?? []), { stream: "NOETL_COMMANDS", name: "audit" }],
    };
    const { changes, holds } = await ensure(declared, { declaredOnly: false });
    expect(changes.indexOf("create stream NOETL_COMMANDS")).toBeLessThan(
      changes.indexOf("create consumer audit of NOETL_COMMANDS"),
    );
    expect(holds).toBe(true);
  });

  it("a contract that holds for NoETL does not where a declared stream is missing", async () => {
    await startNoetl(server);
    const report = await look({ streams: [{ name: "ORDERS" }] }, { declaredOnly: false });
    expect(report.holds).toBe(false);
    expect(broken(report).map(({ id }) => id)).toEqual(["declared-stream"]);
  });
});

describe.each<{ tool: ServerTool; declared: Declared; needs: string }>([
  {
    tool: "nats-server-2.9",
    declared: { streams: [{ name: "A", compression: "s2" }] },
    needs: "compression: it needs nats-server 2.10",
  },
  {
    tool: "nats-server-2.10",
    declared: { streams: [{ name: "A", allowMessageTtl: true }] },
    needs: "allowMessageTtl: it needs nats-server 2.11",
  },
  {
    tool: "nats-server-2.10",
    declared: { buckets: [{ name: "a", limitMarkerTtlSeconds: 60 }] },
    needs: "limitMarkerTtlSeconds: it needs nats-server 2.11",
  },
  {
    tool: "nats-server-2.11",
    declared: { streams: [{ name: "A", allowSchedules: true }] },
    needs: "allowSchedules: it needs nats-server 2.12",
  },
  {
    tool: "nats-server-2.11",
    declared: {
      streams: [{ name: "A" }],
      consumers: [{ stream: "A", name: "c", priorityPolicy: "prioritized", priorityGroups: ["one"] }],
    },
    needs: "priorityPolicy: it needs nats-server 2.12",
  },
  {
    tool: "nats-server-2.12",
    declared: { streams: [{ name: "A", allowBatchPublish: true }] },
    needs: "allowBatchPublish: it needs nats-server 2.14",
  },
])("on $tool", ({ tool, declared, needs }) => {
  it(`refuses what is newer: ${needs}`, async () => {
    const old = await startNatsServer({ tool, config: JETSTREAM });
    try {
      const error = await rejection(ensureContract(inputs(declared, {}, old)));
      expect(error).toBeInstanceOf(EnsureRefused);
      expect(error.message).toContain(needs);
      expect(error.message).toContain("update NATS, or leave the key out");
      const { checks } = await checkContract(inputs(declared, { mode: "assert" }, old), false);
      expect(
        checks.some(({ ok, severity, expected }) => !ok && severity === "violation" && expected.includes(needs)),
      ).toBe(true);
      await withManager(old, async (manager) => expect((await manager.streams.list().next()).length).toBe(0));
    } finally {
      await old.stop();
    }
  });
});

describe.each<ServerTool>(["nats-server-2.9", "nats-server-2.10", "nats-server-2.11", "nats-server-2.12"])(
  "on %s",
  (tool) => {
    it("what it knows is made, and a second run changes nothing", async () => {
      const old = await startNatsServer({ tool, config: JETSTREAM });
      try {
        const { metadata: _metadata, ...stream } = SHOP.streams?.[0] ?? { name: "" };
        const declared: Declared = {
          ...SHOP,
          streams: [stream],
          consumers: [{ stream: "ORDERS", name: "billing", filterSubjects: ["orders.new"], ackWaitSeconds: 45 }],
        };
        expect((await ensureContract(inputs(declared, {}, old))).holds).toBe(true);
        expect((await ensureContract(inputs(declared, {}, old))).changes).toEqual([]);
      } finally {
        await old.stop();
      }
    });
  },
);
