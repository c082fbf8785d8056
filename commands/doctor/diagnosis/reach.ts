import type { ConnectProblem } from "../../../contract/errors";
import { LOCATIONS } from "../../../contract/facts";
import type { Answer, Evidence } from "../evidence";
import { renewal, SAYS_ENDED } from "./certificate";
import { putBack } from "./releases";
import { isOurs, update, writeUsers } from "./update";
import { failuresExplainedBy, keyOfFailing } from "./failing";
import { grouped } from "./trouble";
import { finding, run, say, type DiagnosisRule, type Finding, type FindingId, type Step } from "./finding";

const CLUSTER_PROBLEMS: readonly ConnectProblem[] = ["bad-kubeconfig", "cluster-unreachable", "cluster-login"];

/** Every answer that failed, whatever was asked. */
function failures({ namespaces, environment, nats, gateway }: Evidence): Extract<Answer<unknown>, { ok: false }>[] {
  const all: Answer<unknown>[] = [
    ...Object.values(namespaces),
    ...Object.values(environment).filter((each) => each !== undefined),
    nats,
    ...(gateway?.probes ?? []),
  ];
  return all.filter((each) => !each.ok);
}

/** The configuration cannot be used: every update fails before it starts. */
export const configuration: DiagnosisRule = (evidence) =>
  evidence.configProblem === undefined
    ? []
    : [
        finding("configuration", "The stack's configuration is wrong, so that no update can start", {
          evidence: [evidence.configProblem],
          remedy: [say("Set what the message names, then update:"), update(evidence)],
        }),
      ];

/** Without the cluster's API nothing else can be asked. */
export const cluster: DiagnosisRule = (evidence) => {
  const asked = Object.values(evidence.namespaces);
  const reached = asked.some((each) => each.ok);
  // An API that leaves every question without an answer is as good as none.
  const silent = asked.find((each) => !reached && !each.ok && each.problem === "no-answer");
  const failed =
    failures(evidence).find(({ problem }) => CLUSTER_PROBLEMS.includes(problem)) ??
    (silent?.ok === false ? { ...silent, problem: "cluster-unreachable" as const } : undefined);
  // A single slow answer among others that came does not make the cluster unreachable.
  if (!failed || (reached && failed.problem === "cluster-unreachable")) return [];
  const { stack, kubectl } = evidence;
  const remedies: Partial<Record<ConnectProblem, { title: string; remedy: Step[] }>> = {
    "bad-kubeconfig": {
      title: "The stack's cluster cannot be found: its kubeconfig is missing or wrong",
      remedy: [
        say("Name the kubeconfig and the context that the stack is deployed with:"),
        run(`pulumi config set kubeconfig ~/.kube/config --stack ${stack}`),
        run(`pulumi config set kubeContext NAME --stack ${stack}`),
      ],
    },
    "cluster-unreachable": {
      title: "The cluster's API cannot be reached",
      remedy: [
        say("Is the cluster running, and does the way there stand (VPN, authorised networks, proxy)?"),
        run(`${kubectl} cluster-info`),
        say("kind: `docker ps` shows its node, and `kind export kubeconfig --name noetl` its present address."),
      ],
    },
    "cluster-login": {
      title: "The cluster's API does not accept the kubeconfig's login",
      remedy: [
        say(
          "Log in again: on GKE with `gcloud container clusters get-credentials`, on kind with `kind export kubeconfig`.",
        ),
        run(`${kubectl} auth whoami`),
      ],
    },
  };
  const known = remedies[failed.problem];
  return known ? [finding(failed.problem, known.title, { evidence: [failed.message], remedy: known.remedy })] : [];
};

