import type { ConsumerInfo, StreamInfo } from "nats";
import { consumerTerms, publishedSubjects } from "../inputs";
import { line, programsOf } from "../programs";
import { subjectsCover } from "../subjects";
import {
  count,
  duration,
  editConsumer,
  limited,
  list,
  recreateConsumer,
  sameCount,
  toNanoseconds,
  toSeconds,
  type Contract,
  type Found,
  type Rule,
} from "./rule";
import { filtersOf, filtersTogether, letsThrough } from "./stream";

/** Fields of newer servers that the client library has no type for. */
interface NewerFields {
  /** nats-server 2.11. */
  readonly priority_policy?: string;
  readonly priority_groups?: readonly string[];
}

const priorityOf = ({ config }: ConsumerInfo): string => {
  const { priority_policy: policy, priority_groups: groups } = config as NewerFields;
  return groups?.length && policy && policy !== "none" ? policy : "";
};

/** Whether two sets of filters let the same through. */
const sameFilters = (a: readonly string[], b: readonly string[]): boolean =>
  a.length > 0 &&
  b.length > 0 &&
  a.every((item) => subjectsCover(b, item)) &&
  b.every((item) => subjectsCover(a, item));

const filterList = (filters: readonly string[]): string => (filters.length === 0 ? "no filter" : list(filters));

/** Subjects that are published and that no consumer of the contract lets through. */
function uncovered({ stream, consumers = {} }: Pick<Found, "stream" | "consumers">, contract: Contract): string[] {
  const together = filtersTogether(Object.values(consumers));
  return publishedSubjects(contract).filter((subject) => !letsThrough(together, stream, subject));
}

const ACK_WAIT_STAYS =
  "a longer time loses nothing, and a shorter one would have commands delivered again that still run in a NoETL that counts on it; " +
  "where it is right, set noetlLine (expect.ackWaitSeconds in a program)";

const FILTER_STAYS =
  "without its filter, or with a wider one, it would be handed commands that are meant for another consumer";

/** Whether the filters are what a NoETL with pools gives the consumer of one: a branch below the subject. */
const isOfPool = (filters: readonly string[], { subject }: Contract): boolean =>
  filters.length > 0 && filters.every((filter) => subjectsCover([`${subject}.>`], filter));

const poolAdvice = ({ connection, stream, consumer: name }: Contract, consumer: ConsumerInfo): string =>
  `the filter ${list(filtersOf(consumer))} is how a NoETL with pools makes the consumer of a pool: where that is the one that ` +
  `is deployed, set noetlLine to it (publishes and consumers in a program); where the consumer is left over from one, remove ` +
  `it (${line(programsOf({ connection }).nats, "consumer", "rm", stream, name, "-f")}) and restart the workers`;

/**
 * First message that the consumer delivers, where the stream has not come that far; undefined where it has, or where the server
 * begins with the next one all the same (nats-server before 2.11), as the consumer's place says.
 */
function startAhead({ stream, consumer }: Pick<Found, "stream" | "consumer">): number | undefined {
  const { deliver_policy: policy, opt_start_seq: start = 0 } = consumer.config;
  if (String(policy) !== "by_start_sequence" || start <= stream.state.last_seq + 1) return undefined;
  return consumer.delivered.stream_seq >= start - 1 ? start : undefined;
}

/**
 * Whether the consumer's place is behind the end of the stream, which has lost messages that the consumer had delivered: with a volume
 * that was restored, or that broke. Servers before 2.15 leave it there, and later ones where the stream has replicas.
 */
function isBeyondEnd({ stream, consumer }: Pick<Found, "stream" | "consumer">): boolean {
  // Of one that is compared, and not read from a server, no place is known.
  const { delivered } = consumer as Partial<ConsumerInfo>;
  if (!delivered || !(delivered.stream_seq > stream.state.last_seq)) return false;
  return startAhead({ stream, consumer }) === undefined;
}

/** How long a command stays with a worker that died before it is delivered again, in seconds. */
const deadWaitSeconds = ({ config }: ConsumerInfo): number => toSeconds(config.backoff?.[0] ?? config.ack_wait);

