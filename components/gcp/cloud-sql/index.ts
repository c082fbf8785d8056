import * as compute from "@pulumi/gcp/compute";
import * as servicenetworking from "@pulumi/gcp/servicenetworking";
import * as sql from "@pulumi/gcp/sql";
import * as pulumi from "@pulumi/pulumi";
import * as terms from "../../terms";
import { checkedArguments, derived } from "../../arguments";
import { generatedPassword } from "../../shared";

export interface CloudSqlArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region of the instance. */
  region: pulumi.Input<string>;
  /** Name of the instance; Google blocks a deleted one's for a week. */
  instanceName: pulumi.Input<string>;
  /** Network that the private address is in, `projects/PROJECT/global/networks/NAME`. */
  network: pulumi.Input<string>;
  /** Connect Google's services to the network. Default true; false where it has that connection. */
  createServiceConnection?: boolean;
  /**
   * Leave the range of that connection on destroy, because the network stays and with it the connection, which would lead
   * to addresses that others take. Default false.
   */
  keepRange?: boolean;
  /** Prefix length of the range that those services get when it is made, 16 to 24. Default 20. */
  rangePrefix?: pulumi.Input<number>;
  /** Let pods reach the database through a network that denies egress. Default true. */
  egressRule?: boolean;
  /** `POSTGRES_17`, for example. */
  version: pulumi.Input<string>;
  /** `ENTERPRISE` or `ENTERPRISE_PLUS`. From Postgres 16 on Google's own default is the dearer one. */
  edition: pulumi.Input<string>;
  /** Machine tier. */
  tier: pulumi.Input<string>;
  /** Flag max_connections. Default: the tier's. */
  maxConnections?: pulumi.Input<number>;
  /** Size of the disk at creation in GB. It grows by itself, and its size is not compared afterwards. */
  diskSizeGb: pulumi.Input<number>;
  /** `SSD` or `HDD`. */
  diskType: pulumi.Input<string>;
  /** `ZONAL` or `REGIONAL`. */
  availability: pulumi.Input<string>;
  /** Back up daily, with point-in-time recovery over seven days; backups outlive the instance. Default true. */
  backups?: boolean;
  /** Database to create. */
  database: pulumi.Input<string>;
  /** Administrator. */
  adminUser: pulumi.Input<string>;
  /** The administrator's password. Generated where unset. */
  adminPassword?: pulumi.Input<string>;
  /** Another number has another password generated. Default 1. */
  adminPasswordRevision?: number;
  /** Refuse to delete instance and database. Default true. */
  deletionProtection?: boolean;
}

/** Port at which an instance takes connections of the Auth Proxy. */
const PROXY_PORT = 3307;

const NAME = (what: string, example: string) => terms.required(terms.word(what, example));

const TERMS: terms.Terms<CloudSqlArgs> = {
  project: terms.PROJECT,
  region: terms.REGION,
  instanceName: NAME("a name", "noetl"),
  network: NAME("the id of a network", "projects/acme/global/networks/noetl"),
  createServiceConnection: terms.plain(terms.flag),
  keepRange: terms.plain(terms.flag),
  rangePrefix: terms.whole(16, 24, { allowed: "16 to 24", example: "20" }),
  egressRule: terms.plain(terms.flag),
  version: NAME("a version of Cloud SQL", "POSTGRES_17"),
  edition: terms.required(terms.choice("ENTERPRISE", "ENTERPRISE_PLUS")),
  tier: NAME("a machine tier", "db-custom-1-3840"),
  maxConnections: terms.whole(14, 262_143, { allowed: "14 to 262143", example: "100" }),
  diskSizeGb: terms.required(terms.whole(10, 65_536, { allowed: "whole GB, 10 to 65536", example: "20" })),
  diskType: terms.required(terms.choice("SSD", "HDD")),
  availability: terms.required(terms.choice("ZONAL", "REGIONAL")),
  backups: terms.plain(terms.flag),
  database: NAME("a name", "noetl"),
  adminUser: NAME("the name of a role", "postgres"),
  adminPassword: terms.word("a password", 'config.requireSecret("password")'),
  adminPasswordRevision: terms.plain(terms.revision),
  deletionProtection: terms.plain(terms.flag),
};

/**
 * A Cloud SQL instance with Postgres on a private address, which only the Auth Proxy can reach.
 *
 * The connection between network and Google's services is abandoned, not deleted, on destroy: Google refuses to delete
 * it for days after the instance is gone (docs/gke.md: Destroy).
 */
export class CloudSql extends pulumi.ComponentResource {
  /** `PROJECT:REGION:INSTANCE`, known once the database takes connections of its administrator. */
  readonly connectionName: pulumi.Output<string>;
  /** The administrator's password, a secret. */
  readonly adminPassword: pulumi.Output<string>;

