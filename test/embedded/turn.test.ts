import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { projectRoot } from "../../contract/project";
import { here } from "../../embedded/cluster/whereabouts";
import { until } from "../support/nats";

const TURN = path.join(projectRoot(), "dist", "embedded", "turn.js");

let dir: string;
beforeEach(() => {
  dir = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "turn-")), ".embedded");
});
afterEach(() => fs.rmSync(path.dirname(dir), { recursive: true, force: true }));

/** A process that takes its turn, does `then` with it, and says what came of it, one line; `first` is done before. */
function taking(then = 'console.log("mine");', first = ""): ChildProcess & { said: () => string } {
  const script = `
    ${first}
    const { takeTurn, emptyFolder } = require(${JSON.stringify(TURN)});
    takeTurn(process.argv[1], "up:embedded").then((giveBack) => { ${then} }, (error) => console.log(error.name === "CommandError" ? error.message : error.stack));`;
  const child = spawn(process.execPath, ["-e", script, dir], { stdio: ["pipe", "pipe", "inherit"] });
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

it("what a process has started ends with its turn, and what the next one starts does not end with the process", async () => {
  // Its end is written slowly, and so it goes on after its turn.
  const first = taking(
    `${STARTS} process.stdin.once("data", () => { giveBack(); console.log("given"); process.stdin.once("data", () => process.exit()); });`,
  );
  const input = first.stdin as NodeJS.WritableStream;
  await line(first);
  const own = Number(first.said());
  input.write("give back\n");
  await until("its turn's end", () => first.said().includes("given") || undefined);
  await until("the end of what it has started", () => !runs(own) || undefined);
  const second = taking(`${STARTS} setInterval(() => {}, 1000);`);
  await line(second);
  const other = Number(second.said());
  onTestFinished(() => {
    if (runs(other)) process.kill(other, "SIGKILL");
  });
  input.write("end\n");
  await ended(first);
  expect([other > 0, runs(other)]).toEqual([true, true]);
});

describe("a process that cannot be seen from here", () => {
  const DEAD = { pid: 2 ** 22 + 1, started: "1", command: "up:embedded" };
  const answer = async (where: object): Promise<string> => {
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, "at-work.json"), JSON.stringify({ ...DEAD, ...here(), ...where }));
    const next = taking();
    await ended(next);
    return next.said();
  };

  it("keeps everybody from it, with the file to remove where nothing is left of it", async () => {
    for (const where of [{ pids: "pid:[1]" }, { boot: "another", host: "another" }]) {
      expect(await answer(where)).toMatch(
        /^npm run up:embedded is at work on this cluster in another container.*\.embedded\/at-work\.json/,
      );
    }
  });

  it("has ended where this machine has been restarted since", async () => {
    expect(await answer({ boot: "another" })).toBe("mine\n");
    expect(await answer({})).toBe("mine\n");
  });

  it("is not taken for ended where it is the cluster's, which would be thrown away", async () => {
    const file = path.join(dir, "cluster", "whereabouts.json");
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify({ ...here(), pids: "pid:[1]", host: "container" }));
    const next = taking();
    await ended(next);
    expect(next.said()).toContain(`(host container), whose processes cannot be seen from here`);
    expect(next.said()).toContain(`remove ${file}`);
    expect(fs.readdirSync(dir)).toEqual(["cluster"]);
    fs.writeFileSync(file, JSON.stringify({ ...here(), boot: "another" }));
    const later = taking();
    await ended(later);
    expect(later.said()).toBe("mine\n");
  });
});

/** Mount namespaces can be made by everybody on most machines, and not in every container: there nobody has another folder under our path. */
const UNSHARE = ["unshare", "-rm"];
const [unshare = "", ...withMounts] = UNSHARE;
const canUnshare = spawnSync(unshare, [...withMounts, "true"]).status === 0;

it("what another container runs for a folder of its own under the same path is left alone; what means ours is ended", async () => {
  fs.mkdirSync(dir);
  const inside = (script: string): ChildProcess => {
    const [command = "", ...args] = [...(canUnshare ? UNSHARE : []), "sh", "-c"];
    const child = spawn(command, [...args, `${script} echo begun; exec sleep 1000`], {
      env: { ...process.env, NOETL_NATS_CLUSTER: dir },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };
  const [theirs, ours] = [inside(canUnshare ? `mount -t tmpfs theirs '${dir}' &&` : ""), inside("")];
  await Promise.all([theirs, ours].map((each) => new Promise((resolve) => each.stdout?.once("data", resolve))));
  const next = taking('console.log("mine"); giveBack();');
  await ended(next);
  expect(next.said()).toBe("mine\n");
  expect([runs(theirs.pid ?? 0), runs(ours.pid ?? 0)]).toEqual([canUnshare, false]);
});

it("the file of one who is at work is never away, however late another one looks", async () => {
  const file = path.join(dir, "at-work.json");
  const holder = taking(STAYS);
  await line(holder);
  const before = fs.statSync(file, { bigint: true }).ctimeNs;
  // What it reads first was there before the holder had taken the place of one that was killed.
  const late = taking(
    undefined,
    `const fs = require("node:fs");
     const read = fs.readFileSync;
     let old = 2;
     fs.readFileSync = (...args) => args[0] === ${JSON.stringify(file)} && old-- > 0
       ? JSON.stringify({ pid: ${2 ** 22 + 1}, started: "1", command: "up:embedded" }) : read(...args);`,
  );
  await ended(late);
  expect(late.said()).toContain(`(process ${holder.pid})`);
  expect(fs.statSync(file, { bigint: true }).ctimeNs).toBe(before);
});

it("is had where the one before was killed, and so was the one that was clearing up after it", async () => {
  const dead = (pid: number) => ({ pid: 2 ** 22 + pid, started: "1", command: "up:embedded" });
  fs.mkdirSync(dir);
  const file = path.join(dir, "at-work.json");
  fs.writeFileSync(file, JSON.stringify(dead(1)));
  fs.writeFileSync(`${file}.${dead(1).pid}-1`, JSON.stringify(dead(2)));
  const next = taking('console.log("mine"); giveBack();');
  await ended(next);
  expect([next.said(), fs.existsSync(dir)]).toEqual(["mine\n", false]);
});

it("says in one sentence what of the one before does not end, and is free then", async () => {
  const processes = path.join(projectRoot(), "dist", "embedded", "cluster", "processes.js");
  const fails = `require(${JSON.stringify(processes)}).endProcesses = async () => { throw new Error("processes 7 do not end"); };`;
  const next = taking(undefined, fails);
  await ended(next);
  expect([next.said(), fs.existsSync(dir)]).toEqual(["processes 7 do not end\n", false]);
});

it("is had by one at a time on a file system without hard links, too", async () => {
  const without = `require("node:fs").linkSync = () => { throw Object.assign(new Error("EPERM"), { code: "EPERM" }); };`;
  const first = taking(STAYS, without);
  await line(first);
  expect(first.said()).toBe("mine\n");
  const second = taking(undefined, without);
  await ended(second);
  expect(second.said()).toContain(`(process ${first.pid})`);
  first.kill("SIGKILL");
  await ended(first);
  const third = taking('console.log("mine"); giveBack();', without);
  await ended(third);
  expect([third.said(), fs.existsSync(dir)]).toEqual(["mine\n", false]);
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
