import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Gateway, NatsJetStream, Noetl, Postgres, StreamContract } from "./components";
import type { ChartSource } from "./components";
import { parseSettings } from "./config/parse";
import { PROJECT } from "./config/project";
import type { Settings } from "./config/schema";

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

/** Declares everything a stack consists of and returns its outputs. */
export function deploy(settings: Settings): Record<string, pulumi.Input<unknown>> {
  const kubeconfig = settings.kubeconfig?.replace(/^~(?=\/)/, process.env.HOME ?? "~");
  const cluster = new k8s.Provider("cluster", {
    ...(kubeconfig ? { kubeconfig: path.resolve(kubeconfig) } : {}),
    ...(settings.kubeContext ? { context: settings.kubeContext } : {}),
    enableServerSideApply: true,
  });
  const onCluster: pulumi.ComponentResourceOptions = { providers: { kubernetes: cluster } };

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
        },
        onCluster,
      )
    : undefined;

  const names = { stream: settings.natsStream, subject: settings.natsSubject, consumer: settings.natsConsumer };
  const tuning = {
    fetchTimeoutSeconds: settings.workerFetchTimeoutSeconds,
    fetchHeartbeatSeconds: settings.workerFetchHeartbeatSeconds,
    maxAckPending: settings.workerMaxAckPending,
    maxDeliver: settings.workerMaxDeliver,
  };
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
        },
        onCluster,
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
          subjects: {
            updatesSubjectPrefix: settings.natsUpdatesSubjectPrefix,
            callbackSubjectPrefix: settings.natsCallbackSubjectPrefix,
            sessionBucket: settings.natsSessionBucket,
            sessionTtlSeconds: settings.natsSessionCacheTtlSeconds,
            requestBucket: settings.natsRequestBucket,
            requestTtlSeconds: settings.natsRequestTtlSeconds,
          },
          ...(noetl ? { noetlUrl: noetl.serverUrl } : {}),
          chart: chart(settings.gatewayChart, settings.gatewayChartRepository, settings.gatewayChartVersion),
        },
        onCluster,
      )
    : undefined;

  // Without NoETL nobody creates the stream, so there is nothing to prove yet.
  const contract = noetl
    ? new StreamContract(
        "stream-contract",
        {
          connection: nats
            ? {
                namespace: nats.namespace,
                ...(kubeconfig ? { kubeconfig: path.resolve(kubeconfig) } : {}),
                ...(settings.kubeContext ? { context: settings.kubeContext } : {}),
              }
            : { servers: [`${settings.natsHost}:${settings.natsPort}`] },
          user: natsConnection.user,
          password: natsConnection.password,
          ...names,
          worker: {
            maxAckPending: tuning.maxAckPending,
            maxDeliver: tuning.maxDeliver,
            fetchTimeoutSeconds: tuning.fetchTimeoutSeconds,
          },
          noetl: { namespace: noetl.namespace },
          strict: settings.contractStrict,
          timeoutSeconds: settings.contractTimeoutSeconds,
          triggers: [nats?.revision ?? 0, noetl.revision, gateway?.revision ?? 0],
        },
        { dependsOn: [noetl, ...(gateway ? [gateway] : [])] },
      )
    : undefined;

  return {
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
  };
}
