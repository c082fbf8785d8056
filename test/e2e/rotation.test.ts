/** A change of all passwords that is killed at each of its steps, while commands flow: engine, servers and database are real. */
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { CoreV1Api, KubeConfig, type V1Pod } from "@kubernetes/client-node";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { AckPolicy, connect, type NatsConnection, StorageType } from "nats";
import { Client as Postgres } from "pg";
import { afterEach, expect, it } from "vitest";
import { LOCATIONS } from "../../contract/facts";
import type { Login } from "../../contract/nats/users";
import { PROJECT, projectRoot } from "../../contract/project";
import type * as ClusterModule from "../../embedded/cluster/index.js";
import type * as StackModule from "../../embedded/stack.js";
import { embeddedPaths } from "../../embedded/home";
import { namesFile } from "../../embedded/cluster/places";
import { processOf } from "../../embedded/cluster/processes";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools } from "../../embedded/toolchain";
import { Commands, RATE, type Going } from "../support/commands";
import { killBetweenWrites } from "../support/engine";
import { onceElected, sleep, until } from "../support/nats";

const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openStack } = compiled("./embedded/stack") as typeof StackModule;

const STACK = "rotation";
const FIRST = { natsPassword: "first-Password.1", noetlPassword: "first-Role.1", postgresPassword: "first-Admin.1" };
const SECOND = { natsPassword: "7k-second.2", noetlPassword: "7k-role.2", postgresPassword: "7k-admin.2" };
/** The steps of a change, in an order that they may come in. */
const STEPS = [
  "nats-users",
  "postgres-schema",
  "noetl-release",
  "gateway-release",
  "stream-contract",
  "nats-users-settled",
  "postgres-logins",
];
/** Beside NoETL's stream, whose workers would take what is published for the test. */
const LOAD = { stream: "LOAD", subject: "load", consumer: "load" };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

class Deployment {
  readonly core: CoreV1Api;
  readonly config: Record<string, string>;
  private constructor(
    private readonly dir: string,
    private readonly cluster: ClusterModule.Cluster,
    private readonly tools: Awaited<ReturnType<typeof ensureTools<(typeof STACK_TOOLS)[number]>>>,
    readonly servers: readonly string[],
  ) {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromFile(cluster.kubeconfigPath);
    this.core = kubeconfig.makeApiClient(CoreV1Api);
    this.config = { ...FIRST, natsReplicas: String(servers.length) };
  }

