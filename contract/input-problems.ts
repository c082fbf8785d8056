/** What the contract's inputs may be, and what is said of those that are not. */
import { declaredInputProblems } from "./declared/problems";
import { partProblems, unknownKeys } from "./input-keys";
import { authorities } from "./nats/certificate";
import {
  bucketName,
  jetstreamName,
  kubernetesName,
  namespaceName,
  oneOf,
  range,
  subject,
  literalSubject,
  subjectPrefix,
  type Check,
} from "./validate";
import { CONSUMER, GATEWAY, LOCATIONS, STREAM, WORKER_TUNING } from "./facts";
import { ignoresSubject, NOETL_LINES, SUBJECT_SINCE, versionText } from "./lines";
import { list } from "./rules/rule";
import { subjectsCover, subjectsOverlap } from "./subjects";
import {
  consumerTerms,
  DEFAULT_CONNECTION,
  DEFAULT_TIMEOUT_SECONDS,
  parseServer,
  publishedSubjects,
  streamSubjects,
  type ContractInputs,
  type Expectation,
} from "./inputs";
import { isRecord } from "./records";

const text: Check<unknown> = (value) => (typeof value === "string" && value !== "" ? undefined : "not text");
const secretText: Check<unknown> = (value) =>
  typeof value !== "string" || value === ""
    ? "empty or no text"
    : /[\r\n]/.test(value)
      ? "more than one line"
      : undefined;

/** `check` for a value whose type is not known yet. */
function typed<T>(type: "string" | "number", check: Check<T>): Check<unknown> {
  return (value) => {
    if (typeof value !== type || value === "" || Number.isNaN(value))
      return type === "string" ? "not text" : "not a number";
    return check(value as T);
  };
}

// The value is a credential and never repeated.
const nkeySeed: Check<unknown> = (value) =>
  typeof value === "string" && /^SU[A-Z2-7]{56}$/.test(value) ? undefined : "not a seed of a user's NKey";

const server: Check<unknown> = (value) => {
  if (typeof value !== "string") return "not text";
  // The value is not repeated: it may hold a password.
  if (value.includes("@")) return "a URL with credentials in it, which the client would ignore";
  return parseServer(value) ? undefined : `not a server address: "${value}"`;
};

const servers: Check<unknown> = (value) => {
  if (!Array.isArray(value) || value.length === 0) return "not a list of servers";
  return value.map(server).find((problem) => problem !== undefined);
};

/** What a value may be: a check, and what it allows in words. */
interface Kind {
  readonly check: Check<unknown>;
  readonly allowed: string;
}

/** One rule for one input: where it stands, what it may be, and a value that would do. */
interface InputRule extends Kind {
  readonly path: string;
  readonly example: string;
  readonly isOptional?: boolean;
}

const rule = (path: string, kind: Kind, example: unknown): InputRule => ({ path, ...kind, example: String(example) });
const optional = (path: string, kind: Kind, example: unknown): InputRule => ({
  ...rule(path, kind, example),
  isOptional: true,
});

const between = (minimum: number, maximum: number, allowed: string): Kind => ({
  check: typed("number", range(minimum, maximum)),
  allowed,
});
const oneOfThese = (...allowed: readonly string[]): Kind => ({
  check: typed("string", oneOf(...allowed)),
  allowed: `one of ${allowed.join(", ")}`,
});
const KUBERNETES_NAME: Kind = { check: typed("string", kubernetesName), allowed: "a Kubernetes name" };
const NAMESPACE: Kind = { check: typed("string", namespaceName), allowed: "the name of a namespace, without dots" };
const NATS_NAME: Kind = {
  check: typed("string", jetstreamName),
  allowed: "a name without white space and . * > / \\",
};
const BUCKET_NAME: Kind = { check: typed("string", bucketName), allowed: "letters, digits, _ and -" };
const USER: Kind = { check: secretText, allowed: "a NATS user name" };
const PASSWORD: Kind = { check: secretText, allowed: "a NATS password, in one line" };
const GENERATED = "(a generated one)";

