/**
 * How a credential is distinguished from other text: by the name that it stands under, unless it is only referred to. One place for
 * what is hidden (diff) and for what is refused (policy): hiding may err on the safe side, a refusal must be certain.
 */

/** Words at the end of the name of a credential, for patterns. */
export const CREDENTIAL_WORDS = "password|passwd|passphrase|secret|token";

/** Words that mean a password where they stand alone or after a separator; at the end of another word they do not: `bypass`. */
const SHORT_WORDS = "pass|pwd";

/** The words before one that it is joined to: `DBPASS`, Redis' `requirepass`. `BYPASS` is another word. */
export const JOINED_NAME = "(?:db|pg|sql|mysql|redis|nats|smtp|mail|ldap|admin|root|require)pass";

/** A credential's name inside a text, beside the hidden words: `pass`, `db_pass`, `DBPASS`; not `bypass` or nginx's `proxy_pass`. */
export const SHORT_NAME = `(?<![\\w.-])(?!proxy_pass\\b)(?:[\\w.-]*[-_.])?(?:pass|${JOINED_NAME})`;

/** Numbers of a user and his group, or his number and its name, as they stand behind `-u`: no login. */
export const USER_AND_GROUP = `\\d+:(?:\\d+|[a-z_]+)(?![^\\s"';,)])`;

const KEY = "(?:api|access|private|secret)[-_]?key";

/** The same, and words that may mean something else: what stands under them is hidden rather than shown. */
export const HIDDEN_WORDS = `${CREDENTIAL_WORDS}|pwd|${KEY}|(?:encryption|signing|master|shared|account)[-_]?key|credentials?`;

const HIDDEN_NAMES = [new RegExp(`(?:${HIDDEN_WORDS})$`, "i"), /(?:^|_)KEY$/];

/** Where the word is one of its own: in the name of a variable, of a file or field, and of an input. */
const CERTAIN_NAMES = [
  new RegExp(`(?:^|_)(?:${CREDENTIAL_WORDS.toUpperCase()}|PASS|KEY|APIKEY)$`),
  // Of programs that put no sign between: `PGPASSWORD`.
  /^(?!NO_?PASS)[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD)$/,
  new RegExp(`(?:^|_)${JOINED_NAME}$`, "i"),
  // One of several: the second, the former one.
  /(?:^|_)(?:PASSWORD|PASSWD|SECRET)_?(?:\d+|OLD|NEW|PREVIOUS|FORMER|NEXT)$/,
  // `PWD` alone is the working directory, `proxy_pass` an address.
  /_PWD$/,
  new RegExp(`(?:^|[-_.])(?:${CREDENTIAL_WORDS}|${KEY})$`),
  new RegExp(`^(?!proxy_pass$)(?:[\\w.-]*[-_.])?(?:${SHORT_WORDS})$`),
  /(?:^p|P)ass(?:word|wd|phrase)?$|[a-z]Pwd$|(?:^t|T)oken$|^(?:client|shared)?[sS]ecret$|(?:api|private|access|secret)Key$|^secretData$/,
];

/** True where what stands under this name is hidden: `NATS_PASSWORD`, `apiKey`; not `secretName` or `existingSecret`. */
export const isHiddenName = (name: string): boolean =>
  isCredentialName(name) || (HIDDEN_NAMES.some((pattern) => pattern.test(name)) && !/^existing/i.test(name));

/** True where nothing but a credential has this name. */
export const isCredentialName = (name: string): boolean => CERTAIN_NAMES.some((pattern) => pattern.test(name));

/** Logins where somebody has written them before a host: of a URL up to the last `@`, and without a scheme where there is a colon. */
const LOGIN =
  /(:\/\/)[^\s"'<>]*@|(?<![\w.~:/-])(?!(?:user|group|serviceAccount|domain):)([\w.~-]+:)[^\s"'<>/]+@(?!sha\d)/g;

/** A message about what somebody has set, without the logins in it. */
export const withoutLogins = (text: string): string =>
  text.replace(
    LOGIN,
    (_all, scheme: string | undefined, user: string | undefined) => `${scheme ?? user ?? ""}(secret)@`,
  );

/**
 * Tokens that say by their beginning whose they are: of GitHub, GitLab, npm, Docker, Slack, Stripe, Vault, Pulumi, Google's OAuth clients, OpenAI,
 * Anthropic, Hugging Face, SendGrid, Shopify and DigitalOcean, keys of age, and addresses by which whoever has them writes to Slack, Discord and Telegram.
 */
export const KNOWN_TOKEN = new RegExp(
  [
    /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{36}|dckr_pat_[\w-]{20,}|xox[abeprs]-[\w-]{10,}|(?:sk|rk)_live_[A-Za-z0-9]{16,}|hvs\.[\w-]{24,})/,
    /\b(?:pul-[0-9a-f]{40}|GOCSPX-[\w-]{20,}|sk-(?:ant|proj|svcacct|admin)-[\w-]{20,}|sk-[A-Za-z0-9]{40,}|hf_[A-Za-z0-9]{30,}|SG\.[\w-]{20,}\.[\w-]{40,}|shp(?:at|ss|ca|pa)_[0-9a-f]{32}|dop_v1_[0-9a-f]{64})/,
    /\bAGE-SECRET-KEY-1[0-9A-Z]{58}/,
    /\b(?:hooks\.slack\.com\/services\/T\w+\/B\w+\/\w{16,}|discord(?:app)?\.com\/api\/webhooks\/\d+\/[\w-]{40,}|api\.telegram\.org\/bot\d+:[\w-]{30,})/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/** The head of a token of NATS (type JWT, algorithm ed25519-nkey): it says who somebody is, and is worth nothing without the seed. */
const NATS_HEAD = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ\\.";

/** A web token that whoever has it may use. */
export const WEB_TOKEN = `(?<![\\w-])(?!${NATS_HEAD})eyJ[\\w-]{10,}\\.eyJ[\\w-]{10,}\\.[\\w-]{10,}`;

/** All of them, and seeds of NATS, Google's access tokens and its keys, which are shown to browsers on purpose in some places. */
export const HIDDEN_TOKEN = new RegExp(
  `${KNOWN_TOKEN.source}|${WEB_TOKEN}|\\bS[UAONCX][A-Z2-7]{56}\\b|\\bya29\\.[\\w-]{20,}|\\bAIza[\\w-]{35}`,
);

/** Private keys, of PGP too. */
export const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY(?: BLOCK)?-----/;

const VARIABLE = "\\$(?:[A-Z_][A-Z0-9_]*|\\{[\\w.]+(?::?-)?\\}|\\([^()]*\\))";
const IS_VARIABLE = new RegExp(`^(?:${VARIABLE}|<<\\s*${VARIABLE}\\s*>>)$`);
const IS_TEMPLATE = /^(?:<<[^<>]*>>|\{\{[^{}]*\}\}|%\(\w+\)s)$/;

/**
 * True where the whole text names a variable instead of a value: `$NAME`, `${NAME}`, `$(NAME)`, the chart nats' `<< $NAME >>`.
 * A password may begin with `$`, so that `$ecret` is none (names of variables are in capitals), and so may the default of a
 * variable be one: `${NAME:-hunter2}`.
 */
export const isVariable = (text: string): boolean => IS_VARIABLE.test(text);

/** The same, or a template that somebody fills in before it is used: `{{ .Values.name }}`, `%(name)s`. */
export const isReference = (text: string): boolean => isVariable(text.trim()) || IS_TEMPLATE.test(text.trim());
