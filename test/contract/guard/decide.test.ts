import type { ConsumerInfo, StreamInfo } from "nats";
import { describe, expect, it } from "vitest";
import { CONSUMER, STREAM } from "../../../contract/facts";
import { OldestPending } from "../../../contract/guard/age";
import { brokenKey, brokenText, decide, type Seen } from "../../../contract/guard/decide";
import { StateLog } from "../../../contract/guard/log";
import { METRICS, metricsText, newCounts, type MetricsState } from "../../../contract/guard/metrics";
import { guardPermissions } from "../../../contract/guard/permissions";
import { guardSettings, type GuardSettingsError } from "../../../contract/guard/settings";
import { withDefaults, type ContractArguments } from "../../../contract/inputs";
import { bucketConfig, consumerConfig, streamConfig } from "../../../contract/desired";
import { checkName } from "../../../contract/rules";
import { bucketsOf } from "../../../contract/rules/gateway";

const state = { messages: 0, bytes: 0, first_seq: 0, last_seq: 12, consumer_count: 1 };

const streamOf = (args: ContractArguments, changes: object = {}): StreamInfo =>
  ({ config: { ...streamConfig(withDefaults(args)), ...changes }, created: "2026-01-01T00:00:00Z", state }) as never;
const consumerOf = (args: ContractArguments, changes: object = {}): ConsumerInfo => {
  const config = { ...consumerConfig(withDefaults(args)), max_waiting: 512, ...changes };
  return {
    name: CONSUMER.name,
    config,
    num_pending: 7,
    num_ack_pending: 3,
    num_redelivered: 2,
    ack_floor: { stream_seq: 4 },
    delivered: { stream_seq: 5 },
  } as never;
};

const NOTHING: Seen = {
  observed: { stream: undefined, consumer: undefined },
  unanswered: [],
  holding: undefined,
  lock: undefined,
};
const seen = (observed: Partial<Seen["observed"]>, rest: Partial<Seen> = {}): Seen => ({
  ...NOTHING,
  ...rest,
  observed: { ...NOTHING.observed, ...observed },
});

const healsOf = (args: ContractArguments, what: Seen, mode: "watch" | "heal" = "heal") =>
  decide(withDefaults(args), what, mode).heals.map(({ creates }) => `${creates.kind} ${creates.name}`);

const POOLS = { noetlLine: "4.7" } as const;

