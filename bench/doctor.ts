/**
 * Measures `doctor` and `verify` on the embedded stack, which must be up and in order (`npm run up:embedded`): time and the
 * highest resident memory of the command's own process, the engine's commands included in the time; the same as `npm run` has
 * it; and what of that finds out that there is nothing to compile.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../contract/project";
import { EMBEDDED_STACK } from "../embedded/home";
import { median, table, type Row } from "./table";

const RUNS = 5;
const POLL_MILLISECONDS = 20;

/** One run: seconds, and the peak of the process's resident memory in MiB. @throws Error where it does not end with 0. */
function measure(program: string, ...args: readonly string[]): Promise<{ seconds: number; mebibytes: number }> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"], cwd: projectRoot() });
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
      if (code !== 0)
        reject(new Error(`${args.join(" ")} ended with ${code}: the embedded stack must be up and in order`));
      else resolve({ seconds: (performance.now() - started) / 1000, mebibytes });
    });
  });
}

/** Some runs of one program, of which the first does not count: it brings the files into memory. */
async function runs(program: string, ...args: readonly string[]): Promise<{ seconds: number; mebibytes: number }> {
  await measure(program, ...args);
  const all: { seconds: number; mebibytes: number }[] = [];
  for (let run = 0; run < RUNS; run++) all.push(await measure(program, ...args));
  return {
    seconds: median(all.map(({ seconds }) => seconds)),
    mebibytes: Math.max(...all.map((each) => each.mebibytes)),
  };
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  const stack = ["--stack", EMBEDDED_STACK];
  for (const command of ["doctor", "verify"] as const) {
    const file = path.join(projectRoot(), "dist", "commands", "doctor", `${command}.js`);
    const { seconds, mebibytes } = await runs(process.execPath, file, ...stack);
    const of = `${command} on a healthy stack, median of ${RUNS}`;
    rows.push({ what: of, measured: seconds, unit: "s", limit: 2.5 });
    rows.push({ what: `${command}, highest memory`, measured: mebibytes, unit: "MiB", limit: 200 });
    const whole = await runs("npm", "run", "--silent", command, "--", ...stack);
    rows.push({ what: `npm run ${command}, nothing to compile`, measured: whole.seconds, unit: "s" });
  }
  const build = await runs(process.execPath, path.join(projectRoot(), "scripts", "build.mjs"));
  rows.push({ what: "of it, the build that has nothing to do", measured: build.seconds, unit: "s", limit: 0.5 });
  process.stdout.write(`${table(rows).join("\n")}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
