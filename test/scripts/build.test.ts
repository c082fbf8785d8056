import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

/** A small project with this project's build. */
let root: string;
const at = (...names: string[]) => path.join(root, ...names);
const read = (...names: string[]) => fs.readFileSync(at(...names), "utf8");
const write = (name: string, text: string) => {
  fs.mkdirSync(path.dirname(at(name)), { recursive: true });
  fs.writeFileSync(at(name), text);
};
/** What is compiled is compiled as fast as can be: with a small library, and unchecked but where a mistake is to be found. */
const config = (changes: object = {}) =>
  JSON.stringify({
    extends: "./tsconfig.json",
    compilerOptions: {
      target: "es2022",
      module: "nodenext",
      types: [],
      lib: ["es5"],
      noCheck: true,
      outDir: "dist",
      rootDir: ".",
      incremental: true,
      tsBuildInfoFile: "dist/.tsbuildinfo",
      ...changes,
    },
    include: ["part", "contract", "scripts"],
  });

function build(env: NodeJS.ProcessEnv = {}): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [at("scripts", "build.mjs")], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { code: status, text: stdout + stderr };
}

/** Whether a build compiles anything: the compiler writes its notes whenever it runs. */
function compiles(): boolean {
  const notes = at("dist", ".tsbuildinfo");
  fs.utimesSync(notes, 1, 1);
  const stamp = at("dist", ".stamp");
  fs.utimesSync(stamp, 1, 1);
  expect(build()).toEqual({ code: 0, text: "" });
  return fs.statSync(stamp).mtimeMs !== 1000;
}

beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-build-"));
  write("package.json", '{"name":"small"}');
  write("tsconfig.json", "{}");
  write("node_modules/.package-lock.json", '{"packages":{}}');
  fs.symlinkSync(path.join(projectRoot(), "node_modules", "typescript"), at("node_modules", "typescript"));
  for (const name of ["scripts/build.mjs", "scripts/prune.ts", "contract/project.ts"]) {
    write(name, fs.readFileSync(path.join(projectRoot(), name), "utf8"));
  }
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

describe("the build", () => {
  beforeEach(() => {
    write("part/one.ts", "export const one = 1;\n");
    write("part/two.ts", "export const two = 2;\n");
    write("tsconfig.build.json", config());
    expect(build()).toEqual({ code: 0, text: "" });
  }, 120_000);

  it("compiles nothing that is up to date, whatever the times say", () => {
    expect(compiles()).toBe(false);
    const later = Date.now() / 1000 + 3600;
    for (const name of ["part/one.ts", "tsconfig.build.json"]) fs.utimesSync(at(name), later, later);
    expect(compiles()).toBe(false);
  });

  it("compiles what a switch of branches has changed, older files included", () => {
    write("part/one.ts", "export const one = 11;\n");
    fs.utimesSync(at("part", "one.ts"), 1, 1);
    expect(compiles()).toBe(true);
    expect(read("dist", "part", "one.js")).toContain("11");
    expect(compiles()).toBe(false);
  }, 120_000);

  it("removes what a deleted source was compiled to, and compiles a new one", () => {
    fs.rmSync(at("part", "two.ts"));
    write("part/two/index.ts", "export const two = 22;\n");
    expect(compiles()).toBe(true);
    expect(fs.existsSync(at("dist", "part", "two.js"))).toBe(false);
    expect(read("dist", "part", "two", "index.js")).toContain("22");
    fs.rmSync(at("part", "two"), { recursive: true });
  }, 120_000);

  it("fails where nothing may be compiled and something would have to be", () => {
    const off = (): ReturnType<typeof build> => build({ NOETL_NATS_BUILD: "off" });
    expect(off()).toEqual({ code: 0, text: "" });
    fs.appendFileSync(at("dist", "part", "one.js"), "// by hand\n");
    expect(off()).toMatchObject({
      code: 1,
      text: expect.stringContaining("run `npm run build` where it may be") as string,
    });
    expect(read("dist", "part", "one.js")).toContain("by hand");
  }, 120_000);

  it("writes again what was removed from dist, or changed there", () => {
    fs.rmSync(at("dist", "part", "one.js"));
    expect(compiles()).toBe(true);
    expect(read("dist", "part", "one.js")).toContain("one = 1");
    fs.appendFileSync(at("dist", "part", "one.js"), "// by hand\n");
    expect(compiles()).toBe(true);
    expect(read("dist", "part", "one.js")).not.toContain("by hand");
    fs.rmSync(at("dist"), { recursive: true });
    expect(build()).toEqual({ code: 0, text: "" });
    expect(read("dist", "part", "one.js")).toContain("one = 1");
  }, 120_000);

  it("compiles after a change of the compiler's configuration or of an installed package", () => {
    write("tsconfig.build.json", config({ removeComments: true }));
    expect(compiles()).toBe(true);
    write("node_modules/.package-lock.json", '{"packages":{"node_modules/typescript":{"version":"9"}}}');
    expect(compiles()).toBe(true);
    expect(compiles()).toBe(false);
  }, 120_000);

  it("fails with the compiler's words as long as there is a mistake, also where the mistake is older than the stamp", () => {
    write("tsconfig.build.json", config({ noCheck: false }));
    write("part/one.ts", 'export const one: number = "1";\n');
    const first = build();
    expect(first.code).not.toBe(0);
    expect(first.text).toContain("part/one.ts(1,14): error TS2322");
    expect(build().code).not.toBe(0);
  }, 120_000);
});
