import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { FINDINGS } from "../../../commands/doctor/diagnosis";
import { alertGroup, alerts } from "../../../contract/guard/alerts";
import { METRICS } from "../../../contract/guard/metrics";
import { ensurePromtool } from "../../support/promtool";

const JOB = "nats/contract-guard";
let dir: string;
let promtool: string;

beforeAll(() => {
  promtool = ensurePromtool();
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "guard-alerts-"));
  fs.writeFileSync(path.join(dir, "rules.yaml"), stringify({ groups: [alertGroup(JOB, "kind")] }));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const run = (...args: string[]): string => {
  try {
    return execFileSync(promtool, args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}${stderr}`, { cause: error });
  }
};

/** Values once a minute, and when which alert is there. */
interface Case {
  readonly alert: string;
  readonly series: Readonly<Record<string, string>>;
  /** Minutes at which it is not there yet, or not any more. */
  readonly quiet: number | readonly number[];
  /** Undefined where it is never there. */
  readonly fires?: number;
  /** Labels beside its severity. */
  readonly labels?: Readonly<Record<string, string>>;
}

const OF = `{consumer="noetl_worker_pool",job="${JOB}"}`;
const up = `up{job="${JOB}"}`;
const LABELS = { job: JOB };
const IN_FLIGHT = { ...LABELS, consumer: "noetl_worker_pool" };

const CASES: readonly Case[] = [
  {
    alert: "NoetlStreamLost",
    series: { [`noetl_contract_stream_lost_total{job="${JOB}"}`]: "0 0 0 1x15" },
    quiet: 2,
    fires: 4,
    labels: LABELS,
  },
  {
    alert: "NoetlStreamLost",
    series: { [`noetl_contract_stream_lost_total{job="${JOB}"}`]: "0 0 0 1x30" },
    quiet: 20,
    fires: 5,
    labels: LABELS,
  },
  {
    // The guard was away, too, and another pod takes its place.
    alert: "NoetlStreamLost",
    series: {
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="a"}`]: "1000x20 stale",
      [`noetl_contract_stream_lost_total{job="${JOB}",pod="a"}`]: "0x20 stale",
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="b"}`]: "_x21 2200x40",
      [`noetl_contract_stream_lost_total{job="${JOB}",pod="b"}`]: "_x21 0x40",
    },
    quiet: [20, 40],
    fires: 25,
    labels: { ...LABELS, stream: "A" },
  },
  {
    // A guard that has lost it before it was asked for the first time.
    alert: "NoetlStreamLost",
    series: {
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="a"}`]: "1000x20 stale",
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="b"}`]: "_x21 2200x40",
      [`noetl_contract_stream_lost_total{job="${JOB}",pod="b"}`]: "_x21 1x40",
    },
    quiet: [20, 40],
    fires: 25,
    labels: { ...LABELS, stream: "A" },
  },
  {
    // It sees both streams: one alert, not two.
    alert: "NoetlStreamLost",
    series: {
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A"}`]: "1000x20 2200x40",
      [`noetl_contract_stream_lost_total{job="${JOB}"}`]: "0x20 1x40",
    },
    quiet: [20, 40],
    fires: 25,
    labels: LABELS,
  },
  {
    // A second cluster whose metrics come to the same place.
    alert: "NoetlStreamLost",
    series: {
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",cluster="one"}`]: "1000x60",
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",cluster="two"}`]: "_x15 2000x45",
    },
    quiet: [14, 18, 30, 50],
  },
  {
    // A guard that is replaced, one that has just been installed beside another, one that does not reach
    // NATS, whose stream a repair made, and one whose stream has another name now.
    alert: "NoetlStreamLost",
    series: {
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="a"}`]: "1000x20 stale",
      [`noetl_contract_stream_created_seconds{job="${JOB}",stream="A",pod="b"}`]: "_x21 1000x10 _x10 1000x10",
      [`noetl_contract_stream_created_seconds{job="other/contract-guard",stream="A"}`]: "_x15 2000x40",
      [`noetl_contract_stream_created_seconds{job="third/contract-guard",stream="A"}`]: "1000x20 _x40",
      [`noetl_contract_stream_created_seconds{job="renamed/contract-guard",stream="A"}`]: "1000x20 stale",
      [`noetl_contract_stream_created_seconds{job="renamed/contract-guard",stream="B"}`]: "_x21 2200x40",
      [`noetl_contract_stream_lost_total{job="${JOB}",pod="b"}`]: "_x21 0x40",
    },
    quiet: [5, 18, 25, 35, 45, 50],
  },
  {
    alert: "NoetlContractBroken",
    series: { [`noetl_contract_holds{job="${JOB}"}`]: "1 1 0x10" },
    quiet: 2,
    fires: 4,
    labels: LABELS,
  },
  {
    alert: "NoetlNatsAway",
    series: { [`noetl_contract_nats_connected{job="${JOB}"}`]: "1 1 0x10" },
    quiet: 2,
    fires: 4,
    labels: LABELS,
  },
  {
    alert: "NoetlNoLeader",
    series: { [`noetl_contract_leader{job="${JOB}"}`]: "1 1 0x10" },
    quiet: 2,
    fires: 4,
    labels: LABELS,
  },
  {
    alert: "NoetlPartUnanswered",
    series: { [`noetl_contract_unanswered{job="${JOB}"}`]: "0 1 1 1 0 1x10" },
    quiet: [3, 8],
    fires: 11,
    labels: LABELS,
  },
  {
    alert: "NoetlLag",
    series: { [`noetl_contract_oldest_pending_seconds{job="${JOB}"}`]: "0+60x20" },
    quiet: 5,
    fires: 8,
    labels: LABELS,
  },
  {
    alert: "NoetlInFlightFull",
    series: { [`noetl_contract_in_flight${OF}`]: "63 63 64x20", [`noetl_contract_in_flight_max${OF}`]: "64x22" },
    quiet: 5,
    fires: 9,
    labels: IN_FLIGHT,
  },
  {
    alert: "NoetlStoreFull",
    series: {
      [`noetl_contract_store_used_bytes{job="${JOB}",storage="memory"}`]: "10 10 95x20",
      [`noetl_contract_store_max_bytes{job="${JOB}",storage="memory"}`]: "100x22",
    },
    quiet: 5,
    fires: 9,
    labels: { ...LABELS, storage: "memory" },
  },
  {
    alert: "NoetlCertificateEnds",
    // Minute by minute over the 30 days.
    series: { [`noetl_contract_certificate_ends_seconds{job="${JOB}"}`]: "2592060-60x30" },
    quiet: 6,
    fires: 8,
    labels: LABELS,
  },
  {
    alert: "NoetlCertificateEnds",
    // One that has ended, which is renewed.
    series: { [`noetl_contract_certificate_ends_seconds{job="${JOB}"}`]: "-60x12 31536000x10" },
    quiet: 14,
    fires: 8,
    labels: LABELS,
  },
  { alert: "NoetlGuardDown", series: { [up]: "1 1 0x20" }, quiet: 5, fires: 8, labels: LABELS },
  { alert: "NoetlGuardDown", series: { [up]: "1 1 _x30" }, quiet: 5, fires: 20, labels: LABELS },
  // There has never been one.
  { alert: "NoetlGuardDown", series: { 'up{job="other"}': "1x30" }, quiet: 3, fires: 8, labels: LABELS },
  {
    // It answers for a moment after each start, and Kubernetes waits longer each time.
    alert: "NoetlGuardDown",
    series: { [up]: "1x20 0 1 0 0 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1" },
    quiet: [20, 24],
    fires: 44,
    labels: LABELS,
  },
  {
    // It answers whenever it is asked, and has just started each time.
    alert: "NoetlGuardDown",
    series: {
      [up]: "1x80",
      [`noetl_contract_looks_total{job="${JOB}"}`]: "10+4x10 0+4x6 0+4x6 0+4x6 0+4x6 0+4x60",
    },
    quiet: [10, 22, 75],
    fires: 40,
    labels: LABELS,
  },
  {
    // A node that restarts, a guard that is replaced, and its first start.
    alert: "NoetlGuardDown",
    series: {
      [`up{job="${JOB}",pod="a"}`]: "_ 0 1x20 0 0 0 1x10 stale",
      [`up{job="${JOB}",pod="b"}`]: "_x34 1x30",
      [`noetl_contract_looks_total{job="${JOB}",pod="a"}`]: "0+4x21 _x3 0+4x10 stale",
      [`noetl_contract_looks_total{job="${JOB}",pod="b"}`]: "_x34 0+4x30",
    },
    quiet: [3, 10, 24, 26, 30, 36, 45, 60],
  },
  {
    // Of two clusters whose metrics come to the same place, the guard of one is gone.
    alert: "NoetlGuardDown",
    series: {
      [`up{job="${JOB}",cluster="one"}`]: "1x60",
      [`up{job="${JOB}",cluster="two"}`]: "1x20 stale",
    },
    quiet: 22,
    fires: 30,
    labels: { ...LABELS, cluster: "two" },
  },
];

describe("the alerts", () => {
  it("are rules that Prometheus takes", () => {
    expect(run("check", "rules", "rules.yaml")).toContain(`SUCCESS: ${alerts(JOB).length} rules found`);
  });

  it("fire when they should, and not before", () => {
    const tests = CASES.map(({ alert, series, quiet, fires, labels = {} }) => {
      const own = alertGroup(JOB, "kind").rules.find((rule) => rule.alert === alert);
      const alertAt = (minute: number, there: boolean) => ({
        eval_time: `${minute}m`,
        alertname: alert,
        exp_alerts: there ? [{ exp_labels: { ...own?.labels, ...labels }, exp_annotations: own?.annotations }] : [],
      });
      return {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          ...[quiet].flat().map((minute) => alertAt(minute, false)),
          ...(fires === undefined ? [] : [alertAt(fires, true)]),
        ],
      };
    });
    fs.writeFileSync(
      path.join(dir, "tests.yaml"),
      stringify({ rule_files: ["rules.yaml"], evaluation_interval: "1m", tests }),
    );
    expect(run("test", "rules", "tests.yaml")).toContain("SUCCESS");
  });

  it("are all tried, name a finding of the doctor and a command, and ask for metrics that the guard has", () => {
    expect([...new Set(CASES.map(({ alert }) => alert))].sort()).toEqual(
      alerts(JOB)
        .map(({ alert }) => alert)
        .sort(),
    );
    for (const { finding, expr } of alerts(JOB)) {
      expect(Object.keys(FINDINGS)).toContain(finding);
      for (const [metric] of expr.matchAll(/noetl_contract_\w+/g)) expect(Object.keys(METRICS)).toContain(metric);
    }
    for (const { annotations } of alertGroup(JOB, "kind").rules) {
      expect(annotations.command).toBe("npm run doctor -- --stack kind");
    }
  });
});
