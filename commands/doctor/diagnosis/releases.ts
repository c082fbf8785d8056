import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, Part, ReleaseFacts } from "../evidence";
import { finding, run, say, type DiagnosisRule, type Finding, type Step } from "./finding";
import { LOST_WITH_RESTART } from "./reasons";
import { refreshAndUpdate, update } from "./update";
import { fixedVolumes } from "./volumes";

/**
 * What Helm calls a release that it has begun to work on and not finished; nothing else may touch it then (`another
 * operation (install/upgrade/rollback) is in progress`).
 */
const UNFINISHED = /^(pending-|uninstalling$)/;

const releasesOf = ({ namespaces }: Evidence): readonly ReleaseFacts[] =>
  Object.values(namespaces).flatMap((each) => (each.ok ? each.value.releases : []));

/** `helm` as it reaches the cluster. */
const helm = ({ kubectl }: Evidence): string =>
  kubectl.replace(/^kubectl/, "helm").replace("--context", "--kube-context");

const minutes = (seconds: number): string =>
  seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} minutes`;

/** An update that was killed while Helm worked: every further one fails. */
export const stuckReleases: DiagnosisRule = (evidence) =>
  releasesOf(evidence)
    .filter(({ status }) => UNFINISHED.test(status))
    .map((release) => {
      const { namespace, name, revision, status, ageSeconds } = release;
      const mayRun = ageSeconds < evidence.helmTimeoutSeconds;
      return finding(
        "release-pending",
        mayRun
          ? `Helm release ${name} is in the middle of an update, or its update was killed`
          : `Helm release ${name} is stuck in ${status}: its ${status === "uninstalling" ? "removal" : "update"} was killed`,
        {
          severity: mayRun ? "note" : "cause",
          evidence: [
            `release ${namespace}/${name}: revision ${revision} is ${status} for ${minutes(ageSeconds)}` +
              (mayRun ? "" : `, and Helm gives up after ${evidence.helmTimeoutSeconds} s`),
          ],
          remedy: [
            ...(mayRun ? [say("While an update runs, wait for it. Where none does:")] : []),
            say(inTheWay(status)),
            ...wayOut(evidence, release),
            ...refreshAndUpdate(evidence),
          ],
        },
      );
    });

/** What comes of the next update. */
function inTheWay(status: string): string {
  // Half of its objects are gone, and to Pulumi it is as it was.
  if (status === "uninstalling")
    return "The next one takes it for whole and brings nothing back, or fails with `has no deployed releases`, until you run:";
  const words =
    status === "pending-install"
      ? "cannot re-use a name that is still in use"
      : "another operation (install/upgrade/rollback) is in progress";
  return `The next one fails with \`${words}\` until you run:`;
}

function wayOut(evidence: Evidence, { namespace, name, status }: ReleaseFacts): Step[] {
  return status === "pending-install" || status === "uninstalling"
    ? [
        // There is no revision to go back to. What StatefulSets claimed is kept by Kubernetes.
        run(`${helm(evidence)} uninstall ${name} -n ${namespace}`),
      ]
    : [
        run(`${helm(evidence)} rollback ${name} -n ${namespace}`),
        say(
          "Where Helm refuses that (`no ... with the name ... found`: the update was to take something away), remove the release, " +
            `which the update then installs again; volumes stay, and what the killed update alone had made is deleted by hand.${name === LOCATIONS.nats.service ? ` ${LOST_WITH_RESTART}` : ""}`,
        ),
        run(`${helm(evidence)} uninstall ${name} -n ${namespace}`),
        say("Then, in either case:"),
      ];
}

const RELEASE_NAMES: Readonly<Record<Part, string | undefined>> = {
  nats: LOCATIONS.nats.service,
  noetl: LOCATIONS.noetl.service,
  gateway: LOCATIONS.gateway.service,
  // Postgres is made of the program's own resources.
  postgres: undefined,
  pgbouncer: undefined,
};

/**
 * The commands that bring back what was changed or deleted by hand. Pulumi takes a Helm release for one thing and does not
 * look at the objects in it, neither at a refresh nor at an update: what is in one is put back by Helm itself, which applies
 * its last revision once more.
 */
export function putBack(evidence: Evidence, part: Part, workload?: string): Step[] {
  const found = evidence.namespaces[part];
  // The guard is in the namespace of NATS, and not in its release.
  const name = workload === LOCATIONS.guard.deployment ? undefined : RELEASE_NAMES[part];
  const pulumi = refreshAndUpdate(evidence);
  if (name === undefined || !found?.ok) return pulumi;
  const at = `-n ${found.value.name}`;
  if (found.value.unread.some((each) => each.includes("secrets"))) {
    return [
      run(`${helm(evidence)} history ${name} ${at}`),
      run(`${helm(evidence)} rollback ${name} LAST_REVISION ${at}`),
    ];
  }
  const release = found.value.releases.find((each) => each.name === name);
  // Without a deployed release it is the whole of it that is missing, which a refresh does see.
  if (release?.status !== "deployed") return pulumi;
  return [run(`${helm(evidence)} rollback ${name} ${release.revision} ${at}`)];
}

/** Updates that Helm gave up: a cause of their own only where nothing else tells why. */
export function failedReleases(evidence: Evidence, found: readonly Finding[]): Finding[] {
  const alone = found.every(({ severity }) => severity === "note");
  return releasesOf(evidence)
    .filter(({ status }) => status === "failed")
    .map(({ namespace, name, revision, ageSeconds, description }) =>
      finding("release-failed", `The last update of Helm release ${name} failed`, {
        severity: alone ? "cause" : "note",
        evidence: [
          `release ${namespace}/${name}: revision ${revision} failed ${minutes(ageSeconds)} ago` +
            (description === "" ? "" : `: ${description}`),
        ],
        remedy: fixedVolumes(evidence, namespace, description) ?? [
          say(
            alone
              ? "What it waited for is in order now, or was never made; an update tries again:"
              : "When the causes are fixed, an update tries again:",
          ),
          update(evidence),
        ],
      }),
    );
}
