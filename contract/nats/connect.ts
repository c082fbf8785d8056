/** Opens a session with the NATS server of the contract. */
import { connect as natsConnect, type ConnectionOptions, type NatsError } from "nats";
import { Deadline } from "../deadline";
import { ConnectError } from "../errors";
import { isServersConnection, type ContractInputs } from "../inputs";
import { asksForTls, login, loginOf, tlsOptions } from "./login";
import { openRelay } from "./relay";
import { NatsSession, type Session } from "./session";
import { demandsTls, offersNoTls, tlsError } from "./tls-errors";
import { dialPortForward, dialServer, type Transport } from "./transport";

/** How a client names itself, where it listens for answers, and how it notices that the server is gone without a word. */
export type Identity = Pick<ConnectionOptions, "name" | "inboxPrefix" | "pingInterval" | "maxPingOut">;

export const CHECK: Identity = { name: "noetl-nats stream contract" };

/** Connects as the inputs say: the first server that can be reached, or a ready pod.  @throws ConnectError */
export async function openSession(
  inputs: ContractInputs,
  deadline: Deadline,
  identity: Identity = CHECK,
): Promise<Session> {
  const { connection } = inputs;
  if (!isServersConnection(connection)) {
    const dial = (): Promise<Transport> => dialPortForward(connection, deadline);
    return connection.tls?.asOffered
      ? logInAsOffered(dial, inputs, { deadline, identity })
      : logIn(dial, inputs, { deadline, identity });
  }
  let last: ConnectError | undefined;
  for (const [index, address] of connection.servers.entries()) {
    // One that says nothing leaves the others their time.
    const share = new Deadline(deadline.remaining() / (connection.servers.length - index));
    try {
      return await logIn(() => dialServer(address, share), inputs, { deadline: share, identity });
    } catch (error) {
      if (!(error instanceof ConnectError) || error.patience === "none") throw error;
      last = error;
    }
  }
  throw last ?? new Error("connection.servers is empty");
}

interface LogIn {
  readonly deadline: Deadline;
  readonly identity: Identity;
}

type Dial = () => Promise<Transport>;

/** Without TLS, and where the server demands it with TLS. */
async function logInAsOffered(dial: Dial, inputs: ContractInputs, by: LogIn): Promise<Session> {
  const { tls: _tls, ...plain } = inputs.connection;
  try {
    return await logIn(dial, { ...inputs, connection: plain }, by);
  } catch (error) {
    if (error instanceof ConnectError && error.problem === "tls") return logIn(dial, inputs, by);
    throw error;
  }
}

async function logIn(dial: Dial, inputs: ContractInputs, { deadline, identity }: LogIn): Promise<Session> {
  const way = await dial();
  const relay = await openRelay(way.stream);
  try {
    const connection = await natsConnect({
      servers: `127.0.0.1:${relay.port}`,
      ...login(inputs),
      tls: tlsOptions(way, inputs.connection.tls),
      timeout: deadline.step(),
      reconnect: false,
      ignoreClusterUpdates: true,
      resolve: false,
      // Each question would be given the stack of where it was asked, which nobody reads: a tenth of a check's processor time.
      noAsyncTraces: true,
      ...identity,
    });
    return new NatsSession(connection, relay, { server: way.server, inputs, inboxPrefix: identity.inboxPrefix });
  } catch (error) {
    const received = relay.received();
    const lastWord = relay.lastWord();
    const failure = relay.failure();
    relay.close();
    if (error instanceof ConnectError) throw error;
    if (failure) throw failure;
    const { tls } = inputs.connection;
    const of = await tlsError(error as NatsError, {
      way,
      settings: tls,
      dial,
      milliseconds: deadline.step(LOOK_MILLISECONDS),
    });
    throw of ?? logInError(error as NatsError, inputs, { way, received, lastWord });
  }
}

/** How long a look at a certificate that is refused may take. */
const LOOK_MILLISECONDS = 2000;

/** A connection that failed: where it led, the bytes that came from the server until then, and its word about it. */
interface Failed {
  readonly way: Transport;
  readonly received: number;
  readonly lastWord: string | undefined;
}

/** nats-server's words where a limit is reached, and what to do about each. */
const LIMITS: readonly { readonly pattern: RegExp; readonly advice: string }[] = [
  {
    pattern: /^maximum connections exceeded$/i,
    advice: ": let some of its clients go, or let it have more (natsMaxConnections, `max_connections`)",
  },
  {
    pattern: /^maximum account active connections exceeded$/i,
    advice:
      ": let some of the account's clients go, or let the account have more (`max_connections` in its `limits`, `conn` of its JWT)",
  },
  {
    pattern: /^maximum control line exceeded$/i,
    advice:
      ": let it take longer lines, which hold subjects and logins (`max_control_line`, 4096 bytes where it is not set)",
  },
];

function logInError(error: NatsError, inputs: ContractInputs, { way, received, lastWord }: Failed): ConnectError {
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
  if (code === "TLS" && !asksForTls(way, connection.tls)) return demandsTls(server);
  if (code === "SERVER_OPT_NA") return offersNoTls(server);
  if (/unexpected response from server|JSON/i.test(error.message)) {
    return new ConnectError("no-nats", `what answers at ${server} is not a NATS server`);
  }
  const when = received === 0 ? `before it greeted${hint}` : "during the log-in";
  const said = lastWord ?? error.message;
  const advice = LIMITS.find(({ pattern }) => pattern.test(said))?.advice ?? "";
  return new ConnectError("closed", `${server} closed the connection ${when} (${said})${advice}`);
}
