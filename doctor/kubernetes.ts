import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { kubernetesClient, loadCluster, refused, unreachable } from "../components/stream-contract/cluster";
import { within } from "../components/stream-contract/deadline";
import { ConnectError } from "../components/stream-contract/errors";
import { PLACES } from "../contract/noetl";
import type {
  Answer,
  ClaimFacts,
  ContainerFacts,
  NamespaceFacts,
  PodFacts,
  VariableFacts,
  WorkloadFacts,
} from "./evidence";
import { releaseSelector, releasesOf } from "./releases";
import type { Target } from "./target";

/** Longest wait for one answer of the API server, in milliseconds. */
const ANSWER_MILLISECONDS = 10_000;
/** Lines of a log that are looked at, and how many bytes they may be. */
const LOG_LINES = 60;
const LOG_BYTES = 64 * 1024;
/** Pods of one workload whose logs are read: those that are not ready come first. */
const PODS_PER_WORKLOAD = 3;

/** The failure as an answer. Anything but a {@link ConnectError} is a defect and goes on. */
export function failure(error: unknown): { ok: false } & Pick<ConnectError, "problem" | "message"> {
  if (!(error instanceof ConnectError)) throw error;
  return { ok: false, problem: error.problem, message: error.message };
}

/** Runs `work`; a {@link ConnectError} becomes an answer. */
export async function answer<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return failure(error);
  }
}

/** The API of one cluster; every question has a deadline and fails with a {@link ConnectError}. */
export class Cluster {
  readonly core: k8s.CoreV1Api;
  readonly apps: k8s.AppsV1Api;
  readonly batch: k8s.BatchV1Api;

  private constructor(
    readonly config: k8s.KubeConfig,
    library: typeof k8s,
  ) {
    this.core = config.makeApiClient(library.CoreV1Api);
    this.apps = config.makeApiClient(library.AppsV1Api);
    this.batch = config.makeApiClient(library.BatchV1Api);
  }

  /** @throws ConnectError `bad-kubeconfig` */
  static async open(connection: Target["cluster"]): Promise<Cluster> {
    const config = await loadCluster({ namespace: "", service: "", port: 0, ...connection });
    return new Cluster(config, await kubernetesClient());
  }

  /** Address of the API server. */
  get server(): string {
    return this.config.getCurrentCluster()?.server ?? "";
  }

  /**
   * Asks one question; undefined where there is no such object.
   *
   * @param what What is asked, in words that follow "may not": `list the pods of namespace nats`.
   * @param needs What a role must have for it: `list on pods`.
   * @throws ConnectError `cluster-unreachable`, `cluster-login`, `forbidden` or `no-answer`.
   */
  async ask<T>(what: string, needs: string, question: () => Promise<T>): Promise<T | undefined> {
    const { ApiException } = await kubernetesClient();
    return within(ANSWER_MILLISECONDS, `the Kubernetes API at ${this.server} to ${what}`, async () => {
      try {
        return await question();
      } catch (error) {
        if (!(error instanceof ApiException)) throw unreachable(this.config, error);
        if (error.code === 404) return undefined;
        throw refused(this.config, error.code, what, needs);
      }
    });
  }
}

const ageOf = (time: Date | string | undefined): number =>
  time === undefined ? 0 : Math.max(0, (Date.now() - new Date(time).getTime()) / 1000);

const words = (...parts: readonly (string | undefined)[]): string => parts.filter(Boolean).join(": ");

/** The stack's Helm releases, each in a namespace of its own. */
const RELEASES = [PLACES.nats.service, PLACES.noetl.service, PLACES.gateway.service];

/** How much of a namespace is read. A checklist needs no logs, claims, releases and warnings. */
export type Detail = "checklist" | "full";

