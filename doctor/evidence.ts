import type { ConnectProblem } from "../components/stream-contract/errors";
import type { Check, Rule } from "../components/stream-contract/rules";

/** Result of one rule of the contract, with what breaks in NoETL where it is broken. */
export interface CheckFacts extends Check {
  readonly about: Rule["about"];
  readonly why: string;
}

/** A question that may have gone without an answer. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: ConnectProblem; readonly message: string };

/** One container of a pod, init containers included. */
export interface ContainerFacts {
  readonly name: string;
  readonly init: boolean;
  readonly image: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** What it waits for: ImagePullBackOff, CrashLoopBackOff, ContainerCreating, ... */
  readonly waiting?: { readonly reason: string; readonly message: string };
  /** How it ended, this time or the last. */
  readonly ended?: { readonly reason: string; readonly exitCode: number; readonly message: string };
  /** Last lines of its log, oldest first; of the run before where that one crashed. */
  readonly log: readonly string[];
}

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  /** Workload that it belongs to: the Deployment, StatefulSet or Job. */
  readonly owner: string;
  readonly phase: string;
  readonly ready: boolean;
  /** Why it was not scheduled, where it was not. */
  readonly unscheduled?: string;
  /** Seconds since it was created. */
  readonly ageSeconds: number;
  readonly containers: readonly ContainerFacts[];
}

export interface WorkloadFacts {
  readonly kind: "Deployment" | "StatefulSet" | "Job";
  readonly namespace: string;
  readonly name: string;
  readonly wanted: number;
  readonly ready: number;
  /** Why it cannot make its pods, or why the Job failed. */
  readonly trouble?: string;
}

export interface ClaimFacts {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly storageClass?: string;
  readonly size?: string;
}

/** The last revision of a Helm release. */
export interface ReleaseFacts {
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  /** Helm's own word: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, ... */
  readonly status: string;
  /** Seconds since Helm began with it. */
  readonly ageSeconds: number;
  /** What Helm says about a failed one, masked; empty otherwise. */
  readonly description: string;
}

/** One namespace and what is in it. */
export interface NamespaceFacts {
  readonly name: string;
  readonly pods: readonly PodFacts[];
  readonly workloads: readonly WorkloadFacts[];
  readonly claims: readonly ClaimFacts[];
  /** The stack's own Helm releases. */
  readonly releases: readonly ReleaseFacts[];
  /** The latest warning of each object, `Kind/name: reason: message`. */
  readonly warnings: readonly string[];
  /** Why parts of this could not be read. */
  readonly unread: readonly string[];
}

/** One environment variable of a deployed container. Never holds a secret: values are masked when they are read. */
export interface VariableFacts {
  readonly name: string;
  /** Literal value, or the ConfigMap's or Secret's, masked. Undefined where it does not exist or may not be read. */
  readonly value?: string;
  /** Where it comes from: `literal`, `ConfigMap x, key y` or `Secret x, key y`. */
  readonly source: string;
  /** Whether it is exactly what the stack would set; undefined where that is not known. */
  readonly asDeployed?: boolean;
  /** True where it is not what the stack would set and yet looks the same: what is masked differs. */
  readonly looksAlike?: boolean;
}

export interface ConsumerFacts {
  readonly name: string;
  readonly durable: boolean;
  readonly pull: boolean;
  readonly ackPolicy: string;
  readonly deliverPolicy: string;
  readonly filters: readonly string[];
  readonly maxAckPending: number;
  /** Messages not delivered yet. */
  readonly pending: number;
  /** Messages delivered and not acknowledged. */
  readonly ackPending: number;
  readonly redelivered: number;
  /** Fetches that wait at the server: how many workers are listening. */
  readonly waiting: number;
}

export interface StreamFacts {
  readonly name: string;
  readonly created: string;
  readonly subjects: readonly string[];
  readonly retention: string;
  readonly storage: string;
  readonly maxAgeSeconds: number;
  readonly replicas: number;
  readonly messages: number;
  readonly bytes: number;
}

/** What NATS says. */
export interface NatsFacts {
  readonly server: string;
  readonly serverVersion: string;
  /** Undefined where there is no stream of the contract's name. */
  readonly stream?: StreamFacts;
  readonly consumers: readonly ConsumerFacts[];
  /** Results of the contract's rules. */
  readonly checks: readonly CheckFacts[];
  /** Commands that mend what is broken, in their order. */
  readonly commands: readonly string[];
  /** The gateway's key-value buckets; without a TTL where there is none of that name. */
  readonly buckets: readonly { readonly name: string; readonly ttlSeconds?: number }[];
  /** Rules that could not be asked, and why. */
  readonly unasked: readonly string[];
  /** Names of other streams that store NATS_SUBJECT. */
  readonly overlapping: readonly string[];
}

/** One answer of the gateway. */
export interface ProbeFacts {
  /** What was asked: `OPTIONS /api/auth/validate`. */
  readonly request: string;
  /** Through what: `the gateway's pod` or a public URL. */
  readonly by: string;
  readonly status: number;
  /** `access-control-allow-origin`, where it is there. */
  readonly allowOrigin?: string;
  /** `server` and `via` headers: who answered. */
  readonly answeredBy?: string;
  /** Beginning of the body, masked. */
  readonly body: string;
}

export interface GatewayFacts {
  /** The page's origin that the probes pretend to come from. */
  readonly origin: string;
  /** The origins that the stack allows. */
  readonly allowedOrigins: readonly string[];
  /** What its pod answers. */
  readonly probes: readonly Answer<ProbeFacts>[];
  /** What arrives at its public URL, where the stack has one. */
  readonly outside: readonly Answer<ProbeFacts>[];
}

/** Everything that was found out about a deployment, as plain data without secrets. */
export interface Evidence {
  readonly stack: string;
  readonly user: string;
  readonly stream: string;
  readonly subject: string;
  readonly consumer: string;
  readonly missingOutputs: readonly string[];
  readonly configProblem?: string;
  /** Address of the cluster's API, for messages. */
  readonly cluster: string;
  /** How commands reach that cluster: `kubectl --context kind-noetl`. */
  readonly kubectl: string;
  /** How long Helm waits at the most in this stack's updates, in seconds: what is older was killed. */
  readonly helmTimeoutSeconds: number;
  /** Whether the stack's password is the one that NATS is deployed with; undefined where one of them is not known. */
  readonly passwordAsDeployed?: boolean;
  /** By part, for the parts that the stack deploys. */
  readonly namespaces: Partial<Record<Part, Answer<NamespaceFacts>>>;
  /** Environment by Deployment. */
  readonly environment: Partial<Record<string, Answer<readonly VariableFacts[]>>>;
  readonly nats: Answer<NatsFacts>;
  readonly gateway?: GatewayFacts;
  /** A repair on this machine that has not come to its end. */
  readonly repair?: { readonly begun: string; readonly phase: string; readonly saved: number; readonly folder: string };
}

/** The parts of a deployment. */
export type Part = "nats" | "postgres" | "pgbouncer" | "noetl" | "gateway";
