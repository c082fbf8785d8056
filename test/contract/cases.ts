import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type JetStreamManager,
  type NatsConnection,
  type StreamConfig,
} from "nats";
import type { ContractArguments, Remembered } from "../../contract";
import { CONSUMER, GATEWAY, STREAM } from "../../contract/facts";
import {
  addConsumer,
  addStream,
  JETSTREAM,
  natsCommand,
  removeStreams,
  restartNoetl,
  startGateway,
  startNoetl,
  withManager,
  type NatsServer,
} from "../support/nats";

const SECOND = 1e9;

/**
 * A server with the accounts and users that the cases name; who does not say who he is is `noetl`, who may do everything.
 * `small` has an account that holds one stream and little memory, `deaf` may neither listen to the gateway's subjects nor
 * write its buckets.
 */
export const CASES_CONFIG = casesConfig(`permissions: {
        publish: {deny: ["$KV.${GATEWAY.requestBucket}.>"]}
        subscribe: {deny: ["${GATEWAY.updatesSubjectPrefix}>", "${GATEWAY.callbackSubjectPrefix}.>"]}
      }`);

/** The same with `deaf` allowed to do everything. */
const HEARING_CONFIG = casesConfig("");

function casesConfig(deaf: string): string {
  return `${JETSTREAM}
accounts {
  NOETL {
    jetstream: enabled
    users: [
      {user: noetl, password: noetl}
      {user: deaf, password: deaf, ${deaf}}
    ]
  }
  SMALL {jetstream: {max_mem: 100K, max_file: 0, max_streams: 1}, users: [{user: small, password: small}]}
}
no_auth_user: noetl`;
}

/** Minor version of a server, 2.11 as 11. */
export type Minor = 9 | 10 | 11 | 12 | 15;

/** How a stream, a consumer and buckets differ from what NoETL and its gateway create. */
export interface Deviation {
  readonly name: string;
  /** Oldest server that has the setting. Default: 9. */
  readonly since?: Minor;
  /** Newest server that accepts the setting. Default: 15. */
  readonly until?: Minor;
  readonly stream?: Partial<StreamConfig> & Record<string, unknown>;
  readonly consumer?: (Partial<ConsumerConfig> & Record<string, unknown>) | null;
  readonly buckets?: Readonly<Record<string, Partial<StreamConfig> | null>>;
  /** Done after the stream is there; replaces adding stream and consumer where `instead` is set. */
  readonly instead?: (manager: JetStreamManager, connection: NatsConnection) => Promise<unknown>;
  readonly then?: (manager: JetStreamManager, connection: NatsConnection) => Promise<unknown>;
  /** Arguments of the check. */
  readonly args?: Omit<ContractArguments, "connection">;
  /** What an earlier check found, given when the stream was created. */
  readonly remembered?: (created: string) => Remembered;
}

/** Words of a report, and what somebody does who follows them. */
export interface Advice {
  readonly says: RegExp;
  readonly act?: (server: NatsServer) => Promise<unknown>;
  /** The server's configuration afterwards. */
  readonly reload?: string;
  /** Arguments of the next check. */
  readonly args?: Deviation["args"];
  readonly remembered?: Deviation["remembered"];
}

/** A deviation and what the check must say about it. */
export interface Case extends Deviation {
  readonly rule: string;
  /** The consumer, where the contract has several. */
  readonly consumerName?: string;
  /** The bucket, where the rule is about one. */
  readonly bucket?: string;
  readonly found: string;
  readonly expected: string;
  /** Further rules that the same deviation breaks. */
  readonly also?: readonly string[];
  /** Where no command of the report can fix it: what somebody does who follows its words. */
  readonly advice?: Advice;
  /** True where mode ensure leaves it as it is, because somebody who set it would lose something. */
  readonly kept?: boolean;
}

const { sessionBucket: SESSIONS, requestBucket: REQUESTS } = GATEWAY;
const SMALL = { user: "small", password: "small" };
const DEAF = { user: "deaf", password: "deaf" };
const KEPT = "subjects that cover noetl.commands and none of the gateway's";

/** A stream of somebody else's. */
const other = (manager: JetStreamManager, config: Partial<StreamConfig>): Promise<unknown> =>
  manager.streams.add({ name: "OTHER", storage: StorageType.Memory, ...config });

/** Runs a command of the nats command line, logged in as somebody else where asked. */
const cli = (server: NatsServer, command: string, login: { user: string; password: string } | undefined = undefined) =>
  natsCommand(
    `nats --server ${server.address} ${command}`,
    login ? { NATS_USER: login.user, NATS_PASSWORD: login.password } : {},
  );

/** Takes the subject from the other stream, and restarts NoETL. */
const takeSubject: Advice = {
  says: /take noetl\.commands from OTHER, or remove it \(nats stream edit, nats stream rm\), and restart NoETL's server/,
  act: async (server) => {
    await cli(server, "stream rm OTHER -f");
    await removeStreams(server);
    await startNoetl(server);
  },
};

/** Streams named after what they do have their republishing taken, by the commands that the words name. */
const unfed = (...names: readonly string[]): Advice => ({
  says: new RegExp(
    `have ${names.join(", ")} republish nothing \\(nats --server \\S+ stream edit ${names[0]} --no-republish -f`,
  ),
  act: async (server) => {
    for (const name of names) await cli(server, `stream edit ${name} --no-republish -f`);
  },
});

/** The gateway's user gets the permission. */
const allow = (what: string): Advice => ({
  says: new RegExp(`let the gateway's user ${what}.*, and restart the gateway`),
  reload: HEARING_CONFIG,
});

