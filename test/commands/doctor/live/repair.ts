import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { AckPolicy, RetentionPolicy, StorageType, type StreamConfig } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { withDefaults, type ContractInputs } from "../../../../contract/inputs";
import { checkContract } from "../../../../contract/check";
import { CONSUMER, STREAM } from "../../../../contract/facts";
import { Cluster } from "../../../../commands/doctor/kubernetes";
import { repair, type Intent, type Outcome, type Point } from "../../../../commands/doctor/repair";
import { readJournal } from "../../../../commands/doctor/repair/journal";
import {
  addConsumer,
  addStream,
  natsClient,
  natsCommand,
  removeStreams,
  startNatsServer,
  withManager,
  type NatsServer,
} from "../../../support/nats";
import { repairProcess } from "../repair/repair-support";
import { Deployment } from "./support";

// A nats-server of its own, and Deployments of NoETL's names that the cluster only simulates: what is recreated, and how
// often, is up to the repair alone then. The whole deployment is repaired in diagnosis.test.ts.
const NAMESPACE = "repair";

let server: NatsServer;
let deployment: Deployment;
let cluster: Cluster;
let folder: string;
let inputs: ContractInputs;

beforeAll(async () => {
  deployment = await Deployment.attach();
  cluster = await Cluster.open(deployment.target.cluster);
  server = await startNatsServer();
  inputs = withDefaults({
    connection: { servers: [server.address] },
    noetl: { namespace: NAMESPACE },
    timeoutSeconds: 10,
  });
  await deployment.core.createNamespace({ body: { metadata: { name: NAMESPACE } } });
  for (const name of [inputs.noetl.serverDeployment, inputs.noetl.workerDeployment]) {
    const labels = { app: `simulated-${name}` };
    const container = { name: "main", image: "simulated:1" };
    await deployment.apps.createNamespacedDeployment({
      namespace: NAMESPACE,
      body: {
        metadata: { name },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [container] } },
        },
      },
    });
  }
});

afterAll(async () => {
  await server?.stop();
  await deployment?.core.deleteNamespace({ name: NAMESPACE });
});

beforeEach(() => {
  folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-repair-")), "repair");
});

afterEach(async () => {
  fs.rmSync(path.dirname(folder), { recursive: true, force: true });
  await removeStreams(server);
});

/** A work queue that holds commands `1` to `count`, and one message on a subject that NoETL's stream does not store. */
async function workQueue(count: number, extra = false): Promise<void> {
  await withManager(server, async (manager, connection) => {
    await addStream(manager, { retention: RetentionPolicy.Workqueue, subjects: [STREAM.subject, "audit.>"] });
    for (let number = 1; number <= count; number++) {
      await connection.jetstream().publish(STREAM.subject, JSON.stringify({ command_id: number }));
    }
    if (extra) await connection.jetstream().publish("audit.one", "{}");
  });
}

const command = (data: Uint8Array): number =>
  (JSON.parse(Buffer.from(data).toString()) as { command_id: number }).command_id;

/** The commands that the workers' consumer hands out, in their order. */
async function handedOut(): Promise<number[]> {
  const connection = await natsClient(server);
  try {
    const consumer = await connection.jetstream().consumers.get(STREAM.name, CONSUMER.name);
    const found: number[] = [];
    const { num_pending: pending } = await consumer.info();
    if (pending === 0) return [];
    for await (const message of await consumer.fetch({ max_messages: Math.min(64, pending), expires: 2000 })) {
      found.push(command(message.data));
      message.ack();
    }
    return found;
  } finally {
    await connection.drain();
  }
}

interface Run {
  readonly outcome: Outcome;
  readonly intents: Intent[];
  readonly said: string[];
}

