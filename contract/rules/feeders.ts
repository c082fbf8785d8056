/** Other streams that republish on the subjects of NoETL's stream: what they hand on, and whether it is the stream's own commands again. */
import type { StreamConfig } from "nats";
import { storedSubjects, subjectsCover, subjectsOverlap, type SubjectTransform } from "../subjects";

export interface Feeder {
  readonly name: string;
  /** Subjects of NoETL's stream on which it republishes. */
  readonly subjects: readonly string[];
  /** Whether it gets what NoETL's stream holds, so that each command comes again without end. */
  readonly again: boolean;
}

/** The streams of an account, as far as it matters where their messages come from and go to. */
export interface Streams {
  readonly configs: readonly StreamConfig[];
  /** NoETL's. */
  readonly own: string;
  /** What NoETL publishes on. */
  readonly published: readonly string[];
  /** Whether a stream stores what another one has sourced and republishes; from nats-server 2.15 on it refuses that. */
  readonly takesSourced: boolean;
}

const ANY = ">";

/** The part of a pattern that a filter lets through; the filter itself where it is not the wider of the two. */
function through(pattern: string, filter: string | undefined): string[] {
  const wanted = filter === undefined || filter === "" ? ANY : filter;
  if (!subjectsOverlap(wanted, pattern)) return [];
  return [subjectsCover([wanted], pattern) ? pattern : wanted];
}

/** A part of a pattern under the name that a transform gives it. */
const moved = (pattern: string, { src = "", dest = "" }: Partial<SubjectTransform>): string[] =>
  through(pattern, src).flatMap((part) => storedSubjects(part, { src, dest }));

/** What a stream hands on of what it holds. */
const republished = ({ republish }: StreamConfig, held: string): string[] => (republish ? moved(held, republish) : []);

/** What a stream holds of what is published. */
const stored = ({ subjects = [], subject_transform: transform }: StreamConfig, published: string): string[] =>
  subjects
    .flatMap((subject) => through(published, subject))
    .flatMap((part) => storedSubjects(part, transform && { src: transform.src ?? "", dest: transform.dest ?? "" }));

type Origin = NonNullable<StreamConfig["mirror"]>;

/** Where a stream takes messages from that it can republish. */
const originsOf = ({ mirror, sources = [] }: StreamConfig, { takesSourced }: Streams): Origin[] => [
  ...(mirror ? [mirror] : []),
  ...(takesSourced ? sources : []),
];

function takenFrom({ filter_subject: filter, subject_transforms: transforms = [] }: Origin, held: string): string[] {
  return transforms.length === 0 ? through(held, filter) : transforms.flatMap((each) => moved(held, each));
}

/** All that a stream may hold; of a stream that is not among these, anything. */
function heldBy(config: StreamConfig, streams: Streams, seen: readonly string[] = []): string[] {
  const own = (config.subjects ?? []).flatMap((subject) => stored(config, subject));
  const taken = originsOf(config, streams).flatMap((origin) => {
    const from = streams.configs.find(({ name }) => name === origin.name);
    const held = from && !seen.includes(from.name) ? heldBy(from, streams, [...seen, config.name]) : [ANY];
    return held.flatMap((each) => takenFrom(origin, each));
  });
  return [...own, ...taken];
}

/** Streams that get NoETL's commands, each with the names under which it holds them. */
function getting(own: StreamConfig, streams: Streams): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const open: [StreamConfig, string][] = [];
  const take = (config: StreamConfig, patterns: readonly string[]): void => {
    const known = found.get(config.name) ?? new Set();
    found.set(config.name, known);
    for (const pattern of patterns) {
      // A name that grows at every turn says no more than that there is no end of it.
      if (known.has(pattern) || known.size >= MOST_NAMES) continue;
      known.add(pattern);
      open.push([config, pattern]);
    }
  };
  take(
    own,
    streams.published.flatMap((subject) => stored(own, subject)),
  );
  for (let next = open.pop(); next; next = open.pop()) {
    const [from, held] = next;
    for (const config of streams.configs) {
      if (config.name === own.name) continue;
      const origins = originsOf(config, streams).filter(({ name }) => name === from.name);
      take(
        config,
        origins.flatMap((origin) => takenFrom(origin, held)),
      );
      take(
        config,
        republished(from, held).flatMap((subject) => stored(config, subject)),
      );
    }
  }
  return found;
}

const MOST_NAMES = 100;

/** Other streams that republish on what NoETL's stream takes. */
export function feedersOf(streams: Streams): Feeder[] {
  const own = streams.configs.find(({ name }) => name === streams.own);
  if (!own) return [];
  const taken = (config: StreamConfig, held: Iterable<string>): string[] => [
    ...new Set([...held].flatMap((each) => republished(config, each)).flatMap((each) => subjectsHit(own, each))),
  ];
  const commands = getting(own, streams);
  return streams.configs.flatMap((config): Feeder[] => {
    if (config.name === own.name || !config.republish) return [];
    const again = taken(config, commands.get(config.name) ?? []);
    const subjects = again.length > 0 ? again : taken(config, heldBy(config, streams));
    return subjects.length === 0 ? [] : [{ name: config.name, subjects, again: again.length > 0 }];
  });
}

const subjectsHit = ({ subjects = [] }: StreamConfig, published: string): string[] =>
  subjects.filter((subject) => subjectsOverlap(subject, published));
