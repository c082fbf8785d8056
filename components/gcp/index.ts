/** Components for Google Cloud; a module of its own, so that other platforms do not load Google's SDK. */
export { ArtifactRegistry, type ArtifactRegistryArgs } from "./registry";
export {
  AutopilotCluster,
  type AutopilotClusterArgs,
  type ClusterAccess,
  type ControlPlaneAccess,
  execKubeconfig,
  type Maintenance,
} from "./cluster";
export { CloudSql, type CloudSqlArgs } from "./cloud-sql";
export { CloudSqlPooler, type CloudSqlPoolerArgs } from "./pgbouncer";
export { TlsPolicy, type TlsPolicyArgs } from "./tls-policy";
export {
  addressAnnotations,
  ingressAnnotations,
  LoadBalancing,
  type LoadBalancingArgs,
  serviceAnnotations,
} from "./load-balancing";
export { Network, type NetworkArgs } from "./network";
export { ProjectServices, type ProjectServicesArgs } from "./services";
export { PublicAddress, type PublicAddressArgs } from "./public-address";
