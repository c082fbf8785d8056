/**
 * NATS away for minutes, with NoETL's own server and worker and the probes of the chart. A kubelet is what is missing here, so this
 * runs the probes as one does: each process alone in a PID namespace, as in a pod (which takes root), asked every ten seconds,
 * restarted after six failures.
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
import { seconds, type Row } from "../table";
import { until } from "./servers";
import { completes } from "./noetl";
import { processOf, withStack, type Running } from "./stack";

const PROBE = path.join(projectRoot(), "charts", "noetl", "files", "nats_probe.py");
/** As the chart sets them. */
const PERIOD_MILLISECONDS = 10_000;
const FAILURES = 6;
/** From NATS being back to the end of the next playbook, in seconds: a client that gave up is restarted after a minute. */
const BACK_SECONDS = 120;

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
class Container {
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

  private holds(): Promise<boolean> {
    const python = this.program.command[0] ?? "";
    const args = ["-t", this.pid, "--pid", "--mount", "--", python, "-I", "-S", PROBE, ...this.probe];
    return promisify(execFile)("nsenter", [...args, "--folder", this.folder], {
      env: this.program.env,
      timeout: 8_000,
    }).then(
      () => true,
      () => false,
    );
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
    server: programOf(processOf(cluster, serverDeployment)),
    worker: programOf(processOf(cluster, workerDeployment)),
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

/** NoETL's server and worker with a nats-server of their own. */
class Scene {
  private constructor(
    readonly nats: Nats,
    readonly containers: readonly Container[],
    private readonly dir: string,
  ) {}

  /** @param api The port that the server listens on. */
  static async open(running: Running, api: number): Promise<Scene> {
    // What the pods are led by goes with them.
    const names = fs.readFileSync(namesFile(running.cluster.dir), "utf8");
    const programs = await takePrograms(running);
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-away-"));
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
    const start = ({ command, env }: Program, probe: readonly string[]): Container =>
      new Container({ command, env: { ...env, ...own } }, probe, path.join(dir, probe[0] ?? ""));
    const containers = [start(programs.server, ["server", String(api)]), start(programs.worker, ["worker"])];
    return new Scene(nats, containers, dir);
  }

  async close(): Promise<void> {
    for (const each of this.containers) await each.stop();
    await this.nats.stop();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

async function away({ nats, containers }: Scene, api: number, minutes: number): Promise<Row[]> {
  await completes(api);
  // Until each probe has seen what its process has.
  await sleep(2 * PERIOD_MILLISECONDS);
  const before = containers.map(({ restarts }) => restarts);
  await nats.stop();
  await sleep(minutes * 60_000);
  nats.start();
  const measured = await seconds(() => completes(api));
  const what = (figure: string): string => `NATS away for ${minutes} min: ${figure}`;
  return [
    { what: what("back, to the end of the next playbook"), measured, unit: "s", limit: BACK_SECONDS },
    ...["server", "worker"].map((name, index) => ({
      what: what(`restarts of the ${name}`),
      measured: (containers[index]?.restarts ?? 0) - (before[index] ?? 0),
      unit: "",
      limit: 1,
    })),
  ];
}

/** The figures for each length of time without NATS, one after the other. @param minutes whole ones, or parts */
export const awayRows = (minutes: readonly number[]): Promise<Row[]> =>
  withStack({ contractGuard: "off", deployGateway: "false" }, async (running) => {
    const api = running.noetlPort();
    const scene = await Scene.open(running, api);
    try {
      const rows: Row[] = [];
      for (const each of minutes) rows.push(...(await away(scene, api, each)));
      return rows;
    } finally {
      await scene.close();
    }
  });
