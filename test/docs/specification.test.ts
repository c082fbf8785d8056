import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { SETTINGS } from "../../config/schema";
import { ENVIRONMENT } from "../../contract/env";
import { CONSUMER, STREAM } from "../../contract/facts";
import { projectRoot } from "../../contract/project";
import { RULES } from "../../contract/rules";
import { codeIn, readProject, tableRows } from "../support/markdown";

const page = readProject("docs/specification.md");
const rows = tableRows(page);
const exists = (name: string): boolean => fs.existsSync(path.join(projectRoot(), name));

describe("docs/specification.md", () => {
  it("has rows of three cells, none of them empty", () => {
    expect(rows.length).toBeGreaterThan(25);
    for (const row of rows) {
      expect(row).toHaveLength(3);
      for (const cell of row) expect(cell, row.join(" | ")).not.toBe("");
    }
  });

  it.each(rows)("%s: names tests that there are", (_, __, test) => {
    const named = [...(test ?? "").matchAll(/`(test\/[^`]+)`(?: "([^"]+)")?/g)];
    expect(named).not.toEqual([]);
    // Nothing beside the tests: a title that the pattern missed would not be looked for.
    expect(
      named
        .reduce((rest, [whole]) => rest.replace(whole, ""), test ?? "")
        .replaceAll(",", "")
        .trim(),
    ).toBe("");
    for (const [, file = "", title] of named) {
      expect(exists(file), file).toBe(true);
      expect(file).toMatch(/^test\/.*\.ts$/);
      if (title !== undefined) expect(readProject(file), file).toContain(title);
    }
  });

  it.each(rows)("%s: names places that there are", (_, here) => {
    for (const code of codeIn(here ?? "")) {
      if (/^[a-z]+([A-Z][a-z]*)+$/.test(code)) expect(SETTINGS, code).toHaveProperty(code);
      if (code.includes("/") || /\.(ts|yaml)$/.test(code)) expect(exists(code), code).toBe(true);
      if (/^(stream|consumer)-/.test(code)) expect(RULES.map(({ id }) => id)).toContain(code);
    }
  });

  it("has the specification's names", () => {
    for (const name of [STREAM.name, STREAM.subject, CONSUMER.name]) expect(page).toContain(`\`${name}\``);
    const of = (component: string) => ENVIRONMENT.filter((each) => each.component === component).length;
    expect(page).toContain(
      `${of("server")} variables of the server, ${of("worker")} of the workers, ${of("gateway")} of`,
    );
  });
});
