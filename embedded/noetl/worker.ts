import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JetStreamManager, nanos, ReplayPolicy } from "nats";
import { setTimeout as sleep } from "node:timers/promises";
import { CONSUMER, STREAM, WORKER_TUNING } from "../../contract/noetl";
import { need, request, say } from "./environment";
import { listen } from "./listen";
import { connectAs, describe, errorCode } from "./nats";

const API_DEADLINE_MS = 300_000;

/** Start-up of NoETL's worker, and its loop: pulls notifications and acknowledges them. */
export async function worker(): Promise<void> {
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
    throw new Error(`Failed to create/validate consumer ${consumer}: ${describe(error)}`, { cause: error });
  }
  listen((_, response) => void response.end("ok"));
  say(`Subscribed to ${stream} as ${consumer}`);
  const timeout = Number(need("NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS", WORKER_TUNING.fetchTimeoutSeconds)) * 1000;
  const pull = await connection.jetstream().consumers.get(stream, consumer);
  for (;;) {
    const message = await pull.next({ expires: Math.max(1000, timeout) });
    if (!message) continue;
    say(`Received command ${message.seq}`);
    await claim(message.string());
    message.ack();
  }
}

/** Takes the announced command at the server that the announcement names, where it names one. */
async function claim(announcement: string): Promise<void> {
  const event = /"event_id": ?(\d+)/.exec(announcement)?.[1];
  const server = /"server_url": ?"(http[^"]+)"/.exec(announcement)?.[1];
  if (event === undefined || server === undefined) return;
  const url = `${server.replace(/\/$/, "")}/api/commands/${event}/claim`;
  const taken = await request(url, { method: "POST" }).catch(() => undefined);
  say(taken?.ok ? `[CLAIM] Successfully claimed command for event_id=${event}` : `[CLAIM] Command ${event} not taken`);
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

/** The worker registers with the server's API before it does anything else; waits for it for at most five minutes. */
async function waitForServer(): Promise<void> {
  const url = `${need("NOETL_SERVER_URL").replace(/\/$/, "")}/api/health`;
  const deadline = Date.now() + API_DEADLINE_MS;
  while (Date.now() < deadline) {
    if ((await request(url).catch(() => undefined))?.ok) return;
    await sleep(200);
  }
  throw new Error(`NoETL's API at ${url} did not answer within ${API_DEADLINE_MS / 1000} s`);
}
