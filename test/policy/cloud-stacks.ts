/** More stacks of the kinds of bad-stacks.ts: settings of Google Cloud that weaken a cluster, what lets everybody in by an account that anybody gets, and charts by other names. */
import { bad, type BadStack, type Example, google, k8s, limits, release, service, UNKNOWN } from "./bad-stacks";

const PUBLIC = "nothing-public";
const RIGHTS = "no-cluster-admin";

const GITHUB = "https://token.actions.githubusercontent.com";
const cluster = (props: object): Example =>
  google("container/cluster:Cluster", { masterAuthorizedNetworksConfig: {}, ...props });
const pool = (nodeConfig: object): Example => google("container/nodePool:NodePool", { nodeConfig });
const pooled = (props: object): Example =>
  google("iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider", props);
const aggregates = (selector: object): Example =>
  k8s("rbac.authorization.k8s.io/v1:ClusterRole", { aggregationRule: { clusterRoleSelectors: [selector] } });
const BOOTSTRAPPING = "kubernetes.io/bootstrapping";

const part = { merge: { resources: limits } };
const natsFrom = (chart: string, values: object = {}): Example =>
  release({ container: part, reloader: part, natsBox: { container: part }, ...values }, { chart });

/** Places where a chart nats may be had, each with its version. */
const SOURCES = [
  "https://charts.example.org/nats-2.14.2.tgz",
  "./vendor/nats-v2.14.2-rc.1+a.tgz",
  "https://charts.example.org/nats-2.14.2.tgz?sig=a/b#c",
  "oci://registry.example.org/charts/nats:2.14.2",
  `oci://registry.example.org/charts/nats@sha256:${"0a".repeat(32)}`,
];

export const CLOUD_STACKS: readonly BadStack[] = [
  ...SOURCES.map((chart) =>
    bad(
      "closed-services",
      `a load balancer before NATS of ${chart}`,
      /^values\.service\.merge\.spec\.type is LoadBalancer$/,
      natsFrom(chart, { service: { merge: { spec: { type: "LoadBalancer" } } } }),
    ),
  ),
  bad(
    PUBLIC,
    "a login for every repository of GitHub",
    /^attributeCondition is not set: everybody who gets a token of https:\/\/token\.actions/,
    pooled({ oidc: { issuerUri: GITHUB }, attributeMapping: { "google.subject": "assertion.sub" } }),
  ),
  bad(
    PUBLIC,
    "one whose condition asks nothing",
    /^attributeCondition is not set/,
    pooled({ oidc: { issuerUri: `${GITHUB}/` }, attributeCondition: "true" }),
  ),
  bad(
    PUBLIC,
    "a service that every project may connect to",
    /^spec\.connectionPreference is ACCEPT_AUTOMATIC/,
    k8s("networking.gke.io/v1:ServiceAttachment", {
      spec: { connectionPreference: "ACCEPT_AUTOMATIC", resourceRef: { kind: "Service", name: "nats" } },
    }),
  ),
  bad(
    PUBLIC,
    "the same without the cluster's object",
    /^connectionPreference is ACCEPT_AUTOMATIC/,
    google("compute/serviceAttachment:ServiceAttachment", { connectionPreference: "ACCEPT_AUTOMATIC" }),
  ),
  bad(
    PUBLIC,
    "half of the internet, by an address of class E",
    /^sourceRanges has 240\.0\.0\.0\/1$/,
    google("compute/firewall:Firewall", { sourceRanges: ["240.0.0.0/1"], allows: [{ protocol: "tcp" }] }),
  ),
  bad(
    RIGHTS,
    "roles for whoever has not logged in",
    /^rbacBindingConfig\.enableInsecureBindingSystemUnauthenticated lets/,
    cluster({ rbacBindingConfig: { enableInsecureBindingSystemUnauthenticated: true } }),
  ),
  bad(
    RIGHTS,
    "roles for every account of Google",
    /^rbacBindingConfig\.enableInsecureBindingSystemAuthenticated lets/,
    cluster({ rbacBindingConfig: { enableInsecureBindingSystemAuthenticated: true } }),
  ),
  bad(
    RIGHTS,
    "a kubelet that answers whoever asks, by a cluster's default",
    /^nodePoolDefaults\.nodeConfigDefaults\.insecureKubeletReadonlyPortEnabled shows/,
    cluster({ nodePoolDefaults: { nodeConfigDefaults: { insecureKubeletReadonlyPortEnabled: "TRUE" } } }),
  ),
  bad(
    RIGHTS,
    "the same of a pool of nodes",
    /^nodeConfig\.kubeletConfig\.insecureKubeletReadonlyPortEnabled shows/,
    pool({ kubeletConfig: { insecureKubeletReadonlyPortEnabled: "TRUE" } }),
  ),
  bad(
    RIGHTS,
    "the node's own login for each of its pods",
    /^nodeConfig\.workloadMetadataConfig\.mode gives every pod the login of its node$/,
    pool({ workloadMetadataConfig: { mode: "GCE_METADATA" } }),
  ),
  bad(
    RIGHTS,
    "a role of all that Kubernetes brings along, by what their label is not",
    /takes in every ClusterRole/,
    aggregates({ matchExpressions: [{ key: BOOTSTRAPPING, operator: "NotIn", values: ["none"] }] }),
  ),
  bad(
    "no-lasting-token",
    "a certificate of a cluster's client",
    /^masterAuth\.clientCertificateConfig\.issueClientCertificate makes/,
    cluster({ masterAuth: { clientCertificateConfig: { issueClientCertificate: true } } }),
  ),
];

