import { natsServers } from "./availability";
import { resolveOrigins } from "./cors";
import { hasPolicies } from "./network";
import { CLOUD_SQL_POOLS } from "./resources";
import { SETTINGS, type GivenSettings, type Settings } from "./schema";
import { GKE_STORAGE_CLASS, HELM_TIMEOUT_SECONDS } from "../contract/defaults";

/**
 * Fills in what follows from other settings: NATS servers and the contract's mode, NetworkPolicies, the gateway's origins and, on GKE, its
 * address, pool sizes, the rollout.
 */
export function derived(given: GivenSettings): Settings {
  const settings: Settings = { ...given, ...natsServers(given), networkPolicies: hasPolicies(given) };
  if (settings.platform !== "gke") {
    const { corsAllowedOrigins: origins, corsAllowedDomains: domains } = settings;
    return {
      ...settings,
      corsAllowedOrigins: resolveOrigins({
        origins,
        domains,
        publicHosts: [],
        includeHttp: true,
        includeLocalhost: false,
      }),
    };
  }
  const isDefault = settings.corsAllowedOrigins.join() === SETTINGS.corsAllowedOrigins.default.join();
  return {
    ...settings,
    corsAllowedOrigins: resolveOrigins({
      // The default is made for a developer's machine.
      origins: isDefault ? [] : settings.corsAllowedOrigins,
      domains: settings.corsAllowedDomains,
      publicHosts: settings.corsIncludePublicHosts && settings.gatewayHost ? [settings.gatewayHost] : [],
      includeHttp: settings.corsIncludeHttp,
      includeLocalhost: settings.corsIncludeLocalhost,
    }),
    gatewayPublicUrl:
      settings.gatewayPublicUrl ??
      (settings.exposure === "ingress" && settings.gatewayHost ? `https://${settings.gatewayHost}` : undefined),
    // A surge of pods once exhausted the quota; replacing in place needs none.
    rolloutMaxSurge: settings.rolloutMaxSurge ?? 0,
    rolloutMaxUnavailable: settings.rolloutMaxUnavailable ?? 1,
    ...(settings.useCloudSql
      ? {
          serverPoolMaxSize: settings.serverPoolMaxSize ?? CLOUD_SQL_POOLS.server,
          workerPoolMaxSize: settings.workerPoolMaxSize ?? CLOUD_SQL_POOLS.worker,
        }
      : {}),
  };
}

/** NATS's volume, as the stack asks for it; without a StorageClass where the cluster's default is to make it. */
export function natsVolume(settings: Settings): {
  readonly storageClass?: string;
  readonly size: string;
  /** The setting that has its size: it has two names. */
  readonly sizeSetting: "natsJetstreamFileSize" | "natsJetstreamSize";
} {
  return {
    size: settings.natsJetstreamFileSize,
    sizeSetting: settings.natsJetstreamSize === undefined ? "natsJetstreamFileSize" : "natsJetstreamSize",
    storageClass: storageClassOf(settings, "nats"),
  };
}

/** StorageClass of a part's volumes; undefined where the cluster's default is to make them. */
export const storageClassOf = (settings: Settings, part: "nats" | "postgres"): string | undefined =>
  settings[`${part}StorageClass`] ?? (settings.platform === "gke" ? GKE_STORAGE_CLASS : undefined);

/** How long Helm, and the engine itself, wait for the pods of a part in the updates of a stack, in seconds. */
export const releaseTimeout = ({ platform, releaseTimeoutSeconds: asked }: Settings): number =>
  asked ?? (platform === "gke" ? HELM_TIMEOUT_SECONDS.gke : HELM_TIMEOUT_SECONDS.kubernetes);
