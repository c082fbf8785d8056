/** Measuring commands as a user runs them: time, processor time, memory. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { projectRoot } from "../contract/project";
import { familyOf } from "./processes";
import { median, type Row } from "./table";

const RUNS = 5;
const POLL_MILLISECONDS = 20;

/** Most that `doctor` and `verify` may take on a healthy stack, in seconds. */
const COMMAND_SECONDS = 2.5;

/** What a user types again and again, npm and its look at what is compiled included, and the most that it may take, in seconds. */
const AGAIN = { verify: 3, "up:embedded": 9 } as const;

export interface Run {
  readonly seconds: number;
  /** Of all processes of the command, in seconds: what is left of the time where nothing else runs. */
  readonly processor: number;
  /** Highest resident memory of the command's own process, in MiB. */
  readonly mebibytes: number;
}

/** Has the shell tell the processor time of a command and of all that it waited for. */
const TIMED = 'TIMEFORMAT="%U %S"; time "$@" >/dev/null';

/** One run. @throws Error where it does not end with 0. */
function measure(program: string, ...args: readonly string[]): Promise<Run> {
  const started = performance.now();
  const child = spawn("bash", ["-c", TIMED, "bench", program, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: projectRoot(),
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  let mebibytes = 0;
  const poll = setInterval(() => {
    const [, own] = familyOf([child.pid ?? 0]);
    mebibytes = Math.max(mebibytes, own === undefined ? 0 : peakOf(own));
  }, POLL_MILLISECONDS);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(poll);
      if (code !== 0) {
        reject(new Error(`${args.join(" ")} ended with ${code}: the stack must be up and in order\n${said}`));
        return;
      }
      const times = said.trim().split("\n").at(-1) ?? "";
      const processor = times.split(" ").reduce((sum, each) => sum + Number(each), 0);
      resolve({ seconds: (performance.now() - started) / 1000, processor, mebibytes });
    });
  });
}

function peakOf(pid: number): number {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(peak ?? 0) / 1024;
  } catch {
    return 0; // It has ended in the meantime.
  }
}

/** Some runs of one program, of which the first does not count: it brings the files into memory. */
export async function runs(program: string, ...args: readonly string[]): Promise<Run> {
  await measure(program, ...args);
  const all: Run[] = [];
  for (let run = 0; run < RUNS; run++) all.push(await measure(program, ...args));
  return {
    seconds: median(all.map(({ seconds }) => seconds)),
    processor: median(all.map(({ processor }) => processor)),
    mebibytes: Math.max(...all.map((each) => each.mebibytes)),
  };
}

/** What `npm run` takes for a script where nothing has changed, as a row of a table. */
export const rowOfScript = (script: keyof typeof AGAIN, { seconds }: Run): Row => ({
  what: `npm run ${script} without a change, median of ${RUNS}`,
  measured: seconds,
  unit: "s",
  limit: AGAIN[script],
});

/** What `command` takes on a healthy stack, as rows of a table. */
export const rowsOf = (command: string, { seconds, processor, mebibytes }: Run): Row[] => [
  { what: `${command} on a healthy stack, median of ${RUNS}`, measured: seconds, unit: "s", limit: COMMAND_SECONDS },
  { what: `${command}, processor time of all its processes`, measured: processor, unit: "s" },
  { what: `${command}, highest memory`, measured: mebibytes, unit: "MiB", limit: 200 },
];
