import { type ClusterApi, poll } from "./api";
import { asText, isObject, type Json, type JsonObject, objectAt, textAt } from "./wire";

/** How far an object is. `failed` is final, `waiting` says what is missing. */
export type Readiness = { state: "ready" } | { state: "waiting"; why: string } | { state: "failed"; why: string };

/** Longest time to wait for an object, in milliseconds, unless `customTimeouts` says otherwise (official default). */
export const DEFAULT_WAIT_MS = 10 * 60_000;

const READY: Readiness = { state: "ready" };
const waiting = (why: string): Readiness => ({ state: "waiting", why });
const failed = (why: string): Readiness => ({ state: "failed", why });

const items = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);
const count = (value: Json | undefined): number => (typeof value === "number" ? value : 0);

function condition(object: JsonObject, type: string): JsonObject | undefined {
  return items(objectAt(object, "status").conditions).find((each) => each.type === type);
}

function said(cond: JsonObject): string {
  return `[${textAt(cond, "reason") ?? "Unknown"}] ${textAt(cond, "message") ?? ""}`.trim();
}

/** What a pod's containers died of, or cannot start for. */
function podTroubles(pod: JsonObject): string[] {
  const status = objectAt(pod, "status");
  return [...items(status.initContainerStatuses), ...items(status.containerStatuses)].flatMap((container) => {
    const ended = objectAt(container, "state", "terminated");
    const before = objectAt(container, "lastState", "terminated");
    const held = objectAt(container, "state", "waiting");
    const terminated = [ended, before].find((each) => count(each.exitCode) !== 0);
    const { name, namespace } = objectAt(pod, "metadata");
    const subject = `[Pod ${asText(namespace)}/${asText(name)}]`;
    if (terminated) return [`${subject}: ${said(terminated)}`];
    return textAt(held, "reason") && held.reason !== "ContainerCreating" && held.reason !== "PodInitializing"
      ? [`${subject}: ${said(held)}`]
      : [];
  });
}

function observed(object: JsonObject): boolean {
  return count(objectAt(object, "status").observedGeneration) >= count(objectAt(object, "metadata").generation);
}

function deployment(object: JsonObject): Readiness {
  const status = objectAt(object, "status");
  const wanted = count(objectAt(object, "spec").replicas ?? 1);
  if (!observed(object)) return waiting("the controller has not seen the change yet");
  const progressing = condition(object, "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded") return failed(said(progressing));
  if (count(status.updatedReplicas) < wanted) {
    return waiting(`${count(status.updatedReplicas)} of ${wanted} pods are of the new template`);
  }
  if (count(status.replicas) > count(status.updatedReplicas))
    return waiting("pods of the old template are still there");
  return count(status.availableReplicas) < wanted
    ? waiting(`${count(status.availableReplicas)} of ${wanted} pods are available`)
    : READY;
}

function statefulSet(object: JsonObject): Readiness {
  const status = objectAt(object, "status");
  const wanted = count(objectAt(object, "spec").replicas ?? 1);
  if (!observed(object)) return waiting("the controller has not seen the change yet");
  if (objectAt(object, "spec", "updateStrategy").type === "OnDelete") return READY;
  if (wanted > 0 && status.updateRevision !== status.currentRevision && count(status.updatedReplicas) < wanted) {
    return waiting(`${count(status.updatedReplicas)} of ${wanted} pods are of the new revision`);
  }
  return count(status.readyReplicas) < wanted
    ? waiting(`${count(status.readyReplicas)} of ${wanted} pods are ready`)
    : READY;
}

function daemonSet(object: JsonObject): Readiness {
  const status = objectAt(object, "status");
  const wanted = count(status.desiredNumberScheduled);
  if (!observed(object)) return waiting("the controller has not seen the change yet");
  const done = Math.min(count(status.updatedNumberScheduled), count(status.numberAvailable));
  return done < wanted ? waiting(`${done} of ${wanted} pods are available`) : READY;
}

function job(object: JsonObject): Readiness {
  const bad = condition(object, "Failed");
  if (bad?.status === "True") return failed(said(bad));
  if (condition(object, "Complete")?.status === "True") return READY;
  return waiting("the Job has not finished");
}

function pod(object: JsonObject): Readiness {
  const { phase } = objectAt(object, "status");
  if (phase === "Succeeded" || condition(object, "Ready")?.status === "True") return READY;
  if (phase === "Failed") return failed([said(objectAt(object, "status")), ...podTroubles(object)].join("; "));
  return waiting([`the Pod is ${asText(phase ?? "not scheduled")}`, ...podTroubles(object)].join("; "));
}

