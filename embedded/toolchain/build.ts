import { execFile, spawn } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import { cacheDir } from "../../commands/shared/binaries";
import { endsWithUs } from "../../commands/shared/leftovers";
import { endGroup } from "../../commands/shared/process-group";
import { changesOf, withChanges } from "./changes";
import { lock } from "./lock";
import { minutes } from "./speed";
import type { Tool } from "./tools";

const TICK_MS = 60_000;

/** Folder of the Go module that a tool is built from. */
const moduleOf = (tool: Tool): string => path.join(projectRoot(), "embedded", "toolchain", tool.module);

/** How a tool is built, without where to. Inlining stays on: what it costs here, it saves in every run. */
const buildArgs = (tool: Tool): string[] => [
  "build",
  "-trimpath",
  "-buildvcs=false",
  "-mod=readonly",
  `-ldflags=-s -w ${tool.ldflags ?? ""}`,
];

/** Debug information, which the linker drops (`-s -w`), is not made in the first place: 12 % of the compiler's time for net/http and go/types. */
const CHEAPER = "-gcflags=all=-dwarf=false";

/** Where the pinned build of a tool stands in the cache. What is built in another way, or from other modules, stands elsewhere. */
export function cachedPath(tool: Tool): string {
  const hash = crypto.createHash("sha256").update(buildArgs(tool).join("\0"));
  for (const file of ["go.mod", "go.sum"]) hash.update(fs.readFileSync(path.join(moduleOf(tool), file)));
  hash.update(changesOf(tool));
  const recipe = hash.digest("hex").slice(0, 8);
  return path.join(cacheDir(), "toolchain", `${tool.name}-${tool.version}-${recipe}`, tool.name);
}

/** What a build says, and what ends it. */
export interface BuildOptions {
  /** Which one of how many it is. */
  readonly step: string;
  /** How long it will take, in seconds; asked when it begins. */
  readonly seconds: () => number;
  /** Called with the seconds that it took, where nothing else was waited for. */
  readonly onBuilt: (seconds: number) => void;
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Builds a tool from its Go module, and gives its path.
 *
 * Building writes next to the final place and renames, so an interrupted build leaves nothing half-done behind; a lock
 * folder keeps two runs from building the same tool at once.
 *
 * @throws Error with the compiler's last lines.
 */
export async function buildTool(tool: Tool, { step, seconds, onBuilt, log, signal }: BuildOptions): Promise<string> {
  const target = cachedPath(tool);
  const folder = path.dirname(target);
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, tool, log);
  try {
    if (fs.existsSync(target)) return target;
    // What a build left that was cut off.
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder);
    const unfinished = `${target}.${process.pid}.building`;
    const started = Date.now();
    const elapsed = () => Math.round((Date.now() - started) / 1000);
    log(`[${step}] ${tool.name} ${tool.version}: building (about ${minutes(seconds())}) ...`);
    const ticker = setInterval(() => log(`[${step}] ${tool.name}: still building after ${elapsed()} s`), TICK_MS);
    try {
      await goBuild(tool, unfinished, signal);
      fs.renameSync(unfinished, target);
    } finally {
      clearInterval(ticker);
      fs.rmSync(unfinished, { force: true });
    }
    log(`[${step}] ${tool.name} ${tool.version}: built in ${elapsed()} s`);
    onBuilt(elapsed());
    return target;
  } finally {
    release();
  }
}

/** @throws Error with one sentence where there is no Go that could build `tools`. */
export async function requireGo(tools: readonly Tool[]): Promise<void> {
  try {
    await promisify(execFile)("go", ["version"], { timeout: 20_000 });
  } catch {
    throw new Error(
      `${tools.map((t) => t.name).join(", ")} must be built, which needs Go 1.26 or newer on PATH: ` +
        `install Go (or put the tools themselves on PATH) and run the command again.`,
    );
  }
}

async function goBuild(tool: Tool, output: string, signal: AbortSignal | undefined): Promise<void> {
  const sources = `${output}.sources`;
  // None of them needs C, and without it no C compiler is started, or missing.
  const env = { ...process.env, GOFLAGS: "", GOWORK: "off", CGO_ENABLED: "0" };
  try {
    const modfile = await withChanges(tool, { module: moduleOf(tool), sources, env, signal });
    await compile(tool, [...buildArgs(tool), ...modfile, CHEAPER, "-o", output, tool.package], { env, signal });
  } finally {
    fs.rmSync(sources, { recursive: true, force: true });
  }
}

function compile(
  tool: Tool,
  args: readonly string[],
  { env, signal }: { env: NodeJS.ProcessEnv; signal: AbortSignal | undefined },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stdio: ["ignore", "ignore", "pipe"] = ["ignore", "ignore", "pipe"];
    const child = endsWithUs(spawn("go", args, { cwd: moduleOf(tool), env, stdio, detached: true }));
    // Go does not end its compilers when it is ended.
    const end = (): void => endGroup(child, "SIGTERM");
    if (signal?.aborted) end();
    signal?.addEventListener("abort", end, { once: true });
    let tail = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk: string) => (tail = (tail + chunk).slice(-4000)));
    child.on("error", reject);
    child.on("close", (code, cause) => {
      signal?.removeEventListener("abort", end);
      if (code === 0) return resolve();
      if (signal?.aborted) return reject(signal.reason as Error);
      const lines = tail.split("\n").filter((line) => !line.startsWith("go: downloading"));
      reject(
        new Error(
          `building ${tool.name} ${tool.version} failed (${cause ?? `exit code ${code}`}):\n${lines.slice(-15).join("\n")}`,
        ),
      );
    });
  });
}
