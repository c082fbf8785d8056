/** What NoETL's server says of itself. */
import { LOCATIONS } from "../../contract/facts";
import type { Cluster } from "./kubernetes";
import { askPod, runningPod } from "./pod-http";
import { harmless } from "./text";

/** How much of the answer is kept, in characters. */
const LENGTH = 2_000;

/**
 * The answer to `GET /api/health` of a pod of the server, whatever its status.
 *
 * @throws ConnectError where no pod could be asked.
 */
export async function readHealth(cluster: Cluster, namespace: string, mask: (text: string) => string): Promise<string> {
  const { serverDeployment: app, port } = LOCATIONS.noetl;
  const pod = await runningPod(cluster, { namespace, app, port, who: "NoETL's server" });
  const { body } = await askPod(cluster, pod, { method: "GET", path: "/api/health" });
  // Before it is cut: half a credential is not found any more.
  return mask(harmless(body)).slice(0, LENGTH);
}
