/**
 * Pure checks of single values, for arguments of components, the contract and settings alike. Each returns what is wrong in
 * words that follow "is", or undefined where all is well.
 */
import { CREDENTIAL_PATTERN } from "./facts";

export type Check<T> = (value: T) => string | undefined;

const BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL = ["k", "M", "G", "T", "P", "E"];

/**
 * Bytes of a Kubernetes quantity such as `5Gi`, `500M` or `1073741824`; undefined where it is none.
 *
 * Source: the grammar of `resource.Quantity`. Exponents (`1e3`) and milli-units are left out: no size needs them and
 * nats-server would read the former as a float.
 */
export function quantityBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGTPE]i|[kMGTPE])?$/.exec(text);
  if (!match) return undefined;
  const unit = match[2];
  const factor = !unit
    ? 1
    : unit.endsWith("i")
      ? 1024 ** (BINARY.indexOf(unit) + 1)
      : 1000 ** (DECIMAL.indexOf(unit) + 1);
  const bytes = Number(match[1]) * factor;
  return Number.isInteger(bytes) ? bytes : Math.ceil(bytes);
}

export const MEBIBYTE = 1024 ** 2;

/** MiB of a Kubernetes quantity, rounded up. */
export const mebibytes = (quantity: string): number => Math.ceil((quantityBytes(quantity) ?? 0) / MEBIBYTE);

/** The number that a Kubernetes quantity of any kind stands for, `500m`, `1Gi` or `1e3`; undefined where it is none. */
export function quantity(value: unknown): number | undefined {
  const [, digits = "", unit = ""] =
    /^(\d+\.?\d*|\.\d+)(m|[KMGTPE]i|[kMGTPE]|[eE][+-]?\d+)?$/.exec(
      typeof value === "number" ? String(value) : typeof value === "string" ? value : "",
    ) ?? [];
  if (digits === "") return undefined;
  if (unit === "m") return Number(digits) / 1000;
  if (/^[eE][+-]?\d/.test(unit)) return Number(digits + unit);
  return Number(digits) * (quantityBytes(`1${unit}`) ?? 1);
}

/** Thousandths of a CPU in a Kubernetes quantity such as `500m`, `1` or `0.5`; undefined where it is none. */
export function quantityMillis(text: string): number | undefined {
  const match = /^(\d+)m$|^(\d+(?:\.\d{1,3})?)$/.exec(text);
  if (!match) return undefined;
  return match[1] === undefined ? Math.round(Number(match[2]) * 1000) : Number(match[1]);
}

/** CPU between two quantities, both included. */
export const cpu =
  (minimum: string, maximum: string): Check<string> =>
  (value) => {
    const millis = quantityMillis(value);
    if (millis === undefined) return "not a quantity of CPU";
    if (millis < (quantityMillis(minimum) ?? 0)) return `less than ${minimum}`;
    return millis > (quantityMillis(maximum) ?? Infinity) ? `more than ${maximum}` : undefined;
  };

/** A quantity between two others, both included. */
export const size =
  (minimum: string, maximum: string): Check<string> =>
  (value) => {
    const bytes = quantityBytes(value);
    if (bytes === undefined) return "not a Kubernetes quantity";
    if (bytes < (quantityBytes(minimum) ?? 0)) return `smaller than ${minimum}`;
    if (bytes > (quantityBytes(maximum) ?? Infinity)) return `larger than ${maximum}`;
    return undefined;
  };

/** Characters of a user or a password: both go into one line of NATS' protocol, which the server cuts off at 4096. */
const LONGEST_CREDENTIAL = 1024;

/** User names and passwords that NoETL's clients can use inside a URL. Never repeats the value: it may be a password. */
export const credential: Check<string> = (value) => {
  if (value.length > LONGEST_CREDENTIAL) return `longer than ${LONGEST_CREDENTIAL} characters`;
  return CREDENTIAL_PATTERN.test(value)
    ? undefined
    : "unusable for NoETL's clients, which take it from the URL without decoding";
};

