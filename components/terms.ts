/** What arguments of components may be: of which kind, what is allowed, and a value that would do. TypeScript knows the kinds; a program in JavaScript does not. */
import * as pulumi from "@pulumi/pulumi";
import {
  type Check,
  credential,
  host,
  httpUrl,
  image,
  kubernetesName,
  namespaceName,
  nearest,
  notEmpty,
  oneOf,
  range,
  size,
} from "../contract/validate";

/** What one argument may be. */
export interface Term {
  /** What it has to be, in words that follow "not". */
  readonly noun: string;
  readonly allowed: string;
  readonly example: string;
  matches(this: void, value: unknown): boolean;
  /** Of a value that matches. */
  readonly check?: Check<never>;
  /** What its keys may be; undefined where it has none, or any. */
  readonly keys?: Readonly<Record<string, Term>>;
  /** What each of its elements or values may be. */
  readonly each?: Term;
  /** Of one of several kinds, that of a value that matches. */
  readonly of?: (this: void, value: unknown) => Term;
  readonly isRequired?: boolean;
  /** Whether it has to be known when the program runs: an output would be taken for true, or for something without keys. */
  readonly isPlain?: boolean;
  /** Whether an output may turn out to have no value, as what another component may lack. */
  readonly isLoose?: boolean;
}

/** A term for every argument of a component. */
export type Terms<Args> = { readonly [Key in keyof Required<Args>]: Term };

/** Where what is found out about arguments goes. */
export interface Findings {
  problem(this: void, problem: string, of: "kind" | "value"): void;
  /** What takes the place of an output. */
  output(this: void, path: string, value: pulumi.Input<unknown>, term: Term): unknown;
}

export const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

/** A value's kind; values themselves may be credentials. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean" || Number.isNaN(value)) return String(value);
  if (typeof value === "number") return "a number";
  if (typeof value === "string") return "text";
  if (Array.isArray(value)) return "a list";
  return typeof value === "function" ? "a function" : "an object";
}

const sentence = (path: string, problem: string, { allowed, example }: Term): string =>
  `${path} is ${problem}; allowed: ${allowed}; for example ${example}`;

const unknownKey = (path: string, key: string, known: readonly string[]): string => {
  const meant = nearest(key, known);
  return `${path}${key} is not an argument; ${meant === undefined ? `known are ${known.join(", ")}` : `the nearest known one is ${meant}`}`;
};

/** The value with what `findings` has put in the place of outputs; undefined where it is of another kind. */
export function inspect(path: string, value: unknown, { term, findings }: { term: Term; findings: Findings }): unknown {
  const { problem } = findings;
  if (isOutput(value)) {
    if (!term.isPlain) return findings.output(path, value, term);
    problem(sentence(path, "an output, which is not known yet when the program runs", term), "kind");
    return undefined;
  }
  if (value === undefined || value === null) {
    if (term.isRequired) problem(sentence(path, "missing", term), "kind");
    return undefined;
  }
  if (!term.matches(value)) {
    problem(sentence(path, `${kindOf(value)}, not ${term.noun}`, term), "kind");
    return undefined;
  }
  // What is broken inside is of no use as a whole.
  let isBroken = false;
  const inner: Findings = {
    ...findings,
    problem: (text, of) => {
      isBroken ||= of === "kind";
      problem(text, of);
    },
  };
  const own = term.of?.(value) ?? term;
  const inside = insideOf(path, value, { term: own, findings: inner });
  const isWhole = !Array.isArray(value) || value.every((each) => !isOutput(each) && (own.each?.matches(each) ?? true));
  const wrong = isWhole ? own.check?.(value as never) : undefined;
  if (wrong !== undefined) problem(sentence(path, wrong, term), "value");
  return isBroken ? undefined : inside;
}

function insideOf(path: string, value: unknown, { term, findings }: { term: Term; findings: Findings }): unknown {
  const { each, keys } = term;
  if (Array.isArray(value))
    return each
      ? value.map((element, index) => inspect(`${path}[${index}]`, element, { term: each, findings }))
      : (value as unknown);
  if (each && isPlainObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, inspect(`${path}.${key}`, inner, { term: each, findings })]),
    );
  return keys && typeof value === "object" ? keysOf(path, value as object, { keys, findings }) : value;
}

