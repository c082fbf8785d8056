/**
 * Finds values in a text however they are written there: plainly, escaped for a URL, JSON, HTML or a shell, as hex or base64,
 * and one of these inside another. What is escaped is read character by character, so that its place in the text is known;
 * what is encoded is decoded as a whole, and found or not found as a whole.
 */
import * as zlib from "node:zlib";
import { UNSEEN } from "./harmless";

/** A part of a text, its end excluded. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/**
 * How many writings may lie one inside the other: base64 in a JSON text that is hex is three. What is encoded as a whole and then again, as
 * Helm's releases are in a Secret, counts once.
 */
const DEPTH = 3;

/** A way in which a character is written as several. */
export interface Escape {
  readonly pattern: RegExp;
  /** What the writing stands for; undefined where it is something else. */
  readonly read: (found: string) => string | undefined;
  /** True for what stands in every text with more than one line or another language: looked for in the text itself, and not inside other writings. */
  readonly isCommon?: true;
}

const codePoint = (code: number): string | undefined =>
  Number.isNaN(code) || code > 0x10ffff ? undefined : String.fromCodePoint(code);

/** A sign of UTF-8 that takes several bytes, as Latin-1 shows it. */
const SIGN = /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}/g;

/** Bytes of UTF-8, and those between that are none: of a language whose escapes name characters of Latin-1, or a sign that is cut off. */
function fromBytes(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  const text = bytes.toString("utf8");
  if (!text.includes("\ufffd")) return text;
  return bytes.toString("latin1").replace(SIGN, (found) => {
    const sign = Buffer.from(found, "latin1").toString("utf8");
    return sign.includes("\ufffd") ? found : sign;
  });
}

const inHex = (numbers: readonly string[], base: number): string =>
  numbers.map((number) => (Number.parseInt(number, base) & 255).toString(16).padStart(2, "0")).join("");

const CONTROLS: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };
/** Names of HTML for signs that everybody has on the keyboard. */
const ENTITIES = new Map(
  (
    "lt < gt > amp & quot \" apos ' excl ! num # dollar $ percnt % lpar ( rpar ) ast * plus + comma , period . sol / colon : " +
    "semi ; equals = quest ? commat @ lsqb [ lbrack [ bsol \\ rsqb ] rbrack ] hat ^ lowbar _ grave ` lcub { lbrace { " +
    "verbar | vert | rcub } rbrace }"
  )
    .match(/(\S+) (\S)/g)
    ?.map((pair) => pair.split(" ") as [string, string]),
).set("nbsp", "\u00a0");

