import type { ConsumerInfo, StreamInfo } from "nats";
import { share } from "./account";
import { publishedSubjects, storedBy } from "../inputs";
import { line, programsOf } from "../programs";
import type { Feeder } from "./feeders";
import { storedSubjects, subjectsCover, subjectsOverlap, type SubjectTransform } from "../subjects";
import {
  count,
  duration,
  editStream,
  isOlderThan,
  limited,
  list,
  loneServer,
  NOTIFICATION_BYTES,
  peersOf,
  recreateStream,
  replicasWords,
  toNanoseconds,
  toSeconds,
  type Contract,
  type Found,
  type Fix,
  type Rule,
  type StreamPatch,
} from "./rule";
import {
  consumerLimits,
  consumerRoom,
  consumersWanted,
  limitsOf,
  limitWords,
  load,
  missingConsumers,
  SERVERS_CONSUMERS,
  withoutLimits,
} from "./stream-limits";

/** Fields of newer servers that the client library has no type for. */
interface NewerFields {
  /** nats-server 2.12: the stream holds counters and takes nothing else. */
  readonly allow_msg_counter?: boolean;
  /** nats-server 2.11: how long a message stands in the place of a subject's last one that has aged out. */
  readonly subject_delete_marker_ttl?: number;
  /** nats-server 2.12: `async` where a message is acknowledged before it is on disk. */
  readonly persist_mode?: string;
}

const transformOf = ({ config: { subject_transform: transform } }: StreamInfo): SubjectTransform | undefined =>
  transform && { src: transform.src ?? "", dest: transform.dest ?? "" };

/** Filters of a consumer; none lets everything through. */
export const filtersOf = ({ config }: Pick<ConsumerInfo, "config">): string[] =>
  config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []);

/** Whether `filters` let through everything that the stream stores of what is published on `subject`. */
export const letsThrough = (filters: readonly string[], stream: StreamInfo, subject: string): boolean =>
  filters.length === 0 ||
  storedSubjects(subject, transformOf(stream)).every((stored) => subjectsCover(filters, stored));

/** Filters of consumers together; none where one of them lets everything through, or is not there. */
export function filtersTogether(consumers: readonly (ConsumerInfo | undefined)[]): string[] {
  const filters = consumers.map((info) => (info ? filtersOf(info) : []));
  return filters.some((own) => own.length === 0) ? [] : filters.flat();
}

/** Names of the consumers that get commands by the name alone which the stream's transform gives them. */
function goByTransform({ stream, consumer, consumers }: Found, contract: Contract): string[] {
  const published = publishedSubjects(contract);
  return Object.entries(consumers ?? { [contract.consumer]: consumer }).flatMap(([name, info]) => {
    const filters = info ? filtersOf(info) : [];
    const goesByIt = (subject: string): boolean =>
      letsThrough(filters, stream, subject) && !subjectsCover(filters, subject);
    return filters.length > 0 && published.some(goesByIt) ? [name] : [];
  });
}

const markerSeconds = ({ config }: StreamInfo): number => toSeconds((config as NewerFields).subject_delete_marker_ttl);

const isCounter = ({ config }: StreamInfo): boolean => Boolean((config as NewerFields).allow_msg_counter);

const isAsync = ({ config }: StreamInfo): boolean => (config as NewerFields).persist_mode === "async";

/** Those of the subjects that a server lets a stream acknowledge: none that NATS' own API is asked on. */
const acknowledgeable = (subjects: readonly string[]): string[] =>
  subjects.filter(
    (subject) =>
      subjectsCover(["$JS.EVENT.>", "$SYS.ACCOUNT.>"], subject) ||
      !["$JS.>", "$SYS.>"].some((own) => subjectsOverlap(own, subject)),
  );

/** Whether commands are gone before a worker that died with them gives them back. */
const expiresEarly = ({ config }: StreamInfo, { expect }: Pick<Contract, "expect">): boolean =>
  limited(config.max_age) && toSeconds(config.max_age) < expect.ackWaitSeconds;

