import { LINE_PROFILES } from "../contract/lines";
import { roleInbox } from "../contract/nats/roles";
import type { ContractArguments } from "../contract/inputs";
import { servicePlace } from "../contract/service-host";
import { declaredOf, streamReplicas } from "./declared";
import { lineTerms, stackLine } from "./lines";
import { type Settings } from "./schema";

/** The gateway's prefixes and buckets as a stack's settings name them. TTLs in seconds. */
export const gatewaySubjects = (settings: Settings) => ({
  updatesSubjectPrefix: settings.natsUpdatesSubjectPrefix,
  callbackSubjectPrefix: settings.natsCallbackSubjectPrefix,
  sessionBucket: settings.natsSessionBucket,
  sessionTtlSeconds: settings.natsSessionCacheTtlSeconds,
  requestBucket: settings.natsRequestBucket,
  requestTtlSeconds: settings.natsRequestTtlSeconds,
});

/** Names of the stream contract. */
export const streamNames = (settings: Settings) => ({
  stream: settings.natsStream,
  subject: settings.natsSubject,
  consumer: settings.natsConsumer,
});

/** How the workers pull. Times in seconds. */
export const workerTuning = (settings: Settings) => ({
  fetchTimeoutSeconds: settings.workerFetchTimeoutSeconds,
  fetchHeartbeatSeconds: settings.workerFetchHeartbeatSeconds,
  maxAckPending: settings.workerMaxAckPending,
  maxDeliver: settings.workerMaxDeliver,
});

/** NoETL's own logins as the contract takes them, where parts have one each; one without the other cannot be tried. */
export const contractLogins = <T>({
  server,
  worker,
}: { readonly server?: Login<T>; readonly worker?: Login<T> } = {}) =>
  server && worker
    ? {
        noetlLogin: {
          user: server.user,
          password: server.password,
          inbox: roleInbox("server"),
          worker: { user: worker.user, password: worker.password, inbox: roleInbox("worker") },
        },
      }
    : {};

interface Login<T> {
  readonly user: T;
  readonly password: T;
}

/** What a stack declares beyond NoETL, and whether that is all there is. */
function declaredTerms(settings: Settings): Pick<ContractArguments, "declared" | "declaredOnly"> {
  const declared = declaredOf(settings);
  if (!declared) return {};
  return settings.deployNoetl ? { declared } : { declared, declaredOnly: true };
}

/**
 * What a stack's settings say about its stream contract: what a deployment proves, and what `verify` and `doctor` ask for
 * again. The way to NATS and the deadline are the caller's.
 */
export const contractTerms = (settings: Settings) => ({
  ...streamNames(settings),
  ...lineTerms(settings),
  expect: {
    replicas: streamReplicas(settings),
    storage: settings.natsStreamStorage,
    ...lineTerms(settings).expect,
  },
  worker: {
    // The workers of some lines take neither from their settings.
    ...(LINE_PROFILES[stackLine(settings).line].limits ?? {
      maxAckPending: settings.workerMaxAckPending,
      maxDeliver: settings.workerMaxDeliver,
    }),
    fetchTimeoutSeconds: settings.workerFetchTimeoutSeconds,
    replicas: settings.workerReplicas,
  },
  gateway: settings.deployGateway ? gatewaySubjects(settings) : undefined,
  ...declaredTerms(settings),
  strict: settings.contractStrict,
});

/**
 * The way to a NATS that the stack does not deploy: through the cluster, as `access` reaches it, to a Service, which has no address
 * outside of it; straight to any other host.
 */
export function externalConnection<T extends object>({ natsHost = "", natsPort: port }: Settings, access: T) {
  const place = servicePlace(natsHost);
  return place ? { ...access, ...place, port } : { servers: [`${natsHost}:${port}`] };
}
