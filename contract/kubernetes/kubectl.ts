/** `kubectl` as it reaches a connection's cluster, in commands that are printed to be pasted. */
import type { ClusterConnection } from "../inputs";
import { quoted, quotedPath } from "../shell";

/** Whether a kubeconfig is given as its content, not as a path. */
export const isContent = (kubeconfig: string): boolean => /[\n{]/.test(kubeconfig);

/** Where the kubeconfig is not a file, its context must be the current one. */
export function kubectlTo({ kubeconfig, context }: Pick<ClusterConnection, "kubeconfig" | "context">): string {
  return [
    "kubectl",
    ...(kubeconfig && !isContent(kubeconfig) ? ["--kubeconfig", quotedPath(kubeconfig)] : []),
    ...(context ? ["--context", quoted(context)] : []),
  ].join(" ");
}
