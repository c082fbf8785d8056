/**
 * Every field that nats-server 2.15 has for streams and consumers: how it is declared, compared and updated, and since when
 * servers know it. Sources: nats-server's `StreamConfig` and `ConsumerConfig`, `configUpdateCheck` (stream.go) and
 * `checkNewConsumerConfig` (consumer.go) of the versions 2.9 to 2.15; the tests hold every row against real servers.
 */
import { jetstreamName } from "../validate";
import {
  checkedText,
  choice,
  flag,
  metadata,
  percent,
  record,
  records,
  seconds,
  secondsList,
  size,
  text,
  texts,
  time,
  whole,
  type Kind,
} from "./kinds";
import type { DeclaredBucket, DeclaredConsumer, DeclaredObjectStore, DeclaredStream } from "./types";

export interface Field {
  /** Keys of the server's JSON. More than one where the server has several for one thing. */
  readonly json: readonly string[];
  readonly kind: Kind;
  readonly means: string;
  /** What a new object gets where it is not declared, in words. */
  readonly default: string;
  /** First minor version of nats-server that knows it. */
  readonly since: string;
  /** Whether a server updates it, in words. */
  readonly updates: string;
  /** Why a server does not update from one value to another; undefined where it does. Values are {@link Kind.normal}. */
  readonly refuses?: (from: unknown, to: unknown) => string | undefined;
  /** First version that updates it at all, where older ones refuse. */
  readonly updatesSince?: string;
  /** First version that knows this value, where it is newer than the field. */
  readonly valueSince?: (value: unknown) => string | undefined;
  /** The value out of the server's configuration, where it is not simply the value of `json`. */
  readonly read?: (config: Readonly<Record<string, unknown>>) => unknown;
  /** The server's configuration for a value, where it is not simply `json: value`. */
  readonly write?: (value: unknown) => Record<string, unknown>;
}

/** A field that cannot be declared, and why. What the server has there stays as it is. */
export interface FieldApart {
  readonly json: string;
  readonly since: string;
  readonly why: string;
}

const NAME_CHECK = jetstreamName;

/** A subject as nats-server takes it, the server's own ones included. */
function anySubject(value: string): string | undefined {
  if (/\s/.test(value)) return "not a NATS subject: it holds white space";
  const tokens = value.split(".");
  if (tokens.some((token) => token === "")) return "not a NATS subject: it has an empty token";
  return tokens.slice(0, -1).includes(">") ? "not a NATS subject: `>` may stand only at its end" : undefined;
}

/** A subject without wildcards. */
const oneSubject = (value: string): string | undefined =>
  anySubject(value) ?? (/(^|\.)[*>](\.|$)/.test(value) ? "a subject with a wildcard" : undefined);

const subjectText = checkedText("a NATS subject", "orders.>", anySubject);
const literal = checkedText("a NATS subject without wildcards", "deliver.orders", oneSubject);
const nameText = checkedText("a name without white space and . * > / \\", "ORDERS", NAME_CHECK);
const destination = checkedText("a subject; {{wildcard(1)}} stands for a wildcard of the source", "shop.>", (value) =>
  /\s/.test(value.replace(/\{\{[^}]*\}\}/g, "")) ? "not a NATS subject: it holds white space" : undefined,
);

const TRANSFORM = {
  source: { json: "src", kind: subjectText },
  destination: { json: "dest", kind: destination, required: true },
} as const;

const origin = {
  name: { json: "name", kind: nameText, required: true },
  startSequence: { json: "opt_start_seq", kind: whole(1) },
  startTime: { json: "opt_start_time", kind: time },
  filterSubject: { json: "filter_subject", kind: subjectText },
  subjectTransforms: {
    json: "subject_transforms",
    kind: records(record(TRANSFORM, { source: "orders.*", destination: "shop.orders.{{wildcard(1)}}" })),
  },
  external: {
    json: "external",
    kind: record(
      { apiPrefix: { json: "api", kind: literal, required: true }, deliverPrefix: { json: "deliver", kind: literal } },
      { apiPrefix: "$JS.hub.API" },
    ),
  },
  consumer: {
    json: "consumer",
    kind: record(
      {
        name: { json: "name", kind: nameText, required: true },
        deliverSubject: { json: "deliver_subject", kind: literal, required: true },
      },
      { name: "copy", deliverSubject: "deliver.copy" },
    ),
  },
} as const;

/** The first version that knows what an origin asks for. */
function originSince(value: unknown): string | undefined {
  const origins = (Array.isArray(value) ? value : [value]) as (Record<string, unknown> | undefined)[];
  if (origins.some((each) => each?.consumer !== undefined)) return "2.14";
  return origins.some((each) => each?.subject_transforms !== undefined) ? "2.10" : undefined;
}

