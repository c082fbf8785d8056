import {
  etcdRelease,
  helmRelease,
  kubernetesRelease,
  natsServerRelease,
  pulumiRelease,
  type Published,
} from "./releases";

/** How a module is changed before a tool is built: files under `without-clouds/` take the place of its own, and a name is another. */
export interface Change {
  readonly module: string;
  /** A name of a library that has another one in the version that the tool is built with. */
  readonly renamed?: { readonly from: string; readonly to: string };
}

/**
 * The tools that the embedded cluster and the tests run, pinned by Go modules under `embedded/toolchain/`. What `up:embedded` builds
 * is in one module, `stack`, so that all of it is made of the same versions of libraries, each compiled once (decision 0029).
 */
export interface Tool {
  /** Command name. */
  readonly name: string;
  /** Folder under `embedded/toolchain/` whose go.mod and go.sum pin the source. */
  readonly module: string;
  /** Go package to build. */
  readonly package: string;
  /** Modules that it is built with otherwise than they were published. */
  readonly changes?: readonly Change[];
  /** Version of the pinned module, as the built binary reports it. */
  readonly version: string;
  /** Linker flags that make the binary report its version. */
  readonly ldflags?: string;
  /** How to ask a binary for its version: arguments, and the pattern whose first group is the version without `v`. */
  readonly ask: { readonly args: readonly string[]; readonly pattern: RegExp };
  /** Oldest version from PATH that will do; absent where only the pinned build will. A newer minor is fine. */
  readonly accept?: string;
  /** Where the project publishes the program; absent where it publishes no checksums with it. */
  readonly published?: Published;
  /**
   * Cold build on two cores, downloads included, in seconds, where the processor was measured: the screen shows what that is on
   * this machine (speed.ts).
   */
  readonly buildSeconds: number;
  /** The same where the API server was built before, which has the same libraries. */
  readonly secondsAfterApiServer?: number;
}

const KUBERNETES = "v1.34.4";
const gitVersion = `-X k8s.io/component-base/version.gitVersion=${KUBERNETES}`;

const kubernetes = (name: string, buildSeconds: number): Tool => ({
  name,
  module: "stack",
  package: `k8s.io/kubernetes/cmd/${name}`,
  version: KUBERNETES,
  ldflags: gitVersion,
  ask: { args: ["--version"], pattern: /Kubernetes v(\d+\.\d+\.\d+)/ },
  accept: "1.33.0",
  published: kubernetesRelease(name),
  buildSeconds,
});

/** An older server that the contract is checked against, in a module of its own: `nats-server-2.9`, say. */
const olderServer = <V extends string>(minor: V, version: string): Tool & { readonly name: `nats-server-${V}` } => ({
  name: `nats-server-${minor}`,
  module: `nats-server-${minor}`,
  package: "github.com/nats-io/nats-server/v2",
  version,
  ask: { args: ["--version"], pattern: /v(\d+\.\d+\.\d+)/ },
  published: natsServerRelease,
  buildSeconds: 15,
});

/** In the order in which they are built: what the cluster starts with first, so that it starts while the rest is built. */
export const TOOLS = {
  "nats-server": {
    name: "nats-server",
    module: "stack",
    package: "github.com/nats-io/nats-server/v2",
    version: "v2.15.2",
    ask: { args: ["--version"], pattern: /v(\d+\.\d+\.\d+)/ },
    accept: "2.14.0",
    published: natsServerRelease,
    buildSeconds: 33,
  },
  // The version that Debian 12 and 13 install, and the last of what lies between it and the current one.
  "nats-server-2.9": olderServer("2.9", "v2.9.10"),
  "nats-server-2.10": olderServer("2.10", "v2.10.27"),
  "nats-server-2.11": olderServer("2.11", "v2.11.17"),
  "nats-server-2.12": olderServer("2.12", "v2.12.15"),
  "kube-apiserver": kubernetes("kube-apiserver", 160),
  "kube-controller-manager": kubernetes("kube-controller-manager", 46),
  "kube-scheduler": kubernetes("kube-scheduler", 5),
  etcd: {
    name: "etcd",
    module: "stack",
    package: "go.etcd.io/etcd/server/v3",
    version: "v3.6.4",
    ask: { args: ["--version"], pattern: /etcd Version: (\d+\.\d+\.\d+)/ },
    // Older servers lack the watch progress requests that kube-apiserver relies on.
    accept: "3.5.13",
    published: etcdRelease,
    buildSeconds: 24,
    secondsAfterApiServer: 7,
  },
  kwok: {
    name: "kwok",
    module: "stack",
    package: "sigs.k8s.io/kwok/cmd/kwok",
    // It was written for Kubernetes 1.33; the name of an annotation has changed since.
    changes: [
      {
        module: "sigs.k8s.io/kwok",
        renamed: { from: "InitialEventsListBlueprintAnnotationKey", to: "InitialEventsAnnotationKey" },
      },
    ],
    version: "v0.7.0",
    ldflags: "-X sigs.k8s.io/kwok/pkg/consts.Version=v0.7.0",
    ask: { args: ["--version"], pattern: /(\d+\.\d+\.\d+)/ },
    accept: "0.7.0",
    buildSeconds: 66,
    secondsAfterApiServer: 11,
  },
  helm: {
    name: "helm",
    module: "stack",
    package: "helm.sh/helm/v3/cmd/helm",
    version: "v3.19.5",
    // Without the last two, `helm template` takes the cluster for Kubernetes 1.20.
    ldflags:
      "-X helm.sh/helm/v3/internal/version.version=v3.19.5 " +
      "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34",
    ask: { args: ["version", "--template", "{{.Version}}"], pattern: /v(\d+\.\d+\.\d+)/ },
    accept: "3.15.0",
    published: helmRelease,
    buildSeconds: 52,
    secondsAfterApiServer: 14,
  },
  pulumi: {
    name: "pulumi",
    module: "stack",
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    // A third of its build were the clients of AWS, Azure and Google Cloud, for states and keys that are kept there.
    changes: [
      { module: "github.com/pulumi/pulumi/pkg/v3" },
      { module: "gocloud.dev" },
      { module: "github.com/aws/aws-sdk-go-v2/service/s3" },
    ],
    version: "v3.259.0",
    ldflags: "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
    ask: { args: ["version"], pattern: /v(\d+\.\d+\.\d+)/ },
    accept: "3.200.0",
    published: pulumiRelease,
    buildSeconds: 115,
    secondsAfterApiServer: 100,
  },
  actionlint: {
    name: "actionlint",
    module: "actionlint",
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    version: "v1.7.12",
    ldflags: "-X github.com/rhysd/actionlint.version=1.7.12",
    ask: { args: ["-version"], pattern: /(\d+\.\d+\.\d+)/ },
    // Another version knows other rules.
    buildSeconds: 5,
  },
  nats: {
    name: "nats",
    module: "natscli",
    package: "github.com/nats-io/natscli/nats",
    version: "v0.5.0",
    ldflags: "-X main.version=0.5.0",
    ask: { args: ["--version"], pattern: /(\d+\.\d+\.\d+)/ },
    accept: "0.2.0",
    buildSeconds: 30,
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

/** How long it takes to build `tools` one after the other, in seconds, for each of them. */
export function estimates(tools: readonly Tool[]): Map<string, number> {
  const apiServer = tools.findIndex(({ name }) => name === TOOLS["kube-apiserver"].name);
  return new Map(
    tools.map(({ name, buildSeconds, secondsAfterApiServer = buildSeconds }, index) => [
      name,
      apiServer >= 0 && index > apiServer ? secondsAfterApiServer : buildSeconds,
    ]),
  );
}
