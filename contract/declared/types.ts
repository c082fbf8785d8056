/**
 * What a stack or a program declares in NATS beyond NoETL's own stream: plain words, seconds, and bytes or Kubernetes
 * quantities. A key that is left out is not declared: whatever the server has there stays.
 */

/**
 * Removes what is declared. `ifEmpty` only where nothing is in it: a stream without messages and consumers, a bucket without
 * entries, a consumer that has delivered everything and waits for no acknowledgement. `withContents` whatever is in it.
 */
export type Removal = "ifEmpty" | "withContents";

/** Where the servers for a stream may stand. */
export interface Placement {
  /** Name of the cluster. */
  readonly cluster?: string;
  /** Tags that each of the servers must have. */
  readonly tags?: readonly string[];
}

/** What matches `source` is stored, or published again, as `destination`. */
export interface SubjectTransform {
  /** Default: every subject. */
  readonly source?: string;
  readonly destination: string;
}

/** A stream whose messages are copied. */
export interface StreamOrigin {
  /** Name of the stream. */
  readonly name: string;
  /** First message that is copied, by its number. */
  readonly startSequence?: number;
  /** First message that is copied, by its time (ISO 8601). */
  readonly startTime?: string;
  /** Only messages of these subjects. */
  readonly filterSubject?: string;
  /** Filters that also rename (nats-server 2.10). */
  readonly subjectTransforms?: readonly SubjectTransform[];
  /** Where the stream is another account's or domain's. */
  readonly external?: { readonly apiPrefix: string; readonly deliverPrefix?: string };
  /** A durable consumer that exists, to read through (nats-server 2.14). */
  readonly consumer?: { readonly name: string; readonly deliverSubject: string };
}

/** Published again after it was stored. */
export interface Republish extends SubjectTransform {
  /** Only the headers. Default: false. */
  readonly headersOnly?: boolean;
}

/** What consumers of a stream get that do not say otherwise, and may not exceed (nats-server 2.10). */
export interface ConsumerLimits {
  readonly inactiveThresholdSeconds?: number;
  readonly maxAckPending?: number;
}

