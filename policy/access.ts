/** Rules about what pods and people may, and about what is open to the world. */
import { isRecord } from "../contract/records";
import { RELEASE } from "../contract/project";
import { LOCATIONS } from "../contract/facts";
import { isEveryone } from "./network";
import { releaseOf } from "./release";
import {
  at,
  containers,
  isUnknown,
  kindOf,
  nested,
  onGoogleCloud,
  plain,
  type PodSpec,
  podLabels,
  podSpecs,
  records,
  type ResourceView,
  selects,
  strings,
  texts,
} from "./resource";
import type { ResourceRule, StackRule } from "./rule";

/** Capabilities that the level `baseline` of the Pod Security Standards lets containers add. */
const BASELINE_CAPABILITIES = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split(
    " ",
  ),
);

/** Kernel parameters that `baseline` lets a pod set, because they are its own: those of its network, mostly. */
const SAFE_SYSCTLS =
  /^(?:kernel\.shm_rmid_forced|net\.ipv4\.(?:ip_local_port_range|ip_unprivileged_port_start|ip_local_reserved_ports|ping_group_range|tcp_(?:syncookies|keepalive_(?:time|intvl|probes)|fin_timeout|rmem|wmem)))$/;
/** Types of SELinux that it lets a container have. */
const SELINUX_TYPES = new Set(["container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);

/** What of a security context `baseline` refuses, a pod's or a container's. */
function contextRights(spec: Readonly<Record<string, unknown>>): string[] {
  const security = "securityContext";
  const { type, user, role } = (at(spec, `${security}.seLinuxOptions`) ?? {}) as Record<string, unknown>;
  const selinux = [
    ...(typeof type === "string" && type !== "" && !isUnknown(type) && !SELINUX_TYPES.has(type)
      ? [`type ${type}`]
      : []),
    ...([user, role].some((each) => typeof each === "string" && each !== "") ? ["user or role"] : []),
  ];
  return [
    ...unconfined(spec),
    ...selinux.map((what) => `${security}.seLinuxOptions sets ${what}`),
    ...(at(spec, `${security}.windowsOptions.hostProcess`) === true ? [`${security}.windowsOptions.hostProcess`] : []),
    ...records(at(spec, `${security}.sysctls`))
      .filter(({ name }) => typeof name === "string" && !isUnknown(name) && !SAFE_SYSCTLS.test(name))
      .map(({ name }) => `${security}.sysctls ${String(name)}`),
  ];
}

/** Probes and hooks that the node sends to another host than the pod, on whose network it answers. */
const otherHosts = (spec: Readonly<Record<string, unknown>>): string[] =>
  ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"]
    .flatMap((part) => [`${part}.httpGet.host`, `${part}.tcpSocket.host`])
    .filter((path) => ![undefined, null, ""].includes(at(spec, path) as undefined));

/** What of a container `baseline` refuses. */
function containerRights(spec: Readonly<Record<string, unknown>>): string[] {
  const security = "securityContext";
  const added = strings(at(spec, `${security}.capabilities.add`))
    .filter((name) => !isUnknown(name))
    .map((name) => name.replace(/^CAP_/, ""))
    .filter((name) => !BASELINE_CAPABILITIES.has(name));
  return [
    ...(at(spec, `${security}.privileged`) === true ? [`${security}.privileged`] : []),
    ...(added.length > 0 ? [`${security}.capabilities.add ${added.join(", ")}`] : []),
    ...(at(spec, `${security}.procMount`) === "Unmasked" ? [`${security}.procMount Unmasked`] : []),
    ...contextRights(spec),
    ...otherHosts(spec),
    ...records(spec.ports)
      .filter(({ hostPort }) => typeof hostPort === "number" && hostPort > 0)
      .map(({ hostPort }) => `hostPort ${String(hostPort)}`),
  ];
}

const unconfined = (spec: Readonly<Record<string, unknown>>): string[] =>
  ["seccompProfile", "appArmorProfile"]
    .filter((profile) => at(spec, `securityContext.${profile}.type`) === "Unconfined")
    .map((profile) => `securityContext.${profile} Unconfined`);

/** Where AppArmor stood before it had a field. */
const APPARMOR = "container.apparmor.security.beta.kubernetes.io/";

/** What of a pod beside its containers `baseline` refuses. */
function podRights(resource: ResourceView, { path, spec }: PodSpec): string[] {
  const annotations = at(resource.props, path.replace(/spec$/, "metadata.annotations"));
  return [
    ...["hostNetwork", "hostPID", "hostIPC"]
      .filter((right) => spec[right] === true)
      .map((right) => `${path}.${right} is true`),
    ...records(spec.volumes)
      .filter(({ hostPath }) => isRecord(hostPath))
      .map(({ name }) => `${path}.volumes ${String(name)} is a hostPath`),
    ...contextRights(spec).map((right) => `${path}.${right}`),
    ...Object.entries(isRecord(annotations) ? annotations : {})
      .filter(([name, value]) => name.startsWith(APPARMOR) && value === "unconfined")
      .map(([name]) => `${path.replace(/spec$/, "metadata.annotations")} ${name} is unconfined`),
  ];
}

/** Folders of a node in which its own programs keep what they run by; others are disks that are given to pods. */
const SYSTEM_FOLDER =
  /^\/+(?:$|(?:bin|boot|etc|lib(?:64)?|proc|root|run|sbin|sys|usr)(?:\/|$)|var\/*(?:$|(?:run|log|lib\/(?:kubelet|docker|containerd|etcd))(?:\/|$)))/;

function volumeRights(props: ResourceView["props"]): string[] {
  const local = at(props, "spec.local.path");
  return [
    ...(at(props, "spec.hostPath") === undefined ? [] : ["spec.hostPath: a folder of the node"]),
    ...(typeof local === "string" && SYSTEM_FOLDER.test(local)
      ? ["spec.local: a folder of the node's own programs"]
      : []),
  ];
}

export const podsBaseline: ResourceRule = {
  name: "pods-baseline",
  severity: "critical",
  demand:
    "No pod is privileged, uses the node's network, processes, files or ports, or adds capabilities beyond the level `baseline`.",
  subjects:
    "Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, Pods; pods, single containers and parts of pods in other kinds of objects; " +
    "PersistentVolumes; what Helm releases render",
  reason: "Whoever gets into such a pod has the node, and with it the Secrets of every pod that runs there.",
  remedy:
    "Take the right away. A program that needs a node belongs into a cluster of its own, or into a namespace that those who run the " +
    "cluster keep.",
  check: (resource) => {
    if (kindOf(resource.type) === "PersistentVolume") return volumeRights(resource.props);
    return [
      ...podSpecs(resource).flatMap((pod) => podRights(resource, pod)),
      ...containers(resource).flatMap((container) =>
        containerRights(container.spec).map((right) => `${container.path}.${right}`),
      ),
    ];
  },
};

/** Groups and users of whom nobody knows who they are. */
const ANYBODY = new Set([
  "system:anonymous",
  "system:unauthenticated",
  "system:authenticated",
  "system:serviceaccounts",
]);
const GRANTING = ["escalate", "bind", "impersonate"];

const WRITING = ["create", "update", "patch", "delete", "deletecollection"];
/** Groups of which every resource together is as good as the cluster: pods and Secrets, what makes pods, and roles. */
const GROUPS = new Set(["*", "", "apps", "batch", "rbac.authorization.k8s.io"]);
const EVERY_RIGHT = "which gives every right there is";
const EVERY_POD = "which runs commands in every pod";
const EVERY_PORT = "which reaches every port, past all NetworkPolicies";
/** What whoever may do this with a resource, in every namespace, has by it. */
const POWERS: readonly { resource: string; verbs: readonly string[]; gives: string }[] = [
  { resource: "serviceaccounts/token", verbs: ["create"], gives: EVERY_RIGHT },
  { resource: "nodes/proxy", verbs: ["get", "create"], gives: EVERY_RIGHT },
  { resource: "certificatesigningrequests/approval", verbs: ["update", "patch"], gives: EVERY_RIGHT },
  ...["users", "groups", "serviceaccounts"].map((resource) => ({ resource, verbs: [], gives: EVERY_RIGHT })),
  // A request that becomes a stream begins as one that reads.
  ...["pods/exec", "pods/attach"].map((resource) => ({ resource, verbs: ["create", "get"], gives: EVERY_POD })),
  { resource: "pods/ephemeralcontainers", verbs: ["update", "patch"], gives: EVERY_POD },
  ...["pods/portforward", "pods/proxy", "services/proxy"].map((resource) => ({
    resource,
    verbs: ["create", "get", "update", "patch"],
    gives: EVERY_PORT,
  })),
];

/** Whether a resource of a rule, `*` in its place too, is this subresource. */
const isSubresource = (written: string, name: string): boolean => {
  const [resource, sub] = name.split("/");
  return written === name || (sub !== undefined && (written === `${resource}/*` || written === `*/${sub}`));
};

/** Groups that a rule of a role is about; one that names none is taken for one about all of them. */
const groupsOf = ({ apiGroups }: Readonly<Record<string, unknown>>): string[] =>
  apiGroups === undefined ? ["*"] : strings(apiGroups);

/** What a rule of a role allows that is as good as everything. */
function ruleRights(rule: Readonly<Record<string, unknown>>, inEveryNamespace: boolean): string[] {
  const [verbs, resources] = [strings(rule.verbs), strings(rule.resources)];
  const may = (wanted: readonly string[]) => verbs.includes("*") || wanted.some((verb) => verbs.includes(verb));
  const groups = groupsOf(rule);
  if (resources.some((each) => each === "*" || each === "*/*") && groups.some((group) => GROUPS.has(group))) {
    if (verbs.includes("*")) return ["allows every verb on every resource"];
    if (may(WRITING)) return [`allows ${verbs.join(", ")} on every resource`];
  }
  // Who may do it with those that are named has no more than these; a node that is named has many pods.
  const isNamed = strings(rule.resourceNames).length > 0 && !resources.includes("nodes/proxy");
  const isCore = groups.includes("*") || groups.includes("");
  return POWERS.flatMap(({ resource, verbs: wanted, gives }) =>
    inEveryNamespace &&
    !isNamed &&
    (isCore || resource.startsWith("certificate")) &&
    resources.some((each) => isSubresource(each, resource)) &&
    may(wanted)
      ? [`allows ${resource} in every namespace, ${gives}`]
      : [],
  );
}

/** What a rule lets somebody give: to himself too. Of every verb, where it is about roles. */
function givenRights(rule: Readonly<Record<string, unknown>>): string[] {
  const verbs = strings(rule.verbs);
  const named = strings(rule.resourceNames);
  const isHarmless =
    named.length > 0 && !named.some((name) => isAdministrator(name) || FOR_ONE_NAMESPACE.includes(name));
  const aboutRoles =
    groupsOf(rule).some((group) => group === "*" || group === "rbac.authorization.k8s.io") &&
    strings(rule.resources).some((each) => each === "roles" || each === "clusterroles");
  const granting = GRANTING.filter((verb) => verbs.includes(verb) && !(verb === "bind" && isHarmless));
  return granting.length === 0 && verbs.includes("*") && aboutRoles ? ["escalate", "bind"] : granting;
}

/** Labels of the administrator's role, as Kubernetes brings it along. */
const ADMINISTRATORS_LABELS = { "kubernetes.io/bootstrapping": "rbac-defaults" };

function roleRights({ type, props }: ResourceView): string[] {
  const isCluster = kindOf(type) === "ClusterRole";
  const aggregated = records(at(props, "aggregationRule.clusterRoleSelectors")).some((selector) =>
    selects(selector, ADMINISTRATORS_LABELS),
  );
  return [
    ...(aggregated ? ["aggregationRule takes in every ClusterRole there is"] : []),
    ...records(at(props, "rules")).flatMap((rule, index) => {
      const granting = givenRights(rule);
      return [
        ...ruleRights(rule, isCluster).map((right) => `rules[${index}] ${right}`),
        ...(granting.length > 0 ? [`rules[${index}] allows ${granting.join(", ")}, ${EVERY_RIGHT}`] : []),
      ];
    }),
  ];
}

/** Roles of Kubernetes that read every Secret, and start pods as any service account, where they hold in every namespace. */
const FOR_ONE_NAMESPACE: readonly unknown[] = ["admin", "edit"];

/** Roles that have, or give themselves, every right: the administrator's, and those of the control plane's own programs. */
const isAdministrator = (role: unknown): boolean =>
  typeof role === "string" &&
  /^(?:cluster-admin|system:(?:masters|controller:.*|kube-controller-manager|node))$/.test(role);

function boundRights({ type, props }: ResourceView): string[] {
  const role = at(props, "roleRef.name");
  const isEverywhere = kindOf(type) === "ClusterRoleBinding" && FOR_ONE_NAMESPACE.includes(role);
  const subjects = records(at(props, "subjects"));
  const anybody = subjects.filter(({ name }) => ANYBODY.has(String(name)));
  // As good as everybody of a namespace: every pod there that names no account, and every one that does.
  const ofNamespace = subjects.flatMap(({ kind, name }) => [
    ...(kind === "ServiceAccount" && name === "default"
      ? ["ServiceAccount default: every pod of its namespace that names no other"]
      : []),
    ...(/^system:serviceaccounts:./.test(String(name)) ? [`${String(name)}: every pod of that namespace`] : []),
  ]);
  return [
    ...(isAdministrator(role) ? [`roleRef is ${String(role)}`] : []),
    ...(isEverywhere ? [`roleRef is ${String(role)} in every namespace`] : []),
    ...anybody.map(({ name }) => `subjects has ${String(name)}: that is everybody`),
    ...ofNamespace.map((who) => `subjects has ${who}`),
  ];
}

/** Resources of which whoever is shown them, or may change them, has as good as everything. */
const SHOWN = new Set(["*", "secrets", "pods", "roles", "clusterroles", "serviceaccounts", "serviceaccounts/token"]);
/** Those of which whoever may change them makes pods of his own. */
const MAKE_PODS = new Set([
  "deployments",
  "statefulsets",
  "daemonsets",
  "replicasets",
  "replicationcontrollers",
  "jobs",
  "cronjobs",
]);

/** A name of the cluster's own, which a DNS server elsewhere has no say in. */
const INSIDE = /^https:\/\/[\w.-]+\.svc(?:\.cluster\.local)?\.?(?:[:/]|$)/;

/** Webhooks that a place outside the cluster answers, which is shown every object, and may change it where it mutates. */
const askedElsewhere = ({ type, props }: ResourceView): string[] =>
  records(at(props, "webhooks")).flatMap((webhook, index) => {
    const url = at(webhook, "clientConfig.url");
    const asks = records(webhook.rules)
      .filter((rule) => groupsOf(rule).some((group) => GROUPS.has(group)))
      .flatMap((rule) => strings(rule.resources).map((each) => each.replace(/\/\*$/, "")))
      .some((each) => SHOWN.has(each) || (type.includes(":Mutating") && MAKE_PODS.has(each)));
    const isOutside = typeof url === "string" && !isUnknown(url) && !INSIDE.test(url);
    return asks && isOutside
      ? [
          `webhooks[${index}].clientConfig.url is outside the cluster, and is shown Secrets or pods, or may change what makes them`,
        ]
      : [];
  });

/** Fields of a cluster and of its nodes, wherever they stand in it, with what they give to everybody when they are so. */
const GIVEN_TO_ALL: readonly (readonly [field: string, value: unknown, gives: string])[] = [
  ["enableLegacyAbac", true, "gives every service account of the cluster every right"],
  ["enableInsecureBindingSystemUnauthenticated", true, "lets roles be given to whoever has not logged in"],
  ["enableInsecureBindingSystemAuthenticated", true, "lets roles be given to every account of Google"],
  [
    "insecureKubeletReadonlyPortEnabled",
    "TRUE",
    "shows whoever reaches a node all of its pods, with their environment",
  ],
  ["mode", "GCE_METADATA", "gives every pod the login of its node"],
];

/** What a cluster, or a pool of its nodes, gives to everybody. */
const clusterRights = (props: ResourceView["props"]): string[] =>
  [{ path: "", spec: props }, ...nested(plain(props))].flatMap(({ path, spec }) =>
    GIVEN_TO_ALL.filter(([field, value]) => spec[field] === value).map(
      ([field, , gives]) => `${path === "" ? "" : `${path}.`}${field} ${gives}`,
    ),
  );

export const noClusterAdmin: ResourceRule = {
  name: "no-cluster-admin",
  severity: "critical",
  demand:
    "Nothing in a stack gets `cluster-admin` or a role like it, and nothing is given to everybody, nor to all pods of a namespace.",
  subjects:
    "Roles, ClusterRoles, RoleBindings, ClusterRoleBindings, webhooks of the API server; what Helm releases render; gcp.container.Cluster and " +
    "NodePool with rights by attributes, bindings for everybody, an open port of the kubelet or the nodes' own login for pods",
  reason:
    "Workers run what playbooks say: a right that a service account of the cluster has is a right of every playbook.",
  remedy: "Name the resources and verbs that are needed, in a Role of the namespace, bound to one service account.",
  check: (resource) => {
    const kind = kindOf(resource.type) ?? "";
    if (/^gcp:container\/(?:cluster:Cluster|nodePool:NodePool)$/.test(resource.type))
      return clusterRights(resource.props);
    if (/\/\w+:(?:Mutating|Validating)WebhookConfiguration(?:Patch)?$/.test(resource.type))
      return askedElsewhere(resource);
    if (!resource.type.includes("rbac.authorization.k8s.io/")) return [];
    return /Binding$/.test(kind) ? boundRights(resource) : /Role$/.test(kind) ? roleRights(resource) : [];
  },
};

/** Lists of addresses that may reach something at Google Cloud, by the resource's type. */
function openRanges({ type, props }: ResourceView): string[] {
  const networks = (path: string, field: string): string[] =>
    records(at(props, path))
      .filter((entry) => isEveryone(String(entry[field])))
      .map((entry) => `${path} has ${String(entry[field])}`);
  if (type === "gcp:sql/databaseInstance:DatabaseInstance")
    return networks("settings.ipConfiguration.authorizedNetworks", "value");
  if (type === "gcp:container/cluster:Cluster")
    return networks("masterAuthorizedNetworksConfig.cidrBlocks", "cidrBlock");
  if (
    type === "gcp:compute/firewall:Firewall" &&
    at(props, "direction") !== "EGRESS" &&
    records(at(props, "allows")).length > 0
  )
    return strings(at(props, "sourceRanges"))
      .filter(isEveryone)
      .map((range) => `sourceRanges has ${range}`);
  return /^gcp:compute\/\w*[fF]irewallPolicy\w*:/.test(type) ? openPolicy(props) : [];
}

/** Rules of a firewall policy that let everybody in: one that stands alone, or a list of them. */
const openPolicy = (props: ResourceView["props"]): string[] =>
  [props, ...records(at(props, "rules"))].flatMap((rule) =>
    at(rule, "action") === "allow" && at(rule, "direction") === "INGRESS"
      ? strings(at(rule, "match.srcIpRanges"))
          .filter(isEveryone)
          .map((range) => `match.srcIpRanges has ${range}`)
      : [],
  );

/** By themselves, and in an access list, which puts the role before them. */
const PUBLIC_MEMBERS = /^(?:[A-Z]+:)?(?:allUsers|allAuthenticatedUsers)$/;
/** Roles that may do everything, or may give themselves every role. */
const BASIC_ROLES =
  /^roles\/(?:owner|editor|iam\.securityAdmin|resourcemanager\.(?:projectIamAdmin|folderIamAdmin|folderAdmin|organizationAdmin))$/;

/** Members and roles of a grant at Google Cloud, however it is written. */
function publicGrants({ type, props }: ResourceView): string[] {
  if (!/^gcp:/.test(type)) return [];
  const grant = /iam|(?:Bucket|Object|Default)ACL|AccessControl|datasetAccess/i.test(type);
  if (!grant && !/predefinedAcl/.test(Object.keys(props).join())) return [];
  const all = [...texts(props)].flatMap((entry) =>
    entry.key === "policyData" ? policyTexts(entry.text).map((text) => ({ ...entry, text })) : [entry],
  );
  return all
    .filter(
      ({ key, text }) =>
        PUBLIC_MEMBERS.test(text) || BASIC_ROLES.test(text) || (key === "predefinedAcl" && /^public/i.test(text)),
    )
    .map(({ path, text }) => `${path} is ${text}`);
}

function policyTexts(text: string): string[] {
  try {
    return [...texts(JSON.parse(text))].map((entry) => entry.text);
  } catch {
    return [];
  }
}

/** Issuers of tokens that everybody gets one from: who a token is for is told by a condition alone. With a path it is one organization's. */
const SHARED_ISSUER =
  /^https:\/\/(?:token\.actions\.githubusercontent\.com|gitlab\.com|app\.terraform\.io|api\.pulumi\.com\/oidc|accounts\.google\.com)\/?$/;

/** What lets in everybody who has an account somewhere: a login with tokens of an issuer, and a service that is handed to other networks. */
function openLogins({ type, props }: ResourceView): string[] {
  const issuer = at(props, "oidc.issuerUri");
  const condition = at(props, "attributeCondition");
  if (
    type === "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider" &&
    typeof issuer === "string" &&
    SHARED_ISSUER.test(issuer) &&
    (condition === undefined || condition === null || condition === "" || condition === "true")
  )
    return [`attributeCondition is not set: everybody who gets a token of ${issuer} is in the pool`];
  if (!/:ServiceAttachment$/.test(type)) return [];
  return ["connectionPreference", "spec.connectionPreference"]
    .filter((path) => at(props, path) === "ACCEPT_AUTOMATIC")
    .map((path) => `${path} is ACCEPT_AUTOMATIC: every project of Google Cloud may connect`);
}

export const nothingPublic: ResourceRule = {
  name: "nothing-public",
  severity: "critical",
  demand:
    "Nothing at Google Cloud is open to every address or every account, and no account gets `roles/owner`, `roles/editor`, or a role that gives " +
    "itself every other.",
  subjects:
    "gcp.sql.DatabaseInstance, gcp.container.Cluster, gcp.compute.Firewall and firewall policies, grants (IAM) and access lists of buckets, " +
    "logins by tokens of a shared issuer (workload identity pools), services that are handed to other networks (ServiceAttachment)",
  reason:
    "A database that every address reaches is tried by everybody within minutes, and images and states hold more than is thought.",
  remedy: "Use private addresses, name the ranges that need it, and grant one role on one resource to one account.",
  check: (resource) => [...openRanges(resource), ...publicGrants(resource), ...openLogins(resource)],
};

/** Who is let in to a control plane beyond those that are named; nobody where its address is off, private, or for named ranges. */
function openAddress(props: ResourceView["props"]): string[] {
  const endpoint = at(props, "controlPlaneEndpointsConfig.ipEndpointsConfig.enabled");
  const isPrivate = at(props, "privateClusterConfig.enablePrivateEndpoint");
  const networks = at(props, "masterAuthorizedNetworksConfig");
  if (endpoint === false || isPrivate === true || [endpoint, isPrivate, networks].some(isUnknown)) return [];
  if (!isRecord(networks))
    return ["the control plane has a public address and no masterAuthorizedNetworksConfig: every address may try it"];
  return networks.gcpPublicCidrsAccessEnabled === true
    ? [
        "masterAuthorizedNetworksConfig.gcpPublicCidrsAccessEnabled lets in every machine of Google Cloud, whoever's it is",
      ]
    : [];
}

export const controlPlaneClosed: ResourceRule = {
  name: "control-plane-closed",
  severity: "high",
  demand:
    "The control plane of a GKE cluster is reached by its name, which asks IAM first, or from ranges of addresses that are named.",
  subjects: "gcp.container.Cluster",
  reason:
    "Everybody on the internet tries logins at an open API server, and the next weakness of it, and it may do everything in the cluster.",
  remedy:
    "Leave `controlPlaneAccess` at `dns`, or set `authorized` with `authorizedNetworks`. Where an open one is meant (`acceptedRisks` " +
    "with `public-control-plane`), `--policy-pack-config` makes this rule a warning.",
  check: ({ type, props }) => (type === "gcp:container/cluster:Cluster" ? openAddress(props) : []),
};

/** How a release speaks with NATS in clear, where it does: as its server, or as a client of one elsewhere. */
function speaksClear(resource: ResourceView, servesItself: boolean): string[] {
  const release = releaseOf(resource);
  if (release?.chart === "nats") {
    const enabled = at(release.values, "config.nats.tls.enabled");
    return enabled === true || isUnknown(enabled)
      ? []
      : ["values.config.nats.tls.enabled is not true: NATS takes logins in clear"];
  }
  // Of clients of a NATS in the same stack, that one says it.
  if (release?.chart !== "noetl" || servesItself) return [];
  return ["server", "worker"].flatMap((role) => {
    const path = `config.${role}.NATS_URL`;
    const url = at(release.values, path);
    return typeof url === "string" && url.startsWith("nats://") ? [`values.${path} asks for no TLS`] : [];
  });
}

export const natsTls: StackRule = {
  name: "nats-tls",
  severity: "medium",
  advisory: true,
  demand: "Where a stack has resources of Google Cloud, NATS and its clients speak TLS.",
  subjects: "the stack: values of the charts nats and noetl, where it has resources of Google Cloud",
  reason:
    "Logins, commands and results cross the network in clear. It warns and stops nothing: who reads along has to be on a node, or on the " +
    "way to a NATS elsewhere, since the namespaces are closed; and TLS is off by default, because turning it on restarts NATS, and a cluster that " +
    "runs loses what only memory holds.",
  remedy: "Set `natsTls` to generated, provided or cert-manager, best when the stack is made (docs/tls.md).",
  checkStack: (resources) => {
    if (!onGoogleCloud(resources)) return [];
    const servesItself = resources.some((each) => releaseOf(each)?.chart === "nats");
    return resources.flatMap((resource) =>
      speaksClear(resource, servesItself).map((problem) => ({ urn: resource.urn, problem })),
    );
  },
};

/** Pods that this project makes of programs which write to nothing but their volumes, by the label `app`, or the chart nats/nats' own. */
const CONFINED: ReadonlySet<unknown> = new Set([
  ...["noetl-server", "noetl-worker", "gateway", "noetl-schema", "noetl-logins", "contract-guard", "pgbouncer"],
  LOCATIONS.nats.service,
]);

export const rootReadOnly: ResourceRule = {
  name: "root-read-only",
  severity: "medium",
  advisory: true,
  demand:
    "Pods of NoETL, of the gateway, NATS, the guard, PgBouncer and the Jobs of the database cannot write to the file system of their image.",
  subjects:
    "their Deployments, StatefulSets and Jobs, and what Helm releases render; not the pod of Postgres, whose image writes elsewhere",
  reason:
    "Whoever gets into such a container could change the program that runs in it, and a program that fills it takes the node's disk from its " +
    "neighbours: what a pod writes belongs into a volume, which has a limit.",
  remedy:
    "Leave `readOnlyRootFilesystem` true, as charts and setting of this project have it, and give what has to be written a volume. A chart of " +
    "somebody else's may need a `transform`.",
  check: (resource) => {
    const labels = podLabels(resource);
    if (!CONFINED.has(labels.app ?? labels["app.kubernetes.io/name"])) return [];
    return containers(resource)
      .map(({ path, spec }) => ({ path, value: at(spec, "securityContext.readOnlyRootFilesystem") }))
      .filter(({ value }) => value !== true && !isUnknown(value))
      .map(({ path }) => `${path}.securityContext.readOnlyRootFilesystem is not true`);
  },
};

const ON = /^(?:true|1|yes|on)$/i;

export const loginRequired: StackRule = {
  name: "login-required",
  severity: "critical",
  demand: "Where a stack has resources of Google Cloud, the gateway asks for a login.",
  subjects: "the stack: environment of containers, ConfigMaps, values of the chart gateway, what Helm releases render",
  reason: "With `gatewayAuthBypass` whoever reaches the gateway is signed in as anybody, and runs playbooks.",
  remedy: "Leave `gatewayAuthBypass` unset; it is for tests on a cluster of one's own.",
  checkStack: (resources) => {
    if (!onGoogleCloud(resources)) return [];
    return resources.flatMap((resource) => {
      const where =
        kindOf(resource.type) === "ConfigMap"
          ? [...texts(resource.props.data, "data")].filter(({ key }) => /AUTH_BYPASS$/.test(key))
          : resource.type === RELEASE
            ? [...texts(resource.props.values, "values")].filter(({ key }) =>
                /^(?:authBypass|(?:GATEWAY_)?AUTH_BYPASS)$/.test(key),
              )
            : containers(resource).flatMap(({ spec, path }) =>
                [...texts(spec.env, `${path}.env`)].filter(({ key }) => /AUTH_BYPASS$/.test(key)),
              );
      const name = resource.rendered ? `${resource.name}, rendered: ` : "";
      return [
        ...where
          .filter(({ text }) => ON.test(text))
          .map(({ path, text }) => ({ urn: resource.urn, problem: `${name}${path} is ${text}` })),
        ...(resource.type === RELEASE && at(resource.props, "values.env.authBypass") === true
          ? [{ urn: resource.urn, problem: "values.env.authBypass is true" }]
          : []),
      ];
    });
  },
};
