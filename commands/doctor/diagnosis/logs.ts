/** What the lines of pods' logs mean. */
import type { ContainerFacts, LogLine, PodFacts } from "../evidence";

/** What a line of a log means. */
export interface LogSign {
  readonly id: LogMeaning;
  readonly pattern: RegExp;
}

export type LogMeaning =
  | "work-queue"
  | "no-response"
  | "no-stream-for-subject"
  | "stream-gone"
  | "consumer-limit"
  | "consumers-full"
  | "store-full"
  | "store-unwritable"
  | "stream-full"
  | "subject-taken"
  | "nats-closed"
  | "nats-login"
  | "nats-permission"
  | "nats-tls"
  | "jetstream-off"
  | "nats-refused"
  | "nats-timeout"
  | "unknown-host"
  | "database-login"
  | "database-unreachable"
  | "database-schema"
  | "api-unreachable"
  | "other-line"
  | "module-missing";

/**
 * What NoETL's server, worker and gateway say when something between them and NATS or Postgres is wrong; the first that
 * fits counts. Sources: nats-py 2.16 and nats-server 2.15 as NoETL v2.8.9 shows their errors, psycopg 3 and Postgres 17; rustls 0.23;
 * NoETL's Rust programs since server 3.60.2, worker 5.91.2 and gateway 3.7.1, which speak no NATS.
 */
