/**
 * Finds values in a text however they are written there: plainly, escaped for a URL, JSON, HTML or a shell, as hex or base64,
 * and one of these inside another. What is escaped is read character by character, so that its place in the text is known;
 * what is encoded is decoded as a whole, and found or not found as a whole.
 */
import { UNSEEN } from "./harmless";

/** A part of a text, its end excluded. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** How many writings may lie one inside the other: base64 of base64 in a JSON text is three. */
const DEPTH = 3;

/** A way in which a character is written as several. */
interface Escape {
  readonly pattern: RegExp;
  /** What the writing stands for; undefined where it is something else. */
  readonly read: (found: string) => string | undefined;
  /** True for what stands in every text with more than one line: looked for in the text itself, and not inside other writings. */
  readonly isCommon?: true;
}

const codePoint = (code: number): string | undefined =>
  Number.isNaN(code) || code > 0x10ffff ? undefined : String.fromCodePoint(code);

/** Bytes of UTF-8, or of a language whose escapes name characters of Latin-1. */
function fromBytes(hex: string): string {
  const text = Buffer.from(hex, "hex").toString("utf8");
  return text.includes("\ufffd") ? Buffer.from(hex, "hex").toString("latin1") : text;
}

const inHex = (numbers: readonly string[], base: number): string =>
  numbers.map((number) => Number.parseInt(number, base).toString(16).padStart(2, "0")).join("");

const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", nbsp: "\u00a0" };

