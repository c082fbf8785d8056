/** The parts of a cluster, in the order in which they are started. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import type { ToolPaths } from "../toolchain";
import type { CLUSTER_TOOLS } from "../tools";
import { isReady, kubeconfigText } from "./kubeconfig";
import type { Launcher } from "./launch";
import { clusterFiles, emptyLog, makeSocketFolder } from "./places";
import { freePorts } from "./ports";
import { PLAYED_NODE, stages } from "./stages";
import { emptyLogs, STREAMING_KINDS } from "./streaming";

export type ClusterTools = ToolPaths<(typeof CLUSTER_TOOLS)[number]>;

/** Where a cluster is started, and with what. */
interface Start {
  readonly dir: string;
  readonly tools: ClusterTools;
  readonly launcher: Launcher;
}

/**
 * etcd, on sockets in a folder of its owner's: it asks nobody for a login, and what it stores are all Secrets of the cluster. Gives the URL
 * that it is reached by.
 */
async function startEtcd({ dir, tools, launcher }: Start): Promise<string> {
  const folder = makeSocketFolder(dir);
  const socketPath = path.join(folder, "client");
  launcher.launch(
    "etcd",
    [
      tools.etcd,
      `--data-dir=${path.resolve(dir, "etcd")}`,
      // Names of files in its working directory: it takes no path for the second. Nobody reads what it advertises, which has to have a port.
      "--listen-client-urls=unix://client",
      "--listen-peer-urls=unix://peer",
      "--advertise-client-urls=unix://client:0",
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
    { cwd: folder },
  );
  // The API server gives up after twenty seconds without its store.
  await launcher.ready("etcd", "etcd", () => isHealthy(socketPath));
  return `unix://${socketPath}`;
}

function isHealthy(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = http
      .get({ socketPath, path: "/health", timeout: 5_000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      })
      .once("error", reject)
      .once("timeout", () => request.destroy(new Error("etcd does not answer")));
  });
}

/** etcd and the API server. Gives the administrator's kubeconfig once the API server is ready. */
export async function startApiServer(start: Start): Promise<string> {
  const { dir, tools, launcher } = start;
  const at = clusterFiles(dir);
  const token = crypto.randomBytes(24).toString("hex");
  fs.writeFileSync(at.tokens, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
  fs.writeFileSync(at.serviceAccountKey, privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });

  const store = await startEtcd(start);
  // The port is chosen just before it is listened on, so that no other cluster's start takes it in between.
  const [api] = (await freePorts(1)) as [number];
  launcher.launch(
    "kube-apiserver",
    [
      tools["kube-apiserver"],
      `--etcd-servers=${store}`,
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
    { env: { GOGC: "60" } },
  );
  // It writes the key once the certificate is written; the certificate alone may be there in part.
  await launcher.ready("the API server's certificate", "kube-apiserver", () =>
    Promise.resolve(fs.existsSync(path.join(at.certs, "apiserver.key"))),
  );
  const kubeconfig = kubeconfigText(api, token, fs.readFileSync(path.join(at.certs, "apiserver.crt")));
  fs.writeFileSync(at.kubeconfig, kubeconfig, { mode: 0o600 });
  await launcher.ready("the API server", "kube-apiserver", () => isReady(kubeconfig));
  return kubeconfig;
}

/** The controllers and the scheduler. */
export function startControllers({ dir, tools, launcher }: Start): void {
  const at = clusterFiles(dir);
  const common = [`--kubeconfig=${at.kubeconfig}`, "--leader-elect=false", "--secure-port=0"];
  launcher.launch(
    "kube-controller-manager",
    [
      tools["kube-controller-manager"],
      ...common,
      `--service-account-private-key-file=${at.serviceAccountKey}`,
      "--use-service-account-credentials=false",
    ],
    { env: { GOGC: "60" } },
  );
  launcher.launch("kube-scheduler", [tools["kube-scheduler"], ...common], { env: { GOGC: "60" } });
}

/** kwok, which plays the node for pods without processes; `kubelet` is the port that it serves logs on. */
export function startKwok({ dir, tools, launcher }: Start, kubelet: number): void {
  const at = clusterFiles(dir);
  fs.writeFileSync(emptyLog(dir), "", { mode: 0o600 });
  fs.writeFileSync(
    at.kwok,
    [...stages(), emptyLogs(emptyLog(dir))].map((each) => JSON.stringify(each)).join("\n---\n"),
  );
  launcher.launch("kwok", [
    tools.kwok,
    `--kubeconfig=${at.kubeconfig}`,
    `--config=${at.kwok}`,
    `--enable-crds=${STREAMING_KINDS.join(",")}`,
    `--manage-nodes-with-annotation-selector=${PLAYED_NODE.name}=${PLAYED_NODE.value}`,
    "--node-lease-duration-seconds=40",
    "--node-ip=127.0.0.1",
    `--node-port=${kubelet}`,
    `--server-address=127.0.0.1:${kubelet}`,
    `--tls-cert-file=${path.join(at.certs, "apiserver.crt")}`,
    `--tls-private-key-file=${path.join(at.certs, "apiserver.key")}`,
  ]);
}
