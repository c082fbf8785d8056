import { ensureTools, TOOLS, type ToolName } from "../../embedded/toolchain";
import { ensureDatabaseTools } from "../../embedded/toolchain/database";

/** Makes every tool available before a test file runs, building what is missing. */
export default async function setup(): Promise<void> {
  await ensureTools(Object.keys(TOOLS) as ToolName[]);
  await ensureDatabaseTools();
}
