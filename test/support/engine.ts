/** Programs of somebody else's project that use the package, run by the engine. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type EngineEvent, PulumiCommand, type LocalWorkspaceOptions } from "@pulumi/pulumi/automation";
import { projectRoot } from "../../contract/project";
import { makeEngineHome } from "../../embedded/home";
import { QUICK } from "../../embedded/quick";
import { ensureTools } from "../../embedded/toolchain";

export interface Project {
  /** Folder of all that the test writes; removed at its end. */
  readonly dir: string;
  /** Folder of the project, with the package and its own modules installed. */
  readonly folder: string;
  /** Folder of the engine's states. */
  readonly state: string;
  /** Options of a stack whose program stands in `workDir`. */
  options(this: void, workDir: string): Promise<LocalWorkspaceOptions>;
}

/** Operations of a preview by the resource's name, unchanged ones left out. `preview` hands its events on. */
export async function operationsOf(
  preview: (onEvent: (event: EngineEvent) => void) => Promise<unknown>,
): Promise<Record<string, string>> {
  const steps: Record<string, string> = {};
  await preview((event) => {
    const step = event.resourcePreEvent?.metadata;
    // The engine itself gives the whole configuration to the provider of dynamic resources, which therefore always changes.
    if (step && step.op !== "same" && !step.urn.includes("pulumi:providers:pulumi-nodejs"))
      steps[step.urn.split("::").at(-1) ?? ""] = step.op;
  });
  return steps;
}

/** A folder with a project that has the package among its modules, and an engine of its own. */
export async function openProject(name: string): Promise<Project> {
  const { pulumi } = await ensureTools(["pulumi"]);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), `contract-${name}-`));
  const [folder, state, cli] = ["project", "state", "cli"].map((each) => path.join(dir, each)) as [
    string,
    string,
    string,
  ];
  const modules = path.join(folder, "node_modules");
  for (const each of [modules, state, path.join(cli, "bin")]) fs.mkdirSync(each, { recursive: true });
  const installed = path.join(projectRoot(), "node_modules");
  for (const each of fs.readdirSync(installed).filter((entry) => entry !== ".bin")) {
    fs.symlinkSync(path.join(installed, each), path.join(modules, each));
  }
  makeEngineHome(path.join(dir, "home"));
  fs.symlinkSync(projectRoot(), path.join(modules, "noetl-nats"));
  fs.symlinkSync(pulumi, path.join(cli, "bin/pulumi"));
  return {
    dir,
    folder,
    state,
    options: async (workDir) => ({
      workDir,
      pulumiCommand: await PulumiCommand.get({ root: cli, skipVersionCheck: true }),
      envVars: {
        ...QUICK,
        // The package of the SDK holds the launcher of dynamic providers; the nodejs language plugin would find it.
        PATH: [path.join(modules, "@pulumi/pulumi"), process.env.PATH].join(path.delimiter),
        PULUMI_BACKEND_URL: `file://${state}`,
        PULUMI_HOME: path.join(dir, "home"),
        PULUMI_CONFIG_PASSPHRASE: "a passphrase of the test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      },
    }),
  };
}

/** Signals the engine, and all that it has started: its processes are the children of this one that run the pulumi command. */
function signalEngines(signal: NodeJS.Signals): void {
  for (const entry of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs.readFileSync(`/proc/${entry}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      if (parent === process.pid && stat.includes("(pulumi)")) process.kill(-Number(entry), signal);
    } catch {
      // It has ended in the meantime.
    }
  }
}

/** Kills the engine as a power cut would. */
export const killEngines = (): void => signalEngines("SIGKILL");

/** Kills it as soon as it does not write its state: half a file could not be read again, by no program. */
export function killBetweenWrites(state: string): void {
  signalEngines("SIGSTOP");
  if (isWhole(state)) return killEngines();
  signalEngines("SIGCONT");
  setTimeout(() => killBetweenWrites(state), 5);
}

function isWhole(file: string): boolean {
  try {
    JSON.parse(fs.readFileSync(file, "utf8"));
    return true;
  } catch {
    return false;
  }
}
