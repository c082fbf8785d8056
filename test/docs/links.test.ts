import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../config/parse";
import { SETTINGS } from "../../config/schema";
import { PROJECT, projectRoot } from "../../contract/project";
import { GENERATED_PARTS } from "../../scripts/generate";
import { anchorsOf, codeIn, projectFiles, readProject, withoutBlocks } from "../support/markdown";

const FILES = projectFiles();
const PAGES = FILES.filter((file) => /^(README|CONTRIBUTING)\.md$|^docs\/.*\.md$|\/README\.md$/.test(file));
const TOPS = new Set(FILES.flatMap((file) => (file.includes("/") ? [file.split("/")[0] ?? ""] : [])));
const NAMES = new Set(FILES.map((file) => path.basename(file)));
const { scripts } = JSON.parse(readProject("package.json")) as { scripts: Record<string, string> };
const PROJECTS = [...readProject("vitest.config.mts").matchAll(/name: "(\w+)"/g)].map(([, name]) => name);

const OUTPUTS = [...readProject("config/outputs.ts").matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);

const isThere = (...place: string[]): boolean => fs.existsSync(path.join(projectRoot(), ...place));

/** Words that look like a file or a folder of the project: with the name of a folder of ours, or with an ending of sources. */
function pathsIn(text: string): string[] {
  return codeIn(text).filter((code) => {
    if (!/^\.?[\w-][\w.-]*(\/[\w.-]+)*\/?$/.test(code)) return false;
    const isSource = /\.(ts|mjs|md|sh|tpl)$/.test(code);
    return isSource || (code.includes("/") && TOPS.has(code.split("/")[0] ?? ""));
  });
}

/** Links of a page that lead into the project, with what stands after `#`. */
const linksIn = (text: string): { target: string; anchor: string | undefined }[] =>
  [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    const [target = "", anchor] = link.split("#");
    return /^[a-z]+:/.test(link) ? [] : [{ target, anchor }];
  });

it("the pages are all there are", () => {
  expect(PAGES).toEqual(
    expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/contract.md", "embedded/noetl/README.md"]),
  );
});

it("what looks like a path of the project is found", () => {
  const text =
    "`contract/gone.ts`, `commands/`, `values.ts`, `.ci/run`, `a b`, `kubectl`, `noetl/x`, `.embedded/`, `docs/a.md#b`";
  expect(pathsIn(text)).toEqual(["contract/gone.ts", "commands/", "values.ts", ".ci/run"]);
});

describe.each(PAGES)("%s", (page) => {
  const text = readProject(page);
  const folder = path.dirname(page);

  it("links to pages, and to headings in them, that there are", () => {
    for (const { target, anchor } of linksIn(text)) {
      const file = target === "" ? page : path.join(folder, target);
      expect(isThere(file), `${target} from ${page}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readProject(file)), `${target}#${anchor}`).toContain(anchor);
    }
  });

  it("names files and folders that there are", () => {
    for (const name of pathsIn(withoutBlocks(text))) {
      const isName = !name.includes("/") && NAMES.has(name);
      expect(isName || isThere(name) || isThere(folder, name), name).toBe(true);
    }
  });

  it("names pages, outside of links too, and settings that there are", () => {
    for (const [name] of text.matchAll(/\bdocs\/[\w/.-]+\.md\b/g)) expect(isThere(name), name).toBe(true);
    for (const [, key = ""] of text.matchAll(/pulumi config (?:set|rm|get) (?:--[a-z]+ )*'?([a-z]\w*)/g))
      expect(SETTINGS, key).toHaveProperty(key);
  });

  it("names outputs that stacks have", () => {
    for (const [, one, other] of text.matchAll(/\bpulumi stack output (\w+)|\bstack's outputs? `(\w+)`/g))
      expect(OUTPUTS).toContain(one ?? other);
  });

  it("has no name of the code in its prose but settings, and fields that it explains", () => {
    const prose = withoutBlocks(text).replace(/`[^`]*`/g, "");
    const known = [...Object.keys(SETTINGS), ...codeIn(text), "gRPC", "preStop", "serviceAccount", "vCPU"];
    const fields = (text.match(/\{ [\w, ]+ \}/g) ?? []).flatMap((list) => list.match(/\w+/g) ?? []);
    const names = prose.replace(/\]\([^)]*\)/g, "]").match(/(?<![\w/.-])[a-z]+[A-Z]\w*/g) ?? [];
    expect(names.filter((name) => ![...known, ...fields].includes(name))).toEqual([]);
  });

  it("names scripts of package.json, kinds of tests and compiled files that there are", () => {
    for (const [, name = ""] of text.matchAll(/npm run ([a-z][\w:.-]*\w)/g))
      expect(scripts, name).toHaveProperty([name]);
    for (const [, name] of text.matchAll(/vitest run --project ([a-z]\w*)/g)) expect(PROJECTS).toContain(name);
    for (const [, name = ""] of text.matchAll(/node dist\/([\w/-]+)\.js/g))
      expect(isThere(`${name}.ts`), name).toBe(true);
  });
});

it("README is short", () => expect(readProject("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(180));

it("CONTRIBUTING.md names every page of which `npm run generate` writes a part", () => {
  for (const page of Object.keys(GENERATED_PARTS))
    expect(codeIn(readProject("CONTRIBUTING.md")).join(" ")).toContain(page);
});

it("variables that CONTRIBUTING.md names are read somewhere", () => {
  const sources = FILES.filter((file) => /\.(ts|mjs)$/.test(file) && !file.startsWith("test/docs/")).map(readProject);
  const names = [...readProject("CONTRIBUTING.md").matchAll(/\b([A-Z]+_[A-Z_]+)\b/g)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(4);
  for (const name of names.filter((each) => each !== "XDG_CACHE_HOME"))
    expect(
      sources.some((source) => source.includes(name)),
      name,
    ).toBe(true);
});

it("the settings with which docs/lines.md leaves NATS to playbooks are a stack that can be run", () => {
  const block = /```sh\n([^`]*natsStreams[^`]*)```/.exec(readProject("docs/lines.md"))?.[1] ?? "";
  const set = [...block.matchAll(/^pulumi config set (\w+) '?(.*?)'?$/gm)].map(([, key = "", value = ""]) => [
    key,
    value,
  ]);
  const settings = parseSettings(Object.fromEntries(set) as Record<string, string>);
  expect(settings).toMatchObject({ deployNoetl: false, contractMode: "ensure", natsStreams: [{ name: "ORDERS" }] });
});

it("the stack's file of docs/declared.md has settings that can be run", () => {
  const { config } = parse(/```yaml\n([^`]*)```/.exec(readProject("docs/declared.md"))?.[1] ?? "") as {
    config: Record<string, unknown>;
  };
  const raw = Object.entries(config).map(([key, value]) => [
    key.replace(`${PROJECT}:`, ""),
    // As the engine hands over what is no text.
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const settings = parseSettings(Object.fromEntries(raw) as Record<string, string>);
  expect(settings.natsStreams).toMatchObject([{ name: "ORDERS" }]);
  expect(settings.natsObjectStores).toMatchObject([{ name: "invoices" }]);
});