/** The window that the server gives a stream with the contract's age: it may not be longer than messages live. */
export function duplicateWindowSeconds({ expect }: Pick<Contract, "expect">): number {
  const { duplicateWindowSeconds: window, maxAgeSeconds: age } = expect;
  return age === 0 ? window : Math.min(window, age);
}

/** Whether the stream's age is shorter than `seconds`; 0 is unlimited. */
const isShorter = ({ config }: StreamInfo, seconds: number): boolean =>
  limited(config.max_age) && (seconds === 0 || toSeconds(config.max_age) < seconds);

const AGE_STAYS =
  "a longer age loses nothing, and a shorter one removes messages at once that somebody keeps; where it is right, set noetlLine " +
  "(expect.maxAgeSeconds in a program)";

/** Sets the age of the contract, and the window, which follows an age that is shortened and does not come back by itself. */
function ageEdit(contract: Contract, { stream }: Pick<Found, "stream">): Extract<Fix, { action: "edit-stream" }> {
  const window = toNanoseconds(duplicateWindowSeconds(contract));
  return {
    action: "edit-stream",
    patch: {
      max_age: toNanoseconds(contract.expect.maxAgeSeconds),
      ...(stream.config.duplicate_window === window ? {} : { duplicate_window: window }),
    },
  };
}

const feederWords = (feeders: readonly Feeder[]): string =>
  feeders.length === 0
    ? "no other stream"
    : list(feeders.map(({ name, subjects }) => `${name}, which republishes on ${list(subjects)}`));

/** What a stream hands on is its owner's to decide: nothing is changed there but by hand. */
function stopFeeders({ connection }: Contract, feeders: readonly Feeder[]): Fix {
  const { nats } = programsOf({ connection });
  const commands = feeders.map(({ name }) => line(nats, "stream", "edit", name, "--no-republish", "-f"));
  return {
    action: "advise",
    advice:
      `have ${list(feeders.map(({ name }) => name))} republish nothing (${commands.join("; ")}), or on subjects that no stream of NoETL takes ` +
      "(--republish-source, --republish-destination)",
  };
}

function takenAwayTogether({ connection, stream }: Contract, consumers: readonly string[]): string {
  const { nats } = programsOf({ connection });
  const commands = [
    line(nats, "stream", "edit", stream, "--no-transform", "-f"),
    ...consumers.map((name) => line(nats, "consumer", "rm", stream, name, "-f")),
  ];
  return (
    `take it away together with ${list(consumers)}, whose filter goes by the other name, so that without it no worker gets a command ` +
    `(${commands.join("; ")}), and restart the workers, which add it again; what waits for a worker then is lost`
  );
}

