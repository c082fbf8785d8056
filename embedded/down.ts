import * as fs from "node:fs";
import * as path from "node:path";
import { CommandError, EXIT } from "../commands/shared/exit";
import { projectRoot } from "../contract/project";
import { readDown } from "./command-lines";
import { ensureTools } from "./toolchain";
import { attachCluster, stopCluster } from "./cluster";
import { EMBEDDED_DIR, openStack } from "./stack";

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Destroys the stack where its cluster still runs, then ends the cluster and removes every file. */
async function main(argv: readonly string[]): Promise<void> {
  const { help } = readDown(argv);
  if (help !== undefined) return void say(help);
  const dir = path.join(EMBEDDED_DIR, "cluster");
  const cluster = await attachCluster(dir);
  if (cluster) {
    const tools = await ensureTools(["helm", "pulumi"], say);
    const { kubeconfigPath, gateway } = cluster;
    const { stack, close } = await openStack({ dir: EMBEDDED_DIR, kubeconfigPath, gateway, tools });
    try {
      await stack.destroy({ onOutput: (text) => process.stdout.write(text), color: "auto" });
    } catch (error) {
      // The cluster is thrown away in any case; what could not be deleted in it goes with it.
      say(`destroying the stack failed: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await close();
    }
  }
  await stopCluster(dir);
  fs.rmSync(EMBEDDED_DIR, { recursive: true, force: true });
  fs.rmSync(path.join(projectRoot(), "Pulumi.embedded.yaml"), { force: true });
  say("The embedded cluster is gone.");
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = EXIT[error instanceof CommandError ? error.exit : "unknown"].code;
});
