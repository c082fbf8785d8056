/** Which servers must have read the file of users, and what is said where one has not. */
import { kubectlTo } from "../../../contract/kubernetes/kubectl";

/** A pod, as far as it matters here. */
export interface MountingPod {
  readonly metadata?: { readonly name?: string; readonly deletionTimestamp?: unknown };
  readonly spec?: { readonly volumes?: readonly { readonly secret?: { readonly secretName?: string } }[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/**
 * Names of the pods that have to be asked: those that mount the Secret. None where none of them is ready, as before the first
 * deployment, and where NATS is down: nobody is logged in then, and a pod that starts reads the file as it is.
 */
export function serversToAsk(pods: readonly MountingPod[], secret: string): string[] {
  const mounting = pods.filter(
    ({ metadata, spec }) =>
      metadata?.deletionTimestamp === undefined && spec?.volumes?.some((each) => each.secret?.secretName === secret),
  );
  const isReady = ({ status }: MountingPod): boolean =>
    status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
  return mounting.some(isReady) ? mounting.map(({ metadata }) => metadata?.name ?? "").sort() : [];
}

interface Around {
  readonly step: "admit" | "retire";
  readonly namespace: string;
  readonly secretName: string;
  /** How long was waited, in words. */
  readonly waited: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** What is said at the deadline. Holds no password. */
export function waitingWords(
  late: readonly { readonly pod: string; readonly user: string; readonly answer: string }[],
  { step, namespace, secretName, waited, ...cluster }: Around,
): string {
  const [awaited, still] = step === "admit" ? ["accept", "refuses"] : ["refuse", "accepts"];
  const each = late.map(({ pod, user, answer }) =>
    answer === "accepted" || answer === "refused"
      ? `${pod} still ${still} user ${user}`
      : `${pod} could not be asked about user ${user} (${answer})`,
  );
  const [first] = late;
  return (
    `waited ${waited} for every server of NATS to ${awaited} what Secret ${namespace}/${secretName} says: ${each.join("; ")}. ` +
    "A changed Secret reaches its pods within about two minutes, and the container reloader then has nats-server read it: " +
    `${kubectlTo(cluster)} logs -n ${namespace} ${first?.pod ?? ""} -c reloader, and -c nats, say what happened. ` +
    `${step === "admit" ? "Nothing has moved to the new login yet, and" : "All pods have moved to the new login;"} ` +
    "`pulumi up` goes on from here"
  );
}
