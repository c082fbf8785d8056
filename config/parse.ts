import { NODE_PORT_KEYS, SETTINGS, type GivenSettings, type Setting, type SettingKey, type Settings } from "./schema";
import { storageConflicts } from "./availability";
import { declaredConflicts, declaredOf } from "./declared";
import { derived } from "./derive";
import { gkeConflicts } from "./gke";
import { foreignKeys } from "./foreign";
import { holdsUnseen, meantBy, visible } from "./meant";
import { silentLosses } from "./json";
import { withoutLogins } from "../contract/mask/names";
import { guardConflicts } from "./guard";
import { lineConflicts } from "./lines";
import { loginConflicts } from "./logins";
import { networkConflicts } from "./network";
import { bucketStream } from "../contract/buckets";
import { natsMemory } from "../contract/nats/memory";
import { NOETL_STORES } from "../contract/rules/store";
import { playbookHint } from "./playbooks";
import { riskProblems } from "./risks";
import { tlsConflicts } from "./tls";
import { CHART_INFLIGHT, CHART_POOLS } from "./resources";
import { SHORTEST_HEARTBEAT_SECONDS, tuningProblem } from "../contract/tuning";
import { host, isLoopback, nearest, prefixTakesIn, publicHost, quantityBytes, quantityMillis } from "./validate";
import { decidedBy, variableHint } from "./variables";
import { plural } from "../contract/wording";

export { foreignKeys } from "./foreign";
export { natsMemoryLimit } from "./resources";

/** All problems of a stack's configuration, in one message; no value of a secret setting is in it. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const shown = problems.map(withoutLogins);
    super(
      `The configuration has ${plural(shown.length, "problem")}:\n` +
        shown.map((problem) => `  - ${problem}`).join("\n"),
    );
    this.name = "ConfigError";
    this.problems = shown;
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
 * @param foreign full keys (`namespace:name`) of other namespaces, which have no effect; of `allConfig()`, for example
 * @throws ConfigError that lists every problem with its key, what is allowed, and a value that would do.
 */
export function parseSettings(
  raw: Readonly<Record<string, string>>,
  isEncrypted: (key: SettingKey) => boolean = () => true,
  foreign: Readonly<Record<string, string>> = {},
): Settings {
  const problems: string[] = [...foreignKeys(foreign).problems];
  for (const key of Object.keys(raw).sort()) if (!Object.hasOwn(SETTINGS, key)) problems.push(unknownKey(key));
  const values: Partial<Record<SettingKey, unknown>> = {};
  for (const key of SETTING_KEYS) {
    const setting = SETTINGS[key] as unknown as Setting<unknown>;
    const text = raw[key]?.trim();
    if (text === undefined || text === "") {
      values[key] = setting.default;
      continue;
    }
    const { value, problem } = checkedValue(setting, text);
    if (problem) problems.push(problemText(key, text, { problem, example: exampleFor(setting, text, value) }));
    else if (setting.secret && !isEncrypted(key))
      problems.push(
        `${key}: is in plain text in the stack's configuration; allowed: encrypted; for example pulumi config set --secret ${key}`,
      );
    else values[key] = value;
  }
  // Rules between settings speak of values that are valid on their own.
  if (problems.length > 0) throw new ConfigError(problems);
  const settings = derived(resolveAlias(values as GivenSettings));
  problems.push(...conflicts(settings, raw));
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

/** Leads whoever looks for a name of NoETL's playbooks, of a variable or of a chart's value to the setting. */
function unknownKey(key: string): string {
  const playbook = playbookHint(key);
  if (playbook) return `${key}: unknown key; ${playbook} (docs/gke.md)`;
  const meant = nearest(key, SETTING_KEYS);
  const hint = variableHint(key) ?? (meant && `the nearest known one is ${meant}`);
  return `${key}: unknown key${hint ? `; ${hint}` : ""} (see docs/configuration.md)`;
}

/** A value of its kind, undefined where the text is of another, and what is wrong with it. */
function checkedValue(setting: Setting<unknown>, text: string): { value?: unknown; problem?: string } {
  const { value, problem } = parseValue(setting, text);
  const own = problem ?? setting.check?.(value as never);
  // Texts of any other kind say it in words of their own.
  const isAnyText = own === undefined && (setting.kind === "string" || setting.kind === "list");
  return {
    value,
    problem:
      isAnyText && holdsUnseen(text, setting.kind === "list") ? "not usable: it holds a sign that nobody sees" : own,
  };
}

/** What would do in the place of a value that is refused, where it can be made of that one. */
function exampleFor(setting: Setting<unknown>, text: string, value: unknown): string | undefined {
  const suggested = value === undefined ? undefined : setting.suggest?.(value as never);
  // What is not to be shown is not to be shown in another spelling.
  if (suggested !== undefined || isHidden(setting, text)) return suggested;
  return meantBy(text, (other) => checkedValue(setting, other).problem === undefined);
}

function parseValue(setting: Setting<unknown>, text: string): { value?: unknown; problem?: string } {
  switch (setting.kind) {
    case "string":
      return { value: text };
    case "boolean":
      return text === "true" || text === "false" ? { value: text === "true" } : { problem: "neither true nor false" };
    case "integer":
      return /^-?\d+$/.test(text) ? { value: Number(text) } : { problem: "not an integer" };
    case "number":
      return /^-?\d+(\.\d+)?$/.test(text) ? { value: Number(text) } : { problem: "not a number" };
    case "list":
      return { value: parseList(text) };
    case "variables":
      return parseVariables(text);
    case "json":
      return parseJsonList(text);
  }
}

/** A JSON object of scalars, as texts. The problem never repeats a value: it may be a credential. */
function parseVariables(text: string): { value?: unknown; problem?: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { problem: "not JSON" };
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return { problem: "not a JSON object" };
  const wrong = Object.entries(parsed).find(([, value]) => !/^(string|number|boolean)$/.test(typeof value));
  if (wrong) return { problem: `not usable: ${wrong[0]} is neither text nor number, true or false` };
  const { twice, numbers } = silentLosses(text);
  if (twice.length > 0) return { problem: `not usable: ${twice.join(", ")} stands there twice` };
  if (numbers.length > 0)
    return {
      problem: `not usable: ${numbers.join(", ")} holds a number that becomes another text, unless it is in quotes`,
    };
  return { value: Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)])) };
}

