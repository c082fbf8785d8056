import { execFile } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import { lock } from "./lock";
import { cacheDir } from "../../commands/shared/binaries";
import { ensureDatabaseTools } from "./database";
import { onThisMachine } from "./speed";
import { step } from "./step";

const run = promisify(execFile);

const PINS = path.join(projectRoot(), "embedded", "toolchain", "python");
const UV = path.join(PINS, "uv.txt");
const lockOf = (version: string): string => path.join(PINS, `noetl-${version}.txt`);

/** How long installing takes on two cores beside a build, with a mirror nearby, in seconds; see {@link onThisMachine}. */
const SECONDS = 10;
const INSTALL_TIMEOUT_MS = 20 * 60_000;
const TICK_MS = 60_000;
/** Minor versions of Python 3 that every pinned package has a wheel for, the one of NoETL's image first. */
const MINORS = [12, 13, 14] as const;

/** NoETL's Python packages, installed. */
export interface NoetlPackages {
  /** Release, without `v`. */
  readonly version: string;
  /** Interpreter that imports them. */
  readonly python: string;
}

/** NoETL cannot be had on this machine, for the reason that the message gives in one sentence. */
export class NoetlUnavailable extends Error {}

/** Releases of NoETL whose packages are pinned here. */
export function pinnedReleases(): string[] {
  return fs.readdirSync(PINS).flatMap((name) => /^noetl-(.+)\.txt$/.exec(name)?.[1] ?? []);
}

/** The release that an image's tag names, without `v`; undefined where the tag names none, or there is only a digest. */
export function releaseOf(image: string): string | undefined {
  return /:v?(\d+\.\d+\.\d+)(?:@|$)/.exec(image)?.[1];
}

/**
 * NoETL from the cache, else installed by uv, as embedded/toolchain/python pins both with their hashes.
 *
 * Like `ensureTools`: an interrupted installation leaves nothing half-done behind and goes on with what it had
 * downloaded, and two runs do not install at the same time.
 *
 * @param version release, without `v`
 * @throws NoetlUnavailable where the release is not pinned here, no Python will do, or the installation fails.
 */
