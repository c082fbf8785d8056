import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { CommandError } from "../../commands/shared/exit";
import { projectRoot } from "../../contract/project";
import { refuseWrong, unsets } from "../../embedded/settings";

const STACK = `given-${process.pid}`;
const FILE = path.join(projectRoot(), `Pulumi.${STACK}.yaml`);
afterEach(() => fs.rmSync(FILE, { force: true }));

/** What is refused of settings that are given to a stack with this file; undefined where nothing is. */
async function refusal(given: Readonly<Record<string, string>>, file?: string): Promise<string | undefined> {
  if (file !== undefined) fs.writeFileSync(FILE, file);
  try {
    await refuseWrong(given, "/nowhere", STACK);
    return undefined;
  } catch (error) {
    if (error instanceof CommandError && error.exit === "usage") return error.message;
    throw error;
  }
}

describe("settings that are given to up:embedded", () => {
  it("are refused before anything starts: all that is wrong in one message, in this stack's words", async () => {
    const said = await refusal({ wrkerReplicas: "3", workerReplicas: "abc", natsJetstreamFileSize: "10GB" });
    expect(said).toContain("has 3 problems");
    expect(said).toContain("wrkerReplicas: unknown key; the nearest known one is workerReplicas");
    expect(said).toContain('workerReplicas: "abc" is not an integer');
    expect(said).toContain("natsJetstreamFileSize");
    expect(said).toContain("Nothing was started, and nothing changed.");
    expect(said).not.toContain("pulumi config");
  });

  it("are taken, with what the stack comes with, its file's settings and none at all", async () => {
    expect(await refusal({})).toBeUndefined();
    expect(await refusal({ workerReplicas: "3", natsPassword: "given-Password.1" })).toBeUndefined();
    expect(
      await refusal({}, "config:\n  noetl-nats:workerReplicas: 3\n  noetl-nats:kubeconfig: /elsewhere\n"),
    ).toBeUndefined();
    expect(await refusal({}, "not: [yaml")).toBeUndefined();
  });

  it("are judged together with those of the stack's file", async () => {
    expect(await refusal({}, 'config:\n  noetl-nats:workerReplicas: "abc"\n')).toContain("workerReplicas");
    expect(await refusal({ workerReplicas: "" }, 'config:\n  noetl-nats:workerReplicas: "abc"\n')).toBeUndefined();
  });

  it("that are encrypted in the file cannot be read here, and are left to the program", async () => {
    const file = "encryptionsalt: v1:x\nconfig:\n  noetl-nats:natsPassword:\n    secure: v1:abc\n";
    expect(await refusal({}, file)).toBeUndefined();
    const said = await refusal({ natsPassword: "pass word" }, file);
    expect(said).toContain("natsPassword");
  });

  it("are refused where their names hold that of one that is encrypted in the file", async () => {
    const file = "encryptionsalt: v1:x\nconfig:\n  noetl-nats:natsPassword:\n    secure: v1:abc\n";
    expect(await refusal({ natsPasswordRevison: "2" }, file)).toMatch(
      /has 1 problem:\n {2}- natsPasswordRevison: unknown key/,
    );
  });

  it("of no known name go out of the file where they are given without a value", async () => {
    const file = 'config:\n  noetl-nats:wrkerReplicas: "3"\n';
    expect(await refusal({}, file)).toContain("wrkerReplicas: unknown key");
    expect(await refusal({ wrkerReplicas: "" }, file)).toBeUndefined();
    expect(
      unsets({ wrkerReplicas: "", workerReplicas: "", typo: "" }, { wrkerReplicas: "3", workerReplicas: "2" }),
    ).toEqual(["wrkerReplicas"]);
  });
});
