import type { ToolName } from "./toolchain";

/** What an embedded cluster runs. */
export const CLUSTER_TOOLS = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kwok",
  "nats-server",
] as const satisfies readonly ToolName[];

/** What a stack on an embedded cluster needs besides. */
export const STACK_TOOLS = [...CLUSTER_TOOLS, "helm", "pulumi"] as const satisfies readonly ToolName[];
