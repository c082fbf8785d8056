import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Check, kubernetesName, size, sqlDatabase, sqlRole } from "../../contract/validate";
import { LOCATIONS, serviceHost } from "../../contract/facts";
import { DEFAULTS } from "../../contract/defaults";
import type { NamespacePolicy } from "../network-policies/manifests";
import { generatedPassword, namespace, type Resources } from "../shared";
import { ArgumentChecks, derived, together } from "../arguments";
import {
  SECRET_KEYS,
  schemaJob,
  type SchemaJobArgs,
  schemaScript,
  service,
  statefulSet,
  type StatefulSetArgs,
} from "./manifests";

export interface PostgresArgs {
  /** Namespace, which the component creates, also for the schema's Job. Default `postgres`. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of that namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /** An existing server; where it is set, none is installed. */
  external?: { host: pulumi.Input<string>; port?: pulumi.Input<number> };
  /** Image of the server. Default `postgres:17.4`. */
  image?: pulumi.Input<string>;
  /** Size of the volume, a Kubernetes quantity. Default `10Gi`. */
  storageSize?: pulumi.Input<string>;
  /** StorageClass of the volume. Default: the cluster's. */
  storageClass?: pulumi.Input<string>;
  /** NodePort, 30000 to 32767. Default: none. */
  nodePort?: pulumi.Input<number>;
  /** Administrator. Default `postgres`. */
  adminUser?: pulumi.Input<string>;
  /** The administrator's password. Generated where unset, which an external server cannot do. */
  adminPassword?: pulumi.Input<string>;
  /** NoETL's database. Default `noetl`. */
  database?: pulumi.Input<string>;
  /** NoETL's role. Default `noetl`. */
  noetlUser?: pulumi.Input<string>;
  /** Its password. Generated where unset; a changed one is set in the database by the schema's Job. */
  noetlPassword?: pulumi.Input<string>;
  /** NoETL's image, whose packaged DDL is loaded. Default: the version this package was tested with. */
  noetlImage?: pulumi.Input<string>;
  /** Resources of the server's container. Default: 100m CPU and 256Mi, at most 1Gi. */
  resources?: Resources;
  /** Resources of the Job that loads the schema. Default: 50m CPU and 128Mi, at most 512Mi. */
  schemaResources?: Resources;
  /** Keep namespace and server, and with them the volume, from deletion (Pulumi's `protect`). Default false. */
  protect?: boolean;
  /** How long the engine waits for the server, and for the schema's Job, in seconds. Default 300. */
  timeoutSeconds?: number;
}

/**
 * NoETL's database: a Postgres server in the cluster or an external one, with NoETL's role, database and schema.
 *
 * The outputs resolve only after the schema is loaded, so whatever uses them starts on a ready database. A failed load
 * stops the update with the end of the Job's log; the next update runs the Job again.
 *
 * @throws pulumi.ResourceError for a size or name that Kubernetes or Postgres would refuse, of an output when it is known, and
 *   for an external server without the administrator's password.
 */
export class Postgres extends pulumi.ComponentResource {
  /** Host name as pods reach it. */
  readonly host: pulumi.Output<string>;
  /** Port. */
  readonly port: pulumi.Output<number>;
  /** NoETL's database. */
  readonly database: pulumi.Output<string>;
  /** NoETL's role. */
  readonly noetlUser: pulumi.Output<string>;
  /** Its password, a secret. */
  readonly noetlPassword: pulumi.Output<string>;
  /** The administrator's password, a secret. */
  readonly adminPassword: pulumi.Output<string>;

