import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { withFieldTables } from "../../components/stream-contract/declared/table";
import { projectRoot } from "../../config/project";
import {
  policyPage,
  pulumiYaml,
  withContractTables,
  withFindingsTable,
  withPlaybookTables,
  withSettingsTable,
} from "../../scripts/generate";

const read = (name: string) => fs.readFileSync(path.join(projectRoot(), name), "utf8");

describe("generated files are up to date (npm run generate)", () => {
  it("Pulumi.yaml", () => expect(read("Pulumi.yaml")).toBe(pulumiYaml()));
  it("docs/contract.md", () => expect(read("docs/contract.md")).toBe(withContractTables(read("docs/contract.md"))));
  it("docs/declared.md", () => expect(read("docs/declared.md")).toBe(withFieldTables(read("docs/declared.md"))));
  it("docs/doctor.md", () => expect(read("docs/doctor.md")).toBe(withFindingsTable(read("docs/doctor.md"))));
  it("docs/gke.md", () => expect(read("docs/gke.md")).toBe(withPlaybookTables(read("docs/gke.md"))));
  it("README.md", () => expect(read("README.md")).toBe(withSettingsTable(read("README.md"))));
  it("docs/policy.md", () => expect(read("docs/policy.md")).toBe(policyPage()));
});
