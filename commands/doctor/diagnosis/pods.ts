/** Pods that do not run. */
import { LOCATIONS } from "../../../contract/facts";
import { SETTINGS } from "../../../config/schema";
import { quantityBytes } from "../../../contract/validate";
import { plural } from "../../../contract/wording";
import { describePod } from "../checklist";
import type { ContainerFacts, Evidence, Part, PodFacts } from "../evidence";
import { finding, keyOf, run, say, type DiagnosisRule, type Finding, type Step } from "./finding";
import { failedProbes } from "../warnings";
import { crashes, crashWords } from "./logs";
import { largerNatsLimit, LOST_WITH_RESTART } from "./reasons";
import { putBack } from "./releases";
import { refreshAndUpdate, setAndUpdate, update } from "./update";
import {
  byWorkload,
  describe,
  explainsPod,
  isFirst,
  isOver,
  lastWords,
  named,
  places,
  quoteOf,
  symptomsOf,
  troubled,
  warningsAbout,
} from "./trouble";

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

/** Pods that no node takes. */
export const unscheduled: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter(({ pod }) => pod.unscheduled !== undefined)).map((group) =>
    finding("unscheduled", `No node takes ${plural(group.length, "pod")} of ${group[0].pod.owner}`, {
      symptoms: symptomsOf(group[0].part),
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
      const container = waitingFor(first.pod, IMAGE_REASONS);
      const setting = first.pod.owner === LOCATIONS.guard.deployment ? "contractGuardImage" : IMAGE_SETTING[first.part];
      return finding("image", `The image of ${first.pod.owner} cannot be pulled: ${container?.image}`, {
        symptoms: symptomsOf(first.part),
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
          ...(setting === undefined
            ? []
            : [say("An image that exists only here goes to kind with: npm run kind:load -- IMAGE")]),
          describe(evidence, first.pod),
        ],
        explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
      });
    },
  );

/** A container is being made, or waits for those that prepare the pod: what it needs is not there yet, or never comes. */
const MAKING_REASONS = ["ContainerCreating", "PodInitializing"];
/** A kubelet's words where a volume is to hold a Secret or ConfigMap that is not there. */
const NOT_THERE = /: FailedMount: .*(\b(secret|configmap) "[^"]+" not found|references non-existent (secret|config))/i;

/** Why a container of the pod cannot be made; undefined where that is not the trouble. */
function unmakeable({ pod, facts }: Pick<Troubled, "pod" | "facts">): string | undefined {
  const each = waitingFor(pod, CONFIG_REASONS);
  if (each) return `pod ${named(pod)}, container ${each.name}: ${each.waiting?.reason} ${each.waiting?.message}`;
  // Volumes come before the first container: what started has them, and what it waits for since is another thing.
  if (hasStarted(pod) || !waitingFor(pod, MAKING_REASONS)) return undefined;
  return warningsAbout(facts, "Pod", pod.name).find((words) => NOT_THERE.test(words));
}

/** Whether a container of the pod has ever run, one that prepares it too. */
const hasStarted = ({ containers }: PodFacts): boolean =>
  containers.some(({ log, ended, since }) => log.length > 0 || ended !== undefined || since !== undefined);

