/** The process behind the simulated node: how it is started, and whether it is the one that this build would start. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { projectRoot } from "../../contract/project";
import type { Launcher } from "./launch";
import { clusterFiles } from "./places";
import type { ProgramTools } from "./programs/situation";

/** It runs compiled, also where this module is loaded from its source. */
const COMPILED = path.join(projectRoot(), "dist", "embedded");
export const NODE_PROGRAM = path.join(COMPILED, "cluster", "node.js");

/** What a cluster keeps of its node: with which code it runs. */
interface NodeRecord {
  readonly code: string;
}

/** Digest of the code of the node and of what it starts behind pods. */
function codeOf(): string {
  const hash = createHash("sha256");
  for (const folder of ["cluster", "noetl"]) {
    const files = fs.readdirSync(path.join(COMPILED, folder), { recursive: true }) as string[];
    for (const file of files.filter((each) => each.endsWith(".js")).sort()) {
      hash.update(`${folder}/${file}\0`).update(fs.readFileSync(path.join(COMPILED, folder, file)));
    }
  }
  return hash.digest("hex");
}

/** Starts the node of a cluster, and keeps what it runs. */
export function launchNode(launcher: Launcher, programs: ProgramTools): void {
  const { noetl, gateway } = programs;
  const at = clusterFiles(launcher.dir);
  const record: NodeRecord = { code: codeOf() };
  fs.writeFileSync(at.node, JSON.stringify(record), { mode: 0o600 });
  if (gateway !== undefined) fs.writeFileSync(at.gateway, gateway, { mode: 0o600 });
  if (noetl) fs.writeFileSync(at.noetl, JSON.stringify(noetl), { mode: 0o600 });
  launcher.launch("node", [process.execPath, NODE_PROGRAM, launcher.dir, JSON.stringify(programs)]);
}

/** Whether the node of the cluster in `dir` runs the code of this build. One of a build without this record does not, nor one whose record was cut off. */
export function nodeIsCurrent(dir: string): boolean {
  try {
    return (JSON.parse(fs.readFileSync(clusterFiles(dir).node, "utf8")) as NodeRecord).code === codeOf();
  } catch {
    return false;
  }
}
