/** What a repair is going to do, decided from what stands in NATS, and shown before anything is changed. */
import type { ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo } from "nats";
import { ensurePlan, type Change } from "../../../contract/ensure";
import { consumerTerms, publishedSubjects, type ContractInputs } from "../../../contract/inputs";
import { checkName, evaluateRules, type Observed, type RuleResult } from "../../../contract/rules";
import { holdingStream } from "../../../contract/rules/rule";
import { subjectsCover } from "../../../contract/subjects";
import { plural } from "../../../contract/wording";
import { capped, quoted } from "../text";
import { longer, outOfOrder, streamToMake, subjectIn } from "./consumers";
import type { Intent } from "./journal";
import { isFixed } from "./next-step";

/** What `--repair` is going to do. */
export interface RepairPlan {
  /** Rules that are broken and that this puts right. */
  readonly fixes: readonly RuleResult[];
  /** Violations that it does not put right. */
  readonly leaves: readonly RuleResult[];
  /** What has to be made new; undefined where nothing has. */
  readonly recreates?: "stream" | "consumer";
  /** Consumers that are made new, where the stream is not. */
  readonly renews: readonly string[];
  /** What is created or updated in place, without loss. */
  readonly changes: readonly Change[];
  readonly restarts: boolean;
  /** What making it new means for what is there; zero and empty where nothing is made new. */
  readonly impact: Impact;
  /** Why nothing can be done from here: another stream has the subject. */
  readonly blocked?: string;
}

interface Impact {
  readonly messages: number;
  readonly bytes: number;
  /** Messages that the workers' consumer had not acknowledged: they are delivered again. */
  readonly unacknowledged: number;
  /** Of these, delivered and being worked on: acknowledgements that are lost. */
  readonly inFlight: number;
  /** Messages that may be acknowledged although an older one is not: the server does not tell which. */
  readonly outOfOrder: number;
  /** Messages by subject that the new stream will not store; they stay in the backup. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Other consumers of the stream that come back with it, and those that go with the old one. */
  readonly comeBack: readonly string[];
  readonly goAway: readonly string[];
  /** Whether publishes are refused now, and will be until the new stream is there. */
  readonly refuses: boolean;
}

/** What only the server knows beyond what the rules look at. */
export interface Inventory {
  /** Messages by subject. */
  readonly subjects: Readonly<Record<string, number>>;
  readonly consumers: readonly ConsumerInfo[];
  /** Whether the login may listen on what is published, which is what catches it between two streams. */
  readonly listens: boolean;
  /** Streams that take from this one; none where the login may not ask. */
  readonly followers?: readonly Follower[];
}

/** A stream that takes what another one stores. */
export interface Follower {
  readonly name: string;
  readonly as: "mirror" | "source";
}

const NO_IMPACT: Impact = {
  messages: 0,
  bytes: 0,
  unacknowledged: 0,
  inFlight: 0,
  outOfOrder: 0,
  leftOut: {},
  comeBack: [],
  goAway: [],
  refuses: false,
};

/** The consumer that a result is about: where there are several it is named, else it is the contract's only one. */
const consumerOf = ({ consumer, object, rule }: RuleResult, inputs: ContractInputs): string =>
  consumer ?? (rule.about === "worker" ? object : undefined) ?? consumerTerms(inputs)[0]?.name ?? inputs.consumer;

/** Whether a broken rule asks for a filter to go that nobody but its maker can decide on. */
const widens = (result: RuleResult, inputs: ContractInputs): boolean => {
  const wanted = consumerTerms(inputs).find(({ name }) => name === consumerOf(result, inputs));
  return ["consumer-filter", "consumers-cover"].includes(result.id) && wanted?.filters === undefined;
};

/**
 * Decides what is to be done: nothing more than the broken rules need. What can be updated in place is; a stream or consumer
 * is made new only for a violation (with `strict` for any difference), and its other differences then go with it.
 */
