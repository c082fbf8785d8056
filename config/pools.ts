/** Most database connections of a server and of a worker, where the settings do not say: the chart's own, made for Postgres alone. */
export const CHART_POOLS = { server: 12, worker: 8 } as const;

/** The same behind PgBouncer, which shares few connections among many clients. */
export const CLOUD_SQL_POOLS = { server: 6, worker: 3 } as const;

/** Commands that a worker runs at once, and those on databases among them, where the settings do not say: the chart's own. */
export const CHART_INFLIGHT = { commands: 8, dbCommands: 3 } as const;
