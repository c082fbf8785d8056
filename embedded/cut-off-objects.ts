/** Objects that an engine was creating when it was killed: which of them are its own, and their removal. */
import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type ClusterApi } from "./plugin/api";
import { CREATOR } from "./plugin/managers";
import { asText, isObject, type JsonObject, objectAt, textAt } from "./plugin/wire";

const DELETED_AFTER_MS = 120_000;

/** What is in each namespace by itself. */
const BY_ITSELF = new Set(["ConfigMap/kube-root-ca.crt", "ServiceAccount/default"]);

/**
 * Deletes the object of these inputs and waits until it is gone: what takes its name before is not created. One that somebody else has made
 * stays, and so does one that others have put something into.
 *
 * @returns why it stays; undefined where there is none any more
 */
export async function deleteOwn(api: ClusterApi, inputs: JsonObject, signal: AbortSignal): Promise<string | undefined> {
  const metadata = objectAt(inputs, "metadata");
  const [name, namespace] = [textAt(metadata, "name"), textAt(metadata, "namespace")];
  if (!name) return undefined;
  const path = await api
    .path(asText(inputs.apiVersion), asText(inputs.kind), { name, namespace: namespace || undefined })
    .catch(unlessMissing);
  const live = path && (await api.get(path, signal));
  if (!path || !live) return undefined;
  const why = isOwn(live) ? await contentOf(api, live, signal) : "somebody else has made it";
  if (why !== undefined) return why;
  const { uid } = objectAt(live, "metadata");
  const body = { preconditions: { uid: asText(uid) }, propagationPolicy: "Background" };
  const deadline = Date.now() + DELETED_AFTER_MS;
  await api.request("DELETE", path, { body, signal }).catch(unlessMissing);
  while (Date.now() < deadline) {
    const left = await api.get(path, signal);
    if (left === undefined || objectAt(left, "metadata").uid !== uid) return undefined;
    await sleep(200, undefined, { signal });
  }
  throw new Error(`${asText(inputs.kind)} ${name}, which an update was creating when it was killed, cannot be deleted`);
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 404) return undefined;
  throw error;
}

/** Whether the plugin has made it, the official one or its stand-in. */
function isOwn(live: JsonObject): boolean {
  const { managedFields } = objectAt(live, "metadata");
  return (Array.isArray(managedFields) ? managedFields : []).some(
    (entry) => isObject(entry) && asText(entry.manager).startsWith(CREATOR),
  );
}

/** What would go with it: the engine puts nothing into what it has not finished creating. */
async function contentOf(api: ClusterApi, live: JsonObject, signal: AbortSignal): Promise<string | undefined> {
  const { name, namespace } = objectAt(live, "metadata");
  if (live.kind === "Namespace") return contentOfNamespace(api, asText(name), signal);
  if (live.kind === "PersistentVolume") {
    const claim = textAt(objectAt(objectAt(live, "spec"), "claimRef"), "name");
    return claim ? `the claim ${claim} holds it` : undefined;
  }
  if (live.kind !== "PersistentVolumeClaim") return undefined;
  const pods = await api.list(await api.path("v1", "Pod", { namespace: asText(namespace) }), "", signal);
  const user = pods.find((pod) => JSON.stringify(pod.spec).includes(JSON.stringify({ claimName: name }).slice(1, -1)));
  return user && `the pod ${asText(objectAt(user, "metadata").name)} uses it`;
}

async function contentOfNamespace(
  api: ClusterApi,
  namespace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const groups = (await api.request("GET", "/apis", { signal })).groups;
  const versions = (Array.isArray(groups) ? groups : []).map(
    (group) => `/apis/${asText(objectAt(isObject(group) ? group : {}, "preferredVersion").groupVersion)}`,
  );
  for (const version of ["/api/v1", ...versions]) {
    const { resources } = await api.request("GET", version, { signal });
    for (const resource of (Array.isArray(resources) ? resources : []).filter(isObject)) {
      const listed = resource.namespaced === true && JSON.stringify(resource.verbs ?? []).includes('"list"');
      if (!listed || resource.name === "events") continue;
      const path = `${version}/namespaces/${encodeURIComponent(namespace)}/${asText(resource.name)}`;
      const names = (await api.list(path, "", signal)).map((each) => asText(objectAt(each, "metadata").name));
      const foreign = names.find((each) => !BY_ITSELF.has(`${asText(resource.kind)}/${each}`));
      if (foreign !== undefined) return `${asText(resource.kind)} ${foreign} is in it`;
    }
  }
  return undefined;
}
