/** Rules about what leads from outside to NATS, NoETL's API and Postgres: Services, Ingresses, and routes of gateways. */
import { LOCATIONS } from "../contract/facts";
import { coverEverything, isEveryone } from "./network";
import { releaseOf } from "./release";
import { at, ingressClasses, isUnknown, kindOf, records, type ResourceView, strings, texts } from "./resource";
import { isRecord } from "../contract/records";
import type { ResourceRule } from "./rule";

/** What may have an Ingress, with a login before it. */
export const NOETL_API = "NoETL's API";

/** Ports of what has no login of its own, or one that was not made for the internet. */
const CLOSED_PORTS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [LOCATIONS.nats.port, "NATS"],
  [LOCATIONS.nats.monitorPort, "NATS' monitoring"],
  [6222, "NATS' routes"],
  [7422, "NATS' leaf nodes"],
  [LOCATIONS.noetl.port, NOETL_API],
  [LOCATIONS.postgres.port, "Postgres"],
  [6432, "PgBouncer"],
]);
/** The same by the names that charts give their ports. */
const CLOSED_NAMES: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ["nats", "NATS"],
  ["monitor", "NATS' monitoring"],
  ["leafnodes", "NATS' leaf nodes"],
  ["postgres", "Postgres"],
  ["postgresql", "Postgres"],
  ["pgbouncer", "PgBouncer"],
]);

/** Names of Services that say whose they are; others call a port `client` or `monitor`, too. */
export const OWN_NAME = /nats|postgres|pgbouncer/i;

/** A port, a number or a name, in a message. */
export const portText = (port: unknown): string =>
  typeof port === "number" || typeof port === "string" ? String(port) : "of another form";

/** What stands behind a port, a number or a name, where it has to stay closed. */
export const closedPort = (port: unknown): string | undefined =>
  CLOSED_PORTS.get(typeof port === "string" && /^\d+$/.test(port) ? Number(port) : port) ?? CLOSED_NAMES.get(port);

/** The same by the labels of the pods, whatever their port is called. */
export function closedPods(selector: unknown): string | undefined {
  if (!isRecord(selector)) return undefined;
  const name = selector["app.kubernetes.io/name"] ?? selector.app;
  if (name === LOCATIONS.noetl.serverDeployment) return NOETL_API;
  return CLOSED_NAMES.get(name);
}

/** Notes by which a cloud's load balancer is for its own network. */
const INTERNAL = [
  ["networking.gke.io/load-balancer-type", /^internal$/i],
  ["cloud.google.com/load-balancer-type", /^internal$/i],
  ["service.beta.kubernetes.io/aws-load-balancer-scheme", /^internal$/i],
  ["service.beta.kubernetes.io/azure-load-balancer-internal", /^true$/i],
] as const;
/** Charts of which a load balancer opens what is closed; the gateway's is meant to be open. */
const CLOSED_CHARTS = new Set(["nats", "noetl", "postgresql", "pgbouncer"]);

/** What a preview does not know yet is checked by the update. */
export const hasInternalNote = (annotations: unknown): boolean =>
  isUnknown(annotations) ||
  (isRecord(annotations) &&
    INTERNAL.some(([name, value]) => {
      const found = annotations[name];
      return typeof found === "string" && (isUnknown(found) || value.test(found));
    }));

/** Where the ranges of a load balancer stood before they had a field; it counts where the field is empty. */
const RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges";

/** Who may come to a load balancer: nobody is named where everybody may. */
function sourceRanges(service: Readonly<Record<string, unknown>>): string[] {
  const named = strings(at(service, "spec.loadBalancerSourceRanges"));
  const annotations = at(service, "metadata.annotations");
  const annotated = isRecord(annotations) ? annotations[RANGES] : undefined;
  return named.length > 0 || typeof annotated !== "string"
    ? named
    : annotated.split(",").flatMap((range) => range.trim() || []);
}

const fromAll = (ranges: readonly string[]): boolean =>
  ranges.length === 0 || ranges.some(isEveryone) || coverEverything(ranges);

/** What an Ingress leads to that has to stay closed. NoETL's API may have one, with a login before it (IAP). */
function openPaths(props: ResourceView["props"]): string[] {
  const [kind] = ingressClasses(props);
  if (typeof kind === "string" && (isUnknown(kind) || /internal|private/i.test(kind))) return [];
  const rules = records(at(props, "spec.rules")).flatMap((rule) => records(at(rule, "http.paths")));
  // Before networking.k8s.io/v1 names and places were others.
  const backends = ["defaultBackend", "backend"]
    .map((each) => at(props, `spec.${each}`))
    .concat(rules.map(({ backend }) => backend));
  return backends.flatMap((backend) => {
    const service = at(backend, "service.name") ?? at(backend, "serviceName");
    const [port] = ["service.port.number", "service.port.name", "servicePort"]
      .map((path) => at(backend, path))
      .filter((each) => each !== undefined);
    const what = typeof port === "number" || OWN_NAME.test(String(service)) ? closedPort(port) : undefined;
    return what === undefined || what === NOETL_API
      ? []
      : [`spec leads to ${what} (Service ${String(service)}, port ${portText(port)})`];
  });
}

export const closedServices: ResourceRule = {
  name: "closed-services",
  severity: "critical",
  demand:
    "No load balancer and no external address stands before NATS, NoETL's API or Postgres, and no Ingress before NATS or Postgres.",
  subjects: "Services and Ingresses; what Helm releases render, and values of the charts nats and noetl",
  reason:
    "NoETL's API has no login of its own, and a message on NATS is a command that a worker runs: who reaches either runs code in the cluster.",
  remedy:
    "Leave the Service `ClusterIP`, and let browsers in through the gateway. From outside, `kubectl port-forward` or an internal " +
    "load balancer with `loadBalancerSourceRanges`.",
  check: (resource) => {
    const { type, props } = resource;
    const release = releaseOf(resource);
    if (release) {
      if (!CLOSED_CHARTS.has(release.chart)) return [];
      return [...texts(release.values, "values")]
        .filter(({ key, text }) => key === "type" && text === "LoadBalancer")
        .map(({ path }) => `${path} is LoadBalancer`);
    }
    if (kindOf(type) === "Ingress") return openPaths(props);
    if (kindOf(type) !== "Service" || !type.startsWith("kubernetes:core/")) return [];
    const spec = at(props, "spec");
    if (!isRecord(spec)) return [];
    const open =
      spec.type === "LoadBalancer" &&
      !hasInternalNote(at(props, "metadata.annotations")) &&
      fromAll(sourceRanges(props));
    const addresses = strings(spec.externalIPs).length > 0;
    if (!open && !addresses) return [];
    return records(spec.ports).flatMap(({ port, targetPort }) => {
      const what = closedPort(targetPort) ?? closedPort(port) ?? closedPods(spec.selector);
      return what ? [`spec.${open ? "type LoadBalancer" : "externalIPs"} opens ${what} (port ${String(port)})`] : [];
    });
  },
};
