/** What must be there before anything is built. Changes nothing; every question has its deadline. */
import { ConfigError, parseSettings } from "../../config/parse";
import { PROJECT } from "../../contract/project";
import { missingBinary, onPath, type Binary } from "../shared/binaries";
import { findEngine, readStack, type Engine, type StackContent } from "../shared/engine";
import { CommandError } from "../shared/exit";
import { lookAt, type Checkout } from "./checkout";
import { CLUSTER, CONTEXT, STACK, type Part } from "./parts";
import { run } from "./programs";

const QUESTION_SECONDS = 20;

/** What the steps work with. */
export interface Ground {
  readonly checkout: Checkout;
  readonly engine: Engine;
  /** Holds secrets: to be used, never to be printed. Undefined where the stack is still to be made. */
  readonly stack?: StackContent;
}

/**
 * Looks at checkout, programs, cluster and stack, all at once.
 *
 * @throws CommandError `usage` with every problem.
 */
export async function preflight(
  part: Part,
  { folder, shown }: { folder: string; shown: string },
  signal: AbortSignal,
): Promise<Ground> {
  const [looked, cluster, state] = await Promise.all([
    lookAt(part, folder, shown),
    clusterProblems(signal),
    lookAtStack(),
  ]);
  const settings = settingsProblems(part, state.stack, looked.checkout);
  const problems = [...looked.problems, ...cluster, ...state.problems, ...settings];
  const { engine, stack } = state;
  if (problems.length > 0 || looked.checkout === undefined || engine === undefined)
    throw refusal(part.command, problems, "has changed nothing");
  return { checkout: looked.checkout, engine, stack };
}

export function refusal(command: string, problems: readonly string[], done: string): CommandError {
  const list = problems.map((problem) => `  - ${problem.replaceAll("\n", "\n    ")}`);
  return new CommandError(`npm run ${command} cannot begin, and ${done}:\n${list.join("\n")}`, "usage");
}

/**
 * The content of a stack that has just been made, with a look at its settings: its file may have been there before, and the engine reads none
 * without a stack.
 *
 * @throws CommandError `usage` with every problem.
 */
export async function preflightOfNew(part: Part, { engine, checkout }: Ground): Promise<StackContent> {
  const stack = await readStack(engine, STACK, PROJECT);
  const problems = settingsProblems(part, stack, checkout);
  if (problems.length > 0) throw refusal(part.command, problems, `has made the stack ${STACK} and nothing else`);
  return stack;
}

/** What a program said, in one line. */
const firstLine = (said: string): string => said.split("\n").find((line) => line.trim() !== "") ?? "";

interface Question {
  readonly command: Binary;
  readonly args: readonly string[];
  /** What it means where there is no good answer. */
  readonly problem: string;
  /** Aborted by the user, who does not wait for an answer then. */
  readonly signal: AbortSignal;
}

/** The answer, or what is wrong. */
async function ask({ command, args, problem, signal }: Question): Promise<{ answer: string } | { problem: string }> {
  const ended = await run({ command, args, deadlineSeconds: QUESTION_SECONDS, signal });
  if (ended.ok) return { answer: ended.stdout };
  const said = firstLine(ended.said);
  return { problem: `${problem}: ${command} ${args[0]} ${ended.why}${said ? `, ${said}` : ""}` };
}

/** What keeps one from working with the kind cluster, and whether it is there; undefined where that could not be asked. */
export interface Look {
  readonly problems: readonly string[];
  readonly isThere?: boolean;
}

/** Docker answers, and the cluster answers where there is one. What depends on something that is missing is not asked. */
export async function lookAtCluster(signal: AbortSignal): Promise<Look> {
  const programs: readonly Binary[] = ["docker", "kind", "kubectl"];
  const missing = programs.filter((name) => onPath(name) === undefined);
  const problems = missing.map((name) => missingBinary(name));
  if (missing.includes("docker")) return { problems };
  const docker = await ask({
    command: "docker",
    args: ["version", "--format", "{{.Server.Version}}"],
    problem: "Docker does not answer; start it, for example: sudo systemctl start docker",
    signal,
  });
  if ("problem" in docker) return { problems: [...problems, docker.problem] };
  if (missing.includes("kind")) return { problems };
  const clusters = await ask({
    command: "kind",
    args: ["get", "clusters"],
    problem: "the clusters cannot be listed",
    signal,
  });
  if ("problem" in clusters) return { problems: [...problems, clusters.problem] };
  if (!clusters.answer.split(/\s+/).includes(CLUSTER)) return { problems, isThere: false };
  if (missing.includes("kubectl")) return { problems, isThere: true };
  const ready = await ask({
    command: "kubectl",
    args: ["get", "--raw", "/readyz", "--context", CONTEXT, "--request-timeout", "10s"],
    problem:
      `cluster ${CLUSTER} does not answer; start its container (docker start ${CLUSTER}-control-plane), or where the context ` +
      `${CONTEXT} is missing: kind export kubeconfig --name ${CLUSTER}. One that was cut off while it was made goes with npm run kind:delete`,
    signal,
  });
  return { problems: "problem" in ready ? [...problems, ready.problem] : problems, isThere: true };
}

/** The cluster is there, and answers. */
async function clusterProblems(signal: AbortSignal): Promise<readonly string[]> {
  const { problems, isThere } = await lookAtCluster(signal);
  return isThere === false
    ? [...problems, `there is no kind cluster ${CLUSTER}; make it: npm run kind:create`]
    : problems;
}

interface State {
  readonly engine?: Engine;
  readonly stack?: StackContent;
  readonly problems: readonly string[];
}

/** The stack as the engine knows it; one that is not there yet is not a problem. */
async function lookAtStack(): Promise<State> {
  let engine: Engine | undefined;
  try {
    engine = findEngine(STACK);
    return { engine, stack: await readStack(engine, STACK, PROJECT), problems: [] };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const isNew = engine !== undefined && /no stack named/i.test(error.message);
    return { engine, problems: isNew ? [] : [error.message] };
  }
}

/** What this command sets in the stack. */
export const settingsOf = (part: Part, { image }: Checkout): Readonly<Record<string, string>> => ({
  [part.setting]: image,
  ...(part.switch === "deployGateway" ? { deployGateway: "true" } : {}),
});

/** Why the program would refuse the stack with the new image, or deploy it elsewhere or not at all. */
function settingsProblems(part: Part, stack: StackContent | undefined, checkout: Checkout | undefined): string[] {
  if (checkout === undefined || stack === undefined) return [];
  try {
    const settings = parseSettings({ ...stack.config, ...settingsOf(part, checkout) });
    const { kubeContext, kubeconfig } = settings;
    const where = kubeContext ?? (kubeconfig ? "the current context of its kubeconfig" : "the current context");
    return [
      ...(settings[part.switch]
        ? []
        : [`stack ${STACK} does not deploy ${part.title}; pulumi config set ${part.switch} true --stack ${STACK}`]),
      ...(kubeContext === CONTEXT
        ? []
        : [
            `stack ${STACK} deploys to ${where}, and the image is for ${CONTEXT}; ` +
              `pulumi config set kubeContext ${CONTEXT} --stack ${STACK}`,
          ]),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => `stack ${STACK}: ${problem}`);
  }
}
