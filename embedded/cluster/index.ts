import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CommandError } from "../../commands/shared/exit";
import { projectRoot } from "../../contract/project";
import { ensureDatabaseTools } from "../toolchain/database";
import type { NoetlPackages } from "../toolchain/noetl";
import { startApiServer, startControllers, startKwok, type ClusterTools } from "./control-plane";
import { isReady } from "./kubeconfig";
import { Launcher } from "./launch";
import { clusterFiles, makeOpenFolder, memoryFolder, openFolder } from "./places";
import { freePorts } from "./ports";
import { endProcesses, isAlive, markedProcesses, readProcesses, self } from "./processes";
import { launchNode, NODE_PROGRAM } from "./node-process";
import type { ProgramTools } from "./programs/situation";
import { recordWhereabouts } from "./whereabouts";

export type { ClusterTools } from "./control-plane";

export interface Cluster {
  readonly dir: string;
  readonly kubeconfigPath: string;
  /** Content of the kubeconfig; it holds the administrator's token. */
  readonly kubeconfig: string;
  /** Release of NoETL that runs itself behind the pods of its image; without it, the stand-in does. */
  readonly noetl?: string;
  /** Whether the gateway itself runs behind the pods of its image; without it, the stand-in does. */
  readonly gateway: boolean;
  /** Process ids by name. */
  readonly pids: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

/** What keeps a cluster's objects, and acts on them. */
export const CONTROL_PLANE = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"] as const;
/** Every process of a complete cluster. */
const PARTS = [...CONTROL_PLANE, "node"] as const;
/** How long a cluster whose processes all run may take to answer, in milliseconds. */
const SLOWEST_ANSWER_MS = 60_000;
/** It runs compiled, also where this module is loaded from its source. */
const GUARD = path.join(projectRoot(), "dist", "embedded", "cluster", "guard.js");

/**
 * Starts a throwaway control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, a
 * simulated node (kwok) and the supervisor that runs real processes behind the pods that matter.
 *
 * The processes end within seconds after the caller, even where it is killed, unless `outlivesCaller`.
 * Remains of an earlier start in `dir` are ended and removed first.
 *
 * @param options.gateway NoETL's gateway itself; default: its stand-in runs
 * @param options.noetl NoETL's own packages; default: its stand-in runs, which starts faster and needs no download
 * @param options.signal ends the start, which then leaves nothing
 * @throws Error that names what did not become ready in time, with the last lines of its log, or what is missing on this
 *   machine.
 */
export async function startCluster(options: {
  dir: string;
  tools: ClusterTools;
  noetl?: NoetlPackages;
  gateway?: string;
  outlivesCaller?: boolean;
  signal?: AbortSignal;
  log?: (line: string) => void;
}): Promise<Cluster> {
  const { dir, tools, noetl, gateway, signal } = options;
  const log = options.log ?? (() => undefined);
  const [database] = await Promise.all([ensureDatabaseTools(log), requireCurl()]);
  await stopCluster(dir);
  const at = clusterFiles(dir);
  if (!fs.existsSync(NODE_PROGRAM)) throw new Error(`${NODE_PROGRAM} is missing: run npm run build`);
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  // From here on the folder is known as a cluster's, however early the start is interrupted.
  fs.writeFileSync(at.processes, "{}", { mode: 0o600 });
  recordWhereabouts(dir);
  for (const folder of [at.logs, at.certs]) fs.mkdirSync(folder, { mode: 0o700 });
  makeOpenFolder(dir);
  const started = Date.now();
  const launcher = new Launcher(dir, signal);
  const start = { dir, tools, launcher };
  if (!options.outlivesCaller) launcher.launch("guard", [process.execPath, GUARD, dir, JSON.stringify(self())]);

  try {
    const kubeconfig = await startApiServer(start);
    // The client of Kubernetes takes a second to load, which a cluster that runs does not cost.
    const { nodeIsReady, seedCluster } = await import("./seed.js");
    startControllers(start);
    const [kubelet] = (await freePorts(1)) as [number];
    await seedCluster(kubeconfig, kubelet);
    startKwok(start, kubelet);
    const programs: ProgramTools = { natsServer: tools["nats-server"], database, noetl, gateway };
    launchNode(launcher, programs);
    await launcher.ready("the simulated node", "kwok", () => nodeIsReady(kubeconfig));
    log(`Control plane ready after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
    return handle(dir);
  } catch (error) {
    await stopCluster(dir);
    throw error;
  }
}

/** The script that workers wait with asks with curl. @throws Error with one sentence where it is missing. */
async function requireCurl(): Promise<void> {
  try {
    await promisify(execFile)("curl", ["--version"], { timeout: 20_000 });
  } catch {
    throw new Error(
      "the embedded cluster runs the deployed scripts, which need curl on PATH: install it and run again",
    );
  }
}

/** A cluster whose processes all run, and which does not answer all the same. */
export class NoAnswer extends CommandError {
  constructor(dir: string) {
    super(
      `the cluster in ${dir} does not answer, although all its processes run: run this again when the machine has less to do; npm run down:embedded removes it with all that is in it`,
    );
  }
}

/** Whether processes of the cluster in `dir` run; default: all of them. */
export function allRun(dir: string, parts: readonly (typeof PARTS)[number][] = PARTS): boolean {
  const recorded = readProcesses(clusterFiles(dir).processes);
  return parts.every((name) => recorded[name] && isAlive(recorded[name]));
}

/**
 * The cluster that runs in `dir`; undefined where none does, or where a part of it has ended.
 *
 * @param parts what must run of it; default: everything
 * @throws NoAnswer where it runs and does not answer: whoever takes it for ended throws away what is in it.
 */
export async function attachCluster(
  dir: string,
  parts: readonly (typeof PARTS)[number][] = PARTS,
  patienceMs = SLOWEST_ANSWER_MS,
): Promise<Cluster | undefined> {
  if (!allRun(dir, parts)) return undefined;
  const cluster = handle(dir);
  const deadline = Date.now() + patienceMs;
  while (!(await isReady(cluster.kubeconfig))) {
    if (!allRun(dir, parts)) return undefined;
    if (Date.now() > deadline) throw new NoAnswer(dir);
    await sleep(200);
  }
  return cluster;
}

/**
 * Ends exactly the processes that the cluster in `dir` started and removes the folder. Harmless where there is none.
 *
 * Each process has 10 s to end by itself before it is killed.
 *
 * @throws Error where the folder holds something else, or where a process outlives being killed by 5 s.
 */
export async function stopCluster(dir: string): Promise<void> {
  if (!fs.existsSync(dir)) return;
  const at = clusterFiles(dir);
  if (!fs.existsSync(at.processes) && fs.readdirSync(dir).length > 0) {
    throw new Error(`${dir} is not the folder of an embedded cluster; nothing was removed`);
  }
  const { guard, node, etcd, ...others } = readProcesses(at.processes);
  // The guard may be who asks.
  if (guard?.pid !== process.pid) await endProcesses(guard ? [guard] : []);
  // The supervisor first, which starts processes; those behind the pods next, then what writes to etcd, and etcd last.
  await endProcesses(node ? [node] : []);
  await endProcesses(Object.values(readProcesses(at.children)));
  await endProcesses(Object.values(others));
  await endProcesses(etcd ? [etcd] : []);
  // Who started them may have been killed before it recorded them.
  await endProcesses(markedProcesses(dir));
  fs.rmSync(openFolder(dir), { recursive: true, force: true });
  fs.rmSync(memoryFolder(dir), { recursive: true, force: true });
  fs.rmSync(dir, { recursive: true, force: true });
}

function handle(dir: string): Cluster {
  const at = clusterFiles(dir);
  const noetl = fs.existsSync(at.noetl)
    ? (JSON.parse(fs.readFileSync(at.noetl, "utf8")) as NoetlPackages).version
    : undefined;
  return {
    dir,
    noetl,
    gateway: fs.existsSync(at.gateway),
    kubeconfigPath: at.kubeconfig,
    kubeconfig: fs.readFileSync(at.kubeconfig, "utf8"),
    pids: Object.fromEntries(Object.entries(readProcesses(at.processes)).map(([name, { pid }]) => [name, pid])),
    stop: () => stopCluster(dir),
  };
}
