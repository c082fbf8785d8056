/** What the contract's inputs may be, and what is said of those that are not. */
import { declaredInputProblems } from "./declared/problems";
import {
  bucketName,
  jetstreamName,
  kubernetesName,
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
  isRecord,
  parseServer,
  publishedSubjects,
  streamSubjects,
  type ContractInputs,
  type Expectation,
} from "./inputs";

const RETENTIONS = ["limits", "interest", "workqueue"];
const STORAGES = ["memory", "file"];
const ACK_POLICIES = ["none", "all", "explicit"];
const DELIVER_POLICIES = ["all", "last", "new", "last_per_subject"];
const REPLAY_POLICIES = ["instant", "original"];
const MODES = ["assert", "ensure"];

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

const between = (minimum: number, maximum: number): Check<unknown> => typed("number", range(minimum, maximum));

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

/** One rule for one input: where it stands, what is allowed in words, and a value that would do. */
interface InputRule {
  readonly path: string;
  readonly check: Check<unknown>;
  readonly allowed: string;
  readonly example: string;
  readonly optional?: boolean;
}

const rule = (path: string, check: Check<unknown>, allowed: string, example: unknown, optional = false): InputRule => ({
  path,
  check,
  allowed,
  example: String(example),
  optional,
});

const kubernetes = (path: string, example: string, optional = false): InputRule =>
  rule(path, typed("string", kubernetesName), "a Kubernetes name", example, optional);

const choice = (path: string, allowed: readonly string[], example: string): InputRule =>
  rule(path, typed("string", oneOf(...allowed)), `one of ${allowed.join(", ")}`, example);

const CLUSTER_RULES: readonly InputRule[] = [
  kubernetes("connection.namespace", DEFAULT_CONNECTION.namespace),
  kubernetes("connection.service", DEFAULT_CONNECTION.service),
  kubernetes("connection.pod", LOCATIONS.nats.pod, true),
  rule("connection.port", between(1, 65535), "a port, 1 to 65535", DEFAULT_CONNECTION.port),
  rule("connection.kubeconfig", text, "content or path of a kubeconfig", "~/.kube/config", true),
  rule("connection.context", text, "a context of the kubeconfig", "kind-noetl", true),
];

const SERVERS_RULES: readonly InputRule[] = [
  rule(
    "connection.servers",
    servers,
    "a list of host:port, with or without nats:// or tls://; credentials go into user and password",
    '["127.0.0.1:4222"]',
  ),
];

const COMMON_RULES: readonly InputRule[] = [
  rule("user", secretText, "a NATS user name", "noetl", true),
  rule("password", secretText, "a NATS password, in one line", "(a generated one)", true),
  rule("credentials", text, "content or path of a credentials file", "~/noetl.creds", true),
  rule("nkeySeed", nkeySeed, "the seed of a user's NKey, SU and 56 more characters", "(a generated one)", true),
  choice("mode", MODES, "assert"),
  rule("stream", typed("string", jetstreamName), "a name without white space and . * > / \\", STREAM.name),
  rule("subject", typed("string", subject), "a NATS subject: tokens separated by single dots", STREAM.subject),
  rule("consumer", typed("string", jetstreamName), "a name without white space and . * > / \\", CONSUMER.name),
  choice("expect.retention", RETENTIONS, STREAM.retention),
  choice("expect.storage", STORAGES, STREAM.storage),
  rule("expect.maxAgeSeconds", between(0, Infinity), "seconds, 0 for unlimited", STREAM.maxAgeSeconds),
  choice("expect.ackPolicy", ACK_POLICIES, CONSUMER.ackPolicy),
  choice("expect.deliverPolicy", DELIVER_POLICIES, CONSUMER.deliverPolicy),
  choice("expect.replayPolicy", REPLAY_POLICIES, CONSUMER.replayPolicy),
  rule("expect.ackWaitSeconds", between(0.001, Infinity), "seconds, more than 0", CONSUMER.ackWaitSeconds),
  rule("expect.replicas", between(1, 5), "a count, 1 to 5", STREAM.replicas),
  rule("expect.duplicateWindowSeconds", between(0.1, Infinity), "seconds, 0.1 or more", STREAM.duplicateWindowSeconds),
  rule("worker.maxAckPending", between(-1, Infinity), "a count, -1 for unlimited", WORKER_TUNING.maxAckPending),
  rule("worker.maxDeliver", between(-1, Infinity), "a count, -1 for unlimited", WORKER_TUNING.maxDeliver),
  rule(
    "worker.fetchTimeoutSeconds",
    between(0.001, Infinity),
    "seconds, more than 0",
    WORKER_TUNING.fetchTimeoutSeconds,
  ),
  rule("worker.replicas", between(0, Infinity), "a count", 2),
  kubernetes("noetl.namespace", LOCATIONS.noetl.namespace),
  kubernetes("noetl.serverDeployment", LOCATIONS.noetl.serverDeployment),
  kubernetes("noetl.workerDeployment", LOCATIONS.noetl.workerDeployment),
  rule("timeoutSeconds", between(1, 3600), "seconds, 1 to 3600", DEFAULT_TIMEOUT_SECONDS),
];

