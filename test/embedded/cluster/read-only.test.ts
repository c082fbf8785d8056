import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canBeReadOnly, confined } from "../../../embedded/cluster/read-only";

let dir: string;
beforeAll(() => (dir = fs.mkdtempSync(path.join(os.tmpdir(), "read-only 2 * "))));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** What a shell says that tries to write into folders, one after the other. */
async function tried(folders: readonly string[], writes?: readonly string[]): Promise<string[]> {
  const script = 'for each; do if touch "$each/new" 2>/dev/null; then echo written; else echo refused; fi; done';
  const { command, args } = confined({ command: "sh", args: ["-c", script, "sh", ...folders], writes });
  const { stdout } = await promisify(execFile)(command, args);
  return stdout.trim().split("\n");
}

/** What becomes of a write elsewhere; only root can have it refused. */
const ELSEWHERE = canBeReadOnly() ? "refused" : "written";

describe("a process whose container has a read-only file system", () => {
  it("writes to its volumes alone, and what it leaves there stays", async () => {
    for (const name of ["data", "tmp", "other"]) fs.mkdirSync(path.join(dir, name));
    const [data = "", tmp = "", other = ""] = ["data", "tmp", "other"].map((name) => path.join(dir, name));
    fs.symlinkSync(tmp, path.join(dir, "link"));
    expect(await tried([data, tmp, other, dir], [data, path.join(dir, "link")])).toEqual([
      ...["written", "written"],
      ...[ELSEWHERE, ELSEWHERE],
    ]);
    expect(fs.readdirSync(data)).toEqual(["new"]);
    // Its mounts are its own.
    fs.writeFileSync(path.join(other, "new"), "");
  });

  it("is process and group that were started, with the words after the first as they are", async () => {
    const { command, args } = confined({
      command: "sh",
      args: ["-c", 'echo "$$ $1"', "sh", "a  b *"],
      writes: [],
    });
    const child = promisify(execFile)(command, args);
    expect((await child).stdout).toBe(`${child.child.pid} a  b *\n`);
  });

  it("and writes everywhere where its container says nothing", async () => {
    const open = fs.mkdtempSync(path.join(os.tmpdir(), "open-"));
    expect(await tried([open])).toEqual(["written"]);
    fs.rmSync(open, { recursive: true });
  });
});
