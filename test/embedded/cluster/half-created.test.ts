import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Deployment, Stack } from "@pulumi/pulumi/automation";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { expect, it, onTestFinished } from "vitest";
import { PROJECT } from "../../../contract/project";
import { stopCluster } from "../../../embedded/cluster";
import { halfCreated, removeHalfCreated } from "../../../embedded/half-created";
import { embeddedPaths } from "../../../embedded/home";
import { ensureTools } from "../../../embedded/toolchain";
import { clusterDir, launch } from "../../support/cluster";

it("what an engine was creating when it was killed is removed from cluster and state, and nothing else", async () => {
  const { helm } = await ensureTools(["helm"]);
  const dir = clusterDir();
  onTestFinished(() => stopCluster(dir));
  const cluster = await launch(dir);
  const home = `${dir}-stack`;
  onTestFinished(() => fs.rmSync(home, { recursive: true, force: true }));
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(cluster.kubeconfig);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: "kept" } } });
  for (const name of ["half", "whole"]) {
    await core.createNamespacedConfigMap({ namespace: "kept", body: { metadata: { name } } });
  }
  const chart = path.join(home, "chart");
  fs.mkdirSync(path.join(chart, "templates"), { recursive: true });
  fs.writeFileSync(path.join(chart, "Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 1.0.0\n");
  const released = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: released\n";
  fs.writeFileSync(path.join(chart, "templates", "map.yaml"), released);
  execFileSync(helm, ["install", "release", chart, "-n", "kept", "--kubeconfig", cluster.kubeconfigPath]);

  const operation = (type: string, kind: string, inputs: object) => ({
    type,
    resource: { urn: `urn:pulumi:embedded::${PROJECT}::${kind}::${kind}`, type: kind, inputs },
  });
  const map = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "kept" } });
  const pending = [
    operation("creating", "kubernetes:core/v1:ConfigMap", map("half")),
    operation("creating", "kubernetes:core/v1:ConfigMap", map("never-made")),
    operation("creating", "kubernetes:helm.sh/v3:Release", { name: "release", namespace: "kept" }),
    operation("creating", "kubernetes:helm.sh/v3:Release", { name: "never-made", namespace: "kept" }),
    operation("creating", "random:index/randomPassword:RandomPassword", { length: 24 }),
    operation("updating", "kubernetes:core/v1:ConfigMap", map("whole")),
  ];
  const file = path.join(embeddedPaths(home).state, ".pulumi", "stacks", PROJECT, "embedded.json");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const latest = { resources: ["kept"], pending_operations: pending };
  fs.writeFileSync(file, JSON.stringify({ version: 3, checkpoint: { stack: "embedded", latest } }));
  expect(halfCreated(home, "embedded")).toHaveLength(5);

  let imported: Deployment | undefined;
  const stack = {
    name: "embedded",
    exportStack: () => Promise.resolve({ version: 3, deployment: latest }),
    importStack: (state: Deployment) => Promise.resolve((imported = state)),
  } as unknown as Stack;
  const said: string[] = [];
  const options = { dir: home, kubeconfig: cluster.kubeconfigPath, helm, say: (line: string) => said.push(line) };
  await removeHalfCreated(stack, options);

  const { items } = await core.listNamespacedConfigMap({ namespace: "kept" });
  expect(items.map(({ metadata }) => metadata?.name).filter((name) => name !== "kube-root-ca.crt")).toEqual(["whole"]);
  expect(imported?.deployment).toEqual({ resources: ["kept"], pending_operations: pending.slice(-1) });
  expect(said).toEqual([expect.stringContaining("An update was killed while it created")]);

  fs.writeFileSync(file, JSON.stringify({ checkpoint: { latest: { pending_operations: pending.slice(-1) } } }));
  imported = undefined;
  await removeHalfCreated(stack, options);
  expect([imported, said.length]).toEqual([undefined, 1]);
});
