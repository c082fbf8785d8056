import type { StreamInfo } from "nats";
import { allAtOnce, isThereAlready } from "./at-once";
import { checkWith, observe, retrying, type ContractReport, type Remembered } from "./check";
import type { Deadline } from "./deadline";
import { ConnectError } from "./errors";
import { STREAM } from "./facts";
import { openSession } from "./nats/connect";
import { bucketConfig, consumerConfig, streamConfig } from "./desired";
import { consumerTerms, type ContractInputs } from "./inputs";
import { contractMessage } from "./message";
import { WINDOW_LIMITED } from "./rules/account";
import { breaks, checkName, evaluateRules, type Observed, type RuleResult } from "./rules";
import { list, lockStream, type Ensured } from "./rules/rule";
import type { Inquiry, Session } from "./nats/session";
import { bucketStream } from "./buckets";
import { bucketsOf } from "./rules/gateway";

/** One request to the JetStream API. */
export interface Change {
  /** What it does, in words. */
  readonly does: string;
  /** Subject after `$JS.API.`. */
  readonly subject: string;
  readonly body: object;
  /** What it makes where nothing is, of that which NoETL or its gateway makes; undefined for any other change. */
  readonly creates?: Creation;
  /** The same without a duplicate window, which a limit of the server may refuse; null where nothing else changes. */
  readonly withoutWindow?: Change | null;
}

/** A thing that NoETL or its gateway makes itself where it finds none. */
export interface Creation {
  readonly kind: "stream" | "consumer" | "bucket";
  readonly name: string;
}

/** What `ensure` is about to do, and what it will not. */
export interface EnsurePlan {
  readonly changes: readonly Change[];
  /** Broken rules that would need something recreated, or a decision that is not ours. */
  readonly refused: readonly RuleResult[];
}

/** The fields of a patch that change, `max_age 60000000000 -> 3600000000000` each. */
function described(config: object, patch: object): string {
  const before = config as Record<string, unknown>;
  const show = (value: unknown): string => (value === undefined ? "unset" : JSON.stringify(value));
  return Object.entries(patch)
    .filter(([field, value]) => show(before[field]) !== show(value))
    .map(([field, value]) => `${field} ${show(before[field])} -> ${show(value)}`)
    .join(", ");
}

/** What the broken rules ask for, by what it is done to. */
interface Wishes {
  readonly createsStream: boolean;
  /** Fields of the stream that change. */
  readonly stream: object;
  /** Consumers that are made, that are resumed, and fields that change, by name. */
  readonly createsConsumers: readonly string[];
  readonly resumes: readonly string[];
  readonly consumers: ReadonlyMap<string, object>;
  readonly createsBuckets: readonly string[];
  readonly buckets: ReadonlyMap<string, object>;
  readonly stores: ReadonlyMap<string, object>;
  readonly declared: readonly Change[];
  readonly refused: readonly RuleResult[];
}

type Action = RuleResult["ensure"];

/** What loses nothing and is nobody's decision; anything else is refused. */
const LOSSLESS: readonly Action["action"][] = [
  "create-stream",
  "create-consumer",
  "create-bucket",
  "edit-stream",
  "edit-consumer",
  "edit-bucket",
  "edit-store",
  "resume-consumer",
  "declared",
];

function wishesOf(broken: readonly RuleResult[], firstConsumer: string): Wishes {
  const of = <A extends Action["action"]>(action: A) =>
    broken.flatMap(({ ensure }) => (ensure.action === action ? [ensure as Extract<Action, { action: A }>] : []));
  const consumer = (name: string | undefined): string => name ?? firstConsumer;
  return {
    createsStream: of("create-stream").length > 0,
    stream: Object.assign({}, ...of("edit-stream").map(({ patch }) => patch)) as object,
    createsConsumers: of("create-consumer").map((each) => consumer(each.consumer)),
    resumes: of("resume-consumer").map((each) => consumer(each.consumer)),
    consumers: joined(of("edit-consumer").map((each) => [consumer(each.consumer), each.patch])),
    // Two rules may ask for it.
    createsBuckets: [...new Set(of("create-bucket").map(({ bucket }) => bucket))],
    buckets: joined(of("edit-bucket").map(({ bucket, patch }) => [bucket, patch])),
    stores: joined(of("edit-store").map(({ store, patch }) => [store, patch])),
    declared: of("declared").flatMap(({ changes }) => changes),
    refused: broken.filter(({ ensure }) => !LOSSLESS.includes(ensure.action)),
  };
}

