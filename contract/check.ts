import type { ConsumerInfo, StreamInfo } from "nats";
import { openSession } from "./nats/connect";
import { Deadline, inSeconds } from "./deadline";
import { observeDeclared } from "./declared/observe";
import { bucketConfig } from "./desired";
import { ConnectError, isSilence } from "./errors";
import { consumerTerms, publishedSubjects, storedBy, type ContractInputs, type GatewaySettings } from "./inputs";
import { contractMessage } from "./message";
import { breaks, evaluateRules, RULES, type Check, type GatewayAccess, type Observed, type RuleResult } from "./rules";
import { mayPublish, type Inquiry } from "./nats/session";
import { bucketStream, bucketSubjects } from "./buckets";
import { bucketsOf, callbacksSubject, updatesSubject } from "./rules/gateway";
import { tryOut, type TriedOut } from "./try-out";
import { probeStreamCreation, type Known } from "./probe";
import { feedersOf, type Feeder } from "./rules/feeders";
import { storesAsked } from "./rules/store";
import { isOlderThan, toSeconds, type Ensured } from "./rules/rule";

/** What a check found. Everything is plain data; what does not exist is undefined. Durations in seconds. */
export interface ContractReport {
  /** True where NoETL can work: no violation, and with `strict` no drift either. */
  readonly holds: boolean;
  /** All that is wrong, with what breaks and how to fix it; empty where nothing is. */
  readonly report: string;
  /** One entry per rule that applies. */
  readonly checks: readonly Check[];
  /** Rules that could not be asked, and why: what the login may not ask, or the server does not tell. */
  readonly skippedRules: readonly SkippedRule[];
  /** The server that was asked: a pod and its port, or host and port. */
  readonly server: string;
  readonly serverVersion: string;
  /** When the stream was created, as the server gives it. Another time means that the stream was lost and remade. */
  readonly streamCreated?: string;
  readonly subjects?: readonly string[];
  readonly retention?: string;
  readonly storage?: string;
  readonly maxAgeSeconds?: number;
  readonly duplicateWindowSeconds?: number;
  readonly replicas?: number;
  readonly consumerCreated?: string;
  readonly durable?: boolean;
  readonly pull?: boolean;
  readonly ackPolicy?: string;
  readonly deliverPolicy?: string;
  readonly replayPolicy?: string;
  readonly ackWaitSeconds?: number;
  readonly maxAckPending?: number;
  readonly maxDeliver?: number;
  /** The gateway's buckets that exist, by name. */
  readonly buckets?: Readonly<Record<string, BucketFacts>>;
}

/** A rule that could not be asked. */
export interface SkippedRule {
  readonly id: string;
  readonly why: string;
}

/** A bucket of the gateway as it is. */
export interface BucketFacts {
  readonly created: string;
  readonly ttlSeconds: number;
}

/** What an earlier check found, to tell what was lost since. */
export interface Remembered {
  readonly streamCreated?: string;
  /** What mode `ensure` set then. */
  readonly ensured?: Ensured;
}

/** How long an error, or a difference, that is probably not going away is given nevertheless. */
const BRIEF_MILLISECONDS = 10_000;
/** Kept of the time for the last look, so that it ends before the deadline. */
const LAST_LOOK_MILLISECONDS = 1_000;
const FIRST_PAUSE_MILLISECONDS = 100;
const LONGEST_PAUSE_MILLISECONDS = 2_000;

const pauseAfter = (tries: number): number =>
  Math.min(LONGEST_PAUSE_MILLISECONDS, FIRST_PAUSE_MILLISECONDS * 2 ** (tries - 1));

/**
 * Checks the contract: connects, waits for stream and consumer to appear, and asks every rule.
 *
 * Returns as soon as nothing can change for the better by waiting: at once where everything holds or a violation is
 * found that NoETL's start-up does not fix, otherwise at the deadline.
 *
 * @param wait False looks once: what does not exist is reported as such right away.
 * @param remembered What an earlier check found; a stream recreated since is reported.
 * @throws ConnectError where the questions could not be asked, after retries where retrying makes sense.
 */
export async function checkContract(
  inputs: ContractInputs,
  wait = true,
  remembered: Remembered = {},
): Promise<ContractReport> {
  return retrying(inputs, async (deadline) => {
    const session = await openSession(inputs, deadline);
    try {
      return await checkWith({ session, inputs, deadline }, wait, remembered);
    } finally {
      await session.close();
    }
  });
}

