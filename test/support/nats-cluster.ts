import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { JetStreamManager, NatsConnection } from "nats";
import { freePorts } from "../../embedded/cluster/ports";
import { onceElected, startNatsServer, withManager, type NatsServer } from "./nats";

const NAMES = ["n1", "n2", "n3"] as const;
export type ServerName = (typeof NAMES)[number];

/** Three real servers that form one cluster on loopback, with what each stores in a folder of its own. */
export class NatsCluster {
  readonly names: readonly ServerName[] = NAMES;
  private readonly servers = new Map<string, NatsServer>();
  private readonly routes = new Map<string, number>();
  private readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), "contract-cluster-"));

  private constructor(private readonly more: string) {}

  /** @param more Further lines of each server's configuration. */
  static async start(more = ""): Promise<NatsCluster> {
    const cluster = new NatsCluster(more);
    const ports = await freePorts(NAMES.length);
    for (const [index, name] of NAMES.entries()) cluster.routes.set(name, ports[index] ?? 0);
    await Promise.all(NAMES.map((name) => cluster.start(name)));
    return cluster;
  }

  /** Starts a server of the cluster, again where it was killed. */
  async start(name: ServerName): Promise<void> {
    const config = `
      server_name: ${name}
      ${this.more}
      jetstream: {store_dir: "${this.dir}/${name}", max_memory_store: 64MB, max_file_store: 64MB}
      cluster: {
        name: C
        listen: "127.0.0.1:${this.routes.get(name)}"
        routes: [${NAMES.map((other) => `"nats://127.0.0.1:${this.routes.get(other)}"`).join(", ")}]
      }`;
    this.servers.set(name, await startNatsServer({ config }));
  }

  async kill(name: string): Promise<void> {
    await this.servers.get(name)?.stop();
    this.servers.delete(name);
  }

  /** Servers that run. */
  running(): string[] {
    return [...this.servers.keys()];
  }

  server(name: string): NatsServer | undefined {
    return this.servers.get(name);
  }

  any(): NatsServer {
    return [...this.servers.values()][0] as NatsServer;
  }

  /** Asks JetStream at any of the servers, again while the cluster elects: see {@link onceElected}. */
  ask<T>(what: string, work: (manager: JetStreamManager, connection: NatsConnection) => Promise<T>): Promise<T> {
    return onceElected(what, () => withManager(this.any(), work));
  }

  addresses(): string[] {
    return [...this.servers.values()].map(({ address }) => address);
  }

  async stop(): Promise<void> {
    await Promise.all(this.running().map((name) => this.kill(name)));
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
