/**
 * A machine with docker, kind, kubectl and pulumi, as far as a command sees them: programs on PATH that write down how they
 * were called and keep what they were given in files. git is the real one, and so are the checkouts.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { onPath } from "../../../commands/shared/binaries";

export const PASSWORD = "canary-kind-Password.7";
const PROGRAMS = ["docker", "kind", "kubectl", "pulumi"] as const;

/** One call of a program. */
export interface Call {
  readonly program: (typeof PROGRAMS)[number];
  readonly args: readonly string[];
}

/** What a program does instead of its work, by the beginning of its command line. */
interface Fault {
  readonly code?: number;
  readonly says?: string;
  /** The same on standard output, before its work. */
  readonly prints?: string;
  /** Does not end by itself. */
  readonly hangs?: true;
  /** A file that it changes before it does its work. */
  readonly writes?: string;
  /** Faults in place of all others from then on. */
  readonly then?: Readonly<Record<string, Fault>>;
}

/** The programs: one script under four names. */
const SCRIPT = `#!${process.execPath}
const fs = require("node:fs");
const path = require("node:path");
const [, script, ...args] = process.argv;
const program = path.basename(script);
const home = path.dirname(path.dirname(script));
const at = (name) => path.join(home, name);
const read = (name) => JSON.parse(fs.readFileSync(at(name), "utf8"));
const write = (name, value) => fs.writeFileSync(at(name), JSON.stringify(value));
fs.appendFileSync(at("calls"), JSON.stringify({ program, args }) + "\\n");
const line = [program, ...args].join(" ");
const fault = Object.entries(read("faults")).find(([begin]) => line.startsWith(begin))?.[1] ?? {};
if (fault.writes) fs.writeFileSync(fault.writes, "changed\\n");
if (fault.then) write("faults", fault.then);
if (fault.says) console.error(fault.says);
if (fault.prints) console.log(fault.prints);
if (fault.hangs) setInterval(() => {}, 1000);
else if (fault.code !== undefined) process.exitCode = fault.code;
else work();
function work() {
  if (line.startsWith("docker version")) console.log("28.0.0");
  if (line.startsWith("docker build")) write("images", [...read("images"), args[args.indexOf("--tag") + 1]]);
  if (line.startsWith("kind get clusters")) console.log(read("clusters").join("\\n"));
  if (line.startsWith("kind create cluster")) write("clusters", [...read("clusters"), "noetl"]);
  if (line.startsWith("kind load")) {
    if (!read("images").includes(args[2])) process.exitCode = 1;
    else write("loaded", [...read("loaded"), args[2]]);
  }
  if (program === "pulumi") pulumi();
  if (line.startsWith("kubectl get pods")) {
    const app = args[args.indexOf("--selector") + 1].split("=")[1];
    const image = read("deployed")[app === "gateway" ? "noetl-nats:gatewayImage" : "noetl-nats:noetlImage"];
    const pod = (name, more) => ({ metadata: { name, ...more }, spec: { containers: [{ image }] } });
    const old = { metadata: { name: app + "-old", deletionTimestamp: "now" }, spec: { containers: [{ image: "old" }] } };
    console.log(JSON.stringify({ items: [pod(app + "-1", {}), old] }));
  }
}
function pulumi() {
  const command = args.filter((arg) => arg !== "--non-interactive").slice(0, 2).join(" ");
  if (command === "stack select") write("stack", read("file"));
  else if (!fs.existsSync(at("stack"))) {
    console.error("error: no stack named 'kind' found");
    process.exitCode = 6;
  } else if (command === "config --json") {
    const values = Object.entries(read("stack")).map(([key, value]) => [key, { value }]);
    console.log(JSON.stringify(Object.fromEntries(values)));
  } else if (command === "stack output") {
    console.log(JSON.stringify(read("outputs")));
  } else if (command === "config set-all") {
    const pairs = args.filter((_, index) => args[index - 1] === "--plaintext").map((pair) => pair.split("="));
    write("stack", { ...read("stack"), ...Object.fromEntries(pairs) });
  } else if (args[0] === "up") {
    console.log("set password to " + read("outputs").natsPassword);
    write("deployed", read("stack"));
  }
}
`;

