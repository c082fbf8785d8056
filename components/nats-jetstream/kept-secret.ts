/** What the providers of NATS' users and of its certificate have in common: each keeps a Secret in place, and looks at it. */
import type * as pulumi from "@pulumi/pulumi";
import { ConnectError } from "../../contract/errors";
import { LOCATIONS } from "../../contract/facts";

/** How long a preview may take for its look at a Secret, in seconds. */
export const LOOK_SECONDS = 2;

/** Where the Secret is. */
interface SecretPlace {
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** The way to the cluster, and through it to the servers that read the Secret. */
export const connectionOf = ({ namespace, kubeconfig, context }: SecretPlace) => ({
  namespace,
  service: LOCATIONS.nats.service,
  port: LOCATIONS.nats.port,
  kubeconfig,
  context,
});

/** Those of a resource's inputs that are given. */
export const given = (names: readonly string[], inputs: object): Record<string, unknown> => {
  const all = inputs as Record<string, unknown>;
  return Object.fromEntries(names.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])));
};

/** Whether the live Secret differs. A preview without the cluster goes by the state, as that of any other resource does. */
export async function liveChanges(differs: () => Promise<boolean>): Promise<pulumi.dynamic.DiffResult> {
  try {
    return { changes: await differs() };
  } catch (error) {
    if (error instanceof ConnectError) return { changes: false };
    throw error;
  }
}
