import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
import { projectFiles, readProject } from "../support/markdown";

/** What the programs of a page take as given, by page. That of docs/declared.md has tests of its own, which run it. */
const GIVEN: Record<string, string> = {
  "README.md": "",
  "docs/passwords.md": `
    import type * as pulumi from "@pulumi/pulumi";
    import { type DatabaseConnection, NatsJetStream, Noetl, Postgres } from "noetl-nats";
    declare const [password, noetlPassword]: pulumi.Output<string>[];
    declare const database: DatabaseConnection;`,
};
const programsOf = (page: string): string[] =>
  [...readProject(page).matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, program = ""]) => program);

/** What is compiled, by a name for it: at once, since most of the time goes into the types of the SDKs. */
const PROGRAMS: Record<string, string> = {
  ...Object.fromEntries(Object.entries(GIVEN).map(([page, given]) => [page, [given, ...programsOf(page)].join("\n")])),
  wrong: programsOf("README.md").join("\n").replace("fileStoreSize", "fileSize"),
};

let folder: string;
let mistakes: (name: string) => string[];

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "docs-programs-"));
  const modules = path.join(folder, "node_modules");
  fs.mkdirSync(modules);
  for (const name of ["@pulumi", "@types", "nats"])
    fs.symlinkSync(path.join(projectRoot(), "node_modules", name), path.join(modules, name));
  // What `npm pack` takes is looked at by test/scripts/package.test.ts.
  fs.symlinkSync(projectRoot(), path.join(modules, "noetl-nats"));
  const fileOf = (name: string): string => path.join(folder, `${name.replaceAll("/", "-")}.ts`);
  for (const [name, program] of Object.entries(PROGRAMS)) fs.writeFileSync(fileOf(name), program);
  const compiled = ts.createProgram(Object.keys(PROGRAMS).map(fileOf), {
    strict: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ["node"],
    skipLibCheck: true,
    noEmit: true,
  });
  mistakes = (name) =>
    ts
      .getPreEmitDiagnostics(compiled, compiled.getSourceFile(fileOf(name)))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}, 300_000);
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe("a program of the pages", () => {
  it("is looked for on every page that has one", () => {
    const pages = projectFiles().filter((file) => /^(README|docs\/.*)\.md$/.test(file) && programsOf(file).length > 0);
    expect(pages.filter((file) => file !== "docs/declared.md").sort()).toEqual(Object.keys(GIVEN).sort());
  });

  it.each(Object.keys(GIVEN))("compiles with the package: %s", (page) => expect(mistakes(page)).toEqual([]));

  it("would not with an argument that there is not", () => expect(mistakes("wrong").join()).toContain("fileSize"));
});
