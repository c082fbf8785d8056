/** NATS whose disk is full or broken. Its pods stay ready, and its API answers as before: its log alone tells. */
import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, LogLine, PodFacts } from "../evidence";
import { finding, run, say, type DiagnosisRule, type Step } from "./finding";
import { LOST_WITH_RESTART } from "./reasons";
import { grouped, keyOfWords } from "./trouble";
import { largerVolume } from "./volumes";

/**
 * What nats-server 2.9 to 2.15 writes of a message that the system did not let it store, with the stream and the system's words. Of one
 * that a limit refuses it writes the same for debugging.
 */
const NOT_STORED = /\[ERR\] JetStream failed to store a msg on stream '(?:[^']* > )?([^']+)': (.+)$/;

/** How long after it a failure counts for a stream of which nobody here knows when something was stored last, in seconds. */
const RECENT_SECONDS = 600;

/** A stream that a server could not write, and nothing shows that it can again. */
export interface Unwritten {
  readonly pod: PodFacts;
  readonly line: LogLine;
  readonly stream: string;
  /** In the system's words. */
  readonly why: string;
}

/** The streams that cannot be written now, each with the last line of each server about it. */
export function unwritten(evidence: Evidence): Unwritten[] {
  const { nats } = evidence.namespaces;
  if (!nats?.ok) return [];
  return nats.value.pods
    .filter(({ owner }) => owner === LOCATIONS.nats.service)
    .flatMap((pod) => {
      const last = new Map<string, Unwritten>();
      for (const line of pod.containers.flatMap(({ log }) => log)) {
        const [, stream, why = ""] = NOT_STORED.exec(line.text.trim()) ?? [];
        if (stream !== undefined) last.set(stream, { pod, line, stream, why });
      }
      return [...last.values()];
    })
    .filter((each) => isPresent(each, evidence));
}

function isPresent({ stream: name, line: { at } }: Unwritten, { stream: own, nats, now }: Evidence): boolean {
  if (at === undefined) return true;
  if (name !== own) return (now - at) / 1000 <= RECENT_SECONDS;
  const stream = nats.ok ? nats.value.stream : undefined;
  // Stored, or made, after it.
  return !((stream?.lastMessageAt ?? 0) > at || Date.parse(stream?.created ?? "") > at);
}

const isFull = ({ why }: Unwritten): boolean => /no space left|quota exceeded/i.test(why);

export const unwritableStore: DiagnosisRule = (evidence) => {
  const found = unwritten(evidence);
  const [first] = found;
  if (!first) return [];
  const streams = [...new Set(found.map(({ stream }) => stream))];
  const full = found.some(isFull);
  const what = full ? "The disk of NATS is full" : "NATS cannot write to its disk";
  return [
    finding("store-unwritable", `${what}: nothing more is stored for stream ${streams.join(", ")}`, {
      symptoms: streams.includes(evidence.stream) ? ["noResponse"] : [],
      evidence: grouped(found),
      remedy: [...(full ? moreRoom(evidence, found) : checkDisk(evidence, first)), ...restart(evidence, found)],
      explains: streams.includes(evidence.stream)
        ? [keyOfWords("store-unwritable"), keyOfWords("nats-timeout"), keyOfWords("no-response")]
        : [],
    }),
  ];
};

/** A volume of twice the size. What fills it may not be messages: files of streams that are gone, or of another program. */
function moreRoom(evidence: Evidence, [first]: readonly Unwritten[]): Step[] {
  const { namespace = "", name = "" } = first?.pod ?? {};
  return [
    say("See what fills it:"),
    run(`${evidence.kubectl} -n ${namespace} exec ${name} -c nats -- du -d 4 /data`),
    say("What is not needed can be purged or removed (`nats stream report`). Or give it more room:"),
    ...largerVolume(evidence),
  ];
}

const checkDisk = ({ kubectl }: Evidence, { pod: { namespace, name } }: Unwritten): Step[] => [
  say("See what its volume is and what the node says of it, and fix that first:"),
  run(`${kubectl} -n ${namespace} exec ${name} -c nats -- df /data`),
  run(`${kubectl} -n ${namespace} describe pod ${name}`),
];

const restart = ({ kubectl }: Evidence, found: readonly Unwritten[]): Step[] => [
  say(`Since release 2.15 a server that failed once writes again only after a restart. ${LOST_WITH_RESTART}`),
  ...[...new Set(found.map(({ pod: { namespace, name } }) => `${kubectl} -n ${namespace} delete pod ${name}`))].map(
    run,
  ),
];
