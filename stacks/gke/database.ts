import * as pulumi from "@pulumi/pulumi";
import { CloudSql, CloudSqlPooler, type ProjectServices } from "../../components/gcp";
import { DatabaseLogin } from "../../components/postgres/login/resource";
import type { GkeSettings } from "./preflight";
import type { PodName } from "../../config/gke/pods";
import { generatedPassword, type Resources } from "../../components/shared";
import { policiesOf } from "../network";
import type { Cluster } from "./cluster";

interface GkeContext {
  project: pulumi.Output<string>;
  enabled: readonly ProjectServices[];
  cluster: Cluster;
  resources: (name: PodName) => Resources[];
  onCloud: pulumi.ComponentResourceOptions;
}

/** Cloud SQL and the way to it; where NoETL is deployed, as the external server of its database. */
export function cloudDatabase(settings: GkeSettings, around: GkeContext) {
  const sql = cloudSql(settings, around);
  if (!settings.deployNoetl) return {};
  const noetlPassword = settings.noetlPassword
    ? pulumi.secret(settings.noetlPassword)
    : generatedPassword("noetl-database-password", {}, settings.noetlPasswordRevision);
  // Before the pooler, which lets the logins of before in, too: pods move to a changed password one after the other.
  const login = new DatabaseLogin("noetl-database-login", {
    user: settings.noetlDatabaseUser,
    password: noetlPassword,
  });
  const pooler = cloudSqlPooler(settings, around, { sql, login, noetlPassword });
  return {
    external: { host: pooler.host, port: pooler.port },
    adminPassword: sql.adminPassword,
    noetlPassword,
    loginPerPassword: login,
  };
}

function cloudSql(settings: GkeSettings, { project, enabled, cluster, onCloud }: GkeContext): CloudSql {
  return new CloudSql(
    "cloud-sql",
    {
      project,
      region: settings.region,
      instanceName: settings.cloudSqlInstance,
      network: cluster.networkId,
      createServiceConnection: settings.createServiceConnection,
      keepRange: settings.network !== undefined || !settings.createCluster,
      rangePrefix: settings.cloudSqlRangePrefix,
      egressRule: settings.cloudSqlProxyEgressRule,
      version: settings.cloudSqlVersion,
      edition: settings.cloudSqlEdition,
      tier: settings.cloudSqlTier,
      maxConnections: settings.cloudSqlMaxConnections,
      diskSizeGb: settings.cloudSqlDiskSizeGb,
      diskType: settings.cloudSqlDiskType,
      availability: settings.cloudSqlAvailability,
      backups: settings.cloudSqlBackups,
      database: settings.noetlDatabase,
      adminUser: settings.postgresUser,
      adminPassword: settings.postgresPassword ? pulumi.secret(settings.postgresPassword) : undefined,
      adminPasswordRevision: settings.postgresPasswordRevision,
      deletionProtection: settings.deletionProtection,
    },
    // Google picks the services' range among what is free: the subnetwork's must be taken before.
    { ...onCloud, dependsOn: [...enabled, ...(cluster.network ? [cluster.network] : [])] },
  );
}

/** What the pooler lets in, and where it leads. */
interface PoolerNeeds {
  sql: CloudSql;
  login: DatabaseLogin;
  noetlPassword: pulumi.Input<string>;
}

function cloudSqlPooler(settings: GkeSettings, around: GkeContext, needs: PoolerNeeds): CloudSqlPooler {
  const { project, cluster, onCloud } = around;
  const { sql, login, noetlPassword } = needs;
  const [resources, proxyResources] = around.resources("pgbouncer");
  return new CloudSqlPooler(
    "pgbouncer",
    {
      project,
      workloadPool: cluster.workloadPool,
      connectionName: sql.connectionName,
      instanceName: settings.cloudSqlInstance,
      database: settings.noetlDatabase,
      user: login.user,
      password: noetlPassword,
      formerLogins: login.former,
      adminUser: settings.postgresUser,
      adminPassword: sql.adminPassword,
      replicas: settings.pgbouncerReplicas,
      maxClientConnections: settings.pgbouncerMaxClientConnections,
      poolSize: settings.pgbouncerPoolSize,
      minPoolSize: settings.pgbouncerMinPoolSize,
      reservePoolSize: settings.pgbouncerReservePoolSize,
      maxDbConnections: settings.pgbouncerMaxDbConnections,
      pgbouncerImage: settings.pgbouncerImage,
      proxyImage: settings.cloudSqlProxyImage,
      resources,
      proxyResources,
      ...policiesOf(settings)("pgbouncer"),
    },
    { ...onCloud, providers: { ...(onCloud.providers as object), kubernetes: cluster.provider } },
  );
}
