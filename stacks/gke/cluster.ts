import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import {
  ArtifactRegistry,
  AutopilotCluster,
  type ControlPlaneAccess,
  execKubeconfig,
  Network,
  type ProjectServices,
} from "../../components/gcp";
import { exclusionOf, recurringWindow } from "../../config/gke/maintenance";
import type { Facts, GkeSettings } from "./preflight";

/** A cluster, whether this stack made it or not, and what belongs to it. */
export interface Cluster {
  readonly provider: k8s.Provider;
  /** Without any credential in it. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Its network, `projects/PROJECT/global/networks/NAME`. */
  readonly networkId: pulumi.Output<string>;
  /** The same as a component, where the cluster is new. */
  readonly network: Network | undefined;
  /** Pool of the identities of its workloads. */
  readonly workloadPool: pulumi.Output<string>;
  readonly registry: ArtifactRegistry | undefined;
}

export interface ClusterContext {
  project: pulumi.Output<string>;
  /** The APIs, where the stack enables them. */
  enabled: readonly ProjectServices[];
  onCloud: pulumi.ComponentResourceOptions;
}

/** The cluster that is there, or a new one in its network; with the images' repository, which nodes of a new one may read. */
export function clusterFor(settings: GkeSettings, facts: Facts, around: ClusterContext): Cluster {
  const { projectId, region, clusterName, deletionProtection: protect } = settings;
  const { project, onCloud } = around;
  const created = facts.cluster ? undefined : newCluster(settings, around);
  const registry = settings.createArtifactRegistry
    ? new ArtifactRegistry(
        "registry",
        {
          project,
          region,
          repositoryId: settings.repositoryId,
          readers: created && { nodes: created.cluster.nodeMember },
          protect,
        },
        onCloud,
      )
    : undefined;
  const kubeconfig =
    created?.cluster.kubeconfig ??
    pulumi.output(facts.cluster ? execKubeconfig({ name: clusterName, ...facts.cluster }) : "");
  return {
    kubeconfig,
    provider: new k8s.Provider("cluster", {
      kubeconfig,
      // Tells clusters apart while the kubeconfig is not known yet; otherwise its first value would replace everything.
      clusterIdentifier: `${projectId}/${region}/${clusterName}`,
      enableServerSideApply: true,
    }),
    networkId: created?.network.networkId ?? pulumi.output(facts.cluster?.networkId ?? ""),
    network: created?.network,
    workloadPool: created?.cluster.workloadPool ?? pulumi.output(facts.cluster?.workloadPool ?? ""),
    registry,
  };
}

function newCluster(settings: GkeSettings, { project, enabled, onCloud }: ClusterContext) {
  const { region, clusterName } = settings;
  const network = new Network(
    "network",
    {
      project,
      region,
      networkName: clusterName,
      existing: settings.network
        ? { network: settings.network, subnetwork: settings.subnetwork ?? "default" }
        : undefined,
      nodeCidr: settings.nodeCidr,
      podCidr: settings.podCidr,
      serviceCidr: settings.serviceCidr,
      // Nodes that were private stay so until they are replaced: privateNodes alone does not take it away.
      nat: settings.createNat,
    },
    onCloud,
  );
  const cluster = new AutopilotCluster(
    "gke",
    {
      project,
      region,
      clusterName,
      releaseChannel: settings.releaseChannel,
      network: network.networkId,
      subnetwork: network.subnetwork,
      ranges: network.ranges,
      privateNodes: settings.privateNodes,
      controlPlaneAccess: accessOf(settings),
      ...maintenanceOf(settings),
      secretsKmsKey: settings.secretsKmsKey,
      deletionProtection: settings.deletionProtection,
    },
    // Nodes without the NAT could pull no image.
    { ...onCloud, dependsOn: [network, ...enabled] },
  );
  return { network, cluster };
}

const accessOf = ({ controlPlaneAccess, authorizedNetworks }: GkeSettings): ControlPlaneAccess =>
  controlPlaneAccess === "authorized" ? authorizedNetworks : (controlPlaneAccess as "dns" | "public");

const maintenanceOf = ({ maintenanceWindow: window, maintenanceExclusions: exclusions }: GkeSettings) =>
  window === undefined
    ? {}
    : {
        maintenance: {
          window: recurringWindow(window),
          exclusions: exclusions.flatMap((each) => exclusionOf(each) ?? []),
        },
      };
