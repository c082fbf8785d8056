import { describe, expect, it } from "vitest";
import { subjectIn } from "../../../../commands/doctor/repair/consumers";

const LITERAL = { src: "noetl.commands", dest: "old.commands" };
const POOLS = { src: "noetl.commands.shared.>", dest: "noetl.commands.moved.>" };

describe("a message that an old stream stored under another name", () => {
  it.each([
    ["is the command that was published", ["noetl.commands"], LITERAL, "old.commands", "noetl.commands"],
    [
      "is it, where the new stream takes the other name by a wildcard",
      ["noetl.commands", "noetl.commands.>"],
      POOLS,
      "noetl.commands.moved.a",
      "noetl.commands.shared.a",
    ],
    ["stays where it had its name from the start", ["noetl.commands"], LITERAL, "noetl.commands", "noetl.commands"],
    [
      "stays where the old stream took that name, too",
      ["noetl.commands", "old.>"],
      LITERAL,
      "old.commands",
      "old.commands",
    ],
    ["stays where a filter takes everything", ["noetl.commands"], LITERAL, ">", ">"],
    ["stays where it is another's", ["noetl.commands", "other"], LITERAL, "other", "other"],
  ])("%s", (_what, subjects, subject_transform, stored, expected) => {
    expect(subjectIn({ subjects }, { subjects, subject_transform }, stored)).toBe(expected);
  });
});
