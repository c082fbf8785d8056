/** More stacks of the kinds of bad-stacks.ts: what teams bring along beside Deployments, such as workflows, routes of gateways and operators' objects. */
import {
  bad,
  type BadStack,
  CANARY,
  configMap,
  deployment,
  type Example,
  google,
  k8s,
  release,
  service,
  UNKNOWN,
  limits,
} from "./bad-stacks";

const CREDENTIALS = "no-plaintext-credentials";
const BASELINE = "pods-baseline";
const ROUTES = "closed-routes";
const RIGHTS = "no-cluster-admin";
const LATEST = "no-latest";

const container = (more: object = {}): object => ({ name: "a", image: "x:v1", resources: limits, ...more });
const privileged = container({ securityContext: { privileged: true } });
const workflow = (spec: object): Example => k8s("argoproj.io/v1alpha1:Workflow", { spec });
const template = (more: object): Example => workflow({ templates: [{ name: "a", ...more }] });
const task = (spec: object): Example => k8s("tekton.dev/v1:Task", { spec });
const cron = (pod: object): Example =>
  k8s("batch/v1:CronJob", { spec: { jobTemplate: { spec: { template: { spec: pod } } } } });

const inWorkflows: BadStack[] = [
  bad(
    BASELINE,
    "a workflow's container",
    /^spec\.templates\[0\]\.container\.securityContext\.privileged$/,
    template({ container: privileged }),
  ),
  bad(
    BASELINE,
    "one of its scripts",
    /script\.securityContext\.privileged$/,
    template({ script: { ...privileged, source: "x" } }),
  ),
  bad(
    BASELINE,
    "a sidecar of a workflow",
    /sidecars\[0\]\.securityContext/,
    template({ container: container(), sidecars: [privileged] }),
  ),
  bad(
    BASELINE,
    "a folder of the node in a workflow, and its network",
    /^spec\.hostNetwork is true\nspec\.volumes d is a hostPath$/,
    workflow({ hostNetwork: true, volumes: [{ name: "d", hostPath: { path: "/" } }], templates: [] }),
  ),
  bad(
    BASELINE,
    "a part of a workflow's pod, as text",
    /^spec\.podSpecPatch\.containers\[0\]\.securityContext\.privileged$/,
    workflow({ podSpecPatch: "containers:\n- name: main\n  command: [x]\n  securityContext: {privileged: true}\n" }),
  ),
  bad(BASELINE, "a task's step", /^spec\.steps\[0\]\.securityContext\.privileged$/, task({ steps: [privileged] })),
  bad(
    BASELINE,
    "what a task's steps have in common",
    /^spec\.stepTemplate\.securityContext/,
    task({ stepTemplate: { securityContext: { capabilities: { add: ["SYS_ADMIN"] } } }, steps: [container()] }),
  ),
  bad(
    BASELINE,
    "the pod of a task that runs",
    /^spec\.podTemplate\.hostNetwork is true$/,
    k8s("tekton.dev/v1:TaskRun", { spec: { podTemplate: { hostNetwork: true } } }),
  ),
  bad(
    BASELINE,
    "what an operator makes pods of",
    /^spec\.hostNetwork is true\nspec\.securityContext\.privileged$/,
    k8s("opentelemetry.io/v1beta1:OpenTelemetryCollector", {
      spec: { mode: "daemonset", hostNetwork: true, securityContext: { privileged: true } },
    }),
  ),
  bad(
    LATEST,
    "an image of a workflow",
    /container\.image is x:latest$/,
    template({ container: container({ image: "x:latest" }) }),
  ),
  bad(
    LATEST,
    "an image of a task without a tag",
    /^spec\.steps\[0\]\.image is busybox$/,
    task({ steps: [container({ image: "busybox" })] }),
  ),
  bad(
    LATEST,
    "an operator's image",
    /^spec\.image is otel:latest$/,
    k8s("opentelemetry.io/v1beta1:OpenTelemetryCollector", { spec: { image: "otel:latest", env: [] } }),
  ),
  bad(
    CREDENTIALS,
    "a command in a workflow's script",
    /script\.source holds a credential/,
    template({ script: { ...container(), source: `mysql -u root -p${CANARY} noetl` } }),
  ),
  bad(CREDENTIALS, "a command that the program runs on its own machine", /^create holds a credential/, {
    type: "command:local:Command",
    props: { create: `mysql -u root -p${CANARY} noetl` },
  }),
];

