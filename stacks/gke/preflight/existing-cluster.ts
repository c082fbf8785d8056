import type { Answer, GoogleApi } from "./api";
import type { ExistingCluster, GkeSettings } from "./facts";
import { sharedNetworkProblems } from "./network";

/** A cluster as the Kubernetes Engine API gives it, as far as it is read. */
export interface ClusterBody {
  status?: string;
  endpoint?: string;
  masterAuth?: { clusterCaCertificate?: string };
  controlPlaneEndpointsConfig?: {
    dnsEndpointConfig?: { endpoint?: string; allowExternalTraffic?: boolean };
    ipEndpointsConfig?: { enabled?: boolean; enablePublicEndpoint?: boolean };
  };
  network?: string;
  networkConfig?: { network?: string; datapathProvider?: string };
  /** Calico, which enforces NetworkPolicies where Dataplane V2 does not. */
  networkPolicy?: { enabled?: boolean };
  ipAllocationPolicy?: { useIpAliases?: boolean };
  addonsConfig?: { httpLoadBalancing?: { disabled?: boolean } };
  initialClusterVersion?: string;
  currentMasterVersion?: string;
  autopilot?: { enabled?: boolean };
  workloadIdentityConfig?: { workloadPool?: string };
  nodePools?: { name?: string; config?: { workloadMetadataConfig?: { mode?: string } } }[];
}

/** What the program needs to know of a cluster. */
export function clusterOf(body: ClusterBody, projectId: string): ExistingCluster {
  return {
    ...endpointOf(body),
    networkId: body.networkConfig?.network ?? `projects/${projectId}/global/networks/${body.network ?? "default"}`,
    createdWith: body.initialClusterVersion ?? body.currentMasterVersion ?? "",
    autopilot: body.autopilot?.enabled ?? false,
    workloadPool: body.workloadIdentityConfig?.workloadPool,
  };
}

/** What the user should know of a cluster whose network takes NetworkPolicies and does nothing with them. */
export function enforcementWarnings({ clusterName, networkPolicies }: GkeSettings, body: ClusterBody): string[] {
  const enforces =
    body.autopilot?.enabled ||
    body.networkPolicy?.enabled ||
    body.networkConfig?.datapathProvider === "ADVANCED_DATAPATH";
  return networkPolicies && !enforces
    ? [
        `networkPolicies: cluster "${clusterName}" takes NetworkPolicies and does not enforce them, so that every pod reaches NoETL's API: ` +
          `gcloud container clusters update ${clusterName} --update-addons=NetworkPolicy=ENABLED, and then --enable-network-policy, ` +
          "which recreates its nodes; or a cluster with Dataplane V2.",
      ]
    : [];
}

/** The control plane's name, where it leads in from outside. */
function nameOf({ controlPlaneEndpointsConfig }: ClusterBody): string | undefined {
  const { endpoint, allowExternalTraffic } = controlPlaneEndpointsConfig?.dnsEndpointConfig ?? {};
  return allowExternalTraffic ? endpoint : undefined;
}

/**
 * How the control plane is reached: by its address, or by its name where it has no public address and the name leads in from
 * outside. A private address alone serves callers in its network.
 */
function endpointOf(body: ClusterBody): Pick<ExistingCluster, "endpoint" | "caCertificate"> {
  const { enabled, enablePublicEndpoint } = body.controlPlaneEndpointsConfig?.ipEndpointsConfig ?? {};
  const name = nameOf(body);
  if (name !== undefined && (enabled === false || enablePublicEndpoint === false)) return { endpoint: name };
  return { endpoint: body.endpoint ?? "", caCertificate: body.masterAuth?.clusterCaCertificate };
}

/** Why the stack cannot be deployed onto the cluster that it names. */
export async function clusterProblems(settings: GkeSettings, found: Answer, api: GoogleApi): Promise<string[]> {
  const { projectId, region, clusterName } = settings;
  if (found.kind === "forbidden")
    return [
      `clusterName: "${clusterName}" cannot be read: ${found.message}; allowed: a login with role roles/container.admin, or roles/container.viewer for a preview alone`,
    ];
  if (found.kind !== "found") {
    const all = await api.get("container", `projects/${projectId}/locations/-/clusters`);
    const clusters = all.kind === "found" ? ((all.body.clusters ?? []) as { name: string; location: string }[]) : [];
    const names = clusters.map(({ name, location }) => `${name} in ${location}`).sort();
    return [
      `clusterName: there is no cluster "${clusterName}" in ${region} of project ${projectId}, and createCluster is false; ` +
        `allowed: ${names.join(", ") || "none, the project has no cluster"}; or createCluster true`,
    ];
  }
  const body = found.body as ClusterBody;
  return [
    ...readinessProblems(settings, body),
    ...(settings.exposure === "ingress" ? ingressProblems(settings, body) : []),
    ...(settings.useCloudSql ? cloudSqlProblems(settings, body) : []),
  ];
}

