/**
 * `npm run test:newest`: types, unit and component tests on each Node that the newest SDKs of Pulumi support, with the newest
 * of them that package.json allows: what a library's user gets who installs the package today, where the lock file has older ones.
 *
 * Everything happens in a copy of the checkout's files in a temporary folder, which is removed at the end. Node comes from npm's
 * package `node`. Exit code: 0 all pass, 1 something fails.
 */
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { projectRoot } from "../contract/project";

/** Major versions of Node; Pulumi's newest SDK does without Node 20. */
export const NODES = ["22", "24"] as const;

/** What is brought up to date. */
export const SDKS = ["pulumi", "kubernetes", "gcp", "random", "policy"].map((name) => `@pulumi/${name}`);

/** Once, on the oldest of them. */
const PREPARATION: readonly Command[] = [
  ["npm", "ci", "--ignore-scripts"],
  ["npm", "update", "--no-save", "--ignore-scripts", ...SDKS],
  ["npm", "run", "build"],
  ["npm", "run", "typecheck"],
];

/** On each. */
const TESTS: Command = [
  "npx",
  "vitest",
  "run",
  ...["unit", "components", "secrets"].flatMap((kind) => ["--project", kind]),
];

type Command = readonly [program: string, ...args: string[]];

const STEP_TIMEOUT_MS = 15 * 60_000;

function main(): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-newest-"));
  try {
    process.exitCode = passes(copyCheckout(path.join(folder, "project")), folder) ? 0 : 1;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether every step passes in the copy; a test that fails on one Node leaves those on the next to run. */
function passes(copy: string, folder: string): boolean {
  const runner = (version: string) => {
    const env = installNode(path.join(folder, version), version);
    const run = ([program, ...args]: Command) =>
      spawnSync(program, args, { cwd: copy, env, timeout: STEP_TIMEOUT_MS, stdio: "inherit" }).status === 0;
    return { version, run };
  };
  const [oldest, ...later] = NODES.map(runner);
  if (!oldest || !PREPARATION.every(oldest.run)) return false;
  const failed = [oldest, ...later].filter(({ version, run }) => {
    process.stdout.write(`Node ${version}, ${versions(copy)}\n`);
    return !run(TESTS);
  });
  for (const { version } of failed) process.stderr.write(`the tests failed on Node ${version}\n`);
  return failed.length === 0;
}

/** The files that git knows or would take up, in another folder. */
function copyCheckout(target: string): string {
  const root = projectRoot();
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of listed.split("\0").filter((each) => each !== "" && fs.existsSync(path.join(root, each)))) {
    fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
    fs.copyFileSync(path.join(root, file), path.join(target, file));
  }
  // Some tests ask git which files there are.
  for (const args of [
    ["init", "--quiet"],
    ["add", "--all"],
  ])
    execFileSync("git", args, { cwd: target });
  return target;
}

/** @returns the environment in which `node` is that version. */
function installNode(folder: string, version: string): NodeJS.ProcessEnv {
  fs.mkdirSync(folder, { recursive: true });
  execFileSync("npm", ["install", "--no-save", "--prefix", folder, `node@${version}`], {
    timeout: STEP_TIMEOUT_MS,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { ...process.env, PATH: `${path.join(folder, "node_modules", ".bin")}${path.delimiter}${process.env.PATH}` };
}

function versions(copy: string): string {
  return SDKS.map((name) => {
    const manifest = fs.readFileSync(path.join(copy, "node_modules", name, "package.json"), "utf8");
    return `${name} ${(JSON.parse(manifest) as { version: string }).version}`;
  }).join(", ");
}

if (require.main === module) main();
