import { STREAM_VARIABLES } from "../../../contract/env";
import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, PodFacts, VariableFacts } from "../evidence";
import { keyOfOtherStream, OF_THE_STREAM } from "./failing";
import { finding, keyOf, run, say, type DiagnosisRule, type Explained, type FindingId, type Step } from "./finding";
import { crashes, crashWords, lastHit, type LogMeaning } from "./logs";
import { REASONS } from "./reasons";
import { keyOfService } from "./services";
import { explainsPod, grouped, podsOf } from "./trouble";
import { putBack } from "./releases";
import { isOurs, update, writeUsers } from "./update";

/** Settings that pods got differently from what the stack would give them. */
export const environment: DiagnosisRule = (evidence) =>
  Object.entries(evidence.environment).flatMap(([deployment, found]) => {
    const changed = found?.ok ? found.value.filter(({ asDeployed }) => asDeployed === false) : [];
    if (changed.length === 0) return [];
    const others = changed.filter(({ name }) => STREAM_VARIABLES.includes(name));
    const lost = others.length > 0 ? lostPods(evidence, deployment) : [];
    return finding(
      "environment",
      `${deployment} has other settings than the stack: ${changed.map(({ name }) => name).join(", ")}`,
      {
        symptoms: changed.some(({ name }) => name === "CORS_ALLOWED_ORIGINS") ? ["cors"] : [],
        evidence: [...changed.map(describeVariable), ...lastQuotes(lost)],
        remedy: [
          say("Where the configuration was changed and not rolled out, or an update did not finish:"),
          update(evidence),
          say("Where somebody changed the cluster by hand:"),
          ...putBack(evidence, deployment === LOCATIONS.gateway.deployment ? "gateway" : "noetl"),
          // What comes from a Secret or ConfigMap, pods read when they start.
          ...restartOf(evidence, deployment),
        ],
        explains: [
          `environment ${deployment}`,
          ...(others.length > 0 ? [keyOfOtherStream(deployment)] : []),
          ...lost.flatMap((pod) => explainsPod(pod, "noetl")),
        ],
      },
    );
  });

/** Pods that are not ready and say last that the stream is not as it should be: they look for another one. */
const lostPods = (evidence: Evidence, deployment: string): readonly PodFacts[] =>
  podsOf(evidence, deployment).filter(
    (pod) => !pod.ready && OF_THE_STREAM.includes(lastHit(pod)?.meaning as LogMeaning),
  );

const restartOf = ({ kubectl }: Evidence, deployment: string): Step[] => {
  const { namespace } = deployment === LOCATIONS.gateway.deployment ? LOCATIONS.gateway : LOCATIONS.noetl;
  return [run(`${kubectl} -n ${namespace} rollout restart deploy/${deployment}`)];
};

function describeVariable({ name, value, source, looksAlike }: VariableFacts): string {
  const difference = looksAlike
    ? "whose hidden part, the password, is not the one that the stack sets"
    : "which is not what the stack sets";
  return `${name} is ${value}${source === "literal" ? "" : ` (${source})`}, ${difference}`;
}

/** Whether a pod's way to NATS is not the one that the stack gives it: that explains whatever it says of NATS. */
const hasOtherUrl = ({ environment: all }: Evidence, { owner }: PodFacts): boolean => {
  const found = all[owner];
  return found?.ok === true && found.value.some(({ name, asDeployed }) => name === "NATS_URL" && asDeployed === false);
};

const NOETL = [LOCATIONS.noetl.serverDeployment, LOCATIONS.noetl.workerDeployment];

/** Pods of NoETL and the gateway that are not ready and whose last telling words mean one of `meanings`. */
function saying(evidence: Evidence, explained: Explained, meanings: readonly LogMeaning[]) {
  return (["noetl", "gateway"] as const).flatMap((part) => {
    const found = evidence.namespaces[part];
    if (!found?.ok) return [];
    return found.value.pods
      .filter((pod) => (!pod.ready || crashes(pod, evidence.now)) && !explained.has(keyOf("pod", pod)))
      .filter((pod) => meanings.includes(lastHit(pod)?.meaning as LogMeaning))
      .map((pod) => ({ part, pod }));
  });
}

