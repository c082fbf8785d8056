import * as path from "node:path";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  RbacAuthorizationV1Api,
  type KubernetesObject,
} from "@kubernetes/client-node";
import type { JetStreamManager, NatsConnection } from "nats";
import { inject } from "vitest";
import { openSession } from "../../components/stream-contract/connect";
import { Deadline } from "../../components/stream-contract/deadline";
import { PROJECT, projectRoot } from "../../config/project";
import { PLACES } from "../../contract/noetl";
import { diagnose, type Diagnosis, type Finding } from "../../doctor/diagnosis";
import { readStack, type Engine, type StackContent } from "../../doctor/engine";
import { gather } from "../../doctor/gather";
import { Cluster } from "../../doctor/kubernetes";
import { restartDeployment } from "../../doctor/repair/rollout";
import { contractInputs, targetOf, type Target } from "../../doctor/target";
import { embeddedEngine } from "../../embedded/home";
import { sleep } from "../contract/support";

export const STACK = "doctor";

/** The deployment that these tests share, and hands to break it with. */
export class Deployment {
  readonly dir = inject("deployment");
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
    const session = await openSession(contractInputs(this.target, 15), new Deadline(15_000));
    try {
      return await work(await session.connection.jetstreamManager(), session.connection);
    } finally {
      await session.close();
    }
  }

  async restart(...names: readonly string[]): Promise<void> {
    const cluster = await Cluster.open(this.target.cluster);
    for (const name of names) {
      await restartDeployment(cluster, PLACES.noetl.namespace, name, new Date().toISOString());
    }
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
}

/** What the doctor says of a target. */
export async function examine(target: Target, origin?: string): Promise<Diagnosis> {
  return diagnose(await gather(target, { detail: "full", ...(origin === undefined ? {} : { origin }) }));
}

export const findingOf = ({ findings }: Diagnosis, id: string): Finding | undefined =>
  findings.find((finding) => finding.id === id);

/** Asks the doctor until `holds`; fails after 40 s with what it said last. */
export async function diagnosed(
  target: Target,
  what: string,
  holds: (diagnosis: Diagnosis) => boolean,
): Promise<Diagnosis> {
  const deadline = Date.now() + 40_000;
  for (;;) {
    const diagnosis = await examine(target);
    if (holds(diagnosis)) return diagnosis;
    if (Date.now() > deadline) {
      throw new Error(
        `waited 40 s until the doctor says ${what}; last: ${JSON.stringify(diagnosis.findings, null, 1)}`,
      );
    }
    await sleep(300);
  }
}

/** Commands and sentences of a remedy in one text. */
export const remedyText = ({ remedy }: Finding): string =>
  remedy.map((step) => ("run" in step ? step.run : step.say)).join("\n");
