import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { exitOf, type Checklist, type LineStatus } from "../../../commands/doctor/checklist";
import { PARTS, CLUSTER, CONTEXT, STACK, type PartName } from "../../../commands/kind/parts";
import { DEADLINES, redeploy } from "../../../commands/kind/redeploy";
import { run } from "../../../commands/kind/programs";
import { lookAt } from "../../../commands/kind/checkout";
import { CommandError, EXIT, type ExitName } from "../../../commands/shared/exit";
import { lineOfImage } from "../../../contract/lines";
import { projectRoot } from "../../../contract/project";
import { GATEWAY_FILES, Machine, NOETL_FILES, PASSWORD, type Checkout } from "./machine";

let machine: Machine;
let said: string[];

beforeEach(() => begin());
afterEach(() => {
  vi.unstubAllEnvs();
  machine.dispose();
});

/** Another machine, whose programs are the only ones. */
function begin(stack?: Readonly<Record<string, string>> | null): void {
  vi.unstubAllEnvs();
  machine?.dispose();
  machine = new Machine(stack);
  said = [];
  vi.stubEnv("PATH", machine.bin);
  vi.stubEnv("NOETL_NATS_CACHE", path.join(machine.home, "cache"));
}

const found = (status: LineStatus): Checklist => ({
  stack: STACK,
  cluster: "https://127.0.0.1:6443",
  lines: [{ section: "Stream", item: "NOETL_COMMANDS", status, found: "limits" }],
  slow: [],
  holds: status === "ok",
});

interface Course {
  readonly signal?: AbortSignal;
  readonly status?: LineStatus;
}

/** Runs the command as a user does, but for the checklist, which asks a cluster. */
function command(part: PartName, folder: string, { signal, status = "ok" }: Course = {}): Promise<ExitName> {
  return redeploy(
    PARTS[part],
    { folder, shown: path.basename(folder) },
    {
      say: (line) => said.push(line),
      signal: signal ?? new AbortController().signal,
      look: () => Promise.resolve(found(status)),
    },
  );
}

/** The failure of the command. */
async function failure(part: PartName, folder: string, course: Course = {}): Promise<CommandError> {
  const outcome = await command(part, folder, course).catch((error: unknown) => error);
  if (!(outcome instanceof CommandError)) throw new Error(`no failure for the user: ${String(outcome)}`);
  return outcome;
}

const noetl = (version?: string): Checkout => machine.checkout("noetl", NOETL_FILES(version));
const gateway = (version?: string, client?: string): Checkout =>
  machine.checkout("gateway", GATEWAY_FILES(version, client));
/** Calls that change something, as lines. */
const steps = (): string[] =>
  machine
    .calls()
    .map(({ program, args }) => [program, ...args].join(" "))
    .filter((line) => !/^(docker version|kind get|kubectl get --raw|pulumi --non-interactive)/.test(line));
const image = (): string => String(machine.stack().noetlImage);
/** What runs on this machine: arguments of each process, with NUL between them. */
const commandLines = (): string[] =>
  fs.readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [fs.readFileSync(`/proc/${pid}/cmdline`, "utf8")] : [];
    } catch {
      return [];
    }
  });

