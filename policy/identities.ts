/** Rules about which logins and tokens a pod of NoETL has. */
import { isRecord } from "../contract/records";
import {
  at,
  containers,
  isUnknown,
  kindOf,
  nameOf,
  plain,
  podLabels,
  podSpec,
  records,
  type ResourceView,
} from "./resource";
import { type ResourceRule, said, type StackRule } from "./rule";

/** Entries under which Postgres' images and charts keep the administrator's password. */
const ADMINISTRATOR =
  /^(?:POSTGRES(?:QL)?_(?:POSTGRES_|ADMIN_|FORMER_)?PASSWORDS?|postgres(?:ql)?-(?:postgres-)?password|pgadmin-password|superuser-password)$/;
const ANY_ROLE = /^POSTGRES(?:QL)?_PASSWORDS?$/;
/** Programs that never need it, by the label `app` of their pods. */
const APPLICATIONS: ReadonlySet<unknown> = new Set(["noetl-server", "noetl-worker", "gateway"]);

/** A name in its namespace; undefined where a preview knows one of the two not yet. */
function placed(namespace: unknown, name: unknown): string | undefined {
  return typeof name !== "string" || [namespace, name].some(isUnknown) ? undefined : `${String(namespace)}/${name}`;
}

/** Secrets of a stack that hold the administrator's password, with the entries where it stands. */
function administrators(resources: readonly ResourceView[]): ReadonlyMap<string, readonly string[]> {
  return new Map(
    resources
      .filter(({ type }) => kindOf(type) === "Secret")
      .flatMap(({ props, name }) => {
        const entries = [props.data, props.stringData].map(plain).filter(isRecord).flatMap(Object.keys);
        const found = entries.filter((entry) => ADMINISTRATOR.test(entry));
        const place = placed(at(props, "metadata.namespace"), nameOf({ props, name }));
        return found.length === 0 || place === undefined ? [] : [[place, found] as const];
      }),
  );
}

/** How the pods of a workload get the administrator's password: all entries of a Secret, or that one. */
function administratorsIn(resource: ResourceView, secrets: ReadonlyMap<string, readonly string[]>): string[] {
  const namespace = at(resource.props, "metadata.namespace");
  const of = (name: unknown): readonly string[] => secrets.get(placed(namespace, name) ?? "") ?? [];
  const all = (name: unknown, where: string): string[] =>
    of(name).map((entry) => `${where} takes in all of Secret ${String(name)}, ${entry} among it`);
  const inContainers = containers(resource).flatMap(({ path, spec }) => [
    ...records(spec.envFrom).flatMap((each, index) => all(at(each, "secretRef.name"), `${path}.envFrom[${index}]`)),
    ...records(spec.env)
      .map((variable) => at(variable, "valueFrom.secretKeyRef"))
      .filter(isRecord)
      // In a Secret that is not of the stack `POSTGRES_PASSWORD` may be that of NoETL's own role.
      .filter(
        ({ name, key }) =>
          of(name).includes(String(key)) || (ADMINISTRATOR.test(String(key)) && !ANY_ROLE.test(String(key))),
      )
      .map(({ name, key }) => `${path}.env takes ${String(key)} of Secret ${String(name)}`),
  ]);
  const pod = podSpec(resource);
  const inVolumes = records(pod?.spec.volumes).flatMap((volume) =>
    [at(volume, "secret"), ...records(at(volume, "projected.sources")).map((source) => source.secret)]
      .filter(isRecord)
      .flatMap((secret) => {
        const [name, where] = [secret.secretName ?? secret.name, `${pod?.path}.volumes ${String(volume.name)}`];
        if (!Array.isArray(secret.items)) return all(name, where);
        const taken = records(secret.items).map(({ key }) => String(key));
        return of(name)
          .filter((entry) => taken.includes(entry))
          .map((entry) => `${where} takes ${entry} of Secret ${String(name)}`);
      }),
  );
  return [...inContainers, ...inVolumes];
}

export const administratorApart: StackRule = {
  name: "administrator-apart",
  severity: "high",
  demand: "Pods of NoETL and the gateway have no login of the database's administrator.",
  subjects: "the stack: Secrets, and the pods of server, workers and gateway, by what they take of Secrets",
  reason:
    "Whoever gets into such a pod, or writes a playbook that prints its environment, owns every database of the server, and reads its files.",
  remedy:
    "Take entries one by one (`secretKeyRef`, `items`) and of NoETL's own role alone; the administrator's password belongs to the Job that makes " +
    "role and schema.",
  checkStack: (resources) => {
    const secrets = administrators(resources);
    return resources
      .filter((resource) => APPLICATIONS.has(podLabels(resource).app))
      .flatMap((resource) => said(resource, administratorsIn(resource, secrets)));
  },
};

