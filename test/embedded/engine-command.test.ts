import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { PulumiCommand } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Call, inOwnGroup } from "../../embedded/engine-command";

type Run = (...call: Call) => Promise<{ stdout: string; code: number }>;

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "engine-command-"));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs a script in the place of the engine. */
function engine(script: string): Run {
  const command = path.join(folder, "pulumi");
  fs.writeFileSync(command, `#!${process.execPath}\n${script}`, { mode: 0o755 });
  return (inOwnGroup({ command } as PulumiCommand) as unknown as { run: Run }).run;
}

/** The process group of a process, the third field after its name. */
const GROUP = 'require("node:fs").readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ")[2]';

it("the engine leads a group of its own, in which no Ctrl-C of a terminal reaches it, and gives what it says", async () => {
  const run = engine(
    `console.log(JSON.stringify([${GROUP} === String(process.pid), process.argv.slice(2), process.env.GIVEN]));`,
  );
  let shown = "";
  const { stdout, code } = await run(["up"], folder, { GIVEN: "yes" }, (text) => (shown += text));
  expect([JSON.parse(stdout), code, shown]).toEqual([[true, ["up", "--non-interactive"], "yes"], 0, stdout]);
});

it("hears of an interrupt once, ends in order, and fails with what it said", async () => {
  const run = engine(`
    let heard = 0;
    process.on("SIGINT", () => {
      heard++;
      setTimeout(() => { console.error("error: heard " + heard); process.exit(255); }, 200);
    });
    console.log("begun");
    setInterval(() => {}, 1000);`);
  const interrupted = new AbortController();
  const failure = await run(["up"], folder, {}, () => interrupted.abort(), undefined, interrupted.signal).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ commandResult: { code: 255, stderr: "error: heard 1\n" } });
});

it("a stack that is not there is the SDK's own error, and so is an engine that cannot be run", async () => {
  const run = engine(`console.error("error: no stack named 'x' found"); process.exit(255);`);
  await expect(run(["stack", "select"], folder, {})).rejects.toMatchObject({ name: "StackNotFoundError" });
  const { run: missing } = inOwnGroup({ command: path.join(folder, "missing") } as PulumiCommand) as unknown as {
    run: Run;
  };
  await expect(missing(["up"], folder, {})).rejects.toThrow(/ENOENT/);
});