const TLS_RULES: readonly InputRule[] = [
  optional(
    "connection.tls.ca",
    { check: typed("string", authorities), allowed: "certificates of authorities in PEM" },
    "the content of ca.crt",
  ),
];

const CLUSTER_RULES: readonly InputRule[] = [
  rule("connection.namespace", NAMESPACE, DEFAULT_CONNECTION.namespace),
  rule("connection.service", KUBERNETES_NAME, DEFAULT_CONNECTION.service),
  optional("connection.pod", KUBERNETES_NAME, LOCATIONS.nats.pod),
  rule("connection.port", between(1, 65535, "a port, 1 to 65535"), DEFAULT_CONNECTION.port),
  optional("connection.kubeconfig", { check: text, allowed: "content or path of a kubeconfig" }, "~/.kube/config"),
  optional("connection.context", { check: text, allowed: "a context of the kubeconfig" }, "kind-noetl"),
];

const SERVERS_RULES: readonly InputRule[] = [
  rule(
    "connection.servers",
    {
      check: servers,
      allowed: "a list of host:port, with or without nats:// or tls://; credentials go into user and password",
    },
    '["127.0.0.1:4222"]',
  ),
];

const NKEY: Kind = { check: nkeySeed, allowed: "the seed of a user's NKey, SU and 56 more characters" };
const SUBJECT: Kind = {
  check: typed("string", subject),
  allowed: "a NATS subject: tokens separated by single dots",
};
const LIMIT = between(-1, Infinity, "a count, -1 for unlimited");
const TIME = between(0.001, Infinity, "seconds, more than 0");

const COMMON_RULES: readonly InputRule[] = [
  optional("user", USER, "noetl"),
  optional("password", PASSWORD, GENERATED),
  optional("credentials", { check: text, allowed: "content or path of a credentials file" }, "~/noetl.creds"),
  optional("nkeySeed", NKEY, GENERATED),
  rule("mode", oneOfThese("assert", "ensure"), "assert"),
  rule("stream", NATS_NAME, STREAM.name),
  rule("subject", SUBJECT, STREAM.subject),
  rule("consumer", NATS_NAME, CONSUMER.name),
  rule("expect.retention", oneOfThese("limits", "interest", "workqueue"), STREAM.retention),
  rule("expect.storage", oneOfThese("memory", "file"), STREAM.storage),
  rule("expect.maxAgeSeconds", between(0, Infinity, "seconds, 0 for unlimited"), STREAM.maxAgeSeconds),
  rule("expect.ackPolicy", oneOfThese("none", "all", "explicit"), CONSUMER.ackPolicy),
  rule("expect.deliverPolicy", oneOfThese("all", "last", "new", "last_per_subject"), CONSUMER.deliverPolicy),
  rule("expect.replayPolicy", oneOfThese("instant", "original"), CONSUMER.replayPolicy),
  rule("expect.ackWaitSeconds", TIME, CONSUMER.ackWaitSeconds),
  rule("expect.replicas", between(1, 5, "a count, 1 to 5"), STREAM.replicas),
  rule("expect.duplicateWindowSeconds", between(0.1, Infinity, "seconds, 0.1 or more"), STREAM.duplicateWindowSeconds),
  rule("worker.maxAckPending", LIMIT, WORKER_TUNING.maxAckPending),
  rule("worker.maxDeliver", LIMIT, WORKER_TUNING.maxDeliver),
  rule("worker.fetchTimeoutSeconds", TIME, WORKER_TUNING.fetchTimeoutSeconds),
  rule("worker.replicas", between(0, Infinity, "a count"), 2),
  rule("noetl.namespace", NAMESPACE, LOCATIONS.noetl.namespace),
  rule("noetl.serverDeployment", KUBERNETES_NAME, LOCATIONS.noetl.serverDeployment),
  rule("noetl.workerDeployment", KUBERNETES_NAME, LOCATIONS.noetl.workerDeployment),
  rule("timeoutSeconds", between(1, 3600, "seconds, 1 to 3600"), DEFAULT_TIMEOUT_SECONDS),
];

