import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../../commands/shared/exit";
import { projectRoot } from "../../contract/project";
import { clusterFiles } from "../../embedded/cluster/places";
import { recordProcess } from "../../embedded/cluster/processes";
import { until } from "../support/nats";

// The commands as users run them, in a copy of the project: they keep everything in the folder of the project.

let folder: string;
let project: string;
let bin: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "up-interrupted-"));
  project = path.join(folder, "größe #1 & 50%20");
  bin = path.join(folder, "bin");
  for (const each of [project, bin]) fs.mkdirSync(each);
  const root = projectRoot();
  fs.cpSync(path.join(root, "dist"), path.join(project, "dist"), { recursive: true });
  for (const name of ["package.json", "node_modules", "embedded"]) {
    fs.symlinkSync(path.join(root, name), path.join(project, name));
  }
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const runs = (pid: number): boolean =>
  fs.existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
const pids = (): number[] => {
  const file = path.join(folder, "pids");
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n").map(Number) : [];
};

/** Puts a program on PATH that answers when `answers` says so, and else starts another one and hangs as it does, until SIGTERM. */
function hanging(name: string, answers: string): void {
  const noted = `require("node:fs").appendFileSync(${JSON.stringify(path.join(folder, "pids"))}, process.pid + "\\n"); setInterval(() => {}, 1000);`;
  const script = `#!${process.execPath}
    const args = process.argv.slice(2);
    const answer = (${answers})(args);
    if (answer !== undefined) console.log(answer);
    else { require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(noted)}], { stdio: "ignore" }); ${noted} }`;
  fs.writeFileSync(path.join(bin, name), script, { mode: 0o755 });
}

/** Runs a command until its programs hang, sends it what a terminal sends, and gives what came of it. */
async function interrupted(command: "up" | "down", signal: NodeJS.Signals) {
  const env = {
    PATH: bin,
    HOME: folder,
    NOETL_NATS_CACHE: path.join(folder, "cache"),
    NOETL_NATS_DOWNLOADS: "off",
  };
  const child = spawn(process.execPath, [path.join(project, "dist", "embedded", `${command}.js`)], {
    env,
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (said.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (said.stderr += String(chunk)));
  const close = new Promise<number | null>((resolve) => child.once("close", resolve));
  try {
    await until("the programs that it waits for", () => pids().length > 1 || undefined, 180_000);
    // To its whole group, which the programs are no part of.
    process.kill(-(child.pid ?? 0), signal);
    return { code: await close, ...said };
  } finally {
    child.kill("SIGKILL");
  }
}

const nothingIsLeft = async (): Promise<void> => {
  await until("the end of its programs", () => !pids().some(runs) || undefined, 30_000);
  const left = fs.readdirSync(path.join(folder, "cache", "toolchain")).filter((each) => /\.lock$|ing$/.test(each));
  expect([left, fs.existsSync(path.join(project, ".embedded"))]).toEqual([[], false]);
};

describe("up:embedded that is interrupted", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "while a tool is built, by %s, leaves nothing half-done",
    async (signal) => {
      hanging("go", '(args) => (args[0] === "version" ? "go version go1.26.0" : undefined)');
      const { code, stdout, stderr } = await interrupted("up", signal);
      expect(code).toBe(EXIT.interrupted.code);
      expect(stderr.trim()).toMatch(/^Interrupted\. .*npm run up:embedded goes on/);
      expect(stdout).not.toMatch(/failed|instead/);
      await nothingIsLeft();
    },
  );

  it("while Python packages are installed, leaves nothing half-done", async () => {
    hanging("go", '() => "go version go1.26.0"');
    hanging("python3", '(args) => (args.includes("venv") && args[0] === "-m" ? undefined : "3.12")');
    const { code, stderr } = await interrupted("up", "SIGINT");
    expect([code, stderr.trim()]).toEqual([EXIT.interrupted.code, expect.stringMatching(/^Interrupted\./)]);
    await nothingIsLeft();
  });
});

it("a setting that is refused has nothing started", async () => {
  const args = [path.join(project, "dist", "embedded", "up.js"), "-c", "wrkerReplicas=3", "-c", "workerReplicas=x"];
  const child = spawn(process.execPath, args, {
    cwd: project,
    env: { PATH: bin, HOME: folder },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(EXIT.usage.code);
  expect(stderr).toMatch(/has 2 problems[^]*wrkerReplicas[^]*workerReplicas[^]*Nothing was started/);
  expect(fs.existsSync(path.join(project, ".embedded"))).toBe(false);
});

it("down:embedded that is interrupted while the cluster ends goes on to the end, and says by its code that it was", async () => {
  // A part of a cluster that waits with its end for us.
  const end = path.join(folder, "end");
  const script = `process.on("SIGTERM", () => { console.log("asked"); setInterval(() => { if (require("node:fs").existsSync(${JSON.stringify(end)})) process.exit(); }, 20); });
    console.log("begun"); setInterval(() => {}, 1000);`;
  const part = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  part.stdout.on("data", (chunk) => (said += String(chunk)));
  try {
    await until("its part", () => said.includes("begun") || undefined);
    const cluster = path.join(project, ".embedded", "cluster");
    fs.mkdirSync(cluster, { recursive: true });
    recordProcess(clusterFiles(cluster).processes, "kube-scheduler", part.pid ?? 0);
    const down = spawn(process.execPath, [path.join(project, "dist", "embedded", "down.js")], {
      cwd: project,
      env: { PATH: bin },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let stdout = "";
    down.stdout.on("data", (chunk) => (stdout += String(chunk)));
    const close = new Promise((resolve) => down.once("close", resolve));
    await until("the cluster's end", () => said.includes("asked") || undefined);
    down.kill("SIGINT");
    // It hears of it in its own time, and has ten seconds until it kills.
    await sleep(2000);
    fs.writeFileSync(end, "");
    expect(await close).toBe(EXIT.interrupted.code);
    expect([stdout, fs.existsSync(path.join(project, ".embedded"))]).toEqual([
      "The embedded cluster is gone.\n",
      false,
    ]);
  } finally {
    part.kill("SIGKILL");
  }
});

it("down:embedded where nothing runs says so in one line, and leaves nothing", async () => {
  const args = [path.join(project, "dist", "embedded", "down.js")];
  const child = spawn(process.execPath, args, {
    cwd: project,
    env: { PATH: bin },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(EXIT.ok.code);
  expect([stdout, fs.existsSync(path.join(project, ".embedded"))]).toEqual(["The embedded cluster is gone.\n", false]);
});
