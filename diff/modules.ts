import { execFile } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { cacheDir } from "../toolchain";
import { DiffError } from "./errors";

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 10 * 60_000;

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
  const npmrc = path.join(base, ".npmrc");
  const hash = crypto
    .createHash("sha256")
    .update(`${process.versions.modules} ${process.platform} ${process.arch}\n`)
    .update(lock)
    .digest("hex")
    .slice(0, 20);
  const target = path.join(cacheDir(), "diff", hash);
  if (fs.existsSync(target)) return path.join(target, "node_modules");
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const unfinished = fs.mkdtempSync(`${target}.`);
  try {
    for (const file of [path.join(base, "package.json"), path.join(base, "package-lock.json"), npmrc]) {
      if (fs.existsSync(file)) fs.copyFileSync(file, path.join(unfinished, path.basename(file)));
    }
    log("The base revision has another lock file: installing its packages, once ...");
    await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: unfinished,
      timeout: INSTALL_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    try {
      fs.renameSync(unfinished, target);
    } catch (error) {
      // Another run was faster.
      if (!fs.existsSync(target)) throw error;
    }
    return path.join(target, "node_modules");
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? String(error);
    const lines = output.split("\n").filter((line) => line.startsWith("npm error") && !line.includes("A complete log"));
    throw new DiffError(
      `the packages of the base revision cannot be installed (npm ci):\n${lines.slice(0, 6).join("\n") || output.slice(-600)}`,
      "failed",
      "base",
    );
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
}
