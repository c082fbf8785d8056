import * as pulumi from "@pulumi/pulumi";
import { Gateway, NatsJetStream, Noetl, Postgres, StreamContract } from "./components";
import type { ChartSource, NoetlArgs, StreamContractArgs } from "./components";
import { contractTerms, gatewaySubjects, streamNames } from "./config/contract";
import { ConfigError, parseSettings } from "./config/parse";
import { PROJECT } from "./config/project";
import type { Settings } from "./config/schema";
import { kubernetesPlatform, type Platform } from "./stacks/platform";

export { PROJECT };

/** The stack's settings, checked. @throws ConfigError with all problems at once. */
export function loadSettings(): Settings {
  const prefix = `${PROJECT}:`;
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  return parseSettings(Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value])), (key) =>
    isConfigSecret(`${prefix}${key}`),
  );
}

/** Whether the stack keeps a key encrypted. The SDK has the function, but leaves it out of its published types. */
const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret(this: void, key: string): boolean };

const secret = (value: string | undefined) => (value === undefined ? undefined : pulumi.secret(value));

function chart(name: string, repository: string | undefined, version: string | undefined): ChartSource {
  // A folder is installed as it is: the defaults of repository and version belong to the chart they name.
  if (/^[./~]/.test(name)) return { chart: name };
  return { chart: name, ...(repository ? { repository } : {}), ...(version ? { version } : {}) };
}

/**
 * The program: reads the settings, prepares the platform, deploys.
 *
 * @throws pulumi.RunError with everything that is wrong with the configuration; the engine shows it without a stack trace.
 */
export async function main(): Promise<Record<string, pulumi.Input<unknown>>> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

async function run(): Promise<Record<string, pulumi.Input<unknown>>> {
  const settings = loadSettings();
  if (settings.platform !== "gke") return deploy(settings);
  // Loaded on demand: nobody else needs Google's SDK. `import()` would want a file extension, which differs between the
  // sources that the engine runs and their compiled form.
  const { gkePlatform } = require("./stacks/gke") as typeof import("./stacks/gke.js");
  return deploy(settings, await gkePlatform(settings));
}

/** Environment and rollout of NoETL's pods, where the settings say more than the chart's defaults. */
function poolsAndRollout(settings: Settings): Pick<NoetlArgs, "serverEnv" | "workerEnv" | "rollout"> {
  const env = (variables: Record<string, number | undefined>) =>
    Object.fromEntries(
      Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    );
  const { rolloutMaxSurge: maxSurge, rolloutMaxUnavailable: maxUnavailable } = settings;
  return {
    serverEnv: env({
      NOETL_POSTGRES_POOL_MIN_SIZE: settings.serverPoolMinSize,
      NOETL_POSTGRES_POOL_MAX_SIZE: settings.serverPoolMaxSize,
      NOETL_POSTGRES_POOL_MAX_WAITING: settings.serverPoolMaxWaiting,
      NOETL_POSTGRES_POOL_TIMEOUT_SECONDS: settings.serverPoolTimeoutSeconds,
    }),
    workerEnv: env({
      NOETL_POSTGRES_POOL_MIN_SIZE: settings.workerPoolMinSize,
      NOETL_POSTGRES_POOL_MAX_SIZE: settings.workerPoolMaxSize,
      NOETL_POSTGRES_POOL_MAX_WAITING: settings.workerPoolMaxWaiting,
      NOETL_POSTGRES_POOL_TIMEOUT_SECONDS: settings.workerPoolTimeoutSeconds,
      NOETL_WORKER_MAX_INFLIGHT_COMMANDS: settings.workerMaxInflightCommands,
      NOETL_WORKER_MAX_INFLIGHT_DB_COMMANDS: settings.workerMaxInflightDbCommands,
    }),
    ...(maxSurge === undefined && maxUnavailable === undefined
      ? {}
      : { rollout: withoutUndefined({ maxSurge, maxUnavailable }) }),
  };
}

