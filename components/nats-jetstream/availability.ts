/** Values of the chart nats/nats that let a cluster outlive a node, and a roll of its servers. Why: docs/decisions/0017-three-servers.md. */
import { LOCATIONS } from "../../contract/facts";

/** How firmly servers stay apart: `required` leaves one without a node of its own waiting, `preferred` puts two on one. */
export type HostSpread = "required" | "preferred";

/** How long a server that is asked to stop waits for the others to be in step, in seconds. */
export const STEP_SECONDS = 60;
/** `lame_duck_grace_period` and `lame_duck_duration` of the chart's nats.conf together, in seconds. */
const LAME_DUCK_SECONDS = 40;
/** For the last connections, and for writing what is in memory to disk, in seconds. */
const SHUTDOWN_SECONDS = 20;

/**
 * What a server of a cluster does before it stops: it waits until every other one says that all streams and consumers on it are
 * current, at most `seconds`, and then enters lame duck mode, in which it gives up the leadership of its groups and lets its
 * clients go one by one. Without the wait a roll could stop the second server while the first is still empty; the limit keeps a
 * consumer that never gets current, a client's own, from holding a node's drain up.
 *
 * @param peers Monitoring addresses of all servers, `host:port`; `self` is a pattern of the shell for its own.
 */
export function stopScript(peers: readonly string[], self: string, seconds = STEP_SECONDS): string {
  return [
    `end=$(($(date +%s) + ${seconds}))`,
    `for peer in ${peers.join(" ")}; do`,
    `  case $peer in ${self}) continue ;; esac`,
    `  until wget -q -T 2 -O /dev/null "http://$peer/healthz" || [ "$(date +%s)" -ge "$end" ]; do sleep 1; done`,
    "done",
    "exec nats-server -sl=ldm=/var/run/nats/nats.pid",
  ].join("\n");
}

/** Of the server's container, over the chart's. */
export function containerAvailability(servers: number): Record<string, unknown> {
  const { service, monitorPort } = LOCATIONS.nats;
  const peers = Array.from({ length: servers }, (_, index) => `${service}-${index}.${service}-headless:${monitorPort}`);
  return {
    // The chart asks for every stream and consumer, and has a server killed for a client's consumer that is not current.
    startupProbe: { httpGet: { path: "/healthz?js-server-only=true" } },
    lifecycle:
      servers > 1 ? { preStop: { exec: { command: ["sh", "-c", stopScript(peers, `"$POD_NAME".*`)] } } } : undefined,
  };
}

/** Of the pod's template, over the chart's; nothing for a lone server. */
export function podAvailability(servers: number, spread: HostSpread): Record<string, unknown> {
  if (servers === 1) return {};
  const term = {
    topologyKey: "kubernetes.io/hostname",
    labelSelector: { matchLabels: { "app.kubernetes.io/name": "nats", "app.kubernetes.io/component": "nats" } },
  };
  return {
    terminationGracePeriodSeconds: STEP_SECONDS + LAME_DUCK_SECONDS + SHUTDOWN_SECONDS,
    affinity: {
      podAntiAffinity:
        spread === "required"
          ? { requiredDuringSchedulingIgnoredDuringExecution: [term] }
          : { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] },
    },
  };
}
