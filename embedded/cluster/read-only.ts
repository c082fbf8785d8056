/** A file system that a process cannot write to, as a container with `readOnlyRootFilesystem` has it. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import { isRoot } from "./places";

const SCRIPT = path.join(projectRoot(), "embedded", "cluster", "read-only.sh");

interface Confined {
  readonly command: string;
  readonly args: readonly string[];
  /** Folders that it can write to; undefined: everywhere. */
  readonly writes?: readonly string[] | undefined;
}

let possible: boolean | undefined;

/** Whether this machine lets a process have mounts of its own: as root, where nothing forbids it. */
export const canBeReadOnly = (): boolean =>
  (possible ??= isRoot && spawnSync("unshare", ["-m", "mount", "--make-rprivate", "/"]).status === 0);

/** What starts a program so that it can write to its folders alone; the program itself where it says none, or where this machine does not let it. */
export function confined({ command, args, writes }: Confined): Pick<Confined, "command" | "args"> {
  if (writes === undefined || !canBeReadOnly()) return { command, args };
  // As the kernel names them.
  const folders = writes.map((folder) => fs.realpathSync(folder));
  return { command: "unshare", args: ["-m", "sh", SCRIPT, ...folders, "--", command, ...args] };
}
