import { setTimeout as sleep } from "node:timers/promises";
import { CommandError } from "../../shared/exit";
import type { Named } from "../../../contract/kubernetes/objects";
import type { Cluster } from "../kubernetes";

/** The annotation that `kubectl rollout restart` sets. */
const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
const PAUSE_MILLISECONDS = 250;

/** Restarts a Deployment as `kubectl rollout restart` does; the same `at` twice restarts once. */
export async function restartDeployment(cluster: Cluster, { namespace, name }: Named, at: string): Promise<void> {
  const patched = await cluster.patch(
    "deployments",
    { namespace, name },
    { why: "restart", body: { spec: { template: { metadata: { annotations: { [RESTARTED_AT]: at } } } } } },
  );
  if (!patched) throw new CommandError(`there is no Deployment ${namespace}/${name} to restart`, "wrong");
}

/**
 * Waits until the Deployment's pods are all of its newest template, and ready.
 *
 * @throws CommandError when the time is up, with how far it has come.
 */
export async function rolledOut(cluster: Cluster, { namespace, name }: Named, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = await cluster.read("deployments", { namespace, name });
    const wanted = found?.spec?.replicas ?? 1;
    const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = found?.status ?? {};
    const current = observedGeneration >= (found?.metadata?.generation ?? 0);
    if (current && updatedReplicas >= wanted && availableReplicas >= wanted && replicas === wanted) return;
    if (Date.now() > deadline) {
      throw new CommandError(
        `waited ${seconds} s for ${namespace}/${name} to restart: ${updatedReplicas} of ${wanted} pods are new, ` +
          `${availableReplicas} available`,
        "wrong",
      );
    }
    await sleep(PAUSE_MILLISECONDS);
  }
}
