import * as net from "node:net";
import {
  connect as natsConnect,
  type ConnectionOptions,
  type ConsumerInfo,
  type NatsConnection,
  type NatsError,
  type StreamInfo,
} from "nats";
import type { Duplex } from "node:stream";
import { findPod, forwardPort, loadCluster } from "./cluster";
import { within, type Deadline } from "./deadline";
import { ConnectError } from "./errors";
import { isServersConnection, parseServer, type ContractInputs, type TlsSettings } from "./inputs";
import { openRelay, type Relay } from "./relay";
import { serviceHost } from "../../contract/noetl";

/** Longest wait for a single step, in milliseconds; the check's deadline may leave less. */
const STEP_MILLISECONDS = 10_000;

const step = (deadline: Deadline): number => Math.max(1, Math.min(STEP_MILLISECONDS, deadline.remaining()));

/** An open way to one NATS server. */
interface Way {
  /** The far side in words, for messages and outputs. */
  readonly server: string;
  readonly stream: Duplex;
  /** Host name, or address, that the server's certificate must carry. */
  readonly host: string;
  /** True where the address itself asks for TLS. */
  readonly tls: boolean;
}

/** A connection to NATS that asks what the check needs. */
export interface Session {
  readonly server: string;
  readonly serverVersion: string;
  /** For questions beyond those of the check. */
  readonly connection: NatsConnection;
  /** Undefined where there is no such stream. */
  streamInfo(stream: string, deadline: Deadline): Promise<StreamInfo | undefined>;
  /** Undefined where there is no such consumer, or no such stream. */
  consumerInfo(stream: string, consumer: string, deadline: Deadline): Promise<ConsumerInfo | undefined>;
  /** Closes everything that the session opened. */
  close(): Promise<void>;
}

/** Connects as the inputs say: the first server that can be reached, or a ready pod.  @throws ConnectError */
export async function openSession(inputs: ContractInputs, deadline: Deadline): Promise<Session> {
  const { connection } = inputs;
  if (!isServersConnection(connection)) return logIn(await wayThroughCluster(inputs, deadline), inputs, deadline);
  let last: ConnectError | undefined;
  for (const address of connection.servers) {
    try {
      return await logIn(await wayToServer(address, deadline), inputs, deadline);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.patience === "none") throw error;
      last = error;
    }
  }
  throw last ?? new Error("connection.servers is empty");
}

async function wayThroughCluster({ connection }: ContractInputs, deadline: Deadline): Promise<Way> {
  if (isServersConnection(connection)) throw new Error("not a connection through a cluster");
  const { namespace, service, port } = connection;
  const config = await loadCluster(connection);
  const cluster = config.getCurrentCluster()?.server ?? "";
  const pod = await within(step(deadline), `the Kubernetes API at ${cluster} to name a ready NATS pod`, (signal) =>
    findPod(config, connection, signal),
  );
  const milliseconds = step(deadline);
  const what = `the Kubernetes API at ${cluster} to open a port-forward to pod ${namespace}/${pod}`;
  const stream = await within(milliseconds, what, (signal) =>
    forwardPort(config, { namespace, pod, port }, milliseconds, signal),
  );
  return { server: `pod ${namespace}/${pod} port ${port}`, stream, host: serviceHost(service, namespace), tls: false };
}

async function wayToServer(address: string, deadline: Deadline): Promise<Way> {
  const parsed = parseServer(address);
  if (!parsed) throw new Error("the server address was not checked");
  const { host, port, tls } = parsed;
  const server = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const stream = await within(step(deadline), `${server} to accept the connection`, (signal) =>
    dial(host, port, server, signal),
  );
  return { server, stream, host, tls };
}

function dial(host: string, port: number, server: string, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, signal, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const unknownHost = error.code === "ENOTFOUND" || error.code === "EAI_AGAIN";
      reject(
        unknownHost
          ? new ConnectError("host-unknown", `the host of ${server} is unknown`)
          : new ConnectError(
              "refused",
              `${server} refuses the connection (${error.code ?? error.message}): is NATS running there?`,
            ),
      );
    });
  });
}

const asksForTls = (way: Way, settings: TlsSettings | undefined): boolean => way.tls || settings !== undefined;

/** TLS options of nats.js, which passes on to Node what it does not know itself. Null forbids TLS where none is asked. */
function tlsOptions(way: Way, settings: TlsSettings | undefined): ConnectionOptions["tls"] {
  if (!asksForTls(way, settings)) return null;
  const { serverName = way.host, ...pem } = settings ?? {};
  // Node refuses an address as a server name but checks the certificate against `host` in that case.
  const identity = net.isIP(serverName) ? { host: serverName } : { servername: serverName };
  return { ...pem, ...identity };
}

async function logIn(way: Way, inputs: ContractInputs, deadline: Deadline): Promise<Session> {
  const relay = await openRelay(way.stream);
  try {
    const connection = await natsConnect({
      servers: `127.0.0.1:${relay.port}`,
      ...(inputs.user === undefined ? {} : { user: inputs.user, pass: inputs.password ?? "" }),
      tls: tlsOptions(way, inputs.connection.tls),
      timeout: step(deadline),
      reconnect: false,
      ignoreClusterUpdates: true,
      resolve: false,
      name: "noetl-nats stream contract",
    });
    return session(connection, relay, way.server, inputs);
  } catch (error) {
    const received = relay.received();
    const failure = relay.failure();
    relay.close();
    throw failure ?? logInError(error as NatsError, way, received, inputs);
  }
}

