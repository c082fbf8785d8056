/** What differs between a declared object and the one that is there, and what a server does not let one change. */
import { isDeepStrictEqual } from "node:util";
import { CONSUMER_FIELDS, isOlder, STREAM_FIELDS, type Field } from "./fields";
import { leavesHistoryOpen, written, type Config, type Target, type Wanted } from "./targets";

/** The server, as far as it matters to what can be declared. */
export interface ServerFacts {
  readonly version: string;
  /** False for a server on its own, which keeps one copy of everything. */
  readonly clustered: boolean;
}

/** One declared field that is not as declared. */
export interface Difference {
  readonly key: string;
  readonly found: string;
  readonly declared: string;
  /** Why it cannot be made so; undefined where an update does. */
  readonly refused?: Refusal;
  /** What changes in the configuration; an undefined value removes a field. */
  readonly patch: Readonly<Record<string, unknown>>;
}

/** Why something cannot be as declared, and what would do. */
export interface Refusal {
  readonly reason: string;
  readonly remedy: "recreate" | "newer-server" | "more-servers" | "declare";
}

const refusal = (reason: string, remedy: Refusal["remedy"] = "recreate"): Refusal => ({ reason, remedy });

const readFrom = (field: Field, config: Config): unknown =>
  field.read ? field.read(config) : config[field.json[0] ?? ""];

const normal = ({ kind }: Field, value: unknown): unknown => kind.normal(value);

/** Why a server cannot give a field that value to anything, new or old. */
function unsupported({ field, value }: Wanted, { version, clustered }: ServerFacts): Refusal | undefined {
  const wanted = normal(field, value);
  if (isDeepStrictEqual(wanted, normal(field, undefined))) return undefined;
  const since = [field.since, field.valueSince?.(wanted)].find((each) => each !== undefined && isOlder(version, each));
  if (since !== undefined) return refusal(`it needs nats-server ${since}, and this is ${version}`, "newer-server");
  if (field.json[0] === "num_replicas" && !clustered && (wanted as number) > 1) {
    return refusal("a server on its own keeps one copy", "more-servers");
  }
  return undefined;
}

function updateRefusal({ field, value }: Wanted, from: unknown, { version }: ServerFacts): Refusal | undefined {
  const reason = field.refuses?.(from, normal(field, value));
  if (reason !== undefined) return refusal(reason);
  const since = field.updatesSince;
  return since !== undefined && isOlder(version, since)
    ? refusal(`nats-server updates it since ${since}, and this is ${version}`)
    : undefined;
}

/** What a target asks for that this server does not have: it can then not be made. */
export const unsupportedFields = (target: Target, server: ServerFacts): Difference[] =>
  target.wanted.flatMap((wanted) => {
    const refused = unsupported(wanted, server);
    return refused ? [difference(wanted, undefined, refused)] : [];
  });

function difference(wanted: Wanted, found: unknown, refused: Refusal | undefined): Difference {
  const { key, field, value } = wanted;
  return {
    key,
    found: field.kind.show(normal(field, found)),
    declared: field.kind.show(normal(field, value)),
    refused,
    patch: written(wanted),
  };
}

/** Everything in which `config`, as it is, is not as declared. */
export function differencesOf(target: Target, config: Config, server: ServerFacts): Difference[] {
  const found = target.wanted.flatMap((wanted) => {
    const there = readFrom(wanted.field, config);
    const from = normal(wanted.field, there);
    if (isDeepStrictEqual(from, normal(wanted.field, wanted.value))) return [];
    const sealed = config.sealed === true ? refusal("the stream is sealed, and no server unseals one") : undefined;
    const refused = sealed ?? unsupported(wanted, server) ?? updateRefusal(wanted, from, server);
    return [difference(wanted, there, refused)];
  });
  return [...found, ...implied(target, config)].map((each) => ({
    ...each,
    patch: { ...each.patch, ...coupled(target, config, each) },
  }));
}

/** Differences that no key of the declaration stands for, but its meaning does. */
function implied(target: Target, config: Config): Difference[] {
  const wants = (field: Field): boolean => target.wanted.some((wanted) => wanted.field === field);
  if (leavesHistoryOpen(target) && ((config.max_msgs_per_subject as number | undefined) ?? -1) < 1) {
    const reason = "clients take no stream for a bucket that keeps every value of a key: declare history";
    return [
      { key: "history", found: "unlimited", declared: "1 to 64", refused: refusal(reason, "declare"), patch: {} },
    ];
  }
  // A backoff takes the place of the time to acknowledge.
  const { backoffSeconds, ackWaitSeconds } = CONSUMER_FIELDS;
  const backoff = normal(backoffSeconds, config.backoff) as number[];
  if (target.list === "consumers" && wants(ackWaitSeconds) && !wants(backoffSeconds) && backoff.length > 0) {
    const wanted = { key: "backoffSeconds", field: backoffSeconds, value: [] };
    return [{ ...difference(wanted, config.backoff, undefined), patch: { backoff: undefined } }];
  }
  return [];
}

/** What has to change together with a difference. */
function coupled({ wanted }: Target, config: Config, { patch }: Difference): Record<string, unknown> {
  const age = patch.max_age as number | undefined;
  const isWanted = wanted.some(({ field }) => field === STREAM_FIELDS.duplicateWindowSeconds);
  // The server refuses an age below the window in which it looks for duplicates.
  if (age === undefined || age === 0 || isWanted || ((config.duplicate_window as number | undefined) ?? 0) <= age)
    return {};
  return { duplicate_window: age };
}

/** The configuration with every difference gone that an update takes away. */
export const patched = (config: Config, differences: readonly Difference[]): Config =>
  Object.assign({}, config, ...differences.filter(({ refused }) => !refused).map(({ patch }) => patch)) as Config;
