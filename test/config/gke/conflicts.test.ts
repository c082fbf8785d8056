import { describe, expect, it } from "vitest";
import { gkeWarnings } from "../../../config/gke";
import { parseSettings, SETTING_KEYS, shownDefault } from "../../../config/parse";
import { PLAYBOOK_ACTIONS, PLAYBOOK_PARAMETERS } from "../../../config/playbooks";
import { FRESH, INGRESS } from "../../support/gke/configurations";
import { problemsOf } from "../../support/settings";

describe("charts of the user's own behind Google's load balancer", () => {
  const [gatewayChart, noetlChart] = ["./upstream/gateway", "./upstream/noetl"];
  it.each<[string, Record<string, string>, string[]]>([
    ["this project's charts", FRESH, []],
    ["both with hosts of their own", { ...INGRESS, gatewayChart, noetlChart }, ["gatewayChart", "noetlChart"]],
    ["a gateway with an address, an API that is not exposed", { ...FRESH, gatewayChart, noetlChart }, ["gatewayChart"]],
    ["nothing is exposed", { ...FRESH, deployGateway: "false", exposure: "internal", noetlChart }, []],
  ])("%s", (_, raw, keys) => {
    expect(gkeWarnings(parseSettings(raw)).map((doubt) => doubt.split(":")[0])).toEqual(keys);
  });
});

describe("what works and may not be meant", () => {
  const own = FRESH.gatewayImage as string;
  it.each<[string, Record<string, string>, RegExp | undefined]>([
    ["an image of the stack's own registry", FRESH, undefined],
    [
      "the same where the registry is not the stack's",
      { ...FRESH, createArtifactRegistry: "false" },
      /^gatewayImage: /,
    ],
    [
      "another project's image",
      { ...FRESH, gatewayImage: own.replace("acme-noetl", "acme-images") },
      /^gatewayImage: /,
    ],
  ])("%s", (_, raw, expected) => {
    const doubts = gkeWarnings(parseSettings(raw));
    expect(doubts).toHaveLength(expected ? 1 : 0);
    if (expected) expect(doubts[0]).toMatch(expected);
  });
});