/** True where a Service gets endpoints from its selector and is expected to have some. */
function expectsEndpoints(service: JsonObject): boolean {
  const spec = objectAt(service, "spec");
  return (
    Object.keys(objectAt(spec, "selector")).length > 0 && spec.clusterIP !== "None" && spec.type !== "ExternalName"
  );
}

function service(object: JsonObject, endpointSlices: readonly JsonObject[]): Readiness {
  const spec = objectAt(object, "spec");
  if (spec.type === "LoadBalancer" && items(objectAt(object, "status", "loadBalancer").ingress).length === 0) {
    return waiting("the load balancer has no address");
  }
  const ready = endpointSlices
    .flatMap((slice) => items(slice.endpoints))
    .some((endpoint) => objectAt(endpoint, "conditions").ready !== false);
  return !expectsEndpoints(object) || ready ? READY : waiting("the Service selects no ready pod");
}

/**
 * Judges an object by its own status and, where that is not enough, by `related`: the pods of a Job, the endpoint slices
 * of a Service, the StorageClass of a claim. Kinds without a rule are ready once they exist.
 */
export function readiness(object: JsonObject, related: readonly JsonObject[] = []): Readiness {
  switch (`${asText(object.apiVersion)}/${asText(object.kind)}`) {
    case "apps/v1/Deployment":
      return deployment(object);
    case "apps/v1/StatefulSet":
      return statefulSet(object);
    case "apps/v1/DaemonSet":
      return daemonSet(object);
    case "batch/v1/Job": {
      const result = job(object);
      return result.state === "ready"
        ? result
        : { ...result, why: [result.why, ...related.flatMap(podTroubles)].join("; ") };
    }
    case "v1/Pod":
      return pod(object);
    case "v1/Service":
      return service(object, related);
    case "v1/PersistentVolumeClaim": {
      // A claim that waits for its consumer is never bound before something uses it.
      const late = related.some((each) => each.volumeBindingMode === "WaitForFirstConsumer");
      const { phase } = objectAt(object, "status");
      return phase === "Bound" || late ? READY : waiting(`the claim is ${asText(phase ?? "not seen yet")}`);
    }
    case "apiextensions.k8s.io/v1/CustomResourceDefinition":
      return condition(object, "Established")?.status === "True" ? READY : waiting("the kind is not established");
    default:
      return READY;
  }
}

async function relatedTo(api: ClusterApi, object: JsonObject, signal: AbortSignal): Promise<JsonObject[]> {
  const { name, namespace } = objectAt(object, "metadata");
  switch (`${asText(object.apiVersion)}/${asText(object.kind)}`) {
    case "batch/v1/Job":
      return api.list(
        await api.path("v1", "Pod", { namespace: asText(namespace) }),
        `job-name=${asText(name)}`,
        signal,
      );
    case "v1/Service":
      return expectsEndpoints(object)
        ? api.list(
            await api.path("discovery.k8s.io/v1", "EndpointSlice", { namespace: asText(namespace) }),
            `kubernetes.io/service-name=${asText(name)}`,
            signal,
          )
        : [];
    case "v1/PersistentVolumeClaim": {
      const storageClass = textAt(objectAt(object, "spec"), "storageClassName");
      if (!storageClass) return [];
      const found = await api.get(await api.path("storage.k8s.io/v1", "StorageClass", { name: storageClass }), signal);
      return found ? [found] : [];
    }
    default:
      return [];
  }
}

/**
 * Waits until the object at `path` is ready. Gives its last state and, where it failed or the time is over, why.
 * Throws when it disappears or the API server cannot be asked.
 */
export async function untilReady(
  api: ClusterApi,
  path: string,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<{ object: JsonObject; problem?: string }> {
  let last: { object: JsonObject; why: string } | undefined;
  const settled = await poll<{ object: JsonObject; problem?: string }>(async () => {
    const object = await api.get(path, options.signal);
    if (!object) throw new Error(`${path} disappeared while it was waited for`);
    const result = readiness(object, await relatedTo(api, object, options.signal));
    if (result.state === "ready") return { object };
    if (result.state === "failed") return { object, problem: result.why };
    last = { object, why: result.why };
    return undefined;
  }, options);
  if (settled) return settled;
  const { object, why } = last as { object: JsonObject; why: string };
  return { object, problem: `timed out after ${options.timeoutMs / 1000} s: ${why}` };
}
