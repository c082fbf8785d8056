import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerInfo, StreamInfo } from "nats";
import { observe } from "../../contract/check";
import { openSession } from "../../contract/nats/connect";
import { Deadline } from "../../contract/deadline";
import { ConnectError } from "../../contract/errors";
import type { ContractInputs } from "../../contract/inputs";
import { commandLosses, fixCommands } from "../../contract/message";
import { toSeconds } from "../../contract/rules/rule";
import { checkName, evaluateRules, type Observed, type RuleResult } from "../../contract/rules";
import type { Session } from "../../contract/nats/session";
import type { CheckFacts, ConsumerFacts, NatsFacts, RepairFacts, StreamFacts } from "./evidence";
import { CommandError } from "../shared/exit";
import { consumersOf } from "./repair/consumers";
import { holdingStream, noteOf, type Note } from "./repair/holding";
import { FROZEN_SUBJECT } from "./repair/journal";
import { refuseWhereHeld } from "./repair/lock";
import { planRepair } from "./repair/plan";
import type { Slowness } from "./slowness";

/**
 * Longest way to NATS, and longest round of questions, in milliseconds. Every step of them has a deadline of its own, which
 * begins when it does (`Deadline.step`): these two only end what would otherwise add up.
 */
const WAY_MILLISECONDS = 40_000;
const QUESTIONS_MILLISECONDS = 40_000;

/**
 * What NATS says about the stream, its consumers and the contract. Looks once: nothing is waited for that a deployment
 * may still be about to create.
 *
 * @param works Whether workers fetch from the consumers. Default: true.
 * @throws ConnectError where NATS could not be asked.
 */
export async function readNats(inputs: ContractInputs, slowness: Slowness, works = true): Promise<NatsFacts> {
  const session = await slowness.watch("the way to NATS", () => openSession(inputs, new Deadline(WAY_MILLISECONDS)));
  try {
    const deadline = new Deadline(QUESTIONS_MILLISECONDS);
    const [{ observed, skippedRules }, repair] = await slowness.watch("NATS's answers", () =>
      Promise.all([observe({ session, inputs, deadline }), repairFacts(session, inputs.stream, deadline)]),
    );
    const look = (known: ConsumerInfo | undefined) => consumersOf(session, inputs.stream, known);
    let consumers = observed.stream ? await look(observed.consumer) : [];
    // A worker has no fetch at the server between two of them, so that none counts as found when looked again.
    for (let again = 1; works && again < FETCH_LOOKS && consumers.length > 0 && consumers.every(isQuiet); again++) {
      await sleep(FETCH_GAP_MILLISECONDS);
      const { consumer } = observed;
      consumers = await look(consumer && (await session.consumerInfo(inputs.stream, consumer.name, deadline)));
    }
    return {
      server: session.server,
      serverVersion: session.serverVersion,
      ...timeOf(observed.stream),
      stream: observed.stream ? streamFacts(observed.stream) : undefined,
      consumers: consumers.map(consumerFacts),
      buckets: Object.entries(observed.buckets ?? {}).map(([name, info]) => ({
        name,
        ttlSeconds: info ? toSeconds(info.config.max_age) : undefined,
      })),
      ...contractFacts(inputs, observed, repair),
      skippedRules: skippedRules.map(({ id, why }) => `${id}: ${why}`),
    };
  } finally {
    await session.close();
  }
}

/** Between two looks at consumers that nobody seems to fetch from, in milliseconds, and how often they are looked at. */
const FETCH_GAP_MILLISECONDS = 300;
const FETCH_LOOKS = 4;

const isQuiet = ({ num_waiting, num_ack_pending }: ConsumerInfo): boolean => num_waiting + num_ack_pending === 0;

