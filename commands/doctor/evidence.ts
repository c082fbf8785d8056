import type { natsVolume } from "../../config/derive";
import type { ConnectProblem } from "../../contract/errors";
import type { Effect } from "../../contract/rules/rule";
import type { Check } from "../../contract/rules";

/** Result of one rule of the contract, with what breaks in NoETL where it is broken. */
export interface CheckFacts extends Check {
  /** What the rule is about: `stream`, `consumer`, ...; a part of the contract that is not known here is shown like the others. */
  readonly about: string;
  readonly why: string;
  /** What happens where it is broken; undefined where the rule does not say. */
  readonly effect?: Effect;
  /** What to do that no command can do, in words. */
  readonly advice?: string;
  /** Whether that is about the users of NATS. */
  readonly ofUsers?: true;
  /** Whether `doctor --repair` puts it right; false where it holds. */
  readonly repairable: boolean;
}

/** A question that may have gone without an answer. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: ConnectProblem; readonly message: string };

/** One line of a log as it is shown: masked, without control sequences, of a JSON object its words. */
export interface LogLine {
  /** When it was written, by the node's clock, in milliseconds since 1970; undefined where that is not known. */
  readonly at?: number;
  readonly text: string;
}

/** One container of a pod, init containers included. */
export interface ContainerFacts {
  readonly name: string;
  readonly init: boolean;
  readonly image: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** Its memory limit, a Kubernetes quantity; undefined where it has none. */
  readonly memoryLimit?: string;
  /** What it waits for: ImagePullBackOff, CrashLoopBackOff, ContainerCreating, ... */
  readonly waiting?: { readonly reason: string; readonly message: string };
  /** Since when it runs, in milliseconds since 1970. */
  readonly since?: number;
  /** How it ended, this time or the last. */
  readonly ended?: {
    readonly reason: string;
    readonly exitCode: number;
    readonly message: string;
    /** When, in milliseconds since 1970. */
    readonly at?: number;
    /** How long that run was, in seconds. */
    readonly ranSeconds?: number;
  };
  /** Last lines of its log, oldest first; of the run before where that one crashed. */
  readonly log: readonly LogLine[];
  /** Last lines of the run before, where that one crashed and the container runs again. */
  readonly lastRun?: readonly LogLine[];
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
  /** Names of the claims that its volumes take. */
  readonly claims: readonly string[];
  /** Seconds since it was created. */
  readonly ageSeconds: number;
  /** Undefined where no node has taken it. */
  readonly node?: string;
  /** Hash of the template that it was made from, where its workload puts it on. */
  readonly template?: string;
  readonly containers: readonly ContainerFacts[];
}

/** A pod that its cluster has ended for good: it was evicted, or ended with its node. Its workload makes another. */
export interface EvictedFacts {
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  /** The cluster's own words: `Evicted: The node was low on resource: memory.` */
  readonly why: string;
  /** When, in milliseconds since 1970. */
  readonly at?: number;
}

/** A pod that was deleted and is still there although its time to end is over: its place stays taken. */
export interface EndingFacts {
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  /** Seconds since it was to be gone. */
  readonly overdueSeconds: number;
  readonly node?: string;
  /** Who has to let it go before. */
  readonly finalizers: readonly string[];
}

/** What is asked of a volume; without a StorageClass the cluster's default makes it. */
export interface VolumeTerms {
  readonly storageClass?: string;
  readonly size?: string;
}

export interface WorkloadFacts {
  readonly kind: "Deployment" | "StatefulSet" | "Job";
  readonly namespace: string;
  readonly name: string;
  readonly wanted: number;
  /** Pods that are ready, of whatever template. */
  readonly ready: number;
  /** Where its newest template is not yet that of all its pods, or not all of these are available. */
  readonly rollout?: Rollout;
  /** Whether somebody has paused its rollouts: its newest template reaches no pod then. */
  readonly paused?: true;
  /** Why it cannot make its pods, or why the Job failed. */
  readonly trouble?: string;
  /** Of the first volume that each of its pods has, as the StatefulSet's template claims it. */
  readonly volume?: VolumeTerms;
}

