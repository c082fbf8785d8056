import { spawn } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as https from "node:https";
import * as net from "node:net";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, StorageV1Api } from "@kubernetes/client-node";
import type { ToolPaths } from "../../toolchain";
import { stages } from "./stages";

export type ClusterTools = ToolPaths<
  "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "kwok" | "nats-server"
>;

export interface Cluster {
  readonly dir: string;
  readonly kubeconfigPath: string;
  /** Content of the kubeconfig; it holds the administrator's token. */
  readonly kubeconfig: string;
  /** Process ids by name. */
  readonly pids: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

/** A process of the cluster. The start time tells it from a later process with the same id. */
interface Recorded {
  pid: number;
  started: string;
}

const NODE = "node-0";
const READY_DEADLINE_MS = 120_000;

const files = (dir: string) => ({
  processes: path.join(dir, "processes.json"),
  kubeconfig: path.join(dir, "kubeconfig"),
  logs: path.join(dir, "logs"),
  certs: path.join(dir, "certs"),
  tokens: path.join(dir, "tokens.csv"),
  serviceAccountKey: path.join(dir, "service-account.key"),
  kwok: path.join(dir, "kwok.yaml"),
  ports: path.join(dir, "ports.json"),
});

/**
 * Starts a throwaway control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, a
 * simulated node (kwok) and the supervisor that runs real processes behind the pods that matter.
 *
 * The processes outlive the caller. Remains of an earlier start in `dir` are ended and removed first.
 *
 * @throws Error that names what did not become ready in time, with the last lines of its log.
 */
export async function startCluster(options: {
  dir: string;
  tools: ClusterTools;
  log?: (line: string) => void;
}): Promise<Cluster> {
  const { dir, tools } = options;
  const log = options.log ?? (() => undefined);
  await stopCluster(dir);
  const at = files(dir);
  for (const folder of [dir, at.logs, at.certs]) fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const started = Date.now();
  const processes: Record<string, Recorded> = {};
  const launch = (name: string, binary: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void => {
    const out = fs.openSync(path.join(at.logs, `${name}.log`), "a", 0o600);
    const child = spawn(binary, args, { detached: true, stdio: ["ignore", out, out], env: { ...process.env, ...env } });
    fs.closeSync(out);
    if (child.pid === undefined) throw new Error(`cannot start ${name} (${binary})`);
    child.unref();
    processes[name] = { pid: child.pid, started: startTime(child.pid) ?? "" };
    fs.writeFileSync(at.processes, JSON.stringify(processes, null, 1), { mode: 0o600 });
  };

  try {
    const [etcd, peer, api, kubelet, nats, monitor] = (await freePorts(6)) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    fs.writeFileSync(at.ports, JSON.stringify({ nats, monitor }));
    const token = crypto.randomBytes(24).toString("hex");
    fs.writeFileSync(at.tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
    const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
    fs.writeFileSync(at.serviceAccountKey, privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });

    launch("etcd", tools.etcd, [
      `--data-dir=${path.join(dir, "etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${etcd}`,
      `--advertise-client-urls=http://127.0.0.1:${etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      "--unsafe-no-fsync",
      "--log-level=warn",
    ]);
    // The API server gives up after twenty seconds without its store.
    await waitFor("etcd", at.logs, "etcd", async () => (await fetch(`http://127.0.0.1:${etcd}/health`)).ok);
    launch(
      "kube-apiserver",
      tools["kube-apiserver"],
      [
        `--etcd-servers=http://127.0.0.1:${etcd}`,
        `--cert-dir=${at.certs}`,
        `--secure-port=${api}`,
        "--bind-address=127.0.0.1",
        `--token-auth-file=${at.tokens}`,
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${at.serviceAccountKey}`,
        `--service-account-signing-key-file=${at.serviceAccountKey}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",
        "--enable-priority-and-fairness=false",
        "--profiling=false",
      ],
      { GOGC: "60" },
    );
    await waitFor("the API server", at.logs, "kube-apiserver", () =>
      Promise.resolve(fs.existsSync(path.join(at.certs, "apiserver.crt"))),
    );
    const kubeconfig = kubeconfigText(api, token, fs.readFileSync(path.join(at.certs, "apiserver.crt")));
    fs.writeFileSync(at.kubeconfig, kubeconfig, { mode: 0o600 });
    await waitFor("the API server", at.logs, "kube-apiserver", () => isReady(api));

    const common = [`--kubeconfig=${at.kubeconfig}`, "--leader-elect=false", "--secure-port=0"];
    launch(
      "kube-controller-manager",
      tools["kube-controller-manager"],
      [
        ...common,
        "--enable-hostpath-provisioner=true",
        `--service-account-private-key-file=${at.serviceAccountKey}`,
        "--use-service-account-credentials=false",
      ],
      { GOGC: "60" },
    );
    launch("kube-scheduler", tools["kube-scheduler"], common, { GOGC: "60" });
    fs.writeFileSync(at.kwok, kwokConfiguration({ nats, monitor }));
    launch("kwok", tools.kwok, [
      `--kubeconfig=${at.kubeconfig}`,
      `--config=${at.kwok}`,
      "--manage-all-nodes=true",
      "--node-lease-duration-seconds=40",
      "--node-ip=127.0.0.1",
      `--node-port=${kubelet}`,
      `--server-address=127.0.0.1:${kubelet}`,
      `--tls-cert-file=${path.join(at.certs, "apiserver.crt")}`,
      `--tls-private-key-file=${path.join(at.certs, "apiserver.key")}`,
    ]);
    await furnish(kubeconfig, kubelet);
    launch("node", process.execPath, [path.join(__dirname, "node.js"), dir, tools["nats-server"]]);
    await waitFor("the simulated node", at.logs, "kwok", () => nodeIsReady(kubeconfig));
    log(`Control plane ready after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
    return handle(dir);
  } catch (error) {
    await stopCluster(dir);
    throw error;
  }
}

/** The cluster that runs in `dir`; undefined where none does, or where it does not answer. */
export async function attachCluster(dir: string): Promise<Cluster | undefined> {
  const recorded = readProcesses(dir);
  const names = Object.keys(recorded);
  if (names.length < 6 || !Object.values(recorded).every(isAlive)) return undefined;
  const cluster = handle(dir);
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(cluster.kubeconfig);
  const port = Number(new URL(kubeconfig.getCurrentCluster()?.server ?? "").port);
  return (await isReady(port)) ? cluster : undefined;
}

/** Ends exactly the processes that this cluster started and removes its folder. Harmless where there is none. */
export async function stopCluster(dir: string): Promise<void> {
  const alive = () => Object.values(readProcesses(dir)).filter(isAlive);
  // The supervisor first: it ends the processes behind the pods.
  const node = readProcesses(dir).node;
  if (node && isAlive(node)) {
    signal(node, "SIGTERM");
    for (let waited = 0; isAlive(node) && waited < 5000; waited += 50) await sleep(50);
  }
  for (const recorded of alive()) signal(recorded, "SIGTERM");
  for (let waited = 0; alive().length > 0 && waited < 10_000; waited += 50) await sleep(50);
  for (const recorded of alive()) signal(recorded, "SIGKILL");
  for (let waited = 0; alive().length > 0 && waited < 5000; waited += 50) await sleep(50);
  fs.rmSync(dir, { recursive: true, force: true });
}

function handle(dir: string): Cluster {
  const at = files(dir);
  return {
    dir,
    kubeconfigPath: at.kubeconfig,
    kubeconfig: fs.readFileSync(at.kubeconfig, "utf8"),
    pids: Object.fromEntries(Object.entries(readProcesses(dir)).map(([name, { pid }]) => [name, pid])),
    stop: () => stopCluster(dir),
  };
}

function readProcesses(dir: string): Record<string, Recorded> {
  try {
    return JSON.parse(fs.readFileSync(files(dir).processes, "utf8")) as Record<string, Recorded>;
  } catch {
    return {};
  }
}

/** Start time of a process in clock ticks since boot, the 22nd field of its stat; undefined where there is none. */
function startTime(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended; its parent only has not asked yet.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

const isAlive = (recorded: Recorded): boolean => startTime(recorded.pid) === recorded.started;

function signal(recorded: Recorded, name: NodeJS.Signals): void {
  try {
    process.kill(recorded.pid, name);
  } catch {
    // It has ended in the meantime.
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>((resolve, reject) => {
          const server = net.createServer().once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function waitFor(what: string, logs: string, process: string, ready: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (Date.now() < deadline) {
    if (await ready().catch(() => false)) return;
    await sleep(100);
  }
  const tail = fs
    .readFileSync(path.join(logs, `${process}.log`), "utf8")
    .split("\n")
    .slice(-15)
    .join("\n");
  throw new Error(`${what} was not ready after ${READY_DEADLINE_MS / 1000} s; the end of its log:\n${tail}`);
}

/** Asks for readiness without credentials; the certificate is the server's own, made a moment ago. */
function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = https.get(
      { host: "127.0.0.1", port, path: "/readyz", rejectUnauthorized: false, timeout: 2000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

function kubeconfigText(port: number, token: string, certificate: Buffer): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "embedded",
    clusters: [
      {
        name: "embedded",
        cluster: {
          server: `https://127.0.0.1:${port}`,
          "certificate-authority-data": certificate.toString("base64"),
        },
      },
    ],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "embedded", context: { cluster: "embedded", user: "admin" } }],
  });
}

