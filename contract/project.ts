import * as fs from "node:fs";
import * as path from "node:path";

/** Name of the Pulumi project, the namespace of its configuration keys. */
export const PROJECT = "noetl-nats";

/** Pulumi's type of a release of Helm. */
export const RELEASE = "kubernetes:helm.sh/v3:Release";

/**
 * Root folder of this package, the one that holds `charts/` and `package.json`: the same whether the code runs from
 * its TypeScript sources or compiled from `dist/`, and also inside another program's `node_modules`.
 */
export function projectRoot(): string {
  let folder = __dirname;
  while (!fs.existsSync(path.join(folder, "package.json"))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${__dirname}`);
    folder = parent;
  }
  return folder;
}
