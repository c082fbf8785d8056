/** What a cluster has from the start. */
import { ApiextensionsV1Api, CoreV1Api, KubeConfig, StorageV1Api } from "@kubernetes/client-node";
import { definitions } from "./streaming";
import { PLAYED_NODE } from "./stages";
import { PROVISIONER } from "./volumes";

/** The node that everything runs on. */
export const NODE = "node-0";

/** Adds the node, a default StorageClass, and the definitions of what kwok reads. */
export async function seedCluster(kubeconfigContent: string, kubeletPort: number): Promise<void> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const extensions = kubeconfig.makeApiClient(ApiextensionsV1Api);
  await Promise.all(definitions().map((body) => extensions.createCustomResourceDefinition({ body })));
  const resources = { cpu: "32", memory: "128Gi", pods: "110", "ephemeral-storage": "500Gi" };
  await core.createNode({
    body: {
      metadata: {
        name: NODE,
        annotations: { [PLAYED_NODE.name]: PLAYED_NODE.value, "node.alpha.kubernetes.io/ttl": "0" },
        labels: {
          "kubernetes.io/hostname": NODE,
          "kubernetes.io/os": "linux",
          "topology.kubernetes.io/zone": "zone-a",
        },
      },
    },
  });
  await core.patchNodeStatus({
    name: NODE,
    body: [
      {
        op: "add",
        path: "/status",
        value: {
          capacity: resources,
          allocatable: resources,
          addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
          daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
        },
      },
    ],
  });
  await kubeconfig.makeApiClient(StorageV1Api).createStorageClass({
    body: {
      metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: PROVISIONER,
      // As kind and GKE have it. With Immediate a scheduler was seen that missed the binding, and left the pod for five minutes.
      volumeBindingMode: "WaitForFirstConsumer",
      allowVolumeExpansion: true,
    },
  });
}

export async function nodeIsReady(kubeconfigContent: string): Promise<boolean> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromString(kubeconfigContent);
  const node = await kubeconfig.makeApiClient(CoreV1Api).readNode({ name: NODE });
  return node.status?.conditions?.some((each) => each.type === "Ready" && each.status === "True") ?? false;
}
