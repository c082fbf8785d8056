import * as path from "node:path";
import { projectRoot } from "../../../config/project";
import type { Program } from "../container";
import { namesFile } from "../places";
import { answers } from "../probe";
import type { Situation } from ".";

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

/** The stand-in for NoETL's server, worker or gateway, with the deployed environment. */
export async function noetl(situation: Situation): Promise<Program> {
  const { pod, container, dir, folder, port } = situation;
  const role = ROLES[pod.metadata?.labels?.app ?? ""] ?? "server";
  const env = await situation.sources.environment(container);
  const { variable, port: standard, health } = LISTENS[role];
  const args = container.args ?? [];
  const argument = args.includes("--port") ? args[args.indexOf("--port") + 1] : undefined;
  const listens = Number(argument ?? (variable && env[variable]) ?? standard);
  // Asked where the manifest says, so a manifest that names another port than the one listened on never gets ready.
  const asked = await port(role === "worker" ? listens : (container.ports?.[0]?.containerPort ?? listens));
  return {
    command: process.execPath,
    args: [path.join(projectRoot(), "dist", "embedded", "noetl", "main.js"), role],
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      ...env,
      EMBEDDED_PORT: String(await port(listens)),
      EMBEDDED_NAMES: namesFile(dir),
    },
    isReady: () => answers(`http://127.0.0.1:${asked}${health}`),
  };
}
