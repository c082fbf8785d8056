import { spawn } from "node:child_process";
import * as path from "node:path";
import { KubeConfig, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkContract, ConnectError, withDefaults, type ContractArguments } from "../../../contract";
import { projectRoot } from "../../../contract/project";
import type { Cluster } from "../../../embedded/cluster";
import { Client, isReady, launch, natsObjects, noetl, PASSWORD, service, until } from "../../support/cluster";

let cluster: Cluster;
let client: Client;

const inputs = (args: ContractArguments = {}) =>
  withDefaults({
    connection: { kubeconfig: cluster.kubeconfigPath },
    user: "noetl",
    password: PASSWORD,
    timeoutSeconds: 6,
    ...args,
  });

async function problemOf(args: ContractArguments): Promise<{ problem: string; message: string }> {
  try {
    await checkContract(inputs(args));
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return { problem: error.problem, message: error.message };
  }
  throw new Error("it was expected to fail and did not");
}

beforeAll(async () => {
  cluster = await launch();
  client = new Client(cluster);
});
afterAll(() => cluster?.stop());

// In this order: each step starts from what the one before left.
describe("the stream contract through a port-forward over the API server", () => {
  it("says that NATS is not deployed", async () => {
    expect(await problemOf({})).toMatchObject({
      problem: "no-pod",
      message: expect.stringContaining("there is no Service nats/nats: is NATS deployed there?") as unknown,
    });
  });

  it("finds no stream before NoETL has started", async () => {
    for (const name of ["nats", "noetl"]) await client.namespace(name);
    await client.create(...natsObjects("nats"));
    await client.pod("nats", "nats-0", isReady);
    const report = await checkContract(inputs());
    expect(report).toMatchObject({ holds: false, server: "pod nats/nats-0 port 4222" });
    expect(report.checks.filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(["stream-exists"]);
  });

  it("waits for NoETL's start-up and holds", async () => {
    const checking = checkContract(inputs({ timeoutSeconds: 150 }));
    await client.create(
      noetl("noetl", "server", "nats"),
      service("noetl", "noetl", "noetl-server", 8082),
      noetl("noetl", "worker", "nats"),
    );
    expect(await checking).toMatchObject({ holds: true, report: "", retention: "limits", maxAckPending: 64 });
  });

  it("takes at most a second where the machine has nothing else to do, with the kubeconfig's content and a pod's name too", async () => {
    const connection = { kubeconfig: cluster.kubeconfig, pod: "nats-0" };
    await until("a check that takes less", async () => {
      const start = performance.now();
      expect(await checkContract(inputs({ connection, timeoutSeconds: 60 }))).toMatchObject({ holds: true });
      return performance.now() - start < 1_000 || undefined;
    });
  });

  it("lets the process end", async () => {
    const module = path.join(projectRoot(), "dist/contract/check.js");
    const script = `require(process.argv[1]).checkContract(JSON.parse(process.env.INPUTS)).then(({ holds }) => console.log(holds))`;
    const child = spawn(process.execPath, ["-e", script, module], {
      env: { ...process.env, INPUTS: JSON.stringify(inputs()) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    let told = 0;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      told = performance.now();
    });
    const code = await new Promise((resolve) => child.on("exit", resolve));
    expect({ code, output }).toEqual({ code: 0, output: "true\n" });
    // A socket that is left open keeps a process for ever, a timer for ten seconds; a busy machine ends one within fewer.
    expect(performance.now() - told).toBeLessThan(8_000);
  });

  it("refuses a wrong password", async () => {
    const wrong = await problemOf({ password: "Wrong-Horse.8" });
    expect(wrong.problem).toBe("wrong-password");
    expect(wrong.message).toContain("NATS at pod nats/nats-0 port 4222 does not accept the password of user noetl");
    expect(wrong.message).not.toContain("Wrong-Horse.8");
  });

  it("names a port on which nothing listens", async () => {
    const refused = await problemOf({
      connection: { kubeconfig: cluster.kubeconfigPath, port: 4999 },
      timeoutSeconds: 6,
    });
    expect(refused.problem).toBe("refused");
    expect(refused.message).toContain("pod nats/nats-0 does not answer on port 4999");
  });

  it("names a pod that does not exist", async () => {
    const missing = await problemOf({
      connection: { kubeconfig: cluster.kubeconfigPath, pod: "nats-7" },
      timeoutSeconds: 4,
    });
    expect(missing).toMatchObject({ problem: "no-pod", message: expect.stringContaining("nats/nats-7") as unknown });
  });

  it("names the right that a user lacks, step by step", async () => {
    const rbac = client.config.makeApiClient(RbacAuthorizationV1Api);
    const namespace = "nats";
    const metadata = { name: "checker", namespace };
    await client.core.createNamespacedServiceAccount({ namespace, body: { metadata } });
    const { status } = await client.core.createNamespacedServiceAccountToken({
      name: "checker",
      namespace,
      body: { spec: { audiences: [], expirationSeconds: 600 } },
    });
    const limited = new KubeConfig();
    limited.loadFromClusterAndUser(
      client.config.getCurrentCluster() ?? { name: "", server: "", skipTLSVerify: false },
      { name: "checker", token: status?.token },
    );
    const args = { connection: { kubeconfig: limited.exportConfig() } };
    expect(await problemOf(args)).toMatchObject({
      problem: "forbidden",
      message: "the kubeconfig's user checker may not read Service nats/nats: its role needs get on services",
    });
    const reading = [{ apiGroups: [""], resources: ["services", "pods"], verbs: ["get", "list"] }];
    await rbac.createNamespacedRole({ namespace, body: { metadata, rules: reading } });
    await rbac.createNamespacedRoleBinding({
      namespace,
      body: {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "checker" },
        subjects: [{ kind: "ServiceAccount", name: "checker", namespace }],
      },
    });
    // The authorizer learns of a role a moment after it is written.
    await expect
      .poll(() => problemOf(args), { timeout: 60_000 })
      .toMatchObject({
        problem: "forbidden",
        message:
          "the kubeconfig's user checker may not open a port-forward to pod nats/nats-0: its role needs create and get on pods/portforward",
      });
    const rules = [...reading, { apiGroups: [""], resources: ["pods/portforward"], verbs: ["get", "create"] }];
    await rbac.replaceNamespacedRole({ name: "checker", namespace, body: { metadata, rules } });
    await expect
      .poll(() => checkContract(inputs(args)).catch(() => undefined), { timeout: 60_000 })
      .toMatchObject({ holds: true });
  });
});
