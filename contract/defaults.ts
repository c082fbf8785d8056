/** What is taken where nobody says otherwise: by the components' arguments, and by a stack's settings of the same names. */
export const DEFAULTS = {
  natsJetstreamFileSize: "5Gi",
  natsJetstreamMemSize: "1Gi",
  /** Some 400 pods of NoETL's; a connection takes up to some 100 KiB of what the memory store leaves. */
  natsMaxConnections: 2000,
  natsChart: "nats",
  natsChartRepository: "https://nats-io.github.io/k8s/helm/charts/",
  natsChartVersion: "2.14.2",
  workerReplicas: 2,
  postgresImage: "postgres:17.4",
  postgresStorageSize: "10Gi",
  postgresUser: "postgres",
  noetlDatabase: "noetl",
  noetlDatabaseUser: "noetl",
  noetlImage: "ghcr.io/noetl/noetl:v2.8.9",
  noetlServerReplicas: 1,
  noetlLogLevel: "INFO",
  /** The chart's own. */
  noetlTmpSize: "2Gi",
  /** The last release of the gateway's second major version, under the name that its workflow pushes it. */
  gatewayImage: "ghcr.io/noetl/gateway:v2.14.1",
  gatewayReplicas: 1,
  /** NoETL's own image has no Node (docs/decisions/0015-guard.md). */
  contractGuardImage: "docker.io/library/node:22.20.0-alpine3.22",
} as const;

/**
 * How long a worker that is stopped may take to finish its commands, in seconds, where the settings do not say:
 * NoETL cuts a command off after 180 s (NOETL_WORKER_COMMAND_TIMEOUT_SECONDS); the rest is for acknowledging and signing off.
 */
export const DEFAULT_STOP_SECONDS = 240;

/** How long Helm waits for a release's pods before it gives up, in seconds. On GKE a pod may first have to wait for a node. */
export const HELM_TIMEOUT_SECONDS = { kubernetes: 300, gke: 900 } as const;

/** StorageClass of the volumes on GKE: a balanced persistent disk, which is in every cluster and can grow. */
export const GKE_STORAGE_CLASS = "standard-rwo";

/** Connections of a PgBouncer pod to the database `postgres`, where the schema's Job creates NoETL's role and database. */
export const ADMIN_CONNECTIONS = 1;
