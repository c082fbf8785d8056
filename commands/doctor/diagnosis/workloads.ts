/** Workloads that are not there, get no pods, or have too few. */
import { plural } from "../../../contract/wording";
import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, NamespaceFacts, Part, WorkloadFacts } from "../evidence";
import { evictedTexts, recentlyEvicted } from "./ended";
import { finding, keyOf, run, say, type DiagnosisRule, type Finding, type Step } from "./finding";
import { putBack } from "./releases";
import { isFirst, places, reachedThrough, symptomsOf, warningsAbout } from "./trouble";

/** Workloads whose pods are not even made: quota, admission. */
export const refusedPods: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ part, facts }) =>
    facts.workloads.flatMap((workload) => {
      const words = refusalOf(facts, workload);
      if (words === undefined) return [];
      return finding("pods-refused", `The cluster refuses the pods of ${workload.name}`, {
        symptoms: symptomsOf(part),
        evidence: [`${workload.kind} ${workload.namespace}/${workload.name}: ${words}`],
        remedy: refusalRemedy(words, `${evidence.kubectl} -n ${workload.namespace}`, workload.namespace),
        explains: [keyOf("workload", workload), ...reachedThrough(part, workload.name)],
      });
    }),
  );

/** Why the API server did not let a workload's pods in. A Deployment says so itself; of others there is only the event. */
function refusalOf(facts: NamespaceFacts, { kind, name, wanted, ready, trouble }: WorkloadFacts): string | undefined {
  if (kind === "Deployment") return trouble;
  const pods = facts.pods.filter(({ owner }) => owner === name).length;
  // An event outlives what it tells of by an hour. A Job counts those that have succeeded, whose pods may be gone.
  if (Math.max(ready, pods) >= wanted) return undefined;
  return warningsAbout(facts, kind, name).find((warning) => warning.includes(": FailedCreate: "));
}

/** What to do about a refusal, by the words of the API server's admission plugins. */
function refusalRemedy(words: string, kubectl: string, namespace: string): Step[] {
  const quota = /(?:exceeded|failed) quota: ([a-z0-9.-]+)/.exec(words)?.[1];
  if (quota !== undefined) {
    return [
      say(
        "The namespace's quota is used up, or asks for requests and limits: raise it, or let the stack ask for less.",
      ),
      run(`${kubectl} describe resourcequota ${quota}`),
    ];
  }
  if (/(?:maximum|minimum) \S+ usage per|limit to request ratio/.test(words)) {
    return [
      say("A LimitRange of the namespace forbids what the containers ask for: change the one or the other."),
      run(`${kubectl} describe limitrange`),
    ];
  }
  if (words.includes("violates PodSecurity")) {
    return [
      say("The namespace's Pod Security level is stricter than the pods; an update puts its labels right:"),
      run(`${kubectl.replace(/ -n \S+$/, "")} get namespace ${namespace} --show-labels`),
    ];
  }
  return [
    say("Its words name the admission webhook or the account that is missing."),
    run(`${kubectl} get events --field-selector type=Warning`),
  ];
}

/** What must be there where a part is deployed; the database may be elsewhere. */
const WORKLOADS: Readonly<Record<Part, readonly { kind: WorkloadFacts["kind"]; name: string }[]>> = {
  nats: [{ kind: "StatefulSet", name: LOCATIONS.nats.service }],
  postgres: [],
  pgbouncer: [{ kind: "Deployment", name: LOCATIONS.pgbouncer.service }],
  noetl: [
    { kind: "Deployment", name: LOCATIONS.noetl.serverDeployment },
    { kind: "Deployment", name: LOCATIONS.noetl.workerDeployment },
  ],
  gateway: [{ kind: "Deployment", name: LOCATIONS.gateway.deployment }],
};

const GUARD = { kind: "Deployment", name: LOCATIONS.guard.deployment } as const;

/** Workloads without which nothing works: scaled to nothing they are off, which of the workers alone a stack may want. */
const NEEDED: readonly string[] = [
  LOCATIONS.nats.service,
  LOCATIONS.postgres.service,
  LOCATIONS.pgbouncer.service,
  LOCATIONS.noetl.serverDeployment,
  LOCATIONS.gateway.deployment,
  LOCATIONS.guard.deployment,
];
const isOff = ({ name, wanted }: WorkloadFacts, { workerReplicas }: Evidence): boolean =>
  wanted === 0 && (NEEDED.includes(name) || (name === LOCATIONS.noetl.workerDeployment && workerReplicas > 0));

/**
 * A cluster that has nothing of a stack whose updates have finished. Pulumi takes its state's word for what is there, so that
 * an update alone finds nothing to do.
 */
