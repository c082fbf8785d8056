/**
 * Reads the JSON report of a preview that ran a pull request's own code, so that whoever posts it writes the text himself: nothing in the
 * JSON is markup. What is not of the report's form is refused, what it does not know is left out.
 */
import {
  LEVELS,
  OPERATIONS,
  PARTS,
  type ChangeReport,
  type FailureReport,
  type Report,
  type Scalar,
} from "../../commands/diff/report";

/** Checks a value and returns it without what is not known of it. `at` says where it stands. */
type Reader<T> = (value: unknown, at: string) => T;

/** Most items of a list; a report of a whole stack that comes or goes has some hundreds. */
const MOST_ITEMS = 20_000;

class Refused extends Error {}

function refuse(at: string, wanted: string): never {
  throw new Refused(`${at} is not ${wanted}`);
}

const text: Reader<string> = (value, at) => (typeof value === "string" ? value : refuse(at, "a text"));
const flag: Reader<boolean> = (value, at) => (typeof value === "boolean" ? value : refuse(at, "true or false"));
const count: Reader<number> = (value, at) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(at, "a count");
const scalar: Reader<Scalar> = (value, at) =>
  value === null || ["string", "number", "boolean"].includes(typeof value)
    ? (value as Scalar)
    : refuse(at, "a text, number, true, false or null");
/** A word of the report's own, which stands in the text as it is. */
const word: Reader<string> = (value, at) =>
  typeof value === "string" && /^[A-Za-z][\w .-]{0,60}$/.test(value) ? value : refuse(at, "a word");

const oneOf =
  <T extends string>(...values: readonly T[]): Reader<T> =>
  (value, at) =>
    values.find((each) => each === value) ?? refuse(at, `one of ${values.join(", ")}`);

const list =
  <T>(item: Reader<T>): Reader<T[]> =>
  (value, at) =>
    Array.isArray(value) && value.length <= MOST_ITEMS
      ? value.map((each, index) => item(each, `${at}[${index}]`))
      : refuse(at, `a list of at most ${MOST_ITEMS}`);

function fields(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(at, "an object");
  return value as Record<string, unknown>;
}

/** Readers of an object's fields. */
type Shape<T> = { readonly [K in keyof T]-?: Reader<Exclude<T[K], undefined>> };
type Optional<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];

/** An object with these fields; `optional` names those that may be missing. */
const object =
  <T extends object>(shape: Shape<T>, optional: readonly Optional<T>[] = []): Reader<T> =>
  (value, at) => {
    const found = fields(value, at);
    const entries = Object.entries<Reader<unknown>>(shape as Readonly<Record<string, Reader<unknown>>>);
    return Object.fromEntries(
      entries.flatMap(([key, read]) => {
        const given = Object.hasOwn(found, key) ? found[key] : undefined;
        if (given === undefined && (optional as readonly string[]).includes(key)) return [];
        return [[key, read(given, `${at}.${key}`)]];
      }),
    ) as T;
  };

const counts =
  (names: Reader<string>): Reader<Record<string, number>> =>
  (value, at) =>
    Object.fromEntries(
      Object.entries(fields(value, at)).map(([key, each]) => [names(key, at), count(each, `${at}.${key}`)]),
    );

const operation = oneOf(...OPERATIONS);
const part = oneOf(...PARTS);
type Of<K extends keyof ChangeReport> = NonNullable<ChangeReport[K]> extends readonly (infer T)[] ? T : never;
type FieldChange = Of<"outputs">;
type Live = NonNullable<ChangeReport["live"]>;

const change = object<FieldChange>(
  {
    path: text,
    op: oneOf("add", "remove", "change"),
    old: scalar,
    new: scalar,
    lines: list(text),
    note: text,
    routine: oneOf("labels", "restart"),
  },
  ["old", "new", "lines", "note", "routine"],
);
const liveStep = object<Live["steps"][number]>({
  urn: text,
  type: text,
  name: text,
  op: text,
  differences: list(
    object<Live["steps"][number]["differences"][number]>({ path: text, kind: text, old: scalar, new: scalar }, [
      "old",
      "new",
    ]),
  ),
  replaceReasons: list(text),
});

const header = {
  schemaVersion: ((value, at) => (value === 1 ? 1 : refuse(at, "1"))) as Reader<1>,
  project: text,
  stack: text,
  base: object<Report["base"]>({ ref: text, commit: text }),
  head: object<Report["head"]>({ commit: text, uncommitted: list(text) }),
  summary: text,
};

const risk = object<Of<"risks">>({ rule: word, level: oneOf(...LEVELS), subject: text, text });
const contract = object<ChangeReport["contract"]>({
  changes: list(
    object<ChangeReport["contract"]["changes"][number]>({ term: word, old: text, new: text, consequence: text }),
  ),
  broken: list(
    object<ChangeReport["contract"]["broken"][number]>({
      rule: word,
      checks: text,
      severity: oneOf("violation", "drift"),
      found: text,
      expected: text,
      why: text,
    }),
  ),
  fix: list(text),
  refused: flag,
});
const environment = object<Of<"environment">>({
  workload: oneOf("server", "worker", "gateway"),
  object: text,
  rows: list(
    object<Of<"environment">["rows"][number]>(
      { name: text, old: scalar, new: scalar, source: text, changed: flag, note: text },
      ["old", "new", "note"],
    ),
  ),
});
const resource = object<Of<"resources">>(
  {
    op: operation,
    urn: text,
    type: text,
    name: text,
    part,
    because: list(text),
    was: text,
    protected: flag,
    changes: list(change),
  },
  ["was", "protected"],
);
const kubernetesObject = object<Of<"objects">>(
  {
    op: operation,
    apiVersion: text,
    kind: text,
    namespace: text,
    name: text,
    part,
    owner: text,
    rendered: flag,
    hook: flag,
    restarts: flag,
    changes: list(change),
  },
  ["namespace", "hook", "restarts"],
);

const changeReport = object<ChangeReport>(
  {
    ...header,
    status: oneOf("ok"),
    counts: object<ChangeReport["counts"]>({
      resources: counts(operation) as Reader<ChangeReport["counts"]["resources"]>,
      objects: counts(operation) as Reader<ChangeReport["counts"]["objects"]>,
      risks: counts(oneOf(...LEVELS)),
    }),
    risks: list(risk),
    contract,
    settings: list(
      object<Of<"settings">>(
        { key: text, op: oneOf("add", "remove", "change"), old: scalar, new: scalar, note: text },
        ["old", "new", "note"],
      ),
    ),
    environment: list(environment),
    resources: list(resource),
    objects: list(kubernetesObject),
    outputs: list(change),
    parts: list(
      object<Of<"parts">>({ name: part, title: text, change: operation, touched: count, restarts: count }, ["change"]),
    ),
    restarts: list(text),
    notes: list(text),
    live: object<Live>(
      { steps: list(liveStep), drift: list(liveStep), counts: counts(word), diagnostics: list(text) },
      ["drift"],
    ),
  },
  ["live"],
);
const failureReport = object<FailureReport>({
  ...header,
  status: oneOf("failed"),
  failures: list(object<FailureReport["failures"][number]>({ side: oneOf("base", "head"), message: text }, ["side"])),
});

/**
 * The report in a JSON text.
 *
 * @throws Error where it is not one, with the first place that is wrong and no text of the report.
 */
export function readReport(json: string): Report {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Refused("the report is not JSON");
  }
  return fields(value, "report").status === "failed" ? failureReport(value, "report") : changeReport(value, "report");
}
