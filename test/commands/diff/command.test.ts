import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../../contract/project";
import type { ChangeReport, FailureReport, Report } from "../../../commands/diff/report";
import { edit, git, gitOnly, scratchRepository, temporaryFolder } from "./support";

const MAIN = path.join(projectRoot(), "dist", "commands", "diff", "main.js");
const CANARY = "Canary-Config.4711";

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd,
    encoding: "utf8",
    timeout: 150_000,
    env: { ...process.env, ...env },
  });
  return { code: status, stdout, stderr };
}

const json = (ran: Ran): Report => JSON.parse(ran.stdout) as Report;
const failure = (ran: Ran): string => (json(ran) as FailureReport).failures.map(({ message }) => message).join("\n");

let folder: string;
let repository: string;
beforeAll(() => {
  folder = temporaryFolder();
  repository = scratchRepository(path.join(folder, "repository"));
  git(repository, "checkout", "-q", "-b", "change");
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe("in a scratch repository", () => {
  it("writes every format for a committed and an uncommitted change, and leaves the repository as it was", () => {
    edit(repository, "charts/noetl/values.yaml", "worker:", "worker: # edited");
    git(repository, "commit", "-qam", "edit the chart");
    fs.appendFileSync(
      path.join(repository, "Pulumi.kind.yaml"),
      "  noetl-nats:workerMaxAckPending: '128'\n  noetl-nats:natsPassword:\n    secure: v1:bm9uY2U=:Y2FuYXJ5\n",
    );
    const before =
      git(repository, "worktree", "list") + git(repository, "branch", "-a") + git(repository, "status", "-s");
    const output = path.join(folder, "report");
    const formats = "markdown,json,html,text";
    const args = ["--stack", "kind", "--base", "main", "--format", formats, "--output", output];
    // Whatever secret the machine's environment holds, the program under review does not get it.
    const ran = run(repository, args, { PULUMI_CONFIG_PASSPHRASE: CANARY, GITHUB_TOKEN: CANARY });
    expect(ran).toMatchObject({ code: 0, stdout: "" });
    expect(fs.readdirSync(output).sort()).toEqual(["diff.html", "diff.json", "diff.md", "diff.txt"]);
    const read = (name: string) => fs.readFileSync(path.join(output, name), "utf8");
    const report = JSON.parse(read("diff.json")) as ChangeReport;
    expect(report.head.uncommitted).toEqual(["Pulumi.kind.yaml"]);
    expect(report.base.commit).toBe(git(repository, "rev-parse", "main").trim());
    expect(report.settings.map(({ key }) => key)).toEqual(["natsPassword", "workerMaxAckPending"]);
    expect(report.risks.map(({ rule }) => rule)).toEqual(["credential-rotation"]);
    expect(read("diff.md").split("\n")[0]).toBe("<!-- noetl-nats-diff stack=kind -->");
    for (const name of fs.readdirSync(output)) {
      expect(read(name)).toContain("128");
      expect(read(name)).not.toMatch(/Y2FuYXJ5|Canary|\/tmp\//);
    }
    expect(
      git(repository, "worktree", "list") + git(repository, "branch", "-a") + git(repository, "status", "-s"),
    ).toBe(before);
  });

  it("says the same when it is run again", () => {
    const again = run(repository, ["--stack", "kind", "--base", "main", "--format", "markdown"]);
    expect(again.code).toBe(0);
    expect(again.stdout).toBe(fs.readFileSync(path.join(folder, "report", "diff.md"), "utf8"));
  });

  it("exits with 1 where a risk is as bad as --fail-on says", () => {
    const args = ["--stack", "kind", "--base", "main", "--format", "json"];
    expect(run(repository, [...args, "--fail-on", "warning"]).code).toBe(1);
  });
});

it("takes a stack that comes with the change for a new one, and one of this machine alone for unchanged", () => {
  const copy = path.join(folder, "stacks");
  fs.cpSync(repository, copy, { recursive: true });
  git(copy, "checkout", "-q", ".");
  fs.cpSync(path.join(copy, "Pulumi.kind.yaml"), path.join(copy, "Pulumi.prod.yaml"));
  fs.appendFileSync(path.join(copy, "Pulumi.prod.yaml"), "  noetl-nats:kubeconfig: ~/.kube/prod\n");
  const args = ["--stack", "prod", "--base", "HEAD", "--format", "json"];
  const own = json(run(copy, args)) as ChangeReport;
  expect([own.summary, own.notes]).toEqual([
    "Nothing changes.",
    ["git does not follow Pulumi.prod.yaml, so its settings are those of both revisions"],
  ]);
  git(copy, "add", "Pulumi.prod.yaml");
  const fresh = json(run(copy, args)) as ChangeReport;
  expect(fresh.resources.length).toBeGreaterThan(10);
  expect(fresh.resources.every(({ op }) => op === "create")).toBe(true);
  expect(fresh.risks.filter(({ level }) => level === "danger")).toEqual([]);
  expect(fresh.notes.join("\n")).toContain("it is taken for a new one");
});

it("compares the stack on GKE without asking Google Cloud", () => {
  const copy = path.join(folder, "gke");
  fs.cpSync(repository, copy, { recursive: true });
  git(copy, "checkout", "-q", ".");
  fs.appendFileSync(
    path.join(copy, "Pulumi.gke.yaml"),
    "  noetl-nats:clusterName: another\n  noetl-nats:natsChart: ./embedded/charts/nats\n",
  );
  git(copy, "commit", "-qam", "another cluster");
  git(copy, "branch", "-f", "renamed");
  edit(copy, "Pulumi.gke.yaml", "clusterName: another", "clusterName: a-third");
  const ran = run(copy, ["--stack", "gke", "--base", "renamed", "--format", "json"]);
  const report = json(ran) as ChangeReport;
  expect([ran.code, report.status]).toEqual([0, "ok"]);
  expect(report.risks.filter(({ rule }) => rule === "replaced").map(({ subject }) => subject)).toContain(
    "Cluster gke-cluster",
  );
});

it("says of a base that needs a login at Google Cloud why it cannot be compared, and what to do", () => {
  const copy = path.join(folder, "login");
  fs.cpSync(repository, copy, { recursive: true });
  git(copy, "checkout", "-q", ".");
  // Such a base asks without a token too. Here nobody listens where it asks.
  edit(copy, "stacks/gke/index.ts", "accessToken ? await preflight", "true ? await preflight");
  edit(
    copy,
    "stacks/gke/index.ts",
    "new GoogleApi(accessToken)",
    'new GoogleApi(accessToken, { GOOGLE_CONTAINER_CUSTOM_ENDPOINT: "http://127.0.0.1:9" })',
  );
  git(copy, "commit", "-qam", "ask always");
  git(copy, "branch", "-f", "asking");
  git(copy, "revert", "--no-edit", "HEAD");
  const ran = run(copy, ["--stack", "gke", "--base", "asking", "--format", "json"]);
  expect(ran.code).toBe(3);
  expect(json(ran)).toMatchObject({ status: "failed", failures: [{ side: "base" }] });
  expect(failure(ran)).toMatch(
    /^the base revision: the program asks Google Cloud while it runs, .*no login.*\n.*name a later base with --base, .*`pulumi preview --stack gke`\.\n\(the program failed: asking Google Cloud for projects\/.* failed \(127\.0\.0\.1:9\): .*\)$/,
  );
});

describe("what cannot be compared", () => {
  it("is a bad setting: the failure of the side it is in, in every format, and no value of a secret", () => {
    const copy = path.join(folder, "bad-setting");
    fs.cpSync(repository, copy, { recursive: true });
    git(copy, "checkout", "-q", ".");
    fs.appendFileSync(
      path.join(copy, "Pulumi.kind.yaml"),
      `  noetl-nats:natsJetstreamFileSize: tiny\n  noetl-nats:natsPassword: ${CANARY}\n`,
    );
    const output = path.join(folder, "failed");
    const ran = run(copy, [
      "--stack",
      "kind",
      "--base",
      "main",
      "--format",
      "markdown,json,html,text",
      "--output",
      output,
    ]);
    expect(ran.code).toBe(3);
    expect(ran.stderr).toContain("the working tree: the program failed: The configuration has 2 problems:");
    for (const name of ["diff.html", "diff.json", "diff.md", "diff.txt"]) {
      const text = fs.readFileSync(path.join(output, name), "utf8");
      expect(text).toContain("natsJetstreamFileSize");
      expect(text).toContain("The comparison failed: nothing is known about what this change does.");
      expect(text).not.toContain(CANARY);
    }
    expect(fs.readFileSync(path.join(output, "diff.md"), "utf8").split("\n")[0]).toBe(
      "<!-- noetl-nats-diff stack=kind -->",
    );
  });

  it("is a program that throws at the base: named with the place, without this machine's paths", () => {
    const copy = path.join(folder, "throws");
    fs.cpSync(repository, copy, { recursive: true });
    git(copy, "checkout", "-q", ".");
    edit(copy, "index.ts", "export =", 'if (process.pid) throw new Error("cannot go on");\nexport =');
    git(copy, "commit", "-qam", "break");
    git(copy, "branch", "-f", "broken");
    git(copy, "revert", "--no-edit", "HEAD");
    const ran = run(copy, ["--stack", "kind", "--base", "broken", "--format", "json"]);
    expect(ran.code).toBe(3);
    expect(json(ran)).toMatchObject({ status: "failed", failures: [{ side: "base" }] });
    expect(failure(ran)).toMatch(/^the base revision: the program failed: cannot go on\n\s+at .*index\.ts:\d+/);
    expect(ran.stdout).not.toContain(folder);
  });

  it("is a chart that cannot be fetched", () => {
    // Nothing listens on this port of the machine itself.
    const args = ["--stack", "kind", "--base", "main", "--format", "json", "-c", "natsChart=nats"];
    const ran = run(repository, [...args, "-c", "natsChartRepository=http://127.0.0.1:9/charts"]);
    expect(ran.code).toBe(3);
    expect(failure(ran)).toMatch(
      /^the base revision: the chart nats 2\.14\.2 of release nats-release cannot be fetched from http:\/\/127\.0\.0\.1:9\/charts: .*Run again when it can be reached/m,
    );
  });

  it.each<[string, readonly string[], RegExp]>([
    [
      "an unknown base",
      ["--base", "origin/nowhere"],
      /no such revision in this clone; fetch it with `git fetch origin nowhere`/,
    ],
    ["an unknown stack", ["--stack", "moon"], /there is no Pulumi\.moon\.yaml; there are the stacks .*kind/],
    ["a missing helm", ["--base", "main"], /helm, which renders the charts, is missing/],
  ])("is %s: exit code 2", (what, args, message) => {
    const env =
      what === "a missing helm" ? { PATH: gitOnly(folder), NOETL_NATS_CACHE: path.join(folder, "empty") } : {};
    const ran = run(repository, ["--stack", "kind", "--base", "main", "--format", "json", ...args], env);
    expect(ran.code).toBe(2);
    expect(failure(ran)).toMatch(message);
  });

  it("is a clone that is too shallow", () => {
    const shallow = path.join(folder, "shallow");
    git(folder, "clone", "-q", "--depth", "1", "--no-single-branch", `file://${repository}`, shallow);
    fs.symlinkSync(path.join(projectRoot(), "node_modules"), path.join(shallow, "node_modules"));
    const ran = run(shallow, ["--stack", "kind", "--base", "origin/main", "--format", "json"]);
    expect(ran.code).toBe(2);
    expect(failure(ran)).toMatch(/the clone is shallow: fetch the history with `git fetch --unshallow origin`/);
  });

  it("is a folder outside git, and a clone with conflicts", () => {
    const outside = temporaryFolder();
    fs.cpSync(path.join(repository, "Pulumi.yaml"), path.join(outside, "Pulumi.yaml"));
    const ran = run(outside, ["--stack", "kind", "--format", "json"], {
      GIT_CEILING_DIRECTORIES: path.dirname(outside),
    });
    expect(ran.code).toBe(2);
    expect(failure(ran)).toContain("is not a git working tree");
    fs.rmSync(outside, { recursive: true });

    const torn = path.join(folder, "torn");
    git(folder, "clone", "-q", repository, torn);
    fs.writeFileSync(path.join(torn, "index.ts"), "// one\n");
    git(torn, "commit", "-qam", "one");
    git(torn, "checkout", "-q", "-b", "other", "HEAD~1");
    fs.writeFileSync(path.join(torn, "index.ts"), "// two\n");
    git(torn, "commit", "-qam", "two");
    expect(() => git(torn, "merge", "-q", "change")).toThrow();
    const conflict = run(torn, ["--stack", "kind", "--base", "HEAD~1", "--format", "json"]);
    expect(conflict.code).toBe(2);
    expect(failure(conflict)).toContain("unmerged files: index.ts");
  });

  it("is a command line with mistakes, all named at once", () => {
    const misspelt = ["--formt", "json", "--artifact", "--live=yes", "more"];
    const ran = run(repository, ["--format", "pdf", "--fail-on", "doom", "--refresh", "-c", "x", ...misspelt]);
    expect(ran.code).toBe(2);
    for (const word of [
      '--format: "pdf"',
      "--stack: must be set",
      '--config: "x"',
      '--fail-on: "doom"',
      "--refresh: only",
      "Unknown option '--formt'; the nearest known one is --format",
      "Option '--artifact <value>' argument missing",
      "Unexpected argument 'json'",
      "Unexpected argument 'more'",
    ]) {
      expect(ran.stderr).toContain(word);
    }
    expect(ran.stdout).toBe("");
  });

  it("explains itself within 80 columns", () => {
    const ran = run(repository, ["--help"]);
    expect(ran.code).toBe(0);
    expect(Math.max(...ran.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});
