/** What is in a namespace: pods with their logs, workloads, claims, Helm releases, warnings. */
import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { LOCATIONS } from "../../contract/facts";
import type { Kinds, Written } from "../../contract/kubernetes/objects";
import { isAlive } from "../../contract/kubernetes/pods";
import { answer, type Cluster } from "./kubernetes";
import type {
  ClaimFacts,
  ContainerFacts,
  EndingFacts,
  EvictedFacts,
  LogLine,
  NamespaceFacts,
  PodFacts,
  Rollout,
  ServiceFacts,
  VolumeTerms,
  WorkloadFacts,
} from "./evidence";
import { logLines } from "./log-lines";
import { harmless } from "./text";
import { releaseSelector, releasesOf } from "./releases";
import { warningsOf, words } from "./warnings";

/**
 * Lines of a log that are looked at, and how many bytes they may be. The bytes count from the oldest of these lines, so that
 * too few would cut off the newest: a worker's line with its traceback has several thousand.
 */
const LOG_LINES = 300;
const LOG_BYTES = 2 * 1024 * 1024;
/** Pods of one workload whose logs are read: those that are not ready come first. */
const PODS_PER_WORKLOAD = 3;

const ageOf = (time: string | undefined): number =>
  time === undefined ? 0 : Math.max(0, (Date.now() - new Date(time).getTime()) / 1000);

/** The stack's Helm releases, each in a namespace of its own. */
const RELEASES = [LOCATIONS.nats.service, LOCATIONS.noetl.service, LOCATIONS.gateway.service];

/** Hides what is secret in a text. */
type Mask = (text: string) => string;

/** How much of a namespace is read. A checklist needs no claims, releases and warnings, and the logs of NoETL's pods alone. */
export type Detail = "checklist" | "full";

/** What is in a namespace. @throws ConnectError where not even its pods can be listed. */
export async function readNamespace(
  cluster: Cluster,
  namespace: string,
  { detail, mask }: { detail: Detail; mask: Mask },
): Promise<NamespaceFacts> {
  const full = detail === "full";
  /** What may be missing without making the rest useless. */
  const unread: string[] = [];
  const optional = async <K extends keyof Kinds>(
    kind: K,
    selected?: Record<string, string>,
  ): Promise<readonly Kinds[K][]> => {
    const found = await answer(() => cluster.list(kind, namespace, selected));
    if (!found.ok) unread.push(found.message);
    return found.ok ? found.value : [];
  };
  const [pods, services, deployments, sets, jobs, claims, secrets, events] = await Promise.all([
    cluster.list("pods", namespace),
    answer(() => cluster.list("services", namespace)),
    optional("deployments"),
    optional("statefulsets"),
    full ? optional("jobs") : [],
    full ? optional("persistentvolumeclaims") : [],
    full ? optional("secrets", { labelSelector: releaseSelector(RELEASES) }) : [],
    full ? optional("events", { fieldSelector: "type=Warning" }) : [],
  ]);
  const kept = pods.filter((pod) => pod.metadata?.deletionTimestamp === undefined);
  const alive = kept.filter((pod) => !isEvicted(pod));
  if (!services.ok) unread.push(services.message);
  const logged = new Set(podsToLog(full ? alive : alive.filter((pod) => SPEAKERS.includes(ownerOf(pod)))));
  return {
    name: namespace,
    pods: (await Promise.all(alive.map((pod) => podFacts(cluster, pod, { withLogs: logged.has(pod), mask })))).sort(
      (a, b) => (a.name < b.name ? -1 : 1),
    ),
    evicted: kept.filter(isEvicted).map((pod) => evictedFacts(pod, mask)),
    ending: pods.flatMap(endingFacts),
    workloads: [
      ...deployments.map((each) => deploymentFacts(each, mask)),
      ...sets.map(statefulSetFacts),
      ...jobs.map((each) => jobFacts(each, mask)),
    ].sort((a, b) => (a.name < b.name ? -1 : 1)),
    services: services.ok ? services.value.flatMap((each) => serviceFacts(each, alive)) : undefined,
    claims: claims.map(claimFacts),
    releases: releasesOf(secrets, Date.now(), mask),
    warnings: warningsOf(events, mask),
    unread,
  };
}

