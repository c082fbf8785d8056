import type { ConsumerInfo, StreamInfo } from "nats";
import { consumerConfig, streamConfig } from "../components/stream-contract/desired";
import { withDefaults, type ContractInputs } from "../components/stream-contract/inputs";
import { mendingCommands } from "../components/stream-contract/message";
import type { Found } from "../components/stream-contract/rule";
import { judge, RULES, type Observed } from "../components/stream-contract/rules";
import { subjectsCover, subjectsOverlap } from "../components/stream-contract/subjects";
import type { DeclaredResource } from "./evaluation";
import { unwrapSecrets } from "./outputs";
import type { BrokenRule, ContractChange, ContractReport } from "./report";

/** True for the resource that asserts the contract. */
export const isContract = (type: string): boolean => type.endsWith(":StreamContract");

/** The contract that a side's program asserts, defaults filled in; undefined where it asserts none. */
export function contractOf(resources: readonly DeclaredResource[]): ContractInputs | undefined {
  const found = resources.find((resource) => isContract(resource.type));
  if (!found) return undefined;
  const { __provider: _code, ...inputs } = unwrapSecrets(found.inputs) as Record<string, unknown>;
  return withDefaults(inputs);
}

/** Stream and consumer as a NoETL that was set up by this contract leaves them on the server. */
export function leftBehind(contract: ContractInputs): Pick<Found, "stream" | "consumer"> {
  return {
    stream: { config: streamConfig(contract) } as StreamInfo,
    consumer: { name: contract.consumer, config: consumerConfig(contract) } as ConsumerInfo,
  };
}

const whyOf = (id: string): string => RULES.find((rule) => rule.id === id)?.why ?? "";

/** A term of the contract: where it stands, and what its change does to a NoETL that runs. */
interface Term {
  readonly name: string;
  readonly value: (contract: ContractInputs) => string;
  readonly consequence: (old: ContractInputs, now: ContractInputs) => string;
}

const seconds = (value: number): string => (value === 0 ? "unlimited" : `${value} s`);

/** Terms that NoETL writes into the stream or consumer only when it creates them. */
const created = (
  name: string,
  rule: string,
  what: "stream" | "consumer",
  value: (contract: ContractInputs) => string,
): Term => ({
  name,
  value,
  consequence: (_old, now) => {
    const existing = what === "stream" ? `stream ${now.stream}` : `consumer ${now.consumer}`;
    return `The existing ${existing} keeps the old value until it is edited or made anew. It matters because ${whyOf(rule)}.`;
  },
});

