/** What a stack's settings declare in NATS beyond NoETL: lists of JSON, checked as the contract's own inputs are. */
import { declaredProblems } from "../contract/declared/problems";
import { consumerTerms, streamSubjects } from "../contract/inputs";
import { declaresAnything, type Declared } from "../contract/declared/types";
import { STREAM } from "../contract/facts";
import { lineTerms } from "./lines";
import type { Settings } from "./schema";

/** Copies beyond three cost every publish time, and a cluster of five bears no more losses by them. */
const MOST_REPLICAS = 3;

/** Replicas of NoETL's stream and buckets: what NoETL itself creates has one, in a cluster too. */
export const streamReplicas = ({
  contractMode,
  deployNats,
  natsReplicas,
}: Pick<Settings, "contractMode" | "deployNats" | "natsReplicas">): number =>
  contractMode === "ensure" && deployNats ? Math.min(natsReplicas, MOST_REPLICAS) : STREAM.replicas;

/** The settings of a stack that declare something. */
const NAMES = {
  streams: "natsStreams",
  consumers: "natsConsumers",
  buckets: "natsBuckets",
  objectStores: "natsObjectStores",
} as const;

/** What a stack declares; undefined where it declares nothing. */
export function declaredOf(settings: Settings): Declared | undefined {
  const declared: Declared = Object.fromEntries(
    Object.entries(NAMES).flatMap(([list, key]) => (settings[key].length > 0 ? [[list, settings[key]]] : [])),
  );
  return declaresAnything(declared) ? declared : undefined;
}

/** What is wrong with what the settings declare, one sentence each. */
export function declaredConflicts(settings: Settings): string[] {
  const terms = { subject: settings.natsSubject, consumer: settings.natsConsumer, ...lineTerms(settings) };
  return declaredProblems(declaredOf(settings), {
    names: NAMES,
    noetl: settings.deployNoetl
      ? {
          stream: settings.natsStream,
          subjects: streamSubjects(terms),
          consumers: consumerTerms(terms).map(({ name }) => name),
          retention: STREAM.retention,
          replicas: streamReplicas(settings),
          buckets: settings.deployGateway ? [settings.natsSessionBucket, settings.natsRequestBucket] : [],
        }
      : undefined,
    servers: settings.deployNats ? settings.natsReplicas : undefined,
  });
}
