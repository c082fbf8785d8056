/**
 * The lines of NoETL and what each makes of stream and consumers: the one place for what differs between releases.
 *
 * Sources: `nats_client.py`, `pool_routing.py`, `nats_worker.py` and `config.py` of the Python releases 2.8.9, 2.29.0 and
 * 4.26.0, and `nats.rs` of the Rust worker 5.52.0.
 */
import { CONSUMER, STREAM } from "./facts";

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

/** What a line of NoETL makes where nothing is there, and what of it no setting changes. Durations in seconds. */
export interface LineProfile {
  /** Releases, for the documentation. */
  readonly releases: string;
  readonly storage: "memory" | "file";
  /** Maximum age of a message; 0 is unlimited. */
  readonly maxAgeSeconds: number;
  readonly ackWaitSeconds: number;
  readonly deliverPolicy: "new" | "all";
  /** Limits of a consumer where the line's workers take none from NOETL_WORKER_NATS_*; -1 is unlimited. */
  readonly limits?: { readonly maxAckPending: number; readonly maxDeliver: number };
  /** Subjects of the stream, for the subject that is set. */
  readonly subjects: (subject: string) => readonly string[];
  /** Consumers that the workers make, for the name that is set. */
  readonly consumers: (consumer: string, subject: string) => readonly ConsumerTerms[];
  /** Subjects that the server publishes on while routing is off; for Rust what its pools take. */
  readonly publishes: (subject: string, consumers: readonly ConsumerTerms[]) => readonly string[];
  /**
   * Within how many seconds workers that run add a consumer that is gone, at the latest; undefined where they add it only when
   * they start. Source: `_recover_fetch_subscription` of NoETL's client, in line 2.10 since release 2.100.3.
   */
  readonly addsConsumersWithinSeconds?: number;
  /** What it makes in JetStream beside stream and consumers, for the documentation. */
  readonly beside: readonly string[];
}

const bare = (subject: string): string[] => [subject];
const withBelow = (subject: string): string[] => [subject, `${subject}.>`];
const one = (name: string): ConsumerTerms[] => [{ name }];

/** The consumer of a pool. */
const poolConsumer = (consumer: string, subject: string, segment: string): ConsumerTerms => ({
  name: `${consumer}_${segment}`,
  filters: [`${subject}.${segment}.>`],
});

/** The segment whose consumer has no filter and the name that is set. */
const LEGACY_SEGMENT = "legacy";

/** Segments that commands are routed to: what only Python runs, and all else. A pool `system` is deployed apart. */
const ROUTED_SEGMENTS = ["shared", "python"] as const;

/** NOETL_WORKER_POOL_SEGMENTS where it is not set. */
export const POOL_SEGMENTS: readonly string[] = [LEGACY_SEGMENT, ...ROUTED_SEGMENTS];

/** The consumers of workers with these segments (NOETL_WORKER_POOL_SEGMENTS). */
export const consumersOfSegments = (
  segments: readonly string[],
  consumer: string,
  subject: string,
): readonly ConsumerTerms[] =>
  segments.map((segment) =>
    segment === LEGACY_SEGMENT ? { name: consumer } : poolConsumer(consumer, subject, segment),
  );

/** What a server that routes publishes on (NOETL_COMMAND_ROUTING_ENABLED): the segments of every NoETL, and further ones. */
export const routedSubjects = (subject: string, segments: readonly string[]): readonly string[] =>
  [...new Set([...ROUTED_SEGMENTS, ...segments])]
    .filter((segment) => segment !== LEGACY_SEGMENT)
    .map((segment) => `${subject}.${segment}.>`);

const RESULTS = "bucket noetl_result_store (7200 s)";

