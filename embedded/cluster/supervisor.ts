import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  type KubernetesObject,
  type V1PersistentVolume,
  type V1PersistentVolumeClaim,
  type V1Pod,
  type V1PodStatus,
  type V1Service,
} from "@kubernetes/client-node";
import { curlHome, emptyLog, namesFile, volumesFolder } from "./places";
import { SupervisedPod } from "./pod";
import { LocalPorts } from "./ports";
import { recordProcess } from "./processes";
import { podKey, podPorts } from "./programs";
import type { ProgramTools } from "./programs/situation";
import { NODE } from "./seed";
import { curlConfiguration, serviceAddresses } from "./services";
import { isMissing } from "./sources";
import { isSupervised } from "./stages";
import { podStatus, simulated } from "./status";
import * as streaming from "./streaming";
import { folderOf, Volumes } from "./volumes";
import { watch, type Watched } from "./watched";

const INTERVAL_MS = 200;

/** What the supervisor watches. */
interface Objects {
  pods: Watched<V1Pod>;
  services: Watched<V1Service>;
  claims: Watched<V1PersistentVolumeClaim>;
  volumes: Watched<V1PersistentVolume>;
}

/** Looks at the cluster's pods again and again and runs the processes behind those that matter. */
export class Supervisor {
  private readonly kubeconfig = new KubeConfig();
  private readonly core: CoreV1Api;
  private readonly api: KubernetesObjectApi;
  private readonly provisioner: Volumes;
  private readonly pods = new Map<string, SupervisedPod>();
  private readonly ports = new LocalPorts();
  /** Statuses that were written last, by pod. */
  private readonly reported = new Map<string, string>();
  /** Ends of deleted pods, by namespace and name: a StatefulSet's next pod takes the same volume and ports. */
  private readonly ends = new Map<string, Promise<void>>();
  private addresses: Readonly<Record<string, number>> = {};
  private nextIp = 0;
  private ending = false;

  constructor(
    readonly dir: string,
    readonly tools: ProgramTools,
  ) {
    this.kubeconfig.loadFromFile(path.join(dir, "kubeconfig"));
    this.core = this.kubeconfig.makeApiClient(CoreV1Api);
    this.api = KubernetesObjectApi.makeApiClient(this.kubeconfig);
    this.provisioner = new Volumes(this.core, volumesFolder(dir));
  }

  async run(): Promise<void> {
    const { core, kubeconfig } = this;
    const onError = logProblem;
    const [pods, services, claims, volumes] = await Promise.all([
      watch(kubeconfig, { path: "/api/v1/pods", list: () => core.listPodForAllNamespaces(), onError }),
      watch(kubeconfig, { path: "/api/v1/services", list: () => core.listServiceForAllNamespaces(), onError }),
      watch(kubeconfig, {
        path: "/api/v1/persistentvolumeclaims",
        list: () => core.listPersistentVolumeClaimForAllNamespaces(),
        onError,
      }),
      watch(kubeconfig, { path: "/api/v1/persistentvolumes", list: () => core.listPersistentVolume(), onError }),
    ]);
    while (!this.ending) {
      try {
        await this.reconcile({ pods, services, claims, volumes });
      } catch (error) {
        // The API server may be ending; the next turn tries again.
        logProblem(error);
      }
      await sleep(INTERVAL_MS);
    }
  }

  async end(): Promise<void> {
    this.ending = true;
    await Promise.all([...[...this.pods.values()].map((each) => each.end()), ...this.ends.values()]);
  }

  private async reconcile(objects: Objects): Promise<void> {
    const pods = objects.pods.list().filter((pod) => pod.spec?.nodeName);
    const present = pods.filter((pod) => !pod.metadata?.deletionTimestamp);
    this.endDeleted(pods, new Set(present.map(uidOf)));
    await Promise.all([
      this.provisioner.reconcile(objects.claims.list(), objects.volumes.list()).catch((error: unknown) => {
        if (!isMissing(error)) logProblem(error, "volumes: ");
      }),
      ...present.map((pod) =>
        this.advance(pod, objects).catch((error: unknown) => {
          // One pod's trouble (deleted in the meantime, for one) keeps no other from advancing.
          if (!isMissing(error)) logProblem(error, `${podKey(pod)}: `);
        }),
      ),
    ]);
    this.publishAddresses(objects.services.list());
  }

  /** As the kubelet does it: the processes of a deleted pod end, and then its object goes. */
  private endDeleted(pods: readonly V1Pod[], present: ReadonlySet<string>): void {
    for (const [uid, supervised] of this.pods) {
      if (present.has(uid)) continue;
      this.pods.delete(uid);
      this.reported.delete(uid);
      this.beginEnd(supervised.pod, supervised);
    }
    // What a supervisor before this one has left, or could not be removed the first time. Without a grace it goes by itself.
    for (const pod of pods) {
      const isLeft = isSupervised(pod) && !present.has(uidOf(pod)) && pod.metadata?.deletionGracePeriodSeconds !== 0;
      if (isLeft) this.beginEnd(pod);
    }
  }

