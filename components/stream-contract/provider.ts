/**
 * The provider behind `StreamContract`, as an ordinary compiled module. The state of a stack holds only a stub that
 * loads this module and calls it, so that no library is serialised and a fix reaches existing stacks.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { unknownValue } from "@pulumi/pulumi/runtime/rpc";
import { checkContract, type ContractReport, type Remembered } from "./check";
import { ensureContract, type EnsureReport } from "./ensure";
import { ConnectError } from "./errors";
import { inputProblems } from "./input-problems";
import { INPUT_NAMES, withDefaults, type ContractInputs, type GatewaySettings } from "./inputs";
import { checkName, type Check } from "./rules";

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

/** How long a refresh waits for a server that does not answer, in seconds. */
const REFRESH_TIMEOUT_SECONDS = 15;

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
  const problems = inputProblems(inputs, unknownValue);
  if (problems.length === 0) return { inputs };
  // A failure that names a property is printed with that property's value, which may be the password.
  return { inputs, failures: [{ property: "", reason: problems.join(";\n") }] };
}

/**
 * The check runs again whenever an input does not stand in the state as it is now, a trigger or a credential included,
 * or a refresh found a difference. Nothing is ever replaced.
 */
export function diff(_id: string, olds: object, news: object): pulumi.dynamic.DiffResult {
  const [before, after] = [olds as Record<string, unknown>, news as Record<string, unknown>];
  const changed = [...INPUT_NAMES, "drift", "__provider"].some((name) => !isDeepStrictEqual(before[name], after[name]));
  return { changes: changed || before.holds !== true };
}

async function checked(properties: object, remembered: Remembered = {}): Promise<ContractState> {
  const inputs = inputsOf(properties);
  const { checks, ...report } =
    inputs.mode === "ensure"
      ? await ensureContract(inputs, remembered)
      : { ...(await checkContract(inputs, true, remembered)), changes: [] };
  if (!report.holds) throw new Error(report.report);
  return { ...inputs, ...report, differences: differencesIn(checks) };
}

const differencesIn = (checks: readonly Check[]): Record<string, string> =>
  Object.fromEntries(
    checks.flatMap((check) => (check.ok ? [] : [[checkName(check), `${check.found}; expected: ${check.expected}`]])),
  );

/** Runs the check, in mode `ensure` after what it does. @throws Error with everything that is wrong, or ConnectError. */
export async function create(inputs: object): Promise<pulumi.dynamic.CreateResult<ContractState>> {
  const outs = await checked(inputs);
  return { id: idOf(outs), outs };
}

/**
 * Runs the check, in mode `ensure` after what it does. A stream made anew is no loss where a trigger changed, because then
 * a deployment came before, and no news where a refresh has reported it.
 *
 * @throws Error with everything that is wrong, or {@link ConnectError}.
 */
export async function update(
  _id: string,
  olds: object,
  news: object,
): Promise<pulumi.dynamic.UpdateResult<ContractState>> {
  const [before, after] = [olds as RefreshedState, news as Partial<ContractInputs>];
  const deployed = !isDeepStrictEqual(before.triggers, after.triggers) || before.stream !== after.stream;
  const reported = before.drift?.["stream-lost"] !== undefined;
  const remembered = deployed || reported ? {} : rememberedIn(askedFor(before));
  return { outs: await checked(news, { ...remembered, ...ensuredIn(before) }) };
}

/** What mode `ensure` set at its last run. */
function ensuredIn(before: RefreshedState): Remembered {
  const { maxAgeSeconds, ackWaitSeconds } = askedFor(before).expect ?? before.expect ?? {};
  if (before.mode !== "ensure" || maxAgeSeconds === undefined || ackWaitSeconds === undefined) return {};
  return { ensured: { maxAgeSeconds, ackWaitSeconds } };
}

const rememberedIn = ({ streamCreated }: Remembered): Remembered =>
  streamCreated === undefined ? {} : { streamCreated };

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
 * What is there now. A broken contract is no error here but a difference in inputs and outputs, and so are a NATS that is
 * no longer deployed (`holds` is false then) and a stream that was lost and made anew; the next update checks again.
 */
export async function read(id: string, properties: object): Promise<pulumi.dynamic.ReadResult> {
  const before = properties as RefreshedState;
  const { streamCreated, gateway, ...asked } = askedFor(before);
  const inputs = inputsOf({ ...before, ...asked, ...(gateway ? { gateway: { ...before.gateway, ...gateway } } : {}) });
  const remembered = streamCreated === undefined ? {} : { streamCreated };
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
    const nothing = { holds: false, report: error.message, unasked: [], server: "", serverVersion: "" };
    return state({ ...inputs, drift: differences }, nothing, differences);
  }
}

/** What was asked for before a refresh, where one came, else what the inputs ask for. */
function askedFor(state: RefreshedState): Partial<Asked> {
  if (state.asked !== undefined) return JSON.parse(state.asked) as Asked;
  return rememberedIn(state);
}

function askedIn({ expect, worker, gateway }: ContractInputs): Asked {
  if (!gateway) return { expect, worker };
  const { sessionTtlSeconds, requestTtlSeconds } = gateway;
  return { expect, worker, gateway: { sessionTtlSeconds, requestTtlSeconds } };
}

/** Problems that mean "NATS is not there", as opposed to "it could not be asked". */
const GONE: ReadonlySet<string> = new Set<ConnectError["problem"]>([
  "no-pod",
  "pod-not-ready",
  "refused",
  "jetstream-off",
]);
