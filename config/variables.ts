/**
 * Which setting decides an environment variable of the pods. It is what a reader of NoETL's documentation looks for, so an
 * unknown key of that name leads to the setting, and the settings for further variables refuse to contradict it.
 */
import { type Component as Part, ENVIRONMENT } from "../contract/env";
import type { SettingKey } from "./schema";

const NOETL: readonly Part[] = ["server", "worker"];
const ALL: readonly Part[] = ["server", "worker", "gateway"];

interface DecidedVariable {
  readonly name: string;
  readonly parts: readonly Part[];
  /** None where it follows from what is deployed. */
  readonly keys: readonly SettingKey[];
}

const decided = (name: string, parts: readonly Part[], ...keys: SettingKey[]): DecidedVariable => ({
  name,
  parts,
  keys,
});

const DECIDED_VARIABLES: readonly DecidedVariable[] = [
  ...ENVIRONMENT.map(({ name, component, settings }) =>
    decided(name, [component], ...(settings as readonly SettingKey[])),
  ),
  // Beyond the specification's tables.
  decided("NATS_USER", ["worker"], "natsUser", "natsUsers"),
  decided("NATS_USERNAME", ["gateway"], "natsUser", "natsUsers"),
  decided("NATS_PASSWORD", ["worker", "gateway"], "natsPassword", "natsPasswordRevision", "natsUsers"),
  decided("NATS_INBOX_PREFIX", NOETL, "natsUsers"),
  decided("LOG_LEVEL", NOETL, "noetlLogLevel"),
  decided("NOETL_SERVER_URL", NOETL),
  decided("NOETL_PORT", ["server"]),
  decided("POSTGRES_HOST", ["server"], "postgresHost"),
  decided("POSTGRES_PORT", ["server"], "postgresPort"),
  decided("POSTGRES_PASSWORD", ["server"], "postgresPassword"),
  decided("NOETL_POSTGRES_DB", ["server"], "noetlDatabase"),
  decided("NOETL_USER", ["server"], "noetlDatabaseUser"),
  decided("NOETL_PASSWORD", ["server"], "noetlPassword"),
  decided("NOETL_SCHEMA", ["server"]),
  decided("NOETL_POSTGRES_POOL_MIN_SIZE", ["server"], "serverPoolMinSize"),
  decided("NOETL_POSTGRES_POOL_MAX_SIZE", ["server"], "serverPoolMaxSize"),
  decided("NOETL_POSTGRES_POOL_MAX_WAITING", ["server"], "serverPoolMaxWaiting"),
  decided("NOETL_POSTGRES_POOL_TIMEOUT_SECONDS", ["server"], "serverPoolTimeoutSeconds"),
  decided("NOETL_POSTGRES_POOL_MIN_SIZE", ["worker"], "workerPoolMinSize"),
  decided("NOETL_POSTGRES_POOL_MAX_SIZE", ["worker"], "workerPoolMaxSize"),
  decided("NOETL_POSTGRES_POOL_MAX_WAITING", ["worker"], "workerPoolMaxWaiting"),
  decided("NOETL_POSTGRES_POOL_TIMEOUT_SECONDS", ["worker"], "workerPoolTimeoutSeconds"),
  decided("NOETL_WORKER_MAX_INFLIGHT_COMMANDS", ["worker"], "workerMaxInflightCommands"),
  decided("NOETL_WORKER_MAX_INFLIGHT_DB_COMMANDS", ["worker"], "workerMaxInflightDbCommands"),
  decided("ROUTER_PORT", ["gateway"]),
  decided("NOETL_BASE_URL", ["gateway"]),
  decided("GATEWAY_PUBLIC_URL", ["gateway"], "gatewayPublicUrl"),
  decided("GATEWAY_AUTH_BYPASS", ["gateway"], "gatewayAuthBypass"),
];

/** The settings that decide a part's variable; undefined where it is free. */
export function decidedBy(part: Part, variable: string): readonly SettingKey[] | undefined {
  const name = variable.toUpperCase();
  return DECIDED_VARIABLES.find((each) => each.name === name && each.parts.includes(part))?.keys;
}

const upperSnake = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();

const LOCATIONS: readonly (readonly [prefix: RegExp, parts: readonly Part[]])[] = [
  [/^config\.server\./, ["server"]],
  [/^config\.worker\./, ["worker"]],
  [/^env\./, ["gateway"]],
];

/** What to set instead, for a key that is the name of a variable, or its place in a chart's values: `env.natsUrl`. */
export function variableHint(key: string): string | undefined {
  const [prefix, parts] = LOCATIONS.find(([pattern]) => pattern.test(key)) ?? [/^/, ALL];
  const name = upperSnake(key.replace(prefix, ""));
  const found = DECIDED_VARIABLES.filter(
    (each) => each.name === name && each.parts.some((part) => parts.includes(part)),
  );
  if (found.length > 0) {
    const keys = [...new Set(found.flatMap((each) => each.keys))];
    return keys.length > 0
      ? `the variable ${name} follows from ${keys.join(", ")}`
      : `the variable ${name} follows from what is deployed`;
  }
  // Other names in capitals are variables that the pods may get.
  if (!/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(name) || (prefix.source === "^" && key !== name)) return undefined;
  const settings = prefix.source === "^" ? "serverEnv, workerEnv or gatewayEnv" : `${parts.join()}Env`;
  return `further variables stand in ${settings}`;
}
