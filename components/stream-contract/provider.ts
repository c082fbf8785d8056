/**
 * The provider behind `StreamContract`, as an ordinary compiled module. The state of a stack holds only a stub that
 * loads this module and calls it, so that no library is serialised and a fix reaches existing stacks.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { unknownValue } from "@pulumi/pulumi/runtime/rpc";
import { checkContract, checkWith, type ContractReport, type Remembered } from "../../contract/check";
import { openSession } from "../../contract/nats/connect";
import { Deadline } from "../../contract/deadline";
import { warn } from "./engine-log";
import { ensureContract, ensuredBy, type EnsureReport } from "../../contract/ensure";
import { ConnectError } from "../../contract/errors";
import { unknownArguments } from "../../contract/input-keys";
import { inputProblems } from "../../contract/input-problems";
import {
  addsConsumersWithin,
  asServersAre,
  consumerTerms,
  INPUT_NAMES,
  isServersConnection,
  withDefaults,
  type ContractInputs,
  type GatewaySettings,
} from "../../contract/inputs";
import type { Pods } from "../../contract/kubernetes/pod-facts";
import { isConsumersAlone, lossWords, podsOf, startsFor } from "../../contract/kubernetes/pods";
import {
  hindrances,
  memoryStreams,
  preflight,
  type Hindrance,
  type Loss,
  type Preflight,
} from "../../contract/preflight";
import type { Resize } from "../../contract/resize";
import { inventoryOf, rollProblem, type RollProblem } from "../../contract/roll";
import { checkName, RULES, type Check } from "../../contract/rules";
import { OUTPUTS } from "./outputs";
import { RUN_INPUT, runOf, takeRun } from "./run";

/** What the state holds: every input, so that a later run can tell what changed, and what was found. */
export type ContractState = ContractInputs & Omit<EnsureReport, "checks"> & Differences;

interface Differences {
  /** Every rule that is broken, with what was found and expected. The engine's diff would show all rules where one changes. */
  readonly differences: Readonly<Record<string, string>>;
}

/** What a refresh leaves in the state: what was asked for, which the inputs then no longer tell. */
type RefreshedState = Partial<ContractState> & {
  /** {@link Asked} as JSON, one line in the engine's diff. */
  readonly asked?: string;
  /** Differences that no input stands for. */
  readonly drift?: Readonly<Record<string, string>>;
};

/** What {@link liveInputs} may replace, as it was asked for, and the stream that was there. Nothing of it is secret. */
interface Asked extends Pick<ContractInputs, "expect" | "worker"> {
  readonly gateway?: Pick<GatewaySettings, "sessionTtlSeconds" | "requestTtlSeconds">;
  readonly streamCreated?: string;
}

/** How long a refresh, an update's look, and an update before which nothing was deployed, wait for a server that does not answer, in seconds. */
const REFRESH_TIMEOUT_SECONDS = 15;

/** How long a preview may take for its look at the contract, in seconds. */
const LOOK_SECONDS = 2;

/** How long an update waits for stream and consumer where it cannot see whether anybody will make them, in seconds. */
const BLIND_SECONDS = 10;

/** Only the inputs: without outputs and without the engine's own keys. Nothing undefined is left in. */
function inputsOf(properties: object): ContractInputs {
  const given = properties as Record<string, unknown>;
  const inputs = Object.fromEntries(INPUT_NAMES.map((name) => [name, given[name]]));
  return withDefaults(inputs);
}

const idOf = ({ stream, consumer, declaredOnly }: ContractInputs): string =>
  declaredOnly ? "declared" : `${stream}/${consumer}`;

/** Fills in defaults and refuses bad inputs, all of them in one message. */
export function check(_olds: object, news: object): pulumi.dynamic.CheckResult<ContractInputs> {
  const inputs = inputsOf(news);
  takeRun(news, inputs);
  const problems = [...unknownArguments(news, [RUN_INPUT, ...OUTPUTS]), ...inputProblems(inputs, unknownValue)];
  if (problems.length === 0) return { inputs };
  // A failure that names a property is printed with that property's value, which may be the password.
  return { inputs, failures: [{ property: "", reason: problems.join(";\n") }] };
}

