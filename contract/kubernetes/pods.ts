/** What the pods of NATS and NoETL tell about a stream that is gone: who restarted, and whether somebody will make it again. */
import { sentenceCase } from "../wording";
import { clusterAccess } from "./api";
import { listObjects, type Pod, readPreviousLog } from "./objects";
import { within, type Deadline } from "../deadline";
import { ConnectError } from "../errors";
import { isServersConnection, type ContractInputs } from "../inputs";
import { list } from "../rules/rule";
import type { PodFacts, Pods } from "./pod-facts";

/** Pods of a Deployment carry its name, and two more parts. */
const ofDeployment = (name: string, deployment: string): boolean =>
  new RegExp(`^${deployment}-[a-z0-9]+-[a-z0-9]+$`).test(name);

/** Whether a pod runs, or is to: one that was evicted, or went with its node, is only still listed. */
export const isAlive = ({ status }: Pick<Pod, "status">): boolean =>
  !["Succeeded", "Failed"].includes(status?.phase ?? "");

export function podFacts(pod: Pod): PodFacts {
  const statuses = pod.status?.containerStatuses ?? [];
  // Beside the server of NATS stands what reloads its configuration.
  const first = statuses.find(({ name }) => name === "nats") ?? statuses[0];
  const started = first?.state?.running?.startedAt;
  const terminated = first?.state?.terminated ?? first?.lastState?.terminated;
  const isReady = (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
  return {
    name: pod.metadata?.name ?? "",
    ready: isReady && pod.metadata?.deletionTimestamp === undefined,
    started,
    container: first ? first.name : undefined,
    restarts: first?.restartCount ?? 0,
    ended: terminated ? endOf(terminated) : undefined,
  };
}

function endOf({ reason, exitCode }: { reason?: string; exitCode: number }): string {
  return reason !== undefined && reason !== "Error" ? reason : `exit code ${exitCode}`;
}

/** Asks for the pods; undefined where the contract is not asked through a cluster, or the login may not list them. */
export async function podsOf(inputs: ContractInputs, deadline: Deadline): Promise<Pods | undefined> {
  const { connection, noetl } = inputs;
  if (isServersConnection(connection)) return undefined;
  try {
    const access = await clusterAccess(connection);
    const list = (namespace: string) =>
      within(deadline.step(), `the Kubernetes API to list the pods of namespace ${namespace}`, (signal) =>
        listObjects(access, { kind: "pods", namespace }, signal),
      );
    const [nats, workers] = await Promise.all([list(connection.namespace), list(noetl.namespace)]);
    const deployments = [noetl.serverDeployment, noetl.workerDeployment];
    const { service, pod } = connection;
    const sorted = (pods: readonly Pod[], mine: (name: string) => boolean): PodFacts[] =>
      pods
        .filter(isAlive)
        .map(podFacts)
        .filter(({ name }) => mine(name))
        .sort((a, b) => a.name.localeCompare(b.name));
    return {
      // The chart's StatefulSet has the name of its Service.
      nats: sorted(nats.items, (name) => name === pod || new RegExp(`^${service}-\\d+$`).test(name)),
      noetl: sorted(workers.items, (name) => deployments.some((deployment) => ofDeployment(name, deployment))),
      now: workers.now,
    };
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}

/** The last lines of NoETL's container before it ended; undefined where they cannot be had. */
export async function previousLog(
  inputs: ContractInputs,
  { pod, container }: { readonly pod: string; readonly container: string },
  deadline: Deadline,
): Promise<string | undefined> {
  const { connection, noetl } = inputs;
  if (isServersConnection(connection)) return undefined;
  try {
    const access = await clusterAccess(connection);
    return await within(deadline.step(), `the Kubernetes API to give the log of pod ${pod}`, (signal) =>
      readPreviousLog(access, { namespace: noetl.namespace, name: pod, container }, signal),
    );
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}

/** NoETL makes its stream within seconds of its start; a ready pod that is older has done so or will not. */
const START_MILLISECONDS = 30_000;

/**
 * How long it makes sense to wait for what a starting NoETL makes, in milliseconds: without end while a pod is not ready, and
 * not at all where all have run for a while.
 */
export function startsFor({ noetl, now }: Pods): number {
  const left = ({ ready, started }: PodFacts): number =>
    ready && started !== undefined ? START_MILLISECONDS - (now - Date.parse(started)) : Infinity;
  return Math.max(0, ...noetl.map(left));
}

/** What is known around a loss. */
interface AroundLoss {
  /** When the stream was created that an earlier check found. */
  readonly seen: string | undefined;
  readonly pods: Pods;
  /** Within how many seconds workers that run add a consumer that is gone; undefined where they do not. */
  readonly within?: number | undefined;
}

/** Whether the stream itself is there. */
export const isConsumersAlone = (lost: readonly string[]): boolean =>
  lost.every((each) => each.startsWith("consumer "));

/**
 * What is known of a loss, and why waiting does not bring back what is lost.
 *
 * @param lost What is missing, `stream NOETL_COMMANDS`; at least one.
 */
export function lossWords(lost: readonly string[], { seen, pods, within }: AroundLoss): string {
  const [are, were, it] = lost.length === 1 ? ["is", "was", "it"] : ["are", "were", "them"];
  const missing = sentenceCase(list(lost));
  const restarted = pods.nats.filter(
    ({ started }) => seen !== undefined && started !== undefined && Date.parse(started) > Date.parse(seen),
  );
  const words = [
    seen === undefined
      ? `${missing} ${are} gone.`
      : `${missing} ${are} gone, which ${were} there at the last check (stream created ${seen}).`,
    ...restarted.map(
      ({ name, started, restarts, ended }) =>
        `NATS pod ${name} started at ${started}` +
        (restarts > 0 ? ` (restart ${restarts}${ended ? `, after ${ended}` : ""})` : "") +
        ", and what is kept in memory ends with the server.",
    ),
  ];
  const [oldest] = pods.noetl.flatMap(({ started }) => started ?? []).sort();
  words.push(
    pods.noetl.length === 0
      ? `No pod of NoETL is there to make ${it}.`
      : within !== undefined && isConsumersAlone(lost)
        ? `NoETL's workers, of which the oldest pod has run since ${oldest ?? "an unknown time"}, have not added ${it} within ` +
          `${within} s, as they do since release 2.100.3: restart them.`
        : `NoETL makes stream and consumer only when it starts, and its pods have run since ${oldest ?? "an unknown time"}: ` +
          `nothing brings ${it} back but a restart of these pods.`,
  );
  return words.join(" ");
}
