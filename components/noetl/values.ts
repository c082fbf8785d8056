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
import { imageValues, ingressValues, type Inputs, type Resources, zoneSpread } from "../shared";
import type { NatsConnection, NoetlArgs } from "./arguments";

/** Annotation of pods that shall restart after NATS's servers. */
const SERVERS_ANNOTATION = "noetl-nats/nats-servers-revision";

/** Annotations that roll a chart's pods when NATS's servers have restarted. */
export const rollsWithServers = ({ serversRevision }: NatsConnection) =>
  serversRevision === undefined ? undefined : { [SERVERS_ANNOTATION]: serversRevision };

/** Arguments that have a default of the component's. */
type Defaulted = "namespace" | "image" | "logLevel" | "serverReplicas" | "workerReplicas" | "workerStopSeconds";

/** The component's arguments with their defaults, and what follows from them. */
export interface NoetlValuesArgs
  extends Omit<NoetlArgs, Defaulted | "names" | "tuning">, Required<Pick<NoetlArgs, Defaulted>> {
  names: Inputs<StreamNames>;
  tuning: Inputs<WorkerTuning>;
  /** Namespace of playbooks' jobs; false: there are none. Default: NoETL's own. */
  jobsNamespace?: pulumi.Input<string> | false;
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
