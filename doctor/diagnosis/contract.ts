import { PLACES } from "../../contract/noetl";
import { many } from "../../config/wording";
import { checkName, describeStream } from "../checklist";
import type { CheckFacts, Evidence, NatsFacts, PodFacts } from "../evidence";
import {
  finding,
  run,
  say,
  type DiagnosisRule,
  type Finding,
  type FindingId,
  type Step,
  type Symptom,
} from "./finding";
import { FROZEN_SUBJECT } from "../repair/journal";
import { failures } from "./failing";
import { streamHistory } from "./history";
import { crashes, crashWords, hits, lastHit, meaningOf, type LogHit, type LogMeaning } from "./logs";
import { subjectTakenRemedy } from "./reasons";
import { explainsPod, keyOfWords, podsOf, quoteOf } from "./trouble";

const SERVER = PLACES.noetl.serverDeployment;
const WORKER = PLACES.noetl.workerDeployment;

/** The last line with one of the meanings in each pod's log, as evidence; pods that say the same are told together. */
export function quotes(pods: readonly PodFacts[], meanings: readonly LogMeaning[]): string[] {
  const groups = new Map<string, { hit: LogHit; pods: PodFacts[] }>();
  for (const pod of pods) {
    const hit = hits(pod)
      .filter(({ meaning }) => meanings.includes(meaning))
      .at(-1);
    if (!hit) continue;
    const group = groups.get(hit.line);
    if (group) group.pods.push(pod);
    else groups.set(hit.line, { hit, pods: [pod] });
  }
  return [...groups.values()].flatMap(({ hit: { line, at }, pods: [first, ...others] }) =>
    first ? quoteOf(first, { text: line, ...(at === undefined ? {} : { at }) }, others) : [],
  );
}

/** Lines in which NoETL itself says that the stream refuses it. */
const REFUSED: readonly LogMeaning[] = ["work-queue", "no-response", "no-stream-for-subject", "stream-gone"];

/** The specification's symptoms that the logs show. */
const symptomsIn = (pods: readonly PodFacts[]): Symptom[] => [
  ...(pods.some((pod) => saysAny(pod, ["no-response"])) ? (["noResponse"] as const) : []),
  ...(pods.some((pod) => saysAny(pod, ["work-queue"])) ? (["workQueue"] as const) : []),
];

const saysAny = (pod: PodFacts, meanings: readonly LogMeaning[]): boolean =>
  hits(pod).some(({ meaning }) => meanings.includes(meaning));

/** What the broken contract is called, by the rule that tells most; the first that is broken counts. */
const HEADLINES: readonly {
  readonly rule: string;
  readonly applies?: (check: CheckFacts, evidence: Evidence) => boolean;
  readonly id: FindingId;
  readonly title: (check: CheckFacts, evidence: Evidence) => string;
  readonly symptom?: Symptom;
  /** What NoETL's logs say because of it. */
  readonly logs: readonly LogMeaning[];
  /** What to do where `--repair` cannot put it right. */
  readonly remedy?: (evidence: Evidence) => Step[];
}[] = [
  {
    rule: "stream-retention",
    applies: ({ found }) => found === "workqueue",
    id: "work-queue",
    title: (_, { stream }) => `Stream ${stream} is a work queue, which refuses the workers' consumer`,
    symptom: "workQueue",
    logs: ["work-queue"],
  },
  {
    rule: "stream-exists",
    applies: (_, { nats }) => nats.ok && nats.value.overlapping.length > 0,
    id: "subject-taken",
    title: (_, { stream, subject, nats }) =>
      `There is no stream ${stream}, and ${nats.ok ? nats.value.overlapping.join(", ") : ""} takes its subject ${subject}`,
    logs: ["subject-taken", "no-stream-for-subject", "stream-gone", "no-response"],
    remedy: subjectTakenRemedy,
  },
  {
    rule: "stream-exists",
    id: "no-stream",
    title: (_, { stream }) => `There is no stream ${stream}: nothing stores what the server publishes`,
    symptom: "noResponse",
    logs: ["no-response", "no-stream-for-subject", "stream-gone"],
  },
  {
    rule: "stream-subjects",
    id: "subject-not-stored",
    title: ({ found }, { stream, subject }) =>
      `Stream ${stream} stores ${found} and not ${subject}, which the server publishes on`,
    symptom: "noResponse",
    logs: ["no-response", "no-stream-for-subject"],
  },
  {
    rule: "consumer-exists",
    id: "no-consumer",
    title: (_, { consumer }) => `There is no consumer ${consumer}: no worker has subscribed`,
    logs: ["work-queue", "no-stream-for-subject", "stream-gone"],
  },
];