/** Repeats `work` with growing pauses while its errors are worth it.  @throws ConnectError the last one. */
export async function retrying<T>(inputs: ContractInputs, work: (deadline: Deadline) => Promise<T>): Promise<T> {
  const deadline = new Deadline(inputs.timeoutSeconds * 1000);
  let trouble: { error: ConnectError; since: number } | undefined;
  for (let tries = 1; ; tries++) {
    try {
      return await work(deadline);
    } catch (caught) {
      if (!(caught instanceof ConnectError) || caught.patience === "none") throw caught;
      // A try that the deadline cut off found out less than the one before it.
      const isCutOff = caught.problem === "no-answer" && deadline.isOver();
      const error = isCutOff ? (trouble?.error ?? caught) : caught;
      const since = trouble?.error.problem === error.problem ? trouble.since : deadline.elapsed();
      trouble = { error, since };
      const impatient = error.patience === "brief" && deadline.elapsed() - since > BRIEF_MILLISECONDS;
      if (impatient || deadline.remaining() <= pauseAfter(tries)) {
        const howOften = tries === 1 ? "one try" : `${tries} tries`;
        throw new ConnectError(
          error.problem,
          `${error.message} (gave up after ${inSeconds(deadline.elapsed())} and ${howOften})`,
        );
      }
      await deadline.pause(pauseAfter(tries));
    }
  }
}

/** The check over an open session; `wait` as {@link checkContract} has it. */
export async function checkWith(inquiry: Inquiry, wait: boolean, remembered: Remembered = {}): Promise<ContractReport> {
  const { inputs, deadline } = inquiry;
  let consumerSeen: number | undefined;
  let observation: Observation | undefined;
  for (let tries = 1; ; tries++) {
    const latest = await unlessCutOff(observe(inquiry, remembered), observation, deadline);
    const isLast = latest === observation;
    observation = latest;
    if (observation.observed.consumer) consumerSeen ??= deadline.elapsed();
    const results = evaluateRules(inputs, observation.observed);
    const missing = wait && deadline.remaining() > LAST_LOOK_MILLISECONDS;
    const unsettled = missing && deadline.elapsed() - (consumerSeen ?? 0) < BRIEF_MILLISECONDS;
    if (isLast || isFinal(results, { missing, unsettled })) {
      return reportOf(inquiry, observation, wait ? withWaiting(results, deadline) : results);
    }
    await deadline.pause(pauseAfter(tries), LAST_LOOK_MILLISECONDS);
  }
}

/** What is seen now; where the deadline cuts that off, which finds out less than the look before it, what that one saw. */
async function unlessCutOff(
  looking: Promise<Observation>,
  before: Observation | undefined,
  deadline: Deadline,
): Promise<Observation> {
  try {
    return await looking;
  } catch (error) {
    const isCutOff = error instanceof ConnectError && error.problem === "no-answer" && deadline.isOver();
    if (before === undefined || !isCutOff) throw error;
    return before;
  }
}

/** Rules that need an answer which a login with the least permissions does not get. */
const OPTIONAL = {
  account: ["account-storage", "account-streams"],
  overlapping: ["stream-overlap"],
  feeders: ["stream-loop", "stream-fed"],
  unwritable: ["gateway-buckets"],
  stores: ["store-replicas"],
  buckets: RULES.filter(({ about }) => about === "bucket").map(({ id }) => id),
} as const;

const NOT_TRIED: TriedOut = { open: [] };

/** What NATS says, and which rules it leaves open. */
export interface Observation {
  readonly observed: Observed;
  readonly skippedRules: SkippedRule[];
  /** What nobody answers for, in words, of that without which the rest can be told. */
  readonly unanswered: string[];
}

/** What an earlier check found, and how far this one goes. */
export interface Circumstances extends Remembered {
  /**
   * True where nothing is tried out: the rules about what NoETL's and the gateway's login may do are not asked then, nor those about a
   * bucket, or what is declared, that nobody answers for.
   */
  readonly looksOnly?: boolean;
}

const silentIn = (declared: Observed["declared"]): string[] => Object.values(declared?.silent ?? {});

