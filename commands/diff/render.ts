import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseAllDocuments } from "yaml";
import { UNKNOWN } from "../../contract/mask/placeholders";
import { stableJson } from "../../contract/stable-json";
import { DiffError, messageOf, SIDE_NAME, type Side } from "./errors";
import { outputOf, removeFolder, temporaryFolder } from "../shared/leftovers";
import type { DeclaredResource } from "./evaluation";
import { unwrapSecrets } from "./outputs";
import { identityOf, namespaceOf, type KubeObject } from "./objects";

const TEMPLATE_TIMEOUT_MS = 60_000;
const PULL_TIMEOUT_MS = 60_000;

/** One release as helm renders it. */
export interface Rendered {
  readonly objects: readonly KubeObject[];
  /** A second rendering of the same, to find what changes by itself. */
  readonly again: readonly KubeObject[];
  /** Version of the chart, from its Chart.yaml. */
  readonly chartVersion: string;
  /** What could not be taken into account, in words. */
  readonly limits: readonly string[];
}

export interface RenderOptions {
  /** Path of the helm binary. */
  readonly helm: string;
  /** Kubernetes version that charts are rendered for. */
  readonly kubeVersion: string;
  /** API versions that charts may find, in addition to the built-in ones. */
  readonly apiVersions: readonly string[];
}

interface ReleaseInputs {
  readonly name?: string;
  readonly namespace?: string;
  readonly chart: string;
  readonly version?: string;
  readonly repositoryOpts?: { readonly repo?: string };
  readonly values?: Record<string, unknown>;
  readonly valueYamlFiles?: readonly unknown[];
  readonly skipCrds?: boolean;
  readonly postrender?: string;
  readonly disableWebhooks?: boolean;
}

/** The project of one side: where relative chart paths start, and what errors name. */
interface Project {
  readonly side: Side;
  readonly root: string;
}

/** Renders releases with the real helm; equal releases are rendered once, charts from a repository fetched once. */
export class Renderer {
  private readonly folder = temporaryFolder(path.join(os.tmpdir(), "noetl-nats-diff-helm-"));
  private readonly rendered = new Map<string, Promise<string>>();
  private readonly pulled = new Map<string, Promise<string>>();
  private count = 0;

  constructor(private readonly options: RenderOptions) {}

  close(): void {
    removeFolder(this.folder);
  }

  /**
   * Renders one release of one side.
   *
   * @param isUpgrade whether the release is installed already
   * @throws DiffError where the chart cannot be had, or helm refuses it.
   */
  async render(project: Project, resource: DeclaredResource, isUpgrade: boolean): Promise<Rendered> {
    const inputs = unwrapSecrets(resource.inputs) as ReleaseInputs;
    const chart = await this.chart(project, resource.name, inputs);
    const limits = [
      ...(inputs.postrender ? [`${resource.name}: its post-renderer is not run`] : []),
      ...(inputs.valueYamlFiles?.length ? [`${resource.name}: valueYamlFiles are left out`] : []),
    ];
    const namespace = inputs.namespace ?? "default";
    const args = ["template", inputs.name ?? resource.name, chart, "--namespace", namespace];
    args.push(...this.flags(inputs, isUpgrade));
    const values = path.join(this.folder, `values-${++this.count}.json`);
    const text = stableJson(inputs.values ?? {});
    // What only a deployment tells, such as the authorities of a certificate, is of no form that a chart's schema asks for.
    if (text.includes(UNKNOWN)) args.push("--skip-schema-validation");
    fs.writeFileSync(values, text, { mode: 0o600 });
    const content = contentOf(project.root, chart);
    const template = (round: number): Promise<string> => {
      const key = stableJson([round, text, args, content]);
      const cached = this.rendered.get(key);
      if (cached) return cached;
      const started = this.template(project, resource.name, [...args, "--values", values]);
      this.rendered.set(key, started);
      return started;
    };
    const [first, second] = await Promise.all([template(1), template(2)]);
    return {
      objects: parse(first, { side: project.side, release: resource.name, namespace }),
      again: parse(second, { side: project.side, release: resource.name, namespace }),
      chartVersion: await this.version(project, chart),
      limits,
    };
  }

  private flags({ skipCrds, disableWebhooks }: ReleaseInputs, isUpgrade: boolean): string[] {
    return [
      ...["--kube-version", this.options.kubeVersion, "--skip-tests"],
      ...this.options.apiVersions.flatMap((version) => ["--api-versions", version]),
      ...(skipCrds ? [] : ["--include-crds"]),
      ...(isUpgrade ? ["--is-upgrade"] : []),
      ...(disableWebhooks ? ["--no-hooks"] : []),
    ];
  }

