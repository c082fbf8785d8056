import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { CASES } from "./cases";
import { type KubeObject, render } from "./helm";

const key = (object: KubeObject) => `${object.kind}/${object.metadata.name}`;

/** Objects as the golden files hold them: sorted by kind and name, keys sorted. */
function text(objects: readonly KubeObject[]): string {
  return [...objects]
    .sort((a, b) => (key(a) < key(b) ? -1 : 1))
    .map((object) => stringify(object, { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false }))
    .join("---\n");
}

describe("rendered charts are the reviewed ones (UPDATE_GOLDEN=1 rewrites test/charts/golden)", () => {
  it.each(CASES)("$name", async ({ chart, name, values }) => {
    const objects = await render(chart, values);
    expect(new Set(objects.map(key)).size, "an object is rendered twice").toBe(objects.length);
    const file = path.join(__dirname, "golden", `${name}.yaml`);
    if (process.env.UPDATE_GOLDEN === "1") fs.writeFileSync(file, text(objects));
    expect(text(objects)).toBe(fs.readFileSync(file, "utf8"));
  });

  it("has no golden file without its case", () => {
    expect(fs.readdirSync(path.join(__dirname, "golden")).sort()).toEqual(
      CASES.map(({ name }) => `${name}.yaml`).sort(),
    );
  });
});