  private beginEnd(pod: V1Pod, supervised?: SupervisedPod): void {
    const key = podKey(pod);
    if (this.ends.has(key)) return;
    const end = async (): Promise<void> => {
      await supervised?.end();
      if (!this.ending) await this.remove(pod);
    };
    this.ends.set(
      key,
      end()
        .catch((error: unknown) => logProblem(error, `${key}: `))
        .finally(() => this.ends.delete(key)),
    );
  }

  /** Removes the object of a pod whose processes have ended, where it is still there. */
  private async remove({ metadata: { name = "", namespace = "", uid } = {}, spec }: V1Pod): Promise<void> {
    // Of a machine that is switched off nobody hears that they have.
    if (spec?.nodeName !== NODE) return;
    try {
      const body = { gracePeriodSeconds: 0, preconditions: { uid } };
      await this.core.deleteNamespacedPod({ name, namespace, body });
    } catch (error) {
      // Another one may have its name by now.
      if (!isMissing(error) && !(error instanceof ApiException && error.code === 409)) throw error;
    }
  }

  private async advance(pod: V1Pod, objects: Objects): Promise<void> {
    if (this.ends.has(podKey(pod))) return;
    if (isSupervised(pod)) {
      const supervised = this.pods.get(uidOf(pod)) ?? (await this.adopt(pod, objects));
      if (this.ending) return;
      await supervised.advance();
      await this.report(pod, supervised.status());
    } else if (isJobPod(pod) && pod.status?.phase === "Pending" && !this.reported.has(uidOf(pod))) {
      await this.report(pod, this.succeeded(pod));
    }
  }

  private async adopt(pod: V1Pod, objects: Objects): Promise<SupervisedPod> {
    const { name, namespace, uid } = pod.metadata ?? {};
    const ports = await podPorts(pod, this.ports);
    const supervised = new SupervisedPod(pod, {
      core: this.core,
      dir: this.dir,
      folder: path.join(this.dir, "pods", `${namespace}_${name}_${uid}`),
      ip: this.takeIp(),
      ports,
      allPorts: this.ports,
      tools: this.tools,
      claimed: (claim) => {
        const found = objects.claims
          .list()
          .find(({ metadata }) => metadata?.name === claim && metadata.namespace === namespace);
        return found && folderOf(found, objects.volumes.list());
      },
      lookUp: (host, port) => this.addresses[`${host}:${port}`],
      onStart: (process, pid) => recordProcess(path.join(this.dir, "children.json"), process, pid),
    });
    await Promise.all([
      this.apply(streaming.podLogs(pod, supervised.logs, emptyLog(this.dir))),
      this.apply(streaming.podPorts(pod, ports)),
    ]);
    this.pods.set(uidOf(pod), supervised);
    return supervised;
  }

  private async apply(object: KubernetesObject): Promise<void> {
    await this.api.patch(object, undefined, undefined, "supervisor", true, PatchStrategy.ServerSideApply);
  }

  private async report(pod: V1Pod, status: V1PodStatus): Promise<void> {
    const text = JSON.stringify(status);
    if (this.reported.get(uidOf(pod)) === text) return;
    await this.core.patchNamespacedPodStatus({
      name: pod.metadata?.name ?? "",
      namespace: pod.metadata?.namespace ?? "",
      body: [{ op: "replace", path: "/status", value: { ...pod.status, ...status } }],
    });
    this.reported.set(uidOf(pod), text);
  }

  /** A Job that nothing here runs succeeds at once. */
  private succeeded(pod: V1Pod): V1PodStatus {
    const since = new Date().toISOString();
    const done = (each: { name: string; image?: string }) => ({
      ...simulated(each, "completed", since),
      ready: false,
    });
    const { initContainers = [], containers = [] } = pod.spec ?? {};
    const state = { ip: this.takeIp(), since, init: initContainers.map(done), containers: containers.map(done) };
    return podStatus(state, undefined, new Date());
  }

  private takeIp(): string {
    const next = this.nextIp++;
    return `10.244.${1 + (Math.floor(next / 250) % 250)}.${1 + (next % 250)}`;
  }

  /** Tells the stand-ins and curl where in-cluster addresses lead to; readers never see a half-written file. */
  private publishAddresses(services: readonly V1Service[]): void {
    const addresses = serviceAddresses(services, [...this.pods.values()]);
    if (fs.existsSync(namesFile(this.dir)) && JSON.stringify(addresses) === JSON.stringify(this.addresses)) return;
    this.addresses = addresses;
    replaceFile(namesFile(this.dir), JSON.stringify(addresses, null, 1));
    fs.mkdirSync(curlHome(this.dir), { recursive: true });
    replaceFile(path.join(curlHome(this.dir), ".curlrc"), curlConfiguration(addresses));
  }
}

function replaceFile(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

const uidOf = (pod: V1Pod): string => pod.metadata?.uid ?? "";

function isJobPod(pod: V1Pod): boolean {
  return pod.metadata?.ownerReferences?.some((each) => each.kind === "Job") ?? false;
}

function logProblem(error: unknown, prefix = ""): void {
  console.error(`${new Date().toISOString()} ${prefix}${error instanceof Error ? error.message : String(error)}`);
}
