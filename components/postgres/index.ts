import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Check, sqlDatabase, sqlRole } from "../../contract/validate";
import { LOCATIONS, serviceHost } from "../../contract/facts";
import { DEFAULTS } from "../../contract/defaults";
import type { NamespacePolicy } from "../network-policies/manifests";
import { generatedPassword, namespace, type Resources } from "../shared";
import { ArgumentChecks, derived, together } from "../arguments";
import * as terms from "../terms";
import { DatabaseLogin } from "./login/resource";
import {
  retireJob,
  schemaJob,
  type SchemaJobArgs,
  scripts,
  SECRET_KEYS,
  SERVER_SECRET,
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
  /**
   * The administrator's password. Generated where unset, which an external server cannot do. A changed one is set in a server in
   * the cluster by the schema's Job.
   */
  adminPassword?: pulumi.Input<string>;
  /** Another number has another password generated. Default 1. */
  adminPasswordRevision?: pulumi.Input<number>;
  /** NoETL's database. Default `noetl`. */
  database?: pulumi.Input<string>;
  /** NoETL's role. Default `noetl`. */
  noetlUser?: pulumi.Input<string>;
  /** Its password. Generated where unset; a changed one is set in the database by the schema's Job. */
  noetlPassword?: pulumi.Input<string>;
  /** Another number has another password generated. Default 1. */
  noetlPasswordRevision?: pulumi.Input<number>;
  /**
   * Give each password of NoETL's role a login of its own, so that old and new one are valid until
   * {@link Postgres.retireOldLogins}, which must be called then; or the login, where it is made elsewhere. Default false: pods of
   * NoETL that have not moved to a changed password cannot open a connection from then on.
   */
  loginPerPassword?: boolean | DatabaseLogin;
  /** NoETL's image, whose packaged DDL is loaded. Default: the version this package was tested with. */
  noetlImage?: pulumi.Input<string>;
  /** Resources of the server's container. Default: 100m CPU and 256Mi, at most 1Gi. */
  resources?: Resources;
  /** Resources of the Job that loads the schema. Default: 50m CPU and 128Mi, at most 512Mi. */
  schemaResources?: Resources;
  /** Whether the Jobs, which run NoETL's image, can write to nothing but their `/tmp`. Default true. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
  /** Keep namespace and server, and with them the volume, from deletion (Pulumi's `protect`). Default false. */
  protect?: boolean;
  /** How long the engine waits for the server, and for the schema's Job, in seconds. Default 300. */
  timeoutSeconds?: number;
}

const ROLE = (example: string) =>
  terms.text({ allowed: "lower-case letters, digits and _, none of Postgres' own names", example, check: sqlRole });
const PASSWORD = terms.word("a password", 'config.requireSecret("password")');

/** Longest time of the Job that refuses old logins, in seconds: it waits for the database, and for sessions (retire_logins.py). */
const RETIRE_SECONDS = 320;

/** What each argument may be. */
const TERMS: terms.Terms<PostgresArgs> = {
  namespace: terms.namespaceOf(LOCATIONS.postgres.namespace),
  networkPolicies: terms.POLICIES,
  external: terms.object<NonNullable<PostgresArgs["external"]>>(
    { host: terms.required(terms.hostOf("db.example.org")), port: terms.port(5432) },
    '{ host: "db.example.org" }',
  ),
  image: terms.imageOf(DEFAULTS.postgresImage),
  storageSize: terms.sizeOf("1Mi", "64Ti", DEFAULTS.postgresStorageSize),
  storageClass: terms.STORAGE_CLASS,
  nodePort: terms.nodePort(30543),
  adminUser: ROLE(DEFAULTS.postgresUser),
  adminPassword: PASSWORD,
  adminPasswordRevision: terms.revision,
  database: terms.text({
    allowed: "lower-case letters, digits and _, and not a template",
    example: DEFAULTS.noetlDatabase,
    check: sqlDatabase,
  }),
  noetlUser: ROLE(DEFAULTS.noetlDatabaseUser),
  noetlPassword: PASSWORD,
  noetlPasswordRevision: terms.revision,
  loginPerPassword: terms.either(terms.flag, terms.anyObject("a DatabaseLogin", "true")),
  noetlImage: terms.imageOf(DEFAULTS.noetlImage),
  resources: terms.RESOURCES,
  schemaResources: terms.RESOURCES,
  readOnlyRootFilesystem: terms.flag,
  protect: terms.plain(terms.flag),
  timeoutSeconds: terms.plain(terms.seconds(900)),
};

