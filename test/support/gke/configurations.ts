import type { Facts } from "../../../stacks/gke/preflight";

/** Raw settings of stacks on GKE, as a stack file holds them. */
type Raw = Readonly<Record<string, string>>;

/** A fresh stack: everything is created, the gateway has a load balancer of its own. */
export const FRESH: Raw = {
  platform: "gke",
  projectId: "acme-noetl",
  region: "europe-west1",
  useCloudSql: "true",
  deployPostgres: "false",
  deployGateway: "true",
  gatewayImage: "europe-west1-docker.pkg.dev/acme-noetl/noetl/gateway:v2.14.1",
  exposure: "load-balancer",
  corsIncludeLocalhost: "true",
  acceptedRisks: "plain-http",
};

/** The same with an https ingress. */
export const INGRESS: Raw = {
  ...FRESH,
  exposure: "ingress",
  gatewayHost: "gateway.acme.dev",
  noetlHost: "noetl.acme.dev",
  acceptedRisks: "public-api",
  corsIncludeLocalhost: "false",
  dnsZone: "acme-dev",
  corsAllowedDomains: "acme.dev",
};

/** Onto a cluster that is there, with the database in it. */
export const ONTO_EXISTING: Raw = {
  platform: "gke",
  projectId: "acme-noetl",
  clusterName: "noetl-cluster",
  createCluster: "false",
  createArtifactRegistry: "false",
  deployGateway: "true",
  gatewayImage: "us-central1-docker.pkg.dev/acme-noetl/noetl/gateway:v2.14.1",
  exposure: "load-balancer",
  corsIncludeLocalhost: "true",
  acceptedRisks: "plain-http",
  natsJetstreamSize: "20Gi",
  postgresStorageSize: "20Gi",
};

export const FACTS: Facts = { cluster: undefined, quotasRead: true, warnings: [] };

/** An existing Autopilot cluster. */
export const EXISTING: Facts = {
  ...FACTS,
  cluster: {
    endpoint: "203.0.113.11",
    caCertificate: "Y2VydGlmaWNhdGU=",
    networkId: "projects/acme-noetl/global/networks/shared",
    createdWith: "1.33.5-gke.1080000",
    autopilot: true,
    workloadPool: "acme-noetl.svc.id.goog",
  },
};

/** Stacks whose resources are kept as reviewed files. */
export const CONFIGURATIONS: readonly { readonly name: string; readonly raw: Raw; readonly facts: Facts }[] = [
  { name: "fresh", raw: FRESH, facts: FACTS },
  { name: "fresh-ingress", raw: INGRESS, facts: FACTS },
  {
    name: "fresh-hardened",
    raw: {
      ...INGRESS,
      playbookJobs: "own",
      controlPlaneAccess: "authorized",
      authorizedNetworks: "198.51.100.0/24,203.0.113.7/32",
      maintenanceWindow: "sat,sun 02:00-08:00",
      maintenanceExclusions: "2026-12-20/2027-01-05,2027-02-01/2027-03-31:minor",
      secretsKmsKey: "projects/acme-noetl/locations/europe-west1/keyRings/noetl/cryptoKeys/secrets",
      tlsProfile: "restricted",
    },
    facts: FACTS,
  },
  {
    name: "fresh-iap",
    raw: {
      ...FRESH,
      exposure: "ingress",
      gatewayHost: "gateway.acme.dev",
      externalDns: "true",
      iap: "true",
      iapClientId: "123-abc.apps.googleusercontent.com",
      iapClientSecret: "canary-iap-secret",
      iapMembers: "group:noetl@acme.dev,user:ada@acme.dev",
    },
    facts: FACTS,
  },
  {
    name: "fresh-postgres-in-cluster",
    raw: { ...FRESH, useCloudSql: "false", deployPostgres: "true", postgresStorageSize: "20Gi" },
    facts: FACTS,
  },
  {
    name: "provision",
    raw: {
      ...FRESH,
      deployNats: "false",
      deployNoetl: "false",
      deployGateway: "false",
      exposure: "internal",
    },
    facts: FACTS,
  },
  {
    name: "fresh-existing-network",
    raw: {
      ...FRESH,
      network: "shared",
      subnetwork: "shared-europe-west1",
      createNat: "false",
      createServiceConnection: "false",
      releaseChannel: "stable",
    },
    facts: FACTS,
  },
  {
    name: "large",
    raw: {
      ...INGRESS,
      natsReplicas: "3",
      natsBox: "true",
      natsJetstreamFileSize: "100Gi",
      natsJetstreamMemSize: "4Gi",
      natsStorageClass: "premium-rwo",
      noetlServerReplicas: "3",
      workerReplicas: "8",
      gatewayReplicas: "3",
      cloudSqlEdition: "ENTERPRISE_PLUS",
      cloudSqlTier: "db-perf-optimized-N-4",
      cloudSqlAvailability: "REGIONAL",
      cloudSqlMaxConnections: "400",
      pgbouncerReplicas: "3",
      pgbouncerPoolSize: "40",
      pgbouncerMaxDbConnections: "80",
      serverPoolMaxSize: "20",
      minFreeCpus: "200",
      deletionProtection: "false",
    },
    facts: FACTS,
  },
  { name: "onto-existing", raw: ONTO_EXISTING, facts: EXISTING },
  {
    name: "onto-existing-cloud-sql",
    raw: {
      ...ONTO_EXISTING,
      useCloudSql: "true",
      deployPostgres: "false",
      cloudSqlTier: "db-f1-micro",
      exposure: "ingress",
      gatewayHost: "gateway.acme.dev",
      gatewayAddressName: "gateway-of-old",
      externalDns: "true",
    },
    facts: EXISTING,
  },
  {
    name: "onto-old-autopilot",
    raw: { ...ONTO_EXISTING, natsJetstreamMemSize: "2Gi", enableApis: "false" },
    facts: { ...EXISTING, cluster: { ...EXISTING.cluster!, createdWith: "1.29.9-gke.100" } },
  },
  {
    name: "nats-alone",
    raw: {
      platform: "gke",
      projectId: "acme-noetl",
      deployNoetl: "false",
      deployPostgres: "false",
      privateNodes: "false",
    },
    facts: FACTS,
  },
];