/** Whose failed publishes and fetches, and whose failing disk, show in their logs alone: their pods stay ready. */
const SPEAKERS: readonly string[] = [
  LOCATIONS.noetl.serverDeployment,
  LOCATIONS.noetl.workerDeployment,
  LOCATIONS.nats.service,
];

function podsToLog(pods: readonly Written<k8s.V1Pod>[]): Written<k8s.V1Pod>[] {
  const byOwner = new Map<string, Written<k8s.V1Pod>[]>();
  for (const pod of pods) {
    const owner = ownerOf(pod);
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), pod]);
  }
  return [...byOwner].flatMap(([owner, group]) =>
    // A server of NATS alone knows of its own disk.
    owner === LOCATIONS.nats.service
      ? group
      : group.sort((a, b) => Number(isReady(a)) - Number(isReady(b))).slice(0, PODS_PER_WORKLOAD),
  );
}

const isReady = (pod: Written<k8s.V1Pod>): boolean =>
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/** The workload of a pod: a Deployment's name is that of the ReplicaSet without the hash of the pod template. */
function ownerOf(pod: Written<k8s.V1Pod>): string {
  const owner =
    pod.metadata?.ownerReferences?.find(({ controller }) => controller) ?? pod.metadata?.ownerReferences?.[0];
  const hash = pod.metadata?.labels?.["pod-template-hash"];
  const name = owner?.name ?? pod.metadata?.name ?? "";
  return owner?.kind === "ReplicaSet" && hash && name.endsWith(`-${hash}`) ? name.slice(0, -hash.length - 1) : name;
}

function memoryLimitOf({ spec }: Written<k8s.V1Pod>, container: string): string | undefined {
  const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  return all.find(({ name }) => name === container)?.resources?.limits?.memory;
}

/**
 * Whether a pod was ended for good by its cluster, not by its own doing: it fails, and its workload has made another in its place. A
 * Job's fails by itself, and so does one that nothing makes again.
 */
function isEvicted({ metadata, status }: Written<k8s.V1Pod>): boolean {
  const owners = metadata?.ownerReferences ?? [];
  return status?.phase === "Failed" && owners.length > 0 && owners.every(({ kind }) => kind !== "Job");
}

function evictedFacts(pod: Written<k8s.V1Pod>, mask: Mask): EvictedFacts {
  const { status, metadata } = pod;
  const times = (status?.conditions ?? []).flatMap(({ lastTransitionTime: time }) => (time ? [timeOf(time)] : []));
  return {
    ...placeOf(metadata),
    owner: ownerOf(pod),
    why: mask(harmless(words(status?.reason, status?.message))) || "Failed",
    at: times.length > 0 ? Math.max(...times) : undefined,
  };
}

/** How long the end of a pod may take beyond the time that it is given, in seconds. */
const LATE_SECONDS = 60;

/** A deleted pod is to be gone at the time that stands as that of its deletion: what it was given to end is in it. */
function endingFacts(pod: Written<k8s.V1Pod>): EndingFacts[] {
  const { metadata, spec } = pod;
  const overdueSeconds = ageOf(metadata?.deletionTimestamp);
  if (overdueSeconds < LATE_SECONDS) return [];
  const finalizers = metadata?.finalizers ?? [];
  return [{ ...placeOf(metadata), owner: ownerOf(pod), overdueSeconds, node: spec?.nodeName, finalizers }];
}

const templateOf = ({ metadata }: Written<k8s.V1Pod>): string | undefined =>
  metadata?.labels?.["pod-template-hash"] ?? metadata?.labels?.["controller-revision-hash"];

