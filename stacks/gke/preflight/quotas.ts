import type { Settings } from "../../../config/schema";
import { mebibytes } from "../../../contract/validate";
import { type Demand, needsOf, type Quota, quotaProblems } from "./quota-rules";
import type { Answer, GoogleApi } from "./api";
import type { GkeSettings } from "./facts";

/** What is said of a project that nobody pays for. */
export const unbilled = (projectId: string) =>
  `projectId: project "${projectId}" has no billing account; allowed: a project with one ` +
  `(gcloud billing projects link ${projectId} --billing-account ACCOUNT)`;

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
  if (project.kind === "unbilled" || regional.kind === "unbilled")
    return { read: true, problems: [unbilled(projectId)] };
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
