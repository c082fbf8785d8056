/** Services by which the parts find each other: without one nothing gets through, and pods stay ready for a while, or for good. */
import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, NamespaceFacts, Part } from "../evidence";
import { finding, run, say, type DiagnosisRule } from "./finding";
import { putBack } from "./releases";
import { places, reachedThrough, symptomsOf } from "./trouble";

/** The Service of each part, the workload behind it, and what does not work without it. */
const SERVICES: Readonly<Record<Part, { service: string; port: number; workload: string; title: string }>> = {
  nats: {
    ...LOCATIONS.nats,
    workload: LOCATIONS.nats.service,
    title: "NATS runs, and its Service does not lead to it: nothing finds it by its name",
  },
  postgres: {
    ...LOCATIONS.postgres,
    workload: LOCATIONS.postgres.service,
    title: "Postgres runs, and its Service does not lead to it: NoETL gets no new connection to its database",
  },
  pgbouncer: {
    ...LOCATIONS.pgbouncer,
    workload: LOCATIONS.pgbouncer.service,
    title: "PgBouncer runs, and its Service does not lead to it: NoETL gets no new connection to its database",
  },
  noetl: {
    ...LOCATIONS.noetl,
    workload: LOCATIONS.noetl.serverDeployment,
    title:
      "NoETL's server runs, and its Service does not lead to it: workers cannot claim commands, the gateway gets no answer",
  },
  gateway: {
    ...LOCATIONS.gateway,
    workload: LOCATIONS.gateway.deployment,
    title: "The gateway runs, and its Service does not lead to it: no browser gets to it",
  },
};

/** A part whose Service does not lead to its pods, and how that shows. */
export interface LostService {
  readonly part: Part;
  readonly namespace: string;
  readonly service: string;
  readonly found: string;
}

/** Key by which a part that is not found by its name is known as explained. */
export const keyOfService = (part: Part): string => `service ${part}`;

/** Parts that run and are not found by their names. */
export const lostServices = (evidence: Evidence): LostService[] =>
  places(evidence).flatMap(({ part, facts }) => {
    const found = lossOf(facts, SERVICES[part]);
    return found === undefined ? [] : [{ part, namespace: facts.name, service: SERVICES[part].service, found }];
  });

function lossOf(facts: NamespaceFacts, { service, port, workload }: (typeof SERVICES)[Part]): string | undefined {
  const { services, workloads, pods, name } = facts;
  // Where there is nothing to lead to, that is what is wrong.
  const runs = workloads.some((each) => each.name === workload) && pods.some(({ owner }) => owner === workload);
  if (services === undefined || !runs) return undefined;
  const found = services.find((each) => each.name === service);
  if (!found) return `there is no Service ${name}/${service} with a selector`;
  const who = `Service ${name}/${service}`;
  if (!found.owners.includes(workload)) return `${who} selects ${found.selector}, which no pod of ${workload} has`;
  const others = found.owners.filter((each) => each !== workload);
  if (others.length > 0) return `${who} selects ${found.selector}, and leads to pods of ${others.join(", ")}, too`;
  const offer = found.ports.find((each) => each.port === port);
  if (!offer) return `${who} has no port ${port}`;
  return offer.offered
    ? undefined
    : `port ${port} of ${who} leads to port ${offer.target}, which no container of ${workload} has`;
}

/** That of NATS has been asked about before, where NATS is reached by it. */
export const services: DiagnosisRule = (evidence, explained) =>
  lostServices(evidence)
    .filter(({ part }) => !(part === "nats" && explained.has("nats")))
    .map(({ part, namespace, found }) => {
      const { workload, title } = SERVICES[part];
      return finding("service", title, {
        symptoms: symptomsOf(part),
        evidence: [found],
        remedy: [
          say("What was changed or deleted by hand comes back with:"),
          ...putBack(evidence, part),
          run(`${evidence.kubectl} -n ${namespace} get services,pods --show-labels`),
        ],
        explains: [keyOfService(part), ...reachedThrough(part, workload)],
      });
    });
