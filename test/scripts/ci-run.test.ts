import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "ci-run-"));
  fs.mkdirSync(path.join(dir, ".ci"));
  fs.copyFileSync(path.join(projectRoot(), ".ci", "run"), path.join(dir, ".ci", "run"));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Runs it with a program in the place of npm that does `line` for the arguments it gets, and tells which these were. */
function ran(line: string): { code: number | null; asked: string[] } {
  const npm = path.join(dir, "npm");
  fs.writeFileSync(npm, `#!/usr/bin/env bash\necho "asked $*"\ncase "$*" in ${line} esac\n`, { mode: 0o755 });
  const { status, stdout } = spawnSync(path.join(dir, ".ci", "run"), {
    env: { ...process.env, PATH: [dir, process.env.PATH].join(path.delimiter) },
    encoding: "utf8",
  });
  return { code: status, asked: [...stdout.matchAll(/^asked (.*)$/gm)].map(([, each = ""]) => each) };
}

const COUNTED = 'echo "1 passed, 0 failed" > "$TEST_SUMMARY"';
const ALL = ["ci", "run lint", "run typecheck", "test", "run test:long"];

describe(".ci/run", () => {
  it("runs the tests that take longer after the others, which may have failed", () => {
    expect(ran(`test) ${COUNTED};;`)).toEqual({ code: 0, asked: ALL });
    expect(ran(`test) ${COUNTED}; exit 1;;`)).toEqual({ code: 1, asked: ALL });
  });

  it("fails where the longer ones do", () => {
    expect(ran(`test) ${COUNTED};; "run test:long") exit 1;;`)).toEqual({ code: 1, asked: ALL });
  });

  it("ends with a run of tests that did not come to its end, so that no other count stands in the last line", () => {
    expect(ran("test) exit 7;;")).toEqual({ code: 7, asked: ALL.slice(0, -1) });
    expect(ran("nothing) ;;")).toEqual({ code: 1, asked: ALL.slice(0, -1) });
  });

  it("runs no test where lint fails", () => {
    expect(ran('"run lint") exit 1;;')).toEqual({ code: 1, asked: ["ci", "run lint"] });
  });
});