const placement = record(
  {
    cluster: { json: "cluster", kind: text(128, "c1") },
    tags: { json: "tags", kind: texts("tags", ["ssd"], () => undefined) },
  },
  { tags: ["ssd"] },
  "none",
);

const republish = record(
  {
    source: { json: "src", kind: subjectText },
    destination: { json: "dest", kind: destination, required: true },
    headersOnly: { json: "headers_only", kind: flag },
  },
  { source: "orders.>", destination: "copy.>" },
  "none",
);

const never = (why: string) => (): string => why;
const onlyOn =
  (why: string) =>
  (_from: unknown, to: unknown): string | undefined =>
    to === true ? undefined : why;

const field = (json: string, kind: Kind, more: Partial<Field> & Pick<Field, "means" | "default">): Field => ({
  json: [json],
  kind,
  since: "2.9",
  updates: "yes",
  ...more,
});

const FIRST = "it counts only when the stream is made; a server that takes the update changes nothing";

/** Fields of a stream, by the key of a declaration. */
export const STREAM_FIELDS: Readonly<Record<keyof Omit<DeclaredStream, "name" | "remove">, Field>> = {
  description: field("description", text(4096, "Orders of the shop"), { means: "what it is for", default: "none" }),
  subjects: field("subjects", texts("NATS subjects", ["orders.>"], anySubject), {
    means: "what it stores",
    default: "the stream's name; none for a mirror",
  }),
  retention: field("retention", choice("limits", "interest", "workqueue"), {
    means: "what goes besides limits: nothing, what every consumer has acknowledged, or what one has",
    default: "limits",
    updates: "limits and interest into each other (nats-server 2.10)",
    updatesSince: "2.10",
    refuses: (from, to) =>
      from === "workqueue" || to === "workqueue" ? "NATS changes no stream into a work queue or back" : undefined,
  }),
  maxConsumers: field("max_consumers", whole(1, { unlimited: -1 }), {
    means: "consumers at most",
    default: "unlimited",
    updates: "yes (nats-server 2.12.10)",
    updatesSince: "2.12.10",
  }),
  maxMessages: field("max_msgs", whole(1, { unlimited: -1, example: 100_000 }), {
    means: "messages at most",
    default: "unlimited",
  }),
  maxBytes: field("max_bytes", size(-1), {
    means: "size at most; reserved when the stream is made",
    default: "unlimited",
  }),
  maxAgeSeconds: field("max_age", seconds(0.1, "unlimited", 86_400), {
    means: "life of a message",
    default: "unlimited",
  }),
  maxMessagesPerSubject: field("max_msgs_per_subject", whole(1, { unlimited: -1 }), {
    means: "messages at most of each subject",
    default: "unlimited",
  }),
  maxMessageBytes: field("max_msg_size", size(-1, 2 ** 31 - 1), {
    means: "size of one message at most",
    default: "unlimited",
  }),
  discard: field("discard", choice("old", "new"), {
    means: "what goes at a limit: old messages, or new ones are refused",
    default: "old",
  }),
  discardNewPerSubject: field("discard_new_per_subject", flag, {
    means: "discard new at the limit of each subject, too",
    default: "false",
  }),
  storage: field("storage", choice("file", "memory"), {
    means: "where messages are kept",
    default: "file",
    updates: "no: a stream keeps its storage for life",
    refuses: never("a stream keeps its storage for life"),
  }),
  replicas: field("num_replicas", whole(1, { most: 5, example: 3 }), {
    means: "servers that keep a copy",
    default: "1",
    updates: "yes, in a cluster of that many servers",
  }),
  noAck: field("no_ack", flag, { means: "no publish is answered", default: "false" }),
  duplicateWindowSeconds: field("duplicate_window", seconds(0.1, undefined, 120), {
    means: "how long a Nats-Msg-Id is remembered",
    default: "120 s, or the age where that is shorter",
  }),
  placement: field("placement", placement, { means: "cluster and tags of the servers", default: "none" }),
  mirror: field("mirror", record(origin, { name: "ORDERS" }, "none"), {
    means: "the one stream that it copies",
    default: "none",
    updates: "only to none (nats-server 2.12)",
    updatesSince: "2.12",
    valueSince: originSince,
    refuses: (_from, to) =>
      to === undefined ? undefined : "a mirror keeps its origin, and no other stream becomes one",
  }),
  sources: field("sources", records(record(origin, { name: "ORDERS" })), {
    means: "streams that it copies from",
    default: "none",
    valueSince: originSince,
  }),
  compression: field("compression", choice("none", "s2"), {
    means: "how the file store is written",
    default: "none",
    since: "2.10",
  }),
  firstSequence: field("first_seq", whole(1, { example: 1000 }), {
    means: "number of the first message",
    default: "1",
    since: "2.10",
    updates: `no: ${FIRST}`,
    refuses: never(FIRST),
  }),
  subjectTransform: field(
    "subject_transform",
    record(TRANSFORM, { source: "orders.>", destination: "shop.orders.>" }, "none"),
    { means: "the subject under which it stores", default: "none", since: "2.10" },
  ),
  republish: field("republish", republish, {
    means: "where it publishes what it has stored",
    default: "none",
    updates: "yes (nats-server 2.10)",
    updatesSince: "2.10",
  }),
  allowDirect: field("allow_direct", flag, { means: "any replica answers for single messages", default: "false" }),
  denyDelete: field("deny_delete", flag, {
    means: "nobody may delete single messages",
    default: "false",
    updates: "only to true",
    refuses: onlyOn("NATS does not take back a stream's deny_delete"),
  }),
  denyPurge: field("deny_purge", flag, {
    means: "nobody may purge",
    default: "false",
    updates: "only to true",
    refuses: onlyOn("NATS does not take back a stream's deny_purge"),
  }),
  allowRollup: field("allow_rollup_hdrs", flag, {
    means: "a publish may take the place of all before it",
    default: "false",
  }),
  consumerLimits: field(
    "consumer_limits",
    record(
      {
        inactiveThresholdSeconds: { json: "inactive_threshold", kind: seconds(0.001, "none") },
        maxAckPending: { json: "max_ack_pending", kind: whole(1, { unlimited: 0 }) },
      },
      { maxAckPending: 1000 },
    ),
    {
      means: "what its consumers get, and may not exceed",
      default: "none",
      since: "2.10",
      updates: "yes, unless a consumer exceeds them",
    },
  ),
  allowMessageTtl: field("allow_msg_ttl", flag, {
    means: "a publish may say how long its message lives",
    default: "false",
    since: "2.11",
    updates: "only to true",
    refuses: onlyOn("NATS does not take back a stream's message TTLs"),
  }),
  deleteMarkerTtlSeconds: field("subject_delete_marker_ttl", seconds(1, "none"), {
    means: "how long a mark stays where a subject's last message expired",
    default: "none",
    since: "2.11",
  }),
  allowCounters: field("allow_msg_counter", flag, {
    means: "it counts instead of storing",
    default: "false",
    since: "2.12",
    updates: "no: a stream counts for life, or never",
    refuses: never("a stream counts for life, or never"),
  }),
  allowAtomicPublish: field("allow_atomic", flag, {
    means: "several messages may be published as one",
    default: "false",
    since: "2.12",
  }),
  allowSchedules: field("allow_msg_schedules", flag, {
    means: "a publish may say when its message is due",
    default: "false",
    since: "2.12",
    updates: "only to true",
    refuses: onlyOn("NATS does not take back a stream's schedules"),
  }),
  persistMode: field("persist_mode", choice("default", "async"), {
    means: "async answers before the message is on disk",
    default: "default",
    since: "2.12",
    updates: "no: a stream keeps its persist mode for life",
    refuses: never("a stream keeps its persist mode for life"),
  }),
  allowBatchPublish: field("allow_batched", flag, {
    means: "fast publishing in batches",
    default: "false",
    since: "2.14",
  }),
  metadata: field("metadata", metadata, { means: "texts by key", default: "none", since: "2.10" }),
};

