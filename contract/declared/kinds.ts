/** Kinds of values: what a declaration may say, what the server takes, and when two of the server's values mean the same. */
import { nearest, quantityBytes } from "../validate";
import { isRecord } from "../records";

export interface Kind {
  /** What stands in a declaration, for the documentation. */
  readonly type: string;
  /** What is allowed, in words that follow "allowed:". */
  readonly allowed: string;
  /** A value that would do. */
  readonly example: unknown;
  /** What is wrong with a declared value, in words that follow "is"; undefined where nothing is. */
  problem(this: void, value: unknown): string | undefined;
  /** The server's value for a declared one; undefined leaves the field out of the configuration. */
  toServer(this: void, value: unknown): unknown;
  /** The server's value, or its absence, in one form for one meaning. */
  normal(this: void, value: unknown): unknown;
  /** What {@link normal} gives, in words. */
  show(this: void, value: unknown): string;
}

const NANOSECONDS = 1e9;
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const same = (value: unknown): unknown => value;
const shown = (value: unknown): string =>
  value === undefined ? "none" : typeof value === "string" ? value : JSON.stringify(value);

export const text = (longest: number, example: string): Kind => ({
  type: "text",
  allowed: `text of at most ${longest} characters`,
  example,
  problem: (value) =>
    typeof value !== "string" ? "not text" : value.length > longest ? `longer than ${longest} characters` : undefined,
  toServer: same,
  normal: (value) => value ?? "",
  show: (value) => (value === "" ? "none" : shown(value)),
});

export const flag: Kind = {
  type: "true or false",
  allowed: "true or false",
  example: true,
  problem: (value) => (typeof value === "boolean" ? undefined : "neither true nor false"),
  toServer: same,
  normal: (value) => value === true,
  show: String,
};

export const choice = (...values: readonly string[]): Kind => ({
  type: values.join(", "),
  allowed: `one of ${values.join(", ")}`,
  example: values[0],
  problem: (value) => (values.includes(value as string) ? undefined : `none of ${values.join(", ")}`),
  toServer: same,
  normal: (value) => (value === undefined || value === "" ? values[0] : value),
  show: String,
});

/** A whole number from `least` to `most`; where `unlimited` is given, that stands for no limit. */
export function whole(
  least: number,
  { most = Number.MAX_SAFE_INTEGER, unlimited, example }: { most?: number; unlimited?: number; example?: number } = {},
): Kind {
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  return {
    type: unlimited === undefined ? "count" : `count, ${unlimited} for unlimited`,
    allowed: `a whole number, ${range}${unlimited === undefined ? "" : `, or ${unlimited} for unlimited`}`,
    example: example ?? Math.max(1, least),
    problem: (value) => {
      if (!isNumber(value) || !Number.isInteger(value)) return "not a whole number";
      if (value === unlimited) return undefined;
      return value < least ? `smaller than ${least}` : value > most ? `larger than ${most}` : undefined;
    },
    toServer: same,
    // To nats-server whatever is below 1 is unlimited.
    normal: (value) => (isNumber(value) && value > 0 ? value : (unlimited ?? 0)),
    show: (value) => (value === unlimited ? "unlimited" : String(value)),
  };
}

/** Bytes of a declared size; undefined where it is none. */
const bytesOf = (value: unknown): number | undefined =>
  isNumber(value) ? value : typeof value === "string" ? quantityBytes(value) : undefined;

/** A size in bytes or as a Kubernetes quantity. `unlimited` is what the server has where nothing limits it. */
export const size = (unlimited: 0 | -1, most = Number.MAX_SAFE_INTEGER): Kind => ({
  type: `bytes or Kubernetes quantity, ${unlimited} for unlimited`,
  allowed: `bytes, 1 or more, or a Kubernetes quantity, or ${unlimited} for unlimited`,
  example: "64Mi",
  problem: (value) => {
    const bytes = bytesOf(value);
    if (bytes === undefined || !Number.isInteger(bytes)) return "not a size";
    if (bytes === unlimited) return undefined;
    return bytes < 1 ? "smaller than 1" : bytes > most ? `larger than ${most} bytes` : undefined;
  },
  toServer: bytesOf,
  normal: (value) => (isNumber(value) && value > 0 ? value : unlimited),
  show: (value) => (value === unlimited ? "unlimited" : `${String(value)} bytes`),
});