const repairCommand = ({ stack }: Evidence): string => `npm run doctor -- --stack ${stack} --repair`;

/** A remedy that `--repair` carries out, and the same by hand. */
function repairOrByHand(evidence: Evidence, commands: readonly string[]): Step[] {
  return [
    run(repairCommand(evidence)),
    say("shows what it would do, asks, keeps the messages, and waits until all holds. By hand:"),
    ...byHand(evidence, commands),
  ];
}

/** The contract's own commands, with `kubectl` as it reaches this cluster. */
const byHand = ({ kubectl }: Evidence, commands: readonly string[]): Step[] =>
  commands.map((command) => run(command.replace(/^kubectl( --context ('[^']*'|\S+))?(?= )/, () => kubectl)));

const isRepairable = ({ about }: CheckFacts): boolean => about === "stream" || about === "consumer";

const describeCheck = (check: CheckFacts, withWhy = true): string => {
  const { found, expected, why } = check;
  return `${checkName(check)}: found ${found}, expected ${expected}${withWhy ? `; ${why}` : ""}`;
};

/** What no command can do about broken rules, in the rules' own words. */
const adviceOf = (checks: readonly CheckFacts[]): Step[] =>
  [...new Set(checks.flatMap(({ advice }) => advice ?? []))].map((advice) =>
    say(`${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`),
  );

/** A repair that was interrupted holds messages that the stream does not have, or has stopped the stream. */
export const interruptedRepair: DiagnosisRule = (evidence) => {
  const { repair, nats } = evidence;
  const frozen = nats.ok && (nats.value.stream?.subjects ?? []).some((each) => each.startsWith(FROZEN_SUBJECT));
  if (!repair && !frozen) return [];
  return [
    finding("repair-interrupted", "A repair was interrupted before its end", {
      symptoms: frozen ? ["noResponse"] : [],
      evidence: [
        ...(repair
          ? [
              `it began at ${repair.begun} and came to: ${repair.phase}; ${many(repair.saved, "message")} in ${repair.folder}`,
            ]
          : ["its backup is on the machine that it ran on"]),
        ...(nats.ok ? streamEvidence(nats.value) : []),
      ],
      remedy: [
        say(repair ? "Run again it goes on from there:" : "Run it again there; on another machine it begins anew:"),
        run(repairCommand(evidence)),
      ],
      repairable: true,
      explains: ["contract"],
    }),
  ];
};

/** The contract's violations, as one finding: they are mended together. */
export const brokenContract: DiagnosisRule = (evidence, explained) => {
  const { nats, namespaces } = evidence;
  if (!nats.ok || namespaces.noetl === undefined || explained.has("contract")) return [];
  const violations = nats.value.checks.filter(({ ok, severity }) => !ok && severity === "violation");
  const headline = HEADLINES.map((each) => ({
    ...each,
    check: violations.find((check) => check.id === each.rule && (each.applies?.(check, evidence) ?? true)),
  })).find(({ check }) => check !== undefined);
  const [first] = violations;
  if (!first) return [];
  // What the rules quote of NATS's own refusals explains the same words in the logs.
  const quoted = violations.flatMap(({ found }) => meaningOf(found) ?? []);
  const logs = [...new Set([...(headline?.logs ?? REFUSED), ...quoted])];
  const workersExplained =
    explained.has(`workload ${PLACES.noetl.namespace}/${WORKER}`) || allDieOfOther(evidence, logs);
  // Workers that cannot start for another reason have not subscribed: that reason is the cause.
  if (headline?.id === "no-consumer" && violations.length === 1 && workersExplained) return [];
  const pods = [...podsOf(evidence, SERVER), ...podsOf(evidence, WORKER)];
  // A worker that crashes is explained by its last words alone; one that only waits needs none.
  const affected = pods.filter((pod) => {
    const hit = lastHit(pod);
    if (crashes(pod, evidence.now)) return hit !== undefined && logs.includes(hit.meaning);
    return !pod.ready && (saysAny(pod, logs) || (pod.owner === WORKER && hit === undefined));
  });
  const advice = adviceOf(violations);
  const commands = violations.some(isRepairable)
    ? repairOrByHand(evidence, nats.value.commands)
    : byHand(evidence, nats.value.commands);
  return [
    finding(
      headline?.id ?? "contract",
      headline?.check
        ? headline.title(headline.check, evidence)
        : `The stream contract does not hold: ${violations.map(({ id }) => id).join(", ")}`,
      {
        symptoms: headline?.symptom ? [headline.symptom] : symptomsIn(pods),
        evidence: [
          ...streamEvidence(nats.value),
          ...(nats.value.stream ? [] : streamHistory(evidence)),
          // Where one rule explains the others, why they matter too is beside the point.
          ...violations.map((check) => describeCheck(check, headline === undefined || check === headline.check)),
          ...quotes(pods, logs),
        ],
        remedy: headline?.remedy?.(evidence) ?? [...advice, ...commands],
        repairable: headline?.remedy === undefined && violations.some(isRepairable),
        explains: [...affected.flatMap((pod) => explainsPod(pod, "noetl")), "contract", ...logs.map(keyOfWords)],
      },
    ),
  ];
};

/** Whether every worker crashes, and of something else than `logs` tell. */
function allDieOfOther(evidence: Evidence, logs: readonly LogMeaning[]): boolean {
  const workers = podsOf(evidence, WORKER);
  return (
    workers.length > 0 &&
    workers.every((pod) => {
      const meaning = lastHit(pod)?.meaning;
      return (
        crashes(pod, evidence.now) &&
        crashWords(pod, evidence.now) !== undefined &&
        !(meaning && logs.includes(meaning))
      );
    })
  );
}

function streamEvidence({ stream, overlapping }: NatsFacts): string[] {
  return [
    ...(stream ? [`stream ${stream.name}: ${describeStream(stream)}`] : []),
    ...overlapping.map((name) => `stream ${name} stores the subject too`),
  ];
}

/** Differences from what NoETL creates that break nothing now. */
export const drift: DiagnosisRule = (evidence) => {
  const { nats } = evidence;
  if (!nats.ok || evidence.namespaces.noetl === undefined) return [];
  const differences = nats.value.checks.filter(({ ok, severity }) => !ok && severity === "drift");
  const violated = nats.value.checks.some(({ ok, severity }) => !ok && severity === "violation");
  if (differences.length === 0) return [];
  return [
    finding(
      "drift",
      `Stream or consumer differ from what NoETL creates: ${differences.map(({ id }) => id).join(", ")}`,
      {
        severity: "note",
        evidence: differences.map((check) => describeCheck(check)),
        // The commands of a broken contract mend its differences too.
        remedy: violated
          ? adviceOf(differences)
          : [
              ...adviceOf(differences),
              ...(nats.value.commands.length === 0
                ? []
                : differences.some(isRepairable)
                  ? repairOrByHand(evidence, nats.value.commands)
                  : byHand(evidence, nats.value.commands)),
            ],
        repairable: differences.some(isRepairable),
      },
    ),
  ];
};

/** Symptoms in the logs of a stream that is in order now. */
export const pastSymptoms: DiagnosisRule = (evidence, explained) => {
  const { nats } = evidence;
  if (explained.has("contract")) return [];
  // What still fails is told as failing.
  const fails = new Set(failures(evidence).map(({ pod }) => pod));
  const pods = [...podsOf(evidence, SERVER), ...podsOf(evidence, WORKER)].filter((pod) => !fails.has(pod));
  const told: readonly {
    meanings: readonly LogMeaning[];
    symptom: Symptom;
    id: "work-queue" | "no-stream";
    title: string;
  }[] = [
    {
      meanings: ["work-queue"],
      symptom: "workQueue",
      id: "work-queue",
      title: "The stream has been a work queue, which refuses the workers' consumer",
    },
    {
      meanings: ["no-response", "no-stream-for-subject", "stream-gone"],
      symptom: "noResponse",
      id: "no-stream",
      title: "Nothing has stored what the server publishes",
    },
  ];
  return told.flatMap(({ meanings, symptom, id, title }): Finding[] => {
    const saying = pods.filter((pod) => saysAny(pod, meanings));
    // A pod that has ended of something else has that as its cause.
    const down = saying.filter((pod) => !pod.ready && meanings.includes(lastHit(pod)?.meaning as LogMeaning));
    if (saying.length === 0) return [];
    const restart = run(
      `${evidence.kubectl} -n ${PLACES.noetl.namespace} rollout restart deploy/${SERVER} deploy/${WORKER}`,
    );
    if (!nats.ok) {
      return [
        finding(id, title, {
          symptoms: [symptom],
          evidence: [...quotes(saying, meanings), "the stream itself could not be asked"],
          remedy: [say("Mend the way to NATS first; then run this again, which tells the stream's state.")],
          explains: down.flatMap((pod) => explainsPod(pod, "noetl")),
        }),
      ];
    }
    return [
      finding(`${id}-past`, `${title}; it is in order now`, {
        severity: down.length > 0 ? "cause" : "note",
        symptoms: [symptom],
        evidence: [...quotes(saying, meanings), ...streamEvidence(nats.value)],
        remedy:
          down.length > 0
            ? [say("The pods that still wait for their next start need not:"), restart]
            : [say("Nothing is to be done.")],
        explains: down.flatMap((pod) => explainsPod(pod, "noetl")),
      }),
    ];
  });
};

/** What the consumer's numbers say about the workers. */
export const workers: DiagnosisRule = (evidence, explained) => {
  const { nats, consumer } = evidence;
  if (!nats.ok || explained.has("contract")) return [];
  const own = nats.value.consumers.find(({ name }) => name === consumer);
  if (!own) return [];
  const ready = podsOf(evidence, WORKER).filter((pod) => pod.ready).length;
  const numbers =
    `consumer ${consumer}: ${own.pending} pending, ${own.ackPending} of ${own.maxAckPending} in flight, ` +
    `${own.redelivered} redelivered, ${own.waiting} waiting; ${many(ready, "worker")} ready`;
  if (own.maxAckPending > 0 && own.ackPending >= own.maxAckPending) {
    return [
      finding("workers-full", "The workers have as many commands in flight as they may: others wait", {
        severity: "note",
        evidence: [numbers],
        remedy: [
          say("More workers, or more in flight; a worker that hangs is seen by redelivered messages."),
          run(`pulumi config set workerMaxAckPending ${own.maxAckPending * 2} --stack ${evidence.stack}`),
        ],
      }),
    ];
  }
  if (own.pending > 0 && own.waiting === 0) {
    return [
      finding("nobody-fetches", "Commands wait and no worker asks for them at this moment", {
        severity: "note",
        evidence: [numbers],
        remedy: [
          say("Workers that are all busy look the same; their logs tell."),
          run(`${evidence.kubectl} -n ${PLACES.noetl.namespace} logs deploy/${WORKER} --tail 50`),
        ],
      }),
    ];
  }
  return [];
};
