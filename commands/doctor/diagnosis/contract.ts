import { inFlightCommand } from "../../../contract/message";
import { LOCATIONS } from "../../../contract/facts";
import { plural } from "../../../contract/wording";
import { checkName } from "../../../contract/rules";
import { checksOf, describeStream } from "../checklist";
import type { CheckFacts, ConsumerFacts, Evidence, NatsFacts, PodFacts } from "../evidence";
import { failures, failuresExplainedBy, keyOfFailing, unasked, type Action } from "./failing";
import { finding, KEY_OF_REPAIR, run, say, type DiagnosisRule, type Finding, type Step, type Symptom } from "./finding";
import { HEADLINES, SPECIALS, type Special } from "./headlines";
import { streamHistory } from "./history";
import { crashes, crashWords, hits, lastHit, meaningOf, type LogMeaning } from "./logs";
import { contractCommands, natsCommand, subjectTakenRemedy } from "./reasons";
import { consumersOf, explainsPod, grouped, keyOfWords, podsOf } from "./trouble";
import { isOurs, setAndUpdate, writeUsers } from "./update";

const SERVER = LOCATIONS.noetl.serverDeployment;
const WORKER = LOCATIONS.noetl.workerDeployment;

/** The last line with one of the meanings in each pod's log, as evidence; pods that say the same are shown together. */
const quotes = (pods: readonly PodFacts[], meanings: readonly LogMeaning[]): string[] =>
  grouped(
    pods.flatMap((pod) => {
      const hit = hits(pod)
        .filter(({ meaning }) => meanings.includes(meaning))
        .at(-1);
      return hit ? [{ pod, line: { text: hit.line, at: hit.at } }] : [];
    }),
  );

/** What NoETL says where it cannot do something because of the stream, or of a consumer. */
const WORDS: Readonly<Record<Action, readonly LogMeaning[]>> = {
  publish: ["no-response"],
  fetch: ["work-queue", "no-stream-for-subject", "stream-gone"],
};

/** The specification's symptoms that the logs show. */
const symptomsIn = (pods: readonly PodFacts[]): Symptom[] => [
  ...(pods.some((pod) => saysAny(pod, ["no-response"])) ? (["noResponse"] as const) : []),
  ...(pods.some((pod) => saysAny(pod, ["work-queue"])) ? (["workQueue"] as const) : []),
];

const saysAny = (pod: PodFacts, meanings: readonly LogMeaning[]): boolean =>
  hits(pod).some(({ meaning }) => meanings.includes(meaning));

export const repairCommand = ({ stack }: Evidence): string => `npm run doctor -- --stack ${stack} --repair`;

/** Whether `--repair` may be advised at all: it touches no stream but the contract's. */
const mayRepair = ({ blocked, overlapping }: NatsFacts): boolean => blocked === undefined && overlapping.length === 0;

/** The contract's own commands, and before them `--repair` where it does as much. */
function commandsAgainst(evidence: Evidence, repairable: boolean): Step[] {
  const { nats } = evidence;
  const byHand = [...(nats.ok ? nats.value.losses.map(say) : []), ...contractCommands(evidence)];
  if (!repairable) return byHand;
  const summary = "shows what it would do, asks, keeps the messages, and waits until all holds";
  return [run(repairCommand(evidence)), say(byHand.length === 0 ? `${summary}.` : `${summary}. By hand:`), ...byHand];
}

const describeCheck = (check: CheckFacts, withWhy = true): string => {
  const { found, expected, why } = check;
  return `${checkName(check)}: found ${found}, expected ${expected}${withWhy ? `; ${why}` : ""}`;
};

/** What the contract's commands cannot do about broken rules, in the rules' own words; users of the stack's NATS are the stack's. */
function adviceOf(checks: readonly CheckFacts[], evidence: Evidence): Step[] {
  const ofUpdate = checks.filter(({ ofUsers }) => ofUsers === true && isOurs(evidence));
  const advised = checks.filter((check) => !ofUpdate.includes(check)).flatMap(({ advice }) => advice ?? []);
  return [
    ...(ofUpdate.length > 0 ? writeUsers(evidence) : []),
    ...[...new Set(advised)].map((advice) => say(sentence(advice))),
  ];
}

