import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  RbacAuthorizationV1Api,
  setHeaderOptions,
  type KubernetesObject,
  type V1Pod,
} from "@kubernetes/client-node";
import { StorageType, type JetStreamManager, type NatsConnection } from "nats";
import { forwardPort } from "../../../../contract/nats/port-forward";
import { openSession } from "../../../../contract/nats/connect";
import { Deadline } from "../../../../contract/deadline";
import { PROJECT, projectRoot } from "../../../../contract/project";
import { openRelay } from "../../../../contract/nats/relay";
import { LOCATIONS, STREAM } from "../../../../contract/facts";
import { checklist, type Checklist } from "../../../../commands/doctor/checklist";
import { diagnose, type Diagnosis, type Finding } from "../../../../commands/doctor/diagnosis";
import { readStack, type Engine, type StackContent } from "../../../../commands/shared/engine";
import { gather } from "../../../../commands/doctor/gather";
import { Cluster } from "../../../../commands/doctor/kubernetes";
import { restartDeployment, rolledOut } from "../../../../commands/doctor/repair/rollout";
import { contractInputs, targetOf, type Target } from "../../../../commands/doctor/target";
import { NODE } from "../../../../embedded/cluster/seed";
import { embeddedEngine, embeddedPaths, stateEnvironment } from "../../../../embedded/home";
import { ensureTools } from "../../../../embedded/toolchain";
import { sleep, until } from "../../../support/nats";

export const STACK = "doctor";

/** The deployment that these tests share, and hands to break it with. */
export class Deployment {
  /** Folder of the deployment, as soon as there is one. */
  static dir = "";
  readonly dir = Deployment.dir;
  readonly clusterDir = path.join(this.dir, "cluster");
  readonly kubeconfigPath = path.join(this.clusterDir, "kubeconfig");
  readonly engine: Engine = { ...embeddedEngine(this.dir), cwd: projectRoot() };
  readonly config = new KubeConfig();
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  readonly rbac: RbacAuthorizationV1Api;
  readonly objects: KubernetesObjectApi;
  content!: StackContent;
  target!: Target;

  private constructor() {
    this.config.loadFromFile(this.kubeconfigPath);
    this.core = this.config.makeApiClient(CoreV1Api);
    this.apps = this.config.makeApiClient(AppsV1Api);
    this.batch = this.config.makeApiClient(BatchV1Api);
    this.rbac = this.config.makeApiClient(RbacAuthorizationV1Api);
    this.objects = KubernetesObjectApi.makeApiClient(this.config);
  }

  static async attach(): Promise<Deployment> {
    const deployment = new Deployment();
    deployment.content = await readStack(deployment.engine, STACK, PROJECT);
    deployment.target = targetOf(STACK, deployment.content);
    return deployment;
  }

  /** Runs `work` with a JetStream manager of the deployed NATS, through a port-forward. */
  async withManager<T>(work: (manager: JetStreamManager, connection: NatsConnection) => Promise<T>): Promise<T> {
    const session = await openSession(contractInputs(this.target, 60), new Deadline(60_000));
    try {
      return await work(await session.connection.jetstreamManager(), session.connection);
    } finally {
      await session.close();
    }
  }

  /** The stack's own settings and outputs, changed. */
  changed(changes: { config?: Record<string, string>; outputs?: Record<string, unknown> }): Target {
    return targetOf(STACK, {
      config: { ...this.content.config, ...changes.config },
      outputs: { ...this.content.outputs, ...changes.outputs },
    });
  }

  /** The stream as somebody else might make it, in place of NoETL's. */
  async replaceStream(changes: object): Promise<void> {
    await this.withManager(async (manager) => {
      await manager.streams.delete(STREAM.name).catch(() => undefined);
      await manager.streams.add({
        name: STREAM.name,
        subjects: [STREAM.subject],
        storage: StorageType.Memory,
        max_age: STREAM.maxAgeSeconds * 1e9,
        ...changes,
      });
    });
  }

  /** File and environment of a command of the compiled program, as `npm run` starts it. */
  program(name: "verify" | "doctor" | "nats"): { file: string; env: NodeJS.ProcessEnv } {
    const env = {
      ...process.env,
      ...stateEnvironment(this.dir),
      PATH: [path.dirname(embeddedPaths(this.dir).command), process.env.PATH].join(path.delimiter),
      XDG_STATE_HOME: path.join(this.dir, "xdg"),
    };
    const place = name === "nats" ? ["nats", "main.js"] : ["doctor", `${name}.js`];
    return { file: path.join(projectRoot(), "dist", "commands", ...place), env };
  }

