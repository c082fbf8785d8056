import * as fs from "node:fs";

/**
 * Version of the installed SDK package of a plugin. A stand-in reports it, because the program asks the engine for the
 * plugin of just this version.
 */
export function sdkVersion(name: "kubernetes" | "random"): string {
  const file = require.resolve(`@pulumi/${name}/package.json`);
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
