import { RELEASE } from "../contract/project";
import { NAMING_VARIABLES } from "../contract/env";
import { LOCATIONS, STREAM } from "../contract/facts";
import { plaintextCredentials } from "./credentials";
import {
  controlPlaneClosed,
  loginRequired,
  natsTls,
  noClusterAdmin,
  nothingPublic,
  podsBaseline,
  rootReadOnly,
} from "./access";
import { closedServices } from "./exposure";
import { administratorApart, noLastingToken, noNeedlessToken } from "./identities";
import { releaseOf, switchedOn } from "./release";
import { namespacesClosed, namespacesDeclared, namespacesEnforce } from "./namespaces";
import { pinOf, PINS } from "./archive";
import { closedRoutes } from "./routes";
import { chartVersion, rendering } from "./render";
import {
  at,
  containers,
  holdsUnknown,
  type Image,
  images,
  isUnknown,
  plain,
  type ResourceView,
  texts,
  workloadKind,
  wholeContainers,
} from "./resource";
import type { ResourceRule, Rule, StackRule } from "./rule";

const noPlaintextCredentials: ResourceRule = {
  name: "no-plaintext-credentials",
  severity: "critical",
  demand: "A credential stands in a Secret and encrypted in the state, nowhere else.",
  subjects:
    "ConfigMaps, Secrets, environment, arguments and probes of containers, volumes of pods, values of Helm releases and what they render, " +
    "inputs of every other resource",
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

/** Namespace of the NATS that a URL leads to, where it is one of the cluster's names: `nats.nats.svc.cluster.local`. */
const namespaceIn = (url: unknown): string | undefined =>
  typeof url === "string"
    ? /^\w+:\/\/(?:[^@/]*@)?[\w-]+\.([\w-]+)(?:\.svc[\w.-]*)?(?::\d+)?\/?$/.exec(url)?.[1]
    : undefined;

/** Whether a contract proves something about a stream: it has the names, looks at the same NATS, and looks at all. */
function covers(contract: ResourceView, names: readonly Used[], url: unknown): boolean {
  // Mode ensure makes the stream before NoETL comes; what NoETL and its workers then do with it is proved by a check after it.
  if (at(contract.props, "mode") === "ensure") return false;
  const place = namespaceIn(url);
  const looked = at(contract.props, "connection.namespace") ?? LOCATIONS.nats.namespace;
  const elsewhere = at(contract.props, "connection.servers") !== undefined;
  if (place !== undefined && !elsewhere && !isUnknown(looked) && looked !== place) return false;
  return names.every(({ argument, standard, value }) => {
    const checked = at(contract.props, argument) ?? standard;
    return isUnknown(checked) || checked === value;
  });
}

type Used = (typeof NAMING_VARIABLES)[number] & { readonly value: unknown };

const contractCoversNoetl: StackRule = {
  name: "contract-covers-noetl",
  severity: "high",
  demand:
    "Where NoETL is installed, a StreamContract in mode assert checks the stream, subject and consumer that server and workers use, in the " +
    "NATS that they use.",
  subjects: "the stack: Helm releases of NoETL and StreamContracts",
  reason:
    "Stream, consumer and application drift apart unseen: messages are stored where nobody reads them, or nobody notices that " +
    "they are not stored.",
  remedy:
    "Declare a `StreamContract` with the same names and the same NATS as `Noetl`, after it; one in mode ensure comes before it and proves " +
    "nothing about it.",
  checkStack: (resources) => {
    const contracts = resources.filter(({ type }) => type === STREAM_CONTRACT);
    return resources.flatMap((resource) => {
      const release = releaseOf(resource);
      if (!release || (release.chart !== "noetl" && resource.parentType !== NOETL)) return [];
      const problem = (text: string) => ({ urn: resource.urn, problem: text });
      if (contracts.length === 0) return [problem("NoETL is installed, but no StreamContract checks its stream")];
      if (contracts.every(({ props }) => at(props, "mode") === "ensure"))
        return [problem("only StreamContracts in mode ensure are there: none checks what NoETL makes of the stream")];
      return ["server", "worker"].flatMap((role) => {
        const setting = (name: string): unknown => at(release.values, `config.${role}.${name}`);
        const used = NAMING_VARIABLES.map((name) => ({
          ...name,
          value: setting(name.variable) ?? name.standard,
        })).filter(({ value }) => !isUnknown(value));
        const url = setting("NATS_URL");
        if (contracts.some((contract) => covers(contract, used, url))) return [];
        const names = used.map(({ variable, value }) => `${variable} ${JSON.stringify(value)}`);
        const place = namespaceIn(url);
        const where = place === undefined ? "" : ` in namespace ${place}`;
        return [problem(`no StreamContract checks what the ${role} uses${where}: ${names.join(", ")}`)];
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
  subjects:
    "Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods; values of the charts nats, noetl and gateway, and what Helm releases render",
  reason:
    "Without requests a node takes more pods than it can feed, and GKE Autopilot fills in half a CPU and 2 GiB for each container; " +
    "without a memory limit one leak takes its neighbours along.",
  remedy: `Set \`${QUANTITIES.join("`, `")}\`. A CPU limit is not asked for: it throttles.`,
  check: (resource) => {
    const release = releaseOf(resource);
    if (!release) {
      return wholeContainers(resource).flatMap(({ path, spec }) => {
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
  subjects:
    "Deployments, StatefulSets, DaemonSets; values of the charts nats, noetl and gateway, and what Helm releases render with a port",
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
      // Of a chart that somebody else has written, a container without a port serves nobody: a reloader, a shell to look around.
      if (init || (resource.rendered && !Array.isArray(spec.ports))) return [];
      const gaps = [
        ...(spec.readinessProbe ? [] : ["readinessProbe"]),
        ...(spec.livenessProbe || spec.startupProbe ? [] : ["livenessProbe"]),
      ];
      return gaps.length > 0 ? [`${path} (${String(spec.name)}) lacks ${gaps.join(" and ")}`] : [];
    });
  },
};

/** Tags that name a branch or a channel, of one system or another: another image from one day to the next. */
const MOVING =
  /^(?:(?:latest|edge|nightly|unstable|canary|rolling|snapshot|next)(?:-[a-z]+)?|(?:main|master|trunk|head|dev|devel|develop|development|stable|staging|production|prod|release|current)(?:-(?:alpine|slim|debian|ubuntu|bookworm|bullseye|jammy|noble|distroless|nonroot|debug|amd64|arm64))*|[\w.-]+-latest)$/i;
const DIGEST = /@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** A part of a text that somebody fills in: `{{...}}`, `${...}`, `$(...)`. */
const TEMPLATE = /\{\{[^{}]*\}\}|\$\{[^{}]*\}|\$\([^()]*\)/g;

/** True where an image reference names neither a digest nor a tag that stays what it is. */
function floats({ reference, isWhole }: Image): boolean {
  // What a preview does not know is looked at once it is there, and what somebody fills in; a tag may stand beside that.
  if (holdsUnknown(reference)) return false;
  const filled = reference.replace(TEMPLATE, "0");
  if (/[\s${}<>*!|]/.test(filled) || filled === "") return false;
  if (filled !== reference) return !filled.includes("@") && MOVING.test(/:([^/]*)$/.exec(filled)?.[1] ?? "");
  if (reference.includes("@")) return !DIGEST.test(reference);
  const tag = /:([^/]*)$/.exec(reference)?.[1];
  return tag === undefined || tag === "" ? isWhole : MOVING.test(tag);
}

/** True for a version that is several: a range, or the newest. */
const isRange = (version: unknown): boolean =>
  version === undefined ||
  version === "" ||
  (typeof version === "string" && /[\^~><=*|, ]|\bx\b|^latest$/i.test(version));

/** True for a chart of a registry that is not named by its digest. */
const isOfRegistry = (chart: unknown): boolean =>
  typeof chart === "string" && chart.startsWith("oci://") && !DIGEST.test(chart);

const noLatest: ResourceRule = {
  name: "no-latest",
  severity: "high",
  demand:
    "Every image has a digest or a tag that does not move (`latest`, `main` and their like do), and every chart from a repository one version.",
  subjects:
    "Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods, containers in other kinds of objects, volumes that are images; Helm releases and " +
    "what they render",
  reason: "What runs would depend on when a pod started, and a roll-back would not bring the old version back.",
  remedy: "Name the version: `noetlImage`, `gatewayImage`, `postgresImage`, `natsChartVersion`.",
  check: (resource) => {
    const release = releaseOf(resource);
    if (!release) {
      return images(resource)
        .filter(floats)
        .map(({ path, reference }) => `${path} is ${reference}`);
    }
    const repository = at(resource.props, "repositoryOpts.repo");
    const chart = at(resource.props, "chart");
    // Of a registry it may stand with the chart.
    const version = at(resource.props, "version") ?? /^oci:.*\/[^/:]+:([^/@]+)$/.exec(String(chart))?.[1];
    return [
      ...((repository !== undefined || isOfRegistry(chart)) && !isUnknown(version) && isRange(version)
        ? [`chart ${release.chart} of a repository has ${version ? "a range of versions" : "no version"}`]
        : []),
      ...[...texts(switchedOn(release.values), "values")].flatMap(({ path, key, text }) => {
        if (key === "tag" && MOVING.test(text)) return [`${path} is ${text}`];
        return key === "image" && floats({ path, reference: text, isWhole: true }) ? [`${path} is ${text}`] : [];
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

const deletionProtection: ResourceRule = {
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

const isGiven = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : ![undefined, null, ""].includes(value as undefined);

const releasesRendered: ResourceRule = {
  name: "releases-rendered",
  severity: "low",
  advisory: true,
  demand: "What a Helm release puts into the cluster can be rendered, so that the other rules see it.",
  subjects: "Helm releases",
  reason: "Where it cannot, a release is checked by its values alone, and a chart may make anything of them.",
  remedy: "Put `helm` on PATH where previews and updates run, and let it reach the chart's repository.",
  check: (resource) => {
    if (resource.type !== RELEASE) return [];
    const { failure } = rendering(resource);
    const { postrender, valueYamlFiles } = resource.props;
    return [
      ...(failure === undefined ? [] : [`checked by its values alone: ${failure}`]),
      ...(isGiven(postrender) ? ["checked without postrender, which may make anything of it"] : []),
      ...(isGiven(valueYamlFiles) ? ["checked without valueYamlFiles: put them into values"] : []),
    ];
  },
};

const chartArchives: ResourceRule = {
  name: "chart-archives",
  severity: "high",
  demand: `The archive of a repository's chart has the SHA-256 that \`${PINS}\` has for this version.`,
  subjects: "Helm releases of charts that are pinned",
  reason:
    "A repository may hand out another archive under a version's name, and a chart may put anything into the cluster.",
  remedy:
    "Do not deploy. Compare with the index of the repository and ask the chart's maintainers; where the new archive is meant, change the pin.",
  check: (resource) => {
    const { wrongArchive } = resource.type === RELEASE ? rendering(resource) : {};
    return wrongArchive === undefined ? [] : [wrongArchive];
  },
};

const chartsPinned: ResourceRule = {
  name: "charts-pinned",
  severity: "low",
  advisory: true,
  demand: `Every chart of a repository has the SHA-256 of its archive in \`${PINS}\`, every one of a registry its digest.`,
  subjects: "Helm releases of charts from a repository or a registry, or by a URL",
  reason: "Nothing says then whether an archive is the one that was looked at.",
  remedy:
    `Add chart, repository, version and SHA-256 to \`${PINS}\`: \`helm pull CHART --repo URL --version V && sha256sum CHART-V.tgz\`, compared ` +
    "with the digest in the repository's index. Of a registry: `oci://REGISTRY/CHART@sha256:...`.",
  check: (resource) => {
    const wanted =
      resource.type === RELEASE ? chartVersion(plain(resource.props) as Record<string, unknown>) : undefined;
    const chart = resource.type === RELEASE ? at(resource.props, "chart") : undefined;
    if (isOfRegistry(chart)) return [`chart ${String(chart)} has no digest`];
    if (typeof chart === "string" && /^https?:/i.test(chart))
      return [`chart ${String(releaseOf(resource)?.chart)} by its URL has no pin: nothing says which archive that is`];
    return wanted === undefined || pinOf(wanted) !== undefined
      ? []
      : [`chart ${wanted.chart} ${wanted.version} of ${wanted.repository} is not pinned`];
  },
};

/** All rules, the gravest first. */
export const RULES: readonly Rule[] = [
  noPlaintextCredentials,
  deletionProtection,
  nothingPublic,
  closedServices,
  closedRoutes,
  noClusterAdmin,
  podsBaseline,
  loginRequired,
  controlPlaneClosed,
  namespacesClosed,
  namespacesEnforce,
  namespacesDeclared,
  administratorApart,
  contractRetention,
  contractCoversNoetl,
  noLatest,
  chartArchives,
  resourcesSet,
  probesSet,
  natsTls,
  rootReadOnly,
  noNeedlessToken,
  noLastingToken,
  releasesRendered,
  chartsPinned,
];
