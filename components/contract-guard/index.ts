import * as fs from "node:fs";
import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { DEFAULTS } from "../../contract/defaults";
import { LOCATIONS } from "../../contract/facts";
import type { GuardFile, GuardMode, Stores } from "../../contract/guard/settings";
import { unknownArguments } from "../../contract/input-keys";
import { valueProblems } from "../../contract/input-problems";
import { type ContractArguments, connectionTls, withDefaults } from "../../contract/inputs";
import { projectRoot } from "../../contract/project";
import { ArgumentChecks, SEPARATOR } from "../arguments";
import * as terms from "../terms";
import type { NamespacePolicy } from "../network-policies/manifests";
import { type Inputs, namespace, type Resources } from "../shared";
import type { StreamContractArgs } from "../stream-contract/resource";
import { deployment, FILES, operatorObjects, PASSWORD_KEY } from "./manifests";

export interface ContractGuardArgs {
  /** Where NATS is, inside the cluster, and who logs in. */
  nats: {
    host: pulumi.Input<string>;
    port: pulumi.Input<number>;
    user: pulumi.Input<string>;
    /** Kept as a secret. */
    password: pulumi.Input<string>;
    /** Whether the server demands TLS. Default false. */
    tls?: boolean;
    /** Authorities that are trusted, PEM. Default: those that Node knows. */
    ca?: pulumi.Input<string>;
  };
  /** The contract, as `StreamContract` takes it, without the way to NATS and without a credential. */
  contract: Omit<StreamContractArgs, "connection" | "password" | "credentials" | "nkeySeed" | "noetlLogin">;
  /** `heal` creates what NoETL or its gateway would have made, `watch` reports alone. Default `heal`. */
  mode?: pulumi.Input<GuardMode>;
  /** Namespace that exists. Default: one of its own, `contract-guard`, which the component creates. */
  namespace?: pulumi.Input<string>;
  /** NetworkPolicies of the namespace that the component creates, which its pods wait for, as `networkPolicies` makes them. Default: none. */
  networkPolicies?: readonly NamespacePolicy[];
  /** Image with Node 20 or newer as `node`. Default: {@link DEFAULTS.contractGuardImage}. */
  image?: pulumi.Input<string>;
  /** Bytes of JetStream's stores, for the metrics. Default: what the account's limits say. */
  stores?: Inputs<Stores>;
  /**
   * How Prometheus finds it: not at all, by annotations of the pod, or by a PodMonitor and a PrometheusRule, which need
   * Prometheus' operator in the cluster. Default `off`.
   */
  monitoring?: "off" | "annotations" | "operator";
  /** Default: 50m CPU and 64Mi memory, at most 128Mi. */
  resources?: Resources;
  /** How long its pod may take to become ready, in seconds. Default 300. */
  timeoutSeconds?: number;
}

/** What each argument may be. */
const TERMS: terms.Terms<ContractGuardArgs> = {
  nats: terms.NATS,
  contract: terms.required(terms.anyObject("an object, as StreamContract takes it", "{}")),
  mode: terms.choice("heal", "watch"),
  namespace: terms.namespaceOf(LOCATIONS.guard.namespace),
  networkPolicies: terms.POLICIES,
  image: terms.imageOf(DEFAULTS.contractGuardImage),
  stores: terms.object<Stores>(
    {
      memory: terms.whole(0, Number.MAX_SAFE_INTEGER, { allowed: "bytes", example: "1073741824" }),
      file: terms.whole(0, Number.MAX_SAFE_INTEGER, { allowed: "bytes", example: "5368709120" }),
    },
    "{ memory: 1073741824, file: 5368709120 }",
  ),
  monitoring: terms.plain(terms.choice("off", "annotations", "operator")),
  resources: terms.RESOURCES,
  timeoutSeconds: terms.plain(terms.seconds(900)),
};

/** Credentials in what becomes a ConfigMap; the guard logs in as `nats` says. */
const credentialsIn = ({ password, credentials, nkeySeed, noetlLogin, gateway }: ContractArguments): string[] =>
  Object.entries({ password, credentials, nkeySeed, noetlLogin, "gateway.password": gateway?.password }).flatMap(
    ([name, value]) =>
      value === undefined
        ? []
        : [`${name} would stand in a ConfigMap; allowed is none, for example nats.password for the guard's own login`],
  );

/** Largest ConfigMap that Kubernetes takes, in bytes. */
const CONFIG_MAP_BYTES = 1024 ** 2;

