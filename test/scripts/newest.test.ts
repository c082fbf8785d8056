import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { projectRoot } from "../../contract/project";
import { NODES, SDKS } from "../../scripts/newest";

const read = (file: string): string => fs.readFileSync(path.join(projectRoot(), file), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
const ranges = { ...manifest.devDependencies, ...manifest.dependencies };

describe("`npm run test:newest`", () => {
  it("brings every SDK of Pulumi up to date", () => {
    expect([...SDKS].sort()).toEqual(
      Object.keys(ranges)
        .filter((name) => name.startsWith("@pulumi/"))
        .sort(),
    );
  });

  it("is a job of continuous integration, whose other jobs run the same Nodes with the lock file's", () => {
    const { jobs } = parse(read(".github/workflows/ci.yml")) as {
      jobs: Record<string, { steps: { run?: string }[]; strategy?: { matrix: { node: string[] } } }>;
    };
    expect(jobs.newest?.steps.map(({ run }) => run)).toContain("npm run test:newest");
    expect(jobs.test?.strategy?.matrix.node).toEqual(expect.arrayContaining([...NODES]));
  });
});

it("a library's user gets one copy of each package: ranges take every later minor release", () => {
  for (const [name, range] of Object.entries(manifest.dependencies ?? {})) expect(`${name} ${range}`).toMatch(/ \^\d/);
  for (const name of SDKS) expect(`${name} ${ranges[name]}`).toMatch(/ \^\d/);
});
