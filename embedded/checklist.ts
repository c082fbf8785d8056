import { AppsV1Api, CoreV1Api, KubeConfig, type V1EnvVar } from "@kubernetes/client-node";
import type { OutputMap } from "@pulumi/pulumi/automation";
import { PLACES } from "../contract/noetl";

/** The specification's verification checklist, each line with what was found. */
export interface Checklist {
  readonly lines: readonly string[];
  /** True where every line holds. */
  readonly holds: boolean;
}

/** What the program puts out about the contract, as far as the checklist shows it. */
interface ContractOutput {
  holds: boolean;
  stream: string;
  consumer: string;
  retention?: string;
  storage?: string;
  maxAgeSeconds?: number;
  subjects?: string[];
}

const SPOT_CHECK = ["NATS_URL", "NATS_UPDATES_SUBJECT_PREFIX", "CORS_ALLOWED_ORIGINS"];

/** Reads what the checklist asks for from the cluster and from the stack's outputs. Secrets are named, never shown. */
export async function checklist(args: { kubeconfigPath: string; outputs: OutputMap }): Promise<Checklist> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromFile(args.kubeconfigPath);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const apps = kubeconfig.makeApiClient(AppsV1Api);
  const lines: string[] = [];
  let holds = true;
  const add = (ok: boolean, what: string, found: string) => {
    lines.push(`${ok ? "ok  " : "FAIL"} ${what}: ${found}`);
    holds &&= ok;
  };

  const { items } = await core.listNamespacedPod({ namespace: PLACES.nats.namespace });
  const ready = items.filter((pod) => pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"));
  add(items.length > 0 && ready.length === items.length, "NATS pods", `${ready.length} of ${items.length} ready`);

  const contract = args.outputs.contract?.value as ContractOutput | undefined;
  if (contract) {
    const age = `max_age ${contract.maxAgeSeconds} s`;
    const found = [contract.retention, contract.storage, age, `subjects ${contract.subjects?.join(" ")}`].join(", ");
    add(contract.holds, "stream", `${contract.stream}; ${found}`);
    add(contract.holds, "consumer", contract.consumer);
  } else {
    add(false, "stream and consumer", "not checked: NoETL is not deployed");
  }

  for (const [namespace, name] of [
    [PLACES.noetl.namespace, PLACES.noetl.serverDeployment],
    [PLACES.noetl.namespace, PLACES.noetl.workerDeployment],
    ...(args.outputs.gatewayUrl ? [[PLACES.gateway.namespace, PLACES.gateway.deployment] as const] : []),
  ] as const) {
    const { spec, status } = await apps.readNamespacedDeployment({ namespace, name });
    const [wanted, have] = [spec?.replicas ?? 0, status?.readyReplicas ?? 0];
    add(wanted === have, `deployment ${name}`, `${have} of ${wanted} ready`);
  }

  if (args.outputs.gatewayUrl) {
    const gateway = await apps.readNamespacedDeployment({
      namespace: PLACES.gateway.namespace,
      name: PLACES.gateway.deployment,
    });
    const env = gateway.spec?.template.spec?.containers[0]?.env ?? [];
    for (const name of SPOT_CHECK) {
      const variable = env.find((each) => each.name === name);
      add(variable !== undefined, `gateway ${name}`, variable ? describe(variable) : "missing");
    }
  }
  return { lines, holds };
}

/** Where a variable's value comes from, or the value. Another chart may put a URL with its password there in plain text. */
export function describe(variable: V1EnvVar): string {
  const secret = variable.valueFrom?.secretKeyRef;
  if (secret) return `from Secret ${secret.name}, key ${secret.key}`;
  const value = variable.value ?? "";
  const masked = value.replace(/(:\/\/[^:/@\s]+):[^@\s]+@/g, "$1:***@");
  return masked === value ? value : `${masked} (the chart keeps the password in plain text in the Deployment)`;
}
