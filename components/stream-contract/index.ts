/** The contract in one import, for tests and benchmarks. A Pulumi program takes `./resource` alone, the doctor single modules. */
export {
  checkContract,
  observe,
  type BucketFacts,
  type ContractReport,
  type Remembered,
  type Unasked,
} from "../../contract/check";
export { openSession } from "../../contract/nats/connect";
export { Deadline } from "../../contract/deadline";
export { bucketConfig, consumerConfig, streamConfig } from "../../contract/desired";
export { ensureContract, ensurePlan, EnsureRefused, type EnsurePlan, type EnsureReport } from "../../contract/ensure";
export { ConnectError, PROBLEMS, type ConnectProblem } from "../../contract/errors";
export { inputProblems } from "../../contract/input-problems";
export { withDefaults, type ContractArguments, type ContractInputs, type GatewaySettings } from "../../contract/inputs";
export { contractMessage, mendingCommands } from "../../contract/message";
export {
  judge,
  RULES,
  type Check,
  type Mend,
  type Observed,
  type Rule,
  type Severity,
  type Verdict,
} from "../../contract/rules";
export { bucketsOf, bucketStream } from "../../contract/rules/gateway";
export * from "./resource";
export type { Session } from "../../contract/nats/session";
