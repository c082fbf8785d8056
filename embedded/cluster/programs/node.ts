import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../../contract/project";
import type { Program } from "../container";
import { namesFile } from "../places";
import { answers } from "../probe";
import type { Situation } from "./situation";

/** Loaded before the script: leads in-cluster names to this machine's ports. */
const RESOLVER = path.join(projectRoot(), "dist", "embedded", "cluster", "programs", "node-names.js");

/** The deployed script of a container with an image of Node, with the deployed environment, under the Node that runs here. */
export async function node(situation: Situation): Promise<Program> {
  const { pod, container, folder, port } = situation;
  const [, ...args] = [...(container.command ?? []), ...(container.args ?? [])];
  const place = await situation.mounts();
  const here = (text: string): string => (text.startsWith("/") ? (place(text) ?? text) : text);
  const env = await situation.sources.environment(container);
  const [declared] = container.ports ?? [];
  const local = declared ? await port(declared.containerPort) : undefined;
  const probe = container.readinessProbe?.httpGet;
  return {
    // By its real name: the variables of this process would decide what another one loads.
    command: fs.realpathSync(process.execPath),
    args: ["--require", RESOLVER, ...args.map(here)],
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      HOSTNAME: pod.metadata?.name ?? "",
      ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, here(value)])),
      // What listens in a pod listens on loopback here, on the port that stands for the declared one.
      ...(local === undefined ? {} : { GUARD_ADDRESS: "127.0.0.1", GUARD_PORT: String(local) }),
      EMBEDDED_NAMES: namesFile(situation.dir),
      EMBEDDED_HOSTNAME: pod.metadata?.name ?? "",
    },
    isReady:
      probe && local !== undefined
        ? () => answers(`http://127.0.0.1:${local}${probe.path ?? "/"}`, container)
        : undefined,
  };
}
