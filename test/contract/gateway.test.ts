import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { ErrorCode, type NatsError } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract } from "../../contract";
import { gatewayEnvironment } from "../../contract/env";
import { GATEWAY, natsUrl } from "../../contract/facts";
import { projectRoot } from "../../contract/project";
import { ensureGateway } from "../../embedded/toolchain/gateway";
import { closedPort, inputsFor, JETSTREAM, natsClient, removeStreams, startNatsServer, until } from "../support/nats";
import type { NatsServer } from "../support/nats";

const USER = "noetl";
/** Every sign that a password may have without being escaped in a URL. */
const PASSWORD = "Kanarie-9~x_7.q";
const SCRIPT = path.join(projectRoot(), "charts", "gateway", "files", "start.sh");

let server: NatsServer;
let binary: string;
let folder: string;
let running: ChildProcess | undefined;
let log = "";

beforeAll(async () => {
  binary = await ensureGateway();
  server = await startNatsServer({ config: `${JETSTREAM}\nauthorization: {user: ${USER}, password: "${PASSWORD}"}` });
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "gateway-"));
});
afterAll(async () => {
  fs.rmSync(folder, { recursive: true, force: true });
  await server.stop();
});
beforeEach(() => removeStreams(server, login));
afterEach(async () => {
  if (running) await ended(running);
  running = undefined;
});

const login = { user: USER, pass: PASSWORD };
const gateway = {
  ...GATEWAY,
  sessionBucket: "gateway_sessions",
  sessionTtlSeconds: 120,
  requestBucket: "gateway_requests",
};
const inputs = () => inputsFor(server, { user: USER, password: PASSWORD, gateway });

/** The program with the environment of its pod; by default started as the chart starts it, with its script. */
async function start([command, ...args]: readonly string[] = ["sh", SCRIPT, "NATS_URL", "--", binary]): Promise<void> {
  const port = await closedPort();
  log = "";
  const child = spawn(command ?? "", args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      TMPDIR: folder,
      RUST_LOG: "info",
      NOETL_BASE_URL: "http://127.0.0.1:9",
      GATEWAY_BIND: "127.0.0.1",
      ROUTER_PORT: String(port),
      ...gatewayEnvironment<string>({
        url: natsUrl({ user: USER, password: PASSWORD, host: "127.0.0.1", port: server.port }),
        subjects: gateway,
        corsAllowedOrigins: ["https://gui.test"],
      }),
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  running = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  }
  await until("the gateway", async () => {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}:\n${log}`);
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    return answer?.ok === true || undefined;
  });
}

/** Ends it with all that the script has started: this release has no handler for a gentler signal. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  await until("the gateway to end", () => (child.exitCode ?? child.signalCode) !== null || undefined);
}

/** Its log goes through the script, and may come after its answers. */
const logged = (text: string): Promise<true> => until(`${text} in the log`, () => log.includes(text) || undefined);

/** Whether anybody listens on a subject: the server says at once where nobody does. */
async function isHeard(subject: string): Promise<boolean> {
  const connection = await natsClient(server, login);
  try {
    await connection.request(subject, "{}", { timeout: 3_000 });
    return true;
  } catch (error) {
    return (error as NatsError).code !== (ErrorCode.NoResponders as string);
  } finally {
    await connection.close();
  }
}

describe("NoETL's gateway itself", () => {
  it("makes its buckets as the contract wants them", async () => {
    await ensureContract({ ...inputs(), gateway: undefined });
    expect((await checkContract(inputs(), false)).holds).toBe(false);
    await start();
    const { holds, report } = await checkContract(inputs());
    expect(report).toBe("");
    expect(holds).toBe(true);
  });

  it("takes the buckets that mode ensure has made", async () => {
    await ensureContract(inputs());
    await start();
    await logged(`Connected to existing K/V bucket: ${gateway.sessionBucket}`);
    await logged(`Connected to existing K/V bucket: ${gateway.requestBucket}`);
    expect((await checkContract(inputs())).report).toBe("");
  });

  it("listens for callbacks under its prefix, and not yet for updates", async () => {
    await start();
    await until(
      "callbacks to be heard",
      async () => (await isHeard(`${gateway.callbackSubjectPrefix}.one`)) || undefined,
    );
    expect(await isHeard(`${gateway.updatesSubjectPrefix}one`)).toBe(false);
  });

  it("writes its password into its log, where the chart's script puts *** in its place", async () => {
    await start([binary]);
    await logged(PASSWORD);
    await ended(running as ChildProcess);
    await start();
    await logged(`${USER}:***@`);
    expect(log).not.toContain(PASSWORD);
    // Nor does it keep it in a file.
    for (const file of fs
      .readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => path.join(folder, name)))
      if (fs.statSync(file).isFile()) expect(fs.readFileSync(file, "latin1"), file).not.toContain(PASSWORD);
  });
});
