import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { create } from "../../../commands/kind/create";
import { CommandError, EXIT, type ExitName } from "../../../commands/shared/exit";
import { projectRoot } from "../../../contract/project";
import { Machine } from "./machine";

let machine: Machine;
let said: string[];

beforeEach(() => {
  machine = new Machine();
  machine.write("clusters", ["other"]);
  said = [];
  vi.stubEnv("PATH", machine.bin);
});
afterEach(() => {
  vi.unstubAllEnvs();
  machine.dispose();
});

const made = (): string[] =>
  machine
    .calls()
    .map(({ program, args }) => [program, ...args].join(" "))
    .filter((line) => /^kind (create|delete)/.test(line));

const run = (signal = new AbortController().signal): Promise<ExitName> =>
  create({ say: (line) => void said.push(line), signal });

async function failure(): Promise<CommandError> {
  const outcome = await run().catch((error: unknown) => error);
  if (!(outcome instanceof CommandError)) throw new Error(`no failure for the user: ${String(outcome)}`);
  return outcome;
}

it("makes the cluster, and the second time leaves it as it is", async () => {
  expect(await run()).toBe("ok");
  expect(made()).toEqual([`kind create cluster --config ${path.join(projectRoot(), "kind", "cluster.yaml")}`]);
  expect(await run()).toBe("ok");
  expect(made()).toEqual([]);
  expect(said.slice(-2)).toEqual([
    "The cluster noetl is there, and answers. npm run kind:delete takes it away, with all that is in it.",
    "Next: npm run kind:up",
  ]);
});

it("names all that is missing, with where to get it, and makes nothing", async () => {
  for (const program of ["docker", "kind", "kubectl"]) machine.remove(program);
  const { message, exit } = await failure();
  for (const program of ["docker", "kind", "kubectl"])
    expect(message).toMatch(RegExp(`${program} is not on PATH: install it \\(https://`));
  expect([exit, made()]).toEqual(["usage", []]);
});

it("tells of a cluster that is there and does not answer, as one that was cut off while it was made", async () => {
  machine.write("clusters", ["noetl"]);
  machine.faults({ "kubectl get --raw": { code: 1, says: "refused" } });
  const { message, exit } = await failure();
  expect(message).toMatch(
    /cluster noetl does not answer; start its container .* goes with npm run kind:delete: .*refused/,
  );
  expect([exit, made()]).toEqual(["usage", []]);
});

it("shows what kind says, and how to go on, where it fails", async () => {
  machine.faults({ "kind create": { code: 1, says: "ERROR: port is already allocated" } });
  const { message, exit } = await failure();
  expect(said).toContain("  ERROR: port is already allocated");
  expect(message).toContain("What there is of the cluster goes with npm run kind:delete.");
  expect(exit).toBe("unknown");
});

it("takes no words but those that ask for its explanation", () => {
  const script = path.join(projectRoot(), "dist", "commands", "kind", "create.js");
  const { status, stderr } = spawnSync(process.execPath, [script, "../noetl"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([EXIT.usage.code, expect.stringContaining("usage: npm run kind:create")]);
  expect(made()).toEqual([]);
});
