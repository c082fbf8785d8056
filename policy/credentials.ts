import { parseAllDocuments } from "yaml";
import { isRecord } from "../contract/records";
import { RELEASE } from "../contract/project";
import {
  CREDENTIAL_WORDS,
  isCredentialName,
  isReference,
  isVariable,
  JOINED_NAME,
  KNOWN_TOKEN,
  PRIVATE_KEY,
  USER_AND_GROUP,
  WEB_TOKEN,
} from "../contract/mask/names";
import { uncompressed } from "../contract/mask/readings";
import { commandLine, credentialWords } from "./programs";
import {
  at,
  containers,
  holdsUnknown,
  kindOf,
  plain,
  podSpec,
  records,
  type ResourceView,
  type Text,
  texts,
  workloadKind,
} from "./resource";

/** A URL with a password in it, which is not a reference to a variable. */
const URL_PASSWORD = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*:(?!\$|%s|\{|<|\*+@)([^\s/@"']+)@/i;
/** Keys, and logins that are a file of their own: of kubectl, NATS (credentials and seeds), Docker, npm, and signed tokens. */
const KEY_MATERIAL = new RegExp(
  `-----BEGIN (?:NATS USER JWT|USER NKEY SEED)-----|\\bS[UAONC][A-Z2-7]{56}\\b|\\bclient-key-data["']?\\s*:|:_(?:authToken|auth|password)\\s*=\\s*["']?(?!\\s|\\\\?[$<{(%@])[^\\s"']{6,}|"auths"\\s*:\\s*\\{\\s*"|${WEB_TOKEN}|` +
    `\\bAuthorization(?:["']?\\s*[:=]\\s*["']?|["']?\\s+["'])(?:Basic|Bearer)\\s+(?!\\$)[\\w+/=.-]{6,}`,
);
/** What ends a name that stands for a credential in a file. */
const NAMED = `(?:[\\w.-]*(?:${CREDENTIAL_WORDS}|(?:secret(?:[-_]access)?|api)[-_]?key)|(?:[\\w.-]*[_.-])?(?<!proxy_)pass|${JOINED_NAME}|masterauth|[\\w.]*_pwd)`;
/** What a switch is set to, whose name says that it is about a credential: `ALLOW_EMPTY_PASSWORD`. In a pattern, as a whole word. */
const SWITCHED = "(?:true|false|yes|no|on|off|null|none|[01])(?![^\\s\"',;{}<[\\]])";
/** `password: x` and `password = "x"` in a configuration file, at the begin of a line or within a block, where x is not a reference. */
const ASSIGNMENT = new RegExp(
  `(?:^|[{,;])[ \\t]*(?:-[ \\t]+|export[ \\t]+)?["']?${NAMED}["']?[ \\t]*[:=][ \\t]*(?:"""|'''|["'])?(?![$<{(%"'\\[]|${SWITCHED})[^\\s"',{}[\\]]+`,
  "im",
);
/** The same beside other keys on one line: `host=db user=u password=x` of libpq, `Server=db;Password=x` of ADO. */
const CONNECTION = new RegExp(
  `\\b(?:host|server|data source|dbname|database|user(?: id|name)?|uid)[ \\t]*=[^\\n]*?[\\s;,](?:password|passwd|pwd)[ \\t]*=[ \\t]*["']?(?![$<{(%"'])[^\\s;,"']+|` +
    `(?:^|[\\s;,])(?:password|passwd|pwd)[ \\t]*=[ \\t]*["']?(?![$<{(%"'])[^\\s;,"']+["']?[\\s;,][^\\n]*?\\b(?:host|server|data source|dbname|database|user(?: id|name)?|uid)[ \\t]*=`,
  "im",
);
/** An element of XML, and what stands after a question mark. */
const MARKUP = new RegExp(
  `<${NAMED}>\\s*(?![$<{(%]|${SWITCHED})[^<\\s][^<]*</|[?&](?:${CREDENTIAL_WORDS})=(?![$<{(%*])[^\\s&"']{4,}`,
  "i",
);
/** nats.conf needs no sign between a key and its value. */
const BARE = new RegExp(`^[ \\t]*${NAMED}[ \\t]+["']?(?![$<{(%:="']|${SWITCHED})[^\\s"'{}]+["']?[ \\t]*$`, "im");
/** The same in a program, where only a literal is certain: `PASSWORD = "x"`, SQL's `PASSWORD 'x'`, and a shell's `export PGPASSWORD=x`. */
const LITERAL = new RegExp(
  `(?:^|[\\s;{(,"'])${NAMED}(?:\\s*=\\s*|["']\\s*:\\s*|:\\s+)(["'])(?![$<{(%]|${SWITCHED})[^"'\\s$\`{}<>]{3,}\\1|\\b(?:password|identified\\s+by)\\s+'(?![$<{(%:])[^']{3,}'`,
  "im",
);
const EXPORT =
  /(?:^|[\s;&])(?:[A-Z][A-Z0-9_]*_)?(?:[A-Z]*PASSWORD|PASSWD|PASS|SECRET|TOKEN|PWD|(?:SECRET|ACCESS|API|PRIVATE)_?KEY)=(?![$"'`<{(\s]|(?:true|false|yes|no|on|off)(?![^\s;&]))[^\s;&]{2,}/m;
/** The same as a text of its own. */
const SWITCH = /^(?:true|false|yes|no|on|off|[01])$/i;
/** `--password x`, `--password=x`, and curl's `-u user:x`, anywhere in a command line; not the numbers of a user and his group. */
const OPTION = new RegExp(
  `(?:^|\\s)(?:--?[\\w.-]*(?:${CREDENTIAL_WORDS}|pass|pwd)[= ]\\s*(?!["']?(?:[$<{(-]|${SWITCHED}))["']?[^\\s"']+|(?:-u|--user)[= ]?(?!${USER_AND_GROUP})[\\w.@-]+:(?!\\$)[^\\s$]+)`,
  "i",
);
/** A word of a command line that is an assignment as a whole: `password=x` of libpq, `sasl.password=x` of Kafka's. */
const WORD = new RegExp(`^(?:[\\w.-]*[._-])?(?:password|passwd|pwd)=(?![$"'\`<{(]|${SWITCHED})\\S{2,}$`, "i");
const OPTION_NAME = new RegExp(`^--?[\\w.-]*(?:${CREDENTIAL_WORDS}|pass|pwd)$`, "i");
/** Names of configuration files, and those without an ending; a program's file assigns variables, not values. */
const CONFIGURATION = /^[^.]*$|\.(?:conf|cnf|cfg|ini|env|properties|ya?ml|json|toml)$/i;
/** Files that consist of logins: of PgBouncer, psql, curl, a web server. */
const LOGIN_FILE = /(?:^|[./_-])(?:userlist\.txt|\.?pgpass|\.?netrc|\.?htpasswd)$/i;
const PGBOUNCER_LOGIN = /^\s*"[^"]+"[ \t]+"(?!\$)[^"]+"\s*$/m;

const holdsKey = (text: string): boolean => [PRIVATE_KEY, KEY_MATERIAL, KNOWN_TOKEN].some((each) => each.test(text));

const holdsCredential = (text: string): boolean => !holdsUnknown(text) && (URL_PASSWORD.test(text) || holdsKey(text));

/** Lines without comments: what a comment says is meant for a reader. */
const uncommented = (text: string): string => text.replace(/^[ \t]*(?:#|\/\/|--).*$/gm, "");

/** Why a text is taken for a credential, in words that do not repeat it; undefined where it is none. */
function suspicion({ key, text }: Pick<Text, "key" | "text">): string | undefined {
  if (holdsUnknown(text)) return undefined;
  if (URL_PASSWORD.test(text)) return "is a URL with a password";
  if (holdsKey(text)) return "holds a private key or a token";
  if (isCredentialName(key) && text !== "" && !isVariable(text) && !SWITCH.test(text))
    return "has the name of a credential";
  const [, name = "", value = ""] = /^([A-Za-z_][\w.]*)=(.+)$/s.exec(text) ?? [];
  if (isCredentialName(name) && !isReference(value) && !SWITCH.test(value.replace(/\n.*$/s, "")))
    return "assigns a credential";
  if (assigns(key, text)) return "assigns a credential";
  const decoded = fromBase64(text);
  return decoded === undefined ? undefined : suspicion({ key, text: decoded });
}

/** Most bytes that an entry is unpacked to: a ConfigMap has a mebibyte. What would be more is judged as it stands. */
const MOST_UNPACKED = 16 * 1024 * 1024;

const unpacked = (base64: string): string => {
  const bytes = Buffer.from(base64, "base64");
  return (uncompressed(bytes, MOST_UNPACKED) ?? bytes).toString("utf8");
};

/** What a text stands for that is base64 as a whole; undefined for every other one, and where what comes of it is not text. */
function fromBase64(text: string): string | undefined {
  const signs = text.replace(/\s/g, "");
  if (signs.length < 16 || signs.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(signs)) return undefined;
  const decoded = unpacked(signs);
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(decoded) ? undefined : decoded;
}

/** Whether a text with a form of its own, JSON, a configuration or a script, gives a credential its value. */
function assigns(file: string, text: string): boolean {
  const bare = uncommented(text);
  const structure = jsonOf(bare) ?? yamlOf(file, bare);
  if (structure !== undefined && [...texts(structure)].some((each) => suspicion(each) !== undefined)) return true;
  if (jsonOf(bare) !== undefined) return false;
  if (LOGIN_FILE.test(file) && /\S/.test(bare)) return true;
  if (PGBOUNCER_LOGIN.test(bare)) return true;
  if (MARKUP.test(bare)) return true;
  const script = /^#!|\.(?:sh|bash|py|js|rb|pl)$/.test(file) || /^#!/.test(text);
  if (script || !CONFIGURATION.test(file)) return LITERAL.test(bare) || EXPORT.test(bare) || OPTION.test(bare);
  if (CONNECTION.test(bare) || (/\.conf$/.test(file) && BARE.test(bare))) return true;
  return /[\n{]/.test(text) || /\./.test(file) ? ASSIGNMENT.test(bare) : false;
}

/** What a text says as YAML: lists of names and values (`- name: PASSWORD`, and below it `value: x`), and a value on a line of its own. */
function yamlOf(file: string, text: string): object | undefined {
  if (!/^[^.]*$|\.ya?ml$/.test(file) || !/^[ \t]*(?:-[ \t]+)?["']?[\w.-]+["']?:(?:[ \t]|$)/m.test(text))
    return undefined;
  try {
    return {
      documents: parseAllDocuments(text, { uniqueKeys: false }).map((document) => withoutTemplates(document.toJS())),
    };
  } catch {
    return undefined;
  }
}

/** The same without texts that somebody fills in: of a template, and what is written in place of one. */
function withoutTemplates(value: unknown): unknown {
  if (typeof value === "string") return /^(?:[$<{(%*]|(?:true|false|null|none)$)/i.test(value) ? "" : value;
  if (Array.isArray(value)) return value.map(withoutTemplates);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutTemplates(each)]));
}

function jsonOf(text: string): object | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Every credential that a resource carries in plain text: in a ConfigMap, in a container's environment or arguments, or
 * unencrypted in the state. Paths and reasons only; a value is never repeated.
 */
export function plaintextCredentials(resource: ResourceView): string[] {
  const kind = kindOf(resource.type);
  if (kind === "ConfigMap") return inConfigMap(resource);
  // Helm keeps what it renders in a Secret, and a Secret that it renders is where a credential belongs.
  if (kind === "Secret") return resource.rendered ? [] : inSecret(resource);
  if (workloadKind(resource.type) !== undefined) return inWorkload(resource);
  return unencrypted(resource);
}

function inConfigMap(resource: ResourceView): string[] {
  const { data, binaryData } = resource.props;
  const decoded = [...texts(binaryData, "binaryData")].map((entry) => ({
    ...entry,
    text: unpacked(entry.text),
  }));
  const entries = [...texts(data, "data"), ...decoded].flatMap((entry) => {
    const file = entry.path.replace(/^(?:data|binaryData)\.|\.gz$/g, "");
    const reason = entry.encrypted ? "is a secret of the program" : suspicion({ key: file, text: entry.text });
    return reason
      ? [`${entry.path} ${reason}, and everybody who reads the namespace reads ConfigMaps: use a Secret`]
      : [];
  });
  return [...entries, ...inLabels(texts(metadata(resource), "metadata"))];
}

function inSecret(resource: ResourceView): string[] {
  const { data, stringData } = resource.props;
  const unencrypted = [...texts(data, "data"), ...texts(stringData, "stringData")].flatMap(
    ({ path, text, encrypted }) =>
      encrypted || text === "" ? [] : [`${path} stands unencrypted in the state: wrap it in pulumi.secret(...)`],
  );
  return [...unencrypted, ...inLabels(texts(metadata(resource), "metadata"))];
}

/** Parts of a container that hold words of a command line: its own, which are one, and those of probes and hooks. */
const COMMANDS = [
  ["command", "args"],
  ...["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"].map((part) => [
    `${part}.exec.command`,
  ]),
];

function inWorkload(resource: ResourceView): string[] {
  const inContainers = containers(resource).flatMap(({ path, spec }) => [
    ...records(spec.env).flatMap((variable) => {
      const { name, value } = variable;
      if (typeof name !== "string" || typeof value !== "string") return [];
      const reason = suspicion({ key: name, text: value });
      return reason ? [`${path}.env ${name} ${reason}: take it from a Secret (valueFrom.secretKeyRef)`] : [];
    }),
    ...COMMANDS.flatMap((parts) =>
      inCommand(parts.flatMap((part) => [...texts(inner(spec, part), `${path}.${part}`)])),
    ),
    ...[...texts({ ...spec, env: undefined, command: undefined, args: undefined }, path)]
      .filter(
        ({ path: place, key, text }) =>
          !/\.exec\.command\[/.test(place) &&
          (holdsCredential(text) ||
            MARKUP.test(text) ||
            (/\.httpHeaders\[/.test(place) && isCredentialName(key.toLowerCase()))),
      )
      .concat(
        [...texts(spec, path)].filter(
          ({ key, text }) => key === "Authorization" && /^(?:Basic|Bearer) +[^$]/.test(text),
        ),
      )
      .map((entry) => `${entry.path} holds a credential: take it from a Secret`),
  ]);
  return [...inContainers, ...fromElsewhere(resource), ...besideContainers(resource), ...inLabels(labelsOf(resource))];
}

/** The entry of a ConfigMap, or the note on the pod, of which a variable is made; with the place in words. */
function sourceOf(valueFrom: unknown): { name: string; place: string } | undefined {
  const [configMap, key, field] = ["configMapKeyRef.name", "configMapKeyRef.key", "fieldRef.fieldPath"].map((path) =>
    at(valueFrom, path),
  );
  if (typeof key === "string")
    return { name: key, place: typeof configMap === "string" ? `ConfigMap ${configMap}` : "a ConfigMap" };
  const note = /^metadata\.(?:annotations|labels)\['(?:[^'/]*\/)?([^'/]*)'\]$/.exec(
    typeof field === "string" ? field : "",
  );
  return note?.[1] === undefined ? undefined : { name: note[1], place: "a note on the pod" };
}

/** Names that say of what the credential is; others end in `KEY` and are the keys of tables. */
const TAKEN = /pass|pwd|secret|token|(?:api|access|account|encryption|master|private|signing)[-_]?key/i;
/** Switches about credentials, and keys that are for everybody. */
const NOT_TAKEN = /^allow|public|publishable/i;

const isTaken = (name: string): boolean => isCredentialName(name) && TAKEN.test(name) && !NOT_TAKEN.test(name);

/** Variables that take a credential from where everybody may read it: a ConfigMap, a note on the pod. */
const fromElsewhere = (resource: ResourceView): string[] =>
  containers(resource).flatMap(({ path, spec }) =>
    records(spec.env).flatMap(({ name, valueFrom }) => {
      const source = sourceOf(valueFrom);
      if (source === undefined || typeof name !== "string" || ![name, source.name].some(isTaken)) return [];
      return [
        `${path}.env ${name} takes a credential from ${source.place}: take it from a Secret (valueFrom.secretKeyRef)`,
      ];
    }),
  );

/** What a pod has beside its containers: attributes of volumes, of which drivers take logins. */
function besideContainers(resource: ResourceView): string[] {
  const pod = podSpec(resource);
  if (!pod) return [];
  const { containers: _, initContainers: _init, ephemeralContainers: _ephemeral, ...rest } = pod.spec;
  return [...texts(rest, pod.path)]
    .filter(
      (entry) => suspicion(LABEL.test(entry.path) ? { key: labelName(entry), text: entry.text } : entry) !== undefined,
    )
    .map(({ path }) => `${path} holds a credential: take it from a Secret`);
}

/** What charts note beside a Secret to restart its readers, and switches of what injects one: digests that say so, and yes or no. */
const NOTE = /^(?:true|false|sha\d+:[0-9a-f]+)$/i;
const NOTES = /^checksum\/|(?:checksum|hash|digest)$/i;

/** The name of a label or annotation without its domain; none where it does not tell what stands under it. */
const labelName = ({ key, text }: Text): string => (NOTES.test(key) || NOTE.test(text) ? "" : key.replace(/^.*\//, ""));

const LABEL = /(?:^|\.)metadata\.(?:labels|annotations)\./;

/** Labels and annotations of an object, and of those that it makes: pods, jobs, claims. Those of a pod's own volumes are looked at with it. */
const labelsOf = ({ props }: ResourceView): Text[] =>
  [...texts(plain(props))].filter(({ path }) => LABEL.test(path) && !/\.ephemeral\./.test(path));

/** Labels and annotations that hold a credential; their names may have a domain before them. */
const inLabels = (entries: Iterable<Text>): string[] =>
  [...entries]
    .filter((entry) => suspicion({ key: labelName(entry), text: entry.text }) !== undefined)
    .map(({ path }) => `${path} holds a credential: use a Secret`);

/** A command line is a list of words, of which one may be a script. */
const inCommand = (words: readonly Text[]): string[] =>
  inWords(words).map(
    ({ path: place }) => `${place} holds a credential, and process lists show arguments: use a variable from a Secret`,
  );

/** Those of the words of a command line that hold a credential. */
const inWords = (words: readonly Text[]): Text[] => {
  const ofPrograms = new Set(
    credentialWords(commandLine(words.map(({ text }) => text)), (text) => suspicion({ key: "", text }) !== undefined),
  );
  return words.filter(({ text }, index) => {
    if (holdsUnknown(text)) return false;
    const before = words[index - 1]?.text ?? "";
    const follows = OPTION_NAME.test(before) && text !== "" && !/^[-$]/.test(text) && !SWITCH.test(text);
    if (follows || holdsCredential(text) || ofPrograms.has(index)) return true;
    const decoded = fromBase64(text);
    if (decoded !== undefined && suspicion({ key: "", text: decoded }) !== undefined) return true;
    return [OPTION, EXPORT, LITERAL, CONNECTION, MARKUP, WORD].some((pattern) => pattern.test(text));
  });
};

/** Values that a chart is likely to make a command line of, and scripts of workflows, tasks and machines. */
const ARGUMENTS = /(?:^|[a-z])(?:args|arguments|Args|Arguments|command|Command)$|^(?:source|.*script)$/i;
/** What the provider `command` has a shell run. */
const RUN = /^(?:create|update|delete)$/;

const metadata = (resource: ResourceView): unknown => plain(resource.props.metadata) ?? {};

const inner = (value: Readonly<Record<string, unknown>>, path: string): unknown =>
  path.split(".").reduce<unknown>((found, key) => (isRecord(found) ? found[key] : undefined), value);

/** Groups whose objects name a Secret as `secret`; of nginx, which passes requests on to a name, too. */
const SECRETS_BY_NAME = /^kubernetes:(?:k8s\.nginx\.org|traefik\.(?:io|containo\.us))\//;

/** Where a kind that brings a Secret along has a name for it, or what only the cluster can decrypt. */
function namesSecret(type: string, { path, key }: Text): boolean {
  const kind = kindOf(type) ?? "";
  if (SECRETS_BY_NAME.test(type)) return /^spec\..*(?:[sS]ecret|\baction\.pass)$/.test(path);
  return kind === "SealedSecret"
    ? /\.encryptedData\./.test(path)
    : /ExternalSecret$|^PushSecret$/.test(kind) && key === "secretKey";
}

/** What a custom resource does with its inputs is not known here; they stand in the state. */
function unencrypted(resource: ResourceView): string[] {
  // The serialised code of a dynamic resource is not an input of the user's.
  const { __provider: _, ...props } = resource.props;
  const { values, valueYamlFiles, repositoryOpts } = props;
  const inputs = resource.type === RELEASE ? { values, valueYamlFiles, repositoryOpts } : props;
  const remedy = resource.rendered ? "use a Secret" : "wrap it in pulumi.secret(...)";
  const kind = kindOf(resource.type);
  const entries = [...texts(inputs)].filter((entry) => !namesSecret(resource.type, entry));
  const isRun = ({ key }: Text): boolean => ARGUMENTS.test(key) || (/^command:/.test(resource.type) && RUN.test(key));
  const inArguments = new Set(inWords(entries.filter((entry) => !entry.encrypted && isRun(entry))));
  const found = entries.flatMap((entry) => {
    if (entry.encrypted) return [];
    const isLabel = kind !== undefined && LABEL.test(entry.path);
    const named = isLabel ? { key: labelName(entry), text: entry.text } : entry;
    const reason = suspicion(named) ?? (inArguments.has(entry) ? "holds a credential" : undefined);
    return reason ? [`${entry.path} ${reason}: ${remedy}`] : [];
  });
  return [...found, ...fromElsewhere(resource)];
}

/** Shortest value that is looked for in other objects: a shorter one may stand there by chance. */
const SHORTEST = 6;
/** Kinds in which a credential may stand. */
const KEPT_SECRET = new Set(["Secret", "SealedSecret", "ExternalSecret"]);

/**
 * Credentials that the program keeps as secrets and the chart writes somewhere else than into a Secret: as they are, in base64
 * or in the form of a URL.
 */
export function spilledCredentials(release: ResourceView, objects: readonly ResourceView[]): string[] {
  const forms = new Set(
    [...texts(release.props.values)].flatMap(({ key, text, encrypted }) => {
      const value = isCredentialName(key) && !isVariable(text) ? text : (URL_PASSWORD.exec(text)?.[1] ?? "");
      if (!encrypted || value.length < SHORTEST || holdsUnknown(value)) return [];
      return [value, Buffer.from(value).toString("base64"), encodeURIComponent(value)];
    }),
  );
  return objects
    .filter(({ type }) => !KEPT_SECRET.has(kindOf(type) ?? ""))
    .flatMap((object) =>
      [...texts(object.props)]
        .filter(({ text }) => [...forms].some((form) => text.includes(form)))
        .map(
          ({ path }) => `${object.name}, rendered: ${path} holds a secret of the program: have the chart use a Secret`,
        ),
    );
}
