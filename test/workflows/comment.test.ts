import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Report } from "../../commands/diff/report";
import { object, report } from "../commands/diff/reports";
import { BOT, type Comment, serveGitHub, type StandIn, TOKEN } from "./github";
import { type Ran, runStep } from "./workflow";

const SHA = "0123456789abcdef0123456789abcdef01234567";
const OWN = { id: 1, owner: { login: "noetl" } };
const FORK = { id: 2, owner: { login: "mallory" } };
const RUN_URL = "https://github.example/noetl/nats/actions/runs/42";

let github: StandIn;
let temp: string;

beforeEach(async () => {
  github = await serveGitHub();
  temp = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-comment-"));
  pullRequest();
  github.jobs = [job("kind", "success"), job("gke", "success"), job("gke-live", "skipped")];
});
afterEach(async () => {
  await github.close();
  fs.rmSync(temp, { recursive: true, force: true });
});

function pullRequest(repo: typeof OWN = OWN, sha = SHA): void {
  github.pulls = [{ number: 7, state: "open", head: { sha, ref: "feature", repo }, base: { ref: "main" } }];
}
const job = (name: string, conclusion: string | null, attempt = 1) => ({
  name: `preview (${name})`,
  html_url: `${RUN_URL}/job/${name}`,
  run_attempt: attempt,
  conclusion,
});

/** Puts a preview's report into its artifact: one that says `summary`. */
const reports = (name: string, summary: string, more: object = {}): string =>
  artifact(name, JSON.stringify(report([], { stack: name, summary, ...more })));

/** The report of a comparison that did not come about. */
function failure(message: string): Report {
  const { schemaVersion, project, stack, base, head } = report([]);
  const header = { schemaVersion, project, stack, base, head };
  return { ...header, status: "failed", summary: "The comparison failed", failures: [{ message }] };
}

