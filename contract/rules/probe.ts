/** Rules about what was tried out: see {@link Probe}. */
import { consumerConfig } from "../desired";
import { consumerTerms } from "../inputs";
import { ackSubjects, fetchSubject, isAnswered, LOOKUP_SUBJECT, QUEUE_FULL, removalSubject } from "../probe";
import { TOO_MANY_SUBSCRIPTIONS, type Probe, type Refusal, type Route, type WorkerProbe } from "../probe-results";
import {
  GO_ON_WITH_REPAIR,
  grant,
  holdingStream,
  list,
  MORE_SUBSCRIPTIONS,
  NOTIFICATION_BYTES,
  type Contract,
  type Found,
  type Fix,
  type Rule,
} from "./rule";
import { filtersTogether, letsThrough } from "./stream";
import { subjectsCover } from "../subjects";

const advise = (advice: string): Fix => ({ action: "advise", advice });

/** What takes a mapping away, in words. */
const removeMapping = (subjects: string): string =>
  `remove the mapping of ${subjects} (\`mappings\` of the account or the server in NATS' configuration, or of the account's JWT)`;

const coded = ({ code, words }: Refusal): string => (code === 0 ? words : `${words} (${code})`);

/** Where a publish ended, and why, in words. */
function where(route: Route, { publish, stream, overlapping = [] }: Found, contract: Contract): string {
  switch (route.end) {
    case "stream": {
      if (route.stream === contract.stream)
        return route.code === 0 ? `${route.stream}, which stored the probe` : route.stream;
      if (route.stream === holdingStream(contract.stream)) return `stream ${route.stream}, the stream of a repair`;
      return overlapping.includes(route.stream)
        ? `stream ${route.stream}, which takes that subject too`
        : `stream ${route.stream}, to which a mapping of subjects leads`;
    }
    case "nobody": {
      const covers = subjectsCover(stream.config.subjects ?? [], publish.subject);
      return covers
        ? "nobody, although the stream lists the subject: a mapping of subjects leads elsewhere, or the stream is another account's, from which " +
            "the subject is not imported"
        : "nobody";
    }
    case "silence":
      return (
        "no stream that answers: somebody else listens, and a mapping of subjects leads there, or the stream is another account's, which gets " +
        "what is published (`stream` import) and returns nothing"
      );
    case "somebody":
      return `somebody who is not a stream, with "${route.words}"`;
    case "refused":
      return route.words;
  }
}

const REACHED = {
  nobody: "nobody",
  silence: "somebody who says nothing",
  somebody: "somebody else, who answers",
} as const;

/** What mappings make of a subject that the stream takes all the same, and no consumer lets through. */
function lostNames({ stream, consumer, consumers, publish }: Found): string[] {
  const filters = filtersTogether(consumers ? Object.values(consumers) : [consumer]);
  return (publish.mapped ?? []).filter(
    (name) =>
      name !== publish.subject &&
      subjectsCover(stream.config.subjects ?? [], name) &&
      !letsThrough(filters, stream, name),
  );
}

const reaches = (route: Route, { stream }: Contract): boolean =>
  route.end === "stream" && route.stream === stream && route.code !== 0;

const lacks = (
  what: keyof WorkerProbe & ("info" | "lookup" | "fetch" | "ack" | "remake"),
  subject: (contract: Contract, worker: WorkerProbe) => string,
) => ({
  about: "worker" as const,
  severity: "violation" as const,
  effect: "withheld" as const,
  remedy: "grant the permission",
  expected: (contract: Contract, { workerProbe }: Found) =>
    `${workerProbe.login} may publish on ${subject(contract, workerProbe)}`,
  found: ({ workerProbe }: Found) => workerProbe[what] ?? "may",
  holds: ({ workerProbe }: Found) => workerProbe[what] === undefined,
  fix: (contract: Contract, { workerProbe }: Found) =>
    grant(workerProbe.login, "publish", subject(contract, workerProbe)),
});

const accepted = (probe: Probe | undefined): probe is Probe => probe !== undefined && probe.notAccepted === undefined;