export const STREAM_FIELDS_APART: readonly FieldApart[] = [
  { json: "name", since: "2.9", why: "is `name`: another name is another stream" },
  { json: "sealed", since: "2.9", why: "seals a stream for ever: an operator's act, `nats stream seal`" },
  { json: "mirror_direct", since: "2.9", why: "a mirror takes it over from its origin's allow_direct" },
];

/** The filters of a consumer, which the server keeps in one of two fields. */
const filters = (config: Readonly<Record<string, unknown>>): unknown =>
  config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []);

const writeFilters = (value: unknown): Record<string, unknown> => {
  const subjects = value as string[];
  return subjects.length === 1
    ? { filter_subject: subjects[0], filter_subjects: undefined }
    : { filter_subject: undefined, filter_subjects: subjects.length === 0 ? undefined : subjects };
};

/** Fields of a consumer, by the key of a declaration. */
export const CONSUMER_FIELDS: Readonly<Record<keyof Omit<DeclaredConsumer, "stream" | "name" | "remove">, Field>> = {
  description: field("description", text(4096, "Bills orders"), { means: "what it is for", default: "none" }),
  deliverPolicy: field(
    "deliver_policy",
    choice("all", "last", "new", "last_per_subject", "by_start_sequence", "by_start_time"),
    {
      means: "where it begins",
      default: "all",
      updates: "no: a consumer has begun where it began",
      refuses: never("a consumer has begun where it began"),
    },
  ),
  startSequence: field("opt_start_seq", whole(1), {
    means: "first message, by its number",
    default: "none",
    updates: "no: a consumer has begun where it began",
    refuses: never("a consumer has begun where it began"),
  }),
  startTime: field("opt_start_time", time, {
    means: "first message, by its time",
    default: "none",
    updates: "no: a consumer has begun where it began",
    refuses: never("a consumer has begun where it began"),
  }),
  ackPolicy: field("ack_policy", choice("none", "all", "explicit", "flow_control"), {
    means: "what is acknowledged: each message, all up to one, or none",
    default: "explicit (the server's own default is none)",
    updates: "no: a consumer keeps its way of acknowledging for life",
    refuses: never("a consumer keeps its way of acknowledging for life"),
    valueSince: (value) => (value === "flow_control" ? "2.14" : undefined),
  }),
  ackWaitSeconds: field("ack_wait", seconds(0.001, undefined, 30), {
    means: "until an unacknowledged message is delivered again",
    default: "30 s",
  }),
  maxDeliver: field("max_deliver", whole(1, { unlimited: -1, example: 10 }), {
    means: "deliveries of one message",
    default: "unlimited",
  }),
  backoffSeconds: field("backoff", secondsList, {
    means: "pauses before further deliveries, instead of ackWaitSeconds",
    default: "none",
  }),
  filterSubjects: {
    json: ["filter_subject", "filter_subjects"],
    kind: texts("NATS subjects", ["orders.new"], anySubject),
    means: "subjects that it delivers",
    default: "all",
    since: "2.9",
    updates: "yes",
    valueSince: (value) => ((value as string[]).length > 1 ? "2.10" : undefined),
    read: filters,
    write: writeFilters,
  },
  replayPolicy: field("replay_policy", choice("instant", "original"), {
    means: "the pace of a backlog",
    default: "instant",
    updates: "no: a consumer keeps its pace for life",
    refuses: never("a consumer keeps its pace for life"),
  }),
  rateLimitBitsPerSecond: field("rate_limit_bps", whole(1, { unlimited: 0, example: 1_000_000 }), {
    means: "pace of a push consumer",
    default: "unlimited",
  }),
  samplePercent: field("sample_freq", percent, { means: "acknowledgements that are reported", default: "0" }),
  maxWaiting: field("max_waiting", whole(1, { example: 512 }), {
    means: "pulls that may wait",
    default: "512",
    updates: "no: NATS fixes it when the consumer is made",
    refuses: never("NATS fixes it when the consumer is made"),
  }),
  maxAckPending: field("max_ack_pending", whole(1, { unlimited: -1, example: 1000 }), {
    means: "unacknowledged messages at most",
    default: "1000",
  }),
  flowControl: field("flow_control", flag, {
    means: "flow control of a push consumer",
    default: "false",
    updates: "no: NATS fixes it when the consumer is made",
    refuses: never("NATS fixes it when the consumer is made"),
  }),
  headersOnly: field("headers_only", flag, { means: "messages without bodies", default: "false" }),
  maxRequestBatch: field("max_batch", whole(1, { unlimited: 0, example: 100 }), {
    means: "messages of one pull at most",
    default: "unlimited",
  }),
  maxRequestExpiresSeconds: field("max_expires", seconds(0.001, "unlimited"), {
    means: "longest pull",
    default: "unlimited",
  }),
  maxRequestBytes: field("max_bytes", size(0), { means: "size of one pull at most", default: "unlimited" }),
  deliverSubject: field("deliver_subject", literal, {
    means: "makes it a push consumer",
    default: "none: a pull consumer",
    updates: "from one subject to another, while nobody listens to the first",
    refuses: (from, to) =>
      from === "" || to === "" ? "NATS makes no push consumer of a pull consumer, nor the other way" : undefined,
  }),
  deliverGroup: field("deliver_group", nameText, { means: "queue group of a push consumer", default: "none" }),
  idleHeartbeatSeconds: field("idle_heartbeat", seconds(0.1, "none", 5), {
    means: "heartbeat of a push consumer",
    default: "none",
    updates: "no: NATS fixes it when the consumer is made",
    refuses: never("NATS fixes it when the consumer is made"),
  }),
  inactiveThresholdSeconds: field("inactive_threshold", seconds(0.001, "never", 3600), {
    means: "without interest for so long, the server deletes it",
    default: "never",
  }),
  replicas: field("num_replicas", whole(1, { most: 5, unlimited: 0, example: 3 }), {
    means: "servers that keep its place, 0 for as many as the stream's",
    default: "as the stream",
    updates: "yes, in a cluster of that many servers",
  }),
  memoryStorage: field("mem_storage", flag, {
    means: "its place is kept in memory",
    default: "false",
    updates: "no: a consumer keeps its storage for life",
    refuses: never("a consumer keeps its storage for life"),
  }),
  metadata: field("metadata", metadata, { means: "texts by key", default: "none", since: "2.10" }),
  priorityGroups: field(
    "priority_groups",
    texts("groups", ["jobs"], (value) =>
      /^[a-zA-Z0-9/_=-]{1,16}$/.test(value) ? undefined : "not 1 to 16 of letters, digits and / _ = -",
    ),
    { means: "groups that pulls may name", default: "none", since: "2.11" },
  ),
  priorityPolicy: field("priority_policy", choice("none", "overflow", "pinned_client", "prioritized"), {
    means: "which pull is served first",
    default: "none",
    since: "2.11",
    valueSince: (value) => (value === "prioritized" ? "2.12" : undefined),
  }),
  priorityTimeoutSeconds: field("priority_timeout", seconds(0.001, "the server's default", 120), {
    means: "after so long a silent pinned client loses its place",
    default: "120 s with pinned_client",
    since: "2.11",
  }),
};

