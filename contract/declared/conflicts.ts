/**
 * What in a stream's or consumer's configuration contradicts itself, in words that follow a name. Asked of what is declared
 * at preview, and of what an update would make of what is there. Sources: nats-server's `checkStreamCfg`, `checkConsumerCfg`
 * and `addConsumer`.
 */
import { storedSubjects, subjectsOverlap } from "../subjects";
import type { Config } from "./targets";

const NANOSECONDS = 1e9;
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const seconds = (value: unknown): string => `${number(value) / NANOSECONDS} s`;
const texts = (value: unknown): string[] => (Array.isArray(value) ? (value as string[]) : []);
const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== "" && value !== 0 && value !== false;

/** Each sentence whose condition holds. */
const sentences = (...rules: readonly (readonly [unknown, string])[]): string[] =>
  rules.flatMap(([holds, sentence]) => (holds ? [sentence] : []));

/** Two that overlap, for a message; undefined where none do. */
function overlapping(subjects: readonly string[]): readonly [string, string] | undefined {
  for (const [index, subject] of subjects.entries()) {
    const other = subjects.slice(index + 1).find((each) => subjectsOverlap(subject, each));
    if (other !== undefined) return [subject, other];
  }
  return undefined;
}

/** Subjects of the server itself, which a stream takes only without acknowledging. */
const SERVERS = ["$JS.>", "$JSC.>", "$NRG.>", "$SYS.>"];
const isServers = (subject: string): boolean =>
  SERVERS.some((each) => subjectsOverlap(subject, each)) && !/^\$(JS\.EVENT|SYS\.ACCOUNT)\./.test(subject);

function originConflicts(config: Config): string[] {
  const origins = [config.mirror, ...((config.sources as unknown[] | undefined) ?? [])].filter(isSet) as Config[];
  return origins.flatMap((origin) => {
    const name = String(origin.name);
    const filtered = isSet(origin.filter_subject);
    const started = isSet(origin.opt_start_seq) || isSet(origin.opt_start_time);
    return sentences(
      [name === config.name && !origin.external, `copies from itself`],
      [
        isSet(origin.opt_start_seq) && isSet(origin.opt_start_time),
        `has both startSequence and startTime for ${name}: take one`,
      ],
      [
        filtered && texts(origin.subject_transforms).length > 0,
        `has both filterSubject and subjectTransforms for ${name}: take one`,
      ],
      [
        origin.consumer && (started || filtered),
        `reads ${name} through a consumer, which begins and filters by itself: leave startSequence, startTime and filterSubject out`,
      ],
    );
  });
}

/** What contradicts itself in a stream's configuration. */
export const streamConflicts = (config: Config): string[] => [
  ...limitConflicts(config),
  ...mirrorConflicts(config),
  ...featureConflicts(config),
  ...subjectConflicts(config),
  ...originConflicts(config),
];

/** Limits, and what goes with them. */
function limitConflicts(config: Config): string[] {
  const pair = overlapping(texts(config.subjects));
  const age = number(config.max_age);
  const isNew = config.discard === "new";
  return sentences(
    [pair, `has subjects that overlap: ${pair?.join(" and ") ?? ""}`],
    [
      age > 0 && number(config.duplicate_window) > age,
      `has duplicateWindowSeconds ${seconds(config.duplicate_window)} above maxAgeSeconds ${seconds(age)}: at most the age is allowed`,
    ],
    [config.discard_new_per_subject && !isNew, "has discardNewPerSubject without discard new"],
    [
      config.discard_new_per_subject && number(config.max_msgs_per_subject) <= 0,
      "has discardNewPerSubject without maxMessagesPerSubject",
    ],
    [config.deny_purge && config.allow_rollup_hdrs, "has allowRollup with denyPurge, and a roll-up purges"],
    [
      isSet(config.subject_delete_marker_ttl) && config.allow_msg_ttl === false,
      "has deleteMarkerTtlSeconds with allowMessageTtl false: marks have a life of their own",
    ],
  );
}

/** A mirror, and what it cannot have. */
function mirrorConflicts(config: Config): string[] {
  const notForMirrors = [
    "allow_msg_counter",
    "allow_atomic",
    "allow_batched",
    "allow_msg_schedules",
    "first_seq",
    "subject_delete_marker_ttl",
  ];
  return sentences(
    [
      config.mirror && texts(config.subjects).length > 0,
      "is a mirror with subjects: a mirror stores what its origin stores",
    ],
    [
      config.mirror && isSet((config.sources as unknown[] | undefined)?.length),
      "has both mirror and sources: take one",
    ],
    [
      config.mirror && notForMirrors.some((key) => isSet(config[key])),
      "is a mirror, which can have no firstSequence, deleteMarkerTtlSeconds, counters, schedules or batches",
    ],
  );
}

