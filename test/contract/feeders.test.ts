import type { StreamConfig } from "nats";
import { describe, expect, it } from "vitest";
import { feedersOf } from "../../contract/rules/feeders";

const OWN = { name: "NOETL", subjects: ["noetl.commands", "noetl.commands.>"] };

const found = (
  streams: readonly Partial<StreamConfig>[],
  published = ["noetl.commands.shared.*"],
  takesSourced = true,
) =>
  feedersOf({ configs: [OWN, ...streams] as StreamConfig[], own: "NOETL", published, takesSourced }).map(
    ({ name, again }) => `${name} ${again ? "again" : "others"}`,
  );

const republish = (src: string, dest: string) => ({ republish: { src, dest } }) as Partial<StreamConfig>;

describe("streams that republish on the commands' subjects", () => {
  it.each<[string, Partial<StreamConfig>[], string[]]>([
    ["a mirror", [{ name: "M", mirror: { name: "NOETL" }, ...republish("noetl.>", "noetl.>") }], ["M again"]],
    [
      "the last one of several",
      [
        { name: "A", sources: [{ name: "NOETL" }] },
        { name: "B", mirror: { name: "A" }, ...republish(">", "b.>") },
        { name: "C", subjects: ["b.noetl.>"], ...republish("b.noetl.>", "noetl.>") },
      ],
      ["C again"],
    ],
    [
      "one that gives them other names on the way",
      [
        {
          name: "M",
          mirror: { name: "NOETL", subject_transforms: [{ src: "noetl.commands.*.*", dest: "m.$2.$1" }] },
          ...republish("m.*.*", "noetl.commands.{{wildcard(1)}}.{{wildcard(2)}}"),
        },
      ],
      ["M again"],
    ],
    [
      "one whose names grow at every turn",
      [{ name: "G", mirror: { name: "NOETL" }, ...republish("noetl.commands.>", "noetl.commands.again.>") }],
      ["G again"],
    ],
    [
      "one that takes none of the commands that are published",
      [{ name: "M", mirror: { name: "NOETL", filter_subject: "noetl.commands" }, ...republish(">", "noetl.commands") }],
      ["M others"],
    ],
    ["one of other messages", [{ name: "X", subjects: ["x.>"], ...republish("x.>", "noetl.>") }], ["X others"]],
    [
      "one of another account's messages",
      [{ name: "X", mirror: { name: "FAR" }, ...republish(">", "noetl.>") }],
      ["X others"],
    ],
    [
      "one whose copies have a name that it does not take",
      [
        {
          name: "A",
          mirror: { name: "NOETL", filter_subject: "noetl.commands.shared.>" },
          ...republish("noetl.commands.shared.>", "noetl.commands.audit.>"),
        },
      ],
      ["A others"],
    ],
    [
      "one that takes a name of its copies once more, and not the third",
      [{ name: "A", mirror: { name: "NOETL" }, ...republish("noetl.commands.*.*", "noetl.commands.{{wildcard(2)}}") }],
      ["A others"],
    ],
    [
      "two that hand each other's copies on",
      [
        {
          name: "A",
          mirror: { name: "NOETL", filter_subject: "noetl.commands.shared.>" },
          ...republish(">", "noetl.commands.audit"),
        },
        {
          name: "B",
          mirror: { name: "NOETL", filter_subject: "noetl.commands.audit" },
          ...republish(">", "noetl.commands.shared.one"),
        },
      ],
      ["A again", "B again"],
    ],
    [
      "one of another server's stream of that name",
      [
        {
          name: "HUB",
          mirror: { name: "NOETL", external: { api: "$JS.leaf.API", deliver: "" } },
          ...republish(">", ">"),
        },
      ],
      ["HUB others"],
    ],
    [
      "two that take from one another, and hold nothing that would be NoETL's",
      [
        { name: "EU", subjects: ["eu.>"], sources: [{ name: "US" }] },
        {
          name: "US",
          subjects: ["us.>"],
          sources: [{ name: "EU" }],
          ...republish("*.jobs.>", "noetl.{{wildcard(1)}}.>"),
        },
      ],
      [],
    ],
    ["one that republishes elsewhere", [{ name: "X", mirror: { name: "NOETL" }, ...republish(">", "x.>") }], []],
    ["one that has nothing that it would", [{ name: "X", subjects: ["x"], ...republish("y", "noetl.commands") }], []],
    [
      "two that take from one another",
      [
        { name: "A", subjects: ["z.>"], sources: [{ name: "B" }] },
        { name: "B", sources: [{ name: "A" }], ...republish("z.>", "noetl.commands.>") },
      ],
      ["B others"],
    ],
  ])("%s", (_what, streams, expected) => {
    expect(found(streams)).toEqual(expected);
  });

  it("are none of those that have it from a source, where the server refuses what was sourced", () => {
    const takes = [{ name: "S", sources: [{ name: "NOETL" }], ...republish(">", ">") }];
    expect(found(takes)).toEqual(["S again"]);
    expect(found(takes, undefined, false)).toEqual([]);
  });

  it.each<[string, Partial<StreamConfig>[]]>([
    [
      "all take from all",
      Array.from({ length: 40 }, (_, index) => ({
        name: `S${index}`,
        subjects: [`s${index}.>`],
        sources: Array.from({ length: 40 }, (_, other) => ({ name: other === index ? "NOETL" : `S${other}` })),
        ...republish("x.>", "y.>"),
      })),
    ],
    [
      "each takes twice from the one before",
      Array.from({ length: 60 }, (_, index) => ({
        name: `S${index}`,
        sources: ["a.>", "b.>"].map((filter_subject) => ({
          name: index === 0 ? "NOETL" : `S${index - 1}`,
          filter_subject,
        })),
        ...republish("x.>", "y.>"),
      })),
    ],
    [
      "names grow on a ring",
      Array.from({ length: 60 }, (_, index) => ({
        name: `S${index}`,
        subjects: [`r${index}.>`],
        sources: [{ name: "NOETL" }],
        ...republish(">", `r${(index + 1) % 60}.>`),
      })),
    ],
    [
      "many republish",
      Array.from({ length: 500 }, (_, index) => ({
        name: `S${index}`,
        subjects: [`s${index}.>`],
        ...republish(">", "out.>"),
      })),
    ],
  ])("are told in no time where %s", (_what, streams) => {
    const before = process.cpuUsage().user;
    expect(found(streams)).toEqual([]);
    // Microseconds of this process's own time, however busy the machine is.
    expect(process.cpuUsage().user - before).toBeLessThan(5_000_000);
  });

  it("are none where there is no stream of NoETL's", () => {
    const config = { name: "X", subjects: ["x"], ...republish("x", "noetl.commands") } as StreamConfig;
    expect(feedersOf({ configs: [config], own: "NOETL", published: [], takesSourced: true })).toEqual([]);
  });
});
