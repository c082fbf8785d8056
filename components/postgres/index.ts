import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { size, sqlDatabase, sqlRole } from "../../contract/validate";
import { LOCATIONS, serviceHost } from "../../contract/facts";
import { DEFAULTS } from "../../contract/defaults";
import { generatedPassword, namespace, type Resources } from "../shared";
import { SECRET_KEYS, schemaJob, schemaScript, service, statefulSet } from "./manifests";

export interface PostgresArgs {
  /** Namespace, which the component creates, also for the schema's Job. Default `postgres`. */
  namespace?: string;
  /** An existing server; where it is set, none is installed. */
  external?: { host: pulumi.Input<string>; port?: number };
  /** Image of the server. Default `postgres:17.4`. */
  image?: string;
  /** Size of the volume, a Kubernetes quantity. Default `10Gi`. */
  storageSize?: string;
  /** StorageClass of the volume. Default: the cluster's. */
  storageClass?: string;
  /** NodePort, 30000 to 32767. Default: none. */
  nodePort?: number;
  /** Administrator. Default `postgres`. */
  adminUser?: string;
  /** The administrator's password. Generated where unset, which an external server cannot do. */
  adminPassword?: pulumi.Input<string>;
  /** NoETL's database. Default `noetl`. */
  database?: string;
  /** NoETL's role. Default `noetl`. */
  noetlUser?: string;
  /** Its password. Generated where unset; a changed one is set in the database by the schema's Job. */
  noetlPassword?: pulumi.Input<string>;
  /** NoETL's image, whose packaged DDL is loaded. Default: the version this package was tested with. */
  noetlImage?: string;
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
 * @throws pulumi.ResourceError for a size or name that Kubernetes or Postgres would refuse, and for an external server
 *   without the administrator's password.
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
    const storageSize = args.storageSize ?? DEFAULTS.postgresStorageSize;
    const adminUser = args.adminUser ?? DEFAULTS.postgresUser;
    const database = args.database ?? DEFAULTS.noetlDatabase;
    const noetlUser = args.noetlUser ?? DEFAULTS.noetlDatabaseUser;
    const problems = Object.entries({
      storageSize: size("1Mi", "64Ti")(storageSize),
      adminUser: sqlRole(adminUser),
      database: sqlDatabase(database),
      noetlUser:
        sqlRole(noetlUser) ??
        (noetlUser === adminUser ? "the administrator: NoETL needs a role of its own" : undefined),
      adminPassword: args.external && args.adminPassword === undefined ? "needed for an external server" : undefined,
    }).flatMap(([argument, problem]) => (problem ? [`${argument} is ${problem}`] : []));
    if (problems.length > 0) throw new pulumi.ResourceError(problems.join("; "), this);

    const child = { parent: this };
    const timeout = `${args.timeoutSeconds ?? 300}s`;
    const patient = { ...child, customTimeouts: { create: timeout, update: timeout } };
    const adminPassword = pulumi.secret(args.adminPassword ?? generatedPassword(`${name}-admin-password`, child));
    const noetlPassword = pulumi.secret(args.noetlPassword ?? generatedPassword(`${name}-noetl-password`, child));
    const place = namespace(
      `${name}-namespace`,
      { name: args.namespace ?? LOCATIONS.postgres.namespace, podSecurity: "restricted" },
      { ...child, protect: args.protect },
    ).metadata.name;

    const credentials = new k8s.core.v1.Secret(
      `${name}-auth`,
      {
        metadata: { namespace: place },
        stringData: { [SECRET_KEYS.admin]: adminPassword, [SECRET_KEYS.noetl]: noetlPassword },
      },
      child,
    );
    const secretName = credentials.metadata.name;

    const server = args.external
      ? { host: pulumi.output(args.external.host), port: args.external.port ?? 5432, identity: args.external.host }
      : this.install(name, { ...args, storageSize, adminUser }, place, secretName, patient);

    const script = new k8s.core.v1.ConfigMap(
      `${name}-schema-script`,
      { metadata: { namespace: place }, data: { "load_schema.py": schemaScript() } },
      child,
    );
    const loaded = new k8s.batch.v1.Job(
      `${name}-schema`,
      schemaJob({
        namespace: place,
        image: args.noetlImage ?? DEFAULTS.noetlImage,
        scriptConfigMap: script.metadata.name,
        secretName,
        host: server.host,
        port: server.port,
        adminUser,
        database,
        noetlUser,
        databaseIdentity: server.identity,
        ...(args.schemaResources ? { resources: args.schemaResources } : {}),
      }),
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

  private install(
    name: string,
    args: PostgresArgs & { storageSize: string; adminUser: string },
    place: pulumi.Output<string>,
    secretName: pulumi.Output<string>,
    patient: pulumi.CustomResourceOptions,
  ) {
    const set = new k8s.apps.v1.StatefulSet(
      `${name}-server`,
      statefulSet({
        namespace: place,
        image: args.image ?? DEFAULTS.postgresImage,
        adminUser: args.adminUser,
        secretName,
        storageSize: args.storageSize,
        ...(args.storageClass ? { storageClass: args.storageClass } : {}),
        ...(args.resources ? { resources: args.resources } : {}),
      }),
      { ...patient, protect: args.protect },
    );
    const endpoint = new k8s.core.v1.Service(
      `${name}-service`,
      service({ namespace: place, ...(args.nodePort === undefined ? {} : { nodePort: args.nodePort }) }),
      patient,
    );
    return {
      host: pulumi
        .all([endpoint.metadata.name, endpoint.metadata.namespace, set.status])
        .apply(([serviceName, namespace]) => serviceHost(serviceName, namespace)),
      port: LOCATIONS.postgres.port as number,
      identity: set.metadata.uid,
    };
  }
}
