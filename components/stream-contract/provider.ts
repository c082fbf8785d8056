/**
 * The provider behind `StreamContract`, as an ordinary compiled module. The state of a stack holds only a stub that
 * loads this module and calls it, so that no library is serialised and a fix reaches existing stacks.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { unknownValue } from "@pulumi/pulumi/runtime/rpc";
import { checkContract, type ContractReport } from "./check";
import { ConnectError } from "./errors";
import { INPUT_NAMES, inputProblems, withDefaults, type ContractInputs } from "./inputs";

/** What the state holds: every input, so that a later run can tell what changed, and what was found. */
export type ContractState = ContractInputs & ContractReport;

/** How long a refresh waits for a server that does not answer, in seconds. */
const REFRESH_TIMEOUT_SECONDS = 15;

/** Only the inputs: without outputs and without the engine's own keys. Nothing undefined is left in. */
function inputsOf(properties: object): ContractInputs {
  const given = properties as Record<string, unknown>;
  const inputs = Object.fromEntries(INPUT_NAMES.map((name) => [name, given[name]]));
  return withDefaults(inputs);
}

const idOf = ({ stream, consumer }: ContractInputs): string => `${stream}/${consumer}`;

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
 * or what a refresh found does not hold. Nothing is ever replaced.
 */
export function diff(_id: string, olds: object, news: object): pulumi.dynamic.DiffResult {
  const [before, after] = [olds as Record<string, unknown>, news as Record<string, unknown>];
  const changed = [...INPUT_NAMES, "__provider"].some((name) => !isDeepStrictEqual(before[name], after[name]));
  return { changes: changed || before.holds !== true };
}

async function checked(properties: object): Promise<ContractState> {
  const inputs = inputsOf(properties);
  const report = await checkContract(inputs);
  if (!report.holds) throw new Error(report.report);
  return { ...inputs, ...report };
}

/** Runs the check. @throws Error with everything that is wrong, or {@link ConnectError}. */
export async function create(inputs: object): Promise<pulumi.dynamic.CreateResult<ContractState>> {
  const outs = await checked(inputs);
  return { id: idOf(outs), outs };
}

/** Runs the check. @throws Error with everything that is wrong, or {@link ConnectError}. */
export async function update(
  _id: string,
  _olds: object,
  news: object,
): Promise<pulumi.dynamic.UpdateResult<ContractState>> {
  return { outs: await checked(news) };
}

/**
 * The inputs that would fit what was found: where a rule about a value is broken, the value found instead of the one
 * asked for. The engine then shows the drift field by field, as what the next update expects to change.
 */
function liveInputs(inputs: ContractInputs, report: ContractReport): ContractInputs {
  const broken = new Set(report.checks.flatMap(({ id, ok }) => (ok ? [] : id)));
  const live = <T>(rule: string, found: T | undefined, asked: T): T => (broken.has(rule) ? (found ?? asked) : asked);
  const { expect, worker } = inputs;
  return {
    ...inputs,
    expect: {
      retention: live("stream-retention", report.retention, expect.retention),
      storage: live("stream-storage", report.storage, expect.storage),
      maxAgeSeconds: live("stream-max-age", report.maxAgeSeconds, expect.maxAgeSeconds),
      ackPolicy: live("consumer-ack-policy", report.ackPolicy, expect.ackPolicy),
      deliverPolicy: live("consumer-deliver-policy", report.deliverPolicy, expect.deliverPolicy),
      replayPolicy: live("consumer-replay-policy", report.replayPolicy, expect.replayPolicy),
      ackWaitSeconds: live("consumer-ack-wait", report.ackWaitSeconds, expect.ackWaitSeconds),
    },
    worker: {
      ...worker,
      maxAckPending: live("consumer-max-ack-pending", report.maxAckPending, worker.maxAckPending),
      maxDeliver: live("consumer-max-deliver", report.maxDeliver, worker.maxDeliver),
    },
  };
}

/**
 * What is there now. A broken contract is no error here but a difference in inputs and outputs, and so is a NATS that is
 * no longer deployed: `holds` is false then, and the next update checks again.
 */
export async function read(id: string, properties: object): Promise<pulumi.dynamic.ReadResult> {
  const inputs = inputsOf(properties);
  const timeoutSeconds = Math.min(inputs.timeoutSeconds, REFRESH_TIMEOUT_SECONDS);
  try {
    const report = await checkContract({ ...inputs, timeoutSeconds }, false);
    const live = liveInputs(inputs, report);
    return { id, props: { ...live, ...report }, inputs: live };
  } catch (error) {
    if (!(error instanceof ConnectError) || !GONE.has(error.problem)) throw error;
    const nothing = { holds: false, report: error.message, checks: [], server: "", serverVersion: "" };
    return { id, props: { ...inputs, ...nothing }, inputs };
  }
}

/** Problems that mean "NATS is not there", as opposed to "it could not be asked". */
const GONE: ReadonlySet<string> = new Set<ConnectError["problem"]>([
  "no-pod",
  "pod-not-ready",
  "refused",
  "jetstream-off",
]);
