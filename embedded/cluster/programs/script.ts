import * as fs from "node:fs";
import * as path from "node:path";
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import { projectRoot } from "../../../contract/project";
import type { Program } from "../container";
import { curlHome, imageFolder } from "../places";
import { runsHere } from "../stages";
import { packagesOf } from "./noetl";
import { type Situation, writable } from "./situation";

/** A port of 127.0.0.1 on which nothing listens, for Services behind which nothing is ready. */
const REFUSES = 1;

/**
 * True for a container whose command is an interpreter with a script that a ConfigMap of the pod brings; in a pod that
 * asks for it, for every command of an interpreter.
 */
export function runsScript(pod: V1Pod, container: V1Container): boolean {
  const [interpreter = "", file] = container.command ?? [];
  if (!["sh", "python"].includes(interpreter)) return false;
  if (runsHere(pod)) return true;
  const mount = container.volumeMounts?.find(({ mountPath }) => file?.startsWith(`${mountPath}/`));
  const volume = pod.spec?.volumes?.find(({ name }) => name === mount?.name);
  return volume?.configMap !== undefined;
}

/** The deployed script with the deployed environment, under this machine's shell or the Python that stands for the image's. */
export async function script(situation: Situation): Promise<Program> {
  const { container, dir, folder } = situation;
  const [interpreter, ...args] = [...(container.command ?? []), ...(container.args ?? [])];
  const place = await situation.mounts();
  const env = await situation.sources.environment(container);
  const own = packagesOf(situation.tools, container.image);
  const python = own?.python ?? situation.tools.database.python;
  const contents = packages(dir, container.image ?? "", own !== undefined);
  return {
    command: interpreter === "python" ? python : "sh",
    args: args.map((each) => (each.startsWith("/") ? (place(each) ?? each) : each)),
    writes: await writable(situation),
    env: {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      ...env,
      ...database(env, situation.lookUp),
      // What stands for the cluster's DNS, and for the image's Python package.
      CURL_HOME: curlHome(dir),
      ...(contents === undefined ? {} : { PYTHONPATH: contents }),
      PYTHONDONTWRITEBYTECODE: "1",
    },
  };
}

/**
 * Folder with the Python packages of an image: those that a test has put into the cluster's folder, else our stand-in for
 * NoETL's where the interpreter does not have NoETL's own.
 */
function packages(dir: string, image: string, hasOwn: boolean): string | undefined {
  const own = imageFolder(dir, image);
  if (fs.existsSync(own)) return own;
  return hasOwn ? undefined : path.join(projectRoot(), "embedded", "noetl", "python");
}

/** libpq's way to an in-cluster address: the host keeps its name, and gets the address and port that it leads to. */
function database(
  env: Readonly<Record<string, string>>,
  lookUp: Situation["lookUp"],
): Readonly<Record<string, string>> {
  const local = env.PGHOST === undefined ? undefined : lookUp(env.PGHOST, Number(env.PGPORT ?? 5432));
  return local === undefined ? {} : { PGHOSTADDR: "127.0.0.1", PGPORT: String(local || REFUSES) };
}
