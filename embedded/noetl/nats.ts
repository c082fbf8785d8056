/** How NoETL's parts connect to NATS, and the words in which their clients put errors. */
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type NatsConnection, NatsError } from "nats";
import { INBOX_VARIABLE } from "../../contract/nats/roles";
import { need, optional, place } from "./pod-environment";
import { messageOf, say } from "./log";

/** nats-py's own: so often it tries to connect, with so many milliseconds between two times. */
const [ATTEMPTS, PAUSE_MS] = [60, 2000];

/** The parts of NATS_URL as the clients take them: the user part is not decoded. */
function splitNatsUrl(url: string): { host: string; port: number; user?: string; pass?: string } {
  const match = /^[a-z]+:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^:/@]+)(?::(\d+))?\/?$/.exec(url);
  if (!match?.[3]) throw new Error("nats: cannot parse NATS_URL");
  return {
    host: match[3],
    port: Number(match[4] ?? 4222),
    user: match[1],
    pass: match[2],
  };
}

/** Authorities as the charts hand them over. The server is known by its name in the cluster, wherever it is here. */
function trusted(host: string): { tls?: { ca: string; servername: string } } {
  const file = process.env.NATS_CA_FILE;
  return file ? { tls: { ca: fs.readFileSync(file, "utf8"), servername: host } } : {};
}

/** Connects, or fails at once, as the gateway does. */
export async function connectOnce(name: string): Promise<NatsConnection> {
  const { host, port, user, pass } = splitNatsUrl(need("NATS_URL"));
  const there = place(host, port);
  try {
    return await connect({
      servers: `${there.host}:${there.port}`,
      name,
      ...trusted(host),
      user,
      pass,
      inboxPrefix: optional(INBOX_VARIABLE),
      timeout: 2000,
      reconnect: true,
      maxReconnectAttempts: ATTEMPTS,
      reconnectTimeWait: PAUSE_MS,
    });
  } catch (error) {
    if (error instanceof NatsError && /AUTHORIZATION/i.test(error.code))
      throw new Error("nats: 'Authorization Violation'", { cause: error });
    throw error;
  }
}

/** Connects, again and again for two minutes whatever stands in the way, as nats-py does. */
export async function connectPatiently(name: string): Promise<NatsConnection> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      return await connectOnce(name);
    } catch (error) {
      const kind = messageOf(error).startsWith("nats: ") ? "nats.errors.Error" : "OSError";
      say(`nats: encountered error\nTraceback (most recent call last):\n${kind}: ${messageOf(error)}`);
      await sleep(PAUSE_MS);
    }
  }
  throw new Error("nats: no servers available for connection");
}

export const errorCode = (error: unknown): number | undefined =>
  error instanceof NatsError ? error.api_error?.err_code : undefined;

export const describe = (error: unknown): string => {
  const api = error instanceof NatsError ? error.api_error : undefined;
  return api
    ? `nats: BadRequestError: code=${api.code} err_code=${api.err_code} description='${api.description}'`
    : messageOf(error);
};