describe("a checkout of NoETL", () => {
  it("is built, loaded, set, deployed, and looked at, in this order", async () => {
    const checkout = noetl();
    const commit = checkout.git("rev-parse", "HEAD").slice(0, 12);
    expect(await command("noetl", checkout.folder)).toBe("ok");
    const built = `noetl-local:v2.8.9-${commit}`;
    const at = "--context kind-noetl --namespace noetl";
    expect(steps()).toEqual([
      `docker build --tag ${built} --file ${checkout.folder}/docker/noetl/dev/Dockerfile ${checkout.folder}`,
      `kind load docker-image ${built} --name noetl`,
      `pulumi config set-all --stack kind --non-interactive --plaintext noetl-nats:noetlImage=${built}`,
      "pulumi up --yes --skip-preview --stack kind --non-interactive",
      `kubectl rollout status deployment/noetl-server ${at}`,
      `kubectl get pods --selector app=noetl-server --output json ${at}`,
      `kubectl rollout status deployment/noetl-worker ${at}`,
      `kubectl get pods --selector app=noetl-worker --output json ${at}`,
    ]);
    expect(said.join("\n")).toMatch(/noetl is NoETL 2\.8\.9, commit/);
    expect(said.filter((line) => /\(at most \d+ (min|s)\)/.test(line))).toHaveLength(8);
    expect(said.at(-1)).toContain("Everything holds.");
  });

  it("gets another tag after every change, and the pods run it", async () => {
    const checkout = noetl();
    const tags: string[] = [];
    const next = async (): Promise<void> => {
      expect(await command("noetl", checkout.folder)).toBe("ok");
      tags.push(image());
      expect((machine.read("deployed") as Record<string, string>)["noetl-nats:noetlImage"]).toBe(image());
    };
    await next();
    checkout.write("noetl/server.py", "edited = 1\n");
    await next();
    checkout.write("noetl/server.py", "edited = 2\n");
    await next();
    checkout.write("noetl/new file.py", "pass\n");
    await next();
    fs.chmodSync(path.join(checkout.folder, "noetl/server.py"), 0o755);
    await next();
    fs.rmSync(path.join(checkout.folder, "noetl/server.py"));
    await next();
    checkout.commit();
    await next();
    expect(new Set(tags).size).toBe(7);
    expect(machine.read("loaded")).toEqual(tags);
    // Seven runs with a dozen programs each.
  }, 120_000);

  it("gets another tag after a change in a submodule that git is told to ignore, and in a large file", async () => {
    const library = machine.checkout("library", { "a.py": "1\n" });
    const checkout = noetl();
    checkout.git("clone", "--quiet", library.folder, "vendor");
    checkout.git("config", "advice.addEmbeddedRepo", "false");
    checkout.write(".gitmodules", '[submodule "vendor"]\npath = vendor\nurl = ../library\nignore = all\n');
    checkout.commit();
    const tags: (string | undefined)[] = [];
    const next = async () => tags.push((await lookAt(PARTS.noetl, checkout.folder, "noetl")).checkout?.image);
    await next();
    checkout.write("vendor/a.py", "2\n");
    await next();
    for (const last of ["x", "y"]) {
      checkout.write("data.bin", "0".repeat(3 * 1024 * 1024) + last);
      await next();
    }
    expect(new Set(tags).size).toBe(4);
  });

  it("is looked at without a start of the program that watches its files for git", async () => {
    const checkout = noetl();
    const ran = `${checkout.folder}-watched`;
    fs.writeFileSync(`${ran}.sh`, `#!/bin/sh\necho ran >> '${ran}'\nexit 1\n`, { mode: 0o755 });
    checkout.git("config", "core.fsmonitor", `${ran}.sh`);
    expect((await lookAt(PARTS.noetl, checkout.folder, "noetl")).problems).toEqual([]);
    expect(fs.existsSync(ran)).toBe(false);
  });

  it("has the same tag where nothing that git follows has changed", async () => {
    const checkout = noetl();
    checkout.write("noetl/server.py", "edited = 1\n");
    await command("noetl", checkout.folder);
    const first = image();
    checkout.write("debug.log", "ignored\n");
    checkout.git("add", "--all");
    await command("noetl", checkout.folder);
    expect(image()).toBe(first);
    expect(first).toMatch(/^noetl-local:v2\.8\.9-[0-9a-f]{12}-[0-9a-f]{12}$/);
  });

  it.each([
    ["2.8.9", "2.8"],
    ["2.102.0", "2.10"],
    ["4.26.0", "4.7"],
  ])("of release %s is one of line %s to the contract", async (version, line) => {
    await command("noetl", noetl(version).folder);
    expect(lineOfImage(image())?.line).toBe(line);
  });

  it("has the release of its commit's tag, which counts more than what a file says", async () => {
    const checkout = noetl("0.0.1");
    checkout.git("tag", "v2.10.6");
    await command("noetl", checkout.folder);
    expect(image()).toMatch(/^noetl-local:v2\.10\.6-/);
  });

  it("of unknown release is built all the same, and says so", async () => {
    const checkout = machine.checkout("noetl", {
      ...NOETL_FILES(),
      "pyproject.toml": '[project]\nname = "noetl"\ndynamic = ["version"]\n',
    });
    expect(await command("noetl", checkout.folder)).toBe("ok");
    expect(image()).toMatch(/^noetl-local:[0-9a-f]{12}$/);
    expect(said.join("\n")).toContain("NoETL of unknown release");
  });

  it("makes the stack where there is none, before it builds", async () => {
    begin(null);
    expect(await command("noetl", noetl().folder)).toBe("ok");
    expect(steps().slice(0, 2)).toEqual([
      "pulumi stack select --create kind --non-interactive",
      expect.stringMatching(/^docker build/),
    ]);
  });
});