/** All questions go out at once, so that the answers cost one round trip; what is tried out costs up to two more. */
export async function observe(
  inquiry: Inquiry,
  { looksOnly = false, ...remembered }: Circumstances = {},
): Promise<Observation> {
  const { session, inputs, deadline } = inquiry;
  const declares = observeDeclared(session, { ...inputs, looksOnly }, deadline);
  if (inputs.declaredOnly) {
    const declared = await declares;
    const observed = { stream: undefined, consumer: undefined, declared };
    return { observed, skippedRules: [], unanswered: silentIn(declared) };
  }
  const terms = consumerTerms(inputs);
  const known = noetlsInfos(inquiry);
  const buckets = streamInfos(inquiry, bucketStreams(inputs), looksOnly ? OPTIONAL.buckets : undefined);
  // Copies are what mode ensure sets.
  const sparedStores = looksOnly || inputs.mode !== "ensure" ? OPTIONAL.stores : undefined;
  const [infos, account, overlapping, republishing, bucketsByName, stores, gateway, declared, tried] =
    await Promise.all([
      known,
      unlessForbidden(OPTIONAL.account, answered(session.accountInfo(deadline))),
      unlessForbidden(OPTIONAL.overlapping, answered(overlappingStreams(inquiry))),
      looksOnly
        ? NOT_ASKED
        : unlessSilent(OPTIONAL.feeders, unlessForbidden(OPTIONAL.feeders, answered(feeders(inquiry)))),
      buckets,
      unlessForbidden(OPTIONAL.stores, streamInfos(inquiry, storeStreams(inputs), sparedStores)),
      looksOnly ? undefined : gatewayAccess(inquiry, buckets),
      declares,
      looksOnly ? NOT_TRIED : tryOut(inquiry, known),
    ]);
  const mayWriteUnknown = gateway !== undefined && gateway.unwritable === undefined;
  // A login that was made for the check alone is not the gateway's.
  const isCheckers = inputs.gateway?.user === undefined && tried.probe === undefined;
  return {
    observed: {
      serverVersion: session.serverVersion,
      stream: infos.stream,
      consumer: infos.consumers[terms[0]?.name ?? ""],
      consumers: terms.length > 1 ? infos.consumers : undefined,
      account: account.answer,
      overlapping: overlapping.answer,
      feeders: republishing.answer,
      buckets: inputs.gateway && bucketsByName.answer,
      stores: stores.answer,
      gateway: gateway && isCheckers ? { ...gateway, creations: {} } : gateway,
      declared,
      probe: tried.probe,
      streamRemembered: remembered.streamCreated,
      ensured: remembered.ensured,
    },
    skippedRules: [
      ...[account, overlapping, republishing, bucketsByName, stores].flatMap(({ skipped: rules }) => rules),
      ...(mayWriteUnknown
        ? skipped(OPTIONAL.unwritable, "the server does not tell what the gateway's user may do")
        : []),
      ...tried.open.flatMap(({ rules, why }) => skipped(rules, why)),
    ],
    unanswered: [...[bucketsByName, stores].flatMap(({ unanswered = [] }) => unanswered), ...silentIn(declared)],
  };
}

const skipped = (rules: readonly string[], why: string): SkippedRule[] => rules.map((id) => ({ id, why }));

/** An answer, or the rules that cannot be asked without it. */
interface Answered<T> {
  readonly answer?: T;
  readonly skipped: readonly SkippedRule[];
  /** Why, where nobody answered. */
  readonly unanswered?: string;
}

const NOT_ASKED: Answered<never> = { skipped: [] };

const answered = async <T>(asked: Promise<T>): Promise<Answered<T>> => ({ answer: await asked, skipped: [] });

/** An answer, or none where the login may not ask for it. */
async function unlessForbidden<T>(rules: readonly string[], asked: Promise<Answered<T>>): Promise<Answered<T>> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof ConnectError) || error.problem !== "missing-permission") throw error;
    return { skipped: skipped(rules, error.message.replace(/\. The check needs .*/, "")) };
  }
}

/** The same where nobody answers: a stream has no leader, or its one server is away, of which a cluster tells nothing soon. */
async function unlessSilent<T>(rules: readonly string[], asked: Promise<Answered<T>>): Promise<Answered<T>> {
  try {
    return await asked;
  } catch (error) {
    if (!isSilence(error)) throw error;
    return { skipped: skipped(rules, error.message), unanswered: error.message };
  }
}