/**
 * Values separated by comma or white space, or a JSON array of them as text. A list in the stack's file never comes here: the
 * engine refuses one for a key that `Pulumi.yaml` declares as text.
 */
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

/**
 * A JSON array of whatever: how the engine passes a list of a stack's file, and what `pulumi config set --path` makes. It takes
 * one for keys that `Pulumi.yaml` does not declare, as those of this kind.
 */
function parseJsonList(text: string): { value?: unknown; problem?: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return { problem: "not a list" };
    const { twice } = silentLosses(text);
    return twice.length > 0
      ? { problem: `not usable: ${twice.join(", ")} stands twice in one declaration` }
      : { value };
  } catch {
    return { problem: "not JSON" };
  }
}

/** Checks of settings that hold one host. */
const HOST_CHECKS = new Set<unknown>([host, publicHost]);

/** Whether a value that is refused is shown in no message. */
function isHidden({ secret, kind, check }: Setting<unknown>, text: string): boolean {
  // A map of variables may hold what must not be shown; what is declared is long, and its problems have their own places.
  // A private key may stand where the path of a certificate should.
  // No host has an `@` in it: what stands before one is a login, however it is written.
  const isLogin = text.includes("@") && HOST_CHECKS.has(check);
  return secret || kind === "variables" || kind === "json" || isLogin || /-----BEGIN|\n/.test(text);
}

/** @param example A value that would do in the place of `text`; default: the setting's own. */
function problemText(
  key: SettingKey,
  text: string,
  { problem, example = SETTINGS[key].example }: { problem: string; example: string | undefined },
): string {
  const setting = SETTINGS[key] as unknown as Setting<unknown>;
  const shown = isHidden(setting, text) ? "" : ` "${visible(text)}"`;
  return `${key}:${shown} is ${problem}; allowed: ${setting.allowed}; for example ${example}`;
}

function resolveAlias(settings: GivenSettings): GivenSettings {
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
  const changed = (key: SettingKey) => isChanged(key, raw);
  return [
    ...sizeConflicts(settings, raw),
    ...workerConflicts(settings, changed),
    ...elsewhere(settings, raw),
    ...chartConflicts(settings, raw),
    ...databaseConflicts(settings, changed),
    ...portConflicts(settings),
    ...rolloutConflicts(settings),
    ...gatewayConflicts(settings, raw),
    ...variableConflicts(settings),
    ...lineConflicts(settings),
    ...storageConflicts(settings),
    ...declaredConflicts(settings),
    ...guardConflicts(settings),
    ...loginConflicts(settings),
    ...networkConflicts(settings),
    ...tlsConflicts(settings),
    ...gkeConflicts(settings, changed),
    ...riskProblems(settings),
  ];
}

