/** Who may open connections to whom under NetworkPolicies, as Kubernetes defines it; and the pods of rendered or running objects. */
import {
  closedNamespaces,
  connectionsOf,
  type Elsewhere,
  type End,
  isPod,
  type Layout,
  type PodName,
} from "../../contract/network";

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}
interface Peer {
  ipBlock?: { cidr: string; except?: string[] };
  namespaceSelector?: Selector;
  podSelector?: Selector;
}
interface PolicyPort {
  port?: number | string;
  protocol?: string;
}
interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: PolicyPort[];
}
/** A NetworkPolicy, as far as it is evaluated. */
export interface Policy {
  metadata: { name: string; namespace: string };
  spec: { podSelector: Selector; policyTypes: string[]; ingress?: Rule[]; egress?: Rule[] };
}

/** A pod, or an address that is not one's. */
export interface Place {
  readonly name: string;
  readonly ip: string;
  readonly pod?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  /** What the table calls it, where it is one of the stack's. */
  readonly party?: PodName;
}

/** Networks differ in whether a range of addresses means pods, too: Calico says yes, Cilium no. */
export interface Network {
  readonly rangesMeanPods: boolean;
}

function selects(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator === "NotIn") return !values.includes(labels[key] ?? "");
      if (operator === "In") return values.includes(labels[key] ?? "");
      throw new Error(`operator ${operator} is not evaluated`);
    })
  );
}

const numberOf = (ip: string): number => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

/** Whether an IPv4 range holds an address; one of IPv6 holds none of these. */
function inRange(cidr: string, ip: string): boolean {
  if (cidr.includes(":")) return false;
  const [network = "", bits = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(network) / size) === Math.floor(numberOf(ip) / size);
}

function isMeant(peer: Peer, other: Place, policy: Policy, { rangesMeanPods }: Network): boolean {
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    const counts = other.pod === undefined || rangesMeanPods;
    return counts && inRange(cidr, other.ip) && !except.some((each) => inRange(each, other.ip));
  }
  if (!other.pod) return false;
  const { namespace, labels } = other.pod;
  const place = peer.namespaceSelector
    ? selects(peer.namespaceSelector, { "kubernetes.io/metadata.name": namespace })
    : namespace === policy.metadata.namespace;
  return place && selects(peer.podSelector ?? {}, labels);
}

export interface Attempt {
  readonly from: Place;
  readonly to: Place;
  readonly port: number;
  readonly protocol: string;
}

/** Whether one of a rule's ports is the attempt's. What is not evaluated allows more than is seen here: names, ranges, every port. */
function isAt({ port, protocol = "TCP", ...more }: { port?: unknown; protocol?: string }, attempt: Attempt): boolean {
  if (typeof port !== "number" || Object.keys(more).length > 0)
    throw new Error(`port ${JSON.stringify({ port, ...more })} is not evaluated`);
  return port === attempt.port && protocol === attempt.protocol;
}

function sideAllows(
  side: "Ingress" | "Egress",
  policies: readonly Policy[],
  attempt: Attempt,
  network: Network,
): boolean {
  const [own, other] = side === "Ingress" ? [attempt.to, attempt.from] : [attempt.from, attempt.to];
  const { pod } = own;
  if (!pod) return true;
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace && spec.policyTypes.includes(side) && selects(spec.podSelector, pod.labels),
  );
  if (selecting.length === 0) return true;
  return selecting.some((policy) => {
    const rules = (side === "Ingress" ? policy.spec.ingress : policy.spec.egress) ?? [];
    return rules.some((rule) => {
      const peers = side === "Ingress" ? rule.from : rule.to;
      const ports = rule.ports ?? [];
      return (
        (peers === undefined || peers.some((peer) => isMeant(peer, other, policy, network))) &&
        (ports.length === 0 || ports.some((each) => isAt(each, attempt)))
      );
    });
  });
}

/** Whether both sides let a connection be. */
export const allows = (policies: readonly Policy[], attempt: Attempt, network: Network): boolean =>
  sideAllows("Egress", policies, attempt, network) && sideAllows("Ingress", policies, attempt, network);