/** A stream. Every key but `name` may be left out. */
export interface DeclaredStream {
  /** No white space and none of `. * > / \`; not `KV_...` or `OBJ_...`, which are buckets and object stores. */
  readonly name: string;
  /** Removes the stream instead; nothing else may then be declared of it. */
  readonly remove?: Removal;
  readonly description?: string;
  /** Subjects that it stores. Server's default: the stream's name. */
  readonly subjects?: readonly string[];
  /** `limits`, `interest` or `workqueue`. Server's default: `limits`. */
  readonly retention?: "limits" | "interest" | "workqueue";
  /** -1 for unlimited, which is the server's default. */
  readonly maxConsumers?: number;
  /** -1 for unlimited, which is the server's default. */
  readonly maxMessages?: number;
  /** Bytes or a Kubernetes quantity, -1 for unlimited, which is the server's default. */
  readonly maxBytes?: number | string;
  /** Seconds, 0 for unlimited, which is the server's default. */
  readonly maxAgeSeconds?: number;
  /** -1 for unlimited, which is the server's default. */
  readonly maxMessagesPerSubject?: number;
  /** Bytes or a Kubernetes quantity, -1 for unlimited, which is the server's default. */
  readonly maxMessageBytes?: number | string;
  /** What goes at a limit: `old` messages, or `new` ones are refused. Server's default: `old`. */
  readonly discard?: "old" | "new";
  /** `discard: new` at the limit of messages per subject, too. Server's default: false. */
  readonly discardNewPerSubject?: boolean;
  /** `file` or `memory`. Server's default: `file`. */
  readonly storage?: "file" | "memory";
  /** Servers that keep a copy, 1 to 5. Server's default: 1. */
  readonly replicas?: number;
  /** True answers no publish. Server's default: false. */
  readonly noAck?: boolean;
  /** Seconds in which a message with the same Nats-Msg-Id is stored once. Server's default: 120, or the age where shorter. */
  readonly duplicateWindowSeconds?: number;
  readonly placement?: Placement | "none";
  /** A copy of one other stream. `none` makes an ordinary stream of it. */
  readonly mirror?: StreamOrigin | "none";
  /** Streams whose messages are copied into this one. */
  readonly sources?: readonly StreamOrigin[];
  /** `s2` or `none` (nats-server 2.10). Server's default: `none`. */
  readonly compression?: "none" | "s2";
  /** Number of the first message (nats-server 2.10). */
  readonly firstSequence?: number;
  /** What is stored gets another subject (nats-server 2.10). */
  readonly subjectTransform?: SubjectTransform | "none";
  readonly republish?: Republish | "none";
  /** Any replica answers for single messages. Server's default: false. */
  readonly allowDirect?: boolean;
  /** Nobody may delete single messages. Server's default: false. */
  readonly denyDelete?: boolean;
  /** Nobody may purge. Server's default: false. */
  readonly denyPurge?: boolean;
  /** A publish may take the place of all before it. Server's default: false. */
  readonly allowRollup?: boolean;
  readonly consumerLimits?: ConsumerLimits;
  /** A publish may say how long its message lives (nats-server 2.11). Server's default: false. */
  readonly allowMessageTtl?: boolean;
  /** Seconds for which a mark stays where the last message of a subject expired; 0 for none (nats-server 2.11). */
  readonly deleteMarkerTtlSeconds?: number;
  /** The stream counts instead of storing messages (nats-server 2.12). Server's default: false. */
  readonly allowCounters?: boolean;
  /** Several messages may be published as one (nats-server 2.12). Server's default: false. */
  readonly allowAtomicPublish?: boolean;
  /** A publish may say when its message is due (nats-server 2.12). Server's default: false. */
  readonly allowSchedules?: boolean;
  /** `async` answers before it is on disk (nats-server 2.12). Server's default: `default`. */
  readonly persistMode?: "default" | "async";
  /** Fast publishing in batches (nats-server 2.14). Server's default: false. */
  readonly allowBatchPublish?: boolean;
  /** Key and text (nats-server 2.10); keys that begin with `_nats.` are the server's. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A durable consumer. Every key but `stream` and `name` may be left out. */
export interface DeclaredConsumer {
  /** A stream that is declared, or NoETL's. */
  readonly stream: string;
  /** No white space and none of `. * > / \`. */
  readonly name: string;
  /** Removes the consumer instead; nothing else may then be declared of it. */
  readonly remove?: Removal;
  readonly description?: string;
  /** Where it begins. Server's default: `all`. */
  readonly deliverPolicy?: "all" | "last" | "new" | "last_per_subject" | "by_start_sequence" | "by_start_time";
  /** With `by_start_sequence`. */
  readonly startSequence?: number;
  /** With `by_start_time` (ISO 8601). */
  readonly startTime?: string;
  /** `explicit`, `all`, `none` or `flow_control` (nats-server 2.14). Made with `explicit`; the server's default is `none`. */
  readonly ackPolicy?: "explicit" | "all" | "none" | "flow_control";
  /** Seconds until an unacknowledged message is delivered again. Server's default: 30. */
  readonly ackWaitSeconds?: number;
  /** Deliveries of one message, -1 for unlimited, which is the server's default. */
  readonly maxDeliver?: number;
  /** Seconds before each further delivery, instead of `ackWaitSeconds`. */
  readonly backoffSeconds?: readonly number[];
  /** Only messages of these subjects; more than one need nats-server 2.10. Server's default: all. */
  readonly filterSubjects?: readonly string[];
  /** `instant` or `original`. Server's default: `instant`. */
  readonly replayPolicy?: "instant" | "original";
  /** Push consumers: bits a second, 0 for unlimited, which is the server's default. */
  readonly rateLimitBitsPerSecond?: number;
  /** Percent of acknowledgements that are reported. Server's default: 0. */
  readonly samplePercent?: number;
  /** Pulls that may wait. Server's default: 512 for pull consumers. */
  readonly maxWaiting?: number;
  /** Unacknowledged messages, -1 for unlimited. Server's default: 1000. */
  readonly maxAckPending?: number;
  /** Push consumers, with a heartbeat. Server's default: false. */
  readonly flowControl?: boolean;
  /** Messages without bodies. Server's default: false. */
  readonly headersOnly?: boolean;
  /** Largest pull, 0 for unlimited, which is the server's default. */
  readonly maxRequestBatch?: number;
  /** Longest pull in seconds, 0 for unlimited, which is the server's default. */
  readonly maxRequestExpiresSeconds?: number;
  /** Bytes of one pull or a Kubernetes quantity, 0 for unlimited, which is the server's default. */
  readonly maxRequestBytes?: number | string;
  /** Makes it a push consumer. */
  readonly deliverSubject?: string;
  /** Push consumers: the queue group that shares it. */
  readonly deliverGroup?: string;
  /** Push consumers: seconds. Server's default: none. */
  readonly idleHeartbeatSeconds?: number;
  /** Seconds without interest after which the server deletes it; 0 for never, which is the server's default. */
  readonly inactiveThresholdSeconds?: number;
  /** Servers that keep its place, 0 for as many as the stream's, which is the server's default. */
  readonly replicas?: number;
  /** Its place is kept in memory. Server's default: false. */
  readonly memoryStorage?: boolean;
  /** Key and text (nats-server 2.10); keys that begin with `_nats.` are the server's. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** nats-server 2.11. */
  readonly priorityGroups?: readonly string[];
  /** `overflow`, `pinned_client` (nats-server 2.11) or `prioritized` (2.12). Server's default: `none`. */
  readonly priorityPolicy?: "none" | "overflow" | "pinned_client" | "prioritized";
  /** Seconds after which a silent pinned client loses its place (nats-server 2.11). Server's default: 120. */
  readonly priorityTimeoutSeconds?: number;
}

/** A key-value bucket: the stream `KV_<name>` as NATS's own clients make it. */
export interface DeclaredBucket {
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  /** Removes the bucket instead; nothing else may then be declared of it. */
  readonly remove?: Removal;
  readonly description?: string;
  /** Life of an entry in seconds, 0 for unlimited, which is the default. */
  readonly ttlSeconds?: number;
  /** Values that are kept for each key, 1 to 64. Default: 1. */
  readonly history?: number;
  /** Bytes or a Kubernetes quantity, -1 for unlimited, which is the default. */
  readonly maxBytes?: number | string;
  /** Bytes or a Kubernetes quantity, -1 for unlimited, which is the default. */
  readonly maxValueBytes?: number | string;
  /** `file` or `memory`. Default: `file`. */
  readonly storage?: "file" | "memory";
  /** Servers that keep a copy, 1 to 5. Default: 1. */
  readonly replicas?: number;
  readonly placement?: Placement | "none";
  readonly republish?: Republish | "none";
  /** `s2` or `none` (nats-server 2.10). Default: `none`. */
  readonly compression?: "none" | "s2";
  /** Seconds for which a mark stays where a key expired; 0 for none (nats-server 2.11). Default: 0. */
  readonly limitMarkerTtlSeconds?: number;
  /** Key and text (nats-server 2.10). */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** An object store: the stream `OBJ_<name>` as NATS's own clients make it. */
export interface DeclaredObjectStore {
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  /** Removes the object store instead; nothing else may then be declared of it. */
  readonly remove?: Removal;
  readonly description?: string;
  /** Life of an object in seconds, 0 for unlimited, which is the default. */
  readonly ttlSeconds?: number;
  /** Bytes or a Kubernetes quantity, -1 for unlimited, which is the default. */
  readonly maxBytes?: number | string;
  /** `file` or `memory`. Default: `file`. */
  readonly storage?: "file" | "memory";
  /** Servers that keep a copy, 1 to 5. Default: 1. */
  readonly replicas?: number;
  readonly placement?: Placement | "none";
  /** `s2` or `none` (nats-server 2.10). Default: `none`. */
  readonly compression?: "none" | "s2";
  /** Key and text (nats-server 2.10). */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** All that is declared. */
export interface Declared {
  readonly streams?: readonly DeclaredStream[];
  readonly consumers?: readonly DeclaredConsumer[];
  readonly buckets?: readonly DeclaredBucket[];
  readonly objectStores?: readonly DeclaredObjectStore[];
}

/** The lists of a declaration, in the order in which they are made. */
export const DECLARED_LISTS = ["streams", "buckets", "objectStores", "consumers"] as const;
export type DeclaredList = (typeof DECLARED_LISTS)[number];

/** Whether anything is declared. */
export const declaresAnything = (declared: Declared | undefined): boolean =>
  DECLARED_LISTS.some((list) => (declared?.[list]?.length ?? 0) > 0);