  private async helm(args: readonly string[], cwd: string, timeout: number): Promise<string> {
    return outputOf(this.options.helm, args, {
      cwd,
      timeout,
      maxBuffer: 64 * 1024 * 1024,
      env: {
        PATH: process.env.PATH,
        TMPDIR: process.env.TMPDIR,
        HOME: this.folder,
        HELM_CACHE_HOME: path.join(this.folder, "cache"),
        HELM_CONFIG_HOME: path.join(this.folder, "config"),
        HELM_DATA_HOME: path.join(this.folder, "data"),
        ...Object.fromEntries(
          Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$|^SSL_CERT_(FILE|DIR)$/i.test(name)),
        ),
      },
    });
  }

  private async template({ side, root }: Project, release: string, args: readonly string[]): Promise<string> {
    try {
      return await this.helm(args, root, TEMPLATE_TIMEOUT_MS);
    } catch (error) {
      throw new DiffError(`${SIDE_NAME[side]}: helm cannot render ${release}: ${helmReason(error)}`, "failed", side);
    }
  }

  private async version({ side, root }: Project, chart: string): Promise<string> {
    const file = path.resolve(root, chart, "Chart.yaml");
    const text = fs.existsSync(file)
      ? fs.readFileSync(file, "utf8")
      : await this.helm(["show", "chart", chart], root, TEMPLATE_TIMEOUT_MS).catch((error: unknown) => {
          throw new DiffError(`${SIDE_NAME[side]}: helm cannot read ${chart}: ${helmReason(error)}`, "failed", side);
        });
    return /^version:\s*["']?([^"'\s]+)/m.exec(text)?.[1] ?? "?";
  }

  /** A folder or archive that helm can render: the chart itself, or what its repository sends. */
  private async chart({ side, root }: Project, release: string, inputs: ReleaseInputs): Promise<string> {
    const repository = inputs.repositoryOpts?.repo;
    const isRemote = repository !== undefined || /^(oci|https?):\/\//.test(inputs.chart);
    if (!isRemote) {
      if (fs.existsSync(path.resolve(root, inputs.chart, "Chart.yaml")) || inputs.chart.endsWith(".tgz"))
        return inputs.chart;
      throw new DiffError(
        `${SIDE_NAME[side]}: release ${release} wants the chart ${inputs.chart}, which is not a folder with a Chart.yaml ` +
          `in the project and names no repository.`,
        "failed",
        side,
      );
    }
    const key = stableJson([inputs.chart, repository, inputs.version]);
    const known = this.pulled.get(key);
    if (known) return known;
    const pulling = this.pull(side, release, inputs);
    this.pulled.set(key, pulling);
    return pulling;
  }

  private async pull(side: Side, release: string, { chart, repositoryOpts, version }: ReleaseInputs): Promise<string> {
    const repository = repositoryOpts?.repo;
    const target = fs.mkdtempSync(path.join(this.folder, "chart-"));
    const args = ["pull", chart, "--destination", target];
    if (repository) args.push("--repo", repository);
    if (version) args.push("--version", version);
    try {
      await this.helm(args, this.folder, PULL_TIMEOUT_MS);
    } catch (error) {
      const where = repository ? ` from ${repository}` : "";
      throw new DiffError(
        `${SIDE_NAME[side]}: the chart ${chart}${version ? ` ${version}` : ""} of release ${release} cannot be fetched${where}: ` +
          `${helmReason(error)}. Run again when it can be reached, or set the release's chart to a local folder.`,
        "failed",
        side,
      );
    }
    const [archive] = fs.readdirSync(target);
    return path.join(target, archive ?? "");
  }
}

/** The objects of a rendering, in an order of their own. */
function parse(
  text: string,
  { side, release, namespace }: { side: Side; release: string; namespace: string },
): KubeObject[] {
  // Kubernetes reads YAML 1.1: `yes` is true and 0644 is octal.
  const objects = parseAllDocuments(text, { version: "1.1" }).flatMap((document) => {
    const [problem] = document.errors;
    if (problem) {
      throw new DiffError(
        `${SIDE_NAME[side]}: ${release} renders to something that is not YAML: ${messageOf(problem).split("\n")[0]}`,
        "failed",
        side,
      );
    }
    const object = document.toJS() as KubeObject | { kind: "List"; items: KubeObject[] } | null;
    if (object === null) return [];
    return (Array.isArray(object.items) && object.kind.endsWith("List") ? object.items : [object]) as KubeObject[];
  });
  return objects
    .map((object) => withNamespace(object, namespace))
    .sort((a, b) => (identityOf(a) < identityOf(b) ? -1 : 1));
}

/** Helm puts an object without a namespace into the release's. */
function withNamespace(object: KubeObject, namespace: string): KubeObject {
  const place = namespaceOf(object, namespace);
  return place === undefined ? object : { ...object, metadata: { ...object.metadata, namespace: place } };
}

/** What distinguishes one chart folder from another with the same path; archives have been fetched once for all. */
function contentOf(root: string, chart: string): string {
  const folder = path.resolve(root, chart);
  if (!fs.statSync(folder).isDirectory()) return "";
  const hash = crypto.createHash("sha256");
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = path.join(folder, name);
    if (!fs.statSync(file).isFile()) continue;
    hash.update(`${name}\0`).update(fs.readFileSync(file)).update("\0");
  }
  return hash.digest("hex");
}

function helmReason(error: unknown): string {
  const failed = error as { stderr?: string; killed?: boolean; code?: string };
  if (failed.code === "ENOENT") return "helm is not there any more";
  if (failed.killed) return "it took too long";
  const lines = (failed.stderr ?? messageOf(error))
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^(WARNING|walk\.go|coalesce\.go|Use --debug)/.test(line.trim()));
  return (
    lines
      .slice(0, 12)
      .join("\n")
      .replace(/^Error: /, "")
      .trim() || "helm gave no reason"
  );
}