async function podFacts(
  cluster: Cluster,
  pod: Written<k8s.V1Pod>,
  { withLogs, mask }: { withLogs: boolean; mask: Mask },
): Promise<PodFacts> {
  const { status, spec, metadata } = pod;
  const statuses = [
    ...(status?.initContainerStatuses ?? []).map((each) => ({ each, init: true })),
    ...(status?.containerStatuses ?? []).map((each) => ({ each, init: false })),
  ];
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  const containers = await Promise.all(
    statuses.map(async ({ each, init }): Promise<ContainerFacts> => {
      const ended = each.state?.terminated ?? each.lastState?.terminated;
      const wants = withLogs && !(init && each.state?.terminated?.exitCode === 0);
      return {
        name: each.name,
        init,
        image: each.image || (spec?.containers.find(({ name }) => name === each.name)?.image ?? ""),
        ready: each.ready,
        restarts: each.restartCount,
        memoryLimit: memoryLimitOf(pod, each.name),
        waiting: each.state?.waiting && {
          reason: each.state.waiting.reason ?? "",
          message: mask(harmless(each.state.waiting.message ?? "")),
        },
        since: each.state?.running?.startedAt ? timeOf(each.state.running.startedAt) : undefined,
        ended: ended ? endFacts(ended, mask) : undefined,
        ...(wants ? await logsOf(cluster, { pod, status: each }, mask) : { log: [] }),
      };
    }),
  );
  return {
    ...placeOf(metadata),
    owner: ownerOf(pod),
    phase: status?.phase ?? "Unknown",
    ready: isReady(pod),
    unscheduled: scheduled?.status === "False" ? said(scheduled, mask) : undefined,
    claims: (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []),
    ageSeconds: ageOf(metadata?.creationTimestamp),
    node: spec?.nodeName,
    template: templateOf(pod),
    containers,
  };
}

const timeOf = (time: string): number => new Date(time).getTime();

function endFacts(ended: Written<k8s.V1ContainerStateTerminated>, mask: (text: string) => string) {
  const { reason = "", exitCode, message = "", startedAt, finishedAt } = ended;
  return {
    reason,
    exitCode,
    message: mask(harmless(message)).trim(),
    at: finishedAt ? timeOf(finishedAt) : undefined,
    ranSeconds: startedAt && finishedAt ? Math.max(0, (timeOf(finishedAt) - timeOf(startedAt)) / 1000) : undefined,
  };
}

/** A run that has lasted this long tells nothing any more of the crash before it. Seconds. */
const LASTING_SECONDS = 600;

/** The last lines of a container, of its previous run where it has crashed; what it ended with where it has no log. */
async function logsOf(
  cluster: Cluster,
  { pod, status }: { pod: Written<k8s.V1Pod>; status: Written<k8s.V1ContainerStatus> },
  mask: Mask,
): Promise<Pick<ContainerFacts, "log" | "lastRun">> {
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const read = async (previous: boolean): Promise<LogLine[]> => {
    const found = await answer(() =>
      cluster.log(
        { namespace, name },
        { container: status.name, previous, timestamps: true, tailLines: LOG_LINES, limitBytes: LOG_BYTES },
      ),
    );
    return logLines(found.ok ? (found.value ?? "") : "", mask);
  };
  const { state, lastState } = status;
  const crashedBefore = lastState?.terminated !== undefined && lastState.terminated.exitCode !== 0;
  if (state?.running) {
    const recent = ageOf(state.running.startedAt) < LASTING_SECONDS;
    const [log, lastRun] = await Promise.all([read(false), crashedBefore && recent ? read(true) : []]);
    return lastRun.length > 0 ? { log, lastRun } : { log };
  }
  // Between two runs the log is still the last one's; where the next is being made, the last one's is the previous.
  const order = lastState?.terminated === undefined ? [false] : state?.terminated ? [false, true] : [true, false];
  const answers = await Promise.all(order.map(read));
  const log = answers.find((lines) => lines.length > 0);
  return { log: log ?? logLines(state?.terminated?.message ?? lastState?.terminated?.message ?? "", mask) };
}

const placeOf = (metadata: Written<k8s.V1ObjectMeta> | undefined) => ({
  namespace: metadata?.namespace ?? "",
  name: metadata?.name ?? "",
});

/** What a condition says, which is what a scheduler, a quota or a webhook says of the pod's own specification. */
const said = ({ reason, message }: { readonly reason?: string; readonly message?: string }, mask: Mask): string =>
  mask(harmless(words(reason, message)));