  static async start(count: number): Promise<Deployment> {
    const tools = await ensureTools(STACK_TOOLS);
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-rotation-"));
    cleanups.push(() => {
      fs.rmSync(dir, { recursive: true, force: true });
      fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true });
    });
    const cluster = await startCluster({ dir: path.join(dir, "cluster"), tools });
    cleanups.push(() => cluster.stop());
    return new Deployment(
      dir,
      cluster,
      tools,
      Array.from({ length: count }, (_, index) => `${LOCATIONS.nats.service}-${index}`),
    );
  }

  async up(onEvent?: (event: EngineEvent) => void): Promise<void> {
    const { dir, cluster, tools, config } = this;
    const open = await openStack({ dir, kubeconfigPath: cluster.kubeconfigPath, tools, config, stackName: STACK });
    try {
      await open.stack.up({ onEvent });
    } finally {
      await open.close();
    }
  }

  /** The file of the stack's state. */
  get state(): string {
    return path.join(embeddedPaths(this.dir).state, ".pulumi", "stacks", PROJECT, `${STACK}.json`);
  }

  /** Local addresses of all servers of NATS. */
  addresses(): string[] {
    return this.servers.map((pod) => {
      const args = fs.readFileSync(`/proc/${processOf(this.cluster.dir, pod)}/cmdline`, "utf8").split("\0");
      return `127.0.0.1:${args[args.indexOf("-p") + 1]}`;
    });
  }

  /** What server and workers of NoETL, and the gateway, have that run now. */
  async environments(): Promise<Record<string, string>[]> {
    const { noetl, gateway } = LOCATIONS;
    const listed = await Promise.all(
      [noetl, gateway].map(({ namespace }) => this.core.listNamespacedPod({ namespace })),
    );
    return Promise.all(listed.flatMap(({ items }) => items.map((pod) => this.environmentOf(pod))));
  }

  private async environmentOf({ metadata, spec }: V1Pod): Promise<Record<string, string>> {
    const { env = [], envFrom = [] } = spec?.containers[0] ?? {};
    const names = [
      ...envFrom.map(({ secretRef }) => secretRef?.name),
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
    ].filter((name) => name !== undefined);
    const secrets = await Promise.all(
      [...new Set(names)].map((name) =>
        this.core.readNamespacedSecret({ namespace: metadata?.namespace ?? "", name }).then(({ data = {} }) => data),
      ),
    );
    const plain = env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]));
    const secret = secrets.flatMap((data) =>
      Object.entries(data).map(([name, value]) => [name, Buffer.from(value, "base64").toString()] as const),
    );
    return Object.fromEntries([...plain, ...secret]);
  }

  /** The servers of NATS and Postgres, with how often each was restarted. */
  async serverPods(): Promise<[string | undefined, number | undefined][]> {
    const { nats, postgres } = LOCATIONS;
    const listed = await Promise.all(
      [nats, postgres].map(({ namespace }) => this.core.listNamespacedPod({ namespace })),
    );
    return listed
      .flatMap(({ items }) => items)
      .filter(({ metadata }) => /^(nats|postgres)-\d$/.test(metadata?.name ?? ""))
      .map(({ metadata, status }) => [metadata?.uid, status?.containerStatuses?.[0]?.restartCount]);
  }

  /** Logs in at the database as any client does. */
  async logIn(user: string, password: string): Promise<void> {
    const names = JSON.parse(fs.readFileSync(namesFile(this.cluster.dir), "utf8")) as Record<string, number>;
    const { service, namespace, port } = LOCATIONS.postgres;
    const local = names[`${service}.${namespace}.svc.cluster.local:${port}`];
    const client = new Postgres({ host: "127.0.0.1", port: local, user, password, database: "noetl" });
    await client.connect();
    await client.end();
  }
}

const loginIn = ({ NATS_URL = "" }: Record<string, string>): Login => {
  const { username, password } = new URL(NATS_URL);
  return { user: username, password };
};

/** Commands of whoever has a login that a pod of NoETL has: from the pod's beginning to its end. */
class Moving {
  readonly commands = new Commands(LOAD);
  private readonly sides = new Map<string, Side>();
  private ended = false;
  private readonly watching: Promise<void>;

  constructor(private readonly deployment: Deployment) {
    this.watching = this.watch();
    this.watching.catch(() => undefined); // whoever ends it is told
  }

  private async watch(): Promise<void> {
    while (!this.ended) {
      const logins = new Map((await this.deployment.environments()).map((each) => [loginIn(each).user, loginIn(each)]));
      for (const [user, login] of logins) if (!this.sides.has(user)) this.sides.set(user, await this.begin(login));
      for (const [user, side] of this.sides) {
        if (logins.has(user)) continue;
        this.sides.delete(user);
        await side.publishes.end();
        await side.works.end();
        await side.connection.drain();
      }
      await sleep(200);
    }
  }

  private async begin(login: Login): Promise<Side> {
    const connection = await this.commands.connect(this.deployment.addresses(), login);
    return { connection, works: await this.commands.work(connection), publishes: this.commands.publish(connection) };
  }

  /** Ends the publishing, and waits until every command is done. */
  async end(): Promise<void> {
    this.ended = true;
    await this.watching;
    const sides = [...this.sides.values()];
    for (const { publishes } of sides) await publishes.end();
    const { got, last } = this.commands;
    await until("every command to be done", () => got.size === last || undefined);
    for (const { works } of sides) await works.end();
  }

  /** Leaves nothing behind, whatever has failed. */
  async close(): Promise<void> {
    this.ended = true;
    await this.watching.catch(() => undefined);
    await this.commands.close();
  }
}

