/** Google Kubernetes Engine: looks at what is there, then declares everything that a stack needs. */
import * as organizations from "@pulumi/gcp/organizations";
import { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectServices } from "../../components/gcp";
import { checkQuotas, type Facts, type GkeSettings, GoogleApi, preflight } from "./preflight";
import { gkeWarnings } from "../../config/gke";
import { ConfigError } from "../../config/parse";
import type { Settings } from "../../config/schema";
import type { Platform } from "../platform";
import { declare } from "./declare";
import { enabledServices } from "./services";

/** How long newly enabled APIs may take to answer, in milliseconds. */
const ENABLED_DEADLINE_MS = 300_000;

/**
 * Prepares a stack on GKE: looks at what is there, then declares the platform.
 *
 * @throws ConfigError with everything that Google Cloud would refuse later, before anything is declared.
 */
export async function gkePlatform(settings: Settings): Promise<Platform> {
  const { projectId = "", region } = settings;
  const provider = new GoogleProvider("gcp", { project: projectId, region });
  const { accessToken } = await organizations.getClientConfig({ provider });
  const api = new GoogleApi(accessToken);
  const facts = accessToken ? await preflight({ ...settings, projectId }, api) : UNASKED;
  for (const warning of [...facts.warnings, ...gkeWarnings(settings)]) await pulumi.log.warn(warning);
  const services = enabledServices(settings, provider);
  if (!facts.quotasRead && services && !pulumi.runtime.isDryRun())
    await quotasOnceEnabled({ ...settings, projectId }, services, api);
  return declare({ ...settings, projectId }, { facts, cloud: provider, services });
}

/**
 * Without a login there is nobody to ask. The engine never comes that far, since the provider refuses; but a comparison
 * of two revisions runs the program without engine and login, and takes the project for an empty one on both sides.
 */
const UNASKED: Facts = { cluster: undefined, quotasRead: true, warnings: [] };

/**
 * Reads the quotas of a project whose APIs the stack itself has just enabled. Nothing that costs is declared before.
 *
 * @throws ConfigError where they leave no room; Error where the API does not answer in time.
 */
async function quotasOnceEnabled(settings: GkeSettings, services: ProjectServices, api: GoogleApi): Promise<void> {
  const project = await new Promise<string>((resolve) => void services.project.apply(resolve));
  const deadline = Date.now() + ENABLED_DEADLINE_MS;
  for (;;) {
    const quota = await checkQuotas(settings, api);
    if (quota.read) {
      if (quota.problems.length > 0 && settings.enforceQuotas) throw new ConfigError(quota.problems);
      for (const problem of quota.problems) await pulumi.log.warn(problem);
      return;
    }
    if (Date.now() > deadline)
      throw new Error(
        `the Compute Engine API of project ${project} does not answer five minutes after it was enabled; run the update again`,
      );
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}