const LOG_SIGNS: readonly LogSign[] = [
  { id: "work-queue", pattern: /deliver all on workqueue stream/i },
  { id: "no-response", pattern: /no response from stream/i },
  { id: "consumer-limit", pattern: /err_code=10121\b|max ack pending exceeds system limit/i },
  { id: "consumers-full", pattern: /err_code=10026\b|maximum consumers limit reached/i },
  {
    id: "store-full",
    pattern: /err_code=100(23|28|47)\b|insufficient (resources|memory|storage)|resource limits exceeded/i,
  },
  // The code is that of every message that was not stored; what the system says of a file or a disk tells this one apart.
  {
    id: "store-unwritable",
    pattern:
      /err_code=10077\b.*(no space left|quota exceeded|read-only file system|input\/output error|permission denied|no such file|too many open files|\.blk\b)/i,
  },
  { id: "stream-full", pattern: /err_code=10077\b|maximum (messages|bytes)( per subject)? exceeded/i },
  { id: "subject-taken", pattern: /err_code=10065\b|subjects overlap with an existing stream/i },
  // The last of NoETL's own: its first connection failed, and it does not try again.
  { id: "nats-closed", pattern: /nats: connection closed|NATS connection is closed|Not connected to NATS/i },
  { id: "nats-login", pattern: /authorization violation|authentication (error|expired)/i },
  { id: "nats-permission", pattern: /permissions? violation/i },
  { id: "jetstream-off", pattern: /jetstream not enabled|err_code=100(39|76)/i },
  { id: "no-stream-for-subject", pattern: /nats: NotFoundError|nats: no stream matches subject/i },
  // A fetch that nobody answers, or whose consumer was deleted while it waited: nats-py's words, and nats.js's.
  {
    id: "stream-gone",
    pattern:
      /nats: ServiceUnavailableError|consumer (deleted|not found)|stream (deleted|not found)|err_code=100(14|59)\b/i,
  },
  { id: "database-login", pattern: /password authentication failed|role ".*" does not exist|no pg_hba\.conf entry/i },
  {
    id: "database-schema",
    pattern: /relation ".*" does not exist|schema ".*" does not exist|database ".*" does not exist/i,
  },
  {
    id: "database-unreachable",
    pattern:
      /(postgres|psycopg|:5432|port 5432).*(refused|could not connect|timed? ?out|failed)|connection to server at .* failed|(refused|timed? ?out|call failed).*(postgres|\b5432\b)/i,
  },
  // After those of the database, whose client quotes the same words of OpenSSL.
  { id: "nats-tls", pattern: /certificate[_ ]verify[_ ]failed|no ssl context provided|invalid peer certificate/i },
  { id: "api-unreachable", pattern: /NoETL's API .* did not answer|wait(ing|ed) for .*(API|\/api\/health)/i },
  { id: "unknown-host", pattern: /name or service not known|name resolution|no such host|getaddrinfo/i },
  { id: "nats-timeout", pattern: /nats: timeout|nats: no servers available/i },
  { id: "nats-refused", pattern: /connect call failed|connection refused|ECONNREFUSED/i },
  {
    id: "other-line",
    pattern:
      /NOETL_KV_ADDR is empty|NOETL_EVENT_FEED_ADDR|NOETL_COMMAND_BUS|NOETL_FEED_FILTER_SUBJECT|"nats": ?"removed"/,
  },
  { id: "module-missing", pattern: /ModuleNotFoundError|ImportError: cannot import name|No module named/ },
];

/** A line of a pod's log and what it means. */
export interface LogHit {
  readonly meaning: LogMeaning;
  readonly line: string;
  readonly at?: number;
}

/** What one line means; undefined where it tells nothing that is known. */
export const meaningOf = (text: string): LogMeaning | undefined =>
  LOG_SIGNS.find(({ pattern }) => pattern.test(text))?.id;

const linesOf = (message: string): LogLine[] => message.split("\n").map((text) => ({ text }));

/** What a container has said: its log, or what it ended with where it has none. */
const said = ({ log, ended }: ContainerFacts): readonly LogLine[] =>
  log.length > 0 ? log : linesOf(ended?.message ?? "");

/** What it said in the run that ended. */
const saidBefore = (container: ContainerFacts): readonly LogLine[] => {
  const { since, lastRun = [], ended } = container;
  if (since === undefined) return said(container);
  return lastRun.length > 0 ? lastRun : linesOf(ended?.message ?? "");
};

const hitOf = ({ text, at }: LogLine): LogHit[] => {
  const meaning = meaningOf(text);
  return meaning === undefined ? [] : [{ meaning, line: text.trim(), at }];
};

/** Every telling line, oldest first within each container. */
export const hits = (pod: PodFacts): LogHit[] => pod.containers.flatMap(said).flatMap(hitOf);

/**
 * What a pod says last that is known: of one that has crashed, what it crashed of. Undefined where it tells nothing, or crashed
 * of something that is not known, whatever it had said before.
 */
export function lastHit(pod: PodFacts): LogHit | undefined {
  const container = crashedContainer(pod);
  const crash = container && dyingWords(container).flatMap(hitOf)[0];
  return container && container.since === undefined ? crash : (hits(pod).at(-1) ?? crash);
}

/** Restarts from which on a container that runs just now counts as crashing, unless it has run long enough. */
const MANY_RESTARTS = 2;
/** A run that is this long, and twice as long as the one before, is one that lasts. Seconds. */
const LASTING_SECONDS = 10;

/** The container that crashes: one that has ended with an error and waits or has ended, or that will do so again. */
function crashedContainer(pod: PodFacts, now?: number): ContainerFacts | undefined {
  if (pod.phase === "Succeeded") return undefined;
  return pod.containers.find(({ ready, waiting, ended, restarts, since }) => {
    if (ended === undefined || (ended.exitCode === 0 && waiting?.reason !== "CrashLoopBackOff")) return false;
    if (since === undefined) return !ready;
    if (restarts < MANY_RESTARTS || now === undefined) return !pod.ready && restarts > 0;
    const lasting = Math.max(LASTING_SECONDS, 2 * (ended.ranSeconds ?? 0));
    return (now - since) / 1000 < lasting;
  });
}

/** Whether a pod crashes: it has ended with an error and does not run, or has done so again and again. */
export const crashes = (pod: PodFacts, now?: number): boolean => crashedContainer(pod, now) !== undefined;

/** What programs say after the words that matter. */
const EPILOGUE =
  /Application startup failed|^INFO\b|Worker \S+ stopped|Closed all Postgres|NATS connection closed$|sys\.exit|Shutting down|Waiting for (application|connections)|Finished server process/i;
/** Words of an error: a level, an error of Python or Go, a fatal end. */
const ERROR =
  /\b(ERROR|CRITICAL|FATAL|FTL|panic)\b|^[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Violation)\b|\berror\b|failed/i;

/** The line that a crashed container ended with, as far as one can tell: the last that speaks of an error, else the last one. */
function dyingWords(container: ContainerFacts): LogLine[] {
  const lines = saidBefore(container).filter(({ text }) => text.trim() !== "");
  const telling = lines.filter(({ text }) => !EPILOGUE.test(text));
  const last =
    telling.findLast(({ text }) => ERROR.test(text) || meaningOf(text) !== undefined) ?? telling.at(-1) ?? lines.at(-1);
  return last ? [last] : [];
}

/** The last words of a pod that crashes; undefined where it crashes without one, or does not crash. */
export function crashWords(pod: PodFacts, now?: number): LogLine | undefined {
  const container = crashedContainer(pod, now);
  return container && dyingWords(container)[0];
}