interface Side {
  readonly connection: NatsConnection;
  readonly works: Going;
  readonly publishes: Going;
}

/** Updates until nothing stops one, and stops each at the first event of a step that it has not stopped at before; those it has stopped at. */
async function killedAtEach(deployment: Deployment, isAt: (event: EngineEvent, step: string) => boolean) {
  const left = new Set(STEPS);
  const killed: string[] = [];
  for (let isKilled = true; isKilled;) {
    isKilled = false;
    const onEvent = (event: EngineEvent): void => {
      const step = isKilled ? undefined : [...left].find((each) => isAt(event, each));
      if (step === undefined) return;
      isKilled = true;
      left.delete(step);
      killed.push(step);
      killBetweenWrites(deployment.state);
    };
    await deployment.up(onEvent).catch((error: unknown) => {
      if (!isKilled) throw error;
    });
    await everybodyIsLetIn(deployment);
  }
  return killed.sort();
}

/** What the pods have that run, NATS' servers and the database accept. */
async function everybodyIsLetIn(deployment: Deployment): Promise<void> {
  for (const environment of await deployment.environments()) {
    const { user, password: pass } = loginIn(environment);
    for (const servers of deployment.addresses())
      await (await connect({ servers, user, pass, reconnect: false })).close();
    const { NOETL_USER, NOETL_PASSWORD } = environment;
    if (NOETL_USER !== undefined) await deployment.logIn(NOETL_USER, NOETL_PASSWORD ?? "");
  }
}

const isChange = (metadata: { readonly op: string; readonly urn: string } | undefined, step: string): boolean =>
  metadata?.op !== "same" && (metadata?.urn.endsWith(`::${step}`) ?? false);

it.each([
  ["begins", 1, ({ resourcePreEvent: event }: EngineEvent, step: string) => isChange(event?.metadata, step)],
  ["has ended", 3, ({ resOutputsEvent: event }: EngineEvent, step: string) => isChange(event?.metadata, step)],
] as const)(
  "a change of all passwords that is killed whenever a step %s, servers: %i: none is refused, no command is lost or delivered twice",
  async (_, count, isAt) => {
    const deployment = await Deployment.start(count);
    await deployment.up();
    const [first = ""] = deployment.addresses();
    const { user, password: pass } = loginIn((await deployment.environments())[0] ?? {});
    const connection = await connect({ servers: first, user, pass });
    const manager = await onceElected("JetStream", () => connection.jetstreamManager());
    const stream = { name: LOAD.stream, subjects: [LOAD.subject], storage: StorageType.Memory, num_replicas: count };
    await onceElected("the stream", () => manager.streams.add(stream));
    await onceElected("the consumer", () =>
      manager.consumers.add(LOAD.stream, { durable_name: LOAD.consumer, ack_policy: AckPolicy.Explicit }),
    );
    await connection.close();
    const servers = await deployment.serverPods();

    const moving = new Moving(deployment);
    cleanups.push(() => moving.close());
    await until("commands to flow", () => moving.commands.got.size > RATE || undefined);
    Object.assign(deployment.config, SECOND);
    expect(await killedAtEach(deployment, isAt)).toEqual([...STEPS].sort());
    await moving.end();

    const { troubles, got, last } = moving.commands;
    expect(troubles).toEqual([]);
    expect([...got].filter(([, times]) => times !== 1)).toEqual([]);
    expect(got.size).toBe(last);
    expect(await deployment.serverPods()).toEqual(servers);
    const logins = (await deployment.environments()).map(loginIn);
    expect(new Set(logins.map((each) => each.user))).toEqual(new Set(["noetl-2"]));
    for (const address of deployment.addresses())
      await expect(connect({ servers: address, user, pass })).rejects.toThrow(/Authorization Violation/i);
    const refused = [
      ["noetl", FIRST.noetlPassword],
      ["postgres", FIRST.postgresPassword],
    ] as const;
    for (const [role, password] of refused)
      await expect(deployment.logIn(role, password), role).rejects.toThrow("password authentication failed");
  },
);
