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

  it("says what each folder may import as `npm run lint` has it", async () => {
    const rule = path.join(projectRoot(), "scripts", "import-directions.mjs");
    const { FLOORS: floors } = (await import(rule)) as {
      FLOORS: Readonly<Record<string, { readonly may: readonly string[] }>>;
    };
    const above: string[] = [];
    for (const [, first = "", , may = ""] of rows("The folders")) {
      const names = [...first.matchAll(/`([^`]+?)\/?`/g)].map(([, name = ""]) => name);
      const allowed = may === "all of the above" ? above.filter((name) => !HOLDS_NO_CODE.includes(name)) : list(may);
      // index.ts is one line that leads to program.ts; tests may import everything.
      for (const name of names.filter((each) => each in floors && each !== "index.ts"))
        expect([...(floors[name]?.may ?? [])].sort(), name).toEqual([...allowed].sort());
      above.push(...names);
    }
  });
});

const HOLDS_NO_CODE = ["charts", "kind"];
/** A cell's list; nothing where it says so, says nothing, or names what is no folder. */
const list = (cell: string): string[] => (/^(nothing|the package|)$/.test(cell) ? [] : cell.split(", "));
