/**
 * Stacks that a reviewer would send back, each bad in one way, and good ones beside them that look alike. Data alone: what a rule sees
 * of each resource. `CANARY` stands for a credential, which no rule may repeat.
 */
import { Secret } from "@pulumi/policy";
import type { Manifest } from "../../policy/resource";

export const CANARY = "Canary-7f3a";
/** What the engine has in the place of a text that it does not know yet. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** A resource by its type and inputs; a release also by what its chart renders. */
export interface Example {
  readonly type: string;
  readonly props: Record<string, unknown>;
  readonly renders?: readonly Manifest[];
}

export interface BadStack {
  readonly title: string;
  readonly rule: string;
  readonly stack: readonly Example[];
  readonly says: RegExp;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

export const k8s = (type: string, props: object): Example => ({ type: `kubernetes:${type}`, props: { ...props } });
export const configMap = (data: object, more: object = {}): Example => k8s("core/v1:ConfigMap", { data, ...more });
export const limits = { requests: { cpu: "1", memory: "1Gi" }, limits: { memory: "1Gi" } };
const probe = { httpGet: { path: "/health", port: 80 } };
const container = (spec: object): object => ({
  name: "app",
  image: "noetl:v1",
  resources: limits,
  readinessProbe: probe,
  livenessProbe: probe,
  ...spec,
});
export const deployment = (spec: object, pod: object = {}, type = "apps/v1:Deployment"): Example =>
  k8s(type, { spec: { template: { spec: { containers: [container(spec)], ...pod } } } });
export const release = (values: object, more: object = {}): Example =>
  k8s("helm.sh/v3:Release", { chart: "app", values, ...more });
const natsChart = (values: object): Example => {
  const part = { merge: { resources: limits } };
  return release({ container: part, reloader: part, natsBox: { container: part }, ...values }, { chart: "nats" });
};
/** A release whose values are harmless, and whose chart is not. */
const renders = (...manifests: object[]): Example => ({
  ...release({}),
  renders: manifests.map((each) => ({ metadata: { name: "app" }, ...each }) as unknown as Manifest),
});
const renderedPod = (spec: object, pod: object = {}) =>
  renders({
    apiVersion: "apps/v1",
    kind: "Deployment",
    spec: { template: { spec: { containers: [container(spec)], ...pod } } },
  });
export const service = (spec: object, annotations: object = {}): Example =>
  k8s("core/v1:Service", { metadata: { annotations }, spec });
const role = (rule: object): Example => k8s("rbac.authorization.k8s.io/v1:ClusterRole", { rules: [rule] });
const binding = (roleRef: string, subject: string, kind = "ClusterRoleBinding"): Example =>
  k8s(`rbac.authorization.k8s.io/v1:${kind}`, { roleRef: { name: roleRef }, subjects: [{ name: subject }] });
export const google = (type: string, props: object): Example => ({ type: `gcp:${type}`, props: { ...props } });
const noetl = (server: object = {}): Example =>
  k8s("helm.sh/v3:Release", { chart: "./charts/noetl", values: { config: { server, worker: server } } });
const contract = (args: object): Example => ({
  type: "pulumi-nodejs:dynamic/noetl-nats:StreamContract",
  props: { ...args },
});
const PROVIDER: Example = { type: "pulumi:providers:gcp", props: {} };

const CREDENTIALS = "no-plaintext-credentials";
/** One bad stack: the rule that it breaks, what makes it bad, and what the rule says of it. */
export const bad = (rule: string, title: string, says: RegExp, ...stack: Example[]): BadStack => ({
  title,
  rule,
  says,
  stack,
});

const inCommands: BadStack[] = [
  bad(
    CREDENTIALS,
    "an option and its value as two arguments",
    /args\[1\] holds/,
    deployment({ args: ["--password", CANARY] }),
  ),
  bad(CREDENTIALS, "a short option's word", /args\[0\] holds/, deployment({ args: [`--pass=${CANARY}`] })),
  bad(
    CREDENTIALS,
    "a shell command that sets a variable",
    /command\[2\] holds/,
    deployment({ command: ["sh", "-c", `PGPASSWORD=${CANARY} psql -h db`] }),
  ),
  bad(
    CREDENTIALS,
    "curl's user",
    /command\[2\]/,
    deployment({ command: ["sh", "-c", `curl -u noetl:${CANARY} http://x`] }),
  ),
  bad(
    CREDENTIALS,
    "SQL in a command",
    /command\[2\]/,
    deployment({ command: ["psql", "-c", `ALTER ROLE noetl PASSWORD '${CANARY}'`] }),
  ),
  bad(
    CREDENTIALS,
    "a probe's command",
    /livenessProbe\.exec\.command\[2\]/,
    deployment({ livenessProbe: { exec: { command: ["nats", "--password", CANARY] } } }),
  ),
  bad(
    CREDENTIALS,
    "a hook's command",
    /lifecycle\.preStop\.exec\.command\[0\]/,
    deployment({ lifecycle: { preStop: { exec: { command: [`nats://u:${CANARY}@nats:4222`] } } } }),
  ),
  bad(
    CREDENTIALS,
    "a probe's header",
    /httpHeaders\[0\]\.value holds/,
    deployment({
      readinessProbe: {
        httpGet: { port: 1, httpHeaders: [{ name: "Authorization", value: `Basic ${base64(CANARY)}` }] },
      },
    }),
  ),
];

const inEnvironment: BadStack[] = [
  bad(CREDENTIALS, "DB_PASS", /env DB_PASS has the name/, deployment({ env: [{ name: "DB_PASS", value: CANARY }] })),
  bad(CREDENTIALS, "ADMIN_PWD", /env ADMIN_PWD has/, deployment({ env: [{ name: "ADMIN_PWD", value: CANARY }] })),
  bad(
    CREDENTIALS,
    "JSON in a variable of another name",
    /env APP_CONFIG assigns/,
    deployment({ env: [{ name: "APP_CONFIG", value: JSON.stringify({ db: { user: "u", password: CANARY } }) }] }),
  ),
  bad(
    CREDENTIALS,
    "a patch of a Deployment",
    /env TOKEN has the name/,
    deployment({ env: [{ name: "TOKEN", value: CANARY }] }, {}, "apps/v1:DeploymentPatch"),
  ),
  bad(
    CREDENTIALS,
    "a container for looking around",
    /ephemeralContainers\[0\]\.env/,
    deployment({}, { ephemeralContainers: [container({ env: [{ name: "TOKEN", value: CANARY }] })] }),
  ),
  bad(
    CREDENTIALS,
    "a workload of another kind",
    /env\[0\]\.value has the name/,
    k8s("argoproj.io/v1alpha1:Rollout", {
      spec: { template: { spec: { containers: [container({ env: [{ name: "NATS_PASSWORD", value: CANARY }] })] } } },
    }),
  ),
];

const inFiles: BadStack[] = [
  bad(
    CREDENTIALS,
    "nats.conf on one line",
    /data\.nats\.conf assigns/,
    configMap({ "nats.conf": `authorization { users: [ { user: noetl, password: ${CANARY} } ] }` }),
  ),
  bad(
    CREDENTIALS,
    "pass: in nats.conf",
    /assigns/,
    configMap({ "nats.conf": `authorization {\n  user: a\n  pass: ${CANARY}\n}` }),
  ),
  bad(
    CREDENTIALS,
    "a token in nats.conf",
    /assigns/,
    configMap({ "nats.conf": `authorization: { token: ${CANARY} }` }),
  ),
  bad(
    CREDENTIALS,
    "a shell script",
    /run\.sh assigns/,
    configMap({ "run.sh": `#!/bin/sh\nexport NATS_PASSWORD=${CANARY}\nnats pub` }),
  ),
  bad(
    CREDENTIALS,
    "a Python script",
    /main\.py assigns/,
    configMap({ "main.py": `password = "${CANARY}"\nconnect(password)` }),
  ),
  bad(
    CREDENTIALS,
    "SQL",
    /init\.sql assigns/,
    configMap({ "init.sql": `CREATE ROLE noetl LOGIN PASSWORD '${CANARY}';` }),
  ),
  bad(CREDENTIALS, "PgBouncer's logins", /userlist\.txt assigns/, configMap({ "userlist.txt": `"noetl" "${CANARY}"` })),
  bad(CREDENTIALS, "psql's logins", /\.pgpass assigns/, configMap({ ".pgpass": `db:5432:noetl:noetl:${CANARY}` })),
  bad(
    CREDENTIALS,
    "a file in base64",
    /^binaryData\.app\.conf assigns/,
    configMap({}, { binaryData: { "app.conf": base64(`db\npassword: ${CANARY}`) } }),
  ),
  bad(
    CREDENTIALS,
    "a registry's login",
    /private key/,
    configMap({ "config.json": `{"auths":{"ghcr.io":{"auth":"${base64(CANARY)}"}}}` }),
  ),
  bad(
    CREDENTIALS,
    "NATS' credentials",
    /private key/,
    configMap({ "user.creds": `-----BEGIN NATS USER JWT-----\n${CANARY}` }),
  ),
  bad(
    CREDENTIALS,
    "a seed of NATS",
    /private key/,
    configMap({ seed: `SUA${"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".repeat(2).slice(0, 55)}` }),
  ),
  bad(
    CREDENTIALS,
    "a patch of a ConfigMap",
    /data\.PASSWORD has the name/,
    k8s("core/v1:ConfigMapPatch", { data: { PASSWORD: CANARY } }),
  ),
];

const inReleases: BadStack[] = [
  bad(
    CREDENTIALS,
    "a list of variables in values",
    /^values\.extraEnv\[0\]\.value has the name/,
    release({ extraEnv: [{ name: "NATS_PASSWORD", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "a configuration as text in values",
    /^values\.config assigns/,
    release({ config: `db:\n  password: ${CANARY}\n` }),
  ),
  bad(
    CREDENTIALS,
    "a file by its name in values",
    /values\.files\.app\.ini assigns/,
    release({ files: { "app.ini": `[db]\npass = ${CANARY}` } }),
  ),
  bad(
    CREDENTIALS,
    "the login of a repository",
    /^repositoryOpts\.password has the name/,
    release({}, { repositoryOpts: { repo: "https://x", username: "u", password: CANARY }, version: "1.0.0" }),
  ),
  bad(
    CREDENTIALS,
    "a chart that puts an encrypted value into a ConfigMap",
    /ConfigMap app, rendered: data\.url holds a secret of the program/,
    {
      ...renders({ apiVersion: "v1", kind: "ConfigMap", data: { url: `host=db key=${CANARY}` } }),
      props: { chart: "app", values: { auth: { password: new Secret(CANARY) } } },
    },
  ),
  bad(
    CREDENTIALS,
    "a chart with a password of its own",
    /Deployment app, rendered: .*env ADMIN_PASSWORD/,
    renderedPod({ env: [{ name: "ADMIN_PASSWORD", value: CANARY }] }),
  ),
];

const MOVING: BadStack[] = [
  bad("no-latest", "an image of a branch", /image is noetl:main$/, deployment({ image: "noetl:main" })),
  bad("no-latest", "an image of a channel", /noetl:nightly-alpine/, deployment({ image: "noetl:nightly-alpine" })),
  bad(
    "no-latest",
    "a branch as a tag in values",
    /values\.image\.tag is master/,
    release({ image: { tag: "master" } }),
  ),
  bad(
    "no-latest",
    "a patch with latest",
    /noetl:latest/,
    deployment({ image: "noetl:latest" }, {}, "apps/v1:StatefulSetPatch"),
  ),
  bad(
    "no-latest",
    "a range of chart versions",
    /a range of versions/,
    release({}, { repositoryOpts: { repo: "https://x" }, version: "^2.0.0" }),
  ),
  bad(
    "no-latest",
    "a chart that takes latest",
    /Deployment app, rendered: .*x:latest/,
    renderedPod({ image: "x:latest" }),
  ),
  bad("resources-set", "a chart without limits", /Deployment app, rendered: .*lacks/, renderedPod({ resources: {} })),
  bad(
    "probes-set",
    "a chart that serves without probes",
    /Deployment app, rendered: .*lacks readinessProbe/,
    renderedPod({ readinessProbe: undefined, ports: [{ containerPort: 80 }] }),
  ),
];

/** A pod of this project's, by its labels. */
const podOf = (labels: object, ...containers: object[]): object => ({
  spec: {
    template: {
      metadata: { labels },
      spec: { automountServiceAccountToken: false, containers: containers.map(container) },
    },
  },
});
const READ_ONLY = { securityContext: { readOnlyRootFilesystem: true } };

const PODS: BadStack[] = [
  bad(
    "root-read-only",
    "a worker that can write to its image",
    /containers\[1\]\.securityContext\.readOnlyRootFilesystem is not true$/,
    k8s("apps/v1:Deployment", podOf({ app: "noetl-worker" }, READ_ONLY, {})),
  ),
  bad(
    "root-read-only",
    "a chart whose NATS can",
    /Deployment app, rendered: .*readOnlyRootFilesystem is not true/,
    renders({
      apiVersion: "apps/v1",
      kind: "Deployment",
      ...podOf({ "app.kubernetes.io/name": "nats" }, { securityContext: { readOnlyRootFilesystem: false } }),
    }),
  ),
  bad(
    "pods-baseline",
    "a privileged container",
    /securityContext\.privileged/,
    deployment({ securityContext: { privileged: true } }),
  ),
  bad(
    "pods-baseline",
    "a privileged init container",
    /initContainers\[0\]\.securityContext\.privileged/,
    deployment({}, { initContainers: [container({ securityContext: { privileged: true } })] }),
  ),
  bad("pods-baseline", "the node's network", /hostNetwork is true/, deployment({}, { hostNetwork: true })),
  bad(
    "pods-baseline",
    "the node's processes",
    /hostPID is true/,
    deployment({}, { hostPID: true }, "apps/v1:DaemonSet"),
  ),
  bad(
    "pods-baseline",
    "a folder of the node",
    /volumes docker is a hostPath/,
    deployment({}, { volumes: [{ name: "docker", hostPath: { path: "/var/run/docker.sock" } }] }),
  ),
  bad("pods-baseline", "a port of the node", /hostPort 4222/, deployment({ ports: [{ hostPort: 4222 }] })),
  bad(
    "pods-baseline",
    "a capability that is as good as root",
    /capabilities\.add SYS_ADMIN$/,
    deployment({ securityContext: { capabilities: { add: ["NET_BIND_SERVICE", "SYS_ADMIN"] } } }),
  ),
  bad(
    "pods-baseline",
    "no seccomp",
    /seccompProfile Unconfined/,
    deployment({}, { securityContext: { seccompProfile: { type: "Unconfined" } } }),
  ),
  bad(
    "pods-baseline",
    "a chart with all of the node",
    /rendered: .*hostNetwork/,
    renderedPod({}, { hostNetwork: true }),
  ),
  bad(
    "namespaces-enforce",
    "a namespace that enforces privileged",
    /is "privileged"/,
    k8s("core/v1:Namespace", { metadata: { labels: { "pod-security.kubernetes.io/enforce": "privileged" } } }),
  ),
  bad(
    "namespaces-enforce",
    "a namespace that enforces nothing",
    /no label/,
    k8s("core/v1:Namespace", { metadata: { name: "x" } }),
  ),
];

const RIGHTS: BadStack[] = [
  bad(
    "no-cluster-admin",
    "cluster-admin for a worker",
    /roleRef is cluster-admin/,
    binding("cluster-admin", "noetl-worker"),
  ),
  bad(
    "no-cluster-admin",
    "the same in a namespace",
    /roleRef/,
    binding("cluster-admin", "noetl-worker", "RoleBinding"),
  ),
  bad(
    "no-cluster-admin",
    "a role that is cluster-admin by another name",
    /every verb on every resource/,
    role({ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }),
  ),
  bad(
    "no-cluster-admin",
    "a role that may give itself any",
    /escalate, bind/,
    role({ resources: ["roles"], verbs: ["escalate", "bind"] }),
  ),
  bad(
    "no-cluster-admin",
    "a role for everybody",
    /system:authenticated: that is everybody/,
    binding("edit", "system:authenticated"),
  ),
  bad(
    "no-cluster-admin",
    "a chart with cluster-admin",
    /ClusterRoleBinding app, rendered: roleRef/,
    renders({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      roleRef: { name: "cluster-admin" },
    }),
  ),
];

const OPEN: BadStack[] = [
  bad(
    "closed-services",
    "a load balancer before NATS",
    /opens NATS/,
    service({ type: "LoadBalancer", ports: [{ port: 4222 }] }),
  ),
  bad(
    "closed-services",
    "the same with another port outside",
    /opens NoETL's API \(port 80\)/,
    service({ type: "LoadBalancer", ports: [{ port: 80, targetPort: 8082 }] }),
  ),
  bad(
    "closed-services",
    "a range that is everybody",
    /opens Postgres/,
    service({ type: "LoadBalancer", loadBalancerSourceRanges: ["0.0.0.0/0"], ports: [{ port: 5432 }] }),
  ),
  bad(
    "closed-services",
    "an external address",
    /externalIPs opens NATS/,
    service({ externalIPs: ["203.0.113.7"], ports: [{ port: 4222 }] }),
  ),
  bad(
    "closed-services",
    "the chart's values",
    /^values\.service\.merge\.spec\.type is LoadBalancer/,
    natsChart({ service: { merge: { spec: { type: "LoadBalancer" } } } }),
  ),
  bad(
    "closed-services",
    "a chart's Service",
    /Service app, rendered: spec\.type LoadBalancer opens NATS' monitoring/,
    renders({ apiVersion: "v1", kind: "Service", spec: { type: "LoadBalancer", ports: [{ port: 8222 }] } }),
  ),
  bad(
    "nothing-public",
    "a database for every address",
    /authorizedNetworks has 0\.0\.0\.0\/0/,
    google("sql/databaseInstance:DatabaseInstance", {
      settings: { ipConfiguration: { authorizedNetworks: [{ name: "all", value: "0.0.0.0/0" }] } },
    }),
  ),
  bad(
    "nothing-public",
    "the same in two halves",
    /128\.0\.0\.0\/1/,
    google("sql/databaseInstance:DatabaseInstance", {
      settings: { ipConfiguration: { authorizedNetworks: [{ value: "128.0.0.0/1" }] } },
    }),
  ),
  bad(
    "nothing-public",
    "a control plane for every address",
    /cidrBlocks has 0\.0\.0\.0\/0/,
    google("container/cluster:Cluster", {
      masterAuthorizedNetworksConfig: { cidrBlocks: [{ cidrBlock: "0.0.0.0/0" }] },
    }),
  ),
  bad(
    "nothing-public",
    "a firewall that lets everybody in",
    /sourceRanges has 0\.0\.0\.0\/0/,
    google("compute/firewall:Firewall", { sourceRanges: ["0.0.0.0/0"], allows: [{ protocol: "tcp" }] }),
  ),
  bad(
    "nothing-public",
    "a bucket for everybody",
    /member is allUsers/,
    google("storage/bucketIAMMember:BucketIAMMember", { member: "allUsers" }),
  ),
  bad(
    "nothing-public",
    "everybody in a list",
    /members\[1\] is allAuthenticatedUsers/,
    google("artifactregistry/repositoryIamBinding:RepositoryIamBinding", {
      members: ["user:a@x", "allAuthenticatedUsers"],
    }),
  ),
  bad(
    "nothing-public",
    "everybody in a policy as text",
    /policyData is allUsers/,
    google("cloudrunv2/serviceIamPolicy:ServiceIamPolicy", {
      policyData: JSON.stringify({ bindings: [{ role: "roles/run.invoker", members: ["allUsers"] }] }),
    }),
  ),
  bad(
    "nothing-public",
    "a project's owner",
    /role is roles\/owner/,
    google("projects/iAMMember:IAMMember", { role: "roles/owner" }),
  ),
  bad(
    "control-plane-closed",
    "a control plane with a public address and not a word of who may use it",
    /no masterAuthorizedNetworksConfig/,
    google("container/cluster:Cluster", {
      deletionProtection: true,
      controlPlaneEndpointsConfig: { ipEndpointsConfig: { enabled: true } },
    }),
  ),
  bad(
    "control-plane-closed",
    "the provider's own default",
    /every address may try it/,
    google("container/cluster:Cluster", { privateClusterConfig: { enablePrivateNodes: true } }),
  ),
  bad(
    "control-plane-closed",
    "named ranges, and all of Google Cloud",
    /every machine of Google Cloud/,
    google("container/cluster:Cluster", {
      masterAuthorizedNetworksConfig: {
        gcpPublicCidrsAccessEnabled: true,
        cidrBlocks: [{ cidrBlock: "203.0.113.0/24" }],
      },
    }),
  ),
  bad(
    "nats-tls",
    "NATS without TLS",
    /values\.config\.nats\.tls\.enabled is not true/,
    PROVIDER,
    natsChart({ config: { jetstream: { enabled: true } } }),
    noetl({ NATS_URL: new Secret(`nats://noetl:${CANARY}@nats.nats.svc.cluster.local:4222`) }),
    contract({}),
  ),
  bad(
    "nats-tls",
    "a NATS elsewhere, without TLS",
    /values\.config\.server\.NATS_URL asks for no TLS\nvalues\.config\.worker/,
    PROVIDER,
    noetl({ NATS_URL: new Secret(`nats://noetl:${CANARY}@nats.example.com:4222`) }),
    contract({ connection: { servers: ["nats.example.com:4222"] } }),
  ),
  bad(
    "login-required",
    "the gateway without a login",
    /values\.env\.authBypass is true/,
    PROVIDER,
    release({ env: { authBypass: "true" }, image: { digest: "sha256:a" } }, { chart: "./charts/gateway" }),
  ),
  bad(
    "login-required",
    "the same as a variable of a container",
    /env\[0\]\.value is true/,
    PROVIDER,
    deployment({ env: [{ name: "AUTH_BYPASS", value: "true" }] }),
  ),
];

const CONTRACTS: BadStack[] = [
  bad(
    "contract-covers-noetl",
    "a contract in mode ensure alone",
    /only StreamContracts in mode ensure/,
    noetl(),
    contract({ mode: "ensure" }),
  ),
  bad(
    "contract-covers-noetl",
    "a contract with the NATS of another namespace",
    /what the server uses in namespace nats: /,
    noetl(),
    contract({ connection: { namespace: "nats-test" } }),
  ),
  bad(
    "contract-covers-noetl",
    "NoETL with a NATS that the contract does not see",
    /in namespace messaging: /,
    noetl({ NATS_URL: "nats://nats.messaging.svc.cluster.local:4222" }),
    contract({}),
  ),
  bad(
    "contract-covers-noetl",
    "the right names in mode ensure, others in mode assert",
    /what the server uses/,
    noetl(),
    contract({ mode: "ensure" }),
    contract({ stream: "OTHER" }),
  ),
];

/** Further disguises. */
const inDisguise: BadStack[] = [
  bad(
    CREDENTIALS,
    "a connection string of libpq",
    /env DSN assigns/,
    deployment({ env: [{ name: "DSN", value: `host=db user=noetl password=${CANARY} dbname=noetl` }] }),
  ),
  bad(
    CREDENTIALS,
    "one of ADO",
    /data\.conn assigns/,
    configMap({ conn: `Server=db;User Id=noetl;Password=${CANARY};` }),
  ),
  bad(
    CREDENTIALS,
    "the same in PgBouncer's configuration",
    /pgbouncer\.ini assigns/,
    configMap({ "pgbouncer.ini": `[databases]\nnoetl = host=db user=noetl password=${CANARY}` }),
  ),
  bad(
    CREDENTIALS,
    "a name with a number after it",
    /env DB_PASSWORD_2 has/,
    deployment({ env: [{ name: "DB_PASSWORD_2", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "the former one",
    /env DB_PASSWORD_OLD has/,
    deployment({ env: [{ name: "DB_PASSWORD_OLD", value: CANARY }] }),
  ),
  bad(
    CREDENTIALS,
    "a configuration in base64",
    /data\.blob assigns/,
    configMap({ blob: base64(`user: noetl\npassword: ${CANARY}`) }),
  ),
  bad(
    CREDENTIALS,
    "JSON in base64 in a variable",
    /env CONFIG assigns/,
    deployment({ env: [{ name: "CONFIG", value: base64(JSON.stringify({ db: { password: CANARY } })) }] }),
  ),
  bad(
    CREDENTIALS,
    "an element of XML",
    /db\.xml assigns/,
    configMap({ "db.xml": `<db><password>${CANARY}</password></db>` }),
  ),
  bad(
    CREDENTIALS,
    "nats.conf without a sign between",
    /nats\.conf assigns/,
    configMap({ "nats.conf": `authorization {\n  user noetl\n  password ${CANARY}\n}` }),
  ),
  bad(
    CREDENTIALS,
    "a list of variables in YAML",
    /values\.yaml assigns/,
    configMap({ "values.yaml": `env:\n  - name: DB_PASSWORD\n    value: ${CANARY}\n` }),
  ),
  bad(
    CREDENTIALS,
    "an exported variable",
    /app\.env assigns/,
    configMap({ "app.env": `export DB_PASSWORD=${CANARY}` }),
  ),
  bad(
    CREDENTIALS,
    "a key of a cloud",
    /data\.credentials assigns/,
    configMap({ credentials: `[default]\naws_secret_access_key = ${CANARY}` }),
  ),
  bad(
    CREDENTIALS,
    "another database's SQL",
    /init\.sql assigns/,
    configMap({ "init.sql": `CREATE USER noetl IDENTIFIED BY '${CANARY}';` }),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a ConfigMap",
    /^metadata\.annotations\.url holds/,
    configMap({}, { metadata: { annotations: { url: `nats://noetl:${CANARY}@nats` } } }),
  ),
  bad(
    CREDENTIALS,
    "a ConfigMap's annotation that is called a checksum",
    /^metadata\.annotations\.checksum\/secret holds/,
    configMap({}, { metadata: { annotations: { "checksum/secret": `nats://noetl:${CANARY}@nats` } } }),
  ),
  bad(
    CREDENTIALS,
    "an annotation with a password that looks like a digest",
    /^metadata\.annotations\.example\.org\/password holds/,
    configMap({}, { metadata: { annotations: { "example.org/password": "0a".repeat(16) } } }),
  ),
  bad(
    CREDENTIALS,
    "what kubectl applied",
    /last-applied-configuration holds/,
    configMap(
      {},
      {
        metadata: {
          annotations: {
            "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify({ stringData: { password: CANARY } }),
          },
        },
      },
    ),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a Secret",
    /^metadata\.annotations\.password holds/,
    k8s("core/v1:Secret", { metadata: { annotations: { password: CANARY } }, stringData: { a: new Secret("b") } }),
  ),
  bad(
    CREDENTIALS,
    "an annotation of a workload's pods",
    /^spec\.template\.metadata\.annotations\.example\.org\/token holds/,
    k8s("apps/v1:Deployment", {
      spec: {
        template: { metadata: { annotations: { "example.org/token": CANARY } }, spec: { containers: [container({})] } },
      },
    }),
  ),
  bad(CREDENTIALS, "a word of a command line", /args\[0\] holds/, deployment({ args: [`password=${CANARY}`] })),
  bad(CREDENTIALS, "a property of Java's", /args\[0\] holds/, deployment({ args: [`-Ddb.password=${CANARY}`] })),
  bad(
    CREDENTIALS,
    "a probe's path",
    /httpGet\.path holds/,
    deployment({ livenessProbe: { httpGet: { port: 1, path: `/health?token=${CANARY}` } } }),
  ),
  bad(
    CREDENTIALS,
    "a probe's header of another name",
    /httpHeaders\[0\]\.value holds/,
    deployment({ readinessProbe: { httpGet: { port: 1, httpHeaders: [{ name: "X-Api-Key", value: CANARY }] } } }),
  ),
  bad(
    CREDENTIALS,
    "variables as texts in values",
    /values\.extraEnv\[0\] assigns/,
    release({ extraEnv: [`NATS_PASSWORD=${CANARY}`] }),
  ),
  bad(
    CREDENTIALS,
    "arguments in values",
    /values\.server\.args\[1\] holds/,
    release({ server: { args: ["--password", CANARY] } }),
  ),
  bad(
    CREDENTIALS,
    "a secret of Google's Secret Manager",
    /^secretData has/,
    google("secretmanager/secretVersion:SecretVersion", { secretData: CANARY }),
  ),
  bad(
    "pods-baseline",
    "a kernel parameter of the node",
    /sysctls kernel\.msgmax/,
    deployment({}, { securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } }),
  ),
  bad(
    "pods-baseline",
    "a type of SELinux that may everything",
    /seLinuxOptions sets type spc_t/,
    deployment({ securityContext: { seLinuxOptions: { type: "spc_t" } } }),
  ),
  bad(
    "pods-baseline",
    "a process of a Windows node",
    /windowsOptions\.hostProcess/,
    deployment({}, { securityContext: { windowsOptions: { hostProcess: true } } }),
  ),
  bad(
    "pods-baseline",
    "no AppArmor, by its annotation",
    /apparmor.*is unconfined/,
    k8s("apps/v1:Deployment", {
      spec: {
        template: {
          metadata: { annotations: { "container.apparmor.security.beta.kubernetes.io/app": "unconfined" } },
          spec: { containers: [container({})] },
        },
      },
    }),
  ),
  bad(
    "pods-baseline",
    "a probe that the node sends elsewhere",
    /livenessProbe\.httpGet\.host/,
    deployment({ livenessProbe: { httpGet: { host: "169.254.169.254", port: 80 } } }),
  ),
  bad(
    "pods-baseline",
    "a volume that is a folder of the node",
    /^spec\.hostPath/,
    k8s("core/v1:PersistentVolume", { spec: { hostPath: { path: "/" } } }),
  ),
  bad(
    "pods-baseline",
    "a workload of somebody else's kind",
    /spec\.template\.spec\.hostNetwork/,
    k8s("argoproj.io/v1alpha1:Rollout", {
      spec: { template: { spec: { hostNetwork: true, containers: [container({})] } } },
    }),
  ),
  bad(
    "no-cluster-admin",
    "every resource, with the verbs one by one",
    /allows get, create on every resource/,
    role({ apiGroups: ["*"], resources: ["*/*"], verbs: ["get", "create"] }),
  ),
  bad(
    "no-cluster-admin",
    "tokens of every service account",
    /serviceaccounts\/token in every namespace/,
    role({ resources: ["serviceaccounts/token"], verbs: ["create"] }),
  ),
  bad("no-cluster-admin", "every node's own API", /nodes\/proxy/, role({ resources: ["nodes/proxy"], verbs: ["get"] })),
  bad(
    "no-cluster-admin",
    "every role there is, by a selector that is empty",
    /aggregationRule takes in every ClusterRole/,
    k8s("rbac.authorization.k8s.io/v1:ClusterRole", { aggregationRule: { clusterRoleSelectors: [{}] } }),
  ),
  bad(
    "no-cluster-admin",
    "edit in every namespace",
    /roleRef is edit in every namespace/,
    binding("edit", "noetl-worker"),
  ),
  bad(
    "no-cluster-admin",
    "rights by attributes, on GKE",
    /enableLegacyAbac/,
    google("container/cluster:Cluster", { enableLegacyAbac: true, masterAuthorizedNetworksConfig: {} }),
  ),
  bad(
    "closed-services",
    "a load balancer before NATS, by the name of its port",
    /opens NATS \(port 80\)/,
    service({ type: "LoadBalancer", ports: [{ port: 80, targetPort: "nats" }] }),
  ),
  bad(
    "closed-services",
    "one by a number in quotes",
    /opens NATS/,
    service({ type: "LoadBalancer", ports: [{ port: 80, targetPort: "4222" }] }),
  ),
  bad(
    "closed-services",
    "one by the pods that it leads to",
    /opens NoETL's API/,
    service({ type: "LoadBalancer", selector: { app: "noetl-server" }, ports: [{ port: 443, targetPort: "http" }] }),
  ),
  bad("closed-services", "PgBouncer", /opens PgBouncer/, service({ type: "LoadBalancer", ports: [{ port: 6432 }] })),
  bad(
    "nothing-public",
    "everybody in four quarters",
    /sourceRanges has 64\.0\.0\.0\/2/,
    google("compute/firewall:Firewall", { sourceRanges: ["64.0.0.0/2"], allows: [{ protocol: "tcp" }] }),
  ),
  bad(
    "nothing-public",
    "everybody by an address that does not count",
    /1\.2\.3\.4\/0/,
    google("compute/firewall:Firewall", { sourceRanges: ["1.2.3.4/0"], allows: [{ protocol: "tcp" }] }),
  ),
  bad(
    "nothing-public",
    "a rule of a firewall policy",
    /match\.srcIpRanges has ::\/0/,
    google("compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule", {
      action: "allow",
      direction: "INGRESS",
      match: { srcIpRanges: ["::/0"] },
    }),
  ),
  bad(
    "nothing-public",
    "an access list of roles",
    /roleEntities\[0\] is READER:allUsers/,
    google("storage/bucketACL:BucketACL", { roleEntities: ["READER:allUsers"] }),
  ),
  bad(
    "nothing-public",
    "a role that gives itself every other",
    /role is roles\/resourcemanager\.projectIamAdmin/,
    google("projects/iAMMember:IAMMember", { role: "roles/resourcemanager.projectIamAdmin" }),
  ),
  bad(
    "login-required",
    "the gateway without a login, in a ConfigMap",
    /data\.GATEWAY_AUTH_BYPASS is true/,
    PROVIDER,
    configMap({ GATEWAY_AUTH_BYPASS: "true" }),
  ),
];

export const BAD_STACKS: readonly BadStack[] = [
  ...inCommands,
  ...inEnvironment,
  ...inFiles,
  ...inReleases,
  ...MOVING,
  ...PODS,
  ...RIGHTS,
  ...OPEN,
  ...CONTRACTS,
  ...inDisguise,
];

/** Stacks that look like bad ones and are not. */
export const GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "options that name a file, a switch or a variable": [
    deployment({
      args: ["--password-file", "/run/secret", "--token", "$(TOKEN)", "--no-password", "--pass-through", "x"],
      command: ["sh", "-c", 'PGPASSWORD="$ADMIN" psql -U "$USER" && nats --password "$NATS_PASSWORD" pub x'],
    }),
  ],
  "SQL that takes a variable": [
    deployment({ command: ["sh", "-c", "psql <<'SQL'\nALTER ROLE :\"role\" PASSWORD :'password';\nSQL"] }),
  ],
  "variables that only sound like credentials": [
    deployment({
      env: [
        { name: "PWD", value: "/app" },
        { name: "BYPASS", value: "on" },
        { name: "TOKENIZERS_PARALLELISM", value: "false" },
        { name: "LOG_CONFIG", value: '{"level":"info","keys":["a"]}' },
      ],
    }),
  ],
  "configuration that refers to a credential": [
    configMap({
      "nats.conf":
        "authorization { users: [ { user: $USER, password: $PASS } ] } # the password: see the Secret\ninclude auth.conf",
      "app.yaml": "db:\n  passwordFile: /run/password\n  # password: put it into the Secret\n  token: ${TOKEN}\n",
      "default.conf": "server {\n  location / {\n    proxy_pass http://noetl:8082;\n  }\n}\n",
      "run.sh": '#!/bin/sh\nexport PGPASSWORD="$NOETL_PASSWORD"\nTOKEN=$(cat /run/token)\npsql --password="$X"\n',
      "main.py": 'password = os.environ["PASSWORD"]\ntoken = f"{name}:{value}"\n',
      "logo.json": '{"title": "reset your password", "pattern": "pass|fail"}',
    }),
    configMap({}, { binaryData: { "logo.png": base64("\u0089PNG\r\n\u001a\npass") } }),
  ],
  "texts that are written like a credential and hold none": [
    configMap({
      "load.py": "connection = psycopg.connect(dbname=database, password=former, host=place)\n",
      "app.xml": "<db><password>${PASSWORD}</password></db>",
      "nats.conf": "authorization {\n  user $USER\n  password $PASS\n}",
      "values.yaml":
        "env:\n  - name: DB_PASSWORD\n    valueFrom: {secretKeyRef: {name: a, key: b}}\n  - name: B\n    value: c\n",
      "app.env": "export DB_PASSWORD=$FROM_SECRET\n",
      dsn: "host=db user=u password=$PGPASSWORD",
      blob: base64("nothing but words of a text, and no credential"),
      id: "0123456789abcdef0123456789abcdef",
    }),
    configMap({}, { metadata: { annotations: { "checksum/config": "0a".repeat(32), "secrets/revision": "3" } } }),
    k8s("apps/v1:Deployment", {
      metadata: { annotations: { "example.org/password": `sha256:${"0a".repeat(32)}` } },
      spec: {
        template: {
          metadata: {
            annotations: {
              "checksum/secret": "0a".repeat(32),
              "checksum/nats-secret": "3-of-noetl",
              "example.org/password-hash": "0a".repeat(32),
              "vault.hashicorp.com/agent-inject-token": "true",
            },
          },
          spec: { containers: [container({})] },
        },
      },
    }),
    deployment({ args: ["-Ddb.password=$(DB_PASSWORD)", "password=$PASSWORD", "--token-file=/run/token"] }),
    deployment({ livenessProbe: { httpGet: { port: 1, path: "/health?token=$(TOKEN)" } } }),
    release({
      server: { args: ["--password-file", "/run/password", "--port", "80"] },
      extraEnv: ["NATS_PASSWORD=$OTHER"],
    }),
  ],
  "rights of a pod's own": [
    deployment(
      { securityContext: { seLinuxOptions: { type: "container_t" } }, livenessProbe: { httpGet: { port: 80 } } },
      { securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] } },
    ),
    k8s("core/v1:PersistentVolume", { spec: { csi: { driver: "x" } } }),
    k8s("rbac.authorization.k8s.io/v1:Role", { rules: [{ resources: ["serviceaccounts/token"], verbs: ["create"] }] }),
    k8s("rbac.authorization.k8s.io/v1:ClusterRole", {
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { "example.org/aggregate": "true" } }] },
    }),
    role({ apiGroups: ["*"], resources: ["*"], verbs: ["get", "list"] }),
    binding("edit", "noetl-worker", "RoleBinding"),
  ],
  "large ranges that are nobody's on the internet": [
    google("compute/firewall:Firewall", {
      sourceRanges: ["10.0.0.0/8", "240.0.0.0/4", "fc00::/7"],
      allows: [{ protocol: "tcp" }],
    }),
    google("compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule", {
      action: "deny",
      direction: "INGRESS",
      match: { srcIpRanges: ["0.0.0.0/0"] },
    }),
  ],
  "an image by a digest whatever its tag, and one of a version": [
    deployment({ image: `noetl:main@sha256:${"a".repeat(64)}` }),
    deployment({ image: "noetl:main-3f2a9c1" }),
    deployment({ image: "noetl:2.8.9-alpine" }),
  ],
  "a capability of baseline": [deployment({ securityContext: { capabilities: { drop: ["ALL"], add: ["CHOWN"] } } })],
  "pods that write to volumes alone, and others, of which nothing is said": [
    k8s("apps/v1:Deployment", podOf({ app: "noetl-server" }, READ_ONLY)),
    k8s("apps/v1:StatefulSet", podOf({ app: "postgres" }, {})),
    k8s("apps/v1:Deployment", podOf({ app: "shop" }, {})),
  ],
  "a namespace that enforces": [
    k8s("core/v1:Namespace", { metadata: { labels: { "pod-security.kubernetes.io/enforce": "restricted" } } }),
  ],
  "roles of one's own": [
    role({ apiGroups: ["batch"], resources: ["jobs"], verbs: ["*"] }),
    binding("view", "ada@acme.dev"),
  ],
  "load balancers that are meant": [
    service({ type: "LoadBalancer", ports: [{ port: 80, targetPort: 8090 }] }),
    service({ type: "LoadBalancer", ports: [{ port: 4222 }] }, { "networking.gke.io/load-balancer-type": "Internal" }),
    service({ type: "LoadBalancer", loadBalancerSourceRanges: ["203.0.113.0/24"], ports: [{ port: 4222 }] }),
    service({ type: "NodePort", ports: [{ port: 4222 }] }),
  ],
  "addresses and grants that are named": [
    google("container/cluster:Cluster", {
      deletionProtection: true,
      masterAuthorizedNetworksConfig: { cidrBlocks: [{ cidrBlock: "203.0.113.0/24" }] },
    }),
    google("compute/firewall:Firewall", {
      direction: "EGRESS",
      sourceRanges: ["0.0.0.0/0"],
      allows: [{ protocol: "tcp" }],
    }),
    google("compute/firewall:Firewall", { sourceRanges: ["0.0.0.0/0"], denies: [{ protocol: "all" }] }),
    google("projects/iAMMember:IAMMember", { role: "roles/cloudsql.client", member: "serviceAccount:a@x" }),
  ],
  "control planes that are closed, or of which nothing is known yet": [
    ...[
      { controlPlaneEndpointsConfig: { ipEndpointsConfig: { enabled: false } } },
      { privateClusterConfig: { enablePrivateEndpoint: true } },
      { masterAuthorizedNetworksConfig: {} },
      { masterAuthorizedNetworksConfig: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" },
    ].map((props) => google("container/cluster:Cluster", props)),
  ],
  "NATS with TLS": [
    PROVIDER,
    natsChart({ config: { nats: { tls: { enabled: true, secretName: "nats-tls" } } } }),
    noetl({ NATS_URL: new Secret(`tls://noetl:${CANARY}@nats.nats.svc.cluster.local:4222`) }),
    contract({}),
  ],
  "a NATS elsewhere with TLS": [
    PROVIDER,
    noetl({ NATS_URL: new Secret(`tls://noetl:${CANARY}@nats.example.com:4222`) }),
    contract({ connection: { servers: ["nats.example.com:4222"] } }),
  ],
  "NATS without TLS on a cluster of one's own": [
    natsChart({}),
    noetl({ NATS_URL: new Secret(`nats://noetl:${CANARY}@nats.nats.svc.cluster.local:4222`) }),
    contract({}),
  ],
  "a gateway without a login on a cluster of one's own": [
    release(
      { env: { authBypass: "true" } },
      { chart: "./charts/gateway", values: { env: { authBypass: "true" }, image: { digest: "sha256:a" } } },
    ),
  ],
  "both contracts, and a NATS by an address": [
    noetl({ NATS_URL: "nats://nats.example.com:4222" }),
    contract({ mode: "ensure" }),
    contract({ mode: "assert", connection: { servers: ["nats.example.com:4222"] } }),
  ],
  "a chart that does as it should": [
    {
      ...renderedPod({ env: [{ name: "P", valueFrom: { secretKeyRef: { name: "a", key: "b" } } }] }),
      props: { chart: "app", values: { auth: { password: new Secret(CANARY) } } },
    },
    renders({ apiVersion: "v1", kind: "Secret", stringData: { password: CANARY } }),
    // A shell to look around serves nobody.
    renderedPod({ readinessProbe: undefined, livenessProbe: undefined }),
  ],
};
