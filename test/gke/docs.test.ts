import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../config/parse";
import { PROJECT, projectRoot } from "../../config/project";

const read = (...names: string[]): string => fs.readFileSync(path.join(projectRoot(), ...names), "utf8");

/** Settings of a stack's file; empty where a new stack has none. */
function stackFile(stack: string): Record<string, string> {
  const name = `Pulumi.${stack}.yaml`;
  if (!fs.existsSync(path.join(projectRoot(), name))) return {};
  const { config } = parse(read(name)) as { config: Record<string, unknown> };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(`${PROJECT}:`, ""), String(value)]),
  );
}

/** What the program would be run with after each block of commands that sets something. */
function settingsAlong(section: string): Record<string, string>[] {
  const found: Record<string, string>[] = [];
  let settings: Record<string, string> = {};
  for (const [, block = ""] of section.matchAll(/```sh\n(.*?)```/gs)) {
    const commands = [...block.matchAll(/^pulumi (stack init|config set|config rm) (\S+)(?: (\S+))?/gm)];
    for (const [, command, name = "", value = ""] of commands) {
      if (command === "stack init") settings = stackFile(name);
      else if (command === "config set") settings = { ...settings, [name]: value };
      else settings = Object.fromEntries(Object.entries(settings).filter(([key]) => key !== name));
    }
    if (commands.length > 0) found.push(settings);
  }
  return found;
}

describe("the steps of docs/gke.md", () => {
  const sections = new Map(
    read("docs", "gke.md")
      .split(/^## /m)
      .map((section) => [section.slice(0, section.indexOf("\n")), section] as const),
  );

  it.each([
    ["A fresh stack, from an empty project", 2],
    ["Onto an existing cluster", 1],
    ["Destroy", 1],
  ])("%s: leave the stack with settings that can be run", (title, blocks) => {
    const along = settingsAlong(sections.get(title) ?? "");
    expect(along).toHaveLength(blocks);
    for (const settings of along) {
      const complete = title === "Destroy" ? { ...stackFile("gke"), ...settings } : settings;
      expect(() => parseSettings(complete)).not.toThrow();
    }
  });
});
