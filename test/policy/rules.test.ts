import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Secret } from "@pulumi/policy";
import { afterAll, describe, expect, it } from "vitest";
import { bareProperties, isUnknown, type ResourceView, texts } from "../../policy/resource";
import { isStackRule, type Rule } from "../../policy/rule";
import { RULES } from "../../policy/rules";
import { BAD_STACKS, UNKNOWN } from "./bad-stacks";
import { OBJECT_STACKS } from "./object-stacks";
import { TEAM_STACKS } from "./team-stacks";

const CANARY = "Canary-7f3a";
const secret = (value: unknown) => new Secret(value);

const resource = (type: string, props: Record<string, unknown>, parentType?: string): ResourceView => ({
  type,
  name: "it",
  urn: `urn:pulumi:test::noetl-nats::${type}::it`,
  props,
  protect: false,
  ...(parentType ? { parentType } : {}),
});
const configMap = (data: unknown) => resource("kubernetes:core/v1:ConfigMap", { data });
const secretObject = (stringData: unknown) => resource("kubernetes:core/v1:Secret", { stringData });
const release = (chart: string, values: unknown, rest: object = {}) =>
  resource("kubernetes:helm.sh/v3:Release", { chart, values, ...rest });
const deployment = (container: object, kind = "apps/v1:Deployment") =>
  resource(`kubernetes:${kind}`, { spec: { template: { spec: { containers: [{ name: "c", ...container }] } } } });
const contract = (args: Record<string, unknown>) =>
  resource("pulumi-nodejs:dynamic/noetl-nats:StreamContract", { __provider: "password: x", ...args });
const cluster = (args: Record<string, unknown>, protect = true) => ({
  ...resource("gcp:container/cluster:Cluster", args),
  protect,
});
const instance = (args: Record<string, unknown>) => ({
  ...resource("gcp:sql/databaseInstance:DatabaseInstance", args),
  protect: true,
});

const GOOGLE = resource("pulumi:providers:gcp", {});
const place = (name: string) => resource("kubernetes:core/v1:Namespace", { metadata: { name } });
const denies = (namespace: string, spec: object = {}) =>
  resource("kubernetes:networking.k8s.io/v1:NetworkPolicy", {
    metadata: { name: "default-deny", namespace },
    spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"], ...spec },
  });

const cilium = (spec: object, namespace?: string, more: object = {}) =>
  resource(`kubernetes:cilium.io/v2:Cilium${namespace === undefined ? "Clusterwide" : ""}NetworkPolicy`, {
    metadata: { name: "c", namespace },
    spec,
    ...more,
  });

/** Of a cluster's administrators, in the words of either version, and of Calico. */
const admin = (spec: object, kind = "v1alpha1:AdminNetworkPolicy") =>
  resource(`kubernetes:policy.networking.k8s.io/${kind}`, {
    metadata: { name: "anp" },
    spec: { priority: 10, subject: { namespaces: {} }, ...spec },
  });
const calico = (spec: object, namespace?: string) =>
  resource(
    `kubernetes:${namespace === undefined ? "crd.projectcalico.org/v1:Global" : "projectcalico.org/v3:"}NetworkPolicy`,
    {
      metadata: { name: "calico", namespace },
      spec,
    },
  );
const group = (externalCIDRs: unknown, labels: object = {}) =>
  resource("kubernetes:cilium.io/v2alpha1:CiliumCIDRGroup", {
    metadata: { name: "group", labels },
    spec: { externalCIDRs },
  });
const ALL = [{ namespaces: {} }];
const EVERYBODY = ["0.0.0.0/1", "128.0.0.0/1"];

const resources = { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "128Mi" } };
const probe = { httpGet: { path: "/health", port: 8082 } };
const natsValues = {
  container: { merge: { resources } },
  reloader: { merge: { resources } },
  natsBox: { container: { merge: { resources } } },
};

/** A chart of the name noetl that is not this project's: it knows other settings. */
const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-policy-"));
fs.mkdirSync(path.join(elsewhere, "noetl"));
fs.writeFileSync(
  path.join(elsewhere, "noetl", "values.yaml"),
  JSON.stringify({ image: { tag: "latest" }, extra: { enabled: false, image: { tag: "latest" } } }),
);
const otherChart = path.join(elsewhere, "noetl");
afterAll(() => fs.rmSync(elsewhere, { recursive: true }));

interface Cases {
  /** Stacks that keep the rule. */
  readonly keep: Readonly<Record<string, ResourceView[]>>;
  /** Stacks that break it, with what the problems say, in order. */
  readonly break: Readonly<Record<string, [ResourceView[], ...RegExp[]]>>;
}

