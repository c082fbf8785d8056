/** Raw settings of stacks on GKE, as a stack file holds them. */
export const FRESH: Readonly<Record<string, string>> = {
  platform: "gke",
  projectId: "acme-noetl",
  region: "europe-west1",
  useCloudSql: "true",
  deployPostgres: "false",
  deployGateway: "true",
  gatewayImage: "europe-west1-docker.pkg.dev/acme-noetl/noetl/gateway:v2.10.0",
  exposure: "load-balancer",
};