  constructor(name: string, asked: CloudSqlArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:CloudSql", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const { project } = args;
    const protect = args.deletionProtection ?? true;
    const dependsOn =
      (args.createServiceConnection ?? true) ? [serviceConnection(name, args, { ...child, protect })] : [];
    const instance = new sql.DatabaseInstance(`${name}-instance`, instanceArgs(args, protect), {
      ...child,
      protect,
      dependsOn,
      ignoreChanges: ["settings.diskSize"],
    });
    const database = new sql.Database(
      `${name}-database`,
      { project, instance: instance.name, name: args.database, deletionPolicy: "ABANDON" },
      { ...child, protect },
    );
    this.adminPassword = pulumi.secret(
      args.adminPassword ?? generatedPassword(`${name}-admin-password`, child, args.adminPasswordRevision),
    );
    const admin = new sql.User(
      `${name}-admin`,
      {
        project,
        instance: instance.name,
        name: args.adminUser,
        password: this.adminPassword,
        // Postgres refuses to drop a role that owns something.
        deletionPolicy: "ABANDON",
      },
      // Cloud SQL takes one operation at a time.
      { ...child, dependsOn: [database] },
    );
    const reachable: pulumi.Output<string>[] = [admin.id];
    if (args.egressRule ?? true) {
      reachable.push(new compute.Firewall(`${name}-egress`, egressArgs(args, instance), child).id);
    }
    this.connectionName = pulumi
      .all([instance.connectionName, ...reachable])
      .apply(([connectionName]) => connectionName as string);
    this.registerOutputs({ connectionName: this.connectionName, adminPassword: this.adminPassword });
  }
}

/** Connects Google's services to the network, in a range of their own. */
function serviceConnection(
  name: string,
  args: CloudSqlArgs,
  opts: pulumi.CustomResourceOptions,
): servicenetworking.Connection {
  const range = new compute.GlobalAddress(
    `${name}-range`,
    {
      project: args.project,
      name: derived(args.instanceName, (instance) => `${instance.slice(0, 57)}-range`),
      purpose: "VPC_PEERING",
      addressType: "INTERNAL",
      prefixLength: args.rangePrefix ?? 20,
      network: args.network,
    },
    // A range that an instance stands in is never another one's.
    { ...opts, retainOnDelete: args.keepRange ?? false, ignoreChanges: ["prefixLength"] },
  );
  return new servicenetworking.Connection(
    `${name}-connection`,
    {
      network: args.network,
      service: "servicenetworking.googleapis.com",
      reservedPeeringRanges: [range.name],
      deletionPolicy: "ABANDON",
    },
    { parent: opts.parent },
  );
}

function instanceArgs(args: CloudSqlArgs, protect: boolean): sql.DatabaseInstanceArgs {
  const backups = args.backups ?? true;
  return {
    project: args.project,
    region: args.region,
    name: args.instanceName,
    databaseVersion: args.version,
    // The provider's own guard, and Cloud SQL's, which holds against the console too.
    deletionProtection: protect,
    settings: {
      deletionProtectionEnabled: protect,
      edition: args.edition,
      tier: args.tier,
      availabilityType: args.availability,
      diskSize: args.diskSizeGb,
      diskType: derived(args.diskType, (type) => `PD_${type}`),
      diskAutoresize: true,
      connectorEnforcement: "REQUIRED",
      ipConfiguration: { ipv4Enabled: false, privateNetwork: args.network, sslMode: "ENCRYPTED_ONLY" },
      backupConfiguration: backups
        ? {
            enabled: true,
            startTime: "03:00",
            pointInTimeRecoveryEnabled: true,
            transactionLogRetentionDays: 7,
            backupRetentionSettings: { retainedBackups: 7 },
          }
        : { enabled: false },
      retainBackupsOnDelete: backups || undefined,
      maintenanceWindow: { day: 7, hour: 4, updateTrack: "stable" },
      databaseFlags:
        args.maxConnections === undefined
          ? undefined
          : [{ name: "max_connections", value: derived(args.maxConnections, String) }],
    },
  };
}

/** Lets pods reach the instance through the Auth Proxy. */
const egressArgs = (
  { project, instanceName, network }: CloudSqlArgs,
  instance: sql.DatabaseInstance,
): compute.FirewallArgs => ({
  project,
  name: derived(instanceName, (known) => `${known.slice(0, 56)}-egress`),
  network,
  direction: "EGRESS",
  priority: 900,
  allows: [{ protocol: "tcp", ports: [String(PROXY_PORT)] }],
  destinationRanges: [pulumi.interpolate`${instance.privateIpAddress}/32`],
});
