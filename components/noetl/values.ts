import * as pulumi from "@pulumi/pulumi";
import { serverEnvironment, type StreamNames, workerEnvironment, type WorkerTuning } from "../../contract/env";
import { LOCATIONS, natsUrl, serviceHost } from "../../contract/facts";
import { type IngressArgs, ingressValues, type Resources, splitImage, zoneSpread } from "../shared";

/** How a NoETL component reaches NATS. */
export interface NatsConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  user: pulumi.Input<string>;
  /** Letters, digits and `. _ ~ -` only: NoETL's clients take it from the URL undecoded. */
  password: pulumi.Input<string>;
  /**
   * Another text wherever the servers restarted. It rolls the pods that connect: the stream is held in memory and
   * the server creates it at its own start only, so it would be gone until somebody restarts NoETL.
   */
  serversRevision?: pulumi.Input<string>;
}

/** Annotation of pods that shall restart after NATS's servers. */
const SERVERS_ANNOTATION = "noetl-nats/nats-servers-revision";

/** Values that roll a chart's pods when NATS's servers have restarted. */
export const rollsWithServers = (nats: NatsConnection) =>
  nats.serversRevision === undefined ? {} : { podAnnotations: { [SERVERS_ANNOTATION]: nats.serversRevision } };

/** How NoETL reaches its database. */
export interface DatabaseConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  database: pulumi.Input<string>;
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
  /** The administrator's password, which NoETL's server reads for its set-up tasks. */
  adminPassword: pulumi.Input<string>;
}

/** Pods that a rollout adds and may miss, whole numbers; unset means the chart's. */
export interface Rollout {
  maxSurge?: number;
  maxUnavailable?: number;
}

export interface NoetlValuesArgs {
  namespace: pulumi.Input<string>;
  image: string;
  logLevel: string;
  serverReplicas: number;
  workerReplicas: number;
  nodePort?: number;
  nats: NatsConnection;
  names: StreamNames;
  tuning: WorkerTuning;
  database: DatabaseConnection;
  serverResources?: Resources;
  workerResources?: Resources;
  workerInitResources?: Resources;
  /** `terminationGracePeriodSeconds` of the workers. */
  workerStopSeconds: number;
  rollout?: Rollout;
  /** Further environment variables, over those that follow from the other arguments. */
  serverEnv?: Record<string, string>;
  workerEnv?: Record<string, string>;
  spreadZones?: boolean;
  serviceAnnotations?: Record<string, pulumi.Input<string>>;
  ingress?: IngressArgs;
  credentialsRevision: pulumi.Input<string>;
  chartDigest?: string;
}

/** NATS_URL with the credentials inside; a secret. */
export function natsUrlOf(nats: NatsConnection): pulumi.Output<string> {
  return pulumi.secret(
    pulumi
      .all([nats.user, nats.password, nats.host, nats.port])
      .apply(([user, password, host, port]) => natsUrl({ user, password, host, port })),
  );
}

/** Values of the NoETL chart, on the paths that upstream's chart has too. */
export function noetlValues(args: NoetlValuesArgs): Record<string, unknown> {
  const facts = {
    url: natsUrlOf(args.nats) as pulumi.Input<string>,
    user: args.nats.user,
    password: pulumi.secret(args.nats.password),
    names: args.names,
    tuning: args.tuning,
  };
  const shared = {
    LOG_LEVEL: args.logLevel,
    NOETL_SERVER_URL: pulumi
      .output(args.namespace)
      .apply((place) => `http://${serviceHost(LOCATIONS.noetl.service, place)}:${LOCATIONS.noetl.port}`),
  };
  return {
    namespace: args.namespace,
    image: { ...splitImage(args.image), pullPolicy: "IfNotPresent" },
    server: { replicas: args.serverReplicas, ...podValues("noetl-server", args.serverResources, args) },
    worker: {
      replicas: args.workerReplicas,
      terminationGracePeriodSeconds: args.workerStopSeconds,
      ...podValues("noetl-worker", args.workerResources, args),
      ...(args.workerInitResources ? { initResources: args.workerInitResources } : {}),
    },
    ...(args.serviceAnnotations ? { service: { annotations: args.serviceAnnotations } } : {}),
    ...(args.ingress ? { ingress: ingressValues(args.ingress) } : {}),
    externalService:
      args.nodePort === undefined
        ? { enabled: false }
        : { enabled: true, type: "NodePort", port: LOCATIONS.noetl.port, nodePort: args.nodePort },
    persistence: { data: { enabled: false }, logs: { enabled: false } },
    config: {
      server: {
        ...shared,
        ...serverEnvironment(facts),
        POSTGRES_HOST: args.database.host,
        POSTGRES_PORT: pulumi.output(args.database.port).apply(String),
        NOETL_POSTGRES_DB: args.database.database,
        NOETL_USER: args.database.user,
        ...args.serverEnv,
      },
      worker: {
        ...shared,
        ...workerEnvironment(facts),
        ...args.workerEnv,
      },
    },
    secrets: {
      postgresPassword: pulumi.secret(args.database.adminPassword),
      noetlPassword: pulumi.secret(args.database.password),
      revision: args.credentialsRevision,
    },
    ...(args.chartDigest ? { chartDigest: args.chartDigest } : {}),
  };
}

function podValues(
  app: string,
  resources: Resources | undefined,
  args: Pick<NoetlValuesArgs, "nats" | "rollout" | "spreadZones">,
) {
  return {
    ...rollsWithServers(args.nats),
    ...(resources ? { resources } : {}),
    ...(args.rollout ? { strategy: { type: "RollingUpdate", rollingUpdate: { ...args.rollout } } } : {}),
    ...(args.spreadZones ? { topologySpreadConstraints: zoneSpread(app) } : {}),
  };
}
