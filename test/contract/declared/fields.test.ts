import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CONSUMER_FIELDS,
  CONSUMER_FIELDS_APART,
  FIELDS,
  isOlder,
  STREAM_FIELDS,
  STREAM_FIELDS_APART,
  type Field,
} from "../../../contract/declared/fields";
import { differencesOf } from "../../../contract/declared/compare";
import { targetsOf, type Config } from "../../../contract/declared/targets";
import {
  JETSTREAM,
  natsClient,
  startNatsServer,
  withManager,
  type NatsServer,
  type ServerTool,
} from "../../support/nats";
import type { NatsConnection, StreamConfig } from "nats";

/** The JSON keys of `StreamConfig` in nats-server 2.15.2, server/stream.go. */
const STREAM_KEYS = `name description subjects retention max_consumers max_msgs max_bytes max_age max_msgs_per_subject
  max_msg_size discard storage num_replicas no_ack duplicate_window placement mirror sources compression first_seq
  subject_transform republish allow_direct mirror_direct discard_new_per_subject sealed deny_delete deny_purge
  allow_rollup_hdrs consumer_limits allow_msg_ttl subject_delete_marker_ttl allow_msg_counter allow_atomic
  allow_msg_schedules persist_mode allow_batched metadata`.split(/\s+/);

/** The JSON keys of `ConsumerConfig` in nats-server 2.15.2, server/consumer.go. */
const CONSUMER_KEYS = `durable_name name description deliver_policy opt_start_seq opt_start_time ack_policy ack_wait
  max_deliver backoff filter_subject filter_subjects replay_policy rate_limit_bps sample_freq max_waiting max_ack_pending
  flow_control headers_only max_batch max_expires max_bytes deliver_subject deliver_group idle_heartbeat
  inactive_threshold num_replicas mem_storage direct sourcing metadata pause_until priority_groups priority_policy
  priority_timeout`.split(/\s+/);

/** Keys that each version added to those of nats-server 2.9, read at the tags v2.9.10, v2.10.0, v2.11.0, v2.12.0, v2.14.0. */
const ADDED: Readonly<Record<string, { stream: string; consumer: string }>> = {
  "2.10": {
    stream: "compression first_seq subject_transform consumer_limits metadata",
    consumer: "filter_subjects metadata",
  },
  "2.11": {
    stream: "allow_msg_ttl subject_delete_marker_ttl",
    consumer: "pause_until priority_groups priority_policy priority_timeout",
  },
  "2.12": { stream: "allow_msg_counter allow_atomic allow_msg_schedules persist_mode", consumer: "" },
  "2.14": { stream: "allow_batched", consumer: "sourcing" },
};

const sinceOf = (key: string, of: "stream" | "consumer"): string =>
  Object.entries(ADDED).find(([, added]) => added[of].split(" ").includes(key))?.[0] ?? "2.9";

describe("the table of fields", () => {
  it("has every field of a stream that nats-server 2.15 has, and no other", () => {
    const keys = [
      ...Object.values(STREAM_FIELDS).flatMap(({ json }) => json),
      ...STREAM_FIELDS_APART.map(({ json }) => json),
    ];
    expect(keys.sort()).toEqual([...STREAM_KEYS].sort());
  });

  it("has every field of a consumer that nats-server 2.15 has, and no other", () => {
    const keys = [
      ...Object.values(CONSUMER_FIELDS).flatMap(({ json }) => json),
      ...CONSUMER_FIELDS_APART.map(({ json }) => json),
    ];
    expect(keys.sort()).toEqual([...CONSUMER_KEYS].sort());
  });

  it("says since when servers know each", () => {
    for (const { json, since } of [...Object.values(STREAM_FIELDS), ...STREAM_FIELDS_APART])
      expect([json, since]).toEqual([json, sinceOf(String([json].flat()[0]), "stream")]);
    for (const { json, since } of [...Object.values(CONSUMER_FIELDS), ...CONSUMER_FIELDS_APART])
      expect([json, since]).toEqual([json, sinceOf(String([json].flat()[0]), "consumer")]);
  });

  it("takes its own examples", () => {
    for (const fields of Object.values(FIELDS))
      for (const [key, { kind }] of Object.entries(fields))
        expect([key, kind.problem(kind.example)]).toEqual([key, undefined]);
  });

  it("compares versions", () => {
    expect(isOlder("2.9.10", "2.10")).toBe(true);
    expect(isOlder("2.10.0", "2.10")).toBe(false);
    expect(isOlder("2.12.9", "2.12.10")).toBe(true);
    expect(isOlder("2.15.2", "2.12.10")).toBe(false);
    expect(isOlder("2.15.0-dev", "2.15")).toBe(false);
  });
});