describe("what is created", () => {
  it("is what NoETL makes and is missing, the stream first", () => {
    expect(healsOf({}, NOTHING)).toEqual([`stream ${STREAM.name}`, `consumer ${CONSUMER.name}`]);
    expect(healsOf({}, seen({ stream: streamOf({}) }))).toEqual([`consumer ${CONSUMER.name}`]);
    expect(healsOf({}, seen({ stream: streamOf({}), consumer: consumerOf({}) }))).toEqual([]);
  });

  it("is nothing in mode watch, and the contract is broken all the same", () => {
    const { heals, holds } = decide(withDefaults({}), NOTHING, "watch");
    expect({ heals, holds }).toEqual({ heals: [], holds: false });
  });

  it("includes the gateway's buckets, whatever the stream is", () => {
    const args = { gateway: {} };
    const buckets = { sessions: undefined, requests: undefined };
    const stream = streamOf(args, { retention: "workqueue" });
    expect(healsOf(args, seen({ stream, buckets }))).toEqual(["bucket sessions", "bucket requests"]);
  });

  it("includes each pool's consumer with its filter, and never changes one that is there", () => {
    const consumers = { [CONSUMER.name]: consumerOf(POOLS, { filter_subject: "noetl.commands.other.>" }) };
    const there = { stream: streamOf(POOLS), consumer: consumers[CONSUMER.name], consumers };
    // One with another filter needs a decision: nothing is created beside it, as mode ensure would not.
    expect(healsOf(POOLS, seen(there))).toEqual([]);
    const own = { [CONSUMER.name]: consumerOf(POOLS) };
    const { heals } = decide(
      withDefaults(POOLS),
      seen({ ...there, consumer: own[CONSUMER.name], consumers: own }),
      "heal",
    );
    expect(heals.map(({ body }) => (body as { config: object }).config)).toMatchObject([
      { durable_name: `${CONSUMER.name}_shared`, filter_subject: "noetl.commands.shared.>" },
      { durable_name: `${CONSUMER.name}_python`, filter_subject: "noetl.commands.python.>" },
    ]);
  });

  it.each([
    ["a work queue", { retention: "workqueue" }],
    ["a mirror", { mirror: { name: "OTHER" }, subjects: [] }],
    ["a sealed stream", { sealed: true }],
  ])("is not a consumer on %s", (_, changes) => {
    expect(healsOf({}, seen({ stream: streamOf({}, changes) }))).toEqual([]);
  });

  it("is never an update: other durations, limits and filters stay", () => {
    const stream = streamOf({}, { max_age: 60e9, max_msgs: 5, subjects: ["other"] });
    const consumer = consumerOf({}, { ack_wait: 300e9, filter_subject: "x", max_ack_pending: 1 });
    const { heals, holds } = decide(withDefaults({}), seen({ stream, consumer }), "heal");
    expect({ heals, holds }).toEqual({ heals: [], holds: false });
  });

  it("is nothing of what a stack declares, which NoETL would not make", () => {
    const declared = { streams: [{ name: "ORDERS", subjects: ["orders.>"] }] };
    const observed = { stream: streamOf({}), consumer: consumerOf({}) };
    expect(healsOf({ declared }, seen(observed))).toEqual([]);
  });

  it("is nothing of what nobody answers for, of which nothing is said to be missing either", () => {
    const declared = {
      streams: [{ name: "ALONE" }, { name: "ORDERS" }],
      consumers: [{ stream: "ORDERS", name: "reader" }],
    };
    const of = { server: { version: "2.12.0", clustered: true }, takers: {}, beside: {} };
    const silent = { ALONE: "no answer", "ORDERS reader": "no answer" };
    const observed = {
      stream: streamOf({}),
      consumer: consumerOf({}),
      declared: { ...of, streams: { ORDERS: undefined }, consumers: {}, silent },
    };
    const { heals, broken } = decide(withDefaults({ declared }), seen(observed), "heal");
    expect([heals, broken.map(checkName)]).toEqual([[], ["declared-stream of stream ORDERS"]]);
  });

  it.each([
    ["the lock is held", { lock: { state: { messages: 1 } } }],
    ["the holding stream is there", { holding: { state: { messages: 0 } } }],
  ])("is nothing while a repair is under way: %s", (_, rest) => {
    const { heals, repairing } = decide(withDefaults({}), seen({}, rest as never), "heal");
    expect({ heals, repairing }).toEqual({ heals: [], repairing: true });
  });

  it("is nothing while the stream has a repair's subjects, and goes on once the lock's hold has ended", () => {
    const stream = streamOf({}, { subjects: ["noetl-nats.repair.a.old"] });
    expect(decide(withDefaults({}), seen({ stream }), "heal")).toMatchObject({ heals: [], repairing: true });
    expect(healsOf({}, seen({}, { lock: { state: { messages: 0 } } as never }))).toHaveLength(2);
  });
});

it("a store that is full is said once, however full it is", () => {
  const broken = (memory: number) => {
    const account = { memory, storage: 0, limits: { max_memory: 9_000, max_storage: -1 } } as never;
    return decide(withDefaults({}), seen({ stream: streamOf({}), consumer: consumerOf({}), account }), "watch").broken;
  };
  const whole = { server: "s", isWhole: true };
  expect(brokenText(broken(8_000), whole)).toContain("found 8000 of 9000 bytes used");
  expect(brokenKey(broken(8_000), whole)).toBe(brokenKey(broken(8_500), whole));
  expect(brokenKey(broken(8_000), whole)).not.toBe(brokenKey(broken(0), whole));
});

it("a contract holds as far as it is answered for", () => {
  const [whole, part] = [
    { server: "s", isWhole: true },
    { server: "s", isWhole: false },
  ] as const;
  expect(brokenText([], whole)).toBe("the contract holds at s");
  expect(brokenText([], part)).toBe("what is answered for holds at s");
  expect(brokenKey([], whole)).not.toBe(brokenKey([], part));
});