function logInError(error: NatsError, way: Way, received: number, inputs: ContractInputs): ConnectError {
  const { user, connection } = inputs;
  const { server } = way;
  const code = String(error.code);
  if (
    code === "AUTHORIZATION_VIOLATION" ||
    code.startsWith("AUTHENTICATION_EXPIRED") ||
    code === "BAD_AUTHENTICATION"
  ) {
    const how =
      user === undefined ? "a login without user and password" : `the password of user ${user}, or has no such user`;
    return new ConnectError("wrong-password", `NATS at ${server} does not accept ${how} (${error.message})`);
  }
  if (code === "TIMEOUT" || code === "AUTHENTICATION_TIMEOUT") {
    const what =
      received === 0
        ? "NATS's greeting: the connection stands, and nothing comes through it"
        : "the answer to the log-in, which came no further than the server's greeting";
    return new ConnectError("no-answer", `${server}: waited for ${what}`);
  }
  if (code === "TLS" && !asksForTls(way, connection.tls)) {
    return new ConnectError("tls", `NATS at ${server} demands TLS: set connection.tls`);
  }
  if (code === "SERVER_OPT_NA") {
    return new ConnectError("tls", `NATS at ${server} offers no TLS, which connection.tls or tls:// asks for`);
  }
  if (/unexpected response from server|JSON/i.test(error.message)) {
    return new ConnectError("no-nats", `what answers at ${server} is no NATS server`);
  }
  if (/CERT|TLS|SSL|SIGNED|ERR_OSSL/i.test(code)) {
    return new ConnectError("tls", `TLS with NATS at ${server} failed: ${error.message}`);
  }
  return new ConnectError("closed", `${server} closed the connection during the log-in (${error.message})`);
}

function session(connection: NatsConnection, relay: Relay, server: string, inputs: ContractInputs): Session {
  // A broken connection shows in the request that it breaks; nothing else listens to this promise.
  connection.closed().catch(() => undefined);

  async function info<T>(subject: string, what: string, deadline: Deadline): Promise<T | undefined> {
    const timeout = step(deadline);
    try {
      const message = await connection.request(subject, undefined, { timeout });
      return answer(message.json<JetStreamAnswer & T>(), what, server, inputs);
    } catch (error) {
      if (error instanceof ConnectError) throw error;
      throw (
        relay.failure() ?? requestError(error as NatsError, what, server, inputs, connection.info?.jetstream === true)
      );
    }
  }

  return {
    server,
    serverVersion: connection.info?.version ?? "",
    connection,
    streamInfo: (stream, deadline) =>
      info<StreamInfo>(`$JS.API.STREAM.INFO.${stream}`, `the info of stream ${stream}`, deadline),
    consumerInfo: (stream, consumer, deadline) =>
      info<ConsumerInfo>(`$JS.API.CONSUMER.INFO.${stream}.${consumer}`, `the info of consumer ${consumer}`, deadline),
    close: async () => {
      await connection.close();
      relay.close();
    },
  };
}

interface JetStreamAnswer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;
/** JetStream is off for the account, or for the whole server. */
const JETSTREAM_OFF = [10039, 10076];

function answer<T>(reply: JetStreamAnswer & T, what: string, server: string, { user }: ContractInputs): T | undefined {
  const { error } = reply;
  if (!error) return reply;
  const code = error.err_code ?? 0;
  if (code === STREAM_NOT_FOUND || code === CONSUMER_NOT_FOUND) return undefined;
  const said = `${error.description ?? "no description"} (${code})`;
  if (JETSTREAM_OFF.includes(code)) {
    const whom = user === undefined ? "the account of a login without user" : `the account of user ${user}`;
    throw new ConnectError(
      "jetstream-off",
      `JetStream is off for ${whom} at ${server}: ${said}. Enable it for the account`,
    );
  }
  // 503 is "temporarily unavailable": a cluster that has no leader yet, a stream that is still being recovered.
  throw new ConnectError(
    error.code === 503 ? "jetstream-unavailable" : "refused-request",
    `${server} refused ${what}: ${said}`,
  );
}

function requestError(
  error: NatsError,
  what: string,
  server: string,
  { user, stream, consumer }: ContractInputs,
  jetstream: boolean,
): ConnectError {
  switch (String(error.code)) {
    case "PERMISSIONS_VIOLATION":
      return new ConnectError(
        "missing-permission",
        `user ${user ?? "(none)"} lacks a permission at ${server}: ${error.message}. The check needs publish on ` +
          `$JS.API.STREAM.INFO.${stream} and $JS.API.CONSUMER.INFO.${stream}.${consumer}, and subscribe on _INBOX.>`,
      );
    case "503":
      return jetstream
        ? new ConnectError("jetstream-unavailable", `nobody answers for JetStream at ${server}`)
        : new ConnectError("jetstream-off", `JetStream is off at ${server}: enable it in the server's configuration`);
    case "TIMEOUT":
      return new ConnectError("no-answer", `${server}: waited for ${what}`);
    default:
      return new ConnectError("closed", `${server} closed the connection before it gave ${what} (${error.message})`);
  }
}
