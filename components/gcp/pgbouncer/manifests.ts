import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { LOCATIONS } from "../../../contract/facts";
import { NOETL_SCHEMA } from "../../postgres/manifests";
import { confined, zoneSpread, type Resources } from "../../shared";
import { ADMIN_CONNECTIONS } from "../../../contract/defaults";

/** Where the pooler is: namespace, Service, ServiceAccount, ports. */
export const POOLER = { ...LOCATIONS.pgbouncer, proxyPort: 6432, healthPort: 9801 } as const;

const LABELS = { app: "pgbouncer", "app.kubernetes.io/name": "pgbouncer" };
/** User `postgres` of the image edoburu/pgbouncer. */
const PGBOUNCER_UID = 70;
/** User `nonroot` of the proxy's image. */
const PROXY_UID = 65532;
const CONFIG_DIR = "/etc/pgbouncer";
const USERS_DIR = "/etc/pgbouncer-users";

const GRACE_SECONDS = 30;
/**
 * How a pod leaves. SIGTERM, which Kubernetes sends, waits for clients to disconnect (1.23 and newer); NoETL's pools never do, and
 * the kill at the end of the grace period would hit their transactions. SIGINT waits for transactions alone. Before
 * it the Service gets time to lead new clients elsewhere; after it the hook lasts as long as the process, since a second
 * signal would end it at once.
 */
const LEAVE = `sleep 3; kill -INT 1; sleep ${GRACE_SECONDS - 5}`;

export interface PoolSizes {
  /** Clients of a pod at most. */
  maxClientConnections: number;
  /** Server connections per user, and how many are kept open. */
  poolSize: number;
  minPoolSize: number;
  /** Further ones for clients that waited five seconds. */
  reservePoolSize: number;
  /** Server connections of a pod to NoETL's database at most. */
  maxDbConnections: number;
}

/**
 * pgbouncer.ini. Clients share server connections by the transaction, which NoETL's short statements allow; prepared
 * statements are tracked across them (1.21 and newer).
 *
 * The administrator has sessions instead: the schema's Job holds an advisory lock. `options` of clients cannot be
 * passed on in a shared connection, so the search path they would set is set for every server connection.
 */
export function pgbouncerIni(args: PoolSizes & { database: string; adminUser: string }): string {
  const server = `host=127.0.0.1 port=${POOLER.proxyPort}`;
  return [
    "[databases]",
    `${args.database} = ${server} dbname=${args.database} connect_query='SET search_path TO ${NOETL_SCHEMA}, public'`,
    ...(args.database === "postgres"
      ? []
      : [`postgres = ${server} dbname=postgres max_db_connections=${ADMIN_CONNECTIONS}`]),
    "",
    "[users]",
    `${args.adminUser} = pool_mode=session`,
    "",
    "[pgbouncer]",
    "listen_addr = 0.0.0.0",
    `listen_port = ${POOLER.port}`,
    // The root file system is read-only, and nobody shares the pod.
    "unix_socket_dir =",
    "auth_type = scram-sha-256",
    `auth_file = ${USERS_DIR}/userlist.txt`,
    "pool_mode = transaction",
    "max_prepared_statements = 200",
    "ignore_startup_parameters = extra_float_digits,options",
    `max_client_conn = ${args.maxClientConnections}`,
    `default_pool_size = ${args.poolSize}`,
    `min_pool_size = ${args.minPoolSize}`,
    `reserve_pool_size = ${args.reservePoolSize}`,
    "reserve_pool_timeout = 5",
    `max_db_connections = ${args.maxDbConnections}`,
    "server_lifetime = 21600",
    "server_idle_timeout = 120",
    // Encrypted between the pod and the instance, by the proxy.
    "server_tls_sslmode = disable",
    "",
  ].join("\n");
}

/** userlist.txt: the passwords with which clients log in, and PgBouncer at the database. */
export function userList(users: Readonly<Record<string, string>>): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return Object.keys(users)
    .sort()
    .map((user) => `${quoted(user)} ${quoted(users[user] ?? "")}\n`)
    .join("");
}

