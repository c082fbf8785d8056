import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type KubeConfig, loadAllYaml, loadYaml } from "@kubernetes/client-node";
import type { ClusterApi } from "./api";
import { replacingPaths, touches } from "../../diff/replacement";
import { changes, type DiffAnswer } from "./diff";
import { inPrivateDir } from "./kubernetes";
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
} from "./server";
import {
  asText,
  hasSecret,
  hasUnknown,
  isObject,
  type Json,
  type JsonObject,
  markLike,
  objectAt,
  scrub,
  secret,
  secretTexts,
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
  timeout: 300,
  values: {},
  verify: false,
  version: "",
  waitForJobs: false,
};

/** Settings the official plugin has and the stand-in refuses, because ignoring them would install something else. */
const REFUSED = ["postrender", "verify", "recreatePods", "replace", "valueYamlFiles", "lint"];

/** Flags of helm for true inputs, for install and upgrade alike. */
const SWITCHES: Readonly<Record<string, string>> = {
  atomic: "--atomic",
  createNamespace: "--create-namespace",
  dependencyUpdate: "--dependency-update",
  devel: "--devel",
  disableOpenapiValidation: "--disable-openapi-validation",
  disableWebhooks: "--no-hooks",
  forceUpdate: "--force",
  renderSubchartNotes: "--render-subchart-notes",
  skipCrds: "--skip-crds",
  waitForJobs: "--wait-for-jobs",
};
const UPGRADE_SWITCHES: Readonly<Record<string, string>> = {
  cleanupOnFail: "--cleanup-on-fail",
  resetValues: "--reset-values",
  reuseValues: "--reuse-values",
};

/** One line of `helm history`. */
interface Revision {
  readonly revision: number;
}

/** Flags for `helm install` or `helm upgrade`. */
export function chartFlags(inputs: JsonObject, command: "install" | "upgrade"): string[] {
  const switches = { ...SWITCHES, ...(command === "upgrade" ? UPGRADE_SWITCHES : {}) };
  const on = Object.entries(switches).flatMap(([input, flag]) => (inputs[input] === true ? [flag] : []));
  const repo = textAt(objectAt(inputs, "repositoryOpts"), "repo");
  const local = isLocal(asText(inputs.chart));
  return [
    ...on,
    ...(inputs.skipAwait === true ? [] : ["--wait"]),
    ...(repo ? ["--repo", repo] : []),
    ...(textAt(inputs, "version") && !local ? ["--version", asText(inputs.version)] : []),
    ...(textAt(inputs, "description") ? ["--description", asText(inputs.description)] : []),
    ...(command === "upgrade" && inputs.maxHistory !== undefined ? ["--history-max", asText(inputs.maxHistory)] : []),
    "--timeout",
    `${Number(inputs.timeout ?? DEFAULTS.timeout)}s`,
  ];
}

function isLocal(chart: string): boolean {
  return chart.startsWith(".") || path.isAbsolute(chart);
}

