import { describe, expect, it } from "vitest";
import type { Cluster } from "../../../commands/doctor/kubernetes";
import { readNamespace } from "../../../commands/doctor/namespace";
import { isAlive } from "../../../contract/kubernetes/pods";

const HASH = "7d4b9c6f5d";
const OF_WORKER = { kind: "ReplicaSet", name: `noetl-worker-${HASH}`, controller: true };
const EVICTED = {
  phase: "Failed",
  reason: "Evicted",
  message: "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi.",
  conditions: [{ type: "DisruptionTarget", status: "True", lastTransitionTime: "2026-03-02T11:00:00Z" }],
};
const RUNS = {
  phase: "Running",
  conditions: [{ type: "Ready", status: "True" }],
  containerStatuses: [
    { name: "worker", ready: true, restartCount: 0, state: { running: { startedAt: "2026-03-02T11:01:00Z" } } },
  ],
};

const pod = (name: string, status: object, metadata: object = {}) => ({
  metadata: {
    namespace: "noetl",
    name,
    labels: { app: "noetl-worker", "pod-template-hash": HASH },
    ownerReferences: [OF_WORKER],
    ...metadata,
  },
  spec: { nodeName: "node-1", containers: [{ name: "worker" }] },
  status,
});

/** What is read of a namespace with these pods, and whose logs were asked for. */
async function read(...pods: object[]) {
  const logs: string[] = [];
  const services = [
    { metadata: { namespace: "noetl", name: "worker" }, spec: { selector: { app: "noetl-worker" }, ports: [] } },
  ];
  const cluster = {
    list: (kind: string) => Promise.resolve({ pods, services }[kind] ?? []),
    log: ({ name }: { name: string }) => {
      logs.push(name);
      return Promise.resolve("a line");
    },
  } as unknown as Cluster;
  return { facts: await readNamespace(cluster, "noetl", { detail: "full", mask: (text) => text }), logs };
}

describe("pods that were evicted, or went with their node", () => {
  const gone = ["a", "b", "c", "d"].map((name) => pod(`gone-${name}`, EVICTED));

  it("are not among those that run, and take no log from them, however many are listed", async () => {
    const { facts, logs } = await read(...gone, pod("here", RUNS));
    expect(facts.pods.map(({ name }) => name)).toEqual(["here"]);
    expect(logs).toEqual(["here"]);
    expect(facts.evicted?.map(({ name }) => name)).toEqual(["gone-a", "gone-b", "gone-c", "gone-d"]);
    expect(facts.evicted?.[0]).toEqual({
      namespace: "noetl",
      name: "gone-a",
      owner: "noetl-worker",
      why: "Evicted: The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi.",
      at: Date.parse("2026-03-02T11:00:00Z"),
    });
  });

  it("are not those behind a Service", async () => {
    expect((await read(...gone)).facts.services?.[0]?.owners).toEqual([]);
  });

  it("are not those of a Job, which fail by themselves", async () => {
    const ownerReferences = [{ kind: "Job", name: "schema", controller: true }];
    const { facts } = await read(pod("schema-1", { phase: "Failed" }, { ownerReferences }));
    expect([facts.pods.length, facts.evicted]).toEqual([1, []]);
  });

  it("are not those that nothing makes again, which fail by themselves too", async () => {
    const { facts } = await read(pod("by-hand", { phase: "Failed" }, { ownerReferences: undefined }));
    expect([facts.pods.length, facts.evicted]).toEqual([1, []]);
  });

  it("are not pods that a contract waits for", () => {
    expect([EVICTED, RUNS, { phase: "Pending" }].map((status) => isAlive(pod("x", status) as never))).toEqual([
      false,
      true,
      true,
    ]);
  });
});

describe("a pod that was deleted", () => {
  const deleted = (secondsAgo: number, finalizers?: string[]) =>
    pod("nats-0", RUNS, {
      deletionTimestamp: new Date(Date.now() - secondsAgo * 1000).toISOString(),
      finalizers,
      ownerReferences: [{ kind: "StatefulSet", name: "nats", controller: true }],
    });

  it("is none of those that run, and is told of once it is overdue", async () => {
    const { facts } = await read(deleted(-20), deleted(30), deleted(90, ["example.com/hold"]));
    expect(facts.pods).toEqual([]);
    expect(facts.ending).toEqual([
      expect.objectContaining({ name: "nats-0", owner: "nats", node: "node-1", finalizers: ["example.com/hold"] }),
    ]);
    expect(facts.ending?.[0]?.overdueSeconds).toBeGreaterThan(89);
  });
});
