import * as fs from "node:fs";

/**
 * Version of an installed package of Pulumi's: of the SDK itself, or of a plugin's, which a stand-in reports because the program
 * asks the engine for the plugin of just this version.
 */
export function sdkVersion(name: "gcp" | "kubernetes" | "random" | "pulumi"): string {
  const file = require.resolve(`@pulumi/${name}/package.json`);
  return (JSON.parse(fs.readFileSync(file, "utf8")) as { version: string }).version;
}
