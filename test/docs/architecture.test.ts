import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

const page = fs.readFileSync(path.join(projectRoot(), "docs", "architecture.md"), "utf8");
const rows = (heading: string): string[][] =>
  (page.split(`## ${heading}\n`)[1] ?? "")
    .split("\n## ")[0]
    ?.split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| -"))
    .slice(1)
    .map((line) => line.split("|").map((cell) => cell.trim())) ?? [];

describe("docs/architecture.md", () => {
  it("names every folder of the project, and none that is not there", () => {
    const files = execFileSync("git", ["ls-files"], { cwd: projectRoot(), encoding: "utf8" }).split("\n");
    const folders = new Set(
      files.flatMap((file) => (/^[^./]/.test(file) && file.includes("/") ? [file.split("/")[0] ?? ""] : [])),
    );
    const named = rows("The folders").flatMap(([, first = ""]) =>
      [...first.matchAll(/`([^`]+)\/`/g)].map(([, name]) => name),
    );
    expect(named.sort()).toEqual([...folders].sort());
  });

  it.each([
    ["components/nats-jetstream/values.ts", /natsValues/],
    ["contract/rules/stream.ts", /stream-retention/],
    ["contract/defaults.ts", /natsJetstreamMemSize/],
    ["charts/noetl/files/nats_probe.py", /worker/i],
    ["stacks/gke/preflight/quotas.ts", /quota/i],
  ])("says where %s is, which holds what it is said to hold", (file, what) => {
    expect(rows("Where is it?").some((cells) => cells[2] === `\`${file}\``)).toBe(true);
    expect(fs.readFileSync(path.join(projectRoot(), file), "utf8")).toMatch(what);
  });
});
