import { execFile, spawn } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import { TOOLS, type Tool, type ToolName } from "./tools";
import { builtBinary, cacheDir } from "../../commands/shared/binaries";

export { TOOLS, type Tool, type ToolName } from "./tools";

const run = promisify(execFile);

/** Folder of the Go module that a tool is built from. */
const moduleOf = (tool: Tool): string => path.join(projectRoot(), "embedded", "toolchain", tool.module);

/** How a tool is built, without where to. Inlining stays on: it costs a fifth of the build, and saves as much in every run. */
const buildArgs = (tool: Tool): string[] => [
  "build",
  "-trimpath",
  "-buildvcs=false",
  "-mod=readonly",
  `-ldflags=-s -w ${tool.ldflags ?? ""}`,
];

/** Where the pinned build of a tool stands in the cache. What is built in another way, or from other modules, stands elsewhere. */
export function cachedPath(tool: Tool): string {
  const hash = crypto.createHash("sha256").update(buildArgs(tool).join("\0"));
  for (const file of ["go.mod", "go.sum"]) hash.update(fs.readFileSync(path.join(moduleOf(tool), file)));
  const recipe = hash.digest("hex").slice(0, 8);
  return path.join(cacheDir(), "toolchain", `${tool.name}-${tool.version}-${recipe}`, tool.name);
}

/** True where `found` is `accept` or newer within the same major version; both `x.y.z`. */
export function versionFits(found: string, accept: string): boolean {
  const [fMajor = 0, fMinor = 0, fPatch = 0] = found.split(".").map(Number);
  const [aMajor = 0, aMinor = 0, aPatch = 0] = accept.split(".").map(Number);
  if (fMajor !== aMajor) return false;
  return fMinor !== aMinor ? fMinor > aMinor : fPatch >= aPatch;
}

async function versionOf(binary: string, tool: Tool): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(binary, [...tool.ask.args], {
      timeout: 20_000,
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    return tool.ask.pattern.exec(stdout + stderr)?.[1];
  } catch {
    return undefined;
  }
}

async function onPath(tool: Tool): Promise<string | undefined> {
  if (!tool.accept) return undefined;
  for (const dir of (process.env.PATH ?? "").split(path.delimiter).filter(Boolean)) {
    const candidate = path.join(dir, tool.name);
    if (!fs.existsSync(candidate)) continue;
    const version = await versionOf(candidate, tool);
    if (version && versionFits(version, tool.accept)) return candidate;
  }
  return undefined;
}

/** Where each asked-for tool was found. */
export type ToolPaths<N extends ToolName = ToolName> = Record<N, string>;

/**
 * Finds every named tool: on PATH where its version fits, else in the cache, else built from its pinned Go module.
 *
 * Building writes next to the final place and renames, so an interrupted build leaves nothing half-done behind; a lock
 * folder keeps two runs from building the same tool at once. Progress goes to `log`, one line per message.
 *
 * @throws Error with one sentence where a tool must be built and Go is missing, or with the compiler's last lines.
 */