/** Whether commands are too old before the consumer delivers them again, though they would not be with the contract's time. */
const waitsTooLong = ({ stream, consumer }: Pick<Found, "stream" | "consumer">, { expect }: Contract): boolean => {
  const [waits, age] = [deadWaitSeconds(consumer), stream.config.max_age];
  return limited(age) && waits > expect.ackWaitSeconds && waits >= toSeconds(age);
};

const deliversOnce = ({ consumer }: Pick<Found, "consumer">, { worker }: Contract): boolean =>
  consumer.config.max_deliver === 1 && worker.maxDeliver !== 1;

/** Sets the time to acknowledge, in the place of a `backoff` where mode ensure may. */
const ackWaitEdit = ({ expect }: Contract) => ({ backoff: undefined, ack_wait: toNanoseconds(expect.ackWaitSeconds) });

/** `max_waiting` of a consumer that nobody set it for. */
const DEFAULT_MAX_WAITING = 512;

/** Why the consumer's place is kept less safely than the stream's messages; empty where it is not. */
function unsafePlace(stream: StreamInfo, { config }: ConsumerInfo): string {
  const replicas = config.num_replicas ?? 0;
  if (replicas !== 0 && replicas < (stream.config.num_replicas ?? 1)) return `${replicas} of the stream's replicas`;
  if (config.mem_storage && String(stream.config.storage) === "file") return "in memory, the stream on disk";
  return "";
}

