import { AckPolicy, DeliverPolicy, DiscardPolicy, ReplayPolicy, RetentionPolicy, StorageType } from "nats";
import type { ConsumerConfig, JetStreamManager, StreamConfig } from "nats";
import { CONSUMER, STREAM } from "../../contract/noetl";
import { addConsumer, addStream, withManager, type NatsServer } from "./support";

const SECOND = 1e9;

/** How a stream and a consumer differ from what NoETL creates. */
export interface Deviation {
  readonly stream?: Partial<StreamConfig>;
  readonly consumer?: Partial<ConsumerConfig> | null;
  /** Done after the stream is there; replaces adding stream and consumer where `instead` is set. */
  readonly instead?: (manager: JetStreamManager) => Promise<unknown>;
  readonly then?: (manager: JetStreamManager) => Promise<unknown>;
}

/** A deviation and what the check must say about it. */
export interface Case extends Deviation {
  readonly rule: string;
  readonly name: string;
  readonly found: string;
  readonly expected: string;
  /** Further rules that the same deviation breaks. */
  readonly also?: readonly string[];
}

/** For every rule at least one way to break it. */
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
    rule: "stream-storage",
    name: "file storage",
    stream: { storage: StorageType.File },
    found: "file",
    expected: "memory",
  },
  { rule: "stream-max-age", name: "another age", stream: { max_age: 60 * SECOND }, found: "60 s", expected: "3600 s" },
  { rule: "stream-max-age", name: "no age", stream: { max_age: 0 }, found: "unlimited", expected: "3600 s" },
  {
    rule: "stream-limits",
    name: "discard new at a count",
    stream: { max_msgs: 10, discard: DiscardPolicy.New },
    found: "max_msgs 10, discard new",
    expected: "no limits",
  },
  {
    rule: "stream-limits",
    name: "one message per subject, which keeps the last command only",
    stream: { max_msgs_per_subject: 1 },
    found: "max_msgs_per_subject 1, discard old",
    expected: "no limits",
  },
  {
    rule: "stream-limits",
    name: "bytes",
    stream: { max_bytes: 1024, max_msg_size: 128 },
    found: "max_bytes 1024, max_msg_size 128, discard old",
    expected: "no limits",
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
    rule: "stream-transform",
    name: "stored under another name",
    stream: { subject_transform: { src: "noetl.>", dest: "moved.>" } },
    found: "stored as moved.commands",
    expected: "stored as noetl.commands",
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
    consumer: { filter_subject: "noetl.events" },
    found: "noetl.events",
    expected: "no filter, or one that covers noetl.commands",
  },
  {
    rule: "consumer-filter",
    name: "several filters that all miss",
    consumer: { filter_subjects: ["noetl.events", "noetl.commands.>"] },
    found: "noetl.events, noetl.commands.>",
    expected: "no filter, or one that covers noetl.commands",
  },
  {
    rule: "consumer-filter",
    name: "the published subject, where the stream stores another",
    stream: { subject_transform: { src: "noetl.commands", dest: "moved" } },
    consumer: { filter_subject: "noetl.commands" },
    found: "noetl.commands",
    expected: "no filter, or one that covers noetl.commands",
    also: ["stream-transform"],
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
    name: "a backoff, which replaces it",
    consumer: { backoff: [1 * SECOND, 5 * SECOND] },
    found: "backoff 1 s, 5 s",
    expected: "30 s",
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
    rule: "consumer-fetch-expiry",
    name: "shorter than the worker's fetch",
    consumer: { max_expires: 10 * SECOND },
    found: "10 s",
    expected: "unlimited, or at least 30 s",
  },
];

/** Makes stream and consumer as the deviation says. */
export async function arrange(server: NatsServer, { stream, consumer, instead, then }: Deviation): Promise<void> {
  await withManager(server, async (manager) => {
    if (instead) return instead(manager);
    await addStream(manager, stream);
    if (consumer !== null) await addConsumer(manager, consumer);
    return then?.(manager);
  });
}
