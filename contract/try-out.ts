/** What is tried with NoETL's login, where that is another than the check's with both. */
import type { Deadline } from "./deadline";
import { CHECK, openSession } from "./nats/connect";
import { streamConfig } from "./desired";
import { ConnectError } from "./errors";
import type { ConsumerTerms } from "./lines";
import { consumerTerms, type ContractInputs } from "./inputs";
import {
  admittedByAccount,
  isAnswered,
  isFiltered,
  mayWatch,
  probeConsumerCreation,
  probePublishes,
  probeReach,
  probeStreamCreation,
  probeWorker,
  remakeRefusal,
  tracesAtAll,
  tracingOf,
  wordsOf,
  type Known,
} from "./probe";
import type { Probe, WorkerProbe } from "./probe-results";
import { PROBE_RULES } from "./rules/probe";
import { sameCount } from "./rules/rule";
import type { Inquiry, Session } from "./nats/session";
import type { StreamInfo } from "nats";

/** What was tried, and the rules that it leaves open. */
export interface TriedOut {
  readonly probe?: Probe;
  readonly open: readonly { readonly rules: readonly string[]; readonly why: string }[];
}

/** Inputs of a check that logs in as NoETL's server does; undefined where the check itself does. */
function noetlInputs(inputs: ContractInputs): ContractInputs | undefined {
  const { noetlLogin, credentials, nkeySeed, ...rest } = inputs;
  if (noetlLogin === undefined) return undefined;
  if (credentials === undefined && nkeySeed === undefined && noetlLogin.user === inputs.user) return undefined;
  return { ...rest, user: noetlLogin.user, password: noetlLogin.password };
}

/** Inputs of a check that logs in as its workers do; undefined where they have the server's login. */
const workerInputs = ({ noetlLogin, ...rest }: ContractInputs): ContractInputs | undefined =>
  noetlLogin?.worker && { ...rest, user: noetlLogin.worker.user, password: noetlLogin.worker.password };

/** Rules that are asked of what was tried out. */
const TRIED_RULES = [...PROBE_RULES.map(({ id }) => id), "stream-creatable", "consumer-creatable"];

/** NoETL's commands have none. */
const NO_HEADERS = "the server takes no headers (no_header_support), which what is tried out has";

/**
 * Tries out what NoETL does, with its login where that is another than the check's, over a connection of its own.
 *
 * @param known The stream and the consumer, as the check's login sees them.
 * @throws ConnectError where NATS does not answer.
 */
export async function tryOut(inquiry: Inquiry, known: Promise<Known>): Promise<TriedOut> {
  const { session, inputs, deadline } = inquiry;
  known.catch(() => undefined); // whoever asked for it tells
  if (session.connection.info?.headers === false) return { open: [{ rules: TRIED_RULES, why: NO_HEADERS }] };
  const own = noetlInputs(inputs);
  if (own === undefined) {
    const probe = await tryWith({ asServer: inquiry, asWorker: inquiry, asChecker: inquiry }, known);
    if (isCheckersAlone(probe)) return notNoetls(probe);
    const seen = await known;
    return { probe, open: [...openRules(probe, seen, session), ...openSubject(probe.publishes, seen, inquiry)] };
  }
  const worker = workerInputs(inputs);
  const logins = await Promise.all([
    loggedIn(own, inputs.noetlLogin?.inbox, deadline),
    ...(worker ? [loggedIn(worker, inputs.noetlLogin?.worker?.inbox, deadline)] : []),
  ]);
  try {
    const opened: Inquiry[] = [];
    for (const login of logins) {
      if ("session" in login) {
        opened.push(login);
        continue;
      }
      if (!(login.error instanceof ConnectError) || login.error.problem !== "wrong-password") throw login.error;
      return { probe: notAccepted(login.error, login.inputs, session), open: [] };
    }
    const [asServer = inquiry, asWorker = asServer] = opened;
    return await tryAs({ asServer, asWorker, asChecker: inquiry }, known);
  } finally {
    await Promise.all(logins.map(async (login) => ("session" in login ? login.session.close() : undefined)));
  }
}

/** A connection with another login, or why there is none. */
async function loggedIn(
  inputs: ContractInputs,
  inbox: string | undefined,
  deadline: Deadline,
): Promise<Inquiry | { readonly inputs: ContractInputs; readonly error: unknown }> {
  try {
    const identity = { ...CHECK, inboxPrefix: inbox };
    return { session: await openSession(inputs, deadline, identity), inputs, deadline };
  } catch (error) {
    return { inputs, error };
  }
}

/** Who tries: NoETL's server, its workers, and the check. */
interface Tries {
  readonly asServer: Inquiry;
  readonly asWorker: Inquiry;
  readonly asChecker: Inquiry;
}

