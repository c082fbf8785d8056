/** Consumers of a stream that is made new: how they were, how they are made, and their place in it. */
import type { ConsumerConfig, ConsumerInfo, NatsError, StreamConfig } from "nats";
import { consumerConfig, streamConfig } from "../../../contract/desired";
import { Deadline } from "../../../contract/deadline";
import { ConnectError } from "../../../contract/errors";
import { consumerTerms, type ContractInputs } from "../../../contract/inputs";
import type { ConsumerTerms } from "../../../contract/lines";
import type { Session } from "../../../contract/nats/session";
import { publishedSubject, subjectsCover, subjectsOverlap } from "../../../contract/subjects";
import type { Place } from "./journal";
import { ask, handled, unanswered, type Answered } from "./messages";

/**
 * Every consumer of a stream; none where there is no such stream.
 *
 * @throws ConnectError where that is not known: what is left out here would go with the stream.
 */
export async function allConsumers(session: Session, stream: string): Promise<readonly ConsumerInfo[]> {
  const deadline = new Deadline(LIST_MILLISECONDS);
  if (!(await session.streamInfo(stream, deadline))) return [];
  const { items, missing } = await session.consumers(stream, deadline);
  if (missing.length === 0) return items;
  throw new ConnectError(
    "jetstream-unavailable",
    `${session.server} does not tell about consumer ${missing.join(", ")} of stream ${stream}: it has no leader`,
  );
}

/** Longest wait for the consumers of a stream, in milliseconds. */
const LIST_MILLISECONDS = 15_000;

/** All consumers of a stream, or the contract's alone where the user may not list them: for what is shown alone. */
export async function consumersOf(
  session: Session,
  stream: string,
  own: ConsumerInfo | undefined,
): Promise<ConsumerInfo[]> {
  try {
    const manager = await session.connection.jetstreamManager({ checkAPI: false });
    const found: ConsumerInfo[] = [];
    for await (const consumer of manager.consumers.list(stream)) found.push(consumer);
    return found;
  } catch {
    return own ? [own] : [];
  }
}

const isOwn = ([key]: [string, string]): boolean => !key.startsWith("_nats.");

/** A configuration that can be created again: without what the server itself has written into it. */
function creatable<T extends Partial<ConsumerConfig>>(config: T): T {
  const { metadata, ...rest } = config;
  const kept = Object.entries(metadata ?? {}).filter(isOwn);
  return { ...rest, metadata: kept.length > 0 ? Object.fromEntries(kept) : undefined } as T;
}

/** The longer of two times in nanoseconds, where 0 has no end. */
export const longer = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : Math.max(a, b));

/**
 * The contract's consumer as it is made: a filter that the contract does not speak of stays, and so does a longer time to
 * acknowledge, since another line of NoETL may have set either.
 */
function consumerToMake(
  inputs: ContractInputs,
  terms: ConsumerTerms,
  old: Partial<ConsumerConfig> | undefined,
): Partial<ConsumerConfig> {
  const kept = old?.filter_subjects ?? (old?.filter_subject ? [old.filter_subject] : undefined);
  const config = consumerConfig(inputs, terms.filters || !kept ? terms : { ...terms, filters: kept });
  return { ...config, ack_wait: Math.max(config.ack_wait ?? 0, old?.ack_wait ?? 0) };
}

/** Subjects together: none is left out that is not covered, none overlaps one of `more`. */
export function joinSubjects(subjects: readonly string[], more: readonly string[]): string[] {
  const wanted = more.filter((subject) => !subjectsCover(subjects, subject));
  return [...subjects.filter((subject) => !wanted.some((each) => subjectsOverlap(subject, each))), ...wanted];
}

/** Settings of others that change nothing of what happens to a command. */
function settingsOfOthers(old: Partial<StreamConfig>): Partial<StreamConfig> {
  const { description, metadata, placement, republish, allow_direct: direct } = old;
  const own = Object.fromEntries(Object.entries(metadata ?? {}).filter(isOwn));
  return {
    description: description || undefined,
    metadata: Object.keys(own).length > 0 ? own : undefined,
    placement,
    republish,
    allow_direct: direct || undefined,
  };
}

/**
 * The contract's stream as it is made: the old one's other subjects, its longer age and its replicas stay, and so do settings that
 * change nothing of what happens to a command.
 */
export function streamToMake(inputs: ContractInputs, old: Partial<StreamConfig>) {
  const config = streamConfig(inputs);
  return {
    ...settingsOfOthers(old),
    ...config,
    subjects: joinSubjects(old.mirror ? [] : (old.subjects ?? []), config.subjects ?? []),
    max_age: old.max_age === undefined ? config.max_age : longer(config.max_age ?? 0, old.max_age),
    num_replicas: Math.max(config.num_replicas ?? 1, old.num_replicas ?? 1),
  };
}

/**
 * The subject of a message, or of a filter, in the stream that takes the old one's place: that on which the command was published, where the
 * old one stored it under another. A name that the old stream took for itself, too, stays: whose message that is nobody knows.
 */
