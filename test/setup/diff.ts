import { ensureTools } from "../../toolchain";
import { ensureBrowser } from "./browser";

/** What the diff command runs, built where it is missing, and the browser that its page is tested in. */
export default async function setup(): Promise<void> {
  ensureBrowser();
  await ensureTools(["helm", "pulumi"]);
}
