import type { PodFacts } from "../evidence";

/** What a line of a log means. */
export interface LogSign {
  readonly id: LogMeaning;
  readonly pattern: RegExp;
}

export type LogMeaning =
  | "work-queue"
  | "no-response"
  | "no-stream-for-subject"
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
  | "api-unreachable";

/**
 * What NoETL's server, worker and gateway say when something between them and NATS or Postgres is wrong; the first that
 * fits counts. Sources: nats-py 2.16 and nats-server 2.15 as NoETL v2.8.9 shows their errors, psycopg 3 and Postgres 17; rustls 0.23.
 */
const LOG_SIGNS: readonly LogSign[] = [
  { id: "work-queue", pattern: /deliver all on workqueue stream/i },
  { id: "no-response", pattern: /no response from stream/i },
  { id: "nats-login", pattern: /authorization violation|authentication (error|expired)/i },
  { id: "nats-permission", pattern: /permissions? violation/i },
  { id: "jetstream-off", pattern: /jetstream not enabled|err_code=100(39|76)/i },
  { id: "no-stream-for-subject", pattern: /nats: NotFoundError|nats: no stream matches subject/i },
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
];

/** A line of a pod's log and what it means. */
export interface LogHit {
  readonly meaning: LogMeaning;
  readonly line: string;
}

/** The last telling line of a pod's logs; undefined where none tells anything. */
export function lastHit(pod: PodFacts): LogHit | undefined {
  return hits(pod).at(-1);
}

/** Every telling line, oldest first within each container. */
export function hits(pod: PodFacts): LogHit[] {
  return pod.containers
    .flatMap(({ log, ended }) => (log.length > 0 ? log : (ended?.message ?? "").split("\n")))
    .flatMap((line) => {
      const sign = LOG_SIGNS.find(({ pattern }) => pattern.test(line));
      return sign ? [{ meaning: sign.id, line: line.trim() }] : [];
    });
}