describe("a stack that is made", () => {
  it("is looked at before anything is built: its file may hold what is refused, or another cluster", async () => {
    begin(null);
    machine.file({ kubeContext: "kind-other", deployNoetl: "false" });
    const { message, exit } = await failure("noetl", noetl().folder);
    expect(exit).toBe("usage");
    expect(message).toMatch(/cannot begin, and has made the stack kind and nothing else:\n {2}- .*deployNoetl true/);
    expect(message).toContain("stack kind deploys to kind-other, and the image is for kind-noetl");
    expect(steps()).toEqual(["pulumi stack select --create kind --non-interactive"]);
  });
});

describe("a checkout of the gateway", () => {
  it("is built, loaded and deployed, with the gateway switched on", async () => {
    const checkout = gateway();
    expect(await command("gateway", checkout.folder)).toBe("ok");
    const built = machine.stack().gatewayImage;
    expect(built).toMatch(/^noetl-gateway:v2\.14\.1-[0-9a-f]{12}$/);
    expect(machine.stack().deployGateway).toBe("true");
    const at = "--context kind-noetl --namespace gateway";
    expect(steps()).toEqual([
      `docker build --tag ${built} --file ${checkout.folder}/Dockerfile ${checkout.folder}`,
      `kind load docker-image ${built} --name noetl`,
      `pulumi config set-all --stack kind --non-interactive --plaintext noetl-nats:gatewayImage=${built} ` +
        "--plaintext noetl-nats:deployGateway=true",
      "pulumi up --yes --skip-preview --stack kind --non-interactive",
      `kubectl rollout status deployment/gateway ${at}`,
      `kubectl get pods --selector app=gateway --output json ${at}`,
    ]);
  });

  it.each([
    ["3.7.1", 'async-nats = "0.38"\n'],
    ["3.7.0", ""],
  ])("of a release that has left NATS is refused (%s, client %j), with one that works", async (version, client) => {
    const { message, exit } = await failure("gateway", gateway(version, client).folder);
    expect(message).toMatch(/does not use NATS any more .*git -C gateway checkout v2\.14\.1/);
    expect([exit, steps()]).toEqual(["usage", []]);
  });
});

