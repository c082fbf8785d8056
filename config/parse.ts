import { SETTINGS, type Setting, type SettingKey, type Settings } from "./schema";
import { declaredConflicts, declaredOf } from "./declared";
import { derived } from "./derive";
import { gkeConflicts } from "./gke";
import { lineConflicts } from "./lines";
import { natsMemoryLimit } from "./memory";
import { playbookHint } from "./playbooks";
import { CHART_POOLS } from "./pools";
import { nearest, quantityBytes } from "./validate";
import { many } from "./wording";

export { natsMemoryLimit } from "./memory";

/** All problems of a stack's configuration, in one message; no value of a secret setting is in it. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(
      `The configuration has ${many(problems.length, "problem")}:\n` +
        problems.map((problem) => `  - ${problem}`).join("\n"),
    );
    this.name = "ConfigError";
  }
}

/** Keys in the order of the schema. */
export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[];

/**
 * Turns raw configuration (key without the project's name to text) into settings with defaults filled in.
 *
 * An empty text means unset: `Pulumi.yaml` can declare an optional key only with a default. `isEncrypted` tells whether
 * the stack keeps a key's value encrypted, which a secret setting must be.
 *
 * @throws ConfigError that lists every problem with its key, what is allowed, and a value that would do.
 */
export function parseSettings(
  raw: Readonly<Record<string, string>>,
  isEncrypted: (key: SettingKey) => boolean = () => true,
): Settings {
  const problems: string[] = [];
  for (const key of Object.keys(raw).sort()) {
    if (key in SETTINGS) continue;
    const meant = nearest(key, SETTING_KEYS);
    const hint = playbookHint(key) ?? (meant && `the nearest known one is ${meant}`);
    problems.push(`${key}: unknown key${hint ? `; ${hint}` : ""} (see the README's table)`);
  }
  const values: Partial<Record<SettingKey, unknown>> = {};
  for (const key of SETTING_KEYS) {
    const setting = SETTINGS[key] as unknown as Setting<unknown>;
    const text = raw[key]?.trim();
    if (text === undefined || text === "") {
      values[key] = setting.default;
      continue;
    }
    const parsed = parseValue(setting, text);
    const problem = parsed.problem ?? setting.check?.(parsed.value as never);
    if (problem) problems.push(complaint(key, text, problem));
    else if (setting.secret && !isEncrypted(key))
      problems.push(
        `${key}: is in plain text in the stack's configuration; allowed: encrypted; for example pulumi config set --secret ${key}`,
      );
    else values[key] = parsed.value;
  }
  // Rules between settings speak of values that are valid on their own.
  if (problems.length > 0) throw new ConfigError(problems);
  const settings = derived(resolveAlias(values as Settings));
  problems.push(...conflicts(settings, raw));
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

function parseValue(setting: Setting<unknown>, text: string): { value?: unknown; problem?: string } {
  switch (setting.kind) {
    case "string":
      return { value: text };
    case "boolean":
      return text === "true" || text === "false" ? { value: text === "true" } : { problem: "neither true nor false" };
    case "integer":
      return /^-?\d+$/.test(text) ? { value: Number(text) } : { problem: "no whole number" };
    case "list":
      return { value: parseList(text) };
    case "json":
      return parseJsonList(text);
  }
}

/** Values separated by comma or white space, or a JSON array of them (how the engine passes a list of a stack file). */
function parseList(text: string): string[] {
  if (text.startsWith("[")) {
    try {
      const parsed: unknown = JSON.parse(text);
      if (Array.isArray(parsed)) return parsed.map(String);
    } catch {
      // Not JSON: read as plain text below, where the check of the values names what is wrong.
    }
  }
  return text.split(/[\s,]+/).filter((part) => part !== "");
}

/** A JSON array of whatever: how the engine passes a list of a stack file, and what `pulumi config set --path` makes. */
function parseJsonList(text: string): { value?: unknown; problem?: string } {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? { value } : { problem: "not a list" };
  } catch {
    return { problem: "not JSON" };
  }
}

function complaint(key: SettingKey, text: string, problem: string): string {
  const setting = SETTINGS[key];
  // What is declared is long, and its problems have their own places.
  const shown = setting.secret || setting.kind === "json" ? "" : ` "${text}"`;
  return `${key}:${shown} is ${problem}; allowed: ${setting.allowed}; for example ${setting.example}`;
}

function resolveAlias(settings: Settings): Settings {
  return settings.natsJetstreamSize === undefined
    ? settings
    : { ...settings, natsJetstreamFileSize: settings.natsJetstreamSize };
}

/** Pools of database connections: least and most, and the most where it is unset. */
const POOLS = [
  ["serverPoolMinSize", "serverPoolMaxSize", CHART_POOLS.server],
  ["workerPoolMinSize", "workerPoolMaxSize", CHART_POOLS.worker],
] as const;