type Changed = (key: SettingKey) => boolean;

const isSet = (raw: Readonly<Record<string, string>>, key: SettingKey): boolean => (raw[key] ?? "").trim() !== "";

const needs = (raw: Readonly<Record<string, string>>, key: SettingKey, because: string): string[] =>
  isSet(raw, key) ? [] : [`${key}: must be set because ${because}; for example ${SETTINGS[key].example}`];

/** Sizes of NATS, and of the pods of server and workers. */
function sizeConflicts(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  const problems: string[] = [];
  if (
    isSet(raw, "natsJetstreamSize") &&
    isSet(raw, "natsJetstreamFileSize") &&
    raw.natsJetstreamSize !== raw.natsJetstreamFileSize &&
    raw.natsJetstreamFileSize !== SETTINGS.natsJetstreamFileSize.default
  ) {
    problems.push(
      `natsJetstreamSize: "${raw.natsJetstreamSize}" contradicts natsJetstreamFileSize "${raw.natsJetstreamFileSize}"; they are two names of one setting: set one of them`,
    );
  }
  const memory = natsMemory(settings.natsJetstreamMemSize, settings.natsMemoryLimit);
  if (!memory.fits)
    problems.push(
      `natsMemoryLimit: "${memory.limit}" is too little for natsJetstreamMemSize "${settings.natsJetstreamMemSize}": the server needs ` +
        `room beside its memory store, and Go part of the limit; allowed: unset, or at least ${memory.leastLimit}; for example ${memory.usualLimit}`,
    );
  for (const part of ["server", "worker"] as const)
    for (const [kind, read] of [
      ["Memory", quantityBytes],
      ["Cpu", quantityMillis],
    ] as const) {
      const [request, limit] = [settings[`${part}${kind}Request`], settings[`${part}${kind}Limit`]];
      if (request !== undefined && limit !== undefined && (read(request) ?? 0) > (read(limit) ?? 0))
        problems.push(
          `${part}${kind}Request: "${request}" is more than ${part}${kind}Limit "${limit}", which Kubernetes refuses; allowed: at most ` +
            `that; for example ${limit}`,
        );
    }
  return problems;
}

/** A heartbeat for this timeout: a sixth of it, as the defaults are, without odd digits. */
const usualHeartbeat = (timeoutSeconds: number): number =>
  Math.max(SHORTEST_HEARTBEAT_SECONDS, Math.floor((timeoutSeconds / 6) * 10) / 10);

function workerConflicts(settings: Settings, changed: Changed): string[] {
  const problems: string[] = [];
  const { workerFetchHeartbeatSeconds: heartbeat, workerFetchTimeoutSeconds: timeout } = settings;
  const tuning = tuningProblem({ fetchTimeoutSeconds: timeout, fetchHeartbeatSeconds: heartbeat });
  if (tuning)
    problems.push(
      `workerFetchHeartbeatSeconds: ${heartbeat} is ${tuning}; allowed: less than ${timeout / 2}; for example ${usualHeartbeat(timeout)}`,
    );
  const commands = settings.workerMaxInflightCommands ?? CHART_INFLIGHT.commands;
  const dbCommands = settings.workerMaxInflightDbCommands ?? CHART_INFLIGHT.dbCommands;
  if (dbCommands > commands)
    problems.push(
      `workerMaxInflightDbCommands: ${dbCommands}${changed("workerMaxInflightDbCommands") ? "" : " where unset"} is more than ` +
        `workerMaxInflightCommands (${commands}${changed("workerMaxInflightCommands") ? "" : " where unset"}), and no worker would start; ` +
        `allowed: at most that; for example ${commands}`,
    );
  for (const [least, most, unset] of POOLS)
    if ((settings[least] ?? 0) > (settings[most] ?? unset))
      problems.push(
        `${least}: ${settings[least]} is more than ${most} (${settings[most] ?? `${unset} where unset`}), and the pool would not open; ` +
          `allowed: at most that; for example ${settings[most] ?? unset}`,
      );
  return problems;
}

/** Numbers of generated passwords where none is generated. */
function revisions(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  const makesPostgres = settings.deployPostgres || settings.useCloudSql;
  const passwords = [
    ["natsPassword", settings.deployNats ? undefined : "deployNats is false", settings.natsUsers === "each"],
    ["postgresPassword", makesPostgres ? undefined : "deployPostgres is false"],
    ["noetlPassword", settings.deployNoetl ? undefined : "deployNoetl is false"],
  ] as const;
  return passwords.flatMap(([password, absent, hasOthers]) => {
    const key = `${password}Revision` as const;
    const why = absent ?? (settings[password] === undefined || hasOthers ? undefined : `${password} is set`);
    if (why === undefined || !isChanged(key, raw)) return [];
    return [
      `${key}: "${settings[key]}" has no effect while ${why}: no password is generated then; ` +
        `allowed: unset it; for example pulumi config rm ${key}`,
    ];
  });
}

