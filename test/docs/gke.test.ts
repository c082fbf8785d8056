import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../config/parse";
import { PLAYBOOK_ACTIONS } from "../../config/playbooks";
import { PROJECT, projectRoot } from "../../contract/project";
import { EXISTING, FACTS } from "../support/gke/configurations";
import { run } from "../support/gke/mocks";

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

/** The settings after `commands`, one a line; undefined where none of them sets anything. */
function settingsAfter(before: Record<string, string>, commands: string): Record<string, string> | undefined {
  const setting = [...commands.matchAll(/^pulumi (stack init|config set|config rm) (\S+)(?: (\S+))?/gm)];
  if (setting.length === 0) return undefined;
  let settings = before;
  for (const [, command, name = "", value = ""] of setting) {
    if (command === "stack init") settings = stackFile(name);
    else if (command === "config set") settings = { ...settings, [name]: value };
    else settings = Object.fromEntries(Object.entries(settings).filter(([key]) => key !== name));
  }
  return settings;
}

/** What the program would be run with after each block of commands that sets something. */
function settingsAlong(section: string): Record<string, string>[] {
  const found: Record<string, string>[] = [];
  for (const [, block = ""] of section.matchAll(/```sh\n(.*?)```/gs)) {
    const settings = settingsAfter(found.at(-1) ?? {}, block);
    if (settings) found.push(settings);
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

  it.each([
    ["A fresh stack, from an empty project", FACTS],
    ["Onto an existing cluster", EXISTING],
  ])("%s: say how many resources the first update creates", async (title, facts) => {
    const section = sections.get(title) ?? "";
    const { declared } = await run(settingsAlong(section)[0] ?? {}, facts);
    // And the stack itself.
    expect(/`[^`]*?(\d+) to create`/.exec(section)?.[1]).toBe(String(declared.length + 1));
  });

  it.each(PLAYBOOK_ACTIONS.map(({ action, commands }) => [action, commands] as const))(
    "%s: its commands leave the shipped stack with settings that can be run",
    (_, commands) => {
      const settings = settingsAfter(stackFile("gke"), commands.join("\n")) ?? stackFile("gke");
      expect(() => parseSettings(settings)).not.toThrow();
    },
  );
});

it("the reader of docs/ci.md may read Secrets wherever the shipped stack has them or Helm's releases, and nowhere else", async () => {
  const [, list = ""] = /^for NAMESPACE in (.*); do/m.exec(read("docs", "ci.md")) ?? [];
  const { declared } = await run(stackFile("gke"), FACTS);
  const namespaces = declared.flatMap(({ type, inputs }) => {
    const { metadata, namespace } = inputs as { metadata?: { namespace?: string }; namespace?: string };
    if (type === "kubernetes:core/v1:Secret") return [metadata?.namespace];
    return type === "kubernetes:helm.sh/v3:Release" ? [namespace] : [];
  });
  expect(list.split(" ").sort()).toEqual([...new Set(namespaces)].sort());
});
