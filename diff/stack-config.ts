import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { DiffError, messageOf, type Side } from "./errors";
import type { Placeholders } from "./placeholders";

/** One side's project and the configuration of one of its stacks. */
export interface StackConfig {
  readonly project: string;
  /** The program's entry, as Pulumi.yaml or package.json name it, relative to the project. */
  readonly main: string;
  /** False where the stack has no file: it is new, or gone. */
  readonly exists: boolean;
  /** Full key (`project:key`) to text, stand-ins in the place of encrypted values. */
  readonly values: Readonly<Record<string, string>>;
  /** Full keys that the stack keeps encrypted. */
  readonly secretKeys: readonly string[];
  /** Full keys that the stack's own file sets; the others are the project's defaults. */
  readonly ownKeys: readonly string[];
  /** How the stack encrypts: where it changes, every ciphertext does. */
  readonly encryption: string;
}

type Yaml = Record<string, unknown>;

const isMap = (value: unknown): value is Yaml => typeof value === "object" && value !== null && !Array.isArray(value);

function read(file: string, side: Side): Yaml {
  let parsed: unknown;
  try {
    parsed = parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    const reason = messageOf(error).split("\n")[0];
    throw new DiffError(`${path.basename(file)} cannot be read: ${reason}`, "failed", side);
  }
  if (parsed === null || parsed === undefined) return {};
  if (!isMap(parsed)) throw new DiffError(`${path.basename(file)} is no YAML map`, "failed", side);
  return parsed;
}

/** Names of the stacks that have a file in the project. */
export function stacksOf(project: string): string[] {
  return fs
    .readdirSync(project)
    .flatMap((name) => /^Pulumi\.(.+)\.ya?ml$/.exec(name)?.[1] ?? [])
    .sort();
}

/**
 * Reads Pulumi.yaml and the stack's file the way the engine does. Encrypted values become stand-ins made from their
 * ciphertext: unchanged ciphertext, unchanged value.
 *
 * @param overrides key (with or without the project) to text, on top of both files
 */
export function stackConfig(args: {
  project: string;
  stack: string;
  side: Side;
  placeholders: Placeholders;
  overrides: Readonly<Record<string, string>>;
  isSecretKey: (key: string) => boolean;
}): StackConfig {
  const { project, stack, side, placeholders } = args;
  const projectFile = read(path.join(project, "Pulumi.yaml"), side);
  const name = typeof projectFile.name === "string" ? projectFile.name : "";
  if (!name) throw new DiffError("Pulumi.yaml names no project", "failed", side);
  const full = (key: string) => (key.includes(":") ? key : `${name}:${key}`);

  const values: Record<string, string> = {};
  const secretKeys = new Set<string>();
  for (const [key, declared] of Object.entries(isMap(projectFile.config) ? projectFile.config : {})) {
    const value = isMap(declared) ? (declared.value ?? declared.default) : declared;
    if (value === undefined || value === null) continue;
    values[full(key)] = configText(value);
    if (isMap(declared) && declared.secret === true) secretKeys.add(full(key));
  }

  const folder =
    typeof projectFile.stackConfigDir === "string" ? path.join(project, projectFile.stackConfigDir) : project;
  const file = [".yaml", ".yml"]
    .map((end) => path.join(folder, `Pulumi.${stack}${end}`))
    .find((each) => fs.existsSync(each));
  const stackFile = file ? read(file, side) : {};
  const own = isMap(stackFile.config) ? stackFile.config : {};
  for (const [key, value] of Object.entries(own)) {
    if (value === undefined || value === null) continue;
    const { plain, secret } = decrypted(value, placeholders);
    values[full(key)] = configText(plain);
    if (secret) secretKeys.add(full(key));
    else secretKeys.delete(full(key));
  }
  for (const [key, value] of Object.entries(args.overrides)) {
    values[full(key)] = value;
    if (args.isSecretKey(full(key).slice(name.length + 1))) secretKeys.add(full(key));
  }
  return {
    project: name,
    main: entry(project, projectFile),
    exists: file !== undefined,
    values,
    secretKeys: [...secretKeys].sort(),
    ownKeys: Object.keys(own).map(full).sort(),
    encryption: JSON.stringify([stackFile.secretsprovider, stackFile.encryptedkey, stackFile.encryptionsalt]),
  };
}

/** The engine hands every value over as text: JSON where it is a list or a map. */
const configText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** A value with every `secure: ...` in it replaced by a stand-in. */
function decrypted(value: unknown, placeholders: Placeholders): { plain: unknown; secret: boolean } {
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => decrypted(item, placeholders));
    return { plain: items.map((item) => item.plain), secret: items.some((item) => item.secret) };
  }
  if (!isMap(value)) return { plain: value, secret: false };
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.secure === "string") {
    return { plain: placeholders.text("secret", "config", value.secure), secret: true };
  }
  const entries = keys.map((key) => [key, decrypted(value[key], placeholders)] as const);
  return {
    plain: Object.fromEntries(entries.map(([key, item]) => [key, item.plain])),
    secret: entries.some(([, item]) => item.secret),
  };
}

function entry(project: string, projectFile: Yaml): string {
  if (typeof projectFile.main === "string") return projectFile.main;
  const file = path.join(project, "package.json");
  if (fs.existsSync(file)) {
    const { main } = JSON.parse(fs.readFileSync(file, "utf8")) as { main?: string };
    if (main) return main;
  }
  return "index.ts";
}
