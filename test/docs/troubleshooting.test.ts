import { expect, it } from "vitest";
import { diagnose } from "../../commands/doctor/diagnosis";
import { diagnosisText } from "../../commands/doctor/present";
import { container, healthy, lines, namespace, nats, pod, workload } from "../commands/doctor/evidence";
import { readProject } from "../support/markdown";

const SAID =
  "Failed to create/validate consumer noetl_worker_pool: nats: BadRequestError: code=400 err_code=10101 " +
  "description='consumer must be deliver all on workqueue stream'";
const CREATED = "2026-11-24T08:58:37.123Z";

/** One of three workers that crash again and again. */
const worker = (name: string, restarts: number) =>
  pod(name, "noetl-worker", {
    ready: false,
    containers: [
      container({
        ready: false,
        restarts,
        waiting: { reason: "CrashLoopBackOff", message: "back-off 5m0s restarting failed container" },
        ended: { reason: "Error", exitCode: 1, message: "" },
        log: lines([SAID]),
      }),
    ],
  });

it("the sample of docs/troubleshooting.md is what the doctor says of it", () => {
  const sample = /```text\n([\s\S]*?)\n```/.exec(readProject("docs/troubleshooting.md"))?.[1];
  const facts = nats({ retention: "workqueue" }, null);
  const stream = facts.stream && { ...facts.stream, created: CREATED, messages: 7 };
  const noetl = namespace("noetl", {
    pods: [
      pod("noetl-server-1", "noetl-server"),
      worker("noetl-worker-6d5b4b7b9-hpwxt", 83),
      worker("noetl-worker-6d5b4b7b9-k2x8p", 83),
      worker("noetl-worker-6d5b4b7b9-zz4mq", 83),
    ],
    workloads: [workload("noetl-server"), workload("noetl-worker", 0, { wanted: 3 })],
  });
  const told = diagnose(
    healthy({
      nats: { ok: true, value: { ...facts, stream } },
      namespaces: { ...healthy().namespaces, noetl: { ok: true, value: noetl } },
    }),
  );
  expect(diagnosisText(told, { colour: false, width: 80 }).replace(/^Stack .*\n\n/, "")).toBe(sample);
});
