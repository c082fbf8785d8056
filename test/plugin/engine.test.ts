import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
// Compiled: the cluster starts its supervisor as a process of its own, from the file beside it.
import { type Cluster, startCluster } from "../../dist/embedded/cluster";
import { serveStandIns } from "../../embedded/plugin";
import { ensureTools } from "../../toolchain";
import { CREATE, openStack, UPDATE } from "./stack";

const log: string[] = [];
const clusterDir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-plugin-cluster-"));
let cluster: Cluster;
let kubeconfig: string;
let opened: Awaited<ReturnType<typeof openStack>>;
let standIns: Awaited<ReturnType<typeof serveStandIns>>;
let core: k8s.CoreV1Api;
let apps: k8s.AppsV1Api;

beforeAll(async () => {
  const tools = await ensureTools([
    "pulumi",
    "helm",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "nats-server",
  ]);
  cluster = await startCluster({ dir: clusterDir, tools });
  kubeconfig = cluster.kubeconfigPath;
  const config = new k8s.KubeConfig();
  config.loadFromFile(kubeconfig);
  core = config.makeApiClient(k8s.CoreV1Api);
  apps = config.makeApiClient(k8s.AppsV1Api);
  standIns = await serveStandIns({
    helm: tools.helm,
    cwd: path.join(__dirname, "program"),
    log: (line) => log.push(line),
  });
  opened = await openStack({
    pulumi: tools.pulumi,
    debugProviders: standIns.debugProviders,
    kubeconfig,
    stage: CREATE,
  });
});

afterAll(async () => {
  opened?.close();
  await standIns?.stop();
  await cluster?.stop();
  fs.rmSync(clusterDir, { recursive: true, force: true });
});

/** Everything the engine keeps about the stack, as it stands on the disk. */
const state = (): string =>
  fs
    .readdirSync(opened.stateDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
const privateFiles = (): string[] => fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("noetl-nats-helm-"));

