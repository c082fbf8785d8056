import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { GoogleApi, preflight } from "../../../stacks/gke/preflight";
import { demandOf } from "../../../stacks/gke/preflight/quotas";
import { ConfigError, parseSettings } from "../../../config/parse";
import { FRESH, INGRESS, ONTO_EXISTING } from "../../support/gke/configurations";

/** Answers of Google Cloud's APIs by path; what is not here does not exist. */
type Answers = Record<string, { status?: number; body: unknown }>;

let answers: Answers;
let asked: { path: string; authorization: string | undefined }[];
let api: GoogleApi;
const server = http.createServer((request, response) => {
  const path = request.url ?? "";
  asked.push({ path, authorization: request.headers.authorization });
  const { status = 200, body } = answers[path] ?? { status: 404, body: { error: { message: "Not found" } } };
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = new GoogleApi("canary-token", {
    GOOGLE_COMPUTE_CUSTOM_ENDPOINT: `${base}/compute/v1`,
    GOOGLE_CONTAINER_CUSTOM_ENDPOINT: `${base}/v1/`,
    GOOGLE_DNS_CUSTOM_ENDPOINT: `${base}/dns/v1/`,
  });
});
afterAll(() => void server.close());

const quota = (metric: string, limit: number, usage = 0) => ({ metric, limit, usage });
const PROJECT = "/compute/v1/projects/acme-noetl";
const CLUSTER = "/v1/projects/acme-noetl/locations/us-central1/clusters/noetl-cluster";
const OWN = "/v1/projects/acme-noetl/locations/europe-west1/clusters/noetl-gke";
/** Of a control plane that is reached by its name. */
const NAMED = { dnsEndpointConfig: { endpoint: "gke-1.europe-west1.gke.goog", allowExternalTraffic: true } };
const ZONE = "/dns/v1/projects/acme-noetl/managedZones/acme-dev";
const disabled = {
  status: 403,
  body: {
    error: {
      message: "Compute Engine API has not been used in project 1 before",
      details: [{ reason: "SERVICE_disabled" }],
    },
  },
};
const running = {
  status: "RUNNING",
  endpoint: "203.0.113.11",
  masterAuth: { clusterCaCertificate: "Y2E=" },
  network: "shared",
  initialClusterVersion: "1.31.2-gke.1",
  currentMasterVersion: "1.33.5-gke.1",
  autopilot: { enabled: true },
  workloadIdentityConfig: { workloadPool: "acme-noetl.svc.id.goog" },
};

beforeEach(() => {
  asked = [];
  answers = {
    [PROJECT]: { body: { quotas: [quota("CPUS_ALL_REGIONS", 96, 8), quota("STATIC_ADDRESSES", 8)] } },
    [`${PROJECT}/regions/europe-west1`]: { body: { quotas: [quota("CPUS", 72), quota("SSD_TOTAL_GB", 500)] } },
    [CLUSTER]: { body: running },
    [ZONE]: { body: { dnsName: "acme.dev.", visibility: "public" } },
  };
});

const check = (raw: Record<string, string>) => {
  const settings = parseSettings(raw);
  return preflight({ ...settings, projectId: settings.projectId ?? "" }, api);
};
const problemsOf = async (raw: Record<string, string>): Promise<readonly string[]> =>
  check(raw).then(
    () => [],
    (error: unknown) => {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    },
  );

