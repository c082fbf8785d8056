/** More stacks of the kinds of bad-stacks.ts: objects in lists and in other objects, what pods take of Secrets, and ways in beside Services. */
import { bad, type BadStack, CANARY, configMap, deployment, type Example, k8s, service, limits } from "./bad-stacks";

const CREDENTIALS = "no-plaintext-credentials";
const BASELINE = "pods-baseline";
const CLOSED = "closed-services";
const ADMINISTRATOR = "administrator-apart";

const privileged = { name: "a", image: "x:v1", resources: limits, securityContext: { privileged: true } };
const aggregates = (selector: object): Example =>
  k8s("rbac.authorization.k8s.io/v1:ClusterRole", { aggregationRule: { clusterRoleSelectors: [selector] } });
const BOOTSTRAPPING = "kubernetes.io/bootstrapping";

const inLists: BadStack[] = [
  bad(
    BASELINE,
    "a pod in a List",
    /^spec\.containers\[0\]\.securityContext\.privileged$/,
    k8s("core/v1:List", { items: [{ apiVersion: "v1", kind: "Pod", spec: { containers: [privileged] } }] }),
  ),
  bad(
    BASELINE,
    "a Deployment in a list of its kind, whose items do not say it",
    /^spec\.template\.spec\.hostNetwork is true$/,
    k8s("apps/v1:DeploymentList", { items: [deployment({}, { hostNetwork: true }).props] }),
  ),
  bad(
    "no-cluster-admin",
    "a binding in a list",
    /^roleRef is cluster-admin$/,
    k8s("rbac.authorization.k8s.io/v1:ClusterRoleBindingList", {
      items: [{ roleRef: { name: "cluster-admin" }, subjects: [{ name: "x" }] }],
    }),
  ),
  bad(
    CREDENTIALS,
    "a ConfigMap in a list",
    /^data\.PASSWORD has the name of a credential, and everybody/,
    k8s("core/v1:ConfigMapList", { items: [{ data: { PASSWORD: CANARY } }] }),
  ),
];

const inOtherKinds: BadStack[] = [
  bad(
    BASELINE,
    "a pod anywhere in a custom resource",
    /^spec\.roles\[1\]\.podTemplate\.spec\.containers\[0\]\.securityContext\.privileged$/,
    k8s("example.com/v1:Cluster", {
      spec: { roles: [{ name: "a" }, { podTemplate: { spec: { containers: [privileged] } } }] },
    }),
  ),
  bad(
    BASELINE,
    "a sidecar among the init containers",
    /initContainers\[0\]\.securityContext\.privileged$/,
    deployment({}, { initContainers: [{ ...privileged, restartPolicy: "Always", readinessProbe: {} }] }),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a Service",
    /^metadata\.annotations\.example\.org\/password has the name/,
    service({ ports: [{ port: 80 }] }, { "example.org/password": CANARY }),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a CronJob's jobs",
    /^spec\.jobTemplate\.metadata\.annotations\.example\.org\/token holds/,
    k8s("batch/v1:CronJob", {
      spec: {
        jobTemplate: {
          metadata: { annotations: { "example.org/token": CANARY } },
          spec: { template: { spec: { containers: [{ name: "a", image: "x:v1", resources: limits }] } } },
        },
      },
    }),
  ),
  bad(
    CREDENTIALS,
    "a header that an Ingress adds",
    /configuration-snippet holds/,
    k8s("networking.k8s.io/v1:Ingress", {
      metadata: {
        annotations: {
          "nginx.ingress.kubernetes.io/configuration-snippet": `proxy_set_header Authorization "Bearer ${CANARY}";`,
        },
      },
    }),
  ),
  bad(
    "no-cluster-admin",
    "every role but some",
    /takes in every ClusterRole/,
    aggregates({ matchExpressions: [{ key: "example.org/none", operator: "DoesNotExist" }] }),
  ),
  bad(
    "no-cluster-admin",
    "the roles that Kubernetes brings along",
    /takes in every ClusterRole/,
    aggregates({ matchLabels: { [BOOTSTRAPPING]: "rbac-defaults" } }),
  ),
];

