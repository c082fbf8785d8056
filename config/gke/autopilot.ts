/**
 * What Autopilot makes of a pod's resources, worked out beforehand: the values that are deployed are those that run, so
 * nothing is mutated behind the engine's back and a preview shows what will be billed.
 *
 * Source: GKE's "Resource requests in Autopilot": least 50m CPU and 52Mi a pod where pods may burst (clusters created
 * with 1.30.2 or newer), else steps of 250m with limits equal to requests; memory between 1 and 6.5 GiB a vCPU, the
 * smaller side raised; at most 30 vCPU and 110 GiB for the general-purpose class; 500m and 2Gi for a container without
 * requests.
 */

/** CPU in thousandths of a vCPU, memory in MiB. */
export interface Size {
  readonly cpu: number;
  readonly memory: number;
}

export interface Container {
  readonly name: string;
  readonly request: Size;
  readonly limit: Size;
}

/** A workload; what the pod as a whole lacks is given to its first container. */
export interface Pod {
  readonly name: string;
  readonly replicas: number;
  readonly containers: readonly [Container, ...Container[]];
}

const GIBIBYTE = 1024;
const MAX_CPU = 30_000;
const MAX_MEMORY = 110 * GIBIBYTE;
const MAX_GIB_PER_CPU = 6.5;

const roundUp = (value: number, step: number) => Math.ceil(value / step) * step;

/** First version whose new Autopilot clusters let pods burst above their requests. */
const BURSTING = [1, 30, 2] as const;

/** Whether pods of a cluster with this control plane version (`1.31.4-gke.1256000`) may burst; an unreadable one may not. */
export function mayBurst(version: string): boolean {
  const parts = version.split(/[.-]/).slice(0, 3).map(Number);
  for (const [index, wanted] of BURSTING.entries()) {
    const found = parts[index];
    if (found === undefined || Number.isNaN(found)) return false;
    if (found !== wanted) return found > wanted;
  }
  return true;
}

export const totalOf = (containers: readonly Container[]): Size => ({
  cpu: containers.reduce((sum, each) => sum + each.request.cpu, 0),
  memory: containers.reduce((sum, each) => sum + each.request.memory, 0),
});

/** Raises a pod's requests to what Autopilot accepts without changing them. Without bursting limits equal requests. */
export function fitPod(pod: Pod, bursting: boolean): Pod {
  const containers = bursting
    ? pod.containers
    : (pod.containers.map((each) => ({ ...each, request: each.limit })) as unknown as Pod["containers"]);
  const total = totalOf(containers);
  const step = bursting ? 10 : 250;
  const cpu = roundUp(
    Math.max(total.cpu, bursting ? 50 : 250, (total.memory / GIBIBYTE / MAX_GIB_PER_CPU) * 1000),
    step,
  );
  const memory = Math.ceil(Math.max(total.memory, bursting ? 52 : 512, (cpu / 1000) * GIBIBYTE));
  const [main, ...others] = containers;
  const request = {
    cpu: main.request.cpu + cpu - total.cpu,
    memory: main.request.memory + memory - total.memory,
  };
  const limit = { cpu: Math.max(main.limit.cpu, request.cpu), memory: Math.max(main.limit.memory, request.memory) };
  const raised = { ...main, request, limit: bursting ? limit : request };
  return {
    ...pod,
    containers: [raised, ...others.map((each) => (bursting ? each : { ...each, limit: each.request }))],
  };
}

/** Why Autopilot would not run a pod (already fitted), or undefined. */
export function podProblem(pod: Pod): string | undefined {
  const { cpu, memory } = totalOf(pod.containers);
  if (cpu <= MAX_CPU && memory <= MAX_MEMORY) return undefined;
  return (
    `a pod of ${pod.name} would need ${cpu / 1000} vCPU and ${Math.ceil(memory / GIBIBYTE)} GiB, ` +
    `and Autopilot takes at most ${MAX_CPU / 1000} vCPU and ${MAX_MEMORY / GIBIBYTE} GiB`
  );
}

/** vCPU that all pods request together. */
export function cpuOf(pods: readonly Pod[]): number {
  return pods.reduce((sum, pod) => sum + totalOf(pod.containers).cpu * pod.replicas, 0) / 1000;
}

const text = (size: Size) => ({ cpu: `${size.cpu}m`, memory: `${size.memory}Mi` });

/** A container's resources as Kubernetes wants them. */
export const resourcesOf = (container: Container) => ({
  requests: text(container.request),
  limits: text(container.limit),
});
