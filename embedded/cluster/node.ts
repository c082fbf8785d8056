/**
 * The kubelet's part that kwok does not play: real processes behind the pods that matter.
 *
 * Runs as a process of its own: `node node.js DIR NATS_SERVER`. It reads the pods of the cluster in DIR, runs each
 * supervised pod's process with the environment that the deployed pod really got, and reports its state as the pod's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, type V1Container, type V1Pod, type V1Service } from "@kubernetes/client-node";
import { SUPERVISED } from "./stages";

const INTERVAL_MS = 200;
const BACKOFF_SECONDS = [1, 2, 4, 8, 10];
const LOG_TAIL = 2000;

/** Outcome of Jobs for tests: `outcomes.json` in the cluster's folder, keyed by the beginning of the Job's name. */
type Outcomes = Record<string, { exitCode: number; log: string }>;

interface Ports {
  nats: number;
  monitor: number;
}

/** What runs behind a pod: arguments of the process and how to see that it is ready. */
interface Behind {
  command: string;
  args: string[];
  env: Record<string, string>;
  /** Local port by container port. */
  ports: Record<number, number>;
  healthUrl?: string;
}

class Supervisor {
  private readonly core: CoreV1Api;
  private readonly units = new Map<string, Unit>();
  private readonly ports: Ports;
  private address = 1;

  constructor(
    readonly dir: string,
    readonly natsServer: string,
  ) {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromFile(path.join(dir, "kubeconfig"));
    this.core = kubeconfig.makeApiClient(CoreV1Api);
    this.ports = JSON.parse(fs.readFileSync(path.join(dir, "ports.json"), "utf8")) as Ports;
  }