/** What the kubeconfig's user may not do. */
export const forbidden: DiagnosisRule = (evidence) => {
  const messages = [
    ...new Set(failures(evidence).flatMap((each) => (each.problem === "forbidden" ? each.message : []))),
  ];
  return messages.map((message) => {
    const portForward = message.includes("portforward");
    const namespace = /(?:namespace|pod|Service|Deployment|Secret|ConfigMap|StatefulSet) ([a-z0-9-]+)/.exec(
      message,
    )?.[1];
    const [, verbs = "get", resource = "pods"] = /its role needs (.+) on (\S+)$/.exec(message) ?? [];
    const at = `${evidence.kubectl} -n ${namespace ?? LOCATIONS.nats.namespace}`;
    return finding(
      portForward ? "forbidden-port-forward" : "forbidden",
      portForward ? "The kubeconfig's user may not open a port-forward" : "The kubeconfig's user lacks a permission",
      {
        evidence: [message],
        remedy: [
          say("Whoever administers the cluster grants it:"),
          run(`${at} create role noetl-nats-doctor --verb=${verbs.replace(/,? and |, /g, ",")} --resource=${resource}`),
          run(`${at} create rolebinding noetl-nats-doctor --role=noetl-nats-doctor --user=NAME`),
        ],
      },
    );
  });
};

/** One way in which NATS cannot be asked: what it is called and what to do. */
type NatsProblem = (evidence: Evidence) => {
  readonly title: string;
  readonly remedy: readonly Step[];
  readonly more?: readonly string[];
  /** Default: the problem itself. */
  readonly id?: FindingId;
};

const natsPods = ({ kubectl }: Evidence, what: string): Step =>
  run(`${kubectl} -n ${LOCATIONS.nats.namespace} ${what}`);
const natsLog = (evidence: Evidence): Step => natsPods(evidence, `logs ${LOCATIONS.nats.pod} -c nats --tail 50`);
/** Whether the stack installs NATS; of somebody else's server only they know where it runs. */
const serverRuns = ({ namespaces: { nats } }: Evidence): boolean =>
  nats?.ok === true && nats.value.pods.some(({ owner, ready }) => owner === LOCATIONS.nats.service && ready);

/** Where servers of the stack speak TLS otherwise than its settings say. */
const unfinishedTls = (evidence: Evidence): readonly Step[] => [
  say("An update that changed `natsTls` did not finish, or somebody changed the server. Finish it:"),
  update(evidence),
];

/** What of TLS fails, by our own words and those of Node and OpenSSL; the first that fits counts. */
const TLS_PROBLEMS: readonly {
  readonly says: RegExp;
  /** Default: tls. */
  readonly id?: FindingId;
  readonly title: string;
  remedy(this: void, evidence: Evidence): readonly Step[];
}[] = [
  {
    says: /demands TLS/,
    title: "The NATS server demands TLS, which the stack's connections do not speak",
    remedy: (evidence) =>
      isOurs(evidence)
        ? unfinishedTls(evidence)
        : [
            say(
              "Set `natsTls` to provided, and `natsTlsCa` to the authority that has signed its certificate where that is not a public " +
                "one, or correct `natsHost`, `natsPort`. Then:",
            ),
            update(evidence),
          ],
  },
  {
    says: /offers no TLS/,
    title: "The NATS server offers no TLS, which the connection asks for",
    remedy: (evidence) =>
      isOurs(evidence)
        ? unfinishedTls(evidence)
        : [say("Give the server a certificate (`tls` in its configuration), or set the stack's `natsTls` to off.")],
  },
  {
    says: SAYS_ENDED,
    id: "certificate-ends",
    title: "The certificate of the NATS server has expired",
    remedy: renewal,
  },
  {
    says: /not valid yet/,
    title: "The certificate of the NATS server is not valid yet",
    remedy: () => [say("Set the clock of this machine, or of the one that made the certificate.")],
  },
  {
    says: /for another name|altnames|cert's (CN|list)/,
    title: "The certificate of the NATS server is for another host name",
    remedy: (evidence) => [
      say(
        isOurs(evidence)
          ? "Let it carry the names that clients connect by (docs/tls.md)."
          : "Connect by a name that it carries (`natsHost`), or let it carry the name that is connected to.",
      ),
    ],
  },
  {
    says: /self[- ]signed|issuer|unable to verify|authority/i,
    title: "The certificate of the NATS server comes from an authority that is not trusted here",
    remedy: (evidence) =>
      isOurs(evidence)
        ? [
            say("The Secret of the server and what the last update found differ. An update reads it again:"),
            update(evidence),
          ]
        : [
            say("Set `natsTlsCa` to the authority that has signed it, or have it signed by a known one. Then:"),
            update(evidence),
          ],
  },
];

