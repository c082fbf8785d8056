import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { checkout, revisions } from "../../../commands/diff/git";
import { git, temporaryFolder } from "./support";

let folder: string;
let repository: string;
let count = 0;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  repository = path.join(folder, `repository ${++count}`);
  fs.mkdirSync(repository);
  git(repository, "init", "-q", "-b", "main");
  commit({ "Pulumi.yaml": "name: tiny\n", "a.txt": "base\n", "außer/mit leer.txt": "base\n" });
});
afterEach(() => vi.unstubAllEnvs());

function commit(files: Readonly<Record<string, string>>, at = repository): void {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(at, name)), { recursive: true });
    fs.writeFileSync(path.join(at, name), text);
  }
  git(at, "add", "-A");
  git(at, "commit", "-qm", "a commit");
}

/** The base of a project as it is compared, and what is said of it. */
async function base(
  project: string,
  revision = "main",
): Promise<{ files: Record<string, string>; said: readonly string[] }> {
  const found = await revisions(fs.realpathSync(project), revision);
  const { project: written, notes: said } = await checkout(found, path.join(folder, `base-${++count}`));
  const names = fs.readdirSync(written, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => fs.statSync(path.join(written, name)).isFile());
  return {
    files: Object.fromEntries(files.map((name) => [name, fs.readFileSync(path.join(written, name), "utf8")])),
    said,
  };
}

const BASE = { "Pulumi.yaml": "name: tiny\n", "a.txt": "base\n", "außer/mit leer.txt": "base\n" };

/** Goes on from the base: one file has another text, another one another name. */
function change(at = repository): void {
  git(at, "checkout", "-q", "-b", "change");
  git(at, "mv", "außer/mit leer.txt", "anders.txt");
  commit({ "a.txt": "change\n" }, at);
}

describe("the base is written as it was committed", () => {
  it("with files that have another name since, and nothing is left in the repository", async () => {
    change();
    fs.appendFileSync(path.join(repository, "a.txt"), "uncommitted\n");
    const state = () => [
      git(repository, "status", "-s"),
      git(repository, "worktree", "list"),
      git(repository, "stash", "list"),
    ];
    const before = state();
    expect(await base(repository)).toEqual({ files: BASE, said: [] });
    expect(state()).toEqual(before);
  });

  it("from a folder below the root, a detached head, and a worktree", async () => {
    commit({ "unter ö/Pulumi.yaml": "name: below\n" });
    change();
    git(repository, "checkout", "-q", "--detach");
    expect((await base(path.join(repository, "unter ö"))).files).toEqual({ "Pulumi.yaml": "name: below\n" });
    const worktree = path.join(folder, "work tree");
    git(repository, "worktree", "add", "-q", worktree, "change");
    expect((await base(worktree)).files["a.txt"]).toBe("base\n");
  });

  it("from a clone that is shallow, but deep enough", async () => {
    change();
    const shallow = path.join(folder, "shallow");
    git(folder, "clone", "-q", "--depth", "2", "--no-single-branch", `file://${repository}`, shallow);
    expect((await base(shallow, "origin/main")).files).toEqual(BASE);
  });

  it("from a clone that has fetched only the files of its head", async () => {
    commit({ "a.txt": "of the base alone\n" });
    change();
    git(repository, "config", "uploadpack.allowFilter", "true");
    const partial = path.join(folder, "partial");
    git(folder, "clone", "-q", "--filter=blob:none", `file://${repository}`, partial);
    expect((await base(partial, "origin/main")).files).toEqual({ ...BASE, "a.txt": "of the base alone\n" });
  });

  it("whole, where the working tree holds a part of the files, whatever the caller's git is set to", async () => {
    change();
    git(repository, "sparse-checkout", "set", "anders");
    const hooks = path.join(folder, "hooks");
    fs.mkdirSync(hooks);
    for (const hook of ["post-checkout", "post-index-change"]) {
      fs.writeFileSync(path.join(hooks, hook), `#!/bin/sh\necho ran > ${hooks}/ran\n`, { mode: 0o755 });
    }
    git(repository, "config", "core.hooksPath", hooks);
    git(repository, "config", "core.splitIndex", "true");
    git(repository, "config", "submodule.recurse", "true");
    expect((await base(repository)).files).toEqual(BASE);
    expect(fs.existsSync(path.join(hooks, "ran"))).toBe(false);
  });

  it("with its submodules as they were, and says which have not been fetched", async () => {
    const library = path.join(folder, "library");
    fs.mkdirSync(library);
    git(library, "init", "-q", "-b", "main");
    commit({ "chart/Chart.yaml": "version: 1\n" }, library);
    const allowed = ["-c", "protocol.file.allow=always"];
    git(repository, ...allowed, "submodule", "--quiet", "add", library, "charts/library");
    git(repository, "commit", "-qm", "a submodule");
    commit({ "chart/Chart.yaml": "version: 2\n" }, library);
    change();
    git(path.join(repository, "charts/library"), ...allowed, "pull", "-q");
    git(repository, "commit", "-qam", "a newer submodule");
    const { files, said } = await base(repository);
    expect(files["charts/library/chart/Chart.yaml"]).toBe("version: 1\n");
    expect(said).toEqual([]);

    const clone = path.join(folder, "without submodules");
    git(folder, "clone", "-q", repository, clone);
    const without = await base(clone, "origin/main");
    expect(without.files["a.txt"]).toBe("base\n");
    expect(without.said).toEqual([
      "submodule charts/library is not there at the base's commit, so the base is compared without it; " +
        "git submodule update --init fetches one that is set up",
    ]);
  });

  it("below the root, where a submodule elsewhere is none of the project's, and one that is not set up is not asked", async () => {
    const library = path.join(folder, "other library");
    fs.mkdirSync(library);
    git(library, "init", "-q", "-b", "main");
    commit({ "a.txt": "1\n" }, library);
    const allowed = ["-c", "protocol.file.allow=always"];
    for (const name of ["elsewhere", "project/charts"])
      git(repository, ...allowed, "submodule", "--quiet", "add", library, name);
    commit({ "project/Pulumi.yaml": "name: below\n" });
    change();
    git(repository, "config", "uploadpack.allowFilter", "true");
    const clone = path.join(folder, "partial without submodules");
    git(folder, "clone", "-q", "--filter=blob:none", `file://${repository}`, clone);
    git(clone, "cat-file", "blob", "origin/main:a.txt");
    const trace = path.join(folder, "submodule trace");
    vi.stubEnv("GIT_TRACE", trace);
    const { said } = await base(path.join(clone, "project"), "origin/main");
    expect(said).toEqual([expect.stringMatching(/^submodule project\/charts is not there /)]);
    const commitOfIt = git(library, "rev-parse", "HEAD").trim();
    expect(fs.readFileSync(trace, "utf8")).not.toContain(commitOfIt);
  });
});