async function tryAs(tries: Tries, known: Promise<Known>): Promise<TriedOut> {
  const { asServer, asWorker, asChecker } = tries;
  const [probe, { elsewhere, info }, checkers] = await Promise.all([
    tryWith(tries, known),
    whatItSees({ asWorker, asChecker }, known),
    Promise.all([known, tracingOf(asChecker.session, asChecker.deadline)]).then(([seen, tracing]) =>
      probePublishes(asChecker, { ...seen, ...tracing }),
    ),
  ]);
  // What the check's own login may not do is nobody's concern.
  const others = checkers.publishes.filter(({ routes }) => !routes.some(({ end }) => end === "refused"));
  const publishes = [...probe.publishes, ...others];
  return {
    probe: {
      ...probe,
      publishes,
      workers: probe.workers.map((worker) => ({ ...worker, info })),
      elsewhere,
    },
    open: [...openRules(probe, await known, asServer.session), ...openSubject(publishes, await known, asServer)],
  };
}

/** What there is to say where NATS does not accept NoETL's login. */
const notAccepted = (error: ConnectError, { user = "" }: ContractInputs, { maxPayload }: Session): Probe => ({
  login: `user ${user}`,
  notAccepted: wordsOf(error),
  publishes: [],
  workers: [],
  maxPayload,
});

/** What the subjects of acknowledgements begin with, as one of the logins may be told; the servers are the same, and the account. */
async function acknowledgedBy({ asWorker, asChecker }: Tries): Promise<string | undefined> {
  const told = await asWorker.session.acknowledged(asWorker.deadline);
  return told ?? (asChecker === asWorker ? undefined : asChecker.session.acknowledged(asChecker.deadline));
}

async function tryWith(tries: Tries, known: Promise<Known>): Promise<Probe> {
  const { asServer: inquiry, asWorker } = tries;
  const { session, inputs, deadline } = inquiry;
  const terms = consumerTerms(inputs);
  const acknowledged = acknowledgedBy(tries);
  const inbox = asWorker.session.inbox();
  // At once: who listens for traces waits until nobody else listens.
  const listening = asWorker.session.listenRefusals([inbox], deadline);
  listening.catch(() => undefined); // whoever waits for it tells
  const [workers, { stream, consumers }, tracing] = await Promise.all([
    Promise.all(terms.map(({ name }) => probeWorker(asWorker, name, acknowledged))).then((found) =>
      withAnswers(asWorker, found),
    ),
    known,
    tracingOf(session, deadline),
  ]);
  const inFlight = ({ maxAckPending = inputs.worker.maxAckPending }: ConsumerTerms): number => maxAckPending;
  const isAdded = (each: ConsumerTerms): boolean => {
    const consumer = consumers[each.name];
    return !(consumer && sameCount(consumer.config.max_ack_pending, inFlight(each)));
  };
  // NoETL in Rust takes a consumer as it finds it.
  const isRemade = (each: ConsumerTerms): boolean =>
    inputs.noetlLine !== "rust" && consumers[each.name] !== undefined && isAdded(each);
  const [publishes, [listen], strays, remakes, ofStream, ofConsumers] = await Promise.all([
    probePublishes(inquiry, { stream, consumers, ...tracing }),
    listening,
    Promise.all(
      workers.map((worker, index) =>
        probeReach(asWorker, { ...worker, looksUp: index === 0 }, consumers[worker.consumer]),
      ),
    ),
    Promise.all(terms.map(async (each) => (isRemade(each) ? remakeRefusal(asWorker, each.name) : undefined))),
    // NoETL names no window for duplicates, and takes what the server allows.
    stream === undefined
      ? probeStreamCreation(session, { ...streamConfig(inputs), duplicate_window: undefined }, deadline)
      : undefined,
    stream === undefined
      ? admittedByAccount(session, { wanted: terms.map(inFlight), replicas: inputs.expect.replicas }, deadline)
      : Promise.all(terms.map(async (each) => (isAdded(each) ? probeConsumerCreation(asWorker, each) : undefined))),
  ]);
  return {
    login: session.login,
    ...publishes,
    workers: workers.map((worker, index) => ({
      ...worker,
      ...(listen === undefined ? {} : { listen: listen.replaceAll("'", ""), inbox }),
      strays: strays[index],
      remake: remakes[index],
      creation: ofConsumers?.[index],
    })),
    creation: ofStream,
    maxPayload: session.maxPayload,
  };
}