const CASES: Readonly<Record<string, Cases>> = {
  "no-plaintext-credentials": {
    keep: {
      "settings in a ConfigMap": [
        configMap({
          NATS_URL: "nats://nats.nats.svc.cluster.local:4222",
          NATS_STREAM: "NOETL_COMMANDS",
          "nats.conf": "authorization { users: [ { user: noetl, password: $NATS_PASSWORD_0 } ] }\npassword: << $X >>",
          "load_schema.py": 'password = os.environ["NOETL_PASSWORD"]\nurl = f"nats://{user}:{password}@{host}"',
        }),
      ],
      "an encrypted Secret": [secretObject({ password: secret(CANARY) }), secretObject(secret({ password: CANARY }))],
      "a variable from a Secret": [
        deployment({
          env: [
            { name: "NATS_PASSWORD", valueFrom: { secretKeyRef: { name: "auth", key: "password" } } },
            { name: "PGPASSFILE", value: "/run/pgpass" },
            { name: "TOKEN", value: "$(OTHER)" },
            { name: "SHELL_TOKEN", value: "${OTHER}" },
          ],
          args: ["--password-file=/run/secret", "--token", "$(TOKEN)"],
        }),
      ],
      "values marked as secret, at any depth": [
        release("./charts/noetl", { config: { server: { NATS_URL: secret(`nats://u:${CANARY}@h:1`) } } }),
        release("./charts/noetl", { secrets: secret({ postgresPassword: CANARY }) }),
        release("./charts/noetl", secret({ secrets: { postgresPassword: CANARY } })),
      ],
      "values that name a credential without being one": [
        release("nats", {
          config: { merge: { authorization: { users: [{ user: "noetl", password: "<< $NATS_PASSWORD_0 >>" }] } } },
          tolerations: [{ key: "spot", operator: "Exists" }],
          imagePullSecrets: [{ name: "registry" }],
          existingSecret: "auth",
          secrets: { revision: "12ab34cd", variables: ["MY_TOKEN"] },
        }),
      ],
      "a value that the preview does not know": [
        release("./charts/noetl", { secrets: { postgresPassword: UNKNOWN } }),
        release("./charts/noetl", UNKNOWN),
      ],
      "code of a dynamic resource": [contract({ password: secret(CANARY), user: "noetl" })],
      "a random password's settings": [resource("random:index/randomPassword:RandomPassword", { length: 32 })],
    },
    break: {
      "a URL with a password in a ConfigMap": [
        [configMap({ NATS_URL: `nats://noetl:${CANARY}@nats:4222` })],
        /^data\.NATS_URL is a URL with a password.*use a Secret/,
      ],
      "a password in a ConfigMap, by its name, in a file and marked as secret": [
        [
          configMap({
            POSTGRES_PASSWORD: CANARY,
            "app.conf": `user: x\n  password: "${CANARY}"`,
            other: secret(CANARY),
          }),
        ],
        /^data\.POSTGRES_PASSWORD has the name/,
        /^data\.app\.conf assigns a credential/,
        /^data\.other is a secret of the program/,
      ],
      "an unencrypted Secret": [[secretObject({ password: CANARY })], /^stringData\.password stands unencrypted/],
      "a literal in a container, encrypted in the state or not": [
        [deployment({ env: [{ name: "NATS_PASSWORD", value: CANARY }] })],
        /env NATS_PASSWORD has the name of a credential.*secretKeyRef/,
      ],
      "a password that looks like a variable": [
        [deployment({ env: [{ name: "NATS_PASSWORD", value: "$ecret" }] })],
        /env NATS_PASSWORD has the name of a credential/,
      ],
      "a password that looks like a template, which nobody fills in any more": [
        [deployment({ env: ["{{ hunter2 }}", "<< hunter2 >>"].map((value) => ({ name: "NATS_PASSWORD", value })) })],
        /env NATS_PASSWORD has the name of a credential/,
        /env NATS_PASSWORD has the name of a credential/,
      ],
      "a passphrase, and the default of a variable": [
        [release("./charts/noetl", { keyPassphrase: CANARY, password: `\${NAME:-${CANARY}}` })],
        /values\.keyPassphrase has the name/,
        /values\.password has the name/,
      ],
      "credentials on a command line": [
        [deployment({ command: ["app", `--password=${CANARY}`], args: [`postgres://u:${CANARY}@db/noetl`] })],
        /containers\[0\]\.command\[1\] holds a credential/,
        /containers\[0\]\.args\[0\] holds a credential/,
      ],
      "a CronJob's variable": [
        [
          resource("kubernetes:batch/v1:CronJob", {
            spec: {
              jobTemplate: {
                spec: {
                  template: { spec: { containers: [{ name: "c", env: [{ name: "API_KEY", value: CANARY }] }] } },
                },
              },
            },
          }),
        ],
        /jobTemplate.*API_KEY/,
      ],
      "values of a release": [
        [
          release("./charts/noetl", {
            config: { server: { NATS_URL: `nats://noetl:${CANARY}@nats:4222`, NATS_PASSWORD: CANARY } },
            secrets: { postgresPassword: CANARY, noetlPassword: secret(CANARY) },
          }),
        ],
        /^values\.config\.server\.NATS_URL is a URL with a password: wrap it in pulumi\.secret/,
        /^values\.config\.server\.NATS_PASSWORD/,
        /^values\.secrets\.postgresPassword/,
      ],
      "inputs of other resources": [
        [
          contract({ password: CANARY }),
          resource("gcp:sql/user:User", { name: "noetl", password: CANARY }),
          resource("pulumi:providers:kubernetes", { kubeconfig: `users:\n- user:\n    client-key-data: ${CANARY}` }),
        ],
        /^password has the name/,
        /^password has the name/,
        /^kubeconfig holds a private key/,
      ],
    },
  },
  "deletion-protection": {
    keep: {
      "protection on, or left to the default": [
        cluster({ deletionProtection: true }),
        cluster({}),
        cluster({ deletionProtection: UNKNOWN }),
        instance({ settings: { deletionProtectionEnabled: true } }),
      ],
    },
    break: {
      "a cluster without": [[cluster({ deletionProtection: false })], /^deletionProtection is off/],
      "a cluster that the engine may replace": [[cluster({}, false)], /^the resource option protect is unset/],
      "a database without either": [
        [instance({ deletionProtection: false, settings: { tier: "db-f1-micro" } })],
        /^deletionProtection is off/,
        /^settings\.deletionProtectionEnabled is unset/,
      ],
    },
  },
  "namespaces-closed": {
    keep: {
      "a namespace with its policy": [GOOGLE, place("noetl"), denies("noetl")],
      "one that the preview cannot name yet": [GOOGLE, place(UNKNOWN), denies(UNKNOWN)],
      "a stack of no cloud": [place("noetl")],
      "one whose policy selects all pods by null": [
        GOOGLE,
        place("a"),
        denies("a", { podSelector: null, egress: null }),
      ],
      "policies that let a part through": [
        ...[GOOGLE, place("a"), denies("a")],
        ...[
          { from: [{ ipBlock: { cidr: "0.0.0.0/1" } }, { ipBlock: { cidr: "128.0.0.0/2", except: null } }] },
          { from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } }, { ipBlock: { cidr: "10.0.0.0/9" } }] },
          { from: [{ ipBlock: { cidr: "::/1" } }, { ipBlock: { cidr: "128.0.0.0/1" } }] },
          { from: [{ ipBlock: { cidr: UNKNOWN } }, { ipBlock: { cidr: "0.0.0.0/0", except: UNKNOWN } }] },
          { from: [{ namespaceSelector: null, podSelector: {} }] },
          { from: null, ports: [{ port: "http" }, { port: 2, endPort: 65535 }] },
          {
            from: null,
            ports: [
              { port: 1, endPort: 99 },
              { protocol: "UDP", port: 100, endPort: 65535 },
            ],
          },
          { from: null, ports: UNKNOWN },
        ].map((rule) => denies("a", { ingress: [rule] })),
        denies("a", { podSelector: UNKNOWN, ingress: [{}] }),
        // The internet without the machine's login, and the internet without the cluster's own.
        denies("a", { egress: [{ to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] } }] }] }),
        denies("a", {
          egress: [
            { to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] } }] },
          ],
        }),
        denies("a", { podSelector: { matchLabels: { app: "noetl-server" } }, ingress: [{ ports: [{ port: 8082 }] }] }),
        denies("a", { podSelector: { matchLabels: { app: "shop" } }, ingress: [{}] }),
        denies("a", { podSelector: { matchExpressions: [{ key: "public", operator: "Exists" }] }, ingress: [{}] }),
        cilium({ endpointSelector: {}, egress: [{ toEntities: ["all"], toPorts: [{ ports: [{ port: "53" }] }] }] }),
        cilium({ endpointSelector: { matchLabels: { app: "a" } }, ingress: [{ fromEntities: ["all"] }] }),
        cilium({ endpointSelector: {}, egress: [{ toEntities: ["kube-apiserver"] }, { toCIDR: ["10.0.0.0/8"] }] }),
        cilium({
          endpointSelector: {},
          ingress: [{ fromEntities: ["cluster"] }, { fromCIDRSet: [{ cidr: UNKNOWN }] }],
        }),
        cilium({
          endpointSelector: {},
          egress: [{ toCIDRSet: [{ cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] }, { cidrGroupRef: "a" }] }],
        }),
        // Of nodes, not of pods.
        cilium({ nodeSelector: {}, ingress: [{ fromEntities: ["all"] }] }),
      ],
      "a policy of Cilium that lets in the pods of its own namespace": [
        ...[GOOGLE, place("a"), denies("a")],
        cilium({ endpointSelector: {}, ingress: [{ fromEndpoints: [{}] }], egress: [{ toEndpoints: [{}] }] }, "a"),
      ],
      "a policy of Cilium in a namespace that the stack does not close": [
        ...[GOOGLE, place("a"), denies("a")],
        cilium({ endpointSelector: {}, ingress: [{ fromEntities: ["all"] }] }, "b"),
        cilium({ endpointSelector: {}, ingress: [{ fromEntities: ["all"] }] }, UNKNOWN),
      ],
      "policies of administrators and of Calico that let a part through": [
        ...[GOOGLE, place("a"), denies("a")],
        admin({
          ingress: [
            { action: "Pass", from: ALL },
            { action: "Deny", from: ALL },
            { action: "Allow", from: ALL },
          ],
        }),
        admin({ ingress: [{ action: "Allow", from: ALL, ports: [{ portNumber: { protocol: "TCP", port: 9090 } }] }] }),
        admin({ ingress: [{ action: "Allow", from: [{ namespaces: { matchLabels: { team: "monitoring" } } }] }] }),
        admin({ egress: [{ action: "Allow", to: [{ networks: ["10.0.0.0/8"] }, { nodes: {} }] }] }),
        admin({
          subject: { namespaces: { matchLabels: { team: "shop" } } },
          ingress: [{ action: "Allow", from: ALL }],
        }),
        // It counts where no NetworkPolicy is, and here is one.
        admin({ ingress: [{ action: "Allow", from: ALL }] }, "v1alpha1:BaselineAdminNetworkPolicy"),
        admin({ tier: "Baseline", ingress: [{ action: "Accept", from: ALL }] }, "v1alpha2:ClusterNetworkPolicy"),
        admin(
          { ingress: [{ action: "Accept", from: ALL, protocols: [{ tcp: { destinationPort: { number: 53 } } }] }] },
          "v1alpha2:ClusterNetworkPolicy",
        ),
        calico({ ingress: [{ action: "Deny" }, { action: "Log" }] }),
        calico({ ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [80, "443:444"] } }] }),
        calico({ ingress: [{ action: "Allow", source: { selector: "app == 'a'" } }] }),
        calico({ ingress: [{ action: "Allow", source: { notNets: ["0.0.0.0/0"] } }] }),
        calico({ namespaceSelector: "team == 'shop'", ingress: [{ action: "Allow" }] }),
        calico({ selector: "app == 'shop'", ingress: [{ action: "Allow" }] }, "a"),
        calico({ ingress: [{ action: "Allow" }] }, "b"),
        calico({ ingress: [{ action: "Allow", source: { selector: "all()" } }] }, "a"),
      ],
      "groups of addresses that are a part, or not known": [
        ...[GOOGLE, place("a"), denies("a"), group(["10.0.0.0/8"])],
        cilium({ endpointSelector: {}, ingress: [{ fromCIDRSet: [{ cidrGroupRef: "group" }] }] }),
        cilium({ endpointSelector: {}, ingress: [{ fromCIDRSet: [{ cidrGroupRef: "elsewhere" }] }] }),
      ],
      "releases into namespaces that every cluster has": [
        ...[GOOGLE, place("a"), denies("a")],
        release("nats", natsValues, { createNamespace: true, namespace: "default" }),
        release("nats", natsValues, { createNamespace: true, namespace: "kube-system" }),
      ],
    },
    break: {
      "a namespace without": [
        [GOOGLE, place("noetl"), place("nats"), denies("noetl")],
        /^namespace nats is open: no NetworkPolicy denies by default$/,
      ],
      "policies that leave out hardly anybody": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          denies("a", { ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["192.0.2.1/32"] } }] }] }),
          denies("a", { ingress: [{ from: [{ ipBlock: { cidr: "::/0", except: ["fe80::/10"] } }] }] }),
          denies("a", { egress: [{ to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["192.0.2.0/24"] } }] }] }),
          denies("a", {
            podSelector: { matchExpressions: [{ key: "closed", operator: "DoesNotExist" }] },
            ingress: [{}],
          }),
        ],
        /be reached from everywhere$/,
        /be reached from everywhere$/,
        /reach everything$/,
        /be reached from everywhere$/,
      ],
      "a policy that opens every port of what has no login": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          denies("a", { podSelector: { matchLabels: { app: "noetl-server" } }, ingress: [{}] }),
          denies("a", {
            podSelector: { matchLabels: { "app.kubernetes.io/name": "nats" } },
            ingress: [{ from: [{ namespaceSelector: {} }] }],
          }),
        ],
        /lets everybody come to NoETL's API at every port$/,
        /lets everybody come to NATS at every port$/,
      ],
      "policies of Cilium": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          cilium({ endpointSelector: {}, ingress: [{ fromEntities: ["all"] }] }),
          cilium({ endpointSelector: {}, egress: [{ toCIDR: ["0.0.0.0/1", "128.0.0.0/1"] }] }),
          cilium({ endpointSelector: {}, ingress: [{ fromEndpoints: [{}] }] }),
          cilium({ endpointSelector: {}, ingress: [{ fromEntities: ["all"] }] }, "a"),
        ],
        /^CiliumClusterwideNetworkPolicy c lets every pod of its namespace be reached from everywhere$/,
        /reach everything$/,
        /be reached from everywhere$/,
        /^CiliumNetworkPolicy c lets every pod/,
      ],
      "policies of Cilium in other words": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          cilium({
            endpointSelector: {},
            ingress: [{ fromCIDRSet: [{ cidr: "0.0.0.0/0", except: ["192.0.2.1/32"] }] }],
          }),
          cilium({ endpointSelector: {}, egress: [{ toEntities: ["world", "cluster"] }] }, "a"),
          cilium({ endpointSelector: {}, egress: [{ toEntities: ["world"] }, { toEntities: ["cluster"] }] }, "a"),
          cilium(
            { endpointSelector: { matchLabels: { app: "noetl-server" } }, ingress: [{ fromEntities: ["all"] }] },
            "a",
          ),
          cilium({
            endpointSelector: { matchLabels: { "k8s:app.kubernetes.io/name": "nats" } },
            ingress: [{ fromCIDR: ["0.0.0.0/0"] }],
          }),
          resource("kubernetes:cilium.io/v2:CiliumNetworkPolicy", {
            metadata: { name: "c", namespace: "a" },
            specs: [
              { endpointSelector: { matchLabels: { app: "x" } } },
              { endpointSelector: {}, ingress: [{ fromEntities: ["all"] }] },
            ],
          }),
        ],
        /be reached from everywhere$/,
        /reach everything$/,
        /reach everything$/,
        /^CiliumNetworkPolicy c lets everybody come to NoETL's API at every port$/,
        /lets everybody come to NATS at every port$/,
        /be reached from everywhere$/,
      ],
      "policies of a cluster's administrators": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          admin({ ingress: [{ action: "Allow", from: ALL }] }),
          admin({ ingress: [{ action: "Allow", from: [{ namespaces: { namespaceSelector: {} } }] }] }),
          admin({
            subject: { pods: { namespaceSelector: {}, podSelector: {} } },
            egress: [{ action: "Allow", to: [{ networks: EVERYBODY }] }],
          }),
          admin({
            subject: { namespaces: { matchLabels: { "kubernetes.io/metadata.name": "a" } } },
            ingress: [{ action: "Allow", from: [{ pods: { namespaceSelector: {}, podSelector: {} } }] }],
          }),
          admin({
            subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: "noetl-server" } } } },
            ingress: [
              { action: "Allow", from: ALL, ports: [{ portRange: { protocol: "TCP", start: 1, end: 65535 } }] },
            ],
          }),
          admin({ tier: "Admin", ingress: [{ action: "Accept", from: ALL }] }, "v1alpha2:ClusterNetworkPolicy"),
        ],
        /^AdminNetworkPolicy anp lets every pod of its namespace be reached from everywhere$/,
        /be reached from everywhere$/,
        /reach everything$/,
        /be reached from everywhere$/,
        /^AdminNetworkPolicy anp lets everybody come to NoETL's API at every port$/,
        /^ClusterNetworkPolicy anp lets every pod/,
      ],
      "policies of Calico": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          calico({ selector: "all()", ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] }),
          calico({ ingress: [{ action: "Allow", source: { nets: EVERYBODY } }] }),
          calico({ ingress: [{ action: "Allow", source: { namespaceSelector: "all()" } }] }),
          calico({
            namespaceSelector: "projectcalico.org/name == 'a'",
            ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: ["1:65535"] } }],
          }),
          calico({ ingress: [{ action: "Allow", protocol: "TCP" }] }, "a"),
          calico({ selector: "app.kubernetes.io/name == 'nats'", ingress: [{ action: "Allow" }] }, "a"),
        ],
        /^GlobalNetworkPolicy calico lets every pod of its namespace be reached from everywhere$/,
        /reach everything$/,
        /be reached from everywhere$/,
        /be reached from everywhere$/,
        /be reached from everywhere$/,
        /^NetworkPolicy calico lets every pod of its namespace be reached/,
        /lets everybody come to NATS at every port$/,
      ],
      "groups of addresses that are everybody's": [
        [
          ...[GOOGLE, place("a"), denies("a"), group(EVERYBODY, { net: "all" })],
          cilium({ endpointSelector: {}, ingress: [{ fromCIDRSet: [{ cidrGroupRef: "group" }] }] }),
          cilium(
            {
              endpointSelector: {},
              egress: [{ toCIDRSet: [{ cidrGroupSelector: { matchLabels: { net: "all" } } }] }],
            },
            "a",
          ),
        ],
        /be reached from everywhere$/,
        /reach everything$/,
      ],
      "a namespace that a release makes": [
        [GOOGLE, release("nats", natsValues, { createNamespace: true, namespace: "shop" })],
        /^namespace shop is open/,
      ],
      "policies that close less": [
        [
          GOOGLE,
          ...["a", "b", "c", "d"].map(place),
          denies("a", { podSelector: { matchLabels: { app: "a" } } }),
          denies("b", { policyTypes: ["Ingress"] }),
          denies("c", { ingress: [{}] }),
          denies("elsewhere"),
        ],
        /^namespace a/,
        /^namespace b/,
        /^namespace c/,
        /^namespace d/,
      ],
      "a policy that does it in other words": [
        [
          GOOGLE,
          place("a"),
          denies("a"),
          denies("a", { ingress: [{ from: [{ namespaceSelector: {} }] }] }),
          denies("a", {
            ingress: [{ from: [{ podSelector: {}, namespaceSelector: {} }], ports: [{ protocol: "TCP" }] }],
          }),
          denies("a", { egress: [{ to: [{ ipBlock: { cidr: "::/0" } }], ports: [{ port: 1, endPort: 65535 }] }] }),
          // One part of the world, or one port, is what policies are for.
          denies("a", { ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: "x" } } }] }] }),
          denies("a", { ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ port: 8222 }] }] }),
          denies("a", { egress: [{ to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } }] }] }),
        ],
        /be reached from everywhere$/,
        /be reached from everywhere$/,
        /reach everything$/,
      ],
      "a policy that does it with words that say nothing, or in parts": [
        [
          ...[GOOGLE, place("a"), denies("a")],
          ...[
            [{ from: null }],
            [null],
            [{ from: [{ namespaceSelector: {}, podSelector: null }] }],
            [
              {
                from: [
                  { namespaceSelector: { matchLabels: {}, matchExpressions: [] }, podSelector: { matchLabels: {} } },
                ],
              },
            ],
            [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: null } }] }],
            [{ from: [{ ipBlock: { cidr: "128.0.0.0/1" } }, { ipBlock: { cidr: "0.0.0.0/1" } }] }],
            [{ from: [{ ipBlock: { cidr: "8000::/1" } }] }, { from: [{ ipBlock: { cidr: "::/1" } }] }],
            [
              { from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "255.0.0.0/8"] } }] },
              { from: [{ ipBlock: { cidr: "10.0.0.0/8" } }, { ipBlock: { cidr: "254.0.0.0/7" } }] },
            ],
            [{ ports: [{ port: 30000, endPort: 65535 }, { port: "http" }, { port: 1, endPort: 30000 }] }],
            [{ ports: [{ port: null, protocol: "UDP" }] }],
          ].map((ingress) => denies("a", { ingress })),
          ...[{ matchLabels: {} }, null, undefined].map((podSelector) => denies("a", { podSelector, egress: [{}] })),
        ],
        ...Array<RegExp>(10).fill(/be reached from everywhere$/),
        ...Array<RegExp>(3).fill(/reach everything$/),
      ],
      "a policy that gives back what another takes": [
        [
          GOOGLE,
          place("a"),
          denies("a"),
          denies("a", { policyTypes: ["Ingress"], ingress: [{ from: [], ports: [] }] }),
          denies("a", { policyTypes: ["Egress"], egress: [{}] }),
          denies("a", { ingress: [{ ports: [{ port: 80 }] }], egress: [{ to: [{ podSelector: {} }] }] }),
        ],
        /lets every pod of its namespace be reached from everywhere$/,
        /lets every pod of its namespace reach everything$/,
      ],
    },
  },
  "contract-retention": {
    keep: {
      "the default": [contract({}), contract({ expect: { storage: "file" } })],
      limits: [contract({ expect: { retention: "limits" } })],
      "not known yet": [contract({ expect: { retention: UNKNOWN } }), contract({ expect: UNKNOWN })],
    },
    break: {
      workqueue: [[contract({ expect: { retention: "workqueue" } })], /^expect\.retention is "workqueue"/],
      interest: [[contract({ expect: { retention: "interest" } })], /need "limits"/],
    },
  },
  "contract-covers-noetl": {
    keep: {
      "no NoETL": [release("nats", {})],
      "the standard names": [release("./charts/noetl", {}), contract({})],
      "other names, the same on both sides": [
        release("./charts/noetl", { config: { server: { NATS_STREAM: "A" }, worker: { NATS_STREAM: "A" } } }),
        contract({ stream: "A" }),
      ],
      "names that are not known yet": [
        release("./charts/noetl", { config: { server: { NATS_STREAM: UNKNOWN }, worker: { NATS_STREAM: UNKNOWN } } }),
        contract({ stream: UNKNOWN }),
      ],
    },
    break: {
      "no contract": [[release("./charts/noetl", {})], /no StreamContract checks its stream/],
      "another chart in the same component": [
        [resource("kubernetes:helm.sh/v3:Release", { chart: "../upstream/app", values: {} }, "noetl-nats:index:Noetl")],
        /no StreamContract/,
      ],
      "a worker on another consumer": [
        [release("./charts/noetl", { config: { worker: { NATS_CONSUMER: "mine" } } }), contract({})],
        /what the worker uses in namespace nats: .*NATS_CONSUMER "mine"/,
      ],
    },
  },
  "no-latest": {
    keep: {
      "tags, digests, ports": [
        deployment({ image: "ghcr.io/noetl/noetl:v2.8.9" }),
        deployment({ image: "localhost:5000/noetl:1" }),
        deployment({ image: `noetl@sha256:${"a".repeat(64)}` }),
        deployment({ image: UNKNOWN }),
      ],
      "a chart with a version": [
        release("nats", natsValues, { version: "2.14.2", repositoryOpts: { repo: "https://x" } }),
      ],
      "a part that is switched off": [release(otherChart, { image: { tag: "v2.8.9" } })],
      "the gateway by digest": [release("./charts/gateway", { image: { repository: "g", digest: "sha256:a" } })],
    },
    break: {
      "no tag": [[deployment({ image: "localhost:5000/noetl" })], /image is localhost:5000\/noetl$/],
      "latest in a Job": [[deployment({ image: "noetl:latest" }, "batch/v1:Job")], /noetl:latest/],
      "latest in values": [
        [release("./charts/noetl", { image: { tag: "latest" }, sidecar: { image: "proxy" } })],
        /^values\.image\.tag is latest/,
        /^values\.sidecar\.image is proxy/,
      ],
      "latest in a part that is switched on": [
        [release(otherChart, { image: { tag: "v2.8.9" }, extra: { enabled: true } })],
        /^values\.extra\.image\.tag is latest/,
      ],
      "the gateway's default": [[release("./charts/gateway", { image: { repository: "g" } })], /takes for latest/],
      "a chart without version": [
        [release("nats", natsValues, { repositoryOpts: { repo: "https://x" } })],
        /no version/,
      ],
    },
  },
  "resources-set": {
    keep: {
      "containers with resources": [deployment({ resources }), deployment({ resources }, "batch/v1:Job")],
      "the charts' own": [release("./charts/noetl", {}), release("./charts/gateway", {})],
      "NATS' containers": [
        release("nats", natsValues),
        release("nats", { ...natsValues, reloader: { enabled: false }, natsBox: { enabled: false } }),
      ],
      "a chart out of reach": [release("../elsewhere/noetl", {})],
    },
    break: {
      "a container without": [
        [deployment({ resources: { requests: { cpu: "1" } } })],
        /\(c\) lacks resources\.requests\.memory, resources\.limits\.memory$/,
      ],
      "an init container without": [
        [
          resource("kubernetes:apps/v1:StatefulSet", {
            spec: { template: { spec: { initContainers: [{ name: "i" }], containers: [{ name: "c", resources }] } } },
          }),
        ],
        /initContainers\[0\] \(i\) lacks/,
      ],
      "values that take them away": [
        [
          release("./charts/noetl", { worker: { resources: null } }),
          release("./charts/gateway", { resources: { limits: null } }),
        ],
        /^values\.worker\.resources lacks requests\.cpu, requests\.memory, limits\.memory/,
        /^values\.resources lacks limits\.memory/,
      ],
      "NATS without": [
        [release("nats", { config: {}, promExporter: { enabled: true } })],
        /^values\.container\.merge\.resources lacks/,
        /^values\.reloader\.merge\.resources lacks/,
        /^values\.promExporter\.merge\.resources lacks/,
        /^values\.natsBox\.container\.merge\.resources lacks/,
      ],
    },
  },
  "probes-set": {
    keep: {
      "both probes": [deployment({ readinessProbe: probe, livenessProbe: probe })],
      "a startup probe instead": [deployment({ readinessProbe: probe, startupProbe: probe })],
      "a Job needs none": [deployment({}, "batch/v1:Job")],
      "the charts' own": [release("./charts/noetl", {}), release("nats", natsValues)],
      "a chart that does not know the settings": [release(otherChart, {})],
    },
    break: {
      none: [[deployment({})], /lacks readinessProbe and livenessProbe$/],
      "no readiness": [[deployment({ livenessProbe: probe }, "apps/v1:StatefulSet")], /lacks readinessProbe$/],
      "values that take them away": [
        [
          release("nats", { config: { monitor: { enabled: false } } }),
          release("./charts/noetl", { worker: { probe: { restartAfterSeconds: null } } }),
        ],
        /^values\.config\.monitor\.enabled is false/,
        /^values\.worker\.probe\.restartAfterSeconds has to be/,
      ],
    },
  },
};

