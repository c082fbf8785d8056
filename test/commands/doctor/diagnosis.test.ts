import fc from "fast-check";
import { demandsTls, offersNoTls } from "../../../contract/nats/tls-errors";
import { describe, expect, it } from "vitest";
import { ConfigError, parseSettings } from "../../../config/parse";
import { checklist } from "../../../commands/doctor/checklist";
import { diagnose, FINDINGS, inWordsOf, type FindingId } from "../../../commands/doctor/diagnosis";
import type {
  Answer,
  CheckFacts,
  Evidence,
  ExecutionFacts,
  GatewayFacts,
  NamespaceFacts,
  NatsFacts,
  Part,
  PodFacts,
  ProbeFacts,
  ReleaseFacts,
  RepairFacts,
  ServiceFacts,
  Standstill,
  WorkloadFacts,
} from "../../../commands/doctor/evidence";
import { DEFAULTS } from "../../../contract/defaults";
import { diagnosisText } from "../../../commands/doctor/present";
import { targetOf } from "../../../commands/doctor/target";
import { readProject } from "../../support/markdown";
import { CARRIED_OUT, onlyShows } from "./carried-out";
import { complaintsAbout } from "./command-shapes";
import { container, crashing, healthy, lines, namespace, nats, NOW, pod, workload } from "./evidence";

type Problem = Extract<Answer<unknown>, { ok: false }>["problem"];

const failed = (problem: Problem, message: string) => ({ ok: false, problem, message }) as const;
const natsFails = (problem: Problem, message: string, more: Partial<Evidence> = {}): Evidence =>
  healthy({ nats: failed(problem, message), ...more });
const natsSays = (value: NatsFacts, more: Partial<Evidence> = {}): Evidence =>
  healthy({ nats: { ok: true, value }, ...more });

/** The healthy deployment with one part's namespace changed. */
function inPart(part: Part, changes: Partial<NamespaceFacts>, more: Partial<Evidence> = {}): Evidence {
  const evidence = healthy(more);
  const found = evidence.namespaces[part];
  const value = { ...(found?.ok ? found.value : namespace(part)), ...changes };
  return { ...evidence, namespaces: { ...evidence.namespaces, [part]: { ok: true, value } } };
}

const SERVER = pod("noetl-server-1", "noetl-server");
const WORKER = pod("noetl-worker-1", "noetl-worker");
/** NoETL's namespace with this server and this worker. */
const noetl = (server: PodFacts, worker: PodFacts, more: Partial<Evidence> = {}): Evidence =>
  inPart("noetl", { pods: [server, worker] }, more);
const saying = (base: PodFacts, ...log: string[]): PodFacts => ({
  ...base,
  containers: [container({ log: lines(log) })],
});
/** A Job whose first pod failed, and whose second did not. */
const secondAttempt = (reason: string): Evidence =>
  inPart("postgres", {
    workloads: [workload("postgres-schema", 1, { kind: "Job", namespace: "postgres" })],
    pods: [
      crashing("postgres-schema-x", "postgres-schema", ["password authentication failed"], {
        phase: "Failed",
        containers: [container({ ready: false, ended: { reason, exitCode: 137, message: "" } })],
      }),
      pod("postgres-schema-y", "postgres-schema", { phase: "Succeeded", ready: false }),
    ],
  });
/** A ready pod that said this so many seconds ago. */
const saidAgo = (base: PodFacts, secondsAgo: number, ...log: string[]): PodFacts => ({
  ...base,
  containers: [container({ log: lines(log, secondsAgo) })],
});
const crashingServer = (...log: string[]): PodFacts => crashing("noetl-server-1", "noetl-server", log);
const crashingWorker = (...log: string[]): PodFacts => crashing("noetl-worker-1", "noetl-worker", log);
const crashingGateway = (...log: string[]): PodFacts => crashing("gateway-1", "gateway", log, { namespace: "gateway" });
const unready = (base: PodFacts, changes: Partial<PodFacts> = {}): PodFacts => ({
  ...base,
  ready: false,
  containers: [container({ ready: false })],
  ...changes,
});
const waiting = (base: PodFacts, reason: string, message = ""): PodFacts =>
  unready(base, { phase: "Pending", containers: [container({ ready: false, waiting: { reason, message } })] });

/** A worker whose container is still being made, with what its kubelet says. */
const mounting = (words: string): Evidence =>
  inPart("noetl", { pods: [SERVER, waiting(WORKER, "ContainerCreating")], warnings: [`Pod/noetl-worker-1: ${words}`] });

const EVICTED = {
  namespace: "noetl",
  name: "noetl-worker-gone",
  owner: "noetl-worker",
  why: "Evicted: The node was low on resource: memory.",
  at: NOW - 3_600_000,
};
const ENDING = {
  namespace: "nats",
  name: "nats-0",
  owner: "nats",
  overdueSeconds: 400,
  node: "node-1",
  finalizers: [],
};
const SET_LACKS = { workloads: [workload("nats", 0, { kind: "StatefulSet", namespace: "nats" })] };
/** As a cluster shows a pod whose node has gone: its kubelet's last words are that all is well. */
const LOST_NATS = pod("nats-0", "nats", { namespace: "nats", ready: false, node: "node-1" });
const ON_LOST_NODE = { ...SET_LACKS, pods: [LOST_NATS], warnings: ["Pod/nats-0: NodeNotReady: Node is not ready"] };

const release = (changes: Partial<ReleaseFacts>): Partial<NamespaceFacts> => ({
  releases: [
    {
      namespace: "noetl",
      name: "noetl",
      revision: 2,
      status: "pending-upgrade",
      ageSeconds: 600,
      description: "",
      ...changes,
    },
  ],
});

/** What Helm keeps of an upgrade with a larger volume. */
const GROWN =
  'Upgrade "nats" failed: cannot patch "nats" with kind StatefulSet: StatefulSet.apps "nats" is invalid: spec: Forbidden: ' +
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy' are forbidden";

/** What the scheduler says of a pod whose claim has no volume. */
const UNBOUND = "Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";

const ORIGIN = "http://localhost:3000";
const probe = (changes: Partial<ProbeFacts>): Answer<ProbeFacts> => ({
  ok: true,
  value: {
    request: "POST /api/auth/validate",
    by: "pod gateway/gateway-1",
    status: 401,
    allowOrigin: ORIGIN,
    body: "",
    ...changes,
  },
});
const without = (changes: Partial<ProbeFacts>): Answer<ProbeFacts> => {
  const found = probe(changes) as { ok: true; value: ProbeFacts };
  const { allowOrigin: _, ...value } = found.value;
  return { ok: true, value };
};
const gateway = (probes: GatewayFacts["probes"], outside: GatewayFacts["probes"] = [], origin = ORIGIN): Evidence =>
  healthy({ gateway: { origin, allowedOrigins: [ORIGIN], probes, outside } });
const PREFLIGHT = { request: "OPTIONS /api/auth/validate", status: 200 };
const OUTSIDE = { by: "https://gateway.example.com" };

const DAY = 24 * 3_600_000;
const TLS = "TLS with NATS at nats.example:4222 failed: ";
const CERTIFICATE = "the certificate of NATS at nats.example:4222 ";
/** The parts of a stack that uses another NATS. */
const elsewhere = (): Evidence["namespaces"] => {
  const { nats: _nats, ...others } = healthy().namespaces;
  return others;
};
/** What a server of NATS wrote so many seconds ago. */
const natsWrote = (line: string, secondsAgo: number, more: Partial<Evidence> = {}): Evidence =>
  inPart("nats", { pods: [saidAgo(pod("nats-0", "nats", { namespace: "nats" }), secondsAgo, line)] }, more);
const FULL_DISK =
  "[ERR] JetStream failed to store a msg on stream '$G > NOETL_COMMANDS': write /data/jetstream/$G/streams/NOETL_COMMANDS/msgs/1.blk: " +
  "no space left on device";
const BROKEN_DISK =
  "[ERR] JetStream failed to store a msg on stream 'A > OTHER': write /data/1.blk: input/output error";
const WORK_QUEUE = "description='consumer must be deliver all on workqueue stream'";
const NO_RESPONSE = "Failed to publish command: nats: no response from stream";
const consumerSays = (changes: Partial<NatsFacts["consumers"][number]>): Evidence => {
  const facts = nats();
  return natsSays({ ...facts, consumers: facts.consumers.map((each) => ({ ...each, ...changes })) });
};

const FETCH = "ERROR Error fetching messages: nats: ServiceUnavailableError";
const LIMIT =
  "RuntimeError: Failed to create/validate consumer noetl_worker_pool: nats: BadRequestError: code=400 err_code=10121 " +
  "description='consumer max ack pending exceeds system limit of 10'";
const NOT_REGISTERED =
  '{"error":"Session validation API failed: Validate session failed: 404 Not Found - {\\"detail\\":\\"Credential not found: pg_auth\\"}"}';
const EMPTY: Evidence["namespaces"] = {
  nats: { ok: true, value: namespace("nats") },
  postgres: { ok: true, value: namespace("postgres") },
  noetl: { ok: true, value: namespace("noetl") },
};
const execution = (id: string, standstill: Standstill = "waits"): ExecutionFacts => ({
  id,
  path: "examples/hello",
  version: "3",
  issuedAt: NOW - 4_000_000,
  standstill,
  commands: /waits|parent/.test(standstill)
    ? [{ eventId: "630211190273835009", commandId: `${id}:start:7`, step: "start", issuedAt: NOW - 4_000_000 }]
    : [],
});
const withStream = (changes: Partial<NonNullable<NatsFacts["stream"]>>): NatsFacts => {
  const facts = nats();
  if (!facts.stream) throw new Error("there is no stream");
  return { ...facts, stream: { ...facts.stream, ...changes } };
};
const HOLDING: NonNullable<RepairFacts["holding"]> = {
  name: "NOETL_COMMANDS-repair",
  takes: ["noetl.commands"],
  messages: 7,
  host: "host-b",
  folder: "/home/x/repair",
  stack: "kind",
  begun: "2026-03-02T11:00:00Z",
};
const AT_WORK =
  "another repair of stream NOETL_COMMANDS is at work: root on host-b (process 7), since 2026-03-02T11:00:00Z";
/** The stream is gone, and the one of a repair has its subject. */
const duringRepair = (repair?: RepairFacts): NatsFacts =>
  nats(null, null, { overlapping: ["NOETL_COMMANDS-repair"], ...(repair ? { repair } : {}) });
const storedAt = (lastMessageAt: number): NatsFacts => withStream({ lastMessageAt });
const createdAt = (created: string): NatsFacts => withStream({ created });
const nobodyWaits = (): NatsFacts => {
  const facts = nats();
  return { ...facts, consumers: facts.consumers.map((each) => ({ ...each, waiting: 0 })) };
};

/** What the Auth Proxy writes (`--structured-logs`) where it cannot work, as its users report it. */
const REFRESH = 'failed to get instance: Refresh error: failed to get instance metadata (connection name = "p:r:i"): ';
const PROXY_TROUBLES: readonly (readonly [FindingId, string, string])[] = [
  [
    "proxy-permission",
    `${REFRESH}googleapi: Error 403: The client is not authorized to make this request., notAuthorized`,
    "roles/cloudsql.client",
  ],
  [
    "proxy-permission",
    `${REFRESH}Get "https://sqladmin.googleapis.com/sql": metadata: GCE metadata "instance/service-accounts/default/token" not defined`,
    "get serviceaccount cloud-sql-proxy",
  ],
  [
    "proxy-instance",
    `${REFRESH}googleapi: Error 404: The Cloud SQL instance does not exist., instanceDoesNotExist`,
    "ERROR failed to get instance",
  ],
  [
    "proxy-network",
    'failed to connect to instance: Dial error: failed to dial (connection name = "p:r:i"): dial tcp 10.30.0.3:3307: i/o timeout',
    "cloudSqlProxyEgressRule",
  ],
];

/** A stack on Cloud SQL whose proxy says something, and whose schema's Job fails because of it; or that works. */
function onCloudSql(message: string, works: boolean): Evidence {
  const line = `ERROR ${message}`;
  const pooler = namespace("pgbouncer", {
    pods: [
      pod("pgbouncer-1", "pgbouncer", {
        namespace: "pgbouncer",
        containers: [
          container({ name: "cloud-sql-proxy", init: true, log: lines([line]) }),
          container({ name: "pgbouncer" }),
        ],
      }),
    ],
    workloads: [workload("pgbouncer", 1, { namespace: "pgbouncer" })],
  });
  const trouble = works ? {} : { trouble: "BackoffLimitExceeded" };
  const evidence = inPart("postgres", {
    workloads: [workload("postgres-schema", works ? 1 : 0, { kind: "Job", namespace: "postgres", ...trouble })],
  });
  const namespaces = { ...evidence.namespaces, pgbouncer: { ok: true as const, value: pooler } };
  if (works) return { ...evidence, namespaces };
  const server = namespace("noetl", {
    pods: [WORKER],
    workloads: [workload("noetl-server", 0), workload("noetl-worker")],
  });
  return { ...evidence, namespaces: { ...namespaces, noetl: { ok: true, value: server } } };
}