const isQueue = ({ room }: Found["probe"]): boolean => room?.code === QUEUE_FULL;

const QUEUE_ADVICE =
  "take max_buffered_size from jetstream in NATS' configuration, or set it to what many commands fit in (without it, 128 MB), and restart " +
  "NATS; where it is not set, NATS has more to store than it gets to: see its load and its disk";

export const PROBE_RULES: readonly Rule[] = [
  {
    id: "noetl-login",
    severity: "violation",
    effect: "refused",
    about: "login",
    checks: "NATS accepts the login that NoETL uses",
    why: "server and workers are refused at the log-in with `Authorization Violation`: nothing is published, nothing fetched",
    remedy: "give NATS and NoETL the same user and password",
    expected: (_contract, { probe }) => `${probe.login} is accepted`,
    found: ({ probe }) => probe.notAccepted ?? "accepted",
    holds: ({ probe }) => accepted(probe),
    fix: (_contract, { probe }) => ({
      action: "advise",
      advice: `give NATS and NoETL the same password for ${probe.login}, or add that user to NATS' configuration, and reload NATS`,
      ofUsers: true,
    }),
  },
  {
    id: "noetl-account",
    severity: "violation",
    effect: "refused",
    about: "login",
    checks: "NoETL's login sees the stream that the check looks at",
    why: "NoETL's user belongs to another account: its commands land in a stream that this check does not look at, or in none",
    remedy: "let both logins belong to one account",
    applies: ({ probe, stream }) => accepted(probe) && stream !== undefined,
    expected: (_contract, { stream }) => `the stream created ${String(stream.created)}`,
    found: ({ probe, stream }) =>
      probe.elsewhere === undefined
        ? `the stream created ${String(stream.created)}`
        : probe.elsewhere === ""
          ? "no such stream"
          : `a stream created ${probe.elsewhere}`,
    holds: ({ probe }) => probe.elsewhere === undefined,
    fix: (_contract, { probe }) =>
      advise(`move ${probe.login} to the account that the stream is in, or let the check log in to NoETL's account`),
  },
  {
    id: "publish-permission",
    severity: "violation",
    effect: "refused",
    about: "publish",
    checks: "NoETL's login may publish on each subject that NoETL publishes on",
    why: "the server's publish fails with `Permissions Violation for Publish`, or waits for an answer that it may not get",
    remedy: "grant the permission",
    expected: (_contract, { publish }) => `${publish.login} may publish on ${publish.subject}`,
    found: ({ publish }) => publish.routes.find((route) => route.end === "refused")?.words ?? "may",
    holds: ({ publish }) => !publish.routes.some(({ end }) => end === "refused"),
    fix: (_contract, { publish }) => {
      const words = publish.routes.find((route) => route.end === "refused")?.words ?? "";
      return words.includes("Subscription")
        ? grant(publish.login, "subscribe", "_INBOX.>")
        : grant(publish.login, "publish", publish.subject);
    },
  },
  {
    id: "publish-stream",
    severity: "violation",
    effect: "refused",
    about: "publish",
    checks:
      "what is published on each of NoETL's subjects reaches this stream, tried with a publish that stores nothing",
    why: "commands land in another stream, where no worker looks, or nowhere: `nats: no response from stream`",
    remedy: "take away the mapping, or the subject from the other stream",
    waits: "briefly",
    // Why no stream can answer is what the rules about it say.
    applies: ({ stream }) => stream !== undefined,
    appliesTo: ({ stream, publish }) =>
      isAnswered(stream, publish.subject) && !publish.routes.some(({ end }) => end === "refused"),
    expected: ({ stream }, { publish }) => `${publish.subject} is taken by ${stream}`,
    found: (found, contract) =>
      `${found.publish.subject} is taken by ${list(found.publish.routes.map((route) => where(route, found, contract)))}`,
    holds: ({ publish }, contract) => publish.routes.every((route) => reaches(route, contract)),
    fix: ({ stream }, { publish, overlapping = [] }) => {
      const others = publish.routes.flatMap((route) =>
        route.end === "stream" && route.stream !== stream && overlapping.includes(route.stream) ? route.stream : [],
      );
      if (others.includes(holdingStream(stream))) return advise(GO_ON_WITH_REPAIR);
      return others.length > 0
        ? advise(`take ${publish.subject} from ${list(others)}, or remove it (nats stream edit, nats stream rm)`)
        : advise(
            `${removeMapping(publish.subject)} and whoever else answers on it; where the stream is another account's, let that one ` +
              "export the subject as a `service`, and NoETL's import it under the same name; and reload NATS",
          );
    },
  },
  {
    id: "publish-subject",
    severity: "violation",
    effect: "withheld",
    about: "publish",
    checks:
      "what is published on each of NoETL's subjects is stored under one that a consumer lets through, as the server's trace tells " +
      "(nats-server 2.11); asked where all consumers have filters",
    why: "commands are stored under another name, which no consumer lets through, and no worker ever sees them",
    remedy: "take away the mapping",
    applies: ({ stream }) => stream !== undefined,
    appliesTo: ({ publish }) => publish.mapped !== undefined,
    expected: (_contract, { publish }) => `${publish.subject} is stored under a name that a consumer lets through`,
    found: (found) => {
      const lost = lostNames(found);
      return lost.length === 0 ? "it is" : `a mapping makes it ${list(lost)}, which no consumer lets through`;
    },
    holds: (found) => lostNames(found).length === 0,
    fix: (_contract, { publish }) => advise(`${removeMapping(publish.subject)}, and reload NATS`),
  },
  {
    id: "publish-room",
    severity: "violation",
    effect: "refused",
    about: "login",
    checks:
      "the server has room for a command in the storage that the stream is in, and in the queue before it (nats-server 2.11 without cluster, " +
      "or a replicated stream)",
    why: "the server's publish is refused with `insufficient resources`, `resource limits exceeded for account`, or `too many requests`",
    remedy: "free or enlarge the store; raise `max_buffered_size`",
    applies: ({ probe, stream }) => accepted(probe) && probe.room !== undefined && stream !== undefined,
    expected: (_contract, { stream, probe }) =>
      isQueue(probe)
        ? "room for a command in the stream's queue"
        : `room in the server's ${stream.config.storage} store`,
    found: ({ probe }) => (probe.room ? coded(probe.room) : "room"),
    holds: ({ probe }) => !probe.room,
    fix: (_contract, { stream, probe }) => {
      if (isQueue(probe)) return advise(QUEUE_ADVICE);
      return advise(
        `free the ${stream.config.storage} store: purge or remove the streams that fill it (nats stream report, nats stream ` +
          "purge), or enlarge it (natsJetstreamMemSize or natsJetstreamFileSize)",
      );
    },
  },
  {
    id: "publish-size",
    severity: "violation",
    effect: "refused",
    about: "login",
    checks: "a command notification fits into a message (`max_payload` of server and account)",
    why: "the client refuses to publish it, or the server closes the connection: `maximum payload violation`",
    remedy: "raise the limit of the server, the account or the user",
    applies: ({ probe }) => accepted(probe),
    expected: () => `at least ${NOTIFICATION_BYTES} bytes`,
    found: ({ probe }) => `${probe.maxPayload} bytes`,
    holds: ({ probe }) => probe.maxPayload >= NOTIFICATION_BYTES,
    fix: () =>
      advise(
        `set max_payload to at least ${NOTIFICATION_BYTES} in NATS' configuration (of the server, and in \`limits\` of the account, where it has ` +
          "one; in an account's or user's JWT `payload`), and reload NATS",
      ),
  },
  {
    id: "worker-info",
    checks: "NoETL's login may look its stream and consumer up",
    why: "workers look both up when they start, and crash-loop without: `Permissions Violation for Publish`",
    ...lacks(
      "info",
      ({ stream }, { consumer }) => `$JS.API.STREAM.INFO.${stream} and $JS.API.CONSUMER.INFO.${stream}.${consumer}`,
    ),
  },
  {
    id: "worker-lookup",
    checks: "NoETL's login may ask which stream has the subject, tried with one that cannot be read",
    why: "workers of NoETL's Python lines ask for it when they subscribe, and crash-loop without: `nats: timeout`",
    ...lacks("lookup", () => LOOKUP_SUBJECT),
  },
  {
    id: "worker-fetch",
    checks: "NoETL's login may ask for the next message, tried with a request that cannot be read",
    why: "workers run and get no command: every fetch fails with `Permissions Violation for Publish`",
    ...lacks("fetch", ({ stream }, { consumer }) => fetchSubject(stream, consumer)),
  },
  {
    id: "worker-ack",
    checks: "NoETL's login may acknowledge, tried with a sign of progress about a message that does not exist",
    why: "commands are done and never acknowledged: after 64 of them (max_ack_pending) no worker gets another, and each comes again",
    appliesTo: ({ workerProbe }) => !workerProbe.answersOnly,
    ...lacks("ack", ({ stream }, worker) => ackSubjects(stream, worker)),
  },
  {
    id: "worker-listen",
    about: "worker",
    severity: "violation",
    effect: "withheld",
    checks:
      "a worker may listen for commands, one token below `_INBOX`, where answers come two below, and its connection may have the two subscriptions " +
      "that this takes (`max_subscriptions`), tried with one that nobody publishes on",
    why: "workers run and get no command; where it is the limit, NoETL's client closes the connection: `nats: connection closed`",
    remedy: "grant the permission; raise the limit of the server, the account or the user",
    expected: (_contract, { workerProbe }) => `${workerProbe.login} may listen for answers and for commands`,
    found: ({ workerProbe }) => workerProbe.listen ?? "may",
    holds: ({ workerProbe }) => workerProbe.listen === undefined,
    fix: (_contract, { workerProbe: { login, listen, inbox = "_INBOX.>" } }) =>
      listen === TOO_MANY_SUBSCRIPTIONS ? MORE_SUBSCRIPTIONS : grant(login, "subscribe", inbox.replace(/[^.]+$/, ">")),
  },
  {
    id: "worker-remake",
    checks:
      "a worker may remove its consumer where it has another `max_ack_pending`, as the server tells from nats-server 2.10 on",
    why: "the next worker that starts removes such a consumer to make it again, and crash-loops: `Failed to delete consumer`",
    ...lacks("remake", ({ stream }, { consumer }) => removalSubject(stream, consumer)),
    // A consumer with the workers' number is not made again.
    ensure: (contract, { workerProbe: { consumer } }) => {
      const terms = consumerTerms(contract).find(({ name }) => name === consumer);
      const { max_ack_pending } = consumerConfig(contract, terms);
      return { action: "edit-consumer", consumer, patch: { max_ack_pending } };
    },
  },
  {
    id: "worker-reach",
    about: "worker",
    severity: "violation",
    effect: "withheld",
    checks:
      "what workers ask of their consumer and acknowledge gets there, tried with requests that take nothing and are answered with that",
    why: "workers run and get no command, or do it and never acknowledge it, so that it comes again: `nats: timeout`",
    remedy: "take away the mapping",
    waits: "briefly",
    // In another account there is no such consumer.
    applies: ({ probe }) => accepted(probe) && probe.elsewhere === undefined,
    appliesTo: ({ workerProbe }) => workerProbe.strays !== undefined,
    expected: (_contract, { workerProbe }) => `consumer ${workerProbe.consumer} answers`,
    found: ({ workerProbe: { strays = [] } }) =>
      strays.length === 0 ? "it answers" : list(strays.map((each) => `${each.subject} gets to ${REACHED[each.end]}`)),
    holds: ({ workerProbe: { strays = [] } }) => strays.length === 0,
    fix: (_contract, { workerProbe: { strays = [] } }) =>
      advise(
        `${removeMapping(list([...new Set(strays.map((each) => each.subject))]))} and whoever else answers there; where the stream is ` +
          "another account's, import them from it as a `service`, under the same names; and reload NATS",
      ),
  },
];