  /** What the program behind `npm run nats` prints. @throws Error with its exit code where it fails. */
  async nats(...args: readonly string[]): Promise<string> {
    const { file, env } = this.program("nats");
    return (await promisify(execFile)(process.execPath, [file, ...args], { env, timeout: 120_000 })).stdout;
  }

  /** Runs a command to its end. */
  async command(name: "verify" | "doctor", ...args: readonly string[]) {
    const { file, env } = this.program(name);
    const run = promisify(execFile)(process.execPath, [file, ...args], { env, timeout: 240_000 });
    return run.then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  }

  async scale(kind: "Deployment" | "StatefulSet", namespace: string, name: string, replicas: number): Promise<void> {
    const body = [{ op: "replace", path: "/spec/replicas", value: replicas }];
    // As kubectl does by hand: what that has set, an update takes over; of any other manager it is a conflict.
    const by = { namespace, name, body, fieldManager: "kubectl" };
    if (kind === "Deployment") await this.apps.patchNamespacedDeployment(by);
    else await this.apps.patchNamespacedStatefulSet(by);
  }

  /** Scales a Deployment to nothing. */
  async empty(namespace: string, name: string): Promise<void> {
    await this.scale("Deployment", namespace, name, 0);
    await until(`the pods of ${name} to be gone`, async () => {
      const { items } = await this.core.listNamespacedPod({ namespace, labelSelector: `app=${name}` });
      return items.length === 0 || undefined;
    });
  }

  /** Runs `work` with a loopback port that leads to a pod's, once. */
  async withPort<T>(namespace: string, pod: string, port: number, work: (local: number) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(60_000);
    const relay = await openRelay(
      await forwardPort(this.config, { namespace, pod, port }, { milliseconds: 30_000, signal }),
    );
    try {
      return await work(relay.port);
    } finally {
      relay.close();
    }
  }

  /** Lets NoETL's server publish a command: the sequence that it was stored under, or why it was not, in its words. */
  async publish(): Promise<{ readonly seq?: number; readonly detail?: string }> {
    const { namespace, serverDeployment, port } = LOCATIONS.noetl;
    const pod = await this.podOf(namespace, serverDeployment);
    return this.withPort(namespace, pod, port, async (local) => {
      const response = await fetch(`http://127.0.0.1:${local}/publish`, { method: "POST" });
      return (await response.json()) as { seq?: number; detail?: string };
    });
  }

  /** Name of a ready pod with the label `app`. */
  async podOf(namespace: string, app: string): Promise<string> {
    return until(`a ready pod ${namespace}/${app}`, async () => {
      const { items } = await this.core.listNamespacedPod({ namespace, labelSelector: `app=${app}` });
      return items.find(isReadyPod)?.metadata?.name;
    });
  }

  /** Adds a machine that says once that it is ready, and nothing more: the name of its node. */
  async addMachine(): Promise<string> {
    const { metadata, status } = await this.core.readNode({ name: NODE });
    const name = `machine-${randomUUID().slice(0, 8)}`;
    const now = new Date();
    const said = { lastHeartbeatTime: now, lastTransitionTime: now, reason: "KubeletReady", message: "it runs" };
    await this.core.createNode({
      body: {
        metadata: { name, labels: { ...metadata?.labels, "kubernetes.io/hostname": name } },
        status: {
          capacity: status?.capacity,
          allocatable: status?.allocatable,
          conditions: [{ type: "Ready", status: "True", ...said }],
        },
      },
    });
    return name;
  }

  /** Has the pod of a StatefulSet made again on another node: the uid of the new one, once it is ready. */
  async moveTo(node: string, pod: { readonly namespace: string; readonly name: string }): Promise<string> {
    const cordon = (unschedulable: boolean) =>
      this.core.patchNode(
        { name: NODE, body: { spec: { unschedulable } } },
        setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
      );
    await cordon(true);
    try {
      await this.core.deleteNamespacedPod({ ...pod, gracePeriodSeconds: 0 });
      return await until(`pod ${pod.name} on ${node}`, async () => {
        const moved = await this.core.readNamespacedPod(pod).catch(() => undefined);
        return moved?.spec?.nodeName === node && isReadyPod(moved) ? moved.metadata?.uid : undefined;
      });
    } finally {
      await cordon(false);
    }
  }

