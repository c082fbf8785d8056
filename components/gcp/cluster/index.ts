import * as container from "@pulumi/gcp/container";
import * as kms from "@pulumi/gcp/kms";
import * as organizations from "@pulumi/gcp/organizations";
import * as projects from "@pulumi/gcp/projects";
import * as serviceaccount from "@pulumi/gcp/serviceaccount";
import * as pulumi from "@pulumi/pulumi";
import * as terms from "../../terms";
import { checkedArguments, derived } from "../../arguments";
import { accountId } from "../names";
import { PROJECT_ROLES } from "../roles";
import { execKubeconfig } from "./kubeconfig";

export { type ClusterAccess, execKubeconfig } from "./kubeconfig";

export interface AutopilotClusterArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region; an Autopilot cluster is regional. */
  region: pulumi.Input<string>;
  /** Name of the cluster, at most 40 characters. */
  clusterName: pulumi.Input<string>;
  /** `rapid`, `regular`, `stable` or `extended`. Default `regular`. */
  releaseChannel?: pulumi.Input<string>;
  /** Network and subnetwork, by id. */
  network: pulumi.Input<string>;
  subnetwork: pulumi.Input<string>;
  /** Names of the subnetwork's secondary ranges. Default: GKE makes them. */
  ranges?: { pods: pulumi.Input<string>; services: pulumi.Input<string> };
  /** Give the nodes no public addresses. Default true. */
  privateNodes?: boolean;
  /** Who reaches the control plane. Default `dns`. */
  controlPlaneAccess?: ControlPlaneAccess;
  /** When Google may upgrade the cluster. Default: whenever it likes. */
  maintenance?: Maintenance;
  /**
   * Key of Cloud KMS that Secrets are encrypted with, `projects/P/locations/L/keyRings/R/cryptoKeys/K`; GKE's service agent is given the
   * right to use it. Default: none but Google's encryption of disks.
   */
  secretsKmsKey?: pulumi.Input<string>;
  /** Refuse to delete the cluster. Default true. */
  deletionProtection?: boolean;
}

/**
 * `dns`: whoever has `container.clusters.connect`, at the cluster's name; it has no address. A list of IPv4 ranges: those, at its public
 * address. `public`: everybody there.
 */
export type ControlPlaneAccess = "dns" | "public" | readonly string[];

/** Times for upgrades, as the Kubernetes Engine API has them. */
export interface Maintenance {
  window: { startTime: string; endTime: string; recurrence: string };
  exclusions?: readonly {
    exclusionName: string;
    startTime: string;
    endTime: string;
    exclusionOptions: { scope: string };
  }[];
}

/** Which ways to the control plane are open. All is said, since what is left out would stay as it is. */
const endpointsOf = (access: ControlPlaneAccess) => ({
  controlPlaneEndpointsConfig: {
    dnsEndpointConfig: { allowExternalTraffic: access === "dns" },
    ipEndpointsConfig: { enabled: access !== "dns" },
  },
  masterAuthorizedNetworksConfig:
    typeof access === "string"
      ? undefined
      : {
          cidrBlocks: access.map((cidrBlock) => ({ cidrBlock })),
          // Machines of everybody at Google Cloud would be let in beside them.
          gcpPublicCidrsAccessEnabled: false,
        },
});

const policyOf = ({ window, exclusions = [] }: Maintenance) => ({
  recurringWindow: { ...window },
  maintenanceExclusions: exclusions.length > 0 ? exclusions.map((each) => ({ ...each })) : undefined,
});

/** The cluster's inputs; `nodes` is the account that they work under. */
const clusterInputs = (
  args: AutopilotClusterArgs,
  access: ControlPlaneAccess,
  nodes: pulumi.Input<string>,
): container.ClusterArgs => ({
  project: args.project,
  location: args.region,
  name: args.clusterName,
  enableAutopilot: true,
  deletionProtection: args.deletionProtection ?? true,
  releaseChannel: { channel: derived(args.releaseChannel ?? "regular", (channel) => channel.toUpperCase()) },
  network: args.network,
  subnetwork: args.subnetwork,
  ipAllocationPolicy: args.ranges
    ? {
        clusterSecondaryRangeName: args.ranges.pods,
        servicesSecondaryRangeName: args.ranges.services,
      }
    : undefined,
  ...endpointsOf(access),
  maintenancePolicy: args.maintenance && policyOf(args.maintenance),
  // Said in every case, as the next one is: left out, it would stay as it is, here without the right to use the key.
  databaseEncryption: args.secretsKmsKey ? { state: "ENCRYPTED", keyName: args.secretsKmsKey } : { state: "DECRYPTED" },
  privateClusterConfig: { enablePrivateNodes: args.privateNodes ?? true },
  clusterAutoscaling: {
    autoProvisioningDefaults: {
      serviceAccount: nodes,
      oauthScopes: ["https://www.googleapis.com/auth/cloud-platform"],
    },
  },
});

/** By the name, whose certificate is a public one; or by the address and the cluster's own authority. */
function kubeconfigOf(
  clusterName: pulumi.Input<string>,
  access: ControlPlaneAccess,
  cluster: container.Cluster,
): pulumi.Output<string> {
  if (access === "dns")
    return pulumi
      .all([clusterName, cluster.controlPlaneEndpointsConfig])
      .apply(([name, { dnsEndpointConfig }]) => execKubeconfig({ name, endpoint: dnsEndpointConfig?.endpoint ?? "" }));
  return pulumi
    .all([clusterName, cluster.endpoint, cluster.masterAuth.clusterCaCertificate])
    .apply(([name, endpoint, caCertificate]) => execKubeconfig({ name, endpoint, caCertificate }));
}