/** Problems between settings. `raw` tells what was set by hand. */
function conflicts(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  const problems: string[] = [];
  const set = (key: SettingKey) => (raw[key] ?? "").trim() !== "";
  const needs = (key: SettingKey, because: string) => {
    if (!set(key)) problems.push(`${key}: must be set because ${because}; for example ${SETTINGS[key].example}`);
  };
  if (
    set("natsJetstreamSize") &&
    set("natsJetstreamFileSize") &&
    raw.natsJetstreamSize !== raw.natsJetstreamFileSize &&
    raw.natsJetstreamFileSize !== SETTINGS.natsJetstreamFileSize.default
  ) {
    problems.push(
      `natsJetstreamSize: "${raw.natsJetstreamSize}" contradicts natsJetstreamFileSize "${raw.natsJetstreamFileSize}"; they are two names of one setting: set one of them`,
    );
  }
  const limit = natsMemoryLimit(settings);
  if ((quantityBytes(settings.natsJetstreamMemSize) ?? 0) >= (quantityBytes(limit) ?? 0)) {
    problems.push(
      `natsJetstreamMemSize: "${settings.natsJetstreamMemSize}" does not fit into natsMemoryLimit "${limit}"; allowed: less than the limit; ` +
        `for example leave natsMemoryLimit unset`,
    );
  }
  if (settings.workerFetchHeartbeatSeconds * 2 > settings.workerFetchTimeoutSeconds) {
    problems.push(
      `workerFetchHeartbeatSeconds: ${settings.workerFetchHeartbeatSeconds} is more than half of workerFetchTimeoutSeconds ` +
        `(${settings.workerFetchTimeoutSeconds}), which nats-server refuses; for example ${Math.max(1, Math.floor(settings.workerFetchTimeoutSeconds / 6))}`,
    );
  }
  if (!settings.deployNats && (settings.deployNoetl || settings.deployGateway || declaredOf(settings))) {
    needs("natsHost", "deployNats is false");
    needs("natsPassword", "deployNats is false");
  }
  if (settings.deployNoetl && !settings.deployPostgres && !settings.useCloudSql) {
    needs("postgresHost", "deployPostgres is false and NoETL needs its database");
    needs("postgresPassword", "deployPostgres is false and NoETL needs its database");
  }
  if (settings.deployNoetl && settings.noetlDatabaseUser === settings.postgresUser)
    problems.push(
      `noetlDatabaseUser: "${settings.noetlDatabaseUser}" is postgresUser, too, and NoETL needs a role of its own; for example ${SETTINGS.noetlDatabaseUser.default}`,
    );
  for (const [least, most, unset] of POOLS)
    if ((settings[least] ?? 0) > (settings[most] ?? unset))
      problems.push(
        `${least}: ${settings[least]} is more than ${most} (${settings[most] ?? `${unset} where unset`}), and the pool would not open; allowed: at most that`,
      );
  if (settings.deployGateway) needs("gatewayImage", "deployGateway is true");
  const ports = (
    ["natsNodePort", "natsMonitorNodePort", "noetlNodePort", "postgresNodePort", "gatewayNodePort"] as const
  ).filter((key) => settings[key] !== undefined);
  for (const [index, key] of ports.entries()) {
    const twin = ports.slice(0, index).find((other) => settings[other] === settings[key]);
    if (twin)
      problems.push(`${key}: ${settings[key]} is already the port of ${twin}; for example ${SETTINGS[key].example}`);
  }
  if (settings.rolloutMaxSurge === 0 && settings.rolloutMaxUnavailable === 0)
    problems.push(
      "rolloutMaxUnavailable: 0 with rolloutMaxSurge 0 would stop every rollout; allowed: one of them above 0; for example 1",
    );
  const changed = (key: SettingKey) => isChanged(key, raw);
  for (const [part, key] of [
    ["deployNats", "natsHost"],
    ["deployPostgres", "postgresHost"],
  ] as const)
    if (settings[part] && changed(key))
      problems.push(
        `${key}: "${settings[key]}" is of no use while ${part} is true, which installs another; allowed: unset it, or ${part} false`,
      );
  if (settings.deployGateway && settings.natsSessionBucket === settings.natsRequestBucket)
    problems.push(
      `natsRequestBucket: "${settings.natsRequestBucket}" is natsSessionBucket, too, and one bucket has one TTL; ` +
        `allowed: another name; for example ${SETTINGS.natsRequestBucket.default}`,
    );
  problems.push(...lineConflicts(settings), ...declaredConflicts(settings), ...gkeConflicts(settings, changed));
  return problems;
}

/**
 * Whether a key has another value than its default. That it is set says nothing: the engine passes the defaults that
 * `Pulumi.yaml` declares as if they had been set.
 */
function isChanged(key: SettingKey, raw: Readonly<Record<string, string>>): boolean {
  const text = (raw[key] ?? "").trim();
  return text !== "" && text !== shownDefault(key);
}

/** A setting's default as text; empty where it has none. */
export function shownDefault(key: SettingKey): string {
  const { default: value } = SETTINGS[key] as unknown as Setting<unknown>;
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "string" ? value : JSON.stringify(value);
}
