/** What the cluster's controllers and kubelets complain of, as text. */
import type { CoreV1Event } from "@kubernetes/client-node" with { "resolution-mode": "import" };
import type { Written } from "../../contract/kubernetes/objects";
import { harmless } from "./text";

export const words = (...parts: readonly (string | undefined)[]): string => parts.filter(Boolean).join(": ");

/** The reason that a kubelet gives for a failed probe, whichever of a container's probes it is. */
const PROBE_FAILED = "Unhealthy";
const PROBES = /^(Readiness|Liveness|Startup) probe/;
/** Characters of a warning that are kept: what a probe prints can be a whole traceback. */
const LONGEST = 600;

const timeOf = ({ lastTimestamp, series, eventTime, metadata }: Written<CoreV1Event>): number =>
  new Date(lastTimestamp ?? series?.lastObservedTime ?? eventTime ?? metadata.creationTimestamp ?? 0).getTime();

/** A message on one line; of one that is too long its beginning and its end, where a traceback has its reason. */
function line(message: string): string {
  const text = message.trim().replace(/\s*\n\s*/g, " | ");
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST / 2)} ... ${text.slice(-LONGEST / 2)}`;
}

/** The latest warning of each object and reason, of a probe that failed the latest of each kind, newest first: `Kind/name: reason: message`. */
export function warningsOf(events: readonly Written<CoreV1Event>[], mask: (text: string) => string): string[] {
  const latest = new Map<string, string>();
  for (const event of [...events].sort((a, b) => timeOf(b) - timeOf(a))) {
    const { involvedObject } = event;
    const about = mask(harmless(`${involvedObject.kind}/${involvedObject.name}`));
    const reason = mask(harmless(event.reason ?? ""));
    const message = event.message ?? "";
    const probe = reason === PROBE_FAILED ? (PROBES.exec(message)?.[1] ?? "") : "";
    const key = `${about} ${reason} ${probe}`;
    // Masked before it is cut: of half a URL nobody would know that it holds a password.
    if (!latest.has(key)) latest.set(key, words(about, reason, line(mask(harmless(message)))));
  }
  return [...latest.values()];
}

/** What the failed probes of a pod said, of the warnings of its namespace: `Readiness probe failed: ...`. */
export const failedProbes = (warnings: readonly string[], pod: string): string[] => {
  const prefix = `Pod/${pod}: ${PROBE_FAILED}: `;
  return warnings.flatMap((each) => (each.startsWith(prefix) ? [each.slice(prefix.length)] : []));
};