const WITHOUT_WORKERS = {
  pods: [SERVER],
  workloads: [workload("noetl-server"), workload("noetl-worker", 0, { wanted: 0 })],
};
const NATS_RUNS = {
  pods: [pod("nats-0", "nats", { namespace: "nats" })],
  workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats" })],
};
const guard = (changes: Partial<WorkloadFacts> = {}): WorkloadFacts =>
  workload("contract-guard", changes.wanted ?? 1, { namespace: "nats", ...changes });
const NOETL_RUNS = { pods: [SERVER, WORKER], workloads: [workload("noetl-server"), workload("noetl-worker")] };
const POSTGRES_RUNS = {
  pods: [pod("postgres-0", "postgres", { namespace: "postgres" })],
  workloads: [workload("postgres", 1, { kind: "StatefulSet", namespace: "postgres" })],
};
const service = (changes: Partial<ServiceFacts> = {}): ServiceFacts => ({
  namespace: "noetl",
  name: "noetl",
  selector: "app=noetl",
  owners: ["noetl-server"],
  ports: [{ port: 8082, target: "8082", offered: true }],
  ...changes,
});
/** A worker that looks for the stream of a subject that the stack does not have. */
const OTHER_SUBJECT = ((): Evidence => {
  const failing = saidAgo(WORKER, 5, "ERROR Subscribe failed: nats: NotFoundError: code=None");
  const value = { name: "NATS_SUBJECT", value: "other", source: "literal", asDeployed: false };
  return noetl(SERVER, { ...failing, ready: false }, { environment: { "noetl-worker": { ok: true, value: [value] } } });
})();

interface Case {
  readonly id: FindingId;
  readonly severity?: "cause" | "note";
  readonly yields: Evidence;
  /** What evidence, title or remedy must say. */
  readonly says: string;
  /** A near miss, in words and as evidence. */
  readonly but: string;
  readonly misses: Evidence;
}