export function planRepair(inputs: ContractInputs, observed: Observed, inventory: Inventory): RepairPlan {
  const broken = evaluateRules(inputs, observed).filter(({ ok }) => !ok);
  const pressing = broken.filter(({ severity }) => inputs.strict || severity === "violation");
  const blocked = blockedBy(inputs, observed, pressing);
  const able = pressing.filter((result) => !widens(result, inputs));
  const wants = (action: string): RuleResult[] => able.filter(({ fix }) => fix.action === action);
  const renews = [...new Set(wants("recreate-consumer").map((result) => consumerOf(result, inputs)))];
  const recreates = wants("recreate-stream").length > 0 ? "stream" : renews.length > 0 ? "consumer" : undefined;
  const { changes, refused } = ensurePlan(inputs, observed);
  const isRefused = (result: RuleResult): boolean => refused.some((each) => checkName(each) === checkName(result));
  /** What is made new needs no update, and the contract's own configuration leaves nothing to put right in it. */
  const replaced = (result: RuleResult): boolean =>
    !widens(result, inputs) &&
    ((recreates === "stream" && (result.rule.about === "stream" || result.rule.about === "consumer")) ||
      (recreates === "consumer" && result.rule.about === "consumer" && renews.includes(consumerOf(result, inputs))));
  const harmless = changes.flatMap((change) => withoutLoss(change, observed));
  const fixes = broken.filter((result) => replaced(result) || (!widens(result, inputs) && !isRefused(result)));
  const remaining = harmless.filter(({ subject }) => !isReplaced(subject, inputs, { recreates, renews }));
  return {
    fixes,
    leaves: pressing.filter((result) => !fixes.includes(result)),
    recreates,
    renews: recreates === "consumer" ? renews : [],
    changes: remaining,
    restarts:
      recreates !== undefined ||
      fixes.some(({ severity, fix }) => severity === "violation" || /^restart-/.test(fix.action)),
    impact: recreates ? impactOf(inputs, { ...observed, ...inventory }, recreates) : NO_IMPACT,
    blocked,
  };
}

/** Whether the stream takes all that NoETL publishes. */
const listensOnAll = ({ config }: Pick<StreamInfo, "config">, inputs: ContractInputs): boolean =>
  publishedSubjects(inputs).every((subject) => subjectsCover(config.subjects ?? [], subject));

/** The reason why no stream of the contract can have the subject; undefined where it can. */
function blockedBy(inputs: ContractInputs, observed: Observed, pressing: readonly RuleResult[]): string | undefined {
  const others = observed.overlapping ?? [];
  const needsSubject =
    !observed.stream ||
    !listensOnAll(observed.stream, inputs) ||
    pressing.some(({ fix }) => fix.action === "recreate-stream");
  if (others.length === 0 || !needsSubject) return undefined;
  const { stream, subject } = inputs;
  const holders = others.join(", ");
  const other = quoted(others[0] ?? "");
  return (
    `stream ${holders} has the subject ${subject}, and NATS lets no second stream have it (10065): ${stream} cannot take ` +
    `it, and --repair does not touch another stream. Where ${holders} is this NoETL's stream under its former name, set ` +
    `natsStream back to it (pulumi config set natsStream ${other}); where it is left over, take what is in it and ` +
    `remove it (nats stream rm ${other}); else take the subject from it (nats stream edit ${other} --subjects ` +
    "...). Then run the same command again. Nothing was changed"
  );
}

/**
 * A change without what repair must not do to a setting that it did not make: remove or widen a filter, lower the time to
 * acknowledge, shorten an age. Nothing where nothing else is left of it.
 */
export function withoutLoss(change: Change, { stream, consumer, consumers }: Observed): Change[] {
  const own = consumers ? Object.values(consumers) : [consumer];
  const info = own.find((each) => each && change.subject.endsWith(`.${each.stream_name}.${each.name}`));
  if (info && change.subject.startsWith("CONSUMER.DURABLE.CREATE.")) {
    const old = info.config;
    const body = change.body as { config: Partial<ConsumerConfig> };
    const config = {
      ...body.config,
      filter_subject: old.filter_subject,
      filter_subjects: old.filter_subjects,
      ack_wait: Math.max(body.config.ack_wait ?? 0, old.ack_wait ?? 0),
    };
    return unlessSame(change, old, { config, body: { ...body, config } });
  }
  if (stream && change.subject === `STREAM.UPDATE.${stream.config.name}`) {
    const body = change.body as Partial<StreamConfig>;
    const config = { ...body, max_age: longer(body.max_age ?? 0, stream.config.max_age) };
    return unlessSame(change, stream.config, { config, body: config });
  }
  return [change];
}

