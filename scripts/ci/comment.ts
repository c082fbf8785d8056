/**
 * Posts what the previews of a pull request found: one comment for each preview, edited in place.
 *
 *     node dist/scripts/ci/comment.js REPORTS NAME...
 *
 * Runs after the workflow "preview", on the event `workflow_run`, with code of the default branch only. REPORTS holds the
 * artifacts of that run, `report-NAME/diff.json` for the job `preview (NAME)`. Job and artifact were made by the pull
 * request's own code, so they are not believed: which previews there are is said by the NAMEs, which pull request it is and
 * how a job ended by GitHub. No text of theirs is posted as it is: the JSON is read field by field and written by this code.
 *
 * A preview that failed, was cancelled, left no report or is gone replaces its comment too: an old one never stays as if it
 * were true. A run that began before the one whose comment stands there changes nothing.
 *
 * Environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH, GITHUB_TOKEN (actions: read, pull-requests: write).
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { markdown } from "../../commands/diff/present/markdown";
import { harmless } from "../../contract/mask/harmless";
import { fail, variable } from "./variables";
import { GitHub, isMarked, type Marked, untilAnswered } from "./github";
import { readReport } from "./report";
import { fenced, limited } from "./text";

/** The run whose reports are posted, as the event describes it. */
export interface Run {
  readonly id: number;
  /** 1, and one more each time that it is run again. */
  readonly run_attempt: number;
  readonly html_url: string;
  /** When this attempt began: a run that is run again begins once more. */
  readonly run_started_at: string;
  readonly event: string;
  readonly head_sha: string;
  readonly head_branch: string;
  /** null where the fork has been deleted. */
  readonly head_repository: { readonly id: number; readonly owner: { readonly login: string } } | null;
}

interface Job {
  readonly name: string;
  readonly html_url: string;
  readonly run_attempt: number;
  /** null while it runs. */
  readonly conclusion: string | null;
}

interface PullRequest {
  readonly number: number;
  readonly head: { readonly sha: string; readonly repo: { readonly id: number } | null };
  readonly base: { readonly ref: string };
}

interface Comment extends Marked {
  readonly id: number;
}

/** Largest file that is read out of an artifact, in bytes. */
const FILE_LIMIT = 4 * 1024 * 1024;
/** Most characters of a report; the engine's own preview has to fit beside it. */
const REPORT_LIMIT = 40_000;
const FAILED: Readonly<Record<string, string>> = {
  cancelled: "was cancelled",
  timed_out: "took too long and was stopped",
};

/** First line of a preview's comment. */
const markerOf = (name: string): string => `<!-- noetl-nats preview: ${name} -->`;

/** Its second line: when the run began. */
const BEGAN = /^<!-- [^\n]* -->\n<!-- run began: ([\dT:.Z-]+) -->\n/;

/** The stack that a preview is about: `gke-live` is the stack `gke`. */
const stackOf = (name: string): string => name.replace(/-live$/, "");

/** What the comment about a finished preview says. */
function commentBody(args: {
  readonly name: string;
  readonly run: Run;
  /** The preview's job; undefined where it was not run. */
  readonly job: Job | undefined;
  /** What the preview's artifact says, as this code writes it; undefined where it left nothing that can be read. */
  readonly report: string | undefined;
  /** The end of what the engine printed, where the preview ran it. */
  readonly log: string | undefined;
  /** True where the code that made the report is another repository's. */
  readonly isFork: boolean;
}): string {
  const { name, run, job, report, log, isFork } = args;
  const worked = job?.conclusion === "success" && report !== undefined;
  const failure =
    job === undefined
      ? "was not run"
      : job.conclusion === "success"
        ? "finished without a report"
        : (FAILED[job.conclusion ?? ""] ?? "failed");
  const parts = [
    `${markerOf(name)}\n<!-- run began: ${run.run_started_at} -->`,
    ...(worked
      ? []
      : [
          `### ❌ The preview of \`${name}\` ${failure}`,
          `What this change does to \`${name}\` is not known. [The log](${job?.html_url ?? run.html_url}) has the whole story.`,
        ]),
    ...(isFork
      ? ["> This report was made by the code of a fork and has not been verified; it used no credentials."]
      : []),
    ...(report === undefined ? [] : [report]),
    ...(log === undefined
      ? []
      : [
          `<details${worked ? "" : " open"}><summary>The engine's own preview, and the policy</summary>\n\n${fenced(log)}\n\n</details>`,
        ]),
  ];
  const footer = `<sub>Commit ${run.head_sha.slice(0, 7)} · [run](${run.html_url}) · the complete reports are its artifacts</sub>`;
  const note = `**This comment is full: [the run's artifacts](${run.html_url}) have the complete report.**\n\n${footer}`;
  return limited(`${parts.join("\n\n")}\n\n${footer}`, note);
}

/** A file of an artifact; undefined where there is none. @throws Error for what is not a plain, readable file of a fair size. */
function readFile(file: string): string | undefined {
  const found = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (!found.isFile()) throw new Error(`${path.basename(file)} of the artifact is not a plain file`);
  if (found.size > FILE_LIMIT)
    throw new Error(`${path.basename(file)} of the artifact has ${found.size} bytes, over ${FILE_LIMIT}`);
  const text = fs.readFileSync(file, "utf8");
  return text.trim() === "" ? undefined : text;
}

/**
 * The comment's part about a comparison, without the marker at its start: a comment has one of its own.
 *
 * @throws Error for another JSON, and for the report of another stack.
 */
function written(json: string, stack: string, artifact: string): string {
  const report = readReport(json);
  if (report.stack !== stack) throw new Error(`the report is not about the stack ${stack}`);
  return markdown(report, { maxSize: REPORT_LIMIT, artifact })
    .replace(/^<!--[^\n]*-->\s*/, "")
    .trim();
}

