import type { ConsumerInfo, StreamInfo } from "nats";
import { consumerConfig, streamConfig } from "../../contract/desired";
import { consumerTerms, withDefaults, type ContractInputs } from "../../contract/inputs";
import type { ConsumerTerms } from "../../contract/lines";
import { fixCommands, inFlightCommand } from "../../contract/message";
import type { Found } from "../../contract/rules/rule";
import { evaluateRules, RULES, type Observed, type RuleResult } from "../../contract/rules";
import { subjectsCover, subjectsOverlap } from "../../contract/subjects";
import type { DeclaredResource } from "./evaluation";
import { unwrapSecrets } from "./outputs";
import type { ContractChange, ContractReport } from "./report";
import { sentence } from "./wording";

/** True for the resource that asserts the contract. */
export const isContract = (type: string): boolean => type.endsWith(":StreamContract");

/**
 * The contract that a side's program declares, defaults filled in; undefined where it declares none. Its mode is `ensure`
 * where one of the program's resources ensures it, although another asserts it afterwards.
 */
export function contractOf(resources: readonly DeclaredResource[]): ContractInputs | undefined {
  const declared = resources
    .filter(({ type }) => isContract(type))
    .map(({ inputs }) => {
      const { __provider: _code, ...own } = unwrapSecrets(inputs) as Record<string, unknown>;
      return withDefaults(own);
    });
  const asserted = declared.find(({ mode }) => mode === "assert");
  const ensured = declared.find(({ mode }) => mode === "ensure");
  return asserted && ensured ? { ...asserted, mode: "ensure" } : (asserted ?? ensured);
}

/** Stream and consumer as a NoETL that was set up by this contract leaves them on the server. */
export function leftBehind(contract: ContractInputs): Pick<Found, "stream" | "consumer"> {
  return { stream: { config: streamConfig(contract) } as StreamInfo, consumer: consumerLeft(contract) };
}

const consumerLeft = (contract: ContractInputs, terms?: ConsumerTerms): ConsumerInfo =>
  ({ name: terms?.name ?? contract.consumer, config: consumerConfig(contract, terms) }) as ConsumerInfo;

const whyOf = (id: string): string => RULES.find((rule) => rule.id === id)?.why ?? "";

/** The rules that stream and consumer of the old contract break under the new one, by name. */
type Broken = ReadonlyMap<string, RuleResult>;

/** A term of the contract: where it stands, and what its change does to a NoETL that runs. */
interface Term {
  readonly name: string;
  readonly value: (contract: ContractInputs) => string;
  readonly consequence: (change: TermChange) => string;
}

/** The contract before and after. */
interface TermChange {
  readonly old: ContractInputs;
  readonly now: ContractInputs;
  readonly broken: Broken;
  /** True where the update restarts NATS, which takes a stream in memory along. */
  readonly isRenewed: boolean;
}

const isEnsured = ({ mode }: ContractInputs): boolean => mode === "ensure";

/** True where mode `ensure` fixes a broken rule without removing or recreating anything. */
const isUpdatable = ({ ensure: { action } }: RuleResult): boolean => /^(create|edit|resume)-/.test(action);

/** True where a rule that mode `ensure` cannot fix fails the update. */
const isRefused = ({ rule }: RuleResult, now: ContractInputs): boolean =>
  rule.severity === "violation" || (now.strict && !rule.isEvent);

/** What mode `ensure` does about a rule that the change breaks; `what` is the stream or consumer with its name. */
function ensured(result: RuleResult | undefined, what: string, now: ContractInputs): string {
  if (!result) return `The existing ${what} is as it has to be.`;
  const why = whyOf(result.id);
  if (isUpdatable(result)) {
    return `The update changes the existing ${what} in place, before NoETL starts. It matters because ${why}.`;
  }
  const never = `the ${what} would have to be recreated, which mode ensure never does`;
  return isRefused(result, now)
    ? `The update fails before it changes anything: ${never}. It matters because ${why}.`
    : `The existing ${what} keeps the old value, and the update warns: ${never}. It matters because ${why}.`;
}

const seconds = (value: number): string => (value === 0 ? "unlimited" : `${value} s`);

