import type { Settings } from "./schema";

/**
 * How long a worker that is stopped may take to finish its commands, in seconds, where the settings do not say:
 * NoETL cuts a command off after 180 s (NOETL_WORKER_COMMAND_TIMEOUT_SECONDS); the rest is for acknowledging and signing off.
 */
export const DEFAULT_STOP_SECONDS = 240;

/** How long Helm waits for a release's pods before it gives up, in seconds. On GKE a pod may first have to wait for a node. */
export const HELM_TIMEOUT_SECONDS = { kubernetes: 300, gke: 900 } as const;

/** The same, in the updates of a stack. */
export const helmTimeoutSeconds = ({ platform }: Settings): number =>
  platform === "gke" ? HELM_TIMEOUT_SECONDS.gke : HELM_TIMEOUT_SECONDS.kubernetes;
