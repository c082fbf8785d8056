import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { projectRoot } from "../../../contract/project";
import type { Checklist, Line } from "../../../commands/doctor/checklist";
import { PLAYBOOK, PLAYBOOK_PATH, withLine } from "../../../commands/doctor/execute";

const line = (status: Line["status"]): Line => ({ section: "Playbook", item: PLAYBOOK_PATH, status, found: "" });
const checklist = (holds: boolean): Checklist => ({ stack: "s", cluster: "", lines: [line("ok")], slow: [], holds });

describe("the playbook of verify --execute", () => {
  it("has a name that one recognises, and steps that do nothing", () => {
    const { metadata, workflow } = parse(PLAYBOOK) as {
      metadata: { path: string };
      workflow: { step: string; tool: object }[];
    };
    expect(metadata.path).toBe("noetl-nats/check");
    expect(workflow.map(({ step }) => step)).toEqual(["start", "end"]);
    for (const { tool } of workflow) expect(tool).toEqual({ kind: "noop" });
  });

  it.each([
    [true, "ok", true],
    [true, "note", true],
    [true, "wrong", false],
    [true, "unknown", false],
    [false, "ok", false],
  ] as const)("a checklist that holds: %s, with a line that is %s, holds: %s", (before, status, after) => {
    const { lines, holds } = withLine(checklist(before), line(status));
    expect(holds).toBe(after);
    expect(lines).toHaveLength(2);
  });

  it("is not run again and again", () => {
    const verify = path.join(projectRoot(), "dist", "commands", "doctor", "verify.js");
    let refused: { status?: number; stderr?: string } = {};
    try {
      execFileSync(process.execPath, [verify, "--stack", "s", "--watch", "--execute"], {
        stdio: "pipe",
        encoding: "utf8",
      });
    } catch (error) {
      refused = error as typeof refused;
    }
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain("--execute runs a playbook once and --watch looks again: give one of them");
  });
});