/** Containers that cannot be made: a Secret, ConfigMap or key that does not exist. */
export const containerConfig: DiagnosisRule = (evidence, explained) =>
  byWorkload(troubled(evidence, explained).filter((each) => unmakeable(each) !== undefined)).map((group) =>
    finding("container-config", `The containers of ${group[0].pod.owner} cannot be made`, {
      symptoms: symptomsOf(group[0].part),
      evidence: group.flatMap((each) => unmakeable(each) ?? []),
      remedy: [
        say("What the message names was deleted by hand, or never made; it comes back with:"),
        // The Secret with NATS's password is the program's own, its ConfigMap the chart's.
        ...(group[0].part === "nats" ? refreshAndUpdate(evidence) : []),
        ...putBack(evidence, group[0].part),
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
  ).map((group) => {
    const isDown = group.some(({ pod, facts }) => !pod.ready && !isOver(pod, facts));
    return finding("memory", `${group[0].pod.owner} needs more memory than its limit`, {
      severity: isDown ? "cause" : "note",
      symptoms: isDown ? symptomsOf(group[0].part) : [],
      evidence: group.map(({ pod }) => {
        const each = pod.containers.find(({ ended }) => ended?.reason === "OOMKilled");
        return `pod ${named(pod)}, container ${each?.name}: OOMKilled, ${plural(each?.restarts ?? 0, "restart")}`;
      }),
      remedy: [
        ...(group[0].part === "nats" && group[0].pod.owner !== LOCATIONS.guard.deployment
          ? natsMemory(evidence)
          : memoryRemedy(evidence, group[0])),
      ],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    });
  });

/** Settings of the memory limits of NoETL's containers, by Deployment; those that this program has. */
const MEMORY_SETTINGS: Readonly<Record<string, string>> = Object.fromEntries(
  [
    [LOCATIONS.noetl.serverDeployment, "serverMemoryLimit"] as const,
    [LOCATIONS.noetl.workerDeployment, "workerMemoryLimit"] as const,
  ].filter(([, key]) => key in SETTINGS),
);

function memoryRemedy(evidence: Evidence, { part, pod }: Troubled): Step[] {
  const setting = MEMORY_SETTINGS[pod.owner];
  const limit = pod.containers.find(({ ended }) => ended?.reason === "OOMKilled")?.memoryLimit;
  if (setting !== undefined && limit !== undefined) {
    return [
      say(
        "Raise its limit. A command that needs more kills one worker after the other, because it is delivered again:",
      ),
      ...setAndUpdate(evidence, { [setting]: `${Math.ceil(((quantityBytes(limit) ?? 0) * 2) / 1024 ** 2)}Mi` }),
    ];
  }
  return [
    say(
      isOfChart(part)
        ? "Raise the container's memory limit in the chart's values."
        : "No setting raises it: the program passes the limit to the component (argument resources).",
    ),
  ];
}

function natsMemory(evidence: Evidence): Step[] {
  const limit = largerNatsLimit(evidence);
  return limit === undefined
    ? [
        say(
          `Its limit is the largest that there is: shrink the memory store (natsJetstreamMemSize). ${LOST_WITH_RESTART}`,
        ),
      ]
    : [
        say(`Raise the server's limit, or shrink the memory store (natsJetstreamMemSize). ${LOST_WITH_RESTART}`),
        ...setAndUpdate(evidence, { natsMemoryLimit: limit }),
      ];
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
    return finding("nats-config", `${first.pod.owner} does not start with its configuration`, {
      evidence: [...group.map(({ pod }) => `pod ${named(pod)}: ${describePod(pod)}`), ...lastWords(first.pod)],
      remedy: [
        say("Changed by hand, it comes back with the next command; then the pods that wait need a start:"),
        ...putBack(evidence, "nats"),
        ...group.map(({ pod }) => run(`${evidence.kubectl} -n ${pod.namespace} delete pod ${pod.name}`)),
        say("Where a setting of the stack makes it wrong (a password that is a number, say), correct that and update:"),
        update(evidence),
      ],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    });
  });

/** Restarts that a pod may need while what it waits for is starting too. */
const FEW_RESTARTS = 2;

/** A pod of the first minute that has not crashed, or not often, and is not held back from its next start. */
const isStarting = (pod: PodFacts): boolean =>
  pod.ageSeconds < YOUNG_SECONDS &&
  pod.containers.every(
    ({ restarts, waiting, ended }) =>
      restarts <= FEW_RESTARTS && waiting?.reason !== "CrashLoopBackOff" && !(ended && waiting),
  );

/** Pods that crash or do not become ready and that nothing before explains: their own last words. */
const otherPods =
  (parts: readonly Part[], ofInterest: (pod: PodFacts) => boolean = () => true): DiagnosisRule =>
  (evidence, explained) =>
    byWorkload(
      troubled(evidence, explained).filter(({ part, pod }) => parts.includes(part) && ofInterest(pod)),
    ).flatMap((group) => (group.every(({ pod }) => isStarting(pod)) ? starting(group) : unexplained(evidence, group)));

type Troubled = ReturnType<typeof troubled>[number];

const starting = (group: readonly [Troubled, ...Troubled[]]): Finding =>
  finding("starting", `${group[0].pod.owner} is still starting`, {
    severity: "note",
    evidence: group.flatMap(({ pod }) => [
      `pod ${named(pod)}, ${Math.round(pod.ageSeconds)} s old: ${describePod(pod)}`,
      ...(crashWords(pod) ? lastWords(pod) : []),
    ]),
    remedy: [say("Look again in a minute.")],
    explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
  });

/** What failed probes of pods said, those that say the same shown together. */
function probeWords(group: readonly Troubled[]): string[] {
  const pods = new Map<string, string[]>();
  for (const { pod, facts } of group)
    for (const words of failedProbes(facts.warnings, pod.name)) pods.set(words, [...(pods.get(words) ?? []), pod.name]);
  return [...pods].map(([words, [first, ...others]]) =>
    others.length === 0 ? `${first}: ${words}` : `${first} and ${plural(others.length, "other")}: ${words}`,
  );
}

/** Where a pod's trouble is told: in its log, or, of one that has never started, among its events alone. */
function whereItIsSaid({ kubectl }: Evidence, pod: PodFacts, crashing: boolean): Step[] {
  if (!hasStarted(pod) && waitingFor(pod, MAKING_REASONS) !== undefined) {
    return [
      say(
        "It has not started, so that it has no log; its events tell what it waits for, such as a volume or a network:",
      ),
    ];
  }
  const which = crashing ? " --previous" : "";
  return [say("Its log says why:"), run(`${kubectl} -n ${pod.namespace} logs ${pod.name} --all-containers${which}`)];
}

function unexplained(evidence: Evidence, group: readonly [Troubled, ...Troubled[]]): Finding {
  // The one that crashes tells most.
  const first = group.find(({ pod }) => crashes(pod, evidence.now)) ?? group[0];
  const crashing = crashes(first.pod, evidence.now);
  return finding(
    crashing ? "crash-loop" : "not-ready",
    `${first.pod.owner} ${crashing ? "crashes when it starts" : "does not become ready"}`,
    {
      symptoms: symptomsOf(first.part),
      evidence: [
        ...group.map(({ pod }) => `pod ${named(pod)}: ${describePod(pod)}`),
        // What is asked of a pod that runs is what keeps it from being ready; its log need not know of it.
        ...probeWords(group),
        ...lastWords(first.pod),
        ...warningsAbout(first.facts, "Pod", first.pod.name)
          .filter((warning) => failedProbes([warning], first.pod.name).length === 0)
          .slice(0, 2),
      ],
      remedy: [...whereItIsSaid(evidence, first.pod, crashing), describe(evidence, first.pod)],
      explains: group.flatMap(({ pod, part }) => explainsPod(pod, part)),
    },
  );
}

/**
 * The findings with the last words of every pod that crashes: where a finding explains such a pod and does not quote it, its
 * words are added to it, so that nothing that crashes is hidden by what explains it.
 */
export function withCrashWords(evidence: Evidence, findings: readonly Finding[]): Finding[] {
  const complete = findings.map((each) => ({ ...each, evidence: [...each.evidence] }));
  for (const { facts } of places(evidence)) {
    for (const pod of facts.pods) {
      const words = crashWords(pod, evidence.now);
      if (!words || complete.some(({ evidence: lines }) => lines.some((line) => line.includes(words.text.trim()))))
        continue;
      complete.find(({ explains }) => explains.includes(keyOf("pod", pod)))?.evidence.push(quoteOf(pod, words));
    }
  }
  return complete;
}

/** NATS and the database: others wait for them, so they are looked at first. */
export const infrastructurePods = otherPods(["nats", "postgres", "pgbouncer"]);
/** Workers and gateway wait for the server in turn. */
export const serverPods = otherPods(["noetl"], ({ owner }) => owner === LOCATIONS.noetl.serverDeployment);
export const applicationPods = otherPods(["noetl", "gateway"]);
