import * as fs from "node:fs";
import * as path from "node:path";
import type { V1Container } from "@kubernetes/client-node";
import { projectRoot } from "../../../config/project";
import { releaseOf, type NoetlPackages } from "../../../toolchain/noetl";
import type { Program } from "../container";
import { namesFile } from "../places";
import { answers, holdsConnection } from "../probe";
import type { ProgramTools, Situation } from ".";

const ROLES: Readonly<Record<string, "server" | "worker" | "gateway">> = {
  "noetl-server": "server",
  "noetl-worker": "worker",
  gateway: "gateway",
};

export const isRole = (app: string): boolean => app in ROLES;

/** Where each listens: the argument or variable that says so, and the default. The worker's port is the stand-in's own. */
const LISTENS = {
  server: { variable: "NOETL_PORT", port: 8082, health: "/api/health" },
  worker: { variable: undefined, port: 8080, health: "/health" },
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

/** NoETL's server or worker, where it can be had, else the stand-in for it or the gateway, with the deployed environment. */
export async function noetl(situation: Situation): Promise<Program> {
  const { pod, container, folder } = situation;
  const role = ROLES[pod.metadata?.labels?.app ?? ""] ?? "server";
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    HOSTNAME: pod.metadata?.name ?? "",
    ...(await situation.sources.environment(container)),
    EMBEDDED_NAMES: namesFile(situation.dir),
  };
  const packages = packagesOf(situation.tools, container.image);
  const start = { situation, env, listens: portOf(role, container, env) };
  if (packages === undefined || role === "gateway") return standIn(role, start);
  return role === "server" ? server(packages, start) : worker(packages, start);
}

interface Start {
  readonly situation: Situation;
  readonly env: Readonly<Record<string, string>>;
  /** Port that the process listens on inside its pod. */
  readonly listens: number;
}

function portOf(role: keyof typeof LISTENS, container: V1Container, env: Readonly<Record<string, string>>): number {
  const { variable, port } = LISTENS[role];
  const args = container.args ?? [];
  const argument = args.includes("--port") ? args[args.indexOf("--port") + 1] : undefined;
  return Number(argument ?? (variable && env[variable]) ?? port);
}

/** Asked where the manifest says, so a manifest that names another port than the one listened on never gets ready. */
async function asksHealth(role: keyof typeof LISTENS, { situation, listens }: Start): Promise<() => Promise<boolean>> {
  const declared = role === "worker" ? undefined : situation.container.ports?.[0]?.containerPort;
  const port = await situation.port(declared ?? listens);
  return () => answers(`http://127.0.0.1:${port}${LISTENS[role].health}`);
}

async function standIn(role: keyof typeof LISTENS, start: Start): Promise<Program> {
  return {
    command: process.execPath,
    args: [path.join(projectRoot(), "dist", "embedded", "noetl", "main.js"), role],
    env: { ...start.env, EMBEDDED_PORT: String(await start.situation.port(start.listens)) },
    isReady: await asksHealth(role, start),
  };
}

async function server({ python }: NoetlPackages, start: Start): Promise<Program> {
  const port = await start.situation.port(start.listens);
  return {
    command: python,
    args: ["-m", "noetl.server", "--host", "127.0.0.1", "--port", String(port)],
    env: await inPod(start),
    isReady: await asksHealth("server", start),
  };
}

async function worker({ python }: NoetlPackages, start: Start): Promise<Program> {
  let connectedSince: number | undefined;
  return {
    command: python,
    args: ["-m", "noetl.worker"],
    env: await inPod(start),
    isReady: (pid) => {
      const connected = natsPorts(start).some((port) => holdsConnection(pid, port));
      connectedSince = connected ? (connectedSince ?? Date.now()) : undefined;
      return Promise.resolve(connectedSince !== undefined && Date.now() - connectedSince >= CONNECTED_MS);
    },
  };
}

/** The environment of a Python process that runs here in the place of a container. */
async function inPod({ situation, env }: Start): Promise<Record<string, string>> {
  const { folder } = situation;
  const place = await situation.mounts();
  const tmp = path.join(folder, "tmp");
  fs.mkdirSync(tmp, { recursive: true, mode: 0o700 });
  const placed = Object.entries(env).map(([name, value]) => [
    name,
    value.startsWith("/") ? (place(value) ?? value) : value,
  ]);
  return {
    ...(Object.fromEntries(placed) as Record<string, string>),
    TMPDIR: tmp,
    EMBEDDED_TMP: tmp,
    PYTHONPATH: [POD, env.PYTHONPATH].filter(Boolean).join(path.delimiter),
    PYTHONUNBUFFERED: "1",
  };
}

/** The ports that stand here for those of NATS_URL. */
function natsPorts({ situation, env }: Start): number[] {
  return (env.NATS_URL ?? "").split(",").flatMap((url) => {
    const [, host = "", port = "4222"] = /^(?:\w+:\/\/)?(?:[^@/]*@)?([^:/@]+)(?::(\d+))?/.exec(url.trim()) ?? [];
    return [situation.lookUp(host, Number(port)) ?? Number(port)];
  });
}
