/**
 * NoETL's own server and workers with a nats-server that can be taken away, and the chart's probes and preStop hook. A kubelet is what
 * is missing here, so this does what one does: each process is number 1 of a PID namespace of its own, as in a pod (which takes root), is
 * asked every ten seconds and restarted after six failures.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { LOCATIONS } from "../../contract/facts";
import { projectRoot } from "../../contract/project";
import { namesFile } from "../../embedded/cluster/places";
import { freePorts } from "../../embedded/cluster/ports";
import { until } from "./servers";
import { processOf } from "../../embedded/cluster/processes";
import { type Running, withStack } from "./stack";

const script = (name: string): string => path.join(projectRoot(), "charts", "noetl", "files", name);
/** As the chart sets them. */
export const PERIOD_MILLISECONDS = 10_000;
const FAILURES = 6;
/** How long a worker has to finish what it holds, in seconds. */
const STOP_SECONDS = 120;

/** How a pod's process was started. */
interface Program {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function programOf(pid: number): Program {
  const read = (file: string): string[] => fs.readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0").filter(Boolean);
  return {
    command: read("cmdline"),
    env: Object.fromEntries(read("environ").map((each) => each.split(/=(.*)/s).slice(0, 2) as [string, string])),
  };
}

/** A process alone in a PID namespace, its probe, and what a kubelet does about it. */
export class Container {
  restarts = 0;
  private failures = 0;
  private child: ChildProcess | undefined;
  private ended = false;
  private readonly watching: Promise<void>;

  constructor(
    private readonly program: Program,
    private readonly probe: readonly string[],
    private readonly folder: string,
  ) {
    fs.mkdirSync(folder, { recursive: true });
    this.start();
    this.watching = this.watch();
  }

  private start(): void {
    const log = fs.openSync(path.join(this.folder, "log"), "a");
    const args = ["--pid", "--fork", "--mount-proc", "--kill-child", "--", ...this.program.command];
    this.child = spawn("unshare", args, { env: this.program.env, stdio: ["ignore", log, log] });
    fs.closeSync(log);
    this.failures = 0;
  }

  /** The process that is number 1 in its namespace, as this machine numbers it. */
  private get pid(): string {
    const own = String(this.child?.pid);
    return fs.readFileSync(`/proc/${own}/task/${own}/children`, "utf8").trim();
  }

  private async watch(): Promise<void> {
    while (!this.ended) {
      await sleep(PERIOD_MILLISECONDS);
      if (this.ended) return;
      if (this.child?.exitCode !== null) this.restart();
      else if (await this.holds()) this.failures = 0;
      else if (++this.failures >= FAILURES) this.restart();
    }
  }

  /** Runs a script of the chart beside the process, as an exec of the kubelet. @returns whether it ended with 0 */
  private exec(file: string, args: readonly string[], timeoutSeconds: number): Promise<boolean> {
    const python = this.program.command[0] ?? "";
    const enter = ["-t", this.pid, "--pid", "--mount", "--", python, "-I", "-S", script(file)];
    const options = { env: this.program.env, timeout: timeoutSeconds * 1000 };
    return promisify(execFile)("nsenter", [...enter, ...args], options).then(
      () => true,
      () => false,
    );
  }

  private holds(): Promise<boolean> {
    return this.exec("nats_probe.py", [...this.probe, "--folder", this.folder], 8);
  }

  /** Ends it as Kubernetes ends a pod: by the preStop hook. @returns whether it ended by itself, with 0 */
  async retire(): Promise<boolean> {
    this.ended = true;
    const child = this.child;
    // The hook goes with the process that it waits for.
    await this.exec("stop_worker.py", [String(STOP_SECONDS)], STOP_SECONDS + 5);
    await sleep(100);
    const well = child?.exitCode === 0;
    child?.kill("SIGKILL");
    return well;
  }

  private restart(): void {
    this.child?.kill("SIGKILL");
    this.restarts++;
    this.start();
  }

  async stop(): Promise<void> {
    this.ended = true;
    this.child?.kill("SIGKILL");
    await this.watching;
  }
}

/** A nats-server on one port, however often it is started: the address that a Service keeps. */
class Nats {
  private child: ChildProcess | undefined;

