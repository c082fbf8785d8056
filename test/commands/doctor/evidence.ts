import { contractFacts } from "../../../commands/doctor/nats";
import type { Observed } from "../../../contract/rules";
import { withDefaults, type ContractArguments } from "../../../contract/inputs";
import type {
  ContainerFacts,
  Evidence,
  LogLine,
  NamespaceFacts,
  NatsFacts,
  PodFacts,
  RepairFacts,
  VariableFacts,
  WorkloadFacts,
} from "../../../commands/doctor/evidence";
import { CONSUMER_CONFIG, IDLE, STREAM_CONFIG } from "./configs";

/** The present of the tests' evidence. */
export const NOW = Date.parse("2026-03-02T12:00:00Z");

/** Lines of a log of no known time, or of one so many seconds ago. */
export const lines = (texts: readonly string[], secondsAgo?: number): LogLine[] =>
  texts.map((text) => ({ text, ...(secondsAgo === undefined ? {} : { at: NOW - secondsAgo * 1000 }) }));

/** A container that runs. */
export const container = (changes: Partial<ContainerFacts> = {}): ContainerFacts => ({
  name: "main",
  init: false,
  image: "image:1",
  ready: true,
  restarts: 0,
  log: [],
  ...changes,
});

/** A ready pod. */
export const pod = (name: string, owner: string, changes: Partial<PodFacts> = {}): PodFacts => ({
  namespace: "noetl",
  name,
  owner,
  phase: "Running",
  ready: true,
  claims: [],
  ageSeconds: 600,
  containers: [container()],
  ...changes,
});

/** A pod whose container crashes again and again with `log` as its last words. */
export const crashing = (name: string, owner: string, log: readonly string[], changes: Partial<PodFacts> = {}) =>
  pod(name, owner, {
    ready: false,
    containers: [
      container({
        ready: false,
        restarts: 4,
        waiting: { reason: "CrashLoopBackOff", message: "back-off 40s restarting failed container" },
        ended: { reason: "Error", exitCode: 1, message: "" },
        log: lines(log),
      }),
    ],
    ...changes,
  });

export const workload = (name: string, ready = 1, changes: Partial<WorkloadFacts> = {}): WorkloadFacts => ({
  kind: "Deployment",
  namespace: "noetl",
  name,
  wanted: 1,
  ready,
  ...changes,
});

export const namespace = (name: string, changes: Partial<NamespaceFacts> = {}): NamespaceFacts => ({
  name,
  pods: [],
  workloads: [],
  claims: [],
  releases: [],
  warnings: [],
  unread: [],
  ...changes,
});

/** What NATS says where stream and consumer are as NoETL makes them, `stream` and `consumer` changed as given. */
export function nats(
  stream: object | null = {},
  consumer: object | null = {},
  more: Partial<Observed> & { readonly inputs?: ContractArguments; readonly repair?: RepairFacts } = {},
): NatsFacts {
  const { inputs = {}, repair, ...observed } = more;
  const streamInfo = stream && {
    config: { ...STREAM_CONFIG, ...stream },
    created: "2026-03-02T10:00:00.123Z",
    state: { messages: 0, bytes: 0, consumer_count: 1 },
  };
  const consumerInfo = consumer && {
    name: "noetl_worker_pool",
    ...IDLE,
    config: { ...CONSUMER_CONFIG, ...consumer },
  };
  const { config } = streamInfo ?? {};
  return {
    server: "pod nats/nats-0 port 4222",
    serverVersion: "2.12.0",
    ...(config
      ? {
          stream: {
            name: config.name,
            created: "2026-03-02T10:00:00.123Z",
            subjects: config.subjects,
            retention: config.retention,
            storage: config.storage,
            maxAgeSeconds: config.max_age / 1e9,
            replicas: 1,
            messages: 0,
            bytes: 0,
          },
        }
      : {}),
    consumers:
      config && consumerInfo
        ? [
            {
              name: "noetl_worker_pool",
              durable: true,
              pull: true,
              ackPolicy: consumerInfo.config.ack_policy,
              deliverPolicy: consumerInfo.config.deliver_policy,
              filters: [],
              maxAckPending: consumerInfo.config.max_ack_pending,
              pending: 0,
              ackPending: 0,
              redelivered: 0,
              waiting: 2,
            },
          ]
        : [],
    ...contractFacts(
      withDefaults(inputs),
      {
        stream: (streamInfo ?? undefined) as unknown as Observed["stream"],
        consumer: (streamInfo && consumerInfo ? consumerInfo : undefined) as unknown as Observed["consumer"],
        ...observed,
      },
      repair,
    ),
    buckets: [
      { name: "sessions", ttlSeconds: 300 },
      { name: "requests", ttlSeconds: 1800 },
    ],
    skippedRules: [],
  };
}

const GATEWAY_ENVIRONMENT: readonly VariableFacts[] = [
  {
    name: "NATS_URL",
    value: "nats://noetl:***@nats.nats.svc.cluster.local:4222",
    source: "Secret gateway-credentials, key NATS_URL",
    asDeployed: true,
  },
  { name: "NATS_UPDATES_SUBJECT_PREFIX", value: "playbooks.executions.", source: "literal", asDeployed: true },
  { name: "CORS_ALLOWED_ORIGINS", value: "http://localhost:3000", source: "literal", asDeployed: true },
];

/** Evidence of a deployment that works, changed as given. */
export function healthy(changes: Partial<Evidence> = {}): Evidence {
  return {
    stack: "kind",
    user: "noetl",
    stream: "NOETL_COMMANDS",
    subject: "noetl.commands",
    consumer: "noetl_worker_pool",
    consumers: ["noetl_worker_pool"],
    consumerSetting: "noetl_worker_pool",
    declares: false,
    missingOutputs: [],
    cluster: "https://127.0.0.1:6443",
    kubectl: "kubectl --context kind-noetl",
    now: NOW,
    slow: [],
    workerReplicas: 1,
    fetchTimeoutSeconds: 30,
    guarded: false,
    natsAddress: "nats.nats.svc.cluster.local:4222",
    natsSizes: { natsJetstreamMemSize: "1Gi" },
    natsVolume: { size: "5Gi", sizeSetting: "natsJetstreamFileSize" },
    helmTimeoutSeconds: 300,
    passwordAsDeployed: true,
    namespaces: {
      nats: {
        ok: true,
        value: namespace("nats", {
          pods: [pod("nats-0", "nats", { namespace: "nats", claims: ["nats-js-nats-0"] })],
          workloads: [workload("nats", 1, { kind: "StatefulSet", namespace: "nats" })],
        }),
      },
      postgres: { ok: true, value: namespace("postgres") },
      noetl: {
        ok: true,
        value: namespace("noetl", {
          pods: [pod("noetl-server-1", "noetl-server"), pod("noetl-worker-1", "noetl-worker")],
          workloads: [workload("noetl-server"), workload("noetl-worker")],
        }),
      },
      gateway: {
        ok: true,
        value: namespace("gateway", {
          pods: [pod("gateway-1", "gateway", { namespace: "gateway" })],
          workloads: [workload("gateway", 1, { namespace: "gateway" })],
        }),
      },
    },
    environment: { gateway: { ok: true, value: GATEWAY_ENVIRONMENT } },
    nats: { ok: true, value: nats() },
    ...changes,
  };
}
