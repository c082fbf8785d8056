/** Three real nats-servers on loopback that form a cluster, with the times of the chart's lame duck mode made short. */
import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../embedded/cluster/ports";

/** Limit for a server to start, to stop or to be in step, in milliseconds. */
const PATIENCE_MILLISECONDS = 60_000;

interface Ports {
  readonly client: number;
  readonly route: number;
  readonly monitor: number;
}

/** Waits for an event. @throws Error that names it, after a minute. */
export async function until(what: string, happened: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MILLISECONDS;
  while (!(await happened())) {
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MILLISECONDS / 1000} s for ${what}`);
    await sleep(50);
  }
}

export class Cluster {
  private readonly children = new Map<string, ChildProcess>();

  private constructor(
    private readonly binary: string,
    private readonly dir: string,
    private readonly ports: ReadonlyMap<string, Ports>,
  ) {}

  static async start(binary: string, servers = 3): Promise<Cluster> {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "goes-on-"));
    const ports = new Map<string, Ports>();
    for (let index = 0; index < servers; index++) {
      const [client, route, monitor] = (await freePorts(3)) as [number, number, number];
      ports.set(`nats-${index}`, { client, route, monitor });
    }
    const cluster = new Cluster(binary, dir, ports);
    for (const name of cluster.names) cluster.run(name);
    await Promise.all(cluster.names.map((name) => cluster.inStep(name)));
    return cluster;
  }

  get names(): string[] {
    return [...this.ports.keys()];
  }

  /** Addresses of all servers for clients, which stand for the Service's one. */
  get addresses(): string[] {
    return [...this.ports.values()].map(({ client }) => `127.0.0.1:${client}`);
  }

  private run(name: string): void {
    const { client, route, monitor } = this.ports.get(name) as Ports;
    const routes = [...this.ports.values()].map((other) => `"nats://127.0.0.1:${other.route}"`).join(", ");
    const file = path.join(this.dir, `${name}.conf`);
    fs.writeFileSync(
      file,
      `server_name: ${name}
listen: "127.0.0.1:${client}"
http: "127.0.0.1:${monitor}"
lame_duck_grace_period: 1s
lame_duck_duration: 30s
jetstream: {store_dir: "${this.dir}/${name}", max_memory_store: 256MB, max_file_store: 256MB}
cluster: {name: nats, listen: "127.0.0.1:${route}", routes: [${routes}]}
`,
    );
    this.children.set(name, spawn(this.binary, ["-c", file], { stdio: "ignore" }));
  }

  /** Until all streams and consumers on a server are current: the question of the servers' preStop hook. */
  inStep(name: string): Promise<void> {
    const { monitor } = this.ports.get(name) as Ports;
    return until(`${name} to be in step`, () =>
      fetch(`http://127.0.0.1:${monitor}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  /** As Kubernetes rolls them: one at a time, the next when the former is ready, each after it has waited for the others. */
  async roll(): Promise<void> {
    for (const name of [...this.names].reverse()) {
      for (const other of this.names) if (other !== name) await this.inStep(other);
      await this.end(name, "SIGUSR2");
      this.run(name);
    }
    for (const name of this.names) await this.inStep(name);
  }

  /** kill -9, and the start that follows in its place. */
  async kill(name: string): Promise<void> {
    await this.end(name, "SIGKILL");
    this.run(name);
  }

  private async end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await until(`${name} to end`, () => child.exitCode !== null || child.signalCode !== null);
  }

  async stop(): Promise<void> {
    for (const name of this.names) await this.end(name, "SIGKILL");
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
