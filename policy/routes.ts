/** A rule about routes of gateways, of Kubernetes' Gateway API and of others: what they lead to, judged as what an Ingress leads to. */
import { LOCATIONS } from "../contract/facts";
import { closedPort, closedPods, hasInternalNote, NOETL_API, OWN_NAME, portText } from "./exposure";
import { at, ingressClasses, isUnknown, kindOf, nameOf, nested, records, type ResourceView, strings } from "./resource";
import { isRecord } from "../contract/records";
import { said, type StackRule } from "./rule";

/** Kinds of objects that lead from outside to Services, as whole types: others have kinds of the same names. */
const ROUTES =
  /^kubernetes:(?:gateway\.networking\.k8s\.io\/\w+:(?:HTTP|GRPC|TLS|TCP|UDP)Route|traefik\.(?:io|containo\.us)\/\w+:IngressRoute(?:TCP|UDP)?|networking\.istio\.io\/\w+:VirtualService|projectcontour\.io\/\w+:HTTPProxy|route\.openshift\.io\/\w+:Route|configuration\.konghq\.com\/\w+:(?:TCP|UDP)Ingress|k8s\.nginx\.org\/\w+:(?:Transport|Virtual)Server|(?:networking\.k8s\.io|extensions)\/\w+:Ingress)(?:Patch)?$/;
/** Those that hand on what they do not read: nobody can ask for a login there. */
const UNREAD = /(?:TLS|TCP|UDP)Route|IngressRoute(?:TCP|UDP)|(?:TCP|UDP)Ingress|TransportServer/;
/** The same in a part of one: of Istio and Contour. */
const UNREAD_PART = /^spec\.(?:tcp|tls|tcpproxy)\b/i;

/** A Service that a route names, with its port there; none where it says none. */
interface Backend {
  readonly path: string;
  readonly service: string;
  readonly namespace: unknown;
  readonly port: unknown;
}

/** What routes of a stack may mean. */
interface Stack {
  readonly services: readonly ResourceView[];
  /** Gateways, and sets of listeners. */
  readonly anchors: readonly ResourceView[];
  /** Gateways of Istio. */
  readonly istio: readonly ResourceView[];
  /** What Traefik does with requests on their way. */
  readonly middlewares: readonly ResourceView[];
}

const namespace = ({ props }: ResourceView): unknown => at(props, "metadata.namespace");

/** Whether two namespaces may be one: what a chart renders often has its release's, and says none. */
const isSamePlace = (one: unknown, other: unknown): boolean =>
  one === other || one === undefined || other === undefined;

/** The object of a name in a namespace; where none says that it is there, one that may be. */
function inPlace(all: readonly ResourceView[], called: unknown, place: unknown): ResourceView | undefined {
  const named = all.filter((each) => nameOf(each) === called);
  return named.find((each) => namespace(each) === place) ?? named.find((each) => isSamePlace(namespace(each), place));
}

/** Names of classes, gateways and entry points that are for a network of one's own; `mesh` is Istio's word for no gateway. */
const INTERNAL = /internal|private|rilb|^mesh$/i;
const INTERNAL_CLASS = /internal|private|rilb|mesh/i;

/** Whether a name is one of those, or may be: what a preview does not know yet is checked by the update. */
const mayBeInternal = (called: unknown): boolean =>
  isUnknown(called) || (typeof called === "string" && INTERNAL.test(called));

/** What annotations of an Ingress say, by their names: each of the parts that have commas between. */
type Notes = readonly (readonly [name: RegExp, part: RegExp])[];
const hasNote = (notes: unknown, wanted: Notes): boolean =>
  isRecord(notes) &&
  Object.entries(notes).some(
    ([name, value]) =>
      typeof value === "string" &&
      wanted.some(
        ([called, said]) =>
          called.test(name) && (isUnknown(value) || value.split(",").every((part) => said.test(part.trim()))),
      ),
  );

/** Those by which an Ingress is for a network of one's own. */
const INTERNAL_NOTES: Notes = [
  [/^alb\.ingress\.kubernetes\.io\/scheme$/, /^internal$/i],
  [/^appgw\.ingress\.kubernetes\.io\/use-private-ip$/, /^true$/i],
  [/\/router\.entrypoints$/, INTERNAL],
];

