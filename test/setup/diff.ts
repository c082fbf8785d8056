import { ensureTools } from "../../toolchain";

/** What the diff command runs, built where it is missing. */
export default async function setup(): Promise<void> {
  await ensureTools(["helm"]);
}
