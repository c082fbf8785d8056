/**
 * The lines of NoETL and what each makes of stream and consumers: the one place for what differs between releases.
 *
 * Sources: `nats_client.py`, `pool_routing.py`, `nats_worker.py` and `config.py` of the Python releases 2.8.9, 2.29.0 and
 * 4.26.0, and `nats.rs` of the Rust worker 5.52.0.
 */
import { CONSUMER, STREAM } from "./noetl";

/**
 * `2.8`: Python before 2.10.6. `2.10`: Python from 2.10.6 to before 4.7. `4.7`: Python from 4.7 on, with pools.
 * `rust`: the Rust server and workers that use NATS.
 */
export const NOETL_LINES = ["2.8", "2.10", "4.7", "rust"] as const;
export type NoetlLine = (typeof NOETL_LINES)[number];

/** One durable consumer of the command stream. Expectations that are left out are those of the contract. */
export interface ConsumerTerms {
  readonly name: string;
  /** Subjects that the consumer is to let through, and no others. Undefined: it needs to let through what is published. */
  readonly filters?: readonly string[];
  /** Time to acknowledge in seconds. */
  readonly ackWaitSeconds?: number;
  /** Messages in flight at most; -1 is unlimited. */
  readonly maxAckPending?: number;
  /** Deliveries of one message at most; -1 is unlimited. */
  readonly maxDeliver?: number;
}

/** What a line of NoETL makes where nothing is there. Durations in seconds. */
export interface LineProfile {
  readonly storage: "memory" | "file";
  /** Maximum age of a message; 0 is unlimited. */
  readonly maxAgeSeconds: number;
  readonly ackWaitSeconds: number;
  readonly deliverPolicy: "new" | "all";
  /** Subjects of the stream, for the subject that is set. */
  readonly subjects: (subject: string) => readonly string[];
  /** Subjects that the server publishes on while routing is off, or always for Rust. */
  readonly publishes: (subject: string) => readonly string[];
  /** Consumers that the workers make, for the name that is set. */
  readonly consumers: (consumer: string, subject: string) => readonly ConsumerTerms[];
}

const bare = (subject: string): string[] => [subject];
const withBelow = (subject: string): string[] => [subject, `${subject}.>`];
const one = (name: string): ConsumerTerms[] => [{ name }];

/** Segments of NOETL_WORKER_POOL_SEGMENTS where it is not set, apart from `legacy`, the consumer without a filter. */
export const POOL_SEGMENTS = ["shared", "python"] as const;

export const LINE_PROFILES: Readonly<Record<NoetlLine, LineProfile>> = {
  "2.8": {
    storage: STREAM.storage,
    maxAgeSeconds: STREAM.maxAgeSeconds,
    ackWaitSeconds: CONSUMER.ackWaitSeconds,
    deliverPolicy: CONSUMER.deliverPolicy,
    subjects: bare,
    publishes: bare,
    consumers: one,
  },
  "2.10": {
    storage: "memory",
    maxAgeSeconds: 3600,
    ackWaitSeconds: 300,
    deliverPolicy: "new",
    subjects: bare,
    publishes: bare,
    consumers: one,
  },
  "4.7": {
    storage: "memory",
    maxAgeSeconds: 3600,
    ackWaitSeconds: 300,
    deliverPolicy: "new",
    subjects: withBelow,
    publishes: bare,
    consumers: (consumer, subject) => [
      { name: consumer },
      ...POOL_SEGMENTS.map((segment) => ({ name: `${consumer}_${segment}`, filters: [`${subject}.${segment}.>`] })),
    ],
  },
  rust: {
    storage: "file",
    maxAgeSeconds: 0,
    ackWaitSeconds: 30,
    deliverPolicy: "all",
    subjects: withBelow,
    publishes: (subject) => [`${subject}.>`],
    consumers: one,
  },
};

/** A release of the Python NoETL, `[2, 8, 9]`. */
export type Version = readonly [number, number, number];

/** Whether `a` is older than `b`. */
export function isOlder(a: Version, b: Version): boolean {
  const index = a.findIndex((part, position) => part !== b[position]);
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0);
}

/** Names of images that hold a part of the Rust NoETL. */
const RUST_IMAGE = /(?:^|\/)(?:noetl-(?:server|worker)|(?:server|worker)-rust|noetl-rust)$/;

/** What an image's reference tells of the NoETL in it. */
export interface ImageLine {
  readonly line: NoetlLine;
  /** Undefined where the tag does not tell. */
  readonly version?: Version;
}

/**
 * The line of NoETL that an image holds, from its name and tag; undefined where they do not tell: `latest`, a digest
 * alone, a build's own name, a release that is not known to have existed.
 *
 * What follows the version (`v2.8.9-arm64`, `2.8.9_local`) does not count.
 */
export function lineOfImage(image: string): ImageLine | undefined {
  const [reference = ""] = image.split("@");
  const tagged = /^(.*?)(?::([\w][\w.-]*))?$/.exec(reference);
  const name = tagged?.[1] ?? "";
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?![\d.])/.exec(tagged?.[2] ?? "");
  if (!match) return undefined;
  const version: Version = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (RUST_IMAGE.test(name)) return { line: "rust", version };
  if (isOlder(version, [2, 0, 0]) || !isOlder(version, [5, 0, 0])) return undefined;
  if (isOlder(version, [2, 10, 6])) return { line: "2.8", version };
  if (isOlder(version, [4, 7, 0])) return { line: "2.10", version };
  return { line: "4.7", version };
}

/** The first release whose server publishes on NATS_SUBJECT; those before it publish on noetl.commands whatever is set. */
export const SUBJECT_SINCE: Version = [2, 11, 0];

/** The first release whose workers make a consumer for each pool. */
export const POOLS_SINCE: Version = [4, 8, 0];

/** Whether the server of that NoETL publishes on `noetl.commands` alone, whatever NATS_SUBJECT says. */
export const ignoresSubject = ({ line, version }: Partial<ImageLine>): boolean =>
  version === undefined ? line === "2.8" : line !== "rust" && isOlder(version, SUBJECT_SINCE);

/** The consumers that the workers of that NoETL make. */
export function consumersOfLine(
  { line, version }: ImageLine,
  consumer: string,
  subject: string,
): readonly ConsumerTerms[] {
  if (line === "4.7" && version !== undefined && isOlder(version, POOLS_SINCE)) return one(consumer);
  return LINE_PROFILES[line].consumers(consumer, subject);
}
