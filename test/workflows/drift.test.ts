import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { driftIn } from "../../scripts/ci/drift";
import { BOT, type Issue, serveGitHub, type StandIn, TOKEN } from "./github";
import { type Ran, runStep } from "./workflow";

/**
 * What engine 3.259.0 printed for `pulumi refresh --preview-only --json` after a ConfigMap and a Secret were changed and
 * another ConfigMap was deleted behind its back; states shortened.
 */
const RECORDED = fs.readFileSync(path.join(__dirname, "recorded", "refresh.json"), "utf8");
const SAME = JSON.stringify({
  steps: [{ op: "refresh", urn: "urn:pulumi:gke::noetl-nats::kubernetes:core/v1:Namespace::ns", detailedDiff: null }],
  changeSummary: { same: 1 },
});

let github: StandIn;
let temp: string;

beforeEach(async () => {
  github = await serveGitHub();
  temp = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-drift-"));
});
afterEach(async () => {
  await github.close();
  fs.rmSync(temp, { recursive: true, force: true });
});

/** The workflow's refresh, with an engine that prints `json` and says `log`; then its report. */
async function drift(json: string, log = "", code = 0): Promise<{ refresh: Ran; report: Ran }> {
  fs.mkdirSync(path.join(temp, "bin"), { recursive: true });
  fs.writeFileSync(path.join(temp, "answer.json"), json);
  fs.writeFileSync(path.join(temp, "answer.log"), log);
  const pulumi = path.join(temp, "bin", "pulumi");
  const said = `cat "${temp}/answer.json"; cat "${temp}/answer.log" >&2; echo "$@" > "${temp}/arguments"; exit ${code}`;
  fs.writeFileSync(pulumi, `#!/bin/sh\n${said}\n`, { mode: 0o755 });
  const env = {
    RUNNER_TEMP: temp,
    GITHUB_API_URL: github.url,
    PATH: [path.join(temp, "bin"), process.env.PATH].join(path.delimiter),
  };
  const expressions = { "github.token": TOKEN, "vars.PULUMI_BACKEND_URL": "gs://state" };
  return {
    refresh: await runStep(["drift", "refresh", "Refresh, as a preview"], expressions, env),
    report: await runStep(["drift", "refresh", "Report"], expressions, env),
  };
}

const open = (): Issue[] => github.issues.filter(({ state }) => state === "open");

describe("drift", () => {
  it("opens one issue, brings it up to date and closes it", async () => {
    const { refresh, report } = await drift(RECORDED);
    expect(fs.readFileSync(path.join(temp, "arguments"), "utf8")).toContain(
      "refresh --preview-only --stack gke --json",
    );
    expect([refresh.code, report.code]).toEqual([0, 0]);
    expect(report.output).toContain("gke: 3 resources drifted; issue 1001 opened");
    expect(open()).toMatchObject([{ title: "Drift: what runs differs from stack gke", labels: [{ name: "drift" }] }]);
    const body = open()[0]?.body ?? "";
    expect(body).toContain("| `cm` | `kubernetes:core/v1:ConfigMap` | changed | `data.a` |");
    expect(body).toContain("| `s` | `kubernetes:core/v1:Secret` | changed | `data.password` |");
    expect(body).toContain("| `gone` | `kubernetes:core/v1:ConfigMap` | **deleted** |  |");
    expect(body).toContain("pulumi up --refresh --stack gke");

    expect((await drift(RECORDED)).report.output).toContain("issue 1001 brought up to date");
    expect(open()).toHaveLength(1);

    expect((await drift(SAME)).report.output).toContain("gke: 0 resources drifted; issue 1001 closed");
    expect(open()).toEqual([]);
    expect(github.comments.map(({ body }) => body)).toEqual([expect.stringContaining("In order again: [run](")]);
    expect((await drift(SAME)).report.output).toContain("no issue is open, and none is needed");
  });

  it("leaves other people's issues and pull requests alone, on all pages", async () => {
    const foreign = (number: number, login: string, rest: object = {}): Issue => ({
      number,
      title: "t",
      body: "<!-- noetl-nats drift: gke -->",
      state: "open",
      labels: [{ name: "drift" }],
      user: { login },
      ...rest,
    });
    for (let number = 1; number <= 120; number++) github.issues.push(foreign(number, "alice"));
    github.issues.push(foreign(121, BOT, { pull_request: {} }), foreign(122, BOT));
    expect((await drift(RECORDED)).report.output).toContain("issue 122 brought up to date");
    expect(github.issues.filter(({ title }) => title === "t")).toHaveLength(121);
  });

  it("shows no value, neither of the state nor of the change", async () => {
    const canary = RECORDED.replaceAll('"[secret]"', '"canary-secret"').replaceAll('"a": "1"', '"a": "canary-value"');
    expect(canary).toContain("canary-secret");
    await drift(canary);
    expect(JSON.stringify(github.issues)).not.toContain("canary");
  });
});

describe("a refresh that failed", () => {
  it("is reported in the same issue, with the engine's words, and fails the run", async () => {
    await drift(RECORDED);
    const { refresh, report } = await drift("", "error: could not get the lock\n", 255);
    expect(refresh).toMatchObject({ code: 1, output: expect.stringContaining("could not get the lock") as string });
    expect(report.output).toContain("gke: the check failed; issue 1001 brought up to date");
    expect(open()).toMatchObject([{ title: "The drift check of stack gke failed" }]);
    expect(open()[0]?.body).toContain("error: could not get the lock");
  });

  it("opens the issue where none is open", async () => {
    expect((await drift("", "no login", 1)).report.output).toContain("issue 1001 opened");
  });

  it.each([
    ["no JSON", "Previewing refresh", /no JSON/],
    ["an answer without result", '{"steps":[]}', /no result/],
    [
      "an answer that contradicts itself",
      JSON.stringify({ steps: [], changeSummary: { update: 2 } }),
      /counts 2.*lists 0/,
    ],
  ])("is not taken for a stack in order: %s", (_, json, message) => {
    expect(() => driftIn(json)).toThrow(message);
  });
});
