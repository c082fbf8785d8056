/** Components to use in a program of your own. */
export { Gateway, type GatewayArgs, type GatewaySubjects } from "./gateway";
export { NATS_CHART, NatsJetStream, type NatsJetStreamArgs, type NatsUser } from "./nats-jetstream";
export {
  type DatabaseConnection,
  type NatsConnection,
  Noetl,
  type NoetlArgs,
  type StreamNames,
  type WorkerTuning,
} from "./noetl";
export { Postgres, type PostgresArgs } from "./postgres";
export type { ChartSource } from "./shared";
export { StreamContract, type StreamContractArgs, type StreamContractClusterArgs } from "./stream-contract";
export * as contract from "../contract/noetl";