const CAPACITY = "no limits below 64 commands, none reached";

/** Commands of so many bytes. */
async function publishMany(connection: NatsConnection, count: number, bytes = 100): Promise<void> {
  const jetstream = connection.jetstream();
  await Promise.all(Array.from({ length: count }, () => jetstream.publish(STREAM.subject, new Uint8Array(bytes))));
}

/** Takes and acknowledges so many commands, as a worker does. */
async function workOff(connection: NatsConnection, count: number): Promise<void> {
  const consumer = await connection.jetstream().consumers.get(STREAM.name, CONSUMER.name);
  for (let done = 0; done < count; done++) await (await consumer.next({ expires: 5_000 }))?.ackAck();
}

/** Rules about copies on several servers; test/contract/replicas.test.ts breaks them. */
export const IN_A_CLUSTER: readonly string[] = ["bucket-replicas", "store-replicas"];

/** Rules about what only a loss of files leaves; test/contract/place.test.ts breaks them. */
export const AFTER_A_LOSS: readonly string[] = ["consumer-place"];

/** For every other rule at least one way to break it. */
export const BROKEN: readonly Case[] = [
  {
    rule: "stream-exists",
    name: "no stream",
    instead: () => Promise.resolve(),
    found: "no such stream after 0 s",
    expected: "stream NOETL_COMMANDS",
  },
  {
    rule: "stream-retention",
    name: "a work queue, which refuses the worker's consumer",
    stream: { retention: RetentionPolicy.Workqueue },
    consumer: null,
    found: "workqueue",
    expected: "limits",
    also: ["consumer-exists"],
  },
  {
    rule: "stream-retention",
    name: "interest",
    stream: { retention: RetentionPolicy.Interest },
    found: "interest",
    expected: "limits",
  },
  {
    rule: "stream-subjects",
    name: "another subject",
    stream: { subjects: ["noetl.events"] },
    found: "noetl.events",
    expected: "subjects that cover noetl.commands",
  },
  {
    rule: "stream-subjects",
    name: "only what is below the subject",
    stream: { subjects: ["noetl.commands.>"] },
    found: "noetl.commands.>",
    expected: "subjects that cover noetl.commands",
  },
  {
    rule: "stream-subjects",
    name: "several that leave a part of a wildcard uncovered",
    stream: { subjects: ["noetl.commands.*", "noetl.commands.*.*.>"] },
    args: { subject: "noetl.commands.>" },
    found: "noetl.commands.*, noetl.commands.*.*.>",
    expected: "subjects that cover noetl.commands.>",
  },
  {
    rule: "stream-subjects",
    name: "a literal where the subject is a wildcard",
    stream: { subjects: ["noetl.commands.a"] },
    args: { subject: "noetl.commands.*" },
    found: "noetl.commands.a",
    expected: "subjects that cover noetl.commands.*",
  },
  {
    rule: "stream-mirror",
    name: "a mirror, which lists no subjects",
    instead: async (manager) => {
      await addStream(manager, { name: "ORIGIN", subjects: ["origin"] });
      await addStream(manager, { mirror: { name: "ORIGIN" } });
      await addConsumer(manager);
    },
    found: "a mirror of ORIGIN",
    expected: "no mirror",
    also: ["stream-subjects"],
  },
  {
    rule: "stream-sealed",
    name: "sealed",
    then: async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      return manager.streams.update(STREAM.name, { ...config, sealed: true } as StreamConfig);
    },
    found: "sealed",
    expected: "not sealed",
    // Sealing a stream also lifts its age limit and refuses new messages.
    also: ["stream-max-age"],
  },
  {
    rule: "stream-acks",
    name: "no acknowledgements",
    stream: { no_ack: true },
    found: "no_ack",
    expected: "acknowledges",
  },
  {
    rule: "stream-acks",
    name: "no acknowledgements, with subjects of NATS' own, which no server acknowledges",
    stream: { subjects: ["noetl.commands", "$JS.FC.>", "$JS.EVENT.METRIC.>"], no_ack: true },
    found: "no_ack",
    expected: "acknowledges",
  },
  {
    rule: "stream-storage",
    name: "file storage",
    stream: { storage: StorageType.File },
    found: "file",
    expected: "memory",
  },
  {
    rule: "stream-persist",
    name: "acknowledged before it is on disk",
    since: 12,
    stream: { storage: StorageType.File, persist_mode: "async" },
    args: { expect: { storage: "file" } },
    found: "persist_mode async",
    expected: "written before",
  },
  { rule: "stream-max-age", name: "another age", stream: { max_age: 60 * SECOND }, found: "60 s", expected: "3600 s" },
  {
    rule: "stream-max-age",
    name: "no age",
    stream: { max_age: 0 },
    found: "unlimited",
    expected: "3600 s",
    kept: true,
  },
  {
    rule: "stream-max-age",
    name: "a day",
    stream: { max_age: 86_400 * SECOND },
    found: "86400 s",
    expected: "3600 s",
    kept: true,
  },
  {
    rule: "stream-age",
    name: "a life too short for one delivery",
    stream: { max_age: 5 * SECOND },
    found: "5 s",
    expected: "at least 30 s",
  },
  {
    rule: "stream-capacity",
    name: "discard new at a count below what is in flight",
    stream: { max_msgs: 10, discard: DiscardPolicy.New },
    found: "max_msgs 10, discard new",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "discard new at a count that is reached",
    stream: { max_msgs: 100, discard: DiscardPolicy.New },
    then: (_manager, connection) => publishMany(connection, 100),
    found: "max_msgs 100, discard new",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "discard old at a count that is reached, while no worker has taken any",
    stream: { max_msgs: 100 },
    then: (_manager, connection) => publishMany(connection, 100),
    found: "max_msgs 100, discard old",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "one message per subject, which keeps the last command only",
    stream: { max_msgs_per_subject: 1 },
    found: "max_msgs_per_subject 1, discard old",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "one message per subject, which refuses every command but the first",
    stream: { max_msgs_per_subject: 1, discard: DiscardPolicy.New, discard_new_per_subject: true },
    found: "max_msgs_per_subject 1, discard new per subject",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "bytes for a few commands",
    stream: { max_bytes: 1024 },
    found: "max_bytes 1024, discard old",
    expected: CAPACITY,
  },
  {
    rule: "stream-capacity",
    name: "bytes that are reached",
    stream: { max_bytes: 300_000, discard: DiscardPolicy.New },
    then: (_manager, connection) => publishMany(connection, 74, 4_000),
    found: "max_bytes 300000, discard new",
    expected: CAPACITY,
  },
  {
    rule: "stream-limits",
    name: "a count that is far off",
    stream: { max_msgs: 10_000, max_bytes: 10_000_000, discard: DiscardPolicy.New },
    found: "max_msgs 10000, max_bytes 10000000, discard new",
    expected: "no limits",
  },
  {
    rule: "stream-limits",
    name: "a count for each subject that no subject has reached, where every execution has one",
    stream: { subjects: ["noetl.commands", "noetl.commands.>"], max_msgs_per_subject: 100 },
    then: async (_manager, connection) => {
      const jetstream = connection.jetstream();
      await Promise.all(
        Array.from({ length: 120 }, (_, execution) => jetstream.publish(`${STREAM.subject}.shared.${execution}`)),
      );
    },
    found: "max_msgs_per_subject 100, discard old",
    expected: "no limits",
  },
  {
    rule: "stream-limits",
    name: "a count that is reached by what is done",
    stream: { max_msgs: 100 },
    then: async (_manager, connection) => {
      await publishMany(connection, 100);
      await workOff(connection, 100);
    },
    found: "max_msgs 100, discard old",
    expected: "no limits",
  },
  {
    rule: "stream-message-size",
    name: "too small for a notification",
    stream: { max_msg_size: 128 },
    found: "128 bytes",
    expected: "unlimited, or at least 4096 bytes",
  },
  {
    rule: "stream-counter",
    name: "a stream of counters",
    since: 12,
    stream: { allow_msg_counter: true },
    found: "counters",
    expected: "messages",
  },
  {
    rule: "stream-max-consumers",
    name: "taken by another consumer",
    stream: { max_consumers: 1 },
    consumer: null,
    then: (manager) => addConsumer(manager, { durable_name: "other" }),
    found: "1 of 1 consumers, all others",
    expected: "room for noetl_worker_pool",
    also: ["consumer-exists"],
  },
  {
    rule: "stream-max-consumers",
    name: "taken by a thousand others, as many as the server lets a stream have that names no limit",
    since: 15,
    consumer: null,
    then: async (manager) => {
      for (let count = 0; count < 1000; count += 100) {
        const names = Array.from({ length: 100 }, (_, index) => `other-${count + index}`);
        await Promise.all(names.map((durable_name) => addConsumer(manager, { durable_name })));
      }
    },
    found: "1000 of 1000 consumers, all others",
    expected: "room for noetl_worker_pool",
    also: ["consumer-exists"],
  },
  {
    rule: "stream-consumer-limits",
    name: "fewer messages in flight than the worker asks for",
    since: 10,
    stream: { consumer_limits: { max_ack_pending: 10 } },
    consumer: null,
    found: "max_ack_pending 10",
    expected: "no limits, or max_ack_pending of at least 64",
    also: ["consumer-exists"],
  },
  {
    rule: "stream-consumer-limits",
    name: "consumers that expire",
    since: 10,
    stream: { consumer_limits: { inactive_threshold: 60 * SECOND } },
    found: "inactive_threshold 60 s",
    expected: "no limits, or max_ack_pending of at least 64",
    also: ["consumer-expiry"],
  },
  {
    rule: "stream-duplicates",
    name: "a short window",
    stream: { duplicate_window: 10 * SECOND },
    found: "10 s",
    expected: "120 s",
  },
  {
    rule: "stream-duplicates",
    name: "a long window",
    stream: { duplicate_window: 1800 * SECOND },
    found: "1800 s",
    expected: "120 s",
  },
  {
    rule: "stream-duplicates",
    name: "a window as long as messages live",
    stream: { duplicate_window: 3600 * SECOND },
    found: "3600 s",
    expected: "120 s",
  },
  {
    rule: "stream-replicas",
    name: "fewer than asked for",
    args: { expect: { replicas: 3 } },
    found: "1",
    expected: "at least 3 replicas",
    advice: { says: /run NATS with 3 servers \(natsReplicas\).* or ask for one replica/, args: {} },
  },
  {
    rule: "stream-peers",
    name: "replicas that a server on its own accepts and does not make",
    until: 11,
    then: async (manager) => {
      const { config } = await manager.streams.info(STREAM.name);
      return manager.streams.update(STREAM.name, { ...config, num_replicas: 3 });
    },
    found: "1 of 3",
    expected: "3 in step",
  },
  {
    rule: "stream-lost",
    name: "recreated since an earlier check",
    remembered: () => ({ streamCreated: "2024-05-01T00:00:00.000000000Z" }),
    found: "created <now>",
    expected: "created 2024-05-01T00:00:00.000000000Z",
    advice: {
      says: /find out what removed the stream .* start the executions that wait/,
      remembered: (created) => ({ streamCreated: created }),
    },
  },
  {
    rule: "stream-overlap",
    name: "another stream in the place of NoETL's",
    instead: (manager) => other(manager, { subjects: ["noetl.>"] }),
    found: "OTHER",
    expected: "NOETL_COMMANDS alone",
    also: ["stream-exists"],
    advice: takeSubject,
  },
  {
    rule: "stream-overlap",
    name: "another stream beside one that does not cover the subject",
    stream: { subjects: ["noetl.events"] },
    then: (manager) => other(manager, { subjects: ["noetl.commands"] }),
    found: "OTHER",
    expected: "NOETL_COMMANDS alone",
    also: ["stream-subjects"],
    advice: takeSubject,
  },
  {
    rule: "account-storage",
    name: "an account whose memory is full",
    args: SMALL,
    then: async (_manager, connection) => {
      for (let written = 0; written < 96 * 1024; written += 8 * 1024) {
        await connection.jetstream().publish(STREAM.subject, new Uint8Array(8 * 1024));
      }
    },
    found: "<n> of 100000 bytes used",
    expected: "room for commands in memory storage",
    advice: {
      says: /raise the account's limit of memory storage, or purge or remove streams that fill it/,
      act: (server) => cli(server, `stream purge ${STREAM.name} -f`, SMALL),
    },
  },
  {
    rule: "account-streams",
    name: "an account whose only stream is another one",
    args: SMALL,
    instead: (manager) => other(manager, { subjects: ["other"] }),
    found: "1 of 1 streams used",
    expected: "room for NOETL_COMMANDS",
    also: ["stream-exists"],
    advice: {
      says: /let the account hold one more stream, NOETL_COMMANDS, and restart NoETL's server and workers/,
      act: async (server) => {
        await cli(server, "stream rm OTHER -f", SMALL);
        await startNoetl(server, {}, { user: SMALL.user, pass: SMALL.password });
      },
    },
  },
  {
    rule: "stream-sources",
    name: "messages of another stream",
    instead: async (manager) => {
      await addStream(manager, { name: "OTHER", subjects: ["other"] });
      await addStream(manager, { sources: [{ name: "OTHER" }] });
      await addConsumer(manager);
    },
    found: "OTHER",
    expected: "no sources",
  },
  {
    rule: "stream-loop",
    name: "a mirror that republishes the commands where they come from",
    since: 10,
    then: (manager) =>
      other(manager, { mirror: { name: STREAM.name }, republish: { src: STREAM.subject, dest: STREAM.subject } }),
    found: "OTHER, which republishes on noetl.commands",
    expected: "no other stream",
    advice: unfed("OTHER"),
  },
  {
    rule: "stream-loop",
    name: "a stream that is handed the commands, and republishes them there",
    stream: { republish: { src: "noetl.>", dest: "audit.>" } },
    then: (manager) => other(manager, { subjects: ["audit.*"], republish: { src: "audit.>", dest: "noetl.>" } }),
    found: "OTHER, which republishes on noetl.commands",
    expected: "no other stream",
    advice: unfed("OTHER"),
  },
  {
    rule: "stream-loop",
    name: "a stream that takes the commands from it, and republishes them there",
    since: 10,
    until: 12,
    then: (manager) =>
      other(manager, { sources: [{ name: STREAM.name }], republish: { src: STREAM.subject, dest: STREAM.subject } }),
    found: "OTHER, which republishes on noetl.commands",
    expected: "no other stream",
    advice: unfed("OTHER"),
  },
  {
    rule: "stream-fed",
    name: "what another stream takes and republishes among the commands",
    then: (manager) => other(manager, { subjects: ["events"], republish: { src: "events", dest: "noetl.commands" } }),
    found: "OTHER, which republishes on noetl.commands",
    expected: "no other stream",
    advice: unfed("OTHER"),
  },
  {
    rule: "stream-markers",
    name: "markers of commands that have aged out",
    since: 11,
    stream: { allow_msg_ttl: true, allow_rollup_hdrs: true, subject_delete_marker_ttl: 60 * SECOND },
    found: "markers that stay for 60 s",
    expected: "no markers",
  },
  {
    rule: "stream-transform",
    name: "stored under another name",
    since: 10,
    stream: { subject_transform: { src: "noetl.>", dest: "moved.>" } },
    found: "stored as moved.commands",
    expected: "stored as noetl.commands",
  },
  {
    rule: "stream-transform",
    name: "stored under another name, by which the consumer filters",
    since: 10,
    stream: { subject_transform: { src: "noetl.commands", dest: "moved" } },
    consumer: { filter_subject: "moved" },
    found: "stored as moved",
    expected: "stored as noetl.commands",
    kept: true,
    advice: {
      says: /take it away together with noetl_worker_pool, .*stream edit NOETL_COMMANDS --no-transform -f; nats \S+ \S+ consumer rm .*restart the workers/,
      act: async (server) => {
        await cli(server, `stream edit ${STREAM.name} --no-transform -f`);
        await cli(server, `consumer rm ${STREAM.name} ${CONSUMER.name} -f`);
        await restartNoetl(server);
      },
    },
  },
  {
    rule: "consumer-exists",
    name: "no consumer",
    consumer: null,
    found: "no such consumer after 0 s",
    expected: "consumer noetl_worker_pool",
  },
  {
    rule: "consumer-durable",
    name: "a name alone",
    consumer: { durable_name: undefined, name: CONSUMER.name, inactive_threshold: 60 * SECOND },
    found: "ephemeral",
    expected: "durable",
  },
  {
    rule: "consumer-pull",
    name: "push",
    consumer: { deliver_subject: "deliver.here" },
    found: "push to deliver.here",
    expected: "pull",
  },
  {
    rule: "consumer-ack-policy",
    name: "no acknowledgement",
    consumer: { ack_policy: AckPolicy.None, ack_wait: undefined, max_ack_pending: undefined, max_deliver: undefined },
    found: "none",
    expected: "explicit",
    also: ["consumer-ack-wait", "consumer-max-deliver", "consumer-max-ack-pending"],
  },
  {
    rule: "consumer-ack-policy",
    name: "one acknowledgement for all before it",
    consumer: { ack_policy: AckPolicy.All },
    found: "all",
    expected: "explicit",
  },
  {
    rule: "consumer-filter",
    name: "a filter outside the stream's subjects, which the server accepts",
    since: 10,
    consumer: { filter_subject: "noetl.events" },
    found: "noetl.events",
    expected: "no filter, or one that covers noetl.commands",
    kept: true,
  },
  {
    rule: "consumer-filter",
    name: "several filters that all miss",
    since: 10,
    consumer: { filter_subjects: ["noetl.events", "noetl.commands.>"] },
    found: "noetl.events, noetl.commands.>",
    expected: "no filter, or one that covers noetl.commands",
    kept: true,
  },
  {
    rule: "consumer-filter",
    name: "the published subject, where the stream stores another",
    since: 10,
    stream: { subject_transform: { src: "noetl.commands", dest: "moved" } },
    consumer: { filter_subject: "noetl.commands" },
    found: "noetl.commands",
    expected: "no filter, or one that covers noetl.commands",
    also: ["stream-transform"],
    kept: true,
  },
  {
    rule: "consumer-filter",
    name: "a pool's consumer without the filter of its pool",
    since: 10,
    stream: { subjects: [STREAM.subject, `${STREAM.subject}.>`] },
    then: (manager) => addConsumer(manager, { durable_name: "pool", filter_subject: undefined, max_ack_pending: 64 }),
    args: { consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.pool.>"] }] },
    consumerName: "pool",
    found: "no filter",
    expected: "noetl.commands.pool.>",
  },
  {
    rule: "consumer-filter",
    name: "a pool's consumer that takes what belongs to another, too",
    since: 10,
    stream: { subjects: [STREAM.subject, `${STREAM.subject}.>`] },
    then: (manager) => addConsumer(manager, { durable_name: "pool", filter_subject: "noetl.commands.>" }),
    args: { consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.pool.>"] }] },
    consumerName: "pool",
    found: "noetl.commands.>",
    expected: "noetl.commands.pool.>",
  },
  {
    rule: "consumer-filter",
    name: "a pool's consumer with the filter of another",
    since: 10,
    stream: { subjects: [STREAM.subject, `${STREAM.subject}.>`] },
    then: (manager) => addConsumer(manager, { durable_name: "pool", filter_subject: "noetl.commands.else.>" }),
    args: { consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.pool.>"] }] },
    consumerName: "pool",
    found: "noetl.commands.else.>",
    expected: "noetl.commands.pool.>",
    kept: true,
  },
  {
    rule: "consumer-filter",
    name: "the filter of a pool, where no pool is known",
    since: 10,
    consumer: { filter_subject: "noetl.commands.shared.>" },
    found: "noetl.commands.shared.>",
    expected: "no filter, or one that covers noetl.commands",
    kept: true,
    advice: {
      says: /where the consumer is left over from one, remove it \(nats --server \S+ consumer rm NOETL_COMMANDS noetl_worker_pool -f\) and restart the workers/,
      act: async (server) => {
        await cli(server, "consumer rm NOETL_COMMANDS noetl_worker_pool -f");
        await restartNoetl(server);
      },
    },
  },
  {
    rule: "consumers-cover",
    name: "pools that leave a subject to nobody",
    since: 10,
    stream: { subjects: [STREAM.subject, `${STREAM.subject}.>`] },
    consumer: { filter_subject: "noetl.commands.shared.>" },
    then: (manager) => addConsumer(manager, { durable_name: "pool", filter_subject: "noetl.commands.pool.>" }),
    args: {
      publishes: ["noetl.commands.shared.*", "noetl.commands.python.*"],
      consumers: [
        { name: CONSUMER.name, filters: ["noetl.commands.shared.>"] },
        { name: "pool", filters: ["noetl.commands.pool.>"] },
      ],
    },
    found: "nobody takes noetl.commands.python.*",
    expected: "every one of noetl.commands.shared.*, noetl.commands.python.*",
    advice: {
      says: /add a consumer for noetl\.commands\.python\.\*, and start workers with it: set `consumers`/,
      act: (server) =>
        withManager(server, (manager) =>
          addConsumer(manager, { durable_name: "python", filter_subject: "noetl.commands.python.>" }),
        ),
      args: {
        publishes: ["noetl.commands.shared.*", "noetl.commands.python.*"],
        consumers: [
          { name: CONSUMER.name, filters: ["noetl.commands.shared.>"] },
          { name: "pool", filters: ["noetl.commands.pool.>"] },
          { name: "python", filters: ["noetl.commands.python.>"] },
        ],
      },
    },
  },
  {
    rule: "consumer-exists",
    name: "the consumer of a pool is missing",
    stream: { subjects: [STREAM.subject, `${STREAM.subject}.>`] },
    args: { consumers: [{ name: CONSUMER.name }, { name: "pool", filters: ["noetl.commands.pool.>"] }] },
    consumerName: "pool",
    found: "no such consumer after 0 s",
    expected: "consumer pool",
  },
  {
    rule: "stream-subjects",
    name: "a flat stream where commands are routed to pools",
    args: { publishes: ["noetl.commands.shared.*"] },
    found: "noetl.commands",
    expected: "subjects that cover noetl.commands, noetl.commands.shared.*",
  },
  {
    rule: "consumer-bodies",
    name: "headers only",
    consumer: { headers_only: true },
    found: "headers only",
    expected: "whole messages",
  },
  {
    rule: "consumer-paused",
    name: "paused",
    since: 11,
    consumer: { pause_until: "2100-01-01T00:00:00Z" },
    found: "paused until 2100-01-01T00:00:00Z",
    expected: "not paused",
  },
  {
    rule: "consumer-deliver-policy",
    name: "from the beginning",
    consumer: { deliver_policy: DeliverPolicy.All },
    found: "all",
    expected: "new",
  },
  {
    rule: "consumer-start",
    name: "at a message that is far away",
    since: 11,
    consumer: { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 1_000 },
    found: "message 1000",
    expected: "the next message, or an earlier one",
    also: ["consumer-deliver-policy"],
  },
  {
    rule: "consumer-deliver-policy",
    name: "from a time that has not come, which the server takes for the next message",
    consumer: { deliver_policy: DeliverPolicy.StartTime, opt_start_time: "2100-01-01T00:00:00Z" },
    found: "by_start_time",
    expected: "new",
  },
  {
    rule: "consumer-replay-policy",
    name: "at the original pace",
    consumer: { replay_policy: ReplayPolicy.Original },
    found: "original",
    expected: "instant",
  },
  {
    rule: "consumer-ack-wait",
    name: "another time",
    consumer: { ack_wait: 5 * SECOND },
    found: "5 s",
    expected: "30 s",
  },
  {
    rule: "consumer-ack-wait",
    name: "a longer time, as later lines of NoETL ask for it",
    consumer: { ack_wait: 300 * SECOND },
    found: "300 s",
    expected: "30 s",
    kept: true,
  },
  {
    rule: "consumer-ack-wait",
    name: "a backoff that begins later",
    consumer: { backoff: [60 * SECOND, 90 * SECOND] },
    found: "backoff 60 s, 90 s",
    expected: "30 s",
    kept: true,
  },
  {
    rule: "consumer-ack-wait",
    name: "a backoff, which replaces it",
    consumer: { backoff: [1 * SECOND, 5 * SECOND] },
    found: "backoff 1 s, 5 s",
    expected: "30 s",
  },
  {
    rule: "consumer-redelivery",
    name: "one delivery, which a worker that dies takes with it",
    consumer: { max_deliver: 1 },
    found: "one delivery",
    expected: "up to 1000 deliveries, the second after 30 s",
    also: ["consumer-max-deliver"],
  },
  {
    rule: "consumer-redelivery",
    name: "a time to acknowledge in which commands grow too old",
    consumer: { ack_wait: 3600 * SECOND },
    found: "the second after 3600 s, when it is 3600 s old at most",
    expected: "up to 1000 deliveries, the second after 30 s",
    also: ["consumer-ack-wait"],
    kept: true,
  },
  {
    rule: "consumer-redelivery",
    name: "a backoff that begins when commands are too old",
    consumer: { backoff: [7200 * SECOND, 7300 * SECOND] },
    found: "the second after 7200 s, when it is 3600 s old at most",
    expected: "up to 1000 deliveries, the second after 30 s",
    also: ["consumer-ack-wait"],
    kept: true,
  },
  {
    rule: "consumer-max-deliver",
    name: "another count",
    consumer: { max_deliver: 3 },
    found: "3",
    expected: "1000",
  },
  {
    rule: "consumer-max-deliver",
    name: "the server's default",
    consumer: { max_deliver: undefined },
    found: "unlimited",
    expected: "1000",
  },
  {
    rule: "consumer-max-ack-pending",
    name: "the server's default",
    consumer: { max_ack_pending: undefined },
    found: "1000",
    expected: "64",
  },
  {
    rule: "consumer-expiry",
    name: "a durable that expires all the same",
    consumer: { inactive_threshold: 600 * SECOND },
    found: "expires after 600 s without a worker",
    expected: "does not expire",
  },
  {
    rule: "consumer-outage",
    name: "a durable that expires while its workers wait for a server that has restarted",
    consumer: { inactive_threshold: 20 * SECOND },
    found: "20 s",
    expected: "unset, or at least 30 s",
    also: ["consumer-expiry"],
  },
  {
    rule: "consumer-fetch-expiry",
    name: "shorter than the worker's fetch",
    consumer: { max_expires: 10 * SECOND },
    found: "10 s",
    expected: "unlimited, or at least 30 s",
  },
  {
    rule: "consumer-priority",
    name: "a group that every fetch must name",
    since: 11,
    consumer: { priority_policy: "overflow", priority_groups: ["a"] },
    found: "overflow",
    expected: "no priority policy",
  },
  {
    rule: "consumer-max-waiting",
    name: "one fetch for two workers",
    consumer: { max_waiting: 1 },
    args: { worker: { replicas: 2 } },
    found: "1",
    expected: "at least 2",
  },
  {
    rule: "consumer-replicas",
    name: "its place in memory, the stream on disk",
    stream: { storage: StorageType.File },
    consumer: { mem_storage: true },
    args: { expect: { storage: "file" } },
    found: "in memory, the stream on disk",
    expected: "as the stream",
  },
  {
    rule: "bucket-exists",
    bucket: SESSIONS,
    name: "no bucket of sessions",
    buckets: { [SESSIONS]: null },
    args: { gateway: {} },
    found: "no such bucket after 0 s",
    expected: "it exists",
  },
  {
    rule: "bucket-exists",
    bucket: REQUESTS,
    name: "no bucket of requests",
    buckets: { [REQUESTS]: null },
    args: { gateway: {} },
    found: "no such bucket after 0 s",
    expected: "it exists",
  },
  {
    rule: "bucket-subjects",
    bucket: SESSIONS,
    name: "a stream of that name for other subjects",
    buckets: { [SESSIONS]: { subjects: ["sessions"] } },
    args: { gateway: {} },
    found: "sessions",
    expected: "$KV.sessions.>",
  },
  {
    rule: "bucket-writable",
    bucket: REQUESTS,
    name: "sealed",
    buckets: {},
    args: { gateway: {} },
    then: async (manager) => {
      const { config } = await manager.streams.info(`KV_${REQUESTS}`);
      return manager.streams.update(config.name, { ...config, sealed: true } as StreamConfig);
    },
    found: "sealed",
    expected: "writable",
    also: ["bucket-ttl"],
  },
  {
    rule: "bucket-writable",
    bucket: REQUESTS,
    name: "no acknowledgements",
    buckets: { [REQUESTS]: { no_ack: true } },
    args: { gateway: {} },
    found: "no_ack",
    expected: "writable",
  },
  {
    rule: "bucket-history",
    bucket: SESSIONS,
    name: "a stream that keeps every value",
    buckets: { [SESSIONS]: { max_msgs_per_subject: -1 } },
    args: { gateway: {} },
    found: "unlimited values per key",
    expected: "1 to 64 values per key",
  },
  {
    rule: "bucket-ttl",
    bucket: SESSIONS,
    name: "sessions that live on",
    buckets: { [SESSIONS]: { max_age: 0 } },
    args: { gateway: {} },
    found: "unlimited",
    expected: "300 s",
    kept: true,
  },
  {
    rule: "bucket-ttl",
    bucket: REQUESTS,
    name: "requests that are forgotten early",
    buckets: { [REQUESTS]: { max_age: 60 * SECOND } },
    args: { gateway: {} },
    found: "60 s",
    expected: "1800 s",
  },
  {
    rule: "bucket-ttl",
    bucket: SESSIONS,
    name: "a life that the gateway is set to since",
    buckets: {},
    args: { gateway: { sessionTtlSeconds: 60 } },
    found: "300 s",
    expected: "60 s",
    kept: true,
  },
  {
    rule: "bucket-limits",
    bucket: SESSIONS,
    name: "values that are too large",
    buckets: { [SESSIONS]: { max_msg_size: 1024 } },
    args: { gateway: {} },
    found: "max_msg_size 1024",
    expected: "no limits, values of 10240 bytes",
  },
  {
    rule: "bucket-limits",
    bucket: REQUESTS,
    name: "a size, beyond which puts are refused",
    buckets: { [REQUESTS]: { max_bytes: 65536 } },
    args: { gateway: {} },
    found: "max_bytes 65536",
    expected: "no limits, values of 4096 bytes",
  },
  {
    rule: "gateway-updates",
    name: "and callbacks and requests, that its user is denied",
    buckets: {},
    args: { gateway: {}, ...DEAF },
    found: `'Permissions Violation for Subscription to "playbooks.executions.>"'`,
    expected: "may subscribe to playbooks.executions.>",
    also: ["gateway-callbacks", "gateway-buckets"],
    advice: allow("subscribe to playbooks\\.executions\\.>"),
  },
  {
    rule: "gateway-callbacks",
    name: "that a login of its own is denied",
    buckets: {},
    args: { gateway: DEAF },
    found: `'Permissions Violation for Subscription to "noetl.callbacks.>"'`,
    expected: "may subscribe to noetl.callbacks.>",
    also: ["gateway-updates", "gateway-buckets"],
    advice: allow("subscribe to noetl\\.callbacks\\.>"),
  },
  {
    rule: "gateway-buckets",
    name: "that its user may not write",
    since: 10,
    buckets: {},
    args: { gateway: { ...DEAF, updatesSubjectPrefix: "updates.", callbackSubjectPrefix: "callbacks" } },
    found: "may not publish on $KV.requests.>",
    expected: "may publish on $KV.sessions.>, $KV.requests.>",
    advice: allow("publish on "),
  },
  {
    rule: "gateway-apart",
    name: "callbacks stored among the commands",
    stream: { subjects: ["noetl.>"] },
    buckets: {},
    args: { gateway: {} },
    found: "noetl.>",
    expected: KEPT,
  },
  {
    rule: "gateway-apart",
    name: "a prefix that takes the commands' own subject in",
    buckets: {},
    args: { gateway: { updatesSubjectPrefix: "noetl." } },
    found: "noetl.commands",
    expected: KEPT,
    advice: {
      says: /give the gateway prefixes that do not take noetl\.commands in \(natsUpdatesSubjectPrefix/,
      args: { gateway: {} },
    },
    kept: true,
  },
  {
    rule: "gateway-apart",
    name: "updates stored among the commands",
    stream: { subjects: ["noetl.commands", "playbooks.*.*"] },
    buckets: {},
    args: { gateway: {} },
    found: "noetl.commands, playbooks.*.*",
    expected: KEPT,
  },
];

/** Deviations that break nothing. */
export const HOLDING: readonly Deviation[] = [
  { name: "as NoETL creates them" },
  { name: "as NoETL and its gateway create them", buckets: {}, args: { gateway: {} } },
  {
    name: "subjects as later versions of NoETL widen them",
    stream: { subjects: ["noetl.commands", "noetl.commands.>"] },
    buckets: {},
    args: { gateway: {} },
  },
  { name: "a wider subject", stream: { subjects: ["noetl.>"] } },
  {
    name: "several subjects that cover a wildcard together",
    stream: { subjects: ["noetl.commands.*", "noetl.commands.*.>"] },
    args: { subject: "noetl.commands.>" },
  },
  { name: "a filter that covers the subject", consumer: { filter_subject: "noetl.>" } },
  {
    name: "one filter of several that covers it",
    since: 10,
    consumer: { filter_subjects: ["noetl.events", "noetl.commands"] },
  },
  {
    name: "a transform of other subjects",
    since: 10,
    stream: { subjects: ["noetl.>"], subject_transform: { src: "noetl.events", dest: "moved" } },
  },
  { name: "a fetch limit that the worker keeps to", consumer: { max_expires: 30 * SECOND } },
  { name: "a large message limit", stream: { max_msg_size: 1024 * 1024 } },
  { name: "a description", stream: { description: "d" } },
  { name: "messages with lives of their own", since: 11, stream: { allow_msg_ttl: true } },
  {
    name: "what newer servers have, and commands do not use",
    since: 12,
    stream: {
      allow_atomic: true,
      allow_msg_schedules: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
    },
  },
  { name: "a limit of each fetch that the worker keeps to", since: 10, consumer: { max_batch: 1, max_bytes: 1024 } },
  {
    name: "a pause that is over",
    since: 11,
    consumer: { pause_until: "2020-01-01T00:00:00Z" },
  },
  { name: "new messages discarded at limits that there are none of", stream: { discard: DiscardPolicy.New } },
  {
    name: "commands published once more elsewhere",
    stream: { republish: { src: "noetl.commands", dest: "audit.commands" } },
  },
  {
    name: "a stream that is handed the commands, and republishes others of its own elsewhere, a mirror and one that takes from it",
    since: 10,
    stream: { republish: { src: "noetl.commands", dest: "audit.commands" } },
    then: async (manager) => {
      await other(manager, {
        subjects: ["audit.>", "noetl.events"],
        republish: { src: "noetl.events", dest: "noetl.heard" },
      });
      await other(manager, {
        name: "MIRROR",
        mirror: { name: STREAM.name },
        republish: { src: ">", dest: "copies.>" },
      });
      await other(manager, { name: "TAKES", sources: [{ name: STREAM.name, filter_subject: "noetl.commands" }] });
    },
  },
  { name: "metadata", since: 10, stream: { metadata: { _nats: "x", mine: "y" } } },
  { name: "a limit of consumers that has room", stream: { max_consumers: 2 } },
  { name: "a limit of consumers that NoETL's own fills", stream: { max_consumers: 1 } },
  {
    name: "consumer limits that the worker keeps to",
    since: 10,
    stream: { consumer_limits: { max_ack_pending: 64 } },
  },
  {
    name: "a window that a short age shortens",
    stream: { max_age: 60 * SECOND },
    args: { expect: { maxAgeSeconds: 60 } },
  },
  { name: "streams of others", then: (manager) => other(manager, { subjects: ["noetl.events", "noetl.commands.>"] }) },
  { name: "fetches of many workers", args: { worker: { replicas: 512 } } },
  { name: "an account with room", args: SMALL },
  { name: "the same stream as an earlier check saw", remembered: (created) => ({ streamCreated: created }) },
  {
    name: "buckets by other names, with other lives",
    args: { gateway: { sessionBucket: "a", sessionTtlSeconds: 60, requestBucket: "b", requestTtlSeconds: 90 } },
    then: async (_manager, connection) => {
      await connection.jetstream().views.kv("a", { ttl: 60_000 });
      await connection.jetstream().views.kv("b", { ttl: 90_000, history: 5 });
    },
  },
  { name: "a prefix that ends within a token", buckets: {}, args: { gateway: { updatesSubjectPrefix: "play" } } },
];

/** Makes stream, consumer and buckets as the deviation says. */
export async function arrange(
  server: NatsServer,
  { stream, consumer, buckets, instead, then, args }: Deviation,
): Promise<void> {
  const owner = args?.user === SMALL.user ? { user: SMALL.user, pass: SMALL.password } : {};
  await withManager(
    server,
    async (manager, connection) => {
      if (instead) return instead(manager, connection);
      await addStream(manager, stream);
      if (consumer !== null) await addConsumer(manager, consumer);
      if (buckets) await startGateway(server, buckets);
      return then?.(manager, connection);
    },
    owner,
  );
}

/** Removes every stream of every account. */
export async function clear(server: NatsServer): Promise<void> {
  await removeStreams(server);
  await removeStreams(server, { user: SMALL.user, pass: SMALL.password });
}
