import { spawn, type ChildProcessByStdio } from "node:child_process";
import * as fs from "node:fs";
import type { Readable } from "node:stream";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { STREAM } from "../../../../contract/facts";
import type { Checklist } from "../../../../commands/doctor/checklist";
import { until } from "../../../support/nats";
import { Deployment, STACK } from "./support";

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.attach();
});

interface Watch {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Complete lines of the standard output so far. */
  lines(): string[];
  complaints(): string;
  /** How the process ends. */
  readonly ended: Promise<number | null>;
}

const running: Watch[] = [];
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill("SIGKILL");
});

/** Starts `verify --watch`, in a process of its own. */
function watch(...args: readonly string[]): Watch {
  const { file, env } = deployment.program("verify");
  const child = spawn(process.execPath, [file, "--stack", STACK, "--watch", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, complaint] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (out += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (complaint += chunk));
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const watching = { child, lines: () => out.split("\n").slice(0, -1), complaints: () => complaint, ended };
  running.push(watching);
  return watching;
}

/** How long `child` takes to end after a signal, in milliseconds, and with what. */
async function interrupted({ child, ended }: Watch): Promise<{ code: number | null; milliseconds: number }> {
  const start = performance.now();
  child.kill("SIGINT");
  return { code: await ended, milliseconds: performance.now() - start };
}

type Look = Checklist & { readonly exit: number };

describe("verify --watch", () => {
  it("gives one object a line with --json, sees the change, and ends at Ctrl-C with what it saw last", async () => {
    const watching = watch("--json", "--interval", "1");
    const looks = () => watching.lines().map((line) => JSON.parse(line) as Look);
    await until("two looks", () => (looks().length >= 2 ? true : undefined));
    expect(looks().map(({ holds, exit, stack }) => ({ holds, exit, stack }))).toEqual(
      looks().map(() => ({ holds: true, exit: 0, stack: STACK })),
    );
    await deployment.withManager((manager) => manager.streams.delete(STREAM.name));
    const broken = await until("the missing stream", () => looks().find(({ holds }) => !holds));
    expect(broken.exit).toBe(1);
    expect(broken.lines.find(({ item }) => item === STREAM.name)).toMatchObject({
      status: "wrong",
      found: "no such stream",
    });
    const { code, milliseconds } = await interrupted(watching);
    expect({ code, complaints: watching.complaints() }).toEqual({ code: 1, complaints: "" });
    // A look takes seconds, and so does what a busy machine is about.
    expect(milliseconds).toBeLessThan(20_000);
    expect((await deployment.command("doctor", "--stack", STACK, "--repair", "--yes")).code).toBe(0);
  });

  it("shows the table again and again, without a terminal's codes where there is none", async () => {
    const watching = watch("--interval", "1");
    const text = () => watching.lines().join("\n");
    await until("two tables", () => (text().split("Everything holds.").length > 2 ? true : undefined));
    expect(text()).toMatch(/^\d{4}-\d\d-\d\dT\S+Z, every 1 s; Ctrl-C ends it\.$/m);
    expect(text()).not.toContain("\u001b");
    expect((await interrupted(watching)).code).toBe(0);
  });

  it("ends at Ctrl-C before the first look, too", async () => {
    // At once, where the machine has nothing else to do.
    await until("one that ends within a second", async () => {
      const watching = watch();
      // While it has the engine read the stack, it is past its own start and has nothing to show yet.
      const children = `/proc/${watching.child.pid}/task/${watching.child.pid}/children`;
      await until("the engine at work", () => (fs.readFileSync(children, "utf8").trim() === "" ? undefined : true));
      const { code, milliseconds } = await interrupted(watching);
      expect({ code, lines: watching.lines() }).toEqual({ code: 130, lines: [] });
      return milliseconds < 1_000 || undefined;
    });
  });

  it("ends quietly when its reader goes away", async () => {
    const watching = watch("--json", "--interval", "1");
    await until("a look", () => (watching.lines().length > 0 ? true : undefined));
    watching.child.stdout.destroy();
    expect({ code: await watching.ended, complaints: watching.complaints() }).toEqual({ code: 0, complaints: "" });
  });

  it("refuses an interval that is none", async () => {
    const { code, stderr } = await deployment.command("verify", "--stack", STACK, "--watch", "--interval", "0");
    expect(code).toBe(2);
    expect(stderr).toContain("allowed: 1 to 3600 seconds");
  });
});