/** Declares everything a stack consists of and returns its outputs. */
export function deploy(
  settings: Settings,
  platform: Platform = kubernetesPlatform(settings),
): Record<string, pulumi.Input<unknown>> {
  const onCluster: pulumi.ComponentResourceOptions = { providers: { kubernetes: platform.provider } };

  const nats = settings.deployNats
    ? new NatsJetStream(
        "nats",
        {
          user: settings.natsUser,
          password: secret(settings.natsPassword),
          fileStoreSize: settings.natsJetstreamFileSize,
          memoryStoreSize: settings.natsJetstreamMemSize,
          memoryLimit: settings.natsMemoryLimit,
          replicas: settings.natsReplicas,
          storageClass: settings.natsStorageClass,
          clientNodePort: settings.natsNodePort,
          monitorNodePort: settings.natsMonitorNodePort,
          chart: chart(settings.natsChart, settings.natsChartRepository, settings.natsChartVersion),
          ...platform.nats,
        },
        onCluster,
      )
    : undefined;
  const natsConnection = nats ?? {
    host: settings.natsHost ?? "",
    port: settings.natsPort,
    user: settings.natsUser,
    password: pulumi.secret(settings.natsPassword ?? ""),
  };

  const database = settings.deployNoetl
    ? new Postgres(
        "postgres",
        {
          external:
            settings.deployPostgres || settings.postgresHost === undefined
              ? undefined
              : { host: settings.postgresHost, port: settings.postgresPort },
          image: settings.postgresImage,
          storageSize: settings.postgresStorageSize,
          storageClass: settings.postgresStorageClass,
          nodePort: settings.postgresNodePort,
          adminUser: settings.postgresUser,
          adminPassword: secret(settings.postgresPassword),
          database: settings.noetlDatabase,
          noetlUser: settings.noetlDatabaseUser,
          noetlPassword: secret(settings.noetlPassword),
          noetlImage: settings.noetlImage,
          ...platform.postgres,
        },
        onCluster,
      )
    : undefined;

  const tuning = {
    fetchTimeoutSeconds: settings.workerFetchTimeoutSeconds,
    fetchHeartbeatSeconds: settings.workerFetchHeartbeatSeconds,
    maxAckPending: settings.workerMaxAckPending,
    maxDeliver: settings.workerMaxDeliver,
  };
  const names = streamNames(settings);
  const contractArgs: StreamContractArgs = {
    ...contractTerms(settings),
    connection: nats
      ? { namespace: nats.namespace, ...platform.access }
      : { servers: [`${settings.natsHost}:${settings.natsPort}`] },
    user: natsConnection.user,
    password: natsConnection.password,
    timeoutSeconds: settings.contractTimeoutSeconds,
  };
  // In place before server, workers and gateway start, which take what they find.
  const ensured =
    settings.contractMode === "ensure" && database
      ? new StreamContract(
          "stream-ensured",
          { ...contractArgs, mode: "ensure", triggers: [nats?.revision ?? 0] },
          { dependsOn: nats ? [nats] : [] },
        )
      : undefined;
  const afterEnsured: pulumi.ComponentResourceOptions = ensured ? { ...onCluster, dependsOn: [ensured] } : onCluster;

  const noetl = database
    ? new Noetl(
        "noetl",
        {
          nats: natsConnection,
          database: {
            host: database.host,
            port: database.port,
            database: database.database,
            user: database.noetlUser,
            password: database.noetlPassword,
            adminPassword: database.adminPassword,
          },
          image: settings.noetlImage,
          logLevel: settings.noetlLogLevel,
          serverReplicas: settings.noetlServerReplicas,
          workerReplicas: settings.workerReplicas,
          nodePort: settings.noetlNodePort,
          names,
          tuning,
          chart: chart(settings.noetlChart, settings.noetlChartRepository, settings.noetlChartVersion),
          ...poolsAndRollout(settings),
          ...platform.noetl,
        },
        afterEnsured,
      )
    : undefined;

  const gateway = settings.deployGateway
    ? new Gateway(
        "gateway",
        {
          nats: natsConnection,
          image: settings.gatewayImage ?? "",
          corsAllowedOrigins: settings.corsAllowedOrigins,
          replicas: settings.gatewayReplicas,
          nodePort: settings.gatewayNodePort,
          publicUrl: settings.gatewayPublicUrl,
          authBypass: settings.gatewayAuthBypass,
          subjects: gatewaySubjects(settings),
          ...(noetl ? { noetlUrl: noetl.serverUrl } : {}),
          chart: chart(settings.gatewayChart, settings.gatewayChartRepository, settings.gatewayChartVersion),
          ...platform.gateway,
        },
        afterEnsured,
      )
    : undefined;

  const exposed = platform.expose?.({ noetl, gateway });

  // Without NoETL nobody creates the stream, so there is nothing to prove yet.
  const contract = noetl
    ? new StreamContract(
        "stream-contract",
        { ...contractArgs, triggers: [nats?.revision ?? 0, noetl.revision, gateway?.revision ?? 0] },
        { dependsOn: [noetl, ...(gateway ? [gateway] : [])] },
      )
    : undefined;

  // The engine warns of an output that is there without a value.
  return withoutUndefined({
    ...exposed,
    natsHost: natsConnection.host,
    natsPort: natsConnection.port,
    natsUser: natsConnection.user,
    natsUrl: nats?.url,
    natsPassword: natsConnection.password,
    names,
    namespaces: {
      nats: nats?.namespace,
      noetl: noetl?.namespace,
      gateway: gateway?.namespace,
    },
    serverUrl: noetl?.serverUrl,
    gatewayUrl: gateway?.url,
    contract: contract && {
      holds: contract.holds,
      report: contract.report,
      stream: contract.streamCreated.apply((created) => `${names.stream}, created ${created ?? "never"}`),
      subjects: contract.subjects,
      retention: contract.retention,
      storage: contract.storage,
      maxAgeSeconds: contract.maxAgeSeconds,
      consumer: contract.consumerCreated.apply((created) => `${names.consumer}, created ${created ?? "never"}`),
      serverVersion: contract.serverVersion,
    },
  });
}

const withoutUndefined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
