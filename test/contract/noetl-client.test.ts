import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkContract, ensureContract, withDefaults, type ContractArguments } from "../../contract";
import { inputProblems } from "../../contract/input-problems";
import { contractTerms } from "../../config/contract";
import { parseSettings } from "../../config/parse";
import { clientReleases, ensureNoetlClient } from "../../embedded/toolchain/noetl-client";
import { certificate } from "../support/certificates";
import {
  addStream,
  inputsFor,
  JETSTREAM,
  removeStreams,
  startNatsServer,
  until,
  withManager,
  type NatsServer,
} from "../support/nats";
import { NOETL_SERVER_ENV } from "../support/noetl-client";

const run = promisify(execFile);
const DRIVER = path.join(__dirname, "noetl-client.py");
/** The module that the chart puts before all that Python loads. */
const SCRIPTS = path.join(__dirname, "..", "..", "charts", "noetl", "files");
const INSTALL_TIMEOUT_MS = 300_000;

interface Said {
  readonly published: readonly string[];
  readonly received: readonly (readonly [consumer: string, command: string])[];
}

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());
beforeEach(() => removeStreams(server));

/** Server and worker of a NoETL: what their own client does where it finds this NATS. Environment as of NoETL's pods. */
async function noetl(release: string, env: Record<string, string> = {}): Promise<Said> {
  const { python, modules } = await ensureNoetlClient(release);
  const { stdout } = await run(python, ["-B", DRIVER, "3"], {
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: modules,
      ...NOETL_SERVER_ENV,
      NATS_URL: `nats://${server.address}`,
      ...env,
    },
    timeout: 110_000,
  });
  return JSON.parse(stdout) as Said;
}

/** What NoETL's client says where it cannot connect; it goes on trying, so that it is ended then. */
async function tried(release: string, env: Record<string, string>): Promise<string> {
  const { python } = await ensureNoetlClient(release);
  const child = spawn(python, ["-B", DRIVER, "1"], { env: { PATH: process.env.PATH, ...NOETL_SERVER_ENV, ...env } });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  try {
    return await until(
      "an error of NoETL's client",
      () => (/CERTIFICATE|received|Error: /.test(said) ? said : undefined),
      90_000,
    );
  } finally {
    child.kill("SIGKILL");
  }
}

/** The contract of a stack that deploys that NoETL, strictly. */
function termsFor(release: string, config: Record<string, string> = {}): Omit<ContractArguments, "connection"> {
  const {
    worker,
    expect: wanted,
    ...terms
  } = contractTerms(
    parseSettings({ noetlImage: `ghcr.io/noetl/noetl:v${release}`, contractStrict: "true", ...config }),
  );
  return { ...terms, expect: wanted, worker };
}

const COMMANDS = ["command-0", "command-1", "command-2"];

describe.each(clientReleases())("NoETL's own client %s", (release) => {
  beforeAll(() => ensureNoetlClient(release).then(() => undefined), INSTALL_TIMEOUT_MS);

  it("trusts the authority that the chart hands it, over TLS alone, and no other", async () => {
    const authority = certificate("authority");
    const { cert, key } = certificate("nats", { issuer: authority, names: ["localhost"] });
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-client-"));
    const file = (name: string, text: string): string => {
      fs.writeFileSync(path.join(dir, name), text);
      return path.join(dir, name);
    };
    const files = { cert_file: file("tls.crt", cert), key_file: file("tls.key", key) };
    const secured = await startNatsServer({ config: `${JETSTREAM}\ntls ${JSON.stringify(files)}` });
    try {
      const { modules } = await ensureNoetlClient(release);
      const env = { NATS_URL: `tls://localhost:${secured.port}`, PYTHONPATH: `${SCRIPTS}:${modules}` };
      const [{ received }, said] = await Promise.all([
        noetl(release, { ...env, NATS_CA_FILE: file("ca.crt", authority.cert) }),
        tried(release, { ...env, NATS_CA_FILE: file("other.crt", certificate("stranger").cert) }),
      ]);
      expect(received.map(([, command]) => command).sort()).toEqual(COMMANDS);
      expect(said).toContain("CERTIFICATE_VERIFY_FAILED");
    } finally {
      await secured.stop();
      fs.rmSync(dir, { recursive: true, force: true });
    }
  });

  it("makes what its line's contract holds, strictly, on an empty server", async () => {
    const { received } = await noetl(release);
    expect(received.map(([, command]) => command).sort()).toEqual(COMMANDS);
    const { holds, report } = await checkContract(inputsFor(server, termsFor(release)));
    expect({ holds, report }).toEqual({ holds: true, report: "" });
  });

  it("works with what mode ensure makes for it, and changes nothing about it", async () => {
    const inputs = inputsFor(server, { ...termsFor(release), mode: "ensure" });
    expect((await ensureContract(inputs)).report).toBe("");
    const made = await everything();
    const { received } = await noetl(release);
    expect(received.map(([, command]) => command).sort()).toEqual(COMMANDS);
    expect(await everything()).toEqual(made);
    expect((await ensureContract(inputs)).changes).toEqual([]);
  });

  it("publishes where the contract says that it publishes", async () => {
    const { published } = await noetl(release);
    expect([...new Set(published)]).toEqual(["noetl.commands"]);
  });
});

