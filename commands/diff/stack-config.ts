import * as fs from "node:fs";
import * as path from "node:path";
import { SETTINGS, type Setting } from "../../config/schema";
import { isEngineMap, isEngineScalar, parseEngineYaml, type EngineScalar, type EngineValue } from "./engine-yaml";
import { DiffError, messageOf, type Side } from "./errors";
import type { Placeholders } from "../../contract/mask/placeholders";

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

type Entries = Readonly<Record<string, EngineValue>>;

function read(file: string, side: Side): Entries {
  let parsed: EngineValue | undefined;
  try {
    parsed = parseEngineYaml(fs.readFileSync(file, "utf8"));
  } catch (error) {
    const reason = messageOf(error).split("\n")[0];
    throw new DiffError(`${path.basename(file)} cannot be read: ${reason}`, "failed", side);
  }
  if (parsed === undefined || (isEngineScalar(parsed) && parsed.kind === "nothing")) return {};
  if (!isEngineMap(parsed)) throw new DiffError(`${path.basename(file)} is not a YAML map`, "failed", side);
  return parsed.map;
}

const isNothing = (value: EngineValue | undefined): boolean =>
  value === undefined || (isEngineScalar(value) && value.kind === "nothing");
const textOf = (value: EngineValue | undefined): string | undefined =>
  isEngineScalar(value) && value.kind !== "nothing" ? value.text : undefined;
const mapOf = (value: EngineValue | undefined): Entries => (isEngineMap(value) ? value.map : {});

/** Names of the stacks that have a file in the project. */
export function stacksOf(project: string): string[] {
  return fs
    .readdirSync(project)
    .flatMap((name) => /^Pulumi\.(.+)\.ya?ml$/.exec(name)?.[1] ?? [])
    .sort();
}

export interface StackConfigOptions {
  readonly project: string;
  readonly stack: string;
  readonly side: Side;
  readonly placeholders: Placeholders;
  /** Key (with or without the project) to text, on top of both files. */
  readonly overrides: Readonly<Record<string, string>>;
  readonly isSecretKey: (key: string) => boolean;
}

/**
 * Reads Pulumi.yaml and the stack's file the way the engine does. Encrypted values become stand-ins made from their
 * ciphertext: unchanged ciphertext, unchanged value.
 *
 * @throws DiffError for a file that cannot be read, and for plain numbers, booleans and dates of the working tree where a text
 *   is expected
 */
export function stackConfig(args: StackConfigOptions): StackConfig {
  const { project, stack, side, placeholders } = args;
  const projectFile = read(path.join(project, "Pulumi.yaml"), side);
  const name = textOf(projectFile.name) ?? "";
  if (!name) throw new DiffError("Pulumi.yaml names no project", "failed", side);
  const full = (key: string) => (key.includes(":") ? key : `${name}:${key}`);

  const values: Record<string, string> = {};
  const secretKeys = new Set<string>();
  for (const [key, declared] of Object.entries(mapOf(projectFile.config))) {
    const { value, default: fallback, secret } = isEngineMap(declared) ? declared.map : { value: declared };
    const found = isNothing(value) ? fallback : value;
    if (found === undefined || isNothing(found)) continue;
    values[full(key)] = configText(found, placeholders).text;
    if (textOf(secret) === "true") secretKeys.add(full(key));
  }

  const folder = path.join(project, textOf(projectFile.stackConfigDir) ?? ".");
  const file = [".yaml", ".yml"]
    .map((end) => path.join(folder, `Pulumi.${stack}${end}`))
    .find((each) => fs.existsSync(each));
  const stackFile = file ? read(file, side) : {};
  const own = mapOf(stackFile.config);
  // The base is what it is; a change that puts it right must be comparable with it.
  if (file && side === "head") refuseUnquoted(path.basename(file), own, (key) => full(key).slice(name.length + 1));
  for (const [key, value] of Object.entries(own)) {
    const { text, secret } = configText(value, placeholders);
    values[full(key)] = text;
    if (secret) secretKeys.add(full(key));
    else secretKeys.delete(full(key));
  }
  for (const [key, value] of Object.entries(args.overrides)) {
    values[full(key)] = value;
    if (args.isSecretKey(full(key).slice(name.length + 1))) secretKeys.add(full(key));
  }
  return {
    project: name,
    main: entry(project, textOf(projectFile.main)),
    exists: file !== undefined,
    values,
    secretKeys: [...secretKeys].sort(),
    ownKeys: Object.keys(own).map(full).sort(),
    encryption: JSON.stringify(
      [stackFile.secretsprovider, stackFile.encryptedkey, stackFile.encryptionsalt].map(
        (value) => textOf(value) ?? null,
      ),
    ),
  };
}

