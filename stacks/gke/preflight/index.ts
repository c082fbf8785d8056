/**
 * What must be known before anything is created: the existing cluster, whether the quotas leave room for a new one, whether
 * network and DNS zone are what the settings take them for. Everything that is wrong is reported at once.
 */
import { ConfigError } from "../../../config/parse";
import type { GoogleApi } from "./api";
import { accessProblems, clusterOf, clusterProblems, enforcementWarnings } from "./existing-cluster";
import type { ExistingCluster, Facts, GkeSettings } from "./facts";
import { networkProblems } from "./network";
import { checkQuotas, unbilled } from "./quotas";
import { zoneProblems } from "./zone";

export { GoogleApi } from "./api";
export type { ExistingCluster, Facts, GkeSettings } from "./facts";
export { checkQuotas } from "./quotas";

/** @throws ConfigError with all problems; Error where Google Cloud cannot be reached. */
export async function preflight(settings: GkeSettings, api: GoogleApi): Promise<Facts> {
  const { projectId, region, clusterName } = settings;
  const path = `projects/${projectId}/locations/${region}/clusters/${clusterName}`;
  const [found, zone, absent] = await Promise.all([
    api.get("container", path),
    settings.dnsZone ? api.get("dns", `projects/${projectId}/managedZones/${settings.dnsZone}`) : undefined,
    settings.createCluster && settings.network ? networkProblems(settings, settings.network, api) : [],
  ]);
  const problems: string[] = [...absent];
  const warnings: string[] = [];
  let cluster: ExistingCluster | undefined;
  let quotasRead = true;
  if (found.kind === "unbilled") problems.push(unbilled(projectId));
  else if (!settings.createCluster) {
    if (found.kind === "found") {
      cluster = clusterOf(found.body, projectId);
      warnings.push(...enforcementWarnings(settings, found.body));
    }
    problems.push(...(await clusterProblems(settings, found, api)));
  } else if (found.kind === "found") problems.push(...accessProblems(settings, found.body));
  else {
    // Once it exists its own usage counts against the quota, and nothing can be refused any more.
    const quota = await checkQuotas(settings, api);
    quotasRead = quota.read;
    (settings.enforceQuotas ? problems : warnings).push(...quota.problems);
    if (!quota.read && !settings.enableApis)
      problems.push(
        `enableApis: false, and the Compute Engine API of project ${projectId} is off; allowed: true, or enable it by hand ` +
          `(gcloud services enable compute.googleapis.com container.googleapis.com --project ${projectId})`,
      );
    else if (!quota.read)
      warnings.push(
        `The Compute Engine API of project ${projectId} is not enabled yet, so its quotas are checked during the update, before the ` +
          `network and the cluster are created. To check them now: gcloud services enable compute.googleapis.com --project ${projectId}`,
      );
  }
  if (zone) problems.push(...zoneProblems(settings, zone));
  if (problems.length > 0) throw new ConfigError(problems);
  return { cluster, quotasRead, warnings };
}