/** The others are reported by the rules about the cluster. */
const NATS_PROBLEMS: Record<Exclude<ConnectProblem, "bad-kubeconfig" | "cluster-login" | "forbidden">, NatsProblem> = {
  "cluster-unreachable": (evidence) => ({
    title: "The cluster's API answers, and opens no way to NATS",
    remedy: [
      say(
        "The API reaches a pod through its node's kubelet (on GKE through the konnectivity agents): see whether they run.",
      ),
      run(`${evidence.kubectl} get nodes`),
      natsPods(evidence, `port-forward pod/${LOCATIONS.nats.pod} 4222`),
    ],
  }),
  "no-pod": (evidence) => ({
    title: serverRuns(evidence)
      ? "NATS runs, and its Service does not lead to it: nothing finds it by its name"
      : "NATS is not installed where the stack expects it",
    remedy: [
      ...(evidence.missingOutputs.length > 0
        ? [say("An update that failed on the way goes on where it stopped:"), update(evidence)]
        : [say("What was deleted by hand comes back with:"), ...putBack(evidence, "nats")]),
      natsPods(evidence, "get pods,services,statefulsets"),
    ],
  }),
  "pod-not-ready": (evidence) => ({
    title: "No NATS pod is ready",
    remedy: [say("See why:"), natsPods(evidence, `describe pod ${LOCATIONS.nats.pod}`)],
  }),
  "host-unknown": () => ({
    title: "The NATS server's host name is unknown",
    remedy: [say("Correct the stack's `natsHost`, or look at the resolver of this machine.")],
  }),
  refused: (evidence) => ({
    title: "NATS refuses the connection: nothing listens on its port",
    remedy: isOurs(evidence)
      ? [say("The pod runs and the server in it does not, or listens elsewhere:"), natsLog(evidence)]
      : [say("Start the server, or correct the stack's `natsHost` and `natsPort`.")],
  }),
  closed: (evidence) => ({
    title: "NATS closes the connection before it answers",
    remedy: isOurs(evidence)
      ? [say("It may be restarting, or at its limit of connections:"), natsLog(evidence)]
      : [say("It may be restarting, or at its limit of connections: its log tells.")],
  }),
  "no-nats": () => ({
    title: "What answers at the NATS server's address is not a NATS server",
    remedy: [say("Correct the stack's `natsHost` and `natsPort`.")],
  }),
  tls: (evidence) => {
    const message = evidence.nats.ok ? "" : evidence.nats.message;
    const known = TLS_PROBLEMS.find(({ says }) => says.test(message));
    if (!known) return { title: "TLS with NATS fails", remedy: [say("The message ends with OpenSSL's own words.")] };
    return { title: known.title, remedy: known.remedy(evidence), id: known.id };
  },
  "bad-credentials": () => ({
    title: "The credentials for NATS cannot be used",
    remedy: [say("Take the file that `nsc` or the account's owner made.")],
  }),
  "wrong-password": (evidence) => {
    const { passwordAsDeployed: same, user } = evidence;
    if (same === false) {
      return {
        title: "NATS has another password than the stack: an update that changed it did not finish",
        more: ["the Secret that NATS is deployed with does not hold the password that the stack put out"],
        remedy: [say("Finish the update; it rolls all pods onto one password:"), update(evidence)],
      };
    }
    if (same === true) {
      return {
        title: "NATS still runs with a password that its Secret no longer holds",
        more: ["the Secret that NATS is deployed with holds the password that the stack put out"],
        remedy: [
          say("A server reads its password when it starts:"),
          natsPods(evidence, `rollout restart statefulset/${LOCATIONS.nats.service}`),
        ],
      };
    }
    return {
      title: `NATS does not accept the login of user ${user}`,
      remedy: [
        say("Set the password that the server was given, then update; it rolls all pods onto it:"),
        run(`pulumi config set --secret natsPassword --stack ${evidence.stack}`),
        update(evidence),
      ],
    };
  },
  "missing-permission": (evidence) => ({
    title: "The NATS user lacks a permission",
    remedy: isOurs(evidence)
      ? writeUsers(evidence)
      : [
          say(
            "Grant it in the server's configuration. NoETL's user needs at least publish and subscribe on: " +
              "$JS.API.>, $JS.ACK.>, $KV.>, $O.>, _INBOX.>, and NATS_SUBJECT.",
          ),
        ],
  }),
  "jetstream-off": (evidence) => ({
    title: "JetStream is off, so that there can be no stream",
    remedy: isOurs(evidence)
      ? [say("An update switches it on:"), update(evidence)]
      : [
          say(
            "Set `jetstream` in the server's configuration and, where it has accounts, for the account of the user; at a leaf node, whose hub " +
              "has the stream, name the hub's domain instead (`default_js_domain`).",
          ),
        ],
  }),
  "jetstream-unavailable": (evidence) => ({
    title: "JetStream does not answer: its cluster has no leader, or a stream is still being recovered",
    remedy: isOurs(evidence)
      ? [
          say("A cluster needs more than half of its servers:"),
          natsPods(evidence, "get pods -o wide"),
          natsLog(evidence),
        ]
      : [
          say("A cluster needs more than half of its servers; with a user of its system account:"),
          run("nats server report jetstream"),
        ],
  }),
  "no-answer": (evidence) => ({
    title: "The connection to NATS stands, and no answer comes in time",
    remedy: isOurs(evidence)
      ? [
          say("A firewall or a proxy in between, or an overloaded server:"),
          natsPods(evidence, `top pod ${LOCATIONS.nats.pod}`),
          natsLog(evidence),
        ]
      : [say("A firewall or a proxy in between, or an overloaded server: its log tells.")],
  }),
  "refused-request": () => ({
    title: "NATS refuses to tell about the stream",
    remedy: [say("The message holds its own words and code.")],
  }),
};