/** Bytes of a subject: with those of a reply it stands in one line of NATS' protocol, which the server cuts off at 4096. */
const LONGEST_SUBJECT = 1024;

/** What stands in a name after a copy, and in nobody's eyes. */
const UNSEEN = /[\p{Cc}\p{Cf}]/u;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** A subject that a client may publish to or a stream may store. */
export const subject: Check<string> = (value) => {
  if (bytesOf(value) > LONGEST_SUBJECT) return `not a NATS subject: it is longer than ${LONGEST_SUBJECT} bytes`;
  if (/\s/.test(value)) return "not a NATS subject: it holds white space";
  if (UNSEEN.test(value)) return "not a NATS subject: it holds a sign that nobody sees";
  const tokens = value.split(".");
  if (tokens.some((token) => token === "")) return "not a NATS subject: it has an empty token";
  if (tokens.slice(0, -1).includes(">")) return "not a NATS subject: `>` may stand only at its end";
  if (tokens.some((token) => token.length > 1 && /[*>]/.test(token)))
    return "not a NATS subject: `*` and `>` must be tokens of their own";
  if (value.startsWith("$")) return "reserved: subjects that start with `$` belong to the server";
  return undefined;
};

/** A subject that the server publishes to: no wildcard. */
export const literalSubject: Check<string> = (value) =>
  subject(value) ??
  (/(^|\.)[*>](\.|$)/.test(value) ? "not a subject one can publish to: it holds a wildcard" : undefined);

/**
 * Prefix of subjects that somebody subscribes to as `PREFIX>`, which is why it ends with a dot: `updates>` is a subject of
 * one literal token that nobody publishes on.
 */
export const subjectPrefix: Check<string> = (value) =>
  literalSubject(value.replace(/\.$/, "")) ??
  (value.endsWith(".") ? undefined : "a prefix without the dot at its end, which matches no subject");

/** True where a subscription to everything below `prefix` (with or without its last dot) gets what is published on `subject` or below it. */
export function prefixTakesIn(prefix: string, subject: string): boolean {
  const [one, other] = [`${prefix.replace(/\.$/, "")}.`, `${subject}.`];
  return other.startsWith(one) || one.startsWith(other);
}

/** Bytes of the name of a stream or consumer. Source: nats-server. */
const LONGEST_NAME = 255;

/** Name of a stream, consumer or bucket. Source: nats-server refuses white space, `.`, `*`, `>`, `/` and `\`. */
export const jetstreamName: Check<string> = (value) => {
  if (value === "") return "empty";
  if (bytesOf(value) > LONGEST_NAME) return `longer than ${LONGEST_NAME} bytes`;
  if (UNSEEN.test(value)) return "not a JetStream name: it holds a sign that nobody sees";
  return /[\s.*>/\\]/.test(value) ? "not a JetStream name" : undefined;
};

/** Beginnings of the names of streams behind buckets and object stores. */
const STORES = { KV_: "a bucket", OBJ_: "an object store" } as const;

/** Name of a stream that is neither a bucket nor an object store. */
export const streamName: Check<string> = (value) => {
  const [, store] = Object.entries(STORES).find(([prefix]) => value.startsWith(prefix)) ?? [];
  return jetstreamName(value) ?? (store && `the name of ${store}'s stream`);
};

/** Name of a key-value bucket or an object store. Source: the clients of NATS allow no other characters. */
export const bucketName: Check<string> = (value) => {
  const longest = LONGEST_NAME - Math.max(...Object.keys(STORES).map((prefix) => prefix.length));
  if (value.length > longest) return `longer than ${longest} characters, and NATS puts some before it`;
  return /^[A-Za-z0-9_-]+$/.test(value) ? undefined : "not a bucket name";
};

/** What a browser sends as the origin of a page under this URL; undefined where it is another URL. */
function sentOrigin(value: string): string | undefined {
  try {
    const { protocol, hostname, origin: sent } = new URL(value);
    return /^https?:$/.test(protocol) && hostname !== "" && !/[*,;|]/.test(hostname) ? sent : undefined;
  } catch {
    return undefined;
  }
}

