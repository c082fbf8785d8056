/** Changes of a cluster of GKE that keep it and matter all the same: who reaches its control plane, and its Secrets' key. */
import { danger, resourceName, typeOf, warning, type Finding, type ResourceDelta, type RiskRule } from "./facts";

interface ClusterInputs {
  readonly controlPlaneEndpointsConfig?: {
    readonly dnsEndpointConfig?: { readonly allowExternalTraffic?: boolean };
    readonly ipEndpointsConfig?: { readonly enabled?: boolean };
  };
  readonly masterAuthorizedNetworksConfig?: { readonly cidrBlocks?: readonly { readonly cidrBlock?: string }[] };
  readonly databaseEncryption?: { readonly state?: string; readonly keyName?: string };
}

/** Ways in from outside: the name, and the address with who may use it. Without a word the address is open to everybody. */
function ways({ controlPlaneEndpointsConfig, masterAuthorizedNetworksConfig }: ClusterInputs) {
  const { dnsEndpointConfig, ipEndpointsConfig } = controlPlaneEndpointsConfig ?? {};
  const blocks = masterAuthorizedNetworksConfig?.cidrBlocks?.map(({ cidrBlock }) => String(cidrBlock));
  return {
    name: dnsEndpointConfig?.allowExternalTraffic === true,
    address: ipEndpointsConfig?.enabled === false ? [] : (blocks ?? ["everybody"]),
  };
}

function accessChanged(delta: ResourceDelta, old: ClusterInputs, now: ClusterInputs): Finding[] {
  const [before, after] = [ways(old), ways(now)];
  const added = after.address.filter((each) => !before.address.includes(each));
  const lost = before.address.filter((each) => !after.address.includes(each));
  // Where everybody was let in, a range is less.
  const opened = before.address.includes("everybody") ? [] : added;
  return [
    ...(opened.length > 0
      ? [
          danger(
            resourceName(delta),
            `lets ${opened.join(", ")} in to the control plane at its address, who were not let in before.`,
          ),
        ]
      : []),
    ...(lost.length > 0 || (before.name && !after.name)
      ? [
          warning(
            resourceName(delta),
            `closes a way to the control plane (${[...(before.name && !after.name ? ["its name"] : []), ...lost].join(", ")}): kubeconfigs and ` +
              "machines that use it are shut out. The way that the stack uses from now on must be open before, or the preview says how to open it.",
          ),
        ]
      : []),
  ];
}

function keyChanged(delta: ResourceDelta, old: ClusterInputs, now: ClusterInputs): Finding[] {
  const keyOf = ({ databaseEncryption }: ClusterInputs) =>
    databaseEncryption?.state === "ENCRYPTED" ? databaseEncryption.keyName : undefined;
  const [before, after] = [keyOf(old), keyOf(now)];
  if (before === after) return [];
  if (after === undefined)
    return [danger(resourceName(delta), "has its Secrets encrypted with no key of yours any more.")];
  return [
    warning(
      resourceName(delta),
      "has its Secrets encrypted with another key from now on. Whoever disables a version of it that is in use stops the cluster, and whoever " +
        "destroys it destroys the cluster." +
        (before === undefined ? "" : " Keep the old key until nothing is encrypted with it."),
    ),
  ];
}

export const CONTROL_PLANE_RULES: readonly RiskRule[] = (
  [
    ["control-plane", "a control plane that lets more in, or shuts somebody out", accessChanged],
    ["secrets-key", "another key for the Secrets of a cluster, or none", keyChanged],
  ] as const
).map(([id, warns, changed]) => ({
  id,
  warns,
  find: ({ resources }) =>
    resources.flatMap((delta) =>
      typeOf(delta) === "gcp:container/cluster:Cluster" && delta.op === "update" && delta.old && delta.new
        ? changed(delta, delta.old.inputs as ClusterInputs, delta.new.inputs as ClusterInputs)
        : [],
    ),
}));
