/** Still more stacks of the kinds of bad-stacks.ts, in pairs: one that breaks a rule, and one that differs in what makes it harmless. */
import { bad, type BadStack, CANARY, configMap, deployment, type Example, k8s, release, UNKNOWN } from "./bad-stacks";

const CREDENTIALS = "no-plaintext-credentials";
const BASELINE = "pods-baseline";
const ROUTES = "closed-routes";
const SERVICES = "closed-services";
const RIGHTS = "no-cluster-admin";
const LATEST = "no-latest";

const CLASS = "gke-l7-global-external-managed";
const gateway = (listeners: readonly object[], spec: object = {}, metadata: object = {}): Example =>
  k8s("gateway.networking.k8s.io/v1:Gateway", {
    metadata: { name: "g", namespace: "edge", ...metadata },
    spec: { gatewayClassName: CLASS, listeners, ...spec },
  });
const listener = (protocol: string, more: object = {}): object => ({
  name: protocol.toLowerCase(),
  protocol,
  port: 80,
  allowedRoutes: { namespaces: { from: "All" } },
  ...more,
});
const HANGS = { name: "g", namespace: "edge" };
const route = (backend: object, spec: object = {}, kind = "HTTPRoute"): Example =>
  k8s(`gateway.networking.k8s.io/v1:${kind}`, {
    metadata: { name: "r", namespace: "shop" },
    spec: { parentRefs: [HANGS], rules: [{ backendRefs: [backend] }], ...spec },
  });
const tcp = (backend: object, spec: object = {}): Example => route(backend, spec, "TCPRoute");
const serving = (name: string, ports: readonly object[], more: object = {}): Example => {
  const { namespace = "shop", ...spec } = more as { namespace?: string | null };
  return k8s("core/v1:Service", {
    metadata: namespace === null ? { name } : { name, namespace },
    spec: { ports, ...spec },
  });
};
const set = (spec: object, kind = "ListenerSet"): Example =>
  k8s(`gateway.networking.k8s.io/v1:${kind}`, {
    metadata: { name: "s", namespace: "shop" },
    spec: { parentRef: HANGS, ...spec },
  });
const istio = (spec: object, gateways: unknown = ["edge/public"]): Example =>
  k8s("networking.istio.io/v1:VirtualService", { metadata: { namespace: "shop" }, spec: { gateways, ...spec } });
const leadsTo = (destination: object): object => ({ route: [{ destination }] });
const contour = (spec: object): Example => k8s("projectcontour.io/v1:HTTPProxy", { spec });
const traefik = (entryPoints: unknown, port: number): Example =>
  k8s("traefik.io/v1alpha1:IngressRoute", { spec: { entryPoints, routes: [{ services: [{ name: "nats", port }] }] } });
const signIns = (spec: object, part: object = {}): Example =>
  k8s("traefik.io/v1alpha1:IngressRoute", {
    spec: { routes: [{ services: [{ name: "gateway", port: 8090 }], ...part }], ...spec },
  });
const sends = (name: string, spec: object): Example =>
  k8s("traefik.io/v1alpha1:Middleware", { metadata: { name }, spec });
const meshGateway = (...servers: readonly object[]): Example =>
  k8s("networking.istio.io/v1:Gateway", { metadata: { name: "public", namespace: "edge" }, spec: { servers } });
const served = (port: object, more: object = {}): object => ({ port: { number: 80, ...port }, hosts: ["*"], ...more });
const ASKED = { http: [{ route: [{ destination: { host: "gateway", port: { number: 8090 } } }] }] };
const openShift = (spec: object): Example =>
  k8s("route.openshift.io/v1:Route", { metadata: { namespace: "shop" }, spec });
const nginx = (spec: object): Example =>
  k8s("k8s.nginx.org/v1:VirtualServer", {
    metadata: { namespace: "shop" },
    spec: { host: "noetl.example.com", tls: { secret: "wildcard-cert" }, ...spec },
  });
