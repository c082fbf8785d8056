import * as fs from "node:fs";
import * as path from "node:path";
import { missingBinary } from "../shared/binaries";
import { foreignRepository, gitEnvironment } from "../shared/git";
import { DiffError, messageOf } from "./errors";
import { outputOf } from "../shared/leftovers";

/** Where the project stands in its repository, and which two states are compared. */
export interface Revisions {
  /** Root of the clone. */
  readonly repository: string;
  /** The project's folder inside the repository, with a slash at its end; empty at the root. */
  readonly prefix: string;
  /** What `--base` said. */
  readonly baseRef: string;
  /** The commit that is compared with: where HEAD and the base branched. */
  readonly baseCommit: string;
  readonly headCommit: string;
  /** Files of the project that differ from HEAD, sorted. */
  readonly uncommitted: readonly string[];
}

const settings = (...each: string[]): string[] => each.flatMap((setting) => ["-c", setting]);

/**
 * No program of the caller's is run, and nothing is tidied up: what git fetches for an index of another name would have it throw
 * away what only the caller's own index names.
 */
const QUIET = settings("core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false");

const git = (cwd: string, ...args: string[]): Promise<string> => gitWith({}, cwd, args);

const SECONDS = 60;
/** A commit is written file by file, and a clone that has fetched only a part of the files fetches those first. */
const WRITE_SECONDS = 300;

/** git with variables of its own. It asks nobody, and writes nothing that it need not. */
async function gitWith(
  { env, seconds = SECONDS }: { readonly env?: NodeJS.ProcessEnv; readonly seconds?: number },
  cwd: string,
  args: readonly string[],
): Promise<string> {
  const stdout = await outputOf("git", ["--no-optional-locks", ...QUIET, ...args], {
    cwd,
    timeout: seconds * 1000,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...gitEnvironment(), GIT_TERMINAL_PROMPT: "0", ...env },
  });
  return stdout.replace(/\n$/, "");
}

const attempt = (promise: Promise<string>): Promise<string | undefined> => promise.catch(() => undefined);

/**
 * Finds the two states: the working tree at `project`, and the commit where HEAD and `base` branched.
 *
 * @throws DiffError for a folder outside git, a base that does not exist, a clone too shallow, and unmerged files.
 */
