import * as pulumi from "@pulumi/pulumi";
import type { ConsumerTerms, NoetlLine } from "../../contract/lines";
import type { BucketFacts, SkippedRule } from "../../contract/check";
import { RUN_INPUT, type Run } from "./run";
import type {
  DeclaredBucket,
  DeclaredConsumer,
  DeclaredObjectStore,
  DeclaredStream,
} from "../../contract/declared/types";

/** TLS towards NATS. Certificates and keys are PEM text, not paths. */
export interface StreamContractTlsArgs {
  /** Authorities to trust instead of Node's own list. */
  ca?: pulumi.Input<string>;
  /** Client certificate, with `key`. */
  cert?: pulumi.Input<string>;
  /** Key of the client certificate; kept as a secret. */
  key?: pulumi.Input<string>;
  /** Name that the server's certificate must carry. Default: the server's host, or the Service's name in the cluster. */
  serverName?: pulumi.Input<string>;
  /** True where the server expects TLS before it greets (`handshake_first`, nats-server 2.10.4). Default: false. */
  handshakeFirst?: pulumi.Input<boolean>;
}

/** NATS through a port-forward over the Kubernetes API: nothing needs to be exposed. */
export interface StreamContractClusterArgs {
  /** Namespace of NATS. Default: `nats`. */
  namespace?: pulumi.Input<string>;
  /** Service whose ready pods are taken. Default: `nats`. */
  service?: pulumi.Input<string>;
  /** One pod instead of any behind the Service. */
  pod?: pulumi.Input<string>;
  /** NATS client port of the pod. Default: 4222. */
  port?: pulumi.Input<number>;
  /**
   * Content or path of a kubeconfig; kept as a secret. Default: `$KUBECONFIG`, `~/.kube/config` or a pod's service account.
   */
  kubeconfig?: pulumi.Input<string>;
  /** Context of the kubeconfig. Default: its current one. */
  context?: pulumi.Input<string>;
  tls?: StreamContractTlsArgs;
}

/** NATS at an address that the machine which runs Pulumi can reach. */
export interface StreamContractServersArgs {
  /** `host:port` each, with or without `nats://` or `tls://`, without credentials; tried in this order. */
  servers: pulumi.Input<pulumi.Input<string>[]>;
  tls?: StreamContractTlsArgs;
}

/** How stream and consumer must be configured. Defaults: as NoETL of the line creates them; those named are of `2.8`. */
export interface StreamContractExpectArgs {
  /** `limits`, `interest` or `workqueue`. Default: `limits`. */
  retention?: pulumi.Input<string>;
  /** `memory` or `file`. Default: `memory`. */
  storage?: pulumi.Input<string>;
  /** Maximum age of a message in seconds, 0 for unlimited. Default: 3600. */
  maxAgeSeconds?: pulumi.Input<number>;
  /** `none`, `all` or `explicit`. Default: `explicit`. */
  ackPolicy?: pulumi.Input<string>;
  /** `all`, `last`, `new` or `last_per_subject`. Default: `new`. */
  deliverPolicy?: pulumi.Input<string>;
  /** `instant` or `original`. Default: `instant`. */
  replayPolicy?: pulumi.Input<string>;
  /** Time to acknowledge in seconds. Default: 30. */
  ackWaitSeconds?: pulumi.Input<number>;
  /** Fewest replicas of the stream, 1 to 5; more are fine. Default: 1. */
  replicas?: pulumi.Input<number>;
  /** Duplicate window in seconds; a shorter maximum age shortens it. Default: 120, which is the server's own. */
  duplicateWindowSeconds?: pulumi.Input<number>;
}

/** The gateway's part of the contract: its buckets, and what its user may listen to and write. */
export interface StreamContractGatewayArgs {
  /** NATS_UPDATES_SUBJECT_PREFIX. Default: `playbooks.executions.`. */
  updatesSubjectPrefix?: pulumi.Input<string>;
  /** NATS_CALLBACK_SUBJECT_PREFIX. Default: `noetl.callbacks`. */
  callbackSubjectPrefix?: pulumi.Input<string>;
  /** NATS_SESSION_BUCKET. Default: `sessions`. */
  sessionBucket?: pulumi.Input<string>;
  /** NATS_SESSION_CACHE_TTL_SECS, in seconds. Default: 300. */
  sessionTtlSeconds?: pulumi.Input<number>;
  /** NATS_REQUEST_BUCKET. Default: `requests`. */
  requestBucket?: pulumi.Input<string>;
  /** NATS_REQUEST_TTL_SECS, in seconds. Default: 1800. */
  requestTtlSeconds?: pulumi.Input<number>;
  /** The user that the gateway logs in with. Default: the user of the check. */
  user?: pulumi.Input<string>;
  /** Its password; kept as a secret. */
  password?: pulumi.Input<string>;
  /** Where the gateway runs, for the commands that fix a broken contract. Default: `gateway`. */
  namespace?: pulumi.Input<string>;
  /** Default: `gateway`. */
  deployment?: pulumi.Input<string>;
}