  async restart(...names: readonly string[]): Promise<void> {
    const cluster = await Cluster.open(this.target.cluster);
    for (const name of names) {
      await restartDeployment(cluster, { namespace: LOCATIONS.noetl.namespace, name }, new Date().toISOString());
    }
  }

  /** Waits until no restart of server and workers is under way: a worker that starts makes stream and consumer by itself. */
  async settled(): Promise<void> {
    const cluster = await Cluster.open(this.target.cluster);
    const { namespace, serverDeployment, workerDeployment } = LOCATIONS.noetl;
    for (const name of [serverDeployment, workerDeployment]) await rolledOut(cluster, { namespace, name }, 240);
  }

  /** Runs `work` while the objects exist. */
  async withObjects<T>(objects: readonly KubernetesObject[], work: () => Promise<T>): Promise<T> {
    try {
      for (const each of objects) await this.objects.create(each);
      return await work();
    } finally {
      for (const each of objects) await this.objects.delete(each, undefined, undefined, 0, undefined, "Background");
    }
  }

  /** Does `work` while there is a pod whose status is written by hand, as a kubelet would report it. No node takes it. */
  async withReportedPod<T>(
    namespace: string,
    name: string,
    value: V1Pod["status"],
    work: () => Promise<T>,
  ): Promise<T> {
    return this.withObjects([pod(namespace, name, { schedulerName: "nobody" })], async () => {
      const body = [{ op: "replace", path: "/status", value }];
      await this.core.patchNamespacedPodStatus({ name, namespace, body });
      return work();
    });
  }
}

export const isReadyPod = ({ status, metadata }: V1Pod): boolean =>
  !metadata?.deletionTimestamp &&
  (status?.conditions ?? []).some((each) => each.type === "Ready" && each.status === "True");

/** A pod that the namespaces' Pod Security level lets in. */
export const pod = (
  namespace: string,
  name: string,
  spec: object,
  labels = {},
  container = {},
): KubernetesObject & { spec: object } => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels },
  spec: {
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "main",
        image: "nowhere.example/app:1",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        ...container,
      },
    ],
    ...spec,
  },
});

/** What `verify` says of a target. */
export const verified = async (target: Target): Promise<Checklist> =>
  checklist(await gather(target, { detail: "checklist" }));

/** What the doctor says of a target. */
export async function examine(target: Target, origin?: string): Promise<Diagnosis> {
  return diagnose(await gather(target, { detail: "full", ...(origin === undefined ? {} : { origin }) }));
}

export const findingOf = ({ findings }: Diagnosis, id: string): Finding | undefined =>
  findings.find((finding) => finding.id === id);

/** Asks the doctor until `holds`; fails after four minutes with what it said last. */
export async function diagnosed(
  target: Target,
  what: string,
  holds: (diagnosis: Diagnosis) => boolean,
): Promise<Diagnosis> {
  const deadline = Date.now() + 240_000;
  for (;;) {
    const diagnosis = await examine(target);
    if (holds(diagnosis)) return diagnosis;
    if (Date.now() > deadline) {
      throw new Error(
        `waited 240 s until the doctor says ${what}; last: ${JSON.stringify(diagnosis.findings, null, 1)}`,
      );
    }
    await sleep(300);
  }
}

/** Runs the command for helm that a finding tells, as it stands there. */
export async function runHelm(finding: Finding | undefined): Promise<string> {
  const { helm } = await ensureTools(["helm"]);
  const steps = finding?.remedy.flatMap((step) => ("run" in step ? [step.run] : [])) ?? [];
  const command = steps.find((each) => each.startsWith("helm ")) ?? "";
  await promisify(execFile)(helm, command.split(" ").slice(1));
  return command;
}

/** Commands and sentences of a remedy in one text. */
export const remedyText = ({ remedy }: Finding): string =>
  remedy.map((step) => ("run" in step ? step.run : step.say)).join("\n");

/** A chart with nothing but a Deployment that never becomes ready. */
export function neverReadyChart(dir: string, name = "never", labels: Record<string, string> = { app: name }): string {
  const chart = path.join(dir, "never-ready");
  fs.mkdirSync(path.join(chart, "templates"), { recursive: true });
  fs.writeFileSync(path.join(chart, "Chart.yaml"), "apiVersion: v2\nname: never-ready\nversion: 0.1.0\n");
  const manifest = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { nodeSelector: { none: "such" }, containers: [{ name: "main", image: "never:1" }] },
      },
    },
  };
  fs.writeFileSync(path.join(chart, "templates", "deployment.json"), JSON.stringify(manifest));
  return chart;
}
