import * as pulumi from "@pulumi/pulumi";

/** A user of the NATS server, with what it may publish and subscribe to; without permissions it may do everything. */
export interface NatsUser {
  name: string;
  password: pulumi.Input<string>;
  /**
   * Each new password gets a user of its own, as that of `NatsJetStreamArgs.user` does: old and new are valid until
   * `retireOldLogins`. `NatsJetStream.loginOf` has the name that is valid. Default false: the name stays.
   */
  rotates?: boolean;
  permissions?: {
    publish?: string[] | { allow?: string[]; deny?: string[] };
    subscribe?: string[] | { allow?: string[]; deny?: string[] };
  };
}

/** How a cluster is reached beside the engine's provider. */
export interface ClusterArgs {
  /** Content or path of a kubeconfig; kept as a secret. Default: `$KUBECONFIG`, `~/.kube/config` or a pod's service account. */
  kubeconfig?: pulumi.Input<string>;
  /** Context of the kubeconfig. Default: its current one. */
  context?: pulumi.Input<string>;
}

/** The same as inputs of a resource, which has what is not given not even as undefined: that would be an output. */
export const clusterInputs = ({ kubeconfig, context }: ClusterArgs) => ({
  ...(kubeconfig === undefined ? {} : { kubeconfig: pulumi.secret(kubeconfig) }),
  ...(context === undefined ? {} : { context }),
});

export interface NatsUsersArgs {
  step: "admit" | "retire";
  cluster: ClusterArgs;
  namespace: pulumi.Input<string>;
  secretName: string;
  /** The user that is asked for; step `admit` may give it another name, see `nameLogin`. */
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
  extraUsers: readonly (Omit<NatsUser, "name"> & { name: pulumi.Input<string> })[];
  /** Of step `retire` the namespaces of pods that log in: those that leave are waited for. */
  clients?: readonly pulumi.Input<string>[];
}

/** How long the servers have until a changed file has reached them, in seconds: the kubelet takes up to two minutes. */
const TIMEOUT_SECONDS = 240;

/**
 * Loads the compiled module, as `StreamContract`'s stub does: from the program's folder, where this project exports itself by
 * name, or the package is installed.
 */
function provider(): typeof import("./provider") {
  const { createRequire } = require("module") as typeof import("node:module");
  const fromProgram = createRequire(process.cwd() + "/package.json");
  return fromProgram("noetl-nats/nats-users/provider") as typeof import("./provider");
}

// Deleting the resource deletes nothing: the Secret goes with its namespace.
const stub: pulumi.dynamic.ResourceProvider = {
  check: (olds: object, news: object) => Promise.resolve(provider().check(olds, news)),
  diff: (id: string, olds: object, news: object) => provider().diff(id, olds, news),
  create: (inputs: object) => provider().create(inputs),
  update: (id: string, olds: object, news: object) => provider().update(id, olds, news),
  read: (id: string, properties?: object) => provider().read(id, properties ?? {}),
};

/** One of the two steps of a change of NATS' users: `provider.ts` says what each does. */
export class NatsUsers extends pulumi.dynamic.Resource {
  /** Name of the login that is to be used. */
  declare readonly user: pulumi.Output<string>;
  /** Names of further users whose names change, by the name that is asked for. */
  declare readonly named: pulumi.Output<Readonly<Record<string, { readonly user: string }>> | undefined>;
  /** Name of the Secret. */
  declare readonly secretName: pulumi.Output<string>;

  constructor(name: string, { cluster, extraUsers, ...args }: NatsUsersArgs, opts: pulumi.CustomResourceOptions = {}) {
    super(
      stub,
      name,
      {
        ...args,
        password: pulumi.secret(args.password),
        extraUsers: extraUsers.map(({ name: user, password, permissions, rotates }) => ({
          user,
          password: pulumi.secret(password),
          ...(permissions ? { permissions } : {}),
          ...(rotates ? { rotates } : {}),
        })),
        // An output of the step that gives names.
        ...(extraUsers.some(({ rotates }) => rotates) ? { named: undefined } : {}),
        ...clusterInputs(cluster),
        timeoutSeconds: TIMEOUT_SECONDS,
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["password", "extraUsers", "kubeconfig"] }),
      "noetl-nats",
      "NatsUsers",
    );
  }
}
