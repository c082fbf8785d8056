import { LOCATIONS } from "../../../contract/facts";
import type { ClaimFacts, Evidence, Part } from "../evidence";
import { quoted } from "../text";
import { finding, keyOf, run, say, type DiagnosisRule, type Step } from "./finding";
import { putBack } from "./releases";
import { refreshAndUpdate, update } from "./update";
import { explainsPod, named, type Place, places, warningsAbout } from "./trouble";

/** Volumes that nobody provides. */
export const claims: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ part, facts }) =>
    facts.claims
      .filter(({ phase }) => phase !== "Bound")
      .flatMap((claim) => {
        const warnings = warningsAbout(facts, "PersistentVolumeClaim", claim.name);
        const waiting = facts.pods.filter(
          ({ claims: taken, unscheduled }) =>
            taken.includes(claim.name) && /PersistentVolumeClaim|StorageClass/i.test(unscheduled ?? ""),
        );
        // A claim that waits for its first pod is in order.
        if (warnings.length === 0 && waiting.length === 0 && claim.phase !== "Lost") return [];
        return finding("claim-pending", `No volume is provided for ${claim.namespace}/${claim.name}`, {
          evidence: [
            `claim ${claim.name}: ${claim.phase}, ${claim.size ?? "no size"}, ` +
              `StorageClass ${claim.storageClass ?? "none (the cluster has no default)"}`,
            ...warnings,
            ...waiting.map((pod) => `pod ${named(pod)}: ${pod.unscheduled}`),
          ],
          remedy: [...otherClass(evidence, part, claim), ...claimedAgain(evidence, { part, facts, claim })],
          explains: [keyOf("claim", claim), ...waiting.flatMap((pod) => explainsPod(pod, part))],
        });
      }),
  );

/** Claims that only their running pods still hold: Kubernetes takes no deletion back. */
export const deletedClaims: DiagnosisRule = (evidence) =>
  places(evidence).flatMap(({ facts }) =>
    facts.claims
      .filter(({ removed }) => removed)
      .map(({ namespace, name }) => {
        const pod = facts.pods.find(({ claims: taken }) => taken.includes(name))?.name;
        return finding(
          "claim-deleted",
          `Claim ${namespace}/${name} was deleted: what is on its volume is lost when its pod ends`,
          {
            evidence: [`claim ${name}: deleted, and held by pod ${pod ?? "none"} alone`],
            remedy: [
              say(
                "A deletion cannot be taken back. Save what is on the volume while the pod runs, and keep the volume where its StorageClass " +
                  "would delete it:",
              ),
              run(`${evidence.kubectl} get persistentvolumes`),
              say("Then end the pod at a time of your choice; its StatefulSet claims another volume, which is empty."),
            ],
          },
        );
      }),
  );

const setting = (part: Part): string => (part === "nats" ? "natsStorageClass" : "postgresStorageClass");

/** A claim keeps its StorageClass, whose volume may be gone without the class being wrong. */
function otherClass({ kubectl, stack }: Evidence, part: Part, { phase, storageClass }: ClaimFacts): Step[] {
  if (phase === "Lost") return [];
  return [
    say(
      storageClass === undefined
        ? "Make a StorageClass the cluster's default, which this claim then takes by itself, or name one that exists:"
        : "Make a StorageClass of that name, whose volume this claim then gets by itself, or name one that exists:",
    ),
    run(`${kubectl} get storageclass`),
    run(`pulumi config set ${setting(part)} NAME --stack ${stack}`),
  ];
}

/** The other pods of the set go on: the StatefulSet that the update makes takes them for its own. */
function claimedAgain(evidence: Evidence, { part, facts, claim }: Place & { readonly claim: ClaimFacts }): Step[] {
  const { namespace, name, phase } = claim;
  const { kubectl } = evidence;
  const set = part === "nats" ? LOCATIONS.nats.service : LOCATIONS.postgres.service;
  return [
    say(
      phase === "Lost"
        ? "The volume of this claim was removed, with what was on it. The update makes another where the claim and its StatefulSet are gone:"
        : "A claim is never changed: where you have named one, remove the claim, which has no volume yet, and the StatefulSet that made it:",
    ),
    run(`${kubectl} -n ${namespace} delete statefulset ${set} --cascade=orphan`),
    ...facts.pods
      .filter(({ claims: taken }) => taken.includes(name))
      .map((pod) => run(`${kubectl} -n ${namespace} delete pod ${quoted(pod.name)}`)),
    run(`${kubectl} -n ${namespace} delete pvc ${quoted(name)}`),
    // The new setting changes the release, and Helm makes what is missing; Postgres is made of the program's own resources.
    ...(phase === "Lost" ? putBack(evidence, part) : part === "nats" ? [update(evidence)] : refreshAndUpdate(evidence)),
  ];
}
