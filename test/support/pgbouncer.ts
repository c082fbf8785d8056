import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheDir } from "../../commands/shared/binaries";

const STEP_TIMEOUT_MS = 120_000;

/** A PgBouncer that can be run. */
export interface PgBouncer {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly version: readonly [major: number, minor: number];
}

/**
 * PgBouncer from PATH, else Debian's package unpacked into a folder of its own: installed, it would start a service.
 *
 * @throws Error with one sentence where neither can be had.
 */
export function ensurePgBouncer(): PgBouncer {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter).filter(Boolean), "/usr/sbin"];
  const installed = folders.map((folder) => path.join(folder, "pgbouncer")).find((file) => fs.existsSync(file));
  if (installed) return described(installed, {});
  const folder = path.join(cacheDir(), "pgbouncer");
  if (!fs.existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}.unpacking`;
    try {
      unpack(unfinished);
      if (!fs.existsSync(folder)) fs.renameSync(unfinished, folder);
    } catch (error) {
      const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
      throw new Error(
        `The test of pgbouncer.ini needs PgBouncer on PATH (Debian: apt-get install pgbouncer); its package cannot be had:\n${said.split("\n").slice(-3).join("\n")}`,
        { cause: error },
      );
    } finally {
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
  }
  const libraries = fs.readdirSync(path.join(folder, "usr", "lib")).filter((name) => name.endsWith("-linux-gnu"));
  return described(path.join(folder, "usr", "sbin", "pgbouncer"), {
    LD_LIBRARY_PATH: libraries.map((name) => path.join(folder, "usr", "lib", name)).join(path.delimiter),
  });
}

function unpack(folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, {
      cwd: folder,
      timeout: STEP_TIMEOUT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    }).toString();
  if (process.getuid?.() === 0) run("apt-get", "update", "-qq");
  run("apt-get", "download", "-qq", "pgbouncer");
  const [own = ""] = fs.readdirSync(folder);
  // The libraries that only a service of this kind needs; the others every machine has.
  const libraries = run("dpkg-deb", "--field", own, "Depends").match(/\blib(c-?ares|event)[^ ,]*/g) ?? [];
  run("apt-get", "download", "-qq", ...libraries);
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".deb")))
    run("dpkg-deb", "--extract", file, ".");
}

function described(command: string, env: Record<string, string>): PgBouncer {
  const said = execFileSync(command, ["--version"], {
    env: { ...process.env, ...env },
    timeout: STEP_TIMEOUT_MS,
  }).toString();
  const [, major = "0", minor = "0"] = /PgBouncer (\d+)\.(\d+)/.exec(said) ?? [];
  return { command, env, version: [Number(major), Number(minor)] };
}
