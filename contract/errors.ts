import { harmless } from "./mask/harmless";

/** How long an error is worth another try: see {@link PROBLEMS}. */
export type Patience = "none" | "brief" | "deadline";

interface Problem {
  /** What it means, for the documentation. */
  readonly means: string;
  /** What to do about it, for the documentation. */
  readonly remedy: string;
  /**
   * Never tried again, or for ten seconds (it may be a hiccup, but is more likely a wrong setting), or until the check's
   * deadline (it is what a deployment that is still starting looks like).
   */
  readonly patience: Patience;
}

/** What keeps a check from asking its questions. */
export const PROBLEMS = {
  "bad-kubeconfig": {
    means: "the kubeconfig is missing, unreadable, or lacks the context",
    remedy: "set `kubeconfig` and `kubeContext`, or log in to the cluster again",
    patience: "none",
  },
  "cluster-unreachable": {
    means: "the Kubernetes API does not answer",
    remedy: "check the VPN, the cluster and the address in the kubeconfig",
    patience: "brief",
  },
  "cluster-login": {
    means: "the Kubernetes API does not accept the kubeconfig's login",
    remedy: "renew the kubeconfig's credentials",
    patience: "none",
  },
  forbidden: {
    means: "the kubeconfig's user may not read Service or pods, or not open a port-forward",
    remedy: "grant get on services, get and list on pods, create and get on pods/portforward in the NATS namespace",
    patience: "none",
  },
  "no-pod": {
    means: "there is no such Service or pod, or no pod behind the Service",
    remedy: "deploy NATS, or correct namespace, service and pod of the connection",
    patience: "brief",
  },
  "pod-not-ready": {
    means: "the NATS pods are there and none is ready; the message names what their containers wait for",
    remedy: "look at the pods: events, logs, volume",
    patience: "deadline",
  },
  "host-unknown": {
    means: "the server's host name does not resolve",
    remedy: "correct `natsHost`, or the resolver",
    patience: "brief",
  },
  refused: {
    means: "the connection is refused: nothing listens there",
    remedy: "start NATS, or correct host and port",
    patience: "deadline",
  },
  closed: {
    means: "the connection broke before the answer came",
    remedy: "look at the server's log: it may be restarting",
    patience: "deadline",
  },
  "no-nats": {
    means: "what answers there is not a NATS server",
    remedy: "correct host and port",
    patience: "none",
  },
  tls: {
    means:
      "TLS failed: demanded or missing on one side only, or the certificate is expired, for another name or untrusted",
    remedy:
      "set `connection.tls` (`ca`, `serverName`), of a stack `natsTls` and `natsTlsCa`, or renew the server's certificate",
    patience: "none",
  },
  "bad-credentials": {
    means: "the credentials file is missing or is not one, or the NKey's seed is not one",
    remedy: "give the content or the path of the file that `nsc` or the account's owner made",
    patience: "none",
  },
  "wrong-password": {
    means: "NATS does not accept the login",
    remedy: "take the password from the Secret that NATS was deployed with",
    patience: "none",
  },
  "missing-permission": {
    means: "the login may not ask; the message names the subjects",
    remedy: "grant the subjects, or let another user check",
    patience: "none",
  },
  "jetstream-off": {
    means: "JetStream is off for the account of the login, or for the whole server",
    remedy:
      "enable JetStream for the account (`accounts { A { jetstream: enabled } }`), or for the server; at a leaf node name the domain of the hub that has the stream (`default_js_domain: {A: DOMAIN}`), or connect to the hub",
    patience: "none",
  },
  "jetstream-unavailable": {
    means: "JetStream is on and nobody answers for it: a cluster without a leader, a stream that is being recovered",
    remedy: "wait, or bring the missing servers back",
    patience: "deadline",
  },
  "no-answer": {
    means: "the connection stands, and no answer came in time; the message says what was waited for",
    remedy: "look for a firewall, a proxy or an overloaded server in between",
    patience: "deadline",
  },
  "refused-request": {
    means: "NATS refused a request; its own words and code follow",
    remedy: "as the words say",
    patience: "none",
  },
} as const satisfies Record<string, Problem>;

export type ConnectProblem = keyof typeof PROBLEMS;

/** The check could not be made. Its message names what was tried and what to do; it never holds a credential. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";

  constructor(
    readonly problem: ConnectProblem,
    message: string,
  ) {
    // A server's own words stand in it.
    super(harmless(message));
  }

  get patience(): Patience {
    return PROBLEMS[this.problem].patience;
  }
}

/** Whether nobody answers: what is asked about has no leader, or its one server is away, of which a cluster tells nothing soon. */
export const isSilence = (error: unknown): error is ConnectError =>
  error instanceof ConnectError && (error.problem === "no-answer" || error.problem === "jetstream-unavailable");