const LOGIN_RULES: readonly InputRule[] = [
  rule("noetlLogin.user", secretText, "a NATS user name", "noetl"),
  rule("noetlLogin.password", secretText, "a NATS password, in one line", "(a generated one)"),
];

const GATEWAY_RULES: readonly InputRule[] = [
  rule(
    "gateway.updatesSubjectPrefix",
    typed("string", subjectPrefix),
    "a subject without wildcards; it may end with a dot",
    GATEWAY.updatesSubjectPrefix,
  ),
  rule(
    "gateway.callbackSubjectPrefix",
    typed("string", literalSubject),
    "a subject without wildcards; the gateway puts a dot after it",
    GATEWAY.callbackSubjectPrefix,
  ),
  rule("gateway.sessionBucket", typed("string", bucketName), "letters, digits, _ and -", GATEWAY.sessionBucket),
  rule("gateway.sessionTtlSeconds", between(1, Infinity), "seconds, 1 or more", GATEWAY.sessionTtlSeconds),
  rule("gateway.requestBucket", typed("string", bucketName), "letters, digits, _ and -", GATEWAY.requestBucket),
  rule("gateway.requestTtlSeconds", between(1, Infinity), "seconds, 1 or more", GATEWAY.requestTtlSeconds),
  rule("gateway.user", secretText, "a NATS user name", "gateway", true),
  rule("gateway.password", secretText, "a NATS password, in one line", "(a generated one)", true),
  kubernetes("gateway.namespace", LOCATIONS.gateway.namespace),
  kubernetes("gateway.deployment", LOCATIONS.gateway.deployment),
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
 * What is wrong with the inputs, one sentence each; empty where all is well. Values are never repeated, except where
 * they cannot be a credential.
 *
 * @param unknown What stands for a value that a preview does not know yet; such a value is not judged.
 */
export function inputProblems(inputs: ContractInputs, unknown?: string): string[] {
  const connection: unknown = inputs.connection;
  const direct = isRecord(connection) && "servers" in connection;
  const rules = [
    ...(direct ? SERVERS_RULES : CLUSTER_RULES),
    ...COMMON_RULES,
    ...(inputs.noetlLogin === undefined ? [] : LOGIN_RULES),
    ...(inputs.gateway === undefined ? [] : GATEWAY_RULES),
  ];
  const problems = rules.flatMap(({ path, check, allowed, example, optional }) => {
    const value = valueAt(path, inputs, unknown);
    if ((unknown !== undefined && value === unknown) || (optional && value === undefined)) return [];
    const problem = check(value);
    return problem ? [`${path} is ${problem}; allowed is ${allowed}, for example ${example}`] : [];
  });
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