const ingress = (backend: object, more: object = {}): Example =>
  k8s("networking.k8s.io/v1:Ingress", {
    spec: { rules: [{ host: "a", http: { paths: [{ path: "/", backend: { service: backend } }] } }] },
    ...more,
  });

const certified = { metadata: { annotations: { "networking.gke.io/managed-certificates": "gateway" } } };

const OPEN: BadStack[] = [
  bad(
    CLOSED,
    "an Ingress before NATS' monitoring",
    /^spec leads to NATS' monitoring \(Service nats-headless, port 8222\)$/,
    ingress({ name: "nats-headless", port: { number: 8222 } }),
  ),
  bad(
    CLOSED,
    "one by the name of the port, as the default",
    /^spec leads to NATS \(Service nats, port nats\)$/,
    k8s("networking.k8s.io/v1:Ingress", {
      spec: { defaultBackend: { service: { name: "nats", port: { name: "nats" } } } },
    }),
  ),
  bad(
    CLOSED,
    "ranges that are everybody together",
    /opens NATS/,
    service({
      type: "LoadBalancer",
      loadBalancerSourceRanges: Array.from({ length: 256 }, (_, index) => `${index}.0.0.0/8`),
      ports: [{ port: 4222 }],
    }),
  ),
  bad(
    CLOSED,
    "the same in the annotation of old",
    /opens NATS/,
    service(
      { type: "LoadBalancer", ports: [{ port: 4222 }] },
      { "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, 0.0.0.0/0" },
    ),
  ),
];

/** A workload of this project's, with a file system that it cannot write to and no token. */
const workload = (app: string, spec: object, pod: object = {}): Example => {
  const container = {
    name: app,
    image: "noetl:v1",
    resources: limits,
    readinessProbe: {},
    livenessProbe: {},
    securityContext: { readOnlyRootFilesystem: true },
    ...spec,
  };
  return k8s("apps/v1:Deployment", {
    metadata: { namespace: "noetl" },
    spec: {
      template: {
        metadata: { labels: { app } },
        spec: { automountServiceAccountToken: false, containers: [container], ...pod },
      },
    },
  });
};
const auth = (entries: readonly string[], namespace = "noetl"): Example =>
  k8s("core/v1:Secret", {
    metadata: { name: "db", namespace },
    // A rule about names needs no values.
    data: Object.fromEntries(entries.map((entry) => [entry, ""])),
  });
const volume = (source: object) => ({ volumes: [{ name: "db", ...source }] });

const LOGINS: BadStack[] = [
  bad(
    ADMINISTRATOR,
    "a server that takes in all of the administrator's Secret",
    /^spec\.template\.spec\.containers\[0\]\.envFrom\[0\] takes in all of Secret db, POSTGRES_PASSWORD among it$/,
    auth(["POSTGRES_PASSWORD", "NOETL_PASSWORD"]),
    workload("noetl-server", { envFrom: [{ secretRef: { name: "db" } }] }),
  ),
  bad(
    ADMINISTRATOR,
    "a worker that takes that entry, of a Secret that somebody else makes",
    /env takes postgres-password of Secret other$/,
    workload("noetl-worker", {
      env: [{ name: "DB_LOGIN", valueFrom: { secretKeyRef: { name: "other", key: "postgres-password" } } }],
    }),
  ),
  ...[{ secret: { secretName: "db" } }, { projected: { sources: [{ secret: { name: "db" } }] } }].map((source, index) =>
    bad(
      ADMINISTRATOR,
      `a gateway that mounts it, in way ${index + 1}`,
      /volumes db takes in all of Secret db/,
      auth(["superuser-password"]),
      workload("gateway", {}, volume(source)),
    ),
  ),
  bad(
    ADMINISTRATOR,
    "a server that mounts that entry alone",
    /volumes db takes POSTGRES_PASSWORD of Secret db$/,
    auth(["POSTGRES_PASSWORD"]),
    workload(
      "noetl-server",
      {},
      volume({ secret: { secretName: "db", items: [{ key: "POSTGRES_PASSWORD", path: "p" }] } }),
    ),
  ),
  bad(
    "no-needless-token",
    "a server with a token of Kubernetes",
    /^spec\.template\.spec\.automountServiceAccountToken is not false$/,
    workload("noetl-server", {}, { automountServiceAccountToken: undefined }),
  ),
  bad(
    "no-needless-token",
    "one that is mounted by hand",
    /volumes t is a token for the API server$/,
    workload(
      "gateway",
      {},
      { volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }] },
    ),
  ),
];

