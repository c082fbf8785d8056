/** The probes of server and workers and the workers' preStop hook, against a real NATS server and real processes. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CONSUMER, STREAM } from "../../contract/facts";
import {
  addConsumer,
  addStream,
  closedPort,
  JETSTREAM,
  startNatsServer,
  until,
  withManager,
  type NatsServer,
} from "../support/nats";
import { chartFolder } from "./helm";

const script = (name: string) => path.join(chartFolder("noetl"), "files", name);

const PASSWORD = "canary-4c1f";
const LOGIN = { user: "noetl", pass: PASSWORD };
const CONFIG = `${JETSTREAM}\nauthorization: {timeout: 60, users: [{user: noetl, password: "${PASSWORD}"}]}`;

interface Ended {
  code: number;
  output: string;
}

const cleanups: (() => Promise<unknown> | void)[] = [];
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-probe-"));
  cleanups.push(() => fs.rmSync(folder, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function nats(port?: number, config = CONFIG): Promise<NatsServer> {
  const server = await startNatsServer({ config, ...(port === undefined ? {} : { port }) });
  cleanups.push(() => server.stop());
  return server;
}

/** A process that stands for server or worker: it holds a connection to the port while it is asked to. */
class Application {
  private constructor(private readonly child: ChildProcess) {}

