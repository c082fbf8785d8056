import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { textAt, unwrap } from "../plugin/wire";
import type { Inventory } from "./plugin";

/** Quotas by metric: limit and usage. */
export type Quotas = Readonly<Record<string, readonly [limit: number, usage: number]>>;

export interface CloudState {
  readonly inventory: Inventory;
  /** Of the project and of every region. */
  quotas: Quotas;
  /** DNS names of the project's zones, with the dot at the end. */
  zones: Readonly<Record<string, string>>;
  /** True for a project in which no API is enabled but by the stack. */
  empty: boolean;
}

/** Environment variables by which the provider, and the preflight, find the interfaces. */
export type Endpoints = Readonly<Record<`GOOGLE_${"COMPUTE" | "CONTAINER" | "DNS"}_CUSTOM_ENDPOINT`, string>>;

/** Serves what the preflight asks Google Cloud for, on a free port of the loopback interface. */
export async function serveApi(state: CloudState): Promise<{ endpoints: Endpoints; stop(): void }> {
  const server = http.createServer((request, response) => {
    const known = request.headers.authorization?.startsWith("Bearer ");
    const found = known ? (disabled(state, request.url ?? "") ?? answer(state, request.url ?? "")) : undefined;
    response.writeHead(found === DISABLED ? 403 : found ? 200 : 404, { "Content-Type": "application/json" });
    response.end(JSON.stringify(found ?? { error: { code: 404, message: "Not found" } }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    endpoints: {
      GOOGLE_COMPUTE_CUSTOM_ENDPOINT: `${base}/compute/v1/`,
      GOOGLE_CONTAINER_CUSTOM_ENDPOINT: `${base}/v1/`,
      GOOGLE_DNS_CUSTOM_ENDPOINT: `${base}/dns/v1/`,
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const DISABLED = { error: { code: 403, message: "the API is disabled", details: [{ reason: "SERVICE_DISABLED" }] } };

/** What an API says that nobody has enabled. */
function disabled(state: CloudState, url: string): object | undefined {
  if (!state.empty) return undefined;
  const [, project] = /\/projects\/([^/]+)/.exec(url) ?? [];
  const api = /^\/(compute|dns)\//.exec(url)?.[1] ?? "container";
  const enabled = state.inventory.has(`gcp:projects/service:Service ${project}/${api}.googleapis.com`);
  return enabled ? undefined : DISABLED;
}

function answer(state: CloudState, url: string): object | undefined {
  if (/^\/compute\/v1\/projects\/[^/]+(\/regions\/[^/]+)?$/.test(url))
    return { quotas: Object.entries(state.quotas).map(([metric, [limit, usage]]) => ({ metric, limit, usage })) };
  const zone = /^\/dns\/v1\/projects\/[^/]+\/managedZones\/([^/]+)$/.exec(url)?.[1];
  if (zone) return state.zones[zone] === undefined ? undefined : { dnsName: state.zones[zone], visibility: "public" };
  const id = /^\/v1\/(projects\/[^/]+\/locations\/[^/]+\/clusters\/[^/]+)$/.exec(url)?.[1];
  const cluster = id && state.inventory.get(`gcp:container/cluster:Cluster ${id}`);
  if (!cluster) return undefined;
  const { endpoint, masterAuth, masterVersion, controlPlaneEndpointsConfig } = unwrap(cluster);
  return {
    status: "RUNNING",
    endpoint,
    masterAuth,
    currentMasterVersion: masterVersion,
    controlPlaneEndpointsConfig,
    network: textAt(cluster, "network")?.split("/").at(-1),
    autopilot: { enabled: true },
    workloadIdentityConfig: { workloadPool: `${id.split("/")[1]}.svc.id.goog` },
  };
}
