/** Pods that are ready and fail: NoETL's server and workers say so in their logs alone. */
import { LOCATIONS } from "../../../contract/facts";
import type { ConsumerFacts, Evidence, PodFacts } from "../evidence";
import { clock } from "../text";
import { finding, keyOf, run, say, type DiagnosisRule, type Explained, type FindingId, type Step } from "./finding";
import { meaningOf, type LogMeaning } from "./logs";
import { ignoresSubject, REASONS } from "./reasons";
import { consumersOf, keyOfWords, podsOf, quoteOf } from "./trouble";

/** What NoETL could not do. */
export type Action = "publish" | "fetch";

/** Key by which a failure of this kind is known as explained, where its words say no more than that the stream is not as it should be. */
export const keyOfFailing = (action: Action): string => `failing ${action}`;

/** Key by which whatever a workload says of the stream is known as explained: it looks for another one. */
export const keyOfOtherStream = (workload: string): string => `other stream ${workload}`;

/** Words of a client whose stream or consumer is not there or not as it should be, and that do not tell what is wrong with it. */
export const OF_THE_STREAM: readonly LogMeaning[] = [
  "work-queue",
  "no-response",
  "no-stream-for-subject",
  "stream-gone",
  "nats-timeout",
];

/** Whether a failure is explained by a finding so far. */
function isExplained({ action, meaning, pod }: Failure, explained: Explained): boolean {
  if (meaning !== undefined && explained.has(keyOfWords(meaning))) return true;
  if (explained.has(keyOf("pod", pod))) return true;
  if (explained.has(keyOfOtherStream(pod.owner)) && (meaning === undefined || OF_THE_STREAM.includes(meaning)))
    return true;
  if (explained.has("nats") && /^nats-(refused|timeout|login|permission|tls)$/.test(meaning ?? "")) return true;
  return explained.has(keyOfFailing(action)) && (meaning === undefined || OF_THE_STREAM.includes(meaning));
}

/** The present failures that a finding with these keys explains: it quotes them, so that nothing that fails is hidden. */
export function failuresExplainedBy(evidence: Evidence, keys: readonly string[]): Failure[] {
  const explained = new Set(keys);
  return failures(evidence).filter((failure) => isExplained(failure, explained));
}

const ACTIONS: readonly { readonly action: Action; readonly pattern: RegExp }[] = [
  // A worker that looks for its stream says so when it starts.
  { action: "fetch", pattern: /Error fetching messages|Subscribe failed/i },
  {
    action: "publish",
    pattern: /Failed to (publish|connect to NATS)|\w failed: (nats:|Not connected to NATS)|no response from stream/i,
  },
];

/** Words of a publish or a fetch that succeeded, after which an earlier failure is past. */
const SUCCESS = /received notification|Received command|Published command|Successfully claimed command/i;

/** How long after it a failure counts as one of now, in seconds: publishes come when somebody executes, fetches all the time. */
const RECENT_SECONDS: Readonly<Record<Action, number>> = { publish: 600, fetch: 120 };

/** A failure that a pod tells of and that nothing shows to be over. */
export interface Failure {
  readonly pod: PodFacts;
  readonly action: Action;
  readonly meaning?: LogMeaning;
  readonly line: string;
  readonly at: number;
}

/** The last failure of each pod of server and workers that counts as present. */
export function failures(evidence: Evidence): Failure[] {
  const { serverDeployment, workerDeployment } = LOCATIONS.noetl;
  return [serverDeployment, workerDeployment]
    .flatMap((owner) => podsOf(evidence, owner))
    .flatMap((pod) => lastFailure(pod) ?? [])
    .filter((failure) => isPresent(failure, evidence));
}

function lastFailure(pod: PodFacts): Failure | undefined {
  const lines = pod.containers.filter(({ init }) => !init).flatMap(({ log }) => log);
  const index = lines.findLastIndex(({ text }) => ACTIONS.some(({ pattern }) => pattern.test(text)));
  const { text = "", at } = lines[index] ?? {};
  const action = ACTIONS.find(({ pattern }) => pattern.test(text))?.action;
  if (action === undefined || at === undefined) return undefined;
  if (lines.slice(index + 1).some((line) => SUCCESS.test(line.text))) return undefined;
  const meaning = meaningOf(text);
  return { pod, action, meaning, line: text.trim(), at };
}

function isPresent({ pod, action, meaning, at }: Failure, evidence: Evidence): boolean {
  const { nats, now } = evidence;
  const stream = nats.ok ? nats.value.stream : undefined;
  // A message that was stored after it got through.
  if (action === "publish" && (stream?.lastMessageAt ?? 0) > at) return false;
  // A client that has given up stays so, whatever becomes of the stream.
  if (action === "publish" && meaning === "nats-closed") return true;
  // Made after the failure, the stream is another one.
  if (stream && Date.parse(stream.created) > at) return false;
  if (action === "fetch" && stream && nats.ok) {
    const ready = podsOf(evidence, pod.owner).filter((each) => each.ready).length;
    const waiting = consumersOf(evidence, pod.owner).map(
      (own) => nats.value.consumers.find(({ name }) => name === own)?.waiting ?? 0,
    );
    if (ready > 0 && waiting.every((count) => count >= ready)) return false;
  }
  return (now - at) / 1000 <= RECENT_SECONDS[action];
}