/** An update of one field: what else is declared, and the values before and after. */
interface Step {
  readonly key: string;
  readonly from?: unknown;
  readonly to: unknown;
  readonly with?: Readonly<Record<string, unknown>>;
}

const step = (key: string, from: unknown, to: unknown, others: Step["with"] = {}): Step => ({
  key,
  from,
  to,
  with: others,
});

/** At least one update of every field, and each direction where they differ. */
const STREAM_STEPS: readonly Step[] = [
  step("description", "one", "two"),
  step("subjects", ["a.>"], ["a.*", "b.>"]),
  step("retention", "limits", "interest"),
  step("retention", "interest", "limits"),
  step("retention", "limits", "workqueue"),
  step("retention", "workqueue", "limits"),
  step("retention", "interest", "workqueue"),
  step("maxConsumers", 5, 10),
  step("maxConsumers", -1, 10),
  step("maxMessages", 100, -1),
  step("maxBytes", "1Mi", "2Mi"),
  step("maxAgeSeconds", 0, 3600),
  step("maxMessagesPerSubject", -1, 5),
  step("maxMessageBytes", 1024, "2Ki"),
  step("discard", "old", "new"),
  step("discard", "new", "old"),
  step("discardNewPerSubject", false, true, { discard: "new", maxMessagesPerSubject: 2 }),
  step("discardNewPerSubject", true, false, { discard: "new", maxMessagesPerSubject: 2 }),
  step("storage", "file", "memory"),
  step("storage", "memory", "file"),
  step("noAck", false, true),
  step("noAck", true, false),
  step("duplicateWindowSeconds", 120, 60),
  step("placement", undefined, { tags: ["ssd"] }),
  step("placement", { tags: ["ssd"] }, "none"),
  step("mirror", { name: "ORIGIN" }, "none"),
  step("mirror", { name: "ORIGIN" }, { name: "OTHER" }),
  step("mirror", "none", { name: "ORIGIN" }, { subjects: [] }),
  step("sources", [], [{ name: "ORIGIN" }]),
  step("sources", [{ name: "ORIGIN" }, { name: "OTHER" }], [{ name: "OTHER", filterSubject: "other.a" }]),
  step("compression", "none", "s2"),
  step("compression", "s2", "none"),
  step("firstSequence", undefined, 100),
  step("firstSequence", 100, 200),
  step("subjectTransform", undefined, { source: "a.>", destination: "b.>" }),
  step("subjectTransform", { source: "a.>", destination: "b.>" }, "none"),
  step("republish", undefined, { source: "a.>", destination: "copy.>" }),
  step(
    "republish",
    { source: "a.>", destination: "copy.>" },
    { source: "a.>", destination: "copy.>", headersOnly: true },
  ),
  step("republish", { source: "a.>", destination: "copy.>" }, "none"),
  step("allowDirect", false, true),
  step("allowDirect", true, false),
  step("denyDelete", false, true),
  step("denyDelete", true, false),
  step("denyPurge", false, true),
  step("denyPurge", true, false),
  step("allowRollup", false, true),
  step("allowRollup", true, false),
  step("consumerLimits", undefined, { maxAckPending: 10 }),
  step("consumerLimits", { maxAckPending: 10, inactiveThresholdSeconds: 60 }, {}),
  step("allowMessageTtl", false, true),
  step("allowMessageTtl", true, false),
  step("deleteMarkerTtlSeconds", 0, 60),
  step("deleteMarkerTtlSeconds", 60, 0),
  step("allowCounters", false, true),
  step("allowCounters", true, false),
  step("allowAtomicPublish", false, true),
  step("allowAtomicPublish", true, false),
  step("allowSchedules", false, true),
  step("allowSchedules", true, false),
  step("persistMode", "default", "async"),
  step("persistMode", "async", "default"),
  step("allowBatchPublish", false, true),
  step("allowBatchPublish", true, false),
  step("metadata", { a: "1" }, { b: "2" }),
];

