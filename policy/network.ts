/** What a NetworkPolicy lets through, as Kubernetes reads it. */
import { isIP } from "node:net";
import { at, type ResourceView, strings } from "./resource";
import { isRecord } from "../contract/records";

/** First and last of numbers that follow one another. */
type Range = readonly [bigint, bigint];
type Fields = Readonly<Record<string, unknown>>;

/** True where nothing is said: Kubernetes takes null, an empty list, and an object of such for what is left out. */
const isBlank = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.values(value).every(isBlank));

/** A list's entries, of which null is one that says nothing; none where a preview does not know the list. */
const entries = (value: unknown): Fields[] =>
  (Array.isArray(value) ? value : []).map((each: unknown) => each ?? {}).filter(isRecord);

/** Whether a policy is about every pod of its namespace. */
const selectsAll = (props: ResourceView["props"]): boolean =>
  isRecord(at(props, "spec")) && isBlank(at(props, "spec.podSelector"));

/** True for a policy that lets nothing in and nothing out of a namespace, but for what others allow. */
export function deniesByDefault({ props }: ResourceView): boolean {
  const types = at(props, "spec.policyTypes");
  return (
    selectsAll(props) &&
    ["Ingress", "Egress"].every((side) => Array.isArray(types) && types.includes(side)) &&
    ["ingress", "egress"].every((side) => isBlank(at(props, `spec.${side}`)))
  );
}

/** Whether ranges together leave nothing out. */
function isWhole(ranges: readonly Range[], [first, last]: Range): boolean {
  let next = first;
  for (const [from, to] of [...ranges].sort(([one], [other]) => (one < other ? -1 : Number(one > other)))) {
    if (from > next) break;
    if (to >= next) next = to + 1n;
  }
  return next > last;
}

const PORTS: Range = [1n, 65535n];

/** Whether a rule is about every port of a protocol, in one entry or several. */
function isEveryPort({ ports }: Fields): boolean {
  if (isBlank(ports)) return true;
  const all = entries(ports).map(({ protocol, port, endPort }) => {
    const [first, last] = isBlank(port) ? PORTS.map(Number) : [Number(port), Number(endPort ?? port)];
    return { protocol: protocol ?? "TCP", first: first ?? NaN, last: last ?? NaN };
  });
  return all.some(({ protocol }) =>
    isWhole(
      all
        // A port by its name is one.
        .filter((each) => each.protocol === protocol && Number.isInteger(each.first) && Number.isInteger(each.last))
        .map(({ first, last }): Range => [BigInt(first), BigInt(last)]),
      PORTS,
    ),
  );
}

/** An address as a number. */
function numberOf(address: string): bigint {
  if (isIP(address) === 4) return address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const halves = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [before = [], after = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].reduce((sum, part) => sum * 65536n + BigInt(`0x${part}`), 0n);
}

const bitsOf = (address: string): number => (isIP(address) === 4 ? 32 : 128);

/** The addresses of `10.0.0.0/8`; undefined for what is not a range of theirs. */
function rangeOf(cidr: unknown, bits: number): Range | undefined {
  const [, address = "", prefix = ""] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(String(cidr)) ?? [];
  if (isIP(address) === 0 || bitsOf(address) !== bits || Number(prefix) > bits) return undefined;
  const size = 1n << BigInt(bits - Number(prefix));
  const first = (numberOf(address) / size) * size;
  return [first, first + size - 1n];
}

/** Whether ranges of addresses, as `10.0.0.0/8`, leave out none of a kind. */
export const coverEverything = (cidrs: readonly string[]): boolean =>
  [32, 128].some((bits) =>
    isWhole(
      cidrs.map((cidr) => rangeOf(cidr, bits)).filter((range) => range !== undefined),
      [0n, (1n << BigInt(bits)) - 1n],
    ),
  );

const without = (ranges: readonly Range[], [first, last]: Range): Range[] =>
  ranges.flatMap(([from, to]): Range[] => [
    ...(from < first ? [[from, to < first ? to : first - 1n] as const] : []),
    ...(to > last ? [[from > last ? from : last + 1n, to] as const] : []),
  ]);