export const LINE_PROFILES: Readonly<Record<NoetlLine, LineProfile>> = {
  "2.8": {
    releases: "Python 2.8.0 to 2.10.5",
    storage: STREAM.storage,
    maxAgeSeconds: STREAM.maxAgeSeconds,
    ackWaitSeconds: CONSUMER.ackWaitSeconds,
    deliverPolicy: CONSUMER.deliverPolicy,
    subjects: bare,
    publishes: bare,
    consumers: one,
    beside: ["bucket noetl_execution_state (3600 s)", RESULTS, "object store noetl_result_objects (1 GiB reserved)"],
  },
  "2.10": {
    releases: "Python 2.10.6 to 4.6",
    storage: "memory",
    maxAgeSeconds: 3600,
    ackWaitSeconds: 300,
    addsConsumersWithinSeconds: 30,
    deliverPolicy: "new",
    subjects: bare,
    publishes: bare,
    consumers: one,
    beside: [
      "bucket noetl_execution_state (86400 s)",
      RESULTS,
      "from 2.39, where mirrored, stream NOETL_EVENTS (file, 86400 s)",
    ],
  },
  "4.7": {
    releases: "Python 4.7 to 4.26",
    storage: "memory",
    maxAgeSeconds: 3600,
    ackWaitSeconds: 300,
    addsConsumersWithinSeconds: 30,
    deliverPolicy: "new",
    subjects: withBelow,
    publishes: bare,
    consumers: (consumer, subject) => consumersOfSegments(POOL_SEGMENTS, consumer, subject),
    beside: ["bucket noetl_execution_state (86400 s)", RESULTS, "where mirrored, stream NOETL_EVENTS (file, 86400 s)"],
  },
  rust: {
    releases: "Rust server 2.4.1 to 3.60.1, worker 5.0 to 5.91.1",
    storage: "file",
    maxAgeSeconds: 0,
    ackWaitSeconds: 30,
    deliverPolicy: "all",
    limits: { maxAckPending: 1000, maxDeliver: -1 },
    subjects: withBelow,
    publishes: (subject, consumers) =>
      consumers.every(({ filters }) => filters?.length)
        ? consumers.flatMap(({ filters = [] }) => [...filters])
        : [`${subject}.>`],
    // A worker takes the pool that NATS_FILTER_SUBJECT names.
    consumers: (consumer, subject) => [{ name: consumer, filters: [`${subject}.shared.>`] }],
    beside: ["stream noetl_events with three consumers"],
  },
};

/** A release of the Python NoETL, `[2, 8, 9]`. */
export type Version = readonly [number, number, number];

/** Whether `a` is older than `b`. */
export function isOlder(a: Version, b: Version): boolean {
  const index = a.findIndex((part, position) => part !== b[position]);
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0);
}

/** Names of images that hold a part of the Rust NoETL: its server, its worker, or both. */
const RUST_IMAGE = /(?:^|\/)(?:noetl-rust|(?:noetl-)?(?:server|worker)-rust|noetl-(?:server|worker))$/;

/** The first releases of the Rust server and worker that do not use NATS for commands any more. */
const RUST_WITHOUT_NATS: Readonly<Record<"server" | "worker", Version>> = { server: [3, 60, 2], worker: [5, 91, 2] };

/** Names of images that hold the gateway. */
const GATEWAY_IMAGE = /(?:^|\/)(?:noetl-)?gateway$/;

/**
 * The first release of the gateway that does not use NATS any more: it ends at its start, asking for NOETL_KV_ADDR and
 * NOETL_EVENT_FEED_ADDR.
 */
export const GATEWAY_WITHOUT_NATS: Version = [3, 7, 1];

/** The first release of each line, in their order. */
const SINCE: readonly (readonly [NoetlLine, Version])[] = [
  ["2.8", [2, 8, 0]],
  ["2.10", [2, 10, 6]],
  ["4.7", [4, 7, 0]],
];

/** The first release after the last Python server: what bears such a number is a command-line tool. */
const NO_PYTHON_SERVER: Version = [5, 0, 0];
/** The first release that is not known. */
const NOT_YET_KNOWN: Version = [4, 27, 0];

/** Releases by how they use NATS, for the documentation. */
export interface ReleaseRange {
  readonly releases: string;
  readonly released: string;
  /** Lines of the contract that they are; none where a stack refuses them. */
  readonly lines: readonly NoetlLine[];
  /** What they use NATS for. */
  readonly nats: string;
}

const WITHOUT = "since 1 Aug 2026";
const BROKER = "none for NoETL itself; NATS stays the broker that playbooks use";

/** Releases of server and workers, oldest first. */
export const NOETL_RANGES: readonly ReleaseRange[] = [
  { releases: "Python 2.8.0 to 2.10.5 (2.8.9 is the default)", released: "Mar 2026", lines: ["2.8"], nats: "commands" },
  {
    releases: "Python 2.10.6 to 4.26, the last",
    released: "Mar to Jul 2026",
    lines: ["2.10", "4.7"],
    nats: "commands",
  },
  {
    releases: "Rust server 2.4.1 to 3.60.1, worker 5.0 to 5.91.1",
    released: "Jun and Jul 2026",
    lines: ["rust"],
    nats: "commands, in pools and shards, and an event stream",
  },
  {
    releases: `Rust server since ${RUST_WITHOUT_NATS.server.join(".")}, worker since ${RUST_WITHOUT_NATS.worker.join(".")}`,
    released: WITHOUT,
    lines: [],
    nats: BROKER,
  },
];

