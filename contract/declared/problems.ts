/** What is wrong with a declaration, all of it, before anything is asked or changed. */
import { bucketName, jetstreamName, nearest } from "../validate";
import type { ConsumerTerms, NoetlLine } from "../lines";
import { CONSUMER, STREAM } from "../facts";
import { consumerTerms, streamSubjects, type ContractInputs } from "../inputs";
import { subjectsOverlap } from "../subjects";
import { consumerConflicts, consumerOfStreamConflicts, queueConflict, streamConflicts } from "./conflicts";
import { FIELDS, type Field } from "./fields";
import { targetsOf, type Target } from "./targets";
import { declaresAnything, DECLARED_LISTS, type DeclaredList } from "./types";
import { isRecord } from "../records";

/** What a declaration stands beside. */
export interface DeclaredContext {
  /** How each list is called where it is declared: `natsStreams`, `declared.streams`. */
  readonly names: Readonly<Record<DeclaredList, string>>;
  /** NoETL's own stream, where NoETL is deployed. */
  readonly noetl?: {
    readonly stream: string;
    readonly subjects: readonly string[];
    readonly consumers: readonly string[];
    readonly retention: string;
    readonly replicas: number;
    /** Buckets of its gateway. */
    readonly buckets: readonly string[];
  };
  /** Servers that can keep a copy, where that is known. */
  readonly servers?: number;
  /** What stands for a value that a preview does not know yet. */
  readonly unknown?: string;
  /** True where NoETL is deployed and what its stream is called, stores or keeps is not known yet. */
  readonly isOpen?: boolean;
}

const REMOVALS = ["ifEmpty", "withContents"];

/** A value, and where it stands. */
interface At {
  readonly path: string;
  readonly value: unknown;
}

/** What would do instead of a wrong value. */
interface Remedy {
  readonly allowed: string;
  readonly example: unknown;
}

const problemText = ({ path, value }: At, problem: string, { allowed, example }: Remedy): string => {
  const shown = typeof value === "string" || typeof value === "number" ? ` ${JSON.stringify(value)}` : "";
  return `${path}:${shown} is ${problem}; allowed: ${allowed}; for example ${typeof example === "string" ? example : JSON.stringify(example)}`;
};

/** Names that a list allows: what is wrong with one, and what is allowed. */
const NAMES: Readonly<
  Record<DeclaredList, { check: (name: string) => string | undefined; allowed: string; example: string }>
> = {
  streams: {
    check: (name) =>
      jetstreamName(name) ??
      (name.startsWith("KV_")
        ? "the name of a bucket's stream: declare a bucket"
        : name.startsWith("OBJ_")
          ? "the name of an object store's stream: declare an object store"
          : undefined),
    allowed: "a name without white space and . * > / \\, not KV_... or OBJ_...",
    example: "ORDERS",
  },
  consumers: { check: jetstreamName, allowed: "a name without white space and . * > / \\", example: "billing" },
  buckets: { check: bucketName, allowed: "letters, digits, _ and -", example: "carts" },
  objectStores: { check: bucketName, allowed: "letters, digits, _ and -", example: "files" },
};

/** What is wrong with the name, or the stream, of a declaration. */
function nameProblems(list: DeclaredList, key: "name" | "stream", at: At): string[] {
  const { value } = at;
  const { check, ...remedy } = key === "stream" ? { ...NAMES.consumers, example: "ORDERS" } : NAMES[list];
  const problem =
    value === undefined || value === null
      ? "missing"
      : typeof value !== "string" || value === ""
        ? "not a name"
        : check(value);
  return problem === undefined ? [] : [problemText(at, problem, remedy)];
}

/** The key that somebody meant: NATS's own name of a field, the beginning of a key, or one with few letters changed. */
const meantBy = (key: string, known: readonly string[], fields: Readonly<Record<string, Field>>): string | undefined =>
  known.find((each) => fields[each]?.json.includes(key)) ??
  known.find((each) => each.toLowerCase().startsWith(key.toLowerCase())) ??
  nearest(key, known);

