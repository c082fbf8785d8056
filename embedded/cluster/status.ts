import type { V1ContainerStatus, V1PodCondition, V1PodStatus } from "@kubernetes/client-node";

/** What a pod's status is made of. Times are ISO texts. */
export interface PodState {
  readonly ip: string;
  readonly since: string;
  readonly init: readonly V1ContainerStatus[];
  readonly containers: readonly V1ContainerStatus[];
}

/** The parts of a pod's status that a kubelet writes. `before` keeps the times of conditions that did not change. */
export function podStatus(state: PodState, before: V1PodStatus | undefined, now: Date): V1PodStatus {
  const { init, containers } = state;
  const initialized = init.every((each) => each.state?.terminated?.exitCode === 0);
  const ended = containers.every((each) => each.state?.terminated);
  const failed = [...init, ...containers].some((each) => (each.state?.terminated?.exitCode ?? 0) !== 0);
  const finalFailure = init.some((each) => (each.state?.terminated?.exitCode ?? 0) !== 0);
  const phase =
    finalFailure || (ended && failed) ? "Failed" : ended ? "Succeeded" : initialized ? "Running" : "Pending";
  const over = phase === "Succeeded" || phase === "Failed";
  const incomplete = names(init.filter((each) => each.state?.terminated?.exitCode !== 0));
  const unready = names(containers.filter((each) => !each.ready));
  const ready = initialized && unready === "" && !over;

  const condition = (type: string, holds: boolean, why: { reason: string; message?: string }): V1PodCondition => {
    const status = holds ? "True" : "False";
    const known = before?.conditions?.find((each) => each.type === type && each.status === status);
    return { type, status, lastTransitionTime: known?.lastTransitionTime ?? now, ...(holds ? {} : why) };
  };
  const notReady = over
    ? { reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${unready}]` };
  return {
    phase,
    startTime: new Date(state.since),
    hostIP: "127.0.0.1",
    hostIPs: [{ ip: "127.0.0.1" }],
    podIP: state.ip,
    podIPs: [{ ip: state.ip }],
    conditions: [
      condition("PodScheduled", true, { reason: "" }),
      condition("Initialized", initialized, {
        reason: "ContainersNotInitialized",
        message: `containers with incomplete status: [${incomplete}]`,
      }),
      condition("ContainersReady", ready, notReady),
      condition("Ready", ready, notReady),
    ],
    initContainerStatuses: init.length > 0 ? [...init] : undefined,
    containerStatuses: [...containers],
  };
}

const names = (statuses: readonly V1ContainerStatus[]): string => statuses.map(({ name }) => name).join(" ");

/** Status of a container behind which no process runs. */
export function simulated(
  container: { name: string; image?: string },
  state: "waiting" | "running" | "completed",
  since: string,
): V1ContainerStatus {
  const at = new Date(since);
  return {
    name: container.name,
    image: container.image ?? "",
    imageID: "",
    ready: state !== "waiting",
    started: state === "running",
    restartCount: 0,
    state:
      state === "waiting"
        ? { waiting: { reason: "PodInitializing" } }
        : state === "running"
          ? { running: { startedAt: at } }
          : { terminated: { exitCode: 0, reason: "Completed", startedAt: at, finishedAt: at } },
  };
}