  constructor(name: string, args: PostgresArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Postgres", name, {}, opts);
    const checked = this.checked(args);
    const { adminUser, database, noetlUser } = checked;

    const child = { parent: this };
    const timeout = `${args.timeoutSeconds ?? 300}s`;
    const patient = { ...child, customTimeouts: { create: timeout, update: timeout } };
    const adminPassword = pulumi.secret(args.adminPassword ?? generatedPassword(`${name}-admin-password`, child));
    const noetlPassword = pulumi.secret(args.noetlPassword ?? generatedPassword(`${name}-noetl-password`, child));
    const place = namespace(
      `${name}-namespace`,
      { name: checked.place, podSecurity: "restricted", policies: args.networkPolicies },
      { ...child, protect: args.protect },
    );

    const credentials = new k8s.core.v1.Secret(
      `${name}-auth`,
      {
        metadata: { namespace: place },
        stringData: { [SECRET_KEYS.admin]: adminPassword, [SECRET_KEYS.noetl]: noetlPassword },
      },
      child,
    );
    const secretName = credentials.metadata.name;

    const { external } = args;
    const server = external
      ? { host: pulumi.output(external.host), port: external.port ?? 5432, identity: external.host }
      : install(name, { ...args, ...checked, namespace: place, secretName }, patient);
    const loaded = loadSchema(
      name,
      {
        namespace: place,
        image: args.noetlImage ?? DEFAULTS.noetlImage,
        secretName,
        host: server.host,
        port: server.port,
        adminUser,
        database,
        noetlUser,
        databaseIdentity: server.identity,
        resources: args.schemaResources,
      },
      patient,
    );

    this.host = pulumi.all([server.host, loaded.status]).apply(([host]) => host);
    this.port = pulumi.output(server.port);
    this.database = pulumi.output(database);
    this.noetlUser = pulumi.output(noetlUser);
    this.noetlPassword = noetlPassword;
    this.adminPassword = adminPassword;
    this.registerOutputs({
      host: this.host,
      port: this.port,
      database: this.database,
      noetlUser: this.noetlUser,
      noetlPassword: this.noetlPassword,
      adminPassword: this.adminPassword,
    });
  }

  /** The arguments that have to be right, with their defaults. */
  private checked(args: PostgresArgs) {
    const checks = new ArgumentChecks(this);
    const adminUser = args.adminUser ?? DEFAULTS.postgresUser;
    const noetlUser = args.noetlUser ?? DEFAULTS.noetlDatabaseUser;
    const result = {
      place: checks.checked("namespace", args.namespace ?? LOCATIONS.postgres.namespace, kubernetesName),
      storageSize: checks.checked("storageSize", args.storageSize ?? DEFAULTS.postgresStorageSize, size("1Mi", "64Ti")),
      adminUser: checks.checked("adminUser", adminUser, sqlRole),
      database: checks.checked("database", args.database ?? DEFAULTS.noetlDatabase, sqlDatabase),
      noetlUser: derived(
        checks.checked("noetlUser", together({ noetlUser, adminUser }), noetlRole),
        (known) => known.noetlUser,
      ),
    };
    const lacksPassword = args.external !== undefined && args.adminPassword === undefined;
    checks.problem("adminPassword", lacksPassword ? "needed for an external server" : undefined);
    checks.done();
    return result;
  }
}

const noetlRole: Check<{ noetlUser: string; adminUser: string }> = ({ noetlUser, adminUser }) =>
  sqlRole(noetlUser) ?? (noetlUser === adminUser ? "the administrator: NoETL needs a role of its own" : undefined);

/** The server, with its Service. */
function install(
  name: string,
  args: PostgresArgs & Omit<StatefulSetArgs, "image">,
  opts: pulumi.CustomResourceOptions,
) {
  const set = new k8s.apps.v1.StatefulSet(
    `${name}-server`,
    statefulSet({ ...args, image: args.image ?? DEFAULTS.postgresImage }),
    { ...opts, protect: args.protect },
  );
  const endpoint = new k8s.core.v1.Service(`${name}-service`, service(args), opts);
  return {
    host: pulumi
      .all([endpoint.metadata.name, endpoint.metadata.namespace, set.status])
      .apply(([serviceName, namespace]) => serviceHost(serviceName, namespace)),
    port: LOCATIONS.postgres.port as number,
    identity: set.metadata.uid,
  };
}

/** The Job that loads the schema, with its script. */
function loadSchema(
  name: string,
  args: Omit<SchemaJobArgs, "scriptConfigMap">,
  opts: pulumi.CustomResourceOptions,
): k8s.batch.v1.Job {
  const script = new k8s.core.v1.ConfigMap(
    `${name}-schema-script`,
    { metadata: { namespace: args.namespace }, data: { "load_schema.py": schemaScript() } },
    { parent: opts.parent },
  );
  return new k8s.batch.v1.Job(`${name}-schema`, schemaJob({ ...args, scriptConfigMap: script.metadata.name }), opts);
}
