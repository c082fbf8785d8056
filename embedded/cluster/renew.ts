/** A node that starts again, with the code of this build, as a machine does that is restarted: its pods stay, their processes do not. */
import * as fs from "node:fs";
import { CoreV1Api, KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { ensureDatabaseTools } from "../toolchain/database";
import type { NoetlPackages } from "../toolchain/noetl";
import type { ClusterTools } from "./control-plane";
import { Launcher } from "./launch";
import { launchNode } from "./node-process";
import { clusterFiles, namesFile } from "./places";
import { endProcesses, markedProcesses, readProcesses } from "./processes";

const isReady = ({ status }: V1Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;

/**
 * Ends the node of the cluster in `dir` with all processes behind its pods, and starts it with this build's code. Volumes stay;
 * what a server of NATS keeps in memory is lost, as by every restart of a machine.
 *
 * @throws Error where pods that were ready are not ready again after two minutes, with the end of the node's log.
 */
export async function renewNode(options: {
  dir: string;
  tools: ClusterTools;
  noetl?: NoetlPackages;
  gateway?: string;
  signal?: AbortSignal;
  log: (line: string) => void;
}): Promise<void> {
  const { dir, tools, noetl, gateway, signal, log } = options;
  const at = clusterFiles(dir);
  const database = await ensureDatabaseTools(log);
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromFile(at.kubeconfig);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const pods = async (): Promise<V1Pod[]> => (await core.listPodForAllNamespaces()).items;
  const before = new Set((await pods()).filter(isReady).map(({ metadata }) => metadata?.uid));
  const { node } = readProcesses(at.processes);
  await endProcesses(node ? [node] : []);
  await endProcesses(Object.values(readProcesses(at.children)));
  // A node that was killed has left more behind than it kept account of.
  const { node: _, ...kept } = readProcesses(at.processes);
  const pids = Object.values(kept).map(({ pid }) => pid);
  await endProcesses(markedProcesses(dir).filter(({ pid }) => !pids.includes(pid)));
  // It comes back when the new one has seen every pod.
  fs.rmSync(namesFile(dir), { force: true });
  const launcher = new Launcher(dir, signal);
  launchNode(launcher, { natsServer: tools["nats-server"], database, noetl, gateway });
  await launcher.ready("the pods of the node to be ready again", "node", async () => {
    if (!fs.existsSync(namesFile(dir))) return false;
    return (await pods()).every((pod) => isReady(pod) || !before.has(pod.metadata?.uid));
  });
}
