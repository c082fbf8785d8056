import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type {
  Gateway,
  GatewayArgs,
  NatsJetStreamArgs,
  Noetl,
  NoetlArgs,
  PostgresArgs,
  StreamContractClusterArgs,
} from "../components";
import type { Settings } from "../config/schema";

/** Where a stack runs, and what that place adds to its parts. */
export interface Platform {
  /** The cluster. */
  readonly provider: k8s.Provider;
  /** How the stream's check reaches it. */
  readonly access: Pick<StreamContractClusterArgs, "kubeconfig" | "context">;
  /** Arguments over those that follow from the settings. */
  readonly nats?: Partial<NatsJetStreamArgs>;
  readonly postgres?: Partial<PostgresArgs>;
  readonly noetl?: Partial<NoetlArgs>;
  readonly gateway?: Partial<GatewayArgs>;
  /** What stands before the deployed parts; returns outputs of the stack. */
  expose?(parts: { noetl: Noetl | undefined; gateway: Gateway | undefined }): Record<string, pulumi.Input<unknown>>;
}

/** Any cluster of the kubeconfig. */
export function kubernetesPlatform(settings: Settings): Platform {
  const kubeconfig = settings.kubeconfig?.replace(/^~(?=\/)/, process.env.HOME ?? "~");
  const access = {
    ...(kubeconfig ? { kubeconfig: path.resolve(kubeconfig) } : {}),
    ...(settings.kubeContext ? { context: settings.kubeContext } : {}),
  };
  return { access, provider: new k8s.Provider("cluster", { ...access, enableServerSideApply: true }) };
}