/** The same keys, each of which may be an output. */
type Inputs<T> = { [K in keyof T]: pulumi.Input<T[K]> };

/** Streams, durable consumers, key-value buckets and object stores of any application. */
export interface StreamContractDeclaredArgs {
  streams?: pulumi.Input<readonly pulumi.Input<Inputs<DeclaredStream>>[]>;
  /** Of streams that are declared too, or of NoETL's. */
  consumers?: pulumi.Input<readonly pulumi.Input<Inputs<DeclaredConsumer>>[]>;
  buckets?: pulumi.Input<readonly pulumi.Input<Inputs<DeclaredBucket>>[]>;
  objectStores?: pulumi.Input<readonly pulumi.Input<Inputs<DeclaredObjectStore>>[]>;
}

/** Arguments of {@link StreamContract}. */
export interface StreamContractArgs {
  /** The way to NATS. Default: a port-forward to a ready pod behind Service `nats` in namespace `nats`. */
  connection?: StreamContractClusterArgs | StreamContractServersArgs;
  /**
   * NATS user. Default: log in without one. The least it needs: publish on `$JS.API.STREAM.INFO.<stream>` and
   * `$JS.API.CONSUMER.INFO.<stream>.<consumer>`, with a gateway on `$JS.API.STREAM.INFO.KV_<bucket>` too, and subscribe
   * on `_INBOX.>`. Rules that it may not ask for are named in {@link StreamContract.skippedRules}.
   */
  user?: pulumi.Input<string>;
  /** Its password; kept as a secret. */
  password?: pulumi.Input<string>;
  /** Content or path of a credentials file (`.creds`), instead of user and password; kept as a secret. */
  credentials?: pulumi.Input<string>;
  /** Seed of an NKey (`SU...`), instead of user and password; kept as a secret. */
  nkeySeed?: pulumi.Input<string>;
  /**
   * `assert` changes nothing in NATS. `ensure` first creates stream, consumer and buckets that are missing and updates
   * what can be updated, and refuses what would need something recreated; it belongs before NoETL starts. Default:
   * `assert`.
   */
  mode?: pulumi.Input<"assert" | "ensure">;
  /** NATS_STREAM. Default: `NOETL_COMMANDS`. */
  stream?: pulumi.Input<string>;
  /** NATS_SUBJECT; the stream's subjects must cover it. Default: `noetl.commands`. */
  subject?: pulumi.Input<string>;
  /** NATS_CONSUMER. Default: `noetl_worker_pool`. */
  consumer?: pulumi.Input<string>;
  /** Line of the NoETL that is deployed: `2.8`, `2.10`, `4.7` or `rust` (docs/contract.md). Default: `2.8`. */
  noetlLine?: pulumi.Input<NoetlLine>;
  /** Subjects that this NoETL publishes on. Default: as its line does, with routing off. */
  publishes?: pulumi.Input<pulumi.Input<string>[]>;
  /** The durable consumers of the workers. Default: as the line's workers make them, `consumer` first. */
  consumers?: pulumi.Input<pulumi.Input<ConsumerTerms>[]>;
  /** NoETL's own login, where it is another than that of the check: what it may do is tried with it. */
  noetlLogin?: {
    user: pulumi.Input<string>;
    /** Kept as a secret. */
    password: pulumi.Input<string>;
  };
  expect?: StreamContractExpectArgs;
  /** The worker's settings that must agree with its consumer. */
  worker?: {
    /** NOETL_WORKER_NATS_MAX_ACK_PENDING, -1 for unlimited. Default: 64. */
    maxAckPending?: pulumi.Input<number>;
    /** NOETL_WORKER_NATS_MAX_DELIVER, -1 for unlimited. Default: 1000. */
    maxDeliver?: pulumi.Input<number>;
    /** NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS, in seconds. Default: 30. */
    fetchTimeoutSeconds?: pulumi.Input<number>;
    /** Worker pods, each of which fetches. Default: 1. */
    replicas?: pulumi.Input<number>;
  };
  /** Where NoETL runs, for the commands that fix a broken contract. */
  noetl?: {
    /** Default: `noetl`. */
    namespace?: pulumi.Input<string>;
    /** Default: `noetl-server`. */
    serverDeployment?: pulumi.Input<string>;
    /** Default: `noetl-worker`. */
    workerDeployment?: pulumi.Input<string>;
  };
  /** The gateway's part of the contract, where one is deployed; an empty object takes the defaults. Default: no gateway. */
  gateway?: StreamContractGatewayArgs;
  /** What is declared in NATS beyond what NoETL makes, by list (docs/declared.md). Default: nothing. */
  declared?: StreamContractDeclaredArgs;
  /** True where there is no NoETL: only what is declared is ensured and checked. Default: false. */
  declaredOnly?: pulumi.Input<boolean>;
  /** True makes drift fail the update; otherwise it is a warning. Default: false. */
  strict?: pulumi.Input<boolean>;
  /** Deadline of the whole check in seconds, 1 to 3600, waiting for stream and consumer included. Default: 120. */
  timeoutSeconds?: pulumi.Input<number>;
  /** The check runs again when one of these changes: revisions of releases, for example. */
  triggers?: pulumi.Input<unknown>[];
}