/** Pods that ask nothing of Kubernetes; workers may start jobs. */
const WITHOUT_TOKEN: ReadonlySet<unknown> = new Set([
  "noetl-server",
  "gateway",
  "noetl-schema",
  "noetl-logins",
  "contract-guard",
  "postgres",
]);

/** Service accounts of a stack that give no pod a token unless it asks for one; by place, as pods name them. */
const accountsWithoutToken = (resources: readonly ResourceView[]): ReadonlySet<string | undefined> =>
  new Set(
    resources
      .filter(({ type, props }) => kindOf(type) === "ServiceAccount" && props.automountServiceAccountToken === false)
      .map(({ props, name }) => placed(at(props, "metadata.namespace"), nameOf({ props, name }))),
  );

function tokens(resource: ResourceView, without: ReadonlySet<string | undefined>): string[] {
  const pod = podSpec(resource);
  if (!pod || !WITHOUT_TOKEN.has(podLabels(resource).app)) return [];
  const { path, spec } = pod;
  // An empty name is none; the other field is the older one of the two.
  const named = [spec.serviceAccountName, spec.serviceAccount].find((each) => typeof each === "string" && each !== "");
  const account = placed(at(resource.props, "metadata.namespace"), named ?? "default");
  // What the pod says counts; where it says nothing, what its account does, if that is known yet.
  const mounted = spec.automountServiceAccountToken ?? (account !== undefined && !without.has(account));
  const projected = records(spec.volumes).filter((volume) =>
    records(at(volume, "projected.sources")).some(
      ({ serviceAccountToken: token }) =>
        isRecord(token) && [undefined, null, ""].includes(token.audience as undefined),
    ),
  );
  return [
    ...(mounted === false || isUnknown(mounted) ? [] : [`${path}.automountServiceAccountToken is not false`]),
    ...projected.map(({ name }) => `${path}.volumes ${String(name)} is a token for the API server`),
  ];
}

export const noNeedlessToken: StackRule = {
  name: "no-needless-token",
  severity: "medium",
  advisory: true,
  demand: "Pods that ask nothing of Kubernetes have no token for its API.",
  subjects:
    "the stack: pods of NoETL's server, the gateway, the guard, Postgres and the Jobs of the database, with their ServiceAccounts; not workers, who " +
    "may start jobs, and not PgBouncer, whose proxy logs in at Google as its account",
  reason: "Whoever gets into such a pod is somebody for the API server, with all that is ever given to that account.",
  remedy:
    "Set `automountServiceAccountToken: false` in the pod or its ServiceAccount, and mount no `serviceAccountToken` but one with an `audience` of its own.",
  checkStack: (resources) => {
    const without = accountsWithoutToken(resources);
    return resources.flatMap((resource) => said(resource, tokens(resource, without)));
  },
};

/** Logins that hold until somebody takes them away, by the resource's type. */
const LASTING: Readonly<Record<string, string>> = {
  "gcp:serviceaccount/key:Key": "a key of a service account of Google Cloud",
  "gcp:storage/hmacKey:HmacKey": "a key of a service account for buckets",
};

export const noLastingToken: ResourceRule = {
  name: "no-lasting-token",
  severity: "medium",
  advisory: true,
  demand: "No login is made that holds until somebody takes it away.",
  subjects:
    "Secrets with a service account's token, keys of service accounts of Google Cloud, certificates of a cluster's clients; what Helm releases render",
  reason:
    "Who has once read it is somebody for good: such a login ends neither with the pod nor with the person that it was for.",
  remedy:
    "Workload Identity, or `kubectl create token` and a `serviceAccountToken` volume, whose tokens end; outside the cluster a federated login " +
    "(docs/ci.md).",
  check: ({ type, props }) => {
    if (at(props, "masterAuth.clientCertificateConfig.issueClientCertificate") === true)
      return ["masterAuth.clientCertificateConfig.issueClientCertificate makes a login that cannot be taken back"];
    const what =
      kindOf(type) === "Secret" && plain(props.type) === "kubernetes.io/service-account-token"
        ? "a token of a ServiceAccount without an end"
        : LASTING[type];
    return what === undefined ? [] : [`this is ${what}`];
  },
};