describe("the caller's repository stays as it is", () => {
  it("with what is only staged, in a clone that fetches files late and would tidy up then", async () => {
    commit({ "a.txt": "of the base alone\n" });
    change();
    git(repository, "config", "uploadpack.allowFilter", "true");
    const partial = path.join(folder, "partial with staged files");
    git(folder, "clone", "-q", "--filter=blob:none", `file://${repository}`, partial);
    for (const setting of [
      ["gc.autoPackLimit", "1"],
      ["gc.autoDetach", "false"],
      ["maintenance.autoDetach", "false"],
    ])
      git(partial, "config", ...setting);
    fs.writeFileSync(path.join(partial, "staged.txt"), "staged only\n");
    git(partial, "add", "staged.txt");
    const blob = git(partial, "rev-parse", ":staged.txt").trim();
    const object = path.join(partial, ".git/objects", blob.slice(0, 2), blob.slice(2));
    const threeWeeksAgo = Date.now() / 1000 - 21 * 24 * 3600;
    fs.utimesSync(object, threeWeeksAgo, threeWeeksAgo);
    const trace = path.join(folder, "partial trace");
    vi.stubEnv("GIT_TRACE", trace);
    expect((await base(partial, "origin/main")).files["a.txt"]).toBe("of the base alone\n");
    vi.unstubAllEnvs();
    const ran = fs.readFileSync(trace, "utf8");
    expect(ran).toMatch(/ fetch /);
    expect(ran).not.toMatch(/: git (gc|maintenance)\b|run_command: .*\b(gc|maintenance) /);
    expect(git(partial, "cat-file", "blob", blob)).toBe("staged only\n");
  });

  it("in every file of its own, without a start of the program that watches files for git", async () => {
    change();
    const watcher = path.join(folder, "watcher");
    const ran = path.join(folder, "watcher ran");
    fs.writeFileSync(watcher, `#!/bin/sh\necho ran >> '${ran}'\nexit 1\n`, { mode: 0o755 });
    git(repository, "config", "core.splitIndex", "true");
    git(repository, "update-index", "--split-index");
    git(repository, "config", "core.fsmonitor", watcher);
    const listing = (): string[] =>
      fs
        .readdirSync(path.join(repository, ".git"), { recursive: true, encoding: "utf8" })
        .map((name) => [name, fs.statSync(path.join(repository, ".git", name))] as const)
        .map(([name, found]) => `${name} ${found.isFile() ? found.size : "folder"}`)
        .sort();
    const before = listing();
    expect(before.some((name) => name.startsWith("sharedindex."))).toBe(true);
    expect((await base(repository)).files).toEqual(BASE);
    expect(listing()).toEqual(before);
    expect(fs.existsSync(ran)).toBe(false);
  });
});

describe("what keeps git from it is said with the way out", () => {
  const failure = (...args: Parameters<typeof base>): Promise<string> =>
    base(...args).then(
      () => "",
      (error: Error) => error.message,
    );

  it("no git", async () => {
    vi.stubEnv("PATH", path.join(folder, "nothing"));
    expect(await failure(repository)).toMatch(
      /^git is not on PATH: install it \(https:\/\/git-scm\.com\/downloads\)\.$/,
    );
  });

  it("a repository of somebody else", async () => {
    vi.stubEnv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
    vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
    const said = await failure(repository);
    expect(said).toContain("since it belongs to somebody else");
    expect(said).toContain(`git config --global --add safe.directory '${fs.realpathSync(repository)}'.`);
  });

  it("a history that has nothing in common with it", async () => {
    git(repository, "checkout", "-q", "--orphan", "other");
    git(repository, "commit", "-qm", "another beginning");
    expect(await failure(repository)).toMatch(/^--base main: shares no commit with HEAD; name a revision /);
  });

  it("a project that is not there yet", async () => {
    git(repository, "checkout", "-q", "-b", "change");
    commit({ "new/Pulumi.yaml": "name: new\n" });
    expect(await failure(path.join(repository, "new"))).toMatch(/holds no Pulumi project in new\/; name a later one/);
  });
});