export async function ensureNoetl(
  version: string,
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<NoetlPackages> {
  const pins = lockOf(version);
  if (!fs.existsSync(pins)) {
    throw new NoetlUnavailable(
      `NoETL ${version} is not among the releases that are pinned here (${pinnedReleases().join(", ")})`,
    );
  }
  const hash = crypto.createHash("sha256");
  for (const file of [pins, UV]) hash.update(fs.readFileSync(file));
  const folder = path.join(cacheDir(), "toolchain", `noetl-${version}-${hash.digest("hex").slice(0, 8)}`);
  const packages: NoetlPackages = { version, python: path.join(folder, "bin", "python") };
  if (fs.existsSync(packages.python)) return packages;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, { name: `NoETL ${version}` }, log);
  try {
    if (fs.existsSync(packages.python)) return packages;
    // What an installation left that was cut off, or whose interpreter is gone.
    fs.rmSync(folder, { recursive: true, force: true });
    await install({ version, folder, log });
    return packages;
  } catch (error) {
    if (error instanceof NoetlUnavailable) throw error;
    throw new NoetlUnavailable(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    release();
  }
}

interface Installation {
  readonly version: string;
  readonly folder: string;
  readonly log: (line: string) => void;
}

async function install({ version, folder, log }: Installation): Promise<void> {
  const uv = await ensureUv(log);
  const python = await findPython(uv, log);
  const started = Date.now();
  const elapsed = () => Math.round((Date.now() - started) / 1000);
  log(
    `NoETL ${version}: installing with its Python packages, once: about ${onThisMachine(SECONDS)} and the download (1.1 GB on the disk) ...`,
  );
  const ticker = setInterval(() => log(`NoETL ${version}: still installing after ${elapsed()} s`), TICK_MS);
  const unfinished = `${folder}.${process.pid}.installing`;
  try {
    await step(
      "making a Python environment for NoETL",
      [uv, "venv", "--quiet", "--python", python, unfinished],
      options(),
    );
    const target = ["--python", path.join(unfinished, "bin", "python")];
    const exact = ["--require-hashes", "--only-binary", ":all:", "--requirements", lockOf(version)];
    await step(`installing NoETL ${version}`, [uv, "pip", "install", "--quiet", ...target, ...exact], options());
    fs.renameSync(unfinished, folder);
  } finally {
    clearInterval(ticker);
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
  // Only an installation that was cut off needs the downloads again.
  fs.rmSync(downloads(), { recursive: true, force: true });
  log(`NoETL ${version}: installed in ${elapsed()} s`);
}

/** Where uv keeps downloads until they are installed. On the disk of the installation, so that nothing is copied. */
const downloads = (): string => path.join(cacheDir(), "toolchain", "uv-downloads");

/** uv in the version that embedded/toolchain/python/uv.txt pins. */
async function ensureUv(log: (line: string) => void): Promise<string> {
  const version = /^uv==(\S+)/m.exec(fs.readFileSync(UV, "utf8"))?.[1] ?? "";
  const folder = path.join(cacheDir(), "toolchain", `uv-${version}`);
  const target = path.join(folder, "uv");
  if (fs.existsSync(target)) return target;
  const { python } = await ensureDatabaseTools(log);
  const release = await lock(`${folder}.lock`, { name: "uv" }, log);
  const unfinished = `${folder}.${process.pid}.installing`;
  try {
    if (fs.existsSync(target)) return target;
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    await step(`installing uv ${version}`, [python, ...pip, "--only-binary=:all:", "--target", unfinished, "-r", UV]);
    fs.mkdirSync(folder, { recursive: true });
    fs.renameSync(path.join(unfinished, "bin", "uv"), target);
    return target;
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
    release();
  }
}

/**
 * A Python that NoETL runs on: from PATH, else from pyenv's versions, selected or not, else one that uv brings along.
 *
 * @throws NoetlUnavailable where neither is to be had.
 */
export async function findPython(uv: string, log: (line: string) => void): Promise<string> {
  const names = [...MINORS.map((minor) => `python3.${minor}`), "python3"];
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  const pyenv = path.join(process.env.PYENV_ROOT || path.join(os.homedir(), ".pyenv"), "versions");
  const versions = fs.existsSync(pyenv) ? fs.readdirSync(pyenv) : [];
  const found =
    (await firstThatFits(folders.flatMap((folder) => names.map((name) => path.join(folder, name))))) ??
    (await firstThatFits(versions.map((version) => path.join(pyenv, version, "bin", "python3"))));
  if (found) return found;
  log(`NoETL needs Python ${range()}, which is neither on PATH nor among pyenv's versions: uv downloads one ...`);
  try {
    await step("downloading Python", [uv, "python", "install", "--quiet", `3.${MINORS[0]}`], options());
    const { stdout } = await run(uv, ["python", "find", "--managed-python", `3.${MINORS[0]}`], options());
    return stdout.trim();
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n").at(-1)?.trim() : String(error);
    throw new NoetlUnavailable(
      `NoETL needs Python ${range()}: there is none on PATH or among pyenv's versions, and uv cannot download one (${why})`,
      { cause: error },
    );
  }
}

const range = (): string => `3.${MINORS[0]} to 3.${MINORS[MINORS.length - 1]}`;

/** The interpreter whose version stands first in {@link MINORS}; pyenv's shims of versions that are not selected fail. */
async function firstThatFits(candidates: readonly string[]): Promise<string | undefined> {
  const asked = await Promise.all(
    candidates
      .filter((file) => fs.existsSync(file))
      .map(async (file) => ({ file, minor: await minorOf(file).catch(() => undefined) })),
  );
  for (const wanted of MINORS) {
    const fits = asked.find(({ minor }) => minor === wanted);
    if (fits) return fits.file;
  }
  return undefined;
}

async function minorOf(python: string): Promise<number> {
  const script = "import sys; print(sys.version_info.minor if sys.version_info.major == 3 else -1)";
  const { stdout } = await run(python, ["-I", "-c", script], { timeout: 20_000 });
  return Number(stdout);
}

/** For uv: folders of ours alone, and a mirror that does not answer is given up soon. */
const options = () => ({
  timeout: INSTALL_TIMEOUT_MS,
  env: {
    UV_HTTP_TIMEOUT: "60",
    UV_HTTP_RETRIES: "2",
    ...process.env,
    UV_CACHE_DIR: downloads(),
    UV_PYTHON_INSTALL_DIR: path.join(cacheDir(), "toolchain", "uv-python"),
    UV_NO_PROGRESS: "1",
  },
});
