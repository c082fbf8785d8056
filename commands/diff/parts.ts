import { LOCATIONS } from "../../contract/facts";
import { isContract } from "./contract-changes";
import type { DeclaredResource } from "./evaluation";
import { namespaceOf, type KubeObject } from "./objects";
import { PARTS, type ObjectChange, type Operation, type Part, type PartName, type ResourceChange } from "./report";

/** Titles in the picture. */
export const PART_TITLES: Record<PartName, string> = {
  cloud: "Cloud",
  nats: "NATS",
  database: "Database",
  server: "NoETL server",
  worker: "NoETL workers",
  gateway: "Gateway",
  contract: "Stream contract",
  stack: "Stack",
};

/** How the parts hang together: from, to, what flows. */
export const FLOWS: readonly { from: PartName; to: PartName; label: string }[] = [
  { from: "gateway", to: "server", label: "API" },
  { from: "gateway", to: "nats", label: "updates, callbacks" },
  { from: "server", to: "nats", label: "notifications" },
  { from: "server", to: "database", label: "commands, events" },
  { from: "nats", to: "worker", label: "durable pull" },
  { from: "worker", to: "server", label: "claims, events" },
  { from: "contract", to: "nats", label: "checks" },
];

const COMPONENTS: Readonly<Record<string, PartName>> = {
  NatsJetStream: "nats",
  Postgres: "database",
  Noetl: "server",
  Gateway: "gateway",
};

const byNamespace = (namespace: string | undefined, name: string): PartName | undefined => {
  switch (namespace) {
    case LOCATIONS.nats.namespace:
      return "nats";
    case LOCATIONS.postgres.namespace:
      return "database";
    case LOCATIONS.gateway.namespace:
      return "gateway";
    case LOCATIONS.noetl.namespace:
      return name.startsWith(LOCATIONS.noetl.workerDeployment) ? "worker" : "server";
    default:
      return undefined;
  }
};

/** The part that an object belongs to: by its namespace, else that of the resource that brings it. */
export function partOfObject(object: KubeObject, owner: PartName): PartName {
  const name = object.metadata?.name ?? "";
  const namespace = object.kind === "Namespace" ? name : namespaceOf(object);
  return byNamespace(namespace, name) ?? owner;
}

/** The part that a resource belongs to: by its type, else by the component that it is a child of. */
export function partOfResource(resource: DeclaredResource, all: ReadonlyMap<string, DeclaredResource>): PartName {
  if (isContract(resource.type)) return "contract";
  if (resource.type.startsWith("gcp:sql/")) return "database";
  for (let each: DeclaredResource | undefined = resource; each; each = all.get(each.parent)) {
    const part = COMPONENTS[each.type.split(":").at(-1) ?? ""];
    if (part) return part;
  }
  return /^(gcp|google-native|pulumi:providers:gcp)/.test(resource.type) ? "cloud" : "stack";
}

/** The picture: which part changes, and how. */
export function partsOf(
  resources: readonly ResourceChange[],
  objects: readonly ObjectChange[],
  present: ReadonlySet<PartName>,
): Part[] {
  return PARTS.filter((name) => present.has(name)).map((name) => {
    const changes = [
      ...resources.filter((each) => each.part === name),
      // An object that is a resource of the program is counted there.
      ...objects.filter((each) => each.part === name && each.rendered),
    ];
    const ops = new Set(changes.map(plainOp));
    const change = changeOf(
      ops,
      objects.filter((each) => each.part === name && isWorkload(each)),
    );
    return {
      name,
      title: PART_TITLES[name],
      change,
      touched: changes.length,
      restarts: objects.filter((each) => each.part === name && each.restarts).length,
    };
  });
}

/** A part comes or goes when everything in it that changes does, its workloads among it; else it is updated. */
function changeOf(ops: ReadonlySet<Operation>, workloads: readonly ObjectChange[]): Operation | undefined {
  const [only] = [...ops];
  if (only === undefined) return undefined;
  if (ops.size === 1 && (only === "replace" || workloads.some(({ op }) => op === only))) return only;
  return ops.has("replace") ? "replace" : "update";
}

/** Resources that are replaced in passing, as often as something that they hold changes. */
const HELPERS = /^random:|:(Secret|ConfigMap|Job)$/;

/** What happens to a part because of one change in it: a replaced helper does not replace the part. */
function plainOp(change: ResourceChange | ObjectChange): Operation {
  return change.op === "replace" && "type" in change && HELPERS.test(change.type) ? "update" : change.op;
}

const isWorkload = ({ kind }: ObjectChange): boolean => ["Deployment", "StatefulSet", "DaemonSet"].includes(kind);
