import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logLines } from "../../../commands/doctor/log-lines";
import { harmless, quoted } from "../../../commands/doctor/text";
import { kubectlOf, targetOf } from "../../../commands/doctor/target";

const textsOf = (log: string): string[] => logLines(log, (text) => text).map(({ text }) => text);

const FRAMES = Array.from(
  { length: 34 },
  (_, index) => `  File "/app/part${index}.py", line ${index}, in run\n    await run(${index})`,
);
const TRACE = ["Traceback (most recent call last):", ...FRAMES].join("\n");
const CHAIN = [
  TRACE,
  "nats.errors.NoServersError: nats: no servers available",
  "",
  "The above exception was the direct cause of the following exception:",
  "",
  TRACE,
  "RuntimeError: Failed to create/validate consumer",
].join("\n");

describe("a log", () => {
  it("has the times that the API server puts before its lines", () => {
    const log = "2026-03-02T11:59:00.123456789Z one\n2026-03-02T13:59:01+02:00 two\nthree\n2026-03-02T12:00:00Z \n";
    expect(logLines(log, (text) => text)).toEqual([
      { at: Date.parse("2026-03-02T11:59:00.123Z"), text: "one" },
      { at: Date.parse("2026-03-02T11:59:01Z"), text: "two" },
      { text: "three" },
    ]);
  });

  it("of the worker, one JSON object a line, is its message and the last line of its traceback", () => {
    const line = JSON.stringify({
      severity: "ERROR",
      message: "Subscribe failed:\n boom",
      in_file: "/app/nats_client.py:7",
      _: {},
      traceback: CHAIN,
    });
    expect(textsOf(`2026-03-02T11:59:00Z ${line}`)).toEqual([
      "ERROR Subscribe failed: boom: RuntimeError: Failed to create/validate consumer",
    ]);
  });

  it("of the gateway and of Google's programs is worded too; what is not such an object stays as it is", () => {
    expect(textsOf('{"timestamp":"x","level":"WARN","fields":{"message":"slow"},"target":"gw"}')).toEqual([
      "WARN slow",
    ]);
    expect(textsOf('{"severity":"ERROR","message":"no"}')).toEqual(["ERROR no"]);
    for (const line of ["{}", '{"a":1}', '{"cut', "[1]", "{not json}"]) expect(textsOf(line)).toEqual([line]);
  });

  it("has of Python's own traceback the last error alone, also where its beginning is cut off", () => {
    const end = "RuntimeError: Failed to create/validate consumer";
    expect(textsOf(`start\n${CHAIN}\n`)).toEqual(["start", end]);
    expect(textsOf(`${CHAIN.split("\n").slice(3).join("\n")}\nthe end`)).toEqual([end, "the end"]);
  });

  it("shows no secret that a control sequence or an escape of JSON hides from the mask", () => {
    const masked = (log: string) => logLines(log, (text) => text.replaceAll("tiger/7", "***")).map(({ text }) => text);
    expect(masked("password tig\u001b[1mer/7")).toEqual(["password ***"]);
    expect(masked('{"message":"password tiger\\/7"}')).toEqual(["password ***"]);
  });
});

describe("what others have written", () => {
  it("moves no cursor, sets no title and turns no text, whatever it holds", () => {
    expect(harmless("a\u001b[31mb\u001b]0;title\u0007c\u001b[2Jd\r\ne\u009b1mf\u202eg\u0000h\ti")).toBe(
      "abcd\nefgh\ti",
    );
    const among = (min: number, max: number) => fc.integer({ min, max }).map((code) => String.fromCodePoint(code));
    const character = fc.oneof(among(0, 0xff), among(0x2000, 0x20ff), among(0, 0xd7ff), among(0xe000, 0x10ffff));
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 60 }), (text) => {
        // eslint-disable-next-line no-control-regex
        expect(harmless(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      }),
    );
  });

  it("is one word of a shell's, whatever it holds", () => {
    const examples = ["a;touch x", "it's", "$(id)", "", "two words", "~/.kube/my config", "a\nb"];
    const words = (text: string) =>
      spawnSync("sh", ["-c", `set -- ${text}; printf '%s\\0' "$@"`], { encoding: "utf8", env: { HOME: "/home/me" } })
        .stdout;
    for (const each of examples) {
      expect(words(quoted(each)), each).toBe(`${each.replace(/^~/, "/home/me")}\0`);
    }
  });

  it("does not run from a context's or kubeconfig's name in a command to paste", () => {
    const target = targetOf("kind", {
      config: { kubeContext: "a;touch x", kubeconfig: "~/.kube/$(id)" },
      outputs: {},
    });
    expect(kubectlOf(target)).toBe("kubectl --kubeconfig ~/'.kube/$(id)' --context 'a;touch x'");
  });
});
