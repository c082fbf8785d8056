/** A rule about routes of gateways, of Kubernetes' Gateway API and of others: what they lead to, judged as what an Ingress leads to. */
import { LOCATIONS } from "../contract/facts";
import { closedPort, closedPods, hasInternalNote, NOETL_API } from "./exposure";
import { at, isRecord, isUnknown, kindOf, nested, records, type ResourceView, strings } from "./resource";
import { said, type StackRule } from "./rule";

/** Kinds of objects that lead from outside to Services, as whole types: others have kinds of the same names. */
const ROUTES =
  /^kubernetes:(?:gateway\.networking\.k8s\.io\/\w+:(?:HTTP|GRPC|TLS|TCP|UDP)Route|traefik\.(?:io|containo\.us)\/\w+:IngressRoute(?:TCP|UDP)?|networking\.istio\.io\/\w+:VirtualService|projectcontour\.io\/\w+:HTTPProxy|route\.openshift\.io\/\w+:Route|configuration\.konghq\.com\/\w+:(?:TCP|UDP)Ingress|k8s\.nginx\.org\/\w+:(?:Transport|Virtual)Server|(?:networking\.k8s\.io|extensions)\/\w+:Ingress)(?:Patch)?$/;
/** Those that hand on what they do not read: nobody can ask for a login there. */
const UNREAD = /(?:TLS|TCP|UDP)Route|IngressRoute(?:TCP|UDP)|(?:TCP|UDP)Ingress|TransportServer/;
const GATEWAY = /^kubernetes:gateway\.networking\.k8s\.io\/\w+:Gateway$/;
/** Names of classes, gateways and entry points that are for a network of one's own. */
const INTERNAL = /internal|private|rilb|mesh/i;

/** A Service that a route names, with its port there. */
interface Backend {
  readonly service: string;
  readonly namespace: unknown;
  readonly port: unknown;
}

const name = ({ props, name: logical }: ResourceView): unknown => at(props, "metadata.name") ?? logical;
const namespace = ({ props }: ResourceView): unknown => at(props, "metadata.namespace");

/** Whether two namespaces may be one: what a chart renders often has its release's, and says none. */
const isSamePlace = (one: unknown, other: unknown): boolean =>
  one === other || one === undefined || other === undefined;

/** Services that a route leads to, wherever it names them; not what it hangs on. */
function backends(route: ResourceView): Backend[] {
  const spec = at(route.props, "spec");
  const target = at(spec, "port.targetPort");
  const all = [...nested(spec, "spec")].flatMap(({ path, spec: each }): Backend[] => {
    const service = [each.name, each.service, each.serviceName, each.host].find((found) => typeof found === "string");
    const own = each.port ?? each.servicePort ?? (path === "spec.to" ? target : undefined);
    const port = isRecord(own) ? (own.number ?? own.name) : own;
    if (typeof service !== "string" || /(?:parentRefs|gateways)\b/.test(path)) return [];
    // Istio has the namespace in the name.
    const [short = "", place] = service.split(".");
    return [{ service: short, namespace: each.namespace ?? place ?? namespace(route), port }];
  });
  return all.filter(({ port }) => port !== undefined && !isUnknown(port));
}

/** What stands behind a port that has to stay closed; by its name alone where the Service's own says whose it is. */
const byPort = ({ service, port }: Backend): string | undefined =>
  typeof port === "number" || /nats|postgres/i.test(service) ? closedPort(port) : undefined;

/** The same by what the stack's Service makes of the port. */
function byService({ service, namespace: place, port }: Backend, resources: readonly ResourceView[]) {
  const found = resources.find(
    (each) =>
      each.type === "kubernetes:core/v1:Service" && name(each) === service && isSamePlace(namespace(each), place),
  );
  const entry = records(at(found?.props, "spec.ports")).find((each) => each.port === port || each.name === port);
  return found && (closedPort(entry?.targetPort) ?? closedPods(at(found.props, "spec.selector")));
}

/** Whether a Gateway of the stack is for its own network. */
const isInternalGateway = ({ props }: ResourceView): boolean =>
  INTERNAL.test(String(at(props, "spec.gatewayClassName"))) ||
  hasInternalNote(at(props, "spec.infrastructure.annotations")) ||
  hasInternalNote(at(props, "metadata.annotations"));

/** A Gateway that a route hangs on; undefined where it is none of the stack's. */
const gatewayOf = (parent: Readonly<Record<string, unknown>>, route: ResourceView, gateways: readonly ResourceView[]) =>
  gateways.find(
    (each) => name(each) === parent.name && isSamePlace(namespace(each), parent.namespace ?? namespace(route)),
  );

