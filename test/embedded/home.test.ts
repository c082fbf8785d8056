import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PROJECT, projectRoot } from "../../contract/project";
import {
  embeddedPaths,
  forgetState,
  makeEngineHome,
  removeOrphanedSettings,
  removeStaleLocks,
  stateEnvironment,
} from "../../embedded/home";
import { ensureTools } from "../../embedded/toolchain";

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "engine-home-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

it("the engine writes no logs of its runs into the home of an embedded stack, and does not complain", async () => {
  const { pulumi } = await ensureTools(["pulumi"]);
  const { home, state } = embeddedPaths(dir);
  fs.mkdirSync(state);
  // As an earlier version left it.
  fs.mkdirSync(path.join(home, "logs"), { recursive: true });
  fs.writeFileSync(path.join(home, "logs", "pulumi-20261129T143821-1.log"), "");
  const env = { ...process.env, ...stateEnvironment(dir), PULUMI_HOME: home };
  const run = () =>
    execFileSync(pulumi, ["stack", "ls", "--all", "--non-interactive"], { env, cwd: dir, encoding: "utf8" });
  run();
  const logs = path.join(home, "logs");
  expect(fs.readdirSync(logs)).toHaveLength(2);

  makeEngineHome(home);
  makeEngineHome(home);
  expect(run()).not.toMatch(/log/i);
  expect(fs.statSync(logs).isFile()).toBe(true);
});

it("a stack's file is removed where its state is gone with the passphrase, and no other", () => {
  const stack = `orphan-${process.pid}`;
  const settings = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  const removed = (text: string): boolean => {
    fs.writeFileSync(settings, text);
    return removeOrphanedSettings(dir, stack);
  };
  try {
    expect(removed("config:\n  noetl-nats:natsTls: generated\n")).toBe(false);
    expect(removed("encryptionsalt: v1:x\nconfig: {}\n")).toBe(true);
    expect([fs.existsSync(settings), removeOrphanedSettings(dir, stack)]).toEqual([false, false]);
    const states = path.join(embeddedPaths(dir).state, ".pulumi", "stacks", PROJECT);
    fs.mkdirSync(states, { recursive: true });
    fs.writeFileSync(path.join(states, `${stack}.json`), "{}");
    expect(removed("encryptionsalt: v1:x\n")).toBe(false);
  } finally {
    fs.rmSync(settings, { force: true });
  }
});

it("the engine finds its state in a folder whose path has spaces, other letters, and signs that mean something in a URL", async () => {
  const { pulumi } = await ensureTools(["pulumi"]);
  const odd = path.join(dir, "größe #1 & 50%20 ?");
  const { home, state } = embeddedPaths(odd);
  fs.mkdirSync(state, { recursive: true });
  makeEngineHome(home);
  const env = { ...process.env, ...stateEnvironment(odd), PULUMI_HOME: home };
  const run = (...args: string[]) =>
    execFileSync(pulumi, [...args, "--non-interactive"], { env, cwd: projectRoot(), encoding: "utf8" });
  const stack = `odd-${process.pid}`;
  try {
    run("stack", "init", stack);
    expect(run("stack", "ls", "--json")).toContain(`"${stack}"`);
    expect(fs.existsSync(path.join(state, ".pulumi", "stacks", PROJECT, `${stack}.json`))).toBe(true);
  } finally {
    fs.rmSync(path.join(projectRoot(), `Pulumi.${stack}.yaml`), { force: true });
  }
});

it("what was deployed to a cluster that is gone is forgotten, and the stack's settings stay with their passphrase", () => {
  const stack = `forgotten-${process.pid}`;
  const settings = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  const { PULUMI_CONFIG_PASSPHRASE } = stateEnvironment(dir);
  const { state } = embeddedPaths(dir);
  try {
    fs.writeFileSync(settings, "encryptionsalt: v1:x\n");
    expect(forgetState(dir)).toBe(false);
    fs.mkdirSync(path.join(state, ".pulumi", "stacks", PROJECT), { recursive: true });
    expect([forgetState(dir), fs.existsSync(state)]).toEqual([true, false]);
    expect(removeOrphanedSettings(dir, stack)).toBe(false);
    expect(stateEnvironment(dir).PULUMI_CONFIG_PASSPHRASE).toBe(PULUMI_CONFIG_PASSPHRASE);
  } finally {
    fs.rmSync(settings, { force: true });
  }
});

it("a lock of the state whose engine is gone goes, whoever has its number now and however it was cut off", async () => {
  const locks = path.join(embeddedPaths(dir).state, ".pulumi", "locks", "organization", PROJECT, "embedded");
  fs.mkdirSync(locks, { recursive: true });
  // The kernel knows it by the name of its file.
  const engine = path.join(dir, "pulumi");
  fs.writeFileSync(engine, "#!/bin/sh\necho begun\nread nothing\n", { mode: 0o755 });
  const running = spawn(engine, { stdio: ["pipe", "pipe", "ignore"] });
  try {
    await new Promise((resolve) => running.stdout.once("data", resolve));
    const texts = {
      held: JSON.stringify({ pid: running.pid }),
      another: JSON.stringify({ pid: process.pid }),
      cut: "",
    };
    for (const [name, text] of Object.entries(texts)) {
      fs.writeFileSync(path.join(locks, `${name}.json`), text);
      fs.writeFileSync(path.join(locks, `${name}.json.attrs`), "{}");
    }
    removeStaleLocks(dir);
    expect(fs.readdirSync(locks).sort()).toEqual(["held.json", "held.json.attrs"]);
  } finally {
    running.kill("SIGKILL");
  }
});