/** What an external part needs, and what one is of no use. */
function elsewhere(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  const problems: string[] = [];
  if (!settings.deployNats && (settings.deployNoetl || settings.deployGateway || declaredOf(settings)))
    problems.push(
      ...needs(raw, "natsHost", "deployNats is false"),
      ...needs(raw, "natsPassword", "deployNats is false"),
    );
  problems.push(...revisions(settings, raw));
  if (settings.deployNoetl && !settings.deployPostgres && !settings.useCloudSql) {
    const because = "deployPostgres is false and NoETL needs its database";
    problems.push(...needs(raw, "postgresHost", because), ...needs(raw, "postgresPassword", because));
  }
  for (const [part, key] of [
    ["deployNats", "natsHost"],
    ["deployNats", "natsPort"],
    ["deployPostgres", "postgresHost"],
    ["deployPostgres", "postgresPort"],
  ] as const)
    if (settings[part] && isChanged(key, raw))
      problems.push(
        `${key}: "${settings[key]}" is of no use while ${part} is true, which installs another; allowed: unset it, or ${part} false`,
      );
  for (const key of settings.platform === "gke" ? (["natsHost", "postgresHost"] as const) : [])
    if (isLoopback(settings[key] ?? ""))
      problems.push(
        `${key}: "${settings[key]}" is each pod itself, and nothing else answers there; allowed: a host that pods of the cluster reach; for ` +
          `example ${SETTINGS[key].example}`,
      );
  return problems;
}

/** Charts and what belongs to a repository's alone. */
function chartConflicts(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  const charts = ["natsChart", "noetlChart", "gatewayChart"] as const;
  const idle = charts.flatMap((chart) =>
    /^[./~]/.test(settings[chart])
      ? ([`${chart}Repository`, `${chart}Version`] as const)
          .filter((key) => isChanged(key, raw))
          .map(
            (key) =>
              `${key}: "${settings[key]}" has no effect while ${chart} is ${settings[chart]}, a folder, which is installed as it is; allowed: ` +
              `unset it, or the name of a chart; for example pulumi config rm ${key}`,
          )
      : [],
  );
  const { deployNats, natsChart, natsChartVersion: version } = settings;
  // Source: the chart's notes of release 1.0. Helm takes values that a chart does not know without a word.
  return deployNats && natsChart === SETTINGS.natsChart.default && /^v?0\./.test(version)
    ? [
        ...idle,
        `natsChartVersion: "${version}" knows none of the values of today's chart: NATS would take every client without a login, and have no ` +
          `JetStream; allowed: 1.0.0 or newer; for example ${SETTINGS.natsChartVersion.default}`,
      ]
    : idle;
}

function databaseConflicts(settings: Settings, changed: Changed): string[] {
  if (!settings.deployNoetl || settings.noetlDatabaseUser !== settings.postgresUser) return [];
  // The one that was set is in the way of the other.
  const [key, other] =
    changed("postgresUser") && !changed("noetlDatabaseUser")
      ? (["postgresUser", "noetlDatabaseUser"] as const)
      : (["noetlDatabaseUser", "postgresUser"] as const);
  const example = [SETTINGS[key].default, "noetl_app"].find((each) => each !== settings[other]);
  return [
    `${key}: "${settings[key]}" is ${other}, too, and NoETL needs a role of its own; allowed: another name; for example ${example}`,
  ];
}

function portConflicts(settings: Settings): string[] {
  const keys = NODE_PORT_KEYS.filter((key) => settings[key] !== undefined);
  const taken = new Set(keys.map((key) => String(settings[key])));
  return keys.flatMap((key, index) => {
    const twin = keys.slice(0, index).find((other) => settings[other] === settings[key]);
    if (!twin) return [];
    const examples = [SETTINGS[key].example, ...NODE_PORT_KEYS.map((other) => SETTINGS[other].example)];
    const free = examples.find((each) => !taken.has(each)) ?? "32000";
    return [`${key}: ${settings[key]} is already the port of ${twin}; allowed: another port; for example ${free}`];
  });
}