/** Counters, schedules, and writing without waiting. */
function featureConflicts(config: Config): string[] {
  const isNew = config.discard === "new";
  const counts = isSet(config.allow_msg_counter);
  const schedules = isSet(config.allow_msg_schedules);
  const async = config.persist_mode === "async";
  return sentences(
    [counts && isNew, "counts (allowCounters) with discard new, which NATS refuses"],
    [counts && config.allow_msg_ttl, "counts (allowCounters) with allowMessageTtl, which NATS refuses"],
    [counts && schedules, "counts (allowCounters) with allowSchedules, which NATS refuses"],
    [
      counts && isSet(config.retention) && config.retention !== "limits",
      "counts (allowCounters) with another retention than limits, which NATS refuses",
    ],
    [schedules && isNew, "has allowSchedules with discard new, which NATS refuses"],
    [
      schedules && isSet((config.sources as unknown[] | undefined)?.length),
      "has allowSchedules with sources, which NATS refuses",
    ],
    [async && config.storage === "memory", "has persistMode async with storage memory: it is about files"],
    [async && number(config.num_replicas) > 1, "has persistMode async with replicas, which NATS refuses"],
    [async && config.allow_atomic, "has persistMode async with allowAtomicPublish, which NATS refuses"],
  );
}

/** What a stream cannot store. */
function subjectConflicts(config: Config): string[] {
  const subjects = texts(config.subjects);
  const republished = (config.republish as Config | undefined)?.dest as string | undefined;
  return sentences(
    [
      republished !== undefined &&
        subjects.some((each) => subjectsOverlap(each, republished.replace(/\{\{[^}]*\}\}/g, "*"))),
      `republishes to ${republished ?? ""}, which it stores itself`,
    ],
    [
      subjects.includes(">") && (!config.no_ack || number(config.num_replicas) > 1),
      "stores everything (>), which NATS allows only with noAck and one replica",
    ],
    [
      !config.no_ack && subjects.some((each) => each !== ">" && isServers(each)),
      "stores the server's own subjects, which NATS allows only with noAck",
    ],
  );
}

/** Filters of a consumer. */
const filtersIn = (config: Config): string[] => {
  const several = texts(config.filter_subjects);
  return several.length > 0 ? several : isSet(config.filter_subject) ? [String(config.filter_subject)] : [];
};

function startConflicts(config: Config): string[] {
  const policy = (config.deliver_policy as string | undefined) ?? "all";
  const [sequence, at] = [isSet(config.opt_start_seq), isSet(config.opt_start_time)];
  return sentences(
    [
      sequence && policy !== "by_start_sequence",
      `has startSequence with deliverPolicy ${policy}: by_start_sequence goes with it`,
    ],
    [at && policy !== "by_start_time", `has startTime with deliverPolicy ${policy}: by_start_time goes with it`],
    [policy === "by_start_sequence" && !sequence, "has deliverPolicy by_start_sequence without startSequence"],
    [policy === "by_start_time" && !at, "has deliverPolicy by_start_time without startTime"],
    [
      policy === "last_per_subject" && filtersIn(config).length === 0,
      "has deliverPolicy last_per_subject without filterSubjects",
    ],
  );
}

/** What contradicts itself in a consumer's configuration. */
export function consumerConflicts(config: Config): string[] {
  const push = isSet(config.deliver_subject);
  const backoff = (config.backoff as number[] | undefined) ?? [];
  const most = number(config.max_deliver);
  const pair = overlapping(filtersIn(config));
  const prioritized = isSet(config.priority_policy) && config.priority_policy !== "none";
  const grouped = texts(config.priority_groups).length > 0;
  return [
    ...sentences(
      [pair, `has filterSubjects that overlap: ${pair?.join(" and ") ?? ""}`],
      [
        !push && isSet(config.rate_limit_bps),
        "has rateLimitBitsPerSecond without deliverSubject: a pull consumer has its own pace",
      ],
      [
        !push && isSet(config.idle_heartbeat),
        "has idleHeartbeatSeconds without deliverSubject: a pull asks for its own",
      ],
      [!push && config.flow_control, "has flowControl without deliverSubject: it is for push consumers"],
      [
        !push && isSet(config.deliver_group),
        "has deliverGroup without deliverSubject: pull consumers are shared anyhow",
      ],
      [push && isSet(config.max_waiting), "has maxWaiting with deliverSubject: nobody pulls from a push consumer"],
      [push && prioritized, "has priorityPolicy with deliverSubject: it is for pull consumers"],
      [config.flow_control && !isSet(config.idle_heartbeat), "has flowControl without idleHeartbeatSeconds"],
      [
        push && config.ack_policy === "none" && number(config.max_ack_pending) > 0,
        "has maxAckPending with ackPolicy none",
      ],
      [config.ack_policy === "flow_control" && !push, "has ackPolicy flow_control without deliverSubject"],
      [
        config.ack_policy === "flow_control" && (isSet(config.ack_wait) || backoff.length > 0 || most > 0),
        "has ackPolicy flow_control with ackWaitSeconds, backoffSeconds or maxDeliver, which NATS refuses",
      ],
      [
        backoff.length > 0 && most > 0 && backoff.length > most,
        `has ${backoff.length} backoffSeconds with maxDeliver ${most}: at most as many`,
      ],
      [
        backoff.length > 0 && isSet(config.ack_wait) && backoff[0] !== config.ack_wait,
        "has ackWaitSeconds and backoffSeconds that begins with another: the first of backoffSeconds is the time to acknowledge",
      ],
      [prioritized && !grouped, "has priorityPolicy without priorityGroups"],
      [!prioritized && grouped, "has priorityGroups without priorityPolicy"],
      [
        !prioritized && isSet(config.priority_timeout),
        "has priorityTimeoutSeconds without priorityPolicy pinned_client",
      ],
    ),
    ...startConflicts(config),
  ];
}