/**
 * Why the control plane of a cluster that the stack has made cannot be reached in the way that `controlPlaneAccess` asks for from now
 * on: the engine uses that way already when it previews the change that is to open it.
 */
export function accessProblems(settings: GkeSettings, found: Readonly<Record<string, unknown>>): string[] {
  const { clusterName, region, controlPlaneAccess: access } = settings;
  const body = found as ClusterBody;
  const open = (flag: string) => `gcloud container clusters update ${clusterName} --region ${region} --${flag}`;
  if (access === "dns")
    return nameOf(body) === undefined
      ? [
          `controlPlaneAccess: dns reaches cluster "${clusterName}" by its name, which lets nobody in from outside yet; allowed: dns after ` +
            `${open("enable-dns-access")}, which changes nothing else; or authorized or public`,
        ]
      : [];
  return body.controlPlaneEndpointsConfig?.ipEndpointsConfig?.enabled === false
    ? [
        `controlPlaneAccess: ${access} reaches cluster "${clusterName}" by its address, which is off; allowed: ${access} after ` +
          `${open("enable-ip-access")}; or dns`,
      ]
    : [];
}

function readinessProblems({ clusterName }: GkeSettings, body: ClusterBody): string[] {
  const problems: string[] = [];
  if (body.status !== "RUNNING" && body.status !== "RECONCILING")
    problems.push(
      `clusterName: cluster "${clusterName}" is ${body.status ?? "in an unknown state"}; allowed: a running one`,
    );
  if (body.controlPlaneEndpointsConfig?.ipEndpointsConfig?.enabled === false && nameOf(body) === undefined)
    problems.push(
      `clusterName: the control plane of "${clusterName}" has no address, and its name leads in from Google Cloud alone; allowed: one ` +
        `that is reached from outside (gcloud container clusters update ${clusterName} --enable-dns-access)`,
    );
  return problems;
}

/** What the charts' ingress, with its NEGs, needs of a cluster. */
function ingressProblems({ clusterName }: GkeSettings, body: ClusterBody): string[] {
  const problems: string[] = [];
  if (body.addonsConfig?.httpLoadBalancing?.disabled)
    problems.push(
      `exposure: ingress needs the HTTP load balancing add-on, which is off in cluster "${clusterName}"; allowed: load-balancer, or ` +
        `gcloud container clusters update ${clusterName} --update-addons HttpLoadBalancing=ENABLED`,
    );
  if (!body.autopilot?.enabled && body.ipAllocationPolicy?.useIpAliases !== true)
    problems.push(
      `exposure: ingress leads to pods themselves, which only a VPC-native cluster can, and "${clusterName}" is not one; allowed: load-balancer`,
    );
  return problems;
}

/** What the Auth Proxy's login by Workload Identity needs of a cluster, and the database of its network. */
function cloudSqlProblems(settings: GkeSettings, body: ClusterBody): string[] {
  const { projectId, clusterName } = settings;
  const { workloadPool, networkId, autopilot } = clusterOf(body, projectId);
  const problems = sharedNetworkProblems(settings, networkId);
  if (workloadPool === undefined)
    return [
      `useCloudSql: cluster "${clusterName}" has no Workload Identity, by which the Auth Proxy logs in; allowed: a cluster with it ` +
        `(gcloud container clusters update ${clusterName} --workload-pool ${projectId}.svc.id.goog), or useCloudSql false`,
      ...problems,
    ];
  const without = autopilot
    ? []
    : (body.nodePools ?? []).filter(({ config }) => config?.workloadMetadataConfig?.mode !== "GKE_METADATA");
  if (without.length > 0)
    problems.push(
      `useCloudSql: node pools ${without.map(({ name }) => name).join(", ")} of cluster "${clusterName}" hide Workload Identity from their pods, ` +
        "and the Auth Proxy would log in as the node; allowed: gcloud container node-pools update POOL " +
        `--cluster ${clusterName} --workload-metadata GKE_METADATA, or useCloudSql false`,
    );
  return problems;
}