/** Why NATS cannot be asked, where it cannot. What a broken pod explains is left to the pod's own finding. */
export const natsConnection: DiagnosisRule = (evidence, explained): Finding[] => {
  const { nats } = evidence;
  if (nats.ok) return [];
  if ((nats.problem === "pod-not-ready" || nats.problem === "no-pod") && explained.has("nats")) return [];
  const { problem } = nats;
  if (problem === "bad-kubeconfig" || problem === "cluster-login" || problem === "forbidden") return [];
  const known = NATS_PROBLEMS[problem](evidence);
  const explains = [
    "nats",
    ...(problem === "no-pod" ? [`workload ${LOCATIONS.nats.namespace}/${LOCATIONS.nats.service}`] : []),
    // Without JetStream there is no stream, whatever NoETL says of it.
    ...(/^jetstream-/.test(problem) ? ["contract", keyOfFailing("publish"), keyOfFailing("fetch")] : []),
  ];
  const failing = failuresExplainedBy(evidence, explains).map(({ pod, line, at }) => ({
    pod,
    line: { text: line, at },
  }));
  return [
    finding(known.id ?? problem, known.title, {
      evidence: [nats.message, ...(known.more ?? []), ...grouped(failing)],
      remedy: known.remedy,
      explains,
    }),
  ];
};