/** The addresses of a peer, without those that it leaves out. */
function addresses(peer: Fields, bits: number): Range[] {
  const range = rangeOf(at(peer, "ipBlock.cidr"), bits);
  const except = at(peer, "ipBlock.except");
  if (range === undefined || (!isBlank(except) && !Array.isArray(except))) return [];
  return (Array.isArray(except) ? except : []).reduce<Range[]>(
    (left, each) => {
      const out = rangeOf(each, bits);
      return out === undefined ? left : without(left, out);
    },
    [range],
  );
}

/** Ranges that are the own machine's alone: whoever leaves them out has left out nobody. */
const NOBODY: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/16",
  "fe80::/10",
  "ff00::/8",
];
/** Most addresses that may be left out of everybody and still leave everybody: of IPv4, and of IPv6 those of one network. */
const FEW = { 32: 256n, 128: 1n << 64n } as const;

/** Where clouds give a machine's login to whoever asks on it: who leaves that out of what pods reach has left out something. */
const METADATA: readonly string[] = ["169.254.169.254/32", "fd20:ce::254/128", "fd00:ec2::254/128"];

/** Whether ranges of addresses, of those who come or of those that are reached, leave out nobody, or hardly anybody. */
function areNearlyAll(ranges: readonly Range[], bits: 32 | 128, side: "from" | "to"): boolean {
  if (ranges.length === 0) return false;
  const ours = (list: readonly string[]): Range[] =>
    list.map((range) => rangeOf(range, bits)).filter((range) => range !== undefined);
  const less = (from: readonly Range[], taken: readonly Range[]): readonly Range[] =>
    taken.reduce<readonly Range[]>((left, range) => without(left, range), from);
  const out = less([[0n, (1n << BigInt(bits)) - 1n]], ranges);
  const isOut = ([first]: Range): boolean => out.some(([from, to]) => from <= first && first <= to);
  if (side === "to" && ours(METADATA).some(isOut)) return false;
  return less(out, ours(NOBODY)).reduce((sum, [first, last]) => sum + last - first + 1n, 0n) <= FEW[bits];
}

/** Whether rules of one side let everybody through at every port: by no word, by every namespace, or by every address. */
function areForAll(rules: readonly Fields[], side: "from" | "to"): boolean {
  const wide = rules.filter(isEveryPort);
  const peers = wide.flatMap((rule) => entries(rule[side]));
  return (
    wide.some((rule) => isBlank(rule[side])) ||
    peers.some(
      (peer) => isRecord(peer.namespaceSelector) && isBlank(peer.namespaceSelector) && isBlank(peer.podSelector),
    ) ||
    ([32, 128] as const).some((bits) =>
      areNearlyAll(
        peers.flatMap((peer) => addresses(peer, bits)),
        bits,
        side,
      ),
    )
  );
}

/** Whether a selector takes in all pods, or all but those that are named. */
function selectsMost(selector: unknown): boolean {
  if (isBlank(selector)) return true;
  const expressions = entries(at(selector, "matchExpressions"));
  return (
    isBlank(at(selector, "matchLabels")) &&
    expressions.length > 0 &&
    expressions.every(({ operator }) => operator === "DoesNotExist" || operator === "NotIn")
  );
}

/** Cilium's own policies, which add to those of Kubernetes; one of them is for all namespaces. */
export const CILIUM = /^kubernetes:cilium\.io\/\w+:Cilium(Clusterwide)?NetworkPolicy$/;

/** True for a policy that is for all namespaces. */
export const isClusterwide = (type: string): boolean => CILIUM.exec(type)?.[1] !== undefined;

