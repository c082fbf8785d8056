/** Pure checks of single settings: those of every value, and what only a stack has. */
import { isCredentialName } from "../contract/mask/names";
import type { Check } from "../contract/validate";

export * from "../contract/validate";

/** Path of a file with authorities; what the file holds is looked at when it is used. Never repeats what it is instead. */
export const authoritiesFile: Check<string> = (value) =>
  /-----BEGIN|[\r\n]/.test(value) ? "the text itself, and not the path of a file" : undefined;

/** Whether a host, as it stands in a URL, is each machine itself. */
export const isLoopback = (host: string): boolean => /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/i.test(host);

/** An issuer of cert-manager, by kind and name. */
export const issuer: Check<string> = (value) =>
  /^(Cluster)?Issuer\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value) ? undefined : "not an issuer of cert-manager";

/** What stands between a name and its value, which is not a reference to somewhere else. */
const ASSIGNED = "[\"']?\\s*[:=]\\s*[\"']?(?![$<{(%*]|(?:true|false|null|none)\\b)";
/** `pwd` alone is the working directory, and with something before it `password` may be a page or a switch: `reset_password=/reset`. */
const NO_PATH = "(?![/~]|\\.\\.?/|[a-z]:[/\\\\])[^\\s\"',;}]{4,}";
/** A text that holds a credential wherever it stands: in a URL, in a string that a database is reached by, in JSON, in a header. */
const CREDENTIAL_VALUE = new RegExp(
  [
    "://[^/@\\s]*:[^/@\\s]*@|PRIVATE KEY-----",
    "\\bAuthorization[\"']?\\s*[:=]\\s*[\"']?(?:Basic|Bearer)\\s+(?![$<{(%*])\\S",
    `(?<![\\w-])(?:password|passwd)${ASSIGNED}[^\\s"',;}]`,
    `(?:(?<=[\\w-])(?:password|passwd)|pwd)${ASSIGNED}${NO_PATH}`,
  ].join("|"),
  "i",
);
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Environment variables by name, none of which may hold a credential: settings of this kind are readable. Never repeats a value. */
export const variables: Check<Readonly<Record<string, string>>> = (values) => {
  const problems = Object.entries(values).flatMap(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return [`"${name}" cannot be the name of a variable`];
    if (CONTROL.test(value)) return [`${name} holds a control character, which no container takes`];
    return isCredentialName(name) || CREDENTIAL_VALUE.test(value)
      ? [`${name} holds a credential, which would be in plain text`]
      : [];
  });
  return problems.length > 0 ? `not usable: ${problems.join(", ")}` : undefined;
};

/** Path of a kubeconfig. Never repeats what it is instead. */
export const kubeconfigPath: Check<string> = (value) => {
  if (/[\r\n{]/.test(value)) return "the text itself, and not the path of a file";
  return value.startsWith("$") ? "a variable, which nobody fills in here" : undefined;
};

/** Secret of an OAuth client of Google's. Never repeats it. */
export const clientSecret: Check<string> = (value) =>
  /^[A-Za-z0-9_-]{1,255}$/.test(value) ? undefined : "not the secret of an OAuth client";

/** Version of a chart: one, as Helm wants it, and no range of them. */
export const chartVersion: Check<string> = (value) => {
  if (/^v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/.test(value)) return undefined;
  return /^[\^~><=*]|\s|\|\||[.]x\b|^latest$|^\d+(?:\.\d+)?$/i.test(value)
    ? "several versions, and each update could install another one"
    : "not a chart version";
};

/** Id of a Google Cloud project. Source: Resource Manager's rule for new projects. */
export const projectId: Check<string> = (value) =>
  /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(value) ? undefined : "not a project id";

/** A region of Google Cloud. A zone is refused by name, because Autopilot clusters are regional. */
export const region: Check<string> = (value) => {
  if (/^[a-z]+-[a-z]+\d+-[a-z]$/.test(value)) return "a zone, and an Autopilot cluster is regional";
  return /^[a-z]+-[a-z]+\d+$/.test(value) ? undefined : "not a region";
};

/** Name of a resource of Google Cloud, at most `length` characters. Source: RFC 1035, which Compute and GKE follow. */
export const cloudName =
  (length: number): Check<string> =>
  (value) =>
    value.length > length
      ? `longer than ${length} characters`
      : /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(value)
        ? undefined
        : "not a name that Google Cloud takes";

/** First and last address of an IPv4 range such as `10.0.0.0/16`; undefined where it is none or has host bits set. */
export function addressRange(cidr: string): { first: number; last: number; prefix: number } | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (!match) return undefined;
  const parts = match.slice(1).map(Number);
  // Some read a number with a zero before it in eights.
  if (match.slice(1).some((part) => /^0\d/.test(part))) return undefined;
  const prefix = parts[4] ?? 33;
  if (prefix > 32 || parts.slice(0, 4).some((part) => part > 255)) return undefined;
  const first = parts.slice(0, 4).reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - prefix);
  return first % size === 0 ? { first, last: first + size - 1, prefix } : undefined;
}

