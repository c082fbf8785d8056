import type { ConsumerInfo } from "nats";
import { ensurePlan, type Change } from "../../components/stream-contract/ensure";
import type { ContractInputs } from "../../components/stream-contract/inputs";
import { judge, type Observed, type Verdict } from "../../components/stream-contract/rules";
import { subjectsCover } from "../../components/stream-contract/subjects";
import { many } from "../../config/wording";

/** What `--repair` is going to do. */
export interface RepairPlan {
  /** Rules that are broken and that this mends. */
  readonly mends: readonly Verdict[];
  /** Violations that it cannot mend. */
  readonly leaves: readonly Verdict[];
  /** What has to be made anew; undefined where nothing has. */
  readonly recreates?: "stream" | "consumer";
  /** What is created or updated in place, without loss. */
  readonly changes: readonly Change[];
  readonly restarts: boolean;
  /** What making it anew means for what is there; zero and empty where nothing is made anew. */
  readonly stakes: {
    readonly messages: number;
    readonly bytes: number;
    /** Messages that the workers' consumer had not acknowledged: they are delivered again. */
    readonly unacknowledged: number;
    /** Of these, delivered and being worked on: acknowledgements that are lost. */
    readonly inFlight: number;
    /** Messages by subject that the new stream will not store; they stay in the backup. */
    readonly leftOut: Readonly<Record<string, number>>;
    /** Other consumers of the stream, which go with it. */
    readonly otherConsumers: readonly string[];
  };
}

/** What only the server knows beyond what the rules look at. */
export interface Holdings {
  /** Messages by subject. */
  readonly subjects: Readonly<Record<string, number>>;
  readonly consumers: readonly Pick<ConsumerInfo, "name">[];
}

const NO_STAKES: RepairPlan["stakes"] = {
  messages: 0,
  bytes: 0,
  unacknowledged: 0,
  inFlight: 0,
  leftOut: {},
  otherConsumers: [],
};

/**
 * Decides what is to be done: nothing more than the broken rules need. What can be updated in place is; a stream or consumer
 * is made anew only for a violation (with `strict` for any difference), and its other differences then go with it.
 */
export function planRepair(inputs: ContractInputs, observed: Observed, holdings: Holdings): RepairPlan {
  const broken = judge(inputs, observed).filter(({ ok }) => !ok);
  const pressing = broken.filter(({ severity }) => inputs.strict || severity === "violation");
  const wants = (action: string): boolean => pressing.some(({ mend }) => mend.action === action);
  const recreates = wants("recreate-stream") ? "stream" : wants("recreate-consumer") ? "consumer" : undefined;
  const { changes, refused } = ensurePlan(inputs, observed);
  /** What is made anew needs no update, and the contract's own configuration leaves nothing to mend in it. */
  const replaced = ({ rule }: Verdict): boolean =>
    (recreates === "stream" && (rule.about === "stream" || rule.about === "consumer")) ||
    (recreates === "consumer" && rule.about === "consumer");
  const mends = broken.filter((verdict) => replaced(verdict) || !refused.includes(verdict));
  const remaining = changes.filter(({ subject }) => !isReplaced(subject, inputs, recreates));
  return {
    mends,
    leaves: pressing.filter((verdict) => !mends.includes(verdict)),
    ...(recreates ? { recreates } : {}),
    changes: remaining,
    restarts:
      recreates !== undefined ||
      mends.some(({ severity, mend }) => severity === "violation" || /^restart-/.test(mend.action)),
    stakes: recreates ? stakesOf(inputs, observed, holdings, recreates) : NO_STAKES,
  };
}

/** Whether a change is about what is made anew anyway. */
function isReplaced(
  subject: string,
  { stream, consumer }: ContractInputs,
  recreates: RepairPlan["recreates"],
): boolean {
  const [kind] = subject.split(".");
  if (recreates === undefined) return false;
  if (kind === "CONSUMER") return subject.endsWith(`.${stream}.${consumer}`);
  return recreates === "stream" && subject.endsWith(`.${stream}`);
}