/** What each pod said last, those that say the same together. */
const lastQuotes = (pods: readonly PodFacts[]): string[] =>
  grouped(
    pods.map((pod) => {
      const { line = "", at } = lastHit(pod) ?? {};
      return { pod, line: { text: line, at } };
    }),
  );

const namesOf = (pods: readonly { pod: PodFacts }[]): string =>
  [...new Set(pods.map(({ pod }) => pod.owner))].join(", ");

const restart = ({ kubectl }: Evidence, pods: readonly { pod: PodFacts }[]): Step[] =>
  [...new Set(pods.map(({ pod }) => `${kubectl} -n ${pod.namespace} rollout restart deploy/${pod.owner}`))].map(run);

interface Trouble {
  readonly id: FindingId;
  readonly meanings: readonly LogMeaning[];
  /** Whose trouble it is a consequence of, where that is already a finding. */
  readonly of: "nats" | "postgres" | "server" | "itself";
  readonly title: (who: string, line: string) => string;
  readonly remedy: (evidence: Evidence, pods: readonly { pod: PodFacts }[]) => Step[];
}

/** Words that name their cause themselves, whatever else is wrong. */
const OWN_REASONS: readonly Trouble[] = Object.entries(REASONS).map(([meaning, { id, title, remedy }]) => ({
  id,
  meanings: [meaning as LogMeaning],
  of: "itself",
  title,
  remedy: (evidence, pods) =>
    remedy(evidence, pods[0] ? (lastHit(pods[0].pod)?.line ?? "") : "", [...new Set(pods.map(({ pod }) => pod.owner))]),
}));

const TROUBLES: readonly Trouble[] = [
  {
    id: "pods-nats-login",
    meanings: ["nats-login"],
    of: "nats",
    title: (who) => `NATS does not accept the password that ${who} logs in with`,
    remedy: (evidence, pods) =>
      pods.some(({ pod }) => evidence.environment[pod.owner]?.ok === true) && evidence.nats.ok
        ? [
            say(
              "The stack's own password is accepted. Pods take theirs when they start, and undecoded from NATS_URL: one " +
                "with characters that a URL must encode can never work. New pods get the present one:",
            ),
            ...restart(evidence, pods),
          ]
        : [say("An update rolls all pods onto one password:"), update(evidence)],
  },
  {
    id: "pods-nats-permission",
    meanings: ["nats-permission"],
    of: "nats",
    title: (who) => `The NATS user of ${who} lacks a permission`,
    remedy: (evidence) =>
      isOurs(evidence)
        ? writeUsers(evidence)
        : [say("Grant it in the server's configuration; the log names the subject.")],
  },
  {
    id: "pods-nats-tls",
    meanings: ["nats-tls"],
    of: "nats",
    title: (who) => `${who} does not trust the certificate of the NATS server`,
    remedy: () => [
      say(
        "The log says what is wrong with the certificate. Pods trust the authorities of their image, and those that the last update of the " +
          "stack has handed them (`natsTls`, docs/tls.md); another update hands them over again.",
      ),
    ],
  },
  {
    id: "pods-jetstream-off",
    meanings: ["jetstream-off"],
    of: "nats",
    title: (who) => `JetStream is off for the account that ${who} uses`,
    remedy: (evidence) => [say("Switch it on for the account; on a server of this stack:"), update(evidence)],
  },
  {
    id: "pods-database",
    meanings: ["database-login", "database-schema", "database-unreachable"],
    of: "postgres",
    title: (who) => `${who} cannot work with its database`,
    remedy: (evidence) => [
      say("A refused password or a missing schema is put right by the schema's Job, which an update runs:"),
      update(evidence),
      run(`${evidence.kubectl} -n ${LOCATIONS.postgres.namespace} get pods`),
    ],
  },
  {
    id: "pods-nats-unreachable",
    meanings: ["nats-refused", "nats-timeout", "unknown-host"],
    of: "nats",
    title: (who) => `${who} cannot reach NATS or its database`,
    remedy: (evidence) => [
      say("NATS answers from here, so look at what is between: the address in NATS_URL, network policies, DNS."),
      ...(isOurs(evidence)
        ? [run(`${evidence.kubectl} -n ${LOCATIONS.nats.namespace} get service,endpoints ${LOCATIONS.nats.service}`)]
        : []),
      update(evidence),
    ],
  },
  {
    id: "pods-api-unreachable",
    meanings: ["api-unreachable"],
    of: "server",
    title: (who) => `${who} waits for NoETL's server, which does not answer`,
    remedy: ({ kubectl }) => [
      say("The server's own trouble comes first:"),
      run(`${kubectl} -n ${LOCATIONS.noetl.namespace} logs deploy/${LOCATIONS.noetl.serverDeployment} --tail 50`),
    ],
  },
];