export const CONSUMER_FIELDS_APART: readonly FieldApart[] = [
  { json: "durable_name", since: "2.9", why: "is `name`: what is declared is durable" },
  { json: "name", since: "2.9", why: "is `name`, the same as durable_name" },
  { json: "direct", since: "2.9", why: "is for servers that copy streams from each other" },
  { json: "sourcing", since: "2.14", why: "is for servers that copy streams from each other" },
  {
    json: "pause_until",
    since: "2.11",
    why: "a pause is an operator's act, `nats consumer pause`; an update does not change it",
  },
];

const { description, storage, replicas, compression, maxBytes, maxAgeSeconds, maxMessageBytes } = STREAM_FIELDS;

/** Fields of a bucket, by the key of a declaration. */
export const BUCKET_FIELDS: Readonly<Record<keyof Omit<DeclaredBucket, "name" | "remove">, Field>> = {
  description,
  ttlSeconds: { ...maxAgeSeconds, means: "life of an entry" },
  history: {
    ...STREAM_FIELDS.maxMessagesPerSubject,
    kind: whole(1, { most: 64, example: 5 }),
    means: "values that are kept for each key",
    default: "1",
  },
  maxBytes,
  maxValueBytes: { ...maxMessageBytes, means: "size of one value at most" },
  storage,
  replicas,
  placement: STREAM_FIELDS.placement,
  republish: STREAM_FIELDS.republish,
  compression,
  limitMarkerTtlSeconds: {
    ...STREAM_FIELDS.deleteMarkerTtlSeconds,
    means: "how long a mark stays where a key expired",
    // Marks need messages with a life of their own, which no stream gives up again.
    write: (value) => ({ subject_delete_marker_ttl: value, ...(value === 0 ? {} : { allow_msg_ttl: true }) }),
  },
  metadata: STREAM_FIELDS.metadata,
};

/** Fields of an object store, by the key of a declaration. */
export const OBJECT_STORE_FIELDS: Readonly<Record<keyof Omit<DeclaredObjectStore, "name" | "remove">, Field>> = {
  description,
  ttlSeconds: { ...maxAgeSeconds, means: "life of an object" },
  maxBytes,
  storage,
  replicas,
  placement: STREAM_FIELDS.placement,
  compression,
  metadata: STREAM_FIELDS.metadata,
};

/** All tables, by the list that a declaration stands in. */
export const FIELDS: Readonly<
  Record<"streams" | "consumers" | "buckets" | "objectStores", Readonly<Record<string, Field>>>
> = {
  streams: STREAM_FIELDS,
  consumers: CONSUMER_FIELDS,
  buckets: BUCKET_FIELDS,
  objectStores: OBJECT_STORE_FIELDS,
};

/** Whether a server's version is below another one; what is not a version counts as new. */
export function isOlder(version: string, than: string): boolean {
  const numbers = (text: string): number[] => (/^v?(\d+(?:\.\d+)*)/.exec(text)?.[1] ?? "999").split(".").map(Number);
  const [a, b] = [numbers(version), numbers(than)];
  for (let index = 0; index < b.length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