/** What is in a namespace. @throws ConnectError where not even its pods can be listed. */
export async function readNamespace(
  cluster: Cluster,
  namespace: string,
  detail: Detail,
  mask: (text: string) => string,
): Promise<NamespaceFacts> {
  const full = detail === "full";
  const list = <T>(kind: string, question: () => Promise<{ items: T[] }>) =>
    cluster
      .ask(`list the ${kind} of namespace ${namespace}`, `list on ${kind}`, question)
      .then((found) => found?.items ?? []);
  /** What may be missing without making the rest useless. */
  const unread: string[] = [];
  const optional = async <T>(kind: string, question: () => Promise<{ items: T[] }>): Promise<T[]> => {
    const found = await answer(() => list(kind, question));
    if (!found.ok) unread.push(found.message);
    return found.ok ? found.value : [];
  };
  const [pods, deployments, sets, jobs, claims, secrets, events] = await Promise.all([
    list("pods", () => cluster.core.listNamespacedPod({ namespace })),
    optional("deployments", () => cluster.apps.listNamespacedDeployment({ namespace })),
    optional("statefulsets", () => cluster.apps.listNamespacedStatefulSet({ namespace })),
    full ? optional("jobs", () => cluster.batch.listNamespacedJob({ namespace })) : [],
    full
      ? optional("persistentvolumeclaims", () => cluster.core.listNamespacedPersistentVolumeClaim({ namespace }))
      : [],
    full
      ? optional("secrets", () =>
          cluster.core.listNamespacedSecret({ namespace, labelSelector: releaseSelector(RELEASES) }),
        )
      : [],
    full
      ? optional("events", () => cluster.core.listNamespacedEvent({ namespace, fieldSelector: "type=Warning" }))
      : [],
  ]);
  const alive = pods.filter((pod) => pod.metadata?.deletionTimestamp === undefined);
  const logged = full ? new Set(podsToLog(alive)) : new Set<k8s.V1Pod>();
  return {
    name: namespace,
    pods: (await Promise.all(alive.map((pod) => podFacts(cluster, pod, logged.has(pod), mask)))).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    ),
    workloads: [...deployments.map(deploymentFacts), ...sets.map(statefulSetFacts), ...jobs.map(jobFacts)].sort(
      (a, b) => (a.name < b.name ? -1 : 1),
    ),
    claims: claims.map(claimFacts),
    releases: releasesOf(secrets, Date.now(), mask),
    warnings: warningsOf(events, mask),
    unread,
  };
}

function podsToLog(pods: readonly k8s.V1Pod[]): k8s.V1Pod[] {
  const byOwner = new Map<string, k8s.V1Pod[]>();
  for (const pod of pods) {
    const owner = ownerOf(pod);
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), pod]);
  }
  return [...byOwner.values()].flatMap((group) =>
    group.sort((a, b) => Number(isReady(a)) - Number(isReady(b))).slice(0, PODS_PER_WORKLOAD),
  );
}

const isReady = (pod: k8s.V1Pod): boolean =>
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/** The workload of a pod: a Deployment's name is that of the ReplicaSet without the hash of the pod template. */
function ownerOf(pod: k8s.V1Pod): string {
  const owner =
    pod.metadata?.ownerReferences?.find(({ controller }) => controller) ?? pod.metadata?.ownerReferences?.[0];
  const hash = pod.metadata?.labels?.["pod-template-hash"];
  const name = owner?.name ?? pod.metadata?.name ?? "";
  return owner?.kind === "ReplicaSet" && hash && name.endsWith(`-${hash}`) ? name.slice(0, -hash.length - 1) : name;
}

async function podFacts(
  cluster: Cluster,
  pod: k8s.V1Pod,
  withLogs: boolean,
  mask: (text: string) => string,
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
        ...(each.state?.waiting
          ? { waiting: { reason: each.state.waiting.reason ?? "", message: mask(each.state.waiting.message ?? "") } }
          : {}),
        ...(ended
          ? {
              ended: {
                reason: ended.reason ?? "",
                exitCode: ended.exitCode,
                message: mask(ended.message ?? "").trim(),
              },
            }
          : {}),
        log: wants ? await lastLines(cluster, pod, each, mask) : [],
      };
    }),
  );
  return {
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
    owner: ownerOf(pod),
    phase: status?.phase ?? "Unknown",
    ready: isReady(pod),
    ...(scheduled?.status === "False" ? { unscheduled: words(scheduled.reason, scheduled.message) } : {}),
    ageSeconds: ageOf(metadata?.creationTimestamp),
    containers,
  };
}

