import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
// Compiled: the cluster starts its supervisor as a process of its own, from the file beside it.
import { type Cluster, startCluster } from "../../../dist/embedded/cluster";
import { serveStandIns } from "../../../embedded/plugin";
import { CLUSTER_TOOLS } from "../../../embedded/tools";
import { ensureTools } from "../../../embedded/toolchain";
import {
  Counterparts,
  type Difference,
  printed,
  recordedCalls,
  RECORDINGS,
  recordingFiles,
  Replay,
  type Session,
} from "./replay";

/** Every recorded sequence, in the order in which it was recorded, with the number of its calls. */
const SEQUENCES: Readonly<Record<string, number>> = {
  "01-create.jsonl": 15,
  "02-noop.jsonl": 16,
  "03-update-preview.jsonl": 24,
  "04-update.jsonl": 27,
  "05-refresh.jsonl": 28,
  "06-grow.jsonl": 26,
  "07-recover.jsonl": 28,
  "08-bad-chart.jsonl": 7,
  "09-bad-object.jsonl": 22,
  "10-rename.jsonl": 25,
  "11-destroy.jsonl": 10,
};

/** Differences that stay, and why. A difference that is not listed fails the test, and so does a line without one. */
const KNOWN: readonly { where: string; path: RegExp; why: string }[] = [
  {
    where: "11-destroy.jsonl:2 Configure p",
    path: /^(errors|response)$/,
    why: "the recorded error is the engine's own: it had closed its connection, so no plugin answered",
  },
];

const PROGRAM = path.join(RECORDINGS, "program");
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-replay-"));
let cluster: Cluster;
let standIns: Awaited<ReturnType<typeof serveStandIns>> | undefined;
let replay: Replay;

beforeAll(async () => {
  const tools = await ensureTools([...CLUSTER_TOOLS, "helm"]);
  cluster = await startCluster({ dir, tools });
  if (process.env.NOETL_NATS_PLUGINS === "official") {
    replay = new Replay(startOfficial, new Counterparts(dir));
  } else {
    standIns = await serveStandIns({ helm: tools.helm, cwd: PROGRAM });
    const address = `127.0.0.1:${/kubernetes:(\d+)/.exec(standIns.debugProviders)?.[1]}`;
    replay = new Replay(() => Promise.resolve({ address, close: () => undefined }), new Counterparts(dir));
  }
});

afterAll(async () => {
  replay?.close();
  await standIns?.stop();
  await cluster?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** The official plugin that is installed in PULUMI_HOME: the same calls, the same answers, or the recordings are old. */
async function startOfficial(): Promise<Session> {
  const plugins = path.join(process.env.PULUMI_HOME ?? path.join(os.homedir(), ".pulumi"), "plugins");
  const folder = fs.readdirSync(plugins).find((name) => /^resource-kubernetes-v[^/]*\d$/.test(name));
  if (!folder) throw new Error(`no plugin kubernetes in ${plugins}`);
  // Where the engine listens for messages about progress; the plugin does without.
  const child = spawn(path.join(plugins, folder, "pulumi-resource-kubernetes"), ["127.0.0.1:9"], {
    cwd: PROGRAM,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the plugin ended with ${code}`)));
    child.stdout.once("data", (text: Buffer) => resolve(text.toString().trim()));
  });
  return { address: `127.0.0.1:${port}`, close: () => void child.kill() };
}

/** What somebody with kubectl did before the refresh was recorded. */
async function drift(): Promise<void> {
  const config = new k8s.KubeConfig();
  config.loadFromFile(cluster.kubeconfigPath);
  const patch = (options: object) => ({ namespace: "rec", fieldManager: "kubectl-patch", ...options });
  const merge = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
  const core = config.makeApiClient(k8s.CoreV1Api);
  const { items } = await core.listNamespacedConfigMap({ namespace: "rec" });
  const name = items.map((each) => each.metadata?.name ?? "").find((each) => each.startsWith("cm-")) ?? "";
  await core.patchNamespacedConfigMap(patch({ name, body: { data: { a: "drift" } } }) as never, merge);
  const apps = config.makeApiClient(k8s.AppsV1Api);
  await apps.patchNamespacedDeployment(patch({ name: "sample", body: { spec: { replicas: 3 } } }) as never, merge);
}

const matches = (difference: Difference) => (known: (typeof KNOWN)[number]) =>
  known.where === difference.where && known.path.test(difference.path);

describe("the stand-in for the kubernetes plugin answers as the recorded official plugin", () => {
  for (const file of Object.keys(SEQUENCES)) {
    it(file, async () => {
      if (file === "05-refresh.jsonl") await drift();
      const before = replay.differences.length;
      for (const recorded of recordedCalls(file)) await replay.call(recorded);
      const unexpected = replay.differences.slice(before).filter((each) => !KNOWN.some(matches(each)));
      expect(unexpected.map(printed).join("\n")).toBe("");
    });
  }

  it("covers every recorded call", () => {
    expect(recordingFiles()).toEqual(Object.keys(SEQUENCES));
    expect(replay.counts).toEqual(SEQUENCES);
  });

  it("lists no difference that is none any more", () => {
    const gone = KNOWN.filter((known) => !replay.differences.some((each) => matches(each)(known)));
    expect(gone).toEqual([]);
  });
});