const RECURRENCE = "FREQ=WEEKLY;BYDAY=SA,SU";
const TIME = terms.required(terms.plain(terms.word("a time in ISO 8601", "2026-01-03T02:00:00Z")));

const MAINTENANCE = terms.object<Maintenance>(
  {
    window: terms.required(
      terms.object<Maintenance["window"]>(
        { startTime: TIME, endTime: TIME, recurrence: terms.required(terms.plain(terms.word("an RRULE", RECURRENCE))) },
        `{ startTime, endTime, recurrence: "${RECURRENCE}" }`,
      ),
    ),
    exclusions: terms.list(terms.anyObject("an exclusion", "{ exclusionName, startTime, endTime, exclusionOptions }"), {
      allowed: "a list of exclusions",
      example: "[]",
    }),
  },
  "{ window }",
);

const TERMS: terms.Terms<AutopilotClusterArgs> = {
  project: terms.PROJECT,
  region: terms.REGION,
  clusterName: terms.required(
    terms.text({
      allowed: "a name of at most 40 characters",
      example: "noetl",
      check: (value) => (value.length > 40 ? "longer than 40 characters" : value === "" ? "empty" : undefined),
    }),
  ),
  releaseChannel: terms.choice("regular", "rapid", "stable", "extended"),
  network: terms.required(terms.word("the id of a network", "projects/acme/global/networks/noetl")),
  subnetwork: terms.required(
    terms.word("the id of a subnetwork", "projects/acme/regions/europe-west1/subnetworks/noetl"),
  ),
  ranges: terms.object<NonNullable<AutopilotClusterArgs["ranges"]>>(
    {
      pods: terms.required(terms.word("the name of a range", "pods")),
      services: terms.required(terms.word("the name of a range", "services")),
    },
    '{ pods: "pods", services: "services" }',
  ),
  privateNodes: terms.plain(terms.flag),
  controlPlaneAccess: terms.either(
    terms.plain(terms.choice("dns", "public")),
    terms.list(terms.plain(terms.word("an IPv4 range", "198.51.100.0/24")), {
      allowed: "a list of IPv4 ranges",
      example: "dns",
    }),
  ),
  maintenance: MAINTENANCE,
  secretsKmsKey: terms.word("a key of Cloud KMS", "projects/P/locations/L/keyRings/R/cryptoKeys/K"),
  deletionProtection: terms.plain(terms.flag),
};

/**
 * An Autopilot cluster whose nodes work under a service account of their own with the least that nodes need.
 *
 * Workload Identity is a part of every Autopilot cluster. DNS and node settings are left to Autopilot: the API answers
 * with values of its own, and naming them here would show as a change forever.
 */
export class AutopilotCluster extends pulumi.ComponentResource {
  /** A kubeconfig without credentials; see {@link execKubeconfig}. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Pool of the identities of the cluster's workloads, `PROJECT.svc.id.goog`, known once it exists. */
  readonly workloadPool: pulumi.Output<string>;
  /** Member of IAM bindings for the nodes. */
  readonly nodeMember: pulumi.Output<string>;
  /** Version of the control plane. */
  readonly version: pulumi.Output<string>;

  constructor(name: string, asked: AutopilotClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:AutopilotCluster", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const { project } = args;
    const protect = args.deletionProtection ?? true;
    const nodes = new serviceaccount.Account(
      `${name}-nodes`,
      {
        project,
        accountId: derived(args.clusterName, (known) => accountId(known, "nodes")),
        displayName: derived(args.clusterName, (known) => `Nodes of ${known}`),
      },
      child,
    );
    this.nodeMember = nodes.member;
    const mayRun = new projects.IAMMember(
      `${name}-nodes-role`,
      { project, role: PROJECT_ROLES.nodes, member: nodes.member },
      child,
    );
    const access = args.controlPlaneAccess ?? "dns";
    const mayEncrypt = args.secretsKmsKey
      ? keyGrant(`${name}-secrets-key`, { project, cryptoKeyId: args.secretsKmsKey }, child)
      : undefined;
    const cluster = new container.Cluster(`${name}-cluster`, clusterInputs(args, access, nodes.email), {
      ...child,
      protect,
      dependsOn: [mayRun, ...(mayEncrypt ? [mayEncrypt] : [])],
    });
    this.kubeconfig = kubeconfigOf(args.clusterName, access, cluster);
    this.workloadPool = pulumi.all([project, cluster.id]).apply(([id]) => `${id}.svc.id.goog`);
    this.version = cluster.masterVersion;
    this.registerOutputs({
      kubeconfig: this.kubeconfig,
      workloadPool: this.workloadPool,
      nodeMember: this.nodeMember,
      version: this.version,
    });
  }
}

/** Lets the service agent of GKE, which encrypts what the API server stores, use a key. */
function keyGrant(
  name: string,
  { project, cryptoKeyId }: { project: pulumi.Input<string>; cryptoKeyId: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
) {
  const { number } = organizations.getProjectOutput({ projectId: project }, { parent: opts.parent });
  return new kms.CryptoKeyIAMMember(
    name,
    {
      cryptoKeyId,
      role: "roles/cloudkms.cryptoKeyEncrypterDecrypter",
      member: pulumi.interpolate`serviceAccount:service-${number}@container-engine-robot.iam.gserviceaccount.com`,
    },
    opts,
  );
}
