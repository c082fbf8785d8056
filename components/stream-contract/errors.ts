/** What keeps a check from asking its questions. */
export type ConnectProblem =
  | "bad-kubeconfig"
  | "cluster-unreachable"
  | "cluster-login"
  | "forbidden"
  | "no-pod"
  | "pod-not-ready"
  | "host-unknown"
  | "refused"
  | "closed"
  | "no-nats"
  | "tls"
  | "wrong-password"
  | "missing-permission"
  | "jetstream-off"
  | "jetstream-unavailable"
  | "no-answer"
  | "refused-request";

/**
 * How long an error is worth another try: never, for a short while (it may be a hiccup, but is more likely a wrong
 * setting), or until the check's deadline (it is what a deployment that is still starting looks like).
 */
export type Patience = "none" | "brief" | "deadline";

const PATIENCE: Readonly<Record<ConnectProblem, Patience>> = {
  "bad-kubeconfig": "none",
  "cluster-unreachable": "brief",
  "cluster-login": "none",
  forbidden: "none",
  "no-pod": "brief",
  "pod-not-ready": "deadline",
  "host-unknown": "brief",
  refused: "deadline",
  closed: "deadline",
  "no-nats": "none",
  tls: "none",
  "wrong-password": "none",
  "missing-permission": "none",
  "jetstream-off": "none",
  "jetstream-unavailable": "deadline",
  "no-answer": "deadline",
  "refused-request": "none",
};

/** The check could not be made. Its message names what was tried and what to do; it never holds a credential. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";

  constructor(
    readonly problem: ConnectProblem,
    message: string,
  ) {
    super(message);
  }

  get patience(): Patience {
    return PATIENCE[this.problem];
  }
}
