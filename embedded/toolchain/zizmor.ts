import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import { lock } from "./index";
import { cacheDir } from "../../commands/shared/binaries";

const run = promisify(execFile);

const REQUIREMENTS = path.join(projectRoot(), "embedded", "toolchain", "zizmor", "requirements.txt");

/**
 * zizmor, which is a Rust program that comes as a Python package: from the cache, else installed by pip as
 * embedded/toolchain/zizmor/requirements.txt pins it, with its hash.
 *
 * @throws Error in one sentence where Python or pip is missing, or with pip's last lines.
 */
export async function ensureZizmor(): Promise<string> {
  const version = /^zizmor==(\S+)/m.exec(fs.readFileSync(REQUIREMENTS, "utf8"))?.[1] ?? "";
  const folder = path.join(cacheDir(), "toolchain", `zizmor-${version}`);
  const target = path.join(folder, "zizmor");
  if (fs.existsSync(target)) return target;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, { name: "zizmor" }, console.error);
  const unfinished = `${folder}.${process.pid}.installing`;
  try {
    if (fs.existsSync(target)) return target;
    console.error(`zizmor ${version}: installing (about 10 s) ...`);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    await run("python3", [...pip, "--only-binary=:all:", "--target", unfinished, "-r", REQUIREMENTS], {
      timeout: 300_000,
    });
    fs.mkdirSync(folder, { recursive: true });
    fs.renameSync(path.join(unfinished, "bin", "zizmor"), target);
    return target;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === "ENOENT" || /No module named pip/.test(stderr ?? "")) {
      throw new Error("zizmor is installed with python3 and pip: install them (Debian: python3-pip) and run again.");
    }
    throw new Error(
      `installing zizmor ${version} failed:\n${(stderr ?? String(error)).trim().split("\n").slice(-10).join("\n")}`,
    );
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
    release();
  }
}
