/** The guard's metrics, as text that Prometheus reads. */
import type { ConsumerInfo, StreamInfo } from "nats";
import { checkName, type RuleResult } from "../rules";
import { peersOf, REPAIR_MARK } from "../rules/rule";
import type { Decision, Seen } from "./decide";
import type { GuardMode, Stores } from "./settings";

/** What has been counted since the guard started. */
export interface Counts {
  /** Times that the stream was gone, or was another one than before. */
  streamLost: number;
  /** Times that a stream was there again after that, whoever made it. */
  streamRemade: number;
  heals: Record<"stream" | "consumer" | "bucket", number>;
  /** Creations that NATS refused. */
  refused: number;
  looks: number;
}

export const newCounts = (): Counts => ({
  streamLost: 0,
  streamRemade: 0,
  heals: { stream: 0, consumer: 0, bucket: 0 },
  refused: 0,
  looks: 0,
});

/** What the last look found, and what followed from it. */
export interface LastLook {
  readonly seen: Seen;
  readonly decision: Decision;
  /** Seconds that the oldest command has waited at least. */
  readonly oldestPendingSeconds: number;
}

export interface MetricsState {
  readonly mode: GuardMode;
  /** Whether a connection to NATS stands. */
  readonly connected: boolean;
  /** Whether JetStream answers on it. */
  readonly answers: boolean;
  readonly counts: Counts;
  readonly stores: Stores;
  /** Undefined where NATS cannot be asked now: what was true before is not known to be so. */
  readonly last: LastLook | undefined;
  /** Until the end of the certificate that NATS shows; undefined without TLS, and where it could not be seen. */
  readonly certificateSeconds?: number | undefined;
}

/** Every metric: name, kind, and what it tells. */
export const METRICS = {
  noetl_contract_nats_connected: ["gauge", "1 while the guard is connected to NATS"],
  noetl_contract_leader: ["gauge", "1 while JetStream answers and the command stream, where it exists, has a leader"],
  noetl_contract_holds: ["gauge", "1 while the stream contract holds, 0 while it is broken"],
  noetl_contract_rule_broken: ["gauge", "1 for each broken rule, with its severity and the object that it is about"],
  noetl_contract_stream_present: ["gauge", "1 while the command stream exists"],
  noetl_contract_stream_created_seconds: [
    "gauge",
    "seconds since 1970 at which the command stream was created; absent where a repair made it, which moves its messages",
  ],
  noetl_contract_unanswered: [
    "gauge",
    "1 while nobody answers for a bucket, a store of NoETL's or what is declared, and the guard goes on without it",
  ],
  noetl_contract_repair: [
    "gauge",
    "1 while a repair is at work or was interrupted, and the guard leaves everything alone",
  ],
  noetl_contract_stream_lost_total: [
    "counter",
    "times that the command stream was gone, or was replaced between two looks",
  ],
  noetl_contract_stream_remade_total: ["counter", "times that a lost command stream was there again, whoever made it"],
  noetl_contract_heals_total: ["counter", "streams, consumers and buckets that this guard created"],
  noetl_contract_heals_refused_total: ["counter", "creations that NATS refused"],
  noetl_contract_lag: ["gauge", "commands that wait for a worker, by consumer"],
  noetl_contract_oldest_pending_seconds: [
    "gauge",
    "seconds that the oldest unacknowledged command has waited at least",
  ],
  noetl_contract_redelivered: ["gauge", "commands in flight that were delivered more than once, by consumer"],
  noetl_contract_in_flight: ["gauge", "commands that are delivered and not acknowledged, by consumer"],
  noetl_contract_in_flight_max: ["gauge", "most commands that may be in flight, by consumer; absent where unlimited"],
  noetl_contract_store_used_bytes: ["gauge", "bytes that the account has stored, by storage"],
  noetl_contract_store_max_bytes: ["gauge", "bytes that may be stored, by storage; absent where not known"],
  noetl_contract_certificate_ends_seconds: [
    "gauge",
    "seconds until the certificate that NATS shows ends, below 0 once it has; absent without TLS",
  ],
  noetl_contract_looks_total: ["counter", "times that the guard has looked"],
} as const satisfies Record<string, readonly ["gauge" | "counter", string]>;

export type Metric = keyof typeof METRICS;