const IMAGES: Readonly<Record<string, string>> = {
  "a tag where a digest belongs": "noetl@latest",
  "a digest that is cut off": "noetl:v1@sha256:0a1b2c",
  "a branch's image for one system": "noetl:main-alpine",
  "the newest of a version": "noetl:v2-latest",
};

const inImages: BadStack[] = [
  ...Object.entries(IMAGES).map(([title, image]) =>
    bad(LATEST, title, new RegExp(`image is ${image}$`), deployment({ image })),
  ),
  bad(
    LATEST,
    "an image that is a volume",
    /^spec\.template\.spec\.volumes\[0\]\.image\.reference is models:latest$/,
    deployment({}, { volumes: [{ name: "m", image: { reference: "models:latest" } }] }),
  ),
  bad(
    LATEST,
    "a chart of a registry without a version",
    /chart app of a repository has no version/,
    release({}, { chart: "oci://ghcr.io/x/app" }),
  ),
  bad(
    LATEST,
    "one with a range of versions",
    /a range of versions/,
    release({}, { chart: "oci://ghcr.io/x/app", version: "~1.2.0" }),
  ),
];

const inPods: BadStack[] = [
  bad(
    CREDENTIALS,
    "psql's variable in an init container",
    /initContainers\[0\]\.env PGPASSWORD has the name/,
    deployment({}, { initContainers: [container({ env: [{ name: "PGPASSWORD", value: CANARY }] })] }),
  ),
  bad(
    CREDENTIALS,
    "a cloud's key before a CronJob's command",
    /command\[2\] holds/,
    cron({
      containers: [container({ command: ["sh", "-c", `AWS_SECRET_ACCESS_KEY=${CANARY} aws s3 sync /a s3://b`] })],
    }),
  ),
  bad(
    CREDENTIALS,
    "a password that a variable takes from a ConfigMap",
    /env DB_LOGIN takes a credential from ConfigMap db/,
    deployment({ env: [{ name: "DB_LOGIN", valueFrom: { configMapKeyRef: { name: "db", key: "db-password" } } }] }),
  ),
  bad(
    CREDENTIALS,
    "one from an annotation of the pod",
    /env APP takes a credential from a note on the pod/,
    deployment({
      env: [{ name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['example.org/api-key']" } } }],
    }),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a claim that a pod brings along",
    /volumeClaimTemplate\.metadata\.annotations\.example\.org\/password holds/,
    deployment(
      {},
      {
        volumes: [
          {
            name: "a",
            ephemeral: { volumeClaimTemplate: { metadata: { annotations: { "example.org/password": CANARY } } } },
          },
        ],
      },
    ),
  ),
  bad(
    CREDENTIALS,
    "variables in values by key",
    /extraEnv\[0\]\.value has the name/,
    release({ extraEnv: [{ key: "NATS_PASSWORD", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "variables in values as a map of maps",
    /env\.NATS_PASSWORD\.value has/,
    release({ env: { NATS_PASSWORD: { value: CANARY } } }),
  ),
  bad(
    BASELINE,
    "a claim's volume in a folder of the node's own programs",
    /^spec\.local: a folder/,
    k8s("core/v1:PersistentVolume", { spec: { local: { path: "/var/lib/kubelet/pods" } } }),
  ),
];

const namespace = (labels: object, type = "Namespace"): Example =>
  k8s(`core/v1:${type}`, { metadata: { name: "noetl", labels } });
const ENFORCE = "pod-security.kubernetes.io/enforce";
const binding = (subject: object): Example =>
  k8s("rbac.authorization.k8s.io/v1:RoleBinding", { roleRef: { name: "view" }, subjects: [subject] });
const webhook = (resources: readonly string[], clientConfig: object): Example =>
  k8s("admissionregistration.k8s.io/v1:MutatingWebhookConfiguration", {
    webhooks: [{ name: "a", clientConfig, rules: [{ apiGroups: ["*"], resources }] }],
  });

const inRights: BadStack[] = [
  bad(
    "namespaces-enforce",
    "a patch that weakens a namespace",
    /is "privileged"$/,
    namespace({ [ENFORCE]: "privileged" }, "NamespacePatch"),
  ),
  bad(
    "namespaces-declared",
    "a namespace that a release makes",
    /^createNamespace makes shop without label/,
    release({}, { createNamespace: true, namespace: "shop" }),
  ),
  bad(
    RIGHTS,
    "a role for an account that every pod of another namespace has",
    /ServiceAccount default: every pod/,
    binding({ kind: "ServiceAccount", name: "default", namespace: "shop" }),
  ),
  bad(
    RIGHTS,
    "a role for all accounts of a namespace",
    /system:serviceaccounts:shop: every pod/,
    binding({ kind: "Group", name: "system:serviceaccounts:shop" }),
  ),
  bad(
    RIGHTS,
    "a webhook elsewhere that is shown every Secret",
    /^webhooks\[0\]\.clientConfig\.url is outside/,
    webhook(["pods", "secrets"], { url: "https://hooks.example.com/mutate" }),
  ),
  bad(
    "no-lasting-token",
    "a token of an account without an end",
    /a token of a ServiceAccount/,
    k8s("core/v1:Secret", { type: "kubernetes.io/service-account-token", metadata: { name: "a" } }),
  ),
  bad(
    "no-lasting-token",
    "a key of a cloud's account",
    /a key of a service account/,
    google("serviceaccount/key:Key", {}),
  ),
];

const gateway = (listeners: readonly object[], more: object = {}): Example =>
  k8s("gateway.networking.k8s.io/v1:Gateway", {
    metadata: { name: "g", namespace: "edge" },
    spec: { gatewayClassName: "gke-l7-global-external-managed", listeners, ...more },
  });
const allowedRoutes = { namespaces: { from: "All" } };
const CLEAR = { name: "http", protocol: "HTTP", port: 80, allowedRoutes };
const SAFE = { name: "https", protocol: "HTTPS", port: 443, allowedRoutes };
const HANGS = { name: "g", namespace: "edge" };
const route = (kind: string, backend: object, parent: object = HANGS): Example =>
  k8s(`gateway.networking.k8s.io/v1:${kind}`, {
    metadata: { name: "r", namespace: "nats" },
    spec: { parentRefs: [parent], rules: [{ backendRefs: [backend] }] },
  });
/** A Service that gives a port another number. */
const mapped = (port: number, targetPort: unknown): Example =>
  k8s("core/v1:Service", { metadata: { name: "front", namespace: "nats" }, spec: { ports: [{ port, targetPort }] } });

const OPEN: BadStack[] = [
  bad(
    ROUTES,
    "a route to NATS' monitoring",
    /^spec leads to NATS' monitoring \(Service nats, port 8222\)$/,
    route("HTTPRoute", { name: "nats", port: 8222 }),
  ),
  bad(ROUTES, "a route of TCP to NATS", /leads to NATS \(/, route("TCPRoute", { name: "nats", port: 4222 })),
  bad(ROUTES, "one of TLS to Postgres", /leads to Postgres/, route("TLSRoute", { name: "db", port: 5432 })),
  bad(
    ROUTES,
    "one of TCP to NoETL's API, where nobody can ask for a login",
    /leads to NoETL's API/,
    route("TCPRoute", { name: "noetl", port: 8082 }),
  ),
  bad(
    ROUTES,
    "a route to a Service that leads on to NATS",
    /leads to NATS' monitoring \(Service front, port 80\)/,
    route("HTTPRoute", { name: "front", port: 80 }),
    mapped(80, 8222),
  ),
  bad(
    ROUTES,
    "an Ingress to such a Service",
    /leads to NATS \(Service front, port 80\)/,
    mapped(80, "nats"),
    k8s("networking.k8s.io/v1:Ingress", {
      metadata: { namespace: "nats" },
      spec: { defaultBackend: { service: { name: "front", port: { number: 80 } } } },
    }),
  ),
  bad(
    ROUTES,
    "a listener for NATS",
    /^spec\.listeners tcp opens NATS/,
    gateway([{ name: "tcp", protocol: "TCP", port: 4222 }]),
  ),
  bad(
    ROUTES,
    "sign-ins by a listener without TLS",
    /^listener http of Gateway g has no TLS/,
    gateway([CLEAR, SAFE]),
    route("HTTPRoute", { name: "gateway", port: 8090 }),
  ),
  bad(
    ROUTES,
    "a route of Traefik",
    /leads to Postgres \(Service postgres, port 5432\)/,
    k8s("traefik.io/v1alpha1:IngressRouteTCP", {
      spec: { routes: [{ services: [{ name: "postgres", port: 5432 }] }] },
    }),
  ),
  bad(
    ROUTES,
    "a route of Istio",
    /leads to NATS \(Service nats, port 4222\)/,
    k8s("networking.istio.io/v1:VirtualService", {
      spec: {
        gateways: ["edge/public"],
        tcp: [{ route: [{ destination: { host: "nats.nats.svc.cluster.local", port: { number: 4222 } } }] }],
      },
    }),
  ),
  bad(
    ROUTES,
    "a route of OpenShift",
    /leads to NATS' monitoring/,
    k8s("route.openshift.io/v1:Route", { spec: { to: { kind: "Service", name: "nats" }, port: { targetPort: 8222 } } }),
  ),
];

export const TEAM_STACKS: readonly BadStack[] = [...inWorkflows, ...inImages, ...inPods, ...inRights, ...OPEN];

const DIGEST = `sha256:${"0a".repeat(32)}`;

/** A server of NoETL whose pod says nothing of a token. */
const quiet = (account?: string): Example => {
  const { props } = deployment({ securityContext: { readOnlyRootFilesystem: true } }, { serviceAccountName: account });
  const { template } = props.spec as { template: object };
  return k8s("apps/v1:Deployment", {
    metadata: { namespace: "noetl" },
    spec: { template: { ...template, metadata: { labels: { app: "noetl-server" } } } },
  });
};
const account = (name: string): Example =>
  k8s("core/v1:ServiceAccount", { metadata: { name, namespace: "noetl" }, automountServiceAccountToken: false });

/** Stacks that look like those. */
export const TEAM_GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "workflows and tasks that somebody fills in, and have what they need": [
    workflow({
      volumes: [{ name: "s", secret: { secretName: "a" } }],
      podSpecPatch: '{"terminationGracePeriodSeconds": {{inputs.parameters.grace}}}',
      templates: [
        {
          name: "a",
          inputs: { parameters: [{ name: "image", value: "x:v1" }] },
          container: container({
            image: "{{inputs.parameters.image}}",
            args: ["--token-file", "/run/t"],
            securityContext: { capabilities: { drop: ["ALL"] } },
          }),
        },
      ],
    }),
    task({
      steps: [
        container({
          image: "$(params.image)",
          script: '#!/bin/sh\nexport TOKEN="$(cat /run/t)"\ncurl -u "$USER:$TOKEN" x\n',
        }),
      ],
    }),
  ],
  "operators' objects that name a version beside the image, and a policy about images": [
    k8s("monitoring.coreos.com/v1:Prometheus", {
      spec: {
        image: "quay.io/prometheus/prometheus",
        version: "v3.1.0",
        resources: limits,
        securityContext: { runAsNonRoot: true },
      },
    }),
    k8s("kyverno.io/v1:ClusterPolicy", {
      spec: {
        rules: [
          {
            validate: {
              pattern: {
                spec: {
                  hostNetwork: true,
                  initContainers: [{ image: "x:latest", securityContext: { privileged: true } }],
                },
              },
            },
          },
        ],
      },
    }),
  ],
  "routes to the gateway with TLS, to NoETL's API that has IAP, and for one's own network": [
    gateway([CLEAR, SAFE]),
    route("HTTPRoute", { name: "gateway", port: 8090 }, { ...HANGS, sectionName: "https" }),
    route("HTTPRoute", { name: "noetl", port: 8082 }, { ...HANGS, port: 443 }),
    route("HTTPRoute", { name: "nats", port: 8222 }, { name: "internal" }),
    route("TCPRoute", { name: "nats", port: 4222 }, { kind: "Service", group: "", name: "nats" }),
    route("TCPRoute", { name: "nats", port: 4222 }, { name: UNKNOWN }),
    route("HTTPRoute", { name: "front", port: 80 }),
    mapped(80, 3000),
    k8s("networking.istio.io/v1:VirtualService", {
      spec: { hosts: ["nats"], tcp: [{ route: [{ destination: { host: "nats", port: { number: 4222 } } }] }] },
    }),
    k8s("gateway.networking.k8s.io/v1:HTTPRoute", {
      spec: {
        parentRefs: [HANGS],
        rules: [{ filters: [{ type: "RequestRedirect", requestRedirect: { scheme: "https", port: 443 } }] }],
      },
    }),
  ],
  "routes of a Gateway of an internal class": [
    gateway([CLEAR, { name: "tcp", protocol: "TCP", port: 4222 }], { gatewayClassName: "gke-l7-rilb" }),
    route("TCPRoute", { name: "nats", port: 4222 }),
  ],
  "pods whose account gives no token": [account("server"), quiet("server"), account("default"), quiet()],
  "images by tag and digest, and what a preview does not know of one": [
    deployment({ image: `ghcr.io/noetl/noetl:v2.8.9@${DIGEST}` }),
    deployment({ image: `noetl@${UNKNOWN}` }),
    deployment(
      { image: "noetl:stable-20260301" },
      { volumes: [{ name: "m", image: { reference: `models@${DIGEST}` } }] },
    ),
    release({}, { chart: `oci://ghcr.io/x/app@${DIGEST}` }),
  ],
  "switches whose names are about passwords, and lists by key": [
    deployment(
      {
        env: [
          { name: "ALLOW_EMPTY_PASSWORD", value: "yes" },
          { name: "DB_USER", valueFrom: { configMapKeyRef: { name: "db", key: "user" } } },
          { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        ],
      },
      { tolerations: [{ key: "example.org/token", operator: "Equal", value: "true" }] },
    ),
    configMap({ "app.env": "ALLOW_EMPTY_PASSWORD=yes\nSUDO='ALL=(ALL) NOPASSWD: ALL'\n" }),
    release({ auth: { password: { value: "$(DB_PASSWORD)" }, enabled: true } }),
  ],
  "a namespace of the program's that a release is told to make, and a patch of another thing": [
    namespace({ [ENFORCE]: "restricted" }),
    namespace({ team: "data" }, "NamespacePatch"),
    release({}, { createNamespace: true, namespace: "noetl" }),
  ],
  "a webhook in the cluster, one about somebody's own kind, and an account of another namespace": [
    webhook(["pods"], { service: { name: "a", namespace: "b" } }),
    webhook(["pods"], { url: "https://a.b.svc:443/mutate" }),
    webhook(["playbooks"], { url: "https://hooks.example.com/mutate" }),
    binding({ kind: "ServiceAccount", name: "prometheus", namespace: "monitoring" }),
    k8s("core/v1:PersistentVolume", { spec: { local: { path: "/mnt/disks/ssd0" } } }),
    service({ type: "ClusterIP", ports: [{ port: 4222 }] }),
  ],
};
