/**
 * What a Helm release puts into the cluster. The engine shows a policy the release's values alone, so helm renders them here,
 * as the release's plugin will: docs/decisions/0023-policy-renders-releases.md.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseAllDocuments } from "yaml";
import { isRecord } from "../contract/records";
import { projectRoot, RELEASE } from "../contract/project";
import { stableJson } from "../contract/stable-json";
import { archiveProblem, type ChartVersion } from "./archive";
import { at, fromManifest, holdsUnknown, isUnknown, type Manifest, plain, type ResourceView } from "./resource";

/** Longest time for one release, with the download of a chart from a repository. */
const TIMEOUT_MS = 60_000;
/** Kubernetes that charts are rendered for: helm has a version of its own only in official builds. */
const KUBE_VERSION = "1.34.4";

/** What became of a release. */
export interface Rendering {
  readonly objects: readonly ResourceView[];
  /** Why there are none; undefined where they are there, or where values are missing that the update will know. */
  readonly failure?: string;
  /** The repository's archive is not the one that is pinned: nothing is made of it. */
  readonly wrongArchive?: string;
}

/** Renderings of this run, by what they were made of: every rule asks, and encryption is asked about separately. */
const cache = new Map<string, Rendering>();

/** What helm has answered, by what it was asked: with all resources of a stack a release comes again, its outputs beside its inputs. */
const texts = new Map<string, string>();

/** The objects of a release; none for every other resource. */
export function rendering(resource: ResourceView): Rendering {
  if (resource.type !== RELEASE) return { objects: [] };
  const inputs = plain(resource.props) as Record<string, unknown>;
  const key = JSON.stringify([resource.urn, inputs]);
  const known = cache.get(key) ?? rendered(resource, inputs);
  cache.set(key, known);
  return known;
}

function rendered(resource: ResourceView, inputs: Readonly<Record<string, unknown>>): Rendering {
  const { chart, values } = inputs;
  if (typeof chart !== "string" || isUnknown(chart) || (values !== undefined && !isRecord(values)))
    return { objects: [] };
  try {
    const text = template(resource, inputs);
    return { objects: manifests(text).map((manifest) => fromManifest(manifest, resource)) };
  } catch (error) {
    if (error instanceof WrongArchive) return { objects: [], wrongArchive: error.message };
    return { objects: [], failure: holdsUnknown(JSON.stringify(values ?? {})) ? undefined : reason(error) };
  }
}

class WrongArchive extends Error {}
class NotYaml extends Error {}

const textAt = (inputs: Readonly<Record<string, unknown>>, name: string): string | undefined => {
  const value = at(inputs, name);
  return typeof value === "string" && value !== "" && !isUnknown(value) ? value : undefined;
};

/** The chart of a repository that a release installs, where one version is named. */
export function chartVersion(inputs: Readonly<Record<string, unknown>>): ChartVersion | undefined {
  const [chart, version] = [textAt(inputs, "chart"), textAt(inputs, "version")];
  const repository = textAt(inputs, "repositoryOpts.repo");
  return chart && version && repository ? { chart, version, repository } : undefined;
}

function template(resource: ResourceView, inputs: Readonly<Record<string, unknown>>): string {
  const wanted = chartVersion(inputs);
  const repository = textAt(inputs, "repositoryOpts.repo");
  const chart = String(inputs.chart);
  const args = ["--values", "-", "--namespace", textAt(inputs, "namespace") ?? "default"];
  args.push("--kube-version", KUBE_VERSION, "--skip-tests");
  // Without one version there is no archive to compare, which is a rule's concern; helm takes the newest.
  if (repository && !wanted) args.push("--repo", repository);
  const name = textAt(inputs, "name") ?? resource.name;
  // Of a registry, or another place that is not a repository: the same version that the release installs.
  const version = textAt(inputs, "version");
  if (!repository && version) args.push("--version", version);
  // The engine gives keys in any order.
  const values = stableJson(inputs.values ?? {});
  const key = JSON.stringify([name, chart, wanted, args, values]);
  const render = (place: string): string => helm(["template", name, place, ...args], values);
  const known = texts.get(key) ?? (wanted ? withArchive(wanted, render) : render(repository ? chart : local(chart)));
  texts.set(key, known);
  return known;
}

/** Has the repository's archive, once it is the one that is pinned, for as long as `use` takes. */
function withArchive(wanted: ChartVersion, use: (file: string) => string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-chart-"));
  try {
    const { chart, repository, version } = wanted;
    helm(["pull", chart, "--repo", repository, "--version", version, "--destination", folder]);
    const [archive = ""] = fs.readdirSync(folder);
    const file = path.join(folder, archive);
    const problem = archiveProblem(wanted, file);
    if (problem !== undefined) throw new WrongArchive(problem);
    return use(file);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function helm(args: readonly string[], values = ""): string {
  return execFileSync("helm", args, {
    // Values hold credentials: neither arguments nor a file.
    input: values,
    cwd: projectRoot(),
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** A chart that is a folder of the program is found from there; a name that is none may be a URL. */
function local(chart: string): string {
  const folder = path.resolve(projectRoot(), chart);
  return fs.existsSync(folder) ? folder : chart;
}

function manifests(text: string): Manifest[] {
  // Kubernetes reads YAML 1.1, and of a key that stands there twice the last.
  return parseAllDocuments(text, { version: "1.1", uniqueKeys: false }).flatMap((document): Manifest[] => {
    if (document.errors.length > 0) throw new NotYaml();
    const object: unknown = document.toJS();
    if (!isRecord(object)) return [];
    const listed = typeof object.kind === "string" && object.kind.endsWith("List") ? object.items : undefined;
    const all: unknown[] = Array.isArray(listed) ? listed : [object];
    return all.filter((each): each is Manifest & Record<string, unknown> => isRecord(each) && "kind" in each);
  });
}

/** Helm's first words, without the values that they may repeat. */
function reason(error: unknown): string {
  if (error instanceof NotYaml) return "what the chart makes cannot be read";
  const { code, killed, stderr } = error as { code?: string; killed?: boolean; stderr?: string };
  if (code === "ENOENT") return "helm is not on PATH";
  if (killed || code === "ETIMEDOUT") return `helm took more than ${TIMEOUT_MS / 1000} s`;
  const repository = /(?:failed to (?:download|fetch)|not found|no such host|repo)/i.test(stderr ?? "");
  return repository ? "the chart cannot be had" : "helm refuses the chart or these values";
}