/** Releases of the gateway, oldest first; with the lines of NoETL that they were released beside. */
export const GATEWAY_RANGES: readonly ReleaseRange[] = [
  {
    releases: "2.8.7 to 2.11.0",
    released: "1 Mar to 24 May 2026",
    lines: ["2.8", "2.10", "4.7"],
    nats: "sessions, requests, callbacks; updates of executions do not reach browsers",
  },
  {
    releases: "2.11.1 to 2.14.1",
    released: "27 to 29 May 2026",
    lines: ["2.8", "2.10", "4.7"],
    nats: "the same, and updates of executions",
  },
  { releases: "3.0 to 3.7.0", released: "4 Jun to 1 Aug 2026", lines: ["rust"], nats: "the same" },
  { releases: `since ${GATEWAY_WITHOUT_NATS.join(".")}`, released: WITHOUT, lines: [], nats: "none" },
];

/** What an image's reference tells of the NoETL in it. */
export interface ImageLine {
  readonly line: NoetlLine;
  /** Undefined where the tag does not tell. A part that the tag leaves out (`2.10`) is the newest: Infinity. */
  readonly version?: Version;
  /** True where the release is none of the known ones and the line is the nearest. */
  readonly isNearest?: true;
  /** True where this NoETL does not use NATS for commands. */
  readonly withoutNats?: true;
}

/** The release in a tag: `v2.8.9`, `2.8.9-arm64`, `local_2.8.9`, `v2.10`, `4`; undefined where there is none. */
function versionIn(tag: string): Version | undefined {
  const parts = tag.split(/[-_+]/);
  const found = parts.find((part) => /^v?\d+\.\d+(\.\d+)?$/.test(part)) ?? (/^v?\d{1,2}$/.test(tag) ? tag : undefined);
  if (found === undefined) return undefined;
  const [major = 0, minor = Infinity, patch = Infinity] = found.replace("v", "").split(".").map(Number);
  return [major, minor, patch];
}

/** An image's name without tag and digest, and the release in its tag. */
function releaseIn(image: string): { name: string; version: Version | undefined } {
  const [reference = ""] = image.split("@");
  const [, name = "", tag = ""] = /^(.*?)(?::([\w][\w.-]*))?$/.exec(reference) ?? [];
  return { name, version: versionIn(tag) };
}

/**
 * The line of NoETL that an image holds, from its name and tag; undefined where they do not tell: `latest`, a digest
 * alone, a build's own name, a release that is not a server.
 */
export function lineOfImage(image: string): ImageLine | undefined {
  const { name, version } = releaseIn(image);
  if (RUST_IMAGE.test(name)) {
    const last = RUST_WITHOUT_NATS[name.includes("server") ? "server" : "worker"];
    const isAfter = version !== undefined && !isOlder(version, last);
    return { line: "rust", version, withoutNats: isAfter || undefined };
  }
  if (version === undefined || version[0] < 1 || !isOlder(version, NO_PYTHON_SERVER)) return undefined;
  const [line] = SINCE.findLast(([, since]) => !isOlder(version, since)) ?? ["2.8" as const];
  const isFinite = version.every(Number.isFinite);
  const isKnown = !isOlder(version, [2, 8, 0]) && (!isFinite || isOlder(version, NOT_YET_KNOWN));
  return { line, version, isNearest: !isKnown || undefined };
}

/** Whether an image holds a gateway that does not use NATS, as far as its name and tag tell. */
export function isGatewayWithoutNats(image: string): boolean {
  const { name, version } = releaseIn(image);
  return GATEWAY_IMAGE.test(name) && version !== undefined && !isOlder(version, GATEWAY_WITHOUT_NATS);
}

/** The first release whose server publishes on NATS_SUBJECT; those before it publish on noetl.commands whatever is set. */
export const SUBJECT_SINCE: Version = [2, 11, 0];

/** The first release whose workers make a consumer for each pool. */
export const POOLS_SINCE: Version = [4, 8, 0];

/**
 * Whether the server of that NoETL publishes on `noetl.commands` alone, whatever NATS_SUBJECT says; undefined where the line
 * has releases of both kinds and nothing tells which it is.
 */
export function ignoresSubject({ line, version }: ImageLine): boolean | undefined {
  if (line === "rust" || line === "4.7") return false;
  if (version !== undefined) return isOlder(version, SUBJECT_SINCE);
  return line === "2.8" ? true : undefined;
}

/** A release as its tag has it: `2.10` where the tag says no more. */
export const versionText = (version: Version): string => version.filter(Number.isFinite).join(".");