/** What in a consumer's configuration contradicts its stream's. */
export function consumerOfStreamConflicts(config: Config, stream: Config): string[] {
  const name = String(stream.name);
  const queue = stream.retention === "workqueue";
  const deliver = (config.deliver_policy as string | undefined) ?? "all";
  const replicas = number(config.num_replicas);
  const copies = Math.max(1, number(stream.num_replicas));
  const subjects = texts(stream.subjects);
  const limits = (stream.consumer_limits as Config | undefined) ?? {};
  // What it stores beside its subjects is not known here where it copies from others.
  const transform = stream.subject_transform as { src?: string; dest?: string } | undefined;
  const copiesOthers = isSet(stream.mirror) || isSet((stream.sources as unknown[] | undefined)?.length);
  const stored = subjects.flatMap((each) =>
    storedSubjects(each, transform && { src: transform.src ?? "", dest: transform.dest ?? "" }),
  );
  const outside =
    copiesOthers || stored.length === 0
      ? undefined
      : filtersIn(config).find((filter) => !stored.some((each) => subjectsOverlap(each, filter)));
  return sentences(
    [
      outside !== undefined,
      `has the filter ${outside ?? ""} outside of what ${name} stores (${stored.join(", ")}): it would deliver nothing`,
    ],
    [queue && deliver !== "all", `has deliverPolicy ${deliver} on the work queue ${name}, where NATS allows only all`],
    [
      queue && config.ack_policy !== "explicit" && config.ack_policy !== "flow_control",
      `has ackPolicy ${(config.ack_policy as string | undefined) ?? "none"} on the work queue ${name}, where NATS allows only explicit`,
    ],
    [replicas > copies, `has replicas ${replicas}, more than the ${copies} of ${name}`],
    [
      stream.retention !== "limits" && isSet(stream.retention) && replicas > 0 && replicas !== copies,
      `has replicas ${replicas} on ${name}, whose retention ${String(stream.retention)} demands as many as the stream's ${copies}; leave them out`,
    ],
    [
      number(limits.max_ack_pending) > 0 && number(config.max_ack_pending) > number(limits.max_ack_pending),
      `has maxAckPending ${number(config.max_ack_pending)} above the consumerLimits of ${name}`,
    ],
    [
      number(limits.inactive_threshold) > 0 && number(config.inactive_threshold) > number(limits.inactive_threshold),
      `has inactiveThresholdSeconds ${seconds(config.inactive_threshold)} above the consumerLimits of ${name}`,
    ],
    [
      isSet(config.deliver_subject) && subjects.some((each) => subjectsOverlap(each, String(config.deliver_subject))),
      `delivers to ${String(config.deliver_subject)}, which ${name} stores itself`,
    ],
  );
}

/** A consumer by its name, for {@link queueConflict}. */
export interface NamedConsumer {
  readonly name: string;
  readonly config: Config;
}

/** Why a work queue refuses `consumer` beside `others`: each message has one consumer. Undefined where it does not. */
export function queueConflict(
  consumer: NamedConsumer,
  others: readonly NamedConsumer[],
  stream: Config,
): string | undefined {
  if (stream.retention !== "workqueue") return undefined;
  const mine = filtersIn(consumer.config);
  for (const other of others) {
    if (other.name === consumer.name) continue;
    const theirs = filtersIn(other.config);
    const where = `on the work queue ${String(stream.name)}, where every message has one consumer`;
    if (mine.length === 0 || theirs.length === 0)
      return `overlaps consumer ${other.name} ${where}: give both filterSubjects`;
    const clash = mine.flatMap((each) =>
      theirs.filter((filter) => subjectsOverlap(each, filter)).map((filter) => `${each} and ${filter}`),
    )[0];
    if (clash !== undefined) return `overlaps consumer ${other.name} (${clash}) ${where}`;
  }
  return undefined;
}