/** The node that pods are scheduled on, and a default StorageClass. */
async function furnish(kubeconfigContent: string, kubeletPort: number): Promise<void> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const resources = { cpu: "32", memory: "128Gi", pods: "110", "ephemeral-storage": "500Gi" };
  await core.createNode({
    body: {
      metadata: {
        name: NODE,
        annotations: { "kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0" },
        labels: {
          "kubernetes.io/hostname": NODE,
          "kubernetes.io/os": "linux",
          "topology.kubernetes.io/zone": "zone-a",
        },
      },
    },
  });
  await core.patchNodeStatus({
    name: NODE,
    body: [
      {
        op: "add",
        path: "/status",
        value: {
          capacity: resources,
          allocatable: resources,
          addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
          daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
        },
      },
    ],
  });
  await kubeconfig.makeApiClient(StorageV1Api).createStorageClass({
    body: {
      metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "kubernetes.io/host-path",
      allowVolumeExpansion: true,
    },
  });
}

async function nodeIsReady(kubeconfigContent: string): Promise<boolean> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const node = await kubeconfig.makeApiClient(CoreV1Api).readNode({ name: NODE });
  return node.status?.conditions?.some((each) => each.type === "Ready" && each.status === "True") ?? false;
}

/** Port-forwards to any pod's NATS ports lead to the nats-server that the supervisor runs. */
function kwokConfiguration(ports: { nats: number; monitor: number }): string {
  const forward = (port: number, target: number) => ({ ports: [port], target: { address: "127.0.0.1", port: target } });
  const nats = {
    kind: "ClusterPortForward",
    apiVersion: "kwok.x-k8s.io/v1alpha1",
    metadata: { name: "nats" },
    spec: { forwards: [forward(4222, ports.nats), forward(8222, ports.monitor)] },
  };
  return [...stages(), nats].map((each) => JSON.stringify(each)).join("\n---\n");
}
