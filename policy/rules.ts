import { NAMING_VARIABLES } from "../contract/env";
import { STREAM } from "../contract/facts";
import { plaintextCredentials } from "./credentials";
import { releaseOf, switchedOn } from "./release";
import { at, containers, isRecord, isUnknown, type ResourceView, texts, workloadKind } from "./resource";

/** What every rule says of itself; `docs/policy.md` is made of it. */
interface Statement {
  readonly name: string;
  readonly severity: "medium" | "high" | "critical";
  /** What must hold, one sentence. */
  readonly demand: string;
  /** What is looked at. */
  readonly subjects: string;
  /** What goes wrong where it does not hold. */
  readonly reason: string;
  /** How to meet it. */
  readonly remedy: string;
}

/** A rule about one resource. `check` returns one sentence for each problem. */
export interface ResourceRule extends Statement {
  /** True where `check` must know which values are encrypted; otherwise all of them come without marks. */
  readonly seesEncryption?: boolean;
  readonly check: (resource: ResourceView) => string[];
}

/** A rule about the stack as a whole. */
export interface StackRule extends Statement {
  readonly checkStack: (resources: readonly ResourceView[]) => { urn?: string; problem: string }[];
}

export type Rule = ResourceRule | StackRule;

const noPlaintextCredentials: ResourceRule = {
  name: "no-plaintext-credentials",
  severity: "critical",
  demand: "A credential stands in a Secret and encrypted in the state, nowhere else.",
  subjects:
    "ConfigMaps, Secrets, environment and arguments of containers, values of Helm releases, inputs of every other resource",
  reason:
    "Whoever may read ConfigMaps, pods, process lists or the state's file would read it, and logs and previews would show it.",
  remedy:
    "Wrap the value in `pulumi.secret(...)`, or set it with `pulumi config set --secret`; hand it to pods through a Secret.",
  seesEncryption: true,
  check: plaintextCredentials,
};

/** Type of this project's check of the stream; it is a dynamic resource. */
const STREAM_CONTRACT = "pulumi-nodejs:dynamic/noetl-nats:StreamContract";
const NOETL = "noetl-nats:index:Noetl";

const contractRetention: ResourceRule = {
  name: "contract-retention",
  severity: "high",
  demand: `A StreamContract expects the retention \`${STREAM.retention}\`.`,
  subjects: "StreamContract",
  reason:
    "On a stream with another retention the workers cannot create their consumer (`consumer must be deliver all on workqueue " +
    "stream`) and crash-loop; a contract that expects it would call that healthy.",
  remedy: "Leave `expect.retention` unset.",
  check: (resource) => {
    const retention = at(resource.props, "expect.retention");
    if (resource.type !== STREAM_CONTRACT || retention === undefined || isUnknown(retention)) return [];
    return retention === STREAM.retention
      ? []
      : [`expect.retention is ${JSON.stringify(retention)}; NoETL's workers need "${STREAM.retention}"`];
  },
};

const contractCoversNoetl: StackRule = {
  name: "contract-covers-noetl",
  severity: "high",
  demand:
    "Where NoETL is installed, a StreamContract checks the stream, subject and consumer that server and workers use.",
  subjects: "the stack: Helm releases of NoETL and StreamContracts",
  reason:
    "Stream, consumer and application drift apart unseen: messages are stored where nobody reads them, or nobody notices that " +
    "they are not stored.",
  remedy: "Declare a `StreamContract` with the same names as `Noetl`.",
  checkStack: (resources) => {
    const contracts = resources.filter(({ type }) => type === STREAM_CONTRACT);
    return resources.flatMap((resource) => {
      const release = releaseOf(resource);
      if (!release || (release.chart !== "noetl" && resource.parentType !== NOETL)) return [];
      const problem = (text: string) => ({ urn: resource.urn, problem: text });
      if (contracts.length === 0) return [problem("NoETL is installed, but no StreamContract checks its stream")];
      return ["server", "worker"].flatMap((role) => {
        const used = NAMING_VARIABLES.map((name) => ({
          ...name,
          value: at(release.values, `config.${role}.${name.variable}`) ?? name.standard,
        })).filter(({ value }) => !isUnknown(value));
        const covered = contracts.some((contract) =>
          used.every(({ argument, standard, value }) => {
            const checked = at(contract.props, argument) ?? standard;
            return isUnknown(checked) || checked === value;
          }),
        );
        return covered
          ? []
          : [
              problem(
                `no StreamContract checks what the ${role} uses: ${used.map(({ variable, value }) => `${variable} ${JSON.stringify(value)}`).join(", ")}`,
              ),
            ];
      });
    });
  },
};

