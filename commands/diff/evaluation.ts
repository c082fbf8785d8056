import { fork } from "node:child_process";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import { DiffError, SIDE_NAME, type Side } from "./errors";
import { endGroup } from "../shared/process-group";
import { endsWithUs } from "../shared/leftovers";
import type { PlaceholderKind } from "../../contract/mask/placeholders";
import type { StackConfig } from "./stack-config";

/** A resource as the program declares it. */
export interface DeclaredResource {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** URN of the parent; empty for the stack itself. */
  readonly parent: string;
  /** False for components. */
  readonly custom: boolean;
  /** Inputs as sent to the engine: secrets still carry the engine's signature. */
  readonly inputs: Record<string, unknown>;
  readonly dependencies: readonly string[];
  readonly aliases: readonly string[];
  readonly protect: boolean;
  /** Input properties (dotted) that the program itself declares to replace the resource. */
  readonly replaceOnChanges: readonly string[];
  /** Input properties (dotted) whose change the engine leaves out, of a resource that is there. */
  readonly ignoreChanges: readonly string[];
  /** True where an existing resource is only read (`get`). */
  readonly read: boolean;
  /** Component that another process builds: what it consists of is not known here. */
  readonly remote: boolean;
}

/** What one side's program declares. */
export interface Evaluation {
  readonly resources: readonly DeclaredResource[];
  /** Outputs of the stack, secrets with the engine's signature. */
  readonly outputs: Record<string, unknown>;
  /** Provider functions that the program called; they were not run. */
  readonly functions: readonly string[];
  readonly issued: readonly (readonly [string, PlaceholderKind])[];
}

/** What the child process is asked to do. */
export interface EvaluationRequest {
  readonly root: string;
  readonly main: string;
  readonly project: string;
  readonly stack: string;
  readonly config: Readonly<Record<string, string>>;
  readonly secretKeys: readonly string[];
  /** Key of the run's stand-ins. */
  readonly key: string;
  /** Folder of what earlier runs have compiled. */
  readonly cache: string;
}

/** What it answers. */
export type EvaluationAnswer = { readonly evaluation: Evaluation } | { readonly failure: string };

/** Deadline of one side's program. */
const TIMEOUT_MS = 120_000;

/** Compiled, whatever this module itself is loaded from: a child process cannot read TypeScript. */
const PROGRAM = path.join(projectRoot(), "dist", "commands", "diff", "evaluate-program.js");

/** The program runs with these variables and no others: no token, passphrase or cloud login reaches it. */
const PASSED_ON = ["PATH", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "SystemRoot", "NODE_EXTRA_CA_CERTS"];

/**
 * Runs one side's program in a process of its own, against a stand-in for the engine, and returns what it declares.
 *
 * @param home an empty folder that the program takes for the home directory
 * @param cache folder of what earlier runs have compiled
 * @throws DiffError with what the program threw, or where it does not end in time.
 */
export async function evaluate(args: {
  side: Side;
  root: string;
  stack: string;
  config: StackConfig;
  key: string;
  home: string;
  cache: string;
}): Promise<Evaluation> {
  const { side, root, stack, config, key, home, cache } = args;
  const request: EvaluationRequest = {
    root,
    main: config.main,
    project: config.project,
    stack,
    config: config.values,
    secretKeys: config.secretKeys,
    key,
    cache,
  };
  const env: NodeJS.ProcessEnv = { HOME: home, USERPROFILE: home, PULUMI_SKIP_UPDATE_CHECK: "true" };
  for (const name of PASSED_ON) if (process.env[name] !== undefined) env[name] = process.env[name];

  const child = endsWithUs(
    fork(PROGRAM, [], {
      cwd: root,
      env,
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      detached: true,
    }),
  );
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (printed = (printed + text).slice(-4000)));
  }
  const timer = setTimeout(() => endGroup(child, "SIGKILL"), TIMEOUT_MS);
  try {
    const answer = await new Promise<EvaluationAnswer>((resolve, reject) => {
      let received: EvaluationAnswer | undefined;
      child.once("message", (message) => (received = message as EvaluationAnswer));
      child.once("error", reject);
      child.once("close", (code, signal) => {
        if (received) return resolve(received);
        const why =
          signal === "SIGKILL"
            ? `did not end within ${TIMEOUT_MS / 1000} s`
            : `ended early (${signal ?? `exit code ${code}`})`;
        resolve({ failure: `the program ${why}.${printed.trim() ? ` Its last words:\n${printed.trim()}` : ""}` });
      });
      child.send(request);
    });
    if ("failure" in answer) throw new DiffError(failureText(side, stack, answer.failure), "failed", side);
    return answer.evaluation;
  } finally {
    clearTimeout(timer);
    if (child.exitCode === null && child.signalCode === null) endGroup(child, "SIGKILL");
  }
}

/** How a program without a login fails that asks Google Cloud: our own words for it, Google's, and its client libraries'. */
const WITHOUT_LOGIN =
  /asking Google Cloud|googleapis\.com|OAuth 2 access token|could not load the default credentials/i;

/** What a side's failed program means for the comparison, and what to do where that is known. */
function failureText(side: Side, stack: string, failure: string): string {
  if (!WITHOUT_LOGIN.test(failure)) return `${SIDE_NAME[side]}: ${failure}`;
  const [said = ""] = failure.split("\n    at ");
  const remedy =
    side === "base"
      ? "It is from before the program did without a login, so it cannot be compared: name a later base with --base, " +
        `or see what the update would do to the deployed stack with \`pulumi preview --stack ${stack}\`.`
      : "Let it ask only where there is a login: without one `gcp.organizations.getClientConfig` gives no access token.";
  return (
    `${SIDE_NAME[side]}: the program asks Google Cloud while it runs, and a comparison gives no login to the code that ` +
    `it runs.\n${remedy}\n(${said})`
  );
}