/** How far the newest template of a workload has come. */
export interface Rollout {
  /** Pods of the newest template. */
  readonly updated: number;
  /** Pods of earlier ones that are still there. */
  readonly old: number;
  /** The controller's own words where it has given up waiting. */
  readonly gaveUp?: string;
}

/** A Service that finds its pods by a selector. */
export interface ServiceFacts {
  readonly namespace: string;
  readonly name: string;
  /** As `kubectl` writes it: `app=noetl,component=server`. */
  readonly selector: string;
  /** Workloads of the pods that it leads to. */
  readonly owners: readonly string[];
  readonly ports: readonly ServicePort[];
}

export interface ServicePort {
  readonly port: number;
  /** Number or name of the pods' port. */
  readonly target: string;
  /** Whether a container of its pods has that port; of a number also true where one of them does not name its ports. */
  readonly offered: boolean;
}

export interface ClaimFacts {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  /** Whether somebody has deleted it: it goes, with its volume, as soon as its pod ends. */
  readonly removed?: true;
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
  /** Those that run, or are to. */
  readonly pods: readonly PodFacts[];
  readonly evicted?: readonly EvictedFacts[];
  readonly ending?: readonly EndingFacts[];
  readonly workloads: readonly WorkloadFacts[];
  /** Undefined where they could not be read. */
  readonly services?: readonly ServiceFacts[];
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
  /** When the last message was stored, in milliseconds since 1970; undefined where none was. */
  readonly lastMessageAt?: number;
}

/** What NATS says. */
export interface NatsFacts {
  readonly server: string;
  readonly serverVersion: string;
  /** The server's clock, in milliseconds since 1970; undefined where it does not tell. */
  readonly now?: number;
  /** Undefined where there is no stream of the contract's name. */
  readonly stream?: StreamFacts;
  readonly consumers: readonly ConsumerFacts[];
  /** Results of the contract's rules. */
  readonly checks: readonly CheckFacts[];
  /** Commands that fix what is broken, in their order. */
  readonly commands: readonly string[];
  /** What these commands take with them, a sentence each. */
  readonly losses: readonly string[];
  /** The gateway's key-value buckets; without a TTL where there is none of that name. */
  readonly buckets: readonly { readonly name: string; readonly ttlSeconds?: number }[];
  /** Rules that could not be asked, and why. */
  readonly skippedRules: readonly string[];
  /** Names of other streams that store NATS_SUBJECT; a repair's own is not among them. */
  readonly overlapping: readonly string[];
  /** Why `doctor --repair` cannot do anything from here; undefined where it can. */
  readonly blocked?: string;
  /** A repair that is at work or was interrupted, as its own streams tell; undefined where none is. */
  readonly repair?: RepairFacts;
}