const ingress = (spec: object, annotations: unknown = {}): Example =>
  k8s("networking.k8s.io/v1:Ingress", { metadata: { namespace: "shop", annotations }, spec });
const to = (name: string, port: object): object => ({ defaultBackend: { service: { name, port } } });

const forHost = (host: string): object => ({
  rules: [{ host, http: { paths: [{ backend: { service: { name: "gateway", port: { number: 8090 } } } }] } }],
});

const SIGN_INS = { name: "gateway", port: 8090 };
const ONE_POD = { selector: { app: "shop" } };

const CLEAR: BadStack[] = [
  bad(
    ROUTES,
    "sign-ins by an Ingress without TLS",
    /^spec\.tls is not set, and it leads to sign-ins/,
    ingress(to("gateway", { number: 8090 }), { "kubernetes.io/ingress.class": "nginx", "a.io/ssl-redirect": "true" }),
  ),
  bad(
    ROUTES,
    "the API by one, in an empty list",
    /spec\.tls is not set/,
    ingress({ tls: [], ...to("noetl", { number: 8082 }) }),
  ),
  bad(
    ROUTES,
    "sign-ins by one whose Service has another name and port",
    /spec\.tls is not set/,
    serving("front", [{ port: 80, targetPort: "http" }], { selector: { app: "gateway" } }),
    ingress(to("front", { number: 80 })),
  ),
  bad(
    ROUTES,
    "one for plain HTTP by its note",
    /spec\.tls is not set/,
    ingress(to("gateway", { number: 8090 }), { "kubernetes.io/ingress.allow-http": "true" }),
  ),
  bad(
    ROUTES,
    "one at two entry points of Traefik's",
    /^spec\.tls is not set/,
    ingress(to("gateway", { number: 8090 }), { "traefik.ingress.kubernetes.io/router.entrypoints": "web,websecure" }),
  ),
  bad(
    ROUTES,
    "one for two protocols of Kong's",
    /^spec\.tls is not set/,
    ingress(to("gateway", { number: 8090 }), { "konghq.com/protocols": "http,https" }),
  ),
  bad(
    ROUTES,
    "one at two ports of Amazon's",
    /^spec\.tls is not set/,
    ingress(to("gateway", { number: 8090 }), {
      "alb.ingress.kubernetes.io/scheme": "internet-facing",
      "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP":80},{"HTTPS":443}]',
    }),
  ),
  bad(
    ROUTES,
    "one whose middleware sends nobody to TLS",
    /^spec\.tls is not set/,
    sends("https-headers", { headers: {} }),
    ingress(to("gateway", { number: 8090 }), {
      "traefik.ingress.kubernetes.io/router.middlewares": "shop-https-headers@kubernetescrd",
    }),
  ),
  bad(
    ROUTES,
    "one with a certificate for another host",
    /^spec\.tls has no certificate for g\.acme\.dev, and it leads to sign-ins/,
    ingress({ tls: [{ hosts: ["other.acme.dev", "*.g.acme.dev"] }], ...forHost("g.acme.dev") }),
  ),
  bad(
    ROUTES,
    "by a route of OpenShift with and without TLS",
    /^spec\.tls\.insecureEdgeTerminationPolicy Allow lets in/,
    k8s("route.openshift.io/v1:Route", {
      metadata: { namespace: "shop", annotations: { "cert-manager.io/issuer-name": "letsencrypt" } },
      spec: {
        tls: { termination: "edge", insecureEdgeTerminationPolicy: "Allow" },
        to: { kind: "Service", name: "gateway" },
        port: { targetPort: 8090 },
      },
    }),
  ),
  bad(
    ROUTES,
    "sign-ins by a host of Contour without TLS",
    /^spec\.virtualhost\.tls is not set/,
    contour({ virtualhost: { fqdn: "a.example" }, routes: [{ services: [SIGN_INS] }] }),
  ),
  bad(
    ROUTES,
    "by nginx without TLS",
    /^spec\.tls is not set/,
    nginx({ tls: undefined, upstreams: [{ name: "up", service: "gateway", port: 8090 }] }),
  ),
  bad(
    ROUTES,
    "by a route of OpenShift without TLS",
    /^spec\.tls is not set/,
    openShift({ to: { kind: "Service", name: "gateway" }, port: { targetPort: 8090 } }),
  ),
  bad(
    ROUTES,
    "sign-ins by Traefik at an entry point without TLS",
    /^spec has no tls at entry point web, and leads to sign-ins/,
    signIns({ entryPoints: ["web", "websecure"] }),
  ),
  bad(ROUTES, "sign-ins by Traefik at all of them", /no tls at each entry point/, signIns({})),
  bad(
    ROUTES,
    "the same by a middleware that sends nobody to TLS",
    /no tls at entry point web/,
    sends("https-headers", { headers: {} }),
    signIns({ entryPoints: ["web"] }, { middlewares: [{ name: "https-headers" }] }),
  ),
  bad(
    ROUTES,
    "sign-ins by a server of Istio without TLS",
    /^server http of Gateway edge\/public has no TLS, and leads to sign-ins/,
    meshGateway(served({ name: "http", protocol: "HTTP" })),
    istio(ASKED),
  ),
];

