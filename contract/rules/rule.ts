/** What a rule of the contract is, what it looks at, and what can be done against a broken one. */
import type { ConsumerConfig, ConsumerInfo, JetStreamAccountStats, StreamConfig, StreamInfo } from "nats";
import type { ConsumerTerms } from "../lines";
import { isOlder } from "../declared/fields";
import type { DeclaredObserved } from "../declared/observe";
import type { DeclaredChange } from "../declared/plan";
import type { ContractInputs } from "../inputs";
import type { Feeder } from "./feeders";
import type { Probe, PublishProbe, Refusal, WorkerProbe } from "../probe-results";

/** Violations fail the update: NoETL does not work. Drift warns, and fails only with `strict`. */
export type Severity = "violation" | "drift";

/** What happens where a rule is broken, which alone decides how severe it is. */
export const EFFECTS = {
  refused: { severity: "violation", means: "commands are refused" },
  lost: { severity: "violation", means: "commands are lost" },
  doubled: { severity: "violation", means: "commands come again without end" },
  withheld: { severity: "violation", means: "workers get no commands" },
  gateway: { severity: "violation", means: "the gateway does not work" },
  differs: { severity: "drift", means: "NoETL works, differently" },
  over: { severity: "drift", means: "it is over, and reported" },
} as const satisfies Record<string, { severity: Severity; means: string }>;

export type Effect = keyof typeof EFFECTS;

/** The part of the inputs that the rules go by. */
export type Contract = Pick<
  ContractInputs,
  | "connection"
  | "stream"
  | "subject"
  | "consumer"
  | "noetlLine"
  | "publishes"
  | "consumers"
  | "expect"
  | "worker"
  | "gateway"
  | "declared"
  | "declaredOnly"
>;

/** A key-value bucket of the gateway: the stream `KV_<name>`. */
export interface Bucket {
  readonly name: string;
  /** Life of an entry, in seconds. */
  readonly ttlSeconds: number;
  /** Largest value that the gateway writes, in bytes. */
  readonly valueBytes: number;
  /** What the gateway keeps in it, in words. */
  readonly purpose: string;
}

/** What the gateway's user may do; a refusal is the server's own sentence. */
export interface GatewayAccess {
  readonly updatesRefused?: string;
  readonly callbacksRefused?: string;
  /** Subjects of the buckets that the user may not write; undefined where the server does not tell. */
  readonly unwritable?: readonly string[];
  /** Why the server would refuse the buckets that the gateway would have to create; null where it would not. */
  readonly creations?: Readonly<Record<string, Refusal | null | undefined>>;
}

/** What the server says; undefined where it has nothing of that name, or where the login may not ask. */
export interface Observed {
  /** Of the server that was asked, `2.15.2`; undefined where none was. */
  readonly serverVersion?: string;
  readonly stream: StreamInfo | undefined;
  /** The first of the workers' consumers, which the others are named after. */
  readonly consumer: ConsumerInfo | undefined;
  /** All of them, by name; undefined where the first is the only one. */
  readonly consumers?: Readonly<Record<string, ConsumerInfo | undefined>>;
  /** Limits and usage of the account. */
  readonly account?: JetStreamAccountStats;
  /** Streams other than the contract's that take NATS_SUBJECT or a part of it. */
  readonly overlapping?: readonly string[];
  /** Other streams that republish on the subjects of the contract's. */
  readonly feeders?: readonly Feeder[];
  /** Streams behind the gateway's buckets, by bucket. */
  readonly buckets?: Readonly<Record<string, StreamInfo | undefined>>;
  readonly gateway?: GatewayAccess;
  /** Streams behind the buckets and the object store that NoETL itself makes, by stream; asked for where they are to have copies. */
  readonly stores?: Readonly<Record<string, StreamInfo | undefined>>;
  /** What is declared beyond NoETL's own, where something is. */
  readonly declared?: DeclaredObserved;
  /** What was tried out with NoETL's login; undefined where that login is not known. */
  readonly probe?: Probe;
  /** When the stream was created, as an earlier check found it. */
  readonly streamRemembered?: string;
  /** What mode `ensure` set itself, which it may therefore take back. */
  readonly ensured?: Ensured;
}

/** Durations that an earlier run of mode `ensure` left behind as it was asked to, in seconds. */
export interface Ensured {
  readonly maxAgeSeconds: number;
  /** By consumer. */
  readonly ackWaitSeconds: Readonly<Record<string, number>>;
  /** By bucket. */
  readonly ttlSeconds: Readonly<Record<string, number>>;
}