/** Whether an input differs. Defaults count as given: a state may be older than an input. */
function changed(olds: object, news: object, names: readonly (keyof ContractInputs)[] = INPUT_NAMES): boolean {
  const [before, after] = [inputsOf(olds), inputsOf(news)];
  return names.some((name) => !isDeepStrictEqual(before[name], after[name]));
}

/**
 * The check runs again whenever an input does not stand in the state as it is now, a trigger or a credential included, or
 * a refresh found a difference; and where none of that is so, whenever the live contract is not as the state has it. Nothing
 * is ever replaced.
 *
 * The look takes {@link LOOK_SECONDS} at most, an update's {@link REFRESH_TIMEOUT_SECONDS}. A preview that cannot reach NATS says
 * so and finds nothing; an update that cannot reach it runs the check, which says why.
 */
export async function diff(_id: string, olds: object, news: object): Promise<pulumi.dynamic.DiffResult> {
  const [before, after] = [olds as Record<string, unknown>, news as Record<string, unknown>];
  const differs = ["drift", "__provider"].some((name) => !isDeepStrictEqual(before[name], after[name]));
  if (differs || before.holds !== true || changed(olds, news)) return { changes: true };
  return { changes: await isNews(olds as ContractState, inputsOf(news)) };
}

/** Whether the live contract is otherwise than the state has it. What a preview finds, it says. */
async function isNews(state: ContractState, inputs: ContractInputs): Promise<boolean> {
  const { preview, urn } = runOf(inputs);
  const say = (message: string): Promise<void> => (preview ? warn(message, urn) : Promise.resolve());
  try {
    const seconds = preview ? LOOK_SECONDS : REFRESH_TIMEOUT_SECONDS;
    const live = await look(inputs, rememberedIn(askedFor(state)), seconds);
    const [was, is] = [Object.keys(state.differences ?? {}), Object.keys(differencesIn(live.checks))];
    // That something happened is news once, and no news when it is over.
    const news = is.some((name) => !was.includes(name)) || was.some((name) => !is.includes(name) && !EVENTS.has(name));
    if (news && live.report !== "") await say(live.report);
    return news;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const { message } = error;
    if (!isOutOfReach(error, inputs)) {
      await say(`${message}. ${STATE_SAYS}`);
      return true;
    }
    await say(`NATS could not be asked whether the stream contract holds: ${message.replace(/\s+/g, " ")}`);
    return !preview;
  }
}

/** The check, once and without another try. */
async function look(inputs: ContractInputs, remembered: Remembered, seconds: number): Promise<ContractReport> {
  const deadline = new Deadline(seconds * 1000);
  const session = await openSession(inputs, deadline);
  try {
    return await checkWith({ session, inputs, deadline }, false, remembered);
  } finally {
    await session.close();
  }
}

const STATE_SAYS =
  "By its state this stack has a NATS on which the contract holds. Where the cluster is another one or was created again, " +
  "`pulumi up --refresh` finds what is missing and deploys it";

const EVENTS: ReadonlySet<string> = new Set(RULES.flatMap(({ id, isEvent }) => (isEvent ? id : [])));

/** Problems of the way to NATS, which tell nothing of NATS itself. */
const OUT_OF_REACH: ReadonlySet<string> = new Set<ConnectError["problem"]>([
  "bad-kubeconfig",
  "cluster-unreachable",
  "cluster-login",
  "forbidden",
  "host-unknown",
  "no-answer",
]);

/** At an address, unlike at a pod, something on the way may as well be what refuses or closes. */
const OUT_OF_REACH_AT_ADDRESS: ReadonlySet<string> = new Set<ConnectError["problem"]>(["refused", "closed", "no-nats"]);

