import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
// Compiled: the cluster starts its supervisor as a process of its own, from the file beside it.
import { type Cluster, startCluster } from "../../../dist/embedded/cluster";
import { STACK_TOOLS } from "../../../embedded/tools";
import { ensureTools } from "../../../embedded/toolchain";
import { CREATE, openStack, UPDATE } from "./stack";

const run = promisify(execFile);
const log: string[] = [];
const clusterDir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-plugin-cluster-"));
/** Temporary folders of this test alone: another run on the machine has its own. */
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-plugin-tmp-"));
process.env.TMPDIR = temporary;
let cluster: Cluster;
let kubeconfig: string;
let helm: string;
let opened: Awaited<ReturnType<typeof openStack>>;
let core: k8s.CoreV1Api;
let apps: k8s.AppsV1Api;

beforeAll(async () => {
  const tools = await ensureTools(STACK_TOOLS);
  cluster = await startCluster({ dir: clusterDir, tools });
  kubeconfig = cluster.kubeconfigPath;
  helm = tools.helm;
  const config = new k8s.KubeConfig();
  config.loadFromFile(kubeconfig);
  core = config.makeApiClient(k8s.CoreV1Api);
  apps = config.makeApiClient(k8s.AppsV1Api);
  opened = await openStack({ tools, kubeconfig, stage: CREATE, log: (line) => log.push(line) });
});

afterAll(async () => {
  await opened?.close();
  await cluster?.stop();
  for (const folder of [clusterDir, temporary]) fs.rmSync(folder, { recursive: true, force: true });
});

/** Everything the engine keeps about the stack, as it stands on the disk. */
const state = (): string =>
  fs
    .readdirSync(opened.stateDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
const failureOf = (run: Promise<unknown>): Promise<string> =>
  run.then(
    () => "",
    (error: Error) => error.message,
  );
const privateFiles = (): string[] => fs.readdirSync(temporary).filter((name) => name.startsWith("noetl-nats-helm-"));

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

  it("shows in the preview what the API server would refuse, and updates again what it refused", async () => {
    opened.run({ ...UPDATE, port: 70_000 });
    const refusal =
      'the Kubernetes API server reported that "rec/svc" failed to fully initialize or become live: ' +
      'Service "svc" is invalid: [spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535';
    expect(await failureOf(opened.stack.preview())).toContain(refusal);
    expect(await failureOf(opened.stack.up())).toContain(refusal);
    opened.run(UPDATE);
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 8, update: 1 });
    expect((await opened.stack.up()).summary.result).toBe("succeeded");
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 9 });
  });

  it("reports a failed upgrade without secrets, and recovers", async () => {
    opened.run({ ...UPDATE, claim: "2Gi", secret: "canary-three" });
    const failure = await failureOf(opened.stack.up());
    expect(failure).toContain('Helm release "rec/sample" failed to initialize completely');
    expect(failure).toContain("updates to statefulset spec");
    expect(failure).not.toContain("canary");
    opened.run(UPDATE);
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ status: "deployed" });
    expect((await opened.stack.preview()).changeSummary).toEqual({ same: 9 });
  });

  it("reports a release that an interrupted upgrade left pending, until helm has rolled it back", async () => {
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
    expect(await failureOf(opened.stack.up())).toContain("another operation (install/upgrade/rollback) is in progress");
    await run(helm, ["rollback", "sample", "--namespace", "rec", "--kubeconfig", kubeconfig]);
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ status: "deployed", revision: pending.version + 2 });
  });

  it("tells what a failed Job's pod ended with, and replaces the Job when asked again", async () => {
    const fixed = path.join(clusterDir, "fixed");
    opened.run({ ...UPDATE, image: "sample:9", script: `[ -e ${fixed} ] || { echo schema is broken; exit 3; }` });
    const failure = await failureOf(opened.stack.up());
    expect(failure).toContain(
      "was successfully created, but the Kubernetes API server reported that it failed to fully initialize or become live",
    );
    expect(failure).toMatch(/\[Pod rec\/job-\w+\]: \[Error\] schema is broken/);
    expect(failure).toContain("[BackoffLimitExceeded] Job has reached the specified backoff limit");
    fs.writeFileSync(fixed, "");
    const { summary } = await opened.stack.up();
    expect(summary.resourceChanges).toMatchObject({ replace: 1 });
  });

  it("does not overrule what somebody else has set, unless it is asked to", async () => {
    await core.patchNamespacedService(
      {
        name: "svc",
        namespace: "rec",
        fieldManager: "somebody",
        body: [{ op: "replace", path: "/spec/ports/0/nodePort", value: 30085 }],
      },
      k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.JsonPatch),
    );
    opened.run({ ...UPDATE, nodePort: 30086 });
    expect(await failureOf(opened.stack.up())).toContain('conflict with "somebody"');
    // What docs/troubleshooting.md says.
    vi.stubEnv("PULUMI_K8S_ENABLE_PATCH_FORCE", "true");
    expect((await opened.stack.up()).summary.result).toBe("succeeded");
    vi.unstubAllEnvs();
    const { spec } = await core.readNamespacedService({ name: "svc", namespace: "rec" });
    expect(spec?.ports?.[0]?.nodePort).toBe(30086);
    opened.run({ ...UPDATE, nodePort: 30085 });
    expect((await opened.stack.up()).summary.result).toBe("succeeded");
  });

  it("replaces a renamed release, and removes everything in the end", async () => {
    opened.run({ ...UPDATE, nodePort: 30085, releaseName: "sample2" });
    const { outputs } = await opened.stack.up();
    expect(outputs.status?.value).toMatchObject({ name: "sample2", revision: 1 });
    const { summary } = await opened.stack.destroy();
    expect(summary.result).toBe("succeeded");
    await expect(core.readNamespace({ name: "rec" })).rejects.toThrow();
    expect(privateFiles()).toEqual([]);
    expect(log.join("\n")).not.toContain("canary");
  });
});
