/** How many connections a Cloud SQL instance takes, and how many this stack may ask for. */
import type { Settings } from "../schema";
import { ADMIN_CONNECTIONS } from "../../contract/defaults";

/** Connections that Postgres keeps back for its administrators (superuser_reserved_connections). */
const RESERVED = 3;

/** Default of max_connections by memory in MB, smallest first. Source: Cloud SQL for PostgreSQL, "Quotas and limits". */
const BY_MEMORY: readonly (readonly [megabytes: number, connections: number])[] = [
  [0, 25],
  [3_750, 100],
  [6_000, 200],
  [7_500, 400],
  [15_000, 500],
  [30_000, 600],
  [60_000, 800],
  [120_000, 1000],
];

/** Memory of a performance-optimised machine (Enterprise Plus): 8 GB a vCPU. */
const PERFORMANCE_MEGABYTES_PER_CPU = 8 * 1024;

/** Connections that an instance of a tier takes unless its flag max_connections says otherwise. */
export function tierConnections(tier: string): number {
  if (tier === "db-f1-micro") return 25;
  if (tier === "db-g1-small") return 50;
  const custom = /^db-custom-\d+-(\d+)$/.exec(tier);
  const performance = /^db-perf-optimized-N-(\d+)$/.exec(tier);
  const megabytes = custom ? Number(custom[1]) : Number(performance?.[1] ?? 0) * PERFORMANCE_MEGABYTES_PER_CPU;
  return BY_MEMORY.filter(([least]) => megabytes >= least).at(-1)?.[1] ?? 25;
}

/** Smallest custom tier that takes so many connections, as an example for a message. */
export function tierFor(connections: number): string | undefined {
  return ["db-g1-small", "db-custom-1-3840", "db-custom-2-7680", "db-custom-4-15360", "db-custom-8-30720"].find(
    (tier) => tierConnections(tier) - RESERVED >= connections,
  );
}

export interface ConnectionBudget {
  /** Connections that clients can have: the limit minus what Postgres keeps back. */
  readonly usable: number;
  readonly limit: number;
  /** Most connections that the stack opens at once. */
  readonly wanted: number;
}

type PoolSettings = Pick<
  Settings,
  "cloudSqlTier" | "cloudSqlMaxConnections" | "pgbouncerReplicas" | "pgbouncerMaxDbConnections"
>;

/**
 * Every PgBouncer pod may open `pgbouncerMaxDbConnections`, and one for administration; pods are replaced one by one without an extra one, so the
 * number of pods is the number of replicas.
 */
export function connectionBudget(settings: PoolSettings): ConnectionBudget {
  const limit = settings.cloudSqlMaxConnections ?? tierConnections(settings.cloudSqlTier);
  return {
    limit,
    usable: limit - RESERVED,
    wanted: settings.pgbouncerReplicas * (settings.pgbouncerMaxDbConnections + ADMIN_CONNECTIONS),
  };
}
