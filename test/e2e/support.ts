import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  NetworkingV1Api,
  RbacAuthorizationV1Api,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, expect } from "vitest";
import { readStack } from "../../commands/shared/engine";
import { targetOf, type Target } from "../../commands/doctor/target";
import { verify } from "../../commands/doctor/verify";
import { embeddedEngine } from "../../embedded/home";
import type * as ClusterModule from "../../embedded/cluster/index.js";
import type * as StackModule from "../../embedded/stack.js";
import { PROJECT, projectRoot } from "../../contract/project";
import { STACK_TOOLS } from "../../embedded/tools";
import { ensureTools, type ToolPaths } from "../../embedded/toolchain";
import { ensureNoetl } from "../../embedded/toolchain/noetl";
import { operationsOf } from "../support/engine";

// The compiled program, as users run it: the engine serialises the provider's stub from it.
const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
const { openStack } = compiled("./embedded/stack") as typeof StackModule;

const run = promisify(execFile);
export const STACK = "e2e";
/** The release of the default image. */
export const NOETL = "2.8.9";
export const FIRST = "canary-first-Password.1";
export const DATABASE = "canary-database-Password.3";

export let dir: string;
let tools: ClusterModule.ClusterTools & ToolPaths<"nats" | "helm" | "pulumi">;
export let cluster: ClusterModule.Cluster;
/** What NATS' own command line logs in with. */
let login = { user: "noetl", password: FIRST };
export const logInAs = (next: typeof login): void => void (login = next);
export const config: Record<string, string> = {
  natsPassword: FIRST,
  postgresPassword: DATABASE,
  contractTimeoutSeconds: "60",
  networkPolicies: "true",
  // As a kind stack has it; the embedded one has none, since nothing can be run in its pods.
  natsBox: "true",
  playbookJobs: "own",
  // A pull that was under way when nats-server was killed ends only with its time; the workers ask again then.
  workerFetchTimeoutSeconds: "6",
  workerFetchHeartbeatSeconds: "2",
};
/** Everything the engine printed during the run. */
export let printed = "";

/** Opens the stack with the configuration as it stands, does one thing with it and closes it. */
export async function withStack<T>(work: (stack: StackModule.OpenStack["stack"]) => Promise<T>): Promise<T> {
  const open = await openStack({ dir, kubeconfigPath: cluster.kubeconfigPath, tools, config, stackName: STACK });
  try {
    return await work(open.stack);
  } finally {
    await open.close();
  }
}

export const readTarget = async (): Promise<Target> =>
  targetOf(STACK, await readStack({ ...embeddedEngine(dir), cwd: projectRoot() }, STACK, PROJECT));

/** Lines of the checklist that do not hold. */
export async function notHolding() {
  return (await verify(await readTarget())).lines.filter(({ status }) => status !== "ok");
}

export const onOutput = (text: string) => (printed += text);
export const up = () => withStack((stack) => stack.up({ onOutput }));

/** An update that must fail; returns all that it printed. */
export async function failingUp(): Promise<string> {
  const before = printed.length;
  await expect(up()).rejects.toThrow();
  return printed.slice(before);
}

/** Name and operation of every resource that a preview would touch. */
export const touched = () => operationsOf((onEvent) => withStack((stack) => stack.preview({ onEvent, onOutput })));

/** Local ports by in-cluster address. */
export const addresses = () =>
  JSON.parse(fs.readFileSync(path.join(cluster.dir, "names.json"), "utf8")) as Record<string, number>;

/** The independent witness: NATS' own command line against the server behind nats-0. */
export async function nats(...args: string[]): Promise<string> {
  const port = addresses()["nats.nats.svc.cluster.local:4222"];
  const { stdout } = await run(tools.nats, [...args, "--server", `nats://127.0.0.1:${port}`], {
    env: { ...process.env, HOME: dir, NATS_USER: login.user, NATS_PASSWORD: login.password },
    timeout: 60_000,
  });
  return stdout;
}

export const kube = () => {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromFile(cluster.kubeconfigPath);
  return {
    core: kubeconfig.makeApiClient(CoreV1Api),
    apps: kubeconfig.makeApiClient(AppsV1Api),
    batch: kubeconfig.makeApiClient(BatchV1Api),
    networking: kubeconfig.makeApiClient(NetworkingV1Api),
    rbac: kubeconfig.makeApiClient(RbacAuthorizationV1Api),
  };
};

/** The pods of a workload but those that an update has deleted, whose processes may still be ending. */
export const podsOf = async (namespace: string, labelSelector: string) =>
  (await kube().core.listNamespacedPod({ namespace, labelSelector })).items.filter(
    ({ metadata }) => metadata?.deletionTimestamp === undefined,
  );

export const uidOf = async (namespace: string, labelSelector: string) =>
  (await podsOf(namespace, labelSelector)).map(({ metadata }) => metadata?.uid).sort();

/** Has the tests of a file share one embedded cluster, on which their first deploys the stack. */
export function onOneCluster(): void {
  beforeAll(async () => {
    tools = await ensureTools([...STACK_TOOLS, "nats"]);
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-e2e-"));
    // NoETL itself: where it cannot be had, this file fails.
    cluster = await startCluster({ dir: path.join(dir, "cluster"), tools, noetl: await ensureNoetl(NOETL) });
  });

  afterAll(async () => {
    await cluster?.stop();
    fs.rmSync(dir, { recursive: true, force: true });
    fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true });
  });
}