const CASES: readonly Case[] = [
  {
    id: "configuration",
    yields: healthy({ configProblem: 'natsPort is "x"' }),
    says: 'natsPort is "x"',
    but: "a configuration that can be used",
    misses: healthy(),
  },
  ...(["bad-kubeconfig", "cluster-login"] as const).map((id): Case => ({
    id,
    yields: natsFails(id, "no login"),
    says: "no login",
    but: "a NATS that does not accept its own login",
    misses: natsFails("wrong-password", "no login"),
  })),
  {
    id: "cluster-unreachable",
    yields: natsFails("cluster-unreachable", "the Kubernetes API answered 502 to: open a port-forward"),
    says: "kubelet",
    but: "a server that closes the connection",
    misses: natsFails("closed", "closed"),
  },
  {
    id: "cluster-unreachable",
    yields: natsFails("cluster-unreachable", "ECONNREFUSED", {
      namespaces: { nats: failed("cluster-unreachable", "ECONNREFUSED") },
    }),
    says: "VPN",
    but: "one slow answer among others",
    misses: healthy({
      namespaces: { ...healthy().namespaces, gateway: failed("cluster-unreachable", "answered 500") },
    }),
  },
  {
    id: "cluster-unreachable",
    yields: natsFails("no-answer", "waited 5 s for the Kubernetes API", {
      namespaces: {
        nats: failed("no-answer", "waited 10 s for the Kubernetes API"),
        noetl: failed("no-answer", "waited 10 s for the Kubernetes API"),
      },
    }),
    says: "VPN",
    but: "a NATS that leaves a question without an answer",
    misses: natsFails("no-answer", "waited for the info of the stream"),
  },
  {
    id: "unanswered",
    yields: healthy({ namespaces: { ...healthy().namespaces, gateway: failed("no-answer", "waited 10 s") } }),
    says: "waited 10 s",
    but: "what may not be read, which has a finding of its own",
    misses: healthy({
      namespaces: {
        ...healthy().namespaces,
        gateway: failed("forbidden", "user x may not list: its role needs list on pods"),
      },
    }),
  },
  {
    id: "forbidden",
    yields: healthy({
      namespaces: {
        ...healthy().namespaces,
        gateway: failed("forbidden", "user x may not list the pods of namespace gateway: its role needs list on pods"),
      },
    }),
    says: "-n gateway create role noetl-nats-doctor --verb=list --resource=pods",
    but: "a port-forward that is forbidden",
    misses: natsFails(
      "forbidden",
      "user x may not open a port-forward to pod nats/nats-0: its role needs create and get on pods/portforward",
    ),
  },
  {
    id: "forbidden-port-forward",
    yields: natsFails(
      "forbidden",
      "user x may not open a port-forward to pod nats/nats-0: its role needs create and get on pods/portforward",
    ),
    says: "--verb=create,get --resource=pods/portforward",
    but: "pods that may not be listed",
    misses: natsFails("forbidden", "user x may not list the pods of namespace nats: its role needs list on pods"),
  },
  ...(
    [
      ["no-pod", "there is no Service nats/nats"],
      ["host-unknown", "the host of nats.example is unknown"],
      ["refused", "ECONNREFUSED"],
      ["closed", "closed the connection"],
      ["no-nats", "is not a NATS server"],
      ["bad-credentials", "no such file"],
      ["missing-permission", "Permissions Violation"],
      ["jetstream-off", "JetStream is off"],
      ["jetstream-unavailable", "nobody answers for JetStream"],
      ["no-answer", "waited for the answer"],
      ["refused-request", "refused the info (10000)"],
    ] as const
  ).map(([id, message]): Case => ({
    id,
    yields: natsFails(id, message),
    says: message,
    but: "another reason for the same silence",
    misses: natsFails(id === "refused" ? "closed" : "refused", message),
  })),
  {
    id: "pod-not-ready",
    yields: natsFails("pod-not-ready", "no pod of NATS in namespace nats is ready"),
    says: "describe pod nats-0",
    but: "a pod whose own trouble has been reported",
    misses: inPart(
      "nats",
      { pods: [crashing("nats-0", "nats", ["bad config"], { namespace: "nats" })] },
      { nats: failed("pod-not-ready", "no pod of NATS in namespace nats is ready") },
    ),
  },
  ...(
    [
      [demandsTls("nats.example:4222").message, "natsTlsCa"],
      [offersNoTls("nats.example:4222").message, "`natsTls` to off"],
      [`${CERTIFICATE}is not valid yet, but from 2027-01-01`, "Set the clock"],
      [
        `${CERTIFICATE}is for another name: it is for other, and not for nats.example`,
        "Connect by a name that it carries",
      ],
      [`${CERTIFICATE}is from an authority that is not trusted (self-signed certificate)`, "natsTlsCa"],
      [`${TLS}ssl3_read_bytes:sslv3 alert bad record mac`, "bad record mac"],
      // Of a server that the stack installs.
      [demandsTls("pod nats/nats-0 port 4222").message, "did not finish", true],
      [offersNoTls("pod nats/nats-0 port 4222").message, "did not finish", true],
      [`${CERTIFICATE}is for another name: it is for other, and not for nats`, "docs/tls.md", true],
      [`${CERTIFICATE}is from an authority that is not trusted (self-signed certificate)`, "reads it again", true],
    ] as const
  ).map(([message, says, isOurs = false]): Case => ({
    id: "tls",
    yields: natsFails("tls", message, isOurs ? {} : { namespaces: elsewhere() }),
    says,
    but: "a connection that breaks without a word of TLS",
    misses: natsFails("closed", "closed the connection"),
  })),
  ...(
    [
      [undefined, "--signal reload", { namespaces: elsewhere() }],
      [{ natsTls: "generated" }, "pulumi up --stack kind"],
      [{ natsTls: "provided", secret: "own-tls" }, "create secret generic own-tls --from-file=tls.crt"],
      [{ natsTls: "cert-manager" }, "describe certificate.cert-manager.io nats-tls"],
      [undefined, "for whoever keeps that Secret to renew"],
    ] as const
  ).flatMap(([tls, says, more = {}]): Case[] => [
    {
      id: "certificate-ends",
      yields: natsFails("tls", `${CERTIFICATE}has expired on 2026-11-01`, { ...more, ...(tls ? { tls } : {}) }),
      says,
      but: "a certificate that is not valid yet",
      misses: natsFails("tls", `${CERTIFICATE}is not valid yet, but from 2027-01-01`),
    },
    {
      id: "certificate-ends",
      severity: "note",
      yields: healthy({ ...more, tls: { natsTls: "off", ...tls, ends: NOW + 30 * DAY - 1 } }),
      says,
      but: "a certificate that ends in 30 days",
      misses: healthy({ ...more, tls: { natsTls: "off", ...tls, ends: NOW + 30 * DAY } }),
    },
  ]),
  {
    id: "certificate-ends",
    // Where the log-in fails of something else first.
    yields: natsFails("wrong-password", "does not accept", { tls: { natsTls: "generated", ends: NOW } }),
    says: "renews it with an update",
    but: "a certificate that could not be looked at",
    misses: natsFails("wrong-password", "does not accept", { tls: { natsTls: "generated" } }),
  },
  {
    id: "wrong-password",
    yields: natsFails("wrong-password", "does not accept", { passwordAsDeployed: false }),
    says: "an update that changed it did not finish",
    but: "a user without a permission",
    misses: natsFails("missing-permission", "does not accept"),
  },
  {
    id: "wrong-password",
    yields: natsFails("wrong-password", "does not accept", { passwordAsDeployed: true }),
    says: "rollout restart statefulset/nats",
    but: "the same password, which is accepted",
    misses: healthy({ passwordAsDeployed: true }),
  },
  {
    id: "release-pending",
    yields: inPart("noetl", release({})),
    says: "helm --kube-context kind-noetl rollback noetl -n noetl",
    but: "a release that is deployed",
    misses: inPart("noetl", release({ status: "deployed" })),
  },
  {
    id: "release-pending",
    yields: inPart("noetl", release({ status: "pending-install", revision: 1 })),
    says:
      "The next one fails with `cannot re-use a name that is still in use` until you run:\n" +
      "helm --kube-context kind-noetl uninstall noetl -n noetl",
    but: "an installation that failed, which an update goes on with",
    misses: inPart("noetl", release({ status: "failed", revision: 1 })),
  },
  {
    id: "release-pending",
    yields: inPart("noetl", release({ status: "uninstalling" })),
    says:
      "The next one takes it for whole and brings nothing back, or fails with `has no deployed releases`, until you run:\n" +
      "helm --kube-context kind-noetl uninstall noetl -n noetl",
    but: "a release that is deployed",
    misses: inPart("noetl", release({ status: "deployed" })),
  },
  {
    id: "release-pending",
    severity: "note",
    yields: inPart("noetl", release({ ageSeconds: 40 })),
    says: "While an update runs, wait for it",
    but: "one that Helm has finished with",
    misses: inPart("noetl", release({ ageSeconds: 40, status: "deployed" })),
  },
  {
    id: "release-pending",
    severity: "note",
    // On GKE an update may wait fifteen minutes for nodes.
    yields: { ...inPart("noetl", release({ ageSeconds: 600 })), helmTimeoutSeconds: 900 },
    says: "While an update runs, wait for it",
    but: "one that Helm has given up",
    misses: { ...inPart("noetl", release({ ageSeconds: 901, status: "failed" })), helmTimeoutSeconds: 900 },
  },
  {
    id: "release-failed",
    yields: inPart("noetl", release({ status: "failed", description: "timed out waiting for the condition" })),
    says: "timed out waiting for the condition",
    but: "one that is being worked on",
    misses: inPart("noetl", release({ ageSeconds: 40 })),
  },
  {
    id: "release-failed",
    yields: inPart("nats", {
      ...release({ namespace: "nats", name: "nats", status: "failed", description: GROWN }),
      claims: [
        { namespace: "nats", name: "nats-js-nats-0", phase: "Bound", size: "5Gi" },
        { namespace: "nats", name: "nats-js-nats-1", phase: "Pending", size: "5Gi" },
        { namespace: "nats", name: "other", phase: "Bound" },
      ],
      workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats", volume: { size: "2Gi" } })],
    }),
    says:
      "Set natsJetstreamFileSize to 2Gi again, or give every claim the new one, which its StorageClass must allow, and recreate " +
      "the StatefulSet; its pods go on:\n" +
      `kubectl --context kind-noetl -n nats patch pvc nats-js-nats-0 -p '{"spec":{"resources":{"requests":{"storage":"5Gi"}}}}'\n` +
      "kubectl --context kind-noetl -n nats delete pvc nats-js-nats-1\n" +
      "kubectl --context kind-noetl -n nats delete statefulset nats --cascade=orphan\npulumi up",
    but: "one that failed of something else",
    misses: inPart("nats", release({ namespace: "nats", name: "nats", status: "deployed", description: GROWN })),
  },
  {
    id: "release-failed",
    yields: {
      ...inPart("nats", {
        ...release({ namespace: "nats", name: "nats", status: "failed", description: GROWN }),
        workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats", volume: { size: "8Gi" } })],
      }),
      natsVolume: { size: "5Gi", sizeSetting: "natsJetstreamSize" },
    },
    says: "and natsJetstreamSize asks for 5Gi.\npulumi config set natsJetstreamSize 8Gi --stack kind\npulumi up --stack kind",
    but: "one that was deployed after it",
    misses: inPart("nats", release({ namespace: "nats", name: "nats", status: "deployed", description: GROWN })),
  },
  ...[
    { present: { size: "5Gi" }, says: "pulumi config rm natsStorageClass --stack kind\npulumi up --stack kind" },
    {
      present: { size: "5Gi", storageClass: "slow" },
      says: "pulumi config set natsStorageClass slow --stack kind\npulumi up --stack kind",
    },
  ].map(({ present, says }): Case => ({
    id: "release-failed",
    yields: {
      ...inPart("nats", {
        ...release({ namespace: "nats", name: "nats", status: "failed", description: GROWN }),
        workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats", volume: present })],
      }),
      natsVolume: { size: "5Gi", storageClass: "fast", sizeSetting: "natsJetstreamFileSize" },
    },
    says,
    but: "one that was deployed after it",
    misses: inPart("nats", release({ namespace: "nats", name: "nats", status: "deployed", description: GROWN })),
  })),
  {
    id: "release-failed",
    severity: "note",
    yields: inPart("noetl", {
      ...release({ status: "failed" }),
      pods: [waiting(SERVER, "ImagePullBackOff"), WORKER],
    }),
    says: "When the causes are fixed",
    but: "one that was deployed after it",
    misses: inPart("noetl", release({ status: "deployed", revision: 3 })),
  },
  {
    id: "unfinished",
    yields: healthy({ missingOutputs: ["contract"] }),
    says: "no output contract",
    but: "a stack with all outputs",
    misses: healthy({ missingOutputs: [] }),
  },
  {
    id: "unfinished",
    severity: "note",
    yields: natsFails("refused", "ECONNREFUSED", { missingOutputs: ["contract"] }),
    says: "When the causes are fixed",
    but: "a cause in a stack whose update finished",
    misses: natsFails("refused", "ECONNREFUSED"),
  },
  {
    id: "not-deployed",
    yields: inPart("noetl", { workloads: [workload("noetl-server")] }),
    says: "there is no Deployment noetl/noetl-worker",
    but: "Deployments that may not be listed",
    misses: inPart("noetl", { workloads: [], unread: ["user x may not list the deployments of namespace noetl"] }),
  },
  {
    id: "environment",
    yields: healthy({
      environment: {
        gateway: { ok: true, value: [{ name: "NATS_URL", value: "nats://x", source: "literal", asDeployed: false }] },
      },
    }),
    says: "NATS_URL is nats://x",
    but: "a value that the stack does not set",
    misses: healthy({
      environment: { gateway: { ok: true, value: [{ name: "RUST_LOG", value: "debug", source: "literal" }] } },
    }),
  },
  {
    id: "claim-pending",
    yields: inPart("nats", {
      claims: [{ namespace: "nats", name: "nats-js-nats-0", phase: "Pending" }],
      warnings: ["PersistentVolumeClaim/nats-js-nats-0: ProvisioningFailed: no such class"],
    }),
    says:
      "pulumi config set natsStorageClass NAME --stack kind\nA claim is never changed: where you have named one, remove the claim, " +
      "which has no volume yet, and the StatefulSet that made it:\nkubectl --context kind-noetl -n nats delete statefulset nats --cascade=orphan\n" +
      "kubectl --context kind-noetl -n nats delete pod nats-0\n" +
      "kubectl --context kind-noetl -n nats delete pvc nats-js-nats-0\npulumi up",
    but: "a claim that waits for its first pod",
    misses: inPart("nats", { claims: [{ namespace: "nats", name: "nats-js-nats-0", phase: "Pending" }] }),
  },
  {
    id: "claim-pending",
    yields: inPart("nats", {
      claims: [{ namespace: "nats", name: "any-name", phase: "Pending" }],
      pods: [unready(pod("waits", "nats", { namespace: "nats", claims: ["any-name"], unscheduled: UNBOUND }))],
    }),
    says: "kubectl --context kind-noetl -n nats delete pod waits\nkubectl --context kind-noetl -n nats delete pvc any-name\n",
    but: "a claim beside one that a pod waits for",
    misses: inPart("nats", {
      claims: [{ namespace: "nats", name: "any-name", phase: "Pending" }],
      pods: [unready(pod("waits", "nats", { namespace: "nats", claims: ["other-name"], unscheduled: UNBOUND }))],
    }),
  },
  {
    id: "unscheduled",
    yields: noetl(SERVER, unready(WORKER, { unscheduled: "Unschedulable: 0/3 nodes are available" })),
    says: "0/3 nodes are available",
    but: "a pod that a node has taken",
    misses: noetl(SERVER, unready(WORKER)),
  },
  {
    id: "image",
    yields: noetl(SERVER, waiting(WORKER, "ErrImagePull", "not found")),
    says: "noetlImage",
    but: "a container that is still being made",
    misses: noetl(SERVER, waiting(WORKER, "ContainerCreating")),
  },
  {
    id: "container-config",
    yields: noetl(SERVER, waiting(WORKER, "CreateContainerConfigError", 'secret "gone" not found')),
    says: 'secret "gone" not found',
    but: "an image that is not there",
    misses: noetl(SERVER, waiting(WORKER, "ImagePullBackOff")),
  },
  {
    id: "container-config",
    yields: mounting('FailedMount: MountVolume.SetUp failed for volume "config" : configmap "noetl-config" not found'),
    says: 'configmap "noetl-config" not found',
    but: "a volume that another node still has",
    misses: mounting('FailedAttachVolume: Multi-Attach error for volume "pvc-1"'),
  },
  {
    id: "container-config",
    yields: mounting('FailedMount: MountVolume.SetUp failed for volume "login" : secret "noetl-login" not found'),
    says: 'secret "noetl-login" not found',
    but: "a pod that has its volumes by now, and waits for another thing",
    misses: inPart("noetl", {
      pods: [
        SERVER,
        {
          ...waiting(WORKER, "PodInitializing"),
          containers: [
            container({ name: "wait-for-api", init: true, ready: false, since: NOW - 60_000 }),
            container({ ready: false, waiting: { reason: "PodInitializing", message: "" } }),
          ],
        },
      ],
      warnings: [
        'Pod/noetl-worker-1: FailedMount: MountVolume.SetUp failed for volume "login" : secret "noetl-login" not found',
      ],
    }),
  },
  {
    id: "pods-missing",
    yields: inPart("noetl", {
      pods: [SERVER],
      evicted: [{ ...EVICTED, why: "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu" }],
      workloads: [workload("noetl-server"), workload("noetl-worker", 0)],
    }),
    says: "Node didn't have enough resource: cpu",
    but: "evicted pods that others have taken the place of",
    misses: inPart("noetl", { evicted: [EVICTED] }),
  },
  {
    id: "not-ready",
    yields: mounting('FailedAttachVolume: Multi-Attach error for volume "pvc-1"'),
    says: 'Multi-Attach error for volume "pvc-1"\nIt has not started, so that it has no log; its events tell',
    but: "a pod that has begun to be made",
    misses: noetl(SERVER, { ...waiting(WORKER, "ContainerCreating"), ageSeconds: 20 }),
  },
  ...(
    [
      [`pods "x" is forbidden: exceeded quota: small, requested: pods=1`, "describe resourcequota small"],
      [`pods "x" is forbidden: failed quota: small: must specify limits.cpu`, "describe resourcequota small"],
      [`pods "x" is forbidden: maximum memory usage per Container is 64Mi`, "describe limitrange"],
      [
        `pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot`,
        "get namespace noetl --show-labels",
      ],
      [`admission webhook "deny.example" denied the request`, "admission webhook"],
    ] as const
  ).map(([words, says]): Case => ({
    id: "pods-refused",
    yields: inPart("noetl", {
      workloads: [workload("noetl-server"), workload("noetl-worker", 0, { trouble: `FailedCreate: ${words}` })],
    }),
    says,
    but: "a Deployment that lacks a pod and is not refused one",
    misses: inPart("noetl", { workloads: [workload("noetl-server"), workload("noetl-worker", 0)] }),
  })),
  {
    id: "pods-refused",
    yields: inPart("nats", {
      pods: [],
      workloads: [workload("nats", 0, { kind: "StatefulSet", namespace: "nats" })],
      warnings: ["StatefulSet/nats: FailedCreate: create Pod nats-0 failed: exceeded quota: small"],
    }),
    says: "StatefulSet nats/nats: StatefulSet/nats: FailedCreate",
    but: "an event about a StatefulSet that has its pods meanwhile",
    misses: inPart("nats", {
      warnings: ["StatefulSet/nats: FailedCreate: create Pod nats-0 failed: exceeded quota: small"],
    }),
  },
  {
    id: "pods-refused",
    yields: inPart("nats", {
      workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats", wanted: 2 })],
      warnings: ["StatefulSet/nats: FailedCreate: create Pod nats-1 failed: exceeded quota: small"],
    }),
    says: "nats-1 failed",
    but: "a pod that is there and not ready",
    misses: inPart("nats", {
      pods: [pod("nats-0", "nats", { namespace: "nats" }), unready(pod("nats-1", "nats", { namespace: "nats" }))],
      workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats", wanted: 2 })],
      warnings: ["StatefulSet/nats: FailedCreate: create Pod nats-1 failed: exceeded quota: small"],
    }),
  },
  {
    id: "evicted",
    severity: "note",
    yields: inPart("noetl", { evicted: [EVICTED, { ...EVICTED, name: "noetl-worker-old", at: NOW - 2 * DAY }] }),
    says: "The cluster has ended 1 pod of noetl-worker, and lists them still\npod noetl/noetl-worker-gone at",
    but: "one of the day before yesterday",
    misses: inPart("noetl", { evicted: [{ ...EVICTED, at: NOW - 2 * DAY }] }),
  },
  {
    id: "node-lost",
    yields: inPart("nats", ON_LOST_NODE, { nats: failed("pod-not-ready", "no pod of NATS is ready") }),
    says: "kubectl --context kind-noetl describe nodes node-1\nAfter five minutes",
    but: "a pod whose container is not ready, on a node that was away before",
    misses: inPart("nats", { ...ON_LOST_NODE, pods: [unready(LOST_NATS)] }),
  },
  {
    id: "pod-ending",
    yields: inPart("nats", { ...SET_LACKS, pods: [], ending: [ENDING] }, { nats: failed("no-pod", "no pod") }),
    says: "kubectl --context kind-noetl -n nats delete pod nats-0 --force --grace-period=0",
    but: "one of a Deployment, which has made another",
    misses: inPart("noetl", { ending: [{ ...ENDING, namespace: "noetl", owner: "noetl-worker" }] }),
  },
  {
    id: "pod-ending",
    yields: inPart("nats", { ...SET_LACKS, pods: [], ending: [{ ...ENDING, finalizers: ["example.com/hold"] }] }),
    says: "finalizers example.com/hold\nWhoever has set the finalizer",
    but: "a set that has all its pods",
    misses: inPart("nats", { ending: [ENDING] }),
  },
  {
    id: "pod-ending",
    severity: "note",
    yields: inPart("noetl", { ending: [{ ...ENDING, namespace: "noetl", owner: "noetl-worker" }] }),
    says: "was deleted and does not end\n",
    but: "a namespace without one",
    misses: healthy(),
  },
  {
    id: "pods-missing",
    yields: inPart(
      "nats",
      { pods: [], workloads: [workload("nats", 0, { kind: "StatefulSet", namespace: "nats", wanted: 0 })] },
      { nats: failed("no-pod", "there is no pod behind Service nats/nats") },
    ),
    says: "scaled down by hand",
    but: "a StatefulSet that is not there at all",
    misses: inPart("nats", { pods: [], workloads: [] }, { nats: failed("no-pod", "there is no Service nats/nats") }),
  },
  {
    id: "no-pod",
    yields: inPart("nats", { pods: [], workloads: [] }, { nats: failed("no-pod", "there is no Service nats/nats") }),
    says: "not installed",
    but: "a StatefulSet that was scaled down",
    misses: inPart(
      "nats",
      { pods: [], workloads: [workload("nats", 0, { kind: "StatefulSet", namespace: "nats", wanted: 0 })] },
      { nats: failed("no-pod", "there is no pod behind Service nats/nats") },
    ),
  },
  {
    id: "no-pod",
    yields: natsFails("no-pod", "there is no Service nats/nats"),
    says: "its Service does not lead to it",
    but: "a Service that leads to a port on which nothing listens",
    misses: natsFails("refused", "pod nats/nats-0 does not answer on port 4222"),
  },
  {
    id: "refused",
    yields: natsFails("refused", "ECONNREFUSED", {
      namespaces: { noetl: healthy().namespaces.noetl },
    }),
    says: "correct the stack's `natsHost`",
    but: "a server that JetStream is off on",
    misses: natsFails("jetstream-off", "JetStream is off"),
  },
  {
    id: "memory",
    yields: inPart("nats", {
      pods: [
        crashing("nats-0", "nats", [], {
          namespace: "nats",
          containers: [
            container({ ready: false, restarts: 3, ended: { reason: "OOMKilled", exitCode: 137, message: "" } }),
          ],
        }),
      ],
    }),
    says: "natsMemoryLimit",
    but: "a process that was killed otherwise",
    misses: inPart("nats", {
      pods: [
        pod("nats-0", "nats", {
          namespace: "nats",
          containers: [container({ restarts: 3, ended: { reason: "Error", exitCode: 137, message: "" } })],
        }),
      ],
    }),
  },
  {
    id: "memory",
    severity: "note",
    yields: noetl(SERVER, {
      ...WORKER,
      containers: [container({ restarts: 1, ended: { reason: "OOMKilled", exitCode: 137, message: "" } })],
    }),
    says: "1 restart",
    but: "a container that ended by itself",
    misses: noetl(SERVER, {
      ...WORKER,
      containers: [container({ restarts: 1, ended: { reason: "Completed", exitCode: 0, message: "" } })],
    }),
  },
  ...[
    "nats-server: Parse error on line 21: 'Expected a top-level value'",
    'nats-server: /etc/nats-config/nats.conf:4:3: unknown field "jetstrem"',
    "nats-server: variable reference for 'NATS_PASSWORD_0' on line 6 can not be found",
  ].map((line): Case => ({
    id: "nats-config",
    yields: inPart("nats", {
      pods: [crashing("nats-0", "nats", [line], { namespace: "nats" })],
      ...release({ namespace: "nats", name: "nats", status: "deployed", revision: 3 }),
    }),
    says: "rollback nats 3 -n nats",
    but: "a server that starts and ends for another reason",
    misses: inPart("nats", {
      pods: [crashing("nats-0", "nats", ["[FTL] Can't start JetStream: no space left"], { namespace: "nats" })],
    }),
  })),
  {
    id: "schema-job",
    yields: inPart("postgres", {
      workloads: [
        workload("postgres-schema", 0, { kind: "Job", namespace: "postgres", trouble: "BackoffLimitExceeded" }),
      ],
      pods: [crashing("postgres-schema-x", "postgres-schema", ["password authentication failed"], { phase: "Failed" })],
    }),
    says: "postgresPassword",
    but: "a Job that came to its end at the second attempt",
    misses: secondAttempt("Error"),
  },
  ...PROXY_TROUBLES.map(([id, message, says]): Case => ({
    id,
    yields: onCloudSql(message, false),
    says,
    but: "what the proxy of a pod says that works by now",
    misses: onCloudSql(message, true),
  })),
  {
    id: "starting",
    severity: "note",
    yields: noetl(SERVER, unready(WORKER, { ageSeconds: 20 })),
    says: "20 s old",
    but: "a pod that is older",
    misses: noetl(SERVER, unready(WORKER, { ageSeconds: 61 })),
  },
  {
    id: "crash-loop",
    yields: noetl(crashingServer("Segmentation fault"), WORKER),
    says: "--previous",
    but: "a pod that has not ended",
    misses: noetl(unready(SERVER), WORKER),
  },
  {
    id: "not-ready",
    yields: noetl(unready(SERVER), WORKER),
    says: "does not become ready",
    but: "a pod that has ended with success",
    misses: noetl(unready(SERVER, { phase: "Succeeded" }), WORKER),
  },
  {
    id: "pods-missing",
    yields: inPart("noetl", {
      pods: [WORKER],
      workloads: [workload("noetl-server", 0, { wanted: 0 }), workload("noetl-worker")],
    }),
    says: "noetl-server was scaled to nothing",
    but: "workers that are scaled to nothing in a stack that wants none",
    misses: inPart("noetl", WITHOUT_WORKERS, { workerReplicas: 0 }),
  },
  {
    id: "pods-missing",
    yields: inPart("noetl", WITHOUT_WORKERS),
    says: "noetl-worker was scaled to nothing",
    but: "a Deployment that somebody else has put into the namespace, and scaled to nothing",
    misses: inPart("noetl", {
      pods: [SERVER, WORKER],
      workloads: [workload("noetl-server"), workload("noetl-worker"), workload("other", 0, { wanted: 0 })],
    }),
  },
  {
    id: "pods-missing",
    yields: inPart("nats", { ...NATS_RUNS, workloads: [...NATS_RUNS.workloads, guard({ wanted: 0 })] }),
    // It is in NATS' namespace, and not in its release.
    says: "pulumi refresh --stack kind",
    but: "a guard that runs",
    misses: inPart("nats", { ...NATS_RUNS, workloads: [...NATS_RUNS.workloads, guard()] }, { guarded: true }),
  },
  {
    id: "not-deployed",
    yields: inPart("nats", NATS_RUNS, { guarded: true }),
    says: "there is no Deployment nats/contract-guard",
    but: "a stack without a guard",
    misses: inPart("nats", NATS_RUNS),
  },
  {
    id: "claim-deleted",
    yields: inPart("nats", {
      ...NATS_RUNS,
      claims: [{ namespace: "nats", name: "nats-js-nats-0", phase: "Bound", removed: true }],
    }),
    says: "cannot be taken back",
    but: "a claim that is bound",
    misses: inPart("nats", {
      ...NATS_RUNS,
      claims: [{ namespace: "nats", name: "nats-js-nats-0", phase: "Bound" }],
    }),
  },
  {
    id: "rollout-paused",
    yields: inPart("noetl", {
      pods: [SERVER, WORKER],
      workloads: [
        workload("noetl-server"),
        workload("noetl-worker", 1, { paused: true, rollout: { updated: 0, old: 1 } }),
      ],
    }),
    says: "rollout resume deployment/noetl-worker",
    but: "a rollout that is under way",
    misses: inPart("noetl", {
      pods: [SERVER, WORKER],
      workloads: [workload("noetl-server"), workload("noetl-worker", 1, { rollout: { updated: 0, old: 1 } })],
    }),
  },
  {
    id: "rollout-paused",
    severity: "note",
    yields: inPart("noetl", {
      pods: [SERVER, WORKER],
      workloads: [workload("noetl-server", 1, { paused: true }), workload("noetl-worker")],
    }),
    says: "will wait for them in vain",
    but: "a Deployment as it should be",
    misses: healthy(),
  },
  ...(
    [
      ["there is no Service noetl/noetl", []],
      ["selects app=noetl, which no pod of noetl-server has", [service({ owners: [] })]],
      ["and leads to pods of noetl-worker, too", [service({ owners: ["noetl-server", "noetl-worker"] })]],
      ["Service noetl/noetl has no port 8082", [service({ ports: [{ port: 80, target: "8082", offered: true }] })]],
      [
        "port 8082 of Service noetl/noetl leads to port 9999, which no container of noetl-server has",
        [service({ ports: [{ port: 8082, target: "9999", offered: false }] })],
      ],
    ] as const
  ).map(([says, services]): Case => ({
    id: "service",
    yields: inPart("noetl", { ...NOETL_RUNS, services }),
    says,
    but: "a Service that leads to the server, and one that could not be read",
    misses: inPart("noetl", { ...NOETL_RUNS, services: [service()] }),
  })),
  {
    id: "service",
    yields: inPart("postgres", { ...POSTGRES_RUNS, services: [] }),
    says: "pulumi refresh --stack kind",
    but: "a database that is not there, whose Service would lead to nothing",
    misses: inPart("postgres", { services: [] }),
  },
  {
    id: "environment",
    yields: OTHER_SUBJECT,
    says: "Subscribe failed: nats: NotFoundError",
    but: "a worker that lacks its stream, and has the stack's settings",
    misses: { ...OTHER_SUBJECT, environment: {} },
  },
  {
    id: "repair-interrupted",
    yields: healthy({ repair: { begun: "2026-03-02T10:00:00Z", phase: "frozen", saved: 7, folder: "/x" } }),
    says: "7 messages in /x",
    but: "a stream with a subject of its own",
    misses: natsSays(nats({ subjects: ["noetl.commands", "frozen.by.somebody"] })),
  },
  {
    id: "repair-interrupted",
    yields: natsSays(duringRepair({ holding: HOLDING })),
    says: "Run it again on host-b, where its backup is",
    but: "another's stream of that name",
    misses: natsSays(duringRepair()),
  },
  {
    id: "repair-running",
    yields: natsSays(duringRepair({ holding: HOLDING, atWork: AT_WORK })),
    says: AT_WORK,
    but: "one that nobody works on any more",
    misses: natsSays(duringRepair({ holding: HOLDING })),
  },
  {
    id: "repair-running",
    severity: "note",
    yields: natsSays(nats({}, {}, { repair: { atWork: AT_WORK } })),
    says: "Wait until it ends",
    but: "a stream that is not there while it is at work",
    misses: natsSays(duringRepair({ atWork: AT_WORK })),
  },
  {
    id: "work-queue",
    yields: natsSays(nats({ retention: "workqueue" }, null)),
    says: "--repair",
    but: "another retention that is wrong",
    misses: natsSays(nats({ retention: "interest" })),
  },
  {
    id: "no-stream",
    yields: natsSays(nats(null)),
    says: "There is no stream NOETL_COMMANDS",
    but: "a stack without NoETL, whose stream nobody creates",
    misses: natsSays(nats(null), { namespaces: { nats: healthy().namespaces.nats } }),
  },
  {
    id: "subject-not-stored",
    yields: natsSays(nats({ subjects: ["noetl.command"] })),
    says: "stores noetl.command and not noetl.commands",
    but: "a wildcard that covers the subject",
    misses: natsSays(nats({ subjects: ["noetl.>"] })),
  },
  {
    id: "no-consumer",
    yields: natsSays(nats({}, null)),
    says: "no worker has subscribed",
    but: "workers that cannot start for a reason of their own",
    misses: { ...noetl(SERVER, waiting(WORKER, "ImagePullBackOff")), nats: { ok: true, value: nats({}, null) } },
  },
  {
    id: "contract",
    yields: natsSays(nats({}, { ack_policy: "none" })),
    says: "consumer-ack-policy",
    but: "a mere difference",
    misses: natsSays(nats({ max_age: 60e9 })),
  },
  {
    id: "drift",
    severity: "note",
    yields: natsSays(nats({ max_age: 60e9 })),
    says: "found 60 s, expected 3600 s",
    but: "a violation",
    misses: natsSays(nats({ retention: "workqueue" })),
  },
  {
    id: "work-queue-past",
    yields: noetl(SERVER, crashingWorker(WORK_QUEUE)),
    says: WORK_QUEUE,
    but: "a worker that says it while the stream is one",
    misses: {
      ...noetl(SERVER, crashingWorker(WORK_QUEUE)),
      nats: { ok: true, value: nats({ retention: "workqueue" }) },
    },
  },
  {
    id: "work-queue",
    yields: { ...noetl(SERVER, crashingWorker(WORK_QUEUE)), nats: failed("refused", "ECONNREFUSED") },
    says: "the stream itself could not be asked",
    but: "a worker that says something else",
    misses: { ...noetl(SERVER, crashingWorker("bye")), nats: failed("refused", "ECONNREFUSED") },
  },
  {
    id: "no-stream-past",
    severity: "note",
    yields: noetl(saying(SERVER, "start", NO_RESPONSE, "fine again"), WORKER),
    says: NO_RESPONSE,
    but: "an answer that came late",
    misses: noetl(saying(SERVER, "Failed to publish command: slow"), WORKER),
  },
  {
    id: "workers-full",
    severity: "note",
    yields: consumerSays({ ackPending: 64 }),
    says: "consumer edit NOETL_COMMANDS noetl_worker_pool --max-pending=128 -f\npulumi config set workerMaxAckPending 128",
    but: "one command less in flight",
    misses: consumerSays({ ackPending: 63 }),
  },
  {
    id: "nobody-fetches",
    severity: "note",
    yields: consumerSays({ pending: 5, ackPending: 1, waiting: 0 }),
    says: "5 pending",
    but: "commands that a worker waits for",
    misses: consumerSays({ pending: 5, waiting: 1 }),
  },
  {
    id: "nobody-fetches",
    yields: consumerSays({ waiting: 0 }),
    says: "rollout restart deploy/noetl-worker",
    but: "workers that are all busy",
    misses: consumerSays({ ackPending: 1, waiting: 0 }),
  },
  {
    id: "nobody-fetches",
    yields: consumerSays({ waiting: 0 }),
    says: "they hang",
    but: "workers that have just started",
    misses: { ...noetl(SERVER, { ...WORKER, ageSeconds: 30 }), nats: consumerSays({ waiting: 0 }).nats },
  },
  {
    id: "nobody-fetches",
    yields: consumerSays({ waiting: 0 }),
    says: "they hang",
    but: "a server that was started anew, after which workers ask again when their fetches have ended",
    misses: inPart(
      "nats",
      {
        ...NATS_RUNS,
        pods: NATS_RUNS.pods.map((each) => ({ ...each, containers: [container({ since: NOW - 50_000 })] })),
      },
      { nats: consumerSays({ waiting: 0 }).nats },
    ),
  },
  {
    id: "nobody-fetches",
    severity: "note",
    yields: { ...consumerSays({ waiting: 0 }), namespaces: elsewhere() },
    says: "Where NATS was restarted just now",
    but: "a stream that was made anew",
    misses: {
      ...consumerSays({ waiting: 0 }),
      namespaces: elsewhere(),
      now: Date.parse("2026-03-02T10:00:30Z"),
    },
  },
  ...(
    [
      ["pods-nats-login", "nats: 'Authorization Violation'"],
      ["pods-nats-permission", 'nats: permissions violation for publish to "$js.api.info"'],
      ["pods-nats-tls", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"],
      ["pods-jetstream-off", "err_code=10039 description='JetStream not enabled for account'"],
      ["pods-nats-unreachable", "nats: no servers available for connection"],
      ["pods-database", 'relation "noetl.event" does not exist'],
      ["pods-api-unreachable", "NoETL's API at http://noetl:8082 did not answer"],
    ] as const
  ).map(([id, line]): Case => ({
    id,
    yields: noetl(SERVER, crashingWorker("start", line)),
    says: line,
    but: "a pod that has come over it",
    misses: noetl(SERVER, saying(WORKER, line, "ready")),
  })),
  {
    id: "pods-nats-login",
    severity: "note",
    yields: noetl(SERVER, crashingWorker("nats: 'Authorization Violation'"), {
      environment: {
        "noetl-worker": {
          ok: true,
          value: [
            { name: "NATS_URL", value: "nats://n:***@x", source: "Secret s", asDeployed: false, looksAlike: true },
          ],
        },
      },
    }),
    says: "cannot start before that is fixed",
    but: "a pod that has the stack's NATS_URL",
    misses: noetl(SERVER, crashingWorker("nats: 'Authorization Violation'"), {
      environment: {
        "noetl-worker": {
          ok: true,
          value: [{ name: "NATS_URL", value: "nats://n:***@x", source: "Secret s", asDeployed: true }],
        },
      },
    }),
  },
  {
    id: "pods-nats-login",
    severity: "note",
    yields: {
      ...noetl(SERVER, crashingWorker("nats: 'Authorization Violation'")),
      nats: failed("wrong-password", "does not accept"),
    },
    says: "cannot start before that is fixed",
    but: "a worker that said something else last",
    misses: noetl(SERVER, crashingWorker("nats: 'Authorization Violation'", `connection to server at "x" failed`)),
  },
  {
    id: "workers-wait",
    severity: "note",
    yields: noetl(crashingServer("Segmentation fault"), unready(WORKER)),
    says: "noetl-worker waits for noetl-server",
    but: "a worker that is not ready beside a server that is",
    misses: noetl(SERVER, unready(WORKER)),
  },
  {
    id: "cors-origin",
    yields: gateway([without(PREFLIGHT)], [], "https://app.example.com"),
    says: `corsAllowedOrigins ${ORIGIN},https://app.example.com`,
    but: "a gateway that lets every origin through",
    misses: gateway([probe({ ...PREFLIGHT, allowOrigin: "*" })], [], "https://app.example.com"),
  },
  {
    id: "cors-origin",
    yields: gateway([without(PREFLIGHT)]),
    says: "which the stack allows",
    but: "the origin that is allowed",
    misses: gateway([probe(PREFLIGHT)]),
  },
  {
    id: "gateway-5xx",
    yields: gateway([probe({ status: 502, body: "playbook failed" })]),
    says: "gets 502, access-control-allow-origin",
    but: "an error of the page's own",
    misses: gateway([probe({ status: 404 })]),
  },
  {
    id: "gateway-5xx",
    severity: "note",
    yields: { ...gateway([probe({ status: 502 })]), namespaces: noetl(crashingServer("bye"), WORKER).namespaces },
    says: "gets 502",
    but: "one that lacks the headers as well",
    misses: { ...gateway([without({ status: 502 })]), namespaces: noetl(crashingServer("bye"), WORKER).namespaces },
  },
  {
    id: "pods-missing",
    yields: inPart("postgres", {
      workloads: [workload("postgres", 0, { kind: "StatefulSet", namespace: "postgres", wanted: 0 })],
    }),
    says: "postgres was scaled to nothing",
    but: "a database that is elsewhere",
    misses: inPart("postgres", {}),
  },
  {
    id: "pods-database",
    severity: "note",
    yields: inPart(
      "postgres",
      { workloads: [workload("postgres", 0, { kind: "StatefulSet", namespace: "postgres", wanted: 0 })] },
      {
        namespaces: noetl(
          saying(
            unready(SERVER),
            "Database not ready: [Errno 111] Connect call failed ('postgres.postgres.svc.cluster.local', 5432). Retrying",
          ),
          WORKER,
        ).namespaces,
      },
    ),
    says: "cannot start before that is fixed",
    but: "a connection to NATS that is refused",
    misses: noetl(
      saying(unready(SERVER), "[Errno 111] Connect call failed ('nats.nats.svc.cluster.local', 4222)"),
      WORKER,
    ),
  },
  {
    id: "not-deployed",
    yields: inPart(
      "gateway",
      { pods: [], workloads: [] },
      {
        gateway: {
          origin: ORIGIN,
          allowedOrigins: [ORIGIN],
          probes: [failed("no-pod", "there is no pod of the gateway")],
          outside: [],
        },
      },
    ),
    says: "there is no Deployment gateway/gateway",
    but: "a gateway that is there and says nothing",
    misses: gateway([failed("no-answer", "waited 4 s")]),
  },
  {
    id: "gateway-5xx-without-cors",
    yields: gateway([without({ status: 502 })]),
    says: "without access-control-allow-origin",
    but: "an error with the headers",
    misses: gateway([probe({ status: 502 })]),
  },
  {
    id: "proxy-5xx-without-cors",
    yields: gateway([probe({})], [without({ ...OUTSIDE, status: 502, answeredBy: "cloudflare" })]),
    says: "from cloudflare",
    but: "a proxy that passes on the gateway's own error",
    misses: gateway([without({ status: 502 })], [without({ ...OUTSIDE, status: 502 })]),
  },
  {
    id: "proxy-without-cors",
    yields: gateway([probe({})], [without(OUTSIDE)]),
    says: "takes the CORS headers away",
    but: "a proxy that passes them on",
    misses: gateway([probe({})], [probe(OUTSIDE)]),
  },
  {
    id: "gateway-silent",
    yields: gateway([failed("no-answer", "waited 4 s")]),
    says: "waited 4 s",
    but: "a port-forward that is forbidden",
    misses: gateway([
      failed("forbidden", "user x may not open a port-forward: its role needs create on pods/portforward"),
    ]),
  },
  ...(
    [
      ["host-unknown", "gives no answer to GET /x: ENOTFOUND", "DNS record"],
      ["tls", "gives no answer to GET /x: CERT_HAS_EXPIRED", "describe managedcertificate"],
      ["refused", "gives no answer to GET /x: ECONNREFUSED", "health of its backends"],
    ] as const
  ).map(([problem, message, says]): Case => ({
    id: "public-url",
    yields: gateway([probe({})], [failed(problem, `https://x.example ${message}`)]),
    says,
    but: "a gateway that gives no answer either",
    misses: gateway([failed("no-answer", "waited 4 s")], [failed(problem, `https://x.example ${message}`)]),
  })),
  {
    id: "sign-in-missing",
    severity: "note",
    yields: gateway([probe({ status: 502, body: NOT_REGISTERED })]),
    says: NOT_REGISTERED,
    but: "a server error of another kind",
    misses: gateway([probe({ status: 502, body: '{"error":"Session validation API failed: connection refused"}' })]),
  },
  {
    id: "cluster-new",
    yields: healthy({ namespaces: EMPTY, nats: failed("no-pod", "there is no Service nats/nats") }),
    says: "pulumi up --refresh --stack kind",
    but: "a stack whose first update did not finish",
    misses: healthy({ namespaces: EMPTY, nats: failed("no-pod", "x"), missingOutputs: ["contract"] }),
  },
  {
    id: "subject-taken",
    yields: natsSays(nats(null, null, { overlapping: ["FORMER"] })),
    says: "pulumi config set natsStream FORMER",
    but: "a stream that is missing and whose subject is free",
    misses: natsSays(nats(null)),
  },
  {
    id: "publish-failed",
    yields: noetl(saidAgo(SERVER, 60, "Failed to publish command after reconnect: nats: timeout"), WORKER),
    says: "noetl-server-1 at 2026-03-02T11:59:00Z: Failed to publish command after reconnect",
    but: "a failure after which a message was stored",
    misses: {
      ...noetl(saidAgo(SERVER, 60, "Failed to publish command after reconnect: nats: timeout"), WORKER),
      nats: { ok: true, value: storedAt(NOW - 30_000) },
    },
  },
  {
    id: "publish-failed",
    yields: noetl(saidAgo(SERVER, 60, NO_RESPONSE), WORKER),
    says: NO_RESPONSE,
    but: "one that is older than the stream",
    misses: {
      ...noetl(saidAgo(SERVER, 60, NO_RESPONSE), WORKER),
      nats: { ok: true, value: createdAt("2026-03-02T11:59:30Z") },
    },
  },
  {
    id: "publish-failed",
    yields: noetl(
      saidAgo(SERVER, 599, "ERROR Failed to publish command: nats: BadRequestError: code=500 err_code=99999"),
      WORKER,
    ),
    says: "err_code=99999",
    but: "one of an hour ago",
    misses: noetl(saidAgo(SERVER, 3600, "ERROR Failed to publish command: nats: timeout"), WORKER),
  },
  {
    id: "fetch-failed",
    yields: { ...noetl(SERVER, saidAgo(WORKER, 5, FETCH)), nats: { ok: true, value: nobodyWaits() } },
    says: FETCH,
    but: "a worker that waits for commands again",
    misses: noetl(SERVER, saidAgo(WORKER, 5, FETCH)),
  },
  {
    id: "nats-connection-lost",
    // The workers have made the stream once more; the server has not noticed.
    yields: {
      ...noetl(saidAgo(SERVER, 4000, "execute failed: nats: connection closed"), WORKER),
      nats: { ok: true, value: createdAt("2026-03-02T11:59:30Z") },
    },
    says: "has no connection to NATS",
    but: "a worker that fetches again",
    misses: noetl(SERVER, saidAgo(WORKER, 4000, "Error fetching messages: nats: connection closed")),
  },
  {
    id: "nats-connection-lost",
    // Its first connection failed; the publisher without one is kept.
    yields: noetl(saidAgo(SERVER, 4000, "ERROR execute failed: Not connected to NATS"), WORKER),
    says: "rollout restart deploy/noetl-server",
    but: "one that has announced a command since",
    misses: {
      ...noetl(saidAgo(SERVER, 4000, "ERROR execute failed: Not connected to NATS"), WORKER),
      nats: { ok: true, value: storedAt(NOW - 30_000) },
    },
  },
  {
    id: "nats-connection-lost",
    yields: noetl(saidAgo(SERVER, 4000, "Failed to publish command: nats: connection closed"), WORKER),
    says: "rollout restart deploy/noetl-server",
    but: "one whose server has announced a command since",
    misses: {
      ...noetl(saidAgo(SERVER, 4000, "Failed to publish command: nats: connection closed"), WORKER),
      nats: { ok: true, value: storedAt(NOW - 30_000) },
    },
  },
  ...(
    [
      ["consumer-limit", LIMIT, "workerMaxAckPending 10"],
      [
        "store-full",
        "nats: ServerError: code=503 err_code=10023 description='insufficient resources'",
        "stream report",
      ],
      [
        "store-full",
        "nats: ServerError: code=500 err_code=10028 description='insufficient memory resources available'",
        "natsJetstreamMemSize 2048Mi",
      ],
      ["store-full", "code=503 err_code=10047 description='insufficient storage resources available'", "stream report"],
      [
        "store-full",
        "code=503 err_code=10047 description='insufficient storage resources available'",
        "natsJetstreamFileSize 10240Mi",
      ],
      [
        "store-unwritable",
        "code=503 err_code=10077 description='write /data/jetstream/1.blk: no space left on device'",
        "Where the disk is full",
      ],
      [
        "stream-full",
        "nats: APIError: code=503 err_code=10077 description='maximum messages exceeded'",
        "--discard old",
      ],
      ["subject-taken", "code=400 err_code=10065 description='subjects overlap with an existing stream'", "stream rm"],
      ...[
        "Error: NOETL_COMMAND_BUS is required and unset",
        "Error: NOETL_COMMAND_BUS=nats selects a transport that no longer exists",
        "Error: NOETL_FEED_FILTER_SUBJECT is not set",
        "Error: NOETL_EVENT_FEED_ADDR is not set",
        'health {"status":"ok","nats":"removed"}',
      ].map((line) => ["other-noetl-line", line, "pulumi config set noetlImage ghcr.io/noetl/noetl:v2.8.9"] as const),
      ["image-module", "ModuleNotFoundError: No module named 'noetl.worker'", "module noetl.worker"],
    ] as const
  ).map(([id, line, says]): Case => ({
    id,
    // Whatever else is wrong: the worker that crashes has not made its consumer.
    yields: { ...noetl(SERVER, crashingWorker("start", line)), nats: { ok: true, value: nats({}, null) } },
    says,
    but: "a worker that crashes of something else",
    misses: { ...noetl(SERVER, crashingWorker("start", "bye")), nats: { ok: true, value: nats({}, null) } },
  })),
  {
    id: "store-unwritable",
    yields: natsWrote(FULL_DISK, 60, { nats: { ok: true, value: storedAt(NOW - 120_000) } }),
    says: "delete pod nats-0",
    but: "a server that has stored a command since",
    misses: natsWrote(FULL_DISK, 60, { nats: { ok: true, value: storedAt(NOW - 30_000) } }),
  },
  {
    id: "store-unwritable",
    yields: natsWrote(FULL_DISK, DAY / 1000, {
      nats: {
        ok: true,
        value: withStream({ created: new Date(NOW - 3 * DAY).toISOString(), lastMessageAt: NOW - 2 * DAY }),
      },
    }),
    says: "pulumi config set natsJetstreamFileSize 10240Mi",
    but: "one whose stream was made after it",
    misses: natsWrote(FULL_DISK, 60, {
      nats: { ok: true, value: withStream({ created: new Date(NOW).toISOString() }) },
    }),
  },
  {
    id: "store-unwritable",
    yields: natsWrote(BROKEN_DISK, 300),
    says: "stored for stream OTHER",
    but: "one that failed an hour ago",
    misses: natsWrote(BROKEN_DISK, 3600),
  },
  {
    id: "other-noetl-line",
    yields: healthy({ serverHealth: { ok: true, value: '{"status":"ok","nats":"removed"}' } }),
    says: 'GET /api/health of noetl-server: {"status":"ok","nats":"removed"}',
    but: "a server that has NATS",
    misses: healthy({ serverHealth: { ok: true, value: '{"status":"ok"}' } }),
  },
  {
    id: "other-noetl-line",
    yields: inPart("gateway", { pods: [crashingGateway("Error: NOETL_KV_ADDR is empty")] }),
    says: `pulumi config set gatewayImage ${DEFAULTS.gatewayImage}`,
    but: "a gateway that crashes of something else",
    misses: inPart("gateway", { pods: [crashingGateway("bye")] }),
  },
  {
    id: "executions-wait",
    severity: "note",
    yields: natsSays(nats(null), { executions: { ok: true, value: [execution("491")] } }),
    says: "npm run doctor -- --stack kind --repair",
    but: "none that waits",
    misses: natsSays(nats(), { executions: { ok: true, value: [] } }),
  },
  {
    id: "executions-wait",
    severity: "note",
    yields: natsSays(nats(), { executions: { ok: true, value: [execution("491")] } }),
    says: "execution 491 (examples/hello): its command (start) was issued at 2026-03-02T10:53:20Z and never taken",
    but: "a NATS that cannot be asked",
    misses: natsFails("refused", "no", { executions: { ok: true, value: [execution("491")] } }),
  },
  {
    id: "executions-wait",
    severity: "note",
    yields: natsSays(nats(), { executions: { ok: true, value: [execution("491", "no-command")] } }),
    says: `-H 'Content-Type: application/json' -d '{"path":"examples/hello","version":3,"payload":{}}'`,
    but: "none that waits",
    misses: natsSays(nats(), { executions: { ok: true, value: [] } }),
  },
  {
    id: "executions-wait",
    severity: "note",
    yields: natsSays(nats(null), { executions: failed("refused", "pod noetl/noetl-server-1 does not answer") }),
    says: "pod noetl/noetl-server-1 does not answer",
    but: "an API that cannot be asked while nothing was lost",
    misses: natsSays(nats(), { executions: failed("refused", "does not answer") }),
  },
  {
    id: "unread",
    severity: "note",
    yields: inPart("noetl", { unread: ["user x may not list the events of namespace noetl"] }),
    says: "may not list the events",
    but: "a namespace of which all was read",
    misses: inPart("noetl", { unread: [] }),
  },
];

const found = (evidence: Evidence, id: FindingId) => diagnose(evidence).findings.filter((each) => each.id === id);

describe("diagnosis", () => {
  it("finds nothing where all is well", () => {
    expect(diagnose(healthy())).toMatchObject({ healthy: true, findings: [] });
  });

  it("has a case for every finding that there is", () => {
    const known = new Set(CASES.map(({ id }) => id));
    expect(Object.keys(FINDINGS).filter((id) => !known.has(id as FindingId))).toEqual([]);
  });

  it.each(CASES)("$id: $says", ({ id, severity = "cause", yields, says }) => {
    const [finding] = found(yields, id);
    expect(finding, JSON.stringify(diagnose(yields).findings)).toMatchObject({ id, severity });
    const remedy = finding?.remedy.map((step) => ("run" in step ? step.run : step.say)) ?? [];
    expect([finding?.title, ...(finding?.evidence ?? []), ...remedy].join("\n")).toContain(says);
    // A cause is never without evidence and remedy.
    expect(finding?.evidence.length).toBeGreaterThan(0);
    if (severity === "cause") expect(remedy.length).toBeGreaterThan(0);
  });

  it.each(CASES)("not $id: $but", ({ id, severity = "cause", misses }) => {
    expect(found(misses, id).filter((each) => each.severity === severity)).toEqual([]);
  });

  it("fits 80 columns, but for commands", () => {
    const long = CASES.flatMap(({ yields }) => {
      const diagnosis = diagnose(yields);
      const commands = diagnosis.findings.flatMap(({ remedy }) =>
        remedy.flatMap((step) => ("run" in step ? [step.run] : [])),
      );
      return diagnosisText(diagnosis, { colour: false, width: 80 })
        .split("\n")
        .filter((line) => line.length > 80 && !commands.some((command) => line.endsWith(command)));
    });
    expect(long).toEqual([]);
  });
});

it("a Job that came to its end at the second attempt is no cause, whatever the first one ended of", () => {
  expect(diagnose(secondAttempt("Error"))).toMatchObject({ healthy: true, findings: [] });
  const killed = diagnose(secondAttempt("OOMKilled"));
  expect(killed).toMatchObject({ healthy: true, findings: [{ id: "memory", severity: "note" }] });
});

it("a set whose pod cannot end explains that NATS is not there", () => {
  const evidence = inPart("nats", { ...SET_LACKS, pods: [], ending: [ENDING] }, { nats: failed("no-pod", "no pod") });
  expect(diagnose(evidence).findings.map(({ id }) => id)).toEqual(["pod-ending"]);
  const lost = inPart("nats", ON_LOST_NODE, { nats: failed("pod-not-ready", "none is ready") });
  expect(diagnose(lost).findings.map(({ id }) => id)).toEqual(["node-lost"]);
});

it("a Job in the database is named by what it does", () => {
  const failed = (name: string) =>
    inPart("postgres", { workloads: [workload(name, 0, { kind: "Job", namespace: "postgres", trouble: "x" })] });
  const titles = ["postgres-schema-1", "postgres-logins-1"].map((name) => found(failed(name), "schema-job")[0]?.title);
  expect(titles).toEqual([
    "Loading NoETL's schema into Postgres failed",
    "Refusing NoETL's old logins at Postgres failed",
  ]);
});

describe("the specification's symptoms", () => {
  const findingOf = (evidence: Evidence) => diagnose(evidence).findings[0];

  it("no response from stream: the server's own line is quoted beside the stream's state", () => {
    const finding = findingOf({
      ...noetl(saying(SERVER, NO_RESPONSE), WORKER),
      nats: { ok: true, value: nats({ subjects: ["other"] }) },
    });
    expect(finding).toMatchObject({ id: "subject-not-stored", symptoms: ["noResponse"] });
    expect(finding?.evidence).toContain(`noetl-server-1: ${NO_RESPONSE}`);
  });

  it("deliver all on workqueue stream: the worker's own line is quoted beside the stream's state", () => {
    const finding = findingOf({
      ...noetl(SERVER, crashingWorker(WORK_QUEUE)),
      nats: { ok: true, value: nats({ retention: "workqueue" }, null) },
    });
    expect(finding).toMatchObject({ id: "work-queue", symptoms: ["workQueue"] });
    expect(finding?.evidence).toContain(`noetl-worker-1, restarted 4 times: ${WORK_QUEUE}`);
  });

  it("a rule without a headline of its own quotes both", () => {
    const finding = findingOf({
      ...noetl(saying(SERVER, NO_RESPONSE), crashingWorker(WORK_QUEUE)),
      nats: { ok: true, value: nats({}, { ack_policy: "none" }) },
    });
    expect(finding).toMatchObject({ id: "contract", symptoms: ["noResponse", "workQueue"] });
    expect(finding?.evidence.join("\n")).toContain(NO_RESPONSE);
    expect(finding?.evidence.join("\n")).toContain(WORK_QUEUE);
  });
});

describe("a pod that crashes", () => {
  const told = (evidence: Evidence): string =>
    diagnose(evidence)
      .findings.flatMap(({ title, evidence: lines }) => [title, ...lines])
      .join("\n");
  const causes = (evidence: Evidence): string[] =>
    diagnose(evidence).findings.flatMap(({ id, severity }) => (severity === "cause" ? [id] : []));
  const missing = (value: NatsFacts, server: PodFacts, worker: PodFacts): Evidence => ({
    ...noetl(server, worker),
    nats: { ok: true, value },
  });

  it("is a cause of its own where its words are not those of what else is wrong", () => {
    expect(causes(missing(nats({}, null), SERVER, crashingWorker("Segmentation fault")))).toEqual(["crash-loop"]);
    expect(causes(missing(nats(null), SERVER, crashingWorker(LIMIT)))).toEqual(["no-stream", "consumer-limit"]);
    expect(causes(missing(nats(null), crashingServer("bye"), crashingWorker("odd")))).toEqual([
      "no-stream",
      "crash-loop",
      "crash-loop",
    ]);
    // A worker that says nothing while the server is down waits for it; one that ends with words does not.
    expect(causes(noetl(crashingServer("bye"), crashingWorker("ValueError: 7")))).toEqual(["crash-loop", "crash-loop"]);
  });

  it("is explained by what is wrong where it says so, and quoted", () => {
    const evidence = missing(nats(null), SERVER, crashingWorker("nats: NotFoundError", "INFO Worker w-1 stopped"));
    expect(causes(evidence)).toEqual(["no-stream"]);
    expect(told(evidence)).toContain("noetl-worker-1, restarted 4 times: nats: NotFoundError");
  });

  it("has its last words told whatever explains it: for any words and any trouble beside it", () => {
    const troubles: readonly NatsFacts[] = [nats(), nats(null), nats({}, null), nats({ retention: "workqueue" }, null)];
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Z][A-Za-z]{2,12}Error: [a-z0-9 ]{1,30}[a-z0-9]$/),
        fc.constantFrom(...troubles),
        fc.boolean(),
        (words, value, serverToo) => {
          const server = serverToo ? crashingServer("nats: no servers available") : SERVER;
          expect(told(missing(value, server, crashingWorker("INFO start", words)))).toContain(words);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("crashes although it runs at the moment, until a run lasts", () => {
    const runs = (seconds: number): PodFacts => ({
      ...WORKER,
      containers: [
        container({
          restarts: 3,
          since: NOW - seconds * 1000,
          ended: { reason: "Error", exitCode: 1, message: "", ranSeconds: 20 },
          lastRun: lines(["ValueError: odd"]),
        }),
      ],
    });
    expect(causes(noetl(SERVER, runs(30)))).toEqual(["crash-loop"]);
    expect(told(noetl(SERVER, runs(30)))).toContain("ValueError: odd");
    expect(causes(noetl(SERVER, runs(41)))).toEqual([]);
  });

  it("is not starting any more after many restarts, however young it is", () => {
    const young = (restarts: number) =>
      noetl(SERVER, {
        ...WORKER,
        ready: false,
        ageSeconds: 20,
        containers: [
          container({
            ready: false,
            restarts,
            since: NOW - 1000,
            ended: { reason: "Error", exitCode: 1, message: "" },
            lastRun: lines(["ValueError: odd"]),
          }),
        ],
      });
    expect(causes(young(7))).toEqual(["crash-loop"]);
    expect(diagnose(young(1)).findings).toMatchObject([{ id: "starting", severity: "note" }]);
    expect(told(young(1))).toContain("ValueError: odd");
  });
});

describe("a stream that was lost", () => {
  it("is reported as a chain of events with their times", () => {
    const nats0 = pod("nats-0", "nats", {
      namespace: "nats",
      containers: [
        container({
          name: "nats",
          restarts: 1,
          since: Date.parse("2026-03-02T11:27:10Z"),
          ended: { reason: "OOMKilled", exitCode: 137, message: "" },
        }),
      ],
    });
    const evidence: Evidence = {
      ...noetl(saidAgo(SERVER, 60, NO_RESPONSE), WORKER),
      nats: { ok: true, value: nats(null) },
      streamRemembered: { created: "2026-03-02T11:24:05.5Z", storage: "memory" },
    };
    const restarted = inPart("nats", { pods: [nats0] }, evidence);
    const [finding] = found(
      { ...evidence, namespaces: { ...evidence.namespaces, nats: restarted.namespaces.nats } },
      "no-stream",
    );
    expect(finding?.evidence.slice(0, 3)).toEqual([
      "2026-03-02T11:24:05Z: stream NOETL_COMMANDS was created, as the last update found it, in memory",
      "2026-03-02T11:27:10Z: nats-0 started (1 restart), after it ended with OOMKilled (exit code 137): what was in memory is lost with its server",
      "2026-03-02T11:59:00Z: noetl-server-1 could not announce a command: its execution was answered with an error and waits",
    ]);
  });

  it("is not put down to a restart before it was made", () => {
    const nats0 = pod("nats-0", "nats", {
      namespace: "nats",
      containers: [container({ name: "nats", since: Date.parse("2026-03-02T09:00:00Z") })],
    });
    const evidence = inPart(
      "nats",
      { pods: [nats0] },
      {
        nats: { ok: true, value: nats(null) },
        streamRemembered: { created: "2026-03-02T10:00:00Z" },
      },
    );
    expect(found(evidence, "no-stream")[0]?.evidence.join("\n")).toContain("somebody has removed the stream");
  });

  it("is remembered under its own name alone: one that was renamed has never been there", () => {
    const outputs = { contract: { stream: "FORMER, created 2026-03-02T10:00:00Z", storage: "memory" } };
    const remembered = (natsStream: string) => targetOf("kind", { config: { natsStream }, outputs }).streamRemembered;
    expect(remembered("FORMER")).toEqual({ created: "2026-03-02T10:00:00Z", storage: "memory" });
    expect(remembered("RENAMED")).toBeUndefined();
  });
});

describe("a repair that stands in NATS", () => {
  const facts = duringRepair({ holding: HOLDING });
  const OVERLAP =
    "nats: BadRequestError: code=400 err_code=10065 description='subjects overlap with an existing stream'";

  it("explains all that is wrong with the stream, whoever says it, and nobody is told to remove what it holds", () => {
    for (const worker of [
      WORKER,
      crashingWorker(OVERLAP),
      saidAgo(WORKER, 5, FETCH),
      crashingWorker("err_code=10026"),
    ]) {
      const evidence: Evidence = {
        ...noetl(saidAgo(SERVER, 60, NO_RESPONSE), worker),
        nats: { ok: true, value: facts },
        executions: { ok: true, value: [execution("491")] },
      };
      const { findings } = diagnose(evidence);
      expect(findings.map(({ id }) => id)).toEqual(["repair-interrupted"]);
      expect(JSON.stringify(findings)).not.toMatch(/stream (rm|edit)|config set/);
      expect(findings[0]?.evidence).toContain(
        "stream NOETL_COMMANDS-repair: put there by the repair that host-b began at 2026-03-02T11:00:00Z; " +
          "takes noetl.commands, holds 7 messages",
      );
      expect(findings[0]?.remedy.at(-1)).toEqual({ run: "npm run doctor -- --stack kind --repair" });
    }
  });

  it("quotes what ready pods fail of meanwhile, and hides nothing that is not its business", () => {
    const gateway = {
      id: "gateway-updates",
      about: "gateway",
      effect: "gateway" as const,
      severity: "violation" as const,
    };
    const check = { ...gateway, ok: false, found: "refused", expected: "may", why: "x", repairable: false };
    const evidence: Evidence = {
      ...noetl(SERVER, saidAgo(WORKER, 5, FETCH)),
      nats: { ok: true, value: { ...facts, checks: [...facts.checks, check] } },
    };
    const { findings } = diagnose(evidence);
    expect(findings.map(({ id }) => id)).toEqual(["repair-interrupted", "contract"]);
    expect(findings[0]?.evidence.join("\n")).toContain(FETCH);
    expect(findings[1]?.title).toBe("The gateway may not listen to updates: refused");
  });

  it("does not send anybody to --repair where another stream has the subject", () => {
    const value = nats(null, null, { overlapping: ["FORMER"] });
    const repair = { begun: "2026-03-02T11:00:00Z", phase: "saved", saved: 3, folder: "/home/me/repair" };
    const { findings } = diagnose(natsSays(value, { repair }));
    expect(findings[0]).toMatchObject({ id: "repair-interrupted", repairable: false });
    expect(JSON.stringify(findings)).not.toContain("--repair");
    expect(JSON.stringify(findings[0]?.remedy)).toContain("FORMER has the subject noetl.commands");
  });

  it("goes on here where the journal is here", () => {
    const repair = { begun: "2026-03-02T11:00:00Z", phase: "saved", saved: 3, folder: "/home/me/repair" };
    const [finding] = found(natsSays(facts, { repair }), "repair-interrupted");
    expect(finding?.evidence[0]).toBe(
      "it began here at 2026-03-02T11:00:00Z and came to: saved; 3 messages in /home/me/repair",
    );
    expect(finding?.remedy[0]).toEqual({ say: "Run again, it goes on from there, and loses nothing:" });
  });

  it("has lines of its own in the checklist, and is not called another's stream there", () => {
    const interrupted = checklist(natsSays(facts)).lines;
    expect(interrupted.find(({ item }) => item === "NOETL_COMMANDS-repair")).toMatchObject({
      status: "wrong",
      found:
        "put there by the repair that host-b began at 2026-03-02T11:00:00Z; takes noetl.commands, holds 7 messages; " +
        "it was interrupted: npm run doctor -- --stack kind --repair goes on",
    });
    expect(interrupted.find(({ item }) => item === "stream-overlap")?.found).toBe(
      "NOETL_COMMANDS-repair, the stream of a repair",
    );
    // The contract says the same where an update asks it.
    const overlap = facts.checks.find(({ id }) => id === "stream-overlap");
    expect(overlap?.advice).toMatch(/run it again where it ran \(npm run doctor -- --stack NAME --repair\)/);
    expect(overlap?.advice).not.toContain("stream rm");
    const running = checklist(natsSays(duringRepair({ holding: HOLDING, atWork: AT_WORK }))).lines;
    expect(running.filter(({ item }) => item.includes("-repair")).map(({ item, status }) => [item, status])).toEqual([
      ["NOETL_COMMANDS-repair", "note"],
      ["NOETL_COMMANDS-repair-lock", "note"],
    ]);
  });
});

describe("another stream that has the subject", () => {
  it("is never a matter for --repair, whatever else is wrong with NoETL's own", () => {
    const streams = [
      null,
      {},
      { subjects: ["other"] },
      { retention: "workqueue" },
      { max_age: 60e9 },
      { sealed: true },
    ];
    for (const stream of streams) {
      for (const consumer of [null, {}, { ack_policy: "none" }]) {
        const value = nats(stream, consumer, { overlapping: ["FORMER"] });
        const { findings } = diagnose(natsSays(value));
        expect(findings[0]?.id, JSON.stringify({ stream, consumer })).toBe("subject-taken");
        expect(JSON.stringify(findings)).not.toContain("--repair");
        expect(findings.some(({ repairable }) => repairable)).toBe(false);
      }
    }
  });

  it("is named with each that there is, and removed before NoETL's own takes the subject", () => {
    const value = nats({ subjects: ["other"] }, {}, { overlapping: ["FORMER", "ARCHIVE"] });
    const [finding] = found(natsSays(value), "subject-taken");
    expect(finding?.title).toBe("Stream NOETL_COMMANDS cannot have noetl.commands, which belongs to FORMER, ARCHIVE");
    const commands = finding?.remedy.flatMap((step) => ("run" in step ? [step.run.replace(/^.* -- nats /, "")] : []));
    expect(commands?.slice(2, 5)).toEqual([
      "stream rm FORMER -f",
      "stream rm ARCHIVE -f",
      "stream edit NOETL_COMMANDS --subjects other --subjects noetl.commands -f",
    ]);
  });

  it("is not followed by a restart of pods that still have the former name: they would make that stream again", () => {
    const variable = { name: "NATS_STREAM", value: "FORMER", source: "literal", asDeployed: false };
    const value = nats(null, null, { overlapping: ["FORMER"] });
    const environment = { "noetl-worker": { ok: true, value: [variable] } } as const;
    const [finding] = found(natsSays(value, { environment }), "subject-taken");
    const commands = finding?.remedy.flatMap((step) => ("run" in step ? [step.run.replace(/^.* -- nats /, "")] : []));
    expect(commands).toEqual([
      "pulumi config set natsStream FORMER --stack kind",
      "pulumi up --stack kind",
      "stream rm FORMER -f",
      "pulumi up --stack kind",
    ]);
  });
});

describe("--repair as a remedy", () => {
  const repairs = (value: NatsFacts): boolean =>
    diagnose(natsSays(value)).findings.some(({ remedy }) =>
      remedy.some((step) => "run" in step && step.run.endsWith("--repair")),
    );

  it("is reported where it puts something right, and not where it would leave all as it is", () => {
    expect(repairs(nats({ retention: "workqueue" }))).toBe(true);
    expect(repairs(nats({ max_age: 60e9 }))).toBe(true);
    // A filter is a pool's, perhaps: neither it nor anybody but its maker can judge that.
    expect(repairs(nats({}, { filter_subject: "noetl.commands.shared.>" }))).toBe(false);
    // A longer time to acknowledge is another line's, perhaps.
    expect(repairs(nats({}, { ack_wait: 300e9 }))).toBe(false);
  });
});

describe("workers of several consumers", () => {
  const POOLS = { consumers: [{ name: "pool" }, { name: "pool_shared" }] };
  const facts = (...waiting: readonly number[]): NatsFacts => {
    const value = nats({}, {});
    const [own] = value.consumers;
    return {
      ...value,
      consumers: own ? POOLS.consumers.map(({ name }, index) => ({ ...own, name, waiting: waiting[index] ?? 0 })) : [],
    };
  };
  const evidence = (value: NatsFacts, environment: Evidence["environment"] = {}): Evidence => ({
    ...noetl(SERVER, saidAgo(WORKER, 5, FETCH)),
    nats: { ok: true, value },
    consumers: POOLS.consumers.map(({ name }) => name),
    consumer: "pool",
    consumerSetting: "pool",
    environment,
  });
  const named = (value: string): Evidence["environment"] => ({
    "noetl-worker": { ok: true, value: [{ name: "NATS_CONSUMER", value, source: "literal" }] },
  });

  it("fetch again only when they wait at every one of them", () => {
    expect(found(evidence(facts(1, 1)), "fetch-failed")).toEqual([]);
    expect(found(evidence(facts(1, 0)), "fetch-failed")).toHaveLength(1);
    expect(found(evidence(facts(1, 0), named("pool")), "fetch-failed")).toHaveLength(1);
  });

  it("are asked about the consumer that their pods name", () => {
    expect(found(evidence(facts(0, 1), named("pool_shared")), "fetch-failed")).toEqual([]);
    expect(found(evidence(facts(1, 0), named("pool_shared")), "fetch-failed")).toHaveLength(1);
  });

  it("have the numbers of each looked at", () => {
    const value = facts(1, 0);
    const consumers = value.consumers.map((each) => (each.name === "pool_shared" ? { ...each, pending: 5 } : each));
    const [finding] = found(evidence({ ...value, consumers }), "nobody-fetches");
    expect(finding?.evidence).toEqual([expect.stringMatching(/^consumer pool_shared: 5 pending/)]);
  });
});

describe("what a stack declares beyond NoETL", () => {
  const missing: CheckFacts = {
    id: "declared-stream",
    object: "stream ORDERS",
    about: "declared",
    ok: false,
    severity: "violation",
    found: "it does not exist",
    expected: "as declared",
    why: "what is published has no stream",
    advice: "let the contract do it",
    repairable: true,
  };
  const { noetl: _noetl, ...others } = healthy().namespaces;

  it("is looked at where there is no NoETL, and nothing of NoETL's", () => {
    const facts = nats(null);
    const value = { ...facts, checks: [...facts.checks, missing] };
    const evidence = natsSays(value, { namespaces: others, declares: true });
    expect(diagnose(evidence).findings.map(({ id, title }) => [id, title])).toEqual([
      ["contract", "The declared stream ORDERS is not as declared: it does not exist"],
    ]);
    const declared = checklist(evidence).lines.filter(({ section }) => section === "Declared in NATS");
    expect(declared).toEqual([
      {
        section: "Declared in NATS",
        item: "stream ORDERS",
        status: "wrong",
        found: "it does not exist",
        expected: "as declared",
      },
    ]);
    const silent = natsFails("refused", "ECONNREFUSED", { namespaces: others, declares: true });
    expect(checklist(silent)).toMatchObject({ holds: false });
  });

  it("explains no pod of NoETL's", () => {
    const value = { ...nats(), checks: [missing] };
    const { findings } = diagnose({ ...noetl(SERVER, unready(WORKER)), nats: { ok: true, value } });
    expect(findings.map(({ id }) => id)).toEqual(["contract", "not-ready"]);
  });
});

describe("a probe that fails", () => {
  const FAILED = "Unhealthy: Readiness probe failed: nats_probe.py: no connection to NATS on port 4222";
  const of = (...names: string[]) => names.map((name) => `Pod/${name}: ${FAILED}`);
  const evidenceOf = (warnings: string[]) =>
    diagnose(
      inPart("noetl", {
        pods: [SERVER, unready(WORKER), unready(WORKER, { name: "noetl-worker-2" })],
        warnings,
      }),
    ).findings.map(({ id, evidence }) => [id, evidence.filter((line) => line.includes("probe"))]);

  it("is what a pod that is not ready is shown with, before what its log happens to say", () => {
    const words = FAILED.replace("Unhealthy: ", "");
    // Newer warnings do not crowd it out.
    const others = ["BackOff: x", "FailedMount: y", "Evicted: z"].map((each) => `Pod/noetl-worker-1: ${each}`);
    expect(evidenceOf([...others, ...of("noetl-worker-1")])).toEqual([["not-ready", [`noetl-worker-1: ${words}`]]]);
    expect(evidenceOf(of("noetl-worker-1", "noetl-worker-2"))).toEqual([
      ["not-ready", [`noetl-worker-1 and 1 other: ${words}`]],
    ]);
    expect(evidenceOf(of("noetl-worker-2"))).toEqual([["not-ready", [`noetl-worker-2: ${words}`]]]);
  });
});

describe("a hook of a pod that is told to stop", () => {
  const WARNING = "Pod/noetl-worker-1: FailedPreStopHook: PreStopHook failed";
  const at = (worker: PodFacts) => diagnose(inPart("noetl", { pods: [SERVER, worker], warnings: [WARNING] })).findings;

  it("is not a cause when it fails, nor evidence of one", () => {
    expect(at(WORKER)).toEqual([]);
    const [finding] = at(unready(WORKER));
    expect(finding?.id).toBe("not-ready");
    expect(finding?.evidence.join("\n")).not.toContain("PreStopHook");
  });
});

describe("the contract's commands", () => {
  it("are shown with what they take along", () => {
    const base = nats({}, { ack_policy: "none" });
    const facts = { ...base, losses: ["Removing consumer noetl_worker_pool loses the 3 commands."] };
    const [finding] = found(natsSays(facts), "contract");
    const steps = (finding?.remedy ?? []).map((step) => ("run" in step ? step.run : step.say));
    const place = (words: string) => steps.findIndex((step) => step.includes(words));
    expect(place("By hand:")).toBeLessThan(place("loses the 3 commands"));
    expect(place("loses the 3 commands")).toBeLessThan(place("consumer rm"));
  });
});

describe("a rule's advice", () => {
  it("is shown among the remedies, for what no command can do", () => {
    const facts = nats({}, { ack_policy: "none" });
    const checks = facts.checks.map((check) => (check.ok ? check : { ...check, advice: "look at both streams" }));
    const [finding] = found(natsSays({ ...facts, checks }), "contract");
    expect(finding?.remedy[0]).toEqual({ say: "Look at both streams." });
  });

  const users = { advice: "let user noetl publish on x: add it", ofUsers: true } as const;
  const ADVISED = nats({}, { ack_policy: "none" });
  const about = (more: Partial<Evidence>): Evidence =>
    natsSays({ ...ADVISED, checks: ADVISED.checks.map((check) => (check.ok ? check : { ...check, ...users })) }, more);
  it.each<[string, (more: Partial<Evidence>) => Evidence]>([
    ["contract", about],
    ["missing-permission", (more) => natsFails("missing-permission", "Permissions Violation", more)],
    [
      "pods-nats-permission",
      ({ namespaces }) => {
        const evidence = noetl(SERVER, crashingWorker("start", "nats: permissions violation for publish"));
        const { nats: _nats, ...others } = evidence.namespaces;
        return namespaces ? { ...evidence, namespaces: others } : evidence;
      },
    ],
  ])(
    "about users of NATS, of %s, is an update where the stack installs it, and its configuration elsewhere",
    (id, of) => {
      const ours = found(of({}), id as FindingId)[0]?.remedy ?? [];
      const others = found(of({ namespaces: elsewhere() }), id as FindingId)[0]?.remedy ?? [];
      expect(ours).toContainEqual({ run: "pulumi up --stack kind" });
      expect(JSON.stringify(ours)).toContain("docs/security.md");
      expect(JSON.stringify(ours)).not.toMatch(/configuration|add it/);
      expect(JSON.stringify(others)).toMatch(/the server's configuration|add it/);
      expect(others).not.toContainEqual({ run: "pulumi up --stack kind" });
    },
  );

  it("of a part of the contract that is not known here is shown like the others", () => {
    const facts = nats();
    const check = {
      id: "object-store-ttl",
      about: "object-store",
      ok: false,
      severity: "violation" as const,
      found: "none",
      expected: "60 s",
      why: "it grows",
      consumer: "pool_a",
      repairable: false,
    };
    const evidence = natsSays({ ...facts, checks: [...facts.checks, check] });
    expect(found(evidence, "contract")[0]?.evidence.join("\n")).toContain(
      "object-store-ttl of pool_a: found none, expected 60 s; it grows",
    );
    const { lines: told } = checklist(evidence);
    expect(told.find(({ item }) => item === "object-store-ttl of pool_a")).toMatchObject({
      status: "wrong",
      found: "none",
    });
  });
});

describe("commands in remedies", () => {
  const commandsIn = (evidence: Evidence): string[] =>
    diagnose(evidence).findings.flatMap(({ remedy }) => remedy.flatMap((step) => ("run" in step ? [step.run] : [])));

  it("are such as their programs take, those of every finding", () => {
    const all = [...new Set(CASES.flatMap(({ yields, misses }) => [...commandsIn(yields), ...commandsIn(misses)]))];
    expect(all.length).toBeGreaterThan(60);
    expect(all.flatMap(complaintsAbout)).toEqual([]);
  });

  it("go into no nats-box where the stack has none", () => {
    const command = "npm run nats -- --stack kind";
    const withoutBox = (evidence: Evidence): Evidence => ({
      ...evidence,
      natsCommand: command,
      // What the contract's own commands are then is tried with them.
      nats: evidence.nats.ok
        ? {
            ok: true,
            value: {
              ...evidence.nats.value,
              commands: evidence.nats.value.commands.map((each) => each.replace(/^kubectl .*-box -- nats/, command)),
            },
          }
        : evidence.nats,
    });
    const all = CASES.flatMap(({ yields }) => commandsIn(withoutBox(yields)));
    expect(all.filter((each) => each.startsWith(command)).length).toBeGreaterThan(5);
    expect(all.filter((each) => each.includes("-box"))).toEqual([]);
    expect(all.flatMap(complaintsAbout)).toEqual([]);
  });

  it("that change something are carried out by a test, or a reason is given why none can", () => {
    const changing = new Set(
      CASES.flatMap(({ yields, misses }) => [...diagnose(yields).findings, ...diagnose(misses).findings]).flatMap(
        ({ id, remedy }) => (remedy.some((step) => "run" in step && !onlyShows(step.run)) ? [id] : []),
      ),
    );
    expect([...changing].filter((id) => "shows" in CARRIED_OUT[id])).toEqual([]);
    const titles = new Map<string, string>();
    for (const [id, carried] of Object.entries(CARRIED_OUT)) {
      if ("as" in carried) expect(CARRIED_OUT[carried.as], id).toHaveProperty("by");
      if ("shape" in carried) expect(changing, id).toContain(id);
      for (const [file, title] of "by" in carried ? carried.by : []) {
        if (!titles.has(file)) titles.set(file, readProject(`test/${file}`));
        expect(titles.get(file), `${id} in ${file}`).toContain(title);
      }
    }
  });

  it("against every rule of the contract too", () => {
    const streams: (object | null)[] = [null, { retention: "workqueue" }, { subjects: ["other.>"] }, { no_ack: true }];
    streams.push({ max_msgs: 1, discard: "new" }, { max_age: 60e9, duplicate_window: 60e9 }, { max_msg_size: 10 });
    const consumers: (object | null)[] = [{}, null, { ack_policy: "none" }, { ack_wait: 5e9, max_deliver: 2 }];
    consumers.push({ headers_only: true });
    const all = streams.flatMap((stream) =>
      consumers.flatMap((consumer) => commandsIn(natsSays(nats(stream, consumer)))),
    );
    expect(new Set(all).size).toBeGreaterThan(10);
    expect(all.flatMap(complaintsAbout)).toEqual([]);
  });

  it("are told from those that no program takes", () => {
    const wrong = [
      "kubectl -n nats restart deploy/x",
      "kubectl -n nats rollout restart nats",
      "kubectl -n nats logs nats-0 --tail",
      "kubectl -n nats exec deploy/nats-box nats stream rm X",
      "kubectl -n nats exec deploy/nats-box -- nats stream rm -f",
      "nats stream edit X --no-such-flag",
      "pulumi up",
      "pulumi config set noSuchSetting 1 --stack kind",
      "helm rollback noetl -n noetl --now",
      "npm run repair -- --stack kind",
      "kubectl get pods; rm -rf x",
    ];
    for (const command of wrong) expect(complaintsAbout(command), command).not.toEqual([]);
  });
});

describe("settings in remedies", () => {
  /** Every `pulumi config set` of any case, as key and value; what a person must fill in is left out. */
  const settingsOf = (evidence: Evidence): [string, string][] =>
    diagnose(evidence).findings.flatMap(({ remedy }) =>
      remedy.flatMap((step): [string, string][] => {
        const [, key, value] = /^pulumi config set (\w+) (\S+) --stack/.exec("run" in step ? step.run : "") ?? [];
        return key === undefined || value === undefined || /^(NAME|~.*)$/.test(value) ? [] : [[key, value]];
      }),
    );

  it("are accepted by the settings, all of them", () => {
    const all = CASES.flatMap(({ yields }) => settingsOf(yields));
    expect(all.length).toBeGreaterThan(5);
    for (const [key, value] of all) expect(() => parseSettings({ [key]: value }), `${key} ${value}`).not.toThrow();
  });

  it("of NATS's memory are accepted whatever its sizes are, and more than it has", () => {
    const OOM = CASES.find(({ id }) => id === "memory")?.yields ?? healthy();
    const FULL = CASES.find(({ id }) => id === "store-full")?.yields ?? healthy();
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 64 * 1024 }),
        fc.option(fc.integer({ min: 128, max: 128 * 1024 }), { nil: undefined }),
        fc.constantFrom(OOM, FULL),
        (store, limit, evidence) => {
          const config = {
            natsJetstreamMemSize: `${store}Mi`,
            ...(limit === undefined ? {} : { natsMemoryLimit: `${limit}Mi` }),
          };
          const sizes = accepted(config);
          fc.pre(sizes !== undefined);
          const told = settingsOf({ ...evidence, natsSizes: config });
          expect(accepted({ ...config, ...Object.fromEntries(told) }), JSON.stringify({ config, told })).toBeDefined();
          const bytes = (text: string | undefined) => Number(text?.replace("Mi", ""));
          for (const [key, value] of told.filter(([name]) => name === "natsMemoryLimit" && evidence === OOM)) {
            expect(bytes(value), key).toBeGreaterThan(limit ?? 0);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** The settings, or undefined where they are refused. */
function accepted(config: Readonly<Record<string, string>>) {
  try {
    return parseSettings(config);
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

describe("a database in Cloud SQL", () => {
  it("has the proxy's trouble as cause, the failed Job and nothing else of the database beside it", () => {
    for (const [id, message] of PROXY_TROUBLES) {
      const causes = diagnose(onCloudSql(message, false)).findings.filter(({ severity }) => severity === "cause");
      expect(causes.map((each) => each.id).filter((each) => /^proxy|schema|database/.test(each))).toEqual([id]);
    }
  });

  it("has PgBouncer's own pods and workload looked at", () => {
    const broken = namespace("pgbouncer", {
      pods: [crashing("pgbouncer-1", "pgbouncer", ["FATAL cannot load config file"], { namespace: "pgbouncer" })],
      workloads: [workload("pgbouncer", 0, { namespace: "pgbouncer" })],
    });
    const evidence = healthy();
    const at = (value: NamespaceFacts): Evidence => ({
      ...evidence,
      namespaces: { ...evidence.namespaces, pgbouncer: { ok: true, value } },
    });
    expect(found(at(broken), "crash-loop")[0]?.evidence.join("\n")).toContain("cannot load config file");
    expect(found(at(namespace("pgbouncer")), "not-deployed")[0]?.title).toBe("Not deployed: pgbouncer");
    const off = { ...broken, pods: [], workloads: [workload("pgbouncer", 0, { namespace: "pgbouncer", wanted: 0 })] };
    expect(found(at(off), "pods-missing")[0]?.title).toBe("pgbouncer was scaled to nothing");
  });
});

describe("what was changed by hand", () => {
  const scaledDown = {
    workloads: [workload("noetl-server", 0, { wanted: 0 }), workload("noetl-worker")],
    pods: [WORKER],
  };
  const commands = (evidence: Evidence) =>
    found(evidence, "pods-missing")[0]?.remedy.flatMap((step) => ("run" in step ? [step.run] : []));

  it("is put back by Helm where it is part of a release, which Pulumi does not look into", () => {
    const deployed = release({ status: "deployed", revision: 7 });
    expect(commands(inPart("noetl", { ...scaledDown, ...deployed }))?.[0]).toBe(
      "helm --kube-context kind-noetl rollback noetl 7 -n noetl",
    );
    // Who may not read the releases finds the revision out by Helm.
    const unread = ["user x may not list the secrets of namespace noetl"];
    expect(commands(inPart("noetl", { ...scaledDown, unread }))?.[0]).toContain("history noetl -n noetl");
  });

  it("is put back by Pulumi where there is no release, or where it is the program's own", () => {
    const pulumi = ["pulumi refresh --stack kind", "pulumi up --stack kind"];
    expect(commands(inPart("noetl", scaledDown))?.slice(0, 2)).toEqual(pulumi);
    const postgres = {
      workloads: [workload("postgres", 0, { kind: "StatefulSet", namespace: "postgres", wanted: 0 })],
    };
    expect(commands(inPart("postgres", postgres))?.slice(0, 2)).toEqual(pulumi);
  });
});

describe("remedies on a stack that brings its own engine", () => {
  const words = { up: "make it", refresh: "make it --refresh", set: "make it KEY=VALUE" };

  it("are the commands that were handed over with the engine, which know where it keeps the stack", () => {
    const steps = [
      { run: "pulumi config set natsMemoryLimit 3Gi --stack embedded" },
      { run: "pulumi config set --secret natsPassword --stack embedded" },
      { say: "and" },
      { run: "pulumi refresh --stack embedded" },
      { run: "pulumi up --stack embedded" },
      { run: "kubectl get pods" },
      { run: "pulumi up --stack embedded" },
      { run: "pulumi config rm natsStorageClass --stack embedded" },
      { run: "helm rollback nats 2 -n nats" },
    ];
    expect(inWordsOf(words, steps, { stack: "embedded", helm: "/cache/helm" })).toEqual([
      { run: "make it natsMemoryLimit=3Gi" },
      { run: "make it natsPassword=..." },
      { say: "and" },
      { run: "make it --refresh" },
      { run: "kubectl get pods" },
      { run: "make it" },
      { run: "make it natsStorageClass=" },
      { run: "/cache/helm rollback nats 2 -n nats" },
    ]);
  });
});
