/** A repair that is at work, or that was interrupted: what it left in NATS, and on this machine. */
import { plural } from "../../../contract/wording";
import { LOCATIONS } from "../../../contract/facts";
import { holdingText } from "../checklist";
import type { Evidence, PodFacts } from "../evidence";
import { FROZEN_SUBJECT } from "../repair/journal";
import { repairCommand, streamEvidence } from "./contract";
import { failuresExplainedBy, keyOfFailing } from "./failing";
import { finding, KEY_OF_REPAIR, run, say, type DiagnosisRule, type Step } from "./finding";
import { lastHit, type LogMeaning } from "./logs";
import { explainsPod, grouped, keyOfWords, podsOf } from "./trouble";

/** What server and workers say while the stream is not there, and another one has its subject. */
const WORDS: readonly LogMeaning[] = [
  "no-response",
  "no-stream-for-subject",
  "stream-gone",
  "work-queue",
  "subject-taken",
  "consumers-full",
];

function lastWordsOf(pod: PodFacts): { text: string; at?: number } {
  const { line = "", at } = lastHit(pod) ?? {};
  return { text: line, at };
}

/** A repair holds what the stream does not have: nothing else is to be done to the stream before it has come to its end. */
export const repairs: DiagnosisRule = (evidence) => {
  const { repair: local, nats } = evidence;
  const there = nats.ok ? nats.value.repair : undefined;
  const stream = nats.ok ? nats.value.stream : undefined;
  const frozen = (stream?.subjects ?? []).some((each) => each.startsWith(FROZEN_SUBJECT));
  const others = nats.ok ? nats.value.overlapping : [];
  const { holding, atWork } = there ?? {};
  if (!local && !there && !frozen) return [];
  const pods = affected(evidence);
  const explains = [
    "contract",
    KEY_OF_REPAIR,
    ...WORDS.map(keyOfWords),
    ...(["publish", "fetch"] as const).map(keyOfFailing),
    ...pods.flatMap((pod) => explainsPod(pod, "noetl")),
  ];
  const failing = failuresExplainedBy(evidence, explains).filter(({ pod }) => !pods.includes(pod));
  const facts = [
    ...(holding ? [`stream ${holding.name}: ${holdingText(holding)}`] : []),
    ...(nats.ok ? streamEvidence(nats.value) : []),
    ...grouped([
      ...pods.map((pod) => ({ pod, line: lastWordsOf(pod) })),
      ...failing.map(({ pod, line, at }) => ({ pod, line: { text: line, at } })),
    ]),
  ];
  if (atWork !== undefined) {
    return [
      finding("repair-running", `A repair of stream ${evidence.stream} is at work`, {
        severity: isBroken(evidence) ? "cause" : "note",
        evidence: [atWork, ...facts],
        remedy: [
          say("Wait until it ends, then look again: one that was killed is reported as interrupted within 20 s."),
        ],
        explains,
      }),
    ];
  }
  // Without the holding stream nothing takes what is published.
  const refuses = frozen && (holding === undefined || holding.takes.length === 0);
  return [
    finding("repair-interrupted", `A repair of stream ${evidence.stream} was interrupted before its end`, {
      symptoms: refuses ? ["noResponse"] : [],
      evidence: [
        ...(local
          ? [
              `it began here at ${local.begun} and came to: ${local.phase}; ` +
                `${plural(local.saved, "message")} in ${local.folder}`,
            ]
          : holding
            ? [`its backup is in ${holding.folder} on ${holding.host} (stack ${holding.stack})`]
            : ["its backup is on the machine that it ran on"]),
        ...facts,
      ],
      remedy: others.length > 0 ? [makeRoom(evidence, others)] : wayOn(evidence, local !== undefined, holding?.host),
      repairable: others.length === 0,
      explains,
    }),
  ];
};

/** A repair touches no stream but NoETL's, and two streams cannot have one subject. */
const makeRoom = ({ subject }: Evidence, others: readonly string[]): Step =>
  say(
    `${others.join(", ")} has the subject ${subject}, which the repair needs: take it from there (nats stream edit), or remove that ` +
      "stream when its messages are worked off (nats stream rm). Then look again: the doctor tells how the repair goes on.",
  );

const wayOn = (evidence: Evidence, here: boolean, host: string | undefined): Step[] => [
  say(
    here
      ? "Run again, it goes on from there, and loses nothing:"
      : `Run it again${host === undefined ? " on that machine" : ` on ${host}`}, where its backup is: it goes on from there. ` +
          "From another machine it takes the repair over; what was saved there is then written back by the same command there:",
  ),
  ...(host === undefined ? [] : [say("Do not remove the stream that holds what was published meanwhile.")]),
  run(repairCommand(evidence)),
];

const isBroken = ({ nats }: Evidence): boolean =>
  nats.ok && nats.value.checks.some(({ ok, severity }) => !ok && severity === "violation");

/** Pods of server and workers that do not run because of it, by their own words. */
const affected = (evidence: Evidence) =>
  [LOCATIONS.noetl.serverDeployment, LOCATIONS.noetl.workerDeployment]
    .flatMap((owner) => podsOf(evidence, owner))
    .filter((pod) => !pod.ready && WORDS.includes(lastHit(pod)?.meaning as LogMeaning));
