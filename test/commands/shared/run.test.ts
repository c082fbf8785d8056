import { spawn } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../../commands/shared/exit";
import { projectRoot } from "../../../contract/project";

const RUN = JSON.stringify(path.join(projectRoot(), "dist", "commands", "shared", "run.js"));

/** A command that ends in order when it is interrupted, or does not, and says when it has begun. */
const command = (whenInterrupted: string): string => `
  const { runCommand } = require(${RUN});
  runCommand(async (argv, signal) => {
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    setInterval(() => {}, 1000);
    console.error("begun");
    await aborted;
    ${whenInterrupted}
  });`;

async function ended(script: string, signals: readonly NodeJS.Signals[], argv: readonly string[]) {
  const child = spawn(process.execPath, ["-e", script, "--", "command", ...argv]);
  const said = { stdout: "", stderr: "" };
  const left = [...signals];
  child.stdout.on("data", (chunk) => (said.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => {
    said.stderr += String(chunk);
    const signal = left.shift();
    if (signal) child.kill(signal);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, ...said };
}

describe("a command that is interrupted", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "by %s ends in order, and says so to whoever reads JSON",
    async (signal) => {
      const { code, stdout } = await ended(command('return "interrupted";'), [signal], ["--json"]);
      expect(code).toBe(EXIT.interrupted.code);
      expect(JSON.parse(stdout)).toEqual({ exit: EXIT.interrupted.code, error: "Interrupted." });
      expect((await ended(command('return "interrupted";'), [signal], [])).stdout).toBe("");
    },
  );

  it("twice ends at once, with the one object all the same", async () => {
    const script = command('console.error("ending"); await new Promise(() => {});');
    const { code, stdout } = await ended(script, ["SIGINT", "SIGINT"], ["--json"]);
    expect(code).toBe(EXIT.interrupted.code);
    expect(JSON.parse(stdout)).toEqual({ exit: EXIT.interrupted.code, error: "Interrupted twice." });
  });

  const IN_ORDER = `
    console.error("ending");
    await new Promise((resolve) => setTimeout(resolve, 500));
    console.error("in order");
    return "interrupted";`;

  it("by a terminal that is closed, which comes twice, ends in order", async () => {
    const { code, stdout, stderr } = await ended(command(IN_ORDER), ["SIGHUP", "SIGHUP"], ["--json"]);
    expect([code, stderr]).toEqual([EXIT.interrupted.code, "begun\nending\nin order\n"]);
    expect(JSON.parse(stdout)).toEqual({ exit: EXIT.interrupted.code, error: "Interrupted." });
  });

  it("and whose terminal is closed then ends in order", async () => {
    const { code, stderr } = await ended(command(IN_ORDER), ["SIGINT", "SIGHUP"], []);
    expect([code, stderr]).toEqual([EXIT.interrupted.code, "begun\nending\nin order\n"]);
  });

  it("for the first time after its reader has gone ends in order", async () => {
    const script = command(IN_ORDER).replace('console.error("begun");', 'console.log("to nobody");');
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      if (stderr === "") child.kill("SIGINT");
      stderr += String(chunk);
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, stderr]).toEqual([EXIT.interrupted.code, "ending\nin order\n"]);
  });

  it("twice, the second time after its answer, says nothing more", async () => {
    const script = command(`console.error("ending"); return "interrupted";`).replace(
      "setInterval(() => {}, 1000);",
      'process.on("exit", () => process.emit("SIGTERM"));',
    );
    const { stdout } = await ended(script, ["SIGINT"], ["--json"]);
    expect(JSON.parse(stdout)).toEqual({ exit: EXIT.interrupted.code, error: "Interrupted." });
  });

  it("and has its answer ready gives that alone", async () => {
    const script = command('console.log(JSON.stringify({ exit: 0 })); return "ok";');
    const { code, stdout } = await ended(script, ["SIGTERM"], ["--json"]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { exit: 0 }]);
  });
});
