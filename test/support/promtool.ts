import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheDir } from "../../commands/shared/binaries";

const STEP_TIMEOUT_MS = 120_000;

/**
 * promtool from PATH, else that of Debian's package prometheus, unpacked into a folder of its own: installed, it would start a
 * service.
 *
 * @throws Error with one sentence where neither can be had.
 */
export function ensurePromtool(): string {
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  const installed = folders.map((folder) => path.join(folder, "promtool")).find((file) => fs.existsSync(file));
  if (installed) return installed;
  const folder = path.join(cacheDir(), "prometheus");
  if (!fs.existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}.unpacking`;
    try {
      unpack(unfinished);
      if (!fs.existsSync(folder)) fs.renameSync(unfinished, folder);
    } catch (error) {
      const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
      throw new Error(
        `The test of the alerts needs promtool on PATH (Debian: package prometheus); it cannot be had:\n${said.split("\n").slice(-3).join("\n")}`,
        { cause: error },
      );
    } finally {
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
  }
  return path.join(folder, "usr", "bin", "promtool");
}

function unpack(folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: folder, timeout: STEP_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"] });
  if (process.getuid?.() === 0) run("apt-get", "update", "-qq");
  run("apt-get", "download", "-qq", "prometheus");
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".deb"))) {
    run("dpkg-deb", "--extract", file, ".");
    fs.rmSync(path.join(folder, file));
  }
  // The server itself is not needed.
  fs.rmSync(path.join(folder, "usr", "bin", "prometheus"), { force: true });
}
