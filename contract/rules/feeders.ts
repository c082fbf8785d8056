/** Other streams that republish on the subjects of NoETL's stream: what they hand on, and whether it is the stream's own commands again. */
import type { StreamConfig } from "nats";
import { storedSubjects, subjectsCover, subjectsInCommon, subjectsOverlap, type SubjectTransform } from "../subjects";

export interface Feeder {
  readonly name: string;
  /** Subjects of NoETL's stream on which it republishes. */
  readonly subjects: readonly string[];
  /** Whether what it hands on comes back to it, so that each command comes again without end. */
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

/** The part of a pattern that a filter lets through, which is one pattern or none. */
function through(pattern: string, filter: string | undefined): string[] {
  const part = subjectsInCommon(pattern, filter === undefined || filter === "" ? ANY : filter);
  return part === undefined ? [] : [part];
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

/** What a stream holds, as patterns. */
interface Part {
  readonly stream: StreamConfig;
  readonly held: string;
}

/** Where a stream takes messages from that it can republish. */
const originsOf = ({ mirror, sources = [] }: StreamConfig, { takesSourced }: Streams): Origin[] => [
  ...(mirror ? [mirror] : []),
  ...(takesSourced ? sources : []),
];

function takenFrom({ filter_subject: filter, subject_transforms: transforms = [] }: Origin, held: string): string[] {
  return transforms.length === 0 ? through(held, filter) : transforms.flatMap((each) => moved(held, each));
}

/** Tokens from which on a name says no more than that it grows; and patterns of one stream that are followed. */
const MOST_TOKENS = 16;
const MOST_PATTERNS = 1_000;

/** A name that grows at every turn ends as one that stands for all longer ones. */
function bounded(pattern: string): string {
  const tokens = pattern.split(".");
  return tokens.length > MOST_TOKENS ? [...tokens.slice(0, MOST_TOKENS - 1), ANY].join(".") : pattern;
}

/** How messages go from one stream to others. */
class Flow {
  /** Who takes from a stream, by its name; what another account or server holds under that name is another stream's. */
  private readonly takers = new Map<string, { readonly by: StreamConfig; readonly origin: Origin }[]>();
  /** What comes from where nobody can look. */
  private readonly unknown: Part[] = [];

  constructor(private readonly streams: Streams) {
    const names = new Set(streams.configs.map(({ name }) => name));
    for (const by of streams.configs) {
      for (const origin of originsOf(by, streams)) {
        if (origin.external || !names.has(origin.name)) {
          this.unknown.push(...takenFrom(origin, ANY).map((held) => ({ stream: by, held })));
        } else {
          this.takers.set(origin.name, [...(this.takers.get(origin.name) ?? []), { by, origin }]);
        }
      }
    }
  }

  /** All that streams hold of these parts, by the streams' names. */
  from(parts: readonly Part[]): Map<string, string[]> {
    const found = new Map<string, string[]>();
    const open: Part[] = [];
    const take = (stream: StreamConfig, patterns: readonly string[]): void => {
      const known = found.get(stream.name) ?? [];
      found.set(stream.name, known);
      for (const held of patterns.map(bounded)) {
        if (known.length >= MOST_PATTERNS || subjectsCover(known, held)) continue;
        known.push(held);
        open.push({ stream, held });
      }
    };
    for (const { stream, held } of parts) take(stream, [held]);
    for (let next = open.pop(); next; next = open.pop()) {
      const { stream, held } = next;
      for (const { by, origin } of this.takers.get(stream.name) ?? []) take(by, takenFrom(origin, held));
      const out = republished(stream, held);
      if (out.length === 0) continue;
      for (const config of this.streams.configs) {
        take(
          config,
          out.flatMap((subject) => stored(config, subject)),
        );
      }
    }
    return found;
  }

  /** All that streams hold. */
  all(): Map<string, string[]> {
    const published = this.streams.configs.flatMap((stream) =>
      (stream.subjects ?? []).flatMap((subject) => stored(stream, subject)).map((held) => ({ stream, held })),
    );
    return this.from([...published, ...this.unknown]);
  }
}

/** Turns after which what still comes back has no end: some names change a few times, and then go nowhere. */
const TURNS = 3;

/** Other streams that republish on what NoETL's stream takes. */
export function feedersOf(streams: Streams): Feeder[] {
  const own = streams.configs.find(({ name }) => name === streams.own);
  const feeding = streams.configs.filter((config) => config.name !== streams.own && config.republish);
  if (!own || feeding.length === 0) return [];
  const flow = new Flow(streams);
  const parts = (patterns: readonly string[]): Part[] => patterns.map((held) => ({ stream: own, held }));
  const published = streams.published.flatMap((subject) => stored(own, subject));
  const [commands, all] = [flow.from(parts(published)), flow.all()];

  /** What a stream publishes on our subjects, of what it holds. */
  const handsOn = (config: StreamConfig, held: Map<string, string[]>): string[] =>
    (held.get(config.name) ?? [])
      .flatMap((each) => republished(config, each))
      .filter((subject) => subjectsHit(own, subject).length > 0);
  const comesBack = (config: StreamConfig): boolean => {
    let turn = handsOn(config, commands);
    for (let turns = 0; turns < TURNS && turn.length > 0; turns++) {
      turn = handsOn(config, flow.from(parts(turn.flatMap((subject) => stored(own, subject)))));
    }
    return turn.length > 0;
  };
  return feeding.flatMap((config): Feeder[] => {
    const subjects = [...new Set(handsOn(config, all).flatMap((subject) => subjectsHit(own, subject)))];
    return subjects.length === 0 ? [] : [{ name: config.name, subjects, again: comesBack(config) }];
  });
}

const subjectsHit = ({ subjects = [] }: StreamConfig, published: string): string[] =>
  subjects.filter((subject) => subjectsOverlap(subject, published));
