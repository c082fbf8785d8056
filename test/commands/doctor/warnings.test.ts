import { describe, expect, it } from "vitest";
import type { Kinds } from "../../../contract/kubernetes/objects";
import { failedProbes, warningsOf } from "../../../commands/doctor/warnings";

type CoreV1Event = Kinds["events"];

const event = (reason: string, message: string, minutesAgo: number, more: Partial<CoreV1Event> = {}): CoreV1Event => ({
  metadata: { name: reason },
  involvedObject: { kind: "Pod", name: "noetl-worker-1" },
  reason,
  message,
  lastTimestamp: new Date(Date.now() - minutesAgo * 60_000).toISOString(),
  ...more,
});
const plain = (text: string): string => text;

describe("warnings of a namespace", () => {
  it("are the latest of each reason, newest first, and of each probe of a container", () => {
    expect(
      warningsOf(
        [
          event("Unhealthy", "Readiness probe failed: no connection to NATS", 2),
          event("BackOff", "Back-off restarting failed container", 5),
          event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500", 1),
          event("Unhealthy", "Readiness probe failed: connection refused", 9),
        ],
        plain,
      ),
    ).toEqual([
      "Pod/noetl-worker-1: Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 500",
      "Pod/noetl-worker-1: Unhealthy: Readiness probe failed: no connection to NATS",
      "Pod/noetl-worker-1: BackOff: Back-off restarting failed container",
    ]);
  });

  it("stand on one line each, with beginning and end of a long one", () => {
    const [warning = ""] = warningsOf(
      [event("Unhealthy", `Readiness probe failed: Traceback:\n  ${"x".repeat(5000)}\nOSError: no route\n`, 1)],
      plain,
    );
    expect(warning).toMatch(
      /^Pod\/noetl-worker-1: Unhealthy: Readiness probe failed: Traceback: \| x+ \.\.\. x+ \| OSError: no route$/,
    );
    expect(warning.length).toBeLessThan(700);
  });

  it("show nothing that a terminal would obey, whichever part it stands in", () => {
    const odd = { ...event("Unhealthy\u001b[31m", "", 1), message: null as unknown as string };
    expect(warningsOf([odd], (text) => text.replace("noetl-worker-1", "***"))).toEqual(["Pod/***: Unhealthy"]);
  });

  it("are masked before they are cut", () => {
    const url = "nats://noetl:secret-of-nats@nats:4222";
    const mask = (text: string) => text.replace(/:[^:@/]+@/, ":***@");
    for (let before = 260; before < 320; before++) {
      const [warning = ""] = warningsOf([event("Unhealthy", `${"x".repeat(before)}${url}${"y".repeat(400)}`, 1)], mask);
      expect(warning).not.toMatch(/secret|of-nats/);
    }
  });

  it("have the time of a series where there is no other", () => {
    const series = { count: 3, lastObservedTime: new Date() } as unknown as CoreV1Event["series"];
    const [first] = warningsOf(
      [event("BackOff", "old", 5), event("FailedMount", "new", 0, { lastTimestamp: undefined, series })],
      plain,
    );
    expect(first).toContain("FailedMount");
  });
});

it("what probes of a pod said is found by the pod's whole name", () => {
  const warnings = [
    "Pod/noetl-worker-1: Unhealthy: Readiness probe failed: no connection to NATS",
    "Pod/noetl-worker-12: Unhealthy: Readiness probe failed: other",
    "Pod/noetl-worker-1: BackOff: Back-off",
  ];
  expect(failedProbes(warnings, "noetl-worker-1")).toEqual(["Readiness probe failed: no connection to NATS"]);
});
