import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import {
  connect as natsConnect,
  credsAuthenticator,
  nkeyAuthenticator,
  type ConnectionOptions,
  type ConsumerInfo,
  type JetStreamAccountStats,
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
import { bucketStream } from "./gateway-rules";
import { serviceHost } from "../../contract/noetl";

/** Longest wait for a single step, in milliseconds; the check's deadline may leave less. */
const STEP_MILLISECONDS = 10_000;

/** Longest wait for one answer, in milliseconds: it comes at once, or is lost with a server, and is then asked again. */
const ANSWER_MILLISECONDS = 3_000;

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

/** What a user may publish, as the server tells it; a list that is missing allows everything. */
export interface Permissions {
  readonly publish?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
}

/** A connection to NATS that asks what the check needs. Every method throws a {@link ConnectError} where it fails. */
export interface Session {
  readonly server: string;
  readonly serverVersion: string;
  /** For questions beyond those of the check. */
  readonly connection: NatsConnection;
  /** Undefined where there is no such stream. */
  streamInfo(stream: string, deadline: Deadline): Promise<StreamInfo | undefined>;
  /** Undefined where there is no such consumer, or no such stream. */
  consumerInfo(stream: string, consumer: string, deadline: Deadline): Promise<ConsumerInfo | undefined>;
  /** Limits and usage of the login's account. */
  accountInfo(deadline: Deadline): Promise<JetStreamAccountStats>;
  /** Names of the streams whose subjects overlap `subject`. */
  streamsWith(subject: string, deadline: Deadline): Promise<string[]>;
  /** The server's words where the login may not subscribe to `subject`. */
  listenRefusal(subject: string, deadline: Deadline): Promise<string | undefined>;
  /** What the login may do; undefined where the server does not tell (nats-server 2.9, or not to this login). */
  permissions(deadline: Deadline): Promise<Permissions | undefined>;
  /** Asks the JetStream API to change something: `subject` follows `$JS.API.`; `what` follows "refused". */
  change(subject: string, body: object, what: string, deadline: Deadline): Promise<void>;
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

/** Who logs in, in words that follow "does not accept" or "for". */
function loginOf({ user, credentials, nkeySeed }: ContractInputs): string {
  if (credentials !== undefined) return "the user of the credentials file";
  if (nkeySeed !== undefined) return "the user of the NKey";
  return user === undefined ? "a login without user" : `user ${user}`;
}

/** How nats.js logs in. @throws ConnectError `bad-credentials`, without any of their content. */
function login(inputs: ContractInputs): ConnectionOptions {
  const { user, password = "", credentials, nkeySeed } = inputs;
  if (credentials !== undefined) return { authenticator: credsAuthenticator(credentialsContent(credentials)) };
  if (nkeySeed !== undefined) return { authenticator: nkeyAuthenticator(Buffer.from(nkeySeed)) };
  return user === undefined ? {} : { user, pass: password };
}

function credentialsContent(credentials: string): Buffer {
  const isContent = credentials.includes("\n");
  let content = credentials;
  if (!isContent) {
    const file = credentials.replace(/^~(?=\/|$)/, os.homedir());
    try {
      content = fs.readFileSync(file, "utf8");
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : "it cannot be read";
      throw new ConnectError("bad-credentials", `credentials file ${credentials}: ${why}`);
    }
  }
  if (!/BEGIN NATS USER JWT[^]*BEGIN USER NKEY SEED/.test(content)) {
    const which = isContent ? "the credentials given" : `credentials file ${credentials}`;
    throw new ConnectError("bad-credentials", `${which}: no user's JWT with its seed in it`);
  }
  return Buffer.from(content);
}

async function logIn(way: Way, inputs: ContractInputs, deadline: Deadline): Promise<Session> {
  const relay = await openRelay(way.stream);
  try {
    const connection = await natsConnect({
      servers: `127.0.0.1:${relay.port}`,
      ...login(inputs),
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
    if (error instanceof ConnectError) throw error;
    throw failure ?? logInError(error as NatsError, way, received, inputs);
  }
}

function logInError(error: NatsError, way: Way, received: number, inputs: ContractInputs): ConnectError {
  const { user, connection } = inputs;
  const { server } = way;
  const code = String(error.code);
  // Such a server says nothing, and hangs up after a while.
  const hint =
    asksForTls(way, connection.tls) && !connection.tls?.handshakeFirst
      ? "; where the server expects TLS first, set connection.tls.handshakeFirst"
      : "";
  if (code === "BAD_CREDS") {
    return new ConnectError("bad-credentials", `the credentials cannot be used: ${error.message}`);
  }
  if (
    code === "AUTHORIZATION_VIOLATION" ||
    code.startsWith("AUTHENTICATION_EXPIRED") ||
    code === "BAD_AUTHENTICATION" ||
    code === "ACCOUNT_EXPIRED"
  ) {
    const who = loginOf(inputs);
    const how = user === undefined ? who : `the password of ${who}, or has no such user`;
    return new ConnectError("wrong-password", `NATS at ${server} does not accept ${how} (${error.message})`);
  }
  if (code === "TIMEOUT" || code === "AUTHENTICATION_TIMEOUT") {
    const what =
      received === 0
        ? `NATS's greeting: the connection stands, and nothing comes through it${hint}`
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
  // Node's codes for what is wrong with a certificate, and OpenSSL's.
  if (/CERT|TLS|SSL|SIGNED|VERIFY|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|EPROTO/i.test(code)) {
    return new ConnectError("tls", `TLS with NATS at ${server} failed: ${error.message}`);
  }
  const when = received === 0 ? `before it greeted${hint}` : "during the log-in";
  return new ConnectError("closed", `${server} closed the connection ${when} (${error.message})`);
}

const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;
/** JetStream is off for the account, or for the whole server. */
const JETSTREAM_OFF = [10039, 10076];
/** A cluster without a leader, a stream that is offline. Other errors of the kind "unavailable" have code 503. */
const UNAVAILABLE = [10008, 10118];

/** Longest wait for the permissions, in milliseconds: a server that does not tell them may not answer at all. */
const PERMISSIONS_MILLISECONDS = 2_000;

interface Answer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

function session(connection: NatsConnection, relay: Relay, server: string, inputs: ContractInputs): Session {
  // A broken connection shows in the request that it breaks; nothing else listens to this promise.
  connection.closed().catch(() => undefined);

  async function ask<T>(
    subject: string,
    what: string,
    deadline: Deadline,
    body?: object,
    milliseconds = ANSWER_MILLISECONDS,
  ): Promise<T & Answer> {
    try {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const message = await connection.request(subject, payload, { timeout: Math.min(step(deadline), milliseconds) });
      return message.json<T & Answer>();
    } catch (error) {
      const jetstream = connection.info?.jetstream === true;
      throw relay.failure() ?? requestError(error as NatsError, what, server, inputs, jetstream);
    }
  }

  /** Undefined where `absent` is what the API complains of. */
  async function api<T>(
    subject: string,
    what: string,
    deadline: Deadline,
    { body, absent = [] }: { body?: object; absent?: readonly number[] } = {},
  ): Promise<T | undefined> {
    const reply = await ask<T>(`$JS.API.${subject}`, what, deadline, body);
    const { error } = reply;
    if (!error) return reply;
    const code = error.err_code ?? 0;
    if (absent.includes(code)) return undefined;
    const said = `${error.description ?? "no description"} (${code})`;
    if (JETSTREAM_OFF.includes(code)) {
      const whom = `the account of ${loginOf(inputs)}`;
      throw new ConnectError(
        "jetstream-off",
        `JetStream is off for ${whom} at ${server}: ${said}. Enable it for the account`,
      );
    }
    throw new ConnectError(
      error.code === 503 || UNAVAILABLE.includes(code) ? "jetstream-unavailable" : "refused-request",
      `${server} refused ${what}: ${said}`,
    );
  }

  const absent = [STREAM_NOT_FOUND, CONSUMER_NOT_FOUND];
  return {
    server,
    serverVersion: connection.info?.version ?? "",
    connection,
    streamInfo: (stream, deadline) =>
      api<StreamInfo>(`STREAM.INFO.${stream}`, `the info of stream ${stream}`, deadline, { absent }),
    consumerInfo: (stream, consumer, deadline) =>
      api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`, `the info of consumer ${consumer}`, deadline, {
        absent,
      }),
    accountInfo: async (deadline) =>
      (await api<JetStreamAccountStats>("INFO", "the account's info", deadline)) as JetStreamAccountStats,
    streamsWith: async (subject, deadline) => {
      const what = `the names of the streams that take ${subject}`;
      const names = await api<{ streams?: string[] | null }>("STREAM.NAMES", what, deadline, { body: { subject } });
      return names?.streams ?? [];
    },
    listenRefusal: async (subject, deadline) => {
      let refusal: string | undefined;
      const subscription = connection.subscribe(subject, {
        callback: (error) => {
          if (error) refusal = error.message;
        },
      });
      try {
        // The refusal, where there is one, comes before the answer to the ping.
        await within(step(deadline), `${server} to accept a subscription to ${subject}`, () => connection.flush());
      } catch (error) {
        if (error instanceof ConnectError) throw error;
        throw new ConnectError("closed", `${server} closed the connection during a subscription to ${subject}`);
      } finally {
        subscription.unsubscribe();
      }
      return refusal;
    },
    permissions: async (deadline) => {
      try {
        const what = "the permissions of the login";
        const reply = await ask<{ data?: { permissions?: Permissions } }>(
          "$SYS.REQ.USER.INFO",
          what,
          deadline,
          undefined,
          PERMISSIONS_MILLISECONDS,
        );
        return reply.data && (reply.data.permissions ?? {});
      } catch (error) {
        if (error instanceof ConnectError && error.problem !== "closed") return undefined;
        throw error;
      }
    },
    change: async (subject, body, what, deadline) => {
      await api(subject, what, deadline, { body });
    },
    close: async () => {
      await connection.close();
      relay.close();
    },
  };
}

/** What the login of a check has to be allowed, in words. */
function needs({ stream, consumer, gateway, mode }: ContractInputs): string {
  if (mode === "ensure") return "publish on $JS.API.>, and subscribe on _INBOX.>";
  const subjects = [
    `$JS.API.STREAM.INFO.${stream}`,
    ...(gateway
      ? [gateway.sessionBucket, gateway.requestBucket].map((name) => `$JS.API.STREAM.INFO.${bucketStream(name)}`)
      : []),
  ];
  return `publish on ${subjects.join(", ")} and $JS.API.CONSUMER.INFO.${stream}.${consumer}, and subscribe on _INBOX.>`;
}

function requestError(
  error: NatsError,
  what: string,
  server: string,
  inputs: ContractInputs,
  jetstream: boolean,
): ConnectError {
  switch (String(error.code)) {
    case "PERMISSIONS_VIOLATION":
      return new ConnectError(
        "missing-permission",
        `${loginOf(inputs)} lacks a permission at ${server}: ${error.message}. The check needs ${needs(inputs)}`,
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
