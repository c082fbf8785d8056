import * as fs from "node:fs";
import * as path from "node:path";
import { BatchV1Api, type V1Pod } from "@kubernetes/client-node";
import { connect, RetentionPolicy } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../../embedded/cluster";
import { ensureGateway, GATEWAY_RELEASE } from "../../../embedded/toolchain/gateway";
import { processOf } from "../../../embedded/cluster/processes";
import { RUN_HERE } from "../../../embedded/cluster/stages";
import {
  Client,
  NATS_CONF,
  deployment,
  isReady,
  launch,
  natsObjects,
  noetl,
  PASSWORD,
  restarts,
  service,
  until,
} from "../../support/cluster";

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await launch(undefined, { gateway: await ensureGateway() });
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

  it("a Job that asks for it runs its command, and shows how it ended", async () => {
    await client.create(job("plain", "bad", ["sh", "-c", "echo no such table; exit 3"]));
    const pod = await client.pod("plain", "bad", (each) => each.status?.phase === "Failed");
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
      message: "no such table",
    });
    // Until kwok has heard where this pod's log is, it shows that of a pod without processes.
    await until("the log of a pod that ended at once", async () => ((await client.log(pod)) === "" ? undefined : true));
    expect(await client.log(pod)).toBe("no such table\n");
  });

  it("init containers run one after the other, and show as Kubernetes shows them", async () => {
    const step = (name: string, script: string) => ({ name, image: name, command: ["sh", "-c", script] });
    const flag = path.join(cluster.dir, "go-on");
    await client.create(
      pod("plain", "steps", {
        initContainers: [step("first", `until [ -e ${flag} ]; do sleep 0.1; done`), step("second", "echo two")],
        containers: [step("main", "echo main; sleep 60")],
      }),
    );
    const waiting = await client.pod(
      "plain",
      "steps",
      ({ status }) => status?.initContainerStatuses?.[0]?.started === true,
    );
    expect(waiting.status).toMatchObject({
      phase: "Pending",
      initContainerStatuses: [{ state: { running: {} } }, { state: { waiting: { reason: "PodInitializing" } } }],
      containerStatuses: [{ ready: false, state: { waiting: { reason: "PodInitializing" } } }],
    });
    expect(waiting.status?.conditions?.find(({ type }) => type === "Initialized")).toMatchObject({
      status: "False",
      reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [first second]",
    });
    fs.writeFileSync(flag, "");
    const running = await client.pod("plain", "steps", isReady);
    const completed = { ready: true, state: { terminated: { exitCode: 0, reason: "Completed" } } };
    expect(running.status).toMatchObject({ phase: "Running", initContainerStatuses: [completed, completed] });
    expect(await client.log(running, { container: "second" })).toBe("two\n");
    expect(await client.log(running, { container: "main" })).toBe("main\n");
  });
});

describe("a pod that is deleted", () => {
  const shell = (name: string, script: string) =>
    pod("plain", name, { containers: [{ name: "main", image: "sh", command: ["sh", "-c", script] }] });

  async function says(name: string, word: string): Promise<void> {
    const found = await client.pod("plain", name, isReady);
    await until(`${name} to say ${word}`, async () => ((await client.log(found)) === `${word}\n` ? true : undefined));
  }

  /** Deletes a pod once it has said that it is up, and waits until it is gone; its process. */
  async function deleted(name: string): Promise<number> {
    await says(name, "up");
    const pid = processOf(cluster.dir, name);
    await client.core.deleteNamespacedPod({ namespace: "plain", name });
    await until("it to be gone", async () => {
      const { items } = await client.core.listNamespacedPod({ namespace: "plain" });
      return items.every(({ metadata }) => metadata?.name !== name) || undefined;
    });
    return pid;
  }

  it("goes when its process has ended, and another one may have its name", async () => {
    const ended = path.join(cluster.dir, "ended");
    await client.create(
      shell("slow", `trap 'sleep 1; echo > ${ended}; exit' TERM; echo up; while :; do sleep 0.1; done`),
    );
    await deleted("slow");
    expect(fs.existsSync(ended)).toBe(true);
    await client.create(shell("slow", "echo next; sleep 60"));
    await says("slow", "next");
  });

  it("is killed where it does not end by itself", async () => {
    await client.create(shell("deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done"));
    expect(fs.existsSync(`/proc/${await deleted("deaf")}`)).toBe(false);
  });
});