function deploymentFacts({ metadata, spec, status }: Written<k8s.V1Deployment>, mask: Mask): WorkloadFacts {
  const failed = status?.conditions?.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  const gaveUp = status?.conditions?.find(({ type, status }) => type === "Progressing" && status === "False");
  return {
    kind: "Deployment",
    ...placeOf(metadata),
    wanted: spec?.replicas ?? 1,
    ready: status?.readyReplicas ?? 0,
    ...rolloutOf({ metadata, status, gaveUp: gaveUp && said(gaveUp, mask) }),
    paused: spec?.paused ? true : undefined,
    trouble: failed ? said(failed, mask) : undefined,
  };
}

/** What `kubectl rollout status` waits for beside ready pods: the controller has seen the newest template, and no pod is of an older one. */
function rolloutOf(workload: {
  readonly metadata: Written<k8s.V1ObjectMeta> | undefined;
  readonly status: Written<k8s.V1DeploymentStatus> | Written<k8s.V1StatefulSetStatus> | undefined;
  readonly gaveUp?: string;
}): { rollout?: Rollout } {
  const { metadata, status, gaveUp } = workload;
  const updated = status?.updatedReplicas ?? 0;
  const old = Math.max(0, (status?.replicas ?? 0) - updated);
  const seen = (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
  if (seen && old === 0 && gaveUp === undefined) return {};
  return { rollout: { updated: seen ? updated : 0, old, gaveUp } };
}

function statefulSetFacts({ metadata, spec, status }: Written<k8s.V1StatefulSet>): WorkloadFacts {
  const claimed = spec?.volumeClaimTemplates?.[0]?.spec;
  return {
    kind: "StatefulSet",
    ...placeOf(metadata),
    wanted: spec?.replicas ?? 1,
    ready: status?.readyReplicas ?? 0,
    ...rolloutOf({ metadata, status }),
    volume: claimed ? volumeOf(claimed) : undefined,
  };
}

function volumeOf(spec: Written<k8s.V1PersistentVolumeClaimSpec>): VolumeTerms {
  const { storageClassName, resources } = spec;
  const size = resources?.requests?.storage;
  return { storageClass: storageClassName || undefined, size: size || undefined };
}

function jobFacts({ metadata, spec, status }: Written<k8s.V1Job>, mask: Mask): WorkloadFacts {
  const failed = status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
  return {
    kind: "Job",
    ...placeOf(metadata),
    wanted: spec?.completions ?? 1,
    ready: status?.succeeded ?? 0,
    trouble: failed ? said(failed, mask) : undefined,
  };
}

/** A Service, and the pods that its selector finds; one without a selector finds none by itself. */
function serviceFacts({ metadata, spec }: Written<k8s.V1Service>, pods: readonly Written<k8s.V1Pod>[]): ServiceFacts[] {
  const selector = Object.entries(spec?.selector ?? {});
  if (selector.length === 0) return [];
  const found = pods.filter(
    ({ metadata, status }) =>
      isAlive({ status }) && selector.every(([name, value]) => metadata?.labels?.[name] === value),
  );
  const containers = found.flatMap(({ spec }) => [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ]);
  const offered = containers.flatMap(({ ports }) => ports ?? []);
  // A container listens on what it likes, whether it names its ports or not.
  const all = containers.every(({ ports }) => (ports ?? []).length > 0);
  return [
    {
      ...placeOf(metadata),
      selector: selector.map((pair) => pair.join("=")).join(","),
      owners: [...new Set(found.map(ownerOf))].sort(),
      ports: (spec?.ports ?? []).map(({ port, targetPort = port }) => ({
        port,
        target: String(targetPort),
        offered:
          containers.length === 0 ||
          offered.some(({ name, containerPort }) => targetPort === name || targetPort === containerPort) ||
          (!all && typeof targetPort === "number"),
      })),
    },
  ];
}

function claimFacts({ metadata, spec, status }: Written<k8s.V1PersistentVolumeClaim>): ClaimFacts {
  return {
    ...placeOf(metadata),
    phase: status?.phase ?? "Unknown",
    removed: metadata?.deletionTimestamp === undefined ? undefined : true,
    ...volumeOf(spec ?? {}),
  };
}
