import * as fs from "node:fs";
import * as path from "node:path";
import { runCommand } from "../commands/shared/run";
import type { ExitName } from "../commands/shared/exit";
import { projectRoot } from "../contract/project";
import { readDown } from "./command-lines";
import { failureOf, INTERRUPTED, preparing, say, showingEngine } from "./conduct";
import { ensureTools } from "./toolchain";
import { attachCluster, NoAnswer, stopCluster, type Cluster } from "./cluster";
import { beginDestroying } from "./half-created";
import { EMBEDDED_DIR } from "./home";
import { emptyFolder, takeTurn } from "./turn";

/** Destroys the stack where its cluster still runs, then ends the cluster and removes every file. */
async function main(argv: readonly string[], signal: AbortSignal): Promise<ExitName> {
  const { help } = readDown(argv);
  if (help !== undefined) {
    say(help);
    return "ok";
  }
  const giveBack = await takeTurn(EMBEDDED_DIR, "down:embedded");
  try {
    const dir = path.join(EMBEDDED_DIR, "cluster");
    const cluster = await preparing(signal, () => attachCluster(dir)).catch(silent);
    if (cluster) await destroy(cluster, signal);
    // What follows takes seconds, and half of it would help nobody: an interrupt waits for it.
    signal.throwIfAborted();
    await stopCluster(dir);
    emptyFolder(EMBEDDED_DIR);
    fs.rmSync(path.join(projectRoot(), "Pulumi.embedded.yaml"), { force: true });
    process.stdout.write("The embedded cluster is gone.\n");
    return signal.aborted ? "interrupted" : "ok";
  } catch (error) {
    if (!signal.aborted) throw failureOf(error);
    process.stderr.write(`\n${INTERRUPTED}\n`);
    return "interrupted";
  } finally {
    giveBack();
  }
}

/** One that does not answer is thrown away as it is. */
function silent(error: unknown): undefined {
  if (!(error instanceof NoAnswer)) throw error;
  say("The cluster does not answer: what is deployed goes with it.");
}

/** The cluster is thrown away in any case; what could not be deleted in it goes with it. */
async function destroy({ kubeconfigPath, gateway }: Cluster, signal: AbortSignal): Promise<void> {
  const tools = await preparing(signal, () => ensureTools(["helm", "pulumi"], say));
  try {
    const { openStack } = await import("./stack.js");
    const { stack, close } = await openStack({ dir: EMBEDDED_DIR, kubeconfigPath, gateway, tools });
    try {
      signal.throwIfAborted();
      beginDestroying(EMBEDDED_DIR);
      await stack.destroy({ onOutput: showingEngine(), signal, color: "auto" });
    } finally {
      await close();
    }
  } catch (error) {
    signal.throwIfAborted();
    say(`The stack could not be destroyed, and goes with its cluster: ${failureOf(error).message}`);
  }
}

if (require.main === module) runCommand(main);