/** Terms that are written into the stream or consumer only when it is created; the rule says which of them. */
const created = (name: string, rule: string, value: Term["value"]): Term => ({
  name,
  value,
  consequence: ({ old, now, broken, isRenewed }) => {
    const isConsumers = rule.startsWith("consumer-");
    const existing = isConsumers ? `consumer ${now.consumer}` : `stream ${now.stream}`;
    if (!isEnsured(now)) {
      return `The existing ${existing} keeps the old value until it is edited or recreated. It matters because ${whyOf(rule)}.`;
    }
    const isNew = isRenewed || old.stream !== now.stream || (isConsumers && old.consumer !== now.consumer);
    return isNew ? `The update creates ${existing} with it.` : ensured(broken.get(rule), existing, now);
  },
});

const TERMS: readonly Term[] = [
  {
    name: "mode",
    value: ({ mode }) => mode,
    consequence: ({ now }) =>
      isEnsured(now)
        ? "The update itself creates stream and consumer, and updates in place what NATS lets one update, before NoETL starts."
        : "The update only checks: stream and consumer are NoETL's own again, and drift waits for somebody to fix it.",
  },
  {
    name: "stream",
    value: ({ stream }) => stream,
    consequence: ({ old, now }) => {
      const left = `${old.stream} stays on the server with what is in it, and no worker takes commands from it any more.`;
      if (!subjectsOverlap(old.subject, now.subject)) {
        return isEnsured(now)
          ? `The update creates ${now.stream} before NoETL starts; ${left}`
          : `NoETL's server creates ${now.stream}; ${left}`;
      }
      const refused = `Stream ${old.stream} still holds ${old.subject}, and nats-server refuses a second stream on it (error 10065): `;
      return isEnsured(now)
        ? `${refused}the update fails before it changes anything, until ${old.stream} is removed or gives the subject up.`
        : `${refused}NoETL's server cannot create ${now.stream} until ${old.stream} is removed, and until then ${whyOf("stream-exists")}.`;
    },
  },
  {
    name: "subject",
    value: ({ subject }) => subject,
    consequence: ({ old, now, isRenewed }) => {
      if (old.stream !== now.stream) return `The new stream ${now.stream} is created with ${now.subject}.`;
      if (isRenewed) {
        return `NATS restarts in the same update, which takes stream ${now.stream} along: it is created with ${now.subject}.`;
      }
      if (subjectsCover([old.subject], now.subject)) return `Stream ${now.stream} covers it already.`;
      return isEnsured(now)
        ? `The update adds ${now.subject} to stream ${now.stream} in place, before NoETL starts.`
        : `Stream ${now.stream} exists and keeps its subject ${old.subject}, because NoETL uses an existing stream as it is. ` +
            `Until ${now.subject} is added to it, ${whyOf("stream-subjects")}.`;
    },
  },
  {
    name: "consumer",
    value: ({ consumer }) => consumer,
    consequence: ({ old, now }) =>
      `${isEnsured(now) ? `The update creates ${now.consumer} before NoETL starts` : `Workers create ${now.consumer}`}, which ` +
      `delivers new commands only: what ${old.consumer} has not delivered, or nobody has acknowledged, is not delivered ` +
      `again. ${old.consumer} stays on the server until it is removed.`,
  },
  created("retention", "stream-retention", ({ expect }) => expect.retention),
  created("storage", "stream-storage", ({ expect }) => expect.storage),
  created("max age", "stream-max-age", ({ expect }) => seconds(expect.maxAgeSeconds)),
  created("duplicate window", "stream-duplicates", ({ expect }) => seconds(expect.duplicateWindowSeconds)),
  created("replicas", "stream-replicas", ({ expect }) => String(expect.replicas)),
  created("ack policy", "consumer-ack-policy", ({ expect }) => expect.ackPolicy),
  created("deliver policy", "consumer-deliver-policy", ({ expect }) => expect.deliverPolicy),
  created("replay policy", "consumer-replay-policy", ({ expect }) => expect.replayPolicy),
  created("ack wait", "consumer-ack-wait", ({ expect }) => seconds(expect.ackWaitSeconds)),
  created("max deliver", "consumer-max-deliver", ({ worker }) => String(worker.maxDeliver)),
  {
    name: "max ack pending",
    value: ({ worker }) => String(worker.maxAckPending),
    consequence: ({ old, now, broken }) => {
      const what = `consumer ${now.consumer}`;
      if (!isEnsured(now)) {
        const edit = inFlightCommand("nats", { stream: now.stream, name: now.consumer }, now.worker.maxAckPending);
        return `${sentence(whyOf("consumer-max-ack-pending"))}. It stays where it is edited before the update: ${edit}.`;
      }
      return old.stream === now.stream && old.consumer === now.consumer
        ? ensured(broken.get("consumer-max-ack-pending"), what, now)
        : `The update creates ${what} with it.`;
    },
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
    consequence: ({ now }) =>
      now.strict ? "Drift fails the update from now on, not only violations." : "Drift only warns from now on.",
  },
];

