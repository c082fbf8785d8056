/**
 * Removes what an earlier state of the sources compiled to and this one does not: the compiler never does, and Node takes a
 * module's old file before the folder that has taken its place. The last step of `npm run build`.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../contract/project";

const OUTPUT = /\.(js|js\.map|d\.ts)$/;

/** Removes files below `folder` that no source in `sources` compiles to, and folders that are empty then. */
export function prune(folder: string, sources: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const compiled = path.join(folder, entry.name);
    const source = path.join(sources, entry.name);
    if (entry.isDirectory()) {
      prune(compiled, source);
      if (fs.readdirSync(compiled).length === 0) fs.rmdirSync(compiled);
    } else if (OUTPUT.test(entry.name) && !fs.existsSync(source.replace(OUTPUT, ".ts"))) fs.rmSync(compiled);
  }
}

if (require.main === module) prune(path.join(projectRoot(), "dist"), projectRoot());
