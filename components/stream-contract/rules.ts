import type { ConsumerInfo, StreamInfo } from "nats";
import type { ContractInputs } from "./inputs";
import { storedSubjects, subjectsCover, type SubjectTransform } from "./subjects";

/** Violations fail the update: NoETL does not work. Drift warns, and fails only with `strict`. */
export type Severity = "violation" | "drift";

/** The part of the inputs that the rules judge by. */
export type Contract = Pick<ContractInputs, "stream" | "subject" | "consumer" | "expect" | "worker">;

/** What the server says about stream and consumer; undefined where it has none of that name. */
export interface Observed {
  readonly stream: StreamInfo | undefined;
  readonly consumer: ConsumerInfo | undefined;
}

/** One thing to do against a broken rule. `flags` are those of the nats command line. */
export type Mend =
  | { readonly action: "recreate-stream" | "recreate-consumer" | "restart-server" | "restart-worker" }
  | { readonly action: "edit-stream" | "edit-consumer"; readonly flags: readonly string[] }
  | { readonly action: "resume-consumer" };

/** One row of the contract. */
export interface Rule {
  readonly id: string;
  readonly severity: Severity;
  /** Which object it is about; the rule is asked only where that object exists, unless it is about its existence. */
  readonly about: "stream" | "consumer";
  /** What is checked, for the documentation. */
  readonly checks: string;
  /** What breaks in NoETL where the rule is broken. */
  readonly why: string;
  /** Whether NoETL's own start-up may still be about to put it right, so that waiting makes sense, and for how long. */
  readonly waits?: "until-deadline" | "briefly";
  readonly expected: (contract: Contract) => string;
  readonly found: (observed: Found, contract: Contract) => string;
  readonly holds: (observed: Found, contract: Contract) => boolean;
  readonly mend: (contract: Contract, observed: Found) => Mend;
}

/** What rules about an existing stream, or an existing consumer, look at. */
interface Found {
  readonly stream: StreamInfo;
  readonly consumer: ConsumerInfo;
}

/** Result of one rule. */
export interface Check {
  readonly id: string;
  readonly ok: boolean;
  readonly severity: Severity;
  readonly found: string;
  readonly expected: string;
}

/** A rule's result together with the rule, for messages. */
export interface Verdict extends Check {
  readonly rule: Rule;
  readonly mend: Mend;
}

const NANOSECONDS = 1e9;
const toSeconds = (nanoseconds: number | undefined): number => (nanoseconds ?? 0) / NANOSECONDS;
const duration = (seconds: number): string => (seconds === 0 ? "unlimited" : `${seconds} s`);
const count = (value: number | undefined): string => (value === undefined || value <= 0 ? "unlimited" : String(value));
const list = (values: readonly string[]): string => (values.length === 0 ? "none" : values.join(", "));
const limited = (value: number | undefined): value is number => value !== undefined && value > 0;

/** Whether two limits are the same; whatever is below 1 is unlimited. */
const sameCount = (a: number | undefined, b: number): boolean => count(a) === count(b);

const transformOf = ({ config: { subject_transform: transform } }: StreamInfo): SubjectTransform | undefined =>
  transform && { src: transform.src ?? "", dest: transform.dest ?? "" };

const filtersOf = ({ config }: ConsumerInfo): string[] =>
  config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []);

const namesOf = (sources: readonly { name: string }[] | undefined): string[] => (sources ?? []).map(({ name }) => name);

/** Smallest message size, in bytes, that every command notification fits in with room to spare. */
const NOTIFICATION_BYTES = 4096;

function limitsOf({ config }: StreamInfo): string[] {
  const limits: string[] = [];
  if (limited(config.max_msgs)) limits.push(`max_msgs ${config.max_msgs}`);
  if (limited(config.max_bytes)) limits.push(`max_bytes ${config.max_bytes}`);
  if (limited(config.max_msgs_per_subject)) limits.push(`max_msgs_per_subject ${config.max_msgs_per_subject}`);
  if (limited(config.max_msg_size) && config.max_msg_size < NOTIFICATION_BYTES) {
    limits.push(`max_msg_size ${config.max_msg_size}`);
  }
  return limits;
}

