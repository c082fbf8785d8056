/** NetworkPolicies of a stack: whether it has any, who is let in beyond its own pods, and what follows for its layout. */
import type { Elsewhere, Layout, PlaybookJobs } from "../contract/network";
import { servicePlace } from "../contract/service-host";
import { guardMode } from "./guard";
import { clientOf, PARTS } from "./network-clients";
import type { GivenSettings, Settings } from "./schema";

/** Whether a stack has NetworkPolicies: where it does not say, on GKE, whose network enforces them. */
export const hasPolicies = ({ platform, networkPolicies }: GivenSettings): boolean =>
  networkPolicies ?? platform === "gke";

/** Parts that the stack installs. */
const installed = ({ deployNats, deployNoetl, deployGateway, deployPostgres, useCloudSql }: Settings) => ({
  nats: deployNats,
  api: deployNoetl,
  gateway: deployGateway,
  postgres: deployNoetl && (deployPostgres || useCloudSql),
});

/** Settings that nothing comes of. */
export function networkConflicts(settings: Settings): string[] {
  const { networkPolicies, networkClients: clients, playbookMetadata } = settings;
  if (!networkPolicies)
    return [
      ...(clients.length > 0 ? [["networkClients", `"${clients.join(",")}"`] as const] : []),
      ...(playbookMetadata ? [["playbookMetadata", "true"] as const] : []),
    ].map(
      ([key, value]) =>
        `${key}: ${value} has no effect while networkPolicies is false, which lets everybody in; allowed: unset it, or ` +
        "networkPolicies true; for example networkPolicies true",
    );
  const has = installed(settings);
  const [fits, wrong] = [true, false].map((wanted) =>
    clients.filter((text) => has[clientOf(text)?.part ?? "nats"] === wanted),
  ) as [string[], string[]];
  if (wrong.length === 0) return [];
  const parts = PARTS.filter((each) => has[each]);
  const example = fits.join(",") || (parts[0] ? `shop:${parts[0]}` : "pulumi config rm networkClients");
  return [
    `networkClients: "${wrong.join(",")}" opens what this stack does not install; allowed: ` +
      `${parts.join(", ") || "none"}; for example ${example}`,
  ];
}

function elsewhere(host: string | undefined, port: number): Elsewhere {
  const namespace = host === undefined ? undefined : servicePlace(host)?.namespace;
  return { host: host ?? "", port, namespace };
}

function database(settings: Settings): Pick<Layout, "database"> {
  if (!settings.deployNoetl) return {};
  if (settings.useCloudSql) return { database: "pgbouncer" };
  return {
    database: settings.deployPostgres ? "postgres" : elsewhere(settings.postgresHost, settings.postgresPort),
  };
}

/** What is open to whom outside of the cluster. */
function entries(settings: Settings): Layout["entries"] {
  const { platform, exposure, noetlHost } = settings;
  const isOnGke = platform === "gke";
  const port = (value: number | undefined) => (value === undefined ? undefined : ("anyone" as const));
  const byIngress = isOnGke && exposure === "ingress" ? ("googleFrontEnds" as const) : undefined;
  const byBalancer = isOnGke && exposure === "load-balancer" ? ("anyone" as const) : undefined;
  return {
    nats: port(settings.natsNodePort),
    monitor: port(settings.natsMonitorNodePort),
    postgres: port(settings.postgresNodePort),
    api: port(settings.noetlNodePort) ?? (noetlHost === undefined ? undefined : byIngress),
    gateway: port(settings.gatewayNodePort) ?? byBalancer ?? byIngress,
  };
}

/** What of a stack's settings decides which connections it has. */
export function layoutOf(settings: Settings): Layout {
  const { deployNats, deployNoetl, deployGateway, natsHost, natsPort } = settings;
  return {
    natsServers: deployNats ? settings.natsReplicas : 0,
    natsBox: deployNats && settings.natsBox,
    natsElsewhere: deployNats || natsHost === undefined ? undefined : elsewhere(natsHost, natsPort),
    noetl: deployNoetl,
    gateway: deployGateway,
    guard: guardMode(settings) !== undefined,
    scraped: settings.monitoring !== "off",
    ...database(settings),
    entries: entries(settings),
    clients: settings.networkClients.flatMap((text) => clientOf(text) ?? []),
    metadata: settings.playbookMetadata,
    jobs: settings.playbookJobs as PlaybookJobs,
  };
}