describe("before anything is created", () => {
  it("lets a project with room pass, having asked with the caller's token", async () => {
    expect(await check(INGRESS)).toEqual({ cluster: undefined, quotasRead: true, warnings: [] });
    expect(asked.map(({ path }) => path).sort()).toEqual([
      PROJECT,
      `${PROJECT}/regions/europe-west1`,
      ZONE,
      "/v1/projects/acme-noetl/locations/europe-west1/clusters/noetl-gke",
    ]);
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer canary-token"]));
  });

  it("refuses a cluster that could not surge: limit minus usage, with figure and page, project and region at once", async () => {
    answers[PROJECT] = { body: { quotas: [quota("CPUS_ALL_REGIONS", 72, 12)] } };
    answers[`${PROJECT}/regions/europe-west1`] = { body: { quotas: [quota("CPUS", 24)] } };
    const problems = await problemsOf(FRESH);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(
      /^enforceQuotas: quota CPUS_ALL_REGIONS of project acme-noetl: 60 vCPU are free \(limit 72, used 12\), 64 are needed/,
    );
    expect(problems[0]).toContain(
      "https://console.cloud.google.com/iam-admin/quotas?project=acme-noetl&filter=CPUS_ALL_REGIONS",
    );
    expect(problems[1]).toContain("quota CPUS of region europe-west1 of project acme-noetl: 24 vCPU are free");
    expect((await check({ ...FRESH, enforceQuotas: "false" })).warnings).toHaveLength(2);
    expect(await problemsOf({ ...FRESH, minFreeCpus: "24" })).toEqual([]);
  });

  it("asks for no quota once the cluster is there, whose own usage would count against it", async () => {
    answers[OWN] = { body: { ...running, controlPlaneEndpointsConfig: NAMED } };
    answers[PROJECT] = { body: { quotas: [quota("CPUS_ALL_REGIONS", 1, 1)] } };
    expect(await check(FRESH)).toMatchObject({ quotasRead: true, warnings: [] });
    expect(asked).toHaveLength(1);
  });

  it("refuses to reach a cluster of its own by a way that is not open yet, and says what opens it", async () => {
    const off = { ipEndpointsConfig: { enabled: false } };
    const authorized = { controlPlaneAccess: "authorized", authorizedNetworks: "198.51.100.0/24" };
    const asked = async (controlPlaneEndpointsConfig: object, raw: Record<string, string> = {}) => {
      answers[OWN] = { body: { ...running, controlPlaneEndpointsConfig } };
      return problemsOf({ ...FRESH, ...raw });
    };
    expect(await asked({})).toEqual([
      expect.stringMatching(
        /^controlPlaneAccess: dns .*gcloud container clusters update noetl-gke --region europe-west1 --enable-dns-access, /,
      ),
    ]);
    expect(
      await asked({ dnsEndpointConfig: { ...NAMED.dnsEndpointConfig, allowExternalTraffic: false } }),
    ).toHaveLength(1);
    expect(await asked(NAMED)).toEqual([]);
    expect(await asked({ ...NAMED, ...off })).toEqual([]);
    expect(await asked({ ...NAMED, ...off }, authorized)).toEqual([
      expect.stringMatching(/^controlPlaneAccess: authorized .*--enable-ip-access; or dns$/),
    ]);
    expect(await asked({}, authorized)).toEqual([]);
    expect(await asked({}, { controlPlaneAccess: "public", acceptedRisks: "plain-http,public-control-plane" })).toEqual(
      [],
    );
  });

  it("postpones the quotas of an empty project to the update, and says how to see them now", async () => {
    answers[PROJECT] = disabled;
    answers[`${PROJECT}/regions/europe-west1`] = disabled;
    const { quotasRead, warnings } = await check(FRESH);
    expect(quotasRead).toBe(false);
    expect(warnings[0]).toContain("gcloud services enable compute.googleapis.com --project acme-noetl");
  });

  it("names a missing permission, a wrong project and a wrong region", async () => {
    answers[PROJECT] = { status: 403, body: { error: { message: "Required 'compute.projects.get' permission" } } };
    expect((await problemsOf(FRESH))[0]).toContain(
      "Required 'compute.projects.get' permission; allowed: role roles/compute.viewer",
    );
    delete answers[PROJECT];
    expect((await problemsOf(FRESH))[0]).toContain('projectId: there is no project "acme-noetl"');
    answers[PROJECT] = { body: {} };
    expect((await problemsOf({ ...FRESH, region: "europe-west99" }))[0]).toContain(
      'region: there is no region "europe-west99"',
    );
  });

  it("finds the cluster to deploy onto", async () => {
    expect((await check(ONTO_EXISTING)).cluster).toEqual({
      endpoint: "203.0.113.11",
      caCertificate: "Y2E=",
      networkId: "projects/acme-noetl/global/networks/shared",
      createdWith: "1.31.2-gke.1",
      autopilot: true,
      workloadPool: "acme-noetl.svc.id.goog",
    });
  });

  it("lists the project's clusters where the wanted one is missing", async () => {
    answers["/v1/projects/acme-noetl/locations/-/clusters"] = {
      body: {
        clusters: [
          { name: "other", location: "us-central1" },
          { name: "noetl-cluster", location: "us-east1" },
        ],
      },
    };
    delete answers[CLUSTER];
    expect(await problemsOf(ONTO_EXISTING)).toEqual([
      'clusterName: there is no cluster "noetl-cluster" in us-central1 of project acme-noetl, and createCluster is false; ' +
        "allowed: noetl-cluster in us-east1, other in us-central1; or createCluster true",
    ]);
  });

  it("refuses a cluster that is going away, or lacks Workload Identity for Cloud SQL", async () => {
    answers[CLUSTER] = { body: { ...running, status: "STOPPING", workloadIdentityConfig: {} } };
    const problems = await problemsOf({ ...ONTO_EXISTING, useCloudSql: "true", deployPostgres: "false" });
    expect(problems.map((each) => each.split(";")[0])).toEqual([
      'clusterName: cluster "noetl-cluster" is STOPPING',
      'useCloudSql: cluster "noetl-cluster" has no Workload Identity, by which the Auth Proxy logs in',
    ]);
  });

  it("reaches a control plane without a public address by its name, where that leads in from outside", async () => {
    const named = (allowExternalTraffic: boolean, ipEndpointsConfig: object) => ({
      ...running,
      controlPlaneEndpointsConfig: {
        dnsEndpointConfig: { endpoint: "gke-1.europe-west1.gke.goog", allowExternalTraffic },
        ipEndpointsConfig,
      },
    });
    const reached = async (body: object) => {
      answers[CLUSTER] = { body };
      return (await check(ONTO_EXISTING)).cluster;
    };
    const byName = await reached(named(true, { enabled: false }));
    expect(byName).toMatchObject({ endpoint: "gke-1.europe-west1.gke.goog" });
    expect(byName?.caCertificate).toBeUndefined();
    expect(await reached(named(true, { enabled: true, enablePublicEndpoint: false }))).toEqual(byName);
    const byAddress = { endpoint: "203.0.113.11", caCertificate: "Y2E=" };
    expect(await reached(named(true, { enabled: true }))).toMatchObject(byAddress);
    // From inside its network a private address serves.
    expect(await reached(named(false, { enabled: true, enablePublicEndpoint: false }))).toMatchObject(byAddress);
    answers[CLUSTER] = { body: named(false, { enabled: false }) };
    expect((await problemsOf(ONTO_EXISTING))[0]).toContain('the control plane of "noetl-cluster" has no address');
  });

  it("refuses a Standard cluster that cannot serve the ingress or the Auth Proxy", async () => {
    answers[CLUSTER] = {
      body: {
        ...running,
        autopilot: {},
        addonsConfig: { httpLoadBalancing: { disabled: true } },
        nodePools: [
          { name: "old", config: {} },
          { name: "new", config: { workloadMetadataConfig: { mode: "GKE_METADATA" } } },
        ],
      },
    };
    const raw = { ...INGRESS, region: "us-central1", createCluster: "false", clusterName: "noetl-cluster" };
    expect((await problemsOf(raw)).map((each) => each.split(";")[0])).toEqual([
      'exposure: ingress needs the HTTP load balancing add-on, which is off in cluster "noetl-cluster"',
      'exposure: ingress leads to pods themselves, which only a VPC-native cluster can, and "noetl-cluster" is not one',
      'useCloudSql: node pools old of cluster "noetl-cluster" hide Workload Identity from their pods, and the Auth Proxy would log in as the node',
    ]);
  });

  it("says where a cluster takes NetworkPolicies that nobody enforces", async () => {
    const warningsWith = async (body: object, raw: Record<string, string> = ONTO_EXISTING) => {
      answers[CLUSTER] = { body: { ...running, ...body } };
      return (await check(raw)).warnings;
    };
    const standard = { autopilot: {} };
    expect(await warningsWith(standard)).toEqual([
      expect.stringMatching(
        /^networkPolicies: cluster "noetl-cluster" takes NetworkPolicies and does not enforce them/,
      ),
    ]);
    const open = { ...ONTO_EXISTING, networkPolicies: "false", acceptedRisks: "plain-http,open-network" };
    expect(await warningsWith(standard, open)).toEqual([]);
    for (const enforcing of [
      {},
      { ...standard, networkPolicy: { enabled: true } },
      { ...standard, networkConfig: { datapathProvider: "ADVANCED_DATAPATH" } },
    ])
      expect(await warningsWith(enforcing)).toEqual([]);
  });

  it("tells a project without billing from a missing role, and refuses APIs that are off and stay off", async () => {
    const unbilled = {
      status: 403,
      body: {
        error: { message: "This API method requires billing to be enabled. Please enable billing on project #1." },
      },
    };
    answers[CLUSTER] = unbilled;
    expect(await problemsOf(ONTO_EXISTING)).toEqual([
      expect.stringContaining('project "acme-noetl" has no billing account'),
    ]);
    answers = { [PROJECT]: unbilled, [`${PROJECT}/regions/europe-west1`]: unbilled };
    expect(await problemsOf(FRESH)).toEqual([expect.stringContaining('project "acme-noetl" has no billing account')]);
    answers = { [PROJECT]: disabled, [`${PROJECT}/regions/europe-west1`]: disabled };
    expect(await problemsOf({ ...FRESH, enableApis: "false" })).toEqual([
      expect.stringMatching(/^enableApis: false, and the Compute Engine API of project acme-noetl is off/),
    ]);
  });

  it("leaves alone what belongs to the project that shares its network", async () => {
    answers[CLUSTER] = {
      body: { ...running, networkConfig: { network: "projects/acme-network/global/networks/shared" } },
    };
    const raw = { ...ONTO_EXISTING, useCloudSql: "true", deployPostgres: "false" };
    expect((await problemsOf(raw)).map((each) => each.split(":")[0])).toEqual([
      "createServiceConnection",
      "cloudSqlProxyEgressRule",
    ]);
    const left = { ...raw, createServiceConnection: "false", cloudSqlProxyEgressRule: "false" };
    expect((await check(left)).cluster?.networkId).toBe("projects/acme-network/global/networks/shared");
  });

  it("refuses a network that is not there, and a subnetwork that is not in it", async () => {
    const raw = { ...FRESH, network: "shared", subnetwork: "shared-a" };
    expect((await problemsOf(raw)).map((each) => each.split(";")[0])).toEqual([
      'network: there is no network "shared" in project acme-noetl',
      'subnetwork: there is no subnetwork "shared-a" in europe-west1 of project acme-noetl',
    ]);
    answers[`${PROJECT}/global/networks/shared`] = { body: {} };
    answers[`${PROJECT}/regions/europe-west1/subnetworks/shared-a`] = {
      body: { network: "https://www.googleapis.com/compute/v1/projects/acme-noetl/global/networks/default" },
    };
    expect(await problemsOf(raw)).toEqual([
      'subnetwork: "shared-a" belongs to network "default"; allowed: one of network "shared"',
    ]);
    answers[`${PROJECT}/regions/europe-west1/subnetworks/shared-a`] = {
      body: { network: "https://www.googleapis.com/compute/v1/projects/acme-noetl/global/networks/shared" },
    };
    await expect(check(raw)).resolves.toMatchObject({ quotasRead: true });
  });

  it("refuses a zone that does not hold the hosts, is private, or is not there", async () => {
    answers[ZONE] = { body: { dnsName: "acme.com.", visibility: "private" } };
    expect((await problemsOf(INGRESS)).map((each) => each.split(":")[0])).toEqual([
      "dnsZone",
      "gatewayHost",
      "noetlHost",
    ]);
    delete answers[ZONE];
    expect(await problemsOf(INGRESS)).toEqual(['dnsZone: there is no zone "acme-dev" of project acme-noetl']);
  });

  it("tries again, then says which service did not answer, without the token", async () => {
    answers[PROJECT] = { status: 503, body: {} };
    const failure = await check(FRESH).catch((error: Error) => error.message);
    expect(failure).toMatch(/^asking Google Cloud for projects\/acme-noetl failed \(127\.0\.0\.1:\d+\): 503/);
    expect(failure).not.toContain("canary");
    expect(asked.filter(({ path }) => path === PROJECT)).toHaveLength(3);
  });

  it("asks the quotas for what the stack itself makes", () => {
    const demand = (raw: Record<string, string>) => demandOf(parseSettings(raw));
    expect(demand({ ...FRESH, natsReplicas: "1" })).toEqual({
      cpus: 64,
      ssdGigabytes: 5,
      addresses: 1,
      globalAddresses: 0,
    });
    expect(demand(INGRESS)).toEqual({
      cpus: 64,
      ssdGigabytes: 15,
      addresses: 0,
      globalAddresses: 2,
    });
    expect(demand({ ...FRESH, useCloudSql: "false", deployPostgres: "true", gatewayAddressName: "a" })).toEqual({
      cpus: 64,
      ssdGigabytes: 25,
      addresses: 0,
      globalAddresses: 0,
    });
  });
});