describe("what is missing", () => {
  it("is named all at once, with where to get it, and nothing is changed", async () => {
    for (const program of ["docker", "kind", "kubectl", "pulumi"]) machine.remove(program);
    const { message, exit } = await failure("noetl", path.join(machine.home, "nowhere"));
    expect(exit).toBe("usage");
    for (const program of ["docker", "kind", "kubectl", "pulumi"])
      expect(message).toMatch(RegExp(`${program} is not on PATH: install it \\(https://`));
    expect(message).toMatch(/nowhere is not a folder: .* git clone --branch v2\.8\.9 https/);
  });

  it.each(["docker", "kind", "kubectl", "pulumi", "git"])("%s alone", async (program) => {
    const { folder } = noetl();
    machine.remove(program);
    const { message, exit } = await failure("noetl", folder);
    expect(message.split("\n  - ")).toHaveLength(2);
    expect(message).toContain(`${program} is not on PATH`);
    expect([exit, steps()]).toEqual(["usage", []]);
  });

  it.each([
    ["docker version", { code: 1, says: "Cannot connect to the Docker daemon" }, /Docker does not answer.*Cannot conn/],
    ["kind get", { code: 1, says: "permission denied" }, /clusters cannot be listed.*permission denied/],
    ["kubectl get --raw", { code: 1, says: "refused" }, /does not answer.*docker start noetl-control-plane.*refused/],
    ["pulumi --non-interactive", { code: 1, says: "error: PULUMI_ACCESS_TOKEN must be set for login" }, /pulumi login/],
    ["pulumi --non-interactive", { code: 1, says: "error: passphrase must be set" }, /PULUMI_CONFIG_PASSPHRASE/],
  ])("an answer of %s", async (line, fault, told) => {
    const { folder } = noetl();
    machine.faults({ [line]: fault });
    const { message, exit } = await failure("noetl", folder);
    expect(message).toMatch(told);
    expect(message.split("\n  - ")).toHaveLength(2);
    expect([exit, steps()]).toEqual(["usage", []]);
  });

  it("the cluster", async () => {
    machine.write("clusters", ["noetl-2"]);
    const { message } = await failure("noetl", noetl().folder);
    expect(message).toContain("there is no kind cluster noetl; make it: npm run kind:create");
  });

  it.each([
    ["Dockerfile", { "docker/noetl/dev/Dockerfile": undefined }, /has no docker\/noetl\/dev\/Dockerfile/],
    ["manifest", { "pyproject.toml": undefined }, /not a checkout of NoETL: it has no pyproject\.toml/],
    ["project", { "pyproject.toml": '[project]\nname = "other"\n' }, /names the project other, not noetl/],
    ["server", { "pyproject.toml": '[project]\nname = "noetl"\nversion = "5.1.0"\n' }, /5\.1\.0, which has no server/],
  ])("the %s of a checkout", async (_, change, told) => {
    const files = Object.entries({ ...NOETL_FILES(), ...change }).filter(([, text]) => text !== undefined);
    const { folder } = machine.checkout("noetl", Object.fromEntries(files) as Record<string, string>);
    expect((await failure("noetl", folder)).message).toMatch(told);
    expect(steps()).toEqual([]);
  });

  it("a repository, or the folder is a part of another one", async () => {
    const { folder } = machine.checkout("whole", { "noetl/a": "a" });
    for (const [file, text] of Object.entries(NOETL_FILES())) {
      fs.mkdirSync(path.dirname(path.join(folder, "noetl", file)), { recursive: true });
      fs.writeFileSync(path.join(folder, "noetl", file), text);
    }
    const part = path.join(folder, "noetl");
    expect((await failure("noetl", part)).message).toContain("its work tree begins at");
    fs.rmSync(path.join(folder, ".git"), { recursive: true });
    const { message } = await failure("noetl", part);
    expect(message).toMatch(/not a git checkout of its own: not a git repository/);
    // git clones into no folder that holds something.
    expect(message).toContain("git clone --branch v2.8.9 https://github.com/noetl/noetl ../noetl-v2.8.9");
    spawnSync("git", ["init", "--quiet", part]);
    expect((await failure("noetl", part)).message).toContain("not a git checkout of its own: it has no commit yet; ");
    vi.stubEnv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
    vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
    expect((await failure("noetl", part)).message).toMatch(
      /\n {2}- git does not read \S+, since it belongs to somebody else; where that is right: git config --global --add safe\.directory \S+$/,
    );
  });

  it.each([
    [
      { kubeContext: "kind-other" },
      /deploys to kind-other, and the image is for kind-noetl; pulumi config set kubeContext/,
    ],
    [{ kubeContext: "kind-noetl", deployNoetl: "false" }, /does not deploy NoETL; pulumi config set deployNoetl true/],
    [{ kubeContext: "kind-noetl", natsPort: "x" }, /stack kind: natsPort/],
    [{ kubeContext: "kind-noetl", natsSubject: "other" }, /natsSubject: "other" has no effect .* NoETL 2\.8\.9/],
  ])("a stack that takes the image: %j", async (stack, told) => {
    begin(stack);
    const { message, exit } = await failure("noetl", noetl().folder);
    expect(message).toMatch(told);
    expect([exit, steps()]).toEqual(["usage", []]);
  });
});

