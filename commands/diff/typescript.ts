import * as crypto from "node:crypto";
import * as fs from "node:fs";
import Module from "node:module";
import * as path from "node:path";
import type * as TypeScript from "typescript";

/** What a compiled file of an earlier run is known by, beside its source: the compiler, and what it was asked for. */
const COMPILER = (require("typescript/package.json") as { version: string }).version;
const OPTIONS = {
  esModuleInterop: true,
  experimentalDecorators: true,
  inlineSourceMap: true,
} as const;

/** Loaded for the first file that no run has compiled before: it takes as long to load as ten files to compile. */
function compiled(file: string, source: string): string {
  const ts = require("typescript") as typeof TypeScript;
  return ts.transpileModule(source, {
    fileName: file,
    compilerOptions: { ...OPTIONS, module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  }).outputText;
}

/** The same, from `cache` where a run has left it there. What cannot be kept is compiled again. */
function compiledOnce(file: string, source: string, cache: string): string {
  const digest = crypto
    .createHash("sha256")
    .update(JSON.stringify([COMPILER, OPTIONS, path.basename(file)]))
    .update(source)
    .digest("hex");
  const kept = path.join(cache, `${digest}.js`);
  try {
    const text = fs.readFileSync(kept, "utf8");
    // What nothing uses any more is told by its time.
    fs.utimesSync(kept, new Date(), new Date());
    return text;
  } catch {
    const text = compiled(file, source);
    try {
      const unfinished = `${kept}.${process.pid}`;
      fs.writeFileSync(unfinished, text);
      fs.renameSync(unfinished, kept);
    } catch {
      // A folder that cannot be written to costs time alone.
    }
    return text;
  }
}

type Extensions = Record<string, (module: { _compile(code: string, file: string): void }, file: string) => void>;

/**
 * Compiles the program's TypeScript as it is loaded. Types are not checked: that is the compiler's job, before.
 *
 * @param cache folder in which compiled files are kept by content: the two sides of a comparison share most of theirs
 */
export function loadTypeScript(root: string, cache: string): void {
  process.setSourceMapsEnabled(true);
  const extensions = (Module as unknown as { _extensions: Extensions })._extensions;
  extensions[".ts"] = (module, file) => {
    if (!file.startsWith(root)) throw new Error(`${file} lies outside the project`);
    module._compile(compiledOnce(file, fs.readFileSync(file, "utf8"), cache), file);
  };
}