/** Names of the rendered objects by kind, as the official plugin reports them. */
export function resourceNames(
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

interface ReleaseOptions {
  readonly helm: string;
  readonly cwd: string;
  readonly api: ClusterApi;
  readonly kubeConfig: () => KubeConfig;
  readonly namespace: () => string;
}

/** Runs helm for one release, with a kubeconfig, caches and values in a private folder that is removed afterwards. */
interface Helm {
  run(args: readonly string[]): Promise<string>;
  readonly values: string;
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
        inputs.version = asText(loadYaml<{ version?: string }>(fs.readFileSync(file, "utf8")).version ?? "");
      } else if (!fs.existsSync(path.resolve(this.options.cwd, chart))) {
        const reason = `path "${chart}" not found; check the chart name and repository configuration.`;
        failures.push({ property: "chart", reason });
      }
    }
    return { inputs, failures };
  }

  diff(call: DiffCall): DiffAnswer {
    const found = changes(lastInputs(call), unwrap(call.news)).map((change) => ({
      ...change,
      replace: touches(change.path, replacingPaths("kubernetes:helm.sh/v3:Release")),
    }));
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
    return this.withHelm(call.inputs, call.signal, async (helm) => {
      await this.change(call.inputs, id, helm, "install");
      return { id, properties: await this.deployed(helm, call.inputs) };
    });
  }

  async update(call: UpdateCall): Promise<JsonObject> {
    if (call.preview) return outputs(call.news, UNKNOWN, UNKNOWN);
    return this.withHelm(call.news, call.signal, async (helm) => {
      await this.change(call.news, call.id, helm, "upgrade");
      return this.deployed(helm, call.news);
    });
  }

  /** Installs or upgrades; where that fails after a release exists, the error carries what the state shall keep. */
  private async change(inputs: JsonObject, id: string, helm: Helm, command: "install" | "upgrade"): Promise<void> {
    const plain = unwrap(inputs);
    const chart = asText(plain.chart);
    const place = isLocal(chart) ? path.resolve(this.options.cwd, chart) : chart;
    const before = (await this.history(helm, plain)).at(-1)?.revision ?? 0;
    try {
      await helm.run([command, ...at(plain, [place]), "--values", helm.values, ...chartFlags(plain, command)]);
    } catch (error) {
      const message = (error as Error).message;
      const after = (await this.history(helm, plain).catch(() => [])).at(-1)?.revision ?? 0;
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
    return this.withHelm(inputs, call.signal, async (helm) => {
      if ((await this.history(helm, { name, namespace })).length === 0) return undefined;
      return { id: call.id, inputs, properties: await this.deployed(helm, inputs) };
    });
  }

  async delete(call: DeleteCall): Promise<void> {
    const [namespace = "", name = ""] = call.id.split("/");
    const seconds = call.timeoutMs ? call.timeoutMs / 1000 : Number(unwrap(call.olds).timeout ?? DEFAULTS.timeout);
    await this.withHelm(call.olds, call.signal, (helm) =>
      helm.run(["uninstall", ...at({ name, namespace }), "--ignore-not-found", "--wait", "--timeout", `${seconds}s`]),
    );
  }

  /** Outputs from what helm knows about the release now. */
  private async deployed(helm: Helm, inputs: JsonObject): Promise<JsonObject> {
    const plain = unwrap(inputs);
    const metadata = JSON.parse(await helm.run(["get", "metadata", ...at(plain), "--output", "json"])) as JsonObject;
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

  private async history(helm: Helm, release: JsonObject): Promise<Revision[]> {
    try {
      return JSON.parse(await helm.run(["history", ...at(release), "--output", "json"])) as Revision[];
    } catch (error) {
      if (/release: not found/.test((error as Error).message)) return [];
      throw error;
    }
  }

  private async withHelm<T>(inputs: JsonObject, signal: AbortSignal, use: (helm: Helm) => Promise<T>): Promise<T> {
    if (hasUnknown(inputs.values) || hasUnknown(inputs.chart)) throw new Error("the release has inputs not known yet");
    const secrets = secretTexts(inputs);
    return inPrivateDir(async (dir) => {
      const write = async (name: string, content: string): Promise<string> => {
        const file = path.join(dir, name);
        await fs.promises.writeFile(file, content, { mode: 0o600 });
        return file;
      };
      const kubeconfig = await write("kubeconfig", this.options.kubeConfig().exportConfig());
      // helm reads JSON as YAML.
      const values = await write("values.yaml", JSON.stringify(unwrap(inputs.values ?? {})));
      const env: NodeJS.ProcessEnv = {
        PATH: process.env.PATH,
        HOME: dir,
        TMPDIR: dir,
        KUBECONFIG: kubeconfig,
        HELM_CACHE_HOME: path.join(dir, "cache"),
        HELM_CONFIG_HOME: path.join(dir, "config"),
        HELM_DATA_HOME: path.join(dir, "data"),
      };
      for (const name of [
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "https_proxy",
        "http_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
      ]) {
        if (process.env[name] !== undefined) env[name] = process.env[name];
      }
      const run = (args: readonly string[]): Promise<string> =>
        runHelm(this.options.helm, args, { cwd: this.options.cwd, env, signal, secrets });
      return use({ run, values });
    });
  }
}

/** Arguments that name a release, with further positional ones behind the name. */
function at(release: JsonObject, more: readonly string[] = []): string[] {
  return [asText(release.name), ...more, "--namespace", asText(release.namespace)];
}

/** Outputs of a release; `__inputs` and `values` are secret where anything in the values is. */
function outputs(inputs: JsonObject, status: Json, names: Json): JsonObject {
  const plain = unwrap(inputs);
  const properties = markLike({ ...plain, status, resourceNames: names }, inputs) as JsonObject;
  properties.__inputs = hasSecret(inputs) ? secret(inputs) : inputs;
  return properties;
}

/** Runs helm and gives its output. Its own time limit is in the arguments; the engine's cancel interrupts it. */
async function runHelm(
  helm: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; signal: AbortSignal; secrets: readonly string[] },
): Promise<string> {
  options.signal.throwIfAborted();
  const child = spawn(helm, args, { cwd: options.cwd, env: options.env, stdio: ["ignore", "pipe", "pipe"] });
  // helm marks the release as failed when it is interrupted, so that it is not left pending.
  const interrupt = (): void => void child.kill("SIGTERM");
  options.signal.addEventListener("abort", interrupt, { once: true });
  try {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    if (code === 0) return Buffer.concat(out).toString("utf8");
    const said = Buffer.concat(err).toString("utf8").trim();
    const message = said
      .replace(/^(WARNING: .*\n)+/, "")
      .replace(/^Error: (INSTALLATION FAILED: |UPGRADE FAILED: )?/, "");
    throw new Error(scrub(message || `helm ${args[0]} ended with ${code ?? "a signal"}`, options.secrets));
  } finally {
    options.signal.removeEventListener("abort", interrupt);
  }
}