/** A worker that has started, or whose fetch has ended, asks again at once. Seconds, for a busy machine. */
const MARGIN_SECONDS = 30;

/** Since when a pod's containers run, in seconds: those of the one that was started last. */
const runsFor = ({ ageSeconds, containers }: PodFacts, now: number): number =>
  Math.min(ageSeconds, ...containers.flatMap(({ since }) => (since === undefined ? [] : [(now - since) / 1000])));

/**
 * The consumers that no worker asks for commands, although workers are ready and none is busy: they hang. Where NATS was restarted,
 * or made the stream again, a worker asks again only when the fetch that it had begun before has ended.
 *
 * @returns `sure` is false where nobody here knows when the servers were started: those of a NATS elsewhere.
 */
export function unasked(evidence: Evidence): { readonly consumers: readonly ConsumerFacts[]; readonly sure: boolean } {
  const { nats, now, namespaces, fetchTimeoutSeconds } = evidence;
  const none = { consumers: [], sure: true };
  if (!nats.ok || nats.value.stream === undefined) return none;
  const isOver = (seconds: number): boolean => seconds >= fetchTimeoutSeconds + MARGIN_SECONDS;
  const names = consumersOf(evidence, LOCATIONS.noetl.workerDeployment);
  const consumers = nats.value.consumers.filter(({ name, pull }) => pull && names.includes(name));
  const quiet = consumers.every(({ waiting, ackPending }) => waiting + ackPending === 0);
  const workers = podsOf(evidence, LOCATIONS.noetl.workerDeployment).filter(({ ready }) => ready);
  const servers = namespaces.nats?.ok
    ? namespaces.nats.value.pods.filter(({ owner }) => owner === LOCATIONS.nats.service)
    : [];
  const settled =
    workers.some((pod) => isOver(runsFor(pod, now))) &&
    servers.every((pod) => isOver(runsFor(pod, now))) &&
    isOver((now - Date.parse(nats.value.stream.created)) / 1000);
  return quiet && settled ? { consumers, sure: servers.length > 0 } : none;
}

const WORDS: Readonly<Record<Action, { readonly id: FindingId; readonly title: string }>> = {
  publish: { id: "publish-failed", title: "could not announce a command" },
  fetch: { id: "fetch-failed", title: "cannot fetch commands" },
};

/** Failed publishes and fetches of the last minutes: each a cause by itself, unless what makes it fail has been reported. */
export const failing: DiagnosisRule = (evidence, explained) => {
  const groups = new Map<string, Failure[]>();
  for (const each of failures(evidence)) {
    if (isExplained(each, explained)) continue;
    const key = `${REASONS[each.meaning ?? "no-response"]?.id ?? each.pod.owner} ${each.meaning ?? each.action}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()].map((group) => {
    const [first] = group as [Failure, ...Failure[]];
    const owners = [...new Set(group.map(({ pod }) => pod.owner))];
    const reason = first.meaning === undefined ? undefined : REASONS[first.meaning];
    const words = WORDS[first.action];
    return finding(
      reason?.id ?? words.id,
      reason?.title(owners.join(", "), first.line) ??
        `${owners.join(", ")} ${words.title}${group.every(({ pod }) => pod.ready) ? ", and stays ready" : ""}`,
      {
        symptoms: first.meaning === "no-response" ? ["noResponse"] : [],
        evidence: [...group.map(({ pod, line, at }) => quoteOf(pod, { text: line, at })), ...streamState(evidence)],
        remedy: reason?.remedy(evidence, first.line, owners) ?? unknownRemedy(evidence, first),
        explains: first.meaning === undefined ? [] : [keyOfWords(first.meaning)],
      },
    );
  });
};

function streamState({ nats }: Evidence): string[] {
  if (!nats.ok) return ["the stream itself could not be asked"];
  const { stream } = nats.value;
  if (!stream) return [];
  const stored =
    stream.lastMessageAt === undefined ? "no message yet" : `the last message at ${clock(stream.lastMessageAt)}`;
  return [`stream ${stream.name}: created ${stream.created.slice(0, 19)}Z, ${stored}`];
}

function unknownRemedy(evidence: Evidence, { action, pod }: Failure): Step[] {
  const logs = run(`${evidence.kubectl} -n ${pod.namespace} logs ${pod.name} --tail 50`);
  return action === "publish"
    ? [
        say(
          "The command stands in NoETL's database and nobody has announced it. The words above say why NATS did not take it;",
        ),
        say("where the cause is over, execute a playbook once: when it runs, this is past."),
        ...ignoresSubject(evidence),
        logs,
      ]
    : [
        say("A worker that fetches again says so within seconds. Where it goes on, a restart makes what it lacks:"),
        run(`${evidence.kubectl} -n ${pod.namespace} rollout restart deploy/${pod.owner}`),
        logs,
      ];
}
