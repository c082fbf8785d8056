/**
 * Does at start-up what NoETL's server, worker and gateway do (v2.8.9 line), driven by the environment alone:
 * `node main.js server|worker|gateway`. See README.md for what it leaves out.
 */
import { gateway } from "./gateway";
import { server } from "./server";
import { worker } from "./worker";

const role = { server, worker, gateway }[process.argv[2] ?? ""];
if (!role) throw new Error("usage: node main.js server|worker|gateway");
role().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
process.on("SIGTERM", () => process.exit(0));
