import * as pulumi from "@pulumi/pulumi";
import { type ClusterArgs, clusterInputs } from "../users/resource";
import type { TlsSecrets } from "./values";

export interface NatsCertificateArgs {
  source: "generated" | "secret";
  cluster: ClusterArgs;
  namespace: pulumi.Input<string>;
  secretName: pulumi.Input<string>;
  authorityName: string;
  names: pulumi.Input<readonly string[]>;
  routeNames: pulumi.Input<readonly string[]>;
}

/** How long a Secret that somebody else keeps is waited for, in seconds. */
const TIMEOUT_SECONDS = 180;

/** Loads the compiled module, as `StreamContract`'s stub does. */
function provider(): typeof import("./provider") {
  const { createRequire } = require("module") as typeof import("node:module");
  const fromProgram = createRequire(process.cwd() + "/package.json");
  return fromProgram("noetl-nats/nats-certificate/provider") as typeof import("./provider");
}

// Deleting the resource deletes nothing: the Secrets go with their namespace.
const stub: pulumi.dynamic.ResourceProvider = {
  check: (olds: object, news: object) => Promise.resolve(provider().check(olds, news)),
  diff: (_id: string, olds: object, news: object) => provider().diff(olds, news),
  create: (inputs: object) => provider().create(inputs),
  update: (_id: string, olds: object, news: object) => provider().update(olds, news),
  read: (id: string, properties?: object) => provider().read(id, properties ?? {}),
};

/** The certificate of NATS' servers, and the authorities that its clients trust: `provider.ts` says where they come from. */
export class NatsCertificate extends pulumi.dynamic.Resource {
  /** Authorities that clients trust, PEM. */
  declare readonly ca: pulumi.Output<string>;
  /** End of the servers' certificate, ISO 8601. */
  declare readonly ends: pulumi.Output<string>;
  /** Name of the Secret that the servers mount. */
  declare readonly secretName: pulumi.Output<string>;
  /** Name of the Secret with the authorities. */
  declare readonly authorityName: pulumi.Output<string>;
  /** Names of both Secrets, as the chart's values take them. */
  get secrets(): TlsSecrets {
    return { certificate: this.secretName, authority: this.authorityName };
  }
  /** Keys, and what they have signed. */
  declare private readonly stored: pulumi.Output<unknown>;

  constructor(name: string, { cluster, ...args }: NatsCertificateArgs, opts: pulumi.CustomResourceOptions = {}) {
    super(
      stub,
      name,
      {
        ...args,
        ...clusterInputs(cluster),
        timeoutSeconds: TIMEOUT_SECONDS,
        ca: undefined,
        ends: undefined,
        stored: undefined,
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["stored", "kubeconfig"] }),
      "noetl-nats",
      "NatsCertificate",
    );
  }
}