/** What only looks like one of them. */
export const CLOUD_GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "logins of an issuer of one's own, by a condition, and by one that nobody knows yet": [
    pooled({ oidc: { issuerUri: "https://issuer.example.org" } }),
    pooled({ oidc: { issuerUri: GITHUB }, attributeCondition: "assertion.repository_owner_id == '1'" }),
    pooled({ oidc: { issuerUri: GITHUB }, attributeCondition: UNKNOWN }),
    pooled({ oidc: { issuerUri: `${GITHUB}/an-enterprise` } }),
    pooled({ oidc: { issuerUri: "https://oidc.circleci.com/org/00000000-0000-0000-0000-000000000000" } }),
    pooled({ aws: { accountId: "1" } }),
  ],
  "charts whose names begin like one of ours": [
    release({ service: { type: "LoadBalancer" } }, { chart: "https://charts.example.org/nats-ui-1.0.0.tgz" }),
    release({ service: { type: "LoadBalancer" } }, { chart: "./vendor/nats-2-ui.tgz" }),
  ],
  "a service that named projects may connect to": [
    k8s("networking.gke.io/v1:ServiceAttachment", { spec: { connectionPreference: "ACCEPT_MANUAL" } }),
  ],
  "a cluster that switches it all off": [
    cluster({
      enableLegacyAbac: false,
      rbacBindingConfig: {
        enableInsecureBindingSystemAuthenticated: false,
        enableInsecureBindingSystemUnauthenticated: false,
      },
      masterAuth: { clientCertificateConfig: { issueClientCertificate: false } },
      nodePoolDefaults: { nodeConfigDefaults: { insecureKubeletReadonlyPortEnabled: "FALSE" } },
    }),
    pool({ workloadMetadataConfig: { mode: "GKE_METADATA" } }),
  ],
  "ranges that are nobody's on the internet": [
    service({
      type: "LoadBalancer",
      loadBalancerSourceRanges: ["240.0.0.0/4", "248.0.0.0/5", "fc00::/7"],
      ports: [{ port: 4222 }],
    }),
  ],
  "roles by a label that the administrator's lacks, or that has another value": [
    aggregates({ matchExpressions: [{ key: BOOTSTRAPPING, operator: "NotIn", values: ["rbac-defaults"] }] }),
    aggregates({ matchExpressions: [{ key: BOOTSTRAPPING, operator: "In", values: UNKNOWN }] }),
    aggregates({ matchExpressions: UNKNOWN }),
  ],
};