export class Machine {
  readonly home = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-kind-"));
  readonly bin = path.join(this.home, "bin");

  /** @param stack settings of the stack `kind`; null where there is none. */
  constructor(stack: Readonly<Record<string, string>> | null = { kubeContext: "kind-noetl" }) {
    fs.mkdirSync(this.bin);
    for (const program of PROGRAMS) fs.writeFileSync(path.join(this.bin, program), SCRIPT, { mode: 0o755 });
    fs.symlinkSync(onPath("git") ?? "git", path.join(this.bin, "git"));
    const files = { faults: {}, images: [], loaded: [], clusters: ["noetl", "other"], deployed: {} };
    this.write("outputs", { natsPassword: PASSWORD });
    this.file({ kubeContext: "kind-noetl" });
    for (const [name, value] of Object.entries(files)) this.write(name, value);
    fs.writeFileSync(path.join(this.home, "calls"), "");
    if (stack) this.write("stack", withProject(stack));
  }

  write(name: string, value: unknown): void {
    fs.writeFileSync(path.join(this.home, name), JSON.stringify(value));
  }

  /** What `Pulumi.kind.yaml` holds, which a stack has from the beginning. */
  file(settings: Readonly<Record<string, string>>): void {
    this.write("file", withProject(settings));
  }

  /** Takes a program off the machine. */
  remove(program: string): void {
    fs.rmSync(path.join(this.bin, program));
  }

  /** Makes commands that begin so fail. */
  faults(faults: Readonly<Record<string, Fault>>): void {
    this.write("faults", faults);
  }

  /** Settings of the stack. */
  stack(): Record<string, string> {
    const settings = this.read("stack") as Record<string, string>;
    return Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [key.replace("noetl-nats:", ""), value] as const),
    );
  }

  read(name: string): unknown {
    return JSON.parse(fs.readFileSync(path.join(this.home, name), "utf8"));
  }

  /** What was called since the last time it was asked. */
  calls(): Call[] {
    const file = path.join(this.home, "calls");
    const lines = fs.readFileSync(file, "utf8").split("\n").filter(Boolean);
    fs.writeFileSync(file, "");
    return lines.map((line) => JSON.parse(line) as Call);
  }

  /** A git checkout with these files, committed. */
  checkout(name: string, files: Readonly<Record<string, string>>): Checkout {
    const folder = path.join(this.home, name);
    fs.mkdirSync(folder);
    const checkout = new Checkout(folder);
    checkout.git("init", "--quiet", "--initial-branch", "main");
    for (const [file, text] of Object.entries(files)) checkout.write(file, text);
    checkout.commit();
    return checkout;
  }

  dispose(): void {
    fs.rmSync(this.home, { recursive: true, force: true });
  }
}

const withProject = (settings: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [`noetl-nats:${key}`, value]));

export class Checkout {
  constructor(readonly folder: string) {}

  git(...args: string[]): string {
    const identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"];
    const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
    return execFileSync("git", [...identity, ...args], { cwd: this.folder, env, encoding: "utf8" }).trim();
  }

  write(file: string, text: string): void {
    const full = path.join(this.folder, file);
    fs.mkdirSync(path.dirname(full), { recursive: true });
    fs.writeFileSync(full, text);
  }

  /** Commits all there is; the commit as a tag of an image names it. */
  commit(): string {
    this.git("add", "--all");
    this.git("commit", "--quiet", "--allow-empty", "--message", "A change");
    return this.git("rev-parse", "HEAD").slice(0, 12);
  }
}

export const NOETL_FILES = (version = "2.8.9"): Record<string, string> => ({
  "pyproject.toml": `[build-system]\nrequires = []\n\n[project]\nname = "noetl"\nversion = "${version}"\n\n[tool.x]\nversion = "9.9.9"\n`,
  "docker/noetl/dev/Dockerfile": "FROM scratch\n",
  "noetl/server.py": "pass\n",
  ".gitignore": "*.log\n",
});

export const GATEWAY_FILES = (version = "2.14.1", client = 'async-nats = "0.38"\n'): Record<string, string> => ({
  "Cargo.toml": `[package]\nname = "noetl-gateway"\nversion = "${version}"\n\n[dependencies]\nurl = "2"\n${client}`,
  Dockerfile: "FROM scratch\n",
});
