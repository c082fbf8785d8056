import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { FLOWS as PARTS } from "../../commands/diff/parts";
import { CLIENT_PARTS, FLOWS, OUTSIDE, picture, type PodName, PODS } from "../../contract/network";
import { projectRoot } from "../../contract/project";

/** Nodes of the picture, and what they stand for. */
const NODES: Readonly<Record<string, readonly string[]>> = {
  browser: ["googleFrontEnds"],
  gateway: ["gateway"],
  server: ["server"],
  worker: ["worker"],
  stream: ["nats"],
  kv: ["nats"],
  guard: ["guard"],
  db: ["database"],
  world: ["playbookTargets"],
  contract: ["node"],
};
const nodesIn = (line: string): string[] => {
  const bare = line.replaceAll(/\|[^|]*\||\(\[[^\]]*\]\)|\{\{.*?\}\}/g, " ");
  return bare.match(/[a-z]+/g) ?? [];
};

describe("the table of connections", () => {
  it("draws of every row what it says: between its own ends", () => {
    for (const { from, to, drawn = [] } of FLOWS) {
      for (const line of drawn) {
        const nodes = nodesIn(line);
        expect(nodes.length, line).toBeGreaterThan(1);
        for (const node of nodes) {
          const ends = NODES[node];
          expect(ends, `${node} of ${line}`).toBeDefined();
          expect(
            ends?.some((end) => [...from, to].includes(end as PodName)),
            `${node} of ${line}`,
          ).toBe(true);
        }
      }
    }
  });

  it("has every pod, everybody outside, and a reason for each row", () => {
    const named = new Set(FLOWS.flatMap(({ from, to }) => [...from, to]));
    for (const name of [...Object.keys(PODS), ...Object.keys(OUTSIDE)]) {
      // Postgres and PgBouncer are also what `database` stands for.
      expect(named, name).toContain(name);
    }
    for (const { why } of FLOWS) expect(why).not.toBe("");
    for (const { when, condition } of FLOWS) expect(when === undefined).toBe(condition === undefined);
  });

  it("holds what the picture of a change shows", () => {
    const pods: Readonly<Record<string, readonly string[]>> = {
      gateway: ["gateway"],
      server: ["server"],
      worker: ["worker"],
      nats: ["nats"],
      database: ["database"],
      contract: ["node"],
    };
    for (const { from, to } of PARTS) {
      const [one = [], other = []] = [pods[from], pods[to]];
      const rows = FLOWS.filter((flow) => {
        const opens = (a: readonly string[], b: readonly string[]) =>
          flow.from.some((end) => a.includes(end)) && b.includes(flow.to);
        return opens(one, other) || opens(other, one);
      });
      expect(rows.length, `${from} and ${to}`).toBeGreaterThan(0);
    }
  });

  it("is README's picture", () => {
    expect(fs.readFileSync(path.join(projectRoot(), "README.md"), "utf8")).toContain(`\`\`\`mermaid\n${picture()}\n`);
  });

  it("lets clients in where a row of the stack's own leads, too", () => {
    for (const { to, port } of Object.values(CLIENT_PARTS))
      expect(FLOWS.some((flow) => flow.to === to && flow.ports.some((each) => each.port === port))).toBe(true);
  });
});
