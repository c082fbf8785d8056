/**
 * Settings of what a stack does not have. They are accepted, because a part may be off for a while, and said at preview, because
 * whoever sets one believes that it works.
 */
import { declaredOf } from "./declared";
import { guardMode } from "./guard";
import { hasOperator, rolesOf } from "./logins";
import { type Changed, type Group, NODE_PORT_KEYS, SETTINGS, type SettingKey, type Settings } from "./schema";

/** What a stack lacks, in words that follow "while", and what only that would read. */
interface Absent {
  readonly why: string;
  readonly keys: readonly SettingKey[];
}

const isNodePort = (key: SettingKey): boolean => NODE_PORT_KEYS.some((each) => each === key);

/** Without those of nodes' ports: a cluster maps them once and for all, as kind does, before there is what they lead to. */
const KEYS = (Object.keys(SETTINGS) as SettingKey[]).filter((key) => !isNodePort(key));

const ofGroups = (...groups: readonly Group[]): SettingKey[] =>
  KEYS.filter((key) => groups.includes(SETTINGS[key].group));

const without = (keys: readonly SettingKey[], ...others: readonly SettingKey[]): SettingKey[] =>
  keys.filter((key) => !others.includes(key));

/** What clients need of a NATS elsewhere, and what is refused there (`parse.ts`, `tls.ts`, `logins.ts`). */
const OF_ANY_NATS = [
  "natsUser",
  "natsUsers",
  "natsPassword",
  "natsPasswordRevision",
  "natsTls",
  "natsTlsSecret",
  "natsTlsIssuer",
  "natsTlsCa",
  "natsHost",
  "natsPort",
] as const;

const OF_OWN_POSTGRES = ["postgresImage", "postgresStorageSize", "postgresStorageClass"] as const;

/** What Cloud SQL has without NoETL, too. */
const OF_AN_INSTANCE = ["postgresUser", "postgresPassword", "postgresPasswordRevision", "noetlDatabase"] as const;

const POOLER = [...KEYS.filter((key) => key.startsWith("pgbouncer")), "cloudSqlProxyImage"] as SettingKey[];

function ofNoetl(settings: Settings): SettingKey[] {
  const { deployGateway, useCloudSql } = settings;
  const database = ofGroups("Postgres");
  return [
    ...without(ofGroups("NoETL", "Worker"), ...(deployGateway ? (["readOnlyRootFilesystem"] as const) : [])),
    ...(useCloudSql ? [...without(database, ...OF_AN_INSTANCE), ...POOLER] : database),
    "playbookJobs",
    "noetlLine",
    "natsStreamStorage",
    "contractGuard",
    "contractGuardImage",
    ...(rolesOf(settings).length > 0 || hasOperator(settings) ? [] : (["natsUsers"] as const)),
  ];
}

/** What a stack on GKE has of what it could have. */
function absentOnGke(settings: Settings): Absent[] {
  const { exposure, gatewayHost, noetlHost, createArtifactRegistry, createServiceConnection } = settings;
  return [
    ...(exposure === "internal" ? [{ why: "exposure is internal", keys: ["gatewayTimeoutSeconds"] } as const] : []),
    ...(exposure === "ingress" ? [] : [{ why: `exposure is ${exposure}`, keys: ["tlsProfile"] } as const]),
    ...(gatewayHost === undefined && noetlHost === undefined
      ? [{ why: "neither gatewayHost nor noetlHost is set", keys: ["externalDns"] } as const]
      : []),
    ...(createArtifactRegistry ? [] : [{ why: "createArtifactRegistry is false", keys: ["repositoryId"] } as const]),
    ...(createServiceConnection
      ? []
      : [{ why: "createServiceConnection is false", keys: ["cloudSqlRangePrefix"] } as const]),
  ];
}

/** What a stack lacks; of a key that stands twice the first reason counts. */
function absent(settings: Settings): Absent[] {
  const { deployNats, deployNoetl, deployGateway, deployPostgres, useCloudSql, platform } = settings;
  return [
    ...(deployNoetl ? [] : [{ why: "deployNoetl is false", keys: ofNoetl(settings) }]),
    ...(deployNoetl || declaredOf(settings)
      ? []
      : [
          {
            why: "deployNoetl is false and nothing is declared (docs/declared.md)",
            keys: ["contractMode", "contractTimeoutSeconds", "contractStrict"],
          } as const,
        ]),
    ...(deployNats ? [] : [{ why: "deployNats is false", keys: without(ofGroups("NATS"), ...OF_ANY_NATS) }]),
    ...(useCloudSql ? [{ why: "useCloudSql is true", keys: [...OF_OWN_POSTGRES, "postgresPort"] } as const] : []),
    ...(deployPostgres ? [] : [{ why: "deployPostgres is false", keys: OF_OWN_POSTGRES }]),
    ...(deployGateway ? [] : [{ why: "deployGateway is false", keys: ofGroups("Gateway") }]),
    ...(guardMode(settings) === undefined
      ? [{ why: "contractGuard is off", keys: ["contractGuardImage"] } as const]
      : []),
    ...(platform === "gke"
      ? absentOnGke(settings)
      : [{ why: `platform is ${platform}, where no risk is refused`, keys: ["acceptedRisks"] } as const]),
  ];
}

/** What a preview says of them, in a sentence for each thing that the stack lacks. */
export function idleWarnings(settings: Settings, changed: Changed): string[] {
  const said = new Set<SettingKey>();
  return absent(settings).flatMap(({ why, keys }) => {
    // Whoever switches off what is not there is not misled.
    const idle = keys.filter((key) => changed(key) && settings[key] !== "off" && !said.has(key));
    for (const key of idle) said.add(key);
    if (idle.length === 0) return [];
    return [`${idle.join(", ")}: no effect while ${why}; for example pulumi config rm ${idle[0]}`];
  });
}
