import * as http from "node:http";
import * as https from "node:https";
import type { KubeConfig, V1Pod, V1PodList } from "@kubernetes/client-node" with {
  "resolution-mode": "import",
};
import { within } from "../deadline";
import { ConnectError } from "../errors";
import type { ClusterConnection } from "../inputs";
import {
  accessTo,
  chooseContext,
  execCredentials,
  exportKubeconfig,
  needsLibrary,
  readKubeconfig,
  type Chosen,
  type ClusterAccess,
  type Kubeconfig,
} from "./kubeconfig";

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? "";

/**
 * The way to the API as the client library has it. The library is an ES module, so that CommonJS code can only import it this way, and
 * large: a second may pass until it is loaded.
 *
 * @throws ConnectError `bad-kubeconfig`, without any of the kubeconfig's content.
 */
export async function libraryAccess(kubeconfig: Kubeconfig, { context, cluster, user }: Chosen): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  const credential = user && execCredentials(user, cluster);
  try {
    config.loadFromString(exportKubeconfig(kubeconfig, { context: context.name, withoutExec: user?.name }));
  } catch {
    throw new ConnectError("bad-kubeconfig", `${kubeconfig.source}: it cannot be read as a kubeconfig`);
  }
  if (!credential) return config;
  // The library's own way runs the command without telling it anything, and tells nothing of its end.
  config.addAuthenticator({
    isAuthProvider: ({ name }) => name === user.name,
    applyAuthentication: async (_user, options: https.RequestOptions) => {
      const { token, cert, key } = await credential();
      if (cert !== undefined) options.cert = cert;
      if (key !== undefined) options.key = key;
      if (token !== undefined) options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
    },
  });
  return config;
}

/**
 * The way to the API of the cluster that a connection means. The client library, which takes a second to load, is only used
 * where a kubeconfig needs it.
 *
 * @throws ConnectError `bad-kubeconfig`, without any of the kubeconfig's content.
 */
export async function clusterAccess(connection: ClusterConnection): Promise<ClusterAccess> {
  const kubeconfig = readKubeconfig(connection);
  const chosen = chooseContext(kubeconfig, connection.context);
  return needsLibrary(chosen) ? libraryAccess(kubeconfig, chosen) : accessTo(chosen);
}

const apiServer = (config: ClusterAccess): string => config.getCurrentCluster()?.server ?? "";

export async function requestOptions(config: ClusterAccess): Promise<https.RequestOptions> {
  const options: https.RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    const [firstLine] = String((error as Error | undefined)?.message ?? error).split("\n");
    throw new ConnectError("bad-kubeconfig", `the kubeconfig's login to ${apiServer(config)} failed: ${firstLine}`);
  }
  return options;
}

/** The error for an API server that could not be asked. */
export function unreachable(config: ClusterAccess, error: unknown): ConnectError {
  const why = (error as Error | undefined)?.message || codeOf(error) || "no reason given";
  return new ConnectError(
    "cluster-unreachable",
    `the Kubernetes API at ${apiServer(config)} cannot be reached: ${why}`,
  );
}

/** The error for a status that the API server answered with. */
export function refused(
  config: ClusterAccess,
  status: number,
  { what, needs }: Pick<Resource, "what" | "needs">,
): ConnectError {
  const server = apiServer(config);
  if (status === 401) {
    return new ConnectError("cluster-login", `the Kubernetes API at ${server} does not accept the kubeconfig's login`);
  }
  if (status === 403) {
    const user = config.getCurrentUser()?.name ?? "";
    return new ConnectError("forbidden", `the kubeconfig's user ${user} may not ${what}: its role needs ${needs}`);
  }
  return new ConnectError("cluster-unreachable", `the Kubernetes API at ${server} answered ${status} to: ${what}`);
}

export interface Resource {
  readonly path: string;
  /** In words that follow "may not". */
  readonly what: string;
  readonly needs: string;
  /** What to change there, and by which of Kubernetes' kinds of patch. Default: the resource is only read. */
  readonly patch?: { readonly type: "apply-patch+yaml" | "strategic-merge-patch+json"; readonly body: object };
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** When the server answered, as it writes that. */
  readonly date: string;
}

/**
 * The answer to one request; undefined where there is no such object.
 *
 * @throws ConnectError `bad-kubeconfig`, `cluster-login`, `forbidden` or `cluster-unreachable`.
 */
export async function apiAnswer(
  config: ClusterAccess,
  resource: Resource,
  signal: AbortSignal,
): Promise<Pick<Answer, "body" | "date"> | undefined> {
  const url = addressOf(config, resource.path);
  const options = { ...(await requestOptions(config)), signal };
  const { patch } = resource;
  const content = patch && Buffer.from(JSON.stringify(patch.body));
  if (content) {
    options.method = "PATCH";
    const type = { "Content-Type": `application/${patch.type}`, "Content-Length": content.length };
    options.headers = { ...options.headers, ...type };
  }
  const { status, body, date } = await requested(config, url, { options, content });
  if (status === 404) return undefined;
  if (status !== 200 && status !== 201) throw refused(config, status, resource);
  return { body, date };
}

