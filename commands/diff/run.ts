import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { SETTINGS } from "../../config/schema";
import { findBinary, missingBinary } from "../shared/binaries";
import { compareSides } from "./comparison";
import type { Masker } from "../../contract/mask";
import { DiffError, messageOf, SIDE_NAME, type Side } from "./errors";
import { checkout, isFollowed, revisions, type Revisions } from "./git";
import { removeFolder, temporaryFolder } from "../shared/leftovers";
import { livePreview, openLiveStack } from "./live";
import { withLive } from "./merge-live";
import { linkModules } from "./modules";
import type { Options } from "./options";
import { Renderer } from "./render";
import type { Failure, FailureReport, Report } from "./report";
import { Run } from "./evaluate-sides";
import { stacksOf } from "./stack-config";

/** The folder at or above `from` that holds a Pulumi project. @throws DiffError where there is none. */
function projectFolder(from: string): string {
  for (let folder = path.resolve(from); ; folder = path.dirname(folder)) {
    if (fs.existsSync(path.join(folder, "Pulumi.yaml"))) return fs.realpathSync(folder);
    if (folder === path.dirname(folder)) {
      throw new DiffError(`no Pulumi.yaml in ${from} or above it: run the command in the project.`, "usage");
    }
  }
}

/** What parts of the run fail with, all of them together. */
class Failures extends Error {
  constructor(readonly errors: readonly DiffError[]) {
    super(errors.map(({ message }) => message).join("\n"));
  }
}

const asDiffError = (error: unknown): DiffError =>
  error instanceof DiffError ? error : new DiffError(messageOf(error), "failed");

/** Both sides at once; where both fail, both failures count. */
async function bothSides<T>(work: (side: Side) => Promise<T>): Promise<Record<Side, T>> {
  const [base, head] = await Promise.allSettled([work("base"), work("head")]);
  if (base.status === "fulfilled" && head.status === "fulfilled") return { base: base.value, head: head.value };
  throw new Failures(
    [base, head].flatMap((result) => (result.status === "rejected" ? [asDiffError(result.reason)] : [])),
  );
}

/** The result of a run; `kind` says whose fault a failure is. */
export interface Outcome {
  readonly report: Report;
  readonly kind?: DiffError["kind"];
}

/** Where a comparison runs. */
interface DiffContext {
  /** A folder in the project. */
  readonly cwd: string;
  /** Takes what is said on the way. */
  readonly log: (line: string) => void;
  /** Aborted by whoever does not wait for the end. */
  readonly signal: AbortSignal;
}

/** What every report begins with. */
const headerOf = ({ stack, base }: Options, project: string, found?: Revisions) => ({
  schemaVersion: 1 as const,
  project,
  stack,
  base: { ref: base, commit: found?.baseCommit ?? "" },
  head: { commit: found?.headCommit ?? "", uncommitted: found?.uncommitted ?? [] },
});

/** The report of a comparison that did not come about. */
function failedWith(errors: readonly DiffError[], header: ReturnType<typeof headerOf>, masker?: Masker): Outcome {
  const failures = failuresOf(errors);
  const report: FailureReport = {
    status: "failed",
    ...header,
    summary: "The comparison failed: nothing is known about what this change does.",
    failures: failures.map(({ message, ...side }) => ({ ...side, message: masker?.text(message) ?? message })),
  };
  return { report, kind: errors.some(({ kind }) => kind === "usage") ? "usage" : "failed" };
}

/**
 * Compares the project at `cwd` with its base revision. What goes wrong becomes a failure report; a report is never
 * half of one and half of the other.
 */
export async function runDiff(options: Options, context: DiffContext): Promise<Outcome> {
  let folder: string;
  try {
    folder = temporaryFolder(path.join(fs.realpathSync(os.tmpdir()), "noetl-nats-diff-"));
  } catch (error) {
    const message = `no folder can be made in ${os.tmpdir()}: ${messageOf(error)}; name another one in TMPDIR.`;
    return failedWith([new DiffError(message, "usage")], headerOf(options, ""));
  }
  const run = new Run(options.stack, crypto.randomBytes(32).toString("hex"), path.join(folder, "home"));
  const found: { revisions?: Revisions } = {};
  const header = () => headerOf(options, run.project, found.revisions);
  try {
    const changes = await compare(options, { ...context, folder, run, found });
    return { report: { status: "ok", ...header(), ...changes } };
  } catch (error) {
    return failedWith(error instanceof Failures ? error.errors : [asDiffError(error)], header(), run.masker());
  } finally {
    removeFolder(folder);
  }
}

