/** Pods that their cluster has ended, or cannot end: evicted, on a node that does not answer, deleted and still there. */
import { plural } from "../../../contract/wording";
import { describePod } from "../checklist";
import type { EndingFacts, EvictedFacts, Evidence, NamespaceFacts, PodFacts } from "../evidence";
import { clock, quoted } from "../text";
import { finding, keyOf, run, say, type DiagnosisRule, type Step } from "./finding";
import { byWorkload, describe, explainsPod, named, places, reachedThrough, troubled, warningsAbout } from "./trouble";

/** How long an eviction is worth telling of: a cluster keeps such pods until there are thousands. Milliseconds. */
const TOLD_MILLISECONDS = 24 * 3_600_000;
/** Pods of one workload that a finding shows. */
const SHOWN = 3;

/** Evicted pods, and those that ended with their node: others have taken their place, so that they break nothing by themselves. */
export const evictedPods: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ facts }) => {
    const recent = recentlyEvicted(evidence, facts);
    const owners = [...new Set(recent.map(({ owner }) => owner))];
    return owners.map((owner) => {
      const own = recent.filter((each) => each.owner === owner);
      return finding(
        "evicted",
        `The cluster has ended ${plural(own.length, "pod")} of ${owner}, and lists them still`,
        {
          severity: "note",
          evidence: evictedTexts(own),
          remedy: [
            say(
              "Their workload makes others in their place. Where it happens again, the words name what its nodes are short of:",
            ),
            run(`${evidence.kubectl} describe nodes`),
          ],
        },
      );
    });
  });

/** Those whose end is worth telling of. */
export const recentlyEvicted = ({ now }: Evidence, { evicted = [] }: NamespaceFacts): EvictedFacts[] =>
  evicted.filter(({ at }) => at === undefined || now - at < TOLD_MILLISECONDS);

/** What is said of the newest of them. */
export const evictedTexts = (pods: readonly EvictedFacts[]): string[] =>
  [...pods]
    .sort((a, b) => (b.at ?? 0) - (a.at ?? 0))
    .slice(0, SHOWN)
    .map(({ why, at, ...pod }) => `pod ${named(pod)}${at === undefined ? "" : ` at ${clock(at)}`}: ${why}`);

/** Whether the kubelet's last words of a pod are that it runs, and its cluster has lost the kubelet since. */
const isOnLostNode = (pod: PodFacts, facts: NamespaceFacts): boolean =>
  !pod.ready &&
  pod.containers.every(({ init, ready }) => init || ready) &&
  warningsAbout(facts, "Pod", pod.name).some((words) => words.includes(": NodeNotReady"));

/** Pods whose node does not answer any more: neither their log nor a restart of theirs can be had. */
export const lostNodes: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter(({ pod, facts }) => isOnLostNode(pod, facts))).map((group) => {
    const [{ part, pod: first }] = group;
    return finding(
      "node-lost",
      `The node of ${first.owner} does not answer, and ${plural(group.length, "pod")} with it`,
      {
        evidence: group.flatMap(({ pod, facts }) => [
          `pod ${named(pod)} on node ${pod.node ?? "?"}: ${describePod(pod)}, and not ready`,
          ...warningsAbout(facts, "Pod", pod.name).filter((words) => words.includes(": NodeNotReady")),
        ]),
        remedy: [
          say("Look at the node: whether its machine runs, and its kubelet reaches the cluster:"),
          ...nodesOf(
            evidence,
            group.map(({ pod }) => pod.node),
          ),
          say(
            "After five minutes Kubernetes makes the pods of a Deployment again on other nodes. A pod of a StatefulSet keeps its place until the node is " +
              "back, or is known to be off:",
          ),
          ...ended(
            evidence,
            group.map(({ pod }) => pod),
          ),
        ],
        explains: group.flatMap(({ pod }) => explainsPod(pod, part)),
      },
    );
  });

/** Deleted pods that do not end. A StatefulSet makes no other before they have. */
export const endingPods: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ part, facts }) =>
    (facts.ending ?? []).map((pod) => {
      const set = facts.workloads.find(({ kind, name }) => kind === "StatefulSet" && name === pod.owner);
      const lacks = set !== undefined && set.ready < set.wanted;
      return finding(
        "pod-ending",
        `Pod ${named(pod)} was deleted and does not end${lacks ? ": no other takes its place before" : ""}`,
        {
          severity: lacks ? "cause" : "note",
          evidence: [endingText(pod), ...warningsAbout(facts, "Pod", pod.name).slice(0, 2)],
          remedy: endingRemedy(evidence, pod),
          explains: lacks
            ? [
                keyOf("workload", { namespace: pod.namespace, name: pod.owner }),
                ...(set.ready === 0 ? reachedThrough(part, pod.owner) : []),
              ]
            : [],
        },
      );
    }),
  );

const endingText = ({ overdueSeconds, node, finalizers, ...pod }: EndingFacts): string =>
  `pod ${named(pod)} was to be gone ${Math.round(overdueSeconds)} s ago; node ${node ?? "none"}` +
  (finalizers.length > 0 ? `, finalizers ${finalizers.join(", ")}` : "");

function endingRemedy(evidence: Evidence, pod: EndingFacts): Step[] {
  if (pod.finalizers.length > 0) {
    return [
      say("Whoever has set the finalizer lets it go, or takes it away where that program is not there any more:"),
      run(`${evidence.kubectl} -n ${pod.namespace} get pod ${pod.name} -o yaml`),
    ];
  }
  return [
    say("Its node does not say that it has ended; does the node answer?"),
    ...nodesOf(evidence, [pod.node]),
    describe(evidence, pod),
    ...ended(evidence, [pod]),
  ];
}

const nodesOf = ({ kubectl }: Evidence, nodes: readonly (string | undefined)[]): Step[] => {
  const known = [...new Set(nodes.filter((node) => node !== undefined))];
  return known.length === 0
    ? [run(`${kubectl} get nodes`)]
    : known.map((node) => run(`${kubectl} describe nodes ${quoted(node)}`));
};

const ended = (
  { kubectl }: Evidence,
  pods: readonly { readonly namespace: string; readonly name: string }[],
): Step[] => [
  say(
    "Only where that machine is off, since what still runs there goes on and writes to the same volume: end it by force, and another is made:",
  ),
  ...pods.map(({ namespace, name }) => run(`${kubectl} -n ${namespace} delete pod ${name} --force --grace-period=0`)),
];
