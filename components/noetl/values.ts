import * as pulumi from "@pulumi/pulumi";
import {
  type NoetlFacts,
  serverEnvironment,
  type StreamNames,
  workerEnvironment,
  type WorkerTuning,
} from "../../contract/env";
import { LOCATIONS, natsUrl, serviceHost } from "../../contract/facts";
import { INBOX_VARIABLE, roleInbox } from "../../contract/nats/roles";
import { derived } from "../arguments";
import type { NamespacePolicy } from "../network-policies/manifests";
import { imageValues, type IngressArgs, ingressValues, type Inputs, type Resources, zoneSpread } from "../shared";

/** How a NoETL component reaches NATS. */
export interface NatsConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  user: pulumi.Input<string>;
  /** Letters, digits and `. _ ~ -` only: NoETL's clients take it from the URL undecoded. */
  password: pulumi.Input<string>;
  /** Whether the server demands TLS. Default false. */
  tls?: boolean;
  /** Authorities that are trusted beside those of the image, PEM. Default: none. */
  ca?: pulumi.Input<string>;
  /**
   * Another text wherever the servers restarted. It rolls the pods that connect: the stream is held in memory and
   * the server creates it at its own start only, so it would be gone until somebody restarts NoETL.
   */
  serversRevision?: pulumi.Input<string>;
}

/** Connections of server and workers where each has a login of its own, which may get answers below {@link roleInbox} alone. */
export interface NatsLogins {
  server: NatsConnection;
  worker: NatsConnection;
}

/** Annotation of pods that shall restart after NATS's servers. */
const SERVERS_ANNOTATION = "noetl-nats/nats-servers-revision";

/** Annotations that roll a chart's pods when NATS's servers have restarted. */
export const rollsWithServers = ({ serversRevision }: NatsConnection) =>
  serversRevision === undefined ? undefined : { [SERVERS_ANNOTATION]: serversRevision };

/** How NoETL reaches its database. */
export interface DatabaseConnection {
  host: pulumi.Input<string>;
  port: pulumi.Input<number>;
  database: pulumi.Input<string>;
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
  /** The administrator's password, which made role and schema. NoETL does not get it. */
  adminPassword?: pulumi.Input<string>;
}

/** Pods that a rollout adds and may miss, whole numbers; unset means the chart's. */
export interface Rollout {
  maxSurge?: pulumi.Input<number>;
  maxUnavailable?: pulumi.Input<number>;
}

/** The namespace that playbooks' jobs have to themselves. */
export interface JobsArgs {
  /** Its name; the component creates it. Default `noetl-jobs`. A playbook has to name it. */
  namespace?: pulumi.Input<string>;
  /** Its NetworkPolicies, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
}

export interface NoetlValuesArgs {
  namespace: pulumi.Input<string>;
  image: pulumi.Input<string>;
  logLevel: pulumi.Input<string>;
  serverReplicas: pulumi.Input<number>;
  workerReplicas: pulumi.Input<number>;
  nodePort?: pulumi.Input<number>;
  nats: NatsConnection;
  natsLogins?: NatsLogins;
  names: Inputs<StreamNames>;
  tuning: Inputs<WorkerTuning>;
  database: DatabaseConnection;
  serverResources?: Resources;
  workerResources?: Resources;
  workerInitResources?: Resources;
  /** `terminationGracePeriodSeconds` of the workers. */
  workerStopSeconds: pulumi.Input<number>;
  /** Namespace of playbooks' jobs; false: there are none. Default: NoETL's own. */
  jobsNamespace?: pulumi.Input<string> | false;
  /** Limit of `/tmp`. Default: the chart's. */
  tmpSize?: pulumi.Input<string>;
  /** Default true, in the chart. */
  readOnlyRootFilesystem?: pulumi.Input<boolean>;
  rollout?: Rollout;
  /** Further environment variables, over those that follow from the other arguments. */
  serverEnv?: Record<string, pulumi.Input<string>>;
  workerEnv?: Record<string, pulumi.Input<string>>;
  spreadZones?: boolean;
  serviceAnnotations?: Record<string, pulumi.Input<string>>;
  ingress?: IngressArgs;
  credentialsRevision: pulumi.Input<string>;
  chartDigest?: string;
}

