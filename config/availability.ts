/** How many NATS servers a stack has, and where its stream is kept. Why: docs/decisions/0017-three-servers.md. */
import { LINE_PROFILES } from "../contract/lines";
import { stackLine } from "./lines";
import type { GivenSettings, Settings } from "./schema";

/** NATS servers of a stack on GKE where it does not say: the loss of a node then stops nothing. */
const GKE_SERVERS = 3;

/** Servers and mode where they are unset: on GKE a stream that outlives the loss of a node, which only mode `ensure` makes. */
export function natsServers({ platform, deployNats, natsReplicas, contractMode }: GivenSettings) {
  const isOnGke = platform === "gke" && deployNats;
  return {
    natsReplicas: natsReplicas ?? (isOnGke ? GKE_SERVERS : 1),
    contractMode: contractMode ?? (isOnGke ? "ensure" : "assert"),
  };
}

/** A storage that nobody would make: NoETL makes its stream as its line does. */
export function storageConflicts(settings: Settings): string[] {
  const { natsStreamStorage: storage, contractMode, deployNoetl } = settings;
  const { line } = stackLine(settings);
  const own = LINE_PROFILES[line].storage;
  if (storage === undefined || storage === own || contractMode === "ensure" || !deployNoetl) return [];
  return [
    `natsStreamStorage: "${storage}" has no effect with contractMode assert, where NoETL itself makes the stream, in ${own}; ` +
      `allowed: ${own}, or contractMode ensure; for example ${own}`,
  ];
}