/** IPv4 ranges, each by {@link cidr}. */
export const cidrs =
  (largest: number, smallest: number): Check<readonly string[]> =>
  (values) => {
    for (const value of values) {
      const problem = cidr(largest, smallest)(value);
      if (problem !== undefined) return `not a list of ranges: "${value}" is ${problem}`;
    }
    return undefined;
  };

/** Where a key of Cloud KMS is; undefined where the text is not a key's name, as that of one version is not. */
export const kmsKeyPlace = (value: string): { readonly location: string } | undefined => {
  const [, location] =
    /^projects\/[a-z][a-z0-9-]{4,28}[a-z0-9]\/locations\/([a-z0-9-]+)\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/.exec(
      value,
    ) ?? [];
  return location === undefined ? undefined : { location };
};

export const kmsKey: Check<string> = (value) => (kmsKeyPlace(value) ? undefined : "not the name of a key");

/** An IPv4 range whose prefix is within two lengths, both included: a larger number is a smaller range. */
export const cidr =
  (largest: number, smallest: number): Check<string> =>
  (value) => {
    const range = addressRange(value);
    if (!range) return "not an IPv4 range";
    if (range.prefix < largest) return `larger than /${largest}`;
    return range.prefix > smallest ? `smaller than /${smallest}` : undefined;
  };

/** Names that stand for "fill me in" and can never be a public host. Source: RFC 2606 and RFC 6761. */
const PLACEHOLDER = /(^|\.)(example\.(com|net|org)|example|test|invalid|localhost|local|internal)$/;

/** A host name that the public DNS can hold. */
export const publicHost: Check<string> = (value) => {
  if (!/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z][-a-z0-9]*[a-z0-9]$/.test(value)) return "not a public host name";
  return PLACEHOLDER.test(value) ? "a placeholder that no public DNS will ever answer for" : undefined;
};

/** Bare domains. */
export const domains: Check<readonly string[]> = (values) => {
  const wrong = values.find(
    (value) => !/^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value),
  );
  return wrong === undefined ? undefined : `not a list of domains: "${wrong}" is not a bare domain`;
};

/** Members of an IAM binding. */
export const iamMembers: Check<readonly string[]> = (values) => {
  const wrong = values.find((value) => !/^((user|group|serviceAccount):\S+@\S+\.\S+|domain:\S+\.\S+)$/.test(value));
  return wrong === undefined ? undefined : `not a list of IAM members: "${wrong}" is not one`;
};

/** vCPU that a performance-optimised machine of Cloud SQL may have. Source: Cloud SQL, "Machine series overview", N2. */
const PERFORMANCE_CPUS = [2, 4, 8, 16, 32, 48, 64, 80, 96, 128];

/**
 * Machine tier of a Cloud SQL instance for Postgres. Source: Cloud SQL for PostgreSQL, "Instance settings": 1 or an even
 * number of vCPU up to 96; memory in steps of 256 MB, at least 3840 MB, 0.9 to 6.5 GB a vCPU.
 */
export const sqlTier: Check<string> = (value) => {
  const [, kind, cpuText, memoryText] =
    /^db-(f1-micro|g1-small|custom-(\d+)-(\d+)|perf-optimized-N-\d+)$/.exec(value) ?? [];
  if (kind === undefined) return "not a tier of Postgres";
  if (kind.startsWith("perf")) {
    const cpus = Number(kind.split("-").at(-1));
    return PERFORMANCE_CPUS.includes(cpus)
      ? undefined
      : `not a tier of Postgres: there is none with ${cpus} vCPU, but with ${PERFORMANCE_CPUS.join(", ")}`;
  }
  if (cpuText === undefined) return undefined;
  const [cpus, megabytes] = [Number(cpuText), Number(memoryText)];
  if (cpus < 1 || cpus > 96 || (cpus > 1 && cpus % 2 === 1))
    return `not a tier of Postgres: ${cpus} vCPU, where 1 or an even number up to 96 can be had`;
  const step = 256;
  const least = Math.max(3840, Math.ceil((cpus * 0.9 * 1024) / step) * step);
  const most = cpus * 6.5 * 1024;
  return megabytes % step === 0 && megabytes >= least && megabytes <= most
    ? undefined
    : `not a tier of Postgres: ${megabytes} MB, where ${least} to ${most} MB in steps of ${step} can be had with ${cpus} vCPU`;
};
