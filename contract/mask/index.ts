/**
 * Keeps secrets out of reports. Five nets, each on its own: stand-ins of the run, values that the program marks as
 * secret, entries of Secrets, names that say "password", and credentials inside URLs, private keys and
 * tokens of known issuers.
 */
import { harmless } from "./harmless";
import { isHiddenName } from "./names";
import { LONGEST, pieces, withoutLongLines } from "./pieces";
import { SHOWN, UNKNOWN, type PlaceholderKind } from "./placeholders";
import { merged, type Place } from "./readings";
import { placesIn, Values } from "./suspects";
import { credentialsIn, isHarmless, withoutKeys, withoutUnknown } from "./unknown";

/** True where a text under this name is a credential itself: no switch, no reference to where it is kept. */
export const isCredential = (name: string, text: string): boolean => isHiddenName(name) && !isHarmless(text);

/** Entries of Secrets that hold no secret although they stand there: addresses, switches, numbers. */
const HARMLESS = /^(true|false|\d{1,5}|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?|https?:\/\/[^\s@]*)$/;
/** Entries that name something, where what they hold is a name. */
const NAMES = /(?:^|[-_.])(?:user(?:name)?|db|database|schema|host|name)$/i;
const NAME = /^[a-z][a-z0-9_-]*$/;

/** Shortest value that is hidden wherever it turns up, and shortest that is hidden where it stands as a word of its own. */
const SHORTEST = 6;
const SHORTEST_WORD = 4;

/** Words that reports consist of: as a password they hide nothing, and without them no report could be read. */
const ORDINARY = new Set(
  "nats noetl postgres gateway kubernetes default password passwd secret token true false null none".split(" "),
);

/** True where a known secret is hidden in every text; one that is shorter is hidden where its name gives it away. */
const isDistinctive = (value: string): boolean =>
  value.trim().length >= SHORTEST_WORD && !ORDINARY.has(value) && !(value.length < SHORTEST && /^\d+$/.test(value));

/** What stands at the ends of a value and is none of it for a program that reads it: blanks, a byte order mark, a zero. */
const ENDS = /[\s\ufeff\0]/;
function withoutEnds(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && ENDS.test(value.charAt(from))) from++;
  while (from < to && ENDS.test(value.charAt(to - 1))) to--;
  return value.slice(from, to);
}

/** Bytes that are not text, where a value is their base64: as other programs write them. */
function bytesOf(value: string): string[] {
  if (!/^[A-Za-z0-9+/]{16,}={0,2}$/.test(value) || value.length > LONGEST_KEY) return [];
  const bytes = Buffer.from(value, "base64");
  return bytes.toString("utf8").includes("\ufffd")
    ? [
        value.replace(/=+$/, ""),
        bytes.toString("base64url"),
        bytes.toString("hex"),
        bytes.toString("hex").toUpperCase(),
      ]
    : [];
}
/** Longest base64 that is taken for a key. */
const LONGEST_KEY = 1_024;

