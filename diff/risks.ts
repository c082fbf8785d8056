/** Changes that deserve a second look, one rule each. */
import { quantityBytes } from "../config/validate";
import type { ContractInputs } from "../components/stream-contract/inputs";
import { keysOf, type RawChange, type Step } from "./compare";
import { PLACES } from "../contract/noetl";
import { environmentOf, findWorkload, podSpec } from "./environment";
import type { DeclaredResource } from "./evaluation";
import { isCredential, Opaque, type Masker } from "./mask";
import { namespaceOf, titleOf, type KubeObject } from "./objects";
import { SHOWN } from "./placeholders";
import { touches } from "./replacement";
import { LEVELS, type ContractReport, type Level, type Operation, type Risk, type SettingChange } from "./report";
import { resourceTitle, sentence } from "./wording";

/** A resource that changes, with the raw differences of its inputs. */
export interface ResourceDelta {
  readonly op: Operation;
  readonly old?: DeclaredResource;
  readonly new?: DeclaredResource;
  readonly changes: readonly RawChange[];
  readonly because: readonly string[];
}

/** An object that changes, with its raw differences. */
export interface ObjectDelta {
  readonly op: Operation;
  readonly old?: KubeObject;
  readonly new?: KubeObject;
  readonly rendered: boolean;
  readonly restarts: boolean;
  readonly changes: readonly RawChange[];
}

export interface ReleaseDelta {
  readonly name: string;
  readonly oldVersion?: string;
  readonly newVersion?: string;
}

/** Everything that the rules look at. */
export interface Facts {
  readonly resources: readonly ResourceDelta[];
  readonly objects: readonly ObjectDelta[];
  readonly releases: readonly ReleaseDelta[];
  readonly settings: readonly SettingChange[];
  readonly contract: ContractReport;
  readonly newContract?: ContractInputs;
  /** All objects of the working tree. */
  readonly newObjects: readonly KubeObject[];
  readonly masker: Masker;
}

/** What a rule finds. */
type Finding = Omit<Risk, "rule">;

/** One rule of the table. */
export interface RiskRule {
  readonly id: string;
  /** What it warns of, for the documentation. */
  readonly warns: string;
  readonly find: (facts: Facts) => readonly Finding[];
}

const objectName = (delta: { old?: KubeObject; new?: KubeObject }): string => {
  const object = delta.new ?? delta.old;
  return object ? titleOf(object) : "?";
};
const kindOf = (delta: { old?: KubeObject; new?: KubeObject }): string => (delta.new ?? delta.old)?.kind ?? "";
const resourceName = (delta: ResourceDelta): string => {
  const resource = delta.new ?? delta.old;
  return resource ? resourceTitle(resource) : "?";
};
const typeOf = (delta: ResourceDelta): string => (delta.new ?? delta.old)?.type ?? "";
const at = (change: RawChange, ...prefixes: string[]): boolean => touches(keysOf(change.path), prefixes);
const isHook = (object: KubeObject | undefined): boolean =>
  object?.metadata?.annotations?.["helm.sh/hook"] !== undefined;
const fieldNames = (changes: readonly RawChange[]): string =>
  [...new Set(changes.map(({ path }) => keysOf(path).slice(0, 2).join(".")))].join(", ");

/** Fields of a StatefulSet's spec that the API server updates. Source: kubernetes pkg/apis/apps/validation. */
const STATEFUL_SET_MUTABLE = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
];