function addressOf(config: ClusterAccess, path: string): URL {
  const address = apiServer(config).replace(/\/$/, "") + path;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return url;
  throw new ConnectError(
    "bad-kubeconfig",
    "the kubeconfig's server is no address; allowed: a URL that begins with https:// or http://, for example https://10.0.0.1:6443",
  );
}

async function requested(
  config: ClusterAccess,
  url: URL,
  { options, content }: { readonly options: https.RequestOptions; readonly content: Buffer | undefined },
): Promise<Answer> {
  const { request } = url.protocol === "http:" ? http : https;
  const answer = await new Promise<Answer | "again">((resolve, reject) => {
    const outgoing = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => reject(unreachable(config, new Error("its answer broke off"))));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString(),
          date: response.headers.date ?? "",
        }),
      );
    });
    outgoing.on("error", (error) => {
      // The server had closed the connection while it waited, and this side had not seen it yet.
      if (outgoing.reusedSocket && /^(?:ECONNRESET|EPIPE)$/.test(codeOf(error))) resolve("again");
      else reject(unreachable(config, error));
    });
    outgoing.end(content);
  });
  return answer === "again" ? requested(config, url, { options, content }) : answer;
}

/** An object that the API answered with. @throws ConnectError `cluster-unreachable` where something else answered. */
export function jsonOf<T extends object>(config: ClusterAccess, { what }: Pick<Resource, "what">, body: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // What it is instead may be a proxy's page.
  }
  if (typeof value === "object" && value !== null) return value as T;
  const server = apiServer(config);
  throw new ConnectError("cluster-unreachable", `what answers at ${server} to: ${what}, is no Kubernetes API: no JSON`);
}

/**
 * The pods of a namespace, and the API server's clock.
 *
 * @throws ConnectError `forbidden`, `cluster-login` or `cluster-unreachable`.
 */
export async function listPods(
  config: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<{ pods: readonly V1Pod[]; now: number }> {
  const resource = {
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
    what: `list the pods of namespace ${namespace}`,
    needs: "list on pods",
  };
  const answer = await apiAnswer(config, resource, signal);
  const now = Date.parse(answer?.date ?? "");
  const pods = answer ? (jsonOf<Partial<V1PodList>>(config, resource, answer.body).items ?? []) : [];
  return { pods, now: Number.isNaN(now) ? Date.now() : now };
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
export async function readLog(
  config: ClusterAccess,
  { namespace, pod, container }: { readonly namespace: string; readonly pod: string; readonly container: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const limits = { tailLines: "20", limitBytes: String(LOG_BYTES) };
  const query = new URLSearchParams({ container, previous: "true", ...limits }).toString();
  const answer = await apiAnswer(
    config,
    {
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log?${query}`,
      what: `read the log of pod ${namespace}/${pod}`,
      needs: "get on pods/log",
    },
    signal,
  );
  return answer && wholeLines(answer.body);
}

const secretPath = (namespace: string, name: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;

/**
 * What a Secret holds, as text; undefined where there is none.
 *
 * @throws ConnectError `forbidden`, `cluster-login`, `cluster-unreachable`, or `no-answer` after `seconds`.
 */
export async function readSecret(
  config: ClusterAccess,
  { namespace, name, seconds }: { readonly namespace: string; readonly name: string; readonly seconds: number },
): Promise<Record<string, string> | undefined> {
  const resource = {
    path: secretPath(namespace, name),
    what: `read Secret ${namespace}/${name}`,
    needs: "get on secrets",
  };
  const answer = await within(seconds * 1000, `the Kubernetes API to give Secret ${namespace}/${name}`, (signal) =>
    apiAnswer(config, resource, signal),
  );
  if (!answer) return undefined;
  const { data } = jsonOf<{ data?: Record<string, string> | null }>(config, resource, answer.body);
  return secretTexts(data);
}

/** What a Secret's `data` holds, as text; nothing where it has none. */
export const secretTexts = (data: Readonly<Record<string, string>> | null | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );

/** Who the API server notes as the owner of what is applied. */
const FIELD_MANAGER = "noetl-nats";

/**
 * Makes a Secret, or changes it in place, by server-side apply.
 *
 * @throws ConnectError as {@link readSecret}, and `no-pod` where its namespace is missing.
 */
export async function applySecret(
  config: ClusterAccess,
  secret: { readonly namespace: string; readonly name: string; readonly data: Readonly<Record<string, string>> },
  seconds: number,
): Promise<void> {
  const { namespace, name, data } = secret;
  const encoded: Record<string, string> = Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
  );
  const resource = {
    path: `${secretPath(namespace, name)}?fieldManager=${FIELD_MANAGER}&force=true`,
    what: `change Secret ${namespace}/${name}`,
    needs: "create and patch on secrets",
    patch: {
      type: "apply-patch+yaml" as const,
      body: { apiVersion: "v1", kind: "Secret", metadata: { name }, type: "Opaque", data: encoded },
    },
  };
  const answer = await within(seconds * 1000, `the Kubernetes API to change Secret ${namespace}/${name}`, (signal) =>
    apiAnswer(config, resource, signal),
  );
  if (!answer) throw new ConnectError("no-pod", `there is no namespace ${namespace} for Secret ${name}`);
}
