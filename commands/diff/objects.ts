import { Opaque } from "../../contract/mask";
import { SECRET_SIGNATURE, unwrapSecrets } from "./outputs";
import type { DeclaredResource } from "./evaluation";
import { kubernetesKind } from "./replacement";

/** A Kubernetes object as it goes to the cluster. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata?: {
    name?: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/** Kinds without a namespace that charts and programs commonly bring. */
const CLUSTER_SCOPED = new Set([
  "Namespace",
  "Node",
  "PersistentVolume",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "StorageClass",
  "PriorityClass",
  "IngressClass",
  "RuntimeClass",
  "CSIDriver",
  "APIService",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
]);

/** The object's namespace; undefined for a kind that has none. */
export function namespaceOf(object: KubeObject, fallback = "default"): string | undefined {
  return CLUSTER_SCOPED.has(object.kind) ? undefined : (object.metadata?.namespace ?? fallback);
}

/** `Kind namespace/name`, as people say it. */
export function titleOf(object: KubeObject): string {
  const place = namespaceOf(object);
  return `${object.kind} ${place === undefined ? "" : `${place}/`}${object.metadata?.name ?? "?"}`;
}

/**
 * What makes two objects of two revisions the same one. The version of the API is left out: an object keeps its identity
 * when a chart moves from v1beta1 to v1.
 */
export function identityOf(object: KubeObject): string {
  const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
  return [group, object.kind, namespaceOf(object) ?? "", object.metadata?.name ?? ""].join("/");
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);

/** The object that a resource of the kubernetes provider is, named as the provider would name it. */
export function objectOf(resource: DeclaredResource, name: string): KubeObject | undefined {
  const kind = kubernetesKind(resource.type);
  if (!kind || resource.read) return undefined;
  const inputs = unwrapSecrets(resource.inputs) as Record<string, unknown>;
  const metadata = isMap(inputs.metadata) ? inputs.metadata : {};
  return { ...inputs, ...kind, metadata: { ...metadata, name } };
}

/**
 * `data` and `stringData` of a Secret in one map of texts, as the API server merges them; undecodable bytes stay base64.
 */
export function secretEntries(object: KubeObject): Record<string, string> {
  const entries: Record<string, string> = {};
  for (const [key, value] of Object.entries(isMap(object.data) ? object.data : {})) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const decoded = Buffer.from(text, "base64").toString("utf8");
    entries[key] = decoded.includes("\uFFFD") ? text : decoded;
  }
  for (const [key, value] of Object.entries(isMap(object.stringData) ? object.stringData : {})) {
    entries[key] = typeof value === "string" ? value : JSON.stringify(value);
  }
  return entries;
}

/** The same value with everything that the program marks as secret made opaque. */
export function withOpaqueSecrets(value: unknown, inSecret = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withOpaqueSecrets(item, inSecret));
  if (isMap(value)) {
    if (SECRET_SIGNATURE in value && "value" in value) return withOpaqueSecrets(value.value, true);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withOpaqueSecrets(item, inSecret)]));
  }
  if (!inSecret || value === null || value === undefined) return value;
  return new Opaque(typeof value === "string" ? value : JSON.stringify(value));
}

/** An object as it is compared: the entries of a Secret in one opaque map. */
export function comparable(object: KubeObject): Record<string, unknown> {
  if (object.kind !== "Secret") return object;
  const { data: _data, stringData: _stringData, ...rest } = object;
  const entries = Object.entries(secretEntries(object)).map(([key, text]) => [key, new Opaque(text)]);
  return { ...rest, data: Object.fromEntries(entries) as Record<string, Opaque> };
}

/** Every text inside a value that the program marks as a secret. */
export function secretTexts(value: unknown, inSecret = false): string[] {
  if (typeof value === "string") return inSecret ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => secretTexts(item, inSecret));
  if (!isMap(value)) return [];
  if (SECRET_SIGNATURE in value) return secretTexts(value.value, true);
  // A login that is a secret as a whole: its user's name is one of a Deployment, too, and hides nothing.
  const shown = inSecret && "password" in value ? "user" : undefined;
  return Object.entries(value).flatMap(([key, item]) => (key === shown ? [] : secretTexts(item, inSecret)));
}
