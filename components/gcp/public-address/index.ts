import * as compute from "@pulumi/gcp/compute";
import * as dns from "@pulumi/gcp/dns";
import * as pulumi from "@pulumi/pulumi";
import * as terms from "../../terms";
import { checkedArguments, derived } from "../../arguments";

export interface PublicAddressArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region of the address; unset makes it global, as an ingress needs it. */
  region?: pulumi.Input<string>;
  /** Name of the address. */
  addressName: pulumi.Input<string>;
  /** The address exists and is only looked up. Default false. */
  existing?: boolean;
  /** Host name that gets an A record, and the Cloud DNS zone that holds it. Default: no record. */
  record?: { host: pulumi.Input<string>; zone: pulumi.Input<string> };
  /** Keep the address from deletion (Pulumi's `protect`): another one would have to be made known. Default true. */
  protect?: boolean;
}

const TERMS: terms.Terms<PublicAddressArgs> = {
  project: terms.PROJECT,
  region: terms.plain(terms.word("a region", "europe-west1")),
  addressName: terms.required(terms.word("a name", "noetl")),
  existing: terms.plain(terms.flag),
  record: terms.object<NonNullable<PublicAddressArgs["record"]>>(
    {
      host: terms.required(terms.hostOf("app.example.org")),
      zone: terms.required(terms.word("the name of a zone of Cloud DNS", "example-org")),
    },
    '{ host: "app.example.org", zone: "example-org" }',
  ),
  protect: terms.plain(terms.flag),
};

/** A static public IPv4 address with its DNS record. */
export class PublicAddress extends pulumi.ComponentResource {
  /** Name of the address, as annotations of Kubernetes objects want it. */
  readonly addressName: pulumi.Output<string>;
  /** The IPv4 address. */
  readonly address: pulumi.Output<string>;

  constructor(name: string, asked: PublicAddressArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:PublicAddress", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const child = { parent: this };
    const { project, region } = args;
    const which = { project, name: args.addressName };
    const kept = { ...child, protect: args.protect ?? true };
    const found = args.existing
      ? region
        ? compute.getAddressOutput({ ...which, region }, child)
        : compute.getGlobalAddressOutput(which, child)
      : region
        ? new compute.Address(`${name}-address`, { ...which, region, addressType: "EXTERNAL" }, kept)
        : new compute.GlobalAddress(`${name}-address`, { ...which, addressType: "EXTERNAL" }, kept);
    this.addressName = found.name;
    this.address = found.address;
    if (args.record) {
      new dns.RecordSet(
        `${name}-record`,
        {
          project,
          managedZone: args.record.zone,
          name: derived(args.record.host, (host) => `${host}.`),
          type: "A",
          ttl: 300,
          rrdatas: [this.address],
        },
        child,
      );
    }
    this.registerOutputs({ addressName: this.addressName, address: this.address });
  }
}
