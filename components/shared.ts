import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { projectRoot } from "../contract/project";
import { derived } from "./arguments";
import type { NamespacePolicy } from "./network-policies/manifests";

/** The same keys, each value of which may be an output; of a list, each element too. */
export type Inputs<T> = {
  -readonly [K in keyof T]: NonNullable<T[K]> extends readonly (infer Element)[]
    ? pulumi.Input<readonly pulumi.Input<Element>[]>
    : pulumi.Input<NonNullable<T[K]>>;
};

/** Version of the Pod Security Standards that namespaces enforce: the Kubernetes that they are tested with. */
const POD_SECURITY_VERSION = "v1.34";

/** Levels of the Pod Security Standards. */
export type PodSecurityLevel = "privileged" | "baseline" | "restricted";

/** Security context of a container that needs no right of Linux. */
export const unprivileged = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };

/** Of one that writes to nothing but its volumes, too. */
export const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** Security context of a pod whose containers run as one user, and as the group of the same number. */
export const runsAs = (uid: number, volumes: { fsGroup?: number; fsGroupChangePolicy?: string } = {}) => ({
  runAsNonRoot: true,
  runAsUser: uid,
  runAsGroup: uid,
  ...volumes,
  seccompProfile: { type: "RuntimeDefault" },
});

/** Resources of a container, as Kubernetes quantities. */
export interface Resources {
  requests: { cpu: pulumi.Input<string>; memory: pulumi.Input<string> };
  limits: { cpu?: pulumi.Input<string>; memory: pulumi.Input<string> };
}

/** An ingress before a chart's Service, with a Google-managed certificate. */
export interface IngressArgs {
  /** Public host name. */
  host: pulumi.Input<string>;
  /** Further annotations. */
  annotations?: Record<string, pulumi.Input<string>>;
  /** Name of the ManagedCertificate, which the chart creates. */
  certificateName: pulumi.Input<string>;
}

/** Values of an ingress of class gce, on the paths that both charts share. */
export function ingressValues(args: IngressArgs): Record<string, unknown> {
  return {
    enabled: true,
    className: "gce",
    host: args.host,
    annotations: args.annotations ?? {},
    managedCertificate: { enabled: true, name: args.certificateName },
  };
}

/** Prefers to spread the pods of an app over zones; they run also where that cannot be. */
export function zoneSpread(app: string) {
  return [
    {
      maxSkew: 1,
      topologyKey: "topology.kubernetes.io/zone",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { app } },
    },
  ];
}

/** Where a Helm chart comes from. */
export interface ChartSource {
  /** Folder of a local chart, or its name in `repository`. */
  chart: string;
  /** URL of the Helm repository; unset for a local chart. */
  repository?: pulumi.Input<string>;
  /** Version of the chart; unset takes what the folder holds, or the repository's newest. */
  version?: pulumi.Input<string>;
}

/** Of every component that Helm installs. */
export interface HelmArgs {
  /** How long Helm waits for the pods, in seconds. Default 300. */
  timeoutSeconds?: pulumi.Input<number>;
  /** Last word on the Helm release's arguments. */
  transform?: (release: k8s.helm.v3.ReleaseArgs) => k8s.helm.v3.ReleaseArgs;
}

export interface NamespaceArgs {
  name: pulumi.Input<string>;
  podSecurity: PodSecurityLevel;
  /** NetworkPolicies of the namespace. Default: none. */
  policies: readonly NamespacePolicy[] | undefined;
}

/** A namespace that a program makes, and where: another provider's may be another cluster. */
interface Claim {
  readonly namespace: string;
  readonly provider: pulumi.ProviderResource | undefined;
  /** The resource. */
  readonly name: string;
}

/** Of each program, by its stack: one process may run several. */
const claims = new WeakMap<pulumi.Resource, Claim[]>();

/**
 * The namespace, for one resource of a program alone: Kubernetes refuses the second, which a preview does not ask it for.
 *
 * @throws pulumi.ResourceError where another one makes it.
 */
function claimed(known: string, name: string, parent: pulumi.Resource | undefined): string {
  const stack = pulumi.runtime.getStackResource();
  if (stack === undefined) return known;
  const own = { namespace: known, name, provider: parent?.getProvider("kubernetes:core/v1:Namespace") };
  const others = claims.get(stack) ?? [];
  const other = others.find((each) => each.namespace === known && each.provider === own.provider);
  if (other !== undefined && other.name !== name) {
    throw new pulumi.ResourceError(
      `the namespace ${JSON.stringify(known)} is one that ${other.name} makes, too; allowed: a namespace of its own for each component of a ` +
        `cluster; for example ${known}-2`,
      parent,
    );
  }
  claims.set(stack, [...others, own]);
  return known;
}

/**
 * A namespace whose pods must meet a Pod Security level; the API server enforces it. Returns its name. Whatever is put into it by that
 * name waits for its NetworkPolicies, and is gone before them: no pod runs without.
 */
