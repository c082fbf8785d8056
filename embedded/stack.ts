// First, because it concerns how the SDK is loaded.
import "../commands/shared/late-libraries";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { type ConfigMap, LocalWorkspace, PulumiCommand, Stack } from "@pulumi/pulumi/automation";
import { PROJECT, projectRoot } from "../contract/project";
import { SETTINGS, type SettingKey } from "../config/schema";
import { lookForOfficials, type Officials } from "./officials";
import type { ToolPaths } from "./toolchain";
import {
  EMBEDDED_STACK,
  embeddedPaths,
  makeEngineHome,
  orphanedSettings,
  removeOrphanedSettings,
  removeStaleLocks,
  stateEnvironment,
} from "./home";
import { inOwnGroup } from "./engine-command";
import { embeddedConfig, STAND_IN_CHART, unsets, unsetWithout } from "./settings";
import { serveStandIns } from "./plugin";
import { sdkVersion } from "./plugin/version";
import { inlineProgram } from "./inline";
import { QUICK } from "./quick";

export { EMBEDDED_DIR } from "./home";

const run = promisify(execFile);

/** Launchers that an installed Pulumi brings along, by the engine's kind of plugin. */
const LAUNCHERS = ["resource-pulumi-nodejs", "analyzer-policy-nodejs"] as const;
const LAUNCHER_FOLDER = path.join(projectRoot(), "embedded", "launchers");

/**
 * Puts the launchers where the engine looks for installed plugins. On PATH it finds them too, but warns of each: a plugin on
 * PATH may be one that somebody forgot there.
 */
function installLaunchers(home: string): void {
  const version = sdkVersion("pulumi");
  for (const plugin of LAUNCHERS) {
    const folder = path.join(home, "plugins", `${plugin}-v${version}`);
    fs.mkdirSync(folder, { recursive: true });
    const target = path.join(folder, `pulumi-${plugin}`);
    const unfinished = `${target}.${process.pid}`;
    fs.copyFileSync(path.join(LAUNCHER_FOLDER, `pulumi-${plugin}`), unfinished);
    fs.chmodSync(unfinished, 0o755);
    fs.renameSync(unfinished, target);
  }
}

/** The rules that every stack is held to, for the engine's option `policyPacks`. */
export const POLICY_PACK = path.join(projectRoot(), "policy");

/** The engine, ready to run a program against the embedded cluster. */
export interface Engine {
  /** For `LocalWorkspace`: the pulumi command and its environment, with the stack's state under the engine's folder. */
  readonly options: { readonly envVars: Record<string, string>; readonly pulumiCommand: PulumiCommand };
  /** Which plugins are at work, in words. */
  readonly plugins: string;
  close(this: void): Promise<void>;
}

export interface EngineOptions {
  /** Folder of the stack's state and of the engine's home. */
  dir: string;
  tools: ToolPaths<"pulumi" | "helm">;
  /** Folder that local charts' paths are relative to: the program's. Default: this project's root. */
  cwd?: string;
  /** Where they have been looked for before. Default: they are looked for now. */
  officials?: Officials;
  log?: (line: string) => void;
}

/**
 * The real engine with a file backend under `dir`, official plugins where they are installed and the stand-ins otherwise.
 *
 * `NOETL_NATS_PLUGINS=official` insists on the official plugins.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { dir, tools, cwd = projectRoot(), log, officials = lookForOfficials(tools) } = options;
  const { home, state } = embeddedPaths(dir);
  for (const folder of [dir, state]) fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  makeEngineHome(home);
  const [official, command] = await Promise.all([officials.plugins, pulumiCommand(dir, tools.pulumi)]);
  const standIns = official ? undefined : await serveStandIns({ helm: tools.helm, cwd, log });
  const envVars: Record<string, string> = {
    ...stateEnvironment(dir),
    ...QUICK,
    // The policy pack renders releases with the helm that it finds; an installed engine has its own plugins beside it.
    PATH: [
      path.dirname(command.command),
      ...(official ? [LAUNCHER_FOLDER] : []),
      path.dirname(tools.helm),
      process.env.PATH,
    ].join(path.delimiter),
    PULUMI_HOME: official ? (process.env.PULUMI_HOME ?? path.join(os.homedir(), ".pulumi")) : home,
    ...(standIns
      ? { PULUMI_DEBUG_PROVIDERS: standIns.debugProviders, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" }
      : {}),
  };
  if (!official) installLaunchers(home);
  removeStaleLocks(dir);
  return {
    options: { envVars, pulumiCommand: command },
    plugins: `plugins kubernetes and random: ${official ? "official" : "stand-ins of this project (embedded/plugin)"}`,
    close: async () => standIns?.stop(),
  };
}

export interface OpenStack {
  readonly stack: Stack;
  /** The stack's configuration, secrets in plain text: to be used, never to be printed. */
  readonly config: ConfigMap;
  /** Which plugins and charts are at work, one line. */
  readonly provenance: string;
  /** Loads what the next update needs, ahead of time. Best while the engine starts, which has nothing to ask then. */
  warmUp(this: void): Promise<unknown>;
  close(this: void): Promise<void>;
}

