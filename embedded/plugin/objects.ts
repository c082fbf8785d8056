import { createHash, randomBytes } from "node:crypto";
import { ApiError, type ClusterApi, poll } from "./api";
import { DEFAULT_WAIT_MS, readiness, untilReady } from "./await";
import { replacingObjectPaths, touches } from "../../commands/diff/replacement";
import { changes, type DiffAnswer } from "./diff";
import { adopted, conflict, CREATOR, mayForce } from "./managers";
import {
  type ChangeCall,
  type CheckCall,
  type CreateCall,
  type DeleteCall,
  type DiffCall,
  InitFailed,
  lastInputs,
  type ReadCall,
  type Resource,
  type UpdateCall,
} from "./stand-in";
import {
  asText,
  hasUnknown,
  isObject,
  type Json,
  type JsonObject,
  markLike,
  objectAt,
  secret,
  textAt,
  UNKNOWN,
  unwrap,
} from "./wire";

const AUTONAMED = "pulumi.com/autonamed";
const SKIP_AWAIT = "pulumi.com/skipAwait";
const REPLACE_UNREADY = "pulumi.com/replaceUnready";

/** The name to use where the program gives none: the old automatic one, the engine's proposal, or name and 8 hex digits. */
export function autoName(call: Pick<CheckCall, "name" | "seed" | "proposedName">, old: string | undefined): string {
  if (old) return old;
  if (call.proposedName) return call.proposedName;
  const digits =
    call.seed.length > 0 ? createHash("sha256").update(call.seed).digest("hex") : randomBytes(4).toString("hex");
  return `${call.name}-${digits.slice(0, 8)}`;
}

/** `value` without nulls and empty lists, which the API server would drop as well. */
function pruned(value: Json): Json {
  if (Array.isArray(value)) return value.map(pruned);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null && !(Array.isArray(item) && item.length === 0))
      .map(([key, item]) => [key, pruned(item)]),
  );
}

const isKind = (object: JsonObject, apiVersion: string, kind: string): boolean =>
  object.apiVersion === apiVersion && object.kind === kind;

/** A Secret's `stringData` as `data`, the way the API server stores it. */
function encodeSecret(object: JsonObject): JsonObject {
  const { stringData, ...rest } = object;
  if (!isKind(object, "v1", "Secret") || !isObject(stringData)) return object;
  const encoded = Object.entries(stringData).map(([key, value]): [string, Json] => [
    key,
    hasUnknown(value) ? UNKNOWN : Buffer.from(asText(value), "utf8").toString("base64"),
  ]);
  return { ...rest, data: { ...objectAt(object, "data"), ...Object.fromEntries(encoded) } };
}

/** `object` with the secret marks of `inputs`; what a Secret holds is always secret. */
function marked(object: JsonObject, inputs: JsonObject): JsonObject {
  const result = markLike(object, inputs) as JsonObject;
  if (isKind(object, "v1", "Secret")) {
    for (const key of ["data", "stringData"]) if (result[key] !== undefined) result[key] = secret(result[key]);
  }
  return result;
}

/** Where live objects differ from what the inputs say, the inputs as they would have to be. */
function liveInputs(inputs: Json, live: Json | undefined): Json | undefined {
  if (live === undefined) return isObject(inputs) && Object.keys(inputs).length === 0 ? inputs : undefined;
  if (isObject(inputs) && isObject(live)) {
    return Object.fromEntries(
      Object.entries(inputs)
        .map(([key, value]) => [key, liveInputs(value, live[key])] as const)
        .filter((entry): entry is [string, Json] => entry[1] !== undefined),
    );
  }
  if (Array.isArray(inputs) && Array.isArray(live) && inputs.length === live.length) {
    return inputs.map((value, index) => liveInputs(value, live[index]) ?? null);
  }
  return live;
}

/** Inputs of an object nobody described yet, as for an import: what was not added by the API server. */
function importedInputs(live: JsonObject): JsonObject {
  const { status: _status, ...rest } = live;
  const { annotations, labels, name, namespace } = objectAt(live, "metadata");
  return pruned({ ...rest, metadata: { annotations, labels, name, namespace } as JsonObject }) as JsonObject;
}

