import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PROJECT, projectRoot } from "../../contract/project";
import { embeddedPaths, makeEngineHome, removeOrphanedSettings, stateEnvironment } from "../../embedded/home";
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