/** Fields that the API server refuses to change, for objects that Helm updates in place. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["spec.selector"],
  DaemonSet: ["spec.selector"],
  Job: ["spec.template", "spec.selector", "spec.completionMode"],
  Service: ["spec.clusterIP"],
  RoleBinding: ["roleRef"],
  ClusterRoleBinding: ["roleRef"],
  StorageClass: ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
};

function refusedChanges(delta: ObjectDelta): RawChange[] {
  const { old, changes } = delta;
  if (!old || !delta.new || isHook(old)) return [];
  switch (old.kind) {
    case "StatefulSet":
      return changes.filter(
        ({ path }) => path[0] === "spec" && path.length > 1 && !touches(keysOf(path).slice(1), STATEFUL_SET_MUTABLE),
      );
    case "PersistentVolumeClaim":
      return changes.filter((change) => at(change, "spec") && !at(change, "spec.resources.requests.storage"));
    case "ConfigMap":
    case "Secret":
      return old.immutable === true ? changes.filter((change) => at(change, "data", "binaryData", "stringData")) : [];
    default:
      return changes.filter((change) => at(change, ...(REFUSED[old.kind] ?? [])));
  }
}

/** Resource types whose replacement or removal takes data or everything else with it. */
export const PRECIOUS: Readonly<Record<string, string>> = {
  "gcp:container/cluster:Cluster": "the cluster and everything in it",
  "gcp:sql/databaseInstance:DatabaseInstance":
    "the database instance with its data, and its name stays blocked for a week",
  "gcp:sql/database:Database": "the database with its data",
  "gcp:storage/bucket:Bucket": "the bucket and what is in it",
  "kubernetes:core/v1:Namespace": "the namespace and everything in it",
  "kubernetes:core/v1:PersistentVolumeClaim": "the volume claim, and with it the volume where its class deletes",
  "kubernetes:apps/v1:StatefulSet": "the StatefulSet; its pods stop, its volume claims stay",
  "kubernetes:helm.sh/v3:Release": "the release: Helm removes what it installed",
};

/** Kinds whose removal by a chart loses something. */
const LOSSES: Readonly<Record<string, string>> = {
  PersistentVolumeClaim: "the volume claim goes, and with it the volume where its class deletes",
  PersistentVolume: "the volume goes",
  StatefulSet: "the pods stop; the volume claims stay and are adopted only by a set of the same name",
  CustomResourceDefinition: "all objects of this kind are deleted with it",
  Namespace: "everything in the namespace is deleted with it",
};

const SIZE_FIELDS = new Set(["storage", "size", "maxSize", "diskSize", "diskSizeGb", "maxFileStore", "max_file_store"]);

/** Bytes of a size field: a quantity, or a plain number of whatever unit the field has. */
function sizeOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" ? quantityBytes(value) : undefined;
}

const lastKey = (path: readonly Step[]): string => String(keysOf(path).at(-1) ?? "");

function imagesOf(object: KubeObject | undefined): string[] {
  const spec = object && podSpec(object);
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].flatMap((container) => {
    const { image } = container as { image?: unknown };
    return typeof image === "string" ? [image] : [];
  });
}

/** What is wrong with an image reference, from worst to best. */
export function imageProblem(image: string): { level: "warning" | "notice"; text: string } | undefined {
  if (image.includes("@sha256:")) return undefined;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  if (tag === undefined || tag === "latest") {
    return {
      level: "warning",
      text: `${tag === undefined ? "has no tag, which means latest" : "has the tag latest"}: what runs depends on when a node pulls it`,
    };
  }
  return { level: "notice", text: "is named by tag, not by digest: the tag can be moved to another image" };
}

/** Major version of a chart; for 0.x, where a minor step may break, `0.x`. */
function majorOf(version: string): string {
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  return major === "0" ? `0.${minor}` : major;
}

const nameOfPath = (path: readonly Step[]): string => {
  const item = path.at(-2);
  return lastKey(path) === "value" && typeof item === "object" ? item.item : lastKey(path);
};