function declarationProblems(list: DeclaredList, at: At, unknown: string | undefined): string[] {
  const { path, value: declaration } = at;
  const fields = FIELDS[list];
  const own = list === "consumers" ? (["stream", "name"] as const) : (["name"] as const);
  if (!isRecord(declaration)) {
    const example = Object.fromEntries(own.map((key) => [key, key === "stream" ? "ORDERS" : NAMES[list].example]));
    return [
      problemText(at, "not a declaration", { allowed: `keys and values, ${own.join(" and ")} among them`, example }),
    ];
  }
  const known = [...own, "remove", ...Object.keys(fields)];
  const isUnknown = (value: unknown): boolean => unknown !== undefined && value === unknown;
  const problems = own.flatMap((key) =>
    isUnknown(declaration[key]) ? [] : nameProblems(list, key, { path: `${path}.${key}`, value: declaration[key] }),
  );
  const { remove } = declaration;
  for (const [key, value] of Object.entries(declaration)) {
    if (value === undefined || value === null) continue;
    if (!known.includes(key)) {
      const meant = meantBy(key, known, fields);
      problems.push(
        `${path}.${key}: unknown key${meant ? `; the nearest known one is ${meant}` : ""}; known are ${known.join(", ")}`,
      );
      continue;
    }
    // A part of it may be what nobody knows yet.
    if (!isKnown(value, unknown)) continue;
    const field = fields[key];
    const problem = field?.kind.problem(value);
    if (field && problem !== undefined) {
      problems.push(problemText({ path: `${path}.${key}`, value }, problem, field.kind));
    }
  }
  if (remove !== undefined && remove !== null && !isUnknown(remove)) {
    if (!REMOVALS.includes(remove as string)) {
      const remedy = { allowed: REMOVALS.join(" or "), example: "ifEmpty" };
      problems.push(problemText({ path: `${path}.remove`, value: remove }, "not a way to remove", remedy));
    }
    const more = Object.keys(declaration).filter(
      (key) => key in fields && declaration[key] !== undefined && declaration[key] !== null,
    );
    if (more.length > 0) {
      problems.push(`${path}.remove: stands beside ${more.join(", ")}; allowed: only the name of what is removed`);
    }
  }
  return problems;
}

/** Whether every value is known: only then can declarations be held against each other. */
export const isKnown = (value: unknown, unknown: string | undefined): boolean =>
  unknown === undefined ||
  (value !== unknown &&
    (typeof value !== "object" || value === null || Object.values(value).every((each) => isKnown(each, unknown))));

/** Everything that is wrong with what is declared, one sentence each; empty where all is well. */
export function declaredProblems(declared: unknown, around: DeclaredContext): string[] {
  const { names, unknown } = around;
  if (declared === undefined || declared === null || declared === unknown) return [];
  if (!isRecord(declared)) return [`declared is not a set of ${DECLARED_LISTS.join(", ")}`];
  const problems = Object.keys(declared).flatMap((key) => {
    if (key in names || declared[key] === undefined) return [];
    const meant = nearest(key, DECLARED_LISTS);
    return [
      `declared.${key}: unknown key${meant ? `; the nearest known one is ${meant}` : ""}; known are ${DECLARED_LISTS.join(", ")}`,
    ];
  });
  const sound: Partial<Record<DeclaredList, unknown[]>> = {};
  for (const list of DECLARED_LISTS) {
    const value = declared[list];
    if (value === undefined || value === null) continue;
    // Of what it will hold nothing can be said yet.
    sound[list] = [undefined];
    if (value === unknown) continue;
    if (!Array.isArray(value)) {
      problems.push(
        `${names[list]}: is not a list; allowed: a list of declarations; for example [{"name":"${NAMES[list].example}"}]`,
      );
      continue;
    }
    sound[list] = (value as unknown[]).map((declaration, index) => {
      const wrong =
        declaration === unknown
          ? []
          : declarationProblems(list, { path: `${names[list]}[${index}]`, value: declaration }, unknown);
      problems.push(...wrong);
      return wrong.length === 0 && isKnown(declaration, unknown) ? declaration : undefined;
    });
  }
  return [...problems, ...relationProblems(sound, around)];
}

/** Targets of the sound declarations, each with the place that it has in its list. */
function soundTargets(sound: Partial<Record<DeclaredList, unknown[]>>): Target[] {
  return DECLARED_LISTS.flatMap((list) =>
    (sound[list] ?? []).flatMap((declaration, index) =>
      declaration === undefined ? [] : targetsOf({ [list]: [declaration] }).map((target) => ({ ...target, index })),
    ),
  );
}