/** The patches of each name in one. */
function joined(patches: readonly (readonly [string, object])[]): Map<string, object> {
  const found = new Map<string, object>();
  for (const [name, patch] of patches) found.set(name, { ...found.get(name), ...patch });
  return found;
}

/** What has to be done so that the contract holds, without losing anything: nothing is ever removed, recreated or shortened. */
export function ensurePlan(inputs: ContractInputs, observed: Observed): EnsurePlan {
  const broken = evaluateRules(inputs, observed).filter(({ ok }) => !ok);
  const wishes = wishesOf(broken, consumerTerms(inputs)[0]?.name ?? inputs.consumer);
  const { declared, refused } = wishes;
  if (inputs.declaredOnly) return { changes: declared, refused };
  const changes = [
    ...newBuckets(inputs, wishes),
    ...edits(inputs, observed, wishes),
    // The stream comes before its consumers, and all of NoETL's before what is declared, which may be a consumer of its stream.
    ...(wishes.createsStream ? [newStream(inputs)] : []),
    ...consumerChanges(inputs, observed, wishes),
    ...declared,
  ];
  return { changes, refused };
}

const newBuckets = (inputs: ContractInputs, { createsBuckets }: Wishes): Change[] =>
  bucketsOf(inputs)
    .filter(({ name }) => createsBuckets.includes(name))
    .map((bucket) => {
      // The server's own is the same, and no longer than its limit.
      const { duplicate_window: _window, ...config } = bucketConfig(bucket, inputs.expect.replicas);
      return {
        does: `create bucket ${bucket.name}`,
        subject: `STREAM.CREATE.${bucketStream(bucket.name)}`,
        body: config,
        creates: { kind: "bucket", name: bucket.name },
      };
    });

function newStream(inputs: ContractInputs): Change {
  const { duplicate_window: window, ...config } = streamConfig(inputs);
  // A server with a limit below its own default takes it where nobody names one, as NoETL does not.
  const isDefault = inputs.expect.duplicateWindowSeconds === STREAM.duplicateWindowSeconds;
  return {
    does: `create stream ${inputs.stream}`,
    subject: `STREAM.CREATE.${inputs.stream}`,
    body: isDefault ? config : { ...config, duplicate_window: window },
    creates: { kind: "stream", name: inputs.stream },
  };
}

/** Updates of the stream, of buckets and of NoETL's own stores. */
function edits({ stream }: ContractInputs, observed: Observed, wishes: Wishes): Change[] {
  const edit = (what: string, info: Pick<StreamInfo, "config"> | undefined, patch: object): Change[] => {
    if (!info || Object.keys(patch).length === 0) return [];
    const { config } = info;
    const does = `update ${what}: ${described(config, patch)}`;
    const change: Change = { does, subject: `STREAM.UPDATE.${config.name}`, body: { ...config, ...patch } };
    if (!("duplicate_window" in patch)) return [change];
    const { duplicate_window: _window, ...others } = patch;
    return [{ ...change, withoutWindow: edit(what, info, others)[0] ?? null }];
  };
  return [
    ...edit(`stream ${stream}`, observed.stream, wishes.stream),
    ...[...wishes.buckets].flatMap(([bucket, patch]) => edit(`bucket ${bucket}`, observed.buckets?.[bucket], patch)),
    ...[...wishes.stores].flatMap(([store, patch]) => edit(`stream ${store}`, observed.stores?.[store], patch)),
  ];
}

/** A server from 2.10 on does not change a consumer then that somebody else has made meanwhile. */
const CREATE_ONLY = { action: "create" };