/**
 * What changes between two contracts, and which rules the stream of the old one breaks under the new one. Where the new
 * one is ensured, only the rules that mode `ensure` cannot fix.
 *
 * @param losesMemory whether the update restarts the one NATS server that there is
 */
export function contractReport(
  old: ContractInputs | undefined,
  now: ContractInputs | undefined,
  { losesMemory = false }: { losesMemory?: boolean } = {},
): ContractReport {
  const nothing = { broken: [], fix: [], refused: false };
  if (!old || !now) {
    if (!old && !now) return { changes: [], ...nothing };
    const consequence = now
      ? "The update fails from now on where stream or consumer are not as NoETL needs them."
      : "Nobody notices any more when stream, consumer, credentials and application drift apart.";
    const change = (old ?? now) as ContractInputs;
    const text = `${change.stream}, ${change.subject}, ${change.consumer}`;
    return {
      changes: [{ term: "check", old: old ? text : "none", new: now ? text : "none", consequence }],
      ...nothing,
    };
  }
  // A stream in memory goes with the server that holds it, and is created by the new terms.
  const isRenewed = losesMemory && old.expect.storage === "memory";
  const results = old.stream === now.stream ? newlyBroken(isRenewed ? renewed(old, now) : old, now) : [];
  const broken: Broken = new Map(results.map((result) => [result.id, result]));
  const changes: ContractChange[] = TERMS.flatMap(({ name, value, consequence }) =>
    value(old) === value(now)
      ? []
      : [{ term: name, old: value(old), new: value(now), consequence: consequence({ old, now, broken, isRenewed }) }],
  );
  const left = results.filter((result) =>
    isEnsured(now)
      ? !isUpdatable(result)
      : // The workers make a consumer that is missing when they start, and put its limit in flight right.
        result.id !== "consumer-exists" && result.id !== "consumer-max-ack-pending",
  );
  if (changes.length === 0 || left.length === 0) return { changes, ...nothing };
  return {
    changes,
    broken: left.map(({ id, severity, found, expected, rule }) => ({
      rule: id,
      checks: rule.checks,
      severity,
      found,
      expected,
      why: rule.why,
    })),
    fix: fixCommands(
      now,
      left.map(({ fix }) => fix),
    ),
    refused: isEnsured(now) && left.some((result) => isRefused(result, now)),
  };
}

/**
 * The contract that a stream and consumer follow which are made new: the new one where the update itself creates them, else what
 * NoETL takes from its environment, and the rest as before.
 */
const renewed = (old: ContractInputs, now: ContractInputs): ContractInputs =>
  isEnsured(now) ? now : { ...old, subject: now.subject, consumer: now.consumer, worker: now.worker };

/** Rules that what the old contract left behind breaks under the new one. The stream has the same name in both. */
function newlyBroken(old: ContractInputs, now: ContractInputs): RuleResult[] {
  const { stream } = leftBehind(old);
  // Whoever has more consumers, such as one for each pool, makes those that are missing.
  const consumers: Observed["consumers"] = Object.fromEntries(
    consumerTerms(old).map((terms) => [terms.name, consumerLeft(old, terms)]),
  );
  const observed: Observed = { stream, consumer: consumers[now.consumer], consumers };
  // What the old contract would miss here as well is not there to be seen without a server.
  const unseen = new Set(evaluateRules(old, observed).flatMap(({ ok, id }) => (ok ? [] : [id])));
  return evaluateRules(now, observed).filter(({ ok, id }) => !ok && !unseen.has(id));
}
