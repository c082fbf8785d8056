import type { StackOutputs } from "../../config/outputs";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import { findBinary, onPath, requireBinary } from "./binaries";
import { CommandError } from "./exit";
import type { StackWords } from "./stack-words";

/** The `pulumi` command and the environment it runs in. */
export interface Engine {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
  /** Folder of the project. */
  readonly cwd: string;
}

/** What a stack is configured with and what it put out, secrets in plain text: to be used, never to be printed. */
export interface StackContent {
  /** Keys without the project's name. */
  readonly config: Readonly<Record<string, string>>;
  readonly outputs: { readonly [K in keyof StackOutputs]?: unknown };
}

const DEADLINE_MILLISECONDS = 60_000;

/** What whoever made a stack with an engine of its own leaves in `.STACK/engine.json`. */
export interface OwnEngine {
  readonly command: string;
  /** Variables that lead to the stack's state; null takes one away that the user has. */
  readonly env: Readonly<Record<string, string | null>>;
  /** What a user types in place of the engine's commands. */
  readonly words?: StackWords;
}

const handedOver = (stack: string, root: string): string => path.join(root, `.${stack}`, "engine.json");

/** The engine that a stack brings along, by which it is read and updated; undefined where it is the user's. */
function ownEngine(stack: string, root: string): OwnEngine | undefined {
  const file = handedOver(stack, root);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as OwnEngine) : undefined;
}

/** What takes the place of the engine's commands for a stack that brings its own; undefined where they are pulumi's. */
export const wordsOfStack = (stack: string, root = projectRoot()): OwnEngine["words"] => ownEngine(stack, root)?.words;

/** The engine that knows `stack`: the stack's own, or the user's. @throws CommandError */
export function findEngine(stack: string, root = projectRoot()): Engine {
  const brought = ownEngine(stack, root);
  if (brought) {
    const { command, env } = brought;
    const own = Object.entries(env).map(([name, value]) => [name, value ?? undefined] as const);
    return { command, env: { ...process.env, ...Object.fromEntries(own) }, cwd: root };
  }
  try {
    const command = requireBinary("pulumi");
    return { command, env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" }, cwd: root };
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

/** Command or path of `helm`: one that was built serves where none is on PATH. */
export const helmCommand = (): string => (onPath("helm") ? "helm" : (findBinary("helm") ?? "helm"));

/**
 * Configuration and outputs of a stack. Two short runs of the engine at once; secrets come back through a pipe, and
 * stand in no process's arguments.
 *
 * @param project Name of the project, the prefix of its configuration keys.
 * @throws CommandError with what the engine says.
 */
export async function readStack(engine: Engine, stack: string, project: string): Promise<StackContent> {
  const [config, outputs] = await Promise.all([
    readConfig(engine, stack),
    ask<Record<string, unknown>>(engine, ["stack", "output", "--json", "--show-secrets", "--stack", stack], stack),
  ]);
  const own = Object.entries(config).flatMap(([key, { value }]) =>
    key.startsWith(`${project}:`) && value !== undefined ? [[key.slice(project.length + 1), value] as const] : [],
  );
  return { config: Object.fromEntries(own), outputs };
}

type Config = Readonly<Record<string, { readonly value?: string; readonly secret?: boolean }>>;

/** The configuration; deriving the key of its secrets is half of the time that it takes, and left out where there are none. */
async function readConfig(engine: Engine, stack: string): Promise<Config> {
  const read = (more: readonly string[]) => ask<Config>(engine, ["config", "--json", ...more, "--stack", stack], stack);
  if (isWithoutSecrets(path.join(engine.cwd, `Pulumi.${stack}.yaml`))) {
    const plain = await read([]);
    if (!Object.values(plain).some(({ secret }) => secret)) return plain;
  }
  return read(["--show-secrets"]);
}

function isWithoutSecrets(file: string): boolean {
  try {
    return !/\bsecure["']?\s*:/.test(fs.readFileSync(file, "utf8"));
  } catch {
    return false;
  }
}

function ask<T>({ command, env, cwd }: Engine, args: readonly string[], stack: string): Promise<T> {
  return new Promise((resolve, reject) => {
    execFile(
      command,
      ["--non-interactive", ...args],
      { env, cwd, timeout: DEADLINE_MILLISECONDS, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (!error) {
          resolve(JSON.parse(stdout === "" ? "{}" : stdout) as T);
          return;
        }
        const said = stderr.trim().replace(/^error: /, "");
        const why = error.killed
          ? `the engine gave no answer within ${DEADLINE_MILLISECONDS / 1000} s`
          : said || (error.code === "ENOENT" ? `${command} cannot be run` : error.message);
        reject(new CommandError(`stack ${stack} cannot be read: ${why}\n${hintFor(said, stack)}`.trim()));
      },
    );
  });
}

/** The state that the engine was writing when it was killed: `failed to load checkpoint: EOF`, or half a file's JSON. */
const CUT_OFF = /failed to load checkpoint|unexpected (EOF|end of JSON)/i;

/** What to do about an error of the engine; empty where nothing is known. */
export function hintFor(said: string, stack: string, root = projectRoot()): string {
  if (CUT_OFF.test(said)) {
    return (
      "The file of the stack's state is cut off, as when an engine is killed while it writes. Pulumi keeps the one before:\n" +
      "see docs/troubleshooting.md, a state that cannot be read."
    );
  }
  if (/no stack named|not found/i.test(said)) {
    const script = scriptThatMakes(stack, root);
    return script === undefined
      ? "Stacks that exist: pulumi stack ls"
      : `The stack ${stack} is made by: npm run ${script}`;
  }
  if (/passphrase/i.test(said)) return "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.";
  if (/login|credentials/i.test(said)) return "Log in to the stack's backend: pulumi login";
  return "";
}

/** The project's script `up:STACK`, which makes a stack of that name; undefined where there is none. */
function scriptThatMakes(stack: string, root: string): string | undefined {
  const script = `up:${stack}`;
  try {
    const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as { scripts?: object };
    return scripts !== undefined && script in scripts ? script : undefined;
  } catch {
    return undefined;
  }
}
