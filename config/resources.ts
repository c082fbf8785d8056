/** CPU and memory of NoETL's pods: what the charts ask for by themselves, and what the settings put over it. */
import type { Settings } from "./schema";
import { quantityBytes, quantityMillis } from "./validate";

/** CPU in thousandths, memory in MiB. */
export interface Size {
  readonly cpu: number;
  readonly memory: number;
}

export interface Sizes {
  readonly request: Size;
  readonly limit: Size;
}

/** What the charts ask for where no value says more. */
export const CHART_RESOURCES = {
  server: { request: { cpu: 100, memory: 256 }, limit: { cpu: 1000, memory: 1024 } },
  worker: { request: { cpu: 100, memory: 256 }, limit: { cpu: 500, memory: 512 } },
  gateway: { request: { cpu: 100, memory: 128 }, limit: { cpu: 500, memory: 512 } },
} as const satisfies Record<string, Sizes>;

type ResourceKey = `${"server" | "worker"}${"Memory" | "Cpu"}${"Limit" | "Request"}`;

const mebibytes = (quantity: string): number => Math.ceil((quantityBytes(quantity) ?? 0) / 1024 ** 2);

/** A limit that is lowered takes a default request down with it, and a request that is raised a default limit up. */
function fitted(own: { request?: number; limit?: number }, chart: { request: number; limit: number }) {
  const limit = own.limit ?? Math.max(chart.limit, own.request ?? 0);
  return { request: own.request ?? Math.min(chart.request, limit), limit };
}

/** CPU and memory of a server or worker. */
export function sizesOf(settings: Pick<Settings, ResourceKey>, part: "server" | "worker"): Sizes {
  const read = (kind: "Memory" | "Cpu", what: "Limit" | "Request"): number | undefined => {
    const text = settings[`${part}${kind}${what}`];
    return text === undefined ? undefined : kind === "Memory" ? mebibytes(text) : quantityMillis(text);
  };
  const chart = CHART_RESOURCES[part];
  const of = (kind: "Memory" | "Cpu", name: keyof Size) => {
    const [request, limit] = [read(kind, "Request"), read(kind, "Limit")];
    return fitted(
      { ...(request === undefined ? {} : { request }), ...(limit === undefined ? {} : { limit }) },
      { request: chart.request[name], limit: chart.limit[name] },
    );
  };
  const [cpu, memory] = [of("Cpu", "cpu"), of("Memory", "memory")];
  return {
    request: { cpu: cpu.request, memory: memory.request },
    limit: { cpu: cpu.limit, memory: memory.limit },
  };
}
