/** Rules about what holds in a namespace: which pods may be there, and who may talk to them. */
import { RELEASE } from "../contract/project";
import { closedPods } from "./exposure";
import { asJudged, holdsIn, isPolicy, NETWORK_POLICY } from "./foreign-policies";
import { deniesByDefault, isClusterwide, opensAgain, opensPods } from "./network";
import { at, isUnknown, kindOf, nameOf, onGoogleCloud, type ResourceView } from "./resource";
import { isRecord } from "../contract/records";
import { type ResourceRule, said, type StackRule } from "./rule";

const NAMESPACE = /^kubernetes:core\/v1:Namespace$/;

/** Namespaces that every cluster has: nobody makes them. */
const OF_CLUSTER = /^(?:default$|kube-)/;

/** The namespace that a release makes by itself, where it does and the program has none of the name. */
function madeByRelease({ type, props }: ResourceView, resources: readonly ResourceView[]): string | undefined {
  const place = at(props, "namespace");
  const isMade =
    type === RELEASE &&
    at(props, "createNamespace") === true &&
    typeof place === "string" &&
    !isUnknown(place) &&
    !OF_CLUSTER.test(place);
  const names = resources.filter((each) => NAMESPACE.test(each.type)).map(nameOf);
  return isMade && !names.includes(place) && !names.some(isUnknown) ? place : undefined;
}

const ENFORCED = "pod-security.kubernetes.io/enforce";

/** What a Namespace, or a patch of one, says wrong about the level. */
function weakLevel({ type, props }: ResourceView): string[] {
  const labels = at(props, "metadata.labels");
  if (isUnknown(labels)) return [];
  const level = isRecord(labels) ? labels[ENFORCED] : undefined;
  if (isUnknown(level) || level === "baseline" || level === "restricted") return [];
  if (level !== undefined) return [`${ENFORCED} is ${JSON.stringify(level)}`];
  // A patch leaves what it does not name.
  return type.endsWith("Patch") ? [] : [`no label ${ENFORCED}`];
}

const ENFORCE_REASON =
  "Without it whoever may create a pod there, a playbook's job included, may have a privileged one, and the node.";

export const namespacesEnforce: ResourceRule = {
  name: "namespaces-enforce",
  severity: "high",
  demand: "Every Namespace of a stack enforces the Pod Security level `baseline` or `restricted`.",
  subjects: "Namespaces and patches of them; what Helm releases render",
  reason: ENFORCE_REASON,
  remedy: `Label the namespace \`${ENFORCED}: baseline\`, or \`restricted\` where all of its pods allow it.`,
  check: (resource) => (kindOf(resource.type) === "Namespace" ? weakLevel(resource) : []),
};

export const namespacesDeclared: StackRule = {
  name: "namespaces-declared",
  severity: "high",
  demand: "No Helm release makes a namespace by itself, where nothing gives it a Pod Security level.",
  subjects: "the stack: Helm releases with `createNamespace`, and the Namespaces that it has",
  reason: ENFORCE_REASON,
  remedy: `Make the Namespace in the program, with the label \`${ENFORCED}\`, and leave \`createNamespace\` off.`,
  checkStack: (resources) =>
    resources.flatMap((resource) => {
      const made = madeByRelease(resource, resources);
      return made === undefined ? [] : said(resource, [`createNamespace makes ${made} without label ${ENFORCED}`]);
    }),
};

/** What policies give back in namespaces that deny by default. */
function openedAgain(resource: ResourceView, closed: readonly unknown[], resources: readonly ResourceView[]): string[] {
  if (!isPolicy(resource)) return [];
  if (!isClusterwide(resource.type) && !holdsIn(resource, closed, resources)) return [];
  const judged = asJudged(resource, resources);
  const pods = opensPods(judged).map(closedPods);
  const policy = `${kindOf(resource.type)} ${String(nameOf(resource))}`;
  return [
    ...opensAgain(judged).map((side) => `${policy} lets every pod of its namespace ${side}`),
    ...pods
      .filter((what) => what !== undefined)
      .map((what) => `${policy} lets everybody come to ${what} at every port`),
  ];
}

export const namespacesClosed: StackRule = {
  name: "namespaces-closed",
  severity: "high",
  demand:
    "On GKE every namespace that a stack makes has a NetworkPolicy that selects all pods and allows nothing in either direction, and none that " +
    "allows all of them everything, or everybody every port of NATS, NoETL's API or Postgres.",
  subjects:
    "the stack: Namespaces, releases that make one, NetworkPolicies, those of a cluster's administrators (AdminNetworkPolicy, ClusterNetworkPolicy), of " +
    "Cilium and of Calico, where it has resources of Google Cloud",
  reason:
    "NoETL's API asks nobody who they are: in an open namespace every pod of the cluster, and every machine of its network, has it run " +
    "code. Monitoring and database are as open.",
  remedy:
    "Leave `networkPolicies` on; in a program give each component its `networkPolicies`. Where an open network is meant " +
    "(`acceptedRisks` with `open-network`), `--policy-pack-config` makes this rule a warning.",
  checkStack: (resources) => {
    if (!onGoogleCloud(resources)) return [];
    const closed = resources
      .filter((each) => each.type === NETWORK_POLICY && deniesByDefault(each))
      .map(({ props }) => at(props, "metadata.namespace"));
    // What a preview does not know yet is checked by the update.
    if (closed.some(isUnknown)) return [];
    const open = resources.flatMap((each) => {
      const place = NAMESPACE.test(each.type) ? nameOf(each) : madeByRelease(each, resources);
      return typeof place !== "string" || isUnknown(place) || closed.includes(place)
        ? []
        : [{ urn: each.urn, problem: `namespace ${place} is open: no NetworkPolicy denies by default` }];
    });
    const opened = resources.flatMap((each) =>
      openedAgain(each, closed, resources).map((problem) => ({ urn: each.urn, problem })),
    );
    return [...open, ...opened];
  },
};