  async run(): Promise<void> {
    for (;;) {
      try {
        await this.reconcile();
      } catch (error) {
        // The API server may be starting or ending; the next turn tries again.
        console.error(new Date().toISOString(), error instanceof Error ? error.message : error);
      }
      await sleep(INTERVAL_MS);
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.units.values()].map((unit) => unit.end()));
  }

  private async reconcile(): Promise<void> {
    const { items: pods } = await this.core.listPodForAllNamespaces();
    const alive = new Set<string>();
    for (const pod of pods) {
      const uid = pod.metadata?.uid ?? "";
      if (!pod.spec?.nodeName || pod.metadata?.deletionTimestamp) continue;
      if (isJobPod(pod)) {
        if (pod.status?.phase === "Pending") await this.finishJob(pod);
        continue;
      }
      if (!isSupervised(pod)) continue;
      alive.add(uid);
      let unit = this.units.get(uid);
      if (!unit) {
        unit = new Unit(pod, `10.244.1.${this.address++ % 250}`, this.dir);
        this.units.set(uid, unit);
      }
      await this.advance(unit, pod);
    }
    for (const [uid, unit] of this.units) {
      if (alive.has(uid)) continue;
      this.units.delete(uid);
      await unit.end();
    }
    await this.writeNames();
  }

  private async advance(unit: Unit, pod: V1Pod): Promise<void> {
    if (unit.mayStart()) {
      try {
        unit.start(await this.behind(pod));
      } catch (error) {
        unit.fail(error instanceof Error ? error.message : String(error));
      }
    }
    await unit.probe();
    if (unit.role === "nats" && unit.running) await this.reload(unit, pod);
    await this.report(unit, pod);
  }

  private async report(unit: Unit, pod: V1Pod): Promise<void> {
    const status = unit.status(pod);
    const text = JSON.stringify(status);
    if (unit.reported === text) return;
    await this.core.patchNamespacedPodStatus({
      name: pod.metadata?.name ?? "",
      namespace: pod.metadata?.namespace ?? "",
      body: [{ op: "replace", path: "/status", value: { ...pod.status, ...status } }],
    });
    unit.reported = text;
  }

  /** A changed ConfigMap makes nats-server read its configuration again, as the reloader container does. */
  private async reload(unit: Unit, pod: V1Pod): Promise<void> {
    if (Date.now() - unit.configReadAt < 2000) return;
    unit.configReadAt = Date.now();
    const config = await this.natsConf(pod);
    if (config === unit.config) return;
    unit.config = config;
    fs.writeFileSync(path.join(unit.folder, "nats.conf"), withStore(config, unit.store), { mode: 0o600 });
    unit.signal("SIGHUP");
  }

  private async behind(pod: V1Pod): Promise<Behind> {
    const role = roleOf(pod);
    const container = mainContainer(pod);
    const env = await this.environment(pod, container);
    const unit = this.units.get(pod.metadata?.uid ?? "");
    if (!unit) throw new Error("pod is gone");
    fs.mkdirSync(unit.folder, { recursive: true, mode: 0o700 });
    if (role === "nats") {
      unit.config = await this.natsConf(pod);
      unit.configReadAt = Date.now();
      const file = path.join(unit.folder, "nats.conf");
      const claim = pod.spec?.volumes?.find((each) => each.persistentVolumeClaim)?.persistentVolumeClaim?.claimName;
      const store = path.join(this.dir, "volumes", claim ?? pod.metadata?.uid ?? "none");
      fs.mkdirSync(store, { recursive: true, mode: 0o700 });
      unit.store = store;
      fs.writeFileSync(file, withStore(unit.config, store), { mode: 0o600 });
      // Flags win over the file, so the deployed file runs as it is but for the places that cannot be the same here.
      const args = ["-c", file, "-a", "127.0.0.1", "-p", String(this.ports.nats), "-m", String(this.ports.monitor)];
      return {
        command: this.natsServer,
        args: [...args, "-P", path.join(unit.folder, "nats.pid")],
        env,
        ports: { 4222: this.ports.nats, 8222: this.ports.monitor },
        healthUrl: `http://127.0.0.1:${this.ports.monitor}/healthz?js-server-only=true`,
      };
    }
    const local = await freePort();
    const listens = role === "worker" ? undefined : (container.ports?.[0]?.containerPort ?? 0);
    return {
      command: process.execPath,
      args: [path.join(__dirname, "..", "noetl", "main.js"), role],
      env: { ...env, EMBEDDED_PORT: String(local), EMBEDDED_NAMES: path.join(this.dir, "names.json") },
      ports: listens === undefined ? {} : { [listens]: local },
      healthUrl: `http://127.0.0.1:${local}${role === "server" ? "/api/health" : "/health"}`,
    };
  }

  private async natsConf(pod: V1Pod): Promise<string> {
    const name = pod.spec?.volumes?.find((each) => each.configMap)?.configMap?.name ?? "";
    const { data } = await this.core.readNamespacedConfigMap({ name, namespace: pod.metadata?.namespace ?? "" });
    const config = data?.["nats.conf"];
    if (config === undefined) throw new Error(`ConfigMap ${name} has no key nats.conf`);
    return config;
  }

  /** The environment of a container as the kubelet makes it. */
  private async environment(pod: V1Pod, container: V1Container): Promise<Record<string, string>> {
    const namespace = pod.metadata?.namespace ?? "";
    const configMap = async (name: string) => (await this.core.readNamespacedConfigMap({ name, namespace })).data ?? {};
    const secret = async (name: string) =>
      Object.fromEntries(
        Object.entries((await this.core.readNamespacedSecret({ name, namespace })).data ?? {}).map(([key, value]) => [
          key,
          Buffer.from(value, "base64").toString("utf8"),
        ]),
      );
    const env: Record<string, string> = {};
    for (const source of container.envFrom ?? []) {
      if (source.configMapRef?.name) Object.assign(env, await configMap(source.configMapRef.name));
      if (source.secretRef?.name) Object.assign(env, await secret(source.secretRef.name));
    }
    for (const { name, value, valueFrom } of container.env ?? []) {
      const [ref, read] = valueFrom?.secretKeyRef
        ? [valueFrom.secretKeyRef, secret]
        : [valueFrom?.configMapKeyRef, configMap];
      if (ref) {
        const found = (await read(ref.name ?? ""))[ref.key];
        if (found === undefined) throw new Error(`couldn't find key ${ref.key} in ${namespace}/${ref.name}`);
        env[name] = found;
      } else if (valueFrom?.fieldRef) {
        const fields: Record<string, string | undefined> = {
          "metadata.name": pod.metadata?.name,
          "metadata.namespace": namespace,
          "status.podIP": pod.status?.podIP,
        };
        env[name] = fields[valueFrom.fieldRef.fieldPath] ?? "";
      } else {
        env[name] = (value ?? "").replace(
          /\$\(([A-Za-z_][A-Za-z0-9_]*)\)/g,
          (whole, inner: string) => env[inner] ?? whole,
        );
      }
    }
    return env;
  }

  /** In-cluster addresses and where they lead to here; the stand-ins look names up in this file. */
  private async writeNames(): Promise<void> {
    const { items: services } = await this.core.listServiceForAllNamespaces();
    const names: Record<string, number> = {};
    for (const service of services) {
      const unit = [...this.units.values()].find((each) => each.ready && selects(service, each.pod));
      for (const port of service.spec?.ports ?? []) {
        const target = unit && containerPort(unit.pod, port.targetPort ?? port.port);
        const local = target === undefined ? undefined : unit?.behind?.ports[target];
        const host = `${service.metadata?.name}.${service.metadata?.namespace}`;
        for (const suffix of ["", ".svc", ".svc.cluster.local"]) names[`${host}${suffix}:${port.port}`] = local ?? 0;
      }
    }
    const file = path.join(this.dir, "names.json");
    const text = JSON.stringify(names, null, 1);
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === text) return;
    fs.writeFileSync(`${file}.new`, text);
    fs.renameSync(`${file}.new`, file);
  }

  private async finishJob(pod: V1Pod): Promise<void> {
    const job = pod.metadata?.labels?.["job-name"] ?? "";
    const file = path.join(this.dir, "outcomes.json");
    const outcomes = (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {}) as Outcomes;
    const outcome = Object.entries(outcomes).find(([prefix]) => job.startsWith(prefix))?.[1] ?? {
      exitCode: 0,
      log: "",
    };
    const failed = outcome.exitCode !== 0;
    const now = new Date().toISOString();
    await this.core.patchNamespacedPodStatus({
      name: pod.metadata?.name ?? "",
      namespace: pod.metadata?.namespace ?? "",
      body: [
        {
          op: "replace",
          path: "/status",
          value: {
            ...pod.status,
            phase: failed ? "Failed" : "Succeeded",
            podIP: `10.244.2.${this.address++ % 250}`,
            startTime: now,
            containerStatuses: (pod.spec?.containers ?? []).map((each) => ({
              name: each.name,
              image: each.image,
              imageID: "",
              ready: false,
              restartCount: 0,
              state: {
                terminated: {
                  exitCode: outcome.exitCode,
                  reason: failed ? "Error" : "Completed",
                  message: outcome.log,
                  startedAt: now,
                  finishedAt: now,
                },
              },
            })),
          },
        },
      ],
    });
  }
}