// In this order: each step starts from what the one before left.
describe("pods with a process", () => {
  it("nats-0 is a real nats-server, and a port-forward through the API server reaches it", async () => {
    await client.namespace("nats");
    await client.create(...natsObjects("nats"));
    await client.pod("nats", "nats-0", isReady);
    const variables = await client.request(await client.pod("nats", "nats-0", isReady), 8222, "/varz");
    expect(await variables.json()).toMatchObject({
      server_name: "nats-0",
      auth_required: true,
      jetstream: { config: {} },
    });
  });

  it("a pod's log is read through the API server, container by container", async () => {
    const pod = await client.pod("nats", "nats-0", isReady);
    expect(await client.log(pod)).toContain("Server is ready");
    expect(await client.log(pod, { tailLines: 1 })).toMatch(/^.*Server is ready\n$/);
    expect(await client.log(pod, { container: "reloader" })).toBe("");
    const simulated = await client.pod("plain", "web", isReady);
    expect(await client.log(simulated)).toBe("");
  });

  it("a configuration that nats-server refuses keeps the pod from being ready and says why", async () => {
    await setConfig(`${NATS_CONF}\nnonsense`);
    await client.core.deleteNamespacedPod({ name: "nats-0", namespace: "nats" });
    const pod = await client.lastWords("nats", "nats-0", "config is invalid", (each) => !isReady(each));
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
    await setConfig(NATS_CONF);
    await client.pod("nats", "nats-0", isReady);
  });

  it("a wrong password makes the gateway crash-loop", async () => {
    await client.namespace("wrong");
    const url = "nats://noetl:wrong-Password.1@nats.nats.svc.cluster.local:4222";
    await client.create(noetl("wrong", "gateway", "nats", { NATS_URL: url }));
    const pod = await client.pod("wrong", "gateway", (each) => restarts(each) > 0);
    expect(isReady(pod)).toBe(false);
    expect(await client.log(pod, { previous: true })).toContain("nats: 'Authorization Violation'\n");
    // As the kubelet does: nothing of the log stands in the status where the container does not ask for it.
    const waiting = await client.pod("wrong", "gateway", (each) => stateOf(each)?.waiting !== undefined);
    expect(stateOf(waiting)?.waiting?.reason).toBe("CrashLoopBackOff");
    const { lastState } = waiting.status?.containerStatuses?.[0] ?? {};
    expect(lastState?.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
    expect(lastState?.terminated?.message).toBeUndefined();
  });

  it("a Service that is missing fails as a name that does not resolve", async () => {
    await client.namespace("nowhere");
    await client.create(noetl("nowhere", "gateway", "nowhere"));
    await client.lastWords("nowhere", "gateway", "Name or service not known: nats.nowhere.svc.cluster.local");
  });

  it("a Secret that is missing keeps the container from being made", async () => {
    const env = [{ name: "X", valueFrom: { secretKeyRef: { name: "absent", key: "x" } } }];
    await client.create(
      deployment({ namespace: "nowhere", app: "noetl-server", container: { name: "server", image: "s", env } }),
    );
    const pod = await client.pod("nowhere", "noetl-server", (each) => stateOf(each)?.waiting?.message !== undefined);
    expect(stateOf(pod)?.waiting).toEqual({
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
    await Promise.all(["noetl-server", "noetl-worker"].map((app) => client.pod("noetl", app, isReady)));
    const port = await localPort("noetl.noetl.svc.cluster.local:8082");
    expect((await fetch(`http://127.0.0.1:${port}/publish`, { method: "POST" })).status).toBe(200);

    const nats = await connect({
      servers: `127.0.0.1:${await localPort("nats.nats:4222")}`,
      user: "noetl",
      pass: PASSWORD,
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
    await client.lastWords(
      "noetl",
      "noetl-worker",
      "Failed to create/validate consumer noetl_worker_pool: nats: BadRequestError: code=400 err_code=10101 " +
        "description='consumer must be deliver all on workqueue stream'",
      (each) => each.metadata?.uid !== worker.metadata?.uid,
    );
  });

  it("the gateway answers preflights, and its errors carry the headers that browsers ask for", async () => {
    await client.create(service("noetl", "gateway", "gateway", 8090), noetl("noetl", "gateway", "nats"));
    const pod = await client.pod("noetl", "gateway", isReady);
    const preflight = { origin: "https://gui.test", "access-control-request-method": "POST" };
    const allowed = await client.request(pod, 8090, "/api/auth/login", { method: "OPTIONS", headers: preflight });
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://gui.test");
    expect(allowed.headers.get("access-control-allow-credentials")).toBe("true");
    expect(allowed.headers.get("access-control-allow-methods")).toContain("POST");
    const foreign = { ...preflight, origin: "https://elsewhere.test" };
    const refused = await client.request(pod, 8090, "/api/auth/login", { method: "OPTIONS", headers: foreign });
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();

    const ask = () =>
      client.request(pod, 8090, "/api/auth/validate", { method: "POST", headers: preflight, body: "{}" });
    expect((await ask()).status).toBe(401);
    await client.scale("noetl", "noetl-server", 0);
    // One that the server took as it ended breaks with other words.
    const words = async () => {
      const answer = await ask();
      return [answer.status, answer.headers.get("access-control-allow-origin"), await answer.json()];
    };
    await expect.poll(words, { timeout: 90_000 }).toEqual([
      502,
      "https://gui.test",
      {
        error:
          "Validate session playbook failed: [Errno 111] Connect call failed ('noetl.noetl.svc.cluster.local', 8082)",
      },
    ]);
  });

  it("the gateway itself runs behind an image of its release, and is led to NATS and to NoETL", async () => {
    await client.namespace("itself");
    const env = {
      NOETL_BASE_URL: "http://noetl.noetl.svc.cluster.local:8082",
      NATS_SESSION_BUCKET: "own_sessions",
      NATS_REQUEST_BUCKET: "own_requests",
      GATEWAY_AUTH_BYPASS: "true",
    };
    await client.create(noetl("itself", "gateway", "nats", env, `noetl-gateway:v${GATEWAY_RELEASE}`));
    const pod = await client.pod("itself", "gateway", isReady);
    const nats = await connect({
      servers: `127.0.0.1:${await localPort("nats.nats.svc.cluster.local:4222")}`,
      user: "noetl",
      pass: PASSWORD,
    });
    const manager = await nats.jetstreamManager();
    for (const bucket of ["own_sessions", "own_requests"]) {
      expect((await manager.streams.info(`KV_${bucket}`)).config.description).toMatch(/gateway|callback/i);
    }
    await nats.close();
    await client.scale("noetl", "noetl-server", 1);
    const headers = { authorization: "Bearer nobody" };
    const ask = async () => (await client.request(pod, 8090, "/noetl/health", { headers })).status;
    await expect.poll(ask, { timeout: 90_000 }).toBe(200);
  });

  it("an error page of a proxy before the gateway lacks those headers", async () => {
    await client.namespace("proxied");
    await client.create(noetl("proxied", "gateway", "nats", { EMBEDDED_PROXY_ANSWERS_ERRORS: "true" }));
    const pod = await client.pod("proxied", "gateway", isReady);
    const headers = { origin: "https://gui.test" };
    const failed = await client.request(pod, 8090, "/api/auth/login", { method: "POST", headers, body: "{}" });
    expect(failed.status).toBe(502);
    expect(failed.headers.get("access-control-allow-origin")).toBeNull();
    const fine = await client.request(pod, 8090, "/health", { headers });
    expect(fine.headers.get("access-control-allow-origin")).toBe("https://gui.test");
  });
});

const stateOf = (pod: V1Pod) => pod.status?.containerStatuses?.[0]?.state;

function job(namespace: string, name: string, command?: string[]) {
  const container = { name: "main", image: "main", terminationMessagePolicy: "FallbackToLogsOnError" };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: { app: name }, ...(command ? { annotations: { [RUN_HERE]: "true" } } : {}) },
        spec: { restartPolicy: "Never", containers: [{ ...container, ...(command ? { command } : {}) }] },
      },
    },
  };
}

/** A pod whose containers run their commands on this machine. */
const pod = (namespace: string, name: string, spec: object) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, annotations: { [RUN_HERE]: "true" } },
  spec,
});