export const RISK_RULES: readonly RiskRule[] = [
  {
    id: "volume-claim-template",
    warns: "a changed volume claim template of a StatefulSet, which the API server refuses",
    find: ({ objects }) =>
      objects
        .filter(
          (delta) => delta.rendered && refusedChanges(delta).some((change) => at(change, "spec.volumeClaimTemplates")),
        )
        .map((delta) => ({
          level: "danger" as const,
          subject: objectName(delta),
          text:
            "its volume claim template is immutable: the upgrade fails. To grow a volume, patch its claims (the " +
            "StorageClass must allow expansion), delete the StatefulSet with --cascade=orphan, then deploy.",
        })),
  },
  {
    id: "immutable-field",
    warns: "a changed field that the API server refuses to update, in an object of a chart",
    find: ({ objects }) =>
      objects
        .filter(({ rendered }) => rendered)
        .map((delta) => ({
          delta,
          refused: refusedChanges(delta).filter((change) => !at(change, "spec.volumeClaimTemplates")),
        }))
        .filter(({ refused }) => refused.length > 0)
        .map(({ delta, refused }) => ({
          level: "danger" as const,
          subject: objectName(delta),
          text: `${fieldNames(refused)} is immutable: the upgrade fails until the object is deleted.`,
        })),
  },
  {
    id: "replaced",
    warns: "a replaced cluster, database, StatefulSet, namespace, volume claim or release",
    find: ({ resources }) =>
      resources
        .filter((delta) => delta.op === "replace" && PRECIOUS[typeOf(delta)])
        .map((delta) => ({
          level: "danger" as const,
          subject: resourceName(delta),
          text: `is replaced because of ${delta.because.join(", ") || "its inputs"}: this deletes ${PRECIOUS[typeOf(delta)]}.`,
        })),
  },
  {
    id: "deleted",
    warns: "a deleted cluster, database, StatefulSet, namespace, volume claim, resource definition or release",
    find: ({ resources, objects }) => [
      ...resources
        .filter((delta) => delta.op === "delete" && PRECIOUS[typeOf(delta)])
        .map((delta) => ({
          level: "danger" as const,
          subject: resourceName(delta),
          text: `is deleted: this removes ${PRECIOUS[typeOf(delta)]}.`,
        })),
      ...objects
        .filter((delta) => delta.rendered && delta.op === "delete" && LOSSES[kindOf(delta)])
        .map((delta) => {
          const keeps = delta.old?.metadata?.annotations?.["helm.sh/resource-policy"] === "keep";
          return {
            level: keeps ? ("notice" as const) : ("danger" as const),
            subject: objectName(delta),
            text: keeps
              ? "leaves the chart, but stays in the cluster (resource-policy keep)."
              : `is deleted: ${LOSSES[kindOf(delta)]}.`,
          };
        }),
    ],
  },
  {
    id: "protection-removed",
    warns: "deletion protection that is switched off",
    find: ({ resources }) =>
      resources
        .filter(
          ({ old, new: now, changes }) =>
            (old?.protect === true && now?.protect === false) ||
            changes.some(({ path, old: was, new: is }) => {
              const off = (is ?? false) === false && was === true;
              return off && /^deletionProtection(Enabled)?$/.test(lastKey(path));
            }),
        )
        .map((delta) => ({
          level: "warning" as const,
          subject: resourceName(delta),
          text: "loses its deletion protection: the next update may delete or replace it.",
        })),
  },
  {
    id: "credential-rotation",
    warns: "a changed credential",
    find: ({ resources, objects, settings }) => {
      const settingNames = settings
        .filter(({ old, new: now }) => old === SHOWN.secret || now === SHOWN.secret)
        .map(({ key }) => key);
      const drawn = resources
        .filter((delta) => typeOf(delta).endsWith(":RandomPassword") && delta.op !== "create" && delta.op !== "delete")
        .map(resourceName);
      const secrets = objects
        .filter(({ old, new: now, changes }) => old?.kind === "Secret" && now && changes.some((c) => at(c, "data")))
        .map(objectName);
      const pods = objects.filter(({ restarts }) => restarts).map(objectName);
      const where = [
        ...(secrets.length > 0 ? [`changed Secrets: ${secrets.join(", ")}`] : []),
        pods.length > 0 ? `pods that restart: ${pods.join(", ")}` : "no pod restarts by itself",
      ].join("; ");
      const sources = [...settingNames, ...drawn];
      if (sources.length === 0 && secrets.length === 0) return [];
      return [
        {
          level: "warning" as const,
          subject: sources.join(", ") || "Secrets",
          text: `credentials change: clients with the old ones are refused until they restart (${where}).`,
        },
      ];
    },
  },
  {
    id: "plain-credential",
    warns: "a credential in plain text in a ConfigMap or a container's environment",
    find: ({ objects }) =>
      objects
        .filter((delta) => kindOf(delta) !== "Secret")
        .flatMap((delta) =>
          delta.changes
            .filter(({ op, path, new: value }) => {
              if (op === "remove" || (typeof value !== "string" && typeof value !== "number")) return false;
              const text = String(value);
              const inUrl = /:\/\/[^\s/:@]*:[^\s/@$]+@/.test(text);
              const named = isCredential(nameOfPath(path), text);
              const isData = path[0] === "data" || path.some((step) => step === "env" || step === "args");
              return isData && (named || inUrl);
            })
            .map(({ path }) => ({
              level: "danger" as const,
              subject: objectName(delta),
              text: `${nameOfPath(path)} holds a credential in plain text: everybody who may read the object can read it; move it to a Secret.`,
            })),
        ),
  },
  {
    id: "smaller-storage",
    warns: "a volume or store that shrinks",
    find: ({ resources, objects }) => {
      const shrunk = (changes: readonly RawChange[]) =>
        changes.filter(({ path, old, new: now }) => {
          const [before, after] = [sizeOf(old), sizeOf(now)];
          return SIZE_FIELDS.has(lastKey(path)) && before !== undefined && after !== undefined && after < before;
        });
      const text = (change: RawChange) =>
        `${keysOf(change.path).slice(-2).join(".")} shrinks from ${String(change.old)} to ${String(change.new)}: ` +
        (lastKey(change.path) === "maxSize"
          ? "JetStream refuses a limit below what is in use, and says so in its log only."
          : "volumes cannot shrink.");
      return [
        ...resources.flatMap((delta) =>
          shrunk(delta.changes)
            // Volumes show in the objects; a limit of JetStream stands inside a text there.
            .filter(({ path }) => !typeOf(delta).startsWith("kubernetes:") || lastKey(path) === "maxSize")
            .map((change) => ({
              level: "danger" as const,
              subject: resourceName(delta),
              text: text(change),
            })),
        ),
        ...objects.flatMap((delta) =>
          shrunk(delta.changes).map((change) => ({
            level: "danger" as const,
            subject: objectName(delta),
            text: text(change),
          })),
        ),
      ];
    },
  },
  {
    id: "contract-broken",
    warns: "a stream or consumer that breaks the contract after the change, such as a subject it no longer covers",
    find: ({ contract, newContract }) =>
      contract.broken.map(({ rule, checks, severity, found, expected, why }) => ({
        level: severity === "violation" ? ("danger" as const) : ("warning" as const),
        subject: rule.startsWith("consumer")
          ? `consumer ${newContract?.consumer ?? ""}`
          : `stream ${newContract?.stream ?? ""}`,
        text:
          (rule === "stream-subjects"
            ? `does not cover the subject any more: it has ${found}, ${newContract?.subject ?? expected} is published. ${sentence(why)}.`
            : `${checks}: found ${found}, expected ${expected}. ${sentence(why)}.`) +
          (contract.refused && (severity === "violation" || newContract?.strict)
            ? " Mode ensure fails the update before it changes anything."
            : ""),
      })),
  },
  {
    id: "stream-renamed",
    warns: "another stream or consumer, or a contract that is no longer checked",
    find: ({ contract }) =>
      contract.changes
        .filter(
          ({ term, new: now }) => term === "stream" || term === "consumer" || (term === "check" && now === "none"),
        )
        .map(({ term, old, new: now, consequence }) => ({
          level: term === "stream" ? ("danger" as const) : ("warning" as const),
          subject: term === "check" ? "stream contract" : `${term} ${old}`,
          text: term === "check" ? consequence : `becomes ${now}. ${consequence}`,
        })),
  },
  {
    id: "contract-mismatch",
    warns: "a server or worker whose environment names another stream, subject or consumer than the contract",
    find: ({ newContract, newObjects, masker }) => {
      if (!newContract) return [];
      const wanted = {
        NATS_STREAM: newContract.stream,
        NATS_SUBJECT: newContract.subject,
        NATS_CONSUMER: newContract.consumer,
      };
      return (["server", "worker"] as const).flatMap((name) => {
        const workload = findWorkload(name, newObjects);
        const environment = workload ? environmentOf(workload, newObjects) : {};
        return Object.entries(wanted).flatMap(([variable, value]) => {
          const found = environment[variable]?.value;
          if (found === undefined || found instanceof Opaque || found === value) return [];
          return [
            {
              level: "danger" as const,
              subject: workload ? titleOf(workload) : name,
              text: `${variable} is ${masker.text(found)}, the contract is checked for ${value}: what is proven is not what runs.`,
            },
          ];
        });
      });
    },
  },
  {
    id: "image",
    warns: "a new image with the tag latest, without a tag, or without a digest",
    find: ({ objects }) => {
      const users = new Map<string, string[]>();
      for (const delta of objects) {
        const before = new Set(imagesOf(delta.old));
        for (const image of new Set(imagesOf(delta.new))) {
          if (!before.has(image)) users.set(image, [...(users.get(image) ?? []), objectName(delta)]);
        }
      }
      return [...users].flatMap(([image, names]) => {
        const problem = imageProblem(image);
        return problem
          ? [{ level: problem.level, subject: `image ${image}`, text: `${problem.text} (${names.join(", ")}).` }]
          : [];
      });
    },
  },
  {
    id: "chart-major-version",
    warns: "another major version of a chart",
    find: ({ releases }) =>
      releases.flatMap(({ name, oldVersion, newVersion }) =>
        oldVersion && newVersion && majorOf(oldVersion) !== majorOf(newVersion)
          ? [
              {
                level: "warning" as const,
                subject: `release ${name}`,
                text: `its chart goes from ${oldVersion} to ${newVersion}, another major version: read its upgrade notes.`,
              },
            ]
          : [],
      ),
  },
  {
    id: "service-type",
    warns: "a Service of another type, which may lose its address",
    find: ({ objects, masker }) =>
      objects.flatMap((delta) =>
        delta.op === "create" || delta.op === "delete" || kindOf(delta) !== "Service"
          ? []
          : delta.changes
              .filter(({ path }) => keysOf(path).join(".") === "spec.type")
              .map(({ old, new: now }) => ({
                level: "warning" as const,
                subject: objectName(delta),
                text: `goes from ${masker.scalar(old ?? "ClusterIP", "type")} to ${masker.scalar(now ?? "ClusterIP", "type")}: its external address or node ports change.`,
              })),
      ),
  },
  {
    id: "scaled-to-zero",
    warns: "a workload with no pods left",
    find: ({ objects }) =>
      objects.flatMap((delta) =>
        delta.op === "delete"
          ? []
          : delta.changes
              .filter(({ path, new: now }) => keysOf(path).join(".") === "spec.replicas" && now === 0)
              .map(() => ({
                level: "warning" as const,
                subject: objectName(delta),
                text: "is scaled to zero: nothing of it runs.",
              })),
      ),
  },
  {
    id: "nats-restart",
    warns:
      "NATS servers that start anew and lose what they hold in memory, and a lone server that becomes a cluster or back",
    find: ({ objects }) => objects.filter(isNatsServers).flatMap(natsRestart),
  },
  {
    id: "disruption-budget",
    warns: "a PodDisruptionBudget that lets no pod go, so that nodes cannot be drained",
    find: ({ objects, newObjects }) =>
      objects
        .filter((delta) => kindOf(delta) === "PodDisruptionBudget" && delta.new)
        .filter(({ new: budget }) => blocksDrains(budget, newObjects))
        .map((delta) => ({
          level: "warning" as const,
          subject: objectName(delta),
          text: "lets no pod go: draining a node, and every node upgrade, waits for it in vain.",
        })),
  },
  {
    id: "authentication-off",
    warns: "a gateway without authentication",
    find: ({ objects }) =>
      objects.flatMap((delta) =>
        delta.changes
          .filter(({ path, op, new: now }) => {
            return op !== "remove" && nameOfPath(path) === "GATEWAY_AUTH_BYPASS" && String(now) === "true";
          })
          .map(() => ({
            level: "danger" as const,
            subject: objectName(delta),
            text: "GATEWAY_AUTH_BYPASS is true: everybody who reaches the gateway may do everything.",
          })),
      ),
  },
];