describe("configurations of GKE that cannot work", () => {
  it("has none to find in the fresh stack, nor where the engine passes every default along", () => {
    expect(problemsOf(FRESH)).toEqual([]);
    const defaults = Object.fromEntries(SETTING_KEYS.map((key) => [key, shownDefault(key)]));
    expect(problemsOf(defaults)).toEqual([]);
    expect(problemsOf({ ...defaults, ...FRESH })).toEqual([]);
  });

  const ingress = { exposure: "ingress", gatewayHost: "gateway.acme.dev", externalDns: "true" };
  it.each<[string, Record<string, string>, RegExp]>([
    [
      "another platform",
      { platform: "openshift" },
      /platform: "openshift" is none of kubernetes, gke; allowed: kubernetes or gke/,
    ],
    [
      "GKE keys elsewhere",
      { platform: "kubernetes" },
      /platform: "kubernetes" has no use for projectId, region, useCloudSql, exposure, corsIncludeLocalhost; /,
    ],
    [
      "authorized networks without one",
      { controlPlaneAccess: "authorized" },
      /^authorizedNetworks: must be set because controlPlaneAccess is authorized.*for example 198\.51\.100\.0\/24$/,
    ],
    [
      "authorized networks for the name",
      { authorizedNetworks: "198.51.100.0/24" },
      /^authorizedNetworks: "198\.51\.100\.0\/24" has no effect while controlPlaneAccess is dns/,
    ],
    [
      "everybody as an authorized network",
      { controlPlaneAccess: "authorized", authorizedNetworks: "198.51.100.0/24,0.0.0.0/0" },
      /^authorizedNetworks: ".*" is not a list of ranges: "0\.0\.0\.0\/0" is larger than \/8/,
    ],
    [
      "an authorized network with host bits",
      { controlPlaneAccess: "authorized", authorizedNetworks: "198.51.100.7/24" },
      /"198\.51\.100\.7\/24" is not an IPv4 range; allowed: /,
    ],
    [
      "exclusions without a window",
      { maintenanceExclusions: "2026-12-20/2027-01-05" },
      /^maintenanceWindow: must be set because maintenanceExclusions/,
    ],
    [
      "a window that GKE refuses",
      { maintenanceWindow: "sat 02:00-08:00" },
      /^maintenanceWindow: "sat 02:00-08:00" is 24 hours in 32 days, and GKE wants 48; allowed: .*for example sat,sun 02:00-08:00$/,
    ],
    [
      "a version of a key",
      {
        secretsKmsKey:
          "projects/acme-noetl/locations/europe-west1/keyRings/noetl/cryptoKeys/secrets/cryptoKeyVersions/1",
      },
      /^secretsKmsKey: .* is not the name of a key; /,
    ],
    [
      "a key of another region",
      { secretsKmsKey: "projects/acme-noetl/locations/us-east1/keyRings/noetl/cryptoKeys/secrets" },
      /^secretsKmsKey: .* is in us-east1, and the cluster in europe-west1; .*for example projects\/acme-noetl\/locations\/europe-west1\//,
    ],
    [
      "a TLS profile of its own",
      { tlsProfile: "custom" },
      /^tlsProfile: "custom" is none of compatible, modern, restricted/,
    ],
    [
      "what shapes a new cluster, for one that exists",
      {
        createCluster: "false",
        controlPlaneAccess: "authorized",
        authorizedNetworks: "198.51.100.0/24",
        maintenanceWindow: "daily 00:00-00:00",
        secretsKmsKey: "projects/acme-noetl/locations/global/keyRings/noetl/cryptoKeys/secrets",
      },
      /^createCluster: false has no use for controlPlaneAccess, authorizedNetworks, maintenanceWindow, secretsKmsKey:/,
    ],
    ["no project", { projectId: "" }, /projectId: must be set/],
    ["a zone", { region: "us-central1-a" }, /region: "us-central1-a" is a zone, and an Autopilot cluster is regional/],
    ["a kubeconfig", { kubeContext: "kind-noetl" }, /kubeContext: contradicts platform gke/],
    [
      "a network for an existing cluster",
      { createCluster: "false", network: "default" },
      /createCluster: false has no use for network/,
    ],
    [
      "a network without its subnetwork",
      { network: "shared" },
      /subnetwork: must be set because network "shared" exists/,
    ],
    ["a subnetwork of nothing", { subnetwork: "a" }, /subnetwork: "a" belongs to no network/],
    [
      "ranges for an existing network",
      { network: "default", podCidr: "10.64.0.0/14" },
      /network: "default" exists.*unset podCidr/,
    ],
    [
      "ranges that overlap",
      { serviceCidr: "10.20.0.0/20" },
      /serviceCidr: "10.20.0.0\/20" overlaps podCidr "10.20.0.0\/16"/,
    ],
    [
      "a range that Google keeps",
      { nodeCidr: "169.254.0.0/20" },
      /nodeCidr: "169.254.0.0\/20" overlaps 169.254.0.0\/16 \(link-local addresses/,
    ],
    [
      "a range that Cloud SQL keeps",
      { podCidr: "172.16.0.0/14" },
      /podCidr: .* overlaps 172.17.0.0\/16, and Cloud SQL/,
    ],
    [
      "no way to other registries",
      { createNat: "false" },
      /createNat: false leaves private nodes without a way to the images of natsChart nats, noetlImage "ghcr.io\/noetl\/.*", pgbouncerImage "edoburu\//,
    ],
    [
      "a tier with an odd number of vCPU",
      { cloudSqlTier: "db-custom-3-7680" },
      /not a tier of Postgres: 3 vCPU, where 1 or/,
    ],
    [
      "a tier with too little memory",
      { cloudSqlTier: "db-custom-4-3584" },
      /not a tier of Postgres: 3584 MB, where 3840 to 26624 MB in steps of 256 can be had with 4 vCPU/,
    ],
    [
      "a fast tier that is not made",
      { cloudSqlTier: "db-perf-optimized-N-3", cloudSqlEdition: "ENTERPRISE_PLUS" },
      /there is none with 3 vCPU, but with 2, 4, 8/,
    ],
    [
      "a disk beyond a shared core",
      { cloudSqlDiskSizeGb: "4000" },
      /cloudSqlDiskSizeGb: 4000 is more than db-g1-small takes/,
    ],
    [
      "a standby without backups",
      { cloudSqlAvailability: "REGIONAL", cloudSqlBackups: "false" },
      /cloudSqlBackups: false contradicts cloudSqlAvailability REGIONAL/,
    ],
    [
      "an instance's name that is too long with the project's",
      { projectId: "a-project-with-a-long-name-123", cloudSqlInstance: "a".repeat(68) },
      /cloudSqlInstance: "a+" is too long.*allowed: at most 67/,
    ],
    [
      "a database that every instance has",
      { noetlDatabase: "postgres" },
      /noetlDatabase: "postgres" is on every instance/,
    ],
    [
      "Cloud SQL's own role",
      { noetlDatabaseUser: "cloudsqladmin" },
      /noetlDatabaseUser: "cloudsqladmin" is a role of Cloud/,
    ],
    [
      "the administrator's role",
      { noetlDatabaseUser: "admin", postgresUser: "admin" },
      /noetlDatabaseUser: "admin" is postgresUser, too/,
    ],
    [
      "a role that Postgres keeps",
      { noetlDatabaseUser: "pg_noetl" },
      /noetlDatabaseUser: "pg_noetl" is a name that Postgres/,
    ],
    [
      "a pool that cannot open",
      { serverPoolMinSize: "7" },
      /serverPoolMinSize: 7 is more than serverPoolMaxSize \(6\), and the pool would not open/,
    ],
    [
      "a host that no certificate takes",
      { ...ingress, gatewayHost: `gateway.${"a".repeat(50)}.acme.dev` },
      /gatewayHost: .* is longer than 63 characters, and no managed certificate takes it/,
    ],
    ["host bits", { podCidr: "10.20.0.1/16" }, /podCidr: "10.20.0.1\/16" is not an IPv4 range/],
    ["two databases", { deployPostgres: "true" }, /deployPostgres: true contradicts useCloudSql true/],
    ["an external database too", { postgresHost: "10.0.0.9" }, /postgresHost: contradicts useCloudSql true/],
    ["a tier of the other edition", { cloudSqlTier: "db-perf-optimized-N-2" }, /does not exist in edition ENTERPRISE;/],
    [
      "a slow disk for a fast tier",
      { cloudSqlTier: "db-perf-optimized-N-2", cloudSqlEdition: "ENTERPRISE_PLUS", cloudSqlDiskType: "HDD" },
      /cloudSqlDiskType: HDD/,
    ],
    [
      "pools beyond the tier",
      { cloudSqlTier: "db-f1-micro", pgbouncerMaxDbConnections: "16" },
      /2 pods with 16 connections each and one for administration make 34, but db-f1-micro takes 22 \(25 minus 3 for administrators\); allowed: at most 10 a pod, or a larger tier; for example cloudSqlTier db-g1-small/,
    ],
    [
      "a pool beyond the pod's limit",
      { pgbouncerPoolSize: "9" },
      /pgbouncerPoolSize: 9 is more than pgbouncerMaxDbConnections 8/,
    ],
    [
      "too many clients",
      { noetlServerReplicas: "100", serverPoolMaxSize: "7" },
      /serverPoolMaxSize: 100 servers with 7 connections/,
    ],
    [
      "settings of a database that is not there",
      { useCloudSql: "false", deployPostgres: "true", cloudSqlTier: "db-f1-micro" },
      /useCloudSql: false has no use for cloudSqlTier/,
    ],
    ["a gateway nobody reaches", { exposure: "internal" }, /exposure: internal leaves the gateway without an address/],
    [
      "a placeholder host",
      { gatewayHost: "gateway.example.com" },
      /gatewayHost: "gateway.example.com" is a placeholder/,
    ],
    ["an ingress without host", { exposure: "ingress" }, /gatewayHost: must be set because exposure is ingress/],
    ["hosts without a zone", { ...ingress, externalDns: "false" }, /dnsZone: must be set because gatewayHost need/],
    ["a zone and a record by hand", { ...ingress, dnsZone: "acme" }, /externalDns: true contradicts dnsZone/],
    ["a zone without hosts", { dnsZone: "acme" }, /dnsZone: "acme" would get no record/],
    [
      "the API without ingress",
      { noetlHost: "noetl.acme.dev", externalDns: "true" },
      /noetlHost: nothing answers there, because exposure is load-balancer/,
    ],
    [
      "one host twice",
      { ...ingress, noetlHost: "gateway.acme.dev", acceptedRisks: "public-api" },
      /is already gatewayHost/,
    ],
    [
      "IAP without client",
      { ...ingress, iap: "true", iapMembers: "group:a@acme.dev", iapClientSecret: "s" },
      /iapClientId: must be set because iap is true/,
    ],
    [
      "IAP without members",
      { ...ingress, iap: "true", iapClientId: "1-a.apps.googleusercontent.com", iapClientSecret: "s" },
      /iapMembers: must be set/,
    ],
    [
      "IAP without ingress",
      {
        iap: "true",
        iapClientId: "1-a.apps.googleusercontent.com",
        iapClientSecret: "s",
        iapMembers: "domain:acme.dev",
      },
      /iap: true needs exposure ingress/,
    ],
    [
      "a client without IAP",
      { iapClientId: "1-a.apps.googleusercontent.com" },
      /iap: false has no use for iapClientId/,
    ],
    ["an open gateway", { gatewayAuthBypass: "true" }, /gatewayAuthBypass: true would let everybody/],
    ["no origin", { corsIncludeLocalhost: "" }, /corsAllowedOrigins: no origin is left/],
    ["a rollout that stands still", { rolloutMaxUnavailable: "0" }, /rolloutMaxUnavailable: 0 with rolloutMaxSurge 0/],
    [
      "a pod too large",
      { natsReplicas: "1", natsJetstreamMemSize: "64Gi", natsMemoryLimit: "128Gi" },
      /natsMemoryLimit: a pod of nats would need/,
    ],
    ["too little quota for its own pods", { minFreeCpus: "1" }, /minFreeCpus: 1 is too little/],
  ])("%s", (_, change, expected) => {
    const problems = problemsOf({ ...FRESH, ...change });
    expect(problems.join("\n")).toMatch(expected);
    expect(problems).toHaveLength(1);
  });

  it("lists everything at once", () => {
    const problems = problemsOf({
      ...FRESH,
      projectId: "",
      kubeconfig: "~/.kube/config",
      deployPostgres: "true",
      exposure: "ingress",
      corsIncludeLocalhost: "false",
      corsIncludePublicHosts: "false",
    });
    expect(problems.map((each) => each.split(":")[0])).toEqual([
      "projectId",
      "kubeconfig",
      "deployPostgres",
      "gatewayHost",
      "corsAllowedOrigins",
    ]);
  });

  it("derives the gateway's origins and address", () => {
    expect(parseSettings({ ...FRESH, ...ingress, corsAllowedDomains: "acme.dev" })).toMatchObject({
      corsAllowedOrigins: ["http://localhost:3001", "https://gateway.acme.dev", "https://acme.dev"],
      gatewayPublicUrl: "https://gateway.acme.dev",
      serverPoolMaxSize: 6,
      rolloutMaxSurge: 0,
    });
  });
});

describe("what came from the playbooks", () => {
  it("tells what takes a parameter's place", () => {
    expect(problemsOf({ use_cloud_sql: "true" })[0]).toContain(
      "use_cloud_sql: unknown key; of NoETL's playbooks, it is useCloudSql here",
    );
    expect(problemsOf({ action: "provision-deploy" })[0]).toContain("A stack has no actions");
    expect(problemsOf({ delete_cluster_on_destroy: "true" })[0]).toContain("it is deletionProtection here");
  });

  it("maps every parameter to settings that exist, or says why there is none, each once", () => {
    const names = PLAYBOOK_PARAMETERS.flatMap(({ names }) => names);
    expect(new Set(names).size).toBe(names.length);
    // Declared under `workload` at noetl/ops cce555b: 115 and 29, of which 11 are in both; and one of the specification.
    expect(names.length).toBe(115 + 29 - 11 + 1);
    for (const { names, keys, note } of PLAYBOOK_PARAMETERS) {
      for (const key of keys) expect(SETTING_KEYS, names[0]).toContain(key);
      if (keys.length === 0) expect(note, names[0]).not.toBe("");
    }
    expect(PLAYBOOK_ACTIONS.map(({ action }) => action)).toEqual([
      "provision",
      "deploy",
      "provision-deploy",
      "status",
      "destroy",
    ]);
  });
});