/** What a repair has left in NATS while it is under way. */
export interface RepairFacts {
  /** Who is at work, in words; undefined where nobody is. */
  readonly atWork?: string;
  /** The stream that takes what is published meanwhile, where it is there. */
  readonly holding?: {
    readonly name: string;
    /** Subjects of others that it takes at the moment; none before the stream gave them up and after it has them back. */
    readonly takes: readonly string[];
    readonly messages: number;
    /** The machine that began the repair, and its backup there. */
    readonly host: string;
    readonly folder: string;
    readonly stack: string;
    /** When it began, ISO 8601. */
    readonly begun: string;
  };
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

/** Why nobody goes on with an execution; what each means stands with the question in `executions.ts`. */
export type Standstill = "waits" | "parent-ended" | "no-command" | "cancelled";

/** A command that no worker has taken. Numbers are text: they have 64 bits. */
export interface CommandFacts {
  readonly eventId: string;
  /** As NoETL has them, to be announced so; not yet fit to be shown. */
  readonly commandId: string;
  readonly step: string;
  /** In milliseconds since 1970. */
  readonly issuedAt: number;
}

/** An execution that nobody goes on with. */
export interface ExecutionFacts {
  readonly id: string;
  readonly path: string;
  /** Of its playbook, in NoETL's catalog. */
  readonly version: string;
  /** When the first of its commands was issued, or when it began where there are none, in milliseconds since 1970. */
  readonly issuedAt: number;
  readonly standstill: Standstill;
  /** Its commands that no worker has taken and that no message in the stream announces. */
  readonly commands: readonly CommandFacts[];
}

/** TLS of a stack's NATS. */
export interface TlsFacts {
  /** Where the certificate comes from, as the settings say it. */
  readonly natsTls: string;
  /** `natsTlsSecret`, where it is set. */
  readonly secret?: string;
  /** End of the certificate that NATS shows, in milliseconds since 1970; undefined where it could not be looked at. */
  readonly ends?: number;
}

/** Everything that was found out about a deployment, as plain data without secrets. */
export interface Evidence {
  readonly stack: string;
  readonly user: string;
  readonly stream: string;
  readonly subject: string;
  /** The first of the workers' consumers. */
  readonly consumer: string;
  /** All of them, as the contract has them. */
  readonly consumers: readonly string[];
  /** NATS_CONSUMER as the stack sets it: with pools their consumers are named after it. */
  readonly consumerSetting: string;
  /** Whether the stack declares objects in NATS beyond NoETL's. */
  readonly declares: boolean;
  readonly missingOutputs: readonly string[];
  readonly configProblem?: string;
  /** Address of the cluster's API, for messages. */
  readonly cluster: string;
  /** How commands reach that cluster: `kubectl --context kind-noetl`. */
  readonly kubectl: string;
  /** The present time by NATS's clock where it tells, else by this machine's, in milliseconds since 1970. */
  readonly now: number;
  /** Questions that were answered late, in words. */
  readonly slow: readonly string[];
  /** Workers that the stack sets, in pods. */
  readonly workerReplicas: number;
  /** How long a worker's fetch waits at the server, as the stack sets it. */
  readonly fetchTimeoutSeconds: number;
  /** Whether the stack has a guard of the contract. */
  readonly guarded: boolean;
  /** How long Helm waits at the most in this stack's updates, in seconds: what is older was killed. */
  readonly helmTimeoutSeconds: number;
  /** Whether the stack's password is the one that NATS is deployed with; undefined where one of them is not known. */
  readonly passwordAsDeployed?: boolean;
  /** By part, for the parts that the stack deploys. */
  readonly namespaces: Partial<Record<Part, Answer<NamespaceFacts>>>;
  /** Environment by Deployment. */
  readonly environment: Partial<Record<string, Answer<readonly VariableFacts[]>>>;
  readonly nats: Answer<NatsFacts>;
  /** The stream that the last update found; undefined where none did. */
  readonly streamRemembered?: { readonly created: string; readonly storage?: string };
  /** Host and port of NATS for a command line; of use where the stack does not install it. */
  readonly natsAddress: string;
  /** What runs `nats` at the stack's NATS where it has no nats-box (`connection.natsCommand`). */
  readonly natsCommand?: string;
  /** TLS of NATS; undefined where the stack's connections speak none. */
  readonly tls?: TlsFacts;
  /** Sizes of NATS as the stack sets them. */
  readonly natsSizes: { readonly natsJetstreamMemSize: string; readonly natsMemoryLimit?: string };
  /** NATS's volume as the stack sets it. */
  readonly natsVolume: ReturnType<typeof natsVolume>;
  /** Executions that wait for a worker, by NoETL's own API; undefined where NoETL is not deployed or was not asked. */
  readonly executions?: Answer<readonly ExecutionFacts[]>;
  /** What NoETL's server answers when it is asked for its health; undefined where NoETL is not deployed or was not asked. */
  readonly serverHealth?: Answer<string>;
  readonly gateway?: GatewayFacts;
  /** A repair on this machine that has not come to its end. */
  readonly repair?: { readonly begun: string; readonly phase: string; readonly saved: number; readonly folder: string };
}

/** The parts of a deployment. */
export type Part = "nats" | "postgres" | "pgbouncer" | "noetl" | "gateway";
