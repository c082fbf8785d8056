import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

/** Files by the files that they import. */
type Imports = ReadonlyMap<string, readonly string[]>;

/** A chain of files each of which imports the next, and the last the first; undefined where there is none. */
function circleOf(imports: Imports): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, chain: readonly string[]): string[] | undefined => {
    if (chain.includes(file)) return [...chain.slice(chain.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const each of imports.get(file) ?? []) {
      const found = visit(each, [...chain, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = visit(file, []);
    if (found) return found;
  }
  return undefined;
}

const FOLDERS = ["stacks", "components", "config", "contract", "commands", "policy", "scripts", "embedded", "bench"];

function sourceImports(): Imports {
  const files = new Set(["index.ts", "program.ts"]);
  for (const folder of FOLDERS) {
    for (const file of fs.readdirSync(path.join(projectRoot(), folder), { recursive: true }) as string[]) {
      if (file.endsWith(".ts")) files.add(path.posix.join(folder, file));
    }
  }
  const importsOf = (file: string): string[] =>
    [...fs.readFileSync(path.join(projectRoot(), file), "utf8").matchAll(/\bfrom "(\.[^"]*)"/g)].flatMap(
      ([, to = ""]) => {
        const target = path.posix.join(path.posix.dirname(file), to.replace(/\.js$/, ""));
        return [`${target}.ts`, `${target}/index.ts`].find((each) => files.has(each)) ?? [];
      },
    );
  return new Map([...files].map((file) => [file, importsOf(file)]));
}

it("no file of the source imports itself by way of others, types included", () => {
  const imports = sourceImports();
  expect(imports.get("program.ts")).toContain("config/parse.ts");
  expect(circleOf(imports)).toBeUndefined();
});

it("finds a circle wherever it begins", () => {
  const imports: Imports = new Map([
    ["a", ["b"]],
    ["b", ["c", "d"]],
    ["c", []],
    ["d", ["e"]],
    ["e", ["b"]],
  ]);
  expect(circleOf(imports)).toEqual(["b", "d", "e", "b"]);
});
