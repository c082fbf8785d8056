/** Credentials that certain programs take in a command line without a word that says so: `mysql -px`, `docker login -p x`. */
import { KNOWN_TOKEN } from "../contract/mask/names";

/** A value that is no variable, command or template. */
const VALUE = `(?!["']*[$<{(\`-])["']?[^\\s"'\`;&|]{2,}`;
/** What stands before a value in a header, and is none itself. */
const SCHEME = "(?:Basic|Bearer|Token|ApiKey|Key|SSWS|Splunk|GenieKey|OAuth|Bot)";
/** What stands between a program and its option, in the same command. */
const THEN = "\\b[^\\n;&|]*?\\s";

const after = (programs: string, option: string): RegExp => new RegExp(`\\b(?:${programs})${THEN}${option}${VALUE}`);

const OPTIONS: readonly RegExp[] = [
  // The value is part of the word: apart from it, it is the name of a database.
  after("mysql|mysql(?:admin|dump|import|check|slap|show|binlog|sh)|mariadb(?:-\\w+)?", "-p"),
  after("sshpass", "-p[ ]?"),
  after("(?:docker|podman|nerdctl|buildah|skopeo|crane|oras|helm|az|oc)\\b[^\\n;&|]*?\\slogin", "-p[= ]"),
  after("mongo(?:sh|dump|restore|export|import|stat|files)?|cqlsh", "-p[= ]"),
  after("redis-cli|valkey-cli", "-a "),
  after("ldap(?:search|add|modify|delete|passwd|whoami|compare|modrdn)", "-w "),
  after("openssl", "-pass(?:in|out)?[ =]pass:"),
  after("smbclient|rpcclient", "(?:-U|--user)[= ]?[^\\s%]+%"),
  new RegExp(`(?:^|\\s)--from-literal[= ]["']?[\\w.-]*(?:password|passwd|secret|token|api-?key)=${VALUE}`, "i"),
  new RegExp(
    `(?:^|\\s)(?:-H|--header)[= ]?["']?(?:[\\w-]*(?:api-?key|token|secret|password)|authorization)["']?\\s*:\\s*(?:${SCHEME}\\s+(?!\\w+=["']*[$<{(\`])|(?!${SCHEME}(?![^\\s"'])))${VALUE}`,
    "i",
  ),
  new RegExp(`(?:^|\\s)--oauth2-bearer[= ]${VALUE}`),
  new RegExp(
    `\\b(?:echo|printf)\\s+(?:-n\\s+|["']?%s(?:\\\\n)?["']?\\s+)*${VALUE}["']?\\s*\\|[^|\\n]*\\s--password-stdin\\b`,
  ),
  KNOWN_TOKEN,
];

const LITERAL = `["']?([A-Za-z0-9+/_-]{8,}={0,2})["']?`;
const DECODER = "base64\\s[^|\\n;]*?(?:-[a-z]*d|-D)";
/** A literal that the command itself decodes. */
const DECODED = new RegExp(
  `\\b(?:echo|printf)\\s+(?:-\\w+\\s+|["']?%s(?:\\\\n)?["']?\\s+)*${LITERAL}\\s*\\|[^|\\n;]*\\b${DECODER}|\\b${DECODER}\\w*\\s*<<<\\s*${LITERAL}`,
  "g",
);

/** Texts that a command line holds in base64, and decodes. */
const decodedIn = (line: string): string[] =>
  [...line.matchAll(DECODED)].map(([, piped, given]) => Buffer.from(piped ?? given ?? "", "base64").toString("utf8"));

/** True for a word that nobody reads before it is decoded: what is to be seen is not written so. */
// eslint-disable-next-line no-control-regex
const isDisguised = (text: string): boolean => /^[^\s\u0000-\u001f\u007f\ufffd]{4,}\s*$/.test(text);

/** A command line as its program sees it: a list of words, or a script. */
export interface CommandLine {
  readonly text: string;
  /** Where each word ends, its last excluded. */
  readonly ends: readonly number[];
}

/** Words one after the other. */
export function commandLine(words: readonly string[]): CommandLine {
  let at = -1;
  return { text: words.join(" "), ends: words.map((word) => (at += word.length + 1)) };
}

/**
 * Places in the list of words that hold a credential of the programs' kinds.
 *
 * @param isCredential says so of what is decoded
 */
export function credentialWords({ text, ends }: CommandLine, isCredential: (text: string) => boolean): number[] {
  const found = OPTIONS.flatMap((pattern) => {
    const match = pattern.exec(text);
    return match ? [match.index + match[0].length] : [];
  });
  if (decodedIn(text).some((inner) => isDisguised(inner) || isCredential(inner))) found.push(text.search(DECODED) + 1);
  return found.map((end) => ends.findIndex((each) => end <= each));
}
