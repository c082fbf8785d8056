/** NetworkPolicies that go, and parts that become open to everybody. */
import { namespaceOf, type KubeObject } from "../objects";
import { danger, kindOf, objectName, warning, type Finding, type ObjectDelta, type RiskRule } from "./facts";

interface PolicySpec {
  readonly podSelector?: object;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly {
    readonly from?: readonly object[];
    readonly ports?: readonly { port?: number | string }[];
  }[];
  readonly egress?: readonly object[];
}

const specOf = (object: KubeObject | undefined): PolicySpec => object?.spec ?? {};

/** Sides of a namespace that a policy closes as a whole. */
function closes(object: KubeObject | undefined): ("in" | "out")[] {
  const { podSelector = {}, policyTypes = [], ingress = [], egress = [] } = specOf(object);
  if (object?.kind !== "NetworkPolicy" || Object.keys(podSelector).length > 0) return [];
  return [
    ...(policyTypes.includes("Ingress") && ingress.length === 0 ? (["in"] as const) : []),
    ...(policyTypes.includes("Egress") && egress.length === 0 ? (["out"] as const) : []),
  ];
}

/** Ports at which a policy lets everybody in; "all" for all. */
const openPorts = (object: KubeObject | undefined): string[] =>
  (specOf(object).ingress ?? [])
    .filter(({ from = [] }) => from.length === 0)
    .flatMap(({ ports = [] }) => (ports.length === 0 ? ["all"] : ports.map(({ port }) => String(port ?? "all"))));

/** A namespace that is closed no more, and policies without which closed pods are cut off. */
function lostPolicy(delta: ObjectDelta, newObjects: readonly KubeObject[]): Finding[] {
  const { old } = delta;
  if (!old) return [];
  const place = namespaceOf(old);
  const remains = newObjects.some((object) => object.kind === "Namespace" && object.metadata?.name === place);
  const closedAfter = newObjects.filter((object) => namespaceOf(object) === place).flatMap(closes);
  const opened = closes(old).filter((side) => !closedAfter.includes(side));
  if (opened.length > 0 && remains)
    return [
      danger(
        objectName(delta),
        `closes namespace ${place} no more: ` +
          `${opened.map((side) => (side === "in" ? "every pod of the cluster reaches its pods" : "its pods reach everything")).join(", and ")}. ` +
          "NoETL's API asks nobody who they are.",
      ),
    ];
  return delta.op === "delete" && closes(old).length === 0 && closedAfter.length > 0
    ? [
        danger(
          objectName(delta),
          `is deleted while namespace ${place} stays closed: the pods that it is for are cut off.`,
        ),
      ]
    : [];
}

/** A namespace with pods in it that is closed from now on. */
function newlyClosed(delta: ObjectDelta, objects: readonly ObjectDelta[]): Finding[] {
  const place = delta.new && namespaceOf(delta.new);
  const isNew = objects.some(
    ({ op, new: now }) => op === "create" && now?.kind === "Namespace" && now.metadata?.name === place,
  );
  return delta.op === "create" && closes(delta.new).includes("in") && !isNew
    ? [
        warning(
          objectName(delta),
          `closes namespace ${place}: pods of other namespaces that use what is in it are cut off, unless another policy lets them in ` +
            "(networkClients).",
        ),
      ]
    : [];
}

function newlyOpen(delta: ObjectDelta): Finding[] {
  const before = openPorts(delta.old);
  const ports = openPorts(delta.new).filter((port) => !before.includes(port));
  // The first policies of a namespace take away; they open nothing.
  return delta.op === "update" && ports.length > 0
    ? [
        warning(
          objectName(delta),
          `lets everybody in at port ${ports.join(", ")}, every pod of the cluster among them.`,
        ),
      ]
    : [];
}

export const NETWORK_RULES: readonly RiskRule[] = [
  {
    id: "network-changed",
    warns:
      "a NetworkPolicy that goes, so that a namespace is open or its pods are cut off, that closes a namespace, or that lets everybody in",
    find: ({ objects, newObjects }) =>
      objects
        .filter((delta) => kindOf(delta) === "NetworkPolicy")
        .flatMap((delta) => [...lostPolicy(delta, newObjects), ...newlyClosed(delta, objects), ...newlyOpen(delta)]),
  },
];
