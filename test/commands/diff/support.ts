import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { projectRoot } from "../../../contract/project";
import { SETTINGS } from "../../../config/schema";
import { compareSides } from "../../../commands/diff/comparison";
import { DEFAULT_KUBE_VERSION } from "../../../commands/diff/options";
import { Renderer } from "../../../commands/diff/render";
import type { Side } from "../../../commands/diff/errors";
import type { ChangeReport } from "../../../commands/diff/report";
import type { SideResult } from "../../../commands/diff/side";
import { Run, type EvaluatedSide } from "../../../commands/diff/evaluate-sides";
import { ensureTools } from "../../../embedded/toolchain";

/** What a project can be evaluated and rendered without; the rest is copied. */
const LEFT_OUT = new Set(["bench", "dist", "docs", "examples", "node_modules", "test"]);

export const isSecretKey = (key: string): boolean => key in SETTINGS && SETTINGS[key as keyof typeof SETTINGS].secret;

/** A copy of this project in `folder`, with its packages, whose stack kind takes the local chart of NATS. */
function copyProject(folder: string): string {
  fs.mkdirSync(folder, { recursive: true });
  const sources = fs.readdirSync(projectRoot()).filter((name) => !name.startsWith(".") && !LEFT_OUT.has(name));
  for (const source of sources) {
    // A stack that somebody keeps for himself is none of the test's.
    if (/^Pulumi\.(?!yaml|kind|gke)/.test(source)) continue;
    fs.cpSync(path.join(projectRoot(), source), path.join(folder, source), { recursive: true });
  }
  fs.symlinkSync(path.join(projectRoot(), "node_modules"), path.join(folder, "node_modules"));
  fs.appendFileSync(path.join(folder, "Pulumi.kind.yaml"), "  noetl-nats:natsChart: ./embedded/charts/nats\n");
  return folder;
}

export function temporaryFolder(): string {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "noetl-nats-diff-test-"));
}

export function git(cwd: string, ...args: string[]): string {
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
  return execFileSync("git", [...identity, ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A PATH inside `folder` with git and nothing else, where no tool, no npm and no Go is found. */
export function gitOnly(folder: string): string {
  const bin = path.join(folder, "bin");
  fs.mkdirSync(bin, { recursive: true });
  const found = (process.env.PATH ?? "")
    .split(path.delimiter)
    .map((each) => path.join(each, "git"))
    .find((each) => fs.existsSync(each));
  const link = path.join(bin, "git");
  if (!fs.existsSync(link)) fs.symlinkSync(found ?? "git", link);
  return bin;
}

/** A scratch repository with one commit of the project on branch main. */
export function scratchRepository(folder: string): string {
  copyProject(folder);
  fs.writeFileSync(path.join(folder, ".gitignore"), "node_modules\n");
  git(folder, "init", "-q", "-b", "main");
  git(folder, "add", "-A");
  git(folder, "commit", "-qm", "base");
  return folder;
}

/** Replaces text in a file of the copy; the text must be there. */
export function edit(root: string, file: string, from: string, to: string): void {
  const name = path.join(root, file);
  const text = fs.readFileSync(name, "utf8");
  if (!text.includes(from)) throw new Error(`${file} does not hold "${from}"`);
  fs.writeFileSync(name, text.replace(from, to));
}

/** One base, evaluated once, that many heads are compared with. */
export class Comparison {
  private constructor(
    private readonly run: Run,
    private readonly renderer: Renderer,
    readonly folder: string,
    private readonly base: EvaluatedSide,
  ) {}

  static async open(config: Readonly<Record<string, string>> = {}): Promise<Comparison> {
    const { helm } = await ensureTools(["helm"]);
    const folder = temporaryFolder();
    const run = new Run("kind", "a key of the test", path.join(folder, "home"));
    const root = copyProject(path.join(folder, "base"));
    run.hide(root, ".");
    const base = await run.evaluate("base", root, { overrides: config, isSecretKey });
    const renderer = new Renderer({ helm, kubeVersion: DEFAULT_KUBE_VERSION, apiVersions: [] });
    return new Comparison(run, renderer, folder, base);
  }

  /** The report for a head that differs by configuration and by edits of a copy of the project. */
  async with(change: {
    config?: Readonly<Record<string, string>>;
    edit?: (root: string) => void;
  }): Promise<ChangeReport> {
    return (await this.sidesWith(change)).report;
  }

  /** The same with the two sides that were compared. */
  async sidesWith(change: {
    config?: Readonly<Record<string, string>>;
    edit?: (root: string) => void;
  }): Promise<{ report: ChangeReport; sides: Record<Side, SideResult> }> {
    const root = change.edit ? copyProject(fs.mkdtempSync(path.join(this.folder, "head-"))) : this.base.root;
    change.edit?.(root);
    this.run.hide(root, ".");
    const head = await this.run.evaluate("head", root, { overrides: change.config ?? {}, isSecretKey });
    const evaluated = { base: this.base, head };
    const sides = {
      base: await this.run.render(this.renderer, "base", evaluated),
      head: await this.run.render(this.renderer, "head", evaluated),
    };
    const report: ChangeReport = {
      schemaVersion: 1,
      status: "ok",
      project: "noetl-nats",
      stack: "kind",
      base: { ref: "origin/main", commit: "0123456789abcdef" },
      head: { commit: "fedcba9876543210", uncommitted: [] },
      ...compareSides(sides.base, sides.head, this.run.masker(sides)),
    };
    return { report, sides };
  }

  close(): void {
    this.renderer.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