const LINK_LOCAL = "169.254.0.0/16";
const isOutside = ({ pod, ip }: Place): boolean => pod === undefined && !inRange(LINK_LOCAL, ip);
const isPrivate = (ip: string): boolean =>
  [LINK_LOCAL, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "34.118.224.0/20"].some((cidr) =>
    inRange(cidr, ip),
  );

const isServer = ({ namespace, host }: Elsewhere, place: Place): boolean =>
  namespace === undefined
    ? /^[\d.]+$/.test(host)
      ? place.ip === host && !place.pod
      : isOutside(place)
    : place.pod?.namespace === namespace;

/** Whether the table means this place by an end of a connection. */
function means(end: End, place: Place, layout: Layout): boolean {
  if (typeof end === "object")
    return "client" in end ? place.pod?.namespace === end.client : isServer(end.elsewhere, place);
  if (isPod(end)) return place.party === end;
  switch (end) {
    case "anyone":
      return true;
    case "clusterPods":
      return place.pod !== undefined;
    case "googleFrontEnds":
      return !place.pod && ["35.191.0.0/16", "130.211.0.0/22"].some((cidr) => inRange(cidr, place.ip));
    case "dns":
      return place.pod ? place.pod.namespace === "kube-system" : isPrivate(place.ip);
    case "playbookTargets":
      return place.pod ? !closedNamespaces(layout).includes(place.pod.namespace) : isOutside(place);
    case "metadata":
      return ["169.254.169.254", "169.254.169.252"].includes(place.ip);
    case "apiServer":
    case "web":
    case "cloudSql":
      return isOutside(place);
    case "node":
      return false;
  }
}

/** Whether the table has a connection: what a pod of the stack opens, and who is let in to one, stands there. */
export function tableOf(layout: Layout): (attempt: Attempt) => boolean {
  const connections = connectionsOf(layout);
  return ({ from, to, port, protocol }) => {
    const fits = (ports: readonly { port: number; protocol: string }[]) =>
      ports.length === 0 || ports.some((each) => each.port === port && each.protocol === protocol);
    const isOpened = () =>
      connections.some((each) => each.from === from.party && fits(each.ports) && means(each.to, to, layout));
    const isLetIn = () =>
      connections.some((each) => each.to === to.party && fits(each.ports) && means(each.from, from, layout));
    return (from.party === undefined || isOpened()) && (to.party === undefined || isLetIn());
  };
}

/** An object with pods in it, as it is rendered. */
export interface Workload {
  readonly kind: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec?: {
    readonly template?: {
      readonly metadata?: { readonly labels?: Record<string, string> };
      readonly spec?: Record<string, unknown>;
    };
  };
}

/** Parties by the names of their workloads, not by labels: those are what is tested. */
const PARTIES: readonly (readonly [kind: string, name: RegExp, party: PodName])[] = [
  ["Deployment", /^gateway$/, "gateway"],
  ["Deployment", /^noetl-server$/, "server"],
  ["Deployment", /^noetl-worker$/, "worker"],
  ["StatefulSet", /^nats$/, "nats"],
  ["Deployment", /^nats-box$/, "natsBox"],
  ["Deployment", /^contract-guard$/, "guard"],
  ["StatefulSet", /^postgres$/, "postgres"],
  ["Job", /schema/, "schema"],
  ["Job", /logins/, "logins"],
  ["Deployment", /^pgbouncer$/, "pgbouncer"],
];

const WORKLOADS = ["Deployment", "StatefulSet", "DaemonSet", "Job"];

