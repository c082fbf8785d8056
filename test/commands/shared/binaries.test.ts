import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { builtBinary, cacheDir, findBinary, requireBinary } from "../../../commands/shared/binaries";
import { findEngine, hintFor, wordsOfStack } from "../../../commands/shared/engine";
import { projectRoot } from "../../../contract/project";
import { handOverEngine } from "../../../embedded/home";

let folder: string;
const program = (file: string): string => {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, "#!/bin/sh\n", { mode: 0o755 });
  return file;
};

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-binaries-"));
  vi.stubEnv("NOETL_NATS_CACHE", path.join(folder, "cache"));
  vi.stubEnv("PATH", path.join(folder, "path"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(folder, { recursive: true, force: true });
});

describe("a program that a command runs", () => {
  it("is taken from PATH, else from those that were built", () => {
    expect(findBinary("helm")).toBeUndefined();
    const built = program(path.join(folder, "cache", "bin", "helm"));
    expect(builtBinary("helm")).toBe(built);
    expect(findBinary("helm")).toBe(built);
    const installed = program(path.join(folder, "path", "helm"));
    expect(requireBinary("helm")).toBe(installed);
  });

  it("is asked for in one sentence where there is none, and nothing is built", () => {
    expect(() => requireBinary("helm")).toThrow(/^helm is not on PATH: install it \(https:\/\/helm\.sh\/\S+\)$/);
    expect(() => findEngine("kind", folder)).toThrow(
      /^pulumi is not on PATH: install it \(https:\/\/www\.pulumi\.com\/\S+\)$/,
    );
    expect(fs.existsSync(cacheDir())).toBe(false);
  });
});

describe("the engine of a stack", () => {
  it("is the user's", () => {
    const pulumi = program(path.join(folder, "path", "pulumi"));
    expect(wordsOfStack("kind", folder)).toBeUndefined();
    expect(findEngine("kind", folder)).toMatchObject({ command: pulumi, cwd: folder });
  });

  it("is the stack's own where whoever made the stack has handed it over, with its state and its passphrase", () => {
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of another stack");
    const dir = path.join(folder, ".embedded");
    fs.mkdirSync(dir);
    handOverEngine(dir);
    expect(wordsOfStack("embedded", folder)).toEqual({
      up: "npm run up:embedded",
      refresh: "npm run up:embedded -- --refresh",
      set: "npm run up:embedded -- -c KEY=VALUE",
    });
    const { command, env } = findEngine("embedded", folder);
    expect(command).toBe(path.join(dir, "pulumi-cli", "bin", "pulumi"));
    expect(env).toMatchObject({
      PULUMI_BACKEND_URL: `file://${path.join(dir, "state")}`,
      PULUMI_HOME: path.join(dir, "pulumi"),
    });
    expect(env.PULUMI_CONFIG_PASSPHRASE).toBeUndefined();
    expect(fs.existsSync(env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "")).toBe(true);
    // No credential stands in what is handed over.
    expect(fs.readFileSync(path.join(dir, "engine.json"), "utf8")).not.toContain(
      fs.readFileSync(env.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", "utf8"),
    );
  });

  it("that was handed over before there were words for it is read, and its commands are pulumi's", () => {
    fs.mkdirSync(path.join(folder, ".embedded"));
    fs.writeFileSync(path.join(folder, ".embedded", "engine.json"), '{"command":"/bin/pulumi","env":{}}');
    expect(findEngine("embedded", folder).command).toBe("/bin/pulumi");
    expect(wordsOfStack("embedded", folder)).toBeUndefined();
  });
});

describe("what to do about an error of the engine", () => {
  it.each([
    ["no stack named 'embedded' found", "embedded", "The stack embedded is made by: npm run up:embedded"],
    ["no stack named 'kind' found", "kind", "Stacks that exist: pulumi stack ls"],
    ["failed to load checkpoint: EOF", "kind", "docs/troubleshooting.md, a state that cannot be read"],
    ["failed to load checkpoint: unexpected EOF", "kind", "docs/troubleshooting.md"],
    ["passphrase must be set with PULUMI_CONFIG_PASSPHRASE", "kind", "PULUMI_CONFIG_PASSPHRASE_FILE"],
    ["something else", "kind", ""],
  ])("%s", (said, stack, hint) => expect(hintFor(said, stack)).toContain(hint));

  it("names a script of this project that there is", () => {
    const { scripts } = JSON.parse(fs.readFileSync(path.join(projectRoot(), "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const [, script = ""] = /npm run (\S+)/.exec(hintFor("no stack named", "embedded")) ?? [];
    expect(scripts).toHaveProperty([script]);
  });
});
