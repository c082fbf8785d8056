import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import { lock } from "./lock";
import { cacheDir } from "../../commands/shared/binaries";
import { ensureDatabaseTools } from "./database";
import { step } from "./step";

const PINS = path.join(projectRoot(), "embedded", "toolchain", "python");
const WHEELS = path.join(PINS, "wheels.txt");
/** Pins of a whole NoETL, of which the client needs a few packages. */
const PACKAGES = path.join(PINS, "noetl-2.8.9.txt");
const NEEDED = ["annotated-types", "nats-py", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection"];
/** What NoETL's wheels ask for; the modules below run on older ones, too. */
const WHEEL_PYTHON = "3.12";

/** Unpacks what speaks to NATS, and nothing that would load the rest of NoETL: the wheel's path, the target folder. */
const UNPACK = `
import pathlib, sys, zipfile
wheel, target = sys.argv[1:]
modules = ["core/messaging/nats_client.py", "core/config.py", "core/sanitize.py", "core/runtime/pool_routing.py"]
with zipfile.ZipFile(wheel) as archive:
    present = set(archive.namelist())
    archive.extractall(target, [name for name in ("noetl/" + module for module in modules) if name in present])
`;

/** The modules of a NoETL that speak to NATS, and a Python that runs them. */
export interface NoetlClient {
  readonly python: string;
  /** For PYTHONPATH: NoETL's modules, and the packages that they import. */
  readonly modules: string;
}

/** Releases that are pinned, oldest first. */
export const clientReleases = (): string[] =>
  [...fs.readFileSync(WHEELS, "utf8").matchAll(/^noetl==(\S+)/gm)].map(([, version = ""]) => version);

/**
 * NoETL's own client of NATS, from its wheel in the Python registry, as embedded/toolchain/python pins it.
 *
 * Like `ensureTools`: an interrupted installation leaves nothing half-done behind, and two runs do not install at the same
 * time.
 *
 * @throws Error where the release is not pinned, Python is missing, or with pip's last lines.
 */
export async function ensureNoetlClient(
  version: string,
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<NoetlClient> {
  const pin = new RegExp(`^noetl==${version.replaceAll(".", "\\.")} .*$`, "m").exec(
    fs.readFileSync(WHEELS, "utf8"),
  )?.[0];
  if (pin === undefined) throw new Error(`NoETL ${version} is not among the wheels that are pinned here`);
  const { python } = await ensureDatabaseTools(log);
  const packages = pinsOf(fs.readFileSync(PACKAGES, "utf8"));
  const hash = crypto.createHash("sha256").update([pin, packages, UNPACK, python].join("\0"));
  const folder = path.join(cacheDir(), "toolchain", `noetl-client-${version}-${hash.digest("hex").slice(0, 8)}`);
  const client: NoetlClient = { python, modules: folder };
  if (fs.existsSync(folder)) return client;
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, { name: `NoETL's client ${version}` }, log);
  try {
    if (fs.existsSync(folder)) return client;
    log(`NoETL's client ${version}: installing, once ...`);
    const unfinished = `${folder}.${process.pid}.installing`;
    try {
      await install({ python, folder: unfinished, pin, packages });
      fs.renameSync(unfinished, folder);
    } finally {
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
    return client;
  } finally {
    release();
  }
}

/** The pins of the packages that are needed, each with its hashes on the lines below it. */
function pinsOf(requirements: string): string {
  const blocks = requirements.split(/^(?=[\w.-]+==)/m);
  return NEEDED.map((name) => {
    const block = blocks.find((each) => each.startsWith(`${name}==`));
    if (block === undefined) throw new Error(`${PACKAGES} pins no ${name}`);
    return block.trimEnd();
  }).join("\n");
}

interface Installation {
  readonly python: string;
  readonly folder: string;
  readonly pin: string;
  readonly packages: string;
}

async function install({ python, folder, pin, packages }: Installation): Promise<void> {
  const downloads = path.join(folder, "downloads");
  fs.mkdirSync(downloads, { recursive: true });
  const file = (name: string, text: string): string => {
    const target = path.join(downloads, name);
    fs.writeFileSync(target, `${text}\n`);
    return target;
  };
  const pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"];
  const exact = ["--no-deps", "--require-hashes", "--only-binary=:all:"];
  await Promise.all([
    step("downloading NoETL", [
      python,
      ...[...pip, "download", ...exact, "--python-version", WHEEL_PYTHON, "--dest", downloads],
      ...["-r", file("wheel.txt", pin)],
    ]),
    step("installing nats-py", [
      python,
      ...[...pip, "install", ...exact, "--target", folder],
      ...["-r", file("packages.txt", packages)],
    ]),
  ]);
  const wheel = fs.readdirSync(downloads).find((name) => name.endsWith(".whl")) ?? "";
  await step("unpacking NoETL", [python, "-c", UNPACK, path.join(downloads, wheel), folder]);
  fs.rmSync(downloads, { recursive: true });
}
