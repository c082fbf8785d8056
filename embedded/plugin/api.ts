import * as http from "node:http";
import * as https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterAccess } from "../../contract/kubernetes/kubeconfig";
import { asText, isObject, type Json, type JsonObject, textAt } from "./wire";

/** An answer of the API server that is not a success. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** One kind as the API server lists it. */
export interface Kind {
  readonly plural: string;
  readonly namespaced: boolean;
}

interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

/** Longest time one request may take, in milliseconds. */
const REQUEST_MS = 30_000;

/** Requests to the API server, for kinds known only at run time. */
export class ClusterApi {
  private readonly kinds = new Map<string, Kind>();

  constructor(private readonly access: () => ClusterAccess) {}

  async request(method: string, path: string, options: RequestOptions = {}): Promise<JsonObject> {
    const config = this.access();
    const server = config.getCurrentCluster()?.server;
    if (!server) throw new Error("the kubeconfig names no cluster");
    const url = new URL(server.replace(/\/$/, "") + path);
    for (const [key, value] of Object.entries(options.query ?? {})) url.searchParams.set(key, value);
    const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const settings: https.RequestOptions = {
      method,
      signal: options.signal
        ? AbortSignal.any([options.signal, AbortSignal.timeout(REQUEST_MS)])
        : AbortSignal.timeout(REQUEST_MS),
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": options.contentType ?? "application/json", "Content-Length": body.length }),
      },
    };
    await config.applyToHTTPSOptions(settings);
    const client = url.protocol === "http:" ? http : https;
    const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const request = client.request(url, settings, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
      });
      request.on("error", reject);
      request.end(body);
    });
    let parsed: JsonObject;
    try {
      parsed = JSON.parse(text) as JsonObject;
    } catch {
      parsed = {};
    }
    if (status < 200 || status >= 300) {
      throw new ApiError(textAt(parsed, "message") ?? `${method} ${path}: the API server answered ${status}`, status);
    }
    return parsed;
  }

  /** How the API server calls a kind; asked once per kind. */
  async kind(apiVersion: string, kind: string): Promise<Kind> {
    const key = `${apiVersion}/${kind}`;
    const known = this.kinds.get(key);
    if (known) return known;
    const missing = `no matches for kind "${kind}" in version "${apiVersion}"`;
    const list = await this.request("GET", groupPath(apiVersion)).catch((error: unknown) => {
      throw error instanceof ApiError && error.status === 404 ? new ApiError(missing, 404) : error;
    });
    for (const entry of Array.isArray(list.resources) ? list.resources : []) {
      if (!isObject(entry) || asText(entry.name).includes("/")) continue;
      this.kinds.set(`${apiVersion}/${asText(entry.kind)}`, {
        plural: asText(entry.name),
        namespaced: entry.namespaced === true,
      });
    }
    const found = this.kinds.get(key);
    if (!found) throw new ApiError(missing, 404);
    return found;
  }

  /** Path of a collection, or of one object in it. */
  async path(
    apiVersion: string,
    kind: string,
    { namespace = "default", name }: { readonly namespace?: string; readonly name?: string },
  ): Promise<string> {
    const { plural, namespaced } = await this.kind(apiVersion, kind);
    const scope = namespaced ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    return `${groupPath(apiVersion)}${scope}/${plural}${name ? `/${encodeURIComponent(name)}` : ""}`;
  }

  /** The object, or undefined where there is none. */
  async get(path: string, signal?: AbortSignal): Promise<JsonObject | undefined> {
    try {
      return await this.request("GET", path, { signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Objects of a collection that carry the labels. */
  async list(path: string, labelSelector: string, signal?: AbortSignal): Promise<JsonObject[]> {
    const { items } = await this.request("GET", path, { query: { labelSelector }, signal });
    return (Array.isArray(items) ? items : []).filter(isObject);
  }
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** Asks `probe` twice a second until it gives something, at most `timeoutMs`; undefined when the time is over. */
export async function poll<T>(
  probe: () => Promise<T | undefined>,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<T | undefined> {
  const end = Date.now() + options.timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() >= end) return undefined;
    await sleep(Math.min(500, Math.max(1, end - Date.now())), undefined, { signal: options.signal });
  }
}