/** Whether Cilium's rules of one side let everybody through at every port: by its names for all, or by addresses. */
function areForEverybody(rules: readonly Fields[], side: "from" | "to", type: string): boolean {
  const wide = rules.filter((rule) => isBlank(rule.toPorts));
  const entities = wide.flatMap((rule) => strings(rule[`${side}Entities`]));
  const peers = wide.flatMap((rule) => [
    ...strings(rule[`${side}CIDR`]).map((cidr): Fields => ({ ipBlock: { cidr } })),
    ...entries(rule[`${side}CIDRSet`]).map((ipBlock): Fields => ({ ipBlock })),
  ]);
  return (
    entities.includes("all") ||
    ["world", "cluster"].every((each) => entities.includes(each)) ||
    // In a namespace's own policy all endpoints are those of the namespace.
    (isClusterwide(type) && wide.some((rule) => entries(rule[`${side}Endpoints`]).some((each) => isBlank(each)))) ||
    ([32, 128] as const).some((bits) =>
      areNearlyAll(
        peers.flatMap((peer) => addresses(peer, bits)),
        bits,
        side,
      ),
    )
  );
}

/** What a policy says of pods; Cilium's may say it in several parts, and of nodes. */
const specsOf = ({ type, props }: ResourceView): Fields[] =>
  [at(props, "spec"), ...(CILIUM.test(type) ? entries(at(props, "specs")) : [])]
    .filter(isRecord)
    .filter(({ nodeSelector }) => nodeSelector === undefined);

const selectorOf = (spec: Fields, type: string): unknown =>
  CILIUM.test(type) ? spec.endpointSelector : spec.podSelector;

/** Whether parts of a policy let everybody through on one side, at every port. */
function areOpen(specs: readonly Fields[], side: "from" | "to", type: string): boolean {
  const rules = specs.flatMap((spec) => entries(spec[side === "from" ? "ingress" : "egress"]));
  return CILIUM.test(type) ? areForEverybody(rules, side, type) : areForAll(rules, side);
}

/** What a policy that selects every pod gives back to all of them: rules of several policies add up. */
export function opensAgain(policy: ResourceView): string[] {
  const specs = specsOf(policy).filter((spec) => selectsMost(selectorOf(spec, policy.type)));
  return [
    ...(areOpen(specs, "from", policy.type) ? ["be reached from everywhere"] : []),
    ...(areOpen(specs, "to", policy.type) ? ["reach everything"] : []),
  ];
}

/** Labels of the pods to which a policy that is for some of them lets everybody come, at every port. */
export const opensPods = (policy: ResourceView): Fields[] =>
  specsOf(policy).flatMap((spec) => {
    const labels = at(selectorOf(spec, policy.type), "matchLabels");
    if (!isRecord(labels) || !areOpen([spec], "from", policy.type)) return [];
    // Cilium's labels may say where they come from: `k8s:app`.
    return [
      Object.fromEntries(Object.entries(labels).map(([name, value]) => [name.replace(/^(?:k8s|any):/, ""), value])),
    ];
  });

/** Ranges larger than any that somebody is given: whoever writes one means everybody, or a part of everybody. */
const SMALLEST_PREFIX = { v4: 8, v6: 16 } as const;
/** Large ranges that are nobody's on the internet: of private networks (class E too, which GKE takes for pods), and of links. */
const PRIVATE: readonly string[] = ["240.0.0.0/4", "fc00::/6"];

/** True for a range of addresses that is the internet, or a part of it that is too large to be anybody's. */
export function isEveryone(range: string): boolean {
  const [, address = "", prefix] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(range) ?? [];
  if (prefix === undefined) return false;
  // Whatever stands before it: no bit of the address counts.
  if (Number(prefix) === 0) return true;
  if (Number(prefix) >= (address.includes(":") ? SMALLEST_PREFIX.v6 : SMALLEST_PREFIX.v4)) return false;
  const bits = address.includes(":") ? 128 : 32;
  const [first, last] = rangeOf(range, bits) ?? [0n, -1n];
  return !PRIVATE.some((each) => {
    const [from, to] = rangeOf(each, bits) ?? [0n, -1n];
    return from <= first && last <= to;
  });
}
