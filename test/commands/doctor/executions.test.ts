import { describe, expect, it } from "vitest";
import { parseSettings } from "../../../config/parse";
import { announcement } from "../../../commands/doctor/repair/announce";
import { describeExecution, executionsIn, refuseOtherLines } from "../../../commands/doctor/executions";

const NOW = Date.parse("2026-03-02T12:00:00Z");
const row = (changes: object) => ({
  execution: "630211190273835008",
  standstill: "waits",
  event: "630211190273835009",
  command: "630211190273835008:start:7",
  step: "start",
  age: 90,
  path: "examples/hello",
  version: "3",
  ...changes,
});

describe("what NoETL's table tells of executions", () => {
  it("is one execution for all its commands, since the first of them", () => {
    const found = executionsIn([row({}), row({ event: "630211190273835011", step: "other", age: 60 })], NOW);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      id: "630211190273835008",
      path: "examples/hello",
      version: "3",
      standstill: "waits",
    });
    expect(found[0]?.issuedAt).toBe(NOW - 90_000);
    expect(found[0]?.commands.map(({ eventId, step, issuedAt }) => [eventId, step, issuedAt])).toEqual([
      ["630211190273835009", "start", NOW - 90_000],
      ["630211190273835011", "other", NOW - 60_000],
    ]);
  });

  it("keeps ids whole, and one without a command", () => {
    const found = executionsIn([row({ standstill: "no-command", event: null, command: null, step: null })], NOW);
    expect(found).toMatchObject([{ id: "630211190273835008", standstill: "no-command", commands: [] }]);
  });

  it.each<[string, unknown]>([
    ["an id that is not a number", [row({ execution: "1; rm -rf" })]],
    ["a standstill that is not known", [row({ standstill: "x" })]],
    ["an age that is missing", [row({ age: null })]],
    ["no rows", null],
    ["a text", "x"],
  ])("leaves out %s", (_, rows) => expect(executionsIn(rows, NOW)).toEqual([]));

  it("leaves the command out whose event id is not a number, and what a terminal would obey", () => {
    const [found] = executionsIn([row({ event: "x", path: "a\u001b[31mb" })], NOW);
    expect(found).toMatchObject({ path: "ab", commands: [] });
  });
});

it("keeps a command's id and step as NoETL has them, and shows nothing that is not seen", () => {
  const step = "fetch \u{1F469}\u200d\u{1F4BB}\u001b[31m";
  const rows = [row({ command: `630211190273835008:${step}:7`, step })];
  const [execution] = executionsIn(rows, NOW);
  const [command] = execution?.commands ?? [];
  if (!execution || !command) throw new Error("there is no command");
  const sent = JSON.parse(announcement({ execution, command }, "http://noetl")) as object;
  expect(sent).toMatchObject({ command_id: `630211190273835008:${step}:7`, step });
  expect(describeExecution(execution)).toContain("its command (fetch \u{1F469}\u{1F4BB}) was issued");
});

describe("the line of NoETL", () => {
  const refusal = (config: Record<string, string>): string => {
    try {
      refuseOtherLines(parseSettings(config));
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };

  it("is known to be 2.8, or the question is not asked", () => {
    expect(refusal({})).toBe("");
    expect(refusal({ noetlLine: "4.7" })).toBe(
      "how commands are announced is known of line 2.8, and not of a NoETL of line 4.7",
    );
    const image = `registry.example/noetl@sha256:${"a".repeat(64)}`;
    expect(refusal({ noetlImage: image })).toContain("(set noetlLine where it is 2.8)");
    expect(refusal({ noetlImage: image, noetlLine: "2.8" })).toBe("");
  });
});
