/** What a broken rule of the contract is called, one sentence a rule, and what NoETL's logs say because of it. */
import type { CheckFacts, Evidence } from "../evidence";
import type { FindingId, Symptom } from "./finding";
import type { LogMeaning } from "./logs";

export interface Headline {
  /** What it is, one sentence without a full stop. */
  readonly title: (check: CheckFacts, evidence: Evidence) => string;
  /** Words of NoETL's logs that it explains, beside those that its effect explains. */
  readonly logs?: readonly LogMeaning[];
}

/** The bucket, consumer, subject or declared object that a check is about. */
const of = ({ bucket, consumer, object }: CheckFacts): string => bucket ?? consumer ?? object ?? "";

/** The workers' consumer, by its name. */
const consumerOf = (check: CheckFacts, evidence: Evidence): string =>
  `consumer ${check.consumer ?? check.object ?? evidence.consumer}`;

/** By rule: `test/commands/doctor/headlines.test.ts` holds that every rule of the contract is here, and nothing else. */
export const HEADLINES: Readonly<Record<string, Headline>> = {
  // The account and the server.
  "stream-overlap": {
    title: ({ found }, { subject }) => `What NoETL publishes on ${subject} is stored by another stream: ${found}`,
    logs: ["subject-taken", "no-stream-for-subject", "stream-gone", "no-response"],
  },
  "account-storage": { title: ({ found }) => `NATS's account has no storage left for commands: ${found}` },
  "account-streams": { title: ({ found }) => `NATS's account admits no stream for NoETL: ${found}` },
  "stream-creatable": { title: ({ found }) => `NATS would not let NoETL create its stream: ${found}` },
  "consumer-creatable": {
    title: (check, evidence) => `NATS would not let a worker add its ${consumerOf(check, evidence)}: ${check.found}`,
  },

  // The stream.
  "stream-exists": {
    title: (_, { stream }) => `There is no stream ${stream}: nothing stores what the server publishes`,
    logs: ["no-response", "no-stream-for-subject", "stream-gone"],
  },
  "stream-retention": {
    title: ({ found, expected }, { stream }) =>
      found === "workqueue"
        ? `Stream ${stream} is a work queue, which refuses the workers' consumer`
        : `Stream ${stream} keeps commands by ${found}, not by ${expected}: they are dropped while no worker has subscribed`,
    logs: ["work-queue"],
  },
  "stream-subjects": {
    title: ({ found }, { stream, subject }) =>
      `Stream ${stream} stores ${found} and not ${subject}, which the server publishes on`,
    logs: ["no-response", "no-stream-for-subject"],
  },
  "stream-mirror": {
    title: ({ found }, { stream }) => `Stream ${stream} is ${found} and stores nothing that the server publishes`,
  },
  "stream-sealed": { title: (_, { stream }) => `Stream ${stream} is sealed and takes no command` },
  "stream-acks": {
    title: (_, { stream }) => `Stream ${stream} does not acknowledge what the server publishes (no_ack)`,
  },
  "stream-counter": { title: (_, { stream }) => `Stream ${stream} holds counters and refuses commands` },
  "stream-message-size": {
    title: ({ found }, { stream }) => `Commands do not fit into stream ${stream}, whose messages have at most ${found}`,
  },
  "stream-capacity": {
    title: ({ found }, { stream }) => `Stream ${stream} drops or refuses commands at its limits: ${found}`,
    logs: ["stream-full"],
  },
  "stream-age": {
    title: ({ found }, { stream }) =>
      `Stream ${stream} drops commands after ${found}, before a worker has acknowledged them`,
  },
  "stream-max-consumers": {
    title: ({ found }, { stream }) => `Stream ${stream} has no room for the workers' consumer: ${found}`,
    logs: ["consumers-full"],
  },
  "stream-consumer-limits": {
    title: ({ found }, { stream }) => `Stream ${stream} limits its consumers below what the workers ask for: ${found}`,
    logs: ["consumer-limit"],
  },
  "stream-loop": {
    title: ({ found }, { stream }) => `Commands come into stream ${stream} again without end, by way of ${found}`,
  },
  "stream-storage": {
    title: ({ found, expected }, { stream }) => `Stream ${stream} is kept in ${found} storage, not in ${expected}`,
  },
  "stream-max-age": {
    title: ({ found, expected }, { stream }) => `Commands live ${found} in stream ${stream}, not ${expected}`,
  },
  "stream-limits": {
    title: ({ found }, { stream }) => `Stream ${stream} would drop or refuse commands under more load: ${found}`,
  },
  "stream-duplicates": {
    title: ({ found, expected }, { stream }) =>
      `Stream ${stream} looks for duplicates over ${found}, not over ${expected}`,
  },
  "stream-sources": {
    title: ({ found }, { stream }) => `Stream ${stream} also takes what other streams have: ${found}`,
  },
  "stream-fed": {
    title: ({ found }, { stream }) => `Stream ${stream} also takes what is not published by NoETL: from ${found}`,
  },
  "stream-transform": {
    title: ({ found }, { stream, subject }) => `Stream ${stream} keeps ${subject} under another name: ${found}`,
  },
  "stream-persist": { title: (_, { stream }) => `Stream ${stream} acknowledges commands before they are written` },
  "stream-markers": { title: ({ found }, { stream }) => `Stream ${stream} hands workers more than commands: ${found}` },
  "stream-replicas": {
    title: ({ found, expected }, { stream }) => `Stream ${stream} has too few replicas: ${found}, not ${expected}`,
  },
  "stream-peers": { title: ({ found }, { stream }) => `The replicas of stream ${stream} are not all there: ${found}` },
  "stream-lost": { title: (_, { stream }) => `Stream ${stream} was lost and created once more` },

  // The workers' consumers.
  "consumer-exists": {
    title: (check, evidence) => `There is no ${consumerOf(check, evidence)}: no worker has subscribed`,
    logs: ["work-queue", "no-stream-for-subject", "stream-gone"],
  },
  "consumer-durable": {
    title: (check, evidence) => `The ${consumerOf(check, evidence)} is not durable: it goes when no worker asks`,
  },
  "consumer-pull": {
    title: (check, evidence) => `The ${consumerOf(check, evidence)} sends commands elsewhere: ${check.found}`,
  },
  "consumer-ack-policy": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} acknowledges by ${check.found}, not by ${check.expected}: commands are lost`,
  },
  "consumer-filter": {
    title: (check, evidence) => `The ${consumerOf(check, evidence)} does not get what it should: ${check.found}`,
  },
  "consumers-cover": { title: ({ found }) => `Some commands reach no worker: ${found}` },
  "consumer-bodies": {
    title: (check, evidence) => `The ${consumerOf(check, evidence)} delivers commands without their content`,
  },
  "consumer-paused": { title: (check, evidence) => `The ${consumerOf(check, evidence)} is ${check.found}` },
  "consumer-priority": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} refuses fetches without a priority group: ${check.found}`,
  },
  "consumer-deliver-policy": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} begins with ${check.found} messages, not with ${check.expected} ones`,
  },
  "consumer-place": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} passes over what is published: it is ${check.found}, and the stream has lost messages`,
  },
  "consumer-start": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} begins with ${check.found}, which the stream has not come to`,
  },
  "consumer-redelivery": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} loses the command of a worker that dies: ${check.found}`,
  },
  "consumer-outage": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} is deleted ${check.found} after NATS restarts, before its workers pull again`,
  },
  "consumer-replay-policy": {
    title: (check, evidence) => `The ${consumerOf(check, evidence)} replays at ${check.found} pace`,
  },
  "consumer-ack-wait": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} waits ${check.found} for an acknowledgement, not ${check.expected}`,
  },
  "consumer-max-deliver": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} delivers a command ${check.found} times at most, not ${check.expected}`,
  },
  "consumer-max-ack-pending": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} lets ${check.found} commands be in flight, not ${check.expected}`,
  },
  "consumer-expiry": { title: (check, evidence) => `The ${consumerOf(check, evidence)} ${check.found}` },
  "consumer-fetch-expiry": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} refuses the workers' fetches: they may wait ${check.found}`,
  },
  "consumer-max-waiting": {
    title: (check, evidence) =>
      `The ${consumerOf(check, evidence)} lets ${check.found} workers wait at a time, ${check.expected} are needed`,
  },
  "consumer-replicas": {
    title: (check, evidence) =>
      `The place of ${consumerOf(check, evidence)} is kept less safely than the stream: ${check.found}`,
  },

  // What was tried with NoETL's login.
  "noetl-login": {
    title: ({ found }) => `NATS does not accept the login that NoETL uses: ${found}`,
    logs: ["nats-login"],
  },
  "noetl-account": {
    title: ({ found }, { stream }) => `NoETL's login sees another account than this check: of ${stream} ${found}`,
  },
  "publish-permission": {
    title: ({ found }) => `NoETL may not publish commands: ${found}`,
    logs: ["nats-permission"],
  },
  "publish-stream": {
    title: ({ found }, { stream }) => `What NoETL publishes does not reach stream ${stream}: ${found}`,
  },
  "publish-subject": { title: ({ found }) => `Commands reach no worker by the name that they get: ${found}` },
  "publish-room": { title: ({ found }) => `NATS has no room for a command: ${found}`, logs: ["store-full"] },
  "publish-size": { title: ({ found }) => `Commands do not fit into a message: NATS takes ${found} at most` },
  "worker-info": {
    title: ({ found }) => `Workers may not look their stream and consumer up: ${found}`,
    logs: ["nats-permission"],
  },
  "worker-lookup": {
    title: ({ found }) => `Workers may not look up which stream has their subject: ${found}`,
    logs: ["nats-permission"],
  },
  "worker-fetch": { title: ({ found }) => `Workers may not ask for commands: ${found}`, logs: ["nats-permission"] },
  "worker-listen": {
    title: ({ found }) => `NATS refuses workers a subscription: ${found}`,
    logs: ["nats-closed", "nats-permission"],
  },
  "worker-remake": {
    title: () => "Workers may not remove the consumer that the next one makes again",
    logs: ["nats-permission"],
  },
  "worker-reach": { title: ({ found }) => `What workers ask does not reach their consumer: ${found}` },
  "worker-ack": { title: ({ found }) => `Workers may not acknowledge commands: ${found}`, logs: ["nats-permission"] },

  // The gateway.
  "bucket-exists": { title: (check) => `The gateway's bucket ${of(check)} does not exist` },
  "bucket-creatable": {
    title: (check) => `NATS would not let the gateway create its bucket ${of(check)}: ${check.found}`,
  },
  "bucket-subjects": { title: (check) => `The gateway's bucket ${of(check)} stores none of its entries` },
  "bucket-writable": { title: (check) => `The gateway's bucket ${of(check)} cannot be written: ${check.found}` },
  "bucket-history": { title: (check) => `The gateway refuses ${of(check)} as a bucket: ${check.found}` },
  "bucket-ttl": {
    title: (check) => `Entries of the gateway's bucket ${of(check)} live ${check.found}, not ${check.expected}`,
  },
  "bucket-replicas": { title: (check) => `The gateway's bucket ${of(check)} has too few replicas: ${check.found}` },
  "bucket-limits": { title: (check) => `The gateway's bucket ${of(check)} has limits: ${check.found}` },
  "gateway-updates": { title: ({ found }) => `The gateway may not listen to updates: ${found}` },
  "gateway-callbacks": { title: ({ found }) => `The gateway may not listen to callbacks: ${found}` },
  "gateway-buckets": { title: ({ found }) => `The gateway may not write its buckets: ${found}` },
  "gateway-apart": {
    title: ({ found }, { stream }) => `Stream ${stream} takes the gateway's messages too: ${found}`,
  },

  // What NoETL itself keeps beside its stream.
  "store-replicas": { title: (check) => `NoETL's own store ${of(check)} has too few replicas: ${check.found}` },

  // What the stack declares beyond NoETL.
  "declared-stream": { title: (check) => `The declared ${of(check)} is not as declared: ${check.found}` },
  "declared-consumer": { title: (check) => `The declared ${of(check)} is not as declared: ${check.found}` },
  "declared-bucket": { title: (check) => `The declared ${of(check)} is not as declared: ${check.found}` },
  "declared-object-store": { title: (check) => `The declared ${of(check)} is not as declared: ${check.found}` },
};

/** A finding of its own for what a broken rule means. */
export interface Special {
  readonly rule: string;
  readonly id: FindingId;
  readonly applies?: (check: CheckFacts, evidence: Evidence) => boolean;
  readonly symptom?: Symptom;
}

/** The rules that tell most, in the order in which one of them names a broken contract. */
export const SPECIALS: readonly Special[] = [
  {
    rule: "stream-overlap",
    id: "subject-taken",
    applies: (_, { nats }) => nats.ok && nats.value.overlapping.length > 0,
  },
  { rule: "stream-retention", id: "work-queue", applies: ({ found }) => found === "workqueue", symptom: "workQueue" },
  { rule: "stream-exists", id: "no-stream", symptom: "noResponse" },
  { rule: "stream-subjects", id: "subject-not-stored", symptom: "noResponse" },
  { rule: "consumer-exists", id: "no-consumer" },
];
