import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../../contract/project";
import type { ChangeReport, FailureReport, Report } from "../../../commands/diff/report";
import { cacheDir } from "../../../commands/shared/binaries";
import { git, gitOnly, temporaryFolder } from "./support";

interface Package {
  readonly version: string;
  readonly name?: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}
type Packages = Record<string, Package>;

const ALL = (
  JSON.parse(fs.readFileSync(path.join(projectRoot(), "package-lock.json"), "utf8")) as { packages: Packages }
).packages;

/** Where a lock file has the package that `from` gets under a name. */
function resolved(from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const key = `${at ? `${at}/` : ""}node_modules/${name}`;
    if (key in ALL) return key;
    if (at === "") return undefined;
  }
}

/** A package of this project's lock file with all that it needs, so that no other is downloaded than the project's own. */
function closure(name: string): Packages {
  const found: Packages = {};
  const todo = [resolved("", name)];
  for (let key = todo.pop(); key !== undefined || todo.length > 0; key = todo.pop()) {
    const each = key === undefined ? undefined : ALL[key];
    if (key === undefined || !each || key in found) continue;
    found[key] = each;
    const needs = { ...each.dependencies, ...each.optionalDependencies, ...each.peerDependencies };
    for (const need of Object.keys(needs)) todo.push(resolved(key, need));
  }
  return found;
}

const SDK = closure("@pulumi/pulumi");
/** A package under a name that no installation of this project has. */
const ONLY_BASE = "only-the-base-has-it";
const TINY = "semver";

let folder: string;
let repository: string;
let env: NodeJS.ProcessEnv;

/** The project's files, as a commit. */
function commit(message: string, program: string, dependencies: Record<string, string>, packages: Packages): void {
  const own = { name: "tiny", version: "1.0.0", private: true, dependencies };
  const lock = { ...own, lockfileVersion: 3, requires: true, packages: { "": own, ...packages } };
  for (const [name, text] of Object.entries({
    "Pulumi.yaml": "name: tiny\nruntime: nodejs\nmain: index.ts\n",
    "Pulumi.test.yaml": "config: {}\n",
    "package.json": JSON.stringify(own),
    "package-lock.json": JSON.stringify(lock),
    ".npmrc": "omit-lockfile-registry-resolved=true\n",
    ".gitignore": "node_modules\n",
    "index.ts": program,
  })) {
    fs.writeFileSync(path.join(repository, name), text);
  }
  git(repository, "add", "-A");
  git(repository, "commit", "-qm", message);
}

const PROGRAM = (version: string): string =>
  `import "@pulumi/pulumi";\nexport = () => Promise.resolve({ version: ${version} });\n`;

beforeAll(() => {
  folder = temporaryFolder();
  repository = path.join(folder, "repository");
  fs.mkdirSync(repository);
  git(repository, "init", "-q", "-b", "main");
  // A cache of its own, so that the packages are really installed; the tools are the machine's.
  const cache = path.join(folder, "cache");
  fs.mkdirSync(cache);
  for (const name of ["toolchain", "bin"]) fs.symlinkSync(path.join(cacheDir(), name), path.join(cache, name));
  env = { ...process.env, NOETL_NATS_CACHE: cache };
  const sdk = { "@pulumi/pulumi": SDK["node_modules/@pulumi/pulumi"]?.version ?? "" };
  const tiny = ALL[`node_modules/${TINY}`] as Package;
  const withTiny = { ...sdk, [ONLY_BASE]: `npm:${TINY}@${tiny.version}` };
  const lockWithTiny = { ...SDK, [`node_modules/${ONLY_BASE}`]: { ...tiny, name: TINY } };
  commit("has a package", PROGRAM(`require("${ONLY_BASE}/package.json").name`), withTiny, lockWithTiny);
  git(repository, "branch", "good");
  commit("a lock file that lacks it", PROGRAM('"never run"'), withTiny, SDK);
  git(repository, "branch", "bad");
  commit("does without", PROGRAM('"none"'), sdk, SDK);
  fs.symlinkSync(path.join(projectRoot(), "node_modules"), path.join(repository, "node_modules"));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function diff(base: string, more: NodeJS.ProcessEnv = {}) {
  const main = path.join(projectRoot(), "dist", "commands", "diff", "main.js");
  const args = [main, "--stack", "test", "--base", base, "--format", "json"];
  const options = { cwd: repository, encoding: "utf8", timeout: 150_000, env: { ...env, ...more } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  return { code: status, stderr, report: JSON.parse(stdout) as Report };
}

const installed = () => fs.readdirSync(path.join(folder, "cache", "diff"));

describe("a base with another lock file", () => {
  it("runs with the packages of its own, which are installed once", () => {
    const first = diff("good");
    expect(first).toMatchObject({ code: 0, report: { status: "ok" } });
    expect(first.stderr).toContain("The base revision has another lock file: installing its packages, once ...");
    expect((first.report as ChangeReport).outputs).toEqual([{ path: "version", op: "change", old: TINY, new: "none" }]);
    expect(installed()).toHaveLength(1);
    // Another time nothing is asked of npm.
    const second = diff("good", { PATH: gitOnly(folder) });
    expect(second).toMatchObject({ code: 0, stderr: "", report: first.report });
  });

  it("whose packages npm refuses is a failure that says what npm said and what to do, and leaves nothing behind", () => {
    const before = installed();
    const { code, report } = diff("bad");
    expect(code).toBe(3);
    const [failure] = (report as FailureReport).failures;
    expect(failure?.side).toBe("base");
    expect(failure?.message).toMatch(
      /^the packages of the base revision cannot be installed from its lock file \(npm ci\):\n {2}code EUSAGE\n.*in sync.*\n {2}Missing: only-the-base-has-it@.* from lock file\nWithout them its program cannot be run\./,
    );
    expect(failure?.message).toContain("for example --base HEAD~1.");
    expect(failure?.message.split("\n").length).toBeLessThan(8);
    expect(installed()).toEqual(before);
  });

  it("cannot be compared where npm is missing", () => {
    const { code, report } = diff("bad", { PATH: gitOnly(folder) });
    expect(code).toBe(3);
    expect((report as FailureReport).failures[0]?.message).toContain("npm is not on PATH");
  });

  it("removes installations that no comparison has used for two weeks", () => {
    const old = path.join(folder, "cache", "diff", "0".repeat(20));
    fs.mkdirSync(old);
    const past = new Date(Date.now() - 15 * 24 * 3600_000);
    fs.utimesSync(old, past, past);
    const before = installed();
    diff("bad", { PATH: gitOnly(folder) });
    expect(installed()).toEqual(before.filter((name) => name !== path.basename(old)));
  });
});
