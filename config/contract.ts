import { lineTerms } from "./lines";
import type { ContractArguments } from "../components/stream-contract/inputs";
import { declaredOf } from "./declared";
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
  // What NoETL itself creates has one replica, in a cluster too.
  expect: { replicas: settings.contractMode === "ensure" && settings.deployNats ? settings.natsReplicas : 1 },
  worker: {
    maxAckPending: settings.workerMaxAckPending,
    maxDeliver: settings.workerMaxDeliver,
    fetchTimeoutSeconds: settings.workerFetchTimeoutSeconds,
    replicas: settings.workerReplicas,
  },
  ...(settings.deployGateway ? { gateway: gatewaySubjects(settings) } : {}),
  ...declaredTerms(settings),
  strict: settings.contractStrict,
});
