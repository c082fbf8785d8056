import { natsMemoryLimit, CHART_RESOURCES, sizesOf } from "../resources";
import type { Settings } from "../schema";
import { guardMode } from "../guard";
import { mebibytes } from "../../contract/validate";
import { type Container, type Pod } from "./autopilot";

const container = (name: string, request: [number, number], limit: [number, number]): Container => ({
  name,
  request: { cpu: request[0], memory: request[1] },
  limit: { cpu: limit[0], memory: limit[1] },
});

/** Least CPU of a pod that keeps away from others by anti-affinity, which Autopilot would raise it to; in thousandths. */
const APART_CPU = 500;

/** Workloads of this stack, by name. */
export type PodName =
  | "nats"
  | "nats-box"
  | "postgres"
  | "pgbouncer"
  | "noetl-schema"
  | "noetl-server"
  | "noetl-worker"
  | "gateway"
  | "contract-guard";

/**
 * The pods of a stack before Autopilot's rules are applied. NoETL's server, worker and gateway ask for what their charts do
 * by default; the memory of NATS follows its memory store; the others have figures of their own here. CPU in
 * thousandths, memory in MiB, each as request and limit.
 */
export function podsOf(settings: Settings): (Pod & { readonly name: PodName })[] {
  const nats = mebibytes(natsMemoryLimit(settings));
  return [
    ...(settings.deployNats
      ? [
          {
            name: "nats" as const,
            replicas: settings.natsReplicas,
            containers: [
              container("nats", [settings.natsReplicas > 1 ? APART_CPU : 100, nats], [1000, nats]),
              container("reloader", [10, 32], [100, 64]),
            ] as Pod["containers"],
          },
          ...(settings.natsBox ? [pod("nats-box", 1, container("nats-box", [50, 64], [200, 128]))] : []),
        ]
      : []),
    ...(settings.deployNoetl
      ? [
          ...(settings.useCloudSql
            ? [
                pod(
                  "pgbouncer",
                  settings.pgbouncerReplicas,
                  container("pgbouncer", [100, 128], [500, 256]),
                  container("cloud-sql-proxy", [100, 128], [500, 256]),
                ),
              ]
            : settings.deployPostgres
              ? [pod("postgres", 1, container("postgres", [250, 512], [1000, 1024]))]
              : []),
          pod("noetl-schema", 1, container("load-schema", [50, 128], [500, 512])),
          pod("noetl-server", settings.noetlServerReplicas, { name: "noetl-server", ...sizesOf(settings, "server") }),
          pod("noetl-worker", settings.workerReplicas, { name: "worker", ...sizesOf(settings, "worker") }),
        ]
      : []),
    ...(guardMode(settings) === undefined
      ? []
      : [pod("contract-guard", 1, container("contract-guard", [50, 64], [200, 128]))]),
    ...(settings.deployGateway
      ? [pod("gateway", settings.gatewayReplicas, { name: "gateway", ...CHART_RESOURCES.gateway })]
      : []),
  ];
}

function pod(name: PodName, replicas: number, ...containers: [Container, ...Container[]]): Pod & { name: PodName } {
  return { name, replicas, containers };
}
