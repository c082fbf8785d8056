/** The objects that are asked for, by kind: where the API has each, and what a role needs for it. */
import { isUtf8 } from "node:buffer";
import type * as k8s from "@kubernetes/client-node" with { "resolution-mode": "import" };
import { within } from "../deadline";
import { ConnectError } from "../errors";
import { apiAnswer, jsonOf, type Resource } from "./api";
import type { ClusterAccess } from "./kubeconfig";

/** A type of the client library as the API writes it: times are text. */
export type Written<T> = T extends Date
  ? string
  : T extends readonly (infer E)[]
    ? Written<E>[]
    : T extends object
      ? { [key in keyof T]: Written<T[key]> }
      : T;

/** By their names in a role. */
export interface Kinds {
  readonly pods: Written<k8s.V1Pod>;
  readonly services: Written<k8s.V1Service>;
  readonly secrets: Written<k8s.V1Secret>;
  readonly configmaps: Written<k8s.V1ConfigMap>;
  readonly persistentvolumeclaims: Written<k8s.V1PersistentVolumeClaim>;
  readonly events: Written<k8s.CoreV1Event>;
  readonly deployments: Written<k8s.V1Deployment>;
  readonly statefulsets: Written<k8s.V1StatefulSet>;
  readonly jobs: Written<k8s.V1Job>;
}

export type Pod = Kinds["pods"];

/** Which API a kind is of, and how one of it is called. */
const KINDS: { readonly [kind in keyof Kinds]: readonly [api: string, one: string] } = {
  pods: ["/api/v1", "Pod"],
  services: ["/api/v1", "Service"],
  secrets: ["/api/v1", "Secret"],
  configmaps: ["/api/v1", "ConfigMap"],
  persistentvolumeclaims: ["/api/v1", "PersistentVolumeClaim"],
  events: ["/api/v1", "Event"],
  deployments: ["/apis/apps/v1", "Deployment"],
  statefulsets: ["/apis/apps/v1", "StatefulSet"],
  jobs: ["/apis/batch/v1", "Job"],
};

/** One object of its kind. */
export interface Named {
  readonly namespace: string;
  readonly name: string;
}

export type Query = Readonly<Record<string, string | number | boolean>>;

function pathOf(
  kind: keyof Kinds,
  namespace: string,
  { name, part, query }: { name?: string; part?: string; query?: Query } = {},
): string {
  const parts = [namespace, kind, name, part].filter((each) => each !== undefined).map(encodeURIComponent);
  const given = Object.entries(query ?? {}).map(([key, value]): [string, string] => [key, String(value)]);
  const asked = new URLSearchParams(given).toString();
  return `${KINDS[kind][0]}/namespaces/${parts.join("/")}${asked && `?${asked}`}`;
}

const wordsFor = (kind: keyof Kinds, { namespace, name }: Named): string => `${KINDS[kind][1]} ${namespace}/${name}`;

/** The objects of a namespace, or those of them that `query` selects. */
export const allOf = (kind: keyof Kinds, namespace: string, query?: Query): Resource => ({
  path: pathOf(kind, namespace, { query }),
  what: `list the ${kind} of namespace ${namespace}`,
  needs: `list on ${kind}`,
});

export const oneOf = (kind: keyof Kinds, { namespace, name }: Named): Resource => ({
  path: pathOf(kind, namespace, { name }),
  what: `read ${wordsFor(kind, { namespace, name })}`,
  needs: `get on ${kind}`,
});

/** The log of a container. */
export const logOf = ({ namespace, name }: Named, query: { readonly container: string } & Query): Resource => ({
  path: pathOf("pods", namespace, { name, part: "log", query }),
  what: `read the log of pod ${namespace}/${name}`,
  needs: "get on pods/log",
});

/**
 * A change of an object, as `kubectl patch` makes it.
 *
 * @param why What for, in one word that the object's kind and name follow.
 */
export const changeOf = (
  kind: keyof Kinds,
  { namespace, name }: Named,
  { why, body }: { readonly why: string; readonly body: object },
): Resource => ({
  path: pathOf(kind, namespace, { name }),
  what: `${why} ${wordsFor(kind, { namespace, name })}`,
  needs: `patch on ${kind}`,
  patch: { type: "strategic-merge-patch+json", body },
});

/** Who the API server notes as the owner of what is applied. */
const FIELD_MANAGER = "noetl-nats";