/** Scheme of an origin such as `capacitor://localhost`. */
const schemeOf = (value: string): string | undefined => /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(value)?.[1];

/** The spelling that differs from what a browser sends, in words that follow the origin in quotes. */
function misspelling(value: string, sent: string): string {
  const [, userInfo, hostAndPort = "", rest = ""] = /^https?:\/\/([^/?#]*@)?([^/?#]*)(.*)$/is.exec(value) ?? [];
  if (userInfo !== undefined) return "holds a login, which no browser sends";
  if (/^\/+$/.test(rest)) return "ends with a slash, which no browser sends";
  if (rest !== "") return "has a path, and a browser sends scheme, host and port alone";
  if (value.toLowerCase() === sent) return "has capitals, and a browser sends lower case";
  if (/:\d*$/.test(hostAndPort) && !/:\d+$/.test(sent))
    return "names its scheme's own port, which a browser leaves out";
  return "is not spelt as a browser sends it";
}

/** An origin as a browser sends it: scheme, host, optional port, nothing after it. */
export const origin: Check<string> = (value) => {
  const wrong = (why: string) => `not an origin: "${value}" ${why}`;
  if (/[;|]/.test(value)) return wrong("has another sign than comma or space between origins");
  if (value === "*")
    return wrong("stands for every page, and the gateway takes origins by name, because pages send their login");
  if (value.includes("*")) return wrong("holds a wildcard, and the gateway takes origins by name");
  if (value.toLowerCase() === "null")
    return wrong("is what a browser sends for pages without an origin, whoever made them");
  const scheme = schemeOf(value);
  if (scheme === undefined) return wrong("has no scheme");
  if (!/^https?$/i.test(scheme)) return wrong(`has the scheme ${scheme}, and pages come by http or https`);
  const sent = sentOrigin(value);
  if (sent === undefined) return wrong("is not a URL");
  return sent === value ? undefined : wrong(`${misspelling(value, sent)}: "${sent}"`);
};

/** Origins that take the place of one that is wrong; none where nothing can be made of it. */
function correctedOrigins(value: string): string[] {
  if (/[;|]/.test(value)) return value.split(/[;|]+/).flatMap((part) => (part === "" ? [] : correctedOrigins(part)));
  const scheme = schemeOf(value);
  const host = value.slice(scheme === undefined ? 0 : scheme.length + 3).replace(/^\*\./, "app.");
  const sent = sentOrigin(`${scheme !== undefined && /^https?$/i.test(scheme) ? scheme : "https"}://${host}`);
  return sent !== undefined && origin(sent) === undefined && value.toLowerCase() !== "null" ? [sent] : [];
}

/** A list of origins as browsers send them, made of one with mistakes; undefined where nothing is left of it. */
export function suggestedOrigins(values: readonly string[]): string | undefined {
  const corrected = [...new Set(values.flatMap(correctedOrigins))];
  return corrected.length > 0 ? corrected.join(",") : undefined;
}

export const origins: Check<readonly string[]> = (values) => {
  if (values.length === 0) return "empty";
  const problems = values.flatMap((value) => origin(value) ?? []);
  return problems.length > 0 ? problems.join(", and ") : undefined;
};

/** A URL of any scheme with a login in it, which stands in plain text wherever the URL does. */
export const loginInUrl: Check<string> = (value) =>
  /:\/\/[^\s/?#]*@/.test(value)
    ? "a URL with a login in it, which everybody who sees the settings would read"
    : undefined;

const urlOf = (value: string): URL | undefined => {
  try {
    return new URL(value);
  } catch {
    return undefined;
  }
};

/** An absolute http(s) URL, without a login. */
export const httpUrl: Check<string> = (value) => {
  if (!/^https?:\/\/[^\s/]/.test(value) || /\s/.test(value)) return "not a http:// or https:// URL";
  if (loginInUrl(value) !== undefined) return loginInUrl(value);
  if (urlOf(value) === undefined) return "not a http:// or https:// URL";
  return /[?#]/.test(value) ? "a URL with a query, or with a place inside a page" : undefined;
};

const LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const LABELS = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
/** Characters of a label, and of a name. Source: RFC 1123, which the DNS and Kubernetes follow. */
const [LONGEST_LABEL, LONGEST_HOST] = [63, 253];

/** Host name or IPv4 address, without scheme and port. */
export const host: Check<string> = (value) => {
  const labels = value.toLowerCase().split(".");
  if (!LABELS.test(value.toLowerCase())) return "not a host name";
  if (value.length > LONGEST_HOST || labels.some((label) => label.length > LONGEST_LABEL))
    return `longer than a host name is: ${LONGEST_LABEL} characters between dots, and ${LONGEST_HOST} in all`;
  // A name whose last label is a number is an address for every client.
  if (!/^\d+$/.test(labels.at(-1) ?? "")) return undefined;
  const isAddress =
    labels.length === 4 && labels.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return isAddress ? undefined : "neither a host name nor an IPv4 address";
};

/** An argument that has a default, and may be left out but not empty. */
export const notEmpty: Check<string> = (value) =>
  value.trim() === "" ? "empty; leave it out for the default" : undefined;

const PATH_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const REGISTRY = "(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?";
/** Repository, tag and digest. Source: the grammar of references of the distribution project, which containerd follows. */
const IMAGE = new RegExp(
  `^((?:${REGISTRY}/)?${PATH_PART}(?:/${PATH_PART})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$`,
);
const LONGEST_REPOSITORY = 255;

/** Image reference with a tag or a digest. */
export const image: Check<string> = (value) => {
  const [, repository = "", tag, digest] = IMAGE.exec(value) ?? [];
  if (repository !== "" && repository.length <= LONGEST_REPOSITORY)
    return tag === undefined && digest === undefined ? "an image without tag or digest" : undefined;
  if (/@sha\d+:/.test(value) && IMAGE.test(value.replace(/@.*$/, ""))) return "an image with a digest that is not one";
  const [name = "", ...rest] = value.split(/[:@](?=[^/]*$)/);
  if (/[A-Z]/.test(name) && IMAGE.test([name.toLowerCase(), ...rest].join(":")))
    return "an image with capitals in its name, which no registry has";
  return "not an image reference";
};

/** Name of a Kubernetes object (RFC 1123 subdomain). */
export const kubernetesName: Check<string> = (value) => {
  if (value.length > LONGEST_HOST) return `longer than ${LONGEST_HOST} characters`;
  return LABELS.test(value) ? undefined : "not a Kubernetes name";
};

/** Name of a namespace (RFC 1123 label). */
export const namespaceName: Check<string> = (value) => {
  const problem = kubernetesName(value);
  if (problem !== undefined) return problem;
  if (value.includes(".")) return "a name with a dot, which no namespace has";
  return value.length > LONGEST_LABEL ? `longer than ${LONGEST_LABEL} characters` : undefined;
};

/** An SQL identifier that needs no quoting. */
export const sqlName: Check<string> = (value) =>
  /^[a-z_][a-z0-9_]{0,62}$/.test(value) ? undefined : "not a plain SQL name";

/** Name of a role that Postgres lets somebody create. Source: CREATE ROLE, and reserved_names in its parser. */
export const sqlRole: Check<string> = (value) =>
  sqlName(value) ??
  (value.startsWith("pg_") || value === "public" || value === "none"
    ? "a name that Postgres keeps for itself"
    : undefined);

/** Name of a database that can be created and used. */
export const sqlDatabase: Check<string> = (value) =>
  sqlName(value) ?? (/^template[01]$/.test(value) ? "a template, which holds nobody's data" : undefined);

/** A number within a range, both ends included. */
export const range =
  (minimum: number, maximum: number): Check<number> =>
  (value) =>
    value < minimum ? `smaller than ${minimum}` : value > maximum ? `larger than ${maximum}` : undefined;

/** One of a few values. */
export const oneOf =
  <T>(...allowed: readonly T[]): Check<T> =>
  (value) =>
    allowed.includes(value) ? undefined : `none of ${allowed.join(", ")}`;

/** The candidate that takes the fewest edits to reach, where that is at most a third of the name. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate));
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
