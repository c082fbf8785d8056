/** Why the Auth Proxy does not reach its Cloud SQL instance, by what it says itself. */
import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, PodFacts } from "../evidence";
import { finding, keyOf, run, say, type DiagnosisRule, type FindingId, type Step } from "./finding";
import { update } from "./update";

/** Lines of the proxy's log, newest last, in which a trouble counts as present. */
const RECENT_LINES = 8;

interface Trouble {
  readonly id: FindingId;
  readonly title: string;
  /** Words of the proxy (v2), of Google's APIs, or of the metadata server behind Workload Identity. */
  readonly says: RegExp;
  remedy(this: void, evidence: Evidence): Step[];
}

const TROUBLES: readonly Trouble[] = [
  {
    id: "proxy-instance",
    title: "The Cloud SQL instance that the Auth Proxy asks for is not there, or its API is off",
    says: /instanceDoesNotExist|instance does not exist|Error 404|SERVICE_DISABLED|accessNotConfigured|has not been used in project/i,
    remedy: (evidence) => [
      say(
        "The instance was deleted by hand, or the Cloud SQL Admin API disabled. What the stack declares comes back with:",
      ),
      run(`pulumi refresh --stack ${evidence.stack}`),
      update(evidence),
    ],
  },
  {
    id: "proxy-permission",
    title: "The Auth Proxy may not log in at Cloud SQL",
    says: /notAuthorized|not authorized|Error 403|PERMISSION_DENIED|getAccessToken|Unable to generate access token|GCE metadata .* not defined/i,
    remedy: (evidence) => [
      say(
        "Its service account needs roles/cloudsql.client, its Kubernetes ServiceAccount the annotation and the binding of Workload " +
          "Identity; a new binding takes some minutes. What the stack grants, and was taken away by hand, comes back with:",
      ),
      run(`pulumi refresh --stack ${evidence.stack}`),
      update(evidence),
      run(
        `${evidence.kubectl} -n ${LOCATIONS.pgbouncer.namespace} get serviceaccount ${LOCATIONS.pgbouncer.serviceAccount} -o yaml`,
      ),
    ],
  },
  {
    id: "proxy-network",
    title: "The Auth Proxy does not reach the Cloud SQL instance's private address",
    says: /:3307: .*(i\/o timeout|timed out|no route|refused|unreachable)|does not have IP of type|context deadline exceeded/i,
    remedy: (evidence) => [
      say(
        "Pods must reach port 3307 of the instance: the network's connection to Google's services (createServiceConnection), and a " +
          "firewall that lets it through (cloudSqlProxyEgressRule). An instance that is stopped or being replaced answers nobody, too.",
      ),
      update(evidence),
    ],
  },
];

const proxyLog = (pod: PodFacts): string[] => {
  const proxy = pod.containers.find(({ name }) => name === LOCATIONS.pgbouncer.proxyContainer);
  return [...(proxy?.log ?? []).map(({ text }) => text), ...(proxy?.ended?.message ?? "").split("\n")]
    .filter((line) => line.trim() !== "")
    .slice(-RECENT_LINES);
};

/** The way from PgBouncer to Cloud SQL. PgBouncer itself is ready without it, so its pods alone would show nothing. */
export const cloudSql: DiagnosisRule = (evidence) => {
  const { pgbouncer, postgres, noetl } = evidence.namespaces;
  if (!pgbouncer?.ok) return [];
  const { pods, name: namespace } = pgbouncer.value;
  const serves =
    noetl?.ok === true &&
    noetl.value.workloads.some(
      ({ name, ready, wanted }) => name === LOCATIONS.noetl.serverDeployment && wanted > 0 && ready === wanted,
    );
  for (const { id, title, says, remedy } of TROUBLES) {
    const saying = pods.flatMap((pod) => {
      const line = proxyLog(pod).findLast((each) => says.test(each));
      return line === undefined ? [] : [{ pod, line }];
    });
    if (saying.length === 0) continue;
    // What is past may still stand in the log of a pod that works.
    const past = serves && pods.every(({ ready }) => ready);
    const jobs = postgres?.ok
      ? postgres.value.workloads.filter(({ kind, ready }) => kind === "Job" && ready === 0)
      : [];
    return [
      finding(id, title, {
        severity: past ? "note" : "cause",
        evidence: saying.map(({ pod, line }) => `pod ${pod.namespace}/${pod.name}, Auth Proxy: ${line}`),
        remedy: past ? [say("NoETL's server works on its database now: it may be over.")] : remedy(evidence),
        explains: past
          ? []
          : [
              ...saying.map(({ pod }) => keyOf("pod", pod)),
              keyOf("workload", { namespace, name: LOCATIONS.pgbouncer.service }),
              ...jobs.map((job) => keyOf("workload", job)),
              "postgres",
            ],
      }),
    ];
  }
  return [];
};
