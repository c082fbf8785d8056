import type { Settings } from "../../../config/schema";

/** A cluster that is there already. */
export interface ExistingCluster {
  /** Host of the control plane, by address or by name. */
  readonly endpoint: string;
  /** Its certificate authority; unset where the endpoint has a name, whose certificate is a public one. */
  readonly caCertificate?: string;
  /** Its network, `projects/PROJECT/global/networks/NAME`; of another project where that one shares it. */
  readonly networkId: string;
  /** Version that it was created with, by which Autopilot's rules go. */
  readonly createdWith: string;
  readonly autopilot: boolean;
  readonly workloadPool: string | undefined;
}

export interface Facts {
  /** The cluster to deploy onto, where none is created. */
  readonly cluster: ExistingCluster | undefined;
  /** False where the quotas cannot be read before the project's APIs are enabled. */
  readonly quotasRead: boolean;
  /** What the user should know although nothing stops. */
  readonly warnings: readonly string[];
}

/** Settings that are known to be complete: `projectId` is one of them on GKE. */
export type GkeSettings = Settings & { readonly projectId: string };