const QUANTITIES = ["requests.cpu", "requests.memory", "limits.memory"];
const missing = (resources: unknown): string[] =>
  QUANTITIES.filter((path) => [undefined, null, ""].includes(at(resources, path) as undefined));

const resourcesSet: ResourceRule = {
  name: "resources-set",
  severity: "medium",
  demand: "Every container requests CPU and memory and has a memory limit.",
  subjects: "Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods; values of the charts nats, noetl and gateway",
  reason:
    "Without requests a node takes more pods than it can feed, and GKE Autopilot fills in half a CPU and 2 GiB for each container; " +
    "without a memory limit one leak takes its neighbours along.",
  remedy: `Set \`${QUANTITIES.join("`, `")}\`. A CPU limit is not asked for: it throttles.`,
  check: (resource) => {
    const release = releaseOf(resource);
    if (!release) {
      return containers(resource).flatMap(({ path, spec }) => {
        const gaps = missing(spec.resources);
        return gaps.length > 0
          ? [`${path} (${String(spec.name)}) lacks ${gaps.map((gap) => `resources.${gap}`).join(", ")}`]
          : [];
      });
    }
    return (release.known?.resources ?? []).flatMap(({ path, onlyIf }) => {
      if (onlyIf && (at(release.values, onlyIf.path) ?? onlyIf.standard) === false) return [];
      const found = at(release.values, path);
      // A chart whose own values cannot be read may set what the release leaves out; nats/nats is known not to.
      if (found === undefined && !release.defaults && release.chart !== "nats") return [];
      const gaps = missing(found);
      return gaps.length > 0 ? [`values.${path} lacks ${gaps.join(", ")}`] : [];
    });
  },
};

const probesSet: ResourceRule = {
  name: "probes-set",
  severity: "medium",
  demand: "Every container that serves has a readiness probe, and a liveness or startup probe.",
  subjects: "Deployments, StatefulSets, DaemonSets; values of the charts nats, noetl and gateway",
  reason:
    "Otherwise a pod gets traffic before it can answer, a hung one stays, and a roll-out reports success too early.",
  remedy: "Set `readinessProbe` and `livenessProbe`; leave the charts' probe settings as they are.",
  check: (resource) => {
    const release = releaseOf(resource);
    if (release) {
      return [
        ...(release.known?.probeSwitches ?? [])
          .filter((path) => at(release.values, path) === false)
          .map((path) => `values.${path} is false, which takes the probes away`),
        ...(release.known?.probeSeconds ?? [])
          .map((path) => ({ path, seconds: at(release.values, path) }))
          .filter(({ path, seconds }) =>
            // A chart of the same name from elsewhere may not know the setting at all.
            seconds === undefined
              ? at(release.defaults, path) !== undefined
              : !isUnknown(seconds) && !(Number(seconds) > 0),
          )
          .map(({ path }) => `values.${path} has to be a number of seconds above 0`),
      ];
    }
    if (!["Deployment", "StatefulSet", "DaemonSet"].includes(workloadKind(resource.type) ?? "")) return [];
    return containers(resource).flatMap(({ path, init, spec }) => {
      if (init) return [];
      const gaps = [
        ...(spec.readinessProbe ? [] : ["readinessProbe"]),
        ...(spec.livenessProbe || spec.startupProbe ? [] : ["livenessProbe"]),
      ];
      return gaps.length > 0 ? [`${path} (${String(spec.name)}) lacks ${gaps.join(" and ")}`] : [];
    });
  },
};

/** True where an image reference names neither a digest nor a tag other than `latest`. */
function floats(reference: string): boolean {
  if (reference.includes("@")) return false;
  const tag = /:([^/]*)$/.exec(reference)?.[1];
  return tag === undefined || tag === "" || tag === "latest";
}

const noLatest: ResourceRule = {
  name: "no-latest",
  severity: "high",
  demand: "Every image has a tag other than `latest` or a digest, and every chart from a repository a version.",
  subjects: "Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods; Helm releases",
  reason: "What runs would depend on when a pod started, and a roll-back would not bring the old version back.",
  remedy: "Name the version: `noetlImage`, `gatewayImage`, `postgresImage`, `natsChartVersion`.",
  check: (resource) => {
    const release = releaseOf(resource);
    if (!release) {
      return containers(resource).flatMap(({ path, spec }) =>
        typeof spec.image === "string" && !isUnknown(spec.image) && floats(spec.image)
          ? [`${path}.image is ${spec.image}`]
          : [],
      );
    }
    const repository = at(resource.props, "repositoryOpts.repo");
    const version = at(resource.props, "version");
    return [
      ...(repository !== undefined && (version === undefined || version === "")
        ? [`chart ${release.chart} of a repository has no version`]
        : []),
      ...[...texts(switchedOn(release.values), "values")].flatMap(({ path, key, text }) => {
        if (key === "tag" && text === "latest") return [`${path} is latest`];
        return key === "image" && floats(text) && text !== "" ? [`${path} is ${text}`] : [];
      }),
      ...(release.known?.latestByDefault ?? [])
        .filter((path) =>
          ["tag", "digest"].every((key) => [undefined, ""].includes(at(release.values, `${path}.${key}`) as undefined)),
        )
        .map((path) => `values.${path}.tag is empty, which the chart takes for latest`),
    ];
  },
};