/** What an unquoted scalar is taken for, in words. */
const KINDS: Readonly<Record<string, string>> = { number: "a number", boolean: "true or false", date: "a date" };

/**
 * Refuses plain scalars that the engine takes for something else than the text they were meant to be: `natsUser: 0123` is
 * user 83 in the cluster. A size may be a plain number where nothing of it changes.
 *
 * @throws DiffError with every such key at once, no value of a secret setting among them
 */
function refuseUnquoted(file: string, own: Entries, shortKey: (key: string) => string): void {
  const problems = Object.entries(own).flatMap(([key, value]) => {
    const name = shortKey(key);
    const setting = (SETTINGS as unknown as Record<string, Setting<unknown> | undefined>)[name];
    if (setting?.kind !== "string" || !isEngineScalar(value)) return [];
    const { kind, source, text } = value;
    if (kind === undefined || kind === "nothing") return [];
    if (kind === "number" && setting.unit !== undefined && source === text) return [];
    const [meant, read] = setting.secret ? ["...", ""] : [source, ` "${text}"`];
    return [
      `${key}: is ${KINDS[kind] ?? kind} without quotes, which the engine reads as the text${read}; quote it: ${key}: "${meant}"`,
    ];
  });
  if (problems.length > 0) throw new DiffError(`${file}:\n${problems.join("\n")}`, "failed", "head");
}

/**
 * A value as the engine hands it over: as text, which is JSON where it is a list or a map. Every `secure: ...` in it is
 * replaced by a stand-in.
 */
function configText(value: EngineValue, placeholders: Placeholders): { text: string; secret: boolean } {
  if (isEngineScalar(value)) return { text: value.text, secret: false };
  const { plain, secret } = decrypted(value, placeholders);
  return { text: typeof plain === "string" ? plain : JSON.stringify(plain), secret };
}

/** A value with every `secure: ...` in it replaced by a stand-in, as JSON holds it. */
function decrypted(value: EngineValue, placeholders: Placeholders): { plain: unknown; secret: boolean } {
  if (isEngineScalar(value)) return { plain: jsonScalar(value), secret: false };
  if (!isEngineMap(value)) {
    const items = (value as readonly EngineValue[]).map((item) => decrypted(item, placeholders));
    return { plain: items.map((item) => item.plain), secret: items.some((item) => item.secret) };
  }
  const entries = Object.entries(value.map);
  const [only] = entries;
  const ciphertext = entries.length === 1 && only?.[0] === "secure" ? textOf(only[1]) : undefined;
  if (ciphertext !== undefined) return { plain: placeholders.text("secret", "config", ciphertext), secret: true };
  // The engine writes maps with their keys in order.
  const inner = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, decrypted(item, placeholders)] as const);
  return {
    plain: Object.fromEntries(inner.map(([key, item]) => [key, item.plain])),
    secret: inner.some(([, item]) => item.secret),
  };
}

function jsonScalar({ text, kind }: EngineScalar): unknown {
  if (kind === "number") return Number(text);
  if (kind === "boolean") return text === "true";
  return kind === "nothing" ? null : text;
}

function entry(project: string, main: string | undefined): string {
  if (main !== undefined) return main;
  const file = path.join(project, "package.json");
  if (fs.existsSync(file)) {
    const { main: own } = JSON.parse(fs.readFileSync(file, "utf8")) as { main?: string };
    if (own) return own;
  }
  return "index.ts";
}