const ALL_TROUBLES = [...TROUBLES, ...OWN_REASONS];

const SERVER_KEYS = [
  `workload ${LOCATIONS.noetl.namespace}/${LOCATIONS.noetl.serverDeployment}`,
  keyOfService("noetl"),
];

const isExplained = (explained: Explained, of: Trouble["of"]): boolean =>
  of !== "itself" && (of === "server" ? SERVER_KEYS : [of]).some((key) => explained.has(key));

/** What NoETL's and the gateway's pods say themselves: a cause of its own, or the consequence of one already found. */
const connectionsTo =
  (parts: readonly Trouble["of"][]): DiagnosisRule =>
  (evidence, explained) =>
    ALL_TROUBLES.filter(({ of }) => parts.includes(of)).flatMap(({ id, meanings, of, title, remedy }) => {
      const pods = saying(evidence, explained, meanings);
      if (pods.length === 0) return [];
      const consequence =
        isExplained(explained, of) || (of === "nats" && pods.every(({ pod }) => hasOtherUrl(evidence, pod)));
      const gateway = pods.some(({ part }) => part === "gateway");
      const line = (pods[0] && lastHit(pods[0].pod)?.line) ?? "";
      return finding(
        id,
        consequence ? `${namesOf(pods)} cannot start before that is fixed` : title(namesOf(pods), line),
        {
          severity: consequence ? "note" : "cause",
          symptoms: gateway ? ["cors"] : [],
          evidence: lastQuotes(pods.map(({ pod }) => pod)),
          remedy: consequence ? [] : remedy(evidence, pods),
          explains: pods.flatMap(({ pod, part }) => explainsPod(pod, part)),
        },
      );
    });

export const infrastructureConnections = connectionsTo(["itself", "nats", "postgres"]);
/** Asked when the server's own trouble is known. */
export const serverConnections = connectionsTo(["server"]);

/** Workers that are not ready while the server is down wait for it; that is the server's trouble, not theirs. */
export const waitingWorkers: DiagnosisRule = (evidence, explained) => {
  const { noetl } = evidence.namespaces;
  const [server, worker] = NOETL as [string, string];
  if (!noetl?.ok || !explained.has(`workload ${noetl.value.name}/${server}`)) return [];
  const pods = noetl.value.pods.filter(
    (pod) =>
      pod.owner === worker &&
      !pod.ready &&
      !explained.has(keyOf("pod", pod)) &&
      lastHit(pod) === undefined &&
      // One that ends with words of its own does not wait.
      crashWords(pod, evidence.now) === undefined,
  );
  if (pods.length === 0) return [];
  return [
    finding("workers-wait", `${worker} waits for ${server}`, {
      severity: "note",
      evidence: pods.map((pod) => `${pod.name} is not ready and has said nothing that tells of another trouble`),
      remedy: [],
      explains: pods.flatMap((pod) => explainsPod(pod, "noetl")),
    }),
  ];
};