const rolloutConflicts = (settings: Settings): string[] =>
  settings.rolloutMaxSurge === 0 && settings.rolloutMaxUnavailable === 0
    ? [
        "rolloutMaxUnavailable: 0 with rolloutMaxSurge 0 would stop every rollout; allowed: one of them above 0; for example 1",
      ]
    : [];

function gatewayConflicts(settings: Settings, raw: Readonly<Record<string, string>>): string[] {
  if (!settings.deployGateway) return [];
  const problems: string[] = [];
  const { natsSubject: subject } = settings;
  for (const [key, what] of [
    ["natsUpdatesSubjectPrefix", "updates"],
    ["natsCallbackSubjectPrefix", "callbacks"],
  ] as const) {
    if (!prefixTakesIn(settings[key], subject)) continue;
    const usual = [SETTINGS[key].default, `gateway.${what}${key === "natsUpdatesSubjectPrefix" ? "." : ""}`];
    const [blamed, said, example] =
      isChanged("natsSubject", raw) && !isChanged(key, raw)
        ? ([
            "natsSubject",
            `"${subject}" lies where ${key} "${settings[key]}" does`,
            SETTINGS.natsSubject.default,
          ] as const)
        : ([
            key,
            `"${settings[key]}" takes natsSubject "${subject}", or what is published below it, in`,
            usual.find((each) => !prefixTakesIn(each, subject)),
          ] as const);
    problems.push(
      `${blamed}: ${said}, so the gateway would get commands for ${what}; allowed: subjects of which none lies below the other; ` +
        `for example ${example}`,
    );
  }
  const { natsUpdatesSubjectPrefix: updates, natsCallbackSubjectPrefix: callbacks } = settings;
  if (prefixTakesIn(updates, callbacks) && !prefixTakesIn(updates, subject)) {
    const key = isChanged("natsCallbackSubjectPrefix", raw) ? "natsCallbackSubjectPrefix" : "natsUpdatesSubjectPrefix";
    const other = key === "natsCallbackSubjectPrefix" ? "natsUpdatesSubjectPrefix" : "natsCallbackSubjectPrefix";
    problems.push(
      `${key}: "${settings[key]}" lies where ${other} "${settings[other]}" does, so the gateway would get callbacks for updates; allowed: ` +
        `subjects of which none lies below the other; for example ${prefixTakesIn(settings[other], SETTINGS[key].default) ? "gateway." : ""}${SETTINGS[key].default}`,
    );
  }
  for (const key of ["natsSessionBucket", "natsRequestBucket"] as const)
    if (NOETL_STORES.some((stream) => stream === bucketStream(settings[key])))
      problems.push(
        `${key}: "${settings[key]}" is a bucket of NoETL itself, with entries and a TTL of its own; allowed: another name; for example ` +
          SETTINGS[key].default,
      );
  if (settings.natsSessionBucket === settings.natsRequestBucket) {
    const [key, other] =
      isChanged("natsSessionBucket", raw) && !isChanged("natsRequestBucket", raw)
        ? (["natsSessionBucket", "natsRequestBucket"] as const)
        : (["natsRequestBucket", "natsSessionBucket"] as const);
    const example = SETTINGS[key].default === settings[other] ? `${settings[other]}_2` : SETTINGS[key].default;
    problems.push(
      `${key}: "${settings[key]}" is ${other}, too, and one bucket has one TTL; allowed: another name; for example ${example}`,
    );
  }
  return problems;
}

/** Further variables that contradict a setting, or of which one place would win over another. */
function variableConflicts(settings: Settings): string[] {
  return (["server", "worker", "gateway"] as const).flatMap((part) =>
    Object.keys(settings[`${part}Env`]).flatMap((name) => {
      const keys = decidedBy(part, name);
      if (keys === undefined) return [];
      const instead = keys.length > 0 ? `set ${keys.join(", ")} instead` : "it follows from what is deployed";
      return [`${part}Env: ${name} has a place of its own; allowed: other variables; ${instead}`];
    }),
  );
}

/**
 * Whether a key has another value than its default. That it is set says nothing: the engine passes the defaults that
 * `Pulumi.yaml` declares as if they had been set.
 */
export function isChanged(key: SettingKey, raw: Readonly<Record<string, string>>): boolean {
  const text = (raw[key] ?? "").trim();
  return text !== "" && text !== shownDefault(key);
}

/** A setting's default as text; empty where it has none. */
export function shownDefault(key: SettingKey): string {
  const { default: value } = SETTINGS[key] as unknown as Setting<unknown>;
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.join(",");
  // No variables are not text: a map that is written out would look as if it had to be set.
  if (typeof value === "object" && value !== null && Object.keys(value).length === 0) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
