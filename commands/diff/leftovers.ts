/** What a comparison leaves neither behind nor running, however it ends: folders of its own, and programs that it has started. */
import { execFile, type ChildProcess, type ExecFileOptions } from "node:child_process";
import * as fs from "node:fs";
import { promisify } from "node:util";

const folders = new Set<string>();
const children = new Set<ChildProcess>();

/** A new folder whose path begins so. */
export function temporaryFolder(prefix: string): string {
  const folder = fs.mkdtempSync(prefix);
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Has a program end no later than this process. */
export function endsWithUs<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once("close", () => children.delete(child));
  return child;
}

/**
 * What a program wrote to its standard output.
 *
 * @throws Error of `execFile` where it fails, with what it said in `stderr`.
 */
export async function outputOf(program: string, args: readonly string[], options: ExecFileOptions): Promise<string> {
  const running = promisify(execFile)(program, args, { ...options, encoding: "utf8" });
  endsWithUs(running.child);
  return (await running).stdout;
}

// An interrupt ends this process in the middle of all that it waits for.
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) {
    try {
      // What was killed just now may be writing its last.
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // The system removes it in time.
    }
  }
});