const INBOX: Kind = { check: typed("string", literalSubject), allowed: "a subject without wildcards" };

const LOGIN_RULES: readonly InputRule[] = [
  rule("noetlLogin.user", USER, "noetl"),
  rule("noetlLogin.password", PASSWORD, GENERATED),
  optional("noetlLogin.inbox", INBOX, "_INBOX"),
  optional("noetlLogin.worker.user", USER, "noetl-worker"),
  optional("noetlLogin.worker.password", PASSWORD, GENERATED),
  optional("noetlLogin.worker.inbox", INBOX, "_INBOX"),
];

const UPDATES_PREFIX: Kind = {
  check: typed("string", subjectPrefix),
  allowed: "a subject without wildcards; it may end with a dot",
};
const CALLBACKS_PREFIX: Kind = {
  check: typed("string", literalSubject),
  allowed: "a subject without wildcards; the gateway puts a dot after it",
};
const TTL = between(1, Infinity, "seconds, 1 or more");

const GATEWAY_RULES: readonly InputRule[] = [
  rule("gateway.updatesSubjectPrefix", UPDATES_PREFIX, GATEWAY.updatesSubjectPrefix),
  rule("gateway.callbackSubjectPrefix", CALLBACKS_PREFIX, GATEWAY.callbackSubjectPrefix),
  rule("gateway.sessionBucket", BUCKET_NAME, GATEWAY.sessionBucket),
  rule("gateway.sessionTtlSeconds", TTL, GATEWAY.sessionTtlSeconds),
  rule("gateway.requestBucket", BUCKET_NAME, GATEWAY.requestBucket),
  rule("gateway.requestTtlSeconds", TTL, GATEWAY.requestTtlSeconds),
  optional("gateway.user", USER, "gateway"),
  optional("gateway.password", PASSWORD, GENERATED),
  rule("gateway.namespace", KUBERNETES_NAME, LOCATIONS.gateway.namespace),
  rule("gateway.deployment", KUBERNETES_NAME, LOCATIONS.gateway.deployment),
];

const EXAMPLE_CONSUMERS = `[{"name": "pool", "filters": ["${STREAM.subject}.pool.>"]}]`;

/** What is wrong with the line, the subjects that are published and the consumers; none of them is a credential. */
function consumerProblems(inputs: ContractInputs, unknown: string | undefined): string[] {
  const { noetlLine, publishes, consumers } = inputs as {
    noetlLine?: unknown;
    publishes?: unknown;
    consumers?: unknown;
  };
  const given = (value: unknown): boolean => value !== undefined && !(unknown !== undefined && holds(value, unknown));
  const problems: string[] = [];
  if (given(noetlLine) && !NOETL_LINES.some((line) => line === noetlLine)) {
    problems.push(
      `noetlLine is ${JSON.stringify(noetlLine)}; allowed is one of ${NOETL_LINES.join(", ")}, for example 2.8`,
    );
  }
  const isSubject = (value: unknown): boolean => typeof value === "string" && subject(value) === undefined;
  if (given(publishes) && !(Array.isArray(publishes) && publishes.length > 0 && publishes.every(isSubject))) {
    problems.push(
      `publishes is not a list of NATS subjects; allowed is one or more, for example ["${STREAM.subject}"]`,
    );
  }
  const isKnown = ![inputs.subject, inputs.consumer, noetlLine, publishes, consumers].some(
    (value) => unknown !== undefined && holds(value, unknown),
  );
  // What is wrong with these has sentences of its own.
  const isSound = isSubject(inputs.subject) && typeof inputs.consumer === "string";
  const asPublished = (): string[] =>
    isKnown && isSound ? [...ignoredSubject(inputs), ...outsideProblems(inputs), ...uncoveredProblems(inputs)] : [];
  if (!given(consumers)) return [...problems, ...(problems.length === 0 ? asPublished() : [])];
  if (!Array.isArray(consumers) || !consumers.every(isRecord)) {
    return [...problems, `consumers is not a list of consumers; allowed is a list, for example ${EXAMPLE_CONSUMERS}`];
  }
  const own = problemsOfList(consumers);
  return [...problems, ...own, ...(problems.length + own.length === 0 ? asPublished() : [])];
}

