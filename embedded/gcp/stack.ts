import * as crypto from "node:crypto";
import * as fs from "node:fs";
import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { projectRoot } from "../../contract/project";
import { main, PROJECT } from "../../program";
import { serve } from "../plugin/server";
import { STAND_IN_CHART } from "../settings";
import { configure, type EngineOptions, openEngine } from "../stack";
import { type CloudState, serveApi } from "./api";
import { controlPlaneOf, seedAsGke, serveLoadBalancers, writeAuthPlugin } from "./as-gke";
import { CONTROL_PLANE } from "./outputs";
import { gcpStandIn } from "./plugin";
import { inlineProgram } from "../inline";

export interface GkeStackOptions extends EngineOptions {
  /** The embedded cluster that stands in for the one on GKE; without it stacks can be previewed only. */
  kubeconfigPath?: string;
  config: Readonly<Record<string, string>>;
  /** Program instead of this project's. */
  program?: () => Promise<Record<string, unknown>>;
}

export interface GkeStack {
  readonly stack: Stack;
  /** What seems to exist in the cloud; may be changed between runs. */
  readonly cloud: CloudState;
  /** Sets further keys of the stack's configuration. */
  configure(this: void, config: Readonly<Record<string, string>>): Promise<unknown>;
  /** Runs the pulumi command on the stack, as a user does. @throws Error with what it printed where it fails. */
  command(this: void, ...args: string[]): Promise<string>;
  close(this: void): Promise<void>;
}

const run = promisify(execFile);

/** Room for a cluster. */
const QUOTAS = {
  CPUS_ALL_REGIONS: [128, 0],
  CPUS: [128, 0],
  SSD_TOTAL_GB: [500, 0],
  STATIC_ADDRESSES: [8, 0],
} as const;

/** Opens a stack on GKE: the real engine, the real program, the stand-ins for the plugins and for Google Cloud. */
export async function openGkeStack(options: GkeStackOptions): Promise<GkeStack> {
  const { kubeconfigPath } = options;
  const cloud: CloudState = { inventory: new Map(), quotas: QUOTAS, zones: { "acme-dev": "acme.dev." }, empty: false };
  const bin = path.join(options.dir, "gke-bin");
  if (kubeconfigPath) {
    await seedAsGke(kubeconfigPath);
    writeAuthPlugin(bin, kubeconfigPath);
  }
  const stopLoadBalancers = kubeconfigPath ? serveLoadBalancers(kubeconfigPath, cloud.inventory) : undefined;
  const log = options.log ?? (() => undefined);
  const plugin = await serve(
    gcpStandIn(cloud.inventory, kubeconfigPath ? controlPlaneOf(kubeconfigPath) : CONTROL_PLANE),
    log,
  );
  const api = await serveApi(cloud);
  const engine = await openEngine(options);
  const { envVars } = engine.options;
  envVars.PULUMI_DEBUG_PROVIDERS = [envVars.PULUMI_DEBUG_PROVIDERS, `gcp:${plugin.port}`].filter(Boolean).join(",");
  envVars.PATH = [bin, envVars.PATH].join(path.delimiter);
  // The program runs in this process, and so does the stand-in that asks the cluster.
  const restore = override({ ...api.endpoints, PATH: [bin, process.env.PATH].join(path.delimiter) });
  // The engine keeps a stack's configuration beside the program; a name of its own leaves the user's stacks alone.
  const stackName = `gke-stand-in-${crypto.randomBytes(4).toString("hex")}`;
  const close = async () => {
    fs.rmSync(path.join(projectRoot(), `Pulumi.${stackName}.yaml`), { force: true });
    restore();
    await stopLoadBalancers?.();
    plugin.stop();
    api.stop();
    await engine.close();
  };
  try {
    const stack = await LocalWorkspace.createOrSelectStack(
      { stackName, projectName: PROJECT, program: inlineProgram(options.program ?? main) },
      { workDir: projectRoot(), ...engine.options },
    );
    const set = (config: Readonly<Record<string, string>>) =>
      configure(stack, config, { pulumi: options.tools.pulumi, envVars });
    await set({ natsChart: STAND_IN_CHART, ...options.config });
    const command = async (...args: string[]) => {
      const { stdout } = await run(options.tools.pulumi, [...args, "--stack", stackName, "--non-interactive"], {
        cwd: projectRoot(),
        env: { ...process.env, ...envVars },
        timeout: 600_000,
      });
      return stdout;
    };
    return { stack, cloud, configure: set, command, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Sets environment variables; the result puts back what was. */
function override(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
