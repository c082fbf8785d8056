/** What NoETL's server and its gateway answer, cut to what is shown: a credential at the cut is not shown by half. */
import { beforeEach, expect, it, vi } from "vitest";
import { readExecutions } from "../../../commands/doctor/executions";
import { readHealth } from "../../../commands/doctor/health";
import type { Cluster } from "../../../commands/doctor/kubernetes";
import { masker } from "../../../contract/mask";

const SECRET = "Canary-Horse.42";
const answers = vi.hoisted(() => ({ body: "" }));
vi.mock("../../../commands/doctor/pod-http", () => ({
  runningPod: () => Promise.resolve({ namespace: "noetl", name: "noetl-server-0" }),
  askPod: () => Promise.resolve({ status: 200, headers: {}, body: answers.body }),
}));

const cluster = {} as Cluster;
const mask = masker([SECRET]);
beforeEach(() => void (answers.body = ""));

it("the server's health", async () => {
  answers.body = `${"x".repeat(1_990)} ${SECRET}`;
  const shown = await readHealth(cluster, "noetl", mask);
  expect(shown).not.toContain("Canary");
  expect(shown).toMatch(/x \*\*\*$/);
});

it("the database's refusal, in the server's words", async () => {
  const error = `${"x".repeat(150)} postgresql://noetl:${SECRET}@postgres:5432 refused, and with password=Another-One.43 too`;
  answers.body = JSON.stringify({ status: "error", error });
  const refused = await readExecutions(cluster, "noetl", mask).catch((thrown: unknown) => String(thrown));
  expect(refused).toMatch(/could not read its events: x+ postgresql:\/\/noetl:\*\*\*@/);
  expect(refused).not.toMatch(/Canary|Another/);
});
