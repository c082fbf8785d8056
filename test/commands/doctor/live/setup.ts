import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { projectRoot } from "../../../../contract/project";
import type * as ClusterModule from "../../../../embedded/cluster/index.js";
import type * as StackModule from "../../../../embedded/stack.js";
import { STACK_TOOLS } from "../../../../embedded/tools";
import { ensureTools } from "../../../../embedded/toolchain";
import { Deployment } from "./support";

/** Name of the shared stack. */
const STACK = "doctor";

/**
 * Deploys the whole stack on one embedded cluster.
 *
 * @returns the folder of the deployment (the engine's home and state, and the cluster), and what ends it.
 */
async function deploy(): Promise<{ dir: string; tearDown: () => Promise<void> }> {
  const compiled = createRequire(path.join(projectRoot(), "dist", "index.js"));
  const { startCluster } = compiled("./embedded/cluster") as typeof ClusterModule;
  const { openStack } = compiled("./embedded/stack") as typeof StackModule;
  const tools = await ensureTools([...STACK_TOOLS, "nats"]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-doctor-"));
  const cluster = await startCluster({ dir: path.join(dir, "cluster"), tools });
  const tearDown = async (): Promise<void> => {
    await cluster.stop();
    fs.rmSync(dir, { recursive: true, force: true });
    fs.rmSync(path.join(projectRoot(), `Pulumi.${STACK}.yaml`), { force: true });
  };
  try {
    const open = await openStack({
      dir,
      kubeconfigPath: cluster.kubeconfigPath,
      tools,
      stackName: STACK,
      // The tests break the contract on purpose; a guard would have healed it before anybody looks. Remedies are those of a stack with
      // nats-box, whose commands the tests run in its place.
      config: { contractGuard: "off", natsBox: "true" },
    });
    try {
      await open.stack.up();
    } finally {
      await open.close();
    }
  } catch (error) {
    await tearDown();
    throw error;
  }
  return { dir, tearDown };
}

/** Has the parts of a file share one deployment. */
export function onOneDeployment(): void {
  let tearDown: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    const deployed = await deploy();
    Deployment.dir = deployed.dir;
    tearDown = deployed.tearDown;
  }, 480_000);
  afterAll(() => tearDown?.(), 240_000);
}
