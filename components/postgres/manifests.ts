import * as fs from "node:fs";
import * as path from "node:path";
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { projectRoot } from "../../contract/project";
import { LOCATIONS } from "../../contract/facts";
import { derived } from "../arguments";
import { confined, type Resources, runsAs, unprivileged } from "../shared";

/**
 * Keys of the Secret with the database's credentials; the environment variables bear the same names. `former` are the
 * administrator's passwords of before, one of which a server in the cluster may still have.
 */
export const SECRET_KEYS = {
  admin: "POSTGRES_PASSWORD",
  noetl: "NOETL_PASSWORD",
  former: "POSTGRES_FORMER_PASSWORDS",
} as const;

/**
 * Secret that a server in the cluster starts with. Its name stays, so that a changed password does not restart the server: the
 * schema's Job sets it in the database, and a server that starts later reads it here.
 */
export const SERVER_SECRET = "postgres-admin";

/** Schema of NoETL's tables, which the chart tells server and workers too. */
export const NOETL_SCHEMA = "noetl";

const LABELS = { app: "postgres", "app.kubernetes.io/name": "postgres" };
/** User `postgres` of the official image. */
const POSTGRES_UID = 999;
/** User `noetl` of the NoETL image, as a number: `runAsNonRoot` cannot check a name. */
const NOETL_UID = 1000;

const podSecurity = (uid: number) => runsAs(uid, { fsGroup: uid });

/**
 * Where to ask a server whether it is up: over TCP. On an empty volume the image first starts a server for itself that listens
 * on its socket alone, and stops it again: whoever asks over the socket takes that one for the server.
 */
const OVER_TCP = "127.0.0.1";

/** How long the hook waits for the server and tries to set the password, in seconds; less than the startup probe does. */
const SET_PASSWORD_SECONDS = 110;

/**
 * After every start: wait for the server, then set the administrator's password to the Secret's. The image does so
 * only for an empty volume, and a rotated password would otherwise lock everybody out. Over the local socket the image
 * asks for no password. Neither psql nor the server's log shows a statement that fails. A server that answers over TCP may still refuse for a moment, so the statement is tried again, and
 * what it said last is the hook's message.
 */
export const setPassword = (seconds: number): string =>
  `
deadline=$(($(date +%s) + ${seconds}))
until pg_isready -q -h ${OVER_TCP} -U "$POSTGRES_USER" && said=$(psql -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres 2>&1 <<'SQL'
\\set VERBOSITY terse
SET log_min_error_statement TO panic;
\\getenv role POSTGRES_USER
\\getenv password ${SECRET_KEYS.admin}
ALTER ROLE :"role" PASSWORD :'password';
SQL
); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "the administrator's password could not be set within ${seconds} s: \${said:-the server does not answer over TCP}" >&2
    exit 1
  fi
  sleep 1
done
`.trim();

export interface StatefulSetArgs {
  namespace: pulumi.Input<string>;
  image: pulumi.Input<string>;
  adminUser: pulumi.Input<string>;
  secretName: pulumi.Input<string>;
  storageSize: pulumi.Input<string>;
  storageClass?: pulumi.Input<string>;
  resources?: Resources;
}

/** One Postgres server with a volume. */
export function statefulSet(args: StatefulSetArgs): k8s.apps.v1.StatefulSetArgs {
  const isReady = (failureThreshold: number, periodSeconds: number) => ({
    exec: { command: ["pg_isready", "-q", "-h", OVER_TCP, "-U", args.adminUser] },
    failureThreshold,
    periodSeconds,
    timeoutSeconds: 5,
  });
  return {
    metadata: { name: LOCATIONS.postgres.service, namespace: args.namespace, labels: LABELS },
    spec: {
      replicas: 1,
      serviceName: LOCATIONS.postgres.service,
      selector: { matchLabels: { app: LABELS.app } },
      template: {
        metadata: { labels: LABELS },
        spec: {
          automountServiceAccountToken: false,
          securityContext: podSecurity(POSTGRES_UID),
          terminationGracePeriodSeconds: 60,
          containers: [
            {
              name: "postgres",
              image: args.image,
              ports: [{ name: "postgres", containerPort: LOCATIONS.postgres.port }],
              env: [
                { name: "POSTGRES_USER", value: args.adminUser },
                { name: "PGDATA", value: "/var/lib/postgresql/data/pgdata" },
                {
                  name: SECRET_KEYS.admin,
                  valueFrom: { secretKeyRef: { name: args.secretName, key: SECRET_KEYS.admin } },
                },
              ],
              terminationMessagePolicy: "FallbackToLogsOnError",
              lifecycle: { postStart: { exec: { command: ["sh", "-ec", setPassword(SET_PASSWORD_SECONDS)] } } },
              startupProbe: isReady(60, 2),
              readinessProbe: isReady(3, 5),
              livenessProbe: isReady(6, 10),
              resources: args.resources ?? { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
              securityContext: unprivileged,
              volumeMounts: [{ name: "data", mountPath: "/var/lib/postgresql/data" }],
            },
          ],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: "data" },
          spec: {
            accessModes: ["ReadWriteOnce"],
            storageClassName: args.storageClass || undefined,
            resources: { requests: { storage: args.storageSize } },
          },
        },
      ],
    },
  };
}