const ESCAPES: readonly Escape[] = [
  {
    // Of a URL and of a form: bytes of UTF-8, and a plus for a space.
    pattern: /(?:%[0-9a-f]{2})+|\+/gi,
    read: (found) => (found === "+" ? " " : Buffer.from(found.replaceAll("%", ""), "hex").toString("utf8")),
  },
  {
    // Of JSON and of most languages; a shell escapes any other sign.
    pattern:
      /(?:\\x[0-9a-fA-F]{2})+|(?:\\[0-3][0-7]{2})+|\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u\{[0-9a-fA-F]{1,6}\}|[nrtbf]|[^A-Za-z0-9\s])/g,
    read: (found) => {
      if (/^\\x/i.test(found)) return fromBytes(found.replace(/\\x/gi, ""));
      // In eights: of C, of a shell, and of git, which writes paths so.
      if (/^\\[0-3]/.test(found)) return fromBytes(inHex(found.split("\\").slice(1), 8));
      const [, digits] = /^\\u\{?([0-9a-f]+)\}?$/i.exec(found) ?? [];
      if (digits !== undefined) return codePoint(Number.parseInt(digits, 16));
      return CONTROLS[found.slice(1)] ?? found.slice(1);
    },
  },
  {
    pattern: /&(?:#0{0,9}\d{1,7}|#x0{0,9}[0-9a-f]{1,6}|lt|gt|amp|quot|apos|nbsp);?/gi,
    read: (found) => {
      const [, name = ""] = /^&(.*?);?$/.exec(found) ?? [];
      const [, isHex, digits] = /^#(x?)([0-9a-f]+)$/i.exec(name) ?? [];
      return digits === undefined ? ENTITIES[name.toLowerCase()] : codePoint(Number.parseInt(digits, isHex ? 16 : 10));
    },
  },
  // Where a terminal or YAML has folded a text, and what is not seen between two letters: colours, marks of direction.
  { pattern: new RegExp(`\\r?\\n[ \\t]*|${UNSEEN.source}`, "g"), read: () => "", isCommon: true },
  // A line that goes on: of a shell, of YAML in double quotes.
  { pattern: /\\\r?\n[ \t]*\\?/g, read: () => "" },
  // A quote inside quotes: of a shell, of YAML and SQL.
  { pattern: /'\\''|(?<!\\)(?:''|"")/g, read: (found) => found.slice(-1) },
];

/** A text as it reads without one kind of escapes, and where each of its characters stands in the original. */
function withoutEscapes(text: string, { pattern, read }: Escape): { text: string; places: Place[] } {
  const places: Place[] = [];
  let plain = "";
  let last = 0;
  const keep = (until: number): void => {
    for (let at = last; at < until; at++) places.push({ start: at, end: at + 1 });
    plain += text.slice(last, until);
    last = until;
  };
  for (const match of text.matchAll(pattern)) {
    const meant = read(match[0]);
    if (meant === undefined) continue;
    keep(match.index);
    last += match[0].length;
    for (let each = 0; each < meant.length; each++) places.push({ start: match.index, end: last });
    plain += meant;
  }
  keep(text.length);
  return { text: plain, places };
}

const HEX = /(?:(?:0x)?[0-9a-f]{2}(?:[: -]|, ?)?){3,}(?:0x)?[0-9a-f]{2}/gi;
/** Bytes as numbers: how programs print what they do not take for a text. */
const NUMBERS = /\b(?:\d{1,3}(?:, ?|,?\s+)){5,}\d{1,3}\b/g;
/** Base64 of either alphabet; broken into long lines, too. */
const BASE64 = /(?:(?:[A-Za-z0-9+/_-]{40,}\r?\n[ \t]*)+[A-Za-z0-9+/_-]+|[A-Za-z0-9+/_-]{8,})={0,2}/g;

type Kind = "hex" | "base64" | "numbers";

/** What an encoded run may stand for. Where it begins inside a longer run is not known: each place of a group is tried. */
function* decoded(run: string, kind: Kind): Generator<string> {
  if (kind === "numbers") {
    yield* textsOf(Buffer.from(run.split(/[\s,]+/).map(Number)));
    return;
  }
  const signs = run.replace(kind === "hex" ? /0x|[:, -]/gi : /\s/g, "");
  for (let skipped = 0; skipped < (kind === "hex" ? 2 : 4); skipped++) {
    // Node reads both alphabets of base64.
    yield* textsOf(Buffer.from(signs.slice(skipped), kind));
  }
}

/** Texts that bytes may be: UTF-8, and where there is a zero, as with every sign of English, UTF-16 of either order. */
function* textsOf(bytes: Buffer): Generator<string> {
  yield bytes.toString("utf8");
  if (!bytes.includes(0)) return;
  for (const from of [0, 1]) {
    const rest = bytes.subarray(from);
    const pairs = Buffer.concat([rest, Buffer.alloc(rest.length % 2)]);
    yield pairs.toString("utf16le");
    yield pairs.swap16().toString("utf16le");
  }
}

const KINDS = [
  ["hex", HEX],
  ["base64", BASE64],
  ["numbers", NUMBERS],
] as const;

const readAll = (text: string, { pattern, read }: Escape): string =>
  text.replace(pattern, (found) => read(found) ?? found);

/** How many writings may lie inside one; undefined where it is not tried. */
function depthBelow({ isCommon }: Escape, depth: number): number | undefined {
  if (isCommon !== true) return depth - 1;
  return depth === DEPTH ? 1 : undefined;
}

/** Whether values stand in a text, in whatever writing. */
function holds(text: string, values: RegExp, depth: number): boolean {
  if (text.search(values) >= 0) return true;
  if (depth === 0) return false;
  const escaped = ESCAPES.some((escape) => {
    const below = depthBelow(escape, depth);
    if (below === undefined) return false;
    const reading = readAll(text, escape);
    return reading !== text && holds(reading, values, below);
  });
  return (
    escaped ||
    KINDS.some(([kind, runs]) =>
      (text.match(runs) ?? []).some((run) => encodes(run, kind, (inner) => holds(inner, values, depth - 1))),
    )
  );
}

function encodes(run: string, kind: Kind, isMeant: (text: string) => boolean): boolean {
  for (const inner of decoded(run, kind)) if (isMeant(inner)) return true;
  return false;
}

/**
 * Places of a text in which values stand, in whatever writing.
 *
 * @param values matches the values; global
 */
export function placesOf(text: string, values: RegExp, depth = DEPTH): Place[] {
  const places = [...text.matchAll(values)].map(({ 0: found, index }) => ({ start: index, end: index + found.length }));
  if (depth === 0) return places;
  for (const escape of ESCAPES) {
    // To know the places takes much longer than to know that there are some.
    const below = depthBelow(escape, depth);
    if (below === undefined) continue;
    const plain = readAll(text, escape);
    if (plain === text || !holds(plain, values, below)) continue;
    const reading = withoutEscapes(text, escape);
    for (const { start, end } of placesOf(reading.text, values, below)) {
      places.push({ start: reading.places[start]?.start ?? 0, end: reading.places[end - 1]?.end ?? text.length });
    }
  }
  for (const [kind, runs] of KINDS) {
    for (const { 0: run, index: start } of text.matchAll(runs)) {
      if (encodes(run, kind, (inner) => holds(inner, values, depth - 1)))
        places.push({ start, end: start + run.length });
    }
  }
  return places;
}

/** Places in their order, those that overlap as one. */
export function merged(places: readonly Place[]): Place[] {
  const ordered = [...places].sort((a, b) => a.start - b.start);
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of ordered) {
    const before = joined.at(-1);
    if (before && start < before.end) before.end = Math.max(before.end, end);
    else joined.push({ start, end });
  }
  return joined;
}
