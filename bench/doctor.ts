/**
 * Measures `doctor` and `verify` on the embedded stack, which must be up and in order (`npm run up:embedded`): time, processor
 * time and the highest resident memory of the command's own process, the engine's commands included in the times; the same as
 * `npm run` has it; and what of that finds out that there is nothing to compile.
 */
import * as path from "node:path";
import { projectRoot } from "../contract/project";
import { EMBEDDED_STACK } from "../embedded/home";
import { rowsOf, runs } from "./commands";
import { report, type Row } from "./table";

async function measure(): Promise<Row[]> {
  const rows: Row[] = [];
  const stack = ["--stack", EMBEDDED_STACK];
  for (const command of ["doctor", "verify"] as const) {
    const file = path.join(projectRoot(), "dist", "commands", "doctor", `${command}.js`);
    rows.push(...rowsOf(command, await runs(process.execPath, file, ...stack)));
    const whole = await runs("npm", "run", "--silent", command, "--", ...stack);
    rows.push({ what: `npm run ${command}, nothing to compile`, measured: whole.seconds, unit: "s" });
  }
  const build = await runs(process.execPath, path.join(projectRoot(), "scripts", "build.mjs"));
  rows.push({ what: "of it, the build that has nothing to do", measured: build.seconds, unit: "s", limit: 0.5 });
  return rows;
}

report(measure);