/**
 * Everything the provider does happens in its compiled module: the code that Pulumi serialises into the state is this
 * stub. It finds the module from the program's folder, both in this repository (which exports itself by name) and
 * where the package is installed.
 */
export function provider(): typeof import("./provider") {
  const { createRequire } = require("module") as typeof import("node:module");
  const fromProgram = createRequire(process.cwd() + "/package.json");
  return fromProgram("noetl-nats/stream-contract/provider") as typeof import("./provider");
}

// Deleting the resource deletes nothing in NATS, so there is no `delete`.
const stub: pulumi.dynamic.ResourceProvider = {
  check: (olds: object, news: object) => Promise.resolve(provider().check(olds, news)),
  diff: (id: string, olds: object, news: object) => Promise.resolve(provider().diff(id, olds, news)),
  create: (inputs: object) => provider().create(inputs),
  update: (id: string, olds: object, news: object) => provider().update(id, olds, news),
  read: (id: string, properties?: object) => provider().read(id, properties ?? {}),
};

/** The same arguments with every credential marked as a secret. */
function withSecrets(args: StreamContractArgs): StreamContractArgs {
  const { connection, password, credentials, nkeySeed, noetlLogin, gateway } = args;
  const secret = (value: pulumi.Input<string> | undefined): pulumi.Input<string> | undefined =>
    value === undefined ? undefined : pulumi.secret(value);
  return {
    ...args,
    password: secret(password),
    credentials: secret(credentials),
    nkeySeed: secret(nkeySeed),
    noetlLogin: noetlLogin && { ...noetlLogin, password: pulumi.secret(noetlLogin.password) },
    gateway: gateway && { ...gateway, password: secret(gateway.password) },
    connection: connection && {
      ...connection,
      ...("kubeconfig" in connection ? { kubeconfig: secret(connection.kubeconfig) } : {}),
      ...(connection.tls ? { tls: { ...connection.tls, key: secret(connection.tls.key) } } : {}),
    },
  };
}

/** What the provider is to know of this run of the engine. */
const runOf = (name: string, { parent }: pulumi.CustomResourceOptions): { [K in keyof Run]: pulumi.Input<Run[K]> } => ({
  preview: pulumi.runtime.isDryRun(),
  urn: pulumi.createUrn(name, "pulumi-nodejs:dynamic/noetl-nats:StreamContract", parent),
});

/** Outputs that a check fills in; undefined until then. */
const OUTPUTS = [
  "holds",
  "report",
  "differences",
  "skippedRules",
  "changes",
  "server",
  "serverVersion",
  "streamCreated",
  "subjects",
  "retention",
  "storage",
  "maxAgeSeconds",
  "duplicateWindowSeconds",
  "replicas",
  "consumerCreated",
  "durable",
  "pull",
  "ackPolicy",
  "deliverPolicy",
  "replayPolicy",
  "ackWaitSeconds",
  "maxAckPending",
  "maxDeliver",
  "buckets",
] as const;

