import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { V1Probe } from "@kubernetes/client-node";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ContainerProcess } from "../../../embedded/cluster/container";

/** A container whose process runs and whose probe is answered as `answers` says, one after the other. */
async function ask(answers: readonly boolean[], readinessProbe?: V1Probe): Promise<boolean[]> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "container-"));
  const options = { pod: "ns/pod", restartPolicy: "Always", folder, onStart: () => undefined } as const;
  const container = new ContainerProcess({ name: "server", ...(readinessProbe && { readinessProbe }) }, options);
  onTestFinished(async () => {
    await container.end();
    fs.rmSync(folder, { recursive: true });
  });
  const left = [...answers];
  container.start({ command: "sleep", args: ["60"], env: {}, isReady: () => Promise.resolve(left.shift() === true) });
  const found: boolean[] = [];
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  while (left.length > 0) {
    vi.advanceTimersByTime(1000);
    await container.probe();
    found.push(container.ready);
  }
  return found;
}

const [yes, no] = [true, false];

describe("a container that is ready", () => {
  it("stays so until three probes in a row have failed, as the API's default has it", async () => {
    expect(await ask([no, yes, no, no, yes, no, no, no, yes])).toEqual([no, yes, yes, yes, yes, yes, yes, no, yes]);
  });

  it("stays so as long as its manifest says", async () => {
    expect(await ask([yes, no], { failureThreshold: 1 })).toEqual([yes, no]);
    expect(await ask([yes, no, no, no, no], { failureThreshold: 4 })).toEqual([yes, yes, yes, yes, no]);
  });
});
