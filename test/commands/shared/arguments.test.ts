import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { COMMON, parse, readWords } from "../../../commands/shared/arguments";
import { EXIT } from "../../../commands/shared/exit";
import { projectRoot } from "../../../contract/project";

const OPTIONS = { ...COMMON, repair: { type: "boolean", means: "" } } as const;
const command = { name: "doctor", does: "Looks.", options: OPTIONS } as const;
/** What is wrong with a command line, without the usage after it. */
function wrong(...argv: string[]): string[] {
  try {
    parse(command, argv);
    return [];
  } catch (error) {
    return ((error as Error).message.split("\n\n")[0] ?? "").split("\n");
  }
}

describe("a command line", () => {
  it("is told all that is wrong with it at once, and the option that was meant", () => {
    expect(wrong("--stak", "kind", "--jsn", "--repair=yes", "more")).toEqual([
      "Unknown option '--stak'; the nearest known one is --stack",
      "Unknown option '--jsn'; the nearest known one is --json",
      "Option '--repair' takes no value",
      "Unexpected argument 'kind'. This command does not take positional arguments",
      "Unexpected argument 'more'. This command does not take positional arguments",
    ]);
    expect(wrong("--json", "more")).toContain("--stack is missing");
    expect(wrong("--stack")).toEqual(["Option '--stack <value>' argument missing"]);
    expect(wrong("--stack", "--json")).toEqual(["Option '--stack <value>' argument missing"]);
    expect(wrong("--stack", "a", "--stack", "b")).toEqual([
      "Option '--stack' stands there twice, with different values",
    ]);
    expect(wrong("--stack=../kind", "--xyzzy")).toEqual([
      "Unknown option '--xyzzy'",
      expect.stringMatching(/^--stack is not a stack's name; /),
    ]);
    expect(wrong("--stack", "kind", "--json", "--json")).toEqual([]);
  });

  it.each([["--help"], ["-h"], ["--nope", "-h"], ["--help", "--stack"]])("is explained: %s %s", (...argv) => {
    expect(parse(command, argv)).toEqual({ help: true });
  });

  it("holds what stands after -- as it is", () => {
    expect(readWords(["--", "-h", "--stack"], OPTIONS)).toMatchObject({ positionals: ["-h", "--stack"], problems: [] });
  });
});

describe("every command", () => {
  const run = (file: string, ...argv: string[]) =>
    spawnSync(process.execPath, [path.join(projectRoot(), "dist", file), ...argv], {
      encoding: "utf8",
      // Nothing is to be found, nor to be asked.
      env: { PATH: "/nowhere", HOME: "/nowhere" },
    });

  it.each([
    ["commands/doctor/verify.js"],
    ["commands/doctor/doctor.js"],
    ["commands/diff/main.js"],
    ["commands/nats/main.js"],
    ["commands/kind/main.js", "noetl"],
    ["commands/kind/main.js", "gateway"],
    ["commands/kind/create.js"],
    ["embedded/up.js"],
    ["embedded/down.js"],
    ["scripts/images.js"],
    ["scripts/sbom.js"],
  ])("%s %s explains itself, and does nothing where it does not understand", (...command) => {
    for (const word of ["--help", "-h"]) {
      const { status, stdout, stderr } = run(...(command as [string]), word);
      expect([status, stderr], word).toEqual([EXIT.ok.code, ""]);
      expect(stdout).toMatch(/^usage: npm run /im);
    }
    const { status, stdout, stderr } = run(...(command as [string]), "--nope");
    expect([status, stdout]).toEqual([EXIT.usage.code, ""]);
    expect(stderr).toMatch(/npm run /);
  });

  it.each(["commands/doctor/verify.js", "commands/doctor/doctor.js"])(
    "%s gives its one object also where it fails",
    (file) => {
      for (const [argv, exit] of [
        [["--nope"], "usage"],
        [["--stack", "none"], "unknown"],
      ] as const) {
        const { status, stdout, stderr } = run(file, ...argv, "--json");
        const { code } = EXIT[exit];
        expect(status).toBe(code);
        expect(JSON.parse(stdout)).toEqual({ exit: code, error: stderr.trimEnd() });
      }
    },
  );
});