/** What the rules say of what was observed, and what can be done about it. */
export function contractFacts(
  inputs: ContractInputs,
  observed: Observed,
  repair?: RepairFacts,
): Pick<NatsFacts, "checks" | "commands" | "losses" | "overlapping" | "blocked" | "repair"> {
  const results = evaluateRules(inputs, observed);
  const overlapping = (observed.overlapping ?? []).filter((name) => name !== repair?.holding?.name);
  // What would be lost is asked about by the repair itself.
  const inventory = { subjects: {}, consumers: [], listens: true };
  const plan = planRepair(inputs, observed.overlapping ? { ...observed, overlapping } : observed, inventory);
  const fixes = new Set(plan.fixes.map(checkName));
  const byHand = results.filter(({ ok }) => !ok).map(({ fix }) => fix);
  return {
    checks: results.map((result) => checkFacts(result, !result.ok && fixes.has(checkName(result)))),
    commands: fixCommands(inputs, byHand),
    losses: commandLosses(inputs, byHand, observed),
    overlapping,
    blocked: plan.blocked,
    repair,
  };
}

/** What a result says, whatever it names beside the rule: a bucket, a consumer. */
function checkFacts(
  { rule, fix, waits: _waits, ensure: _ensure, ...check }: RuleResult,
  repairable: boolean,
): CheckFacts {
  const advised = !check.ok && fix.action === "advise" ? fix : undefined;
  return {
    ...check,
    about: rule.about,
    why: rule.why,
    effect: rule.effect,
    advice: advised?.advice,
    ofUsers: advised?.ofUsers,
    repairable,
  };
}

/**
 * What a repair has left in NATS; undefined where nothing is left of one, or the login may not look. Streams of these
 * names that somebody else made are not a repair's.
 */
async function repairFacts(session: Session, stream: string, deadline: Deadline): Promise<RepairFacts | undefined> {
  const [holding, atWork] = await Promise.all([
    ifAllowed(() => session.streamInfo(holdingStream(stream), deadline)),
    ifAllowed(() => workerOf(session, stream)),
  ]);
  const note = noteOf(holding);
  if (atWork === undefined && (!holding || !isNote(note))) return undefined;
  return {
    atWork,
    holding: holding && isNote(note) ? holdingFacts(holding, note) : undefined,
  };
}

const isNote = (note: Partial<Note> | undefined): note is Note =>
  [note?.id, note?.host, note?.folder, note?.stack, note?.begun].every((each) => typeof each === "string");

const holdingFacts = ({ config, state }: StreamInfo, { host, folder, stack, begun }: Note) => ({
  name: config.name,
  takes: (config.subjects ?? []).filter((subject) => !subject.startsWith(FROZEN_SUBJECT)),
  messages: state.messages,
  host,
  folder,
  stack,
  begun,
});

/** Who holds the lock of a repair, in the words that a second repair is refused with. */
async function workerOf(session: Session, stream: string): Promise<string | undefined> {
  try {
    await refuseWhereHeld(session, stream);
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

/** What a login that may not look, or a server that does not answer, leaves unknown. */
async function ifAllowed<T>(question: () => Promise<T>): Promise<T | undefined> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}

/** The server's clock, which it gives with every stream's info since 2.10. */
function timeOf(stream: StreamInfo | undefined): Pick<NatsFacts, "now"> {
  const now = Date.parse(String((stream as { ts?: string } | undefined)?.ts));
  return Number.isNaN(now) ? {} : { now };
}

function streamFacts({ config, created, state }: StreamInfo): StreamFacts {
  return {
    name: config.name,
    created: String(created),
    subjects: [...(config.subjects ?? [])].sort(),
    retention: config.retention,
    storage: config.storage,
    maxAgeSeconds: toSeconds(config.max_age),
    replicas: config.num_replicas,
    messages: state.messages,
    bytes: state.bytes,
    lastMessageAt: state.last_seq > 0 ? Date.parse(String(state.last_ts)) : undefined,
  };
}

function consumerFacts(info: ConsumerInfo): ConsumerFacts {
  const { config } = info;
  return {
    name: info.name,
    durable: Boolean(config.durable_name),
    pull: !config.deliver_subject,
    ackPolicy: config.ack_policy,
    deliverPolicy: config.deliver_policy,
    filters: config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []),
    maxAckPending: config.max_ack_pending ?? 0,
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
    waiting: info.num_waiting,
  };
}
