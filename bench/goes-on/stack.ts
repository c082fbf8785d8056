/** The whole stack with NoETL itself: nats-server is killed, and the password of NATS is changed, while playbooks run. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LOCATIONS } from "../../contract/facts";
import { projectRoot } from "../../contract/project";
import { startCluster, type Cluster } from "../../embedded/cluster";
import { namesFile } from "../../embedded/cluster/places";
import { processOf } from "../../embedded/cluster/processes";
import { openStack } from "../../embedded/stack";
import { ensureTools } from "../../embedded/toolchain";
import { ensureNoetl, pinnedReleases } from "../../embedded/toolchain/noetl";
import { STACK_TOOLS } from "../../embedded/tools";
import { seconds, type Row } from "../table";
import { completes, during, registerPlaybook } from "./noetl";

const STACK = "goes-on";
/** A fetch that was open when nats-server was killed ends with its time, and the worker asks again then: docs/guard.md. */
const FETCHES = { workerFetchTimeoutSeconds: "6", workerFetchHeartbeatSeconds: "2" };
/** From the end of nats-server to the end of the next playbook, in seconds. */
const HEALED_SECONDS = 10;

/** A stack that runs. */
export interface Running {
  readonly cluster: Cluster;
  readonly natsServer: string;
  /** The port of this machine that NoETL's Service leads to now. */
  readonly noetlPort: () => number;
  /** Changes settings, and updates the stack. */
  readonly update: (changes: Readonly<Record<string, string>>) => Promise<void>;
}

/** Runs `work` with a stack that is made for it, with the latest release of NoETL that is pinned, and removed after it. */
export async function withStack<T>(
  settings: Readonly<Record<string, string>>,
  work: (running: Running) => Promise<T>,
): Promise<T> {
  const tools = await ensureTools(STACK_TOOLS);
  const noetl = await ensureNoetl(pinnedReleases()[0] ?? "");
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-goes-on-"));
  const cluster = await startCluster({ dir: path.join(dir, "cluster"), tools, noetl });
  const config = { ...settings };
  const update: Running["update"] = async (changes) => {
    Object.assign(config, changes);
    const open = await openStack({ dir, kubeconfigPath: cluster.kubeconfigPath, tools, config, stackName: STACK });
    await open.stack.up().finally(() => open.close());
  };
  const noetlPort = (): number => {
    const ports = JSON.parse(fs.readFileSync(namesFile(cluster.dir), "utf8")) as Record<string, number>;
    const { service, namespace, port } = LOCATIONS.noetl;
    return ports[`${service}.${namespace}.svc.cluster.local:${port}`] ?? 0;
  };
  try {
    await update({});
    await registerPlaybook(noetlPort());
    return await work({ cluster, natsServer: tools["nats-server"], noetlPort, update });
  } finally {
    await cluster.stop();
    fs.rmSync(dir, { recursive: true, force: true });
    fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true });
  }
}

async function healed({ cluster, noetlPort }: Running): Promise<Row> {
  await completes(noetlPort());
  const measured = await seconds(() => {
    // As a node's trouble would.
    process.kill(processOf(cluster.dir, LOCATIONS.nats.pod), "SIGKILL");
    return completes(noetlPort());
  });
  const what = "kill -9 of nats-server, the whole stack, fetches of 6 s: to the end of the next playbook";
  return { what, measured, unit: "s", limit: HEALED_SECONDS };
}

async function rotated({ noetlPort, update }: Running): Promise<Row[]> {
  let took = 0;
  const { completed, failed, unanswered } = await during(noetlPort, async () => {
    took = await seconds(() => update({ natsPassword: "second-Password.2" }));
  });
  const what = (figure: string): string => `password of NATS changed, the whole stack: ${figure}`;
  return [
    { what: what("the update"), measured: took, unit: "s" },
    { what: what("playbooks refused or not finished"), measured: failed, unit: "", limit: 0 },
    { what: what("playbooks whose server was replaced before it answered"), measured: unanswered, unit: "" },
    { what: what("playbooks completed"), measured: completed, unit: "" },
  ];
}

/** The figures of a stack: how soon it heals, and what a change of the password does. */
export const stackRows = (): Promise<Row[]> =>
  withStack({ natsPassword: "first-Password.1", ...FETCHES }, async (running) => [
    await healed(running),
    ...(await rotated(running)),
  ]);
