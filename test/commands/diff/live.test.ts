import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { livePreview } from "../../../commands/diff/live";
import { Masker } from "../../../contract/mask";
import { openEngine, type Engine } from "../../../embedded/stack";
import { ensureTools } from "../../../embedded/toolchain";
import { temporaryFolder } from "./support";
import { inlineProgram } from "../../../embedded/inline";

const CANARY = "Canary-Live.4711";
const masker = new Masker([], []);

describe("the engine's own preview", () => {
  let folder: string;
  let engine: Engine;
  let stack: Stack;
  let length = 16;
  let fails = false;

  beforeAll(async () => {
    folder = temporaryFolder();
    engine = await openEngine({ dir: folder, tools: await ensureTools(["pulumi", "helm"]) });
    stack = await LocalWorkspace.createStack(
      {
        stackName: "test",
        projectName: "live",
        program: inlineProgram(() => {
          if (fails) throw new Error(`cannot log in with nats://bob:${CANARY}@host`);
          const password = new random.RandomPassword("password", { length });
          new random.RandomId("id", {
            byteLength: 4,
            keepers: { password: password.result, own: pulumi.secret(CANARY) },
          });
          void pulumi.log.warn("mind the gap");
          return Promise.resolve({ password: password.result });
        }),
      },
      // Without a folder of its own the stack gets one that nobody removes.
      { ...engine.options, workDir: folder },
    );
    await stack.up();
  });
  afterAll(async () => {
    await engine.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it("shows no step where nothing changes", async () => {
    const report = await livePreview(stack, { refresh: false }, masker);
    expect(report).toMatchObject({ steps: [], diagnostics: ["warning: mind the gap"] });
    expect(report.drift).toBeUndefined();
  });

  it("shows replacements with their reasons, and no value", async () => {
    length = 24;
    const report = await livePreview(stack, { refresh: true }, masker);
    expect(report.steps.map(({ op, name }) => [op, name])).toEqual([
      ["replace", "id"],
      ["replace", "password"],
    ]);
    expect(report.steps[1]?.replaceReasons).toEqual(["length"]);
    expect(report.counts.replace).toBe(2);
    expect(report.drift).toEqual([]);
    expect(JSON.stringify(report)).not.toContain(CANARY);
  });

  it("fails as a whole where the program does, without the password in the message", async () => {
    fails = true;
    const failure = livePreview(stack, { refresh: false }, masker);
    await expect(failure).rejects.toThrow(/^--live: the engine's preview of the stack test failed:\n/);
    await expect(failure).rejects.not.toThrow(new RegExp(CANARY));
  });
});
