import * as projects from "@pulumi/gcp/projects";
import * as serviceaccount from "@pulumi/gcp/serviceaccount";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { sqlDatabase, sqlRole } from "../../../contract/validate";
import { serviceHost } from "../../../contract/facts";
import { checkedArguments, derived, together } from "../../arguments";
import * as terms from "../../terms";
import { namespace, type Resources } from "../../shared";
import type { NamespacePolicy } from "../../network-policies/manifests";
import { accountId } from "../names";
import { PROJECT_ROLES } from "../roles";
import { deployment, disruptionBudget, pgbouncerIni, POOLER, type PoolSizes, service, userList } from "./manifests";

export interface CloudSqlPoolerArgs extends PoolSizes {
  /** NetworkPolicies of the pooler's namespace, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Pool of the cluster's workload identities, `PROJECT.svc.id.goog`. */
  workloadPool: pulumi.Input<string>;
  /** `PROJECT:REGION:INSTANCE`. */
  connectionName: pulumi.Input<string>;
  /** Name of the instance; the proxy's service account is named after it. */
  instanceName: pulumi.Input<string>;
  /** NoETL's database. */
  database: pulumi.Input<string>;
  /** What NoETL logs in with, which the schema's Job creates, and its password. */
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
  /** Logins of NoETL's of before, which the database may still let in. Default: none. */
  formerLogins?: pulumi.Input<readonly { user: string; password: string }[]>;
  /** The administrator and its password. */
  adminUser: pulumi.Input<string>;
  adminPassword: pulumi.Input<string>;
  /** Pods. Each opens at most `maxDbConnections` and one for administration. */
  replicas: number;
  pgbouncerImage: pulumi.Input<string>;
  proxyImage: pulumi.Input<string>;
  /** Resources of PgBouncer's container and of the proxy's. Default: none. */
  resources?: Resources;
  proxyResources?: Resources;
}

const TEXT = (what: string, example: string) => terms.required(terms.word(what, example));
const ROLE = (example: string) =>
  terms.required(terms.text({ allowed: "lower-case letters, digits and _", example, check: sqlRole }));
const COUNT = (example: number, least = 1) =>
  terms.required(
    terms.plain(terms.whole(least, 100_000, { allowed: `a whole number, ${least} or more`, example: String(example) })),
  );

const TERMS: terms.Terms<CloudSqlPoolerArgs> = {
  networkPolicies: terms.POLICIES,
  project: terms.PROJECT,
  workloadPool: TEXT("a pool of workload identities", "acme.svc.id.goog"),
  connectionName: TEXT("PROJECT:REGION:INSTANCE", "acme:europe-west1:noetl"),
  instanceName: TEXT("the name of an instance", "noetl"),
  database: terms.required(
    terms.text({
      allowed: "lower-case letters, digits and _, and not a template",
      example: "noetl",
      check: sqlDatabase,
    }),
  ),
  user: ROLE("noetl"),
  password: TEXT("a password", 'config.requireSecret("password")'),
  formerLogins: terms.orOutput(
    terms.list(terms.anyObject("a login", "{ user, password }"), { allowed: "a list of logins", example: "[]" }),
  ),
  adminUser: ROLE("postgres"),
  adminPassword: TEXT("a password", 'config.requireSecret("password")'),
  replicas: COUNT(2),
  pgbouncerImage: terms.required(terms.imageOf("edoburu/pgbouncer:v1.24.1-p1")),
  proxyImage: terms.required(terms.imageOf("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.2")),
  resources: terms.RESOURCES,
  proxyResources: terms.RESOURCES,
  maxClientConnections: COUNT(1000),
  poolSize: COUNT(20),
  minPoolSize: COUNT(0, 0),
  reservePoolSize: COUNT(5, 0),
  maxDbConnections: COUNT(40),
};

/**
 * The way from pods to a Cloud SQL instance: PgBouncer, which shares few connections among many clients, and the Auth
 * Proxy, which encrypts them and logs in by Workload Identity. No key file exists.
 *
 * @throws pulumi.ResourceError for a name that Postgres would want quoted.
 */
export class CloudSqlPooler extends pulumi.ComponentResource {
  /** Host name as pods reach it, known once it takes connections. */
  readonly host: pulumi.Output<string>;
  /** Port. */
  readonly port: number = POOLER.port;

