import { finding, keyOf, run, say, type DiagnosisRule } from "./finding";
import { explainsPod, named, places, warningsAbout } from "./trouble";

/** Volumes that nobody provides. */
export const claims: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ part, facts }) =>
    facts.claims
      .filter(({ phase }) => phase !== "Bound")
      .flatMap((claim) => {
        const warnings = warningsAbout(facts, "PersistentVolumeClaim", claim.name);
        const waiting = facts.pods.filter(({ unscheduled }) => /PersistentVolumeClaim/i.test(unscheduled ?? ""));
        // A claim that waits for its first pod is in order.
        if (warnings.length === 0 && waiting.length === 0 && claim.phase !== "Lost") return [];
        const setting = part === "nats" ? "natsStorageClass" : "postgresStorageClass";
        return finding("claim-pending", `No volume is provided for ${claim.namespace}/${claim.name}`, {
          evidence: [
            `claim ${claim.name}: ${claim.phase}, ${claim.size ?? "no size"}, ` +
              `StorageClass ${claim.storageClass ?? "none (the cluster has no default)"}`,
            ...warnings,
            ...waiting.map((pod) => `pod ${named(pod)}: ${pod.unscheduled}`),
          ],
          remedy: [
            say("Name a StorageClass that exists, or make one the cluster's default:"),
            run(`${evidence.kubectl} get storageclass`),
            run(`pulumi config set ${setting} NAME --stack ${evidence.stack}`),
            say("A claim is never changed: delete it, and the StatefulSet that made it, before the update."),
          ],
          explains: [keyOf("claim", claim), ...waiting.flatMap((pod) => explainsPod(pod, part))],
        });
      }),
  );