/** The last lines of a log, at most so many characters. */
function tail(text: string, most: number): string {
  if (text.length <= most) return harmless(text);
  const cut = text.slice(-most);
  return harmless(`...\n${cut.slice(cut.indexOf("\n") + 1)}`);
}

/** The branch that the previews compared with, as the first report says that can be read. */
function comparedWith(reports: string, names: readonly string[]): string | undefined {
  for (const name of names) {
    try {
      const text = readFile(path.join(reports, `report-${name}`, "diff.json"));
      if (text !== undefined) return readReport(text).base.ref.replace(/^origin\//, "");
    } catch {
      // What is wrong with it is said where it is posted.
    }
  }
  return undefined;
}

/**
 * The open pull request whose newest commit the run looked at; undefined where it has moved on or is closed.
 *
 * @param base Tells apart those of one branch that want to be merged into different ones. No more than that depends on it: it comes
 * from the pull request's own code.
 */
async function pullRequestOf(github: GitHub, run: Run, base: string | undefined): Promise<PullRequest | undefined> {
  const { head_repository: source, head_branch: branch, head_sha: sha } = run;
  if (source === null) return undefined;
  const head = encodeURIComponent(`${source.owner.login}:${branch}`);
  const candidates = await github.list<PullRequest>(`/pulls?state=open&head=${head}`);
  const own = candidates.filter(({ head }) => head.sha === sha && head.repo?.id === source.id);
  return own.find((each) => each.base.ref === base) ?? own[0];
}

/**
 * The jobs of the run's own attempt, and those that it did not run again as they ended before. What runs again by now is another
 * attempt's.
 */
async function jobsOf(github: GitHub, { id, run_attempt: attempt }: Run): Promise<Map<string, Job>> {
  const all = await github.list<Job>(`/actions/runs/${id}/jobs?filter=all`, (page) => (page as { jobs: Job[] }).jobs);
  const known = all.filter((job) => job.run_attempt <= attempt).sort((a, b) => a.run_attempt - b.run_attempt);
  return new Map(known.map((job) => [job.name, job]));
}

/** When the run began whose comment this is, in milliseconds; long ago where it does not say. */
const began = (body: string | null | undefined): number => Date.parse(BEGAN.exec(body ?? "")?.[1] ?? "") || 0;

/**
 * Creates or edits the comment under `marker`; further ones under the same marker are removed.
 *
 * @param mayCreate False edits only: it tells an old comment's readers, but nobody who has heard nothing yet.
 */
async function upsertComment(
  github: GitHub,
  { pull, marker, body, mayCreate }: { pull: number; marker: string; body: string; mayCreate: boolean },
): Promise<"created" | "edited" | "unchanged" | "not needed" | "of a later run"> {
  return untilAnswered(async () => {
    const comments = await github.list<Comment>(`/issues/${pull}/comments`);
    const [first, ...rest] = comments.filter((comment) => isMarked(marker, comment));
    for (const { id } of rest) await github.write("DELETE", `/issues/comments/${id}`);
    if (!first) {
      if (!mayCreate) return "not needed";
      await github.write("POST", `/issues/${pull}/comments`, { body });
      return "created";
    }
    if (first.body === body) return "unchanged";
    // Runs of one commit may end, and be posted, in another order than they began in.
    if (began(first.body) > began(body)) return "of a later run";
    await github.write("PATCH", `/issues/comments/${first.id}`, { body });
    return "edited";
  });
}

async function main(reports: string, names: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const event = JSON.parse(fs.readFileSync(variable(env, "GITHUB_EVENT_PATH"), "utf8")) as {
    workflow_run: Run;
    repository: { id: number };
  };
  const run = event.workflow_run;
  const github = new GitHub({
    apiUrl: variable(env, "GITHUB_API_URL"),
    repository: variable(env, "GITHUB_REPOSITORY"),
    token: variable(env, "GITHUB_TOKEN"),
    log: console.log,
  });
  const pull =
    run.event === "pull_request" ? await pullRequestOf(github, run, comparedWith(reports, names)) : undefined;
  if (!pull) {
    console.log(`Commit ${run.head_sha} is not the newest of an open pull request: nothing to say.`);
    return;
  }
  const jobs = await jobsOf(github, run);
  for (const name of names) {
    const found = jobs.get(`preview (${name})`);
    if (found?.conclusion === null) {
      console.log(`preview (${name}): still runs, nothing to say`);
      continue;
    }
    const job = found?.conclusion === "skipped" ? undefined : found;
    const read = (file: string, form: (text: string) => string): string | undefined => {
      try {
        const text = readFile(path.join(reports, `report-${name}`, file));
        return text === undefined ? undefined : form(text);
      } catch (error) {
        console.log(`preview (${name}): ${(error as Error).message}`);
        return undefined;
      }
    };
    const body = commentBody({
      name,
      run,
      job,
      report: read("diff.json", (json) => written(json, stackOf(name), run.html_url)),
      log: read("preview.txt", (text) => tail(text, 20_000)),
      isFork: run.head_repository?.id !== event.repository.id,
    });
    const done = await upsertComment(github, {
      pull: pull.number,
      marker: markerOf(name),
      body,
      mayCreate: job !== undefined,
    });
    console.log(`Pull request ${pull.number}, ${name}: comment ${done}`);
  }
}

if (require.main === module) {
  const [reports, ...names] = process.argv.slice(2);
  if (reports === undefined || names.length === 0) fail(new Error("usage: comment.js REPORTS NAME..."));
  else main(reports, names, process.env).catch(fail);
}
