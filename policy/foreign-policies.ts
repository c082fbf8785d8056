/** Policies of the network in other words than Kubernetes' own, as Kubernetes' own would say what they allow: those of its administrators, Calico's, and Cilium's with groups of addresses. */
import { CILIUM } from "./network";
import { at, isUnknown, nameOf, records, type ResourceView, selects, strings } from "./resource";
import { isRecord } from "../contract/records";

type Fields = Readonly<Record<string, unknown>>;

export const NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy";
const NAMESPACE = "kubernetes:core/v1:Namespace";

/** Of a cluster's administrators: what they allow no NetworkPolicy takes back. Baselines count where there is no NetworkPolicy, and nowhere else. */
const ADMIN = /^kubernetes:policy\.networking\.k8s\.io\/\w+:(?:Admin|Cluster)NetworkPolicy$/;
const CALICO = /^kubernetes:(?:crd\.)?projectcalico\.org\/\w+:(Global)?NetworkPolicy$/;
const CIDR_GROUP = /^kubernetes:cilium\.io\/\w+:CiliumCIDRGroup$/;

const isAllowed = ({ action }: Fields): boolean => /^(?:allow|accept)$/i.test(String(action));

/** Every object of the network that may open a namespace. */
export const isPolicy = ({ type }: ResourceView): boolean =>
  type === NETWORK_POLICY || [CILIUM, ADMIN, CALICO].some((kind) => kind.test(type));

/** What a rule is about, on both sides of it. */
type Translated = { readonly ports: unknown[]; readonly peers: Fields[] } | undefined;

const ruled = (rules: readonly Translated[], side: "from" | "to"): Fields[] =>
  rules.flatMap((rule) => (rule ? [{ ports: rule.ports, [side]: rule.peers }] : []));

/** A port of an administrator's rule, in the words of both versions. */
function portOf(port: Fields): Fields {
  const [protocol, inside] = Object.entries(port).find(([name]) => /^(?:tcp|udp|sctp)$/i.test(name)) ?? [];
  const newer = at(inside, "destinationPort");
  const range = port.portRange ?? at(newer, "range");
  const number = at(port, "portNumber.port") ?? at(newer, "number");
  return {
    protocol: protocol?.toUpperCase() ?? at(port, "portNumber.protocol") ?? at(range, "protocol"),
    port: range === undefined ? (number ?? port.namedPort) : at(range, "start"),
    endPort: at(range, "end"),
  };
}

/** Whom an administrator's rule is about: by selectors, which an older version has one level deeper, or by addresses. */
function peersOf(peer: Fields): Fields[] {
  const { namespaces, pods } = peer;
  if (isRecord(pods))
    return [{ namespaceSelector: pods.namespaceSelector ?? pods.namespaces, podSelector: pods.podSelector }];
  if (isRecord(namespaces)) return [{ namespaceSelector: namespaces.namespaceSelector ?? namespaces }];
  return strings(peer.networks).map((cidr) => ({ ipBlock: { cidr } }));
}

/** One that is about nobody of whom something is known here is none. */
function adminRule(rule: Fields, side: "from" | "to"): Translated {
  const peers = records(rule[side]).flatMap(peersOf);
  const ports = [...records(rule.ports), ...records(rule.protocols)].map(portOf);
  return isAllowed(rule) && peers.length > 0 ? { ports, peers } : undefined;
}

/** Calico's word for everything. */
const isAll = (selector: unknown): boolean =>
  selector === undefined || (typeof selector === "string" && /^\s*(?:all\(\))?\s*$/.test(selector));

/** The labels that a selector of Calico's asks for, where that is all that it asks. */
function calicoSelector(selector: unknown): Fields {
  if (isAll(selector)) return {};
  const [, name, value] = /^\s*([\w./-]+)\s*==\s*["']([^"']*)["']\s*$/.exec(String(selector)) ?? [];
  return { matchLabels: name === undefined ? { "": String(selector) } : { [name]: value } };
}

/** Whom one side of Calico's rule is about; none where anybody is. */
function calicoPeers(entity: unknown, isGlobal: boolean): Fields[] {
  if (!isRecord(entity)) return [];
  const { nets, selector, namespaceSelector, notNets, notSelector, serviceAccounts, services, domains } = entity;
  if ([notNets, notSelector, serviceAccounts, services, domains].some((each) => each !== undefined))
    return [{ podSelector: { matchLabels: { "": "others" } } }];
  if (strings(nets).length > 0) return strings(nets).map((cidr) => ({ ipBlock: { cidr } }));
  if (selector === undefined && namespaceSelector === undefined) return [];
  const everywhere = isGlobal && namespaceSelector === undefined ? {} : undefined;
  return [
    {
      namespaceSelector: namespaceSelector === undefined ? everywhere : calicoSelector(namespaceSelector),
      podSelector: calicoSelector(selector),
    },
  ];
}