/** Seconds, at least `least`; `zero` is what 0 means, where 0 is allowed. */
export const seconds = (least: number, zero?: string, example = 60): Kind => ({
  type: zero === undefined ? "seconds" : `seconds, 0 for ${zero}`,
  allowed: `seconds, ${least} or more${zero === undefined ? "" : `, or 0 for ${zero}`}`,
  example,
  problem: (value) => {
    if (!isNumber(value)) return "not a number";
    if (value === 0 && zero !== undefined) return undefined;
    // What the server counts in 64 bits of nanoseconds.
    return value < least ? `smaller than ${least}` : value > 9.2e9 ? "larger than 9200000000" : undefined;
  },
  toServer: (value) => Math.round((value as number) * NANOSECONDS),
  normal: (value) => (isNumber(value) && value > 0 ? value : 0),
  show: (value) => (value === 0 ? (zero ?? "none") : `${(value as number) / NANOSECONDS} s`),
});

/** A list of seconds, in this order. */
export const secondsList: Kind = {
  type: "list of seconds",
  allowed: "a list of seconds, each more than 0",
  example: [1, 10, 60],
  problem: (value) => {
    if (!Array.isArray(value)) return "not a list";
    return value.every((each) => isNumber(each) && each > 0) ? undefined : "not a list of seconds above 0";
  },
  toServer: (value) => (value as number[]).map((each) => Math.round(each * NANOSECONDS)),
  normal: (value) => value ?? [],
  show: (value) =>
    (value as number[]).length === 0 ? "none" : (value as number[]).map((each) => `${each / NANOSECONDS} s`).join(", "),
};

/** A list of texts whose order means nothing; `check` says what is wrong with one. */
export const texts = (of: string, example: readonly string[], check: (value: string) => string | undefined): Kind => ({
  type: `list of ${of}`,
  allowed: `a list of ${of}`,
  example,
  problem: (value) => {
    if (!Array.isArray(value)) return "not a list";
    for (const [index, each] of (value as unknown[]).entries()) {
      if (typeof each !== "string" || each === "") return "not a list of texts";
      const problem = check(each);
      if (problem !== undefined) return `wrong: "${each}" is ${problem}`;
      if (value.indexOf(each) !== index) return `wrong: "${each}" stands in it twice`;
    }
    return undefined;
  },
  toServer: same,
  normal: (value) => [...((value as string[] | null | undefined) ?? [])].sort(),
  show: (value) => ((value as string[]).length === 0 ? "none" : (value as string[]).join(", ")),
});

/** One text that `check` finds nothing wrong with. */
export const checkedText = (type: string, example: string, check: (value: string) => string | undefined): Kind => ({
  type,
  allowed: type,
  example,
  problem: (value) => (typeof value !== "string" ? "not text" : value === "" ? "empty" : check(value)),
  toServer: same,
  normal: (value) => value ?? "",
  show: (value) => (value === "" ? "none" : shown(value)),
});