export const OF_URLS: Escape = {
  // Of a URL and of a form: bytes of UTF-8, or of Latin-1 as browsers once wrote them, whose other signs have a `u`; and a plus for a space.
  pattern: /(?:%u[0-9a-f]{4})+|(?:%[0-9a-f]{2})+|\+/gi,
  read: (found) => {
    if (found === "+") return " ";
    if (!/^%u/i.test(found)) return fromBytes(found.replaceAll("%", ""));
    return found.replace(/%u(.{4})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  },
};

export const OF_MAIL: Escape = {
  // Of mail (quoted-printable): bytes of UTF-8, and lines that go on, between two bytes of a sign too.
  pattern: /(?:=(?:[0-9A-F]{2}|\r?\n))+/g,
  read: (found) => fromBytes(found.replace(/[=\r\n]/g, "")),
};

export const ESCAPES: readonly Escape[] = [
  OF_URLS,
  {
    // Of JSON and of most languages; a shell escapes any other sign.
    pattern:
      /(?:\\x[0-9a-fA-F]{2})+|(?:\\(?:0[0-3][0-7]{2}|[0-7]{1,3}))+|\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[ux]\{[0-9a-fA-F]{1,6}\}|[nrtbf]|[^A-Za-z0-9\s])/g,
    read: (found) => {
      if (/^\\x[^{]/.test(found)) return fromBytes(found.replace(/\\x/gi, ""));
      // In eights: of C, of a shell, and of git, which writes paths so.
      if (/^\\[0-7]/.test(found)) return fromBytes(inHex(found.split("\\").slice(1), 8));
      const [, digits] = /^\\[ux]\{?([0-9a-f]+)\}?$/i.exec(found) ?? [];
      if (digits !== undefined) return codePoint(Number.parseInt(digits, 16));
      return CONTROLS[found.slice(1)] ?? found.slice(1);
    },
  },
  {
    pattern: new RegExp(
      `&(?:#0{0,9}\\d{1,7}|#x0{0,9}[0-9a-f]{1,6}|${[...ENTITIES.keys()].sort().reverse().join("|")});?`,
      "gi",
    ),
    read: (found) => {
      const [, name = ""] = /^&(.*?);?$/.exec(found) ?? [];
      const [, isHex, digits] = /^#(x?)([0-9a-f]+)$/i.exec(name) ?? [];
      return digits === undefined
        ? ENTITIES.get(name.toLowerCase())
        : codePoint(Number.parseInt(digits, isHex ? 16 : 10));
    },
  },
  OF_MAIL,
  {
    // Letters in parts, wide ones, and other ways of Unicode for what a reader takes for the same.
    pattern: /[^\0-\u02ff\u0370-\u1aff]+|\P{Cc}\p{M}+/gu,
    read: (found) => found.normalize("NFKC"),
    isCommon: true,
  },
  // Where a terminal or YAML has folded a text, and what is not seen between two letters: colours, marks of direction.
  { pattern: new RegExp(`\\r?\\n[ \\t]*|${UNSEEN.source}`, "gu"), read: () => "", isCommon: true },
  // A line that goes on: of a shell, and of YAML in double quotes, where a sign may stand before the next one's blanks; or it is the value's own.
  { pattern: /\\\r?\n[ \t]*\\?/g, read: () => "" },
  { pattern: /\\\r?\n[ \t]*(?=\\)/g, read: () => "" },
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

/** Bytes in hex; a dot or a low line is between all of them or is something else. */
const HEX =
  /(?:(?:0x)?[0-9a-f]{2}(?:[: -]|, ?)?){3,}(?:0x)?[0-9a-f]{2}|[0-9a-f]{2}(?:(?:\.[0-9a-f]{2}){3,}|(?:_[0-9a-f]{2}){3,})/gi;
/**
 * What a line of a dump shows in hex, behind the place of its first byte: byte by byte, as hexdump, od and programs of Go write it, or in
 * groups, as xxd does. The same as a text, which follows after more blanks, is not part of it.
 */
export const DUMPED =
  /\b[0-9a-f]{6,8}:?[ \t]{1,3}((?:[0-9a-f]{2} {1,2}){1,16}|(?:(?:[0-9a-f]{2}){2,8} ){1,8}(?:(?:[0-9a-f]{2}){1,7} (?= ))?)/i;
const LINE_OF_DUMP = `[^\\n]{0,80}?${DUMPED.source}[^\\n]*`;
/** Lines of a dump one after the other, each with what a log has before it. */
const DUMP = new RegExp(`(?<![^\\n])${LINE_OF_DUMP}(?:\\n${LINE_OF_DUMP})*`, "gi");
/** Bytes as numbers: how programs print what they do not take for a text. */
const NUMBERS = /\b(?:\d{1,3}(?:, ?|,?\s+)){5,}\d{1,3}\b/g;
/** Base32 of RFC 4648, in capitals as programs write it or in small letters, as in names of hosts; six signs take ten. */
const BASE32 =
  /(?:(?:[A-Z2-7]{40,}\r?\n[ \t]*)+[A-Z2-7]+|[A-Z2-7]{10,})(?![a-z])={0,6}|(?<![A-Za-z0-9])[a-z2-7]{10,}(?![A-Za-z0-9])={0,6}/g;
/** Base64 of either alphabet; broken into long lines, too. */
const BASE64 = /(?:(?:[A-Za-z0-9+/_-]{40,}\r?\n[ \t]*)+[A-Za-z0-9+/_-]+|[A-Za-z0-9+/_-]{8,})={0,2}/g;

export type Kind = "hex" | "base32" | "base64" | "numbers" | "dump";

const NUMERALS32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function fromBase32(signs: string): Buffer {
  const bytes = Buffer.alloc(Math.floor((signs.length * 5) / 8));
  let [bits, held, at] = [0, 0, 0];
  for (const sign of signs) {
    bits = ((bits << 5) | NUMERALS32.indexOf(sign)) & 0xfff;
    held += 5;
    if (held < 8) continue;
    held -= 8;
    bytes[at++] = (bits >> held) & 0xff;
  }
  return bytes;
}

/** In how many places of a group of signs a longer run may begin. */
const GROUP: Readonly<Record<Exclude<Kind, "numbers" | "dump">, number>> = { hex: 2, base64: 4, base32: 8 };
const BETWEEN: Readonly<Record<Exclude<Kind, "numbers" | "dump">, RegExp>> = {
  hex: /0x|[:,._ -]/gi,
  base64: /\s/g,
  base32: /[\s=]/g,
};

/** What an encoded run may stand for. Where it begins inside a longer run is not known: each place of a group is tried. */
function* decoded(run: string, kind: Kind): Generator<string | undefined> {
  if (kind === "numbers") {
    yield* textsOf(Buffer.from(run.split(/[\s,]+/).map(Number)));
    return;
  }
  if (kind === "dump") {
    const bytes = run.split("\n").map((line) => DUMPED.exec(line)?.[1]?.replaceAll(" ", "") ?? "");
    yield* textsOf(Buffer.from(bytes.join(""), "hex"));
    return;
  }
  const signs = run.replace(BETWEEN[kind], "");
  for (let skipped = 0; skipped < GROUP[kind]; skipped++) {
    const rest = signs.slice(skipped);
    // Node reads both alphabets of base64.
    yield* textsOf(kind === "base32" ? fromBase32(rest.toUpperCase()) : Buffer.from(rest, kind));
  }
}

/**
 * Most bytes that all runs of a text are unpacked to, one inside another too: a few signs of anybody's log may stand for a thousand times as
 * many. A Helm release of this project has a fifth of it.
 */
const MOST_UNPACKED = 1024 * 1024;
/** What is left of that for the text that is looked through. */
let unpackable = 0;

/** Before another text is looked through. */
export const refill = (): void => void (unpackable = MOST_UNPACKED);

const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
/** The second byte of what zlib has compressed, by how much. */
const ZLIB: readonly unknown[] = [0x01, 0x5e, 0x9c, 0xda];

/** Where a header of gzip ends: after ten bytes, and a file's name where it has one. What follows the end is not looked at. */
const pastHeader = (bytes: Buffer, start: number): number =>
  ((bytes[start + 3] ?? 0) & 8) === 0 ? start + 10 : bytes.indexOf(0, start + 10) + 1;

/**
 * Bytes without the compression of gzip, which may begin after others, or of zlib; the same bytes where there is none; undefined where
 * they would be more than `most`.
 */
export function uncompressed(bytes: Buffer, most: number): Buffer | undefined {
  // Of what is cut off, what there is of it is read.
  const options = { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: Math.max(1, most) };
  // To look for one byte is much quicker than for three, and most bytes are looked at for nothing.
  const start = bytes.includes(GZIP[0] ?? 0) ? bytes.indexOf(GZIP) : -1;
  try {
    if (start >= 0) return zlib.inflateRawSync(bytes.subarray(pastHeader(bytes, start)), options);
    if (bytes[0] === 0x78 && ZLIB.includes(bytes[1])) return zlib.inflateSync(bytes, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") return undefined;
    // It only looked so.
  }
  return bytes;
}

/** How often what is base64 from one end to the other is taken for it, one inside the other. */
const MOST_LAYERS = 8;

/** A text that is base64 from one end to the other, without its blanks; undefined where it is another. */
function wholeBase64(text: string): string | undefined {
  if (text.length < 16 || /[^A-Za-z0-9+/_\s=-]/.test(text)) return undefined;
  const bare = text.replace(/\s+/g, "");
  return bare.length >= 16 && /^[A-Za-z0-9+/_-]+={0,2}$/.test(bare) ? bare : undefined;
}

/** A sign above U+FFFF of UTF-32 that is read as UTF-16: its lower half, and behind it the number of its plane; the other order. */
/* eslint-disable no-control-regex */
const LOW_FIRST = /(?<low>[^\0])(?<plane>[\u0001-\u0010])/g;
const PLANE_FIRST = /(?<plane>[\u0001-\u0010])(?![\u0001-\u0010])(?<low>[^\0])/g;
/* eslint-enable no-control-regex */

/** What UTF-32 says whose signs are read as UTF-16: each has another zero, before it or after; and the same with signs above U+FFFF, where there may be any. */
function* ofUtf32(halves: string, high: RegExp): Generator<string, void> {
  const joined = halves.replace(high, (...found) => {
    const { low, plane } = found.at(-1) as { low: string; plane: string };
    return String.fromCodePoint(plane.charCodeAt(0) * 0x10000 + low.charCodeAt(0));
  });
  for (const text of new Set([halves, joined])) yield text.replaceAll("\0", "");
}

/**
 * Texts that bytes may be: UTF-8, and where there is a zero, as with every sign of English, UTF-16 and UTF-32 of either order; undefined where
 * they are too many to be looked through.
 */
function* textsOf(packed: Buffer, layers = MOST_LAYERS): Generator<string | undefined, void> {
  const bytes = uncompressed(packed, unpackable);
  if (bytes !== packed) unpackable -= bytes?.length ?? unpackable;
  if (bytes === undefined) {
    yield undefined;
    return;
  }
  const text = bytes.toString("utf8");
  yield text;
  const inner = layers > 0 ? wholeBase64(text) : undefined;
  if (inner !== undefined) yield* textsOf(Buffer.from(inner, "base64"), layers - 1);
  if (!bytes.includes(0)) return;
  for (const from of [0, 1]) {
    const rest = bytes.subarray(from);
    const pairs = Buffer.concat([rest, Buffer.alloc(rest.length % 2)]);
    yield* ofUtf32(pairs.toString("utf16le"), LOW_FIRST);
    yield* ofUtf32(pairs.swap16().toString("utf16le"), PLANE_FIRST);
  }
}

/** What each kind of encoded run looks like. */
export const RUNS: Readonly<Record<Kind, RegExp>> = {
  hex: HEX,
  base32: BASE32,
  base64: BASE64,
  numbers: NUMBERS,
  dump: DUMP,
};
const KINDS = Object.entries(RUNS) as [Kind, RegExp][];

/** A text as it reads without one kind of escapes. */
export const readAll = (text: string, { pattern, read }: Escape): string =>
  text.replace(pattern, (found) => read(found) ?? found);

/** How many writings may lie inside one; undefined where it is not tried. */
function depthBelow({ isCommon }: Escape, depth: number): number | undefined {
  if (isCommon !== true) return depth - 1;
  return depth === DEPTH ? 1 : undefined;
}

/** What all writings inside another one have at least one of: most of what only looks encoded has none, and need not be read in each. */
const ANY_WRITING = new RegExp(
  [
    ...ESCAPES.filter(({ isCommon }) => isCommon !== true).map(({ pattern }) => pattern),
    ...KINDS.map(([, runs]) => runs),
  ]
    .map(({ source }) => source)
    .join("|"),
  "i",
);

/** Whether values stand in a text, in whatever writing. */
export function holds(text: string, values: RegExp, depth: number): boolean {
  if (text.search(values) >= 0) return true;
  if (depth === 0 || (depth < DEPTH && !ANY_WRITING.test(text))) return false;
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

/** Four signs in a row, the length of the shortest value. Most of what only looks encoded has none, and need not be looked through. */
const LEGIBLE = /(?:[^\ufffd\p{Cc}]|[\t\n\r]){4}/u;

/** Whether an encoded run is meant; one that is too large to be looked through is taken for it. */
export function encodes(run: string, kind: Kind, isMeant: (text: string) => boolean): boolean {
  for (const inner of decoded(run, kind)) {
    if (inner === undefined || (LEGIBLE.test(inner) && isMeant(inner))) return true;
  }
  return false;
}

/** Places of values that are written as they are: of those that begin in another one, too. */
function plainPlaces(text: string, values: RegExp): Place[] {
  const places: Place[] = [];
  values.lastIndex = 0;
  for (let found = values.exec(text); found; found = values.exec(text)) {
    places.push({ start: found.index, end: found.index + found[0].length });
    values.lastIndex = found.index + 1;
  }
  return places;
}

/**
 * Places of a text in which values stand, in whatever writing.
 *
 * @param values matches the values; global
 */
export function placesOf(text: string, values: RegExp, depth = DEPTH): Place[] {
  const places = plainPlaces(text, values);
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

/** Places in their order, those that overlap or follow at once as one. */
export function merged(places: readonly Place[]): Place[] {
  const ordered = [...places].sort((a, b) => a.start - b.start);
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of ordered) {
    const before = joined.at(-1);
    if (before && start <= before.end) before.end = Math.max(before.end, end);
    else joined.push({ start, end });
  }
  return joined;
}
