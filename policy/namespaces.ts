/** Rules about what holds in a namespace: which pods may be there, and who may talk to them. */
import { closedPods } from "./exposure";
import { CILIUM, deniesByDefault, opensAgain, opensPods } from "./network";
import { RELEASE } from "./release";
import { at, isRecord, isUnknown, kindOf, onGoogleCloud, type ResourceView } from "./resource";
import { said, type StackRule } from "./rule";

const NAMESPACE = /^kubernetes:core\/v1:Namespace$/;
const POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy";

const nameOf = ({ props, name }: ResourceView): unknown => at(props, "metadata.name") ?? name;

/** The namespace that a release makes by itself, where it does and the program has none of the name. */
function madeByRelease({ type, props }: ResourceView, resources: readonly ResourceView[]): string | undefined {
  const place = at(props, "namespace");
  const isMade =
    type === RELEASE && at(props, "createNamespace") === true && typeof place === "string" && !isUnknown(place);
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

export const namespacesEnforce: StackRule = {
  name: "namespaces-enforce",
  severity: "high",
  demand: "Every namespace that a stack makes enforces the Pod Security level `baseline` or `restricted`.",
  subjects: "the stack: Namespaces, patches of them, and Helm releases that make one (`createNamespace`)",
  reason:
    "Without it whoever may create a pod there, a playbook's job included, may have a privileged one, and the node.",
  remedy:
    `Label the namespace \`${ENFORCED}: baseline\`, or \`restricted\` where all of its pods allow it. Of a release, make the Namespace in the ` +
    "program.",
  checkStack: (resources) =>
    resources.flatMap((resource) => {
      if (kindOf(resource.type) === "Namespace") return said(resource, weakLevel(resource));
      const made = madeByRelease(resource, resources);
      return made === undefined ? [] : said(resource, [`createNamespace makes ${made} without label ${ENFORCED}`]);
    }),
};

/** What policies give back in namespaces that deny by default. */
function openedAgain(resource: ResourceView, closed: readonly unknown[]): string[] {
  const isPolicy = resource.type === POLICY && closed.includes(at(resource.props, "metadata.namespace"));
  if (!isPolicy && !CILIUM.test(resource.type)) return [];
  const what = isPolicy ? closedPods(opensPods(resource)) : undefined;
  const policy = `${kindOf(resource.type)} ${String(nameOf(resource))}`;
  return [
    ...opensAgain(resource).map((side) => `${policy} lets every pod of its namespace ${side}`),
    ...(what === undefined ? [] : [`${policy} lets everybody come to ${what} at every port`]),
  ];
}

export const namespacesClosed: StackRule = {
  name: "namespaces-closed",
  severity: "high",
  demand:
    "On GKE every namespace that a stack makes has a NetworkPolicy that selects all pods and allows nothing in either direction, and none that " +
    "allows all of them everything, or everybody every port of NATS, NoETL's API or Postgres.",
  subjects:
    "the stack: Namespaces, releases that make one, NetworkPolicies and those of Cilium, where it has resources of Google Cloud",
  reason:
    "NoETL's API asks nobody who they are: in an open namespace every pod of the cluster, and every machine of its network, has it run " +
    "code. Monitoring and database are as open.",
  remedy:
    "Leave `networkPolicies` on; in a program give each component its `networkPolicies`. Where an open network is meant " +
    "(`acceptedRisks` with `open-network`), `--policy-pack-config` makes this rule a warning.",
  checkStack: (resources) => {
    if (!onGoogleCloud(resources)) return [];
    const closed = resources
      .filter((each) => each.type === POLICY && deniesByDefault(each))
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
      openedAgain(each, closed).map((problem) => ({ urn: each.urn, problem })),
    );
    return [...open, ...opened];
  },
};
