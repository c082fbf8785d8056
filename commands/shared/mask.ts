/**
 * Keeps secrets out of reports. Five nets, each on its own: stand-ins of the run, values that the program marks as
 * secret, entries of Secrets, names that say "password", and credentials inside URLs and private keys.
 */
import { HIDDEN_WORDS, isHiddenName, isReference } from "../../config/credentials";
import { SHOWN, UNKNOWN, type PlaceholderKind } from "./placeholders";

/** True where a text under this name is a credential itself: no switch, no reference to where it is kept. */
export const isCredential = (name: string, text: string): boolean => isHiddenName(name) && !isHarmless(text);

/** Inside texts: `password: x`, `"token": "x"`, `--api-key=x`. */
const ASSIGNMENT = new RegExp(
  `([\\w.-]*(?:${HIDDEN_WORDS}))(["']?[ \\t]*[:=][ \\t]*)("(?:[^"\\\\\\n]|\\\\.)*"|'[^'\\n]*'|[^\\s,;}\\]"']+)`,
  "gi",
);
/** The beginning of a reference that the pattern above cuts off at a space or bracket: `${NAME`, `$(cat`, `{{`, `<<`. */
const CUT_REFERENCE = /^(?:\$\{\w*|\$\([^)]*|<<|\{\{|%\([^)]*)$/;

/** What may stand under such a name without being the credential: nothing, a switch, a reference, what is hidden already. */
function isHarmless(text: string): boolean {
  const bare = text.replace(/^(["'])(.*)\1$/s, "$2");
  return bare === "" || /^(?:true|false|null|none)$/i.test(bare) || bare === SHOWN.secret || isReference(bare);
}

const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)([^\s/:@"'<>]*):([^\s@"'<>]+)@/gi;
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g;
/** Entries of Secrets that hold no secret although they stand there: addresses, switches, numbers. */
const HARMLESS = /^(true|false|\d{1,5}|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?|https?:\/\/[^\s@]*)$/;

/** Shortest known value that is looked for inside other texts; a shorter one is hidden where its name gives it away. */
const SHORTEST = 6;

/** True where a known secret can be told from an ordinary word, so that hiding it everywhere hides nothing else. */
function isDistinctive(value: string): boolean {
  return (
    value.length >= SHORTEST && !(/^[a-z]+$/.test(value) && value.length < 12) && !/^(true|false|null)$/.test(value)
  );
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/**
 * A value as it appears inside base64 of a longer text, at each of the three places a byte can have in a group of four
 * characters; the characters it shares with its neighbours are left out.
 */
function insideBase64(value: string): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(value, "utf8")]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3)).toString("base64");
    const core = whole.slice(offset === 0 ? 0 : offset + 1);
    return core.length >= 8 ? [core] : [];
  });
}

/** A way of writing a value that must not be found in a report. */
export function spellings(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  return [
    ...new Set([
      value,
      json,
      encodeURIComponent(value),
      Buffer.from(value, "utf8").toString("base64").replace(/=+$/, ""),
      ...insideBase64(value),
    ]),
  ];
}

/** A value that is secret because of where it stands; compared, never shown. */
export class Opaque {
  /** @param word what reports show instead */
  constructor(
    readonly text: string,
    readonly word: string = SHOWN.secret,
  ) {}
}

/** Puts words in the place of secrets and of what the run made up. */
export class Masker {
  private readonly words = new Map<string, string>();
  private readonly pattern: RegExp;

  /**
   * @param issued the stand-ins of both sides
   * @param known values that the program marks as secret, and entries of Secrets worth hiding everywhere
   * @param folders folders of this machine, and what to show for them
   */
  constructor(
    issued: Iterable<readonly [string, PlaceholderKind]>,
    known: Iterable<string>,
    folders: Readonly<Record<string, string>> = {},
  ) {
    for (const [folder, word] of Object.entries(folders)) this.words.set(folder, word);
    this.words.set(UNKNOWN, SHOWN.unknown);
    for (const [value, kind] of issued) {
      for (const spelling of kind === "secret" ? spellings(value) : [value]) this.add(spelling, SHOWN[kind]);
    }
    for (const value of known) {
      if (isDistinctive(value)) for (const spelling of spellings(value)) this.add(spelling, SHOWN.secret);
      // Of a key or certificate with many lines, every line is one.
      if (value.includes("\n")) {
        for (const line of value.split("\n")) if (line.trim().length >= 16) this.add(line.trim(), SHOWN.secret);
      }
    }
    // The longest first: a URL around a password goes as a whole.
    const all = [...this.words.keys()].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
    this.pattern = new RegExp(all.map(escape).join("|"), "g");
  }

  private add(text: string, word: string): void {
    if (this.words.get(text) !== SHOWN.secret) this.words.set(text, word);
  }

  /** A URN. Its colons part types and name, so that `Secret::x` is not a credential named `Secret`. */
  urn(value: string): string {
    const parts = value.split("::");
    return [...parts.slice(0, -1).map((part) => this.known(part)), this.text(parts.at(-1) ?? "")].join("::");
  }

  private known(value: string): string {
    return value.replace(this.pattern, (found) => this.words.get(found) ?? SHOWN.secret);
  }

  /** A text with everything secret replaced. */
  text(value: string): string {
    return this.known(value)
      .replace(PRIVATE_KEY, SHOWN.secret)
      .replace(URL_CREDENTIALS, (_all, scheme: string, user: string) => `${scheme}${user}:${SHOWN.secret}@`)
      .replace(ASSIGNMENT, (all: string, name: string, between: string, given: string) =>
        isHarmless(given) || CUT_REFERENCE.test(given) || /^existing/i.test(name)
          ? all
          : `${name}${between}${SHOWN.secret}`,
      );
  }

  /** A scalar under a name, such as a field's key or a variable's name. */
  scalar(value: unknown, name: string): string | number | boolean | null {
    if (value instanceof Opaque) return value.word;
    if (value === null || typeof value === "boolean") return value;
    if (typeof value !== "string" && typeof value !== "number") return this.text(JSON.stringify(value) ?? "");
    const text = String(value);
    if (isCredential(name, text)) {
      const word = this.words.get(text);
      return word && word !== SHOWN.generated ? word : SHOWN.secret;
    }
    const masked = this.text(text);
    return typeof value === "number" && masked === text ? value : masked;
  }
}

/** The entries of a Secret that are hidden wherever they turn up. */
export function knownSecrets(entries: Readonly<Record<string, string>>): string[] {
  return Object.entries(entries).flatMap(([key, value]) =>
    !isHiddenName(key) && HARMLESS.test(value) ? [] : [value, ...value.split("\n").map((line) => line.trim())],
  );
}