async function run(answer = true, asked = inputs): Promise<Run> {
  const intents: Intent[] = [];
  const said: string[] = [];
  const outcome = await repair({
    stack: "test",
    inputs: asked,
    cluster,
    folder,
    say: (line) => void said.push(line),
    confirm: (intent) => {
      intents.push(intent);
      return Promise.resolve(answer);
    },
  });
  return { outcome, intents, said };
}

/** A way to the server on which `work` is done once, before the first request with `words` in it that is meant passes. */
async function whenAsked(words: string, work: () => Promise<unknown>) {
  let times = 0;
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((client) => {
    const upstream = net.connect(server.port, "127.0.0.1");
    let passed: Promise<unknown> = Promise.resolve();
    client.on("data", (chunk) => {
      const text = chunk.toString();
      // What is only tried is refused by the server in any case.
      const isMeant = text.includes(words) && !text.includes("noetl..nats");
      if (isMeant && times++ === 0) passed = passed.then(work);
      passed = passed.then(() => upstream.write(chunk));
    });
    upstream.pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket.on("error", () => socket.destroy()));
      socket.on("close", () => [client, upstream].forEach((each) => each.destroy()));
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(listener.address() as net.AddressInfo).port}`,
    times: () => times,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** A repair that is killed. Loading the cluster's client takes a second, and only the last steps need it. */
async function killedAt(point: Point, times = 1): Promise<void> {
  const signal = await repairProcess({
    ...{ inputs, folder, point, times, connection: deployment.target.cluster },
    cluster:
      '/^(restart|verif)/.test(point) ? await require("./dist/commands/doctor/kubernetes").Cluster.open(connection) : undefined',
  });
  expect({ point, signal }).toEqual({ point, signal: "SIGKILL" });
}

const holds = async (): Promise<boolean> => (await checkContract(inputs, false)).holds;
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const inOrder = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

describe("repair of a work queue", () => {
  it("says what it will do and what is lost, and changes nothing when it is declined", async () => {
    await workQueue(3, true);
    const before = await natsCommand(`nats --server ${server.address} stream info ${STREAM.name} --json`);
    const { outcome, intents } = await run(false);
    expect(outcome).toBe("declined");
    const [intent] = intents;
    expect(intent?.broken[0]).toContain("stream-retention: found workqueue, expected limits");
    expect(intent?.steps.join("\n")).toMatch(/back up 4 messages[^]*remove stream[^]*write 4 messages back[^]*restart/);
    expect(intent?.steps.join("\n")).toContain("so that no publish is refused");
    const created = (text: string) => (JSON.parse(text) as { created: string }).created;
    const after = await natsCommand(`nats --server ${server.address} stream info ${STREAM.name} --json`);
    expect(created(after)).toBe(created(before));
    expect(fs.existsSync(folder)).toBe(false);
  });

  it("recreates the stream, hands every message to the workers in order, and restarts", async () => {
    await workQueue(150);
    const { outcome } = await run();
    expect(outcome).toBe("repaired");
    expect(await holds()).toBe(true);
    // The consumer hands out 64 at a time, as the workers may have in flight.
    const all = [...(await handedOut()), ...(await handedOut()), ...(await handedOut())];
    expect(all).toEqual(range(150));
    const { template } = (
      await deployment.apps.readNamespacedDeployment({ namespace: NAMESPACE, name: inputs.noetl.workerDeployment })
    ).spec as { template: { metadata: { annotations: Record<string, string> } } };
    expect(Object.keys(template.metadata.annotations)).toContain("kubectl.kubernetes.io/restartedAt");
    expect(fs.existsSync(folder)).toBe(false);
  });

  it("keeps the stream's other subjects, and what is stored on them", async () => {
    await workQueue(2, true);
    expect((await run()).outcome).toBe("repaired");
    const { config, state } = await withManager(server, (manager) => manager.streams.info(STREAM.name));
    expect([...config.subjects].sort()).toEqual(["audit.>", STREAM.subject]);
    expect(state.messages).toBe(3);
  });

  it("finds nothing to do afterwards", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager);
      await addConsumer(manager);
    });
    expect((await run()).outcome).toBe("nothing-to-do");
  });

  it("killed half-way it goes on, and the deployments are restarted once", async () => {
    await workQueue(100);
    await killedAt("writing", 2);
    expect(readJournal(folder)).toBeDefined();
    const { outcome, intents } = await run();
    expect(outcome).toBe("repaired");
    expect(intents[0]?.since).toBeDefined();
    expect(await holds()).toBe(true);
    expect(inOrder([...(await handedOut()), ...(await handedOut())])).toEqual(range(100));
    expect(fs.existsSync(folder)).toBe(false);
  });

  it("killed between the two restarts it goes on", async () => {
    await workQueue(3);
    await killedAt("restarting");
    expect((await run()).outcome).toBe("repaired");
    expect(await handedOut()).toEqual(range(3));
  });
});

describe("repair of less than a work queue", () => {
  it("recreates a push consumer and gives the workers what nobody has acknowledged", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager);
      await addConsumer(manager, { deliver_subject: "elsewhere", ack_policy: AckPolicy.Explicit });
      for (const number of range(3)) {
        await connection.jetstream().publish(STREAM.subject, JSON.stringify({ command_id: number }));
      }
    });
    const { outcome, intents } = await run();
    expect(intents[0]?.steps.join("\n")).toContain(`remove consumer ${CONSUMER.name}`);
    expect(outcome).toBe("repaired");
    expect(await handedOut()).toEqual([1, 2, 3]);
  });

  it("updates in place what NATS lets one update, and keeps the stream", async () => {
    await withManager(server, async (manager) => {
      await addStream(manager, { subjects: ["other.>"], max_age: 60e9 });
    });
    const created = () =>
      withManager(server, async (manager) => String((await manager.streams.info(STREAM.name)).created));
    const before = await created();
    const { outcome } = await run();
    expect(outcome).toBe("repaired");
    expect(await created()).toBe(before);
    expect(await holds()).toBe(true);
    expect(fs.existsSync(folder)).toBe(false);
  });

  it("creates what is missing", async () => {
    const { outcome } = await run();
    expect(outcome).toBe("repaired");
    expect(await holds()).toBe(true);
  });

  it("goes on where NoETL, which has just started, was faster with a stream", async () => {
    const started = await whenAsked(`STREAM.CREATE.${STREAM.name} `, () =>
      withManager(server, (manager) => addStream(manager, { storage: StorageType.File })),
    );
    try {
      const { outcome } = await run(true, { ...inputs, connection: { servers: [started.address] } });
      expect({ outcome, times: started.times() }).toEqual({ outcome: "repaired", times: 1 });
      const { config } = await withManager(server, (manager) => manager.streams.info(STREAM.name));
      expect(config.storage).toBe("file");
    } finally {
      await started.close();
    }
  });

  it("does not hand out again what the workers had acknowledged", async () => {
    await withManager(server, async (manager, connection) => {
      await addStream(manager, { storage: StorageType.File });
      await addConsumer(manager);
      for (const number of range(4)) {
        await connection.jetstream().publish(STREAM.subject, JSON.stringify({ command_id: number }));
      }
      const consumer = await connection.jetstream().consumers.get(STREAM.name, CONSUMER.name);
      for await (const message of await consumer.fetch({ max_messages: 2, expires: 2000 })) await message.ackAck();
      // Sealing is what cannot be undone.
      const { config } = await manager.streams.info(STREAM.name);
      const sealed: Partial<StreamConfig> = { ...config, sealed: true };
      await manager.streams.update(STREAM.name, sealed);
    });
    const { outcome } = await run();
    expect(outcome).toBe("repaired");
    expect(await handedOut()).toEqual([3, 4]);
    const { state } = await withManager(server, (manager) => manager.streams.info(STREAM.name));
    expect(state.messages).toBe(4);
  });
});