/** Rules about the stream. Sources: NoETL's server at start-up (v2.8.9 line), and nats-server's stream.go. */
export const STREAM_RULES: readonly Rule[] = [
  {
    id: "stream-exists",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "the stream exists",
    why: "the server's publish gets `nats: no response from stream`, and workers have nothing to subscribe to",
    remedy: "restart server and workers: the server creates the stream when it starts",
    waits: "until-deadline",
    expected: ({ stream }) => `stream ${stream}`,
    found: ({ stream }) => (stream ? "it exists" : "no such stream"),
    holds: ({ stream }) => Boolean(stream),
    fix: () => ({ action: "restart-server" }),
    ensure: () => ({ action: "create-stream" }),
  },
  {
    id: "stream-retention",
    severity: "violation",
    effect: "lost",
    about: "stream",
    checks: "retention",
    why:
      "the workers' consumer delivers new messages only, which a work queue refuses: workers crash-loop with " +
      "`consumer must be deliver all on workqueue stream`; with interest, commands published while no consumer " +
      "exists are dropped",
    remedy: "edit the stream (limits and interest), or recreate it (to or from workqueue, and before nats-server 2.10)",
    expected: ({ expect }) => expect.retention,
    found: ({ stream }) => stream.config.retention,
    holds: ({ stream }, { expect }) => String(stream.config.retention) === expect.retention,
    fix: ({ expect }, found) =>
      expect.retention === "workqueue" ||
      String(found.stream.config.retention) === "workqueue" ||
      isOlderThan(10, found)
        ? recreateStream()
        : editStream({ retention: expect.retention as StreamInfo["config"]["retention"] }),
  },
  {
    id: "stream-subjects",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks:
      "the stream's subjects together cover NATS_SUBJECT and all that NoETL publishes on, as NATS matches subjects",
    why:
      "nothing stores what the server publishes: it gets `nats: no response from stream`, and workers, who look the " +
      "stream up by subject, fail with `nats: NotFoundError`",
    remedy: "add the subject to the stream",
    expected: (contract) => `subjects that cover ${list(storedBy(contract))}`,
    found: ({ stream }) => list(stream.config.subjects ?? []),
    holds: ({ stream }, contract) =>
      storedBy(contract).every((subject) => subjectsCover(stream.config.subjects ?? [], subject)),
    fix: (contract, { stream }) => {
      const present = stream.config.subjects ?? [];
      const missing = storedBy(contract).filter((subject) => !subjectsCover(present, subject));
      // The server refuses a stream whose subjects overlap each other.
      const kept = present.filter((item) => !missing.some((subject) => subjectsOverlap(item, subject)));
      return editStream({ subjects: [...kept, ...missing] });
    },
  },
  {
    id: "stream-mirror",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "the stream is not a mirror",
    why: "a mirror takes messages from its origin only: what the server publishes is not stored",
    remedy: "recreate the stream",
    expected: () => "no mirror",
    found: ({ stream }) => (stream.config.mirror ? `a mirror of ${stream.config.mirror.name}` : "no mirror"),
    holds: ({ stream }) => !stream.config.mirror,
    fix: recreateStream,
  },
  {
    id: "stream-sealed",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "the stream is not sealed",
    why: "a sealed stream takes no messages, so no command is ever notified",
    remedy: "recreate the stream: no server unseals one",
    expected: () => "not sealed",
    found: ({ stream }) => (stream.config.sealed ? "sealed" : "not sealed"),
    holds: ({ stream }) => !stream.config.sealed,
    fix: recreateStream,
  },
  {
    id: "stream-acks",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "the stream acknowledges what is published (`no_ack` is off)",
    why: "the server waits for the acknowledgement of every notification and fails without it",
    remedy: "edit the stream, without the subjects of NATS' own API, which no server acknowledges",
    expected: () => "acknowledges",
    found: ({ stream }) => (stream.config.no_ack ? "no_ack" : "acknowledges"),
    holds: ({ stream }) => !stream.config.no_ack,
    fix: (contract, { stream: { config } }) => {
      const kept = acknowledgeable(config.subjects ?? []);
      const missing = storedBy(contract).filter((subject) => !subjectsCover(kept, subject));
      return editStream({
        no_ack: false,
        ...(kept.length === config.subjects?.length ? {} : { subjects: [...kept, ...missing] }),
      });
    },
  },
  {
    id: "stream-counter",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "the stream holds messages, not counters (`allow_msg_counter` is off; nats-server 2.12)",
    why: "a stream of counters refuses every message without an increment, and with it every command",
    remedy: "recreate the stream: the setting cannot be changed",
    expected: () => "messages",
    found: ({ stream }) => (isCounter(stream) ? "counters" : "messages"),
    holds: ({ stream }) => !isCounter(stream),
    fix: recreateStream,
  },
  {
    id: "stream-message-size",
    severity: "violation",
    effect: "refused",
    about: "stream",
    checks: "a command notification fits (`max_msg_size`)",
    why: "the server's publish is refused with `message size exceeds maximum allowed`",
    remedy: "edit the stream",
    expected: () => `unlimited, or at least ${NOTIFICATION_BYTES} bytes`,
    found: ({ stream }) =>
      limited(stream.config.max_msg_size) ? `${stream.config.max_msg_size} bytes` : count(undefined),
    holds: ({ stream: { config } }) => !limited(config.max_msg_size) || config.max_msg_size >= NOTIFICATION_BYTES,
    fix: () => editStream({ max_msg_size: -1 }),
  },
  {
    id: "stream-capacity",
    severity: "violation",
    effect: "lost",
    about: "stream",
    checks:
      "no limit that drops or refuses commands at NoETL's load: below what it has in flight (NOETL_WORKER_NATS_MAX_ACK_PENDING, " +
      "of 4096 bytes each), or reached (`max_msgs`, `max_bytes`, `max_msgs_per_subject`)",
    why:
      "commands that wait for a worker are dropped for newer ones (discard old), or every publish is refused with `maximum " +
      "messages exceeded` (discard new): acknowledged commands count until they are too old",
    remedy: "edit the stream",
    expected: (contract) => `no limits below ${load(contract)} commands, none reached`,
    found: (found, contract) =>
      limitWords(
        limitsOf(found, contract).filter(({ bites }) => bites),
        found.stream,
      ),
    holds: (found, contract) => !limitsOf(found, contract).some(({ bites }) => bites),
    fix: withoutLimits,
  },
  {
    id: "stream-age",
    severity: "violation",
    effect: "lost",
    about: "stream",
    checks: "a command lives longer (`max_age`) than a worker may take to acknowledge it (`ack_wait`)",
    why: "a command that waits a moment for a free worker is gone, and so is one whose worker died, before it comes again",
    remedy: "edit the stream",
    expected: ({ expect }) => `at least ${expect.ackWaitSeconds} s`,
    found: ({ stream }) => duration(toSeconds(stream.config.max_age)),
    holds: ({ stream }, contract) => !expiresEarly(stream, contract),
    fix: ageEdit,
  },
  {
    id: "stream-max-consumers",
    severity: "violation",
    effect: "withheld",
    about: "stream",
    checks:
      "the stream has room for the workers' consumer (`max_consumers` of stream and account; nats-server 2.15: 1000 where neither is set)",
    why: "workers crash-loop with `maximum consumers limit reached`",
    remedy: "raise the limit (before nats-server 2.12 recreate the stream), or remove consumers that nobody needs",
    expected: ({ consumer }) => `room for ${consumer}`,
    found: (found, contract) => {
      const limit = consumerRoom(found, contract);
      return missingConsumers(found, contract) === 0 || limit === undefined
        ? "room"
        : `${found.stream.state.consumer_count} of ${limit} consumers, all others`;
    },
    holds: (found, contract) => {
      const limit = consumerRoom(found, contract);
      return (
        missingConsumers(found, contract) === 0 || limit === undefined || consumersWanted(found, contract) <= limit
      );
    },
    fix: (contract, found) => {
      const { config } = found.stream;
      const wanted = consumersWanted(found, contract);
      if (limited(config.max_consumers) && wanted > config.max_consumers)
        return isOlderThan(12, found) ? recreateStream() : editStream({ max_consumers: -1 });
      // The server's own limit is for streams that name none.
      const ofAccount = found.account && share(found.account, config.num_replicas).limits.max_consumers;
      if (wanted > SERVERS_CONSUMERS && !limited(ofAccount)) return editStream({ max_consumers: 2 * wanted });
      return {
        action: "advise",
        advice: `raise the account's limit of consumers, so that ${contract.consumer} can be added`,
      };
    },
  },
  {
    id: "stream-consumer-limits",
    severity: "violation",
    effect: "withheld",
    about: "stream",
    checks: "the stream's defaults for consumers admit the worker's settings (`consumer_limits`)",
    why:
      "a smaller max_ack_pending refuses the consumer that a worker adds, and workers crash-loop; an " +
      "inactive_threshold is given to it, so that it is deleted when no worker asks for a while",
    remedy: "recreate the stream without them",
    expected: ({ worker }) => `no limits, or max_ack_pending of at least ${worker.maxAckPending}`,
    found: ({ stream }) => {
      const limits = consumerLimits(stream);
      return limits.length === 0 ? "no limits" : list(limits);
    },
    holds: ({ stream: { config } }, { worker }) => {
      const { max_ack_pending: pending, inactive_threshold: threshold } = config.consumer_limits ?? {};
      const admits = !limited(pending) || (worker.maxAckPending > 0 && worker.maxAckPending <= pending);
      return admits && !limited(threshold);
    },
    fix: recreateStream,
    // Servers before 2.12 do not take a limit away that a consumer goes by.
    ensure: (_contract, found) =>
      isOlderThan(12, found) && found.consumer && limited(found.stream.config.consumer_limits?.inactive_threshold)
        ? undefined
        : { action: "edit-stream", patch: { consumer_limits: {} } },
  },
  {
    id: "stream-loop",
    severity: "violation",
    effect: "doubled",
    about: "stream",
    checks:
      "no other stream gets the commands and republishes them on the stream's own subjects (`republish`, `mirror`, `sources`)",
    why: "each command is stored again, and again: workers are handed it without end, until the stream's limit drops others for it or the store is full",
    remedy: "take the republishing from the other stream",
    applies: ({ feeders }) => feeders !== undefined,
    expected: () => "no other stream",
    found: ({ feeders = [] }) => feederWords(feeders.filter(({ again }) => again)),
    holds: ({ feeders = [] }) => !feeders.some(({ again }) => again),
    fix: (contract, { feeders = [] }) =>
      stopFeeders(
        contract,
        feeders.filter(({ again }) => again),
      ),
  },
  {
    id: "stream-storage",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "storage",
    why:
      "on disk every notification costs a write, and stale commands come back after a restart; in memory a restart of a lone " +
      "server loses what waits",
    remedy: "recreate the stream: storage cannot be changed (natsStreamStorage says which is wanted)",
    expected: ({ expect }) => expect.storage,
    found: ({ stream }) => stream.config.storage,
    holds: ({ stream }, { expect }) => String(stream.config.storage) === expect.storage,
    fix: recreateStream,
  },
  {
    id: "stream-persist",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks:
      "a command is written before it is acknowledged, where the stream is one of files (`persist_mode`; nats-server 2.12)",
    why: "the end of a server, `kill -9` too, takes commands that it has acknowledged a moment before",
    remedy: "recreate the stream: the setting cannot be changed",
    expected: () => "written before",
    found: ({ stream }) => (isAsync(stream) ? "persist_mode async" : "written before"),
    holds: ({ stream }) => !isAsync(stream),
    fix: recreateStream,
  },
  {
    id: "stream-max-age",
    severity: "drift",
    effect: "differs",
    about: "stream",
    // Too short an age to work with is another rule's finding.
    applies: ({ stream }, contract) => stream === undefined || !expiresEarly(stream, contract),
    checks: "maximum age of a message (`max_age`)",
    why: "shorter, commands vanish before a busy worker takes them; longer or unlimited, the memory store fills up",
    remedy: "edit the stream; mode ensure makes it longer, and leaves a longer one as it is",
    expected: ({ expect }) => duration(expect.maxAgeSeconds),
    found: ({ stream }) => duration(toSeconds(stream.config.max_age)),
    holds: ({ stream }, { expect }) => toSeconds(stream.config.max_age) === expect.maxAgeSeconds,
    fix: ageEdit,
    ensure: (contract, { stream, ensured }) =>
      isShorter(stream, contract.expect.maxAgeSeconds) || toSeconds(stream.config.max_age) === ensured?.maxAgeSeconds
        ? ageEdit(contract, { stream })
        : { action: "leave", why: AGE_STAYS },
  },
  {
    id: "stream-limits",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "no other limit and discard policy (`max_msgs`, `max_bytes`, `max_msgs_per_subject`)",
    why: "under more load than it has, the stream drops the oldest commands (discard old) or refuses new ones (discard new)",
    remedy: "edit the stream",
    expected: () => "no limits",
    found: (found, contract) =>
      limitWords(
        limitsOf(found, contract).filter(({ bites }) => !bites),
        found.stream,
      ),
    holds: (found, contract) => limitsOf(found, contract).every(({ bites }) => bites),
    fix: withoutLimits,
  },
  {
    id: "stream-duplicates",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "duplicate window (`duplicate_window`)",
    why:
      "longer, a command that is notified again after a failure is swallowed as a duplicate, and the server keeps the " +
      "identifiers in memory; shorter, a publish that is repeated after a lost acknowledgement is delivered twice",
    remedy:
      "edit the stream; a server whose own limit is shorter (`jetstream.limits.duplicate_window`) has to allow it first",
    // The server gives streams that take from others a window of its own; that they do is another rule's finding.
    applies: ({ stream }) => !stream?.config.mirror && !stream?.config.sources?.length,
    expected: (contract) => `${duplicateWindowSeconds(contract)} s`,
    found: ({ stream }) => `${toSeconds(stream.config.duplicate_window)} s`,
    holds: ({ stream }, contract) =>
      toSeconds(stream.config.duplicate_window) === duplicateWindowSeconds(contract) ||
      // The server itself shortens it when the age is shortened, which the rule about the age reports.
      (stream.config.duplicate_window === stream.config.max_age &&
        toSeconds(stream.config.duplicate_window) < duplicateWindowSeconds(contract)),
    fix: (contract) => editStream({ duplicate_window: toNanoseconds(duplicateWindowSeconds(contract)) }),
  },
  {
    id: "stream-sources",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "the stream takes nothing from other streams",
    why: "workers are handed messages that are not commands of this NoETL",
    remedy: "recreate the stream without sources",
    expected: () => "no sources",
    found: ({ stream: { config } }) =>
      config.sources?.length ? list(config.sources.map(({ name }) => name)) : "no sources",
    holds: ({ stream }) => !stream.config.sources?.length,
    fix: recreateStream,
    ensure: () => ({ action: "edit-stream", patch: { sources: [] } }),
  },
  {
    id: "stream-fed",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "no other stream republishes what it takes on the stream's subjects (`republish`)",
    why: "workers are handed messages that are not commands of this NoETL",
    remedy: "take the republishing from the other stream",
    applies: ({ feeders }) => feeders !== undefined,
    expected: () => "no other stream",
    found: ({ feeders = [] }) => feederWords(feeders.filter(({ again }) => !again)),
    holds: ({ feeders = [] }) => feeders.every(({ again }) => again),
    fix: (contract, { feeders = [] }) =>
      stopFeeders(
        contract,
        feeders.filter(({ again }) => !again),
      ),
  },
  {
    id: "stream-markers",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks:
      "the stream stores commands alone, no markers of those that have aged out (`subject_delete_marker_ttl`; nats-server 2.11)",
    why: "whenever no command is left, workers are handed a message without content, and try it again and again",
    remedy: "edit the stream",
    expected: () => "no markers",
    found: ({ stream }) => {
      const seconds = markerSeconds(stream);
      return seconds === 0 ? "no markers" : `markers that stay for ${seconds} s`;
    },
    holds: ({ stream }) => markerSeconds(stream) === 0,
    fix: () => editStream({ subject_delete_marker_ttl: 0 } as StreamPatch),
  },
  {
    id: "stream-transform",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "NATS_SUBJECT is stored under its own name (`subject_transform`)",
    why: "whoever filters or reads the stream by subject finds nothing there",
    remedy: "edit the stream; where a consumer's filter goes by the other name, both are taken away together",
    expected: ({ subject }) => `stored as ${subject}`,
    found: ({ stream }, { subject }) => `stored as ${list(storedSubjects(subject, transformOf(stream)))}`,
    holds: ({ stream }, { subject }) => storedSubjects(subject, transformOf(stream)).join() === subject,
    fix: (contract, found) => {
      const consumers = goByTransform(found, contract);
      return consumers.length === 0
        ? editStream({ subject_transform: undefined })
        : { action: "advise", advice: takenAwayTogether(contract, consumers) };
    },
    ensure: (contract, found) => {
      const consumers = goByTransform(found, contract);
      if (consumers.length === 0) return undefined;
      return {
        action: "leave",
        why: `without it ${list(consumers)} would get no command, whose filter goes by the name that it gives`,
      };
    },
  },
  {
    id: "stream-replicas",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "replicas asked for (`num_replicas`)",
    why: "with fewer, the loss of a server takes the commands that wait with it",
    remedy: "edit the stream, in a cluster with that many servers",
    expected: ({ expect }) => replicasWords(expect.replicas),
    found: ({ stream }) => String(stream.config.num_replicas ?? 1),
    holds: ({ stream }, { expect }) => (stream.config.num_replicas ?? 1) >= expect.replicas,
    fix: ({ expect }, { stream }) =>
      stream.cluster?.name === undefined
        ? loneServer(expect.replicas, "the stream")
        : editStream({ num_replicas: expect.replicas }),
    ensure: ({ expect }) => ({ action: "edit-stream", patch: { num_replicas: expect.replicas } }),
  },
  {
    id: "stream-peers",
    severity: "drift",
    effect: "differs",
    about: "stream",
    checks: "the replicas are really there: a leader, and as many servers, in step, as the stream is set to",
    why: "a server on its own accepts a setting of three replicas and keeps one; the next failure loses the commands",
    remedy: "bring the servers back, or set the replicas to what the cluster has",
    waits: "briefly",
    expected: (_contract, { stream }) => `${stream.config.num_replicas ?? 1} in step`,
    found: ({ stream }) => {
      const { real, trouble } = peersOf(stream);
      return [`${real} of ${stream.config.num_replicas ?? 1}`, ...trouble].join(", ");
    },
    holds: ({ stream }) => {
      const { real, trouble } = peersOf(stream);
      return trouble.length === 0 && real >= (stream.config.num_replicas ?? 1);
    },
    fix: (_contract, { stream }) =>
      stream.cluster?.replicas?.length
        ? { action: "advise", advice: "bring the servers that are missing or out of step back: see the NATS pods" }
        : editStream({ num_replicas: 1 }),
  },
  {
    id: "stream-lost",
    severity: "drift",
    effect: "over",
    isEvent: true,
    about: "stream",
    checks: "the stream is the one that an earlier check saw (`created`)",
    why:
      "the stream was lost and recreated although no deployment asked for it: the commands in it, and the workers' " +
      "place, are gone; seen after node upgrades with the volume mounted wrongly, and after restarts with memory storage",
    remedy: "look for what removed it; executions that wait for a lost command have to be started again",
    expected: (_contract, { stream, streamRemembered }) => `created ${streamRemembered ?? String(stream.created)}`,
    found: ({ stream }) => `created ${String(stream.created)}`,
    holds: ({ stream, streamRemembered }) => String(stream.created) === (streamRemembered ?? String(stream.created)),
    fix: () => ({
      action: "advise",
      advice:
        "find out what removed the stream (restarts of the NATS pods, the volume's mount, `nats stream rm`), and start " +
        "the executions that wait for a lost command again",
    }),
  },
];
