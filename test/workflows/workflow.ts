import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { projectRoot } from "../../contract/project";

export interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}
export interface Job {
  readonly name: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix?: Readonly<Record<string, readonly string[]>> };
  readonly environment?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
export interface Workflow {
  readonly defaults?: { readonly run?: { readonly shell?: string } };
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

export const GITHUB_FOLDER = path.join(projectRoot(), ".github");
export const workflowFiles = (): string[] => fs.readdirSync(path.join(GITHUB_FOLDER, "workflows")).sort();
export const workflow = (name: string): Workflow =>
  parse(fs.readFileSync(path.join(GITHUB_FOLDER, "workflows", `${name}.yml`), "utf8")) as Workflow;

export interface Ran {
  readonly code: number | null;
  /** Standard output and error. */
  readonly output: string;
}

/**
 * Runs a step as GitHub does: its own script, in its own shell, with the environment of workflow, job and step.
 *
 * @param expressions What `${{ ... }}` in the environment stands for; one that is missing is an error.
 * @param env What the runner would set.
 * @param cwd The checkout.
 */
export async function runStep(
  [name, job, step]: readonly [workflow: string, job: string, step: string],
  expressions: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
  cwd = projectRoot(),
): Promise<Ran> {
  const file = workflow(name);
  const found = file.jobs[job]?.steps.find((each) => each.name === step);
  if (!found?.run) throw new Error(`${name}.yml has no script "${step}" in job ${job}`);
  if (found.run.includes("${{")) throw new Error(`"${step}" puts an expression into its script`);
  if (file.defaults?.run?.shell !== "bash")
    throw new Error(`${name}.yml does not run its scripts in bash with pipefail`);
  const declared = Object.entries({ ...file.jobs[job]?.env, ...found.env }).map(([key, value]) => [
    key,
    value.replace(/\$\{\{\s*(.+?)\s*\}\}/g, (_, expression: string) => {
      const result = expressions[expression];
      if (result === undefined) throw new Error(`"${step}" uses ${expression}, which this test does not set`);
      return result;
    }),
  ]);
  const script = path.join(env.RUNNER_TEMP ?? "", "script.sh");
  fs.writeFileSync(script, found.run);
  const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", script], {
    cwd,
    env: {
      PATH: process.env.PATH,
      GITHUB_REPOSITORY: "noetl/nats",
      GITHUB_SERVER_URL: "https://github.example",
      GITHUB_RUN_ID: "77",
      ...(Object.fromEntries(declared) as Record<string, string>),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
