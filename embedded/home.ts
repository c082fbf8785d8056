import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { PROJECT, projectRoot } from "../contract/project";
import type { OwnEngine } from "../commands/shared/engine";

/** Where an embedded stack keeps everything: the cluster, the engine's home and state, the passphrase. */
export const EMBEDDED_DIR = path.join(projectRoot(), ".embedded");

/** Name of the stack that `npm run up:embedded` makes. */
export const EMBEDDED_STACK = "embedded";

/** Folders of an embedded stack in `dir`, and where the engine's command stands. */
export const embeddedPaths = (dir: string) => ({
  home: path.join(dir, "pulumi"),
  state: path.join(dir, "state"),
  /** The automation interface looks for `bin/pulumi` under a folder. */
  cli: path.join(dir, "pulumi-cli"),
  command: path.join(dir, "pulumi-cli", "bin", "pulumi"),
});

/**
 * Makes the engine's home. The engine writes all that it does into a log file of each run, 8 MB for this stack, which takes a third
 * of its processor time and a gigabyte in a day of tests, and has no switch for it; where its folder of logs cannot be made, it
 * goes on without, and says nothing.
 */
export function makeEngineHome(home: string): void {
  fs.mkdirSync(home, { recursive: true, mode: 0o700 });
  const logs = path.join(home, "logs");
  if (fs.statSync(logs, { throwIfNoEntry: false })?.isFile()) return;
  fs.rmSync(logs, { recursive: true, force: true });
  fs.writeFileSync(logs, "A file in place of a folder: no logs of the engine's runs.\n");
}

/** Environment in which the engine finds the state of the embedded stack in `dir` and can read its secrets. */
export function stateEnvironment(dir: string): Record<string, string> {
  return {
    PULUMI_BACKEND_URL: `file://${embeddedPaths(dir).state}`,
    PULUMI_CONFIG_PASSPHRASE: passphrase(dir),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
}

/** The engine of the embedded stack in `dir`, for commands that need no plugins. */
export function embeddedEngine(dir: string): { command: string; env: NodeJS.ProcessEnv } {
  const { command, home } = embeddedPaths(dir);
  return { command, env: { ...process.env, ...stateEnvironment(dir), PULUMI_HOME: home } };
}

/** What a user types here in place of the engine's commands, which would look for the stack elsewhere. */
const WORDS = {
  up: "npm run up:embedded",
  refresh: "npm run up:embedded -- --refresh",
  set: "npm run up:embedded -- -c KEY=VALUE",
};

/**
 * Tells the commands, which know nothing of this cluster, which engine reads the stack in `dir` (commands/shared/engine.ts).
 * What is written holds no credential: the passphrase stays in its own file.
 */
export function handOverEngine(dir: string): void {
  const { command, home } = embeddedPaths(dir);
  passphrase(dir);
  const env = {
    ...stateEnvironment(dir),
    PULUMI_CONFIG_PASSPHRASE: null,
    PULUMI_CONFIG_PASSPHRASE_FILE: path.join(dir, "passphrase"),
    PULUMI_HOME: home,
  };
  const handedOver: OwnEngine = { command, env, words: WORDS };
  fs.writeFileSync(path.join(dir, "engine.json"), `${JSON.stringify(handedOver, undefined, 2)}\n`);
}

/**
 * Removes a stack's file whose state is gone: without the passphrase that went with it the engine refuses every command.
 *
 * @returns whether there was one.
 */
export function removeOrphanedSettings(dir: string, stack: string): boolean {
  const settings = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  const state = path.join(embeddedPaths(dir).state, ".pulumi", "stacks", PROJECT, `${stack}.json`);
  if (fs.existsSync(state) || !fs.existsSync(settings)) return false;
  // One that somebody wrote by hand has nothing encrypted.
  if (!/^encryptionsalt:/m.test(fs.readFileSync(settings, "utf8"))) return false;
  fs.rmSync(settings);
  return true;
}

/** A passphrase for the state's secrets, made once and readable by the user alone. */
function passphrase(dir: string): string {
  const file = path.join(dir, "passphrase");
  if (!fs.existsSync(file)) fs.writeFileSync(file, crypto.randomBytes(24).toString("base64url"), { mode: 0o600 });
  return fs.readFileSync(file, "utf8");
}