/** What a look finds, in seconds. */
interface Look {
  readonly sequence: number;
  readonly stored?: number;
  readonly created?: string;
  readonly age?: number;
}

describe("the age of the oldest command", () => {
  /** A look at a second, at a stream whose last message was stored at another, both by one clock unless `age` says otherwise. */
  const look = (
    pending: OldestPending,
    now: number,
    { sequence, stored = now, created = "a", age = now - stored }: Look,
    waits: { readonly floor: number; readonly waiting: number },
  ) => pending.look({ created, sequence, age: age * 1000 }, waits, now * 1000);

  it("is that of the first that is not acknowledged, at least", () => {
    const age = new OldestPending();
    expect(look(age, 1, { sequence: 0 }, { floor: 0, waiting: 0 })).toBe(0);
    expect(look(age, 12, { sequence: 3, stored: 10 }, { floor: 0, waiting: 3 })).toBe(2);
    expect(look(age, 27, { sequence: 9, stored: 25 }, { floor: 1, waiting: 8 })).toBe(17);
    // The first three are done: what came with the second look waits since then.
    expect(look(age, 42, { sequence: 9, stored: 25 }, { floor: 3, waiting: 6 })).toBe(17);
    expect(look(age, 50, { sequence: 9, stored: 25 }, { floor: 9, waiting: 0 })).toBe(0);
  });

  it("begins again with another stream", () => {
    const age = new OldestPending();
    look(age, 20, { sequence: 9, stored: 10 }, { floor: 0, waiting: 9 });
    expect(look(age, 101, { sequence: 1, stored: 100, created: "b" }, { floor: 0, waiting: 1 })).toBe(1);
  });

  it("is not that of the server's clock, which somebody may set by an hour", () => {
    const age = new OldestPending();
    look(age, 10, { sequence: 1 }, { floor: 1, waiting: 0 });
    expect(look(age, 25, { sequence: 2, stored: 20 }, { floor: 1, waiting: 1 })).toBe(5);
    expect(look(age, 40, { sequence: 2, age: 3620 }, { floor: 1, waiting: 1 })).toBe(20);
    expect(look(age, 55, { sequence: 3, age: 3615 }, { floor: 2, waiting: 1 })).toBe(15);
    expect(look(age, 70, { sequence: 4, age: -3600 }, { floor: 3, waiting: 1 })).toBe(0);
    expect(look(age, 85, { sequence: 4, age: -3585 }, { floor: 3, waiting: 1 })).toBe(15);
  });

  it("holds few looks, whatever waits", () => {
    const age = new OldestPending();
    for (let now = 1; now <= 20_000; now++) look(age, now, { sequence: now }, { floor: 0, waiting: now });
    expect(look(age, 20_001, { sequence: 20_001 }, { floor: 0, waiting: 1 })).toBe(20_000);
  });
});

describe("the log", () => {
  it("says a state once, and again after another one", () => {
    const lines: string[] = [];
    const log = new StateLog(
      (line) => lines.push(line),
      ["canary"],
      () => new Date(0),
    );
    log.state("nats", { level: "warn", message: "away: refused", key: "away" });
    log.state("nats", { level: "warn", message: "away: closed", key: "away" });
    log.state("contract", { level: "info", message: "holds" });
    log.state("nats", { level: "info", message: "connected" });
    log.state("nats", { level: "warn", message: "away: canary", key: "away" });
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      { time: "1970-01-01T00:00:00.000Z", level: "warn", message: "away: refused" },
      { time: "1970-01-01T00:00:00.000Z", level: "info", message: "holds" },
      { time: "1970-01-01T00:00:00.000Z", level: "info", message: "connected" },
      { time: "1970-01-01T00:00:00.000Z", level: "warn", message: "away: ***" },
    ]);
  });

  it("holds nothing that a terminal would obey, and hides a password between whose letters it stands", () => {
    const lines: string[] = [];
    new StateLog((line) => lines.push(line), ["canary"]).event("info", "a\u009b2Jb\u202e can\u200bary");
    expect(JSON.parse(lines.join("")) as object).toMatchObject({ message: "ab ***" });
  });
});

