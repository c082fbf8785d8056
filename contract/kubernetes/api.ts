import * as http from "node:http";
import * as https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node" with { "resolution-mode": "import" };
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
    "the kubeconfig's server is not an address; allowed: a URL that begins with https:// or http://, for example https://10.0.0.1:6443",
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
  throw new ConnectError(
    "cluster-unreachable",
    `what answers at ${server} to: ${what}, is not a Kubernetes API: no JSON`,
  );
}
