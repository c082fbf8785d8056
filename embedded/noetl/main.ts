/**
 * Does at start-up what NoETL's server, worker and gateway do with NATS (v2.8.9 line), driven by the environment alone:
 * `node main.js server|worker|gateway`. See README.md for what it leaves out.
 */
import * as fs from "node:fs";
import * as http from "node:http";
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
  ReplayPolicy,
  StorageType,
  StringCodec,
  connect,
  nanos,
} from "nats";
import { CONSUMER, GATEWAY, STREAM, WORKER_TUNING } from "../../contract/noetl";

const env = process.env;
/** A variable's value, or the specification's default where it is unset. */
const need = (name: string, fallback?: string | number): string => {
  const value = env[name] ?? (fallback === undefined ? undefined : String(fallback));
  if (value === undefined || value === "") throw new Error(`environment variable ${name} is not set`);
  return value;
};
const say = (line: string) => process.stdout.write(`${line}\n`);

/** Local port of an in-cluster address; fails like the resolver or the network would. */
function resolve(host: string, port: number): number {
  const names = JSON.parse(fs.readFileSync(need("EMBEDDED_NAMES"), "utf8")) as Record<string, number>;
  const local = names[`${host}:${port}`];
  if (local) return local;
  if (Object.keys(names).some((name) => name.startsWith(`${host}:`))) {
    throw new Error(`[Errno 111] Connect call failed ('${host}', ${port})`);
  }
  throw new Error(`[Errno -2] Name or service not known: ${host}`);
}

/** The parts of NATS_URL as the clients take them: the user part is not decoded. */
export function splitNatsUrl(url: string): { host: string; port: number; user?: string; pass?: string } {
  const match = /^[a-z]+:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^:/@]+)(?::(\d+))?\/?$/.exec(url);
  if (!match?.[3]) throw new Error("nats: cannot parse NATS_URL");
  return {
    host: match[3],
    port: Number(match[4] ?? 4222),
    ...(match[1] === undefined ? {} : { user: match[1] }),
    ...(match[2] === undefined ? {} : { pass: match[2] }),
  };
}

async function connectAs(name: string): Promise<NatsConnection> {
  const { host, port, user, pass } = splitNatsUrl(need("NATS_URL"));
  try {
    return await connect({
      servers: `127.0.0.1:${resolve(host, port)}`,
      name,
      ...(user === undefined ? {} : { user }),
      ...(pass === undefined ? {} : { pass }),
      timeout: 2000,
      reconnect: true,
      maxReconnectAttempts: 60,
    });
  } catch (error) {
    if (error instanceof NatsError && /AUTHORIZATION/i.test(error.code))
      throw new Error("nats: 'Authorization Violation'", { cause: error });
    throw error;
  }
}

const errorCode = (error: unknown): number | undefined =>
  error instanceof NatsError ? error.api_error?.err_code : undefined;

const describe = (error: unknown): string => {
  const api = error instanceof NatsError ? error.api_error : undefined;
  return api
    ? `nats: BadRequestError: code=${api.code} err_code=${api.err_code} description='${api.description}'`
    : error instanceof Error
      ? error.message
      : String(error);
};

/** Answers 200 on `path`, and whatever else the role answers. */
function listen(path: string, more?: http.RequestListener): void {
  http
    .createServer((request, response) => {
      if (request.url === path) response.end('{"status":"ok"}');
      else if (more) more(request, response);
      else response.writeHead(404).end();
    })
    .listen(Number(need("EMBEDDED_PORT")), "127.0.0.1");
}

async function server(): Promise<void> {
  const connection = await connectAs("noetl-server");
  const manager = await connection.jetstreamManager();
  const [stream, subject] = [need("NATS_STREAM", STREAM.name), need("NATS_SUBJECT", STREAM.subject)];
  try {
    await manager.streams.info(stream);
    say(`Using existing ${stream} stream`);
  } catch {
    await manager.streams.add({
      name: stream,
      subjects: [subject],
      max_age: nanos(STREAM.maxAgeSeconds * 1000),
      storage: StorageType.Memory,
    });
    say(`Created stream ${stream}`);
  }
  const jetstream = connection.jetstream();
  listen("/api/health", (request, response) => {
    if (request.method !== "POST" || request.url !== "/publish") return void response.writeHead(404).end();
    publish(jetstream, subject).then(
      (seq) => response.end(JSON.stringify({ seq })),
      (error: unknown) => {
        const text =
          error instanceof NatsError && error.code === "503" ? "nats: no response from stream" : describe(error);
        say(`Failed to publish command: ${text}`);
        response.writeHead(500).end(text);
      },
    );
  });
}

