import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../../contract/project";
import { compiledFiles } from "../../../commands/diff/modules";
import { temporaryFolder } from "./support";

const LOADER = path.join(projectRoot(), "dist", "commands", "diff", "typescript.js");
const SOURCE = 'import * as path from "node:path";\nexport const word: string = path.join("a", "first");\n';

/** What `main.ts` of a project exports, and whether the compiler was loaded for it. */
function loaded(root: string, cache: string): { word: string; compiler: boolean } {
  const script = `
    require(${JSON.stringify(LOADER)}).loadTypeScript(${JSON.stringify(root)}, ${JSON.stringify(cache)});
    const { word } = require(${JSON.stringify(path.join(root, "main.ts"))});
    const compiler = Object.keys(require.cache).some((file) => file.endsWith("/typescript/lib/typescript.js"));
    process.stdout.write(JSON.stringify({ word, compiler }));`;
  return JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" })) as ReturnType<typeof loaded>;
}

describe("the TypeScript of a program that is compared", () => {
  const folders: string[] = [];
  let root: string;
  let cache: string;
  beforeEach(() => {
    const folder = temporaryFolder();
    folders.push(folder);
    root = path.join(folder, "project");
    cache = path.join(folder, "cache");
    for (const each of [root, cache]) fs.mkdirSync(each);
    fs.writeFileSync(path.join(root, "main.ts"), SOURCE);
  });
  afterAll(() => folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

  it("is compiled once, wherever the project lies", () => {
    expect(loaded(root, cache)).toEqual({ word: "a/first", compiler: true });
    const moved = path.join(path.dirname(root), "moved");
    fs.renameSync(root, moved);
    expect(loaded(moved, cache)).toEqual({ word: "a/first", compiler: false });
    expect(fs.readdirSync(cache)).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.js$/)]);
  });

  it("is compiled again where a letter of it has changed", () => {
    loaded(root, cache);
    fs.writeFileSync(path.join(root, "main.ts"), SOURCE.replace("first", "later"));
    expect(loaded(root, cache)).toEqual({ word: "a/later", compiler: true });
  });

  it("is compiled where nothing can be kept", () => {
    const missing = path.join(cache, "no", "such", "folder");
    expect(loaded(root, missing)).toEqual({ word: "a/first", compiler: true });
    expect(loaded(root, missing)).toEqual({ word: "a/first", compiler: true });
  });

  it("is kept for two weeks after its last use", () => {
    loaded(root, cache);
    const [used = ""] = fs.readdirSync(cache);
    const before = process.env.NOETL_NATS_CACHE;
    process.env.NOETL_NATS_CACHE = path.dirname(root);
    try {
      const kept = compiledFiles();
      const day = 24 * 3600_000;
      const files = { old: 15, recent: 13 };
      for (const [name, days] of Object.entries(files)) {
        fs.copyFileSync(path.join(cache, used), path.join(kept, name));
        fs.utimesSync(path.join(kept, name), new Date(), new Date(Date.now() - days * day));
      }
      compiledFiles();
      expect(fs.readdirSync(kept)).toEqual(["recent"]);
      // A use counts from its own day on.
      fs.utimesSync(path.join(cache, used), new Date(0), new Date(0));
      loaded(root, cache);
      expect(fs.statSync(path.join(cache, used)).mtimeMs).toBeGreaterThan(Date.now() - day);
    } finally {
      if (before === undefined) delete process.env.NOETL_NATS_CACHE;
      else process.env.NOETL_NATS_CACHE = before;
    }
  });
});
