import { finding, keyOf, say, type DiagnosisRule } from "./finding";
import { lastWords, places } from "./trouble";
import { update } from "./update";

/** The Job that loads NoETL's schema. */
export const schemaJob: DiagnosisRule = (evidence, explained) =>
  places(evidence)
    .filter(({ part }) => part === "postgres")
    .flatMap(({ facts }) =>
      facts.workloads
        .filter(({ kind, trouble, ready }) => kind === "Job" && trouble !== undefined && ready === 0)
        .filter((job) => !explained.has(keyOf("workload", job)))
        .map((job) => {
          const pods = facts.pods.filter(({ owner }) => owner === job.name);
          const [log = []] = pods.map(lastWords).filter((lines) => lines.length > 0);
          return finding("schema-job", titleOf(job.name), {
            evidence: [`Job ${job.namespace}/${job.name}: ${job.trouble}`, ...log],
            remedy: [say(schemaAdvice(log.join("\n"))), say("The next update runs the Job again:"), update(evidence)],
            explains: [keyOf("workload", job), ...pods.map((pod) => keyOf("pod", pod)), "postgres"],
          });
        }),
    );

const titleOf = (job: string): string =>
  job.includes("-logins")
    ? "Refusing NoETL's old logins at Postgres failed"
    : "Loading NoETL's schema into Postgres failed";

function schemaAdvice(log: string): string {
  if (/authentication failed/i.test(log)) {
    return (
      "Postgres does not accept the administrator's password: set postgresPassword to the one it was given. " +
      "A server in the cluster sets it when it starts: delete its pod."
    );
  }
  if (/cannot connect|refused|timeout|name or service/i.test(log)) {
    return "Postgres does not answer: see its own pod, or postgresHost and postgresPort.";
  }
  if (/permission denied|must be owner/i.test(log)) {
    return "The administrator (postgresUser) may not create roles, databases or schemas: grant it that.";
  }
  return "Its last words say what Postgres objected to.";
}