/** `apiVersion` and `kind` from a type token such as `kubernetes:apps/v1:Deployment`. */
function kindOfType(type: string): { apiVersion: string; kind: string } {
  const [, version = "", kind = ""] = type.split(":");
  return { apiVersion: version.replace(/^core\//, ""), kind };
}

function idOf(object: JsonObject): string {
  const { name, namespace } = objectAt(object, "metadata");
  return namespace ? `${asText(namespace)}/${asText(name)}` : asText(name);
}

/** The object's own manager of fields: what it asks for, what the state knows, or a new one. */
function fieldManagerOf(olds: JsonObject, object: JsonObject): string {
  const asked = textAt(objectAt(object, "metadata", "annotations"), "pulumi.com/patchFieldManager");
  return asked ?? textAt(olds, "__fieldManager") ?? `${CREATOR}-${randomBytes(4).toString("hex")}`;
}

const dryRun = (call: ChangeCall): Record<string, string> => (call.preview ? { dryRun: "All" } : {});

/** True for errors of a dry run that say nothing about the update itself. */
function saysNothing(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return (
    [403, 409].includes(error.status) ||
    (error.status === 404 && /^namespaces "[^"]*" not found$/.test(error.message)) ||
    (error.status === 400 && error.message.includes("does not support dry run"))
  );
}

const annotation = (object: JsonObject, key: string): Json | undefined =>
  objectAt(object, "metadata", "annotations")[key];

/** Who set an object's fields, and in which version of its API it was made; both stand in the state. */
interface Origin {
  readonly manager: string;
  readonly initialApiVersion: Json;
}

/** What is waited for, and what the state keeps where the wait fails. */
interface Awaited {
  readonly path: string;
  readonly kept: (last: JsonObject) => { id: string; properties: JsonObject };
  /** Begins the error's sentence. */
  readonly subject: string;
}

/** Any object of any kind: created by POST, changed by server-side apply; a preview does the same as a dry run. */
export class ObjectResource implements Resource {
  constructor(
    private readonly api: ClusterApi,
    private readonly defaultNamespace: () => string,
    /** Whether every change may take fields from other managers: the provider's `enablePatchForce`. */
    private readonly takesFields: boolean,
  ) {}

  async check(call: CheckCall): Promise<{ inputs: JsonObject }> {
    const olds = unwrap(call.olds);
    const plain = encodeSecret(pruned({ ...kindOfType(call.type), ...unwrap(call.news) }) as JsonObject);
    let metadata: JsonObject = { ...objectAt(plain, "metadata") };
    if (metadata.name === undefined && metadata.generateName === undefined) {
      const oldName = annotation(olds, AUTONAMED) === "true" ? textAt(objectAt(olds, "metadata"), "name") : undefined;
      metadata = {
        ...metadata,
        name: autoName(call, oldName),
        annotations: { ...objectAt(metadata, "annotations"), [AUTONAMED]: "true" },
      };
    }
    if (metadata.namespace === undefined && (await this.isNamespaced(plain))) {
      metadata.namespace = this.defaultNamespace();
    }
    return { inputs: marked({ ...plain, metadata }, call.news) };
  }

  /** False also while there is no cluster to ask, as in a preview before it exists. */
  private async isNamespaced(object: JsonObject): Promise<boolean> {
    try {
      return (await this.api.kind(asText(object.apiVersion), asText(object.kind))).namespaced;
    } catch {
      return false;
    }
  }

  async diff(call: DiffCall): Promise<DiffAnswer> {
    const olds = lastInputs(call);
    const news = unwrap(call.news);
    const immutable = replacingObjectPaths({ apiVersion: asText(news.apiVersion), kind: asText(news.kind) });
    const found = changes(olds, news, (path) => touches(path, immutable));
    if (annotation(news, REPLACE_UNREADY) === "true" && (await this.isUnready(call))) {
      found.push({ path: ["metadata", "annotations", REPLACE_UNREADY], kind: "UPDATE", replace: true });
    }
    const sameName =
      objectAt(olds, "metadata").name === objectAt(news, "metadata").name &&
      objectAt(olds, "metadata").namespace === objectAt(news, "metadata").namespace;
    return {
      changes: found,
      // Two objects cannot have one name; an automatic name is given again.
      deleteBeforeReplace: found.some((change) => change.replace) && sameName && annotation(news, AUTONAMED) !== "true",
    };
  }

  /** Whether a Job is not done; checked by the cluster, and by the state where that cannot be asked. */
  private async isUnready(call: DiffCall): Promise<boolean> {
    const olds = unwrap(call.olds);
    if (!isKind(olds, "batch/v1", "Job")) return false;
    const live = await this.live(olds, call.id, call.signal).catch(() => olds);
    return live !== undefined && readiness(live).state !== "ready";
  }

  private async live(object: JsonObject, id: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    return this.api.get(await this.pathOf(object, id), signal);
  }

  private async pathOf(object: JsonObject, id: string): Promise<string> {
    const [name, namespace] = id.split("/").reverse();
    return this.api.path(asText(object.apiVersion), asText(object.kind), { namespace, name });
  }

  /** Outputs of an object that is there. */
  private answer(live: JsonObject, inputs: JsonObject, { manager, initialApiVersion }: Origin): JsonObject {
    return {
      ...marked(live, inputs),
      __inputs: inputs,
      __initialApiVersion: initialApiVersion,
      __fieldManager: manager,
    };
  }

  async create(call: CreateCall): Promise<{ id: string; properties: JsonObject }> {
    const object = unwrap(call.inputs);
    if (call.preview && !(await this.canTry(object))) return { id: "", properties: call.inputs };
    const id = idOf(object);
    const origin = { manager: fieldManagerOf({}, object), initialApiVersion: object.apiVersion ?? "" };
    let live: JsonObject;
    try {
      live = await this.post(object, call);
    } catch (error) {
      // A replacement has the name of what it replaces, and its namespace may be only planned.
      if (call.preview && saysNothing(error)) return { id: "", properties: call.inputs };
      throw new Error(
        `resource "${call.urn}" was not successfully created by the Kubernetes API server: ${(error as Error).message}`,
      );
    }
    const answer = (last: JsonObject): JsonObject => this.answer(last, call.inputs, origin);
    if (call.preview) {
      const { status: _status, ...planned } = live;
      return { id: "", properties: answer(planned) };
    }
    live = await this.settled(call, live, {
      path: await this.pathOf(object, id),
      kept: (last) => ({ id, properties: answer(last) }),
      subject: `resource "${call.urn}" was successfully created, but the Kubernetes API server reported that it`,
    });
    return { id, properties: answer(live) };
  }

  /** Whether the API server can be asked what it would make of the object. */
  private async canTry(object: JsonObject): Promise<boolean> {
    if (hasUnknown(object)) return false;
    return this.api.kind(asText(object.apiVersion), asText(object.kind)).then(
      () => true,
      () => false,
    );
  }

  private async post(object: JsonObject, call: ChangeCall): Promise<JsonObject> {
    const { namespace } = objectAt(object, "metadata");
    const path = await this.api.path(asText(object.apiVersion), asText(object.kind), {
      namespace: asText(namespace) || undefined,
    });
    return this.api.request("POST", path, {
      body: object,
      query: { fieldManager: CREATOR, ...dryRun(call) },
      signal: call.signal,
    });
  }

  private async apply(
    path: string,
    { object, fieldManager, force }: { object: JsonObject; fieldManager: string; force: boolean },
    call: ChangeCall,
  ): Promise<JsonObject> {
    try {
      return await this.api.request("PATCH", path, {
        body: object,
        contentType: "application/apply-patch+yaml",
        query: { fieldManager, force: String(force), ...dryRun(call) },
        signal: call.signal,
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        throw new ApiError(conflict(fieldManager, error.message), 409);
      }
      throw error;
    }
  }

  /** The object as it stands, with fields that an earlier manager set handed over to `fieldManager`. */
  private async takenOver(path: string, fieldManager: string, call: ChangeCall): Promise<JsonObject> {
    const live = await this.api.request("GET", path, { signal: call.signal });
    const managedFields = call.preview ? undefined : adopted(live, fieldManager);
    if (!managedFields) return live;
    const { resourceVersion } = objectAt(live, "metadata");
    return this.api.request("PATCH", path, {
      body: [
        { op: "replace", path: "/metadata/managedFields", value: managedFields },
        { op: "replace", path: "/metadata/resourceVersion", value: resourceVersion ?? "" },
      ],
      contentType: "application/json-patch+json",
      signal: call.signal,
    });
  }

  /** The object once it is ready; throws with what the state shall keep when it does not become so. */
  private async settled(call: ChangeCall, live: JsonObject, { path, kept, subject }: Awaited): Promise<JsonObject> {
    if (annotation(live, SKIP_AWAIT) === "true") return live;
    let last = live;
    let problem: string | undefined;
    try {
      const timeoutMs = call.timeoutMs ?? DEFAULT_WAIT_MS;
      ({ object: last, problem } = await untilReady(this.api, path, { timeoutMs, signal: call.signal }));
    } catch (error) {
      problem = call.signal.aborted ? "the wait was cancelled" : (error as Error).message;
    }
    if (problem === undefined) return last;
    const { id, properties } = kept(last);
    throw new InitFailed(`${subject} failed to fully initialize or become live: ${problem}`, id, properties);
  }

  async read(call: ReadCall): Promise<{ id: string; inputs: JsonObject; properties: JsonObject } | undefined> {
    const old = unwrap(call.properties);
    const live = await this.live({ ...kindOfType(call.type), ...old }, call.id, call.signal);
    if (!live) return undefined;
    const known = Object.keys(call.inputs).length > 0;
    const plain = known ? (liveInputs(unwrap(call.inputs), live) as JsonObject) : importedInputs(live);
    const inputs = marked(plain, call.inputs);
    const manager = fieldManagerOf(old, plain);
    const initialApiVersion = old.__initialApiVersion ?? live.apiVersion ?? "";
    const properties = this.answer(live, inputs, { manager, initialApiVersion });
    return { id: call.id, inputs, properties };
  }

  async update(call: UpdateCall): Promise<JsonObject> {
    const object = unwrap(call.news);
    const olds = unwrap(call.olds);
    if (call.preview && !(await this.canTry(object))) return call.news;
    const fieldManager = fieldManagerOf(olds, object);
    const initialApiVersion = olds.__initialApiVersion ?? object.apiVersion ?? "";
    const answer = (last: JsonObject): JsonObject =>
      this.answer(last, call.news, { manager: fieldManager, initialApiVersion });
    const kept = (last: JsonObject) => ({ id: call.id, properties: answer(last) });
    const subject = `the Kubernetes API server reported that "${call.id}"`;
    const path = await this.pathOf(object, call.id);
    let live: JsonObject;
    try {
      const before = await this.takenOver(path, fieldManager, call);
      const force = this.takesFields || mayForce(object, before, call.preview);
      live = await this.apply(path, { object, fieldManager, force }, call);
    } catch (error) {
      if (call.preview && error instanceof ApiError && error.status === 403) return call.news;
      const message = (error as Error).message;
      const last = await this.api.get(path, call.signal);
      if (!last) throw new Error(`update of resource "${call.urn}" failed: ${message}`);
      const { id, properties } = kept(last);
      // As the official plugin: the engine keeps the error with the resource and updates it again in the next run.
      throw new InitFailed(`${subject} failed to fully initialize or become live: ${message}`, id, properties);
    }
    return call.preview ? answer(live) : answer(await this.settled(call, live, { path, kept, subject }));
  }

  async delete(call: DeleteCall): Promise<void> {
    const object = unwrap(call.olds);
    const path = await this.pathOf(object, call.id);
    const propagationPolicy = textAt(
      objectAt(object, "metadata", "annotations"),
      "pulumi.com/deletionPropagationPolicy",
    );
    const query = { propagationPolicy: toPolicy(propagationPolicy) };
    try {
      await this.api.request("DELETE", path, { query, signal: call.signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return;
      throw error;
    }
    const { uid } = objectAt(object, "metadata");
    const timeoutMs = call.timeoutMs ?? DEFAULT_WAIT_MS;
    const gone = await poll(
      async () => {
        const live = await this.api.get(path, call.signal);
        return !live || (uid !== undefined && objectAt(live, "metadata").uid !== uid) ? true : undefined;
      },
      { timeoutMs, signal: call.signal },
    );
    if (!gone)
      throw new Error(`${asText(object.kind)} "${call.id}" was still there ${timeoutMs / 1000} s after deletion`);
  }
}

/** `background` -> `Background`; dependents go first unless the object says otherwise (official default). */
function toPolicy(annotated: string | undefined): string {
  return annotated ? annotated.charAt(0).toUpperCase() + annotated.slice(1).toLowerCase() : "Foreground";
}
