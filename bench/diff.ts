/**
 * Time and memory of `npm run diff` for the stack kind of this project, against its own last commit. Usage:
 * `npm run bench:diff [-- RUNS]`
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { projectRoot } from "../contract/project";
import { familyOf, memoryOf } from "./processes";
import { median, report, seconds, type Row } from "./table";

const LIMITS = { seconds: 15, mebibytes: 600 };

async function once(output: string): Promise<number> {
  const args = ["--stack", "kind", "--base", "HEAD", "--format", "markdown,json,html,text", "--output", output];
  const child = spawn(
    process.execPath,
    [path.join(__dirname, "..", "commands", "diff", "main.js"), ...args, "-c", "natsChart=./embedded/charts/nats"],
    {
      cwd: projectRoot(),
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  let peak = 0;
  const timer = setInterval(
    () => (peak = Math.max(peak, child.pid === undefined ? 0 : memoryOf(familyOf([child.pid]), "Rss"))),
    50,
  );
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`the diff ended with exit code ${String(code)}`);
  return peak;
}

async function measure(): Promise<Row[]> {
  const runs = Number(process.argv[2] ?? 3);
  const output = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-bench-"));
  try {
    const times: number[] = [];
    const peaks: number[] = [];
    for (let run = 0; run < runs; run++) times.push(await seconds(async () => void peaks.push(await once(output))));
    return [
      {
        what: `diff of kind, all formats, median of ${runs}`,
        measured: median(times),
        unit: "s",
        limit: LIMITS.seconds,
      },
      {
        what: "memory of all its processes, largest",
        measured: Math.max(...peaks),
        unit: "MiB",
        limit: LIMITS.mebibytes,
      },
    ];
  } finally {
    fs.rmSync(output, { recursive: true, force: true });
  }
}

report(measure);