describe("the metrics", () => {
  const base: MetricsState = {
    mode: "heal",
    connected: true,
    answers: true,
    counts: newCounts(),
    stores: {},
    last: undefined,
  };
  const lookOf = (what: Seen) => ({
    seen: what,
    decision: decide(withDefaults({}), what, "watch"),
    oldestPendingSeconds: 1.5,
  });

  it("say nothing of what is not known while NATS is away", () => {
    const text = metricsText({ ...base, connected: false, answers: false });
    expect(text).toContain("noetl_contract_nats_connected 0\n");
    expect(text).not.toMatch(/^noetl_contract_(holds|lag|leader)/m);
  });

  it("say all that was looked at, each metric with its kind", () => {
    const stream = streamOf({}, { max_age: 1 });
    const account = { memory: 10, storage: 20, limits: { max_memory: -1, max_storage: 100 } };
    const last = lookOf(seen({ stream, consumer: consumerOf({}), account: account as never }));
    const text = metricsText({ ...base, last, stores: { memory: 50, file: 60 }, certificateSeconds: -60 });
    const of = `{consumer="${CONSUMER.name}"}`;
    for (const line of [
      "# TYPE noetl_contract_holds gauge",
      "noetl_contract_holds 0",
      'noetl_contract_rule_broken{rule="stream-age",severity="violation"} 1',
      `noetl_contract_lag${of} 7`,
      `noetl_contract_in_flight${of} 3`,
      `noetl_contract_in_flight_max${of} 64`,
      `noetl_contract_redelivered${of} 2`,
      "noetl_contract_oldest_pending_seconds 1.5",
      'noetl_contract_store_used_bytes{storage="memory"} 10',
      'noetl_contract_store_max_bytes{storage="memory"} 50',
      'noetl_contract_store_max_bytes{storage="file"} 100',
      "noetl_contract_leader 1",
      "noetl_contract_certificate_ends_seconds -60",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    for (const metric of Object.keys(METRICS)) expect(text).toContain(`# TYPE ${metric} `);
  });

  it("say that there is no leader: of the stream, or of JetStream", () => {
    const stream = { ...streamOf({}), cluster: { name: "c", leader: "", replicas: [] } };
    expect(metricsText({ ...base, last: lookOf(seen({ stream: stream })) })).toContain("noetl_contract_leader 0\n");
    expect(metricsText({ ...base, answers: false })).toContain("noetl_contract_leader 0\n");
  });
});

describe("the settings", () => {
  it("are refused with all that is wrong, and without the password", () => {
    const env = { GUARD_MODE: "fix", GUARD_PORT: "x", GUARD_CONTRACT: "/nowhere.json", NATS_PASSWORD: "canary" };
    let problems: readonly string[] = [];
    try {
      guardSettings(env);
    } catch (error) {
      problems = (error as GuardSettingsError).problems;
      expect(String(error)).not.toContain("canary");
    }
    expect(problems).toEqual([
      'GUARD_MODE: "fix" is not a mode; allowed: watch or heal',
      "GUARD_PORT: not a port; allowed: 0 to 65535, 0 takes any; for example 7777",
      "GUARD_CONTRACT: /nowhere.json cannot be read (ENOENT)",
    ]);
  });
});

describe("the permissions", () => {
  it("let it look, and in mode heal create, what the contract names", () => {
    const inputs = withDefaults({ gateway: {}, ...POOLS });
    const watch = guardPermissions(inputs, "watch").publish.allow;
    const heal = guardPermissions(inputs, "heal").publish.allow;
    expect(heal.filter((subject) => !watch.includes(subject))).toEqual([
      "$JS.API.STREAM.CREATE.NOETL_COMMANDS",
      ...bucketsOf(inputs).map((bucket) => `$JS.API.STREAM.CREATE.${bucketConfig(bucket, 1).name}`),
      ...["", "_shared", "_python"].map(
        (pool) => `$JS.API.CONSUMER.DURABLE.CREATE.NOETL_COMMANDS.noetl_worker_pool${pool}`,
      ),
    ]);
    expect(watch.every((subject) => /^\$JS\.API\.(INFO|STREAM\.NAMES|(STREAM|CONSUMER)\.INFO\.)/.test(subject))).toBe(
      true,
    );
  });
});