/** NATS_URL with the credentials inside; a secret. */
export function natsUrlOf(nats: NatsConnection): pulumi.Output<string> {
  const { tls = false } = nats;
  return pulumi.secret(
    pulumi
      .all([nats.user, nats.password, nats.host, nats.port])
      .apply(([user, password, host, port]) => natsUrl({ user, password, host, port, tls })),
  );
}

/** What the variables of a part follow from. */
const factsOf = (
  { names, tuning }: Pick<NoetlValuesArgs, "names" | "tuning">,
  nats: NatsConnection,
): NoetlFacts<pulumi.Input<string>> => ({
  url: natsUrlOf(nats),
  user: nats.user,
  password: pulumi.secret(nats.password),
  names,
  tuning: {
    fetchTimeoutSeconds: derived(tuning.fetchTimeoutSeconds, String),
    fetchHeartbeatSeconds: derived(tuning.fetchHeartbeatSeconds, String),
    maxAckPending: derived(tuning.maxAckPending, String),
    maxDeliver: derived(tuning.maxDeliver, String),
  },
});

/** Values of the NoETL chart, on the paths that upstream's chart has too. */
export function noetlValues(args: NoetlValuesArgs): Record<string, unknown> {
  const { server = args.nats, worker = args.nats } = args.natsLogins ?? {};
  const inbox = (role: "server" | "worker") => args.natsLogins && roleInbox(role);
  const shared = {
    LOG_LEVEL: args.logLevel,
    NOETL_SERVER_URL: pulumi
      .output(args.namespace)
      .apply((place) => `http://${serviceHost(LOCATIONS.noetl.service, place)}:${LOCATIONS.noetl.port}`),
  };
  return {
    namespace: args.namespace,
    image: imageValues(args.image),
    server: { replicas: args.serverReplicas, ...podValues("noetl-server", args.serverResources, args) },
    worker: {
      replicas: args.workerReplicas,
      terminationGracePeriodSeconds: args.workerStopSeconds,
      ...podValues("noetl-worker", args.workerResources, args),
      initResources: args.workerInitResources,
      jobs: jobsValues(args.jobsNamespace),
    },
    service: args.serviceAnnotations && { annotations: args.serviceAnnotations },
    ingress: args.ingress && ingressValues(args.ingress),
    externalService:
      args.nodePort === undefined
        ? { enabled: false }
        : { enabled: true, type: "NodePort", port: LOCATIONS.noetl.port, nodePort: args.nodePort },
    persistence: {
      data: { enabled: false },
      logs: { enabled: false },
      tmp: args.tmpSize && { size: args.tmpSize },
    },
    readOnlyRootFilesystem: args.readOnlyRootFilesystem,
    config: {
      server: {
        ...shared,
        ...serverEnvironment(factsOf(args, server)),
        [INBOX_VARIABLE]: inbox("server"),
        POSTGRES_HOST: args.database.host,
        POSTGRES_PORT: pulumi.output(args.database.port).apply(String),
        NOETL_POSTGRES_DB: args.database.database,
        NOETL_USER: args.database.user,
        ...args.serverEnv,
      },
      worker: {
        ...shared,
        ...workerEnvironment(factsOf(args, worker)),
        [INBOX_VARIABLE]: inbox("worker"),
        ...args.workerEnv,
      },
    },
    secrets: {
      noetlPassword: pulumi.secret(args.database.password),
      revision: args.credentialsRevision,
    },
    natsCa: args.nats.ca,
    chartDigest: args.chartDigest,
  };
}

/** Only this package's chart knows them; upstream's reads none of it. */
const jobsValues = (namespace: pulumi.Input<string> | false | undefined) =>
  namespace === undefined ? undefined : namespace === false ? { enabled: false } : { enabled: true, namespace };

function podValues(
  app: string,
  resources: Resources | undefined,
  args: Pick<NoetlValuesArgs, "nats" | "rollout" | "spreadZones">,
) {
  return {
    podAnnotations: rollsWithServers(args.nats),
    resources,
    strategy: args.rollout && { type: "RollingUpdate", rollingUpdate: { ...args.rollout } },
    topologySpreadConstraints: args.spreadZones ? zoneSpread(app) : undefined,
  };
}