export function namespace(
  name: string,
  { name: called, podSecurity, policies = [] }: NamespaceArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const labels = {
    "pod-security.kubernetes.io/enforce": podSecurity,
    // A newer Kubernetes asks for more only once this is raised; an older one takes the newest that it knows.
    "pod-security.kubernetes.io/enforce-version": POD_SECURITY_VERSION,
    "pod-security.kubernetes.io/warn": "restricted",
  };
  const own = derived(called, (known) => claimed(known, name, opts.parent));
  const made = new k8s.core.v1.Namespace(name, { metadata: { name: own, labels } }, opts);
  const place = made.metadata.name;
  if (policies.length === 0) return place;
  const names = policies.map(
    (policy) =>
      new k8s.networking.v1.NetworkPolicy(
        `${name}-${policy.name}`,
        { metadata: { name: policy.name, namespace: place }, spec: policy.spec },
        { parent: opts.parent },
      ).metadata.name,
  );
  return pulumi.all([place, pulumi.all(names)]).apply(([own]) => own);
}

/**
 * Chart arguments of a Helm release. The path of a chart below the program's folder is made relative to it, so that the
 * state does not differ from machine to machine.
 */
export function chartArgs(
  source: ChartSource,
): Pick<k8s.helm.v3.ReleaseArgs, "chart" | "version" | "repositoryOpts"> & { chart: string } {
  return {
    chart: isLocalChart(source) ? relativeChart(source.chart) : source.chart,
    // Settings that are empty leave it to Helm.
    version: source.version === "" ? undefined : source.version,
    repositoryOpts: source.repository ? { repo: source.repository } : undefined,
  };
}

/** A chart that this package carries, or what the user puts in its place. */
export function resolveChart(own: "noetl" | "gateway", override: ChartSource | undefined) {
  const folder = path.join(projectRoot(), "charts", own);
  const source = override ?? { chart: folder };
  const isOwn = source.repository === undefined && path.resolve(source.chart) === folder;
  return {
    source,
    isOwn,
    digest: chartDigest(source),
    // Only our own charts are known to meet the strictest level.
    podSecurity: (isOwn ? "restricted" : "baseline") as PodSecurityLevel,
  };
}

function isLocalChart(source: ChartSource): boolean {
  return source.repository === undefined && fs.existsSync(path.join(source.chart, "Chart.yaml"));
}

function relativeChart(folder: string): string {
  if (!path.isAbsolute(folder)) return folder;
  const relative = path.relative(process.cwd(), folder);
  // A path out of the program's folder would be read from the plugin's, which need not be the same.
  return relative.startsWith("..") ? folder : `./${relative}`;
}

/**
 * Digest over the files of a local chart. It goes into the release's values, because the engine would otherwise not
 * notice an edited template: it compares a release's values and version only. Undefined for a chart from a repository.
 */
export function chartDigest(source: ChartSource): string | undefined {
  if (!isLocalChart(source)) return undefined;
  const hash = crypto.createHash("sha256");
  const visit = (folder: string): void => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) visit(file);
      else
        hash
          .update(`${path.relative(source.chart, file)}\0`)
          .update(fs.readFileSync(file))
          .update("\0");
    }
  };
  visit(source.chart);
  return hash.digest("hex").slice(0, 16);
}

/** Repository and tag of an image reference; `repository:tag` gives the reference back, also where it is a digest. */
export function splitImage(reference: string): { repository: string; tag: string } {
  const at = reference.lastIndexOf(":");
  return at > reference.lastIndexOf("/")
    ? { repository: reference.slice(0, at), tag: reference.slice(at + 1) }
    : { repository: reference, tag: "latest" };
}

/** Chart values of an image. */
export const imageValues = (reference: pulumi.Input<string>) =>
  derived(reference, (known) => ({ ...splitImage(known), pullPolicy: "IfNotPresent" }));

/**
 * A password that NoETL's clients can use: letters and digits, the first a letter. Kept in the encrypted state.
 *
 * @param revision Another number, another password. A first one has no keeper, as passwords of before had none.
 */
export function generatedPassword(
  name: string,
  opts: pulumi.CustomResourceOptions,
  revision: pulumi.Input<number> = 1,
): pulumi.Output<string> {
  type Keepers = Record<string, pulumi.Input<string>>;
  const keepers = derived(revision, (number) => (number === 1 ? undefined : { revision: String(number) })) as Keepers;
  return pulumi.secret(new random.RandomPassword(name, { length: 32, special: false, keepers }, opts).result);
}

/**
 * An opaque id that changes exactly when one of the credentials does. As an annotation it rolls the pods that read
 * them, without a hash of a secret standing where anybody who lists pods can read it. A URL in a Secret is a credential as
 * a whole: a new host must reach the pods as a new password does.
 */
export function credentialsRevision(
  name: string,
  credentials: Record<string, pulumi.Input<string>>,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const keepers = pulumi.secret(credentials);
  return new random.RandomId(
    name,
    { byteLength: 4, keepers },
    pulumi.mergeOptions(opts, { additionalSecretOutputs: ["keepers"] }),
  ).hex;
}

/** Revision number of a release: it grows with every install, upgrade and rollback. */
export function releaseRevision(release: k8s.helm.v3.Release): pulumi.Output<number> {
  return release.status.apply((status) => status?.revision ?? 0);
}
