/** Rules between the settings of a stack on Google Kubernetes Engine. */
import { cpuOf, fitPod, podProblem } from "../components/gcp/rules/autopilot";
import { connectionBudget, tierFor } from "../components/gcp/rules/connections";
import { podsOf } from "../components/gcp/rules/pods";
import { CLOUD_SQL_POOLS } from "./derive";
import { type Group, SETTINGS, type SettingKey, type Settings } from "./schema";
import { addressRange } from "./validate";

const GKE_GROUPS: readonly Group[] = ["GKE", "Cloud SQL", "Exposure on GKE"];
/** The same, among the settings of a part that stands everywhere. */
const GKE_KEYS: readonly SettingKey[] = ["corsIncludePublicHosts", "corsIncludeLocalhost"];

/** Settings that shape a new cluster and nothing else. */
const OF_A_NEW_CLUSTER: readonly SettingKey[] = [
  "releaseChannel",
  "privateNodes",
  "network",
  "subnetwork",
  "nodeCidr",
  "podCidr",
  "serviceCidr",
  "createNat",
  "minFreeCpus",
  "enforceQuotas",
];

/**
 * Everything about a stack's GKE settings that cannot work. `changed` tells whether a key has another value than its
 * default; `settings` are those of `derived`.
 */
export function gkeConflicts(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  if (settings.platform !== "gke") return strayKeys(changed);
  return [
    ...cluster(settings, changed),
    ...database(settings, changed),
    ...exposure(settings, changed),
    ...workloads(settings, changed),
  ];
}

/**
 * What may work and is not known to: a chart of the user's own behind a load balancer of Google's, which reads health check,
 * timeout and Identity-Aware Proxy from annotations of the Service.
 */
export function gkeDoubts(settings: Settings): string[] {
  const { exposure, deployGateway, deployNoetl, gatewayHost, noetlHost } = settings;
  const exposed: readonly (readonly ["gatewayChart" | "noetlChart", boolean])[] = [
    ["gatewayChart", deployGateway && (exposure === "load-balancer" || gatewayHost !== undefined)],
    ["noetlChart", deployNoetl && noetlHost !== undefined],
  ];
  return exposed
    .filter(([key, isExposed]) => exposure !== "internal" && isExposed && settings[key] !== SETTINGS[key].default)
    .map(
      ([key]) =>
        `${key}: "${settings[key]}" must put the values' service.annotations on its Service, and take an ingress as ` +
        `${SETTINGS[key].default} does; otherwise exposure ${exposure} leads nowhere. Upstream's charts do not.`,
    );
}

/** Keys of GKE on another platform: the stack would go to whatever cluster the kubeconfig names. */
function strayKeys(changed: (key: SettingKey) => boolean): string[] {
  const stray = (Object.keys(SETTINGS) as SettingKey[]).filter(
    (key) => (GKE_GROUPS.includes(SETTINGS[key].group) || GKE_KEYS.includes(key)) && changed(key),
  );
  return stray.length === 0
    ? []
    : [`platform: "kubernetes" has no use for ${stray.join(", ")}; allowed: unset them, or platform gke`];
}

function cluster(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  const problems: string[] = [];
  if (settings.projectId === undefined)
    problems.push(`projectId: must be set because platform is gke; for example ${SETTINGS.projectId.example}`);
  for (const key of ["kubeContext", "kubeconfig"] as const) {
    if (settings[key] !== undefined)
      problems.push(
        `${key}: contradicts platform gke, which reaches the cluster by projectId, region and clusterName; unset it`,
      );
  }
  if (!settings.createCluster) {
    const useless = OF_A_NEW_CLUSTER.filter(changed);
    if (useless.length > 0)
      problems.push(
        `createCluster: false has no use for ${useless.join(", ")}: the cluster exists as it is; unset them`,
      );
    return problems;
  }
  if (settings.network !== undefined) {
    const useless = (["nodeCidr", "podCidr", "serviceCidr"] as const).filter(changed);
    if (useless.length > 0)
      problems.push(`network: "${settings.network}" exists and has ranges of its own; unset ${useless.join(", ")}`);
    if (settings.subnetwork === undefined && settings.network !== "default")
      problems.push(
        `subnetwork: must be set because network "${settings.network}" exists; allowed: the name of its subnetwork in ${settings.region}`,
      );
  } else if (settings.subnetwork !== undefined) {
    problems.push(`subnetwork: "${settings.subnetwork}" belongs to no network; set network, too, or unset it`);
  }
  const ranges = (["nodeCidr", "podCidr", "serviceCidr"] as const).map((key) => ({ key, text: settings[key] }));
  for (const [index, one] of ranges.entries()) {
    const twin = ranges.slice(0, index).find((other) => overlap(one.text, other.text));
    if (twin)
      problems.push(
        `${one.key}: "${one.text}" overlaps ${twin.key} "${twin.text}"; for example ${SETTINGS[one.key].example}`,
      );
  }
  const needed = Math.ceil(2 * cpuOf(podsOf(settings).map((pod) => fitPod(pod, true))));
  if (settings.minFreeCpus < needed)
    problems.push(
      `minFreeCpus: ${settings.minFreeCpus} is too little: the pods of this stack request ${needed / 2} vCPU, and twice that ` +
        `during an upgrade; allowed: ${needed} or more; for example ${Math.max(64, needed)}`,
    );
  return problems;
}