/** A Secret as it is to be, made or changed in place by server-side apply. */
const secretAs = ({ namespace, name }: Named, data: Readonly<Record<string, string>>): Resource => ({
  path: pathOf("secrets", namespace, { name, query: { fieldManager: FIELD_MANAGER, force: true } }),
  what: `change ${wordsFor("secrets", { namespace, name })}`,
  needs: "create and patch on secrets",
  patch: {
    type: "apply-patch+yaml",
    body: { apiVersion: "v1", kind: "Secret", metadata: { name }, type: "Opaque", data },
  },
});

/**
 * The objects of a namespace, and the API server's clock in milliseconds since 1970.
 *
 * @throws ConnectError `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function listObjects<K extends keyof Kinds>(
  config: ClusterAccess,
  { kind, namespace, query }: { readonly kind: K; readonly namespace: string; readonly query?: Query },
  signal: AbortSignal,
): Promise<{ items: readonly Kinds[K][]; now: number }> {
  const resource = allOf(kind, namespace, query);
  const answer = await apiAnswer(config, resource, signal);
  const now = Date.parse(answer?.date ?? "");
  const items = answer && jsonOf<{ items?: Kinds[K][] | null }>(config, resource, answer.body).items;
  return { items: items ?? [], now: Number.isNaN(now) ? Date.now() : now };
}

/**
 * An object; undefined where there is none of that name.
 *
 * @throws ConnectError `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function readObject<K extends keyof Kinds>(
  config: ClusterAccess,
  { kind, ...named }: { readonly kind: K } & Named,
  signal: AbortSignal,
): Promise<Kinds[K] | undefined> {
  const resource = oneOf(kind, named);
  const answer = await apiAnswer(config, resource, signal);
  return answer && jsonOf<Kinds[K]>(config, resource, answer.body);
}

/** How much of a log is read, in bytes: what is shown of it goes through the mask as a whole. */
const LOG_BYTES = 65_536;

/** A log without the line at its end that the limit has cut: half a credential is not known for one. */
export function wholeLines(log: string): string {
  return Buffer.byteLength(log) < LOG_BYTES ? log : log.replace(/\n[^\n]*$/, "\n");
}

/**
 * The last lines of a container before its last start, without the rest of very long ones; undefined where there are none.
 *
 * @throws ConnectError `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function readPreviousLog(
  config: ClusterAccess,
  { container, ...pod }: { readonly container: string } & Named,
  signal: AbortSignal,
): Promise<string | undefined> {
  const query = { container, previous: true, tailLines: 20, limitBytes: LOG_BYTES };
  const answer = await apiAnswer(config, logOf(pod, query), signal);
  return answer && wholeLines(answer.body);
}

/**
 * What a Secret holds, as text; undefined where there is none.
 *
 * @throws ConnectError `forbidden`, `cluster-login`, `cluster-unreachable`, or `no-answer` after `seconds`.
 */
export async function readSecret(
  config: ClusterAccess,
  { seconds, ...secret }: { readonly seconds: number } & Named,
): Promise<Record<string, string> | undefined> {
  const found = await within(seconds * 1000, `the Kubernetes API to give ${wordsFor("secrets", secret)}`, (signal) =>
    readObject(config, { kind: "secrets", ...secret }, signal),
  );
  return found && secretTexts(found.data);
}

/** What a Secret's `data` holds, as text; nothing where it has none. */
export const secretTexts = (data: Readonly<Record<string, string>> | null | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );

/** What a Secret's `data` holds that is not text, in base64 as it stands there: keys, most of them. */
export const secretBytes = (data: Readonly<Record<string, string>> | null | undefined): string[] =>
  Object.values(data ?? {}).filter((value) => !isUtf8(Buffer.from(value, "base64")));

/**
 * Makes a Secret, or changes it in place.
 *
 * @throws ConnectError as {@link readSecret}, and `no-pod` where its namespace is missing.
 */
export async function applySecret(
  config: ClusterAccess,
  { data, ...secret }: { readonly data: Readonly<Record<string, string>> } & Named,
  seconds: number,
): Promise<void> {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  const resource = secretAs(secret, Object.fromEntries(encoded) as Record<string, string>);
  const answer = await within(seconds * 1000, `the Kubernetes API to ${resource.what}`, (signal) =>
    apiAnswer(config, resource, signal),
  );
  if (answer) return;
  throw new ConnectError("no-pod", `there is no namespace ${secret.namespace} for Secret ${secret.name}`);
}
