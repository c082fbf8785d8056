import { execFile, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import {
  AckPolicy,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  ReplayPolicy,
  StorageType,
  type ConnectionOptions,
  type ConsumerConfig,
  type JetStreamManager,
  type NatsConnection,
  type NatsError,
  type StreamConfig,
} from "nats";
import { withDefaults, type ContractArguments, type ContractInputs } from "../../contract";
import type { ConsumerTerms } from "../../contract/lines";
import { CONSUMER, GATEWAY, STREAM, WORKER_TUNING } from "../../contract/facts";
import { freePorts } from "../../embedded/cluster/ports";
import { ensureTools, type ToolName } from "../../embedded/toolchain";

const run = promisify(execFile);
const NANOSECONDS = 1e9;

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Polls until `ready` gives a value; fails after a minute, or after `patience` milliseconds. */
export async function until<T>(
  what: string,
  ready: () => T | undefined | Promise<T | undefined>,
  patience = 60_000,
): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await ready();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`waited ${patience / 1000} s for ${what}`);
    await sleep(20);
  }
}

/** How long a cluster may take to agree on its leaders: each election takes 4 to 9 s, and may be split. */
const ELECTIONS_MILLISECONDS = 60_000;

/** The server's codes for a cluster that cannot do it yet: servers that are not known yet, and an object that is not served yet. */
const NOT_YET = [10005, 10009, 10118, 10119];

/** Whether JetStream failed as it does in a cluster without a leader: nobody answers, or the answer is that there is none yet. */
function isElecting(error: unknown): boolean {
  const { code, api_error: answer } = error as Partial<NatsError>;
  const isSilent = String(code) === "TIMEOUT" || String(code) === "503";
  return isSilent || answer?.code === 503 || NOT_YET.includes(answer?.err_code ?? 0);
}

/**
 * Asks JetStream in a cluster, whose streams and consumers may have no leader at any moment: `ask` is repeated for a minute
 * while nobody answers, or the answer is that there is no leader. Any other error is thrown at once.
 *
 * What was asked for may have been done although the answer did not come: what is published there needs an `msgID`, and what
 * is added has to be the same each time.
 */
export async function onceElected<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + ELECTIONS_MILLISECONDS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isElecting(error)) throw error;
      if (Date.now() > deadline) {
        throw new Error(`waited ${ELECTIONS_MILLISECONDS / 1000} s for a cluster's leader: ${what}`, { cause: error });
      }
    }
    await sleep(100);
  }
}

export interface NatsServer {
  readonly port: number;
  readonly pid: number;
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Gives the running server another configuration, and waits until it has taken it. */
  reload(config: string): Promise<void>;
  /** Ends the process with a signal, and waits until it has ended: `restart` finds its files. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Ends the process and starts it again with another configuration, on the same port and with the same files. */
  restart(config: string): Promise<void>;
  /** Ends the process and removes its files. */
  stop(): Promise<void>;
}

/** Configuration of a server with JetStream and memory for the tests' streams. `DIR` is its own folder. */
export const JETSTREAM = `jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 64MB}`;

/** A nats-server that the toolchain pins. */
export type ServerTool = Extract<ToolName, `nats-server${string}`>;

/**
 * Starts a real nats-server on a free loopback port. `DIR` in the configuration stands for its own folder.
 *
 * @param port Default: a free one that no program gets by itself, so that it is free for a restart too.
 * @param tool The pinned server, the current one where left out.
 */