/**
 * Proves, as part of the deployment, that the stream and the consumer between NoETL's server and workers are as NoETL
 * needs them.
 *
 * After what it depends on is deployed it connects to NATS, waits for stream and consumer to appear, and asserts the rules
 * of docs/contract.md. A violation fails the update with what was found, what was expected, what breaks in NoETL and
 * the commands that fix it; drift is a warning. It runs again when an argument or a trigger changes, and when a refresh
 * found the contract broken. In mode `assert` it changes nothing in NATS. Deleting it deletes nothing there.
 *
 * In mode `ensure` it belongs before NoETL: stream, consumer and buckets are then there, as the contract has them, when
 * server and workers start. A second one in mode `assert` after NoETL proves what came of it.
 *
 * Make it depend on the releases (`dependsOn`) and give it their revisions as `triggers`.
 */
export class StreamContract extends pulumi.dynamic.Resource {
  /** True where no rule is broken whose breaking fails an update; false only after a refresh. */
  declare readonly holds: pulumi.Output<boolean>;
  /** What is wrong and how to fix it; empty where nothing is. */
  declare readonly report: pulumi.Output<string>;
  /** Every rule that is broken, with what was found and expected; empty where none is. */
  declare readonly differences: pulumi.Output<Record<string, string>>;
  /** Rules that could not be asked, and why. */
  declare readonly skippedRules: pulumi.Output<SkippedRule[]>;
  /** What mode `ensure` did last, in order. */
  declare readonly changes: pulumi.Output<string[]>;
  /** The server that was asked. */
  declare readonly server: pulumi.Output<string>;
  /** Version of the server that was asked. */
  declare readonly serverVersion: pulumi.Output<string>;
  /** When the stream was created. Another time means that the stream was lost and remade. */
  declare readonly streamCreated: pulumi.Output<string | undefined>;
  /** Subjects of the stream, sorted. */
  declare readonly subjects: pulumi.Output<string[] | undefined>;
  /** Retention of the stream. */
  declare readonly retention: pulumi.Output<string | undefined>;
  /** Storage of the stream. */
  declare readonly storage: pulumi.Output<string | undefined>;
  /** Maximum age of a message in seconds, 0 for unlimited. */
  declare readonly maxAgeSeconds: pulumi.Output<number | undefined>;
  /** Duplicate window of the stream in seconds. */
  declare readonly duplicateWindowSeconds: pulumi.Output<number | undefined>;
  /** Replicas that the stream is set to. */
  declare readonly replicas: pulumi.Output<number | undefined>;
  /** When the consumer was created. */
  declare readonly consumerCreated: pulumi.Output<string | undefined>;
  /** Whether the consumer is durable. */
  declare readonly durable: pulumi.Output<boolean | undefined>;
  /** Whether it is a pull consumer. */
  declare readonly pull: pulumi.Output<boolean | undefined>;
  /** Its acknowledgement policy. */
  declare readonly ackPolicy: pulumi.Output<string | undefined>;
  /** Its deliver policy. */
  declare readonly deliverPolicy: pulumi.Output<string | undefined>;
  /** Its replay policy. */
  declare readonly replayPolicy: pulumi.Output<string | undefined>;
  /** Its time to acknowledge in seconds. */
  declare readonly ackWaitSeconds: pulumi.Output<number | undefined>;
  /** Its limit of messages in flight. */
  declare readonly maxAckPending: pulumi.Output<number | undefined>;
  /** Its limit of deliveries of one message. */
  declare readonly maxDeliver: pulumi.Output<number | undefined>;
  /** The gateway's buckets that exist, by name. */
  declare readonly buckets: pulumi.Output<Record<string, BucketFacts> | undefined>;

  constructor(name: string, args: StreamContractArgs = {}, opts: pulumi.CustomResourceOptions = {}) {
    const outputs = Object.fromEntries(OUTPUTS.map((output) => [output, undefined]));
    super(
      stub,
      name,
      { ...outputs, ...withSecrets(args), [RUN_INPUT]: runOf(name, opts) },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["password", "credentials", "nkeySeed"] }),
      "noetl-nats",
      "StreamContract",
    );
    this.report.apply((report) => {
      if (report) void pulumi.log.warn(report, this);
    });
  }
}