const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

/** What NoETL cannot do where a rule is broken. */
function keepsFrom({ id, effect }: CheckFacts): readonly Action[] {
  if (["stream-exists", "stream-overlap"].includes(id)) return ["publish", "fetch"];
  switch (effect) {
    case "refused":
      return ["publish"];
    case "withheld":
      return ["fetch"];
    // A command is lost where it is not stored, or not fetched.
    case "lost":
      return ["publish", "fetch"];
    default:
      return [];
  }
}

/** The violation that names a broken contract: of the rules that tell most, else the first. */
function headlineOf(violations: readonly CheckFacts[], evidence: Evidence) {
  for (const special of SPECIALS) {
    const check = violations.find(({ id }) => id === special.rule);
    if (check && (special.applies?.(check, evidence) ?? true)) return { ...special, check };
  }
  return undefined;
}

/** What NoETL's logs say because of violations. */
function wordsOf(violations: readonly CheckFacts[], isNamed: boolean): LogMeaning[] {
  // What the rules quote of NATS's own refusals explains the same words in the logs.
  const quoted = violations.flatMap(({ found }) => meaningOf(found) ?? []);
  const own = violations.flatMap(({ id }) => HEADLINES[id]?.logs ?? []);
  const unnamed = isNamed ? [] : violations.flatMap(keepsFrom).flatMap((action) => WORDS[action]);
  return [...new Set([...own, ...quoted, ...unnamed])];
}

/** What is a repair's business until its end. */
const OF_A_REPAIR: readonly string[] = ["account", "stream", "consumer", "publish", "worker"];

/** The contract's violations, as one finding: they are fixed together. */
export const brokenContract: DiagnosisRule = (evidence, explained) => {
  const { nats } = evidence;
  if (!nats.ok) return [];
  const violations = checksOf(evidence).filter(
    ({ ok, severity, about }) =>
      !ok && severity === "violation" && !(explained.has(KEY_OF_REPAIR) && OF_A_REPAIR.includes(about)),
  );
  const headline = headlineOf(violations, evidence);
  const [first] = violations;
  if (!first) return [];
  const logs = wordsOf(violations, headline !== undefined);
  const workersExplained =
    explained.has(`workload ${LOCATIONS.noetl.namespace}/${WORKER}`) || allDieOfOther(evidence, logs);
  // Workers that cannot start for another reason have not subscribed: that reason is the cause.
  if (headline?.id === "no-consumer" && violations.length === 1 && workersExplained) return [];
  const fails = violations.flatMap(keepsFrom);
  const pods = fails.length === 0 ? [] : [...podsOf(evidence, SERVER), ...podsOf(evidence, WORKER)];
  // A worker that crashes is explained by its last words alone; one that only waits needs none.
  const affected = pods.filter((pod) => {
    const hit = lastHit(pod);
    if (crashes(pod, evidence.now)) return hit !== undefined && logs.includes(hit.meaning);
    return !pod.ready && (saysAny(pod, logs) || (pod.owner === WORKER && hit === undefined));
  });
  const explains = [
    ...affected.flatMap((pod) => explainsPod(pod, "noetl")),
    // What concerns the gateway, or what is declared, explains nothing about stream and consumers.
    ...(fails.length > 0 ? ["contract"] : []),
    ...logs.map(keyOfWords),
    ...fails.map(keyOfFailing),
  ];
  const failing = failuresExplainedBy(evidence, explains).filter(
    ({ meaning }) => meaning === undefined || !logs.includes(meaning),
  );
  const repairable = mayRepair(nats.value) && violations.some((check) => check.repairable);
  return [
    finding(headline?.id ?? "contract", titleOf(violations, headline, evidence), {
      symptoms: headline?.symptom ? [headline.symptom] : symptomsIn(pods),
      evidence: [
        ...(violations.some(({ about }) => about !== "declared") ? streamEvidence(nats.value) : []),
        ...(violations.some(({ id }) => id === "stream-exists") ? streamHistory(evidence) : []),
        // Where one rule explains the others, why they matter too is beside the point.
        ...violations.map((check) => describeCheck(check, headline === undefined || check === headline.check)),
        ...quotes(pods, logs),
        ...grouped(failing.map(({ pod, line, at }) => ({ pod, line: { text: line, at } }))),
      ],
      remedy:
        headline?.id === "subject-taken"
          ? subjectTakenRemedy(evidence)
          : [...adviceOf(violations, evidence), ...commandsAgainst(evidence, repairable)],
      repairable: headline?.id !== "subject-taken" && repairable,
      explains,
    }),
  ];
};