export const OBJECT_STACKS: readonly BadStack[] = [...inLists, ...inOtherKinds, ...OPEN, ...LOGINS];

const jwt = (head: object): string =>
  [head, { jti: "ABCDEFGHIJKLMN" }, { sig: "ABCDEFGHIJKLMN" }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");

/** Stacks that look like those. */
export const OBJECT_GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "accounts of NATS, whose tokens say who they are": [
    configMap({ "resolver.conf": `operator: ${jwt({ typ: "JWT", alg: "ed25519-nkey" })}` }),
  ],
  "a load balancer for the ranges of its annotation": [
    service(
      { type: "LoadBalancer", ports: [{ port: 4222 }] },
      { "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8,192.0.2.0/24" },
    ),
  ],
  "an Ingress before the gateway, one before NoETL's API, which has IAP, and one for the network alone": [
    ingress({ name: "gateway", port: { number: 8090 } }, certified),
    ingress({ name: "noetl", port: { number: 8082 } }, certified),
    ingress(
      { name: "nats", port: { number: 8222 } },
      { metadata: { annotations: { "kubernetes.io/ingress.class": "gce-internal" } } },
    ),
  ],
  "pods that take what is theirs": [
    auth(["POSTGRES_PASSWORD", "NOETL_PASSWORD"]),
    auth(["POSTGRES_PASSWORD"], "postgres"),
    workload("noetl-server", {
      env: [{ name: "NOETL_PASSWORD", valueFrom: { secretKeyRef: { name: "db", key: "NOETL_PASSWORD" } } }],
      envFrom: [{ secretRef: { name: "of-its-own" } }],
    }),
    workload("gateway", {}, volume({ secret: { secretName: "db", items: [{ key: "NOETL_PASSWORD", path: "p" }] } })),
    workload("noetl-worker", {}, { automountServiceAccountToken: true }),
    workload(
      "noetl-server",
      {},
      { volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: { audience: "vault", path: "t" } }] } }] },
    ),
    workload("backup", { envFrom: [{ secretRef: { name: "db" } }] }),
  ],
  "a definition of a kind whose objects have containers, and roles by a label": [
    k8s("apiextensions.k8s.io/v1:CustomResourceDefinition", {
      spec: { versions: [{ schema: { example: { containers: [privileged] } } }] },
    }),
    aggregates({ matchLabels: { [BOOTSTRAPPING]: "rbac-defaults", "example.org/aggregate": "true" } }),
    aggregates({ matchExpressions: [{ key: "example.org/aggregate", operator: "Exists" }] }),
  ],
  "lists of harmless objects, and one that a preview does not know": [
    k8s("core/v1:List", { items: [{ apiVersion: "v1", kind: "ConfigMap", data: { a: "b" } }] }),
    k8s("core/v1:ConfigMapList", { items: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" }),
  ],
  "what only looks like a pod: an overlay, a pattern, a list of its own kind, an entry of somebody else's Secret, roles that nobody knows yet":
    [
      k8s("monitoring.coreos.com/v1:Prometheus", { spec: { containers: [{ name: "prometheus", args: ["--x"] }] } }),
      k8s("kyverno.io/v1:ClusterPolicy", {
        spec: { rules: [{ validate: { pattern: { spec: { containers: [{ image: "!*:latest" }] } } } }] },
      }),
      k8s("example.org/v1:AllowList", { spec: { a: "b" }, items: ["a"] }),
      workload("noetl-server", {
        env: [{ name: "DB_LOGIN", valueFrom: { secretKeyRef: { name: "other", key: "POSTGRES_PASSWORD" } } }],
      }),
      aggregates({ matchLabels: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" }),
      ingress({ name: "grafana", port: { name: "monitor" } }),
      configMap({ "README.md": "Requests carry an Authorization Bearer header." }),
    ],
  "notes in annotations of every kind": [
    service({ ports: [{ port: 80 }] }, { "checksum/secret": "0a".repeat(32), "example.org/inject-token": "true" }),
  ],
};
