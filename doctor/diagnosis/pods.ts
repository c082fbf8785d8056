import { PLACES } from "../../contract/noetl";
import { many } from "../../config/wording";
import { describePod } from "../checklist";
import type { ContainerFacts, Evidence, NamespaceFacts, Part, PodFacts, WorkloadFacts } from "../evidence";
import { putBack, refreshAndUpdate } from "./releases";
import { finding, keyOf, run, say, type DiagnosisRule, type Explained, type Finding, type Step } from "./finding";

/** Setting of the image that a part's pods run; NATS's comes from its chart. */
const IMAGE_SETTING: Readonly<Record<Part, string | undefined>> = {
  nats: undefined,
  postgres: "postgresImage (of the schema's Job: noetlImage)",
  pgbouncer: "pgbouncerImage, or cloudSqlProxyImage of the proxy beside it",
  noetl: "noetlImage",
  gateway: "gatewayImage",
};

const IMAGE_REASONS = [
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
];
const CONFIG_REASONS = ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"];
/** A pod that is younger than this may simply still be starting. Seconds. */
const YOUNG_SECONDS = 60;
/** Lines of a log that a finding shows. */
const LOG_LINES = 5;

interface Place {
  readonly part: Part;
  readonly facts: NamespaceFacts;
}

const places = ({ namespaces }: Evidence): Place[] =>
  (Object.entries(namespaces) as [Part, Evidence["namespaces"][Part]][]).flatMap(([part, found]) =>
    found?.ok ? [{ part, facts: found.value }] : [],
  );

const named = (pod: PodFacts): string => `${pod.namespace}/${pod.name}`;

/** What a finding about a pod explains: the pod, its workload, and NATS itself where it is NATS's. */
export const explainsPod = (pod: PodFacts, part: Part): string[] => [
  keyOf("pod", pod),
  keyOf("workload", { namespace: pod.namespace, name: pod.owner }),
  ...reachedThrough(part, pod.owner),
];

/** The parts that others reach through this workload, and that are explained together with it. */
const reachedThrough = (part: Part, workload: string): string[] => {
  const names: Readonly<Record<Part, readonly [workload: string, reached: Part] | undefined>> = {
    nats: [PLACES.nats.service, "nats"],
    postgres: [PLACES.postgres.service, "postgres"],
    // In its place stands the database.
    pgbouncer: [PLACES.pgbouncer.service, "postgres"],
    gateway: [PLACES.gateway.deployment, "gateway"],
    noetl: undefined,
  };
  const [name, reached] = names[part] ?? [];
  return name === workload && reached ? [reached] : [];
};

/** What a browser sees while the gateway has no pod: whatever stands in front of it answers in its place. */
const symptomsOf = (part: Part): Finding["symptoms"] => (part === "gateway" ? ["cors"] : []);

const describe = ({ kubectl }: Evidence, pod: PodFacts): Step =>
  run(`${kubectl} -n ${pod.namespace} describe pod ${pod.name}`);

/** Pods that are not as they should be and that nothing has explained yet. */
function troubled(evidence: Evidence, explained: Explained): { part: Part; facts: NamespaceFacts; pod: PodFacts }[] {
  return places(evidence).flatMap(({ part, facts }) =>
    facts.pods
      .filter((pod) => !pod.ready && pod.phase !== "Succeeded" && !explained.has(keyOf("pod", pod)))
      .map((pod) => ({ part, facts, pod })),
  );
}