function relationProblems(sound: Partial<Record<DeclaredList, unknown[]>>, given: DeclaredContext): string[] {
  const around = given.isOpen ? { ...given, noetl: undefined } : given;
  const targets = soundTargets(sound);
  const pathOf = ({ list, index }: Target): string => `${around.names[list]}[${index}]`;
  const about = (target: Target, sentence: string): string => `${pathOf(target)}: ${target.label} ${sentence}`;
  const streams = targets.filter(({ consumer, remove }) => consumer === undefined && remove === undefined);
  // A declaration that is not sound has its own sentence; what refers to it needs no second one.
  const hasUnsound = around.isOpen === true || DECLARED_LISTS.some((list) => sound[list]?.includes(undefined));
  return [
    ...twice(targets, pathOf),
    ...targets.flatMap((target) => noetlProblems(target, around).map((sentence) => about(target, sentence))),
    ...streams.flatMap((target) => streamConflicts(target.config).map((sentence) => about(target, sentence))),
    ...overlaps(streams, around, about),
    ...consumerProblems(targets, around, hasUnsound).map(([target, sentence]) => about(target, sentence)),
    ...targets.flatMap((target) => replicaProblems(target, around.servers).map((sentence) => about(target, sentence))),
  ];
}

function twice(targets: readonly Target[], pathOf: (target: Target) => string): string[] {
  return targets.flatMap((target, index) => {
    const first = targets.slice(0, index).find(({ label }) => label === target.label);
    return first ? [`${pathOf(target)}: ${target.label} is declared at ${pathOf(first)} already; allowed: once`] : [];
  });
}

/** What NoETL makes is settled elsewhere, and is not declared. */
function noetlProblems(target: Target, { noetl }: DeclaredContext): string[] {
  if (!noetl) return [];
  if (target.consumer !== undefined) {
    return target.stream === noetl.stream && noetl.consumers.includes(target.consumer)
      ? ["is NoETL's own, which the contract has already; allowed: another name"]
      : [];
  }
  if (target.stream === noetl.stream) return ["is NoETL's own, which the contract has already; allowed: another name"];
  return noetl.buckets.some((bucket) => target.stream === `KV_${bucket}`)
    ? ["is the gateway's own, which the contract has already; allowed: another name"]
    : [];
}

const subjectsOf = ({ list, stream, config }: Target): readonly string[] =>
  (config.subjects as string[] | undefined) ??
  // A new stream without subjects stores its own name; one that copies from others stores nothing of its own.
  (list === "streams" && !config.mirror && !config.sources ? [stream] : []);

function overlaps(
  streams: readonly Target[],
  { noetl }: DeclaredContext,
  about: (target: Target, sentence: string) => string,
): string[] {
  return streams.flatMap((target, index) => {
    const clash = (others: readonly string[]): string | undefined =>
      subjectsOf(target).flatMap((each) =>
        others.filter((other) => subjectsOverlap(each, other)).map((other) => `${each} and ${other}`),
      )[0];
    const found = streams.slice(0, index).flatMap((other) => {
      const pair = other.label === target.label ? undefined : clash(subjectsOf(other));
      return pair === undefined
        ? []
        : [about(target, `takes subjects of ${other.label} (${pair}); allowed: subjects of its own`)];
    });
    const noetls = noetl && clash(noetl.subjects);
    return noetls === undefined
      ? found
      : [
          ...found,
          about(
            target,
            `takes subjects of NoETL's stream ${noetl?.stream ?? ""} (${noetls}); allowed: subjects of its own`,
          ),
        ];
  });
}

function consumerProblems(
  targets: readonly Target[],
  { noetl }: DeclaredContext,
  hasUnsound: boolean,
): [Target, string][] {
  const consumers = targets.filter(({ consumer, remove }) => consumer !== undefined && remove === undefined);
  return consumers.flatMap((target, index): [Target, string][] => {
    const { stream, consumer = "", config } = target;
    const own = consumerConflicts(config).map((sentence): [Target, string] => [target, sentence]);
    const owner = targets.find((other) => other.consumer === undefined && other.stream === stream);
    if (owner?.remove !== undefined)
      return [...own, [target, `is of a stream that is to be removed; allowed: remove the consumer, too`]];
    const ownerConfig = owner
      ? { ...owner.config, subjects: subjectsOf(owner) }
      : stream === noetl?.stream
        ? { name: stream, subjects: noetl.subjects, retention: noetl.retention, num_replicas: noetl.replicas }
        : undefined;
    if (!ownerConfig) {
      return hasUnsound
        ? own
        : [
            ...own,
            [
              target,
              `is of a stream that is neither declared nor NoETL's; allowed: one that is; for example {"name":"${stream}"} among the streams`,
            ],
          ];
    }
    const others = consumers.slice(0, index).filter((other) => other.stream === stream);
    const queue = queueConflict(
      { name: consumer, config },
      others.map((other) => ({ name: other.consumer ?? "", config: other.config })),
      ownerConfig,
    );
    return [
      ...own,
      ...consumerOfStreamConflicts(config, ownerConfig).map((sentence): [Target, string] => [target, sentence]),
      ...(queue === undefined ? [] : [[target, queue] as [Target, string]]),
    ];
  });
}

