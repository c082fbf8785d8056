import type { Evidence } from "../evidence";
import { certificateEnds } from "./certificate";
import { claims, deletedClaims } from "./claims";
import { cloudSql } from "./cloud-sql";
import { endingPods, evictedPods, lostNodes } from "./ended";
import { environment, infrastructureConnections, serverConnections, waitingWorkers } from "./connections";
import { brokenContract, drift, pastSymptoms, workers } from "./contract";
import { waitingExecutions } from "./executions";
import { failing } from "./failing";
import { finding, say, type DiagnosisRule, type Finding } from "./finding";
import { update } from "./update";
import { cors } from "./gateway";
import {
  applicationPods,
  containerConfig,
  images,
  infrastructurePods,
  memory,
  natsConfig,
  serverPods,
  unscheduled,
  withCrashWords,
} from "./pods";
import { lineWithoutNats } from "./line";
import { failedReleases, stuckReleases } from "./releases";
import { repairs } from "./repairs";
import { cluster, configuration, forbidden, natsConnection } from "./reach";
import { schemaJob } from "./schema";
import { services } from "./services";
import { unwritableStore } from "./store";
import { absent, newCluster, paused, refusedPods, shortApplications, shortInfrastructure } from "./workloads";

export { FINDINGS, inWordsOf, SYMPTOMS, type Finding, type FindingId, type Step, type Symptom } from "./finding";

/** What is wrong with a deployment, causes first. */
export interface Diagnosis {
  readonly stack: string;
  /** Address of the cluster's API. */
  readonly cluster: string;
  readonly findings: readonly Finding[];
  /** True where nothing is wrong; notes may be there nevertheless. */
  readonly healthy: boolean;
  /** What was answered late, in words that follow "waited": a slow way is not a broken one. */
  readonly slow: readonly string[];
}

/** Asked in this order: what explains most comes first, and whatever nothing explains comes last. */
const RULES: readonly DiagnosisRule[] = [
  configuration,
  forbidden,
  newCluster,
  stuckReleases,
  claims,
  deletedClaims,
  endingPods,
  lostNodes,
  unscheduled,
  images,
  containerConfig,
  refusedPods,
  memory,
  cloudSql,
  schemaJob,
  natsConfig,
  infrastructurePods,
  shortInfrastructure,
  natsConnection,
  services,
  unwritableStore,
  certificateEnds,
  repairs,
  lineWithoutNats,
  brokenContract,
  environment,
  failing,
  infrastructureConnections,
  pastSymptoms,
  serverPods,
  serverConnections,
  waitingWorkers,
  applicationPods,
  absent,
  shortApplications,
  paused,
  cors,
  workers,
  waitingExecutions,
  drift,
  evictedPods,
  unanswered,
  unread,
];

/** Names the causes that the evidence shows. Pure: the same evidence gives the same diagnosis. */
export function diagnose(evidence: Evidence): Diagnosis {
  const unreachable = cluster(evidence, new Set());
  const findings: Finding[] = [
    ...(unreachable.length > 0 ? [...configuration(evidence, new Set()), ...unreachable] : []),
  ];
  if (unreachable.length === 0) {
    const explained = new Set<string>();
    for (const rule of RULES) {
      const found = rule(evidence, explained);
      for (const { explains } of found) for (const key of explains) explained.add(key);
      findings.push(...found);
    }
    // What an update left behind, after what made it fail.
    findings.push(...failedReleases(evidence, findings));
    findings.push(...unfinished(evidence, findings));
  }
  const complete = withCrashWords(evidence, findings);
  const causes = complete.filter(({ severity }) => severity === "cause");
  return {
    stack: evidence.stack,
    cluster: evidence.cluster,
    findings: [...causes, ...complete.filter(({ severity }) => severity === "note")],
    healthy: causes.length === 0,
    slow: evidence.slow,
  };
}

/** An update that has never finished: a cause of its own only where nothing else tells why. */
function unfinished(evidence: Evidence, found: readonly Finding[]): Finding[] {
  const { missingOutputs } = evidence;
  if (missingOutputs.length === 0) return [];
  const alone = found.every(({ severity }) => severity === "note");
  return [
    finding("unfinished", "The stack's last update did not finish", {
      severity: alone ? "cause" : "note",
      evidence: [`the stack has no output ${missingOutputs.join(", ")}`],
      remedy: [
        say(
          alone ? "Update; an update that failed on the way goes on where it stopped:" : "When the causes are fixed:",
        ),
        update(evidence),
      ],
    }),
  ];
}

/** Namespaces that gave no answer although the cluster does: what is wrong in them is not known. */
function unanswered({ namespaces }: Evidence): Finding[] {
  const messages = Object.values(namespaces).flatMap((each) =>
    each.ok || each.problem === "forbidden" ? [] : [each.message],
  );
  if (messages.length === 0) return [];
  return [
    finding("unanswered", "Some of the deployment could not be looked at, so that nothing is known about it", {
      evidence: [...new Set(messages)],
      remedy: [
        say("An API server that is overloaded or restarts gives no answer for a while: look again in a minute."),
      ],
    }),
  ];
}

/** What could not be read and might have shown more. */
function unread({ namespaces }: Evidence): Finding[] {
  const messages = Object.values(namespaces).flatMap((each) => (each.ok ? each.value.unread : []));
  if (messages.length === 0) return [];
  return [
    finding("unread", "Some of the deployment could not be looked at", {
      severity: "note",
      evidence: [...new Set(messages)],
      remedy: [],
    }),
  ];
}
