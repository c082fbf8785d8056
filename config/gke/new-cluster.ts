import { cpuOf, fitPod, podProblem } from "./autopilot";
import { podsOf } from "./pods";
import { type Changed, SETTINGS, type SettingKey, type Settings } from "../schema";
import { addressRange, kmsKeyPlace } from "../validate";
import { foreignImages } from "./images";

/** Settings that shape a new cluster and nothing else. */
const OF_A_NEW_CLUSTER: readonly SettingKey[] = [
  "releaseChannel",
  "privateNodes",
  "controlPlaneAccess",
  "authorizedNetworks",
  "maintenanceWindow",
  "maintenanceExclusions",
  "secretsKmsKey",
  "network",
  "subnetwork",
  "nodeCidr",
  "podCidr",
  "serviceCidr",
  "createNat",
  "minFreeCpus",
  "enforceQuotas",
];

const RANGES = ["nodeCidr", "podCidr", "serviceCidr"] as const;

/** Ranges that no subnetwork may have. Source: VPC, "Prohibited IPv4 subnet ranges". */
const PROHIBITED: readonly (readonly [range: string, why: string])[] = [
  ["0.0.0.0/8", "the current network"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link-local addresses, the metadata server's among them"],
  ["199.36.153.4/30", "Private Google Access"],
  ["199.36.153.8/30", "Private Google Access"],
  ["224.0.0.0/4", "multicast"],
  ["240.0.0.0/4", "reserved addresses, which hold 255.255.255.255"],
];

/** Range of the containers' bridge on a Cloud SQL instance, whose answers to addresses in it get lost. */
const CLOUD_SQL_BRIDGE = "172.17.0.0/16";

export function clusterProblems(settings: Settings, changed: Changed): string[] {
  const problems: string[] = [];
  if (settings.projectId === undefined)
    problems.push(`projectId: must be set because platform is gke; for example ${SETTINGS.projectId.example}`);
  for (const key of ["kubeContext", "kubeconfig"] as const) {
    if (settings[key] !== undefined)
      problems.push(
        `${key}: contradicts platform gke, which reaches the cluster by projectId, region and clusterName; unset it`,
      );
  }
  if (settings.createCluster)
    return [
      ...problems,
      ...accessProblems(settings),
      ...maintenanceProblems(settings),
      ...networkProblems(settings, changed),
      ...quotaProblems(settings),
    ];
  const useless = OF_A_NEW_CLUSTER.filter(changed);
  if (useless.length > 0)
    problems.push(`createCluster: false has no use for ${useless.join(", ")}: the cluster exists as it is; unset them`);
  return problems;
}

/** Who reaches the control plane, and what its Secrets are encrypted with. */
function accessProblems(settings: Settings): string[] {
  const { controlPlaneAccess: access, authorizedNetworks: networks, secretsKmsKey: key, region } = settings;
  const problems: string[] = [];
  if (access === "authorized" && networks.length === 0)
    problems.push(
      "authorizedNetworks: must be set because controlPlaneAccess is authorized, and nobody could deploy; " +
        `for example ${SETTINGS.authorizedNetworks.example}`,
    );
  if (access !== "authorized" && networks.length > 0)
    problems.push(
      `authorizedNetworks: "${networks.join(",")}" has no effect while controlPlaneAccess is ${access}; allowed: unset it, or ` +
        "controlPlaneAccess authorized",
    );
  const location = key === undefined ? undefined : kmsKeyPlace(key)?.location;
  if (location !== undefined && location !== region && location !== "global")
    problems.push(
      `secretsKmsKey: "${key}" is in ${location}, and the cluster in ${region}; allowed: a key in ${region}, or global; for example ` +
        `${key?.replace(`/locations/${location}/`, `/locations/${region}/`)}`,
    );
  return problems;
}

const maintenanceProblems = ({ maintenanceWindow: window, maintenanceExclusions: exclusions }: Settings): string[] =>
  window === undefined && exclusions.length > 0
    ? [
        "maintenanceWindow: must be set because maintenanceExclusions are exceptions of it; " +
          "for example daily 00:00-00:00, which is always",
      ]
    : [];

function networkProblems(settings: Settings, changed: Changed): string[] {
  const problems: string[] = [];
  if (settings.network !== undefined) {
    const useless = RANGES.filter(changed);
    if (useless.length > 0)
      problems.push(`network: "${settings.network}" exists and has ranges of its own; unset ${useless.join(", ")}`);
    if (settings.subnetwork === undefined && settings.network !== "default")
      problems.push(
        `subnetwork: must be set because network "${settings.network}" exists; allowed: the name of its subnetwork in ${settings.region}`,
      );
  } else {
    if (settings.subnetwork !== undefined)
      problems.push(`subnetwork: "${settings.subnetwork}" belongs to no network; set network, too, or unset it`);
    problems.push(...rangeProblems(settings), ...natProblems(settings));
  }
  return problems;
}

function rangeProblems(settings: Settings): string[] {
  const problems: string[] = [];
  for (const [index, key] of RANGES.entries()) {
    const range = settings[key];
    const twin = RANGES.slice(0, index).find((other) => overlap(range, settings[other]));
    if (twin)
      problems.push(`${key}: "${range}" overlaps ${twin} "${settings[twin]}"; for example ${SETTINGS[key].example}`);
    const prohibited = PROHIBITED.find(([other]) => overlap(range, other));
    if (prohibited)
      problems.push(
        `${key}: "${range}" overlaps ${prohibited[0]} (${prohibited[1]}), which Google Cloud takes for no subnetwork; for example ${SETTINGS[key].example}`,
      );
    // Services never ask the database; nodes do for pods that are on the host's network or masqueraded.
    if (settings.useCloudSql && key !== "serviceCidr" && overlap(range, CLOUD_SQL_BRIDGE))
      problems.push(
        `${key}: "${range}" overlaps ${CLOUD_SQL_BRIDGE}, and Cloud SQL answers nobody there; for example ${SETTINGS[key].example}`,
      );
  }
  return problems;
}

function natProblems(settings: Settings): string[] {
  if (!settings.privateNodes || settings.createNat) return [];
  const foreign = foreignImages(settings);
  return foreign.length === 0
    ? []
    : [
        `createNat: false leaves private nodes without a way to ${foreign.join(", ")}; allowed: true, privateNodes false, or images ` +
          "of *.pkg.dev and *.gcr.io alone",
      ];
}

function quotaProblems(settings: Settings): string[] {
  const needed = Math.ceil(2 * cpuOf(podsOf(settings).map((pod) => fitPod(pod, true))));
  return settings.minFreeCpus >= needed
    ? []
    : [
        `minFreeCpus: ${settings.minFreeCpus} is too little: the pods of this stack request ${needed / 2} vCPU, and twice that ` +
          `during an upgrade; allowed: ${needed} or more; for example ${Math.max(64, needed)}`,
      ];
}

/** Whether two ranges share an address; false where one of them is unreadable. */
function overlap(one: string, other: string): boolean {
  const a = addressRange(one);
  const b = addressRange(other);
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last;
}

/** Pods that Autopilot would not run. */
export function podProblems(settings: Settings, changed: Changed): string[] {
  return podsOf(settings).flatMap((pod) => {
    const problem = podProblem(fitPod(pod, true));
    const key = pod.name === "nats" && changed("natsMemoryLimit") ? "natsMemoryLimit" : "natsJetstreamMemSize";
    return problem ? [`${key}: ${problem}; for example ${SETTINGS[key].example}`] : [];
  });
}
