import { type ChildProcess, execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import type { ConsumerInfo, JetStreamManager, StreamInfo } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../../contract/project";
import { CONSUMER, STREAM } from "../../../contract/facts";
import { ensureNoetl, type NoetlPackages } from "../../../embedded/toolchain/noetl";
import { addConsumer, addStream, natsClient, startNatsServer, withManager, type NatsServer } from "../../support/nats";

/** The release that the stand-in is made after. */
const RELEASE = "2.8.9";
const PASSWORD = "canary-Password.7";
const LOGIN = { user: "noetl", pass: PASSWORD };
const CONFIG = `jetstream: {store_dir: "DIR/jetstream", max_memory_store: 64MB, max_file_store: 2GB}
authorization: {user: noetl, password: "${PASSWORD}"}`;
/** NoETL's worker imports for seconds, more on a machine that does other things too. */
const PATIENCE = 60_000;
const POD = path.join(projectRoot(), "embedded", "noetl", "pod");

let packages: NoetlPackages;
let dir: string;

beforeAll(async () => {
  packages = await ensureNoetl(RELEASE);
});

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-worker-"));
});

afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

/** A worker, real or not, with a nats-server of its own. */
class Worker {
  output = "";
  exit: number | undefined;

  private constructor(
    readonly server: NatsServer,
    readonly tmp: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    child.on("close", (code) => (this.exit = code ?? -1));
  }

