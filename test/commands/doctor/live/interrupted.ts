import { spawn } from "node:child_process";
import * as os from "node:os";
import { RetentionPolicy } from "nats";
import { beforeAll, describe, expect, it } from "vitest";
import { openSession } from "../../../../contract/nats/connect";
import { Deadline } from "../../../../contract/deadline";
import { STREAM } from "../../../../contract/facts";
import type { Diagnosis } from "../../../../commands/doctor/diagnosis";
import { holdingStream } from "../../../../commands/doctor/repair";
import { Lock, lockStream } from "../../../../commands/doctor/repair/lock";
import { contractInputs } from "../../../../commands/doctor/target";
import { until } from "../../../support/nats";
import { Deployment, diagnosed, examine, findingOf, remedyText, STACK, verified } from "./support";

// A repair that stands in NATS, as the doctor sees it from here and from another machine. This process has another state folder
// than the command, and is the other machine.

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.attach();
});

/** Starts the repair, and kills it as soon as it says so. @returns false where it had come to its end before. */
async function killedAfter(words: string): Promise<boolean> {
  const { file, env } = deployment.program("doctor");
  const child = spawn(process.execPath, [file, "--stack", STACK, "--repair", "--yes"], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const hear = (chunk: string): void => {
    said += chunk;
    if (said.includes(words)) child.kill("SIGKILL");
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", hear);
  const end = await new Promise((resolve) => child.once("close", (code, by) => resolve(by ?? code)));
  expect(["SIGKILL", 0], said).toContain(end);
  return end === "SIGKILL";
}

const HOLDING = holdingStream(STREAM.name);

describe("a repair that was killed", () => {
  it("is reported as interrupted, refuses no command, and comes to its end by the command that is printed", async () => {
    await until(
      "a repair that is killed before its end, which a busy machine may be too late for",
      async () => {
        await deployment.settled();
        await deployment.replaceStream({ retention: RetentionPolicy.Workqueue });
        const before = await deployment.publish();
        expect(before).toEqual({ seq: expect.any(Number) as number });
        return (await killedAfter(`stream ${HOLDING} takes what is published from now on`)) || undefined;
      },
      300_000,
    );
    expect(await deployment.publish()).toEqual({ seq: expect.any(Number) as number });

    // From another machine: who began it, and where.
    const elsewhere = await examine(deployment.target);
    const finding = findingOf(elsewhere, "repair-interrupted");
    expect(elsewhere.findings.filter(({ severity }) => severity === "cause")).toEqual([finding]);
    expect(finding?.evidence.join("\n")).toMatch(
      RegExp(`stream ${HOLDING}: put there by the repair that ${os.hostname()} began at \\d{4}-.*takes noetl.commands`),
    );
    expect(finding && remedyText(finding)).toContain(`Run it again on ${os.hostname()}, where its backup is`);
    expect(JSON.stringify(elsewhere.findings)).not.toContain("stream rm");
    const { lines } = await verified(deployment.target);
    expect(lines.find(({ item }) => item === HOLDING)).toMatchObject({ status: "wrong" });

    // From where it ran: how far it has come.
    const here = await deployment.command("doctor", "--stack", STACK, "--json");
    const { findings } = JSON.parse(here.stdout) as Diagnosis;
    const own = findings.find(({ id }) => id === "repair-interrupted");
    expect(own?.evidence[0]).toMatch(
      /^it began here at \d{4}-\S+ and came to: (frozen|saved|removed|created); \d+ messages? in /,
    );
    const told = own?.remedy.flatMap((step) => ("run" in step ? [step.run] : [])).at(-1) ?? "";
    expect(told).toBe(`npm run doctor -- --stack ${STACK} --repair`);
    const repaired = await deployment.command("doctor", ...told.split(" ").slice(4), "--yes");
    expect({ code: repaired.code, stdout: repaired.stdout }).toMatchObject({ code: 0 });
    await diagnosed(deployment.target, "that nothing is wrong any more", ({ healthy }) => healthy);
    const names = await deployment.withManager(async (manager) => {
      const found: string[] = [];
      for await (const { config } of manager.streams.list()) found.push(config.name);
      return found;
    });
    expect(names).not.toContain(HOLDING);
    expect(names).not.toContain(lockStream(STREAM.name));
  });
});

describe("a repair that is at work", () => {
  it("is reported with who does it, here and in the checklist, and a second one is refused", async () => {
    const session = await openSession(contractInputs(deployment.target, 15), new Deadline(15_000));
    const lock = await Lock.take(session, STREAM.name, 1);
    try {
      const diagnosis = await examine(deployment.target);
      const finding = findingOf(diagnosis, "repair-running");
      expect(finding?.severity).toBe("note");
      expect(finding?.evidence[0]).toContain(
        `is at work: ${os.userInfo().username} on ${os.hostname()} (process ${process.pid})`,
      );
      const checked = await verified(deployment.target);
      expect(checked.lines.find(({ item }) => item === lockStream(STREAM.name))).toMatchObject({ status: "note" });
      expect(checked.holds).toBe(true);
      const second = await deployment.command("doctor", "--stack", STACK, "--repair", "--yes");
      expect(second.code).toBe(1);
      expect(second.stderr).toContain(`another repair of stream ${STREAM.name} is at work`);
    } finally {
      await lock.release();
      await session.close();
    }
    expect(findingOf(await examine(deployment.target), "repair-running")).toBeUndefined();
  });
});
