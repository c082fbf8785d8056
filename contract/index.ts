/** The contract between NoETL and NATS in one import: what is asked of a stream, and how it is checked and ensured. */
export {
  checkContract,
  observe,
  type BucketFacts,
  type ContractReport,
  type Remembered,
  type SkippedRule,
} from "./check";
export { openSession } from "./nats/connect";
export { Deadline } from "./deadline";
export { bucketConfig, consumerConfig, streamConfig } from "./desired";
export { ensureContract, ensurePlan, EnsureRefused, type EnsurePlan, type EnsureReport } from "./ensure";
export { ConnectError, PROBLEMS, type ConnectProblem } from "./errors";
export { inputProblems } from "./input-problems";
export { withDefaults, type ContractArguments, type ContractInputs, type GatewaySettings } from "./inputs";
export { contractMessage, fixCommands } from "./message";
export {
  evaluateRules,
  RULES,
  type Check,
  type Fix,
  type Observed,
  type Rule,
  type Severity,
  type RuleResult,
} from "./rules";
export { bucketStream } from "./buckets";
export { bucketsOf } from "./rules/gateway";
export type { Session } from "./nats/session";
