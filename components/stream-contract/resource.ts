import * as pulumi from "@pulumi/pulumi";
import type { BucketFacts, SkippedRule } from "../../contract/check";
import type {
  ClusterConnection,
  ContractInputs,
  Expectation,
  GatewaySettings,
  NoetlLogin,
  NoetlPlaces,
  ServersConnection,
  TlsSettings,
  WorkerSettings,
} from "../../contract/inputs";
import type { Declared } from "../../contract/declared/types";
import type { ConsumerTerms } from "../../contract/lines";
import type { Inputs } from "../shared";
import { isPlainObject } from "../terms";
import { OUTPUTS } from "./outputs";
import { RUN_INPUT, type Run } from "./run";

/** NATS through a port-forward over the Kubernetes API: nothing needs to be exposed. `kubeconfig` is kept as a secret. */
export interface StreamContractClusterArgs extends Partial<Inputs<Omit<ClusterConnection, "tls">>> {
  tls?: Inputs<TlsSettings>;
}

/** NATS at an address that the machine which runs Pulumi can reach. */
export interface StreamContractServersArgs extends Inputs<Omit<ServersConnection, "tls">> {
  tls?: Inputs<TlsSettings>;
}

/** Streams, durable consumers, key-value buckets and object stores of any application. */
export type StreamContractDeclaredArgs = {
  [List in keyof Declared]: pulumi.Input<readonly pulumi.Input<Inputs<NonNullable<Declared[List]>[number]>>[]>;
};

/** What the contract consists of, by part. */
interface Parts {
  /** The way to NATS. Default: a port-forward to a ready pod behind Service `nats` in namespace `nats`. */
  connection?: StreamContractClusterArgs | StreamContractServersArgs;
  /**
   * NoETL's own login, where it is another than that of the check: what it may do is tried with it. `worker` is the one of the workers,
   * where that is not the server's.
   */
  noetlLogin?: Inputs<NoetlLogin> & { worker?: Inputs<NoetlLogin> };
  expect?: Partial<Inputs<Expectation>>;
  /** The worker's settings that must agree with its consumer. */
  worker?: Partial<Inputs<WorkerSettings>>;
  /** Where NoETL runs, for the commands that fix a broken contract. */
  noetl?: Partial<Inputs<NoetlPlaces>>;
  /** The gateway's part of the contract, where one is deployed; an empty object takes the defaults. Default: no gateway. */
  gateway?: Partial<Inputs<GatewaySettings>>;
  /** The durable consumers of the workers. Default: as the line's workers make them, `consumer` first. */
  consumers?: pulumi.Input<readonly pulumi.Input<Inputs<ConsumerTerms>>[]>;
  /** What is declared in NATS beyond what NoETL makes, by list (docs/declared.md). Default: nothing. */
  declared?: StreamContractDeclaredArgs;
}

/**
 * Arguments of {@link StreamContract}: those of a check, each value of which may be an output. Passwords, `credentials`,
 * `nkeySeed`, `kubeconfig` and the key of a client certificate are kept as secrets.
 */
export interface StreamContractArgs extends Parts, Partial<Inputs<Omit<ContractInputs, keyof Parts>>> {}

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

/**
 * A part of the arguments with its credentials marked as secrets, and what is inside it with `inside`. What is not a plain object is a
 * secret as a whole, and the provider's to refuse.
 */
function withSecretsOf<T extends object>(
  part: T | undefined,
  names: readonly (keyof T)[],
  inside: (part: T) => Partial<T> = () => ({}),
): T | undefined {
  if (part === undefined || part === null) return undefined;
  if (!isPlainObject(part)) return pulumi.secret(part) as unknown as T;
  const secrets = names.flatMap((name) => (part[name] === undefined ? [] : [[name, pulumi.secret(part[name])]]));
  return { ...part, ...(Object.fromEntries(secrets) as Partial<T>), ...inside(part) };
}

/** The same arguments with every credential marked as a secret. */
const withSecrets = (args: StreamContractArgs): StreamContractArgs => ({
  ...withSecretsOf(args, ["password", "credentials", "nkeySeed"]),
  noetlLogin: withSecretsOf(args.noetlLogin, ["password"], ({ worker }) => ({
    worker: withSecretsOf(worker, ["password"]),
  })),
  gateway: withSecretsOf(args.gateway, ["password"]),
  connection: withSecretsOf<StreamContractClusterArgs>(args.connection, ["kubeconfig"], ({ tls }) => ({
    tls: withSecretsOf(tls, ["key"]),
  })),
});

/** What the provider is to know of this run of the engine. */
const runOf = (name: string, { parent }: pulumi.CustomResourceOptions): { [K in keyof Run]: pulumi.Input<Run[K]> } => ({
  preview: pulumi.runtime.isDryRun(),
  urn: pulumi.createUrn(name, "pulumi-nodejs:dynamic/noetl-nats:StreamContract", parent),
});

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

  constructor(name: string, asked?: StreamContractArgs, opts: pulumi.CustomResourceOptions = {}) {
    const args: StreamContractArgs = asked ?? {};
    if (!isPlainObject(args))
      throw new pulumi.RunError(`StreamContract ${name}: the second argument is not an object; for example {}`);
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
