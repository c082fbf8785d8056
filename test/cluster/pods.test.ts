import * as fs from "node:fs";
import * as path from "node:path";
import { PassThrough } from "node:stream";
import { BatchV1Api, PortForward } from "@kubernetes/client-node";
import { connect, RetentionPolicy } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../embedded/cluster";
import {
  Client,
  NATS_CONF,
  deployment,
  isReady,
  lastWords,
  launch,
  natsObjects,
  noetl,
  service,
  until,
} from "./support";

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await launch();
  client = new Client(cluster);
});
afterAll(() => cluster?.stop());

/** Port on loopback behind an address of the cluster, once there is one. */
const localPort = (address: string): Promise<number> =>
  until(address, () => {
    const file = path.join(cluster.dir, "names.json");
    const names = (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {}) as Record<string, number>;
    return Promise.resolve(names[address] || undefined);
  });

const setConfig = (config: string) =>
  client.core.replaceNamespacedConfigMap({
    name: "nats",
    namespace: "nats",
    body: { metadata: { name: "nats" }, data: { "nats.conf": config } },
  });

describe("pods without a process", () => {
  it("become ready, and a Job's pod succeeds", async () => {
    await client.namespace("plain");
    await client.create(
      deployment({ namespace: "plain", app: "web", container: { name: "web", image: "web" } }),
      job("plain", "good"),
    );
    await client.pod("plain", "web", isReady);
    const batch = client.config.makeApiClient(BatchV1Api);
    await until("the Job", async () => {
      const { status } = await batch.readNamespacedJob({ namespace: "plain", name: "good" });
      return status?.succeeded === 1 ? true : undefined;
    });
  });

  it("a Job that a test lets fail shows its message", async () => {
    fs.writeFileSync(
      path.join(cluster.dir, "outcomes.json"),
      JSON.stringify({ bad: { exitCode: 3, log: "no such table" } }),
    );
    await client.create(job("plain", "bad-1"));
    const pod = await client.pod("plain", "bad-1", (each) => each.status?.phase === "Failed");
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
      message: "no such table",
    });
  });
});

// In this order: each step starts from what the one before left.
describe("pods with a process", () => {
  it("nats-0 is a real nats-server, and a port-forward through the API server reaches it", async () => {
    await client.namespace("nats");
    await client.create(...natsObjects("nats"));
    await client.pod("nats", "nats-0", isReady);
    const output = new PassThrough();
    const socket = await new PortForward(client.config).portForward(
      "nats",
      "nats-0",
      [4222],
      output,
      null,
      new PassThrough(),
    );
    const info = await until("the greeting", () => Promise.resolve((output.read() as Buffer | null)?.toString()));
    if (typeof socket !== "function") socket.close();
    expect(JSON.parse(info.replace(/^INFO /, ""))).toMatchObject({
      server_name: "nats-0",
      jetstream: true,
      auth_required: true,
    });
  });

  it("a configuration that nats-server refuses keeps the pod from being ready and says why", async () => {
    await setConfig(`${NATS_CONF}\nnonsense`);
    await client.core.deleteNamespacedPod({ name: "nats-0", namespace: "nats" });
    const pod = await client.pod("nats", "nats-0", (each) => lastWords(each) !== "");
    expect(isReady(pod)).toBe(false);
    expect(lastWords(pod)).toMatch(/nonsense|nats\.conf/);
    await setConfig(NATS_CONF);
    await client.pod("nats", "nats-0", isReady);
  });

  it("a wrong password makes NoETL's server crash-loop", async () => {
    await client.namespace("wrong");
    await client.create(noetl("wrong", "server", "nats", "wrong-Password.1"));
    const pod = await client.pod(
      "wrong",
      "noetl-server",
      (each) => (each.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    expect(isReady(pod)).toBe(false);
    expect(lastWords(pod)).toBe("nats: 'Authorization Violation'");
  });

  it("a Service that is missing fails as a name that does not resolve", async () => {
    await client.namespace("nowhere");
    await client.create(noetl("nowhere", "server", "nowhere"));
    const pod = await client.pod("nowhere", "noetl-server", (each) => lastWords(each) !== "");
    expect(lastWords(pod)).toContain("Name or service not known");
  });

  it("a Secret that is missing keeps the container from being made", async () => {
    const env = [{ name: "X", valueFrom: { secretKeyRef: { name: "absent", key: "x" } } }];
    await client.create(
      deployment({ namespace: "nowhere", app: "gateway", container: { name: "gateway", image: "g", env } }),
    );
    const pod = await client.pod("nowhere", "gateway", (each) => each.status?.containerStatuses !== undefined);
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message: 'secret "absent" not found',
    });
  });

  it("server and worker make their stream and consumer, and a published command arrives", async () => {
    await client.namespace("noetl");
    await client.create(
      service("noetl", "noetl", "noetl-server", 8082),
      noetl("noetl", "server", "nats"),
      noetl("noetl", "worker", "nats"),
    );
    await client.pod("noetl", "noetl-worker", isReady);
    const port = await localPort("noetl.noetl.svc.cluster.local:8082");
    expect((await fetch(`http://127.0.0.1:${port}/publish`, { method: "POST" })).status).toBe(200);

    const nats = await connect({
      servers: `127.0.0.1:${await localPort("nats.nats:4222")}`,
      user: "noetl",
      pass: "right-Password.1",
    });
    const manager = await nats.jetstreamManager();
    expect((await manager.streams.info("NOETL_COMMANDS")).config).toMatchObject({
      subjects: ["noetl.commands"],
      max_age: 3600e9,
      storage: "memory",
      retention: "limits",
    });
    await until("the acknowledgement", async () => {
      const { ack_floor } = await manager.consumers.info("NOETL_COMMANDS", "noetl_worker_pool");
      return ack_floor.stream_seq === 1 ? true : undefined;
    });

    // A stream of the wrong retention, as somebody else may have made it: the worker's consumer does not fit.
    await manager.streams.delete("NOETL_COMMANDS");
    await manager.streams.add({
      name: "NOETL_COMMANDS",
      subjects: ["noetl.commands"],
      retention: RetentionPolicy.Workqueue,
    });
    await nats.close();
    const worker = await client.pod("noetl", "noetl-worker", () => true);
    await client.core.deleteNamespacedPod({ name: worker.metadata?.name ?? "", namespace: "noetl" });
    const pod = await client.pod(
      "noetl",
      "noetl-worker",
      (each) => lastWords(each) !== "" && each.metadata?.uid !== worker.metadata?.uid,
    );
    expect(lastWords(pod)).toContain(
      "Failed to create/validate consumer noetl_worker_pool: nats: BadRequestError: code=400 err_code=10101 " +
        "description='consumer must be deliver all on workqueue stream'",
    );
  });
});

function job(namespace: string, name: string) {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: { app: name } },
        spec: { restartPolicy: "Never", containers: [{ name: "main", image: "main" }] },
      },
    },
  };
}