/** What a route of the Gateway API hangs on and is reached by from outside: a Service is one within a mesh. */
const publicParents = (route: ResourceView, gateways: readonly ResourceView[]) =>
  records(at(route.props, "spec.parentRefs")).filter((parent) => {
    if (!["Gateway", undefined].includes(parent.kind as undefined)) return false;
    const gateway = gatewayOf(parent, route, gateways);
    return gateway ? !isInternalGateway(gateway) : !INTERNAL.test(String(parent.name)) && !isUnknown(parent.name);
  });

/** Whether anybody comes to a route from outside. */
function isPublic(route: ResourceView, gateways: readonly ResourceView[]): boolean {
  if (/gateway\.networking/.test(route.type)) return publicParents(route, gateways).length > 0;
  const hangsOn = strings(at(route.props, "spec.gateways"));
  if (kindOf(route.type) === "VirtualService") return hangsOn.some((each) => !INTERNAL.test(each));
  const annotations = at(route.props, "metadata.annotations");
  const kinds = [
    ...strings(at(route.props, "spec.ingressClassName")),
    ...strings(at(route.props, "spec.entryPoints")),
    ...strings(isRecord(annotations) ? annotations["kubernetes.io/ingress.class"] : undefined),
  ];
  return !kinds.some((each) => INTERNAL.test(each));
}

function openRoute(route: ResourceView, resources: readonly ResourceView[]): string[] {
  return backends(route).flatMap((backend) => {
    const told = byPort(backend);
    // What an Ingress says by itself is said by closed-services.
    if (told !== undefined && kindOf(route.type) === "Ingress") return [];
    const what = told ?? byService(backend, resources);
    const mayHave = what === NOETL_API && !UNREAD.test(route.type);
    return what === undefined || mayHave
      ? []
      : [`spec leads to ${what} (Service ${backend.service}, port ${String(backend.port)})`];
  });
}

/** Listeners that a parent of a route means. */
const listeners = (parent: Readonly<Record<string, unknown>>, gateway: ResourceView) =>
  records(at(gateway.props, "spec.listeners")).filter(
    (each) =>
      (parent.sectionName === undefined || parent.sectionName === each.name) &&
      (parent.port === undefined || parent.port === each.port),
  );

/** Where browsers sign in, or NoETL's API answers. */
const ASKED: ReadonlySet<unknown> = new Set([LOCATIONS.gateway.port, LOCATIONS.noetl.port]);

/** Listeners without TLS by which sign-ins or the API are reached; a route that only sends elsewhere has no backends. */
function clearRoute(route: ResourceView, gateways: readonly ResourceView[]): string[] {
  if (!/:(?:HTTP|GRPC)Route/.test(route.type) || !backends(route).some(({ port }) => ASKED.has(port))) return [];
  return publicParents(route, gateways).flatMap((parent) => {
    const gateway = gatewayOf(parent, route, gateways);
    return (gateway ? listeners(parent, gateway) : [])
      .filter(({ protocol }) => protocol === "HTTP")
      .map(
        (each) =>
          `listener ${String(each.name)} of Gateway ${String(parent.name)} has no TLS, and leads to sign-ins or NoETL's API`,
      );
  });
}

/** Listeners of a Gateway that take connections for what has to stay closed, before any route is there. */
const openListeners = (gateway: ResourceView): string[] =>
  isInternalGateway(gateway)
    ? []
    : records(at(gateway.props, "spec.listeners")).flatMap(({ name: called, port, protocol }) =>
        closedPort(port) !== undefined && ["TCP", "UDP", "TLS"].includes(String(protocol))
          ? [`spec.listeners ${String(called)} opens ${closedPort(port)} (port ${String(port)})`]
          : [],
      );

export const closedRoutes: StackRule = {
  name: "closed-routes",
  severity: "critical",
  demand:
    "No route of a public gateway leads to NATS or Postgres, none that cannot ask for a login to NoETL's API, and sign-ins come in with TLS.",
  subjects:
    "the stack: Gateways and routes of the Gateway API, routes of Traefik, Istio, Contour, Kong, nginx and OpenShift, with the Services that they " +
    "name, and Ingresses by what the Services make of their ports; what Helm releases render",
  reason:
    "A route opens what a load balancer would: who reaches NATS or NoETL's API runs code in the cluster, and without TLS everybody on the way " +
    "reads sign-ins and sessions.",
  remedy:
    "Lead browsers to NoETL's gateway alone, by a listener with TLS (`sectionName`); hang everything else on a gateway of an internal class.",
  checkStack: (resources) => {
    const gateways = resources.filter(({ type }) => GATEWAY.test(type));
    const routes = resources.filter((each) => ROUTES.test(each.type) && isPublic(each, gateways));
    return [
      ...gateways.flatMap((each) => said(each, openListeners(each))),
      ...routes.flatMap((each) => said(each, [...openRoute(each, resources), ...clearRoute(each, gateways)])),
    ];
  },
};
