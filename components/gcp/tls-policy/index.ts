import * as compute from "@pulumi/gcp/compute";
import * as pulumi from "@pulumi/pulumi";
import * as terms from "../../terms";
import { checkedArguments, derived } from "../../arguments";

export interface TlsPolicyArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Name of the policy, at most 63 characters. */
  policyName: pulumi.Input<string>;
  /** Google's profile of ciphers: `compatible`, `modern` or `restricted`. */
  profile: pulumi.Input<string>;
}

const TERMS: terms.Terms<TlsPolicyArgs> = {
  project: terms.PROJECT,
  policyName: terms.required(terms.word("a name", "noetl")),
  profile: terms.required(terms.choice("modern", "compatible", "restricted")),
};

/** TLS 1.2 and newer with the ciphers of a profile, for ingresses of GKE, whose own default takes TLS 1.0. */
export class TlsPolicy extends pulumi.ComponentResource {
  /** Its name, by which a FrontendConfig refers to it; known once it is there. */
  readonly policyName: pulumi.Output<string>;

  constructor(name: string, asked: TlsPolicyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:TlsPolicy", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const policy = new compute.SSLPolicy(
      `${name}-policy`,
      {
        project: args.project,
        name: args.policyName,
        profile: derived(args.profile, (known) => known.toUpperCase()),
        minTlsVersion: "TLS_1_2",
      },
      { parent: this },
    );
    this.policyName = policy.name;
    this.registerOutputs({ policyName: this.policyName });
  }
}