const PUSH = { deliverSubject: "push.here" };
const CONSUMER_STEPS: readonly Step[] = [
  step("description", "one", "two"),
  step("deliverPolicy", "all", "new"),
  step("deliverPolicy", "new", "last"),
  step("startSequence", 1, 2, { deliverPolicy: "by_start_sequence" }),
  step("startTime", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", { deliverPolicy: "by_start_time" }),
  step("ackPolicy", "explicit", "all"),
  step("ackPolicy", "all", "none"),
  step("ackWaitSeconds", 30, 60),
  step("maxDeliver", -1, 5),
  step("backoffSeconds", [], [1, 5], { maxDeliver: 5 }),
  step("backoffSeconds", [1, 5], [], { maxDeliver: 5 }),
  step("filterSubjects", [], ["a.one"]),
  step("filterSubjects", ["a.one"], ["a.one", "a.two"]),
  step("filterSubjects", ["a.one", "a.two"], []),
  step("replayPolicy", "instant", "original"),
  step("rateLimitBitsPerSecond", 0, 1_000_000, PUSH),
  step("samplePercent", 0, 50),
  step("samplePercent", 50, 0),
  step("maxWaiting", 512, 10),
  step("maxAckPending", 1000, 64),
  step("maxAckPending", 1000, -1),
  step("flowControl", false, true, { ...PUSH, idleHeartbeatSeconds: 5 }),
  step("headersOnly", false, true),
  step("headersOnly", true, false),
  step("maxRequestBatch", 0, 10),
  step("maxRequestExpiresSeconds", 0, 10),
  step("maxRequestBytes", 0, "1Ki"),
  step("deliverSubject", undefined, "push.here"),
  step("deliverSubject", "push.here", "push.there"),
  step("deliverGroup", undefined, "group", PUSH),
  step("deliverGroup", "group", "other", PUSH),
  step("idleHeartbeatSeconds", 5, 10, PUSH),
  step("inactiveThresholdSeconds", 0, 3600),
  step("replicas", 0, 1),
  step("memoryStorage", false, true),
  step("memoryStorage", true, false),
  step("metadata", { a: "1" }, { b: "2" }),
  step("priorityGroups", ["one"], ["two"], { priorityPolicy: "overflow" }),
  step("priorityPolicy", "none", "overflow"),
  step("priorityPolicy", "overflow", "pinned_client", { priorityGroups: ["one"] }),
  step("priorityTimeoutSeconds", 60, 120, { priorityGroups: ["one"], priorityPolicy: "pinned_client" }),
];

/** Fields that only a cluster can update: test/contract/replicas.test.ts. */
const CLUSTERED = ["replicas"];

/** Updates that a server takes and reports although nothing changes; the table refuses them. */
const takesInWords = ({ key }: Step, version: string): boolean =>
  // That numbers go on as they were is shown below; a consumer's store is fixed when it is opened (consumer.go).
  key === "firstSequence" || (key === "memoryStorage" && isOlder(version, "2.15"));

interface Answer {
  readonly error?: { readonly description: string; readonly err_code: number };
  readonly config?: Config;
}

describe.each<{ tool: ServerTool; version: string }>([
  { tool: "nats-server", version: "2.15.2" },
  { tool: "nats-server-2.12", version: "2.12.15" },
  { tool: "nats-server-2.11", version: "2.11.17" },
  { tool: "nats-server-2.10", version: "2.10.27" },
  { tool: "nats-server-2.9", version: "2.9.10" },
])("updates on nats-server $version", ({ tool, version }) => {
  let server: NatsServer;
  let connection: NatsConnection;
  const ask = async (subject: string, body: object): Promise<Answer> =>
    (await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 5000 })).json<Answer>();
  const facts = { version, clustered: false };

  beforeAll(async () => {
    server = await startNatsServer({ tool, config: JETSTREAM });
    connection = await natsClient(server);
    for (const name of ["ORIGIN", "OTHER"])
      await ask(`STREAM.CREATE.${name}`, { name, subjects: [`${name.toLowerCase()}.>`] });
  });

  afterAll(async () => {
    await connection?.close();
    await server?.stop();
  });

  /** What the table says, and what the server does, about one update. */
  async function outcome(
    { key, from, to, with: others }: Step,
    list: "streams" | "consumers",
    field: Field,
  ): Promise<{ table: string; server: string }> {
    const base =
      list === "streams"
        ? { name: "S", ...(key === "mirror" ? {} : { subjects: ["a.>"] }) }
        : { stream: "S", name: "C" };
    const before = targetsOf({ [list]: [{ ...base, ...others, ...(from === undefined ? {} : { [key]: from }) }] })[0];
    const after = targetsOf({ [list]: [{ ...base, ...others, [key]: to }] })[0];
    if (!before || !after) throw new Error("no target");
    const [create, update] =
      list === "streams"
        ? ["STREAM.CREATE.S", "STREAM.UPDATE.S"]
        : ["CONSUMER.DURABLE.CREATE.S.C", "CONSUMER.DURABLE.CREATE.S.C"];
    const body = (config: Config): object => (list === "streams" ? config : { stream_name: "S", config });
    const made = await ask(create, body(before.config));
    if (!made.config) throw new Error(`${key} could not be made: ${made.error?.description}`);
    const [difference] = differencesOf(after, made.config, facts).filter((each) => each.key === key);
    if (!difference) throw new Error(`${key} does not differ`);
    const next = {
      ...made.config,
      ...difference.patch,
      ...(key === "priorityPolicy" && from === "none" ? { priority_groups: ["one"] } : {}),
    };
    const { error, config } = await ask(update, body(next));
    const read = (each: Config): unknown =>
      field.kind.normal(field.read ? field.read(each) : each[field.json[0] ?? ""]);
    const done =
      config !== undefined &&
      JSON.stringify(read(config)) ===
        JSON.stringify(field.kind.normal(after.wanted.find((each) => each.key === key)?.value));
    return {
      table: difference.refused ? "refused" : "updated",
      server: error ? "refused" : done ? "updated" : "ignored",
    };
  }

  const known = (steps: readonly Step[], fields: Readonly<Record<string, Field>>) =>
    steps
      .filter(({ key, from }) => {
        const field = fields[key];
        if (!field) throw new Error(`no field ${key}`);
        const since = from === undefined ? undefined : field.valueSince?.(field.kind.normal(field.kind.toServer(from)));
        return !isOlder(version, field.since) && !isOlder(version, since ?? field.since);
      })
      .map((each) => [`${each.key} ${JSON.stringify(each.from)} -> ${JSON.stringify(each.to)}`, each] as const);
  /** What the table has to say: what is not really done, it refuses. */
  const expected = (each: Step, did: string): string =>
    did === "ignored" || takesInWords(each, version) ? "refused" : did;

  it.each(known(STREAM_STEPS, STREAM_FIELDS))("of a stream: %s", async (_name, each) => {
    try {
      const result = await outcome(each, "streams", STREAM_FIELDS[each.key as keyof typeof STREAM_FIELDS]);
      expect(result.table).toBe(expected(each, result.server));
    } finally {
      await ask("STREAM.DELETE.S", {});
    }
  });

  it.each(known(CONSUMER_STEPS, CONSUMER_FIELDS))("of a consumer: %s", async (_name, each) => {
    await ask("STREAM.CREATE.S", { name: "S", subjects: ["a.>"] });
    try {
      const result = await outcome(each, "consumers", CONSUMER_FIELDS[each.key as keyof typeof CONSUMER_FIELDS]);
      expect(result.table).toBe(expected(each, result.server));
    } finally {
      await ask("STREAM.DELETE.S", {});
    }
  });
});

it("a first sequence that is updated changes nothing", async () => {
  const server = await startNatsServer();
  try {
    await withManager(server, async (manager, connection) => {
      const config = { name: "S", subjects: ["a.>"], first_seq: 100 };
      await manager.streams.add(config);
      await manager.streams.update("S", { ...config, first_seq: 500 } as Partial<StreamConfig>);
      expect((await connection.jetstream().publish("a.one")).seq).toBe(100);
    });
  } finally {
    await server.stop();
  }
});

it("every field is updated by a step", () => {
  const stepped = (steps: readonly Step[]): string[] =>
    [...new Set([...steps.map(({ key }) => key), ...CLUSTERED])].sort();
  expect(stepped(STREAM_STEPS)).toEqual(Object.keys(STREAM_FIELDS).sort());
  expect(stepped(CONSUMER_STEPS)).toEqual(Object.keys(CONSUMER_FIELDS).sort());
});
