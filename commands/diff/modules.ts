import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheDir } from "../shared/binaries";
import { DiffError, messageOf } from "./errors";
import { outputOf, removeFolder, temporaryFolder } from "../shared/leftovers";

const INSTALL_TIMEOUT_MS = 10 * 60_000;
/** What no comparison has used for so long is removed. */
const UNUSED_MS = 14 * 24 * 3600_000;
const MOST_LINES = 8;

/**
 * Gives the base revision the packages of its own lock file: the working tree's where the lock files are the same, else a
 * cached installation, else `npm ci` into the cache. Install scripts do not run: the evaluation needs none.
 *
 * @throws DiffError where the packages are missing or cannot be installed.
 */
export async function linkModules(args: { base: string; head: string; log: (line: string) => void }): Promise<void> {
  const { base, head, log } = args;
  const installed = path.join(head, "node_modules");
  if (!fs.existsSync(path.join(installed, "@pulumi", "pulumi"))) {
    throw new DiffError(`${head} has no packages installed: run \`npm ci\` there and try again.`, "usage", "head");
  }
  const lock = (folder: string) => {
    const file = path.join(folder, "package-lock.json");
    return fs.existsSync(file) ? fs.readFileSync(file) : undefined;
  };
  const [old, now] = [lock(base), lock(head)];
  const same = old === undefined || (now !== undefined && old.equals(now));
  const modules = same ? fs.realpathSync(installed) : await cachedModules(base, old, log);
  fs.symlinkSync(modules, path.join(base, "node_modules"));
}

async function cachedModules(base: string, lock: Buffer, log: (line: string) => void): Promise<string> {
  const hash = crypto
    .createHash("sha256")
    .update(`${process.versions.modules} ${process.platform} ${process.arch}\n`)
    .update(lock)
    .digest("hex")
    .slice(0, 20);
  const target = path.join(cacheDir(), "diff", hash);
  if (!fs.existsSync(target)) {
    fs.mkdirSync(path.dirname(target), { recursive: true });
    removeUnused(path.dirname(target));
    await install(base, target, log);
  }
  fs.utimesSync(target, new Date(), new Date());
  return path.join(target, "node_modules");
}

/** Folder in which compiled files of programs are kept, by what they were compiled from. */
export function compiledFiles(): string {
  const folder = path.join(cacheDir(), "compiled");
  try {
    fs.mkdirSync(folder, { recursive: true });
    removeUnused(folder);
  } catch {
    // Nothing is kept where nothing can be written.
  }
  return folder;
}

/** Installations of earlier bases weigh hundreds of MiB each; what was interrupted lies beside them. */
function removeUnused(cache: string): void {
  for (const name of fs.readdirSync(cache)) {
    const folder = path.join(cache, name);
    const used = fs.statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - used > UNUSED_MS) fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function install(base: string, target: string, log: (line: string) => void): Promise<void> {
  const unfinished = temporaryFolder(`${target}.`);
  try {
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
      const file = path.join(base, name);
      if (fs.existsSync(file)) fs.copyFileSync(file, path.join(unfinished, name));
    }
    log("The base revision has another lock file: installing its packages, once ...");
    // What the lock file names does not change, so what npm has kept of it is as good as the registry's.
    await outputOf("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
      cwd: unfinished,
      timeout: INSTALL_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    takePlace(unfinished, target);
  } catch (error) {
    throw new DiffError(
      `the packages of the base revision cannot be installed from its lock file (npm ci):\n${npmError(error)}\n` +
        "Without them its program cannot be run. Run again if the registry could not be reached; if its lock file is " +
        "broken, name a base with a good one, for example --base HEAD~1.",
      "failed",
      "base",
    );
  } finally {
    removeFolder(unfinished);
  }
}

/** Puts an installation where it is looked for; there is one already where another run was faster. */
function takePlace(unfinished: string, target: string): void {
  try {
    fs.renameSync(unfinished, target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
  }
}

/** What npm says went wrong, without its usage. */
function npmError(error: unknown): string {
  const { stderr = "", killed, code } = error as { stderr?: string; killed?: boolean; code?: unknown };
  if (killed) return `it did not end within ${INSTALL_TIMEOUT_MS / 60_000} minutes`;
  if (code === "ENOENT") return "npm is not on PATH";
  const lines = stderr
    .split("\n")
    .flatMap((line) => /^npm error (.*\S)/.exec(line)?.[1] ?? [])
    .filter((line) => !line.startsWith("A complete log of this run"));
  const usage = lines.findIndex((line) => line === "Clean install a project");
  const said = lines.slice(0, usage < 0 ? lines.length : usage).slice(0, MOST_LINES);
  return said.length > 0 ? said.map((line) => `  ${line}`).join("\n") : messageOf(error).slice(-600);
}