/** Consumers that are made, updated or resumed, one after the other. */
function consumerChanges(inputs: ContractInputs, observed: Observed, wishes: Wishes): Change[] {
  const { stream } = inputs;
  const infoOf = (name: string) => (observed.consumers ? observed.consumers[name] : observed.consumer);
  return consumerTerms(inputs).flatMap((item) => {
    const { name } = item;
    const patch = wishes.consumers.get(name);
    const config = infoOf(name)?.config;
    const write = (does: string, config: object, only: object = {}): Change => ({
      does,
      subject: `CONSUMER.DURABLE.CREATE.${stream}.${name}`,
      body: { stream_name: stream, config, ...only },
    });
    const changes: Change[] = [];
    // Without a stream no rule about its consumers is asked.
    if (wishes.createsStream || wishes.createsConsumers.includes(name)) {
      const create = write(`create consumer ${name}`, consumerConfig(inputs, item), CREATE_ONLY);
      changes.push({ ...create, creates: { kind: "consumer", name } });
    } else if (config && patch) {
      changes.push(write(`update consumer ${name}: ${described(config, patch)}`, { ...config, ...patch }));
    }
    if (wishes.resumes.includes(name)) {
      changes.push({ does: `resume consumer ${name}`, subject: `CONSUMER.PAUSE.${stream}.${name}`, body: {} });
    }
    return changes;
  });
}

/** What a run of mode `ensure` with these inputs left behind, where it held; a later one may take that back. */
export function ensuredBy(inputs: ContractInputs): Ensured {
  const { expect } = inputs;
  return {
    maxAgeSeconds: expect.maxAgeSeconds,
    ackWaitSeconds: Object.fromEntries(
      consumerTerms(inputs).map(({ name, ackWaitSeconds }) => [name, ackWaitSeconds ?? expect.ackWaitSeconds]),
    ),
    ttlSeconds: Object.fromEntries(bucketsOf(inputs).map(({ name, ttlSeconds }) => [name, ttlSeconds])),
  };
}

/** A report, and what was done before it. */
export interface EnsureReport extends ContractReport {
  /** What was created, updated or resumed, in order; empty where nothing was to do. */
  readonly changes: readonly string[];
}

/**
 * Nothing was changed, because something would have to be recreated, or taken back from whoever set it, or is more than this
 * server has. Its message says what, why, and how.
 */
export class EnsureRefused extends Error {
  override readonly name = "EnsureRefused";
}

/**
 * Makes the contract hold where that loses nothing, and checks it: creates stream, consumer and buckets that are missing
 * and updates what NATS lets one update. For use before NoETL starts.
 *
 * A filter of a consumer is never removed or widened; a time to acknowledge, the age of a stream and the life of a bucket's
 * entries are made longer, and shorter only where they are what an earlier run left behind ({@link Remembered.ensured}).
 *
 * @throws EnsureRefused where a violation (with `strict` any difference) would need something recreated; nothing is
 * changed then. ConnectError where NATS could not be asked, or refused a change; run again, it goes on from there.
 */
export async function ensureContract(inputs: ContractInputs, remembered: Remembered = {}): Promise<EnsureReport> {
  const done: string[] = [];
  const before: Before = { remembered, done, unanswered: [], overtaken: 0 };
  return retrying(inputs, async (deadline) => {
    const session = await openSession(inputs, deadline);
    try {
      await change({ session, inputs, deadline }, before);
      return { ...(await checkWith({ session, inputs, deadline }, true, remembered)), changes: done };
    } finally {
      await session.close();
    }
  });
}

interface Before {
  readonly remembered: Remembered;
  /** What has been done, by earlier tries too; added to as it is. */
  readonly done: string[];
  /** What was asked for and not answered: done where the next try finds that it is not needed any more. */
  unanswered: readonly string[];
  /** How often somebody else was faster. */
  overtaken: number;
}

const MOST_OVERTAKEN = 3;

async function change({ session, inputs, deadline }: Inquiry, before: Before): Promise<void> {
  const { remembered, done, unanswered } = before;
  const { observed } = await observe({ session, inputs, deadline }, remembered);
  const { changes, refused } = ensurePlan(inputs, observed);
  done.push(...unanswered.filter((each) => !changes.some(({ does }) => does === each)));
  before.unanswered = [];
  const forbids = refused.filter(breaks(inputs));
  if (forbids.length > 0) {
    const what = `${list(forbids.map(checkName))} ${forbids.length === 1 ? "needs" : "need"}`;
    throw new EnsureRefused(
      `Nothing ${done.length === 0 ? "" : `after ${list(done)} `}was changed: ${what} a decision. Mode ensure never removes or recreates anything by itself, and takes nothing back ` +
        `that somebody else set.\n${contractMessage(inputs, refused, { session, observed })}`,
    );
  }
  if (changes.length > 0 && (await isRepaired({ session, inputs, deadline }))) {
    // It ends, or its hold does, and what is to be done then is another thing.
    if (deadline.remaining() <= REPAIR_PAUSE_MILLISECONDS) throw new EnsureRefused(repairWords(inputs, done));
    await deadline.pause(REPAIR_PAUSE_MILLISECONDS);
    return change({ session, inputs, deadline }, before);
  }
  // What is to be done about what somebody else has made meanwhile is another thing.
  if (!(await carryOut({ session, inputs, deadline }, changes, before))) {
    return change({ session, inputs, deadline }, before);
  }
}

