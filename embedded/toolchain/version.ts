import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Tool } from "./tools";

const run = promisify(execFile);

/** The version that a program reports, without `v`; undefined where it does not run, or is something else. */
export async function versionOf(binary: string, tool: Tool): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(binary, [...tool.ask.args], {
      timeout: 20_000,
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    });
    return tool.ask.pattern.exec(stdout + stderr)?.[1];
  } catch {
    return undefined;
  }
}
