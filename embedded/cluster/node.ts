/**
 * The kubelet's part that kwok does not play: real processes behind the pods that matter.
 *
 * Runs as a process of its own: `node node.js DIR TOOLS`, where TOOLS is the JSON of {@link ProgramTools}. It reads the
 * pods of the cluster in DIR, runs the processes of each supervised pod with the environment that the deployed pod
 * really got, and reports their state as the pod's.
 */
import type { ProgramTools } from "./programs/situation";
import { Supervisor } from "./supervisor";

const [dir, tools] = process.argv.slice(2);
if (!dir || !tools) throw new Error("usage: node node.js DIR TOOLS");
const supervisor = new Supervisor(dir, JSON.parse(tools) as ProgramTools);
const end = () => void supervisor.end().finally(() => process.exit(0));
process.on("SIGTERM", end);
process.on("SIGINT", end);
void supervisor.run();