const isNatsServers = (delta: ObjectDelta): boolean =>
  kindOf(delta) === "StatefulSet" && delta.new?.metadata?.name === PLACES.nats.service;

/** Measured with nats-server 2.15: a server that joins a cluster drops the streams that it kept alone, on disk too. */
function natsRestart(delta: ObjectDelta): Finding[] {
  const replicas = (object: KubeObject | undefined): number =>
    Number((object?.spec as { replicas?: number } | undefined)?.replicas ?? 1);
  const [before, after] = [replicas(delta.old), replicas(delta.new)];
  const subject = objectName(delta);
  if (delta.op === "update" && before !== after && Math.min(before, after) === 1)
    return [
      {
        level: "warning",
        subject,
        text:
          before === 1
            ? "a lone server becomes a cluster, which does not take over its streams: commands, results, sessions and every other bucket start empty; back up first what must stay (nats account backup)."
            : "a cluster becomes a lone server: what only the other servers held is gone; back up first what must stay (nats account backup).",
      },
    ];
  return delta.restarts
    ? [
        {
          level: "notice",
          subject,
          text: "its servers start anew: what waits in a stream that is held in memory without replicas is lost.",
        },
      ]
    : [];
}

function blocksDrains(budget: KubeObject | undefined, objects: readonly KubeObject[]): boolean {
  const spec = (budget?.spec ?? {}) as {
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    selector?: { matchLabels?: Record<string, string> };
  };
  if (spec.maxUnavailable !== undefined) return /^0%?$/.test(String(spec.maxUnavailable));
  if (spec.minAvailable === "100%") return true;
  if (typeof spec.minAvailable !== "number") return false;
  const labels = Object.entries(spec.selector?.matchLabels ?? {});
  const guarded = objects.find((object) => {
    const workload = object.spec as
      { replicas?: number; template?: { metadata?: { labels?: Record<string, string> } } } | undefined;
    return (
      (object.kind === "StatefulSet" || object.kind === "Deployment") &&
      namespaceOf(object) === (budget && namespaceOf(budget)) &&
      labels.length > 0 &&
      labels.every(([key, value]) => workload?.template?.metadata?.labels?.[key] === value)
    );
  });
  if (!guarded) return false;
  const { replicas = 1 } = guarded.spec as { replicas?: number };
  return spec.minAvailable >= replicas;
}

/** All risks, the worst first, each once. */
export function findRisks(facts: Facts): Risk[] {
  const { masker } = facts;
  return sortedRisks(
    RISK_RULES.flatMap(({ id, find }) =>
      find(facts).map((found) => ({
        rule: id,
        level: found.level,
        subject: masker.text(found.subject),
        text: masker.text(found.text),
      })),
    ),
  );
}

/** How many there are of each level. */
export const countRisks = (risks: readonly Risk[]): Record<Level, number> =>
  Object.fromEntries(LEVELS.map((level) => [level, risks.filter((risk) => risk.level === level).length])) as Record<
    Level,
    number
  >;

/** The worst first, each once. */
export function sortedRisks(risks: readonly Risk[]): Risk[] {
  const key = (risk: Risk): string => JSON.stringify([LEVELS.indexOf(risk.level), risk.rule, risk.subject, risk.text]);
  return [...new Map(risks.map((risk) => [key(risk), risk])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, risk]) => risk);
}
