import type { Settings } from "./schema";

/** How long Helm waits for a release's pods before it gives up, in seconds. On GKE a pod may first have to wait for a node. */
export const HELM_TIMEOUT_SECONDS = { kubernetes: 300, gke: 900 } as const;

/** The same, in the updates of a stack. */
export const helmTimeoutSeconds = ({ platform }: Settings): number =>
  platform === "gke" ? HELM_TIMEOUT_SECONDS.gke : HELM_TIMEOUT_SECONDS.kubernetes;
