import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  type KubernetesObject,
  type V1Pod,
} from "@kubernetes/client-node";
import { SupervisedPod } from "./pod";
import { LocalPorts } from "./ports";
import { recordProcess } from "./processes";
import { podKey, podPorts, type ProgramTools } from "./programs";
import { serviceAddresses } from "./services";
import { isMissing } from "./sources";
import { isSupervised } from "./stages";
import { simulated, podStatus } from "./status";
import * as streaming from "./streaming";

const INTERVAL_MS = 200;

/** Outcome of Jobs for tests: `outcomes.json` in the cluster's folder, keyed by the beginning of the Job's name. */
type Outcomes = Record<string, { exitCode: number; log: string }>;

/** Looks at the cluster's pods again and again and runs the processes behind those that matter. */
export class Supervisor {
  private readonly core: CoreV1Api;
  private readonly objects: KubernetesObjectApi;
  private readonly pods = new Map<string, SupervisedPod>();
  private readonly ports = new LocalPorts();
  /** Statuses that were written last, by pod. */
  private readonly reported = new Map<string, string>();
  private addresses = 0;
  private ending = false;

  constructor(
    readonly dir: string,
    readonly tools: ProgramTools,
  ) {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromFile(path.join(dir, "kubeconfig"));
    this.core = kubeconfig.makeApiClient(CoreV1Api);
    this.objects = KubernetesObjectApi.makeApiClient(kubeconfig);
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
    await Promise.all([...this.pods.values()].map((each) => each.end()));
  }

  private async reconcile(): Promise<void> {
    const { items } = await this.core.listPodForAllNamespaces({ resourceVersion: "0" });
    const present = items.filter((pod) => pod.spec?.nodeName && !pod.metadata?.deletionTimestamp);
    await this.forget(new Set(present.map(uidOf)));
    await Promise.all(
      present.map(async (pod) => {
        try {
          await this.advance(pod);
        } catch (error) {
          // One pod's trouble (deleted in the meantime, for one) keeps no other from advancing.
          if (!isMissing(error)) complain(error, `${podKey(pod)}: `);
        }
      }),
    );
    await this.writeNames();
  }

  /** Processes of deleted pods end before others start: a StatefulSet's next pod takes the same volume and ports. */
  private async forget(present: ReadonlySet<string>): Promise<void> {
    await Promise.all(
      [...this.pods].map(async ([uid, pod]) => {
        if (present.has(uid)) return;
        await pod.end();
        this.pods.delete(uid);
        this.reported.delete(uid);
      }),
    );
  }

  private async advance(pod: V1Pod): Promise<void> {
    if (isSupervised(pod)) {
      const supervised = this.pods.get(uidOf(pod)) ?? (await this.adopt(pod));
      if (this.ending) return;
      await supervised.advance();
      await this.report(pod, supervised.status(pod.status));
    } else if (isJobPod(pod) && pod.status?.phase === "Pending") {
      await this.report(pod, this.finished(pod));
    }
  }

  private async adopt(pod: V1Pod): Promise<SupervisedPod> {
    const { name, namespace, uid } = pod.metadata ?? {};
    const ports = await podPorts(pod, this.ports);
    const supervised = new SupervisedPod(pod, {
      core: this.core,
      dir: this.dir,
      folder: path.join(this.dir, "pods", `${namespace}_${name}_${uid}`),
      ip: this.nextAddress(),
      ports,
      allPorts: this.ports,
      tools: this.tools,
      onStart: (process, pid) => recordProcess(path.join(this.dir, "children.json"), process, pid),
    });
    await this.apply(streaming.podLogs(pod, supervised.logs, emptyLog(this.dir)));
    await this.apply(streaming.podPorts(pod, ports));
    this.pods.set(uidOf(pod), supervised);
    return supervised;
  }

  private async apply(object: KubernetesObject): Promise<void> {
    await this.objects.patch(object, undefined, undefined, "supervisor", true, PatchStrategy.ServerSideApply);
  }

  private async report(pod: V1Pod, status: object): Promise<void> {
    const text = JSON.stringify(status);
    if (this.reported.get(uidOf(pod)) === text) return;
    await this.core.patchNamespacedPodStatus({
      name: pod.metadata?.name ?? "",
      namespace: pod.metadata?.namespace ?? "",
      body: [{ op: "replace", path: "/status", value: { ...pod.status, ...status } }],
    });
    this.reported.set(uidOf(pod), text);
  }

  /** A Job that nothing here runs succeeds at once, or ends as a test has put into `outcomes.json`. */
  private finished(pod: V1Pod) {
    const file = path.join(this.dir, "outcomes.json");
    const outcomes = (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {}) as Outcomes;
    const job = pod.metadata?.labels?.["job-name"] ?? "";
    const outcome = Object.entries(outcomes).find(([prefix]) => job.startsWith(prefix))?.[1];
    const since = new Date().toISOString();
    const done = (each: { name: string; image?: string }) => ({
      ...simulated(each, "completed", since),
      ready: false,
    });
    const { initContainers = [], containers = [] } = pod.spec ?? {};
    const main = containers.map(done);
    const terminated = main[0]?.state?.terminated;
    if (outcome && outcome.exitCode !== 0 && terminated) {
      Object.assign(terminated, { exitCode: outcome.exitCode, reason: "Error", message: outcome.log });
    }
    const state = { pod, ip: this.nextAddress(), since, init: initContainers.map(done), containers: main };
    return podStatus(state, pod.status, new Date());
  }

  private nextAddress(): string {
    const next = this.addresses++;
    return `10.244.${1 + (Math.floor(next / 250) % 250)}.${1 + (next % 250)}`;
  }

  /** In-cluster addresses and where they lead to here; the stand-ins look names up in this file. */
  private async writeNames(): Promise<void> {
    const { items: services } = await this.core.listServiceForAllNamespaces({ resourceVersion: "0" });
    const text = JSON.stringify(serviceAddresses(services, [...this.pods.values()]), null, 1);
    const file = path.join(this.dir, "names.json");
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === text) return;
    fs.writeFileSync(`${file}.new`, text);
    fs.renameSync(`${file}.new`, file);
  }
}

/** The log of containers behind which no process runs. */
export const emptyLog = (dir: string): string => path.join(dir, "logs", "empty.log");

const uidOf = (pod: V1Pod): string => pod.metadata?.uid ?? "";

function isJobPod(pod: V1Pod): boolean {
  return pod.metadata?.ownerReferences?.some((each) => each.kind === "Job") ?? false;
}

function complain(error: unknown, prefix = ""): void {
  console.error(`${new Date().toISOString()} ${prefix}${error instanceof Error ? error.message : String(error)}`);
}
