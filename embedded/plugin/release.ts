import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { RELEASE } from "../../contract/project";
import type { ClusterApi } from "./api";
import { replacingPaths, touches } from "../../commands/diff/replacement";
import { changes, type DiffAnswer } from "./diff";
import {
  at,
  chartFlags,
  DEFAULT_TIMEOUT_SECONDS,
  type Helm,
  type HelmOptions,
  history,
  isLocal,
  withHelm,
} from "./helm";
import { autoName } from "./objects";
import {
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
  hasSecret,
  isObject,
  type Json,
  type JsonObject,
  markLike,
  objectAt,
  secret,
  textAt,
  UNKNOWN,
  unwrap,
  unwrapOnce,
} from "./wire";

/** Inputs a Release has even where the program does not set them; `timeout` in seconds. */
const DEFAULTS: JsonObject = {
  allowNullValues: false,
  atomic: false,
  cleanupOnFail: false,
  createNamespace: false,
  dependencyUpdate: false,
  description: "",
  devel: false,
  disableCRDHooks: false,
  disableOpenapiValidation: false,
  disableWebhooks: false,
  forceUpdate: false,
  keyring: "",
  lint: false,
  postrender: "",
  recreatePods: false,
  renderSubchartNotes: false,
  replace: false,
  resetValues: false,
  reuseValues: false,
  skipAwait: false,
  skipCrds: false,
  timeout: DEFAULT_TIMEOUT_SECONDS,
  values: {},
  verify: false,
  version: "",
  waitForJobs: false,
};

/** Settings the official plugin has and the stand-in refuses, because ignoring them would install something else. */
const REFUSED = ["postrender", "verify", "recreatePods", "replace", "valueYamlFiles", "lint"];

/** Names of the rendered objects by kind, as the official plugin reports them. */
function resourceNames(
  objects: readonly JsonObject[],
  namespaceOf: (object: JsonObject) => string | undefined,
): Record<string, string[]> {
  const names: Record<string, string[]> = {};
  for (const object of objects) {
    const apiVersion = asText(object.apiVersion);
    const group = apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "";
    const namespace = namespaceOf(object);
    const name = asText(objectAt(object, "metadata").name);
    (names[`${asText(object.kind)}${group}/${apiVersion}`] ??= []).push(namespace ? `${namespace}/${name}` : name);
  }
  return names;
}

interface ReleaseOptions extends HelmOptions {
  readonly api: ClusterApi;
  readonly namespace: () => string;
}

/** A Helm release, by the helm command. */
export class ReleaseResource implements Resource {
  constructor(private readonly options: ReleaseOptions) {}