function titleOf(violations: readonly CheckFacts[], headline: Special | undefined, evidence: Evidence): string {
  const check = violations.find(({ id }) => id === headline?.rule) ?? violations[0];
  if (check === undefined) return "";
  if (headline?.id === "subject-taken") return takenTitle(evidence);
  const title = HEADLINES[check.id]?.title(check, evidence) ?? `The stream contract does not hold: ${checkName(check)}`;
  const others = violations.length - 1;
  return headline !== undefined || others === 0 ? title : `${title} (and ${plural(others, "broken rule")} more)`;
}

function takenTitle({ nats, stream, subject }: Evidence): string {
  const others = nats.ok ? nats.value.overlapping.join(", ") : "";
  return nats.ok && nats.value.stream
    ? `Stream ${stream} cannot have ${subject}, which belongs to ${others}`
    : `There is no stream ${stream}, and its subject ${subject} belongs to ${others}`;
}

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

export function streamEvidence({ stream, overlapping }: NatsFacts): string[] {
  return [
    ...(stream ? [`stream ${stream.name}: ${describeStream(stream)}`] : []),
    ...overlapping.map((name) => `stream ${name} stores the subject too`),
  ];
}

/** Differences from what NoETL creates that break nothing now. */
export const drift: DiagnosisRule = (evidence, explained) => {
  const { nats } = evidence;
  if (!nats.ok || explained.has(KEY_OF_REPAIR)) return [];
  const checks = checksOf(evidence);
  const differences = checks.filter(({ ok, severity }) => !ok && severity === "drift");
  const violated = checks.some(({ ok, severity }) => !ok && severity === "violation");
  const [first] = differences;
  if (first === undefined) return [];
  const repairable = mayRepair(nats.value) && differences.some((check) => check.repairable);
  const title = differences.length === 1 ? HEADLINES[first.id]?.title(first, evidence) : undefined;
  return [
    finding(
      "drift",
      title ?? `Stream or consumer differ from what NoETL creates: ${differences.map(({ id }) => id).join(", ")}`,
      {
        severity: "note",
        evidence: differences.map((check) => describeCheck(check)),
        // The commands of a broken contract fix its differences too.
        remedy: [...adviceOf(differences, evidence), ...(violated ? [] : commandsAgainst(evidence, repairable))],
        repairable,
      },
    ),
  ];
};

