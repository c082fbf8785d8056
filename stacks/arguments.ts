/** The arguments of each part, from the settings. What only the deployment knows (connections, hosts) is not among them. */
import * as pulumi from "@pulumi/pulumi";
import type { Resources } from "../components/shared";
import type {
  ChartSource,
  GatewayArgs,
  NatsJetStreamArgs,
  NatsPodSecurity,
  NoetlArgs,
  PostgresArgs,
} from "../components";
import { gatewaySubjects, streamNames, workerTuning } from "../config/contract";
import { releaseTimeout, storageClassOf } from "../config/derive";
import { type Size, sizesOf } from "../config/resources";
import type { Settings } from "../config/schema";
import { DEFAULTS } from "../contract/defaults";
import { boxArgs } from "./logins";
import { natsTlsArgs } from "./tls";
import type { PoliciesOf } from "./network";

const secret = (value: string | undefined) => (value === undefined ? undefined : pulumi.secret(value));

function chart(name: string, repository: string | undefined, version: string | undefined): ChartSource {
  // A folder is installed as it is: the defaults of repository and version belong to the chart they name.
  if (/^[./~]/.test(name)) return { chart: name };
  return { chart: name, repository: repository || undefined, version: version || undefined };
}

/** Environment and rollout of NoETL's pods, where the settings say more than the chart's defaults. */
function poolsAndRollout(settings: Settings): Pick<NoetlArgs, "serverEnv" | "workerEnv" | "rollout"> {
  const env = (variables: Record<string, number | undefined>) =>
    Object.fromEntries(
      Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    );
  const { rolloutMaxSurge: maxSurge, rolloutMaxUnavailable: maxUnavailable } = settings;
  return {
    serverEnv: {
      ...settings.serverEnv,
      ...env({
        NOETL_POSTGRES_POOL_MIN_SIZE: settings.serverPoolMinSize,
        NOETL_POSTGRES_POOL_MAX_SIZE: settings.serverPoolMaxSize,
        NOETL_POSTGRES_POOL_MAX_WAITING: settings.serverPoolMaxWaiting,
        NOETL_POSTGRES_POOL_TIMEOUT_SECONDS: settings.serverPoolTimeoutSeconds,
      }),
    },
    workerEnv: {
      ...settings.workerEnv,
      ...env({
        NOETL_POSTGRES_POOL_MIN_SIZE: settings.workerPoolMinSize,
        NOETL_POSTGRES_POOL_MAX_SIZE: settings.workerPoolMaxSize,
        NOETL_POSTGRES_POOL_MAX_WAITING: settings.workerPoolMaxWaiting,
        NOETL_POSTGRES_POOL_TIMEOUT_SECONDS: settings.workerPoolTimeoutSeconds,
        NOETL_WORKER_MAX_INFLIGHT_COMMANDS: settings.workerMaxInflightCommands,
        NOETL_WORKER_MAX_INFLIGHT_DB_COMMANDS: settings.workerMaxInflightDbCommands,
      }),
    },
    rollout: maxSurge === undefined && maxUnavailable === undefined ? undefined : { maxSurge, maxUnavailable },
  };
}

/** Resources of a pod of NoETL, where the settings say more than the chart's defaults. */
function resources(settings: Settings, part: "server" | "worker"): Resources | undefined {
  const keys = [`${part}MemoryLimit`, `${part}MemoryRequest`, `${part}CpuLimit`, `${part}CpuRequest`] as const;
  if (keys.every((key) => settings[key] === undefined)) return undefined;
  const { request, limit } = sizesOf(settings, part);
  const text = (size: Size) => ({ cpu: `${size.cpu}m`, memory: `${size.memory}Mi` });
  return { requests: text(request), limits: text(limit) };
}

// What the charts have by themselves is not named to charts of somebody else.
const readOnlyRootFilesystem = (settings: Settings) => (settings.readOnlyRootFilesystem ? undefined : false);
const tmpSize = ({ noetlTmpSize }: Settings) => (noetlTmpSize === DEFAULTS.noetlTmpSize ? undefined : noetlTmpSize);

