import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { expand } from "../../contract/kubernetes/expand";
import { projectRoot } from "../../contract/project";
import { ensureTools } from "../../embedded/toolchain";

const run = promisify(execFile);

/** A Kubernetes object as a chart renders it; only what the tests look at is typed. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  spec?: Record<string, unknown>;
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  automountServiceAccountToken?: boolean;
}

export interface PodTemplate {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Record<string, unknown>[];
  securityContext: Record<string, unknown>;
  [key: string]: unknown;
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  command?: string[];
  env?: { name: string; value?: string; valueFrom?: Record<string, { name: string; key: string } | undefined> }[];
  envFrom?: { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  [key: string]: unknown;
}

export type ChartName = "noetl" | "gateway" | "nats";
export type Values = Record<string, unknown>;

/** Folder of a chart of this project. */
export function chartFolder(chart: ChartName): string {
  return path.join(projectRoot(), chart === "nats" ? "embedded/charts/nats" : `charts/${chart}`);
}

/** A values file of `test/charts/values`. */
export function valuesFile(name: string): Values {
  return parse(fs.readFileSync(path.join(__dirname, "values", `${name}.yaml`), "utf8"), { merge: true }) as Values;
}

/** Merges values as Helm does: maps key by key, everything else is replaced. */
export function merged(...all: Values[]): Values {
  const isMap = (value: unknown): value is Values =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  return all.reduce<Values>((into, from) => {
    const result = { ...into };
    for (const [key, value] of Object.entries(from)) {
      const old = result[key];
      result[key] = isMap(old) && isMap(value) ? merged(old, value) : value;
    }
    return result;
  }, {});
}

async function helm(args: readonly string[], values: Values): Promise<string> {
  const { helm: binary } = await ensureTools(["helm"]);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-values-"));
  try {
    const file = path.join(folder, "values.yaml");
    fs.writeFileSync(file, JSON.stringify(values));
    const { stdout } = await run(binary, [...args, "--values", file], {
      timeout: 60_000,
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The built helm carries no Kubernetes version of its own, and the charts ask for one. */
const template = (chart: ChartName, values: Values): Promise<string> =>
  helm(["template", chart, chartFolder(chart), "--namespace", chart, "--kube-version", "1.34.4"], values);

/** Objects a chart renders, as release and namespace of the chart's name. */
export async function render(chart: ChartName, values: Values): Promise<KubeObject[]> {
  return parseAllDocuments(await template(chart, values), { merge: true })
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object): object is KubeObject => object !== null);
}

/** What helm says where it refuses values. */
export async function refusal(chart: ChartName, values: Values): Promise<string> {
  try {
    await template(chart, values);
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
  throw new Error(`the chart ${chart} accepts ${JSON.stringify(values)}`);
}

/** What helm shows of an installation, Secrets left out; it asks the cluster but installs nothing. */
export function rehearsal(chart: ChartName, values: Values, kubeconfig: string): Promise<string> {
  const args = ["install", chart, chartFolder(chart), "--namespace", chart, "--kubeconfig", kubeconfig];
  return helm([...args, "--dry-run=server", "--hide-secret"], values);
}

/** The one object of a kind and name. */
export function find(objects: readonly KubeObject[], kind: string, name: string): KubeObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} objects ${kind}/${name} instead of one`);
  return found[0];
}

/** Pod template of a Deployment or StatefulSet. */
export function podTemplate(objects: readonly KubeObject[], name: string, kind = "Deployment"): PodTemplate {
  return find(objects, kind, name).spec?.template as PodTemplate;
}

/** Entries of a Secret in plain text. */
export function secretData(secret: KubeObject): Record<string, string> {
  const decoded = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, "base64").toString("utf8"),
  ]);
  return { ...(Object.fromEntries(decoded) as Record<string, string>), ...secret.stringData };
}

/** One variable as the container gets it, and where from. */
export interface EnvEntry {
  value: string;
  source: "ConfigMap" | "Secret" | "literal";
}

/** The environment a container gets, resolved as the kubelet resolves it: later sources win, `env` over `envFrom`. */
function environment(objects: readonly KubeObject[], container: Container): Record<string, EnvEntry> {
  const env: Record<string, EnvEntry> = {};
  const take = (kind: "ConfigMap" | "Secret", name: string, only?: { key: string; as: string }) => {
    const object = find(objects, kind, name);
    const data = kind === "Secret" ? secretData(object) : (object.data ?? {});
    for (const [key, value] of Object.entries(data)) {
      if (!only || only.key === key) env[only?.as ?? key] = { value, source: kind };
    }
  };
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) take("ConfigMap", configMapRef.name);
    if (secretRef) take("Secret", secretRef.name);
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (value !== undefined) {
      const before = Object.fromEntries(Object.entries(env).map(([key, each]) => [key, each.value]));
      env[name] = { value: expand(value, before), source: "literal" };
    }
    const { configMapKeyRef, secretKeyRef } = valueFrom ?? {};
    if (configMapKeyRef) take("ConfigMap", configMapKeyRef.name, { key: configMapKeyRef.key, as: name });
    if (secretKeyRef) take("Secret", secretKeyRef.name, { key: secretKeyRef.key, as: name });
  }
  return env;
}

/** Environment of a Deployment's only container. */
export function deployed(objects: readonly KubeObject[], deployment: string): Record<string, EnvEntry> {
  const [container] = podTemplate(objects, deployment).spec.containers;
  if (!container) throw new Error(`${deployment} has no container`);
  return environment(objects, container);
}