  static async start(): Promise<Application> {
    const source = `
import socket, sys
held = None
print("ready", flush=True)
for line in sys.stdin:
    word, _, port = line.strip().partition(" ")
    if held: held.close(); held = None
    if word == "connect": held = socket.create_connection(("127.0.0.1", int(port)))
    print("done", flush=True)
`;
    const child = spawn("python3", ["-c", source], { stdio: ["pipe", "pipe", "inherit"] });
    cleanups.push(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    return new Application(child);
  }

  get pid(): string {
    return String(this.child.pid);
  }

  private async say(line: string): Promise<void> {
    const answered = once(this.child.stdout as NodeJS.ReadableStream, "data");
    this.child.stdin?.write(`${line}\n`);
    await answered;
  }
  connect = (port: number) => this.say(`connect ${port}`);
  disconnect = () => this.say("disconnect");
}

/** Runs what it is given as a script, where the servers of names are away: the resolver tries them again and again. */
const WITHOUT_NAMES = `
import runpy, socket, sys, time
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

/** Runs the probe as the Deployment does, except for the process that it asks about and the folder that it remembers in. */
function probe(
  mode: readonly string[],
  application: Application,
  { url, more = [], run = [] }: { url: string | undefined; more?: readonly string[]; run?: readonly string[] },
): Promise<Ended> {
  const env = {
    PATH: process.env.PATH,
    ...(url === undefined ? {} : { NATS_URL: url }),
    NATS_STREAM: STREAM.name,
    NATS_CONSUMER: CONSUMER.name,
  };
  const args = [
    "-I",
    "-S",
    ...run,
    script("nats_probe.py"),
    ...mode,
    "--folder",
    folder,
    "--pid",
    application.pid,
    ...more,
  ];
  return new Promise((resolve) => {
    execFile("python3", args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

const urlOf = ({ port }: { port: number }) => `nats://noetl:${PASSWORD}@127.0.0.1:${port}`;
const GOOD: Ended = { code: 0, output: "" };
const make = (server: NatsServer) =>
  withManager(
    server,
    async (manager) => {
      await addStream(manager);
      await addConsumer(manager);
    },
    LOGIN,
  );
describe("a worker's readiness", () => {
  it("is a connection of the worker, not of the probe or of nobody", async () => {
    const [server, worker] = await Promise.all([nats(), Application.start()]);
    const ready = () => probe(["ready"], worker, { url: urlOf(server) });
    const none = { code: 1, output: `no established connection to NATS port ${server.port}\n` };
    expect(await ready()).toEqual(none);
    await worker.connect(server.port);
    expect(await ready()).toEqual(GOOD);
    await worker.disconnect();
    expect(await ready()).toEqual(none);
  });

  it("takes a list of servers, with and without scheme, and asks the one that answers", async () => {
    const [server, worker] = await Promise.all([nats(), Application.start()]);
    await worker.connect(server.port);
    const url = `nats://a:b@127.0.0.1:1, noetl:${PASSWORD}@127.0.0.1:${server.port}`;
    const ready = () => probe(["ready"], worker, { url });
    await make(server);
    expect(await ready()).toEqual(GOOD);
    await withManager(server, (manager) => manager.streams.delete(STREAM.name), LOGIN);
    expect((await ready()).output).toBe("the stream is gone; a worker makes it at its start\n");
  });

  it("knows the port that a URL leaves out", async () => {
    const worker = await Application.start();
    expect((await probe(["ready"], worker, { url: "wss://nats.example.org" })).output).toContain("port 443");
  });

  it.each([undefined, `nats://noetl:${PASSWORD}@host:port`, "nats://"])(
    "says what is wrong with NATS_URL without showing it: %s",
    async (url) => {
      const worker = await Application.start();
      const output = "NATS_URL is missing or holds no usable port\n";
      for (const mode of [["ready"], ["worker"]])
        expect(await probe(mode, worker, { url })).toEqual({ code: 1, output });
    },
  );
});

describe("a worker's liveness", () => {
  it("misses stream and consumer once they were there, and takes the worker for well when they are back", async () => {
    const [server, worker] = await Promise.all([nats(), Application.start()]);
    await worker.connect(server.port);
    const alive = () => probe(["worker"], worker, { url: urlOf(server) });
    // Nobody has made them yet: a restart would not either.
    expect(await alive()).toEqual(GOOD);
    await make(server);
    expect(await alive()).toEqual(GOOD);
    await withManager(server, (manager) => manager.consumers.delete(STREAM.name, CONSUMER.name), LOGIN);
    expect(await alive()).toEqual({ code: 1, output: "the consumer is gone; a worker makes it at its start\n" });
    await withManager(server, (manager) => manager.streams.delete(STREAM.name), LOGIN);
    expect(await alive()).toEqual({ code: 1, output: "the stream is gone; a worker makes it at its start\n" });
    await make(server);
    expect(await alive()).toEqual(GOOD);
  });

  it("sees what a restart of NATS takes along, and says nothing while NATS is away", async () => {
    const port = await closedPort();
    const [first, worker] = await Promise.all([nats(port), Application.start()]);
    await worker.connect(port);
    await make(first);
    const alive = () => probe(["worker"], worker, { url: urlOf({ port }) });
    expect(await alive()).toEqual(GOOD);
    await first.stop();
    await worker.disconnect();
    expect(await alive()).toEqual(GOOD);
    await nats(port);
    const lost = `the connection to NATS port ${port} is lost, and NATS answers: the client has given up\n`;
    expect(await alive()).toEqual({ code: 1, output: lost });
    await worker.connect(port);
    expect((await alive()).output).toBe("the stream is gone; a worker makes it at its start\n");
  });

  it("does not restart again and again what nobody can make: a new process has seen nothing", async () => {
    const [server, before] = await Promise.all([nats(), Application.start()]);
    // As in a pod whose /tmp outlives its containers, and where a process may have any other's number: its start tells it.
    const after = await Application.start();
    expect(startOf(after)).not.toBe(startOf(before));
    await before.connect(server.port);
    await make(server);
    expect(await probe(["worker"], before, { url: urlOf(server) })).toEqual(GOOD);
    await withManager(server, (manager) => manager.streams.delete(STREAM.name), LOGIN);
    expect((await probe(["worker"], before, { url: urlOf(server) })).code).toBe(1);
    await after.connect(server.port);
    expect(await probe(["worker"], after, { url: urlOf(server) })).toEqual(GOOD);
    expect(await probe(["ready"], after, { url: urlOf(server) })).toEqual(GOOD);
  });

  it("waits for a worker that starts, and not for ever", async () => {
    const [server, worker] = await Promise.all([nats(), Application.start()]);
    const alive = (seconds: string) =>
      probe(["worker"], worker, { url: urlOf(server), more: ["--start-seconds", seconds] });
    expect(await alive("300")).toEqual(GOOD);
    expect((await alive("0")).output).toBe(`no connection to NATS port ${server.port} after 0 s, and NATS answers\n`);
  });

  it.each([
    ["refuses the login", CONFIG.replace(PASSWORD, "another")],
    ["has no JetStream", `authorization: {timeout: 60, users: [{user: noetl, password: "${PASSWORD}"}]}`],
    [
      "lets the user ask for nothing",
      `${JETSTREAM}\nauthorization: {timeout: 60, users: [{user: noetl, password: "${PASSWORD}", permissions: {publish: ["a"], subscribe: ["_INBOX.>"]}}]}`,
    ],
  ])("says nothing against a worker where NATS %s: a restart would not help", async (_, config) => {
    const port = await closedPort();
    const [good, worker] = await Promise.all([nats(port), Application.start()]);
    await worker.connect(port);
    await make(good);
    expect(await probe(["worker"], worker, { url: urlOf({ port }) })).toEqual(GOOD);
    await good.stop();
    await nats(port, config);
    await worker.connect(port);
    // The kubelet waits five seconds; a busy machine may take longer once.
    await until("a probe that the kubelet waits for", async () => {
      const started = Date.now();
      expect(await probe(["worker"], worker, { url: urlOf({ port }) })).toEqual(GOOD);
      return Date.now() - started < 5_000 || undefined;
    });
  });

  it("waits for nobody who does not speak", async () => {
    const silent = net.createServer(() => undefined).listen(0, "127.0.0.1");
    await once(silent, "listening");
    cleanups.push(() => void silent.close());
    const { port } = silent.address() as net.AddressInfo;
    const worker = await Application.start();
    expect(await probe(["worker"], worker, { url: urlOf({ port }) })).toEqual(GOOD);
    await worker.disconnect();
  });

  it("says nothing against a worker while names do not resolve, in the time that the kubelet waits", async () => {
    const [server, worker] = await Promise.all([nats(), Application.start()]);
    await worker.connect(server.port);
    const url = `nats://noetl:${PASSWORD}@nats.example:${server.port}`;
    await until("a probe that the kubelet waits for", async () => {
      const started = Date.now();
      expect(await probe(["worker"], worker, { url, run: ["-c", WITHOUT_NAMES] })).toEqual(GOOD);
      return Date.now() - started < 5_000 || undefined;
    });
  });
});

describe("the server's liveness", () => {
  async function api(status: () => number): Promise<string> {
    const server = http.createServer((request, response) => {
      response.writeHead(request.url === "/api/health" ? status() : 404).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    cleanups.push(() => void server.close());
    return String((server.address() as net.AddressInfo).port);
  }

  it("asks the API for its health", async () => {
    const [nothing, application] = await Promise.all([nats(), Application.start()]);
    let status = 200;
    const port = await api(() => status);
    const alive = () => probe(["server", port], application, { url: urlOf(nothing) });
    expect(await alive()).toEqual(GOOD);
    status = 503;
    expect(await alive()).toEqual({ code: 1, output: `the API does not answer well on port ${port}: /api/health\n` });
  });

  it("takes a server that never published for well, and sees a connection that is lost for good", async () => {
    const port = await closedPort();
    const [first, application] = await Promise.all([nats(port), Application.start()]);
    const health = await api(() => 200);
    const alive = () => probe(["server", health], application, { url: urlOf({ port }) });
    expect(await alive()).toEqual(GOOD);
    await application.connect(port);
    expect(await alive()).toEqual(GOOD);
    await first.stop();
    await application.disconnect();
    expect(await alive()).toEqual(GOOD);
    await nats(port);
    expect((await alive()).output).toBe(
      `the connection to NATS port ${port} is lost, and NATS answers: the client has given up\n`,
    );
    await application.connect(port);
    expect(await alive()).toEqual(GOOD);
  });
});

/** When a process was started, in ticks of the kernel's clock. */
const startOf = ({ pid }: { pid: string }): string =>
  fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1)?.trim().split(" ")[19] ?? "";

describe("the workers' preStop hook", () => {
  /** As the worker of NoETL 2.8.9: SIGTERM does nothing, SIGINT has it finish what it holds. */
  const WORKER = `
import signal, sys, time
stopping = False
def stop(*_):
    global stopping
    stopping = True
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, stop)
number = 0
while not stopping:
    number += 1
    print("fetched", number, flush=True)
    for _ in range(int(sys.argv[1])):
        time.sleep(0.05)
    print("acknowledged", number, flush=True)
`;
  async function worker(steps: number) {
    const child = spawn("python3", ["-c", WORKER, String(steps)], { stdio: ["ignore", "pipe", "inherit"] });
    cleanups.push(() => void child.kill("SIGKILL"));
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const ended = once(child, "exit") as Promise<[number | null, string | null]>;
    await until("the first command", () => (output.includes("fetched") ? true : undefined));
    return { pid: String(child.pid), ended, lines: () => output.trim().split("\n"), child };
  }
  const stop = (seconds: string, pid: string) =>
    new Promise<Ended>((resolve) => {
      execFile("python3", ["-I", "-S", script("stop_worker.py"), seconds, pid], (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
      );
    });

  it("returns when the worker has finished, acknowledged and ended, and nothing was fetched after", async () => {
    const { pid, ended, lines } = await worker(40);
    expect(await stop("30", pid)).toEqual(GOOD);
    expect(await ended).toEqual([0, null]);
    const [fetched, acknowledged] = ["fetched", "acknowledged"].map((word) =>
      lines()
        .filter((line) => line.startsWith(word))
        .map((line) => line.split(" ")[1]),
    );
    expect(acknowledged).toEqual(fetched);
    expect(fetched).toEqual(["1"]);
    expect(await stop("30", pid)).toEqual(GOOD);
  });

  it("gives up at its deadline", async () => {
    const { pid, child } = await worker(10_000);
    expect(await stop("0.5", pid)).toEqual({ code: 1, output: "the worker did not end within 0.5 s\n" });
    child.kill("SIGKILL");
  });
});
