/** What Prometheus is to warn of, from the guard's metrics. */
import { SOON_DAYS } from "../nats/certificate";

/** One alert. `finding` is what `npm run doctor` calls the same trouble. */
export interface Alert {
  readonly alert: string;
  /** PromQL. */
  readonly expr: string;
  /** How long it has to be so, as Prometheus writes durations. */
  readonly for: string;
  readonly severity: "critical" | "warning";
  readonly finding: string;
  readonly summary: string;
}

/** Command that says what is wrong and what to do, whichever alert it is. */
const DOCTOR = "npm run doctor -- --stack";

/** Seconds that a command may wait before an alert fires. */
const WAIT_SECONDS = 300;

/**
 * Clusters that share a Prometheus have the label `cluster`.
 *
 * A guard counts what it sees. One that was away itself, since its node was drained with that of NATS, has seen nothing: the stream is a
 * later one then than whichever guard saw within the day before.
 */
const LOST = [
  "increase(noetl_contract_stream_lost_total[10m]) > 0",
  "or on(cluster, namespace, job) max by(cluster, namespace, job, stream) (noetl_contract_stream_created_seconds)",
  "> max by(cluster, namespace, job, stream) (max_over_time(noetl_contract_stream_created_seconds[1d] offset 10m))",
].join(" ");

const OF_METRICS: readonly Alert[] = [
  {
    alert: "NoetlStreamLost",
    expr: LOST,
    for: "0m",
    severity: "warning",
    finding: "executions-wait",
    summary:
      "NATS lost the command stream; commands that waited in it are gone, and their executions have to be started again",
  },
  {
    alert: "NoetlContractBroken",
    expr: "noetl_contract_holds == 0",
    for: "1m",
    severity: "critical",
    finding: "contract",
    summary: "the stream contract is broken: commands are refused, lost or withheld",
  },
  {
    alert: "NoetlNatsAway",
    expr: "noetl_contract_nats_connected == 0",
    for: "1m",
    severity: "critical",
    finding: "pod-not-ready",
    summary: "the guard does not reach NATS",
  },
  {
    alert: "NoetlNoLeader",
    expr: "noetl_contract_leader == 0",
    for: "1m",
    severity: "critical",
    finding: "jetstream-unavailable",
    summary: "JetStream does not answer, or the command stream has no leader",
  },
  {
    // One that is kept by a server alone is away while that restarts.
    alert: "NoetlPartUnanswered",
    expr: "noetl_contract_unanswered == 1",
    for: "5m",
    severity: "warning",
    finding: "jetstream-unavailable",
    summary:
      "nobody answers for a bucket, a store of NoETL's or what is declared: its server is away, or it has no leader",
  },
  {
    alert: "NoetlLag",
    expr: `noetl_contract_oldest_pending_seconds > ${WAIT_SECONDS}`,
    for: "1m",
    severity: "warning",
    finding: "nobody-fetches",
    summary: `a command has waited for more than ${WAIT_SECONDS} s`,
  },
  {
    alert: "NoetlInFlightFull",
    expr: "noetl_contract_in_flight >= noetl_contract_in_flight_max",
    for: "5m",
    severity: "warning",
    finding: "workers-full",
    summary: "the workers have as many commands in flight as they may",
  },
  {
    alert: "NoetlStoreFull",
    expr: "noetl_contract_store_used_bytes / noetl_contract_store_max_bytes > 0.9",
    for: "5m",
    severity: "warning",
    finding: "store-full",
    summary: "JetStream's store is nearly full",
  },
  {
    alert: "NoetlCertificateEnds",
    expr: `noetl_contract_certificate_ends_seconds < ${SOON_DAYS * 86_400}`,
    for: "5m",
    severity: "warning",
    finding: "certificate-ends",
    summary: `the certificate that NATS shows ends within ${SOON_DAYS} days, or has ended: no client connects then`,
  },
];

/** Which guard it is, of clusters that share a Prometheus. */
const WHOSE = "cluster, namespace, job";

/**
 * It does not answer; it does, now and then, since its pod starts again and again; its target is gone, with its pod, that was there
 * within the day before; or there has never been one.
 */
const down = (job: string): string => {
  const up = `up{job="${job}"}`;
  const most = (expr: string): string => `max by(${WHOSE}) (${expr})`;
  return [
    `${most(up)} == 0`,
    `or on(${WHOSE}) ${most(`avg_over_time(${up}[15m])`)} < 0.5`,
    `or on(${WHOSE}) ${most(`resets(noetl_contract_looks_total{job="${job}"}[30m])`)} >= 3`,
    `or on(${WHOSE}) (${most(`max_over_time(${up}[1d])`)} unless on(${WHOSE}) ${up})`,
    `or on(job) absent(${up})`,
  ].join(" ");
};

/** @param job The value of the label `job` of the guard's metrics: namespace and name of the PodMonitor. */
export const alerts = (job: string): readonly Alert[] => [
  ...OF_METRICS,
  {
    alert: "NoetlGuardDown",
    expr: down(job),
    for: "5m",
    severity: "warning",
    finding: "pods-missing",
    summary: "the guard is away, or starts again and again: nobody watches the stream contract",
  },
];

/** The group as a PrometheusRule, and a file of rules, has it. */
export const alertGroup = (job: string, stack: string) => ({
  name: "noetl-nats",
  rules: alerts(job).map(({ alert, expr, for: duration, severity, finding, summary }) => ({
    alert,
    expr,
    for: duration,
    labels: { severity },
    annotations: { summary, finding, command: `${DOCTOR} ${stack}` },
  })),
});