function unlessSame(change: Change, old: object, { config, body }: { config: object; body: object }): Change[] {
  const before = old as Record<string, unknown>;
  const differs = Object.entries(config).filter(
    ([key, value]) => JSON.stringify(before[key]) !== JSON.stringify(value),
  );
  const gone = Object.keys(old).filter(
    (key) => !(key in config) || (config as Record<string, unknown>)[key] === undefined,
  );
  if (differs.length === 0 && gone.every((key) => before[key] === undefined)) return [];
  const kept = [...differs.map(([key]) => key), ...gone];
  const parts = change.does.replace(/^[^:]*: /, "").split(", ");
  const left = parts.filter((part) => kept.some((key) => part.startsWith(`${key} `)));
  return [{ ...change, does: `${/^[^:]*/.exec(change.does)?.[0]}: ${left.join(", ")}`, body }];
}

/** Whether a change is about what is made new anyway. */
function isReplaced(
  subject: string,
  inputs: ContractInputs,
  { recreates, renews }: Pick<RepairPlan, "recreates" | "renews">,
): boolean {
  const { stream } = inputs;
  const [kind] = subject.split(".");
  if (recreates === undefined) return false;
  if (kind === "CONSUMER") {
    return recreates === "stream"
      ? subject.includes(`.${stream}.`)
      : renews.some((name) => subject.endsWith(`.${stream}.${name}`));
  }
  return recreates === "stream" && subject.endsWith(`.${stream}`);
}

function impactOf(
  inputs: ContractInputs,
  { stream, consumer, subjects, consumers }: Pick<Observed, "stream" | "consumer"> & Inventory,
  recreates: "stream" | "consumer",
): Impact {
  const messages = stream?.state.messages ?? 0;
  const target = streamToMake(inputs, stream?.config ?? {});
  const isStored = (subject: string): boolean =>
    recreates === "consumer" || subjectsCover(target.subjects, subjectIn(target, stream?.config ?? {}, subject));
  const names = consumerTerms(inputs).map(({ name }) => name);
  const others = consumers.filter(({ name }) => !names.includes(name));
  const comesBack = ({ config }: ConsumerInfo): boolean => Boolean(config.durable_name);
  const found = consumers.filter(({ name }) => names.includes(name));
  const own = found.length === 0 && consumer ? [consumer] : found;
  const sum = (count: (info: ConsumerInfo) => number): number => own.reduce((total, info) => total + count(info), 0);
  const isComplete = own.length === names.length;
  return {
    messages,
    bytes: stream?.state.bytes ?? 0,
    unacknowledged: isComplete ? sum((info) => info.num_pending + info.num_ack_pending) : messages,
    inFlight: sum((info) => info.num_ack_pending),
    outOfOrder: String(stream?.config.retention) === "limits" ? sum(outOfOrder) : 0,
    leftOut: Object.fromEntries(Object.entries(subjects).filter(([subject]) => !isStored(subject))),
    comeBack: others.filter(comesBack).map(({ name }) => name),
    goAway: recreates === "stream" ? others.filter((info) => !comesBack(info)).map(({ name }) => name) : [],
    refuses: stream !== undefined && (isFixed(stream) || !listensOnAll(stream, inputs)),
  };
}

/** Whether there is anything to do. */
export const isEmpty = ({ recreates, changes, restarts }: RepairPlan): boolean =>
  recreates === undefined && changes.length === 0 && !restarts;

/** Where the backup goes, what is made, and what the server has. */
interface Known {
  readonly folder: string;
  readonly target: Partial<StreamConfig>;
  readonly inventory: Inventory;
}

/** What a handover of subjects leaves open. */
const INSTANT =
  "only killed in that instant, about a millisecond, it would leave a publish of the instant without an answer";

/** How long an election takes after a server has ended without a word. Measured: docs/availability.md. */
const ELECTION = "4 to 9 seconds";