/** Whether two ranges share an address; false where one of them is unreadable. */
export function overlap(one: string, other: string): boolean {
  const a = addressRange(one);
  const b = addressRange(other);
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last;
}

function database(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  const problems: string[] = [];
  if (!settings.useCloudSql) {
    const useless = (Object.keys(SETTINGS) as SettingKey[]).filter(
      (key) => SETTINGS[key].group === "Cloud SQL" && changed(key),
    );
    if (useless.length > 0)
      problems.push(`useCloudSql: false has no use for ${useless.join(", ")}; unset them, or set useCloudSql true`);
    return problems;
  }
  if (settings.deployPostgres)
    problems.push("deployPostgres: true contradicts useCloudSql true: NoETL has one database; set one of them false");
  if (settings.postgresHost !== undefined)
    problems.push("postgresHost: contradicts useCloudSql true: NoETL has one database; unset it");
  const performance = settings.cloudSqlTier.startsWith("db-perf-optimized-");
  if (performance !== (settings.cloudSqlEdition === "ENTERPRISE_PLUS"))
    problems.push(
      `cloudSqlTier: "${settings.cloudSqlTier}" does not exist in edition ${settings.cloudSqlEdition}; allowed: db-perf-optimized-N-CPUS ` +
        `with ENTERPRISE_PLUS, the others with ENTERPRISE`,
    );
  if (performance && settings.cloudSqlDiskType === "HDD")
    problems.push(`cloudSqlDiskType: HDD does not exist in edition ENTERPRISE_PLUS; for example SSD`);
  const budget = connectionBudget(settings);
  if (budget.wanted > budget.usable) {
    const roomy = tierFor(budget.wanted);
    problems.push(
      `pgbouncerMaxDbConnections: ${settings.pgbouncerReplicas} pods with ${settings.pgbouncerMaxDbConnections} connections each and one for administration ` +
        `make ${budget.wanted}, but ${settings.cloudSqlTier} takes ${budget.usable} (${budget.limit} minus 3 for administrators); allowed: at most ` +
        `${Math.max(0, Math.floor(budget.usable / settings.pgbouncerReplicas) - 1)} a pod` +
        (roomy ? `, or a larger tier; for example cloudSqlTier ${roomy}` : ""),
    );
  }
  if (settings.pgbouncerPoolSize > settings.pgbouncerMaxDbConnections)
    problems.push(
      `pgbouncerPoolSize: ${settings.pgbouncerPoolSize} is more than pgbouncerMaxDbConnections ${settings.pgbouncerMaxDbConnections}; allowed: at most that`,
    );
  if (settings.pgbouncerMinPoolSize > settings.pgbouncerPoolSize)
    problems.push(
      `pgbouncerMinPoolSize: ${settings.pgbouncerMinPoolSize} is more than pgbouncerPoolSize ${settings.pgbouncerPoolSize}; allowed: at most that`,
    );
  const clients = (settings.serverPoolMaxSize ?? CLOUD_SQL_POOLS.server) * settings.noetlServerReplicas;
  // Any pod may have to take all clients while the others are replaced.
  if (clients > settings.pgbouncerMaxClientConnections)
    problems.push(
      `serverPoolMaxSize: ${settings.noetlServerReplicas} servers with ${settings.serverPoolMaxSize} connections each are more clients than ` +
        `pgbouncerMaxClientConnections ${settings.pgbouncerMaxClientConnections}; allowed: at most that together`,
    );
  return problems;
}

