/** Settings of the embedded stack: those that it comes with, and those that are given on the command line. */
import * as fs from "node:fs";
import * as path from "node:path";
import { CommandError } from "../commands/shared/exit";
import { inStackWords } from "../commands/shared/stack-words";
import { SETTINGS, type SettingKey } from "../config/schema";
import { NODE_PORTS } from "../contract/facts";
import { PROJECT, projectRoot } from "../contract/project";
import { clusterFiles } from "./cluster/places";
import { WORDS } from "./home";
import { GATEWAY_RELEASE } from "./toolchain/gateway";

/**
 * Settings that make the program fit the embedded cluster; those of the command line come on top.
 *
 * @param gateway whether the cluster runs the gateway itself
 */
export function embeddedConfig(kubeconfigPath: string, gateway = false): Partial<Record<SettingKey, string>> {
  return {
    kubeconfig: kubeconfigPath,
    deployGateway: "true",
    // Nothing can be run in a simulated pod. Said, because a stack of before has it as true.
    natsBox: "false",
    // No image is pulled here; the tag says what runs.
    gatewayImage: `noetl-gateway:${gateway ? GATEWAY_RELEASE : "embedded"}`,
    natsNodePort: String(NODE_PORTS.natsClient),
    natsMonitorNodePort: String(NODE_PORTS.natsMonitor),
    noetlNodePort: String(NODE_PORTS.noetl),
    postgresNodePort: String(NODE_PORTS.postgres),
    gatewayNodePort: String(NODE_PORTS.gateway),
  };
}

/** What is set here for parts that are asked away: nobody is to read that settings which he has not set have no effect. */
export const unsetWithout = (asked: Readonly<Record<string, string>> = {}): Partial<Record<SettingKey, string>> => ({
  ...(asked.deployGateway === "false" ? { gatewayImage: "" } : {}),
  ...(asked.deployNats === "false" ? { natsChart: "" } : {}),
});

/** Stands in for the chart nats/nats where its repository cannot be reached. */
export const STAND_IN_CHART = "./embedded/charts/nats";

/** What stands in a stack's file: a text, or what is encrypted. */
type Written = string | { readonly secure: true };

/** A value of a secret setting that cannot be read here. */
const UNREADABLE = "Encrypted-in-the-file.1";

/**
 * Refuses what the program would refuse, before anything is started or kept: a setting that was kept would be refused again by every
 * later update.
 *
 * @param given settings of the command line
 * @throws CommandError `usage` with everything that is wrong with the settings.
 */
export async function refuseWrong(given: Readonly<Record<string, string>>, dir: string, stack: string): Promise<void> {
  const written = await readWritten(stack);
  const own: Record<string, string> = { ...embeddedConfig(clusterFiles(path.join(dir, "cluster")).kubeconfig) };
  Object.assign(own, { natsChart: STAND_IN_CHART }, unsetWithout(given));
  const foreign: Record<string, string> = {};
  const encrypted = new Set<string>();
  for (const [name, value] of Object.entries(written)) {
    const key = keyOf(name);
    if (typeof value !== "string") encrypted.add(key ?? name);
    const text = typeof value === "string" ? value : UNREADABLE;
    if (key === undefined) foreign[name] = text;
    // What the stack comes with is set again by each update.
    else if (!(key in own)) own[key] = text;
  }
  for (const key of unsets(given, own)) delete own[key];
  const { ConfigError, parseSettings } = await import("../config/parse.js");
  try {
    const set = Object.fromEntries(Object.entries(given).filter(([key, value]) => value !== "" || key in SETTINGS));
    parseSettings({ ...own, ...set }, (key) => key in given || encrypted.has(key), foreign);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Of what cannot be read here the program decides.
    const unreadable = [...encrypted].filter((key) => !(key in given));
    const problems = error.problems.filter((each) => !unreadable.some((key) => isAbout(each, key)));
    if (problems.length === 0) return;
    const words = inStackWords(WORDS, new ConfigError(problems).message, stack);
    throw new CommandError(`${words}\nNothing was started, and nothing changed.`, "usage");
  }
}

/** Whether a problem's own key is this one; other problems may name it, and other keys may hold its letters. */
const isAbout = (problem: string, key: string): boolean =>
  problem.startsWith(`${key}: `) || problem.startsWith(`${key}[`);

/** Keys of no setting that are to be taken out of the stack's file: they are given without a value. */
export const unsets = (given: Readonly<Record<string, string>>, present: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(given).filter((key) => given[key] === "" && !(key in SETTINGS) && key in present);

/** The key without the project's name; undefined for one of another namespace. */
const keyOf = (name: string): string | undefined =>
  name.startsWith(`${PROJECT}:`) ? name.slice(PROJECT.length + 1) : name.includes(":") ? undefined : name;

/** The configuration in a stack's file; none where there is no file, or it is none of the engine's: the engine says so. */
async function readWritten(stack: string): Promise<Record<string, Written>> {
  const file = path.join(projectRoot(), `Pulumi.${stack}.yaml`);
  if (!fs.existsSync(file)) return {};
  const { parse } = await import("yaml");
  try {
    const { config } = (parse(fs.readFileSync(file, "utf8")) ?? {}) as { config?: Record<string, unknown> };
    return Object.fromEntries(Object.entries(config ?? {}).map(([key, value]) => [key, textOf(value)]));
  } catch {
    return {};
  }
}

/** As the engine hands a value on. */
function textOf(value: unknown): Written {
  if (typeof value === "object" && value !== null) return "secure" in value ? { secure: true } : JSON.stringify(value);
  return typeof value === "string" ? value : JSON.stringify(value ?? "");
}