/** An object's keys, each inspected. What is of a class, such as another component, has more of them, and checks its own. */
export function keysOf<T extends object>(
  path: string,
  given: T,
  { keys, findings }: { keys: Readonly<Record<string, Term>>; findings: Findings },
): T {
  const before = path === "" ? "" : `${path}.`;
  if (!isPlainObject(given)) {
    for (const [key, { isRequired }] of Object.entries(keys))
      if (isRequired && (given as Record<string, unknown>)[key] === undefined)
        findings.problem(sentence(`${before}${key}`, "missing", keys[key] as Term), "kind");
    return given;
  }
  // A component that was spread brings its other keys along.
  const isSpread = Object.hasOwn(given, "__pulumiResource");
  for (const key of Object.keys(given))
    if (!isSpread && !Object.hasOwn(keys, key)) findings.problem(unknownKey(before, key, Object.keys(keys)), "value");
  const inspected = new Map<string, unknown>();
  for (const [key, term] of Object.entries(keys))
    inspected.set(key, inspect(`${before}${key}`, given[key], { term, findings }));
  // In the order in which they were given: they are written like that.
  return Object.fromEntries(
    Object.keys(given).flatMap((key) => (inspected.get(key) === undefined ? [] : [[key, inspected.get(key)]])),
  ) as T;
}

/** Whether a value is known later. */
export const isOutput = (value: unknown): value is pulumi.Output<unknown> | Promise<unknown> =>
  pulumi.Output.isInstance(value) || value instanceof Promise;

/** All that is wrong with a value that an output turned out to have. */
export function problemsOf(path: string, value: unknown, term: Term): string[] {
  if (value === undefined || value === null)
    return term.isLoose ? [] : [sentence(path, `${kindOf(value)}, and an output cannot leave an argument out`, term)];
  const problems: string[] = [];
  const findings: Findings = { problem: (problem) => problems.push(problem), output: (_path, inner) => inner };
  inspect(path, value, { term, findings });
  return problems;
}

// The kinds.