interface Work extends DiffContext {
  /** What is thrown away afterwards. */
  readonly folder: string;
  readonly run: Run;
  /** Takes what is compared, as soon as it is known: a failure names it too. */
  readonly found: { revisions?: Revisions };
}

/** What a report says beyond its header. @throws DiffError, Failures */
async function compare(options: Options, { cwd, log, signal, folder, run, found }: Work) {
  const head = projectFolder(cwd);
  run.hide(head, ".");
  found.revisions = await revisions(head, options.base);
  const { project: base, notes: incomplete } = await checkout(found.revisions, path.join(folder, "base"));
  // A comparison that fails for want of it shows no notes.
  for (const note of incomplete) log(`Note: ${note}.`);
  run.hide(base, ".");
  requireStack(options.stack, base, head);
  const notes = [...incomplete, ...(await lendStackFile(options.stack, { base, head }))];
  const helm = toolsFor(options);
  await linkModules({ base, head, log });
  const roots = { base, head };
  const isSecretKey = (name: string) => name in SETTINGS && SETTINGS[name as keyof typeof SETTINGS].secret;
  const evaluated = await bothSides((side) =>
    run.evaluate(side, roots[side], { overrides: options.config, isSecretKey }),
  );
  const renderer = new Renderer({ helm, kubeVersion: options.kubeVersion, apiVersions: options.apiVersions });
  try {
    const sides = await bothSides((side) => run.render(renderer, side, evaluated));
    const masker = run.masker(sides);
    const live = options.live
      ? await livePreview(
          await openLiveStack({ root: head, project: run.project, stack: options.stack, folder }),
          { refresh: options.refresh, signal },
          masker,
        )
      : undefined;
    const compared = compareSides(sides.base, sides.head, masker);
    const noted = { ...compared, notes: [...notes, ...compared.notes] };
    return live ? withLive(noted, live) : noted;
  } finally {
    renderer.close();
  }
}

/** What both sides fail with alike is one failure: a chart that cannot be fetched is at fault in neither. */
export function failuresOf(errors: readonly DiffError[]): Failure[] {
  const withoutSide = ({ side, message }: DiffError) =>
    side && message.startsWith(`${SIDE_NAME[side]}: `) ? message.slice(SIDE_NAME[side].length + 2) : message;
  const found = new Map<string, DiffError[]>();
  for (const error of errors) found.set(withoutSide(error), [...(found.get(withoutSide(error)) ?? []), error]);
  return [...found].map(([message, same]) => {
    const [first] = same;
    if (same.length > 1) return { message: `both revisions: ${message}` };
    return { side: first?.side ? first.side : undefined, message: first?.message ?? message };
  });
}

/** Gives the base a stack's file that git does not follow: it is not part of the change. Says so. */
async function lendStackFile(stack: string, { base, head }: Record<Side, string>): Promise<string[]> {
  const names = [".yaml", ".yml"].map((end) => `Pulumi.${stack}${end}`);
  const name = names.find((each) => fs.existsSync(path.join(head, each)));
  if (name === undefined || names.some((each) => fs.existsSync(path.join(base, each)))) return [];
  if (await isFollowed(head, name)) return [];
  fs.copyFileSync(path.join(head, name), path.join(base, name));
  return [`git does not follow ${name}, so its settings are those of both revisions`];
}

function requireStack(stack: string, base: string, head: string): void {
  const stacks = stacksOf(head);
  if (stacks.includes(stack) || stacksOf(base).includes(stack)) return;
  throw new DiffError(
    `--stack ${stack}: there is no Pulumi.${stack}.yaml; ` +
      (stacks.length > 0 ? `there are the stacks ${stacks.join(", ")}.` : "the project has no stack file at all."),
    "usage",
  );
}

/** Path of helm. @throws DiffError with every program that is missing. */
function toolsFor({ live }: Options): string {
  const helm = findBinary("helm");
  const problems = [
    ...(helm === undefined ? [`helm, which renders the charts, is missing: ${missingBinary("helm")}`] : []),
    ...(live && findBinary("pulumi") === undefined
      ? [`pulumi, which --live asks, is missing: ${missingBinary("pulumi")}`]
      : []),
  ];
  if (helm === undefined || problems.length > 0) throw new DiffError(problems.join("\n"), "usage");
  return helm;
}