const inRoutes: BadStack[] = [
  ...CLEAR,
  bad(
    ROUTES,
    "a Service that says its namespace before one that may have it",
    /leads to NATS' monitoring/,
    serving("web", [{ port: 80, targetPort: 3000 }], { namespace: null, ...ONE_POD }),
    serving("web", [{ port: 80, targetPort: 8222 }], ONE_POD),
    ingress(to("web", { number: 80 })),
  ),
  bad(
    ROUTES,
    "what nginx has a name of its own for",
    /leads to NATS' monitoring \(Service front, port 80\)/,
    serving("front", [{ port: 80, targetPort: 8222 }]),
    nginx({ upstreams: [{ name: "up", service: "front", port: 80 }] }),
  ),
  bad(
    ROUTES,
    "a port by its name, which the Service gives no other number",
    /leads to NATS \(/,
    serving("front", [{ name: "client", port: 4222 }]),
    ingress(to("front", { name: "client" })),
  ),
  bad(
    ROUTES,
    "sign-ins in clear by a Service that gives their port another number",
    /^listener http of Gateway g has no TLS/,
    gateway([listener("HTTP")]),
    serving("gateway", [{ port: 80, targetPort: 8090 }]),
    route({ name: "gateway", port: 80 }),
  ),
  bad(
    ROUTES,
    "sign-ins in clear by a Service of another name",
    /^listener http of Gateway g has no TLS/,
    gateway([listener("HTTP")]),
    serving("front", [{ port: 80, targetPort: "http" }], { selector: { app: "gateway" } }),
    route({ name: "front", port: 80 }),
  ),
  bad(
    ROUTES,
    "sign-ins in clear, under one of the names that a listener takes",
    /^listener http of Gateway g has no TLS/,
    gateway([listener("HTTP", { hostname: "*.example.com" })]),
    route(SIGN_INS, { hostnames: ["noetl.example.com"] }),
  ),
  bad(
    ROUTES,
    "a part of Istio's route that nobody reads",
    /leads to NoETL's API/,
    istio({ tcp: [leadsTo({ host: "noetl", port: { number: 8082 } })] }),
  ),
  bad(
    ROUTES,
    "another one, of TLS",
    /leads to NoETL's API/,
    istio({ tls: [leadsTo({ host: "noetl", port: { number: 8082 } })] }),
  ),
  bad(
    ROUTES,
    "a part of Contour's route that nobody reads",
    /leads to NoETL's API/,
    contour({ tcpproxy: { services: [{ name: "noetl", port: 8082 }] } }),
  ),
  bad(
    ROUTES,
    "a route of OpenShift that hands TLS on",
    /leads to NoETL's API/,
    openShift({ to: { name: "noetl" }, port: { targetPort: 8082 }, tls: { termination: "passthrough" } }),
  ),
  bad(
    ROUTES,
    "a route of Traefik from inside and from outside",
    /leads to NATS' monitoring/,
    traefik(["internal", "nats-public"], 8222),
  ),
  bad(
    ROUTES,
    "a gateway of Istio's in a namespace with mesh in its name",
    /leads to NATS/,
    istio({ tcp: [leadsTo({ host: "nats", port: { number: 4222 } })] }, ["service-mesh/public"]),
  ),
  bad(
    ROUTES,
    "a route by a set of listeners",
    /^spec leads to NATS \(/,
    gateway([]),
    set({ listeners: [listener("TLS", { port: 443 })] }),
    tcp({ name: "nats", port: 4222 }, { parentRefs: [{ kind: "ListenerSet", name: "s" }] }),
  ),
  bad(
    ROUTES,
    "a set of listeners that is open for NATS",
    /^spec\.listeners tcp opens NATS/,
    set({ listeners: [listener("TCP", { port: 4222 })] }, "XListenerSet"),
  ),
  bad(
    ROUTES,
    "a route of Istio without a port, to a Service that has one",
    /leads to NATS \(Service front, its only port\)/,
    serving("front", [{ port: 80, targetPort: 4222 }]),
    istio({ http: [leadsTo({ host: "front" })] }),
  ),
  bad(
    ROUTES,
    "a route of OpenShift without a port",
    /leads to Postgres \(Service front, its only port\)/,
    serving("front", [{ port: 80, targetPort: 5432 }]),
    openShift({ to: { kind: "Service", name: "front" } }),
  ),
  bad(
    SERVICES,
    "an Ingress as it was written before",
    /^spec leads to NATS \(Service bus, port 4222\)/,
    k8s("networking.k8s.io/v1beta1:Ingress", {
      spec: { rules: [{ http: { paths: [{ backend: { serviceName: "bus", servicePort: 4222 } }] } }] },
    }),
  ),
];

const webhook = (resources: readonly string[], url: string, more: object = {}): Example => {
  const { kind = "Mutating", apiGroups = ["*"] } = more as { kind?: string; apiGroups?: string[] };
  return k8s(`admissionregistration.k8s.io/v1:${kind}WebhookConfiguration`, {
    webhooks: [{ name: "a", clientConfig: { url }, rules: [{ apiGroups, resources }] }],
  });
};
const OUTSIDE = "https://hooks.example.com/mutate";
const workflow = (spec: object): Example => k8s("argoproj.io/v1alpha1:Workflow", { spec });
const image = (reference: string): Example =>
  workflow({ templates: [{ name: "a", container: { name: "a", image: reference, command: ["x"] } }] });
const quiet = (spec: object): Example =>
  k8s("apps/v1:Deployment", {
    metadata: { namespace: "noetl" },
    spec: {
      template: { metadata: { labels: { app: "noetl-server" } }, spec: { containers: [], ...spec } },
    },
  });
const silent = (name: string): Example =>
  k8s("core/v1:ServiceAccount", { metadata: { name, namespace: "noetl" }, automountServiceAccountToken: false });

const elsewhere: BadStack[] = [
  bad(
    CREDENTIALS,
    "a password that begins like a switch",
    /^data\.app\.properties assigns a credential/,
    configMap({ "app.properties": "db.password = no-More-Heroes-77\n" }),
  ),
  bad(
    CREDENTIALS,
    "one in a program",
    /^data\.app\.py assigns a credential/,
    configMap({ "app.py": 'password = "yes-More-Heroes-77"\n' }),
  ),
  bad(CREDENTIALS, "one on a command line", /args\[0\] holds/, deployment({ args: ["--password=on-More-Heroes-77"] })),
  bad(
    CREDENTIALS,
    "a variable in a list by key",
    /extraEnv\[0\]\.value has the name/,
    release({ extraEnv: [{ key: "API_TOKEN", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "a login of curl's as a word of its own, in a hook",
    /preStop\.exec\.command\[2\] holds/,
    deployment({ lifecycle: { preStop: { exec: { command: ["curl", "-su", `admin:${CANARY}`, "http://x"] } } } }),
  ),
  bad(
    CREDENTIALS,
    "one in a word with its option and flags",
    /args\[1\] holds/,
    deployment({ args: ["curl", `-sSuadmin:${CANARY}`, "http://x"] }),
  ),
  bad(
    CREDENTIALS,
    "one in a word behind its option",
    /args\[2\] holds/,
    deployment({ args: ["curl", "-u", `admin:${CANARY}`, "http://x"] }),
  ),
  bad(
    CREDENTIALS,
    "npm's token in quotes",
    /^data\.\.npmrc holds a private key or a token/,
    configMap({ ".npmrc": `//npm.example.org/:_authToken="${CANARY}"\n` }),
  ),
  bad(
    CREDENTIALS,
    "a variable without a sign between",
    /env DBPASS has the name/,
    deployment({ env: [{ name: "DBPASS", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "npm's token",
    /^data\.\.npmrc holds a private key or a token/,
    configMap({ ".npmrc": `//npm.example.org/:_authToken=${CANARY}\n` }),
  ),
  bad(
    CREDENTIALS,
    "the password of Redis",
    /^data\.redis\.conf assigns/,
    configMap({ "redis.conf": `appendonly yes\nrequirepass ${CANARY}\n` }),
  ),
  bad(
    RIGHTS,
    "a webhook whose host only looks like the cluster's",
    /is outside the cluster/,
    webhook(["pods"], "https://hooks.svc.example.com/"),
  ),
  bad(
    RIGHTS,
    "a webhook for pods and all that belongs to them",
    /is outside the cluster/,
    webhook(["pods/*"], OUTSIDE),
  ),
  bad(
    RIGHTS,
    "a webhook that may change what makes pods",
    /is outside the cluster/,
    webhook(["deployments"], OUTSIDE, { apiGroups: ["apps"] }),
  ),
  bad(
    LATEST,
    "an image of which somebody fills in the registry",
    /image is \{\{.*:latest$/,
    image("{{workflow.parameters.reg}}/x:latest"),
  ),
  bad(
    LATEST,
    "a chart of a registry whose tag moves",
    /a range of versions/,
    release({}, { chart: "oci://ghcr.io/x/app:latest" }),
  ),
  bad(
    "no-needless-token",
    "a pod whose account is named by nothing, or by the older field",
    /automountServiceAccountToken is not false/,
    silent("server"),
    quiet({ serviceAccountName: "", serviceAccount: "other" }),
  ),
  bad(
    BASELINE,
    "a part of a workflow's pod beside one that refers to itself",
    /^spec\.hostNetwork is true$/,
    workflow({ hostNetwork: true, podSpecPatch: "&a {b: *a}", templates: [] }),
  ),
];

export const ALIKE_STACKS: readonly BadStack[] = [...inRoutes, ...elsewhere];

/** Stacks that look like those. */
export const ALIKE_GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "what a preview does not know of a gateway, an Ingress or a Service yet": [
    gateway([listener("TCP", { port: 4222 })], { gatewayClassName: UNKNOWN }),
    tcp({ name: "nats", port: 4222 }),
  ],
  "annotations of a gateway that a preview does not know yet": [
    gateway([listener("TCP", { port: 4222 })], {}, { annotations: UNKNOWN }),
    tcp({ name: "nats", port: 4222 }),
    ingress(to("nats", { number: 8222 }), UNKNOWN),
    ingress({ ingressClassName: UNKNOWN, ...to("nats", { number: 8222 }) }),
    ingress({ ingressClassName: UNKNOWN, ...to("front", { number: 80 }) }),
    serving("front", [{ port: 80, targetPort: 8222 }]),
    istio({ tcp: [leadsTo({ host: "nats", port: { number: 4222 } })] }, UNKNOWN),
    traefik(UNKNOWN, 8222),
    k8s("core/v1:Service", {
      metadata: { annotations: UNKNOWN },
      spec: { type: "LoadBalancer", ports: [{ port: 4222 }] },
    }),
  ],
  "logins that are taken from elsewhere, and names that end like them": [
    deployment({ command: ["curl", "-u", "$(USER):$(PASS)", "http://x"] }),
    ...["-sfHUser-Agent:probe", "-xsquid:3128", "-dquery=status:open"].map((word) =>
      deployment({ command: ["curl", word, "http://x"] }),
    ),
    ...["--user=1000:nogroup", "-u 1000:1000; x", "(-u 1000:1000)"].map((word) =>
      deployment({ command: ["sh", "-c", `docker run ${word}`] }),
    ),
    ...["%NPM_TOKEN%", "@NPM_TOKEN@", "\\${NPM_TOKEN}", '"${NPM_TOKEN}"'].map((token) =>
      configMap({ ".npmrc": `//npm.example.org/:_authToken=${token}\n` }),
    ),
    deployment({ args: ["--user=1000:1000"] }),
    deployment({ command: ["sh", "-c", 'curl -su "admin:$PASS" http://x:8080/a; docker run -u 1000:1000 x'] }),
    deployment({
      env: [
        { name: "LOGIN_BYPASS", value: "path/a" },
        { name: "COMPASS", value: "north-by-west" },
      ],
    }),
    configMap({ ".npmrc": "//npm.example.org/:_authToken=${NPM_TOKEN}\n", "redis.conf": "requirepass $(PASS)\n" }),
  ],
  "sign-ins by an Ingress, or another kind, with TLS": [
    ingress({ tls: [{ secretName: "a" }], ...to("gateway", { number: 8090 }) }),
    ...Object.entries({
      "ingress.gcp.kubernetes.io/pre-shared-cert": "a",
      "alb.ingress.kubernetes.io/certificate-arn": "arn:aws:acm:a",
      "alb.ingress.kubernetes.io/listen-ports": '[{"HTTPS":443}]',
      "kubernetes.io/ingress.allow-http": "false",
      "nginx.ingress.kubernetes.io/force-ssl-redirect": "true",
      "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
      "traefik.ingress.kubernetes.io/router.tls": "true",
      "networking.gke.io/managed-certificates": UNKNOWN,
      "alb.ingress.kubernetes.io/scheme": "internal",
      "alb.ingress.kubernetes.io/ssl-redirect": "443",
      "appgw.ingress.kubernetes.io/use-private-ip": "true",
      "haproxy.org/ssl-redirect": "true",
      "konghq.com/protocols": "https, grpcs",
    }).map(([name, value]) => ingress(to("gateway", { number: 8090 }), { [name]: value })),
    ...["internal", "internal,websecure"].map((points) =>
      ingress(to("gateway", { number: 8090 }), { "traefik.ingress.kubernetes.io/router.entrypoints": points }),
    ),
    sends("on-wards", { redirectScheme: { scheme: "https" } }),
    ...["shop-on-wards@kubernetescrd", "web-compress@file, web-redirect-https@file"].map((called) =>
      ingress(to("gateway", { number: 8090 }), { "traefik.ingress.kubernetes.io/router.middlewares": called }),
    ),
    ...["cloudflare-tunnel", "ngrok", "tailscale"].map((ingressClassName) =>
      ingress({ ingressClassName, ...to("gateway", { number: 8090 }) }),
    ),
    ...[["g.acme.dev"], ["*.acme.dev"], [], UNKNOWN].map((hosts) =>
      ingress({ tls: [{ hosts: ["other.acme.dev"] }, { hosts }], ...forHost("g.acme.dev") }),
    ),
    ingress({ tls: [{ hosts: ["a.acme.dev"] }], ...to("gateway", { number: 8090 }) }),
    ingress(to("gateway", { number: 8090 }), UNKNOWN),
    ingress({ tls: UNKNOWN, ...to("gateway", { number: 8090 }) }),
    ingress({ ingressClassName: "nginx-internal", ...to("gateway", { number: 8090 }) }),
    ingress(to("shop", { number: 8090 })),
    k8s("networking.k8s.io/v1:IngressPatch", { metadata: { name: "a" }, spec: to("gateway", { number: 8090 }) }),
    contour({ virtualhost: { fqdn: "a.example", tls: { secretName: "a" } }, routes: [{ services: [SIGN_INS] }] }),
    contour({ routes: [{ services: [SIGN_INS] }] }),
    nginx({ upstreams: [{ name: "up", service: "gateway", port: 8090 }] }),
    openShift({ tls: { termination: "edge" }, to: { kind: "Service", name: "gateway" }, port: { targetPort: 8090 } }),
    k8s("route.openshift.io/v1:Route", {
      metadata: { namespace: "shop", annotations: { "cert-manager.io/issuer-name": "letsencrypt" } },
      spec: { to: { kind: "Service", name: "gateway" }, port: { targetPort: 8090 } },
    }),
  ],
  "a Service that calls a port as NATS does": [
    serving("shop", [{ name: "http", port: 80, targetPort: "monitor" }], ONE_POD),
    ingress(to("shop", { number: 80 })),
    route({ name: "shop", port: 80 }),
  ],
  "a Service of the route's namespace behind one that may be of it": [
    serving("web", [{ port: 80, targetPort: 8222 }], { namespace: null }),
    serving("web", [{ port: 80, targetPort: 3000 }], ONE_POD),
    ingress(to("web", { number: 80 })),
  ],
  "sign-ins that no listener without TLS takes": [
    gateway([
      listener("HTTP", { hostname: "plain.example.com" }),
      listener("HTTP", { hostname: "*.example.org" }),
      listener("HTTP", { allowedRoutes: { namespaces: { from: "Same" } } }),
      listener("HTTP", { allowedRoutes: undefined }),
      listener("HTTPS", { port: 443 }),
    ]),
    route(SIGN_INS, { hostnames: ["noetl.example.com"] }),
  ],
  "somebody else's Service at the port of sign-ins": [gateway([listener("HTTP")]), route({ name: "shop", port: 8090 })],
  "a port that a route asks for, and leads elsewhere": [
    istio({ http: [{ match: [{ name: "m", port: 8222 }], ...leadsTo({ host: "shop", port: { number: 80 } }) }] }),
  ],
  "a part of Istio's and Contour's routes where a login is asked for": [
    istio({ http: [leadsTo({ host: "noetl", port: { number: 8082 } })] }),
    contour({ routes: [{ services: [{ name: "noetl", port: 8082 }] }] }),
    openShift({ to: { name: "noetl" }, port: { targetPort: 8082 }, tls: { termination: "edge" } }),
  ],
  "routes for one's own network alone": [
    traefik(["internal", "private"], 8222),
    istio({ tcp: [leadsTo({ host: "nats", port: { number: 4222 } })] }, ["mesh"]),
    gateway([], { gatewayClassName: "gke-l7-rilb" }),
    set({ listeners: [listener("TCP", { port: 4222 })] }),
    tcp({ name: "nats", port: 4222 }, { parentRefs: [{ kind: "ListenerSet", name: "s" }] }),
  ],
  "a VirtualServer of nginx with TLS, and a login by Traefik": [
    nginx({
      upstreams: [{ name: "shop", service: "shop", port: 80 }],
      routes: [{ path: "/", action: { pass: "shop" } }],
    }),
    k8s("traefik.io/v1alpha1:Middleware", { spec: { basicAuth: { secret: "logins" } } }),
  ],
  "sign-ins by Traefik with TLS, for one's own network, and by what sends to TLS": [
    signIns({ entryPoints: ["web"], tls: {} }),
    signIns({ entryPoints: ["websecure"] }),
    signIns({ entryPoints: ["internal", "websecure"] }),
    signIns({ entryPoints: UNKNOWN }),
    signIns({ entryPoints: ["web"] }, { middlewares: [{ name: "to-tls" }] }),
    sends("to-tls", { redirectScheme: { scheme: "https" } }),
    signIns({ entryPoints: ["web"] }, { middlewares: [{ name: "redirect-https" }] }),
  ],
  "somebody else's pages by Traefik without TLS": [signIns({}, { services: [{ name: "shop", port: 80 }] })],
  "sign-ins by servers of Istio with TLS, by one that sends there, and by one of another name": [
    meshGateway(
      served({ name: "https", protocol: "HTTPS" }, { tls: { mode: "SIMPLE" } }),
      served({ name: "http", protocol: "HTTP" }, { tls: { httpsRedirect: true } }),
      served({ name: "shop", protocol: "HTTP" }, { hosts: ["shop.example.org"] }),
    ),
    istio({ hosts: ["noetl.example.com"], ...ASKED }),
  ],
  "names that end as those of credentials do, from a ConfigMap": [
    deployment({
      env: ["JWT_PUBLIC_KEY", "STRIPE_PUBLISHABLE_KEY", "PARTITION_KEY", "ALLOW_EMPTY_PASSWORD"].map((name) => ({
        name,
        valueFrom: { configMapKeyRef: { name: "settings", key: name } },
      })),
    }),
  ],
  "tolerations by keys that are called like credentials": [
    deployment({}, { tolerations: [{ key: "token", operator: "Equal", value: "gpu-a" }] }),
    deployment({}, { tolerations: [{ key: "api-key", value: "gpu-a" }] }),
    release({ tolerations: [{ key: "token", operator: "Equal", value: "gpu-a", effect: "NoSchedule" }] }),
  ],
  "webhooks elsewhere about other things than pods and rights": [
    webhook(["*/*"], OUTSIDE, { apiGroups: ["cert-manager.io"] }),
    webhook(["deployments"], OUTSIDE, { apiGroups: ["apps"], kind: "Validating" }),
    webhook(["pods"], "https://a.b.svc.cluster.local/mutate"),
  ],
  "a release into a namespace that every cluster has": [
    release({}, { createNamespace: true, namespace: "default" }),
    release({}, { createNamespace: true, namespace: "kube-system" }),
  ],
  "a chart of a registry with its version beside its name": [release({}, { chart: "oci://ghcr.io/x/app:1.2.3" })],
  "rules about others' pods, and reports of them": [
    k8s("policies.kubewarden.io/v1:ClusterAdmissionPolicy", { spec: { settings: { hostNetwork: true } } }),
    k8s("policy/v1beta1:PodSecurityPolicy", { spec: { hostNetwork: true, volumes: ["*"] } }),
    k8s("wgpolicyk8s.io/v1alpha2:PolicyReport", { results: [{ properties: { hostNetwork: true } }] }),
  ],
  "images of which somebody fills in a part that matters": [
    image("{{workflow.parameters.reg}}/x:{{workflow.parameters.tag}}"),
    image("{{workflow.parameters.reg}}/x:v1.2.3"),
    image("{{workflow.parameters.image}}"),
  ],
  "a list with an object that is none": [
    k8s("core/v1:List", {
      items: [
        { apiVersion: 5, kind: "x" },
        { apiVersion: {}, kind: [] },
      ],
    }),
  ],
  "a part of a workflow's pod that somebody computes": [
    workflow({ podSpecPatch: "terminationGracePeriodSeconds: {{=x}}", templates: [] }),
    workflow({ podSpecPatch: "&a {b: *a}", templates: [] }),
  ],
  "a pod whose account gives no token, by an empty name and by the older field": [
    silent("default"),
    silent("server"),
    quiet({ serviceAccountName: "" }),
    quiet({ serviceAccount: "server" }),
    quiet({ serviceAccountName: UNKNOWN }),
  ],
  "switches whose names are about passwords, in files and commands": [
    configMap({
      "start.sh": '#!/bin/sh\nexport ALLOW_EMPTY_PASSWORD="yes"\n',
      "app.properties": "allow.empty.password=on\n",
      "app.ini": "require-password = 1\n",
      "app.conf": "allow_empty_password off\n",
      "app.xml": "<a><allow-empty-password>true</allow-empty-password></a>",
    }),
    deployment({ args: ["--allow-empty-password=yes", "--require-password", "true"] }),
  ],
};