function calicoRule(rule: Fields, side: "from" | "to", isGlobal: boolean): Translated {
  // What goes out is named by where it goes, what comes in by where it comes from; the other side narrows it.
  const [about, other] = side === "from" ? [rule.source, rule.destination] : [rule.destination, rule.source];
  const narrows = isRecord(other) && Object.keys(other).some((name) => name !== "ports");
  const destination = at(rule, "destination.ports");
  const ports = (Array.isArray(destination) ? destination : []).map((port: unknown) => {
    const [first, last] = String(port).split(":");
    const number = Number(first);
    return { protocol: rule.protocol, port: Number.isNaN(number) ? port : number, endPort: last && Number(last) };
  });
  if (ports.length === 0 && rule.protocol !== undefined) ports.push({ protocol: rule.protocol } as (typeof ports)[0]);
  return isAllowed(rule) && !narrows ? { ports, peers: calicoPeers(about, isGlobal) } : undefined;
}

/** Labels of a namespace; what a preview does not know of them is none. */
function labelsOf(place: unknown, resources: readonly ResourceView[]): Fields {
  const found = resources.find((each) => each.type === NAMESPACE && nameOf(each) === place);
  const labels = at(found?.props, "metadata.labels");
  const name = String(place);
  return {
    ...(isRecord(labels) ? labels : {}),
    "kubernetes.io/metadata.name": name,
    "projectcalico.org/name": name,
  };
}

/** Selectors of the namespaces that a policy is about; undefined for one that is in a namespace. */
function placesOf({ type, props }: ResourceView): unknown {
  if (ADMIN.test(type)) {
    const subject = at(props, "spec.subject");
    return at(subject, "pods.namespaceSelector") ?? at(subject, "namespaces") ?? {};
  }
  return CALICO.exec(type)?.[1] === undefined ? undefined : calicoSelector(at(props, "spec.namespaceSelector"));
}

/** Whether a policy holds in one of these namespaces. */
export function holdsIn(policy: ResourceView, places: readonly unknown[], resources: readonly ResourceView[]): boolean {
  const selector = placesOf(policy);
  return selector === undefined
    ? places.includes(at(policy.props, "metadata.namespace"))
    : places.some((place) => selects(selector, labelsOf(place, resources)));
}

/** Rules of an administrator's list up to the one that leaves nothing to those after it. */
function untilDenied(rules: unknown, side: "from" | "to"): Fields[] {
  const all = records(rules);
  const end = all.findIndex(
    (rule) =>
      rule.action === "Deny" &&
      records(rule.ports).length + records(rule.protocols).length === 0 &&
      records(rule[side]).some(({ namespaces }) => isRecord(namespaces) && Object.keys(namespaces).length === 0),
  );
  return end < 0 ? all : all.slice(0, end);
}

function fromAdmin({ props }: ResourceView): Fields {
  const spec = at(props, "spec");
  const isBaseline = at(spec, "tier") === "Baseline";
  const rules = (list: string, side: "from" | "to"): Fields[] =>
    isBaseline
      ? []
      : ruled(
          untilDenied(at(spec, list), side).map((rule) => adminRule(rule, side)),
          side,
        );
  return {
    podSelector: at(spec, "subject.pods.podSelector"),
    ingress: rules("ingress", "from"),
    egress: rules("egress", "to"),
  };
}

function fromCalico({ type, props }: ResourceView): Fields {
  const isGlobal = CALICO.exec(type)?.[1] !== undefined;
  const rules = (list: string, side: "from" | "to"): Fields[] =>
    ruled(
      records(at(props, `spec.${list}`)).map((rule) => calicoRule(rule, side, isGlobal)),
      side,
    );
  return {
    podSelector: calicoSelector(at(props, "spec.selector")),
    ingress: rules("ingress", "from"),
    egress: rules("egress", "to"),
  };
}

/** The same fields with the addresses of Cilium's groups in the place of their names; a group that the stack does not have is left as it is. */
function withGroups(value: unknown, resources: readonly ResourceView[]): unknown {
  if (Array.isArray(value)) return value.flatMap((each: unknown) => withGroups(each, resources));
  if (!isRecord(value)) return value;
  const { cidrGroupRef: named, cidrGroupSelector: selector } = value;
  if (named !== undefined || selector !== undefined) {
    const groups = resources.filter((each) => {
      const labels = at(each.props, "metadata.labels");
      return (
        CIDR_GROUP.test(each.type) &&
        (named !== undefined ? nameOf(each) === named : selects(selector, isRecord(labels) ? labels : {}))
      );
    });
    const cidrs = groups.flatMap((each) => strings(at(each.props, "spec.externalCIDRs")));
    return cidrs.length === 0 ? value : cidrs.map((cidr) => ({ ...value, cidr }));
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withGroups(each, resources)]));
}

/** A policy in words that are judged: of Kubernetes' own kind, or of Cilium's. */
export function asJudged(policy: ResourceView, resources: readonly ResourceView[]): ResourceView {
  const { type, props } = policy;
  if (CILIUM.test(type)) return { ...policy, props: withGroups(props, resources) as ResourceView["props"] };
  if (!ADMIN.test(type) && !CALICO.test(type)) return policy;
  const spec = ADMIN.test(type) ? fromAdmin(policy) : fromCalico(policy);
  // What a preview does not know yet is checked by the update.
  return Object.values(spec).some(isUnknown) ? policy : { ...policy, type: NETWORK_POLICY, props: { ...props, spec } };
}