/**
 * The guard's program, with all that it needs, as `npm run build` has bundled and compressed it: base64. A preview of a project that
 * is not built does not know it yet.
 *
 * @throws Error where it is missing in an update.
 */
function guardProgram(): string | undefined {
  const file = path.join(projectRoot(), "dist", "contract", "guard", FILES.program);
  try {
    return fs.readFileSync(file, "base64");
  } catch {
    if (pulumi.runtime.isDryRun()) return undefined;
    throw new Error(`${file} is missing: npm run build makes it`);
  }
}

/**
 * A pod beside NATS that keeps the stream contract true between two updates: it looks when NATS tells that something was
 * deleted, and at least every 15 s; creates the stream, consumers and buckets that are missing as NoETL would; and reports
 * everything else in its log and as metrics.
 *
 * @throws pulumi.ResourceError where the image is not a reference with a tag or a digest, or the namespace one that Kubernetes would
 *   refuse; of an output when it is known.
 */
export class ContractGuard extends pulumi.ComponentResource {
  /** Namespace of the pod. */
  readonly namespace: pulumi.Output<string>;
  /** Name of the Deployment. */
  readonly deployment: pulumi.Output<string>;

  constructor(name: string, asked: ContractGuardArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:index:ContractGuard", name, {}, opts);
    const checks = new ArgumentChecks(this);
    const args = checks.all(asked, TERMS);
    checks.done();
    const child = { parent: this };
    const timeout = `${args.timeoutSeconds ?? 300}s`;
    const place = pulumi.output(
      args.namespace ??
        namespace(
          `${name}-namespace`,
          { name: LOCATIONS.guard.namespace, podSecurity: "restricted", policies: args.networkPolicies },
          child,
        ),
    );
    const files = this.files(args);
    const config = new k8s.core.v1.ConfigMap(`${name}-config`, { metadata: { namespace: place }, ...files }, child);
    const secret = new k8s.core.v1.Secret(
      `${name}-auth`,
      { metadata: { namespace: place }, stringData: { [PASSWORD_KEY]: pulumi.secret(args.nats.password) } },
      child,
    );
    const installed = new k8s.apps.v1.Deployment(
      `${name}-deployment`,
      deployment({
        namespace: place,
        image: args.image ?? DEFAULTS.contractGuardImage,
        mode: args.mode ?? "heal",
        configMap: config.metadata.name,
        secret: secret.metadata.name,
        user: args.nats.user,
        resources: args.resources,
        annotated: args.monitoring === "annotations",
      }),
      { ...child, customTimeouts: { create: timeout, update: timeout } },
    );
    if (args.monitoring === "operator") {
      for (const [part, object] of Object.entries(operatorObjects(place))) {
        new k8s.apiextensions.CustomResource(`${name}-${part}`, object, { ...child, dependsOn: [installed] });
      }
    }
    this.namespace = place;
    this.deployment = installed.metadata.name;
    this.registerOutputs({ namespace: this.namespace, deployment: this.deployment });
  }

  /** The pod's files.  @throws pulumi.ResourceError where they are more than a ConfigMap holds. */
  private files({ nats, contract, stores }: ContractGuardArgs): Pick<k8s.core.v1.ConfigMapArgs, "data" | "binaryData"> {
    const program = guardProgram();
    const file = pulumi
      .all([nats.host, nats.port, nats.ca, contract, stores])
      .apply(([host, port, ca, terms, sizes]) => {
        const content: GuardFile = {
          contract: {
            ...(terms as ContractArguments),
            connection: { servers: [`${host}:${port}`], tls: connectionTls({ tls: nats.tls, ca }) },
          },
          stores: sizes,
        };
        // Terms that contradict one another are StreamContract's to refuse; here they would hide what a change of them means.
        const problems = [
          ...unknownArguments(terms),
          ...credentialsIn(terms),
          ...valueProblems(withDefaults(content.contract)),
        ];
        if (problems.length > 0) throw new pulumi.ResourceError(`contract: ${problems.join(SEPARATOR)}`, this);
        const text = `${JSON.stringify(content, undefined, 2)}\n`;
        if (Buffer.byteLength(program ?? "") + Buffer.byteLength(text) > CONFIG_MAP_BYTES) {
          throw new pulumi.ResourceError("program and contract are larger than a ConfigMap may be: declare less", this);
        }
        return text;
      });
    const notBuilt: pulumi.Output<string> = pulumi.output(pulumi.unknown as unknown as string);
    return { data: { [FILES.contract]: file }, binaryData: { [FILES.program]: program ?? notBuilt } };
  }
}