/** Service of the server; with a NodePort where one is asked for. */
export function service(args: {
  namespace: pulumi.Input<string>;
  nodePort?: pulumi.Input<number>;
}): k8s.core.v1.ServiceArgs {
  return {
    metadata: { name: LOCATIONS.postgres.service, namespace: args.namespace, labels: LABELS },
    spec: {
      type: args.nodePort === undefined ? "ClusterIP" : "NodePort",
      selector: { app: LABELS.app },
      ports: [
        {
          name: "postgres",
          port: LOCATIONS.postgres.port,
          targetPort: "postgres",
          nodePort: args.nodePort,
        },
      ],
    },
  };
}

/** Connections that NoETL leaves to others on the stack's own server, of 100, of which three are the superuser's. */
const LEFT_CONNECTIONS = 5;

const SCRIPTS = ["load_schema.py", "retire_logins.py"] as const;

/** The sources of the Jobs, by file. */
export function scripts(): Record<string, string> {
  const folder = path.join(projectRoot(), "components", "postgres");
  return Object.fromEntries(SCRIPTS.map((file) => [file, fs.readFileSync(path.join(folder, file), "utf8")]));
}

export interface SchemaJobArgs {
  namespace: pulumi.Input<string>;
  image: pulumi.Input<string>;
  scriptConfigMap: pulumi.Input<string>;
  secretName: pulumi.Input<string>;
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  adminUser: pulumi.Input<string>;
  database: pulumi.Input<string>;
  /** What NoETL logs in with. */
  noetlUser: pulumi.Input<string>;
  /** NoETL's role, where each password of it has a login of its own. Default: `noetlUser`. */
  noetlRole?: pulumi.Input<string>;
  /** Whether the server has the administrator's password from the Secret's, and may still have a former one. */
  setsAdminPassword?: boolean;
  /** Changes when the database is a new one, so that the schema is loaded again. */
  databaseIdentity: pulumi.Input<string>;
  resources?: Resources;
  /** Whether the container can write to nothing but `/tmp`. Default true. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
}

/** The Job that loads NoETL's schema from the NoETL image, and sets the passwords. */
export const schemaJob = (args: SchemaJobArgs): k8s.batch.v1.JobArgs =>
  databaseJob(args, {
    app: "noetl-schema",
    container: "load-schema",
    script: "load_schema.py",
    // Of a server of somebody else's nothing is taken for granted, and Cloud SQL has PgBouncer before it.
    env: args.setsAdminPassword ? [{ name: "NOETL_LEAVES_CONNECTIONS", value: String(LEFT_CONNECTIONS) }] : [],
  });

/** The Job that refuses NoETL's old logins, after everything has moved to the newest. */
export const retireJob = (args: SchemaJobArgs): k8s.batch.v1.JobArgs =>
  databaseJob(args, { app: "noetl-logins", container: "retire-logins", script: "retire_logins.py" });

/** Limit of what a Job keeps in `/tmp`. */
const JOB_TMP_SIZE = "64Mi";

/**
 * A Job that works in the database as its administrator, with the Python of the NoETL image.
 *
 * `FallbackToLogsOnError` puts the end of the log into the pod's status, where the engine finds it for its error;
 * `replaceUnready` lets the next update replace a Job that failed.
 */
function databaseJob(
  args: SchemaJobArgs,
  does: {
    app: string;
    container: string;
    script: (typeof SCRIPTS)[number];
    /** Further variables. */
    env?: { name: string; value: string }[];
  },
): k8s.batch.v1.JobArgs {
  return {
    metadata: { namespace: args.namespace, annotations: { "pulumi.com/replaceUnready": "true" } },
    spec: {
      backoffLimit: 1,
      activeDeadlineSeconds: 600,
      template: {
        metadata: {
          labels: { app: does.app },
          annotations: { "noetl.io/database": args.databaseIdentity },
        },
        spec: {
          restartPolicy: "Never",
          automountServiceAccountToken: false,
          securityContext: podSecurity(NOETL_UID),
          containers: [
            {
              name: does.container,
              image: args.image,
              command: ["python", `/schema/${does.script}`],
              terminationMessagePolicy: "FallbackToLogsOnError",
              env: [...databaseEnvironment(args), ...(does.env ?? [])],
              resources: args.resources ?? { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "512Mi" } },
              securityContext: { ...confined, readOnlyRootFilesystem: args.readOnlyRootFilesystem ?? true },
              volumeMounts: [
                { name: "schema", mountPath: "/schema", readOnly: true },
                { name: "tmp", mountPath: "/tmp" },
              ],
            },
          ],
          volumes: [
            { name: "schema", configMap: { name: args.scriptConfigMap } },
            { name: "tmp", emptyDir: { sizeLimit: JOB_TMP_SIZE } },
          ],
        },
      },
    },
  };
}

function databaseEnvironment(args: SchemaJobArgs) {
  const literal = (name: string, value: pulumi.Input<string>) => ({ name, value });
  const secret = (name: string, key: string) => ({
    name,
    valueFrom: { secretKeyRef: { name: args.secretName, key } },
  });
  return [
    literal("PGHOST", args.host),
    literal("PGPORT", derived(args.port, String)),
    literal("PGUSER", args.adminUser),
    secret("PGPASSWORD", SECRET_KEYS.admin),
    ...(args.setsAdminPassword ? [secret("PGPASSWORD_FORMER", SECRET_KEYS.former)] : []),
    literal("NOETL_POSTGRES_DB", args.database),
    literal("NOETL_USER", args.noetlUser),
    secret("NOETL_PASSWORD", SECRET_KEYS.noetl),
    ...(args.noetlRole === undefined ? [] : [literal("NOETL_ROLE", args.noetlRole)]),
    literal("NOETL_SCHEMA", NOETL_SCHEMA),
  ];
}
