/** The contract in one import, for tests and benchmarks. A Pulumi program takes `./resource` alone, the doctor single modules. */
export { checkContract, observe, type BucketFacts, type ContractReport, type Remembered, type Unasked } from "./check";
export { openSession } from "./connect";
export { Deadline } from "./deadline";
export { bucketConfig, consumerConfig, streamConfig } from "./desired";
export { ensureContract, ensurePlan, EnsureRefused, type EnsurePlan, type EnsureReport } from "./ensure";
export { ConnectError, PROBLEMS, type ConnectProblem } from "./errors";
export { inputProblems } from "./input-problems";
export { withDefaults, type ContractArguments, type ContractInputs, type GatewaySettings } from "./inputs";
export { contractMessage, mendingCommands } from "./message";
export { judge, RULES, type Check, type Mend, type Observed, type Rule, type Severity, type Verdict } from "./rules";
export { bucketsOf, bucketStream } from "./gateway-rules";
export * from "./resource";
export type { Session } from "./session";
