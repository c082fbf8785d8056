import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { expect, it, onTestFinished, vi } from "vitest";
import { PROJECT, projectRoot } from "../../../contract/project";
import { stopCluster, type Cluster } from "../../../embedded/cluster";
import {
  beginDestroying,
  cutOff,
  finishRemovals,
  forgetDestroying,
  removeHalfCreated,
} from "../../../embedded/half-created";
import { embeddedEngine, embeddedPaths, makeEngineHome } from "../../../embedded/home";
import { ensureTools } from "../../../embedded/toolchain";
import { clusterDir, launch } from "../../support/cluster";
import { until } from "../../support/nats";

const STACK = `half-${process.pid}`;

const operation = (type: string, kind: string, inputs: object) => ({
  type,
  resource: { urn: `urn:pulumi:${STACK}::${PROJECT}::${kind}::${kind}`, type: kind, custom: true, inputs },
});

/** A stack of the real engine in `dir`, with these operations in its state. @returns where the state is, and what the engine was asked with its files' modes */
function stackWith(dir: string, pulumi: string, pending: object[]) {
  const { home, state, command } = embeddedPaths(dir);
  for (const each of [path.dirname(command), state]) fs.mkdirSync(each, { recursive: true });
  const asked = path.join(dir, "asked");
  const script = `#!/bin/sh\nfor each; do last=$each; [ "$before" = --file ] && mode=$(stat -c %a "$each"); before=$each; done\necho "$* $mode" >> '${asked}'\nexec '${pulumi}' "$@"\n`;
  fs.writeFileSync(command, script, { mode: 0o755 });
  makeEngineHome(home);
  const { env } = embeddedEngine(dir);
  execFileSync(pulumi, ["stack", "init", STACK, "--non-interactive"], { env, cwd: projectRoot(), stdio: "ignore" });
  onTestFinished(() => fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true }));
  const file = path.join(state, ".pulumi", "stacks", PROJECT, `${STACK}.json`);
  const stored = JSON.parse(fs.readFileSync(file, "utf8")) as { checkpoint: { latest: object } };
  stored.checkpoint.latest = { ...stored.checkpoint.latest, pending_operations: pending };
  fs.writeFileSync(file, JSON.stringify(stored));
  return { file, asked: () => (fs.existsSync(asked) ? fs.readFileSync(asked, "utf8").trim().split("\n") : []) };
}

const map = (name: string, namespace = "kept") => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace },
});