const isOutOfReach = ({ problem }: ConnectError, { connection }: ContractInputs): boolean =>
  OUT_OF_REACH.has(problem) || (isServersConnection(connection) && OUT_OF_REACH_AT_ADDRESS.has(problem));

/** What a check found, or mode `ensure` after what it did, for the state. @throws Error where the contract does not hold. */
async function checked(
  inputs: ContractInputs,
  remembered: Remembered = {},
  check: typeof checkContract = checkContract,
): Promise<ContractState> {
  const { checks, ...report } =
    inputs.mode === "ensure"
      ? await ensureContract(inputs, remembered)
      : { ...(await check(inputs, true, remembered)), changes: [] };
  if (!report.holds) throw new Error(report.report);
  return { ...inputs, ...report, differences: differencesIn(checks) };
}

/** What the program asks beside the releases; see `hooks.ts`. Arguments as {@link check} takes them. */
export const beforeNoetl = (args: object): Promise<Preflight> => preflight(inputsOf(args));
export const beforeGateway = (args: object): Promise<Preflight> => preflight(inputsOf(args), "gateway");
export const lostWithServers = (args: object): Promise<Loss[] | undefined> =>
  memoryStreams(asServersAre(inputsOf(args)));
export const beforeRoll = async (args: object | undefined, resize: Resize): Promise<RollProblem | undefined> => {
  const inventory = args ? await inventoryOf(asServersAre(inputsOf(args))) : "the login is not known yet";
  return rollProblem(inventory, resize);
};
export const whileNoetlStarts = (args: object): Promise<Hindrance[]> => hindrances(inputsOf(args));

const differencesIn = (checks: readonly Check[]): Record<string, string> =>
  Object.fromEntries(
    checks.flatMap((check) => (check.ok ? [] : [[checkName(check), `${check.found}; expected: ${check.expected}`]])),
  );

/** Runs the check, in mode `ensure` after what it does. @throws Error with everything that is wrong, or ConnectError. */
export async function create(inputs: object): Promise<pulumi.dynamic.CreateResult<ContractState>> {
  const outs = await checked(inputsOf(inputs));
  return { id: idOf(outs), outs };
}

/** Inputs that differ after a deployment of NATS or NoETL; others change the check alone. */
const DEPLOYED = [
  "connection",
  "stream",
  "subject",
  "consumer",
  "noetlLine",
  "publishes",
  "consumers",
  "declaredOnly",
  "expect",
  "worker",
  "noetl",
  "gateway",
  "triggers",
] as const;

/** Whether inputs that stand in a state, and those of an update, are of two deployments. */
export const areOfTwoDeployments = (olds: object, news: object): boolean => changed(olds, news, DEPLOYED);

/**
 * Runs the check, in mode `ensure` after what it does. A stream that was recreated is not a loss where a deployment came before,
 * and no news where a refresh has reported it. Where nothing was deployed the check waits only for pods that are starting:
 * nobody else will make what is missing.
 *
 * @throws Error with everything that is wrong, or {@link ConnectError}.
 */
export async function update(
  _id: string,
  olds: object,
  news: object,
): Promise<pulumi.dynamic.UpdateResult<ContractState>> {
  const before = olds as RefreshedState;
  const inputs = inputsOf(news);
  const asked = askedInputs(before);
  const seen = rememberedIn(askedFor(before));
  const recreated = changed(asked, news, ["triggers", "stream"]) || before.drift?.["stream-lost"] !== undefined;
  const remembered = { ...(recreated ? {} : seen), ...ensuredIn(before) };
  if (areOfTwoDeployments(asked, news) || before.drift?.nats !== undefined) {
    return { outs: await checked(inputs, remembered) };
  }
  try {
    return { outs: await checked(inputs, remembered, (these) => checkAgain(these, seen, remembered)) };
  } catch (error) {
    if (!(error instanceof ConnectError) || error.problem !== "no-pod") throw error;
    throw new Error(`${error.message}. ${STATE_SAYS}`);
  }
}

