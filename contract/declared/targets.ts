/** The objects in NATS that a declaration stands for, and the configuration that each is made with. */
import { BUCKET_FIELDS, FIELDS, STREAM_FIELDS, type Field } from "./fields";
import { DECLARED_LISTS, type Declared, type DeclaredList, type Removal } from "./types";

/** One field that is declared. */
export interface Wanted {
  /** The key of the declaration. */
  readonly key: string;
  readonly field: Field;
  /** The server's value, as a request has it. */
  readonly value: unknown;
}

/** A configuration as the server has it in JSON. */
export type Config = Readonly<Record<string, unknown>>;

/** One declared object. */
export interface Target {
  readonly list: DeclaredList;
  /** Place in its list. */
  readonly index: number;
  /** `stream ORDERS`, `consumer billing of ORDERS`, `bucket carts`, `object store files`. */
  readonly label: string;
  /** Name of the JetStream stream, behind a bucket too. */
  readonly stream: string;
  /** Name of the consumer, where it is one. */
  readonly consumer?: string;
  readonly remove?: Removal;
  readonly wanted: readonly Wanted[];
  /** What it is made with: everything that is declared, and what makes a bucket a bucket. */
  readonly config: Config;
}

interface Named extends Readonly<Record<string, unknown>> {
  readonly name: string;
  readonly stream?: string;
  readonly remove?: Removal;
}

const LABELS = { streams: "stream", buckets: "bucket", objectStores: "object store" } as const;

/** What clients of NATS take for a bucket or an object store. Source: nats.go's kv.go and object.go. */
const SHAPES = {
  streams: (name: string): Config => ({ name }),
  buckets: (name: string): Config => ({
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    max_msgs_per_subject: 1,
    discard: "new",
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
  }),
  objectStores: (name: string): Config => ({
    name: `OBJ_${name}`,
    subjects: [`$O.${name}.C.>`, `$O.${name}.M.>`],
    discard: "new",
    allow_rollup_hdrs: true,
    allow_direct: true,
  }),
} as const;

/** Fields of that shape without which a client refuses it or loses entries. */
const SHAPE_KEYS = ["subjects", "discard", "allowRollup"] as const;

/** The configuration that a wanted field stands for. */
export const written = ({ field, value }: Pick<Wanted, "field" | "value">): Record<string, unknown> =>
  field.write?.(value) ?? { [field.json[0] ?? ""]: value };

function wantedOf(list: DeclaredList, declaration: Named): Wanted[] {
  return Object.entries(FIELDS[list]).flatMap(([key, field]) => {
    const value = declaration[key];
    return value === undefined || value === null ? [] : [{ key, field, value: field.kind.toServer(value) }];
  });
}

function shapeOf(list: "buckets" | "objectStores", shape: Config): Wanted[] {
  return SHAPE_KEYS.map((key) => {
    const field = STREAM_FIELDS[key];
    return { key, field, value: shape[field.json[0] ?? ""] };
  });
}

function target(list: DeclaredList, index: number, declaration: Named): Target {
  const { name, stream, remove } = declaration;
  const wanted = wantedOf(list, declaration);
  const declared = Object.assign({}, ...wanted.map(written)) as Config;
  if (list === "consumers") {
    const made = { durable_name: name, ack_policy: "explicit", ...declared };
    const label = `consumer ${name} of ${stream ?? ""}`;
    return { list, index, label, stream: stream ?? "", consumer: name, remove, wanted, config: made };
  }
  const shape = SHAPES[list](name);
  return {
    list,
    index,
    label: `${LABELS[list]} ${name}`,
    stream: shape.name as string,
    remove,
    wanted: list === "streams" ? wanted : [...shapeOf(list, shape), ...wanted],
    config: { ...shape, ...declared },
  };
}

/** Everything that is declared; what is not sound (see {@link declaredProblems}) must not come here. */
export const targetsOf = (declared: Declared): Target[] =>
  DECLARED_LISTS.flatMap((list) =>
    (declared[list] ?? []).map((declaration, index) => target(list, index, declaration as unknown as Named)),
  );

/** Whether a bucket's declaration leaves the number of values per key open. */
export const leavesHistoryOpen = ({ list, wanted }: Target): boolean =>
  list === "buckets" && !wanted.some(({ field }) => field === BUCKET_FIELDS.history);
