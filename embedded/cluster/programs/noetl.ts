import * as fs from "node:fs";
import * as path from "node:path";
import type { V1Container } from "@kubernetes/client-node";
import { projectRoot } from "../../../contract/project";
import { releaseOf, type NoetlPackages } from "../../toolchain/noetl";
import { GATEWAY_RELEASE } from "../../toolchain/gateway";
import type { Program } from "../container";
import { imageFolder, namesFile } from "../places";
import { answers, holdsConnection } from "../probe";
import { type ProgramTools, type Situation, writable } from "./situation";

const ROLES: Readonly<Record<string, "server" | "worker" | "gateway">> = {
  "noetl-server": "server",
  "noetl-worker": "worker",
  gateway: "gateway",
};

export const isRole = (app: string): boolean => app in ROLES;

/** Where each listens: the variable that says so besides the argument, and the default. A worker serves no port. */
const LISTENS = {
  server: { variable: "NOETL_PORT", port: 8082, health: "/api/health" },
  gateway: { variable: "ROUTER_PORT", port: 8090, health: "/health" },
} as const;

/** How long a worker must have held its connection to NATS before it counts as ready. Its real probe looks seldom. */
const CONNECTED_MS = 1000;

/** Folder of what a Python process lacks on this machine: README.md of embedded/noetl. */
const POD = path.join(projectRoot(), "embedded", "noetl", "pod");

/** NoETL's own packages, where an image's tag names the release that is installed here. */
export function packagesOf({ noetl }: ProgramTools, image: string | undefined): NoetlPackages | undefined {
  return noetl !== undefined && releaseOf(image ?? "") === noetl.version ? noetl : undefined;
}

/** The gateway itself, where an image's tag names the release that was built here. */
const gatewayOf = ({ gateway }: ProgramTools, image: string | undefined): string | undefined =>
  releaseOf(image ?? "") === GATEWAY_RELEASE ? gateway : undefined;

/** NoETL's server or worker, or its gateway, where it can be had, else the stand-in for it, with the deployed environment. */
export async function noetl(situation: Situation): Promise<Program> {
  const { pod, container, folder } = situation;
  const role = ROLES[pod.metadata?.labels?.app ?? ""] ?? "server";
  const tmp = (await situation.mounts())("/tmp") ?? path.join(folder, "tmp");
  fs.mkdirSync(tmp, { recursive: true, mode: 0o700 });
  const writes = await writable(situation);
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    HOSTNAME: pod.metadata?.name ?? "",
    ...(await situation.sources.environment(container)),
    EMBEDDED_NAMES: namesFile(situation.dir),
    EMBEDDED_TMP: tmp,
    ...(await authorities(situation)),
  };
  const contents = imageFolder(situation.dir, container.image ?? "");
  if (role !== "gateway" && fs.existsSync(contents))
    return { ...fromContents(situation, { role, contents, env }), writes };
  const packages = packagesOf(situation.tools, container.image);
  const isReady = role === "worker" ? holdsNats(situation, env) : await answersHealth(role, situation, env);
  const port = role === "worker" ? undefined : String(await situation.port(portOf(role, container, env)));
  if (packages !== undefined && role !== "gateway") {
    const args = port === undefined ? [] : ["--host", "127.0.0.1", "--port", port];
    const { python } = packages;
    const compiled = compiledFolder(packages);
    return {
      command: python,
      args: ["-m", `noetl.${role}`, ...args],
      env: { ...(await forPython(situation, env)), PYTHONPYCACHEPREFIX: compiled },
      writes: writes && [...writes, compiled],
      isReady,
    };
  }
  const itself = role === "gateway" ? gatewayOf(situation.tools, container.image) : undefined;
  const words = itself === undefined ? ["main.js", role] : ["gateway-itself.js", itself];
  const [file = "", argument = ""] = words;
  const program = path.join(projectRoot(), "dist", "embedded", "noetl", file);
  return {
    ...(await throughScript(situation, [process.execPath, program, argument])),
    writes,
    env: { ...env, TMPDIR: tmp, ...(port === undefined ? {} : { EMBEDDED_PORT: port }) },
    isReady,
  };
}