export function natsArgs(settings: Settings): NatsJetStreamArgs {
  return {
    user: settings.natsUser,
    password: secret(settings.natsPassword),
    passwordRevision: settings.natsPasswordRevision,
    fileStoreSize: settings.natsJetstreamFileSize,
    memoryStoreSize: settings.natsJetstreamMemSize,
    memoryLimit: settings.natsMemoryLimit,
    replicas: settings.natsReplicas,
    podSecurity: settings.natsPodSecurity as NatsPodSecurity,
    ...natsTlsArgs(settings),
    ...boxArgs(settings),
    storageClass: storageClassOf(settings, "nats"),
    maxConnections: settings.natsMaxConnections,
    clientNodePort: settings.natsNodePort,
    monitorNodePort: settings.natsMonitorNodePort,
    timeoutSeconds: releaseTimeout(settings),
    chart: chart(settings.natsChart, settings.natsChartRepository, settings.natsChartVersion),
  };
}

export function postgresArgs(settings: Settings): PostgresArgs {
  return {
    external:
      settings.deployPostgres || settings.postgresHost === undefined
        ? undefined
        : { host: settings.postgresHost, port: settings.postgresPort },
    image: settings.postgresImage,
    storageSize: settings.postgresStorageSize,
    storageClass: storageClassOf(settings, "postgres"),
    nodePort: settings.postgresNodePort,
    adminUser: settings.postgresUser,
    adminPassword: secret(settings.postgresPassword),
    adminPasswordRevision: settings.postgresPasswordRevision,
    database: settings.noetlDatabase,
    noetlUser: settings.noetlDatabaseUser,
    noetlPassword: secret(settings.noetlPassword),
    noetlPasswordRevision: settings.noetlPasswordRevision,
    loginPerPassword: true,
    noetlImage: settings.noetlImage,
    readOnlyRootFilesystem: readOnlyRootFilesystem(settings),
    timeoutSeconds: releaseTimeout(settings),
  };
}

/** Where playbooks' jobs run. */
const playbookJobs = ({ playbookJobs: asked }: Settings, closed: PoliciesOf): NoetlArgs["jobs"] =>
  asked === "off" ? false : asked === "own" ? closed("jobs") : undefined;

/** @param closed NetworkPolicies of the stack. */
export function noetlArgs(settings: Settings, closed: PoliciesOf): Omit<NoetlArgs, "nats" | "database"> {
  return {
    image: settings.noetlImage,
    logLevel: settings.noetlLogLevel,
    serverReplicas: settings.noetlServerReplicas,
    workerReplicas: settings.workerReplicas,
    nodePort: settings.noetlNodePort,
    names: streamNames(settings),
    tuning: workerTuning(settings),
    timeoutSeconds: releaseTimeout(settings),
    chart: chart(settings.noetlChart, settings.noetlChartRepository, settings.noetlChartVersion),
    serverResources: resources(settings, "server"),
    workerResources: resources(settings, "worker"),
    workerStopSeconds: settings.workerStopSeconds,
    jobs: playbookJobs(settings, closed),
    tmpSize: tmpSize(settings),
    readOnlyRootFilesystem: readOnlyRootFilesystem(settings),
    ...poolsAndRollout(settings),
  };
}

export function gatewayArgs(settings: Settings): Omit<GatewayArgs, "nats"> {
  return {
    image: settings.gatewayImage,
    corsAllowedOrigins: settings.corsAllowedOrigins,
    replicas: settings.gatewayReplicas,
    nodePort: settings.gatewayNodePort,
    publicUrl: settings.gatewayPublicUrl,
    authBypass: settings.gatewayAuthBypass,
    maskLogs: settings.gatewayMaskLogs,
    readOnlyRootFilesystem: readOnlyRootFilesystem(settings),
    subjects: gatewaySubjects(settings),
    env: settings.gatewayEnv,
    timeoutSeconds: releaseTimeout(settings),
    chart: chart(settings.gatewayChart, settings.gatewayChartRepository, settings.gatewayChartVersion),
  };
}
