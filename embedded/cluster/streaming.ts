/**
 * What kwok's kubelet answers when the API server asks it for a pod's log or for a connection to a pod's port. It reads
 * that from objects of the cluster, so their definitions are here too.
 */
import type { KubernetesObject, V1CustomResourceDefinition, V1JSONSchemaProps, V1Pod } from "@kubernetes/client-node";

const GROUP = "kwok.x-k8s.io";
const VERSION = "v1alpha1";

/** Kinds that kwok has to read from the API server. */
export const STREAMING_KINDS = ["Logs", "PortForward"] as const;

/** kwok itself checks what it reads. */
const ANYTHING: V1JSONSchemaProps = { type: "object", x_kubernetes_preserve_unknown_fields: true };

/** The definitions of those kinds. */
export function definitions(): V1CustomResourceDefinition[] {
  return STREAMING_KINDS.map((kind) => {
    const plural = kind === "Logs" ? "logs" : "portforwards";
    return {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `${plural}.${GROUP}` },
      spec: {
        group: GROUP,
        scope: "Namespaced",
        names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
        versions: [
          {
            name: VERSION,
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: "object", properties: { spec: ANYTHING } } },
          },
        ],
      },
    };
  });
}

/** Object of one of the kinds above that belongs to a pod, and goes with it. */
function belonging(kind: (typeof STREAMING_KINDS)[number], pod: V1Pod, spec: object): KubernetesObject {
  const { name, namespace, uid } = pod.metadata ?? {};
  const owner = { apiVersion: "v1", kind: "Pod", name: name ?? "", uid: uid ?? "" };
  return {
    apiVersion: `${GROUP}/${VERSION}`,
    kind,
    metadata: { name, namespace, ownerReferences: [owner] },
    spec,
  } as KubernetesObject;
}

/** Where the logs of a pod's containers are; `others` is that of containers behind which no process runs. */
export function podLogs(
  pod: V1Pod,
  logs: Readonly<Record<string, { file: string; previousFile: string }>>,
  others: string,
): KubernetesObject {
  const own = Object.entries(logs).map(([container, { file, previousFile }]) => ({
    containers: [container],
    logsFile: file,
    previousLogsFile: previousFile,
  }));
  return belonging("Logs", pod, { logs: [...own, { logsFile: others, previousLogsFile: others }] });
}

/** The ports of 127.0.0.1 that stand for a pod's. */
export function podPorts(pod: V1Pod, ports: Readonly<Record<number, number>>): KubernetesObject {
  return belonging("PortForward", pod, {
    forwards: Object.entries(ports).map(([port, local]) => ({
      ports: [Number(port)],
      target: { address: "127.0.0.1", port: local },
    })),
  });
}

/** For kwok's configuration file: the log of every pod that has no object of its own is empty. */
export function emptyLogs(file: string): object {
  return {
    kind: "ClusterLogs",
    apiVersion: `${GROUP}/${VERSION}`,
    metadata: { name: "simulated" },
    spec: { logs: [{ logsFile: file, previousLogsFile: file }] },
  };
}
