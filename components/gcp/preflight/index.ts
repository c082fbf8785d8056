/**
 * What must be known before anything is created: the existing cluster, whether the quotas leave room for a new one,
 * whether the DNS zone holds the hosts. Everything that is wrong is told at once.
 */
import { ConfigError } from "../../../config/parse";
import type { Settings } from "../../../config/schema";
import { mebibytes } from "../rules/autopilot";
import { type Demand, needsOf, type Quota, quotaProblems } from "../rules/quota";
import { type Answer, GoogleApi } from "./api";

export { GoogleApi } from "./api";

/** A cluster that is there already. */
export interface ExistingCluster {
  readonly endpoint: string;
  readonly caCertificate: string;
  /** Its network, `projects/PROJECT/global/networks/NAME`; of another project where that one shares it. */
  readonly networkId: string;
  readonly version: string;
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
  if (!settings.createCluster) {
    cluster = found.kind === "found" ? clusterOf(found.body, projectId) : undefined;
    problems.push(...(await clusterProblems(settings, found, cluster, api)));
  } else if (found.kind !== "found") {
    // Once it exists its own usage counts against the quota, and nothing can be refused any more.
    const quota = await checkQuotas(settings, api);
    quotasRead = quota.read;
    (settings.enforceQuotas ? problems : warnings).push(...quota.problems);
    if (!quota.read)
      warnings.push(
        `The Compute Engine API of project ${projectId} is not enabled yet, so its quotas are checked during the update, before the ` +
          `network and the cluster are created. To check them now: gcloud services enable compute.googleapis.com --project ${projectId}`,
      );
  }
  if (zone) problems.push(...zoneProblems(settings, zone));
  if (problems.length > 0) throw new ConfigError(problems);
  return { cluster, quotasRead, warnings };
}

/** Quotas against the demand of a new cluster; `read` is false where the Compute Engine API is not enabled yet. */
export async function checkQuotas(
  settings: GkeSettings,
  api: GoogleApi,
): Promise<{ read: boolean; problems: string[] }> {
  const { projectId, region } = settings;
  const [project, regional] = await Promise.all([
    api.get("compute", `projects/${projectId}`),
    api.get("compute", `projects/${projectId}/regions/${region}`),
  ]);
  if (project.kind === "disabled" || regional.kind === "disabled") return { read: false, problems: [] };
  if (project.kind === "absent")
    return { read: true, problems: [`projectId: there is no project "${projectId}" that this login can see`] };
  if (regional.kind === "absent")
    return { read: true, problems: [`region: there is no region "${region}"; for example us-central1`] };
  for (const answer of [project, regional]) {
    if (answer.kind === "forbidden")
      return {
        read: true,
        problems: [
          `enforceQuotas: the quotas of project ${projectId} cannot be read: ${answer.message}; allowed: role roles/compute.viewer for this login, ` +
            "or enforceQuotas false",
        ],
      };
  }
  const needs = needsOf(demandOf(settings));
  const problems = [
    ...quotaProblems(quotasOf(project), needs.project, { place: `project ${projectId}`, project: projectId }),
    ...quotaProblems(quotasOf(regional), needs.region, {
      place: `region ${region} of project ${projectId}`,
      project: projectId,
    }),
  ];
  return {
    read: true,
    problems: problems.map((problem) => `enforceQuotas: ${problem}; or set enforceQuotas false, or minFreeCpus lower`),
  };
}

/** What the stack asks of the quotas. */
export function demandOf(settings: Settings): Demand {
  const gigabytes = (quantity: string) => Math.ceil(mebibytes(quantity) / 1024);
  const ingress = settings.exposure === "ingress";
  const ownAddress = settings.deployGateway && settings.gatewayAddressName === undefined;
  return {
    cpus: settings.minFreeCpus,
    ssdGigabytes:
      (settings.deployNats ? settings.natsReplicas * gigabytes(settings.natsJetstreamFileSize) : 0) +
      (settings.deployNoetl && settings.deployPostgres ? gigabytes(settings.postgresStorageSize) : 0),
    addresses: settings.exposure === "load-balancer" && ownAddress ? 1 : 0,
    globalAddresses: ingress ? (ownAddress ? 1 : 0) + (settings.noetlHost ? 1 : 0) : 0,
  };
}