/**
 * NoETL's database: a Postgres server in the cluster or an external one, with NoETL's role, database and schema.
 *
 * The outputs resolve only after the schema is loaded, so whatever uses them starts on a ready database. A failed load
 * stops the update with the end of the Job's log; the next update runs the Job again.
 *
 * @throws pulumi.ResourceError for a size, NodePort or name that Kubernetes or Postgres would refuse, of an output when it is known, and
 *   for an external server without the administrator's password.
 */
export class Postgres extends pulumi.ComponentResource {
  /** Host name as pods reach it. */
  readonly host: pulumi.Output<string>;
  /** Port. */
  readonly port: pulumi.Output<number>;
  /** NoETL's database. */
  readonly database: pulumi.Output<string>;
  /** What NoETL logs in with: its role, or the newest login of it. */
  readonly noetlUser: pulumi.Output<string>;
  /** Its password, a secret. */
  readonly noetlPassword: pulumi.Output<string>;
  /** The administrator's password, a secret. */
  readonly adminPassword: pulumi.Output<string>;
  private readonly retire: (after: readonly pulumi.Resource[]) => void;

  constructor(name: string, asked?: PostgresArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:Postgres", name, {}, opts);
    const { args, ...checked } = this.checked(asked);
    const { adminUser, database, noetlUser } = checked;

    const child = { parent: this };
    const timeout = `${args.timeoutSeconds ?? 300}s`;
    const patient = { ...child, customTimeouts: { create: timeout, update: timeout } };
    const { adminPassword, noetlPassword } = this.passwords(name, args);
    const place = namespace(
      `${name}-namespace`,
      { name: checked.place, podSecurity: "restricted", policies: args.networkPolicies },
      { ...child, protect: args.protect },
    );
    const { external } = args;
    const login = this.login(name, args.loginPerPassword, { user: noetlUser, password: noetlPassword });
    const passwords = { namespace: place, adminUser, adminPassword, noetlPassword, inCluster: external === undefined };
    const { secretName, forServer } = this.credentials(name, passwords);
    const server = external
      ? { host: pulumi.output(external.host), port: external.port ?? 5432, identity: external.host }
      : install(name, { ...args, ...checked, namespace: place }, { ...patient, dependsOn: forServer });
    const job = withScripts(name, child, {
      namespace: place,
      image: checked.noetlImage,
      secretName,
      host: server.host,
      port: server.port,
      adminUser,
      database,
      noetlUser: login?.user ?? noetlUser,
      noetlRole: login ? noetlUser : undefined,
      setsAdminPassword: external === undefined,
      databaseIdentity: server.identity,
      resources: args.schemaResources,
      readOnlyRootFilesystem: args.readOnlyRootFilesystem,
    });
    const loaded = new k8s.batch.v1.Job(`${name}-schema`, schemaJob(job), patient);
    this.retire = (after) => {
      if (login === undefined) return;
      // Not a child: whoever depends on this component would wait for it, and it waits for them.
      const opts = { provider: this.getProvider("kubernetes:batch/v1:Job"), dependsOn: [loaded, ...after] };
      const seconds = `${Math.max(args.timeoutSeconds ?? 300, RETIRE_SECONDS)}s`;
      const customTimeouts = { create: seconds, update: seconds };
      new k8s.batch.v1.Job(`${name}-logins`, retireJob(job), { customTimeouts, ...opts });
    };

    this.host = pulumi.all([server.host, loaded.status]).apply(([host]) => host);
    this.port = pulumi.output(server.port);
    this.database = pulumi.output(database);
    this.noetlUser = pulumi.output(login?.user ?? noetlUser);
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

  /**
   * Refuses the old logins of NoETL's role once everything that logs in has moved to the new one. Without `loginPerPassword` there
   * is none.
   *
   * @param after Everything that logs in: releases, and checks that must have succeeded.
   */
  retireOldLogins(after: readonly pulumi.Resource[]): void {
    this.retire(after);
  }

  private passwords(name: string, args: PostgresArgs) {
    const given = (password: pulumi.Input<string> | undefined, part: string, revision?: pulumi.Input<number>) =>
      pulumi.secret(password ?? generatedPassword(`${name}-${part}-password`, { parent: this }, revision));
    return {
      adminPassword: given(args.adminPassword, "admin", args.adminPasswordRevision),
      noetlPassword: given(args.noetlPassword, "noetl", args.noetlPasswordRevision),
    };
  }

  private login(
    name: string,
    asked: PostgresArgs["loginPerPassword"],
    role: { user: pulumi.Input<string>; password: pulumi.Input<string> },
  ): DatabaseLogin | undefined {
    if (typeof asked === "object") return asked;
    return asked ? new DatabaseLogin(`${name}-noetl-login`, role, { parent: this }) : undefined;
  }

  /** The Secret of the Jobs, which has another name for other content, and that of a server in the cluster, which keeps its. */
  private credentials(name: string, args: CredentialsArgs) {
    const { namespace, adminPassword, inCluster } = args;
    const child = { parent: this };
    const stringData: Record<string, pulumi.Input<string>> = {
      [SECRET_KEYS.admin]: adminPassword,
      [SECRET_KEYS.noetl]: args.noetlPassword,
      ...(inCluster ? { [SECRET_KEYS.former]: this.formerPasswords(name, args) } : {}),
    };
    const forJobs = new k8s.core.v1.Secret(`${name}-auth`, { metadata: { namespace }, stringData }, child);
    const forServer = inCluster
      ? new k8s.core.v1.Secret(
          `${name}-admin`,
          { metadata: { name: SERVER_SECRET, namespace }, stringData: { [SECRET_KEYS.admin]: adminPassword } },
          child,
        )
      : undefined;
    return { secretName: forJobs.metadata.name, forServer };
  }

  /** What the administrator's password was before, as `load_schema.py` takes it. */
  private formerPasswords(name: string, { adminUser: user, adminPassword: password }: CredentialsArgs) {
    const { former } = new DatabaseLogin(`${name}-admin-login`, { user, password }, { parent: this });
    return former.apply((logins) => JSON.stringify(logins.map((login) => login.password)));
  }

  /** The arguments as they are to be used, with defaults. */
  private checked(asked: PostgresArgs | undefined) {
    const checks = new ArgumentChecks(this);
    const args = checks.all(asked, TERMS);
    const adminUser = args.adminUser ?? DEFAULTS.postgresUser;
    const noetlUser = args.noetlUser ?? DEFAULTS.noetlDatabaseUser;
    const roles = checks.checked("noetlUser", together({ noetlUser, adminUser }), ownRole);
    const lacksPassword = args.external !== undefined && args.adminPassword === undefined;
    checks.problem(
      "adminPassword",
      lacksPassword
        ? `missing for an external server; allowed: ${PASSWORD.allowed}; for example ${PASSWORD.example}`
        : undefined,
    );
    checks.done();
    return {
      args,
      place: args.namespace ?? LOCATIONS.postgres.namespace,
      image: args.image ?? DEFAULTS.postgresImage,
      noetlImage: args.noetlImage ?? DEFAULTS.noetlImage,
      nodePort: args.nodePort,
      storageSize: args.storageSize ?? DEFAULTS.postgresStorageSize,
      adminUser,
      database: args.database ?? DEFAULTS.noetlDatabase,
      noetlUser: derived(roles, (known) => known.noetlUser),
    };
  }
}

interface CredentialsArgs {
  namespace: pulumi.Input<string>;
  adminUser: pulumi.Input<string>;
  adminPassword: pulumi.Input<string>;
  noetlPassword: pulumi.Input<string>;
  inCluster: boolean;
}

const ownRole: Check<{ noetlUser: string; adminUser: string }> = ({ noetlUser, adminUser }) =>
  noetlUser === adminUser
    ? `the administrator: NoETL needs a role of its own; allowed: another name; for example ${["noetl", "noetl_app"].find((each) => each !== adminUser)}`
    : undefined;

/** The server, with its Service. */
function install(
  name: string,
  args: Pick<PostgresArgs, "nodePort" | "protect"> & Omit<StatefulSetArgs, "secretName">,
  opts: pulumi.CustomResourceOptions,
) {
  const set = new k8s.apps.v1.StatefulSet(`${name}-server`, statefulSet({ ...args, secretName: SERVER_SECRET }), {
    ...opts,
    protect: args.protect,
  });
  const endpoint = new k8s.core.v1.Service(`${name}-service`, service(args), opts);
  return {
    host: pulumi
      .all([endpoint.metadata.name, endpoint.metadata.namespace, set.status])
      .apply(([serviceName, namespace]) => serviceHost(serviceName, namespace)),
    port: LOCATIONS.postgres.port as number,
    identity: set.metadata.uid,
  };
}

/** What the Jobs in the database have in common, with the ConfigMap of their scripts. */
function withScripts(
  name: string,
  opts: pulumi.CustomResourceOptions,
  args: Omit<SchemaJobArgs, "scriptConfigMap">,
): SchemaJobArgs {
  const config = { metadata: { namespace: args.namespace }, data: scripts() };
  const script = new k8s.core.v1.ConfigMap(`${name}-schema-script`, config, opts);
  return { ...args, scriptConfigMap: script.metadata.name };
}