/** What rules look at: the object that a rule is about is there when it is asked. */
export interface Found extends Observed {
  readonly stream: StreamInfo;
  readonly consumer: ConsumerInfo;
  readonly account: JetStreamAccountStats;
  readonly gateway: GatewayAccess;
  readonly bucket: Bucket & { readonly info: StreamInfo };
  /** One of NoETL's own stores. */
  readonly store: StreamInfo;
  /** What is asked of the consumer that the rule is about. */
  readonly terms: ConsumerTerms;
  readonly probe: Probe;
  readonly publish: PublishProbe;
  readonly workerProbe: WorkerProbe;
}

export type StreamPatch = Partial<StreamConfig>;
export type ConsumerPatch = Partial<ConsumerConfig>;

/**
 * One thing to do against a broken rule. A patch changes fields of a configuration; an undefined value removes one.
 * `consumer` names the consumer where it is not the first of the contract.
 */
export type Fix =
  | { readonly action: "recreate-stream" }
  | { readonly action: "recreate-consumer"; readonly consumer?: string }
  | { readonly action: "restart-server" | "restart-worker" | "restart-gateway" }
  | { readonly action: "edit-stream"; readonly patch: StreamPatch }
  | { readonly action: "edit-consumer"; readonly consumer?: string; readonly patch: ConsumerPatch }
  | { readonly action: "resume-consumer"; readonly consumer?: string }
  | { readonly action: "recreate-bucket"; readonly bucket: string }
  | { readonly action: "edit-bucket"; readonly bucket: string; readonly patch: StreamPatch }
  /**
   * What no command can do without knowing more, in words. `ofUsers` where it is about the users of NATS, which whoever installs
   * NATS writes.
   */
  | { readonly action: "advise"; readonly advice: string; readonly ofUsers?: true };

/** What mode `ensure` does instead of a {@link Fix}, because it is there before NoETL starts and changes less. */
export type Ensure =
  | { readonly action: "create-stream" }
  | { readonly action: "create-consumer"; readonly consumer?: string }
  /** It stays as it is, because a change would take something from whoever set it; the reason follows "it stays: ". */
  | { readonly action: "leave"; readonly why: string }
  | { readonly action: "create-bucket"; readonly bucket: string }
  /** An update of the stream behind one of NoETL's own stores. */
  | { readonly action: "edit-store"; readonly store: string; readonly patch: StreamPatch }
  | { readonly action: "declared"; readonly changes: readonly DeclaredChange[] }
  | Extract<Fix, { readonly patch: unknown }>;

/** One row of the contract. */
export interface Rule {
  readonly id: string;
  readonly severity: Severity;
  /** Why it has that severity. */
  readonly effect?: Effect;
  /**
   * What it is about; the rule is asked only where that is there, unless it is about its existence. Rules about `publish` are
   * asked for every subject and login, rules about `worker` for every consumer, rules about `store` for every bucket and object
   * store that NoETL itself has made, rules about `login` once.
   */
  readonly about:
    "account" | "stream" | "consumer" | "bucket" | "store" | "gateway" | "login" | "publish" | "worker" | "declared";
  /** What is checked, for the documentation. */
  readonly checks: string;
  /** What breaks in NoETL where the rule is broken. */
  readonly why: string;
  /** How it is fixed, for the documentation. */
  readonly remedy: string;
  /** Whether NoETL's own start-up may still be about to put it right, so that waiting makes sense, and for how long. */
  readonly waits?: "until-deadline" | "briefly";
  /** True where nobody is there to put it right, so that waiting makes no sense after all. */
  readonly canRecover?: (contract: Contract) => boolean;
  /** True where it tells of something that is over: it is reported, and fails nothing, `strict` or not. */
  readonly isEvent?: true;
  /** Narrows down where the rule is asked. */
  readonly applies?: (observed: Observed, contract: Contract) => boolean;
  /** Narrows down of what it is asked: the subject, the consumer. */
  readonly appliesTo?: (found: Found, contract: Contract) => boolean;
  readonly expected: (contract: Contract, observed: Found) => string;
  readonly found: (observed: Found, contract: Contract) => string;
  readonly holds: (observed: Found, contract: Contract) => boolean;
  readonly fix: (contract: Contract, observed: Found) => Fix;
  /** What `ensure` does where it differs from {@link fix}; undefined where it does not. */
  readonly ensure?: (contract: Contract, observed: Found) => Ensure | undefined;
}

/** The stream that takes what is published while `doctor --repair` replaces the contract's. */
export const holdingStream = (stream: string): string => `${stream}-repair`;

/** The stream in which whoever repairs a stream says so; it holds a message while that one is at work. */
export const lockStream = (stream: string): string => `${stream}-repair-lock`;