function quotasOf(answer: Answer): Quota[] {
  const quotas = answer.kind === "found" ? answer.body.quotas : undefined;
  return Array.isArray(quotas) ? (quotas as Quota[]) : [];
}

interface ClusterBody {
  status?: string;
  endpoint?: string;
  masterAuth?: { clusterCaCertificate?: string };
  network?: string;
  networkConfig?: { network?: string };
  currentMasterVersion?: string;
  autopilot?: { enabled?: boolean };
  workloadIdentityConfig?: { workloadPool?: string };
}

function clusterOf(body: ClusterBody, projectId: string): ExistingCluster {
  return {
    endpoint: body.endpoint ?? "",
    caCertificate: body.masterAuth?.clusterCaCertificate ?? "",
    networkId: body.networkConfig?.network ?? `projects/${projectId}/global/networks/${body.network ?? "default"}`,
    version: body.currentMasterVersion ?? "",
    autopilot: body.autopilot?.enabled ?? false,
    workloadPool: body.workloadIdentityConfig?.workloadPool,
  };
}

async function clusterProblems(
  settings: GkeSettings,
  found: Answer,
  cluster: ExistingCluster | undefined,
  api: GoogleApi,
): Promise<string[]> {
  const { projectId, region, clusterName } = settings;
  if (found.kind === "forbidden")
    return [
      `clusterName: "${clusterName}" cannot be read: ${found.message}; allowed: a login with role roles/container.admin, or roles/container.viewer for a preview alone`,
    ];
  if (found.kind !== "found" || !cluster) {
    const all = await api.get("container", `projects/${projectId}/locations/-/clusters`);
    const clusters = all.kind === "found" ? ((all.body.clusters ?? []) as { name: string; location: string }[]) : [];
    const names = clusters.map(({ name, location }) => `${name} in ${location}`).sort();
    return [
      `clusterName: there is no cluster "${clusterName}" in ${region} of project ${projectId}, and createCluster is false; ` +
        `allowed: ${names.join(", ") || "none, the project has no cluster"}; or createCluster true`,
    ];
  }
  const { status } = found.body as ClusterBody;
  const problems: string[] = [];
  if (status !== "RUNNING" && status !== "RECONCILING")
    problems.push(
      `clusterName: cluster "${clusterName}" is ${status ?? "in an unknown state"}; allowed: a running one`,
    );
  if (settings.useCloudSql && cluster.workloadPool === undefined)
    problems.push(
      `useCloudSql: cluster "${clusterName}" has no Workload Identity, by which the Auth Proxy logs in; allowed: a cluster with it ` +
        `(gcloud container clusters update ${clusterName} --workload-pool ${projectId}.svc.id.goog), or useCloudSql false`,
    );
  if (settings.useCloudSql) problems.push(...sharedNetworkProblems(settings, cluster.networkId));
  return problems;
}

/** Whether the network that a new cluster is to stand in is there, and its subnetwork in the region. */
async function networkProblems(settings: GkeSettings, network: string, api: GoogleApi): Promise<string[]> {
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
function sharedNetworkProblems(settings: GkeSettings, networkId: string): string[] {
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

function zoneProblems(settings: GkeSettings, zone: Answer): string[] {
  const where = `"${settings.dnsZone}" of project ${settings.projectId}`;
  if (zone.kind === "disabled")
    return [`dnsZone: project ${settings.projectId} has no Cloud DNS, and so no zone ${where}`];
  if (zone.kind === "absent") return [`dnsZone: there is no zone ${where}`];
  if (zone.kind === "forbidden") return [`dnsZone: zone ${where} cannot be read: ${zone.message}`];
  const { dnsName = "", visibility } = zone.body as { dnsName?: string; visibility?: string };
  const problems: string[] = [];
  if (visibility === "private") problems.push(`dnsZone: zone ${where} is private, and certificates want a public one`);
  const domain = dnsName.replace(/\.$/, "");
  for (const key of ["gatewayHost", "noetlHost"] as const) {
    const host = settings[key];
    if (host !== undefined && host !== domain && !host.endsWith(`.${domain}`))
      problems.push(`${key}: "${host}" is not in zone ${where}; allowed: ${domain} and what ends with .${domain}`);
  }
  return problems;
}
