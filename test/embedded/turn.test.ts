import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { projectRoot } from "../../contract/project";
import { until } from "../support/nats";

const TURN = path.join(projectRoot(), "dist", "embedded", "turn.js");

let dir: string;
beforeEach(() => {
  dir = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "turn-")), ".embedded");
});
afterEach(() => fs.rmSync(path.dirname(dir), { recursive: true, force: true }));

/** A process that takes its turn, does `then` with it, and says what came of it, one line. */
function taking(then = 'console.log("mine");'): ChildProcess & { said: () => string } {
  const script = `
    const { takeTurn, emptyFolder } = require(${JSON.stringify(TURN)});
    takeTurn(process.argv[1], "up:embedded").then((giveBack) => { ${then} }, (error) => console.log(error.message));`;
  const child = spawn(process.execPath, ["-e", script, dir], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
  return Object.assign(child, { said: () => text });
}

const STAYS = 'console.log("mine"); setInterval(() => {}, 1000);';
const ended = (child: ChildProcess) => new Promise((resolve) => child.once("close", resolve));
const line = (child: ReturnType<typeof taking>) => until("its answer", () => child.said().includes("\n") || undefined);
const runs = (pid: number): boolean =>
  fs.existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));

it("is refused while another process has it, with its number and what to do; it is free again when that has given it back", async () => {
  const first = taking(
    'console.log("mine"); process.once("SIGTERM", () => { giveBack(); process.exit(); }); setInterval(() => {}, 1000);',
  );
  await line(first);
  const second = taking();
  await ended(second);
  expect(second.said()).toContain(`npm run up:embedded is at work on this cluster (process ${first.pid})`);
  first.kill("SIGTERM");
  await ended(first);
  // Nothing else was in the folder.
  expect(fs.existsSync(dir)).toBe(false);
  const third = taking('console.log("mine"); giveBack();');
  await ended(third);
  expect(third.said()).toBe("mine\n");
});

it("is had by exactly one of many who ask at once, also in the place of one that was killed", async () => {
  const killed = taking(STAYS);
  await line(killed);
  killed.kill("SIGKILL");
  await ended(killed);
  const many = Array.from({ length: 5 }, () => taking(STAYS));
  await Promise.all(many.map(line));
  expect(many.filter((each) => each.said() === "mine\n")).toHaveLength(1);
});

it("a file that was cut off keeps nobody from it", async () => {
  fs.mkdirSync(dir);
  fs.writeFileSync(path.join(dir, "at-work.json"), '{"pid": 1');
  const first = taking('console.log("mine"); giveBack();');
  await ended(first);
  expect(first.said()).toBe("mine\n");
});

/** Starts a program as the engine starts its plugins, in a group of its own, and writes its number. */
const STARTS =
  'const child = require("node:child_process").spawn("sleep", ["1000"], { detached: true, stdio: "ignore" }); console.log(child.pid);';

it("what a process leaves running that was killed is ended by the next one", async () => {
  const killed = taking(`${STARTS} setInterval(() => {}, 1000);`);
  await line(killed);
  const left = Number(killed.said());
  onTestFinished(() => {
    if (runs(left)) process.kill(left, "SIGKILL");
  });
  killed.kill("SIGKILL");
  await ended(killed);
  expect(runs(left)).toBe(true);
  await ended(taking("giveBack();"));
  expect(runs(left)).toBe(false);
});

it("nothing that a process has started outlives it, where it can help it", async () => {
  const first = taking(`${STARTS} process.stdout.write("", () => process.exit(130));`);
  await ended(first);
  const left = Number(first.said());
  await until("its end", () => !runs(left) || undefined);
});

it("all goes from the folder but whose turn it is, and that with the turn", async () => {
  const first = taking(`
    const fs = require("node:fs");
    fs.mkdirSync(process.argv[1] + "/state/deep", { recursive: true });
    fs.writeFileSync(process.argv[1] + "/passphrase", "");
    emptyFolder(process.argv[1]);
    console.log(fs.readdirSync(process.argv[1]).join());
    giveBack();`);
  await ended(first);
  expect([first.said(), fs.existsSync(dir)]).toEqual(["at-work.json\n", false]);
});
