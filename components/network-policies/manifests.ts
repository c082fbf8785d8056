import type * as k8s from "@pulumi/kubernetes";
import {
  closedNamespaces,
  type Connection,
  connectionsOf,
  type End,
  isPod,
  type Layout,
  namespaceOf,
  type OutsideName,
  type PodName,
  PODS,
  podsOf,
  type Port,
} from "../../contract/network";

type Peer = k8s.types.input.networking.v1.NetworkPolicyPeer;

/** A NetworkPolicy of a namespace, which whoever creates it names. */
export interface NamespacePolicy {
  readonly name: string;
  readonly spec: k8s.types.input.networking.v1.NetworkPolicySpec;
}

/** The label that Kubernetes gives every namespace itself. */
const NAME_LABEL = "kubernetes.io/metadata.name";

const LINK_LOCAL = "169.254.0.0/16";
/** Everywhere but the node's own neighbours, the metadata server among them (its IPv6 address is Google's). */
const WORLD: readonly Peer[] = [
  { ipBlock: { cidr: "0.0.0.0/0", except: [LINK_LOCAL] } },
  { ipBlock: { cidr: "::/0", except: ["fd20:ce::254/128", "fe80::/10"] } },
];

const blocks = (...cidrs: readonly string[]): Peer[] => cidrs.map((cidr) => ({ ipBlock: { cidr } }));
const inNamespace = (name: string): Peer => ({ namespaceSelector: { matchLabels: { [NAME_LABEL]: name } } });

/** Who is meant by an end outside of the stack; undefined: everybody. */
const PEERS: Readonly<Record<Exclude<OutsideName, "node">, (layout: Layout) => readonly Peer[] | undefined>> = {
  anyone: () => undefined,
  clusterPods: () => [{ namespaceSelector: {} }],
  // Google Cloud, "Firewall rules" of external Application Load Balancers.
  googleFrontEnds: () => blocks("35.191.0.0/16", "130.211.0.0/22"),
  // Its pods; a cache or a resolver on the node (169.254.20.10, 169.254.169.254 on GKE); its Service's address, which a cache on the
  // node answers for: from the private ranges, or the one that GKE has for Services.
  dns: () => [
    inNamespace("kube-system"),
    ...blocks(LINK_LOCAL, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "34.118.224.0/20"),
    ...blocks("fc00::/7"),
  ],
  apiServer: () => WORLD,
  // Some networks take a range for addresses outside of the cluster alone (Cilium, GKE Dataplane V2), hence the namespaces beside it.
  playbookTargets: (layout) => [
    ...WORLD,
    {
      namespaceSelector: {
        matchExpressions: [{ key: NAME_LABEL, operator: "NotIn", values: closedNamespaces(layout) }],
      },
    },
  ],
  web: () => WORLD,
  cloudSql: () => WORLD,
  // GKE, "Network policy and Workload Identity": with Dataplane V2 the first, at port 80; else the second, at 988.
  metadata: () => blocks("169.254.169.254/32", "169.254.169.252/32"),
};

/** A host whose address is known is meant alone. */
const addressPeers = (host: string): readonly Peer[] =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? blocks(`${host}/32`) : WORLD;

function peersOf(end: End, layout: Layout): readonly Peer[] | undefined {
  if (isPod(end)) return [{ ...inNamespace(namespaceOf(end, layout)), podSelector: selectorOf(end) }];
  if (typeof end === "string") return end === "node" ? [] : PEERS[end](layout);
  if ("client" in end) return [inNamespace(end.client)];
  const { namespace, host } = end.elsewhere;
  return namespace === undefined ? addressPeers(host) : [inNamespace(namespace)];
}

/** A copy, as the SDK's types are not read-only. */
const selectorOf = (pod: PodName): k8s.types.input.meta.v1.LabelSelector =>
  structuredClone(PODS[pod].selector) as k8s.types.input.meta.v1.LabelSelector;

interface Rule {
  readonly ports: readonly Port[];
  /** Undefined: everybody. */
  readonly peers: readonly Peer[] | undefined;
}

/** Rules, those of the same ports as one. */
function rulesOf(connections: readonly { end: End; ports: readonly Port[] }[], layout: Layout): Rule[] {
  const rules = new Map<string, Rule>();
  for (const { end, ports } of connections) {
    const key = JSON.stringify(ports);
    const before = rules.get(key);
    const peers = peersOf(end, layout);
    const both = before === undefined ? peers : before.peers && peers && [...before.peers, ...peers];
    rules.set(key, { ports, peers: both });
  }
  return [...rules.values()];
}

function policyOf(pod: PodName, connections: readonly Connection[], layout: Layout): NamespacePolicy {
  const incoming = connections.filter(({ to }) => to === pod).map(({ from, ports }) => ({ end: from, ports }));
  const outgoing = connections.filter(({ from }) => from === pod).map(({ to, ports }) => ({ end: to, ports }));
  const written = ({ ports }: Rule) => (ports.length > 0 ? { ports: ports.map((port) => ({ ...port })) } : {});
  return {
    name: pod === "job" ? "playbook-jobs" : PODS[pod].title,
    spec: {
      podSelector: selectorOf(pod),
      policyTypes: ["Ingress", "Egress"],
      ingress: rulesOf(incoming, layout).map((rule) => ({
        from: rule.peers ? [...rule.peers] : undefined,
        ...written(rule),
      })),
      egress: rulesOf(outgoing, layout).map((rule) => ({
        to: rule.peers ? [...rule.peers] : undefined,
        ...written(rule),
      })),
    },
  };
}

/** Closes a namespace: what no other policy allows is neither let in nor let out. */
const DEFAULT_DENY: NamespacePolicy = {
  name: "default-deny",
  spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
};

/**
 * The NetworkPolicies of a stack by namespace: nothing but the connections of {@link connectionsOf}. Every component takes those of its
 * namespace.
 */
export function networkPolicies(layout: Layout): Readonly<Record<string, readonly NamespacePolicy[]>> {
  const connections = connectionsOf(layout);
  return Object.fromEntries(
    closedNamespaces(layout).map((namespace) => [
      namespace,
      [
        DEFAULT_DENY,
        ...podsOf(layout)
          .filter((pod) => namespaceOf(pod, layout) === namespace)
          .map((pod) => policyOf(pod, connections, layout)),
      ],
    ]),
  );
}
