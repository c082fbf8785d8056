/** Credentials that nobody has to know to see what they are: by the name that they are given to, by what stands around them, by their own form. */
import {
  HIDDEN_TOKEN,
  HIDDEN_WORDS,
  isCredentialName,
  isHiddenName,
  isReference,
  PRIVATE_KEY,
  SHORT_NAME,
  USER_AND_GROUP,
} from "./names";
import { SHOWN } from "./placeholders";

/** A name whose value is hidden. From where it begins: a long run of letters is gone through once, not from each of them on. */
const NAME = `(?<![\\w.-])[\\w.-]*(?:${HIDDEN_WORDS})|${SHORT_NAME}`;
/** A text in quotes, up to its line's end where none closes it: of what was cut off, too. */
const QUOTED = `"(?:[^"\\\\\\n]|\\\\.)*"|'(?:[^'\\\\\\n]|\\\\.)*'|["'](?=[^\\s"',;)\\]}])[^\\n]*`;
/** A text in quotes that are escaped, since they stand inside another one: a log's JSON in JSON. */
const ESCAPED = `(?<slash>\\\\+)(?<quote>["'])(?:(?!(?<!\\\\)\\k<slash>\\k<quote>)[^\\n])*(?:\\k<slash>\\k<quote>)?`;

/** What a language has around a text: `Some("x")`, `b'x'`. */
const AROUND = `(?:(?:[A-Za-z_][\\w.:]*\\()*[BbFfRrUu]{0,2}(?=\\\\*["']))?`;
/** YAML's tags and anchors before a value. A password may begin as they do, so that they are hidden with it. */
const TAGS = `(?:(?:!!?|&)[\\w./-]+[ \\t]+){0,2}`;

