/**
 * `npm run nats -- --stack NAME ARGUMENTS`: NATS' own command line at a stack's NATS, from this machine. It goes the way of the
 * contract, a port-forward where NATS stands in a cluster, and logs in as the stack's natsUser. The login is in the environment of
 * `nats` alone, in no argument and no file.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { Deadline } from "../../contract/deadline";
import { ConnectError } from "../../contract/errors";
import { isServersConnection, type ClusterConnection } from "../../contract/inputs";
import { dialPortForward } from "../../contract/nats/transport";
import { STACK_NAME, WIDTH, wrap } from "../shared/arguments";
import { requireBinary } from "../shared/binaries";
import { CommandError, EXIT } from "../shared/exit";
import { readTarget, type Target } from "../doctor/target";
import { harmless } from "../doctor/text";

/** Longest way to NATS, in milliseconds. */
const WAY_MILLISECONDS = 20_000;

const USAGE = [
  "Runs NATS' command line, nats, at a stack's NATS, logged in as its natsUser.",
  "",
  "usage: npm run nats -- --stack NAME ARGUMENTS...",
  "",
  "  for example: npm run nats -- --stack kind stream ls",
  "",
  ...wrap(
    `It ends as nats does; with ${EXIT.usage.code} where the command line cannot be understood, or nats is not there, and with ` +
      `${EXIT.unknown.code} where the stack cannot be read or its NATS cannot be reached.`,
    WIDTH,
  ),
].join("\n");

/** @throws CommandError `usage` */
function parsed([flag, stack, ...words]: readonly string[]): { readonly stack: string; readonly words: string[] } {
  if (flag !== "--stack" || stack === undefined || !STACK_NAME.test(stack) || words.length === 0) {
    throw new CommandError(`--stack NAME comes first, and then what nats is to do\n\n${USAGE}`, "usage");
  }
  return { stack, words };
}

/** A loopback port that leads to NATS in its cluster. @throws ConnectError where there is no way. */
async function listen(connection: ClusterConnection): Promise<net.Server> {
  const dial = () => dialPortForward(connection, new Deadline(WAY_MILLISECONDS));
  // What keeps NATS from being reached is said in our words, before nats says it in its own.
  let first: ReturnType<typeof dial> | undefined = Promise.resolve(await dial());
  const server = net.createServer((socket) => {
    const way = first ?? dial();
    first = undefined;
    way.then(
      ({ stream }) => {
        socket.on("error", () => stream.destroy()).on("close", () => stream.destroy());
        stream.on("error", () => socket.destroy()).on("close", () => socket.destroy());
        socket.pipe(stream).pipe(socket);
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  return server;
}

/** The environment that `nats` is run with: nothing of the caller's own login, context or authority. */
function environmentOf({ nats }: Target, servers: string, folder: string): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith("NATS_"));
  const ca = nats.connection.tls?.ca;
  const file = path.join(folder, "ca.crt");
  if (ca !== undefined) fs.writeFileSync(file, ca);
  return {
    ...Object.fromEntries(others),
    NATS_URL: servers,
    NATS_USER: nats.user,
    NATS_PASSWORD: nats.password,
    NATS_CA: ca === undefined ? undefined : file,
    // Where nats looks for a context that somebody has selected.
    XDG_CONFIG_HOME: folder,
  };
}

/** Runs `nats` to its end; its exit code. */
function run(program: string, words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env, stdio: "inherit" });
    // Ctrl-C goes to all of a terminal; what ends this process alone ends nats.
    for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
    process.on("SIGINT", () => undefined);
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? EXIT.interrupted.code));
  });
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === "--help" || argv[0] === "-h") {
    process.stdout.write(`${USAGE}\n`);
    return EXIT.ok.code;
  }
  const { stack, words } = parsed(argv);
  const program = programOf();
  const target = await readTarget(stack);
  if (target.nats.password === undefined) {
    throw new CommandError(`stack ${stack} has no login for NATS yet: run pulumi up --stack ${stack} to its end`);
  }
  const { connection } = target.nats;
  // Before there is anything that an interrupt would leave behind.
  const server = isServersConnection(connection) ? undefined : await listen(connection);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-cli-"));
  try {
    const address = server?.address() as net.AddressInfo | undefined;
    const servers = isServersConnection(connection) ? connection.servers.join(",") : `127.0.0.1:${address?.port}`;
    return await run(program, words, environmentOf(target, servers, folder));
  } finally {
    server?.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws CommandError `usage` where there is no `nats` on this machine. */
function programOf(): string {
  try {
    return requireBinary("nats");
  } catch (error) {
    throw new CommandError((error as Error).message, "usage");
  }
}

main(process.argv.slice(2)).then(
  // A connection that nats left open is not waited for.
  (code) => process.exit(code),
  (error: unknown) => {
    const isKnown = error instanceof CommandError || error instanceof ConnectError;
    process.stderr.write(`${harmless(isKnown ? error.message : String((error as Error).stack))}\n`);
    process.exit(EXIT[error instanceof CommandError ? error.exit : "unknown"].code);
  },
);