/** First tokens of the subjects that a stream has while a repair replaces it, and that nobody else publishes on. */
export const FROZEN_SUBJECT = "noetl-nats.repair";

/** Metadata of a stream that a repair made in the place of another. */
export const REPAIR_MARK = "noetl-nats.repair";

/** What is to be done where a repair has left it, since it may hold what the stream does not have. */
export const GO_ON_WITH_REPAIR =
  "a repair is under way, or was interrupted: wait for it, or run it again where it ran (npm run doctor -- --stack NAME --repair), " +
  "which gives the subject back with what was published meanwhile; do not remove its stream";

const NANOSECONDS = 1e9;

/** What every command notification fits in with room to spare, in bytes. */
export const NOTIFICATION_BYTES = 4096;

export const toSeconds = (nanoseconds: number | undefined): number => (nanoseconds ?? 0) / NANOSECONDS;
export const toNanoseconds = (seconds: number): number => Math.round(seconds * NANOSECONDS);
export const duration = (seconds: number): string => (seconds === 0 ? "unlimited" : `${seconds} s`);
export const list = (values: readonly string[]): string => (values.length === 0 ? "none" : values.join(", "));

/** Whether a limit limits: nats-server takes whatever is below 1 for unlimited. */
export const limited = (value: number | undefined): value is number => value !== undefined && value > 0;
export const count = (value: number | undefined): string => (limited(value) ? String(value) : "unlimited");
export const sameCount = (a: number | undefined, b: number): boolean => count(a) === count(b);

export const editStream = (patch: StreamPatch): Fix => ({ action: "edit-stream", patch });
export const editConsumer = (patch: ConsumerPatch): Fix => ({ action: "edit-consumer", patch });
export const editBucket = (bucket: string, patch: StreamPatch): Fix => ({ action: "edit-bucket", bucket, patch });
export const recreateStream = (): Fix => ({ action: "recreate-stream" });
export const recreateConsumer = (): Fix => ({ action: "recreate-consumer" });

/** Lets a login do something at NATS. */
export const grant = (
  login: string,
  what: "publish" | "subscribe",
  subject: string,
): Extract<Fix, { action: "advise" }> => ({
  action: "advise",
  advice:
    `let ${login} ${what === "publish" ? "publish on" : "subscribe to"} ${subject}: add it to \`allow\` of the user's ` +
    `\`permissions.${what}\` in NATS' configuration, or take it from \`deny\`, and reload NATS`,
  ofUsers: true,
});

/** Lets a connection have more subscriptions. */
export const MORE_SUBSCRIPTIONS: Extract<Fix, { action: "advise" }> = {
  action: "advise",
  advice:
    "take the limit of subscriptions away, or raise it to at least 20 a connection, since a worker takes one more for each large result that it " +
    "reads: `max_subscriptions` of the server, which has to be restarted, `max_subs` in `limits` of the account, or `subs` of the account's " +
    "or user's JWT",
};

/** Whether the server is older than 2.`minor`, so that it does not let one change what later ones do. */
export function isOlderThan(minor: number, { serverVersion }: Pick<Observed, "serverVersion">): boolean {
  return serverVersion !== undefined && isOlder(serverVersion, `2.${minor}`);
}

export const replicasWords = (replicas: number): string =>
  replicas === 1 ? "at least 1 replica" : `at least ${replicas} replicas`;

/** What there is to do where a server on its own is asked for several copies. */
export const loneServer = (replicas: number, what: string): Fix => ({
  action: "advise",
  advice:
    `run NATS with ${replicas} servers (natsReplicas) and set ${what} to as many replicas, or ask for one ` +
    "replica: a server on its own keeps no second copy",
});

/** Servers that a stream or consumer is really on: its leader and the others. A server on its own reports no cluster. */
export function peersOf({ cluster }: Pick<StreamInfo, "cluster">): { real: number; trouble: string[] } {
  const others = cluster?.replicas ?? [];
  const trouble = others.flatMap(({ name, offline, current }) => {
    if (offline) return [`${name} is offline`];
    return current ? [] : [`${name} is not in step`];
  });
  if (cluster?.name !== undefined && !cluster.leader) trouble.unshift("no leader");
  return { real: 1 + others.length, trouble };
}

/** Up to which message a consumer leads nobody to one any more. One that has delivered nothing has come as far as it began. */
export const settledBy = ({ ack_floor: floor, delivered }: ConsumerInfo): number =>
  delivered.consumer_seq === 0 ? Math.max(floor.stream_seq, delivered.stream_seq) : floor.stream_seq;
