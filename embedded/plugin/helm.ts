/** The helm command: its arguments for a release, and its runs. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { endsWithUs } from "../../commands/shared/leftovers";
import { MARK } from "../cluster/processes";
import { asText, hasUnknown, type JsonObject, objectAt, scrub, secretTexts, textAt, unwrap } from "./wire";

/** What helm waits for a release, in seconds, where its inputs do not say. */
export const DEFAULT_TIMEOUT_SECONDS = 300;

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
    `${Number(inputs.timeout ?? DEFAULT_TIMEOUT_SECONDS)}s`,
  ];
}

/** Whether a chart is a folder here. */
export function isLocal(chart: string): boolean {
  return chart.startsWith(".") || path.isAbsolute(chart);
}

/** Arguments that name a release, with further positional ones behind the name. */
export function at(release: JsonObject, more: readonly string[] = []): string[] {
  return [asText(release.name), ...more, "--namespace", asText(release.namespace)];
}

export interface HelmOptions {
  /** The helm binary. */
  readonly helm: string;
  /** Folder of the program: where a relative chart path starts. */
  readonly cwd: string;
  /** The kubeconfig's content, with its credentials. */
  readonly kubeconfig: () => string;
}

/** Runs helm for one release, with a kubeconfig, caches and values in a private folder that is removed afterwards. */
export interface Helm {
  run(args: readonly string[]): Promise<string>;
  readonly values: string;
}

/** One line of `helm history`. */
interface Revision {
  readonly revision: number;
  /** `deployed`, `pending-upgrade` and the like. */
  readonly status: string;
}

/** The release's revisions; none where there is no release. */
export async function history(helm: Helm, release: JsonObject): Promise<Revision[]> {
  try {
    return JSON.parse(await helm.run(["history", ...at(release), "--output", "json"])) as Revision[];
  } catch (error) {
    if (/release: not found/.test((error as Error).message)) return [];
    throw error;
  }
}

/** Variables of this process that helm gets too: they decide which way a download goes, and by which it is found when we are killed. */
const PASSED_ON = [
  MARK,
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
  "https_proxy",
  "http_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
];

/** Runs `use` with helm for the release of these inputs. */
export async function withHelm<T>(
  options: HelmOptions,
  { inputs, signal }: { readonly inputs: JsonObject; readonly signal: AbortSignal },
  use: (helm: Helm) => Promise<T>,
): Promise<T> {
  if (hasUnknown(inputs.values) || hasUnknown(inputs.chart)) throw new Error("the release has inputs not known yet");
  const secrets = secretTexts(inputs);
  return inPrivateDir(async (dir) => {
    const write = async (name: string, content: string): Promise<string> => {
      const file = path.join(dir, name);
      await fs.promises.writeFile(file, content, { mode: 0o600 });
      return file;
    };
    const kubeconfig = await write("kubeconfig", options.kubeconfig());
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
    for (const name of PASSED_ON) {
      if (process.env[name] !== undefined) env[name] = process.env[name];
    }
    const run = (args: readonly string[]): Promise<string> =>
      runHelm(options.helm, args, { cwd: options.cwd, env, signal, secrets });
    return use({ run, values });
  });
}

/** A fresh private folder for `use`, removed afterwards. */
async function inPrivateDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await fs.promises.mkdtemp(path.join(os.tmpdir(), "noetl-nats-helm-"));
  try {
    return await use(dir);
  } finally {
    await fs.promises.rm(dir, { recursive: true, force: true });
  }
}

/** Runs helm and gives its output. Its own time limit is in the arguments; the engine's cancel interrupts it. */
async function runHelm(
  helm: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; signal: AbortSignal; secrets: readonly string[] },
): Promise<string> {
  options.signal.throwIfAborted();
  const { cwd, env } = options;
  // The engine's cancel interrupts it, and no Ctrl-C before that.
  const child = endsWithUs(spawn(helm, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true }));
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