const TERMS: readonly Term[] = [
  {
    name: "stream",
    value: ({ stream }) => stream,
    consequence: (old, now) =>
      subjectsOverlap(old.subject, now.subject)
        ? `Stream ${old.stream} still holds ${old.subject}, and nats-server refuses a second stream on it (error 10065): ` +
          `NoETL's server cannot create ${now.stream} until ${old.stream} is removed, and until then ${whyOf("stream-exists")}.`
        : `NoETL's server creates ${now.stream}; ${old.stream} stays on the server with what is in it, and no worker takes ` +
          "commands from it any more.",
  },
  {
    name: "subject",
    value: ({ subject }) => subject,
    consequence: (old, now) => {
      if (old.stream !== now.stream) return `The new stream ${now.stream} is created with ${now.subject}.`;
      return subjectsCover([old.subject], now.subject)
        ? `Stream ${now.stream} covers it already.`
        : `Stream ${now.stream} exists and keeps its subject ${old.subject}, because NoETL uses an existing stream as it is. ` +
            `Until ${now.subject} is added to it, ${whyOf("stream-subjects")}.`;
    },
  },
  {
    name: "consumer",
    value: ({ consumer }) => consumer,
    consequence: (old, now) =>
      `Workers create ${now.consumer}, which delivers new commands only: what ${old.consumer} has not delivered, or ` +
      `nobody has acknowledged, is not delivered again. ${old.consumer} stays on the server until it is removed.`,
  },
  created("retention", "stream-retention", "stream", ({ expect }) => expect.retention),
  created("storage", "stream-storage", "stream", ({ expect }) => expect.storage),
  created("max age", "stream-max-age", "stream", ({ expect }) => seconds(expect.maxAgeSeconds)),
  created("duplicate window", "stream-duplicates", "stream", ({ expect }) => seconds(expect.duplicateWindowSeconds)),
  created("replicas", "stream-replicas", "stream", ({ expect }) => String(expect.replicas)),
  created("ack policy", "consumer-ack-policy", "consumer", ({ expect }) => expect.ackPolicy),
  created("deliver policy", "consumer-deliver-policy", "consumer", ({ expect }) => expect.deliverPolicy),
  created("replay policy", "consumer-replay-policy", "consumer", ({ expect }) => expect.replayPolicy),
  created("ack wait", "consumer-ack-wait", "consumer", ({ expect }) => seconds(expect.ackWaitSeconds)),
  created("max deliver", "consumer-max-deliver", "consumer", ({ worker }) => String(worker.maxDeliver)),
  {
    name: "max ack pending",
    value: ({ worker }) => String(worker.maxAckPending),
    consequence: () => `${sentence(whyOf("consumer-max-ack-pending"))}.`,
  },
  {
    name: "fetch timeout",
    value: ({ worker }) => seconds(worker.fetchTimeoutSeconds),
    consequence: () =>
      `One pull of a worker waits that long. Where the consumer limits it (max_expires), ${whyOf("consumer-fetch-expiry")}.`,
  },
  {
    name: "strict",
    value: ({ strict }) => String(strict),
    consequence: (_old, { strict }) =>
      strict ? "Drift fails the update from now on, not only violations." : "Drift only warns from now on.",
  },
];

const sentence = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** What changes between two contracts, and which rules the stream of the old one breaks under the new one. */
export function contractReport(old: ContractInputs | undefined, now: ContractInputs | undefined): ContractReport {
  if (!old || !now) {
    if (!old && !now) return { changes: [], broken: [], mend: [] };
    const consequence = now
      ? "The update fails from now on where stream or consumer are not as NoETL needs them."
      : "Nobody notices any more when stream, consumer, credentials and application drift apart.";
    const change = (old ?? now) as ContractInputs;
    const text = `${change.stream}, ${change.subject}, ${change.consumer}`;
    return {
      changes: [{ term: "check", old: old ? text : "none", new: now ? text : "none", consequence }],
      broken: [],
      mend: [],
    };
  }
  const changes: ContractChange[] = TERMS.flatMap(({ name, value, consequence }) =>
    value(old) === value(now)
      ? []
      : [{ term: name, old: value(old), new: value(now), consequence: consequence(old, now) }],
  );
  // A stream or consumer with another name is created as the new contract wants it.
  if (changes.length === 0 || old.stream !== now.stream) return { changes, broken: [], mend: [] };
  const { stream, consumer } = leftBehind(old);
  const observed: Observed = { stream, consumer: old.consumer === now.consumer ? consumer : undefined };
  // What the old contract would miss here as well is not there to be seen without a server.
  const unseen = new Set(judge(old, observed).flatMap(({ ok, id }) => (ok ? [] : [id])));
  const verdicts = judge(now, observed).filter(
    // The workers make a consumer that is missing when they start, and put its limit in flight right.
    ({ ok, id }) => !ok && !unseen.has(id) && id !== "consumer-exists" && id !== "consumer-max-ack-pending",
  );
  const broken: BrokenRule[] = verdicts.map(({ id, severity, found, expected, rule }) => ({
    rule: id,
    checks: rule.checks,
    severity,
    found,
    expected,
    why: rule.why,
  }));
  return {
    changes,
    broken,
    mend:
      broken.length > 0
        ? mendingCommands(
            now,
            verdicts.map(({ mend }) => mend),
          )
        : [],
  };
}