/** The steps in words, in their order. */
function stepsOf(plan: RepairPlan, inputs: ContractInputs, { folder, target, inventory }: Known): string[] {
  const { recreates, changes, restarts, impact, renews } = plan;
  const { stream, noetl } = inputs;
  const leftOut = Object.values(impact.leftOut).reduce((sum, count) => sum + count, 0);
  const writtenBack = Math.max(0, impact.messages - leftOut);
  const names = [...consumerTerms(inputs).map(({ name }) => name), ...impact.comeBack];
  const age = (target.max_age ?? 0) / 1e9;
  const withoutGap = inventory.listens ? `, so that no publish is refused; ${INSTANT}` : "";
  return [
    ...(recreates === "stream"
      ? [
          `first handover: stream ${holdingStream(stream)} takes what is published${withoutGap}`,
          `back up ${plural(impact.messages, "message")} (${impact.bytes} bytes) to ${folder}`,
          `remove stream ${stream} and create it as NoETL does: ${target.retention}, ${target.storage}, ` +
            `max_age ${age === 0 ? "unlimited" : `${age} s`}, subjects ${target.subjects?.join(", ")}, with ` +
            `${names.length === 1 ? "its consumer" : "its consumers"} ${names.join(", ")}`,
          ...(writtenBack > 0
            ? [`write ${plural(writtenBack, "message")} back, ${impact.unacknowledged} of them for the workers to take`]
            : []),
          `second handover: the new stream ${stream} takes what is published, and what was published meanwhile${withoutGap}`,
          `remove stream ${holdingStream(stream)}, which is empty then`,
        ]
      : []),
    ...(recreates === "consumer"
      ? [
          ...renews.map((name) => `remove consumer ${name} and create it as NoETL's worker does`),
          ...(impact.unacknowledged > 0
            ? [`publish the ${plural(impact.unacknowledged, "message")} again that no worker has acknowledged`]
            : []),
        ]
      : []),
    ...changes.map(({ does }) => does),
    ...(restarts
      ? [`restart ${noetl.serverDeployment} and ${noetl.workerDeployment}, and wait until the contract holds`]
      : ["wait until the contract holds"]),
  ];
}

/** What is lost by it, in words; empty where nothing is. */
function lossesOf(
  { recreates, impact }: RepairPlan,
  { inventory: { listens, followers = [] }, target }: Known,
): string[] {
  const refusals = "NoETL refuses to have one claimed twice";
  return [
    ...(impact.inFlight > 0
      ? [`${plural(impact.inFlight, "acknowledgement")} under way: these commands are delivered again, and ${refusals}`]
      : []),
    ...(impact.outOfOrder > 0
      ? [
          `up to ${plural(impact.outOfOrder, "acknowledgement")} of commands behind an older one that is not acknowledged: ` +
            `NATS does not tell which, so they are delivered again, and ${refusals}`,
        ]
      : []),
    ...capped(
      Object.entries(impact.leftOut),
      ([subject, count]) =>
        `${plural(count, "message")} on ${subject}, which the new stream does not store: kept in the backup only`,
    ),
    ...(recreates === "stream" ? followers.map(followerWords) : []),
    ...impact.goAway.map((name) => `consumer ${name}, which is not durable: whoever uses it must make it again`),
    ...(recreates === "consumer" && impact.comeBack.length > 0 && impact.unacknowledged > 0
      ? [`messages that are published again reach consumer ${impact.comeBack.join(", ")} a second time`]
      : []),
    ...(recreates === "stream" && impact.messages > 0
      ? ["the time of each message: max_age counts from now on again"]
      : []),
    ...(recreates === "stream" && impact.refuses
      ? ["every publish is refused now, and will be until the holding stream is there, which is the first step"]
      : []),
    ...(recreates === "stream" && !impact.refuses && !listens
      ? [
          "this login may not listen on the subject: a publish in the moment between two streams (twice, well below a " +
            "millisecond) is refused",
        ]
      : []),
    ...(recreates === "stream" && (target.num_replicas ?? 1) > 1
      ? [
          "where a server of the cluster ends meanwhile, NATS refuses what is published until the stream has another leader, " +
            `${ELECTION}, as it does without a repair; the repair then goes on when it is run again`,
        ]
      : []),
  ];
}

/** A new stream counts from 1 again, and holds what is written back as if it were new. */
const followerWords = ({ name, as }: Follower): string =>
  as === "mirror"
    ? `stream ${name} mirrors it and goes on by number: it lacks what the new stream stores below the number that it has come to. ` +
      "Remove it and make it again when the repair is done"
    : `stream ${name} takes from it, and gets once more what is written back`;

/** What the user is asked about a plan. */
export function intentOf(plan: RepairPlan, inputs: ContractInputs, known: Known): Intent {
  const describe = (result: RuleResult): string => {
    const { found, expected } = result;
    const kept = widens(result, inputs) ? "; a filter is never removed or widened from here" : "";
    return `${checkName(result)}: found ${found}, expected ${expected}${kept}`;
  };
  return {
    broken: plan.fixes.map(describe),
    steps: stepsOf(plan, inputs, known),
    losses: lossesOf(plan, known),
    leaves: plan.leaves.map(describe),
  };
}
