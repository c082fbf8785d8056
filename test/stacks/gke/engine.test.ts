import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { CoreV1Api, CustomObjectsApi, KubeConfig, NetworkingV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as ClusterModule from "../../../embedded/cluster/index.js";
import type * as GkeModule from "../../../embedded/gcp/stack.js";
import { projectRoot } from "../../../contract/project";
import { STACK_TOOLS } from "../../../embedded/tools";
import { examine } from "../../../commands/doctor/doctor";
import { targetOf } from "../../../commands/doctor/target";
import { verify } from "../../../commands/doctor/verify";
import { ensureTools, type ToolPaths } from "../../../embedded/toolchain";
import { FRESH, INGRESS, ONTO_EXISTING } from "../../support/gke/configurations";
import { operationsOf } from "../../support/engine";

// The compiled program, as users run it: the engine serialises the provider's stub from it.
const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openGkeStack } = compiled("./embedded/gcp/stack") as typeof GkeModule;

const PASSWORDS = {
  natsPassword: "canary-nats-1",
  noetlPassword: "canary-noetl-2",
  postgresPassword: "canary-admin-3",
};
const SECRETS = { ...PASSWORDS, iapClientSecret: "canary-iap-4" };
const CONFIG = {
  ...INGRESS,
  ...SECRETS,
  iap: "true",
  iapClientId: "123-abc.apps.googleusercontent.com",
  iapMembers: "group:noetl@acme.dev",
  // The embedded control plane has an address, and no name with a certificate of a public authority.
  controlPlaneAccess: "authorized",
  authorizedNetworks: "198.51.100.0/24",
  maintenanceWindow: "sat,sun 02:00-08:00",
  maintenanceExclusions: "2026-12-20/2027-01-05",
  secretsKmsKey: "projects/acme-noetl/locations/europe-west1/keyRings/noetl/cryptoKeys/secrets",
  playbookJobs: "own",
  contractTimeoutSeconds: "60",
  // The embedded cluster has one node, and GKE's three servers want a node each.
  natsReplicas: "1",
  // A real Postgres stands in for each PgBouncer pod and the instance behind it.
  pgbouncerReplicas: "1",
};

let dir: string;
let tools: ToolPaths;
let cluster: ClusterModule.Cluster;
let gke: GkeModule.GkeStack;
let printed = "";
const onOutput = (text: string) => (printed += text);

beforeAll(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-gke-"));
  tools = (await ensureTools(STACK_TOOLS)) as ToolPaths;
  cluster = await startCluster({ dir: path.join(dir, "cluster"), tools });
  gke = await openGkeStack({ dir, tools, kubeconfigPath: cluster.kubeconfigPath, config: CONFIG });
});

afterAll(async () => {
  await gke?.close();
  await cluster?.stop();
  if (dir) fs.rmSync(dir, { recursive: true, force: true });
});

/** Operations of a preview, by the resource's name; unchanged ones left out. */
const touched = () => operationsOf((onEvent) => gke.stack.preview({ onEvent, onOutput }));

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "",
    (error: Error) => error.message,
  );

/** A cluster that somebody else has created, as the cloud describes it: the embedded one. */
function controlPlane(kubeconfigPath: string) {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const { server = "", caData = "" } = config.getCurrentCluster() ?? {};
  return {
    endpoint: new URL(server).host,
    masterAuth: { clusterCaCertificate: caData },
    masterVersion: "1.34.4-gke.1047000",
    network: "default",
  };
}