  constructor(
    private readonly binary: string,
    private readonly file: string,
  ) {}

  start(): void {
    this.child = spawn(this.binary, ["-c", this.file], { stdio: "ignore" });
  }

  async stop(): Promise<void> {
    const child = this.child;
    child?.kill("SIGKILL");
    await until(
      "nats-server to end",
      () => child === undefined || child.signalCode !== null || child.exitCode !== null,
    );
  }
}

/** The programs behind NoETL's pods, whose pods are taken away. */
async function takePrograms({ cluster }: Running): Promise<{ server: Program; worker: Program }> {
  const { namespace, serverDeployment, workerDeployment } = LOCATIONS.noetl;
  const programs = {
    server: programOf(processOf(cluster.dir, serverDeployment)),
    worker: programOf(processOf(cluster.dir, workerDeployment)),
  };
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfigPath);
  const body = [{ op: "replace", path: "/spec/replicas", value: 0 }];
  for (const name of [serverDeployment, workerDeployment]) {
    await config.makeApiClient(AppsV1Api).patchNamespacedDeployment({ namespace, name, body });
  }
  const core = config.makeApiClient(CoreV1Api);
  await until("NoETL's pods to be gone", async () => {
    const { items } = await core.listNamespacedPod({ namespace });
    return items.every(({ metadata }) => !/noetl-(server|worker)/.test(metadata?.name ?? ""));
  });
  return programs;
}

interface Opened {
  readonly started: readonly Container[];
  readonly dir: string;
  readonly port: number;
}

/** NoETL's server, and as many workers as are started, with a nats-server of their own. */
export class Scene {
  readonly nats: Nats;
  /** Where it listens. */
  readonly address: string;
  readonly server: Container;
  readonly startWorker: () => Container;
  /** The port that NoETL's API listens on. */
  readonly api: number;
  private readonly started: readonly Container[];
  private readonly dir: string;

  private constructor(parts: Pick<Scene, "nats" | "server" | "startWorker" | "api"> & Opened) {
    this.nats = parts.nats;
    this.api = parts.api;
    this.server = parts.server;
    this.startWorker = parts.startWorker;
    this.started = parts.started;
    this.dir = parts.dir;
    this.address = `127.0.0.1:${parts.port}`;
  }

  static async open(running: Running): Promise<Scene> {
    // What the pods are led by goes with them.
    const api = running.noetlPort();
    const names = fs.readFileSync(namesFile(running.cluster.dir), "utf8");
    const programs = await takePrograms(running);
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-scene-"));
    fs.writeFileSync(path.join(dir, "names.json"), names);
    const [port] = (await freePorts(1)) as [number];
    const file = path.join(dir, "nats.conf");
    fs.writeFileSync(
      file,
      `listen: "127.0.0.1:${port}"
jetstream: {store_dir: "${dir}/jetstream", max_memory_store: 256MB, max_file_store: 1GB}
`,
    );
    const nats = new Nats(running.natsServer, file);
    nats.start();
    const own = { NATS_URL: `nats://127.0.0.1:${port}`, EMBEDDED_NAMES: path.join(dir, "names.json") };
    const started: Container[] = [];
    const start = ({ command, env }: Program, probe: readonly string[]): Container => {
      const folder = path.join(dir, `${probe[0]}-${started.length}`);
      const container = new Container({ command, env: { ...env, ...own } }, probe, folder);
      started.push(container);
      return container;
    };
    const server = start(programs.server, ["server", String(api)]);
    const startWorker = () => start(programs.worker, ["worker"]);
    return new Scene({ nats, server, startWorker, api, started, dir, port });
  }

  async close(): Promise<void> {
    for (const each of this.started) await each.stop();
    await this.nats.stop();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs `work` with a scene of a stack that is made for it, and removes both. */
export const withScene = <T>(work: (scene: Scene) => Promise<T>): Promise<T> =>
  withStack({ contractGuard: "off", deployGateway: "false" }, async (running) => {
    const scene = await Scene.open(running);
    try {
      return await work(scene);
    } finally {
      await scene.close();
    }
  });
