/** Credentials that certain programs take in a command line without a word that says so: `mysql -px`, `docker login -p x`. */
import { KNOWN_TOKEN } from "../contract/mask/names";

/** A value that is not a variable, command or template. */
const VALUE = `(?!["']*[$<{(\`-])["']?[^\\s"'\`;&|]{2,}`;
/** What stands before a value in a header, and is none itself. */
const SCHEME = "(?:Basic|Bearer|Token|ApiKey|Key|SSWS|Splunk|GenieKey|OAuth|Bot)";
/** Not behind an option that names something: `docker run --name mysql`. */
const NAMED = "(?<!\\s--(?:name|namespace|network|hostname)\\s)(?<!(?<!sudo)\\s-n\\s)";
/** Words before a program that are not it: what starts another one, with options, numbers and variables for it. */
const STARTERS = `(?:-[a-z]*c|--|(?:sudo|env|xargs|nice|nohup|timeout|time|command)(?:\\s+(?:-\\S+|[\\d.]+[smhd]?|\\w+=\\S*))*|exec|then|do|else|if|while|until)`;
/** Where a command begins: its first word may be a path of any folder, every other one that of a program's. */
const FIRST = `(?:(?:^|[;&|(\`{!\\n]|(?<!\\S)${STARTERS}\\s)\\s*["']?(?:[^\\s"']*/)?|${NAMED}(?<![^\\s"'])(?:[^\\s"']*\\bbin/|\\$[^\\s/]*/)?)`;
const program = (names: string): string => `${FIRST}(?:${names})(?![^\\s"')])["')]*`;
/** A value that is not a port that a container is given: `-p 8080:80`. */
const NO_PORT = "(?!(?:[\\d.]+:)?\\d+:\\d+\\b)";

const after = (names: string, option: string): RegExp =>
  new RegExp(`${program(names)}(?=\\s)[^\\n;&|]*?\\s${option}${NO_PORT}${VALUE}`);
/** Options before a subcommand, each with or without a value that is a word of its own. */
const OWN = "(?:\\s+-\\S+(?:\\s+[^\\s-]\\S*?)??)*?\\s+";
/** Options of sshpass: those of the program that it starts come after that one's name. */
const OF_SSHPASS = `(?:\\s+-(?:[evhV]+|[fdP]\\s?(?:"[^"]*"|'[^']*'|[^\\s"']+))(?=\\s))*\\s+-[evhV]*`;

const OPTIONS: readonly RegExp[] = [
  // The value is part of the word: apart from it, it is the name of a database.
  after("mysql|mysql(?:admin|dump|import|check|slap|show|binlog|sh)|mariadb(?:-\\w+)?", "-p"),
  new RegExp(`${program("sshpass")}${OF_SSHPASS}p[ ]?${VALUE}`),
  new RegExp(
    `${program("docker|podman|nerdctl|buildah|skopeo|crane|oras|helm|az|oc")}${OWN}(?:(?:registry|auth|acr)\\s+)?login(?=\\s)[^\\n;&|]*?\\s-p[= ]${NO_PORT}${VALUE}`,
  ),
  after("mongo(?:sh|dump|restore|export|import|stat|files)?|cqlsh", "-p[= ]"),
  after("redis-cli|valkey-cli", "-a "),
  // Flags alone may stand before it in its word: what follows one with a value is that value.
  after("curl", `(?:-[#0-46afgGiIjJkLlnNOpqRsSvZ]*[uU]|--(?:proxy-)?user)[= ]?["']?[^\\s:"'$]+:`),
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

/** A path, or the address of a page. */
const PLACE = /^(?:https?:\/)?(?:\/[\w.@:~+-]+)+\/?\s*$/;

/** True for a word that nobody reads before it is decoded: what is to be seen, other than a place, is not written so. */
const isDisguised = (text: string): boolean =>
  // eslint-disable-next-line no-control-regex
  !PLACE.test(text) && /^[^\s\u0000-\u001f\u007f\ufffd]{4,}\s*$/.test(text);

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
