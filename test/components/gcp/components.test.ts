/** The components of Google Cloud one by one, as a program of one's own uses them. */
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import type * as Gcp from "../../../components/gcp/index.js";
import { accountId } from "../../../components/gcp/names";
import { pgbouncerIni, userList } from "../../../components/gcp/pgbouncer/manifests";
import { settled, unwrap, valueOf } from "../../support/mocks";
import { created, called } from "../../../embedded/gcp/outputs";
import { inputProblems } from "../../../embedded/gcp/schema";

interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const declared: Declared[] = [];
let library: typeof Gcp;

beforeAll(async () => {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        declared.push({ type, name, inputs: inputs as Record<string, unknown> });
        const plain = unwrap(inputs) as Record<string, unknown>;
        if (!type.startsWith("gcp:")) {
          const metadata = { name, ...(plain.metadata as object | undefined) };
          return { id: name, state: { ...plain, metadata, status: {}, result: "generated" } };
        }
        const { id, outputs } = created(type, plain);
        return { id, state: { ...(inputs as object), ...outputs } };
      },
      call: ({ token, inputs }) => called(token, inputs as Record<string, unknown>),
    },
    "noetl-nats",
    "test",
  );
  library = await import("../../../components/gcp/index.js");
});

const of = (name: string): Record<string, unknown> => {
  const found = declared.find((each) => each.name === name);
  if (!found) throw new Error(`no ${name} among ${declared.map((each) => each.name).join(", ")}`);
  if (found.type.startsWith("gcp:")) expect(inputProblems(found.type, unwrap(found.inputs) as never)).toEqual([]);
  return unwrap(found.inputs) as Record<string, unknown>;
};

describe("AutopilotCluster", () => {
  it("is regional, protected and private, its nodes under an account of their own, and is reached without a credential", async () => {
    const cluster = new library.AutopilotCluster("one", {
      project: "acme",
      region: "europe-west1",
      clusterName: "noetl",
      network: "projects/acme/global/networks/n",
      subnetwork: "s",
    });
    const kubeconfig = JSON.parse(await valueOf(cluster.kubeconfig)) as Record<string, never>;
    expect(of("one-cluster")).toEqual({
      project: "acme",
      location: "europe-west1",
      name: "noetl",
      enableAutopilot: true,
      deletionProtection: true,
      releaseChannel: { channel: "REGULAR" },
      network: "projects/acme/global/networks/n",
      subnetwork: "s",
      privateClusterConfig: { enablePrivateNodes: true },
      controlPlaneEndpointsConfig: {
        dnsEndpointConfig: { allowExternalTraffic: true },
        ipEndpointsConfig: { enabled: false },
      },
      databaseEncryption: { state: "DECRYPTED" },
      clusterAutoscaling: {
        autoProvisioningDefaults: {
          serviceAccount: "noetl-nodes@acme.iam.gserviceaccount.com",
          oauthScopes: ["https://www.googleapis.com/auth/cloud-platform"],
        },
      },
    });
    expect(of("one-nodes-role")).toEqual({
      project: "acme",
      role: "roles/container.defaultNodeServiceAccount",
      member: "serviceAccount:noetl-nodes@acme.iam.gserviceaccount.com",
    });
    expect(kubeconfig).toMatchObject({
      clusters: [{ cluster: { server: "https://gke-noetl-123456789012.europe-west1.gke.goog" } }],
      users: [
        { user: { exec: { command: "gke-gcloud-auth-plugin", args: ["--use_application_default_credentials"] } } },
      ],
    });
    expect(Object.keys((kubeconfig.users as unknown as { user: object }[])[0]?.user ?? {})).toEqual(["exec"]);
    expect(await valueOf(cluster.workloadPool)).toBe("acme.svc.id.goog");
  });
});

describe("AutopilotCluster's control plane and Secrets", () => {
  const made = (name: string, more: Partial<Gcp.AutopilotClusterArgs>) =>
    new library.AutopilotCluster(name, {
      project: "acme",
      region: "europe-west1",
      clusterName: "noetl",
      network: "n",
      subnetwork: "s",
      ...more,
    });
  const clusterIn = async (cluster: Gcp.AutopilotCluster) =>
    (JSON.parse(await valueOf(cluster.kubeconfig)) as { clusters: { cluster: object }[] }).clusters[0]?.cluster;

  it("has no authority of its own in the kubeconfig where the name is used, whose certificate is public", async () => {
    expect(await clusterIn(made("by-name", {}))).toEqual({
      server: "https://gke-noetl-123456789012.europe-west1.gke.goog",
    });
  });

  it.each<[string, Gcp.ControlPlaneAccess, object | undefined]>([
    [
      "ranges alone",
      ["198.51.100.0/24"],
      { cidrBlocks: [{ cidrBlock: "198.51.100.0/24" }], gcpPublicCidrsAccessEnabled: false },
    ],
    ["everybody", "public", undefined],
  ])("lets %s in at its address, and nobody by its name", async (_, controlPlaneAccess, expected) => {
    const name = `by-address-${String(controlPlaneAccess)}`;
    const cluster = made(name, { controlPlaneAccess });
    expect(await clusterIn(cluster)).toEqual({
      server: "https://203.0.113.10",
      "certificate-authority-data": "Y2VydGlmaWNhdGU=",
    });
    const inputs = of(`${name}-cluster`);
    expect(inputs.controlPlaneEndpointsConfig).toEqual({
      dnsEndpointConfig: { allowExternalTraffic: false },
      ipEndpointsConfig: { enabled: true },
    });
    expect(inputs.masterAuthorizedNetworksConfig).toEqual(expected);
  });

  it("lets GKE's agent use the key before it encrypts Secrets with it", async () => {
    const key = "projects/acme/locations/europe-west1/keyRings/r/cryptoKeys/k";
    await valueOf(made("encrypted", { secretsKmsKey: key }).kubeconfig);
    expect(of("encrypted-cluster").databaseEncryption).toEqual({ state: "ENCRYPTED", keyName: key });
    expect(of("encrypted-secrets-key")).toEqual({
      cryptoKeyId: key,
      role: "roles/cloudkms.cryptoKeyEncrypterDecrypter",
      member: "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com",
    });
    const order = declared.map(({ name }) => name);
    expect(order.indexOf("encrypted-secrets-key")).toBeLessThan(order.indexOf("encrypted-cluster"));
  });
});