/** What the workers may not do. Of a login that may answer what it gets, no message tells beforehand whether it may acknowledge it. */
async function withAnswers({ session, deadline }: Inquiry, workers: WorkerProbe[]): Promise<WorkerProbe[]> {
  const isRefused = workers.some(({ fetch, ack }) => fetch === undefined && ack !== undefined);
  if (!isRefused || !(await session.permissions(deadline))?.responses) return workers;
  return workers.map((worker) => ({ ...worker, ack: undefined, answersOnly: true }));
}

/** Looks after the first one, at most, while the stream is made at just this moment. */
const MOST_LOOKS = 3;

const createdOf = (info: StreamInfo | undefined): string => (info ? String(info.created) : "");

/** Whether NoETL's login may look stream and consumer up, and whether it sees the same stream as the check's login. */
export async function whatItSees(
  { asWorker, asChecker }: Pick<Tries, "asWorker" | "asChecker">,
  known: Promise<Known>,
): Promise<Pick<Probe, "elsewhere"> & { info?: string }> {
  const { session, inputs, deadline } = asWorker;
  const infoOf = ({ session: asked }: Inquiry) => asked.streamInfo(inputs.stream, deadline);
  try {
    const [info, { stream }] = await Promise.all([
      infoOf(asWorker),
      known,
      Promise.all(consumerTerms(inputs).map(({ name }) => session.consumerInfo(inputs.stream, name, deadline))),
    ]);
    let [seen, other] = [createdOf(info), createdOf(stream)];
    // Both were asked at once, and NoETL may have made the stream between the two: they differ where it stays the same meanwhile.
    for (let looks = 0; other !== "" && seen !== other; looks++) {
      if (looks === MOST_LOOKS) return {};
      seen = createdOf(await infoOf(asWorker));
      const again = createdOf(await infoOf(asChecker));
      if (again === other && seen !== other) return { elsewhere: seen };
      other = again;
    }
    return {};
  } catch (error) {
    if (!(error instanceof ConnectError) || error.problem !== "missing-permission") throw error;
    return { info: wordsOf(error) };
  }
}

/** A login that may do nothing of what NoETL does is one that was made for the check. */
const isCheckersAlone = ({ publishes, workers }: Probe): boolean =>
  publishes.every(({ routes }) => routes.some(({ end }) => end === "refused")) &&
  workers.every(({ fetch, ack }) => fetch !== undefined && ack !== undefined);

const notNoetls = ({ login }: Probe): TriedOut => ({
  open: [
    {
      rules: PROBE_RULES.map(({ id }) => id),
      why: `${login} may do nothing of what NoETL does: give NoETL's own login as well (noetlLogin)`,
    },
  ],
});

/** What the server did not tell. */
const openRules = (probe: Probe, known: Known, session: Session): TriedOut["open"] => [
  ...openRoom(probe, known, session),
  ...openAcks(probe),
];

/** Mappings belong to the account, so that one login which is told of them suffices. */
function openSubject(publishes: Probe["publishes"], known: Known, { session }: Inquiry): TriedOut["open"] {
  const isAsked = isFiltered(known) && publishes.every(({ subject }) => isAnswered(known.stream, subject));
  const told = new Set(publishes.filter(({ mapped }) => mapped !== undefined).map(({ subject }) => subject));
  if (!isAsked || publishes.every(({ subject }) => told.has(subject))) return [];
  const why = tracesAtAll(session)
    ? `${session.login} is not told what becomes of a publish, which takes publishing on its own inbox and hearing of it, and a stream ` +
      "whose queue is not full"
    : "nats-server before 2.11 does not tell under which subject it stores a publish";
  return [{ rules: ["publish-subject"], why }];
}

const openAcks = ({ workers }: Probe): TriedOut["open"] =>
  workers
    .filter(({ answersOnly }) => answersOnly)
    .slice(0, 1)
    .map(({ login }) => ({
      rules: ["worker-ack"],
      why:
        `${login} may acknowledge what it gets as an answer alone (allow_responses), which cannot be tried; a command that takes longer ` +
        "than the ack wait takes several answers",
    }));

function openRoom(probe: Probe, { stream }: Known, session: Session): TriedOut["open"] {
  const reached = probe.publishes.every(({ routes }) => routes.every(({ end }) => end === "stream"));
  const answered = probe.publishes.every(({ subject }) => isAnswered(stream, subject));
  if (probe.room !== undefined || !reached || !answered) return [];
  if (probe.publishes.some(({ untraced }) => untraced)) {
    return [{ rules: ["publish-room"], why: "the stream is another account's, to which no trace gets" }];
  }
  const why = mayWatch(session)
    ? `${probe.login} may not publish on $JS.API.>, which asking for it takes`
    : "nats-server before 2.11, and servers of a cluster, do not tell whether they have room";
  return [{ rules: ["publish-room"], why }];
}