/** Escape sequences that a program writes for a terminal. */
// eslint-disable-next-line no-control-regex
const ANSI = /\u001b\[[0-9;]*m/g;

/** The last lines of a container, of its previous run where it has crashed; what it ended with where it has no log. */
async function lastLines(
  cluster: Cluster,
  pod: k8s.V1Pod,
  status: k8s.V1ContainerStatus,
  mask: (text: string) => string,
): Promise<string[]> {
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const read = (previous: boolean) =>
    answer(() =>
      cluster.ask(`read the log of pod ${namespace}/${name}`, "get on pods/log", () =>
        cluster.core.readNamespacedPodLog({
          name,
          namespace,
          container: status.name,
          previous,
          tailLines: LOG_LINES,
          limitBytes: LOG_BYTES,
        }),
      ),
    );
  const crashed = status.state?.running === undefined && status.lastState?.terminated !== undefined;
  const answers = crashed ? [await read(true), await read(false)] : [await read(false)];
  const text = answers.map((found) => (found.ok ? (found.value ?? "") : "")).find((each) => each.trim() !== "");
  const ended = status.state?.terminated?.message ?? status.lastState?.terminated?.message ?? "";
  return mask((text ?? ended).replace(ANSI, ""))
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}

function deploymentFacts({ metadata, spec, status }: k8s.V1Deployment): WorkloadFacts {
  const failed = status?.conditions?.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  return {
    kind: "Deployment",
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
    wanted: spec?.replicas ?? 1,
    ready: status?.readyReplicas ?? 0,
    ...(failed ? { trouble: words(failed.reason, failed.message) } : {}),
  };
}

function statefulSetFacts({ metadata, spec, status }: k8s.V1StatefulSet): WorkloadFacts {
  return {
    kind: "StatefulSet",
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
    wanted: spec?.replicas ?? 1,
    ready: status?.readyReplicas ?? 0,
  };
}

function jobFacts({ metadata, spec, status }: k8s.V1Job): WorkloadFacts {
  const failed = status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
  return {
    kind: "Job",
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
    wanted: spec?.completions ?? 1,
    ready: status?.succeeded ?? 0,
    ...(failed ? { trouble: words(failed.reason, failed.message) } : {}),
  };
}

function claimFacts({ metadata, spec, status }: k8s.V1PersistentVolumeClaim): ClaimFacts {
  return {
    namespace: metadata?.namespace ?? "",
    name: metadata?.name ?? "",
    phase: status?.phase ?? "Unknown",
    ...(spec?.storageClassName ? { storageClass: spec.storageClassName } : {}),
    ...(spec?.resources?.requests?.storage ? { size: spec.resources.requests.storage } : {}),
  };
}

/** The latest warning of each object and reason, newest first. */
function warningsOf(events: readonly k8s.CoreV1Event[], mask: (text: string) => string): string[] {
  const time = (event: k8s.CoreV1Event): number =>
    new Date(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? 0).getTime();
  const latest = new Map<string, string>();
  for (const event of [...events].sort((a, b) => time(b) - time(a))) {
    const about = `${event.involvedObject.kind}/${event.involvedObject.name}`;
    const key = `${about} ${event.reason}`;
    if (!latest.has(key)) latest.set(key, mask(words(about, event.reason, event.message)));
  }
  return [...latest.values()];
}

/** What the pods of a Deployment get as environment, with every value that a Secret holds masked. */
export async function readEnvironment(
  cluster: Cluster,
  namespace: string,
  deployment: string,
  expected: Readonly<Record<string, string | undefined>>,
  mask: (text: string) => string,
): Promise<readonly VariableFacts[] | undefined> {
  const found = await cluster.ask(`read Deployment ${namespace}/${deployment}`, "get on deployments", () =>
    cluster.apps.readNamespacedDeployment({ namespace, name: deployment }),
  );
  const container = found?.spec?.template.spec?.containers[0];
  if (!container) return undefined;
  const maps = new Map<string, Promise<Answer<Record<string, string> | undefined>>>();
  const dataOf = (kind: "ConfigMap" | "Secret", name: string) => {
    const key = `${kind} ${name}`;
    const reading = maps.get(key) ?? answer(() => readData(cluster, kind, namespace, name));
    maps.set(key, reading);
    return reading;
  };
  const variables = new Map<string, VariableFacts>();
  const put = (name: string, value: string | undefined, source: string, secret: boolean): void => {
    const shown = value === undefined ? undefined : showVariable(value, secret, mask);
    const should = expected[name];
    variables.set(name, {
      name,
      source,
      ...(shown === undefined ? {} : { value: shown }),
      ...(value === undefined || should === undefined ? {} : { asDeployed: value === should }),
      ...(value !== should && should !== undefined && shown === showVariable(should, secret, mask)
        ? { looksAlike: true }
        : {}),
    });
  };
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const [kind, ref] = secretRef ? (["Secret", secretRef] as const) : (["ConfigMap", configMapRef] as const);
    const data = await dataOf(kind, ref?.name ?? "");
    if (!data.ok) continue;
    for (const [key, value] of Object.entries(data.value ?? {})) {
      put(`${prefix}${key}`, value, `${kind} ${ref?.name}, key ${key}`, kind === "Secret");
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const [kind, ref] = valueFrom?.secretKeyRef
      ? (["Secret", valueFrom.secretKeyRef] as const)
      : (["ConfigMap", valueFrom?.configMapKeyRef] as const);
    if (ref) {
      const data = await dataOf(kind, ref.name ?? "");
      const held = data.ok ? data.value?.[ref.key] : undefined;
      put(name, held, `${kind} ${ref.name}, key ${ref.key}`, kind === "Secret");
    } else if (!valueFrom) {
      put(name, value ?? "", "literal", false);
    }
  }
  return [...variables.values()];
}

/** A Secret's value is shown only as far as it is a URL, whose password the mask hides. */
function showVariable(value: string, secret: boolean, mask: (text: string) => string): string {
  return secret && !/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? "***" : mask(value);
}

async function readData(
  cluster: Cluster,
  kind: "ConfigMap" | "Secret",
  namespace: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  if (kind === "ConfigMap") {
    const found = await cluster.ask(`read ConfigMap ${namespace}/${name}`, "get on configmaps", () =>
      cluster.core.readNamespacedConfigMap({ namespace, name }),
    );
    return found?.data;
  }
  const found = await cluster.ask(`read Secret ${namespace}/${name}`, "get on secrets", () =>
    cluster.core.readNamespacedSecret({ namespace, name }),
  );
  return (
    found &&
    Object.fromEntries(
      Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
    )
  );
}

/**
 * The password that the NATS pods are deployed with: the one in the Secret that their environment names. Undefined where
 * NATS was not installed by this program, or the Secret may not be read.
 */
export async function deployedPassword(cluster: Cluster, namespace: string, user: string): Promise<string | undefined> {
  const found = await answer(async () => {
    const name = PLACES.nats.service;
    const set = await cluster.ask(`read StatefulSet ${namespace}/${name}`, "get on statefulsets", () =>
      cluster.apps.readNamespacedStatefulSet({ namespace, name }),
    );
    const secret = set?.spec?.template.spec?.containers
      .flatMap(({ env = [] }) => env)
      .map(({ valueFrom }) => valueFrom?.secretKeyRef)
      .find((ref) => ref?.key === `${user}.conf`)?.name;
    return secret === undefined ? undefined : (await readData(cluster, "Secret", namespace, secret))?.[user];
  });
  return found.ok ? found.value : undefined;
}
