import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
import { codeIn, readProject, tableRows } from "../support/markdown";
import { workflow } from "../workflows/workflow";

const folder = path.join(projectRoot(), ".github", "workflows");
const files = fs.readdirSync(folder).sort();
const text = files.map((file) => fs.readFileSync(path.join(folder, file), "utf8")).join("\n");
const page = readProject("docs/ci.md");
const settings = tableRows(page.split("In the repository's settings:")[1]?.split("\n## ")[0] ?? "");
const named = (where: RegExp): string[] =>
  settings.flatMap(([place = "", name = ""]) => (where.test(place) ? codeIn(name) : []));

describe("docs/ci.md", () => {
  it("has a row for each workflow", () => {
    expect(
      tableRows(page.split("\n## ")[0] ?? "")
        .flatMap(([name = ""]) => codeIn(name))
        .sort(),
    ).toEqual(files);
  });

  it("names each variable that the workflows read, and no other", () => {
    const read = new Set([...text.matchAll(/\bvars\.([A-Z_]+)/g)].map(([, name]) => name));
    const variables = [...named(/^variable$/), ...named(/^environment/)];
    expect(variables.sort()).toEqual([...read].sort());
    expect(text).not.toMatch(/\$\{\{\s*secrets\./);
  });

  it("names each environment that the workflows run in, and no other", () => {
    const used = new Set([...text.matchAll(/^\s+environment: (\S+)$/gm)].map(([, name]) => name));
    const environments = settings.flatMap(([place = ""]) => (place.startsWith("environment") ? codeIn(place) : []));
    expect([...new Set(environments)].sort()).toEqual([...used].sort());
  });

  it("asks for checks that pull requests have", () => {
    const [checks = ""] = settings.flatMap(([, name = "", value = ""]) => (name === "required checks" ? [value] : []));
    const jobs = ["ci", "preview"].flatMap((name) => Object.values(workflow(name).jobs));
    const names = jobs.flatMap(({ name, strategy }) => {
      const [[key, values] = ["", [""]]] = Object.entries(strategy?.matrix ?? {}) as [string, string[]][];
      return values.map((value) => name.replace(`\${{ matrix.${key} }}`, value));
    });
    // `tests, Node 20`, `22`, `24`.
    const asked = codeIn(checks).map((name) => (/^\d+$/.test(name) ? `tests, Node ${name}` : name));
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.filter((name) => !names.includes(name))).toEqual([]);
  });
});