function stakesOf(
  inputs: ContractInputs,
  { stream, consumer }: Observed,
  { subjects, consumers }: Holdings,
  recreates: "stream" | "consumer",
): RepairPlan["stakes"] {
  const messages = stream?.state.messages ?? 0;
  const isStored = (subject: string): boolean => recreates === "consumer" || subjectsCover([inputs.subject], subject);
  return {
    messages,
    bytes: stream?.state.bytes ?? 0,
    unacknowledged: consumer ? consumer.num_pending + consumer.num_ack_pending : messages,
    inFlight: consumer?.num_ack_pending ?? 0,
    leftOut: Object.fromEntries(Object.entries(subjects).filter(([subject]) => !isStored(subject))),
    otherConsumers:
      recreates === "stream" ? consumers.map(({ name }) => name).filter((name) => name !== inputs.consumer) : [],
  };
}

/** Whether there is anything to do. */
export const isEmpty = ({ recreates, changes, restarts }: RepairPlan): boolean =>
  recreates === undefined && changes.length === 0 && !restarts;

/** The steps in words, in their order. */
export function stepsOf(plan: RepairPlan, inputs: ContractInputs, folder: string): string[] {
  const { recreates, changes, restarts, stakes } = plan;
  const { stream, consumer, expect, subject, noetl } = inputs;
  const leftOut = Object.values(stakes.leftOut).reduce((sum, count) => sum + count, 0);
  const writtenBack = Math.max(0, stakes.messages - leftOut);
  return [
    ...(recreates ? [`back up ${many(stakes.messages, "message")} (${stakes.bytes} bytes) to ${folder}`] : []),
    ...(recreates === "stream"
      ? [
          `remove stream ${stream} and create it as NoETL does: ${expect.retention}, ${expect.storage}, ` +
            `max_age ${expect.maxAgeSeconds} s, subjects ${subject}, with its consumer ${consumer}`,
          ...(writtenBack > 0
            ? [`write ${many(writtenBack, "message")} back, ${stakes.unacknowledged} of them for the workers to take`]
            : []),
        ]
      : []),
    ...(recreates === "consumer"
      ? [
          `remove consumer ${consumer} and create it as NoETL's worker does`,
          ...(stakes.unacknowledged > 0
            ? [`publish the ${many(stakes.unacknowledged, "message")} again that no worker has acknowledged`]
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
function lossesOf({ recreates, stakes }: RepairPlan, { consumer }: ContractInputs): string[] {
  return [
    ...(stakes.inFlight > 0
      ? [
          `${many(stakes.inFlight, "acknowledgement")} under way: these commands are delivered again, and NoETL refuses ` +
            "to have one claimed twice",
        ]
      : []),
    ...Object.entries(stakes.leftOut).map(
      ([subject, count]) =>
        `${many(count, "message")} on ${subject}, which the new stream does not store: kept in the backup only`,
    ),
    ...stakes.otherConsumers.map(
      (name) => `consumer ${name}, which is not ${consumer}: whoever uses it must make it anew`,
    ),
    ...(recreates === "stream" && stakes.messages > 0
      ? ["the time of each message: max_age counts from now on again"]
      : []),
  ];
}

/** What the user is asked about. */
export interface Intent {
  readonly broken: readonly string[];
  readonly steps: readonly string[];
  readonly losses: readonly string[];
  /** Violations that stay. */
  readonly leaves: readonly string[];
  /** Since when it has been interrupted, where it goes on. */
  readonly since?: string;
}

/** What the user is asked about a plan. */
export function intentOf(plan: RepairPlan, inputs: ContractInputs, folder: string): Intent {
  const describe = ({ id, bucket, found, expected }: RepairPlan["mends"][number]): string =>
    `${bucket === undefined ? id : `${id} of ${bucket}`}: found ${found}, expected ${expected}`;
  return {
    broken: plan.mends.map(describe),
    steps: stepsOf(plan, inputs, folder),
    losses: lossesOf(plan, inputs),
    leaves: plan.leaves.map(describe),
  };
}
