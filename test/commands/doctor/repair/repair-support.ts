import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { AckPolicy, DeliverPolicy, type ConsumerConfig, type NatsConnection, type StreamConfig } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, onTestFinished } from "vitest";
import { withDefaults, type ContractArguments, type ContractInputs } from "../../../../contract/inputs";
import { projectRoot } from "../../../../contract/project";
import type { Cluster } from "../../../../commands/doctor/kubernetes";
import { repair, type Intent, type Outcome, type Point } from "../../../../commands/doctor/repair";
import {
  createStream,
  natsClient,
  onceElected,
  removeStreams,
  sleep,
  startNatsServer,
  withManager,
  type NatsServer,
} from "../../../support/nats";

/** A Deployment that is always rolled out: what NATS holds is up to the repair alone then. */
const ROLLED_OUT = {
  metadata: { generation: 1 },
  spec: { replicas: 1 },
  status: { observedGeneration: 1, updatedReplicas: 1, availableReplicas: 1, replicas: 1 },
};

const rolledOutCluster = {
  read: () => Promise.resolve(ROLLED_OUT),
  patch: () => Promise.resolve(true),
} as unknown as Cluster;

/** Names of one NoETL among several on one server. */
export interface Names {
  readonly stream: string;
  readonly subject: string;
  readonly consumer: string;
}

export const DEFAULT_NAMES: Names = {
  stream: "NOETL_COMMANDS",
  subject: "noetl.commands",
  consumer: "noetl_worker_pool",
};

export function repairInputs(
  server: { address: string },
  names: Names = DEFAULT_NAMES,
  args: ContractArguments = {},
): ContractInputs {
  return withDefaults({ connection: { servers: [server.address] }, timeoutSeconds: 20, ...names, ...args });
}

/** Inputs for which a stream in memory has to be made new, whatever else it is. */
export const strictInputs = (server: { address: string }): ContractInputs =>
  repairInputs(server, DEFAULT_NAMES, { strict: true, expect: { storage: "file" } });

export interface Run {
  readonly outcome: Outcome;
  readonly intents: Intent[];
  readonly said: string[];
}

/** A folder for a repair, as the machine that runs it would have one. */
export const newFolder = (): string => path.join(fs.mkdtempSync(path.join(FOLDERS, "noetl-nats-repair-")), "repair");

/** In memory, where a repair's journal is on the disk at once: a third of a test's time was waiting for that. */
const FOLDERS = fs.existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir();

/** A server for a file's tests, and a folder for each, which `use` gets before it. */
export function forEachRepair(use: (bed: { readonly server: NatsServer; readonly folder: string }) => void): void {
  let server: NatsServer;
  let folder: string;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    folder = newFolder();
    use({ server, folder });
  });
  afterEach(async () => {
    fs.rmSync(path.dirname(folder), { recursive: true, force: true });
    await removeStreams(server);
  });
}

export interface RunOptions {
  readonly answer?: boolean;
  readonly at?: (point: Point) => void;
  readonly signal?: AbortSignal;
  readonly said?: string[];
}

