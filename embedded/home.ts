import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
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
    // A folder may have characters in its path that mean something in a URL.
    PULUMI_BACKEND_URL: pathToFileURL(embeddedPaths(dir).state).href,
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
export const WORDS = {
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

/** Forgets what was deployed to a cluster that is gone with all that it held. The stack's settings stay, with the passphrase of the secret ones. */
export function forgetState(dir: string): boolean {
  const { state } = embeddedPaths(dir);
  const deployed = fs.existsSync(path.join(state, ".pulumi", "stacks"));
  fs.rmSync(state, { recursive: true, force: true });
  return deployed;
}

/**
 * Removes a stack's file whose state is gone with the passphrase: without that the engine refuses every command.
 *
 * @returns whether there was one.
 */
export function removeOrphanedSettings(dir: string, stack: string): boolean {
  const settings = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  const state = path.join(embeddedPaths(dir).state, ".pulumi", "stacks", PROJECT, `${stack}.json`);
  if ([state, path.join(dir, "passphrase")].some((each) => fs.existsSync(each)) || !fs.existsSync(settings))
    return false;
  // One that somebody wrote by hand has nothing encrypted.
  if (!/^encryptionsalt:/m.test(fs.readFileSync(settings, "utf8"))) return false;
  fs.rmSync(settings);
  return true;
}

/** What is said of one that was removed. */
export const orphanedSettings = (stack: string): string =>
  `Pulumi.${stack}.yaml was of a stack that is gone, with its passphrase; settings start from their defaults.`;

/** An interrupted run leaves its lock behind; where its engine is gone, nobody holds it any more. */
export function removeStaleLocks(dir: string): void {
  const locks = path.join(embeddedPaths(dir).state, ".pulumi", "locks");
  if (!fs.existsSync(locks)) return;
  for (const name of fs.readdirSync(locks, { recursive: true, encoding: "utf8" })) {
    const file = path.join(locks, name);
    if (!file.endsWith(".json") || isHeld(file)) continue;
    // What the engine keeps about the file beside it.
    for (const each of [file, `${file}.attrs`]) fs.rmSync(each, { force: true });
  }
}

/** Whether the engine that wrote a lock still runs: its number may be another program's by now, and what it wrote cut off. */
function isHeld(lock: string): boolean {
  try {
    const { pid } = JSON.parse(fs.readFileSync(lock, "utf8")) as { pid: number };
    return fs.readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("pulumi");
  } catch {
    return false;
  }
}

/** A passphrase for the state's secrets, made once and readable by the user alone. */
function passphrase(dir: string): string {
  const file = path.join(dir, "passphrase");
  if (!fs.existsSync(file)) fs.writeFileSync(file, crypto.randomBytes(24).toString("base64url"), { mode: 0o600 });
  return fs.readFileSync(file, "utf8");
}
