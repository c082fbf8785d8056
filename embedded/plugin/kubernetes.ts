import * as os from "node:os";
import * as path from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { ClusterApi } from "./api";
import { ObjectResource } from "./objects";
import { ReleaseResource } from "./release";
import { type StandIn, unknownType } from "./stand-in";
import { sdkVersion } from "./version";
import { type JsonObject, textAt, UNKNOWN } from "./wire";

/** Kubeconfig from the provider's settings: content or a path; without one what kubectl would use. */
function loadKubeConfig(args: JsonObject): KubeConfig {
  const given = textAt(args, "kubeconfig");
  if (given === UNKNOWN) throw new Error("the kubeconfig of the provider is not known yet");
  const config = new KubeConfig();
  if (!given) config.loadFromDefault();
  else if (/^\s*[{]|^\s*apiVersion:|\n/.test(given)) config.loadFromString(given);
  else config.loadFromFile(path.resolve(given.replace(/^~(?=\/)/, os.homedir())));
  const context = textAt(args, "context");
  if (context) config.setCurrentContext(context);
  if (!config.getCurrentCluster()) {
    throw new Error(`the kubeconfig names no cluster for the context "${config.getCurrentContext()}"`);
  }
  return config;
}

/** The plugin `kubernetes`: objects by server-side apply, Helm releases by the helm command. */
export function kubernetesStandIn(options: { helm: string; cwd: string }): StandIn {
  return {
    name: "kubernetes",
    version: sdkVersion("kubernetes"),
    configure(args) {
      // Loaded at the first use: a preview may run before there is a cluster.
      let config: KubeConfig | undefined;
      const kubeConfig = (): KubeConfig => (config ??= loadKubeConfig(args));
      const namespace = (): string =>
        textAt(args, "namespace") ??
        (config?.getContextObject(config.getCurrentContext())?.namespace || undefined) ??
        "default";
      const api = new ClusterApi(kubeConfig);
      const objects = new ObjectResource(api, namespace, [true, "true"].includes(args.enablePatchForce as string));
      const releases = new ReleaseResource({ ...options, api, kubeConfig, namespace });
      return (type) => {
        if (type === "kubernetes:helm.sh/v3:Release") return releases;
        if (/^kubernetes:[^:]+\/v[^:]+:[^:]+$/.test(type) && !/(Patch|List)$/.test(type)) return objects;
        throw unknownType("kubernetes", type);
      };
    },
  };
}