/** Inputs that keep a cloud from deleting what holds data, and what they are where unset (google provider 7). */
const PROTECTIONS: Readonly<Record<string, readonly { path: string; unset: boolean }[]>> = {
  "gcp:container/cluster:Cluster": [{ path: "deletionProtection", unset: true }],
  "gcp:sql/databaseInstance:DatabaseInstance": [
    { path: "deletionProtection", unset: true },
    { path: "settings.deletionProtectionEnabled", unset: false },
  ],
};

export const deletionProtection: ResourceRule = {
  name: "deletion-protection",
  severity: "critical",
  demand: "A GKE cluster and a Cloud SQL instance are protected from deletion, by the cloud and by the engine.",
  subjects: "gcp.container.Cluster, gcp.sql.DatabaseInstance",
  reason:
    "A renamed resource or a changed network replaces them, and everything in them is gone before anybody reads the log.",
  remedy:
    "Keep `deletionProtection` on, `settings.deletionProtectionEnabled` on Cloud SQL, and the resource option `protect`. To take " +
    "a stack down on purpose, run the update that switches protection off with `--policy-pack-config policy/teardown.json`.",
  check: (resource) => {
    const protections = PROTECTIONS[resource.type];
    if (!protections) return [];
    return [
      ...protections.flatMap(({ path, unset }) => {
        const value = at(resource.props, path);
        return isUnknown(value) || (value ?? unset) === true
          ? []
          : [`${path} is ${value === undefined ? "unset" : "off"}`];
      }),
      ...(resource.protect ? [] : ["the resource option protect is unset"]),
    ];
  },
};

/** True for a policy that lets nothing in and nothing out of a namespace, but for what others allow. */
function deniesByDefault({ props }: ResourceView): boolean {
  const list = (path: string): unknown[] => {
    const found = at(props, path);
    return Array.isArray(found) ? found : [];
  };
  const selector = at(props, "spec.podSelector");
  return (
    isRecord(selector) &&
    Object.keys(selector).length === 0 &&
    ["Ingress", "Egress"].every((side) => list("spec.policyTypes").includes(side)) &&
    list("spec.ingress").length + list("spec.egress").length === 0
  );
}

const namespacesClosed: StackRule = {
  name: "namespaces-closed",
  severity: "high",
  demand:
    "On GKE every namespace that a stack makes has a NetworkPolicy that selects all pods and allows nothing in either direction.",
  subjects: "the stack: Namespaces and NetworkPolicies, where it has resources of Google Cloud",
  reason:
    "NoETL's API asks nobody who they are: in an open namespace every pod of the cluster, and every machine of its network, has it run " +
    "code. Monitoring and database are as open.",
  remedy:
    "Leave `networkPolicies` on; in a program give each component its `networkPolicies`. Where an open network is meant " +
    "(`acceptedRisks` with `open-network`), `--policy-pack-config` makes this rule a warning.",
  checkStack: (resources) => {
    if (!resources.some(({ type }) => type.startsWith("gcp:") || type === "pulumi:providers:gcp")) return [];
    const closed = resources
      .filter((each) => each.type === "kubernetes:networking.k8s.io/v1:NetworkPolicy" && deniesByDefault(each))
      .map(({ props }) => at(props, "metadata.namespace"));
    // What a preview does not know yet is judged by the update.
    if (closed.some(isUnknown)) return [];
    return resources
      .filter(({ type }) => type === "kubernetes:core/v1:Namespace")
      .map(({ urn, name, props }) => ({ urn, place: (at(props, "metadata.name") ?? name) as string }))
      .filter(({ place }) => !isUnknown(place) && !closed.includes(place))
      .map(({ urn, place }) => ({
        urn,
        problem: `namespace ${place} is open: no NetworkPolicy denies by default`,
      }));
  },
};

/** All rules, the gravest first. */
export const RULES: readonly Rule[] = [
  noPlaintextCredentials,
  deletionProtection,
  namespacesClosed,
  contractRetention,
  contractCoversNoetl,
  noLatest,
  resourcesSet,
  probesSet,
];

export const isStackRule = (rule: Rule): rule is StackRule => "checkStack" in rule;
