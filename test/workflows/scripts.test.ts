import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../contract/project";
import { summaryOf } from "../../scripts/ci/summary";
import { type Ran, runStep, workflow } from "./workflow";

let temp: string;
const read = (name: string): string => fs.readFileSync(path.join(temp, name), "utf8");

beforeEach(() => {
  temp = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-ci-"));
  fs.mkdirSync(path.join(temp, "bin"));
  // A checkout as far as the steps look at it; what they write stays out of this one.
  fs.symlinkSync(path.join(projectRoot(), "scripts"), path.join(temp, "scripts"));
});
afterEach(() => fs.rmSync(temp, { recursive: true, force: true }));

/** A command that notes its arguments, one a line, and does `script`. */
function command(name: string, script: string): void {
  const text = `#!/usr/bin/env bash\nprintf '%s\\n' "$@" > "${temp}/${name}.arguments"\n${script}\n`;
  fs.writeFileSync(path.join(temp, "bin", name), text, { mode: 0o755 });
}

function step(name: readonly [string, string, string], env: Record<string, string> = {}): Promise<Ran> {
  const expressions = { "matrix.stack": "kind", "vars.PULUMI_BACKEND_URL": "gs://state" };
  const runner = {
    RUNNER_TEMP: temp,
    GITHUB_STEP_SUMMARY: path.join(temp, "summary.md"),
    GITHUB_BASE_REF: "main",
    PATH: [path.join(temp, "bin"), process.env.PATH].join(path.delimiter),
  };
  return runStep(name, expressions, { ...runner, ...env }, temp);
}

/** Writes what the comparison leaves into the folder that it is given, and ends with `code`. */
const compares = (report: string, code: number): void =>
  command(
    "npm",
    `while [ "$1" != --output ]; do shift; done; mkdir -p "$2"; printf '%s' '${report}' > "$2/diff.md"; exit ${code}`,
  );

describe("the comparison", () => {
  it.each([
    ["diff", []],
    ["live", ["--live", "--refresh"]],
  ])("of job %s is asked for every format and shown in the summary", async (job, options) => {
    compares("# report", 0);
    expect(await step(["preview", job, "Compare"])).toMatchObject({ code: 0 });
    expect(read("summary.md")).toBe("# report");
    const given = read("npm.arguments").trim().split("\n");
    expect(given).toEqual([
      ...["run", "--silent", "diff", "--", "--stack", job === "diff" ? "kind" : "gke", "--base", "origin/main"],
      ...options,
      ...["--format", "markdown,html,json", "--output", "report"],
      ...["--artifact", "https://github.example/noetl/nats/actions/runs/77"],
    ]);
  });

  it("fails as the command does, and shows the report that says why", async () => {
    compares("failure report", 1);
    expect(await step(["preview", "diff", "Compare"])).toMatchObject({ code: 1 });
    expect(read("summary.md")).toBe("failure report");
  });

  it("fails without a report too", async () => {
    command("npm", "echo 'no such option' >&2; exit 2");
    expect(await step(["preview", "diff", "Compare"])).toMatchObject({ code: 2, output: "no such option\n" });
  });

  it("takes a base branch with odd characters as one word", async () => {
    compares("r", 0);
    await step(["preview", "diff", "Compare"], { GITHUB_BASE_REF: 'x"; touch pwned; $(id) #' });
    expect(read("npm.arguments")).toContain('\norigin/x"; touch pwned; $(id) #\n');
  });
});

