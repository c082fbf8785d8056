import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { engineScalar } from "../../../commands/diff/engine-yaml";
import { Placeholders } from "../../../contract/mask/placeholders";
import { stackConfig } from "../../../commands/diff/stack-config";
import { ensureTools } from "../../../embedded/toolchain";
import { isSecretKey, temporaryFolder } from "./support";

/** Scalars as they stand in a file. What they are for the engine, the engine itself is asked. */
const SCALARS =
  `0123 1_000 1__0 1e3 1e5 1e6 1E3 1e20 1e21 1e400 123456789.0 1234567.5 2000000.5 1000000.0 12345678901234567.0
0.30000000000000004 100000000000000000000.5 5e-324 0E0 1.10 0.1 1e-5 1e-4 1.5e300 -0 -0.0 +5 -5 +1.5 +.5 -.5 .5 .5e3 5. 1. 09.5
0x1F 0X1f 0b101 0b2 -0b11 0o17 017 0755 08 0_8 -0o7 0x 0b 0o 00 000 _1 1_ -_1 1e e1 1:30 12:30:45 1Gi 192.168.0.1 1.2.3
true True TRUE false yes on y no off 2001-12-14 2001-1-2 2001-13-01 2001-02-30 2001-12-14T21:59:43
2001-12-14T21:59:43.10Z 2001-12-14t21:59:43.10-05:00 18446744073709551615 18446744073709551616 9223372036854775808
-9223372036854775808 -9223372036854775809 +9223372036854775808 123456789012345678901234567890 "0123" '1_000' "true"`
    .split(/\s+/)
    .concat("2001-12-14 21:59:43.10", "!!str 0123", '!!int "012"', "a text: of words".replace(":", ""), "~", "")
    .concat('[0123, 1.0, 1e6, true, 2001-01-01, "x"]', "{b: 010, a: [~, 1.50]}");

let folder: string;
beforeAll(() => (folder = temporaryFolder()));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function project(name: string, config: string): string {
  const root = path.join(folder, name);
  fs.mkdirSync(root, { recursive: true });
  fs.writeFileSync(path.join(root, "Pulumi.yaml"), "name: noetl-nats\nruntime: nodejs\n");
  fs.writeFileSync(path.join(root, "Pulumi.x.yaml"), `config:\n${config}`);
  return root;
}

const read = (root: string, side: "base" | "head" = "base") =>
  stackConfig({ project: root, stack: "x", side, placeholders: new Placeholders("k"), overrides: {}, isSecretKey });

describe("a stack's file", () => {
  it("is read as the engine reads it", async () => {
    const { pulumi } = await ensureTools(["pulumi"]);
    const root = project("engine", "");
    const state = path.join(folder, "state");
    fs.mkdirSync(state);
    const run = (...args: string[]) =>
      execFileSync(pulumi, [...args, "--non-interactive", "--cwd", root], {
        encoding: "utf8",
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          PULUMI_BACKEND_URL: `file://${state}`,
          PULUMI_CONFIG_PASSPHRASE: "x",
          PULUMI_SKIP_UPDATE_CHECK: "true",
        },
      });
    run("stack", "init", "x");
    const salt = fs.readFileSync(path.join(root, "Pulumi.x.yaml"), "utf8").replace(/^config:.*\n/m, "");
    const lines = SCALARS.map((scalar, index) => `  noetl-nats:k${index}: ${scalar}\n`).join("");
    fs.writeFileSync(path.join(root, "Pulumi.x.yaml"), `${salt}\nconfig:\n${lines}`);
    const answer = JSON.parse(run("config", "--json", "--stack", "x")) as Record<
      string,
      { value?: string; objectValue?: unknown }
    >;
    const own = read(root).values;
    const differences = SCALARS.flatMap((scalar, index) => {
      const { value, objectValue } = answer[`noetl-nats:k${index}`] ?? {};
      const found = own[`noetl-nats:k${index}`];
      const same =
        objectValue === undefined
          ? found === (value ?? "")
          : JSON.stringify(JSON.parse(found ?? "")) === JSON.stringify(objectValue);
      return same ? [] : [{ scalar, engine: value ?? objectValue, ours: found }];
    });
    expect(differences).toEqual([]);
    expect(Object.keys(answer)).toHaveLength(SCALARS.length);
  }, 120_000);

  it("takes numbers, switches and sizes as they stand, and refuses what a text would turn into", () => {
    const good = project(
      "good",
      '  noetl-nats:workerMaxDeliver: 1_000\n  noetl-nats:deployGateway: True\n  noetl-nats:natsUser: "0123"\n' +
        "  natsJetstreamFileSize: 1073741824\n  noetl-nats:other: 0x1F\n",
    );
    expect(read(good, "head").values).toEqual({
      "noetl-nats:workerMaxDeliver": "1000",
      "noetl-nats:deployGateway": "true",
      "noetl-nats:natsUser": "0123",
      "noetl-nats:natsJetstreamFileSize": "1073741824",
      "noetl-nats:other": "31",
    });
    const bad = project(
      "bad",
      "  noetl-nats:natsUser: 0123\n  natsStream: 2001-01-01\n  noetl-nats:noetlDatabase: true\n" +
        "  noetl-nats:natsPassword: 0777\n  noetl-nats:natsJetstreamFileSize: 1_073_741_824\n",
    );
    const message = (() => {
      try {
        read(bad, "head");
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message.split("\n")).toEqual([
      "Pulumi.x.yaml:",
      'noetl-nats:natsUser: is a number without quotes, which the engine reads as the text "83"; quote it: noetl-nats:natsUser: "0123"',
      'natsStream: is a date without quotes, which the engine reads as the text "2001-01-01 00:00:00 +0000 UTC"; quote it: natsStream: "2001-01-01"',
      'noetl-nats:noetlDatabase: is true or false without quotes, which the engine reads as the text "true"; quote it: noetl-nats:noetlDatabase: "true"',
      'noetl-nats:natsPassword: is a number without quotes, which the engine reads as the text; quote it: noetl-nats:natsPassword: "..."',
      'noetl-nats:natsJetstreamFileSize: is a number without quotes, which the engine reads as the text "1073741824"; quote it: noetl-nats:natsJetstreamFileSize: "1_073_741_824"',
    ]);
    // A change that puts it right is compared with what the engine made of it.
    expect(read(bad, "base").values["noetl-nats:natsUser"]).toBe("83");
  });

  it("keeps encrypted values out, in lists and maps too", () => {
    const root = project(
      "secure",
      "  noetl-nats:natsPassword:\n    secure: v1:abc\n  noetl-nats:list: [1, {secure: v1:def}]\n",
    );
    const { values, secretKeys } = read(root);
    expect(secretKeys).toEqual(["noetl-nats:list", "noetl-nats:natsPassword"]);
    expect(JSON.stringify(values)).not.toMatch(/abc|def/);
  });

  it("says where it is not YAML, and that it is not a map", () => {
    expect(() => read(project("broken", "  a: [1\n"))).toThrow(/Pulumi.x.yaml cannot be read: .*line/);
    fs.writeFileSync(path.join(project("list", ""), "Pulumi.x.yaml"), "- a\n");
    expect(() => read(path.join(folder, "list"))).toThrow("Pulumi.x.yaml is not a YAML map");
  });

  it("tells a text from what only looks like one", () => {
    expect(engineScalar("1Gi").kind).toBeUndefined();
    expect(engineScalar("yes").kind).toBeUndefined();
    expect(engineScalar("2001-02-30").kind).toBeUndefined();
  });
});