/** @returns false where somebody else was faster: a guard, or NoETL as it starts. */
async function carryOut(inquiry: Inquiry, changes: readonly Change[], before: Before): Promise<boolean> {
  const did = new Map<Change, string>();
  try {
    for (const group of inquiry.session.clustered ? changes.map((each) => [each]) : together(changes)) {
      await applyAll(inquiry, group, { before, did });
    }
    return true;
  } catch (error) {
    if (!isThereAlready(error) || ++before.overtaken > MOST_OVERTAKEN) throw error;
    before.unanswered = [];
    return false;
  } finally {
    before.done.push(...changes.flatMap((each) => did.get(each) ?? []));
  }
}

/** Changes in groups that are asked for at once: a stream that is made comes with its consumers, all else is a group of its own. */
function together(changes: readonly Change[]): Change[][] {
  const groups: Change[][] = [];
  for (const each of changes) {
    const own = groups.find(([{ subject } = each]) => isFirstOf(subject, each));
    if (own) own.push(each);
    else groups.push([each]);
  }
  return groups;
}

const isFirstOf = (subject: string, { subject: other }: Change): boolean =>
  subject.startsWith(STREAM_CREATE) &&
  other.startsWith(`CONSUMER.DURABLE.CREATE.${subject.slice(STREAM_CREATE.length)}.`);

const STREAM_CREATE = "STREAM.CREATE.";

/** What has been done of some changes, in words. */
interface Doing {
  readonly before: Before;
  readonly did: Map<Change, string>;
}

/** Does all of a group, whichever of it fails.  @throws the first error. */
async function applyAll(
  { session, deadline }: Inquiry,
  group: readonly Change[],
  { before, did }: Doing,
): Promise<void> {
  const failures: unknown[] = [];
  before.unanswered = group.map(({ does }) => does);
  const asked = allAtOnce(group, (each) => apply(session, each, deadline), true);
  for (const [index, each] of group.entries()) {
    try {
      const applied = await asked[index]?.();
      before.unanswered = before.unanswered.filter((does) => does !== each.does);
      if (applied) did.set(each, applied.does);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** How often it is looked whether a repair has ended, in milliseconds. */
const REPAIR_PAUSE_MILLISECONDS = 1_000;

/** Whether somebody repairs the stream: what is missing then is about to be made, at the place that it had. */
async function isRepaired({ session, inputs, deadline }: Inquiry): Promise<boolean> {
  if (inputs.declaredOnly) return false;
  try {
    return ((await session.streamInfo(lockStream(inputs.stream), deadline))?.state.messages ?? 0) > 0;
  } catch (error) {
    // A login that may not look at it has nothing to go by.
    if (error instanceof ConnectError && error.problem === "missing-permission") return false;
    throw error;
  }
}

const repairWords = ({ stream }: ContractInputs, done: readonly string[]): string =>
  `Nothing ${done.length === 0 ? "" : `more after ${list(done)} `}was changed: a repair of stream ${stream} is at work ` +
  `(stream ${lockStream(stream)} says whose). Wait until it has ended, and run the update again; the hold of one that was killed ends by itself within half a minute.`;

/** Does it, without the window where the server has a limit below it; gives what was done. */
async function apply(session: Session, change: Change, deadline: Deadline): Promise<Change | undefined> {
  const { does, subject, body, withoutWindow } = change;
  try {
    await session.change({ subject, body, what: `to ${does}` }, deadline);
    return change;
  } catch (error) {
    const isLimited = error instanceof ConnectError && error.message.includes(WINDOW_LIMITED);
    if (!isLimited || withoutWindow === undefined) throw error;
    return withoutWindow === null ? undefined : apply(session, withoutWindow, deadline);
  }
}
