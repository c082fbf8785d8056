import { RELEASE } from "../../contract/project";
import { accessTo, chooseContext, exportKubeconfig, readKubeconfig } from "../../contract/kubernetes/kubeconfig";
import type { ClusterAccess } from "../../contract/kubernetes/kubeconfig";
import { ClusterApi } from "./api";
import { ObjectResource } from "./objects";
import { ReleaseResource } from "./release";
import { type StandIn, unknownType } from "./stand-in";
import { sdkVersion } from "./version";
import { asText, type JsonObject, textAt, UNKNOWN } from "./wire";

/** A cluster as its kubeconfig leads to it. */
interface Cluster {
  readonly access: ClusterAccess;
  /** Content of the kubeconfig, with its credentials. */
  readonly kubeconfig: string;
  /** Namespace of the context; empty where it names none. */
  readonly namespace: string;
}

/** The cluster of the provider's settings: kubeconfig as content or a path; without one what kubectl would use. */
function clusterOf(args: JsonObject): Cluster {
  const given = textAt(args, "kubeconfig");
  if (given === UNKNOWN) throw new Error("the kubeconfig of the provider is not known yet");
  const kubeconfig = readKubeconfig(given ? { kubeconfig: given } : {});
  const chosen = chooseContext(kubeconfig, textAt(args, "context") || undefined);
  return {
    access: accessTo(chosen),
    kubeconfig: exportKubeconfig(kubeconfig, { context: chosen.context.name }),
    namespace: asText(chosen.context.fields.namespace as string | undefined),
  };
}

/** The plugin `kubernetes`: objects by server-side apply, Helm releases by the helm command. */
export function kubernetesStandIn(options: { helm: string; cwd: string }): StandIn {
  return {
    name: "kubernetes",
    version: sdkVersion("kubernetes"),
    configure(args) {
      // Loaded at the first use: a preview may run before there is a cluster.
      let known: Cluster | undefined;
      const cluster = (): Cluster => (known ??= clusterOf(args));
      const namespace = (): string => textAt(args, "namespace") ?? (known?.namespace || "default");
      const api = new ClusterApi(() => cluster().access);
      const objects = new ObjectResource(api, namespace, [true, "true"].includes(args.enablePatchForce as string));
      const releases = new ReleaseResource({ ...options, api, kubeconfig: () => cluster().kubeconfig, namespace });
      return (type) => {
        if (type === RELEASE) return releases;
        if (/^kubernetes:[^:]+\/v[^:]+:[^:]+$/.test(type) && !/(Patch|List)$/.test(type)) return objects;
        throw unknownType("kubernetes", type);
      };
    },
  };
}
