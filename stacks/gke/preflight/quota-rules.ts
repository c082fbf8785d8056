/** Compute Engine quotas against what a new cluster needs. */

/** One row of a project's or region's quotas, as the Compute Engine API gives it. */
export interface Quota {
  readonly metric: string;
  readonly limit: number;
  readonly usage: number;
}

export interface QuotaNeed {
  readonly metric: string;
  /** Amount that must be free. */
  readonly amount: number;
  readonly unit: string;
  readonly reason: string;
}

/** What the stack asks of the quotas. */
export interface Demand {
  /** vCPU that must be free, in the region and over all regions. */
  cpus: number;
  /** GB of SSD volumes that the stack itself asks for. */
  ssdGigabytes: number;
  /** Regional static addresses. */
  addresses: number;
  /** Global static addresses. */
  globalAddresses: number;
}

const SURGE = "Autopilot replaces nodes by surging: an upgrade needs the new nodes before the old ones are gone";

/** Needs of the project-wide and of the regional quotas. */
export function needsOf(demand: Demand): { project: QuotaNeed[]; region: QuotaNeed[] } {
  const { cpus, ssdGigabytes, addresses, globalAddresses } = demand;
  return {
    project: needed([
      { metric: "CPUS_ALL_REGIONS", amount: cpus, unit: "vCPU", reason: SURGE },
      {
        metric: "STATIC_ADDRESSES",
        amount: globalAddresses,
        unit: "addresses",
        reason: "each public host has a global address",
      },
    ]),
    region: needed([
      { metric: "CPUS", amount: cpus, unit: "vCPU", reason: SURGE },
      {
        metric: "SSD_TOTAL_GB",
        amount: ssdGigabytes,
        unit: "GB",
        reason: "the volumes of NATS and Postgres are SSDs",
      },
      {
        metric: "STATIC_ADDRESSES",
        amount: addresses,
        unit: "addresses",
        reason: "the load balancer has a regional address",
      },
    ]),
  };
}

const needed = (needs: readonly QuotaNeed[]): QuotaNeed[] => needs.filter(({ amount }) => amount > 0);

/** Console page where a quota of a project is raised. */
function quotaPage(project: string, metric: string): string {
  return `https://console.cloud.google.com/iam-admin/quotas?project=${project}&filter=${encodeURIComponent(metric)}`;
}

/**
 * Quotas of which too little is free (limit minus usage). A metric that Google does not list has no limit of its own.
 * `place` names where the quotas apply: `project acme`, `region europe-west1 of project acme`.
 */
export function quotaProblems(
  quotas: readonly Quota[],
  needs: readonly QuotaNeed[],
  where: { place: string; project: string },
): string[] {
  return needs.flatMap((need) => {
    const quota = quotas.find((each) => each.metric === need.metric);
    if (!quota) return [];
    const free = quota.limit - quota.usage;
    if (free >= need.amount) return [];
    return [
      `quota ${need.metric} of ${where.place}: ${free} ${need.unit} are free (limit ${quota.limit}, used ${quota.usage}), ` +
        `${need.amount} are needed, because ${need.reason}; raise it at ${quotaPage(where.project, need.metric)}`,
    ];
  });
}