/** A release of one object, of which helm was upgrading `upgraded` when it was killed. */
function releases(home: string, helm: (...args: string[]) => string): void {
  const chart = path.join(home, "chart");
  fs.mkdirSync(path.join(chart, "templates"), { recursive: true });
  fs.writeFileSync(path.join(chart, "Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 1.0.0\n");
  const released =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  number: {{ .Values.number | default 1 | quote }}\n";
  fs.writeFileSync(path.join(chart, "templates", "map.yaml"), released);
  for (const name of ["release", "upgraded", "theirs"]) helm("install", name, chart, "-n", "kept");
  for (const name of ["upgraded", "theirs"]) helm("upgrade", name, chart, "-n", "kept", "--set", "number=2");
}

/** What helm leaves of an upgrade that is killed: a third revision which is pending, as helm keeps it in its Secret. */
async function pendingUpgrade(core: CoreV1Api): Promise<void> {
  const name = (revision: number) => `sh.helm.release.v1.upgraded.v${revision}`;
  const { gunzipSync, gzipSync } = await import("node:zlib");
  const kept = await core.readNamespacedSecret({ name: name(2), namespace: "kept" });
  const text = Buffer.from(kept.data?.release ?? "", "base64").toString();
  const release = JSON.parse(gunzipSync(Buffer.from(text, "base64")).toString()) as { info: object };
  const next = { ...release, version: 3, info: { ...release.info, status: "pending-upgrade" } };
  const data = Buffer.from(gzipSync(JSON.stringify(next)).toString("base64")).toString("base64");
  const labels = { ...kept.metadata?.labels, version: "3", status: "pending-upgrade" };
  await core.createNamespacedSecret({
    namespace: "kept",
    body: { metadata: { name: name(3), labels }, type: kept.type, data: { release: data } },
  });
}

/** Releases of which helm was removing `going` when it was killed: of its objects one waits for somebody else. */
async function cutOffRemoval(core: CoreV1Api, helm: readonly [string, ...string[]], chart: string): Promise<void> {
  const [command, ...at] = helm;
  const run = (...args: string[]): string => execFileSync(command, [...args, ...at], { encoding: "utf8" });
  for (const name of ["going", "staying"]) run("install", name, chart, "-n", "kept");
  const map = { name: "going", namespace: "kept" };
  const held = await core.readNamespacedConfigMap(map);
  await core.replaceNamespacedConfigMap({
    ...map,
    body: { ...held, metadata: { ...held.metadata, finalizers: ["example.org/held"] } },
  });
  const uninstall = spawn(command, ["uninstall", "going", "-n", "kept", "--wait", ...at], { stdio: "ignore" });
  const gone = new Promise((resolve) => uninstall.once("close", resolve));
  await until("its removal", async () => (await core.readNamespacedConfigMap(map)).metadata?.deletionTimestamp, 60_000);
  uninstall.kill("SIGKILL");
  await gone;
  const left = await core.readNamespacedConfigMap(map);
  await core.replaceNamespacedConfigMap({ ...map, body: { ...left, metadata: { ...left.metadata, finalizers: [] } } });
}

/** A state that holds releases, and what an engine was at, in a folder of its own. */
function stateWith(home: string, latest: object): void {
  const stacks = path.join(embeddedPaths(home).state, ".pulumi", "stacks", PROJECT);
  fs.mkdirSync(stacks, { recursive: true });
  fs.writeFileSync(path.join(stacks, `${STACK}.json`), JSON.stringify({ checkpoint: { latest } }));
}

/** What an engine has made, and others. */
async function fill(core: CoreV1Api): Promise<void> {
  await core.createNamespace({ body: { metadata: { name: "kept" } } });
  const data = { key: "value" };
  const ours = { fieldManager: "pulumi-kubernetes" };
  for (const name of ["empty", "filled"]) await core.createNamespace({ body: { metadata: { name } }, ...ours });
  for (const name of ["half", "whole"]) {
    await core.createNamespacedConfigMap({ namespace: "kept", body: { metadata: { name }, data }, ...ours });
  }
  await core.createNamespacedConfigMap({ namespace: "kept", body: { metadata: { name: "by-hand" }, data } });
  await core.createNamespacedConfigMap({ namespace: "filled", body: { metadata: { name: "content" } } });
}

async function cluster(): Promise<Cluster & { core: CoreV1Api }> {
  const dir = clusterDir();
  onTestFinished(() => stopCluster(dir));
  const started = await launch(dir);
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(started.kubeconfig);
  return Object.assign(started, { core: kubeconfig.makeApiClient(CoreV1Api) });
}

const namespace = (name: string) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
const RELEASE = "kubernetes:helm.sh/v3:Release";
const PENDING = [
  operation("creating", "kubernetes:core/v1:ConfigMap", map("half")),
  operation("creating", "kubernetes:core/v1:ConfigMap", map("by-hand")),
  operation("creating", "kubernetes:core/v1:ConfigMap", map("never-made")),
  operation("creating", "kubernetes:core/v1:Namespace", namespace("empty")),
  operation("creating", "kubernetes:core/v1:Namespace", namespace("filled")),
  operation("creating", RELEASE, { name: "release", namespace: "kept" }),
  operation("creating", RELEASE, { name: "never-made", namespace: "kept" }),
  operation("creating", RELEASE, { name: "theirs", namespace: "kept" }),
  operation("creating", "random:index/randomPassword:RandomPassword", { length: 24 }),
  operation("updating", "kubernetes:core/v1:ConfigMap", map("whole")),
  operation("updating", RELEASE, { name: "upgraded", namespace: "kept" }),
];

it("what an engine was creating when it was killed is removed from cluster and state, and nothing else; helm takes a release again that it was upgrading", async () => {
  const { helm, pulumi } = await ensureTools(["helm", "pulumi"]);
  const { core, kubeconfigPath: kubeconfig, dir } = await cluster();
  const home = `${dir}-stack`;
  onTestFinished(() => fs.rmSync(home, { recursive: true, force: true }));
  const runHelm = (...args: string[]) =>
    execFileSync(helm, [...args, "--kubeconfig", kubeconfig], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  await fill(core);
  releases(home, runHelm);
  await pendingUpgrade(core);
  const upgrade = ["upgrade", "upgraded", path.join(home, "chart"), "-n", "kept", "--set", "number=3"];
  expect(() => runHelm(...upgrade)).toThrow(/another operation .* is in progress/);
  const { file, asked } = stackWith(home, pulumi, PENDING);
  expect(cutOff(home, STACK).filter(({ type }) => type === "creating")).toHaveLength(9);

  const said: string[] = [];
  const { signal } = new AbortController();
  const options = { dir: home, kubeconfig, helm, signal, say: (line: string) => void said.push(line) };
  // A cluster of the user's own, of which his environment speaks.
  vi.stubEnv("HELM_KUBEAPISERVER", "https://127.0.0.1:9");
  vi.stubEnv("HELM_DRIVER", "configmap");
  try {
    await removeHalfCreated(STACK, options);
  } finally {
    vi.unstubAllEnvs();
  }

  expect(said[0]).toMatch(/helm upgraded the release upgraded: it goes back to revision 2/);
  expect(said[1]).toContain("An update was killed while it created");
  expect(said.slice(2)).toEqual([
    expect.stringMatching(/ConfigMap stays: somebody else has made it/),
    expect.stringMatching(/Namespace stays: ConfigMap content is in it/),
    expect.stringMatching(/Release stays: somebody else has upgraded it/),
  ]);
  const { items } = await core.listNamespacedConfigMap({ namespace: "kept" });
  const names = items.map(({ metadata }) => metadata?.name).filter((name) => name !== "kube-root-ca.crt");
  expect(names.sort()).toEqual(["by-hand", "theirs", "upgraded", "whole"]);
  const namespaces = (await core.listNamespace()).items.map(({ metadata }) => metadata?.name);
  expect([namespaces.includes("empty"), namespaces.includes("filled")]).toEqual([false, true]);
  runHelm(...upgrade);

  // The state's secrets stay encrypted, and the file is the user's alone.
  expect(asked()).toEqual(
    ["export", "import"].map((verb) => expect.stringMatching(new RegExp(`^stack ${verb} .* 600$`)) as string),
  );
  expect(asked().join()).not.toContain("show-secrets");
  expect(fs.readdirSync(home).filter((name) => name.startsWith("state-"))).toEqual([]);
  expect(fs.readFileSync(file, "utf8")).not.toContain('"creating"');
  await removeHalfCreated(STACK, options);
  expect([said.length, asked().length]).toEqual([5, 2]);

  // What was being removed.
  const chart = path.join(home, "chart");
  await cutOffRemoval(core, [helm, "--kubeconfig", kubeconfig], chart);
  expect(runHelm("list", "-n", "kept", "--uninstalling", "-q")).toBe("going\n");
  expect(() => runHelm("upgrade", "going", chart, "-n", "kept")).toThrow(/"going" has no deployed releases/);
  const dir2 = path.join(home, "removal");
  const removal = { ...options, dir: dir2 };
  const resources = ["going", "staying"].map((name) => operation("", RELEASE, { name, namespace: "kept" }).resource);
  // One that the stack does not have is nothing of ours.
  stateWith(dir2, { resources: resources.slice(1) });
  expect([await finishRemovals(STACK, removal), said.length]).toEqual([false, 5]);
  stateWith(dir2, { resources });
  expect(await finishRemovals(STACK, removal)).toBe(true);
  expect(said.slice(5)).toEqual([expect.stringMatching(/removal of the release going was cut off/)]);
  expect(runHelm("list", "-n", "kept", "-aq").split("\n")).not.toContain("going");
  runHelm("install", "going", chart, "-n", "kept");
  expect(await finishRemovals(STACK, removal)).toBe(false);
  // An object that was being removed may be gone, whatever the state has of it.
  stateWith(dir2, { resources, pending_operations: [operation("deleting", "kubernetes:core/v1:ConfigMap", map("a"))] });
  expect(await finishRemovals(STACK, removal)).toBe(true);
  stateWith(dir2, { resources });
  beginDestroying(dir2);
  expect(await finishRemovals(STACK, removal)).toBe(true);
  forgetDestroying(dir2);
  expect([await finishRemovals(STACK, removal), said.length]).toEqual([false, 8]);
});