/** The infos of the stream and of the consumers. */
async function noetlsInfos({ session, inputs, deadline }: Inquiry): Promise<Known> {
  const { stream } = inputs;
  const [info, consumers] = await Promise.all([
    session.streamInfo(stream, deadline),
    byName(consumerTerms(inputs), ({ name }) => session.consumerInfo(stream, name, deadline)),
  ]);
  // Both were asked at once. Where a consumer is ahead, the stream may have grown between the two answers.
  const isAhead = Object.values(consumers).some(
    (consumer) => info && consumer && consumer.delivered.stream_seq > info.state.last_seq,
  );
  return { stream: isAhead ? await session.streamInfo(stream, deadline) : info, consumers };
}

type StreamInfos = Readonly<Record<string, StreamInfo | undefined>>;

/** The streams of the gateway's buckets, by the buckets' names. */
const bucketStreams = (inputs: ContractInputs): Readonly<Record<string, string>> =>
  Object.fromEntries(bucketsOf(inputs).map(({ name }) => [name, bucketStream(name)]));

/** Those of NoETL's own buckets and object store, each by its own name. */
const storeStreams = (inputs: ContractInputs): Readonly<Record<string, string>> =>
  Object.fromEntries(storesAsked(inputs).map((name) => [name, name]));

/**
 * The infos of streams by names; a stream that is missing has none.
 *
 * @param spared Rules that are left open where nobody answers for one, whose name is missing then; without them it is an error.
 */
async function streamInfos(
  { session, deadline }: Inquiry,
  streams: Readonly<Record<string, string>>,
  spared: readonly string[] | undefined,
): Promise<Answered<StreamInfos>> {
  const answers = await Promise.all(
    Object.entries(streams).map(async ([name, stream]) => {
      const asked = answered(session.streamInfo(stream, deadline));
      return [name, await (spared ? unlessSilent(spared, asked) : asked)] as const;
    }),
  );
  const silent = answers.filter(([, { unanswered }]) => unanswered !== undefined);
  return {
    answer: Object.fromEntries(
      answers.filter((each) => !silent.includes(each)).map(([name, { answer }]) => [name, answer]),
    ),
    skipped: silent.flatMap(([, { skipped: rules }]) => rules),
    unanswered: silent.length > 0 ? silent.map(([, { unanswered }]) => unanswered).join("; ") : undefined,
  };
}

async function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  ask: (each: N) => Promise<T>,
): Promise<Record<string, T>> {
  return Object.fromEntries(await Promise.all(named.map(async (each) => [each.name, await ask(each)] as const)));
}

/** Names of other streams that take what NoETL's is to store. */
async function overlappingStreams({ session, inputs, deadline }: Inquiry): Promise<string[]> {
  const names = await Promise.all(storedBy(inputs).map((subject) => session.streamsWith(subject, deadline)));
  return [...new Set(names.flat())].filter((name) => name !== inputs.stream);
}

/** Longest wait for a cluster's list of streams, in milliseconds: it waits longer for a stream without a leader. */
const LIST_MILLISECONDS = 1_000;

/** Other streams that republish on the subjects of NoETL's.  @throws ConnectError `no-answer` where some streams are not told. */
async function feeders({ session, inputs, deadline }: Inquiry): Promise<Feeder[]> {
  const patience = session.clustered ? new Deadline(Math.min(LIST_MILLISECONDS, deadline.remaining())) : deadline;
  const { items, missing } = await session.streams(patience);
  if (missing.length > 0) {
    throw new ConnectError("no-answer", `${session.server} does not tell the configuration of ${missing.join(", ")}`);
  }
  return feedersOf({
    configs: items.map(({ config }) => config),
    own: inputs.stream,
    published: publishedSubjects(inputs),
    takesSourced: isOlderThan(15, session),
  });
}

/** What the gateway's user may do, tried out with its own login where it has one. */
async function gatewayAccess(
  inquiry: Inquiry,
  buckets: Promise<Answered<StreamInfos>>,
): Promise<GatewayAccess | undefined> {
  const { inputs, deadline } = inquiry;
  const { gateway } = inputs;
  buckets.catch(() => undefined); // whoever asked for it tells
  if (!gateway) return undefined;
  if (gateway.user === undefined || gateway.user === inputs.user) return accessOf(inquiry, gateway, buckets);
  const { credentials: _credentials, nkeySeed: _nkeySeed, ...rest } = inputs;
  const session = await openSession({ ...rest, user: gateway.user, password: gateway.password ?? "" }, deadline);
  try {
    return await accessOf({ session, inputs, deadline }, gateway, buckets);
  } finally {
    await session.close();
  }
}

