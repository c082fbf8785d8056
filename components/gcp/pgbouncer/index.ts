import * as projects from "@pulumi/gcp/projects";
import * as serviceaccount from "@pulumi/gcp/serviceaccount";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { sqlDatabase, sqlRole } from "../../../contract/validate";
import { serviceHost } from "../../../contract/facts";
import { ArgumentChecks, derived, together } from "../../arguments";
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

  constructor(name: string, args: CloudSqlPoolerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:CloudSqlPooler", name, {}, opts);
    const roles = this.checked(args);
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
      { metadata: { namespace: place }, stringData: { "userlist.txt": usersFile({ ...args, ...roles }) } },
      child,
    );
    const ini = derived(together(roles), (known) => pgbouncerIni({ ...args, ...known }));
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

  /** The arguments that have to be right. */
  private checked({ database, user, adminUser }: CloudSqlPoolerArgs) {
    const checks = new ArgumentChecks(this);
    const result = {
      database: checks.checked("database", database, sqlDatabase),
      user: checks.checked("user", user, sqlRole),
      adminUser: checks.checked("adminUser", adminUser, sqlRole),
    };
    checks.done();
    return result;
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