interface Spec<T> {
  readonly allowed: string;
  readonly example: string;
  readonly check?: Check<T>;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number" && !Number.isNaN(value);
const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

export const text = (spec: Spec<string>): Term => ({ noun: "text", matches: isText, ...spec });
export const number = (spec: Spec<number>): Term => ({ noun: "a number", matches: isNumber, ...spec });
export const flag: Term = {
  noun: "true or false",
  allowed: "true or false",
  example: "true",
  matches: (value) => typeof value === "boolean",
};
/** One of a few texts. */
export const choice = (...values: readonly string[]): Term =>
  text({
    allowed: values.join(", ").replace(/, (?=[^,]*$)/, " or "),
    example: values[0] ?? "",
    check: oneOf(...values),
  });
export const object = <T extends object>(keys: Terms<T>, example: string): Term => ({
  noun: "an object",
  allowed: `an object with ${Object.keys(keys).join(", ")}`,
  example,
  matches: isObject,
  keys,
  isPlain: true,
});
/** An object of a library of somebody else's, which checks it. */
export const anyObject = (allowed: string, example: string): Term => ({
  noun: "an object",
  allowed,
  example,
  matches: isObject,
  isPlain: true,
});
export const list = (each: Term, { allowed, example, check }: Spec<readonly never[]>): Term => ({
  noun: "a list",
  allowed,
  example,
  matches: Array.isArray,
  each: { ...each, isRequired: true },
  check,
  isPlain: true,
});
/** Texts by names that are anybody's. */
export const map = (example: string): Term => ({
  noun: "an object",
  allowed: "an object of texts by name",
  example,
  matches: isObject,
  each: text({ allowed: "text", example: '"1"' }),
  isPlain: true,
});

export const required = (term: Term): Term => ({ ...term, isRequired: true });
/** Known when the program runs. */
export const plain = (term: Term): Term => ({ ...term, isPlain: true });
/** Also as an output as a whole. */
export const orOutput = (term: Term): Term => ({ ...term, isPlain: false });
/** One of two kinds. */
export const either = (one: Term, other: Term): Term => ({
  ...other,
  noun: `${one.noun} or ${other.noun}`,
  allowed: `${one.allowed}, or ${other.allowed}`,
  matches: (value) => one.matches(value) || other.matches(value),
  of: (value) => (one.matches(value) ? one : other),
});

// What several components take.

/** A whole number. */
export const whole = (least: number, most: number, { allowed, example }: Omit<Spec<number>, "check">): Term =>
  number({
    allowed,
    example,
    check: (value) => (Number.isInteger(value) ? range(least, most)(value) : "not a whole number"),
  });
export const port = (example: number): Term =>
  whole(1, 65_535, { allowed: "a port, 1 to 65535", example: `${example}` });
/** A port of the nodes. Source: the API server's default of --service-node-port-range. */
export const nodePort = (example: number): Term =>
  number({
    allowed: "30000 to 32767",
    example: `${example}`,
    check: (value) => (Number.isInteger(value) && value >= 30_000 && value <= 32_767 ? undefined : String(value)),
  });
export const pods = (example: number): Term =>
  number({
    allowed: "a whole number, 0 or more",
    example: `${example}`,
    check: (value) => (Number.isSafeInteger(value) && value >= 0 ? undefined : "not a number of pods"),
  });
/** Times that Helm or the engine takes. */
export const seconds = (example: number, least = 1): Term =>
  whole(least, 86_400, { allowed: `whole seconds, ${least} to 86400`, example: `${example}` });
export const revision: Term = whole(1, 1_000_000, { allowed: "a whole number, 1 or more", example: "2" });
export const namespaceOf = (example: string): Term =>
  text({ allowed: "lower-case letters, digits and -, at most 63", example, check: namespaceName });
export const imageOf = (example: string): Term =>
  text({
    allowed: "an image reference with a tag or a digest",
    example,
    check: (value) => notEmpty(value) ?? image(value),
  });
export const sizeOf = (least: string, most: string, example: string): Term =>
  text({ allowed: `a Kubernetes quantity from ${least} to ${most}`, example, check: size(least, most) });
/** A text that nobody checks further. */
export const word = (allowed: string, example: string): Term =>
  text({ allowed, example, check: (value) => (value.trim() === "" ? "empty" : undefined) });
export const user = (example: string): Term =>
  text({ allowed: "letters, digits and . _ ~ -", example, check: credential });
export const password: Term = user("a-long.random_Word-42");
export const STORAGE_CLASS: Term = text({
  allowed: "the name of a StorageClass",
  example: "standard-rwo",
  check: kubernetesName,
});
export const hostOf = (example: string): Term =>
  text({ allowed: "a host name or an IPv4 address, without scheme and port", example, check: host });
export const urlOf = (example: string): Term =>
  text({ allowed: "an http:// or https:// URL", example, check: httpUrl });

/** Source: the grammar of `resource.Quantity`. */
const quantity = (example: string): Term =>
  text({
    allowed: "a Kubernetes quantity",
    example,
    check: (value) =>
      /^[+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(value)
        ? undefined
        : "not a Kubernetes quantity",
  });
const CPU = quantity("100m");
const MEMORY = quantity("256Mi");
export const RESOURCES: Term = object(
  {
    requests: required(object({ cpu: required(CPU), memory: required(MEMORY) }, '{ cpu: "100m", memory: "256Mi" }')),
    limits: required(object({ cpu: CPU, memory: required(MEMORY) }, '{ memory: "512Mi" }')),
  },
  '{ requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "512Mi" } }',
);
export const POLICIES: Term = list(anyObject("a policy", '{ name: "deny-all", spec: {} }'), {
  allowed: "a list, as networkPolicies makes it",
  example: "[]",
});
export const CHART: Term = object(
  {
    chart: required(plain(word("a folder, or a chart's name where a repository is set", "./charts/noetl"))),
    repository: urlOf("https://charts.example.com"),
    version: word("a version of the chart", "1.2.3"),
  },
  '{ chart: "./charts/noetl" }',
);
export const HELM: { readonly timeoutSeconds: Term; readonly transform: Term } = {
  timeoutSeconds: seconds(900),
  transform: {
    noun: "a function",
    allowed: "a function from the release's arguments to others",
    example: "(release) => release",
    matches: (value) => typeof value === "function",
    isPlain: true,
  },
};
export const CLUSTER: Term = object(
  {
    kubeconfig: word("content or path of a kubeconfig", "~/.kube/config"),
    context: word("a context of the kubeconfig", "kind-noetl"),
  },
  '{ context: "kind-noetl" }',
);
export const NATS: Term = required(
  object(
    {
      host: required(hostOf("nats.nats.svc.cluster.local")),
      port: required(port(4222)),
      user: required(user("noetl")),
      password: required(password),
      tls: plain(flag),
      ca: { ...word("certificates of authorities in PEM", "the content of ca.crt"), isLoose: true },
      serversRevision: { ...word("text", "nats.serversRevision"), isLoose: true },
    },
    "nats, a NatsJetStream",
  ),
);
export const INGRESS: Term = object(
  {
    host: required(hostOf("app.example.org")),
    annotations: map("{}"),
    certificateName: required(word("a name", "noetl")),
  },
  '{ host: "app.example.org", certificateName: "noetl" }',
);

// On Google Cloud.

export const PROJECT: Term = required(word("the id of a project", "acme-prod"));
export const REGION: Term = required(word("a region", "europe-west1"));