/** What mode `ensure` left behind at its last run. */
function ensuredIn(before: RefreshedState): Remembered {
  return before.mode === "ensure" ? { ensured: ensuredBy(askedInputs(before)) } : {};
}

/** The check of a contract that held before and that nobody has deployed to since. */
async function checkAgain(inputs: ContractInputs, seen: Remembered, remembered: Remembered): Promise<ContractReport> {
  const limit = (seconds: number): ContractInputs => ({
    ...inputs,
    timeoutSeconds: Math.min(inputs.timeoutSeconds, seconds),
  });
  const once = (): Promise<ContractReport> => checkContract(limit(REFRESH_TIMEOUT_SECONDS), false, remembered);
  const first = await once();
  const missing = lostIn(first, inputs);
  if (first.holds || missing.length === 0) return first;
  const pods = await podsOf(inputs, new Deadline(LOOK_SECONDS * 1000));
  const seconds = patience(missing, inputs, pods);
  if (seconds > 0) {
    const waited = await checkContract(limit(Math.max(1, seconds)), true, remembered);
    if (waited.holds || !pods) return waited;
  }
  const last = await once();
  const lost = lostIn(last, inputs);
  return lost.length === 0 || !pods
    ? last
    : {
        ...last,
        report: `${lossWords(lost, { seen: seen.streamCreated, pods, within: addsConsumersWithin(inputs) })}\n${last.report}`,
      };
}

/** How long a missing stream or consumer is waited for where nothing was deployed, in seconds. */
export function patience(lost: readonly string[], inputs: ContractInputs, pods: Pods | undefined): number {
  const within = isConsumersAlone(lost) ? addsConsumersWithin(inputs) : undefined;
  // Workers look at most that often; then they add it at once.
  const again = within === undefined ? 0 : within + 5;
  return Math.max(again, pods ? startsFor(pods) / 1000 : BLIND_SECONDS);
}

/** What is missing of what only a start of NoETL makes: the stream, without which no consumer is asked for, or consumers. */
export function lostIn({ checks }: Pick<ContractReport, "checks">, inputs: ContractInputs): string[] {
  const [only] = consumerTerms(inputs);
  return checks.flatMap(({ id, ok, consumer = only?.name }) => {
    if (ok) return [];
    if (id === "stream-exists") return [`stream ${inputs.stream}`];
    return id === "consumer-exists" && consumer !== undefined ? [`consumer ${consumer}`] : [];
  });
}

const rememberedIn = ({ streamCreated }: Remembered): Remembered => ({ streamCreated });

/**
 * The inputs that would fit what was found: where a rule about a value is broken, the value found instead of the one
 * asked for. The engine then shows the drift field by field, as what the next update expects to change. Differences that
 * no input stands for come as `drift`, which the next update removes.
 */