/** Places at which a Service may stand without a port, of which it then has one: of Istio and OpenShift. */
const WITHOUT_PORT = /\.destination$|^spec\.(?:to|alternateBackends\[\d+\])$/;
/** What a route hangs on, and what it asks of a request. */
const NO_BACKEND = /(?:parentRefs|gateways)\b|\.match\[/;

/** Services that a route leads to, wherever it names them. */
function backends(route: ResourceView): Backend[] {
  const spec = at(route.props, "spec");
  const target = at(spec, "port.targetPort");
  return [...nested(spec, "spec")].flatMap(({ path, spec: each }): Backend[] => {
    // The name of what has a field for the Service is its own.
    const service = [each.service, each.serviceName, each.host, each.name].find((found) => typeof found === "string");
    const own = each.port ?? each.servicePort ?? (path === "spec.to" ? target : undefined);
    const port = isRecord(own) ? (own.number ?? own.name) : own;
    if (typeof service !== "string" || NO_BACKEND.test(path) || isUnknown(port)) return [];
    if (port === undefined && !WITHOUT_PORT.test(path)) return [];
    // Istio has the namespace in the name.
    const [short = "", place] = service.split(".");
    return [{ path, service: short, namespace: each.namespace ?? place ?? namespace(route), port }];
  });
}

const isNumber = (port: unknown): boolean => typeof port === "number" || /^\d+$/.test(String(port));

/** What stands behind a port that has to stay closed; by its name alone where that or the Service's says whose it is. */
const byPort = ({ service, port }: Pick<Backend, "service" | "port">): string | undefined =>
  isNumber(port) || OWN_NAME.test(service) ? closedPort(port) : undefined;

/** The Service of the stack that a route means, with its entry for the port. */
function serviceOf({ service, namespace: place, port }: Backend, { services }: Stack) {
  const found = inPlace(services, service, place);
  const ports = records(at(found?.props, "spec.ports"));
  const entry =
    port === undefined
      ? ports.length === 1
        ? ports[0]
        : undefined
      : ports.find((each) => each.port === port || each.name === port);
  return found && { selector: at(found.props, "spec.selector"), entry };
}

/** What stands behind a backend by what the stack's Service makes of the port. */
function byService(backend: Backend, stack: Stack): string | undefined {
  const found = serviceOf(backend, stack);
  if (found === undefined) return undefined;
  const { port, targetPort = port } = found.entry ?? {};
  const service = `${backend.service} ${OWN_NAME.test(String(targetPort)) ? String(targetPort) : ""}`;
  return byPort({ service, port: targetPort }) ?? closedPods(found.selector);
}

/** What a route hangs on: a Gateway, and a set of listeners that somebody adds to one. */
const ANCHOR = /^kubernetes:gateway\.networking\.(?:x-)?k8s\.io\/\w+:(?:Gateway|X?ListenerSet)$/;

const kindOfParent = ({ kind }: Readonly<Record<string, unknown>>): string =>
  typeof kind === "string" ? kind : kind === undefined ? "Gateway" : "";

/** An anchor of the stack that is meant; undefined where it is none of the stack's. */
function anchorOf(parent: Readonly<Record<string, unknown>>, of: ResourceView, anchors: readonly ResourceView[]) {
  const kind = kindOfParent(parent);
  if (isUnknown(parent.name)) return undefined;
  return inPlace(
    anchors.filter(({ type }) => kindOf(type) === kind),
    parent.name,
    parent.namespace ?? namespace(of),
  );
}

/** Whether an anchor of the stack is for its own network, or may be: what a preview does not know yet is checked by the update. */
function isInternal(anchor: ResourceView, anchors: readonly ResourceView[]): boolean {
  const { props, type } = anchor;
  const parent = at(props, "spec.parentRef");
  if (kindOf(type) !== "Gateway") return isRecord(parent) && hangsInside(parent, anchor, anchors);
  const kind = at(props, "spec.gatewayClassName");
  return (
    isUnknown(kind) ||
    INTERNAL_CLASS.test(String(kind)) ||
    hasInternalNote(at(props, "spec.infrastructure.annotations")) ||
    hasInternalNote(at(props, "metadata.annotations"))
  );
}

/** The same of what something hangs on; by its name alone where it is not of the stack. */
function hangsInside(
  parent: Readonly<Record<string, unknown>>,
  of: ResourceView,
  anchors: readonly ResourceView[],
): boolean {
  const anchor = anchorOf(parent, of, anchors);
  return anchor ? isInternal(anchor, anchors) : mayBeInternal(parent.name);
}

/** What a route of the Gateway API hangs on and is reached by from outside: a Service is one within a mesh. */
const publicParents = (route: ResourceView, anchors: readonly ResourceView[]) =>
  records(at(route.props, "spec.parentRefs")).filter(
    (parent) =>
      ["Gateway", "ListenerSet", "XListenerSet"].includes(kindOfParent(parent)) && !hangsInside(parent, route, anchors),
  );

/** Whether anybody comes to a route from outside. */
function isPublic(route: ResourceView, anchors: readonly ResourceView[]): boolean {
  if (/gateway\.networking/.test(route.type)) return publicParents(route, anchors).length > 0;
  const hangsOn = strings(at(route.props, "spec.gateways"));
  if (kindOf(route.type) === "VirtualService") return !hangsOn.every(mayBeInternal);
  const notes = at(route.props, "metadata.annotations");
  if (ingressClasses(route.props).some(mayBeInternal) || hasNote(notes, INTERNAL_NOTES)) return false;
  const entryPoints = strings(at(route.props, "spec.entryPoints"));
  return entryPoints.length === 0 || !entryPoints.every(mayBeInternal);
}

/** Whether nobody can ask for a login at a part of a route. */
const isUnread = ({ type, props }: ResourceView, { path }: Backend): boolean =>
  UNREAD.test(type) ||
  (/VirtualService|HTTPProxy/.test(type) && UNREAD_PART.test(path)) ||
  at(props, "spec.tls.termination") === "passthrough";

function openRoute(route: ResourceView, stack: Stack): string[] {
  return backends(route).flatMap((backend) => {
    const told = byPort(backend);
    // What an Ingress says by itself is said by closed-services.
    if (told !== undefined && kindOf(route.type) === "Ingress") return [];
    const what = told ?? byService(backend, stack);
    const mayHave = what === NOETL_API && !isUnread(route, backend);
    const port = backend.port === undefined ? "its only port" : `port ${portText(backend.port)}`;
    return what === undefined || mayHave ? [] : [`spec leads to ${what} (Service ${backend.service}, ${port})`];
  });
}

/** Whether two names of hosts, of which each may begin with `*.`, have one in common. */
function meet(one: unknown, other: unknown): boolean {
  if (typeof one !== "string" || typeof other !== "string") return true;
  const takesIn = (pattern: string, host: string) => pattern.startsWith("*.") && host.endsWith(pattern.slice(1));
  return one === other || takesIn(one, other) || takesIn(other, one);
}

/** Whether a listener takes routes of a namespace; without a word those of its own. */
function takesFrom(listener: Readonly<Record<string, unknown>>, anchor: ResourceView, route: ResourceView): boolean {
  const from = at(listener, "allowedRoutes.namespaces.from") ?? "Same";
  return from === "All" || from === "Selector" || (from === "Same" && isSamePlace(namespace(anchor), namespace(route)));
}

/** Listeners of what a route hangs on that take it. */
function listeners(parent: Readonly<Record<string, unknown>>, anchor: ResourceView, route: ResourceView) {
  const hosts = strings(at(route.props, "spec.hostnames"));
  return records(at(anchor.props, "spec.listeners")).filter(
    (each) =>
      (parent.sectionName === undefined || parent.sectionName === each.name) &&
      (parent.port === undefined || parent.port === each.port) &&
      (hosts.length === 0 || hosts.some((host) => meet(host, each.hostname))) &&
      takesFrom(each, anchor, route),
  );
}

/** Where browsers sign in, or NoETL's API answers. */
const ASKED: ReadonlySet<unknown> = new Set([LOCATIONS.gateway.port, LOCATIONS.noetl.port]);
const ASKED_PODS: ReadonlySet<unknown> = new Set([LOCATIONS.gateway.deployment, LOCATIONS.noetl.serverDeployment]);
const ASKED_NAME = /gateway|noetl/i;

/** Whether sign-ins or the API are behind a backend: others have their ports too. */
function isAsked(backend: Backend, stack: Stack): boolean {
  const { selector, entry } = serviceOf(backend, stack) ?? {};
  const target = entry?.targetPort ?? backend.port ?? entry?.port;
  // The charts of this project call the port of their pods so.
  const isPort = ASKED.has(target) || target === "http";
  const isPod = isRecord(selector) && ASKED_PODS.has(selector.app);
  return isPort && (isPod || (ASKED.has(target) && ASKED_NAME.test(backend.service)));
}

/** Listeners without TLS by which sign-ins or the API are reached; a route that only sends elsewhere has no backends. */
function clearRoute(route: ResourceView, stack: Stack): string[] {
  if (!/:(?:HTTP|GRPC)Route/.test(route.type) || !backends(route).some((each) => isAsked(each, stack))) return [];
  const { anchors } = stack;
  return publicParents(route, anchors).flatMap((parent) => {
    const anchor = anchorOf(parent, route, anchors);
    return (anchor ? listeners(parent, anchor, route) : [])
      .filter(({ protocol }) => protocol === "HTTP")
      .map(
        (each) =>
          `listener ${String(each.name)} of ${kindOfParent(parent)} ${String(parent.name)} has no TLS, and leads to sign-ins or NoETL's API`,
      );
  });
}

/** Names that everybody gives to Traefik's entry points that speak TLS. */
const WITH_TLS = /secure|https|tls/i;

/** Whether a middleware of Traefik's sends to TLS what comes without: by what it does, or is called where it is not of the stack. */
const sendsToTls = (called: unknown, found: ResourceView | undefined): boolean =>
  found
    ? isRecord(at(found.props, "spec.redirectScheme"))
    : isUnknown(called) || /redirect|https/i.test(String(called));

const isSentToTls = (part: Readonly<Record<string, unknown>>, { middlewares }: Stack): boolean =>
  records(part.middlewares).some(({ name: called }) =>
    sendsToTls(
      called,
      middlewares.find((each) => nameOf(each) === called),
    ),
  );

/** Whether a middleware has this name with its namespace before; what a chart renders often has its release's, and says none. */
const isCalled = (each: ResourceView, called: string): boolean =>
  namespace(each) === undefined
    ? called.endsWith(`-${String(nameOf(each))}`)
    : called === `${String(namespace(each))}-${String(nameOf(each))}`;

/** The same of an Ingress, which names them with their namespace before: `shop-to-tls@kubernetescrd`. */
const isSentByNote = (notes: unknown, { middlewares }: Stack): boolean =>
  Object.entries(isRecord(notes) ? notes : {})
    .flatMap(([name, value]) =>
      /\/router\.middlewares$/.test(name) && typeof value === "string" ? value.split(",") : [],
    )
    .map((each) => each.trim().replace(/@kubernetescrd$/, ""))
    .some((called) =>
      sendsToTls(
        called,
        middlewares.find((each) => isCalled(each, called)),
      ),
    );

/** Entry points of Traefik without TLS by which sign-ins or the API are reached; without a word a route is at each. */
function clearEntryPoint(route: ResourceView, stack: Stack): string[] {
  const spec = at(route.props, "spec");
  const points = at(spec, "entryPoints");
  if (!/traefik\.\S+:IngressRoute(?:Patch)?$/.test(route.type) || isUnknown(points)) return [];
  if ((at(spec, "tls") ?? undefined) !== undefined) return [];
  const clear = strings(points).filter((each) => !mayBeInternal(each) && !WITH_TLS.test(each));
  if (strings(points).length > 0 && clear.length === 0) return [];
  const parts = records(at(spec, "routes"));
  const isClear = ({ path }: Backend): boolean => {
    const part = parts[Number(/^spec\.routes\[(\d+)\]/.exec(path)?.[1])];
    return part !== undefined && !isSentToTls(part, stack);
  };
  const where = clear.length === 0 ? "each entry point" : `entry point ${clear.join(", ")}`;
  return backends(route).some((each) => isClear(each) && isAsked(each, stack))
    ? [`spec has no tls at ${where}, and leads to sign-ins or NoETL's API`]
    : [];
}

/** Servers of Istio's gateways without TLS by which sign-ins or the API are reached. */
function clearServers(route: ResourceView, stack: Stack): string[] {
  const isMeant = (each: Backend): boolean => each.path.startsWith("spec.http") && isAsked(each, stack);
  if (kindOf(route.type) !== "VirtualService" || !backends(route).some(isMeant)) return [];
  const hosts = strings(at(route.props, "spec.hosts"));
  return strings(at(route.props, "spec.gateways")).flatMap((called) => {
    const [short, place] = called.split("/").reverse();
    const gateway = inPlace(stack.istio, short, place ?? namespace(route));
    return records(at(gateway?.props, "spec.servers"))
      .filter(
        (server) =>
          /^(?:HTTP|HTTP2|GRPC)$/i.test(String(at(server, "port.protocol"))) &&
          at(server, "tls.httpsRedirect") !== true &&
          at(server, "tls.mode") === undefined &&
          (hosts.length === 0 || strings(server.hosts).some((each) => hosts.some((host) => meetInIstio(host, each)))),
      )
      .map(
        (server) =>
          `server ${String(at(server, "port.name"))} of Gateway ${called} has no TLS, and leads to sign-ins or NoETL's API`,
      );
  });
}

/** Where other kinds say that they speak TLS. */
const FIELD_OF_TLS: Readonly<Record<string, string>> = {
  Ingress: "spec.tls",
  HTTPProxy: "spec.virtualhost.tls",
  VirtualServer: "spec.tls",
  Route: "spec.tls",
};
/** Annotations by which an Ingress does: its certificate is elsewhere, or what stands before it has one. */
const NOTES_OF_TLS: Notes = [
  [/(?:\/managed-certificates|\/pre-shared-cert|\/certificate-arn|\/appgw-ssl-certificate)$/, /\S/],
  [/\/ingress\.allow-http$/, /^false$/i],
  [/\/(?:force-ssl-redirect|router\.tls)$|^haproxy\.org\/ssl-redirect$/, /^true$/i],
  [/^alb\.ingress\.kubernetes\.io\/ssl-redirect$/, /^\d+$/],
  [/\/router\.entrypoints$/, new RegExp(`${WITH_TLS.source}|${INTERNAL.source}`, "i")],
  [/\/(?:listen-ports|protocols|termination)$/, /https|grpcs|tls|edge|reencrypt|passthrough/i],
  // Of a Route of OpenShift, which cert-manager gives its certificate.
  [/^cert-manager\.io\/issuer-name$/, /\S/],
];
/** Classes of those who have it at their edge, whatever the Ingress says. */
const CLASS_OF_TLS = /^(?:cloudflare-tunnel|ngrok|tailscale)\b/i;

/** Whether a Route of OpenShift lets in what comes without TLS, too. */
const isLax = (props: unknown): boolean => /^Allow$/i.test(String(at(props, "spec.tls.insecureEdgeTerminationPolicy")));

/** Whether what stands around an object has TLS, by its notes or its class, or may: what a preview does not know yet is checked by the update. */
function mayHaveTls({ props }: ResourceView, stack: Stack): boolean {
  const notes = at(props, "metadata.annotations");
  if (isLax(props)) return false;
  return (
    isUnknown(notes) ||
    hasNote(notes, NOTES_OF_TLS) ||
    isSentByNote(notes, stack) ||
    ingressClasses(props).some((each) => CLASS_OF_TLS.test(String(each)))
  );
}

/** Whether a certificate's name takes in a host: a star stands for one label. */
const takesInHost = (called: string, host: string): boolean =>
  isUnknown(called) || called === host || called === host.replace(/^[^.]*/, "*");

/** What lets a part of a route in without TLS, in words; undefined where nothing does. */
function clearBy({ props }: ResourceView, field: string, { path }: Backend): string | undefined {
  const tls = at(props, field);
  if ((tls ?? undefined) === undefined || (Array.isArray(tls) && tls.length === 0)) return `${field} is not set`;
  if (isLax(props)) return `${field}.insecureEdgeTerminationPolicy Allow lets in what comes without`;
  const host = records(at(props, "spec.rules"))[Number(/^spec\.rules\[(\d+)\]/.exec(path)?.[1])]?.host;
  const names = records(tls).map(({ hosts }) => (isUnknown(hosts) ? [] : strings(hosts)));
  const isOther = (each: string[]): boolean =>
    each.length > 0 &&
    typeof host === "string" &&
    !isUnknown(host) &&
    !each.some((called) => takesInHost(called, host));
  return names.length > 0 && names.every(isOther) ? `${field} has no certificate for ${String(host)}` : undefined;
}

/** Ingresses, and routes of Contour, nginx and OpenShift, without TLS by which sign-ins or the API are reached. */
function clearField(route: ResourceView, stack: Stack): string[] {
  const kind = kindOf(route.type) ?? "";
  const field = FIELD_OF_TLS[kind];
  // A patch leaves what it does not name, and what has no host of its own is taken in by one that has.
  const isPart =
    route.type.endsWith("Patch") || (kind === "HTTPProxy" && !isRecord(at(route.props, "spec.virtualhost")));
  if (field === undefined || isPart || mayHaveTls(route, stack)) return [];
  const found = backends(route).flatMap((each) => (isAsked(each, stack) ? (clearBy(route, field, each) ?? []) : []));
  return [...new Set(found)].map((why) => `${why}, and it leads to sign-ins or NoETL's API`);
}

/** The same of Istio's names, which may have a namespace before them, and a star alone. */
const meetInIstio = (host: string, served: string): boolean => {
  const name = served.split("/").at(-1) ?? "";
  return host === "*" || name === "*" || meet(host, name);
};

/** Listeners that take connections for what has to stay closed, before any route is there. */
const openListeners = (anchor: ResourceView, anchors: readonly ResourceView[]): string[] =>
  isInternal(anchor, anchors)
    ? []
    : records(at(anchor.props, "spec.listeners")).flatMap(({ name: called, port, protocol }) =>
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
    "the stack: Gateways, ListenerSets and routes of the Gateway API, routes of Traefik, Istio, Contour, Kong, nginx and OpenShift, with the " +
    "Services that they name, and Ingresses by what the Services make of their ports; of TLS the listeners of the Gateway API, Traefik's entry " +
    "points by their names, servers of Istio's gateways in the stack, and the field `tls` of Ingresses, Contour, nginx and OpenShift, or an " +
    "Ingress' note of a certificate; what Helm releases render",
  reason:
    "A route opens what a load balancer would: who reaches NATS or NoETL's API runs code in the cluster, and without TLS everybody on the way " +
    "reads sign-ins and sessions.",
  remedy:
    "Lead browsers to NoETL's gateway alone, by a listener with TLS (`sectionName`), with `spec.tls` in an Ingress or a route of Traefik, by servers " +
    "of Istio with `tls`; hang everything else on a gateway of an internal class. Where TLS ends before an Ingress' controller, say so by the note " +
    'that has what comes without it sent there (`nginx.ingress.kubernetes.io/force-ssl-redirect: "true"`, `haproxy.org/ssl-redirect: "true"`, ' +
    "`traefik.ingress.kubernetes.io/router.entrypoints: websecure`), or by its class (cloudflare-tunnel, ngrok, tailscale, an internal one).",
  checkStack: (resources) => {
    const anchors = resources.filter(({ type }) => ANCHOR.test(type));
    const those = (kind: RegExp) => resources.filter(({ type }) => kind.test(type));
    const stack = {
      anchors,
      services: those(/^kubernetes:core\/v1:Service$/),
      istio: those(/^kubernetes:networking\.istio\.io\/\w+:Gateway$/),
      middlewares: those(/^kubernetes:traefik\.(?:io|containo\.us)\/\w+:Middleware$/),
    };
    const routes = resources.filter((each) => ROUTES.test(each.type) && isPublic(each, anchors));
    return [
      ...anchors.flatMap((each) => said(each, openListeners(each, anchors))),
      ...routes.flatMap((each) =>
        said(
          each,
          [openRoute, clearRoute, clearEntryPoint, clearServers, clearField].flatMap((judge) => judge(each, stack)),
        ),
      ),
    ];
  },
};