/** Retention as the flag of the nats command line names it. */
const retentionFlag = (retention: string): string => (retention === "workqueue" ? "work" : retention);

const recreateStream = (): Mend => ({ action: "recreate-stream" });
const recreateConsumer = (): Mend => ({ action: "recreate-consumer" });

/**
 * The contract, one row per rule. Sources: NoETL's start-up code (v2.8.9 line), which uses an existing stream and an
 * existing consumer as they are, and nats-server's own checks of stream and consumer configurations.
 */
export const RULES: readonly Rule[] = [
  {
    id: "stream-exists",
    severity: "violation",
    about: "stream",
    checks: "the stream exists",
    why: "the server's publish gets `nats: no response from stream`, and workers have nothing to subscribe to",
    waits: "until-deadline",
    expected: ({ stream }) => `stream ${stream}`,
    found: ({ stream }) => (stream ? "it exists" : "no such stream"),
    holds: ({ stream }) => Boolean(stream),
    mend: () => ({ action: "restart-server" }),
  },
  {
    id: "stream-retention",
    severity: "violation",
    about: "stream",
    checks: "retention",
    why:
      "the workers' consumer delivers new messages only, which a work queue refuses: workers crash-loop with " +
      "`consumer must be deliver all on workqueue stream`; with interest, commands published while no consumer " +
      "exists are dropped",
    expected: ({ expect }) => expect.retention,
    found: ({ stream }) => stream.config.retention,
    holds: ({ stream }, { expect }) => String(stream.config.retention) === expect.retention,
    mend: ({ expect }, { stream }) =>
      expect.retention === "workqueue" || String(stream.config.retention) === "workqueue"
        ? recreateStream()
        : { action: "edit-stream", flags: ["--retention", retentionFlag(expect.retention)] },
  },
  {
    id: "stream-subjects",
    severity: "violation",
    about: "stream",
    checks: "the stream's subjects cover NATS_SUBJECT, as NATS matches subjects",
    why:
      "nothing stores what the server publishes: it gets `nats: no response from stream`, and workers, who look the " +
      "stream up by subject, fail with `nats: NotFoundError`",
    expected: ({ subject }) => `subjects that cover ${subject}`,
    found: ({ stream }) => list(stream.config.subjects ?? []),
    holds: ({ stream }, { subject }) => subjectsCover(stream.config.subjects ?? [], subject),
    mend: ({ subject }, { stream }) => ({
      action: "edit-stream",
      flags: [...(stream.config.subjects ?? []), subject].flatMap((item) => ["--subjects", item]),
    }),
  },
  {
    id: "stream-mirror",
    severity: "violation",
    about: "stream",
    checks: "the stream is no mirror",
    why: "a mirror takes messages from its origin only: what the server publishes is not stored",
    expected: () => "no mirror",
    found: ({ stream }) => (stream.config.mirror ? `a mirror of ${stream.config.mirror.name}` : "no mirror"),
    holds: ({ stream }) => !stream.config.mirror,
    mend: recreateStream,
  },
  {
    id: "stream-sealed",
    severity: "violation",
    about: "stream",
    checks: "the stream is not sealed",
    why: "a sealed stream takes no messages, so no command is ever notified",
    expected: () => "not sealed",
    found: ({ stream }) => (stream.config.sealed ? "sealed" : "not sealed"),
    holds: ({ stream }) => !stream.config.sealed,
    mend: recreateStream,
  },
  {
    id: "stream-acks",
    severity: "violation",
    about: "stream",
    checks: "the stream acknowledges what is published (`no_ack` is off)",
    why: "the server waits for the acknowledgement of every notification and fails without it",
    expected: () => "acknowledges",
    found: ({ stream }) => (stream.config.no_ack ? "no_ack" : "acknowledges"),
    holds: ({ stream }) => !stream.config.no_ack,
    mend: () => ({ action: "edit-stream", flags: ["--ack"] }),
  },
  {
    id: "stream-storage",
    severity: "drift",
    about: "stream",
    checks: "storage",
    why: "with file storage every notification costs a write to disk, and stale commands come back after a restart",
    expected: ({ expect }) => expect.storage,
    found: ({ stream }) => stream.config.storage,
    holds: ({ stream }, { expect }) => String(stream.config.storage) === expect.storage,
    mend: recreateStream,
  },
  {
    id: "stream-max-age",
    severity: "drift",
    about: "stream",
    checks: "maximum age of a message (`max_age`)",
    why: "shorter, commands vanish before a busy worker takes them; longer or unlimited, the memory store fills up",
    expected: ({ expect }) => duration(expect.maxAgeSeconds),
    found: ({ stream }) => duration(toSeconds(stream.config.max_age)),
    holds: ({ stream }, { expect }) => toSeconds(stream.config.max_age) === expect.maxAgeSeconds,
    mend: ({ expect }) => ({ action: "edit-stream", flags: ["--max-age", `${expect.maxAgeSeconds}s`] }),
  },
  {
    id: "stream-limits",
    severity: "drift",
    about: "stream",
    checks: "no limit that drops or refuses commands",
    why: "at the limit the stream drops the oldest commands (discard old) or refuses new ones (discard new)",
    expected: () => "no limits",
    found: ({ stream }) => {
      const limits = limitsOf(stream);
      return limits.length === 0 ? "no limits" : `${limits.join(", ")}, discard ${stream.config.discard}`;
    },
    holds: ({ stream }) => limitsOf(stream).length === 0,
    mend: () => ({
      action: "edit-stream",
      flags: ["--max-msgs=-1", "--max-bytes=-1", "--max-msgs-per-subject=-1", "--max-msg-size=-1", "--discard", "old"],
    }),
  },
  {
    id: "stream-sources",
    severity: "drift",
    about: "stream",
    checks: "the stream takes nothing from other streams",
    why: "workers are handed messages that are no commands of this NoETL",
    expected: () => "no sources",
    found: ({ stream }) => (stream.config.sources?.length ? list(namesOf(stream.config.sources)) : "no sources"),
    holds: ({ stream }) => !stream.config.sources?.length,
    mend: recreateStream,
  },
  {
    id: "stream-transform",
    severity: "drift",
    about: "stream",
    checks: "NATS_SUBJECT is stored under its own name",
    why: "whoever filters or reads the stream by subject finds nothing there",
    expected: ({ subject }) => `stored as ${subject}`,
    found: ({ stream }, { subject }) => `stored as ${list(storedSubjects(subject, transformOf(stream)))}`,
    holds: ({ stream }, { subject }) => storedSubjects(subject, transformOf(stream)).join() === subject,
    mend: () => ({ action: "edit-stream", flags: ["--no-transform"] }),
  },
  {
    id: "consumer-exists",
    severity: "violation",
    about: "consumer",
    checks: "the workers' consumer exists",
    why: "no worker has subscribed: commands are published and nobody executes them",
    waits: "until-deadline",
    expected: ({ consumer }) => `consumer ${consumer}`,
    found: ({ consumer }) => (consumer ? "it exists" : "no such consumer"),
    holds: ({ consumer }) => Boolean(consumer),
    mend: () => ({ action: "restart-worker" }),
  },
  {
    id: "consumer-durable",
    severity: "violation",
    about: "consumer",
    checks: "the consumer is durable",
    why: "an ephemeral consumer is deleted when no worker asks it for a while, and with it the place in the stream",
    expected: () => "durable",
    found: ({ consumer }) => (consumer.config.durable_name ? "durable" : "ephemeral"),
    holds: ({ consumer }) => Boolean(consumer.config.durable_name),
    mend: recreateConsumer,
  },
  {
    id: "consumer-pull",
    severity: "violation",
    about: "consumer",
    checks: "the consumer is a pull consumer",
    why: "workers fetch; a push consumer refuses that and sends the commands elsewhere",
    expected: () => "pull",
    found: ({ consumer }) => (consumer.config.deliver_subject ? `push to ${consumer.config.deliver_subject}` : "pull"),
    holds: ({ consumer }) => !consumer.config.deliver_subject,
    mend: recreateConsumer,
  },
  {
    id: "consumer-ack-policy",
    severity: "violation",
    about: "consumer",
    checks: "acknowledgement policy",
    why:
      "with none, a command is lost when the worker that took it dies; with all, one worker's acknowledgement " +
      "swallows the commands that others are still working on",
    expected: ({ expect }) => expect.ackPolicy,
    found: ({ consumer }) => consumer.config.ack_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.ack_policy) === expect.ackPolicy,
    mend: recreateConsumer,
  },
  {
    id: "consumer-filter",
    severity: "violation",
    about: "consumer",
    checks: "the consumer's filter, where it has one, lets through what is stored for NATS_SUBJECT",
    why: "the commands are stored, and the workers never see them",
    expected: ({ subject }) => `no filter, or one that covers ${subject}`,
    found: ({ consumer }) => {
      const filters = filtersOf(consumer);
      return filters.length === 0 ? "no filter" : list(filters);
    },
    holds: ({ stream, consumer }, { subject }) => {
      const filters = filtersOf(consumer);
      const stored = storedSubjects(subject, transformOf(stream));
      return filters.length === 0 || stored.every((item) => subjectsCover(filters, item));
    },
    mend: recreateConsumer,
  },
  {
    id: "consumer-bodies",
    severity: "violation",
    about: "consumer",
    checks: "the consumer delivers whole messages (`headers_only` is off)",
    why: "workers get notifications without their content and cannot tell which command to claim",
    expected: () => "whole messages",
    found: ({ consumer }) => (consumer.config.headers_only ? "headers only" : "whole messages"),
    holds: ({ consumer }) => !consumer.config.headers_only,
    mend: () => ({ action: "edit-consumer", flags: ["--no-headers-only"] }),
  },
  {
    id: "consumer-paused",
    severity: "violation",
    about: "consumer",
    checks: "the consumer is not paused",
    why: "workers get nothing until the pause ends",
    expected: () => "not paused",
    found: ({ consumer }) =>
      consumer.paused ? `paused until ${consumer.config.pause_until ?? "further notice"}` : "not paused",
    holds: ({ consumer }) => !consumer.paused,
    mend: () => ({ action: "resume-consumer" }),
  },
  {
    id: "consumer-deliver-policy",
    severity: "drift",
    about: "consumer",
    checks: "deliver policy",
    why: "a new or remade consumer starts elsewhere than at the next command, so old commands are delivered again",
    expected: ({ expect }) => expect.deliverPolicy,
    found: ({ consumer }) => consumer.config.deliver_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.deliver_policy) === expect.deliverPolicy,
    mend: recreateConsumer,
  },
  {
    id: "consumer-replay-policy",
    severity: "drift",
    about: "consumer",
    checks: "replay policy",
    why: "with original, a backlog is delivered at the pace at which it was published instead of at once",
    expected: ({ expect }) => expect.replayPolicy,
    found: ({ consumer }) => consumer.config.replay_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.replay_policy) === expect.replayPolicy,
    mend: recreateConsumer,
  },
  {
    id: "consumer-ack-wait",
    severity: "drift",
    about: "consumer",
    checks: "time to acknowledge (`ack_wait`), without a backoff that replaces it",
    why: "shorter, a command is delivered a second time while it runs; longer, a dead worker's command waits that long",
    expected: ({ expect }) => duration(expect.ackWaitSeconds),
    found: ({ consumer: { config } }) =>
      config.backoff?.length
        ? `backoff ${config.backoff.map((step) => duration(toSeconds(step))).join(", ")}`
        : duration(toSeconds(config.ack_wait)),
    holds: ({ consumer: { config } }, { expect }) =>
      !config.backoff?.length && toSeconds(config.ack_wait) === expect.ackWaitSeconds,
    mend: ({ expect }, { consumer }) =>
      consumer.config.backoff?.length
        ? recreateConsumer()
        : { action: "edit-consumer", flags: ["--wait", `${expect.ackWaitSeconds}s`] },
  },
  {
    id: "consumer-max-deliver",
    severity: "drift",
    about: "consumer",
    checks: "deliveries of one message (`max_deliver`) as the worker is set",
    why: "a command that could not be acknowledged is given up earlier, or tried longer, than the worker's setting says",
    expected: ({ worker }) => count(worker.maxDeliver),
    found: ({ consumer }) => count(consumer.config.max_deliver),
    holds: ({ consumer }, { worker }) => sameCount(consumer.config.max_deliver, worker.maxDeliver),
    mend: ({ worker }) => ({ action: "edit-consumer", flags: [`--max-deliver=${worker.maxDeliver}`] }),
  },
  {
    id: "consumer-max-ack-pending",
    severity: "drift",
    about: "consumer",
    checks: "messages in flight (`max_ack_pending`) as the worker is set",
    why: "the next worker that starts deletes and remakes the consumer, and with it what is in flight",
    // The worker itself puts this right when it starts, which may be a moment after its rollout is reported done.
    waits: "briefly",
    expected: ({ worker }) => count(worker.maxAckPending),
    found: ({ consumer }) => count(consumer.config.max_ack_pending),
    holds: ({ consumer }, { worker }) => sameCount(consumer.config.max_ack_pending, worker.maxAckPending),
    mend: () => ({ action: "restart-worker" }),
  },
  {
    id: "consumer-expiry",
    severity: "drift",
    about: "consumer",
    checks: "the consumer does not expire (`inactive_threshold` is unset)",
    why: "when no worker asks for that long the consumer is deleted, and commands published until it is back are lost",
    expected: () => "does not expire",
    found: ({ consumer }) => {
      const seconds = toSeconds(consumer.config.inactive_threshold);
      return seconds === 0 ? "does not expire" : `expires after ${seconds} s without a worker`;
    },
    holds: ({ consumer }) => !consumer.config.durable_name || toSeconds(consumer.config.inactive_threshold) === 0,
    mend: recreateConsumer,
  },
  {
    id: "consumer-fetch-expiry",
    severity: "drift",
    about: "consumer",
    checks: "a fetch may wait as long as the worker's fetch timeout (`max_expires`)",
    why: "the server refuses a fetch that asks to wait longer, so workers get errors instead of commands",
    expected: ({ worker }) => `unlimited, or at least ${worker.fetchTimeoutSeconds} s`,
    found: ({ consumer }) => duration(toSeconds(consumer.config.max_expires)),
    holds: ({ consumer }, { worker }) => {
      const seconds = toSeconds(consumer.config.max_expires);
      return seconds === 0 || seconds >= worker.fetchTimeoutSeconds;
    },
    mend: recreateConsumer,
  },
];

/**
 * Asks every rule that applies: those about the stream where there is one, those about the consumer where there is one,
 * and always whether the stream exists, and where it does, whether the consumer does.
 */
export function judge(contract: Contract, observed: Observed): Verdict[] {
  const applies = (rule: Rule): boolean => {
    if (rule.id === "stream-exists") return true;
    if (observed.stream === undefined) return false;
    return rule.about === "stream" || rule.id === "consumer-exists" || observed.consumer !== undefined;
  };
  // A rule looks only at the object it is about, and `applies` has seen to it that this object is there.
  const found = observed as Found;
  return RULES.filter(applies).map((rule) => ({
    rule,
    id: rule.id,
    ok: rule.holds(found, contract),
    severity: rule.severity,
    found: rule.found(found, contract),
    expected: rule.expected(contract),
    mend: rule.mend(contract, found),
  }));
}
