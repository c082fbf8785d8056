/** What has to be done about the objects that are declared, and what must not be: decided before the first change. */
import type { ConsumerInfo, StreamInfo } from "nats";
import { plural } from "../wording";
import { subjectsOverlap } from "../subjects";
import { differencesOf, patched, unsupportedFields, type Difference, type Refusal, type ServerFacts } from "./compare";
import {
  consumerConflicts,
  consumerOfStreamConflicts,
  queueConflict,
  streamConflicts,
  type NamedConsumer,
} from "./conflicts";
import { consumerKey, type DeclaredObserved } from "./observe";
import { targetsOf, type Config, type Target } from "./targets";
import type { Declared } from "./types";

/** One request to the JetStream API; `subject` follows `$JS.API.`. */
export interface DeclaredChange {
  readonly does: string;
  readonly subject: string;
  readonly body: object;
}

/** How one declared object stands. */
export interface Standing {
  readonly target: Target;
  readonly state: "as declared" | "missing" | "different" | "to be removed";
  readonly differences: readonly Difference[];
  /** Why it cannot be made as declared; nothing at all is then changed. */
  readonly refusals: readonly Refusal[];
  /** What makes it as declared; empty where it is, or where something refuses. */
  readonly changes: readonly DeclaredChange[];
}

const asConfig = (info: { readonly config: object } | undefined): Config | undefined =>
  info?.config as Config | undefined;

const isAnswered = ({ stream, consumer }: Target, { silent = {} }: DeclaredObserved): boolean =>
  silent[consumer === undefined ? stream : consumerKey(stream, consumer)] === undefined;

/** How everything that is declared, and answered for, stands, in the order in which it is put right. */
export function standings(declared: Declared, observed: DeclaredObserved): Standing[] {
  const targets = targetsOf(declared);
  const after = streamsAfterwards(targets, observed);
  const answered = targets.filter((target) => isAnswered(target, observed));
  const all = answered.map((target) =>
    target.remove !== undefined
      ? removal(target, targets, observed)
      : target.consumer === undefined
        ? streamStanding(target, targets, observed)
        : consumerStanding(target, { targets, observed, after }),
  );
  const removals = all.filter(({ target }) => target.remove !== undefined);
  const streams = all.filter(({ target }) => target.remove === undefined && target.consumer === undefined);
  const consumers = all.filter(({ target }) => target.remove === undefined && target.consumer !== undefined);
  // A consumer of a stream that goes has to go first where both are to go only if they are empty.
  removals.sort((a, b) => Number(b.target.consumer !== undefined) - Number(a.target.consumer !== undefined));
  return [...removals, ...inOrder(streams, observed), ...consumers];
}

/** Configurations of the declared streams once all is done. */
function streamsAfterwards(targets: readonly Target[], observed: DeclaredObserved): Map<string, Config> {
  const found = Object.entries(observed.streams).flatMap(([name, info]) =>
    info ? [[name, info.config as unknown as Config] as const] : [],
  );
  const after = new Map<string, Config>(found);
  for (const target of targets) {
    if (target.consumer !== undefined || target.remove !== undefined) continue;
    const config = after.get(target.stream);
    after.set(target.stream, config ? patched(config, differencesOf(target, config, observed.server)) : target.config);
  }
  return after;
}

function removal(target: Target, targets: readonly Target[], { streams, consumers }: DeclaredObserved): Standing {
  const { stream, consumer, label, remove } = target;
  const nothing = { target, differences: [], refusals: [], changes: [] };
  if (consumer !== undefined) {
    const info = consumers[consumerKey(stream, consumer)];
    if (!info) return { ...nothing, state: "as declared" };
    const waiting = info.num_pending + info.num_ack_pending;
    if (remove === "ifEmpty" && waiting > 0)
      return {
        ...nothing,
        state: "to be removed",
        refusals: [holds(`${plural(waiting, "message")} it has not delivered or had acknowledged`)],
      };
    return {
      ...nothing,
      state: "to be removed",
      changes: [{ does: `remove ${label}`, subject: `CONSUMER.DELETE.${stream}.${consumer}`, body: {} }],
    };
  }
  const info = streams[stream];
  if (!info) return { ...nothing, state: "as declared" };
  const leaving = targets.filter(
    (other) =>
      other.consumer !== undefined &&
      other.stream === stream &&
      other.remove !== undefined &&
      consumers[consumerKey(stream, other.consumer)],
  ).length;
  const contents = contentsOf(info, leaving);
  if (remove === "ifEmpty" && contents !== "")
    return { ...nothing, state: "to be removed", refusals: [holds(contents)] };
  const does = contents === "" ? `remove ${label}` : `remove ${label} with ${contents}`;
  return { ...nothing, state: "to be removed", changes: [{ does, subject: `STREAM.DELETE.${stream}`, body: {} }] };
}

