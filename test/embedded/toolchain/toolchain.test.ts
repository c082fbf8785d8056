import { execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../contract/project";
import { cachedPath, ensureTools, obtainTools, slowness, TOOLS, versionFits } from "../../../embedded/toolchain";
import { processorSlowness } from "../../../embedded/toolchain/speed";
import { estimates } from "../../../embedded/toolchain/tools";

const ETCD = TOOLS.etcd;
let dir: string;
let log: string[];

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-toolchain-"));
  log = [];
  fs.mkdirSync(path.join(dir, "bin"));
  // Nothing but what the scripts below need, so that the machine's own tools are out of sight.
  for (const name of ["sh", "cat", "sleep"]) fs.symlinkSync(path.join("/bin", name), path.join(dir, "bin", name));
  vi.stubEnv("PATH", path.join(dir, "bin"));
  vi.stubEnv("NOETL_NATS_CACHE", path.join(dir, "cache"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  fs.rmSync(dir, { recursive: true });
});

function command(name: string, script: string): string {
  const file = path.join(dir, "bin", name);
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

/** Stands in for Go's compiler, which takes minutes: as that one it writes where `-o` says, and then does `script`. */
const compiler = (script: string): string =>
  command(
    "go",
    `[ "$1" = version ] && exit 0
while [ "$1" != -o ]; do shift; done
${script.replaceAll("OUTPUT", '"$2"')}`,
  );

const ensure = async (): Promise<string> => (await ensureTools(["etcd"], (line) => log.push(line))).etcd;
const printsVersion = (version: string): string => `echo "etcd Version: ${version}"`;

it.each([
  ["3.6.4", "3.6.4", true],
  ["3.7.0", "3.6.4", true],
  ["3.6.5", "3.6.4", true],
  ["3.6.3", "3.6.4", false],
  ["3.5.9", "3.6.4", false],
  ["4.0.0", "3.6.4", false],
])("version %s where %s or newer is accepted: %s", (found, accept, fits) => {
  expect(versionFits(found, accept)).toBe(fits);
});

describe("a tool", () => {
  it("comes from PATH where its version fits, even if one was built", async () => {
    const own = command("etcd", printsVersion("3.6.9"));
    compiler("exit 1");
    fs.mkdirSync(path.dirname(cachedPath(ETCD)), { recursive: true });
    fs.writeFileSync(cachedPath(ETCD), "built");
    expect(await ensure()).toBe(own);
  });

  it("that the commands find in the cache is still found where the folder of these links is on PATH", async () => {
    const helm = cachedPath(TOOLS.helm);
    fs.mkdirSync(path.dirname(helm), { recursive: true });
    fs.writeFileSync(helm, `#!/bin/sh\necho 'v${TOOLS.helm.version.replace(/^v/, "")}+g1'\n`, { mode: 0o755 });
    const links = path.join(dir, "cache", "bin");
    vi.stubEnv("PATH", [links, process.env.PATH].join(path.delimiter));
    for (const time of ["first", "second"]) {
      expect(await ensureTools(["helm"], (line) => log.push(line)), time).toEqual({ helm });
      expect(fs.readlinkSync(path.join(links, "helm"))).toBe(helm);
    }
  });

  it.each([
    ["too old", printsVersion("3.4.23")],
    ["of the next major version", printsVersion("4.0.0")],
    ["something else of that name", "echo hello"],
    ["broken", "exit 1"],
  ])("that on PATH is %s is built instead, once", async (_, script) => {
    command("etcd", script);
    compiler("echo built > OUTPUT");
    expect(await ensure()).toBe(cachedPath(ETCD));
    expect(fs.readFileSync(cachedPath(ETCD), "utf8")).toBe("built\n");
    expect(log[0]).toMatch(/^Building etcd from Go modules, once: about \d+ s on two cores\.$/);
    expect(log.at(-1)).toMatch(/^\[1\/1\] etcd v3\.6\.4: built in \d+ s$/);
    compiler("exit 1");
    expect(await ensure()).toBe(cachedPath(ETCD));
  });

  it("cannot be built without Go: one sentence says what to do", async () => {
    await expect(ensure()).rejects.toThrow(
      /^etcd must be built, which needs Go [\d.]+ or newer on PATH: install Go \(or put the tools themselves on PATH\) and run the command again\.$/,
    );
  });

  it("that does not compile leaves nothing, and the compiler's last lines say why", async () => {
    compiler("echo half > OUTPUT; echo go: downloading x v1 >&2; echo undefined: frobnicate >&2; exit 1");
    await expect(ensure()).rejects.toThrow("building etcd v3.6.4 failed (exit code 1):\nundefined: frobnicate");
    expect(fs.readdirSync(path.join(dir, "cache", "toolchain"))).toEqual([
      path.basename(path.dirname(cachedPath(ETCD))),
    ]);
    expect(fs.readdirSync(path.dirname(cachedPath(ETCD)))).toEqual([]);
  });

  it("is built by one of two that want it at once, and the other waits", async () => {
    compiler(`echo x >> ${path.join(dir, "builds")}; sleep 1; echo built > OUTPUT`);
    expect(await Promise.all([ensure(), ensure()])).toEqual([cachedPath(ETCD), cachedPath(ETCD)]);
    expect(fs.readFileSync(path.join(dir, "builds"), "utf8")).toBe("x\n");
    expect(log).toContain("etcd: another process is building it; waiting");
  });

  it("is there as soon as it is built, whatever else is being built, which ends when it is not wanted any more", async () => {
    // Helm takes for ever.
    compiler('echo built > OUTPUT; case "$2" in */helm-*) exec sleep 60;; esac');
    const building = new AbortController();
    const pending = obtainTools(["helm", "etcd"], { log: (line) => log.push(line), signal: building.signal });
    expect(await pending.etcd).toBe(cachedPath(ETCD));
    await vi.waitFor(() => expect(log.at(-1)).toMatch(/^\[2\/2\] helm v3\.19\.5: building/), { timeout: 60_000 });
    expect(fs.existsSync(cachedPath(TOOLS.helm))).toBe(false);
    building.abort();
    await expect(pending.helm).rejects.toThrow("aborted");
    expect(fs.readdirSync(path.dirname(cachedPath(TOOLS.helm)))).toEqual([]);
  });

  it("is not built after another one that could not be", async () => {
    compiler("exit 1");
    const pending = obtainTools(["helm", "etcd"], { log: (line) => log.push(line) });
    await expect(pending.helm).rejects.toThrow("building etcd v3.6.4 failed (exit code 1)");
    await expect(pending.etcd).rejects.toThrow("building etcd v3.6.4 failed (exit code 1)");
    expect(log.filter((line) => line.includes("building (about"))).toHaveLength(1);
  });

  it("is built again after the power was cut in the middle", async () => {
    compiler("echo half > OUTPUT; exec sleep 60");
    const script = `require("./dist/embedded/toolchain").ensureTools(["etcd"])`;
    const builder = spawn(process.execPath, ["-e", script], { cwd: projectRoot(), detached: true, stdio: "ignore" });
    const folder = path.dirname(cachedPath(ETCD));
    await vi.waitFor(() => expect(fs.readdirSync(folder)).toHaveLength(1), { timeout: 60_000 });
    expect(fs.existsSync(cachedPath(ETCD))).toBe(false);
    const ended = new Promise((resolve) => builder.once("exit", resolve));
    // Its compiler too: the group is its own.
    process.kill(-(builder.pid ?? 0), "SIGKILL");
    await ended;
    compiler("echo built > OUTPUT");
    expect(fs.readFileSync(await ensure(), "utf8")).toBe("built\n");
    expect(fs.readdirSync(folder)).toEqual(["etcd"]);
  });
});

it("what is built in another way, or from other modules, is not the same build", () => {
  const other = { ...ETCD, ldflags: "-X main.version=other" };
  expect(cachedPath(other)).not.toBe(cachedPath(ETCD));
  expect(cachedPath({ ...ETCD, module: "natscli" })).not.toBe(cachedPath(ETCD));
  expect(cachedPath({ ...ETCD, changes: [{ module: "gocloud.dev" }] })).not.toBe(cachedPath(ETCD));
});

it("what shares its libraries with the API server takes less time after it, and longer without it", () => {
  const { kwok, "kube-apiserver": apiServer } = TOOLS;
  expect([...estimates([kwok])]).toEqual([["kwok", kwok.buildSeconds]]);
  expect(estimates([apiServer, kwok]).get("kwok")).toBe(kwok.secondsAfterApiServer);
  expect(kwok.secondsAfterApiServer).toBeLessThan(kwok.buildSeconds);
});

it("a lock goes with the process that holds it", async () => {
  const folder = path.join(dir, "held.lock");
  const hold = `require(${JSON.stringify(path.join(projectRoot(), "dist", "embedded", "toolchain", "lock.js"))})
    .lock(${JSON.stringify(folder)}, { name: "held" }, console.error)
    .then(() => (console.log(require("node:fs").existsSync(${JSON.stringify(folder)})), process.exit(0)));`;
  expect((await promisify(execFile)(process.execPath, ["-e", hold])).stdout).toBe("true\n");
  expect(fs.existsSync(folder)).toBe(false);
});

it("the estimates go by the processor, and by what the machine has needed so far once that says something", () => {
  expect(slowness({ estimated: 10, seconds: 90 }, 2.3)).toBe(2.3);
  expect(slowness({ estimated: 200, seconds: 300 }, 2.3)).toBe(1.5);
});

it("the processor is asked in a moment, says nearly the same each time, beside other work, too, and is of this world", () => {
  const [one, two] = [processorSlowness(), processorSlowness()];
  expect(one / two).toBeGreaterThan(0.4);
  expect(one / two).toBeLessThan(2.5);
  // Ten times as fast as the machine that the estimates are of, or as slow, has not been seen.
  expect(one).toBeGreaterThan(0.1);
  expect(one).toBeLessThan(10);
});

describe("a tool that is built with changes", () => {
  const MODULES = TOOLS.pulumi.changes.map(({ module }) => module);

  it("is built from copies of the modules, and Go's own files stay as they are", async () => {
    const original = path.join(dir, "original");
    const operations = path.join(original, "operations");
    fs.mkdirSync(operations, { recursive: true });
    fs.writeFileSync(path.join(operations, "operations_aws.go"), "theirs", { mode: 0o444 });
    for (const name of ["resources.go", "resources_test.go"])
      fs.writeFileSync(path.join(operations, name), "theirs", { mode: 0o444 });
    // The copy is looked at while there is one.
    command(
      "go",
      `case "$1 $2" in "version "*) exit 0;; "mod download") echo '{"Dir": "${original}"}'; exit 0;; esac
for arg in "$@"; do case "$arg" in -modfile=*) modfile="\${arg#-modfile=}";; esac; done
cat "$modfile" > ${dir}/modfile
copy="\${modfile%/go.mod}/github.com/pulumi/pulumi/pkg/v3/operations"
ls "$copy" > ${dir}/copied; cat "$copy/operations_aws.go" > ${dir}/replaced; cat "$copy/resources.go" > ${dir}/kept
while [ "$1" != -o ]; do shift; done
echo built > "$2"`,
    );
    const { pulumi } = await ensureTools(["pulumi"], (line) => log.push(line));
    expect(fs.readFileSync(pulumi, "utf8")).toBe("built\n");
    const replaced = fs
      .readFileSync(path.join(dir, "modfile"), "utf8")
      .split("\n")
      .slice(-1 - MODULES.length);
    expect(replaced.map((line) => line.split(" ")[1])).toEqual([...MODULES, undefined]);
    expect(fs.readFileSync(path.join(dir, "replaced"), "utf8")).toContain("this build of Pulumi leaves AWS out");
    expect(fs.readFileSync(path.join(dir, "kept"), "utf8")).toBe("theirs");
    expect(fs.readFileSync(path.join(dir, "copied"), "utf8")).not.toContain("_test.go");
    expect(fs.readFileSync(path.join(operations, "operations_aws.go"), "utf8")).toBe("theirs");
    expect(fs.readdirSync(path.dirname(pulumi))).toEqual(["pulumi"]);
  });

  const go = (original: string): string =>
    command(
      "go",
      `case "$1 $2" in "version "*) exit 0;; "mod download") echo '{"Dir": "${original}"}'; exit 0;; esac
for arg in "$@"; do case "$arg" in -modfile=*) m="\${arg#-modfile=}";; esac; done
cat "\${m%/go.mod}/sigs.k8s.io/kwok/a.go" > ${dir}/renamed
while [ "$1" != -o ]; do shift; done
echo built > "$2"`,
    );

  it("says why a module cannot be had, in Go's words", async () => {
    command("go", `[ "$1" = version ] && exit 0; echo '{"Path": "gocloud.dev", "Error": "403 Forbidden"}'; exit 1`);
    await expect(ensureTools(["kwok"], () => undefined)).rejects.toThrow(
      "the Go module sigs.k8s.io/kwok cannot be had: 403 Forbidden",
    );
  });

  it("has another name where a library has renamed something, and fails where there is nothing to rename", async () => {
    const { from, to } = TOOLS.kwok.changes[0].renamed;
    const original = path.join(dir, "original");
    fs.mkdirSync(original);
    go(original);
    fs.writeFileSync(path.join(original, "a.go"), "nothing");
    await expect(ensureTools(["kwok"], () => undefined)).rejects.toThrow(
      `sigs.k8s.io/kwok does not name ${from} any more: remove that change`,
    );
    fs.writeFileSync(path.join(original, "a.go"), `x.${from}`);
    await ensureTools(["kwok"], () => undefined);
    expect(fs.readFileSync(path.join(dir, "renamed"), "utf8")).toBe(`x.${to}`);
  });
});
