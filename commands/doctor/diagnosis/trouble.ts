/** Where trouble is looked for, and what a finding about a pod or workload says and explains. */
import { LOCATIONS } from "../../../contract/facts";
import { plural } from "../../../contract/wording";
import type { Evidence, LogLine, NamespaceFacts, Part, PodFacts } from "../evidence";
import { clock } from "../text";
import { keyOf, run, type Explained, type Finding, type Step } from "./finding";
import { crashes, type LogMeaning } from "./logs";

/** Lines of a log that a finding shows. */
const LOG_LINES = 5;

export interface Place {
  readonly part: Part;
  readonly facts: NamespaceFacts;
}

export const places = ({ namespaces }: Evidence): Place[] =>
  (Object.entries(namespaces) as [Part, Evidence["namespaces"][Part]][]).flatMap(([part, found]) =>
    found?.ok ? [{ part, facts: found.value }] : [],
  );

export const named = (pod: Pick<PodFacts, "namespace" | "name">): string => `${pod.namespace}/${pod.name}`;

/** NoETL's pods of one workload. */
export const podsOf = ({ namespaces: { noetl } }: Evidence, owner: string): readonly PodFacts[] =>
  noetl?.ok ? noetl.value.pods.filter((pod) => pod.owner === owner) : [];

/**
 * The consumers that the pods of a Deployment fetch from: the contract's, or another that NATS_CONSUMER of their own
 * environment names.
 */
export function consumersOf({ environment, consumers, consumerSetting }: Evidence, owner: string): readonly string[] {
  const found = environment[owner];
  const named = found?.ok ? found.value.find(({ name }) => name === "NATS_CONSUMER")?.value : undefined;
  return named === undefined || named === consumerSetting ? consumers : [named];
}

/** Key by which words of a meaning are known as explained, whoever says them. */
export const keyOfWords = (meaning: LogMeaning): string => `words ${meaning}`;

/** A line of a pod's log as evidence; pods that say the same are shown together. */
export function quoteOf(pod: PodFacts, { text, at }: LogLine, others: readonly PodFacts[] = []): string {
  const saying = [pod, ...others];
  const restarts = Math.max(0, ...saying.flatMap(({ containers }) => containers.map((each) => each.restarts)));
  const state = saying.every(({ ready }) => ready)
    ? ""
    : restarts > 0
      ? `, restarted ${plural(restarts, "time")}`
      : ", not ready";
  const and = others.length > 0 ? ` and ${plural(others.length, "other")}` : "";
  return `${pod.name}${and}${at === undefined ? "" : ` at ${clock(at)}`}${state}: ${text.trim()}`;
}

/** Lines of pods as evidence, pods that say the same shown together. */
export function grouped(lines: readonly { readonly pod: PodFacts; readonly line: LogLine }[]): string[] {
  const groups = new Map<string, { readonly line: LogLine; readonly pods: PodFacts[] }>();
  for (const { pod, line } of lines) {
    const group = groups.get(line.text);
    if (group) group.pods.push(pod);
    else groups.set(line.text, { line, pods: [pod] });
  }
  return [...groups.values()].flatMap(({ line, pods: [first, ...others] }) =>
    first ? quoteOf(first, line, others) : [],
  );
}

/** What a finding about a pod explains: the pod, its workload, and NATS itself where it is NATS's. */
export const explainsPod = (pod: PodFacts, part: Part): string[] => [
  keyOf("pod", pod),
  keyOf("workload", { namespace: pod.namespace, name: pod.owner }),
  ...reachedThrough(part, pod.owner),
];

/** The parts that others reach through this workload, and that are explained together with it. */
export const reachedThrough = (part: Part, workload: string): string[] => {
  const names: Readonly<Record<Part, readonly [workload: string, reached: Part] | undefined>> = {
    nats: [LOCATIONS.nats.service, "nats"],
    postgres: [LOCATIONS.postgres.service, "postgres"],
    // In its place stands the database.
    pgbouncer: [LOCATIONS.pgbouncer.service, "postgres"],
    gateway: [LOCATIONS.gateway.deployment, "gateway"],
    noetl: undefined,
  };
  const [name, reached] = names[part] ?? [];
  return name === workload && reached ? [reached] : [];
};

/** What a browser sees while the gateway has no pod: whatever stands in front of it answers in its place. */
export const symptomsOf = (part: Part): Finding["symptoms"] => (part === "gateway" ? ["cors"] : []);

export const describe = ({ kubectl }: Evidence, pod: Pick<PodFacts, "namespace" | "name">): Step =>
  run(`${kubectl} -n ${pod.namespace} describe pod ${pod.name}`);

/** Whether a pod has ended and nobody waits for it: of a Job that has come to its end, by this attempt or by another. */
export const isOver = ({ phase, owner }: PodFacts, { workloads }: NamespaceFacts): boolean =>
  phase === "Succeeded" ||
  (phase === "Failed" && workloads.some((job) => job.kind === "Job" && job.name === owner && job.ready >= job.wanted));

/** Pods that are not as they should be, or crash again and again, and that nothing has explained yet. */
export function troubled(
  evidence: Evidence,
  explained: Explained,
): { part: Part; facts: NamespaceFacts; pod: PodFacts }[] {
  return places(evidence).flatMap(({ part, facts }) =>
    facts.pods
      .filter((pod) => (!pod.ready || crashes(pod, evidence.now)) && !isOver(pod, facts))
      .filter((pod) => !explained.has(keyOf("pod", pod)))
      .map((pod) => ({ part, facts, pod })),
  );
}

/** The same trouble of several pods of one workload is one finding. */
export function byWorkload<T extends { pod: PodFacts }>(found: readonly T[]): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const each of found) {
    const key = `${each.pod.namespace}/${each.pod.owner}`;
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  return [...groups.values()];
}

/**
 * Warnings about an object, as the cluster's controllers give them. Of a pod that is asked to stop, whose hook fails, they say
 * nothing about why it does not run.
 */
export const warningsAbout = ({ warnings }: NamespaceFacts, kind: string, name: string): string[] =>
  warnings.filter((warning) => warning.startsWith(`${kind}/${name}: `) && !warning.includes(": FailedPreStopHook"));

/** The last lines that a pod's containers wrote. */
export function lastWords(pod: PodFacts, lines = LOG_LINES): string[] {
  const container =
    pod.containers.find(({ ready, log, ended }) => !ready && (log.length > 0 || ended?.message)) ?? pod.containers[0];
  if (!container) return [];
  const { log, lastRun = [], ended } = container;
  const logged = lastRun.length > 0 && !container.ready ? lastRun : log;
  const words = logged.length > 0 ? logged.map(({ text }) => text) : (ended?.message ?? "").split("\n");
  return words.filter((line) => line.trim() !== "").slice(-lines);
}

/** Leaves out steps that are there already. */
export const isFirst = (step: Step, index: number, all: readonly Step[]): boolean =>
  all.findIndex((each) => JSON.stringify(each) === JSON.stringify(step)) === index;
