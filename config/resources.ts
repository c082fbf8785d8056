/** CPU and memory of NoETL's pods: what the charts ask for by themselves, and what the settings put over it. */
import { mebibytes, quantityMillis } from "../contract/validate";
import { natsMemory } from "../contract/nats/memory";

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

/** A limit that is lowered takes a default request down with it, and a request that is raised a default limit up. */
function fitted(own: { request?: number; limit?: number }, chart: { request: number; limit: number }) {
  const limit = own.limit ?? Math.max(chart.limit, own.request ?? 0);
  return { request: own.request ?? Math.min(chart.request, limit), limit };
}

/** CPU and memory of a server or worker. */
export function sizesOf(settings: Readonly<Partial<Record<ResourceKey, string>>>, part: "server" | "worker"): Sizes {
  const read = (kind: "Memory" | "Cpu", what: "Limit" | "Request"): number | undefined => {
    const text = settings[`${part}${kind}${what}`];
    return text === undefined ? undefined : kind === "Memory" ? mebibytes(text) : quantityMillis(text);
  };
  const chart = CHART_RESOURCES[part];
  const of = (kind: "Memory" | "Cpu", name: keyof Size) => {
    const [request, limit] = [read(kind, "Request"), read(kind, "Limit")];
    return fitted({ request, limit }, { request: chart.request[name], limit: chart.limit[name] });
  };
  const [cpu, memory] = [of("Cpu", "cpu"), of("Memory", "memory")];
  return {
    request: { cpu: cpu.request, memory: memory.request },
    limit: { cpu: cpu.limit, memory: memory.limit },
  };
}

/** Memory limit of the NATS container, a Kubernetes quantity. */
export const natsMemoryLimit = (settings: {
  readonly natsJetstreamMemSize: string;
  readonly natsMemoryLimit?: string;
}): string => natsMemory(settings.natsJetstreamMemSize, settings.natsMemoryLimit).limit;

/** Most database connections of a server and of a worker, where the settings do not say: the chart's own, made for Postgres alone. */
export const CHART_POOLS = { server: 12, worker: 8 } as const;

/** The same behind PgBouncer, which shares few connections among many clients. */
export const CLOUD_SQL_POOLS = { server: 6, worker: 3 } as const;

/** Commands that a worker runs at once, and those on databases among them, where the settings do not say: the chart's own. */
export const CHART_INFLIGHT = { commands: 8, dbCommands: 3 } as const;
