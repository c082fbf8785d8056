import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { builtGateway, ensureGateway, GatewayUnavailable } from "../../../embedded/toolchain/gateway";

let dir: string;
let log: string[];

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-gateway-"));
  log = [];
  fs.mkdirSync(path.join(dir, "bin"));
  vi.stubEnv("PATH", path.join(dir, "bin"));
  vi.stubEnv("NOETL_NATS_CACHE", path.join(dir, "cache"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** A cargo that answers for its version, and does `script` with the arguments of everything else. */
function cargo(script: string): void {
  const text = `#!/bin/sh\nPATH=/usr/bin:/bin\n[ "$1" = --version ] && exit 0\n${script}\n`;
  fs.writeFileSync(path.join(dir, "bin", "cargo"), text, { mode: 0o755 });
}

const ensure = () => ensureGateway((line) => log.push(line));
const left = () => fs.readdirSync(path.join(dir, "cache", "toolchain"));

it("the gateway is built once, at its pinned version and with its own lock, and nothing else is left", async () => {
  cargo(`echo "$@" >> ${dir}/asked
while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin" "$CARGO_TARGET_DIR"; echo program > "$2/bin/noetl-gateway"`);
  expect(builtGateway()).toBeUndefined();
  const program = await ensure();
  expect(fs.readFileSync(program, "utf8")).toBe("program\n");
  expect(await ensure()).toBe(program);
  expect(builtGateway()).toBe(program);
  const asked = fs.readFileSync(path.join(dir, "asked"), "utf8").trim().split("\n");
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatch(/^install noetl-gateway --version =\d+\.\d+\.\d+ --locked --debug --root /);
  expect(log).toEqual([expect.stringContaining("building with cargo, once"), expect.stringContaining("built in")]);
  expect(left()).toEqual([path.basename(path.dirname(program))]);
});

it("a build that fails says why, and what it has compiled is there for the next one", async () => {
  cargo(`mkdir -p "$CARGO_TARGET_DIR"; echo "   Compiling a v1"; echo "error: no space left" >&2; exit 101`);
  const failed = ensure();
  await expect(failed).rejects.toThrow(GatewayUnavailable);
  await expect(failed).rejects.toThrow(/exit code 101.*error: no space left/s);
  expect(builtGateway()).toBeUndefined();
  expect(left()).toEqual([expect.stringMatching(/\.compiled$/)]);
});

it("what a build left that was killed goes with the next one; what lives, or only begins with the name, stays", async () => {
  cargo(`while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin"; echo program > "$2/bin/noetl-gateway"`);
  const name = path.basename(path.dirname(await ensure()));
  const folder = path.join(dir, "cache", "toolchain");
  const ended = execFileSync("/bin/sh", ["-c", "echo $$"], { encoding: "utf8" }).trim();
  const others = [`${name}.10.${ended}.building`, `${name}.${process.ppid}.building`].sort();
  for (const each of [...others, `${name}.${ended}.building`]) fs.mkdirSync(path.join(folder, each));
  fs.rmSync(path.join(folder, name), { recursive: true });
  await ensure();
  expect(left().sort()).toEqual([name, ...others]);
});

it("without cargo one sentence says what is missing", async () => {
  const failed = ensure();
  await expect(failed).rejects.toThrow(GatewayUnavailable);
  await expect(failed).rejects.toThrow(/^NoETL's gateway must be built, which needs cargo on PATH/);
});