export async function runRepair(inputs: ContractInputs, folder: string, options: RunOptions = {}): Promise<Run> {
  const intents: Intent[] = [];
  const said = options.said ?? [];
  const outcome = await repair({
    stack: "test",
    inputs,
    cluster: rolledOutCluster,
    folder,
    say: (line) => void said.push(line),
    confirm: (intent) => {
      intents.push(intent);
      return Promise.resolve(options.answer ?? true);
    },
    ...(options.at ? { at: options.at } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return { outcome, intents, said };
}

/** What the workers' consumer hands out until nothing is left; each is acknowledged. */
export async function handedOut(
  server: { address: string },
  { stream, consumer }: Names = DEFAULT_NAMES,
): Promise<string[]> {
  const connection = await natsClient(server);
  try {
    const puller = await onceElected("the consumer", () => connection.jetstream().consumers.get(stream, consumer));
    const found: string[] = [];
    for (;;) {
      const { num_pending: pending } = await onceElected("the consumer", () => puller.info());
      if (pending === 0) return found;
      for await (const message of await puller.fetch({ max_messages: Math.min(64, pending), expires: 20_000 })) {
        found.push(Buffer.from(message.data).toString());
        await message.ackAck();
      }
    }
  } finally {
    await connection.close();
  }
}

/** Bodies of the messages that a stream holds, in order. */
export function contents(server: { address: string }, stream = DEFAULT_NAMES.stream): Promise<string[]> {
  return withManager(server, async (manager) => {
    const { state } = await manager.streams.info(stream);
    const found: string[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (message) found.push(Buffer.from(message.data).toString());
    }
    return found;
  });
}

export interface Publisher {
  /** What was acknowledged, in order, and what was refused, with the reason. */
  readonly accepted: string[];
  readonly refused: string[];
  stop(): Promise<void>;
}

/** Publishes a numbered message every few milliseconds, as fast as a busy NoETL, without waiting for the one before. */
export async function publisher(
  server: { address: string },
  subject = DEFAULT_NAMES.subject,
  { every = 5, prefix = "live" } = {},
): Promise<Publisher> {
  const connection: NatsConnection = await natsClient(server);
  const accepted: string[] = [];
  const refused: string[] = [];
  const under: Promise<void>[] = [];
  let going = true;
  const loop = (async () => {
    for (let number = 1; going; number++) {
      const body = `${prefix}-${number}`;
      under.push(
        connection
          .jetstream()
          .publish(subject, body, { timeout: 20_000 })
          .then(
            () => void accepted.push(body),
            (error: Error) => void refused.push(`${body}: ${error.message}`),
          ),
      );
      await sleep(every);
    }
  })();
  // Where the test fails before it stops it, the next one is not to find its messages.
  onTestFinished(async () => {
    going = false;
    await connection.close();
  });
  return {
    accepted,
    refused,
    stop: async () => {
      going = false;
      await loop;
      await Promise.all(under);
      await connection.close();
    },
  };
}

/** A work queue, which NoETL cannot use, with messages in it. */
export async function workQueue(
  server: NatsServer,
  bodies: readonly string[],
  { stream, subject }: Names = DEFAULT_NAMES,
  changes: Partial<StreamConfig> = {},
): Promise<void> {
  await withManager(server, async (manager, connection) => {
    await createStream(manager, {
      name: stream,
      subjects: [subject],
      retention: "workqueue" as StreamConfig["retention"],
      storage: "memory" as StreamConfig["storage"],
      max_age: 3600e9,
      ...changes,
    });
    for (const body of bodies) await connection.jetstream().publish(subject, body);
  });
}

/** The workers' consumer as NoETL makes it, changed by `changes`. */
export const workersConsumer = (consumer: string, changes: Partial<ConsumerConfig> = {}): Partial<ConsumerConfig> => ({
  durable_name: consumer,
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.New,
  ack_wait: 30e9,
  max_deliver: 1000,
  max_ack_pending: 64,
  ...changes,
});

export const numbered = (count: number, prefix = "command"): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);

/** Every point that a repair of a stream passes, in order; writing back also in the middle, 64 messages going at once. */
export const POINTS: readonly (readonly [Point, number])[] = [
  ["begun", 1],
  ["freezing", 1],
  ["frozen", 1],
  ["saved", 1],
  ["removing", 1],
  ["removed", 1],
  ["creating", 1],
  ["created", 1],
  ["subscribing", 1],
  ["writing", 1],
  ["writing", 2],
  ["restored", 1],
  ["moving", 1],
  ["opening", 1],
  ["opened", 1],
  ["draining", 1],
  ["drained", 1],
  ["restarting", 1],
  ["restarted", 1],
  ["verifying", 1],
];

/** A repair in a process of its own, and the cluster that it works on. */
interface ProcessOfRepair {
  readonly inputs: ContractInputs;
  readonly folder: string;
  /** Where it is killed: as it passes the point for the n-th time. Default: the first. */
  readonly point: Point;
  readonly times?: number;
  /** Expression that gives the cluster; `connection` and `point` may stand in it. */
  readonly cluster: string;
  readonly connection?: unknown;
}

/**
 * Runs the compiled repair in a process of its own, which kills itself at a point.
 *
 * @returns how it ended: `SIGKILL`, or "ended" where it did not pass the point.
 * @throws Error with what the process complained of.
 */
export async function repairProcess({ cluster, times = 1, ...given }: ProcessOfRepair): Promise<string> {
  const script = `
    const { repair } = require("./dist/commands/doctor/repair");
    let text = "", passed = 0;
    process.stdin.on("data", (chunk) => (text += chunk)).on("end", async () => {
      const { connection, inputs, folder, point, times } = JSON.parse(text);
      await repair({
        stack: "test", inputs, cluster: ${cluster}, folder, say() {}, confirm: async () => true,
        at: (each) => { if (each === point && ++passed === times) process.kill(process.pid, "SIGKILL"); },
      });
    });`;
  const child = spawn(process.execPath, ["-e", script], { cwd: projectRoot(), stdio: ["pipe", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  child.stdin.end(JSON.stringify({ ...given, times }));
  const signal = await new Promise<string | null>((resolve) => child.on("exit", (_, by) => resolve(by)));
  if (complaint !== "") throw new Error(complaint);
  return signal ?? "ended";
}

/** A repair that is killed, on a cluster whose Deployments are always rolled out. */
export const killedAt = (inputs: ContractInputs, folder: string, point: Point, times?: number): Promise<string> =>
  repairProcess({
    inputs,
    folder,
    point,
    times,
    cluster: `{ read: async () => (${JSON.stringify(ROLLED_OUT)}), patch: async () => true }`,
  });
