/** Which real process stands behind which container. */
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import type { Program } from "../container";
import { runsHere } from "../stages";
import type { LocalPorts } from "../ports";
import { nats, NATS_PORTS } from "./nats";
import { node } from "./node";
import { isRole, noetl } from "./noetl";
import { pgbouncer } from "./pgbouncer";
import { postgres } from "./postgres";
import { runsScript, script } from "./script";
import type { Situation } from "./situation";

export type MakeProgram = (situation: Situation) => Promise<Program>;

/** The process behind a container of a supervised pod; undefined where the container is only simulated. */
export function programOf(pod: V1Pod, container: V1Container): MakeProgram | undefined {
  const [first] = pod.spec?.containers ?? [];
  if (runsScript(pod, container)) {
    // Its chart's script starts the program of the image.
    const starts = appOf(pod) === "gateway" && container.name === first?.name && !runsHere(pod);
    return starts ? noetl : script;
  }
  if (isNats(pod)) return container.name === "nats" ? nats : undefined;
  if (container.name !== first?.name || !pod.spec?.containers.includes(container)) return undefined;
  if (container.command?.[0] === "node") return node;
  if (appOf(pod) === "postgres") return postgres;
  if (appOf(pod) === "pgbouncer") return pgbouncer;
  return isRole(appOf(pod)) ? noetl : undefined;
}

/** Ports of 127.0.0.1 by port of the pod, for all that others may connect to: a declaration only informs. */
export async function podPorts(pod: V1Pod, ports: LocalPorts): Promise<Record<number, number>> {
  const declared = (pod.spec?.containers ?? []).flatMap(({ ports: own }) => own ?? []);
  const wanted = new Set([...declared.map(({ containerPort }) => containerPort), ...(isNats(pod) ? NATS_PORTS : [])]);
  const entries = [...wanted].map(async (port) => [port, await ports.of(podKey(pod), port)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const appOf = (pod: V1Pod): string => pod.metadata?.labels?.app ?? "";

const isNats = (pod: V1Pod): boolean => pod.metadata?.labels?.["app.kubernetes.io/component"] === "nats";

export const podKey = (pod: V1Pod): string => `${pod.metadata?.namespace}/${pod.metadata?.name}`;
