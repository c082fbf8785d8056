import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connectivityState } from "@grpc/grpc-js";
import { LocalWorkspace } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inlineProgram } from "../../embedded/inline";
import { type Engine, openEngine } from "../../embedded/stack";
import { ensureTools } from "../../embedded/toolchain";

interface Client {
  getChannel(): { getConnectivityState(tryToConnect: boolean): connectivityState };
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-inline-"));
let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ dir, tools: await ensureTools(["helm", "pulumi"]) });
});
afterAll(async () => {
  await engine.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

describe("a program that one process runs again", () => {
  it("has no client left that dials the engine of its run before, and sends no lines for debugging, nor keeps stacks for it", async () => {
    const kept: (string | undefined)[] = [];
    const runs: { monitor: Client; engine: Client }[] = [];
    const program = inlineProgram(() => {
      const debuggable = require("@pulumi/pulumi/runtime/debuggable") as {
        debuggablePromise(promise: Promise<void>, context: string): Promise<void>;
      };
      const { asyncLocalStorage } = globalThis as unknown as {
        asyncLocalStorage: { getStore(): { settings: (typeof runs)[number] } };
      };
      runs.push(asyncLocalStorage.getStore().settings);
      const promise: Promise<void> & { _debugStackTrace?: string } = Promise.resolve();
      void debuggable.debuggablePromise(promise, "of the program");
      kept.push(promise._debugStackTrace);
      return Promise.resolve({});
    });
    const stack = await LocalWorkspace.createStack(
      { stackName: "inline", projectName: "inline", program },
      { ...engine.options, workDir: dir },
    );
    const states = () =>
      runs.flatMap((run) => [run.monitor, run.engine]).map((each) => each.getChannel().getConnectivityState(false));
    await stack.preview();
    // What the SDK leaves open; once it closes them itself, `inlineProgram` is of no more use.
    expect(states()).not.toContain(connectivityState.SHUTDOWN);
    const severities: (string | undefined)[] = [];
    await stack.preview({ onEvent: ({ diagnosticEvent }) => void severities.push(diagnosticEvent?.severity) });
    expect(severities).not.toContain("debug");
    expect(kept).toHaveLength(2);
    expect(kept.join("")).not.toContain(" at ");
    expect(new Error("of the program").stack).toContain("\n    at ");
    expect(states().slice(0, 2)).toEqual([connectivityState.SHUTDOWN, connectivityState.SHUTDOWN]);
  });
});
