import { ensureTools } from "../../embedded/toolchain";
import { ensureBrowser } from "../support/browser";

/** What the diff command runs, built where it is missing, and the browser that its page is tested in. */
export default async function setup(): Promise<void> {
  ensureBrowser();
  await ensureTools(["helm", "pulumi"]);
}