export function subjectIn(target: Partial<StreamConfig>, old: Partial<StreamConfig>, subject: string): string {
  const { subjects = [] } = target;
  const { subject_transform: transform } = old;
  if (!transform) return subject;
  const { src = "", dest = "" } = transform;
  const isTaken = (each: string): boolean => subjectsOverlap(each, subject) && !subjectsOverlap(each, src);
  if (subjectsOverlap(src, subject) || (old.subjects ?? []).some(isTaken)) return subject;
  const published = publishedSubject(subject, { src, dest });
  return published !== undefined && subjectsCover(subjects, published) ? published : subject;
}

/** A consumer with its filters on what the new stream stores. */
function refiltered<T extends Partial<ConsumerConfig>>(config: T, named: (subject: string) => string): T {
  const { filter_subject: one, filter_subjects: many } = config;
  return {
    ...config,
    filter_subject: one && named(one),
    filter_subjects: many && [...new Set(many.map(named))],
  };
}

/** Up to which sequence a consumer has dealt with everything. */
const floorOf = ({ config, ack_floor: floor, delivered }: ConsumerInfo): number =>
  String(config.ack_policy) === "none" ? delivered.stream_seq : floor.stream_seq;

/** Messages above the floor that may be acknowledged all the same: the server tells their number alone. */
export const outOfOrder = (info: ConsumerInfo): number =>
  Math.max(0, info.delivered.stream_seq - floorOf(info) - info.num_ack_pending);

/** Every consumer that the new stream gets: the contract's, and the others that are durable. */
export function placesOf(
  inputs: ContractInputs,
  infos: readonly ConsumerInfo[],
  named = (subject: string): string => subject,
): Place[] {
  const wanted = consumerTerms(inputs);
  const own = wanted.map((each) => {
    const old = infos.find(({ name }) => name === each.name);
    return { name: each.name, config: consumerToMake(inputs, each, old?.config), floor: old ? floorOf(old) : 0 };
  });
  const others = infos
    .filter(({ name, config }) => config.durable_name && !wanted.some((each) => each.name === name))
    .map((info) => ({ name: info.name, config: creatable(info.config), floor: floorOf(info) }));
  return [...own, ...others].map((place) => ({ ...place, config: refiltered(place.config, named) }));
}

/** Creates a durable consumer; the server's words where it does not want it. One that is there is left as it is. */
export async function createConsumer(session: Session, stream: string, { name, config }: Place): Promise<Answered> {
  const { opt_start_time: _time, ...rest } = config;
  const body = {
    stream_name: stream,
    config: { ...rest, durable_name: name, opt_start_seq: config.opt_start_seq && 1 },
  };
  if (config.opt_start_time) body.config.deliver_policy = "all" as ConsumerConfig["deliver_policy"];
  return ask(session, `CONSUMER.DURABLE.CREATE.${stream}.${name}`, body);
}

/** A consumer and its stream. */
interface ConsumerName {
  readonly stream: string;
  readonly name: string;
}

const ADVANCE_BATCH = 256;
const ADVANCE_MILLISECONDS = 2_000;

/**
 * Moves a consumer past sequence `last` of what is there now, since it had acknowledged that: by the server where it can
 * (nats-server 2.14), else by taking the messages.
 *
 * @returns false where that cannot be done: a push consumer.
 */
export async function advance(session: Session, at: ConsumerName, last: number): Promise<boolean> {
  const { stream, name } = at;
  const { error } = await ask<Answered>(session, `CONSUMER.RESET.${stream}.${name}`, { seq: last + 1 }).catch(() => ({
    error: {},
  }));
  return !error || (await takeUpTo(session, at, last)) !== undefined;
}

/**
 * Takes what a consumer hands out up to sequence `last`, and acknowledges it; what comes after that is given back.
 *
 * @returns how many others had taken of it, at most; undefined where it cannot be taken: a push consumer.
 */
export async function takeUpTo(
  session: Session,
  { stream, name }: ConsumerName,
  last: number,
): Promise<number | undefined> {
  const jetstream = session.connection.jetstream();
  const consumer = await jetstream.consumers.get(stream, name).catch((error: NatsError) => {
    // What is not answered tells nothing of the consumer.
    if (["TIMEOUT", "503"].includes(error.code)) throw unanswered(session, error, `the info of consumer ${name}`);
    return undefined;
  });
  if (!consumer) return undefined;
  for (let taken = 0; ;) {
    const { delivered, num_pending: pending } = await consumer.info();
    const left = Math.min(pending, last - delivered.stream_seq, ADVANCE_BATCH);
    if (left <= 0) {
      await handled(session);
      return Math.max(0, Math.min(delivered.consumer_seq, last) - taken);
    }
    let got = 0;
    for await (const message of await consumer.fetch({ max_messages: left, expires: ADVANCE_MILLISECONDS })) {
      got++;
      if (message.seq > last) message.nak();
      else {
        message.ack();
        taken++;
      }
    }
    if (got === 0) return undefined;
  }
}