describe("Network", () => {
  it("takes an existing network as it is, and makes a NAT for its subnetwork alone", async () => {
    const network = new library.Network("two", {
      project: "acme",
      region: "europe-west1",
      networkName: "noetl",
      existing: { network: "shared", subnetwork: "shared-a" },
      nodeCidr: "",
      podCidr: "",
      serviceCidr: "",
      nat: true,
    });
    expect(await valueOf(network.networkId)).toBe("projects/acme/global/networks/shared");
    await settled(declared);
    expect(of("two-nat")).toMatchObject({
      sourceSubnetworkIpRangesToNat: "LIST_OF_SUBNETWORKS",
      subnetworks: [{ name: "projects/acme/regions/europe-west1/subnetworks/shared-a" }],
    });
    expect(declared.some(({ name }) => name === "two-vpc" || name === "two-nodes")).toBe(false);
  });
});

describe("CloudSql", () => {
  const args = {
    project: "acme",
    region: "europe-west1",
    instanceName: "pg",
    network: "projects/acme/global/networks/n",
    version: "POSTGRES_17",
    edition: "ENTERPRISE",
    tier: "db-g1-small",
    diskSizeGb: 10,
    diskType: "SSD",
    availability: "ZONAL",
    database: "noetl",
    adminUser: "postgres",
  };

  it.each([
    ["gives its range back with a network of the stack's own", "own", false],
    ["leaves it where the network stays, whose connection leads to it", "kept", true],
  ])("%s", async (_, name, keepRange) => {
    const retained: Record<string, unknown> = {};
    const note: pulumi.ResourceTransformation = ({ name: resource, opts }) => {
      retained[resource] = (opts as pulumi.CustomResourceOptions).retainOnDelete;
      return undefined;
    };
    new library.CloudSql(name, { ...args, keepRange }, { transformations: [note] });
    await settled(declared);
    expect(of(`${name}-connection`)).toMatchObject({ deletionPolicy: "ABANDON" });
    expect(retained[`${name}-range`]).toBe(keepRange);
  });
});

describe("CloudSqlPooler", () => {
  const args = {
    project: "acme",
    workloadPool: "acme.svc.id.goog",
    connectionName: "acme:europe-west1:pg",
    instanceName: "pg",
    database: "noetl",
    user: "noetl",
    password: pulumi.secret("canary-noetl"),
    adminUser: "postgres",
    adminPassword: pulumi.secret("canary-admin"),
    replicas: 1,
    maxClientConnections: 100,
    poolSize: 4,
    minPoolSize: 0,
    reservePoolSize: 1,
    maxDbConnections: 8,
    pgbouncerImage: "p:v1",
    proxyImage: "x:v1",
  };

  it("logs in by Workload Identity, and keeps passwords in a Secret alone", async () => {
    const pooler = new library.CloudSqlPooler("pool", args);
    expect(await valueOf(pooler.host)).toBe("pgbouncer.pgbouncer.svc.cluster.local");
    expect(of("pool-client")).toMatchObject({
      role: "roles/cloudsql.client",
      member: "serviceAccount:pg-proxy@acme.iam.gserviceaccount.com",
    });
    expect(of("pool-identity")).toEqual({
      serviceAccountId: "projects/acme/serviceAccounts/pg-proxy@acme.iam.gserviceaccount.com",
      role: "roles/iam.workloadIdentityUser",
      member: "serviceAccount:acme.svc.id.goog[pgbouncer/cloud-sql-proxy]",
    });
    expect(of("pool-service-account")).toMatchObject({
      metadata: { annotations: { "iam.gke.io/gcp-service-account": "pg-proxy@acme.iam.gserviceaccount.com" } },
    });
    expect(of("pool-users")).toMatchObject({
      stringData: { "userlist.txt": '"noetl" "canary-noetl"\n"postgres" "canary-admin"\n' },
    });
    const elsewhere = declared.filter(({ name }) => name.startsWith("pool-") && name !== "pool-users");
    expect(JSON.stringify(elsewhere)).not.toContain("canary");
    // A budget for a single pod would block every node upgrade.
    expect(declared.some(({ name }) => name === "pool-budget")).toBe(false);
  });

  it("lets the logins in that were valid before, with the password that each has", async () => {
    const formerLogins = pulumi.secret([
      { user: "noetl_2", password: "canary-second" },
      { user: "noetl", password: "canary-first" },
    ]);
    new library.CloudSqlPooler("moving", { ...args, user: "noetl_3", formerLogins });
    await settled(declared);
    expect(of("moving-users")).toMatchObject({
      stringData: {
        "userlist.txt":
          '"noetl" "canary-first"\n"noetl_2" "canary-second"\n"noetl_3" "canary-noetl"\n"postgres" "canary-admin"\n',
      },
    });
  });

  it("refuses names that would need quoting in pgbouncer.ini", () => {
    expect(() => new library.CloudSqlPooler("bad", { ...args, database: "no-etl" })).toThrow(
      /database is not a plain SQL name/,
    );
  });

  it("pools by the transaction, but gives the administrator sessions", () => {
    const ini = pgbouncerIni(args);
    expect(ini).toContain("pool_mode = transaction");
    expect(ini).toContain("[users]\npostgres = pool_mode=session\n");
    expect(ini).toContain("max_db_connections = 8");
    expect(ini).toContain("dbname=postgres max_db_connections=1");
    expect(ini).not.toContain("canary");
  });

  it("quotes its user list", () => expect(userList({ b: 'x"y', a: "1" })).toBe('"a" "1"\n"b" "x""y"\n'));
});