async function accessOf(
  { session, inputs, deadline }: Inquiry,
  gateway: GatewaySettings,
  buckets: Promise<Answered<StreamInfos>>,
): Promise<GatewayAccess> {
  const creationsOf = async (): Promise<GatewayAccess["creations"]> => {
    const { answer: infos = {} } = await buckets;
    const missing = bucketsOf(inputs).filter(({ name }) => infos[name] === undefined);
    // As the gateway makes them.
    return byName(missing, (bucket) => probeStreamCreation(session, bucketConfig(bucket, 1), deadline));
  };
  const [[updatesRefused, callbacksRefused], permissions, creations] = await Promise.all([
    session.listenRefusals([updatesSubject(gateway), callbacksSubject(gateway)], deadline),
    session.permissions(deadline),
    creationsOf(),
  ]);
  const entries = bucketsOf(inputs).map(({ name }) => bucketSubjects(name));
  const unwritable = permissions && entries.filter((subject) => !mayPublish(permissions, subject));
  return { updatesRefused, callbacksRefused, creations, unwritable };
}

function isFinal(results: readonly RuleResult[], patience: { missing: boolean; unsettled: boolean }): boolean {
  const broken = results.filter((result) => !result.ok);
  if (broken.some(({ severity, waits }) => severity === "violation" && waits === undefined)) return true;
  return !broken.some(
    ({ waits }) => (waits === "until-deadline" && patience.missing) || (waits === "briefly" && patience.unsettled),
  );
}

/** What is waited for until the deadline, with how long it was. */
const withWaiting = (results: readonly RuleResult[], deadline: Deadline): RuleResult[] =>
  results.map((result) =>
    result.ok || result.waits !== "until-deadline"
      ? result
      : { ...result, found: `${result.found} after ${inSeconds(deadline.elapsed())}` },
  );

function reportOf(
  { session, inputs }: Inquiry,
  { observed, skippedRules }: Observation,
  results: readonly RuleResult[],
): ContractReport {
  const { stream, consumer, buckets } = observed;
  const broken = results.filter((result) => !result.ok);
  return {
    holds: !broken.some(breaks(inputs)),
    report: contractMessage(inputs, results, { session, observed }),
    checks: results.map(({ id, bucket, consumer: name, object, ok, severity, found, expected }) => ({
      id,
      bucket,
      consumer: name,
      object,
      ok,
      severity,
      found,
      expected,
    })),
    skippedRules,
    server: session.server,
    serverVersion: session.serverVersion,
    ...(stream ? streamFacts(stream) : {}),
    ...(stream && consumer ? consumerFacts(consumer) : {}),
    ...(buckets ? { buckets: bucketFacts(buckets) } : {}),
  };
}

function streamFacts({ config, created }: StreamInfo): Partial<ContractReport> {
  return {
    streamCreated: String(created),
    subjects: [...(config.subjects ?? [])].sort(),
    retention: config.retention,
    storage: config.storage,
    maxAgeSeconds: toSeconds(config.max_age),
    duplicateWindowSeconds: toSeconds(config.duplicate_window),
    replicas: config.num_replicas ?? 1,
  };
}

function bucketFacts(buckets: NonNullable<Observed["buckets"]>): Record<string, BucketFacts> {
  return Object.fromEntries(
    Object.entries(buckets).flatMap(([name, info]) =>
      info ? [[name, { created: String(info.created), ttlSeconds: toSeconds(info.config.max_age) }]] : [],
    ),
  );
}

function consumerFacts({ config, created }: ConsumerInfo): Partial<ContractReport> {
  return {
    consumerCreated: String(created),
    durable: Boolean(config.durable_name),
    pull: !config.deliver_subject,
    ackPolicy: config.ack_policy,
    deliverPolicy: config.deliver_policy,
    replayPolicy: config.replay_policy,
    ackWaitSeconds: toSeconds(config.ack_wait),
    maxAckPending: config.max_ack_pending ?? 0,
    maxDeliver: config.max_deliver ?? 0,
  };
}