describe("the real engine with the stand-ins", () => {
  it("creates everything and waits until it is ready", async () => {
    const { outputs, summary } = await opened.stack.up();
    expect(summary.result).toBe("succeeded");
    expect(outputs.status?.value).toMatchObject({
      name: "sample",
      namespace: "rec",
      revision: 1,
      status: "deployed",
      version: "0.1.0",
      appVersion: "1",
      chart: "sample",
    });
    expect(outputs.names?.value).toEqual({
      "ConfigMap/v1": ["rec/sample-config"],
      "Deployment.apps/apps/v1": ["rec/sample"],
      "Secret/v1": ["rec/sample-secret"],
      "StatefulSet.apps/apps/v1": ["rec/sample-db"],
    });
    expect(outputs.configMap?.value).toMatch(/^cm-[0-9a-f]{8}$/);
    expect(outputs.generated).toMatchObject({
      secret: true,
      value: expect.stringMatching(/^[A-Za-z0-9]{24}$/) as string,
    });
    const deployment = await apps.readNamespacedDeployment({ name: "sample", namespace: "rec" });
    expect(deployment.status?.availableReplicas).toBe(1);
    const kept = state();
    expect(kept).toContain('"id":"rec/sample"');
    expect(kept).not.toContain("canary-one");
    expect(kept).not.toContain(Buffer.from("canary-one").toString("base64"));
    expect(privateFiles()).toEqual([]);
  });

  it("sees nothing to do in a preview and after a refresh", async () => {
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 9 });
    await opened.stack.refresh();
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 9 });
  });

  it("shows drift after a refresh", async () => {
    const { configMap } = await opened.stack.outputs();
    const name = String(configMap?.value);
    const body = await core.readNamespacedConfigMap({ name, namespace: "rec" });
    await core.replaceNamespacedConfigMap({ name, namespace: "rec", body: { ...body, data: { a: "drift" } } });
    const { summary } = await opened.stack.refresh();
    expect(summary.resourceChanges).toMatchObject({ update: 1 });
    expect((await opened.stack.preview()).changeSummary).toMatchObject({ replace: 1 });
  });

  it("updates, replaces what cannot be changed, and keeps names apart", async () => {
    const before = (await opened.stack.outputs()).configMap?.value as string;
    opened.run(UPDATE);
    const preview = await opened.stack.preview({ diff: true });
    expect(preview.changeSummary).toMatchObject({ update: 2, replace: 3 });
    expect(preview.stdout).not.toContain("canary");
    const { outputs, stdout } = await opened.stack.up();
    expect(stdout).not.toContain("canary");
    expect(outputs.status?.value).toMatchObject({ revision: 2, status: "deployed" });
    expect(outputs.configMap?.value).not.toBe(before);
    const secret = await core.readNamespacedSecret({ name: "creds", namespace: "rec" });
    expect(secret.data?.password).toBe(Buffer.from("canary-two").toString("base64"));
    const service = await core.readNamespacedService({ name: "svc", namespace: "rec" });
    expect(service.spec?.ports?.map((port) => port.nodePort)).toEqual([30081]);
  });

  it("reports a failed upgrade without secrets, and recovers", async () => {
    opened.run({ ...UPDATE, claim: "2Gi", secret: "canary-three" });
    const failure = await opened.stack.up().then(
      () => "",
      (error: Error) => error.message,
    );
    expect(failure).toContain('Helm release "rec/sample" failed to initialize completely');
    expect(failure).toContain("updates to statefulset spec");
    expect(failure).not.toContain("canary");
    opened.run(UPDATE);
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ status: "deployed" });
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 9 });
  });

  it("recovers a release that an interrupted upgrade left pending", async () => {
    const secrets = (await core.listNamespacedSecret({ namespace: "rec", labelSelector: "owner=helm" })).items;
    const last = secrets
      .sort((a, b) => Number(a.metadata?.labels?.version) - Number(b.metadata?.labels?.version))
      .at(-1);
    const encoded = Buffer.from(last?.data?.release as string, "base64").toString();
    const release = JSON.parse(gunzipSync(Buffer.from(encoded, "base64")).toString()) as {
      version: number;
      info: { status: string };
    };
    const pending = { ...release, version: release.version + 1, info: { ...release.info, status: "pending-upgrade" } };
    const version = String(pending.version);
    await core.createNamespacedSecret({
      namespace: "rec",
      body: {
        type: last?.type,
        metadata: {
          name: `sh.helm.release.v1.sample.v${version}`,
          labels: { ...last?.metadata?.labels, version, status: "pending-upgrade" },
        },
        data: {
          release: Buffer.from(gzipSync(JSON.stringify(pending)).toString("base64")).toString("base64"),
        },
      },
    });
    opened.run({ ...UPDATE, setting: "c" });
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ status: "deployed", revision: pending.version + 2 });
    expect(log.join("\n")).toContain("rollback before the upgrade");
  });

  it("tells what a failed Job's pod ended with, and replaces the Job when asked again", async () => {
    const outcomes = path.join(clusterDir, "outcomes.json");
    fs.writeFileSync(outcomes, JSON.stringify({ job: { exitCode: 3, log: "schema is broken" } }));
    opened.run({ ...UPDATE, image: "sample:9" });
    const failure = await opened.stack.up().then(
      () => "",
      (error: Error) => error.message,
    );
    expect(failure).toContain('"rec/job" failed to fully initialize or become live');
    expect(failure).toMatch(/Pod job-\w+, container c: \[Error\] schema is broken \(exit code 3\)/);
    fs.rmSync(outcomes);
    const { summary } = await opened.stack.up();
    expect(summary.resourceChanges).toMatchObject({ replace: 1 });
  });

  it("replaces a renamed release, and removes everything in the end", async () => {
    opened.run({ ...UPDATE, releaseName: "sample2" });
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ name: "sample2", revision: 1 });
    const { summary } = await opened.stack.destroy();
    expect(summary.result).toBe("succeeded");
    await expect(core.readNamespace({ name: "rec" })).rejects.toThrow();
    expect(privateFiles()).toEqual([]);
    expect(log.join("\n")).not.toContain("canary");
  });
});
