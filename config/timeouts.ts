import type { Settings } from "./schema";

/**
 * How long a worker that is stopped may take to finish its commands, in seconds, where the settings do not say. Line B of
 * NoETL gives a command 180 s and 30 s on top; 2.8 has no limit of its own.
 */
export const DEFAULT_STOP_SECONDS = 300;

/** How long Helm waits for a release's pods before it gives up, in seconds. On GKE a pod may first have to wait for a node. */
export const HELM_TIMEOUT_SECONDS = { kubernetes: 300, gke: 900 } as const;

/** The same, in the updates of a stack. */
export const helmTimeoutSeconds = ({ platform }: Settings): number =>
  platform === "gke" ? HELM_TIMEOUT_SECONDS.gke : HELM_TIMEOUT_SECONDS.kubernetes;