describe("a server that is gone without a word, as with its node", () => {
  it("is given up within a minute, for the next one behind the same address", { timeout: 120_000 }, async () => {
    // The other server of a cluster has the stream, too.
    await withManager(server, (manager) => addStream(manager));
    const gone = await startNatsServer();
    let behind = gone;
    const sockets: net.Socket[] = [];
    const address = net.createServer((client) => {
      const upstream = net.connect(behind.port, "127.0.0.1");
      for (const socket of [client, upstream]) sockets.push(socket.on("error", () => undefined));
      client.pipe(upstream).pipe(client);
    });
    await once(address.listen(0, "127.0.0.1"), "listening");
    const { python, modules } = await ensureNoetlClient("2.8.9");
    const { port } = address.address() as net.AddressInfo;
    const env = { PATH: process.env.PATH, ...NOETL_SERVER_ENV, PYTHONPATH: `${SCRIPTS}:${modules}` };
    const child = spawn(python, ["-B", DRIVER, "1", "publisher"], {
      env: { ...env, NATS_URL: `nats://127.0.0.1:${port}` },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    try {
      await until("the first one", () => said.includes("published") || undefined);
      process.kill(gone.pid, "SIGSTOP");
      behind = server;
      await until("a failure", () => said.includes("failed") || undefined);
      await until("the next one", () => /failed[^]*published/.test(said) || undefined);
    } finally {
      child.kill("SIGKILL");
      process.kill(gone.pid, "SIGCONT");
      for (const socket of sockets) socket.destroy();
      address.close();
      await gone.stop();
    }
  });
});

describe("another subject", () => {
  it("is ignored by the server of 2.8.9, which is why it is refused", async () => {
    // The stream takes both, so that what is published can be seen.
    await withManager(server, (manager) =>
      manager.streams.add({ name: "NOETL_COMMANDS", subjects: ["jobs", "noetl.commands"] }),
    );
    expect((await noetl("2.8.9", { NATS_SUBJECT: "jobs" })).published[0]).toBe("noetl.commands");
    expect(inputProblems(withDefaults({ noetlLine: "2.8", subject: "jobs" }))).toHaveLength(1);
  });

  it.each(["2.29.0", "4.26.0"])("is obeyed by %s, whose contract then holds", async (release) => {
    expect((await noetl(release, { NATS_SUBJECT: "jobs" })).published[0]).toBe("jobs");
    const { report } = await checkContract(inputsFor(server, termsFor(release, { natsSubject: "jobs" })));
    expect(report).toBe("");
  });
});

describe("pools", () => {
  it("that the variables of the workers name are what the contract asks for", async () => {
    const segments = "shared,python";
    await noetl("4.26.0", { NOETL_WORKER_POOL_SEGMENTS: segments, NOETL_COMMAND_ROUTING_ENABLED: "true" });
    const terms = termsFor("4.26.0", {
      workerEnv: JSON.stringify({ NOETL_WORKER_POOL_SEGMENTS: segments }),
      serverEnv: JSON.stringify({ NOETL_COMMAND_ROUTING_ENABLED: "true" }),
    });
    const { report } = await checkContract(inputsFor(server, terms));
    expect(report).toBe("");
  });

  it("get each command once, on the subject of its pool", async () => {
    const { published, received } = await noetl("4.26.0", {
      NOETL_WORKER_POOL_SEGMENTS: "shared,python",
      NOETL_COMMAND_ROUTING_ENABLED: "true",
    });
    expect([...new Set(published)]).toEqual(["noetl.commands.shared.7"]);
    expect(received.map(([consumer]) => consumer)).toEqual(COMMANDS.map(() => "noetl_worker_pool_shared"));
  });
});

/** Streams and consumers as they are configured, and when they were made. */
async function everything(): Promise<unknown> {
  return withManager(server, async (manager) => {
    const found: unknown[] = [];
    for await (const { config, created } of manager.streams.list()) {
      const consumers = await manager.consumers.list(config.name).next();
      found.push({
        config,
        created,
        consumers: consumers.map((each) => ({ config: each.config, created: each.created })),
      });
    }
    return found;
  });
}