describe("the engine's preview", () => {
  beforeEach(() => fs.symlinkSync(path.join(projectRoot(), "dist"), path.join(temp, "dist")));

  it.each([
    ["preview", "live", []],
    ["deploy", "plan", ["--diff", "--refresh", "--save-plan", "PLAN"]],
    ["deploy", "deploy", ["--refresh", "--save-plan", "PLAN"]],
  ])("of %s.yml is held against the policy and shown, whole, as code", async (workflow, job, options) => {
    command("pulumi", "printf '```\\n+ create\\n'; echo warning >&2");
    const ran = await step([workflow, job, job === "deploy" ? "Plan again" : "Preview under the policy"]);
    expect(ran).toMatchObject({ code: 0, output: "```\n+ create\nwarning\n" });
    expect(read("summary.md")).toBe("### Preview of gke\n\n    ```\n    + create\n    warning\n\n");
    expect(read("pulumi.arguments").trim().split("\n")).toEqual([
      ...["preview", "--stack", "gke", "--policy-pack", "policy", "--suppress-outputs", "--non-interactive"],
      ...["--color", "never", ...options.map((each) => (each === "PLAN" ? path.join(temp, "plan.json") : each))],
    ]);
  });

  it("fails as the engine does", async () => {
    command("pulumi", "echo 'no-latest: image is noetl'; exit 255");
    expect(await step(["preview", "live", "Preview under the policy"])).toMatchObject({ code: 255 });
    expect(read("summary.md")).toContain("    no-latest: image is noetl");
  });

  it("fails as the engine does where it cannot be shown, and the log says why", async () => {
    // The script's `tee` makes the file beside it.
    command("pulumi", "until rm report/preview.txt 2>/dev/null; do :; done; exit 255");
    const ran = await step(["preview", "live", "Preview under the policy"]);
    expect(ran.code).toBe(255);
    expect(ran.output).toMatch(/ENOENT.*preview\.txt/);
    expect(ran.output).toContain("::warning::the preview could not be written");
    expect(read("summary.md")).toBe("");
  });

  it.each(["\n", "ä\u{1f600}\n", "\u{1f600}"])("is not longer than a summary may be, of %j alone", (sign) => {
    const shown = summaryOf("Preview of gke", sign.repeat(400_000));
    expect(Buffer.byteLength(shown)).toBeLessThan(2 ** 20);
    expect(Buffer.byteLength(shown)).toBeGreaterThan(950_000);
    expect(shown).not.toContain("\ufffd");
    expect(
      shown
        .split("\n")
        .slice(2, -2)
        .every((line) => line.startsWith("    ")),
    ).toBe(true);
  });

  it("stays code whatever stands in it, and turns no text", async () => {
    const evil = String.raw`a\r![i](https://evil.example/i.png)\033[2J\302\2332K\342\200\256b\n\rc\363\240\201\201d\n`;
    command("pulumi", `printf '${evil}'`);
    expect(await step(["preview", "live", "Preview under the policy"])).toMatchObject({ code: 0 });
    expect(read("summary.md")).toBe("### Preview of gke\n\n    a![i](https://evil.example/i.png)b\n    cd\n\n");
  });
});

describe("what was approved", () => {
  const plans = (updates: object): void => {
    const urn = "urn:pulumi:gke::noetl-nats::kubernetes:core/v1:ConfigMap::settings";
    const text = JSON.stringify({ resourcePlans: { [urn]: { steps: ["update"], goal: { inputDiff: { updates } } } } });
    fs.writeFileSync(path.join(temp, "plan.json"), text);
  };
  beforeEach(async () => {
    for (const name of ["dist", "node_modules"]) fs.symlinkSync(path.join(projectRoot(), name), path.join(temp, name));
    plans({ data: "canary-1" });
    expect(await step(["deploy", "plan", "Note what the plan does"])).toMatchObject({ code: 0 });
    expect(read("approved.json")).not.toContain("canary");
    fs.mkdirSync(path.join(temp, "approved"));
    fs.renameSync(path.join(temp, "approved.json"), path.join(temp, "approved", "approved.json"));
  });

  it("is deployed where it is still what would be done", async () => {
    expect(await step(["deploy", "deploy", "Compare with what was approved"])).toMatchObject({ code: 0 });
  });

  it("is not where the world has changed: the job ends before the update, and says what differs", async () => {
    plans({ data: "canary-2" });
    const { code, output } = await step(["deploy", "deploy", "Compare with what was approved"]);
    expect(code).toBe(1);
    expect(output).toMatch(/ConfigMap settings: approved was update of data; now .* the same with other values/);
    expect(output).toMatch(/::error::1 resources differ .*nothing was deployed/);
    expect(output).not.toContain("canary");
    const names = workflow("deploy").jobs.deploy?.steps.map(({ name }) => name) ?? [];
    expect(names.indexOf("Compare with what was approved")).toBeLessThan(names.indexOf("Deploy"));
  });
});

describe("the deployment", () => {
  it("is an update under the policy, then the verification", async () => {
    command("pulumi", "exit 0");
    command("npm", "exit 1");
    expect(await step(["deploy", "deploy", "Deploy"])).toMatchObject({ code: 0 });
    expect(read("pulumi.arguments")).toMatch(/^up\n--stack\ngke\n--yes\n--refresh\n--policy-pack\npolicy\n/);
    expect(await step(["deploy", "deploy", "Verify"])).toMatchObject({ code: 1 });
    expect(read("npm.arguments")).toBe("run\n--silent\nverify\n--\n--stack\ngke\n");
  });
});
