import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { ensureDebianProgram } from "./debian";

const STEP_TIMEOUT_MS = 120_000;

/** A PgBouncer that can be run. */
export interface PgBouncer {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly version: readonly [major: number, minor: number];
}

/** PgBouncer from PATH, else that of Debian's package.  @throws Error with one sentence where neither can be had. */
export function ensurePgBouncer(): PgBouncer {
  const found = ensureDebianProgram({
    program: "pgbouncer",
    package: "pgbouncer",
    needs: "The test of pgbouncer.ini needs PgBouncer on PATH (Debian: apt-get install pgbouncer)",
    folders: ["/usr/sbin"],
    // The libraries that only a service of this kind needs; the others every machine has.
    further: (run, own) => run("dpkg-deb", "--field", own, "Depends").match(/\blib(c-?ares|event)[^ ,]*/g) ?? [],
  });
  if ("installed" in found) return described(found.installed, {});
  const lib = path.join(found.unpacked, "usr", "lib");
  const libraries = fs.readdirSync(lib).filter((name) => name.endsWith("-linux-gnu"));
  return described(path.join(found.unpacked, "usr", "sbin", "pgbouncer"), {
    LD_LIBRARY_PATH: libraries.map((name) => path.join(lib, name)).join(path.delimiter),
  });
}

function described(command: string, env: Record<string, string>): PgBouncer {
  const said = execFileSync(command, ["--version"], {
    env: { ...process.env, ...env },
    timeout: STEP_TIMEOUT_MS,
  }).toString();
  const [, major = "0", minor = "0"] = /PgBouncer (\d+)\.(\d+)/.exec(said) ?? [];
  return { command, env, version: [Number(major), Number(minor)] };
}
