import type { V1Pod, V1Service } from "@kubernetes/client-node";

/** A pod behind which processes run, as far as Services care. */
export interface Endpoint {
  readonly pod: V1Pod;
  readonly ready: boolean;
  /** Port of 127.0.0.1 by port of the pod. */
  readonly ports: Readonly<Record<number, number>>;
}

/**
 * In-cluster addresses (`host:port`, in every form that resolves) and the ports of 127.0.0.1 that they lead to; 0 where
 * nothing ready stands behind the Service. This is what DNS and kube-proxy do in a cluster.
 */
export function serviceAddresses(
  services: readonly V1Service[],
  endpoints: readonly Endpoint[],
): Record<string, number> {
  const addresses: Record<string, number> = {};
  for (const service of services) {
    // The first by name, so that an address does not change its place without need.
    const [behind] = endpoints
      .filter((each) => each.ready && selects(service, each.pod))
      .sort((a, b) => ((a.pod.metadata?.name ?? "") < (b.pod.metadata?.name ?? "") ? -1 : 1));
    for (const { port, targetPort } of service.spec?.ports ?? []) {
      const target = behind && containerPort(behind.pod, targetPort ?? port);
      const local = target === undefined ? undefined : behind?.ports[target];
      const host = `${service.metadata?.name}.${service.metadata?.namespace}`;
      for (const suffix of ["", ".svc", ".svc.cluster.local"]) addresses[`${host}${suffix}:${port}`] = local ?? 0;
    }
  }
  return addresses;
}

/** A port of 127.0.0.1 on which nothing listens. */
const REFUSES = 1;

/** Configuration that makes curl connect to the local ports; what is refused in the cluster is refused here. */
export function curlConfiguration(addresses: Readonly<Record<string, number>>): string {
  return Object.entries(addresses)
    .map(([address, port]) => `connect-to = "${address}:127.0.0.1:${port || REFUSES}"\n`)
    .join("");
}

function selects(service: V1Service, pod: V1Pod): boolean {
  const selector = Object.entries(service.spec?.selector ?? {});
  return (
    selector.length > 0 &&
    service.metadata?.namespace === pod.metadata?.namespace &&
    selector.every(([label, value]) => pod.metadata?.labels?.[label] === value)
  );
}

function containerPort(pod: V1Pod, target: number | string): number | undefined {
  if (typeof target === "number") return target;
  return pod.spec?.containers.flatMap((each) => each.ports ?? []).find((each) => each.name === target)?.containerPort;
}