/** A value, of one with many lines each line, and the credentials that it consists of. */
function partsOf(value: string): string[] {
  const bare = withoutEnds(value);
  const inner = bytesOf(bare).concat(value.length > LONGEST ? [] : credentialsIn(value));
  const whole = [...new Set([value, bare, bare.normalize("NFKC")])];
  if (!/[\r\n]/.test(bare)) return [...whole, ...inner];
  const lines = bare.split(/[\r\n]+/).map((line) => line.trim());
  // `server:` or `}` is the form of a file.
  const secret = lines.filter((line) => line.length >= SHORTEST && !/^[\w."'-]*\s*[:{}[\](),]+$/.test(line));
  return [...whole, ...secret, ...inner];
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** A short value is one where it stands alone: `demo` is not hidden in `demographics`. */
const asPattern = (value: string): string =>
  value.length < SHORTEST ? `(?<![A-Za-z0-9])${escape(value)}(?![A-Za-z0-9])` : escape(value);

/** A value that is secret because of where it stands; compared, never shown. */
export class Opaque {
  /** @param word what reports show instead */
  constructor(
    readonly text: string,
    readonly word: string = SHOWN.secret,
  ) {}
}

/** What a masker knows beside the words of its own. */
export interface MaskerOptions {
  /** Folders of this machine, and what to show for them. */
  readonly folders?: Readonly<Record<string, string>>;
  /** What stands in the place of a secret. */
  readonly word?: string;
}

/** Most signs of a value that a pattern looks for at once: of a hundred thousand of one kind V8 makes none, and shows them in its error. */
const LONGEST_PATTERN = 4_096;
function inParts(value: string): string[] {
  const count = Math.max(1, Math.floor(value.length / LONGEST_PATTERN));
  return Array.from({ length: count }, (_, index) =>
    value.slice(index * LONGEST_PATTERN, index === count - 1 ? undefined : (index + 1) * LONGEST_PATTERN),
  );
}

const matching = (words: Iterable<string>): RegExp =>
  // The longest first: a URL around a password goes as a whole. Nothing at all is matched by `(?!)`.
  new RegExp(
    [...new Set([...words].flatMap(inParts))]
      .sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
      .map(asPattern)
      .join("|") || "(?!)",
    "g",
  );

/** Puts words in the place of secrets and of what the run made up. */
export class Masker {
  private readonly words = new Map<string, string>();
  private readonly shown: RegExp;
  private readonly secrets: Values;
  private readonly word: string;

  /**
   * @param issued the stand-ins of both sides
   * @param known values that the program marks as secret, and entries of Secrets worth hiding everywhere
   */
  constructor(
    issued: Iterable<readonly [string, PlaceholderKind]>,
    known: Iterable<string>,
    { folders = {}, word = SHOWN.secret }: MaskerOptions = {},
  ) {
    this.word = word;
    for (const [folder, name] of Object.entries(folders)) this.words.set(folder, name);
    this.words.set(UNKNOWN, SHOWN.unknown);
    const secrets = new Set<string>();
    for (const [value, kind] of issued) {
      if (kind === "secret") secrets.add(value);
      else this.words.set(value, SHOWN[kind]);
    }
    for (const value of known) for (const part of partsOf(value)) if (isDistinctive(part)) secrets.add(part);
    for (const value of secrets) this.words.delete(value);
    this.shown = matching([...this.words.keys()]);
    this.secrets = new Values(secrets, matching(secrets));
  }

  /** A URN. Its colons part types and name, so that `Secret::x` is not a credential named `Secret`. */
  urn(value: string): string {
    const parts = value.split("::");
    return [...parts.slice(0, -1).map((part) => this.known(part)), this.text(parts.at(-1) ?? "")].join("::");
  }

  /** Whether a known secret stands in a text, however it is written there. */
  holdsSecret(text: string): boolean {
    return this.placesOf(text).length > 0;
  }

  private placesOf(value: string): Place[] {
    return pieces(value).flatMap(({ from, text }) =>
      placesIn(text, this.secrets).map(({ start, end }) => ({ start: from + start, end: from + end })),
    );
  }

  private known(value: string): string {
    const places = merged(this.placesOf(value));
    const rest = [0, ...places.map(({ end }) => end)].map((from, index) => value.slice(from, places[index]?.start));
    return rest.map((text) => text.replace(this.shown, (found) => this.words.get(found) ?? this.word)).join(this.word);
  }

  /** A text with everything secret replaced. */
  text(value: string): string {
    const shown = withoutKeys(this.known(withoutLongLines(value, this.word)), this.word);
    return pieces(shown, 0)
      .map(({ text }) => withoutUnknown(text, this.word))
      .join("");
  }

  /** A scalar under a name, such as a field's key or a variable's name. */
  scalar(value: unknown, name: string): string | number | boolean | null {
    if (value instanceof Opaque) return value.word;
    if (value === null || typeof value === "boolean") return value;
    if (typeof value !== "string" && typeof value !== "number") return this.text(JSON.stringify(value) ?? "");
    const text = String(value);
    if (isCredential(name, text)) {
      const word = this.words.get(text);
      return word && word !== SHOWN.generated ? word : this.word;
    }
    const masked = this.text(text);
    return typeof value === "number" && masked === text ? value : masked;
  }
}

/** The entries of a Secret that are hidden wherever they turn up. */
export function knownSecrets(entries: Readonly<Record<string, string>>): string[] {
  return Object.entries(entries).flatMap(([key, value]) =>
    isHiddenName(key) || !(HARMLESS.test(value) || (NAMES.test(key) && NAME.test(value))) ? [value] : [],
  );
}

/**
 * A function that hides secrets in the text of a cluster that runs: everything that a {@link Masker} hides.
 *
 * @param secrets what must not be shown; of those that are shorter than four characters, and of the words that reports consist
 *   of (`noetl:noetl` is the specification's example), what stands in URLs and under a name that says so
 * @param plain what is shown all the same: the names of users, one of which may be its password too
 */
export function masker(secrets: readonly string[], plain: readonly string[] = []): (text: string) => string {
  const hides = new Masker(
    [],
    secrets.filter((secret) => !plain.includes(secret)),
    { word: "***" },
  );
  // Colours between its letters would keep a secret from being found, and a reader sees none of them.
  return (text) => hides.text(harmless(text));
}
