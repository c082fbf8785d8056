import type { Provider as GoogleProvider } from "@pulumi/gcp/provider";
import { ProjectServices } from "../../components/gcp";
import type { Settings } from "../../config/schema";

/** The APIs that the stack needs, where it is to enable them. */
export function enabledServices(settings: Settings, cloud: GoogleProvider): ProjectServices | undefined {
  if (!settings.enableApis) return undefined;
  const { projectId: project = "" } = settings;
  return new ProjectServices("apis", { project, services: servicesOf(settings) }, { provider: cloud });
}

/** APIs that the stack's resources belong to. */
function servicesOf(settings: Settings): string[] {
  return [
    "cloudresourcemanager",
    "compute",
    "container",
    "iam",
    ...(settings.createArtifactRegistry ? ["artifactregistry"] : []),
    // The Auth Proxy works as a service account through Workload Identity, which asks iamcredentials for its tokens.
    ...(settings.useCloudSql ? ["iamcredentials", "servicenetworking", "sqladmin"] : []),
    ...(settings.createCluster && settings.secretsKmsKey ? ["cloudkms"] : []),
    ...(settings.dnsZone ? ["dns"] : []),
    ...(settings.iap ? ["iap"] : []),
  ].map((name) => `${name}.googleapis.com`);
}