  static start(kind: "real" | "stand-in", server: NatsServer, env: Record<string, string>): Worker {
    const tmp = path.join(dir, kind);
    fs.mkdirSync(tmp);
    const names = path.join(tmp, "names.json");
    fs.writeFileSync(names, JSON.stringify({ "nats.nats.svc.cluster.local:4222": server.port }));
    const [command = "", ...args] =
      kind === "real"
        ? [packages.python, "-m", "noetl.worker"]
        : [process.execPath, path.join(projectRoot(), "dist", "embedded", "noetl", "main.js"), "worker"];
    const child = spawn(command, args, {
      env: {
        PATH: process.env.PATH ?? "",
        HOME: tmp,
        PYTHONPATH: POD,
        PYTHONUNBUFFERED: "1",
        EMBEDDED_NAMES: names,
        EMBEDDED_TMP: tmp,
        NOETL_LOG_FORMAT: "json",
        NATS_URL: `nats://noetl:${PASSWORD}@nats.nats.svc.cluster.local:4222`,
        NOETL_SERVER_URL: "http://noetl.noetl.svc.cluster.local:8082",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new Worker(server, tmp, child);
  }

  /** Messages of the log, without what differs from run to run; lines that are not NoETL's own stay out. */
  get messages(): string[] {
    return this.output.split("\n").flatMap((line) => {
      try {
        const { severity, message } = JSON.parse(line) as { severity: string; message: string };
        return [`${severity} ${message.replace(/worker-[0-9a-f]{8}/g, "ID")}`];
      } catch {
        return [];
      }
    });
  }

  /** Waits until the output holds a text this many times. */
  async says(text: string, times = 1): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (this.output.split(text).length <= times) {
      if (Date.now() > deadline) throw new Error(`waited for "${text}"; so far:\n${this.output}`);
      if (this.exit !== undefined) throw new Error(`ended with ${this.exit} without "${text}":\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async ended(): Promise<number> {
    const deadline = Date.now() + PATIENCE;
    while (this.exit === undefined) {
      if (Date.now() > deadline) throw new Error(`the worker does not end; so far:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return this.exit;
  }

  async stop(): Promise<void> {
    if (this.exit === undefined) {
      this.child.kill("SIGKILL");
      await this.ended();
    }
    await this.server.stop();
  }
}

type Pair = Readonly<Record<"real" | "standIn", Worker>>;

/** Does the same with NoETL's worker and with the stand-in, each with a nats-server that `prepare` has prepared. */
async function withBoth(
  { env = {}, prepare }: { env?: Record<string, string>; prepare?: (manager: JetStreamManager) => Promise<void> },
  work: (pair: Pair) => Promise<void>,
): Promise<void> {
  const servers = await Promise.all([startNatsServer({ config: CONFIG }), startNatsServer({ config: CONFIG })]);
  const started: Worker[] = [];
  try {
    if (prepare) for (const server of servers) await withManager(server, prepare, LOGIN);
    const real = Worker.start("real", servers[0], env);
    started.push(real);
    const standIn = Worker.start("stand-in", servers[1], env);
    started.push(standIn);
    await work({ real, standIn });
  } finally {
    await Promise.all(started.map((each) => each.stop()));
    await Promise.all(servers.slice(started.length).map((each) => each.stop()));
  }
}

const both = (pair: Pair, work: (worker: Worker) => Promise<unknown>) =>
  Promise.all([work(pair.real), work(pair.standIn)]);

interface Left {
  readonly streams: readonly StreamInfo["config"][];
  readonly consumers: readonly ConsumerInfo["config"][];
}

/** Everything that a worker has left in JetStream. */
function leftBehind(server: NatsServer): Promise<Left> {
  return withManager(
    server,
    async (manager) => {
      const streams: StreamInfo["config"][] = [];
      const consumers: ConsumerInfo["config"][] = [];
      for await (const { config } of manager.streams.list()) {
        streams.push(config);
        for await (const { config: own } of manager.consumers.list(config.name)) consumers.push(own);
      }
      return { streams, consumers };
    },
    LOGIN,
  );
}

/** What both have left is the same, and is what the contract knows. */
async function sameLeft(pair: Pair): Promise<Left> {
  const [real, standIn] = await Promise.all([leftBehind(pair.real.server), leftBehind(pair.standIn.server)]);
  expect(standIn).toEqual(real);
  return real;
}

/** The stand-in says nothing that NoETL does not say. */
const sameWords = ({ real, standIn }: Pair): void => {
  expect(standIn.messages.length).toBeGreaterThan(0);
  expect(real.messages).toEqual(expect.arrayContaining([...new Set(standIn.messages)]));
};

describe(`the stand-in for the worker, held against NoETL ${RELEASE}`, () => {
  const subscribed = `Subscribed to ${STREAM.subject} with consumer ${CONSUMER.name}`;

  it("makes stream and consumer, tells its password, and never makes a lost stream again", async () => {
    const env = { NOETL_WORKER_NATS_MAX_DELIVER: "7", NOETL_WORKER_NATS_MAX_ACK_PENDING: "32" };
    await withBoth({ env }, async (pair) => {
      await both(pair, (worker) => worker.says(subscribed));
      const { streams, consumers } = await sameLeft(pair);
      // No bucket is made before a playbook needs it.
      expect(streams.map(({ name }) => name)).toEqual([STREAM.name]);
      expect(streams[0]).toMatchObject({ subjects: [STREAM.subject], retention: "limits", storage: "memory" });
      // The variable is not read: 2.8.9 delivers a thousand times.
      expect(consumers).toMatchObject([
        { max_ack_pending: 32, max_deliver: 1000, ack_wait: 30e9, deliver_policy: "new" },
      ]);

      for (const { output, tmp } of Object.values(pair)) {
        expect(output).toContain(PASSWORD);
        expect(fs.readFileSync(path.join(tmp, "worker_config.txt"), "utf8")).toContain(PASSWORD);
      }

      await both(pair, ({ server }) => withManager(server, (manager) => manager.streams.delete(STREAM.name), LOGIN));
      await both(pair, (worker) => worker.says("Error fetching messages: nats: ServiceUnavailableError", 3));
      expect((await sameLeft(pair)).streams).toEqual([]);
      sameWords(pair);
    });
  });

  it("with a heartbeat of half the timeout, the server refuses every fetch", async () => {
    const env = { NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS: "4", NOETL_WORKER_NATS_FETCH_HEARTBEAT_SECONDS: "2" };
    const prepare = async (manager: JetStreamManager) => {
      await addStream(manager);
      await addConsumer(manager, { max_ack_pending: 5 });
    };
    await withBoth({ env, prepare }, async (pair) => {
      await both(pair, (worker) => worker.says("Bad Request - heartbeat value too large", 3));
      await both(pair, async ({ server }) => {
        const connection = await natsClient(server, LOGIN);
        await connection.jetstream().publish(STREAM.subject, JSON.stringify({ execution_id: 1 }));
        await connection.close();
      });
      const before = Object.values(pair).map(({ output }) => output.split("heartbeat value too large").length);
      await Promise.all(
        Object.values(pair).map((worker, index) => worker.says("heartbeat value too large", (before[index] ?? 0) + 3)),
      );
      for (const { server } of Object.values(pair)) {
        const info = await withManager(server, (each) => each.consumers.info(STREAM.name, CONSUMER.name), LOGIN);
        expect(info).toMatchObject({ num_pending: 1, num_ack_pending: 0 });
      }
      // Its limit in flight was not the worker's: the consumer has been made once more.
      expect((await sameLeft(pair)).consumers).toMatchObject([{ max_ack_pending: 64 }]);
      sameWords(pair);
    });
  });

  it.each([
    {
      name: "a work queue",
      stream: { retention: "workqueue" },
      words:
        `Worker failed to start: Failed to create/validate consumer ${CONSUMER.name}: nats: BadRequestError: code=400 ` +
        "err_code=10101 description='consumer must be deliver all on workqueue stream'",
      consumers: 0,
    },
    {
      name: "a stream of other subjects",
      stream: { subjects: ["other.commands"] },
      words: "Worker failed to start: nats: NotFoundError: code=None err_code=None description='None'",
      // Found by name, before the subject is looked at.
      consumers: 1,
    },
  ])("ends at $name, in the same words", async ({ stream, words, consumers }) => {
    const prepare = (manager: JetStreamManager) => addStream(manager, stream as object);
    await withBoth({ prepare }, async (pair) => {
      expect(await both(pair, (worker) => worker.ended())).toEqual([1, 1]);
      for (const { messages } of Object.values(pair)) expect(messages.at(-1)).toBe(`ERROR ${words}`);
      expect((await sameLeft(pair)).consumers).toHaveLength(consumers);
      sameWords(pair);
    });
  });

  it("with a wrong password it tries again and again, and does not end", async () => {
    const env = { NATS_URL: "nats://noetl:wrong@nats.nats.svc.cluster.local:4222" };
    await withBoth({ env }, async (pair) => {
      await both(pair, (worker) => worker.says("nats.errors.Error: nats: 'Authorization Violation'", 3));
      for (const { exit } of Object.values(pair)) expect(exit).toBeUndefined();
      sameWords(pair);
    });
  });
});

describe("what a Python process has of a pod", () => {
  const SCRIPT = `
import asyncio, os, socket, urllib.request
import httpx, nats, psycopg

def tried(work):
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

async def nats_py():
    connection = await nats.connect(os.environ["NATS_URL"])
    await connection.close()
    return "connected"

async def asked(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text

async def database(conninfo):
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        return connection

ROWS = (
    lambda: asyncio.run(nats_py()),
    lambda: urllib.request.urlopen("http://api.noetl.svc.cluster.local:8082").read().decode(),
    lambda: asyncio.run(asked("http://api.noetl.svc.cluster.local:8082")),
    lambda: psycopg.connect("host=api.noetl.svc.cluster.local port=8082 user=x connect_timeout=5"),
    lambda: asyncio.run(database("host=api.noetl.svc.cluster.local port=8082 user=x connect_timeout=5")),
    lambda: socket.create_connection(("gone.noetl.svc", 80)),
    lambda: socket.create_connection(("api.noetl.svc.cluster.local", 9)),
    lambda: socket.create_connection(("unknown.noetl.svc", 80)),
    lambda: open("/tmp/noetl-nats-test", "w").write("here"),
)
for row in ROWS:
    print(tried(row).replace("\\n", " "))
`;
  let server: NatsServer;
  let api: import("node:http").Server;
  let requests: Buffer[];

  beforeAll(async () => {
    server = await startNatsServer({ config: CONFIG });
    const http = await import("node:http");
    requests = [];
    api = http.createServer((_, response) => void response.end("the API"));
    // What is not an HTTP is libpq's: it has found its way here.
    api.on("clientError", (error: Error & { rawPacket?: Buffer }, socket) => {
      requests.push(error.rawPacket ?? Buffer.alloc(0));
      socket.destroy();
    });
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  });

  afterAll(async () => {
    api.close();
    await server.stop();
  });

  it("with the chart's module before it, the real worker shows no credential, neither in its log nor in a file", async () => {
    const tmp = fs.mkdtempSync(path.join(dir, "masked-"));
    const names = path.join(tmp, "names.json");
    fs.writeFileSync(names, JSON.stringify({ "nats.nats.svc.cluster.local:4222": server.port }));
    const child = spawn(packages.python, ["-m", "noetl.worker"], {
      env: {
        PATH: process.env.PATH ?? "",
        HOME: tmp,
        PYTHONPATH: [POD, path.join(projectRoot(), "charts", "noetl", "files")].join(":"),
        EMBEDDED_NAMES: names,
        EMBEDDED_TMP: tmp,
        LOG_LEVEL: "DEBUG",
        NATS_URL: `nats://noetl:${PASSWORD}@nats.nats.svc.cluster.local:4222`,
        NATS_USER: "noetl",
        NATS_PASSWORD: PASSWORD,
        NOETL_SERVER_URL: "http://noetl.noetl.svc.cluster.local:8082",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no word of NATS in ${output}`)), PATIENCE);
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text;
          if ((output.match(/nats:\/\/noetl:/g) ?? []).length < 2) return;
          clearTimeout(late);
          resolve();
        });
    }).finally(() => child.kill("SIGKILL"));
    expect(output).toContain("nats://noetl:***@nats.nats.svc.cluster.local:4222");
    expect(output).not.toContain(PASSWORD);
    expect(fs.readFileSync(path.join(tmp, "worker_config.txt"), "utf8")).toContain("nats://noetl:***@nats");
  });

  it("in-cluster names lead to what is ready behind them, for every client that NoETL uses, and /tmp is its own", async () => {
    const names = path.join(dir, "names.json");
    const { port } = api.address() as { port: number };
    fs.writeFileSync(
      names,
      JSON.stringify({
        "nats.nats.svc.cluster.local:4222": server.port,
        "api.noetl.svc.cluster.local:8082": port,
        "gone.noetl.svc:80": 0,
      }),
    );
    const { stdout } = await promisify(execFile)(packages.python, ["-c", SCRIPT], {
      env: {
        PATH: process.env.PATH ?? "",
        PYTHONPATH: POD,
        EMBEDDED_NAMES: names,
        EMBEDDED_TMP: dir,
        NATS_URL: `nats://noetl:${PASSWORD}@nats.nats.svc.cluster.local:4222`,
      },
      timeout: PATIENCE,
    });
    const [natsPy, urllib, httpx, sync, async, gone, otherPort, unknown, written] = stdout.trim().split("\n");
    expect([natsPy, urllib, httpx]).toEqual(["connected", "the API", "the API"]);
    for (const line of [sync, async]) expect(line).toMatch(/^OperationalError: connection failed/);
    // Both have reached the port that stands behind the name, though libpq connects by itself.
    expect(requests).toHaveLength(2);
    expect(gone).toMatch(/^ConnectionRefusedError/);
    expect(otherPort).toMatch(/^ConnectionRefusedError/);
    expect(unknown).toBe("gaierror: [Errno -2] Name or service not known");
    expect(written).toBe("4");
    expect(fs.existsSync("/tmp/noetl-nats-test")).toBe(false);
    expect(fs.readFileSync(path.join(dir, "noetl-nats-test"), "utf8")).toBe("here");
  });
});
