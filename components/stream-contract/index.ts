import * as pulumi from "@pulumi/pulumi";
import type { Check } from "./rules";

export { checkContract, type ContractReport } from "./check";
export { ConnectError, type ConnectProblem } from "./errors";
export { inputProblems, withDefaults, type ContractArguments, type ContractInputs } from "./inputs";
export { RULES, type Check, type Rule, type Severity } from "./rules";

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

/** How stream and consumer must be configured. Defaults: as NoETL creates them. */
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
}

/** Arguments of {@link StreamContract}. */
export interface StreamContractArgs {
  /** The way to NATS. Default: a port-forward to a ready pod behind Service `nats` in namespace `nats`. */
  connection?: StreamContractClusterArgs | StreamContractServersArgs;
  /**
   * NATS user. Default: log in without one. The least it needs: publish on `$JS.API.STREAM.INFO.<stream>` and
   * `$JS.API.CONSUMER.INFO.<stream>.<consumer>`, subscribe on `_INBOX.>`.
   */
  user?: pulumi.Input<string>;
  /** Its password; kept as a secret. */
  password?: pulumi.Input<string>;
  /** NATS_STREAM. Default: `NOETL_COMMANDS`. */
  stream?: pulumi.Input<string>;
  /** NATS_SUBJECT; the stream's subjects must cover it. Default: `noetl.commands`. */
  subject?: pulumi.Input<string>;
  /** NATS_CONSUMER. Default: `noetl_worker_pool`. */
  consumer?: pulumi.Input<string>;
  expect?: StreamContractExpectArgs;
  /** The worker's settings that must agree with its consumer. */
  worker?: {
    /** NOETL_WORKER_NATS_MAX_ACK_PENDING, -1 for unlimited. Default: 64. */
    maxAckPending?: pulumi.Input<number>;
    /** NOETL_WORKER_NATS_MAX_DELIVER, -1 for unlimited. Default: 1000. */
    maxDeliver?: pulumi.Input<number>;
    /** NOETL_WORKER_NATS_FETCH_TIMEOUT_SECONDS, in seconds. Default: 30. */
    fetchTimeoutSeconds?: pulumi.Input<number>;
  };
  /** Where NoETL runs, for the commands that mend a broken contract. */
  noetl?: {
    /** Default: `noetl`. */
    namespace?: pulumi.Input<string>;
    /** Default: `noetl-server`. */
    serverDeployment?: pulumi.Input<string>;
    /** Default: `noetl-worker`. */
    workerDeployment?: pulumi.Input<string>;
  };
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
function provider(): typeof import("./provider") {
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
  const { connection, password } = args;
  const secret = (value: pulumi.Input<string> | undefined): pulumi.Input<string> | undefined =>
    value === undefined ? undefined : pulumi.secret(value);
  return {
    ...args,
    password: secret(password),
    connection: connection && {
      ...connection,
      ...("kubeconfig" in connection ? { kubeconfig: secret(connection.kubeconfig) } : {}),
      ...(connection.tls ? { tls: { ...connection.tls, key: secret(connection.tls.key) } } : {}),
    },
  };
}

/** Outputs that a check fills in; undefined until then. */
const OUTPUTS = [
  "holds",
  "report",
  "checks",
  "server",
  "serverVersion",
  "streamCreated",
  "subjects",
  "retention",
  "storage",
  "maxAgeSeconds",
  "consumerCreated",
  "durable",
  "pull",
  "ackPolicy",
  "deliverPolicy",
  "replayPolicy",
  "ackWaitSeconds",
  "maxAckPending",
  "maxDeliver",
] as const;

/**
 * Proves, as part of the deployment, that the stream and the consumer between NoETL's server and workers are as NoETL
 * needs them.
 *
 * After what it depends on is deployed it connects to NATS, waits for stream and consumer to appear, and asserts the rows
 * of {@link RULES}. A violation fails the update with what was found, what was expected, what breaks in NoETL and
 * the commands that mend it; drift is a warning. It runs again when an argument or a trigger changes, and when a refresh
 * found the contract broken. It changes nothing in NATS, neither when it is created nor when it is deleted.
 *
 * Make it depend on the releases (`dependsOn`) and give it their revisions as `triggers`.
 */
export class StreamContract extends pulumi.dynamic.Resource {
  /** True where no rule is broken whose breaking fails an update; false only after a refresh. */
  declare readonly holds: pulumi.Output<boolean>;
  /** What is wrong and how to mend it; empty where nothing is. */
  declare readonly report: pulumi.Output<string>;
  /** Result of every rule that applied. */
  declare readonly checks: pulumi.Output<Check[]>;
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

  constructor(name: string, args: StreamContractArgs = {}, opts: pulumi.CustomResourceOptions = {}) {
    const outputs = Object.fromEntries(OUTPUTS.map((output) => [output, undefined]));
    super(
      stub,
      name,
      { ...outputs, ...withSecrets(args) },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["password"] }),
      "noetl-nats",
      "StreamContract",
    );
    this.report.apply((report) => {
      if (report) void pulumi.log.warn(report, this);
    });
  }
}
