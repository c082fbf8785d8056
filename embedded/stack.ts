import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation";
import { projectRoot } from "../contract/project";
import { SETTINGS, type SettingKey } from "../config/schema";
import { NODE_PORTS } from "../contract/facts";
import { deploy, loadSettings, PROJECT } from "../program";
import type { ToolPaths } from "./toolchain";
import { EMBEDDED_STACK, embeddedPaths, stateEnvironment } from "./home";
import { serveStandIns } from "./plugin";
import { sdkVersion } from "./plugin/version";

export { EMBEDDED_DIR } from "./home";

const run = promisify(execFile);

/** Settings that make the program fit the embedded cluster; those of the command line come on top. */
export function embeddedConfig(kubeconfigPath: string): Partial<Record<SettingKey, string>> {
  return {
    kubeconfig: kubeconfigPath,
    deployGateway: "true",
    // No image is pulled here; the name has only to be one.
    gatewayImage: "noetl-gateway:embedded",
    natsNodePort: String(NODE_PORTS.natsClient),
    natsMonitorNodePort: String(NODE_PORTS.natsMonitor),
    noetlNodePort: String(NODE_PORTS.noetl),
    postgresNodePort: String(NODE_PORTS.postgres),
    gatewayNodePort: String(NODE_PORTS.gateway),
  };
}

/** Stands in for the chart nats/nats where its repository cannot be reached. */
export const STAND_IN_CHART = "./embedded/charts/nats";

/** Launchers that an installed Pulumi brings along, by the engine's kind of plugin: from the SDK's package, and our own. */
const LAUNCHERS = {
  "resource-pulumi-nodejs": path.dirname(require.resolve("@pulumi/pulumi/package.json")),
  "analyzer-policy-nodejs": path.join(projectRoot(), "embedded", "launchers"),
} as const;

/**
 * Puts the launchers where the engine looks for installed plugins. On PATH it finds them too, but warns of each: a plugin on
 * PATH may be one that somebody forgot there.
 */
function installLaunchers(home: string): void {
  const version = sdkVersion("pulumi");
  for (const [plugin, from] of Object.entries(LAUNCHERS)) {
    const folder = path.join(home, "plugins", `${plugin}-v${version}`);
    fs.mkdirSync(folder, { recursive: true });
    const target = path.join(folder, `pulumi-${plugin}`);
    const unfinished = `${target}.${process.pid}`;
    fs.copyFileSync(path.join(from, `pulumi-${plugin}`), unfinished);
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
  log?: (line: string) => void;
}

/**
 * The real engine with a file backend under `dir`, official plugins where they are installed and the stand-ins otherwise.
 *
 * `NOETL_NATS_PLUGINS=official` insists on the official plugins.
 */
export async function openEngine({ dir, tools, cwd = projectRoot(), log }: EngineOptions): Promise<Engine> {
  const { home, state } = embeddedPaths(dir);
  for (const folder of [dir, home, state]) fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const official = process.env.NOETL_NATS_PLUGINS === "official" || (await officialPlugins(tools.pulumi));
  const standIns = official ? undefined : await serveStandIns({ helm: tools.helm, cwd, ...(log ? { log } : {}) });
  const envVars: Record<string, string> = {
    ...stateEnvironment(dir),
    // The policy pack renders releases with the helm that it finds.
    PATH: [...(official ? Object.values(LAUNCHERS) : []), path.dirname(tools.helm), process.env.PATH].join(
      path.delimiter,
    ),
    PULUMI_HOME: official ? (process.env.PULUMI_HOME ?? path.join(process.env.HOME ?? "", ".pulumi")) : home,
    ...(standIns
      ? { PULUMI_DEBUG_PROVIDERS: standIns.debugProviders, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" }
      : {}),
  };
  if (!official) installLaunchers(home);
  removeStaleLocks(state);
  return {
    options: { envVars, pulumiCommand: await pulumiCommand(dir, tools.pulumi) },
    plugins: `plugins kubernetes and random: ${official ? "official" : "stand-ins of this project (embedded/plugin)"}`,
    close: async () => standIns?.stop(),
  };
}

export interface OpenStack {
  readonly stack: Stack;
  /** Which plugins and charts are at work, one line. */
  readonly provenance: string;
  close(this: void): Promise<void>;
}

export interface StackOptions extends EngineOptions {
  kubeconfigPath: string;
  /** Stack configuration on top of {@link embeddedConfig}. */
  config?: Readonly<Record<string, string>>;
  stackName?: string;
}

/** Opens the stack: the engine as {@link openEngine} has it, the real program inline. */
export async function openStack(options: StackOptions): Promise<OpenStack> {
  const { tools } = options;
  const engine = await openEngine(options);
  try {
    const asked = options.config?.natsChart;
    const official = asked === undefined && (await officialNatsChart(tools.helm));
    const stack = await LocalWorkspace.createOrSelectStack(
      {
        stackName: options.stackName ?? EMBEDDED_STACK,
        projectName: PROJECT,
        program: () => Promise.resolve(deploy(loadSettings())),
      },
      { workDir: projectRoot(), ...engine.options },
    );
    await configure(
      stack,
      {
        ...embeddedConfig(options.kubeconfigPath),
        ...(official ? {} : { natsChart: STAND_IN_CHART }),
        ...options.config,
      },
      { pulumi: tools.pulumi, envVars: engine.options.envVars },
    );
    return {
      stack,
      provenance: `${engine.plugins}; chart nats: ${asked ?? (official ? "official" : `stand-in of this project (${STAND_IN_CHART})`)}`,
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
 */
export async function configure(
  stack: Stack,
  config: Readonly<Record<string, string>>,
  command: { pulumi: string; envVars: NodeJS.ProcessEnv },
): Promise<void> {
  const present = await stack.getAllConfig();
  const settings = Object.entries(config)
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
}

/** An interrupted run leaves its lock behind; where its process is gone, nobody holds it any more. */
function removeStaleLocks(state: string): void {
  const locks = path.join(state, ".pulumi", "locks");
  if (!fs.existsSync(locks)) return;
  for (const name of fs.readdirSync(locks, { recursive: true, encoding: "utf8" })) {
    const file = path.join(locks, name);
    if (!file.endsWith(".json")) continue;
    const { pid } = JSON.parse(fs.readFileSync(file, "utf8")) as { pid: number };
    if (!fs.existsSync(`/proc/${pid}`)) fs.rmSync(file);
  }
}

async function pulumiCommand(dir: string, pulumi: string): Promise<PulumiCommand> {
  const { cli, command: link } = embeddedPaths(dir);
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  fs.symlinkSync(pulumi, link);
  return PulumiCommand.get({ root: cli, skipVersionCheck: true });
}

async function officialPlugins(pulumi: string): Promise<boolean> {
  try {
    const { stdout } = await run(pulumi, ["plugin", "ls", "--json"], { timeout: 20_000 });
    const installed = JSON.parse(stdout) as { name: string; kind: string }[];
    return ["kubernetes", "random"].every((name) =>
      installed.some((plugin) => plugin.kind === "resource" && plugin.name === name),
    );
  } catch {
    return false;
  }
}

/** True where the official chart can be had from its repository within ten seconds. */
async function officialNatsChart(helm: string): Promise<boolean> {
  const { natsChart, natsChartRepository, natsChartVersion } = SETTINGS;
  try {
    await run(
      helm,
      [
        "show",
        "chart",
        natsChart.default,
        "--repo",
        natsChartRepository.default,
        "--version",
        natsChartVersion.default,
      ],
      { timeout: 10_000 },
    );
    return true;
  } catch {
    return false;
  }
}
