import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../contract/project";
import type { Change, Tool } from "./tools";

/** Files of ours that take the place of a module's own, by the path by which Go imports them. */
const OURS = path.join(projectRoot(), "embedded", "toolchain", "without-clouds");

const filesBelow = (folder: string): string[] =>
  fs.existsSync(folder)
    ? fs
        .readdirSync(folder, { recursive: true, encoding: "utf8" })
        .map((name) => path.join(folder, name))
        .filter((file) => fs.statSync(file).isFile())
        .sort()
    : [];

/** What makes a build with changes another build: the changes, and the content of the files that they bring. */
export const changesOf = ({ changes = [] }: Tool): string =>
  JSON.stringify(
    changes.map((change) => [
      change,
      filesBelow(path.join(OURS, change.module)).map((file) => fs.readFileSync(file, "utf8")),
    ]),
  );

interface Places {
  /** Folder of the Go module that the tool is built from. */
  readonly module: string;
  /** Folder to be made for what the build needs beside it. */
  readonly sources: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
}

/**
 * The arguments by which Go builds a tool with its changes: none where it has none.
 *
 * Where Go keeps the sources of modules nothing is changed: what changes is copied; where files of ours have a go.mod, they are the
 * whole module.
 *
 * @throws Error with Go's message where a module cannot be had, or in one sentence where a change does not fit it.
 */
export async function withChanges({ changes = [] }: Tool, places: Places): Promise<string[]> {
  if (changes.length === 0) return [];
  const { module, sources } = places;
  fs.mkdirSync(sources, { recursive: true });
  const replaced = await Promise.all(
    changes.map(async (change) => `replace ${change.module} => ${JSON.stringify(await changed(change, places))}\n`),
  );
  const modfile = path.join(sources, "go.mod");
  fs.writeFileSync(modfile, `${fs.readFileSync(path.join(module, "go.mod"), "utf8")}\n${replaced.join("")}`);
  fs.copyFileSync(path.join(module, "go.sum"), path.join(sources, "go.sum"));
  return [`-modfile=${modfile}`];
}

/** What no program is built from: of the engine's module nine tenths of the files. */
const OF_TESTS = /(?:^|\/)testdata\/|_test\.go$/;

/** Folder with the module as it is built. */
async function changed(change: Change, { module, sources, env, signal }: Places): Promise<string> {
  const ours = path.join(OURS, change.module);
  if (fs.existsSync(path.join(ours, "go.mod"))) return ours;
  const original = await downloaded(change.module, { module, env, signal });
  const copy = path.join(sources, change.module);
  const { from, to } = change.renamed ?? { from: "", to: "" };
  let renamed = 0;
  for (const folder of [original, ours]) {
    for (const file of filesBelow(folder)) {
      if (OF_TESTS.test(path.relative(folder, file))) continue;
      let content: Buffer | string = fs.readFileSync(file);
      if (from && file.endsWith(".go") && content.includes(from)) {
        content = content.toString("utf8").replaceAll(from, to);
        renamed++;
      }
      const target = path.join(copy, path.relative(folder, file));
      fs.mkdirSync(path.dirname(target), { recursive: true });
      // Not copied as it is: Go keeps its files read-only.
      fs.writeFileSync(target, content);
    }
  }
  if (from && renamed === 0) throw new Error(`${change.module} does not name ${from} any more: remove that change`);
  return copy;
}

/** Folder in which Go keeps a module. */
async function downloaded(name: string, { module, env, signal }: Omit<Places, "sources">): Promise<string> {
  const go = promisify(execFile)("go", ["mod", "download", "-json", name], { cwd: module, env, signal });
  const { stdout, stderr } = await go.catch((error: Error & { stdout?: string; stderr?: string }) => {
    if (error.stdout === undefined || signal?.aborted) throw error;
    return { stdout: error.stdout, stderr: error.stderr ?? "" };
  });
  // Go says in its answer why there is none.
  const { Dir, Error: reason } = JSON.parse(stdout || "{}") as { Dir?: string; Error?: string };
  if (Dir === undefined) throw new Error(`the Go module ${name} cannot be had: ${reason ?? stderr.trim()}`);
  return Dir;
}
