import type { Answer } from "./api";
import type { GkeSettings } from "./facts";

/** Why the DNS zone cannot hold the hosts' records. */
export function zoneProblems(settings: GkeSettings, zone: Answer): string[] {
  const where = `"${settings.dnsZone}" of project ${settings.projectId}`;
  if (zone.kind === "disabled")
    return [`dnsZone: project ${settings.projectId} has no Cloud DNS, and so no zone ${where}`];
  if (zone.kind === "absent") return [`dnsZone: there is no zone ${where}`];
  if (zone.kind === "unbilled") return [];
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
