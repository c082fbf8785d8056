import * as compute from "@pulumi/gcp/compute";
import * as pulumi from "@pulumi/pulumi";
import * as terms from "../../terms";
import { checkedArguments, derived } from "../../arguments";

export interface NetworkArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region of the subnetwork. */
  region: pulumi.Input<string>;
  /** Name of the network, and what the names of its parts begin with. At most 55 characters. */
  networkName: pulumi.Input<string>;
  /** An existing network; where it is set, none is made. */
  existing?: { network: pulumi.Input<string>; subnetwork: pulumi.Input<string> };
  /** Addresses of nodes, pods and services of a network that is made: IPv4 ranges that do not overlap. */
  nodeCidr: pulumi.Input<string>;
  podCidr: pulumi.Input<string>;
  serviceCidr: pulumi.Input<string>;
  /** Make a Cloud NAT, through which machines without public addresses reach the internet. */
  nat: boolean;
}

/** Names of the secondary ranges of a subnetwork that this component made. */
const RANGES = { pods: "pods", services: "services" } as const;

/** Empty where the network exists. */
const RANGE = (example: string) => terms.required(terms.text({ allowed: "an IPv4 range", example }));

const TERMS: terms.Terms<NetworkArgs> = {
  project: terms.PROJECT,
  region: terms.REGION,
  networkName: terms.required(terms.word("a name", "noetl")),
  existing: terms.object<NonNullable<NetworkArgs["existing"]>>(
    {
      network: terms.required(terms.word("the name of a network", "shared")),
      subnetwork: terms.required(terms.word("the name of a subnetwork", "shared-nodes")),
    },
    '{ network: "shared", subnetwork: "shared-nodes" }',
  ),
  nodeCidr: RANGE("10.0.0.0/20"),
  podCidr: RANGE("10.4.0.0/14"),
  serviceCidr: RANGE("10.8.0.0/20"),
  nat: terms.required(terms.plain(terms.flag)),
};

/** The VPC network of a cluster: one of its own with a NAT, or an existing one. */
export class Network extends pulumi.ComponentResource {
  /** `projects/PROJECT/global/networks/NAME`. */
  readonly networkId: pulumi.Output<string>;
  /** Name or id of the subnetwork. */
  readonly subnetwork: pulumi.Output<string>;
  /** Names of the secondary ranges; undefined in an existing network, where GKE makes them. */
  readonly ranges: { readonly pods: string; readonly services: string } | undefined;

  constructor(name: string, asked: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:Network", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const { project, region, existing } = args;
    const part = (role: string) => derived(args.networkName, (known) => `${known}-${role}`);
    if (existing) {
      this.networkId = pulumi.interpolate`projects/${project}/global/networks/${existing.network}`;
      this.subnetwork = pulumi.interpolate`projects/${project}/regions/${region}/subnetworks/${existing.subnetwork}`;
      this.ranges = undefined;
    } else {
      const network = new compute.Network(
        `${name}-vpc`,
        { project, name: args.networkName, autoCreateSubnetworks: false, routingMode: "REGIONAL" },
        child,
      );
      const subnetwork = new compute.Subnetwork(
        `${name}-nodes`,
        {
          project,
          region,
          name: part("nodes"),
          network: network.id,
          ipCidrRange: args.nodeCidr,
          secondaryIpRanges: [
            { rangeName: RANGES.pods, ipCidrRange: args.podCidr },
            { rangeName: RANGES.services, ipCidrRange: args.serviceCidr },
          ],
          // Google's own APIs and registries, without a way through the NAT.
          privateIpGoogleAccess: true,
        },
        child,
      );
      this.networkId = network.id;
      this.subnetwork = subnetwork.id;
      this.ranges = RANGES;
    }
    if (args.nat) {
      const router = new compute.Router(
        `${name}-router`,
        { project, region, name: part("router"), network: this.networkId },
        child,
      );
      new compute.RouterNat(
        `${name}-nat`,
        {
          project,
          region,
          name: part("nat"),
          router: router.name,
          natIpAllocateOption: "AUTO_ONLY",
          // Only this subnetwork: another NAT may serve the rest of an existing network.
          sourceSubnetworkIpRangesToNat: "LIST_OF_SUBNETWORKS",
          subnetworks: [{ name: this.subnetwork, sourceIpRangesToNats: ["ALL_IP_RANGES"] }],
          logConfig: { enable: true, filter: "ERRORS_ONLY" },
        },
        child,
      );
    }
    this.registerOutputs({ networkId: this.networkId, subnetwork: this.subnetwork });
  }
}