/** Publishes one command notification as the specification shows it. */
async function publish(jetstream: JetStreamClient, subject: string): Promise<number> {
  const notification = {
    execution_id: 123,
    event_id: 124,
    command_id: "123:step:124",
    step: "step",
    server_url: env.NOETL_SERVER_URL ?? "",
  };
  return (await jetstream.publish(subject, StringCodec().encode(JSON.stringify(notification)))).seq;
}

async function worker(): Promise<void> {
  await waitForServer();
  const connection = await connectAs("noetl-worker");
  const manager = await connection.jetstreamManager();
  const consumer = need("NATS_CONSUMER", CONSUMER.name);
  let stream: string;
  try {
    stream = await manager.streams.find(need("NATS_SUBJECT", STREAM.subject));
  } catch (error) {
    const none = error instanceof Error && error.message === "no stream matches subject";
    throw new Error(none ? "nats: NotFoundError" : describe(error), { cause: error });
  }
  try {
    await ensureConsumer(manager, stream, consumer);
  } catch (error) {
    throw new Error(`Failed to create/validate consumer ${consumer}: ${describe(error)}`);
  }
  listen("/health");
  say(`Subscribed to ${stream} as ${consumer}`);
  const timeout = Number(need("NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS", WORKER_TUNING.fetchTimeoutSeconds)) * 1000;
  const pull = await connection.jetstream().consumers.get(stream, consumer);
  for (;;) {
    const message = await pull.next({ expires: Math.max(1000, timeout) });
    if (!message) continue;
    say(`Received command ${message.seq}`);
    message.ack();
  }
}

/** Looks the durable consumer up, adds it where it is missing, and remakes it where `max_ack_pending` differs. */
async function ensureConsumer(manager: JetStreamManager, stream: string, name: string): Promise<void> {
  const wanted: Partial<ConsumerConfig> = {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.New,
    replay_policy: ReplayPolicy.Instant,
    ack_wait: nanos(CONSUMER.ackWaitSeconds * 1000),
    max_deliver: Number(need("NOETL_WORKER_NATS_MAX_DELIVER", WORKER_TUNING.maxDeliver)),
    max_ack_pending: Number(need("NOETL_WORKER_NATS_MAX_ACK_PENDING", WORKER_TUNING.maxAckPending)),
  };
  try {
    const { config } = await manager.consumers.info(stream, name);
    if (config.max_ack_pending === wanted.max_ack_pending) return;
    await manager.consumers.delete(stream, name);
  } catch (error) {
    if (errorCode(error) !== 10014) throw error;
  }
  await manager.consumers.add(stream, wanted);
}

/** Waits for the server's API as the init container does, for at most five minutes. */
async function waitForServer(): Promise<void> {
  const url = new URL(need("NOETL_SERVER_URL"));
  const deadline = Date.now() + 300_000;
  while (Date.now() < deadline) {
    try {
      const local = resolve(url.hostname, Number(url.port || 80));
      if ((await fetch(`http://127.0.0.1:${local}/api/health`)).ok) return;
    } catch {
      // Not there yet.
    }
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`NoETL's API at ${url.origin} did not answer within 300 s`);
}

async function gateway(): Promise<void> {
  const connection = await connectAs("gateway");
  const views = connection.jetstream().views;
  await views.kv(need("NATS_SESSION_BUCKET", GATEWAY.sessionBucket), {
    ttl: Number(need("NATS_SESSION_CACHE_TTL_SECS", GATEWAY.sessionTtlSeconds)) * 1000,
  });
  await views.kv(need("NATS_REQUEST_BUCKET", GATEWAY.requestBucket), {
    ttl: Number(need("NATS_REQUEST_TTL_SECS", GATEWAY.requestTtlSeconds)) * 1000,
  });
  const origins = need("CORS_ALLOWED_ORIGINS").split(",");
  listen("/health", (request, response) => {
    const origin = request.headers.origin ?? "";
    if (origins.includes(origin)) response.setHeader("access-control-allow-origin", origin);
    response.writeHead(request.method === "OPTIONS" ? 204 : 404).end();
  });
  say("Gateway is ready");
}

if (require.main === module) {
  const role = { server, worker, gateway }[process.argv[2] ?? ""];
  if (!role) throw new Error("usage: node main.js server|worker|gateway");
  role().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
  process.on("SIGTERM", () => process.exit(0));
}
