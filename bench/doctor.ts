/**
 * Measures `doctor` and `verify` on the embedded stack, which must be up and in order (`npm run up:embedded`): time and the
 * highest resident memory of the command's own process, as a user runs it, the engine's commands included in the time.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { EMBEDDED_STACK } from "../embedded/home";
import { median, table, type Row } from "./table";

const RUNS = 5;
const POLL_MILLISECONDS = 20;

/** One run: seconds, and the peak of the process's resident memory in MiB. @throws Error where it does not end with 0. */
function measure(command: "doctor" | "verify"): Promise<{ seconds: number; mebibytes: number }> {
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [path.join(__dirname, "..", "doctor", `${command}.js`), "--stack", EMBEDDED_STACK],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  let mebibytes = 0;
  const poll = setInterval(() => {
    try {
      const peak = /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      mebibytes = Math.max(mebibytes, Number(peak ?? 0) / 1024);
    } catch {
      // It has ended in the meantime.
    }
  }, POLL_MILLISECONDS);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(poll);
      if (code !== 0) reject(new Error(`${command} ended with ${code}: the embedded stack must be up and in order`));
      else resolve({ seconds: (performance.now() - started) / 1000, mebibytes });
    });
  });
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  for (const command of ["doctor", "verify"] as const) {
    const runs: { seconds: number; mebibytes: number }[] = [];
    for (let run = 0; run < RUNS; run++) runs.push(await measure(command));
    const of = `${command} on a healthy stack, median of ${RUNS}`;
    rows.push({ what: of, measured: median(runs.map(({ seconds }) => seconds)), unit: "s", limit: 5 });
    const most = Math.max(...runs.map(({ mebibytes }) => mebibytes));
    rows.push({ what: `${command}, highest memory`, measured: most, unit: "MiB", limit: 200 });
  }
  process.stdout.write(`${table(rows).join("\n")}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
