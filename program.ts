import * as pulumi from "@pulumi/pulumi";
import { lineWarning } from "./config/lines";
import { gatewayLogWarnings } from "./config/logs";
import { jobsWarnings } from "./config/playbook-jobs";
import { idleWarnings } from "./config/idle";
import { ConfigError, foreignKeys, isChanged, parseSettings } from "./config/parse";
import { riskWarnings } from "./config/risks";
import { storeWarnings } from "./config/stores";
import type { Settings } from "./config/schema";
import { PROJECT } from "./contract/project";
import { outputsOf } from "./stacks/outputs";
import * as parts from "./stacks/parts";
import { type DeclaredOutputs, kubernetesPlatform, type Platform } from "./stacks/platform";

export { PROJECT };

const PREFIX = `${PROJECT}:`;

/** The stack's configuration, without the project's name. */
function ownConfig(): Record<string, string> {
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(PREFIX));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(PREFIX.length), value]));
}

/** The stack's settings, checked. @throws ConfigError with all problems at once. */
export const loadSettings = (): Settings =>
  parseSettings(ownConfig(), (key) => isConfigSecret(`${PREFIX}${key}`), pulumi.runtime.allConfig());

/** Whether the stack keeps a key encrypted. The SDK has the function, but leaves it out of its published types. */
const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret(this: void, key: string): boolean };

/**
 * The program: reads the settings, prepares the platform, deploys.
 *
 * @throws pulumi.RunError with everything that is wrong with the configuration; the engine shows it without a stack trace.
 */
export async function main(): Promise<DeclaredOutputs> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

async function run(): Promise<DeclaredOutputs> {
  const settings = loadSettings();
  const raw = ownConfig();
  for (const warning of [
    ...foreignKeys(pulumi.runtime.allConfig()).warnings,
    ...idleWarnings(settings, (key) => isChanged(key, raw)),
    ...riskWarnings(settings),
    ...gatewayLogWarnings(settings),
    ...jobsWarnings(settings),
    ...storeWarnings(settings),
  ])
    await pulumi.log.warn(warning);
  if (settings.platform !== "gke") return deploy(settings);
  // Loaded on demand: nobody else needs Google's SDK. `import()` would want a file extension, which differs between the
  // sources that the engine runs and their compiled form.
  const { gkePlatform } = require("./stacks/gke") as typeof import("./stacks/gke/index.js");
  return deploy(settings, await gkePlatform(settings));
}

/** Declares everything a stack consists of and returns its outputs. */
export function deploy(settings: Settings, platform: Platform = kubernetesPlatform(settings)): DeclaredOutputs {
  const stack = parts.stackContext(settings, platform);
  const nats = parts.natsPart(stack, () => contract);
  const database = parts.databasePart(stack);

  const unknownLine = lineWarning(settings);
  if (unknownLine) void pulumi.log.warn(unknownLine);
  const contract = parts.contractArgs(stack, nats);
  // Without NoETL nobody creates its stream, and only what is declared can be proven.
  const provable = database !== undefined || contract.declared !== undefined;
  const ensured = provable && settings.contractMode === "ensure" ? parts.ensuredContract(contract, nats) : undefined;
  // Before NoETL: after a change of names it must not go on making what NoETL no longer uses.
  parts.guardPart(stack, nats, ensured);

  const needs = { nats, contract, ensured };
  const noetl = database && parts.noetlPart(stack, database, needs);
  const gateway = parts.gatewayPart(stack, noetl, needs);
  const exposed = platform.expose?.({ noetl, gateway });
  const proven = provable ? parts.provenContract({ ...needs, noetl, gateway }) : undefined;

  // Whoever logs in has moved by now, and it has been proven that the new login works.
  const moved = parts.present([ensured, noetl, gateway, proven]);
  nats.deployed?.retireOldLogins(moved);
  database?.retireOldLogins(moved);

  return outputsOf(settings, { nats, database, noetl, gateway, contract: proven, exposed });
}
