/** Components to use in a program of your own. */
export { ContractGuard, type ContractGuardArgs } from "./contract-guard";
export { Gateway, type GatewayArgs, type GatewaySubjects } from "./gateway";
export {
  NATS_CHART,
  NatsJetStream,
  type NatsJetStreamArgs,
  type NatsPodSecurity,
  type NatsUser,
} from "./nats-jetstream";
export {
  type DatabaseConnection,
  type NatsConnection,
  type NatsLogins,
  Noetl,
  type NoetlArgs,
  type StreamNames,
  type WorkerTuning,
} from "./noetl";
export { type NamespacePolicy, networkPolicies } from "./network-policies/manifests";
export type { Layout } from "../contract/network";
export { Postgres, type PostgresArgs } from "./postgres";
export type { ChartSource } from "./shared";
// Not the folder's index: the program would load the clients of NATS and Kubernetes, which only the provider's process needs.
export { guardGateway, guardNoetl, guardServers } from "./stream-contract/hooks";
export { StreamContract, type StreamContractArgs, type StreamContractClusterArgs } from "./stream-contract/resource";
export * as contract from "../contract/facts";