export async function revisions(project: string, base: string): Promise<Revisions> {
  const usage = (message: string) => new DiffError(message, "usage");
  let repository: string;
  let prefix: string;
  try {
    repository = await git(project, "rev-parse", "--show-toplevel");
    prefix = await git(project, "rev-parse", "--show-prefix");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw usage(`${missingBinary("git")}.`);
    throw usage(whyNoRepository(project, (error as { stderr?: string }).stderr?.split("\n")[0] || messageOf(error)));
  }
  const headCommit = await attempt(git(project, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"));
  if (!headCommit) throw usage("the repository has no commit yet, so there is nothing to compare with.");
  const shallow = (await git(project, "rev-parse", "--is-shallow-repository")) === "true";
  const deepen =
    "the clone is shallow: fetch the history with `git fetch --unshallow origin` " +
    "(in a workflow: `fetch-depth: 0` of actions/checkout) and run again.";
  if (base.startsWith("-")) throw usage(`--base ${base}: no revision; for example --base origin/main.`);
  const tip = await attempt(git(project, "rev-parse", "--verify", "--quiet", `${base}^{commit}`));
  if (!tip) {
    const remote = /^([^/]+)\/(.+)$/.exec(base);
    throw usage(
      `--base ${base}: no such revision in this clone; ` +
        (shallow
          ? deepen
          : remote
            ? `fetch it with \`git fetch ${remote[1]} ${remote[2]}\`, or name another one, for example --base HEAD~1.`
            : "name a branch, tag or commit, for example --base origin/main."),
    );
  }
  const baseCommit = await attempt(git(project, "merge-base", tip, "HEAD"));
  if (!baseCommit) {
    throw usage(
      `--base ${base}: shares no commit with HEAD; ${shallow ? deepen : "name a revision that this branch started from."}`,
    );
  }
  const status = await git(project, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", ".");
  const { files, unmerged } = parseStatus(status);
  if (unmerged.length > 0) {
    throw usage(
      `unmerged files: ${unmerged.join(", ")}. Resolve the conflicts (or \`git merge --abort\`) and run again.`,
    );
  }
  return { repository, prefix, baseRef: base, baseCommit, headCommit, uncommitted: files };
}

/** Whether git follows a file of a folder; one that is ignored or was never added is none's but this machine's. */
export const isFollowed = async (folder: string, name: string): Promise<boolean> =>
  (await attempt(git(folder, "ls-files", "--error-unmatch", "--", name))) !== undefined;

/** What keeps git from reading a folder, by the first line that it says. */
function whyNoRepository(project: string, said: string): string {
  const foreign = foreignRepository(said);
  return foreign === undefined
    ? `${project} is not a git working tree, so there is nothing to compare with (${said}).`
    : `${foreign}.`;
}

/** Reads `git status --porcelain=v1 -z`. */
export function parseStatus(status: string): { files: string[]; unmerged: string[] } {
  const files: string[] = [];
  const unmerged: string[] = [];
  const entries = status.split("\0").filter((entry) => entry !== "");
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] ?? "";
    const code = entry.slice(0, 2);
    files.push(entry.slice(3));
    if (/U|AA|DD/.test(code)) unmerged.push(entry.slice(3));
    // A renamed file is followed by its old name.
    if (/[RC]/.test(code)) index++;
  }
  return { files: files.sort(), unmerged: unmerged.sort() };
}

/**
 * Settings of whoever calls that a checkout of another commit must not follow: a part of the files only, an index that others
 * share, and submodules, of which the commit is another one.
 */
const PLAIN = settings("core.sparseCheckout=false", "core.splitIndex=false", "submodule.recurse=false");

/**
 * Writes a commit of the repository at `from` into `folder`, by an index of its own: a clone of a clone that has fetched only a
 * part of the files could not fetch the others.
 *
 * @returns paths of the submodules that cannot be written, because their commits have not been fetched.
 */
async function writeCommit(from: string, commit: string, folder: string): Promise<string[]> {
  // No file of a commit has this name.
  const own = path.join(folder, ".git");
  fs.mkdirSync(own, { recursive: true });
  const env = {
    GIT_DIR: await git(from, "rev-parse", "--absolute-git-dir"),
    GIT_WORK_TREE: folder,
    GIT_INDEX_FILE: path.join(own, "index"),
  };
  await gitWith({ env, seconds: WRITE_SECONDS }, folder, [...PLAIN, "read-tree", "--reset", "-u", commit]).catch(
    tooLong,
  );
  const entries = (await gitWith({ env }, folder, [...PLAIN, "ls-files", "--stage", "-z"])).split("\0");
  fs.rmSync(own, { recursive: true });
  const missing: string[] = [];
  for (const entry of entries) {
    const [, inner, name] = /^160000 ([0-9a-f]+) 0\t(.*)$/s.exec(entry) ?? [];
    if (inner === undefined || name === undefined) continue;
    const module = path.join(from, name);
    if (!(await holds(module, inner))) missing.push(name);
    else {
      const below = await writeCommit(module, inner, path.join(folder, name));
      missing.push(...below.map((each) => path.join(name, each)));
    }
  }
  return missing;
}

/** Whether a submodule's folder has a commit. One that is not set up is not asked: git would ask the repository around it. */
const holds = async (module: string, commit: string): Promise<boolean> =>
  fs.existsSync(path.join(module, ".git")) &&
  (await attempt(git(module, "rev-parse", "--verify", "--quiet", `${commit}^{commit}`))) === commit;

function tooLong(error: unknown): never {
  if (!(error as { killed?: boolean }).killed) throw error;
  throw new DiffError(
    `git did not write the base revision within ${WRITE_SECONDS} s; where it has to fetch the files first, ` +
      "see whether the remote can be reached, and run again.",
    "failed",
    "base",
  );
}

/** The base of a comparison on disk. */
export interface Base {
  /** The project's folder. */
  readonly project: string;
  /** What of the project could not be written. */
  readonly notes: readonly string[];
}

/** Writes the project as it stood at a commit into `folder`. The repository's index, files and worktrees stay untouched. */
export async function checkout(from: Revisions, folder: string): Promise<Base> {
  const missing = await writeCommit(from.repository, from.baseCommit, folder);
  const project = path.join(folder, from.prefix);
  if (!fs.existsSync(path.join(project, "Pulumi.yaml"))) {
    throw new DiffError(
      `the base revision ${from.baseCommit.slice(0, 12)} holds no Pulumi project` +
        `${from.prefix ? ` in ${from.prefix}` : ""}; name a later one with --base.`,
      "usage",
      "base",
    );
  }
  const notes = missing
    .filter((name) => name.startsWith(from.prefix))
    .map(
      (name) =>
        `submodule ${name} is not there at the base's commit, so the base is compared without it; ` +
        "git submodule update --init fetches one that is set up",
    );
  return { project, notes };
}