describe("LoadBalancing", () => {
  it("holds event streams open, checks health, redirects to https, and names the OAuth client in a Secret", async () => {
    new library.LoadBalancing("lb", {
      namespace: "gateway",
      objectName: "g",
      health: { path: "/health", port: 8090 },
      timeoutSeconds: 3600,
      iap: { clientId: "id", clientSecret: pulumi.secret("canary") },
    });
    await settled(declared);
    expect(of("lb-backend")).toMatchObject({
      spec: {
        timeoutSec: 3600,
        healthCheck: { type: "HTTP", requestPath: "/health", port: 8090 },
        iap: { enabled: true, oauthclientCredentials: { secretName: "lb-oauth" } },
      },
    });
    expect(of("lb-frontend")).toMatchObject({ spec: { redirectToHttps: { enabled: true } } });
    expect(of("lb-oauth")).toMatchObject({ stringData: { client_id: "id", client_secret: "canary" } });
  });
});

describe("PublicAddress", () => {
  it("looks an existing one up, global or regional", async () => {
    const args = { project: "acme", addressName: "old", existing: true };
    const global = new library.PublicAddress("a", { ...args, record: { host: "g.acme.dev", zone: "z" } });
    const regional = new library.PublicAddress("b", { ...args, region: "europe-west1" });
    expect(await valueOf(global.address)).toBe("203.0.113.50");
    expect(await valueOf(regional.address)).toBe("203.0.113.40");
    await settled(declared);
    expect(of("a-record")).toMatchObject({ name: "g.acme.dev.", type: "A", rrdatas: ["203.0.113.50"] });
  });
});

describe("names", () => {
  it.each([
    ["noetl", "nodes", "noetl-nodes"],
    ["a-cluster-with-quite-a-long-name", "nodes", /^a-cluster-with-qui.*-[0-9a-f]{4}-nodes$/],
  ])("%s, %s", (name, role, expected) => {
    const id = accountId(name, role);
    expect(id).toMatch(expected);
    expect(id.length).toBeLessThanOrEqual(30);
  });
  it("tells long names apart", () =>
    expect(accountId("a-very-long-name-of-a-cluster-1", "nodes")).not.toBe(
      accountId("a-very-long-name-of-a-cluster-2", "nodes"),
    ));
});

describe("the check against the official schemas", () => {
  const cluster = "gcp:container/cluster:Cluster";
  it("names what is unknown, missing or of another type, at any depth", () => {
    expect(inputProblems(cluster, { name: "n", releaseChannel: { channel: "REGULAR" } })).toEqual([]);
    expect(inputProblems(cluster, { autopilot: true })).toEqual([`${cluster}.autopilot: no such property`]);
    expect(inputProblems(cluster, { releaseChannel: {} })).toEqual([
      `${cluster}.releaseChannel.channel: required, and missing`,
    ]);
    expect(inputProblems(cluster, { clusterAutoscaling: { autoProvisioningDefaults: { oauthScopes: [1] } } })).toEqual([
      `${cluster}.clusterAutoscaling.autoProvisioningDefaults.oauthScopes[0]: number instead of string`,
    ]);
    expect(inputProblems("gcp:servicenetworking/connection:Connection", {})).toHaveLength(3);
  });
  it("knows no resource that the SDK does not have", () =>
    expect(() => inputProblems("gcp:container/cluster:Nothing", {})).toThrow(/declares no NothingArgs/));
});
