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
import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  type V1Container,
  type V1Pod,
  type V1Service,
} from "@kubernetes/client-node";
import { recordProcess } from "./processes";
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
  private ending = false;

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
    while (!this.ending) {
      try {
        await this.reconcile();
      } catch (error) {
        // The API server may be starting or ending; the next turn tries again.
        complain(error);
      }
      await sleep(INTERVAL_MS);
    }
  }

  async end(): Promise<void> {
    this.ending = true;
    await Promise.all([...this.units.values()].map((unit) => unit.end()));
  }

  private async reconcile(): Promise<void> {
    const { items } = await this.core.listPodForAllNamespaces({ resourceVersion: "0" });
    const pods = items.filter((pod) => pod.spec?.nodeName && !pod.metadata?.deletionTimestamp);
    const present = new Set(pods.map((pod) => pod.metadata?.uid));
    // Processes of deleted pods end before others start: a StatefulSet's next pod takes the same volume and port.
    for (const [uid, unit] of this.units) {
      if (present.has(uid)) continue;
      await unit.end();
      this.units.delete(uid);
    }
    for (const pod of pods) {
      try {
        if (isJobPod(pod)) {
          if (pod.status?.phase === "Pending") await this.finishJob(pod);
        } else if (isSupervised(pod)) {
          await this.advance(this.unitOf(pod), pod);
        }
      } catch (error) {
        // One pod's trouble (deleted in the meantime, for one) keeps no other from advancing.
        if (!isMissing(error)) complain(error, `${pod.metadata?.namespace}/${pod.metadata?.name}: `);
      }
    }
    await this.writeNames();
  }

  private unitOf(pod: V1Pod): Unit {
    const uid = pod.metadata?.uid ?? "";
    const unit = this.units.get(uid) ?? new Unit(pod, `10.244.1.${this.address++ % 250}`, this.dir);
    this.units.set(uid, unit);
    return unit;
  }

  private async advance(unit: Unit, pod: V1Pod): Promise<void> {
    if (unit.mayStart()) {
      try {
        const behind = await this.behind(unit, pod);
        if (!this.ending) unit.start(behind);
      } catch (error) {
        unit.block(error instanceof Error ? error.message : String(error));
      }
    }
    await unit.probe();
    if (unit.running && pod.spec?.containers.some((each) => each.name === "reloader")) await this.reload(unit, pod);
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

  private async behind(unit: Unit, pod: V1Pod): Promise<Behind> {
    const { role } = unit;
    const container = mainContainer(pod);
    const env = await this.environment(unit, pod, container);
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
    const config = (await this.read("configmap", pod.metadata?.namespace ?? "", name))["nats.conf"];
    if (config === undefined) throw new Error(`configmap "${name}" has no key nats.conf`);
    return config;
  }

  /** Keys and values of a ConfigMap or Secret. @throws Error as the kubelet puts it where there is none. */
  private async read(kind: "configmap" | "secret", namespace: string, name: string): Promise<Record<string, string>> {
    try {
      if (kind === "configmap") return (await this.core.readNamespacedConfigMap({ name, namespace })).data ?? {};
      const { data } = await this.core.readNamespacedSecret({ name, namespace });
      const decode = (value: string) => Buffer.from(value, "base64").toString("utf8");
      return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, decode(value)]));
    } catch (error) {
      throw isMissing(error) ? new Error(`${kind} "${name}" not found`, { cause: error }) : error;
    }
  }

  /** The environment of a container as the kubelet makes it. */
  private async environment(unit: Unit, pod: V1Pod, container: V1Container): Promise<Record<string, string>> {
    const namespace = pod.metadata?.namespace ?? "";
    const env: Record<string, string> = {};
    for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
      const ref = configMapRef ?? secretRef;
      if (!ref) continue;
      const values = await this.read(configMapRef ? "configmap" : "secret", namespace, ref.name ?? "").catch(
        (error: unknown) => {
          if (ref.optional) return {};
          throw error;
        },
      );
      for (const [key, value] of Object.entries(values)) env[prefix + key] = value;
    }
    for (const { name, value, valueFrom } of container.env ?? []) {
      const ref = valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef;
      if (ref) {
        const kind = valueFrom?.secretKeyRef ? "secret" : "configmap";
        try {
          const found = (await this.read(kind, namespace, ref.name ?? ""))[ref.key];
          if (found === undefined) throw new Error(`couldn't find key ${ref.key} in ${kind} ${namespace}/${ref.name}`);
          env[name] = found;
        } catch (error) {
          if (!ref.optional) throw error;
        }
      } else if (valueFrom?.fieldRef) {
        env[name] = fieldOf(pod, unit.ip, valueFrom.fieldRef.fieldPath);
      } else if (valueFrom) {
        throw new Error(`environment variable ${name}: this source is not supported here`);
      } else {
        env[name] = expand(value ?? "", env);
      }
    }
    return env;
  }

  /** In-cluster addresses and where they lead to here; the stand-ins look names up in this file. */
  private async writeNames(): Promise<void> {
    const { items: services } = await this.core.listServiceForAllNamespaces({ resourceVersion: "0" });
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
  readonly role: Role;
  readonly name: string;
  readonly folder: string;
  behind: Behind | undefined;
  ready = false;
  reported = "";
  config = "";
  store = "";
  configReadAt = 0;
  private child: ChildProcess | undefined;
  private startedAt = "";
  private log = "";
  private restarts = 0;
  private nextStart = 0;
  private blocked: string | undefined;
  private last: { exitCode: number; message: string; finishedAt: string } | undefined;
  private readonly since = new Date().toISOString();
  private readySince = this.since;

  constructor(
    readonly pod: V1Pod,
    readonly ip: string,
    private readonly dir: string,
  ) {
    this.role = roleOf(pod);
    this.name = `${pod.metadata?.namespace}_${pod.metadata?.name}`;
    this.folder = path.join(dir, "pods", this.name);
  }

  get running(): boolean {
    return this.child !== undefined;
  }

  mayStart(): boolean {
    return !this.child && Date.now() >= this.nextStart;
  }

  start(behind: Behind): void {
    this.behind = behind;
    this.blocked = undefined;
    this.log = "";
    this.startedAt = new Date().toISOString();
    const child = spawn(behind.command, behind.args, {
      // Nothing of this machine's environment reaches the process but what finds programs.
      env: { PATH: process.env.PATH, HOME: this.folder, ...behind.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    if (child.pid !== undefined) {
      recordProcess(path.join(this.dir, "children.json"), this.name, child.pid);
    }
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

  /** A container that cannot be made, for want of a Secret for example; tried again after a second. */
  block(message: string): void {
    this.blocked = message;
    this.nextStart = Date.now() + 1000;
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
      state: this.child ? { running: { startedAt: this.startedAt } } : { waiting: this.waiting() },
      ...(this.last
        ? { lastState: { terminated: { reason: "Error", ...this.last, startedAt: this.startedAt || this.since } } }
        : {}),
    };
  }

  private waiting(): { reason: string; message?: string } {
    if (this.blocked !== undefined) return { reason: "CreateContainerConfigError", message: this.blocked };
    if (!this.last) return { reason: "ContainerCreating" };
    return { reason: "CrashLoopBackOff", message: "back-off restarting failed container" };
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

/** `$(NAME)` of variables before this one; `$$(NAME)` stands for itself. Kubernetes' rule for `value` of a variable. */
function expand(value: string, env: Readonly<Record<string, string>>): string {
  return value.replace(/\$\$|\$\(([-._a-zA-Z0-9]+)\)/g, (whole, name?: string) =>
    name === undefined ? "$" : (env[name] ?? whole),
  );
}

function fieldOf(pod: V1Pod, ip: string, fieldPath: string): string {
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (entry) return pod.metadata?.[entry[1] as "labels" | "annotations"]?.[entry[2] ?? ""] ?? "";
  const fields: Record<string, string | undefined> = {
    "metadata.name": pod.metadata?.name,
    "metadata.namespace": pod.metadata?.namespace,
    "metadata.uid": pod.metadata?.uid,
    "spec.nodeName": pod.spec?.nodeName,
    "spec.serviceAccountName": pod.spec?.serviceAccountName,
    "status.podIP": ip,
    "status.hostIP": "127.0.0.1",
  };
  const value = fields[fieldPath];
  if (value === undefined) throw new Error(`field ${fieldPath} is not supported here`);
  return value;
}

/** The configuration with its store elsewhere. No flag can do this: nats-server refuses `-sd` beside a `store_dir`. */
function withStore(config: string, store: string): string {
  return config.replace(
    /("?store_?dir"?\s*[:=]?\s*)("[^"]*"|[^\s,}]+)/,
    (_, key: string) => key + JSON.stringify(store),
  );
}

const isMissing = (error: unknown): boolean => error instanceof ApiException && error.code === 404;

function complain(error: unknown, prefix = ""): void {
  console.error(`${new Date().toISOString()} ${prefix}${error instanceof Error ? error.message : String(error)}`);
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

type Role = "nats" | "server" | "worker" | "gateway";

function roleOf(pod: V1Pod): Role {
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