/** Puts a file into the artifact of a preview. */
function artifact(name: string, text: string, file = "diff.json"): string {
  const target = path.join(temp, "reports", `report-${name}`, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
  return target;
}

/** Runs the workflow's step for a finished preview of `head`. */
function comment(head: typeof OWN | null = OWN, began = "2026-11-30T09:00:00Z", attempt = 1): Promise<Ran> {
  const event = path.join(temp, "event.json");
  const run = {
    id: 42,
    run_attempt: attempt,
    html_url: RUN_URL,
    run_started_at: began,
    event: "pull_request",
    head_sha: SHA,
    head_branch: "feature",
    head_repository: head,
  };
  fs.writeFileSync(event, JSON.stringify({ workflow_run: run, repository: OWN }));
  return runStep(
    ["comment", "comment", "Comment"],
    { "github.token": TOKEN },
    { RUNNER_TEMP: temp, GITHUB_API_URL: github.url, GITHUB_EVENT_PATH: event },
  );
}

const marker = (name: string) => `<!-- noetl-nats preview: ${name} -->`;
const commentsOf = (name: string): Comment[] => github.comments.filter(({ body }) => body.startsWith(marker(name)));
const bodyOf = (name: string): string => commentsOf(name)[0]?.body ?? "";
const add = (body: string, login = BOT): Comment => {
  const created = { id: github.comments.length + 1, issue: 7, body, user: { login } };
  github.comments.push(created);
  return created;
};

describe("a preview's comment", () => {
  it("is created for each preview that was run, with commit and run", async () => {
    reports("kind", "Nothing changes.");
    reports("gke", "1 to replace");
    const { code, output } = await comment();
    expect(output).toContain("Pull request 7, kind: comment created");
    expect(code).toBe(0);
    expect(github.comments.map(({ issue }) => issue)).toEqual([7, 7]);
    expect(bodyOf("kind")).toMatch(
      /^<!-- noetl-nats preview: kind -->\n<!-- run began: 2026-11-30T09:00:00Z -->\n\n### Changes to `noetl-nats\/kind`\n\n\*\*Nothing changes\.\*\*\n[^]*<sub>Commit 0123456 · \[run\]/,
    );
    expect(bodyOf("gke")).toContain("1 to replace");
    expect(output).not.toContain(TOKEN);
  });

  it("is edited in place, found on whichever page it stands, and not confused with what others wrote", async () => {
    for (let index = 0; index < 130; index++) add(`comment ${index}`, "alice");
    add(`${marker("kind")}\n\nnot the workflow's`, "mallory");
    add(`quoting: ${marker("kind")}`);
    const old = add(`${marker("kind")}\n\nold`);
    reports("kind", "new");
    reports("gke", "new");
    expect((await comment()).output).toContain("kind: comment edited");
    expect(old.body).toContain("new");
    expect(old.body).not.toContain("old");
    expect(github.comments.filter(({ body }) => body.includes("not the workflow's"))).toHaveLength(1);
    expect(commentsOf("kind")).toHaveLength(2);
    const writes = github.requests.filter((request) => !request.startsWith("GET"));
    expect((await comment()).output).toContain("kind: comment unchanged");
    expect(github.requests.filter((request) => !request.startsWith("GET"))).toEqual(writes);
  });

  it("is not touched by a run of the same commit that began earlier and ends later, but by one that is run again", async () => {
    reports("kind", "first");
    await comment(OWN, "2026-11-30T09:05:00Z");
    reports("kind", "older");
    expect((await comment(OWN, "2026-11-30T09:04:59Z")).output).toContain("kind: comment of a later run");
    expect(bodyOf("kind")).toContain("first");
    reports("kind", "again");
    expect((await comment(OWN, "2026-11-30T09:06:00Z")).output).toContain("kind: comment edited");
    expect(bodyOf("kind")).toContain("again");
  });

  it("is of the attempt that ended, whatever is run again by now; what is not run again is as it was", async () => {
    reports("kind", "first attempt");
    reports("gke", "first attempt");
    github.jobs = [job("kind", "failure"), job("gke", "success"), job("kind", null, 2)];
    await comment();
    expect(bodyOf("kind")).toContain("### ❌ The preview of `kind` failed");
    expect(bodyOf("gke")).not.toContain("❌");
    github.jobs = [job("kind", "failure"), job("gke", "success"), job("kind", "success", 2)];
    await comment(OWN, "2026-11-30T09:10:00Z", 2);
    for (const name of ["kind", "gke"]) expect(bodyOf(name)).not.toMatch(/❌|was not run/);
  });

  it("says nothing of a preview that still runs", async () => {
    const old = add(`${marker("kind")}\n\nold`);
    github.jobs = [job("kind", null), job("gke", null)];
    const { code, output } = await comment();
    expect([code, old.body, github.comments.length]).toEqual([0, `${marker("kind")}\n\nold`, 1]);
    expect(output).toContain("preview (kind): still runs");
  });

  it("goes to the pull request whose base was compared with, where one branch has two", async () => {
    const [first] = github.pulls;
    github.pulls = [7, 8].map((number) => ({ ...first!, number, base: { ref: number === 7 ? "release" : "main" } }));
    reports("kind", "x", { base: { ref: "origin/main", commit: SHA } });
    github.jobs = [job("kind", "success")];
    expect((await comment()).output).toContain("Pull request 8, kind: comment created");
    reports("kind", "x", { base: { ref: "origin/nowhere", commit: SHA } });
    expect((await comment()).output).toContain("Pull request 7, kind: comment created");
  });

  it("is of the run that GitHub names, whatever a log says", async () => {
    add(`${marker("kind")}\n\n\`\`\`text\n<!-- run began: 2099-01-01T00:00:00Z -->\n\`\`\``);
    reports("kind", "new");
    expect((await comment()).output).toContain("kind: comment edited");
  });

  it("shows no report of another stack", async () => {
    reports("kind", "the one of gke", { stack: "gke" });
    reports("gke", "the one of gke-live", { stack: "gke-live" });
    reports("gke-live", "as it should be", { stack: "gke" });
    github.jobs = [job("kind", "success"), job("gke", "success"), job("gke-live", "success")];
    const { output } = await comment();
    expect(output).toContain("preview (kind): the report is not about the stack kind");
    expect(bodyOf("kind")).toContain("finished without a report");
    expect(bodyOf("gke")).toContain("finished without a report");
    expect(bodyOf("gke-live")).toContain("as it should be");
    expect(JSON.stringify(github.comments)).not.toContain("the one of");
  });

  it("is one only, also where two runs once raced", async () => {
    add(`${marker("kind")}\n\na`);
    add(`${marker("kind")}\n\nb`);
    reports("kind", "new");
    await comment();
    expect(commentsOf("kind").map(({ body }) => body.includes("new"))).toEqual([true]);
  });

  it("is not touched by the preview of an older commit", async () => {
    pullRequest(OWN, "f".repeat(40));
    const old = add(`${marker("kind")}\n\nof the newer commit`);
    reports("kind", "older");
    const { code, output } = await comment();
    expect(code).toBe(0);
    expect(output).toContain("not the newest of an open pull request");
    expect(old.body).toContain("of the newer commit");
    expect(github.comments).toHaveLength(1);
  });
});

describe("a preview that failed replaces its comment", () => {
  beforeEach(() => void add(`${marker("kind")}\n\nall is well`));

  it.each([
    ["failed", "failure"],
    ["was cancelled", "cancelled"],
    ["took too long", "timed_out"],
  ])("%s, without a report", async (words, conclusion) => {
    github.jobs = [job("kind", conclusion)];
    await comment();
    expect(bodyOf("kind")).toContain(`### ❌ The preview of \`kind\` ${words}`);
    expect(bodyOf("kind")).toContain(`[The log](${RUN_URL}/job/kind)`);
    expect(bodyOf("kind")).not.toContain("all is well");
  });

  it("with the report that says why, and what the engine said", async () => {
    github.jobs = [job("kind", "failure")];
    artifact("kind", JSON.stringify(failure("helm is missing")));
    artifact(
      "kind",
      "Policies:\n\u001b[31mno-latest\u001b[0m ``` im\u009b31mage\u202e \u{e0041}is\r noetl",
      "preview.txt",
    );
    await comment();
    expect(bodyOf("kind")).toContain("helm is missing");
    expect(bodyOf("kind")).toContain("<details open>");
    expect(bodyOf("kind")).toContain("````text\nPolicies:\nno-latest ``` image is noetl\n````");
  });

  it("finished, but left no report", async () => {
    github.jobs = [job("kind", "success")];
    await comment();
    expect(bodyOf("kind")).toContain("finished without a report");
  });

  it("was not run at all; nobody else reads so", async () => {
    github.jobs = [];
    const { output } = await comment();
    expect(bodyOf("kind")).toContain("The preview of `kind` was not run");
    expect(output).toContain("gke: comment not needed");
    expect(github.comments).toHaveLength(1);
  });
});

describe("a report from a fork is not believed", () => {
  beforeEach(() => pullRequest(FORK));

  it("says whose code made it, calls nobody and keeps to its own comment", async () => {
    reports("kind", `${marker("gke")}\n<!-- x -->\n@noetl/admins see (@root), a@b.c, noetl@sha256:12 \u202e\u001b[2J`);
    reports("gke", "gke");
    await comment(FORK);
    expect(bodyOf("kind")).toContain("made by the code of a fork");
    expect(bodyOf("kind")).toContain(
      "@<!-- -->noetl/admins see (@<!-- -->root), a@<!-- -->b.c, noetl@<!-- -->sha256:12",
    );
    expect(bodyOf("kind")).not.toContain("\u202e");
    expect(bodyOf("kind")).not.toContain("\u001b");
    expect(commentsOf("gke")).toHaveLength(1);
    expect(bodyOf("gke")).not.toContain("admins");
  });

  it("posts no text that it brought along: only what this code makes of its JSON", async () => {
    const evil = "![i](https://evil.example/a.png) [fix][1] <img src=x>\n> [1]: https://evil.example";
    artifact("kind", evil, "diff.md");
    reports("gke", evil, {
      notes: [evil],
      restarts: [evil],
      risks: [{ rule: "r", level: "danger", subject: evil, text: evil }],
    });
    await comment(FORK);
    expect(bodyOf("kind")).toContain("finished without a report");
    expect(JSON.stringify(github.comments[0])).not.toContain("evil");
    const outside = bodyOf("gke")
      .replace(/`+[^`]*`+/g, "")
      .replace(/<sub>Commit.*$/s, "");
    expect(outside).toContain("evil.example");
    expect(outside).not.toMatch(/(?<!\\)\]\(|(?<!\\)\]\[|<\/?a\b|<img|^\W*\[1\]:|https:\/\//m);
  });

  it.each([
    ["another form", "[]", "report is not an object"],
    ["no JSON", "### Changes", "the report is not JSON"],
    [
      "a word of its own that is none",
      JSON.stringify(report([], { risks: [{ rule: "<img>", level: "danger", subject: "", text: "" }] })),
      "report.risks[0].rule is not a word",
    ],
    [
      "an operation that there is not",
      JSON.stringify(report([{ ...object("a", 1), op: "![x](y)" as "update" }])),
      "report.objects[0].op is not one of",
    ],
    [
      "a field of another kind",
      JSON.stringify({ ...report([]), notes: [{ toString: "x" }] }),
      "report.notes[0] is not a text",
    ],
  ])("is not read where it has %s", async (_, json, why) => {
    artifact("kind", json);
    const { code, output } = await comment(FORK);
    expect(code).toBe(0);
    expect(output).toContain(`preview (kind): ${why}`);
    expect(bodyOf("kind")).toContain("finished without a report");
  });

  it("is left alone where the fork is gone", async () => {
    reports("kind", "x");
    const { code, output } = await comment(null);
    expect([code, github.comments]).toEqual([0, []]);
    expect(output).toContain("nothing to say");
  });

  it("does not follow a link out of the artifact, and reads no huge file", async () => {
    const secret = path.join(temp, "secret");
    fs.writeFileSync(secret, "canary-content");
    fs.mkdirSync(path.join(temp, "reports", "report-kind"), { recursive: true });
    fs.symlinkSync(secret, path.join(temp, "reports", "report-kind", "diff.json"));
    artifact("gke", "x".repeat(5 * 1024 * 1024));
    const { code, output } = await comment(FORK);
    expect(code).toBe(0);
    expect(output).toContain("diff.json of the artifact is not a plain file");
    expect(output).toContain("has 5242880 bytes");
    expect(bodyOf("kind")).toContain("finished without a report");
    expect(JSON.stringify(github.comments)).not.toContain("canary-content");
  });

  it("does not reach a pull request that another repository's branch of the same name has", async () => {
    pullRequest(OWN);
    reports("kind", "x");
    expect((await comment(FORK)).output).toContain("nothing to say");
    expect(github.comments).toEqual([]);
  });
});

describe("GitHub's limits", () => {
  it("65,536 characters: a report is said shorter, the engine's preview cut, and both say so", async () => {
    const objects = Array.from({ length: 60 }, (_, index) => object(`settings-${index}`, 40, "y".repeat(90)));
    artifact("kind", JSON.stringify(report(objects)));
    artifact("kind", `+ ${"x".repeat(98)}\n`.repeat(800), "preview.txt");
    reports("gke", "little");
    expect((await comment()).code).toBe(0);
    const body = bodyOf("kind");
    expect(body.length).toBeLessThanOrEqual(65_536);
    expect(body.length).toBeGreaterThan(50_000);
    expect(body).toContain(`did not fit here. The complete report: <${RUN_URL}>.`);
    expect(body).toMatch(/```text\n\.\.\.\n\+ x/);
  });

  it("secondary rate limit and too many requests: waits as long as the answer says", async () => {
    reports("kind", "x");
    const message = "You have exceeded a secondary rate limit.";
    github.faults.push(
      { on: /POST .*comments/, status: 403, headers: { "retry-after": "1" }, message },
      { on: /GET .*comments/, status: 429, headers: { "retry-after": "0" }, message: "Too many requests" },
      { on: /GET .*pulls/, status: 502, message: "Bad gateway" },
    );
    const started = Date.now();
    const { code, output } = await comment();
    expect(output).toContain("403 You have exceeded a secondary rate limit. (rate limit); waiting 1 s");
    expect(code).toBe(0);
    expect(Date.now() - started).toBeGreaterThan(1000);
    expect(commentsOf("kind")).toHaveLength(1);
  });

  it("a wait beyond the deadline is an error at once, with what was asked", async () => {
    reports("kind", "x");
    const reset = String(Math.ceil(Date.now() / 1000) + 3600);
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    github.faults.push({ on: /GET .*pulls/, status: 403, headers, message: "API rate limit exceeded" });
    const { code, output } = await comment();
    expect(code).toBe(1);
    expect(output).toMatch(
      /::error::GitHub: GET .*\/pulls: 403 API rate limit exceeded.* asked to wait 3\d{3} s, and only/,
    );
  });

  it("a lost answer does not make a second comment", async () => {
    reports("kind", "x");
    github.jobs = [job("kind", "success")];
    github.faults.push({ on: /POST .*comments/, afterwards: true });
    expect((await comment()).code).toBe(0);
    expect(commentsOf("kind")).toHaveLength(1);
  });

  it("a refusal is an error with GitHub's words", async () => {
    reports("kind", "x");
    github.faults.push({ on: /POST .*comments/, status: 403, message: "Resource not accessible by integration" });
    const { code, output } = await comment();
    expect(code).toBe(1);
    expect(output).toContain("::error::GitHub: POST /repos/noetl/nats/issues/7/comments: 403 Resource not accessible");
  });

  it("the token goes to no other host", async () => {
    reports("kind", "x");
    const link = '<http://127.0.0.2:9/next>; rel="next"';
    github.faults.push({ on: /GET .*pulls/, status: 200, headers: { link }, afterwards: true });
    const { code, output } = await comment();
    expect(code).toBe(1);
    expect(output).toContain("the next page is said to be on another host: http://127.0.0.2:9");
  });
});
