/**
 * Keeps one issue about a stack's drift: what runs and what the state says differ.
 *
 *     node dist/scripts/ci/drift.js STACK REFRESH LOG
 *
 * REFRESH is what `pulumi refresh --preview-only --json` printed, LOG what it said on standard error. Drift opens the issue
 * or brings it up to date, a refresh that failed does so too, and a stack without drift closes it. The issue names resources
 * and the paths of their properties, never a value.
 *
 * Environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_SERVER_URL, GITHUB_RUN_ID, GITHUB_TOKEN (issues: write).
 */
import * as fs from "node:fs";
import { harmless } from "../../contract/mask/harmless";
import { fail, variable } from "./variables";
import { GitHub, isMarked, type Marked, untilAnswered } from "./github";
import { fenced, limited } from "./text";

/** Label of the issue, by which it is found again. */
const LABEL = "drift";

/** A resource that is not as the state says. */
export interface Drifted {
  readonly type: string;
  readonly name: string;
  /** `deleted`: it is gone. `changed`: properties differ. */
  readonly how: "changed" | "deleted";
  /** Paths of the properties that differ, sorted. */
  readonly paths: readonly string[];
}

/** A step of the engine's JSON (pulumi pkg/backend/display/json.go), as far as it is read here. */
interface Step {
  readonly op: string;
  readonly urn: string;
  readonly detailedDiff?: Readonly<Record<string, unknown>> | null;
}

/**
 * What a refresh would change, from the engine's JSON.
 *
 * @throws Error where the text is not a complete answer: an interrupted engine must not look like a stack without drift.
 */
export function driftIn(json: string): Drifted[] {
  let parsed: { steps?: readonly Step[]; changeSummary?: Readonly<Record<string, number>> };
  try {
    parsed = JSON.parse(json) as typeof parsed;
  } catch {
    throw new Error("the engine printed no JSON");
  }
  if (!Array.isArray(parsed.steps) || parsed.changeSummary === undefined)
    throw new Error("the engine's JSON has no result");
  const drifted = (parsed.steps as readonly Step[])
    // A resource that is as it should be has the operation "refresh", in other engines "same".
    .filter(({ op }) => op !== "refresh" && op !== "same" && op !== "read")
    .map(({ op, urn, detailedDiff }): Drifted => {
      const [qualified = "", name = ""] = urn.split("::").slice(-2);
      return {
        type: qualified.split("$").at(-1) ?? qualified,
        name,
        how: op === "delete" ? "deleted" : "changed",
        paths: Object.keys(detailedDiff ?? {}).sort(),
      };
    });
  const said = Object.entries(parsed.changeSummary).reduce(
    (sum, [op, count]) => (op === "same" ? sum : sum + count),
    0,
  );
  if (said !== drifted.length) {
    throw new Error(`the engine counts ${said} changed resources, but lists ${drifted.length}`);
  }
  return drifted.sort((a, b) => (a.type + a.name < b.type + b.name ? -1 : 1));
}

/** Result of a drift check. */
export type Outcome = { readonly drifted: readonly Drifted[] } | { readonly failure: string; readonly log: string };

const code = (text: string): string => `\`${harmless(text).replaceAll("`", "'")}\``;
const MOST_PATHS = 12;

/** First line of the stack's issue. */
const markerOf = (stack: string): string => `<!-- noetl-nats drift: ${stack} -->`;

