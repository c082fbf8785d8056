import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { cacheDir } from "../../commands/shared/binaries";
import { endsWithUs } from "../../commands/shared/leftovers";
import { lock } from "./lock";
import { onThisMachine } from "./speed";

/** The last release of the gateway that its registry of Rust packages has and that speaks NATS. Later ones are images alone. */
export const GATEWAY_RELEASE = "2.9.1";

const CRATE = "noetl-gateway";
const PROGRAM = "noetl-gateway";

/** How it is built, without where to: the crate's own lock decides about its 390 packages, and cargo compares their hashes. */
const ARGS = ["install", CRATE, "--version", `=${GATEWAY_RELEASE}`, "--locked", "--debug"];

/** Without optimisation and debug information it takes less than half of the processor time to build, and does the same. */
const PROFILE = { CARGO_PROFILE_DEV_DEBUG: "0" };

/** Cold build on two cores, downloads included, in seconds: what the screen shows as the estimate. */
const BUILD_SECONDS = 200;
const PACKAGES = 390;
const TICK_MS = 60_000;

/** The gateway cannot be had on this machine, for the reason that the message gives in one sentence. */
export class GatewayUnavailable extends Error {}

/** The program where it has been built before. */
export function builtGateway(): string | undefined {
  const target = path.join(folderOf(), PROGRAM);
  return fs.existsSync(target) ? target : undefined;
}

const folderOf = (): string => path.join(cacheDir(), "toolchain", `${PROGRAM}-${GATEWAY_RELEASE}`);

/**
 * NoETL's gateway itself, from the cache, else built by cargo from its registry. What an interrupted build has compiled the next
 * one goes on with, and two runs do not build at the same time.
 *
 * @throws GatewayUnavailable where cargo is missing, or with its last lines.
 */
export async function ensureGateway(
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<string> {
  const folder = folderOf();
  const target = path.join(folder, PROGRAM);
  if (builtGateway() !== undefined) return target;
  await requireCargo();
  fs.mkdirSync(path.dirname(folder), { recursive: true });
  const release = await lock(`${folder}.lock`, { name: "the gateway" }, log);
  try {
    if (builtGateway() !== undefined) return target;
    await build(folder, log);
    return target;
  } finally {
    release();
  }
}

async function requireCargo(): Promise<void> {
  try {
    await promisify(execFile)("cargo", ["--version"], { timeout: 20_000 });
  } catch {
    throw new GatewayUnavailable(
      "NoETL's gateway must be built, which needs cargo on PATH: install Rust (or its Debian package cargo) and run the command again",
    );
  }
}

async function build(folder: string, log: (line: string) => void): Promise<void> {
  const unfinished = `${folder}.${process.pid}.building`;
  const compiled = `${folder}.compiled`;
  const started = Date.now();
  const elapsed = () => Math.round((Date.now() - started) / 1000);
  let packages = 0;
  log(
    `NoETL's gateway ${GATEWAY_RELEASE}: building with cargo, once: about ${onThisMachine(BUILD_SECONDS)} on two cores ...`,
  );
  const ticker = setInterval(
    () => log(`NoETL's gateway: still building after ${elapsed()} s, ${packages} of about ${PACKAGES} packages`),
    TICK_MS,
  );
  try {
    await cargo([...ARGS, "--root", unfinished], compiled, () => packages++);
    fs.mkdirSync(folder, { recursive: true });
    fs.renameSync(path.join(unfinished, "bin", PROGRAM), path.join(folder, PROGRAM));
  } finally {
    clearInterval(ticker);
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
  // Only a build that was cut off needs it again; it is a gigabyte.
  fs.rmSync(compiled, { recursive: true, force: true });
  log(`NoETL's gateway ${GATEWAY_RELEASE}: built in ${elapsed()} s`);
}

/** @param onPackage called for each package that is begun */
function cargo(args: readonly string[], compiled: string, onPackage: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...PROFILE, CARGO_TARGET_DIR: compiled, CARGO_TERM_COLOR: "never" };
    const child = endsWithUs(spawn("cargo", args, { env, stdio: ["ignore", "ignore", "pipe"], detached: true }));
    let tail = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      for (const _ of chunk.matchAll(/^ *Compiling /gm)) onPackage();
      tail = (tail + chunk).slice(-4000);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) return resolve();
      const lines = tail.trimEnd().split("\n").slice(-15).join("\n");
      const how = signal ?? `exit code ${code}`;
      reject(new GatewayUnavailable(`building NoETL's gateway ${GATEWAY_RELEASE} failed (${how}):\n${lines}`));
    });
  });
}