export interface StackOptions extends EngineOptions {
  kubeconfigPath: string;
  /** Whether the cluster runs the gateway itself. Default: its stand-in. */
  gateway?: boolean;
  /** Stack configuration on top of {@link embeddedConfig}. */
  config?: Readonly<Record<string, string>>;
  stackName?: string;
  /** Receives what a user should know, one line each. */
  notice?: (line: string) => void;
}

/** The program; loaded apart, since the engine has much to do before it asks for it. */
const loadProgram = () => import("../program.js");

/** What `pulumi up` runs, with all that it says. */
export async function program(): Promise<Record<string, unknown>> {
  const { main } = await loadProgram();
  return main();
}

/** Opens the stack: the engine as {@link openEngine} has it, the real program inline. */
export async function openStack(options: StackOptions): Promise<OpenStack> {
  const { tools, officials = lookForOfficials(tools), stackName = EMBEDDED_STACK } = options;
  const asked = options.config?.natsChart;
  if (removeOrphanedSettings(options.dir, stackName)) options.notice?.(orphanedSettings(stackName));
  const engine = await openEngine({ ...options, officials });
  try {
    const workspace = await LocalWorkspace.create({
      workDir: projectRoot(),
      program: inlineProgram(program),
      ...engine.options,
    });
    // What a stack is configured with can be read while it is selected; one that is new has nothing yet.
    const [stack, present] = await Promise.all([
      Stack.createOrSelect(stackName, workspace),
      workspace.getAllConfig(stackName).catch(() => undefined),
    ]);
    const official = asked === undefined && (await officials.chart);
    const config = await configure(
      stack,
      {
        ...embeddedConfig(options.kubeconfigPath, options.gateway),
        ...(official ? {} : { natsChart: STAND_IN_CHART }),
        ...unsetWithout(options.config),
        ...options.config,
      },
      { pulumi: tools.pulumi, envVars: engine.options.envVars, present },
    );
    return {
      stack,
      config,
      provenance: `${engine.plugins}; chart nats: ${asked ?? (official ? "official" : `stand-in of this project (${STAND_IN_CHART})`)}`,
      warmUp: loadProgram,
      close: engine.close,
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/**
 * Sets what differs in the stack's configuration. Secret settings are encrypted and reach the engine's command by its
 * standard input: the automation interface would pass them as arguments, which every user of the machine can read.
 * Unknown keys pass, so that the program names them.
 *
 * @param command the engine's, and the present configuration where it is known already
 * @returns the whole configuration as it is then, with secrets in plain text
 */
export async function configure(
  stack: Stack,
  config: Readonly<Record<string, string>>,
  command: { pulumi: string; envVars: NodeJS.ProcessEnv; present?: ConfigMap },
): Promise<ConfigMap> {
  const present = command.present ?? (await stack.getAllConfig());
  const names = Object.keys(present).map((key) => key.replace(`${PROJECT}:`, ""));
  const unset = unsets(config, Object.fromEntries(names.map((name) => [name, ""])));
  if (unset.length > 0) await stack.removeAllConfig(unset.map((name) => `${PROJECT}:${name}`));
  const settings = Object.entries(config)
    .filter(([name]) => !unset.includes(name))
    .map(([name, value]) => ({
      key: `${PROJECT}:${name}`,
      value,
      secret: name in SETTINGS && SETTINGS[name as SettingKey].secret,
    }))
    .filter(({ key, value, secret }) => present[key]?.value !== value || (present[key].secret ?? false) !== secret);
  const plain = settings.filter(({ secret }) => !secret);
  if (plain.length > 0)
    await stack.setAllConfig(Object.fromEntries(plain.map(({ key, value }) => [key, { value, secret: false }])));
  for (const { key, value } of settings.filter(({ secret }) => secret)) {
    const args = ["config", "set", "--secret", key, "--stack", stack.name, "--non-interactive"];
    const set = run(command.pulumi, args, {
      cwd: projectRoot(),
      env: { ...process.env, ...command.envVars },
      timeout: 60_000,
    });
    set.child.stdin?.end(value);
    await set;
  }
  for (const name of unset) delete present[`${PROJECT}:${name}`];
  return { ...present, ...Object.fromEntries(settings.map(({ key, value, secret }) => [key, { value, secret }])) };
}

async function pulumiCommand(dir: string, pulumi: string): Promise<PulumiCommand> {
  const { cli, command: link } = embeddedPaths(dir);
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  fs.symlinkSync(pulumi, link);
  return inOwnGroup(await PulumiCommand.get({ root: cli, skipVersionCheck: true }));
}