/** Title and text of the issue; undefined where there is nothing to tell. */
function issueText(stack: string, outcome: Outcome, runUrl: string): { title: string; body: string } | undefined {
  const footer = `<sub>[Run](${runUrl}) · the issue closes itself when the stack is in order</sub>`;
  const note = `**The list goes on in [the run](${runUrl}).**`;
  if ("failure" in outcome) {
    const body = [
      markerOf(stack),
      `Whether what runs is still what ${code(stack)} says is not known: ${harmless(outcome.failure)}.`,
      ...(outcome.log.trim() === "" ? [] : [fenced(harmless(outcome.log.slice(-4000)))]),
      footer,
    ];
    return { title: `The drift check of stack ${stack} failed`, body: limited(body.join("\n\n"), note) };
  }
  if (outcome.drifted.length === 0) return undefined;
  const rows = outcome.drifted.map(({ type, name, how, paths }) => {
    const shown = paths.slice(0, MOST_PATHS).map(code).join(", ");
    const more = paths.length > MOST_PATHS ? ` and ${paths.length - MOST_PATHS} more` : "";
    return `| ${code(name)} | ${code(type)} | ${how === "deleted" ? "**deleted**" : "changed"} | ${shown}${more} |`;
  });
  const body = [
    markerOf(stack),
    `Somebody or something changed what runs: it is no longer what the state of ${code(stack)} says.`,
    ["| Resource | Type | What | Where |", "|---|---|---|---|", ...rows].join("\n"),
    `- To undo it: ${code(`pulumi up --refresh --stack ${stack}`)}. Previews show it first.`,
    "- To keep it: change the program or the configuration so that it says the same, and deploy.",
    footer,
  ];
  return { title: `Drift: what runs differs from stack ${stack}`, body: limited(body.join("\n\n"), note) };
}

interface Issue extends Marked {
  readonly number: number;
  readonly title: string;
  readonly pull_request?: unknown;
}

/** Opens, edits or closes the stack's issue. */
async function upsertIssue(
  github: GitHub,
  { stack, runUrl }: { stack: string; runUrl: string },
  text: { title: string; body: string } | undefined,
): Promise<string> {
  return untilAnswered(async () => {
    const open = (await github.list<Issue>(`/issues?state=open&labels=${LABEL}`)).filter(
      (issue) => issue.pull_request === undefined && isMarked(markerOf(stack), issue),
    );
    const [first, ...rest] = open.sort((a, b) => a.number - b.number);
    for (const { number } of rest) await github.write("PATCH", `/issues/${number}`, { state: "closed" });
    if (!text) {
      if (!first) return "no issue is open, and none is needed";
      await github.write("PATCH", `/issues/${first.number}`, { state: "closed", state_reason: "completed" });
      await github.write("POST", `/issues/${first.number}/comments`, { body: `In order again: [run](${runUrl}).` });
      return `issue ${first.number} closed`;
    }
    if (!first) {
      const created = await github.write<Issue>("POST", "/issues", { ...text, labels: [LABEL] });
      return `issue ${created.number} opened`;
    }
    await github.write("PATCH", `/issues/${first.number}`, text);
    return `issue ${first.number} brought up to date`;
  });
}

const readText = (file: string): string => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "");

/** Result of the refresh whose output stands in these files. */
function outcomeOf(refresh: string, log: string): Outcome {
  try {
    return { drifted: driftIn(readText(refresh)) };
  } catch (error) {
    return { failure: (error as Error).message, log: readText(log) };
  }
}

/** @param files What the engine printed, and what it said on standard error. */
async function main(stack: string, files: { refresh: string; log: string }, env: NodeJS.ProcessEnv): Promise<void> {
  const repository = variable(env, "GITHUB_REPOSITORY");
  const runUrl = `${variable(env, "GITHUB_SERVER_URL")}/${repository}/actions/runs/${variable(env, "GITHUB_RUN_ID")}`;
  const outcome = outcomeOf(files.refresh, files.log);
  const github = new GitHub({
    apiUrl: variable(env, "GITHUB_API_URL"),
    repository,
    token: variable(env, "GITHUB_TOKEN"),
    log: console.log,
  });
  const found = "failure" in outcome ? "the check failed" : `${outcome.drifted.length} resources drifted`;
  const done = await upsertIssue(github, { stack, runUrl }, issueText(stack, outcome, runUrl));
  console.log(`${stack}: ${found}; ${done}`);
}

if (require.main === module) {
  const [stack, refresh, log] = process.argv.slice(2);
  if (stack === undefined || refresh === undefined || log === undefined)
    fail(new Error("usage: drift.js STACK REFRESH LOG"));
  else main(stack, { refresh, log }, process.env).catch(fail);
}