function replicaProblems({ config }: Target, servers: number | undefined): string[] {
  const replicas = config.num_replicas as number | undefined;
  return servers !== undefined && replicas !== undefined && replicas > servers
    ? [
        `has replicas ${replicas}, and there ${servers === 1 ? "is 1 NATS server" : `are ${servers} NATS servers`} (natsReplicas); allowed: at most that`,
      ]
    : [];
}

/** The lists as the library's arguments call them. */
const ARGUMENTS: DeclaredContext["names"] = {
  streams: "declared.streams",
  consumers: "declared.consumers",
  buckets: "declared.buckets",
  objectStores: "declared.objectStores",
};

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string");

/** The inputs without which nothing can be held against NoETL's stream. */
const NOETLS = [
  "stream",
  "subject",
  "publishes",
  "consumer",
  "consumers",
  "noetlLine",
  "expect",
  "declaredOnly",
] as const satisfies readonly (keyof ContractInputs)[];

/** NoETL's part of the inputs as far as it is sound; the rest has sentences of its own. */
function noetlOf(inputs: ContractInputs): DeclaredContext["noetl"] {
  const { subject, consumer, publishes, consumers, expect, gateway, ...rest } = inputs as Partial<
    Record<keyof ContractInputs, unknown>
  >;
  const text = (value: unknown, otherwise: string): string => (typeof value === "string" ? value : otherwise);
  const isTerms = (each: unknown): each is ConsumerTerms =>
    isRecord(each) && typeof each.name === "string" && (each.filters === undefined || isTexts(each.filters));
  const terms = {
    subject: text(subject, STREAM.subject),
    consumer: text(consumer, CONSUMER.name),
    noetlLine: rest.noetlLine as NoetlLine,
    publishes: isTexts(publishes) ? publishes : undefined,
    consumers: Array.isArray(consumers) ? (consumers as unknown[]).filter(isTerms) : undefined,
  };
  const { retention, replicas } = isRecord(expect) ? expect : {};
  return {
    stream: text(rest.stream, STREAM.name),
    subjects: streamSubjects(terms),
    consumers: consumerTerms(terms).map(({ name }) => name),
    retention: text(retention, STREAM.retention),
    replicas: typeof replicas === "number" ? replicas : STREAM.replicas,
    buckets: isRecord(gateway) ? [text(gateway.sessionBucket, ""), text(gateway.requestBucket, "")] : [],
  };
}

/** What is wrong with what a contract's inputs declare. `unknown` stands for a value that a preview does not know yet. */
export function declaredInputProblems(inputs: ContractInputs, unknown?: string): string[] {
  const { declared, declaredOnly } = inputs;
  const noetl = declaredOnly === true ? undefined : noetlOf(inputs);
  const isOpen = noetl !== undefined && NOETLS.some((name) => !isKnown(inputs[name], unknown));
  const problems = declaredProblems(declared, { names: ARGUMENTS, noetl, isOpen, unknown });
  if (declaredOnly !== undefined && typeof declaredOnly !== "boolean" && declaredOnly !== unknown) {
    problems.push("declaredOnly is not a boolean; allowed is true or false, for example true");
  }
  if (declaredOnly === true && isRecord(declared) && !declaresAnything(declared)) {
    problems.push("declared is empty and declaredOnly true: nothing would be checked; declare a stream, for example");
  } else if (declaredOnly === true && declared === undefined) {
    problems.push("declared is missing and declaredOnly true: nothing would be checked; declare a stream, for example");
  }
  return problems;
}