/** The pods of workloads, and the ports that their containers name. @throws Error for a workload that nobody knows. */
export function placesOf(workloads: readonly Workload[]): { places: Place[]; ports: number[] } {
  const ports = new Set<number>();
  const places = workloads
    .filter(({ kind }) => WORKLOADS.includes(kind))
    .map(({ kind, metadata, spec }, index) => {
      const [, , party] = PARTIES.find(([of, name]) => of === kind && name.test(metadata?.name ?? "")) ?? [];
      if (party === undefined) throw new Error(`no party for ${kind} ${metadata?.name}`);
      for (const { containerPort } of containerPorts(spec?.template?.spec)) ports.add(Number(containerPort));
      const labels = spec?.template?.metadata?.labels ?? {};
      return {
        name: party,
        ip: `10.20.0.${index + 1}`,
        pod: { namespace: metadata?.namespace ?? "default", labels },
        party,
      };
    });
  return { places, ports: [...ports] };
}

function containerPorts(spec: Record<string, unknown> = {}): { containerPort: number | string }[] {
  const containers = [...((spec.initContainers ?? []) as object[]), ...((spec.containers ?? []) as object[])];
  return containers.flatMap((each) => (each as { ports?: { containerPort: number }[] }).ports ?? []);
}

const stranger = (name: string, namespace: string, last: number, labels: Record<string, string> = {}): Place => ({
  name: `${namespace}/${name}`,
  ip: `10.20.1.${last}`,
  pod: { namespace, labels },
});

/** Bears the labels of server and NATS, in a namespace that is let in nowhere. */
export const PRETENDER = stranger("pretender", "default", 5, { app: "noetl-server", "app.kubernetes.io/name": "nats" });

/** Pods that are not the stack's. */
export const STRANGERS: readonly Place[] = [
  stranger("kube-dns", "kube-system", 1, { "k8s-app": "kube-dns" }),
  stranger("prometheus", "monitoring", 2),
  stranger("orders", "shop", 3),
  stranger("controller", "ingress-nginx", 4),
  PRETENDER,
];

/** A pod of a playbook's job, as NoETL 2.8.9 labels it. */
export const jobIn = ({ jobs }: Layout): Place => ({
  name: "job",
  ip: "10.20.0.200",
  pod: {
    namespace: jobs === "own" ? "noetl-jobs" : "noetl",
    labels: { "noetl.io/step": "load", "job-name": "load-1" },
  },
  party: "job",
});

/** Addresses of no pod: on the internet, of Google's load balancers, of the node's neighbours, private ones. */
export const ADDRESSES: readonly Place[] = [
  "203.0.113.7",
  "35.191.4.4",
  "130.211.3.255",
  "130.211.4.1",
  "169.254.169.254",
  "169.254.169.252",
  "169.254.20.10",
  "169.254.1.1",
  "10.30.0.10",
  "172.18.0.1",
  "34.118.224.10",
].map((ip) => ({ name: ip, ip }));

/** Ports that no container names, and that somebody may listen on. */
const OTHER_PORTS = [22, 53, 80, 443, 988, 3307, 4222, 4333, 5432, 6222, 6443, 7777, 8082, 8090, 8222, 9801];

/** Every attempt of everybody, at all ports. */
export function* attempts(places: readonly Place[], ports: readonly number[]): Generator<Attempt> {
  const all = [...new Set([...ports, ...OTHER_PORTS])];
  for (const from of places)
    for (const to of places)
      // Nobody holds a pod back from itself.
      if (from !== to || from.party === "nats" || from.party === "server")
        if (from.party || to.party)
          for (const port of all) for (const protocol of ["TCP", "UDP"]) yield { from, to, port, protocol };
}

export const said = ({ from, to, port, protocol }: Attempt): string => `${from.name} -> ${to.name}:${port}/${protocol}`;

/** Attempts on which policies and table do not agree: in a network that takes ranges for addresses outside of the cluster alone. */
export function disagreements(
  policies: readonly Policy[],
  layout: Layout,
  { places, ports }: { places: readonly Place[]; ports: readonly number[] },
): string[] {
  const isInTable = tableOf(layout);
  return [...attempts(places, ports)]
    .map((attempt) => ({
      attempt,
      allowed: allows(policies, attempt, { rangesMeanPods: false }),
      table: isInTable(attempt),
    }))
    .filter(({ allowed, table }) => allowed !== table)
    .map(({ attempt, allowed }) => `${said(attempt)} is ${allowed ? "allowed, and not in the table" : "refused"}`);
}