/** Where Python keeps what it has compiled: an image has it beside the packages, from when it was built. */
function compiledFolder({ python }: NoetlPackages): string {
  const folder = path.join(path.dirname(python), "..", "compiled");
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** NoETL as an image holds it whose packages were put into a folder: complete, incomplete, or of another line. */
function fromContents(
  { tools }: Situation,
  { role, contents, env }: { role: string; contents: string; env: Environment },
): Program {
  return {
    command: tools.database.python,
    args: ["-m", `noetl.${role}`],
    env: { ...env, PYTHONPATH: contents, PYTHONDONTWRITEBYTECODE: "1" },
  };
}

/** The file of NATS' authorities, where this machine has it. */
async function authorities({ sources, container, mounts }: Situation): Promise<Record<string, string>> {
  const { NATS_CA_FILE: file } = await sources.environment(container);
  if (file === undefined) return {};
  return { NATS_CA_FILE: (await mounts())(file) ?? file };
}

/** The command of a stand-in, started by the script of the container where it has one: what follows `--` is the program. */
async function throughScript(
  { container, mounts }: Situation,
  [command = "", ...args]: readonly string[],
): Promise<Pick<Program, "command" | "args">> {
  if (container.command?.[0] !== "sh") return { command, args };
  const place = await mounts();
  const [interpreter = "", ...words] = [...(container.command ?? []), ...(container.args ?? [])];
  const before = words.slice(0, words.includes("--") ? words.indexOf("--") : undefined);
  return {
    command: interpreter,
    args: [...before.map((word) => (word.startsWith("/") ? (place(word) ?? word) : word)), "--", command, ...args],
  };
}

type Environment = Readonly<Record<string, string>>;

/** Port that a process listens on inside its pod. */
function portOf(role: keyof typeof LISTENS, container: V1Container, env: Environment): number {
  const { variable, port } = LISTENS[role];
  const args = container.args ?? [];
  const argument = args.includes("--port") ? args[args.indexOf("--port") + 1] : undefined;
  return Number(argument ?? env[variable] ?? port);
}

/** Asked where the manifest says, so a manifest that names another port than the one listened on never gets ready. */
async function answersHealth(
  role: keyof typeof LISTENS,
  { container, port }: Situation,
  env: Environment,
): Promise<NonNullable<Program["isReady"]>> {
  const local = await port(container.ports?.[0]?.containerPort ?? portOf(role, container, env));
  return () => answers(`http://127.0.0.1:${local}${LISTENS[role].health}`, container);
}

/** What the worker's real probe looks for: an established connection to the port of NATS_URL. */
function holdsNats({ lookUp }: Situation, env: Environment): NonNullable<Program["isReady"]> {
  let since: number | undefined;
  return (pid) => {
    const ports = (env.NATS_URL ?? "").split(",").map((url) => {
      const [, host = "", port = "4222"] = /^(?:\w+:\/\/)?(?:[^@/]*@)?([^:/@]+)(?::(\d+))?/.exec(url.trim()) ?? [];
      return lookUp(host, Number(port)) ?? Number(port);
    });
    since = ports.some((port) => holdsConnection(pid, port)) ? (since ?? Date.now()) : undefined;
    return Promise.resolve(since !== undefined && Date.now() - since >= CONNECTED_MS);
  };
}

/** The environment of a Python process that runs here in the place of a container. */
async function forPython({ mounts, sources, container }: Situation, env: Environment): Promise<Record<string, string>> {
  const [place, deployed] = [await mounts(), await sources.environment(container)];
  // What this machine adds are places here already.
  const placed = Object.entries(env).map(
    ([name, value]) =>
      [name, value.startsWith("/") && deployed[name] === value ? (place(value) ?? value) : value] as const,
  );
  return {
    ...Object.fromEntries(placed),
    TMPDIR: env.EMBEDDED_TMP ?? "",
    PYTHONPATH: [
      POD,
      ...(env.PYTHONPATH ?? "")
        .split(":")
        .filter(Boolean)
        .map((each) => place(each) ?? each),
    ].join(":"),
    PYTHONUNBUFFERED: "1",
  };
}
