import { execFile, spawn } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as https from "node:https";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { ApiextensionsV1Api, CoreV1Api, KubeConfig, StorageV1Api } from "@kubernetes/client-node";
import { projectRoot } from "../../config/project";
import type { ToolPaths } from "../../toolchain";
import { ensureDatabaseTools } from "../../toolchain/database";
import type { CLUSTER_TOOLS } from "../tools";
import { emptyLog, makeOpenFolder, openFolder } from "./places";
import { freePorts } from "./ports";
import { isAlive, readProcesses, recordProcess, signal, type Recorded } from "./processes";
import type { ProgramTools } from "./programs";
import { stages } from "./stages";
import { definitions, emptyLogs, STREAMING_KINDS } from "./streaming";
import { PROVISIONER } from "./volumes";

export type ClusterTools = ToolPaths<(typeof CLUSTER_TOOLS)[number]>;

export interface Cluster {
  readonly dir: string;
  readonly kubeconfigPath: string;
  /** Content of the kubeconfig; it holds the administrator's token. */
  readonly kubeconfig: string;
  /** Process ids by name. */
  readonly pids: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

const NODE = "node-0";
/** Every process of a complete cluster. */
const PARTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "node"] as const;
const READY_DEADLINE_MS = 120_000;
/** What a process gets of the caller's environment: enough to find programs and a home, and none of its secrets. */
const ENVIRONMENT = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR"].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
);
/** The supervisor runs compiled, also where this module is loaded from its source. */
const SUPERVISOR = path.join(projectRoot(), "dist", "embedded", "cluster", "node.js");

const files = (dir: string) => ({
  processes: path.join(dir, "processes.json"),
  children: path.join(dir, "children.json"),
  kubeconfig: path.join(dir, "kubeconfig"),
  logs: path.join(dir, "logs"),
  certs: path.join(dir, "certs"),
  tokens: path.join(dir, "tokens.csv"),
  serviceAccountKey: path.join(dir, "service-account.key"),
  kwok: path.join(dir, "kwok.yaml"),
});

/**
 * Starts a throwaway control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, a
 * simulated node (kwok) and the supervisor that runs real processes behind the pods that matter.
 *
 * The processes outlive the caller. Remains of an earlier start in `dir` are ended and removed first.
 *
 * @throws Error that names what did not become ready in time, with the last lines of its log, or what is missing on this
 *   machine.
 */