export async function ensureTools<N extends ToolName>(
  names: readonly N[],
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<ToolPaths<N>> {
  const paths: Partial<Record<ToolName, string>> = {};
  const missing: Tool[] = [];
  await Promise.all(
    names.map(async (name) => {
      const tool: Tool = TOOLS[name];
      const found = (await onPath(tool)) ?? [cachedPath(tool)].find((file) => fs.existsSync(file));
      if (found) paths[name] = found;
      else missing.push(tool);
    }),
  );
  if (missing.length > 0) {
    await requireGo(missing);
    const order = Object.keys(TOOLS);
    missing.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    const total = missing.reduce((sum, tool) => sum + tool.buildSeconds, 0);
    log(
      `Building ${missing.map((t) => t.name).join(", ")} from Go modules, once: about ${minutes(total)} on two cores.`,
    );
    for (const [index, tool] of missing.entries()) {
      paths[tool.name as ToolName] = await buildTool(tool, `${index + 1}/${missing.length}`, log);
    }
  }
  offer(paths);
  return paths as ToolPaths<N>;
}

/** Leaves what the commands look for where they look for it: they know nothing of builds. */
function offer(paths: Partial<Record<ToolName, string>>): void {
  for (const name of ["helm", "pulumi"] as const) {
    const file = paths[name];
    const link = builtBinary(name);
    if (!file?.startsWith(cacheDir()) || linkedTo(link) === file) continue;
    fs.mkdirSync(path.dirname(link), { recursive: true });
    const unfinished = `${link}.${process.pid}`;
    fs.rmSync(unfinished, { force: true });
    fs.symlinkSync(file, unfinished);
    fs.renameSync(unfinished, link);
  }
}

function linkedTo(link: string): string | undefined {
  try {
    return fs.readlinkSync(link);
  } catch {
    return undefined;
  }
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

async function requireGo(missing: readonly Tool[]): Promise<void> {
  try {
    await run("go", ["version"], { timeout: 20_000 });
  } catch {
    throw new Error(
      `${missing.map((t) => t.name).join(", ")} must be built, which needs Go 1.26 or newer on PATH: ` +
        `install Go (or put the tools themselves on PATH) and run the command again.`,
    );
  }
}

async function buildTool(tool: Tool, step: string, log: (line: string) => void): Promise<string> {
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
    log(`[${step}] ${tool.name} ${tool.version}: building (about ${minutes(tool.buildSeconds)}) ...`);
    const ticker = setInterval(() => log(`[${step}] ${tool.name}: still building after ${elapsed()} s`), 30_000);
    try {
      await goBuild(tool, unfinished);
      fs.renameSync(unfinished, target);
    } finally {
      clearInterval(ticker);
      fs.rmSync(unfinished, { force: true });
    }
    log(`[${step}] ${tool.name} ${tool.version}: built in ${elapsed()} s`);
    return target;
  } finally {
    release();
  }
}

function goBuild(tool: Tool, output: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("go", [...buildArgs(tool), "-o", output, tool.package], {
      cwd: moduleOf(tool),
      env: { ...process.env, GOFLAGS: "", GOWORK: "off" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let tail = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk: string) => (tail = (tail + chunk).slice(-4000)));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const lines = tail.split("\n").filter((line) => !line.startsWith("go: downloading"));
      reject(
        new Error(
          `building ${tool.name} ${tool.version} failed (${signal ?? `exit code ${code}`}):\n${lines.slice(-15).join("\n")}`,
        ),
      );
    });
  });
}

/**
 * Takes a lock folder, waiting for at most 30 minutes while the process that holds it lives.
 *
 * @param tool what the lock is for, for messages
 * @returns a function that gives the lock back
 */
export async function lock(folder: string, tool: Pick<Tool, "name">, log: (line: string) => void): Promise<() => void> {
  const holder = path.join(folder, "pid");
  const deadline = Date.now() + 30 * 60_000;
  for (let told = false; ;) {
    try {
      fs.mkdirSync(folder);
      fs.writeFileSync(holder, String(process.pid));
      return () => fs.rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (!isAlive(holder)) {
      fs.rmSync(folder, { recursive: true, force: true });
      continue;
    }
    if (Date.now() > deadline) throw new Error(`waited 30 min for another build of ${tool.name} (lock ${folder})`);
    if (!told) log(`${tool.name}: another process is building it; waiting`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function isAlive(pidFile: string): boolean {
  try {
    process.kill(Number(fs.readFileSync(pidFile, "utf8")), 0);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // The holder makes the folder first and writes its id a moment later.
    if (code === "ENOENT") return fs.existsSync(path.dirname(pidFile)) && ageMs(path.dirname(pidFile)) < 5000;
    return code === "EPERM";
  }
}

function ageMs(file: string): number {
  try {
    return Date.now() - fs.statSync(file).mtimeMs;
  } catch {
    return Infinity;
  }
}
