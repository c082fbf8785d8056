/** How NoETL's parts connect to NATS, and the words in which their clients put errors. */
import { connect, type NatsConnection, NatsError } from "nats";
import { need, place } from "./environment";

/** The parts of NATS_URL as the clients take them: the user part is not decoded. */
function splitNatsUrl(url: string): { host: string; port: number; user?: string; pass?: string } {
  const match = /^[a-z]+:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^:/@]+)(?::(\d+))?\/?$/.exec(url);
  if (!match?.[3]) throw new Error("nats: cannot parse NATS_URL");
  return {
    host: match[3],
    port: Number(match[4] ?? 4222),
    ...(match[1] === undefined ? {} : { user: match[1] }),
    ...(match[2] === undefined ? {} : { pass: match[2] }),
  };
}

export async function connectAs(name: string): Promise<NatsConnection> {
  const { host, port, user, pass } = splitNatsUrl(need("NATS_URL"));
  const there = place(host, port);
  try {
    return await connect({
      servers: `${there.host}:${there.port}`,
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

export const errorCode = (error: unknown): number | undefined =>
  error instanceof NatsError ? error.api_error?.err_code : undefined;

export const describe = (error: unknown): string => {
  const api = error instanceof NatsError ? error.api_error : undefined;
  return api
    ? `nats: BadRequestError: code=${api.code} err_code=${api.err_code} description='${api.description}'`
    : error instanceof Error
      ? error.message
      : String(error);
};
