import type { ConsumerInfo, StreamInfo } from "nats";
import { openSession } from "./nats/connect";
import { Deadline, inSeconds } from "./deadline";
import { observeDeclared } from "./declared/observe";
import { bucketConfig } from "./desired";
import { ConnectError } from "./errors";
import { consumerTerms, storedBy, type ContractInputs } from "./inputs";
import { contractMessage } from "./message";
import { evaluateRules, type Check, type GatewayAccess, type Observed, type RuleResult } from "./rules";
import type { Session } from "./nats/session";
import { bucketsOf, bucketStream, bucketSubjects, callbacksSubject, updatesSubject } from "./rules/gateway";
import { tryOut } from "./try-out";
import { probeStreamCreation } from "./probe";
import { toSeconds, type Bucket, type Ensured } from "./rules/rule";
import { subjectsCover, subjectsOverlap } from "./subjects";

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
      return await checkWith(session, inputs, deadline, wait, remembered);
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
      const isCutOff = caught.problem === "no-answer" && deadline.remaining() <= 0;
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

/** The check over an open session. */
export async function checkWith(
  session: Session,
  inputs: ContractInputs,
  deadline: Deadline,
  wait: boolean,
  remembered: Remembered = {},
): Promise<ContractReport> {
  let consumerSeen: number | undefined;
  for (let tries = 1; ; tries++) {
    const { observed, skippedRules } = await observe(session, inputs, deadline, remembered);
    if (observed.consumer) consumerSeen ??= deadline.elapsed();
    const verdicts = evaluateRules(inputs, observed);
    const missing = wait && deadline.remaining() > LAST_LOOK_MILLISECONDS;
    const unsettled = missing && deadline.elapsed() - (consumerSeen ?? 0) < BRIEF_MILLISECONDS;
    if (isFinal(verdicts, { missing, unsettled })) {
      return reportOf(inputs, session, observed, verdicts, skippedRules, wait ? deadline : undefined);
    }
    await deadline.pause(pauseAfter(tries), LAST_LOOK_MILLISECONDS);
  }
}

/** Rules that need an answer which a login with the least permissions does not get. */
const OPTIONAL = {
  account: ["account-storage", "account-streams"],
  overlapping: ["stream-overlap"],
  unwritable: ["gateway-buckets"],
} as const;

/** What NATS says, and which rules it leaves open. */
export interface Observation {
  readonly observed: Observed;
  readonly skippedRules: SkippedRule[];
}

/** All questions go out at once, so that the answers cost one round trip; what is tried out costs up to two more. */
export async function observe(
  session: Session,
  inputs: ContractInputs,
  deadline: Deadline,
  remembered: Remembered = {},
): Promise<Observation> {
  const { stream } = inputs;
  const skippedRules: SkippedRule[] = [];
  const leaveOut = (rules: readonly string[], why: string): undefined => {
    skippedRules.push(...rules.map((id) => ({ id, why })));
  };
  const optional = async <T>(rules: readonly string[], answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.problem !== "missing-permission") throw error;
      return leaveOut(rules, error.message.replace(/\. The check needs .*/, ""));
    }
  };
  if (inputs.declaredOnly) {
    const declared = await observeDeclared(session, inputs, deadline);
    return { observed: { stream: undefined, consumer: undefined, ...(declared ? { declared } : {}) }, skippedRules };
  }
  const knownBuckets = Promise.all(
    bucketsOf(inputs).map(
      async (bucket) => [bucket, await session.streamInfo(bucketStream(bucket.name), deadline)] as const,
    ),
  );
  const missingBuckets = knownBuckets.then((all) => all.flatMap(([bucket, info]) => (info ? [] : bucket)));
  const terms = consumerTerms(inputs);
  const known = Promise.all([
    session.streamInfo(stream, deadline),
    Promise.all(terms.map(async ({ name }) => [name, await session.consumerInfo(stream, name, deadline)] as const)),
  ]).then(([info, consumers]) => ({ stream: info, consumers: Object.fromEntries(consumers) }));
  const [infos, account, names, buckets, gateway, declared, tried] = await Promise.all([
    known,
    optional(OPTIONAL.account, session.accountInfo(deadline)),
    optional(
      OPTIONAL.overlapping,
      Promise.all(storedBy(inputs).map((subject) => session.streamsWith(subject, deadline))).then((all) => all.flat()),
    ),
    knownBuckets,
    gatewayAccess(session, inputs, missingBuckets, deadline),
    observeDeclared(session, inputs, deadline),
    tryOut(session, inputs, known, deadline),
  ]);
  if (gateway && gateway.unwritable === undefined) {
    leaveOut(OPTIONAL.unwritable, "the server does not tell what the gateway's user may do");
  }
  for (const { rules, why } of tried.open) leaveOut(rules, why);
  // A login that was made for the check alone is not the gateway's.
  const isCheckers = inputs.gateway?.user === undefined && tried.probe === undefined;
  return {
    observed: {
      stream: infos.stream,
      consumer: infos.consumers[terms[0]?.name ?? ""],
      ...(terms.length > 1 ? { consumers: infos.consumers } : {}),
      ...(account ? { account } : {}),
      ...(names ? { overlapping: [...new Set(names)].filter((name) => name !== stream) } : {}),
      ...(inputs.gateway ? { buckets: Object.fromEntries(buckets.map(([{ name }, info]) => [name, info])) } : {}),
      ...(gateway ? { gateway: isCheckers ? { ...gateway, creations: {} } : gateway } : {}),
      ...(declared ? { declared } : {}),
      ...(tried.probe ? { probe: tried.probe } : {}),
      ...(remembered.streamCreated === undefined ? {} : { streamRemembered: remembered.streamCreated }),
      ...(remembered.ensured ? { ensured: remembered.ensured } : {}),
    },
    skippedRules,
  };
}