/** A value with its labels. */
export interface Value {
  readonly metric: Metric;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const value = (metric: Metric, of: number | boolean, labels: Value["labels"] = {}): Value => ({
  metric,
  labels,
  value: Number(of),
});

/** Prometheus' text format, version 0.0.4. */
export function metricsText(state: MetricsState): string {
  const values = metricValues(state);
  return (Object.keys(METRICS) as Metric[])
    .flatMap((metric) => {
      const own = values.filter((each) => each.metric === metric);
      const [kind, help] = METRICS[metric];
      const lines = own.map(({ labels, value: number }) => `${metric}${labelText(labels)} ${number}`);
      return lines.length === 0 ? [] : [`# HELP ${metric} ${help}`, `# TYPE ${metric} ${kind}`, ...lines];
    })
    .map((line) => `${line}\n`)
    .join("");
}

function labelText(labels: Value["labels"]): string {
  const escaped = (text: string): string =>
    text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const parts = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function metricValues(state: MetricsState): Value[] {
  const { mode, connected, answers, counts, stores, last, certificateSeconds } = state;
  return [
    value("noetl_contract_nats_connected", connected),
    ...(connected ? [value("noetl_contract_leader", answers && hasLeader(last))] : []),
    value("noetl_contract_stream_lost_total", counts.streamLost),
    value("noetl_contract_stream_remade_total", counts.streamRemade),
    ...Object.entries(counts.heals).map(([kind, times]) => value("noetl_contract_heals_total", times, { kind, mode })),
    value("noetl_contract_heals_refused_total", counts.refused),
    ...(certificateSeconds === undefined ? [] : [value("noetl_contract_certificate_ends_seconds", certificateSeconds)]),
    value("noetl_contract_looks_total", counts.looks),
    ...(last ? lookValues(last, stores) : []),
  ];
}

const hasLeader = (last: LastLook | undefined): boolean =>
  !last?.seen.observed.stream || !peersOf(last.seen.observed.stream).trouble.includes("no leader");

function lookValues({ seen, decision, oldestPendingSeconds }: LastLook, stores: Stores): Value[] {
  const { stream, consumer, consumers = consumer ? { [consumer.name]: consumer } : {}, account } = seen.observed;
  const each = (of: (info: ConsumerInfo) => number, metric: Metric): Value[] =>
    Object.values(consumers).flatMap((info) => (info ? value(metric, of(info), { consumer: info.name }) : []));
  const limits = Object.values(consumers).flatMap((info) => {
    const most = info?.config.max_ack_pending ?? 0;
    return info && most > 0 ? value("noetl_contract_in_flight_max", most, { consumer: info.name }) : [];
  });
  return [
    value("noetl_contract_holds", decision.holds),
    ...decision.broken.map(brokenValue),
    value("noetl_contract_stream_present", stream !== undefined),
    ...(stream && stream.config.metadata?.[REPAIR_MARK] === undefined
      ? [value("noetl_contract_stream_created_seconds", createdSeconds(stream), { stream: stream.config.name })]
      : []),
    value("noetl_contract_unanswered", seen.unanswered.length > 0),
    value("noetl_contract_repair", decision.repairing),
    ...each(({ num_pending: waiting }) => waiting, "noetl_contract_lag"),
    value("noetl_contract_oldest_pending_seconds", Math.round(oldestPendingSeconds * 1000) / 1000),
    ...each(({ num_redelivered: again }) => again, "noetl_contract_redelivered"),
    ...each(({ num_ack_pending: open }) => open, "noetl_contract_in_flight"),
    ...limits,
    ...(account ? storeValues(account, stores) : []),
  ];
}

const createdSeconds = ({ created }: StreamInfo): number => Date.parse(String(created)) / 1000;

const brokenValue = (result: RuleResult): Value => {
  const name = checkName(result);
  const labels: Record<string, string> = { rule: result.id, severity: result.severity };
  if (name !== result.id) labels.object = name.slice(`${result.id} of `.length);
  return value("noetl_contract_rule_broken", 1, labels);
};

function storeValues(account: NonNullable<Seen["observed"]["account"]>, stores: Stores): Value[] {
  const kinds = [
    ["memory", account.memory, account.limits.max_memory, stores.memory],
    ["file", account.storage, account.limits.max_storage, stores.file],
  ] as const;
  return kinds.flatMap(([storage, used, limit, size]) => {
    // An account without a limit of its own has the server's.
    const most = limit > 0 ? limit : size;
    return [
      value("noetl_contract_store_used_bytes", used, { storage }),
      ...(most === undefined ? [] : [value("noetl_contract_store_max_bytes", most, { storage })]),
    ];
  });
}