export async function startNatsServer({
  config = JETSTREAM,
  port,
  tool = "nats-server",
  env = {},
}: { config?: string; port?: number; tool?: ServerTool; env?: Record<string, string> } = {}): Promise<NatsServer> {
  const { [tool]: binary } = await ensureTools([tool]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "contract-nats-"));
  const file = path.join(dir, "nats.conf");
  let child: ChildProcess;
  let log = "";
  const write = (text: string, listen: number): void =>
    fs.writeFileSync(file, `listen: "127.0.0.1:${listen}"\n${text.replaceAll(/\bDIR\b/g, dir)}\n`);
  const stop = async (): Promise<void> => {
    await end(child);
    fs.rmSync(dir, { recursive: true, force: true });
  };
  const start = async (): Promise<number> => {
    for (const name of fs.readdirSync(dir)) if (name.endsWith(".ports")) fs.rmSync(path.join(dir, name));
    log = "";
    const started = spawn(binary, ["-c", file, "--ports_file_dir", dir], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    });
    started.stderr.setEncoding("utf8").on("data", (chunk: string) => (log += chunk));
    child = started;
    let ended = false;
    // All that it said has come by then.
    started.once("close", () => (ended = true));
    return until("nats-server to start", () => {
      if (ended) throw new Error(`nats-server ended: ${log}`);
      return boundPort(dir);
    });
  };
  try {
    const bound = await onFreePort(port, (listen) => {
      write(config, listen);
      return start();
    });
    return {
      port: bound,
      get pid() {
        return child.pid ?? 0;
      },
      address: `127.0.0.1:${bound}`,
      reload: async (text) => {
        write(text, bound);
        log = "";
        child.kill("SIGHUP");
        await until("nats-server to reload", () => {
          if (/Failed to reload/.test(log)) throw new Error(log);
          return /Reloaded server configuration/.test(log) || undefined;
        });
      },
      end: (signal) => end(child, signal),
      restart: async (text) => {
        await end(child);
        write(text, bound);
        await start();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts on a port; where none is given, on another one once more if somebody else was faster. */
async function onFreePort(given: number | undefined, start: (port: number) => Promise<number>): Promise<number> {
  if (given !== undefined) return start(given);
  for (let tries = 1; ; tries++) {
    try {
      return await start(await closedPort());
    } catch (error) {
      if (tries === 5 || !/address already in use/.test(String(error))) throw error;
    }
  }
}

/** The port that a server wrote into its ports file, once that is complete. */
function boundPort(dir: string): number | undefined {
  const file = fs.readdirSync(dir).find((name) => name.endsWith(".ports"));
  if (!file) return undefined;
  try {
    const { nats } = JSON.parse(fs.readFileSync(path.join(dir, file), "utf8")) as { nats: string[] };
    return Number(new URL(nats[0] ?? "").port);
  } catch {
    return undefined;
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

/** A connection of the test's own, apart from the code under test. */
export function natsClient(server: { address: string }, options: ConnectionOptions = {}): Promise<NatsConnection> {
  return connect({ servers: server.address, reconnect: false, ...options });
}

/** Runs `work` with a JetStream manager and closes the connection. */
export async function withManager<T>(
  server: { address: string },
  work: (manager: JetStreamManager, connection: NatsConnection) => Promise<T>,
  options: ConnectionOptions = {},
): Promise<T> {
  const connection = await natsClient(server, options);
  try {
    return await work(await connection.jetstreamManager(), connection);
  } finally {
    await connection.close();
  }
}

/** The stream exactly as NoETL's server adds it at start-up, changed by `changes`. */
export async function addStream(manager: JetStreamManager, changes: Partial<StreamConfig> = {}): Promise<void> {
  await createStream(manager, {
    name: STREAM.name,
    ...(changes.mirror ? {} : { subjects: [STREAM.subject] }),
    max_age: STREAM.maxAgeSeconds * NANOSECONDS,
    storage: StorageType.Memory,
    ...changes,
  });
}

/** Adds a stream, again while a server still removes the files of a former one of that name. */
export async function createStream(manager: JetStreamManager, config: Partial<StreamConfig>): Promise<void> {
  await until(`the files of a former stream ${config.name} to be gone`, () =>
    manager.streams.add(config).then(
      () => true,
      (error: Error) => (error.message.includes("error creating store for stream") ? undefined : Promise.reject(error)),
    ),
  );
}

/** The consumer exactly as NoETL's worker adds it at start-up, changed by `changes`; undefined leaves a field out. */
export async function addConsumer(manager: JetStreamManager, changes: Partial<ConsumerConfig> = {}): Promise<void> {
  await manager.consumers.add(STREAM.name, {
    durable_name: CONSUMER.name,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.New,
    replay_policy: ReplayPolicy.Instant,
    ack_wait: CONSUMER.ackWaitSeconds * NANOSECONDS,
    max_deliver: WORKER_TUNING.maxDeliver,
    max_ack_pending: WORKER_TUNING.maxAckPending,
    ...changes,
  });
}

/** What NoETL leaves behind at start-up: stream and consumer. */
export async function startNoetl(
  server: { address: string },
  changes: { stream?: Partial<StreamConfig>; consumer?: Partial<ConsumerConfig> } = {},
  options: ConnectionOptions = {},
): Promise<void> {
  await withManager(
    server,
    async (manager) => {
      await addStream(manager, changes.stream);
      await addConsumer(manager, changes.consumer);
    },
    options,
  );
}

/** What the gateway leaves behind at start-up: its buckets, changed by `changes`; null leaves one out. */
export async function startGateway(
  server: { address: string },
  changes: Readonly<Record<string, Partial<StreamConfig> | null>> = {},
  options: ConnectionOptions = {},
): Promise<void> {
  const buckets: readonly [string, number][] = [
    [GATEWAY.sessionBucket, GATEWAY.sessionTtlSeconds],
    [GATEWAY.requestBucket, GATEWAY.requestTtlSeconds],
  ];
  await withManager(
    server,
    async (manager) => {
      for (const [bucket, ttlSeconds] of buckets) {
        const change = changes[bucket];
        if (change === null) continue;
        const name = `KV_${bucket}`;
        if (await manager.streams.info(name).then(Boolean, () => false)) continue;
        await manager.streams.add({
          name,
          ...(change?.mirror ? {} : { subjects: [`$KV.${bucket}.>`] }),
          max_msgs_per_subject: 1,
          max_msg_size: 10 * 1024,
          max_age: ttlSeconds * NANOSECONDS,
          discard: DiscardPolicy.New,
          // In memory: servers need a moment until the files of a removed stream are gone.
          storage: StorageType.Memory,
          allow_rollup_hdrs: !change?.mirror,
          deny_delete: true,
          ...change,
        });
      }
    },
    options,
  );
}

/**
 * Server and worker start again, as the deployments do after `kubectl rollout restart`: what exists is used as it is,
 * except that the worker remakes a consumer whose `max_ack_pending` is not its own.
 */
export async function restartNoetl(
  server: { address: string },
  storage = StorageType.Memory,
  pools: readonly ConsumerTerms[] = [],
): Promise<void> {
  await withManager(server, async (manager) => {
    await manager.streams.info(STREAM.name).catch(() => addStream(manager, { storage }));
    for (const { name, filters } of pools) {
      if (name === CONSUMER.name) continue;
      await manager.consumers
        .info(STREAM.name, name)
        .catch(() => addConsumer(manager, { durable_name: name, filter_subject: filters?.[0] }));
    }
    try {
      const { config } = await manager.consumers.info(STREAM.name, CONSUMER.name);
      if (config.max_ack_pending === WORKER_TUNING.maxAckPending) return;
      await manager.consumers.delete(STREAM.name, CONSUMER.name);
    } catch (error) {
      if ((error as NatsError).api_error?.err_code !== 10014) throw error;
    }
    await addConsumer(manager);
  });
}

/** Removes every stream. */
export async function removeStreams(server: { address: string }, options: ConnectionOptions = {}): Promise<void> {
  await withManager(
    server,
    async (manager) => {
      for await (const stream of manager.streams.list()) await manager.streams.delete(stream.config.name);
    },
    options,
  );
}

/** Inputs of a check of `server`, which waits for ten seconds at most. */
export function inputsFor(
  server: { address: string },
  args: Omit<ContractArguments, "connection"> = {},
): ContractInputs {
  return withDefaults({ connection: { servers: [server.address] }, timeoutSeconds: 10, ...args });
}

/** Runs a shell command that starts with `nats`, the command line and independent witness; gives its output. */
export async function natsCommand(command: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { nats } = await ensureTools(["nats"]);
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "contract-cli-"));
  const PATH = [path.dirname(nats), process.env.PATH].join(path.delimiter);
  try {
    const { stdout } = await run("sh", ["-c", command], { env: { PATH, HOME: home, ...env }, timeout: 60_000 });
    return stdout;
  } finally {
    fs.rmSync(home, { recursive: true, force: true });
  }
}

export interface Proxy {
  readonly address: string;
  /** Connections that are open now. */
  open(): number;
  /** All that clients have sent. */
  sent(): string;
  /** Passes nothing on any more that comes from the server. */
  silence(): void;
  close(): Promise<void>;
}

/**
 * A TCP proxy in front of `server` that passes on what comes from it up to and including the first `marker`, and then
 * stays silent with the connection open. An empty marker passes on nothing, none at all everything.
 *
 * @param before What is waited for before the server gets what a client has sent.
 */
export async function proxy(
  server: { port: number },
  marker?: string,
  before?: (sent: string) => Promise<unknown>,
): Promise<Proxy> {
  const sockets = new Set<net.Socket>();
  let open = 0;
  let sent = "";
  let isSilent = false;
  const keep = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  };
  const listener = net.createServer((client) => {
    const upstream = net.connect(server.port, "127.0.0.1");
    keep(client);
    keep(upstream);
    open++;
    client.on("close", () => {
      open--;
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
    let written: Promise<unknown> = Promise.resolve();
    client.on("data", (chunk) => {
      sent += chunk.toString();
      if (before) written = written.then(() => before(chunk.toString())).then(() => upstream.write(chunk));
      else upstream.write(chunk);
    });
    let passed = "";
    upstream.on("data", (chunk) => {
      if (isSilent || (marker !== undefined && passed.includes(marker))) return;
      const text = chunk.toString("latin1");
      const end = marker === undefined ? -1 : (passed + text).indexOf(marker);
      const part = end < 0 ? text : (passed + text).slice(passed.length, end + (marker?.length ?? 0));
      passed += part;
      if (part !== "") client.write(part, "latin1");
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as net.AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    open: () => open,
    sent: () => sent,
    silence: () => void (isSilent = true),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** A loopback port on which nothing listens, and which no program gets by itself meanwhile. */
export async function closedPort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** What `promise` rejects with; fails where it does not reject. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was expected to fail and did not");
}