export interface PoolerDeploymentArgs {
  namespace: pulumi.Input<string>;
  replicas: number;
  pgbouncerImage: pulumi.Input<string>;
  proxyImage: pulumi.Input<string>;
  connectionName: pulumi.Input<string>;
  configMap: pulumi.Input<string>;
  usersSecret: pulumi.Input<string>;
  resources?: Resources;
  proxyResources?: Resources;
}

/** Two users in one pod: each stands at its container. */
const confinedAs = (uid: number) => ({ runAsNonRoot: true, runAsUser: uid, runAsGroup: uid, ...confined });

const http = (path: string, failureThreshold: number, periodSeconds: number) => ({
  httpGet: { path, port: POOLER.healthPort },
  failureThreshold,
  periodSeconds,
  timeoutSeconds: 10,
});

const tcp = (failureThreshold: number, periodSeconds: number) => ({
  tcpSocket: { port: POOLER.port },
  failureThreshold,
  periodSeconds,
});

const proxyContainer = (args: PoolerDeploymentArgs) => ({
  name: POOLER.proxyContainer,
  image: args.proxyImage,
  restartPolicy: "Always",
  args: [
    "--structured-logs",
    "--private-ip",
    "--address=127.0.0.1",
    `--port=${POOLER.proxyPort}`,
    "--health-check",
    "--http-address=0.0.0.0",
    `--http-port=${POOLER.healthPort}`,
    "--exit-zero-on-sigterm",
    args.connectionName,
  ],
  startupProbe: http("/startup", 60, 1),
  livenessProbe: http("/liveness", 3, 10),
  resources: args.proxyResources,
  securityContext: confinedAs(PROXY_UID),
});

const pgbouncerContainer = (args: PoolerDeploymentArgs) => ({
  name: "pgbouncer",
  image: args.pgbouncerImage,
  // Not the image's entry point, which writes a configuration of its own from URLs that passwords break.
  command: ["/usr/bin/pgbouncer", `${CONFIG_DIR}/pgbouncer.ini`],
  ports: [{ name: "postgres", containerPort: POOLER.port }],
  lifecycle: { preStop: { exec: { command: ["/bin/sh", "-c", LEAVE] } } },
  readinessProbe: tcp(3, 5),
  livenessProbe: tcp(3, 10),
  resources: args.resources,
  securityContext: confinedAs(PGBOUNCER_UID),
  volumeMounts: [
    { name: "config", mountPath: CONFIG_DIR, readOnly: true },
    { name: "users", mountPath: USERS_DIR, readOnly: true },
  ],
});

/**
 * PgBouncer with the Auth Proxy beside it. The proxy is a sidecar in Kubernetes' own sense (an init container that goes
 * on): it is ready before PgBouncer starts, and ends after it.
 */
export const deployment = (args: PoolerDeploymentArgs): k8s.apps.v1.DeploymentArgs => ({
  metadata: { name: POOLER.service, namespace: args.namespace, labels: LABELS },
  spec: {
    replicas: args.replicas,
    // Never one pod more than replicas: the database's connections are counted by them.
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    selector: { matchLabels: { app: LABELS.app } },
    template: {
      metadata: { labels: LABELS },
      spec: {
        serviceAccountName: POOLER.serviceAccount,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: GRACE_SECONDS,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        topologySpreadConstraints: zoneSpread(LABELS.app),
        initContainers: [proxyContainer(args)],
        containers: [pgbouncerContainer(args)],
        volumes: [
          { name: "config", configMap: { name: args.configMap } },
          { name: "users", secret: { secretName: args.usersSecret, defaultMode: 0o444 } },
        ],
      },
    },
  },
});

export function service(namespace: pulumi.Input<string>): k8s.core.v1.ServiceArgs {
  return {
    metadata: { name: POOLER.service, namespace, labels: LABELS },
    spec: {
      type: "ClusterIP",
      selector: { app: LABELS.app },
      ports: [{ name: "postgres", port: POOLER.port, targetPort: "postgres" }],
    },
  };
}

/** Lets node upgrades take one pod at a time. */
export function disruptionBudget(namespace: pulumi.Input<string>): k8s.policy.v1.PodDisruptionBudgetArgs {
  return {
    metadata: { name: POOLER.service, namespace, labels: LABELS },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: LABELS.app } } },
  };
}
