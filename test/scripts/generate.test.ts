import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
import { GENERATED_PARTS, policyPage, pulumiYaml, withPicture } from "../../scripts/generate";

const read = (name: string) => fs.readFileSync(path.join(projectRoot(), name), "utf8");

describe("generated files are up to date (npm run generate)", () => {
  it("Pulumi.yaml", () => expect(read("Pulumi.yaml")).toBe(pulumiYaml()));
  it("README.md", () => expect(read("README.md")).toBe(withPicture(read("README.md"))));
  it("docs/policy.md", () => expect(read("docs/policy.md")).toBe(policyPage()));
  it.each(Object.entries(GENERATED_PARTS))("docs/%s", (page, written) => {
    expect(read(`docs/${page}`)).toBe(written(read(`docs/${page}`)));
  });
});
