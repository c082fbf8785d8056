import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { projectRoot } from "../../../contract/project";
import { attachCluster, CONTROL_PLANE, startCluster, stopCluster, type Cluster } from "../../../embedded/cluster";
import { nodeIsCurrent } from "../../../embedded/cluster/node-process";
import { clusterFiles, openFolder, volumesFolder } from "../../../embedded/cluster/places";
import { isAlive, readProcesses } from "../../../embedded/cluster/processes";
import { renewNode } from "../../../embedded/cluster/renew";
import {
  Client,
  clusterDir,
  clusterTools,
  isReady,
  launch,
  natsObjects,
  postgres,
  secret,
  until,
} from "../../support/cluster";

/** Processes whose command line or environment names one of the cluster's folders. */
function processesOf(dir: string): string[] {
  const folders = [dir, openFolder(dir)];
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) =>
      ["cmdline", "environ"].some((file) => {
        try {
          const text = fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
          return folders.some((folder) => text.includes(folder));
        } catch {
          return false;
        }
      }),
    );
}

function expectNothingLeft(dir: string): void {
  expect(processesOf(dir)).toEqual([]);
  expect([dir, openFolder(dir)].filter((folder) => fs.existsSync(folder))).toEqual([]);
}

/** Ports of TCP that a process listens on. */
function portsOf(pid: number): number[] {
  const folder = `/proc/${pid}/fd`;
  const sockets = fs.readdirSync(folder).flatMap((each) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(path.join(folder, each)))?.[1] ?? [];
    } catch {
      // It was closed in the meantime.
      return [];
    }
  });
  const LISTENS = "0A";
  return ["tcp", "tcp6"].flatMap((kind) =>
    fs
      .readFileSync(`/proc/net/${kind}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTENS && sockets.includes(fields[9] ?? ""))
      .map((fields) => Number.parseInt(fields[1]?.split(":")[1] ?? "", 16)),
  );
}

/** nats-server and Postgres behind their pods, both with data on a volume. */
async function deploy(cluster: Cluster): Promise<void> {
  const client = new Client(cluster);
  for (const name of ["nats", "postgres"]) await client.namespace(name);
  await client.create(
    secret("postgres", "auth", { POSTGRES_PASSWORD: "admin-Password.1" }),
    postgres("postgres", "auth"),
    ...natsObjects("nats"),
  );
  await client.pod("nats", "nats-0", isReady);
  await client.pod("postgres", "postgres-0", isReady);
}

/** Starts a cluster from a process of its own, which waits; returns what kills that process. */
async function startElsewhere(dir: string, outlivesCaller: boolean): Promise<() => Promise<void>> {
  const module = path.join(projectRoot(), "dist", "embedded", "cluster", "index.js");
  const start = `require(process.argv[1]).startCluster(JSON.parse(process.argv[2])).then(() => setInterval(() => {}, 1e6))`;
  const options = JSON.stringify({ dir, tools: await clusterTools(), outlivesCaller });
  const caller = spawn(process.execPath, ["-e", start, module, options], { stdio: "ignore" });
  const ended = new Promise((resolve) => caller.once("close", resolve));
  return async () => {
    caller.kill("SIGKILL");
    await ended;
  };
}

describe("life of a cluster", () => {
  it("starts, is found again, and leaves neither process nor file", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    expect(await attachCluster(dir)).toBeUndefined();
    const cluster = await launch(dir);
    expect(fs.statSync(dir).mode & 0o777).toBe(0o700);
    expect(fs.statSync(cluster.kubeconfigPath).mode & 0o777).toBe(0o600);
    expect((await attachCluster(dir))?.pids).toEqual(cluster.pids);

    // Its store asks nobody who he is, so no other user of the machine may reach it; the API server asks.
    const { etcd = 0, "kube-apiserver": api = 0 } = cluster.pids;
    expect([portsOf(etcd), portsOf(api)]).toEqual([[], [expect.any(Number)]]);
    expect(fs.statSync(path.join(openFolder(dir), "own")).mode & 0o777).toBe(0o700);
    expect(fs.readdirSync(path.join(openFolder(dir), "own")).sort()).toEqual(["client", "peer"]);

    await deploy(cluster);
    expect(processesOf(dir).length).toBeGreaterThanOrEqual(8);

    await cluster.stop();
    expectNothingLeft(dir);
    expect(await attachCluster(dir)).toBeUndefined();
  });

  it("has its node started again with this build's code where another build started it: pods and volumes stay", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const cluster = await launch(dir);
    await deploy(cluster);
    expect(nodeIsCurrent(dir)).toBe(true);
    const at = clusterFiles(dir);
    const client = new Client(cluster);
    const behind = () => readProcesses(at.children);
    const pods = async () =>
      Promise.all([client.pod("nats", "nats-0", isReady), client.pod("postgres", "postgres-0", isReady)]).then(
        (found) => found.map(({ metadata }) => metadata?.uid),
      );
    const database = () =>
      (fs.readdirSync(volumesFolder(dir), { recursive: true }) as string[])
        .filter((file) => path.basename(file) === "PG_VERSION")
        .map((file) => fs.statSync(path.join(volumesFolder(dir), file)).ino)
        .sort();
    const before = { pods: await pods(), database: database(), processes: Object.values(behind()) };
    expect(before.database.length).toBeGreaterThan(0);

    // As a build leaves it that had other code, or did not keep which.
    fs.writeFileSync(at.node, JSON.stringify({ code: "another" }));
    expect(nodeIsCurrent(dir)).toBe(false);
    fs.rmSync(at.node);
    expect(nodeIsCurrent(dir)).toBe(false);
    await renewNode({ dir, tools: await clusterTools(), log: () => undefined });

    expect(nodeIsCurrent(dir)).toBe(true);
    const renewed = await attachCluster(dir);
    expect(renewed?.pids).toEqual({ ...cluster.pids, node: expect.any(Number) as number });
    expect(renewed?.pids.node).not.toBe(cluster.pids.node);
    expect(await pods()).toEqual(before.pods);
    expect(database()).toEqual(before.database);
    expect(before.processes.filter(isAlive)).toEqual([]);
    expect(Object.values(behind()).filter(isAlive).length).toBe(before.processes.length);
  });

  it("goes on with its node started again where that alone was killed: objects, volumes and pods stay but those that were deleted", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const cluster = await launch(dir);
    await deploy(cluster);
    const client = new Client(cluster);
    const uid = async () => (await client.pod("nats", "nats-0", isReady)).metadata?.uid;
    const database = { namespace: "postgres", name: "postgres-0" };
    const before = { uid: await uid(), processes: Object.values(readProcesses(clusterFiles(dir).children)) };
    process.kill(cluster.pids.node ?? 0, "SIGKILL");
    await expect.poll(() => attachCluster(dir), { timeout: 60_000 }).toBeUndefined();
    const deleted = await client.core.deleteNamespacedPod(database);
    expect((await client.core.readNamespacedPod(database)).metadata?.deletionTimestamp).toBeDefined();
    // As if it had been killed between the start of a process and its record.
    fs.writeFileSync(clusterFiles(dir).children, "{}");
    expect((await attachCluster(dir, CONTROL_PLANE))?.kubeconfigPath).toBe(cluster.kubeconfigPath);
    await renewNode({ dir, tools: await clusterTools(), log: () => undefined });

    expect((await attachCluster(dir))?.kubeconfigPath).toBe(cluster.kubeconfigPath);
    expect(await uid()).toBe(before.uid);
    expect((await client.pod("postgres", "postgres-0", isReady)).metadata?.uid).not.toBe(deleted.metadata?.uid);
    expect(before.processes.filter(isAlive)).toEqual([]);
  });

  it("is not taken for ended where all its processes run and it does not answer", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const cluster = await launch(dir);
    const api = cluster.pids["kube-apiserver"] ?? 0;
    process.kill(api, "SIGSTOP");
    try {
      await expect(attachCluster(dir, CONTROL_PLANE, 1000)).rejects.toThrow(
        /does not answer, although all its processes run.*npm run down:embedded removes it/,
      );
    } finally {
      process.kill(api, "SIGCONT");
    }
    expect((await attachCluster(dir))?.pids).toEqual(cluster.pids);
  });

  it("a start that is interrupted leaves nothing, whatever it was waiting for", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const interrupted = new AbortController();
    const start = startCluster({ dir, tools: await clusterTools(), outlivesCaller: true, signal: interrupted.signal });
    const failure = start.catch((error: unknown) => error);
    await until("the API server's process", () => Promise.resolve(processesOf(dir).length >= 2 ? true : undefined));
    interrupted.abort(new Error("interrupted"));
    expect(await failure).toMatchObject({ message: "interrupted" });
    expectNothingLeft(dir);
  });

  it("cleans up after a supervisor that was killed, also the processes behind its pods", async () => {
    const cluster = await launch();
    onTestFinished(() => stopCluster(cluster.dir));
    await deploy(cluster);
    process.kill(cluster.pids.node ?? 0, "SIGKILL");
    await expect.poll(() => attachCluster(cluster.dir), { timeout: 60_000 }).toBeUndefined();
    expect(processesOf(cluster.dir).length).toBeGreaterThanOrEqual(7);
    // As if it had been killed between the start of a process and its record.
    fs.writeFileSync(clusterFiles(cluster.dir).children, "{}");
    await stopCluster(cluster.dir);
    expectNothingLeft(cluster.dir);
  });

  it("cleans up after a start that was killed", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const kill = await startElsewhere(dir, true);
    await until("the API server's process", () => Promise.resolve(processesOf(dir).length >= 3 ? true : undefined));
    await kill();
    expect(processesOf(dir).length).toBeGreaterThanOrEqual(2);
    expect(await attachCluster(dir)).toBeUndefined();
    // Where it was killed between the start of a process and its record, nothing names that process.
    fs.writeFileSync(clusterFiles(dir).processes, "{}");
    await stopCluster(dir);
    expectNothingLeft(dir);
  });

  it("ends with its caller where nothing else is wanted, also with one that is killed", async () => {
    const dir = clusterDir();
    onTestFinished(() => stopCluster(dir));
    const kill = await startElsewhere(dir, false);
    await until("the cluster", () => attachCluster(dir));
    await kill();
    await until(
      "nothing to be left",
      () => Promise.resolve(processesOf(dir).length === 0 && !fs.existsSync(dir) ? true : undefined),
      () => processesOf(dir),
    );
    expectNothingLeft(dir);
  });

  it("removes no folder that is not a cluster's", async () => {
    const dir = clusterDir();
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, "precious"), "");
    await expect(stopCluster(dir)).rejects.toThrow(/not the folder of an embedded cluster/);
    expect(fs.readdirSync(dir)).toEqual(["precious"]);
    fs.rmSync(dir, { recursive: true });
  });

  it("says at once which part ended, with its last words, and leaves nothing", async () => {
    const dir = clusterDir();
    const tools = await clusterTools();
    // An etcd that refuses the API server's flags stands in for any part that does not start.
    const broken = { ...tools, "kube-apiserver": tools.etcd };
    const started = Date.now();
    await expect(startCluster({ dir, tools: broken })).rejects.toThrow(/API server.*its process ended.*flag/s);
    // A part that does not become ready is waited for two minutes.
    expect(Date.now() - started).toBeLessThan(60_000);
    expectNothingLeft(dir);
  });
});
