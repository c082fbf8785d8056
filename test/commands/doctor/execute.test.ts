import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Deadline } from "../../../contract/deadline";
import type { Session } from "../../../contract/nats/session";
import { projectRoot } from "../../../contract/project";
import type { Checklist, Line } from "../../../commands/doctor/checklist";
import { messagesOf, PLAYBOOK, PLAYBOOK_PATH, withLine } from "../../../commands/doctor/execute";

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

describe("the messages of an execution", () => {
  const ID = "626262626262626262";
  /** A stream with two messages, the second of which is the execution's, where NATS answers; else that it does not. */
  const session = (answers: boolean): Session => {
    const message = (seq: number) => ({
      seq,
      subject: "noetl.commands",
      time: "2026-03-02T10:00:00Z",
      data: Buffer.from(`{"execution_id": "${seq === 2 ? ID : "7"}"}`).toString("base64"),
    });
    const asked = (body: string) => {
      const { seq } = JSON.parse(body) as { seq: number };
      return seq > 2
        ? { error: { code: 404, err_code: 10037, description: "no message found" } }
        : { message: message(seq) };
    };
    return {
      server: "nats",
      streamInfo: () => Promise.resolve({ state: { last_seq: 3 } }),
      connection: {
        request: async (_subject: string, body: string, { timeout }: { timeout: number }) => {
          if (answers) return { json: () => asked(body) };
          await sleep(timeout);
          throw Object.assign(new Error("TIMEOUT"), { code: "TIMEOUT" });
        },
      },
    } as unknown as Session;
  };
  const find = (answers: boolean) =>
    messagesOf(session(answers), { stream: "S", id: ID, after: 0 }, new Deadline(answers ? 10_000 : 100));

  it("are those that name it; one that is gone is none of them", async () => {
    expect(await find(true)).toEqual([2]);
  });

  it("are not known where NATS does not answer, which is not that there are none, and which takes no longer than the command", async () => {
    const before = performance.now();
    await expect(find(false)).rejects.toMatchObject({ problem: "no-answer" });
    // An election alone would be waited for longer.
    expect(performance.now() - before).toBeLessThan(10_000);
  });
});
