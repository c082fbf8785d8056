/**
 * A quick look for the stretches of a text in which a value may stand. To read a text in every writing takes hundreds of times as long as
 * to read it, and of a log nearly nothing holds a value: so all escapes are read at once, and what is encoded is decoded once.
 *
 * It looks for a part of each value that no reading of all escapes changes; what holds such a part is then read with care.
 */
import { UNSEEN_SIGN } from "./harmless";
import {
  DUMPED,
  encodes,
  ESCAPES,
  holds,
  RUNS,
  OF_MAIL,
  OF_URLS,
  placesOf,
  readAll,
  refill,
  type Escape,
  type Kind,
  type Place,
} from "./readings";

/** Shortest and longest part of a value that is looked for: a long one is written over more than a window. */
const SHORTEST_CORE = 4;
const LONGEST_CORE = 16;
/** Most signs of a value among which its part is chosen. */
const CHOSEN_AMONG = 4_096;

/** Signs that no escape begins with, and no reading changes. */
const UNTOUCHED = new RegExp(`(?:(?![%\\\\&=+'"]|\\p{M}|${UNSEEN_SIGN.source})[^\\n])+`, "gu");
/** What an escape before a value may take for its own: of a text that has one there and others inside the value. */
const TAKEN = /^[ \t]*[nrtbfuUxX#]?[0-9A-Fa-f]{0,9};?/;
/** The same inside a value. */
const TAKEN_INSIDE = /^[A-Za-z0-9#{}]{0,10};?/;

/** How often the class of sign changes: in words of a log seldom, in passwords at every second one. */
const changesIn = (text: string): number => text.match(/[a-z](?![a-z])|[A-Z](?![A-Z])|\d(?!\d)/g)?.length ?? 0;

/** The part of a value that is looked for; undefined where it has none. */
function coreOf(value: string): string | undefined {
  const runs = [...value.slice(0, CHOSEN_AMONG).normalize("NFKC").matchAll(UNTOUCHED)].map(({ 0: run, index }) =>
    run.replace(index === 0 ? TAKEN : TAKEN_INSIDE, ""),
  );
  // Escapes inside such a one there are none.
  if (/^[A-Za-z0-9]{4,12}$/.test(value)) runs.push(value);
  const parts = runs.flatMap((run) =>
    Array.from({ length: Math.ceil(run.length / LONGEST_CORE) }, (_, index) =>
      run.slice(index * LONGEST_CORE, (index + 1) * LONGEST_CORE),
    ),
  );
  return parts
    .filter(({ length }) => length >= SHORTEST_CORE)
    .map((part) => ({ part, weight: part.length + changesIn(part) }))
    .sort((a, b) => b.weight - a.weight)[0]?.part;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** Most encoded runs that are remembered to hold nothing. */
const REMEMBERED = 50_000;
/** Longest run that is. */
const LONGEST_REMEMBERED = 200;

/** Of a shortest part, and how many signs of base64 are a byte. */
const FEW = 8;
const SIGNS_A_BYTE = 4 / 3;

/** Values that are looked for. */
export class Values {
  /** Matches a part of each; undefined where one has no part by which it could be found. */
  readonly cores: RegExp | undefined;
  /** True where there are none. */
  readonly isNone: boolean;
  /** Encoded runs of the texts so far that hold none of them: words, which come again and again. */
  private readonly harmless = new Map<Kind, Set<string>>();
  /** Fewest signs that encode one. */
  private readonly fewest: number;
  /** How much around a stretch in which one may stand may belong to it. */
  readonly margin: number;

  /** @param pattern matches the values; global */
  constructor(
    values: Iterable<string>,
    readonly pattern: RegExp,
  ) {
    const all = [...values];
    const cores = all.map(coreOf);
    this.isNone = all.length === 0;
    this.margin = all.reduce((longest, { length }) => Math.max(longest, 2 * length), OVERLAP);
    // What is compressed may take fewer than it has, but not many fewer.
    this.fewest = Math.min(...cores.map((core) => core?.length ?? 0), FEW) * SIGNS_A_BYTE;
    if (cores.every((core) => core !== undefined))
      this.cores = new RegExp([...new Set(cores)].map(escaped).join("|") || "(?!)");
  }

  /** Whether a part of one stands in what a run encodes, as one of `kinds`. */
  isEncodedIn(run: string, [kind, ...others]: readonly [Kind, ...Kind[]], cores: RegExp): boolean {
    if (run.length < this.fewest) return false;
    let harmless = this.harmless.get(kind);
    if (harmless?.has(run)) return false;
    const isMeant = (inner: string): boolean => holds(inner, cores, DEPTH_INSIDE);
    if (encodes(run, kind, isMeant)) return true;
    if (others.some((other) => run.match(RUNS[other])?.some((each) => encodes(each, other, isMeant)))) return true;
    if (harmless === undefined || harmless.size >= REMEMBERED) this.harmless.set(kind, (harmless = new Set()));
    if (run.length <= LONGEST_REMEMBERED) harmless.add(run);
    return false;
  }
}
/** A run of base64 may be one of base32, too; others are looked for by themselves. */
const LOOKED_FOR: readonly (readonly [Kind, ...Kind[]])[] = [["base64", "base32"], ["hex"], ["numbers"], ["dump"]];
/** How many writings may lie inside what is encoded. */
const DEPTH_INSIDE = 2;
/** How many may lie one inside the other. */
const DEPTH = 3;

/** Escapes that one inside another may be read at once. */
const NESTED = ESCAPES.filter(({ isCommon }) => isCommon !== true);
/** Those that are read for the whole text alone. */
const COMMON = ESCAPES.filter(({ isCommon }) => isCommon === true);
/** Those that leave what is encoded as it is: a plus is a sign of base64, and `=41` may be a name's end and hex. */
const BETWEEN_RUNS = NESTED.filter((escape) => escape !== OF_MAIL).map((escape): Escape =>
  escape === OF_URLS ? { ...escape, read: (found) => (found === "+" ? undefined : escape.read(found)) } : escape,
);

/** Where a line goes on in a way that is read in two. */
const TWOFOLD = /\\\r?\n[ \t]*\\/;

const readEach = (text: string, escapes: readonly Escape[]): string =>
  escapes.reduce((read, escape) => readAll(read, escape), text);

/** A text, and as it reads once or several times without escapes: what differs. */
function readingsOf(text: string, escapes: readonly Escape[], times: number): string[] {
  const found = [text];
  for (let time = 0; time < times; time++) {
    const last = found.at(-1) ?? "";
    const read = readEach(last, escapes);
    if (read === last) break;
    found.push(read);
  }
  return found;
}

/** Whether a value may stand in a text. */
function mayHold(text: string, values: Values, cores: RegExp): boolean {
  const commonly = COMMON.map((escape) => readAll(text, escape)).filter((read) => read !== text);
  const escaped = readingsOf(text, NESTED, DEPTH);
  if (escaped.some((read) => TWOFOLD.test(read) || cores.test(read))) return true;
  if (commonly.some((read) => readingsOf(read, NESTED, 1).some((each) => cores.test(each)))) return true;
  const between = readingsOf(text, BETWEEN_RUNS, DEPTH - 1);
  return [...new Set([...between, ...commonly, ...readingsOfMail(text)])].some((read) =>
    LOOKED_FOR.some((kinds) => runsIn(read, kinds[0])?.some((run) => values.isEncodedIn(run, kinds, cores)) === true),
  );
}

/** Base64 that is not broken into lines, which is found in half the time. */
const ONE_LINE = /[A-Za-z0-9+/_-]{8,}={0,2}/g;

/** Whether a line ends with so many signs of what may be encoded that it may go on in the next one. */
const endsLong = (line: string): boolean => /[\w+/=-]{40}\r?$/.test(line.slice(-41));

/** Encoded runs of a text. */
function runsIn(text: string, kind: Kind): string[] | null {
  if (kind !== "base64") return text.match(RUNS[kind]);
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
    if (endsLong(text.slice(Math.max(0, end - 41), end))) return text.match(RUNS.base64);
  }
  return text.match(ONE_LINE);
}

/** What mail has written otherwise, and the lines after such. */
const MAIL_LINES = /(?:^[^\n]*=(?:[0-9A-F]{2}[^\n]*|\r?)(?:\n|$))+[^\n]*/gm;

/** Lines of mail as they read without its escapes, before and after others. */
function readingsOfMail(text: string): string[] {
  const lines = text.match(MAIL_LINES)?.join("\n");
  if (lines === undefined) return [];
  const mail = readAll(lines, OF_MAIL);
  return [mail, readEach(mail, BETWEEN_RUNS), readAll(readEach(lines, BETWEEN_RUNS), OF_MAIL)];
}

/** How much is looked at at once, and how much of what follows with it: more than a part takes in the longest writing. */
const WINDOW = 8_192;
const OVERLAP = 1_024;

/** Whether what is encoded may go on in the line after this one. */
const goesOn = (line: string): boolean =>
  endsLong(line) ||
  (line.length < 200 && /^\s*(?:[\w+/=-]{16,}|[\d,\s]+)$/.test(line)) ||
  DUMPED.test(line.slice(0, 200));

/** Where a window ends: with a line after which nothing encoded goes on. */
function endOf(text: string, from: number): number {
  for (let end = text.indexOf("\n", from); end >= 0; end = text.indexOf("\n", end + 1)) {
    if (!goesOn(text.slice(text.lastIndexOf("\n", end - 1) + 1, end))) return end + 1;
  }
  return text.length;
}

const lineEnd = (text: string, at: number): number => {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
};
const lineStart = (text: string, at: number): number => (at <= 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1);

/** Stretches of a text, in order and apart, in which values may stand. */
function suspects(text: string, values: Values, cores: RegExp): Place[] {
  const found: { start: number; end: number }[] = [];
  for (let start = 0; start < text.length;) {
    const end = endOf(text, start + WINDOW);
    if (mayHold(text.slice(start, lineEnd(text, end + OVERLAP)), values, cores)) {
      const first = lineStart(text, start - values.margin);
      const last = lineEnd(text, end + values.margin);
      const before = found.at(-1);
      if (before && first <= before.end) before.end = last;
      else found.push({ start: first, end: last });
    }
    start = end;
  }
  return found;
}

/** Places of a text in which values stand, in whatever writing. */
export function placesIn(text: string, values: Values): Place[] {
  if (values.isNone) return [];
  refill();
  const stretches = values.cores ? suspects(text, values, values.cores) : [{ start: 0, end: text.length }];
  refill();
  return stretches.flatMap((stretch) =>
    placesOf(text.slice(stretch.start, stretch.end), values.pattern).map(({ start, end }) => ({
      start: stretch.start + start,
      end: stretch.start + end,
    })),
  );
}