/** What the gateway's user may do, tried out with its own login where it has one. */
async function gatewayAccess(
  session: Session,
  inputs: ContractInputs,
  missing: Promise<readonly Bucket[]>,
  deadline: Deadline,
): Promise<GatewayAccess | undefined> {
  const { gateway } = inputs;
  missing.catch(() => undefined); // whoever asked for it tells
  if (!gateway) return undefined;
  if (gateway.user === undefined || gateway.user === inputs.user) return accessOf(session, inputs, missing, deadline);
  const { credentials: _credentials, nkeySeed: _nkeySeed, ...rest } = inputs;
  const own = await openSession({ ...rest, user: gateway.user, password: gateway.password ?? "" }, deadline);
  try {
    return await accessOf(own, inputs, missing, deadline);
  } finally {
    await own.close();
  }
}

async function accessOf(
  session: Session,
  inputs: ContractInputs,
  missing: Promise<readonly Bucket[]>,
  deadline: Deadline,
): Promise<GatewayAccess> {
  const { gateway } = inputs;
  if (!gateway) return {};
  const [updatesRefused, callbacksRefused, permissions, creations] = await Promise.all([
    session.listenRefusal(updatesSubject(gateway), deadline),
    session.listenRefusal(callbacksSubject(gateway), deadline),
    session.permissions(deadline),
    missing.then((buckets) =>
      Promise.all(
        buckets.map(async (bucket) => {
          const config = bucketConfig(bucket, 1); // as the gateway makes it
          return [bucket.name, await probeStreamCreation(session, config, deadline)] as const;
        }),
      ),
    ),
  ]);
  const entries = bucketsOf(inputs).map(({ name }) => bucketSubjects(name));
  const { allow, deny = [] } = permissions?.publish ?? {};
  const mayWrite = (subject: string): boolean =>
    (!allow?.length || subjectsCover(allow, subject)) && !deny.some((other) => subjectsOverlap(other, subject));
  return {
    ...(updatesRefused === undefined ? {} : { updatesRefused }),
    ...(callbacksRefused === undefined ? {} : { callbacksRefused }),
    ...(creations.length > 0 ? { creations: Object.fromEntries(creations) } : {}),
    ...(permissions ? { unwritable: entries.filter((subject) => !mayWrite(subject)) } : {}),
  };
}

function isFinal(verdicts: readonly RuleResult[], patience: { missing: boolean; unsettled: boolean }): boolean {
  const broken = verdicts.filter((verdict) => !verdict.ok);
  if (broken.some(({ severity, waits }) => severity === "violation" && waits === undefined)) return true;
  return !broken.some(
    ({ waits }) => (waits === "until-deadline" && patience.missing) || (waits === "briefly" && patience.unsettled),
  );
}

function reportOf(
  inputs: ContractInputs,
  session: Session,
  { stream, consumer, buckets }: Observed,
  verdicts: readonly RuleResult[],
  skippedRules: readonly SkippedRule[],
  waited: Deadline | undefined,
): ContractReport {
  const told = verdicts.map((verdict) =>
    waited && !verdict.ok && verdict.waits === "until-deadline"
      ? { ...verdict, found: `${verdict.found} after ${inSeconds(waited.elapsed())}` }
      : verdict,
  );
  const broken = verdicts.filter((verdict) => !verdict.ok);
  return {
    holds: !broken.some(({ rule }) => rule.severity === "violation" || (inputs.strict && !rule.isEvent)),
    report: contractMessage(
      inputs,
      told,
      `${session.server} (nats-server ${session.serverVersion})`,
      stream?.state.messages ?? 0,
    ),
    checks: told.map(({ id, bucket, consumer: name, object, ok, severity, found, expected }) => ({
      id,
      ...(bucket === undefined ? {} : { bucket }),
      ...(name === undefined ? {} : { consumer: name }),
      ...(object === undefined ? {} : { object }),
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