/** A subject that the server of this line does not publish on, as far as the line tells. */
function ignoredSubject({ noetlLine, subject, publishes }: ContractInputs): string[] {
  if (noetlLine === undefined || publishes !== undefined || subject === STREAM.subject) return [];
  if (ignoresSubject({ line: noetlLine }) === false) return [];
  return [
    `subject is ${subject}, and the server of NoETL before ${versionText(SUBJECT_SINCE)} publishes on ${STREAM.subject} whatever is ` +
      `set; allowed with noetlLine ${noetlLine} is ${STREAM.subject}, or publishes beside it, for example publishes ["${subject}"] ` +
      `where it is newer`,
  ];
}

/** Filters that nothing which the stream stores can match; the server accepts them, and the consumer gets nothing. */
function outsideProblems(inputs: ContractInputs): string[] {
  const stored = streamSubjects(inputs);
  return consumerTerms(inputs).flatMap(({ filters = [] }, index) =>
    filters
      .filter((filter) => !stored.some((one) => subjectsOverlap(one, filter)))
      .map(
        (filter) =>
          `consumers[${index}].filters has ${filter}, which stream ${inputs.stream} does not store; allowed are subjects ` +
          `below ${list(stored)}, for example ${stored[0]}`,
      ),
  );
}

/** What is published and what the consumers' filters let through together. */
function uncoveredProblems(inputs: ContractInputs): string[] {
  const terms = consumerTerms(inputs);
  if (!terms.every(({ filters }) => filters?.length)) return [];
  const filters = terms.flatMap((item) => item.filters ?? []);
  const left = publishedSubjects(inputs).filter((published) => !subjectsCover(filters, published));
  return left.length === 0
    ? []
    : [
        `consumers let nothing through of ${list(left)}, which is published; allowed are filters that cover all that is published ` +
          `together, for example ${JSON.stringify([{ name: terms[0]?.name, filters: left }])}`,
      ];
}

/** True where a part of the value is not known yet. */
const holds = (value: unknown, unknown: string): boolean =>
  JSON.stringify(value)?.includes(JSON.stringify(unknown)) ?? false;

function problemsOfList(consumers: readonly Record<string, unknown>[]): string[] {
  const problems = consumers.flatMap((item, index) => {
    const path = `consumers[${index}]`;
    const { name, filters } = item;
    const isName = typeof name === "string" && name !== "" && jetstreamName(name) === undefined;
    const areFilters =
      filters === undefined ||
      (Array.isArray(filters) &&
        filters.length > 0 &&
        filters.every((one) => typeof one === "string" && !subject(one)));
    return [
      ...(isName
        ? []
        : [
            `${path}.name is not a consumer's name; allowed is a name without white space and . * > / \\, for example pool`,
          ]),
      ...(areFilters
        ? []
        : [
            `${path}.filters is not a list of NATS subjects; allowed is one or more, for example ["${STREAM.subject}.pool.>"]`,
          ]),
      ...(["ackWaitSeconds", "maxAckPending", "maxDeliver"] as const).flatMap((key) => {
        const value = item[key];
        const least = key === "ackWaitSeconds" ? 0.001 : -1;
        const isFine = value === undefined || (typeof value === "number" && value >= least);
        return isFine
          ? []
          : [`${path}.${key} is not a number of ${least} or more; allowed is such a number, for example 30`];
      }),
    ];
  });
  const names = consumers.map(({ name }) => String(name));
  for (const name of new Set(names.filter((one, index) => names.indexOf(one) !== index))) {
    problems.push(`consumers has ${name} more than once; allowed is each name once, for example ${EXAMPLE_CONSUMERS}`);
  }
  const filtered = consumers.flatMap(({ name, filters }) =>
    (Array.isArray(filters) ? filters : []).map((filter) => ({ name: String(name), filter: String(filter) })),
  );
  for (const [index, a] of filtered.entries()) {
    for (const b of filtered.slice(index + 1)) {
      if (a.name === b.name || !subjectsOverlap(a.filter, b.filter)) continue;
      problems.push(
        `consumers ${a.name} and ${b.name} both take what ${a.filter} and ${b.filter} match, so that a command would be ` +
          `delivered twice; allowed are filters that have nothing in common, for example ${STREAM.subject}.shared.> and ` +
          `${STREAM.subject}.python.>`,
      );
    }
  }
  return problems;
}

