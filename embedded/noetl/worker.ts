import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JetStreamManager, nanos, ReplayPolicy } from "nats";
import { CONSUMER, STREAM, WORKER_TUNING } from "../../contract/facts";
import { need, optional, request } from "./pod-environment";
import { Fetcher, FetchTimeout } from "./fetch";
import { log, messageOf } from "./log";
import { connectPatiently, describe, errorCode } from "./nats";
import { ensureStream } from "./stream";

/** What 2.8.9 gives its consumer, whatever NOETL_WORKER_NATS_MAX_DELIVER says: it does not read the variable. */
const MAX_DELIVER = 1000;
/** Pause after a fetch that failed, in milliseconds. */
const RETRY_MS = 100;

/** NoETL's worker: its start-up, and its loop, which takes notifications and acknowledges them. */
export async function worker(): Promise<void> {
  const id = `worker-${crypto.randomBytes(4).toString("hex")}`;
  const [url, api] = [need("NATS_URL"), need("NOETL_SERVER_URL", "http://localhost:8082")];
  try {
    writeConfig(`Worker ID: ${id}\nNATS URL: ${url}\nServer URL: ${api}\n`);
    log("INFO", `Starting V2 worker ${id} | NATS=${url} | Server=${api}`);
    await run(id, { url, api });
  } catch (error) {
    log("ERROR", `Worker error: ${messageOf(error)}`, error);
    log("ERROR", `Worker failed to start: ${messageOf(error)}`, error);
    process.exit(1);
  }
}

async function run(id: string, { url, api }: { url: string; api: string }): Promise<void> {
  const pending = need("NOETL_WORKER_NATS_MAX_ACK_PENDING", WORKER_TUNING.maxAckPending);
  const inflight = need("NOETL_WORKER_MAX_INFLIGHT_COMMANDS", 8);
  const db = need("NOETL_WORKER_MAX_INFLIGHT_DB_COMMANDS", 4);
  log(
    "INFO",
    `Worker ${id} starting (NATS: ${url}, inflight=${inflight}, db_inflight=${db}, max_ack_pending=${pending})`,
  );
  const connection = await connectPatiently("noetl-worker").catch((error: unknown) => {
    log("ERROR", `Failed to connect to NATS: ${messageOf(error)}`);
    throw error;
  });
  log("INFO", "Connected to NATS and subscribing to command notifications");
  await register(id, api);
  const [subject, consumer] = [need("NATS_SUBJECT", STREAM.subject), need("NATS_CONSUMER", CONSUMER.name)];
  let fetcher: Fetcher;
  try {
    const manager = await connection.jetstreamManager();
    await ensureStream(manager);
    await ensureConsumer(manager, need("NATS_STREAM", STREAM.name), consumer);
    fetcher = new Fetcher(connection, await streamOf(manager, subject), consumer);
  } catch (error) {
    log("ERROR", `Subscribe failed: ${messageOf(error)}`, error);
    throw error;
  }
  log("INFO", `Subscribed to ${subject} with consumer ${consumer}`);
  const seconds = (name: string, fallback: number) => Number(need(`NOETL_WORKER_NATS_FETCH_${name}_SECONDS`, fallback));
  const timeout = seconds("TIMEOUT", WORKER_TUNING.fetchTimeoutSeconds);
  const heartbeat = seconds("HEARTBEAT", WORKER_TUNING.fetchHeartbeatSeconds);
  for (;;) {
    try {
      const message = await fetcher.next({ timeout, heartbeat });
      log("INFO", `[EVENT] Worker ${id} received notification: ${message.string()}`);
      await claim(message.string());
      message.respond("+ACK");
    } catch (error) {
      if (error instanceof FetchTimeout) continue;
      log("ERROR", `Error fetching messages: ${messageOf(error)}`);
      await sleep(RETRY_MS);
    }
  }
}

/** The file into which the worker writes its settings, the URL with its password too. */
function writeConfig(text: string): void {
  const folder = optional("EMBEDDED_TMP");
  if (folder !== undefined) fs.writeFileSync(path.join(folder, "worker_config.txt"), text);
}

/** A registration that fails is reported, and tried again at the next heartbeat; the worker does not wait for it. */
async function register(id: string, api: string): Promise<void> {
  try {
    await request(`${api.replace(/\/$/, "")}/api/worker/pool/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: id, component_type: "worker_pool" }),
    });
  } catch (error) {
    log("WARNING", `Worker registration error: ${unreached(error)}`);
  }
}

/** Why there was no answer, in the words of the real worker's HTTP client. */
function unreached(error: unknown): string {
  const [resolver] = /^\[Errno -2\] Name or service not known/.exec(messageOf(error)) ?? [];
  return resolver ?? "All connection attempts failed";
}

/** Takes the announced command at the server that the announcement names, where it names one. */
async function claim(announcement: string): Promise<void> {
  const event = /"event_id": ?(\d+)/.exec(announcement)?.[1];
  const server = /"server_url": ?"(http[^"]+)"/.exec(announcement)?.[1];
  if (event === undefined || server === undefined) return;
  const url = `${server.replace(/\/$/, "")}/api/commands/${event}/claim`;
  const taken = await request(url, { method: "POST" }).catch(() => undefined);
  log(
    "INFO",
    taken?.ok ? `[CLAIM] Successfully claimed command for event_id=${event}` : `[CLAIM] Command ${event} not taken`,
  );
}

/** Looks the durable consumer up, adds it where it is missing, and remakes it where `max_ack_pending` differs. */
async function ensureConsumer(manager: JetStreamManager, stream: string, name: string): Promise<void> {
  const wanted: Partial<ConsumerConfig> = {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.New,
    replay_policy: ReplayPolicy.Instant,
    ack_wait: nanos(CONSUMER.ackWaitSeconds * 1000),
    max_deliver: MAX_DELIVER,
    max_ack_pending: Number(need("NOETL_WORKER_NATS_MAX_ACK_PENDING", WORKER_TUNING.maxAckPending)),
  };
  try {
    const { config } = await manager.consumers.info(stream, name);
    if (config.max_ack_pending === wanted.max_ack_pending) return;
    await manager.consumers.delete(stream, name);
  } catch (error) {
    if (errorCode(error) !== 10014) {
      throw new Error(`Failed to get consumer info for ${name}: ${describe(error)}`, { cause: error });
    }
  }
  try {
    await manager.consumers.add(stream, wanted);
    log("INFO", `Created NATS consumer ${name} (max_ack_pending=${wanted.max_ack_pending})`);
  } catch (error) {
    // Another worker may have been faster.
    const info = await manager.consumers.info(stream, name).catch(() => undefined);
    if (info?.config.max_ack_pending === wanted.max_ack_pending) return;
    throw new Error(`Failed to create/validate consumer ${name}: ${describe(error)}`, { cause: error });
  }
}

/** The stream that a subscription to the subject is bound to. It need not be the one of NATS_STREAM. */
async function streamOf(manager: JetStreamManager, subject: string): Promise<string> {
  try {
    return await manager.streams.find(subject);
  } catch (error) {
    const none = error instanceof Error && error.message === "no stream matches subject";
    const text = none ? "nats: NotFoundError: code=None err_code=None description='None'" : describe(error);
    throw new Error(text, { cause: error });
  }
}