function problems(rule: Rule, stack: readonly ResourceView[]): string[] {
  return isStackRule(rule) ? rule.checkStack(stack).map(({ problem }) => problem) : stack.flatMap((r) => rule.check(r));
}

it("has cases for every rule, here, among the bad stacks, or where helm renders", () => {
  const rendered = ["releases-rendered", "chart-archives", "charts-pinned"];
  const tried = new Set([
    ...Object.keys(CASES),
    ...[...BAD_STACKS, ...OBJECT_STACKS, ...TEAM_STACKS].map(({ rule }) => rule),
    ...rendered,
  ]);
  expect([...tried].sort()).toEqual(RULES.map(({ name }) => name).sort());
});

describe.each(RULES.filter(({ name }) => name in CASES).map((rule) => ({ rule, name: rule.name })))(
  "$name",
  ({ rule, name }) => {
    const cases: Cases = CASES[name] ?? { keep: {}, break: {} };
    for (const [title, stack] of Object.entries(cases.keep)) {
      it(`is kept by ${title}`, () => expect(problems(rule, stack)).toEqual([]));
    }
    for (const [title, [stack, ...expected]] of Object.entries(cases.break)) {
      it(`is broken by ${title}`, () => {
        const found = problems(rule, stack);
        expect(found).toHaveLength(expected.length);
        for (const [index, pattern] of expected.entries()) expect(found[index]).toMatch(pattern);
        expect(found.join("\n")).not.toContain(CANARY);
      });
    }
  },
);

it("looks at Namespaces one by one: what is said of the stack comes when an update without a preview has made them", () => {
  const alone = RULES.filter((rule) => !isStackRule(rule)).map(({ name }) => name);
  expect(alone).toContain("namespaces-enforce");
  expect(alone).not.toContain("namespaces-declared");
});

describe("reading a resource", () => {
  it("gets at what the proxies of @pulumi/policy hide", async () => {
    // Exported, but left out of the published types.
    const policy = (await import("@pulumi/policy")) as unknown as {
      unknownCheckingProxy(this: void, of: object): object;
    };
    const bare = bareProperties(policy.unknownCheckingProxy({ a: UNKNOWN, b: secret("x"), c: { d: 1 } }));
    expect(isUnknown(bare.a)).toBe(true);
    expect(bare.b).toBeInstanceOf(Secret);
    expect(bare.c).toEqual({ d: 1 });
  });
  it("passes encryption down and leaves unknown values out", () => {
    expect([...texts({ a: secret({ b: ["x"] }), c: UNKNOWN, d: "y" })]).toEqual([
      { path: "a.b[0]", key: "b", text: "x", encrypted: true },
      { path: "d", key: "d", text: "y", encrypted: false },
    ]);
  });
});
