import { describe, expect, it } from "vitest";
import { CommandError } from "../../commands/shared/exit";
import { readDown, readUp } from "../../embedded/command-lines";

function refusal(read: () => unknown): CommandError {
  try {
    read();
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("the command line of up:embedded", () => {
  it("takes settings, with and without the project's name before them, and --refresh at any place", () => {
    expect(readUp(["-c", "workerReplicas=3", "--refresh", "-c", "noetl-nats:natsUrl=a=b\nc"])).toEqual({
      config: { workerReplicas: "3", natsUrl: "a=b\nc" },
      refresh: true,
    });
    expect(readUp([])).toEqual({ config: {}, refresh: false });
  });

  it("a setting may have the name of an option as its value's beginning", () => {
    expect(readUp(["-c", "serverEnv=--help"]).config).toEqual({ serverEnv: "--help" });
  });

  it.each([["--help"], ["-h"], ["-c", "a=b", "--help"], ["--wrong", "--help"]])("%s %s explains it", (...argv) => {
    expect(readUp(argv).help).toContain("usage: npm run up:embedded");
  });

  it("says all that it cannot read at once, with an example", () => {
    const { message, exit } = refusal(() => readUp(["workerReplicas=3", "-c", "novalue", "--dry-run"]));
    expect(exit).toBe("usage");
    expect(message).toContain(
      'cannot read "workerReplicas=3", "-c", "novalue", "--dry-run"; for example -c workerReplicas=3',
    );
  });
});

describe("the command line of down:embedded", () => {
  it("goes on without a word", () => expect(readDown([])).toEqual({}));

  it.each(["--help", "-h"])("%s explains it, and destroys nothing", (word) => {
    expect(readDown([word]).help).toContain("usage: npm run down:embedded");
  });

  it.each([["--preview-only"], ["--stack", "kind"]])("%s %s is refused", (...argv) => {
    expect(refusal(() => readDown(argv)).exit).toBe("usage");
  });
});
