/** What the gateway's list of allowed origins is made of. */
export interface CorsSources {
  /** Full origins as they are, and bare domains. */
  origins: readonly string[];
  /** Further bare domains. */
  domains: readonly string[];
  /** Public hosts of this stack; they are reached over https. */
  publicHosts: readonly string[];
  /** Whether bare domains stand for their pages over plain http, too. */
  includeHttp: boolean;
  /** Whether pages of a developer's machine may call. */
  includeLocalhost: boolean;
}

/** Where a developer's user interface listens. */
const LOCAL_ORIGIN = "http://localhost:3001";

/**
 * Origins that may call the gateway, without duplicates and in this order: localhost, public hosts, given origins, given
 * domains. A full origin stays as it is; a bare domain stands for `https://`, and for `http://` where that is wanted. Empty where nothing is
 * left, which the caller must refuse: the gateway would fall back to localhost and every browser would be turned away.
 *
 * Source: the resolution of NoETL's GKE playbook, which always takes both.
 */
export function resolveOrigins(sources: CorsSources): string[] {
  const both = (domain: string) => [`https://${domain}`, ...(sources.includeHttp ? [`http://${domain}`] : [])];
  return [
    ...new Set([
      ...(sources.includeLocalhost ? [LOCAL_ORIGIN] : []),
      ...sources.publicHosts.map((host) => `https://${host}`),
      ...sources.origins.flatMap((token) => (/^https?:\/\//.test(token) ? [token] : both(token))),
      ...sources.domains.flatMap(both),
    ]),
  ];
}
