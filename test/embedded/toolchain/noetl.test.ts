import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../contract/project";
import { SETTINGS } from "../../../config/schema";
import {
  ensureNoetl,
  findPython,
  NoetlUnavailable,
  pinnedReleases,
  releaseOf,
} from "../../../embedded/toolchain/noetl";

let dir: string;
const said: string[] = [];

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-python-"));
  said.length = 0;
  vi.stubEnv("PATH", path.join(dir, "bin"));
  vi.stubEnv("PYENV_ROOT", path.join(dir, "pyenv"));
  vi.stubEnv("NOETL_NATS_CACHE", path.join(dir, "cache"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(dir, { recursive: true });
});

/** A program that runs `script` under sh. */
function program(file: string, script: string): string {
  const full = path.join(dir, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return full;
}

const find = (uv: string) => findPython(uv, (line) => said.push(line));

describe("the release of NoETL", () => {
  it.each([
    ["ghcr.io/noetl/noetl:v2.8.9", "2.8.9"],
    ["registry.example:5000/noetl:2.8.9", "2.8.9"],
    ["ghcr.io/noetl/noetl:v2.8.9@sha256:0123", "2.8.9"],
    ["registry.example:5000/noetl", undefined],
    ["ghcr.io/noetl/noetl@sha256:0123", undefined],
    ["noetl:local", undefined],
    ["noetl:v2.8.9-rc1", undefined],
  ])("of the image %s is %s", (image, release) => {
    expect(releaseOf(image)).toBe(release);
  });

  it("of the default image is pinned here", () => {
    expect(pinnedReleases()).toContain(releaseOf(SETTINGS.noetlImage.default));
  });

  it("is pinned with a hash for every package, and names no place to get it from", () => {
    for (const file of ["uv.txt", ...pinnedReleases().map((release) => `noetl-${release}.txt`)]) {
      const text = fs.readFileSync(path.join(projectRoot(), "embedded", "toolchain", "python", file), "utf8");
      const blocks = text.split(/^(?=[a-z])/m).filter((block) => !block.startsWith("#"));
      for (const block of blocks)
        expect(block).toMatch(/^[a-z0-9.-]+==[^\s]+ .*\\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+$/);
      expect(text).not.toMatch(/:\/\/|--(extra-)?index|--find-links/);
    }
  });

  it("that is not pinned cannot be had, and what can be is named", async () => {
    await expect(ensureNoetl("2.8.10")).rejects.toThrow(
      new NoetlUnavailable("NoETL 2.8.10 is not among the releases that are pinned here (2.8.9)"),
    );
  });
});

describe("the Python for NoETL", () => {
  const unused = "/nowhere/uv";

  it("is the one on PATH, where that will do, and the oldest that will", async () => {
    program("bin/python3", "echo 13");
    program("bin/python3.13", "echo 13");
    const wanted = program("bin/python3.12", "echo 12");
    expect(await find(unused)).toBe(wanted);
  });

  it("is one of pyenv's versions, where PATH has only an older one or a shim of what is not selected", async () => {
    program("bin/python3", "echo 11");
    program("bin/python3.12", "echo pyenv: command not found >&2; exit 127");
    program("pyenv/versions/3.11.7/bin/python3", "echo 11");
    const wanted = program("pyenv/versions/3.13.0/bin/python3", "echo 13");
    expect(await find(unused)).toBe(wanted);
  });

  it("is brought along by uv, where there is neither", async () => {
    program("bin/python3", "echo 15");
    const uv = program("uv", '[ "$2" = find ] && echo "$UV_PYTHON_INSTALL_DIR/bin/python"; exit 0');
    expect(await find(uv)).toBe(path.join(dir, "cache", "toolchain", "uv-python", "bin", "python"));
    expect(said).toEqual([
      "NoETL needs Python 3.12 to 3.14, which is neither on PATH nor among pyenv's versions: uv downloads one ...",
    ]);
  });

  it("cannot be had, where uv cannot reach it either: one sentence", async () => {
    const uv = program("uv", "echo error: cannot download >&2; echo '  cause: no such host' >&2; exit 2");
    const error = await find(uv).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NoetlUnavailable);
    expect((error as Error).message).toBe(
      "NoETL needs Python 3.12 to 3.14: there is none on PATH or among pyenv's versions, and uv cannot download one (cause: no such host)",
    );
  });
});
