/**
 * What a folder holds of NoETL: which release, and the tag of an image that is built of it. The tag tells the commit, and where
 * files differ from it also their content, so that every change gives another image to the pods.
 */
import { createHash, type Hash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { GATEWAY_WITHOUT_NATS, isOlder, lineOfImage, versionText, type Version } from "../../contract/lines";
import { quoted } from "../doctor/text";
import { missingBinary, onPath } from "../shared/binaries";
import { foreignRepository, gitEnvironment } from "../shared/git";
import type { Part } from "./parts";
import { run } from "./programs";

export interface Checkout {
  /** Absolute path. */
  readonly folder: string;
  /** Reference of the image that is built of it. */
  readonly image: string;
  /** What it is, for people: `NoETL 2.8.9, commit 0123456789ab with changes`. */
  readonly description: string;
}

/** A checkout, or what is wrong with it; at least one of the two. */
export interface Looked {
  readonly checkout?: Checkout;
  readonly problems: readonly string[];
}

const GIT_SECONDS = 30;
/** Characters of a commit and of a content's digest in a tag. */
const DIGITS = 12;

/** Reads a checkout. `shown` is the folder as the user named it. Changes nothing. */
export async function lookAt(part: Part, folder: string, shown: string): Promise<Looked> {
  // git clones into no folder that holds something.
  const place = hasContent(folder) ? `${part.example}-${part.release}` : shown;
  const example = `for example: git clone --branch ${part.release} ${part.source} ${quoted(place)}`;
  if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    return { problems: [`${shown} is not a folder: it must be a git checkout of ${part.title}; ${example}`] };
  const problems = [...manifestProblems(part, folder, shown), ...dockerfileProblems(part, folder, shown)];
  if (onPath("git") === undefined) return { problems: [...problems, missingBinary("git")] };
  const state = await gitState(folder);
  if (typeof state === "string") {
    const why = foreignRepository(state) ?? `${shown} is not a git checkout of its own: ${state}; ${example}`;
    return { problems: [...problems, why] };
  }
  const version = releaseIn(part, folder, state.tags);
  problems.push(...releaseProblems(part, { folder, shown, version }));
  const tag = tagOf(version, state);
  const known = version === undefined ? `${part.title} of unknown release` : `${part.title} ${versionText(version)}`;
  const description = `${known}, commit ${state.commit}${state.content === undefined ? "" : " with changes"}`;
  return { checkout: { folder, image: `${part.repository}:${tag}`, description }, problems };
}

const hasContent = (folder: string): boolean =>
  fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true && fs.readdirSync(folder).length > 0;

/** Tag of an image: release, commit, and the content where files differ from the commit. The release leads, as the contract reads it. */
const tagOf = (version: Version | undefined, { commit, content }: Pick<GitState, "commit" | "content">): string =>
  [version && `v${versionText(version)}`, commit, content].filter((each) => each !== undefined).join("-");

/** Value of a key in a table of a TOML file, where it is a text on its line. */
function tomlText(text: string, table: string, key: string): string | undefined {
  const body = text.split(/^[ \t]*\[/m).find((each) => each.startsWith(`${table}]`));
  return RegExp(`^[ \\t]*${key}[ \\t]*=[ \\t]*["']([^"'\\n]*)["']`, "m").exec(body ?? "")?.[1];
}

const read = (folder: string, file: string): string | undefined => {
  const full = path.join(folder, file);
  return fs.statSync(full, { throwIfNoEntry: false })?.isFile() ? fs.readFileSync(full, "utf8") : undefined;
};

function manifestProblems({ title, manifest }: Part, folder: string, shown: string): string[] {
  const { file, table, name } = manifest;
  const text = read(folder, file);
  if (text === undefined) return [`${shown} is not a checkout of ${title}: it has no ${file}`];
  const found = tomlText(text, table, "name");
  return found === name
    ? []
    : [`${shown} is not a checkout of ${title}: ${file} names the project ${found ?? "not at all"}, not ${name}`];
}

const dockerfileProblems = ({ dockerfile }: Part, folder: string, shown: string): string[] =>
  read(folder, dockerfile) === undefined ? [`${shown} has no ${dockerfile}, which the image is built by`] : [];

function parseVersion(text: string | undefined): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text ?? "") ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

/** The release of the tag that the commit has, else the one in the manifest; undefined where neither tells. */
function releaseIn({ manifest }: Part, folder: string, tags: readonly string[]): Version | undefined {
  const tag = tags.find((each) => /^v?\d+\.\d+\.\d+$/.test(each));
  return parseVersion(tag ?? tomlText(read(folder, manifest.file) ?? "", manifest.table, "version"));
}

/** Why a release cannot run here, with one that can. */
function releaseProblems(part: Part, at: { folder: string; shown: string; version: Version | undefined }): string[] {
  const { folder, shown, version } = at;
  const example = `for example: git -C ${quoted(shown)} checkout ${part.release}`;
  const release = version === undefined ? "of unknown release" : versionText(version);
  if (part.setting === "noetlImage") {
    const isServer = version === undefined || lineOfImage(`${part.repository}:v${release}`) !== undefined;
    return isServer ? [] : [`${shown} is NoETL ${release}, which has no server and workers in Python; ${example}`];
  }
  // Between two releases the manifest still has the number of the last one, but no client of NATS any more.
  const hasClient = /^[ \t]*async-nats\b/m.test(read(folder, part.manifest.file) ?? "");
  const isAfter = version !== undefined && !isOlder(version, GATEWAY_WITHOUT_NATS);
  return isAfter || !hasClient
    ? [
        `${shown} is the gateway ${release}, which does not use NATS any more (since ${versionText(GATEWAY_WITHOUT_NATS)}) ` +
          `and would end at its start; ${example}`,
      ]
    : [];
}

interface GitState {
  readonly commit: string;
  readonly tags: readonly string[];
  /** Digest of the files that differ from the commit; undefined where none does. Files that git ignores do not count. */
  readonly content?: string;
}

/** Commit, tags and changes of a work tree; a text says why there is none. */
async function gitState(folder: string): Promise<GitState | string> {
  const git = (...args: string[]) =>
    run({
      command: "git",
      // A program that watches the files for git is not one to start for a look.
      args: ["--no-optional-locks", "-c", "core.fsmonitor=false", "-C", folder, ...args],
      env: gitEnvironment(),
      deadlineSeconds: GIT_SECONDS,
    });
  const [top, head, tags, status] = await Promise.all([
    git("rev-parse", "--show-toplevel"),
    git("rev-parse", "--verify", "HEAD"),
    git("tag", "--points-at", "HEAD"),
    git("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=none"),
  ]);
  if (!head.ok && head.said.includes("Needed a single revision")) return "it has no commit yet";
  for (const each of [top, head, tags, status])
    if (!each.ok) return each.said.split("\n")[0]?.replace(/^fatal: /, "") || `git ${each.why}`;
  const [topFolder, commit, tagLines, changes] = [top, head, tags, status].map((each) =>
    each.ok ? each.stdout.replace(/\n$/, "") : "",
  );
  if (topFolder === undefined || commit === undefined || changes === undefined) return "git says nothing";
  if (fs.realpathSync(topFolder) !== fs.realpathSync(folder)) return `its work tree begins at ${topFolder}`;
  const content = contentOf(folder, changes);
  return {
    commit: commit.slice(0, DIGITS),
    tags: (tagLines ?? "").split("\n"),
    content,
  };
}

/** Digest of the files that `git status --porcelain -z` names, whatever it says of each: staging one changes nothing. */
function contentOf(folder: string, status: string): string | undefined {
  const files = status.split("\0").flatMap((entry) => entry.slice(3) || []);
  if (files.length === 0) return undefined;
  const hash = createHash("sha256");
  for (const file of files.sort()) addTo(hash, folder, file);
  return hash.digest("hex").slice(0, DIGITS);
}

/** Adds name, kind and content of a file to a digest; of a folder, which a submodule is, all that is in it. */
function addTo(hash: Hash, folder: string, file: string): void {
  const full = path.join(folder, file);
  const found = fs.lstatSync(full, { throwIfNoEntry: false });
  const add = (kind: string, content: string | Buffer): unknown =>
    hash.update(`${file}\0${kind}\0${content.length}\0`).update(content);
  if (found === undefined) add("gone", "");
  else if (found.isSymbolicLink()) add("link", fs.readlinkSync(full));
  else if (found.isDirectory()) {
    const inside = fs.readdirSync(full).filter((name) => name !== ".git");
    for (const name of inside.sort()) addTo(hash, folder, path.join(file, name));
  } else if (found.isFile()) {
    hash.update(`${file}\0${found.mode & 0o100 ? "program" : "file"}\0${found.size}\0`);
    addContent(hash, full);
  }
}

const PIECE_BYTES = 1024 * 1024;

/** Adds what a file holds, piece by piece: it may be larger than what can be read at once. */
function addContent(hash: Hash, file: string): void {
  const handle = fs.openSync(file, "r");
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let read = fs.readSync(handle, piece); read > 0; read = fs.readSync(handle, piece))
      hash.update(piece.subarray(0, read));
  } finally {
    fs.closeSync(handle);
  }
}