function liveInputs(inputs: ContractInputs, report: Facts, differences: Differences["differences"]): object {
  const drift = { ...differences };
  const live = <T>(name: string, found: T | undefined, asked: T): T => {
    if (found === undefined || !(name in drift)) return asked;
    delete drift[name];
    return found;
  };
  const { expect, worker, gateway } = inputs;
  const ttl = (bucket: string, asked: number): number =>
    live(`bucket-ttl of ${bucket}`, report.buckets?.[bucket]?.ttlSeconds, asked);
  const shown = {
    ...inputs,
    expect: {
      retention: live("stream-retention", report.retention, expect.retention),
      storage: live("stream-storage", report.storage, expect.storage),
      maxAgeSeconds: live("stream-max-age", report.maxAgeSeconds, expect.maxAgeSeconds),
      ackPolicy: live("consumer-ack-policy", report.ackPolicy, expect.ackPolicy),
      deliverPolicy: live("consumer-deliver-policy", report.deliverPolicy, expect.deliverPolicy),
      replayPolicy: live("consumer-replay-policy", report.replayPolicy, expect.replayPolicy),
      ackWaitSeconds: live("consumer-ack-wait", report.ackWaitSeconds, expect.ackWaitSeconds),
      replicas: live("stream-replicas", report.replicas, expect.replicas),
      duplicateWindowSeconds: live("stream-duplicates", report.duplicateWindowSeconds, expect.duplicateWindowSeconds),
    },
    worker: {
      ...worker,
      maxAckPending: live("consumer-max-ack-pending", report.maxAckPending, worker.maxAckPending),
      maxDeliver: live("consumer-max-deliver", report.maxDeliver, worker.maxDeliver),
    },
    ...(gateway
      ? {
          gateway: {
            ...gateway,
            sessionTtlSeconds: ttl(gateway.sessionBucket, gateway.sessionTtlSeconds),
            requestTtlSeconds: ttl(gateway.requestBucket, gateway.requestTtlSeconds),
          },
        }
      : {}),
  };
  return Object.keys(drift).length === 0 ? shown : { ...shown, drift };
}

/** The report without its rules. */
type Facts = Omit<ContractReport, "checks">;

/**
 * What is there now. A broken contract is not an error here but a difference in inputs and outputs, and so are a NATS that is
 * no longer deployed (`holds` is false then) and a stream that was lost and recreated; the next update checks again.
 */
export async function read(id: string, properties: object): Promise<pulumi.dynamic.ReadResult> {
  const before = properties as RefreshedState;
  const inputs = askedInputs(before);
  const remembered = rememberedIn(askedFor(before));
  const { changes = [] } = before;
  const state = (live: object, report: Facts, differences: Differences["differences"]): pulumi.dynamic.ReadResult => {
    const differs = !isDeepStrictEqual(live, inputs);
    const asked = differs ? { asked: JSON.stringify({ ...askedIn(inputs), ...remembered }) } : {};
    return { id, props: { ...live, ...report, differences, changes, ...asked }, inputs: live };
  };
  try {
    const timeoutSeconds = Math.min(inputs.timeoutSeconds, REFRESH_TIMEOUT_SECONDS);
    const { checks, ...report } = await checkContract({ ...inputs, timeoutSeconds }, false, remembered);
    const differences = differencesIn(checks);
    return state(liveInputs(inputs, report, differences), report, differences);
  } catch (error) {
    if (!(error instanceof ConnectError) || !GONE.has(error.problem)) throw error;
    const differences = { nats: error.message };
    const nothing = { holds: false, report: error.message, skippedRules: [], server: "", serverVersion: "" };
    return state({ ...inputs, drift: differences }, nothing, differences);
  }
}

/** What was asked for before a refresh, where one came, else what the inputs ask for. */
function askedFor(state: RefreshedState): Partial<Asked> {
  if (state.asked !== undefined) return JSON.parse(state.asked) as Asked;
  return rememberedIn(state);
}

/** The inputs that were asked for; a refresh shows others where it found others. */
function askedInputs(state: RefreshedState): ContractInputs {
  const { streamCreated: _streamCreated, gateway, ...asked } = askedFor(state);
  return inputsOf({ ...state, ...asked, gateway: state.gateway && { ...state.gateway, ...gateway } });
}

function askedIn({ expect, worker, gateway }: ContractInputs): Asked {
  if (!gateway) return { expect, worker };
  const { sessionTtlSeconds, requestTtlSeconds } = gateway;
  return { expect, worker, gateway: { sessionTtlSeconds, requestTtlSeconds } };
}

/** Problems that mean "NATS is not there as it was left", as opposed to "it could not be asked". */
const GONE: ReadonlySet<string> = new Set<ConnectError["problem"]>([
  // Somebody changed its users.
  "wrong-password",
  "no-pod",
  "pod-not-ready",
  "refused",
  "jetstream-off",
]);
