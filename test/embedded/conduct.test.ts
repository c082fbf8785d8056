import * as path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { cacheDir } from "../../commands/shared/binaries";
import { lastWords } from "../../embedded/cluster/launch";
import { failureOf, showingEngine } from "../../embedded/conduct";

describe("a failure in words", () => {
  it("of the engine before it has shown anything is what the engine says", () => {
    const error = Object.assign(new Error("code: 255"), {
      commandResult: { stderr: "error: no state: pulumi refresh\n" },
    });
    expect(failureOf(error).message).toBe("pulumi failed: error: no state: npm run up:embedded -- --refresh");
  });

  it("of an update stands above", () => {
    const error = Object.assign(new Error("code: 255"), { commandResult: { stderr: "error: update failed\n" } });
    expect(failureOf(error).message).toBe("pulumi failed; the reason stands above.");
  });

  it("of the folder of tools names the variable for another one", () => {
    const error = Object.assign(new Error("EROFS: read-only"), {
      code: "EROFS",
      path: path.join(cacheDir(), "toolchain"),
    });
    expect(failureOf(error).message).toMatch(/^the folder of the tools cannot be written: EROFS.*NOETL_NATS_CACHE/);
  });

  it("of a program that panics is what it panics about", () => {
    const log = `started\n{"level":"panic","error":"no space left on device"}\npanic: failed\n\n${"goroutine\n".repeat(40)}`;
    expect(lastWords(log)).toBe('started\n{"level":"panic","error":"no space left on device"}\npanic: failed');
    expect(lastWords("line\n".repeat(20)).split("\n")).toHaveLength(15);
  });
});

it("the engine's output is shown in this stack's words, wherever it was cut, its dots as they come", () => {
  let shown = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((shown += String(text))));
  try {
    const show = showingEngine();
    const after: string[] = [];
    for (const text of [
      "@ updating",
      ".",
      ".\nwarning: a; for example pulumi con",
      "fig rm a\n",
      "run `pulumi stack rm embedded`.\n",
      "end\n",
    ]) {
      show(text);
      after.push(shown);
    }
    expect(after.slice(0, 3)).toEqual(["@ updating", "@ updating.", "@ updating..\n"]);
    expect(shown).toBe("@ updating..\nwarning: a; for example npm run up:embedded -- -c a=\nend\n");
  } finally {
    write.mockRestore();
  }
});
