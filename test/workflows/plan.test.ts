import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace } from "@pulumi/pulumi/automation";
import * as random from "@pulumi/random";
import { afterAll, describe, expect, it } from "vitest";
import { openEngine } from "../../embedded/stack";
import { ensureTools } from "../../embedded/toolchain";
import { differences, noteOf, readNote } from "../../scripts/ci/plan";
import { inlineProgram } from "../../embedded/inline";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-plan-"));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const secret = (ciphertext: string) => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", ciphertext });
const URN = "urn:pulumi:gke::noetl-nats::kubernetes:core/v1:ConfigMap::settings";
const plan = (updates: object, steps: string[] = ["update"], urn = URN): string =>
  JSON.stringify({ resourcePlans: { [urn]: { steps, goal: { inputDiff: { updates } } } } });

describe("what a plan does", () => {
  it("is noted without a value, and a secret only as one", () => {
    const note = noteOf(plan({ data: { a: "canary-value" }, password: secret("v1:canary:x") }));
    expect(note).toEqual({
      [URN]: { steps: ["update"], inputs: ["data", "password"], digest: expect.any(String) as string },
    });
    expect(JSON.stringify(note)).not.toContain("canary");
  });

  it("is the same whatever the order of keys, and however a secret was encrypted this time", () => {
    const before = noteOf(plan({ a: { x: 1, y: 2 }, password: secret("v1:one") }));
    expect(differences(before, noteOf(plan({ password: secret("v1:two"), a: { y: 2, x: 1 } })))).toEqual([]);
    expect(noteOf(plan({}, ["same"]))).toEqual({});
  });

  it.each([
    [
      "another value",
      plan({ data: { a: 2 } }),
      /settings: approved was update of data; now it would be the same with other values$/,
    ],
    ["a plain text in the place of a secret", plan({ data: { a: secret("x") } }), /other values$/],
    [
      "another operation",
      plan({ data: { a: 1 } }, ["create-replacement", "replace"]),
      /now it would be create-replacement, replace of data$/,
    ],
    ["nothing any more", plan({}, ["same"]), /now it would be nothing$/],
  ])("differs by %s", (_, now, says) => {
    const found = differences(noteOf(plan({ data: { a: 1 } })), noteOf(now));
    expect(found).toEqual([expect.stringMatching(says) as string]);
  });

  it("differs by another resource", () => {
    const other = plan({ data: { a: 1 } }, ["delete"], URN.replace("settings", "other"));
    expect(differences(noteOf(plan({ data: { a: 1 } })), noteOf(other))).toHaveLength(2);
  });

  it.each(["", "[]", "{}", "null", '{"resourcePlans": null}'])("is not read out of %j", (text) =>
    expect(() => noteOf(text)).toThrow(/the plan/),
  );

  it.each(["", "null", "[]", '{"urn": null}', '{"urn": {"steps": []}}'])("was not approved by a note like %j", (text) =>
    expect(() => readNote(text)).toThrow(/the note of what was approved/),
  );

  it.each([
    [{ steps: "update", inputs: [], digest: "d" }, "no list steps"],
    [{ steps: ["update"], digest: "d" }, "no list inputs"],
    [{ steps: [1], inputs: {} }, "no list steps, no list inputs, no digest"],
  ])("was not approved by a note with %j, which names the resource", (intent, why) =>
    expect(() => readNote(JSON.stringify({ "urn:a": intent }))).toThrow(
      `the note of what was approved is of another form: urn:a has ${why}`,
    ),
  );

  it("is approved by the note that was written, also where nothing is to be done", () => {
    for (const note of [noteOf(plan({ a: 1 })), {}]) expect(readNote(JSON.stringify(note))).toEqual(note);
  });
});

describe("with the real engine", () => {
  it("two previews of one state agree, and one after somebody else's update does not", async () => {
    const engine = await openEngine({ dir, tools: await ensureTools(["helm", "pulumi"]) });
    let [revision, byteLength] = [1, 4];
    const program = inlineProgram(() => {
      new random.RandomPassword("password", {
        length: 12,
        keepers: { revision: String(revision), key: pulumi.secret("k") },
      });
      new random.RandomId("name", { byteLength });
      return Promise.resolve({});
    });
    const stack = await LocalWorkspace.createOrSelectStack(
      { stackName: `plan-${process.pid}`, projectName: "plan", program },
      { ...engine.options, workDir: dir },
    );
    const noted = async (): Promise<ReturnType<typeof noteOf>> => {
      const file = path.join(dir, "plan.json");
      await stack.preview({ plan: file });
      return noteOf(fs.readFileSync(file, "utf8"));
    };
    try {
      await stack.up();
      revision = 2;
      const approved = await noted();
      expect(Object.values(approved)).toHaveLength(1);
      expect(differences(approved, await noted())).toEqual([]);
      // Somebody deploys something else between approval and deployment.
      [revision, byteLength] = [1, 8];
      await stack.up();
      [revision, byteLength] = [2, 4];
      expect(differences(approved, await noted())).toEqual([
        expect.stringMatching(
          /RandomId name: approved was nothing; now it would be .*replace.* of byteLength$/,
        ) as string,
      ]);
    } finally {
      await engine.close();
    }
  });

  it("a preview, and a refresh as one, take no lock and write nothing to the state, which the reader of docs/ci.md may not", async () => {
    const engine = await openEngine({ dir, tools: await ensureTools(["helm", "pulumi"]) });
    const stackName = `read-${process.pid}`;
    const program = inlineProgram(() => Promise.resolve({ id: new random.RandomId("id", { byteLength: 4 }).hex }));
    const stack = await LocalWorkspace.createOrSelectStack(
      { stackName, projectName: "plan", program },
      { ...engine.options, workDir: dir },
    );
    const state = (engine.options.envVars?.PULUMI_BACKEND_URL ?? "").replace("file://", "");
    const written = (): string[] =>
      fs.readdirSync(state, { recursive: true, encoding: "utf8" }).map((name) => {
        const { mtimeNs, size } = fs.statSync(path.join(state, name), { bigint: true });
        return `${name} ${mtimeNs} ${size}`;
      });
    try {
      await stack.up();
      // Somebody else's update, by which whoever wants the lock fails.
      const locks = path.join(state, ".pulumi", "locks", "organization", "plan", stackName);
      fs.mkdirSync(locks, { recursive: true });
      fs.writeFileSync(path.join(locks, "somebody.json"), '{"pid":1,"username":"a","hostname":"b"}');
      const before = written();
      expect(before.length).toBeGreaterThan(5);
      await stack.preview({ plan: path.join(dir, "plan.json"), refresh: true });
      await stack.previewRefresh();
      expect(written()).toEqual(before);
      await expect(stack.up()).rejects.toThrow(/currently locked/);
    } finally {
      await engine.close();
    }
  });
});