function exposure(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  const problems: string[] = [];
  const ingress = settings.exposure === "ingress";
  if (settings.deployGateway && settings.exposure === "internal")
    problems.push(
      "exposure: internal leaves the gateway without an address, and browsers could not reach it; allowed: load-balancer or " +
        "ingress; for example ingress",
    );
  if (!settings.deployGateway && settings.exposure === "load-balancer")
    problems.push(
      "exposure: load-balancer has nothing to expose because deployGateway is false; for example deployGateway true",
    );
  if (ingress && settings.deployGateway && settings.gatewayHost === undefined)
    problems.push(`gatewayHost: must be set because exposure is ingress; for example ${SETTINGS.gatewayHost.example}`);
  if (ingress && !settings.deployGateway && settings.noetlHost === undefined)
    problems.push("exposure: ingress has nothing to expose; set deployGateway true or noetlHost");
  if (settings.gatewayHost !== undefined && (settings.exposure === "internal" || !settings.deployGateway))
    problems.push(
      `gatewayHost: nothing answers there, because ${settings.deployGateway ? "exposure is internal" : "deployGateway is false"}; unset it`,
    );
  if (settings.noetlHost !== undefined && (!ingress || !settings.deployNoetl))
    problems.push(
      `noetlHost: nothing answers there, because ${settings.deployNoetl ? `exposure is ${settings.exposure}` : "deployNoetl is false"}; ` +
        "allowed with exposure ingress and deployNoetl true",
    );
  if (settings.gatewayHost !== undefined && settings.gatewayHost === settings.noetlHost)
    problems.push(`noetlHost: "${settings.noetlHost}" is already gatewayHost; each has a load balancer of its own`);
  const hosts = (["gatewayHost", "noetlHost"] as const).filter((key) => settings[key] !== undefined);
  if (hosts.length > 0 && settings.dnsZone === undefined && !settings.externalDns)
    problems.push(
      `dnsZone: must be set because ${hosts.join(" and ")} need a record, without which no certificate is issued; or set externalDns true ` +
        `and make the record by hand; for example ${SETTINGS.dnsZone.example}`,
    );
  if (settings.dnsZone !== undefined && settings.externalDns)
    problems.push("externalDns: true contradicts dnsZone; set one of them");
  if (settings.dnsZone !== undefined && hosts.length === 0)
    problems.push(`dnsZone: "${settings.dnsZone}" would get no record; set gatewayHost or noetlHost, or unset it`);
  if (settings.gatewayAddressName !== undefined && (settings.exposure === "internal" || !settings.deployGateway))
    problems.push("gatewayAddressName: the gateway is not exposed; unset it");
  if (settings.gatewayNodePort !== undefined && settings.exposure !== "internal")
    problems.push(`gatewayNodePort: contradicts exposure ${settings.exposure}; unset it`);
  return [...problems, ...identityAwareProxy(settings, changed), ...gatewayAccess(settings)];
}

function identityAwareProxy(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  const own = ["iapClientId", "iapClientSecret", "iapMembers"] as const;
  if (!settings.iap) {
    const useless = own.filter(changed);
    return useless.length > 0 ? [`iap: false has no use for ${useless.join(", ")}; set iap true, or unset them`] : [];
  }
  const problems: string[] = [];
  if (settings.exposure !== "ingress")
    problems.push(
      `iap: true needs exposure ingress, not ${settings.exposure}: Identity-Aware Proxy stands in its load balancer`,
    );
  for (const key of own) {
    const value = settings[key];
    if (value === undefined || value.length === 0)
      problems.push(`${key}: must be set because iap is true; for example ${SETTINGS[key].example}`);
  }
  return problems;
}

function gatewayAccess(settings: Settings): string[] {
  if (!settings.deployGateway) return [];
  const problems: string[] = [];
  if (settings.corsAllowedOrigins.length === 0)
    problems.push(
      "corsAllowedOrigins: no origin is left, and the gateway would turn every browser away; set corsAllowedOrigins or " +
        `corsAllowedDomains; for example ${SETTINGS.corsAllowedOrigins.example}`,
    );
  if (settings.gatewayAuthBypass && settings.exposure !== "internal" && !settings.iap)
    problems.push(
      "gatewayAuthBypass: true would let everybody on the internet run playbooks; allowed: false, or iap true before it",
    );
  return problems;
}

function workloads(settings: Settings, changed: (key: SettingKey) => boolean): string[] {
  return podsOf(settings).flatMap((pod) => {
    const problem = podProblem(fitPod(pod, true));
    const key = pod.name === "nats" && changed("natsMemoryLimit") ? "natsMemoryLimit" : "natsJetstreamMemSize";
    return problem ? [`${key}: ${problem}; for example ${SETTINGS[key].example}`] : [];
  });
}
