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

/** The files of folders, by their text. */
const textsOf = (...folders: string[]): ReadonlyMap<string, string> =>
  new Map(
    ["index.ts", "program.ts"]
      .concat(
        folders.flatMap((folder) =>
          (fs.readdirSync(path.join(projectRoot(), folder), { recursive: true }) as string[])
            .filter((file) => file.endsWith(".ts"))
            .map((file) => path.posix.join(folder, file)),
        ),
      )
      .map((file) => [file, fs.readFileSync(path.join(projectRoot(), file), "utf8")]),
  );

/** The file that another one means by `to`; undefined where it is none of them. */
const meantBy = (files: ReadonlyMap<string, string>, from: string, to: string): string | undefined => {
  const target = path.posix.join(path.posix.dirname(from), to.replace(/\.js$/, ""));
  return [`${target}.ts`, `${target}/index.ts`].find((each) => files.has(each));
};

function sourceImports(): Imports {
  const files = textsOf(...FOLDERS);
  return new Map(
    [...files].map(([file, text]) => [
      file,
      [...text.matchAll(/\bfrom "(\.[^"]*)"/g)].flatMap(([, to = ""]) => meantBy(files, file, to) ?? []),
    ]),
  );
}

/** What of these files' values is exported and named by no other file. Who takes a whole file, or loads it, takes all of it. */
function unusedExports(files: ReadonlyMap<string, string>): string[] {
  const used = new Set<string>();
  for (const [file, text] of files) {
    const take = (to: string, name: string): void => void used.add(`${meantBy(files, file, to)} ${name}`);
    for (const [, names = "", to = ""] of text.matchAll(/^(?:import|export) (?:type )?\{([^}]*)\} from "(\.[^"]*)"/gm))
      for (const [, name = ""] of names.matchAll(/(?:^|,)\s*(?:type )?(\w+)/g)) take(to, name);
    for (const [, to = ""] of text.matchAll(/(?:\* as \w+ from|\* from|\bimport\(|\brequire\()\s*"(\.[^"]*)"/g))
      take(to, "*");
  }
  return [...files].flatMap(([file, text]) =>
    [...text.matchAll(/^export (?:async )?(?:const|function\*?|class) (\w+)/gm)].flatMap(([, name = ""]) =>
      used.has(`${file} ${name}`) || used.has(`${file} *`) ? [] : `${file} ${name}`,
    ),
  );
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

it("no value is exported that no other file uses: what is unused would be seen by nobody", () => {
  const files = textsOf(...FOLDERS, "test", "examples");
  // Vitest calls them by their names; the example's is an output of its stack.
  const called = unusedExports(files).filter((each) => !/^test\/setup\/|^examples\//.test(each));
  expect(called).toEqual([]);
});

it("finds an export without a user, whoever names one of the same name", () => {
  const files = new Map([
    ["a.ts", "export const used = 1;\nexport const unused = 2;\nexport type Free = number;"],
    ["b/c.ts", 'import {\n  type Free,\n  used as own,\n} from "../a";\nexport const unused = own;'],
    ["d.ts", 'import * as c from "./b/c";\nexport async function main() {}'],
  ]);
  expect(unusedExports(files)).toEqual(["a.ts unused", "d.ts main"]);
});
