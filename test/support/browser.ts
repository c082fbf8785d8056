import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** Names under which Chromium is installed. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The browser on PATH; undefined where there is none. */
function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  return NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => fs.existsSync(file));
}

/** Makes a browser available, by Debian's package where it is missing. @throws Error with one sentence where that fails. */
export function ensureBrowser(): string {
  const found = findBrowser();
  if (found) return found;
  const apt = ["/usr/bin/apt-get", "/bin/apt-get"].find((file) => fs.existsSync(file));
  if (process.getuid?.() !== 0 || !apt) {
    throw new Error(
      "The tests of the page need Chromium on PATH: install it (Debian: apt-get install chromium) and run them again.",
    );
  }
  process.stderr.write("Installing Chromium for the tests of the page, once ...\n");
  try {
    for (const args of [
      ["update", "-qq"],
      ["install", "-y", "-qq", "--no-install-recommends", "chromium"],
    ]) {
      execFileSync(apt, args, {
        timeout: 10 * 60_000,
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
    }
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split("\n")
      .slice(-3)
      .join("\n");
    throw new Error(`Chromium, which the tests of the page need, cannot be installed:\n${said}`, { cause: error });
  }
  const installed = findBrowser();
  if (!installed) throw new Error("Chromium was installed, but is not on PATH.");
  return installed;
}
