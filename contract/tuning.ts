/** How the worker's pulls fit together. */

/** The shortest idle heartbeat of a pull, in seconds. */
export const SHORTEST_HEARTBEAT_SECONDS = 0.1;

/**
 * What is wrong with a heartbeat, in words that follow "is"; undefined where all is well. Times in seconds.
 *
 * nats-server refuses a heartbeat above half of the pull's expiry, and NoETL's client asks for a little less than the timeout:
 * with exactly half of it every pull is answered `400 Bad Request - heartbeat value too large`, and no command ever arrives.
 */
export function tuningProblem(tuning: {
  fetchTimeoutSeconds: number;
  fetchHeartbeatSeconds: number;
}): string | undefined {
  return tuning.fetchHeartbeatSeconds * 2 < tuning.fetchTimeoutSeconds
    ? undefined
    : `not less than half of the fetch timeout (${tuning.fetchTimeoutSeconds} s), and nats-server refuses every such pull`;
}
