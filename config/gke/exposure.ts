import { type Changed, SETTINGS, type Settings } from "../schema";

/** Longest name that a Google-managed certificate takes. Source: GKE, "Use Google-managed SSL certificates". */
const LONGEST_CERTIFIED = 63;

export function exposureProblems(settings: Settings, changed: Changed): string[] {
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
  for (const key of ingress ? hosts : [])
    if ((settings[key]?.length ?? 0) > LONGEST_CERTIFIED)
      problems.push(
        `${key}: "${settings[key]}" is longer than ${LONGEST_CERTIFIED} characters, and no managed certificate takes it; for example ${SETTINGS[key].example}`,
      );
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

function identityAwareProxy(settings: Settings, changed: Changed): string[] {
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

/**
 * A chart of the user's own behind a load balancer of Google's, which reads health check, timeout and Identity-Aware Proxy
 * from annotations of the Service.
 */
export function chartDoubts(settings: Settings): string[] {
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