const holds = (what: string): Refusal => ({ reason: `it holds ${what}`, remedy: "declare" });

function contentsOf({ state: { messages, consumer_count: count } }: StreamInfo, leaving: number): string {
  const consumers = count - leaving;
  return [
    ...(messages > 0 ? [plural(messages, "message")] : []),
    ...(consumers > 0 ? [plural(consumers, "consumer")] : []),
  ].join(" and ");
}

/** Refusals of differences, with the key that each is about. */
const refusedIn = (differences: readonly Difference[]): Refusal[] =>
  differences.flatMap(({ key, refused }) => (refused ? [{ ...refused, reason: `${key}: ${refused.reason}` }] : []));

const contradiction = (reason: string): Refusal => ({ reason: `it ${reason}`, remedy: "declare" });

function streamStanding(target: Target, targets: readonly Target[], observed: DeclaredObserved): Standing {
  const info = observed.streams[target.stream];
  const taken = takenBy(target, targets, observed).map(contradiction);
  if (!info) {
    const refusals = [...refusedIn(unsupportedFields(target, observed.server)), ...taken];
    const create = { does: `create ${target.label}`, subject: `STREAM.CREATE.${target.stream}`, body: target.config };
    return { target, state: "missing", differences: [], refusals, changes: refusals.length > 0 ? [] : [create] };
  }
  const config = info.config as unknown as Config;
  const differences = differencesOf(target, config, observed.server);
  if (differences.length === 0) return { target, state: "as declared", differences, refusals: [], changes: [] };
  const next = patched(config, differences);
  const before = new Set(streamConflicts(config));
  const conflicts = streamConflicts(next)
    .filter((each) => !before.has(each))
    .map(contradiction);
  const refusals = [...refusedIn(differences), ...conflicts, ...taken, ...losses(info, next)];
  const does = `update ${target.label}: ${described(differences)}${consequences(info, next)}`;
  const update = { does, subject: `STREAM.UPDATE.${target.stream}`, body: next };
  return { target, state: "different", differences, refusals, changes: refusals.length > 0 ? [] : [update] };
}

const described = (differences: readonly Difference[]): string =>
  differences.map(({ key, found, declared }) => `${key} ${found} -> ${declared}`).join(", ");

/** What an update would drop although nobody has said so. */
function losses({ config, state }: StreamInfo, next: Config): Refusal[] {
  const becomesInterest = String(config.retention) !== "interest" && next.retention === "interest";
  if (!becomesInterest || state.messages === 0 || state.consumer_count > 0) return [];
  const reason = `it has no consumer, so that retention interest would drop its ${plural(state.messages, "message")}: make the consumers first`;
  return [{ reason, remedy: "declare" }];
}

/** Whether a limit refuses new messages where it is reached: the oldest stay. */
export const keepsOut = (config: Config, limit: string): boolean =>
  config.discard === "new" && (limit === "max_msgs" || limit === "max_bytes");

/** What goes because a limit is lowered as declared, in words. */
function consequences({ state, config }: StreamInfo, next: Config): string {
  const lowered = (key: "max_msgs" | "max_bytes", held: number): number => {
    const limit = next[key] as number | undefined;
    if (keepsOut(next, key)) return 0;
    return limit !== undefined && limit > 0 && limit !== config[key] && held > limit ? held - limit : 0;
  };
  const messages = lowered("max_msgs", state.messages);
  const bytes = lowered("max_bytes", state.bytes);
  const age = next.max_age as number;
  const older =
    age > 0 &&
    age !== config.max_age &&
    state.messages > 0 &&
    Date.parse(String(state.first_ts)) < Date.now() - age / 1e6;
  const goes = [
    ...(messages > 0 ? [`the oldest ${plural(messages, "message")} go`] : []),
    ...(bytes > 0 ? [`the oldest ${bytes} bytes go`] : []),
    ...(older ? [`messages older than ${age / 1e9} s go`] : []),
  ];
  return goes.length === 0 ? "" : ` (${goes.join(", ")})`;
}