export async function startCluster(options: {
  dir: string;
  tools: ClusterTools;
  log?: (line: string) => void;
}): Promise<Cluster> {
  const { dir, tools } = options;
  const log = options.log ?? (() => undefined);
  const [database] = await Promise.all([ensureDatabaseTools(log), requireCurl()]);
  await stopCluster(dir);
  const at = files(dir);
  if (!fs.existsSync(SUPERVISOR)) throw new Error(`${SUPERVISOR} is missing: run npm run build`);
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  // From here on the folder is known as a cluster's, however early the start is interrupted.
  fs.writeFileSync(at.processes, "{}", { mode: 0o600 });
  for (const folder of [at.logs, at.certs]) fs.mkdirSync(folder, { mode: 0o700 });
  makeOpenFolder(dir);
  const started = Date.now();
  const launch = (name: string, binary: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void => {
    const out = fs.openSync(path.join(at.logs, `${name}.log`), "a", 0o600);
    const child = spawn(binary, args, { detached: true, stdio: ["ignore", out, out], env: { ...ENVIRONMENT, ...env } });
    fs.closeSync(out);
    // Reported below, where there is no process id.
    child.on("error", () => undefined);
    if (child.pid === undefined) throw new Error(`cannot start ${name} (${binary})`);
    child.unref();
    recordProcess(at.processes, name, child.pid);
  };
  const ready = (what: string, name: string, check: () => Promise<boolean>) =>
    waitFor(what, path.join(at.logs, `${name}.log`), () => readProcesses(at.processes)[name], check);

  try {
    // Each port is chosen just before it is listened on, so that no other cluster's start takes it in between.
    const [etcd, peer] = (await freePorts(2)) as [number, number];
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
    await ready("etcd", "etcd", async () => (await fetch(`http://127.0.0.1:${etcd}/health`)).ok);
    const [api] = (await freePorts(1)) as [number];
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
    // It writes the key once the certificate is written; the certificate alone may be there in part.
    await ready("the API server's certificate", "kube-apiserver", () =>
      Promise.resolve(fs.existsSync(path.join(at.certs, "apiserver.key"))),
    );
    const kubeconfig = kubeconfigText(api, token, fs.readFileSync(path.join(at.certs, "apiserver.crt")));
    fs.writeFileSync(at.kubeconfig, kubeconfig, { mode: 0o600 });
    await ready("the API server", "kube-apiserver", () => isReady(kubeconfig));

    const common = [`--kubeconfig=${at.kubeconfig}`, "--leader-elect=false", "--secure-port=0"];
    launch(
      "kube-controller-manager",
      tools["kube-controller-manager"],
      [
        ...common,
        `--service-account-private-key-file=${at.serviceAccountKey}`,
        "--use-service-account-credentials=false",
      ],
      { GOGC: "60" },
    );
    launch("kube-scheduler", tools["kube-scheduler"], common, { GOGC: "60" });
    const [kubelet] = (await freePorts(1)) as [number];
    await furnish(kubeconfig, kubelet);
    fs.writeFileSync(emptyLog(dir), "", { mode: 0o600 });
    fs.writeFileSync(
      at.kwok,
      [...stages(), emptyLogs(emptyLog(dir))].map((each) => JSON.stringify(each)).join("\n---\n"),
    );
    launch("kwok", tools.kwok, [
      `--kubeconfig=${at.kubeconfig}`,
      `--config=${at.kwok}`,
      `--enable-crds=${STREAMING_KINDS.join(",")}`,
      "--manage-all-nodes=true",
      "--node-lease-duration-seconds=40",
      "--node-ip=127.0.0.1",
      `--node-port=${kubelet}`,
      `--server-address=127.0.0.1:${kubelet}`,
      `--tls-cert-file=${path.join(at.certs, "apiserver.crt")}`,
      `--tls-private-key-file=${path.join(at.certs, "apiserver.key")}`,
    ]);
    const programs: ProgramTools = { natsServer: tools["nats-server"], database };
    launch("node", process.execPath, [SUPERVISOR, dir, JSON.stringify(programs)]);
    await ready("the simulated node", "kwok", () => nodeIsReady(kubeconfig));
    log(`Control plane ready after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
    return handle(dir);
  } catch (error) {
    await stopCluster(dir);
    throw error;
  }
}

/** The script that workers wait with asks with curl. @throws Error with one sentence where it is missing. */
async function requireCurl(): Promise<void> {
  try {
    await promisify(execFile)("curl", ["--version"], { timeout: 20_000 });
  } catch {
    throw new Error(
      "the embedded cluster runs the deployed scripts, which need curl on PATH: install it and run again",
    );
  }
}

/** The cluster that runs in `dir`; undefined where none does, where a part of it has ended, or where it does not answer. */
export async function attachCluster(dir: string): Promise<Cluster | undefined> {
  const recorded = readProcesses(files(dir).processes);
  if (!PARTS.every((name) => recorded[name] && isAlive(recorded[name]))) return undefined;
  const cluster = handle(dir);
  return (await isReady(cluster.kubeconfig)) ? cluster : undefined;
}

/**
 * Ends exactly the processes that the cluster in `dir` started and removes the folder. Harmless where there is none.
 *
 * Each process has 10 s to end by itself before it is killed.
 *
 * @throws Error where the folder holds something else, or where a process outlives being killed by 5 s.
 */
export async function stopCluster(dir: string): Promise<void> {
  if (!fs.existsSync(dir)) return;
  const at = files(dir);
  if (!fs.existsSync(at.processes) && fs.readdirSync(dir).length > 0) {
    throw new Error(`${dir} is not the folder of an embedded cluster; nothing was removed`);
  }
  const { node, etcd, ...others } = readProcesses(at.processes);
  // The supervisor first, which starts processes; those behind the pods next, then what writes to etcd, and etcd last.
  await endProcesses(node ? [node] : []);
  await endProcesses(Object.values(readProcesses(at.children)));
  await endProcesses(Object.values(others));
  await endProcesses(etcd ? [etcd] : []);
  fs.rmSync(openFolder(dir), { recursive: true, force: true });
  fs.rmSync(dir, { recursive: true, force: true });
}

async function endProcesses(processes: readonly Recorded[]): Promise<void> {
  for (const [name, deadlineMs] of [
    ["SIGTERM", 10_000],
    ["SIGKILL", 5000],
  ] as const) {
    for (const recorded of processes) signal(recorded, name);
    const deadline = Date.now() + deadlineMs;
    while (processes.some(isAlive) && Date.now() < deadline) await sleep(25);
  }
  const left = processes.filter(isAlive).map(({ pid }) => pid);
  if (left.length > 0) throw new Error(`processes ${left.join(", ")} of the embedded cluster do not end`);
}

function handle(dir: string): Cluster {
  const at = files(dir);
  return {
    dir,
    kubeconfigPath: at.kubeconfig,
    kubeconfig: fs.readFileSync(at.kubeconfig, "utf8"),
    pids: Object.fromEntries(Object.entries(readProcesses(at.processes)).map(([name, { pid }]) => [name, pid])),
    stop: () => stopCluster(dir),
  };
}

/** @throws Error with the end of the log where `check` does not hold within a minute, or where the process ends before. */
async function waitFor(
  what: string,
  logFile: string,
  recorded: () => Recorded | undefined,
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  const log = () => fs.readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  while (Date.now() < deadline) {
    if (await check().catch(() => false)) return;
    const process = recorded();
    if (!process || !isAlive(process))
      throw new Error(`waiting for ${what}: its process ended; the end of its log:\n${log()}`);
    await sleep(50);
  }
  throw new Error(`${what} was not ready after ${READY_DEADLINE_MS / 1000} s; the end of its log:\n${log()}`);
}

/** Asks for readiness without credentials. Another API server on the port has another certificate. */
function isReady(kubeconfigContent: string): Promise<boolean> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const cluster = kubeconfig.getCurrentCluster();
  return new Promise((resolve) => {
    const request = https.get(
      new URL("/readyz", cluster?.server),
      { ca: Buffer.from(cluster?.caData ?? "", "base64"), timeout: 2000 },
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

/** What a cluster has from the start: the node, a default StorageClass, and the definitions of what kwok reads. */
async function furnish(kubeconfigContent: string, kubeletPort: number): Promise<void> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const extensions = kubeconfig.makeApiClient(ApiextensionsV1Api);
  await Promise.all(definitions().map((body) => extensions.createCustomResourceDefinition({ body })));
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
      provisioner: PROVISIONER,
      // As kind and GKE have it. With Immediate a scheduler was seen that missed the binding, and left the pod for five minutes.
      volumeBindingMode: "WaitForFirstConsumer",
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
