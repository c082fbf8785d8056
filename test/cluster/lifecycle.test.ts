import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { attachCluster, startCluster, stopCluster } from "../../embedded/cluster";
import { ensureTools } from "../../toolchain";
import { Client, clusterDir, isReady, launch, natsObjects } from "./support";

/** Processes whose command line names the folder. */
function processesOf(dir: string): string[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(dir);
      } catch {
        return false;
      }
    });
}

describe("life of a cluster", () => {
  it("starts, is found again, and leaves neither process nor file", async () => {
    const dir = clusterDir();
    expect(await attachCluster(dir)).toBeUndefined();
    const cluster = await launch(dir);
    expect(fs.statSync(dir).mode & 0o777).toBe(0o700);
    expect(fs.statSync(cluster.kubeconfigPath).mode & 0o777).toBe(0o600);
    expect((await attachCluster(dir))?.pids).toEqual(cluster.pids);

    const client = new Client(cluster);
    await client.namespace("nats");
    await client.create(...natsObjects("nats"));
    await client.pod("nats", "nats-0", isReady);
    expect(processesOf(dir).length).toBeGreaterThan(5);

    await cluster.stop();
    expect(processesOf(dir)).toEqual([]);
    expect(fs.existsSync(dir)).toBe(false);
    expect(await attachCluster(dir)).toBeUndefined();
  });

  it("cleans up after a supervisor that was killed, also the processes behind its pods", async () => {
    const cluster = await launch();
    const client = new Client(cluster);
    await client.namespace("nats");
    await client.create(...natsObjects("nats"));
    await client.pod("nats", "nats-0", isReady);
    process.kill(cluster.pids.node ?? 0, "SIGKILL");
    await expect.poll(() => attachCluster(cluster.dir)).toBeUndefined();
    const again = await launch(cluster.dir);
    try {
      expect(again.pids.etcd).not.toBe(cluster.pids.etcd);
      expect(processesOf(cluster.dir).length).toBeLessThanOrEqual(Object.keys(again.pids).length);
    } finally {
      await again.stop();
    }
    expect(processesOf(cluster.dir)).toEqual([]);
  });

  it("removes no folder that is not a cluster's", async () => {
    const dir = clusterDir();
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, "precious"), "");
    await expect(stopCluster(dir)).rejects.toThrow(/not the folder of an embedded cluster/);
    expect(fs.readdirSync(dir)).toEqual(["precious"]);
  });

  it("says at once which part ended, with its last words, and leaves nothing", async () => {
    const dir = clusterDir();
    const tools = await ensureTools([
      "etcd",
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "kwok",
      "nats-server",
    ]);
    // An etcd that refuses the API server's flags stands in for any part that does not start.
    const broken = { ...tools, "kube-apiserver": tools.etcd };
    const started = Date.now();
    await expect(startCluster({ dir, tools: broken })).rejects.toThrow(/API server.*its process ended.*flag/s);
    expect(Date.now() - started).toBeLessThan(20_000);
    expect(fs.existsSync(dir)).toBe(false);
    expect(processesOf(dir)).toEqual([]);
  });
});
