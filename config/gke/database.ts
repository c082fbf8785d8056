import { connectionBudget, tierFor } from "./connections";
import { CLOUD_SQL_POOLS } from "../resources";
import { type Changed, SETTINGS, type SettingKey, type Settings } from "../schema";

/** Largest disk of a tier with a shared core, in GB. Source: Cloud SQL, "Quotas and limits". */
const SHARED_CORE_DISK_GB = 3054;
/** Longest `PROJECT:INSTANCE`. Source: Cloud SQL for PostgreSQL, "Instance settings". */
const LONGEST_INSTANCE = 98;

export function databaseProblems(settings: Settings, changed: Changed): string[] {
  if (settings.useCloudSql)
    return [...instanceProblems(settings), ...nameProblems(settings), ...poolProblems(settings)];
  const useless = (Object.keys(SETTINGS) as SettingKey[]).filter(
    (key) => SETTINGS[key].group === "Cloud SQL" && changed(key),
  );
  return useless.length > 0
    ? [`useCloudSql: false has no use for ${useless.join(", ")}; unset them, or set useCloudSql true`]
    : [];
}

function instanceProblems(settings: Settings): string[] {
  const { cloudSqlTier: tier, cloudSqlEdition: edition, cloudSqlDiskSizeGb: disk } = settings;
  const problems: string[] = [];
  if (settings.deployPostgres)
    problems.push("deployPostgres: true contradicts useCloudSql true: NoETL has one database; set one of them false");
  if (settings.postgresHost !== undefined)
    problems.push("postgresHost: contradicts useCloudSql true: NoETL has one database; unset it");
  const performance = tier.startsWith("db-perf-optimized-");
  if (performance !== (edition === "ENTERPRISE_PLUS"))
    problems.push(
      `cloudSqlTier: "${tier}" does not exist in edition ${edition}; allowed: db-perf-optimized-N-CPUS ` +
        "with ENTERPRISE_PLUS, the others with ENTERPRISE",
    );
  if (performance && settings.cloudSqlDiskType === "HDD")
    problems.push("cloudSqlDiskType: HDD does not exist in edition ENTERPRISE_PLUS; for example SSD");
  if (/^db-(f1-micro|g1-small)$/.test(tier) && disk > SHARED_CORE_DISK_GB)
    problems.push(
      `cloudSqlDiskSizeGb: ${disk} is more than ${tier} takes; allowed: at most ${SHARED_CORE_DISK_GB}, or a tier with cores of its own; ` +
        "for example cloudSqlTier db-custom-2-7680",
    );
  if (settings.cloudSqlAvailability === "REGIONAL" && !settings.cloudSqlBackups)
    problems.push(
      "cloudSqlBackups: false contradicts cloudSqlAvailability REGIONAL, whose standby Google gives to instances with backups alone; " +
        "allowed: true, or ZONAL",
    );
  return problems;
}

/** Names that are taken on every instance, or that the instance cannot have. */
function nameProblems(settings: Settings): string[] {
  const { projectId = "", cloudSqlInstance: instance } = settings;
  const problems: string[] = [];
  const longest = LONGEST_INSTANCE - projectId.length - 1;
  if (instance.length > longest)
    problems.push(
      `cloudSqlInstance: "${instance}" is too long, because Cloud SQL takes ${LONGEST_INSTANCE} characters with the project's id and a colon before it; ` +
        `allowed: at most ${longest}`,
    );
  if (/^(postgres|cloudsqladmin)$/.test(settings.noetlDatabase))
    problems.push(
      `noetlDatabase: "${settings.noetlDatabase}" is on every instance of Cloud SQL, and none of that name can be created; for example noetl`,
    );
  for (const key of ["postgresUser", "noetlDatabaseUser"] as const)
    if (settings[key].startsWith("cloudsql") || (key === "noetlDatabaseUser" && settings[key] === "postgres"))
      problems.push(`${key}: "${settings[key]}" is a role of Cloud SQL's own; for example ${SETTINGS[key].example}`);
  return problems;
}

function poolProblems(settings: Settings): string[] {
  const problems: string[] = [];
  const budget = connectionBudget(settings);
  if (budget.wanted > budget.usable) {
    const roomy = tierFor(budget.wanted);
    problems.push(
      `pgbouncerMaxDbConnections: ${settings.pgbouncerReplicas} pods with ${settings.pgbouncerMaxDbConnections} connections each and one for administration ` +
        `make ${budget.wanted}, but ${settings.cloudSqlTier} takes ${budget.usable} (${budget.limit} minus 3 for administrators); allowed: at most ` +
        `${Math.max(0, Math.floor(budget.usable / settings.pgbouncerReplicas) - 1)} a pod` +
        (roomy ? `, or a larger tier; for example cloudSqlTier ${roomy}` : ""),
    );
  }
  if (settings.pgbouncerPoolSize > settings.pgbouncerMaxDbConnections)
    problems.push(
      `pgbouncerPoolSize: ${settings.pgbouncerPoolSize} is more than pgbouncerMaxDbConnections ${settings.pgbouncerMaxDbConnections}; allowed: at most that`,
    );
  if (settings.pgbouncerMinPoolSize > settings.pgbouncerPoolSize)
    problems.push(
      `pgbouncerMinPoolSize: ${settings.pgbouncerMinPoolSize} is more than pgbouncerPoolSize ${settings.pgbouncerPoolSize}; allowed: at most that`,
    );
  const clients = (settings.serverPoolMaxSize ?? CLOUD_SQL_POOLS.server) * settings.noetlServerReplicas;
  // Any pod may have to take all clients while the others are replaced.
  if (clients > settings.pgbouncerMaxClientConnections)
    problems.push(
      `serverPoolMaxSize: ${settings.noetlServerReplicas} servers with ${settings.serverPoolMaxSize} connections each are more clients than ` +
        `pgbouncerMaxClientConnections ${settings.pgbouncerMaxClientConnections}; allowed: at most that together`,
    );
  return problems;
}