describe("a step that fails", () => {
  const BEFORE = { kubeContext: "kind-noetl", noetlImage: "noetl-local:v2.8.9-before" };
  beforeEach(() => begin(BEFORE));

  it.each([
    ["docker build", 1],
    ["kind load", 2],
    ["pulumi config set-all", 3],
  ])("%s leaves the stack's settings as they were, and the next run goes on", async (line, count) => {
    const { folder } = noetl();
    machine.faults({ [line]: { code: 17, says: "out of space" } });
    const { message, exit } = await failure("noetl", folder);
    expect(exit).toBe("unknown");
    expect(message).toMatch(/ended with exit code 17.*\nThe stack's settings are as they were\. .*run again/);
    expect(said).toContain("  out of space");
    expect(machine.stack()).toEqual(BEFORE);
    expect(steps()).toHaveLength(count);
    machine.faults({});
    expect(await command("noetl", folder)).toBe("ok");
  });

  it("pulumi up says what the stack names now, and the way back", async () => {
    const { folder } = noetl();
    machine.faults({ "pulumi up": { code: 255, says: "error: update failed" } });
    const { message, exit } = await failure("noetl", folder);
    expect(exit).toBe("unknown");
    expect(message).toContain(`pulumi config set noetlImage ${BEFORE.noetlImage} --stack kind && npm run kind:up`);
    expect(image()).toMatch(/^noetl-local:v2\.8\.9-[0-9a-f]{12}$/);
    machine.faults({});
    expect(await command("noetl", folder)).toBe("ok");
  });

  it("is a build during which the checkout changes: the image may be of both", async () => {
    const { folder } = noetl();
    machine.faults({ "docker build": { writes: path.join(folder, "noetl/server.py") } });
    const { message, exit } = await failure("noetl", folder);
    expect([exit, machine.stack(), steps().length]).toEqual(["unknown", BEFORE, 1]);
    expect(message).toContain("was changed while it was built");
  });

  it("is an interrupted one, which ends the program that runs", async () => {
    const { folder } = noetl();
    machine.faults({ "docker build": { hangs: true, says: "building" } });
    const interrupted = new AbortController();
    const running = failure("noetl", folder, { signal: interrupted.signal });
    await vi.waitFor(() => expect(said).toContain("  building"), { timeout: 60_000 });
    interrupted.abort();
    const { message, exit } = await running;
    expect([exit, machine.stack()]).toEqual(["interrupted", BEFORE]);
    expect(message).toContain("The stack's settings are as they were. Run it again");
  });

  it("is a program that does not end within its deadline", async () => {
    machine.faults({ "docker build": { hangs: true } });
    const ended = await run({ command: "docker", args: ["build"], deadlineSeconds: 1 });
    expect(ended).toMatchObject({ ok: false, why: "did not end within 1 s" });
  });
});

describe("what runs afterwards", () => {
  it.each([
    ["ok", "ok"],
    ["wrong", "wrong"],
    ["unknown", "unknown"],
  ] as const)("is told by the checklist: %s", async (status, exit) => {
    expect(await command("noetl", noetl().folder, { status })).toBe(exit);
    expect(exitOf(found(status))).toBe(exit);
  });

  it("is wrong where a pod runs another image", async () => {
    const { folder } = noetl();
    machine.write("deployed", { "noetl-nats:noetlImage": "another:1" });
    machine.faults({ "pulumi up": { code: 0 } });
    expect(await command("noetl", folder)).toBe("wrong");
    expect(said.join("\n")).toMatch(/Pod noetl-worker-1 runs another:1, not noetl-local:v2\.8\.9-/);
  });
});

describe("a password", () => {
  it("stands in no argument and on no screen", async () => {
    begin({ kubeContext: "kind-noetl", natsPassword: PASSWORD });
    expect(await command("noetl", noetl().folder)).toBe("ok");
    expect(JSON.stringify(machine.calls())).not.toContain(PASSWORD);
    expect(said.join("\n")).toContain("set password to ***");
    expect(said.join("\n")).not.toContain(PASSWORD);
  });

  it("of the file of a stack that is made stands on no screen", async () => {
    begin(null);
    machine.file({ kubeContext: "kind-noetl", natsPassword: PASSWORD });
    machine.write("outputs", {});
    machine.faults({ "docker build": { says: `builds with ${PASSWORD}` } });
    expect(await command("noetl", noetl().folder)).toBe("ok");
    expect(said.join("\n")).toContain("builds with ***");
    expect(said.join("\n")).not.toContain(PASSWORD);
  });
});

describe("the command line", () => {
  const script = path.join(projectRoot(), "dist", "commands", "kind", "main.js");
  const call = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });

  it("explains itself with its exit codes", () => {
    const { status, stdout } = call("noetl", "--help");
    expect(status).toBe(EXIT.ok.code);
    expect(stdout).toContain("usage: npm run kind:noetl -- FOLDER");
    for (const { code, kind } of Object.values(EXIT))
      if (kind !== "not used") expect(stdout).toMatch(RegExp(`^  ${code} `, "m"));
  });

  it.each([[[]], [["a", "b"]], [["--stack", "kind"]]])("refuses %j with the explanation", (args) => {
    const { status, stderr } = call("gateway", ...args);
    expect([status, stderr]).toEqual([EXIT.usage.code, expect.stringContaining("usage: npm run kind:gateway")]);
  });

  it("takes a folder as the caller sees it, and ends with the code of what is missing", () => {
    const { folder } = noetl();
    machine.remove("kind");
    vi.stubEnv("INIT_CWD", path.join(folder, "noetl"));
    const { status, stderr } = call("noetl", "..");
    expect(status).toBe(EXIT.usage.code);
    expect(stderr).toContain("kind is not on PATH");
    expect(stderr).not.toContain(".. is not");
  });

  it.each([
    ["SIGINT", "docker build"],
    ["SIGTERM", "docker build"],
    // The terminal is closed.
    ["SIGHUP", "docker build"],
    ["SIGINT", "docker version"],
    ["SIGTERM", "kind get"],
  ] as const)("is interrupted in order, by %s during %s, and leaves no program behind", async (signal, during) => {
    const { folder } = noetl();
    machine.faults({ [during]: { hangs: true } });
    const child = spawn(process.execPath, [script, "noetl", folder]);
    const close = new Promise((resolve) => child.once("close", resolve));
    const program = path.join(machine.bin, during.split(" ")[0] ?? "");
    await vi.waitFor(
      () => expect(commandLines().some((each) => each.includes(`${program}\0${during.split(" ")[1]}`))).toBe(true),
      60_000,
    );
    child.kill(signal);
    expect(await close).toBe(EXIT.interrupted.code);
    await vi.waitFor(() => expect(commandLines().filter((each) => each.includes(machine.bin))).toEqual([]), 10_000);
  });

  it("is interrupted in order while it reads the stack that it has made, by the key that reaches every program", async () => {
    begin(null);
    const { folder } = noetl();
    machine.faults({ "pulumi stack select": { then: { "pulumi --non-interactive": { hangs: true } } } });
    const child = spawn(process.execPath, [script, "noetl", folder], { detached: true });
    const close = new Promise((resolve) => child.once("close", resolve));
    const program = path.join(machine.bin, "pulumi");
    await vi.waitFor(() => {
      expect(machine.read("faults")).toHaveProperty(["pulumi --non-interactive"]);
      expect(commandLines().some((each) => each.includes(`${program}\0--non-interactive`))).toBe(true);
    }, 60_000);
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await close).toBe(EXIT.interrupted.code);
    await vi.waitFor(() => expect(commandLines().filter((each) => each.includes(machine.bin))).toEqual([]), 10_000);
  });

  it("has the deadlines that docs/kind.md names", () => {
    const page = fs.readFileSync(path.join(projectRoot(), "docs", "kind.md"), "utf8");
    const row = (words: string): string | undefined =>
      page
        .split("\n")
        .find((line) => line.startsWith("|") && line.includes(words))
        ?.split("|")[2]
        ?.trim();
    const rows = {
      stack: "pulumi stack select",
      build: "docker build",
      load: "kind load",
      set: "pulumi config set-all",
      up: "pulumi up",
      rollout: "kubectl rollout status",
    } as const;
    for (const [name, words] of Object.entries(rows))
      expect(row(words), words).toBe(`${DEADLINES[name as keyof typeof rows] / 60} min`);
  });

  it("is that of the scripts in package.json, and the cluster that of kind/cluster.yaml", () => {
    const read = (file: string) => fs.readFileSync(path.join(projectRoot(), file), "utf8");
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [name, { command: script }] of Object.entries(PARTS))
      expect(scripts[script]).toBe(`node scripts/build.mjs && node dist/commands/kind/main.js ${name}`);
    expect((parse(read("kind/cluster.yaml")) as { name: string }).name).toBe(CLUSTER);
    const { config } = parse(read(`Pulumi.${STACK}.yaml`)) as { config: Record<string, string> };
    expect(config["noetl-nats:kubeContext"]).toBe(CONTEXT);
  });
});