function valueAt(path: string, inputs: unknown, unknown: string | undefined): unknown {
  let value = inputs;
  for (const key of path.split(".")) {
    if (unknown !== undefined && value === unknown) return unknown;
    value = isRecord(value) ? value[key] : undefined;
  }
  return value;
}

/**
 * What is wrong with each value for itself, one sentence each; empty where all is well. What contradicts another value is
 * {@link inputProblems}' to say. Values are never repeated, except where they cannot be a credential.
 *
 * @param unknown What stands for a value that a preview does not know yet; such a value is not checked.
 */
export function valueProblems(inputs: ContractInputs, unknown?: string): string[] {
  const connection: unknown = inputs.connection;
  const direct = isRecord(connection) && "servers" in connection;
  const rules = [
    ...(direct ? SERVERS_RULES : CLUSTER_RULES),
    ...TLS_RULES,
    ...COMMON_RULES,
    ...(inputs.noetlLogin === undefined ? [] : LOGIN_RULES),
    ...(inputs.gateway === undefined ? [] : GATEWAY_RULES),
  ];
  const parts = partProblems(inputs, unknown);
  const isWithin = (path: string) => parts.some(({ part }) => path.startsWith(`${part}.`));
  const problems = rules.flatMap(({ path, check, allowed, example, isOptional }) => {
    if (isWithin(path)) return [];
    const value = valueAt(path, inputs, unknown);
    if ((unknown !== undefined && value === unknown) || (isOptional && value === undefined)) return [];
    const problem = check(value);
    return problem ? [`${path} is ${problem}; allowed is ${allowed}, for example ${example}`] : [];
  });
  return [...problems, ...parts.map(({ problem }) => problem), ...unknownKeys(inputs)];
}

/**
 * What is wrong with the inputs: with each value, and with what contradicts another.
 *
 * @param unknown As for {@link valueProblems}.
 */
export function inputProblems(inputs: ContractInputs, unknown?: string): string[] {
  const problems = valueProblems(inputs, unknown);
  if (typeof inputs.strict !== "boolean" && inputs.strict !== unknown) {
    problems.push("strict is not a boolean; allowed is true or false, for example false");
  }
  if (inputs.password !== undefined && inputs.user === undefined) {
    problems.push("password is set without user; set both or neither, for example user noetl");
  }
  const logins = (["user", "credentials", "nkeySeed"] as const).filter((name) => inputs[name] !== undefined);
  if (logins.length > 1) {
    problems.push(`${logins.join(" and ")} are set; allowed is one way to log in, for example user and password`);
  }
  problems.push(...consumerProblems(inputs, unknown));
  const { expect } = inputs as { expect?: Partial<Expectation> };
  if (expect?.retention === "workqueue") {
    if (expect.deliverPolicy === "new" || expect.deliverPolicy === "last") {
      problems.push(
        `expect.deliverPolicy is ${expect.deliverPolicy}, which a work queue refuses; allowed with expect.retention ` +
          "workqueue is all, for example all",
      );
    }
  }
  return [...problems, ...declaredInputProblems(inputs, unknown)];
}
