/** What a NetworkPolicy lets through, as Kubernetes reads it. */
import { isIP } from "node:net";
import { at, isRecord, type ResourceView } from "./resource";

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

/** The addresses of `10.0.0.0/8`; undefined for what is no range of theirs. */
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

/** Whether rules of one side let everybody through at every port: by no word, by every namespace, or by every address. */
function areForAll(rules: readonly Fields[], side: "from" | "to"): boolean {
  const wide = rules.filter(isEveryPort);
  const peers = wide.flatMap((rule) => entries(rule[side]));
  return (
    wide.some((rule) => isBlank(rule[side])) ||
    peers.some(
      (peer) => isRecord(peer.namespaceSelector) && isBlank(peer.namespaceSelector) && isBlank(peer.podSelector),
    ) ||
    [32, 128].some((bits) =>
      isWhole(
        peers.flatMap((peer) => addresses(peer, bits)),
        [0n, (1n << BigInt(bits)) - 1n],
      ),
    )
  );
}

/** What a policy that selects every pod gives back to all of them: rules of several policies add up. */
export function opensAgain({ props }: ResourceView): string[] {
  if (!selectsAll(props)) return [];
  const rules = (side: string): Fields[] => entries(at(props, `spec.${side}`));
  return [
    ...(areForAll(rules("ingress"), "from") ? ["be reached from everywhere"] : []),
    ...(areForAll(rules("egress"), "to") ? ["reach everything"] : []),
  ];
}