export const newCluster: DiagnosisRule = ({ missingOutputs, namespaces, stack, cluster, kubectl }) => {
  const all = Object.values(namespaces);
  const empty = all.every(
    (each) => each.ok && each.value.unread.length === 0 && each.value.pods.length + each.value.workloads.length === 0,
  );
  if (missingOutputs.length > 0 || all.length === 0 || !empty) return [];
  const parts = places({ namespaces } as Evidence);
  const names = parts.map(({ facts }) => facts.name);
  return [
    finding(
      "cluster-new",
      "The cluster has nothing of what the stack's state says: it was recreated, or is another one",
      {
        symptoms: parts.some(({ part }) => part === "gateway") ? ["cors"] : [],
        evidence: [`there is no pod and no workload in the namespaces ${names.join(", ")} of ${cluster}`],
        remedy: [
          say("Is this the cluster that the stack was deployed to (settings kubeconfig and kubeContext)?"),
          run(`${kubectl} get namespaces`),
          say("Where it was recreated, an update must look at what is really there:"),
          run(`pulumi up --refresh --stack ${stack}`),
        ],
        explains: parts.flatMap(({ part, facts }) =>
          WORKLOADS[part].flatMap(({ name }) => [
            keyOf("workload", { namespace: facts.name, name }),
            ...reachedThrough(part, name),
          ]),
        ),
      },
    ),
  ];
};

/** Parts that are not there at all. */
export const absent: DiagnosisRule = (evidence, explained) => {
  const found = places(evidence).flatMap(({ part, facts }) =>
    [...WORKLOADS[part], ...(part === "nats" && evidence.guarded ? [GUARD] : [])]
      .filter(({ kind, name }) => !facts.workloads.some((each) => each.kind === kind && each.name === name))
      .filter(({ kind }) => !facts.unread.some((each) => each.includes(`${kind.toLowerCase()}s`)))
      .filter(({ name }) => !explained.has(keyOf("workload", { namespace: facts.name, name })))
      .map(({ kind, name }) => ({ kind, name, namespace: facts.name, part })),
  );
  if (found.length === 0) return [];
  return [
    finding("not-deployed", `Not deployed: ${found.map(({ name }) => name).join(", ")}`, {
      symptoms: found.some(({ part }) => part === "gateway") ? ["cors"] : [],
      evidence: found.map(({ kind, namespace, name }) => `there is no ${kind} ${namespace}/${name}`),
      remedy: [
        say("The last update did not get that far, or it was deleted by hand; it comes back with:"),
        ...found.flatMap(({ part, name }) => putBack(evidence, part, name)).filter(isFirst),
      ],
      explains: found.flatMap((each) => [keyOf("workload", each), ...reachedThrough(each.part, each.name)]),
    }),
  ];
};

const lack = ({ name, ready, wanted }: WorkloadFacts): string =>
  wanted === 0 ? `${name} was scaled to nothing` : `${name} has ${ready} of ${plural(wanted, "pod")}`;

/** Workloads that lack pods although none of them is in trouble. */
const short =
  (parts: readonly Part[]): DiagnosisRule =>
  (evidence, explained) =>
    places(evidence)
      .filter(({ part }) => parts.includes(part))
      .flatMap(({ part, facts }) =>
        facts.workloads
          .filter((workload) => workload.kind !== "Job" && !explained.has(keyOf("workload", workload)))
          .filter((workload) => workload.ready < workload.wanted || isOff(workload, evidence))
          .filter((workload) => !facts.pods.some(({ owner, ready }) => owner === workload.name && !ready))
          .map((workload) => podsMissing(evidence, { part, facts }, workload)),
      );

function podsMissing(
  evidence: Evidence,
  { part, facts }: { part: Part; facts: NamespaceFacts },
  workload: WorkloadFacts,
): Finding {
  const { kind, namespace, name, wanted, ready } = workload;
  const ended = recentlyEvicted(evidence, facts).filter(({ owner }) => owner === name);
  const why =
    wanted === 0
      ? "It was scaled down by hand; the stack's number comes back with:"
      : ended.length > 0
        ? "The cluster has ended its pods; the words above say why, and the workload's events whether others are made:"
        : "No pod of it is there or broken; the controller that makes them may be behind:";
  return finding("pods-missing", lack(workload), {
    symptoms: symptomsOf(part),
    evidence: [`${kind} ${namespace}/${name}: ${ready} of ${wanted} ready`, ...evictedTexts(ended)],
    remedy: [
      say(why),
      ...(wanted === 0 ? putBack(evidence, part, name) : []),
      run(`${evidence.kubectl} -n ${namespace} describe ${kind.toLowerCase()} ${name}`),
    ],
    explains: [keyOf("workload", workload), ...(ready === 0 ? reachedThrough(part, name) : [])],
  });
}

/** Deployments whose newest template reaches no pod, because somebody has paused them. */
export const paused: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ facts }) =>
    facts.workloads
      .filter((workload) => workload.paused)
      .map(({ namespace, name, wanted, rollout }) =>
        finding(
          "rollout-paused",
          rollout
            ? `The rollout of ${name} is paused: its newest template does not reach its pods`
            : `The rollouts of ${name} are paused: the next change will not reach its pods, and the update will wait for them in vain`,
          {
            severity: rollout ? "cause" : "note",
            evidence: [
              `Deployment ${namespace}/${name}: paused, ${rollout?.updated ?? wanted} of ${plural(wanted, "pod")} of the newest template`,
            ],
            remedy: [
              say("Somebody has paused it, and it goes on with:"),
              run(`${evidence.kubectl} -n ${namespace} rollout resume deployment/${name}`),
            ],
          },
        ),
      ),
  );

/** NATS and the database: others wait for them, so they are looked at first. */
export const shortInfrastructure = short(["nats", "postgres", "pgbouncer"]);
export const shortApplications = short(["noetl", "gateway"]);