/** The same trouble of several pods of one workload is one finding. */
function byWorkload<T extends { pod: PodFacts }>(found: readonly T[]): T[][] {
  const groups = new Map<string, T[]>();
  for (const each of found) {
    const key = `${each.pod.namespace}/${each.pod.owner}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()];
}

/** Warnings about an object, as the cluster's controllers give them. */
const warningsAbout = ({ warnings }: NamespaceFacts, kind: string, name: string): string[] =>
  warnings.filter((warning) => warning.startsWith(`${kind}/${name}: `));

/** Volumes that nobody provides. */
export const claims: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ part, facts }) =>
    facts.claims
      .filter(({ phase }) => phase !== "Bound")
      .flatMap((claim) => {
        const warnings = warningsAbout(facts, "PersistentVolumeClaim", claim.name);
        const waiting = facts.pods.filter(({ unscheduled }) => /PersistentVolumeClaim/i.test(unscheduled ?? ""));
        // A claim that waits for its first pod is in order.
        if (warnings.length === 0 && waiting.length === 0 && claim.phase !== "Lost") return [];
        const setting = part === "nats" ? "natsStorageClass" : "postgresStorageClass";
        return finding("claim-pending", `No volume is provided for ${claim.namespace}/${claim.name}`, {
          evidence: [
            `claim ${claim.name}: ${claim.phase}, ${claim.size ?? "no size"}, ` +
              `StorageClass ${claim.storageClass ?? "none (the cluster has no default)"}`,
            ...warnings,
            ...waiting.map((pod) => `pod ${named(pod)}: ${pod.unscheduled}`),
          ],
          remedy: [
            say("Name a StorageClass that exists, or make one the cluster's default:"),
            run(`${evidence.kubectl} get storageclass`),
            run(`pulumi config set ${setting} NAME --stack ${evidence.stack}`),
            say("A claim is never changed: delete it, and the StatefulSet that made it, before the update."),
          ],
          explains: [keyOf("claim", claim), ...waiting.flatMap((pod) => explainsPod(pod, part))],
        });
      }),
  );

/** Pods that no node takes. */
export const unscheduled: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter(({ pod }) => pod.unscheduled !== undefined)).map((group) =>
    finding("unscheduled", `No node takes ${many(group.length, "pod")} of ${group[0]?.pod.owner}`, {
      symptoms: symptomsOf(group[0]?.part ?? "nats"),
      evidence: group.map(({ pod }) => `pod ${named(pod)}: ${pod.unscheduled}`),
      remedy: [
        say("The scheduler's words name what is missing: more nodes, less requested, or a taint or zone allowed."),
        run(`${evidence.kubectl} describe nodes`),
      ],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    }),
  );

const waitingFor = (pod: PodFacts, reasons: readonly string[]): ContainerFacts | undefined =>
  pod.containers.find(({ waiting }) => waiting !== undefined && reasons.includes(waiting.reason));

/** Images that cannot be pulled. */
export const images: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter(({ pod }) => waitingFor(pod, IMAGE_REASONS) !== undefined)).map(
    (group) => {
      const [first] = group;
      const container = first && waitingFor(first.pod, IMAGE_REASONS);
      const setting = first && IMAGE_SETTING[first.part];
      return finding("image", `The image of ${first?.pod.owner} cannot be pulled: ${container?.image}`, {
        symptoms: symptomsOf(first?.part ?? "nats"),
        evidence: group.flatMap(({ pod, facts }) => {
          const each = waitingFor(pod, IMAGE_REASONS);
          return [
            `pod ${named(pod)}, container ${each?.name}: ${each?.waiting?.reason} ${each?.waiting?.message}`.trim(),
            ...warningsAbout(facts, "Pod", pod.name).slice(0, 1),
          ];
        }),
        remedy: [
          say(
            setting === undefined
              ? "Look at the registry and at the node's way to it; the image comes from the NATS chart."
              : `Name an image that exists and that the cluster may pull; setting: ${setting}.`,
          ),
          ...(setting === undefined || !first
            ? []
            : [say("An image that exists only here goes to kind with: npm run kind:load -- IMAGE")]),
          ...(first ? [describe(evidence, first.pod)] : []),
        ],
        explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
      });
    },
  );

/** Leaves out steps that are there already. */
const isFirst = (step: Step, index: number, all: readonly Step[]): boolean =>
  all.findIndex((each) => JSON.stringify(each) === JSON.stringify(step)) === index;

/** Containers that cannot be made: a Secret, ConfigMap or key that does not exist. */
export const containerConfig: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter(({ pod }) => waitingFor(pod, CONFIG_REASONS) !== undefined)).map(
    (group) =>
      finding("container-config", `The containers of ${group[0]?.pod.owner} cannot be made`, {
        symptoms: symptomsOf(group[0]?.part ?? "nats"),
        evidence: group.map(({ pod }) => {
          const each = waitingFor(pod, CONFIG_REASONS);
          return `pod ${named(pod)}, container ${each?.name}: ${each?.waiting?.reason} ${each?.waiting?.message}`;
        }),
        remedy: [
          say("What the message names was deleted by hand, or never made; it comes back with:"),
          // The Secret with NATS's password is the program's own, its ConfigMap the chart's.
          ...(group[0]?.part === "nats" ? refreshAndUpdate(evidence) : []),
          ...putBack(evidence, group[0]?.part ?? "noetl"),
        ].filter(isFirst),
        explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
      }),
  );

/** Whether a part's pods come from a chart; the others are the program's own resources. */
const isOfChart = (part: Part | undefined): boolean => part !== "postgres" && part !== "pgbouncer";

/** Containers that the kernel ended because they needed more memory than they may have. */
export const memory: DiagnosisRule = (evidence, explained) =>
  byWorkload(
    places(evidence).flatMap(({ part, facts }) =>
      facts.pods
        .filter((pod) => !explained.has(keyOf("pod", pod)))
        .filter((pod) => pod.containers.some(({ ended }) => ended?.reason === "OOMKilled"))
        .map((pod) => ({ part, facts, pod })),
    ),
  ).map((group) =>
    finding("memory", `${group[0]?.pod.owner} needs more memory than its limit`, {
      severity: group.some(({ pod }) => !pod.ready) ? "cause" : "note",
      symptoms: group.some(({ pod }) => !pod.ready) ? symptomsOf(group[0]?.part ?? "nats") : [],
      evidence: group.map(({ pod }) => {
        const each = pod.containers.find(({ ended }) => ended?.reason === "OOMKilled");
        return `pod ${named(pod)}, container ${each?.name}: OOMKilled, ${many(each?.restarts ?? 0, "restart")}`;
      }),
      remedy: [
        say(
          group[0]?.part === "nats"
            ? "Raise the server's limit, or shrink the memory store (natsJetstreamMemSize):"
            : isOfChart(group[0]?.part)
              ? "Raise the container's memory limit in the chart's values."
              : "No setting raises it: the program passes the limit to the component (argument resources).",
        ),
        ...(group[0]?.part === "nats" ? [run(`pulumi config set natsMemoryLimit 3Gi --stack ${evidence.stack}`)] : []),
      ],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    }),
  );

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

/** The Job that loads NoETL's schema. */
export const schemaJob: DiagnosisRule = (evidence, explained) =>
  places(evidence)
    .filter(({ part }) => part === "postgres")
    .flatMap(({ facts }) =>
      facts.workloads
        .filter(({ kind, trouble, ready }) => kind === "Job" && trouble !== undefined && ready === 0)
        .filter((job) => !explained.has(keyOf("workload", job)))
        .map((job) => {
          const pods = facts.pods.filter(({ owner }) => owner === job.name);
          const [log = []] = pods.map(lastWords).filter((lines) => lines.length > 0);
          return finding("schema-job", "Loading NoETL's schema into Postgres failed", {
            evidence: [`Job ${job.namespace}/${job.name}: ${job.trouble}`, ...log],
            remedy: [
              say(schemaAdvice(log.join("\n"))),
              say("The next update runs the Job again:"),
              run(`pulumi up --stack ${evidence.stack}`),
            ],
            explains: [keyOf("workload", job), ...pods.map((pod) => keyOf("pod", pod)), "postgres"],
          });
        }),
    );

function schemaAdvice(log: string): string {
  if (/authentication failed/i.test(log)) {
    return "Postgres does not accept the administrator's password: set postgresPassword to the one it was given.";
  }
  if (/cannot connect|refused|timeout|name or service/i.test(log)) {
    return "Postgres does not answer: see its own pod, or postgresHost and postgresPort.";
  }
  if (/permission denied|must be owner/i.test(log)) {
    return "The administrator (postgresUser) may not create roles, databases or schemas: grant it that.";
  }
  return "Its last words say what Postgres objected to.";
}

/** The last lines that a pod's containers wrote. */
export function lastWords(pod: PodFacts, lines = LOG_LINES): string[] {
  const container =
    pod.containers.find(({ ready, log, ended }) => !ready && (log.length > 0 || ended?.message)) ?? pod.containers[0];
  if (!container) return [];
  const words = container.log.length > 0 ? container.log : (container.ended?.message ?? "").split("\n");
  return words.filter((line) => line.trim() !== "").slice(-lines);
}

/** What nats-server says of a configuration that it does not start with (its package `conf`, and its own checks). */
const CONFIG_REFUSED = /parse error on line|nats\.conf:\d+|unknown field|variable reference for/i;

/** A nats-server that refuses its configuration. */
export const natsConfig: DiagnosisRule = (evidence, explained) =>
  byWorkload(
    troubled(evidence, explained).filter(
      ({ part, pod }) => part === "nats" && lastWords(pod).some((line) => CONFIG_REFUSED.test(line)),
    ),
  ).flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    return finding("nats-config", `${first.pod.owner} does not start with its configuration`, {
      evidence: [...group.map(({ pod }) => `pod ${named(pod)}: ${describePod(pod)}`), ...lastWords(first.pod)],
      remedy: [
        say("Changed by hand, it comes back with the next command; then the pods that wait need a start:"),
        ...putBack(evidence, "nats"),
        ...group.map(({ pod }) => run(`${evidence.kubectl} -n ${pod.namespace} delete pod ${pod.name}`)),
        say("Where a setting of the stack makes it wrong (a password that is a number, say), correct that and update:"),
        run(`pulumi up --stack ${evidence.stack}`),
      ],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    });
  });

/** Pods that crash or do not become ready and that nothing before explains: their own last words. */
const otherPods =
  (parts: readonly Part[], ofInterest: (pod: PodFacts) => boolean = () => true): DiagnosisRule =>
  (evidence, explained) =>
    byWorkload(
      troubled(evidence, explained).filter(({ part, pod }) => parts.includes(part) && ofInterest(pod)),
    ).flatMap((group) => {
      const [first] = group;
      if (!first) return [];
      const crashes = group.some(({ pod }) => pod.containers.some(({ waiting, ended }) => ended && waiting));
      const young = group.every(({ pod }) => pod.ageSeconds < YOUNG_SECONDS);
      if (!crashes && young) {
        return finding("starting", `${first.pod.owner} is still starting`, {
          severity: "note",
          evidence: group.map(
            ({ pod }) => `pod ${named(pod)}, ${Math.round(pod.ageSeconds)} s old: ${describePod(pod)}`,
          ),
          remedy: [say("Look again in a minute.")],
          explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
        });
      }
      return finding(
        crashes ? "crash-loop" : "not-ready",
        `${first.pod.owner} ${crashes ? "crashes when it starts" : "does not become ready"}`,
        {
          symptoms: symptomsOf(first.part),
          evidence: [
            ...group.map(({ pod }) => `pod ${named(pod)}: ${describePod(pod)}`),
            ...lastWords(first.pod),
            ...warningsAbout(first.facts, "Pod", first.pod.name).slice(0, 2),
          ],
          remedy: [
            say("Its log says why:"),
            run(
              `${evidence.kubectl} -n ${first.pod.namespace} logs ${first.pod.name} --all-containers${crashes ? " --previous" : ""}`,
            ),
            describe(evidence, first.pod),
          ],
          explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
        },
      );
    });

/** NATS and the database: others wait for them, so they are looked at first. */
export const infrastructurePods = otherPods(["nats", "postgres", "pgbouncer"]);
/** Workers and gateway wait for the server in turn. */
export const serverPods = otherPods(["noetl"], ({ owner }) => owner === PLACES.noetl.serverDeployment);
export const applicationPods = otherPods(["noetl", "gateway"]);

/** What must be there where a part is deployed; the database may be elsewhere. */
const WORKLOADS: Readonly<Record<Part, readonly { kind: WorkloadFacts["kind"]; name: string }[]>> = {
  nats: [{ kind: "StatefulSet", name: PLACES.nats.service }],
  postgres: [],
  pgbouncer: [{ kind: "Deployment", name: PLACES.pgbouncer.service }],
  noetl: [
    { kind: "Deployment", name: PLACES.noetl.serverDeployment },
    { kind: "Deployment", name: PLACES.noetl.workerDeployment },
  ],
  gateway: [{ kind: "Deployment", name: PLACES.gateway.deployment }],
};

/** Workloads without which nothing works: scaled to nothing they are off, which of the workers alone may be meant. */
const NEEDED: readonly string[] = [
  PLACES.nats.service,
  PLACES.postgres.service,
  PLACES.pgbouncer.service,
  PLACES.noetl.serverDeployment,
  PLACES.gateway.deployment,
];
const isOff = ({ name, wanted }: WorkloadFacts): boolean => wanted === 0 && NEEDED.includes(name);

/** Parts that are not there at all. */
export const absent: DiagnosisRule = (evidence, explained) => {
  const found = places(evidence).flatMap(({ part, facts }) =>
    WORKLOADS[part]
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
        ...[...new Set(found.map(({ part }) => part))].flatMap((part) => putBack(evidence, part)).filter(isFirst),
      ],
      explains: found.flatMap((each) => [keyOf("workload", each), ...reachedThrough(each.part, each.name)]),
    }),
  ];
};

const lack = ({ name, ready, wanted }: WorkloadFacts): string =>
  wanted === 0 ? `${name} was scaled to nothing` : `${name} has ${ready} of ${many(wanted, "pod")}`;

/** Workloads that lack pods although none of them is in trouble. */
const short =
  (parts: readonly Part[]): DiagnosisRule =>
  (evidence, explained) =>
    places(evidence)
      .filter(({ part }) => parts.includes(part))
      .flatMap(({ part, facts }) =>
        facts.workloads
          .filter((workload) => workload.kind !== "Job" && !explained.has(keyOf("workload", workload)))
          .filter((workload) => workload.ready < workload.wanted || isOff(workload))
          .filter((workload) => !facts.pods.some(({ owner, ready }) => owner === workload.name && !ready))
          .map((workload) =>
            finding("pods-missing", lack(workload), {
              symptoms: symptomsOf(part),
              evidence: [
                `${workload.kind} ${workload.namespace}/${workload.name}: ${workload.ready} of ${workload.wanted} ready`,
              ],
              remedy: [
                say(
                  workload.wanted === 0
                    ? "It was scaled down by hand; the stack's number comes back with:"
                    : "No pod of it is there or broken; the controller that makes them may be behind:",
                ),
                ...(workload.wanted === 0 ? putBack(evidence, part) : []),
                run(
                  `${evidence.kubectl} -n ${workload.namespace} describe ${workload.kind.toLowerCase()} ${workload.name}`,
                ),
              ],
              explains: [
                keyOf("workload", workload),
                ...(workload.ready === 0 ? reachedThrough(part, workload.name) : []),
              ],
            }),
          ),
      );

/** NATS and the database: others wait for them, so they are looked at first. */
export const shortInfrastructure = short(["nats", "postgres", "pgbouncer"]);
export const shortApplications = short(["noetl", "gateway"]);
