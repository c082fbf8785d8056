import { type ChartName, type Values, merged, valuesFile } from "./helm";

/** What every installation has to name. */
export const REQUIRED: Record<ChartName, Values> = {
  noetl: { secrets: { postgresPassword: "admin-password", noetlPassword: "noetl-password" } },
  gateway: { image: { repository: "registry.example.org/gateway" } },
  nats: {},
};

/** Values the charts are rendered with for golden files and for the API server. Names are those of the values files. */
export const CASES: readonly { chart: ChartName; name: string; values: Values }[] = (
  [
    ["noetl", "noetl-defaults"],
    ["noetl", "noetl-kind"],
    ["noetl", "noetl-gke"],
    ["noetl", "noetl-nginx"],
    ["noetl", "noetl-upstream"],
    ["gateway", "gateway-defaults"],
    ["gateway", "gateway-kind"],
    ["gateway", "gateway-gke"],
    ["gateway", "gateway-load-balancer"],
    ["gateway", "gateway-upstream"],
    ["nats", "nats-defaults"],
    ["nats", "nats-single"],
    ["nats", "nats-cluster"],
    ["nats", "nats-bare"],
  ] as const
).map(([chart, name]) => ({
  chart,
  name,
  values: name.endsWith("-defaults") ? REQUIRED[chart] : merged(REQUIRED[chart], valuesFile(name)),
}));