  constructor(name: string, asked: CloudSqlPoolerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:CloudSqlPooler", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const { email, grants } = proxyAccount(name, args, child);
    const place = namespace(
      `${name}-namespace`,
      { name: POOLER.namespace, podSecurity: "restricted", policies: args.networkPolicies },
      child,
    );
    const identity = new k8s.core.v1.ServiceAccount(
      `${name}-service-account`,
      {
        metadata: {
          name: POOLER.serviceAccount,
          namespace: place,
          annotations: { "iam.gke.io/gcp-service-account": email },
        },
      },
      child,
    );
    // Both are named by the engine, so that a change gives them new names and thereby rolls the pods.
    const users = new k8s.core.v1.Secret(
      `${name}-users`,
      { metadata: { namespace: place }, stringData: { "userlist.txt": usersFile(args) } },
      child,
    );
    const { database, user, adminUser } = args;
    const ini = derived(together({ database, user, adminUser }), (known) => pgbouncerIni({ ...args, ...known }));
    const config = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      { metadata: { namespace: place }, data: { "pgbouncer.ini": ini } },
      child,
    );
    const pods = new k8s.apps.v1.Deployment(
      `${name}-pods`,
      deployment({
        namespace: place,
        replicas: args.replicas,
        pgbouncerImage: args.pgbouncerImage,
        proxyImage: args.proxyImage,
        connectionName: args.connectionName,
        configMap: config.metadata.name,
        usersSecret: users.metadata.name,
        resources: args.resources,
        proxyResources: args.proxyResources,
      }),
      // The proxy can log in only once all three exist.
      { ...child, dependsOn: [identity, ...grants] },
    );
    const endpoint = new k8s.core.v1.Service(`${name}-service`, service(place), child);
    if (args.replicas > 1) new k8s.policy.v1.PodDisruptionBudget(`${name}-budget`, disruptionBudget(place), child);
    this.host = pulumi
      .all([endpoint.metadata.name, endpoint.metadata.namespace, pods.status])
      .apply(([serviceName, namespace]) => serviceHost(serviceName, namespace));
    this.registerOutputs({ host: this.host, port: this.port });
  }
}

/** The proxy's account at Google, which may connect to this instance and which the pods' service account may act as. */
function proxyAccount(
  name: string,
  { project, instanceName, workloadPool }: CloudSqlPoolerArgs,
  opts: pulumi.CustomResourceOptions,
): { email: pulumi.Output<string>; grants: pulumi.Resource[] } {
  const account = new serviceaccount.Account(
    `${name}-account`,
    {
      project,
      accountId: derived(instanceName, (known) => accountId(known, "proxy")),
      displayName: derived(instanceName, (known) => `Auth Proxy of ${known}`),
    },
    opts,
  );
  const mayConnect = new projects.IAMMember(
    `${name}-client`,
    {
      project,
      role: PROJECT_ROLES.proxy,
      member: account.member,
      // This instance and no other of the project.
      condition: {
        title: derived(instanceName, (known) => `only ${known}`),
        expression: pulumi.interpolate`resource.service == "sqladmin.googleapis.com" && resource.name == "projects/${project}/instances/${instanceName}"`,
      },
    },
    opts,
  );
  const mayImpersonate = new serviceaccount.IAMMember(
    `${name}-identity`,
    {
      serviceAccountId: account.name,
      role: "roles/iam.workloadIdentityUser",
      member: pulumi.interpolate`serviceAccount:${workloadPool}[${POOLER.namespace}/${POOLER.serviceAccount}]`,
    },
    opts,
  );
  return { email: account.email, grants: [mayConnect, mayImpersonate] };
}

const usersFile = (args: CloudSqlPoolerArgs): pulumi.Output<string> =>
  pulumi.secret(
    pulumi
      .all([args.user, args.password, args.adminUser, args.adminPassword, args.formerLogins ?? []] as const)
      .apply(([name, own, adminName, admin, former]) =>
        userList({
          ...Object.fromEntries(former.map((login) => [login.user, login.password])),
          [name]: own,
          [adminName]: admin,
        }),
      ),
  );