/** Inside texts: `password: x`, `"token": "x"`, `--api-key=x`, `config["password"] := "x"`. */
const ASSIGNMENT = new RegExp(
  `(${NAME})(\\\\*["']?\\]?[ \\t]*(?:=>|:=|[:=])[ \\t]*${AROUND})(${TAGS}(?:${ESCAPED}|${QUOTED}|[^\\s,;}\\]"']+))`,
  "gi",
);
const TAGS_BEFORE = new RegExp(`^${TAGS}`);
/** The beginning of a reference that the pattern above cuts off at a space or bracket: `${NAME`, `$(cat`, `{{`, `<<`. */
const CUT_REFERENCE = /^(?:\$\{\w*|\$\([^)]*|<<|\{\{|%\([^)]*)$/;

const bared = (text: string): string => text.replace(/^(\\*["'])(.*)\1$/s, "$2");

/** What may stand under such a name without being the credential: nothing, a switch, a reference, what is hidden already. */
export function isHarmless(text: string): boolean {
  const bare = bared(text);
  return bare === "" || /^(?:true|false|null|none)$/i.test(bare) || bare === SHOWN.secret || isReference(bare);
}

const isGiven = (text: string): boolean => !isHarmless(text) && !CUT_REFERENCE.test(text) && !BLOCK_SIGN.test(text);

/** What may not stand in a login of a URL, beside the sign that ends it. */
const LOGIN_SIGNS = /[^\s@"'<>]*/y;
const REST = /(?:@[^\s@"'<>,;/]+)*@/y;
/** Longest user and password of a URL that are looked at. */
const LONGEST_LOGIN = 65_536;

/** Where passwords in the user parts of URLs stand: each up to the last `@` before its host. */
function urlPasswords(text: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  // A list of URLs without logins is gone through once: where the signs of a login end is the same for all that begin before it.
  let end = 0;
  for (const { 0: head, index } of text.matchAll(/:\/\/[^\s/:@"'<>]{0,65536}:/g)) {
    const start = index + head.length;
    if (start < (found.at(-1)?.end ?? 0)) continue;
    if (end < start) {
      LOGIN_SIGNS.lastIndex = start;
      end = start + (LOGIN_SIGNS.exec(text)?.[0].length ?? 0);
    }
    REST.lastIndex = end;
    const rest = end === start || end - start > LONGEST_LOGIN ? undefined : REST.exec(text)?.[0];
    if (rest !== undefined) found.push({ start, end: end + rest.length - 1 });
  }
  return found;
}

/** A text in quotes that is not empty, up to its line's end where it was cut off. */
const ELEMENT = `"(?:[^"\\\\\\n]|\\\\.)+(?:"|$)|'(?:[^'\\\\\\n]|\\\\.)+(?:'|$)`;

/** What stands before a credential, which is the last of it, in the group `given`. */
const SURROUNDED: readonly RegExp[] = [
  // Of a header, whatever writes it; `token expired` and `basic auth` are words.
  /\bauthorization\b\\*["']?[ \t]*[:=,][ \t]*\[?b?\\*["']?(?:bearer[ ]+|(?:basic|token|apikey)[ ]+(?=\S{0,999}[\d=._])(?=\S{8}))(?<given>[^\s"'\\,;]+)/gi,
  // The same alone, as programs write what they send.
  /\b(?:Bearer[ ]+(?=\S*\d)|Basic[ ]+(?=[A-Za-z0-9+/]*[\d=]))(?<given>[\w.~+/-]{16,}={0,2})/g,
  /\b(?:set-)?cookie\b(?:\\*["']?[ \t]*[:=]|\\*["'][ \t]*,)[ \t]*\[?b?\\*["']?(?<given>[^\n"'\\=]{1,200}=(?:[^\n"'\\]|(?<==)\\*"(?=[^\s,}\]])[^"\\\n]*\\*"?)+)/gi,
  // Of a registry, as Docker writes it.
  /"auth\\*"[ \t]*:[ \t]*\\*"(?<given>[A-Za-z0-9+/]{12,}={0,2})/g,
  // Of a URL: who has signed it, or comes back from signing in; and a token in the place of its user.
  /(?:[?&]|&amp;|\\u0026)(?:sig|code|[\w-]*signature)=(?<given>[^\s&#"'<>\\]{16,})/gi,
  /:\/\/(?=[^\s/:@"'<>]*[\dA-Z])(?![^\s/:@"'<>]*%40)(?<given>[^\s/:@"'<>]{20,})(?=@(?!sha\d))/g,
  // Of a variable in a list, in JSON and in YAML.
  new RegExp(
    `\\bname\\\\*["']?[ \\t]*:[ \\t]*\\\\*["']?(?:${NAME})\\\\*["']?(?:[ \\t]*,\\s*|\\s+)\\\\*["']?value\\\\*["']?[ \\t]*:[ \\t]*(?<given>${ESCAPED}|${QUOTED}|[^\\s,;}\\]"']+)`,
    "gi",
  ),
  // Of a list of arguments, as programs write what they were started with: `'--password', 'x'`.
  new RegExp(`(["'])(?=-)(?:${NAME})\\1[ \\t]*,[ \\t]*(?<given>${ELEMENT})`, "gim"),
  // Of SQL, and of who says what was wrong.
  /\b(?:PASSWORD|IDENTIFIED BY)[ \t]+(?<given>'(?:[^'\n]|'')+(?:'|$)|"[^"\n]+(?:"|$))/gim,
  // Of a text of several lines in a shell, and in HCL.
  new RegExp(
    `(?:${NAME})["']?(?:[ \\t]*[:=])?[ \\t]*<<[-~]?["']?(?<end>\\w+)["']?[ \\t]*\\n(?<given>(?:[^\\n]*\\n){1,50}?)(?=[ \\t]*\\k<end>\\b|(?![^]))`,
    "gi",
  ),
  // Of XML.
  new RegExp(`<(${NAME})>(?<given>[^<>\\n]+)(?=</\\1>|$)`, "gim"),
];

/** Words that stand behind an option in a sentence about it, and in a program's list of them. */
const AFTER_OPTIONS =
  "and|or|is|are|was|must|may|can|cannot|has|have|to|for|from|in|on|of|with|via|by|not|instead|option|flag|requires?|required|string";

/** The same where words or names may stand, too: what they surround is hidden there, and not in every line. */
const LOOSELY_SURROUNDED: readonly RegExp[] = [
  // Of a variable with a key: `FERNET_KEY=x`, and in a list, as above. Other keys are names, or shown to everybody.
  new RegExp(
    `(?<![\\w.-])[A-Z][A-Z0-9_]*(?<!PUBLIC|PRIMARY|FOREIGN|UNIQUE|DUPLICATE)_KEY\\\\*["']?(?:[ \\t]*[:=]|(?:[ \\t]*,\\s*|\\s+)\\\\*["']?value\\\\*["']?[ \\t]*:)` +
      `[ \\t]*(?<given>${ESCAPED}|${QUOTED}|[^\\s,;}\\]"'\\\\]+)`,
    "g",
  ),
  // Of a command line: `--password x`, which may stand on the next line. To mark a value as secret is an option, too.
  new RegExp(
    `(?<![\\w.-])(?=--?[a-z])(?!--?(?:secret|existing))(?:${NAME})[ \\t]+(?:\\\\\\n[ \\t]*)?(?!(?:${AFTER_OPTIONS})(?![^\\s.,;:)]))` +
      `(?<given>${ESCAPED}|${QUOTED}|(?!\\\\\\n)[^\\s"'-][^\\s"']*)`,
    "gi",
  ),
  // Of curl: `-u user:x`. Others have a time, an address, or numbers and names of a user and a group behind it.
  new RegExp(
    `(?<![\\w.-])(?:-u|--user)(?:=|[ \\t]+)["']?(?!\\+%|\\w+://|${USER_AND_GROUP})[^\\s:"'/]{1,256}:(?<given>(?<=["'][^\\s:"'/]{1,256}:)[^\\n"']+|[^\\s"']+)`,
    "g",
  ),
  // Of Redis' configuration.
  new RegExp(
    `(?<![\\w.-])(?:requirepass|masterauth)[ \\t]+(?!(?:${AFTER_OPTIONS})(?![^\\s.,;:)]))(?<given>${ESCAPED}|${QUOTED}|[^\\s"',;]+)`,
    "gi",
  ),
];

/** A pair: `("password", "x")`. `["password", "token"]` is one of names. */
const PAIR = new RegExp(
  `[([][ \\t]*(["'])(?:${NAME})\\1[ \\t]*,[ \\t]*(?<given>"(?:[^"\\\\\\n]|\\\\.)+"|'(?:[^'\\\\\\n]|\\\\.)+')(?=[ \\t]*[)\\]])`,
  "gi",
);

/** A text of several lines that YAML has under a name, or under the `value` of one: as far as it is indented. */
const BLOCK = new RegExp(
  `^(?<indent>[ \\t]*)(?:- )?(?:["']?[\\w.-]*(?:${HIDDEN_WORDS}|pass)["']?|name[ \\t]*:[ \\t]*["']?(?:${NAME})["']?[ \\t]*\\n[ \\t]*value)[ \\t]*:` +
    `[ \\t]*(?:[!&]\\S+[ \\t]+)?[|>][-+\\d]*[ \\t]*(?:#[^\\n]*)?\\n(?<given>(?:\\k<indent>[ \\t]+[^\\n]*(?:\\n|$)|[ \\t]*\\n)+)`,
  "gim",
);
/** What YAML has in the place of a text of several lines. */
const BLOCK_SIGN = /^[|>][-+\d]*$/;

const TOKENS = new RegExp(HIDDEN_TOKEN.source, "g");
const KEY_BEGINS = new RegExp(PRIVATE_KEY.source, "g");
const KEY_ENDS = new RegExp(PRIVATE_KEY.source.replace("BEGIN", "END"), "g");

/** A text with the private keys in it hidden, one that was cut off to the text's end. */
export function withoutKeys(text: string, word: string): string {
  let shown = "";
  let from = 0;
  for (;;) {
    KEY_BEGINS.lastIndex = from;
    const begins = KEY_BEGINS.exec(text);
    if (!begins) return shown + text.slice(from);
    shown += text.slice(from, begins.index) + word;
    KEY_ENDS.lastIndex = begins.index + begins[0].length;
    const ends = KEY_ENDS.exec(text);
    if (!ends) return shown;
    from = ends.index + ends[0].length;
  }
}

/** Hides what a pattern finds in its group `given`. */
const withoutGiven = (text: string, pattern: RegExp, word: string): string =>
  text.replace(pattern, (all: string, ...rest: unknown[]) => {
    const { given = "" } = rest.at(-1) as { given?: string };
    const bare = bared(given);
    if (given === word || bare === word || !isGiven(given) || (pattern === PAIR && isHiddenName(bare))) return all;
    return `${all.slice(0, all.length - given.length)}${word}${given.endsWith("\n") ? "\n" : ""}`;
  });

/** A text whose lines are no longer than is looked at, without what says by itself that it is a credential. */
export function withoutUnknown(text: string, word: string): string {
  let shown = "";
  let last = 0;
  for (const { start, end } of urlPasswords(text)) {
    shown += text.slice(last, start) + word;
    last = end;
  }
  shown = (shown + text.slice(last)).replace(TOKENS, word);
  for (const pattern of [BLOCK, ...SURROUNDED, ...LOOSELY_SURROUNDED, PAIR]) shown = withoutGiven(shown, pattern, word);
  return shown.replace(ASSIGNMENT, (all: string, ...[name = "", between = "", given = ""]: string[]) =>
    given === word || !isGiven(given) || /^existing/i.test(name) ? all : `${name}${between}${word}`,
  );
}

/** A password in the form of a URL, and as it is. */
function decodedAlso(text: string): string[] {
  try {
    return [text, decodeURIComponent(text)];
  } catch {
    return [text];
  }
}

/** Lines of files that are logins: psql's and PgBouncer's. */
const LOGIN_LINES = [/^[^\s:]+:(?:\d+|\*):[^\s:]+:[^\s:]+:(?<given>\S+)$/gm, /^"[^"\n]+" "(?<given>[^"\n]+)"/gm];
/** A login of a registry, as Docker keeps it. */
const REGISTRY = /"auth"\s*:\s*"(?<given>[A-Za-z0-9+/]{4,}={0,2})"/g;

const given = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].flatMap(({ groups }) => groups?.given ?? []);

/** A value behind its tags, and these, since each may be the beginning of a password. */
function withoutTags(value: string): string[] {
  const [tags = ""] = TAGS_BEFORE.exec(value) ?? [];
  return [value.slice(tags.length), ...tags.split(/[ \t]+/)];
}

/** The credentials that a longer one consists of: of a URL its password, of a file what it assigns. */
export function credentialsIn(text: string): string[] {
  // Of a name that only refers to a Secret the value is a name, too, and hidden it would be hidden in every line.
  const assigned = [...text.matchAll(ASSIGNMENT)].flatMap(([, name = "", , value = ""]) =>
    isCredentialName(name) ? withoutTags(value) : [],
  );
  const surrounded = [...SURROUNDED, PAIR].flatMap((pattern) => given(text, pattern));
  const registries = given(text, REGISTRY).flatMap((login) => [
    login,
    Buffer.from(login, "base64")
      .toString("utf8")
      .replace(/^[^:]*:/, ""),
  ]);
  return [
    ...urlPasswords(text).flatMap(({ start, end }) => decodedAlso(text.slice(start, end))),
    ...[...assigned, ...surrounded].filter(isGiven).map(bared),
    ...LOGIN_LINES.flatMap((pattern) => given(text, pattern)),
    ...registries,
  ];
}
