import * as container from "@pulumi/gcp/container";
import * as projects from "@pulumi/gcp/projects";
import * as serviceaccount from "@pulumi/gcp/serviceaccount";
import * as pulumi from "@pulumi/pulumi";
import { accountId } from "../names";
import { execKubeconfig } from "./kubeconfig";

export { type ClusterAccess, execKubeconfig } from "./kubeconfig";

export interface AutopilotClusterArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region; an Autopilot cluster is regional. */
  region: string;
  /** Name of the cluster, at most 40 characters. */
  clusterName: string;
  /** `rapid`, `regular`, `stable` or `extended`. Default `regular`. */
  releaseChannel?: string;
  /** Network and subnetwork, by id. */
  network: pulumi.Input<string>;
  subnetwork: pulumi.Input<string>;
  /** Names of the subnetwork's secondary ranges. Default: GKE makes them. */
  ranges?: { pods: string; services: string };
  /** Give the nodes no public addresses. Default true. */
  privateNodes?: boolean;
  /** Refuse to delete the cluster. Default true. */
  deletionProtection?: boolean;
}

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

  constructor(name: string, args: AutopilotClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:AutopilotCluster", name, {}, opts);
    const child = { parent: this };
    const { project } = args;
    const protect = args.deletionProtection ?? true;
    const nodes = new serviceaccount.Account(
      `${name}-nodes`,
      { project, accountId: accountId(args.clusterName, "nodes"), displayName: `Nodes of ${args.clusterName}` },
      child,
    );
    this.nodeMember = nodes.member;
    const mayRun = new projects.IAMMember(
      `${name}-nodes-role`,
      { project, role: "roles/container.defaultNodeServiceAccount", member: nodes.member },
      child,
    );
    const cluster = new container.Cluster(
      `${name}-cluster`,
      {
        project,
        location: args.region,
        name: args.clusterName,
        enableAutopilot: true,
        deletionProtection: protect,
        releaseChannel: { channel: (args.releaseChannel ?? "regular").toUpperCase() },
        network: args.network,
        subnetwork: args.subnetwork,
        ipAllocationPolicy: args.ranges
          ? {
              clusterSecondaryRangeName: args.ranges.pods,
              servicesSecondaryRangeName: args.ranges.services,
            }
          : undefined,
        // Said in both cases: left out, it would stay as it is.
        privateClusterConfig: { enablePrivateNodes: args.privateNodes ?? true },
        clusterAutoscaling: {
          autoProvisioningDefaults: {
            serviceAccount: nodes.email,
            oauthScopes: ["https://www.googleapis.com/auth/cloud-platform"],
          },
        },
      },
      { ...child, protect, dependsOn: [mayRun] },
    );
    this.kubeconfig = pulumi
      .all([cluster.endpoint, cluster.masterAuth.clusterCaCertificate])
      .apply(([endpoint, caCertificate]) => execKubeconfig({ name: args.clusterName, endpoint, caCertificate }));
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