/** One supervised pod and its process. */
class Unit {
  readonly role: string;
  readonly folder: string;
  behind: Behind | undefined;
  ready = false;
  reported = "";
  config = "";
  /** Folder that stands for the volume of the file store. */
  store = "";
  configReadAt = 0;
  private child: ChildProcess | undefined;
  private startedAt = "";
  private log = "";
  private restarts = 0;
  private nextStart = 0;
  private last: { exitCode: number; message: string; finishedAt: string } | undefined;
  private readonly since = new Date().toISOString();
  private readySince = this.since;

  constructor(
    readonly pod: V1Pod,
    private readonly ip: string,
    dir: string,
  ) {
    this.role = roleOf(pod);
    this.folder = path.join(dir, "pods", `${pod.metadata?.namespace}-${pod.metadata?.name}`);
  }

  get running(): boolean {
    return this.child !== undefined;
  }

  mayStart(): boolean {
    return !this.child && Date.now() >= this.nextStart;
  }

  start(behind: Behind): void {
    this.behind = behind;
    this.log = "";
    this.startedAt = new Date().toISOString();
    const child = spawn(behind.command, behind.args, {
      // Nothing of this machine's environment reaches the process but what finds programs.
      env: { PATH: process.env.PATH, HOME: this.folder, ...behind.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    const collect = (chunk: Buffer) => {
      this.log = (this.log + chunk.toString("utf8")).slice(-LOG_TAIL);
      fs.appendFileSync(path.join(this.folder, "log"), chunk, { mode: 0o600 });
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (error) => collect(Buffer.from(error.message)));
    child.on("close", (code, signal) => {
      if (this.child !== child) return;
      this.child = undefined;
      this.finished(code ?? (signal ? 137 : 1), this.log.trim());
    });
  }

  /** A container that cannot even start, for want of a Secret for example. */
  fail(message: string): void {
    this.finished(128, message);
  }

  private finished(exitCode: number, message: string): void {
    this.ready = false;
    this.last = { exitCode, message, finishedAt: new Date().toISOString() };
    const wait = BACKOFF_SECONDS[Math.min(this.restarts, BACKOFF_SECONDS.length - 1)] ?? 10;
    this.nextStart = Date.now() + wait * 1000;
    this.restarts++;
  }

  async probe(): Promise<void> {
    const ready = this.child !== undefined && (await answers(this.behind?.healthUrl ?? ""));
    if (ready !== this.ready) this.readySince = new Date().toISOString();
    this.ready = ready;
  }

  status(pod: V1Pod): object {
    const main = mainContainer(pod).name;
    const condition = (type: string, holds: boolean, at: string) => ({
      type,
      status: holds ? "True" : "False",
      lastTransitionTime: at,
      ...(holds || type === "Initialized"
        ? {}
        : { reason: "ContainersNotReady", message: `containers with unready status: [${main}]` }),
    });
    return {
      phase: "Running",
      startTime: this.since,
      hostIP: "127.0.0.1",
      podIP: this.ip,
      podIPs: [{ ip: this.ip }],
      conditions: [
        condition("PodScheduled", true, this.since),
        condition("Initialized", true, this.since),
        condition("ContainersReady", this.ready, this.readySince),
        condition("Ready", this.ready, this.readySince),
      ],
      containerStatuses: (pod.spec?.containers ?? []).map((each) => ({
        name: each.name,
        image: each.image,
        imageID: "",
        ...(each.name === main
          ? this.containerState()
          : { ready: true, restartCount: 0, state: { running: { startedAt: this.since } } }),
      })),
    };
  }

  private containerState(): object {
    return {
      ready: this.ready,
      started: this.ready,
      restartCount: Math.max(0, this.child ? this.restarts : this.restarts - 1),
      state: this.child
        ? { running: { startedAt: this.startedAt } }
        : this.last
          ? { waiting: { reason: "CrashLoopBackOff", message: `back-off restarting failed container` } }
          : { waiting: { reason: "ContainerCreating" } },
      ...(this.last
        ? { lastState: { terminated: { reason: "Error", ...this.last, startedAt: this.startedAt || this.since } } }
        : {}),
    };
  }

  signal(name: NodeJS.Signals): void {
    this.child?.kill(name);
  }

  async end(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 3000);
    await ended;
    clearTimeout(late);
  }
}

/** The configuration with the folder that stands for the mounted volume; the server takes no flag beside the key. */
function withStore(config: string, store: string): string {
  return config.replace(
    /("?store_dir"?\s*[:=]?\s*)("[^"]*"|[^\s,}]+)/,
    (_, key: string) => `${key}${JSON.stringify(store)}`,
  );
}

function isJobPod(pod: V1Pod): boolean {
  return pod.metadata?.ownerReferences?.some((each) => each.kind === "Job") ?? false;
}

function isSupervised(pod: V1Pod): boolean {
  const labels = pod.metadata?.labels ?? {};
  return Object.entries(SUPERVISED).some(([label, values]) =>
    (values as readonly string[]).includes(labels[label] ?? ""),
  );
}

function roleOf(pod: V1Pod): "nats" | "server" | "worker" | "gateway" {
  const app = pod.metadata?.labels?.app;
  if (app === "noetl-server") return "server";
  if (app === "noetl-worker") return "worker";
  return app === "gateway" ? "gateway" : "nats";
}

function mainContainer(pod: V1Pod): V1Container {
  const containers = pod.spec?.containers ?? [];
  const main = containers.find((each) => each.name === "nats") ?? containers[0];
  if (!main) throw new Error("pod without containers");
  return main;
}

function selects(service: V1Service, pod: V1Pod): boolean {
  const selector = Object.entries(service.spec?.selector ?? {});
  return (
    selector.length > 0 &&
    service.metadata?.namespace === pod.metadata?.namespace &&
    selector.every(([label, value]) => pod.metadata?.labels?.[label] === value)
  );
}

function containerPort(pod: V1Pod, target: number | string): number | undefined {
  if (typeof target === "number") return target;
  return pod.spec?.containers.flatMap((each) => each.ports ?? []).find((each) => each.name === target)?.containerPort;
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

if (require.main === module) {
  const [dir, natsServer] = process.argv.slice(2);
  if (!dir || !natsServer) throw new Error("usage: node node.js DIR NATS_SERVER");
  const supervisor = new Supervisor(dir, natsServer);
  const end = () => void supervisor.end().finally(() => process.exit(0));
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  void supervisor.run();
}