/** Rules about the workers' consumer. Sources: NoETL's worker at start-up (v2.8.9 line), and nats-server's consumer.go. */
export const CONSUMER_RULES: readonly Rule[] = [
  {
    id: "consumer-exists",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "the workers' consumer exists",
    why: "no worker has subscribed: commands are published and nobody executes them",
    remedy: "restart the workers: they add the consumer when they start",
    waits: "until-deadline",
    canRecover: ({ worker }) => worker.replicas > 0,
    expected: ({ consumer }) => `consumer ${consumer}`,
    found: ({ consumer }) => (consumer ? "it exists" : "no such consumer"),
    holds: ({ consumer }) => Boolean(consumer),
    fix: ({ worker }) =>
      worker.replicas > 0
        ? { action: "restart-worker" }
        : {
            action: "advise",
            advice:
              "no worker is wanted (0 replicas), so nobody adds the consumer: start at least one, or let the contract add " +
              "it (mode ensure); what is announced before it exists reaches no worker",
          },
    ensure: () => ({ action: "create-consumer" }),
  },
  {
    id: "consumer-durable",
    severity: "violation",
    effect: "lost",
    about: "consumer",
    checks: "the consumer is durable (`durable_name`, not a name alone)",
    why: "an ephemeral consumer is deleted when no worker asks it for a while, and with it the place in the stream",
    remedy: "recreate the consumer",
    expected: () => "durable",
    found: ({ consumer }) => (consumer.config.durable_name ? "durable" : "ephemeral"),
    holds: ({ consumer }) => Boolean(consumer.config.durable_name),
    fix: recreateConsumer,
  },
  {
    id: "consumer-pull",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "the consumer is a pull consumer (no `deliver_subject`)",
    why: "workers fetch; a push consumer refuses that and sends the commands elsewhere",
    remedy: "recreate the consumer",
    expected: () => "pull",
    found: ({ consumer }) => (consumer.config.deliver_subject ? `push to ${consumer.config.deliver_subject}` : "pull"),
    holds: ({ consumer }) => !consumer.config.deliver_subject,
    fix: recreateConsumer,
  },
  {
    id: "consumer-ack-policy",
    severity: "violation",
    effect: "lost",
    about: "consumer",
    checks: "acknowledgement policy",
    why:
      "with none, a command is lost when the worker that took it dies; with all, one worker's acknowledgement " +
      "swallows the commands that others are still working on",
    remedy: "recreate the consumer: the policy cannot be changed",
    expected: ({ expect }) => expect.ackPolicy,
    found: ({ consumer }) => consumer.config.ack_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.ack_policy) === expect.ackPolicy,
    fix: recreateConsumer,
  },
  {
    id: "consumer-filter",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks:
      "the consumer's filter lets through what the stream stores of what NoETL publishes; a pool's consumer has the " +
      "filter of its pool, no wider and no narrower",
    why:
      "narrower, commands are stored and no worker sees them, and the server accepts a filter that matches nothing; a " +
      "pool without its filter is handed the commands of other pools, which it cannot run",
    remedy: "recreate the consumer with the filter that its workers ask for",
    expected: (contract, { terms }) =>
      terms.filters ? list(terms.filters) : `no filter, or one that covers ${list(publishedSubjects(contract))}`,
    found: ({ consumer }) => filterList(filtersOf(consumer)),
    holds: ({ stream, consumer, terms }, contract) => {
      const filters = filtersOf(consumer);
      if (terms.filters) return sameFilters(filters, terms.filters);
      // Among several, whether nothing is left over is a rule of its own.
      if (consumerTerms(contract).length > 1) return true;
      return publishedSubjects(contract).every((subject) => letsThrough(filters, stream, subject));
    },
    fix: (contract, { consumer, terms }) =>
      terms.filters || !isOfPool(filtersOf(consumer), contract)
        ? recreateConsumer()
        : { action: "advise", advice: poolAdvice(contract, consumer) },
    ensure: (_contract, { consumer, terms }) => {
      const [filters, wanted] = [filtersOf(consumer), terms.filters ?? []];
      // Narrower than it is, a consumer gets nothing that is meant for another.
      const narrows =
        wanted.length > 0 && wanted.every((filter) => filters.length === 0 || subjectsCover(filters, filter));
      if (!narrows) return { action: "leave", why: FILTER_STAYS };
      return {
        action: "edit-consumer",
        patch: {
          filter_subject: wanted.length === 1 ? wanted[0] : undefined,
          filter_subjects: wanted.length === 1 ? undefined : [...wanted],
        },
      };
    },
  },
  {
    id: "consumers-cover",
    severity: "violation",
    effect: "withheld",
    about: "stream",
    checks: "the filters of the workers' consumers together let through all that NoETL publishes",
    why: "commands that no consumer lets through are stored, and no worker ever sees them",
    remedy: "recreate the consumers with the filters that the workers ask for, or declare the one that is missing",
    applies: ({ consumers }) => consumers !== undefined && Object.values(consumers).every(Boolean),
    expected: (contract) => `every one of ${list(publishedSubjects(contract))}`,
    found: (found, contract) => {
      const left = uncovered(found, contract);
      return left.length === 0 ? "all" : `nobody takes ${list(left)}`;
    },
    holds: (found, contract) => uncovered(found, contract).length === 0,
    fix: (contract, found) => ({
      action: "advise",
      advice:
        `add a consumer for ${list(uncovered(found, contract))}, and start workers with it: set \`consumers\` and ` +
        "NOETL_WORKER_POOL_SEGMENTS alike",
    }),
  },
  {
    id: "consumer-bodies",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "the consumer delivers whole messages (`headers_only` is off)",
    why: "workers get notifications without their content and cannot tell which command to claim",
    remedy: "edit the consumer",
    expected: () => "whole messages",
    found: ({ consumer }) => (consumer.config.headers_only ? "headers only" : "whole messages"),
    holds: ({ consumer }) => !consumer.config.headers_only,
    fix: () => editConsumer({ headers_only: false }),
  },
  {
    id: "consumer-paused",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "the consumer is not paused (nats-server 2.11)",
    why: "workers get nothing until the pause ends",
    remedy: "resume the consumer",
    expected: () => "not paused",
    found: ({ consumer }) =>
      consumer.paused ? `paused until ${consumer.config.pause_until ?? "further notice"}` : "not paused",
    holds: ({ consumer }) => !consumer.paused,
    fix: () => ({ action: "resume-consumer" }),
  },
  {
    id: "consumer-priority",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "a fetch needs no priority group (`priority_policy`; nats-server 2.11)",
    why: "the server refuses every fetch that names no group, as the workers' fetches do",
    remedy: "recreate the consumer",
    expected: () => "no priority policy",
    found: ({ consumer }) => priorityOf(consumer) || "no priority policy",
    holds: ({ consumer }) => priorityOf(consumer) === "",
    fix: recreateConsumer,
  },
  {
    id: "consumer-deliver-policy",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "deliver policy",
    why: "a new or remade consumer starts elsewhere than at the next command, so old commands are delivered again",
    remedy: "recreate the consumer: the policy cannot be changed",
    expected: ({ expect }) => expect.deliverPolicy,
    found: ({ consumer }) => consumer.config.deliver_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.deliver_policy) === expect.deliverPolicy,
    fix: recreateConsumer,
  },
  {
    id: "consumer-start",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "the consumer begins no later than at the next command (`opt_start_seq`; nats-server 2.11)",
    why: "workers get nothing until the stream has counted up to that number: all commands before it are skipped",
    remedy: "recreate the consumer: the start cannot be changed",
    expected: () => "the next message, or an earlier one",
    found: (found) => {
      const start = startAhead(found);
      return start === undefined ? "no later" : `message ${start}`;
    },
    holds: (found) => startAhead(found) === undefined,
    fix: recreateConsumer,
  },
  {
    id: "consumer-place",
    severity: "violation",
    effect: "lost",
    about: "consumer",
    checks: "the consumer has not come further than the stream (`delivered`, `last_seq`)",
    // A stream of several replicas may tell of what it has a moment after its consumer.
    waits: "briefly",
    why:
      "commands are accepted, and no worker gets one until the stream has counted up to the consumer's place: the stream has lost messages that the " +
      "consumer knows of, with a volume that was restored or broke",
    remedy:
      "recreate the consumer; executions that wait for a command that it has passed over are announced again by `npm run doctor -- --repair`",
    // Of what is compared, and not read from a server, no place is known.
    applies: ({ stream }) => (stream as Partial<StreamInfo> | undefined)?.state !== undefined,
    expected: (_contract, { stream }) => `no further than message ${stream.state.last_seq}`,
    found: ({ consumer }) => `at message ${(consumer as Partial<ConsumerInfo>).delivered?.stream_seq ?? 0}`,
    holds: (found) => !isBeyondEnd(found),
    fix: recreateConsumer,
  },
  {
    id: "consumer-replay-policy",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "replay policy",
    why: "with original, a backlog is delivered at the pace at which it was published instead of at once",
    remedy: "recreate the consumer: the policy cannot be changed",
    expected: ({ expect }) => expect.replayPolicy,
    found: ({ consumer }) => consumer.config.replay_policy,
    holds: ({ consumer }, { expect }) => String(consumer.config.replay_policy) === expect.replayPolicy,
    fix: recreateConsumer,
  },
  {
    id: "consumer-ack-wait",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "time to acknowledge (`ack_wait`), without a `backoff` that replaces it",
    why: "shorter, a command is delivered a second time while it runs; longer, a dead worker's command waits that long",
    remedy:
      "edit the consumer; recreate it where it has a backoff; mode ensure raises it, and leaves a longer one as it is",
    expected: ({ expect }) => duration(expect.ackWaitSeconds),
    found: ({ consumer: { config } }) =>
      config.backoff?.length
        ? `backoff ${config.backoff.map((step) => duration(toSeconds(step))).join(", ")}`
        : duration(toSeconds(config.ack_wait)),
    holds: ({ consumer: { config } }, { expect }) =>
      !config.backoff?.length && toSeconds(config.ack_wait) === expect.ackWaitSeconds,
    fix: ({ expect }, { consumer }) =>
      consumer.config.backoff?.length
        ? recreateConsumer()
        : editConsumer({ ack_wait: toNanoseconds(expect.ackWaitSeconds) }),
    ensure: (contract, { consumer: { config }, ensured }) => {
      const { consumer: name, expect } = contract;
      const [longest, wanted] = [
        toSeconds(Math.max(0, ...(config.backoff ?? [config.ack_wait ?? 0]))),
        expect.ackWaitSeconds,
      ];
      return longest <= wanted || longest === ensured?.ackWaitSeconds[name]
        ? { action: "edit-consumer", patch: ackWaitEdit(contract) }
        : { action: "leave", why: ACK_WAIT_STAYS };
    },
  },
  {
    id: "consumer-redelivery",
    severity: "violation",
    effect: "lost",
    about: "consumer",
    checks:
      "a command whose worker died is delivered again (`max_deliver` above 1), before it is too old (`ack_wait` below `max_age`)",
    why: "a command is lost when the worker that took it dies, and meanwhile counts as one in flight",
    remedy: "edit the consumer; recreate it where it has a backoff",
    expected: ({ worker, expect }) =>
      `up to ${count(worker.maxDeliver)} deliveries, the second after ${duration(expect.ackWaitSeconds)}`,
    found: (found, contract) =>
      list([
        ...(deliversOnce(found, contract) ? ["one delivery"] : []),
        ...(waitsTooLong(found, contract)
          ? [
              `the second after ${deadWaitSeconds(found.consumer)} s, when it is ${toSeconds(found.stream.config.max_age)} s old at most`,
            ]
          : []),
      ]),
    holds: (found, contract) => !deliversOnce(found, contract) && !waitsTooLong(found, contract),
    fix: (contract, found) => {
      const { worker, expect } = contract;
      const waits = waitsTooLong(found, contract);
      if (waits && found.consumer.config.backoff?.length) return recreateConsumer();
      return editConsumer({
        ...(deliversOnce(found, contract) ? { max_deliver: worker.maxDeliver } : {}),
        ...(waits ? { ack_wait: toNanoseconds(expect.ackWaitSeconds) } : {}),
      });
    },
    ensure: (contract, found) => {
      const { consumer, ensured } = found;
      const isOurs = deadWaitSeconds(consumer) === ensured?.ackWaitSeconds[contract.consumer];
      if (waitsTooLong(found, contract) && !isOurs) return { action: "leave", why: ACK_WAIT_STAYS };
      return {
        action: "edit-consumer",
        patch: {
          ...(deliversOnce(found, contract) ? { max_deliver: contract.worker.maxDeliver } : {}),
          ...(isOurs ? ackWaitEdit(contract) : {}),
        },
      };
    },
  },
  {
    id: "consumer-max-deliver",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "deliveries of one message (`max_deliver`) as NOETL_WORKER_NATS_MAX_DELIVER says",
    why: "a command that could not be acknowledged is given up earlier, or tried longer, than the worker's setting says",
    remedy: "edit the consumer",
    expected: ({ worker }) => count(worker.maxDeliver),
    found: ({ consumer }) => count(consumer.config.max_deliver),
    holds: ({ consumer }, { worker }) => sameCount(consumer.config.max_deliver, worker.maxDeliver),
    fix: ({ worker }) => editConsumer({ max_deliver: worker.maxDeliver }),
  },
  {
    id: "consumer-max-ack-pending",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "messages in flight (`max_ack_pending`) as NOETL_WORKER_NATS_MAX_ACK_PENDING says",
    why:
      "the next worker that starts deletes and remakes the consumer, which then begins at the next command: those that wait, or " +
      "are in flight, reach no worker any more",
    remedy: "edit the consumer, before a worker starts that remakes it",
    // The worker itself puts this right when it starts, which may be a moment after its rollout is reported done.
    waits: "briefly",
    expected: ({ worker }) => count(worker.maxAckPending),
    found: ({ consumer }) => count(consumer.config.max_ack_pending),
    holds: ({ consumer }, { worker }) => sameCount(consumer.config.max_ack_pending, worker.maxAckPending),
    fix: ({ worker }) => editConsumer({ max_ack_pending: worker.maxAckPending }),
  },
  {
    id: "consumer-expiry",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "the consumer does not expire (`inactive_threshold` is unset)",
    why: "the server deletes it, durable or not, when no worker asks for a while: commands published until it is back are lost",
    remedy: "recreate the consumer",
    expected: () => "does not expire",
    found: ({ consumer }) => {
      const seconds = toSeconds(consumer.config.inactive_threshold);
      return seconds === 0 ? "does not expire" : `expires after ${seconds} s without a worker`;
    },
    holds: ({ consumer }) => !consumer.config.durable_name || toSeconds(consumer.config.inactive_threshold) === 0,
    fix: recreateConsumer,
    ensure: () => ({ action: "edit-consumer", patch: { inactive_threshold: undefined } }),
  },
  {
    id: "consumer-outage",
    severity: "violation",
    effect: "lost",
    about: "consumer",
    checks:
      "the consumer outlives the pulls that a restart of NATS ends (`inactive_threshold`, NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS)",
    why:
      "workers pull again when the time of the pull is over that NATS does not know any more; by then the server has deleted the " +
      "consumer, which no worker of NoETL before 2.100.3 adds again before it restarts, and commands are lost",
    remedy: "recreate the consumer",
    // One that is not durable is another rule's finding.
    expected: ({ worker }) => `unset, or at least ${worker.fetchTimeoutSeconds} s`,
    found: ({ consumer }) => duration(toSeconds(consumer.config.inactive_threshold)),
    holds: ({ consumer: { config } }, { worker }) =>
      !config.durable_name ||
      !limited(config.inactive_threshold) ||
      toSeconds(config.inactive_threshold) >= worker.fetchTimeoutSeconds,
    fix: recreateConsumer,
    ensure: () => ({ action: "edit-consumer", patch: { inactive_threshold: undefined } }),
  },
  {
    id: "consumer-fetch-expiry",
    severity: "violation",
    effect: "withheld",
    about: "consumer",
    checks: "a fetch may wait as long as NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS says (`max_expires`)",
    why: "the server refuses a fetch that asks to wait longer, so workers get errors instead of commands",
    remedy: "recreate the consumer",
    expected: ({ worker }) => `unlimited, or at least ${worker.fetchTimeoutSeconds} s`,
    found: ({ consumer }) => duration(toSeconds(consumer.config.max_expires)),
    holds: ({ consumer }, { worker }) => {
      const seconds = toSeconds(consumer.config.max_expires);
      return seconds === 0 || seconds >= worker.fetchTimeoutSeconds;
    },
    fix: recreateConsumer,
    ensure: () => ({ action: "edit-consumer", patch: { max_expires: undefined } }),
  },
  {
    id: "consumer-max-waiting",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "every worker's fetch may wait at the same time (`max_waiting`)",
    why: "the server refuses fetches beyond it with `409 Exceeded MaxWaiting`, so some workers idle",
    remedy:
      "recreate the consumer: the limit cannot be changed; more than 512 workers need one made with a higher limit",
    expected: ({ worker }) => `at least ${worker.replicas}`,
    found: ({ consumer }) => String(consumer.config.max_waiting ?? DEFAULT_MAX_WAITING),
    // A push consumer has none; that it is one is another rule's finding.
    holds: ({ consumer: { config } }, { worker }) =>
      Boolean(config.deliver_subject) || (config.max_waiting ?? DEFAULT_MAX_WAITING) >= worker.replicas,
    fix: recreateConsumer,
  },
  {
    id: "consumer-replicas",
    severity: "drift",
    effect: "differs",
    about: "consumer",
    checks: "the consumer's place is kept as safely as the stream (`num_replicas`, `mem_storage`)",
    why: "a server that is lost takes the place in the stream with it, and commands are delivered again or never",
    remedy: "edit the consumer's replicas; recreate it where it is in memory",
    expected: () => "as the stream",
    found: ({ stream, consumer }) => unsafePlace(stream, consumer) || "as the stream",
    holds: ({ stream, consumer }) => unsafePlace(stream, consumer) === "",
    fix: ({ expect }, { stream, consumer }) =>
      consumer.config.mem_storage && String(stream.config.storage) === "file"
        ? recreateConsumer()
        : editConsumer({ num_replicas: Math.max(expect.replicas, stream.config.num_replicas ?? 1) }),
  },
];