  check(call: CheckCall): { inputs: JsonObject; failures: { property: string; reason: string }[] } {
    const { compat: _compat, ...news } = call.news;
    const plain = unwrap(news);
    const oldName = textAt(unwrap(call.olds), "name");
    const inputs: JsonObject = {
      ...DEFAULTS,
      ...news,
      name: news.name ?? autoName(call, oldName?.startsWith(`${call.name}-`) ? oldName : undefined),
      namespace: news.namespace ?? this.options.namespace(),
    };
    const failures = REFUSED.filter((key) => {
      const value = plain[key];
      return value !== undefined && value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);
    }).map((property) => ({
      property,
      reason: "the stand-in for the kubernetes plugin does not support this setting",
    }));
    const access = Object.keys(objectAt(plain, "repositoryOpts")).filter((key) => key !== "repo");
    if (access.length > 0) {
      failures.push({
        property: "repositoryOpts",
        reason: `the stand-in for the kubernetes plugin supports only repo, not ${access.sort().join(", ")}`,
      });
    }
    const chart = plain.chart;
    if (typeof chart !== "string") {
      failures.push({ property: "chart", reason: "a chart is required" });
    } else if (chart !== UNKNOWN && isLocal(chart)) {
      const file = path.join(path.resolve(this.options.cwd, chart), "Chart.yaml");
      if (fs.existsSync(file)) {
        inputs.version = asText((parse(fs.readFileSync(file, "utf8")) as { version?: string }).version ?? "");
      } else if (!fs.existsSync(path.resolve(this.options.cwd, chart))) {
        const reason = `path "${chart}" not found; check the chart name and repository configuration.`;
        failures.push({ property: "chart", reason });
      }
    }
    return { inputs, failures };
  }

  diff(call: DiffCall): DiffAnswer {
    const found = changes(lastInputs(call), unwrap(call.news), (path) => touches(path, replacingPaths(RELEASE)));
    return {
      changes: found,
      diffs: [...new Set(found.map((change) => String(change.path[0])))],
      detailed: found.length > 0,
    };
  }

  async create(call: CreateCall): Promise<{ id: string; properties: JsonObject }> {
    const inputs = unwrap(call.inputs);
    const id = `${asText(inputs.namespace)}/${asText(inputs.name)}`;
    if (call.preview) return { id: "", properties: outputs(call.inputs, UNKNOWN, UNKNOWN) };
    return withHelm(this.options, call, async (helm) => {
      await this.change(helm, "install", { id, inputs: call.inputs });
      return { id, properties: await this.deployed(helm, call.inputs) };
    });
  }

  async update(call: UpdateCall): Promise<JsonObject> {
    const { id, signal } = call;
    if (call.preview) return outputs(call.news, UNKNOWN, UNKNOWN);
    return withHelm(this.options, { inputs: call.news, signal }, async (helm) => {
      await this.change(helm, "upgrade", { id, inputs: call.news });
      return this.deployed(helm, call.news);
    });
  }

  /** Installs or upgrades; where that fails after a release exists, the error carries what the state shall keep. */
  private async change(
    helm: Helm,
    command: "install" | "upgrade",
    { id, inputs }: { id: string; inputs: JsonObject },
  ): Promise<void> {
    const plain = unwrap(inputs);
    const chart = asText(plain.chart);
    const place = isLocal(chart) ? path.resolve(this.options.cwd, chart) : chart;
    const before = (await history(helm, plain)).at(-1)?.revision ?? 0;
    try {
      await helm.run([command, ...at(plain, [place]), "--values", helm.values, ...chartFlags(plain, command)]);
    } catch (error) {
      const message = (error as Error).message;
      const after = (await history(helm, plain).catch(() => [])).at(-1)?.revision ?? 0;
      // Nothing has changed, or nothing is left of it.
      if (after === before || after === 0) throw error;
      throw new InitFailed(
        `Helm release "${id}" ${command === "install" ? "was created, but " : ""}failed to initialize completely. ` +
          "Use Helm CLI to investigate: " +
          `failed to become available within allocated timeout. Error: Helm Release ${id}: ${message}`,
        id,
        await this.deployed(helm, inputs),
      );
    }
  }

  async read(call: ReadCall): Promise<{ id: string; inputs: JsonObject; properties: JsonObject } | undefined> {
    const [namespace = "", name = ""] = call.id.split("/");
    // After a failed update the state's own inputs are those of the last success.
    const last = objectAt(unwrapOnce(call.properties.__inputs));
    const inputs = [last, call.inputs].find((each) => Object.keys(each).length > 0) ?? { ...DEFAULTS, name, namespace };
    return withHelm(this.options, { inputs, signal: call.signal }, async (helm) => {
      if ((await history(helm, { name, namespace })).length === 0) return undefined;
      return { id: call.id, inputs, properties: await this.deployed(helm, inputs) };
    });
  }

  async delete(call: DeleteCall): Promise<void> {
    const [namespace = "", name = ""] = call.id.split("/");
    const seconds = call.timeoutMs
      ? call.timeoutMs / 1000
      : Number(unwrap(call.olds).timeout ?? DEFAULT_TIMEOUT_SECONDS);
    await withHelm(this.options, { inputs: call.olds, signal: call.signal }, (helm) =>
      helm.run(["uninstall", ...at({ name, namespace }), "--ignore-not-found", "--wait", "--timeout", `${seconds}s`]),
    );
  }

  /** Outputs from what helm knows about the release now. */
  private async deployed(helm: Helm, inputs: JsonObject): Promise<JsonObject> {
    const plain = unwrap(inputs);
    const metadata = JSON.parse(await helm.run(["get", "metadata", ...at(plain), "--output", "json"])) as JsonObject;
    // Loaded where a release has changed: it takes a second.
    const { loadAllYaml } = await import("@kubernetes/client-node");
    const rendered = (loadAllYaml(await helm.run(["get", "manifest", ...at(plain)])) as Json[]).filter(isObject);
    const scoped = new Map<JsonObject, string | undefined>();
    for (const object of rendered) scoped.set(object, await this.namespaceOf(object, asText(plain.namespace)));
    const status: JsonObject = {
      appVersion: metadata.appVersion ?? "",
      chart: metadata.chart ?? "",
      name: metadata.name ?? "",
      namespace: metadata.namespace ?? "",
      revision: metadata.revision ?? 0,
      status: metadata.status ?? "",
      version: metadata.version ?? "",
    };
    return outputs(
      inputs,
      status,
      resourceNames(rendered, (object) => scoped.get(object)),
    );
  }

  private async namespaceOf(object: JsonObject, releaseNamespace: string): Promise<string | undefined> {
    const own = textAt(objectAt(object, "metadata"), "namespace");
    if (own) return own;
    const { namespaced } = await this.options.api.kind(asText(object.apiVersion), asText(object.kind));
    return namespaced ? releaseNamespace : undefined;
  }
}

/** Outputs of a release; `__inputs` and `values` are secret where anything in the values is. */
function outputs(inputs: JsonObject, status: Json, names: Json): JsonObject {
  const plain = unwrap(inputs);
  const properties = markLike({ ...plain, status, resourceNames: names }, inputs) as JsonObject;
  properties.__inputs = hasSecret(inputs) ? secret(inputs) : inputs;
  return properties;
}