export const time: Kind = {
  type: "time (ISO 8601)",
  allowed: "a time as ISO 8601 writes it",
  example: "2026-01-31T12:00:00Z",
  problem: (value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT.+(Z|[+-]\d\d:\d\d)$/.test(value) && !Number.isNaN(Date.parse(value))
      ? undefined
      : "not a time with its zone",
  toServer: same,
  normal: (value) => (typeof value === "string" ? new Date(value).toISOString() : undefined),
  show: shown,
};

/** Percent of acknowledgements that are reported; the server keeps it as text, with or without its sign. */
export const percent: Kind = {
  ...whole(0, { most: 100, example: 10 }),
  type: "percent",
  toServer: (value) => (value === 0 ? "" : String(value)),
  normal: (value) => (typeof value === "string" && value !== "" ? Number(value.replace("%", "")) : 0),
};

/** Text by key. What the server itself puts there is nobody's declaration. */
export const metadata: Kind = {
  type: "text by key",
  allowed: "texts by key, together at most 128 KiB, no key that begins with _nats.",
  example: { owner: "billing" },
  problem: (value) => {
    if (!isRecord(value)) return "not a set of texts by key";
    const wrong = Object.entries(value).find(([, each]) => typeof each !== "string");
    if (wrong) return `wrong: ${wrong[0]} is not text`;
    const reserved = Object.keys(value).find((key) => key.startsWith("_nats."));
    if (reserved !== undefined) return `wrong: ${reserved} is the server's`;
    const length = Object.entries(value).reduce((sum, [key, each]) => sum + key.length + (each as string).length, 0);
    return length > 128 * 1024 ? "larger than 128 KiB" : undefined;
  },
  toServer: same,
  normal: (value) =>
    Object.fromEntries(
      Object.entries(value ?? {})
        .filter(([key]) => !key.startsWith("_nats."))
        .sort(),
    ),
  show: (value) => (Object.keys(value as object).length === 0 ? "none" : JSON.stringify(value)),
};

/** One key of a record. */
export interface Part {
  readonly json: string;
  readonly kind: Kind;
  readonly required?: true;
}

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === "" ||
  value === false ||
  value === 0 ||
  value === -1 ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0);

/** A record with these keys; with `none` also the word for its absence. */
export function record(parts: Readonly<Record<string, Part>>, example: object, none?: "none"): Kind {
  const keys = Object.keys(parts);
  return {
    type: `{ ${keys.join(", ")} }${none ? " or none" : ""}`,
    allowed: `${keys.join(", ")}${none ? ", or none" : ""}`,
    example,
    problem: (value) => {
      if (none !== undefined && value === none) return undefined;
      if (!isRecord(value)) return `not a set of ${keys.join(", ")}`;
      for (const [key, each] of Object.entries(value)) {
        const part = parts[key];
        if (!part) {
          const meant = nearest(key, keys);
          return `wrong: ${key} is an unknown key${meant ? `; the nearest known one is ${meant}` : ""}`;
        }
        const problem = part.kind.problem(each);
        if (problem !== undefined) return `wrong: ${key} is ${problem} (allowed: ${part.kind.allowed})`;
      }
      const missing = keys.find((key) => parts[key]?.required && value[key] === undefined);
      return missing === undefined ? undefined : `wrong: ${missing} is missing`;
    },
    toServer: (value) => {
      if (value === none) return undefined;
      const given = value as Record<string, unknown>;
      return Object.fromEntries(
        Object.entries(parts).flatMap(([key, { json, kind }]) =>
          given[key] === undefined ? [] : [[json, kind.toServer(given[key])]],
        ),
      );
    },
    normal: (value) => {
      if (!isRecord(value)) return undefined;
      const entries = Object.values(parts).map(({ json, kind }) => [json, kind.normal(value[json])] as const);
      const set = entries.filter(([, each]) => !isNothing(each));
      return set.length === 0 ? undefined : Object.fromEntries(set);
    },
    show: shown,
  };
}

/** A list of records whose order means nothing. */
export const records = (of: Kind): Kind => ({
  type: `list of ${of.type}`,
  allowed: `a list, each with ${of.allowed}`,
  example: [of.example],
  problem: (value) => {
    if (!Array.isArray(value)) return "not a list";
    for (const each of value as unknown[]) {
      const problem = of.problem(each);
      if (problem !== undefined) return problem;
    }
    return undefined;
  },
  toServer: (value) => (value as unknown[]).map(of.toServer),
  normal: (value) =>
    [...((value as unknown[] | null | undefined) ?? [])]
      .map(of.normal)
      .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
  show: (value) => ((value as unknown[]).length === 0 ? "none" : JSON.stringify(value)),
});