/** Symptoms in the logs of a stream that is in order now. */
export const pastSymptoms: DiagnosisRule = (evidence, explained) => {
  const { nats } = evidence;
  if (explained.has("contract")) return [];
  // What still fails is reported as failing.
  const fails = new Set(failures(evidence).map(({ pod }) => pod));
  const pods = [...podsOf(evidence, SERVER), ...podsOf(evidence, WORKER)].filter((pod) => !fails.has(pod));
  const cases: readonly {
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
  return cases.flatMap(({ meanings, symptom, id, title }): Finding[] => {
    const saying = pods.filter((pod) => saysAny(pod, meanings));
    // A pod that has ended of something else has that as its cause.
    const down = saying.filter((pod) => !pod.ready && meanings.includes(lastHit(pod)?.meaning as LogMeaning));
    if (saying.length === 0) return [];
    const restart = run(
      `${evidence.kubectl} -n ${LOCATIONS.noetl.namespace} rollout restart deploy/${SERVER} deploy/${WORKER}`,
    );
    if (!nats.ok) {
      return [
        finding(id, title, {
          symptoms: [symptom],
          evidence: [...quotes(saying, meanings), "the stream itself could not be asked"],
          remedy: [say("Fix the way to NATS first; then run this again, which tells the stream's state.")],
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

/** A worker that starts deletes a consumer that has not its own number, and what waits is lost: the consumer gets the number first. */
const moreInFlight = (evidence: Evidence, consumers: readonly ConsumerFacts[], most: number): Step[] => [
  say(
    "More workers, or more in flight; a worker that hangs is seen by redelivered messages. First at the consumer, which a worker that starts with " +
      "another number makes again without what waits. Run both right after another, and not while workers crash:",
  ),
  ...consumers.map(({ name }) => run(inFlightCommand(natsCommand(evidence), { stream: evidence.stream, name }, most))),
  ...setAndUpdate(evidence, { workerMaxAckPending: String(most) }),
];

/** What the consumers' numbers say about the workers. */
export const workers: DiagnosisRule = (evidence, explained) => {
  const { nats } = evidence;
  if (!nats.ok || explained.has("contract")) return [];
  const names = consumersOf(evidence, WORKER);
  const own = nats.value.consumers.filter(({ name }) => names.includes(name));
  const ready = podsOf(evidence, WORKER).filter((pod) => pod.ready).length;
  const numbers = (each: ConsumerFacts): string =>
    `consumer ${each.name}: ${each.pending} pending, ${each.ackPending} of ${each.maxAckPending} in flight, ` +
    `${each.redelivered} redelivered, ${each.waiting} waiting; ${plural(ready, "worker")} ready`;
  const full = own.filter((each) => each.maxAckPending > 0 && each.ackPending >= each.maxAckPending);
  // Where they say themselves why they do not, that is the cause.
  const failing = failures(evidence).some(({ action }) => action === "fetch");
  const { consumers: hanging, sure } = failing ? { consumers: [], sure: true } : unasked(evidence);
  const idle = own.filter((each) => !full.includes(each) && each.pending > 0 && each.waiting === 0);
  if (hanging.length > 0) {
    return [
      finding("nobody-fetches", "No worker asks for commands, although they are ready and none is busy: they hang", {
        severity: sure ? "cause" : "note",
        evidence: hanging.map(numbers),
        remedy: [
          ...(sure ? [] : [say("Where NATS was restarted just now, they ask again when their fetches have ended.")]),
          say("A restart has them fetch again; their logs tell what they did last:"),
          run(`${evidence.kubectl} -n ${LOCATIONS.noetl.namespace} logs deploy/${WORKER} --tail 50`),
          run(`${evidence.kubectl} -n ${LOCATIONS.noetl.namespace} rollout restart deploy/${WORKER}`),
        ],
      }),
    ];
  }
  const [first] = full;
  return [
    ...(first
      ? [
          finding("workers-full", "The workers have as many commands in flight as they may: others wait", {
            severity: "note",
            evidence: full.map(numbers),
            remedy: moreInFlight(evidence, full, first.maxAckPending * 2),
          }),
        ]
      : []),
    ...(idle.length > 0
      ? [
          finding("nobody-fetches", "Commands wait and no worker asks for them at this moment", {
            severity: "note",
            evidence: idle.map(numbers),
            remedy: [
              say("Workers that are all busy look the same; their logs tell."),
              run(`${evidence.kubectl} -n ${LOCATIONS.noetl.namespace} logs deploy/${WORKER} --tail 50`),
            ],
          }),
        ]
      : []),
  ];
};
