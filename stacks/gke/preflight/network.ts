import type { GoogleApi } from "./api";
import type { GkeSettings } from "./facts";

/** Whether the network that a new cluster is to stand in is there, and its subnetwork in the region. */
export async function networkProblems(settings: GkeSettings, network: string, api: GoogleApi): Promise<string[]> {
  const { projectId, region, subnetwork = "default" } = settings;
  const [networkFound, subnetworkFound] = await Promise.all([
    api.get("compute", `projects/${projectId}/global/networks/${network}`),
    api.get("compute", `projects/${projectId}/regions/${region}/subnetworks/${subnetwork}`),
  ]);
  const problems: string[] = [];
  if (networkFound.kind === "absent")
    problems.push(
      `network: there is no network "${network}" in project ${projectId}; allowed: one that is there, or unset it for one of the stack's own`,
    );
  if (subnetworkFound.kind === "absent")
    problems.push(
      `subnetwork: there is no subnetwork "${subnetwork}" in ${region} of project ${projectId}; allowed: one of network "${network}"`,
    );
  if (subnetworkFound.kind === "found") {
    const { network: owner = "" } = subnetworkFound.body as { network?: string };
    if (!owner.endsWith(`/networks/${network}`))
      problems.push(
        `subnetwork: "${subnetwork}" belongs to network "${owner.split("/").at(-1)}"; allowed: one of network "${network}"`,
      );
  }
  return problems;
}

/** What this stack would make in a network that belongs to another project (Shared VPC), where it has no say. */
export function sharedNetworkProblems(settings: GkeSettings, networkId: string): string[] {
  const [, host = ""] = networkId.split("/");
  if (host === settings.projectId) return [];
  return (
    [
      ["createServiceConnection", "its connection to Google's services is made"],
      ["cloudSqlProxyEgressRule", "its firewall rules are made"],
    ] as const
  )
    .filter(([key]) => settings[key])
    .map(
      ([key, made]) => `${key}: the cluster's network belongs to project ${host}, and ${made} there; allowed: false`,
    );
}