/** Everything the engine keeps about the stack, as it stands on the disk. */
const state = (): string =>
  fs
    .readdirSync(path.join(dir, "state"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");

describe("an empty project, by the real engine", () => {
  it("has its quotas checked once the APIs are enabled, before anything that costs is created", async () => {
    const empty = await openGkeStack({ dir: path.join(dir, "empty"), tools, config: { ...FRESH, ...PASSWORDS } });
    try {
      empty.cloud.empty = true;
      empty.cloud.quotas = { ...empty.cloud.quotas, CPUS: [24, 8] };
      let said = "";
      const refusal = "quota CPUS of region europe-west1 of project acme-noetl: 16 vCPU are free (limit 24, used 8)";
      const failure = await failureOf(empty.stack.up({ onOutput: (text) => (said += text) }));
      expect(said).toContain(
        "its quotas are checked during the update, before the network and the cluster are created",
      );
      expect(failure).toContain(refusal);
      // The message is for the user; where in the program it arose is of no use to them.
      expect(failure).not.toMatch(/\n +at /);
      const types = [...empty.cloud.inventory.keys()].map((key) => key.split(" ")[0]);
      expect(new Set(types)).toEqual(new Set(["gcp:projects/service:Service"]));
      // Now that they are enabled, the preview says it.
      expect(await failureOf(empty.stack.preview())).toContain(refusal);
    } finally {
      await empty.close();
    }
  });
});

describe("a whole stack on GKE, by the real engine", () => {
  it("refuses at preview what Google Cloud would refuse later, and has created nothing", async () => {
    const { quotas } = gke.cloud;
    gke.cloud.quotas = { ...quotas, CPUS: [24, 8] };
    gke.cloud.zones = { "acme-dev": "acme.com." };
    const failure = await failureOf(gke.stack.up({ onOutput }));
    gke.cloud.quotas = quotas;
    gke.cloud.zones = { "acme-dev": "acme.dev." };
    expect(failure).toContain("The configuration has 3 problems:");
    expect(failure).toContain(
      "quota CPUS of region europe-west1 of project acme-noetl: 16 vCPU are free (limit 24, used 8)",
    );
    expect(failure).toContain('gatewayHost: "gateway.acme.dev" is not in zone "acme-dev"');
    expect(gke.cloud.inventory.size).toBe(0);
  });

  it("previews everything, the cluster not yet being there", async () => {
    const steps = await touched();
    expect(new Set(Object.values(steps))).toEqual(new Set(["create"]));
    expect(Object.keys(steps)).toEqual(
      expect.arrayContaining(["gke-cluster", "cloud-sql-instance", "nats-release", "noetl-release", "stream-contract"]),
    );
    expect(gke.cloud.inventory.size).toBe(0);
  });

  it("creates the platform, deploys onto it without a stored credential, and proves the stream", async () => {
    const { outputs } = await gke.stack.up({ onOutput });
    expect(outputs.contract?.value).toMatchObject({ holds: true, report: "", retention: "limits" });
    expect(outputs).toMatchObject({
      registry: { value: "europe-west1-docker.pkg.dev/acme-noetl/noetl" },
      gatewayAddress: { value: "203.0.113.30" },
    });
    const kubeconfig = String(outputs.kubeconfig?.value);
    expect(kubeconfig).toContain("gke-gcloud-auth-plugin");
    const token = new KubeConfig();
    token.loadFromFile(cluster.kubeconfigPath);
    expect(kubeconfig).not.toContain(token.getCurrentUser()?.token);
  });

  it("is verified and found healthy from the stack's outputs and kubeconfig alone, as `verify` and `doctor` do", async () => {
    const [config, outputs] = await Promise.all([gke.stack.getAllConfig(), gke.stack.outputs()]);
    const prefix = /^noetl-nats:/;
    const target = targetOf(gke.stack.name, {
      config: Object.fromEntries(
        Object.entries(config).flatMap(([key, { value }]) =>
          prefix.test(key) ? [[key.replace(prefix, ""), value]] : [],
        ),
      ),
      outputs: Object.fromEntries(Object.entries(outputs).map(([key, { value }]) => [key, value as unknown])),
    });
    expect(target.configProblem).toBeUndefined();
    const { lines } = await verify(target);
    expect(lines.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(lines.length).toBeGreaterThan(8);
    // The address is a documentation's, and nobody resolves the name: that is all that is wrong.
    const { findings } = await examine(target);
    expect(findings.map(({ id, evidence }) => [id, evidence])).toEqual([
      ["public-url", [expect.stringMatching(/^https:\/\/gateway\.acme\.dev gives no answer: /)]],
    ]);
  });

  it("has put Google's objects before the gateway and the API", async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfigPath);
    const custom = config.makeApiClient(CustomObjectsApi);
    const get = (group: string, version: string, namespace: string, plural: string, name: string) =>
      custom.getNamespacedCustomObject({ group, version, namespace, plural, name }) as Promise<{ spec: unknown }>;
    const backend = await get("cloud.google.com", "v1", "gateway", "backendconfigs", "noetl-gateway");
    expect(backend.spec).toMatchObject({ timeoutSec: 3600, iap: { enabled: true } });
    const frontend = await get("networking.gke.io", "v1beta1", "gateway", "frontendconfigs", "noetl-gateway");
    expect(frontend.spec).toEqual({ redirectToHttps: { enabled: true }, sslPolicy: "noetl-gke-tls" });
    const certificate = await get("networking.gke.io", "v1", "noetl", "managedcertificates", "noetl-api");
    expect(certificate.spec).toEqual({ domains: ["noetl.acme.dev"] });
    const ingress = await config
      .makeApiClient(NetworkingV1Api)
      .readNamespacedIngress({ name: "gateway", namespace: "gateway" });
    expect(ingress.metadata?.annotations).toMatchObject({
      "kubernetes.io/ingress.class": "gce",
      "kubernetes.io/ingress.global-static-ip-name": "noetl-gke-gateway",
      "networking.gke.io/managed-certificates": "noetl-gateway",
      "networking.gke.io/v1beta1.FrontendConfig": "noetl-gateway",
    });
    expect(ingress.spec?.rules?.map(({ host }) => host)).toEqual(["gateway.acme.dev"]);
  });

  it("keeps every secret out of state and output", () => {
    const kept = state();
    expect(kept).toContain("noetl-gke");
    for (const secret of [...Object.values(SECRETS), "canary-access-token"]) {
      for (const text of [secret, Buffer.from(secret).toString("base64")]) {
        expect(kept, secret).not.toContain(text);
        expect(printed, secret).not.toContain(text);
      }
    }
  });

  it("sees nothing to do afterwards, although its own usage has filled the quota", async () => {
    const { quotas } = gke.cloud;
    gke.cloud.quotas = { ...quotas, CPUS: [24, 24] };
    expect(await touched()).toEqual({});
    gke.cloud.quotas = quotas;
  });

  it("changes who reaches the control plane, maintenance and TLS in place, and refuses a way that is not open yet", async () => {
    const kept = { controlPlaneAccess: "authorized", authorizedNetworks: "198.51.100.0/24", tlsProfile: "modern" };
    await gke.configure({ authorizedNetworks: "198.51.100.0/24,203.0.113.0/24", tlsProfile: "restricted" });
    expect(await touched()).toEqual({ "gke-cluster": "update", "tls-policy": "update" });
    await gke.configure({ controlPlaneAccess: "dns", authorizedNetworks: "" });
    expect(await failureOf(gke.stack.preview())).toContain(
      "gcloud container clusters update noetl-gke --region europe-west1 --enable-dns-access",
    );
    await gke.configure(kept);
  });

  it("protects what holds data, and refuses to be destroyed", async () => {
    const { deployment } = (await gke.stack.exportStack()) as {
      deployment: { resources: { urn: string; protect?: boolean }[] };
    };
    const guarded = deployment.resources.filter(({ protect }) => protect).map(({ urn }) => urn.split("::").at(-1));
    expect(guarded.sort()).toEqual([
      "cloud-sql-database",
      "cloud-sql-instance",
      "cloud-sql-range",
      "gateway-address-address",
      "gke-cluster",
      "nats-namespace",
      "nats-release",
      "noetl-address-address",
      "postgres-namespace",
      "registry-repository",
    ]);
    const before = [...gke.cloud.inventory.keys()];
    const failure = await gke.command("destroy", "--yes").then(
      () => "",
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    expect(failure).toMatch(/Preview failed: resource .*nats-release.* cannot be deleted/);
    expect([...gke.cloud.inventory.keys()]).toEqual(before);
  });

  it("is destroyed deliberately, wholly", async () => {
    await gke.configure({ deletionProtection: "false" });
    const { summary } = await gke.stack.up({ onOutput });
    expect(summary.resourceChanges).toMatchObject({ update: expect.any(Number) as number });
    expect(summary.resourceChanges).not.toHaveProperty("replace");
    await gke.stack.destroy({ onOutput });
    expect([...gke.cloud.inventory.keys()]).toEqual([]);
    expect(printed).not.toContain("canary");
  });
});

describe("onto an existing cluster, with a load balancer before the gateway, by the real engine", () => {
  const CLUSTER = "gcp:container/cluster:Cluster projects/acme-noetl/locations/us-central1/clusters/noetl-cluster";
  let existing: GkeModule.GkeStack;

  beforeAll(async () => {
    existing = await openGkeStack({
      dir: path.join(dir, "existing"),
      tools,
      kubeconfigPath: cluster.kubeconfigPath,
      config: {
        ...ONTO_EXISTING,
        ...PASSWORDS,
        contractTimeoutSeconds: "60",
        natsReplicas: "1",
        deletionProtection: "false",
      },
    });
  });
  afterAll(() => existing?.close());

  it("refuses a cluster that is not there", async () => {
    expect(await failureOf(existing.stack.preview())).toContain(
      'there is no cluster "noetl-cluster" in us-central1 of project acme-noetl',
    );
  });

  it("deploys NATS, Postgres, NoETL and the gateway onto it, and proves the stream", async () => {
    existing.cloud.inventory.set(CLUSTER, controlPlane(cluster.kubeconfigPath));
    const { outputs } = await existing.stack.up({ onOutput });
    expect(outputs.contract?.value).toMatchObject({ holds: true, report: "" });
    expect(outputs).toMatchObject({
      gatewayAddress: { value: "203.0.113.20" },
      gatewayUrl: { value: expect.stringContaining("8090") as string },
    });
    expect(outputs).not.toHaveProperty("registry");
    expect(printed).not.toContain("canary");
  });

  it("has reserved the address, and created nothing else in the cloud", () => {
    const created = [...existing.cloud.inventory.keys()].filter((key) => !key.startsWith("gcp:projects/service:"));
    expect(created.sort()).toEqual([
      "gcp:compute/address:Address projects/acme-noetl/regions/us-central1/addresses/noetl-cluster-gateway",
      CLUSTER,
    ]);
  });

  it("gives the gateway's Service the reserved address", async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfigPath);
    const service = await config
      .makeApiClient(CoreV1Api)
      .readNamespacedService({ name: "gateway", namespace: "gateway" });
    expect(service.spec?.type).toBe("LoadBalancer");
    expect(service.status?.loadBalancer?.ingress).toMatchObject([{ ip: "203.0.113.20" }]);
  });
});
