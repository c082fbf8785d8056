import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EXIT } from "../../../commands/shared/exit";
import { projectRoot } from "../../../contract/project";
import { until } from "../../support/nats";
import { gitOnly, scratchRepository, temporaryFolder } from "./support";

const MAIN = path.join(projectRoot(), "dist", "commands", "diff", "main.js");
const ARGS = ["--stack", "kind", "--base", "main", "--format", "json"];

let folder: string;
let repository: string;
let bin: string;
let temporary: string;
beforeAll(() => {
  folder = temporaryFolder();
  repository = scratchRepository(path.join(folder, "repository"));
  bin = gitOnly(folder);
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  temporary = fs.mkdtempSync(path.join(folder, "temporary-"));
});

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Puts a program on PATH that starts another one; both write down their numbers and do not end, whatever they are told. */
function hanging(name: string): string {
  const pids = path.join(folder, `${name}-${path.basename(temporary)}`);
  const hang = `
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
    require("node:fs").appendFileSync(${JSON.stringify(pids)}, process.pid + "\\n");
    setInterval(() => {}, 1000);`;
  const script = `#!${process.execPath}
    require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(hang)}], { stdio: "ignore" });${hang}`;
  fs.writeFileSync(path.join(bin, name), script, { mode: 0o755 });
  return pids;
}

const numbersIn = (file: string): number[] =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n").map(Number) : [];

const environment = (): NodeJS.ProcessEnv => ({
  PATH: bin,
  HOME: folder,
  TMPDIR: temporary,
  NOETL_NATS_CACHE: path.join(temporary, "cache"),
});

/** Starts the comparison, and interrupts it when the program that it waits for has begun, and what that starts. */
async function ended(program: string, signal: NodeJS.Signals) {
  const pids = hanging(program);
  const child = spawn(process.execPath, [MAIN, ...ARGS], { cwd: repository, env: environment() });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (said.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (said.stderr += String(chunk)));
  const close = new Promise<number | null>((resolve) => child.once("close", resolve));
  try {
    await until("the programs that it waits for", () => numbersIn(pids).length > 1 || undefined, 180_000);
    child.kill(signal);
    const code = await close;
    await until("the end of its programs", () => !numbersIn(pids).some(isRunning) || undefined, 20_000);
    return { code, ...said };
  } finally {
    child.kill("SIGKILL");
    for (const pid of numbersIn(pids).filter(isRunning)) process.kill(pid, "SIGKILL");
  }
}

describe("an interrupted comparison leaves no file and no program", () => {
  it("while charts are rendered", async () => {
    expect(await ended("helm", "SIGTERM")).toEqual({ code: EXIT.interrupted.code, stdout: "", stderr: "" });
    expect(fs.readdirSync(temporary)).toEqual(["cache"]);
    // What the next run goes on with, all of it whole.
    expect(fs.readdirSync(path.join(temporary, "cache"))).toEqual(["compiled"]);
    const kept = fs.readdirSync(path.join(temporary, "cache", "compiled"));
    expect(kept.filter((name) => !/^[0-9a-f]{64}\.js$/.test(name))).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "while the base's packages are installed, by %s",
    async (signal) => {
      hanging("helm");
      const lock = path.join(repository, "package-lock.json");
      const before = fs.readFileSync(lock);
      fs.appendFileSync(lock, "\n");
      try {
        const { code, stdout } = await ended("npm", signal);
        expect({ code, stdout }).toEqual({ code: EXIT.interrupted.code, stdout: "" });
        expect(fs.readdirSync(temporary)).toEqual(["cache"]);
        expect(fs.readdirSync(path.join(temporary, "cache", "diff"))).toEqual([]);
      } finally {
        fs.writeFileSync(lock, before);
      }
    },
  );
});

describe("what it writes to", () => {
  const call = (args: readonly string[], stdout: "pipe" | number = "pipe", env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [MAIN, ...args], {
      cwd: repository,
      encoding: "utf8",
      env: { ...environment(), ...env },
      stdio: ["ignore", stdout, "pipe"],
    });

  it("is full: no answer, and no trace", () => {
    const full = fs.openSync("/dev/full", "w");
    const { status, stderr } = call(["--help"], full);
    fs.closeSync(full);
    expect(status).toBe(EXIT.unknown.code);
    expect(stderr).toMatch(/^The output cannot be written: .*ENOSPC.*\n$/);
  });

  it("is a full file: said with the option, no trace", () => {
    const { status, stderr, stdout } = call([...ARGS, "--base", "nowhere", "--output", "/dev/full"]);
    expect({ status, stdout }).toEqual({ status: EXIT.unknown.code, stdout: "" });
    expect(stderr).toMatch(/^--output \/dev\/full: cannot be written \(.*ENOSPC.*\)\n$/);
  });

  it("has nobody who reads it: no trace", async () => {
    const child = spawn(process.execPath, [MAIN, "--help"], { cwd: repository, env: environment() });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += String(chunk)));
    await new Promise((resolve) => child.once("close", resolve));
    expect(stderr).toBe("");
  });

  it("cannot be made: said before anything is compared", () => {
    const file = path.join(folder, "a file");
    fs.writeFileSync(file, "");
    fs.mkdirSync(path.join(temporary, "out", "diff.md"), { recursive: true });
    for (const [output, format] of [
      [path.join(file, "below"), "json"],
      [file, "json,markdown"],
      [path.join(temporary, "out"), "json,markdown"],
    ] as const) {
      const { status, stderr, stdout } = call(["--stack", "kind", "--format", format, "--output", output]);
      expect({ status, stdout }).toEqual({ status: EXIT.usage.code, stdout: "" });
      expect(stderr).toMatch(/^--output .*: cannot be written \(.*\)\n$/);
    }
  });

  it("counts from where npm was called, which starts the command in the project's folder", () => {
    call([...ARGS, "--base", "nowhere", "--output", "below.json"], "pipe", { INIT_CWD: folder });
    expect(fs.existsSync(path.join(repository, "below.json"))).toBe(false);
    expect(JSON.parse(fs.readFileSync(path.join(folder, "below.json"), "utf8"))).toMatchObject({ status: "failed" });
  });

  it("has no room for temporary files: a report that names TMPDIR", () => {
    const { status, stdout } = call(ARGS, "pipe", { TMPDIR: path.join(folder, "nowhere") });
    expect(status).toBe(EXIT.usage.code);
    expect(stdout).toMatch(/"no folder can be made in .*nowhere: .*; name another one in TMPDIR\."/);
  });
});

it("names every program that is missing, and where to get it", () => {
  fs.rmSync(path.join(bin, "helm"), { force: true });
  const { status, stdout } = spawnSync(process.execPath, [MAIN, ...ARGS, "--live"], {
    cwd: repository,
    encoding: "utf8",
    env: environment(),
  });
  expect(status).toBe(EXIT.usage.code);
  for (const name of ["helm", "pulumi"]) expect(stdout).toMatch(RegExp(`${name} is not on PATH: install it \\(https:`));
});
