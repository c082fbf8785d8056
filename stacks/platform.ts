import * as path from "node:path";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type {
  ContractGuardArgs,
  Gateway,
  GatewayArgs,
  NatsJetStreamArgs,
  Noetl,
  NoetlArgs,
  PostgresArgs,
  StreamContractClusterArgs,
} from "../components";
import { chooseContext, exportKubeconfig, readKubeconfig } from "../contract/kubernetes/kubeconfig";
import type { StackOutputs } from "../config/outputs";
import type { Settings } from "../config/schema";

/** What is read as `T`, as a program gives it: each value possibly an output. */
type Declared<T> = [NonNullable<T>] extends [readonly unknown[] | string | number | boolean]
  ? pulumi.Input<T>
  : pulumi.Input<T> | { [K in keyof T]: Declared<T[K]> };

/** Outputs of a stack as its program gives them. */
export type DeclaredOutputs = { [K in keyof StackOutputs]: Declared<StackOutputs[K]> };

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
  readonly guard?: Partial<ContractGuardArgs>;
  /** What stands before the deployed parts; returns outputs of the stack. */
  expose?(parts: { noetl: Noetl | undefined; gateway: Gateway | undefined }): Partial<DeclaredOutputs>;
}

/** Any cluster of the kubeconfig. */
export function kubernetesPlatform(settings: Settings): Platform {
  const access = settings.kubeconfig === undefined ? ambientAccess(settings) : accessOf(settings);
  return { access, provider: new k8s.Provider("cluster", { ...access, enableServerSideApply: true }) };
}

function accessOf({
  kubeconfig: given,
  kubeContext,
}: Pick<Settings, "kubeconfig" | "kubeContext">): Platform["access"] {
  const kubeconfig = given?.replace(/^~(?=\/)/, process.env.HOME ?? "~");
  return {
    kubeconfig: kubeconfig ? path.resolve(kubeconfig) : undefined,
    context: kubeContext || undefined,
  };
}

/**
 * The ambient kubeconfig. `$KUBECONFIG` may list several files, which kubectl merges and the official provider takes for one
 * path: it gets the file in which the context stands, or, where context, cluster and user stand in several, the files merged.
 *
 * @throws pulumi.RunError where the files lack the context.
 */
function ambientAccess(settings: Settings): Platform["access"] {
  const listed = process.env.KUBECONFIG?.split(path.delimiter).filter(Boolean) ?? [];
  if (listed.length < 2) return accessOf(settings);
  try {
    const kubeconfig = readKubeconfig({});
    const { context, cluster, user } = chooseContext(kubeconfig, settings.kubeContext);
    const files = new Set([context, cluster, user ?? cluster].map(({ file }) => file));
    const [file] = files;
    const single = files.size === 1 && file !== undefined;
    void pulumi.log.info(
      `KUBECONFIG lists ${listed.length} files: context ${context.name} is taken from ` +
        `${single ? file : `${[...files].join(", ")}, merged`}`,
    );
    return {
      kubeconfig: single ? file : pulumi.secret(exportKubeconfig(kubeconfig, { context: context.name })),
      context: context.name,
    };
  } catch (error) {
    throw new pulumi.RunError((error as Error).message);
  }
}