/** Streams that nobody declares and that take what a declared one is to take. */
function takenBy(target: Target, targets: readonly Target[], { takers, streams }: DeclaredObserved): string[] {
  const declared = new Set(targets.filter(({ consumer }) => consumer === undefined).map(({ stream }) => stream));
  const mine = (asConfig(streams[target.stream])?.subjects as string[] | undefined) ?? [];
  return ((target.config.subjects as string[] | undefined) ?? []).flatMap((subject) =>
    mine.includes(subject)
      ? []
      : (takers[subject] ?? [])
          .filter((name) => name !== target.stream && !declared.has(name))
          .map((name) => `takes ${subject}, which stream ${name} takes already`),
  );
}

interface Around {
  readonly targets: readonly Target[];
  readonly observed: DeclaredObserved;
  readonly after: ReadonlyMap<string, Config>;
}

function consumerStanding(target: Target, around: Around): Standing {
  const { stream, consumer = "", label } = target;
  const { observed, after } = around;
  const info = observed.consumers[consumerKey(stream, consumer)];
  const streamConfig = after.get(stream);
  const subject = `CONSUMER.DURABLE.CREATE.${stream}.${consumer}`;
  if (!info) {
    const against = streamConfig ? againstStream(target, streamConfig, around) : [];
    const refusals = [...refusedIn(unsupportedFields(target, observed.server)), ...against.map(contradiction)];
    const body = { stream_name: stream, config: target.config, action: "create" };
    return {
      target,
      state: "missing",
      differences: [],
      refusals,
      changes: refusals.length > 0 ? [] : [{ does: `create ${label}`, subject, body }],
    };
  }
  const config = info.config as unknown as Config;
  const differences = differencesOf(target, config, observed.server);
  if (differences.length === 0) return { target, state: "as declared", differences, refusals: [], changes: [] };
  const next = patched(config, differences);
  const before = new Set([
    ...consumerConflicts(config),
    ...(streamConfig ? againstStream({ ...target, config }, streamConfig, around) : []),
  ]);
  const against = [
    ...consumerConflicts(next),
    ...(streamConfig ? againstStream({ ...target, config: next }, streamConfig, around) : []),
  ];
  const refusals = [...refusedIn(differences), ...against.filter((each) => !before.has(each)).map(contradiction)];
  const does = `update ${label}: ${described(differences)}`;
  const body = { stream_name: stream, config: next };
  return {
    target,
    state: "different",
    differences,
    refusals,
    changes: refusals.length > 0 ? [] : [{ does, subject, body }],
  };
}

function againstStream(target: Target, stream: Config, { targets, observed }: Around): string[] {
  const { config } = target;
  const own = targets.filter((other) => other.stream === target.stream && other.consumer !== undefined);
  const there = (observed.beside[target.stream] ?? [])
    .filter(({ name }) => !own.some(({ consumer }) => consumer === name))
    .map(({ name, config: other }: ConsumerInfo): NamedConsumer => ({ name, config: other as unknown as Config }));
  const queue = queueConflict({ name: target.consumer ?? "", config }, there, stream);
  return [...consumerOfStreamConflicts(config, stream), ...(queue === undefined ? [] : [queue])];
}

/**
 * Streams in an order in which none takes a subject that another one still has. What cannot be ordered, because two streams
 * exchange subjects, is refused.
 */
function inOrder(streams: readonly Standing[], observed: DeclaredObserved): Standing[] {
  const subjects = new Map<string, readonly string[]>(
    streams.map(({ target }) => [
      target.stream,
      (asConfig(observed.streams[target.stream])?.subjects as string[] | undefined) ?? [],
    ]),
  );
  const nextOf = ({ changes }: Standing): readonly string[] =>
    ((changes[0]?.body as Config | undefined)?.subjects as string[] | undefined) ?? [];
  const blocker = (standing: Standing): string | undefined =>
    [...subjects].find(
      ([name, theirs]) =>
        name !== standing.target.stream &&
        nextOf(standing).some((each) => theirs.some((other) => subjectsOverlap(each, other))),
    )?.[0];
  const ordered: Standing[] = [];
  let waiting = [...streams];
  while (waiting.length > 0) {
    const index = waiting.findIndex((standing) => standing.changes.length === 0 || blocker(standing) === undefined);
    if (index < 0) {
      const stuck = waiting.map((standing) => ({
        ...standing,
        changes: [],
        refusals: [
          contradiction(
            `takes subjects that stream ${blocker(standing) ?? ""} still has, and gives it others: do it in two steps`,
          ),
        ],
      }));
      return [...ordered, ...stuck];
    }
    const [standing] = waiting.splice(index, 1) as [Standing];
    if (standing.changes.length > 0) subjects.set(standing.target.stream, nextOf(standing));
    ordered.push(standing);
    waiting = [...waiting];
  }
  return ordered;
}

export type { ServerFacts };
